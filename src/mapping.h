/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file mapped read-only, which survives that somebody truncates it.
 *
 * Touching a page that a truncation took away raises SIGBUS.  The first mapping of a process
 * installs a handler, unless the program has one of its own: it puts a page of zeros
 * where a mapping of ours was touched and marks that mapping damaged; any other SIGBUS kills
 * as before.  So readers see zeros, which the format's gate refuses, and cim_mapping_damaged()
 * tells them why.
 */
#ifndef CIM_MAPPING_H
#define CIM_MAPPING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cim_mapping {
	const uint8_t *data;
	size_t size; /* bytes; 0 and data NULL when nothing is mapped */
	int fd;      /* kept only for a file with holes, to find them; else -1 */
	_Atomic(bool) damaged;
	void *slot; /* in the handler's list */
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

/** cim_open_regular - open a regular file to read it; 0 and *ret_fd, or as cim_mapping_open() */
int cim_open_regular(int dirfd, const char *name, int *ret_fd);

#endif
