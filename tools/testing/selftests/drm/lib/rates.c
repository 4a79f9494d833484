// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rates.h"
#include "text.h"

/* Of 5 ms each. */
#define LOOKS	12000

bool rates_find(struct rates *rates, const char *dir)
{
	char path[320], text[1024], *at = text, *end;

	memset(rates, 0, sizeof(*rates));
	snprintf(rates->dir, sizeof(rates->dir), "%s", dir);
	rates_attribute(rates, "available_frequencies", path, sizeof(path));
	text_read(path, text, sizeof(text));
	for (; rates->count < MAX_RATES; rates->count++, at = end) {
		rates->at[rates->count] = strtoll(at, &end, 10);
		if (end == at)
			break;
	}
	if (!rates->count)
		return false;
	rates->low = rates->at[0];
	rates->high = rates->at[rates->count - 1];
	return true;
}

void rates_attribute(const struct rates *rates, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", rates->dir, name);
}

long long rates_get(const struct rates *rates, const char *name)
{
	char path[320], text[64];

	rates_attribute(rates, name, path, sizeof(path));
	return text_read(path, text, sizeof(text)) ? atoll(text) : -1;
}

int rates_put(const struct rates *rates, const char *name, long long value)
{
	char path[320], text[32];

	rates_attribute(rates, name, path, sizeof(path));
	snprintf(text, sizeof(text), "%lld", value);
	return text_write(path, text);
}

bool rates_wait(const struct rates *rates, long long rate)
{
	for (unsigned int look = 0; look < LOOKS; look++) {
		if (rates_get(rates, "cur_freq") == rate)
			return true;
		usleep(5000);
	}
	return false;
}
