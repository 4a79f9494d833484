// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Power domains: the GPU's, of which it may have several, and those of the NPU, which hang on each other.
 *
 * Locking: the framework serialises the callbacks of one domain. What is known of all of the GPU's is
 * under soc_gpu_domain_lock.
 *
 * Ordering: the core is told inside the callback, before the framework's caller goes on.
 *
 * Blocking: the callbacks may sleep, and the one of the NPU's outermost domain waits for its supply.
 */

#include <linux/cleanup.h>
#include <linux/clk.h>
#include <linux/device.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/pm_clock.h>
#include <linux/pm_domain.h>
#include <linux/regulator/consumer.h>

#include "glue.h"

#ifdef CONFIG_PM_GENERIC_DOMAINS_OF
/* What domain-supply names: the NPU's domain switches it, as on the boards. */
static struct regulator *soc_npu_supply;

static struct generic_pm_domain soc_domains[SOC_DOMAINS];

/* The GPU's domains: how many devices are attached to each, and which are on. */
static DEFINE_MUTEX(soc_gpu_domain_lock);
static unsigned int soc_gpu_domain_users[SOC_DOMAINS];
static bool soc_gpu_domain_on[SOC_DOMAINS];

static bool soc_is_gpu_domain(unsigned int id)
{
	return id == SOC_DOMAIN_GPU || id > SOC_DOMAIN_NPU;
}

/* The GPU has power when the first domain is on, and all others that it is attached to. */
static void soc_gpu_domain_changed(void)
{
	bool on = soc_gpu_domain_on[SOC_DOMAIN_GPU];
	unsigned int id;

	lockdep_assert_held(&soc_gpu_domain_lock);
	for (id = SOC_DOMAIN_GPU1; id < SOC_DOMAINS; id++)
		on &= soc_gpu_domain_on[id] || !soc_gpu_domain_users[id];
	model_set_power_domain(SOC_DOMAIN_GPU, on);
}

static void soc_gpu_domain_switch(unsigned int id, bool on)
{
	guard(mutex)(&soc_gpu_domain_lock);
	soc_gpu_domain_on[id] = on;
	soc_gpu_domain_changed();
}

static int soc_gpu_domain_attach(struct generic_pm_domain *domain, struct device *dev)
{
	guard(mutex)(&soc_gpu_domain_lock);
	soc_gpu_domain_users[domain - soc_domains]++;
	soc_gpu_domain_changed();
	return 0;
}

static void soc_gpu_domain_detach(struct generic_pm_domain *domain, struct device *dev)
{
	guard(mutex)(&soc_gpu_domain_lock);
	soc_gpu_domain_users[domain - soc_domains]--;
	soc_gpu_domain_changed();
}

static int soc_domain_power_on(struct generic_pm_domain *domain)
{
	unsigned int id = domain - soc_domains;
	int ret = soc_power_note(domain->name, true);

	if (ret)
		return ret;
	if (id == SOC_DOMAIN_NPU)
		return regulator_enable(soc_npu_supply);

	if (soc_is_gpu_domain(id))
		soc_gpu_domain_switch(id, true);
	else
		model_set_power_domain(id, true);
	return 0;
}

static int soc_domain_power_off(struct generic_pm_domain *domain)
{
	unsigned int id = domain - soc_domains;

	soc_power_note(domain->name, false);
	if (id == SOC_DOMAIN_NPU)
		return regulator_disable(soc_npu_supply);

	if (soc_is_gpu_domain(id))
		soc_gpu_domain_switch(id, false);
	else
		model_set_power_domain(id, false);
	return 0;
}

/* On trees whose power controller has operating points, the GPU's domains have levels. */
static int soc_domain_set_level(struct generic_pm_domain *domain, unsigned int level)
{
	return soc_power_note_value(domain->name, level);
}

/*
 * The domains of an RK3588 run all clocks of a device while it is in use, whether its driver asks
 * for them or not.
 */
