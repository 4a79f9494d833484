/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The cores as devices. Functions return 0 or a negative errno, where they do not return a count. */
#ifndef SELFTEST_CORES_H
#define SELFTEST_CORES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hwmodel.h"

#define MAX_CORES	8

/* How many cores the device tree has. */
uint32_t cores_count(void);
/* The path of a file in the device's directory. */
int core_attribute(uint32_t core, const char *name, char *path, size_t size);
bool core_is_bound(uint32_t core);
int core_unbind(uint32_t core);
int core_bind(uint32_t core);

/*
 * Whether jobs that take a while, as many as there are bits in @cores, run on just these cores: 0, or
 * -EIO for a wrong result, -ESRCH if a core has done nothing or another one something.
 */
int cores_run(uint32_t cores);
/* Cores that are switched on, a bit for each. */
uint32_t cores_on(void);
/* Waits until all cores that are bound are switched off: 0, or -ETIME. */
int cores_wait_off(void);
/*
 * Whether a core that no file uses is in an address space of the kernel's, as on arm64; that is also what it wakes up
 * with.
 */
bool cores_have_the_kernels_space(void);

/* What the driver's module is called. */
const char *driver_name(void);

/* Tasks that the model's cores have completed since then, all together. */
uint64_t tasks_since(const struct hwmodel_counters *before);

#endif
