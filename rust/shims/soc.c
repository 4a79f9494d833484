// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/rt.h>
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

void shim_soc_count_pgtable(void *addr, bool is)
{
	mod_lruvec_page_state(virt_to_page(addr), NR_SECONDARY_PAGETABLE, is ? 1 : -1);
}
