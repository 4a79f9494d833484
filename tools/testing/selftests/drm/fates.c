// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Each type of exception, as a fatal one and as a fault, at each point of a job's life: before its first
 * instruction, in its stream, in a stream that this calls, while it waits for a sync object, while a
 * job of it runs, at its end, and while its group leaves the slot.
 *
 * A fatal one ends the job and what is behind it in the ring with EINVAL, and the group; a fault fails the job
 * and nothing else. Somebody in another slot comes out right in any case.
 */
#include "guilty.h"

static const struct kind {
	bool fatal;
	uint8_t type;
} kinds[] = {
	/* All but CS_UNRECOVERABLE, which is about the GPU and not about a group. */
	{ true, 0x40 }, { true, 0x44 }, { true, 0x48 }, { true, 0x49 }, { true, 0x4a }, { true, 0x50 },
	{ true, 0x51 }, { true, 0x58 }, { true, 0x60 }, { true, 0x68 }, { true, 0x80 }, { true, 0x88 },
	{ true, 0xc3 }, { true, 0xe4 },
	{ false, 0x0f }, { false, 0x4b }, { false, 0x50 }, { false, 0x51 }, { false, 0x55 },
	{ false, 0x58 }, { false, 0x59 }, { false, 0x5a }, { false, 0x5b }, { false, 0x69 },
	{ false, 0x80 }, { false, 0x88 }, { false, 0x89 }, { false, 0x8a }, { false, 0xc0 },
	{ false, 0xc4 }, { false, 0xc8 }, { false, 0xd9 }, { false, 0xe0 }, { false, 0xe4 },
	{ false, 0xe8 },
};

#define BEHIND		208	/* word of the job that is queued behind */

FIXTURE(fate)
{
	struct rig guilty, healthy;
	uint32_t behind;	/* syncobj */
	uint32_t others;	/* in slots, besides the guilty one */
	bool late;		/* the job behind may find its group dead */
};

FIXTURE_SETUP(fate)
{
	if (geteuid() || !hwmodel_present())
		SKIP(return, "exceptions on request are for the hardware model");
	ASSERT_EQ(0, open_guilty(&self->guilty, 2));
	ASSERT_EQ(0, rig_open(&self->healthy, 2));
	ASSERT_EQ(0, sync_create(&self->guilty.gpu, false, &self->behind));
	/* As long as the GPU is on, address spaces keep their numbers. */
	power_keep_on(&self->guilty.gpu, true);
	self->others = 1;
	spin(_metadata, &self->guilty);
	spin(_metadata, &self->healthy);
	self->guilty.data.u32[FLAG] = 1;
	ASSERT_EQ(1, rig_wait(&self->guilty));
}

FIXTURE_TEARDOWN(fate)
{
	part(_metadata, &self->guilty, &self->healthy);
}

/* Until so many groups are in slots. */
static int wait_slots_used(uint64_t count)
{
	int64_t end = now_ns() + PATIENCE;
	struct hwmodel_counters c = { 0 };

	do {
		if (hwmodel_read(&c))
			return -EIO;
		if (hwmodel_get(&c, "csg_start") + hwmodel_get(&c, "csg_resume") ==
		    hwmodel_get(&c, "csg_suspend") + hwmodel_get(&c, "csg_terminate") + count)
			return 0;
		sleep_ms(1);
	} while (now_ns() < end);
	return -ETIME;
}

/* Words that say how far the job of this round has come. */
static void begin(struct rig *rig)
{
	rig->data.u32[FLAG] = 0;
	rig->data.u32[BEGUN] = 0;
	rig->data.u32[ENDED] = 0;
	rig->data.u32[BEHIND] = 0;
	rig->data.u64[OBJECT / 2] = 0;
}

/* A job that counts one up behind it, in the same queue. */
static void queue_behind(struct __test_metadata *_metadata, FIXTURE_DATA(fate) *self)
{
	ASSERT_EQ(0, put(&self->guilty, 0, BEHIND, 1, self->behind));
}

static int ask(FIXTURE_DATA(fate) *self, const struct kind *kind)
{
	return inject(&self->guilty, kind->fatal ? "fatal" : "fault", kind->type);
}

