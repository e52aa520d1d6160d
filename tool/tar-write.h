/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing a tar: ustar, with PAX records where a header cannot say it.
 *
 * The same entries give the same bytes.  What tar-read.c reads comes out as it was.
 */
#ifndef CIMFS_TAR_WRITE_H
#define CIMFS_TAR_WRITE_H

#include <glib.h>

#include "tar-format.h"
#include "tar-read.h"

struct tar_writer;

/** tar_writer_new - @fd stays the caller's */
struct tar_writer *tar_writer_new(int fd);

/** tar_writer_free - without its end an archive is cut off.  Takes NULL. */
void tar_writer_free(struct tar_writer *t);

/**
 * tar_write_entry - begin an entry
 * @e: refused and size of others than files do not count; directories get a slash behind their
 * name; a time counts if the entry has it, and only mtime goes into the header; its records are not
 * used
 * @records: PAX records that shall stand in front of those that are needed, or NULL
 *
 * A file's data follows, e->size bytes, or those of its extents.  Returns 0 or what write(2) says.
 */
int tar_write_entry(struct tar_writer *t, const struct tar_entry *e, const GString *records);

/** tar_write_data - bytes of a file; the last of them end the entry */
int tar_write_data(struct tar_writer *t, const void *data, size_t size);

/** tar_write_end - the mark of the end, and all that is still in memory */
int tar_write_end(struct tar_writer *t);

#endif
