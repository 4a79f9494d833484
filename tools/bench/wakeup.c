// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * From the call of GROUP_SUBMIT to the return of the wait for the job's fence.
 *
 * The figure is that of one thread that submits and then waits, as vkQueueSubmit and vkWaitForFences
 * do. A second thread that waits from before the submission on has to use WAIT_FOR_SUBMIT, which
 * wakes it once for the submission and once for the fence; it is measured as well.
 */
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "bench.h"
#include "job.h"
#include "system.h"

static const struct figure figures[] = {
	{ "wakeup", "ns", "0.6", "submit and wait, one thread: from the submission to the wake-up" },
	{ "wakeup_thread", "ns", "-", "the same with a thread of its own that waits" },
};

static void measure(struct job *job)
{
	unsigned int count = rounds(3000, 20);
	struct samples samples = { 0 };

	for (unsigned int i = 0; i < count; i++) {
		double begin = clock_ns();

		MUST(job_submit(job, 0));
		MUST(job_wait(job));
		samples_add(&samples, clock_ns() - begin);
	}
	figure_percentile("wakeup", &samples, 50);
	samples_free(&samples);
}

struct waiter {
	struct job *job;
	sem_t go, done;
	double woken;
	bool end;
};

static void *wait_for_submission(void *data)
{
	struct waiter *waiter = data;

	prctl(PR_SET_NAME, "bench-waiter");
	for (;;) {
		struct drm_syncobj_wait args = {
			.handles = (uintptr_t)&waiter->job->sync,
			.count_handles = 1,
			.flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT,
		};

		sem_wait(&waiter->go);
		if (waiter->end)
			return NULL;
		args.timeout_nsec = now_ns() + PATIENCE;
		MUST(gpu_ioctl(waiter->job->rig.gpu.fd, DRM_IOCTL_SYNCOBJ_WAIT, &args));
		waiter->woken = clock_ns();
		sem_post(&waiter->done);
	}
}

static void measure_thread(struct job *job)
{
	struct waiter waiter = { .job = job };
	unsigned int count = rounds(1000, 10);
	struct samples samples = { 0 };
	pthread_t thread;

	sem_init(&waiter.go, 0, 0);
	sem_init(&waiter.done, 0, 0);
	if (pthread_create(&thread, NULL, wait_for_submission, &waiter))
		die("no thread");
	for (unsigned int i = 0; i < count; i++) {
		double begin;

		MUST(sync_reset(&job->rig.gpu, job->sync));
		sem_post(&waiter.go);
		/* It blocks within this time; where it does not, it is none the slower for that. */
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
		begin = clock_ns();
		MUST(job_submit(job, 0));
		sem_wait(&waiter.done);
		samples_add(&samples, waiter.woken - begin);
	}
	waiter.end = true;
	sem_post(&waiter.go);
	pthread_join(thread, NULL);
	figure_percentile("wakeup_thread", &samples, 50);
	samples_free(&samples);
}

static void run(void)
{
	struct job job;

	job_open(&job, 1);
	measure(&job);
	measure_thread(&job);
	job_close(&job);
}

BENCH(wakeup, run);
