/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether what a power cut left of a directory is as it should be.
 *
 * Of the images, exactly one of the sets that may be there is there, each of them whole; the
 * checker of images agrees; the next writer opens, removes what the dead one left, and commits; and
 * the images are as they were.
 */
#ifndef CIM_TESTS_CRASH_CHECK_H
#define CIM_TESTS_CRASH_CHECK_H

#include "crash-states.h"
#include "images.h"

/* What the next writer did in a state, which a power cut can interrupt as well. */
struct crash_sequel {
	struct trace *trace;
	GPtrArray *may; /* images *, by the numbers of its marks */
};
void crash_sequel_clear(struct crash_sequel *s);

struct crash_checker;
struct crash_checker *crash_checker_new(void);
void crash_checker_free(struct crash_checker *k);

/** crash_checker_allow_garbage - what the next writer has left may be there until a gc */
void crash_checker_allow_garbage(struct crash_checker *k);

/**
 * crash_check_store - check a directory
 * @may: images *, of which those of the numbers @least to @most may be there
 *
 * Returns NULL, or a sentence that says what is wrong; g_free().
 */
char *crash_check_store(struct cim_store *store, const GPtrArray *may, uint32_t least,
			uint32_t most);

/**
 * crash_check - the same for one state of a trace, whose marks name the numbers
 * @ret: NULL, or what the next writer did, where nothing is wrong; crash_sequel_clear()
 */
char *crash_check(struct crash_checker *k, const struct crash_state *s, const GPtrArray *may,
		  struct crash_sequel *ret);

#endif
