/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * User-space ABI of the NPU of Rockchip SoCs.
 *
 * The layout and the numbers are those of the DRM driver name "rocket", so that one user space
 * serves every driver that speaks this ABI. The text states what a caller may pass and what it
 * gets back.
 */
#ifndef _ROCKET_ACCEL_H_
#define _ROCKET_ACCEL_H_

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

/**
 * DOC: Rules that hold for every call
 *
 * **Who may call.** Everyone who can open the accel node. There is one node for all cores of the
 * NPU, and no way to ask for a certain core.
 *
 * **Addresses.** Each open file has a device address space of its own, of 4 GiB. A buffer gets its
 * address in the file that creates it and keeps it until the last handle, mapping and job are
 * gone. Address 0 is an address like any other.
 *
 * **Handles** belong to the file that created them and are never zero. A handle of another file is
 * an unknown handle: ``ENOENT``.
 *
 * **Order.** Jobs that have a buffer in common run in the order of submission where one of them
 * writes it. Nothing else orders jobs, not even that they came in one call. Fences are implicit,
 * in the buffers' reservation objects; a dma-buf can export them.
 *
 * **Who owns a buffer's content.** The CPU between %DRM_IOCTL_ROCKET_PREP_BO and
 * %DRM_IOCTL_ROCKET_FINI_BO, the NPU otherwise. On systems where the NPU does not snoop the CPU's
 * caches, these two calls are what makes the content of one visible to the other.
 *
 * **Growth.** Elements of arrays have their size passed along: a size below the first published
 * one is ``EINVAL``, what goes beyond the structure that the kernel knows has to be zero, or the
 * call ends with ``E2BIG``.
 *
 * **Reserved fields** have to be zero: ``EINVAL`` otherwise.
 *
 * **Errors that any call may return**: ``EFAULT`` for an address that can't be read or written,
 * ``ENOMEM``, ``EINTR`` (restart it) when a signal arrives while the call waits, and ``ENODEV`` once
 * the last core is gone. A call that fails leaves nothing behind.
 */

/* Numbers of the ioctls, relative to DRM_COMMAND_BASE. */
#define DRM_ROCKET_CREATE_BO		0x00
#define DRM_ROCKET_SUBMIT		0x01
#define DRM_ROCKET_PREP_BO		0x02
#define DRM_ROCKET_FINI_BO		0x03

/**
 * struct drm_rocket_create_bo - New buffer object (%DRM_IOCTL_ROCKET_CREATE_BO)
 *
 * The buffer is zeroed, and mapped into the file's device address space for reading and writing.
 *
 * With a size of zero and a handle, the call tells where a buffer is that is there already, in the same
 * way. This is how a dma-buf of another device, once imported, gets its address: before that it has
 * none, and no job can name it. What is mapped is what the exporter has mapped for the NPU. The C
 * driver answers ``ENOSPC``, and imports no such dma-bufs; clients that know it do not ask for a size
 * of zero.
 *
 * Errors: ``EINVAL`` for a size of zero without a handle, for a buffer that another file has created,
 * and for one whose memory is where the NPU cannot reach it; ``ENOENT`` for an unknown handle;
 * ``ENOSPC`` when the address space has no hole that is large enough, ``ENOMEM`` when there is no memory
 * for the buffer or its page tables, or never will be.
 */
struct drm_rocket_create_bo {
	/**
	 * @size: In: bytes. The buffer ends at the next page boundary. Zero asks for one that exists,
	 * and is out: its bytes.
	 */
	__u32 size;

	/** @handle: Out: GEM handle. In, when @size is zero. */
	__u32 handle;

	/** @dma_address: Out: device address, below 4 GiB, at a page boundary. */
	__u64 dma_address;

	/** @offset: Out: where to mmap() the buffer in the node. */
	__u64 offset;
};

/**
 * struct drm_rocket_prep_bo - Give a buffer to the CPU (%DRM_IOCTL_ROCKET_PREP_BO)
 *
 * Waits for the jobs that write the buffer. That a job failed is no error of this call.
 *
 * Errors: ``ENOENT`` for an unknown handle, ``EBUSY`` when the time is up already and a job is still
 * under way, ``ETIMEDOUT`` when that is so after a wait.
 */
