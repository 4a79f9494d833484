// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Jobs that go wrong. Each test has a healthy group of another file and another VM at work all the
 * time, whose results have to come out right: a fault is the business of the guilty group only.
 */
#include <signal.h>
#include <unistd.h>

#include "kmsg.h"
#include "suite.h"

#define NOWHERE		0x7000000000ull		/* nothing is ever mapped there */

#define EXPECTED_TIMEOUT	(5 * SECOND)	/* of the driver, for a job that does not end */

FIXTURE(fault)
{
	struct rig guilty;
	struct rig healthy;
	struct cs cs;		/* an empty stream of the guilty one */
	bool running;
};

/* In the middle of something while the other one faults. */
static void begin_health(struct __test_metadata *_metadata, struct rig *healthy, bool *running)
{
	struct cs cs = rig_stream(healthy, 0);

	healthy->data.u32[0] = 0;
	healthy->data.u32[1] = 0;
	cs_move32(&cs, 20, 4000);
	cs_spin_while_zero(&cs, healthy->data.va);
	cs_add32(&cs, 20, 20, 711);
	cs_move48(&cs, 10, healthy->data.va);
	cs_store32(&cs, 20, 10, 4);
	ASSERT_EQ(0, rig_submit(healthy, 0, &cs));
	*running = true;
}

FIXTURE_SETUP(fault)
{
	self->running = false;
	ASSERT_EQ(0, rig_open(&self->guilty, 2));
	ASSERT_EQ(0, rig_open(&self->healthy, 2));
	self->cs = rig_stream(&self->guilty, 0);
	begin_health(_metadata, &self->healthy, &self->running);
}

/* Let the healthy one finish, and have it do something new as well. */
static void expect_health(struct __test_metadata *_metadata, struct rig *healthy, bool *running)
{
	struct cs cs = rig_stream(healthy, 1);
	uint32_t state, fatal;

	healthy->data.u32[0] = 1;
	EXPECT_EQ(1, rig_wait(healthy));
	EXPECT_EQ(4711, healthy->data.u32[1]);
	*running = false;
	cs_put32(&cs, healthy->data.va + 8, 815);
	EXPECT_EQ(1, rig_run(healthy, 1, &cs));
	EXPECT_EQ(815, healthy->data.u32[2]);
	EXPECT_EQ(0, group_state(&healthy->gpu, healthy->group, &state, &fatal));
	EXPECT_EQ(0, state);
	EXPECT_EQ(0, fatal);
}

FIXTURE_TEARDOWN(fault)
{
	if (self->running)
		expect_health(_metadata, &self->healthy, &self->running);
	rig_close(&self->guilty);
	rig_close(&self->healthy);
}

/* The job on queue 0 ends with an error and takes its group with it. */
static void expect_fatal(struct __test_metadata *_metadata, struct rig *rig)
{
	uint32_t state = 0, fatal = 0;
	struct cs cs;

	EXPECT_GT(0, rig_wait(rig));
	EXPECT_EQ(0, group_wait_bad(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_FATAL_FAULT, state);
	EXPECT_NE(0, fatal & 1);
	/* Nothing more can be submitted to it. */
	cs = rig_stream(rig, 9);
	cs_nop(&cs);
	EXPECT_EQ(-EINVAL, rig_submit(rig, 0, &cs));
	EXPECT_EQ(-EINVAL, rig_submit(rig, 1, &cs));
}

TEST_F(fault, a_store_to_where_nothing_is_mapped_is_fatal)
{
	cs_put32(&self->cs, NOWHERE, 1);
	ASSERT_EQ(0, rig_submit(&self->guilty, 0, &self->cs));
	expect_fatal(_metadata, &self->guilty);
}

TEST_F(fault, a_load_from_where_nothing_is_mapped_is_fatal)
{
	cs_move48(&self->cs, 10, NOWHERE);
	cs_load(&self->cs, 12, 1, 10, 0);
	cs_wait(&self->cs, CS_SB_LS);
	ASSERT_EQ(0, rig_submit(&self->guilty, 0, &self->cs));
	expect_fatal(_metadata, &self->guilty);
}

TEST_F(fault, a_store_to_a_read_only_mapping_is_fatal_and_changes_nothing)
{
	struct rig *rig = &self->guilty;

	rig->data.u32[PAGE / 4] = 123;
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, PAGE, 0x10000000, PAGE,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC |
			    DRM_PANTHOR_VM_BIND_OP_MAP_READONLY));
	/* Reading is fine. */
	cs_move48(&self->cs, 10, 0x10000000);
	cs_load(&self->cs, 12, 1, 10, 0);
	cs_wait(&self->cs, CS_SB_LS);
	cs_move48(&self->cs, 14, rig->data.va);
	cs_store32(&self->cs, 12, 14, 0);
	cs_put32(&self->cs, 0x10000000, 1);
	ASSERT_EQ(0, rig_submit(rig, 0, &self->cs));
	expect_fatal(_metadata, rig);
	EXPECT_EQ(123, rig->data.u32[0]);
	EXPECT_EQ(123, rig->data.u32[PAGE / 4]);
}

