// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Order between jobs: fences, binary and timeline syncobjs, across queues, groups and files. */
#include <unistd.h>

#include "hwmodel.h"
#include "suite.h"

FIXTURE(sync)
{
	struct rig rig;
	uint32_t *result;
	uint64_t out;
};

FIXTURE_SETUP(sync)
{
	ASSERT_EQ(0, rig_open(&self->rig, 4));
	self->result = self->rig.data.u32;
	self->out = self->rig.data.va;
}

FIXTURE_TEARDOWN(sync)
{
	rig_close(&self->rig);
}

/* *(out + 4 slot) = *(out + 4 slot - 4) + 1, so that a chain of them shows its order. */
static struct cs increment(struct rig *rig, unsigned int index, unsigned int slot)
{
	struct cs cs = rig_stream(rig, index);

	cs_move48(&cs, 10, rig->data.va);
	cs_load(&cs, 12, 1, 10, 4 * slot - 4);
	cs_wait(&cs, CS_SB_LS);
	cs_add32(&cs, 12, 12, 1);
	cs_store32(&cs, 12, 10, 4 * slot);
	return cs;
}

static struct drm_panthor_queue_submit job_of(struct rig *rig, uint32_t queue, const struct cs *cs,
					      struct drm_panthor_sync_op *syncs, uint32_t count)
{
	return (struct drm_panthor_queue_submit){
		.queue_index = queue,
		.stream_size = cs ? cs_bytes(cs) : 0,
		.stream_addr = cs ? rig_stream_va(rig, cs) : 0,
		.syncs = DRM_PANTHOR_OBJ_ARRAY(count, syncs),
	};
}

TEST_F(sync, a_syncobj_signals_when_the_job_is_done_and_not_before)
{
	struct rig *rig = &self->rig;
	struct cs cs = rig_stream(rig, 0);

	cs_spin_while_zero(&cs, self->out);
	cs_put32(&cs, self->out + 4, 9);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, rig->sync, 0, SECOND / 20));
	EXPECT_EQ(0, sync_status(&rig->gpu, rig->sync));
	self->result[0] = 1;
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(9, self->result[1]);
}

TEST_F(sync, jobs_of_one_queue_run_in_order)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_queue_submit jobs[8];
	struct drm_panthor_sync_op signal = sync_signal_op(rig->sync, 0);

	for (uint32_t i = 0; i < 8; i++) {
		struct cs cs = increment(rig, i, i + 1);

		jobs[i] = job_of(rig, 0, &cs, &signal, i == 7);
	}
	ASSERT_EQ(0, group_submit(&rig->gpu, rig->group, jobs, 8));
	ASSERT_EQ(1, rig_wait(rig));
	for (uint32_t i = 1; i <= 8; i++)
		EXPECT_EQ(i, self->result[i]);
}

TEST_F(sync, a_job_of_another_queue_waits_for_the_fence_it_was_told_to)
{
	struct rig *rig = &self->rig;
	struct cs first = rig_stream(rig, 0), second = increment(rig, 1, 2);
	struct drm_panthor_sync_op ops[2];
	struct drm_panthor_queue_submit job;
	uint32_t done;

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &done));
	cs_spin_while_zero(&first, self->out);
	cs_put32(&first, self->out + 4, 50);
	ASSERT_EQ(0, rig_submit(rig, 0, &first));

	ops[0] = sync_wait_op(rig->sync, 0);
	ops[1] = sync_signal_op(done, 0);
	job = job_of(rig, 1, &second, ops, 2);
	ASSERT_EQ(0, group_submit(&rig->gpu, rig->group, &job, 1));
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, done, 0, SECOND / 20));
	EXPECT_EQ(0, self->result[2]);
	self->result[0] = 1;
	EXPECT_EQ(0, sync_wait(&rig->gpu, done, 0, PATIENCE));
	EXPECT_EQ(51, self->result[2]);
}

