/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The data of the writer's files: from what is stored to a content that changes, and back.
 *
 * A file has a content from its first change until it is stored again: when the last
 * writer closes it, or, if it was stored once already and lives in the scratch file, at the commit.
 * I/O is done under the content's lock; the tree's is held only to find the node and to note
 * the result.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>

#include "error.h"
#include "node.h"
#include "util.h"

#define LOAD_CHUNK (1024 * 1024)

int cim_node_regular(struct cim_writer *w, uint32_t id, struct cim_node **ret)
{
	int r = cim_writer_usable(w);

	if (r == 0)
		r = cim_node_get(w, id, ret);
	if (r < 0)
		return r;
	return S_ISREG((*ret)->mode) ? 0 : S_ISDIR((*ret)->mode) ? -EISDIR : -EINVAL;
}

/* ---- what is stored ---- */

struct cim_data cim_data_of_stream(const struct cim_stream *s)
{
	return (struct cim_data){
		.size = s->size,
		.stored.where = s->off,
		.kind = s->size > 0 ? CIM_DATA_BASE : CIM_DATA_NONE,
		.type = (uint8_t)s->type,
		.sparse = s->sparse,
		.has_holes = s->sparse,
	};
}

struct cim_data cim_data_of_stored(const struct cim_stored *s, uint64_t size, uint64_t holes)
{
	bool hole = size > 0 && !s->own && !s->where;
	struct cim_data d = {
		.size = size,
		.stored = *s,
		.kind = size == 0 ? CIM_DATA_NONE
			: hole    ? CIM_DATA_HOLE
				  : CIM_DATA_STORED,
		.has_holes = holes > 0 || hole,
	};

	/* Those of small files are stored as zeros. */
	if (size > CIM_SMALL_MAX)
		cim_data_set_holes(&d, holes);
	return d;
}

void cim_data_set_holes(struct cim_data *d, uint64_t holes)
{
	d->n_hole_blocks = (uint32_t)MIN(holes / CIM_HOLE_BLOCK, UINT32_MAX);
}

uint64_t cim_data_held(const struct cim_data *d)
{
	if (d->kind == CIM_DATA_NONE || d->kind == CIM_DATA_HOLE || d->sparse)
		return 0;
	return d->size - MIN((uint64_t)d->n_hole_blocks * CIM_HOLE_BLOCK, d->size - 1);
}

struct cim_stream cim_data_encode(const struct cim_writer *w, const struct cim_data *d)
{
	struct cim_stream s = { .size = d->size };

	switch ((enum cim_data_kind)d->kind) {
	case CIM_DATA_NONE:
		s.size = 0;
		s.type = (enum cim_stream_type)d->type;
		break;
	case CIM_DATA_HOLE:
		s.sparse = true;
		break;
	case CIM_DATA_BASE:
		s.off = d->stored.where;
		s.type = (enum cim_stream_type)d->type;
		s.sparse = d->sparse;
		break;
	case CIM_DATA_STORED:
		s.off = cim_region_off(w->region, &d->stored);
		break;
	}
	return s;
}

void cim_data_drop(struct cim_writer *w, struct cim_data *d)
{
	if (d->kind == CIM_DATA_STORED)
		cim_region_unref(w->region, &d->stored);
	*d = (struct cim_data){ .type = d->type };
}

void cim_node_drop_data(struct cim_writer *w, struct cim_node *node)
{
	cim_data_drop(w, &node->data);
	if (S_ISREG(node->mode))
		cim_content_unref(g_steal_pointer(&node->content));
	for (guint i = 0; node->streams && i < node->streams->len; i++)
		cim_stream_detach(w, node, cim_streams_at(node, i));
	if (node->streams)
		g_array_set_size(node->streams, 0);
}

static bool is_own(const struct cim_data *d)
{
	return d->kind == CIM_DATA_STORED && d->stored.own;
}

ssize_t cim_data_read(struct cim_writer *w, const struct cim_data *d, uint64_t off, void *buf,
		      size_t size)
{
	if (off >= d->size || d->kind == CIM_DATA_NONE)
		return 0;
	size = (size_t)MIN((uint64_t)size, d->size - off);
	if (d->kind == CIM_DATA_HOLE) {
		memset(buf, 0, size);
		return (ssize_t)size;
	}
	if (is_own(d)) {
		int r = cim_region_read(w->region, &d->stored, off, buf, size);

		return r < 0 ? r : (ssize_t)size;
	}
	struct cim_stream s = cim_data_encode(w, d);
	return cim_stream_read(w->base, &s, off, buf, size);
}

