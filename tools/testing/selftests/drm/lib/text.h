/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Files of the kernel's that are a line of text. */
#ifndef SELFTEST_TEXT_H
#define SELFTEST_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* In one call, to a file that is there: 0 or a negative errno. */
int text_write(const char *path, const char *text);

/* The first line, without its end. False, and an empty text, if there is none. */
bool text_read(const char *path, char *text, size_t size);

#endif
