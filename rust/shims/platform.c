// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/nvmem-consumer.h>
#include <linux/of.h>
#include <linux/pm_domain.h>
#include <linux/pm_opp.h>
#include <linux/pm_runtime.h>
#include <linux/reset.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "platform.h"

struct iommu_domain *shim_iommu_domain_alloc(struct device *dev)
{
	return iommu_paging_domain_alloc(dev);
}

void shim_iommu_domain_free(struct iommu_domain *domain)
{
	iommu_domain_free(domain);
}

u64 shim_iommu_first(struct iommu_domain *domain)
{
	return domain->geometry.aperture_start;
}

u64 shim_iommu_last(struct iommu_domain *domain)
{
	return domain->geometry.aperture_end;
}

u64 shim_iommu_granule(struct iommu_domain *domain)
{
	return 1ULL << __ffs(domain->pgsize_bitmap);
}

/*
 * The caller holds a lock that those take whom memory may wait for. Drivers of IOMMUs that change their
 * tables under a spinlock allocate like this anyway.
 */
#define SHIM_IOMMU_GFP	(GFP_NOWAIT | __GFP_NOWARN)

int shim_iommu_map(struct iommu_domain *domain, u64 iova, struct sg_table *sgt, size_t size,
		   bool coherent)
{
	int prot = IOMMU_READ | IOMMU_WRITE | (coherent ? IOMMU_CACHE : 0);
	ssize_t mapped = iommu_map_sg(domain, iova, sgt->sgl, sgt->orig_nents, prot,
				      SHIM_IOMMU_GFP);

	if (mapped < 0)
		return mapped;
	if (mapped == size)
		return 0;
	iommu_unmap(domain, iova, mapped);
	return -ENOMEM;
}

/*
 * An IOMMU's domain maps physical addresses, an importer has DMA addresses. They are the same if the
 * device that they are for is behind no IOMMU and its memory is not a copy of it.
 */
static bool is_physical(struct device *dev, dma_addr_t addr, size_t size)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	return (!domain || domain->type == IOMMU_DOMAIN_IDENTITY) && !dev->dma_range_map &&
	       /* Limited where buffers may bounce. */
	       dma_max_mapping_size(dev) == SIZE_MAX && pfn_valid(PHYS_PFN(addr)) &&
	       pfn_valid(PHYS_PFN(addr + size - 1));
}

int shim_iommu_map_dma(struct iommu_domain *domain, u64 iova, struct device *dev,
		       struct sg_table *sgt, size_t size, bool coherent)
{
	int prot = IOMMU_READ | IOMMU_WRITE | (coherent ? IOMMU_CACHE : 0);
	struct scatterlist *sg;
	size_t done = 0;
	unsigned int i;
	int ret = 0;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		dma_addr_t addr = sg_dma_address(sg);
		size_t len = min_t(size_t, sg_dma_len(sg), size - done);

		if (done == size)
			break;
		if (!is_physical(dev, addr, len))
			ret = -EINVAL;
		else
			ret = iommu_map(domain, iova + done, addr, len, prot, SHIM_IOMMU_GFP);
		if (ret)
			break;
		done += len;
	}
	if (!ret && done < size)
		ret = -EINVAL;
	if (ret)
		iommu_unmap(domain, iova, done);
	return ret;
}

void shim_iommu_unmap(struct iommu_domain *domain, u64 iova, size_t size)
{
	iommu_unmap(domain, iova, size);
}

bool shim_iommu_peek(struct iommu_domain *domain, u64 iova, u64 *value)
{
	phys_addr_t phys = iommu_iova_to_phys(domain, iova);
	char *page;

	if (!phys || !pfn_valid(PHYS_PFN(phys)))
		return false;
	page = kmap_local_page(pfn_to_page(PHYS_PFN(phys)));
	*value = READ_ONCE(*(u64 *)(page + offset_in_page(phys)));
	kunmap_local(page);
	return true;
}

struct iommu_group *shim_iommu_group_get(struct device *dev)
{
	return iommu_group_get(dev);
}

void shim_iommu_group_ref(struct iommu_group *group)
{
	iommu_group_ref_get(group);
}

void shim_iommu_group_put(struct iommu_group *group)
{
	iommu_group_put(group);
}

/*
 * Both take the group's mutex, where fences are about to signal. The IOMMU core also waits for memory with such a
 * mutex held, and reclaim for fences, but never with that of a group that has an attachment: soc::iommu says why.
 * All groups' mutexes are of one class, and not to be told apart from outside of the IOMMU core, so lockdep is kept
 * from seeing a circle in this.
 */
int shim_iommu_attach(struct iommu_domain *domain, struct iommu_group *group)
{
	int ret;

	lockdep_off();
	ret = iommu_attach_group(domain, group);
	lockdep_on();
	return ret;
}

void shim_iommu_detach(struct iommu_domain *domain, struct iommu_group *group)
{
	lockdep_off();
	iommu_detach_group(domain, group);
	lockdep_on();
}

struct reset_control *shim_reset_get(struct device *dev, const char *name)
{
	return reset_control_get_exclusive(dev, name);
}

void shim_reset_put(struct reset_control *reset)
{
	reset_control_put(reset);
}

int shim_reset_assert(struct reset_control *reset)
{
	return reset_control_assert(reset);
}

int shim_reset_deassert(struct reset_control *reset)
{
	return reset_control_deassert(reset);
}

