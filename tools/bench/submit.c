// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * How long GROUP_SUBMIT takes. Each job is waited for before the next one, so the ring is never full
 * and whatever the job before left to do is done.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bench.h"
#include "job.h"
#include "system.h"
#include "swsync.h"

static const struct figure figures[] = {
	{ "submit_ioctl", "ns", "0.6", "GROUP_SUBMIT of a job that waits for nothing" },
	{ "submit_ioctl_signalled", "ns", "0.6",
	  "GROUP_SUBMIT of a job that waits for a fence that has signalled" },
	{ "submit_ioctl_unsignalled", "ns", "0.6",
	  "GROUP_SUBMIT of a job that waits for a fence that has not" },
	{ "empty_ioctl", "ns", "-", "GROUP_GET_STATE: what any ioctl costs here" },
};

static int timeline;
static uint32_t timeline_at;

/* Makes the syncobj's fence one that signals at the next release(). */
static int hold(struct job *job, uint32_t sync)
{
	struct sw_sync_fence fence = { .value = timeline_at + 1, .name = "bench" };
	struct drm_syncobj_handle import = {
		.handle = sync,
		.flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE,
	};
	int ret = gpu_ioctl(timeline, SW_SYNC_CREATE_FENCE, &fence);

	if (ret)
		return ret;
	import.fd = fence.fence;
	ret = gpu_ioctl(job->rig.gpu.fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &import);
	close(fence.fence);
	return ret;
}

static int release(void)
{
	uint32_t by = 1;

	timeline_at++;
	return gpu_ioctl(timeline, SW_SYNC_INC, &by);
}

static void measure(struct job *job, const char *name, uint32_t wait, bool held)
{
	unsigned int count = rounds(3000, 20);
	struct samples samples = { 0 };

	for (unsigned int i = 0; i < count; i++) {
		double begin;

		if (held)
			MUST(hold(job, wait));
		begin = clock_ns();
		MUST(job_submit(job, wait));
		samples_add(&samples, clock_ns() - begin);
		if (held)
			MUST(release());
		MUST(job_wait(job));
	}
	figure_percentile(name, &samples, 50);
	samples_free(&samples);
}

static void measure_empty(struct job *job)
{
	unsigned int count = rounds(3000, 20);
	struct samples samples = { 0 };
	uint32_t state, fatal;

	for (unsigned int i = 0; i < count; i++) {
		double begin = clock_ns();

		MUST(group_state(&job->rig.gpu, job->rig.group, &state, &fatal));
		samples_add(&samples, clock_ns() - begin);
	}
	figure_percentile("empty_ioctl", &samples, 50);
	samples_free(&samples);
}

static void run(void)
{
	uint32_t wait;
	struct job job;

	job_open(&job, 1);
	measure_empty(&job);
	measure(&job, "submit_ioctl", 0, false);

	MUST(sync_create(&job.rig.gpu, true, &wait));
	measure(&job, "submit_ioctl_signalled", wait, false);

	timeline = open(SW_SYNC, O_RDWR | O_CLOEXEC);
	if (timeline < 0)
		die(SW_SYNC ": %s: the kernel needs CONFIG_SW_SYNC", strerror(errno));
	timeline_at = 0;
	measure(&job, "submit_ioctl_unsignalled", wait, true);
	close(timeline);
	job_close(&job);
}

BENCH(submit, run);
