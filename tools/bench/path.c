// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Where the time between a submission and the wake-up goes, by the kernel's tracepoints: what happens
 * between GROUP_SUBMIT's entry into the kernel and the return of the wait, with its time after
 * that entry. A tracepoint costs something itself; the times are for comparing stages, not for
 * comparing with the figures.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"
#include "hwmodel.h"
#include "job.h"
#include "trace.h"

static const struct figure figures[] = {
	{ "submit_in_kernel", "ns", "-", "GROUP_SUBMIT without the way into the kernel and back" },
	{ "device_time", "ns", "-", "from the doorbell to the interrupt: the modelled GPU's part" },
};

#define STAGES_MAX	64
#define DOORBELLS	0x80000		/* where the pages of doorbells begin, 64 KiB each */
#define STAGE_NAME	160

struct stage {
	char what[STAGE_NAME];
	struct samples at;
	unsigned int job;	/* in which it was seen last */
};

struct path {
	struct stage stage[STAGES_MAX];
	unsigned int stages;
	unsigned int job;
	int pid;
	double begin;		/* 0: between jobs */
	double rung;		/* the doorbell; 0: not yet, -1: answered */
	bool submitting;
	struct samples in_kernel, device_time;
};

static void reached(struct path *path, const char *what, double us)
{
	struct stage *stage = NULL;

	for (unsigned int i = 0; i < path->stages && !stage; i++) {
		if (!strcmp(path->stage[i].what, what))
			stage = &path->stage[i];
	}
	if (!stage) {
		/* Whatever comes once in a while is not part of the way of a job. */
		if (path->stages == STAGES_MAX)
			return;
		stage = &path->stage[path->stages++];
		snprintf(stage->what, sizeof(stage->what), "%s", what);
	}
	if (stage->job == path->job)
		return;
	stage->job = path->job;
	samples_add(&stage->at, (us - path->begin) * 1000);
}

/* Workers are many, and any of them will do. */
static const char *task(const char *name)
{
	return strncmp(name, "kworker", 7) ? name : "a kworker";
}

static void system_call(const struct trace_event *event, struct path *path)
{
	long number = 0;
	unsigned long command = 0;

	if (event->pid != path->pid)
		return;
	sscanf(event->fields, "NR %ld (%*x, %lx", &number, &command);
	if (number != SYS_ioctl)
		return;
	if (!strcmp(event->name, "sys_enter")) {
		if (command == DRM_IOCTL_PANTHOR_GROUP_SUBMIT) {
			path->job++;
			path->begin = event->us;
			path->rung = 0;
			path->submitting = true;
		} else if (path->begin) {
			reached(path, "the wait begins", event->us);
		}
	} else if (path->begin && path->submitting) {
		reached(path, "GROUP_SUBMIT returns", event->us);
		samples_add(&path->in_kernel, (event->us - path->begin) * 1000);
		path->submitting = false;
	} else if (path->begin) {
		reached(path, "the wait returns", event->us);
		path->begin = 0;
	}
}

static void register_access(const struct trace_event *event, struct path *path)
{
	unsigned long offset = strtoul(trace_field(event, "offset"), NULL, 0);
	bool write = !strcmp(event->name, "register_write");
	char what[STAGE_NAME];

	if (write && offset >= DOORBELLS) {
		/* The first one that comes before the interrupt. */
		if (!path->rung)
			path->rung = event->us;
		snprintf(what, sizeof(what), "doorbell %lu, by %s", (offset - DOORBELLS) >> 16,
			 task(event->task));
	} else {
		snprintf(what, sizeof(what), "register 0x%lx is %s by %s", offset,
			 write ? "written" : "read", task(event->task));
	}
	reached(path, what, event->us);
}

static void take(const struct trace_event *event, void *data)
{
	struct path *path = data;
	char what[STAGE_NAME];

	if (!strncmp(event->name, "sys_", 4)) {
		system_call(event, path);
		return;
	}
	if (!path->begin)
		return;
	if (!strcmp(event->name, "sched_waking")) {
		snprintf(what, sizeof(what), "%s is woken", task(trace_field(event, "comm")));
	} else if (!strncmp(event->name, "register_", 9)) {
		register_access(event, path);
		return;
	} else if (!strcmp(event->name, "sched_switch")) {
		const char *name = trace_field(event, "next_comm");

		if (!strncmp(name, "swapper", 7))
			return;
		snprintf(what, sizeof(what), "%s runs", task(name));
	} else if (!strcmp(event->name, "irq_handler_entry")) {
		if (path->rung > 0) {
			samples_add(&path->device_time, (event->us - path->rung) * 1000);
			path->rung = -1;
		}
		snprintf(what, sizeof(what), "interrupt %s", trace_field(event, "name"));
	} else if (!strcmp(event->name, "workqueue_queue_work")) {
		snprintf(what, sizeof(what), "work is queued: %s", trace_field(event, "function"));
	} else if (!strcmp(event->name, "workqueue_execute_start")) {
		const char *function = strstr(event->fields, "function ");

		snprintf(what, sizeof(what), "work begins: %s",
			 function ? function + strlen("function ") : "");
	} else if (!strcmp(event->name, "dma_fence_init")) {
		snprintf(what, sizeof(what), "a fence is made: %s", trace_field(event, "timeline"));
	} else if (!strcmp(event->name, "dma_fence_signaled")) {
		snprintf(what, sizeof(what), "the fence signals: %s",
			 trace_field(event, "timeline"));
	} else {
		snprintf(what, sizeof(what), "%s", event->name);
	}
	reached(path, what, event->us);
}

static int by_time(const void *a, const void *b)
{
	double x = samples_midmean(&((struct stage *)a)->at);
	double y = samples_midmean(&((struct stage *)b)->at);

	return (x > y) - (x < y);
}

static void run(void)
{
	static const char *const events[] = {
		"raw_syscalls/sys_enter", "raw_syscalls/sys_exit", "sched/sched_waking",
		"sched/sched_switch", "irq/irq_handler_entry", "workqueue/workqueue_queue_work",
		"workqueue/workqueue_execute_start", "dma_fence/dma_fence_init",
		"dma_fence/dma_fence_signaled", "hwmodel/register_read", "hwmodel/register_write",
	};
	unsigned int jobs = rounds(1000, 20);
	struct path path = { .pid = getpid() };
	struct job job;

	trace_open();
	job_open(&job, 1);
	for (size_t i = 0; i < COUNT(events); i++) {
		/* Real hardware has none of the model's. */
		if (!trace_enable(events[i]) && strncmp(events[i], "hwmodel/", 8))
			die("the kernel has no tracepoint %s", events[i]);
	}
	trace_start();
	job_run(&job, jobs);
	trace_stop(take, &path);
	job_close(&job);
	trace_close();

	figure_percentile("submit_in_kernel", &path.in_kernel, 50);
	if (path.device_time.count)
		figure_percentile("device_time", &path.device_time, 50);
	qsort(path.stage, path.stages, sizeof(*path.stage), by_time);
	for (unsigned int i = 0; i < path.stages; i++) {
		struct stage *stage = &path.stage[i];
		unsigned int percent = 100 * stage->at.count / path.job;

		if (percent >= 20)
			part("submit_in_kernel", "ns", samples_midmean(&stage->at),
			     "%s (in %u %% of the jobs)", stage->what, percent);
		samples_free(&stage->at);
	}
	samples_free(&path.in_kernel);
	samples_free(&path.device_time);
}

BENCH(path, run);
