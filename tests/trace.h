/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a piece of work does to an image directory: operations on files and names, in order.
 *
 * A trace starts from what the directory has, all of which counts as on disk, and records the
 * core's calls (syscalls.h) until it ends.  It stops the test at a call that it cannot represent,
 * and at its end where what it recorded does not make the directory as it is.
 */
#ifndef CIM_TESTS_TRACE_H
#define CIM_TESTS_TRACE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum trace_kind {
	TRACE_WRITE,    /* bytes at an offset; the file grows if need be */
	TRACE_ZERO,     /* zeros at an offset; the file does not grow */
	TRACE_RESIZE,   /* the file has this size */
	TRACE_SYNC,     /* what was done to the file before is durable, or (failed) may never be */
	TRACE_NAME,     /* a name gets a file or loses it, and another name may be lost with it */
	TRACE_SYNC_DIR, /* what was done to names before is durable, or (failed) may never be */
	TRACE_MARK,     /* what may be in the directory from here on */
};

struct trace_op {
	enum trace_kind kind;
	uint32_t file; /* all but SYNC_DIR and MARK: its number in the trace; NAME: or NO_FILE */
	uint64_t off, size;   /* bytes */
	uint8_t *data;        /* WRITE: size bytes */
	char *name;           /* NAME: that has the file from here on */
	char *gone;           /* NAME, a rename: that has none from here on; else NULL */
	bool failed;          /* SYNC, SYNC_DIR */
	uint32_t least, most; /* MARK: numbers of states, of whoever set the mark */
};

#define TRACE_NO_FILE UINT32_MAX

struct trace {
	GArray *ops;       /* struct trace_op */
	GHashTable *start; /* name -> number of the file + 1, as it was when the trace began */
	GPtrArray *files;  /* by number: GBytes of those that were there, NULL of new ones */
};

/** trace_begin - record what is done to a directory; one at a time */
struct trace *trace_begin(int dirfd);

/** trace_mark - from here on the directory may be in the states @least to @most; its number */
guint trace_mark(struct trace *t, uint32_t least, uint32_t most);

/** trace_end - record no more, and compare the directory with what was recorded */
void trace_end(struct trace *t, int dirfd);
void trace_free(struct trace *t);

static inline struct trace_op *trace_op(const struct trace *t, guint i)
{
	return &g_array_index(t->ops, struct trace_op, i);
}

/** trace_apply - do to a file's bytes what an operation on it does */
void trace_apply(const struct trace_op *op, GByteArray *bytes);

/** trace_bytes - the whole content of a file of a directory */
GBytes *trace_bytes(int dirfd, const char *name);

/* For those that change a trace, as a fault of the code that it is of would. */
void trace_insert(struct trace *t, guint at, const struct trace_op *op); /* takes the strings */
void trace_remove(struct trace *t, guint at);

#endif
