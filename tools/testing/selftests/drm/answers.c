// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Firmware that does not answer requests as it should: never, wrongly, late, or for one slot only. Whoever
 * is in a slot may be lost with it; everybody else goes on. Needs root, and the modelled hardware.
 */
#include "crowd.h"
#include "suite.h"

FIXTURE(answers)
{
	struct crowd crowd;
};

FIXTURE_SETUP(answers)
{
	self->crowd.present = false;
	if (!hwmodel_present() || geteuid())
		SKIP(return, "needs root and modelled hardware");
	crowd_open(_metadata, &self->crowd);
}

FIXTURE_TEARDOWN(answers)
{
	crowd_close(_metadata, &self->crowd);
}

/* The others leave theirs, and go on after the reset. */
TEST_F_TIMEOUT(answers, a_slot_that_a_group_does_not_leave_costs_that_group, 120)
{
	assemble(_metadata, &self->crowd, CROWD);
	ASSERT_EQ(0, hwmodel_inject("mcu slot ignore 0"));
	ASSERT_EQ(0, wait_loss(&self->crowd, CROWD));
	EXPECT_EQ(1, dismiss(_metadata, &self->crowd, CROWD));
	EXPECT_EQ(1, since(&self->crowd.before, "soft_reset"));
}

TEST_F_TIMEOUT(answers, an_endless_job_that_cannot_be_ended_is_the_only_one_to_blame, 120)
{
	struct rig *rig = &self->crowd.rig;
	struct cs cs = rig_stream(rig, 31);
	uint32_t state = 0, fatal = 0;

	cs_put32(&cs, rig->data.va + 8, 1);
	cs_spin_while_zero(&cs, rig->data.va + 12);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	ASSERT_EQ(0, rig_wait_word(rig, 2, 1));
	sleep_ms(2000);
	assemble(_metadata, &self->crowd, 2);
	ASSERT_EQ(0, hwmodel_inject("mcu ack never csg 7"));
	EXPECT_GT(0, rig_wait(rig));
	EXPECT_EQ(0, group_wait_bad(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_TIMEDOUT, state);
	EXPECT_EQ(0, wait_resets(&self->crowd.before, 1));
	ASSERT_EQ(0, hwmodel_inject("clear"));
	EXPECT_EQ(2, dismiss(_metadata, &self->crowd, 2));
}

/* What the firmware is asked for while groups take turns. */
static const struct {
	unsigned int bits;	/* of a group's request word */
	bool saves;		/* even so, all groups can be saved */
} requests[] = {
	{ 0x07, false },	/* start, resume, suspend */
	{ 0x10, true },		/* slot priority */
	{ 0x20, true },		/* status update */
};

/* The groups go, and what they have stored. */
static void disperse(struct __test_metadata *_metadata, struct crowd *crowd)
{
	for (uint32_t i = 0; i < CROWD; i++) {
		EXPECT_EQ(0, group_destroy(&crowd->rig.gpu, crowd->group[i]));
		sync_destroy(&crowd->rig.gpu, crowd->sync[i]);
	}
	memset(crowd->rig.data.map, 0, 4 * MARK(CROWD));
}

/* Groups that take turns, and firmware that answers in a way of its own, until there is a reset. */
static void answer(struct __test_metadata *_metadata, FIXTURE_DATA(answers) *self, const char *how,
		   const char *more)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		uint32_t innocent;
		char command[64];

		assemble(_metadata, &self->crowd, CROWD);
		snprintf(command, sizeof(command), "mcu ack %s csg %u%s", how, requests[i].bits, more);
		ASSERT_EQ(0, hwmodel_inject("mcu ack until-boot"));
		ASSERT_EQ(0, hwmodel_inject(command));
		ASSERT_EQ(0, wait_resets(&self->crowd.before, 1));
		innocent = dismiss(_metadata, &self->crowd, CROWD);
		EXPECT_GE(requests[i].saves ? 0 : self->crowd.slots, innocent);
		EXPECT_EQ(1, since(&self->crowd.before, "soft_reset"));
		disperse(_metadata, &self->crowd);
	}
}

TEST_F_TIMEOUT(answers, requests_that_are_never_acknowledged_cost_those_in_slots_at_most, 240)
{
	answer(_metadata, self, "never", "");
}

TEST_F_TIMEOUT(answers, requests_that_are_acknowledged_wrongly_cost_those_in_slots_at_most, 240)
{
	answer(_metadata, self, "wrong", "");
}

TEST_F_TIMEOUT(answers, requests_that_are_acknowledged_much_too_late_cost_those_in_slots_at_most, 240)
{
	answer(_metadata, self, "delay", " 5000000000");
}

/* So long does a driver wait for an answer, in ms. */
static int64_t patience_ms(const struct gpu *gpu)
{
	return gpu_is_c_driver(gpu) ? 100 : 1000;
}

/*
 * Ten milliseconds are a thousand times as long as it takes. On a machine that is busy elsewhere an answer may take
 * longer than anybody waits for it: what goes wrong then is no wonder, and is tried again.
 */
TEST_F_TIMEOUT(answers, requests_that_are_acknowledged_late_cost_nobody_anything, 240)
{
	struct crowd *crowd = &self->crowd;
	struct rig *rig = &crowd->rig;
	bool took_too_long = true;
	uint32_t lost = 1;

	for (uint32_t i = 0; i < 20 && lost && took_too_long; i++) {
		int64_t begin = now_ns();

		assemble(_metadata, crowd, CROWD);
		ASSERT_EQ(0, hwmodel_inject("mcu ack delay csg 0x37 10000000"));
		ASSERT_EQ(0, wait_count(&crowd->before, "csg_resume", crowd->slots));
		rig->data.u32[0] = 1;
		for (uint32_t j = 0; j < CROWD; j++)
			ASSERT_EQ(0, sync_wait(&rig->gpu, crowd->sync[j], 0, PATIENCE));
		took_too_long = now_ns() - begin > patience_ms(&rig->gpu) * 1000000;
		lost = since(&crowd->before, "soft_reset");
		for (uint32_t j = 0; j < CROWD; j++)
			lost += state_of(crowd, j) != 0;
		ASSERT_EQ(0, hwmodel_inject("clear"));
		if (lost && took_too_long)
			disperse(_metadata, crowd);
	}
	ASSERT_EQ(0, lost);
	EXPECT_EQ(0, dismiss(_metadata, crowd, CROWD));
}

TEST_HARNESS_MAIN
