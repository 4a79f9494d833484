// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Memory reclaim, asked for through the driver's debugfs file, so that each test knows what is taken
 * when: which buffers go in which order, which never do, and that everything is back for the next job.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "hwmodel.h"
#include "reclaim.h"
#include "suite.h"

#define NOEXEC		DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC
#define UNCACHED	DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED
#define VA		0x40000000ull
#define PAGES		64u
#define BYTES		(PAGES * PAGE)
/* What reclaim counts in. */
#define CPU_PAGES	((unsigned int)(BYTES / cpu_page()))

FIXTURE(pressure)
{
	struct rig rig;
	struct rig awake;	/* a job in a VM of its own, so that the GPU keeps its power */
	struct hwmodel_counters before;
};

/* A job that runs until rig->data.u32[0] is no longer zero. */
static int spin(struct rig *rig)
{
	struct cs cs = rig_stream(rig, 31);

	rig->data.u32[0] = 0;
	rig->data.u32[1] = 0;
	cs_put32(&cs, rig->data.va + 4, 1);
	cs_spin_while_zero(&cs, rig->data.va);
	return rig_submit(rig, rig->queues - 1, &cs) ?: rig_wait_word(rig, 1, 1);
}

FIXTURE_SETUP(pressure)
{
	struct cs cs;

	ASSERT_EQ(0, rig_open(&self->rig, 2));
	if (!hwmodel_present())
		SKIP(return, "only the model shows what the GPU has mapped");
	if (!reclaim_possible(&self->rig.gpu))
		SKIP(return, "no swap space, or a driver that takes nothing back");
	ASSERT_EQ(0, rig_open_on(&self->awake, &self->rig.gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	ASSERT_EQ(0, spin(&self->awake));
	/* The VM gets its slot, and keeps it as nobody else wants one. */
	cs = rig_stream(&self->rig, 0);
	cs_put32(&cs, self->rig.data.va, 1);
	ASSERT_EQ(1, rig_run(&self->rig, 0, &cs));
}

FIXTURE_TEARDOWN(pressure)
{
	if (self->awake.data.u32)
		self->awake.data.u32[0] = 1;
	rig_close(&self->rig);
}

/* For tests that take longer than a job may. */
static void asleep(FIXTURE_DATA(pressure) *self)
{
	self->awake.data.u32[0] = 1;
	rig_wait(&self->awake);
}

static uint64_t since(const struct hwmodel_counters *before, const char *name)
{
	struct hwmodel_counters now;

	if (hwmodel_read(&now))
		return UINT64_MAX;
	return hwmodel_get(&now, name) - hwmodel_get(before, name);
}

/* Bound at @va, mapped on the CPU, and the first word of each page counts up from @first. */
static int filled(struct rig *rig, uint64_t size, uint64_t va, uint32_t first, struct bo *bo)
{
	int ret = rig_numbered_bo(rig, size, first, bo);

	if (!ret)
		ret = vm_map(&rig->gpu, rig->vm, bo->handle, 0, va, size, NOEXEC | UNCACHED);
	bo->va = va;
	return ret;
}

/* How many pages do not begin with their number. */
static unsigned int wrong(const struct bo *bo, uint32_t first)
{
	unsigned int count = 0;

	for (uint32_t page = 0; page < bo->size / PAGE; page++)
		count += bo->u32[page * (PAGE / 4)] != first + page;
	return count;
}

TEST_F(pressure, an_idle_buffer_leaves_the_page_table_and_is_back_with_the_next_job)
{
	struct rig *rig = &self->rig;
	uint32_t value;
	struct bo bo;
	int space;

	ASSERT_EQ(0, filled(rig, BYTES, VA, 1000, &bo));
	space = space_of(VA);
	ASSERT_LT(0, space);
	ASSERT_EQ(PAGES, gpu_mapped(space, VA, PAGES));
	ASSERT_EQ(0, cpu_faults(&bo));
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	EXPECT_EQ(0, gpu_mapped(space, VA, PAGES));
	EXPECT_EQ(0, gpu_mapped(space, RIG_DATA_VA, RIG_BYTES / PAGE));
	EXPECT_LT(0, cpu_faults(&bo));

	ASSERT_EQ(1, rig_peek(rig, VA + 5 * PAGE, &value));
	EXPECT_EQ(1005, value);
	EXPECT_EQ(PAGES, gpu_mapped(space, VA, PAGES));
	EXPECT_EQ(0, wrong(&bo, 1000));
}

TEST_F(pressure, what_the_gpu_has_written_is_there_after_it_was_taken)
{
	struct rig *rig = &self->rig;
	struct bo bo;
	struct cs cs;

	ASSERT_EQ(0, filled(rig, BYTES, VA, 1, &bo));
	cs = rig_stream(rig, 0);
	cs_put32(&cs, VA + 7 * PAGE, 77777);
	ASSERT_EQ(1, rig_run(rig, 0, &cs));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
		EXPECT_LT(0, cpu_faults(&bo));
		EXPECT_EQ(77777, bo.u32[7 * (PAGE / 4)]);
	}
	EXPECT_EQ(1, wrong(&bo, 1));
}

TEST_F(pressure, unmapped_buffers_go_first_then_those_of_the_cpu_then_those_of_the_gpu)
{
	struct rig *rig = &self->rig;
	struct bo unused, cpu, gpu;
	int space;

	ASSERT_EQ(0, filled(rig, BYTES, VA, 1, &gpu));
	ASSERT_EQ(0, rig_numbered_bo(rig, BYTES, 1, &cpu));
	ASSERT_EQ(0, rig_numbered_bo(rig, BYTES, 1, &unused));
	ASSERT_EQ(0, munmap(unused.map, unused.size));
	space = space_of(VA);

	ASSERT_EQ(0, reclaim(&rig->gpu, CPU_PAGES));
	EXPECT_EQ(0, cpu_faults(&cpu));
	EXPECT_EQ(PAGES, gpu_mapped(space, VA, PAGES));
	ASSERT_EQ(0, reclaim(&rig->gpu, CPU_PAGES));
	EXPECT_LT(0, cpu_faults(&cpu));
	EXPECT_EQ(PAGES, gpu_mapped(space, VA, PAGES));
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	EXPECT_EQ(0, gpu_mapped(space, VA, PAGES));

	ASSERT_EQ(0, bo_mmap(&rig->gpu, &unused));
	EXPECT_EQ(0, wrong(&unused, 1));
	EXPECT_EQ(0, wrong(&cpu, 1));
	EXPECT_EQ(0, wrong(&gpu, 1));
}

TEST_F(pressure, nothing_is_taken_from_a_vm_while_a_job_runs_in_it)
{
	struct rig *rig = &self->rig;
	struct bo shared, exclusive = { 0 };
	int space;

	ASSERT_EQ(0, filled(rig, BYTES, VA, 1, &shared));
	ASSERT_EQ(0, bo_create(&rig->gpu, BYTES, 0, rig->vm, &exclusive));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, exclusive.handle, 0, VA + BLOCK, BYTES, NOEXEC));
	space = space_of(VA);
	ASSERT_EQ(0, spin(rig));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	EXPECT_EQ(PAGES, gpu_mapped(space, VA, PAGES));
	EXPECT_EQ(PAGES, gpu_mapped(space, VA + BLOCK, PAGES));
	EXPECT_EQ(RIG_BYTES / PAGE, gpu_mapped(space, RIG_CODE_VA, RIG_BYTES / PAGE));

	rig->data.u32[0] = 1;
	ASSERT_EQ(1, rig_wait(rig));
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	EXPECT_EQ(0, gpu_mapped(space, VA, PAGES));
	EXPECT_EQ(0, gpu_mapped(space, VA + BLOCK, PAGES));
}

