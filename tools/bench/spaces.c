// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What an address space costs in memory. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "job.h"
#include "system.h"

static const struct figure figures[] = {
	{ "vm_memory", "B", "0.5", "memory per address space with nothing in it" },
};

#define FILES	32u
#define VMS	30u	/* in each file, besides the first one */

/*
 * Pages that were freed lately wait at a processor for their next user, and count as used meanwhile. So
 * what is there is taken before anything is counted, and kept.
 */
static void take_what_waits(void)
{
	cpu_set_t all, one;

	memory_used();
	if (sched_getaffinity(0, sizeof(all), &all))
		die("CPUs: %s", strerror(errno));
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one) ||
		    mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) == MAP_FAILED)
			die("CPU %d: %s", cpu, strerror(errno));
	}
	sched_setaffinity(0, sizeof(all), &all);
}

/* Many at once, and only once for a boot, so that what the kernel keeps for the next time counts for little. */
static double per_vm(void)
{
	unsigned int files = rounds(FILES, 2);
	struct gpu gpu[FILES];
	double before, after;
	uint32_t vm;

	for (unsigned int i = 0; i < files; i++) {
		MUST(gpu_open(&gpu[i]));
		MUST(vm_create(&gpu[i], 0, &vm));
	}
	take_what_waits();
	before = memory_used();
	for (unsigned int i = 0; i < files * VMS; i++)
		MUST(vm_create(&gpu[i % files], 0, &vm));
	after = memory_used();
	for (unsigned int i = 0; i < files; i++)
		gpu_close(&gpu[i]);
	settle();
	return (after - before) / (files * VMS);
}

static void run(void)
{
	figure_value("vm_memory", per_vm());
}

BENCH(spaces, run);