TEST_F(fault, an_access_after_the_unmap_is_fatal_even_if_it_was_cached)
{
	struct rig *rig = &self->guilty;

	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, PAGE, 0x10000000, PAGE,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	cs_put32(&self->cs, 0x10000000, 1);
	ASSERT_EQ(1, rig_run(rig, 0, &self->cs));
	EXPECT_EQ(1, rig->data.u32[PAGE / 4]);
	ASSERT_EQ(0, vm_unmap(&rig->gpu, rig->vm, 0x10000000, PAGE));
	rig->data.u32[PAGE / 4] = 2;
	ASSERT_EQ(0, rig_submit(rig, 0, &self->cs));
	expect_fatal(_metadata, rig);
	EXPECT_EQ(2, rig->data.u32[PAGE / 4]);
}

/* By rule E1: one who reads the log sees at which level the tables end. */
TEST_F(fault, the_log_says_what_the_tables_hold_where_it_happened)
{
	struct rig *rig = &self->guilty;
	unsigned long long l0, l1, l2, l3;
	char text[64], line[1024];
	int kmsg;

	KNOWN_C_DEFECT(&rig->gpu, "a fault report does not show the tables");
	kmsg = kmsg_open();
	ASSERT_LE(0, kmsg);
	/* Its neighbour is mapped, so there are tables of all levels. */
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, NOWHERE, PAGE,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	cs_put32(&self->cs, NOWHERE + PAGE, 1);
	ASSERT_EQ(0, rig_submit(rig, 0, &self->cs));
	expect_fatal(_metadata, rig);
	snprintf(text, sizeof(text), "page table entries for 0x%llx: ", NOWHERE + PAGE);
	ASSERT_EQ(0, kmsg_find(kmsg, text, line, sizeof(line)));
	ASSERT_EQ(4, sscanf(line + strlen(text), "%llx %llx %llx %llx", &l0, &l1, &l2, &l3)) {
		TH_LOG("%s", line);
	}
	EXPECT_EQ(3, l0 & 3);
	EXPECT_EQ(3, l1 & 3);
	EXPECT_EQ(3, l2 & 3);
	EXPECT_EQ(0, l3);
	close(kmsg);
}

TEST_F(fault, a_stream_that_is_not_there_is_fatal)
{
	ASSERT_EQ(0, group_run(&self->guilty.gpu, self->guilty.group, 0, NOWHERE, 64,
			       self->guilty.sync));
	expect_fatal(_metadata, &self->guilty);
}

