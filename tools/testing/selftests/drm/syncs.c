// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What the entries of one GROUP_SUBMIT wait for and signal: each other, and what was there before. */
#include <stdlib.h>
#include <unistd.h>

#include "suite.h"

#define GATES 4

FIXTURE(syncs)
{
	struct rig rig;
	uint32_t *result;
	uint64_t out;
};

FIXTURE_SETUP(syncs)
{
	ASSERT_EQ(0, rig_open(&self->rig, 4));
	self->result = self->rig.data.u32;
	self->out = self->rig.data.va;
}

FIXTURE_TEARDOWN(syncs)
{
	rig_close(&self->rig);
}

/* A job of queue @gate that ends when the word of this number is not zero, and says so 4 words later. */
static struct drm_panthor_queue_submit gated(struct rig *rig, uint32_t gate,
					     struct drm_panthor_sync_op *syncs, uint32_t count)
{
	struct cs cs = rig_stream(rig, gate);

	cs_spin_while_zero(&cs, rig->data.va + 4 * gate);
	cs_put32(&cs, rig->data.va + 4 * (GATES + gate), 1);
	return (struct drm_panthor_queue_submit){
		.queue_index = gate,
		.stream_size = cs_bytes(&cs),
		.stream_addr = rig_stream_va(rig, &cs),
		.syncs = DRM_PANTHOR_OBJ_ARRAY(count, syncs),
	};
}

static int submit(struct rig *rig, struct drm_panthor_queue_submit *jobs, uint32_t count)
{
	return group_submit(&rig->gpu, rig->group, jobs, count);
}

static uint32_t syncobj(struct rig *rig)
{
	uint32_t handle = 0;

	return sync_create(&rig->gpu, false, &handle) ? 0 : handle;
}

#define IS_PENDING(handle, point)	\
	EXPECT_EQ(-ETIME, sync_wait(&self->rig.gpu, handle, point, SECOND / 50))
#define IS_DONE(handle, point)		\
	EXPECT_EQ(0, sync_wait(&self->rig.gpu, handle, point, PATIENCE))
#define HAS_NOTHING(handle, point)	\
	EXPECT_EQ(-EINVAL, sync_wait(&self->rig.gpu, handle, point, 0))

TEST_F(syncs, the_last_job_that_signals_a_syncobj_is_the_one_that_counts)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op signal = sync_signal_op(rig->sync, 0);
	struct drm_panthor_queue_submit jobs[2] = {
		gated(rig, 0, &signal, 1), gated(rig, 1, &signal, 1),
	};

	ASSERT_EQ(0, submit(rig, jobs, 2));
	self->result[0] = 1;
	EXPECT_EQ(0, rig_wait_word(rig, GATES, 1));
	IS_PENDING(rig->sync, 0);
	self->result[1] = 1;
	EXPECT_EQ(1, rig_wait(rig));
}

TEST_F(syncs, a_wait_is_for_the_last_of_the_jobs_before_it)
{
	struct rig *rig = &self->rig;
	uint32_t done = syncobj(rig);
	struct drm_panthor_sync_op signal = sync_signal_op(rig->sync, 0);
	struct drm_panthor_sync_op ops[] = { sync_wait_op(rig->sync, 0), sync_signal_op(done, 0) };
	struct drm_panthor_queue_submit jobs[4] = {
		gated(rig, 0, &signal, 1), gated(rig, 1, &signal, 1),
		gated(rig, 2, ops, 2), gated(rig, 3, &signal, 1),
	};

	self->result[0] = self->result[2] = 1;
	ASSERT_EQ(0, submit(rig, jobs, 4));
	EXPECT_EQ(0, rig_wait_word(rig, GATES, 1));
	IS_PENDING(done, 0);
	EXPECT_EQ(0, self->result[GATES + 2]);
	self->result[1] = 1;
	/* Job 3 is still busy, and has the syncobj. */
	IS_DONE(done, 0);
	IS_PENDING(rig->sync, 0);
	self->result[3] = 1;
	EXPECT_EQ(1, rig_wait(rig));
}

