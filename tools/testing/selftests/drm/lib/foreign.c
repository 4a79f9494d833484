// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "foreign.h"

int exporter_buffer_with(uint64_t size, uint32_t flags)
{
	struct exporter_create args = { .size = size, .flags = flags };
	int fd = open(EXPORTER_NODE, O_RDWR | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, EXPORTER_CREATE, &args))
		ret = -errno;
	close(fd);
	return ret ? ret : args.fd;
}

struct exporter_info exporter_info(void)
{
	struct exporter_info info = { 0 };
	int fd = open(EXPORTER_NODE, O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		ioctl(fd, EXPORTER_INFO, &info);
		close(fd);
	}
	return info;
}
