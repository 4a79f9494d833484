/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The kernel's log, as it is written. */
#ifndef SELFTEST_KMSG_H
#define SELFTEST_KMSG_H

#include <stddef.h>

/* From here on; the file's descriptor, or a negative errno. */
int kmsg_open(void);

/* The next line that has @text in it; from there on in @line. 0, or -ETIME if none comes. */
int kmsg_find(int kmsg, const char *text, char *line, size_t size);

#endif
