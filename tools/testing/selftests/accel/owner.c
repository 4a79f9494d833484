// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Who has a core's IOMMU: the driver, or somebody else, as VFIO is on behalf of user space. Needs claimer.ko, which
 * is next to these programs where they are built.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cores.h"
#include "module.h"
#include "suite.h"
#include "text.h"

#define CORES	3
#define CLAIMER	"/sys/module/claimer"

static bool find_claimer(char *path, size_t size)
{
	char self[PATH_MAX], *slash;
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len < 0)
		return false;
	self[len] = '\0';
	slash = strrchr(self, '/');
	*slash = '\0';
	snprintf(path, size, "%s/../exporter/claimer.ko", self);
	return access(path, R_OK) == 0;
}

/* Claims a core's IOMMU and gives it back: 0, or what the kernel says. */
static int claim(uint32_t core)
{
	char path[256], *name;
	int ret = core_attribute(core, "", path, sizeof(path));

	if (ret)
		return ret;
	path[strlen(path) - 1] = '\0';
	name = strrchr(path, '/') + 1;
	return text_write(CLAIMER "/parameters/device", name);
}

FIXTURE(owner) {
};

FIXTURE_SETUP(owner)
{
	char module[PATH_MAX + 32];

	NEEDS_MODEL();
	KNOWN_C_DEFECT("a core that goes leaves its place in the table");
	/* It stays: KASAN does not forget, in User-mode Linux, what was where a module is loaded. */
	if (access(CLAIMER, F_OK)) {
		if (!find_claimer(module, sizeof(module)))
			SKIP(return, "needs claimer.ko");
		ASSERT_EQ(0, module_load(module));
	}
	ASSERT_EQ(CORES, cores_count());
}

FIXTURE_TEARDOWN(owner)
{
	for (uint32_t i = 0; i < CORES; i++) {
		if (!core_is_bound(i))
			core_bind(i);
	}
	EXPECT_EQ(0, hwmodel_records());
}

/* By rule F9: on or off, with an address space or without. */
TEST_F(owner, a_core_that_the_driver_has_is_nobody_elses)
{
	for (uint32_t i = 0; i < CORES; i++)
		EXPECT_EQ(-EPERM, claim(i));
	EXPECT_EQ(0, cores_run(0x7));
	for (uint32_t i = 0; i < CORES; i++)
		EXPECT_EQ(-EPERM, claim(i));
	ASSERT_EQ(0, cores_wait_off());
	for (uint32_t i = 0; i < CORES; i++)
		EXPECT_EQ(-EPERM, claim(i));
}

/*
 * Whoever claims an IOMMU group waits for memory with the group's mutex held, which a job takes to give a core its
 * address space. Never that of the same group: a kernel with lockdep, which has one class for them all, has nothing
 * to say.
 */
TEST_F(owner, a_core_without_a_driver_may_be_somebody_elses_before_jobs_run_and_after)
{
	for (uint32_t n = 0; n < 3; n++) {
		uint32_t core = n % CORES;

		ASSERT_EQ(0, core_unbind(core));
		EXPECT_EQ(0, claim(core));
		EXPECT_EQ(0, cores_run(0x7 & ~(1 << core)));
		ASSERT_EQ(0, core_bind(core));
		EXPECT_EQ(0, cores_run(0x7));
	}
}

TEST_HARNESS_MAIN
