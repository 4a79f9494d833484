/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef SELFTEST_ABI_H
#define SELFTEST_ABI_H

/* One number that user space was compiled with, and the C expression that gives it. */
struct abi_fact {
	const char *name;
	unsigned long long value;
};

/* Both end with a fact that has no name. */
extern const struct abi_fact abi_here[];
extern const struct abi_fact abi_kernel[];

#endif
