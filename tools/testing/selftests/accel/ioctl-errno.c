// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Calls that are wrong: the documented errno, and nothing left behind. */
#include <stdlib.h>
#include <string.h>

#include "page.h"
#include "suite.h"

FIXTURE(wrong) {
	struct npu npu;
	struct npu_bo bo;
	struct drm_rocket_task task;
};

FIXTURE_SETUP(wrong)
{
	ASSERT_EQ(0, npu_open(&self->npu));
	ASSERT_EQ(0, npu_bo_create(&self->npu, 4096, &self->bo));
	self->task = (struct drm_rocket_task) { self->bo.iova, 2 };
}

FIXTURE_TEARDOWN(wrong)
{
	npu_bo_destroy(&self->bo);
	npu_close(&self->npu);
}

/* The errno of SUBMIT for one job of this structure size. */
static int submit_sized(struct npu *npu, const struct drm_rocket_job *job, uint32_t size)
{
	struct drm_rocket_submit args = {
		.jobs = (uintptr_t)job,
		.job_count = 1,
		.job_struct_size = size,
	};

	return npu_ioctl(npu->fd, DRM_IOCTL_ROCKET_SUBMIT, &args);
}

TEST_F(wrong, a_buffer_of_no_size_is_invalid)
{
	struct drm_rocket_create_bo args = { 0 };

	KNOWN_C_DEFECT("an empty buffer is refused as if there were no room");
	EXPECT_EQ(-EINVAL, npu_ioctl(self->npu.fd, DRM_IOCTL_ROCKET_CREATE_BO, &args));
	EXPECT_EQ(0, args.handle);
}

/* With a handle it is no new buffer, but a question: where one is. The C driver looks at the size only. */
TEST_F(wrong, a_size_of_zero_makes_no_buffer)
{
	struct drm_rocket_create_bo args = { .handle = self->bo.handle };
	struct drm_rocket_create_bo unknown = { .handle = 99 };
	bool asks = !npu_is_c_driver();

	EXPECT_EQ(asks ? 0 : -ENOSPC, npu_ioctl(self->npu.fd, DRM_IOCTL_ROCKET_CREATE_BO, &args));
	EXPECT_EQ(self->bo.handle, args.handle);
	EXPECT_EQ(asks ? self->bo.iova : 0, args.dma_address);
	EXPECT_EQ(asks ? cpu_page() : 0, args.size);
	EXPECT_EQ(asks ? -ENOENT : -ENOSPC,
		  npu_ioctl(self->npu.fd, DRM_IOCTL_ROCKET_CREATE_BO, &unknown));
	EXPECT_EQ(99, unknown.handle);
}

TEST_F(wrong, prep_and_fini_of_an_unknown_handle_find_nothing)
{
	struct drm_rocket_prep_bo prep = { .handle = 99 };
	struct drm_rocket_fini_bo fini = { .handle = 99 };

	EXPECT_EQ(-ENOENT, npu_ioctl(self->npu.fd, DRM_IOCTL_ROCKET_PREP_BO, &prep));
	EXPECT_EQ(-ENOENT, npu_ioctl(self->npu.fd, DRM_IOCTL_ROCKET_FINI_BO, &fini));
	prep.handle = 0;
	fini.handle = 0;
	EXPECT_EQ(-ENOENT, npu_ioctl(self->npu.fd, DRM_IOCTL_ROCKET_PREP_BO, &prep));
	EXPECT_EQ(-ENOENT, npu_ioctl(self->npu.fd, DRM_IOCTL_ROCKET_FINI_BO, &fini));
}

TEST_F(wrong, reserved_fields_have_to_be_zero)
{
	struct drm_rocket_prep_bo prep = { .handle = self->bo.handle, .reserved = 1 };
	struct drm_rocket_fini_bo fini = { .handle = self->bo.handle, .reserved = 1 };
	struct drm_rocket_job job = npu_job(&self->task, 1, NULL, NULL);
	struct drm_rocket_submit submit = {
		.jobs = (uintptr_t)&job,
		.job_count = 1,
		.job_struct_size = sizeof(job),
		.reserved = 1,
	};

	EXPECT_EQ(-EINVAL, npu_ioctl(self->npu.fd, DRM_IOCTL_ROCKET_PREP_BO, &prep));
	EXPECT_EQ(-EINVAL, npu_ioctl(self->npu.fd, DRM_IOCTL_ROCKET_FINI_BO, &fini));
	EXPECT_EQ(-EINVAL, npu_ioctl(self->npu.fd, DRM_IOCTL_ROCKET_SUBMIT, &submit));
}

