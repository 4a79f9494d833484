// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What the firmware reports of streams that went wrong: each type of exception, as a fault and as a
 * fatal one, wherever a job is in its life; jobs that make no progress; and reports that get lost.
 * The guilty one ends with the right error, and everybody else does not notice.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hwmodel.h"
#include "power.h"
#include "suite.h"

#define NOWHERE		0x7000000000ull		/* nothing is ever mapped there */

/* All but CS_UNRECOVERABLE, which is about the GPU and not about a group. */
static const uint8_t fatal_types[] = {
	0x40, 0x44, 0x48, 0x49, 0x4a, 0x50, 0x51, 0x58, 0x60, 0x68, 0x80, 0x88, 0xc3, 0xe4,
};

static const uint8_t fault_types[] = {
	0x0f, 0x4b, 0x50, 0x51, 0x55, 0x58, 0x59, 0x5a, 0x5b, 0x69, 0x80, 0x88, 0x89, 0x8a, 0xc0,
	0xc4, 0xc8, 0xd9, 0xe0, 0xe4, 0xe8,
};

#define COUNT(array)	(sizeof(array) / sizeof(*(array)))

/* Words in the data of the guilty one. */
#define FLAG		0	/* it spins until this is set */
#define BEGUN		16
#define ENDED		32
#define OBJECT		64	/* 64 bits */

FIXTURE(exception)
{
	struct rig guilty, healthy;
};

/* A job on queue 0 that has begun, and ends when the flag is set. */
static void spin(struct __test_metadata *_metadata, struct rig *rig)
{
	struct cs cs = rig_stream(rig, 0);

	rig->data.u32[FLAG] = 0;
	rig->data.u32[BEGUN] = 0;
	rig->data.u32[ENDED] = 0;
	cs_put32(&cs, rig->data.va + 4 * BEGUN, 1);
	cs_spin_while_zero(&cs, rig->data.va + 4 * FLAG);
	cs_put32(&cs, rig->data.va + 4 * ENDED, 1);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	ASSERT_EQ(0, rig_wait_word(rig, BEGUN, 1));
}

/* The job of spin() ends well, and another one begins: none may take as long as a whole test does. */
static void relay(struct __test_metadata *_metadata, struct rig *rig)
{
	rig->data.u32[FLAG] = 1;
	ASSERT_EQ(1, rig_wait(rig));
	EXPECT_EQ(1, rig->data.u32[ENDED]);
	spin(_metadata, rig);
}

/* As that, but it waits for the sync object. */
static void block(struct __test_metadata *_metadata, struct rig *rig)
{
	struct cs cs = rig_stream(rig, 0);

	rig->data.u32[BEGUN] = 0;
	rig->data.u32[ENDED] = 0;
	rig->data.u64[OBJECT / 2] = 0;
	cs_put32(&cs, rig->data.va + 4 * BEGUN, 1);
	cs_move48(&cs, 10, rig->data.va + 4 * OBJECT);
	cs_move48(&cs, 20, 0);
	cs_sync_wait64(&cs, CS_GREATER, 10, 20);
	cs_put32(&cs, rig->data.va + 4 * ENDED, 1);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	ASSERT_EQ(0, rig_wait_word(rig, BEGUN, 1));
}

/* A job that stores @value in word @word, on this queue. */
static int put(struct rig *rig, uint32_t queue, uint32_t word, uint32_t value, uint32_t sync)
{
	struct cs cs = rig_stream(rig, word % 16 + 8);

	cs_put32(&cs, rig->data.va + 4 * word, value);
	return group_run(&rig->gpu, rig->group, queue, rig_stream_va(rig, &cs), cs_bytes(&cs), sync);
}

/* Work that takes so many milliseconds, on the model. */
static void compute(struct cs *cs, unsigned int ms)
{
	cs_move32(cs, 37, 1 + ms * 1000000 / 50);
	cs_move32(cs, 38, 1);
	cs_move32(cs, 39, 1);
	cs_run_compute(cs);
	cs_wait(cs, CS_SB_ALL);
}

static uint64_t reported(void)
{
	struct hwmodel_counters counters = { 0 };

	return hwmodel_read(&counters) ? 0 : hwmodel_get(&counters, "faults");
}

/* Until the stream 0 of the first slot, which has to be started, has reported it. */
static int inject(const char *kind, uint8_t type)
{
	int64_t end = now_ns() + PATIENCE;
	uint64_t before = reported();
	char line[64];
	int ret;

	snprintf(line, sizeof(line), "mcu %s 0 0 0x%x", kind, type);
	ret = hwmodel_inject(line);
	while (!ret && reported() == before) {
		if (now_ns() > end)
			return -ETIME;
		sleep_ms(1);
	}
	return ret;
}

