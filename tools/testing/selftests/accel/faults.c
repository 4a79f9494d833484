// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Jobs that go wrong: they end with an error, and the next ones come out right. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

static int submit(struct npu *npu, const struct drm_rocket_task *task, const struct loaded *loaded)
{
	struct drm_rocket_job job = npu_job(task, 1, &loaded->input, &loaded->output);

	return npu_submit(npu, &job, 1);
}

/* Replaces the address that a register of the list gets. */
static void redirect(struct lists *lists, uint32_t reg, uint32_t iova)
{
	uint64_t *words = (uint64_t *)lists->bo.map;

	for (uint32_t i = 0; i < lists->tasks[0].regcmd_count; i++) {
		if ((words[i] & 0xffff) == reg)
			words[i] = words[i] >> 48 << 48 | (uint64_t)iova << 16 | reg;
	}
}

/* An address that no buffer of the file has. */
#define NOWHERE	0xf0000000

#define FEATURES	0x1070
#define RESULTS		0x4020

/*
 * Submits a task that is going to fail, behind one that takes a while and writes the same buffer, so
 * that its fence can be taken before it fails. Without a model nobody makes the first one slow, and
 * how the second one ends is not seen.
 */
static int failing(struct npu *npu, const struct drm_rocket_task *bad, const struct loaded *loaded,
		   struct lists *good)
{
	int fence;
	int ret = hwmodel_present() ? hwmodel_inject("npu delay 50000000") : 0;

	ret = ret ?: submit(npu, good->tasks, loaded);
	ret = ret ?: submit(npu, bad, loaded);
	fence = npu_bo_fence(&loaded->output);
	if (ret || fence < 0)
		return ret ?: fence;
	ret = fence_wait(fence);
	return hwmodel_present() ? ret : -ECANCELED;
}

FIXTURE(faults) {
	struct npu npu;
	struct layer layer;
	struct loaded loaded;
	/* The same layer twice: tests spoil the second list. */
	struct lists good, bad;
};

FIXTURE_SETUP(faults)
{
	ASSERT_EQ(0, npu_open(&self->npu));
	layer_generate(&self->layer, 1, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	ASSERT_EQ(0, layer_load(&self->npu, &self->layer, &self->loaded));
	ASSERT_EQ(0, lists_create(&self->npu, &self->good));
	ASSERT_EQ(0, lists_create(&self->npu, &self->bad));
	lists_add(&self->good, &self->layer, &self->loaded);
	lists_add(&self->bad, &self->layer, &self->loaded);
}

/* Whatever went wrong: the next job comes out right. */
FIXTURE_TEARDOWN(faults)
{
	if (hwmodel_present())
		hwmodel_inject("clear");
	memset(self->loaded.output.map, 0x55, self->loaded.output.size);
	ASSERT_EQ(0, submit(&self->npu, self->good.tasks, &self->loaded));
	EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded));
	layer_unload(&self->loaded);
	layer_free(&self->layer);
	lists_destroy(&self->good);
	lists_destroy(&self->bad);
	npu_close(&self->npu);
}

TEST_F(faults, reading_where_nothing_is_fails_the_job)
{
	redirect(&self->bad, FEATURES, NOWHERE);
	EXPECT_GT(0, failing(&self->npu, self->bad.tasks, &self->loaded, &self->good));
}

TEST_F(faults, writing_where_nothing_is_fails_the_job)
{
	redirect(&self->bad, RESULTS, NOWHERE);
	EXPECT_GT(0, failing(&self->npu, self->bad.tasks, &self->loaded, &self->good));
}

TEST_F(faults, a_list_where_nothing_is_fails_the_job)
{
	struct drm_rocket_task task = { NOWHERE, 64 };

	EXPECT_GT(0, failing(&self->npu, &task, &self->loaded, &self->good));
}

