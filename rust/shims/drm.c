// SPDX-License-Identifier: GPL-2.0 OR MIT

#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/debugfs.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/sched/mm.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/swap.h>
#include <linux/time_namespace.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#ifdef CONFIG_ARM_ARCH_TIMER
#include <asm/arch_timer.h>
#endif
#include <drm/drm_accel.h>
#include <drm/drm_managed.h>
#include <drm/drm_vma_manager.h>

#include "drm.h"

DEFINE_STATIC_SRCU(scope_srcu);

int shim_scope_enter(void)
{
	return srcu_read_lock(&scope_srcu);
}

void shim_scope_exit(int idx)
{
	srcu_read_unlock(&scope_srcu, idx);
}

void shim_scope_synchronize(void)
{
	synchronize_srcu(&scope_srcu);
}

/* How many pages a buffer may have: those of the machine, and no more than there can be a table of. */
unsigned long shim_gem_most_pages(void)
{
	return min(totalram_pages(), INT_MAX / sizeof(struct page *));
}

/* A buffer that is too big fails; it neither invokes the OOM killer nor fills the log. */
void shim_gem_set_gfp(struct drm_gem_object *obj)
{
	mapping_set_gfp_mask(obj->filp->f_mapping,
			     GFP_HIGHUSER | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
}

int shim_accel_open(struct inode *inode, struct file *filp)
{
#if IS_ENABLED(CONFIG_DRM_ACCEL)
	return accel_open(inode, filp);
#else
	return -ENODEV;
#endif
}

bool shim_exec_holds(struct drm_exec *exec, struct drm_gem_object *obj)
{
	return dma_resv_locking_ctx(obj->resv) == &exec->ticket;
}

u64 shim_exec_stamp(struct drm_exec *exec)
{
	return exec->ticket.stamp;
}

int shim_resv_for_each(struct dma_resv *resv, enum dma_resv_usage usage,
		       int (*fn)(struct dma_fence *fence, void *data), void *data)
{
	struct dma_resv_iter cursor;
	struct dma_fence *fence;
	int ret;

	dma_resv_for_each_fence(&cursor, resv, usage, fence) {
		ret = fn(fence, data);
		if (ret)
			return ret;
	}
	return 0;
}

void shim_gem_get(struct drm_gem_object *obj)
{
	drm_gem_object_get(obj);
}

void shim_gem_put(struct drm_gem_object *obj)
{
	drm_gem_object_put(obj);
}

u64 shim_gem_mmap_offset(struct drm_gem_object *obj)
{
	return drm_vma_node_offset_addr(&obj->vma_node);
}

unsigned long shim_gem_page_start(struct drm_gem_object *obj)
{
	return drm_vma_node_start(&obj->vma_node);
}

bool shim_gem_get_unless_zero(struct drm_gem_object *obj)
{
	return kref_get_unless_zero(&obj->refcount);
}

/* Finds all mappings but those by way of a dma-buf, which belong to its inode. */
void shim_gem_zap(struct drm_gem_object *obj)
{
	drm_vma_node_unmap(&obj->vma_node, obj->dev->anon_inode->i_mapping);
}

/* Does nothing in a kernel that has none. */
int shim_gem_use_huge_pages(struct drm_device *dev)
{
	return drm_gem_huge_mnt_create(dev, "within_size");
}

unsigned long shim_free_swap_pages(void)
{
	long pages = get_nr_swap_pages();

	return pages > 0 ? pages : 0;
}

void shim_reclaim_might_lock(struct mutex *lock)
{
	fs_reclaim_acquire(GFP_KERNEL);
	might_lock(lock);
	fs_reclaim_release(GFP_KERNEL);
}

struct drm_gem_object *shim_gem_lru_first(struct drm_gem_lru *lru)
{
	return list_first_entry_or_null(&lru->list, struct drm_gem_object, lru_node);
}

struct drm_gpuvm_bo *shim_gem_next_vm_bo(struct drm_gem_object *obj, struct drm_gpuvm_bo *vm_bo)
{
	struct list_head *next = vm_bo ? vm_bo->list.entry.gem.next : obj->gpuva.list.next;

	return next == &obj->gpuva.list ? NULL : list_entry(next, struct drm_gpuvm_bo, list.entry.gem);
}

struct drm_gpuva *shim_vm_bo_next_va(struct drm_gpuvm_bo *vm_bo, struct drm_gpuva *va)
{
	struct list_head *next = va ? va->gem.entry.next : vm_bo->list.gpuva.next;

	return next == &vm_bo->list.gpuva ? NULL : list_entry(next, struct drm_gpuva, gem.entry);
}

struct dma_resv *shim_vm_bo_resv(struct drm_gpuvm_bo *vm_bo)
{
	return drm_gpuvm_resv(vm_bo->vm);
}

bool shim_dma_resv_trylock(struct dma_resv *resv)
{
	return dma_resv_trylock(resv);
}

void shim_dma_resv_unlock(struct dma_resv *resv)
{
	dma_resv_unlock(resv);
}

bool shim_gpuvm_has_evicted(struct drm_gpuvm *vm)
{
	return !list_empty(&vm->evict.list);
}

/* As gem/shrink.rs has it. */
static_assert(SHRINK_STOP == ~0UL);

static int shrink_get(void *data, u64 *val)
{
	struct shrinker *shrinker = data;
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL };

	*val = shrinker->count_objects(shrinker, &sc);
	return 0;
}

