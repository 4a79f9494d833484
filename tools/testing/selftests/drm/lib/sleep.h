/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * System sleep, by the kernel's own rehearsal of it: everything is done up to the level, and undone after
 * a second. Needs root, and CONFIG_PM_SLEEP_DEBUG.
 */
#ifndef SELFTEST_SLEEP_H
#define SELFTEST_SLEEP_H

#include <stdbool.h>

/* Whether this kernel can do it. */
bool system_sleep_possible(const char *state, const char *level);
/* How a system sleeps: the variants of a fixture, for system_sleep() and system_sleep_possible(). */
#define SYSTEM_SLEEPS(fixture)					\
	FIXTURE_VARIANT(fixture) {				\
		const char *state, *level;			\
	};							\
	FIXTURE_VARIANT_ADD(fixture, idle) {			\
		.state = "freeze",				\
		.level = "devices",				\
	};							\
	FIXTURE_VARIANT_ADD(fixture, to_memory) {		\
		.state = "mem",					\
		.level = "core",				\
	};							\
	/* Frozen for an image, and restored as from one. */	\
	FIXTURE_VARIANT_ADD(fixture, to_disk) {			\
		.state = "disk",				\
		.level = "devices",				\
	}

/*
 * To "freeze", "mem" or "disk", up to "devices" or "core", and back. 0 or a negative errno. The last of these is done by
 * hibernator.ko: user space, this process included, is not frozen meanwhile.
 */
int system_sleep(const char *state, const char *level);

#endif
