// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Memory as the two sides see it: registers for the drivers, RAM for the model.
 *
 * Locking: the windows' addresses are written once, before any device exists. Register accesses
 * come in any context and take the model's lock inside model_read32() and its like.
 *
 * Ordering: the flush id is published with WRITE_ONCE under the model's lock, after each access
 * that can have changed it; processes read it with plain loads, as they do on hardware.
 *
 * Blocking: nothing here waits.
 */

#include <linux/device.h>
#include <linux/ioport.h>
#include <linux/logic_iomem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/of_address.h>
#include <linux/pfn.h>
#include <linux/unaligned.h>
#include <mem.h>

#include "glue.h"

#define CREATE_TRACE_POINTS
#include "hwmodel_trace.h"

/* LATEST_FLUSH in the register window, the one register that processes can map. */
#define LATEST_FLUSH		0x10000

static bool soc_trace;
module_param_named(trace, soc_trace, bool, 0644);
MODULE_PARM_DESC(trace, "Log every register access");

static struct resource soc_gpu_window = {
	.name = "hwmodel gpu",
	.flags = IORESOURCE_MEM,
};

/* All cores. */
static struct resource soc_npu_window = {
	.name = "hwmodel npu",
	.flags = IORESOURCE_MEM,
};

/* LATEST_FLUSH in the RAM under the window. */
static u32 *soc_flush_id;

static unsigned long soc_block_read(enum soc_block block, u32 offset, int size)
{
	unsigned long value;

	if (size == sizeof(u32) && IS_ALIGNED(offset, sizeof(u32))) {
		value = model_read32(block, offset);
	} else {
		model_access_other(block, offset, size, false);
		value = ~0UL;
	}

	trace_register_read(offset, value);
	if (soc_trace)
		pr_info("hwmodel: %d read%d  0x%06x -> 0x%lx\n", block, size * 8, offset, value);

	return value;
}

static void soc_block_write(enum soc_block block, u32 offset, int size, unsigned long value)
{
	trace_register_write(offset, value);
	if (soc_trace)
		pr_info("hwmodel: %d write%d 0x%06x <- 0x%lx\n", block, size * 8, offset, value);

	if (size == sizeof(u32) && IS_ALIGNED(offset, sizeof(u32)))
		model_write32(block, offset, value);
	else
		model_access_other(block, offset, size, true);
}

static unsigned long soc_gpu_read(void *priv, unsigned int offset, int size)
{
	return soc_block_read(SOC_BLOCK_GPU, offset, size);
}

static void soc_gpu_write(void *priv, unsigned int offset, int size, unsigned long value)
{
	soc_block_write(SOC_BLOCK_GPU, offset, size, value);
}

static const struct logic_iomem_ops soc_gpu_ops = {
	.read = soc_gpu_read,
	.write = soc_gpu_write,
};

static long soc_gpu_map(unsigned long offset, size_t size, const struct logic_iomem_ops **ops,
			void **priv)
{
	*ops = &soc_gpu_ops;
	return offset;
}

static const struct logic_iomem_region_ops soc_gpu_region_ops = {
	.map = soc_gpu_map,
};

static unsigned long soc_npu_read(void *priv, unsigned int offset, int size)
{
	return soc_block_read(SOC_BLOCK_NPU0 + offset / SOC_NPU_WINDOW, offset % SOC_NPU_WINDOW,
			      size);
}

static void soc_npu_write(void *priv, unsigned int offset, int size, unsigned long value)
{
	soc_block_write(SOC_BLOCK_NPU0 + offset / SOC_NPU_WINDOW, offset % SOC_NPU_WINDOW, size,
			value);
}

static const struct logic_iomem_ops soc_npu_ops = {
	.read = soc_npu_read,
	.write = soc_npu_write,
};

static long soc_npu_map(unsigned long offset, size_t size, const struct logic_iomem_ops **ops,
			void **priv)
{
	*ops = &soc_npu_ops;
	return offset;
}

static const struct logic_iomem_region_ops soc_npu_region_ops = {
	.map = soc_npu_map,
};

void soc_publish_flush_id(u32 id)
{
	/* Clocks and domains are there before the window is. */
	if (soc_flush_id)
		WRITE_ONCE(*soc_flush_id, id);
}

