/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the crate `job` needs and what the kernel offers only as inline functions or macros.
 */
#ifndef SHIM_JOB_H
#define SHIM_JOB_H

#include <linux/types.h>

struct dma_fence;

/* Lockdep's view of a fence signalling critical section; no-ops without lockdep. */
bool shim_job_begin_signalling(void);
void shim_job_end_signalling(bool cookie);

/* Complains, under lockdep, if the caller must not sleep or must not wait for a fence here. */
void shim_job_may_block(void);

void shim_job_fence_get(struct dma_fence *fence);
void shim_job_fence_put(struct dma_fence *fence);
bool shim_job_fence_is_signaled(struct dma_fence *fence);
void shim_job_fence_set_error(struct dma_fence *fence, int error);
bool shim_job_fence_is_later_or_same(struct dma_fence *fence, struct dma_fence *other);

/*
 * Calls @fn for every leaf of @fence (the fence itself if it is no array and no chain) until one
 * call returns non-zero; returns that value, or 0. The leaf is valid during the call only.
 */
int shim_job_fence_visit_leaves(struct dma_fence *fence,
				int (*fn)(struct dma_fence *leaf, void *data), void *data);

#endif
