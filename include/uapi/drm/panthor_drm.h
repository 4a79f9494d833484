/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * User-space ABI of Arm Mali GPUs with a command stream frontend, version 1.9.
 *
 * The layout and the numbers are those of the DRM driver name "panthor", so that one user space
 * serves every driver that speaks this ABI. The text states what a caller may pass and what it
 * gets back.
 */
#ifndef _PANTHOR_DRM_H_
#define _PANTHOR_DRM_H_

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

/**
 * DOC: Rules that hold for every call
 *
 * **Who may call.** Every ioctl is allowed on a render node. Only the two highest group
 * priorities ask for more than that, see &enum drm_panthor_group_priority.
 *
 * **Handles.** VM ids, group handles, heap handles and GEM handles belong to the file that
 * created them and are never zero. A handle of another file is an unknown handle.
 *
 * **Growth of a call's own structure.** A structure grows at its end, or where it had padding. The
 * kernel takes a structure that is shorter than the one it knows as if the rest were zero, and
 * ignores what goes beyond the one it knows. Zero in a new field keeps the older meaning.
 *
 * **Growth of what a call points to.** Arrays are passed as &struct drm_panthor_obj_array, whose
 * @stride tells how much of an element the caller knows. A stride below the first published
 * version of the element is ``EINVAL``. A stride beyond the element that the kernel knows is fine
 * while the unknown bytes are zero; otherwise the call ends with ``E2BIG``. Query results have
 * &drm_panthor_dev_query.size for the same purpose.
 *
 * **Padding and reserved bits** have to be zero: ``EINVAL`` otherwise. The kernel never returns
 * anything but zero in them.
 *
 * **Errors that any call may return**: ``EFAULT`` for an address that can't be read or written,
 * ``ENOMEM``, ``EINTR`` (restart it) when a signal arrives while the call waits for a lock, and
 * ``ENODEV`` once the device is gone: hot-unplugged, unbound from its driver, or given up after a
 * reset that failed. ``EOPNOTSUPP`` means that the ABI has such a call or flag, but that this
 * driver does not offer it. A call that fails leaves nothing behind: no handle, no mapping, no
 * fence. The one exception is a synchronous %DRM_IOCTL_PANTHOR_VM_BIND of several operations,
 * which says how many of them were carried out.
 *
 * **Versions.** 1.0 is the base; 1.1 added the timestamp query; 1.2 the priorities query and the
 * realtime priority; 1.3 the innocent flag of a group; 1.4 labels; 1.5 the choice of the MMIO
 * offset; 1.6 a running GPU cycle counter; 1.7 write-back mappings, BO_SYNC, BO_QUERY_INFO and the
 * selected coherency; 1.8 the timestamp flags; 1.9 the MMU query and sparse mappings. A flag is
 * never added without a new version, so nothing needs to be found out by trial.
 */

/**
 * DOC: The flush id page
 *
 * The GPU counts its cache flushes, and a job that says which count was current when its stream
 * was written lets the hardware skip a flush that has happened since. The register with the count
 * has a page of its own, which can be mapped from the DRM file.
 *
 * The mapping has to be one page, shared, neither writable nor executable, at the file offset
 * DRM_PANTHOR_USER_FLUSH_ID_MMIO_OFFSET; anything else is ``EINVAL``, and mprotect() can't widen
 * it later. While the GPU sleeps the page reads as 1. Zero never appears there: passed as a flush
 * id, it means that a flush is wanted in any case.
 *
 * A 32-bit process can't reach the 64-bit offset, hence two values. The kernel takes the one that
 * fits the calling process, until %DRM_IOCTL_PANTHOR_SET_USER_MMIO_OFFSET decides otherwise.
 */
#define DRM_PANTHOR_USER_MMIO_OFFSET_32BIT	(1ull << 43)
#define DRM_PANTHOR_USER_MMIO_OFFSET_64BIT	(1ull << 56)
#define DRM_PANTHOR_USER_MMIO_OFFSET					\
	(sizeof(unsigned long) >= 8 ? DRM_PANTHOR_USER_MMIO_OFFSET_64BIT : \
				      DRM_PANTHOR_USER_MMIO_OFFSET_32BIT)
#define DRM_PANTHOR_USER_FLUSH_ID_MMIO_OFFSET	(DRM_PANTHOR_USER_MMIO_OFFSET + 0)

/**
 * enum drm_panthor_ioctl_id - Numbers of the ioctls, relative to DRM_COMMAND_BASE
 *
 * A number is never reused; new ones go to the end. Programs use the DRM_IOCTL_PANTHOR_* values.
 */