TEST_F(pressure, a_buffer_that_is_bound_while_a_job_runs_stays_as_long_as_the_job)
{
	struct rig *rig = &self->rig;
	struct bo late;
	int space;

	KNOWN_C_DEFECT(&rig->gpu, "what was bound after a job's submission is taken from under it");
	ASSERT_EQ(0, spin(rig));
	ASSERT_EQ(0, filled(rig, BYTES, VA, 1, &late));
	space = space_of(VA);
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	EXPECT_EQ(PAGES, gpu_mapped(space, VA, PAGES));
	rig->data.u32[0] = 1;
	ASSERT_EQ(1, rig_wait(rig));
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	EXPECT_EQ(0, gpu_mapped(space, VA, PAGES));
}

TEST_F(pressure, a_buffer_in_two_vms_is_busy_if_one_is_and_comes_back_in_both)
{
	struct rig *rig = &self->rig, other;
	struct bo bo;
	struct cs cs;
	int space, second;
	uint32_t value;

	ASSERT_EQ(0, rig_open_on(&other, &rig->gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	ASSERT_EQ(0, filled(rig, BYTES, VA, 1, &bo));
	ASSERT_EQ(0, vm_map(&rig->gpu, other.vm, bo.handle, 0, 2 * VA, BYTES, NOEXEC));
	cs = rig_stream(&other, 0);
	cs_put32(&cs, other.data.va, 1);
	ASSERT_EQ(1, rig_run(&other, 0, &cs));
	ASSERT_EQ(0, spin(rig));
	space = space_of(VA);
	second = space_of(2 * VA);
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	EXPECT_EQ(PAGES, gpu_mapped(space, VA, PAGES));
	EXPECT_EQ(PAGES, gpu_mapped(second, 2 * VA, PAGES));

	rig->data.u32[0] = 1;
	ASSERT_EQ(1, rig_wait(rig));
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	EXPECT_EQ(0, gpu_mapped(space, VA, PAGES));
	EXPECT_EQ(0, gpu_mapped(second, 2 * VA, PAGES));

	/* Each VM has it back with its own next job. */
	ASSERT_EQ(1, rig_peek(rig, VA + PAGE, &value));
	EXPECT_EQ(2, value);
	EXPECT_EQ(0, gpu_mapped(second, 2 * VA, PAGES));
	ASSERT_EQ(1, rig_peek(&other, 2 * VA + 2 * PAGE, &value));
	EXPECT_EQ(3, value);
	EXPECT_EQ(PAGES, gpu_mapped(second, 2 * VA, PAGES));
	rig_release(&other);
}

TEST_F(pressure, all_buffers_of_a_vm_are_back_with_one_lock_and_one_flush)
{
	enum { BOS = 16 };
	struct rig *rig = &self->rig;
	struct bo bo[BOS];
	uint32_t value;
	int space;

	for (uint32_t i = 0; i < BOS; i++) {
		ASSERT_EQ(0, bo_create(&rig->gpu, BYTES, 0, i % 2 ? rig->vm : 0, &bo[i]));
		ASSERT_EQ(0, bo_mmap(&rig->gpu, &bo[i]));
		bo[i].u32[0] = i;
		ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, bo[i].handle, 0, VA + i * BLOCK, BYTES, NOEXEC));
	}
	space = space_of(VA);
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	for (uint32_t i = 0; i < BOS; i++)
		EXPECT_EQ(0, gpu_mapped(space, VA + i * BLOCK, PAGES));

	ASSERT_EQ(0, hwmodel_read(&self->before));
	ASSERT_EQ(1, rig_peek(rig, VA + 3 * BLOCK, &value));
	EXPECT_EQ(3, value);
	for (uint32_t i = 0; i < BOS; i++)
		EXPECT_EQ(PAGES, gpu_mapped(space, VA + i * BLOCK, PAGES));
	/* One for each mapping. */
	KNOWN_C_DEFECT(&rig->gpu, "each mapping that comes back locks and flushes by itself");
	EXPECT_EQ(1, since(&self->before, "as_lock"));
	EXPECT_EQ(1, since(&self->before, "as_unlock"));
}

