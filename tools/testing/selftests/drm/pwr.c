// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The PWR block of architecture 14: in which order it is commanded, what is undone when it refuses, and cores that
 * the firmware has left on. Needs root, and a guest whose tree has such a GPU (soc-g1).
 */
#include <fcntl.h>
#include <unistd.h>

#include "device.h"
#include "hwmodel.h"
#include "power.h"
#include "suite.h"

#define PWR_LOG		HWMODEL_DIR "/pwr"

/* The L2 cache, then the cores' domains to the firmware. */
#define UP		"up l2\ndelegate shader\ndelegate tiler\n"

FIXTURE(pwr)
{
	struct rig rig;
	bool present;
	char status[160];
};

FIXTURE_SETUP(pwr)
{
	struct drm_panthor_gpu_info info;
	char status[32];

	self->present = false;
	if (!hwmodel_present())
		SKIP(return, "no modelled hardware");
	ASSERT_EQ(0, rig_open(&self->rig, 1));
	ASSERT_EQ(0, gpu_info(&self->rig.gpu, &info));
	power_status_path(&self->rig.gpu, self->status, sizeof(self->status));
	power_status(self->status, status, sizeof(status));
	if (DRM_PANTHOR_ARCH_MAJOR(info.gpu_id) < 14 || !status[0] || !strcmp(status, "unsupported")) {
		rig_close(&self->rig);
		SKIP(return, "a GPU without a PWR block, or a kernel without power management");
	}
	self->present = true;
}

FIXTURE_TEARDOWN(pwr)
{
	if (!self->present)
		return;
	hwmodel_inject("clear");
	rig_close(&self->rig);
	EXPECT_EQ(0, hwmodel_records());
}

static int log_reset(void)
{
	int fd = open(PWR_LOG, O_WRONLY | O_CLOEXEC);
	int ret = fd < 0 || write(fd, "reset", 5) != 5 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

static void log_read(char *log, size_t size)
{
	FILE *file = fopen(PWR_LOG, "r");
	size_t len = file ? fread(log, 1, size - 1, file) : 0;

	log[len] = '\0';
	if (file)
		fclose(file);
}

/* By rule I2: the driver powers the L2 cache only; the cores are the firmware's. */
TEST_F(pwr, the_l2_comes_first_and_goes_last_and_cores_are_the_firmwares)
{
	char log[1024];

	ASSERT_TRUE(wait_off(self->status));
	ASSERT_EQ(0, log_reset());
	ASSERT_EQ(1, rig_put(&self->rig, 1));
	log_read(log, sizeof(log));
	EXPECT_STREQ(UP, log);
	ASSERT_TRUE(wait_off(self->status));
	log_read(log, sizeof(log));
	EXPECT_STREQ(UP "down l2\n", log);
}

/* A firmware that has halted, but left its cores on. */
TEST_F(pwr, cores_that_are_left_on_are_taken_back_before_the_l2_goes)
{
	char log[1024];

	ASSERT_TRUE(wait_off(self->status));
	ASSERT_EQ(0, log_reset());
	ASSERT_EQ(0, hwmodel_inject("mcu cores kept"));
	ASSERT_EQ(1, rig_put(&self->rig, 1));
	ASSERT_TRUE(wait_off(self->status));
	log_read(log, sizeof(log));
	EXPECT_STREQ(UP "retract tiler\ndown tiler\nretract shader\ndown shader\ndown l2\n", log);
	ASSERT_EQ(0, hwmodel_inject("clear"));
	EXPECT_EQ(1, rig_put(&self->rig, 2));
}

/* What was done before it was refused, what is undone, and what comes then. */
static const struct {
	const char *inject, *done, *undone;
} refusals[] = {
	{ "pwr refuse 1", "!up l2\n", "" },
	{ "pwr refuse 2", "up l2\n!delegate shader\n", "down l2\n" },
	{ "pwr refuse 3", "up l2\ndelegate shader\n!delegate tiler\n", "retract shader\ndown l2\n" },
};

/* Each step in turn: a resume is tried again from a reset, and the job never knows. */
TEST_F_TIMEOUT(pwr, a_refused_step_of_a_resume_is_undone_in_reverse_and_tried_again, 120)
{
	KNOWN_C_DEFECT(&self->rig.gpu, "it does not undo, and goes on without the L2 cache");
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		char log[1024], expected[1024];

		ASSERT_TRUE(wait_off(self->status));
		ASSERT_EQ(0, log_reset());
		ASSERT_EQ(0, hwmodel_inject(refusals[i].inject));
		EXPECT_EQ(1, rig_put(&self->rig, 10 + i));
		log_read(log, sizeof(log));
		snprintf(expected, sizeof(expected), "%s%sreset\n" UP, refusals[i].done, refusals[i].undone);
		EXPECT_STREQ(expected, log);
	}
}

