// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Many groups on few slots: that all of them get their work done, whatever they wait for, and what
 * it costs to decide who is next.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hwmodel.h"
#include "suite.h"

#define VMS		4
#define GROUPS		12	/* in each VM */
#define JOBS		3	/* of each group */

/* A job that counts this word up, and pauses in between if it has something to wait for. */
static void count_up(struct cs *cs, uint64_t word, uint64_t flag)
{
	cs_move48(cs, 10, word);
	cs_load(cs, 12, 1, 10, 0);
	cs_wait(cs, CS_SB_LS);
	if (flag)
		cs_spin_while_zero(cs, flag);
	cs_add32(cs, 12, 12, 1);
	cs_store32(cs, 12, 10, 0);
}

TEST(groups_of_all_priorities_and_several_vms_get_their_work_done)
{
	uint32_t group[VMS][GROUPS], sync[VMS][GROUPS];
	struct rig rig[VMS];
	struct gpu gpu;

	if (geteuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, gpu_open(&gpu));
	for (uint32_t v = 0; v < VMS; v++)
		ASSERT_EQ(0, rig_open_on(&rig[v], &gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	/* First of all, because what takes longer than a driver's time-out fails. */
	for (uint32_t i = 0; i < GROUPS; i++) {
		for (uint32_t v = 0; v < VMS; v++) {
			ASSERT_EQ(0, group_create(&gpu, rig[v].vm, 1, i % 4, &group[v][i]));
			ASSERT_EQ(0, sync_create(&gpu, false, &sync[v][i]));
		}
	}
	for (uint32_t i = 0; i < GROUPS; i++) {
		for (uint32_t v = 0; v < VMS; v++) {
			struct cs cs = cs_at((char *)rig[v].code.map + i * 1024, 1024);
			uint64_t flag = rig[v].data.va;

			/* Jobs that do not end before all are there are those of the lower priorities. */
			if (i % 4 >= PANTHOR_GROUP_PRIORITY_HIGH)
				flag = 0;
			count_up(&cs, rig[v].data.va + 64 * (i + 1), flag);
			for (uint32_t job = 0; job < JOBS; job++)
				ASSERT_EQ(0, group_run(&gpu, group[v][i], 0,
						       rig_stream_va(&rig[v], &cs), cs_bytes(&cs),
						       job == JOBS - 1 ? sync[v][i] : 0));
		}
	}
	for (uint32_t v = 0; v < VMS; v++)
		rig[v].data.u32[0] = 1;
	for (uint32_t v = 0; v < VMS; v++) {
		for (uint32_t i = 0; i < GROUPS; i++) {
			uint32_t state = 1, fatal = 1;

			EXPECT_EQ(0, sync_wait(&gpu, sync[v][i], 0, PATIENCE));
			EXPECT_EQ(1, sync_status(&gpu, sync[v][i]));
			EXPECT_EQ(JOBS, rig[v].data.u32[16 * (i + 1)]);
			EXPECT_EQ(0, group_state(&gpu, group[v][i], &state, &fatal));
			EXPECT_EQ(0, state);
		}
		rig_release(&rig[v]);
	}
	gpu_close(&gpu);
}

/* What the driver says of its decisions, and of the sync objects that it has looked at. */
struct decisions {
	unsigned long long made, looked_at, groups;
	unsigned long long over, on, unknown;
};

static int read_decisions(const struct gpu *gpu, struct decisions *d)
{
	char path[128];
	FILE *file;
	int found;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/sched", gpu->device);
	file = fopen(path, "r");
	if (!file)
		return -errno;
	found = fscanf(file, "decisions %llu looked_at %llu groups %llu in_slots %*u ready %*u "
		       "blocked %*u waits_over %llu waits_on %llu waits_unknown %llu", &d->made,
		       &d->looked_at, &d->groups, &d->over, &d->on, &d->unknown);
	fclose(file);
	return found == 6 ? 0 : -EPROTO;
}

/*
 * A group that waits for a sync object, and has lost its slot to others that are busy with it: nobody
 * but the driver can notice that its wait is over.
 */
FIXTURE(waiting)
{
	struct rig rig;
	struct drm_panthor_csif_info csif;
	uint32_t busy[64], busy_sync[64], count;
	uint32_t other, done;	/* somebody else, and when its job is done */
};

FIXTURE_VARIANT(waiting)
{
	bool wide, moved;	/* moved: in a second mapping of a part of its buffer */
	enum cs_condition condition;
	uint64_t before, reference, after;
};

FIXTURE_VARIANT_ADD(waiting, for_32_bits_to_rise)
{
	.condition = CS_GREATER, .before = 3, .reference = 3, .after = 4,
};

FIXTURE_VARIANT_ADD(waiting, for_32_bits_to_fall)
{
	.condition = CS_LEQUAL, .before = 9, .reference = 7, .after = 7,
};

/* The upper halves differ, and the lower ones the other way round. */
FIXTURE_VARIANT_ADD(waiting, for_64_bits_to_rise)
{
	.wide = true, .condition = CS_GREATER,
	.before = 0x1ffffffffull, .reference = 0x200000001ull, .after = 0x300000000ull,
};

FIXTURE_VARIANT_ADD(waiting, for_64_bits_to_fall)
{
	.wide = true, .condition = CS_LEQUAL,
	.before = 0x300000000ull, .reference = 0x200000001ull, .after = 0x1ffffffffull,
};

FIXTURE_VARIANT_ADD(waiting, for_what_is_mapped_twice)
{
	.moved = true, .condition = CS_GREATER, .before = 3, .reference = 3, .after = 4,
};

#define OBJECT	0x5100	/* in the data, with its error word behind it */
#define MOVED	0x30000000ull
#define RESULT	0x200
#define FLAG	0x300

static uint64_t *object(struct rig *rig)
{
	return rig->data.u64 + OBJECT / 8;
}

/*
 * A busy group has many jobs that end by themselves after a tenth of a second: on a machine that is
 * busy itself, one that lasts as long as the test does may well take longer than a driver allows.
 */
#define TURNS		40
#define TURN_LOOPS	50000

static void spin_for_a_while(struct cs *cs, uint64_t flag_va)
{
	size_t again;

	cs_move48(cs, 70, flag_va);
	cs_move32(cs, 74, TURN_LOOPS);
	again = cs->len;
	cs_load(cs, 72, 1, 70, 0);
	cs_wait(cs, CS_SB_LS);
	cs_branch(cs, CS_NEQUAL, 72, cs->len + 3);
	cs_add32(cs, 74, 74, -1);
	cs_branch(cs, CS_GREATER, 74, again);
}

FIXTURE_SETUP(waiting)
{
	struct rig *rig = &self->rig;
	struct cs cs;

	ASSERT_EQ(0, rig_open(rig, 1));
	ASSERT_EQ(0, gpu_csif(&rig->gpu, &self->csif));
	self->count = self->csif.csg_slot_count + 2;
	ASSERT_GE(64, self->count);

	*object(rig) = variant->before;
	cs = rig_stream(rig, 0);
	cs_put32(&cs, rig->data.va + RESULT, 1);
	if (variant->moved)
		ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, rig->data.handle, OBJECT / PAGE * PAGE, MOVED,
				    PAGE, DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC |
				    DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED));
	cs_move48(&cs, 10, variant->moved ? MOVED + OBJECT % PAGE : rig->data.va + OBJECT);
	cs_move48(&cs, 20, variant->reference);
	if (variant->wide)
		cs_sync_wait64(&cs, variant->condition, 10, 20);
	else
		cs_sync_wait32(&cs, variant->condition, 10, 20);
	cs_put32(&cs, rig->data.va + RESULT, 2);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	ASSERT_EQ(0, rig_wait_word(rig, RESULT / 4, 1));

	for (uint32_t i = 0; i < self->count; i++) {
		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &self->busy[i]));
		ASSERT_EQ(0, sync_create(&rig->gpu, false, &self->busy_sync[i]));
	}
	ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
				  &self->other));
	ASSERT_EQ(0, sync_create(&rig->gpu, false, &self->done));
	for (uint32_t i = 0; i < self->count; i++) {
		cs = cs_at((char *)rig->code.map + (8 << 10) + i * 1024, 1024);
		cs_put32(&cs, rig->data.va + 0x400 + 4 * i, 1);
		spin_for_a_while(&cs, rig->data.va + FLAG);
		for (int turn = 1; turn <= TURNS; turn++)
			ASSERT_EQ(0, group_run(&rig->gpu, self->busy[i], 0, rig_stream_va(rig, &cs),
					       cs_bytes(&cs), turn == TURNS ? self->busy_sync[i] : 0));
	}
	/* They fill all slots, and take turns. */
	for (uint32_t i = 0; i < self->count; i++)
		ASSERT_EQ(0, rig_wait_word(rig, 0x400 / 4 + i, 1));
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, rig->sync, 0, SECOND / 50));
	EXPECT_EQ(1, rig->data.u32[RESULT / 4]);
}

