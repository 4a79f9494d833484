// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A guided tour of the GPU through its uAPI: what is there, what is submitted, what came back, and
 * what each step cost in register accesses, doorbells, interrupts and TLB operations, if the
 * hardware model counts them. Runs unchanged on every driver that speaks the uAPI; what a driver
 * does not have is reported and skipped.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cs.h"
#include "gpu.h"
#include "hwmodel.h"
#include "report.h"
#include "rig.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define QUEUES	4

static const char *product(uint32_t id)
{
	static const struct {
		uint32_t arch, product;
		const char *name;
	} names[] = {
		{ 10, 2, "Mali-G710" }, { 10, 3, "Mali-G510" }, { 10, 4, "Mali-G310" },
		{ 10, 7, "Mali-G610" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (DRM_PANTHOR_ARCH_MAJOR(id) == names[i].arch &&
		    DRM_PANTHOR_PRODUCT_MAJOR(id) == names[i].product)
			return names[i].name;
	}
	return "Mali GPU";
}

static bool show_device(const struct gpu *gpu, struct drm_panthor_csif_info *csif)
{
	struct drm_panthor_gpu_info info = { 0 };
	struct drm_panthor_mmu_info mmu = { 0 };
	bool complete;
	int ret;

	begin_step("The device");
	say("node       %s (%s), driver %s, uAPI %d.%d", gpu->node, gpu->device, gpu->module,
	    gpu->major, gpu->minor);
	if (!works(gpu_info(gpu, &info), "the driver describes the GPU"))
		return false;
	say("GPU        %s, id 0x%08x: architecture %u.%u.%u, r%up%u status %u",
	    product(info.gpu_id), info.gpu_id, DRM_PANTHOR_ARCH_MAJOR(info.gpu_id),
	    DRM_PANTHOR_ARCH_MINOR(info.gpu_id),
	    DRM_PANTHOR_ARCH_REV(info.gpu_id), DRM_PANTHOR_VERSION_MAJOR(info.gpu_id),
	    DRM_PANTHOR_VERSION_MINOR(info.gpu_id), DRM_PANTHOR_VERSION_STATUS(info.gpu_id));
	say("cores      %d shader cores (mask 0x%llx), %d tiler, %d L2",
	    __builtin_popcountll(info.shader_present), (unsigned long long)info.shader_present,
	    __builtin_popcountll(info.tiler_present), __builtin_popcountll(info.l2_present));
	say("features   l2 0x%08x, tiler 0x%x, memory 0x%x, threads 0x%08x (at most %u per core)",
	    info.l2_features, info.tiler_features, info.mem_features, info.thread_features,
	    info.max_threads);
	say("addresses  %u bits virtual, %u bits physical, %d address spaces",
	    DRM_PANTHOR_MMU_VA_BITS(info.mmu_features), info.mmu_features >> 8 & 0xff,
	    __builtin_popcount(info.as_present));
	check(DRM_PANTHOR_ARCH_MAJOR(info.gpu_id) >= 10, "it is a GPU with command streams");
	check(info.shader_present && info.tiler_present && info.l2_present,
	      "it has shader cores, a tiler and an L2 cache");

	ret = gpu_csif(gpu, csif);
	complete = !ret;
	if (ret == -EINVAL || ret == -EOPNOTSUPP) {
		say("firmware   not offered by this driver (%s)", strerror(-ret));
	} else if (works(ret, "the driver describes the firmware's interface")) {
		say("firmware   %u group slots of %u queues each", csif->csg_slot_count,
		    csif->cs_slot_count);
		say("queues     %u registers (%u of them the kernel's), %u scoreboard entries",
		    csif->cs_reg_count, csif->unpreserved_cs_reg_count,
		    csif->scoreboard_slot_count);
		check(csif->csg_slot_count > 0 && csif->cs_slot_count >= QUEUES,
		      "the firmware is up and has slots");
	}
	ret = gpu_query(gpu, DRM_PANTHOR_DEV_QUERY_MMU_INFO, &mmu, sizeof(mmu));
	if (ret == -EINVAL || ret == -EOPNOTSUPP)
		say("pages      not offered by this driver (%s)", strerror(-ret));
	else if (works(ret, "the driver describes the page sizes"))
		say("pages      %llu KiB and %llu KiB",
		    (mmu.page_size_bitmap & -mmu.page_size_bitmap) >> 10,
		    (mmu.page_size_bitmap & (mmu.page_size_bitmap - 1)) >> 10);
	end_step();
	return complete;
}

/*
 * Whether the driver has an ioctl at all: DRM refuses an unknown number before it looks at the
 * argument, and a known one because the argument can't be read.
 */
static bool has_ioctl(const struct gpu *gpu, unsigned long request)
{
	return gpu_ioctl(gpu->fd, request, (void *)64) == -EFAULT;
}

static bool has_everything(const struct gpu *gpu)
{
	static const struct {
		const char *what;
		unsigned long request;
	} calls[] = {
		{ "address spaces (VM_CREATE)", DRM_IOCTL_PANTHOR_VM_CREATE },
		{ "mappings (VM_BIND)", DRM_IOCTL_PANTHOR_VM_BIND },
		{ "buffers (BO_CREATE)", DRM_IOCTL_PANTHOR_BO_CREATE },
		{ "CPU mappings (BO_MMAP_OFFSET)", DRM_IOCTL_PANTHOR_BO_MMAP_OFFSET },
		{ "groups (GROUP_CREATE)", DRM_IOCTL_PANTHOR_GROUP_CREATE },
		{ "jobs (GROUP_SUBMIT)", DRM_IOCTL_PANTHOR_GROUP_SUBMIT },
	};
	bool all = true;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		if (has_ioctl(gpu, calls[i].request))
			continue;
		if (all)
			title("What is missing");
		all = false;
		say("%-32s not offered by this driver", calls[i].what);
	}
	return all;
}