TEST_F(wrong, no_job_at_all_is_fine)
{
	EXPECT_EQ(0, npu_submit(&self->npu, NULL, 0));
}

TEST_F(wrong, a_job_structure_that_is_too_small_is_invalid)
{
	struct drm_rocket_job job = npu_job(&self->task, 1, NULL, NULL);

	EXPECT_EQ(-EINVAL, submit_sized(&self->npu, &job, 0));
	EXPECT_EQ(-EINVAL, submit_sized(&self->npu, &job, sizeof(job) - 1));
}

TEST_F(wrong, jobs_that_cannot_be_read_are_a_fault)
{
	EXPECT_EQ(-EFAULT, npu_submit(&self->npu, (void *)64, 1));
}

TEST_F(wrong, a_larger_structure_is_fine_while_the_rest_is_zero)
{
	struct {
		struct drm_rocket_job job;
		uint64_t more;
	} large = { npu_job(&self->task, 1, NULL, NULL), 1 };

	KNOWN_C_DEFECT("what it does not know of a structure is ignored");
	EXPECT_EQ(-E2BIG, submit_sized(&self->npu, &large.job, sizeof(large)));
}

/* The C driver returns 0 whatever became of the jobs. */
TEST_F(wrong, a_job_that_is_wrong_fails_the_call)
{
	struct drm_rocket_job none = npu_job(&self->task, 0, NULL, NULL);
	struct drm_rocket_job small = npu_job(&self->task, 1, NULL, NULL);
	struct drm_rocket_job far = npu_job((void *)64, 1, NULL, NULL);
	struct drm_rocket_job unknown = npu_job(&self->task, 1, NULL, NULL);
	struct drm_rocket_task empty = { self->bo.iova, 0 };
	struct drm_rocket_job wordless = npu_job(&empty, 1, NULL, NULL);
	uint32_t handle = 99;

	KNOWN_C_DEFECT("errors of single jobs are dropped");
	small.task_struct_size--;
	unknown.out_bo_handles = (uintptr_t)&handle;
	unknown.out_bo_handle_count = 1;
	EXPECT_EQ(-EINVAL, npu_submit(&self->npu, &none, 1));
	EXPECT_EQ(-EINVAL, npu_submit(&self->npu, &small, 1));
	EXPECT_EQ(-EFAULT, npu_submit(&self->npu, &far, 1));
	EXPECT_EQ(-ENOENT, npu_submit(&self->npu, &unknown, 1));
	EXPECT_EQ(-EINVAL, npu_submit(&self->npu, &wordless, 1));
}

TEST_F(wrong, counts_that_overflow_are_invalid)
{
	struct drm_rocket_job job = npu_job(&self->task, 1, NULL, NULL);

	KNOWN_C_DEFECT("errors of single jobs are dropped");
	job.in_bo_handle_count = 0x80000000;
	job.out_bo_handle_count = 0x80000000;
	EXPECT_EQ(-EINVAL, npu_submit(&self->npu, &job, 1));
}

TEST_F(wrong, a_buffer_beyond_the_address_space_finds_no_room)
{
	struct drm_rocket_create_bo args = { .size = 0xfffff000 };

	KNOWN_C_DEFECT("sizes of 2 GiB and more are taken for negative");
	EXPECT_EQ(-ENOSPC, npu_ioctl(self->npu.fd, DRM_IOCTL_ROCKET_CREATE_BO, &args));
}

/* A buffer has to have room for the fences of all of them. */
TEST_F(wrong, more_jobs_than_a_call_may_have_are_invalid)
{
	enum { MOST = 4096 };
	struct drm_rocket_job *jobs = calloc(MOST + 1, sizeof(*jobs));

	KNOWN_C_DEFECT("any number is taken");
	ASSERT_NE(NULL, jobs);
	for (uint32_t i = 0; i <= MOST; i++)
		jobs[i] = npu_job(&self->task, 1, &self->bo, NULL);
	EXPECT_EQ(-EINVAL, npu_submit(&self->npu, jobs, MOST + 1));
	free(jobs);
}

TEST_F(wrong, unknown_ioctls_are_refused)
{
	EXPECT_EQ(-EINVAL, npu_ioctl(self->npu.fd, DRM_IO(DRM_COMMAND_BASE + 0x04), NULL));
}

TEST_HARNESS_MAIN