TEST_F(syncs, a_job_that_waits_for_and_signals_the_same_syncobj_waits_for_the_one_before_it)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op first = sync_signal_op(rig->sync, 0);
	/* The order within an entry means nothing. */
	struct drm_panthor_sync_op ops[] = {
		sync_signal_op(rig->sync, 0), sync_wait_op(rig->sync, 0),
	};
	struct drm_panthor_queue_submit jobs[2] = {
		gated(rig, 0, &first, 1), gated(rig, 1, ops, 2),
	};

	self->result[1] = 1;
	ASSERT_EQ(0, submit(rig, jobs, 2));
	IS_PENDING(rig->sync, 0);
	EXPECT_EQ(0, self->result[GATES + 1]);
	self->result[0] = 1;
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(1, self->result[GATES + 1]);

	/* In a call of its own: for what the syncobj held. */
	self->result[1] = 0;
	jobs[1] = gated(rig, 1, ops, 2);
	ASSERT_EQ(0, submit(rig, &jobs[1], 1));
	IS_PENDING(rig->sync, 0);
	self->result[1] = 1;
	EXPECT_EQ(1, rig_wait(rig));
}

TEST_F(syncs, a_job_can_signal_points_of_two_timelines_and_a_binary_syncobj)
{
	struct rig *rig = &self->rig;
	uint32_t a = syncobj(rig), b = syncobj(rig);
	struct drm_panthor_sync_op first[] = { sync_signal_op(a, 1), sync_signal_op(b, 10) };
	struct drm_panthor_sync_op second[] = {
		sync_signal_op(b, 20), sync_signal_op(rig->sync, 0), sync_signal_op(a, 2),
	};
	struct drm_panthor_queue_submit jobs[2] = {
		gated(rig, 0, first, 2), gated(rig, 1, second, 3),
	};
	uint64_t point = 99;

	ASSERT_EQ(0, submit(rig, jobs, 2));
	IS_PENDING(a, 1);
	HAS_NOTHING(a, 3);
	self->result[0] = 1;
	IS_DONE(a, 1);
	IS_DONE(b, 10);
	IS_PENDING(a, 2);
	IS_PENDING(b, 20);
	EXPECT_EQ(0, sync_status(&rig->gpu, rig->sync));
	self->result[1] = 1;
	EXPECT_EQ(1, rig_wait(rig));
	IS_DONE(a, 2);
	EXPECT_EQ(0, sync_query(&rig->gpu, b, &point));
	EXPECT_EQ(20, point);
}

TEST_F(syncs, a_point_is_reached_when_those_before_it_are)
{
	struct rig *rig = &self->rig;
	uint32_t timeline = syncobj(rig);
	struct drm_panthor_sync_op ops[] = { sync_signal_op(timeline, 5), sync_signal_op(timeline, 6) };
	struct drm_panthor_queue_submit jobs[2] = {
		gated(rig, 0, &ops[0], 1), gated(rig, 1, &ops[1], 1),
	};
	uint64_t point = 99;

	ASSERT_EQ(0, submit(rig, jobs, 2));
	self->result[1] = 1;
	EXPECT_EQ(0, rig_wait_word(rig, GATES + 1, 1));
	IS_PENDING(timeline, 6);
	EXPECT_EQ(0, sync_query(&rig->gpu, timeline, &point));
	EXPECT_EQ(0, point);
	self->result[0] = 1;
	IS_DONE(timeline, 6);
	EXPECT_EQ(0, sync_query(&rig->gpu, timeline, &point));
	EXPECT_EQ(6, point);
}