static void expect_behind(struct __test_metadata *_metadata, FIXTURE_DATA(fate) *self,
			  const struct kind *kind, int status)
{
	/* What was not in the ring yet is cancelled. The C driver may put it there after the submission. */
	if (kind->fatal && status == -ECANCELED && (self->late || gpu_is_c_driver(&self->guilty.gpu)))
		return;
	EXPECT_EQ(kind->fatal ? -EINVAL : 1, status);
}

/* A new group. The old one, which has the same address space, has left its slot. */
static void renew_in_place(struct __test_metadata *_metadata, FIXTURE_DATA(fate) *self)
{
	renew(_metadata, &self->guilty);
	ASSERT_EQ(0, wait_slots_used(self->others));
}

/* The job and the one behind it have ended as this kind of exception makes them. */
static void judge(struct __test_metadata *_metadata, FIXTURE_DATA(fate) *self, const struct kind *kind)
{
	struct rig *rig = &self->guilty;
	bool good;

	if (kind->fatal) {
		expect_fatal(_metadata, rig, -EINVAL);
		EXPECT_EQ(0, rig->data.u32[ENDED]);
	} else {
		EXPECT_EQ(-EINVAL, rig_wait(rig));
		EXPECT_EQ(1, rig->data.u32[ENDED]);
	}
	EXPECT_EQ(0, sync_wait(&rig->gpu, self->behind, 0, PATIENCE));
	expect_behind(_metadata, self, kind, sync_status(&rig->gpu, self->behind));
	EXPECT_EQ(!kind->fatal, rig->data.u32[BEHIND]);
	if (!kind->fatal)
		expect_alive(_metadata, rig);
	good = __test_passed(_metadata);
	ASSERT_TRUE(good) {
		TH_LOG("%s 0x%x", kind->fatal ? "fatal" : "fault", kind->type);
	}
	if (kind->fatal)
		renew_in_place(_metadata, self);
	relay(_metadata, &self->healthy);
}

#define EACH(kind)								\
	for (const struct kind *kind = kinds; kind < kinds + sizeof(kinds) / sizeof(*kinds); kind++)

/* It strikes as soon as the group is in its slot. */
TEST_F_TIMEOUT(fate, before_the_first_instruction, 120)
{
	struct rig *rig = &self->guilty;

	self->late = true;
	EACH(kind) {
		struct cs cs = rig_stream(rig, 0);

		renew_in_place(_metadata, self);
		begin(rig);
		rig->data.u32[FLAG] = 1;
		cs_spin_while_zero(&cs, rig->data.va + 4 * FLAG);
		cs_put32(&cs, rig->data.va + 4 * ENDED, 1);
		ASSERT_EQ(0, inject_later(rig, kind->fatal ? "fatal" : "fault", kind->type));
		ASSERT_EQ(0, rig_submit(rig, 0, &cs));
		/* The group may have gone by then, and with it the job behind. */
		if (put(rig, 0, BEHIND, 1, self->behind)) {
			EXPECT_TRUE(kind->fatal);
			expect_fatal(_metadata, rig, -EINVAL);
			EXPECT_EQ(0, rig->data.u32[ENDED]);
			renew_in_place(_metadata, self);
			relay(_metadata, &self->healthy);
		} else {
			judge(_metadata, self, kind);
		}
	}
}

static void strike_at(struct __test_metadata *_metadata, FIXTURE_DATA(fate) *self, enum point point)
{
	struct rig *rig = &self->guilty;

	EACH(kind) {
		rig->data.u32[BEHIND] = 0;
		begin_at(_metadata, rig, point, NULL, NULL);
		queue_behind(_metadata, self);
		ASSERT_EQ(0, ask(self, kind));
		rig->data.u32[FLAG] = 1;
		judge(_metadata, self, kind);
	}
}

TEST_F_TIMEOUT(fate, in_its_stream, 120)
{
	strike_at(_metadata, self, IN_ITS_STREAM);
}

TEST_F_TIMEOUT(fate, in_a_stream_that_it_calls, 120)
{
	strike_at(_metadata, self, IN_A_STREAM_THAT_IT_CALLS);
}

TEST_F_TIMEOUT(fate, while_a_job_of_it_runs, 120)
{
	strike_at(_metadata, self, WHILE_A_JOB_OF_IT_RUNS);
}

