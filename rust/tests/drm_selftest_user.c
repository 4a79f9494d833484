// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * User-space side of the test of the crate `drm`: uses the device of drm_selftest.ko and says, in TAP
 * format, what of the crate's promises holds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <drm.h>

#include "drm_selftest_user.h"

struct echo { uint64_t array; uint32_t count, stride; uint64_t reply; uint32_t reply_size, pad; uint64_t sum; };
struct create { uint64_t size; uint32_t flags, private, handle, pad; };
struct offset { uint32_t handle, pad; uint64_t offset; };
struct words { uint32_t handle, pad; uint64_t offset, value; };
struct bind { uint32_t op, handle; uint64_t addr, len, offset; uint32_t flags, fail; };
struct dump { uint32_t what, count; uint64_t words[24]; };
struct sync { uint32_t handle, pad; uint64_t point; };
struct range { uint64_t size, align, start; };
struct nothing { uint64_t pad; };

#define ECHO		DRM_IOWR(DRM_COMMAND_BASE + 0, struct echo)
#define CREATE		DRM_IOWR(DRM_COMMAND_BASE + 1, struct create)
#define OFFSET		DRM_IOWR(DRM_COMMAND_BASE + 2, struct offset)
#define READ		DRM_IOWR(DRM_COMMAND_BASE + 3, struct words)
#define WRITE		DRM_IOW(DRM_COMMAND_BASE + 4, struct words)
#define BIND		DRM_IOWR(DRM_COMMAND_BASE + 5, struct bind)
#define DUMP		DRM_IOWR(DRM_COMMAND_BASE + 6, struct dump)
#define SYNC		DRM_IOWR(DRM_COMMAND_BASE + 7, struct sync)
#define SIGNAL		DRM_IOW(DRM_COMMAND_BASE + 8, struct nothing)
#define WAIT		DRM_IOWR(DRM_COMMAND_BASE + 9, struct sync)
#define RANGE		DRM_IOWR(DRM_COMMAND_BASE + 10, struct range)
#define MASTER_ONLY	DRM_IOW(DRM_COMMAND_BASE + 11, struct nothing)
#define UNBIND		DRM_IOW(DRM_COMMAND_BASE + 12, struct nothing)
#define ZAP		DRM_IOW(DRM_COMMAND_BASE + 13, struct nothing)
#define MEMORY		DRM_IOW(DRM_COMMAND_BASE + 14, struct nothing)
#define SLOTS		DRM_IOW(DRM_COMMAND_BASE + 18, struct nothing)

#define PAGE ((uint64_t)sysconf(_SC_PAGESIZE))
/* Of many devices: a page of the CPU has one or more of them. */
#define DEVICE_PAGE 4096ULL
#define BASE 0x10000000ULL
#define HAMMERS 4
#define SHARED 8

static int tests, failures;

void ok(int good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++tests, what);
	failures += !good;
}

int call(int fd, unsigned long cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

int open_node(void)
{
	char path[64], name[32];

	for (int i = 128; i < 192; i++) {
		struct drm_version v = { .name = name, .name_len = sizeof(name) - 1 };
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/renderD%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		memset(name, 0, sizeof(name));
		if (!ioctl(fd, DRM_IOCTL_VERSION, &v) && !strcmp(name, "drm_selftest"))
			return fd;
		close(fd);
	}
	return -1;
}

static uint32_t create(int fd, uint64_t size, uint32_t flags, uint32_t private)
{
	struct create c = { .size = size, .flags = flags, .private = private };

	return call(fd, CREATE, &c) ? 0 : c.handle;
}

static int gem_close(int fd, uint32_t handle)
{
	struct drm_gem_close c = { .handle = handle };

	return call(fd, DRM_IOCTL_GEM_CLOSE, &c);
}

static int bind(int fd, uint32_t op, uint32_t handle, uint64_t addr, uint64_t len, uint64_t offset,
		uint32_t flags, uint32_t fail)
{
	struct bind b = {
		.op = op, .handle = handle, .addr = addr, .len = len, .offset = offset,
		.flags = flags, .fail = fail,
	};

	return call(fd, BIND, &b);
}

/* Whether the list has exactly these words. */
static int dumps(int fd, uint32_t what, uint32_t count, const uint64_t *words)
{
	struct dump d = { .what = what };

	if (call(fd, DUMP, &d) || d.count != count || memcmp(d.words, words, count * 8)) {
		printf("# list %u has %u words:", what, d.count);
		for (uint32_t i = 0; i < d.count && i < 24; i++)
			printf(" %#llx", (unsigned long long)d.words[i]);
		printf("\n");
		return 0;
	}
	return 1;
}

#define DUMPS(fd, what, ...) ({						\
	const uint64_t w[] = { __VA_ARGS__ };				\
	dumps(fd, what, sizeof(w) / 8, w);				\
})

