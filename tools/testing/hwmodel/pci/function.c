// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The function and its control block (Documentation/hwmodel-vfio-user.rst).
 *
 * Locking: a write to one register is a message of its own to the model's process, which takes one
 * after the other: power, clocks and lines need no lock here. A command and the buffer with its
 * answer are under soc_command_lock.
 *
 * Ordering: messages arrive in the order of the accesses, those to the GPU's and the NPU's registers
 * included, whichever CPU they come from. So a clock is on before the access that needs it.
 *
 * Blocking: an access stops the CPU until the process has it, or has answered. Commands wait for
 * each other.
 */

#include <linux/cleanup.h>
#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/seq_file.h>

#include "function.h"

#define FUNCTION_VENDOR		0x1234
#define FUNCTION_DEVICE		0x6d63

/* Registers of the control block. */
#define ID			0x000
#define ID_VALUE		0x316d7768
#define LINES_UNMASK		0x014
#define LINES_MASK		0x018
#define LINES_ABANDON		0x01c
#define SUPPLY_GPU		0x020
#define SUPPLY_NPU		0x024
#define MICROVOLTS		0x028
#define RATE			0x02c
#define FUSES			0x030
#define OLD_IOMMUS		0x034
#define RATE_NPU		0x038
#define CLOCK(n)		(0x100 + 4 * (n))
#define RESET(n)		(0x180 + 4 * (n))
#define DOMAIN(n)		(0x200 + 4 * (n))
#define COMMAND			0x300
#define STATUS			0x304
#define LENGTH			0x308
#define SPACE			0x30c
#define PAGE_LOW		0x310
#define PAGE_HIGH		0x314
#define COUNT			0x318
#define ADDRESS_LOW		0x320
#define ADDRESS_HIGH		0x324
#define BUFFER			0x20000
#define BUFFER_SIZE		0x20000

enum command {
	COMMAND_COUNTERS = 1,
	COMMAND_RECORDS,
	COMMAND_HELP,
	COMMAND_INJECT,
	COMMAND_CLEAR_COUNTERS,
	COMMAND_CLEAR_RECORDS,
	COMMAND_LEAVES,
	COMMAND_PWR,
	COMMAND_CLEAR_PWR,
	COMMAND_CHOOSE,
};

struct pci_dev *soc_function;
static void __iomem *soc_control;
/* Where answers are, BUFFER_SIZE bytes. */
static void *soc_answer;
static DEFINE_MUTEX(soc_command_lock);

static void soc_control_write(u32 offset, u32 value)
{
	writel(value, soc_control + offset);
}

void soc_lines_unmask(u32 lines)
{
	soc_control_write(LINES_UNMASK, lines);
}

void soc_lines_mask(u32 lines)
{
	soc_control_write(LINES_MASK, lines);
}

void model_abandoned(u32 line)
{
	soc_control_write(LINES_ABANDON, BIT(line));
}

void model_set_clock(u32 clock, bool on)
{
	soc_control_write(CLOCK(clock), on);
}

void model_set_rate(u64 hz)
{
	soc_control_write(RATE, hz);
}

void model_set_regulator(bool on)
{
	soc_control_write(SUPPLY_GPU, on);
}

void model_set_voltage(u32 microvolt)
{
	soc_control_write(MICROVOLTS, microvolt);
}

void model_set_npu_supply(bool on)
{
	soc_control_write(SUPPLY_NPU, on);
}

void model_set_npu_rate(u64 hz)
{
	soc_control_write(RATE_NPU, hz);
}

void model_set_power_domain(u32 domain, bool on)
{
	soc_control_write(DOMAIN(domain), on);
}

void model_fuse(u64 cores)
{
	soc_control_write(FUSES, cores);
}

void model_set_old_iommus(void)
{
	soc_control_write(OLD_IOMMUS, true);
}

void model_set_reset(u32 line, bool asserted)
{
	soc_control_write(RESET(line), asserted);
}

/* Carries out a command. */
static int soc_command(enum command command)
{
	lockdep_assert_held(&soc_command_lock);
	soc_control_write(COMMAND, command);
	return readl(soc_control + STATUS) ? -EINVAL : 0;
}

/* Carries out a command that answers with text. */
static void soc_command_show(struct seq_file *m, enum command command)
{
	guard(mutex)(&soc_command_lock);
	if (soc_command(command))
		seq_puts(m, "no answer\n");
	else
		seq_write(m, soc_answer, min_t(u32, readl(soc_control + LENGTH), BUFFER_SIZE));
}

void model_show_counters(struct seq_file *m)
{
	soc_command_show(m, COMMAND_COUNTERS);
}