/* The next data of what is stored, so that holes are not copied. */
static int64_t seek_stored(struct cim_writer *w, const struct cim_data *d, uint64_t off, int whence)
{
	if (off >= d->size)
		return -ENXIO;
	if (d->kind == CIM_DATA_HOLE)
		return whence == SEEK_DATA ? -ENXIO : (int64_t)off;
	if (is_own(d))
		return cim_region_seek(w->region, &d->stored, d->size, off, whence);
	struct cim_stream s = cim_data_encode(w, d);
	return cim_stream_seek(w->base, &s, off, whence);
}

/* ---- from what is stored to a content ---- */

/* Copy what is stored, up to @size, into a new content whose lock is held. */
static int load(struct cim_writer *w, const struct cim_data *stored, uint64_t size,
		struct cim_content *c)
{
	g_autofree void *buf = g_malloc(LOAD_CHUNK);
	uint64_t at = 0, end = MIN(size, stored->size);
	int r = 0;

	while (r == 0 && at < end) {
		int64_t data =
			stored->has_holes ? seek_stored(w, stored, at, SEEK_DATA) : (int64_t)at;
		if (data < 0 && data != -ENXIO)
			return (int)data;
		if (data < 0 || (uint64_t)data >= end)
			break;
		int64_t hole = stored->has_holes ? seek_stored(w, stored, (uint64_t)data, SEEK_HOLE)
						 : (int64_t)end;
		if (hole < 0)
			return (int)hole;
		uint64_t stop = MIN((uint64_t)hole, end);
		for (at = (uint64_t)data; r == 0 && at < stop;) {
			ssize_t n = cim_data_read(w, stored, at, buf,
						  (size_t)MIN(stop - at, LOAD_CHUNK));
			if (n <= 0)
				return n < 0 ? (int)n : -EIO;
			r = cim_content_write(c, at, buf, (size_t)n);
			at += (uint64_t)n;
		}
	}
	return r < 0 ? r : cim_content_truncate(c, end);
}

/*
 * The content of a file, made when it changes for the first time, with up to @keep bytes of what is
 * stored.  Called under the tree's lock, which is let go while data is copied; returns with the
 * content's lock held and the tree's not.
 */
static int change(struct cim_writer *w, struct cim_node *node, uint64_t keep,
		  struct cim_content **ret)
{
	struct cim_content *c = node->content;
	bool fresh = !c;
	struct cim_data stored = node->data; /* what load() reads of it */
	uint32_t id = node->id;

	if (fresh) {
		c = cim_content_new(&w->scratch);
		node->content = c;
		cim_content_begin_load(c, MIN(keep, stored.size));
		/* Nobody else has it yet: this gets it, against the order that waiting has. */
		(void)g_mutex_trylock(&c->lock);
	}
	cim_content_ref(c);
	g_mutex_unlock(&w->lock);
	if (!fresh) {
		g_mutex_lock(&c->lock);
	} else {
		int r = load(w, &stored, keep, c);
		cim_content_end_load(c);
		c->dirty = keep < stored.size;
		if (r < 0)
			c->error = r;
	}
	if (c->error < 0) {
		int r = c->error;

		g_mutex_unlock(&c->lock);
		/* The file keeps what is stored, and the next change tries again. */
		g_mutex_lock(&w->lock);
		struct cim_node *now = cim_node_find(w, id);
		bool mine = now && now->content == c;
		if (mine)
			now->content = NULL;
		g_mutex_unlock(&w->lock);
		if (mine)
			cim_content_unref(c);
		cim_content_unref(c);
		return r;
	}
	*ret = c;
	return 0;
}

static void end_change(struct cim_content *c)
{
	g_mutex_unlock(&c->lock);
	cim_content_unref(c);
}

/* ---- open, close ---- */