TEST_F(faults, a_fault_leaves_the_work_of_others_alone)
{
	struct npu other;
	struct lists lists;
	struct loaded loaded;

	ASSERT_EQ(0, npu_open(&other));
	ASSERT_EQ(0, lists_create(&other, &lists));
	ASSERT_EQ(0, layer_load(&other, &self->layer, &loaded));
	lists_add(&lists, &self->layer, &loaded);
	redirect(&self->bad, FEATURES, NOWHERE);
	ASSERT_EQ(0, submit(&self->npu, self->bad.tasks, &self->loaded));
	for (uint32_t i = 0; i < 10; i++) {
		memset(loaded.output.map, 0x55, loaded.output.size);
		ASSERT_EQ(0, submit(&other, lists.tasks, &loaded));
		EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &loaded));
	}
	EXPECT_EQ(0, npu_bo_prep(&self->loaded.output, PATIENCE));
	layer_unload(&loaded);
	lists_destroy(&lists);
	npu_close(&other);
}

TEST_F(faults, a_dma_error_ends_the_job)
{
	NEEDS_MODEL();
	for (uint32_t core = 0; core < 3; core++) {
		char line[32];

		snprintf(line, sizeof(line), "npu dma-error %u", core);
		ASSERT_EQ(0, hwmodel_inject(line));
	}
	ASSERT_EQ(0, submit(&self->npu, self->good.tasks, &self->loaded));
	EXPECT_EQ(0, npu_bo_prep(&self->loaded.output, PATIENCE));
}

/* The core reads lists ahead, also beyond the last one, and an error there takes nothing from the results. */
TEST_F(faults, a_dma_error_beside_the_results_fails_nothing)
{
	struct hwmodel_counters before;
	int fence;

	NEEDS_MODEL();
	KNOWN_C_DEFECT("it has a WARN() for that");
	ASSERT_EQ(0, hwmodel_read(&before));
	ASSERT_EQ(0, hwmodel_inject("npu delay 50000000"));
	for (uint32_t core = 0; core < 3; core++) {
		char line[32];

		snprintf(line, sizeof(line), "npu prefetch %u", core);
		ASSERT_EQ(0, hwmodel_inject(line));
	}
	ASSERT_EQ(0, submit(&self->npu, self->good.tasks, &self->loaded));
	fence = npu_bo_fence(&self->loaded.output);
	ASSERT_LE(0, fence);
	EXPECT_EQ(1, fence_wait(fence));
	EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded));
	EXPECT_EQ(0, hwmodel_since(&before, "npu_reset"));
}

/*
 * By rules F10 and F12: a core is quiet before its address space goes. The C driver reprograms the IOMMU before
 * it resets the core that hangs behind it.
 */
TEST_F(faults, a_task_that_hangs_is_ended)
{
	NEEDS_MODEL();
	KNOWN_C_DEFECT("the IOMMU is detached while the core still runs");
	for (uint32_t core = 0; core < 3; core++) {
		char line[32];

		snprintf(line, sizeof(line), "npu hang %u", core);
		ASSERT_EQ(0, hwmodel_inject(line));
	}
	ASSERT_EQ(0, submit(&self->npu, self->good.tasks, &self->loaded));
	EXPECT_EQ(0, npu_bo_prep(&self->loaded.output, PATIENCE));
}

/*
 * By the count of lists that are done, beside which the register has a state: taken for a count, it would give the
 * list another period. A busy machine may be late once.
 */
TEST_F_TIMEOUT(faults, a_list_that_hangs_gets_one_period_and_no_more, 120)
{
	int64_t took = PATIENCE;

	NEEDS_MODEL();
	KNOWN_C_DEFECT("the IOMMU is detached while the core still runs");
	for (uint32_t i = 0; i < 5 && took >= SECOND; i++) {
		int64_t begin;

		for (uint32_t core = 0; core < 3; core++) {
			char line[32];

			snprintf(line, sizeof(line), "npu hang %u", core);
			ASSERT_EQ(0, hwmodel_inject(line));
		}
		begin = now_ns();
		ASSERT_EQ(0, submit(&self->npu, self->good.tasks, &self->loaded));
		EXPECT_EQ(0, npu_bo_prep(&self->loaded.output, PATIENCE));
		took = now_ns() - begin;
		ASSERT_EQ(0, hwmodel_inject("clear"));
	}
	EXPECT_LE(SECOND / 2, took);
	EXPECT_GT(SECOND, took);
}

