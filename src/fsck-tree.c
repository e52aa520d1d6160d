/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checking the directories of an image: from the root to every name, then every file that has one.
 *
 * Each link table is looked at once, however many directories claim it, and a directory is gone
 * into once, so that neither a cycle nor sharing makes the work larger than the image.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "error.h"
#include "fsck-private.h"

#define BAD_LINKS 64 /* of a table; then the rest of it is left alone */

/* A directory that is still to be looked at. */
struct pending {
	uint32_t id;
	uint32_t path_units; /* of its path from the root, with a separator behind each name */
};

struct walk {
	struct fsck_image *im;
	GArray *pending; /* struct pending */
};

/* A table that is being looked at. */
struct scan {
	struct walk *w;
	struct fsck_table *table;
	uint64_t off;
	uint32_t dir_id;
	uint32_t path_units;
	uint32_t n_bad;
	bool order_is_open;               /* it was noted that the order is one of code points */
	bool too_long;                    /* it was told that a path is too long */
	uint16_t name[2][CIM_NAME_UNITS]; /* the last two, by turns */
	int n_units[2];
};

/* ---- link tables by place ---- */

static gint compare_place(gconstpointer a, gconstpointer b, gpointer unused)
{
	uint64_t x = ((const struct fsck_table *)a)->off, y = ((const struct fsck_table *)b)->off;

	return (x > y) - (x < y);
}

int fsck_place(struct fsck_image *im, uint32_t id, uint64_t off, const struct cim_links *l,
	       struct fsck_table **ret)
{
	struct fsck_table key = { .off = off };
	GTreeNode *after = g_tree_upper_bound(im->tables, &key);
	GTreeNode *before = after ? g_tree_node_previous(after) : g_tree_node_last(im->tables);
	struct fsck_table *hit = before ? g_tree_node_key(before) : NULL;

	if (hit && hit->off == off && hit->entry_size == l->entry_size) {
		*ret = hit;
		return 0;
	}
	if (!hit || hit->off + hit->size <= off)
		hit = after ? g_tree_node_key(after) : NULL;
	if (hit && hit->off < off + l->size && off < hit->off + hit->size) {
		fsck_damage(im, "table-overlap", id, off,
			    "its link table at %#" PRIx64 " overlaps that of file %u at %#" PRIx64
			    "; it is not looked at",
			    off, hit->first_id, hit->off);
		return -1;
	}
	struct fsck_table *t = g_new(struct fsck_table, 1);
	*t = (struct fsck_table){
		.off = off, .size = l->size, .entry_size = l->entry_size, .first_id = id
	};
	g_tree_insert(im->tables, t, t);
	*ret = t;
	return 1;
}

/* ---- names ---- */

/* As code points, which some writers may sort by; order is the same but for surrogates. */
static int compare_points(const struct cim_upcase *up, const uint16_t *a, int na, const uint16_t *b,
			  int nb)
{
	for (int i = 0; i < na && i < nb; i++) {
		uint16_t x = cim_upcase_unit(up, a[i]), y = cim_upcase_unit(up, b[i]);
		bool x_is_high = x >= 0xD800 && x < 0xE000, y_is_high = y >= 0xD800 && y < 0xE000;

		if (x != y)
			return x_is_high != y_is_high ? (x_is_high ? 1 : -1) : (x < y ? -1 : 1);
	}
	return (na > nb) - (na < nb);
}

/* Whether name @i comes behind the one before it. */
static bool check_order(struct scan *s, uint32_t i, uint32_t id)
{
	const struct cim_upcase *up = &s->w->im->img->upcase;
	const uint16_t *a = s->name[~i & 1], *b = s->name[i & 1];
	int na = s->n_units[~i & 1], nb = s->n_units[i & 1];
	int order = na > 0 ? cim_upcase_compare(up, a, (size_t)na, b, (size_t)nb) : -1;

	if (order < 0)
		return true;
	if (order == 0) {
		fsck_damage(s->w->im, "link-twice", id, s->off,
			    "link %u of directory %u has the name of the one before it", i,
			    s->dir_id);
		return false;
	}
	if (compare_points(up, a, na, b, nb) >= 0) {
		fsck_damage(s->w->im, "link-order", id, s->off,
			    "link %u of directory %u should come before the one before it", i,
			    s->dir_id);
		return false;
	}
	if (!s->order_is_open)
		fsck_note(s->w->im, "link-order", s->dir_id, s->off,
			  "its names are sorted by code points, not by UTF-16 units");
	s->order_is_open = true;
	return true;
}