/*
 * RAM that may have been given to a device: exists, is not the kernel's own image or otherwise
 * reserved (the register window is), and does not lie in the allocator's pool of free pages.
 */
static bool soc_is_dma_page(unsigned long pfn)
{
	unsigned long long unused;
	unsigned int order;

	if (phys_mapping(PFN_PHYS(pfn), &unused) < 0 || !pfn_valid(pfn))
		return false;
	if (PageReserved(pfn_to_page(pfn)))
		return false;

	for (order = 0; order <= MAX_PAGE_ORDER; order++) {
		struct page *head = pfn_to_page(ALIGN_DOWN(pfn, 1UL << order));

		if (PageBuddy(head) && READ_ONCE(head->private) >= order)
			return false;
	}

	return true;
}

static bool soc_is_dma_range(u64 pa, size_t len)
{
	unsigned long pfn;

	if (!len || pa + len < pa)
		return false;
	for (pfn = PHYS_PFN(pa); pfn <= PHYS_PFN(pa + len - 1); pfn++)
		if (!soc_is_dma_page(pfn))
			return false;

	return true;
}

/*
 * Aligned words and double words are accessed as such: drivers and processes poll what the model
 * writes, and must never see half of it.
 */
int soc_ram_read(u64 pa, void *buf, size_t len)
{
	const void *ram;

	if (!soc_is_dma_range(pa, len))
		return -EFAULT;

	ram = phys_to_virt(pa);
	if (len == sizeof(u64) && IS_ALIGNED(pa, sizeof(u64)))
		put_unaligned(READ_ONCE(*(const u64 *)ram), (u64 *)buf);
	else if (len == sizeof(u32) && IS_ALIGNED(pa, sizeof(u32)))
		put_unaligned(READ_ONCE(*(const u32 *)ram), (u32 *)buf);
	else
		memcpy(buf, ram, len);

	return 0;
}

int soc_ram_write(u64 pa, const void *buf, size_t len)
{
	void *ram;

	if (!soc_is_dma_range(pa, len))
		return -EFAULT;

	ram = phys_to_virt(pa);
	if (len == sizeof(u64) && IS_ALIGNED(pa, sizeof(u64)))
		WRITE_ONCE(*(u64 *)ram, get_unaligned((const u64 *)buf));
	else if (len == sizeof(u32) && IS_ALIGNED(pa, sizeof(u32)))
		WRITE_ONCE(*(u32 *)ram, get_unaligned((const u32 *)buf));
	else
		memcpy(ram, buf, len);

	return 0;
}

int soc_iomem_init(struct device *dev, struct device_node *gpu, struct device_node *npu)
{
	unsigned long long unused;
	struct resource res;
	phys_addr_t flush_id;
	int ret;

	ret = of_address_to_resource(gpu, 0, &res);
	if (ret)
		return dev_err_probe(dev, ret, "the GPU has no register window\n");

	flush_id = res.start + LATEST_FLUSH;
	if (phys_mapping(res.end, &unused) < 0 || !pfn_valid(PHYS_PFN(flush_id)) ||
	    !PageReserved(pfn_to_page(PHYS_PFN(flush_id))))
		return dev_err_probe(dev, -ENXIO,
				     "%pR is no reserved RAM: boot with more mem= and with the tree's reserved-memory\n",
				     &res);

	soc_flush_id = phys_to_virt(flush_id);
	clear_page(soc_flush_id);

	soc_gpu_window.start = res.start;
	soc_gpu_window.end = res.end;
	ret = logic_iomem_add_region(&soc_gpu_window, &soc_gpu_region_ops);
	if (ret)
		return dev_err_probe(dev, ret, "%pR is taken\n", &res);

	ret = of_address_to_resource(npu, 0, &res);
	if (ret)
		return dev_err_probe(dev, ret, "the NPU has no registers\n");

	soc_npu_window.start = res.start;
	soc_npu_window.end = res.start + SOC_NPU_CORES * SOC_NPU_WINDOW - 1;
	ret = logic_iomem_add_region(&soc_npu_window, &soc_npu_region_ops);
	if (ret)
		return dev_err_probe(dev, ret, "%pR is taken\n", &soc_npu_window);

	return 0;
}