TEST_F(pressure, all_mappings_of_a_buffer_go_with_one_lock_and_one_flush)
{
	struct rig *rig = &self->rig;
	struct bo bo;
	int space;

	/* The rest is out of the way. */
	ASSERT_EQ(0, rig_numbered_bo(rig, BYTES, 1, &bo));
	space = space_of(RIG_DATA_VA);
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	for (int i = 0; i < 8; i++)
		ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, bo.handle, 0, VA + i * BLOCK, BYTES, NOEXEC));
	ASSERT_EQ(0, hwmodel_read(&self->before));
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(0, gpu_mapped(space, VA + i * BLOCK, PAGES));
	KNOWN_C_DEFECT(&rig->gpu, "each mapping that is taken locks and flushes by itself");
	EXPECT_EQ(1, since(&self->before, "as_lock"));
	EXPECT_EQ(1, since(&self->before, "as_unlock"));
}

/* rule E10: whether a VM is on the GPU is asked where it matters, before the hardware is told anything. */
TEST_F(pressure, a_vm_that_is_not_on_the_gpu_is_emptied_without_a_register_access)
{
	struct rig *rig = &self->rig;
	struct bo bo;
	uint32_t vm;

	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	ASSERT_EQ(0, vm_create(&rig->gpu, 0, &vm));
	ASSERT_EQ(0, rig_numbered_bo(rig, BYTES, 1, &bo));
	ASSERT_EQ(0, hwmodel_read(&self->before));
	ASSERT_EQ(0, vm_map(&rig->gpu, vm, bo.handle, 0, VA, BYTES, NOEXEC));
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	EXPECT_LT(0, cpu_faults(&bo));
	EXPECT_EQ(0, since(&self->before, "as_lock"));
	EXPECT_EQ(0, since(&self->before, "as_flush"));
	EXPECT_EQ(0, wrong(&bo, 1));
}