static bool check_name(struct scan *s, const struct cim_links *l, uint32_t i, uint32_t id)
{
	char shown[CIM_NAME_BYTES + 1];
	uint16_t *name = s->name[i & 1];
	int n = s->n_units[i & 1] = cim_links_name(l, i, name);

	if (n > 0)
		n = cim_name_shown(name, (size_t)n, shown);
	if (n < 0) {
		fsck_damage(s->w->im, "link-name", id, s->off,
			    "link %u of directory %u has no proper name: %s", i, s->dir_id,
			    *cim_reason() ? cim_reason() : "it cannot be shown");
		return false;
	}
	if (!s->too_long && s->path_units + (uint32_t)s->n_units[i & 1] > CIM_PATH_UNITS_MAX) {
		fsck_damage(s->w->im, "path-length", id, s->off,
			    "the path of link %u of directory %u has more than %d units", i,
			    s->dir_id, CIM_PATH_UNITS_MAX);
		s->too_long = true;
	}
	return check_order(s, i, id);
}

/* ---- links ---- */

static void add_names(struct cim_idmap_slot *name, uint32_t n)
{
	uint32_t had = name->value & FSCK_NAMES;

	name->value += MIN(n, FSCK_NAMES - had);
}

/* A directory: it has one parent, and is gone into from there. */
static bool check_subdirectory(struct scan *s, uint32_t i, struct cim_idmap_slot *name)
{
	struct pending next = { .id = name->id,
				.path_units =
					s->path_units + (uint32_t)MAX(s->n_units[i & 1], 0) + 1 };

	s->table->has_directories = true;
	if (name->id == s->w->im->img->fs.root_id) {
		fsck_damage(s->w->im, "directory-parents", name->id, s->off,
			    "link %u of directory %u is the root directory", i, s->dir_id);
		return false;
	}
	if (name->value & FSCK_NAMES) {
		fsck_damage(s->w->im, "directory-parents", name->id, s->off,
			    "link %u of directory %u is directory %u, which has a name already", i,
			    s->dir_id, name->id);
		return false;
	}
	g_array_append_val(s->w->pending, next);
	return true;
}

/* Whether the directory that the entry says has this very table, if not under this ID. */
static bool names_in_parent(struct scan *s, const struct cim_entry *e)
{
	struct cim_entry parent;

	return e->parent_id == s->dir_id ||
	       (cim_image_entry(s->w->im->img, e->parent_id, &parent) == 0 &&
		parent.data.type == CIM_STREAM_LINKS && parent.data.size > 0 &&
		parent.data.off == s->off);
}

/* Returns 1, 0 if the link is damaged, -ENOMEM. */
static int check_link(struct scan *s, const struct cim_links *l, uint32_t i)
{
	uint32_t id = cim_links_id(l, i);
	struct cim_idmap_slot *name;
	struct cim_entry e;
	bool good = check_name(s, l, i, id);

	if (cim_image_entry(s->w->im->img, id, &e) < 0) {
		fsck_damage(s->w->im, "link-target", 0, s->off,
			    "link %u of directory %u leads to no file: %s", i, s->dir_id,
			    cim_reason());
		return 0;
	}
	int r = cim_idmap_add(&s->w->im->names, id, &name);
	if (r < 0)
		return r;
	if (e.data.type == CIM_STREAM_LINKS && !check_subdirectory(s, i, name))
		good = false;
	if (!(name->value & FSCK_HAS_PARENT) && names_in_parent(s, &e))
		name->value |= FSCK_HAS_PARENT;
	add_names(name, 1);
	return good;
}

static int scan_table(struct scan *s, const struct cim_links *l)
{
	for (uint32_t i = 0; i < l->n && s->w->im->run->stop == 0; i++) {
		int r = check_link(s, l, i);

		if (r < 0)
			return r;
		if (r == 0 && ++s->n_bad == BAD_LINKS && i + 1 < l->n) {
			fsck_damage(s->w->im, "link-table", s->dir_id, s->off,
				    "%d of the first %u links are damaged; the other %u are not "
				    "looked at",
				    BAD_LINKS, i + 1, l->n - i - 1);
			return 0;
		}
	}
	return 0;
}

