// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Hops through workers per job that waits for nothing, counted with the kernel's tracepoints.
 *
 * Counted is every work item of the driver (or of its scheduler library) that is queued while jobs
 * are run, whether its worker had to be woken for it or was still awake: either way the job
 * depends on when that worker gets a processor. Not counted, but shown, are items that a timer has
 * queued (delayed ones: ticks), and what is not the driver's. Interrupt threads are no workers: they
 * run at real-time priority, and nothing else is between the interrupt and the fence.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "job.h"
#include "power.h"
#include "trace.h"

static const struct figure figures[] = {
	{ "worker_wakeups", "count", "0", "work items queued per job, one job after the other" },
	{ "worker_wakeups_in_flight", "count", "0", "the same with eight jobs in flight" },
};

#define IN_FLIGHT	8
#define KINDS_MAX	64

struct kind {
	char what[224];
	unsigned int count;
};

struct tally {
	struct kind kind[KINDS_MAX];
	unsigned int kinds;
	unsigned int hops;
};

static void count(struct tally *tally, const char *what)
{
	unsigned int i;

	for (i = 0; i < tally->kinds; i++) {
		if (!strcmp(tally->kind[i].what, what))
			break;
	}
	if (i == KINDS_MAX)
		die("too many kinds of work");
	if (i == tally->kinds) {
		snprintf(tally->kind[i].what, sizeof(tally->kind[i].what), "%s", what);
		tally->kinds++;
	}
	tally->kind[i].count++;
}

/* The functions of a module are printed with its name. */
static bool is_driver(const char *function)
{
	return strstr(function, "[panthor]") || strstr(function, "[gpu_sched]") ||
	       strstr(function, "[mali_csf]");
}

static void take(const struct trace_event *event, void *data)
{
	struct tally *tally = data;
	char what[224], function[160];

	if (!strcmp(event->name, "workqueue_queue_work")) {
		snprintf(function, sizeof(function), "%s", trace_field(event, "function"));
		snprintf(what, sizeof(what), "%s %s on %s",
			 !is_driver(function) ? "not the driver's:" :
			 event->softirq ? "queued by a timer:" : "queued:",
			 function, trace_field(event, "workqueue"));
		count(tally, what);
		tally->hops += is_driver(function) && !event->softirq;
	} else if (!strcmp(event->name, "sched_waking")) {
		const char *task = trace_field(event, "comm");

		if (!strncmp(task, "kworker", 7))
			count(tally, "wake-ups of kworkers, whatever for");
		else if (!strncmp(task, "irq/", 4))
			count(tally, "wake-ups of interrupt threads");
	}
}

static void measure(struct job *job, const char *name, unsigned int in_flight)
{
	unsigned int jobs = rounds(1000, 40);
	struct tally tally = { 0 };
	uint32_t timeline;

	MUST(sync_create(&job->rig.gpu, false, &timeline));
	job_run(job, rounds(WARM_UP, 5));
	trace_enable("workqueue/workqueue_queue_work");
	trace_enable("sched/sched_waking");
	trace_filter("sched/sched_waking", "comm ~ \"kworker*\" || comm ~ \"irq/*\"");
	trace_start();
	for (unsigned int i = 1; i <= jobs; i++) {
		MUST(job_submit_to(job, job->rig.group, 0, timeline, i));
		if (i % in_flight == 0)
			MUST(sync_wait(&job->rig.gpu, timeline, i, PATIENCE));
	}
	trace_stop(take, &tally);
	figure_value(name, (double)tally.hops / jobs);
	for (unsigned int i = 0; i < tally.kinds; i++)
		part(name, "count", (double)tally.kind[i].count / jobs, "%s", tally.kind[i].what);
	sync_destroy(&job->rig.gpu, timeline);
}

static void run(void)
{
	struct job job;

	trace_open();
	job_open(&job, 1);
	/* When the GPU was off in between, a decision of the scheduler follows: no cost of a job. */
	power_keep_on(&job.rig.gpu, true);
	measure(&job, "worker_wakeups", 1);
	measure(&job, "worker_wakeups_in_flight", IN_FLIGHT);
	power_keep_on(&job.rig.gpu, false);
	job_close(&job);
	trace_close();
}

BENCH(workers, run);
