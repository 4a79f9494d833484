// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Fuses that say which of the GPU's shader cores work, on trees that have them: a node "fuses" of the SoC whose
 * property hwmodel,cores is their content.
 *
 * Locking: none. The content does not change.
 *
 * Ordering: the fuses are there before the GPU's device is.
 *
 * Blocking: nothing waits.
 */

#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/nvmem-provider.h>
#include <linux/of.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#include "glue.h"

static u8 soc_fuses[4];

static int soc_fuses_read(void *priv, unsigned int offset, void *val, size_t bytes)
{
	if (offset > sizeof(soc_fuses) || bytes > sizeof(soc_fuses) - offset)
		return -EINVAL;
	memcpy(val, soc_fuses + offset, bytes);
	return 0;
}

int soc_fuses_init(struct device *dev)
{
	struct device_node *fuses __free(device_node) = of_get_child_by_name(dev->of_node, "fuses");
	struct nvmem_config config = {
		.dev = dev,
		.name = "hwmodel-fuses",
		.of_node = fuses,
		.read_only = true,
		.size = sizeof(soc_fuses),
		.word_size = 1,
		.stride = 1,
		.reg_read = soc_fuses_read,
	};
	struct nvmem_device *nvmem;
	u32 cores;

	if (!fuses)
		return 0;
	if (of_property_read_u32(fuses, "hwmodel,cores", &cores))
		return dev_err_probe(dev, -EINVAL, "the fuses say nothing of cores\n");
	put_unaligned_le32(cores, soc_fuses);
	model_fuse(cores);
	/* Those who look for them find none. */
	if (of_property_read_bool(fuses, "hwmodel,hidden"))
		return 0;
	nvmem = devm_nvmem_register(dev, &config);
	if (IS_ERR(nvmem))
		return dev_err_probe(dev, PTR_ERR(nvmem), "no fuses\n");
	return 0;
}
