/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Security descriptors and reparse buffers that a writer was given, until the commit writes them.
 *
 * They are kept in one unnamed file and not in memory: each file may have its own, of up to 64 KiB.
 * Not in the image's metadata either, where those that were replaced would stay.  Equal ones are
 * kept once.  The writer's lock guards it.
 */
#ifndef CIM_BLOBS_H
#define CIM_BLOBS_H

#include "objects.h"
#include "tmpfile.h"

#define CIM_BLOB_MAX 0xFFFF /* bytes */

struct cim_blobs {
	int dirfd;
	struct cim_tmpfile file; /* made with the first one */
	uint64_t tail;
	struct cim_objects index;
};

void cim_blobs_init(struct cim_blobs *b, int dirfd);
void cim_blobs_clear(struct cim_blobs *b);

/** cim_blobs_put - keep 1 to CIM_BLOB_MAX bytes; 0, -ENOSPC, -ENOMEM, -EIO */
int cim_blobs_put(struct cim_blobs *b, const void *bytes, size_t size, uint64_t *ret_off);

/**
 * cim_blobs_get - one of them, as the format has it: its length (u16), then its bytes
 * @ret: room for 2 + CIM_BLOB_MAX bytes
 * Returns the size with the length, or -EIO.
 */
int cim_blobs_get(const struct cim_blobs *b, uint64_t off, uint8_t *ret);

/** cim_blobs_check - whether all that was got so far is what was put; 0, -EIO */
int cim_blobs_check(const struct cim_blobs *b);

#endif
