// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Malformed calls: each gets the errno that the uAPI header documents, and leaves nothing behind:
 * the next handle is the one that would have come without it.
 */
#include <stddef.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "suite.h"

#define UNKNOWN		0x7fffff01u	/* a handle that nobody has */

#define CALL(request, ...)						\
	gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_##request, &(__VA_ARGS__))

/* Names of new objects. */
struct next {
	uint32_t vm, bo, group, sync;
};

FIXTURE(ioctl)
{
	struct gpu gpu;
	uint32_t vm;
	uint32_t group;
	uint32_t sync;
	struct bo bo;
	struct drm_panthor_queue_create queue;
	struct next before;
};

/* What the next new object of each kind would be called. */
static struct next next_handles(struct __test_metadata *_metadata, const struct gpu *gpu,
				uint32_t group_vm)
{
	struct next next;
	struct bo bo;

	ASSERT_EQ(0, vm_create(gpu, 0, &next.vm));
	ASSERT_EQ(0, vm_destroy(gpu, next.vm));
	ASSERT_EQ(0, bo_create(gpu, PAGE, 0, 0, &bo));
	next.bo = bo.handle;
	ASSERT_EQ(0, gem_close(gpu, bo.handle));
	ASSERT_EQ(0, group_create(gpu, group_vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &next.group));
	ASSERT_EQ(0, group_destroy(gpu, next.group));
	ASSERT_EQ(0, sync_create(gpu, false, &next.sync));
	ASSERT_EQ(0, sync_destroy(gpu, next.sync));
	return next;
}

FIXTURE_SETUP(ioctl)
{
	ASSERT_EQ(0, gpu_open(&self->gpu));
	ASSERT_EQ(0, vm_create(&self->gpu, 0, &self->vm));
	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, 0, &self->bo));
	ASSERT_EQ(0, sync_create(&self->gpu, false, &self->sync));
	ASSERT_EQ(0, group_create(&self->gpu, self->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM,
				  &self->group));
	self->queue = (struct drm_panthor_queue_create){ .ringbuf_size = PAGE };
	self->before = next_handles(_metadata, &self->gpu, self->vm);
}

FIXTURE_TEARDOWN(ioctl)
{
	struct next after = next_handles(_metadata, &self->gpu, self->vm);

	EXPECT_EQ(self->before.vm, after.vm);
	EXPECT_EQ(self->before.bo, after.bo);
	EXPECT_EQ(self->before.group, after.group);
	EXPECT_EQ(self->before.sync, after.sync);
	gpu_close(&self->gpu);
}

TEST_F(ioctl, a_number_that_does_not_exist_is_refused)
{
	uint64_t args[16] = { 0 };
	int ret;

	for (unsigned int nr = DRM_PANTHOR_BO_QUERY_INFO + 1; nr < 0x60; nr++) {
		ret = gpu_ioctl(self->gpu.fd, DRM_IOWR(DRM_COMMAND_BASE + nr, args), args);
		EXPECT_TRUE(ret == -EINVAL || ret == -ENOTTY);
	}
}

