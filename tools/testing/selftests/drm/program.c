// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What streams compute: every shader-free instruction with a result that can be read back. A
 * stream that does not do what it says is a defect of the model or the GPU, unless the driver
 * called it wrongly.
 */
#include "suite.h"

FIXTURE(program)
{
	struct rig rig;
	struct cs cs;
	uint64_t out;		/* GPU address of the results */
	uint32_t *result;	/* the same on the CPU */
};

FIXTURE_SETUP(program)
{
	ASSERT_EQ(0, rig_open(&self->rig, 4));
	self->cs = rig_stream(&self->rig, 0);
	self->out = self->rig.data.va;
	self->result = self->rig.data.u32;
}

FIXTURE_TEARDOWN(program)
{
	rig_close(&self->rig);
}

TEST_F(program, an_empty_job_and_one_that_does_nothing_end)
{
	EXPECT_EQ(1, rig_run(&self->rig, 0, &self->cs));
	cs_nop(&self->cs);
	EXPECT_EQ(1, rig_run(&self->rig, 0, &self->cs));
}

TEST_F(program, moves_fill_32_and_48_bits)
{
	struct cs *cs = &self->cs;

	cs_move48(cs, 10, self->out);
	cs_move32(cs, 21, 0xffffffff);
	cs_move48(cs, 20, 0x123456789abcull);	/* also clears the upper 16 bits */
	cs_move32(cs, 22, 0xfedcba98);
	cs_store(cs, 20, 0x7, 10, 0);
	cs_wait(cs, CS_SB_LS);
	ASSERT_EQ(1, rig_run(&self->rig, 0, cs));
	EXPECT_EQ(0x56789abc, self->result[0]);
	EXPECT_EQ(0x1234, self->result[1]);
	EXPECT_EQ(0xfedcba98, self->result[2]);
}

TEST_F(program, additions_wrap_at_32_and_at_64_bits)
{
	struct cs *cs = &self->cs;

	cs_move48(cs, 10, self->out);
	cs_move32(cs, 20, 0xfffffff0);
	cs_add32(cs, 20, 20, 0x20);		/* 0x10 */
	cs_move32(cs, 21, 5);
	cs_add32(cs, 21, 21, -7);		/* -2 */
	cs_move48(cs, 22, 0xffffffffull);
	cs_add64(cs, 22, 22, 1);		/* carries */
	cs_move48(cs, 24, 0);
	cs_add64(cs, 24, 24, -1);		/* sign-extends */
	cs_add64(cs, 26, 22, -2);		/* another register, borrows */
	cs_store(cs, 20, 0xff, 10, 0);
	cs_wait(cs, CS_SB_LS);
	ASSERT_EQ(1, rig_run(&self->rig, 0, cs));
	EXPECT_EQ(0x10, self->result[0]);
	EXPECT_EQ(0xfffffffe, self->result[1]);
	EXPECT_EQ(0, self->result[2]);
	EXPECT_EQ(1, self->result[3]);
	EXPECT_EQ(0xffffffff, self->result[4]);
	EXPECT_EQ(0xffffffff, self->result[5]);
	EXPECT_EQ(0xfffffffe, self->result[6]);
	EXPECT_EQ(0, self->result[7]);
}

TEST_F(program, the_minimum_is_that_of_unsigned_numbers)
{
	struct cs *cs = &self->cs;

	cs_move48(cs, 10, self->out);
	cs_move32(cs, 20, 7);
	cs_move32(cs, 21, 0xffffffff);
	cs_umin32(cs, 22, 20, 21);
	cs_umin32(cs, 23, 21, 20);
	cs_store(cs, 22, 3, 10, 0);
	cs_wait(cs, CS_SB_LS);
	ASSERT_EQ(1, rig_run(&self->rig, 0, cs));
	EXPECT_EQ(7, self->result[0]);
	EXPECT_EQ(7, self->result[1]);
}

