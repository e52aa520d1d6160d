/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file mapped read-only, which survives that somebody truncates it.
 *
 * Touching a page that a truncation took away raises SIGBUS.  The first mapping of a process
 * installs a handler, unless the program has one of its own: it puts a page of zeros
 * where a mapping of ours was touched and marks that mapping damaged; any other SIGBUS kills
 * as before.  So readers see zeros, which the format's gate refuses, and cim_mapping_damaged()
 * tells them why.
 *
 * Of the page in which the file then ends no signal tells: its rest are zeros.  The page behind it
 * is gone, though; and for the last page of all the file's length is looked at, which costs a
 * system call and is done now and then only.  cim_mapping_check() sees to both.
 */
#ifndef CIM_MAPPING_H
#define CIM_MAPPING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ahead.h"

struct cim_mapping {
	const uint8_t *data;
	size_t size; /* bytes; 0 and data NULL when nothing is mapped */
	int fd;      /* kept only for a file with holes, to find them; else -1 */
	dev_t dev;   /* of the file */
	ino_t ino;
	_Atomic(bool) damaged;
	_Atomic(int64_t) looked; /* when its length was last asked for, in coarse milliseconds */
	void *slot;              /* in the handler's list */
	struct cim_ahead ahead;  /* of its data */
};

/**
 * cim_mapping_open - map a regular file
 * @dirfd, @name: opened without following links, without blocking on a FIFO
 * @ret: filled; close with cim_mapping_close()
 *
 * Returns 0, -ENOENT, -CIM_ECORRUPT (no regular file), -ENOMEM, or what open(2) says.
 */
int cim_mapping_open(int dirfd, const char *name, struct cim_mapping *ret);
void cim_mapping_close(struct cim_mapping *m);

static inline bool cim_mapping_damaged(const struct cim_mapping *m)
{
	return atomic_load_explicit(&m->damaged, memory_order_relaxed);
}

/**
 * cim_mapping_check - after bytes of a mapping were read: whether they are those of the file
 * @at, @size: which; inside the mapping
 * @dirfd, @name: where the file was opened, to look whether it is as long as it was; a file that
 *                is not there any more, or another, tells nothing
 *
 * Returns false if the file was cut off.  A cut of the last page is seen within some milliseconds,
 * all others at once.
 */
bool cim_mapping_check(const struct cim_mapping *m, uint64_t at, uint64_t size, int dirfd,
		       const char *name);

/**
 * cim_mapping_will_read - before data of a mapping is touched: have the kernel begin to read it
 * @at, @size: which; inside the mapping
 */
void cim_mapping_will_read(const struct cim_mapping *m, uint64_t at, uint64_t size);

/** cim_mapping_ends_with - whether bytes reach into the last page, for which the name is needed */
bool cim_mapping_ends_with(const struct cim_mapping *m, uint64_t at, uint64_t size);

/** cim_open_regular - open a regular file to read it; 0 and *ret_fd, or as cim_mapping_open() */
int cim_open_regular(int dirfd, const char *name, int *ret_fd);

#endif
