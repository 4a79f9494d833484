/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The user-space interfaces whose structures the drivers handle. */
#include <drm/panthor_drm.h>
#include <drm/rocket_accel.h>
