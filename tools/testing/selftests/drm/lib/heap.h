/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Tiler heaps, as a driver of user space sets them up, and what they cost in memory. */
#ifndef SELFTEST_HEAP_H
#define SELFTEST_HEAP_H

#include "cs.h"
#include "gpu.h"
#include "rig.h"

#define CHUNK		(128u << 10)
#define HEADER		64
#define VERTEX		32	/* bytes that the model's tiler takes for a vertex */

/* A render pass with one draw of that many bytes. */
void heap_pass(struct cs *cs, uint64_t tiler, uint64_t heap, uint32_t bytes);

/* A new heap, with its tiler context at this page of the data, and nothing of it used yet. */
int heap_create(struct rig *rig, uint32_t vm, uint32_t page, uint32_t max_chunks,
		struct drm_panthor_tiler_heap_create *heap);
int heap_destroy(struct rig *rig, uint32_t handle);

/* How many of the kernel's own buffers are as large as a chunk; zero if the driver does not say. */
unsigned int heap_chunks(const struct gpu *gpu);
/* What is not used any more goes in a moment. */
unsigned int heap_chunks_once_they_are(const struct gpu *gpu, unsigned int count);

#endif
