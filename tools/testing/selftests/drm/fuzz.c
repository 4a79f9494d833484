// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Nonsense, the same in every run (or that of DRM_TEST_SEED): calls with arguments that are almost
 * right, and streams of random words. Every call ends with a documented result, and whatever came
 * before, the device works for the next file.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "suite.h"

#define CALLS		6000
#define STREAMS		60
#define LIMIT		900	/* seconds */

static uint64_t seed;

/* xorshift64: good enough, and the same everywhere. */
static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint32_t below(uint32_t limit)
{
	return (any() >> 16) % limit;
}

static bool one_in(uint32_t n)
{
	return !below(n);
}

/* A handle that is likely to exist. */
static uint32_t handle(void)
{
	static const uint32_t odd[] = { 0, 0x7fffff01, UINT32_MAX, 1 << 16, 0x80000001 };

	return one_in(8) ? odd[below(ARRAY_SIZE(odd))] : 1 + below(6);
}

static uint64_t address(void)
{
	static const uint64_t odd[] = {
		0, 1, PAGE - 1, 1ull << 47, (1ull << 48) - PAGE, 1ull << 63, 0ull - PAGE,
		UINT64_MAX,
	};

	return one_in(6) ? odd[below(ARRAY_SIZE(odd))] : (uint64_t)below(64) << 16;
}

static uint64_t length(void)
{
	static const uint64_t odd[] = { 0, 1, 0x600, 1ull << 62, UINT64_MAX, 0ull - PAGE };

	return one_in(6) ? odd[below(ARRAY_SIZE(odd))] : (uint64_t)(1 + below(1024)) * PAGE;
}

/* Zero, now and then with a bit in it. */
static uint32_t mostly_zero(void)
{
	return one_in(10) ? 1u << below(32) : 0;
}

static struct drm_panthor_obj_array array(void *elements, uint32_t count, uint32_t stride)
{
	struct drm_panthor_obj_array args = {
		.stride = stride,
		.count = one_in(20) ? 0 : count,
		.array = (uintptr_t)elements,
	};

	if (one_in(12))
		args.stride = below(2 * stride);
	if (one_in(20))
		args.array = address();
	return args;
}

FIXTURE(fuzz)
{
	struct rig rig;
	struct drm_panthor_sync_op syncs[4];
	bool tame;		/* leave out what the C driver does not survive */
};

FIXTURE_SETUP(fuzz)
{
	const char *wanted = getenv("DRM_TEST_SEED");

	seed = wanted ? strtoull(wanted, NULL, 0) : 88172645463325252ull;
	ASSERT_NE(0, seed);
	ASSERT_EQ(0, rig_open(&self->rig, 4));
	/*
	 * Known defects: a signal to an unknown syncobj is a NULL dereference, and a wait for what
	 * only a later job of the call signals is a kernel warning.
	 */
	self->tame = gpu_is_c_driver(&self->rig.gpu);
}

FIXTURE_TEARDOWN(fuzz)
{
	struct rig rig;
	struct cs cs;

	rig_abandon(&self->rig);
	ASSERT_EQ(0, rig_open(&rig, 1));
	cs = rig_stream(&rig, 0);
	cs_put32(&cs, rig.data.va, 1357);
	EXPECT_EQ(1, rig_run(&rig, 0, &cs));
	EXPECT_EQ(1357, rig.data.u32[0]);
	rig_close(&rig);
}

static struct drm_panthor_obj_array syncs(FIXTURE_DATA(fuzz) *self)
{
	uint32_t count = below(3);

	for (uint32_t i = 0; i < count; i++) {
		bool timeline = one_in(2);

		self->syncs[i] = (struct drm_panthor_sync_op){
			.flags = timeline | mostly_zero(),
			.handle = self->tame ? self->rig.sync : handle(),
			.timeline_value = timeline ? below(5) : 0,
		};
		if (self->tame || one_in(2))
			self->syncs[i].flags |= DRM_PANTHOR_SYNC_OP_SIGNAL;
	}
	return array(self->syncs, count, sizeof(self->syncs[0]));
}