TEST_F(sync, queues_without_a_fence_between_them_do_not_wait)
{
	struct rig *rig = &self->rig;
	struct cs busy = rig_stream(rig, 0), quick = rig_stream(rig, 1);
	uint32_t done;

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &done));
	cs_spin_while_zero(&busy, self->out);
	ASSERT_EQ(0, rig_submit(rig, 0, &busy));
	cs_put32(&quick, self->out + 4, 3);
	ASSERT_EQ(0, group_run(&rig->gpu, rig->group, 1, rig_stream_va(rig, &quick),
			       cs_bytes(&quick), done));
	EXPECT_EQ(0, sync_wait(&rig->gpu, done, 0, PATIENCE));
	EXPECT_EQ(3, self->result[1]);
	EXPECT_EQ(0, sync_status(&rig->gpu, rig->sync));
	self->result[0] = 1;
	EXPECT_EQ(1, rig_wait(rig));
}

/* Four queues, one call: each job waits for what the one before it signals in the same call. */
TEST_F(sync, a_job_may_wait_for_what_an_earlier_job_of_the_same_call_signals)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op ops[4][2];
	struct drm_panthor_queue_submit jobs[4];
	uint32_t link[4];

	for (uint32_t i = 0; i < 4; i++) {
		struct cs cs = increment(rig, i, i + 1);

		ASSERT_EQ(0, sync_create(&rig->gpu, false, &link[i]));
		ops[i][0] = sync_signal_op(link[i], 0);
		if (i)
			ops[i][1] = sync_wait_op(link[i - 1], 0);
		/* Against the order of the queues, so that their priority does not do it. */
		jobs[i] = job_of(rig, 3 - i, &cs, ops[i], i ? 2 : 1);
	}
	ASSERT_EQ(0, group_submit(&rig->gpu, rig->group, jobs, 4));
	EXPECT_EQ(0, sync_wait(&rig->gpu, link[3], 0, PATIENCE));
	for (uint32_t i = 1; i <= 4; i++)
		EXPECT_EQ(i, self->result[i]);
}

TEST_F(sync, points_of_a_timeline_signal_one_after_the_other)
{
	struct rig *rig = &self->rig;
	uint32_t timeline;
	uint64_t point = 99;

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &timeline));
	for (uint32_t i = 1; i <= 3; i++) {
		struct cs cs = rig_stream(rig, i);
		struct drm_panthor_sync_op signal = sync_signal_op(timeline, 10 * i);
		struct drm_panthor_queue_submit job;

		cs_spin_while_zero(&cs, self->out + 4 * i);
		job = job_of(rig, 0, &cs, &signal, 1);
		ASSERT_EQ(0, group_submit(&rig->gpu, rig->group, &job, 1));
	}
	EXPECT_EQ(0, sync_query(&rig->gpu, timeline, &point));
	EXPECT_EQ(0, point);
	for (uint32_t i = 1; i <= 3; i++) {
		EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, timeline, 10 * i, SECOND / 50));
		self->result[i] = 1;
		EXPECT_EQ(0, sync_wait(&rig->gpu, timeline, 10 * i, PATIENCE));
		EXPECT_EQ(0, sync_query(&rig->gpu, timeline, &point));
		EXPECT_EQ(10 * i, point);
	}
}

TEST_F(sync, a_job_can_wait_for_a_point_of_a_timeline)
{
	struct rig *rig = &self->rig;
	struct cs first = rig_stream(rig, 0), second = increment(rig, 1, 2);
	struct drm_panthor_sync_op signal, ops[2];
	struct drm_panthor_queue_submit job;
	uint32_t timeline;

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &timeline));
	cs_spin_while_zero(&first, self->out);
	cs_put32(&first, self->out + 4, 70);
	signal = sync_signal_op(timeline, 5);
	job = job_of(rig, 0, &first, &signal, 1);
	ASSERT_EQ(0, group_submit(&rig->gpu, rig->group, &job, 1));

	/* An earlier point is reached together with it. */
	ops[0] = sync_wait_op(timeline, 3);
	ops[1] = sync_signal_op(timeline, 6);
	job = job_of(rig, 1, &second, ops, 2);
	ASSERT_EQ(0, group_submit(&rig->gpu, rig->group, &job, 1));
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, timeline, 6, SECOND / 50));
	self->result[0] = 1;
	EXPECT_EQ(0, sync_wait(&rig->gpu, timeline, 6, PATIENCE));
	EXPECT_EQ(71, self->result[2]);

	/* There is no point 7 yet. */
	ops[0] = sync_wait_op(timeline, 7);
	job = job_of(rig, 1, &second, ops, 1);
	EXPECT_EQ(-EINVAL, group_submit(&rig->gpu, rig->group, &job, 1));
}

