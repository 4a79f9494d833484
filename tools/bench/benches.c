// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What is measured of the GPU. */
#include <string.h>

#include "bench.h"
#include "gpu.h"

extern const struct bench submit_bench, wakeup_bench, load_bench, rate_bench, counts_bench;
extern const struct bench workers_bench, memory_bench, path_bench, allocations_bench, binds_bench;
extern const struct bench groups_bench, tick_bench, spaces_bench, recovery_bench, waits_bench;

static const struct bench *const benches[] = {
	&submit_bench, &wakeup_bench, &load_bench, &rate_bench, &counts_bench, &workers_bench,
	&memory_bench, &path_bench, &allocations_bench, &binds_bench, &groups_bench, &tick_bench,
	&spaces_bench, &recovery_bench, &waits_bench,
};

static const char *driver(void)
{
	static struct gpu gpu;

	MUST(gpu_open(&gpu));
	gpu_close(&gpu);
	return gpu.module;
}

const struct hardware hardware = {
	.name = "GPU",
	.benches = benches,
	.count = COUNT(benches),
	.driver = driver,
};
