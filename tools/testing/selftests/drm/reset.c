// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A GPU, or a firmware, that stops doing as it is told, and what is left of everybody's work after the
 * reset that follows. Who was saved before goes on and never knows; who was in a slot and could not be
 * saved ends, and is told whether it was to blame. Needs root, and the modelled hardware.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "device.h"
#include "hwmodel.h"
#include "power.h"
#include "reclaim.h"
#include "suite.h"

#define INNOCENT	(DRM_PANTHOR_GROUP_STATE_TIMEDOUT | DRM_PANTHOR_GROUP_STATE_INNOCENT)
#define UNRECOVERABLE	"mcu fatal 0 0 0x41"	/* an exception that says that only a reset helps */
#define LIMIT		350	/* register accesses to the first new job; the C driver takes 380 to 510 */
#define CROWD		20	/* groups; more than there are slots, and then some */
#define MARK(i)		(16 * ((i) + 1))	/* where a group's results are, in words */

FIXTURE(reset)
{
	struct rig rig;		/* with a group that nobody has used yet */
	struct hwmodel_counters before;
	char file[64];
	uint32_t slots;
	uint32_t group[CROWD], sync[CROWD];
	bool present;
};

FIXTURE_SETUP(reset)
{
	struct drm_panthor_csif_info csif;
	struct rig *rig = &self->rig;

	self->present = false;
	if (!hwmodel_present() || geteuid())
		SKIP(return, "needs root and modelled hardware");
	ASSERT_EQ(0, rig_open(rig, 2));
	self->present = true;
	snprintf(self->file, sizeof(self->file), "/sys/kernel/debug/dri/%s/reset",
		 rig->gpu.node + strcspn(rig->gpu.node, "0123456789"));
	ASSERT_EQ(0, gpu_csif(&rig->gpu, &csif));
	self->slots = csif.csg_slot_count;
	ASSERT_GE(CROWD, self->slots + 4);
	ASSERT_EQ(0, hwmodel_read(&self->before));
}

/* A job with a result of its own: 1, or a negative errno. */
static int put(struct rig *rig, uint32_t group, uint32_t value)
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
static int put_anew(struct rig *rig, uint32_t value)
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

FIXTURE_TEARDOWN(reset)
{
	if (!self->present)
		return;
	hwmodel_inject("clear");
	/* Whatever has happened, the device works. */
	EXPECT_EQ(1, put_anew(&self->rig, 4321));
	rig_close(&self->rig);
	EXPECT_EQ(0, hwmodel_records());
}

static uint64_t since(const struct hwmodel_counters *before, const char *name)
{
	struct hwmodel_counters after;

	hwmodel_read(&after);
	return hwmodel_get(&after, name) - hwmodel_get(before, name);
}

static int reset_now(const char *file)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, "1", 1) != 1)
		ret = -errno;
	close(fd);
	return ret;
}

#define SKIP_UNLESS_BY_HAND() do {					\
	if (access(self->file, W_OK))					\
		SKIP(return, "this driver does not reset on demand");	\
} while (0)

static int wait_count(const struct hwmodel_counters *before, const char *name, uint64_t count)
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
static int wait_resets(const struct hwmodel_counters *before, uint64_t count)
{
	return wait_count(before, "soft_reset", count);
}

static bool is_off_in_time(const struct gpu *gpu)
{
	char path[160];

	power_status_path(gpu, path, sizeof(path));
	return wait_off(path);
}

/* A job for group @i of the crowd that says that it runs, and ends when word 0 of the data is set. */
static int hold(struct rig *rig, uint32_t group, uint32_t i, uint32_t sync)
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
static void assemble(struct __test_metadata *_metadata, FIXTURE_DATA(reset) *self, uint32_t count)
{
	struct rig *rig = &self->rig;

	for (uint32_t i = 0; i < count; i++) {
		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &self->group[i]));
		ASSERT_EQ(0, sync_create(&rig->gpu, false, &self->sync[i]));
	}
	for (uint32_t i = 0; i < count; i++)
		ASSERT_EQ(0, hold(rig, self->group[i], i, self->sync[i]));
	for (uint32_t i = 0; i < count; i++)
		ASSERT_EQ(0, rig_wait_word(rig, MARK(i), 1));
	ASSERT_EQ(0, hwmodel_read(&self->before));
}

