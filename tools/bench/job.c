// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <string.h>

#include "bench.h"
#include "job.h"
#include "system.h"

void settle(void)
{
	sleep_ms(quick ? 50 : 200);
}

void job_open(struct job *job, uint32_t queues)
{
	settle();
	MUST(rig_open(&job->rig, queues));
	job->sync = job->rig.sync;
	job->stream = rig_stream(&job->rig, 0);
	cs_move32(&job->stream, 10, 1);
	cs_nop(&job->stream);
	job_run(job, rounds(WARM_UP, 5));
}

void job_close(struct job *job)
{
	rig_close(&job->rig);
}

static struct drm_panthor_queue_submit entry(struct job *job, uint32_t queue)
{
	return (struct drm_panthor_queue_submit){
		.queue_index = queue,
		.stream_size = cs_bytes(&job->stream),
		.stream_addr = rig_stream_va(&job->rig, &job->stream),
	};
}

int job_submit(struct job *job, uint32_t wait)
{
	struct drm_panthor_sync_op syncs[] = {
		sync_signal_op(job->sync, 0),
		sync_wait_op(wait, 0),
	};
	struct drm_panthor_queue_submit submit = entry(job, 0);

	submit.syncs = (struct drm_panthor_obj_array)DRM_PANTHOR_OBJ_ARRAY(wait ? 2 : 1, syncs);
	return group_submit(&job->rig.gpu, job->rig.group, &submit, 1);
}

int job_wait(struct job *job)
{
	return sync_wait(&job->rig.gpu, job->sync, 0, PATIENCE);
}

void job_run(struct job *job, unsigned int count)
{
	while (count--) {
		MUST(job_submit(job, 0));
		MUST(job_wait(job));
	}
}

int job_submit_to(struct job *job, uint32_t group, uint32_t queue, uint32_t timeline,
		  uint64_t point)
{
	struct drm_panthor_sync_op signal = sync_signal_op(timeline, point);
	struct drm_panthor_queue_submit submit = entry(job, queue);

	submit.syncs = (struct drm_panthor_obj_array)DRM_PANTHOR_OBJ_ARRAY(1, &signal);
	return group_submit(&job->rig.gpu, group, &submit, 1);
}
