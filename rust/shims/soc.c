// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/pm_runtime.h>
#include <linux/sched.h>
#include <linux/sched/rt.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmstat.h>

#include "soc.h"

struct kthread_worker *shim_soc_worker_create_realtime(const char *name)
{
	struct kthread_worker *worker = kthread_run_worker(0, "%s", name);

	if (!IS_ERR(worker))
		sched_set_fifo(worker->task);
	return worker;
}

void shim_soc_worker_item_init(struct kthread_work *work, void (*fn)(struct kthread_work *work))
{
	kthread_init_work(work, fn);
}

bool shim_soc_current_is_realtime(void)
{
	return rt_or_dl_task(current);
}

/* Where pages of the CPU are larger, tables share them; the statistics of page tables count whole pages only. */
void *shim_soc_pgtable_alloc(void)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	void *table;

	/* A power of two is aligned to itself. */
	if (PAGE_SIZE != SZ_4K)
		return kmalloc(SZ_4K, gfp);
	table = (void *)__get_free_page(gfp);
	if (table)
		mod_lruvec_page_state(virt_to_page(table), NR_SECONDARY_PAGETABLE, 1);
	return table;
}

void shim_soc_pgtable_free(void *table)
{
	if (PAGE_SIZE != SZ_4K) {
		kfree(table);
		return;
	}
	mod_lruvec_page_state(virt_to_page(table), NR_SECONDARY_PAGETABLE, -1);
	free_page((unsigned long)table);
}

/*
 * What is installed for which device. Not among the device's resources: those are taken off their list
 * as a whole before the first of them is released, and power management goes on until then.
 */
struct installed {
	struct list_head node;
	struct device *dev;
	void *data;
};

static LIST_HEAD(installed_list);
static DEFINE_SPINLOCK(installed_lock);

static struct installed *installed_find(struct device *dev)
{
	struct installed *entry;

	lockdep_assert_held(&installed_lock);
	list_for_each_entry(entry, &installed_list, node) {
		if (entry->dev == dev)
			return entry;
	}
	return NULL;
}

int shim_soc_pm_install(struct device *dev, void *data)
{
	struct installed *entry = kmalloc(sizeof(*entry), GFP_KERNEL);

	if (!entry)
		return -ENOMEM;
	entry->dev = dev;
	entry->data = data;
	scoped_guard(spinlock, &installed_lock) {
		if (!installed_find(dev)) {
			list_add(&entry->node, &installed_list);
			return 0;
		}
	}
	kfree(entry);
	return -EBUSY;
}

void *shim_soc_pm_installed(struct device *dev)
{
	struct installed *entry;

	guard(spinlock)(&installed_lock);
	entry = installed_find(dev);
	return entry ? entry->data : NULL;
}

void shim_soc_pm_remove(struct device *dev)
{
	struct installed *entry;

	scoped_guard(spinlock, &installed_lock) {
		entry = installed_find(dev);
		if (entry)
			list_del(&entry->node);
	}
	kfree(entry);
}

void shim_soc_pm_enable(struct device *dev)
{
	pm_runtime_enable(dev);
}

bool shim_soc_pm_disable(struct device *dev)
{
	pm_runtime_dont_use_autosuspend(dev);
	pm_runtime_disable(dev);
	return IS_ENABLED(CONFIG_PM) && !pm_runtime_status_suspended(dev);
}

int shim_soc_pm_get(struct device *dev)
{
	return pm_runtime_resume_and_get(dev);
}

bool shim_soc_pm_get_if_active(struct device *dev)
{
	/* Without power management it always is. */
	return !IS_ENABLED(CONFIG_PM) || pm_runtime_get_if_active(dev) > 0;
}

void shim_soc_pm_put_autosuspend(struct device *dev)
{
	pm_runtime_put_autosuspend(dev);
}

void shim_soc_pm_use_autosuspend(struct device *dev, int delay_ms)
{
	pm_runtime_set_autosuspend_delay(dev, delay_ms);
	pm_runtime_use_autosuspend(dev);
}

void shim_soc_pm_set_suspended(struct device *dev)
{
	pm_runtime_set_suspended(dev);
}

int shim_soc_pm_force_suspend(struct device *dev)
{
	return pm_runtime_force_suspend(dev);
}

int shim_soc_pm_force_resume(struct device *dev)
{
	return pm_runtime_force_resume(dev);
}
