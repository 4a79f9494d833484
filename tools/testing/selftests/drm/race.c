// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Threads that do to each other what no sane program does. Each test only asks that every call
 * ends with a documented result, that nobody hangs, and that the device works afterwards; the
 * kernel's own checkers (lockdep, KASAN, the log) see the rest.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "device.h"
#include "suite.h"

#define DURATION	(SECOND)	/* of each test */
#define THREADS		4

FIXTURE(race)
{
	struct rig rig;
	pthread_t thread[THREADS];
	unsigned int threads;
	bool raced;
};

static atomic_bool stop;
static atomic_uint surprises;	/* results that nobody documented */
static atomic_uint rounds;

FIXTURE_SETUP(race)
{
	atomic_store(&stop, false);
	atomic_store(&surprises, 0);
	atomic_store(&rounds, 0);
	self->threads = 0;
	self->raced = false;
	ASSERT_EQ(0, rig_open(&self->rig, 4));
}

/* On a file of its own: the rig's may be past use. */
FIXTURE_TEARDOWN(race)
{
	struct rig rig;
	struct gpu gpu;
	struct cs cs;

	rig_abandon(&self->rig);
	ASSERT_EQ(0, device_reopen(&gpu));
	ASSERT_EQ(0, rig_open_on(&rig, &gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	cs = rig_stream(&rig, 0);
	cs_put32(&cs, rig.data.va, 4321);
	EXPECT_EQ(1, rig_run(&rig, 0, &cs));
	EXPECT_EQ(4321, rig.data.u32[0]);
	rig_close(&rig);
	EXPECT_EQ(0, atomic_load(&surprises));
	if (self->raced)
		EXPECT_LT(0, atomic_load(&rounds));
}

/* What a call may say when the thing that it is about has just gone. */
static const int gone[] = { 0, -EINVAL, -ENODEV, -ENOENT, -EBUSY, -EACCES };

static void allow(const char *what, int ret)
{
	atomic_fetch_add(&rounds, 1);
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++) {
		if (ret == gone[i])
			return;
	}
	if (atomic_fetch_add(&surprises, 1) < 5)
		printf("# %s: %s\n", what, strerror(-ret));
}

static void start(struct __test_metadata *_metadata, FIXTURE_DATA(race) *self,
		  void *(*body)(void *))
{
	ASSERT_LT(self->threads, THREADS);
	ASSERT_EQ(0, pthread_create(&self->thread[self->threads], NULL, body, &self->rig));
	self->threads++;
	self->raced = true;
}

static void finish(FIXTURE_DATA(race) *self)
{
	for (int64_t end = now_ns() + DURATION; now_ns() < end;)
		sleep_ms(10);
	atomic_store(&stop, true);
	while (self->threads)
		pthread_join(self->thread[--self->threads], NULL);
}

/* Jobs on every queue of whatever has the number of the rig's group. */
static void *submitter(void *arg)
{
	struct rig *rig = arg;

	while (!atomic_load(&stop)) {
		struct drm_panthor_queue_submit jobs[4];

		for (uint32_t queue = 0; queue < 4; queue++)
			jobs[queue] = (struct drm_panthor_queue_submit){
				.queue_index = queue,
				.stream_addr = rig->code.va,
				.stream_size = 8 * CS_INSTR_BYTES,
			};
		allow("submit", group_submit(&rig->gpu, rig->group, jobs, 4));
	}
	return NULL;
}

static void *group_recreator(void *arg)
{
	struct rig *rig = arg;
	uint32_t handle;

	while (!atomic_load(&stop)) {
		allow("group destroy", group_destroy(&rig->gpu, rig->group));
		allow("group create", group_create(&rig->gpu, rig->vm, 4, 1, &handle));
	}
	return NULL;
}

static void *state_reader(void *arg)
{
	struct rig *rig = arg;
	uint32_t state, fatal;

	while (!atomic_load(&stop)) {
		allow("group state", group_state(&rig->gpu, rig->group, &state, &fatal));
		allow("vm state", vm_state(&rig->gpu, rig->vm, &state));
	}
	return NULL;
}

static void *binder(void *arg)
{
	struct rig *rig = arg;
	unsigned int seed = pthread_self();

	while (!atomic_load(&stop)) {
		uint64_t va = 0x40000000 + rand_r(&seed) % 64 * PAGE;
		uint64_t size = (1 + rand_r(&seed) % 16) * PAGE;
		int ret;

		if (rand_r(&seed) % 2)
			ret = vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, va, size,
				     DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC);
		else
			ret = vm_unmap(&rig->gpu, rig->vm, va, size);
		allow("bind", ret);
	}
	return NULL;
}