TEST_F(fault, the_kernels_part_of_the_address_space_is_not_where_a_job_can_write)
{
	struct rig *rig = &self->guilty;
	struct drm_panthor_gpu_info info;

	/* The top page: kernel memory or nothing, but never the user's. */
	ASSERT_EQ(0, gpu_info(&rig->gpu, &info));
	cs_put32(&self->cs, (1ull << DRM_PANTHOR_MMU_VA_BITS(info.mmu_features)) - PAGE, 1);
	ASSERT_EQ(0, rig_submit(rig, 0, &self->cs));
	expect_fatal(_metadata, rig);
}

TEST_F(fault, an_instruction_that_does_not_exist_is_fatal)
{
	cs_put32(&self->cs, self->guilty.data.va, 1);
	cs_invalid(&self->cs);
	cs_put32(&self->cs, self->guilty.data.va, 2);
	ASSERT_EQ(0, rig_submit(&self->guilty, 0, &self->cs));
	expect_fatal(_metadata, &self->guilty);
	EXPECT_EQ(1, self->guilty.data.u32[0]);
}

TEST_F(fault, an_endless_recursion_is_fatal)
{
	struct rig *rig = &self->guilty;

	cs_move48(&self->cs, 30, rig_stream_va(rig, &self->cs));
	cs_move32(&self->cs, 32, 3 * CS_INSTR_BYTES);
	cs_call(&self->cs, 30, 32);
	ASSERT_EQ(0, rig_submit(rig, 0, &self->cs));
	expect_fatal(_metadata, rig);
}

/* A wait for a sync object in error state: a fault that ends at the job's barrier. */
TEST_F(fault, an_inherited_error_ends_the_job_and_not_the_group)
{
	struct rig *rig = &self->guilty;
	uint32_t state = 1, fatal = 1;

	rig->data.u64[0] = 5;
	rig->data.u64[1] = 1;
	cs_move48(&self->cs, 10, rig->data.va);
	cs_move48(&self->cs, 12, 1);
	cs_sync_wait64(&self->cs, CS_GREATER, 10, 12);
	ASSERT_EQ(0, rig_submit(rig, 0, &self->cs));
	EXPECT_GT(0, rig_wait(rig));
	EXPECT_EQ(0, group_state(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_EQ(0, state);
	EXPECT_EQ(0, fatal);

	self->cs = rig_stream(rig, 1);
	cs_put32(&self->cs, rig->data.va + 68, 2);
	EXPECT_EQ(1, rig_run(rig, 0, &self->cs));
	EXPECT_EQ(2, rig->data.u32[17]);
}

TEST_F(fault, jobs_queued_behind_it_end_with_an_error_too)
{
	struct rig *rig = &self->guilty;
	uint32_t behind[5];

	cs_put32(&self->cs, NOWHERE, 1);
	ASSERT_EQ(0, rig_submit(rig, 0, &self->cs));
	for (uint32_t i = 0; i < 5; i++) {
		struct cs cs = rig_stream(rig, i + 1);
		int ret;

		ASSERT_EQ(0, sync_create(&rig->gpu, false, &behind[i]));
		cs_put32(&cs, rig->data.va + 4 * i, 1);
		ret = group_run(&rig->gpu, rig->group, 0, rig_stream_va(rig, &cs), cs_bytes(&cs),
				behind[i]);
		/* It may have been too late already. */
		if (ret == -EINVAL) {
			sync_destroy(&rig->gpu, behind[i]);
			behind[i] = 0;
			continue;
		}
		ASSERT_EQ(0, ret);
	}
	expect_fatal(_metadata, rig);
	for (uint32_t i = 0; i < 5; i++) {
		if (behind[i]) {
			EXPECT_EQ(0, sync_wait(&rig->gpu, behind[i], 0, PATIENCE));
			EXPECT_GT(0, sync_status(&rig->gpu, behind[i]));
		}
		EXPECT_EQ(0, rig->data.u32[i]);
	}
}

TEST_F(fault, another_queue_of_the_group_ends_with_an_error_too)
{
	struct rig *rig = &self->guilty;
	struct cs cs = rig_stream(rig, 1);
	uint32_t other;

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &other));
	cs_spin_while_zero(&cs, rig->data.va);
	ASSERT_EQ(0, group_run(&rig->gpu, rig->group, 1, rig_stream_va(rig, &cs), cs_bytes(&cs),
			       other));
	cs_put32(&self->cs, NOWHERE, 1);
	ASSERT_EQ(0, rig_submit(rig, 0, &self->cs));
	expect_fatal(_metadata, rig);
	EXPECT_EQ(0, sync_wait(&rig->gpu, other, 0, PATIENCE));
	EXPECT_GT(0, sync_status(&rig->gpu, other));
}

