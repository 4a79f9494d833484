/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The rates of a device among which devfreq chooses. */
#ifndef SELFTEST_RATES_H
#define SELFTEST_RATES_H

#include <stdbool.h>
#include <stddef.h>

#define MAX_RATES	32

struct rates {
	char dir[256];
	/* In ascending order; the first and the last one again. */
	long long at[MAX_RATES], low, high;
	size_t count;
};

/* Those in a directory of devfreq's. False if there are none. */
bool rates_find(struct rates *rates, const char *dir);

/* Where an attribute is. */
void rates_attribute(const struct rates *rates, const char *name, char *path, size_t size);

/* A number, or -1. */
long long rates_get(const struct rates *rates, const char *name);
/* 0 or a negative errno. */
int rates_put(const struct rates *rates, const char *name, long long value);

/* Waits until this is the rate. The governor looks every 50 ms; a busy machine takes its time. */
bool rates_wait(const struct rates *rates, long long rate);

#endif