static bool set_up(const struct gpu *gpu, struct rig *rig)
{
	struct drm_panthor_vm_create vm = { 0 };
	struct drm_panthor_queue_create queues[QUEUES] = { 0 };
	struct drm_panthor_group_create group;

	rig->gpu = *gpu;
	rig->queues = QUEUES;

	begin_step("An address space");
	if (!works(gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_VM_CREATE, &vm), "created"))
		return false;
	rig->vm = vm.id;
	say("VM %u: the user has 0 to 0x%llx, the kernel what is above", vm.id,
	    (unsigned long long)vm.user_va_range - 1);
	check(vm.user_va_range >= 1ull << 32, "it has more than 4 GiB for the user");
	end_step();

	begin_step("Two buffers in it");
	say("streams at 0x%llx, results at 0x%llx (not cached by the GPU), %u KiB each",
	    RIG_CODE_VA, RIG_DATA_VA, RIG_BYTES >> 10);
	if (!works(bo_bound(gpu, rig->vm, RIG_BYTES, RIG_CODE_VA, 0, &rig->code),
		   "one for streams: created, mapped on the CPU, bound on the GPU") ||
	    !works(bo_bound(gpu, rig->vm, RIG_BYTES, RIG_DATA_VA,
			    DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC |
			    DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED, &rig->data),
		   "one for results: created, mapped on the CPU, bound on the GPU"))
		return false;
	end_step();

	begin_step("A group of queues");
	if (!works(sync_create(gpu, false, &rig->sync), "a syncobj to wait for"))
		return false;
	group = group_args(gpu, rig->vm, queues, QUEUES, PANTHOR_GROUP_PRIORITY_MEDIUM);
	if (!works(gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_GROUP_CREATE, &group), "created"))
		return false;
	rig->group = group.group_handle;
	say("group %u: %u queues with rings of %u KiB, all cores, medium priority",
	    rig->group, QUEUES, queues[0].ringbuf_size >> 10);
	end_step();
	return true;
}

/* Submits and waits, as one check. */
static bool run(struct rig *rig, uint32_t queue, const struct cs *cs)
{
	int ret;

	say("submitted: %zu instructions (%u bytes) on queue %u", cs->len, cs_bytes(cs), queue);
	ret = rig_run(rig, queue, cs);
	if (ret == 1)
		return check(true, "the fence signalled");
	return check(false, "the fence: %s", ret ? strerror(-ret) : "not signalled");
}

static void equals32(const char *what, uint32_t value, uint32_t expected)
{
	check(value == expected, "%s = %u%s", what, value,
	      value == expected ? "" : ", which is wrong");
}

