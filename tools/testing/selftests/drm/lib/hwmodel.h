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

/* How much more of it has been counted since then. */
uint64_t hwmodel_since(const struct hwmodel_counters *before, const char *name);

/* Number of records, or a negative errno. */
long hwmodel_records(void);

/*
 * What the model's table walker finds for pages of an address space: the table entry for each page,
 * or zero. 0 or a negative errno.
 */
int hwmodel_leaves(unsigned int as_nr, uint64_t va, size_t pages, uint64_t *leaves);
#define HWMODEL_SPACES		16
#define LEAF_ADDRESS		0xfffffffff000ull
#define LEAF_READONLY		(1ull << 7)
#define LEAF_NOEXEC		(1ull << 54)
#define LEAF_ATTRIBUTES		(7ull << 2)

/* One line for the model's "inject" file; 0 or a negative errno. */
int hwmodel_inject(const char *command);

#endif
