// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Somebody who wants a device's IOMMU for himself, as VFIO does on behalf of user space. Loading the module
 * claims it and gives it back: it fails with whatever the IOMMU core says. The module itself does nothing else.
 */
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/platform_device.h>

static char *claimer_device;
module_param_named(device, claimer_device, charp, 0444);
MODULE_PARM_DESC(device, "the platform device whose IOMMU group is claimed");

static int __init claimer_init(void)
{
	static int owner;
	struct device *dev = claimer_device ?
		bus_find_device_by_name(&platform_bus_type, NULL, claimer_device) : NULL;
	struct iommu_group *group;
	int ret;

	if (!dev)
		return -ENODEV;
	group = iommu_group_get(dev);
	put_device(dev);
	if (!group)
		return -ENXIO;
	ret = iommu_group_claim_dma_owner(group, &owner);
	if (!ret)
		iommu_group_release_dma_owner(group);
	iommu_group_put(group);
	return ret;
}
module_init(claimer_init);

static void __exit claimer_exit(void)
{
}
module_exit(claimer_exit);

MODULE_DESCRIPTION("Claims the IOMMU group of a device");
MODULE_LICENSE("Dual MIT/GPL");
