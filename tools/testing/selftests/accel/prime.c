// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Buffers that others have made, as the test module exporter.ko makes them: with DMA addresses and
 * without pages, and some that no importer can use.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "foreign.h"
#include "page.h"
#include "suite.h"

FIXTURE(prime) {
	struct npu npu;
	struct lists lists;
	struct layer layer;
	struct loaded loaded;
};

FIXTURE_SETUP(prime)
{
	KNOWN_C_DEFECT("buffers of other devices cannot be imported");
	if (exporter_info().buffers || access(EXPORTER_NODE, F_OK))
		SKIP(return, "needs exporter.ko");
	ASSERT_EQ(0, npu_open(&self->npu));
	ASSERT_EQ(0, lists_create(&self->npu, &self->lists));
	layer_generate(&self->layer, 7, false, (struct shape){ 16, 16, 32 }, 32, 3, 1, 1);
	ASSERT_EQ(0, layer_load(&self->npu, &self->layer, &self->loaded));
}

FIXTURE_TEARDOWN(prime)
{
	layer_unload(&self->loaded);
	layer_free(&self->layer);
	lists_destroy(&self->lists);
	npu_close(&self->npu);
	/* Jobs are freed by a worker. */
	for (uint32_t i = 0; i < 500 && exporter_info().buffers; i++)
		usleep(10000);
	EXPECT_EQ(0, exporter_info().mapped);
	EXPECT_EQ(0, exporter_info().attached);
	EXPECT_EQ(0, exporter_info().buffers);
}

/* The handle of a dma-buf, which is closed. */
static int import(const struct npu *npu, int fd, uint32_t *handle)
{
	struct drm_prime_handle args = { .fd = fd };
	int ret = fd < 0 ? fd : npu_ioctl(npu->fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);

	if (fd >= 0)
		close(fd);
	*handle = args.handle;
	return ret;
}

static int locate(const struct npu *npu, uint32_t handle, struct drm_rocket_create_bo *args)
{
	*args = (struct drm_rocket_create_bo){ .handle = handle };
	return npu_ioctl(npu->fd, DRM_IOCTL_ROCKET_CREATE_BO, args);
}

/* Puts a buffer of somebody else in the place of one of ours. */
static int replace(const struct npu *npu, struct npu_bo *bo)
{
	uint32_t page = cpu_page(), size = (bo->size + page - 1) / page * page, handle;
	struct drm_rocket_create_bo args;
	int ret = import(npu, exporter_buffer_with(size, 0), &handle);

	ret = ret ?: locate(npu, handle, &args);
	if (ret)
		return ret;
	if (args.size != size || args.handle != handle || args.dma_address % page)
		return -EPROTO;
	npu_bo_destroy(bo);
	*bo = (struct npu_bo){ .npu = npu, .handle = handle, .size = size, .iova = args.dma_address };
	bo->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, npu->fd, args.offset);
	return bo->map == MAP_FAILED ? -errno : 0;
}

static int run(struct npu *npu, struct lists *lists, const struct layer *layer,
	       const struct loaded *loaded)
{
	struct drm_rocket_job job;
	int ret;

	lists->count = 0;
	lists_add(lists, layer, loaded);
	job = npu_job(lists->tasks, 1, &loaded->input, &loaded->output);
	ret = npu_submit(npu, &job, 1);
	return ret ?: layer_check(layer, loaded);
}

TEST_F(prime, a_job_reads_a_buffer_of_somebody_else)
{
	ASSERT_EQ(0, replace(&self->npu, &self->loaded.input));
	layer_pack_input(&self->layer, self->loaded.input.map);
	ASSERT_EQ(0, npu_bo_fini(&self->loaded.input));
	EXPECT_GE(1, (uint32_t)run(&self->npu, &self->lists, &self->layer, &self->loaded));
}

TEST_F(prime, a_job_writes_a_buffer_of_somebody_else)
{
	ASSERT_EQ(0, replace(&self->npu, &self->loaded.output));
	EXPECT_GE(1, (uint32_t)run(&self->npu, &self->lists, &self->layer, &self->loaded));
}