static uint32_t state_of(FIXTURE_DATA(reset) *self, uint32_t i)
{
	uint32_t state = ~0u, fatal;

	group_state(&self->rig.gpu, self->group[i], &state, &fatal);
	return state;
}

/* Until one of them has ended, and a reset has begun. */
static int wait_loss(FIXTURE_DATA(reset) *self, uint32_t count)
{
	int64_t end = now_ns() + PATIENCE;

	while (now_ns() < end) {
		for (uint32_t i = 0; i < count; i++) {
			if (state_of(self, i))
				return wait_resets(&self->before, 1);
		}
		sleep_ms(1);
	}
	return -ETIME;
}

/*
 * Lets those go on that still can. Those in good order come to the right end, and do something new as
 * well; all others have an error. Returns how many there are that have ended without being to blame.
 */
static uint32_t dismiss(struct __test_metadata *_metadata, FIXTURE_DATA(reset) *self, uint32_t count)
{
	struct rig *rig = &self->rig;
	uint32_t innocent = 0;

	rig->data.u32[0] = 1;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t state;

		EXPECT_EQ(0, sync_wait(&rig->gpu, self->sync[i], 0, PATIENCE));
		state = state_of(self, i);
		innocent += state == INNOCENT;
		if (state) {
			EXPECT_GT(0, sync_status(&rig->gpu, self->sync[i]));
			EXPECT_EQ(0, rig->data.u32[MARK(i) + 1]);
			EXPECT_EQ(-EINVAL, put(rig, self->group[i], 1));
		} else {
			EXPECT_EQ(1, sync_status(&rig->gpu, self->sync[i]));
			EXPECT_EQ(4711 + i, rig->data.u32[MARK(i) + 1]);
			EXPECT_EQ(1, put(rig, self->group[i], 100 + i));
		}
	}
	return innocent;
}

TEST_F_TIMEOUT(reset, firmware_that_dies_costs_those_in_slots_and_nobody_else, 120)
{
	assemble(_metadata, self, CROWD);
	ASSERT_EQ(0, hwmodel_inject("mcu crash"));
	ASSERT_EQ(0, wait_loss(self, CROWD));
	EXPECT_EQ(self->slots, dismiss(_metadata, self, CROWD));
	EXPECT_EQ(1, since(&self->before, "soft_reset"));
	/* It was never in a slot. */
	EXPECT_EQ(1, put(&self->rig, self->rig.group, 5));
}

/* There is nothing to do for it: nobody but the watchdog can tell. */
TEST_F_TIMEOUT(reset, firmware_that_does_not_answer_the_watchdog_is_loaded_again, 120)
{
	const struct gpu *gpu = &self->rig.gpu;

	ASSERT_EQ(1, put(&self->rig, self->rig.group, 1));
	power_keep_on(gpu, true);
	ASSERT_EQ(0, hwmodel_inject("mcu ping ignore"));
	EXPECT_EQ(0, wait_resets(&self->before, 1));
	ASSERT_EQ(0, hwmodel_inject("clear"));
	power_keep_on(gpu, false);
	/* Everything else it has done, so that the group could be saved. */
	EXPECT_EQ(1, put(&self->rig, self->rig.group, 2));
	EXPECT_EQ(1, since(&self->before, "soft_reset"));
}

TEST_F_TIMEOUT(reset, an_unrecoverable_exception_ends_the_group_that_has_it, 120)
{
	uint32_t fatal = 0;

	assemble(_metadata, self, 3);
	ASSERT_EQ(0, hwmodel_inject(UNRECOVERABLE));
	ASSERT_EQ(0, wait_loss(self, 3));
	EXPECT_EQ(0, dismiss(_metadata, self, 3));
	for (uint32_t i = 0; i < 3; i++)
		fatal += state_of(self, i) == DRM_PANTHOR_GROUP_STATE_FATAL_FAULT;
	EXPECT_EQ(1, fatal);
	EXPECT_EQ(1, since(&self->before, "soft_reset"));
}

/* The others leave theirs, and go on after the reset. */
TEST_F_TIMEOUT(reset, a_slot_that_a_group_does_not_leave_costs_that_group, 120)
{
	assemble(_metadata, self, CROWD);
	ASSERT_EQ(0, hwmodel_inject("mcu slot ignore 0"));
	ASSERT_EQ(0, wait_loss(self, CROWD));
	EXPECT_EQ(1, dismiss(_metadata, self, CROWD));
	EXPECT_EQ(1, since(&self->before, "soft_reset"));
}

