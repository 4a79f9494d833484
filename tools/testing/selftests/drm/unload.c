// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Fences that others still hold when the driver's module is unloaded. What has not signalled by then
 * signals when the file is closed, and everything can be asked for without the module.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"
#include "suite.h"
#include "syncfile.h"

#define LIMIT	600		/* seconds, for a slow kernel on a busy machine */

FIXTURE(unload)
{
	const char *path;
	struct rig rig;
	bool loaded;
};

FIXTURE_SETUP(unload)
{
	struct gpu gpu;

	self->path = module_path();
	if (!self->path)
		SKIP(return, "DRM_TEST_MODULE does not say where the driver is");
	ASSERT_EQ(0, device_reopen(&gpu));
	ASSERT_EQ(0, rig_open_on(&self->rig, &gpu, 2, PANTHOR_GROUP_PRIORITY_MEDIUM));
	self->loaded = true;
}

FIXTURE_TEARDOWN(unload)
{
	if (self->path && !self->loaded)
		module_load(self->path);
}

/* The last user of a closed file may be a worker. */
static int unload(struct gpu *gpu)
{
	int64_t end = now_ns() + 20 * SECOND;
	int ret;

	/* Known defect of the C driver: a module exit does not wait for the worker that frees VMs. */
	if (gpu_is_c_driver(gpu))
		sleep_ms(2000);
	while ((ret = module_unload(gpu->module)) == -EWOULDBLOCK && now_ns() < end)
		sleep_ms(10);
	return ret;
}

/* A process without a file of the device that asks for the fences until it is killed. */
static pid_t ask_all_the_time(struct rig *rig, int first, int second)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	rig_abandon(rig);
	for (;;) {
		int both = syncfile_merge(first, second);

		if (both < 0 || syncfile_status(first) == -EBADF || syncfile_status(both) == -EBADF)
			_exit(1);
		syncfile_ready(both, 0);
		close(both);
	}
}

TEST_F_TIMEOUT(unload, fences_outlive_the_module, LIMIT)
{
	struct rig *rig = &self->rig;
	struct cs done = rig_stream(rig, 0), busy = rig_stream(rig, 1);
	int signalled, pending, both, other, status;
	struct gpu gpu = rig->gpu;
	uint32_t sync;
	pid_t pid;

	cs_put32(&done, rig->data.va, 1);
	ASSERT_EQ(1, rig_run(rig, 0, &done));
	signalled = syncfile_export(&gpu, rig->sync);
	cs_spin_while_zero(&busy, rig->data.va + 4);
	ASSERT_EQ(0, sync_create(&gpu, false, &sync));
	ASSERT_EQ(0, group_run(&gpu, rig->group, 1, rig_stream_va(rig, &busy), cs_bytes(&busy), sync));
	pending = syncfile_export(&gpu, sync);
	both = syncfile_merge(signalled, pending);
	ASSERT_TRUE(signalled >= 0 && pending >= 0 && both >= 0);
	EXPECT_EQ(1, syncfile_status(signalled));
	EXPECT_EQ(0, syncfile_status(pending));
	EXPECT_FALSE(syncfile_ready(both, 0));
	pid = ask_all_the_time(rig, pending, signalled);
	ASSERT_LT(0, pid);
	sleep_ms(50);

	rig_abandon(rig);
	/* The job cannot end by itself any more. */
	EXPECT_TRUE(syncfile_ready(pending, 20000));
	EXPECT_GT(0, syncfile_status(pending));
	ASSERT_EQ(0, unload(&gpu));
	self->loaded = false;
	EXPECT_EQ(1, syncfile_status(signalled));
	EXPECT_GT(0, syncfile_status(pending));
	EXPECT_GT(0, syncfile_status(both));
	EXPECT_TRUE(syncfile_ready(both, 0));
	other = syncfile_merge(pending, both);
	EXPECT_LE(0, other);
	EXPECT_TRUE(syncfile_ready(other, 0));
	close(both);
	close(other);
	sleep_ms(50);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));

	/* Loaded again: old fences and new ones go together. */
	ASSERT_EQ(0, module_load(self->path));
	self->loaded = true;
	ASSERT_EQ(0, device_reopen(&gpu));
	ASSERT_EQ(0, rig_open_on(rig, &gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	busy = rig_stream(rig, 0);
	cs_spin_while_zero(&busy, rig->data.va);
	ASSERT_EQ(0, rig_submit(rig, 0, &busy));
	other = syncfile_export(&gpu, rig->sync);
	both = syncfile_merge(other, signalled);
	ASSERT_LE(0, both);
	EXPECT_FALSE(syncfile_ready(both, 20));
	rig->data.u32[0] = 1;
	EXPECT_TRUE(syncfile_ready(both, 20000));
	EXPECT_EQ(1, syncfile_status(both));
	close(both);
	close(other);
	close(signalled);
	close(pending);
	rig_abandon(rig);
}

/* A job can wait for a fence of the module that was there before. */
TEST_F_TIMEOUT(unload, a_job_can_wait_for_a_fence_of_the_module_before, LIMIT)
{
	struct rig *rig = &self->rig;
	struct cs cs = rig_stream(rig, 0);
	struct drm_syncobj_handle args = {
		.flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE,
	};
	struct drm_panthor_sync_op ops[2];
	struct drm_panthor_queue_submit job = { .syncs = DRM_PANTHOR_OBJ_ARRAY(2, ops) };
	struct gpu gpu = rig->gpu;
	uint32_t old;

	cs_put32(&cs, rig->data.va, 1);
	ASSERT_EQ(1, rig_run(rig, 0, &cs));
	args.fd = syncfile_export(&gpu, rig->sync);
	ASSERT_LE(0, args.fd);
	rig_abandon(rig);
	ASSERT_EQ(0, unload(&gpu));
	self->loaded = false;
	ASSERT_EQ(0, module_load(self->path));
	self->loaded = true;

	ASSERT_EQ(0, device_reopen(&gpu));
	ASSERT_EQ(0, rig_open_on(rig, &gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	ASSERT_EQ(0, sync_create(&gpu, false, &old));
	args.handle = old;
	ASSERT_EQ(0, gpu_ioctl(gpu.fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &args));
	close(args.fd);
	ops[0] = sync_wait_op(old, 0);
	ops[1] = sync_signal_op(rig->sync, 0);
	ASSERT_EQ(0, group_submit(&gpu, rig->group, &job, 1));
	EXPECT_EQ(1, rig_wait(rig));
	rig_abandon(rig);
}

TEST_HARNESS_MAIN
