/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "content.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "util.h"

#define BLOCK      4096 /* bytes: a gap of a block or more is a hole, not zeros to write */
#define COPY_CHUNK (1024 * 1024)

/* ---- the scratch file ---- */

void cim_scratch_init(struct cim_scratch *s, int dirfd)
{
	*s = (struct cim_scratch){ .dirfd = dirfd, .file.fd = -1 };
	g_mutex_init(&s->lock);
	s->free = g_array_new(FALSE, FALSE, sizeof(uint32_t));
}

void cim_scratch_clear(struct cim_scratch *s)
{
	cim_tmpfile_close(s->dirfd, &s->file);
	g_array_free(s->free, TRUE);
	g_mutex_clear(&s->lock);
}

int cim_scratch_check(struct cim_scratch *s)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&s->lock);

	return cim_tmpfile_check_read(&s->file, "data of the image's files");
}

static uint64_t chunk_off(uint32_t chunk)
{
	return (uint64_t)chunk * CIM_SCRATCH_CHUNK;
}

/*
 * A chunk for a file; @near is tried first, so that a file written front to back stays in one run.
 * Chunks are all zeros: new ones are past the file's end, others were punched when they came back.
 */
static int take_chunk(struct cim_scratch *s, uint32_t near, uint32_t *ret)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&s->lock);
	char tag[CIM_TMPFILE_NAME];

	if (s->file.fd < 0) {
		g_snprintf(tag, sizeof(tag), "scratch-%08x%08x", g_random_int(), g_random_int());
		int r = cim_tmpfile_open(s->dirfd, tag, &s->file);
		if (r < 0)
			return r;
	}
	if (s->free->len > 0 && near != s->n_chunks) {
		*ret = g_array_index(s->free, uint32_t, s->free->len - 1);
		g_array_set_size(s->free, s->free->len - 1);
		return 0;
	}
	if (s->n_chunks == UINT32_MAX)
		return cim_fail(EFBIG, "the writer's scratch file is full");
	*ret = s->n_chunks++;
	return 0;
}

static void give_chunks(struct cim_scratch *s, uint32_t chunk, uint32_t n)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&s->lock);

	/* Where holes cannot be punched, the chunks would keep their bytes: they are not used
	 * again. */
	if (fallocate(s->file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)chunk_off(chunk), (off_t)chunk_off(n)) < 0)
		return;
	for (uint32_t i = n; i > 0; i--) {
		uint32_t back = chunk + i - 1;

		g_array_append_val(s->free, back);
	}
}

/* ---- contents ---- */

struct cim_content *cim_content_new(struct cim_scratch *scratch)
{
	struct cim_content *c = g_new0(struct cim_content, 1);

	c->scratch = scratch;
	g_mutex_init(&c->lock);
	g_atomic_ref_count_init(&c->refs);
	return c;
}

struct cim_content *cim_content_ref(struct cim_content *c)
{
	g_atomic_ref_count_inc(&c->refs);
	return c;
}

static void drop_buffer(struct cim_content *c)
{
	(void)__atomic_sub_fetch(&c->scratch->memory, (gssize)c->buf_room, __ATOMIC_RELAXED);
	g_clear_pointer(&c->buf, free);
	c->buf_room = 0;
}

static struct cim_run *run_at(const struct cim_content *c, guint i)
{
	return &g_array_index(c->runs, struct cim_run, i);
}

static void show(struct cim_content *c, uint64_t size, uint64_t allocated)
{
	__atomic_store_n(&c->shown, size, __ATOMIC_RELAXED);
	__atomic_store_n(&c->shown_allocated, MIN(allocated, size), __ATOMIC_RELAXED);
}

/* After each change of its size or its chunks: a file with data never shows none. */
static void changed(struct cim_content *c)
{
	if (!c->loading)
		show(c, c->size, c->in_scratch ? chunk_off(c->n_chunks) : c->size);
}

static void set_size(struct cim_content *c, uint64_t size)
{
	c->size = size;
	changed(c);
}

static void drop_runs(struct cim_content *c)
{
	for (guint i = 0; i < c->runs->len; i++)
		give_chunks(c->scratch, run_at(c, i)->scratch_chunk, run_at(c, i)->n);
	g_array_set_size(c->runs, 0);
	c->n_chunks = 0;
}