enum drm_panthor_ioctl_id {
	/** @DRM_PANTHOR_DEV_QUERY: What this GPU and this kernel are. */
	DRM_PANTHOR_DEV_QUERY = 0,
	/** @DRM_PANTHOR_VM_CREATE: New GPU address space. */
	DRM_PANTHOR_VM_CREATE = 1,
	/** @DRM_PANTHOR_VM_DESTROY: Give an address space back. */
	DRM_PANTHOR_VM_DESTROY = 2,
	/** @DRM_PANTHOR_VM_BIND: Map and unmap in an address space. */
	DRM_PANTHOR_VM_BIND = 3,
	/** @DRM_PANTHOR_VM_GET_STATE: Whether an address space still works. */
	DRM_PANTHOR_VM_GET_STATE = 4,
	/** @DRM_PANTHOR_BO_CREATE: New buffer object. */
	DRM_PANTHOR_BO_CREATE = 5,
	/** @DRM_PANTHOR_BO_MMAP_OFFSET: Where to mmap() a buffer object. */
	DRM_PANTHOR_BO_MMAP_OFFSET = 6,
	/** @DRM_PANTHOR_GROUP_CREATE: New group of queues. */
	DRM_PANTHOR_GROUP_CREATE = 7,
	/** @DRM_PANTHOR_GROUP_DESTROY: Give a group back. */
	DRM_PANTHOR_GROUP_DESTROY = 8,
	/** @DRM_PANTHOR_GROUP_SUBMIT: Jobs for the queues of a group. */
	DRM_PANTHOR_GROUP_SUBMIT = 9,
	/** @DRM_PANTHOR_GROUP_GET_STATE: Whether a group still works. */
	DRM_PANTHOR_GROUP_GET_STATE = 10,
	/** @DRM_PANTHOR_TILER_HEAP_CREATE: New heap for the tiler. */
	DRM_PANTHOR_TILER_HEAP_CREATE = 11,
	/** @DRM_PANTHOR_TILER_HEAP_DESTROY: Give a tiler heap back. */
	DRM_PANTHOR_TILER_HEAP_DESTROY = 12,
	/** @DRM_PANTHOR_BO_SET_LABEL: Name a buffer object for debugging. */
	DRM_PANTHOR_BO_SET_LABEL = 13,
	/** @DRM_PANTHOR_SET_USER_MMIO_OFFSET: Choose between the two MMIO offsets. */
	DRM_PANTHOR_SET_USER_MMIO_OFFSET = 14,
	/** @DRM_PANTHOR_BO_SYNC: CPU cache maintenance on buffer objects. */
	DRM_PANTHOR_BO_SYNC = 15,
	/** @DRM_PANTHOR_BO_QUERY_INFO: What a buffer object is. */
	DRM_PANTHOR_BO_QUERY_INFO = 16,
};

/**
 * struct drm_panthor_obj_array - Array whose elements may grow
 *
 * An empty array is @count 0; @stride and @array are not looked at then. Fill it with
 * DRM_PANTHOR_OBJ_ARRAY().
 */
struct drm_panthor_obj_array {
	/** @stride: Bytes from one element to the next, as the caller knows the element. */
	__u32 stride;
	/** @count: Number of elements. */
	__u32 count;
	/** @array: User address of the first element. */
	__u64 array;
};

/**
 * DRM_PANTHOR_OBJ_ARRAY() - Initialiser for a &struct drm_panthor_obj_array
 * @cnt: number of elements
 * @ptr: typed pointer to the first of them; its type gives the stride
 */
#define DRM_PANTHOR_OBJ_ARRAY(cnt, ptr)			\
	{						\
		.stride = sizeof(*(ptr)),		\
		.count = (cnt),				\
		.array = (__u64)(uintptr_t)(ptr),	\
	}

/**
 * enum drm_panthor_sync_op_flags - Bits of &drm_panthor_sync_op.flags
 *
 * A type and a direction; every other bit is ``EINVAL``, and so is any other type.
 */
enum drm_panthor_sync_op_flags {
	/** @DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_MASK: Where the type is. */
	DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_MASK = 0xff,
	/** @DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_SYNCOBJ: A binary syncobj. */
	DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_SYNCOBJ = 0,
	/** @DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_TIMELINE_SYNCOBJ: Point of a timeline syncobj. */
	DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_TIMELINE_SYNCOBJ = 1,
	/** @DRM_PANTHOR_SYNC_OP_WAIT: Start no earlier than the fence that is there. */
	DRM_PANTHOR_SYNC_OP_WAIT = 0,
	/** @DRM_PANTHOR_SYNC_OP_SIGNAL: Put the fence of this piece of work there. */
	DRM_PANTHOR_SYNC_OP_SIGNAL = (int)0x80000000u,
};

/**
 * struct drm_panthor_sync_op - One thing to wait for or to signal
 *
 * Within one call, operations take effect in array order: a wait sees the signals of earlier
 * elements of the same call, before it looks at the syncobj itself. A wait on a syncobj (or point)
 * that has no fence yet is ``EINVAL``: there is no wait before submit.
 * No syncobj is touched by a call that fails.
 */
struct drm_panthor_sync_op {
	/** @flags: Bits of &enum drm_panthor_sync_op_flags. */
	__u32 flags;
	/** @handle: Syncobj; an unknown one is refused (``EINVAL`` or ``ENOENT``). */
	__u32 handle;
	/** @timeline_value: Point of a timeline; zero for a binary syncobj (``EINVAL``). */
	__u64 timeline_value;
};

/**
 * enum drm_panthor_dev_query_type - What can be asked for
 */
enum drm_panthor_dev_query_type {
	/** @DRM_PANTHOR_DEV_QUERY_GPU_INFO: &struct drm_panthor_gpu_info */
	DRM_PANTHOR_DEV_QUERY_GPU_INFO = 0,
	/** @DRM_PANTHOR_DEV_QUERY_CSIF_INFO: &struct drm_panthor_csif_info */
	DRM_PANTHOR_DEV_QUERY_CSIF_INFO = 1,
	/** @DRM_PANTHOR_DEV_QUERY_TIMESTAMP_INFO: &struct drm_panthor_timestamp_info (since 1.1) */
	DRM_PANTHOR_DEV_QUERY_TIMESTAMP_INFO = 2,
	/**
	 * @DRM_PANTHOR_DEV_QUERY_GROUP_PRIORITIES_INFO:
	 * &struct drm_panthor_group_priorities_info (since 1.2)
	 */
	DRM_PANTHOR_DEV_QUERY_GROUP_PRIORITIES_INFO = 3,
	/** @DRM_PANTHOR_DEV_QUERY_MMU_INFO: &struct drm_panthor_mmu_info (since 1.9) */
	DRM_PANTHOR_DEV_QUERY_MMU_INFO = 4,
};

/**
 * enum drm_panthor_gpu_coherency - How the GPU takes part in cache coherency
 */
