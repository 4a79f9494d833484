// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Tiler heaps: creation, growth on request of the firmware, and the end of growth.
 *
 * The tiler's memory is described in two places that user space fills: the tiler context, which
 * names a heap descriptor, and the descriptor with the chunk in use. A draw that does not fit makes
 * the firmware ask the driver for a chunk.
 */
#include <stdio.h>
#include <unistd.h>

#include "heap.h"
#include "hwmodel.h"
#include "suite.h"

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

static int draw(struct rig *rig, uint64_t tiler, uint64_t heap, uint32_t bytes)
{
	struct cs cs = rig_stream(rig, 0);

	heap_pass(&cs, tiler, heap, bytes);
	return rig_run(rig, 0, &cs);
}

/* How many chunks have come too late for their group, which had lost its slot; -1 if nobody counts. */
static long late_chunks(const struct gpu *gpu)
{
	FILE *file = gpu_debugfs(gpu, "sched");
	char line[128];
	long late = -1;

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "chunks_late %ld", &late);
	if (file)
		fclose(file);
	return late;
}

TEST_F(heap, what_fits_into_the_first_chunk_needs_no_other)
{
	unsigned int before = heap_chunks(&self->rig.gpu);

	ASSERT_EQ(1, draw(&self->rig, self->tiler, self->heap.tiler_heap_ctx_gpu_va, CHUNK / 2));
	EXPECT_EQ(self->heap.first_heap_chunk_gpu_va, self->desc[1]);
	EXPECT_EQ(before, heap_chunks(&self->rig.gpu));
}

TEST_F(heap, a_draw_that_does_not_fit_makes_it_grow)
{
	uint64_t first = self->heap.first_heap_chunk_gpu_va;
	unsigned int before = heap_chunks(&self->rig.gpu);

	ASSERT_EQ(1, draw(&self->rig, self->tiler, self->heap.tiler_heap_ctx_gpu_va,
			  2 * CHUNK + CHUNK / 2));
	if (before)
		EXPECT_EQ(before + 2, heap_chunks(&self->rig.gpu));
	EXPECT_NE(first, self->desc[1]);
	EXPECT_EQ(0, self->desc[1] % 4096);
	EXPECT_EQ(self->desc[1] + CHUNK, self->desc[3]);
}

TEST_F(heap, growth_beyond_the_maximum_is_fatal_without_a_handler)
{
	unsigned int before = heap_chunks(&self->rig.gpu);
	uint32_t state = 0, fatal = 0;

	EXPECT_EQ(-EINVAL, draw(&self->rig, self->tiler, self->heap.tiler_heap_ctx_gpu_va, 4 * CHUNK));
	if (before)
		EXPECT_EQ(before + self->heap.max_chunks - 1, heap_chunks(&self->rig.gpu));
	EXPECT_EQ(0, group_state(&self->rig.gpu, self->rig.group, &state, &fatal));
	EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_FATAL_FAULT, state);
	EXPECT_EQ(1, fatal);
}

TEST_F(heap, growth_of_something_that_is_no_heap_is_fatal)
{
	uint32_t state = 0, fatal = 0;

	EXPECT_EQ(-EINVAL, draw(&self->rig, self->tiler, self->rig.data.va + 0x2000, 2 * CHUNK));
	EXPECT_EQ(0, group_state(&self->rig.gpu, self->rig.group, &state, &fatal));
	EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_FATAL_FAULT, state);
}

/*
 * The handler renders what is there, gives the chunks back, and says that none is in use; then the
 * draw goes on where it was.
 */
