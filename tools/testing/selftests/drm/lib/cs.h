/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Assembler for command streams of architecture 10 (CSF), as far as no shader is needed.
 *
 * Encodings are those of Mesa's public description of the hardware (genxml, v10.xml). A register
 * number stands for one 32-bit register; a pair is named by its even, lower register. Loads,
 * stores and whatever takes a scoreboard finish later: cs_wait() before the next use of the
 * registers that they touch.
 */
#ifndef SELFTEST_CS_H
#define SELFTEST_CS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define CS_INSTR_BYTES	8

/* What the kernel itself uses when it calls a stream starts here, on 96 registers. */
#define CS_KERNEL_REGS	92

/* Scoreboard entry 0 takes loads and stores, until cs_set_sb_entry() says otherwise. */
#define CS_SB_LS	0x01
#define CS_SB_ALL	0xff
/* Deferred updates of sync objects signal this one, and must not wait for it. */
#define CS_SB_SYNC	0x80

enum cs_condition {
	CS_LEQUAL = 0,
	CS_GREATER = 1,
	CS_EQUAL = 2,
	CS_NEQUAL = 3,
	CS_LESS = 4,
	CS_GEQUAL = 5,
	CS_ALWAYS = 6,
};

enum cs_scope {
	CS_SYSTEM = 0,		/* the host and other groups see it, too */
	CS_GROUP = 2,		/* only queues of this group look at it */
};

enum cs_state {
	CS_TIMESTAMP = 0,
	CS_CYCLES = 1,
};

/* A stream under construction, in memory that somebody else owns. */
struct cs {
	uint64_t *code;
	size_t len;		/* instructions so far */
	size_t max;		/* instructions that fit */
};

static inline struct cs cs_at(void *memory, size_t bytes)
{
	return (struct cs){ .code = memory, .max = bytes / CS_INSTR_BYTES };
}

static inline uint32_t cs_bytes(const struct cs *cs)
{
	return cs->len * CS_INSTR_BYTES;
}

static inline void cs_raw(struct cs *cs, uint64_t instr)
{
	assert(cs->len < cs->max);
	cs->code[cs->len++] = instr;
}

static inline void cs_op(struct cs *cs, uint8_t opcode, uint64_t fields)
{
	assert(!(fields >> 56));
	cs_raw(cs, (uint64_t)opcode << 56 | fields);
}

static inline void cs_nop(struct cs *cs)
{
	cs_op(cs, 0, 0);
}

/* Pair <- immediate. */
static inline void cs_move48(struct cs *cs, uint8_t pair, uint64_t imm)
{
	assert(!(imm >> 48));
	cs_op(cs, 1, (uint64_t)pair << 48 | imm);
}

static inline void cs_move32(struct cs *cs, uint8_t reg, uint32_t imm)
{
	cs_op(cs, 2, (uint64_t)reg << 48 | imm);
}

/* Until everything on these scoreboard entries is done. */
static inline void cs_wait(struct cs *cs, uint8_t entries)
{
	cs_op(cs, 3, (uint64_t)entries << 16);
}

static inline void cs_add32(struct cs *cs, uint8_t dst, uint8_t src, int32_t imm)
{
	cs_op(cs, 16, (uint64_t)dst << 48 | (uint64_t)src << 40 | (uint32_t)imm);
}

static inline void cs_add64(struct cs *cs, uint8_t dst, uint8_t src, int32_t imm)
{
	cs_op(cs, 17, (uint64_t)dst << 48 | (uint64_t)src << 40 | (uint32_t)imm);
}

static inline void cs_umin32(struct cs *cs, uint8_t dst, uint8_t a, uint8_t b)
{
	cs_op(cs, 18, (uint64_t)dst << 48 | (uint64_t)a << 40 | (uint64_t)b << 32);
}

/* For each bit n of the mask: register base + n <- word at [pair] + offset + 4 n. */
static inline void cs_load(struct cs *cs, uint8_t base, uint16_t mask, uint8_t pair,
			   int16_t offset)
{
	cs_op(cs, 20, (uint64_t)base << 48 | (uint64_t)pair << 40 | (uint64_t)mask << 16 |
		      (uint16_t)offset);
}

static inline void cs_store(struct cs *cs, uint8_t base, uint16_t mask, uint8_t pair,
			    int16_t offset)
{
	cs_op(cs, 21, (uint64_t)base << 48 | (uint64_t)pair << 40 | (uint64_t)mask << 16 |
		      (uint16_t)offset);
}

/* One 32-bit register, and wait until it is stored. */
static inline void cs_store32(struct cs *cs, uint8_t reg, uint8_t pair, int16_t offset)
{
	cs_store(cs, reg, 1, pair, offset);
	cs_wait(cs, CS_SB_LS);
}

/*
 * Go on at instruction @target if the signed register compares to zero like that. Give the
 * branch instruction's own number + 1 + n to skip n instructions.
 */
static inline void cs_branch(struct cs *cs, enum cs_condition cond, uint8_t reg, size_t target)
{
	ptrdiff_t offset = (ptrdiff_t)target - (ptrdiff_t)cs->len - 1;

	assert(offset >= INT16_MIN && offset <= INT16_MAX);
	cs_op(cs, 22, (uint64_t)reg << 40 | (uint64_t)cond << 28 | (uint16_t)offset);
}

