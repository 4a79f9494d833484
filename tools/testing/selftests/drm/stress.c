// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The same again and again: what is lost a little each time shows up here, above all in a kernel
 * that looks for leaks.
 */
#include <stdlib.h>
#include <unistd.h>

#include "device.h"
#include "suite.h"

#define CYCLES	50
#define LIMIT	1800		/* seconds, for a slow kernel on a busy machine */

FIXTURE(stress)
{
};

FIXTURE_SETUP(stress)
{
}

FIXTURE_TEARDOWN(stress)
{
}

/* One job, from an open file to its result. */
static int one_job(struct gpu *gpu, uint32_t value)
{
	struct rig rig;
	struct cs cs;
	int ret = rig_open_on(&rig, gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM);

	if (ret)
		return ret;
	cs = rig_stream(&rig, 0);
	cs_put32(&cs, rig.data.va, value);
	ret = rig_run(&rig, 0, &cs);
	if (ret == 1 && rig.data.u32[0] != value)
		ret = -EIO;
	rig_release(&rig);
	return ret;
}

TEST_F_TIMEOUT(stress, fifty_load_and_unload_cycles, LIMIT)
{
	const char *path = module_path();
	struct gpu gpu;

	if (!path)
		SKIP(return, "DRM_TEST_MODULE does not say where the driver is");
	for (int i = 0; i < CYCLES; i++) {
		int64_t end = now_ns() + 10 * SECOND;
		int ret;

		ASSERT_EQ(0, device_reopen(&gpu)) {
			TH_LOG("cycle %d", i);
		}
		/*
		 * Every fifth time with something to clean up. Known defect of the C driver: what
		 * is left of a VM is freed by a worker that a module exit does not wait for.
		 */
		if (i % 5 == 0 && !gpu_is_c_driver(&gpu))
			ASSERT_EQ(1, one_job(&gpu, i));
		gpu_close(&gpu);
		/* What an exiting job still holds is let go a moment later. */
		while ((ret = module_unload(gpu.module)) == -EWOULDBLOCK && now_ns() < end)
			sleep_ms(10);
		ASSERT_EQ(0, ret) {
			TH_LOG("cycle %d", i);
		}
		ASSERT_EQ(0, module_load(path));
	}
	ASSERT_EQ(0, device_reopen(&gpu));
	EXPECT_EQ(1, one_job(&gpu, CYCLES));
	gpu_close(&gpu);
}

TEST_F_TIMEOUT(stress, fifty_unbinds_with_work_in_flight, LIMIT)
{
	struct gpu gpu;

	for (int i = 0; i < CYCLES; i++) {
		struct rig rig;
		struct cs cs;

		ASSERT_EQ(0, device_reopen(&gpu)) {
			TH_LOG("cycle %d", i);
		}
		KNOWN_C_LEAK(&gpu, "groups that were running at an unbind");
		ASSERT_EQ(0, rig_open_on(&rig, &gpu, 4, PANTHOR_GROUP_PRIORITY_MEDIUM));
		cs = rig_stream(&rig, 0);
		cs_spin_while_zero(&cs, rig.data.va);
		for (uint32_t queue = 0; queue < 4; queue++)
			ASSERT_EQ(0, rig_submit(&rig, queue, &cs));
		/* At various stages: before the group has its slot, and after. */
		sleep_ms(i % 5);
		ASSERT_EQ(0, device_unbind(&gpu)) {
			TH_LOG("cycle %d", i);
		}
		EXPECT_EQ(-ENODEV, rig_submit(&rig, 0, &cs));
		ASSERT_EQ(0, device_bind(&gpu)) {
			TH_LOG("cycle %d", i);
		}
		rig_abandon(&rig);
	}
	ASSERT_EQ(0, device_reopen(&gpu));
	EXPECT_EQ(1, one_job(&gpu, CYCLES));
	gpu_close(&gpu);
}

/*
 * By rule H6: what was registered is unregistered before its memory goes, and a GPU that is bound again is as one that was
 * there at boot. DRM_TEST_REBINDS says how often.
 */
TEST_F_TIMEOUT(stress, binds_and_unbinds_leave_nothing, LIMIT)
{
	const char *often = getenv("DRM_TEST_REBINDS");
	int count = often ? atoi(often) : 20;
	struct gpu gpu;

	ASSERT_EQ(0, device_reopen(&gpu));
	for (int i = 0; i < count; i++) {
		struct gpu gone;

		if (i && i % 100 == 0)
			TH_LOG("%d of %d cycles", i, count);
		/* Every tenth time it has worked, and is on. */
		if (i % 10 == 0)
			ASSERT_EQ(1, one_job(&gpu, i));
		gpu_close(&gpu);
		ASSERT_EQ(0, device_unbind(&gpu)) {
			TH_LOG("cycle %d", i);
		}
		EXPECT_NE(0, gpu_open(&gone));
		ASSERT_EQ(0, device_bind(&gpu)) {
			TH_LOG("cycle %d", i);
		}
		ASSERT_EQ(0, device_reopen(&gpu)) {
			TH_LOG("cycle %d", i);
		}
	}
	EXPECT_EQ(1, one_job(&gpu, count));
	gpu_close(&gpu);
}

/* Random lengths, queues and groups; every job counts its own cell up by one. */
TEST_F_TIMEOUT(stress, two_thousand_jobs_on_many_queues_all_run_once, LIMIT)
{
	enum { GROUPS = 12, QUEUES = 4, CELLS = GROUPS * QUEUES, JOBS = 2000 };
	uint32_t group[GROUPS], sync[CELLS] = { 0 }, expected[CELLS] = { 0 };
	unsigned int seed = 20260911;
	struct rig rig;

	ASSERT_EQ(0, rig_open(&rig, 1));
	for (uint32_t i = 0; i < GROUPS; i++)
		ASSERT_EQ(0, group_create(&rig.gpu, rig.vm, QUEUES, i % 2, &group[i]));
	for (uint32_t cell = 0; cell < CELLS; cell++) {
		struct cs cs = cs_at((char *)rig.code.map + cell * 1024, 1024);

		ASSERT_EQ(0, sync_create(&rig.gpu, false, &sync[cell]));
		cs_move32(&cs, 14, cell * 8 + 1);
		cs_add32(&cs, 14, 14, -1);
		cs_branch(&cs, CS_GREATER, 14, cs.len - 1);
		cs_move48(&cs, 10, rig.data.va + 64 * cell);
		cs_load(&cs, 12, 1, 10, 0);
		cs_wait(&cs, CS_SB_LS);
		cs_add32(&cs, 12, 12, 1);
		cs_store32(&cs, 12, 10, 0);
		while (cs.len < 24)
			cs_nop(&cs);
	}
	for (int job = 0; job < JOBS; job++) {
		uint32_t cell = rand_r(&seed) % CELLS;

		ASSERT_EQ(0, group_run(&rig.gpu, group[cell / QUEUES], cell % QUEUES,
				       rig.code.va + cell * 1024, 24 * CS_INSTR_BYTES, sync[cell]));
		expected[cell]++;
	}
	for (uint32_t cell = 0; cell < CELLS; cell++) {
		if (expected[cell]) {
			EXPECT_EQ(0, sync_wait(&rig.gpu, sync[cell], 0, PATIENCE));
			EXPECT_EQ(1, sync_status(&rig.gpu, sync[cell]));
		}
		EXPECT_EQ(expected[cell], rig.data.u32[16 * cell]);
	}
	rig_close(&rig);
}

TEST_HARNESS_MAIN
