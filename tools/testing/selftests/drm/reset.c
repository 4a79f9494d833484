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

#include "crowd.h"
#include "device.h"
#include "hwmodel.h"
#include "power.h"
#include "reclaim.h"
#include "suite.h"

#define UNRECOVERABLE	"mcu fatal 0 0 0x41"	/* an exception that says that only a reset helps */
#define LIMIT		350	/* register accesses to the first new job; the C driver takes 380 to 510 */

FIXTURE(reset)
{
	struct crowd crowd;
	char file[64];
};

FIXTURE_SETUP(reset)
{
	const char *node;

	self->crowd.present = false;
	if (!hwmodel_present() || geteuid())
		SKIP(return, "needs root and modelled hardware");
	crowd_open(_metadata, &self->crowd);
	node = self->crowd.rig.gpu.node;
	snprintf(self->file, sizeof(self->file), "/sys/kernel/debug/dri/%s/reset",
		 node + strcspn(node, "0123456789"));
}

FIXTURE_TEARDOWN(reset)
{
	crowd_close(_metadata, &self->crowd);
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

static bool is_off_in_time(const struct gpu *gpu)
{
	char path[160];

	power_status_path(gpu, path, sizeof(path));
	return wait_off(path);
}

TEST_F_TIMEOUT(reset, firmware_that_dies_costs_those_in_slots_and_nobody_else, 120)
{
	assemble(_metadata, &self->crowd, CROWD);
	ASSERT_EQ(0, hwmodel_inject("mcu crash"));
	ASSERT_EQ(0, wait_loss(&self->crowd, CROWD));
	EXPECT_EQ(self->crowd.slots, dismiss(_metadata, &self->crowd, CROWD));
	EXPECT_EQ(1, since(&self->crowd.before, "soft_reset"));
	/* It was never in a slot. */
	EXPECT_EQ(1, put(&self->crowd.rig, self->crowd.rig.group, 5));
}

/* There is nothing to do for it: nobody but the watchdog can tell. */
TEST_F_TIMEOUT(reset, firmware_that_does_not_answer_the_watchdog_is_loaded_again, 120)
{
	const struct gpu *gpu = &self->crowd.rig.gpu;

	ASSERT_EQ(1, put(&self->crowd.rig, self->crowd.rig.group, 1));
	power_keep_on(gpu, true);
	ASSERT_EQ(0, hwmodel_inject("mcu ping ignore"));
	EXPECT_EQ(0, wait_resets(&self->crowd.before, 1));
	ASSERT_EQ(0, hwmodel_inject("clear"));
	power_keep_on(gpu, false);
	/* Everything else it has done, so that the group could be saved. */
	EXPECT_EQ(1, put(&self->crowd.rig, self->crowd.rig.group, 2));
	EXPECT_EQ(1, since(&self->crowd.before, "soft_reset"));
}

TEST_F_TIMEOUT(reset, an_unrecoverable_exception_ends_the_group_that_has_it, 120)
{
	uint32_t fatal = 0;

	assemble(_metadata, &self->crowd, 3);
	ASSERT_EQ(0, hwmodel_inject(UNRECOVERABLE));
	ASSERT_EQ(0, wait_loss(&self->crowd, 3));
	EXPECT_EQ(0, dismiss(_metadata, &self->crowd, 3));
	for (uint32_t i = 0; i < 3; i++)
		fatal += state_of(&self->crowd, i) == DRM_PANTHOR_GROUP_STATE_FATAL_FAULT;
	EXPECT_EQ(1, fatal);
	EXPECT_EQ(1, since(&self->crowd.before, "soft_reset"));
}

/* What is in the caches cannot be saved; what was saved before has left them. */
TEST_F_TIMEOUT(reset, a_flush_that_hangs_costs_those_in_slots, 120)
{
	struct rig *rig = &self->crowd.rig;
	uint32_t innocent;

	KNOWN_C_DEFECT(&rig->gpu, "groups that a flush could not save end without a reason");
	assemble(_metadata, &self->crowd, CROWD);
	ASSERT_EQ(0, hwmodel_inject("flush hang 1"));
	vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, 0x20000000, PAGE,
	       DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC);
	ASSERT_EQ(0, wait_loss(&self->crowd, CROWD));
	innocent = dismiss(_metadata, &self->crowd, CROWD);
	EXPECT_LT(0, innocent);
	EXPECT_GE(self->crowd.slots, innocent);
}

