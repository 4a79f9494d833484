// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What the firmware reports of streams that went wrong: who else is concerned and who is not; jobs that
 * make no progress; and reports that get lost. The guilty one ends with the right error, and everybody
 * else does not notice. Each type of exception at each point of a job's life is in fates.c.
 */
#include "guilty.h"

#define NOWHERE		0x7000000000ull		/* nothing is ever mapped there */

FIXTURE(exception)
{
	struct rig guilty, healthy;
};

FIXTURE_SETUP(exception)
{
	if (geteuid() || !hwmodel_present())
		SKIP(return, "exceptions on request are for the hardware model");
	ASSERT_EQ(0, open_guilty(&self->guilty, 2));
	ASSERT_EQ(0, rig_open(&self->healthy, 1));
	/* As long as the GPU is on, address spaces keep their numbers. */
	power_keep_on(&self->guilty.gpu, true);
	spin(_metadata, &self->guilty);
	spin(_metadata, &self->healthy);
}

FIXTURE_TEARDOWN(exception)
{
	part(_metadata, &self->guilty, &self->healthy);
}

TEST_F(exception, a_fatal_one_between_jobs_ends_the_group)
{
	struct rig *rig = &self->guilty;
	uint32_t state = 0, fatal = 0;

	rig->data.u32[FLAG] = 1;
	ASSERT_EQ(1, rig_wait(rig));
	ASSERT_EQ(0, inject(rig, "fatal", 0x48));
	EXPECT_EQ(0, group_wait_bad(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_FATAL_FAULT, state);
	EXPECT_EQ(1, fatal);
	/* What ended before has ended well. */
	EXPECT_EQ(1, rig_wait(rig));
}

TEST_F(exception, a_fatal_one_ends_what_is_behind_and_beside_it)
{
	struct rig *rig = &self->guilty;
	uint32_t behind, beside;
	struct cs cs;

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &behind));
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &beside));
	ASSERT_EQ(0, put(rig, 0, 201, 1, behind));
	cs = rig_stream(rig, 1);
	cs_put32(&cs, rig->data.va + 4 * 202, 1);
	cs_spin_while_zero(&cs, rig->data.va + 4 * FLAG);
	ASSERT_EQ(0, group_run(&rig->gpu, rig->group, 1, rig_stream_va(rig, &cs), cs_bytes(&cs),
			       beside));
	ASSERT_EQ(0, rig_wait_word(rig, 202, 1));
	ASSERT_EQ(0, inject(rig, "fatal", 0x49));
	expect_fatal(_metadata, rig, -EINVAL);
	EXPECT_EQ(0, sync_wait(&rig->gpu, behind, 0, PATIENCE));
	EXPECT_EQ(-EINVAL, sync_status(&rig->gpu, behind));
	EXPECT_EQ(0, sync_wait(&rig->gpu, beside, 0, PATIENCE));
	EXPECT_EQ(-ECANCELED, sync_status(&rig->gpu, beside));
	EXPECT_EQ(0, rig->data.u32[201]);
}

TEST_F(exception, a_fault_leaves_what_is_behind_and_beside_it_alone)
{
	struct rig *rig = &self->guilty;
	uint32_t sync[2];

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, sync_create(&rig->gpu, false, &sync[i]));
		ASSERT_EQ(0, put(rig, i, 201 + i, 1, sync[i]));
	}
	ASSERT_EQ(0, inject(rig, "fault", 0x58));
	rig->data.u32[FLAG] = 1;
	EXPECT_EQ(-EINVAL, rig_wait(rig));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(0, sync_wait(&rig->gpu, sync[i], 0, PATIENCE));
		EXPECT_EQ(1, sync_status(&rig->gpu, sync[i]));
		EXPECT_EQ(1, rig->data.u32[201 + i]);
	}
	expect_alive(_metadata, rig);
}

/* Groups of the guilty one's VM that are not on the GPU at that moment have not done anything. */
TEST_F_TIMEOUT(exception, groups_without_a_slot_survive_a_fault_in_their_vm, 60)
{
	struct rig *rig = &self->guilty;
	struct drm_panthor_csif_info csif;
	uint32_t group[64], sync[64], state, fatal;
	unsigned int survivors = 0;
	struct cs cs;

	ASSERT_EQ(0, gpu_csif(&rig->gpu, &csif));
	ASSERT_GE(32, csif.csg_slot_count);
	for (uint32_t i = 0; i < 2 * csif.csg_slot_count; i++) {
		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &group[i]));
		ASSERT_EQ(0, sync_create(&rig->gpu, false, &sync[i]));
		cs = cs_at((char *)rig->code.map + (32 << 10) + i * 1024, 1024);
		compute(&cs, 300);
		cs_put32(&cs, rig->data.va + 4 * (300 + i), 1);
		ASSERT_EQ(0, group_run(&rig->gpu, group[i], 0, rig_stream_va(rig, &cs),
				       cs_bytes(&cs), sync[i]));
	}
	/* On the other queue of the guilty one; what runs at that moment goes down with it. */
	cs = rig_stream(rig, 1);
	cs_put32(&cs, NOWHERE, 1);
	ASSERT_EQ(0, group_run(&rig->gpu, rig->group, 1, rig_stream_va(rig, &cs), cs_bytes(&cs), 0));
	EXPECT_EQ(0, group_wait_bad(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_NE(0, state & DRM_PANTHOR_GROUP_STATE_FATAL_FAULT);
	for (uint32_t i = 0; i < 2 * csif.csg_slot_count; i++) {
		bool well;

		ASSERT_EQ(0, sync_wait(&rig->gpu, sync[i], 0, PATIENCE));
		well = sync_status(&rig->gpu, sync[i]) == 1;
		EXPECT_EQ(well, rig->data.u32[300 + i] == 1);
		ASSERT_EQ(0, group_state(&rig->gpu, group[i], &state, &fatal));
		/* One that was done already may have been in a slot all the same. */
		if (!well)
			EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_FATAL_FAULT, state);
		survivors += well;
	}
	EXPECT_LE(csif.csg_slot_count, survivors);
}

