// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Groups that come and go, and many that share the slots.
 */
#include <string.h>

#include "bench.h"
#include "hwmodel.h"
#include "job.h"
#include "system.h"

static const struct figure figures[] = {
	{ "group_create_destroy", "ns", "1.0", "GROUP_CREATE and GROUP_DESTROY of a group that never ran" },
	{ "group_life", "ns", "1.0", "the same with a job in between" },
	{ "job_64_groups", "ns", "1.0", "time per job with 64 groups that all have work" },
	{ "accesses_64_groups", "accesses", "1.0", "register accesses per job of these" },
};

#define GROUPS	64
#define WINDOW	4	/* jobs in flight of each */

static void lives(struct job *job)
{
	struct samples samples = { 0 }, with_job = { 0 };

	for (unsigned int i = 0; i < rounds(300, 10); i++) {
		bool works = i % 2;
		double begin = clock_ns();
		uint32_t group;

		MUST(group_create(&job->rig.gpu, job->rig.vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
				  &group));
		if (works) {
			MUST(job_submit_to(job, group, 0, job->sync, 0));
			MUST(job_wait(job));
		}
		MUST(group_destroy(&job->rig.gpu, group));
		samples_add(works ? &with_job : &samples, clock_ns() - begin);
	}
	figure_percentile("group_create_destroy", &samples, 50);
	figure_percentile("group_life", &with_job, 50);
	samples_free(&samples);
	samples_free(&with_job);
}

/* What a job among many groups consists of, as the model counts it. */
static const struct {
	const char *what;
	const char *counters[3];
} counted[] = {
	{ "reads and writes", { "mmio_read", "mmio_write" } },
	{ "groups that got a slot", { "csg_start", "csg_resume" } },
	{ "doorbells", { "doorbell_csg", "doorbell_global" } },
	{ "interrupts", { "irq_job", "irq_mmu", "irq_gpu" } },
	{ "commands to address spaces", { "as_lock", "as_flush", "as_update" } },
};

static double since(const struct hwmodel_counters *before, unsigned int row)
{
	double sum = 0;

	for (unsigned int i = 0; i < COUNT(counted[row].counters) && counted[row].counters[i]; i++)
		sum += hwmodel_since(before, counted[row].counters[i]);
	return sum;
}

static void crowd(struct job *job)
{
	unsigned int jobs = rounds(GROUPS * 64, GROUPS * 2), windows = rounds(5, 1);
	struct samples time = { 0 }, touched[COUNT(counted)] = { 0 };
	uint32_t group[GROUPS], timeline[GROUPS];
	uint64_t point[GROUPS] = { 0 };

	for (unsigned int i = 0; i < GROUPS; i++) {
		MUST(group_create(&job->rig.gpu, job->rig.vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
				  &group[i]));
		MUST(sync_create(&job->rig.gpu, false, &timeline[i]));
	}
	if (!hwmodel_present())
		die("nobody counts on real hardware");
	/* The first window is for warming up. */
	for (unsigned int w = 0; w <= windows; w++) {
		struct hwmodel_counters before;
		double begin;

		MUST(hwmodel_read(&before));
		begin = clock_ns();
		for (unsigned int i = 0; i < jobs; i++) {
			unsigned int g = i % GROUPS;

			if (point[g] >= WINDOW)
				MUST(sync_wait(&job->rig.gpu, timeline[g], point[g] - WINDOW + 1,
					       PATIENCE));
			MUST(job_submit_to(job, group[g], 0, timeline[g], ++point[g]));
		}
		for (unsigned int g = 0; g < GROUPS; g++)
			MUST(sync_wait(&job->rig.gpu, timeline[g], point[g], PATIENCE));
		if (w) {
			samples_add(&time, (clock_ns() - begin) / jobs);
			for (unsigned int row = 0; row < COUNT(counted); row++)
				samples_add(&touched[row], since(&before, row) / jobs);
		}
	}
	figure_percentile("job_64_groups", &time, 50);
	figure_percentile("accesses_64_groups", &touched[0], 50);
	for (unsigned int row = 0; row < COUNT(counted); row++) {
		part("accesses_64_groups", "count", samples_percentile(&touched[row], 50), "%s",
		     counted[row].what);
		samples_free(&touched[row]);
	}
	samples_free(&time);
	for (unsigned int i = 0; i < GROUPS; i++) {
		sync_destroy(&job->rig.gpu, timeline[i]);
		group_destroy(&job->rig.gpu, group[i]);
	}
}

static void run(void)
{
	struct job job;

	job_open(&job, 1);
	lives(&job);
	crowd(&job);
	job_close(&job);
}

BENCH(groups, run);