/* The bind says that it has failed, and nothing is mapped; whoever runs is saved first. */
TEST_F_TIMEOUT(reset, an_address_space_command_that_hangs_costs_nobody_anything, 120)
{
	struct rig *rig = &self->crowd.rig;
	char command[32];
	int space;

	assemble(_metadata, &self->crowd, 3);
	space = space_of(rig->data.va);
	ASSERT_LT(0, space);
	snprintf(command, sizeof(command), "as hang %d 1", space);
	ASSERT_EQ(0, hwmodel_inject(command));
	EXPECT_EQ(-ETIMEDOUT, vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, 0x20000000, PAGE,
				     DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	ASSERT_EQ(0, wait_resets(&self->crowd.before, 1));
	EXPECT_EQ(0, dismiss(_metadata, &self->crowd, 3));
	EXPECT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, 0x20000000, PAGE,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	EXPECT_EQ(1, since(&self->crowd.before, "soft_reset"));
}

TEST_F_TIMEOUT(reset, one_by_hand_hurts_nobody, 120)
{
	SKIP_UNLESS_BY_HAND();
	assemble(_metadata, &self->crowd, CROWD);
	for (uint32_t i = 0; i < 5; i++)
		ASSERT_EQ(0, reset_now(self->file));
	EXPECT_EQ(5, since(&self->crowd.before, "soft_reset"));
	EXPECT_EQ(5, since(&self->crowd.before, "mcu_boot"));
	EXPECT_EQ(0, dismiss(_metadata, &self->crowd, CROWD));
}

TEST_F(reset, a_gpu_that_is_off_is_not_reset)
{
	SKIP_UNLESS_BY_HAND();
	if (!is_off_in_time(&self->crowd.rig.gpu))
		SKIP(return, "a kernel without power management");
	ASSERT_EQ(0, hwmodel_read(&self->crowd.before));
	EXPECT_EQ(0, reset_now(self->file));
	EXPECT_EQ(0, since(&self->crowd.before, "mmio_read"));
	EXPECT_EQ(0, since(&self->crowd.before, "mmio_write"));
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
	assemble(_metadata, &self->crowd, 2);
	ASSERT_EQ(0, hwmodel_inject("soft-reset delay 300000000"));
	ASSERT_EQ(0, pthread_create(&first.thread, NULL, reset_once, &first));
	ASSERT_EQ(0, wait_resets(&self->crowd.before, 1));
	EXPECT_EQ(0, reset_now(self->file));
	pthread_join(first.thread, NULL);
	EXPECT_EQ(0, first.ret);
	EXPECT_EQ(1, since(&self->crowd.before, "soft_reset"));
	EXPECT_EQ(0, dismiss(_metadata, &self->crowd, 2));
}

/* Nobody can touch a register: the model would tell. What needs none goes on, the rest waits. */
TEST_F_TIMEOUT(reset, calls_during_one_work_as_ever, 60)
{
	struct rig *rig = &self->crowd.rig;
	struct drm_panthor_timestamp_info info = { 0 };
	uint32_t group;

	KNOWN_C_DEFECT(&rig->gpu, "address spaces are programmed during a reset");
	assemble(_metadata, &self->crowd, 3);
	ASSERT_EQ(0, hwmodel_inject("soft-reset delay 500000000"));
	ASSERT_EQ(0, hwmodel_inject(UNRECOVERABLE));
	ASSERT_EQ(0, wait_resets(&self->crowd.before, 1));
	EXPECT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, 0x20000000, PAGE,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	EXPECT_EQ(0, vm_unmap(&rig->gpu, rig->vm, 0x20000000, PAGE));
	EXPECT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, 0x20000000, PAGE,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	EXPECT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &group));
	EXPECT_EQ(0, since(&self->crowd.before, "mcu_boot"));
	EXPECT_EQ(0, gpu_query(&rig->gpu, DRM_PANTHOR_DEV_QUERY_TIMESTAMP_INFO, &info,
			       sizeof(info)));
	EXPECT_NE(0, info.current_timestamp);
	EXPECT_EQ(1, put(rig, group, 8));
	rig->data.u32[2] = 0;
	EXPECT_EQ(1, rig_copy(rig, 0x20000000 + 4, rig->data.va + 8));
	EXPECT_EQ(8, rig->data.u32[2]);
	EXPECT_EQ(0, dismiss(_metadata, &self->crowd, 3));
}