TEST_F_TIMEOUT(fate, while_it_waits_for_a_sync_object, 120)
{
	struct rig *rig = &self->guilty;

	EACH(kind) {
		begin(rig);
		block(_metadata, rig);
		queue_behind(_metadata, self);
		ASSERT_EQ(0, ask(self, kind));
		if (!kind->fatal) {
			struct cs cs = rig_stream(rig, 3);

			/* The other queue ends the wait. */
			cs_move48(&cs, 10, rig->data.va + 4 * OBJECT);
			cs_move48(&cs, 20, 1);
			cs_sync_set64(&cs, CS_SYSTEM, 10, 20, 0);
			ASSERT_EQ(0, group_run(&rig->gpu, rig->group, 1, rig_stream_va(rig, &cs),
					       cs_bytes(&cs), 0));
		}
		judge(_metadata, self, kind);
	}
}

/*
 * Its stream is over, but not what it has started. The ring may go on to the job behind it meanwhile, so
 * that a fault is either's. On a slow machine it comes too late for both, and is tried again.
 */
TEST_F_TIMEOUT(fate, at_its_end_with_another_one_queued, 120)
{
	struct rig *rig = &self->guilty;

	EACH(kind) {
		int first = 1, second = 1;

		for (int tries = 0; tries < 4 && first == 1 && second == 1; tries++) {
			struct cs cs = rig_stream(rig, 0);

			begin(rig);
			cs_put32(&cs, rig->data.va + 4 * BEGUN, 1);
			cs_move32(&cs, 37, (300u << tries) * 20000);
			cs_move32(&cs, 38, 1);
			cs_move32(&cs, 39, 1);
			cs_run_compute(&cs);
			ASSERT_EQ(0, rig_submit(rig, 0, &cs));
			queue_behind(_metadata, self);
			ASSERT_EQ(0, rig_wait_word(rig, BEGUN, 1));
			ASSERT_EQ(0, ask(self, kind));
			first = rig_wait(rig);
			EXPECT_EQ(0, sync_wait(&rig->gpu, self->behind, 0, PATIENCE));
			second = sync_status(&rig->gpu, self->behind);
			if (kind->fatal && first == 1)
				renew_in_place(_metadata, self);
			else if (!kind->fatal)
				EXPECT_EQ(1, rig->data.u32[BEHIND]);
			relay(_metadata, &self->healthy);
		}
		if (kind->fatal) {
			expect_behind(_metadata, self, kind, second);
			expect_fatal(_metadata, rig, -EINVAL);
			renew_in_place(_metadata, self);
		} else {
			EXPECT_TRUE(first == -EINVAL ? second == 1 : first == 1 && second == -EINVAL) {
				TH_LOG("fault 0x%x: %d, then %d", kind->type, first, second);
			}
			expect_alive(_metadata, rig);
		}
	}
}

/* Others of higher priority fill all slots, one of them for a moment. */
TEST_F_TIMEOUT(fate, while_its_group_leaves_the_slot, 240)
{
	struct rig *rig = &self->guilty;
	struct crowd crowd;

	if (gpu_is_c_driver(&rig->gpu))
		SKIP(return, "idle groups of the C driver do not stay in their slots");
	crowd_open(_metadata, &crowd, &self->healthy);

	EACH(kind) {
		uint64_t before = reported();

		ASSERT_EQ(0, group_destroy(&rig->gpu, rig->group));
		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 2, PANTHOR_GROUP_PRIORITY_LOW, &rig->group));
		ASSERT_EQ(0, wait_slots_used(self->others));
		self->others = crowd.count + 1;
		begin(rig);
		spin(_metadata, rig);
		queue_behind(_metadata, self);
		crowd_begin(_metadata, &crowd);
		ASSERT_EQ(0, inject_later(rig, kind->fatal ? "leaving fatal" : "leaving fault", kind->type));
		crowd_displace(_metadata, &crowd);
		EXPECT_EQ(before + 1, reported());
		rig->data.u32[FLAG] = 1;
		judge(_metadata, self, kind);
		crowd_end(_metadata, &crowd);
	}
}

TEST_HARNESS_MAIN