static sigjmp_buf fault;

static void on_fault(int sig)
{
	siglongjmp(fault, sig);
}

/* Zero and the value, or the signal that reading gives. */
static int peek(const void *addr, uint32_t *value)
{
	int sig = sigsetjmp(fault, 1);

	if (!sig)
		*value = *(volatile const uint32_t *)addr;
	return sig;
}

static void test_identity(int fd)
{
	char name[32] = "", desc[64] = "";
	struct drm_version v = {
		.name = name, .name_len = sizeof(name) - 1, .desc = desc, .desc_len = sizeof(desc) - 1,
	};
	struct drm_get_cap cap = { .capability = DRM_CAP_SYNCOBJ_TIMELINE };
	struct nothing n = { 0 };

	OK(!call(fd, DRM_IOCTL_VERSION, &v));
	OK(v.version_major == 1 && v.version_minor == 2 && v.version_patchlevel == 3);
	OK(!strcmp(desc, "Test of the Rust DRM layer"));
	OK(!call(fd, DRM_IOCTL_GET_CAP, &cap) && cap.value == 1);
	OK(call(fd, MASTER_ONLY, &n) == -EACCES);
	OK(call(fd, DRM_IOW(DRM_COMMAND_BASE + 19, struct nothing), &n) == -EINVAL);
}

static void test_ioctl(int fd)
{
	struct { uint64_t value, extra, more; } items[3] = { { 1, 2, 0 }, { 3, 4, 0 }, { 5, 6, 0 } };
	uint64_t reply[4] = { ~0ULL, ~0ULL, ~0ULL, ~0ULL };
	struct echo e = { .array = (uintptr_t)items, .count = 3, .stride = 24 };
	struct { struct echo e; uint64_t newer; } longer = { .e = e, .newer = 7 };
	struct { uint64_t array; uint32_t count, stride; uint64_t reply; } shorter = {
		.array = (uintptr_t)items, .count = 3, .stride = 24,
	};

	OK(call(fd, ECHO, &e) == 5 && e.sum == 9 + (12ULL << 32));
	/* Shorter arguments are extended with zeroes, longer ones are cut off. */
	OK(call(fd, DRM_IOWR(DRM_COMMAND_BASE + 0, shorter), &shorter) == 5);
	OK(call(fd, DRM_IOWR(DRM_COMMAND_BASE + 0, longer), &longer) == 5);
	OK(longer.e.sum == 9 + (12ULL << 32));
	/* What the handler has changed comes back with its error. */
	e.sum = 0;
	e.pad = 1;
	OK(call(fd, ECHO, &e) == -EBADE && e.sum == 9 + (12ULL << 32));
	e.pad = 0;

	items[1].more = 1;
	OK(call(fd, ECHO, &e) == -E2BIG);
	items[1].more = 0;
	e.stride = 7;
	OK(call(fd, ECHO, &e) == -EINVAL);
	/* An older structure, without its second field. */
	uint64_t old[3] = { 10, 20, 30 };

	e.array = (uintptr_t)old;
	e.stride = 8;
	OK(call(fd, ECHO, &e) == 5 && e.sum == 60);
	e.array = 4096;
	OK(call(fd, ECHO, &e) == -EFAULT);
	e.array = ~0ULL - 4;
	OK(call(fd, ECHO, &e) == -EFAULT);
	e.count = 0;
	e.stride = 0;
	OK(call(fd, ECHO, &e) == 5 && e.sum == 0);
	e.count = ~0U;
	e.stride = 16;
	OK(call(fd, ECHO, &e) == -ENOMEM);

	e.count = 0;
	e.reply = (uintptr_t)reply;
	e.reply_size = 7;
	OK(call(fd, ECHO, &e) == -EINVAL && reply[0] == ~0ULL);
	e.reply_size = 12;
	OK(call(fd, ECHO, &e) == 5 && reply[0] == 0x11 && reply[1] == 0xffffffff00000022ULL);
	e.reply_size = 24;
	OK(call(fd, ECHO, &e) == 5 && reply[1] == 0x22 && reply[2] == 0 && reply[3] == ~0ULL);
	e.reply = 4096;
	OK(call(fd, ECHO, &e) == -EFAULT);
}

