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

/* Where a page is mapped for the guilty one, and nobody else. */
#define MARK		0x18000000ull

/* Words in the data of the guilty one. */
#define FLAG		0	/* it spins until this is set */
#define BEGUN		16
#define ENDED		32
#define OBJECT		64	/* 64 bits */

/* A job on this queue, of two, that has begun. It ends when its flag, the one with that number, is set. */
static inline void spin_on(struct __test_metadata *_metadata, struct rig *rig, uint32_t queue, uint32_t sync)
{
	struct cs cs = rig_stream(rig, queue * (RIG_STREAMS - 1));

	rig->data.u32[FLAG + queue] = 0;
	rig->data.u32[BEGUN + queue] = 0;
	rig->data.u32[ENDED + queue] = 0;
	cs_put32(&cs, rig->data.va + 4 * (BEGUN + queue), 1);
	cs_spin_while_zero(&cs, rig->data.va + 4 * (FLAG + queue));
	cs_put32(&cs, rig->data.va + 4 * (ENDED + queue), 1);
	ASSERT_EQ(0, group_run(&rig->gpu, rig->group, queue, rig_stream_va(rig, &cs), cs_bytes(&cs), sync));
	ASSERT_EQ(0, rig_wait_word(rig, BEGUN + queue, 1));
}

/* A job on queue 0 that has begun, and ends when the flag is set. */
static inline void spin(struct __test_metadata *_metadata, struct rig *rig)
{
	spin_on(_metadata, rig, 0, rig->sync);
}

/*
 * The job of spin() ends well, and another one like it begins: none may take as long as a whole test does. Queue 1
 * has a job meanwhile, because the C driver takes an idle group out of its slot, and may give that to another one.
 */
static inline void relay(struct __test_metadata *_metadata, struct rig *rig)
{
	uint32_t between;

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &between));
	spin_on(_metadata, rig, 1, between);
	rig->data.u32[FLAG] = 1;
	ASSERT_EQ(1, rig_wait(rig));
	EXPECT_EQ(1, rig->data.u32[ENDED]);
	spin(_metadata, rig);
	rig->data.u32[FLAG + 1] = 1;
	ASSERT_EQ(0, sync_wait(&rig->gpu, between, 0, PATIENCE));
	ASSERT_EQ(1, sync_status(&rig->gpu, between));
	EXPECT_EQ(1, rig->data.u32[ENDED + 1]);
	sync_destroy(&rig->gpu, between);
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

/* The same as cs_spin_while_zero(), but it is work that takes the time. Uses r37 to r39 and r44 to r46. */
static inline void compute_while_zero(struct cs *cs, uint64_t flag_va)
{
	size_t again;

	cs_move48(cs, 44, flag_va);
	again = cs->len;
	compute(cs, 20);
	cs_load(cs, 46, 1, 44, 0);
	cs_wait(cs, CS_SB_LS);
	cs_branch(cs, CS_EQUAL, 46, again);
}

/* Where in its life a job is when it meets what is meant for it. */
enum point {
	IN_ITS_STREAM,
	IN_A_STREAM_THAT_IT_CALLS,	/* two levels down */
	WHILE_A_JOB_OF_IT_RUNS,
};

/*
 * A job on queue 0 that has begun, and is at this point until the flag is set. Then it does what @strike has
 * put there, if anything, and ends.
 */
static inline void begin_at(struct __test_metadata *_metadata, struct rig *rig, enum point point,
			    void (*strike)(struct cs *cs, const void *what), const void *what)
{
	struct cs cs = rig_stream(rig, 0), inner = rig_stream(rig, 1), outer = rig_stream(rig, 2);
	struct cs *body = point == IN_A_STREAM_THAT_IT_CALLS ? &inner : &cs;

	rig->data.u32[FLAG] = 0;
	rig->data.u32[BEGUN] = 0;
	rig->data.u32[ENDED] = 0;
	cs_put32(body, rig->data.va + 4 * BEGUN, 1);
	if (point == WHILE_A_JOB_OF_IT_RUNS) {
		compute_while_zero(body, rig->data.va + 4 * FLAG);
		cs_run_compute(body);
	} else {
		cs_spin_while_zero(body, rig->data.va + 4 * FLAG);
	}
	if (strike)
		strike(body, what);
	cs_put32(body, rig->data.va + 4 * ENDED, 1);
	if (point == IN_A_STREAM_THAT_IT_CALLS) {
		cs_move48(&outer, 40, rig_stream_va(rig, &inner));
		cs_move32(&outer, 42, cs_bytes(&inner));
		cs_call(&outer, 40, 42);
		cs_move48(&cs, 44, rig_stream_va(rig, &outer));
		cs_move32(&cs, 46, cs_bytes(&outer));
		cs_call(&cs, 44, 46);
	}
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	ASSERT_EQ(0, rig_wait_word(rig, BEGUN, 1));
}

/* The guilty one, with some queues. */
static inline int open_guilty(struct rig *rig, uint32_t queues)
{
	int ret = rig_open(rig, queues);

	return ret ? ret : vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, MARK, PAGE, DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC |
				  DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED);
}

