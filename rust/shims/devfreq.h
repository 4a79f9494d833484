/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Devices whose rate follows their load. Without CONFIG_PM_DEVFREQ there are none.
 */
#ifndef SHIM_DEVFREQ_H
#define SHIM_DEVFREQ_H

struct device;
struct shim_devfreq;

/*
 * Lets the governor "simple_ondemand" choose among the operating points of @dev, whose rate is @hz, and
 * registers a cooling device where the kernel has such. The functions are called with @data, may sleep,
 * and are not called any more after shim_devfreq_remove(), nor after a failure. The times are those since
 * the last call, in microseconds.
 *
 * An error pointer: -ENODEV if there is nothing to choose from, -ENOSYS without CONFIG_PM_DEVFREQ.
 */
struct shim_devfreq *shim_devfreq_add(struct device *dev, unsigned long hz, unsigned int polling_ms,
				      unsigned int up_threshold, unsigned int down_differential,
				      int (*set_rate)(void *data, unsigned long hz),
				      unsigned long (*rate)(void *data),
				      void (*load)(void *data, unsigned long *busy,
						   unsigned long *total),
				      void *data);
/* Waits for everybody who uses it. */
void shim_devfreq_remove(struct shim_devfreq *devfreq);
int shim_devfreq_suspend(struct shim_devfreq *devfreq);
int shim_devfreq_resume(struct shim_devfreq *devfreq);

#endif
