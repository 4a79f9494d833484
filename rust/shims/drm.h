/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* C side of the crate `drm`. */
#ifndef RUST_SHIMS_DRM_H
#define RUST_SHIMS_DRM_H

#include <drm/drm_auth.h>
#include <drm/drm_debugfs.h>
#include <drm/drm_device.h>
#include <drm/drm_exec.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_gpuvm.h>
#include <drm/drm_mm.h>
#include <drm/drm_prime.h>
#include <drm/drm_print.h>
#include <drm/drm_syncobj.h>
#include <linux/dma-buf.h>
#include <linux/dma-fence-chain.h>
#include <linux/dma-resv.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/seq_file.h>
#include <linux/shrinker.h>
#include <linux/vmalloc.h>

/* For the crates. In a kernel tree, what C does not use is a warning. */
static const u32 __maybe_unused SHIM_DRM_EXEC_INTERRUPTIBLE_WAIT = DRM_EXEC_INTERRUPTIBLE_WAIT;
static const u32 __maybe_unused SHIM_DRM_EXEC_IGNORE_DUPLICATES = DRM_EXEC_IGNORE_DUPLICATES;
static const u64 __maybe_unused SHIM_VM_SHARED = VM_SHARED;
static const u64 __maybe_unused SHIM_VM_WRITE = VM_WRITE;
static const u64 __maybe_unused SHIM_VM_EXEC = VM_EXEC;

/* The scope in which the data of a bound device may be used; SRCU, common to all devices. */
int shim_scope_enter(void);
void shim_scope_exit(int idx);
void shim_scope_synchronize(void);

/* GEM objects */
unsigned long shim_gem_most_pages(void);
void shim_gem_set_gfp(struct drm_gem_object *obj);
void shim_gem_get(struct drm_gem_object *obj);
void shim_gem_put(struct drm_gem_object *obj);
u64 shim_gem_mmap_offset(struct drm_gem_object *obj);
unsigned long shim_gem_page_start(struct drm_gem_object *obj);
bool shim_gem_get_unless_zero(struct drm_gem_object *obj);
void shim_gem_zap(struct drm_gem_object *obj);
int shim_gem_use_huge_pages(struct drm_device *dev);

/* Memory reclaim */
unsigned long shim_free_swap_pages(void);
void shim_reclaim_might_lock(struct mutex *lock);
struct drm_gem_object *shim_gem_lru_first(struct drm_gem_lru *lru);
/* The first one after @vm_bo, or of all if that is NULL; NULL if there is none. */
struct drm_gpuvm_bo *shim_gem_next_vm_bo(struct drm_gem_object *obj, struct drm_gpuvm_bo *vm_bo);
struct drm_gpuva *shim_vm_bo_next_va(struct drm_gpuvm_bo *vm_bo, struct drm_gpuva *va);
struct dma_resv *shim_vm_bo_resv(struct drm_gpuvm_bo *vm_bo);
bool shim_dma_resv_trylock(struct dma_resv *resv);
void shim_dma_resv_unlock(struct dma_resv *resv);
bool shim_gpuvm_has_evicted(struct drm_gpuvm *vm);
void shim_debugfs_add_shrink(struct drm_minor *minor, struct shrinker *shrinker);

/* The open() of an accel node. */
int shim_accel_open(struct inode *inode, struct file *filp);

/* Dma-bufs */
struct sg_table *shim_sg_dma_runs(struct sg_table *from, size_t size);
int shim_gem_mmap_import(struct drm_gem_object *obj, struct vm_area_struct *vma);
struct drm_gem_object *shim_gem_of_export(struct drm_device *dev, const struct dma_buf *buf);
struct dma_buf *shim_gem_export(struct drm_gem_object *obj, const struct dma_buf_ops *ops,
				int flags);
struct sg_table *shim_export_map(struct dma_buf_attachment *attach, enum dma_data_direction dir);
void shim_export_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		       enum dma_data_direction dir);
void shim_export_sync_for_cpu(struct dma_buf *buf, enum dma_data_direction dir);
void shim_export_sync_for_device(struct dma_buf *buf, enum dma_data_direction dir);