static void *vm_recreator(void *arg)
{
	struct rig *rig = arg;
	uint32_t id;

	while (!atomic_load(&stop)) {
		allow("vm destroy", vm_destroy(&rig->gpu, rig->vm));
		allow("vm create", vm_create(&rig->gpu, 0, &id));
	}
	return NULL;
}

static void *bo_recreator(void *arg)
{
	struct rig *rig = arg;
	/* A system call that can't write says so, where a store would be a bus error. */
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct bo bo;
	int ret;

	while (!atomic_load(&stop)) {
		ret = bo_create(&rig->gpu, 8 * PAGE, 0, 0, &bo);
		allow("bo create", ret);
		if (ret)
			continue;
		ret = bo_mmap(&rig->gpu, &bo);
		allow("bo mmap", ret);
		if (!ret && read(zero, bo.map, PAGE) < 0)
			allow("touch", errno == EFAULT ? -ENODEV : -errno);
		allow("bind", vm_map(&rig->gpu, rig->vm, bo.handle, 0, 0x50000000, bo.size, 0));
		allow("bo close", bo_close(&rig->gpu, &bo));
	}
	close(zero);
	return NULL;
}

/* Closes handles that it guesses. */
static void *handle_thief(void *arg)
{
	struct rig *rig = arg;
	unsigned int seed = 7;

	while (!atomic_load(&stop))
		allow("gem close", gem_close(&rig->gpu, 3 + rand_r(&seed) % 4));
	return NULL;
}

/* The first stream of the rig: eight instructions that write a word. */
static void prepare(struct rig *rig)
{
	struct cs cs = rig_stream(rig, 0);

	cs_put32(&cs, rig->data.va, 1);
	while (cs.len < 8)
		cs_nop(&cs);
}

TEST_F_TIMEOUT(race, jobs_against_the_end_of_their_group, 300)
{
	prepare(&self->rig);
	start(_metadata, self, submitter);
	start(_metadata, self, submitter);
	start(_metadata, self, group_recreator);
	start(_metadata, self, state_reader);
	finish(self);
}

TEST_F_TIMEOUT(race, jobs_against_changes_of_their_address_space, 300)
{
	prepare(&self->rig);
	start(_metadata, self, submitter);
	start(_metadata, self, binder);
	start(_metadata, self, binder);
	start(_metadata, self, state_reader);
	finish(self);
}

TEST_F_TIMEOUT(race, jobs_and_mappings_against_the_end_of_the_address_space, 300)
{
	prepare(&self->rig);
	start(_metadata, self, submitter);
	start(_metadata, self, binder);
	start(_metadata, self, vm_recreator);
	start(_metadata, self, group_recreator);
	finish(self);
}

TEST_F_TIMEOUT(race, buffers_against_those_who_close_them, 300)
{
	prepare(&self->rig);
	start(_metadata, self, bo_recreator);
	start(_metadata, self, bo_recreator);
	start(_metadata, self, handle_thief);
	start(_metadata, self, binder);
	finish(self);
}

TEST_F_TIMEOUT(race, everything_against_an_unbind, 300)
{
	int ret;

	KNOWN_C_DEFECT(&self->rig.gpu, "jobs and groups that come during an unbind make it warn");
	prepare(&self->rig);
	start(_metadata, self, submitter);
	start(_metadata, self, binder);
	start(_metadata, self, bo_recreator);
	start(_metadata, self, group_recreator);
	sleep_ms(100);
	ret = device_unbind(&self->rig.gpu);
	finish(self);
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, device_bind(&self->rig.gpu));
}

TEST_F_TIMEOUT(race, everything_against_the_closing_of_the_file, 300)
{
	prepare(&self->rig);
	for (int i = 0; i < 20; i++) {
		struct rig rig;

		ASSERT_EQ(0, rig_open(&rig, 4));
		prepare(&rig);
		self->rig.gpu.fd = dup2(rig.gpu.fd, self->rig.gpu.fd);
		rig_abandon(&rig);
		if (!i) {
			start(_metadata, self, submitter);
			start(_metadata, self, binder);
			start(_metadata, self, group_recreator);
		}
		sleep_ms(20);
	}
	finish(self);
}

TEST_HARNESS_MAIN
