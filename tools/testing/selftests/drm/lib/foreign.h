/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Buffers of the test module exporter.ko. */
#ifndef SELFTEST_FOREIGN_H
#define SELFTEST_FOREIGN_H

#include <stdint.h>

#include "exporter.h"

/* A dma-buf with these defects, or a negative errno: -ENOENT if the module is not there. */
int exporter_buffer_with(uint64_t size, uint32_t flags);
struct exporter_info exporter_info(void);

#endif
