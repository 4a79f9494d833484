/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * More groups than there are slots, each in the middle of a job, and what has become of them after the
 * hardware has let them down. Needs root, and the modelled hardware.
 */
#ifndef SELFTEST_CROWD_H
#define SELFTEST_CROWD_H

#include <unistd.h>

#include "hwmodel.h"
#include "suite.h"

#define INNOCENT	(DRM_PANTHOR_GROUP_STATE_TIMEDOUT | DRM_PANTHOR_GROUP_STATE_INNOCENT)
#define CROWD		20	/* groups; more than there are slots, and then some */
#define MARK(i)		(16 * ((i) + 1))	/* where a group's results are, in words */

struct crowd {
	struct rig rig;		/* with a group that nobody has used yet */
	struct hwmodel_counters before;
	uint32_t slots;
	uint32_t group[CROWD], sync[CROWD];
	bool present;
};

static inline void crowd_open(struct __test_metadata *_metadata, struct crowd *crowd)
{
	struct drm_panthor_csif_info csif;

	crowd->present = false;
	ASSERT_EQ(0, rig_open(&crowd->rig, 2));
	crowd->present = true;
	ASSERT_EQ(0, gpu_csif(&crowd->rig.gpu, &csif));
	crowd->slots = csif.csg_slot_count;
	ASSERT_GE(CROWD, crowd->slots + 4);
	ASSERT_EQ(0, hwmodel_read(&crowd->before));
}

/* A job with a result of its own: 1, or a negative errno. */
static inline int put(struct rig *rig, uint32_t group, uint32_t value)
{
	struct cs cs = rig_stream(rig, 30);
	int ret;

	cs_put32(&cs, rig->data.va + 4, value);
	ret = group_run(&rig->gpu, group, 0, rig_stream_va(rig, &cs), cs_bytes(&cs), rig->sync);
	ret = ret ? ret : rig_wait(rig);
	if (ret == 1 && rig->data.u32[1] != value)
		ret = -EIO;
	return ret;
}

/* The same in a group that is made for it, for at most some seconds: a lost device comes back. */
static inline int put_anew(struct rig *rig, uint32_t value)
{
	int64_t end = now_ns() + PATIENCE;
	uint32_t group;
	int ret;

	while ((ret = group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &group))) {
		if (now_ns() > end)
			return ret;
		sleep_ms(10);
	}
	ret = put(rig, group, value);
	group_destroy(&rig->gpu, group);
	return ret;
}

/* Whatever has happened, the device works. */
static inline void crowd_close(struct __test_metadata *_metadata, struct crowd *crowd)
{
	bool control;

	if (!crowd->present)
		return;
	control = gpu_is_c_driver(&crowd->rig.gpu);
	hwmodel_inject("clear");
	EXPECT_EQ(1, put_anew(&crowd->rig, 4321));
	rig_close(&crowd->rig);
	/* The C driver may ring the firmware while it resets the GPU. The suites look at its other records. */
	if (!control)
		EXPECT_EQ(0, hwmodel_records());
}

static inline uint64_t since(const struct hwmodel_counters *before, const char *name)
{
	struct hwmodel_counters after;

	hwmodel_read(&after);
	return hwmodel_get(&after, name) - hwmodel_get(before, name);
}

static inline int wait_count(const struct hwmodel_counters *before, const char *name, uint64_t count)
{
	int64_t end = now_ns() + PATIENCE;

	while (since(before, name) < count) {
		if (now_ns() > end)
			return -ETIME;
		sleep_ms(1);
	}
	return 0;
}

/* Wait until so many resets have begun. */
static inline int wait_resets(const struct hwmodel_counters *before, uint64_t count)
{
	return wait_count(before, "soft_reset", count);
}

/* A job for group @i of the crowd that says that it runs, and ends when word 0 of the data is set. */
static inline int hold(struct rig *rig, uint32_t group, uint32_t i, uint32_t sync)
{
	struct cs cs = cs_at((char *)rig->code.map + i * 1024, 1024);
	uint64_t mark = rig->data.va + 4 * MARK(i);

	cs_move32(&cs, 20, 4000 + i);
	cs_put32(&cs, mark, 1);
	cs_spin_while_zero(&cs, rig->data.va);
	cs_add32(&cs, 20, 20, 711);
	cs_move48(&cs, 10, mark);
	cs_store32(&cs, 20, 10, 4);
	return group_run(&rig->gpu, group, 0, rig_stream_va(rig, &cs), cs_bytes(&cs), sync);
}

/* So many groups, each in the middle of a job. Those that find no slot have been in one before. */
static inline void assemble(struct __test_metadata *_metadata, struct crowd *crowd, uint32_t count)
{
	struct rig *rig = &crowd->rig;

	for (uint32_t i = 0; i < count; i++) {
		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &crowd->group[i]));
		ASSERT_EQ(0, sync_create(&rig->gpu, false, &crowd->sync[i]));
	}
	for (uint32_t i = 0; i < count; i++)
		ASSERT_EQ(0, hold(rig, crowd->group[i], i, crowd->sync[i]));
	for (uint32_t i = 0; i < count; i++)
		ASSERT_EQ(0, rig_wait_word(rig, MARK(i), 1));
	ASSERT_EQ(0, hwmodel_read(&crowd->before));
}

static inline uint32_t state_of(struct crowd *crowd, uint32_t i)
{
	uint32_t state = ~0u, fatal;

	group_state(&crowd->rig.gpu, crowd->group[i], &state, &fatal);
	return state;
}

/* Until one of them has ended, and a reset has begun. */
static inline int wait_loss(struct crowd *crowd, uint32_t count)
{
	int64_t end = now_ns() + PATIENCE;

	while (now_ns() < end) {
		for (uint32_t i = 0; i < count; i++) {
			if (state_of(crowd, i))
				return wait_resets(&crowd->before, 1);
		}
		sleep_ms(1);
	}
	return -ETIME;
}

/*
 * Lets those go on that still can. Those in good order come to the right end, and do something new as
 * well; all others have an error. Returns how many there are that have ended without being to blame.
 */
static inline uint32_t dismiss(struct __test_metadata *_metadata, struct crowd *crowd, uint32_t count)
{
	struct rig *rig = &crowd->rig;
	uint32_t innocent = 0;

	rig->data.u32[0] = 1;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t state;

		EXPECT_EQ(0, sync_wait(&rig->gpu, crowd->sync[i], 0, PATIENCE));
		state = state_of(crowd, i);
		innocent += state == INNOCENT;
		if (state) {
			EXPECT_GT(0, sync_status(&rig->gpu, crowd->sync[i]));
			EXPECT_EQ(0, rig->data.u32[MARK(i) + 1]);
			EXPECT_EQ(-EINVAL, put(rig, crowd->group[i], 1));
		} else {
			EXPECT_EQ(1, sync_status(&rig->gpu, crowd->sync[i]));
			EXPECT_EQ(4711 + i, rig->data.u32[MARK(i) + 1]);
			EXPECT_EQ(1, put(rig, crowd->group[i], 100 + i));
		}
	}
	return innocent;
}

#endif
