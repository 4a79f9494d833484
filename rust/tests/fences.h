/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Fences of kinds that the crates do not make themselves, for their tests.
 */
#ifndef TESTS_FENCES_H
#define TESTS_FENCES_H

#include <linux/types.h>

struct dma_fence;

/* Both take new references to what they are given. NULL without memory. */
struct dma_fence *test_fence_array(struct dma_fence *first, struct dma_fence *second);
struct dma_fence *test_fence_chain(struct dma_fence *previous, struct dma_fence *fence, u64 point);

/* The number of references, including the caller's. */
unsigned int test_fence_references(struct dma_fence *fence);
/* When the fence has signalled, in nanoseconds; it must have. */
s64 test_fence_time(struct dma_fence *fence);
/* Whether the fence depends on the code that has made it. */
bool test_fence_attached(struct dma_fence *fence);

#endif