/* What the other queue waits for never comes. */
TEST_F(fault, a_job_that_waits_for_a_sync_object_ends_with_its_group)
{
	struct rig *rig = &self->guilty;
	struct cs cs = rig_stream(rig, 1);
	uint32_t other;

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &other));
	cs_put32(&cs, rig->data.va + 64, 1);
	cs_move48(&cs, 10, rig->data.va);
	cs_move48(&cs, 20, 1);
	cs_sync_wait64(&cs, CS_GREATER, 10, 20);
	cs_put32(&cs, rig->data.va + 64, 2);
	ASSERT_EQ(0, group_run(&rig->gpu, rig->group, 1, rig_stream_va(rig, &cs), cs_bytes(&cs),
			       other));
	ASSERT_EQ(0, rig_wait_word(rig, 16, 1));
	cs_invalid(&self->cs);
	ASSERT_EQ(0, rig_submit(rig, 0, &self->cs));
	expect_fatal(_metadata, rig);
	EXPECT_EQ(0, sync_wait(&rig->gpu, other, 0, PATIENCE));
	EXPECT_GT(0, sync_status(&rig->gpu, other));
	EXPECT_EQ(1, rig->data.u32[16]);
}

/* It never gets to the ring: its fence comes when the group is dead. */
TEST_F(fault, a_job_that_waits_for_a_fence_ends_with_its_group)
{
	struct rig *rig = &self->guilty;
	struct cs cs = rig_stream(rig, 1);
	struct drm_panthor_sync_op ops[2];
	struct drm_panthor_queue_submit job = {
		.queue_index = 1,
		.stream_addr = rig_stream_va(rig, &cs),
		.syncs = DRM_PANTHOR_OBJ_ARRAY(2, ops),
	};
	struct rig first;
	uint32_t other;

	ASSERT_EQ(0, rig_open_on(&first, &rig->gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	self->cs = rig_stream(&first, 0);
	cs_spin_while_zero(&self->cs, first.data.va);
	ASSERT_EQ(0, rig_submit(&first, 0, &self->cs));

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &other));
	cs_put32(&cs, rig->data.va + 64, 2);
	job.stream_size = cs_bytes(&cs);
	ops[0] = sync_wait_op(first.sync, 0);
	ops[1] = sync_signal_op(other, 0);
	ASSERT_EQ(0, group_submit(&rig->gpu, rig->group, &job, 1));

	self->cs = rig_stream(rig, 0);
	cs_invalid(&self->cs);
	ASSERT_EQ(0, rig_submit(rig, 0, &self->cs));
	expect_fatal(_metadata, rig);
	first.data.u32[0] = 1;
	EXPECT_EQ(1, rig_wait(&first));
	EXPECT_EQ(0, sync_wait(&rig->gpu, other, 0, PATIENCE));
	EXPECT_GT(0, sync_status(&rig->gpu, other));
	EXPECT_EQ(0, rig->data.u32[16]);
	rig_release(&first);
}

