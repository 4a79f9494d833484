// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <linux/err.h>
#include <linux/limits.h>
#include <linux/pm_opp.h>

#include "opp.h"

bool shim_opp_has_table(struct device *dev)
{
	/* One without points has been made by a power domain that these are going to ask for more. */
	return dev_pm_opp_get_opp_count(dev) > 0;
}

int shim_opp_configure(struct device *dev, const char *clk, const char *supply)
{
	const char *const clks[] = { clk, NULL };
	const char *const supplies[] = { supply, NULL };
	struct dev_pm_opp_config config = {
		.clk_names = clk ? clks : NULL,
		.regulator_names = supplies,
	};
	int ret = dev_pm_opp_set_config(dev, &config);

	if (ret != -ENODEV || !clk)
		return ret;
	config.regulator_names = NULL;
	return dev_pm_opp_set_config(dev, &config);
}

void shim_opp_clear(int token)
{
	dev_pm_opp_clear_config(token);
}

int shim_opp_add_table(struct device *dev)
{
	return IS_ENABLED(CONFIG_PM_OPP) ? dev_pm_opp_of_add_table(dev) : -ENODEV;
}

void shim_opp_remove_table(struct device *dev)
{
	/* Without a point the OPP core drops its vote for the supply; there is nothing to do about a failure. */
	dev_pm_opp_set_opp(dev, NULL);
	dev_pm_opp_of_remove_table(dev);
}

int shim_opp_set_nearest(struct device *dev, unsigned long *hz)
{
	struct dev_pm_opp *opp = dev_pm_opp_find_freq_ceil(dev, hz);
	int ret;

	if (PTR_ERR_OR_ZERO(opp) == -ERANGE)
		opp = dev_pm_opp_find_freq_floor(dev, hz);
	if (IS_ERR(opp))
		return PTR_ERR(opp);
	ret = dev_pm_opp_set_opp(dev, opp);
	dev_pm_opp_put(opp);
	return ret;
}

int shim_opp_set_rate(struct device *dev, unsigned long hz)
{
	return dev_pm_opp_set_rate(dev, hz);
}

unsigned long shim_opp_max_rate(struct device *dev)
{
	unsigned long hz = ULONG_MAX;
	struct dev_pm_opp *opp = dev_pm_opp_find_freq_floor(dev, &hz);

	if (IS_ERR(opp))
		return 0;
	dev_pm_opp_put(opp);
	return hz;
}
