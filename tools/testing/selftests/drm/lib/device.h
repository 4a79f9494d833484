/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The device from the outside: binding and unbinding its driver, which needs root. Functions return 0
 * or a negative errno.
 */
#ifndef SELFTEST_DEVICE_H
#define SELFTEST_DEVICE_H

#include "gpu.h"
#include "module.h"

int device_unbind(const struct gpu *gpu);
int device_bind(const struct gpu *gpu);

/* Open the device as soon as it is there, for at most five seconds. */
int device_reopen(struct gpu *gpu);

#endif
