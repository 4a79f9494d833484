/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The PCI function that the model's process serves, and what the files of this glue call of each
 * other. The rest is in ../uml/glue.h: model_*() here are accesses to the function's control block.
 */

#ifndef HWMODEL_FUNCTION_H
#define HWMODEL_FUNCTION_H

#include "glue.h"

struct pci_dev;

/* The function's BARs with registers of the GPU, registers of the NPU, and the control block. */
enum soc_bar {
	SOC_BAR_GPU = 0,
	SOC_BAR_NPU = 1,
	SOC_BAR_CONTROL = 2,
};

int soc_function_init(void);
/* Written once, by soc_function_init(). */
extern struct pci_dev *soc_function;

/* Which lines the function may send: a bit for each. Any context. */
void soc_lines_unmask(u32 lines);
void soc_lines_mask(u32 lines);

int soc_lines_init(struct device *dev, struct device_node *intc);

#endif
