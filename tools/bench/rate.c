// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Jobs per second: one thread keeps a window of jobs in flight on each of several queues, and waits
 * for the oldest half of a window before it goes on.
 */
#include <string.h>

#include "bench.h"
#include "job.h"
#include "system.h"

static const struct figure figures[] = {
	{ "jobs_1_queue", "jobs/s", "-", "jobs per second on 1 queue" },
	{ "jobs_4_queues", "jobs/s", "-", "jobs per second on 4 queues of one group" },
	{ "jobs_16_queues", "jobs/s", "-", "jobs per second on 16 queues of two groups or more" },
};

#define WINDOW		16
#define QUEUES_MAX	16

struct target {
	uint32_t group, queue, timeline;
	uint64_t point;
};

static void drive(struct job *job, struct target *targets, unsigned int queues, unsigned int jobs)
{
	for (unsigned int i = 0; i < jobs; i++) {
		struct target *target = &targets[i % queues];

		if (target->point >= WINDOW && target->point % (WINDOW / 2) == 0)
			MUST(sync_wait(&job->rig.gpu, target->timeline, target->point - WINDOW / 2,
				       PATIENCE));
		MUST(job_submit_to(job, target->group, target->queue, target->timeline,
				   ++target->point));
	}
	for (unsigned int i = 0; i < queues; i++)
		MUST(sync_wait(&job->rig.gpu, targets[i].timeline, targets[i].point, PATIENCE));
}

static void measure(const char *name, unsigned int queues)
{
	unsigned int jobs = rounds(4000, 64), windows = rounds(5, 1);
	struct target targets[QUEUES_MAX] = { 0 };
	struct drm_panthor_csif_info csif;
	uint32_t groups[QUEUES_MAX], count = 0, in_group = 0, per_group;
	struct samples samples = { 0 };
	struct job job;

	job_open(&job, 1);
	MUST(gpu_csif(&job.rig.gpu, &csif));
	per_group = queues < csif.cs_slot_count ? queues : csif.cs_slot_count;
	for (unsigned int i = 0; i < queues; i++) {
		if (in_group == 0)
			MUST(group_create(&job.rig.gpu, job.rig.vm, per_group,
					  PANTHOR_GROUP_PRIORITY_MEDIUM, &groups[count++]));
		targets[i].group = groups[count - 1];
		targets[i].queue = in_group++;
		in_group %= per_group;
		MUST(sync_create(&job.rig.gpu, false, &targets[i].timeline));
	}
	drive(&job, targets, queues, rounds(WARM_UP, 1) * queues);
	for (unsigned int i = 0; i < windows; i++) {
		double begin = clock_ns();

		drive(&job, targets, queues, jobs);
		samples_add(&samples, jobs / ((clock_ns() - begin) / SECOND));
	}
	figure_percentile(name, &samples, 50);
	samples_free(&samples);
	for (unsigned int i = 0; i < queues; i++)
		sync_destroy(&job.rig.gpu, targets[i].timeline);
	while (count)
		group_destroy(&job.rig.gpu, groups[--count]);
	job_close(&job);
}

static void run(void)
{
	measure("jobs_1_queue", 1);
	measure("jobs_4_queues", 4);
	measure("jobs_16_queues", 16);
}

BENCH(rate, run);
