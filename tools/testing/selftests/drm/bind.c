// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Binds that are queued: what they wait for, what they signal, in which order they happen, and what
 * becomes of them when something goes.
 */
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "hwmodel.h"
#include "suite.h"

#define NOEXEC		DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC
#define UNMAP		DRM_PANTHOR_VM_BIND_OP_TYPE_UNMAP
#define SYNC_ONLY	DRM_PANTHOR_VM_BIND_OP_TYPE_SYNC_ONLY
#define VA		0x40000000ull
#define GATE_WORD	64		/* in the rig's data */

FIXTURE(bind)
{
	struct rig rig;
	uint32_t gate;		/* a syncobj: the end of a job that the test decides over */
	uint32_t out;		/* a syncobj for a bind to signal */
	struct bo bo;		/* 16 pages, numbered from 100 */
};

FIXTURE_SETUP(bind)
{
	struct drm_panthor_vm_bind_op none = { 0 };

	ASSERT_EQ(0, rig_open(&self->rig, 2));
	if (not_offered(vm_bind_async(&self->rig.gpu, self->rig.vm, &none, 0)))
		SKIP(return, "VM_BIND_ASYNC is not offered by this driver");
	ASSERT_EQ(0, sync_create(&self->rig.gpu, false, &self->gate));
	ASSERT_EQ(0, sync_create(&self->rig.gpu, false, &self->out));
	ASSERT_EQ(0, rig_numbered_bo(&self->rig, 16 * PAGE, 100, &self->bo));
}

FIXTURE_TEARDOWN(bind)
{
	gpu_close(&self->rig.gpu);
}

/* A job on queue 1 that runs until gate_open(); the syncobj gets its fence. */
static int gate_close(struct rig *rig, uint32_t sync)
{
	struct cs cs = rig_stream(rig, 8);

	rig->data.u32[GATE_WORD] = 0;
	cs_spin_while_zero(&cs, rig->data.va + GATE_WORD * 4);
	return group_run(&rig->gpu, rig->group, 1, rig_stream_va(rig, &cs), cs_bytes(&cs), sync);
}

static void gate_open(struct rig *rig)
{
	rig->data.u32[GATE_WORD] = 1;
}

static struct drm_panthor_vm_bind_op map_op(const struct bo *bo, uint64_t page, uint64_t va,
					    uint64_t pages)
{
	return (struct drm_panthor_vm_bind_op){
		.flags = NOEXEC,
		.bo_handle = bo->handle,
		.bo_offset = page * PAGE,
		.va = va,
		.size = pages * PAGE,
	};
}

static struct drm_panthor_vm_bind_op unmap_op(uint64_t va, uint64_t pages)
{
	return (struct drm_panthor_vm_bind_op){ .flags = UNMAP, .va = va, .size = pages * PAGE };
}

static struct drm_panthor_vm_bind_op with_syncs(struct drm_panthor_vm_bind_op op,
						struct drm_panthor_sync_op *syncs, uint32_t count)
{
	op.syncs = (struct drm_panthor_obj_array)DRM_PANTHOR_OBJ_ARRAY(count, syncs);
	return op;
}

static uint32_t peek(struct __test_metadata *_metadata, struct rig *rig, uint64_t va)
{
	uint32_t value;

	ASSERT_EQ(1, rig_peek(rig, va, &value)) {
		TH_LOG("read of 0x%llx", (unsigned long long)va);
	}
	return value;
}

/* 1 when the syncobj's fence has signalled without an error. */
static int done(struct rig *rig, uint32_t sync)
{
	int ret = sync_wait(&rig->gpu, sync, 0, PATIENCE);

	return ret ? ret : sync_status(&rig->gpu, sync);
}

TEST_F(bind, a_mapping_is_there_when_its_signal_is)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op sync = sync_signal_op(self->out, 0);
	struct drm_panthor_vm_bind_op op = with_syncs(map_op(&self->bo, 2, VA, 3), &sync, 1);

	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	ASSERT_EQ(1, done(rig, self->out));
	for (uint32_t page = 0; page < 3; page++)
		EXPECT_EQ(102 + page, peek(_metadata, rig, VA + page * PAGE));
}

