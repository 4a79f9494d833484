// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * From the call of GROUP_SUBMIT to the return of the wait for the job's fence, in one thread that
 * submits and then waits, as vkQueueSubmit and vkWaitForFences do.
 */
#include "bench.h"
#include "job.h"
#include "system.h"

static const struct figure figures[] = {
	{ "wakeup", "ns", "0.6", "submit and wait, one thread: from the submission to the wake-up" },
};

static void measure(struct job *job)
{
	unsigned int count = rounds(3000, 20);
	struct samples samples = { 0 };

	for (unsigned int i = 0; i < count; i++) {
		double begin = clock_ns();

		MUST(job_submit(job, 0));
		MUST(job_wait(job));
		samples_add(&samples, clock_ns() - begin);
	}
	figure_percentile("wakeup", &samples, 50);
	samples_free(&samples);
}

static void run(void)
{
	struct job job;

	job_open(&job, 1);
	measure(&job);
	job_close(&job);
}

BENCH(wakeup, run);