static void test_gem(int fd)
{
	struct create c = { .size = PAGE + 1000 };
	struct offset o = { 0 };
	struct words w = { .value = 0x0123456789abcdefULL };
	uint32_t hidden = create(fd, PAGE, 1, 0), private = create(fd, PAGE, 0, 1);
	struct drm_prime_handle p = { .flags = DRM_CLOEXEC | DRM_RDWR };
	uint32_t value = 0;
	uint64_t *map;
	/* As the index of a word. */
	const uint64_t page = PAGE / sizeof(*map);
	int status;

	OK(!call(fd, CREATE, &c) && c.size == 2 * PAGE && c.handle);
	c.size = 0;
	OK(call(fd, CREATE, &c) == -EINVAL);
	c.size = ~0ULL;
	OK(call(fd, CREATE, &c) == -EINVAL);
	c.size = 1ULL << 62;
	OK(call(fd, CREATE, &c) == -EINVAL || gem_close(fd, c.handle) == 0);

	c = (struct create){ .size = 4 * PAGE };
	OK(!call(fd, CREATE, &c));
	o.handle = 999;
	OK(call(fd, OFFSET, &o) == -ENOENT);
	o.handle = hidden;
	OK(call(fd, OFFSET, &o) == -EPERM);
	o.handle = c.handle;
	OK(!call(fd, OFFSET, &o) && o.offset);
	OK(mmap(NULL, 5 * PAGE, PROT_READ, MAP_SHARED, fd, o.offset) == MAP_FAILED);
	OK(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, o.offset) == MAP_FAILED &&
	   errno == EINVAL);
	map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, o.offset);
	OK(map != MAP_FAILED);
	OK(map[0] == 0 && map[4 * page - 1] == 0);

	w.handle = c.handle;
	w.offset = 3 * PAGE + 8;
	OK(!call(fd, WRITE, &w) && map[3 * page + 1] == 0x0123456789abcdefULL);
	map[page + 2] = 77;
	w.offset = PAGE + 16;
	OK(!call(fd, READ, &w) && w.value == 77);
	w.offset = 4 * PAGE - 7;
	OK(call(fd, READ, &w) == -EINVAL);
	w.offset = 4 * PAGE;
	OK(call(fd, READ, &w) == -EINVAL && call(fd, WRITE, &w) == -EINVAL);
	w.offset = ~0ULL - 3;
	OK(call(fd, READ, &w) == -EINVAL);
	w.offset = 4;
	OK(call(fd, READ, &w) == -EINVAL);

	/* A child sees the same memory, and its end does not hurt. */
	fflush(stdout);
	if (!fork()) {
		map[0] = 42;
		_exit(0);
	}
	wait(&status);
	OK(map[0] == 42);

	p.handle = private;
	OK(call(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &p) == -EINVAL);
	p.handle = hidden;
	OK(!call(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &p));
	OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, p.fd, 0) == MAP_FAILED && errno == EPERM);
	close(p.fd);
	p.handle = c.handle;
	OK(!call(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &p));
	uint64_t *shared = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, p.fd, 0);

	OK(shared != MAP_FAILED && shared[0] == 42);
	p.handle = 0;
	OK(!call(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &p) && p.handle == c.handle);
	close(p.fd);
	OK(!munmap(shared, 4 * PAGE));

	/* The mapping keeps the memory when the handle has gone. */
	OK(!gem_close(fd, c.handle) && gem_close(fd, c.handle) == -EINVAL);
	OK(!peek(map, &value) && value == 42);
	OK(!munmap(map, 4 * PAGE));
	OK(!gem_close(fd, hidden) && !gem_close(fd, private));
}

