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
/* SCHED_FIFO at a low priority (below the kernel's own threads), or back. */
void realtime(int on);

/*
 * Two processes per CPU that never sleep. They call the kernel all the time: a user-mode Linux can't
 * interrupt a process that does not, except by its timer tick, so the tick is what one would measure.
 */
void load_start(void);
void load_stop(void);

/* What the kernel uses for itself and for what is not a cache, in bytes. Sleeps until it settles. */
double memory_used(void);

#endif
