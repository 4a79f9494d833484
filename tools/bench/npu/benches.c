// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What is measured of the NPU. */
#include <string.h>

#include "bench.h"
#include "cores.h"
#include "npu.h"

extern const struct bench npu_floor_bench, npu_parallel_bench, npu_counts_bench;

static const struct bench *const benches[] = {
	&npu_floor_bench, &npu_parallel_bench, &npu_counts_bench,
};

static const char *driver(void)
{
	struct npu npu;

	MUST(npu_open(&npu));
	npu_close(&npu);
	return driver_name();
}

const struct hardware hardware = {
	.name = "NPU",
	.benches = benches,
	.count = COUNT(benches),
	.driver = driver,
};
