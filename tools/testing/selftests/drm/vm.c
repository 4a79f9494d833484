// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Address spaces: how they are split, what can be bound where, and that the GPU sees it so. The
 * GPU is asked with small streams that copy a word from one address to another.
 */
#include <stddef.h>
#include <unistd.h>

#include "suite.h"

#define KERNEL_LEAST	(256ull << 20)
#define MAX_VMS		32
#define NOEXEC		DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC
#define UNCACHED	DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED
#define GIB		(1ull << 30)

FIXTURE(vm)
{
	struct gpu gpu;
	uint64_t full;		/* bytes of GPU address space */
};

FIXTURE_SETUP(vm)
{
	struct drm_panthor_gpu_info info;

	ASSERT_EQ(0, gpu_open(&self->gpu));
	ASSERT_EQ(0, gpu_info(&self->gpu, &info));
	self->full = 1ull << DRM_PANTHOR_MMU_VA_BITS(info.mmu_features);
}

FIXTURE_TEARDOWN(vm)
{
	gpu_close(&self->gpu);
}

/* The highest address that this process uses, which is below its TASK_SIZE. */
static uint64_t highest_mapping(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long long start, end, highest = 0;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%llx-%llx", &start, &end) == 2 && !strstr(line, "vsyscall") &&
		    end > highest)
			highest = end;
	}
	if (maps)
		fclose(maps);
	return highest;
}

/* By rules A2, A3: GPU addresses can equal CPU addresses, and the kernel has its share. */
TEST_F(vm, the_default_range_covers_the_address_space_of_the_process)
{
	struct drm_panthor_vm_create args = { 0 };

	ASSERT_EQ(0, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_VM_CREATE, &args));
	EXPECT_NE(0, args.id);
	EXPECT_GE(args.user_va_range, highest_mapping() < self->full / 2 ? highest_mapping() :
								       self->full / 2);
	EXPECT_LE(args.user_va_range, self->full - KERNEL_LEAST);
}

/* By rule A1: a user range of N gives [0, N), and nothing is said about the kernel's part. */
TEST_F(vm, the_range_is_at_least_what_was_asked_for)
{
	static const uint64_t wanted[] = {
		PAGE, GIB, 4 * GIB - PAGE, 4 * GIB, 5 * GIB, 1ull << 40, (1ull << 46) + PAGE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		struct drm_panthor_vm_create args = { .user_va_range = wanted[i] };

		if (wanted[i] > self->full - KERNEL_LEAST)
			continue;
		ASSERT_EQ(0, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_VM_CREATE, &args));
		EXPECT_GE(args.user_va_range, wanted[i]);
		EXPECT_LE(args.user_va_range, self->full - KERNEL_LEAST);
		ASSERT_EQ(0, vm_destroy(&self->gpu, args.id));
	}
}

/* By rule A3: exactly 256 MiB are enough for the kernel, a page less is refused at once. */
TEST_F(vm, the_largest_range_leaves_256_mib_to_the_kernel)
{
	uint32_t vm, group;

	ASSERT_EQ(0, vm_create(&self->gpu, self->full - KERNEL_LEAST, &vm));
	EXPECT_EQ(0, group_create(&self->gpu, vm, 4, PANTHOR_GROUP_PRIORITY_LOW, &group));
	EXPECT_EQ(-EINVAL, vm_create(&self->gpu, self->full - KERNEL_LEAST + PAGE, &vm));
}