/* As an allocation would, as far as locks are concerned. */
static int shrink_set(void *data, u64 pages)
{
	struct shrinker *shrinker = data;
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL, .nr_to_scan = pages };

	fs_reclaim_acquire(GFP_KERNEL);
	shrinker->scan_objects(shrinker, &sc);
	fs_reclaim_release(GFP_KERNEL);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(shrink_fops, shrink_get, shrink_set, "%llu\n");

void shim_debugfs_add_shrink(struct drm_minor *minor, struct shrinker *shrinker)
{
	debugfs_create_file("shrink", 0600, minor->debugfs_root, shrinker, &shrink_fops);
}

static void free_page_action(struct drm_device *dev, void *addr)
{
	free_page((unsigned long)addr);
}

/* Lives as long as @dev, hence longer than any user mapping of it. */
void *shim_drmm_zeroed_page(struct drm_device *dev)
{
	void *addr = (void *)get_zeroed_page(GFP_KERNEL);

	if (!addr || drmm_add_action_or_reset(dev, free_page_action, addr))
		return NULL;
	return addr;
}

unsigned long shim_page_to_pfn(struct page *page)
{
	return page_to_pfn(page);
}

unsigned long shim_virt_to_pfn(const void *addr)
{
	return page_to_pfn(virt_to_page(addr));
}

struct page **shim_get_contiguous_pages(unsigned int count)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	unsigned int order = get_order((unsigned long)count << PAGE_SHIFT);
	struct page **pages = kvmalloc_array(count, sizeof(*pages), GFP_KERNEL);
	struct page *first;
	unsigned int i;

	if (!pages)
		return ERR_PTR(-ENOMEM);
	first = order <= MAX_PAGE_ORDER ? alloc_pages(gfp, order) : NULL;
	if (!first) {
		kvfree(pages);
		return ERR_PTR(-ENOMEM);
	}
	for (i = 0; i < count; i++)
		pages[i] = first + i;
	return pages;
}

void shim_put_contiguous_pages(struct page **pages, unsigned int count)
{
	__free_pages(pages[0], get_order((unsigned long)count << PAGE_SHIFT));
	kvfree(pages);
}

void *shim_vmap_pages(struct page **pages, unsigned int count, bool write_back)
{
	pgprot_t prot = write_back ? PAGE_KERNEL : pgprot_writecombine(PAGE_KERNEL);

	return vmap(pages, count, VM_MAP, prot);
}

void shim_dma_unmap_sgtable(struct device *dev, struct sg_table *sgt)
{
	dma_unmap_sgtable(dev, sgt, DMA_BIDIRECTIONAL, 0);
}

void shim_dma_sync_for_device(struct device *dev, dma_addr_t addr, u64 len)
{
	dma_sync_single_for_device(dev, addr, len, DMA_BIDIRECTIONAL);
}

