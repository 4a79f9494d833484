// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Memory that is taken away from the GPU: what it may still do with it afterwards, which is nothing.
 * Much of it the model sees and records by itself, so these tests make it happen.
 */
#include <sys/mman.h>

#include "suite.h"

#define NOEXEC	DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC
#define VA	0x40000000ull

FIXTURE(unmap)
{
	struct rig rig;
	struct bo bo, other;
};

FIXTURE_SETUP(unmap)
{
	struct rig *rig = &self->rig;

	ASSERT_EQ(0, rig_open(rig, 2));
	ASSERT_EQ(0, rig_numbered_bo(rig, 16 * PAGE, 100, &self->bo));
	ASSERT_EQ(0, rig_numbered_bo(rig, 16 * PAGE, 200, &self->other));
}

FIXTURE_TEARDOWN(unmap)
{
	rig_close(&self->rig);
}

/* Copies the words at VA and VA + PAGE to data[1] and data[2], again and again until data[0] is set. */
static int start_copying(struct rig *rig)
{
	struct cs cs = rig_stream(rig, 8);
	size_t again;

	rig->data.u32[0] = 0;
	cs_move48(&cs, 10, VA);
	cs_move48(&cs, 12, rig->data.va);
	again = cs.len;
	cs_load(&cs, 20, 1, 10, 0);
	cs_load(&cs, 21, 1, 10, PAGE);
	cs_load(&cs, 22, 1, 12, 0);
	cs_wait(&cs, CS_SB_LS);
	cs_store(&cs, 20, 3, 12, 4);
	cs_wait(&cs, CS_SB_LS);
	cs_branch(&cs, CS_EQUAL, 22, again);
	return rig_submit(rig, 0, &cs);
}

static int stop_copying(struct rig *rig)
{
	rig->data.u32[0] = 1;
	return rig_wait(rig);
}

TEST_F(unmap, a_running_job_sees_what_takes_the_place_of_a_mapping)
{
	struct rig *rig = &self->rig;
	struct gpu *gpu = &rig->gpu;

	ASSERT_EQ(0, vm_map(gpu, rig->vm, self->bo.handle, 0, VA, 2 * PAGE, NOEXEC));
	ASSERT_EQ(0, start_copying(rig));
	ASSERT_EQ(0, rig_wait_word(rig, 1, 100));
	for (uint32_t i = 0; i < 8; i++) {
		const struct bo *bo = i % 2 ? &self->bo : &self->other;
		uint32_t first = i % 2 ? 100 : 200;

		ASSERT_EQ(0, vm_map(gpu, rig->vm, bo->handle, i * PAGE, VA, PAGE, NOEXEC));
		ASSERT_EQ(0, rig_wait_word(rig, 1, first + i));
		EXPECT_EQ(101, rig->data.u32[2]);
	}
	EXPECT_EQ(1, stop_copying(rig));
}

TEST_F(unmap, a_running_job_faults_where_nothing_is_mapped_any_more)
{
	struct rig *rig = &self->rig;
	struct gpu *gpu = &rig->gpu;

	ASSERT_EQ(0, vm_map(gpu, rig->vm, self->bo.handle, 0, VA, 2 * PAGE, NOEXEC));
	ASSERT_EQ(0, start_copying(rig));
	ASSERT_EQ(0, rig_wait_word(rig, 1, 100));
	ASSERT_EQ(0, vm_unmap(gpu, rig->vm, VA, PAGE));
	EXPECT_GT(0, rig_wait(rig));
}

TEST_F(unmap, a_queued_unmap_is_done_when_it_says_so)
{
	struct rig *rig = &self->rig;
	struct gpu *gpu = &rig->gpu;
	struct drm_panthor_sync_op sync;
	struct drm_panthor_vm_bind_op op = {
		.flags = DRM_PANTHOR_VM_BIND_OP_TYPE_UNMAP,
		.va = VA,
		.size = PAGE,
		.syncs = DRM_PANTHOR_OBJ_ARRAY(1, &sync),
	};
	uint32_t out, value;

	ASSERT_EQ(0, sync_create(gpu, false, &out));
	sync = sync_signal_op(out, 0);
	ASSERT_EQ(0, vm_map(gpu, rig->vm, self->bo.handle, 0, VA, 2 * PAGE, NOEXEC));
	ASSERT_EQ(1, rig_peek(rig, VA, &value));
	EXPECT_EQ(100, value);
	ASSERT_EQ(0, vm_bind_async(gpu, rig->vm, &op, 1));
	ASSERT_EQ(0, sync_wait(gpu, out, 0, PATIENCE));
	ASSERT_EQ(1, sync_status(gpu, out));
	ASSERT_EQ(1, rig_peek(rig, VA + PAGE, &value));
	EXPECT_EQ(101, value);
	EXPECT_GT(0, rig_peek(rig, VA, &value));
}

/* What a cache has for memory that is somebody else's by then would end up there. */
TEST_F(unmap, what_the_gpu_has_written_is_in_memory_when_that_is_unmapped)
{
	struct rig *rig = &self->rig;
	struct gpu *gpu = &rig->gpu;

	for (uint32_t i = 0; i < 8; i++) {
		struct cs cs = rig_stream(rig, 1);

		ASSERT_EQ(0, vm_map(gpu, rig->vm, self->bo.handle, 0, VA, 16 * PAGE, NOEXEC));
		for (uint32_t page = 0; page < 16; page++)
			cs_put32(&cs, VA + page * PAGE, 1000 * i + page);
		ASSERT_EQ(1, rig_run(rig, i % 2, &cs));
		ASSERT_EQ(0, vm_unmap(gpu, rig->vm, VA, 16 * PAGE));
		for (uint32_t page = 0; page < 16; page++)
			EXPECT_EQ(1000 * i + page, self->bo.u32[page * (PAGE / 4)]);
	}
}

/*
 * By rule E8: memory is given back after caches and TLB have let go of it. Many buffers, as what a
 * kernel does with pages that are freed is its own business.
 */
TEST_F(unmap, memory_that_was_given_back_cannot_be_read)
{
	enum { BOS = 64, PAGES = 16 };
	struct rig *rig = &self->rig;
	struct gpu *gpu = &rig->gpu;
	struct cs cs = rig_stream(rig, 1);
	struct bo bo[BOS];
	uint32_t value;

	for (uint32_t i = 0; i < BOS; i++) {
		ASSERT_EQ(0, rig_numbered_bo(rig, PAGES * PAGE, 1, &bo[i]));
		ASSERT_EQ(0, vm_map(gpu, rig->vm, bo[i].handle, 0, VA + i * BLOCK, PAGES * PAGE,
				    NOEXEC));
	}
	ASSERT_EQ(1, rig_peek(rig, VA, &value));
	ASSERT_EQ(0, vm_unmap(gpu, rig->vm, VA, BOS * BLOCK));
	for (uint32_t i = 0; i < BOS; i++) {
		ASSERT_EQ(0, munmap(bo[i].map, bo[i].size));
		ASSERT_EQ(0, gem_close(gpu, bo[i].handle));
	}
	for (uint32_t i = 0; i < BOS; i++) {
		cs_move48(&cs, 10, VA + i * BLOCK);
		cs_load(&cs, 12, 1, 10, 0);
		cs_wait(&cs, CS_SB_LS);
	}
	EXPECT_GT(0, rig_run(rig, 0, &cs));
}

TEST_HARNESS_MAIN
