// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What work costs, by the hardware model's counters, which do not depend on the speed of the
 * machine. Bounds, not exact numbers: a driver may always be better.
 */
#include <inttypes.h>
#include <stdio.h>

#include "hwmodel.h"
#include "suite.h"

FIXTURE(cost)
{
	struct rig rig;
	struct hwmodel_counters before;
};

static uint64_t since(const struct hwmodel_counters *before, const char *name)
{
	struct hwmodel_counters now;

	if (hwmodel_read(&now))
		return UINT64_MAX;
	return hwmodel_get(&now, name) - hwmodel_get(before, name);
}

/* What the process before left behind may still be on its way out. */
static void settle(void)
{
	struct hwmodel_counters before;

	for (int i = 0; i < 50; i++) {
		hwmodel_read(&before);
		sleep_ms(40);
		if (!since(&before, "as_lock") && !since(&before, "csg_terminate"))
			return;
	}
}

FIXTURE_SETUP(cost)
{
	struct cs cs;

	if (!hwmodel_present())
		SKIP(return, "nobody counts on real hardware");
	settle();
	ASSERT_EQ(0, rig_open(&self->rig, 2));
	/* Awake, and with the group on a slot, kept there by a job that waits for the CPU. */
	cs = rig_stream(&self->rig, 31);
	cs_put32(&cs, self->rig.data.va + 4, 1);
	cs_spin_while_zero(&cs, self->rig.data.va);
	ASSERT_EQ(0, rig_submit(&self->rig, 1, &cs));
	ASSERT_EQ(0, rig_wait_word(&self->rig, 1, 1));
	ASSERT_EQ(0, sync_create(&self->rig.gpu, false, &self->rig.sync));
}

FIXTURE_TEARDOWN(cost)
{
	self->rig.data.u32[0] = 1;
	rig_close(&self->rig);
}

TEST_F(cost, the_model_counts_what_it_is_asked_about)
{
	static const char *const names[] = {
		"mmio_read", "mmio_write", "doorbell_global", "doorbell_csg", "irq_job", "irq_mmu",
		"irq_gpu", "as_lock", "as_flush", "as_update", "as_unlock", "cs_instr",
	};

	ASSERT_EQ(0, hwmodel_read(&self->before));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t found = 0;

		for (size_t c = 0; c < self->before.count; c++)
			found += !strcmp(self->before.counter[c].name, names[i]);
		EXPECT_EQ(1, found) {
			TH_LOG("%s", names[i]);
		}
	}
}

TEST_F(cost, a_query_costs_no_register_access)
{
	struct drm_panthor_gpu_info info;
	struct drm_panthor_csif_info csif;

	ASSERT_EQ(0, hwmodel_read(&self->before));
	ASSERT_EQ(0, gpu_info(&self->rig.gpu, &info));
	ASSERT_EQ(0, gpu_csif(&self->rig.gpu, &csif));
	/* A tick of the scheduler may come in between, but not its reading of the features. */
	EXPECT_GT(10, since(&self->before, "mmio_read"));
}

TEST_F(cost, a_job_on_a_group_that_is_on_a_slot_rings_one_doorbell_and_locks_nothing)
{
	struct rig *rig = &self->rig;
	struct cs cs = rig_stream(rig, 0);

	cs_put32(&cs, rig->data.va + 8, 77);
	ASSERT_EQ(0, hwmodel_read(&self->before));
	ASSERT_EQ(1, rig_run(rig, 0, &cs));
	EXPECT_EQ(77, rig->data.u32[2]);
	/* At most: the tick's own go to the firmware as a whole. */
	EXPECT_GE(1, since(&self->before, "doorbell_csg"));
	EXPECT_EQ(0, since(&self->before, "as_lock"));
	EXPECT_EQ(0, since(&self->before, "as_update"));
}

