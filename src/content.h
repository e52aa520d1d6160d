/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The changing data of one staged file.
 *
 * A small file that is written front to back is gathered in memory (CIM_CONTENT_BUFFER at most,
 * and CIM_SCRATCH_MEMORY in all), so that its bytes go once, to where they stay.  A file that grows
 * past that, or gets holes, lives in the writer's scratch file: one unnamed sparse file, handed out
 * in chunks, one descriptor for all.  Nothing here knows what the data is for; storing it is the
 * caller's, through cim_content_store().
 *
 * The caller holds content->lock around every call.
 */
#ifndef CIM_CONTENT_H
#define CIM_CONTENT_H

#include <glib.h>

#include "region.h"

#define CIM_CONTENT_BUFFER (1024 * 1024)      /* bytes of a file in memory at most */
#define CIM_SCRATCH_MEMORY (32 * 1024 * 1024) /* bytes of all files in memory at most */
#define CIM_SCRATCH_CHUNK  (64 * 1024) /* bytes handed out at once; on disk only what is written */

struct cim_scratch {
	int dirfd;
	GMutex lock;             /* guards file and the free list */
	struct cim_tmpfile file; /* made when first needed */
	uint32_t n_chunks;       /* handed out so far */
	GArray *free;            /* uint32_t, chunks given back */
	gssize memory;           /* bytes of all buffers; atomic */
};

void cim_scratch_init(struct cim_scratch *s, int dirfd);
void cim_scratch_clear(struct cim_scratch *s);

/** cim_scratch_check - whether all that was stored from it is what was written to it; 0, -EIO */
int cim_scratch_check(struct cim_scratch *s);

/* Consecutive chunks of a file that are consecutive in the scratch file. */
struct cim_run {
	uint32_t file_chunk, scratch_chunk, n;
};

struct cim_content {
	GMutex lock; /* guards all below but refs and what is shown */
	gatomicrefcount refs;
	struct cim_scratch *scratch;
	uint64_t size;            /* bytes that are there */
	uint64_t shown;           /* the same for cim_content_size(), which takes no lock: atomic */
	uint64_t shown_allocated; /* bytes that are no hole, or more; as shown */
	bool loading;             /* while it is loaded, what is shown is what it will have */
	bool dirty;               /* differs from what is stored */
	bool in_scratch;          /* else in buf */
	int error;                /* loading it failed: what every call returns */
	uint8_t *buf;             /* buf_room bytes, of which size count */
	size_t buf_room;
	GArray *runs;      /* struct cim_run, by file_chunk, never empty ones */
	uint32_t n_chunks; /* of all runs */
};

/** cim_content_new - an empty file with one reference */
struct cim_content *cim_content_new(struct cim_scratch *scratch);
struct cim_content *cim_content_ref(struct cim_content *c);
void cim_content_unref(struct cim_content *c);

/** cim_content_size - bytes; without the lock */
static inline uint64_t cim_content_size(const struct cim_content *c)
{
	return __atomic_load_n(&c->shown, __ATOMIC_RELAXED);
}

/** cim_content_allocated - bytes that are no hole, or a little more; without the lock */
static inline uint64_t cim_content_allocated(const struct cim_content *c)
{
	return __atomic_load_n(&c->shown_allocated, __ATOMIC_RELAXED);
}

/**
 * cim_content_begin_load, cim_content_end_load - between them it is filled with what it had before
 * @size: bytes it will have, which cim_content_size() says already: a file that is copied shows the
 *        size that it had, and nobody remembers another
 */
void cim_content_begin_load(struct cim_content *c, uint64_t size);
void cim_content_end_load(struct cim_content *c);

/** cim_content_write - 0, -ENOSPC, -EFBIG, -ENOMEM, -EIO */
int cim_content_write(struct cim_content *c, uint64_t off, const void *data, size_t size);

/** cim_content_read - returns how many bytes, fewer at the end */
ssize_t cim_content_read(struct cim_content *c, uint64_t off, void *buf, size_t size);

/** cim_content_truncate - cut off, or extend by a hole */
int cim_content_truncate(struct cim_content *c, uint64_t size);

/** cim_content_punch - make bytes zero, giving back space where whole chunks or blocks go */
int cim_content_punch(struct cim_content *c, uint64_t off, uint64_t size);

/** cim_content_seek - as lseek(2) with SEEK_DATA or SEEK_HOLE */
int64_t cim_content_seek(struct cim_content *c, uint64_t off, int whence);

/**
 * cim_content_write_out - let what is in the scratch file go to disk, and wait for that
 * Returns 0, -EIO, -ENOSPC, … as cim_tmpfile_write_out()
 */
int cim_content_write_out(struct cim_content *c);

/**
 * cim_content_store - put it where it stays
 * @ret: what holds it now; { 0 } for an empty file and one that is all hole
 * @ret_holes: bytes of holes; all of it is hole when @ret is { 0 } and the size is not 0
 * Not dirty afterwards.
 */
int cim_content_store(struct cim_content *c, struct cim_region_writer *rw, struct cim_stored *ret,
		      uint64_t *ret_holes);

#endif
