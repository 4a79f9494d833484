// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What the smallest job costs in time, from the call of SUBMIT to the return of PREP_BO. One after the
 * other, so that the core is on and has the file's address space, where the driver leaves it that.
 */
#include <string.h>

#include "bench.h"
#include "system.h"
#include "work.h"

static const struct figure figures[] = {
	{ "npu_submit_floor", "ns", "0.5", "the smallest job, from SUBMIT to the return of PREP_BO" },
	{ "npu_submit_ioctl", "ns", "-", "SUBMIT of the smallest job, as its caller sees it" },
	{ "npu_empty_ioctl", "ns", "-", "FINI_BO: what any ioctl costs here" },
};

static void run(void)
{
	unsigned int count = rounds(3000, 20);
	struct samples whole = { 0 }, call = { 0 }, empty = { 0 };
	struct work work;

	work_open(&work, WARM_UP);
	for (unsigned int i = 0; i < count; i++) {
		double begin = clock_ns(), middle;

		MUST(work_submit(&work, 1));
		middle = clock_ns();
		MUST(work_wait(&work, 1));
		samples_add(&whole, clock_ns() - begin);
		samples_add(&call, middle - begin);
	}
	for (unsigned int i = 0; i < count; i++) {
		double begin = clock_ns();

		MUST(npu_bo_fini(&work.loaded[0].input));
		samples_add(&empty, clock_ns() - begin);
	}
	figure_percentile("npu_submit_floor", &whole, 50);
	figure_percentile("npu_submit_ioctl", &call, 50);
	figure_percentile("npu_empty_ioctl", &empty, 50);
	part("npu_submit_floor", "ns", samples_percentile(&call, 50), "SUBMIT");
	part("npu_submit_floor", "ns",
	     samples_percentile(&whole, 50) - samples_percentile(&call, 50),
	     "the NPU, its interrupt and the way back");
	samples_free(&whole);
	samples_free(&call);
	samples_free(&empty);
	work_close(&work);
}

BENCH(npu_floor, run);