/* Each condition on a negative, a zero and a positive register. */
TEST_F(program, a_branch_is_taken_when_its_condition_holds)
{
	static const int32_t values[] = { -5, 0, 5 };
	static const uint8_t taken[][3] = {
		[CS_LEQUAL] = { 1, 1, 0 }, [CS_GREATER] = { 0, 0, 1 }, [CS_EQUAL] = { 0, 1, 0 },
		[CS_NEQUAL] = { 1, 0, 1 }, [CS_LESS] = { 1, 0, 0 }, [CS_GEQUAL] = { 0, 1, 1 },
		[CS_ALWAYS] = { 1, 1, 1 },
	};
	struct cs *cs = &self->cs;

	cs_move48(cs, 10, self->out);
	for (size_t cond = 0; cond < ARRAY_SIZE(taken); cond++) {
		for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
			cs_move32(cs, 20, values[v]);
			cs_move32(cs, 21, 1);
			cs_branch(cs, cond, 20, cs->len + 2);
			cs_move32(cs, 21, 0);
			cs_store32(cs, 21, 10, 4 * (3 * cond + v));
		}
	}
	ASSERT_EQ(1, rig_run(&self->rig, 0, cs));
	for (size_t cond = 0; cond < ARRAY_SIZE(taken); cond++) {
		for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
			EXPECT_EQ(taken[cond][v], self->result[3 * cond + v]) {
				TH_LOG("condition %zu of %d", cond, values[v]);
			}
		}
	}
}

TEST_F(program, a_loop_runs_as_often_as_its_counter_says)
{
	struct cs *cs = &self->cs;
	size_t again;

	cs_move48(cs, 10, self->out);
	cs_move32(cs, 20, 0);
	cs_move32(cs, 21, 1000);
	again = cs->len;
	cs_add32(cs, 20, 20, 3);
	cs_add32(cs, 21, 21, -1);
	cs_branch(cs, CS_GREATER, 21, again);
	cs_store32(cs, 20, 10, 0);
	ASSERT_EQ(1, rig_run(&self->rig, 0, cs));
	EXPECT_EQ(3000, self->result[0]);
}

/* The sum of 1..100, the carried-along way: an outer and an inner loop. */
TEST_F(program, loops_nest)
{
	struct cs *cs = &self->cs;
	size_t outer, inner;

	cs_move48(cs, 10, self->out);
	cs_move32(cs, 20, 0);
	cs_move32(cs, 21, 100);
	outer = cs->len;
	cs_add32(cs, 22, 21, 0);
	inner = cs->len;
	cs_add32(cs, 20, 20, 1);
	cs_add32(cs, 22, 22, -1);
	cs_branch(cs, CS_GREATER, 22, inner);
	cs_add32(cs, 21, 21, -1);
	cs_branch(cs, CS_GREATER, 21, outer);
	cs_store32(cs, 20, 10, 0);
	ASSERT_EQ(1, rig_run(&self->rig, 0, cs));
	EXPECT_EQ(5050, self->result[0]);
}

TEST_F(program, a_mask_says_which_words_are_loaded_and_stored)
{
	struct cs *cs = &self->cs;

	for (uint32_t i = 0; i < 32; i++)
		self->result[i] = 100 + i;
	cs_move48(cs, 10, self->out);
	for (uint8_t reg = 20; reg < 36; reg++)
		cs_move32(cs, reg, 0);
	cs_load(cs, 20, 0x8421, 10, 0);
	cs_wait(cs, CS_SB_LS);
	cs_store(cs, 20, 0xffff, 10, 128);
	cs_wait(cs, CS_SB_LS);
	cs_move32(cs, 20, 1);
	cs_move32(cs, 23, 4);
	cs_store(cs, 20, 0x9, 10, 256);
	cs_wait(cs, CS_SB_LS);
	self->result[65] = 77;
	self->result[66] = 78;
	ASSERT_EQ(1, rig_run(&self->rig, 0, cs));
	for (uint32_t i = 0; i < 16; i++)
		EXPECT_EQ(0x8421 & 1u << i ? 100 + i : 0, self->result[32 + i]);
	EXPECT_EQ(1, self->result[64]);
	EXPECT_EQ(77, self->result[65]);
	EXPECT_EQ(78, self->result[66]);
	EXPECT_EQ(4, self->result[67]);
}

TEST_F(program, offsets_of_loads_and_stores_have_a_sign)
{
	struct cs *cs = &self->cs;

	self->result[0] = 1234;
	cs_move48(cs, 10, self->out + 0x4000);
	cs_load(cs, 20, 1, 10, -0x4000);
	cs_wait(cs, CS_SB_LS);
	cs_store32(cs, 20, 10, 0x7ffc);
	cs_store32(cs, 20, 10, -4);
	ASSERT_EQ(1, rig_run(&self->rig, 0, cs));
	EXPECT_EQ(1234, self->result[(0x4000 + 0x7ffc) / 4]);
	EXPECT_EQ(1234, self->result[(0x4000 - 4) / 4]);
}

