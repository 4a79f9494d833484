/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * A report for people: titled steps, checks, and what each step cost by the hardware model's
 * counters. Coloured on a terminal only.
 */
#ifndef SELFTEST_REPORT_H
#define SELFTEST_REPORT_H

#include <stdbool.h>

void report_open(void);
/* Last line; returns the exit status. */
int report_close(const char *name);

void title(const char *text);

/* A step is a title, whatever is said and checked, and its cost for the GPU. */
void begin_step(const char *text);
void end_step(void);

/* What the model has counted since the step began. Returns false if there is no model. */
bool step_cost(const char *name, unsigned long long *count);

__attribute__((format(printf, 1, 2)))
void say(const char *format, ...);

/* One thing that has to be so; returns whether it is. */
__attribute__((format(printf, 2, 3)))
bool check(bool good, const char *format, ...);

/* A call that has to work, given its result of zero or a negative errno. */
bool works(int ret, const char *what);

#endif
