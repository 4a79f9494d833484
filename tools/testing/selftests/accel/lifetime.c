// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Files, processes and modules that go while others still hold on to them. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "cores.h"
#include "module.h"
#include "suite.h"

/* A file with a job on it that takes a while, and names all that it uses. */
static int start(struct npu *npu, struct layer *layer, struct loaded *loaded)
{
	struct lists lists;
	struct drm_rocket_job job;
	uint32_t reads[4];
	int ret = npu_open(npu);

	layer_generate(layer, 1, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	ret = ret ?: lists_create(npu, &lists);
	ret = ret ?: layer_load(npu, layer, loaded);
	if (ret)
		return ret;
	lists_add(&lists, layer, loaded);
	munmap(lists.bo.map, lists.bo.size);
	job = npu_job(lists.tasks, 1, NULL, &loaded->output);
	reads[0] = loaded->input.handle;
	reads[1] = loaded->weights.handle;
	reads[2] = loaded->bias.handle;
	reads[3] = lists.bo.handle;
	job.in_bo_handles = (uintptr_t)reads;
	job.in_bo_handle_count = 4;
	return npu_submit(npu, &job, 1);
}

/* What everybody else sees afterwards: a device that works. */
static void expect_working(struct __test_metadata *_metadata)
{
	struct npu npu;
	struct layer layer;
	struct loaded loaded;

	hwmodel_inject("clear");
	ASSERT_EQ(0, start(&npu, &layer, &loaded));
	EXPECT_GE(1, (uint32_t)layer_check(&layer, &loaded));
	layer_unload(&loaded);
	layer_free(&layer);
	npu_close(&npu);
}

/* The C driver frees the address space that the job's buffers are in. */
TEST(a_file_may_close_while_its_jobs_run)
{
	struct npu npu;
	struct layer layer;
	struct loaded loaded;

	NEEDS_MODEL();
	KNOWN_C_DEFECT("a buffer that outlives its file uses what the file has freed");
	ASSERT_EQ(0, hwmodel_inject("npu delay 100000000"));
	ASSERT_EQ(0, start(&npu, &layer, &loaded));
	munmap(loaded.input.map, loaded.input.size);
	npu_close(&npu);
	layer_free(&layer);
	expect_working(_metadata);
}

TEST(a_process_may_die_while_its_jobs_run)
{
	int status;
	pid_t child;

	NEEDS_MODEL();
	KNOWN_C_DEFECT("a buffer that outlives its file uses what the file has freed");
	ASSERT_EQ(0, hwmodel_inject("npu delay 100000000"));
	child = fork();
	if (!child) {
		struct npu npu;
		struct layer layer;
		struct loaded loaded;

		if (start(&npu, &layer, &loaded))
			_exit(1);
		raise(SIGKILL);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	expect_working(_metadata);
}

/* The C driver frees the address space that the buffer is in. */
TEST(an_exported_buffer_outlives_its_file)
{
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC };
	uint8_t *map, *got, *want;
	struct loaded loaded;
	struct layer layer;
	struct npu npu;
	int fence;

	NEEDS_MODEL();
	KNOWN_C_DEFECT("a buffer that outlives its file uses what the file has freed");
	ASSERT_EQ(0, hwmodel_inject("npu delay 200000000"));
	ASSERT_EQ(0, start(&npu, &layer, &loaded));
	prime.handle = loaded.output.handle;
	ASSERT_EQ(0, npu_ioctl(npu.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime));
	fence = npu_bo_fence(&loaded.output);
	ASSERT_LE(0, fence);
	for (struct npu_bo *bo = &loaded.input; bo <= &loaded.output; bo++)
		munmap(bo->map, bo->size);
	npu_close(&npu);
	EXPECT_EQ(1, fence_wait(fence));
	map = mmap(NULL, loaded.output.size, PROT_READ, MAP_SHARED, prime.fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)map);
	got = layer_unpack_output(&layer, map);
	want = layer_reference(&layer);
	EXPECT_GE(1, distance(got, want, layer.out.width * layer.out.height * layer.out.channels));
	if (module_path())
		EXPECT_EQ(-EAGAIN, module_unload(driver_name()));
	munmap(map, loaded.output.size);
	close(prime.fd);
	expect_working(_metadata);
	if (module_path()) {
		EXPECT_EQ(0, module_unload(driver_name()));
		ASSERT_EQ(0, module_load(module_path()));
	}
	free(got);
	free(want);
	layer_free(&layer);
}

TEST(a_core_sleeps_when_there_is_nothing_to_do_and_wakes_for_the_next_job)
{
	for (uint32_t i = 0; i < 3; i++) {
		expect_working(_metadata);
		/* Longer than the driver keeps an idle core awake. */
		usleep(300000);
	}
}

TEST_HARNESS_MAIN
