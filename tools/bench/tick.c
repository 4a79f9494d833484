// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What a decision of the scheduler costs while as many groups are busy as there are slots, alone and
 * among a thousand others that have nothing to do.
 *
 * The cost is the time between the beginning and the end of the driver's tick, by the workqueue
 * tracepoints. The groups wait on the GPU for a word in memory, so that ticks find the same state
 * every time and have nothing to do but to decide and to rotate priorities.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "job.h"
#include "trace.h"

static const struct figure figures[] = {
	{ "tick", "ns", "-", "a scheduler tick with all slots busy" },
	{ "tick_1000_idle", "ns", "-", "the same with 1000 idle groups" },
	{ "tick_growth", "times", "1.1", "how much dearer 1000 idle groups make a tick" },
};

#define FILES		8	/* a file has 128 groups at most */
#define BUSY_MAX	16
/* The shortest: a tick waits for the firmware, and what is above that is waiting for a processor. */
#define PERCENTILE	0

struct ticks {
	struct samples time;
	double begin;		/* of the one that runs, or zero */
};

/* By the name of its function: C's own, or of the work item of the Rust driver's scheduler with number 0. */
static bool is_tick(const char *item)
{
	return strstr(item, "tick_work") || (strstr(item, "5sched4Core") && strstr(item, "Ky0_"));
}

static void take(const struct trace_event *event, void *data)
{
	struct ticks *ticks = data;

	if (!is_tick(event->fields))
		return;
	if (!strcmp(event->name, "workqueue_execute_start")) {
		ticks->begin = event->us;
	} else if (!strcmp(event->name, "workqueue_execute_end") && ticks->begin) {
		samples_add(&ticks->time, (event->us - ticks->begin) * 1000);
		ticks->begin = 0;
	}
}

/* Busy groups, ticks for a while, and their end. */
static void measure(struct job *job, struct ticks *ticks)
{
	struct rig *rig = &job->rig;
	struct drm_panthor_csif_info csif;
	uint32_t group[BUSY_MAX], timeline;

	MUST(gpu_csif(&rig->gpu, &csif));
	if (csif.csg_slot_count > BUSY_MAX)
		die("more slots than expected");
	MUST(sync_create(&rig->gpu, false, &timeline));
	rig->data.u32[0] = 0;
	for (uint32_t i = 0; i < csif.csg_slot_count; i++) {
		struct cs cs = rig_stream(rig, 1 + i);
		struct drm_panthor_sync_op signal = sync_signal_op(timeline, i + 1);
		struct drm_panthor_queue_submit submit;

		rig->data.u32[16 * (i + 1)] = 0;
		cs_put32(&cs, rig->data.va + 64 * (i + 1), 1);
		cs_spin_while_zero(&cs, rig->data.va);
		submit = (struct drm_panthor_queue_submit){
			.stream_size = cs_bytes(&cs),
			.stream_addr = rig_stream_va(rig, &cs),
			.syncs = DRM_PANTHOR_OBJ_ARRAY(1, &signal),
		};
		MUST(group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &group[i]));
		MUST(group_submit(&rig->gpu, group[i], &submit, 1));
	}
	for (uint32_t i = 0; i < csif.csg_slot_count; i++)
		MUST(rig_wait_word(rig, 16 * (i + 1), 1));

	for (unsigned int i = 0; i < 100 && ticks->time.count < rounds(100, 3); i++) {
		ticks->begin = 0;
		trace_enable("workqueue/workqueue_execute_start");
		trace_enable("workqueue/workqueue_execute_end");
		trace_start();
		sleep_ms(rounds(1000, 100));
		trace_stop(take, ticks);
	}

	rig->data.u32[0] = 1;
	MUST(sync_wait(&rig->gpu, timeline, csif.csg_slot_count, PATIENCE));
	for (uint32_t i = 0; i < csif.csg_slot_count; i++)
		MUST(group_destroy(&rig->gpu, group[i]));
	sync_destroy(&rig->gpu, timeline);
}

/* Groups that have run once, and might again. */
static void add_idle(struct job *job, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		uint32_t group;

		MUST(group_create(&job->rig.gpu, job->rig.vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
				  &group));
		MUST(job_submit_to(job, group, 0, job->sync, 0));
		MUST(job_wait(job));
	}
}

static void run(void)
{
	struct ticks alone = { 0 }, crowded = { 0 };
	struct job job, idle[FILES];

	trace_open();
	job_open(&job, 1);
	measure(&job, &alone);
	for (unsigned int i = 0; i < FILES; i++) {
		job_open(&idle[i], 1);
		add_idle(&idle[i], rounds(1000 / FILES, 3));
	}
	measure(&job, &crowded);
	for (unsigned int i = 0; i < FILES; i++)
		job_close(&idle[i]);
	job_close(&job);
	trace_close();

	figure_percentile("tick", &alone.time, PERCENTILE);
	figure_percentile("tick_1000_idle", &crowded.time, PERCENTILE);
	figure_value("tick_growth", samples_percentile(&crowded.time, PERCENTILE) /
				    samples_percentile(&alone.time, PERCENTILE));
	samples_free(&alone.time);
	samples_free(&crowded.time);
}

BENCH(tick, run);
