// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "module.h"
#include "sleep.h"
#include "text.h"

#define STATE	"/sys/power/state"
#define LEVEL	"/sys/power/pm_test"
#define DELAY	"/sys/module/suspend/parameters/pm_test_delay"

static bool offers(const char *path, const char *word)
{
	char text[128];

	return text_read(path, text, sizeof(text)) && strstr(text, word);
}

/* Where hibernator.ko is: next to the programs, as they are built. */
static bool find_hibernator(char *path, size_t size)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len < 0)
		return false;
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	return snprintf(path, size, "%s/../exporter/hibernator.ko", self) < (int)size &&
	       !access(path, R_OK);
}

bool system_sleep_possible(const char *state, const char *level)
{
	char path[PATH_MAX];

	if (geteuid() || !offers(LEVEL, level))
		return false;
	return strcmp(state, "disk") ? offers(STATE, state) : find_hibernator(path, sizeof(path));
}

int system_sleep(const char *state, const char *level)
{
	char path[PATH_MAX];
	int ret;

	if (!strcmp(state, "disk")) {
		ret = find_hibernator(path, sizeof(path)) ? module_load(path) : -ENOENT;
		return ret ? ret : module_unload("hibernator");
	}
	ret = text_write(LEVEL, level);
	/* In seconds; a kernel that doesn't have it takes longer. */
	text_write(DELAY, "1");
	if (!ret)
		ret = text_write(STATE, state);
	text_write(LEVEL, "none");
	return ret;
}