TEST_F(program, an_access_can_cross_pages_that_lie_apart)
{
	struct rig *rig = &self->rig;
	struct cs *cs = &self->cs;

	/* Two pages of the buffer in reverse order. */
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, 5 * PAGE, 0x10000000, PAGE,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC |
			    DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, 2 * PAGE, 0x10001000, PAGE,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC |
			    DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED));
	cs_move48(cs, 10, 0x10001000 - 8);
	for (uint8_t reg = 20; reg < 24; reg++)
		cs_move32(cs, reg, reg);
	cs_store(cs, 20, 0xf, 10, 0);
	cs_wait(cs, CS_SB_LS);
	ASSERT_EQ(1, rig_run(rig, 0, cs));
	EXPECT_EQ(20, self->result[6 * PAGE / 4 - 2]);
	EXPECT_EQ(21, self->result[6 * PAGE / 4 - 1]);
	EXPECT_EQ(22, self->result[2 * PAGE / 4]);
	EXPECT_EQ(23, self->result[2 * PAGE / 4 + 1]);
}

TEST_F(program, calls_come_back_also_when_nested)
{
	struct rig *rig = &self->rig;
	struct cs *cs = &self->cs;
	struct cs callee = rig_stream(rig, 1), inner = rig_stream(rig, 2);

	cs_add32(&inner, 20, 20, 100);

	cs_add32(&callee, 20, 20, 10);
	cs_move48(&callee, 34, rig_stream_va(rig, &inner));
	cs_move32(&callee, 36, cs_bytes(&inner));
	cs_call(&callee, 34, 36);
	cs_add32(&callee, 20, 20, 10);
	cs_call(&callee, 34, 36);		/* the last instruction may be a call as well */

	cs_move48(cs, 10, self->out);
	cs_move32(cs, 20, 1);
	cs_move48(cs, 30, rig_stream_va(rig, &callee));
	cs_move32(cs, 32, cs_bytes(&callee));
	cs_call(cs, 30, 32);
	cs_add32(cs, 20, 20, 1);
	cs_store32(cs, 20, 10, 0);
	ASSERT_EQ(1, rig_run(rig, 0, cs));
	EXPECT_EQ(222, self->result[0]);
}

TEST_F(program, a_jump_does_not_come_back_to_where_it_was)
{
	struct rig *rig = &self->rig;
	struct cs *cs = &self->cs;
	struct cs target = rig_stream(rig, 1);

	cs_store32(&target, 20, 10, 0);
	cs_move48(cs, 10, self->out);
	cs_move32(cs, 20, 11);
	cs_move48(cs, 30, rig_stream_va(rig, &target));
	cs_move32(cs, 32, cs_bytes(&target));
	cs_jump(cs, 30, 32);
	cs_move32(cs, 20, 22);
	cs_store32(cs, 20, 10, 4);
	ASSERT_EQ(1, rig_run(rig, 0, cs));
	EXPECT_EQ(11, self->result[0]);
	EXPECT_EQ(0, self->result[1]);
}

/* All but the last four, which the kernel uses to call a stream. */
TEST_F(program, registers_keep_their_content_from_job_to_job)
{
	struct rig *rig = &self->rig;
	struct cs *cs = &self->cs;

	for (uint8_t reg = 0; reg < CS_KERNEL_REGS; reg++)
		cs_move32(cs, reg, 500 + reg);
	ASSERT_EQ(1, rig_run(rig, 0, cs));

	*cs = rig_stream(rig, 1);
	cs_move48(cs, 92, self->out);
	for (uint8_t reg = 0; reg < CS_KERNEL_REGS; reg += 4) {
		cs_store(cs, reg, 0xf, 92, 4 * reg);
		cs_wait(cs, CS_SB_LS);
	}
	ASSERT_EQ(1, rig_run(rig, 0, cs));
	for (uint32_t reg = 0; reg < CS_KERNEL_REGS; reg++)
		EXPECT_EQ(500 + reg, self->result[reg]);
}

TEST_F(program, queues_have_registers_of_their_own)
{
	struct rig *rig = &self->rig;

	for (uint32_t queue = 0; queue < 4; queue++) {
		struct cs cs = rig_stream(rig, queue);

		cs_move32(&cs, 40, 60 + queue);
		ASSERT_EQ(1, rig_run(rig, queue, &cs));
	}
	for (uint32_t queue = 0; queue < 4; queue++) {
		struct cs cs = rig_stream(rig, queue);

		cs_move48(&cs, 10, self->out + 4 * queue);
		cs_store32(&cs, 40, 10, 0);
		ASSERT_EQ(1, rig_run(rig, queue, &cs));
	}
	for (uint32_t queue = 0; queue < 4; queue++)
		EXPECT_EQ(60 + queue, self->result[queue]);
}