/* By rule A4: the user is at the bottom, and can't bind where the kernel is or across. */
TEST_F(vm, nothing_can_be_bound_in_or_across_the_kernels_part)
{
	struct drm_panthor_vm_create args = { .user_va_range = 4 * GIB };
	struct bo bo;
	uint64_t end;

	ASSERT_EQ(0, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_VM_CREATE, &args));
	end = args.user_va_range;
	ASSERT_EQ(0, bo_create(&self->gpu, 4 * PAGE, 0, 0, &bo));

	EXPECT_EQ(0, vm_map(&self->gpu, args.id, bo.handle, 0, 0, PAGE, NOEXEC));
	EXPECT_EQ(0, vm_map(&self->gpu, args.id, bo.handle, 0, end - 4 * PAGE, 4 * PAGE, NOEXEC));
	EXPECT_EQ(-EINVAL, vm_map(&self->gpu, args.id, bo.handle, 0, end, PAGE, NOEXEC));
	EXPECT_EQ(-EINVAL, vm_map(&self->gpu, args.id, bo.handle, 0, end - PAGE, 2 * PAGE, NOEXEC));
	EXPECT_EQ(-EINVAL, vm_map(&self->gpu, args.id, bo.handle, 0, self->full - PAGE, PAGE,
				  NOEXEC));
	EXPECT_EQ(-EINVAL, vm_map(&self->gpu, args.id, bo.handle, 0, self->full, PAGE, NOEXEC));
	EXPECT_EQ(-EINVAL, vm_map(&self->gpu, args.id, bo.handle, 0, 0ull - PAGE, PAGE, NOEXEC));
	EXPECT_EQ(-EINVAL, vm_map(&self->gpu, args.id, bo.handle, 0, 0ull - PAGE, 2 * PAGE,
				  NOEXEC));
	EXPECT_EQ(-EINVAL, vm_unmap(&self->gpu, args.id, end, PAGE));
	EXPECT_EQ(-EINVAL, vm_unmap(&self->gpu, args.id, end - PAGE, 2 * PAGE));
	EXPECT_EQ(-EINVAL, vm_unmap(&self->gpu, args.id, PAGE, 0ull - PAGE));
}

TEST_F(vm, a_file_has_32_address_spaces_and_not_one_more)
{
	uint32_t vm[MAX_VMS + 1];

	for (size_t i = 0; i < MAX_VMS; i++) {
		ASSERT_EQ(0, vm_create(&self->gpu, 0, &vm[i]));
		EXPECT_NE(0, vm[i]);
	}
	EXPECT_EQ(-EBUSY, vm_create(&self->gpu, 0, &vm[MAX_VMS]));
	EXPECT_EQ(0, vm_destroy(&self->gpu, vm[7]));
	EXPECT_EQ(0, vm_create(&self->gpu, 0, &vm[7]));
	EXPECT_EQ(-EBUSY, vm_create(&self->gpu, 0, &vm[MAX_VMS]));
}

TEST_F(vm, a_new_one_is_usable_and_a_destroyed_one_is_unknown)
{
	uint32_t vm, state = 77;
	struct bo bo;

	ASSERT_EQ(0, vm_create(&self->gpu, 0, &vm));
	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, 0, &bo));
	EXPECT_EQ(0, vm_state(&self->gpu, vm, &state));
	EXPECT_EQ(DRM_PANTHOR_VM_STATE_USABLE, state);
	ASSERT_EQ(0, vm_destroy(&self->gpu, vm));
	EXPECT_EQ(-EINVAL, vm_state(&self->gpu, vm, &state));
	EXPECT_EQ(-EINVAL, vm_map(&self->gpu, vm, bo.handle, 0, 0, PAGE, NOEXEC));
}

FIXTURE(bind)
{
	struct gpu gpu;
	uint32_t vm;
	struct bo bo;		/* 16 pages, not bound yet */
};

FIXTURE_SETUP(bind)
{
	ASSERT_EQ(0, gpu_open(&self->gpu));
	ASSERT_EQ(0, vm_create(&self->gpu, 0, &self->vm));
	ASSERT_EQ(0, bo_create(&self->gpu, 16 * PAGE, 0, 0, &self->bo));
}

FIXTURE_TEARDOWN(bind)
{
	gpu_close(&self->gpu);
}