static inline uint64_t reported(void)
{
	struct hwmodel_counters counters = { 0 };

	return hwmodel_read(&counters) ? 0 : hwmodel_get(&counters, "faults");
}

/* Asks for an exception of this one's stream 0, when it is in a slot the next time. By the address space that it has. */
static inline int inject_later(const struct rig *rig, const char *kind, uint8_t type)
{
	unsigned int as_nr = 1;
	uint64_t leaf = 0;
	char line[64];

	while (hwmodel_leaves(as_nr, MARK, 1, &leaf) || !leaf) {
		if (++as_nr == HWMODEL_SPACES)
			return -ENOENT;
	}
	snprintf(line, sizeof(line), "mcu %s as%u 0 0x%x", kind, as_nr, type);
	return hwmodel_inject(line);
}

/* Until the stream has reported it. */
static inline int inject(const struct rig *rig, const char *kind, uint8_t type)
{
	int64_t end = now_ns() + PATIENCE;
	uint64_t before = reported();
	int ret = inject_later(rig, kind, type);

	while (!ret && reported() == before) {
		if (now_ns() > end)
			return -ETIME;
		sleep_ms(1);
	}
	return ret;
}

/* The job on queue 0 ended with @error and the group has gone. Returns the queues with which. */
static inline uint32_t expect_gone(struct __test_metadata *_metadata, struct rig *rig, int error)
{
	uint32_t state = 0, fatal = 0;

	EXPECT_EQ(error, rig_wait(rig));
	EXPECT_EQ(0, group_wait_bad(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_FATAL_FAULT, state);
	EXPECT_EQ(-EINVAL, put(rig, 1, 200, 1, 0));
	return fatal;
}

/* The group has gone with its queue 0, whose job ended with @error. */
static inline void expect_fatal(struct __test_metadata *_metadata, struct rig *rig, int error)
{
	EXPECT_EQ(1, expect_gone(_metadata, rig, error));
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

/* Groups of somebody's that fill all slots but two. They work until he says so in a word of his data. */
#define FILLED		24
#define FILLER		300	/* how far each of them has come */
#define DISPLACED	299	/* where the job puts something that takes a slot from another one */

struct crowd {
	struct rig *rig;
	uint32_t group[16], count;
	uint32_t displaced;	/* syncobj */
};

static inline void crowd_open(struct __test_metadata *_metadata, struct crowd *crowd, struct rig *rig)
{
	struct drm_panthor_csif_info csif;

	ASSERT_EQ(0, gpu_csif(&rig->gpu, &csif));
	ASSERT_GE(16, csif.csg_slot_count);
	crowd->rig = rig;
	crowd->count = csif.csg_slot_count - 2;
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &crowd->displaced));
	for (uint32_t i = 0; i < crowd->count; i++)
		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &crowd->group[i]));
}

/* All of them are in slots. */
static inline void crowd_begin(struct __test_metadata *_metadata, struct crowd *crowd)
{
	struct rig *rig = crowd->rig;

	rig->data.u32[FILLED] = 0;
	for (uint32_t i = 0; i < crowd->count; i++) {
		struct cs cs = rig_stream(rig, 8 + i);

		cs_put32(&cs, rig->data.va + 4 * (FILLER + i), 1);
		compute_while_zero(&cs, rig->data.va + 4 * FILLED);
		cs_put32(&cs, rig->data.va + 4 * (FILLER + i), 2);
		ASSERT_EQ(0, group_run(&rig->gpu, crowd->group[i], 0, rig_stream_va(rig, &cs), cs_bytes(&cs), 0));
	}
	for (uint32_t i = 0; i < crowd->count; i++)
		ASSERT_EQ(0, rig_wait_word(rig, FILLER + i, 1));
}

/* A realtime job, for which somebody of low priority has to leave a slot, comes and goes. */
static inline void crowd_displace(struct __test_metadata *_metadata, struct crowd *crowd)
{
	struct rig *rig = crowd->rig;
	struct cs cs = rig_stream(rig, 7);
	uint32_t urgent;

	ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_REALTIME, &urgent));
	cs_put32(&cs, rig->data.va + 4 * DISPLACED, 1);
	ASSERT_EQ(0, group_run(&rig->gpu, urgent, 0, rig_stream_va(rig, &cs), cs_bytes(&cs), crowd->displaced));
	EXPECT_EQ(0, sync_wait(&rig->gpu, crowd->displaced, 0, PATIENCE));
	EXPECT_EQ(1, sync_status(&rig->gpu, crowd->displaced));
	ASSERT_EQ(0, group_destroy(&rig->gpu, urgent));
}

static inline void crowd_end(struct __test_metadata *_metadata, struct crowd *crowd)
{
	crowd->rig->data.u32[FILLED] = 1;
	for (uint32_t i = 0; i < crowd->count; i++)
		ASSERT_EQ(0, rig_wait_word(crowd->rig, FILLER + i, 2));
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
