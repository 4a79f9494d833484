// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "gpu.h"
#include "system.h"

#define LOAD_MAX	64

static double ticks_per_ns;

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

	sleep_ms(50);
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

void pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned int i = 0; i < cpus(); i++) {
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &set);
	}
	if (sched_setaffinity(pid, sizeof(set), &set))
		die("CPU %d: %s", cpu, strerror(errno));
}

void realtime(int on)
{
	struct sched_param param = { .sched_priority = on ? 10 : 0 };

	if (sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &param))
		die("scheduling policy: %s", strerror(errno));
}

pid_t model_thread(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while (proc && !found && (entry = readdir(proc))) {
		char path[300], name[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(name, sizeof(name), file) && !strcmp(name, "hwmodel\n"))
			found = atoi(entry->d_name);
		fclose(file);
	}
	if (proc)
		closedir(proc);
	return found;
}

static pid_t load[LOAD_MAX];
static unsigned int loads;

void load_start(void)
{
	fflush(NULL);
	for (loads = 0; loads < 2 * cpus() && loads < LOAD_MAX; loads++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork: %s", strerror(errno));
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			prctl(PR_SET_NAME, "bench-load");
			pin(0, loads / 2);
			for (;;)
				;
		}
		load[loads] = pid;
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

	write_file("/proc/sys/vm/drop_caches", "3");
	do {
		before = now;
		/* What was freed under RCU, or by a worker, takes a moment. */
		sleep_ms(quick ? 20 : 200);
		now = meminfo(all) - meminfo(not_used);
	} while (!quick && (now > before ? now - before : before - now) > 64 * 1024);
	return now;
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written;
	int ret = 0;

	if (fd < 0)
		return -errno;
	written = write(fd, text, strlen(text));
	if (written < 0)
		ret = -errno;
	else if ((size_t)written != strlen(text))
		ret = -EIO;
	close(fd);
	return ret;
}