TEST_F(syncs, only_the_very_same_point_counts_within_a_call)
{
	struct rig *rig = &self->rig;
	uint32_t timeline = syncobj(rig);
	struct drm_panthor_sync_op signal = sync_signal_op(timeline, 5);
	struct drm_panthor_sync_op wait = sync_wait_op(timeline, 4);
	struct drm_panthor_queue_submit jobs[2] = {
		gated(rig, 0, &signal, 1), gated(rig, 1, &wait, 1),
	};

	EXPECT_EQ(-EINVAL, submit(rig, jobs, 2));
	HAS_NOTHING(timeline, 5);
	wait.timeline_value = 5;
	self->result[0] = self->result[1] = 1;
	ASSERT_EQ(0, submit(rig, jobs, 2));
	EXPECT_EQ(0, rig_wait_word(rig, GATES + 1, 1));
	IS_DONE(timeline, 5);
}

TEST_F(syncs, point_zero_of_a_timeline_is_the_syncobj_itself)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op signal = sync_signal_op(rig->sync, 0);
	struct drm_panthor_sync_op wait = sync_wait_op(rig->sync, 0);
	struct drm_panthor_queue_submit jobs[2] = {
		gated(rig, 0, &signal, 1), gated(rig, 1, &wait, 1),
	};

	wait.flags |= DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_TIMELINE_SYNCOBJ;
	self->result[1] = 1;
	ASSERT_EQ(0, submit(rig, jobs, 2));
	IS_PENDING(rig->sync, 0);
	EXPECT_EQ(0, self->result[GATES + 1]);
	self->result[0] = 1;
	EXPECT_EQ(0, rig_wait_word(rig, GATES + 1, 1));
}

/* The second entry is wrong; the first one's syncobjs stay empty, and its job does not run. */
static void expect_no_trace(struct __test_metadata *_metadata, FIXTURE_DATA(syncs) *self,
			    struct drm_panthor_sync_op bad, int error)
{
	struct rig *rig = &self->rig;
	uint32_t timeline = syncobj(rig), binary = syncobj(rig);
	struct drm_panthor_sync_op ops[] = { sync_signal_op(binary, 0), sync_signal_op(timeline, 3) };
	struct drm_panthor_queue_submit jobs[2] = { gated(rig, 0, ops, 2), gated(rig, 1, &bad, 1) };

	self->result[0] = self->result[1] = 1;
	EXPECT_EQ(error, submit(rig, jobs, 2));
	HAS_NOTHING(binary, 0);
	HAS_NOTHING(timeline, 3);
	/* What comes next on these queues runs, and is the first that does. */
	ops[0] = sync_signal_op(rig->sync, 0);
	jobs[0] = (struct drm_panthor_queue_submit){ .syncs = DRM_PANTHOR_OBJ_ARRAY(1, ops) };
	ASSERT_EQ(0, submit(rig, jobs, 1));
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(0, self->result[GATES]);
	EXPECT_EQ(0, self->result[GATES + 1]);
}

TEST_F(syncs, an_unknown_syncobj_to_wait_for_in_the_second_entry_leaves_no_trace_of_the_first)
{
	expect_no_trace(_metadata, self, sync_wait_op(999, 0), -ENOENT);
}

TEST_F(syncs, a_syncobj_without_a_fence_in_the_second_entry_leaves_no_trace_of_the_first)
{
	expect_no_trace(_metadata, self, sync_wait_op(syncobj(&self->rig), 0), -EINVAL);
}

TEST_F(syncs, an_unknown_syncobj_to_signal_in_the_second_entry_leaves_no_trace_of_the_first)
{
	KNOWN_C_DEFECT(&self->rig.gpu, "a signal to an unknown syncobj is a NULL dereference");
	expect_no_trace(_metadata, self, sync_signal_op(999, 0), -EINVAL);
	expect_no_trace(_metadata, self, sync_signal_op(999, 4), -EINVAL);
}

