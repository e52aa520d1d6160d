/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "node.h"

#include <stdlib.h>

#include "error.h"
#include "util.h"

#define MIN_BUCKETS 8u

struct cim_node *cim_node_find(const struct cim_writer *w, uint32_t id)
{
	if (id > w->base_last_id) {
		uint32_t i = id - w->base_last_id - 1;

		return i < w->new_nodes->len ? g_ptr_array_index(w->new_nodes, i) : NULL;
	}
	return w->base_nodes ? g_hash_table_lookup(w->base_nodes, GUINT_TO_POINTER(id)) : NULL;
}

static void from_entry(const struct cim_writer *w, struct cim_node *node, const struct cim_entry *e,
		       const struct cim_attr *attr)
{
	node->posix_stored = (uint8_t)attr->posix.stored;
	node->mode = attr->posix.mode;
	node->uid = attr->posix.uid;
	node->gid = attr->posix.gid;
	node->n_links = attr->posix.n_links;
	node->counted = attr->posix.counted;
	node->flags = e->flags;
	node->accessed = attr->accessed;
	node->written = attr->written;
	node->changed = attr->changed;
	node->created = attr->created;
	node->sd_from = node->reparse_from = CIM_FROM_BASE;
	node->sd_off = e->sd_off;
	node->reparse_tag = e->reparse_tag;
	node->reparse_off = e->reparse_off;
	node->parent_id = cim_base_id(w, e->parent_id);
	node->data = cim_data_of_stream(&e->data);
	node->data.has_holes = node->data.has_holes || (e->flags & CIM_FLAG_SPARSE);
	if (S_ISREG(node->mode) && attr->blocks < node->data.size / 512)
		cim_data_set_holes(&node->data, node->data.size - attr->blocks * 512);
	if (S_ISLNK(node->mode)) {
		node->link.size = (uint32_t)attr->size;
	} else if (S_ISCHR(node->mode) || S_ISBLK(node->mode)) {
		node->dev.major = attr->posix.major;
		node->dev.minor = attr->posix.minor;
	}
}

int cim_node_get(struct cim_writer *w, uint32_t id, struct cim_node **ret)
{
	struct cim_node *node = cim_node_find(w, id);
	struct cim_entry e;
	struct cim_attr attr;

	if (node) {
		*ret = node;
		return 0;
	}
	if (id == 0 || id > w->base_last_id)
		return -ESTALE;
	int r = cim_image_entry(w->base, id, &e);
	if (r == 0)
		r = cim_file_attr_stored(w->base, id, &e, &attr);
	if (r < 0)
		return r;
	node = g_new0(struct cim_node, 1);
	node->id = id;
	from_entry(w, node, &e, &attr);
	r = cim_node_load_xattrs(w, &e, node, &attr.posix);
	/* With $LX EAs of its own the file has the times of its entry, which can be changed. */
	if (r == 0 && attr.posix.has_times)
		r = cim_node_own(node, attr.posix.stored);
	if (r < 0) {
		cim_node_free(node);
		return r;
	}
	g_hash_table_insert(w->base_nodes, GUINT_TO_POINTER(id), node);
	*ret = node;
	return 0;
}

struct cim_node *cim_node_new(struct cim_writer *w)
{
	if (w->new_nodes->len >= UINT32_MAX - 1 - w->base_last_id)
		return NULL;
	struct cim_node *node = g_new0(struct cim_node, 1);
	node->id = w->base_last_id + 1 + w->new_nodes->len;
	node->changed_entry = true;
	node->posix_stored = node->posix_front = CIM_POSIX_ALL;
	node->counted = true;
	g_ptr_array_add(w->new_nodes, node);
	w->n_changed++;
	return node;
}

void cim_node_free(gpointer p)
{
	struct cim_node *node = p;

	if (!node)
		return;
	if (S_ISDIR(node->mode))
		cim_dir_free(node->dir);
	else if (S_ISREG(node->mode))
		cim_content_unref(node->content);
	else if (S_ISLNK(node->mode))
		g_free(node->link.target);
	if (node->streams)
		g_array_free(node->streams, TRUE);
	free(node->eas);
	g_free(node);
}

void cim_node_put(struct cim_writer *w, struct cim_node *node)
{
	if (node->n_links > 0 || node->n_opens > 0 || node->id == w->root_id)
		return;
	/*
	 * A file of the base stays: how often a kernel holds it is not known, and one from
	 * elsewhere may have names that were not counted.
	 */
	if (node->id <= w->base_last_id || node->n_lookups > 0)
		return;
	cim_node_drop_data(w, node);
	g_ptr_array_index(w->new_nodes, node->id - w->base_last_id - 1) = NULL;
	if (!node->is_stream)
		w->n_changed--;
	cim_node_free(node);
}