static inline void cs_set_sb_entry(struct cs *cs, uint8_t endpoint, uint8_t other)
{
	cs_op(cs, 23, (uint64_t)other << 4 | endpoint);
}

/* The stream at [pair], as many bytes as the register says, then back here. */
static inline void cs_call(struct cs *cs, uint8_t pair, uint8_t length)
{
	cs_op(cs, 32, (uint64_t)pair << 40 | (uint64_t)length << 32);
}

/* The same without coming back. */
static inline void cs_jump(struct cs *cs, uint8_t pair, uint8_t length)
{
	cs_op(cs, 33, (uint64_t)pair << 40 | (uint64_t)length << 32);
}

/* Clean and invalidate all caches; signals scoreboard entry @sb when done. */
static inline void cs_flush_caches(struct cs *cs, uint8_t flush_id, uint8_t sb)
{
	cs_op(cs, 36, (uint64_t)sb << 48 | (uint64_t)flush_id << 40 | 0x233);
}

/*
 * Sync objects: a value, followed by an error word of the same size. They act when the
 * scoreboard entries in @wait are through. A queue that waits gives way to others.
 */
/* Deferred until the scoreboard entries in @wait are zero, if there are some. */
static inline void cs_sync_op(struct cs *cs, uint8_t opcode, enum cs_scope scope, uint8_t pair,
			      uint8_t data, uint16_t wait)
{
	uint64_t signal = wait ? __builtin_ctz(CS_SB_SYNC) : 0;

	cs_op(cs, opcode, signal << 48 | (uint64_t)pair << 40 | (uint64_t)data << 32 |
			  (uint64_t)wait << 16 | (uint64_t)scope << 1 | 1);
}

static inline void cs_sync_add32(struct cs *cs, enum cs_scope scope, uint8_t pair, uint8_t data,
				 uint16_t wait)
{
	cs_sync_op(cs, 37, scope, pair, data, wait);
}

static inline void cs_sync_set32(struct cs *cs, enum cs_scope scope, uint8_t pair, uint8_t data,
				 uint16_t wait)
{
	cs_sync_op(cs, 38, scope, pair, data, wait);
}

static inline void cs_sync_add64(struct cs *cs, enum cs_scope scope, uint8_t pair, uint8_t data,
				 uint16_t wait)
{
	cs_sync_op(cs, 51, scope, pair, data, wait);
}

static inline void cs_sync_set64(struct cs *cs, enum cs_scope scope, uint8_t pair, uint8_t data,
				 uint16_t wait)
{
	cs_sync_op(cs, 52, scope, pair, data, wait);
}

/* Until [pair] compares to the data register like that: GREATER or LEQUAL. */
static inline void cs_sync_wait32(struct cs *cs, enum cs_condition cond, uint8_t pair, uint8_t data)
{
	cs_op(cs, 39, (uint64_t)pair << 40 | (uint64_t)data << 32 | (uint64_t)cond << 28);
}

static inline void cs_sync_wait64(struct cs *cs, enum cs_condition cond, uint8_t pair, uint8_t data)
{
	cs_op(cs, 53, (uint64_t)pair << 40 | (uint64_t)data << 32 | (uint64_t)cond << 28);
}

/* 64 bits of @state to [pair] + offset. */
static inline void cs_store_state(struct cs *cs, enum cs_state state, uint8_t pair, int16_t offset)
{
	cs_op(cs, 40, (uint64_t)pair << 40 | (uint64_t)state << 32 | (uint16_t)offset);
}

enum cs_heap_operation {
	CS_TILING_STARTED = 0,
	CS_TILING_COMPLETED = 1,
	CS_FRAGMENT_COMPLETED = 3,
};

/* The tiler heap whose context is at [pair]. */
static inline void cs_heap_set(struct cs *cs, uint8_t pair)
{
	cs_op(cs, 48, (uint64_t)pair << 40);
}

/* The stream at [pair] is called when the heap is exhausted and the host gives nothing. */
static inline void cs_set_oom_handler(struct cs *cs, uint8_t pair, uint8_t length)
{
	cs_op(cs, 25, (uint64_t)pair << 40 | (uint64_t)length << 32 | 2);
}

/* Gives chunks back to the heap: the list from the link in [first] to that in [last]. */
static inline void cs_finish_fragment(struct cs *cs, uint8_t first, uint8_t last)
{
	cs_op(cs, 11, (uint64_t)first << 40 | (uint64_t)last << 32);
}

/* Counts render passes of the heap. */
static inline void cs_heap_operation(struct cs *cs, enum cs_heap_operation operation)
{
	cs_op(cs, 49, (uint64_t)operation << 32);
}

/* A compute job of r37 x r38 x r39 workgroups. */
static inline void cs_run_compute(struct cs *cs)
{
	cs_op(cs, 4, 0);
}

/* A draw: vertices in r33, instances in r34, tiler context at [r40]. */
static inline void cs_run_idvs(struct cs *cs)
{
	cs_op(cs, 6, 0);
}

static inline void cs_error_barrier(struct cs *cs)
{
	cs_op(cs, 47, 0);
}

/* An opcode that no Mali has. */
static inline void cs_invalid(struct cs *cs)
{
	cs_op(cs, 0xfe, 0);
}

#endif
