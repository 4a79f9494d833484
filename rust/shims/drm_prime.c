// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Dma-bufs: what the crate `drm` needs of C to import and to export them. */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>

#include "drm.h"

MODULE_IMPORT_NS("DMA_BUF");

/*
 * Goes through the DMA addresses of a table and joins what is contiguous. Fills in @to, if given.
 * Returns how many runs there are; 0 if one is not of whole pages of a device, or all are
 * shorter than @size. Pages of the CPU may be larger, and an exporter need not keep to them.
 */
static unsigned int dma_runs(struct sg_table *from, size_t size, struct scatterlist *to)
{
	const u64 longest = rounddown(UINT_MAX, SZ_4K);
	struct scatterlist *sg;
	unsigned int i, runs = 0;
	u64 first = 0, len = 0, all = 0;

	for_each_sgtable_dma_sg(from, sg, i) {
		dma_addr_t addr = sg_dma_address(sg);
		unsigned int more = sg_dma_len(sg);

		if (!more || !IS_ALIGNED(addr, SZ_4K) || !IS_ALIGNED(more, SZ_4K))
			return 0;
		if (!runs || addr != first + len || len + more > longest) {
			if (runs && to)
				to = sg_next(to);
			runs++;
			first = addr;
			len = 0;
		}
		len += more;
		all += more;
		if (to) {
			sg_dma_address(to) = first;
			sg_dma_len(to) = len;
		}
	}
	return all < size ? 0 : runs;
}

/* A table of its own with nothing but DMA addresses: an exporter need not have pages. */
struct sg_table *shim_sg_dma_runs(struct sg_table *from, size_t size)
{
	unsigned int runs = dma_runs(from, size, NULL);
	struct sg_table *to;
	int ret;

	if (!runs)
		return ERR_PTR(-EINVAL);
	to = kzalloc(sizeof(*to), GFP_KERNEL);
	if (!to)
		return ERR_PTR(-ENOMEM);
	ret = sg_alloc_table(to, runs, GFP_KERNEL);
	if (ret) {
		kfree(to);
		return ERR_PTR(ret);
	}
	dma_runs(from, size, to->sgl);
	return to;
}

/* The exporter sets the mapping up, which then is one of its file and keeps that instead of @obj. */
int shim_gem_mmap_import(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	int ret;

	vma->vm_ops = NULL;
	vma->vm_private_data = NULL;
	ret = dma_buf_mmap(obj->import_attach->dmabuf, vma, 0);
	if (!ret)
		drm_gem_object_put(obj);
	return ret;
}

struct dma_buf *shim_gem_export(struct drm_gem_object *obj, const struct dma_buf_ops *ops,
				int flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.owner = obj->dev->driver->fops->owner;
	info.ops = ops;
	info.size = obj->size;
	info.flags = flags;
	info.priv = obj;
	info.resv = obj->resv;
	return drm_gem_dmabuf_export(obj->dev, &info);
}

/* The object that @dev has exported as @buf, if it has. What the DRM core releases is a GEM object. */
struct drm_gem_object *shim_gem_of_export(struct drm_device *dev, const struct dma_buf *buf)
{
	struct drm_gem_object *obj = buf->priv;

	return buf->ops->release == drm_gem_dmabuf_release && obj->dev == dev ? obj : NULL;
}

/* Mapped and unmapped with the reservation locked, which therefore protects the table, too. */
struct sg_table *shim_export_map(struct dma_buf_attachment *attach, enum dma_data_direction dir)
{
	struct sg_table *sgt = drm_gem_map_dma_buf(attach, dir);

	attach->priv = IS_ERR(sgt) ? NULL : sgt;
	return sgt;
}

void shim_export_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		       enum dma_data_direction dir)
{
	attach->priv = NULL;
	drm_gem_unmap_dma_buf(attach, sgt, dir);
}

/* Every device that has the buffer mapped may be one that does not snoop. */
static void export_sync(struct dma_buf *buf, enum dma_data_direction dir,
			void (*sync)(struct device *dev, struct sg_table *sgt,
				     enum dma_data_direction dir))
{
	struct dma_buf_attachment *attach;

	dma_resv_lock(buf->resv, NULL);
	list_for_each_entry(attach, &buf->attachments, node) {
		if (attach->priv)
			sync(attach->dev, attach->priv, dir);
	}
	dma_resv_unlock(buf->resv);
}

void shim_export_sync_for_cpu(struct dma_buf *buf, enum dma_data_direction dir)
{
	export_sync(buf, dir, dma_sync_sgtable_for_cpu);
}

void shim_export_sync_for_device(struct dma_buf *buf, enum dma_data_direction dir)
{
	export_sync(buf, dir, dma_sync_sgtable_for_device);
}
