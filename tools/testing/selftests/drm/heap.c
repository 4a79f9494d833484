// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Tiler heaps: creation, growth on request of the firmware, and the end of growth.
 *
 * The tiler's memory is described in two places that user space fills: the tiler context, which
 * names a heap descriptor, and the descriptor with the chunk in use. A draw that does not fit makes
 * the firmware ask the driver for a chunk.
 */
#include "hwmodel.h"
#include "suite.h"

#define CHUNK		(128u << 10)
#define HEADER		64
#define VERTEX		32	/* bytes that the model's tiler takes for a vertex */

FIXTURE(heap)
{
	struct rig rig;
	struct drm_panthor_tiler_heap_create heap;
	uint64_t tiler, descriptor;
	uint64_t *desc;
};

FIXTURE_SETUP(heap)
{
	uint64_t *tiler;
	int ret;

	if (!hwmodel_present())
		SKIP(return, "draws without shaders are for the hardware model");
	ASSERT_EQ(0, rig_open(&self->rig, 1));
	self->heap = (struct drm_panthor_tiler_heap_create){
		.vm_id = self->rig.vm,
		.initial_chunk_count = 1,
		.chunk_size = CHUNK,
		.max_chunks = 3,
		.target_in_flight = 4,
	};
	ret = gpu_ioctl(self->rig.gpu.fd, DRM_IOCTL_PANTHOR_TILER_HEAP_CREATE, &self->heap);
	SKIP_IF_NOT_OFFERED(ret, "TILER_HEAP_CREATE");
	ASSERT_EQ(0, ret);

	self->tiler = self->rig.data.va + 0x1000;
	self->descriptor = self->rig.data.va + 0x1100;
	tiler = (uint64_t *)((char *)self->rig.data.map + 0x1000);
	self->desc = (uint64_t *)((char *)self->rig.data.map + 0x1100);
	tiler[3] = self->descriptor;
	self->desc[0] = (uint64_t)CHUNK << 32;
	self->desc[1] = self->heap.first_heap_chunk_gpu_va;
	self->desc[2] = self->heap.first_heap_chunk_gpu_va + HEADER;
	self->desc[3] = self->heap.first_heap_chunk_gpu_va + CHUNK;
}

FIXTURE_TEARDOWN(heap)
{
	rig_close(&self->rig);
}

/* A render pass with one draw of that many bytes. */
static int draw(struct rig *rig, uint64_t tiler, uint64_t heap, uint32_t bytes)
{
	struct cs cs = rig_stream(rig, 0);

	cs_move48(&cs, 40, tiler);
	cs_move48(&cs, 60, heap);
	cs_heap_set(&cs, 60);
	cs_move32(&cs, 33, bytes / VERTEX);
	cs_move32(&cs, 34, 1);
	cs_heap_operation(&cs, CS_TILING_STARTED);
	cs_run_idvs(&cs);
	cs_wait(&cs, CS_SB_ALL);
	cs_heap_operation(&cs, CS_TILING_COMPLETED);
	cs_heap_operation(&cs, CS_FRAGMENT_COMPLETED);
	return rig_run(rig, 0, &cs);
}

TEST_F(heap, what_fits_into_the_first_chunk_needs_no_other)
{
	ASSERT_EQ(1, draw(&self->rig, self->tiler, self->heap.tiler_heap_ctx_gpu_va, CHUNK / 2));
	EXPECT_EQ(self->heap.first_heap_chunk_gpu_va, self->desc[1]);
}

TEST_F(heap, a_draw_that_does_not_fit_makes_it_grow)
{
	uint64_t first = self->heap.first_heap_chunk_gpu_va;

	ASSERT_EQ(1, draw(&self->rig, self->tiler, self->heap.tiler_heap_ctx_gpu_va,
			  2 * CHUNK + CHUNK / 2));
	EXPECT_NE(first, self->desc[1]);
	EXPECT_EQ(0, self->desc[1] % 4096);
	EXPECT_EQ(self->desc[1] + CHUNK, self->desc[3]);
}

TEST_F(heap, growth_beyond_the_maximum_is_fatal_without_a_handler)
{
	uint32_t state = 0, fatal = 0;

	EXPECT_GT(0, draw(&self->rig, self->tiler, self->heap.tiler_heap_ctx_gpu_va, 4 * CHUNK));
	EXPECT_EQ(0, group_state(&self->rig.gpu, self->rig.group, &state, &fatal));
	EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_FATAL_FAULT, state);
	EXPECT_EQ(1, fatal);
}

TEST_F(heap, growth_of_something_that_is_no_heap_is_fatal)
{
	uint32_t state = 0, fatal = 0;

	EXPECT_GT(0, draw(&self->rig, self->tiler, self->rig.data.va + 0x2000, 2 * CHUNK));
	EXPECT_EQ(0, group_state(&self->rig.gpu, self->rig.group, &state, &fatal));
	EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_FATAL_FAULT, state);
}

TEST_F(heap, it_can_be_destroyed_once)
{
	struct drm_panthor_tiler_heap_destroy args = { .handle = self->heap.handle };

	EXPECT_EQ(0, gpu_ioctl(self->rig.gpu.fd, DRM_IOCTL_PANTHOR_TILER_HEAP_DESTROY, &args));
	EXPECT_EQ(-EINVAL, gpu_ioctl(self->rig.gpu.fd, DRM_IOCTL_PANTHOR_TILER_HEAP_DESTROY,
				     &args));
}

TEST_F(heap, a_vm_has_128_and_not_one_more)
{
	struct drm_panthor_tiler_heap_create args = self->heap;

	for (int i = 1; i < 128; i++)
		ASSERT_EQ(0, gpu_ioctl(self->rig.gpu.fd, DRM_IOCTL_PANTHOR_TILER_HEAP_CREATE,
				       &args));
	EXPECT_EQ(-EBUSY, gpu_ioctl(self->rig.gpu.fd, DRM_IOCTL_PANTHOR_TILER_HEAP_CREATE, &args));
}

TEST_HARNESS_MAIN