static int bind(FIXTURE_DATA(fuzz) *self)
{
	struct drm_panthor_vm_bind_op ops[8];
	struct drm_panthor_vm_bind args = {
		.vm_id = handle(),
		.flags = one_in(3) ? DRM_PANTHOR_VM_BIND_ASYNC | mostly_zero() : 0,
	};
	uint32_t count = 1 + below(ARRAY_SIZE(ops));

	for (uint32_t i = 0; i < count; i++) {
		bool map = below(3);

		ops[i] = (struct drm_panthor_vm_bind_op){
			.flags = (map ? below(16) : below(3) << 28) | mostly_zero(),
			.bo_handle = map || one_in(10) ? handle() : 0,
			.bo_offset = map && one_in(3) ? below(8) * PAGE : 0,
			.va = address(),
			.size = length(),
		};
		if (args.flags)
			ops[i].syncs = syncs(self);
	}
	args.ops = array(ops, count, sizeof(ops[0]));
	return gpu_ioctl(self->rig.gpu.fd, DRM_IOCTL_PANTHOR_VM_BIND, &args);
}

static int create_bo(FIXTURE_DATA(fuzz) *self)
{
	struct drm_panthor_bo_create args = {
		.size = length(),
		.flags = below(4) & mostly_zero(),
		.exclusive_vm_id = one_in(4) ? handle() : 0,
		.pad = mostly_zero(),
	};

	return gpu_ioctl(self->rig.gpu.fd, DRM_IOCTL_PANTHOR_BO_CREATE, &args);
}

static int create_group(FIXTURE_DATA(fuzz) *self)
{
	struct drm_panthor_queue_create queues[8];
	struct drm_panthor_group_create args;
	uint32_t count = 1 + below(ARRAY_SIZE(queues));

	for (uint32_t i = 0; i < count; i++) {
		queues[i] = (struct drm_panthor_queue_create){
			.priority = below(17),
			.ringbuf_size = PAGE << below(6),
			.pad = { mostly_zero() },
		};
	}
	args = group_args(&self->rig.gpu, handle(), queues, count, below(5));
	args.queues = array(queues, count, sizeof(queues[0]));
	args.compute_core_mask ^= mostly_zero();
	args.pad = mostly_zero();
	return gpu_ioctl(self->rig.gpu.fd, DRM_IOCTL_PANTHOR_GROUP_CREATE, &args);
}

static int submit(FIXTURE_DATA(fuzz) *self)
{
	struct drm_panthor_queue_submit jobs[4];
	struct drm_panthor_group_submit args = { .group_handle = handle(), .pad = mostly_zero() };
	uint32_t count = 1 + below(ARRAY_SIZE(jobs));

	for (uint32_t i = 0; i < count; i++) {
		bool empty = one_in(3);

		jobs[i] = (struct drm_panthor_queue_submit){
			.queue_index = one_in(10) ? below(64) : below(2),
			.stream_size = empty ? 0 : 8 * (1 + below(16)),
			.stream_addr = empty ? 0 : self->rig.code.va + 64 * below(8),
			.latest_flush = mostly_zero(),
			.pad = mostly_zero(),
			.syncs = syncs(self),
		};
	}
	args.queue_submits = array(jobs, count, sizeof(jobs[0]));
	return gpu_ioctl(self->rig.gpu.fd, DRM_IOCTL_PANTHOR_GROUP_SUBMIT, &args);
}

static int small_call(FIXTURE_DATA(fuzz) *self)
{
	struct drm_panthor_vm_create vm = {
		.flags = mostly_zero(),
		.user_va_range = one_in(2) ? 0 : address() << below(16),
	};
	struct drm_panthor_group_get_state state = { .group_handle = handle() };
	struct drm_panthor_bo_mmap_offset offset = { .handle = handle(), .pad = mostly_zero() };
	uint8_t buffer[256];
	uint32_t vm_id, bits;
	int fd = self->rig.gpu.fd;

	switch (below(8)) {
	case 0:
		return gpu_ioctl(fd, DRM_IOCTL_PANTHOR_VM_CREATE, &vm);
	case 1:
		vm_id = handle();
		return vm_destroy(&self->rig.gpu, vm_id);
	case 2:
		return vm_state(&self->rig.gpu, handle(), &bits);
	case 3:
		return group_destroy(&self->rig.gpu, handle());
	case 4:
		return gpu_ioctl(fd, DRM_IOCTL_PANTHOR_GROUP_GET_STATE, &state);
	case 5:
		return gpu_ioctl(fd, DRM_IOCTL_PANTHOR_BO_MMAP_OFFSET, &offset);
	case 6:
		return gem_close(&self->rig.gpu, 3 + below(4));
	default:
		memset(buffer, 0, sizeof(buffer));
		return gpu_query(&self->rig.gpu, below(7), buffer, below(sizeof(buffer)));
	}
}

