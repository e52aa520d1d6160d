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
	int lost; /* 0, or with which negative errno bytes could not be written; atomic */
	char name[CIM_TMPFILE_NAME]; /* ".cimfs…" where the file system has no O_TMPFILE, else empty
				      */
};

/** cim_tmpfile_open - a file in @dirfd that nobody sees; @tag makes its fallback name, ".cimfs-TAG"
 */
int cim_tmpfile_open(int dirfd, const char *tag, struct cim_tmpfile *ret);

/**
 * cim_tmpfile_begin_sync - let it go to disk, so that syncing several one by one waits once
 * Returns 0 or -EIO: what could not be written may be dropped already, so this is final.
 */
int cim_tmpfile_begin_sync(const struct cim_tmpfile *t);

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

/**
 * cim_tmpfile_check_read - whether what was read from it so far is what was written
 *
 * A page that cannot be written back is dropped, and is then read, with no error, as what the disk
 * has.  The kernel tells it once, to who waits for the file; so a file that is read again and never
 * synced is to be asked before anything that came from it is published, and is lost if this fails.
 * A file that was not opened is good.
 *
 * Writes nothing, and waits for one page at most.
 *
 * Returns 0 or -EIO.
 */
int cim_tmpfile_check_read(const struct cim_tmpfile *t, const char *what);

/**
 * cim_tmpfile_write_out - let bytes go to disk, and wait for that
 * @size: bytes, 0: none
 *
 * Not durable by this: what is needed to find them may still be in memory.  The kernel tells once
 * what it could not write; it is remembered, and everything above fails from then on.
 *
 * Returns 0, -EIO, -ENOSPC, …
 */
int cim_tmpfile_write_out(struct cim_tmpfile *t, uint64_t off, uint64_t size);

/** cim_tmpfile_link - give it a name that must be free; -EEXIST */
int cim_tmpfile_link(int dirfd, struct cim_tmpfile *t, const char *name);
void cim_tmpfile_close(int dirfd, struct cim_tmpfile *t);

#endif
