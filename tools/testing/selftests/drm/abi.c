// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The ABIs of this tree's headers are those of the kernel's headers. Needs no device; runs at build
 * time as well.
 */
#include <string.h>

#include "kselftest_harness.h"

#include "abi.h"

TEST(no_fact_is_missing_in_either_header)
{
	size_t i;

	/* A name that only one header knows does not even compile; here the tables are in step. */
	for (i = 0; abi_kernel[i].name[0] && abi_here[i].name[0]; i++)
		ASSERT_STREQ(abi_kernel[i].name, abi_here[i].name);
	EXPECT_EQ(0, abi_kernel[i].name[0]);
	EXPECT_EQ(0, abi_here[i].name[0]);
	/* 21 ioctls with structures of two members at the least: fewer means a broken generator. */
	EXPECT_LT(250, i);
}

TEST(every_size_offset_value_and_ioctl_number_is_that_of_the_kernel)
{
	size_t i;

	for (i = 0; abi_kernel[i].name[0] && abi_here[i].name[0]; i++) {
		EXPECT_EQ(abi_kernel[i].value, abi_here[i].value) {
			TH_LOG("%s", abi_kernel[i].name);
		}
	}
}

TEST_HARNESS_MAIN
