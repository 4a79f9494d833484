// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Each type of MMU fault, by each type of access, at each point of a job's life: by its first instruction, in
 * its stream, in a stream that this calls, while it waits for a sync object, while a job of it runs, at its end,
 * and while its group leaves the slot.
 *
 * The group goes, with its jobs; the driver says in its log what has happened. Somebody else, of another group
 * in another VM, is at work all the time and comes out right.
 */
#include "guilty.h"
#include "kmsg.h"

#define BEHIND		208	/* word of the job that is queued behind */
#define BESIDE		224	/* word of another group's job */
#define RELEASED	240	/* until this is set, that goes on */

/* Where tables of the first levels end: of each level the first entry that nothing is mapped with. */
#define NO_LEVEL_1	(1ull << 40)
#define NO_LEVEL_2	0x7000000000ull
#define NO_LEVEL_3	0x20000000ull
#define ROOM		0x10000000ull		/* two pages of the guilty one: */
#define PLAIN		ROOM			/* anything is permitted, so it is the model that says no */
/* A buffer has whole pages of the CPU. */
#define LONGEST_PAGE	0x10000ull
#define READ_ONLY	(ROOM + LONGEST_PAGE)
#define NO_PAGE		(ROOM + 2 * LONGEST_PAGE)
#define TOO_WIDE	(1ull << 60)

enum access {
	LOAD,
	STORE,
	ATOMIC,
	WAIT,
	CALL,			/* whoever runs a stream reads it: it is shaders that need memory to be executable */
};

static const char *const access_name[] = { "load", "store", "atomic", "wait", "call" };

static const struct mishap {
	uint8_t type;
	enum access access;
	uint64_t va;
} mishaps[] = {
	/* Translation faults of each level. */
	{ 0xc0, LOAD, NO_LEVEL_1 }, { 0xc0, STORE, NO_LEVEL_1 }, { 0xc0, ATOMIC, NO_LEVEL_1 },
	{ 0xc0, WAIT, NO_LEVEL_1 }, { 0xc0, CALL, NO_LEVEL_1 },
	{ 0xc1, LOAD, NO_LEVEL_2 }, { 0xc1, STORE, NO_LEVEL_2 }, { 0xc1, ATOMIC, NO_LEVEL_2 },
	{ 0xc1, WAIT, NO_LEVEL_2 }, { 0xc1, CALL, NO_LEVEL_2 },
	{ 0xc2, LOAD, NO_LEVEL_3 }, { 0xc2, STORE, NO_LEVEL_3 }, { 0xc2, ATOMIC, NO_LEVEL_3 },
	{ 0xc2, WAIT, NO_LEVEL_3 }, { 0xc2, CALL, NO_LEVEL_3 },
	{ 0xc3, LOAD, NO_PAGE }, { 0xc3, STORE, NO_PAGE }, { 0xc3, ATOMIC, NO_PAGE },
	{ 0xc3, WAIT, NO_PAGE }, { 0xc3, CALL, NO_PAGE },
	/* What a page may not be used for. */
	{ 0xcb, STORE, READ_ONLY }, { 0xcb, ATOMIC, READ_ONLY },
	/* More bits than an address has. */
	{ 0xe0, LOAD, TOO_WIDE }, { 0xe0, STORE, TOO_WIDE }, { 0xe0, ATOMIC, TOO_WIDE },
	{ 0xe0, WAIT, TOO_WIDE }, { 0xe0, CALL, TOO_WIDE },
	/* Blocks that forbid something; descriptors that no driver writes. */
	{ 0xc4, LOAD, PLAIN },
	{ 0xc8, STORE, PLAIN }, { 0xc9, CALL, PLAIN }, { 0xca, ATOMIC, PLAIN },
	{ 0xd9, LOAD, PLAIN }, { 0xda, STORE, PLAIN }, { 0xdb, CALL, PLAIN },
	{ 0xdb, WAIT, PLAIN },
	{ 0xe4, LOAD, PLAIN }, { 0xe5, STORE, PLAIN }, { 0xe6, ATOMIC, PLAIN },
	{ 0xe7, CALL, PLAIN },
	{ 0xe8, ATOMIC, PLAIN }, { 0xe9, CALL, PLAIN }, { 0xea, LOAD, PLAIN },
	{ 0xeb, STORE, PLAIN }, { 0xeb, WAIT, PLAIN },
	/* None of these. */
	{ 0xff, LOAD, PLAIN }, { 0xff, STORE, PLAIN },
};