TEST_F(bind, a_bind_waits_for_what_it_was_told_to_wait_for)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op syncs[2] = {
		sync_wait_op(self->gate, 0), sync_signal_op(self->out, 0),
	};
	struct drm_panthor_vm_bind_op op = with_syncs(map_op(&self->bo, 5, VA, 1), syncs, 2);

	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, self->bo.handle, 0, VA, PAGE, NOEXEC));
	ASSERT_EQ(0, gate_close(rig, self->gate));
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, self->out, 0, SECOND / 50));
	EXPECT_EQ(100, peek(_metadata, rig, VA));
	gate_open(rig);
	ASSERT_EQ(1, done(rig, self->out));
	EXPECT_EQ(105, peek(_metadata, rig, VA));
}

TEST_F(bind, a_job_can_wait_for_a_bind_and_a_bind_for_a_job)
{
	struct rig *rig = &self->rig;
	struct gpu *gpu = &rig->gpu;
	uint32_t line;
	struct cs cs = rig_stream(rig, 1);
	struct drm_panthor_sync_op first[2], second[2], third[2];
	struct drm_panthor_vm_bind_op op;
	struct drm_panthor_queue_submit job;

	ASSERT_EQ(0, sync_create(gpu, false, &line));
	ASSERT_EQ(0, gate_close(rig, self->gate));
	/* Map at point 1, after the gate; read at point 2; unmap at point 3. */
	first[0] = sync_wait_op(self->gate, 0);
	first[1] = sync_signal_op(line, 1);
	op = with_syncs(map_op(&self->bo, 7, VA, 1), first, 2);
	ASSERT_EQ(0, vm_bind_async(gpu, rig->vm, &op, 1));

	cs_move48(&cs, 10, VA);
	cs_load(&cs, 12, 1, 10, 0);
	cs_wait(&cs, CS_SB_LS);
	cs_move48(&cs, 10, rig->data.va + 16);
	cs_store32(&cs, 12, 10, 0);
	second[0] = sync_wait_op(line, 1);
	second[1] = sync_signal_op(line, 2);
	job = (struct drm_panthor_queue_submit){
		.queue_index = 0,
		.stream_size = cs_bytes(&cs),
		.stream_addr = rig_stream_va(rig, &cs),
		.syncs = DRM_PANTHOR_OBJ_ARRAY(2, second),
	};
	ASSERT_EQ(0, group_submit(gpu, rig->group, &job, 1));

	third[0] = sync_wait_op(line, 2);
	third[1] = sync_signal_op(line, 3);
	op = with_syncs(unmap_op(VA, 1), third, 2);
	ASSERT_EQ(0, vm_bind_async(gpu, rig->vm, &op, 1));

	EXPECT_EQ(-ETIME, sync_wait(gpu, line, 1, SECOND / 50));
	gate_open(rig);
	ASSERT_EQ(0, sync_wait(gpu, line, 3, PATIENCE));
	EXPECT_EQ(107, rig->data.u32[4]);
}

TEST_F(bind, binds_happen_in_the_order_in_which_they_were_queued)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op wait = sync_wait_op(self->gate, 0);
	struct drm_panthor_sync_op signal = sync_signal_op(self->out, 0);
	struct drm_panthor_vm_bind_op op;

	ASSERT_EQ(0, gate_close(rig, self->gate));
	op = with_syncs(map_op(&self->bo, 0, VA, 4), &wait, 1);
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	/* These have nothing to wait for but their turn. */
	op = map_op(&self->bo, 8, VA + PAGE, 2);
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	op = with_syncs(map_op(&self->bo, 12, VA + 2 * PAGE, 1), &signal, 1);
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, self->out, 0, SECOND / 50));
	gate_open(rig);
	ASSERT_EQ(1, done(rig, self->out));
	EXPECT_EQ(100, peek(_metadata, rig, VA));
	EXPECT_EQ(108, peek(_metadata, rig, VA + PAGE));
	EXPECT_EQ(112, peek(_metadata, rig, VA + 2 * PAGE));
	EXPECT_EQ(103, peek(_metadata, rig, VA + 3 * PAGE));
}

