// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Groups: what can be created, by whom, how many, and how they share the slots. */
#include <string.h>
#include <unistd.h>

#include "hwmodel.h"
#include "suite.h"

#define MAX_GROUPS	128

FIXTURE(group)
{
	struct gpu gpu;
	uint32_t vm;
	struct drm_panthor_csif_info csif;
	struct drm_panthor_gpu_info info;
};

FIXTURE_SETUP(group)
{
	ASSERT_EQ(0, gpu_open(&self->gpu));
	ASSERT_EQ(0, gpu_csif(&self->gpu, &self->csif));
	ASSERT_EQ(0, gpu_info(&self->gpu, &self->info));
	ASSERT_EQ(0, vm_create(&self->gpu, 0, &self->vm));
}

FIXTURE_TEARDOWN(group)
{
	gpu_close(&self->gpu);
}

TEST_F(group, it_can_have_as_many_queues_as_the_firmware_has_slots_for)
{
	uint32_t handle;

	for (uint32_t queues = 1; queues <= self->csif.cs_slot_count; queues++) {
		ASSERT_EQ(0, group_create(&self->gpu, self->vm, queues,
					  PANTHOR_GROUP_PRIORITY_MEDIUM, &handle));
		EXPECT_NE(0, handle);
		ASSERT_EQ(0, group_destroy(&self->gpu, handle));
	}
}

TEST_F(group, a_ring_has_4_to_64_kib)
{
	for (uint32_t size = 4 << 10; size <= 64 << 10; size *= 2) {
		struct drm_panthor_queue_create queue = { .ringbuf_size = size, .priority = 15 };
		struct drm_panthor_group_create args =
			group_args(&self->gpu, self->vm, &queue, 1, PANTHOR_GROUP_PRIORITY_LOW);

		EXPECT_EQ(0, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_GROUP_CREATE, &args));
	}
}

TEST_F(group, it_may_use_fewer_cores_than_there_are)
{
	struct drm_panthor_queue_create queue = { 0 };
	struct drm_panthor_group_create args =
		group_args(&self->gpu, self->vm, &queue, 1, PANTHOR_GROUP_PRIORITY_LOW);

	args.max_compute_cores = 1;
	args.compute_core_mask &= -args.compute_core_mask;
	EXPECT_EQ(0, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_GROUP_CREATE, &args));
}

TEST_F(group, a_new_one_has_no_state_to_complain_about)
{
	uint32_t handle, state = 1, fatal = 1;

	ASSERT_EQ(0, group_create(&self->gpu, self->vm, 2, PANTHOR_GROUP_PRIORITY_LOW, &handle));
	EXPECT_EQ(0, group_state(&self->gpu, handle, &state, &fatal));
	EXPECT_EQ(0, state);
	EXPECT_EQ(0, fatal);
}

TEST_F(group, root_may_use_every_priority)
{
	uint32_t handle;

	if (geteuid())
		SKIP(return, "needs root");
	for (uint8_t prio = 0; prio <= PANTHOR_GROUP_PRIORITY_REALTIME; prio++)
		EXPECT_EQ(0, group_create(&self->gpu, self->vm, 1, prio, &handle));
}

TEST_F(group, an_ordinary_user_may_not_use_high_and_realtime_priority)
{
	uint32_t handle;

	if (geteuid())
		SKIP(return, "needs root to become somebody else");
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	EXPECT_EQ(0, group_create(&self->gpu, self->vm, 1, PANTHOR_GROUP_PRIORITY_LOW, &handle));
	EXPECT_EQ(0, group_create(&self->gpu, self->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &handle));
	EXPECT_EQ(-EACCES, group_create(&self->gpu, self->vm, 1, PANTHOR_GROUP_PRIORITY_HIGH,
					&handle));
	EXPECT_EQ(-EACCES, group_create(&self->gpu, self->vm, 1, PANTHOR_GROUP_PRIORITY_REALTIME,
					&handle));
}

