/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Alternate data streams of the writer's files, and streams that are written front to back.
 *
 * Names of streams compare as the image's other names do: in a case-sensitive image "Foo" and "foo"
 * are two streams, as they must be for xattrs, and the table is sorted by the same rule as those of
 * directories.
 */
#include "config.h"

#include <stdlib.h>

#include "error.h"
#include "node.h"

/* ---- the table ---- */

struct cim_ads *cim_streams_at(const struct cim_node *node, guint i)
{
	return &g_array_index(node->streams, struct cim_ads, i);
}

bool cim_streams_find(const struct cim_writer *w, const struct cim_node *node,
		      const uint16_t *units, size_t n, guint *ret)
{
	guint i = 0;
	int order = 1;

	for (; node->streams && i < node->streams->len; i++) {
		const struct cim_ads *s = cim_streams_at(node, i);

		order = cim_upcase_compare(&w->upcase, units, n, s->units, s->n_units);
		if (order <= 0)
			break;
	}
	*ret = i;
	return order == 0;
}

void cim_streams_remove(struct cim_writer *w, struct cim_node *node, guint i)
{
	cim_stream_detach(w, node, cim_streams_at(node, i));
	g_array_remove_index(node->streams, i);
}

void cim_streams_put(struct cim_writer *w, struct cim_node *node, const uint16_t *units, size_t n,
		     const struct cim_data *data)
{
	struct cim_ads s = { .data = *data, .n_units = (uint16_t)n };
	guint i;

	memcpy(s.units, units, n * sizeof(units[0]));
	if (!node->streams)
		node->streams = g_array_new(FALSE, FALSE, sizeof(struct cim_ads));
	if (cim_streams_find(w, node, units, n, &i))
		cim_streams_remove(w, node, i);
	g_array_insert_val(node->streams, i, s);
}

int cim_node_load_streams(struct cim_writer *w, const struct cim_entry *e, struct cim_node *node)
{
	struct cim_links links;
	int r = cim_file_streams(w->base, e, &links);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < links.n; i++) {
		struct cim_ads s = { 0 };
		struct cim_stream stream;
		int n = cim_links_name(&links, i, s.units);

		if (n < 0)
			return n;
		r = cim_links_stream(&links, i, &stream);
		if (r < 0)
			return r;
		s.n_units = (uint16_t)n;
		s.data = cim_data_of_stream(&stream);
		if (!node->streams)
			node->streams = g_array_new(FALSE, FALSE, sizeof(s));
		g_array_append_val(node->streams, s);
	}
	return 0;
}

/* ---- for callers ---- */

static int check_stream_name(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || strchr(name, '/'))
		return cim_fail(EINVAL, "a stream's name is not empty and has no \"/\"");
	return n > CIM_NAME_BYTES ? cim_fail(ENAMETOOLONG,
					     "a stream's name has %zu bytes; it may "
					     "have %d UTF-16 units",
					     n, CIM_NAME_UNITS)
				  : 0;
}

/* How a stream's name is stored, in either of its spellings; @ret_at if the node has it. */
static int spell(const struct cim_writer *w, const struct cim_node *node, const char *name,
		 uint16_t *units, size_t *ret_n, guint *ret_at)
{
	int r = check_stream_name(name);

	if (r < 0)
		return r;
	int plain = cim_name_plain_encode(name, strlen(name), units);
	if (plain > 0 && plain <= CIM_NAME_UNITS &&
	    cim_streams_find(w, node, units, (size_t)plain, ret_at)) {
		*ret_n = (size_t)plain;
		return 1;
	}
	*ret_n = cim_name_encode(name, strlen(name), units);
	if (*ret_n > CIM_NAME_UNITS)
		return cim_fail(ENAMETOOLONG,
				"a stream's name has %zu UTF-16 units; it may have %d", *ret_n,
				CIM_NAME_UNITS);
	return cim_streams_find(w, node, units, *ret_n, ret_at);
}

/* A name in another case, where the view wants that. */
static bool find_folded(const struct cim_writer *w, const struct cim_node *node,
			const uint16_t *units, size_t n, guint *ret)
{
	const struct cim_upcase upcase = cim_fold_upcase();

	for (guint i = 0; w->view.ignore_case && node->streams && i < node->streams->len; i++) {
		const struct cim_ads *s = cim_streams_at(node, i);

		if (cim_upcase_compare(&upcase, units, n, s->units, s->n_units) == 0) {
			*ret = i;
			return true;
		}
	}
	return false;
}

