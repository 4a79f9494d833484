// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "hwmodel.h"
#include "powerlog.h"
#include "text.h"

int powerlog_write(const char *text)
{
	return text_write(HWMODEL_DIR "/power", text);
}

void powerlog_read(const struct switched *names, size_t count, char *out, size_t size)
{
	FILE *file = fopen(HWMODEL_DIR "/power", "r");
	char line[64];
	size_t len = 0;

	out[0] = '\0';
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		for (size_t i = 0; i < count; i++) {
			if (strcmp(line + 1, names[i].name) || len + 3 > size)
				continue;
			if (line[0] == '!')
				out[len++] = '!';
			out[len++] = line[0] == '-' ? names[i].letter : toupper(names[i].letter);
		}
	}
	out[len] = '\0';
	fclose(file);
}

int powerlog_balanced(const char *log)
{
	int on[256] = { 0 }, odd = 0;

	for (; *log; log++) {
		if (log[0] == '!' && log[1])
			log++;
		else
			on[tolower(*log)] += isupper(*log) ? 1 : -1;
	}
	for (size_t i = 0; i < 256; i++)
		odd |= on[i];
	return !odd;
}