static void arithmetic(struct rig *rig)
{
	struct cs cs = rig_stream(rig, 0);

	begin_step("Arithmetic");
	cs_move48(&cs, 10, rig->data.va);
	cs_move32(&cs, 20, 4000);
	cs_add32(&cs, 20, 20, 711);
	cs_move32(&cs, 21, 100);
	cs_add32(&cs, 21, 21, -58);
	cs_move48(&cs, 22, 0xffffffff);
	cs_add64(&cs, 22, 22, 1);
	cs_move32(&cs, 24, 12);
	cs_umin32(&cs, 25, 24, 20);
	cs_store(&cs, 20, 0x2f, 10, 0);
	cs_wait(&cs, CS_SB_LS);
	if (run(rig, 0, &cs)) {
		equals32("4000 + 711", rig->data.u32[0], 4711);
		equals32("100 - 58", rig->data.u32[1], 42);
		check(rig->data.u64[1] == 1ull << 32, "0xffffffff + 1 = 0x%llx",
		      (unsigned long long)rig->data.u64[1]);
		equals32("min(12, 4711)", rig->data.u32[5], 12);
	}
	end_step();
}

static void loops(struct rig *rig)
{
	struct cs cs = rig_stream(rig, 1);
	size_t outer, inner;

	begin_step("Loops");
	cs_move48(&cs, 10, rig->data.va + 0x100);
	cs_move32(&cs, 20, 0);
	cs_move32(&cs, 21, 100);
	outer = cs.len;
	cs_add32(&cs, 22, 21, 0);
	inner = cs.len;
	cs_add32(&cs, 20, 20, 1);
	cs_add32(&cs, 22, 22, -1);
	cs_branch(&cs, CS_GREATER, 22, inner);
	cs_add32(&cs, 21, 21, -1);
	cs_branch(&cs, CS_GREATER, 21, outer);
	cs_store32(&cs, 20, 10, 0);
	if (run(rig, 1, &cs))
		equals32("1 + 2 + ... + 100, counted one by one", rig->data.u32[0x40], 5050);
	end_step();
}

static void nested_calls(struct rig *rig)
{
	struct cs cs = rig_stream(rig, 2), twice = rig_stream(rig, 3), add = rig_stream(rig, 4);

	begin_step("Calls");
	cs_add32(&add, 20, 20, 7);

	cs_move48(&twice, 34, rig_stream_va(rig, &add));
	cs_move32(&twice, 36, cs_bytes(&add));
	cs_call(&twice, 34, 36);
	cs_call(&twice, 34, 36);

	cs_move48(&cs, 10, rig->data.va + 0x200);
	cs_move32(&cs, 20, 0);
	cs_move48(&cs, 30, rig_stream_va(rig, &twice));
	cs_move32(&cs, 32, cs_bytes(&twice));
	cs_call(&cs, 30, 32);
	cs_call(&cs, 30, 32);
	cs_call(&cs, 30, 32);
	cs_store32(&cs, 20, 10, 0);
	say("a stream that calls a stream three times, which calls a third one twice");
	if (run(rig, 2, &cs))
		equals32("six times 7", rig->data.u32[0x80], 42);
	end_step();
}

static void copy(struct rig *rig)
{
	struct cs cs = rig_stream(rig, 5);
	uint32_t *from = rig->data.u32 + 0x400, *to = rig->data.u32 + 0x800;
	size_t again;
	int wrong = 0;

	begin_step("Loads and stores");
	for (uint32_t i = 0; i < 256; i++) {
		from[i] = i * i;
		to[i] = 0;
	}
	cs_move48(&cs, 10, rig->data.va + 0x1000);
	cs_move48(&cs, 12, rig->data.va + 0x2000);
	cs_move32(&cs, 14, 16);
	again = cs.len;
	cs_load(&cs, 20, 0xffff, 10, 0);
	cs_wait(&cs, CS_SB_LS);
	cs_store(&cs, 20, 0xffff, 12, 0);
	cs_wait(&cs, CS_SB_LS);
	cs_add64(&cs, 10, 10, 64);
	cs_add64(&cs, 12, 12, 64);
	cs_add32(&cs, 14, 14, -1);
	cs_branch(&cs, CS_GREATER, 14, again);
	say("1 KiB from 0x%llx to 0x%llx, 64 bytes at a time", RIG_DATA_VA + 0x1000,
	    RIG_DATA_VA + 0x2000);
	if (run(rig, 0, &cs)) {
		for (uint32_t i = 0; i < 256; i++)
			wrong += to[i] != i * i;
		check(!wrong, "%d of 256 words arrived", 256 - wrong);
	}
	end_step();
}

