// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <linux/dma-fence.h>
#include <linux/dma-fence-unwrap.h>
#include <linux/kernel.h>

#include "job.h"

bool shim_job_begin_signalling(void)
{
	return dma_fence_begin_signalling();
}

void shim_job_end_signalling(bool cookie)
{
	dma_fence_end_signalling(cookie);
}

void shim_job_may_block(void)
{
	might_sleep();
#ifdef CONFIG_LOCKDEP
	/* The check itself is not exported, but every wait makes it. The stub has signalled. */
	{
		struct dma_fence *stub = dma_fence_get_stub();

		dma_fence_wait_timeout(stub, false, 0);
		dma_fence_put(stub);
	}
#endif
}

void shim_job_fence_get(struct dma_fence *fence)
{
	dma_fence_get(fence);
}

void shim_job_fence_put(struct dma_fence *fence)
{
	dma_fence_put(fence);
}

bool shim_job_fence_is_signaled(struct dma_fence *fence)
{
	return dma_fence_is_signaled(fence);
}

void shim_job_fence_set_error(struct dma_fence *fence, int error)
{
	dma_fence_set_error(fence, error);
}

bool shim_job_fence_is_later_or_same(struct dma_fence *fence, struct dma_fence *other)
{
	return fence->context == other->context && dma_fence_is_later_or_same(fence, other);
}

int shim_job_fence_visit_leaves(struct dma_fence *fence,
				int (*fn)(struct dma_fence *leaf, void *data), void *data)
{
	struct dma_fence_unwrap iter;
	struct dma_fence *leaf;
	int ret = 0;

	dma_fence_unwrap_for_each(leaf, &iter, fence) {
		ret = fn(leaf, data);
		if (ret)
			break;
	}

	/* The walk owns a reference to the link of a chain that it stopped at. */
	dma_fence_put(iter.chain);
	return ret;
}