void cim_node_set_mode(struct cim_node *node, uint32_t permissions)
{
	node->mode = (node->mode & S_IFMT) | (permissions & 07777);
	if (!S_ISREG(node->mode))
		return;
	node->flags &= ~CIM_FLAG_READONLY;
	if (!(node->mode & 0222))
		node->flags |= CIM_FLAG_READONLY;
}

void cim_node_mark(struct cim_writer *w, struct cim_node *node)
{
	if (!node->changed_entry)
		w->n_changed++;
	node->changed_entry = true;
}

uint64_t cim_writer_now(const struct cim_writer *w)
{
	return w->consistent ? CIM_TICKS_UNIX : cim_ticks_now();
}

void cim_node_touch(struct cim_writer *w, struct cim_node *node, bool data)
{
	if (node->is_stream)
		node = cim_stream_owner(w, node);
	if (!node)
		return;
	if (w->consistent) { /* times are those that were given */
		cim_node_mark(w, node);
		return;
	}
	node->changed = cim_ticks_now();
	if (data)
		node->written = node->changed;
	cim_node_mark(w, node);
}

int cim_writer_usable(const struct cim_writer *w)
{
	if (w->state == CIM_WRITER_COMMITTED)
		return cim_fail(ESTALE, "this writer has committed \"%s\"; close it", w->new_name);
	if (w->state == CIM_WRITER_FAILED)
		return cim_fail(ESTALE, "a commit of \"%s\" has failed; close the writer",
				w->new_name);
	return 0;
}

/* ---- directories ---- */

void cim_dir_free(struct cim_dir *dir)
{
	if (!dir)
		return;
	for (uint32_t b = 0; b < dir->n_buckets; b++) {
		for (struct cim_dentry *d = dir->bucket[b], *next; d; d = next) {
			next = d->next;
			g_free(d);
		}
	}
	g_free(dir->bucket);
	cim_fold_free(dir->fold);
	g_free(dir);
}

int cim_node_dir(struct cim_writer *w, uint32_t id, struct cim_node **ret)
{
	struct cim_node *node;
	struct cim_entry e;
	int r = cim_node_get(w, id, &node);

	if (r < 0)
		return r;
	if (!S_ISDIR(node->mode))
		return -ENOTDIR;
	if (!node->dir) {
		struct cim_dir *dir = g_new0(struct cim_dir, 1);

		if (id <= w->base_last_id) {
			r = cim_image_entry(w->base, id, &e);
			if (r == 0)
				r = cim_dir_links(w->base, &e, &dir->base);
			if (r < 0) {
				g_free(dir);
				return r;
			}
		}
		dir->n_names = dir->base.n;
		dir->table_size = dir->base.n ? dir->base.size : 0;
		node->dir = dir;
	}
	*ret = node;
	return 0;
}

struct cim_dentry *cim_dir_find(const struct cim_writer *w, const struct cim_dir *dir,
				const uint16_t *units, size_t n)
{
	if (dir->n_buckets == 0)
		return NULL;
	uint32_t b = cim_upcase_hash(&w->hashed, units, n) & (dir->n_buckets - 1);
	for (struct cim_dentry *d = dir->bucket[b]; d; d = d->next)
		if (cim_upcase_compare(&w->upcase, units, n, d->units, d->n_units) == 0)
			return d;
	return NULL;
}

static void link_dentry(const struct cim_writer *w, struct cim_dentry **bucket, uint32_t n_buckets,
			struct cim_dentry *d)
{
	uint32_t b = cim_upcase_hash(&w->hashed, d->units, d->n_units) & (n_buckets - 1);

	d->next = bucket[b];
	bucket[b] = d;
}

static void grow_buckets(const struct cim_writer *w, struct cim_dir *dir)
{
	if (dir->n_dentries < dir->n_buckets)
		return;
	uint32_t n_buckets = dir->n_buckets ? dir->n_buckets * 2 : MIN_BUCKETS;
	struct cim_dentry **bucket = g_new0(struct cim_dentry *, n_buckets);
	for (uint32_t b = 0; b < dir->n_buckets; b++) {
		for (struct cim_dentry *d = dir->bucket[b], *next; d; d = next) {
			next = d->next;
			link_dentry(w, bucket, n_buckets, d);
		}
	}
	g_free(dir->bucket);
	dir->bucket = bucket;
	dir->n_buckets = n_buckets;
}