TEST_F(ioctl, a_bad_address_is_efault_for_every_call)
{
	static const unsigned long requests[] = {
		DRM_IOCTL_PANTHOR_DEV_QUERY,
		DRM_IOCTL_PANTHOR_VM_CREATE,
		DRM_IOCTL_PANTHOR_VM_DESTROY,
		DRM_IOCTL_PANTHOR_VM_BIND,
		DRM_IOCTL_PANTHOR_VM_GET_STATE,
		DRM_IOCTL_PANTHOR_BO_CREATE,
		DRM_IOCTL_PANTHOR_BO_MMAP_OFFSET,
		DRM_IOCTL_PANTHOR_GROUP_CREATE,
		DRM_IOCTL_PANTHOR_GROUP_DESTROY,
		DRM_IOCTL_PANTHOR_GROUP_SUBMIT,
		DRM_IOCTL_PANTHOR_GROUP_GET_STATE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		EXPECT_EQ(-EFAULT, gpu_ioctl(self->gpu.fd, requests[i], (void *)64));
}

/* By rule A9: creation calls can grow, whichever of the two sides is the older one. */
TEST_F(ioctl, a_structure_may_be_shorter_or_longer_than_the_kernels)
{
	struct {
		struct drm_panthor_vm_create known;
		uint64_t tail[4];
	} longer = { .tail = { 1, 2, 3, 4 } };
	struct drm_panthor_vm_create shorter = { .user_va_range = UINT64_MAX };

	ASSERT_EQ(0, gpu_ioctl(self->gpu.fd, DRM_IOWR(DRM_COMMAND_BASE + DRM_PANTHOR_VM_CREATE,
						      longer), &longer));
	EXPECT_NE(0, longer.known.id);
	EXPECT_NE(0, longer.known.user_va_range);
	/* Only flags and id: the range, which would be refused, counts as zero. */
	ASSERT_EQ(0, gpu_ioctl(self->gpu.fd, DRM_IOWR(DRM_COMMAND_BASE + DRM_PANTHOR_VM_CREATE,
						      uint64_t), &shorter));
	EXPECT_NE(0, shorter.id);
	EXPECT_EQ(UINT64_MAX, shorter.user_va_range);
	EXPECT_EQ(0, vm_destroy(&self->gpu, longer.known.id));
	EXPECT_EQ(0, vm_destroy(&self->gpu, shorter.id));
}

/* By rules A1, A3: no flags, and what does not leave room for the kernel is refused at once. */
TEST_F(ioctl, vm_create_refuses_flags_and_a_range_without_room_for_the_kernel)
{
	struct drm_panthor_vm_create args = { .flags = 1 };
	struct drm_panthor_gpu_info info;
	uint64_t full;

	ASSERT_EQ(0, gpu_info(&self->gpu, &info));
	full = 1ull << DRM_PANTHOR_MMU_VA_BITS(info.mmu_features);
	EXPECT_EQ(-EINVAL, CALL(VM_CREATE, args));
	args = (struct drm_panthor_vm_create){ .flags = 0x80000000u };
	EXPECT_EQ(-EINVAL, CALL(VM_CREATE, args));
	args = (struct drm_panthor_vm_create){ .user_va_range = full };
	EXPECT_EQ(-EINVAL, CALL(VM_CREATE, args));
	args = (struct drm_panthor_vm_create){ .user_va_range = full - (256ull << 20) + 1 };
	EXPECT_EQ(-EINVAL, CALL(VM_CREATE, args));
	args = (struct drm_panthor_vm_create){ .user_va_range = UINT64_MAX };
	EXPECT_EQ(-EINVAL, CALL(VM_CREATE, args));
}

TEST_F(ioctl, vm_destroy_refuses_padding_and_what_is_no_vm)
{
	struct drm_panthor_vm_destroy args = { .id = self->vm, .pad = 1 };

	EXPECT_EQ(-EINVAL, CALL(VM_DESTROY, args));
	args = (struct drm_panthor_vm_destroy){ .id = 0 };
	EXPECT_EQ(-EINVAL, CALL(VM_DESTROY, args));
	args = (struct drm_panthor_vm_destroy){ .id = UNKNOWN };
	EXPECT_EQ(-EINVAL, CALL(VM_DESTROY, args));
	args = (struct drm_panthor_vm_destroy){ .id = UINT32_MAX };
	EXPECT_EQ(-EINVAL, CALL(VM_DESTROY, args));
}

TEST_F(ioctl, vm_get_state_refuses_what_is_no_vm)
{
	struct drm_panthor_vm_get_state args = { .vm_id = 0 };

	EXPECT_EQ(-EINVAL, CALL(VM_GET_STATE, args));
	args.vm_id = UNKNOWN;
	EXPECT_EQ(-EINVAL, CALL(VM_GET_STATE, args));
}

TEST_F(ioctl, vm_bind_refuses_an_unknown_vm_and_arrays_that_cannot_be_read)
{
	struct drm_panthor_vm_bind_op op = {
		.bo_handle = self->bo.handle,
		.va = 0x100000,
		.size = PAGE,
	};
	struct drm_panthor_vm_bind args = {
		.vm_id = UNKNOWN,
		.ops = DRM_PANTHOR_OBJ_ARRAY(1, &op),
	};

	EXPECT_EQ(-EINVAL, CALL(VM_BIND, args));
	args.vm_id = self->vm;
	args.ops.stride = offsetof(struct drm_panthor_vm_bind_op, syncs);
	EXPECT_EQ(-EINVAL, CALL(VM_BIND, args));
	args.ops.stride = 0;
	EXPECT_EQ(-EINVAL, CALL(VM_BIND, args));
	args.ops.stride = sizeof(op);
	args.ops.array = 8;
	EXPECT_EQ(-EFAULT, CALL(VM_BIND, args));
	args.ops.array = 0;
	EXPECT_EQ(-EFAULT, CALL(VM_BIND, args));
}

/* By rule A9: elements of an array, too, may be longer than known, as long as the rest is zero. */
TEST_F(ioctl, a_longer_array_element_is_fine_if_its_tail_is_zero_and_e2big_otherwise)
{
	struct {
		struct drm_panthor_vm_bind_op known;
		uint64_t unknown;
	} ops[2] = {
		{ .known = { .bo_handle = self->bo.handle, .va = 0x100000, .size = PAGE } },
		{ .known = { .bo_handle = self->bo.handle, .va = 0x200000, .size = PAGE } },
	};
	struct drm_panthor_vm_bind args = {
		.vm_id = self->vm,
		.ops = DRM_PANTHOR_OBJ_ARRAY(2, ops),
	};

	EXPECT_EQ(0, CALL(VM_BIND, args));
	ops[1].unknown = 1;
	EXPECT_EQ(-E2BIG, CALL(VM_BIND, args));
}

TEST_F(ioctl, an_array_that_no_memory_holds_is_refused_without_a_kernel_warning)
{
	struct drm_panthor_vm_bind_op op = { 0 };
	struct drm_panthor_vm_bind bind = {
		.vm_id = self->vm,
		.ops = DRM_PANTHOR_OBJ_ARRAY(UINT32_MAX, &op),
	};

	KNOWN_C_DEFECT(&self->gpu, "a huge array makes the allocator warn");
	EXPECT_GT(0, CALL(VM_BIND, bind));
}

TEST_F(ioctl, bo_create_refuses_no_size_padding_unknown_flags_and_an_unknown_vm)
{
	static const struct drm_panthor_bo_create bad[] = {
		{ .size = 0 },
		{ .size = PAGE, .pad = 1 },
		{ .size = PAGE, .flags = 1 << 2 },
		{ .size = PAGE, .flags = 0x80000000u },
		{ .size = PAGE, .flags = DRM_PANTHOR_BO_NO_MMAP | DRM_PANTHOR_BO_WB_MMAP },
		{ .size = PAGE, .exclusive_vm_id = UNKNOWN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct drm_panthor_bo_create args = bad[i];

		EXPECT_EQ(-EINVAL, CALL(BO_CREATE, args)) {
			TH_LOG("case %zu", i);
		}
	}
}

TEST_F(ioctl, bo_create_refuses_sizes_that_no_machine_has)
{
	static const uint64_t sizes[] = {
		UINT64_MAX, UINT64_MAX - PAGE + 2, 1ull << 63, INT64_MAX,
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct drm_panthor_bo_create args = { .size = sizes[i] };

		EXPECT_GT(0, CALL(BO_CREATE, args)) {
			TH_LOG("size %llx", (unsigned long long)sizes[i]);
		}
	}
}

TEST_F(ioctl, bo_create_refuses_more_than_the_machine_has_memory)
{
	struct drm_panthor_bo_create args;
	struct sysinfo info;

	KNOWN_C_DEFECT(&self->gpu, "a buffer has any size");
	ASSERT_EQ(0, sysinfo(&info));
	for (uint64_t size = (uint64_t)info.totalram * info.mem_unit; size < 1ull << 45; size *= 2) {
		for (uint32_t flags = 0; flags <= DRM_PANTHOR_BO_NO_MMAP; flags++) {
			args = (struct drm_panthor_bo_create){ .size = size + PAGE, .flags = flags };
			EXPECT_EQ(-ENOMEM, CALL(BO_CREATE, args)) {
				TH_LOG("size %llx", (unsigned long long)args.size);
			}
		}
	}
	/* What could get its memory need not have it yet. */
	args = (struct drm_panthor_bo_create){ .size = (uint64_t)info.totalram * info.mem_unit / 2 };
	EXPECT_EQ(0, CALL(BO_CREATE, args));
	EXPECT_EQ(0, gem_close(&self->gpu, args.handle));
}

TEST_F(ioctl, bo_mmap_offset_refuses_padding_and_what_is_no_buffer)
{
	struct drm_panthor_bo_mmap_offset args = { .handle = self->bo.handle, .pad = 1 };

	EXPECT_EQ(-EINVAL, CALL(BO_MMAP_OFFSET, args));
	args = (struct drm_panthor_bo_mmap_offset){ .handle = UNKNOWN };
	EXPECT_EQ(-ENOENT, CALL(BO_MMAP_OFFSET, args));
	args = (struct drm_panthor_bo_mmap_offset){ .handle = 0 };
	EXPECT_EQ(-ENOENT, CALL(BO_MMAP_OFFSET, args));
}

TEST_F(ioctl, group_create_refuses_bad_queues)
{
	struct drm_panthor_csif_info csif;
	struct drm_panthor_group_create args;
	struct drm_panthor_queue_create queues[33] = { 0 };
	struct drm_panthor_queue_create bad[] = {
		{ .ringbuf_size = 0 },
		{ .ringbuf_size = PAGE / 2 },
		{ .ringbuf_size = PAGE + 8 },
		{ .ringbuf_size = 3 * PAGE },
		{ .ringbuf_size = 128 << 10 },
		{ .ringbuf_size = 0x80000000u },
		{ .ringbuf_size = PAGE, .priority = 16 },
		{ .ringbuf_size = PAGE, .priority = 255 },
		{ .ringbuf_size = PAGE, .pad = { 1 } },
		{ .ringbuf_size = PAGE, .pad = { 0, 0, 1 } },
	};

	ASSERT_EQ(0, gpu_csif(&self->gpu, &csif));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		args = group_args(&self->gpu, self->vm, &self->queue, 1, 0);
		args.queues.array = (uintptr_t)&bad[i];
		EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args)) {
			TH_LOG("case %zu", i);
		}
	}

	/* The last of several is looked at as well, and the others are given back. */
	args = group_args(&self->gpu, self->vm, queues, 3, 0);
	queues[2].ringbuf_size = 3 * PAGE;
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
	queues[2].ringbuf_size = PAGE;

	args = group_args(&self->gpu, self->vm, queues, 0, 0);
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
	args = group_args(&self->gpu, self->vm, queues, csif.cs_slot_count + 1, 0);
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
	args = group_args(&self->gpu, self->vm, queues, 33, 0);
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
	args.queues.count = UINT32_MAX;
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));

	args = group_args(&self->gpu, self->vm, queues, 1, 0);
	args.queues.stride = 4;
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
	args.queues.stride = sizeof(queues[0]);
	args.queues.array = 8;
	EXPECT_EQ(-EFAULT, CALL(GROUP_CREATE, args));
}

