// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Fences that are still held when the module that made them is unloaded: in sync files and in syncobjs.
 * What was not signalled is signalled when the file is closed, which has to come before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <drm.h>
#include <linux/sync_file.h>

#include "drm_selftest_user.h"

/* How often something that is about to happen is looked at, with a millisecond in between. */
#define LOOKS 10000

static int export(int fd, uint32_t handle, uint32_t flags)
{
	struct drm_syncobj_handle h = { .handle = handle, .flags = flags };

	return call(fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &h) ? -1 : h.fd;
}

static int import(int fd, uint32_t handle, int from, uint32_t flags, uint32_t *new)
{
	struct drm_syncobj_handle h = { .handle = handle, .fd = from, .flags = flags };
	int ret = call(fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &h);

	if (new)
		*new = h.handle;
	return ret;
}

static int is_ready(int file)
{
	struct pollfd p = { .fd = file, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

/* How all fences together stand: 1, 0 or a negative error; the names of the first. */
static int info(int file, struct sync_fence_info *first, uint32_t *count)
{
	struct sync_fence_info fences[8] = { 0 };
	struct sync_file_info i = { .num_fences = 8, .sync_fence_info = (uintptr_t)fences };

	if (call(file, SYNC_IOC_FILE_INFO, &i))
		return -EBADF;
	if (first)
		*first = fences[0];
	if (count)
		*count = i.num_fences;
	return i.status;
}

static int merge(int a, int b)
{
	struct sync_merge_data m = { .name = "merged", .fd2 = b };

	return call(a, SYNC_IOC_MERGE, &m) ? -1 : m.fence;
}

/* Until its last user has let go, which may be a worker. */
static int unload(void)
{
	int ret = -1;

	for (int i = 0; i < LOOKS && ret; i++) {
		ret = syscall(SYS_delete_module, "drm_selftest", O_NONBLOCK);
		if (ret)
			usleep(1000);
	}
	return ret;
}

static int load(const char *path)
{
	int file = open(path, O_RDONLY | O_CLOEXEC), ret;

	ret = syscall(SYS_finit_module, file, "", 0);
	close(file);
	return ret;
}

/* Somebody else who never stops to ask, whatever becomes of the module. */
static pid_t ask_all_the_time(int keep_from, const int *files, int count)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	close(keep_from);
	for (;;) {
		for (int i = 0; i < count; i++) {
			struct sync_fence_info first;
			int merged = merge(files[i], files[(i + 1) % count]);

			if (info(files[i], &first, NULL) == -EBADF || merged < 0)
				_exit(1);
			is_ready(merged);
			close(merged);
		}
	}
}

static void round_of_unload(const char *path)
{
	enum { SIGNALLED, PENDING, QUEUED, MERGED, FILES };
	struct sync_fence_info first;
	int fd = open_node(), file[FILES], object, newer, merged, status;
	struct drm_syncobj_create c[3] = { 0 };
	uint32_t count, handle;
	pid_t pid;

	for (int i = 0; i < 3; i++)
		OK(!call(fd, DRM_IOCTL_SYNCOBJ_CREATE, &c[i]));
	OK(!fence_make(fd, c[0].handle));
	file[SIGNALLED] = export(fd, c[0].handle, DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE);
	OK(!fence_signal(fd) && is_ready(file[SIGNALLED]));
	OK(!fence_make(fd, c[1].handle) && !job_make(fd, c[2].handle));
	file[PENDING] = export(fd, c[1].handle, DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE);
	file[QUEUED] = export(fd, c[2].handle, DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE);
	file[MERGED] = merge(file[SIGNALLED], file[PENDING]);
	object = export(fd, c[1].handle, 0);
	OK(file[MERGED] >= 0 && object >= 0);
	OK(info(file[SIGNALLED], NULL, NULL) == 1);
	OK(info(file[PENDING], &first, &count) == 0 && count == 1 && !is_ready(file[PENDING]));
	OK(!strcmp(first.driver_name, "drm_selftest") && !strcmp(first.obj_name, "test"));
	OK(info(file[QUEUED], &first, NULL) == 0 && !strcmp(first.obj_name, "queue"));
	OK(!is_ready(file[QUEUED]) && !is_ready(file[MERGED]));

	/* As long as the file is open, the module stays. */
	OK(syscall(SYS_delete_module, "drm_selftest", O_NONBLOCK) && errno == EAGAIN);
	pid = ask_all_the_time(fd, file, FILES);
	usleep(20000);
	close(fd);
	OK(!unload());

	/* All that was promised has come, and can be asked for without the module. */
	OK(info(file[SIGNALLED], &first, NULL) == 1 && strcmp(first.driver_name, "drm_selftest"));
	for (int i = PENDING; i < FILES; i++)
		OK(is_ready(file[i]) && info(file[i], &first, NULL) == -ECANCELED);
	OK(strcmp(first.driver_name, "drm_selftest"));
	merged = merge(file[QUEUED], file[SIGNALLED]);
	OK(merged >= 0 && is_ready(merged));
	close(merged);
	usleep(20000);
	kill(pid, SIGKILL);
	OK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));

	/* The next one gets along with what the one before has left. */
	OK(!load(path));
	fd = open_node();
	OK(fd >= 0);
	OK(!call(fd, DRM_IOCTL_SYNCOBJ_CREATE, &c[0]) && !fence_make(fd, c[0].handle));
	newer = export(fd, c[0].handle, DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE);
	merged = merge(newer, file[SIGNALLED]);
	OK(merged >= 0 && !is_ready(merged) && info(merged, &first, NULL) == 0);
	OK(!strcmp(first.driver_name, "drm_selftest"));
	OK(!fence_signal(fd) && is_ready(merged) && info(merged, NULL, NULL) == 1);
	/* A fence of the old module, in an old syncobj and in a new one. */
	OK(!import(fd, 0, object, 0, &handle) && fence_has_signalled(fd, handle) == 1);
	OK(!import(fd, handle, file[SIGNALLED],
		   DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE, NULL));
	OK(fence_has_signalled(fd, handle) == 1);
	close(merged);
	close(newer);
	close(object);
	for (int i = 0; i < FILES; i++)
		close(file[i]);
	close(fd);
}

void test_unload(void)
{
	const char *path = getenv("DRM_TEST_MODULE");

	if (!path) {
		printf("# DRM_TEST_MODULE does not say where the module is, so it is not unloaded\n");
		return;
	}
	for (int i = 0; i < 5; i++)
		round_of_unload(path);
}
