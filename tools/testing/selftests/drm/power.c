// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A GPU that nobody uses is switched off, and comes back as if it had never been away. Needs root, and
 * the modelled hardware, which forgets everything when its power domain goes.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "device.h"
#include "hwmodel.h"
#include "power.h"
#include "suite.h"

/* What is read through a bus without power. */
#define POISON		0xdeadbeef

#define NOT_POWERED	1		/* what the flush id page says then */

FIXTURE(power)
{
	struct rig rig;
	bool present;
	char status[160];
};

/* What was switched of the GPU since the log was reset, one letter for each: upper case on, lower off. */
static void power_read(char *out, size_t size)
{
	static const struct {
		const char *name;
		char letter;
	} names[] = {
		{ "pd_gpu", 'd' }, { "clk_gpu", 'c' }, { "clk_gpu_stacks", 's' },
		{ "clk_gpu_coregroup", 'g' }, { "vdd-gpu", 'v' }, { "vdd-gpu-mem", 'm' },
	};
	FILE *file = fopen(POWER_LOG, "r");
	char line[64];
	size_t len = 0;

	out[0] = '\0';
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			if (strcmp(line + 1, names[i].name) || len + 2 > size)
				continue;
			if (line[0] == '!' && len + 3 <= size)
				out[len++] = '!';
			out[len++] = line[0] == '-' ? names[i].letter : names[i].letter - 32;
		}
	}
	out[len] = '\0';
	fclose(file);
}

/* A job with a result of its own. */
static int put(struct rig *rig, uint32_t queue, size_t word, uint32_t value)
{
	struct cs cs = rig_stream(rig, 8 + queue);
	int ret;

	cs_put32(&cs, rig->data.va + word * 4, value);
	ret = rig_run(rig, queue, &cs);
	if (ret == 1 && rig->data.u32[word] != value)
		ret = -EIO;
	return ret;
}

/* By rules C1, C2 and C6: one resume at probe, one suspend at unbind, nothing in between. */
TEST(without_power_management_it_is_on_from_probe_to_unbind)
{
	char path[160], status[32], log[64];
	struct rig rig;

	if (!hwmodel_present())
		SKIP(return, "no modelled hardware");
	ASSERT_EQ(0, rig_open(&rig, 2));
	power_status_path(&rig.gpu, path, sizeof(path));
	power_status(path, status, sizeof(status));
	if (status[0]) {
		rig_close(&rig);
		SKIP(return, "a kernel with power management");
	}
	for (uint32_t i = 0; i < 3; i++) {
		struct gpu gpu = rig.gpu;

		ASSERT_EQ(0, power_write("reset"));
		ASSERT_EQ(1, put(&rig, 0, 0, 1 + i));
		sleep_ms(300);
		ASSERT_EQ(1, put(&rig, 0, 0, 2 + i));
		power_read(log, sizeof(log));
		EXPECT_STREQ("", log);
		ASSERT_EQ(0, device_unbind(&gpu));
		power_read(log, sizeof(log));
		EXPECT_EQ(0, strncmp("gsc", log, 3)) {
			TH_LOG("%s", log);
		}
		rig_abandon(&rig);
		/* A first step that fails leaves nothing behind. */
		ASSERT_EQ(0, power_write("refuse clk_gpu_coregroup 1"));
		ASSERT_EQ(0, power_write("reset"));
		EXPECT_NE(0, device_bind(&gpu));
		power_read(log, sizeof(log));
		EXPECT_NE(NULL, strstr(log, "CS!Gsc"));
		ASSERT_EQ(0, power_write("reset"));
		ASSERT_EQ(0, device_bind(&gpu));
		power_read(log, sizeof(log));
		EXPECT_NE(NULL, strstr(log, "CSG"));
		EXPECT_EQ(NULL, strpbrk(log, "csgd"));
		ASSERT_EQ(0, device_reopen(&gpu));
		gpu_close(&gpu);
		ASSERT_EQ(0, rig_open(&rig, 2));
	}
	rig_close(&rig);
	EXPECT_EQ(0, hwmodel_records());
}

FIXTURE_SETUP(power)
{
	char status[32];

	self->present = false;
	if (!hwmodel_present())
		SKIP(return, "no modelled hardware");
	ASSERT_EQ(0, rig_open(&self->rig, 2));
	self->present = true;
	power_status_path(&self->rig.gpu, self->status, sizeof(self->status));
	power_status(self->status, status, sizeof(status));
	if (!status[0] || !strcmp(status, "unsupported")) {
		rig_close(&self->rig);
		self->present = false;
		SKIP(return, "a kernel without power management");
	}
}