TEST_F(sync, a_job_without_a_stream_signals_after_its_waits)
{
	struct rig *rig = &self->rig;
	struct cs cs = rig_stream(rig, 0);
	struct drm_panthor_sync_op ops[2];
	struct drm_panthor_queue_submit job;
	uint32_t done;

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &done));
	cs_spin_while_zero(&cs, self->out);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	ops[0] = sync_wait_op(rig->sync, 0);
	ops[1] = sync_signal_op(done, 0);
	job = job_of(rig, 2, NULL, ops, 2);
	ASSERT_EQ(0, group_submit(&rig->gpu, rig->group, &job, 1));
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, done, 0, SECOND / 50));
	self->result[0] = 1;
	EXPECT_EQ(0, sync_wait(&rig->gpu, done, 0, PATIENCE));
	EXPECT_EQ(1, sync_status(&rig->gpu, done));
}

TEST_F(sync, a_job_without_a_stream_signals_after_the_jobs_before_it)
{
	struct rig *rig = &self->rig;
	struct cs cs = rig_stream(rig, 0);
	struct drm_panthor_sync_op op;
	struct drm_panthor_queue_submit job;
	uint32_t done;

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &done));
	cs_spin_while_zero(&cs, self->out);
	ASSERT_EQ(0, rig_submit(rig, 1, &cs));
	op = sync_signal_op(done, 0);
	job = job_of(rig, 1, NULL, &op, 1);
	ASSERT_EQ(0, group_submit(&rig->gpu, rig->group, &job, 1));
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, done, 0, SECOND / 50));
	self->result[0] = 1;
	EXPECT_EQ(0, sync_wait(&rig->gpu, done, 0, PATIENCE));
}

TEST_F(sync, a_job_without_a_stream_signals_also_on_a_queue_that_never_ran)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op op = sync_signal_op(rig->sync, 0);
	struct drm_panthor_queue_submit job = job_of(rig, 3, NULL, &op, 1);

	ASSERT_EQ(0, group_submit(&rig->gpu, rig->group, &job, 1));
	EXPECT_EQ(1, rig_wait(rig));
}

/*
 * What a Vulkan driver does for an empty vkQueueSubmit: three queues, each waits and then signals
 * a point of its own; then the last point moves to a binary syncobj.
 */
TEST_F(sync, an_empty_vulkan_submit_works)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op ops[9];
	struct drm_panthor_queue_submit jobs[9];
	uint32_t timeline, in, n = 0;

	ASSERT_EQ(0, sync_create(&rig->gpu, true, &in));
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &timeline));
	for (uint32_t queue = 0; queue < 3; queue++, n++) {
		ops[n] = sync_wait_op(in, 0);
		jobs[n] = job_of(rig, queue, NULL, &ops[n], 1);
	}
	for (uint32_t queue = 0; queue < 3; queue++, n++)
		jobs[n] = job_of(rig, queue, NULL, NULL, 0);
	for (uint32_t queue = 0; queue < 3; queue++, n++) {
		ops[n] = sync_signal_op(timeline, queue + 1);
		jobs[n] = job_of(rig, queue, NULL, &ops[n], 1);
	}
	ASSERT_EQ(0, group_submit(&rig->gpu, rig->group, jobs, 9));
	EXPECT_EQ(0, sync_wait(&rig->gpu, timeline, 3, PATIENCE));
	EXPECT_EQ(0, sync_transfer(&rig->gpu, rig->sync, 0, timeline, 3));
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(0, sync_reset(&rig->gpu, timeline));
	EXPECT_EQ(-EINVAL, sync_wait(&rig->gpu, timeline, 3, 0));
}