void shim_dma_sync_for_cpu(struct device *dev, dma_addr_t addr, u64 len)
{
	dma_sync_single_for_cpu(dev, addr, len, DMA_BIDIRECTIONAL);
}

/*
 * The aligned word at byte @offset of the pages that @sgt describes; false if it ends before. The
 * mapping is the CPU's alone and for a moment, so that nothing has to be allocated for it.
 */
bool shim_sgt_read_word(struct sg_table *sgt, u64 offset, bool wide, u64 *value)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_sg(sgt, sg, i) {
		if (offset < sg->length) {
			unsigned long at = sg->offset + offset;
			unsigned long pfn = page_to_pfn(sg_page(sg)) + (at >> PAGE_SHIFT);
			void *map = kmap_local_page(pfn_to_page(pfn));
			void *word = map + offset_in_page(at);

			*value = wide ? READ_ONCE(*(u64 *)word) : READ_ONCE(*(u32 *)word);
			kunmap_local(map);
			return true;
		}
		offset -= sg->length;
	}
	return false;
}

void shim_memcpy(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
}

void shim_memset(void *dst, int byte, size_t len)
{
	memset(dst, byte, len);
}

void shim_dma_wmb(void)
{
	dma_wmb();
}

void shim_dma_rmb(void)
{
	dma_rmb();
}

void shim_dma_mb(void)
{
	dma_mb();
}

u64 shim_vma_flags(struct vm_area_struct *vma)
{
	return vma->vm_flags;
}

bool shim_vma_is_cow(struct vm_area_struct *vma)
{
	return vma_is_cow_mapping(vma);
}

void shim_vma_set_gem(struct vm_area_struct *vma, bool write_back)
{
	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	if (!write_back)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
}

/* Never executable; what is read-only cannot be made writable later. */
void shim_vma_set_pages(struct vm_area_struct *vma, bool writable)
{
	vm_flags_mod(vma,
		     VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY | VM_NORESERVE,
		     VM_MAYEXEC | (writable ? 0 : VM_MAYWRITE));
}

vm_fault_t shim_insert_mmio(struct vm_fault *vmf, unsigned long pfn)
{
	return vmf_insert_pfn_prot(vmf->vma, vmf->address, pfn,
				   pgprot_noncached(vmf->vma->vm_page_prot));
}

void shim_zap(struct drm_device *dev, u64 offset, u64 len)
{
	unmap_mapping_range(dev->anon_inode->i_mapping, offset, len, 1);
}

void shim_dev_withdraw(struct drm_device *dev)
{
	debugfs_remove_recursive(dev->debugfs_root);
	dev->debugfs_root = NULL;
	unmap_mapping_range(dev->anon_inode->i_mapping, 0, 0, 1);
}

int shim_copy_struct_from_user(void *dst, size_t ksize, u64 src, size_t usize)
{
	return copy_struct_from_user(dst, ksize, u64_to_user_ptr(src), usize);
}

int shim_copy_to_user(u64 dst, const void *src, size_t len)
{
	return copy_to_user(u64_to_user_ptr(dst), src, len) ? -EFAULT : 0;
}

int shim_copy_from_user(void *dst, u64 src, size_t len)
{
	return copy_from_user(dst, u64_to_user_ptr(src), len) ? -EFAULT : 0;
}

int shim_clear_user(u64 dst, size_t len)
{
	return clear_user(u64_to_user_ptr(dst), len) ? -EFAULT : 0;
}

char *shim_strndup_user(u64 src, size_t max)
{
	return strndup_user(u64_to_user_ptr(src), max);
}

/* Without an acquire context and uninterruptible, this cannot fail. */
void shim_resv_lock(struct drm_gem_object *obj)
{
	dma_resv_lock(obj->resv, NULL);
}

void shim_resv_unlock(struct drm_gem_object *obj)
{
	dma_resv_unlock(obj->resv);
}

void shim_gpuvm_get(struct drm_gpuvm *vm)
{
	drm_gpuvm_get(vm);
}

void shim_gpuvm_bo_get(struct drm_gpuvm_bo *vm_bo)
{
	drm_gpuvm_bo_get(vm_bo);
}

