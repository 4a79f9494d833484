// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Order between jobs, by the buffers that they share, and between processes, by nothing. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cores.h"
#include "suite.h"

FIXTURE(order) {
	struct npu npu;
	struct lists lists;
};

FIXTURE_SETUP(order)
{
	ASSERT_EQ(0, npu_open(&self->npu));
	ASSERT_EQ(0, lists_create(&self->npu, &self->lists));
}

FIXTURE_TEARDOWN(order)
{
	if (hwmodel_present())
		hwmodel_inject("clear");
	lists_destroy(&self->lists);
	npu_close(&self->npu);
}

#define DEPTH	6

/* A layer reads what the one before it has written. */
static int chain(struct npu *npu, struct lists *lists, uint32_t seed, bool one_call)
{
	struct layer layers[DEPTH];
	struct loaded loaded[DEPTH];
	struct drm_rocket_job jobs[DEPTH];
	int ret = 0, most = 0;

	lists->count = 0;
	for (uint32_t i = 0; i < DEPTH; i++) {
		layer_generate(&layers[i], seed + i, i % 2, (struct shape){ 6, 6, 32 }, 32, 3, 1, 1);
		layers[i].zero_in = i ? layers[i - 1].zero_out : 120;
		ret = ret ?: layer_load(npu, &layers[i], &loaded[i]);
		if (ret)
			return ret;
		if (i) {
			npu_bo_destroy(&loaded[i].input);
			loaded[i].input = loaded[i - 1].output;
			free(layers[i].input);
			layers[i].input = layer_reference(&layers[i - 1]);
		}
		lists_add(lists, &layers[i], &loaded[i]);
		jobs[i] = npu_job(&lists->tasks[i], 1, &loaded[i].input, &loaded[i].output);
	}
	if (one_call)
		ret = npu_submit(npu, jobs, DEPTH);
	for (uint32_t i = 0; i < DEPTH && !one_call && !ret; i++)
		ret = npu_submit(npu, &jobs[i], 1);
	/* From the last one backwards: nothing is ready because somebody waited for it before. */
	for (uint32_t i = DEPTH; i-- && !ret;) {
		uint8_t *got;

		ret = npu_bo_prep(&loaded[i].output, PATIENCE);
		if (ret)
			break;
		/* What the next one has read is this one's result, exactly. */
		got = layer_unpack_output(&layers[i], loaded[i].output.map);
		if (i + 1 < DEPTH) {
			free(layers[i + 1].input);
			layers[i + 1].input = got;
		} else {
			free(got);
		}
	}
	for (uint32_t i = 0; i < DEPTH; i++) {
		int far = ret ? 0 : layer_check(&layers[i], &loaded[i]);

		if (far > most || far < 0)
			most = far;
		if (i)
			memset(&loaded[i].input, 0, sizeof(loaded[i].input));
	}
	for (uint32_t i = 0; i < DEPTH; i++) {
		layer_unload(&loaded[i]);
		layer_free(&layers[i]);
	}
	return ret ? ret : most;
}

TEST_F(order, layers_run_in_order_in_one_call)
{
	EXPECT_GE(1, (uint32_t)chain(&self->npu, &self->lists, 40, true));
}

TEST_F(order, layers_run_in_order_in_calls_of_their_own)
{
	EXPECT_GE(1, (uint32_t)chain(&self->npu, &self->lists, 50, false));
}

TEST_F(order, layers_run_in_order_when_tasks_are_slow)
{
	NEEDS_MODEL();
	ASSERT_EQ(0, hwmodel_inject("npu delay 3000000"));
	EXPECT_GE(1, (uint32_t)chain(&self->npu, &self->lists, 60, true));
}

