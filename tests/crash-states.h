/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The states in which a power cut can leave a directory, from a trace of what was done to it.
 *
 * At a point of the trace, what an fsync has covered is there, and of the rest any part that the
 * model allows:
 *
 *	strict   POSIX, no more: names and data that were not synced reach the disk in any order, or
 *	         not at all; fsync of a file says nothing of its name.  A rename is one step, but
 *its old name may come back. ordered  as ext4 and xfs keep it: changes of names reach the disk in
 *their order, and any fsync takes the earlier ones with it; data in any order.
 *
 * A write that was not synced may also be there in part: torn at a sector (512) or a page (4096),
 * its head or its tail kept, or zeros in its place where the file has grown.  After an fsync that
 * failed, nothing that it should have covered is ever taken for durable.
 */
#ifndef CIM_TESTS_CRASH_STATES_H
#define CIM_TESTS_CRASH_STATES_H

#include "objects.h"
#include "trace.h"

enum crash_model { CRASH_STRICT, CRASH_ORDERED };

/* Bytes of a file, once for all states that have them. */
struct crash_content {
	GBytes *bytes;
	struct cim_digest digest;
};

struct crash_file {
	const char *name;
	const struct crash_content *content;
};

struct crash_state {
	const struct crash_file *files; /* sorted by name */
	guint n_files;
	struct cim_digest digest; /* of names and contents */
	uint32_t least, most;     /* of the last mark before the point */
	guint point;              /* operations of the trace that had begun */
};

/** Called with each state; valid for the time of the call. */
typedef void (*crash_fn)(void *arg, const struct crash_state *state);

/** crash_seen_new - g_hash_table_unref() */
GHashTable *crash_seen_new(void);

/**
 * crash_states - each state that a power cut at any time of a trace can leave, none twice
 * @effort: 1 and more: how much is tried where there is too much for all of it
 *
 * @seen: of states, from crash_seen_new(), which are not told again; NULL: none
 *
 * A state comes again where other marks hold for it.
 */
void crash_states(const struct trace *t, enum crash_model model, unsigned int effort,
		  GHashTable *seen, crash_fn fn, void *arg);

#endif