TEST_F(program, sync_objects_are_added_to_and_set_in_32_and_64_bits)
{
	struct cs *cs = &self->cs;
	uint64_t *wide = self->rig.data.u64;

	wide[0] = 0xffffffffull;	/* value of a 64-bit object at 0, its error behind it */
	self->result[8] = 40;		/* of a 32-bit object at 32 */
	cs_move48(cs, 10, self->out);
	cs_move48(cs, 20, 2);
	cs_sync_add64(cs, CS_SYSTEM, 10, 20, 0);
	cs_move48(cs, 12, self->out + 32);
	cs_move32(cs, 22, 2);
	cs_sync_add32(cs, CS_SYSTEM, 12, 22, 0);
	cs_move48(cs, 14, self->out + 64);
	cs_move48(cs, 24, 0x123456789abcull);
	cs_sync_set64(cs, CS_GROUP, 14, 24, 0);
	cs_move48(cs, 16, self->out + 96);
	cs_move32(cs, 26, 99);
	cs_sync_set32(cs, CS_GROUP, 16, 26, 0);
	ASSERT_EQ(1, rig_run(&self->rig, 0, cs));
	EXPECT_EQ(0x100000001ull, wide[0]);
	EXPECT_EQ(0, (uint32_t)wide[1]);
	EXPECT_EQ(42, self->result[8]);
	EXPECT_EQ(0, self->result[9]);
	EXPECT_EQ(0x123456789abcull, wide[8]);
	EXPECT_EQ(99, self->result[24]);
}

/* Four queues hand a token round, ten times each. */
TEST_F(program, queues_of_a_group_wait_for_each_other)
{
	enum { ROUNDS = 10 };
	struct rig *rig = &self->rig;
	uint32_t sync[4];

	for (uint32_t queue = 0; queue < 4; queue++) {
		struct cs cs = rig_stream(rig, queue);

		ASSERT_EQ(0, sync_create(&rig->gpu, false, &sync[queue]));
		cs_move48(&cs, 10, self->out);		/* the token */
		cs_move48(&cs, 12, self->out + 64);	/* a counter, changed without a lock */
		cs_move48(&cs, 20, 1);
		for (uint32_t round = 0; round < ROUNDS; round++) {
			if (queue || round) {
				cs_move48(&cs, 22, 4 * round + queue - 1);
				cs_sync_wait64(&cs, CS_GREATER, 10, 22);
			}
			cs_load(&cs, 24, 1, 12, 0);
			cs_wait(&cs, CS_SB_LS);
			cs_add32(&cs, 24, 24, 1);
			cs_store32(&cs, 24, 12, 0);
			cs_sync_add64(&cs, CS_GROUP, 10, 20, 0);
		}
		ASSERT_EQ(0, group_run(&rig->gpu, rig->group, queue, rig_stream_va(rig, &cs),
				       cs_bytes(&cs), sync[queue]));
	}
	for (uint32_t queue = 0; queue < 4; queue++) {
		EXPECT_EQ(0, sync_wait(&rig->gpu, sync[queue], 0, PATIENCE));
		EXPECT_EQ(1, sync_status(&rig->gpu, sync[queue]));
	}
	EXPECT_EQ(4 * ROUNDS, self->result[0]);
	EXPECT_EQ(4 * ROUNDS, self->result[16]);
}

TEST_F(program, a_wait_for_a_value_to_fall_ends_when_it_has_fallen)
{
	struct rig *rig = &self->rig;
	struct cs waiter = rig_stream(rig, 0), setter = rig_stream(rig, 1);
	uint32_t sync;

	self->result[0] = 10;
	cs_move48(&waiter, 10, self->out);
	cs_move32(&waiter, 20, 3);
	cs_sync_wait32(&waiter, CS_LEQUAL, 10, 20);
	cs_load(&waiter, 24, 1, 10, 0);
	cs_wait(&waiter, CS_SB_LS);
	cs_store32(&waiter, 24, 10, 64);
	ASSERT_EQ(0, rig_submit(rig, 0, &waiter));
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, rig->sync, 0, SECOND / 50));

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &sync));
	cs_move48(&setter, 10, self->out);
	cs_move32(&setter, 20, 3);
	cs_sync_set32(&setter, CS_GROUP, 10, 20, 0);
	ASSERT_EQ(0, group_run(&rig->gpu, rig->group, 1, rig_stream_va(rig, &setter),
			       cs_bytes(&setter), sync));
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(3, self->result[16]);
}

