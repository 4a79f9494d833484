/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Streams that get an exception on request, with jobs that are at a known point when they get it, and
 * what has to come of that.
 */
#ifndef SELFTEST_GUILTY_H
#define SELFTEST_GUILTY_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hwmodel.h"
#include "power.h"
#include "suite.h"

/* Words in the data of the guilty one. */
#define FLAG		0	/* it spins until this is set */
#define BEGUN		16
#define ENDED		32
#define OBJECT		64	/* 64 bits */

/* A job on queue 0 that has begun, and ends when the flag is set. */
static inline void spin(struct __test_metadata *_metadata, struct rig *rig)
{
	struct cs cs = rig_stream(rig, 0);

	rig->data.u32[FLAG] = 0;
	rig->data.u32[BEGUN] = 0;
	rig->data.u32[ENDED] = 0;
	cs_put32(&cs, rig->data.va + 4 * BEGUN, 1);
	cs_spin_while_zero(&cs, rig->data.va + 4 * FLAG);
	cs_put32(&cs, rig->data.va + 4 * ENDED, 1);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	ASSERT_EQ(0, rig_wait_word(rig, BEGUN, 1));
}

/* The job of spin() ends well, and another one begins: none may take as long as a whole test does. */
static inline void relay(struct __test_metadata *_metadata, struct rig *rig)
{
	rig->data.u32[FLAG] = 1;
	ASSERT_EQ(1, rig_wait(rig));
	EXPECT_EQ(1, rig->data.u32[ENDED]);
	spin(_metadata, rig);
}

/* As that, but it waits for the sync object. */
static inline void block(struct __test_metadata *_metadata, struct rig *rig)
{
	struct cs cs = rig_stream(rig, 0);

	rig->data.u32[BEGUN] = 0;
	rig->data.u32[ENDED] = 0;
	rig->data.u64[OBJECT / 2] = 0;
	cs_put32(&cs, rig->data.va + 4 * BEGUN, 1);
	cs_move48(&cs, 10, rig->data.va + 4 * OBJECT);
	cs_move48(&cs, 20, 0);
	cs_sync_wait64(&cs, CS_GREATER, 10, 20);
	cs_put32(&cs, rig->data.va + 4 * ENDED, 1);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	ASSERT_EQ(0, rig_wait_word(rig, BEGUN, 1));
}

/* A job that stores @value in word @word, on this queue. */
static inline int put(struct rig *rig, uint32_t queue, uint32_t word, uint32_t value, uint32_t sync)
{
	struct cs cs = rig_stream(rig, word % 16 + 8);

	cs_put32(&cs, rig->data.va + 4 * word, value);
	return group_run(&rig->gpu, rig->group, queue, rig_stream_va(rig, &cs), cs_bytes(&cs), sync);
}

/* Work that takes so many milliseconds, on the model. */
static inline void compute(struct cs *cs, unsigned int ms)
{
	cs_move32(cs, 37, 1 + ms * 1000000 / 50);
	cs_move32(cs, 38, 1);
	cs_move32(cs, 39, 1);
	cs_run_compute(cs);
	cs_wait(cs, CS_SB_ALL);
}

static inline uint64_t reported(void)
{
	struct hwmodel_counters counters = { 0 };

	return hwmodel_read(&counters) ? 0 : hwmodel_get(&counters, "faults");
}

/* Until the stream 0 of the first slot, which has to be started, has reported it. */
static inline int inject(const char *kind, uint8_t type)
{
	int64_t end = now_ns() + PATIENCE;
	uint64_t before = reported();
	char line[64];
	int ret;

	snprintf(line, sizeof(line), "mcu %s 0 0 0x%x", kind, type);
	ret = hwmodel_inject(line);
	while (!ret && reported() == before) {
		if (now_ns() > end)
			return -ETIME;
		sleep_ms(1);
	}
	return ret;
}

/* The group has gone with its queue 0, whose job ended with @error. */
static inline void expect_fatal(struct __test_metadata *_metadata, struct rig *rig, int error)
{
	uint32_t state = 0, fatal = 0;

	EXPECT_EQ(error, rig_wait(rig));
	EXPECT_EQ(0, group_wait_bad(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_FATAL_FAULT, state);
	EXPECT_EQ(1, fatal);
	EXPECT_EQ(-EINVAL, put(rig, 1, 200, 1, 0));
}

static inline void expect_alive(struct __test_metadata *_metadata, struct rig *rig)
{
	uint32_t state = 1, fatal = 1, sync;

	EXPECT_EQ(0, group_state(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_EQ(0, state);
	EXPECT_EQ(0, fatal);
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &sync));
	rig->data.u32[200] = 0;
	ASSERT_EQ(0, put(rig, 0, 200, 7, sync));
	EXPECT_EQ(0, sync_wait(&rig->gpu, sync, 0, PATIENCE));
	EXPECT_EQ(1, sync_status(&rig->gpu, sync));
	EXPECT_EQ(7, rig->data.u32[200]);
	sync_destroy(&rig->gpu, sync);
}

static inline void renew(struct __test_metadata *_metadata, struct rig *rig)
{
	ASSERT_EQ(0, group_destroy(&rig->gpu, rig->group));
	ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, rig->queues, PANTHOR_GROUP_PRIORITY_MEDIUM,
				  &rig->group));
}

/* The healthy one has noticed nothing; then both go. */
static inline void part(struct __test_metadata *_metadata, struct rig *guilty, struct rig *healthy)
{
	uint32_t state, fatal;

	hwmodel_inject("clear");
	healthy->data.u32[FLAG] = 1;
	EXPECT_EQ(1, rig_wait(healthy));
	EXPECT_EQ(1, healthy->data.u32[ENDED]);
	EXPECT_EQ(0, group_state(&healthy->gpu, healthy->group, &state, &fatal));
	EXPECT_EQ(0, state);
	guilty->data.u32[FLAG] = 1;
	power_keep_on(&guilty->gpu, false);
	rig_close(guilty);
	rig_close(healthy);
}

#endif