int cim_streams_find_name(const struct cim_writer *w, const struct cim_node *node, const char *name,
			  guint *ret)
{
	uint16_t units[CIM_NAME_BYTES];
	size_t n;
	int r = spell(w, node, name, units, &n, ret);

	if (r == 0 && find_folded(w, node, units, n, ret))
		r = 1;
	return r == 0 ? -ENOENT : r < 0 ? r : 0;
}

int cim_streams_add_name(struct cim_writer *w, struct cim_node *node, const char *name, guint *ret)
{
	const struct cim_data nothing = { 0 };
	uint16_t units[CIM_NAME_BYTES];
	size_t n;
	int r = spell(w, node, name, units, &n, ret);

	if (r < 0)
		return r;
	cim_streams_put(w, node, units, n, &nothing);
	return 0;
}

int cim_writer_list_streams(struct cim_writer *w, uint32_t id, cim_stream_fn fn, void *arg)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	const struct cim_node *node = cim_node_find(w, id);
	char name[CIM_NAME_BYTES + 1];
	struct cim_entry e;
	int r = cim_writer_usable(w);

	if (r == 0 && !node) {
		r = id && id <= w->base_last_id ? cim_image_entry(w->base, id, &e) : -ESTALE;
		return r < 0 ? r : cim_file_each_stream(w->base, &e, fn, arg);
	}
	for (guint i = 0; r == 0 && node->streams && i < node->streams->len; i++) {
		const struct cim_ads *s = cim_streams_at(node, i);

		if (cim_name_shown(s->units, s->n_units, name) > 0)
			r = fn(arg, name, s->data.size);
	}
	return r;
}

static int find_named(struct cim_writer *w, uint32_t id, const char *name,
		      struct cim_node **ret_node, guint *ret)
{
	int r = cim_writer_usable(w);

	if (r == 0)
		r = cim_node_get(w, id, ret_node);
	return r < 0 ? r : cim_streams_find_name(w, *ret_node, name, ret);
}

ssize_t cim_writer_read_stream(struct cim_writer *w, uint32_t id, const char *name, uint64_t off,
			       void *buf, size_t size)
{
	struct cim_node *node;
	guint i;

	g_mutex_lock(&w->lock);
	int r = find_named(w, id, name, &node, &i);
	/* Stored data does not move before the commit, which waits for the lock. */
	struct cim_data data = r == 0 ? cim_streams_at(node, i)->data : (struct cim_data){ 0 };
	g_mutex_unlock(&w->lock);
	return r < 0 ? r : cim_data_read(w, &data, off, buf, size);
}

int cim_writer_remove_stream(struct cim_writer *w, uint32_t id, const char *name)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_node *node;
	guint i;
	int r = find_named(w, id, name, &node, &i);

	if (r < 0)
		return r;
	cim_streams_remove(w, node, i);
	cim_node_mark(w, node);
	return 0;
}

/* ---- written front to back ---- */

struct cim_stream_writer {
	struct cim_writer *w;
	uint32_t id;
	uint64_t size, done; /* bytes: declared, and given so far */
	uint8_t *small;      /* a stream of up to CIM_SMALL_MAX bytes is gathered here */
	struct cim_hash *hash;
	uint64_t at;  /* in the data region; of larger ones, once they have begun */
	bool begun;   /* … and have to be ended */
	int error;    /* what writing met: the stream keeps what it had before */
	bool is_main; /* else: */
	uint16_t n_units;
	uint16_t units[CIM_NAME_BYTES];
};

/* Until it is closed the stream reads as zeros, as what is never written will. */
static void put_data(struct cim_stream_writer *s, struct cim_node *node,
		     const struct cim_data *data)
{
	struct cim_writer *w = s->w;

	if (s->is_main) {
		cim_data_drop(w, &node->data);
		node->data = *data;
	} else {
		cim_streams_put(w, node, s->units, s->n_units, data);
	}
	cim_node_mark(w, node);
}

/* Whether the main stream of a node can be written this way. */
static int check_main(const struct cim_node *node)
{
	if (S_ISDIR(node->mode) || node->data.type == CIM_STREAM_LINKS)
		return cim_fail(EISDIR, "a directory has no data");
	if (S_ISREG(node->mode) && (node->content || node->n_writers > 0))
		return cim_fail(CIM_ELOCKED, "the file is open for writing");
	return 0;
}