enum drm_panthor_gpu_coherency {
	/** @DRM_PANTHOR_GPU_COHERENCY_ACE_LITE: The GPU snoops the CPU caches. */
	DRM_PANTHOR_GPU_COHERENCY_ACE_LITE = 0,
	/** @DRM_PANTHOR_GPU_COHERENCY_ACE: Both snoop each other. */
	DRM_PANTHOR_GPU_COHERENCY_ACE = 1,
	/** @DRM_PANTHOR_GPU_COHERENCY_NONE: Nobody snoops. */
	DRM_PANTHOR_GPU_COHERENCY_NONE = 31,
};

/**
 * struct drm_panthor_gpu_info - What the GPU says about itself
 *
 * Values of registers, unless said otherwise, read once when the device is probed.
 */
struct drm_panthor_gpu_info {
	/** @gpu_id: Architecture, product and revision; take it apart with the macros below. */
	__u32 gpu_id;
#define DRM_PANTHOR_ARCH_MAJOR(id)	(((id) >> 28) & 0xf)
#define DRM_PANTHOR_ARCH_MINOR(id)	(((id) >> 24) & 0xf)
#define DRM_PANTHOR_ARCH_REV(id)	(((id) >> 20) & 0xf)
#define DRM_PANTHOR_PRODUCT_MAJOR(id)	(((id) >> 16) & 0xf)
#define DRM_PANTHOR_VERSION_MAJOR(id)	(((id) >> 12) & 0xf)
#define DRM_PANTHOR_VERSION_MINOR(id)	(((id) >> 4) & 0xff)
#define DRM_PANTHOR_VERSION_STATUS(id)	((id) & 0xf)

	/** @gpu_rev: Revision register. */
	__u32 gpu_rev;

	/** @csf_id: Version of the command stream frontend and of its processor. */
	__u32 csf_id;
#define DRM_PANTHOR_CSHW_MAJOR(id)	(((id) >> 26) & 0x3f)
#define DRM_PANTHOR_CSHW_MINOR(id)	(((id) >> 20) & 0x3f)
#define DRM_PANTHOR_CSHW_REV(id)	(((id) >> 16) & 0xf)
#define DRM_PANTHOR_MCU_MAJOR(id)	(((id) >> 10) & 0x3f)
#define DRM_PANTHOR_MCU_MINOR(id)	(((id) >> 4) & 0x3f)
#define DRM_PANTHOR_MCU_REV(id)		((id) & 0xf)

	/** @l2_features: L2 cache: line size, associativity, size, bus width. */
	__u32 l2_features;
	/** @tiler_features: Bin sizes and hierarchy levels of the tiler. */
	__u32 tiler_features;
	/** @mem_features: Memory system, number of L2 slices among others. */
	__u32 mem_features;

	/**
	 * @mmu_features: Bits of a virtual and of a physical address. A kernel that can't handle
	 * as many virtual address bits as the hardware reports what it can handle.
	 */
	__u32 mmu_features;
#define DRM_PANTHOR_MMU_VA_BITS(features)	((features) & 0xff)

	/** @thread_features: Registers per core, task queue depth. */
	__u32 thread_features;
	/** @max_threads: Threads that a core can hold. */
	__u32 max_threads;
	/** @thread_max_workgroup_size: Threads that a workgroup can have. */
	__u32 thread_max_workgroup_size;
	/** @thread_max_barrier_size: Threads that can meet at one barrier. */
	__u32 thread_max_barrier_size;
	/**
	 * @coherency_features: What the GPU could do, one bit for each
	 * &enum drm_panthor_gpu_coherency.
	 */
	__u32 coherency_features;
	/** @texture_features: Texture formats, one bit each. */
	__u32 texture_features[4];
	/** @as_present: Hardware address spaces, one bit each; the first is the firmware's. */
	__u32 as_present;
	/**
	 * @selected_coherency: What is in use here, one of &enum drm_panthor_gpu_coherency
	 * (since 1.7).
	 */
	__u32 selected_coherency;
	/** @shader_present: Shader cores that may be used, one bit each. */
	__u64 shader_present;
	/** @l2_present: L2 caches, one bit each. */
	__u64 l2_present;
	/** @tiler_present: Tilers, one bit each. */
	__u64 tiler_present;
	/** @core_features: Tells variants of a core apart. */
	__u32 core_features;
	/** @pad: Zero. */
	__u32 pad;
	/** @gpu_features: Features of the GPU as a whole; zero before architecture 11. */
	__u64 gpu_features;
};

/**
 * struct drm_panthor_csif_info - What the command stream interface offers
 */
struct drm_panthor_csif_info {
	/** @csg_slot_count: Groups that the firmware can hold at the same time. */
	__u32 csg_slot_count;
	/** @cs_slot_count: Queues that a group can have. */
	__u32 cs_slot_count;
	/** @cs_reg_count: 32-bit registers of a queue. */
	__u32 cs_reg_count;
	/** @scoreboard_slot_count: Scoreboard entries of a queue. */
	__u32 scoreboard_slot_count;
	/**
	 * @unpreserved_cs_reg_count: How many registers, counted from the last one down, the
	 * kernel uses when it calls a stream: a stream may use them too, but the next stream
	 * doesn't find there what it left.
	 */
	__u32 unpreserved_cs_reg_count;
	/** @pad: Zero. */
	__u32 pad;
};

/**
 * enum drm_panthor_timestamp_info_flags - What to sample (since 1.8)
 *
 * No flag at all means %DRM_PANTHOR_TIMESTAMP_GPU, %DRM_PANTHOR_TIMESTAMP_GPU_OFFSET and
 * %DRM_PANTHOR_TIMESTAMP_FREQ. Unknown bits and unknown clocks are ``EINVAL``.
 */
