// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Clocks, resets and supplies, and what was switched of all that power hangs on. Each tells the core when it
 * changes, so that the core sees accesses to a block that has no power or no clock.
 *
 * Locking: the frameworks serialise the callbacks of one provider. The supplies' common state is
 * under soc_supply_lock. The log of what was switched, and what shall fail, is under
 * soc_power_log_lock, which is taken inside all others but the model's.
 *
 * Ordering: the core is told inside the callback, before the framework's caller goes on.
 *
 * Blocking: clk_enable() comes with a spinlock held; nothing here waits, but the supplies'
 * callbacks may.
 */

#include <linux/cleanup.h>
#include <linux/clk.h>
#include <linux/clk-provider.h>
#include <linux/device.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/regulator/driver.h>
#include <linux/regulator/of_regulator.h>
#include <linux/reset-controller.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "glue.h"

/* The rate at power-on, in Hz, and the range that the PLL can do. */
#define RATE_BOOT		200000000UL
#define RATE_MIN		100000000UL
#define RATE_MAX		1000000000UL

/*
 * What was switched, in order: "+NAME" on, "-NAME" off, "=NAME VALUE" another rate in Hz or voltage in uV,
 * "!NAME" refused to go on, "!=NAME" refused to change.
 */
#define LOG_SIZE		16384

static DEFINE_RAW_SPINLOCK(soc_power_log_lock);
static char soc_power_log[LOG_SIZE];
static size_t soc_power_log_len;
/* What refuses to go on, and how often still. */
static char soc_power_refuses[32];
static unsigned int soc_power_refusals;

static bool soc_power_refused(const char *name)
{
	lockdep_assert_held(&soc_power_log_lock);
	if (!soc_power_refusals || strcmp(name, soc_power_refuses))
		return false;
	soc_power_refusals--;
	return true;
}

/* What comes after a full log is not in it. */
static __printf(1, 2) void soc_power_append(const char *format, ...)
{
	char *at = soc_power_log + soc_power_log_len;
	size_t left = LOG_SIZE - soc_power_log_len;
	size_t len;
	va_list args;

	lockdep_assert_held(&soc_power_log_lock);
	va_start(args, format);
	len = vsnprintf(at, left, format, args);
	va_end(args);
	if (len < left)
		soc_power_log_len += len;
	else
		*at = '\0';
}

int soc_power_note(const char *name, bool on)
{
	bool refused;

	guard(raw_spinlock_irqsave)(&soc_power_log_lock);
	refused = on && soc_power_refused(name);
	soc_power_append("%c%s\n", refused ? '!' : on ? '+' : '-', name);
	return refused ? -EIO : 0;
}

int soc_power_note_value(const char *name, unsigned long value)
{
	char change[32];

	snprintf(change, sizeof(change), "=%s", name);
	guard(raw_spinlock_irqsave)(&soc_power_log_lock);
	if (soc_power_refused(change)) {
		soc_power_append("!%s\n", change);
		return -EIO;
	}
	soc_power_append("%s %lu\n", change, value);
	return 0;
}

void soc_power_show_log(struct seq_file *m)
{
	guard(raw_spinlock_irqsave)(&soc_power_log_lock);
	seq_write(m, soc_power_log, soc_power_log_len);
}

void soc_power_clear_log(void)
{
	guard(raw_spinlock_irqsave)(&soc_power_log_lock);
	soc_power_log_len = 0;
}

int soc_power_refuse(const char *name, unsigned int count)
{
	guard(raw_spinlock_irqsave)(&soc_power_log_lock);
	if (strscpy(soc_power_refuses, name) < 0)
		return -EINVAL;
	soc_power_refusals = count;
	return 0;
}

struct soc_clk {
	struct clk_hw hw;
	enum soc_clock id;
	unsigned long rate;
	bool on;
};

static struct soc_clk soc_clks[SOC_CLOCKS];
static const char * const soc_clk_names[SOC_CLOCKS] = {
	[SOC_CLOCK_CORE] = "clk_gpu",
	[SOC_CLOCK_COREGROUP] = "clk_gpu_coregroup",
	[SOC_CLOCK_STACKS] = "clk_gpu_stacks",
	[SOC_CLOCK_NPU0_ACLK] = "aclk_npu0",
	[SOC_CLOCK_NPU0_HCLK] = "hclk_npu0",
	[SOC_CLOCK_NPU1_ACLK] = "aclk_npu1",
	[SOC_CLOCK_NPU1_HCLK] = "hclk_npu1",
	[SOC_CLOCK_NPU2_ACLK] = "aclk_npu2",
	[SOC_CLOCK_NPU2_HCLK] = "hclk_npu2",
	[SOC_CLOCK_NPU] = "clk_npu",
	[SOC_CLOCK_NPU_PCLK] = "pclk_npu",
};

