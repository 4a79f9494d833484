// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "system.h"
#include "text.h"

#define LOAD_MAX	64

static double ticks_per_ns;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t now;

	asm volatile("isb; mrs %0, cntvct_el0" : "=r" (now));
	return now;
#else
	return now_ns();
#endif
}

void clock_init(void)
{
	int64_t begin = now_ns(), end;
	uint64_t first = ticks(), last;

	usleep(50000);
	end = now_ns();
	last = ticks();
	ticks_per_ns = (double)(last - first) / (end - begin);
}

double clock_ns(void)
{
	return ticks() / ticks_per_ns;
}

unsigned int cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

/* The ones that we may run on: a CPU that is kept for the modelled GPU is not among them. */
static cpu_set_t our_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		die("CPUs: %s", strerror(errno));
	return set;
}

void realtime(int on)
{
	struct sched_param param = { .sched_priority = on ? 10 : 0 };

	if (sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &param))
		die("scheduling policy: %s", strerror(errno));
}

static pid_t load[LOAD_MAX];
static unsigned int loads;

static void load_cpu(int cpu)
{
	cpu_set_t set;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "bench-load");
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (;;)
		syscall(SYS_getppid);
}

void load_start(void)
{
	cpu_set_t set = our_cpus();

	fflush(NULL);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		for (int i = 0; i < 2 && CPU_ISSET(cpu, &set) && loads < LOAD_MAX; i++) {
			pid_t pid = fork();

			if (pid < 0)
				die("fork: %s", strerror(errno));
			if (!pid)
				load_cpu(cpu);
			load[loads++] = pid;
		}
	}
}

void load_stop(void)
{
	while (loads) {
		kill(load[--loads], SIGKILL);
		waitpid(load[loads], NULL, 0);
	}
}

static double meminfo(const char *const names[])
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128], name[64];
	double sum = 0;
	long kib;

	if (!file)
		die("/proc/meminfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63[^:]: %ld", name, &kib) != 2)
			continue;
		for (size_t i = 0; names[i]; i++) {
			if (!strcmp(name, names[i]))
				sum += kib * 1024.0;
		}
	}
	fclose(file);
	return sum;
}

double memory_used(void)
{
	/* Buffers of the GPU are shared memory, which counts among the cached. */
	static const char *const all[] = { "MemTotal", "Shmem", NULL };
	static const char *const not_used[] = {
		"MemFree", "Buffers", "Cached", "SReclaimable", NULL
	};
	double now = -1, before;

	text_write("/proc/sys/vm/drop_caches", "3");
	do {
		before = now;
		/* What was freed under RCU, or by a worker, takes a moment. */
		usleep(quick ? 20000 : 200000);
		/* Some of the numbers are kept per CPU, and added up when somebody asks. */
		text_write("/proc/sys/vm/stat_refresh", "1");
		now = meminfo(all) - meminfo(not_used);
	} while (!quick && (now > before ? now - before : before - now) > 64 * 1024);
	return now;
}