TEST_F_TIMEOUT(fuzz, calls_that_are_almost_right, LIMIT)
{
	static const int documented[] = {
		0, -EINVAL, -ENOENT, -EFAULT, -E2BIG, -ENOMEM, -EBUSY, -EPERM, -EACCES, -ENOSPC,
		-EOPNOTSUPP,
	};
	static int (*const calls[])(FIXTURE_DATA(fuzz) *self) = {
		bind, bind, create_bo, create_group, submit, submit, small_call, small_call,
	};
	unsigned int succeeded = 0;

	/* The streams are zero, which is a no-operation: the jobs that do get through end. */
	for (int i = 0; i < CALLS; i++) {
		int ret = calls[below(ARRAY_SIZE(calls))](self);
		bool known = false;

		for (size_t e = 0; e < ARRAY_SIZE(documented); e++)
			known |= ret == documented[e];
		ASSERT_TRUE(known) {
			TH_LOG("call %d: %s", i, strerror(-ret));
		}
		succeeded += !ret;
	}
	/* Otherwise it has only knocked at the door. */
	EXPECT_LT(CALLS / 10, succeeded);
}

/* A word with an opcode that exists, and sometimes with operands that make sense. */
static uint64_t random_instruction(void)
{
	static const uint8_t opcodes[] = {
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 16, 17, 18, 20, 21, 22, 23, 24, 25, 32, 33, 34,
		36, 37, 38, 40, 41, 42, 43, 44, 47, 48, 49, 50, 51, 52,
	};
	uint64_t word = any();

	if (one_in(10))
		return word;
	word = word & 0x00ffffffffffffffull & (any() | any());
	return word | (uint64_t)opcodes[below(ARRAY_SIZE(opcodes))] << 56;
}

TEST_F_TIMEOUT(fuzz, streams_of_random_words_hurt_nobody_but_their_group, LIMIT)
{
	struct rig *rig = &self->rig, healthy;
	struct cs cs;

	ASSERT_EQ(0, rig_open(&healthy, 1));
	for (uint32_t i = 0; i < STREAMS; i++) {
		cs = rig_stream(rig, 0);
		/* What is loaded, stored and called may also be there. */
		for (uint8_t reg = 0; reg < 64; reg += 2)
			cs_move48(&cs, reg, one_in(2) ? rig->data.va + 64 * below(1024) :
							rig->code.va + 64 * below(16));
		while (cs.len < 96)
			cs_raw(&cs, random_instruction());
		if (!rig_submit(rig, below(4), &cs)) {
			/* Some wait for what never comes. */
			sync_wait(&rig->gpu, rig->sync, 0, SECOND / 20);
		}
		group_destroy(&rig->gpu, rig->group);
		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 4, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &rig->group));
		cs = rig_stream(&healthy, 0);
		cs_put32(&cs, healthy.data.va, i);
		ASSERT_EQ(1, rig_run(&healthy, 0, &cs));
		ASSERT_EQ(i, healthy.data.u32[0]);
	}
	rig_close(&healthy);
}

TEST_F(fuzz, mappings_at_random_offsets_are_refused)
{
	uint64_t mine;

	ASSERT_EQ(0, bo_mmap_offset(&self->rig.gpu, self->rig.data.handle, &mine));
	for (int i = 0; i < 2000; i++) {
		uint64_t offset = any() >> below(64) & ~(PAGE - 1);
		void *map = mmap(NULL, PAGE << below(3), PROT_READ,
				 one_in(8) ? MAP_PRIVATE : MAP_SHARED, self->rig.gpu.fd, offset);

		if (map != MAP_FAILED)
			EXPECT_EQ(DRM_PANTHOR_USER_FLUSH_ID_MMIO_OFFSET, offset);
	}
}

TEST_HARNESS_MAIN