TEST_F(group, a_file_has_128_groups_and_not_one_more)
{
	uint32_t handle[MAX_GROUPS + 1];

	for (size_t i = 0; i < MAX_GROUPS; i++)
		ASSERT_EQ(0, group_create(&self->gpu, self->vm, 1, PANTHOR_GROUP_PRIORITY_LOW,
					  &handle[i]));
	EXPECT_EQ(-EBUSY, group_create(&self->gpu, self->vm, 1, PANTHOR_GROUP_PRIORITY_LOW,
				       &handle[MAX_GROUPS]));
	EXPECT_EQ(0, group_destroy(&self->gpu, handle[64]));
	EXPECT_EQ(0, group_create(&self->gpu, self->vm, 1, PANTHOR_GROUP_PRIORITY_LOW,
				  &handle[64]));
}

TEST_F(group, it_outlives_the_name_of_its_vm)
{
	uint32_t handle, state, fatal;

	ASSERT_EQ(0, group_create(&self->gpu, self->vm, 1, PANTHOR_GROUP_PRIORITY_LOW, &handle));
	ASSERT_EQ(0, vm_destroy(&self->gpu, self->vm));
	EXPECT_EQ(0, group_state(&self->gpu, handle, &state, &fatal));
	EXPECT_EQ(0, group_destroy(&self->gpu, handle));
}

