// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <stdio.h>
#include <string.h>

#include "power.h"
#include "text.h"

void power_status_path(const struct gpu *gpu, char *path, size_t size)
{
	snprintf(path, size, "/sys/bus/platform/devices/%s/power/runtime_status", gpu->device);
}

void power_status(const char *path, char *status, size_t size)
{
	text_read(path, status, size);
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

int power_keep_on(const struct gpu *gpu, bool on)
{
	char path[160];

	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s/power/control", gpu->device);
	return text_write(path, on ? "on" : "auto");
}

int power_write(const char *text)
{
	return text_write(POWER_LOG, text);
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