TEST_F(order, prep_waits_for_the_writer_and_says_when_time_is_up)
{
	struct layer layer;
	struct loaded loaded;
	struct drm_rocket_job job;

	NEEDS_MODEL();
	ASSERT_EQ(0, hwmodel_inject("npu delay 200000000"));
	layer_generate(&layer, 70, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	ASSERT_EQ(0, layer_load(&self->npu, &layer, &loaded));
	lists_add(&self->lists, &layer, &loaded);
	job = npu_job(self->lists.tasks, 1, &loaded.input, &loaded.output);
	ASSERT_EQ(0, npu_submit(&self->npu, &job, 1));
	EXPECT_EQ(-EBUSY, npu_bo_prep(&loaded.output, -1));
	EXPECT_EQ(-ETIMEDOUT, npu_bo_prep(&loaded.output, SECOND / 100));
	/* The CPU may read what the job reads. */
	EXPECT_EQ(0, npu_bo_prep(&loaded.input, -1));
	EXPECT_GE(1, (uint32_t)layer_check(&layer, &loaded));
	layer_unload(&loaded);
	layer_free(&layer);
}

/* The C driver gives no fence to what a job reads, so that nobody waits for the reader. */
TEST_F(order, a_writer_waits_for_those_who_read_before)
{
	struct layer first, second;
	struct loaded a, b;
	struct drm_rocket_job jobs[2];

	NEEDS_MODEL();
	KNOWN_C_DEFECT("a writer does not wait for readers");
	ASSERT_EQ(0, hwmodel_inject("npu delay 3000000"));
	layer_generate(&first, 80, false, (struct shape){ 6, 6, 16 }, 16, 1, 1, 0);
	layer_generate(&second, 81, false, (struct shape){ 6, 6, 16 }, 16, 1, 1, 0);
	ASSERT_EQ(0, layer_load(&self->npu, &first, &a));
	ASSERT_EQ(0, layer_load(&self->npu, &second, &b));
	npu_bo_destroy(&b.output);
	b.output = a.input;
	lists_add(&self->lists, &first, &a);
	lists_add(&self->lists, &second, &b);
	jobs[0] = npu_job(&self->lists.tasks[0], 1, &a.input, &a.output);
	jobs[1] = npu_job(&self->lists.tasks[1], 1, &b.input, &b.output);
	ASSERT_EQ(0, npu_submit(&self->npu, jobs, 2));
	EXPECT_GE(1, (uint32_t)layer_check(&second, &b));
	EXPECT_GE(1, (uint32_t)layer_check(&first, &a));
	memset(&b.output, 0, sizeof(b.output));
	layer_unload(&a);
	layer_unload(&b);
	layer_free(&first);
	layer_free(&second);
}

/*
 * The reader is held up by a job before it, the writer by nothing but the reader: if it does not wait,
 * the reader finds the wrong input.
 */
static int overtake(struct npu *npu, struct lists *lists, bool one_call)
{
	struct layer layers[3];
	struct loaded loaded[3];
	struct drm_rocket_job jobs[3];
	uint32_t reads[2];
	int ret = 0, far[2];

	for (uint32_t i = 0; i < 3; i++) {
		layer_generate(&layers[i], 300 + i, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
		ret = ret ?: layer_load(npu, &layers[i], &loaded[i]);
	}
	if (ret)
		return ret;
	/* The third writes what the second reads. */
	npu_bo_destroy(&loaded[2].output);
	loaded[2].output = loaded[1].input;
	for (uint32_t i = 0; i < 3; i++) {
		lists_add(lists, &layers[i], &loaded[i]);
		jobs[i] = npu_job(&lists->tasks[i], 1, &loaded[i].input, &loaded[i].output);
	}
	reads[0] = loaded[1].input.handle;
	reads[1] = loaded[0].output.handle;
	jobs[1].in_bo_handles = (uintptr_t)reads;
	jobs[1].in_bo_handle_count = 2;
	if (one_call)
		ret = npu_submit(npu, jobs, 3);
	for (uint32_t i = 0; i < 3 && !one_call && !ret; i++)
		ret = npu_submit(npu, &jobs[i], 1);
	far[0] = layer_check(&layers[1], &loaded[1]);
	far[1] = layer_check(&layers[2], &loaded[2]);
	memset(&loaded[2].output, 0, sizeof(loaded[2].output));
	for (uint32_t i = 0; i < 3; i++) {
		layer_unload(&loaded[i]);
		layer_free(&layers[i]);
	}
	if (ret || far[0] < 0 || far[1] < 0)
		return ret ?: far[0] < 0 ? far[0] : far[1];
	return far[0] > far[1] ? far[0] : far[1];
}

TEST_F(order, a_writer_does_not_overtake_a_reader_that_waits_in_the_same_call)
{
	NEEDS_MODEL();
	KNOWN_C_DEFECT("a writer does not wait for readers");
	ASSERT_EQ(0, hwmodel_inject("npu delay 50000000"));
	EXPECT_GE(1, (uint32_t)overtake(&self->npu, &self->lists, true));
}

TEST_F(order, a_writer_does_not_overtake_a_reader_of_an_earlier_call)
{
	NEEDS_MODEL();
	KNOWN_C_DEFECT("a writer does not wait for readers");
	ASSERT_EQ(0, hwmodel_inject("npu delay 50000000"));
	EXPECT_GE(1, (uint32_t)overtake(&self->npu, &self->lists, false));
}

#define HEAVY		3	/* files with much work */
#define HEAVY_JOBS	60	/* of each */
#define OUTPUTS		6	/* each heavy file's: so many jobs of it could run at once */
#define LIGHT_JOBS	10	/* of one file, one after the other */

/*
 * Three files always have a job for each core, the fourth has one at a time. In order of arrival, a job
 * of the fourth one would wait behind nine others; by turns of files it waits for two at most.
 */
TEST_F_TIMEOUT(order, a_file_with_one_job_at_a_time_has_the_same_share_as_those_with_many, 120)
{
	struct hwmodel_counters before;
	struct npu heavy[HEAVY];
	struct lists lists[HEAVY];
	struct loaded outputs[HEAVY][OUTPUTS], one;
	struct layer layer;
	struct drm_rocket_job job;

	NEEDS_MODEL();
	KNOWN_C_DEFECT("who has brought more work gets more of the cores");
	layer_generate(&layer, 95, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	ASSERT_EQ(0, layer_load(&self->npu, &layer, &one));
	lists_add(&self->lists, &layer, &one);
	for (uint32_t f = 0; f < HEAVY; f++) {
		ASSERT_EQ(0, npu_open(&heavy[f]));
		ASSERT_EQ(0, lists_create(&heavy[f], &lists[f]));
		for (uint32_t i = 0; i < OUTPUTS; i++) {
			ASSERT_EQ(0, layer_load(&heavy[f], &layer, &outputs[f][i]));
			lists_add(&lists[f], &layer, &outputs[f][i]);
		}
	}
	/* Long enough for the fourth file's next job to be there by its turn, also where the CPU is emulated. */
	ASSERT_EQ(0, hwmodel_inject("npu delay 40000000"));
	for (uint32_t i = 0; i < HEAVY * HEAVY_JOBS; i++) {
		uint32_t f = i % HEAVY, o = i / HEAVY % OUTPUTS;

		job = npu_job(&lists[f].tasks[o], 1, &outputs[f][o].input, &outputs[f][o].output);
		ASSERT_EQ(0, npu_submit(&heavy[f], &job, 1));
	}
	ASSERT_EQ(0, hwmodel_read(&before));
	for (uint32_t i = 0; i < LIGHT_JOBS; i++) {
		job = npu_job(self->lists.tasks, 1, &one.input, &one.output);
		ASSERT_EQ(0, npu_submit(&self->npu, &job, 1));
	}
	ASSERT_EQ(0, npu_bo_prep(&one.output, PATIENCE));
	TH_LOG("%llu tasks until %u were done", (unsigned long long)tasks_since(&before),
	       LIGHT_JOBS);
	EXPECT_GT(70, tasks_since(&before));
	EXPECT_GE(1, (uint32_t)layer_check(&layer, &one));
	for (uint32_t f = 0; f < HEAVY; f++) {
		for (uint32_t i = 0; i < OUTPUTS; i++) {
			EXPECT_GE(1, (uint32_t)layer_check(&layer, &outputs[f][i]));
			layer_unload(&outputs[f][i]);
		}
		lists_destroy(&lists[f]);
		npu_close(&heavy[f]);
	}
	layer_unload(&one);
	layer_free(&layer);
}

TEST_F(order, processes_do_not_disturb_each_other)
{
	pid_t children[4];
	int status;

	for (uint32_t i = 0; i < 4; i++) {
		children[i] = fork();
		if (!children[i]) {
			struct npu npu;
			struct lists lists;
			uint32_t ret = npu_open(&npu);

			ret = ret ?: lists_create(&npu, &lists);
			for (uint32_t n = 0; n < 5 && ret <= 1; n++)
				ret = chain(&npu, &lists, 100 * i + n, n % 2);
			lists_destroy(&lists);
			npu_close(&npu);
			_exit(ret <= 1 ? 0 : 1);
		}
	}
	for (uint32_t i = 0; i < 4; i++) {
		ASSERT_EQ(children[i], waitpid(children[i], &status, 0));
		EXPECT_EQ(0, status);
	}
}

/* Each of three tasks that take long is on a core of its own. */
TEST_F(order, files_share_the_cores)
{
	static const char * const tasks[] = { "npu0_task", "npu1_task", "npu2_task" };
	struct hwmodel_counters before, after;
	struct npu npus[3];
	struct lists lists[3];
	struct layer layers[3];
	struct loaded loaded[3];
	struct drm_rocket_job job;

	NEEDS_MODEL();
	ASSERT_EQ(0, hwmodel_inject("npu delay 300000000"));
	ASSERT_EQ(0, hwmodel_read(&before));
	for (uint32_t i = 0; i < 3; i++) {
		ASSERT_EQ(0, npu_open(&npus[i]));
		ASSERT_EQ(0, lists_create(&npus[i], &lists[i]));
		layer_generate(&layers[i], 90 + i, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
		ASSERT_EQ(0, layer_load(&npus[i], &layers[i], &loaded[i]));
		lists_add(&lists[i], &layers[i], &loaded[i]);
	}
	for (uint32_t i = 0; i < 3; i++) {
		job = npu_job(lists[i].tasks, 1, &loaded[i].input, &loaded[i].output);
		ASSERT_EQ(0, npu_submit(&npus[i], &job, 1));
	}
	for (uint32_t i = 0; i < 3; i++)
		EXPECT_GE(1, (uint32_t)layer_check(&layers[i], &loaded[i]));
	ASSERT_EQ(0, hwmodel_read(&after));
	for (uint32_t i = 0; i < 3; i++)
		EXPECT_EQ(1, hwmodel_get(&after, tasks[i]) - hwmodel_get(&before, tasks[i]));
	for (uint32_t i = 0; i < 3; i++) {
		layer_unload(&loaded[i]);
		layer_free(&layers[i]);
		lists_destroy(&lists[i]);
		npu_close(&npus[i]);
	}
}

TEST_HARNESS_MAIN