enum drm_panthor_timestamp_info_flags {
	/** @DRM_PANTHOR_TIMESTAMP_GPU: The GPU's timestamp counter. */
	DRM_PANTHOR_TIMESTAMP_GPU = 0x1,
	/** @DRM_PANTHOR_TIMESTAMP_CPU_NONE: No CPU clock. */
	DRM_PANTHOR_TIMESTAMP_CPU_NONE = 0x0,
	/** @DRM_PANTHOR_TIMESTAMP_CPU_MONOTONIC: CLOCK_MONOTONIC of the caller's time namespace. */
	DRM_PANTHOR_TIMESTAMP_CPU_MONOTONIC = 0x2,
	/** @DRM_PANTHOR_TIMESTAMP_CPU_MONOTONIC_RAW: CLOCK_MONOTONIC_RAW, the same. */
	DRM_PANTHOR_TIMESTAMP_CPU_MONOTONIC_RAW = 0x4,
	/** @DRM_PANTHOR_TIMESTAMP_CPU_TYPE_MASK: Where the choice of the CPU clock is. */
	DRM_PANTHOR_TIMESTAMP_CPU_TYPE_MASK = 0xe,
	/** @DRM_PANTHOR_TIMESTAMP_GPU_OFFSET: Offset that the GPU adds to its counter. */
	DRM_PANTHOR_TIMESTAMP_GPU_OFFSET = 0x10,
	/** @DRM_PANTHOR_TIMESTAMP_GPU_CYCLE_COUNT: The GPU's cycle counter. */
	DRM_PANTHOR_TIMESTAMP_GPU_CYCLE_COUNT = 0x20,
	/** @DRM_PANTHOR_TIMESTAMP_FREQ: Ticks per second of the timestamp counter. */
	DRM_PANTHOR_TIMESTAMP_FREQ = 0x40,
	/** @DRM_PANTHOR_TIMESTAMP_DURATION: How long the sampling took. */
	DRM_PANTHOR_TIMESTAMP_DURATION = 0x80,
};

/**
 * struct drm_panthor_timestamp_info - GPU and CPU clocks, sampled together
 *
 * What was not asked for is returned as zero. With two clocks or the duration, nothing on this CPU
 * comes between the samples.
 */
struct drm_panthor_timestamp_info {
	/** @timestamp_frequency: Hz; zero if the kernel does not know. */
	__u64 timestamp_frequency;
	/** @current_timestamp: Ticks. */
	__u64 current_timestamp;
	/** @timestamp_offset: Ticks. */
	__u64 timestamp_offset;
	/** @flags: In: bits of &enum drm_panthor_timestamp_info_flags. */
	__u32 flags;
	/** @duration_nsec: Time from the first to the last sample. */
	__u32 duration_nsec;
	/** @cycle_count: GPU cycles. */
	__u64 cycle_count;
	/** @cpu_timestamp_sec: Whole seconds of the CPU clock. */
	__u64 cpu_timestamp_sec;
	/** @cpu_timestamp_nsec: The rest of the CPU clock, in nanoseconds. */
	__u64 cpu_timestamp_nsec;
};

/**
 * struct drm_panthor_mmu_info - What the MMU offers
 */
struct drm_panthor_mmu_info {
	/** @page_size_bitmap: Sizes of pages and blocks in bytes, ored. */
	__u64 page_size_bitmap;
};

/**
 * struct drm_panthor_group_priorities_info - Which priorities the caller may use
 */
struct drm_panthor_group_priorities_info {
	/** @allowed_mask: One bit for each &enum drm_panthor_group_priority. */
	__u8 allowed_mask;
	/** @pad: Zero. */
	__u8 pad[3];
};

/**
 * struct drm_panthor_dev_query - Arguments of %DRM_IOCTL_PANTHOR_DEV_QUERY
 *
 * An unknown @type is ``EINVAL``, and so is a @size below the first published version of the
 * structure.
 */
struct drm_panthor_dev_query {
	/** @type: One of &enum drm_panthor_dev_query_type. */
	__u32 type;
	/**
	 * @size: With @pointer zero, the kernel returns the size that it knows here. Otherwise
	 * the caller's size: the kernel writes as many bytes, those that it knows nothing about
	 * as zero, and leaves @size as it is.
	 */
	__u32 size;
	/** @pointer: User address of the result, or zero to ask for the size. */
	__u64 pointer;
};

/**
 * struct drm_panthor_vm_create - Arguments of %DRM_IOCTL_PANTHOR_VM_CREATE
 *
 * A file can have 32 address spaces, one more is ``EBUSY``.
 *
 * User mappings live in [0, @user_va_range), what the kernel needs for groups and heaps in the
 * rest, of which at least 256 MiB have to remain: a larger request is ``EINVAL``. Zero asks for a
 * default that lets GPU addresses equal CPU addresses: the size of the calling process's own
 * address space, where that is smaller than the GPU's, else half of the GPU's.
 */
struct drm_panthor_vm_create {
	/** @flags: Zero. */
	__u32 flags;
	/** @id: Out: the new VM. */
	__u32 id;
	/** @user_va_range: In: bytes that are wanted; out: bytes that are there, never fewer. */
	__u64 user_va_range;
};

/**
 * struct drm_panthor_vm_destroy - Arguments of %DRM_IOCTL_PANTHOR_VM_DESTROY
 *
 * The mappings and the heaps go at once. Groups on this VM stay until they are destroyed, but
 * their jobs fault. An unknown VM is ``EINVAL``.
 */
struct drm_panthor_vm_destroy {
	/** @id: VM. */
	__u32 id;
	/** @pad: Zero. */
	__u32 pad;
};

/**
 * enum drm_panthor_vm_bind_op_flags - Bits of &drm_panthor_vm_bind_op.flags
 *
 * One type, and for a mapping any of the properties; every other bit is ``EINVAL``.
 */
