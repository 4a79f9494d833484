// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Device trees that differ from the usual one. Each test is for one of them, and skipped with others. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cores.h"
#include "powerlog.h"
#include "suite.h"

#define CORE_1	"/sys/firmware/devicetree/base/soc/npu@adac0000"

/* Bytes of a property; negative if there is none. */
static long property_size(const char *name)
{
	char path[128];
	struct stat stat_buf;

	snprintf(path, sizeof(path), CORE_1 "/%s", name);
	return stat(path, &stat_buf) ? -errno : stat_buf.st_size;
}

/* Nobody could stop such a core. */
TEST(a_core_without_reset_lines_is_left_out)
{
	NEEDS_MODEL();
	if (property_size("resets") >= 0)
		SKIP(return, "another device tree");
	EXPECT_TRUE(core_is_bound(0));
	EXPECT_FALSE(core_is_bound(1));
	EXPECT_TRUE(core_is_bound(2));
	EXPECT_EQ(-ENOENT, core_bind(1));
	EXPECT_EQ(0, cores_run(0x5));
}

static const struct switched domains[] = {
	{ "pd_npu1", 'a' }, { "pd_npu2", 'b' }, { "pd_gpu1", 'c' }, { "pd_gpu2", 'd' },
};

/* rule F2: in the order of the device tree, and back in reverse; and only those cores count for the node that are enabled. */
TEST(a_core_that_has_several_power_domains_switches_them_in_order)
{
	char log[64];

	NEEDS_MODEL();
	if (property_size("power-domains") != 32)
		SKIP(return, "another device tree");
	ASSERT_EQ(2, cores_count());
	for (uint32_t i = 0; i < 3; i++) {
		ASSERT_EQ(0, cores_wait_off());
		ASSERT_EQ(0, powerlog_write("reset"));
		EXPECT_EQ(0, cores_run(0x3));
		powerlog_read(domains, ARRAY_SIZE(domains), log, sizeof(log));
		EXPECT_STREQ("ABCD", log);
		ASSERT_EQ(0, cores_wait_off());
		usleep(100000);
		powerlog_read(domains, ARRAY_SIZE(domains), log, sizeof(log));
		EXPECT_STREQ("ABCDdcba", log);
	}
}

/*
 * Those before it go off again, the last one first; all but that of the IOMMU, which the PM core leaves on until the
 * next use. The other core does the work.
 */
TEST(a_power_domain_that_refuses_takes_back_those_before_it)
{
	struct hwmodel_counters before;
	char log[64];

	NEEDS_MODEL();
	if (property_size("power-domains") != 32)
		SKIP(return, "another device tree");
	ASSERT_EQ(0, cores_wait_off());
	ASSERT_EQ(0, powerlog_write("reset"));
	ASSERT_EQ(0, powerlog_write("refuse pd_gpu2 1"));
	ASSERT_EQ(0, hwmodel_read(&before));
	/* Both results are right, but of one core. */
	EXPECT_EQ(-ESRCH, cores_run(0x3));
	EXPECT_EQ(2, hwmodel_since(&before, "npu0_task"));
	EXPECT_EQ(0, hwmodel_since(&before, "npu1_task"));
	ASSERT_EQ(0, cores_wait_off());
	usleep(300000);
	powerlog_read(domains, ARRAY_SIZE(domains), log, sizeof(log));
	EXPECT_STREQ("ABC!Dcb", log);
	ASSERT_EQ(0, powerlog_write("refuse none 0"));
	EXPECT_EQ(0, cores_run(0x3));
}

TEST_HARNESS_MAIN
