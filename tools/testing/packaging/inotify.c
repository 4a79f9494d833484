// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * An inotify on which nothing ever happens, preloaded into udevd: it does not start without one, and the arm64 kernels of the
 * tests have none. It would tell udevd of rules that have changed, and of disks that were written to.
 */

int eventfd(unsigned int count, int flags);
int inotify_init1(int flags);
int inotify_add_watch(int fd, const char *path, unsigned int mask);
int inotify_rm_watch(int fd, int watch);

int inotify_init1(int flags)
{
	/* IN_CLOEXEC and IN_NONBLOCK are EFD_CLOEXEC and EFD_NONBLOCK. */
	return eventfd(0, flags);
}

int inotify_add_watch(int fd, const char *path, unsigned int mask)
{
	static int last;

	return ++last;
}

int inotify_rm_watch(int fd, int watch)
{
	return 0;
}
