/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the parts of the program share. */
#ifndef DRM_SELFTEST_USER_H
#define DRM_SELFTEST_USER_H

#include <stdint.h>

void ok(int good, const char *what);

#define OK(cond) ok(!!(cond), #cond)

/* The result of an ioctl, or minus its errno. */
int call(int fd, unsigned long cmd, void *arg);
/* The device's node, or -1. */
int open_node(void);

/* Puts a fence of the file into a syncobj; there can be one at a time. */
int fence_make(int fd, uint32_t handle);
int fence_signal(int fd);
/* 1 if the fence in a syncobj has signalled. */
int fence_has_signalled(int fd, uint32_t handle);

/* drm_submit_user.c: submissions with syncobjs. */
void test_submit(int fd);
/* Puts the fence of a job that does not end into a syncobj. */
int job_make(int fd, uint32_t handle);

/* drm_unload_user.c: fences that outlive the module. The module is loaded before and after it. */
void test_unload(void);

#endif
