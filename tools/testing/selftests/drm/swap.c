// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Short of memory in earnest: more buffers than memory, with swap space for the rest, and a control
 * group that may not have more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "reclaim.h"
#include "suite.h"
#include "text.h"

#define NOEXEC		DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC
#define UNCACHED	DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED
#define VA		0x40000000ull
#define MIB		(1ull << 20)

#define CGROUPS		"/sys/fs/cgroup"
#define CGROUP		CGROUPS "/selftest"

/* What the system keeps for itself and the programs, and what is left for buffers. */
#define LEFT_MIB	160u
#define PROCESSES	2u
#define VMS		5u
#define SET_BYTES	(2 * LEFT_MIB * MIB / (PROCESSES * VMS))
#define SET_PAGES	(SET_BYTES / PAGE)
#define ROUNDS		2

/* A number of /proc/meminfo (kB there) or /proc/vmstat. */
static int64_t kernel_number(const char *file, const char *name)
{
	FILE *in = fopen(file, "r");
	char line[128], found[64];
	long long value, result = -1;

	while (in && fgets(line, sizeof(line), in)) {
		if (sscanf(line, "%63[^: ]%*[: ]%lld", found, &value) == 2 && !strcmp(found, name))
			result = value;
	}
	if (in)
		fclose(in);
	return result;
}

static int64_t meminfo_mib(const char *name)
{
	return kernel_number("/proc/meminfo", name) / 1024;
}

FIXTURE(swap)
{
	struct gpu gpu;
	int64_t kills;
};

FIXTURE_SETUP(swap)
{
	ASSERT_EQ(0, gpu_open(&self->gpu));
	if (!reclaim_possible(&self->gpu))
		SKIP(return, "no swap space, or a driver that takes nothing back");
	self->kills = kernel_number("/proc/vmstat", "oom_kill");
}

FIXTURE_TEARDOWN(swap)
{
	EXPECT_EQ(self->kills, kernel_number("/proc/vmstat", "oom_kill"));
	gpu_close(&self->gpu);
}

/* A job that copies the first word of each page to a list of words. */
static void cs_gather(struct cs *cs, uint64_t from, uint64_t to, uint32_t pages)
{
	size_t again;

	cs_move48(cs, 10, from);
	cs_move48(cs, 12, to);
	cs_move32(cs, 14, pages);
	again = cs->len;
	cs_load(cs, 16, 1, 10, 0);
	cs_wait(cs, CS_SB_LS);
	cs_store(cs, 16, 1, 12, 0);
	cs_wait(cs, CS_SB_LS);
	cs_add64(cs, 10, 10, PAGE);
	cs_add64(cs, 12, 12, 4);
	cs_add32(cs, 14, 14, -1);
	cs_branch(cs, CS_GREATER, 14, again);
}

/* Buffers of several VMs, filled, and checked round after round by GPU and CPU. Returns what failed. */
static int work(uint32_t process)
{
	struct rig rig[VMS];
	struct bo bo[VMS];
	struct gpu gpu;

	if (gpu_open(&gpu))
		return 1;
	for (uint32_t vm = 0; vm < VMS; vm++) {
		uint32_t first = (process * VMS + vm + 1) << 20;

		if (rig_open_on(&rig[vm], &gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM))
			return 2;
		if (rig_numbered_bo(&rig[vm], SET_BYTES, first, &bo[vm]))
			return 3;
		if (vm_map(&gpu, rig[vm].vm, bo[vm].handle, 0, VA, SET_BYTES, NOEXEC | UNCACHED))
			return 4;
	}
	for (uint32_t i = 0; i < ROUNDS * VMS; i++) {
		uint32_t vm = i % VMS, round = i / VMS;
		uint32_t first = (process * VMS + vm + 1) << 20;
		struct cs cs = rig_stream(&rig[vm], 0);

		cs_gather(&cs, VA, rig[vm].data.va, SET_PAGES);
		if (rig_run(&rig[vm], 0, &cs) != 1)
			return 5;
		for (uint32_t page = 0; page < SET_PAGES; page++) {
			uint32_t expected = first + page + (round ? 0x100 : 0);

			if (rig[vm].data.u32[page] != expected)
				return 6;
			if (bo[vm].u32[page * (PAGE / 4)] != expected)
				return 7;
			/* For the next round. */
			bo[vm].u32[page * (PAGE / 4)] = first + page + 0x100;
		}
	}
	for (uint32_t vm = 0; vm < VMS; vm++) {
		bo_close(&gpu, &bo[vm]);
		rig_release(&rig[vm]);
	}
	gpu_close(&gpu);
	return 0;
}

