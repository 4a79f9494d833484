// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hwmodel.h"
#include "reclaim.h"

static void shrink_path(const struct gpu *gpu, char *path, size_t size)
{
	/* The minor's directory; "/dev/dri/renderD128" ends with its number. */
	snprintf(path, size, "/sys/kernel/debug/dri/%s/shrink",
		 gpu->node + strcspn(gpu->node, "0123456789"));
}

bool reclaim_possible(const struct gpu *gpu)
{
	FILE *file = fopen("/proc/swaps", "r");
	char path[64], line[256];
	int lines = 0;

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file))
		lines++;
	fclose(file);
	shrink_path(gpu, path, sizeof(path));
	return lines > 1 && !access(path, W_OK);
}

int reclaim(const struct gpu *gpu, unsigned int pages)
{
	char path[64], number[16];
	int fd, ret = 0;

	shrink_path(gpu, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(number, sizeof(number), "%u", pages);
	if (write(fd, number, strlen(number)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

long reclaimable(const struct gpu *gpu)
{
	char path[64];
	FILE *file;
	long pages;

	shrink_path(gpu, path, sizeof(path));
	file = fopen(path, "r");
	if (!file)
		return -errno;
	if (fscanf(file, "%ld", &pages) != 1)
		pages = -EPROTO;
	fclose(file);
	return pages;
}

long cpu_faults(const struct bo *bo)
{
	const volatile uint32_t *word = bo->u32;
	struct rusage before, after;

	getrusage(RUSAGE_THREAD, &before);
	for (size_t offset = 0; offset < bo->size; offset += PAGE)
		(void)word[offset / sizeof(*word)];
	getrusage(RUSAGE_THREAD, &after);
	return after.ru_minflt - before.ru_minflt + after.ru_majflt - before.ru_majflt;
}

int space_of(uint64_t va)
{
	for (unsigned int space = 1; space < HWMODEL_SPACES; space++) {
		uint64_t leaf;

		if (!hwmodel_leaves(space, va, 1, &leaf) && leaf)
			return space;
	}
	return -ENOENT;
}

long gpu_mapped(int space, uint64_t va, size_t pages)
{
	uint64_t *leaf = calloc(pages, sizeof(*leaf));
	long found;

	if (!leaf || space < 0) {
		free(leaf);
		return -EINVAL;
	}
	found = hwmodel_leaves(space, va, pages, leaf);
	for (size_t i = 0; found >= 0 && i < pages; i++)
		found += !!leaf[i];
	free(leaf);
	return found;
}
