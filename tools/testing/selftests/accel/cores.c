// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Cores that come and go while there is work, and the module that drives them. */
#include <linux/dma-buf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cores.h"
#include "module.h"
#include "suite.h"
#include "swsync.h"
#include "text.h"

FIXTURE(cores) {
	struct npu npu;
	struct lists lists;
	struct layer layer;
	struct loaded loaded[3];
	struct hwmodel_counters before;
};

FIXTURE_SETUP(cores)
{
	NEEDS_MODEL();
	KNOWN_C_DEFECT("a core that goes leaves its place in the table");
	ASSERT_EQ(0, npu_open(&self->npu));
	ASSERT_EQ(3, cores_count());
	ASSERT_EQ(0, lists_create(&self->npu, &self->lists));
	layer_generate(&self->layer, 1, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	for (uint32_t i = 0; i < 3; i++) {
		ASSERT_EQ(0, layer_load(&self->npu, &self->layer, &self->loaded[i]));
		lists_add(&self->lists, &self->layer, &self->loaded[i]);
		memset(self->loaded[i].output.map, 0x55, self->loaded[i].output.size);
	}
	ASSERT_EQ(0, hwmodel_read(&self->before));
}

FIXTURE_TEARDOWN(cores)
{
	hwmodel_inject("clear");
	for (uint32_t i = 0; i < 3; i++) {
		if (!core_is_bound(i))
			core_bind(i);
		layer_unload(&self->loaded[i]);
	}
	layer_free(&self->layer);
	lists_destroy(&self->lists);
	npu_close(&self->npu);
}

static int submit(struct npu *npu, const struct lists *lists, const struct loaded *loaded,
		  uint32_t count)
{
	struct drm_rocket_job jobs[3];

	for (uint32_t i = 0; i < count; i++)
		jobs[i] = npu_job(&lists->tasks[i], 1, &loaded[i].input, &loaded[i].output);
	return npu_submit(npu, jobs, count);
}

TEST_F(cores, one_that_is_unbound_ends_its_job_first)
{
	ASSERT_EQ(0, hwmodel_inject("npu delay 200000000"));
	ASSERT_EQ(0, submit(&self->npu, &self->lists, self->loaded, 3));
	ASSERT_EQ(0, core_unbind(1));
	EXPECT_EQ(1, hwmodel_since(&self->before, "npu1_task"));
	for (uint32_t i = 0; i < 3; i++)
		EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded[i]));
	EXPECT_EQ(0, hwmodel_since(&self->before, "npu_reset"));
}

TEST_F(cores, the_others_go_on_without_it_and_it_can_come_back)
{
	ASSERT_EQ(0, core_unbind(0));
	ASSERT_EQ(0, hwmodel_inject("npu delay 50000000"));
	for (uint32_t n = 0; n < 4; n++) {
		ASSERT_EQ(0, submit(&self->npu, &self->lists, self->loaded, 3));
		for (uint32_t i = 0; i < 3; i++)
			EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded[i]));
	}
	EXPECT_EQ(0, hwmodel_since(&self->before, "npu0_task"));
	EXPECT_EQ(12, hwmodel_since(&self->before, "npu1_task") +
		      hwmodel_since(&self->before, "npu2_task"));
	ASSERT_EQ(0, core_bind(0));
	ASSERT_EQ(0, submit(&self->npu, &self->lists, self->loaded, 3));
	for (uint32_t i = 0; i < 3; i++)
		EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded[i]));
	EXPECT_EQ(1, hwmodel_since(&self->before, "npu0_task"));
}

/* What kept a core on for jobs that wait goes with it: another one is switched on for them. */
TEST_F(cores, jobs_that_wait_move_to_another_core)
{
	struct drm_rocket_job jobs[4];

	ASSERT_EQ(0, hwmodel_inject("npu delay 100000000"));
	/* One after the other, so that one core is on for all of them. */
	for (uint32_t i = 0; i < 4; i++) {
		jobs[i] = npu_job(&self->lists.tasks[0], 1, &self->loaded[0].input,
				  &self->loaded[0].output);
		ASSERT_EQ(0, npu_submit(&self->npu, &jobs[i], 1));
	}
	ASSERT_EQ(0, core_unbind(0));
	ASSERT_EQ(0, core_unbind(1));
	EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded[0]));
	EXPECT_EQ(4, tasks_since(&self->before));
	EXPECT_EQ(0, hwmodel_since(&self->before, "npu_reset"));
}

/* Has the cores switched off as soon as nobody needs them. */
static int off_when_idle(void)
{
	int ret = 0;

	for (uint32_t i = 0; i < 3 && !ret; i++) {
		char path[512];

		ret = core_attribute(i, "power/autosuspend_delay_ms", path, sizeof(path));
		ret = ret ?: text_write(path, "0");
	}
	return ret;
}

