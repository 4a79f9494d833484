// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The modelled system on chip: its bus, its processor, its clock.
 *
 * Locking: soc_model_lock protects the whole model. It is a raw spinlock taken with interrupts
 * off, and innermost: register accesses take it under whatever locks a driver, the clock
 * framework or the interrupt core hold. Nothing is called out of it except what the core needs
 * (glue.h, first group), and that takes no lock.
 *
 * Ordering: the register window is registered before any device exists that could map it, clocks,
 * supplies, power domain and interrupt controller likewise; the devices of the bus come last.
 *
 * Blocking: register accesses never wait. The model's processor is a kernel thread. It does a
 * bounded piece of work under the lock and then sleeps until it is kicked or until the time that
 * the core asked for. To wake it costs whoever kicks it far more than a register write costs on
 * hardware, so benchmarks give it a CPU of its own (cpu=) and let it look around for a while before
 * it sleeps (poll_us=). It is also the one that runs interrupt handlers, because the access that
 * raises a line may come from a place where the handler must not run.
 */

#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/of.h>
#include <linux/of_platform.h>
#include <linux/platform_device.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <uapi/linux/sched/types.h>

#include "glue.h"

/* After so many pieces of work without a pause the processor sleeps for PAUSE_NS. */
#define BURST			64
#define PAUSE_NS		(20 * NSEC_PER_USEC)

/* What is due sooner than this is waited for without a sleep, which would take longer. */
#define SPIN_NS			(20 * NSEC_PER_USEC)

static int soc_cpu = -1;
module_param_named(cpu, soc_cpu, int, 0444);
MODULE_PARM_DESC(cpu, "the CPU that the model's processor has for itself (default: -1, none)");

static unsigned int soc_poll_us;
module_param_named(poll_us, soc_poll_us, uint, 0444);
MODULE_PARM_DESC(poll_us, "how long the processor looks for work before it sleeps (default: 0)");

static DEFINE_RAW_SPINLOCK(soc_model_lock);
static struct task_struct *soc_processor;
static atomic_t soc_kicked;
/* The processor sleeps, or is about to look at soc_kicked for the last time before it does. */
static bool soc_asleep;

/* Set under the lock by soc_wake() and soc_set_line(), turned into a kick by soc_unlock(). */
static bool soc_kick_wanted;

/* Makes the processor look at the interrupt lines and at the core's work. Any context. */
void soc_kick(void)
{
	struct task_struct *processor = READ_ONCE(soc_processor);

	atomic_set_release(&soc_kicked, 1);
	/* Pairs with the barrier in soc_processor_sleep(): one of the two sees the other. */
	smp_mb__after_atomic();
	if (processor && READ_ONCE(soc_asleep))
		wake_up_process(processor);
}

unsigned long soc_lock(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&soc_model_lock, flags);
	return flags;
}

void soc_unlock(unsigned long flags)
{
	bool kick = soc_kick_wanted;

	soc_kick_wanted = false;
	raw_spin_unlock_irqrestore(&soc_model_lock, flags);
	if (kick)
		soc_kick();
}

void soc_wake(void)
{
	soc_kick_wanted = true;
}

u64 soc_now_ns(void)
{
	return ktime_get_ns();
}

/* Waits for what is due in a moment. Returns false if nothing is. */
static bool soc_processor_spin(u64 until_ns)
{
	u64 now_ns = soc_now_ns();

	if (until_ns > now_ns + SPIN_NS)
		return false;
	if (until_ns > now_ns)
		ndelay(until_ns - now_ns);
	return true;
}

/* Looks for a kick for as long as benchmarks ask for. Returns whether there is something to do. */
static bool soc_processor_poll(ktime_t until)
{
	ktime_t end = ktime_add_us(ktime_get(), soc_poll_us);

	if (!soc_poll_us)
		return false;
	do {
		if (atomic_read_acquire(&soc_kicked) || ktime_get() >= until)
			return true;
		cpu_relax();
	} while (ktime_get() < end);
	return false;
}

/* Sleeps until a kick, or until the given time where it is not KTIME_MAX. */
static void soc_processor_sleep(ktime_t until)
{
	if (soc_processor_poll(until))
		return;
	set_current_state(TASK_IDLE);
	WRITE_ONCE(soc_asleep, true);
	/* Pairs with the barrier in soc_kick(). */
	smp_mb();
	if (!atomic_read_acquire(&soc_kicked))
		schedule_hrtimeout(until == KTIME_MAX ? NULL : &until, HRTIMER_MODE_ABS);
	WRITE_ONCE(soc_asleep, false);
	__set_current_state(TASK_RUNNING);
}