FIXTURE_TEARDOWN(power)
{
	if (!self->present)
		return;
	power_write("refuse none 0");
	hwmodel_inject("clear");
	rig_close(&self->rig);
	EXPECT_EQ(0, hwmodel_records());
}

static uint64_t since(const struct hwmodel_counters *before, const char *name)
{
	struct hwmodel_counters after;

	hwmodel_read(&after);
	return hwmodel_get(&after, name) - hwmodel_get(before, name);
}

TEST_F(power, an_idle_gpu_is_switched_off_and_left_alone)
{
	struct hwmodel_counters before;

	ASSERT_EQ(1, put(&self->rig, 0, 0, 11));
	ASSERT_TRUE(wait_off(self->status));
	ASSERT_EQ(0, hwmodel_read(&before));
	sleep_ms(300);
	EXPECT_EQ(0, since(&before, "mmio_read"));
	EXPECT_EQ(0, since(&before, "mmio_write"));
	EXPECT_TRUE(is_off(self->status));
}

TEST_F(power, a_job_in_flight_keeps_it_on_and_the_last_one_lets_go)
{
	struct rig *rig = &self->rig;
	struct cs first = rig_stream(rig, 0), second = rig_stream(rig, 1);
	uint32_t sync;

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &sync));
	cs_spin_while_zero(&first, rig->data.va);
	cs_spin_while_zero(&second, rig->data.va + 4);
	ASSERT_EQ(0, rig_submit(rig, 0, &first));
	ASSERT_EQ(0, group_run(&rig->gpu, rig->group, 1, rig_stream_va(rig, &second),
			       cs_bytes(&second), sync));
	sleep_ms(300);
	EXPECT_FALSE(is_off(self->status));
	rig->data.u32[0] = 1;
	ASSERT_EQ(1, rig_wait(rig));
	sleep_ms(300);
	EXPECT_FALSE(is_off(self->status));
	rig->data.u32[1] = 1;
	ASSERT_EQ(0, sync_wait(&rig->gpu, sync, 0, PATIENCE));
	EXPECT_EQ(1, sync_status(&rig->gpu, sync));
	EXPECT_TRUE(wait_off(self->status));
}

/* The group was saved, the firmware goes on from its memory, the address space is programmed again. */
TEST_F_TIMEOUT(power, jobs_before_and_after_a_time_without_power, 120)
{
	struct rig *rig = &self->rig;
	struct hwmodel_counters before;
	enum { ROUNDS = 10 };

	ASSERT_EQ(1, put(rig, 0, 0, 1));
	ASSERT_EQ(0, hwmodel_read(&before));
	for (uint32_t i = 0; i < ROUNDS; i++) {
		ASSERT_TRUE(wait_off(self->status));
		ASSERT_EQ(1, put(rig, i % 2, 1 + i, 100 + i));
	}
	EXPECT_EQ(ROUNDS, since(&before, "mcu_boot"));
	EXPECT_EQ(ROUNDS, since(&before, "mcu_resume"));
	EXPECT_EQ(ROUNDS, since(&before, "csg_resume"));
	EXPECT_EQ(0, since(&before, "csg_start"));
	EXPECT_EQ(0, since(&before, "soft_reset"));
}

TEST_F(power, a_bind_needs_no_power)
{
	struct rig *rig = &self->rig;
	struct hwmodel_counters before;
	struct bo bo;

	ASSERT_EQ(1, put(rig, 0, 0, 1));
	ASSERT_TRUE(wait_off(self->status));
	ASSERT_EQ(0, hwmodel_read(&before));
	ASSERT_EQ(0, bo_bound(&rig->gpu, rig->vm, 4 * PAGE, 0x10000000,
			      DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC, &bo));
	ASSERT_EQ(0, vm_unmap(&rig->gpu, rig->vm, 0x10000000 + PAGE, PAGE));
	EXPECT_EQ(0, since(&before, "mmio_read"));
	EXPECT_EQ(0, since(&before, "mmio_write"));
	EXPECT_TRUE(is_off(self->status));
	bo.u32[0] = 4712;
	ASSERT_EQ(1, rig_copy(rig, 0x10000000, rig->data.va + 8));
	EXPECT_EQ(4712, rig->data.u32[2]);
}