static struct soc_clk *to_soc_clk(struct clk_hw *hw)
{
	return container_of(hw, struct soc_clk, hw);
}

static int soc_clk_enable(struct clk_hw *hw)
{
	struct soc_clk *clk = to_soc_clk(hw);
	int ret = soc_power_note(soc_clk_names[clk->id], true);

	if (ret)
		return ret;
	clk->on = true;
	model_set_clock(clk->id, true);
	return 0;
}

static void soc_clk_disable(struct clk_hw *hw)
{
	struct soc_clk *clk = to_soc_clk(hw);

	soc_power_note(soc_clk_names[clk->id], false);
	clk->on = false;
	model_set_clock(clk->id, false);
}

static int soc_clk_is_enabled(struct clk_hw *hw)
{
	return to_soc_clk(hw)->on;
}

static unsigned long soc_clk_recalc_rate(struct clk_hw *hw, unsigned long parent_rate)
{
	return to_soc_clk(hw)->rate;
}

static int soc_clk_determine_rate(struct clk_hw *hw, struct clk_rate_request *req)
{
	req->rate = clamp(req->rate, RATE_MIN, RATE_MAX);
	return 0;
}

static int soc_clk_set_rate(struct clk_hw *hw, unsigned long rate, unsigned long parent_rate)
{
	struct soc_clk *clk = to_soc_clk(hw);

	soc_power_note_value(soc_clk_names[clk->id], rate);
	clk->rate = rate;
	if (clk->id == SOC_CLOCK_CORE)
		model_set_rate(rate);
	else if (clk->id == SOC_CLOCK_NPU)
		model_set_npu_rate(rate);
	return 0;
}

static const struct clk_ops soc_clk_ops = {
	.enable = soc_clk_enable,
	.disable = soc_clk_disable,
	.is_enabled = soc_clk_is_enabled,
	.recalc_rate = soc_clk_recalc_rate,
	.determine_rate = soc_clk_determine_rate,
	.set_rate = soc_clk_set_rate,
};