enum drm_panthor_vm_bind_op_flags {
	/** @DRM_PANTHOR_VM_BIND_OP_MAP_READONLY: The GPU can't write. */
	DRM_PANTHOR_VM_BIND_OP_MAP_READONLY = 0x1,
	/** @DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC: The GPU can't run shaders from there. */
	DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC = 0x2,
	/** @DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED: Accesses pass by the GPU's L2 cache. */
	DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED = 0x4,
	/**
	 * @DRM_PANTHOR_VM_BIND_OP_MAP_SPARSE: No buffer: reads give anything, though nothing of
	 * another VM, and writes are lost. Needs NOEXEC, and zero for handle and offset; ``ENOMEM``
	 * if there is no contiguous block of memory to put behind it (since 1.9).
	 */
	DRM_PANTHOR_VM_BIND_OP_MAP_SPARSE = 0x8,
	/** @DRM_PANTHOR_VM_BIND_OP_TYPE_MASK: Where the type is. */
	DRM_PANTHOR_VM_BIND_OP_TYPE_MASK = (int)0xf0000000u,
	/** @DRM_PANTHOR_VM_BIND_OP_TYPE_MAP: Map; what was mapped in the range gives way. */
	DRM_PANTHOR_VM_BIND_OP_TYPE_MAP = 0,
	/** @DRM_PANTHOR_VM_BIND_OP_TYPE_UNMAP: Unmap whatever is mapped in the range. */
	DRM_PANTHOR_VM_BIND_OP_TYPE_UNMAP = 0x10000000,
	/** @DRM_PANTHOR_VM_BIND_OP_TYPE_SYNC_ONLY: Only wait and signal, asynchronously. */
	DRM_PANTHOR_VM_BIND_OP_TYPE_SYNC_ONLY = 0x20000000,
};

/**
 * struct drm_panthor_vm_bind_op - One mapping operation
 *
 * @va, @size and @bo_offset are multiples of 4 KiB, the range lies within the user's part of the
 * VM, and what is mapped lies within the buffer: ``EINVAL`` otherwise. ``EINVAL`` also stands for
 * an unknown buffer and for one that is exclusive to another VM.
 * A range that is unmapped may hold any number of mappings, in whole, in part, or none.
 */
struct drm_panthor_vm_bind_op {
	/** @flags: Bits of &enum drm_panthor_vm_bind_op_flags. */
	__u32 flags;
	/** @bo_handle: Buffer to map; zero where nothing is mapped. */
	__u32 bo_handle;
	/** @bo_offset: Where in the buffer; zero where nothing is mapped. */
	__u64 bo_offset;
	/** @va: GPU address; zero for a sync-only operation. */
	__u64 va;
	/**
	 * @size: Bytes; zero for a sync-only operation. A mapping or an unmap of zero bytes does
	 * nothing, except that it waits and signals.
	 */
	__u64 size;
	/**
	 * @syncs: &struct drm_panthor_sync_op. Empty in a synchronous call; at least one in a
	 * sync-only operation.
	 */
	struct drm_panthor_obj_array syncs;
};

/**
 * enum drm_panthor_vm_bind_flags - Bits of &drm_panthor_vm_bind.flags
 */
enum drm_panthor_vm_bind_flags {
	/**
	 * @DRM_PANTHOR_VM_BIND_ASYNC: Queue the operations behind those that are queued already
	 * and behind their waits, all or none. An operation waits for what its own syncs name, and
	 * everything behind it waits with it; what it signals stands for everything up to it.
	 * One that fails in its turn makes the VM unusable: it and all behind it signal with an
	 * error. What is queued when the VM is destroyed or the file closed signals with an
	 * error, too. ``EINVAL`` if more than 16384 of the operations have syncs.
	 */
	DRM_PANTHOR_VM_BIND_ASYNC = 0x1,
};

/**
 * struct drm_panthor_vm_bind - Arguments of %DRM_IOCTL_PANTHOR_VM_BIND
 *
 * ``EINVAL`` for an unknown VM, and for one that is unusable.
 *
 * In a synchronous call the operations are carried out one after another until one fails;
 * &drm_panthor_obj_array.count of @ops then is the index of the one that failed. It does not wait
 * for what is queued.
 */
struct drm_panthor_vm_bind {
	/** @vm_id: VM. */
	__u32 vm_id;
	/** @flags: Bits of &enum drm_panthor_vm_bind_flags. */
	__u32 flags;
	/** @ops: &struct drm_panthor_vm_bind_op */
	struct drm_panthor_obj_array ops;
};

/**
 * enum drm_panthor_vm_state - Whether a VM works
 */
enum drm_panthor_vm_state {
	/** @DRM_PANTHOR_VM_STATE_USABLE: It does. */
	DRM_PANTHOR_VM_STATE_USABLE = 0,
	/**
	 * @DRM_PANTHOR_VM_STATE_UNUSABLE: A queued operation failed, so that nobody knows any more
	 * what is mapped. No job runs on this VM again; create another.
	 */
	DRM_PANTHOR_VM_STATE_UNUSABLE = 1,
};

/**
 * struct drm_panthor_vm_get_state - Arguments of %DRM_IOCTL_PANTHOR_VM_GET_STATE
 *
 * An unknown VM is ``EINVAL``.
 */
struct drm_panthor_vm_get_state {
	/** @vm_id: VM. */
	__u32 vm_id;
	/** @state: Out: one of &enum drm_panthor_vm_state. */
	__u32 state;
};

/**
 * enum drm_panthor_bo_flags - Properties of a buffer object
 */
enum drm_panthor_bo_flags {
	/** @DRM_PANTHOR_BO_NO_MMAP: User space will not map it: BO_MMAP_OFFSET is ``EPERM``. */
	DRM_PANTHOR_BO_NO_MMAP = 0x1,
	/**
	 * @DRM_PANTHOR_BO_WB_MMAP: CPU mappings are cached even if the GPU does not snoop; keep
	 * them in step with %DRM_IOCTL_PANTHOR_BO_SYNC. Not together with NO_MMAP (since 1.7).
	 */
	DRM_PANTHOR_BO_WB_MMAP = 0x2,
};

