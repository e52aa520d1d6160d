/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Alternate data streams of an image as files of their own: the stream S of the file F is "F:S".
 *
 * A stream is named by its file and by its index in the file's stream table, which is the same as
 * long as the image is.
 */
#ifndef CIM_STREAM_FILE_H
#define CIM_STREAM_FILE_H

#include "reader.h"

/** Called for each stream of a file; a non-zero result ends the walk and is returned. */
typedef int (*cim_stream_fn)(void *arg, const char *name, uint64_t size);

/**
 * cim_stream_split - whether a name may be one of a stream: what is before its last colon is the
 * file's, what is behind it the stream's
 * @ret_n: bytes of the file's name
 */
bool cim_stream_split(const char *name, size_t n, size_t *ret_n);

/** cim_stream_carrier - whether files of a type have streams that are files: regular ones and
 * directories */
bool cim_stream_carrier(uint32_t mode);

/**
 * cim_dir_lookup_stream - the stream that a name in a directory stands for
 * Returns 0; -ENOENT; -ENOTDIR, -CIM_ECORRUPT, -EIO.
 */
int cim_dir_lookup_stream(const struct cim_image *img, uint32_t dir_id, const char *name, size_t n,
			  uint32_t *ret_id, uint32_t *ret_index);

/** cim_file_stream - a stream of a file's entry; 0, -ENOENT, -CIM_ECORRUPT, -EIO */
int cim_file_stream(const struct cim_image *img, const struct cim_entry *e, uint32_t index,
		    struct cim_stream *ret);

/** cim_stream_attr - what stat(2) shows of a stream: its file's attributes but for the type and the
 * size */
void cim_stream_attr(const struct cim_attr *file, uint64_t size, uint64_t blocks,
		     struct cim_attr *ret);

/** cim_file_each_stream - call @fn with each stream of an entry that has a name to be shown by */
int cim_file_each_stream(const struct cim_image *img, const struct cim_entry *e, cim_stream_fn fn,
			 void *arg);

#endif
