// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <stdlib.h>
#include <time.h>

#include "setting.h"

uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

struct quota quota_setting(void)
{
	int64_t seconds = setting("CHAOS_SECONDS", 0);

	if (seconds)
		return (struct quota){ UINT32_MAX, now() + seconds };
	return (struct quota){ .rounds = setting("CHAOS_ROUNDS", 25) };
}

bool quota_left(const struct quota *quota)
{
	return quota->rounds && (!quota->end || now() < quota->end);
}
