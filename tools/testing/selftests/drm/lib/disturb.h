/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What disturbs everybody: processes that reset the device, unbind its driver, switch it off, slow it
 * down, take its memory back and read all that can be read. All of it needs root and modelled hardware.
 */
#ifndef SELFTEST_DISTURB_H
#define SELFTEST_DISTURB_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "gpu.h"

/* What all processes count, and what they are told. */
struct world {
	bool crashes;		/* the firmware dies now and then */
	atomic_bool stop;	/* the workers are done */
	atomic_uint rounds;	/* pairs of good jobs that were waited for, or lost */
	atomic_uint right;	/* good jobs whose result is right */
	atomic_uint lost;	/* good jobs that have failed on a device that is there */
	atomic_uint wrong;	/* good jobs with another result, and pages with another content */
	atomic_uint silent;	/* fences that never signal */
	atomic_uint odd;	/* bad jobs that went well */
	atomic_uint failed;	/* calls that fail and must not */
	atomic_uint alive;	/* calls that work on a device that has gone */
	atomic_uint bad;	/* bad jobs */
	atomic_uint gone;	/* files whose device has gone */
	atomic_uint looks;
	atomic_uint resets, unbinds, crashed;
};

/* How a step has ended. */
enum end {
	WELL,
	GONE,		/* the device has been unbound */
	LOST,		/* a good job has failed on a device that is there */
	FAILED,		/* a call has failed that must not */
};

/* What the result of a call means; counts it and says so if it may not happen. */
enum end said(struct world *world, const char *what, int ret);

uint32_t number(uint32_t *state);

/* Where a bus error leads: a page is no longer there when its device has gone. */
extern sigjmp_buf bus_error;
void catch_bus_errors(void);

/* Does one thing to the device. What @any says of it does not change when it is bound anew. */
typedef void disturbance(struct world *world, const struct gpu *any, uint32_t *state);

#define DISTURBANCES	7
extern disturbance *const disturbances[DISTURBANCES];

#endif