TEST_F(pressure, binds_change_what_was_taken)
{
	struct rig *rig = &self->rig;
	uint32_t value;
	struct bo big, small;
	int space;

	ASSERT_EQ(0, filled(rig, 2 * BLOCK, VA, 1, &big));
	ASSERT_EQ(0, rig_numbered_bo(rig, BYTES, 5000, &small));
	space = space_of(VA);
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	/* A hole inside of a block, something else over the end, and the rest a second time. */
	ASSERT_EQ(0, vm_unmap(&rig->gpu, rig->vm, VA + 8 * PAGE, 4 * PAGE));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, small.handle, 0, VA + 2 * BLOCK - BYTES, BYTES, NOEXEC));
	EXPECT_EQ(PAGES, gpu_mapped(space, VA, 1024));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, big.handle, 0, VA + 8 * BLOCK, BLOCK, NOEXEC));
	EXPECT_EQ(512, gpu_mapped(space, VA + 8 * BLOCK, 512));

	ASSERT_EQ(1, rig_peek(rig, VA + 7 * PAGE, &value));
	EXPECT_EQ(8, value);
	EXPECT_EQ(1024 - 4, gpu_mapped(space, VA, 1024));
	EXPECT_EQ(0, gpu_mapped(space, VA + 8 * PAGE, 4));
	ASSERT_EQ(1, rig_peek(rig, VA + 12 * PAGE, &value));
	EXPECT_EQ(13, value);
	ASSERT_EQ(1, rig_peek(rig, VA + 2 * BLOCK - BYTES + PAGE, &value));
	EXPECT_EQ(5001, value);
	EXPECT_EQ(0, wrong(&big, 1));

	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	EXPECT_EQ(0, gpu_mapped(space, VA, 1024));
	EXPECT_EQ(0, gpu_mapped(space, VA + 8 * BLOCK, 512));
	/* Nobody asks for it back. */
	ASSERT_EQ(0, vm_unmap(&rig->gpu, rig->vm, VA, 16 * BLOCK));
	ASSERT_EQ(1, rig_peek(rig, RIG_DATA_VA, &value));
	EXPECT_EQ(0, gpu_mapped(space, VA, 1024));
}

TEST_F(pressure, a_queued_bind_keeps_the_memory_that_it_is_going_to_map)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op wait;
	struct drm_panthor_vm_bind_op op = {
		.flags = NOEXEC, .va = VA, .size = BYTES,
		.syncs = DRM_PANTHOR_OBJ_ARRAY(1, &wait),
	};
	uint32_t gate, value;
	struct bo bo;

	ASSERT_EQ(0, rig_numbered_bo(rig, BYTES, 1, &bo));
	op.bo_handle = bo.handle;
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	ASSERT_EQ(0, spin(rig));
	gate = rig->sync;
	wait = sync_wait_op(gate, 0);
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	ASSERT_EQ(0, wrong(&bo, 1));
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	EXPECT_EQ(0, cpu_faults(&bo));
	rig->data.u32[0] = 1;
	ASSERT_EQ(1, rig_wait(rig));
	/* A job behind the bind. */
	op = (struct drm_panthor_vm_bind_op) {
		.flags = DRM_PANTHOR_VM_BIND_OP_TYPE_SYNC_ONLY,
		.syncs = DRM_PANTHOR_OBJ_ARRAY(1, &wait),
	};
	wait = sync_signal_op(gate, 0);
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	ASSERT_EQ(0, sync_wait(&rig->gpu, gate, 0, PATIENCE));
	ASSERT_EQ(1, rig_peek(rig, VA + 3 * PAGE, &value));
	EXPECT_EQ(4, value);
}

/* A dma-buf, or a negative errno. */
static int export(const struct gpu *gpu, const struct bo *bo)
{
	struct drm_prime_handle args = {
		.handle = bo->handle, .flags = DRM_CLOEXEC | DRM_RDWR, .fd = -1,
	};

	return gpu_ioctl(gpu->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args) ?: args.fd;
}

TEST_F(pressure, a_buffer_that_was_exported_stays_for_as_long_as_it_is_there)
{
	struct rig *rig = &self->rig;
	struct bo bo;
	long before;
	int space, fd;

	KNOWN_C_DEFECT(&rig->gpu, "reclaim takes what a dma-buf's file has mapped");
	ASSERT_EQ(0, filled(rig, BYTES, VA, 1, &bo));
	space = space_of(VA);
	before = reclaimable(&rig->gpu);
	ASSERT_LE(CPU_PAGES, before);
	fd = export(&rig->gpu, &bo);
	ASSERT_LE(0, fd);
	EXPECT_EQ(before - CPU_PAGES, reclaimable(&rig->gpu));
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	EXPECT_EQ(PAGES, gpu_mapped(space, VA, PAGES));
	EXPECT_EQ(0, cpu_faults(&bo));

	/* Somebody may have mapped it and closed the file since. */
	close(fd);
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	EXPECT_EQ(PAGES, gpu_mapped(space, VA, PAGES));
	EXPECT_EQ(0, cpu_faults(&bo));
	EXPECT_EQ(0, wrong(&bo, 1));
}