TEST_F(ioctl, group_create_refuses_cores_that_are_not_there)
{
	const struct drm_panthor_group_create good =
		group_args(&self->gpu, self->vm, &self->queue, 1, 0);
	struct drm_panthor_group_create args = good;
	struct drm_panthor_gpu_info info;

	ASSERT_EQ(0, gpu_info(&self->gpu, &info));
	args.compute_core_mask = ~0ull;
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
	args = good;
	args.fragment_core_mask |= ~info.shader_present & 0x8000000000000000ull;
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
	args = good;
	args.tiler_core_mask = info.tiler_present << 1;
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
	args = good;
	args.max_compute_cores++;
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
	args = good;
	args.max_fragment_cores = 255;
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
	args = good;
	args.max_tiler_cores++;
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
}

TEST_F(ioctl, group_create_refuses_padding_an_unknown_priority_and_an_unknown_vm)
{
	const struct drm_panthor_group_create good =
		group_args(&self->gpu, self->vm, &self->queue, 1, 0);
	struct drm_panthor_group_create args = good;

	args.pad = 1;
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
	args = good;
	args.priority = PANTHOR_GROUP_PRIORITY_REALTIME + 1;
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
	args = good;
	args.priority = 255;
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
	args = good;
	args.vm_id = UNKNOWN;
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
	args = good;
	args.vm_id = 0;
	EXPECT_EQ(-EINVAL, CALL(GROUP_CREATE, args));
}