/* Has whoever uses a buffer wait for a fence of somebody else. */
static int delay_users(const struct npu_bo *bo, int fence)
{
	struct drm_prime_handle prime = { .handle = bo->handle, .flags = DRM_CLOEXEC | DRM_RDWR };
	struct dma_buf_import_sync_file import = { .flags = DMA_BUF_SYNC_RW, .fd = fence };
	int ret = npu_ioctl(bo->npu->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);

	if (ret)
		return ret;
	ret = npu_ioctl(prime.fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import);
	close(prime.fd);
	return ret;
}

/*
 * A job that waits for somebody else comes to no core before that one is done. Until then there always is one that is
 * on, although each goes that it could have had, and for a while all of them are gone.
 */
TEST_F(cores, a_job_has_a_core_when_its_turn_comes_whichever_are_gone)
{
	struct sw_sync_fence fence = { .value = 1 };
	int timeline = open(SW_SYNC, O_RDWR | O_CLOEXEC);
	uint32_t first;

	if (timeline < 0)
		SKIP(return, "needs CONFIG_SW_SYNC");
	ASSERT_EQ(0, off_when_idle());
	ASSERT_EQ(0, cores_wait_off());
	ASSERT_EQ(0, npu_ioctl(timeline, SW_SYNC_CREATE_FENCE, &fence));
	ASSERT_EQ(0, delay_users(&self->loaded[0].output, fence.fence));
	close(fence.fence);
	ASSERT_EQ(0, submit(&self->npu, &self->lists, self->loaded, 1));
	for (uint32_t n = 0; n < 3; n++) {
		EXPECT_EQ(1, __builtin_popcount(cores_on()));
		first = __builtin_ctz(cores_on() | 0x8);
		ASSERT_GT(3, first);
		ASSERT_EQ(0, core_unbind(first));
	}
	EXPECT_EQ(0, cores_on());
	EXPECT_EQ(0, tasks_since(&self->before));
	for (uint32_t i = 0; i < 3; i++)
		ASSERT_EQ(0, core_bind(i));
	first = cores_on();
	for (uint32_t look = 0; look < 1000 && __builtin_popcount(first) != 1; look++) {
		usleep(5000);
		first = cores_on();
	}
	EXPECT_EQ(1, __builtin_popcount(first));
	ASSERT_EQ(0, npu_ioctl(timeline, SW_SYNC_INC, &fence.value));
	EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded[0]));
	EXPECT_EQ(1, tasks_since(&self->before));
	EXPECT_EQ(0, cores_wait_off());
	close(timeline);
}

TEST_F(cores, without_any_of_them_jobs_and_files_are_refused)
{
	struct npu other;
	int fd;

	for (uint32_t i = 0; i < 3; i++)
		ASSERT_EQ(0, core_unbind(i));
	EXPECT_EQ(-ENODEV, submit(&self->npu, &self->lists, self->loaded, 1));
	fd = open(self->npu.node, O_RDWR | O_CLOEXEC);
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(0, npu_bo_prep(&self->loaded[0].output, PATIENCE));
	for (uint32_t i = 0; i < 3; i++)
		ASSERT_EQ(0, core_bind(i));
	ASSERT_EQ(0, npu_open(&other));
	npu_close(&other);
	ASSERT_EQ(0, submit(&self->npu, &self->lists, self->loaded, 3));
	for (uint32_t i = 0; i < 3; i++)
		EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded[i]));
}

/* Unbinding and binding, again and again, in the middle of everything. */
TEST_F(cores, come_and_go_while_jobs_run)
{
	ASSERT_EQ(0, hwmodel_inject("npu delay 2000000"));
	for (uint32_t n = 0; n < 30; n++) {
		uint32_t core = n % 3;

		ASSERT_EQ(0, submit(&self->npu, &self->lists, self->loaded, 3));
		ASSERT_EQ(0, core_unbind(core));
		ASSERT_EQ(0, submit(&self->npu, &self->lists, self->loaded, 3));
		ASSERT_EQ(0, core_bind(core));
		for (uint32_t i = 0; i < 3; i++)
			ASSERT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded[i]));
	}
	EXPECT_EQ(180, tasks_since(&self->before));
}

