/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * All that a job needs: a file, a VM, one group, memory for streams, memory for results, and a
 * syncobj. A second rig on the same or another file is somebody else on the same GPU.
 */
#ifndef SELFTEST_RIG_H
#define SELFTEST_RIG_H

#include "cs.h"
#include "gpu.h"

#define RIG_CODE_VA	0x01000000ull
#define RIG_DATA_VA	0x02000000ull
#define RIG_BYTES	(256u << 10)
#define RIG_STREAMS	32			/* streams of RIG_BYTES / RIG_STREAMS bytes */

struct rig {
	struct gpu gpu;
	uint32_t vm;
	uint32_t group;
	uint32_t queues;
	uint32_t sync;		/* binary syncobj of rig_run() */
	struct bo code;		/* at RIG_CODE_VA */
	struct bo data;		/* at RIG_DATA_VA, not cached by the GPU */
};

/* With a file of its own. 0 or a negative errno, after which nothing is left to close. */
int rig_open(struct rig *rig, uint32_t queues);
/* On somebody else's open file, which rig_close() leaves open; @vm is theirs as well, or zero. */
int rig_open_on(struct rig *rig, const struct gpu *gpu, uint32_t queues, uint8_t priority);
void rig_close(struct rig *rig);
/* Close the file and leave the rest to the kernel. A mapping would keep the file open. */
void rig_abandon(struct rig *rig);
/* A rig of rig_open_on(): everything but the file. */
void rig_release(struct rig *rig);

/* An empty stream, number @index; what was there before is gone. */
struct cs rig_stream(struct rig *rig, unsigned int index);
uint64_t rig_stream_va(const struct rig *rig, const struct cs *cs);

/* Until the job has stored @value in this word of the results, or -ETIME. */
int rig_wait_word(struct rig *rig, size_t word, uint32_t value);

/* Queue the stream; the rig's syncobj gets its fence. 0 or a negative errno. */
int rig_submit(struct rig *rig, uint32_t queue, const struct cs *cs);
/* Wait for the rig's syncobj: 1 if it went well, a negative errno otherwise. */
int rig_wait(struct rig *rig);
/* Both. */
int rig_run(struct rig *rig, uint32_t queue, const struct cs *cs);

/* A job that stores @value in word 0 of the data: 1 if it is there then, or a negative errno. Uses stream 0 and queue 0. */
int rig_put(struct rig *rig, uint32_t value);
/* A job that copies one word: 1, or a negative errno. Uses stream 0 and queue 0. */
int rig_copy(struct rig *rig, uint64_t from, uint64_t to);
/* What the GPU reads at an address: 1, or a negative errno. As rig_copy(), over word 0 of the data. */
int rig_peek(struct rig *rig, uint64_t va, uint32_t *value);
/* A buffer that is mapped on the CPU only; the first word of each page counts up from @first. */
int rig_numbered_bo(struct rig *rig, uint64_t size, uint32_t first, struct bo *bo);

/* A stream that runs until *@flag is no longer zero (or until it is killed). Uses r70 to r72. */
void cs_spin_while_zero(struct cs *cs, uint64_t flag_va);
/* A stream that stores @value at @va. Uses r70 to r72. */
void cs_put32(struct cs *cs, uint64_t va, uint32_t value);

#endif
