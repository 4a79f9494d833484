/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the test programs share on top of the kernel's harness. */
#ifndef SELFTEST_SUITE_H
#define SELFTEST_SUITE_H

#include <errno.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "hwmodel.h"
#include "layer.h"
#include "npu.h"

/*
 * A property that the kernel's C driver is known not to have. The test states it all the same,
 * and is held against every other driver.
 */
#define KNOWN_C_DEFECT(what) do {					\
	if (npu_is_c_driver())						\
		SKIP(return, "known defect of the C driver: " what);	\
} while (0)

#define NEEDS_MODEL() do {						\
	if (!hwmodel_present())						\
		SKIP(return, "needs the hardware model");		\
} while (0)

#endif
