// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Cores that are probed in whichever order, and cores whose probe fails. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cores.h"
#include "module.h"
#include "powerlog.h"
#include "suite.h"

#define CORES	3
#define NODE	"/dev/accel/accel0"

/* Whether the bus lets drivers probe by itself. */
static int autoprobe(bool on)
{
	int fd = open("/sys/bus/platform/drivers_autoprobe", O_WRONLY | O_CLOEXEC);
	int ret = fd >= 0 && write(fd, on ? "1" : "0", 1) == 1 ? 0 : -errno;

	if (fd >= 0)
		close(fd);
	return ret;
}

static bool is_loaded(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/module/%s", driver_name());
	return access(path, F_OK) == 0;
}

/* A driver without a core. */
static int load_anew(void)
{
	int ret = is_loaded() ? module_unload(driver_name()) : 0;

	ret = ret ?: autoprobe(false);
	return ret ?: module_load(module_path());
}

FIXTURE(probe) {
	bool ready;
};

FIXTURE_SETUP(probe)
{
	NEEDS_MODEL();
	KNOWN_C_DEFECT("the node is there before any core is");
	if (!module_path())
		SKIP(return, "DRM_TEST_MODULE does not say where the driver is");
	self->ready = true;
	ASSERT_EQ(CORES, cores_count());
}

FIXTURE_TEARDOWN(probe)
{
	if (!self->ready)
		return;
	powerlog_write("refuse none 0");
	hwmodel_inject("clear");
	autoprobe(true);
	if (!is_loaded())
		module_load(module_path());
	for (uint32_t i = 0; i < CORES; i++) {
		if (!core_is_bound(i))
			core_bind(i);
	}
}

/* By rule F1: one node for all cores, whose probes come in any order. */
TEST_F(probe, the_node_comes_with_the_last_core_in_whichever_order)
{
	static const uint32_t orders[][CORES] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};

	for (size_t n = 0; n < ARRAY_SIZE(orders); n++) {
		ASSERT_EQ(0, load_anew());
		for (uint32_t i = 0; i < CORES; i++) {
			EXPECT_NE(0, access(NODE, F_OK));
			ASSERT_EQ(0, core_bind(orders[n][i]));
		}
		ASSERT_EQ(0, access(NODE, F_OK));
		EXPECT_EQ(0, cores_run(0x7));
	}
}

/* The clock that all cores share refuses twice: once the power domain, and once the driver. */
TEST_F(probe, a_core_whose_probe_fails_is_left_out_and_can_come_later)
{
	for (uint32_t core = 0; core < CORES; core++) {
		ASSERT_EQ(0, load_anew());
		ASSERT_EQ(0, powerlog_write("refuse clk_npu 2"));
		EXPECT_EQ(-EIO, core_bind(core));
		ASSERT_EQ(0, powerlog_write("refuse none 0"));
		for (uint32_t i = 0; i < CORES; i++) {
			if (i == core)
				continue;
			EXPECT_NE(0, access(NODE, F_OK));
			ASSERT_EQ(0, core_bind(i));
		}
		ASSERT_EQ(0, access(NODE, F_OK));
		EXPECT_EQ(0, cores_run(0x7 & ~(1 << core)));
		ASSERT_EQ(0, core_bind(core));
		EXPECT_EQ(0, cores_run(0x7));
	}
}

/* Whichever core is the last one to be probed, and whether that one is the one that fails. */
TEST_F(probe, the_node_comes_too_if_it_is_the_last_core_that_fails)
{
	ASSERT_EQ(0, load_anew());
	ASSERT_EQ(0, core_bind(0));
	ASSERT_EQ(0, core_bind(2));
	EXPECT_NE(0, access(NODE, F_OK));
	/* Of core 1 alone: the others have the clock on for a while. */
	ASSERT_EQ(0, powerlog_write("refuse hclk_npu1 9"));
	EXPECT_GT(0, core_bind(1));
	ASSERT_EQ(0, powerlog_write("refuse none 0"));
	ASSERT_EQ(0, access(NODE, F_OK));
	EXPECT_EQ(0, cores_run(0x5));
}

/* One that nobody brings: it may be waiting for something. The others serve after a while, and it may come later. */
TEST_F_TIMEOUT(probe, the_node_comes_without_a_core_that_does_not_come, 200)
{
	int64_t end;

	ASSERT_EQ(0, load_anew());
	ASSERT_EQ(0, core_bind(0));
	ASSERT_EQ(0, core_bind(2));
	EXPECT_NE(0, access(NODE, F_OK));
	for (end = now_ns() + 3 * PATIENCE; access(NODE, F_OK) && now_ns() < end;)
		usleep(100000);
	EXPECT_EQ(0, cores_run(0x5));
	ASSERT_EQ(0, core_bind(1));
	EXPECT_EQ(0, cores_run(0x7));
}

/* And nobody waits any more when the driver is unloaded. */
TEST_F(probe, a_driver_that_waits_for_a_core_can_be_unloaded)
{
	for (uint32_t n = 0; n < 3; n++) {
		ASSERT_EQ(0, load_anew());
		ASSERT_EQ(0, core_bind(n));
		EXPECT_NE(0, access(NODE, F_OK));
	}
}

TEST_F(probe, there_is_no_node_if_all_cores_fail)
{
	ASSERT_EQ(0, load_anew());
	for (uint32_t i = 0; i < CORES; i++) {
		ASSERT_EQ(0, powerlog_write("refuse clk_npu 2"));
		EXPECT_EQ(-EIO, core_bind(i));
	}
	ASSERT_EQ(0, powerlog_write("refuse none 0"));
	EXPECT_NE(0, access(NODE, F_OK));
	ASSERT_EQ(0, core_bind(1));
	ASSERT_EQ(0, access(NODE, F_OK));
	EXPECT_EQ(0, cores_run(0x2));
}

/*
 * Each step in turn refuses: nothing stays on, and the next attempt works. Twice each, as somebody tries
 * before: a domain is switched on for the IOMMU first, a clock by its domain.
 */
TEST_F(probe, one_that_fails_leaves_nothing_on)
{
	static const struct switched names[] = {
		{ "pd_npu", 's' }, { "pd_nputop", 't' }, { "pd_npu1", 'd' }, { "aclk_npu1", 'a' },
		{ "hclk_npu1", 'h' }, { "clk_npu", 'c' }, { "pclk_npu", 'p' }, { "vdd-npu", 'v' },
	};
	static const char * const steps[] = {
		"refuse pd_npu1 2", "refuse pd_nputop 2", "refuse pd_npu 2", "refuse clk_npu 2",
		"refuse pclk_npu 2",
	};
	char log[512];

	ASSERT_EQ(0, load_anew());
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		ASSERT_EQ(0, powerlog_write("reset"));
		ASSERT_EQ(0, powerlog_write(steps[i]));
		EXPECT_GT(0, core_bind(1)) {
			TH_LOG("%s", steps[i]);
		}
		ASSERT_EQ(0, powerlog_write("refuse none 0"));
		/* The PM core switches domains off a moment later. */
		usleep(300000);
		powerlog_read(names, ARRAY_SIZE(names), log, sizeof(log));
		EXPECT_TRUE(powerlog_balanced(log)) {
			TH_LOG("%s: %s", steps[i], log);
		}
	}
	ASSERT_EQ(0, core_bind(1));
}

TEST_HARNESS_MAIN
