/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Pages of the CPU, which GPU and NPU know nothing of. */
#ifndef SELFTEST_PAGE_H
#define SELFTEST_PAGE_H

#include <stdint.h>
#include <unistd.h>

/* What buffers are rounded up to, and mappings of user space: 4, 16 or 64 KiB. */
static inline uint64_t cpu_page(void)
{
	return sysconf(_SC_PAGESIZE);
}

#endif
