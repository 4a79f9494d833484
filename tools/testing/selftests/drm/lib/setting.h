/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the environment says of how a test is to run. */
#ifndef SELFTEST_SETTING_H
#define SELFTEST_SETTING_H

#include <stdint.h>

/* A number from the environment; @otherwise if there is none of that name. */
uint64_t setting(const char *name, uint64_t otherwise);

#endif
