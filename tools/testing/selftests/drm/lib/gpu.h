/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * A Mali CSF GPU as user space sees it: through the uAPI, with raw ioctls and nothing else.
 *
 * Functions return 0 or a negative errno, unless said otherwise.
 */
#ifndef SELFTEST_GPU_H
#define SELFTEST_GPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "page.h"
#include "panthor_drm.h"

#define PAGE		4096ull		/* the GPU's, whatever the CPU's is */
#define BLOCK		(2ull << 20)	/* what one entry of a level 2 table maps */
#define SECOND		1000000000ll	/* in nanoseconds */

/* How long a job may take that is meant to finish; well beyond the driver's own 5 s limit. */
#define PATIENCE	(20 * SECOND)

/* An open file of the device. */
struct gpu {
	int fd;
	char module[32];	/* kernel driver that serves it, as sysfs names it */
	char node[32];		/* device node */
	char device[64];	/* name of the platform device */
	int major, minor;	/* of the uAPI */
};

/* A buffer object, mapped on the CPU (unless NO_MMAP) and perhaps on the GPU. */
struct bo {
	uint32_t handle;
	uint64_t size;
	uint64_t va;		/* in the VM that it was bound to */
	union {
		void *map;
		uint32_t *u32;
		uint64_t *u64;
	};
};

/* ioctl(), restarted when a signal interrupted it. */
int gpu_ioctl(int fd, unsigned long request, void *arg);

/* Open the first render node whose DRM driver name is "panthor"; -ENODEV if there is none. */
int gpu_open(struct gpu *gpu);
void gpu_close(struct gpu *gpu);

/* The C driver of the kernel tree, which some tests make allowance for. */
bool gpu_is_c_driver(const struct gpu *gpu);

int gpu_query(const struct gpu *gpu, uint32_t type, void *data, uint32_t size);
int gpu_info(const struct gpu *gpu, struct drm_panthor_gpu_info *info);
int gpu_csif(const struct gpu *gpu, struct drm_panthor_csif_info *csif);

int vm_create(const struct gpu *gpu, uint64_t user_range, uint32_t *id);
int vm_destroy(const struct gpu *gpu, uint32_t id);
int vm_state(const struct gpu *gpu, uint32_t id, uint32_t *state);
int vm_bind_ops(const struct gpu *gpu, uint32_t vm, struct drm_panthor_vm_bind_op *ops,
		uint32_t count);
/* Queued; the operations may wait and signal. */
int vm_bind_async(const struct gpu *gpu, uint32_t vm, struct drm_panthor_vm_bind_op *ops,
		  uint32_t count);
int vm_map(const struct gpu *gpu, uint32_t vm, uint32_t handle, uint64_t offset, uint64_t va,
	   uint64_t size, uint32_t flags);
int vm_unmap(const struct gpu *gpu, uint32_t vm, uint64_t va, uint64_t size);

/* Created, not mapped anywhere. */
int bo_create(const struct gpu *gpu, uint64_t size, uint32_t flags, uint32_t exclusive_vm,
	      struct bo *bo);
int bo_mmap_offset(const struct gpu *gpu, uint32_t handle, uint64_t *offset);
int bo_mmap(const struct gpu *gpu, struct bo *bo);
/* Created, mapped on the CPU, and bound at @va with @flags. */
int bo_bound(const struct gpu *gpu, uint32_t vm, uint64_t size, uint64_t va, uint32_t flags,
	     struct bo *bo);
int bo_close(const struct gpu *gpu, struct bo *bo);
int gem_close(const struct gpu *gpu, uint32_t handle);

/* All cores, and the smallest rings that the driver can do, unless the caller fills in what it wants. */
struct drm_panthor_group_create group_args(const struct gpu *gpu, uint32_t vm,
					   struct drm_panthor_queue_create *queues,
					   uint32_t queue_count, uint8_t priority);
int group_create(const struct gpu *gpu, uint32_t vm, uint32_t queue_count, uint8_t priority,
		 uint32_t *handle);
int group_destroy(const struct gpu *gpu, uint32_t handle);
int group_state(const struct gpu *gpu, uint32_t handle, uint32_t *state, uint32_t *fatal_queues);
int group_submit(const struct gpu *gpu, uint32_t group, struct drm_panthor_queue_submit *jobs,
		 uint32_t count);
/* Until the group has gone bad, or the time is over (-ETIME). */
int group_wait_bad(const struct gpu *gpu, uint32_t handle, uint32_t *state,
		   uint32_t *fatal_queues);
/* One job on one queue that signals one binary syncobj; zero for none. */
int group_run(const struct gpu *gpu, uint32_t group, uint32_t queue, uint64_t stream,
	      uint32_t bytes, uint32_t syncobj);

struct drm_panthor_sync_op sync_wait_op(uint32_t handle, uint64_t point);
struct drm_panthor_sync_op sync_signal_op(uint32_t handle, uint64_t point);

int sync_create(const struct gpu *gpu, bool signaled, uint32_t *handle);
int sync_destroy(const struct gpu *gpu, uint32_t handle);
int sync_reset(const struct gpu *gpu, uint32_t handle);
int sync_signal(const struct gpu *gpu, uint32_t handle);
int sync_transfer(const struct gpu *gpu, uint32_t dst, uint64_t dst_point, uint32_t src,
		  uint64_t src_point);
/* -ETIME when nothing came. A point of zero means a binary syncobj. */
int sync_wait(const struct gpu *gpu, uint32_t handle, uint64_t point, int64_t timeout_ns);
/* The latest point that has signalled. */
int sync_query(const struct gpu *gpu, uint32_t handle, uint64_t *point);
/*
 * How the fence of a binary syncobj stands: 1 signalled, 0 not yet, negative: signalled with that
 * error. Failures of the call itself end the test program.
 */
int sync_status(const struct gpu *gpu, uint32_t handle);

int64_t now_ns(void);
/* Of the machine, in bytes; what CPUs have set aside makes it inexact. */
int64_t free_memory(void);
/* In page tables of devices, of the machine, in bytes; each CPU keeps up to 80 KiB of the count to itself. */
int64_t table_memory(void);
void sleep_ms(unsigned int ms);

/* What the driver says of itself in debugfs; NULL if it does not. */
FILE *gpu_debugfs(const struct gpu *gpu, const char *name);

/* A number behind @key in the file's fdinfo, or -1. */
long long gpu_fdinfo(const struct gpu *gpu, const char *key);

#endif