TEST_F(bind, a_synchronous_bind_does_not_wait_for_queued_ones)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op syncs[2] = {
		sync_wait_op(self->gate, 0), sync_signal_op(self->out, 0),
	};
	struct drm_panthor_vm_bind_op op = with_syncs(map_op(&self->bo, 3, VA, 1), syncs, 2);

	ASSERT_EQ(0, gate_close(rig, self->gate));
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, self->bo.handle, 0, VA, 2 * PAGE, NOEXEC));
	EXPECT_EQ(100, peek(_metadata, rig, VA));
	gate_open(rig);
	ASSERT_EQ(1, done(rig, self->out));
	EXPECT_EQ(103, peek(_metadata, rig, VA));
	EXPECT_EQ(101, peek(_metadata, rig, VA + PAGE));
}

TEST_F(bind, each_operation_has_its_own_waits_and_signals)
{
	struct rig *rig = &self->rig;
	uint32_t early;
	struct drm_panthor_sync_op first, last[2];
	struct drm_panthor_vm_bind_op ops[3];

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &early));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, self->bo.handle, 0, VA, 4 * PAGE, NOEXEC));
	ASSERT_EQ(0, gate_close(rig, self->gate));
	first = sync_signal_op(early, 0);
	last[0] = sync_wait_op(self->gate, 0);
	last[1] = sync_signal_op(self->out, 0);
	ops[0] = with_syncs(map_op(&self->bo, 10, VA, 1), &first, 1);
	ops[1] = map_op(&self->bo, 11, VA + PAGE, 1);
	ops[2] = with_syncs(map_op(&self->bo, 12, VA + 2 * PAGE, 1), last, 2);
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, ops, 3));
	ASSERT_EQ(1, done(rig, early));
	EXPECT_EQ(110, peek(_metadata, rig, VA));
	EXPECT_EQ(102, peek(_metadata, rig, VA + 2 * PAGE));
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, self->out, 0, 0));
	gate_open(rig);
	ASSERT_EQ(1, done(rig, self->out));
	EXPECT_EQ(111, peek(_metadata, rig, VA + PAGE));
	EXPECT_EQ(112, peek(_metadata, rig, VA + 2 * PAGE));
}

TEST_F(bind, an_operation_can_wait_for_what_one_before_it_in_the_call_signals)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op syncs[4] = {
		sync_signal_op(self->gate, 0),
		sync_wait_op(self->gate, 0), sync_signal_op(self->out, 0),
	};
	struct drm_panthor_vm_bind_op ops[2] = {
		with_syncs(map_op(&self->bo, 1, VA, 1), syncs, 1),
		with_syncs(map_op(&self->bo, 2, VA, 1), syncs + 1, 2),
	};

	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, ops, 2));
	ASSERT_EQ(1, done(rig, self->out));
	EXPECT_EQ(102, peek(_metadata, rig, VA));
}

TEST_F(bind, an_operation_that_only_synchronises_passes_a_signal_on)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op syncs[2] = {
		sync_wait_op(self->gate, 0), sync_signal_op(self->out, 0),
	};
	struct drm_panthor_vm_bind_op op = { .flags = SYNC_ONLY };

	op = with_syncs(op, syncs, 2);
	ASSERT_EQ(0, gate_close(rig, self->gate));
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, self->out, 0, SECOND / 50));
	gate_open(rig);
	EXPECT_EQ(1, done(rig, self->out));
}

