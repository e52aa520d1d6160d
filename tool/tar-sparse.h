/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the data of a sparse file in a tar belongs: GNU's type "S", and the three forms of PAX
 * records (0.0, 0.1, 1.0) that GNU tar and libarchive write.
 *
 * A map is gathered from wherever it stands, and checked as a whole at the end.
 */
#ifndef CIMFS_TAR_SPARSE_H
#define CIMFS_TAR_SPARSE_H

#include <glib.h>

#include "pax.h"
#include "tar-format.h"

struct tar_sparse {
	bool used;       /* the file is one */
	GArray *extents; /* struct tar_extent */
	GString *name;   /* the file's; the header has a made-up one */

	/* Private to tar-sparse.c, but for @more. */
	const char *wrong; /* why the map cannot be used */
	uint64_t size;     /* bytes of the file */
	bool has_size;
	bool more;      /* another block of GNU's old form follows */
	bool major_one; /* the map is text at the start of the data */
	bool text_done;
	uint64_t n_wanted, n_numbers; /* of the text: how many numbers it has, how many were read */
	uint64_t number;              /* the one that is being read */
	uint32_t n_digits;
	uint64_t last; /* the offset whose size comes next */
	bool has_last;
};

void tar_sparse_init(struct tar_sparse *s);
void tar_sparse_clear(struct tar_sparse *s);
void tar_sparse_reset(struct tar_sparse *s);

/** tar_sparse_add - a record; false if it is not about this */
bool tar_sparse_add(struct tar_sparse *s, const struct pax_record *r);

/** tar_sparse_header, tar_sparse_block - GNU's old form: the header, and a block while @more */
void tar_sparse_header(struct tar_sparse *s, const struct tar_header *h);
void tar_sparse_block(struct tar_sparse *s, const uint8_t block[TAR_BLOCK]);

/** tar_sparse_in_data - whether the next block of the data belongs to the map */
bool tar_sparse_in_data(const struct tar_sparse *s);
void tar_sparse_text(struct tar_sparse *s, const char block[TAR_BLOCK]);

/**
 * tar_sparse_finish - check the map
 * @stored: bytes of data that the archive has
 * Returns 0, or -EBADMSG: it is out of order, passes the file's end, is too long, or speaks of more
 * or less data than there is.
 */
int tar_sparse_finish(struct tar_sparse *s, uint64_t stored, uint64_t *ret_size);

#endif
