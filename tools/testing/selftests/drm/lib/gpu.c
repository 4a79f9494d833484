// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <linux/sync_file.h>

#include "gpu.h"

#define RENDER_MINOR_FIRST	128
#define RENDER_MINOR_LAST	191

int gpu_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, request, arg);
	} while (ret == -1 && (errno == EINTR || errno == EAGAIN));

	return ret == -1 ? -errno : 0;
}

int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

void sleep_ms(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) == -1 && errno == EINTR)
		;
}

/* Last component of what a link points to. */
static int link_name(const char *path, char *name, size_t size)
{
	char target[PATH_MAX];
	const char *last;
	ssize_t len = readlink(path, target, sizeof(target) - 1);

	if (len < 0)
		return -errno;
	target[len] = '\0';
	last = strrchr(target, '/');
	snprintf(name, size, "%.*s", (int)size - 1, last ? last + 1 : target);
	return 0;
}

static int describe(struct gpu *gpu, int minor_number)
{
	char name[16] = "";
	struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };
	char path[96];
	int ret;

	ret = gpu_ioctl(gpu->fd, DRM_IOCTL_VERSION, &version);
	if (ret)
		return ret;
	if (strcmp(name, "panthor"))
		return -ENODEV;
	gpu->major = version.version_major;
	gpu->minor = version.version_minor;

	snprintf(path, sizeof(path), "/sys/dev/char/226:%d/device/driver", minor_number);
	ret = link_name(path, gpu->module, sizeof(gpu->module));
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/sys/dev/char/226:%d/device", minor_number);
	return link_name(path, gpu->device, sizeof(gpu->device));
}

int gpu_open(struct gpu *gpu)
{
	int minor_number;

	for (minor_number = RENDER_MINOR_FIRST; minor_number <= RENDER_MINOR_LAST; minor_number++) {
		snprintf(gpu->node, sizeof(gpu->node), "/dev/dri/renderD%d", minor_number);
		gpu->fd = open(gpu->node, O_RDWR | O_CLOEXEC);
		if (gpu->fd < 0)
			continue;
		if (!describe(gpu, minor_number))
			return 0;
		close(gpu->fd);
	}

	gpu->fd = -1;
	return -ENODEV;
}

void gpu_close(struct gpu *gpu)
{
	if (gpu->fd >= 0)
		close(gpu->fd);
	gpu->fd = -1;
}

bool gpu_is_c_driver(const struct gpu *gpu)
{
	return !strcmp(gpu->module, "panthor");
}

int gpu_query(const struct gpu *gpu, uint32_t type, void *data, uint32_t size)
{
	struct drm_panthor_dev_query query = {
		.type = type,
		.size = size,
		.pointer = (uintptr_t)data,
	};

	return gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_DEV_QUERY, &query);
}

int gpu_info(const struct gpu *gpu, struct drm_panthor_gpu_info *info)
{
	return gpu_query(gpu, DRM_PANTHOR_DEV_QUERY_GPU_INFO, info, sizeof(*info));
}

int gpu_csif(const struct gpu *gpu, struct drm_panthor_csif_info *csif)
{
	return gpu_query(gpu, DRM_PANTHOR_DEV_QUERY_CSIF_INFO, csif, sizeof(*csif));
}

int vm_create(const struct gpu *gpu, uint64_t user_range, uint32_t *id)
{
	struct drm_panthor_vm_create args = { .user_va_range = user_range };
	int ret = gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_VM_CREATE, &args);

	*id = args.id;
	return ret;
}

int vm_destroy(const struct gpu *gpu, uint32_t id)
{
	struct drm_panthor_vm_destroy args = { .id = id };

	return gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_VM_DESTROY, &args);
}

int vm_state(const struct gpu *gpu, uint32_t id, uint32_t *state)
{
	struct drm_panthor_vm_get_state args = { .vm_id = id };
	int ret = gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_VM_GET_STATE, &args);

	*state = args.state;
	return ret;
}

int vm_bind_ops(const struct gpu *gpu, uint32_t vm, struct drm_panthor_vm_bind_op *ops,
		uint32_t count)
{
	struct drm_panthor_vm_bind args = {
		.vm_id = vm,
		.ops = DRM_PANTHOR_OBJ_ARRAY(count, ops),
	};

	return gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_VM_BIND, &args);
}

