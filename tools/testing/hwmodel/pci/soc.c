// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The system on chip of the device tree, behind the PCI function: the tree is the one of User-Mode
 * Linux, and its addresses of registers are led to the function's BARs.
 *
 * Locking, Blocking: nothing here runs at the same time as anything else.
 *
 * Ordering: clocks, supplies, power domains, interrupt controller and the way to the registers are
 * there before any device of the bus exists.
 */

#include <linux/device.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_platform.h>
#include <linux/pci.h>
#include <linux/platform_device.h>

#include "function.h"

/* Two cells each for the address on the bus, the CPU's address and the size. */
#define RANGE_CELLS		6

static __be32 soc_ranges_cells[2 * RANGE_CELLS];
static struct property soc_ranges = {
	.name = "ranges",
	.value = soc_ranges_cells,
	.length = sizeof(soc_ranges_cells),
};
static struct of_changeset soc_changes;

static void soc_put_cells(__be32 *cells, u64 value)
{
	cells[0] = cpu_to_be32(upper_32_bits(value));
	cells[1] = cpu_to_be32(lower_32_bits(value));
}

/* Leads the registers that begin where the first ones of @np do to a BAR. */
static int soc_lead(__be32 *cells, struct device_node *np, enum soc_bar bar, u64 size)
{
	u64 first;
	int ret = of_property_read_reg(np, 0, &first, NULL);

	if (ret)
		return ret;
	if (size > pci_resource_len(soc_function, bar))
		return -ENXIO;
	soc_put_cells(cells, first);
	soc_put_cells(cells + 2, pci_resource_start(soc_function, bar));
	soc_put_cells(cells + 4, size);
	return 0;
}

static int soc_ranges_init(struct device_node *np, struct device_node *gpu, struct device_node *npu)
{
	int ret;

	ret = soc_lead(soc_ranges_cells, gpu, SOC_BAR_GPU,
		       pci_resource_len(soc_function, SOC_BAR_GPU));
	if (ret)
		return ret;
	ret = soc_lead(soc_ranges_cells + RANGE_CELLS, npu, SOC_BAR_NPU,
		       SOC_NPU_CORES * SOC_NPU_WINDOW);
	if (ret)
		return ret;

	of_changeset_init(&soc_changes);
	ret = of_changeset_update_property(&soc_changes, np, &soc_ranges);
	if (!ret)
		ret = of_changeset_apply(&soc_changes);
	return ret;
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
	struct device_node *intc __free(device_node) =
		of_get_child_by_name(np, "interrupt-controller");
	struct device_node *old_iommu __free(device_node) =
		of_get_compatible_child(np, "rockchip,iommu");
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

	ret = soc_lines_init(dev, intc);
	if (ret)
		return ret;

	ret = soc_ranges_init(np, gpu, npu);
	if (ret)
		return dev_err_probe(dev, ret, "the registers cannot be led to the function\n");

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
		/* Clocks and domains that are in use can't go. */
		.suppress_bind_attrs = true,
	},
};

static int __init soc_init(void)
{
	int ret = soc_function_init();

	return ret ?: platform_driver_register(&soc_driver);
}
module_init(soc_init);

/* No module_exit(), for the same reason: once loaded, the hardware stays. */

MODULE_DESCRIPTION("The hardware model behind vfio-user, as a system on chip of the device tree");
MODULE_LICENSE("Dual MIT/GPL");
