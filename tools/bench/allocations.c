// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Memory that GROUP_SUBMIT allocates, counted with the kernel's tracepoints: the calls of the allocator
 * between the ioctl's entry into the kernel and its return, in the submitting task.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"
#include "job.h"
#include "trace.h"

static const struct figure figures[] = {
	{ "submit_allocations", "count", "3", "allocations per GROUP_SUBMIT of a job that waits for nothing" },
	{ "submit_allocated", "B", "-", "memory that these allocate" },
};

struct tally {
	bool submitting;
	unsigned int submissions, allocations;
	double bytes;
};

static void take(const struct trace_event *event, void *data)
{
	struct tally *tally = data;

	if (!strncmp(event->name, "sys_", 4)) {
		unsigned long command = 0;
		long number = 0;

		sscanf(event->fields, "NR %ld (%*x, %lx", &number, &command);
		tally->submitting = !strcmp(event->name, "sys_enter") && number == SYS_ioctl &&
				    command == DRM_IOCTL_PANTHOR_GROUP_SUBMIT;
		tally->submissions += tally->submitting;
	} else if (tally->submitting) {
		tally->allocations++;
		tally->bytes += strtoul(trace_field(event, "bytes_alloc"), NULL, 0);
	}
}

static void run(void)
{
	static const char *const events[] = {
		"raw_syscalls/sys_enter", "raw_syscalls/sys_exit", "kmem/kmalloc",
		"kmem/kmem_cache_alloc",
	};
	unsigned int jobs = rounds(1000, 40);
	struct tally tally = { 0 };
	char self[48];
	struct job job;

	trace_open();
	job_open(&job, 1);
	job_run(&job, rounds(WARM_UP, 5));
	snprintf(self, sizeof(self), "common_pid == %d", getpid());
	for (size_t i = 0; i < COUNT(events); i++) {
		if (!trace_enable(events[i]))
			die("the kernel has no tracepoint %s", events[i]);
		trace_filter(events[i], self);
	}
	trace_start();
	job_run(&job, jobs);
	trace_stop(take, &tally);
	job_close(&job);
	trace_close();

	if (!tally.submissions)
		die("no submission was seen");
	figure_value("submit_allocations", (double)tally.allocations / tally.submissions);
	figure_value("submit_allocated", tally.bytes / tally.submissions);
}

BENCH(allocations, run);
