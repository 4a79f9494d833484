/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Memory reclaim: asked for through debugfs, and what it does to mappings. */
#ifndef SELFTEST_RECLAIM_H
#define SELFTEST_RECLAIM_H

#include "gpu.h"

/* More pages than there are. */
#define EVERYTHING	(1u << 30)

/* Whether the driver takes buffers back, and the machine has somewhere to put them. */
bool reclaim_possible(const struct gpu *gpu);

/* Let the driver's shrinker take so many pages of the CPU, or what there is. 0 or a negative errno. */
int reclaim(const struct gpu *gpu, unsigned int pages);

/* How many pages of the CPU it could take, those in use included, or a negative errno. */
long reclaimable(const struct gpu *gpu);

/* How often the CPU faults when it reads each page of the buffer: never if all of it is mapped. */
long cpu_faults(const struct bo *bo);

/* The address space slot in which something is mapped at @va, or a negative errno. */
int space_of(uint64_t va);
/* How many pages from @va on are mapped in this slot, or a negative errno. */
long gpu_mapped(int space, uint64_t va, size_t pages);

#endif