static void token_ring(struct rig *rig)
{
	struct drm_panthor_sync_op signal[QUEUES];
	struct drm_panthor_queue_submit jobs[QUEUES];
	uint64_t object = rig->data.va + 0x300;
	uint32_t done[QUEUES];
	bool signalled = true;
	int ret;

	begin_step("Four queues hand a token round");
	rig->data.u64[0x60] = 0;
	for (uint32_t queue = 0; queue < QUEUES; queue++) {
		struct cs cs = rig_stream(rig, 8 + queue);

		if (sync_create(&rig->gpu, false, &done[queue])) {
			check(false, "no syncobj");
			return;
		}
		cs_move48(&cs, 10, object);
		cs_move48(&cs, 12, object + 64);
		cs_move48(&cs, 20, 1);
		for (uint32_t round = 0; round < 5; round++) {
			uint32_t turn = QUEUES * round + queue;

			if (turn) {
				cs_move48(&cs, 22, turn - 1);
				cs_sync_wait64(&cs, CS_GREATER, 10, 22);
			}
			cs_load(&cs, 24, 1, 12, 0);
			cs_wait(&cs, CS_SB_LS);
			cs_add32(&cs, 24, 24, 1);
			cs_store32(&cs, 24, 12, 0);
			cs_sync_add64(&cs, CS_GROUP, 10, 20, 0);
		}
		signal[queue] = sync_signal_op(done[queue], 0);
		jobs[queue] = (struct drm_panthor_queue_submit){
			.queue_index = queue,
			.stream_addr = rig_stream_va(rig, &cs),
			.stream_size = cs_bytes(&cs),
			.syncs = DRM_PANTHOR_OBJ_ARRAY(1, &signal[queue]),
		};
	}
	say("submitted: one job for each queue, in one call");
	say("each waits for its turn five times, at 0x%llx", (unsigned long long)object);
	ret = group_submit(&rig->gpu, rig->group, jobs, QUEUES);
	if (works(ret, "accepted")) {
		for (uint32_t queue = 0; queue < QUEUES; queue++)
			signalled &= !sync_wait(&rig->gpu, done[queue], 0, PATIENCE) &&
				     sync_status(&rig->gpu, done[queue]) == 1;
		check(signalled, "all four fences signalled");
		equals32("turns taken", rig->data.u32[0xc0], 5 * QUEUES);
		equals32("counter behind the token, changed without a lock", rig->data.u32[0xd0],
			 5 * QUEUES);
	}
	for (uint32_t queue = 0; queue < QUEUES; queue++)
		sync_destroy(&rig->gpu, done[queue]);
	end_step();
}

static void timeline_order(struct rig *rig)
{
	struct drm_panthor_sync_op ops[3][2];
	struct drm_panthor_queue_submit jobs[4] = { 0 };
	uint32_t line;
	uint64_t point = 0;
	uint32_t *cell = rig->data.u32 + 0x180;
	int ret;

	begin_step("A timeline orders jobs of three queues");
	if (!works(sync_create(&rig->gpu, false, &line), "a timeline syncobj"))
		return;
	memset(cell, 0, 16);
	for (uint32_t i = 0; i < 3; i++) {
		struct cs cs = rig_stream(rig, 16 + i);

		cs_move48(&cs, 10, rig->data.va + 0x600);
		cs_load(&cs, 12, 1, 10, 4 * i);
		cs_wait(&cs, CS_SB_LS);
		cs_add32(&cs, 12, 12, 10);
		cs_store32(&cs, 12, 10, 4 * i + 4);
		ops[i][0] = sync_signal_op(line, i + 1);
		if (i)
			ops[i][1] = sync_wait_op(line, i);
		jobs[i] = (struct drm_panthor_queue_submit){
			.queue_index = QUEUES - 1 - i,
			.stream_addr = rig_stream_va(rig, &cs),
			.stream_size = cs_bytes(&cs),
			.syncs = DRM_PANTHOR_OBJ_ARRAY(i ? 2 : 1, ops[i]),
		};
	}
	say("submitted: three jobs in one call; each waits for the point of the one before");
	if (works(group_submit(&rig->gpu, rig->group, jobs, 3), "accepted") &&
	    works(sync_wait(&rig->gpu, line, 3, PATIENCE), "point 3 signalled")) {
		ret = sync_query(&rig->gpu, line, &point);
		check(!ret && point == 3, "the timeline stands at %llu", (unsigned long long)point);
		check(cell[1] == 10 && cell[2] == 20 && cell[3] == 30,
		      "each job saw what the one before had stored: %u, %u, %u", cell[1], cell[2],
		      cell[3]);
	}
	sync_destroy(&rig->gpu, line);
	end_step();
}