/* Has core after core end @count jobs with an error, and so with a reset. */
static int errors(struct npu *npu, const struct drm_rocket_task *task, const struct loaded *loaded,
		  uint32_t count)
{
	char line[32];
	int ret = 0;

	for (uint32_t core = 0; core < 3 && !ret; core++) {
		snprintf(line, sizeof(line), "npu dma-error %u %u", core, count);
		ret = hwmodel_inject(line);
	}
	for (uint32_t i = 0; i < count && !ret; i++) {
		ret = submit(npu, task, loaded);
		ret = ret ?: npu_bo_prep(&loaded->output, PATIENCE);
	}
	return ret;
}

struct mapper {
	const struct npu *npu;
	atomic_bool stop;
	uint32_t count;
	int ret;
};

static void *map_and_unmap(void *arg)
{
	struct mapper *mapper = arg;

	while (!atomic_load(&mapper->stop) && !mapper->ret) {
		struct npu_bo bo;

		mapper->ret = npu_bo_create(mapper->npu, 65536, &bo);
		if (!mapper->ret)
			npu_bo_destroy(&bo);
		mapper->count++;
	}
	return NULL;
}

/*
 * The reset of a core is that of its IOMMU too, which nobody may touch then. Who changes the address space
 * that it has does, as does the handler of its interrupt, which is also the core's. The C driver resets after
 * it has taken the address space away, and does nothing about the handler.
 */
TEST_F_TIMEOUT(faults, nobody_changes_an_address_space_during_a_reset, 120)
{
	struct mapper mapper = { .npu = &self->npu };
	struct hwmodel_counters before;
	pthread_t thread;

	NEEDS_MODEL();
	KNOWN_C_DEFECT("the IOMMU is detached while the core still runs");
	ASSERT_EQ(0, hwmodel_read(&before));
	ASSERT_EQ(0, pthread_create(&thread, NULL, map_and_unmap, &mapper));
	EXPECT_EQ(0, errors(&self->npu, self->good.tasks, &self->loaded, 20));
	atomic_store(&mapper.stop, true);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, mapper.ret);
	EXPECT_LT(0, mapper.count);
	EXPECT_EQ(20, hwmodel_since(&before, "npu_reset"));
	EXPECT_EQ(0, hwmodel_records());
}

TEST_F_TIMEOUT(faults, the_line_is_off_during_a_reset, 120)
{
	struct hwmodel_counters before;

	NEEDS_MODEL();
	KNOWN_C_DEFECT("its handler reads registers of a core that is being reset");
	ASSERT_EQ(0, hwmodel_read(&before));
	for (uint32_t core = 0; core < 3; core++) {
		char line[32];

		snprintf(line, sizeof(line), "npu irq reset %u 10", core);
		ASSERT_EQ(0, hwmodel_inject(line));
	}
	EXPECT_EQ(0, errors(&self->npu, self->good.tasks, &self->loaded, 10));
	EXPECT_EQ(10, hwmodel_since(&before, "npu_reset"));
	EXPECT_EQ(0, hwmodel_records());
}

/* A list that makes no sense is its author's problem, and nobody else's. */
TEST_F(faults, a_list_that_makes_no_sense_fails_the_job)
{
	uint64_t *words = (uint64_t *)self->bad.bo.map;
	uint32_t state = 7;

	NEEDS_MODEL();
	/* The model objects to it, as it should. */
	ASSERT_EQ(0, hwmodel_inject("expect npu-list 1"));
	for (uint32_t i = 0; i < self->bad.tasks[0].regcmd_count; i++)
		words[i] = (uint64_t)(0x3000 + i) << 48 | (number(&state) & 0xffff0fff);
	EXPECT_GT(0, failing(&self->npu, self->bad.tasks, &self->loaded, &self->good));
}

TEST_HARNESS_MAIN
