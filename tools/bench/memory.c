// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What a queue costs in memory: the kernel's whole consumption with many groups of many queues, less
 * that with as many groups of one queue, divided by the difference in queues. What a group costs by
 * itself falls out of it. Every queue has run a job, so that nothing which comes with the first job
 * is missed.
 *
 * The goal is on what a queue costs beyond the ring, whose size is user space's choice.
 */
#include <string.h>

#include "bench.h"
#include "job.h"
#include "system.h"

static const struct figure figures[] = {
	{ "queue_memory", "B", "0.5", "memory per queue beyond its ring of 64 KiB" },
	{ "queue_memory_with_ring", "B", "-", "memory per queue and its ring of 64 KiB" },
	{ "queue_memory_small_ring", "B", "-", "memory per queue beyond its ring of 4 KiB" },
	{ "group_memory", "B", "-", "memory per group beyond its queues" },
};

#define GROUPS_MAX	96

/* Memory in use by so many groups, in bytes, divided by their number. */
static double per_group(struct job *job, uint32_t queues, uint32_t ring)
{
	unsigned int groups = rounds(GROUPS_MAX, 4);
	struct drm_panthor_queue_create queue[32];
	uint32_t handle[GROUPS_MAX], timeline;
	int64_t end;
	double before, after;

	MUST(sync_create(&job->rig.gpu, false, &timeline));
	before = memory_used();
	for (unsigned int i = 0; i < groups; i++) {
		struct drm_panthor_group_create args;

		memset(queue, 0, sizeof(queue));
		for (uint32_t q = 0; q < queues; q++)
			queue[q].ringbuf_size = ring;
		args = group_args(&job->rig.gpu, job->rig.vm, queue, queues,
				  PANTHOR_GROUP_PRIORITY_MEDIUM);
		MUST(gpu_ioctl(job->rig.gpu.fd, DRM_IOCTL_PANTHOR_GROUP_CREATE, &args));
		handle[i] = args.group_handle;
		for (uint32_t q = 0; q < queues; q++) {
			MUST(job_submit_to(job, handle[i], q, timeline, i * queues + q + 1));
			MUST(sync_wait(&job->rig.gpu, timeline, i * queues + q + 1, PATIENCE));
		}
	}
	after = memory_used();
	for (unsigned int i = 0; i < groups; i++)
		group_destroy(&job->rig.gpu, handle[i]);
	sync_destroy(&job->rig.gpu, timeline);
	/* Groups go when their last jobs have let go of them. Slabs keep some pages for a while. */
	end = now_ns() + 3 * SECOND;
	do {
		settle();
	} while (memory_used() > before + (2 << 20) && now_ns() < end && !quick);
	return (after - before) / groups;
}

static void measure(struct job *job, uint32_t ring, uint32_t queues, struct samples *queue,
		    struct samples *group)
{
	double many = per_group(job, queues, ring), one = per_group(job, 1, ring);
	double each = (many - one) / (queues - 1);

	samples_add(queue, each);
	samples_add(group, one - each);
}

static void subtract(struct samples *samples, double value)
{
	for (size_t i = 0; i < samples->count; i++)
		samples->value[i] -= value;
}

static void run(void)
{
	struct samples large = { 0 }, small = { 0 }, group = { 0 };
	struct drm_panthor_csif_info csif;
	struct job job;

	job_open(&job, 1);
	MUST(gpu_csif(&job.rig.gpu, &csif));
	if (csif.cs_slot_count < 2)
		die("groups have one queue only");
	/* Once for what is allocated once, and for the slabs. */
	per_group(&job, csif.cs_slot_count, 64 << 10);
	for (unsigned int i = 0; i < rounds(2, 1); i++) {
		measure(&job, 64 << 10, csif.cs_slot_count, &large, &group);
		measure(&job, PAGE, csif.cs_slot_count, &small, &group);
	}
	job_close(&job);
	figure_percentile("queue_memory_with_ring", &large, 50);
	subtract(&large, 64 << 10);
	subtract(&small, PAGE);
	figure_percentile("queue_memory", &large, 50);
	figure_percentile("queue_memory_small_ring", &small, 50);
	figure_percentile("group_memory", &group, 50);
	samples_free(&large);
	samples_free(&small);
	samples_free(&group);
}

BENCH(memory, run);