FIXTURE_TEARDOWN(waiting)
{
	struct rig *rig = &self->rig;

	rig->data.u32[FLAG / 4] = 1;
	for (uint32_t i = 0; i < self->count; i++) {
		EXPECT_EQ(0, sync_wait(&rig->gpu, self->busy_sync[i], 0, PATIENCE));
		EXPECT_EQ(1, sync_status(&rig->gpu, self->busy_sync[i]));
	}
	rig_close(rig);
}

/* Sets the object as a stream does it. */
static struct cs setter(struct rig *rig, uint32_t stream, bool wide, uint64_t value)
{
	struct cs cs = rig_stream(rig, stream);

	cs_move48(&cs, 10, rig->data.va + OBJECT);
	cs_move48(&cs, 20, value);
	if (wide)
		cs_sync_set64(&cs, CS_SYSTEM, 10, 20, 0);
	else
		cs_sync_set32(&cs, CS_SYSTEM, 10, 20, 0);
	return cs;
}

TEST_F(waiting, another_group_ends_it)
{
	struct rig *rig = &self->rig;
	struct cs cs = setter(rig, 30, variant->wide, variant->after);

	ASSERT_EQ(0, group_run(&rig->gpu, self->other, 0, rig_stream_va(rig, &cs),
			       cs_bytes(&cs), self->done));
	EXPECT_EQ(0, sync_wait(&rig->gpu, self->done, 0, PATIENCE));
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(2, rig->data.u32[RESULT / 4]);
}