TEST_F(bind, an_operation_that_only_synchronises_has_nothing_else)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op sync = sync_signal_op(self->out, 0);
	struct drm_panthor_vm_bind_op good = { .flags = SYNC_ONLY }, op;

	good = with_syncs(good, &sync, 1);
	op = good;
	op.syncs.count = 0;
	EXPECT_EQ(-EINVAL, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	op = good;
	op.va = VA;
	EXPECT_EQ(-EINVAL, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	op = good;
	op.size = PAGE;
	EXPECT_EQ(-EINVAL, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	op = good;
	op.bo_handle = self->bo.handle;
	EXPECT_EQ(-EINVAL, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	op = good;
	op.bo_offset = PAGE;
	EXPECT_EQ(-EINVAL, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	op = good;
	op.flags |= NOEXEC;
	EXPECT_EQ(-EINVAL, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	EXPECT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, &good, 1));
	EXPECT_EQ(1, done(rig, self->out));
}

TEST_F(bind, all_operations_of_a_call_are_queued_or_none)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op sync = sync_signal_op(self->out, 0);
	struct drm_panthor_vm_bind_op ops[2] = {
		with_syncs(map_op(&self->bo, 9, VA, 1), &sync, 1),
		map_op(&self->bo, 15, VA + PAGE, 2),
	};
	uint32_t state;

	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, self->bo.handle, 0, VA, PAGE, NOEXEC));
	/* The second one leaves the buffer. */
	EXPECT_EQ(-EINVAL, vm_bind_async(&rig->gpu, rig->vm, ops, 2));
	/* No fence at all is an error other than a timeout. */
	EXPECT_EQ(-EINVAL, sync_wait(&rig->gpu, self->out, 0, 0));
	EXPECT_EQ(100, peek(_metadata, rig, VA));
	EXPECT_EQ(0, vm_state(&rig->gpu, rig->vm, &state));
	EXPECT_EQ(DRM_PANTHOR_VM_STATE_USABLE, state);
}

TEST_F(bind, bad_syncs_are_refused)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op sync = sync_wait_op(self->out, 0);
	struct drm_panthor_vm_bind_op op = with_syncs(map_op(&self->bo, 0, VA, 1), &sync, 1);

	/* Nothing to wait for. */
	EXPECT_EQ(-EINVAL, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	sync = sync_wait_op(0x7fffffff, 0);
	EXPECT_EQ(-ENOENT, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	sync = sync_signal_op(self->out, 0);
	sync.flags |= 1 << 8;
	EXPECT_EQ(-EINVAL, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	sync = sync_signal_op(self->out, 0);
	sync.timeline_value = 1;
	EXPECT_EQ(-EINVAL, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
}

TEST_F(bind, a_queued_operation_of_no_size_does_nothing_but_synchronise)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op sync = sync_signal_op(self->out, 0);
	struct drm_panthor_vm_bind_op ops[2] = {
		map_op(&self->bo, 0, VA, 0),
		with_syncs(unmap_op(VA, 0), &sync, 1),
	};
	uint32_t state;

	KNOWN_C_DEFECT(&rig->gpu, "a queued mapping of no size is out of memory");
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, ops, 2));
	EXPECT_EQ(1, done(rig, self->out));
	EXPECT_EQ(0, vm_state(&rig->gpu, rig->vm, &state));
	EXPECT_EQ(DRM_PANTHOR_VM_STATE_USABLE, state);
}

TEST_F(bind, thousands_of_operations_can_be_queued_at_once)
{
	enum { OPS = 4000 };
	static struct drm_panthor_vm_bind_op ops[OPS];
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op syncs[2] = {
		sync_wait_op(self->gate, 0), sync_signal_op(self->out, 0),
	};

	for (uint32_t i = 0; i < OPS; i++)
		ops[i] = map_op(&self->bo, i % 16, VA + i * PAGE, 1);
	ops[0] = with_syncs(ops[0], syncs, 1);
	ops[OPS - 1] = with_syncs(ops[OPS - 1], syncs + 1, 1);
	ASSERT_EQ(0, gate_close(rig, self->gate));
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, ops, OPS));
	gate_open(rig);
	ASSERT_EQ(1, done(rig, self->out));
	for (uint32_t i = 0; i < OPS; i += 333)
		EXPECT_EQ(100 + i % 16, peek(_metadata, rig, VA + i * PAGE));
}