TEST_F(group, destroying_it_ends_its_jobs_with_an_error)
{
	struct rig rig;
	struct cs cs;

	ASSERT_EQ(0, rig_open_on(&rig, &self->gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	cs = rig_stream(&rig, 0);
	cs_spin_while_zero(&cs, rig.data.va);
	ASSERT_EQ(0, rig_submit(&rig, 0, &cs));
	EXPECT_EQ(-ETIME, sync_wait(&rig.gpu, rig.sync, 0, SECOND / 50));
	ASSERT_EQ(0, group_destroy(&rig.gpu, rig.group));
	EXPECT_GT(0, rig_wait(&rig));
	/* And the slot is free for the next one. */
	ASSERT_EQ(0, group_create(&rig.gpu, rig.vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &rig.group));
	cs = rig_stream(&rig, 1);
	cs_put32(&cs, rig.data.va + 8, 5);
	EXPECT_EQ(1, rig_run(&rig, 0, &cs));
	EXPECT_EQ(5, rig.data.u32[2]);
	rig_release(&rig);
}

/*
 * Until its group has left the slot, the firmware may write to a VM: it is not emptied before.
 */
TEST_F(group, it_has_left_its_slot_before_its_vm_goes)
{
	/* The C driver gives up after a tenth of a second. */
	int64_t begin, delay = SECOND / 16;
	char command[48];
	struct rig rig;
	struct cs cs;

	if (!hwmodel_present() || geteuid())
		SKIP(return, "needs root and modelled hardware");
	ASSERT_EQ(0, rig_open_on(&rig, &self->gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	cs = rig_stream(&rig, 0);
	cs_put32(&cs, rig.data.va + 4, 1);
	cs_spin_while_zero(&cs, rig.data.va);
	ASSERT_EQ(0, rig_submit(&rig, 0, &cs));
	ASSERT_EQ(0, rig_wait_word(&rig, 1, 1));
	snprintf(command, sizeof(command), "mcu ack delay csg 7 %lld", (long long)delay);
	ASSERT_EQ(0, hwmodel_inject(command));
	begin = now_ns();
	ASSERT_EQ(0, group_destroy(&rig.gpu, rig.group));
	ASSERT_EQ(0, vm_destroy(&rig.gpu, rig.vm));
	EXPECT_LE(delay, now_ns() - begin);
	ASSERT_EQ(0, hwmodel_inject("clear"));
	EXPECT_GT(0, rig_wait(&rig));
	rig_release(&rig);
	EXPECT_EQ(0, hwmodel_records());
}

/* Half as many again as there are slots, each with work of its own. */
TEST_F(group, more_groups_than_slots_all_get_their_work_done)
{
	uint32_t count = self->csif.csg_slot_count + self->csif.csg_slot_count / 2;
	uint32_t group[64], sync[64];
	struct rig rig;

	ASSERT_GE(64, count);
	ASSERT_EQ(0, rig_open_on(&rig, &self->gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	for (uint32_t i = 0; i < count; i++) {
		struct cs cs = cs_at((char *)rig.code.map + i * 1024, 1024);

		ASSERT_EQ(0, group_create(&rig.gpu, rig.vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &group[i]));
		ASSERT_EQ(0, sync_create(&rig.gpu, false, &sync[i]));
		cs_put32(&cs, rig.data.va + 4 * i, 900 + i);
		ASSERT_EQ(0, group_run(&rig.gpu, group[i], 0, rig_stream_va(&rig, &cs),
				       cs_bytes(&cs), sync[i]));
	}
	for (uint32_t i = 0; i < count; i++) {
		EXPECT_EQ(0, sync_wait(&rig.gpu, sync[i], 0, PATIENCE));
		EXPECT_EQ(1, sync_status(&rig.gpu, sync[i]));
		EXPECT_EQ(900 + i, rig.data.u32[i]);
	}
	rig_release(&rig);
}

/* How many of so many groups that are busy at the same time do not get to run, or not to the right end. */
static uint32_t take_turns(struct __test_metadata *_metadata, const struct gpu *gpu, uint32_t count)
{
	uint32_t group[64], sync[64], wrong = 0;
	struct rig rig;

	ASSERT_GE(64, count);
	ASSERT_EQ(0, rig_open_on(&rig, gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	for (uint32_t i = 0; i < count; i++) {
		struct cs cs = cs_at((char *)rig.code.map + i * 1024, 1024);
		uint64_t mine = rig.data.va + i * 64;

		ASSERT_EQ(0, group_create(&rig.gpu, rig.vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &group[i]));
		ASSERT_EQ(0, sync_create(&rig.gpu, false, &sync[i]));
		/* A register that is counted up before and after the wait has to survive it. */
		cs_move32(&cs, 20, 1000 * i);
		cs_add32(&cs, 20, 20, 1);
		cs_move48(&cs, 22, mine);
		cs_store32(&cs, 20, 22, 4);
		cs_spin_while_zero(&cs, mine);
		cs_add32(&cs, 20, 20, 1);
		cs_store32(&cs, 20, 22, 8);
		ASSERT_EQ(0, group_run(&rig.gpu, group[i], 0, rig_stream_va(&rig, &cs),
				       cs_bytes(&cs), sync[i]));
	}
	/* All of them get to run, although none of the first ones ends. */
	for (int64_t end = now_ns() + PATIENCE / 5; now_ns() < end; sleep_ms(5)) {
		uint32_t started = 0;

		for (uint32_t i = 0; i < count; i++)
			started += rig.data.u32[i * 16 + 1] == 1000 * i + 1;
		if (started == count)
			break;
	}
	for (uint32_t i = 0; i < count; i++)
		wrong += rig.data.u32[i * 16 + 1] != 1000 * i + 1;
	for (uint32_t i = 0; i < count; i++)
		rig.data.u32[i * 16] = 1;
	for (uint32_t i = 0; i < count; i++) {
		EXPECT_EQ(0, sync_wait(&rig.gpu, sync[i], 0, PATIENCE));
		wrong += sync_status(&rig.gpu, sync[i]) != 1 || rig.data.u32[i * 16 + 2] != 1000 * i + 2;
	}
	rig_release(&rig);
	return wrong;
}

/*
 * All of them busy at the same time, so that none gives its slot away of its own will: the
 * scheduler has to take turns, and a group has to go on where it was when it comes back.
 * A job ends when it has run for 5 s: a try that takes nearly as long, on a machine that is busy elsewhere,
 * is repeated.
 */
TEST_F_TIMEOUT(group, busy_groups_take_turns_and_lose_nothing, 120)
{
	const int64_t limit = 4 * SECOND;
	int64_t took = limit + 1;
	uint32_t wrong = 1;

	for (int i = 0; i < 10 && wrong && took > limit; i++) {
		took = now_ns();
		wrong = take_turns(_metadata, &self->gpu, self->csif.csg_slot_count + 2);
		took = now_ns() - took;
	}
	EXPECT_EQ(0, wrong);
}

TEST_F(group, a_realtime_group_does_not_wait_for_busy_ones)
{
	uint32_t count = self->csif.csg_slot_count;
	uint32_t group[64], sync[64], urgent;
	struct rig rig;
	struct cs cs;

	if (geteuid())
		SKIP(return, "needs root");
	ASSERT_GE(64, count);
	ASSERT_EQ(0, rig_open_on(&rig, &self->gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	for (uint32_t i = 0; i < count; i++) {
		cs = cs_at((char *)rig.code.map + i * 1024, 1024);
		ASSERT_EQ(0, group_create(&rig.gpu, rig.vm, 1, PANTHOR_GROUP_PRIORITY_LOW,
					  &group[i]));
		ASSERT_EQ(0, sync_create(&rig.gpu, false, &sync[i]));
		cs_spin_while_zero(&cs, rig.data.va);
		ASSERT_EQ(0, group_run(&rig.gpu, group[i], 0, rig_stream_va(&rig, &cs),
				       cs_bytes(&cs), sync[i]));
	}
	ASSERT_EQ(0, group_create(&rig.gpu, rig.vm, 1, PANTHOR_GROUP_PRIORITY_REALTIME, &urgent));
	cs = rig_stream(&rig, 20);
	cs_put32(&cs, rig.data.va + 128, 31);
	ASSERT_EQ(0, group_run(&rig.gpu, urgent, 0, rig_stream_va(&rig, &cs), cs_bytes(&cs),
			       rig.sync));
	EXPECT_EQ(1, rig_wait(&rig));
	EXPECT_EQ(31, rig.data.u32[32]);
	rig.data.u32[0] = 1;
	for (uint32_t i = 0; i < count; i++) {
		EXPECT_EQ(0, sync_wait(&rig.gpu, sync[i], 0, PATIENCE));
		EXPECT_EQ(1, sync_status(&rig.gpu, sync[i]));
	}
	rig_release(&rig);
}

TEST_F(group, create_and_destroy_a_hundred_times)
{
	uint32_t first, handle;

	ASSERT_EQ(0, group_create(&self->gpu, self->vm, 4, PANTHOR_GROUP_PRIORITY_MEDIUM, &first));
	ASSERT_EQ(0, group_destroy(&self->gpu, first));
	for (int i = 0; i < 100; i++) {
		ASSERT_EQ(0, group_create(&self->gpu, self->vm, 4, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &handle));
		EXPECT_EQ(first, handle);
		ASSERT_EQ(0, group_destroy(&self->gpu, handle));
	}
}

/* Nothing is left to be told of a group that has left its slot, so its jobs are looked at by then. */
TEST_F_TIMEOUT(group, one_whose_event_was_lost_is_done_when_it_leaves_its_slot, 60)
{
	struct drm_panthor_csif_info csif;
	uint32_t busy[32];
	struct rig rig;
	struct cs cs;

	if (!hwmodel_present())
		SKIP(return, "no event gets lost on request on real hardware");
	KNOWN_C_DEFECT(&self->gpu, "without an event, what a group has done before it left its slot is found by luck");
	ASSERT_EQ(0, rig_open(&rig, 1));
	ASSERT_EQ(0, gpu_csif(&rig.gpu, &csif));
	ASSERT_GE(ARRAY_SIZE(busy), csif.csg_slot_count);
	ASSERT_EQ(0, hwmodel_inject("mcu event drop sync 1"));
	cs = rig_stream(&rig, 0);
	cs_put32(&cs, rig.data.va, 1);
	ASSERT_EQ(0, rig_submit(&rig, 0, &cs));
	ASSERT_EQ(0, rig_wait_word(&rig, 0, 1));
	EXPECT_EQ(-ETIME, sync_wait(&rig.gpu, rig.sync, 0, SECOND / 20));

	for (uint32_t i = 0; i < csif.csg_slot_count; i++) {
		cs = rig_stream(&rig, 1 + i);
		cs_put32(&cs, rig.data.va + 4 * (1 + i), 1);
		cs_spin_while_zero(&cs, rig.data.va + 4 * 40);
		ASSERT_EQ(0, group_create(&rig.gpu, rig.vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &busy[i]));
		ASSERT_EQ(0, group_run(&rig.gpu, busy[i], 0, rig_stream_va(&rig, &cs), cs_bytes(&cs), 0));
	}
	for (uint32_t i = 0; i < csif.csg_slot_count; i++)
		ASSERT_EQ(0, rig_wait_word(&rig, 1 + i, 1));
	/* They are in all slots, so it has left its own. The time that a job has is longer than this. */
	EXPECT_EQ(0, sync_wait(&rig.gpu, rig.sync, 0, SECOND));
	EXPECT_EQ(1, sync_status(&rig.gpu, rig.sync));
	rig.data.u32[40] = 1;
	rig_close(&rig);
}

/*
 * Three queues whose jobs end while the driver looks at one another's: each event has to be seen, also when the write that clears
 * an interrupt is still on its way while the driver looks at memory. An event that is not seen costs more than the time waited here:
 * nothing else is looked at before a job's time is up.
 */
TEST_F_TIMEOUT(group, no_event_is_cleared_with_the_one_before_it, 120)
{
	uint32_t sync[3];
	struct rig rig;
	struct cs cs[3];

	ASSERT_EQ(0, rig_open(&rig, 3));
	for (uint32_t q = 0; q < 3; q++) {
		ASSERT_EQ(0, sync_create(&rig.gpu, false, &sync[q]));
		cs[q] = rig_stream(&rig, q);
		cs_put32(&cs[q], rig.data.va + 4 * q, 1);
	}
	if (hwmodel_present())
		ASSERT_EQ(0, hwmodel_inject("irq posted"));
	for (int i = 0; i < 1000; i++) {
		for (uint32_t q = 0; q < 3; q++)
			ASSERT_EQ(0, group_run(&rig.gpu, rig.group, q, rig_stream_va(&rig, &cs[q]), cs_bytes(&cs[q]), sync[q]));
		for (uint32_t q = 0; q < 3; q++) {
			ASSERT_EQ(0, sync_wait(&rig.gpu, sync[q], 0, 3 * SECOND))
				TH_LOG("round %d, queue %u", i, q);
		}
	}
	if (hwmodel_present())
		ASSERT_EQ(0, hwmodel_inject("clear"));
	for (uint32_t q = 0; q < 3; q++)
		EXPECT_EQ(1, rig.data.u32[q]);
	rig_close(&rig);
}

/* As many as a file may have, with a job each, half of which they are not given the time for. */
TEST_F_TIMEOUT(group, they_come_and_go_by_the_thousand, 120)
{
	enum { ROUNDS = 10, GROUPS = 128 };
	uint32_t group[GROUPS], sync[GROUPS];
	unsigned int good = 0;
	struct rig rig;

	ASSERT_EQ(0, rig_open(&rig, 1));
	ASSERT_EQ(0, group_destroy(&rig.gpu, rig.group));
	for (uint32_t i = 0; i < GROUPS; i++)
		ASSERT_EQ(0, sync_create(&rig.gpu, false, &sync[i]));
	for (uint32_t round = 0; round < ROUNDS; round++) {
		memset(rig.data.map, 0, GROUPS * sizeof(uint32_t));
		for (uint32_t i = 0; i < GROUPS; i++) {
			struct cs cs = cs_at((char *)rig.code.map + i * 1024, 1024);

			ASSERT_EQ(0, group_create(&rig.gpu, rig.vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
						  &group[i]));
			cs_put32(&cs, rig.data.va + 4 * i, 1 + round);
			ASSERT_EQ(0, group_run(&rig.gpu, group[i], 0, rig_stream_va(&rig, &cs),
					       cs_bytes(&cs), sync[i]));
			if (i % 2)
				ASSERT_EQ(0, group_destroy(&rig.gpu, group[i]));
		}
		for (uint32_t i = 0; i < GROUPS; i++) {
			bool well;

			ASSERT_EQ(0, sync_wait(&rig.gpu, sync[i], 0, PATIENCE)) {
				TH_LOG("group %u of round %u, which has stored %u", i, round,
				       rig.data.u32[i]);
			}
			well = sync_status(&rig.gpu, sync[i]) == 1;
			if (well)
				EXPECT_EQ(1 + round, rig.data.u32[i]);
			if (i % 2)
				continue;
			EXPECT_TRUE(well);
			good += well;
			ASSERT_EQ(0, group_destroy(&rig.gpu, group[i]));
		}
	}
	EXPECT_EQ(ROUNDS * GROUPS / 2, good);
	rig_abandon(&rig);
}

TEST_HARNESS_MAIN
