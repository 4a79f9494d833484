// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What the entries of a submission wait for and signal. The hardware of the two queues finishes jobs
 * when it is told to, so each step shows which jobs were let run by it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <drm.h>

#include "drm_selftest_user.h"

struct submit { uint64_t entries; uint32_t count, stride; };
struct finish { uint32_t queue, count; };
struct ran { uint32_t count, names[256]; };
struct entry { uint32_t queue, name; uint64_t syncs; uint32_t count, pad; };
struct op { uint32_t flags, handle; uint64_t point; };

#define SUBMIT		DRM_IOW(DRM_COMMAND_BASE + 15, struct submit)
#define FINISH		DRM_IOW(DRM_COMMAND_BASE + 16, struct finish)
#define RAN		DRM_IOWR(DRM_COMMAND_BASE + 17, struct ran)

#define SIGNAL		2
#define WAIT(h)		{ .handle = (h) }
#define WAIT_AT(h, p)	{ .flags = 1, .handle = (h), .point = (p) }
#define PUT(h)		{ .flags = SIGNAL, .handle = (h) }
#define PUT_AT(h, p)	{ .flags = SIGNAL | 1, .handle = (h), .point = (p) }
#define OPS(...)	.syncs = (uintptr_t)(struct op[]){ __VA_ARGS__ },		\
			.count = sizeof((struct op[]){ __VA_ARGS__ }) / sizeof(struct op)

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* How often something that a worker does is looked at, with a millisecond in between. */
#define LOOKS 5000

static int submit(int fd, struct entry *entries, uint32_t count)
{
	struct submit s = {
		.entries = (uintptr_t)entries, .count = count, .stride = sizeof(*entries),
	};

	return call(fd, SUBMIT, &s);
}

#define SUBMITS(fd, ...) ({							\
	struct entry e[] = { __VA_ARGS__ };					\
	submit(fd, e, ARRAY_SIZE(e));						\
})

/* Whether exactly these jobs have run since the last time, in any order, and no other. */
static int ran(int fd, uint32_t count, const uint32_t *names)
{
	uint32_t left = count;
	uint8_t seen[256] = { 0 };

	for (int i = 0; i < LOOKS; i++) {
		struct ran r = { 0 };

		if (call(fd, RAN, &r) || r.count > left)
			return 0;
		for (uint32_t j = 0; j < r.count; j++) {
			uint32_t k;

			for (k = 0; k < count && (names[k] != r.names[j] || seen[k]); k++)
				;
			if (k == count)
				return 0;
			seen[k] = 1;
			left--;
		}
		/* What must not run gets a chance to, if it wants to. */
		if (!left)
			return usleep(1000) || call(fd, RAN, &r) || !r.count;
		usleep(1000);
	}
	return 0;
}

#define RAN_JUST(fd, ...) ({							\
	const uint32_t n[] = { __VA_ARGS__ };					\
	ran(fd, ARRAY_SIZE(n), n);						\
})
#define RAN_NONE(fd) ran(fd, 0, NULL)

/* Finishes @count jobs of a queue; returns how many there were to finish. */
static int finish(int fd, uint32_t queue, uint32_t count)
{
	return call(fd, FINISH, &(struct finish){ queue, count });
}

static uint32_t syncobj(int fd, uint32_t flags)
{
	struct drm_syncobj_create c = { .flags = flags };

	return call(fd, DRM_IOCTL_SYNCOBJ_CREATE, &c) ? 0 : c.handle;
}

/* 0 if the point has signalled, -ETIME if not, -EINVAL if there is none. */
static int state(int fd, uint32_t handle, uint64_t point)
{
	struct drm_syncobj_timeline_wait w = {
		.handles = (uintptr_t)&handle, .points = (uintptr_t)&point, .count_handles = 1,
	};

	return call(fd, DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &w);
}

/* The last point that has signalled. */
static uint64_t reached(int fd, uint32_t handle)
{
	uint64_t value = ~0ULL;
	struct drm_syncobj_timeline_array q = {
		.handles = (uintptr_t)&handle, .points = (uintptr_t)&value, .count_handles = 1,
	};

	return call(fd, DRM_IOCTL_SYNCOBJ_QUERY, &q) ? ~0ULL : value;
}