static void test_memory(int fd)
{
	struct nothing n = { 0 };

	OK(call(fd, MEMORY, &n) == 0);
	OK(call(fd, SLOTS, &n) == 0);
}

static void test_pages(int fd)
{
	uint32_t *page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 1ULL << 56);
	struct nothing n = { 0 };
	uint32_t value = 0;

	OK(page != MAP_FAILED && !peek(page + 4, &value) && value == 0x600d);
	/* It faults once, and once more after it was removed. */
	OK(!peek(page + 4, &value) && call(fd, ZAP, &n) == 1);
	OK(!peek(page + 4, &value) && value == 0x600d && call(fd, ZAP, &n) == 2);
	OK(mprotect(page, PAGE, PROT_READ | PROT_WRITE) && errno == EACCES);
	OK(!munmap(page, PAGE));
	OK(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 1ULL << 56) == MAP_FAILED && errno == EINVAL);
	OK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1ULL << 56) == MAP_FAILED && errno == EINVAL);
	OK(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 1ULL << 56) == MAP_FAILED &&
	   errno == EINVAL);
	page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, (1ULL << 56) + PAGE);
	OK(page != MAP_FAILED && peek(page, &value) == SIGBUS);
	munmap(page, PAGE);
}

static void test_gpuvm(int fd)
{
	uint32_t a = create(fd, 64 * PAGE, 0, 0), b = create(fd, 64 * PAGE, 0, 1);

	OK(bind(fd, 1, a, BASE - PAGE, PAGE, 0, 0, 0) == -EINVAL);
	OK(bind(fd, 1, a, 2 * BASE, PAGE, 0, 0, 0) == -EINVAL);
	OK(bind(fd, 1, a, ~0ULL - PAGE + 1, PAGE, 0, 0, 0) == -EINVAL);
	OK(bind(fd, 1, a, BASE, 65 * PAGE, 0, 0, 0) == -EINVAL);
	OK(bind(fd, 1, a, BASE, PAGE, ~0ULL - PAGE + 1, 0, 0) == -EINVAL);
	OK(bind(fd, 1, a, BASE, 0, 0, 0, 0) == -EINVAL);
	OK(bind(fd, 2, 0, BASE, 0, 0, 0, 0) == -EINVAL);
	OK(bind(fd, 1, 999, BASE, PAGE, 0, 0, 0) == -ENOENT);

	OK(!bind(fd, 1, a, BASE, 16 * PAGE, PAGE, 5, 0));
	OK(DUMPS(fd, 0, 1, BASE, 16 * PAGE));
	OK(DUMPS(fd, 1, BASE, 16 * PAGE, PAGE));
	/* A hole leaves both ends, with the data of the whole. */
	OK(!bind(fd, 2, 0, BASE + 4 * PAGE, 2 * PAGE, 0, 0, 0));
	OK(DUMPS(fd, 0, 3, BASE + 4 * PAGE, 2 * PAGE));
	OK(DUMPS(fd, 1, BASE, 4 * PAGE, PAGE, BASE + 6 * PAGE, 10 * PAGE, 7 * PAGE));
	struct dump d = { .what = 2, .words = { BASE + 5 * PAGE, 4 * PAGE } };

	OK(!call(fd, DUMP, &d) && d.count == 3 && d.words[0] == BASE + 6 * PAGE && d.words[2] == 5);
	/* Another buffer in the middle: one cut, one whole mapping gone, one cut. */
	OK(!bind(fd, 1, b, BASE + 4 * PAGE, PAGE, 0, 6, 0));
	OK(!bind(fd, 1, b, BASE + 2 * PAGE, 6 * PAGE, 8 * PAGE, 7, 0));
	OK(DUMPS(fd, 0, 3, BASE + 2 * PAGE, 2 * PAGE, 2, BASE + 4 * PAGE, PAGE,
		 3, BASE + 6 * PAGE, 2 * PAGE, 1, BASE + 2 * PAGE, 6 * PAGE));
	OK(DUMPS(fd, 1, BASE, 2 * PAGE, PAGE, BASE + 2 * PAGE, 6 * PAGE, 8 * PAGE,
		 BASE + 8 * PAGE, 8 * PAGE, 9 * PAGE));
	/* Inside one mapping. */
	OK(!bind(fd, 1, a, BASE + 4 * PAGE, PAGE, 0, 8, 0));
	OK(DUMPS(fd, 1, BASE, 2 * PAGE, PAGE, BASE + 2 * PAGE, 2 * PAGE, 8 * PAGE,
		 BASE + 4 * PAGE, PAGE, 0, BASE + 5 * PAGE, 3 * PAGE, 11 * PAGE,
		 BASE + 8 * PAGE, 8 * PAGE, 9 * PAGE));
	/* A failing step leaves what it was about, and what was done before it. */
	OK(bind(fd, 2, 0, BASE, 16 * PAGE, 0, 0, 3) == -EIO);
	OK(DUMPS(fd, 1, BASE + 4 * PAGE, PAGE, 0, BASE + 5 * PAGE, 3 * PAGE, 11 * PAGE,
		 BASE + 8 * PAGE, 8 * PAGE, 9 * PAGE));
	OK(bind(fd, 1, b, BASE + 4 * PAGE, 2 * PAGE, 0, 0, 2) == -EIO);
	OK(DUMPS(fd, 1, BASE + 5 * PAGE, 3 * PAGE, 11 * PAGE, BASE + 8 * PAGE, 8 * PAGE, 9 * PAGE));
	/* Mappings keep the buffers. */
	OK(!gem_close(fd, a) && !gem_close(fd, b));
	OK(DUMPS(fd, 1, BASE + 5 * PAGE, 3 * PAGE, 11 * PAGE, BASE + 8 * PAGE, 8 * PAGE, 9 * PAGE));
	OK(!bind(fd, 2, 0, BASE, BASE, 0, 0, 0));
	OK(DUMPS(fd, 0, 2, BASE + 5 * PAGE, 3 * PAGE, 2, BASE + 8 * PAGE, 8 * PAGE));
	OK(dumps(fd, 1, 0, NULL));
	/* Left for close() to clean up. */
	a = create(fd, 8 * PAGE, 0, 0);
	OK(!bind(fd, 1, a, BASE, 8 * PAGE, 0, 0, 0));
	OK(!bind(fd, 2, 0, BASE + PAGE, PAGE, 0, 0, 0));
}

