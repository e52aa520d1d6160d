/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Telling the kernel which bytes of a mapped file come next, before they are touched.
 *
 * A page fault tells it one page only, and it reads around that as much as it reads ahead of a
 * stream, which may be megabytes: right for the metadata, of which the rest is wanted soon, and
 * a waste for a small file somewhere in a region.  So data is asked for by its extent; and ahead of
 * who reads a region from front to back, as tar and rsync do whatever the files are.
 */
#ifndef CIM_AHEAD_H
#define CIM_AHEAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIM_AHEAD_STREAMS 4 /* readers of one file at a time that are told apart */

struct cim_ahead {
	_Atomic(bool) busy;
	unsigned int oldest;
	struct cim_ahead_stream {
		uint64_t begin; /* of what was asked for in one go */
		uint64_t asked; /* its end */
		uint64_t ahead; /* bytes of it that were not needed yet when it was asked for */
	} stream[CIM_AHEAD_STREAMS];
};

/**
 * cim_ahead_next - what to ask for when a part of a file is about to be read
 * @at, @size: the part, inside the file
 * @ret: where to begin
 *
 * Returns how many bytes; 0 when they were asked for already, or the kernel does better by itself.
 * May go past the file's end.
 */
uint64_t cim_ahead_next(struct cim_ahead *a, uint64_t at, uint64_t size, uint64_t *ret);

#endif