static void test_waits(int fd)
{
	uint32_t done = syncobj(fd, DRM_SYNCOBJ_CREATE_SIGNALED), a = syncobj(fd, 0);
	uint32_t b = syncobj(fd, 0), empty = syncobj(fd, 0), t = syncobj(fd, 0);

	/* What has signalled holds nothing up; what has not does. */
	OK(!SUBMITS(fd, { 0, 1, OPS(WAIT(done), PUT(a)) }) && RAN_JUST(fd, 1));
	OK(state(fd, a, 0) == -ETIME);
	OK(!SUBMITS(fd, { 1, 2, OPS(WAIT(a)) }) && RAN_NONE(fd));
	OK(finish(fd, 0, 1) == 1 && state(fd, a, 0) == 0 && RAN_JUST(fd, 2));
	OK(finish(fd, 1, 1) == 1);

	/* An entry waits for what the ones before it signal, whatever the object holds. */
	OK(!SUBMITS(fd, { 0, 1, OPS(PUT(a)) }, { 1, 2, OPS(WAIT(a), PUT(b)) }, { 0, 3, OPS(WAIT(b)) }));
	OK(RAN_JUST(fd, 1) && finish(fd, 0, 9) == 1 && RAN_JUST(fd, 2));
	OK(finish(fd, 1, 9) == 1 && RAN_JUST(fd, 3) && finish(fd, 0, 9) == 1);

	/* Not for what a later one signals: here both get what is there. */
	OK(!SUBMITS(fd, { 0, 1, OPS(WAIT(a)) }, { 1, 2, OPS(PUT(a)) }) && RAN_JUST(fd, 1, 2));
	OK(finish(fd, 0, 9) == 1 && state(fd, a, 0) == -ETIME && finish(fd, 1, 9) == 1);
	OK(SUBMITS(fd, { 0, 1, OPS(WAIT(empty)) }, { 1, 2, OPS(PUT(empty)) }) == -EINVAL);
	OK(RAN_NONE(fd) && state(fd, empty, 0) == -EINVAL);

	/* The same object in one entry: it waits for the fence before, whichever operation is first. */
	OK(!SUBMITS(fd, { 0, 1, OPS(PUT(a)) }, { 1, 2, OPS(PUT(a), WAIT(a)) }) && RAN_JUST(fd, 1));
	OK(finish(fd, 0, 9) == 1 && RAN_JUST(fd, 2) && state(fd, a, 0) == -ETIME);
	OK(finish(fd, 1, 9) == 1 && state(fd, a, 0) == 0);
	OK(SUBMITS(fd, { 0, 1, OPS(PUT(empty), WAIT(empty)) }) == -EINVAL);
	OK(state(fd, empty, 0) == -EINVAL);

	/* Of several signals the last one before counts for a wait, and the last of all in the end. */
	OK(!SUBMITS(fd, { 0, 1, OPS(PUT(a)) }, { 0, 2, OPS(PUT(a)) }, { 1, 3, OPS(WAIT(a)) },
		    { 0, 4, OPS(PUT(a)) }));
	OK(RAN_JUST(fd, 1, 2, 4) && finish(fd, 0, 1) == 1 && RAN_NONE(fd));
	OK(finish(fd, 0, 1) == 1 && RAN_JUST(fd, 3) && state(fd, a, 0) == -ETIME);
	OK(finish(fd, 0, 1) == 1 && state(fd, a, 0) == 0 && finish(fd, 1, 9) == 1);

	/* Only the very same point counts within a submission. */
	OK(SUBMITS(fd, { 0, 1, OPS(PUT_AT(t, 5)) }, { 1, 2, OPS(WAIT_AT(t, 4)) }) == -EINVAL);
	OK(!SUBMITS(fd, { 0, 1, OPS(PUT_AT(t, 5)) }, { 1, 2, OPS(WAIT_AT(t, 5)) }) && RAN_JUST(fd, 1));
	OK(finish(fd, 0, 9) == 1 && RAN_JUST(fd, 2) && reached(fd, t) == 5 && finish(fd, 1, 9) == 1);
	/* Between submissions an earlier one is reached together with it. */
	OK(!SUBMITS(fd, { 0, 1, OPS(WAIT_AT(t, 4)) }) && RAN_JUST(fd, 1) && finish(fd, 0, 9) == 1);

	/* Point zero is the object. */
	OK(!SUBMITS(fd, { 0, 1, OPS(PUT_AT(b, 0)) }, { 1, 2, OPS(WAIT(b)) }) && RAN_JUST(fd, 1));
	OK(finish(fd, 0, 9) == 1 && RAN_JUST(fd, 2) && finish(fd, 1, 9) == 1);
}