/* Nothing runs, and everybody is told. When it has been without power it is as good as new. */
TEST_F_TIMEOUT(reset, one_that_does_not_end_loses_the_device_until_it_was_off, 120)
{
	struct rig *rig = &self->crowd.rig;

	SKIP_UNLESS_BY_HAND();
	assemble(_metadata, &self->crowd, 3);
	ASSERT_EQ(0, hwmodel_inject("soft-reset hang 1"));
	EXPECT_EQ(-EIO, reset_now(self->file));
	EXPECT_EQ(3, dismiss(_metadata, &self->crowd, 3));
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
	struct rig *rig = &self->crowd.rig;

	SKIP_UNLESS_BY_HAND();
	assemble(_metadata, &self->crowd, 3);
	ASSERT_EQ(0, hwmodel_inject("mcu boot hang"));
	EXPECT_EQ(-EIO, reset_now(self->file));
	EXPECT_EQ(3, dismiss(_metadata, &self->crowd, 3));
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
	struct rig *rig = &self->crowd.rig;
	struct drm_panthor_timestamp_info info;
	struct cs cs = rig_stream(rig, 29);
	uint32_t tries = 0;

	SKIP_UNLESS_BY_HAND();
	cs_put32(&cs, rig->data.va + 8, 1);
	assemble(_metadata, &self->crowd, 2);
	ASSERT_EQ(0, hwmodel_inject("soft-reset delay 300000000"));
	for (uint32_t i = 0; i < 3; i++) {
		ASSERT_EQ(0, hwmodel_read(&self->crowd.before));
		ASSERT_EQ(0, pthread_create(&resetter.thread, NULL, reset_once, &resetter));
		ASSERT_EQ(0, wait_resets(&self->crowd.before, 1));
		while (!since(&self->crowd.before, "mcu_boot")) {
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
	EXPECT_EQ(0, dismiss(_metadata, &self->crowd, 2));
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
	struct rig *rig = &self->crowd.rig;
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
	EXPECT_EQ(atomic_load(&resetter.count) > 0, since(&self->crowd.before, "soft_reset") > 0);
}

TEST_F_TIMEOUT(reset, the_device_can_go_in_the_middle_of_one, 120)
{
	struct rig *rig = &self->crowd.rig;
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
	const struct gpu *gpu = &self->crowd.rig.gpu;
	uint64_t reads, writes;

	/* Not to be switched off in between. */
	power_keep_on(gpu, true);
	assemble(_metadata, &self->crowd, 1);
	ASSERT_EQ(0, hwmodel_inject(UNRECOVERABLE));
	ASSERT_EQ(0, sync_wait(gpu, self->crowd.sync[0], 0, PATIENCE));
	ASSERT_EQ(0, wait_count(&self->crowd.before, "mcu_boot", 1));
	EXPECT_EQ(1, put_anew(&self->crowd.rig, 12));
	reads = since(&self->crowd.before, "mmio_read");
	writes = since(&self->crowd.before, "mmio_write");
	power_keep_on(gpu, false);
	if (!gpu_is_c_driver(gpu))
		EXPECT_GE(LIMIT, reads + writes);
	TH_LOG("%llu reads, %llu writes", (unsigned long long)reads, (unsigned long long)writes);
	EXPECT_EQ(1, since(&self->crowd.before, "soft_reset"));
	EXPECT_EQ(1, since(&self->crowd.before, "mcu_boot"));
}

TEST_HARNESS_MAIN
