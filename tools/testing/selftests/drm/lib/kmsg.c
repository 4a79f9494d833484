// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "gpu.h"
#include "kmsg.h"

int kmsg_open(void)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0)
		return -errno;
	return kmsg;
}

int kmsg_find(int kmsg, const char *text, char *line, size_t size)
{
	int64_t end = now_ns() + PATIENCE;

	while (now_ns() < end) {
		ssize_t len = read(kmsg, line, size - 1);
		char *found;

		if (len < 0 && errno == EAGAIN) {
			sleep_ms(1);
			continue;
		}
		/* Overtaken by the writers: EPIPE, and the next read goes on with what is left. */
		if (len < 0)
			continue;
		line[len] = '\0';
		found = strstr(line, text);
		if (found) {
			memmove(line, found, strlen(found) + 1);
			return 0;
		}
	}
	return -ETIME;
}