/* Whoever has made the buffer may keep the CPU out of it: nobody looks whether the lists are chained. */
TEST_F(prime, chained_lists_in_a_buffer_of_somebody_else_run_one_by_one)
{
	const uint32_t count = 20, size = count * LIST_WORDS * sizeof(uint64_t);
	struct hwmodel_counters before;
	struct drm_rocket_job job;
	struct chain chain;

	NEEDS_MODEL();
	ASSERT_EQ(0, npu_bo_create(&self->npu, size, &chain.bo));
	ASSERT_EQ(0, replace(&self->npu, &chain.bo));
	ASSERT_EQ(0, chain_write(&self->layer, &self->loaded, count, true, &chain));
	ASSERT_EQ(0, hwmodel_read(&before));
	memset(self->loaded.output.map, 0x55, self->loaded.output.size);
	job = npu_job(chain.tasks, count, &self->loaded.input, &self->loaded.output);
	ASSERT_EQ(0, npu_submit(&self->npu, &job, 1));
	EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded));
	EXPECT_EQ(count, hwmodel_since(&before, "npu_kick"));
	chain_destroy(&chain);
	/* Where it was there is memory of ours now, which is looked at. */
	ASSERT_EQ(0, chain_create(&self->npu, &self->layer, &self->loaded, count, true, &chain));
	ASSERT_EQ(0, hwmodel_read(&before));
	job = npu_job(chain.tasks, count, &self->loaded.input, &self->loaded.output);
	ASSERT_EQ(0, npu_submit(&self->npu, &job, 1));
	EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded));
	EXPECT_EQ(1, hwmodel_since(&before, "npu_kick"));
	chain_destroy(&chain);
}

TEST_F(prime, a_buffer_has_one_address_however_often_one_asks)
{
	struct drm_rocket_create_bo first, second;
	uint32_t handle;

	ASSERT_EQ(0, locate(&self->npu, self->loaded.bias.handle, &first));
	EXPECT_EQ(self->loaded.bias.iova, first.dma_address);
	ASSERT_EQ(0, import(&self->npu, exporter_buffer_with(2 * cpu_page(), 0), &handle));
	ASSERT_EQ(0, locate(&self->npu, handle, &first));
	ASSERT_EQ(0, locate(&self->npu, handle, &second));
	EXPECT_EQ(0, memcmp(&first, &second, sizeof(first)));
	EXPECT_EQ(-ENOENT, locate(&self->npu, 4711, &first));
	EXPECT_EQ(-EINVAL, locate(&self->npu, 0, &first));
}

/* Each file has an address space of its own. */
TEST_F(prime, two_files_import_the_same_buffer)
{
	struct drm_rocket_create_bo args;
	uint32_t handle, theirs;
	struct npu other;
	int fd = exporter_buffer_with(2 * cpu_page(), 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, npu_open(&other));
	ASSERT_EQ(0, import(&self->npu, dup(fd), &handle));
	ASSERT_EQ(0, import(&other, fd, &theirs));
	ASSERT_EQ(0, locate(&self->npu, handle, &args));
	ASSERT_EQ(0, locate(&other, theirs, &args));
	EXPECT_EQ(0, args.dma_address);
	npu_close(&other);
	EXPECT_EQ(1, exporter_info().mapped);
}

TEST_F(prime, a_job_cannot_name_a_buffer_without_an_address)
{
	struct npu_bo foreign = { .npu = &self->npu };
	struct drm_rocket_create_bo args;
	struct drm_rocket_job job;

	lists_add(&self->lists, &self->layer, &self->loaded);
	ASSERT_EQ(0, import(&self->npu, exporter_buffer_with(cpu_page(), 0), &foreign.handle));
	job = npu_job(self->lists.tasks, 1, &foreign, &self->loaded.output);
	EXPECT_EQ(-EINVAL, npu_submit(&self->npu, &job, 1));
	EXPECT_EQ(0, npu_bo_prep(&foreign, -1));
	EXPECT_EQ(0, npu_bo_fini(&foreign));
	ASSERT_EQ(0, locate(&self->npu, foreign.handle, &args));
	job.out_bo_handle_count = 1;
	EXPECT_EQ(0, npu_submit(&self->npu, &job, 1));
	EXPECT_EQ(0, npu_bo_prep(&foreign, PATIENCE));
	EXPECT_EQ(0, npu_bo_prep(&self->loaded.output, PATIENCE));
}

