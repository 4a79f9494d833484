// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Each type of exception, as a fatal one and as a fault, at each point of a job's life: before its first
 * instruction, in its stream, in a stream that this calls, while it waits for a sync object, while a
 * job of it runs, at its end, and while its group leaves the slot.
 *
 * A fatal one ends the job and what is behind it with EINVAL, and the group; a fault fails the job and
 * nothing else. Somebody in another slot comes out right in any case.
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
#define FILLED		24	/* words of the healthy one: fillers spin until this is set */
#define FILLER		300	/* and how far each of them has come */

FIXTURE(fate)
{
	struct rig guilty, healthy;
	uint32_t behind;	/* syncobj */
	uint32_t others;	/* in slots, besides the guilty one */
};

FIXTURE_SETUP(fate)
{
	if (geteuid() || !hwmodel_present())
		SKIP(return, "exceptions on request are for the hardware model");
	ASSERT_EQ(0, rig_open(&self->guilty, 2));
	ASSERT_EQ(0, rig_open(&self->healthy, 1));
	ASSERT_EQ(0, sync_create(&self->guilty.gpu, false, &self->behind));
	/* The first to run is in the first slot, and the other one in the next, until the GPU is switched off. */
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

static int ask(const struct kind *kind)
{
	return inject(kind->fatal ? "fatal" : "fault", kind->type);
}

static void expect_behind(struct __test_metadata *_metadata, FIXTURE_DATA(fate) *self,
			  const struct kind *kind, int status)
{
	/* What was not in the ring yet ends with another error on the C driver. */
	if (kind->fatal && gpu_is_c_driver(&self->guilty.gpu) && status == -ECANCELED)
		return;
	EXPECT_EQ(kind->fatal ? -EINVAL : 1, status);
}

/* A new group, which gets the first slot again: the old one has left it. */
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

/*
 * All, but on the C driver one fatal type and one fault: there a new group is now and then not in the slot
 * that the one before has left, and it is somebody else who gets the exception.
 */
static bool left_out(const struct gpu *gpu, const struct kind *kind)
{
	return gpu_is_c_driver(gpu) && kind != kinds && kind->fatal == kind[-1].fatal;
}

#define EACH(kind)								\
	for (const struct kind *kind = kinds; kind < kinds + sizeof(kinds) / sizeof(*kinds); kind++)	\
		if (!left_out(&self->guilty.gpu, kind))

/* It strikes as soon as the group is in its slot. */
TEST_F_TIMEOUT(fate, before_the_first_instruction, 120)
{
	struct rig *rig = &self->guilty;

	EACH(kind) {
		struct cs cs = rig_stream(rig, 0);
		char line[64];

		renew_in_place(_metadata, self);
		begin(rig);
		rig->data.u32[FLAG] = 1;
		cs_spin_while_zero(&cs, rig->data.va + 4 * FLAG);
		cs_put32(&cs, rig->data.va + 4 * ENDED, 1);
		snprintf(line, sizeof(line), "mcu %s 0 0 0x%x", kind->fatal ? "fatal" : "fault", kind->type);
		ASSERT_EQ(0, hwmodel_inject(line));
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

TEST_F_TIMEOUT(fate, in_its_stream, 120)
{
	struct rig *rig = &self->guilty;

	EACH(kind) {
		begin(rig);
		spin(_metadata, rig);
		queue_behind(_metadata, self);
		ASSERT_EQ(0, ask(kind));
		rig->data.u32[FLAG] = 1;
		judge(_metadata, self, kind);
	}
}

TEST_F_TIMEOUT(fate, in_a_stream_that_it_calls, 120)
{
	struct rig *rig = &self->guilty;

	EACH(kind) {
		struct cs inner = rig_stream(rig, 1), outer = rig_stream(rig, 2), cs = rig_stream(rig, 0);

		begin(rig);
		cs_put32(&inner, rig->data.va + 4 * BEGUN, 1);
		cs_spin_while_zero(&inner, rig->data.va + 4 * FLAG);
		cs_move48(&outer, 40, rig_stream_va(rig, &inner));
		cs_move32(&outer, 42, cs_bytes(&inner));
		cs_call(&outer, 40, 42);
		cs_move48(&cs, 44, rig_stream_va(rig, &outer));
		cs_move32(&cs, 46, cs_bytes(&outer));
		cs_call(&cs, 44, 46);
		cs_put32(&cs, rig->data.va + 4 * ENDED, 1);
		ASSERT_EQ(0, rig_submit(rig, 0, &cs));
		ASSERT_EQ(0, rig_wait_word(rig, BEGUN, 1));
		queue_behind(_metadata, self);
		ASSERT_EQ(0, ask(kind));
		rig->data.u32[FLAG] = 1;
		judge(_metadata, self, kind);
	}
}

TEST_F_TIMEOUT(fate, while_it_waits_for_a_sync_object, 120)
{
	struct rig *rig = &self->guilty;

	EACH(kind) {
		begin(rig);
		block(_metadata, rig);
		queue_behind(_metadata, self);
		ASSERT_EQ(0, ask(kind));
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

TEST_F_TIMEOUT(fate, while_a_job_of_it_runs, 120)
{
	struct rig *rig = &self->guilty;

	EACH(kind) {
		struct cs cs = rig_stream(rig, 0);
		size_t again;

		begin(rig);
		cs_put32(&cs, rig->data.va + 4 * BEGUN, 1);
		cs_move48(&cs, 44, rig->data.va + 4 * FLAG);
		again = cs.len;
		compute(&cs, 20);
		cs_load(&cs, 46, 1, 44, 0);
		cs_wait(&cs, CS_SB_LS);
		cs_branch(&cs, CS_EQUAL, 46, again);
		cs_put32(&cs, rig->data.va + 4 * ENDED, 1);
		ASSERT_EQ(0, rig_submit(rig, 0, &cs));
		ASSERT_EQ(0, rig_wait_word(rig, BEGUN, 1));
		queue_behind(_metadata, self);
		ASSERT_EQ(0, ask(kind));
		rig->data.u32[FLAG] = 1;
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
			ASSERT_EQ(0, ask(kind));
			first = rig_wait(rig);
			EXPECT_EQ(0, sync_wait(&rig->gpu, self->behind, 0, PATIENCE));
			second = sync_status(&rig->gpu, self->behind);
			if (kind->fatal && first == 1)
				renew_in_place(_metadata, self);
			else if (!kind->fatal)
				EXPECT_EQ(1, rig->data.u32[BEHIND]);
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
		relay(_metadata, &self->healthy);
	}
}

/* Others of higher priority fill all slots, one of them for a moment. */
TEST_F_TIMEOUT(fate, while_its_group_leaves_the_slot, 240)
{
	struct rig *rig = &self->guilty, *healthy = &self->healthy;
	uint32_t filler[16], urgent, done, count;
	struct drm_panthor_csif_info csif;
	struct cs cs;

	if (gpu_is_c_driver(&rig->gpu))
		SKIP(return, "idle groups of the C driver do not stay in their slots");
	ASSERT_EQ(0, gpu_csif(&rig->gpu, &csif));
	ASSERT_GE(16, csif.csg_slot_count);
	count = csif.csg_slot_count - 2;
	ASSERT_EQ(0, sync_create(&healthy->gpu, false, &done));
	for (uint32_t i = 0; i < count; i++)
		ASSERT_EQ(0, group_create(&healthy->gpu, healthy->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &filler[i]));

	EACH(kind) {
		uint64_t before = reported();
		char line[64];

		ASSERT_EQ(0, group_destroy(&rig->gpu, rig->group));
		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 2, PANTHOR_GROUP_PRIORITY_LOW, &rig->group));
		ASSERT_EQ(0, wait_slots_used(self->others));
		self->others = count + 1;
		begin(rig);
		spin(_metadata, rig);
		queue_behind(_metadata, self);
		healthy->data.u32[FILLED] = 0;
		for (uint32_t i = 0; i < count; i++) {
			cs = rig_stream(healthy, 8 + i);
			cs_put32(&cs, healthy->data.va + 4 * (FILLER + i), 1);
			cs_spin_while_zero(&cs, healthy->data.va + 4 * FILLED);
			cs_put32(&cs, healthy->data.va + 4 * (FILLER + i), 2);
			ASSERT_EQ(0, group_run(&healthy->gpu, filler[i], 0, rig_stream_va(healthy, &cs),
					       cs_bytes(&cs), 0));
		}
		for (uint32_t i = 0; i < count; i++)
			ASSERT_EQ(0, rig_wait_word(healthy, FILLER + i, 1));

		snprintf(line, sizeof(line), "mcu leaving %s 0 0 0x%x", kind->fatal ? "fatal" : "fault",
			 kind->type);
		ASSERT_EQ(0, hwmodel_inject(line));
		ASSERT_EQ(0, group_create(&healthy->gpu, healthy->vm, 1, PANTHOR_GROUP_PRIORITY_REALTIME,
					  &urgent));
		cs = rig_stream(healthy, 7);
		cs_put32(&cs, healthy->data.va + 4 * 299, 1);
		ASSERT_EQ(0, group_run(&healthy->gpu, urgent, 0, rig_stream_va(healthy, &cs),
				       cs_bytes(&cs), done));
		EXPECT_EQ(0, sync_wait(&healthy->gpu, done, 0, PATIENCE));
		EXPECT_EQ(1, sync_status(&healthy->gpu, done));
		EXPECT_EQ(before + 1, reported());
		ASSERT_EQ(0, group_destroy(&healthy->gpu, urgent));
		rig->data.u32[FLAG] = 1;
		judge(_metadata, self, kind);
		healthy->data.u32[FILLED] = 1;
		for (uint32_t i = 0; i < count; i++)
			ASSERT_EQ(0, rig_wait_word(healthy, FILLER + i, 2));
	}
}

TEST_HARNESS_MAIN
