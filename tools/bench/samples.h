/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* A set of numbers, and what can be said about it. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stddef.h>

struct samples {
	double *value;
	size_t count, room;
};

void samples_add(struct samples *samples, double value);
/* Sorts them. Zero if there are none. */
double samples_percentile(struct samples *samples, double percentile);
/* Of the middle half: finer than a median where a clock is coarse. */
double samples_midmean(struct samples *samples);
void samples_free(struct samples *samples);

#endif
