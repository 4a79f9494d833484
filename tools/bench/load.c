// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Submit and wait on a machine that is busy: two processes per CPU that never sleep, and a
 * submitter with SCHED_FIFO, as a compositor has it. Whatever the way of a job needs a worker of
 * normal priority for waits behind these processes.
 */
#include <string.h>

#include "bench.h"
#include "job.h"
#include "system.h"

static const struct figure figures[] = {
	{ "wakeup_load_p99", "ns", "0.3",
	  "wakeup at its 99th percentile: two busy loops per CPU, submitter with SCHED_FIFO" },
	{ "wakeup_load_p50", "ns", "-", "the same at its median" },
};

#define LIMIT	(20 * SECOND)

static void run(void)
{
	unsigned int count = rounds(5000, 10);
	struct samples samples = { 0 };
	struct job job;
	int64_t end;

	job_open(&job, 1);
	/* Before the policy changes, which children inherit. */
	load_start();
	realtime(true);
	end = now_ns() + LIMIT;
	job_run(&job, rounds(20, 2));
	/* A 99th percentile needs some hundred samples, however long that takes. */
	for (unsigned int i = 0; i < count && (i < 300 || now_ns() < end); i++) {
		double begin = clock_ns();

		MUST(job_submit(&job, 0));
		MUST(job_wait(&job));
		samples_add(&samples, clock_ns() - begin);
	}
	realtime(false);
	load_stop();
	figure_percentile("wakeup_load_p99", &samples, 99);
	figure_percentile("wakeup_load_p50", &samples, 50);
	samples_free(&samples);
	job_close(&job);
}

BENCH(load, run);