static int soc_clk_init(struct device *dev, struct device_node *np)
{
	struct clk_hw_onecell_data *data;
	unsigned int i;
	int ret;

	data = devm_kzalloc(dev, struct_size(data, hws, SOC_CLOCKS), GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	data->num = SOC_CLOCKS;

	for (i = 0; i < SOC_CLOCKS; i++) {
		struct soc_clk *clk = &soc_clks[i];
		struct clk_init_data init = {
			.name = soc_clk_names[i],
			.ops = &soc_clk_ops,
		};

		clk->id = i;
		clk->rate = RATE_BOOT;
		clk->hw.init = &init;
		ret = devm_clk_hw_register(dev, &clk->hw);
		if (ret)
			return ret;
		data->hws[i] = &clk->hw;
	}
	model_set_rate(RATE_BOOT);

	return of_clk_add_hw_provider(np, of_clk_hw_onecell_get, data);
}

static int soc_reset_assert(struct reset_controller_dev *rcdev, unsigned long line)
{
	model_set_reset(line, true);
	return 0;
}

static int soc_reset_deassert(struct reset_controller_dev *rcdev, unsigned long line)
{
	model_set_reset(line, false);
	return 0;
}

static const struct reset_control_ops soc_reset_ops = {
	.assert = soc_reset_assert,
	.deassert = soc_reset_deassert,
};

static struct reset_controller_dev soc_resets = {
	.owner = THIS_MODULE,
	.ops = &soc_reset_ops,
	.nr_resets = SOC_RESETS,
};

static int soc_reset_init(struct device *dev, struct device_node *np)
{
	soc_resets.of_node = np;
	return devm_reset_controller_register(dev, &soc_resets);
}

enum soc_supply {
	SOC_SUPPLY_LOGIC,
	SOC_SUPPLY_MEMORY,
	SOC_SUPPLY_NPU,
	SOC_SUPPLIES,
};

/* Supplies: 550 mV to 950 mV in steps of 6.25 mV. */
#define SUPPLY_MIN_UV		550000
#define SUPPLY_STEP_UV		6250
#define SUPPLY_SELECTORS	65

static DEFINE_MUTEX(soc_supply_lock);
static bool soc_supply_on[SOC_SUPPLIES];
static unsigned int soc_supply_selector[SOC_SUPPLIES];

/* The GPU has power when both supplies are on. */
static int soc_supply_switch(struct regulator_dev *rdev, bool on)
{
	int ret = soc_power_note(rdev->desc->name, on);

	if (ret)
		return ret;
	mutex_lock(&soc_supply_lock);
	soc_supply_on[rdev_get_id(rdev)] = on;
	if (rdev_get_id(rdev) == SOC_SUPPLY_NPU)
		model_set_npu_supply(on);
	else
		model_set_regulator(soc_supply_on[SOC_SUPPLY_LOGIC] &&
				    soc_supply_on[SOC_SUPPLY_MEMORY]);
	mutex_unlock(&soc_supply_lock);
	return 0;
}

static int soc_supply_enable(struct regulator_dev *rdev)
{
	return soc_supply_switch(rdev, true);
}

static int soc_supply_disable(struct regulator_dev *rdev)
{
	return soc_supply_switch(rdev, false);
}

static int soc_supply_is_enabled(struct regulator_dev *rdev)
{
	return soc_supply_on[rdev_get_id(rdev)];
}

static int soc_supply_set_selector(struct regulator_dev *rdev, unsigned int selector)
{
	u32 uv = SUPPLY_MIN_UV + selector * SUPPLY_STEP_UV;
	int id = rdev_get_id(rdev);
	int ret = soc_power_note_value(rdev->desc->name, uv);

	if (ret)
		return ret;
	soc_supply_selector[id] = selector;
	if (id == SOC_SUPPLY_LOGIC)
		model_set_voltage(uv);
	return 0;
}

static int soc_supply_get_selector(struct regulator_dev *rdev)
{
	return soc_supply_selector[rdev_get_id(rdev)];
}

static const struct regulator_ops soc_supply_ops = {
	.enable = soc_supply_enable,
	.disable = soc_supply_disable,
	.is_enabled = soc_supply_is_enabled,
	.list_voltage = regulator_list_voltage_linear,
	.map_voltage = regulator_map_voltage_linear,
	.set_voltage_sel = soc_supply_set_selector,
	.get_voltage_sel = soc_supply_get_selector,
};

#define SOC_SUPPLY(_id, _name) {				\
	.id = (_id),						\
	.name = (_name),					\
	.of_match = (_name),					\
	.regulators_node = "regulators",			\
	.ops = &soc_supply_ops,					\
	.type = REGULATOR_VOLTAGE,				\
	.owner = THIS_MODULE,					\
	.min_uV = SUPPLY_MIN_UV,				\
	.uV_step = SUPPLY_STEP_UV,				\
	.n_voltages = SUPPLY_SELECTORS,				\
}

static const struct regulator_desc soc_supplies[SOC_SUPPLIES] = {
	SOC_SUPPLY(SOC_SUPPLY_LOGIC, "vdd-gpu"),
	SOC_SUPPLY(SOC_SUPPLY_MEMORY, "vdd-gpu-mem"),
	SOC_SUPPLY(SOC_SUPPLY_NPU, "vdd-npu"),
};

static int soc_supply_init(struct device *dev)
{
	unsigned int i;

	/* At power-on all supplies are at 675 mV, and off. */
	for (i = 0; i < SOC_SUPPLIES; i++)
		soc_supply_selector[i] = (675000 - SUPPLY_MIN_UV) / SUPPLY_STEP_UV;
	model_set_voltage(675000);

	for (i = 0; i < SOC_SUPPLIES; i++) {
		struct regulator_config config = { .dev = dev };
		struct regulator_dev *rdev;

		rdev = devm_regulator_register(dev, &soc_supplies[i], &config);
		if (IS_ERR(rdev))
			return PTR_ERR(rdev);
	}

	return 0;
}

int soc_power_init(struct device *dev)
{
	struct device_node *cru __free(device_node) =
		of_get_child_by_name(dev->of_node, "clock-controller");
	struct device_node *power __free(device_node) =
		of_get_child_by_name(dev->of_node, "power-controller");
	int ret;

	if (!cru || !power)
		return dev_err_probe(dev, -EINVAL,
				     "no clock or no power controller in the tree\n");

	ret = soc_clk_init(dev, cru);
	if (ret)
		return dev_err_probe(dev, ret, "no clocks\n");

	ret = soc_supply_init(dev);
	if (ret)
		return dev_err_probe(dev, ret, "no supplies\n");

	ret = soc_reset_init(dev, cru);
	if (ret)
		return dev_err_probe(dev, ret, "no resets\n");

	ret = soc_domain_init(dev, power);
	if (ret)
		return dev_err_probe(dev, ret, "no power domains\n");

	return 0;
}
