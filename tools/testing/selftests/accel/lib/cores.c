// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cores.h"
#include "layer.h"
#include "npu.h"
#include "text.h"

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

int core_attribute(uint32_t core, const char *name, char *path, size_t size)
{
	char names[MAX_CORES][NAME_MAX + 1];

	if (core >= find(names))
		return -ENODEV;
	snprintf(path, size, DEVICES "/%s/%s", names[core], name);
	return 0;
}

bool core_is_bound(uint32_t core)
{
	char path[512];

	return !core_attribute(core, "driver", path, sizeof(path)) && access(path, F_OK) == 0;
}

static int write_name(uint32_t core, const char *file)
{
	char names[MAX_CORES][NAME_MAX + 1], path[512];

	if (core >= find(names))
		return -ENODEV;
	snprintf(path, sizeof(path), "/sys/bus/platform/drivers/%s/%s", driver_name(), file);
	return text_write(path, names[core]);
}

int core_unbind(uint32_t core)
{
	return write_name(core, "unbind");
}

int core_bind(uint32_t core)
{
	return write_name(core, "bind");
}

bool cores_have_the_kernels_space(void)
{
	char path[512], type[16];

	return !core_attribute(0, "iommu_group/type", path, sizeof(path)) &&
	       text_read(path, type, sizeof(type)) && !strncmp(type, "DMA", 3);
}

uint64_t tasks_since(const struct hwmodel_counters *before)
{
	return hwmodel_since(before, "npu0_task") + hwmodel_since(before, "npu1_task") +
	       hwmodel_since(before, "npu2_task");
}

static bool has_status(uint32_t core, const char *wanted)
{
	char path[512], status[32];

	return !core_attribute(core, "power/runtime_status", path, sizeof(path)) &&
	       text_read(path, status, sizeof(status)) && !strcmp(status, wanted);
}

uint32_t cores_on(void)
{
	uint32_t on = 0;

	for (uint32_t core = 0; core < cores_count(); core++) {
		if (core_is_bound(core) && has_status(core, "active"))
			on |= 1u << core;
	}
	return on;
}

int cores_wait_off(void)
{
	int64_t end = now_ns() + PATIENCE;

	for (uint32_t core = 0; core < cores_count(); core++) {
		while (core_is_bound(core) && !has_status(core, "suspended")) {
			if (now_ns() > end)
				return -ETIME;
			usleep(5000);
		}
	}
	return 0;
}

static int run_on(struct npu *npu, const struct layer *layer, uint32_t cores)
{
	static const char * const counters[] = { "npu0_task", "npu1_task", "npu2_task" };
	uint32_t count = __builtin_popcount(cores);
	struct loaded loaded[MAX_CORES] = { 0 };
	struct drm_rocket_job jobs[MAX_CORES];
	struct hwmodel_counters before;
	struct lists lists = { 0 };
	int ret = lists_create(npu, &lists);

	for (uint32_t i = 0; i < count && !ret; i++) {
		ret = layer_load(npu, layer, &loaded[i]);
		if (ret)
			break;
		lists_add(&lists, layer, &loaded[i]);
		jobs[i] = npu_job(&lists.tasks[i], 1, &loaded[i].input, &loaded[i].output);
	}
	ret = ret ?: hwmodel_read(&before);
	ret = ret ?: npu_submit(npu, jobs, count);
	for (uint32_t i = 0; i < count; i++) {
		int far = ret ?: layer_check(layer, &loaded[i]);

		if (far > 1)
			ret = -EIO;
		else if (far < 0)
			ret = far;
		layer_unload(&loaded[i]);
	}
	for (uint32_t i = 0; i < 3 && !ret; i++) {
		if (hwmodel_since(&before, counters[i]) != (cores >> i & 1))
			ret = -ESRCH;
	}
	lists_destroy(&lists);
	return ret;
}

int cores_run(uint32_t cores)
{
	struct layer layer;
	struct npu npu;
	int ret = npu_open(&npu);

	if (ret)
		return ret;
	layer_generate(&layer, 1, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	ret = hwmodel_inject("npu delay 100000000");
	ret = ret ?: run_on(&npu, &layer, cores);
	hwmodel_inject("npu delay 0");
	layer_free(&layer);
	npu_close(&npu);
	return ret;
}
