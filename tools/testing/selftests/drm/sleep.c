// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A system that goes to sleep with files open, jobs in flight, and binds that wait: everything goes on
 * afterwards as if nothing had been. Needs root, a kernel that sleeps, and the modelled hardware.
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hwmodel.h"
#include "power.h"
#include "sleep.h"
#include "suite.h"

#define CROWD		12	/* groups; more than there are slots */
#define MARK(i)		(16 * ((i) + 1))	/* where a group's results are, in words */
#define SLEEPS		10

#define NEEDS_SAVING(gpu)	\
	KNOWN_C_DEFECT(gpu, "jobs in flight end when the system sleeps, and registers are read without clocks")

FIXTURE(sleep)
{
	struct rig rig;
	struct hwmodel_counters before;
	uint32_t group[CROWD], sync[CROWD];
	char status[160];
	bool present;
};

SYSTEM_SLEEPS(sleep);

FIXTURE_SETUP(sleep)
{
	self->present = false;
	if (!hwmodel_present() || !system_sleep_possible(variant->state, variant->level))
		SKIP(return, "needs root, modelled hardware and a kernel that sleeps");
	ASSERT_EQ(0, rig_open(&self->rig, 2));
	self->present = true;
	power_status_path(&self->rig.gpu, self->status, sizeof(self->status));
	ASSERT_EQ(0, hwmodel_read(&self->before));
}

FIXTURE_TEARDOWN(sleep)
{
	if (!self->present)
		return;
	rig_close(&self->rig);
	EXPECT_EQ(0, hwmodel_records());
}

/* A job with a result of its own, in the rig's group: 1, or a negative errno. */
static int put(struct rig *rig, uint32_t value)
{
	struct cs cs = rig_stream(rig, 31);
	int ret;

	cs_put32(&cs, rig->data.va + 4, value);
	ret = rig_run(rig, 0, &cs);
	if (ret == 1 && rig->data.u32[1] != value)
		ret = -EIO;
	return ret;
}

/* So many groups, each in the middle of a job that ends when word 0 of the data is set. */
static void assemble(struct __test_metadata *_metadata, FIXTURE_DATA(sleep) *self, uint32_t count)
{
	struct rig *rig = &self->rig;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t mark = rig->data.va + 4 * MARK(i);
		struct cs cs = rig_stream(rig, i);

		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &self->group[i]));
		ASSERT_EQ(0, sync_create(&rig->gpu, false, &self->sync[i]));
		cs_move32(&cs, 20, 4000 + i);
		cs_put32(&cs, mark, 1);
		cs_spin_while_zero(&cs, rig->data.va);
		cs_add32(&cs, 20, 20, 711);
		cs_move48(&cs, 10, mark);
		cs_store32(&cs, 20, 10, 4);
		ASSERT_EQ(0, group_run(&rig->gpu, self->group[i], 0, rig_stream_va(rig, &cs),
				       cs_bytes(&cs), self->sync[i]));
	}
	for (uint32_t i = 0; i < count; i++)
		ASSERT_EQ(0, rig_wait_word(rig, MARK(i), 1));
}

/* All of them come to the right end. */
static void dismiss(struct __test_metadata *_metadata, FIXTURE_DATA(sleep) *self, uint32_t count)
{
	struct rig *rig = &self->rig;

	rig->data.u32[0] = 1;
	for (uint32_t i = 0; i < count; i++) {
		EXPECT_EQ(0, sync_wait(&rig->gpu, self->sync[i], 0, PATIENCE));
		EXPECT_EQ(1, sync_status(&rig->gpu, self->sync[i]));
		EXPECT_EQ(4711 + i, rig->data.u32[MARK(i) + 1]);
	}
}

TEST_F(sleep, jobs_in_flight_are_saved_and_go_on)
{
	char lines[512];
	const char *off;

	NEEDS_SAVING(&self->rig.gpu);
	assemble(_metadata, self, CROWD);
	for (uint32_t i = 0; i < 3; i++) {
		ASSERT_EQ(0, power_write("reset"));
		ASSERT_EQ(0, system_sleep(variant->state, variant->level));
		power_lines("-", lines, sizeof(lines));
		off = strstr(lines, "-clk_gpu\n");
		EXPECT_NE(NULL, off);
		/* Once for the image, and once because it is written. */
		if (!strcmp(variant->state, "disk"))
			EXPECT_NE(NULL, off ? strstr(off + 1, "-clk_gpu\n") : NULL);
		power_lines("+", lines, sizeof(lines));
		EXPECT_NE(NULL, strstr(lines, "+clk_gpu\n"));
		for (uint32_t j = 0; j < CROWD; j++)
			EXPECT_EQ(0, sync_status(&self->rig.gpu, self->sync[j]));
	}
	dismiss(_metadata, self, CROWD);
	EXPECT_EQ(1, put(&self->rig, 5));
	/* Nobody had to load the firmware again. */
	if (!gpu_is_c_driver(&self->rig.gpu))
		EXPECT_EQ(0, hwmodel_since(&self->before, "soft_reset"));
}