TEST_F(bind, addresses_sizes_and_offsets_are_whole_pages)
{
	struct gpu *gpu = &self->gpu;
	uint32_t handle = self->bo.handle;

	EXPECT_EQ(-EINVAL, vm_map(gpu, self->vm, handle, 0, 0x100800, PAGE, NOEXEC));
	EXPECT_EQ(-EINVAL, vm_map(gpu, self->vm, handle, 0, 0x100000, PAGE + 1, NOEXEC));
	EXPECT_EQ(-EINVAL, vm_map(gpu, self->vm, handle, 0, 0x100000, PAGE / 2, NOEXEC));
	EXPECT_EQ(-EINVAL, vm_map(gpu, self->vm, handle, 0x10, 0x100000, PAGE, NOEXEC));
	EXPECT_EQ(-EINVAL, vm_unmap(gpu, self->vm, 0x100001, PAGE));
	EXPECT_EQ(-EINVAL, vm_unmap(gpu, self->vm, 0x100000, PAGE - 8));
}

TEST_F(bind, what_is_mapped_lies_within_the_buffer)
{
	struct gpu *gpu = &self->gpu;
	uint32_t handle = self->bo.handle;

	EXPECT_EQ(0, vm_map(gpu, self->vm, handle, 15 * PAGE, 0x100000, PAGE, NOEXEC));
	EXPECT_EQ(-EINVAL, vm_map(gpu, self->vm, handle, 15 * PAGE, 0x100000, 2 * PAGE, NOEXEC));
	EXPECT_EQ(-EINVAL, vm_map(gpu, self->vm, handle, 16 * PAGE, 0x100000, PAGE, NOEXEC));
	EXPECT_EQ(-EINVAL, vm_map(gpu, self->vm, handle, 0, 0x100000, 17 * PAGE, NOEXEC));
	EXPECT_EQ(-EINVAL, vm_map(gpu, self->vm, handle, 0ull - PAGE, 0x100000, 2 * PAGE, NOEXEC));
}

TEST_F(bind, an_unknown_buffer_or_flag_is_einval)
{
	struct gpu *gpu = &self->gpu;
	struct drm_panthor_vm_bind_op op = {
		.flags = DRM_PANTHOR_VM_BIND_OP_TYPE_UNMAP,
		.va = 0x100000,
		.size = PAGE,
	};

	EXPECT_EQ(-EINVAL, vm_map(gpu, self->vm, 0, 0, 0x100000, PAGE, NOEXEC));
	EXPECT_EQ(-EINVAL, vm_map(gpu, self->vm, 0x7fffffff, 0, 0x100000, PAGE, NOEXEC));
	for (unsigned int bit = 4; bit < 28; bit++)
		EXPECT_EQ(-EINVAL, vm_map(gpu, self->vm, self->bo.handle, 0, 0x100000, PAGE,
					  1u << bit));
	for (uint32_t type = 3; type < 16; type++)
		EXPECT_EQ(-EINVAL, vm_map(gpu, self->vm, self->bo.handle, 0, 0x100000, PAGE,
					  type << 28));
	/* An unmap has neither properties nor a buffer nor an offset. */
	op.flags |= DRM_PANTHOR_VM_BIND_OP_MAP_READONLY;
	EXPECT_EQ(-EINVAL, vm_bind_ops(gpu, self->vm, &op, 1));
	op.flags = DRM_PANTHOR_VM_BIND_OP_TYPE_UNMAP;
	op.bo_handle = self->bo.handle;
	EXPECT_EQ(-EINVAL, vm_bind_ops(gpu, self->vm, &op, 1));
	op.bo_handle = 0;
	op.bo_offset = PAGE;
	EXPECT_EQ(-EINVAL, vm_bind_ops(gpu, self->vm, &op, 1));
}

TEST_F(bind, an_unknown_flag_of_the_call_is_einval)
{
	struct drm_panthor_vm_bind args = { .vm_id = self->vm, .flags = 1 << 1 };

	KNOWN_C_DEFECT(&self->gpu, "VM_BIND accepts flags that it does not know");
	EXPECT_EQ(-EINVAL, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_VM_BIND, &args));
}

