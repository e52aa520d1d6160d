/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The functions of libarchive that the tool calls; the library is loaded by the first who asks.
 *
 * Few commands need it, and it brings so many libraries of its own that to load them takes longer
 * than all else that the tool does before its command runs.
 */
#ifndef CIMFS_LIBARCHIVE_H
#define CIMFS_LIBARCHIVE_H

#include <archive.h>
#include <archive_entry.h>

/* Their names, without "archive_". */
#define LIBARCHIVE_FUNCTIONS(X)      \
	X(error_string)              \
	X(read_data)                 \
	X(read_free)                 \
	X(read_new)                  \
	X(read_next_header)          \
	X(read_open)                 \
	X(read_support_filter_bzip2) \
	X(read_support_filter_gzip)  \
	X(read_support_filter_xz)    \
	X(read_support_filter_zstd)  \
	X(read_support_format_empty) \
	X(read_support_format_raw)   \
	X(set_error)

/* Of the types that the headers say. */
#define LIBARCHIVE_MEMBER(name) __typeof__(archive_##name) *name;
struct libarchive {
	LIBARCHIVE_FUNCTIONS(LIBARCHIVE_MEMBER)
};
#undef LIBARCHIVE_MEMBER

/**
 * libarchive_load - not to be called by two threads at once
 *
 * What it gives stays as long as the program.  Returns 0 or -EOPNOTSUPP: it is not installed, or
 * not as it should be; the reason has what the dynamic linker says.
 */
int libarchive_load(const struct libarchive **ret);

#endif
