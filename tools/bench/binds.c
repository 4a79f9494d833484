// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What changes of an address space cost that is on the GPU, and what one costs in memory that is not.
 *
 * The pages of a buffer are scattered in a guest, so 2 MiB are 512 entries of the page table.
 */
#include <string.h>

#include "bench.h"
#include "job.h"
#include "system.h"

static const struct figure figures[] = {
	{ "bind_1000", "ns", "0.5", "VM_BIND of 1000 operations of 4 KiB" },
	{ "remap_2m", "ns", "1.0", "VM_BIND that unmaps 2 MiB, and one that maps them again" },
	{ "vm_memory", "B", "0.5", "memory per address space with nothing in it" },
};

#define OPS		1000u
#define VA		0x100000000ull
#define VMS		24u

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

static void bind(struct job *job, const struct bo *bo, struct samples *thousand, struct samples *remap)
{
	static struct drm_panthor_vm_bind_op ops[OPS];
	const struct gpu *gpu = &job->rig.gpu;
	uint32_t vm = job->rig.vm;
	double begin;

	wake(job);
	fill(ops, bo->handle);
	begin = clock_ns();
	MUST(vm_bind_ops(gpu, vm, ops, OPS));
	samples_add(thousand, clock_ns() - begin);
	MUST(vm_unmap(gpu, vm, VA, OPS * 2 * PAGE));

	MUST(vm_map(gpu, vm, bo->handle, 0, VA, BLOCK, DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	wake(job);
	begin = clock_ns();
	MUST(vm_unmap(gpu, vm, VA, BLOCK));
	MUST(vm_map(gpu, vm, bo->handle, 0, VA, BLOCK, DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	samples_add(remap, clock_ns() - begin);
	MUST(vm_unmap(gpu, vm, VA, BLOCK));
}

static double per_vm(const struct gpu *gpu)
{
	double before = memory_used(), after;
	uint32_t vm[VMS];

	for (uint32_t i = 0; i < VMS; i++)
		MUST(vm_create(gpu, 0, &vm[i]));
	after = memory_used();
	for (uint32_t i = 0; i < VMS; i++)
		MUST(vm_destroy(gpu, vm[i]));
	return (after - before) / VMS;
}

static void run(void)
{
	struct samples thousand = { 0 }, remap = { 0 }, memory = { 0 };
	struct job job;
	struct bo bo;

	job_open(&job, 1);
	MUST(bo_create(&job.rig.gpu, BLOCK, 0, 0, &bo));
	for (unsigned int i = 0; i < rounds(200, 3); i++)
		bind(&job, &bo, &thousand, &remap);
	/* Once for what is allocated once, and for the slabs. */
	per_vm(&job.rig.gpu);
	for (unsigned int i = 0; i < rounds(5, 1); i++)
		samples_add(&memory, per_vm(&job.rig.gpu));
	job_close(&job);
	figure_percentile("bind_1000", &thousand, 50);
	figure_percentile("remap_2m", &remap, 50);
	figure_percentile("vm_memory", &memory, 50);
	samples_free(&thousand);
	samples_free(&remap);
	samples_free(&memory);
}

BENCH(binds, run);