/* The error ends at the job's barrier: what is behind it, and beside it, comes out right. */
TEST_F(fault, a_job_behind_or_beside_one_with_an_inherited_error_is_not_touched)
{
	struct rig *rig = &self->guilty;
	struct cs beside = rig_stream(rig, 1), behind = rig_stream(rig, 2);
	uint32_t state = 1, fatal = 1, sync[2];

	rig->data.u64[0] = 5;
	rig->data.u64[1] = 1;
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &sync[0]));
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &sync[1]));
	cs_spin_while_zero(&beside, rig->data.va + 128);
	cs_put32(&beside, rig->data.va + 64, 1);
	ASSERT_EQ(0, group_run(&rig->gpu, rig->group, 1, rig_stream_va(rig, &beside),
			       cs_bytes(&beside), sync[0]));
	cs_move48(&self->cs, 10, rig->data.va);
	cs_move48(&self->cs, 12, 1);
	cs_sync_wait64(&self->cs, CS_GREATER, 10, 12);
	cs_put32(&behind, rig->data.va + 68, 2);
	ASSERT_EQ(0, rig_submit(rig, 0, &self->cs));
	ASSERT_EQ(0, group_run(&rig->gpu, rig->group, 0, rig_stream_va(rig, &behind),
			       cs_bytes(&behind), sync[1]));
	EXPECT_GT(0, rig_wait(rig));
	rig->data.u32[32] = 1;
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(0, sync_wait(&rig->gpu, sync[i], 0, PATIENCE));
		EXPECT_EQ(1, sync_status(&rig->gpu, sync[i]));
		EXPECT_EQ(1 + i, rig->data.u32[16 + i]);
	}
	EXPECT_EQ(0, group_state(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_EQ(0, state);
}

TEST_F(fault, a_group_that_waits_for_its_fence_goes_on)
{
	struct rig *rig = &self->guilty;
	struct cs cs = rig_stream(rig, 1);
	struct drm_panthor_sync_op ops[2];
	struct drm_panthor_queue_submit job = {
		.stream_addr = rig_stream_va(rig, &cs),
		.syncs = DRM_PANTHOR_OBJ_ARRAY(2, ops),
	};
	struct rig waiting;
	uint32_t done;

	/* In another VM, so that nothing but the fence connects the two. */
	ASSERT_EQ(0, rig_open_on(&waiting, &rig->gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &done));
	cs_put32(&self->cs, NOWHERE, 1);
	ASSERT_EQ(0, rig_submit(rig, 0, &self->cs));
	cs = rig_stream(&waiting, 0);
	cs_nop(&cs);
	ops[0] = sync_wait_op(rig->sync, 0);
	ops[1] = sync_signal_op(done, 0);
	job.stream_addr = rig_stream_va(&waiting, &cs);
	job.stream_size = cs_bytes(&cs);
	ASSERT_EQ(0, group_submit(&rig->gpu, waiting.group, &job, 1));
	EXPECT_EQ(0, sync_wait(&rig->gpu, done, 0, PATIENCE));
	expect_fatal(_metadata, rig);
	rig_release(&waiting);
}

TEST_F(fault, a_bad_instruction_does_not_hurt_another_group_of_the_same_vm)
{
	struct rig *rig = &self->guilty;
	struct cs cs = rig_stream(rig, 1);
	uint32_t other, done, state = 1, fatal = 1;

	ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &other));
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &done));
	cs_spin_while_zero(&cs, rig->data.va);
	cs_put32(&cs, rig->data.va + 4, 12);
	ASSERT_EQ(0, group_run(&rig->gpu, other, 0, rig_stream_va(rig, &cs), cs_bytes(&cs), done));
	cs_invalid(&self->cs);
	ASSERT_EQ(0, rig_submit(rig, 0, &self->cs));
	expect_fatal(_metadata, rig);
	rig->data.u32[0] = 1;
	EXPECT_EQ(0, sync_wait(&rig->gpu, done, 0, PATIENCE));
	EXPECT_EQ(1, sync_status(&rig->gpu, done));
	EXPECT_EQ(12, rig->data.u32[1]);
	EXPECT_EQ(0, group_state(&rig->gpu, other, &state, &fatal));
	EXPECT_EQ(0, state);
}