FIXTURE(pagefault)
{
	struct rig guilty, healthy;
	struct bo room;
	uint32_t behind;	/* syncobj */
	bool late;		/* the job behind may have come when the group could not run any more */
	int kmsg;
};

FIXTURE_SETUP(pagefault)
{
	struct rig *rig = &self->guilty;

	if (geteuid() || !hwmodel_present())
		SKIP(return, "faults on request are for the hardware model");
	ASSERT_EQ(0, rig_open(rig, 2));
	ASSERT_EQ(0, rig_open(&self->healthy, 2));
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &self->behind));
	ASSERT_EQ(0, bo_bound(&rig->gpu, rig->vm, PAGE, PLAIN, DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED, &self->room));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, self->room.handle, 0, READ_ONLY, PAGE,
			    DRM_PANTHOR_VM_BIND_OP_MAP_READONLY));
	self->kmsg = kmsg_open();
	ASSERT_LE(0, self->kmsg);
	spin(_metadata, &self->healthy);
}

FIXTURE_TEARDOWN(pagefault)
{
	close(self->kmsg);
	part(_metadata, &self->guilty, &self->healthy);
}

/* The access that is to fault. What is at that address where it is permitted is zero. */
static void do_access(struct cs *cs, const void *what)
{
	const struct mishap *mishap = what;

	cs_move32(cs, 10, mishap->va);
	cs_move32(cs, 11, mishap->va >> 32);
	cs_move48(cs, 20, 0);
	switch (mishap->access) {
	case LOAD:
		cs_load(cs, 12, 1, 10, 0);
		cs_wait(cs, CS_SB_LS);
		break;
	case STORE:
		cs_store32(cs, 20, 10, 0);
		break;
	case ATOMIC:
		cs_sync_add64(cs, CS_SYSTEM, 10, 20, 0);
		cs_wait(cs, CS_SB_ALL);
		break;
	case WAIT:
		cs_sync_wait64(cs, CS_LEQUAL, 10, 20);
		break;
	case CALL:
		cs_move32(cs, 22, CS_INSTR_BYTES);
		cs_call(cs, 10, 22);
		break;
	}
}

/* The address space of the guilty one has a number that only its driver knows. Nobody else uses the address. */
static int arm(const struct mishap *mishap)
{
	char line[64];
	int ret = 0;

	for (unsigned int as_nr = 1; mishap->va == PLAIN && !ret && as_nr < HWMODEL_SPACES; as_nr++) {
		snprintf(line, sizeof(line), "fault va %u 0x%llx 0x%x", as_nr, (unsigned long long)mishap->va,
			 mishap->type);
		ret = hwmodel_inject(line);
	}
	return ret;
}

/* The log has the type and, on ours, what was done where. */
static void expect_log(struct __test_metadata *_metadata, FIXTURE_DATA(pagefault) *self,
		       const struct mishap *mishap)
{
	static const char *const verb[] = { "read", "write", "atomic access", "read", "read" };
	char code[32], text[64], line[1024];

	if (gpu_is_c_driver(&self->guilty.gpu)) {
		snprintf(text, sizeof(text), "exception type 0x%X:", mishap->type);
		EXPECT_EQ(0, kmsg_find(self->kmsg, text, line, sizeof(line)));
		return;
	}
	snprintf(code, sizeof(code), "(code 0x%x", mishap->type);
	snprintf(text, sizeof(text), " on %s at 0x%llx,", verb[mishap->access], (unsigned long long)mishap->va);
	/* A group that leaves its slot with a fault meets it again when it is back: there may be a second line of before. */
	do {
		ASSERT_EQ(0, kmsg_find(self->kmsg, code, line, sizeof(line))) {
			TH_LOG("no line with %s%s", code, text);
		}
	} while (!strstr(line, text));
}

