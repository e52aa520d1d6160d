/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which directory a file is in, where that is not known any more: a file with several names says
 * one of their directories in its entry, and that may be the one whose name has gone.
 *
 * The names are looked for first in the directories that changed, which is nearly always enough:
 * other names are made there, too.  Only a file whose other names are all in the base, and not
 * among those, has the whole tree looked through, once for all such files of a commit.
 */
#include "config.h"

#include "node.h"

struct search {
	struct cim_writer *w;
	GHashTable *lost; /* ID -> node */
	GArray *dirs;     /* uint32_t, IDs: directories to look through */
	uint8_t *seen;    /* a bit an ID of the base; NULL: directories are not followed */
};

static void meet(struct search *s, uint32_t id, uint32_t dir_id)
{
	struct cim_node *node = g_hash_table_lookup(s->lost, GUINT_TO_POINTER(id));

	if (!node)
		return;
	node->parent_id = dir_id;
	node->lost_name = false;
	g_hash_table_remove(s->lost, GUINT_TO_POINTER(id));
}

static bool is_dir(const struct cim_writer *w, uint32_t id)
{
	const struct cim_node *node = cim_node_find(w, id);
	struct cim_entry e;

	if (node)
		return S_ISDIR(node->mode);
	return cim_image_entry(w->base, id, &e) == 0 && e.data.type == CIM_STREAM_LINKS;
}

/* A directory that is met is gone into, once: a damaged base may have it again and again. */
static void follow(struct search *s, uint32_t id)
{
	if (!s->seen || !is_dir(s->w, id))
		return;
	if (id <= s->w->base_last_id) {
		if (s->seen[id / 8] & 1u << id % 8)
			return;
		s->seen[id / 8] |= (uint8_t)(1u << id % 8);
	}
	g_array_append_val(s->dirs, id);
}

/* The base's names of a directory, but for those that @dir has otherwise. */
static void look_in_base(struct search *s, uint32_t dir_id, const struct cim_links *links,
			 const struct cim_dir *dir)
{
	uint16_t units[CIM_NAME_UNITS];

	for (uint32_t i = 0; i < links->n && g_hash_table_size(s->lost) > 0; i++) {
		int n = cim_links_name(links, i, units);
		uint32_t id = cim_base_id(s->w, cim_links_id(links, i));

		if (n < 0 || !id || (dir && cim_dir_find(s->w, dir, units, (size_t)n)))
			continue;
		meet(s, id, dir_id);
		follow(s, id);
	}
}

static void look_in_changed(struct search *s, const struct cim_node *node)
{
	const struct cim_dir *dir = node->dir;

	for (uint32_t b = 0; b < dir->n_buckets; b++) {
		for (const struct cim_dentry *d = dir->bucket[b]; d; d = d->next) {
			if (!d->id)
				continue;
			meet(s, d->id, node->id);
			follow(s, d->id);
		}
	}
	look_in_base(s, node->id, &dir->base, dir);
}

static void look_in(struct search *s, uint32_t id)
{
	const struct cim_node *node = cim_node_find(s->w, id);
	struct cim_links links;
	struct cim_entry e;

	if (node && node->dir)
		look_in_changed(s, node);
	else if (id <= s->w->base_last_id && cim_image_entry(s->w->base, id, &e) == 0 &&
		 cim_dir_links(s->w->base, &e, &links) == 0)
		look_in_base(s, id, &links, NULL);
}

static void look_everywhere(struct search *s)
{
	s->seen = g_malloc0(s->w->base_last_id / 8 + 1);
	s->dirs = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	follow(s, s->w->root_id);
	while (s->dirs->len > 0 && g_hash_table_size(s->lost) > 0) {
		uint32_t id = g_array_index(s->dirs, uint32_t, s->dirs->len - 1);

		g_array_set_size(s->dirs, s->dirs->len - 1);
		look_in(s, id);
	}
	g_array_free(s->dirs, TRUE);
	g_free(s->seen);
}

void cim_parents_find(struct cim_writer *w, GPtrArray *changed)
{
	g_autoptr(GHashTable) lost = g_hash_table_new(NULL, NULL);
	struct search s = { .w = w, .lost = lost };

	for (guint i = 0; i < changed->len; i++) {
		struct cim_node *node = g_ptr_array_index(changed, i);

		if (node->lost_name && !S_ISDIR(node->mode))
			g_hash_table_insert(lost, GUINT_TO_POINTER(node->id), node);
	}
	/* In the order of IDs, so that the same input gives the same image. */
	for (guint i = 0; i < changed->len && g_hash_table_size(lost) > 0; i++) {
		const struct cim_node *node = g_ptr_array_index(changed, i);

		if (S_ISDIR(node->mode) && node->dir && node->n_links > 0)
			look_in_changed(&s, node);
	}
	if (g_hash_table_size(lost) > 0 && w->base)
		look_everywhere(&s);
}
