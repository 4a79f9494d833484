/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The cores as devices. Functions return 0 or a negative errno, where they do not return a count. */
#ifndef SELFTEST_CORES_H
#define SELFTEST_CORES_H

#include <stdbool.h>
#include <stdint.h>

#include "hwmodel.h"

#define MAX_CORES	8

/* How many cores the device tree has. */
uint32_t cores_count(void);
bool core_is_bound(uint32_t core);
int core_unbind(uint32_t core);
int core_bind(uint32_t core);

/* What the driver's module is called. */
const char *driver_name(void);

/* Tasks that the model's cores have completed since then, all together. */
uint64_t tasks_since(const struct hwmodel_counters *before);

#endif