int cim_stream_writer_open(struct cim_writer *w, uint32_t id, const char *stream, uint64_t size,
			   struct cim_stream_writer **ret)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	const struct cim_stored nothing = { 0 };
	struct cim_node *node;
	size_t n = 0;
	guint i;
	int r = cim_writer_usable(w);

	if (r == 0 && size > CIM_STREAM_SIZE_MAX)
		r = cim_fail(EFBIG, "a stream of this size does not fit the format");
	if (r == 0)
		r = cim_node_get(w, id, &node);
	if (r < 0)
		return r;
	struct cim_stream_writer *s = g_new0(struct cim_stream_writer, 1);
	*s = (struct cim_stream_writer){ .w = w, .id = id, .size = size, .is_main = !stream };
	r = stream ? spell(w, node, stream, s->units, &n, &i) : check_main(node);
	if (r < 0) {
		g_free(s);
		return r;
	}
	s->n_units = (uint16_t)n;
	struct cim_data zeros = cim_data_of_stored(&nothing, size, 0);
	put_data(s, node, &zeros);
	w->n_streams++;
	*ret = s;
	return 0;
}

/* A large one begins with its first byte: one that is never written takes no place at all. */
static int begin(struct cim_stream_writer *s)
{
	if (s->size <= CIM_SMALL_MAX) {
		if (!s->small)
			s->small = g_malloc0(CIM_SMALL_MAX);
		return 0;
	}
	if (s->begun)
		return 0;
	int r = cim_region_begin(s->w->region, s->size, &s->at);
	if (r < 0)
		return r;
	s->begun = true;
	s->hash = cim_hash_begin();
	return 0;
}

int cim_stream_writer_add(struct cim_stream_writer *s, const void *buf, size_t size)
{
	size_t fits = (size_t)MIN((uint64_t)size, s->size - s->done);

	if (s->error < 0)
		return s->error;
	int r = fits > 0 ? begin(s) : 0;
	if (r == 0 && fits > 0 && s->small) {
		memcpy(s->small + s->done, buf, fits);
	} else if (r == 0 && fits > 0) {
		cim_hash_add(s->hash, buf, fits);
		r = cim_region_write(s->w->region, s->at, s->done, buf, fits);
	}
	if (r < 0) {
		s->error = r;
		return r;
	}
	s->done += fits;
	if (fits < size)
		return cim_fail(EFBIG,
				"the stream was made with %" G_GUINT64_FORMAT
				" bytes, and %zu more were given; it keeps what fits",
				s->size, size - fits);
	return 0;
}

int cim_stream_writer_error(const struct cim_stream_writer *s)
{
	return s->error;
}

/* What was never written is a hole, and counts in the digest as the zeros that it reads as. */
static int end_large(struct cim_stream_writer *s, struct cim_stored *ret)
{
	struct cim_digest digest;
	bool hashed = s->size - s->done <= CIM_HASHED_HOLES;

	if (hashed)
		cim_hash_zeros(s->hash, s->size - s->done);
	cim_hash_end(g_steal_pointer(&s->hash), &digest);
	s->begun = false;
	return cim_region_end(s->w->region, s->at, s->size, hashed ? &digest : NULL, ret);
}

static int store_stream(struct cim_stream_writer *s, struct cim_data *ret)
{
	struct cim_stored stored = { 0 };
	int r = s->error;

	if (r == 0 && s->begun)
		r = end_large(s, &stored);
	else if (r == 0 && s->small)
		r = cim_region_put(s->w->region, s->small, (size_t)s->size, &stored);
	uint64_t left = s->size - s->done;
	if (r == 0)
		*ret = cim_data_of_stored(&stored, s->size, left >= CIM_DATA_ALIGN ? left : 0);
	return r;
}

int cim_stream_writer_close(struct cim_stream_writer *s)
{
	struct cim_data data;
	struct cim_writer *w;

	if (!s)
		return 0;
	w = s->w;
	int r = store_stream(s, &data);
	if (s->begun)
		cim_region_abort(w->region, s->at, s->size);
	if (s->hash)
		cim_hash_end(s->hash, &(struct cim_digest){ 0 });
	g_mutex_lock(&w->lock);
	struct cim_node *node = cim_node_find(w, s->id);
	if (r == 0 && node && (!s->is_main || check_main(node) == 0))
		put_data(s, node, &data);
	else if (r == 0)
		cim_data_drop(w, &data);
	w->n_streams--;
	g_mutex_unlock(&w->lock);
	g_free(s->small);
	g_free(s);
	return r;
}