TEST_F(bind, a_synchronous_operation_has_nothing_to_wait_for_or_to_signal)
{
	uint32_t sync;
	struct drm_panthor_sync_op signal;
	struct drm_panthor_vm_bind_op op = {
		.flags = NOEXEC,
		.bo_handle = self->bo.handle,
		.va = 0x100000,
		.size = PAGE,
		.syncs = DRM_PANTHOR_OBJ_ARRAY(1, &signal),
	};

	ASSERT_EQ(0, sync_create(&self->gpu, false, &sync));
	signal = sync_signal_op(sync, 0);
	EXPECT_EQ(-EINVAL, vm_bind_ops(&self->gpu, self->vm, &op, 1));
}

TEST_F(bind, an_exclusive_buffer_is_bound_in_its_own_vm_only)
{
	struct bo own;
	uint32_t other;

	ASSERT_EQ(0, vm_create(&self->gpu, 0, &other));
	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, self->vm, &own));
	EXPECT_EQ(-EINVAL, vm_map(&self->gpu, other, own.handle, 0, 0x100000, PAGE, NOEXEC));
	EXPECT_EQ(0, vm_map(&self->gpu, self->vm, own.handle, 0, 0x100000, PAGE, NOEXEC));
}

TEST_F(bind, unmapping_nothing_succeeds)
{
	EXPECT_EQ(0, vm_unmap(&self->gpu, self->vm, 0x100000, PAGE));
	EXPECT_EQ(0, vm_unmap(&self->gpu, self->vm, 0, GIB));
}

TEST_F(bind, an_operation_of_no_size_does_nothing)
{
	EXPECT_EQ(0, vm_map(&self->gpu, self->vm, self->bo.handle, 0, 0x100000, 0, NOEXEC));
	EXPECT_EQ(0, vm_unmap(&self->gpu, self->vm, 0x100000, 0));
}

TEST_F(bind, the_failing_operation_is_named_and_those_before_it_are_done)
{
	struct drm_panthor_vm_bind_op ops[4] = {
		{ .flags = NOEXEC, .bo_handle = self->bo.handle, .va = 0x100000, .size = PAGE },
		{ .flags = NOEXEC, .bo_handle = self->bo.handle, .va = 0x200000, .size = PAGE },
		{ .flags = NOEXEC, .bo_handle = self->bo.handle, .va = 0x300000, .size = PAGE + 1 },
		{ .flags = NOEXEC, .bo_handle = self->bo.handle, .va = 0x400000, .size = PAGE },
	};
	struct drm_panthor_vm_bind args = {
		.vm_id = self->vm,
		.ops = DRM_PANTHOR_OBJ_ARRAY(4, ops),
	};
	uint32_t state;

	EXPECT_EQ(-EINVAL, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_VM_BIND, &args));
	EXPECT_EQ(2, args.ops.count);
	/* A call that failed in the caller's sight leaves the VM as good as it was. */
	EXPECT_EQ(0, vm_state(&self->gpu, self->vm, &state));
	EXPECT_EQ(DRM_PANTHOR_VM_STATE_USABLE, state);
}

TEST_F(bind, thousands_of_operations_are_done_in_one_call_and_the_failing_one_is_named)
{
	enum { OPS = 5000, BAD = 4321 };
	static struct drm_panthor_vm_bind_op ops[OPS];
	struct drm_panthor_vm_bind args = {
		.vm_id = self->vm,
		.ops = DRM_PANTHOR_OBJ_ARRAY(OPS, ops),
	};

	for (uint32_t i = 0; i < OPS; i++) {
		ops[i] = (struct drm_panthor_vm_bind_op){
			.flags = NOEXEC,
			.bo_handle = self->bo.handle,
			.bo_offset = i % 16 * PAGE,
			.va = 0x100000 + i * PAGE,
			.size = PAGE,
		};
	}
	ASSERT_EQ(0, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_VM_BIND, &args));
	EXPECT_EQ(OPS, args.ops.count);
	ops[BAD].bo_offset = 16 * PAGE;
	EXPECT_EQ(-EINVAL, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_VM_BIND, &args));
	EXPECT_EQ(BAD, args.ops.count);
}

