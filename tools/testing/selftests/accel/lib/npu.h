/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The NPU's uAPI, one function for each call. All return 0 or a negative errno. */
#ifndef SELFTEST_NPU_H
#define SELFTEST_NPU_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rocket_accel.h"

#define SECOND		1000000000ll
/* Far beyond any time-out of the driver. */
#define PATIENCE	(30 * SECOND)

struct npu {
	int fd;
	char node[64];
};

/* A buffer and its CPU mapping. */
struct npu_bo {
	const struct npu *npu;
	uint32_t handle;
	uint32_t size;
	uint32_t iova;
	uint8_t *map;
};

int64_t now_ns(void);

/* ioctl() that starts again after a signal. */
int npu_ioctl(int fd, unsigned long request, void *arg);

/* The first node whose driver speaks this ABI, as soon as it is there. */
int npu_open(struct npu *npu);
/* After the last job on the file is done. */
void npu_close(struct npu *npu);

/* Whether the kernel's C driver is the one that is tested. */
bool npu_is_c_driver(void);

int npu_bo_create(const struct npu *npu, uint32_t size, struct npu_bo *bo);
void npu_bo_destroy(struct npu_bo *bo);
/* @timeout_ns from now; negative for one that is up already. */
int npu_bo_prep(const struct npu_bo *bo, int64_t timeout_ns);
int npu_bo_fini(const struct npu_bo *bo);

/* One job, with at most one buffer to read and one to write (NULL for none). */
struct drm_rocket_job npu_job(const struct drm_rocket_task *tasks, uint32_t count,
			      const struct npu_bo *in, const struct npu_bo *out);
int npu_submit(const struct npu *npu, const struct drm_rocket_job *jobs, uint32_t count);

/*
 * The fence of the last write to a buffer, as a sync file, or a negative errno. To be taken while the
 * write is under way: a fence that has signalled is gone from the buffer, and with it how it ended.
 */
int npu_bo_fence(const struct npu_bo *bo);
/* Waits for a sync file and closes it: 1 if all went well, or the error. */
int fence_wait(int fence);

#endif
