// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What changes of an address space cost that is on the GPU.
 *
 * The pages of a buffer are scattered in a guest, so 2 MiB are 512 entries of the page table. That the
 * address space is on the GPU shows in the counts: nothing is locked for one that is not.
 */
#include "bench.h"
#include "hwmodel.h"
#include "job.h"
#include "system.h"

static const struct figure figures[] = {
	{ "bind_1000", "ns", "0.5", "VM_BIND of 1000 operations of 4 KiB" },
	{ "remap_2m", "ns", "1.0", "VM_BIND that unmaps 2 MiB, and one that maps them again" },
	{ "map_2m", "ns", "-", "the second of these" },
	{ "bind_1000_locks", "count", "1", "locks of the address space for the 1000 operations" },
	{ "bind_1000_flushes", "count", "1", "cache flushes for them" },
	{ "remap_2m_locks", "count", "2", "locks of the address space for unmap and map" },
};

#define OPS	1000u
#define VA	0x100000000ull

struct found {
	struct samples thousand, remap, map, locks, flushes, remap_locks;
};

/* Every second page, so that no two of them can be taken for one. */
static void fill(struct drm_panthor_vm_bind_op *ops, uint32_t handle)
{
	for (uint32_t i = 0; i < OPS; i++) {
		ops[i] = (struct drm_panthor_vm_bind_op){
			.flags = DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC,
			.bo_handle = handle,
			.bo_offset = (i % 512) * PAGE,
			.va = VA + i * 2 * PAGE,
			.size = PAGE,
		};
	}
}

/* The address space is on the GPU after a job of its group, and stays there for a while. */
static void wake(struct job *job)
{
	struct cs cs = rig_stream(&job->rig, 0);

	cs_put32(&cs, job->rig.data.va, 1);
	if (rig_run(&job->rig, 0, &cs) != 1)
		die("a job has failed");
}

static uint64_t counted(const char *name)
{
	struct hwmodel_counters now;

	return hwmodel_read(&now) ? 0 : hwmodel_get(&now, name);
}

static void bind(struct job *job, const struct bo *bo, struct found *found)
{
	static struct drm_panthor_vm_bind_op ops[OPS];
	const struct gpu *gpu = &job->rig.gpu;
	uint64_t locks, flushes;
	uint32_t vm = job->rig.vm;
	double begin, between;

	fill(ops, bo->handle);
	wake(job);
	locks = counted("as_lock");
	flushes = counted("cache_flush");
	begin = clock_ns();
	MUST(vm_bind_ops(gpu, vm, ops, OPS));
	samples_add(&found->thousand, clock_ns() - begin);
	samples_add(&found->locks, counted("as_lock") - locks);
	samples_add(&found->flushes, counted("cache_flush") - flushes);
	MUST(vm_unmap(gpu, vm, VA, OPS * 2 * PAGE));

	MUST(vm_map(gpu, vm, bo->handle, 0, VA, BLOCK, DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	wake(job);
	locks = counted("as_lock");
	begin = clock_ns();
	MUST(vm_unmap(gpu, vm, VA, BLOCK));
	between = clock_ns();
	MUST(vm_map(gpu, vm, bo->handle, 0, VA, BLOCK, DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	samples_add(&found->remap, clock_ns() - begin);
	samples_add(&found->map, clock_ns() - between);
	samples_add(&found->remap_locks, counted("as_lock") - locks);
	MUST(vm_unmap(gpu, vm, VA, BLOCK));
}

static void give(const char *name, struct samples *samples)
{
	figure_percentile(name, samples, 50);
	samples_free(samples);
}

static void run(void)
{
	struct found found = { 0 };
	struct job job;
	struct bo bo;

	job_open(&job, 1);
	MUST(bo_create(&job.rig.gpu, BLOCK, 0, 0, &bo));
	for (unsigned int i = 0; i < rounds(200, 3); i++)
		bind(&job, &bo, &found);
	job_close(&job);
	give("bind_1000", &found.thousand);
	give("remap_2m", &found.remap);
	give("map_2m", &found.map);
	give("bind_1000_locks", &found.locks);
	give("bind_1000_flushes", &found.flushes);
	give("remap_2m_locks", &found.remap_locks);
}

BENCH(binds, run);
