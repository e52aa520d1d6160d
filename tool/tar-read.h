/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a tar, entry by entry, front to back: ustar, PAX, GNU's long names, sparse files in GNU's
 * and PAX's forms, times and numbers past what the header holds.
 *
 * libarchive reads all of this too, but drops PAX records that it does not know, and those of
 * Windows layers (MSWINDOWS.*) are such: so it does the filters (input.h) and this file the tar.
 * Here is only what an archive says; what it means for an image, and whether it may, is
 * tar-import.c's.
 *
 * All of it is untrusted.  What breaks the chain of headers ends the reading; what is wrong with
 * one entry is said in entry->refused, and the next one can be read.
 */
#ifndef CIMFS_TAR_READ_H
#define CIMFS_TAR_READ_H

#include <glib.h>

#include "input.h"
#include "pax.h"
#include "tar-format.h"

/* Limits, so that an archive cannot ask for any amount of memory (cimfs.1 has them). */
#define TAR_NAME_MAX    (128 * 1024)      /* bytes of a path; the format's 32767 units fit */
#define TAR_RECORDS_MAX (8 * 1024 * 1024) /* bytes of an entry's PAX records */
#define TAR_GLOBAL_MAX  (64 * 1024)       /* bytes of the PAX records for all entries */
#define TAR_EXTENTS_MAX (1024 * 1024)     /* pieces of data in a sparse file */

struct tar_reader;

/* A piece of data in a sparse file; what lies between is zeros. */
struct tar_extent {
	uint64_t off, size; /* bytes */
};

struct tar_entry {
	const char *refused; /* NULL, or why it cannot be taken */

	char type; /* FILE, LINK, SYMLINK, CHAR, BLOCK_DEVICE, DIRECTORY or FIFO of enum tar_type */
	const char *name; /* as it stands there, slashes at the end included */
	const char *link; /* of LINK and SYMLINK */
	uint32_t mode;    /* permissions */
	uint32_t uid, gid;
	uint32_t major, minor; /* of devices */
	struct timespec mtime, atime, ctime, btime;
	bool has_mtime, has_atime, has_ctime, has_btime;
	uint64_t size;         /* of a file: bytes, holes included */
	const GArray *extents; /* struct tar_extent, in order; NULL: no holes */
	const GArray
		*records; /* struct pax_record: those that are not in the above, each key once */
};

/** tar_reader_new - @in stays the caller's */
struct tar_reader *tar_reader_new(struct input *in);

/** tar_reader_free - takes NULL */
void tar_reader_free(struct tar_reader *t);

/**
 * tar_reader_next - the next entry
 * @ret: valid until the next call
 *
 * Data of the last entry that was not read is passed over.  Returns 1; 0 behind the last entry,
 * when the input has been read to its end; -EBADMSG (no tar; a damaged or cut off one); what
 * input_read() says.
 */
int tar_reader_next(struct tar_reader *t, const struct tar_entry **ret);

/**
 * tar_reader_data - bytes of the entry's file, front to back
 * @ret_off: where in the file they belong
 * Returns how many, at most @size; 0 at the end; -EBADMSG (the archive ends before), ….
 */
ssize_t tar_reader_data(struct tar_reader *t, void *buf, size_t size, uint64_t *ret_off);

/** tar_entry_find - the entry's record of this key, or NULL */
const struct pax_record *tar_entry_find(const struct tar_entry *e, const char *key);

#endif