/* A device's pages are 4 KiB long, whatever the CPU's are: a mapping may begin and end inside of one of those. */
static void test_device_pages(int fd)
{
	const uint64_t last = 2 * PAGE - DEVICE_PAGE;
	uint32_t a = create(fd, 2 * PAGE, 0, 0);

	OK(!bind(fd, 1, a, BASE, DEVICE_PAGE, last, 0, 0));
	OK(!bind(fd, 1, a, BASE + DEVICE_PAGE, DEVICE_PAGE, 0, 0, 0));
	OK(!bind(fd, 1, a, BASE + 2 * DEVICE_PAGE, 2 * PAGE - DEVICE_PAGE, DEVICE_PAGE, 0, 0));
	OK(DUMPS(fd, 1, BASE, DEVICE_PAGE, last, BASE + DEVICE_PAGE, DEVICE_PAGE, 0,
		 BASE + 2 * DEVICE_PAGE, last, DEVICE_PAGE));
	OK(bind(fd, 1, a, BASE, DEVICE_PAGE, 2 * PAGE, 0, 0) == -EINVAL);
	OK(bind(fd, 1, a, BASE, 2 * DEVICE_PAGE, last, 0, 0) == -EINVAL);
	OK(!bind(fd, 2, 0, BASE, 2 * DEVICE_PAGE, 0, 0, 0));
	OK(DUMPS(fd, 1, BASE + 2 * DEVICE_PAGE, last, DEVICE_PAGE));
	OK(!bind(fd, 2, 0, BASE, BASE, 0, 0, 0) && !gem_close(fd, a));
}