TEST_F(sleep, a_gpu_that_is_off_stays_off)
{
	struct hwmodel_counters before;
	char lines[512];

	ASSERT_EQ(1, put(&self->rig, 1));
	ASSERT_TRUE(wait_off(self->status));
	ASSERT_EQ(0, hwmodel_read(&before));
	ASSERT_EQ(0, power_write("reset"));
	ASSERT_EQ(0, system_sleep(variant->state, variant->level));
	power_lines("+", lines, sizeof(lines));
	EXPECT_EQ(NULL, strstr(lines, "+clk_gpu")) {
		TH_LOG("%s", lines);
	}
	EXPECT_EQ(0, hwmodel_since(&before, "mmio_read"));
	EXPECT_EQ(0, hwmodel_since(&before, "mmio_write"));
	EXPECT_EQ(1, put(&self->rig, 2));
}

TEST_F(sleep, a_gpu_that_nobody_uses_any_more_goes_off_afterwards)
{
	ASSERT_EQ(1, put(&self->rig, 1));
	ASSERT_EQ(0, system_sleep(variant->state, variant->level));
	EXPECT_TRUE(wait_off(self->status));
	EXPECT_EQ(1, put(&self->rig, 2));
}

TEST_F(sleep, binds_and_jobs_that_wait_still_wait)
{
	struct rig *rig = &self->rig;
	uint32_t start, mapped;
	struct drm_panthor_sync_op syncs[2];
	struct drm_panthor_vm_bind_op op = {
		.flags = DRM_PANTHOR_VM_BIND_OP_TYPE_MAP | DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC,
		.bo_handle = rig->data.handle,
		.va = 0x20000000,
		.size = PAGE,
		.syncs = DRM_PANTHOR_OBJ_ARRAY(2, syncs),
	};
	struct drm_panthor_sync_op ops[2];
	struct drm_panthor_queue_submit job = { .syncs = DRM_PANTHOR_OBJ_ARRAY(2, ops) };
	struct cs cs = rig_stream(rig, 1);

	NEEDS_SAVING(&rig->gpu);
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &start));
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &mapped));
	ASSERT_EQ(1, put(rig, 7));
	/* A job holds back the bind, and the bind another job. */
	assemble(_metadata, self, 1);
	syncs[0] = sync_wait_op(self->sync[0], 0);
	syncs[1] = sync_signal_op(mapped, 0);
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	cs_move48(&cs, 10, op.va);
	cs_load(&cs, 12, 1, 10, 4);
	cs_wait(&cs, CS_SB_LS);
	cs_move48(&cs, 10, rig->data.va);
	cs_store32(&cs, 12, 10, 8);
	ops[0] = sync_wait_op(mapped, 0);
	ops[1] = sync_signal_op(rig->sync, 0);
	job.stream_addr = rig_stream_va(rig, &cs);
	job.stream_size = cs_bytes(&cs);
	ASSERT_EQ(0, group_submit(&rig->gpu, rig->group, &job, 1));
	ASSERT_EQ(0, system_sleep(variant->state, variant->level));
	EXPECT_EQ(0, sync_status(&rig->gpu, mapped));
	dismiss(_metadata, self, 1);
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(7, rig->data.u32[2]);
}

/* Processes that are stopped anywhere, and go on from there. */
TEST_F_TIMEOUT(sleep, at_any_moment_nobody_notices, 300)
{
	pid_t pid[4];
	int status;

	NEEDS_SAVING(&self->rig.gpu);
	if (!strcmp(variant->state, "disk"))
		SKIP(return, "processes are not stopped");
	for (uint32_t i = 0; i < ARRAY_SIZE(pid); i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			struct rig rig;
			int ret = rig_open(&rig, 2);

			for (uint32_t round = 0; !ret && round < 100; round++) {
				uint64_t va = 0x20000000 + round % 7 * BLOCK;

				ret = vm_map(&rig.gpu, rig.vm, rig.data.handle, 0, va, PAGE,
					     DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC);
				ret = ret ?: put(&rig, round) == 1 ? 0 : -EIO;
				ret = ret ?: rig_copy(&rig, va + 4, rig.data.va + 8) == 1 ? 0 : -EIO;
				if (!ret && rig.data.u32[2] != round)
					ret = -EINVAL;
				ret = ret ?: vm_unmap(&rig.gpu, rig.vm, va, PAGE);
				if (round % 10 == i)
					sleep_ms(60);
			}
			_exit(ret ? 1 : 0);
		}
	}
	for (uint32_t i = 0; i < SLEEPS; i++) {
		sleep_ms(7 * i);
		ASSERT_EQ(0, system_sleep(variant->state, variant->level));
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(pid); i++) {
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status);
	}
}

/* Jobs that cannot go on end, and what comes after works. */
TEST_F(sleep, a_gpu_that_does_not_wake_up_ends_its_jobs)
{
	struct rig *rig = &self->rig;
	struct gpu gpu = rig->gpu;
	uint32_t state, fatal;

	NEEDS_SAVING(&gpu);
	assemble(_metadata, self, 3);
	ASSERT_EQ(0, power_write("refuse clk_gpu 1"));
	ASSERT_EQ(0, system_sleep(variant->state, variant->level));
	for (uint32_t i = 0; i < 3; i++) {
		EXPECT_EQ(0, sync_wait(&rig->gpu, self->sync[i], 0, PATIENCE));
		EXPECT_GT(0, sync_status(&rig->gpu, self->sync[i]));
		EXPECT_EQ(0, group_state(&rig->gpu, self->group[i], &state, &fatal));
		EXPECT_NE(0, state);
	}
	rig_release(rig);
	ASSERT_EQ(0, rig_open_on(rig, &gpu, 2, PANTHOR_GROUP_PRIORITY_MEDIUM));
	EXPECT_EQ(1, put(rig, 3));
}

TEST_HARNESS_MAIN