static int resize(struct cim_writer *w, struct cim_node *node, uint64_t size)
{
	struct cim_content *c;

	if (!node->content && size == node->data.size) {
		g_mutex_unlock(&w->lock);
		return 0;
	}
	int r = change(w, node, size, &c);
	if (r < 0)
		return r;
	r = cim_content_truncate(c, size);
	end_change(c);
	return r;
}

int cim_writer_open_file(struct cim_writer *w, uint32_t id, unsigned int flags)
{
	struct cim_node *node;

	g_mutex_lock(&w->lock);
	int r = cim_writer_usable(w);
	/* Opening a file of the base to read it changes nothing, and costs nothing. */
	if (r == 0 && !(flags & CIM_OPEN_WRITE) && !cim_node_find(w, id)) {
		g_mutex_unlock(&w->lock);
		return id && id <= w->base_last_id ? 0 : -ESTALE;
	}
	if (r == 0)
		r = cim_node_regular(w, id, &node);
	if (r < 0) {
		g_mutex_unlock(&w->lock);
		return r;
	}
	node->n_opens++;
	if (flags & CIM_OPEN_WRITE)
		node->n_writers++;
	if (!(flags & CIM_OPEN_WRITE) || !(flags & CIM_OPEN_TRUNCATE)) {
		g_mutex_unlock(&w->lock);
		return 0;
	}
	cim_node_touch(w, node, true);
	r = resize(w, node, 0); /* lets the lock go */
	if (r < 0)
		cim_writer_close_file(w, id, flags);
	return r;
}

void cim_node_stored(struct cim_writer *w, struct cim_node *node, const struct cim_stored *s,
		     uint64_t holes, uint64_t size)
{
	cim_data_drop(w, &node->data);
	node->data = cim_data_of_stored(s, size, holes);
	node->was_stored = true;
	if (node->data.has_holes)
		node->flags |= CIM_FLAG_SPARSE;
	if (node->is_stream)
		cim_stream_stored(w, node);
}

/* Store a file's content if it is newer.  Called and returns under the tree's lock. */
static int store(struct cim_writer *w, struct cim_node *node)
{
	struct cim_content *c = cim_content_ref(node->content);
	uint32_t id = node->id;
	struct cim_stored s;
	uint64_t holes = 0;
	int r = 0;

	g_mutex_unlock(&w->lock);
	g_mutex_lock(&c->lock);
	bool dirty = c->dirty;
	uint64_t size = c->size;
	if (dirty)
		r = cim_content_store(c, w->region, &s, &holes);
	g_mutex_lock(&w->lock);
	node = cim_node_find(w, id);
	if (dirty && r == 0) {
		if (node && node->content == c)
			cim_node_stored(w, node, &s, holes, size);
		else
			cim_region_unref(w->region, &s);
	}
	g_mutex_unlock(&c->lock);
	cim_content_unref(c);
	return r;
}

/* How a content is, unless somebody is in the middle of using it. */
static bool peek(struct cim_content *c, bool *ret_dirty, bool *ret_in_scratch)
{
	if (!g_mutex_trylock(&c->lock))
		return false;
	*ret_dirty = c->dirty;
	*ret_in_scratch = c->in_scratch;
	g_mutex_unlock(&c->lock);
	return true;
}

/*
 * The last writer has closed it: store it, so that its memory and its scratch space are free again.
 * What cannot be done now is left for the commit, which says why if it fails.
 */
static void settle(struct cim_writer *w, struct cim_node *node)
{
	uint32_t id = node->id;
	bool dirty, in_scratch;

	if (!peek(node->content, &dirty, &in_scratch))
		return;
	/* What changes again and again would leave a copy each time: it waits for the commit. */
	if (dirty && in_scratch && node->was_stored)
		return;
	if (dirty && store(w, node) < 0)
		return;
	node = cim_node_find(w, id);
	if (!node || !node->content || node->n_writers > 0)
		return;
	if (peek(node->content, &dirty, &in_scratch) && !dirty)
		cim_content_unref(g_steal_pointer(&node->content));
}

int cim_writer_flush(struct cim_writer *w, uint32_t id)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_node *node = cim_node_find(w, id);
	bool dirty, in_scratch;
	int r = cim_writer_usable(w);

	if (r < 0 || !node || !S_ISREG(node->mode) || !node->content || node->n_links == 0)
		return r;
	/* Only what is in memory can still lack space, and only the last writer is done with it. */
	if (node->n_writers > 1 || !peek(node->content, &dirty, &in_scratch) || !dirty ||
	    in_scratch)
		return 0;
	return store(w, node);
}

