// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What a firmware may say of a tiler heap, and should not: a context that is none, counts that
 * contradict each other, a request that nobody has made, a report that comes twice or too late. None
 * of it may cost anybody else anything, nor may a heap get more memory than it was allowed.
 */
#include <stdio.h>
#include <unistd.h>

#include "heap.h"
#include "hwmodel.h"
#include "power.h"
#include "suite.h"

#define DEEP	6	/* chunks that a draw takes */
#define ROOM	8	/* and that its heap may have */

#define FLAG	0	/* words of the data */
#define BEGUN	16
#define RESULT	32

FIXTURE(oom)
{
	struct rig rig, healthy;
	struct drm_panthor_tiler_heap_create heap, bystander;
	unsigned int before;	/* zero if the driver does not show its buffers */
};

static void spin(struct __test_metadata *_metadata, struct rig *rig)
{
	struct cs cs = rig_stream(rig, 0);

	rig->data.u32[FLAG] = 0;
	rig->data.u32[BEGUN] = 0;
	cs_put32(&cs, rig->data.va + 4 * BEGUN, 1);
	cs_spin_while_zero(&cs, rig->data.va + 4 * FLAG);
	cs_put32(&cs, rig->data.va + 4 * RESULT, 7);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	ASSERT_EQ(0, rig_wait_word(rig, BEGUN, 1));
}

FIXTURE_SETUP(oom)
{
	if (geteuid() || !hwmodel_present())
		SKIP(return, "a firmware that misbehaves is for the hardware model");
	ASSERT_EQ(0, rig_open(&self->rig, 1));
	ASSERT_EQ(0, rig_open(&self->healthy, 1));
	power_keep_on(&self->rig.gpu, true);
	ASSERT_EQ(0, heap_create(&self->healthy, self->healthy.vm, 4, ROOM, &self->bystander));
	self->before = heap_chunks(&self->rig.gpu);
	ASSERT_EQ(0, heap_create(&self->rig, self->rig.vm, 4, ROOM, &self->heap));
}

/* Whatever it was, others do not notice, and the VM is as good as before. */
FIXTURE_TEARDOWN(oom)
{
	struct rig *rig = &self->rig, *healthy = &self->healthy;
	struct drm_panthor_tiler_heap_create heap;
	uint32_t state = 1, fatal = 1, group;
	struct cs cs = rig_stream(rig, 1);

	hwmodel_inject("clear");
	spin(_metadata, healthy);
	healthy->data.u32[FLAG] = 1;
	EXPECT_EQ(1, rig_wait(healthy));
	EXPECT_EQ(7, healthy->data.u32[RESULT]);
	EXPECT_EQ(0, group_state(&healthy->gpu, healthy->group, &state, &fatal));
	EXPECT_EQ(0, state);

	ASSERT_EQ(0, heap_create(rig, rig->vm, 6, ROOM, &heap));
	ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &group));
	heap_pass(&cs, rig->data.va + 6 * PAGE, heap.tiler_heap_ctx_gpu_va, DEEP * (CHUNK - HEADER));
	ASSERT_EQ(0, group_run(&rig->gpu, group, 0, rig_stream_va(rig, &cs), cs_bytes(&cs),
			       rig->sync));
	EXPECT_EQ(1, rig_wait(rig));
	if (self->before)
		EXPECT_GE(self->before + 2 * ROOM, heap_chunks(&rig->gpu));
	EXPECT_EQ(0, group_destroy(&rig->gpu, group));
	EXPECT_EQ(0, heap_destroy(rig, heap.handle));
	EXPECT_EQ(0, heap_destroy(rig, self->heap.handle));
	if (self->before)
		EXPECT_EQ(self->before, heap_chunks_once_they_are(&rig->gpu, self->before));
	power_keep_on(&rig->gpu, false);
	rig_close(rig);
	rig_close(healthy);
}

/* A draw that needs memory, with the next report of that as @line says. */
static int draw(FIXTURE_DATA(oom) *self, const char *line)
{
	struct cs cs = rig_stream(&self->rig, 0);
	int ret = hwmodel_inject(line);

	if (ret)
		return ret;
	heap_pass(&cs, self->rig.data.va + 4 * PAGE, self->heap.tiler_heap_ctx_gpu_va,
		  DEEP * (CHUNK - HEADER));
	return rig_run(&self->rig, 0, &cs);
}

static void expect_fatal(struct __test_metadata *_metadata, struct rig *rig)
{
	uint32_t state = 0, fatal = 0;

	EXPECT_EQ(0, group_wait_bad(&rig->gpu, rig->group, &state, &fatal));
	EXPECT_EQ(DRM_PANTHOR_GROUP_STATE_FATAL_FAULT, state);
	EXPECT_EQ(1, fatal);
	ASSERT_EQ(0, group_destroy(&rig->gpu, rig->group));
	ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &rig->group));
}

TEST_F(oom, a_context_that_is_none_of_the_vm_ends_the_group)
{
	uint64_t context = self->heap.tiler_heap_ctx_gpu_va;
	const uint64_t wrong[] = {
		0, 1, context - 1, context + 1, context + 32, context + PAGE, context - PAGE,
		self->heap.first_heap_chunk_gpu_va, self->rig.data.va, 1ull << 47, ~0ull, ~0ull - 4095,
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		char line[64];

		/* The C driver takes it for that of the context that it is in. */
		if (gpu_is_c_driver(&self->rig.gpu) && wrong[i] - context < 64)
			continue;
		snprintf(line, sizeof(line), "mcu heap address 0x%llx", (unsigned long long)wrong[i]);
		EXPECT_EQ(-EINVAL, draw(self, line)) {
			TH_LOG("context 0x%llx", (unsigned long long)wrong[i]);
		}
		expect_fatal(_metadata, &self->rig);
	}
}