TEST_F(waiting, another_process_ends_it)
{
	struct rig *rig = &self->rig;
	struct cs cs = setter(rig, 30, variant->wide, variant->after);
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(group_run(&rig->gpu, self->other, 0, rig_stream_va(rig, &cs), cs_bytes(&cs),
				self->done) ||
		      sync_wait(&rig->gpu, self->done, 0, PATIENCE));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(2, rig->data.u32[RESULT / 4]);
}

/* The CPU can't tell the GPU, but whatever job ends next makes the driver look. */
TEST_F(waiting, the_cpu_ends_it)
{
	struct rig *rig = &self->rig;
	struct cs cs = rig_stream(rig, 30);

	if (variant->wide)
		*object(rig) = variant->after;
	else
		*(uint32_t *)object(rig) = variant->after;
	cs_nop(&cs);
	ASSERT_EQ(0, group_run(&rig->gpu, self->other, 0, rig_stream_va(rig, &cs),
			       cs_bytes(&cs), self->done));
	EXPECT_EQ(0, sync_wait(&rig->gpu, self->done, 0, PATIENCE));
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(2, rig->data.u32[RESULT / 4]);
}

/* To see that a wait goes on costs a look at the object, and no turn in a slot. */
TEST_F(waiting, the_driver_itself_sees_that_it_goes_on_and_that_it_is_over)
{
	struct decisions before, on, over;
	struct rig *rig = &self->rig;
	struct cs cs = rig_stream(rig, 30);

	if (read_decisions(&rig->gpu, &before))
		SKIP(return, "this driver does not count what it looks at");
	cs_nop(&cs);
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, group_run(&rig->gpu, self->other, 0, rig_stream_va(rig, &cs),
				       cs_bytes(&cs), self->done));
		ASSERT_EQ(0, sync_wait(&rig->gpu, self->done, 0, PATIENCE));
		sleep_ms(30);
	}
	ASSERT_EQ(0, read_decisions(&rig->gpu, &on));
	EXPECT_LT(before.on, on.on);
	EXPECT_EQ(before.over, on.over);
	EXPECT_EQ(0, on.unknown);

	cs = setter(rig, 30, variant->wide, variant->after);
	ASSERT_EQ(0, group_run(&rig->gpu, self->other, 0, rig_stream_va(rig, &cs),
			       cs_bytes(&cs), self->done));
	EXPECT_EQ(1, rig_wait(rig));
	ASSERT_EQ(0, read_decisions(&rig->gpu, &over));
	EXPECT_EQ(on.over + 1, over.over);
	EXPECT_EQ(0, over.unknown);
}

