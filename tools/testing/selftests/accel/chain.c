// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Lists that go on to the next one by themselves: the NPU runs them in one go. */
#include <stdlib.h>
#include <string.h>

#include "cores.h"
#include "module.h"
#include "suite.h"

FIXTURE(chain) {
	struct npu npu;
	struct layer layer;
	struct loaded loaded;
	struct hwmodel_counters before;
};

FIXTURE_SETUP(chain)
{
	NEEDS_MODEL();
	ASSERT_EQ(0, npu_open(&self->npu));
	layer_generate(&self->layer, 3, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	ASSERT_EQ(0, layer_load(&self->npu, &self->layer, &self->loaded));
	memset(self->loaded.output.map, 0x55, self->loaded.output.size);
	ASSERT_EQ(0, hwmodel_read(&self->before));
}

FIXTURE_TEARDOWN(chain)
{
	hwmodel_inject("clear");
	layer_unload(&self->loaded);
	layer_free(&self->layer);
	npu_close(&self->npu);
}

static int run(struct npu *npu, const struct chain *chain, const struct loaded *loaded)
{
	struct drm_rocket_job job = npu_job(chain->tasks, chain->count, &loaded->input,
					    &loaded->output);

	return npu_submit(npu, &job, 1);
}

TEST_F(chain, lists_that_are_not_chained_run_one_by_one)
{
	struct chain chain;

	ASSERT_EQ(0, chain_create(&self->npu, &self->layer, &self->loaded, 8, false, &chain));
	ASSERT_EQ(0, run(&self->npu, &chain, &self->loaded));
	EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded));
	EXPECT_EQ(8, tasks_since(&self->before));
	EXPECT_EQ(8, hwmodel_since(&self->before, "npu_kick"));
	chain_destroy(&chain);
}

/* The C driver starts each list by itself, from its interrupt. */
TEST_F(chain, lists_that_are_chained_run_in_one_kick)
{
	struct chain chain;

	KNOWN_C_DEFECT("each list costs a kick and an interrupt");
	ASSERT_EQ(0, chain_create(&self->npu, &self->layer, &self->loaded, 320, true, &chain));
	ASSERT_EQ(0, run(&self->npu, &chain, &self->loaded));
	EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded));
	EXPECT_EQ(320, tasks_since(&self->before));
	EXPECT_EQ(1, hwmodel_since(&self->before, "npu_kick"));
	EXPECT_GE(5, hwmodel_since(&self->before, "irq_npu"));
	chain_destroy(&chain);
}

/* The hardware's count of lists has 12 bits. */
TEST_F(chain, a_chain_that_is_too_long_for_one_kick_takes_two)
{
	struct chain chain;

	KNOWN_C_DEFECT("each list costs a kick and an interrupt");
	ASSERT_EQ(0, chain_create(&self->npu, &self->layer, &self->loaded, 5000, true, &chain));
	ASSERT_EQ(0, run(&self->npu, &chain, &self->loaded));
	EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded));
	EXPECT_EQ(5000, tasks_since(&self->before));
	EXPECT_EQ(2, hwmodel_since(&self->before, "npu_kick"));
	chain_destroy(&chain);
}

/* The C driver gives a job half a second, however many lists it has. */
TEST_F(chain, a_job_may_take_long_if_none_of_its_lists_does)
{
	struct chain chain;
	int fence;

	KNOWN_C_DEFECT("the time for a job does not depend on its tasks");
	ASSERT_EQ(0, hwmodel_inject("npu delay 100000000"));
	for (uint32_t linked = 0; linked < 2; linked++) {
		ASSERT_EQ(0, chain_create(&self->npu, &self->layer, &self->loaded, 12, linked,
					  &chain));
		ASSERT_EQ(0, run(&self->npu, &chain, &self->loaded));
		fence = npu_bo_fence(&self->loaded.output);
		ASSERT_LE(0, fence);
		EXPECT_EQ(1, fence_wait(fence));
		chain_destroy(&chain);
	}
	EXPECT_EQ(24, tasks_since(&self->before));
	EXPECT_EQ(0, hwmodel_since(&self->before, "npu_reset"));
}

/*
 * Between two lists of a chain the events of the first are there to be seen. Who looks only then, as the watchdog
 * does here after half a second, must not take the chain for done.
 */