/* The group has gone, because queue @queue has met this; the next round has a new one. */
static void judge(struct __test_metadata *_metadata, FIXTURE_DATA(pagefault) *self, const struct mishap *mishap,
		  uint32_t queue)
{
	struct rig *rig = &self->guilty;
	int status, behind;
	uint32_t gone;

	EXPECT_EQ(0, sync_wait(&rig->gpu, rig->sync, 0, PATIENCE));
	status = sync_status(&rig->gpu, rig->sync);
	gone = expect_gone(_metadata, rig, status);
	EXPECT_NE(0, gone & (1u << queue));
	EXPECT_EQ(gone & 1 ? -EINVAL : -ECANCELED, status);
	EXPECT_EQ(0, rig->data.u32[ENDED]);
	EXPECT_EQ(0, sync_wait(&rig->gpu, self->behind, 0, PATIENCE));
	/* What was not in the ring yet is cancelled. The C driver may put it there after the submission. */
	behind = sync_status(&rig->gpu, self->behind);
	if (behind != -ECANCELED || !(self->late || gpu_is_c_driver(&rig->gpu)))
		EXPECT_EQ(status, behind);
	EXPECT_EQ(0, rig->data.u32[BEHIND]);
	EXPECT_EQ(0, self->room.u32[0]);
	expect_log(_metadata, self, mishap);
	ASSERT_TRUE(__test_passed(_metadata)) {
		TH_LOG("0x%x at 0x%llx, %s", mishap->type, (unsigned long long)mishap->va,
		       access_name[mishap->access]);
	}
	ASSERT_EQ(0, hwmodel_inject("clear"));
	renew(_metadata, rig);
	relay(_metadata, &self->healthy);
}

#define EACH(mishap)									\
	for (const struct mishap *mishap = mishaps; mishap < mishaps + sizeof(mishaps) / sizeof(*mishaps); mishap++)

/* The fetch of the stream is the access. */
TEST_F_TIMEOUT(pagefault, by_its_first_instruction, 120)
{
	struct rig *rig = &self->guilty;

	self->late = true;
	EACH(mishap) {
		struct mishap fetch = *mishap;

		fetch.access = CALL;
		/* The kernel's part of the ring cuts addresses to what they may have. */
		if (mishap->va == TOO_WIDE || mishap->va == READ_ONLY || (mishap->access != CALL && mishap->va != PLAIN))
			continue;
		rig->data.u32[BEHIND] = 0;
		rig->data.u32[ENDED] = 0;
		ASSERT_EQ(0, arm(&fetch));
		ASSERT_EQ(0, group_run(&rig->gpu, rig->group, 0, fetch.va, CS_INSTR_BYTES, rig->sync));
		/* The group may have gone by then. */
		if (put(rig, 0, BEHIND, 1, self->behind))
			ASSERT_EQ(0, sync_transfer(&rig->gpu, self->behind, 0, rig->sync, 0));
		judge(_metadata, self, &fetch, 0);
	}
}

static void strike_at(struct __test_metadata *_metadata, FIXTURE_DATA(pagefault) *self, enum point point)
{
	struct rig *rig = &self->guilty;

	EACH(mishap) {
		rig->data.u32[BEHIND] = 0;
		begin_at(_metadata, rig, point, do_access, mishap);
		ASSERT_EQ(0, put(rig, 0, BEHIND, 1, self->behind));
		ASSERT_EQ(0, arm(mishap));
		rig->data.u32[FLAG] = 1;
		judge(_metadata, self, mishap, 0);
	}
}

TEST_F_TIMEOUT(pagefault, in_its_stream, 120)
{
	strike_at(_metadata, self, IN_ITS_STREAM);
}

TEST_F_TIMEOUT(pagefault, in_a_stream_that_it_calls, 120)
{
	strike_at(_metadata, self, IN_A_STREAM_THAT_IT_CALLS);
}

TEST_F_TIMEOUT(pagefault, while_a_job_of_it_runs, 120)
{
	strike_at(_metadata, self, WHILE_A_JOB_OF_IT_RUNS);
}