TEST_F_TIMEOUT(pressure, what_is_mapped_by_way_of_a_dma_buf_is_what_the_gpu_has_mapped, 300)
{
	struct rig *rig = &self->rig;
	struct bo bo;
	uint32_t *map;
	pid_t thief;
	int space, fd;

	KNOWN_C_DEFECT(&rig->gpu, "reclaim takes what a dma-buf's file has mapped");
	ASSERT_EQ(0, filled(rig, BYTES, VA, 1, &bo));
	space = space_of(VA);
	fd = export(&rig->gpu, &bo);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, munmap(bo.map, BYTES));
	ASSERT_EQ(0, gem_close(&rig->gpu, bo.handle));
	map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	bo.map = map;
	EXPECT_EQ(0, wrong(&bo, 1));
	close(fd);
	/* If it went, the pages could be somebody else's by now, and that mapping would not know. */
	ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
	EXPECT_EQ(PAGES, gpu_mapped(space, VA, PAGES));
	EXPECT_EQ(0, cpu_faults(&bo));

	asleep(self);
	thief = fork();
	ASSERT_LE(0, thief);
	while (!thief)
		reclaim(&rig->gpu, EVERYTHING);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t value, page = i % PAGES, word = page * (PAGE / 4);
		struct cs cs = rig_stream(rig, 1);

		/* From the GPU to the CPU, and the other way round. */
		cs_put32(&cs, VA + page * PAGE + 4, 1000 + i);
		EXPECT_EQ(1, rig_run(rig, i % 2, &cs));
		EXPECT_EQ(1000 + i, map[word + 1]);
		map[word + 2] = 2000 + i;
		EXPECT_EQ(1, rig_peek(rig, VA + page * PAGE + 8, &value));
		EXPECT_EQ(2000 + i, value);
	}
	kill(thief, SIGKILL);
	EXPECT_EQ(thief, waitpid(thief, NULL, 0));
	EXPECT_EQ(0, wrong(&bo, 1));
}

TEST_F(pressure, buffers_of_the_kernel_stay)
{
	struct rig *rig = &self->rig;
	struct cs cs;

	asleep(self);
	/* Rings, sync objects and suspend buffers are in use whenever the firmware likes. */
	for (uint32_t i = 0; i < 20; i++) {
		ASSERT_EQ(0, reclaim(&rig->gpu, EVERYTHING));
		cs = rig_stream(rig, 0);
		cs_put32(&cs, rig->data.va + 8, 100 + i);
		ASSERT_EQ(1, rig_run(rig, i % 2, &cs));
		EXPECT_EQ(100 + i, rig->data.u32[2]);
	}
}

TEST_F_TIMEOUT(pressure, jobs_and_binds_race_with_reclaim_and_every_value_is_right, 300)
{
	struct rig *rig = &self->rig;
	struct bo bo, other;
	pid_t thief;

	asleep(self);
	ASSERT_EQ(0, filled(rig, BYTES, VA, 1, &bo));
	ASSERT_EQ(0, rig_numbered_bo(rig, BYTES, 1, &other));
	thief = fork();
	ASSERT_LE(0, thief);
	while (!thief)
		reclaim(&rig->gpu, EVERYTHING);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t value = 0, page = i % PAGES;

		EXPECT_EQ(1, rig_peek(rig, VA + page * PAGE, &value));
		EXPECT_EQ(page + 1, value);
		EXPECT_EQ(0, vm_map(&rig->gpu, rig->vm, other.handle, page * PAGE, VA + BLOCK, PAGE,
				    NOEXEC));
		EXPECT_EQ(1, rig_peek(rig, VA + BLOCK, &value));
		EXPECT_EQ(page + 1, value);
		EXPECT_EQ(0, vm_unmap(&rig->gpu, rig->vm, VA + BLOCK, PAGE));
		EXPECT_EQ(0, wrong(&bo, 1));
	}
	kill(thief, SIGKILL);
	EXPECT_EQ(thief, waitpid(thief, NULL, 0));
}

TEST_HARNESS_MAIN