TEST_F(power, a_timestamp_switches_it_on)
{
	struct drm_panthor_timestamp_info info = { 0 };

	ASSERT_TRUE(wait_off(self->status));
	ASSERT_EQ(0, gpu_query(&self->rig.gpu, DRM_PANTHOR_DEV_QUERY_TIMESTAMP_INFO, &info,
			       sizeof(info)));
	EXPECT_NE(0, info.current_timestamp);
	EXPECT_TRUE(wait_off(self->status));
}

/* By rule B3. */
TEST_F(power, the_flush_id_is_real_with_power_and_1_without)
{
	struct rig *rig = &self->rig;
	volatile const uint32_t *page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, rig->gpu.fd,
					     DRM_PANTHOR_USER_FLUSH_ID_MMIO_OFFSET);
	struct cs cs = rig_stream(rig, 0);

	ASSERT_NE(MAP_FAILED, (void *)page);
	for (uint32_t i = 0; i < 3; i++) {
		cs = rig_stream(rig, 0);
		rig->data.u32[0] = 0;
		cs_put32(&cs, rig->data.va + 4, 1 + i);
		cs_spin_while_zero(&cs, rig->data.va);
		ASSERT_EQ(0, rig_submit(rig, 0, &cs));
		ASSERT_EQ(0, rig_wait_word(rig, 1, 1 + i));
		ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, 0x20000000, PAGE,
				    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
		/* The bind above has flushed. */
		EXPECT_LT(NOT_POWERED, *page);
		EXPECT_NE(POISON, *page);
		rig->data.u32[0] = 1;
		ASSERT_EQ(1, rig_wait(rig));
		ASSERT_TRUE(wait_off(self->status));
		EXPECT_EQ(NOT_POWERED, *page);
	}
	munmap((void *)page, PAGE);
}

/* Both offsets are zapped, whichever the file has chosen. */
TEST_F(power, the_flush_id_of_a_32_bit_program_comes_and_goes_as_well)
{
	struct drm_panthor_set_user_mmio_offset args = {
		.offset = DRM_PANTHOR_USER_MMIO_OFFSET_32BIT,
	};
	struct rig *rig = &self->rig;
	volatile const uint32_t *page;
	struct cs cs = rig_stream(rig, 0);

	ASSERT_EQ(0, gpu_ioctl(rig->gpu.fd, DRM_IOCTL_PANTHOR_SET_USER_MMIO_OFFSET, &args));
	page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, rig->gpu.fd,
		    DRM_PANTHOR_USER_MMIO_OFFSET_32BIT);
	ASSERT_NE(MAP_FAILED, (void *)page);
	ASSERT_TRUE(wait_off(self->status));
	EXPECT_EQ(NOT_POWERED, *page);
	cs_put32(&cs, rig->data.va + 4, 1);
	cs_spin_while_zero(&cs, rig->data.va);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	ASSERT_EQ(0, rig_wait_word(rig, 1, 1));
	EXPECT_LT(NOT_POWERED, *page);
	EXPECT_NE(POISON, *page);
	rig->data.u32[0] = 1;
	ASSERT_EQ(1, rig_wait(rig));
	ASSERT_TRUE(wait_off(self->status));
	EXPECT_EQ(NOT_POWERED, *page);
	munmap((void *)page, PAGE);
}

struct reader {
	volatile const uint32_t *page;
	atomic_bool stop;
	uint64_t reads, wrong;
};

static void *read_all_the_time(void *data)
{
	struct reader *reader = data;

	while (!atomic_load(&reader->stop)) {
		uint32_t id = *reader->page;

		reader->wrong += id == 0 || id == POISON;
		reader->reads++;
	}
	return NULL;
}

TEST_F_TIMEOUT(power, a_reader_of_the_flush_id_never_sees_the_power_go, 120)
{
	struct rig *rig = &self->rig;
	struct reader reader = {
		.page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, rig->gpu.fd,
			     DRM_PANTHOR_USER_FLUSH_ID_MMIO_OFFSET),
	};
	pthread_t thread;

	ASSERT_NE(MAP_FAILED, (void *)reader.page);
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_all_the_time, &reader));
	for (uint32_t i = 0; i < 10; i++) {
		ASSERT_EQ(1, put(rig, 0, 0, 1 + i));
		ASSERT_TRUE(wait_off(self->status));
	}
	atomic_store(&reader.stop, true);
	pthread_join(thread, NULL);
	EXPECT_LT(0, reader.reads);
	EXPECT_EQ(0, reader.wrong);
	munmap((void *)reader.page, PAGE);
}

