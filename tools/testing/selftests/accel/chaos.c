// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Everything at once: many processes with jobs good and bad, cores that are unbound and bound, that
 * hang, that meet errors and that are switched off between two jobs. What has to come out: each fence
 * signals, each good job's result is right, and no more good jobs fail than the model has spoiled.
 *
 * CHAOS_SEED chooses what happens, CHAOS_ROUNDS or CHAOS_SECONDS how long it goes on. What the processes do is the same
 * with the same seed, and so is what is done to the cores; how the two meet is not.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "cores.h"
#include "module.h"
#include "setting.h"
#include "suite.h"
#include "text.h"

#define WORKERS		20
#define CORES		3
#define LAYERS		3

/* What no layer's output is full of. */
#define UNTOUCHED	0x55

/* An address that no buffer of the file has. */
#define NOWHERE		0xf0000000

/* What all processes count. */
struct tally {
	atomic_uint rounds;	/* that the processes have made */
	atomic_uint right;	/* good jobs whose result is right */
	atomic_uint lost;	/* good jobs that have written nothing, or have ended with an error */
	atomic_uint wrong;	/* good jobs with another result */
	atomic_uint silent;	/* fences that never signal */
	atomic_uint odd;	/* fences with a status that no job may end with */
	atomic_uint failed;	/* calls that fail */
	atomic_uint bad;	/* bad jobs */
};

/* One process's layers in one file. */
struct client {
	struct npu npu;
	struct lists lists;
	struct layer layers[LAYERS];
	struct loaded loaded[LAYERS];
	struct npu_bo scrap;
	uint32_t count;
};

static int set_up(struct client *client, uint32_t *state)
{
	int ret;

	memset(client, 0, sizeof(*client));
	ret = npu_open(&client->npu);
	if (ret)
		return ret;
	client->count = 1 + number(state) % LAYERS;
	ret = lists_create(&client->npu, &client->lists);
	ret = ret ?: npu_bo_create(&client->npu, 4096, &client->scrap);
	for (uint32_t i = 0; i < client->count && !ret; i++) {
		struct shape shape = { 4 + number(state) % 4, 4 + number(state) % 4, 16 };
		bool depthwise = number(state) % 2;
		uint32_t kernel = depthwise || number(state) % 2 ? 3 : 1;

		layer_generate(&client->layers[i], number(state), depthwise, shape, 16, kernel, 1,
			       kernel / 2);
		ret = layer_load(&client->npu, &client->layers[i], &client->loaded[i]);
		if (!ret)
			lists_add(&client->lists, &client->layers[i], &client->loaded[i]);
	}
	return ret;
}

static void take_down(struct client *client)
{
	for (uint32_t i = 0; i < client->count; i++) {
		layer_unload(&client->loaded[i]);
		layer_free(&client->layers[i]);
	}
	if (client->scrap.npu)
		npu_bo_destroy(&client->scrap);
	if (client->lists.bo.npu)
		lists_destroy(&client->lists);
	npu_close(&client->npu);
}

/* A job for each of the layers and perhaps one that is bad, at a random place. */
static uint32_t make_jobs(struct client *client, struct drm_rocket_job *jobs, bool *is_bad,
			  const struct drm_rocket_task *nowhere, uint32_t *state)
{
	uint32_t bad = number(state) % 3 ? UINT32_MAX : number(state) % (client->count + 1);
	uint32_t count = 0;

	*is_bad = bad != UINT32_MAX;
	for (uint32_t i = 0; i <= client->count; i++) {
		if (i == bad)
			jobs[count++] = npu_job(nowhere, 1, NULL, &client->scrap);
		if (i < client->count)
			jobs[count++] = npu_job(&client->lists.tasks[i], 1, &client->loaded[i].input,
						&client->loaded[i].output);
	}
	return count;
}

/* Waits for what is being written to a buffer. How it has ended: 1 also if nobody knows any more. */
static int await(int fence, struct tally *tally)
{
	int status = fence < 0 ? fence : fence_wait(fence);

	if (fence < 0)
		atomic_fetch_add(&tally->failed, 1);
	else if (status == -ETIME)
		atomic_fetch_add(&tally->silent, 1);
	else if (status != 1 && status != -EIO && status != -ETIMEDOUT)
		atomic_fetch_add(&tally->odd, 1);
	return status;
}