/* ---- directories ---- */

static int check_directory(struct walk *w, const struct pending *dir)
{
	g_autofree struct scan *s = NULL;
	struct fsck_table *table;
	struct cim_entry e = { 0 };
	struct cim_links l;
	int r = cim_image_entry(w->im->img, dir->id, &e);

	if (r == 0)
		r = cim_dir_links(w->im->img, &e, &l);
	if (r < 0) {
		fsck_damage(w->im, "link-table", dir->id, e.data.off,
			    "its link table cannot be read: %s",
			    r == -ENOTDIR ? "it is no directory" : cim_reason());
		return 0;
	}
	if (e.data.size == 0)
		return 0;
	fsck_alignment(w->im, dir->id, e.data.off, "a link table");
	if (l.size != e.data.size)
		fsck_note(w->im, "link-table-size", dir->id, e.data.off,
			  "its link table has %u bytes, its stream %" PRIu64, l.size, e.data.size);
	r = fsck_place(w->im, dir->id, e.data.off, &l, &table);
	if (r < 0)
		return 0;
	table->n_users++;
	if (r == 0 && table->has_directories)
		fsck_damage(w->im, "directory-parents", dir->id, e.data.off,
			    "it has the link table of directory %u, with directories in it",
			    table->first_id);
	if (r == 0)
		return 0;
	s = g_new0(struct scan, 1);
	s->w = w;
	s->table = table;
	s->off = e.data.off;
	s->dir_id = dir->id;
	s->path_units = dir->path_units;
	return scan_table(s, &l);
}

static int walk_directories(struct walk *w)
{
	struct pending root = { .id = w->im->img->fs.root_id };
	struct cim_idmap_slot *name;
	int r = cim_idmap_add(&w->im->names, root.id, &name);

	if (r < 0)
		return r;
	r = 0;
	g_array_append_val(w->pending, root);
	while (r == 0 && w->im->run->stop == 0 && w->pending->len > 0) {
		struct pending dir = g_array_index(w->pending, struct pending, w->pending->len - 1);

		g_array_set_size(w->pending, w->pending->len - 1);
		r = check_directory(w, &dir);
	}
	return r;
}

/* A table that several directories have was looked at once; its files have a name in each. */
static gboolean count_again(gpointer key, gpointer value, gpointer arg)
{
	const struct fsck_table *t = value;
	struct walk *w = arg;
	struct cim_links l;
	const uint8_t *p;

	if (t->n_users < 2 || t->has_directories ||
	    cim_image_bytes(w->im->img, t->off, t->size, &p) < 0 ||
	    cim_links_parse(p, t->size, CIM_LINK_ID, &l) < 0)
		return FALSE;
	for (uint32_t i = 0; i < l.n; i++) {
		struct cim_idmap_slot *name = cim_idmap_find(&w->im->names, cim_links_id(&l, i));

		if (name)
			add_names(name, t->n_users - 1);
	}
	return FALSE;
}

/* ---- files ---- */

/* In the order of the file tables. */
static void check_files(struct fsck_image *im)
{
	const struct cim_idmap *names = &im->names;

	cim_idmap_list(&im->names);
	for (uint32_t i = 0; i < names->n && im->run->stop == 0; i++)
		fsck_entry(im, names->slot[i].id, names->slot[i].value);
	im->run->totals.n_files += names->n;
	if (im->used_known && im->n_used > names->n)
		fsck_note(im, "unnamed", 0, 0,
			  "%" PRIu64 " entries of the file tables are named by no directory",
			  im->n_used - names->n);
}

int fsck_tree(struct fsck_image *im)
{
	struct walk w = { .im = im };

	w.pending = g_array_new(FALSE, FALSE, sizeof(struct pending));
	im->tables = g_tree_new_full(compare_place, NULL, g_free, NULL);
	int r = walk_directories(&w);
	if (r == 0)
		g_tree_foreach(im->tables, count_again, &w);
	if (r == 0)
		check_files(im);
	g_array_free(w.pending, TRUE);
	g_tree_destroy(im->tables);
	cim_idmap_clear(&im->names);
	return r < 0 ? r : im->run->stop;
}