/**
 * struct drm_panthor_bo_create - Arguments of %DRM_IOCTL_PANTHOR_BO_CREATE
 *
 * The content is zero. ``EINVAL`` for size 0, unknown flags and an unknown VM; ``ENOMEM`` for more
 * than the machine has memory.
 */
struct drm_panthor_bo_create {
	/** @size: In: bytes wanted; out: bytes that it has, a multiple of the page size. */
	__u64 size;
	/** @flags: Bits of &enum drm_panthor_bo_flags. */
	__u32 flags;
	/**
	 * @exclusive_vm_id: The one VM where it may be mapped, or zero for any. An exclusive
	 * buffer can't be exported, and costs less at each submission.
	 */
	__u32 exclusive_vm_id;
	/** @handle: Out: the new GEM handle; DRM_IOCTL_GEM_CLOSE gives it back. */
	__u32 handle;
	/** @pad: Zero. */
	__u32 pad;
};

/**
 * struct drm_panthor_bo_mmap_offset - Arguments of %DRM_IOCTL_PANTHOR_BO_MMAP_OFFSET
 *
 * An unknown handle is ``ENOENT``. Only shared mappings can be made.
 */
struct drm_panthor_bo_mmap_offset {
	/** @handle: Buffer. */
	__u32 handle;
	/** @pad: Zero. */
	__u32 pad;
	/** @offset: Out: offset of the DRM file to pass to mmap(). */
	__u64 offset;
};

/**
 * struct drm_panthor_queue_create - One queue of a new group
 */
struct drm_panthor_queue_create {
	/** @priority: 0 to 15, among the queues of the group; 15 comes first. */
	__u8 priority;
	/** @pad: Zero. */
	__u8 pad[3];
	/** @ringbuf_size: Bytes of the ring, a power of two from 4 KiB to 64 KiB. */
	__u32 ringbuf_size;
};

/**
 * enum drm_panthor_group_priority - Which group runs first
 *
 * The two highest ones need CAP_SYS_NICE, or the file of the DRM master: ``EACCES`` otherwise.
 */
enum drm_panthor_group_priority {
	/** @PANTHOR_GROUP_PRIORITY_LOW: When nobody else wants to. */
	PANTHOR_GROUP_PRIORITY_LOW = 0,
	/** @PANTHOR_GROUP_PRIORITY_MEDIUM: What applications use. */
	PANTHOR_GROUP_PRIORITY_MEDIUM = 1,
	/** @PANTHOR_GROUP_PRIORITY_HIGH: For a compositor. */
	PANTHOR_GROUP_PRIORITY_HIGH = 2,
	/** @PANTHOR_GROUP_PRIORITY_REALTIME: Takes a slot at once (since 1.2). */
	PANTHOR_GROUP_PRIORITY_REALTIME = 3,
};

/**
 * struct drm_panthor_group_create - Arguments of %DRM_IOCTL_PANTHOR_GROUP_CREATE
 *
 * ``EINVAL`` for no queue at all or more than &drm_panthor_csif_info.cs_slot_count, for cores
 * that the GPU does not have, for more cores than a mask has bits, for an unknown priority and an
 * unknown VM. A file can have 128 groups, one more is ``EBUSY``.
 */
struct drm_panthor_group_create {
	/** @queues: &struct drm_panthor_queue_create; queue indices are indices of this array. */
	struct drm_panthor_obj_array queues;
	/** @max_compute_cores: Cores that compute work may occupy at a time. */
	__u8 max_compute_cores;
	/** @max_fragment_cores: Cores that fragment work may occupy at a time. */
	__u8 max_fragment_cores;
	/** @max_tiler_cores: Tilers that may be occupied at a time. */
	__u8 max_tiler_cores;
	/** @priority: One of &enum drm_panthor_group_priority. */
	__u8 priority;
	/** @pad: Zero. */
	__u32 pad;
	/** @compute_core_mask: Cores for compute work, of &drm_panthor_gpu_info.shader_present. */
	__u64 compute_core_mask;
	/** @fragment_core_mask: Cores for fragment work, the same. */
	__u64 fragment_core_mask;
	/** @tiler_core_mask: Tilers, a part of &drm_panthor_gpu_info.tiler_present. */
	__u64 tiler_core_mask;
	/** @vm_id: VM in which all streams of this group run. */
	__u32 vm_id;
	/** @group_handle: Out: the new group. */
	__u32 group_handle;
};

/**
 * struct drm_panthor_group_destroy - Arguments of %DRM_IOCTL_PANTHOR_GROUP_DESTROY
 *
 * Jobs that have not finished are killed, and their fences signal with an error. An unknown group
 * is ``EINVAL``.
 */
struct drm_panthor_group_destroy {
	/** @group_handle: Group. */
	__u32 group_handle;
	/** @pad: Zero. */
	__u32 pad;
};

/**
 * struct drm_panthor_queue_submit - One job
 *
 * The job starts when its waits and all earlier jobs of its queue are through, and its fence
 * signals when the stream has ended and everything that it started is done.
 * With @stream_size and @stream_addr zero there is nothing to run: the signals then follow the
 * waits and the jobs before. One of the two alone, or a bad alignment, is ``EINVAL``.
 */