TEST_F(heap, at_the_maximum_memory_is_used_again_by_a_handler)
{
	uint64_t first = self->heap.first_heap_chunk_gpu_va;
	struct cs handler = rig_stream(&self->rig, 1);
	struct cs cs = rig_stream(&self->rig, 0);
	struct rig *rig = &self->rig;
	const uint32_t full = self->heap.max_chunks * (CHUNK - HEADER);
	unsigned int before = heap_chunks(&rig->gpu);

	cs_move48(&handler, 74, first + CHUNK / PAGE);
	cs_move48(&handler, 76, self->descriptor);
	cs_load(&handler, 78, 3, 76, 8);
	cs_wait(&handler, CS_SB_ALL);
	cs_add64(&handler, 78, 78, CHUNK / PAGE);
	cs_finish_fragment(&handler, 74, 78);
	cs_wait(&handler, CS_SB_ALL);
	for (uint8_t r = 80; r < 86; r += 2)
		cs_move48(&handler, r, 0);
	cs_store(&handler, 80, 0x3f, 76, 8);
	cs_move48(&handler, 86, rig->data.va);
	cs_load(&handler, 88, 1, 86, 0);
	cs_wait(&handler, CS_SB_ALL);
	cs_add32(&handler, 88, 88, 1);
	cs_store32(&handler, 88, 86, 0);

	cs_move48(&cs, 64, rig_stream_va(rig, &handler));
	cs_move32(&cs, 66, cs_bytes(&handler));
	cs_set_oom_handler(&cs, 64, 66);
	heap_pass(&cs, self->tiler, self->heap.tiler_heap_ctx_gpu_va, 10 * CHUNK);
	ASSERT_EQ(1, rig_run(rig, 0, &cs));
	EXPECT_EQ(10 * CHUNK / full, rig->data.u32[0]);
	if (before)
		EXPECT_EQ(before + self->heap.max_chunks - 1, heap_chunks(&rig->gpu));
}

/* As the last one, but somebody has forgotten to give anything back. */
TEST_F(heap, a_handler_that_gives_nothing_back_is_the_end_of_its_group_only)
{
	struct cs handler = rig_stream(&self->rig, 1);
	struct cs cs = rig_stream(&self->rig, 0);
	struct rig *rig = &self->rig;
	struct rig other;

	ASSERT_EQ(0, rig_open_on(&other, &rig->gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	/* It needs memory itself. */
	cs_move32(&handler, 33, 4 * CHUNK / VERTEX);
	cs_run_idvs(&handler);
	cs_move48(&cs, 64, rig_stream_va(rig, &handler));
	cs_move32(&cs, 66, cs_bytes(&handler));
	cs_set_oom_handler(&cs, 64, 66);
	heap_pass(&cs, self->tiler, self->heap.tiler_heap_ctx_gpu_va, 10 * CHUNK);
	EXPECT_EQ(-EINVAL, rig_run(rig, 0, &cs));
	cs = rig_stream(&other, 0);
	cs_put32(&cs, other.data.va, 5);
	EXPECT_EQ(1, rig_run(&other, 0, &cs));
	EXPECT_EQ(5, other.data.u32[0]);
	rig_release(&other);
}

#define MANY	18	/* more groups than slots */
#define DEEP	12	/* chunks that each wants */

/*
 * Groups take turns while their heaps grow. A chunk whose group has lost its slot meanwhile goes back:
 * else the heap would have more than its tiler knows of.
 */
TEST_F_TIMEOUT(heap, a_chunk_that_comes_too_late_is_given_back, 120)
{
	struct drm_panthor_tiler_heap_create heap[MANY];
	uint32_t group[MANY], sync[MANY];
	struct rig *rig = &self->rig;
	long late = late_chunks(&rig->gpu), last = late;
	unsigned int before = heap_chunks(&rig->gpu);

	KNOWN_C_DEFECT(&rig->gpu, "tiler memory is given to streams that do not ask any more");
	for (uint32_t i = 0; i < MANY; i++) {
		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &group[i]));
		ASSERT_EQ(0, sync_create(&rig->gpu, false, &sync[i]));
	}
	for (int round = 0; round < 60 && last == late; round++) {
		for (uint32_t i = 0; i < MANY; i++) {
			struct cs cs = rig_stream(rig, i);

			ASSERT_EQ(0, heap_create(rig, rig->vm, 4 + i, DEEP, &heap[i]));
			heap_pass(&cs, rig->data.va + (4 + i) * PAGE, heap[i].tiler_heap_ctx_gpu_va,
			     DEEP * (CHUNK - HEADER));
			ASSERT_EQ(0, group_run(&rig->gpu, group[i], 0, rig_stream_va(rig, &cs),
					       cs_bytes(&cs), sync[i]));
		}
		for (uint32_t i = 0; i < MANY; i++) {
			ASSERT_EQ(0, sync_wait(&rig->gpu, sync[i], 0, PATIENCE));
			EXPECT_EQ(1, sync_status(&rig->gpu, sync[i]));
		}
		/* Each tiler has used its heap up to the last byte, and no heap has more than its tiler knows of. */
		if (before)
			EXPECT_EQ(before + MANY * DEEP, heap_chunks_once_they_are(&rig->gpu, before + MANY * DEEP));
		for (uint32_t i = 0; i < MANY; i++)
			ASSERT_EQ(0, heap_destroy(rig, heap[i].handle));
		last = late_chunks(&rig->gpu);
	}
	/* A driver that counts them has seen one, or the test has not tested anything. */
	if (late >= 0)
		EXPECT_LT(late, last);
	if (before)
		EXPECT_EQ(before, heap_chunks(&rig->gpu));
}