/* Domain, then clocks; back in the reverse order. The supplies stay on. */
TEST_F(power, what_is_switched_on_is_switched_off_in_reverse)
{
	char log[64];

	ASSERT_TRUE(wait_off(self->status));
	ASSERT_EQ(0, power_write("reset"));
	ASSERT_EQ(1, put(&self->rig, 0, 0, 1));
	power_read(log, sizeof(log));
	EXPECT_STREQ("DCSG", log);
	ASSERT_TRUE(wait_off(self->status));
	power_read(log, sizeof(log));
	EXPECT_STREQ("DCSGgscd", log);
}

/* Each step in turn refuses: what was done is undone, the call says so, and the next one works. */
TEST_F_TIMEOUT(power, a_failed_resume_is_undone_and_can_be_tried_again, 120)
{
	static const struct {
		const char *refuse, *log;
	} steps[] = {
		{ "refuse pd_gpu 1", "!D" },
		{ "refuse clk_gpu 1", "D!Cd" },
		{ "refuse clk_gpu_stacks 1", "DC!Scd" },
		{ "refuse clk_gpu_coregroup 1", "DCS!Gscd" },
	};
	struct rig *rig = &self->rig;

	KNOWN_C_DEFECT(&rig->gpu, "a job whose GPU cannot be resumed ends with a WARN");
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		char log[64];

		ASSERT_TRUE(wait_off(self->status));
		ASSERT_EQ(0, power_write("reset"));
		ASSERT_EQ(0, power_write(steps[i].refuse));
		EXPECT_EQ(-EIO, put(rig, 0, 0, 1));
		sleep_ms(100);
		power_read(log, sizeof(log));
		EXPECT_STREQ(steps[i].log, log);
		EXPECT_EQ(1, put(rig, 0, 0, 100 + i));
	}
}

/*
 * Firmware that does not boot from its memory is loaded again; if that fails, the call fails.
 * By rule G5, what was written is there for the processor: it checks its image, and records a bad one.
 */
TEST_F_TIMEOUT(power, firmware_that_fails_to_resume_is_loaded_again, 120)
{
	struct rig *rig = &self->rig;
	struct hwmodel_counters before;

	ASSERT_EQ(1, put(rig, 0, 0, 1));
	ASSERT_TRUE(wait_off(self->status));
	ASSERT_EQ(0, hwmodel_read(&before));
	/* One request that is ignored: the attempt ends before the MCU starts. */
	ASSERT_EQ(0, hwmodel_inject("l2 fail 1"));
	KNOWN_C_DEFECT(&rig->gpu, "it does not notice that the L2 cache stays off");
	EXPECT_EQ(1, put(rig, 0, 1, 2));
	EXPECT_EQ(1, since(&before, "mcu_boot"));
	ASSERT_TRUE(wait_off(self->status));
	ASSERT_EQ(0, hwmodel_inject("l2 fail 10"));
	EXPECT_GT(0, put(rig, 0, 1, 3));
	ASSERT_EQ(0, hwmodel_inject("clear"));
	EXPECT_EQ(1, put(rig, 0, 1, 4));
}

TEST_F_TIMEOUT(power, firmware_that_does_not_halt_is_loaded_again, 120)
{
	struct rig *rig = &self->rig;
	struct hwmodel_counters before;

	ASSERT_EQ(1, put(rig, 0, 0, 1));
	ASSERT_EQ(0, hwmodel_inject("mcu halt hang"));
	ASSERT_TRUE(wait_off(self->status));
	ASSERT_EQ(0, hwmodel_inject("clear"));
	ASSERT_EQ(0, hwmodel_read(&before));
	/* The group was saved by the firmware that was there before. */
	EXPECT_EQ(1, put(rig, 0, 0, 2));
	EXPECT_EQ(1, since(&before, "mcu_boot"));
	EXPECT_EQ(1, since(&before, "csg_resume"));
}

/*
 * What is in the caches goes with the reset that is the only way off then: a group that was saved there is told,
 * and firmware that was halted is loaded again.
 */