TEST_F(waiting, jobs_of_others_do_not_end_it)
{
	struct rig *rig = &self->rig;
	struct cs cs = rig_stream(rig, 30);

	cs_nop(&cs);
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, group_run(&rig->gpu, self->other, 0, rig_stream_va(rig, &cs),
				       cs_bytes(&cs), self->done));
		EXPECT_EQ(0, sync_wait(&rig->gpu, self->done, 0, PATIENCE));
	}
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, rig->sync, 0, SECOND / 20));
	EXPECT_EQ(1, rig->data.u32[RESULT / 4]);
	*object(rig) = variant->after;
	ASSERT_EQ(0, group_run(&rig->gpu, self->other, 0, rig_stream_va(rig, &cs),
			       cs_bytes(&cs), self->done));
	EXPECT_EQ(1, rig_wait(rig));
}

FIXTURE(tick)
{
	struct rig rig;
	struct drm_panthor_csif_info csif;
	uint32_t group[64], count;
	struct decisions before;
};

FIXTURE_SETUP(tick)
{
	ASSERT_EQ(0, rig_open(&self->rig, 1));
	ASSERT_EQ(0, gpu_csif(&self->rig.gpu, &self->csif));
	if (read_decisions(&self->rig.gpu, &self->before))
		SKIP(return, "this driver does not count its decisions");
}

FIXTURE_TEARDOWN(tick)
{
	self->rig.data.u32[0] = 1;
	rig_close(&self->rig);
}

static int spin(struct rig *rig, uint32_t group, uint32_t index)
{
	struct cs cs = cs_at((char *)rig->code.map + index * 1024, 1024);

	cs_put32(&cs, rig->data.va + 64 * (index + 1), 1);
	cs_spin_while_zero(&cs, rig->data.va);
	return group_run(&rig->gpu, group, 0, rig_stream_va(rig, &cs), cs_bytes(&cs), 0);
}

/* Groups that are busy until the first word of the data is set, all of which have begun. */
static void make_busy(struct __test_metadata *_metadata, struct rig *rig, uint32_t count)
{
	uint32_t group;

	for (uint32_t i = 0; i < count; i++) {
		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &group));
		ASSERT_EQ(0, spin(rig, group, i));
	}
	for (uint32_t i = 0; i < count; i++)
		ASSERT_EQ(0, rig_wait_word(rig, 16 * (i + 1), 1));
}

/* Until that many more decisions have been made, or the time is over (-ETIME). */
static int wait_decisions(const struct gpu *gpu, struct decisions *d, unsigned int more,
			  int64_t timeout_ns)
{
	int64_t end = now_ns() + timeout_ns;
	struct decisions from;
	int ret = read_decisions(gpu, &from);

	while (!ret && now_ns() < end) {
		ret = read_decisions(gpu, d);
		if (!ret && d->made >= from.made + more) {
			d->made -= from.made;
			d->looked_at -= from.looked_at;
			return 0;
		}
		sleep_ms(1);
	}
	return ret ? ret : -ETIME;
}

TEST_F(tick, it_does_not_run_for_a_single_group)
{
	struct decisions d;

	make_busy(_metadata, &self->rig, 1);
	sleep_ms(30);
	EXPECT_EQ(-ETIME, wait_decisions(&self->rig.gpu, &d, 2, SECOND / 2));
}

