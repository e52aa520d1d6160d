/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of the writer's tree as Windows' API makes and removes them (windows-api.md §1.4): what is
 * there already is replaced, directories are removed with all that is in them, and times are those
 * that the caller gives: neither a directory's nor a file's change by themselves.
 */
#include "config.h"

#include "error.h"
#include "node.h"

static void set_name(struct cim_writer *w, struct cim_node *dir, const struct cim_found *f,
		     uint32_t id)
{
	(void)cim_dir_set(w, dir->dir, f->units, f->n_units, id, f->in_base);
	cim_node_mark(w, dir);
}

/* A directory, and what has a name in it, if anything has. */
static int resolve(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n,
		   struct cim_node **ret_dir, struct cim_found *ret)
{
	int r = cim_writer_usable(w);

	if (r == 0)
		r = cim_name_valid_linux(name, n);
	if (r == 0)
		r = cim_node_dir(w, dir_id, ret_dir);
	if (r == 0)
		r = cim_dir_resolve(w, dir_id, name, n, ret);
	if (r == 0 && (*ret_dir)->n_links == 0)
		r = -ENOENT;
	return r;
}

/* ---- removing ---- */

/* Directories that go with one that is removed, each behind the one that it was found in. */
struct doomed {
	struct cim_writer *w;
	GArray *dirs;     /* uint32_t, IDs */
	GHashTable *seen; /* a damaged base may have one in itself */
};

static void drop_name(struct cim_writer *w, struct cim_node *node)
{
	if (node->n_links > 0)
		node->n_links--;
	node->lost_name = true;
	cim_node_mark(w, node);
	cim_node_put(w, node);
}

/*
 * A file of a directory that goes.  One of the base that has no other name and has not been touched
 * needs no node: nothing leads to it any more.
 */
static int drop_file(struct cim_writer *w, uint32_t id)
{
	struct cim_node *node = cim_node_find(w, id);
	struct cim_attr attr;
	struct cim_entry e;
	int r = 0;

	if (!node && id <= w->base_last_id) {
		r = cim_image_entry(w->base, id, &e);
		if (r == 0)
			r = cim_file_attr_stored(w->base, id, &e, &attr);
		if (r < 0 || attr.posix.n_links == 1)
			return r;
	}
	if (!node)
		r = cim_node_get(w, id, &node);
	if (r == 0)
		drop_name(w, node);
	return r;
}

static int doom(void *arg, uint32_t id)
{
	struct doomed *d = arg;
	uint32_t type;
	int r = cim_node_type(d->w, id, &type);

	/* What is damaged in the base goes as well: nobody can want it back. */
	if (r == -CIM_ECORRUPT)
		return 0;
	if (r < 0 || type != S_IFDIR)
		return r < 0 ? r : drop_file(d->w, id);
	if (g_hash_table_add(d->seen, GUINT_TO_POINTER(id)))
		g_array_append_val(d->dirs, id);
	return 0;
}

/* Every file ID that a directory has a name for. */
static int each_name(struct cim_writer *w, const struct cim_dir *dir,
		     int (*fn)(void *arg, uint32_t id), void *arg)
{
	uint16_t units[CIM_NAME_UNITS];
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < dir->base.n; i++) {
		int n = cim_links_name(&dir->base, i, units);
		uint32_t id = cim_base_id(w, cim_links_id(&dir->base, i));

		if (n > 0 && id && !cim_dir_find(w, dir, units, (size_t)n))
			r = fn(arg, id);
	}
	for (uint32_t b = 0; b < dir->n_buckets; b++)
		for (const struct cim_dentry *d = dir->bucket[b]; r == 0 && d; d = d->next)
			if (d->id)
				r = fn(arg, d->id);
	return r;
}

/* Take its last name from a directory, and every name from what is in it and below. */
static int remove_directory(struct cim_writer *w, uint32_t id)
{
	struct doomed d = { .w = w,
			    .dirs = g_array_new(FALSE, FALSE, sizeof(uint32_t)),
			    .seen = g_hash_table_new(NULL, NULL) };
	struct cim_node *node;
	int r = 0;

	g_hash_table_add(d.seen, GUINT_TO_POINTER(id));
	g_array_append_val(d.dirs, id);
	for (guint i = 0; r == 0 && i < d.dirs->len; i++) {
		r = cim_node_dir(w, g_array_index(d.dirs, uint32_t, i), &node);
		if (r == 0)
			r = each_name(w, node->dir, doom, &d);
		if (r == -CIM_ECORRUPT)
			r = 0;
	}
	/* Those found in it first, so that none is forgotten while another leads to it. */
	for (guint i = d.dirs->len; r == 0 && i > 0; i--) {
		node = cim_node_find(w, g_array_index(d.dirs, uint32_t, i - 1));
		if (!node)
			continue;
		node->n_links = 0;
		cim_node_put(w, node);
	}
	g_array_free(d.dirs, TRUE);
	g_hash_table_destroy(d.seen);
	return r;
}

