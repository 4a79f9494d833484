// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Jobs, tasks and layers: that the NPU calculates what was asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

FIXTURE(submit) {
	struct npu npu;
	struct lists lists;
	struct hwmodel_counters before;
};

FIXTURE_SETUP(submit)
{
	ASSERT_EQ(0, npu_open(&self->npu));
	ASSERT_EQ(0, lists_create(&self->npu, &self->lists));
	hwmodel_read(&self->before);
}

FIXTURE_TEARDOWN(submit)
{
	lists_destroy(&self->lists);
	npu_close(&self->npu);
}

/* The distance of a layer's result from its reference, or a negative errno. */
static int run(struct npu *npu, struct lists *lists, const struct layer *layer)
{
	struct loaded loaded;
	struct drm_rocket_job job;
	int ret = layer_load(npu, layer, &loaded);

	if (ret)
		return ret;
	lists->count = 0;
	lists_add(lists, layer, &loaded);
	job = npu_job(lists->tasks, 1, &loaded.input, &loaded.output);
	ret = npu_submit(npu, &job, 1);
	if (!ret)
		ret = layer_check(layer, &loaded);
	layer_unload(&loaded);
	return ret;
}

static const struct {
	bool depthwise;
	struct shape in;
	uint32_t out, kernel, stride, pad;
} shapes[] = {
	{ false, { 8, 8, 16 }, 16, 1, 1, 0 },
	{ false, { 8, 8, 32 }, 32, 3, 1, 1 },
	{ false, { 13, 9, 3 }, 24, 3, 2, 1 },
	{ false, { 5, 5, 48 }, 40, 3, 1, 0 },
	{ false, { 4, 4, 80 }, 70, 1, 1, 0 },
	{ true, { 8, 8, 32 }, 0, 3, 1, 1 },
	{ true, { 9, 9, 64 }, 0, 3, 2, 1 },
	{ true, { 6, 6, 96 }, 0, 3, 1, 1 },
};

TEST_F(submit, convolutions_and_depthwise_convolutions_are_within_one_of_their_definition)
{
	for (uint32_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct layer layer;
		int ret;

		layer_generate(&layer, i + 1, shapes[i].depthwise, shapes[i].in, shapes[i].out,
			       shapes[i].kernel, shapes[i].stride, shapes[i].pad);
		ret = run(&self->npu, &self->lists, &layer);
		EXPECT_TRUE(ret == 0 || ret == 1) {
			TH_LOG("shape %u: %d", i, ret);
		}
		layer_free(&layer);
	}
}

/* The element-wise operation that clients use: a convolution to whose result another one's is added. */
TEST_F(submit, a_layer_that_adds_a_tensor_is_within_one_of_its_definition)
{
	for (uint32_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct layer layer;
		uint8_t *added, *plain;
		int ret;

		layer_generate(&layer, i + 1, shapes[i].depthwise, shapes[i].in, shapes[i].out,
			       shapes[i].kernel, shapes[i].stride, shapes[i].pad);
		plain = layer_reference(&layer);
		layer_generate_add(&layer, i + 50);
		added = layer_reference(&layer);
		EXPECT_LT(20, distance(plain, added,
				       layer.out.width * layer.out.height * layer.out.channels));
		ret = run(&self->npu, &self->lists, &layer);
		EXPECT_TRUE(ret == 0 || ret == 1) {
			TH_LOG("shape %u: %d", i, ret);
		}
		free(plain);
		free(added);
		layer_free(&layer);
	}
}

/* A reference that is constant would be met by a NPU that does nothing. */
TEST_F(submit, references_are_not_trivial)
{
	for (uint32_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		uint32_t values[256] = { 0 }, used = 0;
		struct layer layer;
		uint8_t *reference;

		layer_generate(&layer, i + 1, shapes[i].depthwise, shapes[i].in, shapes[i].out,
			       shapes[i].kernel, shapes[i].stride, shapes[i].pad);
		reference = layer_reference(&layer);
		for (uint32_t n = 0; n < layer.out.width * layer.out.height * layer.out.channels; n++)
			used += !values[reference[n]]++;
		EXPECT_LT(20, used);
		free(reference);
		layer_free(&layer);
	}
}

