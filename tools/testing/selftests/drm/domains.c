// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A GPU with one to five power domains: on in the order of the device tree before its clocks, off in the reverse
 * order after them. How many there are depends on the tree that the guest was booted with. Needs root.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "power.h"
#include "suite.h"

#define MAX_DOMAINS	5
#define DOMAINS		"/proc/device-tree/soc/gpu@20000000/power-domains"

static const char *const domains[MAX_DOMAINS] = { "pd_gpu", "pd_gpu1", "pd_gpu2", "pd_gpu3", "pd_gpu4" };
static const char *const clocks[] = { "clk_gpu", "clk_gpu_stacks", "clk_gpu_coregroup" };

/* What the tree says, by the size of the property: a phandle and a number for each. */
static size_t count_domains(void)
{
	struct stat stat_buf;

	return stat(DOMAINS, &stat_buf) ? 0 : stat_buf.st_size / 8;
}

FIXTURE(domains)
{
	struct rig rig;
	bool present;
	char status[160];
	const char *names[MAX_DOMAINS + ARRAY_SIZE(clocks)];
	size_t count, all;
};

FIXTURE_SETUP(domains)
{
	char status[32];
	struct gpu gpu;

	self->present = false;
	if (!hwmodel_present())
		SKIP(return, "no modelled hardware");
	if (gpu_open(&gpu))
		SKIP(return, "the driver has not found all of the device");
	gpu_close(&gpu);
	ASSERT_EQ(0, rig_open(&self->rig, 2));
	power_status_path(&self->rig.gpu, self->status, sizeof(self->status));
	power_status(self->status, status, sizeof(status));
	if (!status[0] || !strcmp(status, "unsupported")) {
		rig_close(&self->rig);
		SKIP(return, "a kernel without power management");
	}
	self->present = true;
	self->count = count_domains();
	ASSERT_LE(1, self->count);
	ASSERT_GE(MAX_DOMAINS, self->count);
	for (size_t i = 0; i < self->count; i++)
		self->names[self->all++] = domains[i];
	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++)
		self->names[self->all++] = clocks[i];
}

FIXTURE_TEARDOWN(domains)
{
	if (!self->present)
		return;
	power_write("refuse none 0");
	rig_close(&self->rig);
	EXPECT_EQ(0, hwmodel_records());
}

static void line(char *log, size_t size, char what, const char *name)
{
	size_t len = strlen(log);

	snprintf(log + len, size - len, "%c%s\n", what, name);
}

TEST_F(domains, they_come_before_the_clocks_and_go_after_them_in_reverse)
{
	char log[1024], expected[1024] = "";

	KNOWN_C_DEFECT(&self->rig.gpu, "it leaves the order on the way down to the PM core");
	for (size_t i = 0; i < self->all; i++)
		line(expected, sizeof(expected), '+', self->names[i]);
	ASSERT_TRUE(wait_off(self->status));
	ASSERT_EQ(0, power_write("reset"));
	ASSERT_EQ(1, rig_put(&self->rig, 1));
	power_lines("+-!", log, sizeof(log));
	EXPECT_STREQ(expected, log);
	for (size_t i = self->all; i > 0; i--)
		line(expected, sizeof(expected), '-', self->names[i - 1]);
	ASSERT_TRUE(wait_off(self->status));
	power_lines("+-!", log, sizeof(log));
	EXPECT_STREQ(expected, log);
}

/* The control as well: jobs before and after a time without power. */
TEST_F_TIMEOUT(domains, jobs_before_and_after_a_time_without_power, 120)
{
	for (uint32_t i = 0; i < 5; i++) {
		ASSERT_EQ(1, rig_put(&self->rig, 1 + i));
		ASSERT_TRUE(wait_off(self->status));
	}
}

/* Each step in turn refuses: what was done is undone in reverse, the call says so, and the next one works. */
TEST_F_TIMEOUT(domains, a_failed_resume_is_undone_in_reverse, 120)
{
	KNOWN_C_DEFECT(&self->rig.gpu, "a job whose GPU cannot be resumed ends with a WARN");
	for (size_t step = 0; step < self->all; step++) {
		char log[1024], expected[1024] = "", refuse[64];

		for (size_t i = 0; i < step; i++)
			line(expected, sizeof(expected), '+', self->names[i]);
		line(expected, sizeof(expected), '!', self->names[step]);
		for (size_t i = step; i > 0; i--)
			line(expected, sizeof(expected), '-', self->names[i - 1]);
		snprintf(refuse, sizeof(refuse), "refuse %s 1", self->names[step]);
		ASSERT_TRUE(wait_off(self->status));
		ASSERT_EQ(0, power_write("reset"));
		ASSERT_EQ(0, power_write(refuse));
		EXPECT_EQ(-EIO, rig_put(&self->rig, 0));
		/* A single domain is the bus's, which leaves it on for a moment. */
		sleep_ms(200);
		power_lines("+-!", log, sizeof(log));
		EXPECT_STREQ(expected, log);
		EXPECT_EQ(1, rig_put(&self->rig, 100 + step));
	}
}

/* As often on as off. */
static bool balanced(const char *log, const char *name)
{
	char text[1024], *at;
	int balance = 0;

	snprintf(text, sizeof(text), "%s", log);
	for (at = strtok(text, "\n"); at; at = strtok(NULL, "\n")) {
		if (!strcmp(at + 1, name))
			balance += at[0] == '+' ? 1 : at[0] == '-' ? -1 : 0;
	}
	return !balance;
}

TEST_F_TIMEOUT(domains, a_failed_probe_leaves_none_on, 120)
{
	struct rig *rig = &self->rig;
	struct gpu gpu = rig->gpu;

	ASSERT_EQ(0, device_unbind(&gpu));
	rig_abandon(rig);
	sleep_ms(200);
	for (size_t step = 0; step < self->all; step++) {
		char log[1024], refuse[64];

		snprintf(refuse, sizeof(refuse), "refuse %s 1", self->names[step]);
		ASSERT_EQ(0, power_write("reset"));
		ASSERT_EQ(0, power_write(refuse));
		EXPECT_NE(0, device_bind(&gpu));
		sleep_ms(200);
		power_lines("+-!", log, sizeof(log));
		for (size_t i = 0; i < self->all; i++) {
			EXPECT_TRUE(balanced(log, self->names[i])) {
				TH_LOG("%s refused, %s:\n%s", self->names[step], self->names[i], log);
			}
		}
	}
	ASSERT_EQ(0, device_bind(&gpu));
	ASSERT_EQ(0, device_reopen(&gpu));
	gpu_close(&gpu);
	ASSERT_EQ(0, rig_open(rig, 2));
	EXPECT_EQ(1, rig_put(rig, 1));
}

/* Whether a file of the kernel's has a line with @text. */
static bool says(const char *path, const char *text)
{
	char line[4096];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool found = false;
	ssize_t len;

	while (!found && fd >= 0 && (len = read(fd, line, sizeof(line) - 1)) > 0) {
		line[len] = '\0';
		found = strstr(line, text);
	}
	if (fd >= 0)
		close(fd);
	return found;
}

TEST(a_domain_that_is_missing_is_named)
{
	struct gpu gpu;

	if (!gpu_open(&gpu)) {
		gpu_close(&gpu);
		SKIP(return, "the tree has all of them");
	}
	EXPECT_TRUE(says("/dev/kmsg", "no power domain 1 (cores)") ||
		    says("/sys/kernel/debug/devices_deferred", "no power domain 1 (cores)"));
}

TEST_HARNESS_MAIN