TEST_F(bind, a_buffer_stays_mapped_when_its_handle_is_closed)
{
	ASSERT_EQ(0, vm_map(&self->gpu, self->vm, self->bo.handle, 0, 0x100000, PAGE, NOEXEC));
	EXPECT_EQ(0, gem_close(&self->gpu, self->bo.handle));
	EXPECT_EQ(-EINVAL, vm_map(&self->gpu, self->vm, self->bo.handle, 0, 0x200000, PAGE,
				  NOEXEC));
	EXPECT_EQ(0, vm_unmap(&self->gpu, self->vm, 0x100000, PAGE));
}

FIXTURE(gpu_view)
{
	struct rig rig;
};

FIXTURE_SETUP(gpu_view)
{
	ASSERT_EQ(0, rig_open(&self->rig, 1));
}

FIXTURE_TEARDOWN(gpu_view)
{
	rig_close(&self->rig);
}

/* What the GPU reads at an address. */
static uint32_t gpu_peek(struct __test_metadata *_metadata, struct rig *rig, uint64_t va)
{
	rig->data.u32[0] = 0xdeadbeef;
	ASSERT_EQ(1, rig_copy(rig, va, rig->data.va)) {
		TH_LOG("read of 0x%llx", (unsigned long long)va);
	}
	return rig->data.u32[0];
}

TEST_F(gpu_view, a_mapping_shows_the_buffer_from_its_offset_on)
{
	struct rig *rig = &self->rig;
	struct bo bo;

	ASSERT_EQ(0, rig_numbered_bo(rig, 16 * PAGE, 100, &bo));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, bo.handle, 5 * PAGE, 0x10000000, 4 * PAGE, NOEXEC));
	for (uint32_t page = 0; page < 4; page++)
		EXPECT_EQ(105 + page, gpu_peek(_metadata, rig, 0x10000000 + page * PAGE));
}

TEST_F(gpu_view, the_whole_user_range_can_be_used)
{
	struct rig *rig = &self->rig;
	struct bo bo;
	const uint64_t where[] = {
		0, BLOCK - PAGE, GIB - PAGE, 4 * GIB - PAGE, 4 * GIB, 512 * GIB - PAGE,
		(1ull << 40) + 3 * PAGE, (1ull << 47) - 16 * PAGE - (1ull << 30),
	};

	ASSERT_EQ(0, rig_numbered_bo(rig, 16 * PAGE, 200, &bo));
	for (size_t i = 0; i < ARRAY_SIZE(where); i++) {
		int ret = vm_map(&rig->gpu, rig->vm, bo.handle, i * PAGE, where[i], 2 * PAGE,
				 NOEXEC);

		ASSERT_EQ(0, ret) {
			TH_LOG("at 0x%llx", (unsigned long long)where[i]);
		}
		EXPECT_EQ(200 + i, gpu_peek(_metadata, rig, where[i]));
		EXPECT_EQ(201 + i, gpu_peek(_metadata, rig, where[i] + PAGE));
	}
}

TEST_F(gpu_view, one_buffer_can_be_mapped_twice_back_to_back)
{
	struct rig *rig = &self->rig;
	struct bo bo;

	ASSERT_EQ(0, rig_numbered_bo(rig, 2 * PAGE, 300, &bo));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, bo.handle, 0, 0x10000000, 2 * PAGE, NOEXEC));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, bo.handle, 0, 0x10002000, 2 * PAGE, NOEXEC));
	for (uint32_t page = 0; page < 4; page++)
		EXPECT_EQ(300 + page % 2, gpu_peek(_metadata, rig, 0x10000000 + page * PAGE));
	/* A write through one is seen through the other. */
	ASSERT_EQ(1, rig_copy(rig, 0x10001000, 0x10000000 + 8));
	EXPECT_EQ(301, gpu_peek(_metadata, rig, 0x10002000 + 8));
	EXPECT_EQ(301, bo.u32[2]);
}

