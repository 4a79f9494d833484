// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * From the call of GROUP_SUBMIT to the return of the wait for the job's fence.
 *
 * The figure is that of one thread that submits and then waits, as vkQueueSubmit and vkWaitForFences
 * do. Another process that waits from before the submission on has to use WAIT_FOR_SUBMIT, which wakes
 * it once for the submission and once for the fence; it is measured as well. It is a process because
 * user-mode Linux lets only one thread of a process run at a time.
 */
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "job.h"
#include "system.h"

static const struct figure figures[] = {
	{ "wakeup", "ns", "0.6", "submit and wait, one thread: from the submission to the wake-up" },
	{ "wakeup_waiter", "ns", "-", "the same with a process of its own that waits" },
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

/* Shared between the submitter and the process that waits. */
struct waiter {
	sem_t go, done;
	double woken;
};

static void wait_for_submissions(struct job *job, struct waiter *waiter)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "bench-waiter");
	for (;;) {
		struct drm_syncobj_wait args = {
			.handles = (uintptr_t)&job->sync,
			.count_handles = 1,
			.flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT,
		};

		sem_wait(&waiter->go);
		args.timeout_nsec = now_ns() + PATIENCE;
		MUST(gpu_ioctl(job->rig.gpu.fd, DRM_IOCTL_SYNCOBJ_WAIT, &args));
		waiter->woken = clock_ns();
		sem_post(&waiter->done);
	}
}

static void measure_waiter(struct job *job)
{
	struct waiter *waiter = mmap(NULL, sizeof(*waiter), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int count = rounds(1000, 10);
	struct samples samples = { 0 };
	pid_t child;

	if (waiter == MAP_FAILED || sem_init(&waiter->go, 1, 0) || sem_init(&waiter->done, 1, 0))
		die("no memory to share");
	fflush(NULL);
	child = fork();
	if (child < 0)
		die("fork: %s", strerror(errno));
	if (!child)
		wait_for_submissions(job, waiter);
	for (unsigned int i = 0; i < count; i++) {
		double begin;

		MUST(sync_reset(&job->rig.gpu, job->sync));
		sem_post(&waiter->go);
		/* It blocks within this time; where it does not, it is none the slower for that. */
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
		begin = clock_ns();
		MUST(job_submit(job, 0));
		sem_wait(&waiter->done);
		samples_add(&samples, waiter->woken - begin);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	munmap(waiter, sizeof(*waiter));
	figure_percentile("wakeup_waiter", &samples, 50);
	samples_free(&samples);
}

static void run(void)
{
	struct job job;

	job_open(&job, 1);
	measure(&job);
	measure_waiter(&job);
	job_close(&job);
}

BENCH(wakeup, run);
