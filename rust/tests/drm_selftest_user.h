/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the parts of the program share. */
#ifndef DRM_SELFTEST_USER_H
#define DRM_SELFTEST_USER_H

void ok(int good, const char *what);

#define OK(cond) ok(!!(cond), #cond)

/* The result of an ioctl, or minus its errno. */
int call(int fd, unsigned long cmd, void *arg);
/* The device's node, or -1. */
int open_node(void);

/* drm_submit_user.c: submissions with syncobjs. */
void test_submit(int fd);

#endif
