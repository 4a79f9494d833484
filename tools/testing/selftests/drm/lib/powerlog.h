/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The model's log of what was switched, and what it refuses to switch on. */
#ifndef SELFTEST_POWERLOG_H
#define SELFTEST_POWERLOG_H

#include <stddef.h>

/* A clock, a supply or a power domain, and a lower case letter for it. */
struct switched {
	const char *name;
	char letter;
};

/* "reset" starts anew; "refuse NAME COUNT". 0 or a negative errno. */
int powerlog_write(const char *text);

/*
 * What was switched of those @names, one letter for each: upper case on, lower case off, and after an
 * exclamation mark what has refused to go on.
 */
void powerlog_read(const struct switched *names, size_t count, char *out, size_t size);

/* Whether everything that went on has gone off. */
int powerlog_balanced(const char *log);

#endif
