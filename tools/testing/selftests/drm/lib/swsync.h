/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* A timeline of the kernel's debugging aid for fences, which signals when it is told to. */
#ifndef SELFTEST_SWSYNC_H
#define SELFTEST_SWSYNC_H

#include <stdint.h>
#include <sys/ioctl.h>

#define SW_SYNC		"/sys/kernel/debug/sync/sw_sync"

struct sw_sync_fence {
	uint32_t value;
	char name[32];
	int32_t fence;
};

#define SW_SYNC_CREATE_FENCE	_IOWR('W', 0, struct sw_sync_fence)
#define SW_SYNC_INC		_IOW('W', 1, uint32_t)

#endif
