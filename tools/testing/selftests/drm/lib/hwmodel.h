/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The hardware model's view of a run, from debugfs: what it counted, what it objected to, and the
 * ways to make it misbehave. All of it is absent on real hardware.
 */
#ifndef SELFTEST_HWMODEL_H
#define SELFTEST_HWMODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HWMODEL_DIR	"/sys/kernel/debug/hwmodel"

#define HWMODEL_COUNTERS_MAX	64

struct hwmodel_counters {
	size_t count;
	struct {
		char name[32];
		uint64_t value;
	} counter[HWMODEL_COUNTERS_MAX];
};

bool hwmodel_present(void);

/* 0 or a negative errno. */
int hwmodel_read(struct hwmodel_counters *counters);

/* A counter by name; zero if there is none of that name. */
uint64_t hwmodel_get(const struct hwmodel_counters *counters, const char *name);

/* Number of records, or a negative errno. */
long hwmodel_records(void);

/* One line for the model's "inject" file; 0 or a negative errno. */
int hwmodel_inject(const char *command);

#endif