int vm_bind_async(const struct gpu *gpu, uint32_t vm, struct drm_panthor_vm_bind_op *ops,
		  uint32_t count)
{
	struct drm_panthor_vm_bind args = {
		.vm_id = vm,
		.flags = DRM_PANTHOR_VM_BIND_ASYNC,
		.ops = DRM_PANTHOR_OBJ_ARRAY(count, ops),
	};

	return gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_VM_BIND, &args);
}

int vm_map(const struct gpu *gpu, uint32_t vm, uint32_t handle, uint64_t offset, uint64_t va,
	   uint64_t size, uint32_t flags)
{
	struct drm_panthor_vm_bind_op op = {
		.flags = DRM_PANTHOR_VM_BIND_OP_TYPE_MAP | flags,
		.bo_handle = handle,
		.bo_offset = offset,
		.va = va,
		.size = size,
	};

	return vm_bind_ops(gpu, vm, &op, 1);
}

int vm_unmap(const struct gpu *gpu, uint32_t vm, uint64_t va, uint64_t size)
{
	struct drm_panthor_vm_bind_op op = {
		.flags = DRM_PANTHOR_VM_BIND_OP_TYPE_UNMAP,
		.va = va,
		.size = size,
	};

	return vm_bind_ops(gpu, vm, &op, 1);
}

int bo_create(const struct gpu *gpu, uint64_t size, uint32_t flags, uint32_t exclusive_vm,
	      struct bo *bo)
{
	struct drm_panthor_bo_create args = {
		.size = size,
		.flags = flags,
		.exclusive_vm_id = exclusive_vm,
	};
	int ret = gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_BO_CREATE, &args);

	*bo = (struct bo){ 0 };
	if (ret)
		return ret;
	bo->handle = args.handle;
	bo->size = args.size;
	return 0;
}

int bo_mmap_offset(const struct gpu *gpu, uint32_t handle, uint64_t *offset)
{
	struct drm_panthor_bo_mmap_offset args = { .handle = handle };
	int ret = gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_BO_MMAP_OFFSET, &args);

	*offset = args.offset;
	return ret;
}

int bo_mmap(const struct gpu *gpu, struct bo *bo)
{
	uint64_t offset;
	void *map;
	int ret = bo_mmap_offset(gpu, bo->handle, &offset);

	if (ret)
		return ret;
	map = mmap(NULL, bo->size, PROT_READ | PROT_WRITE, MAP_SHARED, gpu->fd, offset);
	if (map == MAP_FAILED)
		return -errno;
	bo->map = map;
	return 0;
}

int bo_bound(const struct gpu *gpu, uint32_t vm, uint64_t size, uint64_t va, uint32_t flags,
	     struct bo *bo)
{
	int ret = bo_create(gpu, size, 0, 0, bo);

	if (ret)
		return ret;
	ret = bo_mmap(gpu, bo);
	if (!ret)
		ret = vm_map(gpu, vm, bo->handle, 0, va, bo->size, flags);
	if (ret) {
		bo_close(gpu, bo);
		return ret;
	}
	bo->va = va;
	return 0;
}

int gem_close(const struct gpu *gpu, uint32_t handle)
{
	struct drm_gem_close args = { .handle = handle };

	return gpu_ioctl(gpu->fd, DRM_IOCTL_GEM_CLOSE, &args);
}

int bo_close(const struct gpu *gpu, struct bo *bo)
{
	if (bo->map)
		munmap(bo->map, bo->size);
	bo->map = NULL;
	return gem_close(gpu, bo->handle);
}