TEST_F(sync, two_groups_are_ordered_by_a_fence)
{
	struct rig *rig = &self->rig;
	struct cs first = rig_stream(rig, 0), second = increment(rig, 1, 2);
	struct drm_panthor_sync_op ops[2];
	struct drm_panthor_queue_submit job;
	uint32_t other, done;

	ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_LOW, &other));
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &done));
	cs_spin_while_zero(&first, self->out);
	cs_put32(&first, self->out + 4, 20);
	ASSERT_EQ(0, rig_submit(rig, 0, &first));
	ops[0] = sync_wait_op(rig->sync, 0);
	ops[1] = sync_signal_op(done, 0);
	job = job_of(rig, 0, &second, ops, 2);
	ASSERT_EQ(0, group_submit(&rig->gpu, other, &job, 1));
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, done, 0, SECOND / 50));
	self->result[0] = 1;
	EXPECT_EQ(0, sync_wait(&rig->gpu, done, 0, PATIENCE));
	EXPECT_EQ(21, self->result[2]);
}

TEST_F(sync, a_call_that_fails_signals_nothing_and_runs_nothing)
{
	struct rig *rig = &self->rig;
	struct cs cs = rig_stream(rig, 0);
	struct drm_panthor_sync_op signal = sync_signal_op(rig->sync, 0);
	struct drm_panthor_queue_submit jobs[2];

	cs_put32(&cs, self->out, 1);
	jobs[0] = job_of(rig, 0, &cs, &signal, 1);
	jobs[1] = job_of(rig, 99, NULL, NULL, 0);
	EXPECT_EQ(-EINVAL, group_submit(&rig->gpu, rig->group, jobs, 2));
	/* The syncobj has no fence, the queue no job. */
	EXPECT_EQ(-EINVAL, sync_wait(&rig->gpu, rig->sync, 0, 0));
	cs = rig_stream(rig, 1);
	cs_put32(&cs, self->out + 4, 2);
	EXPECT_EQ(1, rig_run(rig, 0, &cs));
	EXPECT_EQ(0, self->result[0]);
	EXPECT_EQ(2, self->result[1]);
}

TEST_F(sync, a_wait_for_something_already_done_does_not_hold_anything_up)
{
	struct rig *rig = &self->rig;
	struct cs cs = rig_stream(rig, 0);
	struct drm_panthor_sync_op ops[2];
	struct drm_panthor_queue_submit job;
	uint32_t done;

	ASSERT_EQ(0, sync_create(&rig->gpu, true, &done));
	cs_put32(&cs, self->out, 6);
	ops[0] = sync_wait_op(done, 0);
	ops[1] = sync_signal_op(rig->sync, 0);
	job = job_of(rig, 0, &cs, ops, 2);
	ASSERT_EQ(0, group_submit(&rig->gpu, rig->group, &job, 1));
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(6, self->result[0]);
}

/* 300 jobs on a ring of 4 KiB, which has room for far fewer at a time. */
TEST_F(sync, a_ring_can_wrap_many_times)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_queue_create queue = { .ringbuf_size = PAGE };
	struct drm_panthor_group_create args =
		group_args(&rig->gpu, rig->vm, &queue, 1, PANTHOR_GROUP_PRIORITY_MEDIUM);
	struct cs cs = rig_stream(rig, 0);

	if (cpu_page() > PAGE)
		KNOWN_C_DEFECT(&rig->gpu, "a ring smaller than a page of the CPU does not wrap where it ends");
	ASSERT_EQ(0, group_destroy(&rig->gpu, rig->group));
	ASSERT_EQ(0, gpu_ioctl(rig->gpu.fd, DRM_IOCTL_PANTHOR_GROUP_CREATE, &args));
	rig->group = args.group_handle;
	cs_move48(&cs, 10, self->out);
	cs_load(&cs, 12, 1, 10, 0);
	cs_wait(&cs, CS_SB_LS);
	cs_add32(&cs, 12, 12, 1);
	cs_store32(&cs, 12, 10, 0);
	for (int i = 0; i < 300; i++)
		ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(300, self->result[0]);
}

