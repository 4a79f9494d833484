/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Operating points. The functions exist without CONFIG_PM_OPP as well: there are no points then.
 */
#ifndef SHIM_OPP_H
#define SHIM_OPP_H

#include <linux/types.h>

struct device;

/* Whether somebody has given @dev a table already. */
bool shim_opp_has_table(struct device *dev);
/*
 * Puts clock and supply under the control of the OPP core: a token for shim_opp_clear(), or an error. The clock
 * is the first of the device tree if @clk is NULL. -ENODEV if there is nothing to put: no such supply, and the
 * clock is the first one anyway.
 */
int shim_opp_configure(struct device *dev, const char *clk, const char *supply);
void shim_opp_clear(int token);
/* -ENODEV if the device tree has none. */
int shim_opp_add_table(struct device *dev);
/* And no point is set any more. */
void shim_opp_remove_table(struct device *dev);
/* The lowest point that is at least as fast as *@hz, or the fastest; *@hz becomes its rate. */
int shim_opp_set_nearest(struct device *dev, unsigned long *hz);
int shim_opp_set_rate(struct device *dev, unsigned long hz);
/* The rate of the fastest point; 0 if there is none. */
unsigned long shim_opp_max_rate(struct device *dev);

#endif
