/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the crate `soc` needs and what the kernel offers only as macros.
 */
#ifndef SHIM_SOC_H
#define SHIM_SOC_H

#include <linux/io-pgtable.h>

static const unsigned long SHIM_SOC_PGTABLE_NO_WARN = IO_PGTABLE_QUIRK_NO_WARN;

#endif
