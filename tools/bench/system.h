/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The machine around the device: its clock, its processors, its memory, its processes. */
#ifndef BENCH_SYSTEM_H
#define BENCH_SYSTEM_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Nanoseconds on a clock that is read without a system call where there is one: in a guest whose
 * system calls are slow, the kernel's own clock would be a good part of what is measured.
 */
double clock_ns(void);
/* Before the first clock_ns(). */
void clock_init(void);

unsigned int cpus(void);
/* The calling thread, or the process; on all CPUs for -1. */
void pin(pid_t pid, int cpu);
/* SCHED_FIFO at a low priority (below the kernel's own threads), or back. */
void realtime(int on);

/* The modelled GPU's own thread, or 0 on a machine without one. */
pid_t model_thread(void);

/* Two processes per CPU that do nothing but run. */
void load_start(void);
void load_stop(void);

/* What the kernel uses for itself and for what is not a cache, in bytes. Sleeps until it settles. */
double memory_used(void);

/* One word into a file; 0 or a negative errno. */
int write_file(const char *path, const char *text);

#endif