static void test_signals(int fd)
{
	uint32_t a = syncobj(fd, 0), t = syncobj(fd, 0), u = syncobj(fd, 0);

	/* Two timelines and a binary object. */
	OK(!SUBMITS(fd, { 0, 1, OPS(PUT_AT(t, 1), PUT_AT(u, 10)) }, { 1, 2, OPS(PUT_AT(u, 20), PUT(a)) },
		    { 0, 3, OPS(PUT_AT(t, 2)) }) && RAN_JUST(fd, 1, 2, 3));
	OK(reached(fd, t) == 0 && reached(fd, u) == 0 && state(fd, a, 0) == -ETIME);
	OK(state(fd, t, 2) == -ETIME && state(fd, t, 3) == -EINVAL);
	/* Point 20 is done first, but the timeline has not got there. */
	OK(finish(fd, 1, 9) == 1 && state(fd, a, 0) == 0 && reached(fd, u) == 0);
	OK(finish(fd, 0, 1) == 1 && reached(fd, t) == 1 && reached(fd, u) == 20);
	OK(finish(fd, 0, 1) == 1 && reached(fd, t) == 2);

	/* An object as a timeline, and then as a binary one: in the order of the submission. */
	OK(!SUBMITS(fd, { 0, 1, OPS(PUT_AT(t, 7)) }, { 1, 2, OPS(PUT(t)) }) && RAN_JUST(fd, 1, 2));
	OK(finish(fd, 1, 9) == 1 && state(fd, t, 0) == 0 && finish(fd, 0, 9) == 1);
	OK(!SUBMITS(fd, { 0, 1, OPS(PUT(a)) }, { 1, 2, OPS(PUT_AT(a, 7)) }, { 0, 3, OPS(PUT(a)) }));
	OK(RAN_JUST(fd, 1, 2, 3) && finish(fd, 0, 9) == 2 && reached(fd, a) != 7);
	OK(state(fd, a, 7) == -ETIME && finish(fd, 1, 9) == 1 && reached(fd, a) == 7);
}

static void test_refusals(int fd)
{
	uint32_t a = syncobj(fd, 0), t = syncobj(fd, 0), done = syncobj(fd, DRM_SYNCOBJ_CREATE_SIGNALED);
	struct op ops[2] = { PUT(a), PUT(a) };

	/* Wherever it is wrong, nothing was signalled and nothing is run. */
	OK(SUBMITS(fd, { 0, 1, OPS(PUT(a), PUT_AT(t, 1)) }, { 1, 2, OPS(PUT(999)) }) == -EINVAL);
	OK(SUBMITS(fd, { 0, 1, OPS(PUT(a), PUT_AT(t, 1)) }, { 1, 2, OPS(PUT_AT(999, 3)) }) == -EINVAL);
	OK(SUBMITS(fd, { 0, 1, OPS(PUT(a), PUT_AT(t, 1)) }, { 1, 2, OPS(WAIT(999)) }) == -ENOENT);
	/* The signals of all are looked up before the waits of any. */
	OK(SUBMITS(fd, { 0, 1, OPS(PUT(a), WAIT(999)) }, { 1, 2, OPS(PUT(998)) }) == -EINVAL);
	OK(SUBMITS(fd, { 0, 1, OPS(PUT(a), PUT_AT(t, 1)) }, { .queue = 2 }) == -EINVAL);
	ops[1].flags = 4;
	OK(SUBMITS(fd, { 0, 1, OPS(PUT(a)) }, { 1, 2, .syncs = (uintptr_t)ops, .count = 2 }) == -EINVAL);
	OK(SUBMITS(fd, { 0, 1, OPS(PUT(a)) }, { 1, 2, .syncs = 4096, .count = 1 }) == -EFAULT);
	OK(SUBMITS(fd, { 0, 1, OPS(PUT(a)) }, { 1, 2, .syncs = 4096, .count = ~0U }) == -ENOMEM);
	OK(RAN_NONE(fd) && state(fd, a, 0) == -EINVAL && state(fd, t, 1) == -EINVAL);
	OK(finish(fd, 0, 9) == 0 && finish(fd, 1, 9) == 0);
	/* An empty one is none. */
	OK(!submit(fd, NULL, 0) && RAN_NONE(fd));
	OK(!SUBMITS(fd, { 0, 1, OPS(WAIT(done), PUT(a)) }) && RAN_JUST(fd, 1));
	OK(finish(fd, 0, 1) == 1 && state(fd, a, 0) == 0);
}

