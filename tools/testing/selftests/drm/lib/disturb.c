// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "disturb.h"
#include "hwmodel.h"
#include "power.h"
#include "reclaim.h"
#include "text.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

uint32_t number(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

sigjmp_buf bus_error;

static void on_bus_error(int sig)
{
	siglongjmp(bus_error, 1);
}

void catch_bus_errors(void)
{
	struct sigaction action = { .sa_handler = on_bus_error };

	sigaction(SIGBUS, &action, NULL);
}

enum end said(struct world *world, const char *what, int ret)
{
	if (ret >= 0)
		return WELL;
	if (ret == -ENODEV)
		return GONE;
	if (atomic_fetch_add(&world->failed, 1) < 5)
		printf("# %s: %s\n", what, strerror(-ret));
	return FAILED;
}

/* Reads whatever can be read, all the time. */
static void look_around(struct world *world, const struct gpu *any, uint32_t *state)
{
	static const char *const files[] = { "gems", "sched" };
	struct drm_panthor_timestamp_info times;
	volatile uint32_t *flush_id;
	static struct bo bo;
	static struct gpu gpu;
	char path[64], text[4096];
	ssize_t got;
	int fd;

	memset(&bo, 0, sizeof(bo));
	if (gpu_open(&gpu)) {
		sleep_ms(2);
		return;
	}
	flush_id = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, gpu.fd,
			DRM_PANTHOR_USER_FLUSH_ID_MMIO_OFFSET);
	if (!sigsetjmp(bus_error, 1)) {
		uint32_t value = number(state), sum = 0;

		if (said(world, "buffer", bo_create(&gpu, 16 * PAGE, 0, 0, &bo)) == WELL &&
		    said(world, "map", bo_mmap(&gpu, &bo)) == WELL) {
			for (uint32_t page = 0; page < 16; page++)
				bo.u32[page * PAGE / 4] = value + page;
		}
		for (uint32_t i = 0; i < 20; i++) {
			if (flush_id != MAP_FAILED)
				sum += *flush_id;
			for (uint32_t page = 0; bo.map && page < 16; page++) {
				if (bo.u32[page * PAGE / 4] != value + page)
					atomic_fetch_add(&world->wrong, 1);
			}
			memset(&times, 0, sizeof(times));
			if (said(world, "times", gpu_query(&gpu, DRM_PANTHOR_DEV_QUERY_TIMESTAMP_INFO,
							   &times, sizeof(times))) == GONE)
				break;
			gpu_fdinfo(&gpu, "drm-cycles-panthor");
			snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/%s",
				 gpu.node + strcspn(gpu.node, "0123456789"), files[i % 2]);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			do {
				got = fd < 0 ? 0 : read(fd, text, sizeof(text));
			} while (got > 0);
			if (fd >= 0)
				close(fd);
			sleep_ms(number(state) % 4);
		}
		atomic_fetch_add(&world->looks, sum | 1);
	}
	if (flush_id != MAP_FAILED)
		munmap((void *)flush_id, PAGE);
	if (bo.map)
		munmap(bo.map, bo.size);
	gpu_close(&gpu);
}

static void reset(struct world *world, const struct gpu *any, uint32_t *state)
{
	struct gpu gpu;
	char path[64];

	sleep_ms(number(state) % 40);
	if (gpu_open(&gpu))
		return;
	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/reset",
		 gpu.node + strcspn(gpu.node, "0123456789"));
	/* It may go between the two. */
	gpu_close(&gpu);
	if (!text_write(path, "1"))
		atomic_fetch_add(&world->resets, 1);
}

static void suspend(struct world *world, const struct gpu *any, uint32_t *state)
{
	static const char *const delays[] = { "0", "1", "5", "50" };
	char path[128];

	sleep_ms(number(state) % 30);
	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s/power/autosuspend_delay_ms",
		 any->device);
	text_write(path, delays[number(state) % COUNT(delays)]);
	if (number(state) % 8 == 0)
		power_keep_on(any, true);
	else
		power_keep_on(any, false);
}

/*
 * Some jobs further, so that a slow machine, where each takes longer, does not unbind more often for it.
 * If they do not come, as on a device that its firmware has cost, only another probe helps.
 */
static void let_work(struct world *world, uint32_t *state)
{
	uint32_t enough = atomic_load(&world->rounds) + 1 + number(state) % 20;
	int64_t end = now_ns() + 5000000000;

	while (atomic_load(&world->rounds) < enough && !atomic_load(&world->stop) && now_ns() < end)
		sleep_ms(5);
	sleep_ms(number(state) % 100);
}

static void rebind(struct world *world, const struct gpu *any, uint32_t *state)
{
	/* Firmware that dies while it boots costs that attempt. */
	uint32_t attempts = world->crashes ? 5 : 1;

	let_work(world, state);
	said(world, "unbinding the driver", device_unbind(any));
	sleep_ms(number(state) % 20);
	while (attempts && device_bind(any))
		attempts--;
	if (!attempts) {
		atomic_fetch_add(&world->failed, 1);
		printf("# the driver cannot be bound again\n");
	}
	atomic_fetch_add(&world->unbinds, 1);
}

static void press(struct world *world, const struct gpu *any, uint32_t *state)
{
	struct gpu gpu;

	sleep_ms(number(state) % 30);
	if (gpu_open(&gpu))
		return;
	reclaim(&gpu, number(state) % 2000);
	gpu_close(&gpu);
}

/* Slower than usual, and with @crashes now and then dead. */
static void inject(struct world *world, const struct gpu *any, uint32_t *state)
{
	static const char *const what[] = {
		"soft-reset delay", "flush delay", "as delay", "mcu ack delay csg 7",
	};
	char line[48];

	sleep_ms(number(state) % 50);
	if (world->crashes && number(state) % 50 == 0) {
		hwmodel_inject("mcu crash");
		atomic_fetch_add(&world->crashed, 1);
		return;
	}
	snprintf(line, sizeof(line), "%s %u", what[number(state) % COUNT(what)],
		 number(state) % 3000000);
	hwmodel_inject(line);
}

disturbance *const disturbances[DISTURBANCES] = {
	look_around, look_around, reset, suspend, rebind, press, inject,
};
