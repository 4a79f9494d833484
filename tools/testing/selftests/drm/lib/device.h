/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The device from the outside: binding, unbinding, loading and unloading its driver. All of it
 * needs root; functions return 0 or a negative errno.
 */
#ifndef SELFTEST_DEVICE_H
#define SELFTEST_DEVICE_H

#include "gpu.h"

int device_unbind(const struct gpu *gpu);
int device_bind(const struct gpu *gpu);

/* Open the device as soon as it is there, for at most five seconds. */
int device_reopen(struct gpu *gpu);

/* The driver's file, from DRM_TEST_MODULE; NULL if the caller of the test does not say. */
const char *module_path(void);
int module_load(const char *path);
/* Without waiting: -EWOULDBLOCK while it is in use. */
int module_unload(const char *name);

#endif