TEST_F(submit, the_tasks_of_a_job_all_run)
{
	struct layer layers[4];
	struct loaded loaded[4];
	struct drm_rocket_job job;

	for (uint32_t i = 0; i < 4; i++) {
		layer_generate(&layers[i], 10 + i, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
		ASSERT_EQ(0, layer_load(&self->npu, &layers[i], &loaded[i]));
		lists_add(&self->lists, &layers[i], &loaded[i]);
	}
	job = npu_job(self->lists.tasks, 4, NULL, &loaded[3].output);
	ASSERT_EQ(0, npu_submit(&self->npu, &job, 1));
	ASSERT_EQ(0, npu_bo_prep(&loaded[3].output, PATIENCE));
	for (uint32_t i = 0; i < 4; i++) {
		EXPECT_GE(1, (uint32_t)layer_check(&layers[i], &loaded[i]));
		layer_unload(&loaded[i]);
		layer_free(&layers[i]);
	}
	if (hwmodel_present())
		EXPECT_EQ(4, hwmodel_since(&self->before, "npu0_task") +
			     hwmodel_since(&self->before, "npu1_task") +
			     hwmodel_since(&self->before, "npu2_task"));
}

TEST_F(submit, several_jobs_come_in_one_call)
{
	struct layer layers[6];
	struct loaded loaded[6];
	struct drm_rocket_job jobs[6];

	for (uint32_t i = 0; i < 6; i++) {
		layer_generate(&layers[i], 20 + i, i % 2, (struct shape){ 6, 6, 32 }, 32, 3, 1, 1);
		ASSERT_EQ(0, layer_load(&self->npu, &layers[i], &loaded[i]));
		lists_add(&self->lists, &layers[i], &loaded[i]);
		jobs[i] = npu_job(&self->lists.tasks[i], 1, &loaded[i].input, &loaded[i].output);
	}
	ASSERT_EQ(0, npu_submit(&self->npu, jobs, 6));
	for (uint32_t i = 0; i < 6; i++) {
		EXPECT_GE(1, (uint32_t)layer_check(&layers[i], &loaded[i]));
		layer_unload(&loaded[i]);
		layer_free(&layers[i]);
	}
}

/* The C driver runs what comes before a job that is wrong, and says that all is well. */
TEST_F(submit, of_a_call_with_a_wrong_job_none_runs)
{
	struct layer layer;
	struct loaded loaded;
	struct drm_rocket_job jobs[3];

	NEEDS_MODEL();
	KNOWN_C_DEFECT("errors of single jobs are dropped");
	layer_generate(&layer, 34, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	ASSERT_EQ(0, layer_load(&self->npu, &layer, &loaded));
	lists_add(&self->lists, &layer, &loaded);
	for (uint32_t wrong = 0; wrong < 3; wrong++) {
		for (uint32_t i = 0; i < 3; i++)
			jobs[i] = npu_job(self->lists.tasks, i != wrong, &loaded.input, &loaded.output);
		EXPECT_EQ(-EINVAL, npu_submit(&self->npu, jobs, 3));
		EXPECT_EQ(0, npu_bo_prep(&loaded.output, 0));
	}
	EXPECT_EQ(0, hwmodel_since(&self->before, "npu_kick"));
	layer_unload(&loaded);
	layer_free(&layer);
}

/* Most jobs of a call, and so many that reservations would have to be larger than any allocation. */
#define MAX_JOBS	4096
#define FAR_TOO_MANY	600000

/* The same job so many times; the last one writes what all others read. */
static struct drm_rocket_job *same_jobs(const struct lists *lists, const struct loaded *loaded, uint32_t count)
{
	struct drm_rocket_job *jobs = calloc(count, sizeof(*jobs));

	for (uint32_t i = 0; jobs && i < count; i++)
		jobs[i] = npu_job(lists->tasks, 1, i == count - 1 ? &loaded->input : &loaded->output,
				  i == count - 1 ? &loaded->output : &loaded->input);
	return jobs;
}

TEST_F_TIMEOUT(submit, a_call_has_4096_jobs_at_most, 200)
{
	struct layer layer;
	struct loaded loaded;
	struct drm_rocket_job *jobs;

	layer_generate(&layer, 35, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	ASSERT_EQ(0, layer_load(&self->npu, &layer, &loaded));
	lists_add(&self->lists, &layer, &loaded);
	jobs = same_jobs(&self->lists, &loaded, FAR_TOO_MANY);
	ASSERT_NE(NULL, jobs);
	/* The C driver's jobs are as many as there is memory for. */
	if (!npu_is_c_driver()) {
		EXPECT_EQ(-EINVAL, npu_submit(&self->npu, jobs, MAX_JOBS + 1));
		EXPECT_EQ(-EINVAL, npu_submit(&self->npu, jobs, FAR_TOO_MANY));
		EXPECT_EQ(-EINVAL, npu_submit(&self->npu, jobs, UINT32_MAX));
		EXPECT_EQ(0, npu_bo_prep(&loaded.output, 0));
		EXPECT_EQ(0, npu_bo_prep(&loaded.input, 0));
		EXPECT_EQ(0, hwmodel_since(&self->before, "npu_kick"));
	}
	free(jobs);
	jobs = same_jobs(&self->lists, &loaded, MAX_JOBS);
	ASSERT_NE(NULL, jobs);
	memset(loaded.output.map, 0x55, loaded.output.size);
	EXPECT_EQ(0, npu_submit(&self->npu, jobs, MAX_JOBS));
	EXPECT_EQ(0, npu_bo_prep(&loaded.output, 5 * PATIENCE));
	EXPECT_GE(1, (uint32_t)layer_check(&layer, &loaded));
	if (hwmodel_present())
		EXPECT_EQ(MAX_JOBS, hwmodel_since(&self->before, "npu_kick"));
	free(jobs);
	layer_unload(&loaded);
	layer_free(&layer);
}

/* Nothing waits for such a job, and nothing keeps its buffers: that is its author's business. */
TEST_F(submit, a_job_needs_no_buffers_in_its_lists)
{
	int64_t end = now_ns() + PATIENCE;
	struct layer layer;
	struct loaded loaded;
	struct drm_rocket_job job;
	int far;

	layer_generate(&layer, 30, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	ASSERT_EQ(0, layer_load(&self->npu, &layer, &loaded));
	lists_add(&self->lists, &layer, &loaded);
	memset(loaded.output.map, 0x55, loaded.output.size);
	job = npu_job(self->lists.tasks, 1, NULL, NULL);
	ASSERT_EQ(0, npu_submit(&self->npu, &job, 1));
	do {
		usleep(10000);
		far = layer_check(&layer, &loaded);
	} while ((far < 0 || far > 1) && now_ns() < end);
	EXPECT_GE(1, (uint32_t)far);
	/* The results are there; so that the core is done with everything, too. */
	usleep(100000);
	layer_unload(&loaded);
	layer_free(&layer);
}

TEST_F(submit, a_fence_tells_that_a_job_went_well)
{
	struct layer layer;
	struct loaded loaded;
	struct drm_rocket_job job;
	int fence;

	NEEDS_MODEL();
	ASSERT_EQ(0, hwmodel_inject("npu delay 100000000"));
	layer_generate(&layer, 31, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	ASSERT_EQ(0, layer_load(&self->npu, &layer, &loaded));
	lists_add(&self->lists, &layer, &loaded);
	job = npu_job(self->lists.tasks, 1, &loaded.input, &loaded.output);
	ASSERT_EQ(0, npu_submit(&self->npu, &job, 1));
	fence = npu_bo_fence(&loaded.output);
	ASSERT_LE(0, fence);
	ASSERT_EQ(0, hwmodel_inject("clear"));
	EXPECT_EQ(1, fence_wait(fence));
	layer_unload(&loaded);
	layer_free(&layer);
}

/* A number from the file's fdinfo. */
static uint64_t fdinfo(const struct npu *npu, const char *key)
{
	char path[64], line[256];
	uint64_t value = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", npu->fd);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			value = strtoull(line + strlen(key) + 1, NULL, 0);
	}
	if (file)
		fclose(file);
	return value;
}

TEST_F(submit, fdinfo_tells_how_long_the_file_had_cores_and_how_much_memory)
{
	struct layer layer;
	uint64_t before;

	NEEDS_MODEL();
	KNOWN_C_DEFECT("there is no fdinfo");
	layer_generate(&layer, 33, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	before = fdinfo(&self->npu, "drm-engine-npu");
	ASSERT_EQ(0, hwmodel_inject("npu delay 20000000"));
	ASSERT_GE(1, (uint32_t)run(&self->npu, &self->lists, &layer));
	ASSERT_EQ(0, hwmodel_inject("clear"));
	EXPECT_LE(20000000, fdinfo(&self->npu, "drm-engine-npu") - before);
	EXPECT_EQ(3, fdinfo(&self->npu, "drm-engine-capacity-npu"));
	EXPECT_LT(0, fdinfo(&self->npu, "drm-total-memory"));
	layer_free(&layer);
}

TEST_F(submit, a_hundred_jobs_in_a_row_come_out_right)
{
	struct layer layer;

	layer_generate(&layer, 32, true, (struct shape){ 6, 6, 32 }, 0, 3, 1, 1);
	for (uint32_t i = 0; i < 100; i++)
		ASSERT_GE(1, (uint32_t)run(&self->npu, &self->lists, &layer));
	layer_free(&layer);
}

TEST_HARNESS_MAIN