TEST_F_TIMEOUT(power, what_does_not_get_out_of_the_caches_is_not_used_again, 120)
{
	struct rig *rig = &self->rig;
	struct hwmodel_counters before;
	uint32_t state, fatal;

	KNOWN_C_DEFECT(&rig->gpu, "groups that a flush could not save end without a reason");
	for (uint32_t i = 0; i < 2; i++) {
		power_keep_on(&rig->gpu, true);
		ASSERT_EQ(1, put(rig, 0, 0, 1 + i));
		if (i)
			/* Nobody is in a slot, so that the firmware is the only one with something to lose. */
			ASSERT_EQ(0, group_destroy(&rig->gpu, rig->group));
		sleep_ms(100);
		ASSERT_EQ(0, hwmodel_inject("flush hang 1"));
		power_keep_on(&rig->gpu, false);
		ASSERT_TRUE(wait_off(self->status));
		ASSERT_EQ(0, hwmodel_inject("clear"));
		ASSERT_EQ(0, hwmodel_read(&before));
		if (!i) {
			ASSERT_EQ(0, group_state(&rig->gpu, rig->group, &state, &fatal));
			EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_TIMEDOUT | DRM_PANTHOR_GROUP_STATE_INNOCENT, state);
			EXPECT_GT(0, put(rig, 0, 0, 10));
			ASSERT_EQ(0, group_destroy(&rig->gpu, rig->group));
		}
		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 2, PANTHOR_GROUP_PRIORITY_MEDIUM, &rig->group));
		EXPECT_EQ(1, put(rig, 0, 0, 20 + i));
		EXPECT_EQ(1, since(&before, "mcu_boot"));
		EXPECT_EQ(0, since(&before, "mcu_resume"));
		EXPECT_EQ(0, since(&before, "csg_resume"));
	}
}

/* Nobody's device is switched on just to be unbound, or it is; both have to leave it off. */
TEST_F_TIMEOUT(power, an_unbind_leaves_it_off_whether_it_was_on_or_not, 120)
{
	struct rig *rig = &self->rig;

	for (int busy = 0; busy < 2; busy++) {
		struct gpu gpu = rig->gpu;
		char log[256];
		size_t len;

		if (busy) {
			ASSERT_EQ(1, put(rig, 0, 0, 1));
		} else {
			ASSERT_TRUE(wait_off(self->status));
		}
		ASSERT_EQ(0, power_write("reset"));
		ASSERT_EQ(0, device_unbind(&gpu));
		sleep_ms(200);
		power_read(log, sizeof(log));
		len = strlen(log);
		/* Clocks, then the domain and the supplies, in whatever order these two. */
		ASSERT_LE(6, len) {
			TH_LOG("%s", log);
		}
		EXPECT_EQ(0, strncmp("gsc", log + len - 6, 3)) {
			TH_LOG("%s", log);
		}
		rig_abandon(rig);
		ASSERT_EQ(0, device_bind(&gpu));
		ASSERT_EQ(0, device_reopen(&gpu));
		gpu_close(&gpu);
		ASSERT_EQ(0, rig_open(rig, 2));
		ASSERT_EQ(1, put(rig, 0, 0, 2));
	}
}

/* Each step of a probe in turn refuses: nothing stays on, and the next probe works. */
TEST_F_TIMEOUT(power, a_failed_probe_leaves_nothing_on, 120)
{
	static const char *const steps[] = {
		"refuse vdd-gpu 1", "refuse vdd-gpu-mem 1", "refuse pd_gpu 1", "refuse clk_gpu 1",
		"refuse clk_gpu_stacks 1", "refuse clk_gpu_coregroup 1",
	};
	struct rig *rig = &self->rig;
	struct gpu gpu = rig->gpu;

	KNOWN_C_DEFECT(&gpu, "a supply that does not come on is not noticed");
	ASSERT_EQ(0, device_unbind(&gpu));
	rig_abandon(rig);
	sleep_ms(200);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int balance[128] = { 0 };
		char log[256];

		ASSERT_EQ(0, power_write("reset"));
		ASSERT_EQ(0, power_write(steps[i]));
		EXPECT_NE(0, device_bind(&gpu)) {
			TH_LOG("%s", steps[i]);
		}
		ASSERT_EQ(0, power_write("refuse none 0"));
		sleep_ms(200);
		power_read(log, sizeof(log));
		for (const char *at = log; *at; at++) {
			if (*at == '!')
				at++;
			else if (*at >= 'a')
				balance[(unsigned char)*at]--;
			else
				balance[(unsigned char)*at + 32]++;
		}
		for (const char *name = "dcsgvm"; *name; name++) {
			EXPECT_EQ(0, balance[(unsigned char)*name]) {
				TH_LOG("%s: %s", steps[i], log);
			}
		}
	}
	ASSERT_EQ(0, device_bind(&gpu));
	ASSERT_EQ(0, device_reopen(&gpu));
	gpu_close(&gpu);
	ASSERT_EQ(0, rig_open(rig, 2));
	EXPECT_EQ(1, put(rig, 0, 0, 1));
}

TEST_HARNESS_MAIN
