// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What hibernation does to platform devices, for kernels that cannot hibernate. Loading the module calls their
 * drivers' operations as the PM core would: freeze for an image and thaw, then power off, and restore as from
 * that image. All other devices stay as they are, and user space is not frozen. A kernel that can hibernate
 * has a rehearsal of its own (/sys/power/pm_test).
 *
 * Locking: each operation is called with the device's lock held, as the PM core does, which keeps unbinding
 * out for its duration.
 *
 * Ordering: that of the PM core's list, suppliers first, and the reverse on the way down.
 *
 * Blocking: whatever the operations wait for.
 */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/pm.h>
#include <linux/pm_runtime.h>

#define MOST		128

static unsigned int hibernator_delay_ms = 100;
module_param_named(delay_ms, hibernator_delay_ms, uint, 0444);
MODULE_PARM_DESC(delay_ms, "how long the devices are without power each time");

static struct device *hibernator_devices[MOST];
static unsigned int hibernator_count;

static void hibernator_note(struct device *dev, void *data)
{
	if (dev->bus == &platform_bus_type && hibernator_count < MOST)
		hibernator_devices[hibernator_count++] = get_device(dev);
}

/* The operation at @offset, if the device's driver has it. */
static int hibernator_call(struct device *dev, size_t offset)
{
	int (*operation)(struct device *dev) = NULL;
	int ret = 0;

	device_lock(dev);
	if (dev->driver && dev->driver->pm)
		memcpy(&operation, (const char *)dev->driver->pm + offset, sizeof(operation));
	if (operation)
		ret = operation(dev);
	device_unlock(dev);
	if (ret)
		dev_err(dev, "operation of power management failed: %d\n", ret);
	return ret;
}

/* Down with @down, up with @up. Who fails to go down stays up, and so does everybody who would have followed. */
static int hibernator_cycle(size_t down, size_t up)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < hibernator_count; i++) {
		pm_runtime_get_noresume(hibernator_devices[i]);
		pm_runtime_barrier(hibernator_devices[i]);
	}
	for (i = hibernator_count; !ret && i > 0; i--)
		ret = hibernator_call(hibernator_devices[i - 1], down);
	if (ret)
		i++;
	else
		msleep(hibernator_delay_ms);
	/* Nobody can do anything about an error here: the PM core goes on as well. */
	for (; i < hibernator_count; i++)
		hibernator_call(hibernator_devices[i], up);
	for (i = hibernator_count; i > 0; i--) {
		struct device *dev = hibernator_devices[i - 1];

		device_lock(dev);
		if (dev->driver && dev->driver->pm && dev->driver->pm->complete)
			dev->driver->pm->complete(dev);
		device_unlock(dev);
		pm_runtime_put(dev);
	}
	return ret;
}

static int __init hibernator_init(void)
{
	int ret;

	if (!IS_ENABLED(CONFIG_PM_SLEEP))
		return -EOPNOTSUPP;
	dpm_for_each_dev(NULL, hibernator_note);
	ret = hibernator_cycle(offsetof(struct dev_pm_ops, freeze), offsetof(struct dev_pm_ops, thaw));
	if (!ret)
		ret = hibernator_cycle(offsetof(struct dev_pm_ops, poweroff),
				       offsetof(struct dev_pm_ops, restore));
	while (hibernator_count)
		put_device(hibernator_devices[--hibernator_count]);
	return ret;
}
module_init(hibernator_init);

static void __exit hibernator_exit(void)
{
}
module_exit(hibernator_exit);

MODULE_DESCRIPTION("Freezes, thaws, powers off and restores all platform devices");
MODULE_LICENSE("Dual MIT/GPL");