int cim_writer_sync(struct cim_writer *w, uint32_t id)
{
	struct cim_content *c = NULL;
	struct cim_data stored = { 0 };
	int r = cim_writer_flush(w, id);

	g_mutex_lock(&w->lock);
	const struct cim_node *node = cim_node_find(w, id);
	if (node && S_ISREG(node->mode)) {
		c = node->content ? cim_content_ref(node->content) : NULL;
		stored = node->data;
	}
	g_mutex_unlock(&w->lock);
	if (r == 0 && is_own(&stored))
		r = cim_region_write_out(w->region, &stored.stored);
	if (!c)
		return r;
	g_mutex_lock(&c->lock);
	if (r == 0)
		r = cim_content_write_out(c);
	end_change(c);
	return r;
}

void cim_writer_close_file(struct cim_writer *w, uint32_t id, unsigned int flags)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_node *node = cim_node_find(w, id);

	if (!node || !S_ISREG(node->mode))
		return;
	if (node->n_opens > 0)
		node->n_opens--;
	if ((flags & CIM_OPEN_WRITE) && node->n_writers > 0)
		node->n_writers--;
	if (w->state == CIM_WRITER_OPEN && node->content && node->n_writers == 0 &&
	    node->n_links > 0)
		settle(w, node);
	node = cim_node_find(w, id);
	if (node)
		cim_node_put(w, node);
}

/* ---- read, write ---- */

ssize_t cim_writer_read(struct cim_writer *w, uint32_t id, uint64_t off, void *buf, size_t size)
{
	struct cim_entry e;

	g_mutex_lock(&w->lock);
	struct cim_node *node = cim_node_find(w, id);
	int r = cim_writer_usable(w);
	if (r < 0 || !node) {
		g_mutex_unlock(&w->lock);
		if (r == 0)
			r = id && id <= w->base_last_id ? cim_image_entry(w->base, id, &e)
							: -ESTALE;
		if (r == 0 && e.data.type == CIM_STREAM_LINKS)
			r = -EISDIR;
		return r < 0 ? r : cim_stream_read(w->base, &e.data, off, buf, size);
	}
	if (!S_ISREG(node->mode)) {
		g_mutex_unlock(&w->lock);
		return S_ISDIR(node->mode) ? -EISDIR : -EINVAL;
	}
	if (!node->content) {
		/* Stored data does not move before the commit, which waits for the lock. */
		struct cim_data stored = node->data;

		g_mutex_unlock(&w->lock);
		return cim_data_read(w, &stored, off, buf, size);
	}
	struct cim_content *c = cim_content_ref(node->content);
	g_mutex_unlock(&w->lock);
	g_mutex_lock(&c->lock);
	ssize_t n = cim_content_read(c, off, buf, size);
	end_change(c);
	return n;
}

/* A file's content, to be changed now; end_change() ends it. */
static int begin_change(struct cim_writer *w, uint32_t id, struct cim_content **ret)
{
	struct cim_node *node;

	g_mutex_lock(&w->lock);
	int r = cim_node_regular(w, id, &node);
	if (r < 0) {
		g_mutex_unlock(&w->lock);
		return r;
	}
	cim_node_touch(w, node, true);
	return change(w, node, UINT64_MAX, ret);
}

ssize_t cim_writer_write(struct cim_writer *w, uint32_t id, uint64_t off, const void *buf,
			 size_t size)
{
	struct cim_content *c;
	int r = begin_change(w, id, &c);

	if (r < 0)
		return r;
	r = cim_content_write(c, off, buf, size);
	end_change(c);
	return r < 0 ? r : (ssize_t)size;
}

int cim_writer_fallocate(struct cim_writer *w, uint32_t id, int mode, uint64_t off, uint64_t size)
{
	bool clear = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	struct cim_content *c;
	uint64_t end;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) ||
	    ((mode & FALLOC_FL_PUNCH_HOLE) && !keep))
		return -EOPNOTSUPP;
	if (size == 0 || __builtin_add_overflow(off, size, &end))
		return size == 0 ? -EINVAL : -EFBIG;
	int r = begin_change(w, id, &c);
	if (r < 0)
		return r;
	if (clear)
		r = cim_content_punch(c, off, size);
	if (r == 0 && !keep && end > c->size)
		r = cim_content_truncate(c, end);
	end_change(c);
	return r;
}