/* It is another queue of the group that meets it. */
TEST_F_TIMEOUT(pagefault, while_it_waits_for_a_sync_object, 120)
{
	struct rig *rig = &self->guilty;

	EACH(mishap) {
		struct cs cs = rig_stream(rig, 3);

		rig->data.u32[BEHIND] = 0;
		block(_metadata, rig);
		ASSERT_EQ(0, put(rig, 0, BEHIND, 1, self->behind));
		ASSERT_EQ(0, arm(mishap));
		do_access(&cs, mishap);
		ASSERT_EQ(0, group_run(&rig->gpu, rig->group, 1, rig_stream_va(rig, &cs), cs_bytes(&cs), 0));
		judge(_metadata, self, mishap, 1);
	}
}

/* The sync object goes while the job waits for it, and the next time that anybody looks it is not there. */
TEST_F_TIMEOUT(pagefault, of_the_sync_object_that_it_waits_for, 120)
{
	struct rig *rig = &self->guilty;

	EACH(mishap) {
		struct mishap look = *mishap;
		struct cs cs = rig_stream(rig, 0);
		int ret;

		/* It looks for the object in the VM, and warns if there is none. */
		if (mishap->va != PLAIN && gpu_is_c_driver(&rig->gpu))
			continue;
		look.access = WAIT;
		look.va = PLAIN;
		/* Or is unmapped. */
		if (mishap->va != PLAIN && (mishap->type != 0xc3 || mishap->access != WAIT))
			continue;
		rig->data.u32[BEHIND] = 0;
		rig->data.u32[BEGUN] = 0;
		rig->data.u32[ENDED] = 0;
		cs_put32(&cs, rig->data.va + 4 * BEGUN, 1);
		cs_move48(&cs, 10, PLAIN);
		cs_move48(&cs, 20, 0);
		cs_sync_wait64(&cs, CS_GREATER, 10, 20);
		cs_put32(&cs, rig->data.va + 4 * ENDED, 1);
		ASSERT_EQ(0, rig_submit(rig, 0, &cs));
		ASSERT_EQ(0, rig_wait_word(rig, BEGUN, 1));
		ASSERT_EQ(0, put(rig, 0, BEHIND, 1, self->behind));
		ASSERT_EQ(0, mishap->va == PLAIN ? arm(&look) : vm_unmap(&rig->gpu, rig->vm, PLAIN, PAGE));
		/* Another queue sets another one, which is the time to look at all. */
		cs = rig_stream(rig, 3);
		cs_move48(&cs, 10, rig->data.va + 4 * OBJECT);
		cs_move48(&cs, 20, 1);
		cs_sync_set64(&cs, CS_SYSTEM, 10, 20, 0);
		ret = group_run(&rig->gpu, rig->group, 1, rig_stream_va(rig, &cs), cs_bytes(&cs), 0);
		/* If nobody else has done so meanwhile. */
		EXPECT_TRUE(!ret || ret == -EINVAL);
		judge(_metadata, self, &look, 0);
		if (mishap->va != PLAIN)
			ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, self->room.handle, 0, PLAIN, PAGE,
					    DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED));
	}
}

/* Its stream is over, but for what comes when the job that it has started is done. */
TEST_F_TIMEOUT(pagefault, at_its_end_with_another_one_queued, 120)
{
	struct rig *rig = &self->guilty;

	EACH(mishap) {
		struct cs cs = rig_stream(rig, 0);

		if (mishap->access != ATOMIC)
			continue;
		rig->data.u32[BEHIND] = 0;
		rig->data.u32[BEGUN] = 0;
		rig->data.u32[ENDED] = 0;
		cs_put32(&cs, rig->data.va + 4 * BEGUN, 1);
		cs_move32(&cs, 10, mishap->va);
		cs_move32(&cs, 11, mishap->va >> 32);
		cs_move48(&cs, 20, 0);
		cs_move32(&cs, 37, 300 * 20000);
		cs_move32(&cs, 38, 1);
		cs_move32(&cs, 39, 1);
		cs_run_compute(&cs);
		cs_sync_add64(&cs, CS_SYSTEM, 10, 20, CS_SB_ALL & ~CS_SB_SYNC);
		ASSERT_EQ(0, arm(mishap));
		ASSERT_EQ(0, rig_submit(rig, 0, &cs));
		ASSERT_EQ(0, put(rig, 0, BEHIND, 1, self->behind));
		judge(_metadata, self, mishap, 0);
	}
}