/* Random changes of eight pages, against an array that says what each of them should show. */
static void test_gpuvm_random(int fd)
{
	enum { PAGES = 8, CHANGES = 3000, NONE = -1 };
	uint32_t buffers[2] = { create(fd, 64 * PAGE, 0, 0), create(fd, 64 * PAGE, 0, 1) };
	int expected[PAGES], found[PAGES], bad = 0;
	uint32_t random = 1;

	memset(expected, NONE, sizeof(expected));
	bind(fd, 2, 0, BASE, BASE, 0, 0, 0);
	for (int change = 0; change < CHANGES && !bad; change++) {
		struct dump d = { .what = 1 };
		int first, count, from;

		random = random * 1103515245 + 12345;
		first = (random >> 16) % PAGES;
		count = 1 + (random >> 20) % (PAGES - first);
		from = (random >> 24) % 32;
		if (random & 0x8000) {
			/* The offsets of the two buffers do not overlap, so they tell which it is. */
			int which = (random >> 14) & 1;

			from = which * 32 + from % (33 - count);
			bad |= bind(fd, 1, buffers[which], BASE + first * PAGE, count * PAGE,
				    from * PAGE, 0, 0);
			for (int i = 0; i < count; i++)
				expected[first + i] = from + i;
		} else {
			bad |= bind(fd, 2, 0, BASE + first * PAGE, count * PAGE, 0, 0, 0);
			for (int i = 0; i < count; i++)
				expected[first + i] = NONE;
		}

		memset(found, NONE, sizeof(found));
		bad |= call(fd, DUMP, &d);
		for (uint32_t i = 0; i + 2 < d.count; i += 3) {
			for (uint64_t page = 0; page < d.words[i + 1] / PAGE; page++) {
				uint64_t at = (d.words[i] - BASE) / PAGE + page;

				bad |= at >= PAGES || found[at] != NONE;
				if (!bad)
					found[at] = d.words[i + 2] / PAGE + page;
			}
		}
		bad |= memcmp(found, expected, sizeof(found));
	}
	ok(!bad, "random changes leave what they should");
	bind(fd, 2, 0, BASE, BASE, 0, 0, 0);
	gem_close(fd, buffers[0]);
	gem_close(fd, buffers[1]);
}

int fence_make(int fd, uint32_t handle)
{
	return call(fd, SYNC, &(struct sync){ .handle = handle });
}

int fence_signal(int fd)
{
	return call(fd, SIGNAL, &(struct nothing){ 0 });
}

int fence_has_signalled(int fd, uint32_t handle)
{
	return call(fd, WAIT, &(struct sync){ .handle = handle });
}