static void remap(struct rig *rig)
{
	const uint64_t va = 0x10000000;
	const uint32_t flags = DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC;
	struct cs cs = rig_stream(rig, 20);
	struct bo bo;

	begin_step("One mapping replaces a part of another");
	if (!works(bo_create(&rig->gpu, 4 * PAGE, 0, 0, &bo), "a buffer of four pages") ||
	    !works(bo_mmap(&rig->gpu, &bo), "mapped on the CPU"))
		return;
	for (uint32_t page = 0; page < 4; page++)
		bo.u32[page * PAGE / 4] = 1000 + page;
	say("pages 0 to 3 at 0x%llx, then page 0 once more in the place of page 2",
	    (unsigned long long)va);
	works(vm_map(&rig->gpu, rig->vm, bo.handle, 0, va, 4 * PAGE, flags), "bound");
	works(vm_map(&rig->gpu, rig->vm, bo.handle, 0, va + 2 * PAGE, PAGE, flags), "bound again");
	cs_move48(&cs, 12, rig->data.va + 0x700);
	for (uint32_t page = 0; page < 4; page++) {
		cs_move48(&cs, 10, va + page * PAGE);
		cs_load(&cs, 20 + page, 1, 10, 0);
	}
	cs_wait(&cs, CS_SB_LS);
	cs_store(&cs, 20, 0xf, 12, 0);
	cs_wait(&cs, CS_SB_LS);
	if (run(rig, 0, &cs)) {
		uint32_t *seen = rig->data.u32 + 0x1c0;

		check(seen[0] == 1000 && seen[1] == 1001 && seen[2] == 1000 && seen[3] == 1003,
		      "the GPU sees %u, %u, %u, %u", seen[0], seen[1], seen[2], seen[3]);
	}
	works(vm_unmap(&rig->gpu, rig->vm, va, 4 * PAGE), "unbound");
	bo_close(&rig->gpu, &bo);
	end_step();
}