TEST_F(gpu_view, a_mapping_takes_the_place_of_what_was_there)
{
	struct rig *rig = &self->rig;
	struct bo old, new;

	ASSERT_EQ(0, rig_numbered_bo(rig, 8 * PAGE, 400, &old));
	ASSERT_EQ(0, rig_numbered_bo(rig, 8 * PAGE, 500, &new));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, old.handle, 0, 0x10000000, 8 * PAGE, NOEXEC));
	/* Have all of it in the TLB. */
	for (uint32_t page = 0; page < 8; page++)
		ASSERT_EQ(400 + page, gpu_peek(_metadata, rig, 0x10000000 + page * PAGE));
	/* The middle: the old mapping is split in two. */
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, new.handle, 0, 0x10003000, 2 * PAGE, NOEXEC));
	for (uint32_t page = 0; page < 8; page++) {
		uint32_t expected = page == 3 || page == 4 ? 500 + page - 3 : 400 + page;

		EXPECT_EQ(expected, gpu_peek(_metadata, rig, 0x10000000 + page * PAGE));
	}
	/* All of it. */
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, new.handle, 0, 0x10000000, 8 * PAGE, NOEXEC));
	for (uint32_t page = 0; page < 8; page++)
		EXPECT_EQ(500 + page, gpu_peek(_metadata, rig, 0x10000000 + page * PAGE));
}

TEST_F(gpu_view, unmapping_a_part_leaves_the_neighbours)
{
	struct rig *rig = &self->rig;
	struct bo bo;

	ASSERT_EQ(0, rig_numbered_bo(rig, 8 * PAGE, 600, &bo));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, bo.handle, 0, 0x10000000, 8 * PAGE, NOEXEC));
	ASSERT_EQ(0, vm_unmap(&rig->gpu, rig->vm, 0x10002000, 3 * PAGE));
	EXPECT_EQ(600, gpu_peek(_metadata, rig, 0x10000000));
	EXPECT_EQ(601, gpu_peek(_metadata, rig, 0x10001000));
	EXPECT_EQ(605, gpu_peek(_metadata, rig, 0x10005000));
	EXPECT_EQ(607, gpu_peek(_metadata, rig, 0x10007000));
	/* One unmap for the pieces and the hole between them, and it can be used again. */
	ASSERT_EQ(0, vm_unmap(&rig->gpu, rig->vm, 0x10000000, 8 * PAGE));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, bo.handle, 4 * PAGE, 0x10000000, PAGE, NOEXEC));
	EXPECT_EQ(604, gpu_peek(_metadata, rig, 0x10000000));
}

TEST_F(gpu_view, splitting_a_2_mib_block_leaves_the_rest_of_it)
{
	struct rig *rig = &self->rig;
	const uint64_t va = 0x40000000;
	struct bo bo, patch;

	/* Whether blocks are used depends on the memory that the kernel finds. */
	ASSERT_EQ(0, rig_numbered_bo(rig, 3 * BLOCK, 10000, &bo));
	ASSERT_EQ(0, rig_numbered_bo(rig, PAGE, 77, &patch));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, bo.handle, 0, va, 3 * BLOCK, NOEXEC));
	EXPECT_EQ(10000 + 512 + 100, gpu_peek(_metadata, rig, va + BLOCK + 100 * PAGE));

	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, patch.handle, 0, va + BLOCK + 100 * PAGE, PAGE,
			    NOEXEC));
	EXPECT_EQ(77, gpu_peek(_metadata, rig, va + BLOCK + 100 * PAGE));
	EXPECT_EQ(10000 + 512 + 99, gpu_peek(_metadata, rig, va + BLOCK + 99 * PAGE));
	EXPECT_EQ(10000 + 512 + 101, gpu_peek(_metadata, rig, va + BLOCK + 101 * PAGE));

	ASSERT_EQ(0, vm_unmap(&rig->gpu, rig->vm, va + BLOCK - PAGE, 2 * PAGE));
	EXPECT_EQ(10000 + 510, gpu_peek(_metadata, rig, va + BLOCK - 2 * PAGE));
	EXPECT_EQ(10000 + 513, gpu_peek(_metadata, rig, va + BLOCK + PAGE));
	EXPECT_EQ(10000, gpu_peek(_metadata, rig, va));
	EXPECT_EQ(10000 + 3 * 512 - 1, gpu_peek(_metadata, rig, va + 3 * BLOCK - PAGE));
}