TEST_F(fault, a_new_group_works_in_the_vm_that_faulted)
{
	struct rig *rig = &self->guilty;

	cs_put32(&self->cs, NOWHERE, 1);
	ASSERT_EQ(0, rig_submit(rig, 0, &self->cs));
	expect_fatal(_metadata, rig);
	ASSERT_EQ(0, group_destroy(&rig->gpu, rig->group));
	ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 2, PANTHOR_GROUP_PRIORITY_MEDIUM,
				  &rig->group));
	self->cs = rig_stream(rig, 1);
	cs_put32(&self->cs, rig->data.va, 606);
	EXPECT_EQ(1, rig_run(rig, 0, &self->cs));
	EXPECT_EQ(606, rig->data.u32[0]);
}

TEST_F(fault, twenty_in_a_row_leave_the_device_as_it_was)
{
	struct rig *rig = &self->guilty;

	for (int i = 0; i < 20; i++) {
		self->cs = rig_stream(rig, 0);
		if (i % 2)
			cs_invalid(&self->cs);
		else
			cs_put32(&self->cs, NOWHERE + i * PAGE, 1);
		ASSERT_EQ(0, rig_submit(rig, 0, &self->cs));
		ASSERT_GT(0, rig_wait(rig));
		ASSERT_EQ(0, group_destroy(&rig->gpu, rig->group));
		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 2, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &rig->group));
		/* On a busy machine, all twenty may take longer than a job may. */
		expect_health(_metadata, &self->healthy, &self->running);
		begin_health(_metadata, &self->healthy, &self->running);
	}
	self->cs = rig_stream(rig, 1);
	cs_put32(&self->cs, rig->data.va, 20);
	EXPECT_EQ(1, rig_run(rig, 0, &self->cs));
	EXPECT_EQ(20, rig->data.u32[0]);
}

FIXTURE(endless)
{
	struct rig guilty;
	struct rig healthy;
};

FIXTURE_SETUP(endless)
{
	ASSERT_EQ(0, rig_open(&self->guilty, 1));
	ASSERT_EQ(0, rig_open(&self->healthy, 1));
}

FIXTURE_TEARDOWN(endless)
{
	rig_close(&self->guilty);
	rig_close(&self->healthy);
}

TEST_F_TIMEOUT(endless, a_job_that_does_not_end_times_out_and_others_run_meanwhile, 60)
{
	struct rig *rig = &self->guilty;
	struct cs cs = rig_stream(rig, 0);
	uint32_t state = 0, fatal = 0, jobs = 0;
	int64_t begin = now_ns();

	cs_branch(&cs, CS_ALWAYS, 0, 0);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	while (sync_wait(&rig->gpu, rig->sync, 0, SECOND / 4) == -ETIME &&
	       now_ns() - begin < 4 * EXPECTED_TIMEOUT) {
		cs = rig_stream(&self->healthy, 0);
		cs_put32(&cs, self->healthy.data.va, ++jobs);
		ASSERT_EQ(1, rig_run(&self->healthy, 0, &cs));
		ASSERT_EQ(jobs, self->healthy.data.u32[0]);
	}
	EXPECT_GT(0, sync_status(&rig->gpu, rig->sync));
	EXPECT_LE(EXPECTED_TIMEOUT * 9 / 10, now_ns() - begin);
	EXPECT_LT(0, jobs);
	EXPECT_EQ(0, group_wait_bad(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_NE(0, state & DRM_PANTHOR_GROUP_STATE_TIMEDOUT);
	EXPECT_EQ(0, state & DRM_PANTHOR_GROUP_STATE_INNOCENT);
	cs = rig_stream(&self->healthy, 0);
	cs_put32(&cs, self->healthy.data.va, 1000);
	EXPECT_EQ(1, rig_run(&self->healthy, 0, &cs));
	EXPECT_EQ(1000, self->healthy.data.u32[0]);
}

TEST_HARNESS_MAIN