static void crowd(struct rig *rig, uint32_t slots)
{
	uint32_t group[64], done[64], count = slots + 4;
	int right = 0;

	begin_step("More groups than the firmware has slots");
	if (count > 64)
		count = 64;
	say("submitted: one job for each of %u groups, on %u slots", count, slots);
	for (uint32_t i = 0; i < count; i++) {
		struct cs cs = cs_at((char *)rig->code.map + i * 1024, 1024);

		rig->data.u32[0x2000 + i] = 0;
		cs_put32(&cs, rig->data.va + 0x8000 + 4 * i, 100 + i);
		if (group_create(&rig->gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &group[i]) ||
		    sync_create(&rig->gpu, false, &done[i]) ||
		    group_run(&rig->gpu, group[i], 0, rig_stream_va(rig, &cs), cs_bytes(&cs),
			      done[i])) {
			check(false, "group %u of %u could not be set up", i + 1, count);
			return;
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		right += !sync_wait(&rig->gpu, done[i], 0, PATIENCE) &&
			 rig->data.u32[0x2000 + i] == 100 + i;
		group_destroy(&rig->gpu, group[i]);
		sync_destroy(&rig->gpu, done[i]);
	}
	check(right == (int)count, "%d of %u groups stored the right number", right, count);
	end_step();
}

static void fault_next_door(struct rig *rig)
{
	struct rig guilty;
	struct cs cs;
	uint32_t state = 0, fatal = 0;
	int ret;

	begin_step("A group that faults, next to a healthy one");
	ret = rig_open_on(&guilty, &rig->gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM);
	if (!works(ret, "a second VM with a group of its own"))
		return;

	rig->data.u32[0] = 0;
	rig->data.u32[1] = 0;
	cs = rig_stream(rig, 22);
	cs_spin_while_zero(&cs, rig->data.va);
	cs_put32(&cs, rig->data.va + 4, 4711);
	say("submitted: to the healthy group, a job that waits for the CPU");
	works(rig_submit(rig, 0, &cs), "accepted");

	cs = rig_stream(&guilty, 0);
	cs_put32(&cs, 0x7000000000ull, 1);
	say("submitted: to the other one, a store to 0x7000000000, where nothing is mapped");
	if (works(rig_submit(&guilty, 0, &cs), "accepted")) {
		ret = rig_wait(&guilty);
		check(ret < 0 && ret != -ETIME, "its fence signalled an error: %s",
		      ret < 0 ? strerror(-ret) : "none");
		ret = group_wait_bad(&rig->gpu, guilty.group, &state, &fatal);
		check(!ret && state & DRM_PANTHOR_GROUP_STATE_FATAL_FAULT && fatal == 1,
		      "its state is 'fatal fault', queue mask 0x%x", fatal);
		cs = rig_stream(&guilty, 1);
		cs_nop(&cs);
		check(rig_submit(&guilty, 0, &cs) == -EINVAL, "it takes no more jobs");
	}
	check(!group_state(&rig->gpu, rig->group, &state, &fatal) && !state,
	      "the healthy group has nothing to complain about");
	rig->data.u32[0] = 1;
	check(rig_wait(rig) == 1, "its job ended well");
	equals32("what it stored afterwards", rig->data.u32[1], 4711);
	rig_release(&guilty);
	end_step();
}

static void tear_down(struct rig *rig)
{
	uint32_t state, fatal;

	begin_step("Giving everything back");
	works(group_destroy(&rig->gpu, rig->group), "the group");
	works(sync_destroy(&rig->gpu, rig->sync), "the syncobj");
	works(bo_close(&rig->gpu, &rig->data), "the buffer of the results");
	works(bo_close(&rig->gpu, &rig->code), "the buffer of the streams");
	works(vm_destroy(&rig->gpu, rig->vm), "the address space");
	check(group_state(&rig->gpu, rig->group, &state, &fatal) == -EINVAL &&
	      vm_state(&rig->gpu, rig->vm, &state) == -EINVAL, "their names mean nothing any more");
	end_step();
}

static void tour(void)
{
	struct drm_panthor_csif_info csif = { 0 };
	struct rig rig = { 0 };
	struct gpu gpu;
	bool described;
	long records;

	if (!works(gpu_open(&gpu), "a render node of a driver that speaks the panthor uAPI"))
		return;
	described = show_device(&gpu, &csif);
	if (has_everything(&gpu) &&
	    check(described, "a driver that takes jobs describes its firmware") &&
	    set_up(&gpu, &rig)) {
		arithmetic(&rig);
		loops(&rig);
		nested_calls(&rig);
		copy(&rig);
		token_ring(&rig);
		timeline_order(&rig);
		remap(&rig);
		crowd(&rig, csif.csg_slot_count);
		fault_next_door(&rig);
		tear_down(&rig);
	}
	gpu_close(&gpu);

	records = hwmodel_records();
	if (records >= 0) {
		title("The hardware model");
		check(records == 0, "objections to how the driver treated it: %ld", records);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		printf("usage: %s\n\n"
		       "Shows what the GPU is, submits command streams to it, checks what they\n"
		       "did and tells what each step cost. Needs read and write access to the render\n"
		       "node, and debugfs for the costs. Exit status 0 if every check passed.\n",
		       argv[0]);
		return 0;
	}
	if (argc != 1) {
		fprintf(stderr, "%s: takes no arguments (see --help)\n", argv[0]);
		return 2;
	}
	report_open();
	tour();
	return report_close("demo");
}
