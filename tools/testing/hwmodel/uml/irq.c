// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The interrupt controller: a level-triggered line for each interrupt output of the model.
 *
 * Locking: the state is two bit masks with atomic bit operations. soc_set_line() runs under the
 * model's lock, the chip's callbacks under the descriptor's lock, the delivery under none.
 *
 * Ordering: whoever makes a line deliverable (asserts it, or unmasks it while it is asserted)
 * kicks the processor afterwards, and the processor clears the kick before it looks at the
 * lines: none is missed.
 *
 * Blocking: nothing waits. Handlers run in the processor's thread, with interrupts off and
 * accounted as hard interrupt, so that lockdep judges them as what they are on hardware.
 */

#include <linux/bitops.h>
#include <linux/bottom_half.h>
#include <linux/device.h>
#include <linux/hardirq.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/of.h>

#include "glue.h"

static struct irq_domain *soc_irq_domain;
static unsigned long soc_irq_asserted;
static unsigned long soc_irq_unmasked;

void soc_set_line(u32 line, bool high)
{
	if (high) {
		/* The kick comes after: see soc_irq_unmask(). */
		set_bit(line, &soc_irq_asserted);
		soc_wake();
	} else {
		clear_bit(line, &soc_irq_asserted);
	}
}

static void soc_irq_mask(struct irq_data *d)
{
	clear_bit(d->hwirq, &soc_irq_unmasked);
}

static void soc_irq_unmask(struct irq_data *d)
{
	set_bit(d->hwirq, &soc_irq_unmasked);
	/* Unmasked before looking: an assertion that this misses kicks, and finds it unmasked. */
	smp_mb__after_atomic();
	if (test_bit(d->hwirq, &soc_irq_asserted))
		soc_kick();
}

/* The last handler goes: from here on nobody would serve the line. */
static void soc_irq_shutdown(struct irq_data *d)
{
	soc_irq_mask(d);
	if (test_bit(d->hwirq, &soc_irq_asserted))
		model_abandoned(d->hwirq);
}

static int soc_irq_set_type(struct irq_data *d, unsigned int type)
{
	return type == IRQ_TYPE_LEVEL_HIGH ? 0 : -EINVAL;
}

static struct irq_chip soc_irq_chip = {
	.name = "hwmodel",
	.irq_mask = soc_irq_mask,
	.irq_unmask = soc_irq_unmask,
	.irq_shutdown = soc_irq_shutdown,
	.irq_set_type = soc_irq_set_type,
};

static int soc_irq_map(struct irq_domain *domain, unsigned int virq, irq_hw_number_t line)
{
	irq_set_chip_and_handler(virq, &soc_irq_chip, handle_level_irq);
	irq_set_status_flags(virq, IRQ_LEVEL);
	return 0;
}

static const struct irq_domain_ops soc_irq_domain_ops = {
	.map = soc_irq_map,
	.xlate = irq_domain_xlate_twocell,
};

/*
 * Runs the handlers of each line that is asserted and unmasked, once. A line that is still
 * asserted afterwards is delivered again by the next call, as by a real controller.
 * Returns whether any was delivered.
 */
bool soc_irq_deliver(void)
{
	unsigned long ready = READ_ONCE(soc_irq_asserted) & READ_ONCE(soc_irq_unmasked);
	unsigned int line;

	for_each_set_bit(line, &ready, SOC_LINES) {
		unsigned long flags;

		model_delivered(line);

		/* Softirqs that the handlers raise run at the end of the outer section. */
		local_bh_disable();
		local_irq_save(flags);
		__irq_enter_raw();
		generic_handle_domain_irq(soc_irq_domain, line);
		__irq_exit_raw();
		local_irq_restore(flags);
		local_bh_enable();
	}

	return ready;
}

int soc_irq_init(struct device *dev, struct device_node *intc)
{
	soc_irq_domain = irq_domain_create_linear(of_fwnode_handle(intc), SOC_LINES,
						  &soc_irq_domain_ops, NULL);
	if (!soc_irq_domain)
		return dev_err_probe(dev, -ENOMEM, "no interrupt domain\n");

	return 0;
}
