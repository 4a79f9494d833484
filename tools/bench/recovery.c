// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * How long it takes from a firmware that only a reset helps to the end of the first new job, and from
 * the end of the last job to a GPU that is off and left alone.
 */
#include <time.h>

#include "bench.h"
#include "hwmodel.h"
#include "job.h"
#include "power.h"

static const struct figure figures[] = {
	{ "reset_time", "us", "1.0", "from an exception that needs a reset to the end of the first new job" },
	{ "reset_accesses", "accesses", "1.0", "register accesses on that way" },
	{ "idle_to_off", "ms", "1.1", "from the end of the last job to a GPU without power" },
	{ "accesses_when_off", "count", "0", "register accesses in 100 ms after that" },
};

static const struct figure waits[] = {
	{ "reset_waits", "us", "1.0", "reset_time without what processors compute: for the hardware, and for timers" },
};

static double accesses(const struct hwmodel_counters *before)
{
	return hwmodel_since(before, "mmio_read") + hwmodel_since(before, "mmio_write");
}

/* A short sleep: how long something takes is not to be rounded up to a tick. */
static void pause_us(long us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

/* A group in the middle of a job gets an exception; then there is another group with a job. */
static void reset_once(struct rig *rig, struct samples *time, struct samples *count)
{
	int64_t begin, limit = now_ns() + PATIENCE;
	struct hwmodel_counters before;
	struct cs cs = rig_stream(rig, 1);

	rig->data.u32[1] = 0;
	rig->data.u32[2] = 0;
	cs_put32(&cs, rig->data.va + 4, 1);
	cs_spin_while_zero(&cs, rig->data.va + 8);
	MUST(rig_submit(rig, 0, &cs));
	MUST(rig_wait_word(rig, 1, 1));
	MUST(hwmodel_read(&before));
	begin = now_ns();
	MUST(hwmodel_inject("mcu fatal 0 0 0x41"));
	if (rig_wait(rig) >= 0)
		die("a job has survived the end of the firmware");
	group_destroy(&rig->gpu, rig->group);
	while (!hwmodel_since(&before, "mcu_boot") ||
	       group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &rig->group)) {
		if (now_ns() > limit)
			die("there was no reset");
		pause_us(50);
	}
	if (rig_put(rig, 7) != 1)
		die("no job works after the reset");
	samples_add(time, (now_ns() - begin) / 1000.0);
	samples_add(count, accesses(&before));
}

static void off_once(struct rig *rig, const char *status, struct samples *time, struct samples *count)
{
	int64_t begin, limit;
	struct hwmodel_counters before;

	if (rig_put(rig, 8) != 1)
		die("no job works");
	begin = now_ns();
	limit = begin + OFF_LIMIT;
	while (!is_off(status)) {
		if (now_ns() > limit)
			die("nobody switches the GPU off");
		pause_us(200);
	}
	samples_add(time, (now_ns() - begin) / 1e6);
	MUST(hwmodel_read(&before));
	pause_us(100000);
	samples_add(count, accesses(&before));
}

static void reset_often(struct rig *rig, unsigned int times, struct samples *time, struct samples *count)
{
	if (!hwmodel_present())
		die("nobody counts on real hardware");
	MUST(rig_open(rig, 1));
	/* Not to be switched off in between. */
	MUST(power_keep_on(&rig->gpu, true));
	for (unsigned int i = 0; i < times; i++)
		reset_once(rig, time, count);
	MUST(power_keep_on(&rig->gpu, false));
}

/* To be run where the clock stands still while a processor computes. */
static void run_waits(void)
{
	struct samples time = { 0 }, count = { 0 };
	struct rig rig;

	reset_often(&rig, rounds(30, 2), &time, &count);
	figure_percentile("reset_waits", &time, 50);
	samples_free(&time);
	samples_free(&count);
	rig_close(&rig);
}

static void run(void)
{
	struct samples time = { 0 }, count = { 0 }, off = { 0 }, touched = { 0 };
	unsigned int times = rounds(30, 2);
	char status[160];
	struct rig rig;

	reset_often(&rig, times, &time, &count);
	power_status_path(&rig.gpu, status, sizeof(status));
	for (unsigned int i = 0; i < times; i++)
		off_once(&rig, status, &off, &touched);
	figure_percentile("reset_time", &time, 50);
	figure_percentile("reset_accesses", &count, 50);
	figure_percentile("idle_to_off", &off, 50);
	figure_percentile("accesses_when_off", &touched, 100);
	samples_free(&time);
	samples_free(&count);
	samples_free(&off);
	samples_free(&touched);
	rig_close(&rig);
}

BENCH(recovery, run);

const struct bench waits_bench = {
	.name = "waits",
	.figures = waits,
	.count = COUNT(waits),
	.run = run_waits,
};