/*
 * Hardware does not wait for the CPU's scheduler: nothing in the guest, interrupt threads and
 * real-time processes included, comes before the processor.
 */
static void soc_processor_prefer(void)
{
	const struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = SCHED_FIFO,
		.sched_priority = MAX_RT_PRIO - 1,
	};

	WARN_ON(sched_setattr_nocheck(current, &attr));
}

static int soc_processor_main(void *unused)
{
	unsigned int burst = 0;

	soc_processor_prefer();

	for (;;) {
		bool delivered;
		u64 until_ns = 0;
		u32 step;

		atomic_set(&soc_kicked, 0);
		/* Cleared before looking: what comes after the look kicks again. */
		smp_mb__after_atomic();

		delivered = soc_irq_deliver();
		step = model_step(&until_ns);

		if (step == MODEL_AGAIN || delivered ||
		    (step == MODEL_UNTIL && soc_processor_spin(until_ns))) {
			cond_resched();
			if (++burst < BURST)
				continue;
			/*
			 * A stream that loops for ever and a line that nobody serves keep the
			 * processor busy, not the machine: others get the CPU, and virtual time,
			 * which stands still while any CPU is busy, goes on.
			 */
			burst = 0;
			set_current_state(TASK_IDLE);
			schedule_hrtimeout(&(ktime_t){ PAUSE_NS }, HRTIMER_MODE_REL);
			continue;
		}

		burst = 0;
		soc_processor_sleep(step == MODEL_UNTIL ? ns_to_ktime(until_ns) : KTIME_MAX);
	}

	return 0;
}

static int soc_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct device_node *np = dev->of_node;
	struct device_node *gpu __free(device_node) =
		of_get_compatible_child(np, "arm,mali-valhall-csf");
	/* The first one: the windows of the cores follow each other. */
	struct device_node *npu __free(device_node) =
		of_get_compatible_child(np, "rockchip,rk3588-rknn-core");
	struct device_node *old_iommu __free(device_node) =
		of_get_compatible_child(np, "rockchip,iommu");
	struct device_node *intc __free(device_node) =
		of_get_child_by_name(np, "interrupt-controller");
	struct task_struct *processor;
	const char *name;
	int ret;

	if (!gpu || !npu || !intc)
		return dev_err_probe(dev, -EINVAL,
				     "no GPU, no NPU or no interrupt controller in the tree\n");

	if (!of_property_read_string(np, "hwmodel,gpu", &name) && !model_choose(name))
		return dev_err_probe(dev, -EINVAL, "no GPU is called %s\n", name);

	ret = soc_fuses_init(dev);
	if (ret)
		return ret;

	if (old_iommu)
		model_set_old_iommus();

	ret = soc_power_init(dev);
	if (ret)
		return ret;

	ret = soc_irq_init(dev, intc);
	if (ret)
		return ret;

	ret = soc_iomem_init(dev, gpu, npu);
	if (ret)
		return ret;

	processor = kthread_create(soc_processor_main, NULL, "hwmodel");
	if (IS_ERR(processor))
		return dev_err_probe(dev, PTR_ERR(processor), "no thread for the processor\n");
	if (soc_cpu >= 0 && cpu_online(soc_cpu))
		kthread_bind(processor, soc_cpu);
	WRITE_ONCE(soc_processor, processor);
	wake_up_process(processor);
	soc_kick();

	soc_debug_init();

	return of_platform_populate(np, NULL, NULL, dev);
}

static const struct of_device_id soc_of_match[] = {
	{ .compatible = "hwmodel,soc" },
	{ }
};
MODULE_DEVICE_TABLE(of, soc_of_match);

static struct platform_driver soc_driver = {
	.probe = soc_probe,
	.driver = {
		.name = "hwmodel",
		.of_match_table = soc_of_match,
		/* A region of emulated registers can't be given back, so there is no unbind. */
		.suppress_bind_attrs = true,
	},
};

static int __init soc_init(void)
{
	return platform_driver_register(&soc_driver);
}
module_init(soc_init);

/* No module_exit(), for the same reason: once loaded, the model stays. */

MODULE_DESCRIPTION("Model of a system on chip with a Mali CSF GPU and an RK3588 NPU");
MODULE_LICENSE("Dual MIT/GPL");
