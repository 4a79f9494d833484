/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the crate `soc` needs for devices that are made of several: IOMMUs, resets, power domains,
 * and the device that stands for all of them.
 */
#ifndef SHIM_PLATFORM_H
#define SHIM_PLATFORM_H

#include <linux/types.h>

struct device;
struct iommu_domain;
struct iommu_group;
struct reset_control;
struct sg_table;
struct shim_power_domains;

/* A domain for the IOMMU that @dev is behind; an error pointer if that fails. */
struct iommu_domain *shim_iommu_domain_alloc(struct device *dev);
void shim_iommu_domain_free(struct iommu_domain *domain);
u64 shim_iommu_first(struct iommu_domain *domain);
u64 shim_iommu_last(struct iommu_domain *domain);
/* The smallest page. */
u64 shim_iommu_granule(struct iommu_domain *domain);
/* Maps all of @sgt, which has @size bytes, for reading and writing. */
int shim_iommu_map(struct iommu_domain *domain, u64 iova, struct sg_table *sgt, size_t size,
		   bool coherent);
/*
 * Maps the first @size bytes of what the DMA API has mapped for @dev as @sgt, of which nothing but DMA
 * addresses is looked at. -EINVAL if these are not where the memory is.
 */
int shim_iommu_map_dma(struct iommu_domain *domain, u64 iova, struct device *dev,
		       struct sg_table *sgt, size_t size, bool coherent);
void shim_iommu_unmap(struct iommu_domain *domain, u64 iova, size_t size);
/* Reads what the device sees at @iova, a multiple of 8. False if that is not RAM. */
bool shim_iommu_peek(struct iommu_domain *domain, u64 iova, u64 *value);

struct iommu_group *shim_iommu_group_get(struct device *dev);
void shim_iommu_group_ref(struct iommu_group *group);
void shim_iommu_group_put(struct iommu_group *group);
int shim_iommu_attach(struct iommu_domain *domain, struct iommu_group *group);
void shim_iommu_detach(struct iommu_domain *domain, struct iommu_group *group);

struct reset_control *shim_reset_get(struct device *dev, const char *name);
void shim_reset_put(struct reset_control *reset);
int shim_reset_assert(struct reset_control *reset);
int shim_reset_deassert(struct reset_control *reset);

/*
 * Power domains that the bus does not attach by itself, in the order of the device tree, none of them on
 * yet. NULL if there are none, an error pointer if one is missing, which is said.
 */
struct shim_power_domains *shim_power_domains_attach(struct device *dev);
/* The last one first. */
void shim_power_domains_detach(struct shim_power_domains *domains);
/* All of them in order, or none. */
int shim_power_domains_on(struct shim_power_domains *domains);
/* The last one first. */
void shim_power_domains_off(struct shim_power_domains *domains);

/* Reads the device's cell @name of up to 8 bytes, little-endian. -ENOENT if its node names no such cell. */
int shim_nvmem_u64(struct device *dev, const char *name, u64 *value);

/* Lets a device that has no bus of its own map memory for DMA, of @bits. */
int shim_facade_dma(struct device *dev, unsigned int bits);
/* How many nodes of the device tree are enabled and compatible. */
unsigned int shim_of_count(const char *compatible);
/* How many of them, enabled or not, come before that of @dev. */
unsigned int shim_of_index(struct device *dev, const char *compatible);
/* Whether there is an enabled node at @index among those of this kind, and what it is called. */
bool shim_of_enabled_node(const char *compatible, unsigned int index, char *name, size_t size);

/* One lock for the slots of a module. */
void shim_slot_lock(void);
void shim_slot_unlock(void);

#endif