TEST_F(bind, thousands_of_queued_operations_share_their_tables)
{
	enum { OPS = 8000 };
	static struct drm_panthor_vm_bind_op ops[OPS];
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op syncs[2] = {
		sync_wait_op(self->gate, 0), sync_signal_op(self->out, 0),
	};
	/* KASAN and kmemleak keep as much again for each object as it has. */
	const int64_t most = access("/sys/kernel/debug/kmemleak", F_OK) ? 16 << 20 : 32 << 20;
	int64_t before, taken;

	KNOWN_C_DEFECT(&rig->gpu, "each operation of a VM_BIND reserves tables of its own");
	for (uint32_t i = 0; i < OPS; i++)
		ops[i] = map_op(&self->bo, i % 16, VA + i * PAGE, 1);
	ops[0] = with_syncs(ops[0], syncs, 1);
	ops[OPS - 1] = with_syncs(ops[OPS - 1], syncs + 1, 1);
	ASSERT_EQ(0, gate_close(rig, self->gate));
	before = free_memory();
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, ops, OPS));
	taken = before - free_memory();
	TH_LOG("%d operations wait in %lld KiB", OPS, (long long)taken >> 10);
	/* Three tables for each would be 96 MiB. */
	EXPECT_GE(most, taken);
	gate_open(rig);
	ASSERT_EQ(1, done(rig, self->out));
	EXPECT_EQ(100 + 7999 % 16, peek(_metadata, rig, VA + 7999 * PAGE));
}

TEST_F(bind, a_buffer_that_is_closed_before_its_turn_is_mapped_all_the_same)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op syncs[2] = {
		sync_wait_op(self->gate, 0), sync_signal_op(self->out, 0),
	};
	struct drm_panthor_vm_bind_op op = with_syncs(map_op(&self->bo, 4, VA, 1), syncs, 2);

	ASSERT_EQ(0, gate_close(rig, self->gate));
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	ASSERT_EQ(0, bo_close(&rig->gpu, &self->bo));
	gate_open(rig);
	ASSERT_EQ(1, done(rig, self->out));
	EXPECT_EQ(104, peek(_metadata, rig, VA));
}

/* Queue a map and an unmap behind the gate. */
static void queue_behind_gate(struct __test_metadata *_metadata, struct rig *rig, struct bo *bo,
			      uint32_t vm, uint32_t gate, uint32_t out)
{
	struct drm_panthor_sync_op syncs[2] = {
		sync_wait_op(gate, 0), sync_signal_op(out, 0),
	};
	struct drm_panthor_vm_bind_op ops[2] = {
		with_syncs(map_op(bo, 0, VA, 4), syncs, 1),
		with_syncs(unmap_op(VA, 2), syncs + 1, 1),
	};

	ASSERT_EQ(0, gate_close(rig, gate));
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, vm, ops, 2));
}

TEST_F(bind, nobody_waits_for_ever_when_the_vm_is_destroyed)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_vm_bind_op op = map_op(&self->bo, 0, VA, 1);
	uint32_t vm;

	ASSERT_EQ(0, vm_create(&rig->gpu, 0, &vm));
	queue_behind_gate(_metadata, rig, &self->bo, vm, self->gate, self->out);
	ASSERT_EQ(0, vm_destroy(&rig->gpu, vm));
	EXPECT_EQ(-EINVAL, vm_bind_async(&rig->gpu, vm, &op, 1));
	gate_open(rig);
	EXPECT_EQ(0, sync_wait(&rig->gpu, self->out, 0, PATIENCE));
}

