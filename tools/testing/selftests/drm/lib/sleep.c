// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sleep.h"

#define STATE	"/sys/power/state"
#define LEVEL	"/sys/power/pm_test"
#define DELAY	"/sys/module/suspend/parameters/pm_test_delay"

static bool offers(const char *path, const char *word)
{
	char text[128] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	return got > 0 && strstr(text, word);
}

static int write_word(const char *path, const char *word)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = fd < 0 || write(fd, word, strlen(word)) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

bool system_sleep_possible(const char *state, const char *level)
{
	return !geteuid() && offers(STATE, state) && offers(LEVEL, level);
}

int system_sleep(const char *state, const char *level)
{
	int ret = write_word(LEVEL, level);

	/* In seconds; a kernel that doesn't have it takes longer. */
	write_word(DELAY, "1");
	if (!ret)
		ret = write_word(STATE, state);
	write_word(LEVEL, "none");
	return ret;
}
