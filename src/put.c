/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whole files at once: from a file of somebody else to where the data stays, without a content in
 * between.
 */
#include "config.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "node.h"
#include "util.h"

#define HOLE_BLOCK (64 * 1024) /* bytes of zeros that are a hole in a consistent image */

static int read_piece(int fd, uint64_t off, void *buf, size_t size)
{
	int r = cim_pread_full(fd, buf, size, off);

	return r == -EIO ? cim_fail(EIO, "it became shorter while it was read") : r;
}

/* Pieces of data between holes, from @done on, hashed, to the place in the region. */
static int put_pieces(struct cim_writer *w, int fd, uint64_t done, uint64_t size, uint64_t at,
		      struct cim_hash *hash, bool holes, void *buf, uint64_t *ret_holes)
{
	while (done < size) {
		off_t data = holes ? lseek(fd, (off_t)done, SEEK_DATA) : (off_t)done;
		off_t hole = (off_t)size;
		if (data < 0 && errno == ENXIO)
			data = (off_t)size;
		else if (data >= 0 && holes)
			hole = lseek(fd, data, SEEK_HOLE);
		if (data < 0 || hole < 0)
			return -errno;
		uint64_t from = MIN((uint64_t)data, size), to = MIN((uint64_t)hole, size);
		*ret_holes += from - done;
		if (hash)
			cim_hash_zeros(hash, from - done);
		done = from;
		for (size_t part; done < to; done += part) {
			part = (size_t)MIN(to - done, CIM_PUT_BUFFER);
			int r = read_piece(fd, done, buf, part);
			if (r < 0)
				return r;
			if (hash)
				cim_hash_add(hash, buf, part);
			r = cim_region_write(w->region, at, done, buf, part);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* What is no hole by content of a piece that was read; the piece begins at a block. */
static int put_blocks(struct cim_writer *w, uint64_t at, uint64_t off, const uint8_t *piece,
		      size_t size, uint64_t *ret_holes)
{
	int r = 0;

	for (size_t done = 0, n; r == 0 && done < size; done += n) {
		n = MIN(size - done, HOLE_BLOCK);
		if (is_zero(piece + done, n))
			*ret_holes += n;
		else
			r = cim_region_write(w->region, at, off + done, piece + done, n);
	}
	return r;
}

/*
 * For a consistent image: holes are the blocks of zeros, wherever the file system of the source has
 * some.  Where it has them there is nothing to read.
 */
static int put_by_content(struct cim_writer *w, int fd, uint64_t size, uint64_t at,
			  struct cim_hash *hash, void *buf, uint64_t *ret_holes, bool *ret_all)
{
	static const uint8_t zeros[4096];
	uint64_t done = 0;

	*ret_all = true;
	while (done < size) {
		off_t data = lseek(fd, (off_t)done, SEEK_DATA);
		bool no_more = data < 0 && errno == ENXIO;
		uint64_t from = data < 0 ? done : (uint64_t)data / HOLE_BLOCK * HOLE_BLOCK;

		from = no_more ? size : MIN(MAX(from, done), size);
		*ret_holes += from - done;
		for (size_t n; done < from; done += n) {
			n = (size_t)MIN(from - done, sizeof(zeros));
			cim_hash_add(hash, zeros, n);
		}
		size_t part = (size_t)MIN(size - done, CIM_PUT_BUFFER);
		if (part == 0)
			break;
		int r = read_piece(fd, done, buf, part);
		if (r < 0)
			return r;
		cim_hash_add(hash, buf, part);
		*ret_all = *ret_all && is_zero(buf, part);
		r = put_blocks(w, at, done, buf, part, ret_holes);
		if (r < 0)
			return r;
		done += part;
	}
	return 0;
}

static int put_consistent(struct cim_writer *w, int fd, uint64_t size, void *buf,
			  struct cim_stored *ret, uint64_t *ret_holes)
{
	struct cim_digest digest;
	bool all_hole;
	uint64_t at;

	if (size < HOLE_BLOCK) {
		int r = size > 0 ? read_piece(fd, 0, buf, (size_t)size) : 0;

		return r < 0 || size == 0 ? r : cim_region_put(w->region, buf, (size_t)size, ret);
	}
	int r = cim_region_begin(w->region, size, &at);
	if (r < 0)
		return r;
	struct cim_hash *hash = cim_hash_begin();
	r = put_by_content(w, fd, size, at, hash, buf, ret_holes, &all_hole);
	cim_hash_end(hash, &digest);
	if (r < 0 || all_hole) {
		cim_region_abort(w->region, at, size);
		return r;
	}
	return cim_region_end(w->region, at, size, &digest, ret);
}

/* The beginning of a file without holes, if its blocks can be shared: what then lies there is
 * hashed. */
static int share_blocks(struct cim_writer *w, int fd, uint64_t size, uint64_t at,
			struct cim_hash *hash, void *buf, uint64_t *ret_done)
{
	uint64_t shared;
	int r = 0;

	cim_region_share(w->region, at, fd, size, &shared);
	*ret_done = shared;
	for (uint64_t done = 0, n; r == 0 && done < shared; done += n) {
		n = MIN(shared - done, CIM_PUT_BUFFER);
		r = cim_region_read_back(w->region, at, done, buf, (size_t)n);
		if (r == 0)
			cim_hash_add(hash, buf, (size_t)n);
	}
	return r;
}

static int put_large(struct cim_writer *w, int fd, uint64_t size, bool holes, void *buf,
		     struct cim_stored *ret, uint64_t *ret_holes)
{
	uint64_t at, done = 0;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	int r = cim_region_begin(w->region, size, &at);
	if (r < 0)
		return r;
	bool hashed = !holes || size <= (uint64_t)st.st_blocks * 512 + CIM_HASHED_HOLES;
	struct cim_hash *hash = hashed ? cim_hash_begin() : NULL;
	struct cim_digest digest;
	if (!holes)
		r = share_blocks(w, fd, size, at, hash, buf, &done);
	if (r == 0)
		r = put_pieces(w, fd, done, size, at, hash, holes, buf, ret_holes);
	if (hash)
		cim_hash_end(hash, &digest);
	if (r < 0) {
		cim_region_abort(w->region, at, size);
		return r;
	}
	return cim_region_end(w->region, at, size, hash ? &digest : NULL, ret);
}

static int put_small(struct cim_writer *w, int fd, uint64_t size, bool holes, void *buf,
		     struct cim_stored *ret, uint64_t *ret_holes)
{
	off_t hole = holes ? lseek(fd, 0, SEEK_HOLE) : (off_t)size;

	if (hole < 0)
		return -errno;
	*ret_holes = size - MIN((uint64_t)hole, size);
	int r = read_piece(fd, 0, buf, (size_t)size);
	return r < 0 ? r : cim_region_put(w->region, buf, (size_t)size, ret);
}

/* 1: a file has no data; 0: it has some; or what lseek(2) says. */
static int is_all_hole(int fd)
{
	if (lseek(fd, 0, SEEK_DATA) >= 0)
		return 0;
	return errno == ENXIO ? 1 : -errno;
}

int cim_writer_put(struct cim_writer *w, uint32_t id, int fd, uint64_t size, bool holes, void *buf)
{
	struct cim_stored s = { 0 };
	struct cim_node *node;
	uint64_t hole_bytes = 0;
	int r = 0;

	if (w->consistent) {
		r = put_consistent(w, fd, size, buf, &s, &hole_bytes);
	} else if (holes && size > 0 && (r = is_all_hole(fd)) != 0) {
		hole_bytes = size;
	} else if (size > CIM_PUT_BUFFER || (holes && size > CIM_SMALL_MAX)) {
		r = put_large(w, fd, size, holes, buf, &s, &hole_bytes);
	} else if (size > 0) {
		r = put_small(w, fd, size, holes, buf, &s, &hole_bytes);
	}
	if (r < 0)
		return r;
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	r = cim_node_regular(w, id, &node);
	if (r < 0) {
		if (s.own)
			cim_region_unref(w->region, &s);
		return r;
	}
	cim_content_unref(g_steal_pointer(&node->content));
	cim_node_stored(w, node, &s, hole_bytes, size);
	return 0;
}
