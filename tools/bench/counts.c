// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What a job costs in register accesses, doorbells and interrupts, as the model counts them.
 *
 * The figure is the median over jobs that are run and counted one at a time: an exact number, the
 * same in every run. Its parts are the means over many jobs in a row, in which the scheduler's
 * ticks have their share, and those over jobs of which several are in flight, where one interrupt
 * may stand for several jobs.
 */
#include <string.h>

#include "bench.h"
#include "hwmodel.h"
#include "job.h"

static const struct figure figures[] = {
	{ "register_reads", "count", "-", "register reads per job" },
	{ "register_writes", "count", "-", "register writes per job, doorbells included" },
	{ "register_accesses", "accesses", "1.0", "register accesses per job, doorbells included" },
	{ "doorbells", "count", "1", "doorbells per job" },
	{ "interrupts", "count", "-", "interrupts per job" },
};

static const char *const counted[COUNT(figures)][4] = {
	{ "mmio_read" },
	{ "mmio_write" },
	{ "mmio_read", "mmio_write" },
	{ "doorbell_csg", "doorbell_global" },
	{ "irq_job", "irq_mmu", "irq_gpu" },
};

#define IN_FLIGHT	8

static double value(const struct hwmodel_counters *counters, size_t figure)
{
	double sum = 0;

	for (size_t i = 0; i < COUNT(counted[0]) && counted[figure][i]; i++)
		sum += hwmodel_get(counters, counted[figure][i]);
	return sum;
}

static void mean(const char *what, const struct hwmodel_counters *before, unsigned int jobs)
{
	struct hwmodel_counters after;

	MUST(hwmodel_read(&after));
	for (size_t f = 0; f < COUNT(figures); f++)
		part(figures[f].name, "count", (value(&after, f) - value(before, f)) / jobs, "%s",
		     what);
}

static void run(void)
{
	unsigned int singles = rounds(300, 9), jobs = rounds(1000, 32);
	struct samples samples[COUNT(figures)] = { 0 };
	struct hwmodel_counters before, after;
	uint32_t timeline;
	struct job job;

	if (!hwmodel_present())
		die("nobody counts on real hardware");
	job_open(&job, 1);
	for (unsigned int i = 0; i < singles; i++) {
		MUST(hwmodel_read(&before));
		job_run(&job, 1);
		MUST(hwmodel_read(&after));
		for (size_t f = 0; f < COUNT(figures); f++)
			samples_add(&samples[f], value(&after, f) - value(&before, f));
	}
	for (size_t f = 0; f < COUNT(figures); f++) {
		figure_percentile(figures[f].name, &samples[f], 50);
		samples_free(&samples[f]);
	}

	MUST(hwmodel_read(&before));
	job_run(&job, jobs);
	mean("one after the other, with the scheduler's ticks", &before, jobs);

	MUST(sync_create(&job.rig.gpu, false, &timeline));
	MUST(hwmodel_read(&before));
	for (unsigned int i = 1; i <= jobs; i++) {
		MUST(job_submit_to(&job, job.rig.group, 0, timeline, i));
		if (i % IN_FLIGHT == 0)
			MUST(sync_wait(&job.rig.gpu, timeline, i, PATIENCE));
	}
	MUST(sync_wait(&job.rig.gpu, timeline, jobs, PATIENCE));
	mean("eight at a time, with the scheduler's ticks", &before, jobs);
	job_close(&job);
}

BENCH(counts, run);