TEST_F(program, groups_wait_for_each_other_through_memory_of_the_system)
{
	struct rig *rig = &self->rig;
	struct cs waiter = rig_stream(rig, 0), setter = rig_stream(rig, 1);
	uint32_t other, sync;

	ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &other));
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &sync));
	cs_move48(&waiter, 10, self->out);
	cs_move48(&waiter, 20, 4);
	cs_sync_wait64(&waiter, CS_GREATER, 10, 20);
	cs_put32(&waiter, self->out + 64, 1);
	ASSERT_EQ(0, rig_submit(rig, 0, &waiter));
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, rig->sync, 0, SECOND / 20));
	EXPECT_EQ(0, self->result[16]);

	cs_move48(&setter, 10, self->out);
	cs_move48(&setter, 20, 5);
	cs_sync_add64(&setter, CS_SYSTEM, 10, 20, 0);
	ASSERT_EQ(0, group_run(&rig->gpu, other, 0, rig_stream_va(rig, &setter), cs_bytes(&setter),
			       sync));
	EXPECT_EQ(0, sync_wait(&rig->gpu, sync, 0, PATIENCE));
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(1, self->result[16]);
}

TEST_F(program, the_timestamp_and_the_cycles_grow)
{
	struct cs *cs = &self->cs;
	uint64_t *wide = self->rig.data.u64;

	cs_move48(cs, 10, self->out);
	cs_store_state(cs, CS_TIMESTAMP, 10, 0);
	cs_store_state(cs, CS_CYCLES, 10, 8);
	cs_move32(cs, 20, 200);
	cs_add32(cs, 20, 20, -1);
	cs_branch(cs, CS_GREATER, 20, cs->len - 1);
	cs_store_state(cs, CS_TIMESTAMP, 10, 16);
	cs_store_state(cs, CS_CYCLES, 10, 24);
	ASSERT_EQ(1, rig_run(&self->rig, 0, cs));
	EXPECT_NE(0, wide[0]);
	EXPECT_LE(wide[0], wide[2]);
	EXPECT_LE(wide[1], wide[3]);
}

TEST_F(program, a_stream_may_flush_the_caches_itself)
{
	struct cs *cs = &self->cs;

	cs_move32(cs, 20, 0);
	cs_flush_caches(cs, 20, 3);
	cs_wait(cs, 1 << 3);
	cs_put32(cs, self->out, 8);
	cs_error_barrier(cs);
	ASSERT_EQ(1, rig_run(&self->rig, 0, cs));
	EXPECT_EQ(8, self->result[0]);
}

TEST_F(program, the_scoreboard_entry_of_loads_and_stores_can_be_chosen)
{
	struct cs *cs = &self->cs;

	cs_set_sb_entry(cs, 4, 5);
	cs_move48(cs, 10, self->out);
	cs_move32(cs, 20, 17);
	cs_store(cs, 20, 1, 10, 0);
	cs_wait(cs, 1 << 5);
	cs_load(cs, 21, 1, 10, 0);
	cs_wait(cs, 1 << 5);
	cs_add32(cs, 21, 21, 1);
	cs_store(cs, 21, 1, 10, 4);
	cs_wait(cs, 1 << 5);
	cs_set_sb_entry(cs, 0, 0);
	ASSERT_EQ(1, rig_run(&self->rig, 0, cs));
	EXPECT_EQ(17, self->result[0]);
	EXPECT_EQ(18, self->result[1]);
}

/* The kernel rewrites its last four registers; a stream that ends early has to be waited for. */
TEST_F(program, a_store_that_nobody_waits_for_is_done_when_the_fence_signals)
{
	struct cs *cs = &self->cs;

	cs_move48(cs, 10, self->out);
	for (uint8_t i = 0; i < 16; i++)
		cs_move32(cs, 20 + i, i);
	cs_store(cs, 20, 0xffff, 10, 0);
	ASSERT_EQ(1, rig_run(&self->rig, 0, cs));
	for (uint32_t i = 0; i < 16; i++)
		EXPECT_EQ(i, self->result[i]);
}

TEST_F(program, a_long_stream_of_4096_instructions_runs_to_its_end)
{
	struct rig *rig = &self->rig;
	struct cs cs = cs_at(rig->code.map, 64 << 10);

	cs_move32(&cs, 20, 0);
	while (cs.len < 4096 - 4)
		cs_add32(&cs, 20, 20, 1);
	cs_move48(&cs, 10, self->out);
	cs_store32(&cs, 20, 10, 0);
	ASSERT_EQ(1, rig_run(rig, 0, &cs));
	EXPECT_EQ(4096 - 5, self->result[0]);
}

TEST_HARNESS_MAIN