TEST_F(ioctl, group_destroy_refuses_padding_and_what_is_no_group)
{
	struct drm_panthor_group_destroy args = { .group_handle = self->group, .pad = 1 };

	EXPECT_EQ(-EINVAL, CALL(GROUP_DESTROY, args));
	args = (struct drm_panthor_group_destroy){ .group_handle = 0 };
	EXPECT_EQ(-EINVAL, CALL(GROUP_DESTROY, args));
	args = (struct drm_panthor_group_destroy){ .group_handle = UNKNOWN };
	EXPECT_EQ(-EINVAL, CALL(GROUP_DESTROY, args));
}

TEST_F(ioctl, group_get_state_refuses_padding_and_what_is_no_group)
{
	struct drm_panthor_group_get_state args = { .group_handle = self->group, .pad = 1 };

	EXPECT_EQ(-EINVAL, CALL(GROUP_GET_STATE, args));
	args = (struct drm_panthor_group_get_state){ .group_handle = 0 };
	EXPECT_EQ(-EINVAL, CALL(GROUP_GET_STATE, args));
	args = (struct drm_panthor_group_get_state){ .group_handle = UNKNOWN };
	EXPECT_EQ(-EINVAL, CALL(GROUP_GET_STATE, args));
}

TEST_F(ioctl, group_submit_refuses_malformed_jobs)
{
	static const struct drm_panthor_queue_submit bad[] = {
		{ .pad = 1 },
		{ .queue_index = 1 },
		{ .queue_index = UINT32_MAX },
		{ .stream_size = 8 },
		{ .stream_addr = 0x1000000 },
		{ .stream_addr = 0x1000000, .stream_size = 4 },
		{ .stream_addr = 0x1000000, .stream_size = 12 },
		{ .stream_addr = 0x1000020, .stream_size = 8 },
		{ .stream_addr = 0x1000001, .stream_size = 8 },
		{ .stream_addr = 0x1000000, .stream_size = 8, .latest_flush = 1 << 24 },
		{ .stream_addr = 0x1000000, .stream_size = 8, .latest_flush = 1 << 30 },
		{ .latest_flush = 1 << 27 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct drm_panthor_queue_submit job = bad[i];

		EXPECT_EQ(-EINVAL, group_submit(&self->gpu, self->group, &job, 1)) {
			TH_LOG("case %zu", i);
		}
	}
}

TEST_F(ioctl, group_submit_refuses_padding_an_unknown_group_and_unreadable_arrays)
{
	struct drm_panthor_queue_submit job = { 0 };
	struct drm_panthor_group_submit args = {
		.group_handle = self->group,
		.pad = 1,
		.queue_submits = DRM_PANTHOR_OBJ_ARRAY(1, &job),
	};

	EXPECT_EQ(-EINVAL, CALL(GROUP_SUBMIT, args));
	args.pad = 0;
	args.group_handle = UNKNOWN;
	EXPECT_EQ(-EINVAL, CALL(GROUP_SUBMIT, args));
	args.group_handle = self->group;
	args.queue_submits.stride = 8;
	EXPECT_EQ(-EINVAL, CALL(GROUP_SUBMIT, args));
	args.queue_submits.stride = sizeof(job);
	args.queue_submits.array = 8;
	EXPECT_EQ(-EFAULT, CALL(GROUP_SUBMIT, args));
	args.queue_submits.array = (uintptr_t)&job;
	job.syncs = (struct drm_panthor_obj_array){ .stride = 4, .count = 1, .array = 8 };
	EXPECT_EQ(-EINVAL, CALL(GROUP_SUBMIT, args));
	job.syncs.stride = sizeof(struct drm_panthor_sync_op);
	EXPECT_EQ(-EFAULT, CALL(GROUP_SUBMIT, args));
}

/* The upper half of a handle is part of it. */
TEST_F(ioctl, group_submit_takes_the_whole_handle)
{
	KNOWN_C_DEFECT(&self->gpu, "GROUP_SUBMIT looks at 16 bits of the group handle only");
	EXPECT_EQ(-EINVAL, group_submit(&self->gpu, self->group | 0x10000,
					&(struct drm_panthor_queue_submit){ 0 }, 1));
}

TEST_F(ioctl, group_submit_refuses_more_jobs_than_buffers_have_room_for_their_fences)
{
	enum { MOST = 16384, MANY = 300000 };
	struct drm_panthor_queue_submit *jobs = calloc(MANY, sizeof(*jobs));

	KNOWN_C_DEFECT(&self->gpu, "many jobs make the allocator warn");
	ASSERT_NE(NULL, jobs);
	EXPECT_EQ(-EINVAL, group_submit(&self->gpu, self->group, jobs, MANY));
	EXPECT_EQ(-EINVAL, group_submit(&self->gpu, self->group, jobs, MOST + 1));
	EXPECT_EQ(0, group_submit(&self->gpu, self->group, jobs, MOST));
	free(jobs);
}

TEST_F(ioctl, vm_bind_refuses_more_jobs_than_buffers_have_room_for_their_fences)
{
	enum { MOST = 16384 };
	struct drm_panthor_vm_bind_op *ops = calloc(MOST + 1, sizeof(*ops));
	struct drm_panthor_sync_op signal = sync_signal_op(self->sync, 0);

	KNOWN_C_DEFECT(&self->gpu, "any number is taken");
	ASSERT_NE(NULL, ops);
	for (uint32_t i = 0; i <= MOST; i++)
		ops[i] = (struct drm_panthor_vm_bind_op){
			.flags = DRM_PANTHOR_VM_BIND_OP_TYPE_SYNC_ONLY,
			.syncs = DRM_PANTHOR_OBJ_ARRAY(1, &signal),
		};
	EXPECT_EQ(-EINVAL, vm_bind_async(&self->gpu, self->vm, ops, MOST + 1));
	EXPECT_EQ(0, vm_bind_async(&self->gpu, self->vm, ops, MOST));
	EXPECT_EQ(0, sync_wait(&self->gpu, self->sync, 0, PATIENCE));
	free(ops);
}

TEST_F(ioctl, group_submit_refuses_malformed_sync_operations)
{
	const struct drm_panthor_sync_op bad[] = {
		{ .handle = self->sync, .flags = 0x100 | DRM_PANTHOR_SYNC_OP_SIGNAL },
		{ .handle = self->sync, .flags = 0x40000000 },
		{ .handle = self->sync, .flags = 2 | DRM_PANTHOR_SYNC_OP_SIGNAL },
		{ .handle = self->sync, .flags = 0xff | DRM_PANTHOR_SYNC_OP_SIGNAL },
		{ .handle = self->sync, .flags = DRM_PANTHOR_SYNC_OP_SIGNAL, .timeline_value = 1 },
		{ .handle = self->sync, .flags = DRM_PANTHOR_SYNC_OP_WAIT, .timeline_value = 1 },
		/* There is no fence yet: no wait before submit. */
		{ .handle = self->sync, .flags = DRM_PANTHOR_SYNC_OP_WAIT },
		{ .handle = self->sync, .timeline_value = 5,
		  .flags = DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_TIMELINE_SYNCOBJ },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct drm_panthor_sync_op op = bad[i];
		struct drm_panthor_queue_submit job = {
			.syncs = DRM_PANTHOR_OBJ_ARRAY(1, &op),
		};

		EXPECT_EQ(-EINVAL, group_submit(&self->gpu, self->group, &job, 1)) {
			TH_LOG("case %zu", i);
		}
	}
}

TEST_F(ioctl, group_submit_refuses_to_wait_for_an_unknown_syncobj)
{
	struct drm_panthor_sync_op op = sync_wait_op(UNKNOWN, 0);
	struct drm_panthor_queue_submit job = { .syncs = DRM_PANTHOR_OBJ_ARRAY(1, &op) };
	int ret = group_submit(&self->gpu, self->group, &job, 1);

	EXPECT_TRUE(ret == -EINVAL || ret == -ENOENT);
}

TEST_F(ioctl, group_submit_refuses_to_signal_an_unknown_syncobj)
{
	struct drm_panthor_sync_op op = sync_signal_op(UNKNOWN, 0);
	struct drm_panthor_queue_submit job = { .syncs = DRM_PANTHOR_OBJ_ARRAY(1, &op) };
	int ret;

	KNOWN_C_DEFECT(&self->gpu, "a signal to an unknown syncobj is a NULL dereference");
	ret = group_submit(&self->gpu, self->group, &job, 1);
	EXPECT_TRUE(ret == -EINVAL || ret == -ENOENT);
	op = sync_signal_op(UNKNOWN, 1);
	ret = group_submit(&self->gpu, self->group, &job, 1);
	EXPECT_TRUE(ret == -EINVAL || ret == -ENOENT);
}

TEST_F(ioctl, group_submit_refuses_to_wait_for_what_only_a_later_job_signals)
{
	struct drm_panthor_sync_op wait = sync_wait_op(self->sync, 0);
	struct drm_panthor_sync_op signal = sync_signal_op(self->sync, 0);
	struct drm_panthor_queue_submit jobs[2] = {
		{ .syncs = DRM_PANTHOR_OBJ_ARRAY(1, &wait) },
		{ .syncs = DRM_PANTHOR_OBJ_ARRAY(1, &signal) },
	};

	KNOWN_C_DEFECT(&self->gpu, "a wait for what a later job signals is a kernel warning");
	EXPECT_EQ(-EINVAL, group_submit(&self->gpu, self->group, jobs, 2));
	EXPECT_EQ(-EINVAL, sync_wait(&self->gpu, self->sync, 0, 0));
}

TEST_F(ioctl, a_call_without_jobs_or_without_mappings_is_fine)
{
	struct drm_panthor_vm_bind bind = { .vm_id = self->vm };

	EXPECT_EQ(0, group_submit(&self->gpu, self->group, NULL, 0));
	EXPECT_EQ(0, CALL(VM_BIND, bind));
}

TEST_F(ioctl, handles_of_another_file_are_unknown_handles)
{
	struct gpu other;
	uint32_t state, fatal;
	uint64_t offset;

	ASSERT_EQ(0, gpu_open(&other));
	EXPECT_EQ(-EINVAL, vm_state(&other, self->vm, &state));
	EXPECT_EQ(-EINVAL, vm_destroy(&other, self->vm));
	EXPECT_EQ(-EINVAL, group_state(&other, self->group, &state, &fatal));
	EXPECT_EQ(-EINVAL, group_destroy(&other, self->group));
	EXPECT_EQ(-EINVAL, group_submit(&other, self->group,
					&(struct drm_panthor_queue_submit){ 0 }, 1));
	EXPECT_EQ(-ENOENT, bo_mmap_offset(&other, self->bo.handle, &offset));
	EXPECT_EQ(0, vm_state(&self->gpu, self->vm, &state));
	EXPECT_EQ(0, group_state(&self->gpu, self->group, &state, &fatal));
	gpu_close(&other);
}

TEST_F(ioctl, handles_can_be_given_back_once)
{
	uint32_t vm, group;
	struct bo bo;

	ASSERT_EQ(0, vm_create(&self->gpu, 0, &vm));
	ASSERT_EQ(0, group_create(&self->gpu, vm, 1, PANTHOR_GROUP_PRIORITY_LOW, &group));
	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, 0, &bo));
	EXPECT_EQ(0, group_destroy(&self->gpu, group));
	EXPECT_EQ(-EINVAL, group_destroy(&self->gpu, group));
	EXPECT_EQ(0, vm_destroy(&self->gpu, vm));
	EXPECT_EQ(-EINVAL, vm_destroy(&self->gpu, vm));
	EXPECT_EQ(0, gem_close(&self->gpu, bo.handle));
	EXPECT_EQ(-EINVAL, gem_close(&self->gpu, bo.handle));
}

