// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/sync_file.h>

#include "npu.h"

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

int npu_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, request, arg);
	} while (ret && (errno == EINTR || errno == EAGAIN));
	return ret ? -errno : 0;
}

static int try_open(struct npu *npu, unsigned int minor)
{
	char name[16] = "";
	struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };
	int ret;

	snprintf(npu->node, sizeof(npu->node), "/dev/accel/accel%u", minor);
	npu->fd = open(npu->node, O_RDWR | O_CLOEXEC);
	if (npu->fd < 0)
		return -errno;
	ret = npu_ioctl(npu->fd, DRM_IOCTL_VERSION, &version);
	if (!ret && strcmp(name, "rocket"))
		ret = -ENODEV;
	if (ret)
		close(npu->fd);
	return ret;
}

int npu_open(struct npu *npu)
{
	int64_t end = now_ns() + 5 * SECOND;
	int ret;

	do {
		for (unsigned int minor = 0; minor < 8; minor++) {
			ret = try_open(npu, minor);
			if (!ret)
				return 0;
		}
		usleep(10000);
	} while (now_ns() < end);
	npu->fd = -1;
	return ret;
}

void npu_close(struct npu *npu)
{
	/*
	 * The C driver takes the file's address space down while the worker that cleans jobs up may
	 * still hold their buffers, and warns if it does.
	 */
	if (npu_is_c_driver())
		usleep(100000);
	if (npu->fd >= 0)
		close(npu->fd);
	npu->fd = -1;
}

bool npu_is_c_driver(void)
{
	return access("/sys/module/rocket", F_OK) == 0;
}

int npu_bo_create(const struct npu *npu, uint32_t size, struct npu_bo *bo)
{
	struct drm_rocket_create_bo args = { .size = size };
	int ret = npu_ioctl(npu->fd, DRM_IOCTL_ROCKET_CREATE_BO, &args);

	if (ret)
		return ret;
	bo->npu = npu;
	bo->handle = args.handle;
	bo->size = size;
	bo->iova = args.dma_address;
	bo->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, npu->fd, args.offset);
	if (bo->map == MAP_FAILED) {
		ret = -errno;
		bo->map = NULL;
		npu_bo_destroy(bo);
	}
	return ret;
}

void npu_bo_destroy(struct npu_bo *bo)
{
	struct drm_gem_close args = { .handle = bo->handle };

	if (bo->map)
		munmap(bo->map, bo->size);
	if (bo->handle)
		npu_ioctl(bo->npu->fd, DRM_IOCTL_GEM_CLOSE, &args);
	memset(bo, 0, sizeof(*bo));
}

int npu_bo_prep(const struct npu_bo *bo, int64_t timeout_ns)
{
	struct drm_rocket_prep_bo args = {
		.handle = bo->handle,
		.timeout_ns = timeout_ns < 0 ? 0 : now_ns() + timeout_ns,
	};

	return npu_ioctl(bo->npu->fd, DRM_IOCTL_ROCKET_PREP_BO, &args);
}

int npu_bo_fini(const struct npu_bo *bo)
{
	struct drm_rocket_fini_bo args = { .handle = bo->handle };

	return npu_ioctl(bo->npu->fd, DRM_IOCTL_ROCKET_FINI_BO, &args);
}

struct drm_rocket_job npu_job(const struct drm_rocket_task *tasks, uint32_t count,
			      const struct npu_bo *in, const struct npu_bo *out)
{
	return (struct drm_rocket_job) {
		.tasks = (uintptr_t)tasks,
		.task_count = count,
		.task_struct_size = sizeof(*tasks),
		.in_bo_handles = in ? (uintptr_t)&in->handle : 0,
		.in_bo_handle_count = in ? 1 : 0,
		.out_bo_handles = out ? (uintptr_t)&out->handle : 0,
		.out_bo_handle_count = out ? 1 : 0,
	};
}

int npu_submit(const struct npu *npu, const struct drm_rocket_job *jobs, uint32_t count)
{
	struct drm_rocket_submit args = {
		.jobs = (uintptr_t)jobs,
		.job_count = count,
		.job_struct_size = sizeof(*jobs),
	};

	return npu_ioctl(npu->fd, DRM_IOCTL_ROCKET_SUBMIT, &args);
}

int npu_bo_fence(const struct npu_bo *bo)
{
	struct drm_prime_handle prime = { .handle = bo->handle, .flags = DRM_CLOEXEC };
	struct dma_buf_export_sync_file export = { .flags = DMA_BUF_SYNC_READ };
	int ret;

	ret = npu_ioctl(bo->npu->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);
	if (ret)
		return ret;
	ret = npu_ioctl(prime.fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export);
	close(prime.fd);
	return ret ? ret : export.fd;
}

int fence_wait(int fence)
{
	struct pollfd poll_fd = { .fd = fence, .events = POLLIN };
	struct sync_file_info info = { 0 };
	int ret = fence;

	if (fence < 0)
		return fence;
	if (poll(&poll_fd, 1, PATIENCE / 1000000) != 1)
		ret = -ETIME;
	else
		ret = npu_ioctl(fence, SYNC_IOC_FILE_INFO, &info);
	close(fence);
	return ret ? ret : info.status;
}
