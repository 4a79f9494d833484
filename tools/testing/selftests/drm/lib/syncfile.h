/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Fences as files, which live on when their device has gone. */
#ifndef SELFTEST_SYNCFILE_H
#define SELFTEST_SYNCFILE_H

#include "gpu.h"

/* The fence of a binary syncobj as a file, or a negative errno. */
int syncfile_export(const struct gpu *gpu, uint32_t handle);
/* 1 signalled, 0 not yet, negative: signalled with that error; -EBADF if this is no such file. */
int syncfile_status(int file);
/* Whether it has signalled after so long at the latest. */
bool syncfile_ready(int file, int timeout_ms);
/* A file that signals after both, or a negative errno. */
int syncfile_merge(int file, int other);

#endif
