// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Somebody who wants a device's IOMMU for himself, as VFIO does on behalf of user space. Writing the name of a platform
 * device to the parameter claims it and gives it back: that fails with whatever the IOMMU core says.
 */
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/platform_device.h>

static int claimer_claim(const char *name, const struct kernel_param *kp)
{
	static int owner;
	struct device *dev = bus_find_device_by_name(&platform_bus_type, NULL, name);
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

static const struct kernel_param_ops claimer_ops = {
	.set = claimer_claim,
};
module_param_cb(device, &claimer_ops, NULL, 0200);
MODULE_PARM_DESC(device, "the platform device whose IOMMU group is claimed");

MODULE_DESCRIPTION("Claims the IOMMU group of a device");
MODULE_LICENSE("Dual MIT/GPL");