TEST_F(gpu_view, a_running_job_keeps_its_mappings_while_a_neighbour_goes)
{
	struct rig *rig = &self->rig;
	struct bo bo;
	struct cs cs = rig_stream(rig, 1);
	const uint64_t va = 0x40000000;

	ASSERT_EQ(0, rig_numbered_bo(rig, 2 * BLOCK, 0, &bo));
	bo.u32[0] = 0;
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, bo.handle, 0, va, 2 * BLOCK, NOEXEC | UNCACHED));
	/* Reads the first word until it changes, in the same block that is split meanwhile. */
	cs_spin_while_zero(&cs, va);
	cs_put32(&cs, rig->data.va + 64, 4711);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	for (uint64_t page = 1; page < 17; page++) {
		ASSERT_EQ(0, vm_unmap(&rig->gpu, rig->vm, va + page * PAGE, PAGE));
		ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, bo.handle, 0, va + page * PAGE, PAGE,
				    NOEXEC));
	}
	EXPECT_EQ(-ETIME, sync_wait(&rig->gpu, rig->sync, 0, 0));
	bo.u32[0] = 1;
	EXPECT_EQ(1, rig_wait(rig));
	EXPECT_EQ(4711, rig->data.u32[16]);
}

TEST_F(gpu_view, two_address_spaces_do_not_see_each_other)
{
	struct rig *rig = &self->rig;
	struct rig other;
	struct bo here, there;

	ASSERT_EQ(0, rig_open_on(&other, &rig->gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	ASSERT_EQ(0, rig_numbered_bo(rig, PAGE, 1111, &here));
	ASSERT_EQ(0, rig_numbered_bo(rig, PAGE, 2222, &there));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, here.handle, 0, 0x10000000, PAGE, NOEXEC));
	ASSERT_EQ(0, vm_map(&rig->gpu, other.vm, there.handle, 0, 0x10000000, PAGE, NOEXEC));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(1111, gpu_peek(_metadata, rig, 0x10000000));
		EXPECT_EQ(2222, gpu_peek(_metadata, &other, 0x10000000));
	}
	rig_release(&other);
}

TEST_F(gpu_view, more_address_spaces_than_the_hardware_has_work_in_turn)
{
	enum { VMS = 12 };
	struct rig *rig = &self->rig;
	struct rig rigs[VMS];

	for (uint32_t i = 0; i < VMS; i++) {
		ASSERT_EQ(0, rig_open_on(&rigs[i], &rig->gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
		rigs[i].data.u32[PAGE / 4] = 7000 + i;
	}
	for (int turn = 0; turn < 2; turn++) {
		for (uint32_t i = 0; i < VMS; i++)
			EXPECT_EQ(7000 + i, gpu_peek(_metadata, &rigs[i], rigs[i].data.va + PAGE));
	}
	for (uint32_t i = 0; i < VMS; i++)
		rig_release(&rigs[i]);
}

TEST_F(gpu_view, a_buffer_that_is_closed_but_mapped_keeps_its_content)
{
	struct rig *rig = &self->rig;
	struct bo bo;

	ASSERT_EQ(0, rig_numbered_bo(rig, PAGE, 808, &bo));
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, bo.handle, 0, 0x10000000, PAGE, NOEXEC));
	ASSERT_EQ(0, bo_close(&rig->gpu, &bo));
	EXPECT_EQ(808, gpu_peek(_metadata, rig, 0x10000000));
}

TEST_HARNESS_MAIN