TEST_F(chain, a_chain_is_not_over_between_two_of_its_lists)
{
	struct chain chain;
	int fence;

	KNOWN_C_DEFECT("the time for a job does not depend on its tasks");
	ASSERT_EQ(0, hwmodel_inject("npu pause 300000000"));
	ASSERT_EQ(0, chain_create(&self->npu, &self->layer, &self->loaded, 6, true, &chain));
	ASSERT_EQ(0, run(&self->npu, &chain, &self->loaded));
	fence = npu_bo_fence(&self->loaded.output);
	ASSERT_LE(0, fence);
	EXPECT_EQ(1, fence_wait(fence));
	EXPECT_EQ(6, tasks_since(&self->before));
	EXPECT_EQ(1, hwmodel_since(&self->before, "npu_kick"));
	EXPECT_EQ(0, hwmodel_since(&self->before, "npu_reset"));
	EXPECT_EQ(0, hwmodel_records());
	chain_destroy(&chain);
}

TEST_F(chain, a_list_that_hangs_in_a_chain_ends_the_job)
{
	struct chain chain;
	int fence;

	KNOWN_C_DEFECT("the IOMMU is detached while the core still runs");
	ASSERT_EQ(0, hwmodel_inject("npu delay 20000000"));
	ASSERT_EQ(0, chain_create(&self->npu, &self->layer, &self->loaded, 12, true, &chain));
	ASSERT_EQ(0, run(&self->npu, &chain, &self->loaded));
	fence = npu_bo_fence(&self->loaded.output);
	ASSERT_LE(0, fence);
	/* The one that runs goes on; the next one, or the one after it, hangs. */
	for (uint32_t core = 0; core < 3; core++) {
		char line[32];

		snprintf(line, sizeof(line), "npu hang %u", core);
		ASSERT_EQ(0, hwmodel_inject(line));
	}
	EXPECT_EQ(-ETIMEDOUT, fence_wait(fence));
	EXPECT_GT(12, tasks_since(&self->before));
	EXPECT_EQ(1, hwmodel_since(&self->before, "npu_reset"));
	ASSERT_EQ(0, hwmodel_inject("clear"));
	ASSERT_EQ(0, run(&self->npu, &chain, &self->loaded));
	EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded));
	chain_destroy(&chain);
}

/* What user space changes after the call is its own affair. */
TEST_F(chain, a_chain_that_leads_nowhere_fails_its_job)
{
	struct chain chain;
	uint64_t *last;
	int fence;

	KNOWN_C_DEFECT("the end of a list is not looked at");
	ASSERT_EQ(0, hwmodel_inject("npu delay 50000000"));
	ASSERT_EQ(0, chain_create(&self->npu, &self->layer, &self->loaded, 4, true, &chain));
	ASSERT_EQ(0, run(&self->npu, &chain, &self->loaded));
	fence = npu_bo_fence(&self->loaded.output);
	ASSERT_LE(0, fence);
	last = (uint64_t *)chain.bo.map + 2 * LIST_WORDS + chain.tasks[2].regcmd_count;
	last[-4] = 0x0101ull << 48 | 0xf0000000ull << 16 | 0x10;
	EXPECT_EQ(-EIO, fence_wait(fence));
	chain_destroy(&chain);
}

/* Loads the driver anew and runs a chain. Returns the kicks that it took, or a negative errno. */
static int kicks_with(const char *parameters, uint32_t count)
{
	struct hwmodel_counters before;
	struct loaded loaded = { 0 };
	struct layer layer;
	struct chain chain;
	struct npu npu;
	int ret = module_unload(driver_name());

	ret = ret ?: module_load_with(module_path(), parameters);
	ret = ret ?: npu_open(&npu);
	if (ret)
		return ret;
	layer_generate(&layer, 3, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	ret = layer_load(&npu, &layer, &loaded);
	ret = ret ?: hwmodel_read(&before);
	ret = ret ?: chain_create(&npu, &layer, &loaded, count, true, &chain);
	if (!ret) {
		ret = run(&npu, &chain, &loaded);
		ret = ret ?: layer_check(&layer, &loaded) > 1 ? -EIO : 0;
		if (!ret && tasks_since(&before) != count)
			ret = -EILSEQ;
		ret = ret ?: (int)hwmodel_since(&before, "npu_kick");
		chain_destroy(&chain);
	}
	layer_unload(&loaded);
	layer_free(&layer);
	npu_close(&npu);
	return ret;
}

TEST(each_list_is_a_kick_of_its_own_if_that_is_wanted)
{
	NEEDS_MODEL();
	KNOWN_C_DEFECT("there is no such choice");
	if (!module_path())
		SKIP(return, "DRM_TEST_MODULE does not say where the driver is");
	EXPECT_EQ(12, kicks_with("chain=0", 12));
	EXPECT_EQ(1, kicks_with("chain=1", 12));
	EXPECT_EQ(1, kicks_with("", 12));
}

TEST_HARNESS_MAIN
