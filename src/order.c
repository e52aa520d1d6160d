/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The order of a consistent image: that of its names, so that nothing is left of the order in which
 * it was made.
 *
 * New files are numbered directory by directory, those of a directory by name; a file with several
 * names counts, and lies, where the first is met.  Directories of the base come first, by their
 * IDs, which are given.
 */
#include "config.h"

#include "node.h"

struct walk {
	struct cim_writer *w;
	GArray *dirs; /* uint32_t, IDs: those to look through, in order */
	GArray *ids;  /* uint32_t: new files, in order */
	bool *seen;   /* by ID - base_last_id - 1 */
};

static int compare_ids(gconstpointer a, gconstpointer b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Directories of the base that have got new names. */
static void begin(struct walk *walk)
{
	GHashTableIter it;
	gpointer value;

	g_hash_table_iter_init(&it, walk->w->base_nodes);
	while (g_hash_table_iter_next(&it, NULL, &value)) {
		const struct cim_node *node = value;

		if (S_ISDIR(node->mode) && node->dir && node->n_links > 0)
			g_array_append_val(walk->dirs, node->id);
	}
	g_array_sort(walk->dirs, compare_ids);
}

static void visit(struct walk *walk, uint32_t id, uint32_t dir_id)
{
	uint32_t i = id - walk->w->base_last_id - 1;
	struct cim_node *node = cim_node_find(walk->w, id);

	if (!node || walk->seen[i])
		return;
	walk->seen[i] = true;
	node->parent_id = dir_id;
	g_array_append_val(walk->ids, id);
	if (S_ISDIR(node->mode))
		g_array_append_val(walk->dirs, id);
}

static int compare_dentries(gconstpointer a, gconstpointer b, gpointer upcase)
{
	const struct cim_dentry *x = *(struct cim_dentry *const *)a,
				*y = *(struct cim_dentry *const *)b;

	return cim_upcase_compare(upcase, x->units, x->n_units, y->units, y->n_units);
}

static void visit_names(struct walk *walk, const struct cim_node *node)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new();

	for (uint32_t b = 0; b < node->dir->n_buckets; b++)
		for (struct cim_dentry *d = node->dir->bucket[b]; d; d = d->next)
			if (d->id > walk->w->base_last_id)
				g_ptr_array_add(names, d);
	g_ptr_array_sort_with_data(names, compare_dentries, &walk->w->upcase);
	for (guint i = 0; i < names->len; i++)
		visit(walk, ((struct cim_dentry *)g_ptr_array_index(names, i))->id, node->id);
}

GArray *cim_order_of_names(struct cim_writer *w)
{
	struct walk walk = { .w = w,
			     .dirs = g_array_new(FALSE, FALSE, sizeof(uint32_t)),
			     .ids = g_array_new(FALSE, FALSE, sizeof(uint32_t)),
			     .seen = g_new0(bool, MAX(w->new_nodes->len, 1)) };

	if (w->base)
		begin(&walk);
	else
		visit(&walk, w->root_id, w->root_id);
	for (guint i = 0; i < walk.dirs->len; i++) {
		const struct cim_node *node =
			cim_node_find(w, g_array_index(walk.dirs, uint32_t, i));

		if (node && node->dir)
			visit_names(&walk, node);
	}
	g_array_free(walk.dirs, TRUE);
	g_free(walk.seen);
	return walk.ids;
}

/* ---- the data, in the order of the files ---- */

static void arrange(struct cim_writer *w, const struct cim_node *node)
{
	if (node->data.kind == CIM_DATA_STORED)
		cim_region_arrange(w->region, &node->data.stored);
	for (guint i = 0; node->streams && i < node->streams->len; i++) {
		const struct cim_data *d = &cim_streams_at(node, i)->data;

		if (d->kind == CIM_DATA_STORED)
			cim_region_arrange(w->region, &d->stored);
	}
}

void cim_order_arrange(struct cim_writer *w)
{
	g_autoptr(GArray) ids = cim_order_of_names(w);
	g_autoptr(GArray) base = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	GHashTableIter it;
	gpointer value;

	g_hash_table_iter_init(&it, w->base_nodes);
	while (g_hash_table_iter_next(&it, NULL, &value))
		g_array_append_val(base, ((struct cim_node *)value)->id);
	g_array_sort(base, compare_ids);
	for (guint i = 0; i < base->len; i++)
		arrange(w, cim_node_find(w, g_array_index(base, uint32_t, i)));
	for (guint i = 0; i < ids->len; i++)
		arrange(w, cim_node_find(w, g_array_index(ids, uint32_t, i)));
}
