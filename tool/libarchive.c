/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "libarchive.h"

#include <dlfcn.h>
#include <stdbool.h>

#include "error.h"

#ifdef ARCHIVE_SONAME

static bool find_all(void *library, struct libarchive *table)
{
#define FIND(name)                                      \
	table->name = dlsym(library, "archive_" #name); \
	if (!table->name)                               \
		return false;
	LIBARCHIVE_FUNCTIONS(FIND)
#undef FIND
	return true;
}

/* It is not unloaded, not even at the end: a leak in it would be reported without a name. */
int libarchive_load(const struct libarchive **ret)
{
	static struct libarchive table;
	static bool is_loaded;

	if (!is_loaded) {
		void *library = dlopen(ARCHIVE_SONAME, RTLD_NOW | RTLD_LOCAL);

		if (!library || !find_all(library, &table))
			return cim_fail(EOPNOTSUPP, "%s", dlerror());
		is_loaded = true;
	}
	*ret = &table;
	return 0;
}

#else /* it is linked into the program */

int libarchive_load(const struct libarchive **ret)
{
#define MEMBER(name) .name = archive_##name,
	static const struct libarchive table = { LIBARCHIVE_FUNCTIONS(MEMBER) };
#undef MEMBER

	*ret = &table;
	return 0;
}

#endif
