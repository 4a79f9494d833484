/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The kernel's tracepoints, by tracefs, in a trace instance of our own. */
#ifndef BENCH_TRACE_H
#define BENCH_TRACE_H

#include <stdbool.h>

struct trace_event {
	double us;		/* CLOCK_MONOTONIC */
	int pid;		/* of the task that ran at the time */
	char task[32];
	bool softirq;		/* in a soft interrupt: a timer, as a rule */
	char name[48];
	const char *fields;	/* as the kernel prints them */
};

/* Finds or mounts tracefs. Ends the program if there is none. */
void trace_open(void);
void trace_close(void);

/* "system/event"; whether there is such an event. */
bool trace_enable(const char *event);
/* Only these, by the filter language of the kernel. */
void trace_filter(const char *event, const char *filter);

void trace_start(void);
/* Stops, and hands all that was recorded over in the order of time. */
void trace_stop(void (*take)(const struct trace_event *event, void *data), void *data);

/* The text behind "key=", up to the end of the line or to the next " key="; for one line only. */
const char *trace_field(const struct trace_event *event, const char *key);

#endif
