/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the crate `soc` needs and what the kernel offers only as inline functions or macros.
 */
#ifndef SHIM_SOC_H
#define SHIM_SOC_H

#include <linux/io-pgtable.h>
#include <linux/kthread.h>
#include <linux/types.h>

struct device;

/* For the crates. In a kernel tree, what C does not use is a warning. */
static const unsigned long __maybe_unused SHIM_SOC_PGTABLE_NO_WARN = IO_PGTABLE_QUIRK_NO_WARN;
static const unsigned long __maybe_unused SHIM_SOC_WORKER_ITEM_SIZE = sizeof(struct kthread_work);

/* A thread of SCHED_FIFO that runs work items; an error pointer without memory. */
struct kthread_worker *shim_soc_worker_create_realtime(const char *name);
void shim_soc_worker_item_init(struct kthread_work *work, void (*fn)(struct kthread_work *work));
/* Whether the current task runs at real-time or deadline priority, its own or a lent one. */
bool shim_soc_current_is_realtime(void);
/* 4 KiB of zeroes for a table of the device, aligned to that; NULL rather than that a task is killed for it. */
void *shim_soc_pgtable_alloc(void);
void shim_soc_pgtable_free(void *table);

/* Ties @data to @dev, for shim_soc_pm_installed(); -EBUSY if something is. */
int shim_soc_pm_install(struct device *dev, void *data);
void *shim_soc_pm_installed(struct device *dev);
void shim_soc_pm_remove(struct device *dev);
void shim_soc_pm_enable(struct device *dev);
/* Waits for callbacks. Returns whether the device is on, as far as power management knows. */
bool shim_soc_pm_disable(struct device *dev);
int shim_soc_pm_get(struct device *dev);
bool shim_soc_pm_get_if_active(struct device *dev);
void shim_soc_pm_put_autosuspend(struct device *dev);
void shim_soc_pm_use_autosuspend(struct device *dev, int delay_ms);
/* With runtime power management disabled: the device is off. */
void shim_soc_pm_set_suspended(struct device *dev);
int shim_soc_pm_force_suspend(struct device *dev);
int shim_soc_pm_force_resume(struct device *dev);

#endif