/* More operations than a list that is searched from its beginning could take. */
static void test_many(int fd)
{
	enum { OBJECTS = 64, POINTS = 256, COUNT = OBJECTS * POINTS };
	struct op *put = calloc(COUNT, sizeof(*put)), *wait = calloc(COUNT, sizeof(*wait));
	uint32_t handle[OBJECTS];
	int good = 1;

	for (int i = 0; i < OBJECTS; i++)
		handle[i] = syncobj(fd, 0);
	for (int i = 0; i < COUNT; i++) {
		put[i] = (struct op)PUT_AT(handle[i % OBJECTS], i / OBJECTS + 1);
		wait[i] = (struct op)WAIT_AT(handle[i % OBJECTS], POINTS - i / OBJECTS);
	}
	struct entry e[] = {
		{ .queue = 0, .name = 1, .syncs = (uintptr_t)put, .count = COUNT },
		{ .queue = 1, .name = 2, .syncs = (uintptr_t)wait, .count = COUNT },
	};

	OK(!submit(fd, e, 2) && RAN_JUST(fd, 1));
	for (int i = 0; i < OBJECTS; i++)
		good &= reached(fd, handle[i]) == 0 && state(fd, handle[i], POINTS) == -ETIME;
	OK(good && finish(fd, 0, 9) == 1 && RAN_JUST(fd, 2) && finish(fd, 1, 9) == 1);
	for (int i = 0; i < OBJECTS; i++)
		good &= reached(fd, handle[i]) == POINTS;
	OK(good);
	/* The same again, with one of the waits for a point that does not exist. */
	wait[COUNT / 2].point = POINTS + 1;
	OK(submit(fd, e, 2) == -EINVAL && RAN_NONE(fd));
	free(put);
	free(wait);
}

/* Random submissions, against a model that looks at every earlier operation. */
static void test_random(int fd)
{
	enum { ENTRIES = 60, OPS_EACH = 6, HANDLES = 6, ROUNDS = 40 };
	uint32_t random = 7, handle[HANDLES];
	int bad = 0;

	for (int i = 0; i < HANDLES; i++)
		handle[i] = syncobj(fd, DRM_SYNCOBJ_CREATE_SIGNALED);
	for (int round = 0; round < ROUNDS && !bad; round++) {
		struct op ops[ENTRIES][OPS_EACH];
		struct entry e[ENTRIES];
		uint64_t needs[ENTRIES] = { 0 }, ready, started = 0, finished = 0;
		int last[HANDLES];

		for (int i = 0; i < HANDLES; i++)
			last[i] = -1;
		for (int i = 0; i < ENTRIES; i++) {
			e[i] = (struct entry){
				.queue = (random >> 20) & 1, .name = i,
				.syncs = (uintptr_t)ops[i], .count = OPS_EACH,
			};
			for (int j = 0; j < OPS_EACH; j++) {
				random = random * 1103515245 + 12345;
				ops[i][j] = (struct op){
					.flags = (random >> 13) % 3 ? 0 : SIGNAL,
					.handle = handle[(random >> 16) % HANDLES],
				};
			}
			for (int j = 0; j < OPS_EACH; j++)
				for (int h = 0; h < HANDLES; h++)
					if (!ops[i][j].flags && ops[i][j].handle == handle[h] && last[h] >= 0)
						needs[i] |= 1ULL << last[h];
			for (int j = 0; j < OPS_EACH; j++)
				for (int h = 0; h < HANDLES; h++)
					if (ops[i][j].flags && ops[i][j].handle == handle[h])
						last[h] = i;
		}
		bad |= submit(fd, e, ENTRIES);
		while (!bad && finished != (1ULL << ENTRIES) - 1) {
			uint32_t names[ENTRIES], count = 0, queue;

			/* A queue runs its jobs in order, each when what it needs has finished. */
			for (queue = 0; queue < 2; queue++) {
				for (int i = 0; i < ENTRIES; i++) {
					if (e[i].queue != queue || started >> i & 1)
						continue;
					if (needs[i] & ~finished)
						break;
					started |= 1ULL << i;
					names[count++] = i;
				}
			}
			bad |= !ran(fd, count, names);
			/* The oldest of a queue ends. */
			random = random * 1103515245 + 12345;
			queue = (random >> 16) & 1;
			ready = started & ~finished;
			for (int i = 0; i < ENTRIES; i++) {
				if (e[i].queue == queue && ready >> i & 1) {
					finished |= 1ULL << i;
					bad |= finish(fd, queue, 1) != 1;
					break;
				}
			}
			for (int h = 0; h < HANDLES; h++) {
				int done = last[h] < 0 || finished >> last[h] & 1;

				bad |= state(fd, handle[h], 0) != (done ? 0 : -ETIME);
			}
		}
	}
	ok(!bad, "random submissions run in the order that their operations say");
}

int job_make(int fd, uint32_t handle)
{
	return SUBMITS(fd, { 0, 1, OPS(PUT(handle)) });
}

void test_submit(int fd)
{
	test_waits(fd);
	test_signals(fd);
	test_refusals(fd);
	test_many(fd);
	test_random(fd);
	/* Left for close() to end. */
	OK(!SUBMITS(fd, { 0, 1, OPS(PUT(syncobj(fd, 0))) }, { 1, 2, .count = 0 }) && RAN_JUST(fd, 1, 2));
}