static void remove_dentry(const struct cim_writer *w, struct cim_dir *dir, struct cim_dentry *gone)
{
	uint32_t b = cim_upcase_hash(&w->hashed, gone->units, gone->n_units) & (dir->n_buckets - 1);
	struct cim_dentry **at = &dir->bucket[b];

	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	g_free(gone);
	dir->n_dentries--;
}

/* What a name costs in a link table: its ID, its offset, its length, its units. */
static uint64_t link_size(size_t n_units)
{
	return CIM_LINK_ID + 4 + 2 + 2 * n_units;
}

int cim_dir_set(struct cim_writer *w, struct cim_dir *dir, const uint16_t *units, size_t n,
		uint32_t id, bool in_base)
{
	struct cim_dentry *d = cim_dir_find(w, dir, units, n);
	bool was = d ? d->id != 0 : in_base;

	if (dir->table_size == 0)
		dir->table_size = 8;
	if (was && !id) {
		dir->n_names--;
		dir->table_size -= MIN(dir->table_size - 8, link_size(n));
	} else if (!was && id) {
		dir->n_names++;
		dir->table_size += link_size(n);
	}
	if (!id && !in_base && d) {
		remove_dentry(w, dir, d);
		return 0;
	}
	if (!d) {
		grow_buckets(w, dir);
		d = g_malloc(offsetof(struct cim_dentry, units) + n * sizeof(units[0]));
		d->n_units = (uint16_t)n;
		memcpy(d->units, units, n * sizeof(units[0]));
		link_dentry(w, dir->bucket, dir->n_buckets, d);
		dir->n_dentries++;
	} else if (id) {
		memcpy(d->units, units,
		       n * sizeof(units[0])); /* the case that was written last is kept */
	}
	d->id = id;
	return 0;
}

static int base_links(struct cim_writer *w, uint32_t dir_id, const struct cim_node *node,
		      struct cim_links *ret)
{
	struct cim_entry e;

	if (node && !S_ISDIR(node->mode))
		return -ENOTDIR;
	if (node && node->dir) {
		*ret = node->dir->base;
		return 0;
	}
	if (dir_id == 0 || dir_id > w->base_last_id)
		return -ESTALE;
	int r = cim_image_entry(w->base, dir_id, &e);
	return r < 0 ? r : cim_dir_links(w->base, &e, ret);
}

/* A name that was taken away from the base is free: a new file gets it as it is spelled now. */
static void respell(const struct cim_writer *w, const char *name, size_t n, struct cim_found *found)
{
	uint16_t units[CIM_NAME_BYTES];
	size_t n_units = cim_name_encode(name, n, units);

	found->in_base =
		cim_upcase_compare(&w->upcase, units, n_units, found->units, found->n_units) == 0;
	memcpy(found->units, units, n_units * sizeof(units[0]));
	found->n_units = (uint16_t)n_units;
}

/* A name that this writer has given, in any case. */
static const struct cim_dentry *find_folded(const struct cim_writer *w, const struct cim_dir *dir,
					    const uint16_t *units, size_t n)
{
	const struct cim_upcase upcase = cim_fold_upcase();

	if (dir->n_buckets == 0)
		return NULL;
	uint32_t b = cim_upcase_hash(&w->hashed, units, n) & (dir->n_buckets - 1);
	for (const struct cim_dentry *d = dir->bucket[b]; d; d = d->next)
		if (d->id && cim_upcase_compare(&upcase, units, n, d->units, d->n_units) == 0)
			return d;
	return NULL;
}

struct overlay {
	const struct cim_writer *w;
	const struct cim_dir *dir;
};

static bool is_overlaid(const void *arg, const uint16_t *units, size_t n)
{
	const struct overlay *o = arg;

	return cim_dir_find(o->w, o->dir, units, n);
}

/* A name that is free as it is spelled may be there in another case, where the view wants it so. */
static int resolve_folded(struct cim_writer *w, struct cim_dir *dir, const struct cim_links *links,
			  struct cim_found *ret)
{
	const struct overlay o = { w, dir };
	const struct cim_dentry *d = dir ? find_folded(w, dir, ret->units, ret->n_units) : NULL;
	uint32_t i;

	if (d) {
		ret->id = d->id;
		ret->n_units = d->n_units;
		memcpy(ret->units, d->units, d->n_units * sizeof(d->units[0]));
		/* Whether the base has that name as well. */
		int r = links->n > 0 ? cim_links_find(w->base, links, d->units, d->n_units, &i) : 0;
		ret->in_base = r == 1;
		return r < 0 ? r : 0;
	}
	if (links->n == 0)
		return 0;
	/* Once for a directory that changes: a file that is made in it looks for its name first. */
	if (dir && !dir->fold)
		dir->fold = cim_fold_new(links);
	if (!cim_fold_find(dir ? dir->fold : NULL, links, ret->units, ret->n_units,
			   dir ? is_overlaid : NULL, &o, &i))
		return 0;
	int n = cim_links_name(links, i, ret->units);
	if (n < 0)
		return n;
	ret->n_units = (uint16_t)n;
	ret->in_base = true;
	ret->id = cim_links_id(links, i);
	return 0;
}

