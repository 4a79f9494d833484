// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <poll.h>

#include <linux/sync_file.h>

#include "syncfile.h"

int syncfile_export(const struct gpu *gpu, uint32_t handle)
{
	struct drm_syncobj_handle args = {
		.handle = handle,
		.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
	};
	int ret = gpu_ioctl(gpu->fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &args);

	return ret ? ret : args.fd;
}

int syncfile_status(int file)
{
	struct sync_fence_info fences[4] = { 0 };
	struct sync_file_info args = { .num_fences = 4, .sync_fence_info = (uintptr_t)fences };

	return gpu_ioctl(file, SYNC_IOC_FILE_INFO, &args) ? -EBADF : args.status;
}

bool syncfile_ready(int file, int timeout_ms)
{
	struct pollfd poller = { .fd = file, .events = POLLIN };

	return poll(&poller, 1, timeout_ms) == 1;
}

int syncfile_merge(int file, int other)
{
	struct sync_merge_data args = { .name = "merged", .fd2 = other };
	int ret = gpu_ioctl(file, SYNC_IOC_MERGE, &args);

	return ret ? ret : args.fence;
}