/*
 * Others of higher priority fill all slots, one of them for a moment. The group meets this at about the time when it has to
 * leave: now before, now after. If it has left before anybody knows, it meets the same again when it is back, and so there
 * is nothing here that is only so on request.
 */
TEST_F_TIMEOUT(pagefault, while_its_group_leaves_the_slot, 240)
{
	struct rig *rig = &self->guilty;
	struct crowd crowd;

	if (gpu_is_c_driver(&rig->gpu))
		SKIP(return, "idle groups of the C driver do not stay in their slots");
	crowd_open(_metadata, &crowd, &self->healthy);

	EACH(mishap) {
		if (mishap->va == PLAIN)
			continue;
		ASSERT_EQ(0, group_destroy(&rig->gpu, rig->group));
		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 2, PANTHOR_GROUP_PRIORITY_LOW, &rig->group));
		rig->data.u32[BEHIND] = 0;
		begin_at(_metadata, rig, IN_ITS_STREAM, do_access, mishap);
		ASSERT_EQ(0, put(rig, 0, BEHIND, 1, self->behind));
		crowd_begin(_metadata, &crowd);
		rig->data.u32[FLAG] = 1;
		crowd_displace(_metadata, &crowd);
		judge(_metadata, self, mishap, 0);
		crowd_end(_metadata, &crowd);
	}
}

/* The tick that brings in another group of its VM is the first to see the fault, which is not that one's. */
TEST_F_TIMEOUT(pagefault, when_another_group_of_its_vm_enters, 120)
{
	static const struct mishap mishap = { 0xc3, STORE, NO_PAGE };
	struct rig *rig = &self->guilty;
	uint32_t other, sync;

	if (gpu_is_c_driver(&rig->gpu))
		SKIP(return, "nothing but the interrupt, which is lost here, tells the C driver");
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &sync));
	for (uint32_t i = 0; i < 20; i++) {
		struct hwmodel_counters before;
		char line[1024];
		struct cs cs;

		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &other));
		rig->data.u32[BEHIND] = 0;
		rig->data.u32[BESIDE] = 0;
		rig->data.u32[RELEASED] = 0;
		begin_at(_metadata, rig, IN_ITS_STREAM, do_access, &mishap);
		ASSERT_EQ(0, put(rig, 0, BEHIND, 1, self->behind));
		ASSERT_EQ(0, hwmodel_read(&before));
		/* Every other time it is anybody's guess who sees it first. */
		if (i % 2 == 0)
			ASSERT_EQ(0, hwmodel_inject("irq drop mmu 1"));
		rig->data.u32[FLAG] = 1;
		for (int64_t end = now_ns() + PATIENCE; i % 2 == 0 && !hwmodel_since(&before, "faults");)
			ASSERT_GT(end, now_ns());
		cs = rig_stream(rig, 5);
		cs_spin_while_zero(&cs, rig->data.va + 4 * RELEASED);
		cs_put32(&cs, rig->data.va + 4 * BESIDE, 1);
		ASSERT_EQ(0, group_run(&rig->gpu, other, 0, rig_stream_va(rig, &cs), cs_bytes(&cs), sync));
		judge(_metadata, self, &mishap, 0);
		/* The firmware may tell as well who it was; this is what the driver has found when it looked itself. */
		if (i % 2 == 0)
			ASSERT_EQ(0, kmsg_find(self->kmsg, "page table entries for", line, sizeof(line)));
		rig->data.u32[RELEASED] = 1;
		EXPECT_EQ(0, sync_wait(&rig->gpu, sync, 0, PATIENCE));
		/* It may have come before the fault, and be in its slot then. */
		if (i % 2 == 0) {
			EXPECT_EQ(1, sync_status(&rig->gpu, sync));
			EXPECT_EQ(1, rig->data.u32[BESIDE]);
		}
		ASSERT_EQ(0, group_destroy(&rig->gpu, other));
	}
	sync_destroy(&rig->gpu, sync);
}

TEST_HARNESS_MAIN
