/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The job that is measured with: the smallest layer, so many times in buffers of its own. */
#ifndef BENCH_NPU_WORK_H
#define BENCH_NPU_WORK_H

#include "layer.h"
#include "npu.h"

/* Cores that one file can use. */
#define MOST_JOBS	3

/* Enough for what happens once. */
#define WARM_UP		50

struct work {
	struct npu npu;
	struct layer layer;
	struct lists lists;
	struct loaded loaded[MOST_JOBS];
	struct drm_rocket_job jobs[MOST_JOBS];
	unsigned int used;	/* jobs that have run */
};

/* @warm_up says how often each of the jobs is run before the first one that is measured. */
void work_open(struct work *work, unsigned int warm_up);
/* The result of each job that has run is looked at before the end. */
void work_close(struct work *work);

/* The first @count of the jobs in one call; they have nothing to do with each other. */
int work_submit(struct work *work, unsigned int count);
int work_wait(struct work *work, unsigned int count);

#endif
