// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * How long several jobs of one file take that have nothing to do with each other. The model holds each
 * task for a set time, by a timer and without a processor, so what is measured is how many cores the
 * driver makes use of, and not how many processors this machine has.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "hwmodel.h"
#include "system.h"
#include "work.h"

static const struct figure figures[] = {
	{ "npu_one_job", "ns", "-", "a job of 10 ms, from SUBMIT to the return of PREP_BO" },
	{ "npu_two_jobs", "ns", "0.55", "two such jobs of one file in one call" },
	{ "npu_three_jobs", "ns", "0.4", "three such jobs of one file in one call" },
};

#define TASK_NS		10000000

static void run(void)
{
	unsigned int count = rounds(40, 3);
	char line[32];
	struct work work;

	if (!hwmodel_present())
		die("nobody holds a task on real hardware");
	work_open(&work, WARM_UP);
	snprintf(line, sizeof(line), "npu delay %u", TASK_NS);
	MUST(hwmodel_inject(line));
	for (unsigned int jobs = 1; jobs <= MOST_JOBS; jobs++) {
		struct samples samples = { 0 };

		for (unsigned int i = 0; i < count; i++) {
			double begin = clock_ns();

			MUST(work_submit(&work, jobs));
			MUST(work_wait(&work, jobs));
			samples_add(&samples, clock_ns() - begin);
		}
		figure_percentile(figures[jobs - 1].name, &samples, 50);
		samples_free(&samples);
	}
	MUST(hwmodel_inject("clear"));
	work_close(&work);
}

BENCH(npu_parallel, run);