TEST_F(tick, it_runs_while_groups_have_to_take_turns_and_stops_when_they_end)
{
	struct decisions d;

	make_busy(_metadata, &self->rig, self->csif.csg_slot_count + 2);
	EXPECT_EQ(0, wait_decisions(&self->rig.gpu, &d, 20, PATIENCE));
	self->rig.data.u32[0] = 1;
	/* Every one that ends may make room for another one; then there is nothing left. */
	for (int i = 0; i < 20 && !wait_decisions(&self->rig.gpu, &d, 2, SECOND / 2); i++)
		;
	EXPECT_EQ(-ETIME, wait_decisions(&self->rig.gpu, &d, 2, SECOND / 2));
}

/* Groups that were idle in their slots at the last decision, and need no other one to run. */
TEST_F(tick, it_resumes_when_idle_groups_in_slots_get_work)
{
	struct rig *rig = &self->rig;
	uint32_t group[2], done;
	struct decisions d;
	struct cs cs;

	ASSERT_EQ(0, sync_create(&rig->gpu, false, &done));
	for (int i = 0; i < 2; i++) {
		cs = rig_stream(rig, 20);
		cs_nop(&cs);
		ASSERT_EQ(0, group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
					  &group[i]));
		ASSERT_EQ(0, group_run(&rig->gpu, group[i], 0, rig_stream_va(rig, &cs),
				       cs_bytes(&cs), done));
		ASSERT_EQ(0, sync_wait(&rig->gpu, done, 0, PATIENCE));
	}
	for (int i = 0; i < 20 && !wait_decisions(&rig->gpu, &d, 1, SECOND / 4); i++)
		;
	ASSERT_EQ(0, spin(rig, group[0], 0));
	ASSERT_EQ(0, spin(rig, group[1], 1));
	EXPECT_EQ(0, wait_decisions(&rig->gpu, &d, 10, PATIENCE));
}

/* Groups looked at and register accesses, in a hundredth part of one, for each of 50 decisions. */
static int cost_of_decisions(const struct gpu *gpu, uint64_t *looked_at, uint64_t *accesses)
{
	struct hwmodel_counters before = { 0 }, after = { 0 };
	struct decisions d;
	int ret;

	if (hwmodel_present() && hwmodel_read(&before))
		return -EIO;
	ret = wait_decisions(gpu, &d, 50, PATIENCE);
	if (ret)
		return ret;
	if (hwmodel_present() && hwmodel_read(&after))
		return -EIO;
	*looked_at = 100 * d.looked_at / d.made;
	*accesses = 100 * (hwmodel_get(&after, "mmio_write") - hwmodel_get(&before, "mmio_write") +
			   hwmodel_get(&after, "mmio_read") - hwmodel_get(&before, "mmio_read")) /
		    d.made;
	return 0;
}

TEST_F_TIMEOUT(tick, idle_groups_do_not_make_it_dearer, 90)
{
	enum { FILES = 8, IDLE = 60 };
	uint64_t looked_at[2], accesses[2];
	struct rig *rig = &self->rig;
	uint32_t busy = self->csif.csg_slot_count + 2, group;
	struct rig other[FILES], alone;
	struct decisions d;
	struct cs cs;

	ASSERT_EQ(0, rig_open(&alone, 1));
	make_busy(_metadata, &alone, busy);
	ASSERT_EQ(0, cost_of_decisions(&rig->gpu, &looked_at[0], &accesses[0]));
	rig_close(&alone);
	/* They have run, and might again. */
	for (uint32_t file = 0; file < FILES; file++) {
		struct rig *idle = &other[file];

		ASSERT_EQ(0, rig_open(idle, 1));
		cs = rig_stream(idle, 0);
		cs_nop(&cs);
		for (uint32_t i = 0; i < IDLE; i++) {
			ASSERT_EQ(0, group_create(&idle->gpu, idle->vm, 1,
						  PANTHOR_GROUP_PRIORITY_HIGH, &group));
			ASSERT_EQ(0, group_run(&idle->gpu, group, 0, rig_stream_va(idle, &cs),
					       cs_bytes(&cs), idle->sync));
			ASSERT_EQ(1, rig_wait(idle));
		}
	}
	make_busy(_metadata, rig, busy);
	ASSERT_EQ(0, cost_of_decisions(&rig->gpu, &looked_at[1], &accesses[1]));
	ASSERT_EQ(0, read_decisions(&rig->gpu, &d));
	EXPECT_LE(FILES * IDLE + busy, d.groups);
	/* All that is looked at is the busy ones; in the second lot, the last idle one may still leave. */
	EXPECT_EQ(100 * busy, looked_at[0]);
	EXPECT_GE(100 * busy + 10, looked_at[1]);
	/* How many interrupts the acknowledgements of a round take is a matter of luck. */
	EXPECT_GE(accesses[0] * 3 / 2 + 100, accesses[1]);
	for (uint32_t file = 0; file < FILES; file++)
		rig_close(&other[file]);
}

