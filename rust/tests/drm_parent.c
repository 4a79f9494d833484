// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Lets the faux device under the tests of the crate `drm` do DMA, as a real parent would. */
#include <linux/dma-mapping.h>

int drm_selftest_allow_dma(struct device *dev);

int drm_selftest_allow_dma(struct device *dev)
{
	dev->dma_mask = &dev->coherent_dma_mask;
	return dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
}
