/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the crate `soc` needs and what the kernel offers only as inline functions or macros.
 */
#ifndef SHIM_SOC_H
#define SHIM_SOC_H

#include <linux/gfp.h>
#include <linux/io-pgtable.h>
#include <linux/kthread.h>
#include <linux/types.h>

/* Rather fail than kill a task. */
static const u32 SHIM_SOC_GFP_MAY_FAIL = (__force u32)(__GFP_RETRY_MAYFAIL | __GFP_NOWARN);
static const unsigned long SHIM_SOC_PGTABLE_NO_WARN = IO_PGTABLE_QUIRK_NO_WARN;
static const unsigned long SHIM_SOC_WORKER_ITEM_SIZE = sizeof(struct kthread_work);

/* A thread of SCHED_FIFO that runs work items; an error pointer without memory. */
struct kthread_worker *shim_soc_worker_create_realtime(const char *name);
void shim_soc_worker_item_init(struct kthread_work *work, void (*fn)(struct kthread_work *work));
/* Whether the current task runs at real-time or deadline priority, its own or a lent one. */
bool shim_soc_current_is_realtime(void);
/* Counts the page at @addr as one of a device's page tables (SecPageTables), or no longer. */
void shim_soc_count_pgtable(void *addr, bool is);

#endif