TEST_F(prime, what_cannot_be_right_is_refused)
{
	uint32_t handle;

	EXPECT_EQ(-EINVAL, import(&self->npu, exporter_buffer_with(2 * cpu_page(), EXPORTER_SHORT), &handle));
	EXPECT_EQ(-EINVAL, import(&self->npu, exporter_buffer_with(2 * cpu_page(), EXPORTER_UNALIGNED), &handle));
	EXPECT_EQ(-EINVAL, import(&self->npu, exporter_buffer_with(2 * cpu_page(), EXPORTER_EMPTY), &handle));
	EXPECT_EQ(-ENODEV, import(&self->npu, exporter_buffer_with(2 * cpu_page(), EXPORTER_GONE), &handle));
	EXPECT_EQ(-EINVAL, import(&self->npu, exporter_buffer_with(5000, 0), &handle));
	EXPECT_EQ(0, exporter_info().mapped);
}

/* The file goes while the job is under way: the exporter gets its buffer back after that. */
TEST_F(prime, a_job_keeps_the_buffer_when_its_file_goes)
{
	struct drm_rocket_job job;
	uint32_t reads[4];

	NEEDS_MODEL();
	ASSERT_EQ(0, replace(&self->npu, &self->loaded.input));
	lists_add(&self->lists, &self->layer, &self->loaded);
	job = npu_job(self->lists.tasks, 1, NULL, &self->loaded.output);
	reads[0] = self->loaded.input.handle;
	reads[1] = self->loaded.weights.handle;
	reads[2] = self->loaded.bias.handle;
	reads[3] = self->lists.bo.handle;
	job.in_bo_handles = (uintptr_t)reads;
	job.in_bo_handle_count = 4;
	ASSERT_EQ(0, hwmodel_inject("npu delay 200000000"));
	ASSERT_EQ(0, npu_submit(&self->npu, &job, 1));
	layer_unload(&self->loaded);
	lists_destroy(&self->lists);
	close(self->npu.fd);
	EXPECT_EQ(1, exporter_info().mapped);
	for (uint32_t i = 0; i < 500 && exporter_info().buffers; i++)
		usleep(10000);
	EXPECT_EQ(0, exporter_info().mapped);
	ASSERT_EQ(0, hwmodel_inject("clear"));
	self->npu.fd = -1;
}

/* Imports the same buffer time and again, each time for one job that outlives the handle. */
static int come_and_go(struct npu *npu, struct drm_rocket_job *job, struct npu_bo *foreign, int fd,
		       uint32_t rounds)
{
	int ret = 0;

	while (rounds-- && !ret) {
		struct drm_rocket_create_bo args;

		*foreign = (struct npu_bo){ .npu = npu };
		ret = import(npu, dup(fd), &foreign->handle);
		ret = ret ?: locate(npu, foreign->handle, &args);
		ret = ret ?: npu_submit(npu, job, 1);
		npu_bo_destroy(foreign);
	}
	return ret;
}

/*
 * The exporter is called with its buffer locked. Whoever submits a job has it locked as well, and must not be the one who
 * gives an earlier import of it back.
 */
TEST_F(prime, a_buffer_goes_back_and_comes_again_without_end)
{
	struct npu_bo foreign = { .npu = &self->npu };
	struct drm_rocket_create_bo args;
	struct drm_rocket_job job;
	int fd, status = -1;
	pid_t child, done = 0;

	fd = exporter_buffer_with(2 * cpu_page(), 0);
	ASSERT_LE(0, fd);
	lists_add(&self->lists, &self->layer, &self->loaded);
	job = npu_job(self->lists.tasks, 1, &foreign, NULL);
	/* Who waits for himself can't be killed, but left. */
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(come_and_go(&self->npu, &job, &foreign, fd, 500) ? 1 : 0);
	for (uint32_t i = 0; i < 2000 && !done; i++) {
		done = waitpid(child, &status, WNOHANG);
		usleep(10000);
	}
	ASSERT_EQ(child, done);
	EXPECT_EQ(0, status);
	/* Who writes to the buffer waits for all who have read it. */
	ASSERT_EQ(0, import(&self->npu, fd, &foreign.handle));
	ASSERT_EQ(0, locate(&self->npu, foreign.handle, &args));
	job = npu_job(self->lists.tasks, 1, NULL, &foreign);
	ASSERT_EQ(0, npu_submit(&self->npu, &job, 1));
	EXPECT_EQ(0, npu_bo_prep(&foreign, PATIENCE));
	npu_bo_destroy(&foreign);
}

TEST_HARNESS_MAIN
