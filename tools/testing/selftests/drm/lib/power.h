/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Power of the device: what the kernel says of it, and what the modelled hardware has seen.
 */
#ifndef SELFTEST_POWER_H
#define SELFTEST_POWER_H

#include <stdbool.h>
#include <stddef.h>

#include "gpu.h"
#include "hwmodel.h"

#define POWER_LOG	HWMODEL_DIR "/power"

/* The driver's own delay is 50 ms; a busy machine takes its time. */
#define OFF_LIMIT	(20 * SECOND)

/* The file that says whether the device is on. */
void power_status_path(const struct gpu *gpu, char *path, size_t size);
/* "active", "suspended" and so on; empty if there is no power management. */
void power_status(const char *path, char *status, size_t size);
bool is_off(const char *path);
/* False if the device was still on after OFF_LIMIT. */
bool wait_off(const char *path);
/* On even if nobody uses it, or as usual. 0 or a negative errno. */
int power_keep_on(const struct gpu *gpu, bool on);

/* "reset", "refuse NAME COUNT": 0 or a negative errno. */
int power_write(const char *text);
/* The lines of the log, each with its newline, that begin with one of @first and name something of the GPU. */
void power_lines(const char *first, char *out, size_t size);

#endif
