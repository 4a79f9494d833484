/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The job that is measured with: the smallest that does something, on a group that is on its slot.
 *
 * A job one after the other, each waited for: the GPU stays awake and the group on its slot, because
 * the next job comes long before the scheduling period is over. Nothing spins to keep it there, as
 * that would keep the modelled GPU's processor, which is one for all queues, busy with spinning.
 */
#ifndef BENCH_JOB_H
#define BENCH_JOB_H

#include "rig.h"

/* Jobs before the first one that is measured. */
#define WARM_UP		100

/* A rig and what its submissions are made of. */
struct job {
	struct rig rig;
	struct cs stream;
	uint32_t sync;		/* binary syncobj that it signals */
};

void job_open(struct job *job, uint32_t queues);
void job_close(struct job *job);

/* One submission to queue 0; @wait names a binary syncobj to wait for, or is zero. */
int job_submit(struct job *job, uint32_t wait);
int job_wait(struct job *job);
/* Both, so many times. */
void job_run(struct job *job, unsigned int count);

/* A job on queue @queue of @group that signals point @point of timeline @timeline. */
int job_submit_to(struct job *job, uint32_t group, uint32_t queue, uint32_t timeline,
		  uint64_t point);

/* Gives what was closed before the time to go away. */
void settle(void);

#endif