/* The C driver counts if it is told so in sysfs. */
static void count_usage(const struct gpu *gpu)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s/profiling", gpu->device);
	file = fopen(path, "w");
	if (file) {
		fputs("3", file);
		fclose(file);
	}
}

TEST(what_jobs_take_is_their_files_and_nobody_elses)
{
	int patience = 1000;
	long long cycles;
	struct rig rig, other;
	struct cs cs;

	ASSERT_EQ(0, rig_open(&rig, 1));
	count_usage(&rig.gpu);
	ASSERT_EQ(0, rig_open(&other, 1));
	cs = rig_stream(&rig, 0);
	cs_put32(&cs, rig.data.va + 64, 1);
	cs_spin_while_zero(&cs, rig.data.va);
	ASSERT_EQ(0, rig_submit(&rig, 0, &cs));
	ASSERT_EQ(0, rig_wait_word(&rig, 16, 1));
	EXPECT_EQ(-ETIME, sync_wait(&rig.gpu, rig.sync, 0, SECOND / 5));
	rig.data.u32[0] = 1;
	ASSERT_EQ(1, rig_wait(&rig));

	cycles = gpu_fdinfo(&rig.gpu, "drm-cycles-panthor");
	/* The C driver counts a job after its fence has signalled, and somebody may be faster. */
	while (gpu_is_c_driver(&rig.gpu) && !cycles && patience--) {
		sleep_ms(1);
		cycles = gpu_fdinfo(&rig.gpu, "drm-cycles-panthor");
	}
	/* At 100 MHz or more, which is what any Mali runs at. */
	EXPECT_LE(SECOND / 5 / 10, cycles);
	EXPECT_EQ(0, gpu_fdinfo(&other.gpu, "drm-cycles-panthor"));
	EXPECT_LT(0, gpu_fdinfo(&rig.gpu, "drm-curfreq-panthor"));
	EXPECT_LE(gpu_fdinfo(&rig.gpu, "drm-curfreq-panthor"), gpu_fdinfo(&rig.gpu, "drm-maxfreq-panthor"));

	/* It stays when the group goes, and does not grow by itself. */
	ASSERT_EQ(0, group_destroy(&rig.gpu, rig.group));
	EXPECT_EQ(cycles, gpu_fdinfo(&rig.gpu, "drm-cycles-panthor"));
	rig_abandon(&rig);
	rig_close(&other);
}

TEST(the_time_of_jobs_is_known_without_an_arm_timer)
{
	struct rig rig;
	struct cs cs;

	ASSERT_EQ(0, rig_open(&rig, 1));
	KNOWN_C_DEFECT(&rig.gpu, "no time of the engine without an Arm timer");
	cs = rig_stream(&rig, 0);
	cs_spin_while_zero(&cs, rig.data.va);
	ASSERT_EQ(0, rig_submit(&rig, 0, &cs));
	EXPECT_EQ(-ETIME, sync_wait(&rig.gpu, rig.sync, 0, SECOND / 5));
	EXPECT_EQ(0, gpu_fdinfo(&rig.gpu, "drm-engine-panthor"));
	rig.data.u32[0] = 1;
	ASSERT_EQ(1, rig_wait(&rig));
	EXPECT_LE(SECOND / 5 * 9 / 10, gpu_fdinfo(&rig.gpu, "drm-engine-panthor"));
	EXPECT_GE(PATIENCE, gpu_fdinfo(&rig.gpu, "drm-engine-panthor"));
	rig_close(&rig);
}

TEST_HARNESS_MAIN