int cim_dir_resolve(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n,
		    struct cim_found *ret)
{
	struct cim_node *node = cim_node_find(w, dir_id);
	struct cim_links links;
	uint32_t i;

	if (n == 0 || n > CIM_NAME_BYTES)
		return n == 0 ? -ENOENT : -ENAMETOOLONG;
	int r = base_links(w, dir_id, node, &links);
	if (r < 0)
		return r;
	size_t n_units = cim_name_encode(name, n, ret->units);
	/* The base has the name under another spelling: then that is how it is stored. */
	r = links.n > 0 ? cim_links_find_bytes(w->base, &links, name, n, &i) : 0;
	if (r < 0)
		return r;
	ret->in_base = r == 1;
	if (ret->in_base) {
		int got = cim_links_name(&links, i, ret->units);
		if (got < 0)
			return got;
		n_units = (size_t)got;
	}
	if (n_units > CIM_NAME_UNITS)
		return -ENAMETOOLONG;
	ret->n_units = (uint16_t)n_units;
	struct cim_dentry *d =
		node && node->dir ? cim_dir_find(w, node->dir, ret->units, n_units) : NULL;
	uint32_t base_id = ret->in_base ? cim_links_id(&links, i) : 0;
	if (!d && base_id && !cim_base_id(w, base_id))
		return cim_fail(CIM_ECORRUPT, "a name of directory %u leads to file %u of %u",
				dir_id, base_id, w->base_last_id);
	ret->id = d ? d->id : base_id;
	if (ret->id == 0 && ret->in_base)
		respell(w, name, n, ret);
	if (ret->id == 0 && w->view.ignore_case && w->case_sensitive)
		r = resolve_folded(w, node ? node->dir : NULL, &links, ret);
	if (r < 0)
		return r;
	/* It has a name after all: images from elsewhere do not count links. */
	struct cim_node *named = ret->id ? cim_node_find(w, ret->id) : NULL;
	if (named && named->n_links == 0)
		named->n_links = 1;
	return 0;
}

int cim_node_type(struct cim_writer *w, uint32_t id, uint32_t *ret)
{
	const struct cim_node *node = cim_node_find(w, id);
	struct cim_attr attr;
	int r = node ? 0 : cim_file_attr(w->base, id, &attr);

	if (r == 0)
		*ret = (node ? node->mode : attr.posix.mode) & S_IFMT;
	return r;
}

void cim_node_attr_stored(const struct cim_node *node, struct cim_attr *ret)
{
	uint64_t size = node->data.size;

	*ret = (struct cim_attr){
		.id = node->id,
		.posix = { .stored = node->posix_stored,
			   .mode = node->mode,
			   .uid = node->uid,
			   .gid = node->gid,
			   .n_links = node->n_links },
		.accessed = node->accessed,
		.written = node->written,
		.changed = node->changed,
		.created = node->created,
		.flags = node->flags,
	};
	switch (node->mode & S_IFMT) {
	case S_IFDIR:
		if (node->dir)
			size = node->dir->n_names ? node->dir->table_size : 0;
		break;
	case S_IFREG:
		if (node->content)
			size = cim_content_size(node->content);
		break;
	case S_IFLNK:
		size = node->link.size;
		break;
	case S_IFCHR:
	case S_IFBLK:
		ret->posix.major = node->dev.major;
		ret->posix.minor = node->dev.minor;
		size = 0;
		break;
	default:
		size = 0;
	}
	ret->size = size;
	if (S_ISREG(node->mode) && node->content)
		ret->blocks = (cim_content_allocated(node->content) + 511) / 512;
	else if (S_ISREG(node->mode))
		ret->blocks = (cim_data_held(&node->data) + 511) / 512;
	else if (S_ISDIR(node->mode))
		ret->blocks = (size + 511) / 512;
}

void cim_node_attr(struct cim_writer *w, const struct cim_node *node, struct cim_attr *ret)
{
	const struct cim_node *file = cim_stream_owner(w, node);

	cim_node_attr_stored(node, ret);
	cim_posix_show(&w->view, node->flags, &ret->posix);
	if (file) {
		const struct cim_attr stream = *ret;

		cim_node_attr(w, file, ret);
		cim_stream_attr(ret, stream.size, stream.blocks, ret);
		ret->id = node->id;
		ret->stream_of = file->id;
	}
}