static void judge(const struct layer *layer, const struct loaded *loaded, int fence,
		  struct tally *tally)
{
	const struct npu_bo *out = &loaded->output;
	int status = await(fence, tally);
	uint32_t touched = 0;

	if (npu_bo_prep(out, PATIENCE)) {
		atomic_fetch_add(&tally->silent, 1);
		return;
	}
	for (uint32_t i = 0; i < out->size; i++)
		touched += out->map[i] != UNTOUCHED;
	/*
	 * A machine that has too much to do may let a task take too long that is as good as any other: it has then
	 * written a part. That counts as lost, of which there may not be more than what was spoiled.
	 */
	if (!touched || status < 0)
		atomic_fetch_add(&tally->lost, 1);
	else if ((uint32_t)layer_check(layer, loaded) <= 1)
		atomic_fetch_add(&tally->right, 1);
	else
		atomic_fetch_add(&tally->wrong, 1);
}

static int round_of_jobs(struct client *client, struct tally *tally, bool leave, uint32_t *state)
{
	const struct drm_rocket_task nowhere = { .regcmd = NOWHERE, .regcmd_count = 64 };
	struct drm_rocket_job jobs[LAYERS + 1];
	int fences[LAYERS], ret = 0;
	uint32_t count;
	bool is_bad;

	for (uint32_t i = 0; i < client->count && !ret; i++) {
		ret = npu_bo_prep(&client->loaded[i].output, PATIENCE);
		memset(client->loaded[i].output.map, UNTOUCHED, client->loaded[i].output.size);
		ret = ret ?: npu_bo_fini(&client->loaded[i].output);
	}
	count = make_jobs(client, jobs, &is_bad, &nowhere, state);
	if (!ret && number(state) % 2) {
		ret = npu_submit(&client->npu, jobs, count);
	} else {
		for (uint32_t i = 0; i < count && !ret; i++)
			ret = npu_submit(&client->npu, &jobs[i], 1);
	}
	if (ret || leave)
		return ret;
	atomic_fetch_add(&tally->bad, is_bad);
	/* Before the first one is waited for: a fence that has signalled is gone. */
	for (uint32_t i = 0; i < client->count; i++)
		fences[i] = npu_bo_fence(&client->loaded[i].output);
	for (uint32_t i = 0; i < client->count; i++)
		judge(&client->layers[i], &client->loaded[i], fences[i], tally);
	await(npu_bo_fence(&client->scrap), tally);
	return 0;
}

static void work(struct tally *tally, uint32_t seed, struct quota quota)
{
	uint32_t state = seed;

	while (quota_left(&quota)) {
		struct client client;
		uint32_t some = 1 + number(&state) % 5;
		/* Some files are closed, and some processes end, with jobs under way. */
		bool leave = number(&state) % 8 == 0;
		int ret = set_up(&client, &state);

		for (uint32_t i = 0; i < some && quota_left(&quota) && !ret; i++) {
			ret = round_of_jobs(&client, tally, leave, &state);
			quota.rounds--;
			atomic_fetch_add(&tally->rounds, 1);
			/* Cores that are left alone for a while are switched off. */
			if (number(&state) % 4 == 0)
				usleep(number(&state) % 30000);
		}
		take_down(&client);
		if (ret) {
			printf("# a call has failed: %s\n", strerror(-ret));
			atomic_fetch_add(&tally->failed, 1);
			return;
		}
	}
}

/* How long an idle core stays on. */
static void keep_on(uint32_t core, uint32_t ms)
{
	char path[128], text[16];

	if (core_attribute(core, "power/autosuspend_delay_ms", path, sizeof(path)))
		return;
	snprintf(text, sizeof(text), "%u", ms);
	text_write(path, text);
}

static int inject(const char *what, uint32_t core)
{
	char line[48];

	snprintf(line, sizeof(line), "npu %s %u 1", what, core);
	return hwmodel_inject(line);
}

