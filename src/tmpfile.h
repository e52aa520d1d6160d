/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files without a name: nobody sees them, and they are gone with the process, until they get one.
 *
 * Where the file system has no O_TMPFILE they are named ".cimfs…", which the next writer sweeps.
 */
#ifndef CIM_TMPFILE_H
#define CIM_TMPFILE_H

#include <stdint.h>

#define CIM_TMPFILE_NAME 64 /* bytes of a name and its NUL: ".cimfs-", a GUID, a suffix */

struct cim_tmpfile {
	int fd;
	char name[CIM_TMPFILE_NAME]; /* ".cimfs…" where the file system has no O_TMPFILE, else empty
				      */
};

/** cim_tmpfile_open - a file in @dirfd that nobody sees; @tag makes its fallback name, ".cimfs-TAG"
 */
int cim_tmpfile_open(int dirfd, const char *tag, struct cim_tmpfile *ret);

/**
 * cim_tmpfile_sync - make it durable, and see that it is what was written
 * @size: bytes that were written
 *
 * There is a lock, but who goes by /proc or by the fallback's name need not mind it.
 *
 * Returns 0; -CIM_ECORRUPT (it has another size, or its name stands for another file); or as
 * fsync(2).
 */
int cim_tmpfile_sync(int dirfd, const struct cim_tmpfile *t, uint64_t size);

/** cim_tmpfile_link - give it a name that must be free; -EEXIST */
int cim_tmpfile_link(int dirfd, struct cim_tmpfile *t, const char *name);
void cim_tmpfile_close(int dirfd, struct cim_tmpfile *t);

#endif