TEST_F(cores, the_module_goes_when_no_file_is_open_and_comes_back)
{
	const char *path = module_path();

	if (!path)
		SKIP(return, "DRM_TEST_MODULE does not say where the driver is");
	EXPECT_EQ(-EAGAIN, module_unload(driver_name()));
	for (uint32_t i = 0; i < 3; i++)
		layer_unload(&self->loaded[i]);
	lists_destroy(&self->lists);
	npu_close(&self->npu);
	for (uint32_t n = 0; n < 5; n++) {
		ASSERT_EQ(0, module_unload(driver_name()));
		EXPECT_NE(0, access("/dev/accel/accel0", F_OK));
		ASSERT_EQ(0, module_load(path));
		ASSERT_EQ(0, npu_open(&self->npu));
		EXPECT_NE(0, access("/dev/accel/accel1", F_OK));
		if (n < 4)
			npu_close(&self->npu);
	}
	ASSERT_EQ(0, lists_create(&self->npu, &self->lists));
	for (uint32_t i = 0; i < 3; i++) {
		ASSERT_EQ(0, layer_load(&self->npu, &self->layer, &self->loaded[i]));
		lists_add(&self->lists, &self->layer, &self->loaded[i]);
	}
	ASSERT_EQ(0, submit(&self->npu, &self->lists, self->loaded, 3));
	for (uint32_t i = 0; i < 3; i++)
		EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded[i]));
}

/* Jobs one by one, until @stop. */
struct submitter {
	struct npu *npu;
	const struct lists *lists;
	const struct layer *layer;
	struct loaded *loaded;
	uint32_t index;
	int ret;
	atomic_uint *done;
	atomic_bool *stop;
	pthread_t thread;
};

static void *submit_one_by_one(void *argument)
{
	struct submitter *self = argument;

	while (!self->ret && !atomic_load(self->stop)) {
		struct drm_rocket_job job = npu_job(&self->lists->tasks[self->index], 1,
						    &self->loaded->input, &self->loaded->output);

		self->ret = npu_submit(self->npu, &job, 1);
		if (!self->ret && (uint32_t)layer_check(self->layer, self->loaded) > 1)
			self->ret = -EIO;
		atomic_fetch_add(self->done, 1);
	}
	return NULL;
}

/* A submission that has chosen a core which is just going takes another one. */
TEST_F_TIMEOUT(cores, one_that_goes_while_it_is_chosen_costs_no_submission, 120)
{
	struct submitter submitters[16];
	atomic_uint done = 0;
	atomic_bool stop = false;

	ASSERT_EQ(0, off_when_idle());
	for (uint32_t i = 0; i < ARRAY_SIZE(submitters); i++) {
		submitters[i] = (struct submitter){
			.npu = &self->npu, .lists = &self->lists, .layer = &self->layer,
			.loaded = &self->loaded[i % 3], .index = i % 3, .done = &done, .stop = &stop,
		};
		ASSERT_EQ(0, pthread_create(&submitters[i].thread, NULL, submit_one_by_one,
					    &submitters[i]));
	}
	for (uint32_t n = 0; n < 60; n++) {
		EXPECT_EQ(0, core_unbind(n % 3));
		EXPECT_EQ(0, core_bind(n % 3));
	}
	atomic_store(&stop, true);
	for (uint32_t i = 0; i < ARRAY_SIZE(submitters); i++) {
		ASSERT_EQ(0, pthread_join(submitters[i].thread, NULL));
		EXPECT_EQ(0, submitters[i].ret);
	}
	EXPECT_LT(60, atomic_load(&done));
}

/* Loads the driver anew and runs one job. Returns the cores that are on meanwhile, or a negative errno. */
static int on_with(const char *parameters)
{
	struct loaded loaded = { 0 };
	struct lists lists = { 0 };
	struct layer layer;
	struct npu npu;
	int ret = module_unload(driver_name()), on = 0;

	ret = ret ?: module_load_with(module_path(), parameters);
	ret = ret ?: npu_open(&npu);
	if (ret)
		return ret;
	layer_generate(&layer, 1, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	ret = lists_create(&npu, &lists);
	ret = ret ?: layer_load(&npu, &layer, &loaded);
	if (!ret)
		lists_add(&lists, &layer, &loaded);
	/* They are on after they have been probed. */
	ret = ret ?: cores_wait_off();
	ret = ret ?: hwmodel_inject("npu delay 100000000");
	ret = ret ?: submit(&npu, &lists, &loaded, 1);
	if (!ret) {
		on = cores_on();
		ret = layer_check(&layer, &loaded) > 1 ? -EIO : 0;
	}
	hwmodel_inject("clear");
	layer_unload(&loaded);
	lists_destroy(&lists);
	layer_free(&layer);
	npu_close(&npu);
	/* All that are switched on together go off again. */
	ret = ret ?: cores_wait_off();
	return ret ?: on;
}

/* rule F3: one by one by default; all together where somebody wants that. */
TEST(all_are_on_together_if_that_is_wanted)
{
	NEEDS_MODEL();
	KNOWN_C_DEFECT("there is no such choice");
	if (!module_path())
		SKIP(return, "DRM_TEST_MODULE does not say where the driver is");
	EXPECT_EQ(1, __builtin_popcount(on_with("")));
	EXPECT_EQ(0x7, on_with("all_cores=1"));
	EXPECT_EQ(1, __builtin_popcount(on_with("all_cores=0")));
}

TEST_HARNESS_MAIN
