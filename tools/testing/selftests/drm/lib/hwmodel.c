// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hwmodel.h"
#include "text.h"

bool hwmodel_present(void)
{
	return access(HWMODEL_DIR "/counters", R_OK) == 0;
}

int hwmodel_read(struct hwmodel_counters *counters)
{
	FILE *file = fopen(HWMODEL_DIR "/counters", "r");
	char line[128];

	counters->count = 0;
	if (!file)
		return -errno;
	while (counters->count < HWMODEL_COUNTERS_MAX && fgets(line, sizeof(line), file)) {
		unsigned long long value;

		if (sscanf(line, "%31s %llu", counters->counter[counters->count].name, &value) != 2)
			continue;
		counters->counter[counters->count++].value = value;
	}
	fclose(file);
	return 0;
}

uint64_t hwmodel_get(const struct hwmodel_counters *counters, const char *name)
{
	size_t i;

	for (i = 0; i < counters->count; i++) {
		if (!strcmp(counters->counter[i].name, name))
			return counters->counter[i].value;
	}
	return 0;
}

uint64_t hwmodel_since(const struct hwmodel_counters *before, const char *name)
{
	struct hwmodel_counters now;

	hwmodel_read(&now);
	return hwmodel_get(&now, name) - hwmodel_get(before, name);
}

long hwmodel_records(void)
{
	FILE *file = fopen(HWMODEL_DIR "/records", "r");
	long count;

	if (!file)
		return -errno;
	if (fscanf(file, "%ld", &count) != 1)
		count = -EPROTO;
	fclose(file);
	return count;
}

int hwmodel_leaves(unsigned int as_nr, uint64_t va, size_t pages, uint64_t *leaves)
{
	size_t bytes = pages * sizeof(*leaves);
	char path[64];
	ssize_t got;
	int fd, ret = 0;

	snprintf(path, sizeof(path), HWMODEL_DIR "/as/%u", as_nr);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = pread(fd, leaves, bytes, va / 4096 * sizeof(*leaves));
	if (got < 0)
		ret = -errno;
	else if ((size_t)got != bytes)
		ret = -EIO;
	close(fd);
	return ret;
}

int hwmodel_inject(const char *command)
{
	return text_write(HWMODEL_DIR "/inject", command);
}
