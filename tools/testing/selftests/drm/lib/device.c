// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device.h"

static int driver_file(const struct gpu *gpu, const char *file)
{
	char path[128];
	ssize_t written;
	int fd, ret = 0;

	snprintf(path, sizeof(path), "/sys/bus/platform/drivers/%s/%s", gpu->module, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	written = write(fd, gpu->device, strlen(gpu->device));
	if (written < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int device_unbind(const struct gpu *gpu)
{
	return driver_file(gpu, "unbind");
}

int device_bind(const struct gpu *gpu)
{
	return driver_file(gpu, "bind");
}

int device_reopen(struct gpu *gpu)
{
	int64_t end = now_ns() + 5 * SECOND;
	int ret;

	while ((ret = gpu_open(gpu)) && now_ns() < end)
		sleep_ms(10);
	return ret;
}
