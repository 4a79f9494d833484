// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A dma-buf exporter for tests of importers. Its tables have DMA addresses and no pages: what looks
 * like one is an address that nothing may touch, as for memory that is not the kernel's.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poison.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "exporter.h"

#define MOST_BYTES	(64UL << 20)

struct buffer {
	u32 flags;
	unsigned int count;
	struct page *pages[] __counted_by(count);
};

static atomic_t buffers = ATOMIC_INIT(0);
static atomic_t attached = ATOMIC_INIT(0);
static atomic_t mapped = ATOMIC_INIT(0);

static int buffer_attach(struct dma_buf *buf, struct dma_buf_attachment *attach)
{
	atomic_inc(&attached);
	return 0;
}

static void buffer_detach(struct dma_buf *buf, struct dma_buf_attachment *attach)
{
	atomic_dec(&attached);
}

static void unmap_pages(struct device *dev, struct sg_table *sgt, enum dma_data_direction dir)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		dma_addr_t addr = ALIGN_DOWN(sg_dma_address(sg), SZ_4K);

		/* Once for each page, however many pieces it has. */
		if (IS_ALIGNED(addr, PAGE_SIZE))
			dma_unmap_page(dev, addr, PAGE_SIZE, dir);
	}
	sg_free_table(sgt);
	kfree(sgt);
}

static struct sg_table *buffer_map(struct dma_buf_attachment *attach, enum dma_data_direction dir)
{
	const struct buffer *buffer = attach->dmabuf->priv;
	const unsigned int pieces = buffer->flags & EXPORTER_PIECES ? PAGE_SIZE / SZ_4K : 1;
	unsigned int i, piece, count = buffer->count;
	struct scatterlist *sg;
	struct sg_table *sgt;
	int ret;

	if (buffer->flags & EXPORTER_GONE)
		return ERR_PTR(-ENODEV);
	if (buffer->flags & EXPORTER_SHORT)
		count--;
	sgt = kzalloc(sizeof(*sgt), GFP_KERNEL);
	if (!sgt)
		return ERR_PTR(-ENOMEM);
	ret = sg_alloc_table(sgt, max(count * pieces, 1U), GFP_KERNEL);
	if (ret) {
		kfree(sgt);
		return ERR_PTR(ret);
	}
	sgt->nents = 0;
	if (buffer->flags & EXPORTER_EMPTY)
		count = 0;
	sg = sgt->sgl;
	for (i = 0; i < count; i++) {
		dma_addr_t addr = dma_map_page(attach->dev, buffer->pages[i], 0, PAGE_SIZE,
					       dir);

		if (dma_mapping_error(attach->dev, addr)) {
			unmap_pages(attach->dev, sgt, dir);
			return ERR_PTR(-ENOMEM);
		}
		if (buffer->flags & EXPORTER_UNALIGNED)
			addr += 64;
		for (piece = pieces; piece--; sg = sg_next(sg)) {
			sg_assign_page(sg, (struct page *)LIST_POISON1);
			sg_dma_len(sg) = PAGE_SIZE / pieces;
			sg_dma_address(sg) = addr + piece * (PAGE_SIZE / pieces);
			sgt->nents++;
		}
	}
	atomic_inc(&mapped);
	return sgt;
}

static void buffer_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
			 enum dma_data_direction dir)
{
	unmap_pages(attach->dev, sgt, dir);
	atomic_dec(&mapped);
}

static int buffer_mmap(struct dma_buf *buf, struct vm_area_struct *vma)
{
	const struct buffer *buffer = buf->priv;
	unsigned long i;
	int ret = 0;

	if (buffer->flags & EXPORTER_NO_MMAP)
		return -ENODEV;
	if (vma_is_cow_mapping(vma))
		return -EINVAL;
	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	for (i = 0; i < vma_pages(vma) && !ret; i++)
		ret = remap_pfn_range(vma, vma->vm_start + i * PAGE_SIZE,
				      page_to_pfn(buffer->pages[vma->vm_pgoff + i]),
				      PAGE_SIZE, vma->vm_page_prot);
	return ret;
}

static void buffer_free(struct buffer *buffer)
{
	unsigned int i;

	for (i = 0; i < buffer->count && buffer->pages[i]; i++)
		__free_page(buffer->pages[i]);
	kfree(buffer);
	atomic_dec(&buffers);
}

static void buffer_release(struct dma_buf *buf)
{
	buffer_free(buf->priv);
}

static const struct dma_buf_ops buffer_ops = {
	.attach = buffer_attach,
	.detach = buffer_detach,
	.map_dma_buf = buffer_map,
	.unmap_dma_buf = buffer_unmap,
	.mmap = buffer_mmap,
	.release = buffer_release,
};

static int create(struct exporter_create *args)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	unsigned int i, count = DIV_ROUND_UP(args->size, PAGE_SIZE);
	struct buffer *buffer;
	struct dma_buf *buf;

	if (!args->size || args->size > MOST_BYTES)
		return -EINVAL;
	buffer = kzalloc(struct_size(buffer, pages, count), GFP_KERNEL);
	if (!buffer)
		return -ENOMEM;
	atomic_inc(&buffers);
	buffer->flags = args->flags;
	buffer->count = count;
	for (i = 0; i < count; i++) {
		buffer->pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!buffer->pages[i]) {
			buffer_free(buffer);
			return -ENOMEM;
		}
	}
	info.ops = &buffer_ops;
	info.size = args->size;
	info.flags = O_RDWR | O_CLOEXEC;
	info.priv = buffer;
	buf = dma_buf_export(&info);
	if (IS_ERR(buf)) {
		buffer_free(buffer);
		return PTR_ERR(buf);
	}
	args->fd = dma_buf_fd(buf, O_CLOEXEC);
	if (args->fd < 0)
		dma_buf_put(buf);
	return min(args->fd, 0);
}

static long exporter_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct exporter_info info = {
		.buffers = atomic_read(&buffers),
		.attached = atomic_read(&attached),
		.mapped = atomic_read(&mapped),
	};
	struct exporter_create args;
	int ret;

	switch (cmd) {
	case EXPORTER_CREATE:
		if (copy_from_user(&args, (void __user *)arg, sizeof(args)))
			return -EFAULT;
		ret = create(&args);
		if (!ret && copy_to_user((void __user *)arg, &args, sizeof(args)))
			ret = -EFAULT;
		return ret;
	case EXPORTER_INFO:
		return copy_to_user((void __user *)arg, &info, sizeof(info)) ? -EFAULT : 0;
	default:
		return -ENOTTY;
	}
}

static const struct file_operations exporter_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = exporter_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice exporter_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "exporter",
	.fops = &exporter_fops,
};
module_misc_device(exporter_device);

MODULE_DESCRIPTION("Dma-bufs for tests of importers");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_IMPORT_NS("DMA_BUF");
