// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Buffers: their content, their addresses, their owners. */
#include <string.h>

#include "page.h"
#include "suite.h"

FIXTURE(bo) {
	struct npu npu;
};

FIXTURE_SETUP(bo)
{
	ASSERT_EQ(0, npu_open(&self->npu));
}

FIXTURE_TEARDOWN(bo)
{
	npu_close(&self->npu);
}

TEST_F(bo, a_new_buffer_is_zeroed_and_keeps_what_is_written)
{
	struct npu_bo bo;

	ASSERT_EQ(0, npu_bo_create(&self->npu, 3 * cpu_page() + 1, &bo));
	for (uint32_t i = 0; i < bo.size; i++)
		ASSERT_EQ(0, bo.map[i]);
	ASSERT_EQ(0, npu_bo_prep(&bo, PATIENCE));
	memset(bo.map, 0xa5, bo.size);
	ASSERT_EQ(0, npu_bo_fini(&bo));
	ASSERT_EQ(0, npu_bo_prep(&bo, PATIENCE));
	EXPECT_EQ(0xa5, bo.map[0]);
	EXPECT_EQ(0xa5, bo.map[bo.size - 1]);
	npu_bo_destroy(&bo);
}

TEST_F(bo, addresses_are_page_aligned_and_do_not_overlap)
{
	struct npu_bo bos[8];

	for (uint32_t i = 0; i < 8; i++) {
		ASSERT_EQ(0, npu_bo_create(&self->npu, cpu_page() * (i + 1) - 100, &bos[i]));
		EXPECT_EQ(0, bos[i].iova % cpu_page());
		for (uint32_t j = 0; j < i; j++)
			EXPECT_TRUE(bos[i].iova + bos[i].size <= bos[j].iova ||
				    bos[j].iova + bos[j].size <= bos[i].iova);
	}
	for (uint32_t i = 0; i < 8; i++)
		npu_bo_destroy(&bos[i]);
}

/* By rule F7: nothing of a buffer that has gone is left in the address space. */
TEST_F(bo, an_address_can_be_used_again_when_its_buffer_is_gone)
{
	struct npu_bo first, second;
	uint32_t iova;

	ASSERT_EQ(0, npu_bo_create(&self->npu, 1 << 20, &first));
	iova = first.iova;
	npu_bo_destroy(&first);
	ASSERT_EQ(0, npu_bo_create(&self->npu, 1 << 20, &second));
	EXPECT_EQ(iova, second.iova);
	npu_bo_destroy(&second);
}

TEST_F(bo, handles_and_addresses_belong_to_their_file)
{
	struct npu other;
	struct npu_bo mine, theirs;

	ASSERT_EQ(0, npu_open(&other));
	ASSERT_EQ(0, npu_bo_create(&self->npu, 4096, &mine));
	theirs = mine;
	theirs.npu = &other;
	theirs.handle += 1000;
	EXPECT_EQ(-ENOENT, npu_bo_prep(&theirs, 0));
	ASSERT_EQ(0, npu_bo_create(&other, 4096, &theirs));
	/* Each file's addresses begin anew. */
	EXPECT_EQ(mine.iova, theirs.iova);
	theirs.map[0] = 1;
	EXPECT_EQ(0, mine.map[0]);
	npu_bo_destroy(&theirs);
	npu_bo_destroy(&mine);
	npu_close(&other);
}

TEST_F(bo, a_mapping_outlives_its_handle_and_its_file)
{
	struct npu_bo bo;
	struct drm_gem_close args;

	ASSERT_EQ(0, npu_bo_create(&self->npu, 4096, &bo));
	bo.map[5] = 42;
	args = (struct drm_gem_close) { .handle = bo.handle };
	ASSERT_EQ(0, npu_ioctl(self->npu.fd, DRM_IOCTL_GEM_CLOSE, &args));
	EXPECT_EQ(42, bo.map[5]);
	EXPECT_EQ(-ENOENT, npu_bo_prep(&bo, 0));
}

TEST_F(bo, nobody_waits_for_an_idle_buffer)
{
	struct npu_bo bo;

	ASSERT_EQ(0, npu_bo_create(&self->npu, 4096, &bo));
	/* Time that is up already is enough. */
	EXPECT_EQ(0, npu_bo_prep(&bo, 0));
	npu_bo_destroy(&bo);
}

TEST_F(bo, an_exported_buffer_comes_back_as_itself)
{
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC };
	struct npu_bo bo;
	uint32_t handle;

	ASSERT_EQ(0, npu_bo_create(&self->npu, 4096, &bo));
	handle = prime.handle = bo.handle;
	ASSERT_EQ(0, npu_ioctl(self->npu.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime));
	prime.handle = 0;
	ASSERT_EQ(0, npu_ioctl(self->npu.fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime));
	EXPECT_EQ(handle, prime.handle);
	close(prime.fd);
	npu_bo_destroy(&bo);
}

/* Its address is one of another address space, so it would be of no use. */
TEST_F(bo, a_buffer_of_another_file_is_not_for_jobs)
{
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC };
	struct npu other;
	struct npu_bo bo;
	struct drm_rocket_task task;
	struct drm_rocket_job job;

	KNOWN_C_DEFECT("a buffer may be named whose address means something else here");
	ASSERT_EQ(0, npu_open(&other));
	ASSERT_EQ(0, npu_bo_create(&other, 4096, &bo));
	prime.handle = bo.handle;
	ASSERT_EQ(0, npu_ioctl(other.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime));
	ASSERT_EQ(0, npu_ioctl(self->npu.fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime));
	task = (struct drm_rocket_task) { bo.iova, 2 };
	job = npu_job(&task, 1, NULL, NULL);
	job.in_bo_handles = (uintptr_t)&prime.handle;
	job.in_bo_handle_count = 1;
	EXPECT_EQ(-EINVAL, npu_submit(&self->npu, &job, 1));
	close(prime.fd);
	npu_bo_destroy(&bo);
	npu_close(&other);
}

/* The C driver frees the file's address space under the buffer. */
TEST_F(bo, an_exported_buffer_outlives_its_file)
{
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC };
	struct npu other;
	struct npu_bo bo;

	KNOWN_C_DEFECT("a buffer that outlives its file uses what the file has freed");
	ASSERT_EQ(0, npu_open(&other));
	ASSERT_EQ(0, npu_bo_create(&other, 4096, &bo));
	prime.handle = bo.handle;
	ASSERT_EQ(0, npu_ioctl(other.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime));
	npu_bo_destroy(&bo);
	npu_close(&other);
	EXPECT_EQ(cpu_page(), lseek(prime.fd, 0, SEEK_END));
	close(prime.fd);
}

TEST_HARNESS_MAIN
