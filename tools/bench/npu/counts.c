// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What jobs cost in interrupts, IOMMU operations and register accesses, as the model counts them. */
#include <string.h>

#include "bench.h"
#include "hwmodel.h"
#include "work.h"

static const struct figure figures[] = {
	{ "npu_interrupts_320", "count", "5", "interrupts for a job of 320 tasks that can be chained" },
	{ "npu_iommu_operations_1000", "count", "1",
	  "times that an IOMMU was attached or detached, for 1000 jobs of one file" },
	{ "npu_register_reads", "count", "-", "register reads per job, its IOMMU's included" },
	{ "npu_register_writes", "count", "-", "register writes per job, its IOMMU's included" },
	{ "npu_interrupts", "count", "-", "interrupts per job" },
};

#define TASKS		320
#define JOBS		1000

static void chained(void)
{
	struct hwmodel_counters before;
	struct chain chain;
	struct work work;
	struct drm_rocket_job job;

	work_open(&work, WARM_UP);
	MUST(chain_create(&work.npu, &work.layer, &work.loaded[0], TASKS, true, &chain));
	job = npu_job(chain.tasks, chain.count, &work.loaded[0].input, &work.loaded[0].output);
	MUST(hwmodel_read(&before));
	MUST(npu_submit(&work.npu, &job, 1));
	MUST(work_wait(&work, 1));
	figure_value("npu_interrupts_320", hwmodel_since(&before, "irq_npu"));
	part("npu_interrupts_320", "count", hwmodel_since(&before, "npu_kick"), "kicks");
	chain_destroy(&chain);
	work_close(&work);
}

static void jobs(void)
{
	struct hwmodel_counters before;
	struct work work;

	/* The first job finds no core that has its file's address space. */
	work_open(&work, 0);
	MUST(hwmodel_read(&before));
	for (unsigned int i = 0; i < JOBS; i++) {
		MUST(work_submit(&work, 1));
		MUST(work_wait(&work, 1));
	}
	figure_value("npu_iommu_operations_1000", hwmodel_since(&before, "iommu_attach") +
						  hwmodel_since(&before, "iommu_detach"));
	part("npu_iommu_operations_1000", "count", hwmodel_since(&before, "iommu_attach"),
	     "attached");
	part("npu_iommu_operations_1000", "count", hwmodel_since(&before, "iommu_detach"),
	     "detached");
	figure_value("npu_register_reads", (double)hwmodel_since(&before, "npu_mmio_read") / JOBS);
	figure_value("npu_register_writes", (double)hwmodel_since(&before, "npu_mmio_write") / JOBS);
	figure_value("npu_interrupts", (double)hwmodel_since(&before, "irq_npu") / JOBS);
	work_close(&work);
}

static void run(void)
{
	if (!hwmodel_present())
		die("nobody counts on real hardware");
	chained();
	jobs();
}

BENCH(npu_counts, run);