TEST_F_TIMEOUT(reset, an_endless_job_that_cannot_be_ended_is_the_only_one_to_blame, 120)
{
	struct rig *rig = &self->rig;
	struct cs cs = rig_stream(rig, 31);
	uint32_t state = 0, fatal = 0;

	cs_put32(&cs, rig->data.va + 8, 1);
	cs_spin_while_zero(&cs, rig->data.va + 12);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	ASSERT_EQ(0, rig_wait_word(rig, 2, 1));
	sleep_ms(2000);
	assemble(_metadata, self, 2);
	ASSERT_EQ(0, hwmodel_inject("mcu ack never csg 7"));
	EXPECT_GT(0, rig_wait(rig));
	EXPECT_EQ(0, group_wait_bad(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_TIMEDOUT, state);
	EXPECT_EQ(0, wait_resets(&self->before, 1));
	ASSERT_EQ(0, hwmodel_inject("clear"));
	EXPECT_EQ(2, dismiss(_metadata, self, 2));
}

/* What the firmware is asked for while groups take turns. */
static const struct {
	unsigned int bits;	/* of a group's request word */
	bool saves;		/* even so, all groups can be saved */
} requests[] = {
	{ 0x07, false },	/* start, resume, suspend */
	{ 0x10, true },		/* slot priority */
	{ 0x20, true },		/* status update */
};

/* Groups that take turns, and firmware that answers in a way of its own, until there is a reset. */
static void answer(struct __test_metadata *_metadata, FIXTURE_DATA(reset) *self, const char *how,
		   const char *more)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		uint32_t innocent;
		char command[64];

		assemble(_metadata, self, CROWD);
		snprintf(command, sizeof(command), "mcu ack %s csg %u%s", how, requests[i].bits, more);
		ASSERT_EQ(0, hwmodel_inject("mcu ack until-boot"));
		ASSERT_EQ(0, hwmodel_inject(command));
		ASSERT_EQ(0, wait_resets(&self->before, 1));
		innocent = dismiss(_metadata, self, CROWD);
		EXPECT_GE(requests[i].saves ? 0 : self->slots, innocent);
		EXPECT_EQ(1, since(&self->before, "soft_reset"));
		for (uint32_t j = 0; j < CROWD; j++)
			EXPECT_EQ(0, group_destroy(&self->rig.gpu, self->group[j]));
		memset(self->rig.data.map, 0, 4 * MARK(CROWD));
	}
}

TEST_F_TIMEOUT(reset, requests_that_are_never_acknowledged_cost_those_in_slots_at_most, 240)
{
	answer(_metadata, self, "never", "");
}

TEST_F_TIMEOUT(reset, requests_that_are_acknowledged_wrongly_cost_those_in_slots_at_most, 240)
{
	answer(_metadata, self, "wrong", "");
}

TEST_F_TIMEOUT(reset, requests_that_are_acknowledged_much_too_late_cost_those_in_slots_at_most, 240)
{
	answer(_metadata, self, "delay", " 5000000000");
}

/* Ten milliseconds are a thousand times as long as it takes. */
TEST_F_TIMEOUT(reset, requests_that_are_acknowledged_late_cost_nobody_anything, 120)
{
	assemble(_metadata, self, CROWD);
	ASSERT_EQ(0, hwmodel_inject("mcu ack delay csg 0x37 10000000"));
	ASSERT_EQ(0, wait_count(&self->before, "csg_resume", CROWD));
	EXPECT_EQ(0, dismiss(_metadata, self, CROWD));
	EXPECT_EQ(0, since(&self->before, "soft_reset"));
}

/* What is in the caches cannot be saved; what was saved before has left them. */
TEST_F_TIMEOUT(reset, a_flush_that_hangs_costs_those_in_slots, 120)
{
	struct rig *rig = &self->rig;
	uint32_t innocent;

	KNOWN_C_DEFECT(&rig->gpu, "groups that a flush could not save end without a reason");
	assemble(_metadata, self, CROWD);
	ASSERT_EQ(0, hwmodel_inject("flush hang 1"));
	vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, 0x20000000, PAGE,
	       DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC);
	ASSERT_EQ(0, wait_loss(self, CROWD));
	innocent = dismiss(_metadata, self, CROWD);
	EXPECT_LT(0, innocent);
	EXPECT_GE(self->slots, innocent);
}

