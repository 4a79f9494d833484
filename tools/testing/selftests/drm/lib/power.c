// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "power.h"

void power_status_path(const struct gpu *gpu, char *path, size_t size)
{
	snprintf(path, size, "/sys/bus/platform/devices/%s/power/runtime_status", gpu->device);
}

void power_status(const char *path, char *status, size_t size)
{
	FILE *file = fopen(path, "r");

	status[0] = '\0';
	if (!file)
		return;
	if (!fgets(status, size, file))
		status[0] = '\0';
	status[strcspn(status, "\n")] = '\0';
	fclose(file);
}

bool is_off(const char *path)
{
	char status[32];

	power_status(path, status, sizeof(status));
	return !strcmp(status, "suspended");
}

bool wait_off(const char *path)
{
	int64_t end = now_ns() + OFF_LIMIT;

	while (!is_off(path)) {
		if (now_ns() > end)
			return false;
		sleep_ms(5);
	}
	return true;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

int power_keep_on(const struct gpu *gpu, bool on)
{
	char path[160];

	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s/power/control", gpu->device);
	return write_text(path, on ? "on" : "auto");
}

int power_write(const char *text)
{
	return write_text(POWER_LOG, text);
}

void power_lines(const char *first, char *out, size_t size)
{
	FILE *file = fopen(POWER_LOG, "r");
	char line[64];
	size_t len = 0;

	out[0] = '\0';
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		if (strchr(first, line[0]) && strstr(line, "gpu") && len + strlen(line) < size)
			len += snprintf(out + len, size - len, "%s", line);
	}
	fclose(file);
}