static void test_sync(int fd)
{
	struct drm_syncobj_create binary = { 0 }, timeline = { 0 };
	struct sync s = { .handle = 999 };
	struct nothing n = { 0 };
	uint32_t buffer = create(fd, PAGE, 0, 0), other = create(fd, PAGE, 0, 1);

	OK(!bind(fd, 1, buffer, BASE, PAGE, 0, 0, 0) && !bind(fd, 1, other, BASE + PAGE, PAGE, 0, 0, 0));
	OK(!call(fd, DRM_IOCTL_SYNCOBJ_CREATE, &binary) && !call(fd, DRM_IOCTL_SYNCOBJ_CREATE, &timeline));
	OK(call(fd, SYNC, &s) == -ENOENT && call(fd, WAIT, &s) == -ENOENT);
	s.handle = 0;
	OK(!call(fd, SYNC, &s) && s.handle && call(fd, WAIT, &s) == 0);
	OK(!call(fd, SIGNAL, &n) && call(fd, WAIT, &s) == 1);
	s.handle = binary.handle;
	OK(call(fd, WAIT, &s) == -EINVAL);
	OK(call(fd, SIGNAL, &n) == -ENOENT);
	OK(!call(fd, SYNC, &s));
	/* The fence of the file is taken: an error with everything locked. */
	OK(call(fd, SYNC, &s) == -EBUSY);
	s.pad = buffer;
	OK(call(fd, WAIT, &s) == 0);
	s.pad = other;
	OK(call(fd, WAIT, &s) == 0);

	uint32_t handle = binary.handle;
	struct drm_syncobj_wait w = { .handles = (uintptr_t)&handle, .count_handles = 1 };

	OK(call(fd, DRM_IOCTL_SYNCOBJ_WAIT, &w) == -ETIME);
	OK(!call(fd, SIGNAL, &n));
	OK(call(fd, WAIT, &s) == 3);
	OK(!call(fd, DRM_IOCTL_SYNCOBJ_WAIT, &w));

	s = (struct sync){ .handle = timeline.handle, .point = 3 };
	OK(!call(fd, SYNC, &s) && call(fd, WAIT, &s) == 0);
	s.point = 4;
	OK(call(fd, WAIT, &s) == -EINVAL);
	OK(!call(fd, SIGNAL, &n));
	s.point = 3;
	OK(call(fd, WAIT, &s) == 1);

	uint32_t points = timeline.handle;
	uint64_t value = 0;
	struct drm_syncobj_timeline_array q = {
		.handles = (uintptr_t)&points, .points = (uintptr_t)&value, .count_handles = 1,
	};

	OK(!call(fd, DRM_IOCTL_SYNCOBJ_QUERY, &q) && value == 3);
	/* Left unsignalled for close() to end. */
	s.point = 9;
	OK(!call(fd, SYNC, &s));
}

static void test_range(int fd)
{
	struct range r = { .size = 0x2000, .align = 0x4000 };

	OK(!call(fd, RANGE, &r) && r.start == 0x4000);
	r.align = 3;
	OK(call(fd, RANGE, &r) == -EINVAL);
	r.align = 1;
	r.size = 0x8001;
	OK(call(fd, RANGE, &r) == -ENOSPC);
	r.size = 0;
	OK(call(fd, RANGE, &r) == -ENOSPC);
}

static int contains(const char *path, const char *what)
{
	char buf[4096];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(buf, 1, sizeof(buf) - 1, f) : 0;

	buf[n] = 0;
	if (f)
		fclose(f);
	if (strstr(buf, what))
		return 1;
	printf("# %s: %s\n", path, buf);
	return 0;
}

static void test_unbind(int fd)
{
	struct create c = { .size = PAGE };
	struct offset o = { 0 };
	struct nothing n = { 0 };
	uint32_t *map, *page, value = 0;
	uint32_t unused;
	int ret;

	OK(!call(fd, CREATE, &c));
	o.handle = c.handle;
	OK(!call(fd, OFFSET, &o));
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, o.offset);
	*map = 99;
	unused = create(fd, PAGE, 0, 0);
	o.handle = unused;
	OK(!call(fd, OFFSET, &o));
	uint32_t *untouched = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, o.offset);

	page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 1ULL << 56);
	OK(!peek(page + 4, &value) && value == 0x600d);
	OK(!bind(fd, 1, c.handle, BASE, PAGE, 0, 0, 0));

	OK(!call(fd, UNBIND, &n));
	for (int i = 0; i < 1000; i++) {
		ret = call(fd, ECHO, &(struct echo){ 0 });
		if (ret == -ENODEV)
			break;
		usleep(1000);
	}
	OK(ret == -ENODEV);
	/* The node and the mappings disappear a moment after the first refusal. */
	for (int i = 0; i < 2000 && !peek(page, &value); i++)
		usleep(1000);
	OK(open_node() < 0);
	OK(call(fd, UNBIND, &n) == -ENODEV);
	/* Memory that exists stays; what belongs to the hardware has gone. */
	OK(!peek(map, &value) && value == 99);
	OK(peek(untouched, &value) == SIGBUS);
	OK(peek(page, &value) == SIGBUS);
	OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 1ULL << 56) == MAP_FAILED && errno == ENODEV);
	OK(!munmap(map, PAGE));
}

/*
 * Uses everything until the device has gone; 0 if that was noticed in the right way. The address
 * spaces share buffers, which every other one locks in the opposite order.
 */
