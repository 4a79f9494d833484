// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * By rule F5: addresses are the driver's own, and caches are the DMA API's business all the same. User-mode Linux has
 * none, so what counts is what the DMA API is asked for, which dmawatch.ko tells. Needs root, a driver whose calls go
 * through that module, and a kernel with CONFIG_DMA_API_DEBUG: in others the calls are empty where an architecture has
 * no such caches.
 */
#include <linux/dma-buf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cores.h"
#include "suite.h"
#include "text.h"

#define COUNTS		"/sys/module/dmawatch/parameters"
#define MISUSES		"/sys/kernel/debug/dma-api/error_count"
#define NONCOHERENT	"/sys/firmware/devicetree/base/soc/npu@adab0000/dma-noncoherent"

static long number_in(const char *path)
{
	char text[32];

	return text_read(path, text, sizeof(text)) ? atol(text) : -1;
}

/* What was asked for since the last time, in bytes. */
struct maintained {
	long for_cpu, for_device;
};

static struct maintained look(void)
{
	struct maintained sum = {
		.for_cpu = number_in(COUNTS "/for_cpu"), .for_device = number_in(COUNTS "/for_device"),
	};

	text_write(COUNTS "/for_cpu", "0");
	text_write(COUNTS "/for_device", "0");
	return sum;
}

FIXTURE(cache) {
	struct npu npu;
	/* How often maintenance is asked for: not at all where nobody needs it. */
	uint32_t times;
	long misuses;
	bool ready;
};

FIXTURE_SETUP(cache)
{
	NEEDS_MODEL();
	if (access(COUNTS, F_OK) || access(MISUSES, F_OK))
		SKIP(return, "needs dmawatch.ko and a kernel with CONFIG_DMA_API_DEBUG");
	self->times = access(NONCOHERENT, F_OK) == 0;
	if (!self->times)
		KNOWN_C_DEFECT("it leaves it to the DMA API to know that there is no need");
	ASSERT_EQ(0, npu_open(&self->npu));
	self->ready = true;
	self->misuses = number_in(MISUSES);
	look();
}

FIXTURE_TEARDOWN(cache)
{
	if (!self->ready)
		return;
	npu_close(&self->npu);
	/* Uses of the DMA API that it takes for wrong. */
	EXPECT_EQ(self->misuses, number_in(MISUSES));
	EXPECT_EQ(0, hwmodel_records());
}

TEST_F(cache, each_buffer_is_maintained_when_it_changes_hands)
{
	static const uint32_t sizes[] = { 4096, 3 * 4096 + 1, 1 << 22 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t whole = (sizes[i] + 4095) / 4096 * 4096;
		struct maintained did;
		struct npu_bo bo;

		ASSERT_EQ(0, npu_bo_create(&self->npu, sizes[i], &bo));
		look();
		ASSERT_EQ(0, npu_bo_prep(&bo, PATIENCE));
		did = look();
		EXPECT_EQ(self->times * whole, did.for_cpu);
		EXPECT_EQ(0, did.for_device);

		memset(bo.map, 0x5a, sizes[i]);
		ASSERT_EQ(0, npu_bo_fini(&bo));
		did = look();
		EXPECT_EQ(0, did.for_cpu);
		EXPECT_EQ(self->times * whole, did.for_device);
		npu_bo_destroy(&bo);
		look();
	}
}

/* Nobody has to ask twice: with the calls that a client makes anyway, everything was maintained that a job uses. */
TEST_F(cache, a_job_costs_what_its_client_asks_for_and_no_more)
{
	struct loaded loaded;
	struct lists lists;
	struct layer layer;
	struct maintained did;
	struct drm_rocket_job job;

	layer_generate(&layer, 1, false, (struct shape){ 8, 8, 16 }, 16, 1, 1, 0);
	ASSERT_EQ(0, layer_load(&self->npu, &layer, &loaded));
	ASSERT_EQ(0, lists_create(&self->npu, &lists));
	lists_add(&lists, &layer, &loaded);
	look();
	job = npu_job(lists.tasks, 1, &loaded.input, &loaded.output);
	ASSERT_EQ(0, npu_submit(&self->npu, &job, 1));
	ASSERT_EQ(0, npu_bo_prep(&loaded.output, PATIENCE));
	did = look();
	EXPECT_EQ(0, did.for_device);
	EXPECT_LE(self->times * loaded.output.size, did.for_cpu);
	EXPECT_GE(self->times * (loaded.output.size + 4095), did.for_cpu);
	EXPECT_GE(1, (uint32_t)layer_check(&layer, &loaded));
	layer_unload(&loaded);
	layer_free(&layer);
	lists_destroy(&lists);
}

/* The same for who has it as a dma-buf. */
TEST_F(cache, a_buffer_that_was_exported_is_maintained_too)
{
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR };
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };
	struct maintained did;
	struct npu_bo bo;

	KNOWN_C_DEFECT("a dma-buf of its own is maintained for nobody but importers");
	if (!self->times)
		SKIP(return, "the DMA API knows that there is no need");
	ASSERT_EQ(0, npu_bo_create(&self->npu, 8192, &bo));
	prime.handle = bo.handle;
	ASSERT_EQ(0, npu_ioctl(self->npu.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime));
	look();
	ASSERT_EQ(0, ioctl(prime.fd, DMA_BUF_IOCTL_SYNC, &sync));
	did = look();
	EXPECT_EQ(self->times * 8192, did.for_cpu);
	EXPECT_EQ(0, did.for_device);
	sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;
	ASSERT_EQ(0, ioctl(prime.fd, DMA_BUF_IOCTL_SYNC, &sync));
	did = look();
	EXPECT_EQ(0, did.for_cpu);
	EXPECT_EQ(self->times * 8192, did.for_device);
	close(prime.fd);
	npu_bo_destroy(&bo);
}

TEST_HARNESS_MAIN