static int soc_domain_attach(struct generic_pm_domain *domain, struct device *dev)
{
	struct clk *clk;
	unsigned int i;
	int ret;

	ret = pm_clk_create(dev);
	if (ret)
		return ret;

	for (i = 0; !IS_ERR(clk = of_clk_get(dev->of_node, i)); i++) {
		ret = pm_clk_add_clk(dev, clk);
		if (ret) {
			clk_put(clk);
			pm_clk_destroy(dev);
			return ret;
		}
	}

	return 0;
}

static void soc_domain_detach(struct generic_pm_domain *domain, struct device *dev)
{
	pm_clk_destroy(dev);
}

#define NPU_DOMAIN(_name) {				\
	.name = (_name),				\
	.power_on = soc_domain_power_on,		\
	.power_off = soc_domain_power_off,		\
	.attach_dev = soc_domain_attach,		\
	.detach_dev = soc_domain_detach,		\
	.flags = GENPD_FLAG_PM_CLK,			\
}

#define GPU_DOMAIN(_name) {				\
	.name = (_name),				\
	.power_on = soc_domain_power_on,		\
	.power_off = soc_domain_power_off,		\
	.attach_dev = soc_gpu_domain_attach,		\
	.detach_dev = soc_gpu_domain_detach,		\
}

static struct generic_pm_domain soc_domains[SOC_DOMAINS] = {
	[SOC_DOMAIN_GPU] = GPU_DOMAIN("pd_gpu"),
	[SOC_DOMAIN_GPU1] = GPU_DOMAIN("pd_gpu1"),
	[SOC_DOMAIN_GPU2] = GPU_DOMAIN("pd_gpu2"),
	[SOC_DOMAIN_GPU3] = GPU_DOMAIN("pd_gpu3"),
	[SOC_DOMAIN_GPU4] = GPU_DOMAIN("pd_gpu4"),
	[SOC_DOMAIN_NPUTOP] = NPU_DOMAIN("pd_nputop"),
	[SOC_DOMAIN_NPU1] = NPU_DOMAIN("pd_npu1"),
	[SOC_DOMAIN_NPU2] = NPU_DOMAIN("pd_npu2"),
	[SOC_DOMAIN_NPU] = NPU_DOMAIN("pd_npu"),
};

static struct generic_pm_domain *soc_domain_table[SOC_DOMAINS];

static struct genpd_onecell_data soc_domain_data = {
	.domains = soc_domain_table,
	.num_domains = SOC_DOMAINS,
};

int soc_domain_init(struct device *dev, struct device_node *np)
{
	/* Carrier and carried, from the supply to the cores. */
	static const enum soc_domain tree[][2] = {
		{ SOC_DOMAIN_NPU, SOC_DOMAIN_NPUTOP },
		{ SOC_DOMAIN_NPUTOP, SOC_DOMAIN_NPU1 },
		{ SOC_DOMAIN_NPUTOP, SOC_DOMAIN_NPU2 },
	};
	unsigned int i;
	int ret;

	soc_npu_supply = devm_of_regulator_get(dev, np, "domain");
	if (IS_ERR(soc_npu_supply))
		return PTR_ERR(soc_npu_supply);

	for (i = 0; i < SOC_DOMAINS; i++) {
		soc_domain_table[i] = &soc_domains[i];
		/* The n-th table is that of the n-th domain. */
		if (soc_is_gpu_domain(i) && of_count_phandle_with_args(np, "operating-points-v2", NULL) > (int)i)
			soc_domains[i].set_performance_state = soc_domain_set_level;
		ret = pm_genpd_init(&soc_domains[i], NULL, true);
		if (ret)
			return ret;
	}

	for (i = 0; i < ARRAY_SIZE(tree); i++) {
		ret = pm_genpd_add_subdomain(&soc_domains[tree[i][0]], &soc_domains[tree[i][1]]);
		if (ret)
			return ret;
	}

	return of_genpd_add_provider_onecell(np, &soc_domain_data);
}
#else
/* A kernel without power domains: they are always on. */
int soc_domain_init(struct device *dev, struct device_node *np)
{
	unsigned int i;

	model_set_npu_supply(true);
	for (i = 0; i < SOC_DOMAIN_NPU; i++)
		model_set_power_domain(i, true);
	return 0;
}
#endif