struct drm_panthor_queue_submit {
	/** @queue_index: Queue of the group; ``EINVAL`` if there is none. */
	__u32 queue_index;
	/** @stream_size: Bytes of the command stream, a multiple of 8. */
	__u32 stream_size;
	/** @stream_addr: GPU address of the command stream, a multiple of 64. */
	__u64 stream_addr;
	/**
	 * @latest_flush: Content of the flush id page when the stream was written, or zero for a
	 * flush in any case. Bits 24 to 30 are zero (``EINVAL``).
	 */
	__u32 latest_flush;
	/** @pad: Zero. */
	__u32 pad;
	/** @syncs: &struct drm_panthor_sync_op */
	struct drm_panthor_obj_array syncs;
};

/**
 * struct drm_panthor_group_submit - Arguments of %DRM_IOCTL_PANTHOR_GROUP_SUBMIT
 *
 * All jobs are queued or none. ``EINVAL`` for an unknown group, and for one that can't run any
 * more, see &struct drm_panthor_group_get_state.
 */
struct drm_panthor_group_submit {
	/** @group_handle: Group. */
	__u32 group_handle;
	/** @pad: Zero. */
	__u32 pad;
	/**
	 * @queue_submits: &struct drm_panthor_queue_submit, at most 16384; an empty array is fine.
	 */
	struct drm_panthor_obj_array queue_submits;
};

/**
 * enum drm_panthor_group_state_flags - What became of a group
 *
 * With any of these set, no job is accepted any more.
 */
enum drm_panthor_group_state_flags {
	/** @DRM_PANTHOR_GROUP_STATE_TIMEDOUT: A job took too long. */
	DRM_PANTHOR_GROUP_STATE_TIMEDOUT = 0x1,
	/** @DRM_PANTHOR_GROUP_STATE_FATAL_FAULT: A queue, or the VM, faulted. */
	DRM_PANTHOR_GROUP_STATE_FATAL_FAULT = 0x2,
	/**
	 * @DRM_PANTHOR_GROUP_STATE_INNOCENT: It went down with a reset that others caused. Only
	 * together with TIMEDOUT, never with FATAL_FAULT (since 1.3).
	 */
	DRM_PANTHOR_GROUP_STATE_INNOCENT = 0x4,
};

/**
 * struct drm_panthor_group_get_state - Arguments of %DRM_IOCTL_PANTHOR_GROUP_GET_STATE
 *
 * An unknown group is ``EINVAL``.
 */
struct drm_panthor_group_get_state {
	/** @group_handle: Group; whether it survives the call is not defined. */
	__u32 group_handle;
	/** @state: Out: bits of &enum drm_panthor_group_state_flags. */
	__u32 state;
	/** @fatal_queues: Out: queues that faulted, one bit each. */
	__u32 fatal_queues;
	/** @pad: Zero. */
	__u32 pad;
};

/**
 * struct drm_panthor_tiler_heap_create - Arguments of %DRM_IOCTL_PANTHOR_TILER_HEAP_CREATE
 *
 * The heap grows when the tiler runs out of memory, as long as neither @max_chunks nor
 * @target_in_flight is reached. ``EINVAL`` for an unknown VM and for numbers out of range.
 */
struct drm_panthor_tiler_heap_create {
	/** @vm_id: VM in whose kernel part the heap lives. */
	__u32 vm_id;
	/** @initial_chunk_count: Chunks to start with, 1 to @max_chunks. */
	__u32 initial_chunk_count;
	/** @chunk_size: Bytes of a chunk: whole pages, 128 KiB to 8 MiB. */
	__u32 chunk_size;
	/** @max_chunks: Chunks that it may grow to. */
	__u32 max_chunks;
	/** @target_in_flight: Render passes that may share it before it stops to grow. */
	__u32 target_in_flight;
	/** @handle: Out: the new heap. */
	__u32 handle;
	/** @tiler_heap_ctx_gpu_va: Out: GPU address of the heap context, for HEAP_SET. */
	__u64 tiler_heap_ctx_gpu_va;
	/** @first_heap_chunk_gpu_va: Out: GPU address of the first chunk of the list. */
	__u64 first_heap_chunk_gpu_va;
};

/**
 * struct drm_panthor_tiler_heap_destroy - Arguments of %DRM_IOCTL_PANTHOR_TILER_HEAP_DESTROY
 *
 * ``EINVAL`` for an unknown VM or heap, ``ENOENT`` for a VM that never had one.
 */
struct drm_panthor_tiler_heap_destroy {
	/** @handle: Heap. */
	__u32 handle;
	/** @pad: Zero. */
	__u32 pad;
};

/**
 * struct drm_panthor_bo_set_label - Arguments of %DRM_IOCTL_PANTHOR_BO_SET_LABEL
 *
 * ``ENOENT`` for an unknown buffer, ``E2BIG`` for more than 4096 bytes, the end mark included.
 */
struct drm_panthor_bo_set_label {
	/** @handle: Buffer. */
	__u32 handle;
	/** @pad: Zero. */
	__u32 pad;
	/** @label: User address of a string, or zero to take the label away. */
	__u64 label;
};

/**
 * struct drm_panthor_set_user_mmio_offset - Arguments of %DRM_IOCTL_PANTHOR_SET_USER_MMIO_OFFSET
 *
 * For emulators, whose process is wider than the program that runs in it. Holds for the file.
 */
struct drm_panthor_set_user_mmio_offset {
	/** @offset: One of the two DRM_PANTHOR_USER_MMIO_OFFSET values; ``EINVAL`` otherwise. */
	__u64 offset;
};

/**
 * enum drm_panthor_bo_sync_op_type - Direction of cache maintenance
 */
enum drm_panthor_bo_sync_op_type {
	/** @DRM_PANTHOR_BO_SYNC_CPU_CACHE_FLUSH: The GPU shall see what the CPU wrote. */
	DRM_PANTHOR_BO_SYNC_CPU_CACHE_FLUSH = 0,
	/**
	 * @DRM_PANTHOR_BO_SYNC_CPU_CACHE_FLUSH_AND_INVALIDATE: And the CPU shall see what the GPU
	 * wrote.
	 */
	DRM_PANTHOR_BO_SYNC_CPU_CACHE_FLUSH_AND_INVALIDATE = 1,
};

