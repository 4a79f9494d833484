// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <string.h>
#include <unistd.h>

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

bool system_sleep_possible(const char *state, const char *level)
{
	return !geteuid() && offers(STATE, state) && offers(LEVEL, level);
}

int system_sleep(const char *state, const char *level)
{
	int ret = text_write(LEVEL, level);

	/* In seconds; a kernel that doesn't have it takes longer. */
	text_write(DELAY, "1");
	if (!ret)
		ret = text_write(STATE, state);
	text_write(LEVEL, "none");
	return ret;
}