struct drm_panthor_group_create group_args(const struct gpu *gpu, uint32_t vm,
					   struct drm_panthor_queue_create *queues,
					   uint32_t queue_count, uint8_t priority)
{
	/* The C driver takes a ring to be as large as its buffer, which is whole pages of the CPU, and binds what was asked for. */
	const uint32_t ring = gpu_is_c_driver(gpu) ? cpu_page() : PAGE;
	struct drm_panthor_gpu_info info = { 0 };
	uint32_t i;

	gpu_info(gpu, &info);
	for (i = 0; i < queue_count; i++) {
		if (!queues[i].ringbuf_size)
			queues[i].ringbuf_size = ring;
	}

	return (struct drm_panthor_group_create){
		.queues = DRM_PANTHOR_OBJ_ARRAY(queue_count, queues),
		.max_compute_cores = __builtin_popcountll(info.shader_present),
		.max_fragment_cores = __builtin_popcountll(info.shader_present),
		.max_tiler_cores = __builtin_popcountll(info.tiler_present),
		.priority = priority,
		.compute_core_mask = info.shader_present,
		.fragment_core_mask = info.shader_present,
		.tiler_core_mask = info.tiler_present,
		.vm_id = vm,
	};
}

int group_create(const struct gpu *gpu, uint32_t vm, uint32_t queue_count, uint8_t priority,
		 uint32_t *handle)
{
	struct drm_panthor_queue_create queues[32] = { 0 };
	struct drm_panthor_group_create args;
	int ret;

	if (queue_count > sizeof(queues) / sizeof(*queues))
		return -E2BIG;
	args = group_args(gpu, vm, queues, queue_count, priority);
	ret = gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_GROUP_CREATE, &args);
	*handle = args.group_handle;
	return ret;
}

int group_destroy(const struct gpu *gpu, uint32_t handle)
{
	struct drm_panthor_group_destroy args = { .group_handle = handle };

	return gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_GROUP_DESTROY, &args);
}

int group_state(const struct gpu *gpu, uint32_t handle, uint32_t *state, uint32_t *fatal_queues)
{
	struct drm_panthor_group_get_state args = { .group_handle = handle };
	int ret = gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_GROUP_GET_STATE, &args);

	*state = args.state;
	*fatal_queues = args.fatal_queues;
	return ret;
}

int group_wait_bad(const struct gpu *gpu, uint32_t handle, uint32_t *state,
		   uint32_t *fatal_queues)
{
	int64_t end = now_ns() + PATIENCE;
	int ret;

	do {
		ret = group_state(gpu, handle, state, fatal_queues);
		if (ret || *state)
			return ret;
		sleep_ms(1);
	} while (now_ns() < end);

	return -ETIME;
}

int group_submit(const struct gpu *gpu, uint32_t group, struct drm_panthor_queue_submit *jobs,
		 uint32_t count)
{
	struct drm_panthor_group_submit args = {
		.group_handle = group,
		.queue_submits = DRM_PANTHOR_OBJ_ARRAY(count, jobs),
	};

	return gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_GROUP_SUBMIT, &args);
}

int group_run(const struct gpu *gpu, uint32_t group, uint32_t queue, uint64_t stream,
	      uint32_t bytes, uint32_t syncobj)
{
	struct drm_panthor_sync_op signal = sync_signal_op(syncobj, 0);
	struct drm_panthor_queue_submit job = {
		.queue_index = queue,
		.stream_size = bytes,
		.stream_addr = stream,
		.syncs = DRM_PANTHOR_OBJ_ARRAY(syncobj ? 1 : 0, &signal),
	};

	return group_submit(gpu, group, &job, 1);
}

static struct drm_panthor_sync_op sync_op(uint32_t direction, uint32_t handle, uint64_t point)
{
	return (struct drm_panthor_sync_op){
		.flags = direction | (point ? DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_TIMELINE_SYNCOBJ :
					      DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_SYNCOBJ),
		.handle = handle,
		.timeline_value = point,
	};
}

struct drm_panthor_sync_op sync_wait_op(uint32_t handle, uint64_t point)
{
	return sync_op(DRM_PANTHOR_SYNC_OP_WAIT, handle, point);
}

struct drm_panthor_sync_op sync_signal_op(uint32_t handle, uint64_t point)
{
	return sync_op(DRM_PANTHOR_SYNC_OP_SIGNAL, handle, point);
}

int sync_create(const struct gpu *gpu, bool signaled, uint32_t *handle)
{
	struct drm_syncobj_create args = { .flags = signaled ? DRM_SYNCOBJ_CREATE_SIGNALED : 0 };
	int ret = gpu_ioctl(gpu->fd, DRM_IOCTL_SYNCOBJ_CREATE, &args);

	*handle = args.handle;
	return ret;
}