/**
 * struct drm_panthor_bo_sync_op - Cache maintenance of one range
 *
 * ``ENOENT`` for an unknown buffer; ``EINVAL`` for an unknown type, a range that is not within the
 * buffer, and an imported buffer. The range grows to whole cache lines.
 */
struct drm_panthor_bo_sync_op {
	/** @handle: Buffer. */
	__u32 handle;
	/** @type: One of &enum drm_panthor_bo_sync_op_type. */
	__u32 type;
	/** @offset: First byte. */
	__u64 offset;
	/** @size: Bytes; zero does nothing. */
	__u64 size;
};

/**
 * struct drm_panthor_bo_sync - Arguments of %DRM_IOCTL_PANTHOR_BO_SYNC
 *
 * Ranges are handled in order, up to the first that fails.
 */
struct drm_panthor_bo_sync {
	/**
	 * @ops: &struct drm_panthor_bo_sync_op; an empty array is fine. When one fails, its index is
	 * returned in the array's count.
	 */
	struct drm_panthor_obj_array ops;
};

/**
 * enum drm_panthor_bo_extra_flags - What a buffer is, beyond how it was created
 */
enum drm_panthor_bo_extra_flags {
	/**
	 * @DRM_PANTHOR_BO_IS_IMPORTED: Its memory belongs to another driver, through dma-buf.
	 * CPU mappings are not coherent, and cache maintenance is the exporter's business.
	 */
	DRM_PANTHOR_BO_IS_IMPORTED = 0x1,
};

/**
 * struct drm_panthor_bo_query_info - Arguments of %DRM_IOCTL_PANTHOR_BO_QUERY_INFO
 *
 * An unknown buffer is ``ENOENT``.
 */
struct drm_panthor_bo_query_info {
	/** @handle: Buffer. */
	__u32 handle;
	/** @extra_flags: Out: bits of &enum drm_panthor_bo_extra_flags. */
	__u32 extra_flags;
	/** @create_flags: Out: bits of &enum drm_panthor_bo_flags; zero for an imported buffer. */
	__u32 create_flags;
	/** @pad: Out: zero. */
	__u32 pad;
};

/**
 * DRM_IOCTL_PANTHOR() - Number of an ioctl
 * @__access: direction suffix, WR for all of them
 * @__id: name in &enum drm_panthor_ioctl_id, without prefix
 * @__type: name of the argument structure, without prefix
 */
#define DRM_IOCTL_PANTHOR(__access, __id, __type)			\
	DRM_IO ## __access(DRM_COMMAND_BASE + DRM_PANTHOR_ ## __id,	\
			   struct drm_panthor_ ## __type)

enum {
	DRM_IOCTL_PANTHOR_DEV_QUERY = DRM_IOCTL_PANTHOR(WR, DEV_QUERY, dev_query),
	DRM_IOCTL_PANTHOR_VM_CREATE = DRM_IOCTL_PANTHOR(WR, VM_CREATE, vm_create),
	DRM_IOCTL_PANTHOR_VM_DESTROY = DRM_IOCTL_PANTHOR(WR, VM_DESTROY, vm_destroy),
	DRM_IOCTL_PANTHOR_VM_BIND = DRM_IOCTL_PANTHOR(WR, VM_BIND, vm_bind),
	DRM_IOCTL_PANTHOR_VM_GET_STATE = DRM_IOCTL_PANTHOR(WR, VM_GET_STATE, vm_get_state),
	DRM_IOCTL_PANTHOR_BO_CREATE = DRM_IOCTL_PANTHOR(WR, BO_CREATE, bo_create),
	DRM_IOCTL_PANTHOR_BO_MMAP_OFFSET = DRM_IOCTL_PANTHOR(WR, BO_MMAP_OFFSET, bo_mmap_offset),
	DRM_IOCTL_PANTHOR_GROUP_CREATE = DRM_IOCTL_PANTHOR(WR, GROUP_CREATE, group_create),
	DRM_IOCTL_PANTHOR_GROUP_DESTROY = DRM_IOCTL_PANTHOR(WR, GROUP_DESTROY, group_destroy),
	DRM_IOCTL_PANTHOR_GROUP_SUBMIT = DRM_IOCTL_PANTHOR(WR, GROUP_SUBMIT, group_submit),
	DRM_IOCTL_PANTHOR_GROUP_GET_STATE =
		DRM_IOCTL_PANTHOR(WR, GROUP_GET_STATE, group_get_state),
	DRM_IOCTL_PANTHOR_TILER_HEAP_CREATE =
		DRM_IOCTL_PANTHOR(WR, TILER_HEAP_CREATE, tiler_heap_create),
	DRM_IOCTL_PANTHOR_TILER_HEAP_DESTROY =
		DRM_IOCTL_PANTHOR(WR, TILER_HEAP_DESTROY, tiler_heap_destroy),
	DRM_IOCTL_PANTHOR_BO_SET_LABEL = DRM_IOCTL_PANTHOR(WR, BO_SET_LABEL, bo_set_label),
	DRM_IOCTL_PANTHOR_SET_USER_MMIO_OFFSET =
		DRM_IOCTL_PANTHOR(WR, SET_USER_MMIO_OFFSET, set_user_mmio_offset),
	DRM_IOCTL_PANTHOR_BO_SYNC = DRM_IOCTL_PANTHOR(WR, BO_SYNC, bo_sync),
	DRM_IOCTL_PANTHOR_BO_QUERY_INFO = DRM_IOCTL_PANTHOR(WR, BO_QUERY_INFO, bo_query_info),
};

#if defined(__cplusplus)
}
#endif

#endif /* _PANTHOR_DRM_H_ */