TEST_F(cost, a_bind_in_a_vm_that_is_not_on_the_gpu_locks_nothing)
{
	struct rig *rig = &self->rig;
	uint32_t vm;

	ASSERT_EQ(0, vm_create(&rig->gpu, 0, &vm));
	ASSERT_EQ(0, hwmodel_read(&self->before));
	ASSERT_EQ(0, vm_map(&rig->gpu, vm, rig->data.handle, 0, 0x10000000, RIG_BYTES,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	ASSERT_EQ(0, vm_unmap(&rig->gpu, vm, 0x10000000, RIG_BYTES));
	EXPECT_EQ(0, since(&self->before, "as_lock"));
}

TEST_F(cost, a_bind_of_any_size_locks_the_address_space_once)
{
	struct rig *rig = &self->rig;
	struct bo bo;

	ASSERT_EQ(0, bo_create(&rig->gpu, 4 * BLOCK, 0, 0, &bo));
	ASSERT_EQ(0, hwmodel_read(&self->before));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, bo.handle, 0, 0x40000000, 4 * BLOCK,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	EXPECT_EQ(1, since(&self->before, "as_lock"));
	EXPECT_EQ(1, since(&self->before, "as_unlock"));
}

/* By rule E7: what is contiguous goes at once, however many pages it has. */
TEST_F(cost, an_unmap_of_any_size_locks_the_address_space_once)
{
	struct rig *rig = &self->rig;
	struct bo bo;

	ASSERT_EQ(0, bo_create(&rig->gpu, 4 * BLOCK, 0, 0, &bo));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, bo.handle, 0, 0x40000000, 4 * BLOCK,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	ASSERT_EQ(0, hwmodel_read(&self->before));
	ASSERT_EQ(0, vm_unmap(&rig->gpu, rig->vm, 0x40000000, 4 * BLOCK));
	/* What the GPU has cached of the memory goes there before somebody else has it. */
	EXPECT_EQ(1, since(&self->before, "cache_flush"));
	EXPECT_EQ(1, since(&self->before, "as_lock"));
	EXPECT_EQ(1, since(&self->before, "as_unlock"));
}

/* An interrupt, its thread and a task that wakes up take longer than a flush with little to write back. */
TEST_F(cost, a_flush_that_is_short_raises_no_interrupt)
{
	enum { BINDS = 50 };
	struct rig *rig = &self->rig;

	KNOWN_C_DEFECT(&rig->gpu, "each flush is waited for asleep");
	ASSERT_EQ(0, hwmodel_read(&self->before));
	for (int i = 0; i < BINDS; i++) {
		ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, 0x40000000, PAGE,
				    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
		ASSERT_EQ(0, vm_unmap(&rig->gpu, rig->vm, 0x40000000, PAGE));
	}
	EXPECT_LE(2 * BINDS, since(&self->before, "cache_flush"));
	EXPECT_EQ(0, since(&self->before, "irq_gpu"));
}

TEST_F(cost, a_flush_that_takes_long_is_waited_for_asleep)
{
	/* Longer than a processor that has others to serve stands still between two looks. */
	const int64_t ns = 50000000;
	struct rig *rig = &self->rig;
	char command[48];
	int64_t begin;

	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, 0x40000000, PAGE,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	snprintf(command, sizeof(command), "flush delay %" PRId64, ns);
	ASSERT_EQ(0, hwmodel_inject(command));
	ASSERT_EQ(0, hwmodel_read(&self->before));
	begin = now_ns();
	EXPECT_EQ(0, vm_unmap(&rig->gpu, rig->vm, 0x40000000, PAGE));
	EXPECT_LE(ns, now_ns() - begin);
	EXPECT_EQ(1, since(&self->before, "cache_flush"));
	EXPECT_EQ(1, since(&self->before, "irq_gpu"));
	/* Nothing else is left of it. */
	ASSERT_EQ(0, hwmodel_inject("clear"));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, 0, 0x40000000, PAGE,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
	EXPECT_EQ(2, since(&self->before, "cache_flush"));
}

/* Every second page, so that no two of them can be taken for one. */
static void fill_ops(struct drm_panthor_vm_bind_op *ops, uint32_t count, uint32_t handle)
{
	for (uint32_t i = 0; i < count; i++) {
		ops[i] = (struct drm_panthor_vm_bind_op){
			.flags = DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC,
			.bo_handle = handle,
			.va = 0x40000000 + i * 2 * PAGE,
			.size = PAGE,
		};
	}
}

/* By rule E8: map all, then synchronise once. */
TEST_F(cost, a_thousand_binds_in_one_call_lock_the_address_space_once)
{
	enum { OPS = 1000 };
	static struct drm_panthor_vm_bind_op ops[OPS];
	struct rig *rig = &self->rig;

	KNOWN_C_DEFECT(&rig->gpu, "each operation of a VM_BIND locks and flushes by itself");
	fill_ops(ops, OPS, rig->data.handle);
	ASSERT_EQ(0, hwmodel_read(&self->before));
	ASSERT_EQ(0, vm_bind_ops(&rig->gpu, rig->vm, ops, OPS));
	EXPECT_EQ(1, since(&self->before, "as_lock"));
	EXPECT_EQ(1, since(&self->before, "as_unlock"));
}

TEST_F(cost, a_thousand_queued_binds_lock_the_address_space_once)
{
	enum { OPS = 1000 };
	static struct drm_panthor_vm_bind_op ops[OPS];
	struct rig *rig = &self->rig;
	struct drm_panthor_sync_op sync = sync_signal_op(rig->sync, 0);

	KNOWN_C_DEFECT(&rig->gpu, "each operation of a VM_BIND locks and flushes by itself");
	fill_ops(ops, OPS, rig->data.handle);
	ops[OPS - 1].syncs = (struct drm_panthor_obj_array)DRM_PANTHOR_OBJ_ARRAY(1, &sync);
	ASSERT_EQ(0, hwmodel_read(&self->before));
	ASSERT_EQ(0, vm_bind_async(&rig->gpu, rig->vm, ops, OPS));
	ASSERT_EQ(1, rig_wait(rig));
	EXPECT_EQ(1, since(&self->before, "as_lock"));
	EXPECT_EQ(1, since(&self->before, "as_unlock"));
}

TEST_HARNESS_MAIN
