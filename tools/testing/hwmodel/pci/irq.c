// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The interrupt controller of the device tree. Its lines are level-triggered; each comes as a
 * message of the function, which masks the line by itself and sends it again, if it is still
 * asserted, once it is unmasked.
 *
 * Locking: none here. The chip's callbacks come under the descriptor's lock, and each is one write.
 *
 * Ordering: a driver's write that clears an interrupt reaches the function before the one that
 * unmasks the line. A message that was on its way when its line was masked finds the descriptor
 * disabled, or handlers that have nothing to do, as on hardware.
 *
 * Blocking: nothing waits. Handlers run in the handler of the message, in hard interrupt context.
 */

#include <linux/device.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/of.h>
#include <linux/pci.h>

#include "function.h"

static struct irq_domain *soc_lines;

static void soc_line_mask(struct irq_data *d)
{
	soc_lines_mask(BIT(d->hwirq));
}

static void soc_line_unmask(struct irq_data *d)
{
	soc_lines_unmask(BIT(d->hwirq));
}

/* The last handler goes: from here on nobody would serve the line. */
static void soc_line_shutdown(struct irq_data *d)
{
	model_abandoned(d->hwirq);
}

static int soc_line_set_type(struct irq_data *d, unsigned int type)
{
	return type == IRQ_TYPE_LEVEL_HIGH ? 0 : -EINVAL;
}

static struct irq_chip soc_line_chip = {
	.name = "hwmodel",
	.irq_mask = soc_line_mask,
	.irq_unmask = soc_line_unmask,
	.irq_shutdown = soc_line_shutdown,
	.irq_set_type = soc_line_set_type,
};

static int soc_line_map(struct irq_domain *domain, unsigned int virq, irq_hw_number_t line)
{
	irq_set_chip_and_handler(virq, &soc_line_chip, handle_level_irq);
	irq_set_status_flags(virq, IRQ_LEVEL);
	return 0;
}

static const struct irq_domain_ops soc_lines_ops = {
	.map = soc_line_map,
	.xlate = irq_domain_xlate_twocell,
};

static irqreturn_t soc_line_message(int irq, void *line)
{
	/* A line that no driver has asked for is never unmasked. */
	return generic_handle_domain_irq(soc_lines, (uintptr_t)line) ? IRQ_NONE : IRQ_HANDLED;
}

int soc_lines_init(struct device *dev, struct device_node *intc)
{
	uintptr_t line;
	int ret;

	soc_lines = irq_domain_create_linear(of_fwnode_handle(intc), SOC_LINES, &soc_lines_ops,
					     NULL);
	if (!soc_lines)
		return dev_err_probe(dev, -ENOMEM, "no interrupt domain\n");

	for (line = 0; line < SOC_LINES; line++) {
		ret = devm_request_irq(dev, pci_irq_vector(soc_function, line), soc_line_message,
				       IRQF_NO_THREAD, "hwmodel", (void *)line);
		if (ret)
			return dev_err_probe(dev, ret, "no interrupt for line %lu\n", line);
	}

	return 0;
}
