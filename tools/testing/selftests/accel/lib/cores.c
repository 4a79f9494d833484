// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cores.h"
#include "npu.h"

#define DEVICES	"/sys/bus/platform/devices"

const char *driver_name(void)
{
	return npu_is_c_driver() ? "rocket" : "rknn";
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The devices' names, by address. */
static uint32_t find(char names[MAX_CORES][NAME_MAX + 1])
{
	DIR *dir = opendir(DEVICES);
	struct dirent *entry;
	uint32_t count = 0;

	while (dir && count < MAX_CORES && (entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');

		if (dot && !strcmp(dot, ".npu"))
			snprintf(names[count++], sizeof(names[0]), "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	qsort(names, count, sizeof(names[0]), by_name);
	return count;
}

uint32_t cores_count(void)
{
	char names[MAX_CORES][NAME_MAX + 1];

	return find(names);
}

bool core_is_bound(uint32_t core)
{
	char names[MAX_CORES][NAME_MAX + 1], path[512];

	if (core >= find(names))
		return false;
	snprintf(path, sizeof(path), DEVICES "/%s/driver", names[core]);
	return access(path, F_OK) == 0;
}

static int write_name(uint32_t core, const char *file)
{
	char names[MAX_CORES][NAME_MAX + 1], path[512];
	int fd, ret = 0;

	if (core >= find(names))
		return -ENODEV;
	snprintf(path, sizeof(path), "/sys/bus/platform/drivers/%s/%s", driver_name(), file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, names[core], strlen(names[core])) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int core_unbind(uint32_t core)
{
	return write_name(core, "unbind");
}

int core_bind(uint32_t core)
{
	return write_name(core, "bind");
}

uint64_t tasks_since(const struct hwmodel_counters *before)
{
	return hwmodel_since(before, "npu0_task") + hwmodel_since(before, "npu1_task") +
	       hwmodel_since(before, "npu2_task");
}