/* The firmware's progress timer. */
TEST_F(exception, a_group_without_progress_times_out)
{
	struct rig *rig = &self->guilty;
	uint32_t state = 0, fatal = 0, other, beside, done;
	struct cs cs;

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &beside));
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &done));
	cs = rig_stream(rig, 1);
	cs_spin_while_zero(&cs, rig->data.va + 4 * FLAG);
	ASSERT_EQ(0, group_run(&rig->gpu, rig->group, 1, rig_stream_va(rig, &cs), cs_bytes(&cs),
			       beside));
	ASSERT_EQ(0, hwmodel_inject("mcu progress 0"));
	EXPECT_EQ(-ETIMEDOUT, rig_wait(rig));
	EXPECT_EQ(0, sync_wait(&rig->gpu, beside, 0, PATIENCE));
	EXPECT_EQ(-ETIMEDOUT, sync_status(&rig->gpu, beside));
	EXPECT_EQ(0, group_wait_bad(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_TIMEDOUT, state);
	EXPECT_EQ(0, fatal);

	/* Another group of that VM comes out right. */
	ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &other));
	cs = rig_stream(rig, 3);
	cs_put32(&cs, rig->data.va + 4 * 210, 9);
	ASSERT_EQ(0, group_run(&rig->gpu, other, 0, rig_stream_va(rig, &cs), cs_bytes(&cs), done));
	EXPECT_EQ(0, sync_wait(&rig->gpu, done, 0, PATIENCE));
	EXPECT_EQ(1, sync_status(&rig->gpu, done));
	EXPECT_EQ(9, rig->data.u32[210]);
}

/* A job that hangs makes no progress, and has its time. Which of the two is over first is not said. */
TEST_F_TIMEOUT(exception, a_job_that_hangs_times_out, 60)
{
	struct rig *rig = &self->guilty;
	uint32_t state = 0, fatal = 0;
	struct cs cs;

	rig->data.u32[FLAG] = 1;
	ASSERT_EQ(1, rig_wait(rig));
	self->healthy.data.u32[FLAG] = 1;
	ASSERT_EQ(1, rig_wait(&self->healthy));
	ASSERT_EQ(0, hwmodel_inject("mcu job hang 1"));
	cs = rig_stream(rig, 2);
	compute(&cs, 0);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	EXPECT_EQ(-ETIMEDOUT, rig_wait(rig));
	EXPECT_EQ(0, group_wait_bad(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_TIMEDOUT, state);
}

/* Nobody hears of it, so it is the job's own time that ends it. */
TEST_F_TIMEOUT(exception, a_fatal_one_that_is_not_reported_ends_as_a_time_out, 60)
{
	struct rig *rig = &self->guilty;
	uint32_t state = 0, fatal = 0;

	/* That takes longer than any job may. */
	self->healthy.data.u32[FLAG] = 1;
	ASSERT_EQ(1, rig_wait(&self->healthy));
	ASSERT_EQ(0, hwmodel_inject("mcu event drop fatal 1"));
	ASSERT_EQ(0, inject(rig, "fatal", 0x48));
	EXPECT_EQ(-ETIMEDOUT, rig_wait(rig));
	EXPECT_EQ(0, group_wait_bad(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_TIMEDOUT, state);
}

TEST_F(exception, an_end_that_is_reported_twice_is_one_end)
{
	struct rig *rig = &self->guilty;

	ASSERT_EQ(0, hwmodel_inject("mcu event repeat sync 1"));
	rig->data.u32[FLAG] = 1;
	EXPECT_EQ(1, rig_wait(rig));
	expect_alive(_metadata, rig);
}

TEST_F(exception, an_end_that_is_not_reported_is_seen_with_the_next_one)
{
	struct rig *rig = &self->guilty;

	ASSERT_EQ(0, hwmodel_inject("mcu event drop sync 1"));
	rig->data.u32[FLAG] = 1;
	ASSERT_EQ(0, rig_wait_word(rig, ENDED, 1));
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, rig->sync, 0, SECOND / 10));
	expect_alive(_metadata, rig);
	EXPECT_EQ(1, rig_wait(rig));
}

TEST_HARNESS_MAIN