TEST_F(ioctl, tiler_heap_create_refuses_numbers_out_of_range)
{
	const struct drm_panthor_tiler_heap_create good = {
		.vm_id = self->vm,
		.initial_chunk_count = 1,
		.chunk_size = 2 << 20,
		.max_chunks = 4,
		.target_in_flight = 65535,
	};
	struct drm_panthor_tiler_heap_create heap = good;
	struct drm_panthor_tiler_heap_destroy destroy = { 0 };
	int ret = CALL(TILER_HEAP_CREATE, heap);

	SKIP_IF_NOT_OFFERED(ret, "TILER_HEAP_CREATE");
	ASSERT_EQ(0, ret);
	EXPECT_NE(0, heap.handle);
	EXPECT_NE(0, heap.tiler_heap_ctx_gpu_va);
	EXPECT_NE(0, heap.first_heap_chunk_gpu_va);
	destroy.handle = heap.handle;

	heap = good;
	heap.vm_id = UNKNOWN;
	EXPECT_EQ(-EINVAL, CALL(TILER_HEAP_CREATE, heap));
	heap = good;
	heap.initial_chunk_count = 0;
	EXPECT_EQ(-EINVAL, CALL(TILER_HEAP_CREATE, heap));
	heap = good;
	heap.initial_chunk_count = 5;
	EXPECT_EQ(-EINVAL, CALL(TILER_HEAP_CREATE, heap));
	heap = good;
	heap.chunk_size = 64 << 10;
	EXPECT_EQ(-EINVAL, CALL(TILER_HEAP_CREATE, heap));
	heap = good;
	heap.chunk_size = 16 << 20;
	EXPECT_EQ(-EINVAL, CALL(TILER_HEAP_CREATE, heap));
	heap = good;
	heap.chunk_size = (2 << 20) + 64;
	EXPECT_EQ(-EINVAL, CALL(TILER_HEAP_CREATE, heap));

	destroy.pad = 1;
	EXPECT_EQ(-EINVAL, CALL(TILER_HEAP_DESTROY, destroy));
	destroy.pad = 0;
	EXPECT_EQ(0, CALL(TILER_HEAP_DESTROY, destroy));
	EXPECT_EQ(-EINVAL, CALL(TILER_HEAP_DESTROY, destroy));
}

TEST_HARNESS_MAIN
