/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the test programs share on top of the kernel's harness. */
#ifndef SELFTEST_SUITE_H
#define SELFTEST_SUITE_H

#include "kselftest_harness.h"

#include "gpu.h"
#include "rig.h"

/*
 * A property that the kernel's C driver is known not to have. The test states it all the same,
 * and is held against every other driver.
 */
#define KNOWN_C_DEFECT(gpu, what) do {					\
	if (gpu_is_c_driver(gpu))					\
		SKIP(return, "known defect of the C driver: " what);	\
} while (0)

/* The same for a leak, which only a kernel that looks for leaks notices. */
#define KNOWN_C_LEAK(gpu, what) do {						\
	if (gpu_is_c_driver(gpu) && !access("/sys/kernel/debug/kmemleak", F_OK))	\
		SKIP(return, "known leak of the C driver: " what);		\
} while (0)

/* For calls that a driver may leave out: it says so with an errno of its own. */
static inline bool not_offered(int ret)
{
	return ret == -EOPNOTSUPP || ret == -ENOSYS || ret == -ENOTTY;
}

#define SKIP_IF_NOT_OFFERED(ret, what) do {				\
	if (not_offered(ret))						\
		SKIP(return, what " is not offered by this driver");	\
} while (0)

#endif
