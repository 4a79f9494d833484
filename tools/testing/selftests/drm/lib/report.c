// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hwmodel.h"
#include "report.h"

static unsigned int passed, failed;
static struct hwmodel_counters before;
static bool colours;

static const char *paint(const char *colour)
{
	return colours ? colour : "";
}

#define GREEN	paint("\033[32m")
#define RED	paint("\033[31m")
#define BOLD	paint("\033[1m")
#define DIM	paint("\033[2m")
#define PLAIN	paint("\033[0m")

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("    ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

bool check(bool good, const char *format, ...)
{
	va_list args;

	if (good)
		passed++;
	else
		failed++;
	va_start(args, format);
	printf("    %s%s%s ", good ? GREEN : RED, good ? "  ok  " : "FAILED", PLAIN);
	vprintf(format, args);
	printf("\n");
	va_end(args);
	return good;
}

bool works(int ret, const char *what)
{
	if (ret)
		return check(false, "%s: %s", what, strerror(-ret));
	return check(true, "%s", what);
}

void report_open(void)
{
	colours = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	setvbuf(stdout, NULL, _IOLBF, 0);
}

int report_close(const char *name)
{
	printf("\n%s: %u checks passed, %u failed\n", name, passed, failed);
	return failed ? 1 : 0;
}

void title(const char *text)
{
	printf("\n%s%s%s\n", BOLD, text, PLAIN);
}

void begin_step(const char *text)
{
	title(text);
	before.count = 0;
	hwmodel_read(&before);
}

bool step_cost(const char *name, unsigned long long *count)
{
	struct hwmodel_counters after;

	if (hwmodel_read(&after))
		return false;
	*count = hwmodel_get(&after, name) - hwmodel_get(&before, name);
	return true;
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

void end_step(void)
{
	struct hwmodel_counters after;
	uint64_t reads, writes, global, csg, job, mmu, gpu, lock, flush, update, unlock, instr;

	if (hwmodel_read(&after)) {
		say("%scost: nobody counts here (no hardware model)%s", DIM, PLAIN);
		return;
	}
#define DELTA(name) (hwmodel_get(&after, name) - hwmodel_get(&before, name))
	reads = DELTA("mmio_read");
	writes = DELTA("mmio_write");
	global = DELTA("doorbell_global");
	csg = DELTA("doorbell_csg");
	job = DELTA("irq_job");
	mmu = DELTA("irq_mmu");
	gpu = DELTA("irq_gpu");
	lock = DELTA("as_lock");
	flush = DELTA("as_flush");
	update = DELTA("as_update");
	unlock = DELTA("as_unlock");
	instr = DELTA("cs_instr");
#undef DELTA
#define N(n) (unsigned long long)(n), plural(n)
	say("%scost: %llu register read%s, %llu write%s; %llu doorbell%s (%llu global); "
	    "%llu interrupt%s (job %llu, mmu %llu, gpu %llu)%s",
	    DIM, N(reads), N(writes), N(global + csg), (unsigned long long)global,
	    N(job + mmu + gpu), (unsigned long long)job, (unsigned long long)mmu,
	    (unsigned long long)gpu, PLAIN);
	say("%s      %llu TLB operation%s (lock %llu, flush %llu, unlock %llu, update %llu); "
	    "%llu stream instruction%s%s",
	    DIM, N(lock + flush + unlock + update), (unsigned long long)lock,
	    (unsigned long long)flush, (unsigned long long)unlock, (unsigned long long)update,
	    N(instr), PLAIN);
#undef N
}
