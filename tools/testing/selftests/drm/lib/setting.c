// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <stdlib.h>

#include "setting.h"

uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}
