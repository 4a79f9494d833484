// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Counts what a driver asks the DMA API to do for the CPU's caches, and passes it on. For drivers whose calls go
 * through here: scripts/build makes copies of them in which the names of these functions are other ones.
 *
 * Locking: a spinlock for the counts. Ordering: none. Blocking: nothing waits.
 */
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>

void watched_sync_single_for_cpu(struct device *dev, dma_addr_t addr, size_t size,
				 enum dma_data_direction dir);
void watched_sync_single_for_device(struct device *dev, dma_addr_t addr, size_t size,
				    enum dma_data_direction dir);
void watched_sync_sg_for_cpu(struct device *dev, struct scatterlist *sg, int nelems,
			     enum dma_data_direction dir);
void watched_sync_sg_for_device(struct device *dev, struct scatterlist *sg, int nelems,
				enum dma_data_direction dir);

static DEFINE_SPINLOCK(watch_lock);

static ulong for_cpu;
module_param(for_cpu, ulong, 0644);
MODULE_PARM_DESC(for_cpu, "bytes that were handed to the CPU");

static ulong for_device;
module_param(for_device, ulong, 0644);
MODULE_PARM_DESC(for_device, "bytes that were handed to a device");

static void watch_count(ulong *sum, size_t bytes)
{
	unsigned long flags;

	spin_lock_irqsave(&watch_lock, flags);
	*sum += bytes;
	spin_unlock_irqrestore(&watch_lock, flags);
}

static size_t watch_bytes(struct scatterlist *sgl, int nelems)
{
	struct scatterlist *sg;
	size_t bytes = 0;
	int i;

	for_each_sg(sgl, sg, nelems, i)
		bytes += sg->length;
	return bytes;
}

void watched_sync_single_for_cpu(struct device *dev, dma_addr_t addr, size_t size,
				 enum dma_data_direction dir)
{
	watch_count(&for_cpu, size);
	dma_sync_single_for_cpu(dev, addr, size, dir);
}
EXPORT_SYMBOL_GPL(watched_sync_single_for_cpu);

void watched_sync_single_for_device(struct device *dev, dma_addr_t addr, size_t size,
				    enum dma_data_direction dir)
{
	watch_count(&for_device, size);
	dma_sync_single_for_device(dev, addr, size, dir);
}
EXPORT_SYMBOL_GPL(watched_sync_single_for_device);

void watched_sync_sg_for_cpu(struct device *dev, struct scatterlist *sg, int nelems,
			     enum dma_data_direction dir)
{
	watch_count(&for_cpu, watch_bytes(sg, nelems));
	dma_sync_sg_for_cpu(dev, sg, nelems, dir);
}
EXPORT_SYMBOL_GPL(watched_sync_sg_for_cpu);

void watched_sync_sg_for_device(struct device *dev, struct scatterlist *sg, int nelems,
				enum dma_data_direction dir)
{
	watch_count(&for_device, watch_bytes(sg, nelems));
	dma_sync_sg_for_device(dev, sg, nelems, dir);
}
EXPORT_SYMBOL_GPL(watched_sync_sg_for_device);

MODULE_DESCRIPTION("Counts what a driver asks the DMA API to do for caches");
MODULE_LICENSE("Dual MIT/GPL");