int sync_destroy(const struct gpu *gpu, uint32_t handle)
{
	struct drm_syncobj_destroy args = { .handle = handle };

	return gpu_ioctl(gpu->fd, DRM_IOCTL_SYNCOBJ_DESTROY, &args);
}

int sync_reset(const struct gpu *gpu, uint32_t handle)
{
	struct drm_syncobj_array args = { .handles = (uintptr_t)&handle, .count_handles = 1 };

	return gpu_ioctl(gpu->fd, DRM_IOCTL_SYNCOBJ_RESET, &args);
}

int sync_signal(const struct gpu *gpu, uint32_t handle)
{
	struct drm_syncobj_array args = { .handles = (uintptr_t)&handle, .count_handles = 1 };

	return gpu_ioctl(gpu->fd, DRM_IOCTL_SYNCOBJ_SIGNAL, &args);
}

int sync_transfer(const struct gpu *gpu, uint32_t dst, uint64_t dst_point, uint32_t src,
		  uint64_t src_point)
{
	struct drm_syncobj_transfer args = {
		.src_handle = src,
		.dst_handle = dst,
		.src_point = src_point,
		.dst_point = dst_point,
	};

	return gpu_ioctl(gpu->fd, DRM_IOCTL_SYNCOBJ_TRANSFER, &args);
}

int sync_wait(const struct gpu *gpu, uint32_t handle, uint64_t point, int64_t timeout_ns)
{
	int64_t end = now_ns() + timeout_ns;

	if (point) {
		struct drm_syncobj_timeline_wait args = {
			.handles = (uintptr_t)&handle,
			.points = (uintptr_t)&point,
			.timeout_nsec = end,
			.count_handles = 1,
			.flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL,
		};

		return gpu_ioctl(gpu->fd, DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &args);
	} else {
		struct drm_syncobj_wait args = {
			.handles = (uintptr_t)&handle,
			.timeout_nsec = end,
			.count_handles = 1,
			.flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL,
		};

		return gpu_ioctl(gpu->fd, DRM_IOCTL_SYNCOBJ_WAIT, &args);
	}
}

int sync_query(const struct gpu *gpu, uint32_t handle, uint64_t *point)
{
	struct drm_syncobj_timeline_array args = {
		.handles = (uintptr_t)&handle,
		.points = (uintptr_t)point,
		.count_handles = 1,
	};

	return gpu_ioctl(gpu->fd, DRM_IOCTL_SYNCOBJ_QUERY, &args);
}

int sync_status(const struct gpu *gpu, uint32_t handle)
{
	struct drm_syncobj_handle args = {
		.handle = handle,
		.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
		.fd = -1,
	};
	struct sync_file_info info = { 0 };
	int ret = gpu_ioctl(gpu->fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &args);

	if (!ret) {
		ret = gpu_ioctl(args.fd, SYNC_IOC_FILE_INFO, &info);
		close(args.fd);
	}
	if (ret) {
		fprintf(stderr, "# no fence to look at: %s\n", strerror(-ret));
		exit(1);
	}
	return info.status;
}

static int64_t meminfo(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "r");
	const size_t len = strlen(name);
	long long kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, len) && sscanf(line + len, ": %lld kB", &kib) == 1)
			break;
	}
	if (file)
		fclose(file);
	return kib << 10;
}

int64_t free_memory(void)
{
	return meminfo("MemFree");
}

int64_t table_memory(void)
{
	/* Tables that share a page of the CPU are counted among all that the kernel has in slabs. */
	return meminfo(cpu_page() > PAGE ? "SUnreclaim" : "SecPageTables");
}

FILE *gpu_debugfs(const struct gpu *gpu, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/%s", gpu->device, name);
	return fopen(path, "r");
}

long long gpu_fdinfo(const struct gpu *gpu, const char *key)
{
	char path[64], line[256];
	long long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", gpu->fd);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			value = atoll(line + strlen(key) + 1);
	}
	if (file)
		fclose(file);
	return value;
}