bool shim_gpuvm_is_extobj(struct drm_gpuvm *vm, struct drm_gem_object *obj)
{
	return drm_gpuvm_is_extobj(vm, obj);
}

struct drm_gpuva *shim_gpuva_next(struct drm_gpuva *va)
{
	if (list_is_last(&va->rb.entry, &va->vm->rb.list))
		return NULL;
	return list_next_entry(va, rb.entry);
}

void shim_syncobj_get(struct drm_syncobj *syncobj)
{
	drm_syncobj_get(syncobj);
}

void shim_syncobj_put(struct drm_syncobj *syncobj)
{
	drm_syncobj_put(syncobj);
}

struct dma_fence *shim_syncobj_fence_get(struct drm_syncobj *syncobj)
{
	return drm_syncobj_fence_get(syncobj);
}

struct dma_fence_chain *shim_fence_chain_alloc(void)
{
	return dma_fence_chain_alloc();
}

void shim_fence_chain_free(struct dma_fence_chain *chain)
{
	dma_fence_chain_free(chain);
}

void shim_time_monotonic(bool raw, s64 *secs, u32 *nanos)
{
	struct timespec64 ts;

	if (raw)
		ktime_get_raw_ts64(&ts);
	else
		ktime_get_ts64(&ts);
	*secs = ts.tv_sec;
	*nanos = ts.tv_nsec;
}

void shim_time_add_namespace(s64 *secs, u32 *nanos)
{
	struct timespec64 ts = { .tv_sec = *secs, .tv_nsec = *nanos };

	timens_add_monotonic(&ts);
	*secs = ts.tv_sec;
	*nanos = ts.tv_nsec;
}

u64 shim_time_local_clock(void)
{
	return local_clock();
}

u64 shim_time_arch_timer_rate(void)
{
#ifdef CONFIG_ARM_ARCH_TIMER
	return arch_timer_get_cntfrq();
#else
	return 0;
#endif
}

unsigned long shim_time_stop_interruptions(void)
{
	unsigned long flags;

	preempt_disable();
	local_irq_save(flags);
	return flags;
}

void shim_time_allow_interruptions(unsigned long flags)
{
	local_irq_restore(flags);
	preempt_enable();
}

bool shim_capable_sys_nice(void)
{
	return capable(CAP_SYS_NICE);
}

unsigned long shim_task_size(void)
{
	return TASK_SIZE_OF(current);
}

bool shim_task_is_32_bit(void)
{
	return !IS_ENABLED(CONFIG_64BIT) || in_compat_syscall();
}

/* Nothing without CONFIG_DEBUG_FS. */
void shim_debugfs_add_file(struct drm_device *dev, const char *name,
			   int (*show)(struct seq_file *m, void *unused), void *data)
{
	drm_debugfs_add_file(dev, name, show, data);
}

struct control {
	struct drm_device *dev;
	int (*set)(struct drm_device *dev, void *data, u64 value);
	void *data;
};

static int control_set(void *data, u64 value)
{
	struct control *control = data;

	return control->set(control->dev, control->data, value);
}
DEFINE_DEBUGFS_ATTRIBUTE(control_fops, NULL, control_set, "%llu\n");

/* The file goes when the device is unregistered, hence before what it refers to. */
void shim_debugfs_add_control(struct drm_minor *minor, const char *name,
			      int (*set)(struct drm_device *dev, void *data, u64 value), void *data)
{
	struct control *control = drmm_kmalloc(minor->dev, sizeof(*control), GFP_KERNEL);

	if (!control)
		return;
	*control = (struct control){ .dev = minor->dev, .set = set, .data = data };
	debugfs_create_file(name, 0200, minor->debugfs_root, control, &control_fops);
}

struct drm_device *shim_debugfs_device(struct seq_file *m)
{
	struct drm_debugfs_entry *entry = m->private;

	return entry->dev;
}

void *shim_debugfs_data(struct seq_file *m)
{
	struct drm_debugfs_entry *entry = m->private;

	return entry->file.data;
}

void shim_cond_resched(void)
{
	cond_resched();
}