/* Make a name free. */
static int remove_name(struct cim_writer *w, struct cim_node *dir, const struct cim_found *found)
{
	uint32_t type;
	int r = cim_node_type(w, found->id, &type);

	if (r == -CIM_ECORRUPT) { /* only its name can go */
		set_name(w, dir, found, 0);
		return 0;
	}
	if (r < 0)
		return r;
	struct cim_node *node;
	r = cim_node_get(w, found->id, &node);
	if (r == 0 && type == S_IFDIR)
		r = remove_directory(w, found->id);
	if (r < 0)
		return r;
	set_name(w, dir, found, 0);
	if (type != S_IFDIR)
		drop_name(w, node);
	return 0;
}

int cim_writer_remove(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_found found;
	struct cim_node *dir;
	int r = resolve(w, dir_id, name, n, &dir, &found);

	if (r < 0)
		return r;
	return found.id ? remove_name(w, dir, &found) : -ENOENT;
}

/* ---- making ---- */

/* A new file without a name yet. */
static int new_file(struct cim_writer *w, uint32_t dir_id, const struct cim_winmeta *m,
		    struct cim_node **ret)
{
	struct cim_node *node = cim_node_new(w);

	if (!node)
		return cim_fail(ENOSPC, "the image has as many files as the format can count");
	/* Nothing of Linux but what the EAs say, and no reparse point but the one given. */
	node->posix_stored = node->posix_front = 0;
	node->reparse_from = CIM_FROM_BASE;
	node->parent_id = dir_id;
	node->mode = S_IFREG;
	if (m->attributes & CIM_ATTRIBUTE_DIRECTORY) {
		node->mode = S_IFDIR;
		node->dir = g_new0(struct cim_dir, 1);
		node->data.type = CIM_STREAM_LINKS;
	}
	int r = cim_node_set_windows(w, node, CIM_WIN_ALL, m);
	if (r < 0) {
		cim_node_put(w, node);
		return r;
	}
	*ret = node;
	return 0;
}

/* What a file of this metadata will be: for a directory over a directory, which keeps its names. */
static bool stays_directory(struct cim_writer *w, uint32_t id, const struct cim_winmeta *m)
{
	struct cim_reparse rp;
	uint32_t type;

	if (!(m->attributes & CIM_ATTRIBUTE_DIRECTORY) || cim_node_type(w, id, &type) < 0 ||
	    type != S_IFDIR)
		return false;
	return m->reparse_size == 0 ||
	       cim_reparse_parse(m->reparse, m->reparse_size, 0, &rp, NULL) < 0 || rp.type == 0;
}

int cim_writer_create(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n,
		      const struct cim_winmeta *m, uint32_t *ret_id)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_found found;
	struct cim_node *dir, *node;
	int r = cim_winmeta_check(CIM_WIN_ALL, m);

	if (r == 0)
		r = resolve(w, dir_id, name, n, &dir, &found);
	if (r < 0)
		return r;
	if (found.id && stays_directory(w, found.id, m)) {
		r = cim_node_get(w, found.id, &node);
		if (r == 0)
			r = cim_node_set_windows(w, node, CIM_WIN_ALL, m);
	} else {
		r = new_file(w, dir_id, m, &node);
		if (r < 0)
			return r;
		if (found.id)
			r = remove_name(w, dir, &found);
		if (r == 0) /* with the spelling that is asked for */
			r = cim_dir_resolve(w, dir_id, name, n, &found);
		if (r < 0) {
			cim_node_put(w, node);
			return r;
		}
		node->n_links = 1;
		set_name(w, dir, &found, node->id);
	}
	if (r == 0)
		*ret_id = node->id;
	return r;
}

/* ---- linking ---- */

int cim_writer_link_over(struct cim_writer *w, uint32_t id, uint32_t dir_id, const char *name,
			 size_t n)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_found found;
	struct cim_node *dir, *node;
	uint32_t type = 0;
	int r = resolve(w, dir_id, name, n, &dir, &found);

	if (r == 0)
		r = cim_node_get(w, id, &node);
	if (r < 0)
		return r;
	if (S_ISDIR(node->mode) || node->data.type == CIM_STREAM_LINKS)
		return cim_fail(EACCES, "a directory can have only one name");
	if (node->n_links == 0)
		return -ENOENT;
	if (found.id == id)
		return 0;
	if (found.id)
		r = cim_node_type(w, found.id, &type);
	if (r == 0 && type == S_IFDIR)
		return cim_fail(EEXIST, "there is a directory of this name, and a link replaces "
					"only files");
	if (r == 0 && node->n_links >= CIM_LINKS_MAX)
		r = cim_fail(EMLINK, "the file has %u names already", node->n_links);
	if (r == 0)
		r = cim_node_ea_room(node, node->posix_front);
	if (r == 0 && found.id) {
		r = remove_name(w, dir, &found);
		if (r == 0)
			r = cim_dir_resolve(w, dir_id, name, n, &found);
	}
	if (r < 0)
		return r;
	node->n_links++;
	cim_node_mark(w, node);
	set_name(w, dir, &found, id);
	return 0;
}
