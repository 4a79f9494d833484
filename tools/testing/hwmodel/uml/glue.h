/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The two halves of the glue and what they call of each other.
 *
 * model_*: Rust (hwmodel_glue.rs). Each takes the model's lock itself and can be called in any
 * context but one: not by a function that the core called.
 * soc_*: C. Those in the first group are called by the core, with the model's lock held.
 */

#ifndef HWMODEL_GLUE_H
#define HWMODEL_GLUE_H

#include <linux/types.h>

struct device;
struct device_node;
struct seq_file;

/* Interrupt lines, as hwirq numbers of the controller and as the core numbers them. */
#define SOC_LINES		6

/* Blocks of registers. */
enum soc_block {
	SOC_BLOCK_GPU,
	SOC_BLOCK_NPU0,
	SOC_BLOCK_NPU1,
	SOC_BLOCK_NPU2,
};

/* An NPU core's registers, its IOMMU included. The cores follow each other. */
#define SOC_NPU_CORES		3
#define SOC_NPU_WINDOW		0x10000

/* Clocks, as indices of the clock controller. */
enum soc_clock {
	SOC_CLOCK_CORE,
	SOC_CLOCK_COREGROUP,
	SOC_CLOCK_STACKS,
	SOC_CLOCK_NPU0_ACLK,
	SOC_CLOCK_NPU0_HCLK,
	SOC_CLOCK_NPU1_ACLK,
	SOC_CLOCK_NPU1_HCLK,
	SOC_CLOCK_NPU2_ACLK,
	SOC_CLOCK_NPU2_HCLK,
	SOC_CLOCK_NPU,
	SOC_CLOCK_NPU_PCLK,
	SOC_CLOCKS,
};

/* Reset lines, as indices of the clock controller: two for each NPU core. */
#define SOC_RESETS		(2 * SOC_NPU_CORES)

/* Power domains that the core knows, as indices of the power controller. */
enum soc_domain {
	SOC_DOMAIN_GPU,
	SOC_DOMAIN_NPUTOP,
	SOC_DOMAIN_NPU1,
	SOC_DOMAIN_NPU2,
	/* Carries the three above; to the core it is the supply. */
	SOC_DOMAIN_NPU,
	/* Further ones of the GPU, on trees that attach it to them; to the core they are one. */
	SOC_DOMAIN_GPU1,
	SOC_DOMAIN_GPU2,
	SOC_DOMAIN_GPU3,
	SOC_DOMAIN_GPU4,
	SOC_DOMAINS,
};

/* What model_step() returns. */
enum model_step {
	/* Nothing to do before soc_wake(). */
	MODEL_IDLE,
	/* There is more to do at once. */
	MODEL_AGAIN,
	/* Nothing to do before the given time or soc_wake(). */
	MODEL_UNTIL,
};

/* Called by the core, model's lock held. */
unsigned long soc_lock(void);
void soc_unlock(unsigned long flags);
int soc_ram_read(u64 pa, void *buf, size_t len);
int soc_ram_write(u64 pa, const void *buf, size_t len);
u64 soc_now_ns(void);
void soc_set_line(u32 line, bool high);
void soc_wake(void);
void soc_publish_flush_id(u32 id);

/* Inside the C half. */
int soc_iomem_init(struct device *dev, struct device_node *gpu, struct device_node *npu);
int soc_irq_init(struct device *dev, struct device_node *intc);
bool soc_irq_deliver(void);
void soc_kick(void);
int soc_power_init(struct device *dev);
void soc_power_show_log(struct seq_file *m);
void soc_power_clear_log(void);
int soc_power_refuse(const char *name, unsigned int count);
/* Notes that @name goes on or off. An error if it shall refuse. */
int soc_power_note(const char *name, bool on);
/* Notes that @name gets another rate or voltage. An error if "=@name" shall refuse. */
int soc_power_note_value(const char *name, unsigned long value);
int soc_domain_init(struct device *dev, struct device_node *np);
int soc_fuses_init(struct device *dev);
void soc_debug_init(void);

/* Rust. */
bool model_choose(const char *name);
void model_fuse(u64 cores);
u32 model_read32(u32 block, u32 offset);
void model_write32(u32 block, u32 offset, u32 value);
void model_access_other(u32 block, u32 offset, u32 bytes, bool write);
void model_set_clock(u32 clock, bool on);
void model_set_rate(u64 hz);
void model_set_regulator(bool on);
void model_set_voltage(u32 microvolt);
void model_set_npu_supply(bool on);
void model_set_npu_rate(u64 hz);
/* The NPU's IOMMUs are of the first version. */
void model_set_old_iommus(void);
void model_set_power_domain(u32 domain, bool on);
void model_set_reset(u32 line, bool asserted);
u32 model_step(u64 *until_ns);
void model_delivered(u32 line);
void model_abandoned(u32 line);
void model_show_counters(struct seq_file *m);
void model_show_records(struct seq_file *m);
void model_show_pwr(struct seq_file *m);
void model_clear_pwr(void);
void model_show_inject(struct seq_file *m);
void model_leaves(u32 as_nr, u64 page, u64 *leaves, size_t count);
void model_clear_counters(void);
void model_clear_records(void);
int model_inject(const char *line, size_t len);

#endif
