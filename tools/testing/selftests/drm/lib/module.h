/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The driver as a module. All of it needs root; functions return 0 or a negative errno. */
#ifndef SELFTEST_MODULE_H
#define SELFTEST_MODULE_H

/* The driver's file, from DRM_TEST_MODULE; NULL if the caller of the test does not say. */
const char *module_path(void);
int module_load(const char *path);
/* As above; @parameters as on insmod's command line. */
int module_load_with(const char *path, const char *parameters);
/* Without waiting: -EWOULDBLOCK while it is in use. */
int module_unload(const char *name);

#endif