FIXTURE_SETUP(exception)
{
	if (geteuid() || !hwmodel_present())
		SKIP(return, "exceptions on request are for the hardware model");
	ASSERT_EQ(0, rig_open(&self->guilty, 2));
	ASSERT_EQ(0, rig_open(&self->healthy, 1));
	/* The first to run is in the first slot, and the other one in the next, until the GPU is switched off. */
	power_keep_on(&self->guilty.gpu, true);
	spin(_metadata, &self->guilty);
	spin(_metadata, &self->healthy);
}

FIXTURE_TEARDOWN(exception)
{
	uint32_t state, fatal;

	hwmodel_inject("clear");
	self->healthy.data.u32[FLAG] = 1;
	EXPECT_EQ(1, rig_wait(&self->healthy));
	EXPECT_EQ(1, self->healthy.data.u32[ENDED]);
	EXPECT_EQ(0, group_state(&self->healthy.gpu, self->healthy.group, &state, &fatal));
	EXPECT_EQ(0, state);
	self->guilty.data.u32[FLAG] = 1;
	power_keep_on(&self->guilty.gpu, false);
	rig_close(&self->guilty);
	rig_close(&self->healthy);
}

/* The group has gone with its queue 0, whose job ended with @error. */
static void expect_fatal(struct __test_metadata *_metadata, struct rig *rig, int error)
{
	uint32_t state = 0, fatal = 0;

	EXPECT_EQ(error, rig_wait(rig));
	EXPECT_EQ(0, group_wait_bad(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_FATAL_FAULT, state);
	EXPECT_EQ(1, fatal);
	EXPECT_EQ(-EINVAL, put(rig, 1, 200, 1, 0));
}

static void expect_alive(struct __test_metadata *_metadata, struct rig *rig)
{
	uint32_t state = 1, fatal = 1, sync;

	EXPECT_EQ(0, group_state(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_EQ(0, state);
	EXPECT_EQ(0, fatal);
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &sync));
	rig->data.u32[200] = 0;
	ASSERT_EQ(0, put(rig, 0, 200, 7, sync));
	EXPECT_EQ(0, sync_wait(&rig->gpu, sync, 0, PATIENCE));
	EXPECT_EQ(1, sync_status(&rig->gpu, sync));
	EXPECT_EQ(7, rig->data.u32[200]);
	sync_destroy(&rig->gpu, sync);
}

static void renew(struct __test_metadata *_metadata, struct rig *rig)
{
	ASSERT_EQ(0, group_destroy(&rig->gpu, rig->group));
	ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, rig->queues, PANTHOR_GROUP_PRIORITY_MEDIUM,
				  &rig->group));
}

TEST_F_TIMEOUT(exception, each_fatal_type_ends_the_job_and_the_group, 60)
{
	struct rig *rig = &self->guilty;

	for (size_t i = 0; i < COUNT(fatal_types); i++) {
		ASSERT_EQ(0, inject("fatal", fatal_types[i]));
		expect_fatal(_metadata, rig, -EINVAL);
		EXPECT_EQ(0, rig->data.u32[ENDED]);
		renew(_metadata, rig);
		relay(_metadata, &self->healthy);
		spin(_metadata, rig);
	}
}

TEST_F_TIMEOUT(exception, each_fault_type_fails_the_job_and_not_the_group, 60)
{
	struct rig *rig = &self->guilty;

	for (size_t i = 0; i < COUNT(fault_types); i++) {
		ASSERT_EQ(0, inject("fault", fault_types[i]));
		/* It goes on when the driver has seen it. */
		rig->data.u32[FLAG] = 1;
		EXPECT_EQ(-EINVAL, rig_wait(rig));
		expect_alive(_metadata, rig);
		relay(_metadata, &self->healthy);
		spin(_metadata, rig);
	}
}

TEST_F(exception, a_fatal_one_ends_a_job_that_waits_for_a_sync_object)
{
	struct rig *rig = &self->guilty;

	rig->data.u32[FLAG] = 1;
	ASSERT_EQ(1, rig_wait(rig));
	block(_metadata, rig);
	ASSERT_EQ(0, inject("fatal", 0x48));
	expect_fatal(_metadata, rig, -EINVAL);
	EXPECT_EQ(0, rig->data.u32[ENDED]);
}

TEST_F(exception, a_fatal_one_between_jobs_ends_the_group)
{
	struct rig *rig = &self->guilty;
	uint32_t state = 0, fatal = 0;

	rig->data.u32[FLAG] = 1;
	ASSERT_EQ(1, rig_wait(rig));
	ASSERT_EQ(0, inject("fatal", 0x48));
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
	ASSERT_EQ(0, inject("fatal", 0x49));
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
	ASSERT_EQ(0, inject("fault", 0x58));
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
	ASSERT_EQ(0, inject("fatal", 0x48));
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