/* The same for a probe, which fails. It begins with a reset, as nothing is known of the GPU. */
TEST_F_TIMEOUT(pwr, a_refused_step_of_a_probe_is_undone_in_reverse, 120)
{
	struct rig *rig = &self->rig;
	struct gpu gpu = rig->gpu;
	char log[1024];

	KNOWN_C_DEFECT(&gpu, "it does not undo");
	ASSERT_EQ(0, device_unbind(&gpu));
	rig_abandon(rig);
	ASSERT_EQ(0, log_reset());
	ASSERT_EQ(0, hwmodel_inject("pwr refuse 1"));
	EXPECT_NE(0, device_bind(&gpu));
	log_read(log, sizeof(log));
	EXPECT_STREQ("!reset\n", log);
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		char expected[1024], inject[32];

		ASSERT_EQ(0, log_reset());
		snprintf(inject, sizeof(inject), "pwr refuse %zu", i + 2);
		ASSERT_EQ(0, hwmodel_inject(inject));
		EXPECT_NE(0, device_bind(&gpu));
		log_read(log, sizeof(log));
		snprintf(expected, sizeof(expected), "reset\n%s%s", refusals[i].done, refusals[i].undone);
		EXPECT_STREQ(expected, log);
	}
	ASSERT_EQ(0, device_bind(&gpu));
	ASSERT_EQ(0, device_reopen(&gpu));
	gpu_close(&gpu);
	ASSERT_EQ(0, rig_open(rig, 1));
	EXPECT_EQ(1, rig_put(rig, 1));
}

/* A domain that never changes hands: the wait for it ends, and a reset helps. */
TEST_F_TIMEOUT(pwr, a_delegation_that_hangs_costs_a_reset, 120)
{
	struct hwmodel_counters before;

	KNOWN_C_DEFECT(&self->rig.gpu, "it goes on as if nothing were");
	ASSERT_TRUE(wait_off(self->status));
	ASSERT_EQ(0, hwmodel_read(&before));
	ASSERT_EQ(0, hwmodel_inject("pwr hang 1"));
	EXPECT_EQ(1, rig_put(&self->rig, 5));
	EXPECT_EQ(1, hwmodel_since(&before, "soft_reset"));
}

/* One that is refused is no reset: there is another one before the GPU is used again. */
TEST_F(pwr, a_refused_reset_is_tried_again)
{
	const char *node = self->rig.gpu.node;
	char file[128], log[1024];
	int fd;

	snprintf(file, sizeof(file), "/sys/kernel/debug/dri/%s/reset", node + strcspn(node, "0123456789"));
	if (access(file, W_OK))
		SKIP(return, "this driver does not reset on demand");
	ASSERT_EQ(0, power_keep_on(&self->rig.gpu, true));
	ASSERT_EQ(1, rig_put(&self->rig, 1));
	ASSERT_EQ(0, log_reset());
	ASSERT_EQ(0, hwmodel_inject("pwr refuse 1"));
	fd = open(file, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, write(fd, "1", 1));
	close(fd);
	log_read(log, sizeof(log));
	EXPECT_STREQ("!reset\nreset\n" UP, log);
	EXPECT_EQ(1, rig_put(&self->rig, 2));
	EXPECT_EQ(0, power_keep_on(&self->rig.gpu, false));
}

TEST_HARNESS_MAIN