void cim_content_unref(struct cim_content *c)
{
	if (!c || !g_atomic_ref_count_dec(&c->refs))
		return;
	drop_buffer(c);
	if (c->runs) {
		drop_runs(c);
		g_array_free(c->runs, TRUE);
	}
	g_mutex_clear(&c->lock);
	g_free(c);
}

void cim_content_begin_load(struct cim_content *c, uint64_t size)
{
	c->loading = true;
	show(c, size, size);
}

void cim_content_end_load(struct cim_content *c)
{
	c->loading = false;
	changed(c);
}

/* The first run that ends behind a chunk of the file: it has the chunk, or is the next one. */
static guint find_run(const struct cim_content *c, uint32_t chunk)
{
	guint low = 0, high = c->runs->len;

	while (low < high) {
		guint mid = low + (high - low) / 2;

		if (run_at(c, mid)->file_chunk + run_at(c, mid)->n <= chunk)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool has_chunk(const struct cim_content *c, guint i, uint32_t chunk)
{
	return i < c->runs->len && run_at(c, i)->file_chunk <= chunk;
}

static uint64_t chunk_place(const struct cim_run *run, uint32_t chunk)
{
	return chunk_off(run->scratch_chunk + (chunk - run->file_chunk));
}

/* Where a chunk of the file lies in the scratch file, taking one if it has none. */
static int map_chunk(struct cim_content *c, uint32_t chunk, uint64_t *ret_off)
{
	guint i = find_run(c, chunk);
	uint32_t near = UINT32_MAX, got;

	if (has_chunk(c, i, chunk)) {
		*ret_off = chunk_place(run_at(c, i), chunk);
		return 0;
	}
	struct cim_run *before = i > 0 ? run_at(c, i - 1) : NULL;
	bool follows = before && before->file_chunk + before->n == chunk;
	if (follows)
		near = before->scratch_chunk + before->n;
	int r = take_chunk(c->scratch, near, &got);
	if (r < 0)
		return r;
	if (follows && got == near) {
		before->n++;
	} else {
		struct cim_run run = { .file_chunk = chunk, .scratch_chunk = got, .n = 1 };

		g_array_insert_val(c->runs, i, run);
	}
	c->n_chunks++;
	changed(c);
	*ret_off = chunk_off(got);
	return 0;
}

static int scratch_write(struct cim_content *c, uint64_t off, const uint8_t *data, size_t size)
{
	if (off + size > (uint64_t)UINT32_MAX * CIM_SCRATCH_CHUNK)
		return -EFBIG;
	while (size > 0) {
		uint64_t in = off % CIM_SCRATCH_CHUNK, at;
		size_t part = MIN(size, CIM_SCRATCH_CHUNK - in);
		int r = map_chunk(c, (uint32_t)(off / CIM_SCRATCH_CHUNK), &at);

		if (r < 0)
			return r;
		/* As far as the chunks after it follow on. */
		while (part < size) {
			uint64_t next;
			r = map_chunk(c, (uint32_t)((off + part) / CIM_SCRATCH_CHUNK), &next);

			if (r < 0)
				return r;
			if (next != at + in + part)
				break;
			part = MIN(size, part + CIM_SCRATCH_CHUNK);
		}
		r = cim_pwrite_full(c->scratch->file.fd, data, part, at + in);
		if (r < 0)
			return r;
		data += part;
		off += part;
		size -= part;
	}
	return 0;
}

/* From memory to the scratch file. */
static int spill(struct cim_content *c)
{
	if (c->in_scratch)
		return 0;
	if (!c->runs)
		c->runs = g_array_new(FALSE, FALSE, sizeof(struct cim_run));
	int r = scratch_write(c, 0, c->buf, (size_t)c->size);
	if (r < 0) { /* still whole in memory; what was written must not be seen in a hole later */
		drop_runs(c);
		return r;
	}
	c->in_scratch = true;
	changed(c);
	drop_buffer(c);
	return 0;
}

/* Room for @need bytes in memory; false: it must go to the scratch file. */
static bool make_room(struct cim_content *c, uint64_t need)
{
	size_t room = c->buf_room ? c->buf_room : BLOCK;

	if (need <= c->buf_room)
		return true;
	if (need > CIM_CONTENT_BUFFER)
		return false;
	while (room < need)
		room *= 2;
	gssize more = (gssize)(room - c->buf_room);
	if (__atomic_add_fetch(&c->scratch->memory, more, __ATOMIC_RELAXED) > CIM_SCRATCH_MEMORY) {
		(void)__atomic_sub_fetch(&c->scratch->memory, more, __ATOMIC_RELAXED);
		return false;
	}
	uint8_t *grown = realloc(c->buf, room);
	if (!grown) {
		(void)__atomic_sub_fetch(&c->scratch->memory, more, __ATOMIC_RELAXED);
		return false;
	}
	c->buf = grown;
	c->buf_room = room;
	return true;
}

int cim_content_write(struct cim_content *c, uint64_t off, const void *data, size_t size)
{
	uint64_t end;
	int r = c->error;

	if (r < 0 || size == 0)
		return r;
	if (__builtin_add_overflow(off, (uint64_t)size, &end) || end > CIM_STREAM_SIZE_MAX)
		return -EFBIG;
	bool hole = off > c->size && off - c->size >= BLOCK;
	if (!c->in_scratch && !hole && make_room(c, end)) {
		if (off > c->size)
			memset(c->buf + c->size, 0, off - c->size);
		memcpy(c->buf + off, data, size);
	} else {
		r = spill(c);
		if (r == 0)
			r = scratch_write(c, off, data, size);
		if (r < 0)
			return r;
	}
	c->dirty = true;
	if (end > c->size)
		set_size(c, end);
	return 0;
}

static int read_chunk(struct cim_content *c, uint64_t off, uint8_t *buf, size_t size)
{
	uint32_t chunk = (uint32_t)(off / CIM_SCRATCH_CHUNK);
	guint i = find_run(c, chunk);

	if (!has_chunk(c, i, chunk)) {
		memset(buf, 0, size);
		return 0;
	}
	uint64_t at = chunk_place(run_at(c, i), chunk) + off % CIM_SCRATCH_CHUNK;
	for (ssize_t n; size > 0; buf += n, at += (uint64_t)n, size -= (size_t)n) {
		n = pread(c->scratch->file.fd, buf, size, (off_t)at);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0) { /* the scratch file ends in a hole */
			memset(buf, 0, size);
			return 0;
		}
		n = MAX(n, 0);
	}
	return 0;
}

ssize_t cim_content_read(struct cim_content *c, uint64_t off, void *buf, size_t size)
{
	if (c->error < 0)
		return c->error;
	if (off >= c->size)
		return 0;
	size = (size_t)MIN((uint64_t)size, c->size - off);
	if (!c->in_scratch) {
		memcpy(buf, c->buf + off, size);
		return (ssize_t)size;
	}
	for (size_t done = 0; done < size;) {
		size_t part =
			MIN(size - done, CIM_SCRATCH_CHUNK - (off + done) % CIM_SCRATCH_CHUNK);
		int r = read_chunk(c, off + done, (uint8_t *)buf + done, part);

		if (r < 0)
			return r;
		done += part;
	}
	return (ssize_t)size;
}

/* Zeros in a part of one chunk, if the file has it. */
static int clear_in_chunk(struct cim_content *c, uint64_t off, uint64_t size)
{
	static const uint8_t zeros[CIM_SCRATCH_CHUNK];
	uint32_t chunk = (uint32_t)(off / CIM_SCRATCH_CHUNK);
	guint i = find_run(c, chunk);

	if (size == 0 || !has_chunk(c, i, chunk))
		return 0;
	uint64_t at = chunk_place(run_at(c, i), chunk) + off % CIM_SCRATCH_CHUNK;
	if (fallocate(c->scratch->file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
		      (off_t)size) == 0)
		return 0;
	return cim_pwrite_full(c->scratch->file.fd, zeros, size, at);
}

/* Give back whole chunks first..end-1 of the file. */
static void drop_chunks(struct cim_content *c, uint32_t first, uint32_t end)
{
	for (guint i = find_run(c, first); i < c->runs->len && run_at(c, i)->file_chunk < end;) {
		struct cim_run run = *run_at(c, i);
		uint32_t from = MAX(run.file_chunk, first), to = MIN(run.file_chunk + run.n, end);
		struct cim_run left = { run.file_chunk, run.scratch_chunk, from - run.file_chunk };
		struct cim_run right = { to, run.scratch_chunk + (to - run.file_chunk),
					 run.file_chunk + run.n - to };

		give_chunks(c->scratch, run.scratch_chunk + (from - run.file_chunk), to - from);
		c->n_chunks -= to - from;
		g_array_remove_index(c->runs, i);
		if (right.n > 0)
			g_array_insert_val(c->runs, i, right);
		if (left.n > 0) {
			g_array_insert_val(c->runs, i, left);
			i++;
		}
	}
	changed(c);
}

static int clear_range(struct cim_content *c, uint64_t off, uint64_t end)
{
	uint64_t first = (off + CIM_SCRATCH_CHUNK - 1) / CIM_SCRATCH_CHUNK; /* whole chunks */
	uint64_t last = end / CIM_SCRATCH_CHUNK;

	if (first > last) /* inside one chunk */
		return clear_in_chunk(c, off, end - off);
	int r = clear_in_chunk(c, off, first * CIM_SCRATCH_CHUNK - off);
	if (r == 0)
		r = clear_in_chunk(c, last * CIM_SCRATCH_CHUNK, end - last * CIM_SCRATCH_CHUNK);
	if (r == 0)
		drop_chunks(c, (uint32_t)MIN(first, UINT32_MAX), (uint32_t)MIN(last, UINT32_MAX));
	return r;
}

int cim_content_truncate(struct cim_content *c, uint64_t size)
{
	int r = c->error;

	if (r < 0 || size == c->size)
		return r;
	if (size > CIM_STREAM_SIZE_MAX)
		return -EFBIG;
	if (!c->in_scratch && size > c->size) {
		if (size - c->size < BLOCK && make_room(c, size)) {
			memset(c->buf + c->size, 0, size - c->size);
		} else {
			r = spill(c);
			if (r < 0)
				return r;
		}
	} else if (c->in_scratch && size < c->size) {
		/* What is cut off must read as zeros when the file grows again. */
		r = clear_range(c, size,
				(c->size + CIM_SCRATCH_CHUNK - 1) / CIM_SCRATCH_CHUNK *
					CIM_SCRATCH_CHUNK);
		if (r < 0)
			return r;
	}
	set_size(c, size);
	c->dirty = true;
	return 0;
}

int cim_content_punch(struct cim_content *c, uint64_t off, uint64_t size)
{
	int r = c->error;

	if (r < 0 || off >= c->size)
		return r;
	size = MIN(size, c->size - off);
	if (!c->in_scratch && size < BLOCK) {
		memset(c->buf + off, 0, size);
	} else {
		r = spill(c);
		if (r == 0)
			r = clear_range(c, off, off + size);
		if (r < 0)
			return r;
	}
	c->dirty = true;
	return 0;
}

/* In a chunk that the file has, or past the end of what was ever written to the scratch file. */
static int64_t seek_in_chunk(struct cim_content *c, const struct cim_run *run, uint64_t off,
			     int whence)
{
	uint64_t start = chunk_off(run->file_chunk), end = start + chunk_off(run->n);
	uint64_t at = chunk_off(run->scratch_chunk) + (off - start);
	off_t found = lseek(c->scratch->file.fd, (off_t)at, whence);

	if (found < 0 && errno != ENXIO)
		return -errno;
	if (found < 0)
		return whence == SEEK_DATA ? (int64_t)end : (int64_t)off;
	return (int64_t)MIN(off + ((uint64_t)found - at), end);
}

int64_t cim_content_seek(struct cim_content *c, uint64_t off, int whence)
{
	if (c->error < 0)
		return c->error;
	if (off >= c->size)
		return -ENXIO;
	if (!c->in_scratch)
		return whence == SEEK_DATA ? (int64_t)off : (int64_t)c->size;
	uint64_t at = off;
	for (guint i = find_run(c, (uint32_t)(off / CIM_SCRATCH_CHUNK)); i < c->runs->len; i++) {
		const struct cim_run *run = run_at(c, i);
		uint64_t start = chunk_off(run->file_chunk), end = start + chunk_off(run->n);

		if (at < start && whence == SEEK_HOLE)
			break;
		at = MAX(at, start);
		int64_t found = seek_in_chunk(c, run, at, whence);
		if (found < 0)
			return found;
		at = (uint64_t)found;
		if (at < end)
			return at < c->size          ? (int64_t)at
			       : whence == SEEK_DATA ? -ENXIO
						     : (int64_t)c->size;
	}
	if (whence == SEEK_DATA)
		return -ENXIO;
	return (int64_t)MIN(at, c->size);
}

int cim_content_write_out(struct cim_content *c)
{
	int r = c->error;

	for (guint i = 0; r == 0 && c->runs && i < c->runs->len; i++)
		r = cim_tmpfile_write_out(&c->scratch->file, chunk_off(run_at(c, i)->scratch_chunk),
					  chunk_off(run_at(c, i)->n));
	return r;
}

/* ---- storing ---- */

static int store_data(struct cim_content *c, struct cim_region_writer *rw, uint64_t at,
		      uint64_t from, uint64_t to, struct cim_hash *hash, void *buf)
{
	for (size_t part; from < to; from += part) {
		part = (size_t)MIN(to - from, COPY_CHUNK);
		ssize_t n = cim_content_read(c, from, buf, part);
		if (n < 0)
			return (int)n;
		if (hash)
			cim_hash_add(hash, buf, part);
		int r = cim_region_write(rw, at, from, buf, part);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Bytes of holes, or what lseek(2) says: data that cannot be found is no hole. */
static int64_t count_holes(struct cim_content *c)
{
	uint64_t sum = 0, at = 0;

	while (at < c->size) {
		int64_t data = cim_content_seek(c, at, SEEK_DATA);
		if (data < 0 && data != -ENXIO)
			return data;
		uint64_t end = data < 0 ? c->size : (uint64_t)data;

		sum += end - at;
		if (end == c->size)
			break;
		int64_t hole = cim_content_seek(c, end, SEEK_HOLE);
		if (hole < 0)
			return hole;
		at = (uint64_t)hole;
	}
	return (int64_t)sum;
}

static int store_pieces(struct cim_content *c, struct cim_region_writer *rw, uint64_t at,
			struct cim_hash *hash)
{
	g_autofree void *buf = g_malloc(COPY_CHUNK);
	uint64_t done = 0;
	int r = 0;

	while (r == 0 && done < c->size) {
		int64_t data = cim_content_seek(c, done, SEEK_DATA);
		if (data < 0 && data != -ENXIO)
			return (int)data;
		uint64_t from = data < 0 ? c->size : (uint64_t)data;

		if (hash)
			cim_hash_zeros(hash, from - done);
		int64_t hole =
			from < c->size ? cim_content_seek(c, from, SEEK_HOLE) : (int64_t)from;
		if (hole < 0)
			return (int)hole;
		r = store_data(c, rw, at, from, (uint64_t)hole, hash, buf);
		done = (uint64_t)hole;
	}
	return r;
}

static int store_large(struct cim_content *c, struct cim_region_writer *rw, uint64_t holes,
		       struct cim_stored *ret)
{
	struct cim_hash *hash = holes <= CIM_HASHED_HOLES ? cim_hash_begin() : NULL;
	struct cim_digest digest;
	uint64_t at = 0;
	int r = cim_region_begin(rw, c->size, &at);

	if (r == 0 && (r = store_pieces(c, rw, at, hash)) < 0)
		cim_region_abort(rw, at, c->size);
	if (hash)
		cim_hash_end(hash, &digest);
	return r < 0 ? r : cim_region_end(rw, at, c->size, hash ? &digest : NULL, ret);
}

int cim_content_store(struct cim_content *c, struct cim_region_writer *rw, struct cim_stored *ret,
		      uint64_t *ret_holes)
{
	int64_t holes = c->error == 0 && c->in_scratch ? count_holes(c) : 0;
	int r = c->error;

	if (r < 0 || holes < 0)
		return r < 0 ? r : (int)holes;
	*ret = (struct cim_stored){ 0 };
	if ((uint64_t)holes < c->size) {
		if (!c->in_scratch) {
			r = cim_region_put(rw, c->buf, (size_t)c->size, ret);
		} else if (c->size <= CIM_SMALL_MAX) {
			/* Too small to keep a hole in a region of small files. */
			uint8_t small[CIM_SMALL_MAX];
			ssize_t n = cim_content_read(c, 0, small, sizeof(small));

			r = n < 0 ? (int)n : cim_region_put(rw, small, (size_t)c->size, ret);
		} else {
			r = store_large(c, rw, (uint64_t)holes, ret);
		}
	}
	if (r < 0)
		return r;
	*ret_holes = (uint64_t)holes;
	c->dirty = false;
	return 0;
}