/* Does one thing to the cores. Returns how many good jobs it may cost, or a negative errno. */
static int disturb(uint32_t *state, uint32_t *unbound)
{
	static const uint32_t delays[] = { 0, 1, 5, 50 };
	uint32_t core = number(state) % CORES, what = number(state) % 10;
	char line[48];
	int ret = 0;

	switch (what) {
	case 0 ... 3:
		if (core_is_bound(core)) {
			/* One has to stay. */
			if (*unbound == CORES - 1)
				return 0;
			++*unbound;
			return core_unbind(core);
		}
		--*unbound;
		return core_bind(core);
	case 4:
		ret = inject("hang", core);
		return ret ?: 1;
	case 5:
		ret = inject("dma-error", core);
		return ret ?: 1;
	case 6:
		snprintf(line, sizeof(line), "npu delay %u", number(state) % 3000000);
		return hwmodel_inject(line);
	default:
		keep_on(core, delays[number(state) % 4]);
		return 0;
	}
}

FIXTURE(chaos) {
	struct tally *tally;
};

FIXTURE_SETUP(chaos)
{
	NEEDS_MODEL();
	KNOWN_C_DEFECT("a core that goes leaves its place in the table");
	ASSERT_EQ(CORES, cores_count());
	self->tally = mmap(NULL, sizeof(*self->tally), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->tally);
}

FIXTURE_TEARDOWN(chaos)
{
	hwmodel_inject("clear");
	for (uint32_t i = 0; i < CORES; i++) {
		if (!core_is_bound(i))
			core_bind(i);
	}
	munmap(self->tally, sizeof(*self->tally));
}

/* What is left when the storm is over: three cores that work, and nothing that holds the module. */
static void expect_working(struct __test_metadata *_metadata)
{
	struct npu npu;

	/* A job that hangs, of a process that has gone, has its core until it is ended. */
	EXPECT_EQ(0, cores_wait_off());
	EXPECT_EQ(0, cores_run(0x7));
	EXPECT_EQ(0, hwmodel_records());
	if (module_path()) {
		ASSERT_EQ(0, module_unload(driver_name()));
		ASSERT_EQ(0, module_load(module_path()));
		ASSERT_EQ(0, npu_open(&npu));
		npu_close(&npu);
	}
}

TEST_F_TIMEOUT(chaos, every_fence_signals_and_every_innocent_result_is_right, 3000)
{
	uint32_t seed = setting("CHAOS_SEED", 1);
	struct quota quota = quota_setting();
	struct tally *tally = self->tally;
	uint32_t state = seed, unbound = 0, spoiled = 0, left = WORKERS;
	pid_t workers[WORKERS];

	fflush(stdout);
	for (uint32_t i = 0; i < WORKERS; i++) {
		uint32_t own = number(&state);

		workers[i] = fork();
		ASSERT_LE(0, workers[i]);
		if (!workers[i]) {
			work(tally, own, quota);
			_exit(0);
		}
	}
	while (left) {
		int ret = disturb(&state, &unbound), status;
		pid_t pid;

		ASSERT_LE(0, ret);
		spoiled += ret;
		usleep(number(&state) % 20000);
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			EXPECT_EQ(0, status);
			left--;
		}
	}
	ASSERT_EQ(0, hwmodel_inject("clear"));
	for (uint32_t i = 0; i < CORES; i++) {
		if (!core_is_bound(i))
			ASSERT_EQ(0, core_bind(i));
	}
	TH_LOG("seed %u, %u rounds: %u right, %u lost of %u spoiled at most, %u bad", seed, tally->rounds,
	       tally->right, tally->lost, spoiled, tally->bad);
	EXPECT_EQ(0, atomic_load(&tally->wrong));
	EXPECT_EQ(0, atomic_load(&tally->silent));
	EXPECT_EQ(0, atomic_load(&tally->odd));
	EXPECT_EQ(0, atomic_load(&tally->failed));
	EXPECT_GE(spoiled, atomic_load(&tally->lost));
	EXPECT_LT(atomic_load(&tally->rounds) / 2, atomic_load(&tally->right));
	if (!quota.end)
		EXPECT_EQ(WORKERS * quota.rounds, atomic_load(&tally->rounds));
	expect_working(_metadata);
}

TEST_HARNESS_MAIN
