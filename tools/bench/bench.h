/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the benchmarks share: figures, and how one is reported.
 *
 * A benchmark is a function that measures one or several figures on one driver. Goals are ratios to
 * another driver, or counts; the program only says what they are, and who compares two runs holds
 * the figures against them.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "samples.h"

struct figure {
	const char *name;
	/*
	 * "count" for what is exact, and "times" for a ratio that the program itself has formed: their
	 * goals are no ratios to another driver.
	 */
	const char *unit;
	const char *goal;	/* "-" if there is none */
	const char *what;	/* one line for people */
};

struct bench {
	const char *name;
	const struct figure *figures;
	size_t count;
	void (*run)(void);
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* One benchmark of a file: its figures are the array called "figures". */
#define BENCH(label, function)			\
	const struct bench label##_bench = {	\
		.name = #label,			\
		.figures = figures,		\
		.count = COUNT(figures),	\
		.run = function,		\
	}

/* What a program measures: each has one of these, and a list of benchmarks. */
struct hardware {
	const char *name;
	const struct bench *const *benches;
	size_t count;
	/* What the driver's module is called; ends the program if there is no device. */
	const char *(*driver)(void);
};

extern const struct hardware hardware;

/* Whether only the way is to be walked, with a few rounds; nothing that comes out is to be believed. */
extern bool quick;

/* So many rounds. */
static inline unsigned int rounds(unsigned int full, unsigned int few)
{
	return quick ? few : full;
}

/* End the program; a benchmark that can't be measured is an error. */
__attribute__((noreturn, format(printf, 1, 2)))
void die(const char *format, ...);

/* A call that has to work: zero, or a positive result. */
#define MUST(call) do {								\
	int must_ = (call);							\
										\
	if (must_ < 0)								\
		die("%s:%d: %s: %s", __FILE__, __LINE__, #call, strerror(-must_));	\
} while (0)

/* A figure is a percentile of samples, or one value. */
void figure_percentile(const char *name, struct samples *samples, double percentile);
void figure_value(const char *name, double value);

/* A part of what a figure is made of: where its time goes, or what its count consists of. */
__attribute__((format(printf, 4, 5)))
void part(const char *figure, const char *unit, double value, const char *format, ...);

#endif