struct drm_rocket_prep_bo {
	/** @handle: In: GEM handle. */
	__u32 handle;

	/** @reserved: Zero. */
	__u32 reserved;

	/** @timeout_ns: In: how long to wait, as a time of CLOCK_MONOTONIC. */
	__s64 timeout_ns;
};

/**
 * struct drm_rocket_fini_bo - Give a buffer to the NPU (%DRM_IOCTL_ROCKET_FINI_BO)
 *
 * Errors: ``ENOENT`` for an unknown handle.
 */
struct drm_rocket_fini_bo {
	/** @handle: In: GEM handle. */
	__u32 handle;

	/** @reserved: Zero. */
	__u32 reserved;
};

/**
 * struct drm_rocket_task - One register list
 *
 * The list is in a buffer of the file. It need not be in the job's lists of buffers, but must not
 * be changed while the job is under way. What a list says is not checked: the device address space
 * is what protects everybody else.
 */
struct drm_rocket_task {
	/** @regcmd: In: device address of the list, a multiple of 16. */
	__u32 regcmd;

	/** @regcmd_count: In: words of 64 bits in the list, not zero. */
	__u32 regcmd_count;
};

/**
 * struct drm_rocket_job - Tasks that run one after the other on one core
 *
 * A task may rely on what the one before it has left in the core's buffer. When a task fails, by a
 * fault or because it takes too long, those after it don't run, and the job's fences carry an error.
 */
struct drm_rocket_job {
	/** @tasks: In: address of an array of &struct drm_rocket_task. */
	__u64 tasks;

	/** @in_bo_handles: In: address of an array of GEM handles: what the job reads. */
	__u64 in_bo_handles;

	/** @out_bo_handles: In: address of an array of GEM handles: what the job writes. */
	__u64 out_bo_handles;

	/** @task_count: In: number of tasks, not zero. */
	__u32 task_count;

	/** @task_struct_size: In: size of an element of @tasks. */
	__u32 task_struct_size;

	/** @in_bo_handle_count: In: number of handles in @in_bo_handles. */
	__u32 in_bo_handle_count;

	/** @out_bo_handle_count: In: number of handles in @out_bo_handles. */
	__u32 out_bo_handle_count;
};

/**
 * struct drm_rocket_submit - Jobs to run (%DRM_IOCTL_ROCKET_SUBMIT)
 *
 * Either all jobs are queued or none is. No job at all is fine and does nothing.
 *
 * Errors: ``EINVAL`` for a job without tasks, a list without words, with more than 131072 or at an
 * address that is no multiple of 16, structure sizes below those of this version, counts that
 * overflow, or a buffer that has no address in this file; ``ENOENT`` for an unknown handle.
 */
struct drm_rocket_submit {
	/** @jobs: In: address of an array of &struct drm_rocket_job. */
	__u64 jobs;

	/** @job_count: In: number of jobs, at most 4096; ``EINVAL`` for more. */
	__u32 job_count;

	/** @job_struct_size: In: size of an element of @jobs. */
	__u32 job_struct_size;

	/** @reserved: Zero. */
	__u64 reserved;
};

#define DRM_IOCTL_ROCKET_CREATE_BO	\
	DRM_IOWR(DRM_COMMAND_BASE + DRM_ROCKET_CREATE_BO, struct drm_rocket_create_bo)
#define DRM_IOCTL_ROCKET_SUBMIT		\
	DRM_IOW(DRM_COMMAND_BASE + DRM_ROCKET_SUBMIT, struct drm_rocket_submit)
#define DRM_IOCTL_ROCKET_PREP_BO	\
	DRM_IOW(DRM_COMMAND_BASE + DRM_ROCKET_PREP_BO, struct drm_rocket_prep_bo)
#define DRM_IOCTL_ROCKET_FINI_BO	\
	DRM_IOW(DRM_COMMAND_BASE + DRM_ROCKET_FINI_BO, struct drm_rocket_fini_bo)

#if defined(__cplusplus)
}
#endif

#endif /* _ROCKET_ACCEL_H_ */
