// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <stdio.h>

#include "device.h"
#include "text.h"

static int driver_file(const struct gpu *gpu, const char *file)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/platform/drivers/%s/%s", gpu->module, file);
	return text_write(path, gpu->device);
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