/* More jobs than the ring holds, each counting itself at out + 4, and one before them that waits for out. */
static int fill_ring(struct rig *rig, uint64_t out)
{
	struct cs gate = rig_stream(rig, 0), cs = rig_stream(rig, 1);
	int ret;

	cs_spin_while_zero(&gate, out);
	cs_move48(&cs, 10, out);
	cs_load(&cs, 12, 1, 10, 4);
	cs_wait(&cs, CS_SB_LS);
	cs_add32(&cs, 12, 12, 1);
	cs_store32(&cs, 12, 10, 4);
	ret = rig_submit(rig, 0, &gate);
	for (int i = 0; i < 100 && !ret; i++)
		ret = rig_submit(rig, 0, &cs);
	return ret;
}

TEST_F(sync, a_ring_that_is_full_of_waiting_jobs_drains_when_it_may)
{
	struct rig *rig = &self->rig;

	ASSERT_EQ(0, fill_ring(rig, self->out));
	EXPECT_EQ(0, self->result[1]);
	self->result[0] = 1;
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(100, self->result[1]);
}

/*
 * A job that has counted itself is over, and makes room for the next one, although the firmware has not
 * written EXTRACT yet.
 */
TEST_F(sync, the_firmware_may_be_late_with_extract)
{
	struct rig *rig = &self->rig;

	if (!hwmodel_present())
		SKIP(return, "only the model can be made to be late");
	ASSERT_EQ(0, hwmodel_inject("mcu extract late"));
	ASSERT_EQ(0, fill_ring(rig, self->out));
	self->result[0] = 1;
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(100, self->result[1]);
	EXPECT_EQ(0, hwmodel_inject("clear"));
}

TEST_F(sync, the_fence_can_be_exported_and_waited_for_by_another_file)
{
	struct rig *rig = &self->rig;
	struct cs cs = rig_stream(rig, 0);
	struct drm_syncobj_handle args = { .handle = rig->sync };
	struct gpu other;

	cs_spin_while_zero(&cs, self->out);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	ASSERT_EQ(0, gpu_ioctl(rig->gpu.fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &args));
	ASSERT_EQ(0, gpu_open(&other));
	ASSERT_EQ(0, gpu_ioctl(other.fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &args));
	close(args.fd);
	EXPECT_EQ(-ETIME, sync_wait(&other, args.handle, 0, SECOND / 50));
	self->result[0] = 1;
	EXPECT_EQ(0, sync_wait(&other, args.handle, 0, PATIENCE));
	gpu_close(&other);
}

FIXTURE(async_bind)
{
	struct rig rig;
	struct bo bo;
	uint32_t timeline;
};

static int bind_async(struct rig *rig, struct drm_panthor_vm_bind_op *ops, uint32_t count)
{
	struct drm_panthor_vm_bind args = {
		.vm_id = rig->vm,
		.flags = DRM_PANTHOR_VM_BIND_ASYNC,
		.ops = DRM_PANTHOR_OBJ_ARRAY(count, ops),
	};

	return gpu_ioctl(rig->gpu.fd, DRM_IOCTL_PANTHOR_VM_BIND, &args);
}