TEST_F(oom, a_context_whose_heap_has_gone_ends_the_group)
{
	struct drm_panthor_tiler_heap_create gone;
	char line[64];

	ASSERT_EQ(0, heap_create(&self->rig, self->rig.vm, 6, ROOM, &gone));
	ASSERT_EQ(0, heap_destroy(&self->rig, gone.handle));
	snprintf(line, sizeof(line), "mcu heap address 0x%llx",
		 (unsigned long long)gone.tiler_heap_ctx_gpu_va);
	EXPECT_EQ(-EINVAL, draw(self, line));
	expect_fatal(_metadata, &self->rig);
}

/* The memory is then the other heap's, which has its limit, too. */
TEST_F(oom, the_context_of_another_heap_of_the_vm_costs_that_one)
{
	struct drm_panthor_tiler_heap_create other;
	char line[64];

	ASSERT_EQ(0, heap_create(&self->rig, self->rig.vm, 6, ROOM, &other));
	snprintf(line, sizeof(line), "mcu heap address 0x%llx",
		 (unsigned long long)other.tiler_heap_ctx_gpu_va);
	EXPECT_EQ(1, draw(self, line));
	if (self->before)
		EXPECT_EQ(self->before + 1 + DEEP, heap_chunks(&self->rig.gpu));
	EXPECT_EQ(0, heap_destroy(&self->rig, other.handle));
}

/* More rendered than tiled, more tiled than begun, and a tiler that asks between render passes. */
TEST_F(oom, counts_that_contradict_each_other_end_the_group)
{
	static const char *const wrong[] = {
		"mcu heap counts 1 0 1", "mcu heap counts 5 3 4", "mcu heap counts 3 4 2",
		"mcu heap counts 5 5 4", "mcu heap counts 0 0 0", "mcu heap counts 0 0xffffffff 0",
		"mcu heap counts 1 0 0xffffffff",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		EXPECT_EQ(-EINVAL, draw(self, wrong[i])) {
			TH_LOG("%s", wrong[i]);
		}
		expect_fatal(_metadata, &self->rig);
	}
}

/* There is no memory for so many, and user space has no handler. */
TEST_F(oom, more_render_passes_in_flight_than_there_may_be_get_nothing)
{
	EXPECT_EQ(-EINVAL, draw(self, "mcu heap counts 0xffffffff 0 0"));
	if (self->before)
		EXPECT_EQ(self->before + 1, heap_chunks(&self->rig.gpu));
	expect_fatal(_metadata, &self->rig);
}

/* A stream without a heap: whatever made the firmware say so, it would wait for ever. */
TEST_F(oom, a_request_of_a_stream_without_a_heap_ends_its_group)
{
	spin(_metadata, &self->rig);
	ASSERT_EQ(0, hwmodel_inject("mcu heap ask 0 0"));
	EXPECT_EQ(-EINVAL, rig_wait(&self->rig));
	expect_fatal(_metadata, &self->rig);
}

/* What was given and not taken is the heap's until that goes. */
TEST_F(oom, a_request_that_the_stream_has_not_made_costs_a_chunk_at_most)
{
	struct rig *rig = &self->rig;
	struct cs cs = rig_stream(rig, 0);

	rig->data.u32[FLAG] = 0;
	rig->data.u32[BEGUN] = 0;
	cs_move48(&cs, 60, self->heap.tiler_heap_ctx_gpu_va);
	cs_heap_set(&cs, 60);
	cs_heap_operation(&cs, CS_TILING_STARTED);
	cs_put32(&cs, rig->data.va + 4 * BEGUN, 1);
	cs_spin_while_zero(&cs, rig->data.va + 4 * FLAG);
	cs_put32(&cs, rig->data.va + 4 * RESULT, 7);
	cs_heap_operation(&cs, CS_TILING_COMPLETED);
	cs_heap_operation(&cs, CS_FRAGMENT_COMPLETED);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	ASSERT_EQ(0, rig_wait_word(rig, BEGUN, 1));
	for (unsigned int i = 0; i < 2 * ROOM; i++) {
		ASSERT_EQ(0, hwmodel_inject("mcu heap ask 0 0"));
		sleep_ms(2);
	}
	rig->data.u32[FLAG] = 1;
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(7, rig->data.u32[RESULT]);
	if (self->before)
		EXPECT_GE(self->before + ROOM, heap_chunks(&rig->gpu));
}

/* The group has gone, and somebody else may be in its slot, or nobody. */
TEST_F(oom, a_request_for_a_slot_without_a_group_is_nobodys)
{
	unsigned int chunks;

	KNOWN_C_DEFECT(&self->rig.gpu, "a request of an empty slot is a warning");
	spin(_metadata, &self->rig);
	self->rig.data.u32[FLAG] = 1;
	EXPECT_EQ(1, rig_wait(&self->rig));
	chunks = heap_chunks(&self->rig.gpu);
	ASSERT_EQ(0, group_destroy(&self->rig.gpu, self->rig.group));
	for (int csg = 0; csg < 8; csg++) {
		char line[64];

		snprintf(line, sizeof(line), "mcu heap ask %d 0", csg);
		ASSERT_EQ(0, hwmodel_inject(line));
		sleep_ms(2);
	}
	ASSERT_EQ(0, group_create(&self->rig.gpu, self->rig.vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
				  &self->rig.group));
	EXPECT_EQ(chunks, heap_chunks(&self->rig.gpu));
}

TEST_HARNESS_MAIN