/* Backing memory */
void *shim_drmm_zeroed_page(struct drm_device *dev);
unsigned long shim_page_to_pfn(struct page *page);
unsigned long shim_virt_to_pfn(const void *addr);
struct page **shim_get_contiguous_pages(unsigned int count);
void shim_put_contiguous_pages(struct page **pages, unsigned int count);
void *shim_vmap_pages(struct page **pages, unsigned int count, bool write_back);
void shim_dma_unmap_sgtable(struct device *dev, struct sg_table *sgt);
void shim_dma_sync_for_device(struct device *dev, dma_addr_t addr, u64 len);
void shim_dma_sync_for_cpu(struct device *dev, dma_addr_t addr, u64 len);
bool shim_sgt_read_word(struct sg_table *sgt, u64 offset, bool wide, u64 *value);
void shim_memcpy(void *dst, const void *src, size_t len);
void shim_memset(void *dst, int byte, size_t len);
void shim_dma_wmb(void);
void shim_dma_rmb(void);
void shim_dma_mb(void);

/* User mappings */
u64 shim_vma_flags(struct vm_area_struct *vma);
bool shim_vma_is_cow(struct vm_area_struct *vma);
void shim_vma_set_gem(struct vm_area_struct *vma, bool write_back);
void shim_vma_set_pages(struct vm_area_struct *vma, bool writable);
vm_fault_t shim_insert_mmio(struct vm_fault *vmf, unsigned long pfn);
void shim_zap(struct drm_device *dev, u64 offset, u64 len);
/* What drm_dev_register() leaves behind when it fails: debugfs files, and what user space has mapped meanwhile. */
void shim_dev_withdraw(struct drm_device *dev);

/* User memory */
int shim_copy_struct_from_user(void *dst, size_t ksize, u64 src, size_t usize);
int shim_copy_to_user(u64 dst, const void *src, size_t len);
int shim_copy_from_user(void *dst, u64 src, size_t len);
int shim_clear_user(u64 dst, size_t len);
char *shim_strndup_user(u64 src, size_t max);

/* Reservations and GPU virtual address spaces */
/* Whether @exec is what has locked the object, and which of all locking contexts it is. */
bool shim_exec_holds(struct drm_exec *exec, struct drm_gem_object *obj);
u64 shim_exec_stamp(struct drm_exec *exec);
/* Calls @fn for the fences of a locked reservation, up to and including those of @usage. */
int shim_resv_for_each(struct dma_resv *resv, enum dma_resv_usage usage,
		       int (*fn)(struct dma_fence *fence, void *data), void *data);
void shim_resv_lock(struct drm_gem_object *obj);
void shim_resv_unlock(struct drm_gem_object *obj);
void shim_gpuvm_get(struct drm_gpuvm *vm);
void shim_gpuvm_bo_get(struct drm_gpuvm_bo *vm_bo);
bool shim_gpuvm_is_extobj(struct drm_gpuvm *vm, struct drm_gem_object *obj);
struct drm_gpuva *shim_gpuva_next(struct drm_gpuva *va);

/* Synchronisation objects */
void shim_syncobj_get(struct drm_syncobj *syncobj);
void shim_syncobj_put(struct drm_syncobj *syncobj);
struct dma_fence *shim_syncobj_fence_get(struct drm_syncobj *syncobj);
struct dma_fence_chain *shim_fence_chain_alloc(void);
void shim_fence_chain_free(struct dma_fence_chain *chain);

/* Clocks; @raw takes the one that is not slewed */
void shim_time_monotonic(bool raw, s64 *secs, u32 *nanos);
void shim_time_add_namespace(s64 *secs, u32 *nanos);
u64 shim_time_local_clock(void);
u64 shim_time_arch_timer_rate(void);
unsigned long shim_time_stop_interruptions(void);
void shim_time_allow_interruptions(unsigned long flags);

/* The calling task */
void shim_cond_resched(void);
bool shim_capable_sys_nice(void);
unsigned long shim_task_size(void);
bool shim_task_is_32_bit(void);

/* debugfs */
void shim_debugfs_add_file(struct drm_device *dev, const char *name,
			   int (*show)(struct seq_file *m, void *unused), void *data);
void shim_debugfs_add_control(struct drm_minor *minor, const char *name,
			      int (*set)(struct drm_device *dev, void *data, u64 value), void *data);
struct drm_device *shim_debugfs_device(struct seq_file *m);
void *shim_debugfs_data(struct seq_file *m);

#endif /* RUST_SHIMS_DRM_H */