void model_show_records(struct seq_file *m)
{
	soc_command_show(m, COMMAND_RECORDS);
}

void model_show_inject(struct seq_file *m)
{
	soc_command_show(m, COMMAND_HELP);
}

void model_show_pwr(struct seq_file *m)
{
	soc_command_show(m, COMMAND_PWR);
}

void model_clear_pwr(void)
{
	guard(mutex)(&soc_command_lock);
	soc_command(COMMAND_CLEAR_PWR);
}

void model_clear_counters(void)
{
	guard(mutex)(&soc_command_lock);
	soc_command(COMMAND_CLEAR_COUNTERS);
}

void model_clear_records(void)
{
	guard(mutex)(&soc_command_lock);
	soc_command(COMMAND_CLEAR_RECORDS);
}

/* Carries out a command about a line of text. */
static int soc_command_line(enum command command, const char *line, size_t len)
{
	guard(mutex)(&soc_command_lock);
	memcpy_toio(soc_control + BUFFER, line, len);
	soc_control_write(LENGTH, len);
	return soc_command(command);
}

int model_inject(const char *line, size_t len)
{
	return soc_command_line(COMMAND_INJECT, line, len);
}

bool model_choose(const char *name)
{
	size_t len = strlen(name);

	return len <= BUFFER_SIZE && !soc_command_line(COMMAND_CHOOSE, name, len);
}

void model_leaves(u32 as_nr, u64 page, u64 *leaves, size_t count)
{
	while (count) {
		size_t part = min(count, BUFFER_SIZE / sizeof(*leaves));

		guard(mutex)(&soc_command_lock);
		soc_control_write(SPACE, as_nr);
		soc_control_write(COUNT, part);
		soc_control_write(PAGE_LOW, lower_32_bits(page));
		soc_control_write(PAGE_HIGH, upper_32_bits(page));
		if (soc_command(COMMAND_LEAVES))
			memset(leaves, 0, part * sizeof(*leaves));
		else
			memcpy(leaves, soc_answer, part * sizeof(*leaves));
		page += part;
		leaves += part;
		count -= part;
	}
}

static int soc_function_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct device *dev = &pdev->dev;
	void __iomem *control;
	dma_addr_t answer;
	int ret;

	if (soc_function)
		return dev_err_probe(dev, -EBUSY, "there is one already\n");

	ret = pcim_enable_device(pdev);
	if (ret)
		return dev_err_probe(dev, ret, "cannot be enabled\n");

	/* The other two are for the drivers under test, who ask for their parts of them. */
	control = pcim_iomap_region(pdev, SOC_BAR_CONTROL, "hwmodel");
	if (IS_ERR(control))
		return dev_err_probe(dev, PTR_ERR(control), "no control block\n");
	if (readl(control + ID) != ID_VALUE)
		return dev_err_probe(dev, -ENODEV, "this is not the control block\n");

	soc_answer = dmam_alloc_coherent(dev, BUFFER_SIZE, &answer, GFP_KERNEL);
	if (!soc_answer)
		return dev_err_probe(dev, -ENOMEM, "no memory for answers\n");
	writel(lower_32_bits(answer), control + ADDRESS_LOW);
	writel(upper_32_bits(answer), control + ADDRESS_HIGH);

	/* The model reads and writes memory, and sends messages. */
	pci_set_master(pdev);
	ret = pci_alloc_irq_vectors(pdev, SOC_LINES, SOC_LINES, PCI_IRQ_MSIX);
	if (ret < 0)
		return dev_err_probe(dev, ret, "no %d messages\n", SOC_LINES);

	soc_control = control;
	soc_function = pdev;
	return 0;
}

static const struct pci_device_id soc_function_match[] = {
	{ PCI_DEVICE(FUNCTION_VENDOR, FUNCTION_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, soc_function_match);

static struct pci_driver soc_function_driver = {
	.name = "hwmodel",
	.id_table = soc_function_match,
	.probe = soc_function_probe,
	.driver = {
		/* The devices of the tree stand on it. */
		.suppress_bind_attrs = true,
	},
};

int soc_function_init(void)
{
	int ret = pci_register_driver(&soc_function_driver);

	if (ret)
		return ret;
	if (!soc_function) {
		pci_unregister_driver(&soc_function_driver);
		pr_err("hwmodel: no PCI function %04x:%04x that works: is the model's process running, and QEMU's vfio-user-pci its client?\n",
		       FUNCTION_VENDOR, FUNCTION_DEVICE);
		return -ENODEV;
	}
	return 0;
}