/* The bind says that it has failed, and nothing is mapped; whoever runs is saved first. */
TEST_F_TIMEOUT(reset, an_address_space_command_that_hangs_costs_nobody_anything, 120)
{
	struct rig *rig = &self->rig;
	char command[32];
	int space;

	assemble(_metadata, self, 3);
	space = space_of(rig->data.va);
	ASSERT_LT(0, space);
	snprintf(command, sizeof(command), "as hang %d 1", space);
	ASSERT_EQ(0, hwmodel_inject(command));
	EXPECT_EQ(-ETIMEDOUT, vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, 0x20000000, PAGE,
				     DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	ASSERT_EQ(0, wait_resets(&self->before, 1));
	EXPECT_EQ(0, dismiss(_metadata, self, 3));
	EXPECT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, 0x20000000, PAGE,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	EXPECT_EQ(1, since(&self->before, "soft_reset"));
}

TEST_F_TIMEOUT(reset, one_by_hand_hurts_nobody, 120)
{
	SKIP_UNLESS_BY_HAND();
	assemble(_metadata, self, CROWD);
	for (uint32_t i = 0; i < 5; i++)
		ASSERT_EQ(0, reset_now(self->file));
	EXPECT_EQ(5, since(&self->before, "soft_reset"));
	EXPECT_EQ(5, since(&self->before, "mcu_boot"));
	EXPECT_EQ(0, dismiss(_metadata, self, CROWD));
}

TEST_F(reset, a_gpu_that_is_off_is_not_reset)
{
	SKIP_UNLESS_BY_HAND();
	if (!is_off_in_time(&self->rig.gpu))
		SKIP(return, "a kernel without power management");
	ASSERT_EQ(0, hwmodel_read(&self->before));
	EXPECT_EQ(0, reset_now(self->file));
	EXPECT_EQ(0, since(&self->before, "mmio_read"));
	EXPECT_EQ(0, since(&self->before, "mmio_write"));
}

struct resetter {
	const char *file;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint count;
	int ret;
};

static void *reset_once(void *data)
{
	struct resetter *resetter = data;

	resetter->ret = reset_now(resetter->file);
	return NULL;
}

TEST_F(reset, who_asks_for_one_during_one_gets_that_one)
{
	struct resetter first = { .file = self->file };

	SKIP_UNLESS_BY_HAND();
	assemble(_metadata, self, 2);
	ASSERT_EQ(0, hwmodel_inject("soft-reset delay 300000000"));
	ASSERT_EQ(0, pthread_create(&first.thread, NULL, reset_once, &first));
	ASSERT_EQ(0, wait_resets(&self->before, 1));
	EXPECT_EQ(0, reset_now(self->file));
	pthread_join(first.thread, NULL);
	EXPECT_EQ(0, first.ret);
	EXPECT_EQ(1, since(&self->before, "soft_reset"));
	EXPECT_EQ(0, dismiss(_metadata, self, 2));
}

/* Nobody can touch a register: the model would tell. What needs none goes on, the rest waits. */
TEST_F_TIMEOUT(reset, calls_during_one_work_as_ever, 60)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_timestamp_info info = { 0 };
	uint32_t group;

	KNOWN_C_DEFECT(&rig->gpu, "address spaces are programmed during a reset");
	assemble(_metadata, self, 3);
	ASSERT_EQ(0, hwmodel_inject("soft-reset delay 500000000"));
	ASSERT_EQ(0, hwmodel_inject(UNRECOVERABLE));
	ASSERT_EQ(0, wait_resets(&self->before, 1));
	EXPECT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, 0x20000000, PAGE,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	EXPECT_EQ(0, vm_unmap(&rig->gpu, rig->vm, 0x20000000, PAGE));
	EXPECT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, 0x20000000, PAGE,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	EXPECT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &group));
	EXPECT_EQ(0, since(&self->before, "mcu_boot"));
	EXPECT_EQ(0, gpu_query(&rig->gpu, DRM_PANTHOR_DEV_QUERY_TIMESTAMP_INFO, &info,
			       sizeof(info)));
	EXPECT_NE(0, info.current_timestamp);
	EXPECT_EQ(1, put(rig, group, 8));
	rig->data.u32[2] = 0;
	EXPECT_EQ(1, rig_copy(rig, 0x20000000 + 4, rig->data.va + 8));
	EXPECT_EQ(8, rig->data.u32[2]);
	EXPECT_EQ(0, dismiss(_metadata, self, 3));
}

