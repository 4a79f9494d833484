/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The cores as devices, and the driver as a module. All return 0 or a negative errno. */
#ifndef SELFTEST_CORES_H
#define SELFTEST_CORES_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_CORES	8

/* How many cores the device tree has. */
uint32_t cores_count(void);
bool core_is_bound(uint32_t core);
int core_unbind(uint32_t core);
int core_bind(uint32_t core);

/* The driver's file, from DRM_TEST_MODULE; NULL if the caller of the test does not say. */
const char *driver_path(void);
int driver_load(const char *path);
int driver_unload(void);

#endif