/* Whether the fence that @sync holds now signals after @event. */
static void expect_signal_after(struct __test_metadata *_metadata, struct rig *rig, uint32_t sync,
				void (*event)(struct __test_metadata *_metadata, struct rig *rig))
{
	struct drm_syncobj_handle args = {
		.handle = sync,
		.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
		.fd = -1,
	};
	struct pollfd fd = { .events = POLLIN };

	ASSERT_EQ(0, gpu_ioctl(rig->gpu.fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &args));
	fd.fd = args.fd;
	EXPECT_EQ(0, poll(&fd, 1, 0));
	event(_metadata, rig);
	EXPECT_EQ(1, poll(&fd, 1, PATIENCE / 1000000));
	close(args.fd);
}

static void close_the_file(struct __test_metadata *_metadata, struct rig *rig)
{
	rig_abandon(rig);
}

TEST_F(bind, nobody_waits_for_ever_when_the_file_is_closed)
{
	struct rig *rig = &self->rig;

	queue_behind_gate(_metadata, rig, &self->bo, rig->vm, self->gate, self->out);
	munmap(self->bo.map, self->bo.size);
	expect_signal_after(_metadata, rig, self->out, close_the_file);
	ASSERT_EQ(0, gpu_open(&rig->gpu));
}

static void unbind(struct __test_metadata *_metadata, struct rig *rig)
{
	ASSERT_EQ(0, device_unbind(&rig->gpu));
}

TEST_F(bind, nobody_waits_for_ever_when_the_device_is_unbound)
{
	struct rig *rig = &self->rig;
	struct gpu gpu;

	KNOWN_C_DEFECT(&rig->gpu, "an unbind leaves the fences of running jobs unsignalled");
	queue_behind_gate(_metadata, rig, &self->bo, rig->vm, self->gate, self->out);
	expect_signal_after(_metadata, rig, self->out, unbind);
	ASSERT_EQ(0, device_bind(&rig->gpu));
	ASSERT_EQ(0, device_reopen(&gpu));
	gpu_close(&gpu);
}

/* By rule E4: what is mapped is unknown after a failure, so nothing is built upon it. */
TEST_F(bind, a_queued_operation_that_fails_makes_the_vm_unusable)
{
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op sync = sync_signal_op(self->out, 0);
	struct drm_panthor_vm_bind_op op = with_syncs(map_op(&self->bo, 0, VA, 1), &sync, 1);
	struct cs cs = rig_stream(rig, 0);
	struct gpu gpu;
	char line[32];
	uint32_t state;

	if (!hwmodel_present())
		SKIP(return, "needs hardware that fails on demand");
	KNOWN_C_DEFECT(&rig->gpu, "GROUP_SUBMIT is accepted for a VM that is unusable");
	/* Have the address space on the GPU, whichever slot it gets. */
	ASSERT_EQ(0, gate_close(rig, self->gate));
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, self->gate, 0, SECOND / 50));
	for (int as = 1; as < 8; as++) {
		snprintf(line, sizeof(line), "as hang %d 1", as);
		ASSERT_EQ(0, hwmodel_inject(line));
	}
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	EXPECT_EQ(0, sync_wait(&rig->gpu, self->out, 0, PATIENCE));
	EXPECT_GT(0, sync_status(&rig->gpu, self->out));
	EXPECT_EQ(0, vm_state(&rig->gpu, rig->vm, &state));
	EXPECT_EQ(DRM_PANTHOR_VM_STATE_UNUSABLE, state);
	EXPECT_EQ(-EINVAL, vm_bind_async(&rig->gpu, rig->vm, &op, 1));
	EXPECT_EQ(-EINVAL, vm_map(&rig->gpu, rig->vm, self->bo.handle, 0, VA, PAGE, NOEXEC));
	cs_put32(&cs, rig->data.va, 1);
	EXPECT_EQ(-EINVAL, rig_submit(rig, 0, &cs));

	ASSERT_EQ(0, hwmodel_inject("clear"));
	ASSERT_EQ(0, device_unbind(&rig->gpu));
	ASSERT_EQ(0, device_bind(&rig->gpu));
	ASSERT_EQ(0, device_reopen(&gpu));
	gpu_close(&gpu);
}

TEST_HARNESS_MAIN