/* A heap grows for a job of a group, and one of the two goes, sooner or later; then the other one. */
static void take_one(struct __test_metadata *_metadata, struct rig *rig, bool heap_first)
{
	struct drm_panthor_tiler_heap_create heap;
	unsigned int before = heap_chunks(&rig->gpu);

	for (unsigned int i = 0; i < 40; i++) {
		struct cs cs = rig_stream(rig, 0);
		uint32_t group;

		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &group));
		ASSERT_EQ(0, heap_create(rig, rig->vm, 4, DEEP, &heap));
		heap_pass(&cs, rig->data.va + 4 * PAGE, heap.tiler_heap_ctx_gpu_va, DEEP * (CHUNK - HEADER));
		ASSERT_EQ(0, group_run(&rig->gpu, group, 0, rig_stream_va(rig, &cs), cs_bytes(&cs),
				       rig->sync));
		usleep(100 * i);
		ASSERT_EQ(0, heap_first ? heap_destroy(rig, heap.handle) :
					  group_destroy(&rig->gpu, group));
		/* However far the job came, it ends. */
		ASSERT_EQ(0, sync_wait(&rig->gpu, rig->sync, 0, PATIENCE));
		ASSERT_EQ(0, heap_first ? group_destroy(&rig->gpu, group) :
					  heap_destroy(rig, heap.handle));
	}
	if (before)
		EXPECT_EQ(before, heap_chunks_once_they_are(&rig->gpu, before));
}

TEST_F(heap, a_group_can_go_while_its_heap_grows)
{
	take_one(_metadata, &self->rig, false);
}

/* The firmware has asked for a chunk of a heap that is being taken apart. */
TEST_F(heap, a_heap_can_go_while_it_grows)
{
	take_one(_metadata, &self->rig, true);
}

/*
 * As before, with the whole VM. The C driver looks for the heap's context without a lock while the VM
 * frees it.
 */
TEST_F(heap, a_vm_can_go_while_its_heaps_grow)
{
	unsigned int before = heap_chunks(&self->rig.gpu);

	for (unsigned int i = 0; i < 40; i++) {
		struct drm_panthor_tiler_heap_create heap;
		struct rig rig;
		struct cs cs;

		ASSERT_EQ(0, rig_open_on(&rig, &self->rig.gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
		ASSERT_EQ(0, heap_create(&rig, rig.vm, 4, DEEP, &heap));
		cs = rig_stream(&rig, 0);
		heap_pass(&cs, rig.data.va + 4 * PAGE, heap.tiler_heap_ctx_gpu_va, DEEP * (CHUNK - HEADER));
		ASSERT_EQ(0, rig_submit(&rig, 0, &cs));
		usleep(100 * i);
		ASSERT_EQ(0, vm_destroy(&rig.gpu, rig.vm));
		ASSERT_EQ(0, sync_wait(&rig.gpu, rig.sync, 0, PATIENCE));
		rig_release(&rig);
	}
	if (before)
		EXPECT_EQ(before, heap_chunks_once_they_are(&self->rig.gpu, before));
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