/* The signals of all entries are looked up before the waits of any. */
TEST_F(syncs, an_unknown_syncobj_to_signal_is_noticed_before_one_to_wait_for)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op wait = sync_wait_op(999, 0), signal = sync_signal_op(998, 0);
	struct drm_panthor_queue_submit jobs[2] = {
		gated(rig, 0, &wait, 1), gated(rig, 1, &signal, 1),
	};

	KNOWN_C_DEFECT(&rig->gpu, "a signal to an unknown syncobj is a NULL dereference");
	EXPECT_EQ(-EINVAL, submit(rig, jobs, 2));
}

TEST_F(syncs, thousands_of_operations_in_one_call)
{
	enum { OBJECTS = 16, POINTS = 125, COUNT = OBJECTS * POINTS };
	struct drm_panthor_sync_op *signal = calloc(COUNT, sizeof(*signal));
	struct drm_panthor_sync_op *wait = calloc(COUNT, sizeof(*wait));
	struct drm_panthor_queue_submit jobs[2];
	struct rig *rig = &self->rig;
	uint32_t handle[OBJECTS];
	uint64_t point;

	ASSERT_TRUE(signal && wait);
	for (uint32_t i = 0; i < OBJECTS; i++)
		handle[i] = syncobj(rig);
	for (uint32_t i = 0; i < COUNT; i++) {
		signal[i] = sync_signal_op(handle[i % OBJECTS], i / OBJECTS + 1);
		wait[i] = sync_wait_op(handle[i % OBJECTS], POINTS - i / OBJECTS);
	}
	jobs[0] = gated(rig, 0, signal, COUNT);
	jobs[1] = gated(rig, 1, wait, COUNT);
	self->result[1] = 1;
	ASSERT_EQ(0, submit(rig, jobs, 2));
	IS_PENDING(handle[0], 1);
	EXPECT_EQ(0, self->result[GATES + 1]);
	self->result[0] = 1;
	EXPECT_EQ(0, rig_wait_word(rig, GATES + 1, 1));
	for (uint32_t i = 0; i < OBJECTS; i++) {
		EXPECT_EQ(0, sync_query(&rig->gpu, handle[i], &point));
		EXPECT_EQ(POINTS, point);
	}
	free(signal);
	free(wait);
}

TEST_F(syncs, a_job_waits_for_thousands_of_others)
{
	/* A point costs as much as its timeline is long. */
	enum { OBJECTS = 64, COUNT = OBJECTS * 64 };
	struct drm_panthor_sync_op *signal = calloc(COUNT, sizeof(*signal));
	struct drm_panthor_sync_op *wait = calloc(COUNT, sizeof(*wait));
	struct drm_panthor_queue_submit *jobs = calloc(COUNT, sizeof(*jobs));
	struct rig *rig = &self->rig;
	uint32_t handle[OBJECTS];

	ASSERT_TRUE(signal && wait && jobs);
	for (uint32_t i = 0; i < OBJECTS; i++)
		handle[i] = syncobj(rig);
	for (uint32_t i = 0; i < COUNT; i++) {
		signal[i] = sync_signal_op(handle[i % OBJECTS], i / OBJECTS + 1);
		wait[i] = sync_wait_op(handle[i % OBJECTS], i / OBJECTS + 1);
		jobs[i] = (struct drm_panthor_queue_submit){
			.queue_index = 1,
			.syncs = DRM_PANTHOR_OBJ_ARRAY(1, &signal[i]),
		};
	}
	/* The first of the others is held back, and with it all of them. */
	jobs[0] = gated(rig, 1, signal, 1);
	jobs[COUNT - 1] = gated(rig, 0, wait, COUNT - 1);
	self->result[0] = 1;
	ASSERT_EQ(0, submit(rig, jobs, COUNT));
	usleep(50000);
	EXPECT_EQ(0, self->result[GATES]);
	self->result[1] = 1;
	EXPECT_EQ(0, rig_wait_word(rig, GATES, 1));
	free(jobs);
	free(signal);
	free(wait);
}

TEST_HARNESS_MAIN
