// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Locking: devices_lock, a spinlock, for the list of devices. An entry stays as long as devfreq has a use
 * for it.
 *
 * Ordering: devfreq calls exit() when it has no use for the profile any more, whoever held the device until
 * then; only afterwards is the profile freed.
 *
 * Blocking: removal waits for that, and for whoever is in one of the callbacks.
 */
#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/devfreq.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/pm_opp.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "devfreq.h"

struct shim_devfreq {
	struct list_head node;
	struct device *dev;
	struct devfreq *devfreq;
	struct devfreq_dev_profile profile;
	struct devfreq_simple_ondemand_data governor;
	/* devfreq has let go of all this. */
	struct completion released;
	int (*set_rate)(void *data, unsigned long hz);
	unsigned long (*rate)(void *data);
	void (*load)(void *data, unsigned long *busy, unsigned long *total);
	void *data;
	unsigned long rates[];
};

/* devfreq tells its callbacks the parent device only, whose driver data is the driver's. */
static LIST_HEAD(devices);
static DEFINE_SPINLOCK(devices_lock);

static struct shim_devfreq *device_find(struct device *dev)
{
	struct shim_devfreq *this;

	guard(spinlock)(&devices_lock);
	list_for_each_entry(this, &devices, node) {
		if (this->dev == dev)
			return this;
	}
	return NULL;
}

static void device_free(struct shim_devfreq *this)
{
	scoped_guard(spinlock, &devices_lock)
		list_del(&this->node);
	kfree(this);
}

static int target(struct device *dev, unsigned long *hz, u32 flags)
{
	struct shim_devfreq *this = device_find(dev);
	struct dev_pm_opp *opp = devfreq_recommended_opp(dev, hz, flags);

	if (IS_ERR(opp))
		return PTR_ERR(opp);
	dev_pm_opp_put(opp);
	return this->set_rate(this->data, *hz);
}

static int get_dev_status(struct device *dev, struct devfreq_dev_status *status)
{
	struct shim_devfreq *this = device_find(dev);

	status->current_frequency = this->rate(this->data);
	this->load(this->data, &status->busy_time, &status->total_time);
	return 0;
}

static int get_cur_freq(struct device *dev, unsigned long *hz)
{
	struct shim_devfreq *this = device_find(dev);

	*hz = this->rate(this->data);
	return 0;
}

static void exit_profile(struct device *dev)
{
	complete(&device_find(dev)->released);
}

/* The rates of the operating points, in ascending order. */
static int fill_rates(struct shim_devfreq *this, unsigned int count)
{
	unsigned long hz = 0;
	unsigned int i;

	for (i = 0; i < count; i++, hz++) {
		struct dev_pm_opp *opp = dev_pm_opp_find_freq_ceil(this->dev, &hz);

		if (IS_ERR(opp))
			return PTR_ERR(opp);
		dev_pm_opp_put(opp);
		this->rates[i] = hz;
	}
	this->profile.freq_table = this->rates;
	this->profile.max_state = count;
	return 0;
}

struct shim_devfreq *shim_devfreq_add(struct device *dev, unsigned long hz, unsigned int polling_ms,
				      unsigned int up_threshold, unsigned int down_differential,
				      int (*set_rate)(void *data, unsigned long hz),
				      unsigned long (*rate)(void *data),
				      void (*load)(void *data, unsigned long *busy,
						   unsigned long *total),
				      void *data)
{
	int count = dev_pm_opp_get_opp_count(dev);
	struct shim_devfreq *this;
	int ret;

	if (!IS_ENABLED(CONFIG_PM_DEVFREQ))
		return ERR_PTR(-ENOSYS);
	if (count < 2)
		return ERR_PTR(-ENODEV);
	this = kzalloc(struct_size(this, rates, count), GFP_KERNEL);
	if (!this)
		return ERR_PTR(-ENOMEM);
	this->dev = dev;
	this->set_rate = set_rate;
	this->rate = rate;
	this->load = load;
	this->data = data;
	this->governor.upthreshold = up_threshold;
	this->governor.downdifferential = down_differential;
	this->profile = (struct devfreq_dev_profile) {
		.initial_freq = hz,
		.polling_ms = polling_ms,
		/* A device that works while all CPUs are idle needs its rate all the same. */
		.timer = DEVFREQ_TIMER_DELAYED,
		.target = target,
		.get_dev_status = get_dev_status,
		.get_cur_freq = get_cur_freq,
		.exit = exit_profile,
		.is_cooling_device = true,
	};
	init_completion(&this->released);
	ret = fill_rates(this, count);
	if (ret) {
		kfree(this);
		return ERR_PTR(ret);
	}
	scoped_guard(spinlock, &devices_lock)
		list_add(&this->node, &devices);

	this->devfreq = devfreq_add_device(dev, &this->profile, DEVFREQ_GOV_SIMPLE_ONDEMAND,
					   &this->governor);
	if (IS_ERR(this->devfreq)) {
		ret = PTR_ERR(this->devfreq);
		device_free(this);
		return ERR_PTR(ret);
	}
	return this;
}

void shim_devfreq_remove(struct shim_devfreq *this)
{
	devfreq_remove_device(this->devfreq);
	wait_for_completion(&this->released);
	device_free(this);
}

int shim_devfreq_suspend(struct shim_devfreq *this)
{
	return devfreq_suspend_device(this->devfreq);
}

int shim_devfreq_resume(struct shim_devfreq *this)
{
	return devfreq_resume_device(this->devfreq);
}