/* Nothing runs, and everybody is told. When it has been without power it is as good as new. */
TEST_F_TIMEOUT(reset, one_that_does_not_end_loses_the_device_until_it_was_off, 120)
{
	struct rig *rig = &self->rig;

	SKIP_UNLESS_BY_HAND();
	assemble(_metadata, self, 3);
	ASSERT_EQ(0, hwmodel_inject("soft-reset hang 1"));
	EXPECT_EQ(-EIO, reset_now(self->file));
	EXPECT_EQ(3, dismiss(_metadata, self, 3));
	/* Without a job to do, but lost all the same. */
	EXPECT_EQ(-EINVAL, put(rig, rig->group, 1));
	if (!is_off_in_time(&rig->gpu)) {
		hwmodel_inject("clear");
		ASSERT_EQ(0, reset_now(self->file));
	}
	EXPECT_EQ(1, put_anew(rig, 6));
}

TEST_F_TIMEOUT(reset, firmware_that_does_not_boot_again_loses_the_device_until_it_was_off, 120)
{
	struct rig *rig = &self->rig;

	SKIP_UNLESS_BY_HAND();
	assemble(_metadata, self, 3);
	ASSERT_EQ(0, hwmodel_inject("mcu boot hang"));
	EXPECT_EQ(-EIO, reset_now(self->file));
	EXPECT_EQ(3, dismiss(_metadata, self, 3));
	ASSERT_EQ(0, hwmodel_inject("clear"));
	if (!is_off_in_time(&rig->gpu))
		ASSERT_EQ(0, reset_now(self->file));
	EXPECT_EQ(1, put_anew(rig, 6));
}

static void read_all(const struct gpu *gpu, const char *file)
{
	char path[64], text[4096];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/%s",
		 gpu->node + strcspn(gpu->node, "0123456789"), file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	do {
		got = fd < 0 ? 0 : read(fd, text, sizeof(text));
	} while (got > 0);
	if (fd >= 0)
		close(fd);
}

/* The reset is slow, and another processor tries all that may touch a register; the model would tell. */
TEST_F_TIMEOUT(reset, nobody_touches_a_register_during_one, 60)
{
	struct resetter resetter = { .file = self->file };
	struct rig *rig = &self->rig;
	struct drm_panthor_timestamp_info info;
	struct cs cs = rig_stream(rig, 29);
	uint32_t tries = 0;

	SKIP_UNLESS_BY_HAND();
	cs_put32(&cs, rig->data.va + 8, 1);
	assemble(_metadata, self, 2);
	ASSERT_EQ(0, hwmodel_inject("soft-reset delay 300000000"));
	for (uint32_t i = 0; i < 3; i++) {
		ASSERT_EQ(0, hwmodel_read(&self->before));
		ASSERT_EQ(0, pthread_create(&resetter.thread, NULL, reset_once, &resetter));
		ASSERT_EQ(0, wait_resets(&self->before, 1));
		while (!since(&self->before, "mcu_boot")) {
			EXPECT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, 0x20000000, PAGE,
					    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
			EXPECT_EQ(0, vm_unmap(&rig->gpu, rig->vm, 0x20000000, PAGE));
			EXPECT_EQ(0, group_run(&rig->gpu, rig->group, 0, rig_stream_va(rig, &cs),
					       cs_bytes(&cs), rig->sync));
			EXPECT_LE(0, gpu_fdinfo(&rig->gpu, "drm-cycles-panthor"));
			read_all(&rig->gpu, "sched");
			read_all(&rig->gpu, "gems");
			/* It waits for the end. */
			if (++tries % 8 == 0) {
				memset(&info, 0, sizeof(info));
				EXPECT_EQ(0, gpu_query(&rig->gpu, DRM_PANTHOR_DEV_QUERY_TIMESTAMP_INFO,
						       &info, sizeof(info)));
			}
			sleep_ms(2);
		}
		pthread_join(resetter.thread, NULL);
		EXPECT_EQ(0, resetter.ret);
		EXPECT_EQ(1, rig_wait(rig));
		EXPECT_EQ(0, hwmodel_records());
	}
	EXPECT_LT(3, tries);
	EXPECT_EQ(0, dismiss(_metadata, self, 2));
}

