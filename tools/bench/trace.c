// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "system.h"
#include "text.h"
#include "trace.h"

#define INSTANCE	"instances/bench"
#define BUFFER_KIB	"16384"		/* per CPU */

static char dir[64];
static bool mounted;

static void path_of(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/" INSTANCE "/%s", dir, name);
}

static int set(const char *name, const char *value)
{
	char path[192];

	path_of(path, sizeof(path), name);
	return text_write(path, value);
}

static bool usable(const char *candidate)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/instances", candidate);
	if (access(path, W_OK))
		return false;
	snprintf(dir, sizeof(dir), "%s", candidate);
	return true;
}

void trace_open(void)
{
	char path[96];

	if (!usable("/sys/kernel/tracing")) {
		if (mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL))
			die("tracefs: %s: the kernel needs CONFIG_ENABLE_DEFAULT_TRACERS",
			    strerror(errno));
		mounted = true;
		if (!usable("/sys/kernel/tracing"))
			die("tracefs has no instances");
	}
	snprintf(path, sizeof(path), "%s/" INSTANCE, dir);
	if (mkdir(path, 0700) && errno != EEXIST)
		die("%s: %s", path, strerror(errno));
	MUST(set("tracing_on", "0"));
	MUST(set("trace_clock", "mono"));
	MUST(set("buffer_size_kb", BUFFER_KIB));
	MUST(set("events/enable", "0"));
}

void trace_close(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/" INSTANCE, dir);
	rmdir(path);
	if (mounted)
		umount(dir);
	mounted = false;
}

bool trace_enable(const char *event)
{
	char name[96];
	int ret;

	snprintf(name, sizeof(name), "events/%s/enable", event);
	ret = set(name, "1");
	if (ret == -ENOENT)
		return false;
	MUST(ret);
	return true;
}

void trace_filter(const char *event, const char *filter)
{
	char name[96];

	snprintf(name, sizeof(name), "events/%s/filter", event);
	MUST(set(name, filter));
}

/* The buffer is emptied by whoever truncates it; what is written there is of no interest. */
static void empty(void)
{
	char path[192];
	int fd;

	path_of(path, sizeof(path), "trace");
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	close(fd);
}

void trace_start(void)
{
	empty();
	MUST(set("tracing_on", "1"));
}

/* A buffer that has run over would make every count too small. */
static void check_complete(void)
{
	for (unsigned int cpu = 0; cpu < cpus(); cpu++) {
		char path[192], name[64], line[96];
		unsigned long lost = 0;
		FILE *file;

		snprintf(name, sizeof(name), "per_cpu/cpu%u/stats", cpu);
		path_of(path, sizeof(path), name);
		file = fopen(path, "r");
		if (!file)
			die("%s: %s", path, strerror(errno));
		while (fgets(line, sizeof(line), file)) {
			unsigned long value;

			if (sscanf(line, "overrun: %lu", &value) == 1 ||
			    sscanf(line, "dropped events: %lu", &value) == 1)
				lost += value;
		}
		fclose(file);
		if (lost)
			die("%lu trace events were lost", lost);
	}
}

/* "           bench-123     [000] d..1.    12.345678: sched_waking: comm=..." */
static bool parse(char *line, struct trace_event *event)
{
	char *cpu = strstr(line, " ["), *name, *colon, *dash;
	char flags[16];
	int used = 0;

	line[strcspn(line, "\n")] = '\0';
	if (line[0] == '#' || !cpu)
		return false;
	if (sscanf(cpu, " [%*d] %15s %lf:%n", flags, &event->us, &used) != 2 || !used)
		return false;
	event->us *= 1e6;
	event->softirq = strlen(flags) > 2 && (flags[2] == 's' || flags[2] == 'H');
	name = cpu + used;
	name += strspn(name, " ");
	colon = strstr(name, ":");
	if (!colon)
		return false;
	snprintf(event->name, sizeof(event->name), "%.*s", (int)(colon - name), name);
	event->fields = colon + 1 + strspn(colon + 1, " ");
	*cpu = '\0';
	dash = strrchr(line, '-');
	if (!dash)
		return false;
	event->pid = atoi(dash + 1);
	*dash = '\0';
	snprintf(event->task, sizeof(event->task), "%s", line + strspn(line, " "));
	return true;
}

void trace_stop(void (*take)(const struct trace_event *event, void *data), void *data)
{
	char path[192], line[1024];
	struct trace_event event;
	FILE *file;

	MUST(set("tracing_on", "0"));
	check_complete();
	path_of(path, sizeof(path), "trace");
	file = fopen(path, "r");
	if (!file)
		die("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		if (parse(line, &event))
			take(&event, data);
	}
	fclose(file);
	MUST(set("events/enable", "0"));
	empty();
}

const char *trace_field(const struct trace_event *event, const char *key)
{
	static char value[256];
	const char *at = event->fields, *end, *next;
	size_t length = strlen(key);

	/* At the beginning of the line, or behind a space. */
	while ((at = strstr(at, key))) {
		if (at[length] == '=' && (at == event->fields || at[-1] == ' '))
			break;
		at += length;
	}
	if (!at)
		return "";
	at += length + 1;
	next = strchr(at, '=');
	end = at + strlen(at);
	if (next) {
		for (end = next; end > at && *end != ' '; end--)
			;
	}
	snprintf(value, sizeof(value), "%.*s", (int)(end - at), at);
	return value;
}