int64_t cim_writer_seek(struct cim_writer *w, uint32_t id, uint64_t off, int whence)
{
	struct cim_node *node;

	g_mutex_lock(&w->lock);
	int r = cim_node_regular(w, id, &node);
	if (r < 0) {
		g_mutex_unlock(&w->lock);
		return r;
	}
	if (!node->content) {
		struct cim_data stored = node->data;

		g_mutex_unlock(&w->lock);
		return seek_stored(w, &stored, off, whence);
	}
	struct cim_content *c = cim_content_ref(node->content);
	g_mutex_unlock(&w->lock);
	g_mutex_lock(&c->lock);
	int64_t at = cim_content_seek(c, off, whence);
	end_change(c);
	return at;
}

int cim_writer_set(struct cim_writer *w, uint32_t id, unsigned int mask,
		   const struct cim_attr *attr)
{
	struct cim_node *node;

	g_mutex_lock(&w->lock);
	int r = mask & CIM_SET_SIZE ? cim_node_regular(w, id, &node) : cim_writer_usable(w);
	if (r == 0)
		r = cim_node_get(w, id, &node);
	if (r == 0)
		r = cim_node_set_attr(w, node, mask, attr);
	if (r < 0 || !(mask & CIM_SET_SIZE)) {
		g_mutex_unlock(&w->lock);
		return r;
	}
	cim_node_touch(w, node, !(mask & CIM_SET_WRITTEN));
	node->n_writers++; /* as if open, so that truncate(2) stores at its end */
	node->n_opens++;
	r = resize(w, node, attr->size); /* lets the lock go */
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	return r;
}

/* ---- at the commit ---- */

static void note_open(const struct cim_writer *w, GArray *ids, const struct cim_node *node)
{
	const struct cim_node *file = node ? cim_stream_owner(w, node) : NULL;

	if (file && file->n_links == 0)
		return;
	if (node && S_ISREG(node->mode) && node->content && node->n_links > 0)
		g_array_append_val(ids, node->id);
}

/*
 * A file of the base that was deleted and is not open: neither its data nor its entry is needed.
 * Unless it came from elsewhere, and may have names that were not counted: those keep what was
 * written.
 */
static void forget_deleted(struct cim_writer *w, struct cim_node *node)
{
	if (!S_ISREG(node->mode) || node->n_links > 0 || node->n_opens > 0 || !node->counted)
		return;
	cim_node_drop_data(w, node);
	if (node->changed_entry)
		w->n_changed--;
	node->changed_entry = node->was_stored = false;
}

int cim_writer_store_all(struct cim_writer *w)
{
	g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	GHashTableIter it;
	gpointer node;
	int r = 0;

	/* By ID, as storing lets the lock go. */
	for (guint i = 0; i < w->new_nodes->len; i++)
		note_open(w, ids, g_ptr_array_index(w->new_nodes, i));
	g_hash_table_iter_init(&it, w->base_nodes);
	while (g_hash_table_iter_next(&it, NULL, &node)) {
		forget_deleted(w, node);
		note_open(w, ids, node);
	}
	for (guint i = 0; r == 0 && i < ids->len; i++) {
		struct cim_node *open = cim_node_find(w, g_array_index(ids, uint32_t, i));

		if (open && open->content)
			r = store(w, open);
	}
	return r;
}

int cim_data_move(struct cim_writer *w, struct cim_data *d)
{
	struct cim_content *c = cim_content_new(&w->scratch);
	struct cim_stored s;
	uint64_t holes = 0;

	g_mutex_lock(&c->lock);
	int r = load(w, d, d->size, c);
	if (r == 0) {
		c->dirty = true;
		r = cim_content_store(c, w->region, &s, &holes);
	}
	g_mutex_unlock(&c->lock);
	if (r == 0)
		*d = cim_data_of_stored(&s, c->size, holes);
	cim_content_unref(c);
	return r;
}
