// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <linux/dma-fence-array.h>
#include <linux/dma-fence-chain.h>
#include <linux/dma-fence.h>
#include <linux/slab.h>

#include "fences.h"

struct dma_fence *test_fence_array(struct dma_fence *first, struct dma_fence *second)
{
	struct dma_fence **fences = kmalloc_array(2, sizeof(*fences), GFP_KERNEL);
	struct dma_fence_array *array;

	if (!fences)
		return NULL;
	fences[0] = dma_fence_get(first);
	fences[1] = dma_fence_get(second);
	/* Takes over the references and the memory, if it succeeds. */
	array = dma_fence_array_create(2, fences, dma_fence_context_alloc(1), 1);
	if (!array) {
		dma_fence_put(fences[0]);
		dma_fence_put(fences[1]);
		kfree(fences);
		return NULL;
	}
	return &array->base;
}

struct dma_fence *test_fence_chain(struct dma_fence *previous, struct dma_fence *fence, u64 point)
{
	struct dma_fence_chain *chain = dma_fence_chain_alloc();

	if (!chain)
		return NULL;
	dma_fence_chain_init(chain, dma_fence_get(previous), dma_fence_get(fence), point);
	return &chain->base;
}

unsigned int test_fence_references(struct dma_fence *fence)
{
	return kref_read(&fence->refcount);
}

bool test_fence_attached(struct dma_fence *fence)
{
	return rcu_access_pointer(fence->ops);
}

s64 test_fence_time(struct dma_fence *fence)
{
	return ktime_to_ns(dma_fence_timestamp(fence));
}
