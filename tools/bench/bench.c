// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The benchmark program: measures one driver in one boot, and prints what it has found for a
 * script to read. See Documentation/bench.rst for the lines that it prints.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "system.h"

bool quick;

void die(const char *format, ...)
{
	va_list args;

	load_stop();
	fflush(stdout);
	va_start(args, format);
	fprintf(stderr, "bench: error: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

static const struct figure *find(const char *name)
{
	for (size_t b = 0; b < hardware.count; b++) {
		for (size_t f = 0; f < hardware.benches[b]->count; f++) {
			if (!strcmp(hardware.benches[b]->figures[f].name, name))
				return &hardware.benches[b]->figures[f];
		}
	}
	die("no figure '%s'", name);
}

static void begin_line(const char *name, double value)
{
	const struct figure *figure = find(name);

	printf("figure %s unit=%s goal=%s value=%.10g", name, figure->unit, figure->goal, value);
}

void figure_value(const char *name, double value)
{
	begin_line(name, value);
	printf("\n");
}

void figure_percentile(const char *name, struct samples *samples, double percentile)
{
	if (!samples->count)
		die("%s: no samples", name);
	begin_line(name, samples_percentile(samples, percentile));
	printf(" percentile=%g n=%zu min=%.10g p25=%.10g p50=%.10g p75=%.10g p99=%.10g max=%.10g\n",
	       percentile, samples->count, samples_percentile(samples, 0),
	       samples_percentile(samples, 25), samples_percentile(samples, 50),
	       samples_percentile(samples, 75), samples_percentile(samples, 99),
	       samples_percentile(samples, 100));
}

void part(const char *figure, const char *unit, double value, const char *format, ...)
{
	va_list args;

	find(figure);
	printf("part %s unit=%s value=%.10g what=", figure, unit, value);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

static void list(void)
{
	for (size_t b = 0; b < hardware.count; b++) {
		for (size_t f = 0; f < hardware.benches[b]->count; f++) {
			const struct figure *figure = &hardware.benches[b]->figures[f];

			printf("%s %s %s %s %s\n", hardware.benches[b]->name, figure->name, figure->unit,
			       figure->goal, figure->what);
		}
	}
}

static void usage(FILE *to)
{
	fprintf(to, "usage: %s [--quick] [--list] [BENCHMARK...]\n\n"
		"Measures the %s driver that is loaded. Needs root.\n\n"
		"  --quick   a few rounds only: shows that it works, measures nothing\n"
		"  --list    benchmark, figure, unit, goal and meaning, one figure a line\n\n"
		"Benchmarks (default: all):", program_invocation_short_name,
		hardware.name);
	for (size_t b = 0; b < hardware.count; b++)
		fprintf(to, " %s", hardware.benches[b]->name);
	fprintf(to, "\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	size_t known = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'q':
			quick = true;
			break;
		case 'l':
			list();
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("driver %s\n", hardware.driver());
	clock_init();
	for (size_t b = 0; b < hardware.count; b++) {
		bool wanted = optind == argc;

		for (int i = optind; i < argc; i++) {
			if (!strcmp(argv[i], hardware.benches[b]->name)) {
				wanted = true;
				known++;
			}
		}
		if (!wanted)
			continue;
		printf("bench %s\n", hardware.benches[b]->name);
		hardware.benches[b]->run();
	}
	if (known != argc - optind)
		die("there is no such benchmark: see --help");
	printf("done\n");
	return 0;
}
