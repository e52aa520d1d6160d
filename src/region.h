/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The region set that a writer makes: three region files without a name, until they are published.
 *
 * Region 0 has the metadata, 1 the data of larger files (4096-aligned), 2 that of small ones. Every
 * object that is stored is first looked for, in this set and in those of the base, and stored only
 * if it is new.  Bytes of metadata and of small files are gathered and written in large pieces, for
 * which space is allocated beforehand, so that a full disk is met when something is stored and not
 * later.
 *
 * Any thread may call; one lock guards the bookkeeping, and large data is written outside it.
 */
#ifndef CIM_REGION_H
#define CIM_REGION_H

#include "objects.h"
#include "tmpfile.h"

struct cim_region_writer;

#define CIM_SMALL_MAX (16 * 1024) /* bytes; larger files go to the data region */

/* Data of a file that is stored: in the base, or an object of this set. */
struct cim_stored {
	uint64_t where; /* region offset in the base, or object number; 0 and !own: no bytes */
	bool own;
};

/**
 * cim_region_writer_new - start a set
 * @dirfd: the locked containing directory; stays the caller's
 * @base: the image that is forked or replaced, or NULL
 *
 * Returns 0, -ENOSPC, -EMLINK (the base has too many region files), or what open(2) says.
 */
int cim_region_writer_new(int dirfd, struct cim_image *base, struct cim_region_writer **ret);

/** cim_region_writer_free - without a publish nothing of the set remains.  Takes NULL. */
void cim_region_writer_free(struct cim_region_writer *rw);

/**
 * cim_region_follow - how many of the base's region files the new image lists
 * What lies in the others is not found any more.  No offset of the new image may be known yet.
 */
void cim_region_follow(struct cim_region_writer *rw, uint32_t n_regions);

const struct cim_set *cim_region_set(const struct cim_region_writer *rw);

/** cim_region_bytes - bytes of data that the set holds so far */
uint64_t cim_region_bytes(struct cim_region_writer *rw);

/**
 * cim_region_make_consistent - what the set holds decides its bytes and its GUID
 * Data is arranged by cim_region_arrange(), and files of the set that are there already, with the
 * same bytes, are shared.
 */
void cim_region_make_consistent(struct cim_region_writer *rw);

/** cim_region_restart_metadata - forget all metadata that was stored: a commit begins */
void cim_region_restart_metadata(struct cim_region_writer *rw);

/** cim_region_put_metadata - store a metadata object, 8-aligned; its region offset in the new image
 */
int cim_region_put_metadata(struct cim_region_writer *rw, const void *bytes, size_t size,
			    uint64_t *ret_off);

/** cim_region_put - store a file's data that is in memory, @size > 0; one reference is the caller's
 */
int cim_region_put(struct cim_region_writer *rw, const void *data, size_t size,
		   struct cim_stored *ret);

/*
 * A larger file's data, in pieces: begin with its size, write each piece that is no hole at its
 * place, and end with the digest of all of it (NULL: it has too much hole to hash), or abort.
 */
int cim_region_begin(struct cim_region_writer *rw, uint64_t size, uint64_t *ret_at);
int cim_region_write(struct cim_region_writer *rw, uint64_t at, uint64_t off, const void *data,
		     size_t size);
/*
 * Instead of writing from the beginning on: let the blocks of a file be the data's, too, where both
 * are on a file system that can share them.  *ret_size: how many bytes; they are to be read back
 * for the digest, as the file may change.  The rest, or all, is to be written.
 */
void cim_region_share(struct cim_region_writer *rw, uint64_t at, int fd, uint64_t size,
		      uint64_t *ret_size);
int cim_region_read_back(struct cim_region_writer *rw, uint64_t at, uint64_t off, void *buf,
			 size_t size);
int cim_region_end(struct cim_region_writer *rw, uint64_t at, uint64_t size,
		   const struct cim_digest *digest, struct cim_stored *ret);
void cim_region_abort(struct cim_region_writer *rw, uint64_t at, uint64_t size);

/** cim_region_unref - a file does not use its data any more */
void cim_region_unref(struct cim_region_writer *rw, const struct cim_stored *s);

/** cim_region_read - bytes of an object of this set; 0 or -EIO, … */
int cim_region_read(struct cim_region_writer *rw, const struct cim_stored *own, uint64_t off,
		    void *buf, size_t size);

/**
 * cim_region_write_out - let the bytes of an object of this set go to disk, and wait for that
 * Small ones that are still gathered have their space, and stay where they are.
 * Returns 0, -EIO, -ENOSPC, …: the set is lost.
 */
int cim_region_write_out(struct cim_region_writer *rw, const struct cim_stored *own);

/** cim_region_seek - as lseek(2) with SEEK_DATA or SEEK_HOLE in an object of @size bytes of this
 * set */
int64_t cim_region_seek(struct cim_region_writer *rw, const struct cim_stored *own, uint64_t size,
			uint64_t off, int whence);

/** cim_region_off - the region offset that stored data has in the new image; after
 * cim_region_seal() */
uint64_t cim_region_off(const struct cim_region_writer *rw, const struct cim_stored *s);

/** cim_region_arrange - data comes to lie behind what was arranged before; before cim_region_seal()
 */
void cim_region_arrange(struct cim_region_writer *rw, const struct cim_stored *s);

/**
 * cim_region_seal - take no more data, and give back the space of objects that nobody uses any more
 *
 * Waits for data that is being written, and refuses more (-ESTALE), so that what is published
 * cannot change.  Compacts only where there is enough dead space to be worth the copying; object
 * numbers stay. cim_region_unseal() takes data again, after a commit that failed.
 */
int cim_region_seal(struct cim_region_writer *rw);
void cim_region_unseal(struct cim_region_writer *rw);

/*
 * Publishing, for commit.c, which has the order:
 * finish writes everything and the object ID files (and gives a consistent set its GUID), sync
 * makes their bytes durable, link gives all their names, unlink takes them back.
 */
int cim_region_finish(struct cim_region_writer *rw);
int cim_region_sync(struct cim_region_writer *rw);
int cim_region_link(struct cim_region_writer *rw);
void cim_region_unlink(struct cim_region_writer *rw);

#endif