static void *reset_all_the_time(void *data)
{
	struct resetter *resetter = data;

	while (!atomic_load(&resetter->stop)) {
		int ret = reset_now(resetter->file);

		/* The file goes and comes with the device. */
		if (ret && ret != -ENODEV && ret != -ENOENT && ret != -EIO)
			resetter->ret = ret;
		atomic_fetch_add(&resetter->count, !ret);
		sleep_ms(1);
	}
	return NULL;
}

/* Jobs, binds, groups and times without power, and a reset at any moment: every result is right. */
TEST_F_TIMEOUT(reset, any_number_of_them_at_any_time_hurts_nobody, 120)
{
	struct rig *rig = &self->rig;
	struct resetter resetter = { .file = self->file };

	SKIP_UNLESS_BY_HAND();
	ASSERT_EQ(0, pthread_create(&resetter.thread, NULL, reset_all_the_time, &resetter));
	for (uint32_t i = 0; i < 100 || atomic_load(&resetter.count) < 20; i++) {
		uint64_t va = 0x20000000 + i % 7 * BLOCK;

		ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, va, PAGE,
				    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
		ASSERT_EQ(1, put(rig, rig->group, i));
		rig->data.u32[2] = ~0u;
		ASSERT_EQ(1, rig_copy(rig, va + 4, rig->data.va + 8));
		ASSERT_EQ(i, rig->data.u32[2]);
		ASSERT_EQ(0, vm_unmap(&rig->gpu, rig->vm, va, PAGE));
		ASSERT_EQ(1, put_anew(rig, i));
		/* About as long as it takes to be switched off. */
		if (i % 10 == 0)
			sleep_ms(45 + i % 7 * 3);
	}
	atomic_store(&resetter.stop, true);
	pthread_join(resetter.thread, NULL);
	EXPECT_EQ(0, resetter.ret);
	EXPECT_EQ(atomic_load(&resetter.count) > 0, since(&self->before, "soft_reset") > 0);
}

TEST_F_TIMEOUT(reset, the_device_can_go_in_the_middle_of_one, 120)
{
	struct rig *rig = &self->rig;
	struct resetter resetter = { .file = self->file };

	SKIP_UNLESS_BY_HAND();
	ASSERT_EQ(0, pthread_create(&resetter.thread, NULL, reset_all_the_time, &resetter));
	for (uint32_t i = 0; i < 10; i++) {
		struct gpu gpu = rig->gpu;

		EXPECT_EQ(0, hold(rig, rig->group, 0, rig->sync));
		sleep_ms(i * 3);
		ASSERT_EQ(0, device_unbind(&gpu));
		rig_abandon(rig);
		ASSERT_EQ(0, device_bind(&gpu));
		ASSERT_EQ(0, device_reopen(&gpu));
		gpu_close(&gpu);
		ASSERT_EQ(0, rig_open(rig, 2));
	}
	atomic_store(&resetter.stop, true);
	pthread_join(resetter.thread, NULL);
	EXPECT_EQ(0, resetter.ret);
}

/* From the exception to the end of the next job, in register accesses. */
TEST_F_TIMEOUT(reset, it_is_a_short_way_to_the_first_new_job, 60)
{
	const struct gpu *gpu = &self->rig.gpu;
	uint64_t reads, writes;

	/* Not to be switched off in between. */
	power_keep_on(gpu, true);
	assemble(_metadata, self, 1);
	ASSERT_EQ(0, hwmodel_inject(UNRECOVERABLE));
	ASSERT_EQ(0, sync_wait(gpu, self->sync[0], 0, PATIENCE));
	ASSERT_EQ(0, wait_count(&self->before, "mcu_boot", 1));
	EXPECT_EQ(1, put_anew(&self->rig, 12));
	reads = since(&self->before, "mmio_read");
	writes = since(&self->before, "mmio_write");
	power_keep_on(gpu, false);
	if (!gpu_is_c_driver(gpu))
		EXPECT_GE(LIMIT, reads + writes);
	TH_LOG("%llu reads, %llu writes", (unsigned long long)reads, (unsigned long long)writes);
	EXPECT_EQ(1, since(&self->before, "soft_reset"));
	EXPECT_EQ(1, since(&self->before, "mcu_boot"));
}

TEST_HARNESS_MAIN