TEST_F_TIMEOUT(swap, a_working_set_of_twice_the_memory_gives_right_results_and_nothing_is_lost, 900)
{
	int64_t free = meminfo_mib("MemAvailable"), swapped, used;
	size_t bytes = (free > LEFT_MIB ? free - LEFT_MIB : 0) * MIB;
	pid_t worker[PROCESSES];
	char *hog;

	if (meminfo_mib("SwapFree") < 3 * LEFT_MIB)
		SKIP(return, "not enough swap space");
	/* Else the kernel may keep 64 MiB more of it free for huge pages, where pages have 64 KiB. */
	text_write("/proc/sys/vm/watermark_boost_factor", "0");
	/* The memory that is in the way, whatever the machine has. */
	hog = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	ASSERT_NE(MAP_FAILED, hog);
	ASSERT_GE(LEFT_MIB + LEFT_MIB / 4, meminfo_mib("MemAvailable"));
	used = meminfo_mib("SwapTotal") - meminfo_mib("SwapFree");
	for (uint32_t i = 0; i < PROCESSES; i++) {
		worker[i] = fork();
		ASSERT_LE(0, worker[i]);
		if (!worker[i])
			_exit(work(i));
	}
	for (uint32_t i = 0; i < PROCESSES; i++) {
		int status = -1;

		EXPECT_EQ(worker[i], waitpid(worker[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	swapped = kernel_number("/proc/vmstat", "pswpout") * cpu_page() / MIB;
	TH_LOG("%lld MiB went to swap space", (long long)swapped);
	EXPECT_LE(LEFT_MIB, swapped);
	/* The buffers have gone with their files: nothing of them is in memory or in swap space. */
	for (int i = 0; i < 100 && meminfo_mib("SwapTotal") - meminfo_mib("SwapFree") > used + 8; i++)
		sleep_ms(20);
	EXPECT_GE(used + 8, meminfo_mib("SwapTotal") - meminfo_mib("SwapFree"));
	EXPECT_GE(8, meminfo_mib("Shmem"));
	munmap(hog, bytes);
}

static int64_t cgroup_bytes(void)
{
	FILE *in = fopen(CGROUP "/memory.current", "r");
	long long value = -1;

	if (in && fscanf(in, "%lld", &value) != 1)
		value = -1;
	if (in)
		fclose(in);
	return value;
}

/* So many bytes more than there are now; or no limit. */
static int cgroup_limit(int64_t more)
{
	char text[32] = "max";

	if (more >= 0)
		snprintf(text, sizeof(text), "%lld", (long long)(cgroup_bytes() + more));
	return text_write(CGROUP "/memory.max", text);
}

/* This process into a control group of its own. Returns false where there are none. */
static bool cgroup_enter(void)
{
	if (access(CGROUPS "/cgroup.controllers", F_OK) && mount("none", CGROUPS, "cgroup2", 0, NULL))
		return false;
	if (text_write(CGROUPS "/cgroup.subtree_control", "+memory"))
		return false;
	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		return false;
	return !text_write(CGROUP "/cgroup.procs", "0");
}

static void cgroup_leave(void)
{
	cgroup_limit(-1);
	text_write(CGROUPS "/cgroup.procs", "0");
	rmdir(CGROUP);
}

#define ENTER_CGROUP() do {						\
	if (!cgroup_enter())						\
		SKIP(return, "no control groups for memory");		\
} while (0)

TEST_F(swap, a_buffer_is_charged_to_who_uses_it_first)
{
	int64_t before;
	struct bo bo;

	ENTER_CGROUP();
	ASSERT_EQ(0, bo_create(&self->gpu, 16 * MIB, 0, 0, &bo));
	ASSERT_EQ(0, bo_mmap(&self->gpu, &bo));
	before = cgroup_bytes();
	ASSERT_LT(0, before);
	memset(bo.map, 1, bo.size);
	EXPECT_LE(before + 15 * MIB, cgroup_bytes());
	ASSERT_EQ(0, bo_close(&self->gpu, &bo));
	cgroup_leave();
}

/* rule E11: what user space makes the kernel allocate for page tables counts as its own. */
TEST_F_TIMEOUT(swap, page_tables_beyond_the_limit_of_a_control_group_are_refused, 300)
{
	const uint32_t sparse = DRM_PANTHOR_VM_BIND_OP_MAP_SPARSE | NOEXEC;
	/*
	 * Needs 16 MiB of tables: also where pages are large, more than the limit and what the group was
	 * charged ahead, which is up to 64 pages for each CPU.
	 */
	const uint64_t much = 1ull << 42;
	/* Tables that share a page of the CPU are a slab allocator's, which keeps some for the next time. */
	const int64_t kept = cpu_page() > PAGE ? 3 * MIB : MIB / 2;
	int64_t tables;
	uint32_t vm;

	/* So many that the allocator warns about the array of them. */
	KNOWN_C_DEFECT(&self->gpu, "a sparse bind reserves tables for pages");
	ENTER_CGROUP();
	ASSERT_EQ(0, vm_create(&self->gpu, 0, &vm));
	/* The block behind sparse mappings is there. */
	ASSERT_EQ(0, vm_map(&self->gpu, vm, 0, 0, 0, 2 * BLOCK, sparse));
	tables = table_memory();
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, cgroup_limit(1 * MIB));
		EXPECT_EQ(-ENOMEM, vm_map(&self->gpu, vm, 0, 0, much, much, sparse));
	}
	EXPECT_GE(tables + kept, table_memory());
	ASSERT_EQ(0, cgroup_limit(-1));
	EXPECT_EQ(0, vm_map(&self->gpu, vm, 0, 0, 1ull << 40, 1ull << 40, sparse));
	/* 4 MiB, of which some may be what was kept. */
	EXPECT_LE(tables + (cpu_page() > PAGE ? 1 : 3) * MIB, table_memory());
	ASSERT_EQ(0, vm_destroy(&self->gpu, vm));
	cgroup_leave();
}

TEST_F(swap, a_submission_whose_buffers_cannot_come_back_fails_and_leaves_no_trace)
{
	uint32_t state, other, sync;
	struct rig rig;
	struct bo bo;
	struct cs cs;

	ENTER_CGROUP();
	ASSERT_EQ(0, rig_open_on(&rig, &self->gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	ASSERT_EQ(0, rig_numbered_bo(&rig, 16 * MIB, 1, &bo));
	ASSERT_EQ(0, vm_map(&self->gpu, rig.vm, bo.handle, 0, VA, bo.size, NOEXEC | UNCACHED));
	cs = rig_stream(&rig, 0);
	cs_gather(&cs, VA, rig.data.va, 4096);
	ASSERT_EQ(1, rig_run(&rig, 0, &cs));
	ASSERT_EQ(0, sync_create(&self->gpu, false, &sync));

	/* Out of the driver, then out of memory. */
	ASSERT_EQ(0, reclaim(&self->gpu, EVERYTHING));
	for (int i = 0; i < 50 && cgroup_bytes() > (int64_t)(8 * MIB); i++)
		text_write(CGROUP "/memory.reclaim", "4M");
	ASSERT_GE(8 * MIB, cgroup_bytes());
	ASSERT_EQ(0, cgroup_limit(4 * MIB));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(-ENOMEM, group_run(&self->gpu, rig.group, 0, RIG_CODE_VA, cs_bytes(&cs), sync));
	/* No fence, the VM and the group as before; others aren't affected. */
	EXPECT_EQ(-EINVAL, sync_wait(&self->gpu, sync, 0, 0));
	ASSERT_EQ(0, vm_state(&self->gpu, rig.vm, &state));
	EXPECT_EQ(DRM_PANTHOR_VM_STATE_USABLE, state);
	EXPECT_EQ(0, vm_create(&self->gpu, 0, &other));

	ASSERT_EQ(0, cgroup_limit(-1));
	ASSERT_EQ(0, group_run(&self->gpu, rig.group, 0, RIG_CODE_VA, cs_bytes(&cs), sync));
	ASSERT_EQ(0, sync_wait(&self->gpu, sync, 0, PATIENCE));
	EXPECT_EQ(1, sync_status(&self->gpu, sync));
	for (uint32_t page = 0; page < 4096; page++)
		ASSERT_EQ(page + 1, rig.data.u32[page]);
	rig_release(&rig);
	cgroup_leave();
}

TEST_HARNESS_MAIN