/*
 * The devices that stand for @count power domains. No links to them: the PM core switches all that a
 * device has links to in one order, on the way up and on the way down.
 */
struct shim_power_domains {
	unsigned int count;
	struct {
		struct device *dev;
		/* Of the OPP core, which asks the domain for what an operating point requires of it; or 0. */
		int token;
	} domain[];
};

static int power_domain_missing(struct device *dev, unsigned int index, int err)
{
	const char *name = "no name";

	of_property_read_string_index(dev->of_node, "power-domain-names", index, &name);
	return dev_err_probe(dev, err,
			     "no power domain %u (%s): check power-domains in the device tree, and the driver of the power controller\n",
			     index, name);
}

/* Whether the operating points of @dev, all of them or none, require something of its domains. */
static bool points_require(struct device *dev)
{
	struct device_node *table __free(device_node) =
		of_parse_phandle(dev->of_node, "operating-points-v2", 0);
	struct device_node *point __free(device_node) =
		table ? of_get_next_available_child(table, NULL) : NULL;

	return point && of_count_phandle_with_args(point, "required-opps", NULL) > 0;
}

struct shim_power_domains *shim_power_domains_attach(struct device *dev)
{
	struct shim_power_domains *domains;
	bool required = points_require(dev);
	struct device *domain;
	int count, err;

	/* The bus has attached the only one, or power domains are always on here. */
	if (dev->pm_domain || !IS_ENABLED(CONFIG_PM_GENERIC_DOMAINS_OF))
		return NULL;
	count = of_count_phandle_with_args(dev->of_node, "power-domains", "#power-domain-cells");
	if (count <= 0)
		return NULL;

	domains = kzalloc(struct_size(domains, domain, count), GFP_KERNEL);
	if (!domains)
		return ERR_PTR(-ENOMEM);
	for (; domains->count < count; domains->count++) {
		domain = dev_pm_domain_attach_by_id(dev, domains->count);
		if (IS_ERR_OR_NULL(domain)) {
			err = domain ? PTR_ERR(domain) : -ENODEV;
			power_domain_missing(dev, domains->count, err);
			goto err_detach;
		}
		domains->domain[domains->count].dev = domain;
		if (required) {
			struct dev_pm_opp_config config = {
				.required_dev = domain,
				.required_dev_index = domains->count,
			};

			err = dev_pm_opp_set_config(dev, &config);
			if (err < 0) {
				dev_pm_domain_detach(domain, true);
				goto err_detach;
			}
			domains->domain[domains->count].token = err;
		}
	}
	return domains;

err_detach:
	shim_power_domains_detach(domains);
	return ERR_PTR(err);
}

void shim_power_domains_detach(struct shim_power_domains *domains)
{
	while (domains->count) {
		domains->count--;
		dev_pm_opp_clear_config(domains->domain[domains->count].token);
		dev_pm_domain_detach(domains->domain[domains->count].dev, true);
	}
	kfree(domains);
}

static void power_domains_off(struct shim_power_domains *domains, unsigned int count)
{
	while (count)
		pm_runtime_put_sync(domains->domain[--count].dev);
}

int shim_power_domains_on(struct shim_power_domains *domains)
{
	unsigned int i;
	int err;

	for (i = 0; i < domains->count; i++) {
		err = pm_runtime_resume_and_get(domains->domain[i].dev);
		if (err) {
			power_domains_off(domains, i);
			return err;
		}
	}
	return 0;
}

void shim_power_domains_off(struct shim_power_domains *domains)
{
	power_domains_off(domains, domains->count);
}

int shim_nvmem_u64(struct device *dev, const char *name, u64 *value)
{
	if (of_property_match_string(dev->of_node, "nvmem-cell-names", name) < 0)
		return -ENOENT;
	return nvmem_cell_read_variable_le_u64(dev, name, value);
}

int shim_facade_dma(struct device *dev, unsigned int bits)
{
	dev->dma_parms = devm_kzalloc(dev, sizeof(*dev->dma_parms), GFP_KERNEL);
	if (!dev->dma_parms)
		return -ENOMEM;
	dma_set_max_seg_size(dev, UINT_MAX);
	return dma_coerce_mask_and_coherent(dev, DMA_BIT_MASK(bits));
}

unsigned int shim_of_count(const char *compatible)
{
	struct device_node *np;
	unsigned int count = 0;

	for_each_compatible_node(np, NULL, compatible)
		count += of_device_is_available(np);
	return count;
}

unsigned int shim_of_index(struct device *dev, const char *compatible)
{
	struct device_node *np;
	unsigned int index = 0;

	for_each_compatible_node(np, NULL, compatible) {
		if (np == dev->of_node) {
			of_node_put(np);
			break;
		}
		index++;
	}
	return index;
}

bool shim_of_enabled_node(const char *compatible, unsigned int index, char *name, size_t size)
{
	struct device_node *np;
	bool found = false;

	for_each_compatible_node(np, NULL, compatible) {
		if (index--)
			continue;
		found = of_device_is_available(np);
		snprintf(name, size, "%pOF", np);
		of_node_put(np);
		break;
	}
	return found;
}

static DEFINE_MUTEX(slot_lock);

void shim_slot_lock(void)
{
	mutex_lock(&slot_lock);
}

void shim_slot_unlock(void)
{
	mutex_unlock(&slot_lock);
}
