/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the test module exporter.ko offers at /dev/exporter. */
#ifndef EXPORTER_H
#define EXPORTER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define EXPORTER_NODE		"/dev/exporter"

/* What is wrong with a buffer. */
#define EXPORTER_SHORT		(1 << 0)	/* the table lacks the last page */
#define EXPORTER_UNALIGNED	(1 << 1)	/* the table's pages are none */
#define EXPORTER_EMPTY		(1 << 2)	/* the table has no entry */
#define EXPORTER_GONE		(1 << 3)	/* whoever maps it gets ENODEV */
#define EXPORTER_NO_MMAP	(1 << 4)	/* user space cannot map it */
/* No defect: the table has pieces of 4 KiB, those of each page of the CPU from its end to its beginning. */
#define EXPORTER_PIECES		(1 << 5)

struct exporter_create {
	__u64 size;		/* in bytes, as the dma-buf has it: not rounded */
	__u32 flags;
	__s32 fd;		/* out */
};

/* Of all buffers that there are. */
struct exporter_info {
	__u32 buffers;
	__u32 attached;
	__u32 mapped;
	__u32 pad;
};

#define EXPORTER_CREATE		_IOWR('E', 0, struct exporter_create)
#define EXPORTER_INFO		_IOR('E', 1, struct exporter_info)

#endif
