// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <stdlib.h>

#include "bench.h"
#include "samples.h"

void samples_add(struct samples *samples, double value)
{
	if (samples->count == samples->room) {
		samples->room = samples->room ? 2 * samples->room : 256;
		samples->value = realloc(samples->value, samples->room * sizeof(*samples->value));
		if (!samples->value)
			die("no memory for samples");
	}
	samples->value[samples->count++] = value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void sort(struct samples *samples)
{
	qsort(samples->value, samples->count, sizeof(*samples->value), compare);
}

double samples_percentile(struct samples *samples, double percentile)
{
	if (!samples->count)
		return 0;
	sort(samples);
	return samples->value[(size_t)(percentile / 100 * (samples->count - 1) + 0.5)];
}

double samples_midmean(struct samples *samples)
{
	size_t first = samples->count / 4, last = samples->count - first;
	double sum = 0;

	if (!samples->count)
		return 0;
	sort(samples);
	for (size_t i = first; i < last; i++)
		sum += samples->value[i];
	return sum / (last - first);
}

void samples_free(struct samples *samples)
{
	free(samples->value);
	*samples = (struct samples){ 0 };
}