FIXTURE_SETUP(async_bind)
{
	struct drm_panthor_sync_op signal;
	struct drm_panthor_vm_bind_op op = {
		.flags = DRM_PANTHOR_VM_BIND_OP_TYPE_SYNC_ONLY,
		.syncs = DRM_PANTHOR_OBJ_ARRAY(1, &signal),
	};
	int ret;

	ASSERT_EQ(0, rig_open(&self->rig, 1));
	ASSERT_EQ(0, sync_create(&self->rig.gpu, false, &self->timeline));
	signal = sync_signal_op(self->rig.sync, 0);
	ret = bind_async(&self->rig, &op, 1);
	SKIP_IF_NOT_OFFERED(ret, "asynchronous VM_BIND");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(1, rig_wait(&self->rig));
	ASSERT_EQ(0, bo_create(&self->rig.gpu, 4 * PAGE, 0, 0, &self->bo));
	ASSERT_EQ(0, bo_mmap(&self->rig.gpu, &self->bo));
}

FIXTURE_TEARDOWN(async_bind)
{
	rig_close(&self->rig);
}

TEST_F(async_bind, a_job_can_wait_for_a_mapping_and_a_mapping_for_a_job)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op map_syncs[1], job_syncs[2], unmap_syncs[2];
	struct drm_panthor_vm_bind_op map = {
		.flags = DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC,
		.bo_handle = self->bo.handle,
		.va = 0x10000000,
		.size = PAGE,
		.syncs = DRM_PANTHOR_OBJ_ARRAY(1, map_syncs),
	}, unmap = {
		.flags = DRM_PANTHOR_VM_BIND_OP_TYPE_UNMAP,
		.va = 0x10000000,
		.size = PAGE,
		.syncs = DRM_PANTHOR_OBJ_ARRAY(2, unmap_syncs),
	};
	struct cs cs = rig_stream(rig, 0);
	struct drm_panthor_queue_submit job;

	map_syncs[0] = sync_signal_op(self->timeline, 1);
	job_syncs[0] = sync_wait_op(self->timeline, 1);
	job_syncs[1] = sync_signal_op(self->timeline, 2);
	unmap_syncs[0] = sync_wait_op(self->timeline, 2);
	unmap_syncs[1] = sync_signal_op(self->timeline, 3);
	cs_put32(&cs, 0x10000000, 321);
	job = job_of(rig, 0, &cs, job_syncs, 2);
	ASSERT_EQ(0, bind_async(rig, &map, 1));
	ASSERT_EQ(0, group_submit(&rig->gpu, rig->group, &job, 1));
	ASSERT_EQ(0, bind_async(rig, &unmap, 1));
	EXPECT_EQ(0, sync_wait(&rig->gpu, self->timeline, 3, PATIENCE));
	EXPECT_EQ(321, self->bo.u32[0]);
}

TEST_F(async_bind, a_sync_only_operation_has_something_to_wait_for_or_to_signal)
{
	struct drm_panthor_vm_bind_op op = { .flags = DRM_PANTHOR_VM_BIND_OP_TYPE_SYNC_ONLY };

	EXPECT_EQ(-EINVAL, bind_async(&self->rig, &op, 1));
}

TEST_F(async_bind, a_malformed_operation_is_refused_at_once_and_none_is_queued)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op signal = sync_signal_op(self->timeline, 1);
	struct drm_panthor_vm_bind_op ops[2] = {
		{
			.flags = DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC,
			.bo_handle = self->bo.handle,
			.va = 0x10000000,
			.size = PAGE,
			.syncs = DRM_PANTHOR_OBJ_ARRAY(1, &signal),
		},
		{
			.flags = DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC,
			.bo_handle = self->bo.handle,
			.va = 0x10000001,
			.size = PAGE,
		},
	};
	uint32_t state;

	EXPECT_EQ(-EINVAL, bind_async(rig, ops, 2));
	EXPECT_EQ(-EINVAL, sync_wait(&rig->gpu, self->timeline, 1, 0));
	EXPECT_EQ(0, vm_state(&rig->gpu, rig->vm, &state));
	EXPECT_EQ(DRM_PANTHOR_VM_STATE_USABLE, state);
}

TEST_HARNESS_MAIN
