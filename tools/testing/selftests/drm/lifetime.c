// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Files, processes, devices and drivers that go away while others still hold on to them. Nobody
 * who waits is left waiting, and what comes after works.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"
#include "suite.h"

FIXTURE(lifetime)
{
	struct rig rig;
	bool bound;
};

FIXTURE_SETUP(lifetime)
{
	ASSERT_EQ(0, rig_open(&self->rig, 2));
	self->bound = true;
}

FIXTURE_TEARDOWN(lifetime)
{
	/* Whatever happened: the next test finds the device bound. */
	if (!self->bound)
		device_bind(&self->rig.gpu);
	gpu_close(&self->rig.gpu);
}

static void expect_a_working_device(struct __test_metadata *_metadata)
{
	struct rig rig;
	struct gpu gpu;
	struct cs cs;

	ASSERT_EQ(0, device_reopen(&gpu));
	ASSERT_EQ(0, rig_open_on(&rig, &gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	cs = rig_stream(&rig, 0);
	cs_put32(&cs, rig.data.va, 4242);
	EXPECT_EQ(1, rig_run(&rig, 0, &cs));
	EXPECT_EQ(4242, rig.data.u32[0]);
	rig_close(&rig);
}

static void keep_busy(struct __test_metadata *_metadata, struct rig *rig)
{
	struct cs cs = rig_stream(rig, 0);

	cs_spin_while_zero(&cs, rig->data.va);
	ASSERT_EQ(0, rig_submit(rig, 0, &cs));
	ASSERT_EQ(-ETIME, sync_wait(&rig->gpu, rig->sync, 0, SECOND / 50));
}

TEST_F(lifetime, closing_a_file_with_jobs_in_flight_leaves_a_working_device)
{
	keep_busy(_metadata, &self->rig);
	rig_abandon(&self->rig);
	expect_a_working_device(_metadata);
}

TEST_F(lifetime, a_fence_of_a_closed_file_signals)
{
	struct drm_syncobj_handle args = { .handle = self->rig.sync };
	struct gpu other;

	keep_busy(_metadata, &self->rig);
	ASSERT_EQ(0, gpu_ioctl(self->rig.gpu.fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &args));
	ASSERT_EQ(0, gpu_open(&other));
	ASSERT_EQ(0, gpu_ioctl(other.fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &args));
	close(args.fd);
	rig_abandon(&self->rig);
	EXPECT_EQ(0, sync_wait(&other, args.handle, 0, PATIENCE));
	EXPECT_GT(0, sync_status(&other, args.handle));
	gpu_close(&other);
}

TEST_F(lifetime, a_killed_process_leaves_a_working_device)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct rig rig;
		struct cs cs;

		if (rig_open(&rig, 4))
			_exit(1);
		cs = rig_stream(&rig, 0);
		cs_spin_while_zero(&cs, rig.data.va);
		for (uint32_t queue = 0; queue < 4; queue++) {
			if (rig_submit(&rig, queue, &cs))
				_exit(1);
		}
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		rig_wait(&rig);
		_exit(1);
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	expect_a_working_device(_metadata);
}

TEST_F(lifetime, what_one_file_leaves_behind_does_not_disturb_another)
{
	struct rig other;
	struct cs cs;

	ASSERT_EQ(0, rig_open(&other, 1));
	keep_busy(_metadata, &other);
	keep_busy(_metadata, &self->rig);
	rig_abandon(&self->rig);
	other.data.u32[0] = 1;
	EXPECT_EQ(1, rig_wait(&other));
	cs = rig_stream(&other, 1);
	cs_put32(&cs, other.data.va + 4, 1);
	EXPECT_EQ(1, rig_run(&other, 0, &cs));
	rig_close(&other);
}

TEST_F(lifetime, after_an_unbind_every_call_is_enodev)
{
	struct rig *rig = &self->rig;
	struct bo bo;
	uint32_t id;

	ASSERT_EQ(0, device_unbind(&rig->gpu));
	self->bound = false;
	EXPECT_EQ(-ENODEV, vm_create(&rig->gpu, 0, &id));
	EXPECT_EQ(-ENODEV, bo_create(&rig->gpu, PAGE, 0, 0, &bo));
	EXPECT_EQ(-ENODEV, vm_unmap(&rig->gpu, rig->vm, rig->data.va, PAGE));
	EXPECT_EQ(-ENODEV, group_create(&rig->gpu, rig->vm, 1, 0, &id));
	EXPECT_EQ(-ENODEV, group_submit(&rig->gpu, rig->group, NULL, 0));
	ASSERT_EQ(0, device_bind(&rig->gpu));
	self->bound = true;
	/* The old file stays dead; a new one works. */
	EXPECT_EQ(-ENODEV, vm_create(&rig->gpu, 0, &id));
	expect_a_working_device(_metadata);
}

TEST_F(lifetime, whoever_waits_during_an_unbind_gets_an_error)
{
	struct rig *rig = &self->rig;
	struct drm_syncobj_handle args = {
		.handle = rig->sync,
		.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
	};
	struct pollfd poller = { .events = POLLIN };
	int status;
	pid_t pid;

	KNOWN_C_DEFECT(&rig->gpu, "an unbind leaves the fences of running jobs unsignalled");
	keep_busy(_metadata, rig);
	ASSERT_EQ(0, gpu_ioctl(rig->gpu.fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &args));
	/* A process that sleeps in the wait ioctl when the device goes. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int ret = sync_wait(&rig->gpu, rig->sync, 0, PATIENCE);

		_exit(ret == 0 || ret == -ENODEV ? 0 : 1);
	}
	sleep_ms(100);
	ASSERT_EQ(0, device_unbind(&rig->gpu));
	self->bound = false;
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	/* The fence itself, which outlives the device: signalled. */
	poller.fd = args.fd;
	EXPECT_EQ(1, poll(&poller, 1, 10000));
	close(args.fd);
	ASSERT_EQ(0, device_bind(&rig->gpu));
	self->bound = true;
	expect_a_working_device(_metadata);
}

static sigjmp_buf bus_error;

static void on_bus_error(int sig)
{
	siglongjmp(bus_error, 1);
}

/* By rule B4: the page behind it is there as long as somebody may look at it. */
TEST_F(lifetime, the_flush_id_page_is_a_bus_error_after_an_unbind)
{
	struct rig *rig = &self->rig;
	volatile uint32_t *page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, rig->gpu.fd,
				       DRM_PANTHOR_USER_FLUSH_ID_MMIO_OFFSET);
	struct sigaction action = { .sa_handler = on_bus_error };
	volatile bool survived = false;

	ASSERT_NE(MAP_FAILED, (void *)page);
	EXPECT_NE(0, *page);
	ASSERT_EQ(0, device_unbind(&rig->gpu));
	self->bound = false;
	sigaction(SIGBUS, &action, NULL);
	if (!sigsetjmp(bus_error, 1)) {
		(void)*page;
		survived = true;
	}
	signal(SIGBUS, SIG_DFL);
	EXPECT_FALSE(survived);
	ASSERT_EQ(0, device_bind(&rig->gpu));
	self->bound = true;
	expect_a_working_device(_metadata);
}

TEST_F(lifetime, a_file_can_be_closed_long_after_the_unbind)
{
	struct rig *rig = &self->rig;

	KNOWN_C_LEAK(&rig->gpu, "groups that were running at an unbind");
	keep_busy(_metadata, rig);
	ASSERT_EQ(0, device_unbind(&rig->gpu));
	self->bound = false;
	ASSERT_EQ(0, device_bind(&rig->gpu));
	self->bound = true;
	expect_a_working_device(_metadata);
	rig_abandon(rig);
	expect_a_working_device(_metadata);
}

TEST_F(lifetime, a_module_with_open_files_stays)
{
	/* Whether it says "busy" or "would block" is the module loader's choice. */
	int ret = module_unload(self->rig.gpu.module);

	EXPECT_TRUE(ret == -EWOULDBLOCK || ret == -EBUSY);
	expect_a_working_device(_metadata);
}

TEST_HARNESS_MAIN
