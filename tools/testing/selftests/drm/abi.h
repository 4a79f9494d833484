/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef SELFTEST_ABI_H
#define SELFTEST_ABI_H

/*
 * One number that user space was compiled with, and the C expression that gives it. There is no pointer
 * in it, so that tables of programs of 32 and of 64 bits can be compared byte by byte.
 */
struct abi_fact {
	char name[88];
	unsigned long long value;
};

/* Both end with a fact that has no name. */
extern const struct abi_fact abi_here[];
extern const struct abi_fact abi_kernel[];

#endif