static int hammer(unsigned int seed, const int *shared)
{
	struct drm_syncobj_create syncobj = { 0 };
	int fd = open_node(), ret = 0;

	if (fd < 0 || call(fd, DRM_IOCTL_SYNCOBJ_CREATE, &syncobj))
		return 1;
	for (unsigned int i = 0; i < SHARED; i++) {
		struct drm_prime_handle p = { .fd = shared[seed & 1 ? i : SHARED - 1 - i] };

		if (call(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &p) ||
		    bind(fd, 1, p.handle, BASE + (64 + i) * PAGE, PAGE, 0, 0, 0))
			return 2;
	}
	for (unsigned int i = seed; !ret; i++) {
		uint32_t handle = create(fd, 8 * PAGE, 0, i & 1);
		struct offset o = { .handle = handle };
		struct sync s = { .handle = syncobj.handle, .point = i };
		struct nothing n = { 0 };
		uint32_t *map, value;

		if (!handle)
			break;
		ret = call(fd, OFFSET, &o);
		map = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, o.offset);
		if (map != MAP_FAILED) {
			for (uint64_t at = 0; at < 8 * PAGE / sizeof(*map); at += PAGE / sizeof(*map))
				if (!peek(map + at, &value))
					map[at] = i;
			munmap(map, 8 * PAGE);
		}
		ret = ret ?: bind(fd, 1, handle, BASE + (i * 7 % 32) * PAGE, 8 * PAGE, 0, i, 0);
		ret = ret ?: call(fd, SYNC, &s);
		ret = ret ?: bind(fd, 2, 0, BASE + (i * 5 % 32) * PAGE, 5 * PAGE, 0, 0, 0);
		ret = ret ?: call(fd, SIGNAL, &n);
		gem_close(fd, handle);
	}
	ret = call(fd, ECHO, &(struct echo){ 0 });
	close(fd);
	return ret != -ENODEV;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_fault };
	int fd, second, shared[SHARED];
	char path[64], total[64], resident[64];

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);

	fd = open_node();
	OK(fd >= 0);
	if (fd < 0)
		return 1;
	second = open_node();
	OK(second >= 0);
	test_identity(fd);
	test_ioctl(fd);
	test_gem(fd);
	test_memory(fd);
	test_pages(fd);
	test_device_pages(fd);
	test_gpuvm(fd);
	test_gpuvm_random(fd);
	close(fd);
	test_sync(second);
	test_submit(second);
	test_range(second);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", second);
	OK(contains(path, "drm-driver:\tdrm_selftest") && contains(path, "drm-selftest-steps:\t1\n"));
	/* Two buffers of a page each. */
	snprintf(total, sizeof(total), "drm-total-memory:\t%d KiB", (int)(2 * PAGE / 1024));
	snprintf(resident, sizeof(resident), "drm-resident-memory:\t%d KiB", (int)(2 * PAGE / 1024));
	OK(contains(path, total) && contains(path, resident));
	close(second);
	/* Nothing is left of either file but the buffer that the device itself has. */
	OK(contains("/sys/kernel/debug/dri/drm-selftest/alive", "bound 1 objects 1 files 0") ||
	   contains("/sys/kernel/debug/dri/0/alive", "bound 1 objects 1 files 0"));
	test_unload();
	fd = open_node();
	for (int i = 0; i < SHARED; i++) {
		struct drm_prime_handle p = {
			.handle = create(fd, PAGE, 0, 0), .flags = DRM_CLOEXEC | DRM_RDWR,
		};

		OK(!call(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &p));
		shared[i] = p.fd;
	}
	fflush(stdout);
	for (unsigned int i = 0; i < HAMMERS; i++) {
		if (!fork())
			_exit(hammer(i * 1001 + 1, shared));
	}
	usleep(1000000);
	test_unbind(fd);
	for (int i = 0; i < HAMMERS; i++) {
		int status;

		wait(&status);
		OK(WIFEXITED(status) && !WEXITSTATUS(status));
	}
	printf("1..%d\n", tests);
	return !!failures;
}
