// SPDX-License-Identifier: GPL-2.0 OR MIT
/* How many kicks, interrupts and IOMMU operations some work may cost at most, by the model's count. */
#include <stdlib.h>
#include <string.h>

#include "cores.h"
#include "suite.h"

FIXTURE(cost) {
	struct npu npu;
	struct layer layer;
	struct loaded loaded[3];
	struct lists lists;
	struct hwmodel_counters before;
};

FIXTURE_SETUP(cost)
{
	NEEDS_MODEL();
	ASSERT_EQ(0, npu_open(&self->npu));
	ASSERT_EQ(0, lists_create(&self->npu, &self->lists));
	layer_generate(&self->layer, 1, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	for (uint32_t i = 0; i < 3; i++) {
		ASSERT_EQ(0, layer_load(&self->npu, &self->layer, &self->loaded[i]));
		lists_add(&self->lists, &self->layer, &self->loaded[i]);
	}
	ASSERT_EQ(0, hwmodel_read(&self->before));
}

FIXTURE_TEARDOWN(cost)
{
	hwmodel_inject("clear");
	for (uint32_t i = 0; i < 3; i++)
		layer_unload(&self->loaded[i]);
	layer_free(&self->layer);
	lists_destroy(&self->lists);
	npu_close(&self->npu);
}

TEST_F(cost, a_task_costs_one_kick_and_one_interrupt_at_most)
{
	for (uint32_t i = 0; i < 50; i++) {
		struct drm_rocket_job job = npu_job(self->lists.tasks, 1, &self->loaded[0].input,
						    &self->loaded[0].output);

		ASSERT_EQ(0, npu_submit(&self->npu, &job, 1));
		ASSERT_EQ(0, npu_bo_prep(&self->loaded[0].output, PATIENCE));
	}
	EXPECT_EQ(50, tasks_since(&self->before));
	EXPECT_GE(50, hwmodel_since(&self->before, "npu_kick"));
	EXPECT_GE(50, hwmodel_since(&self->before, "irq_npu"));
}

/* The C driver attaches and detaches its file's tables for each job. */
TEST_F(cost, a_core_keeps_its_tables_while_the_next_job_is_of_the_same_file)
{
	uint64_t changes;

	KNOWN_C_DEFECT("the tables are attached and detached for each job");
	for (uint32_t i = 0; i < 100; i++) {
		struct drm_rocket_job job = npu_job(self->lists.tasks, 1, &self->loaded[0].input,
						    &self->loaded[0].output);

		ASSERT_EQ(0, npu_submit(&self->npu, &job, 1));
		ASSERT_EQ(0, npu_bo_prep(&self->loaded[0].output, PATIENCE));
	}
	/* Three cores have four banks, which change once at most. */
	changes = cores_have_the_kernels_space() ? 4 : 0;
	EXPECT_GE(4 + changes, hwmodel_since(&self->before, "iommu_table"));
	EXPECT_GE(changes, hwmodel_since(&self->before, "iommu_disable"));
}

/* And not first that of whoever had it before it was switched off: at most the kernel's. */
TEST_F(cost, a_core_that_wakes_up_gets_the_address_space_that_it_needs_at_once)
{
	struct npu other;
	struct lists lists;
	struct loaded loaded;
	struct drm_rocket_job job;
	uint64_t changes, detached;

	KNOWN_C_DEFECT("the tables are attached and detached for each job");
	ASSERT_EQ(0, npu_open(&other));
	ASSERT_EQ(0, lists_create(&other, &lists));
	ASSERT_EQ(0, layer_load(&other, &self->layer, &loaded));
	lists_add(&lists, &self->layer, &loaded);
	/* With all others off, both jobs find the same core. */
	ASSERT_EQ(0, cores_wait_off());
	job = npu_job(self->lists.tasks, 1, &self->loaded[0].input, &self->loaded[0].output);
	ASSERT_EQ(0, npu_submit(&self->npu, &job, 1));
	EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded[0]));
	ASSERT_EQ(0, cores_wait_off());
	ASSERT_EQ(0, hwmodel_read(&self->before));
	job = npu_job(lists.tasks, 1, &loaded.input, &loaded.output);
	ASSERT_EQ(0, npu_submit(&other, &job, 1));
	EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &loaded));
	changes = cores_have_the_kernels_space();
	EXPECT_EQ(1 + changes, hwmodel_since(&self->before, "iommu_attach"));
	detached = hwmodel_since(&self->before, "iommu_detach");
	/* On a busy machine the core may be off again by now. */
	EXPECT_GE(changes + !cores_on(), detached);
	layer_unload(&loaded);
	lists_destroy(&lists);
	npu_close(&other);
}

/*
 * By rule F11: one address space behind several IOMMUs at once. The C driver has one queue for a file, which is
 * on one core at a time.
 */
TEST_F(cost, jobs_of_one_file_run_on_all_cores_at_once)
{
	struct drm_rocket_job jobs[3];

	KNOWN_C_DEFECT("a file's jobs run on one core at a time");
	ASSERT_EQ(0, hwmodel_inject("npu delay 300000000"));
	for (uint32_t i = 0; i < 3; i++)
		jobs[i] = npu_job(&self->lists.tasks[i], 1, &self->loaded[i].input,
				  &self->loaded[i].output);
	ASSERT_EQ(0, npu_submit(&self->npu, jobs, 3));
	for (uint32_t i = 0; i < 3; i++)
		ASSERT_EQ(0, npu_bo_prep(&self->loaded[i].output, PATIENCE));
	EXPECT_EQ(1, hwmodel_since(&self->before, "npu0_task"));
	EXPECT_EQ(1, hwmodel_since(&self->before, "npu1_task"));
	EXPECT_EQ(1, hwmodel_since(&self->before, "npu2_task"));
}

TEST_HARNESS_MAIN
