/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the environment says of how a test is to run. */
#ifndef SELFTEST_SETTING_H
#define SELFTEST_SETTING_H

#include <stdbool.h>
#include <stdint.h>

/* A number from the environment; @otherwise if there is none of that name. */
uint64_t setting(const char *name, uint64_t otherwise);

/* How long something goes on: a number of rounds, or, with @end, until then. */
struct quota {
	uint32_t rounds;
	int64_t end;		/* seconds of CLOCK_MONOTONIC, or 0 */
};

/* From CHAOS_SECONDS, or CHAOS_ROUNDS, or 25 rounds. */
struct quota quota_setting(void);

/* Whether there is a round to be done. */
bool quota_left(const struct quota *quota);

#endif
