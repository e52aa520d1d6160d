/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the writer's tree to the metadata of an image.
 *
 * Only what changed is written: link tables of changed directories, file tables with a changed
 * entry, the small objects that those entries need, the file table directory, the filesystem
 * object.  All else stays where the base has it, and every object is looked for before it is
 * written.
 *
 * Objects of one kind are written together, directories in the order of their IDs, so that a
 * listing reads the region front to back.
 */
#include "config.h"

#include <stdlib.h>

#include "error.h"
#include "node.h"

#define EA_CACHE 16 /* owner and mode of most files are one of a few */

struct ea_cached {
	uint32_t mode, uid, gid;
	uint32_t size; /* 0: free */
	uint64_t off;
};

struct encoder {
	struct cim_writer *w;
	uint32_t *final;      /* of new nodes, by ID - base_last_id - 1; 0: deleted */
	uint32_t last_id;     /* of the new image */
	GPtrArray *changed;   /* struct cim_node, by final ID */
	GArray *entries;      /* struct cim_entry of each of them */
	GHashTable *deleted;  /* IDs of the base's of which nothing is left */
	GHashTable *security; /* blob offset, UINT64_MAX: the default -> region offset */
	struct ea_cached cache[EA_CACHE];
	guint next_cached;
};

static uint32_t final_id(const struct encoder *e, uint32_t id)
{
	return id <= e->w->base_last_id ? id : e->final[id - e->w->base_last_id - 1];
}

static int compare_ids(gconstpointer a, gconstpointer b)
{
	const struct cim_node *x = *(struct cim_node *const *)a, *y = *(struct cim_node *const *)b;

	return (x->id > y->id) - (x->id < y->id);
}

static void number_new(struct encoder *e, struct cim_node *node, bool dirs)
{
	if (!node || node->is_stream || node->n_links == 0 || S_ISDIR(node->mode) != dirs ||
	    e->final[node->id - e->w->base_last_id - 1])
		return;
	e->final[node->id - e->w->base_last_id - 1] = ++e->last_id;
	g_ptr_array_add(e->changed, node);
}

/*
 * Number the new files in the order in which they were made (in a consistent image by their names),
 * and gather all that must be written.
 *
 * Directories come first: they are few, and a file that a fork adds or removes changes the entry of
 * its directory, whose table is written anew.  So forks that change files here and there write
 * the same few tables and not one for each directory.
 */
static void number_files(struct encoder *e)
{
	struct cim_writer *w = e->w;
	GHashTableIter it;
	gpointer value;

	e->changed = g_ptr_array_new();
	g_hash_table_iter_init(&it, w->base_nodes);
	while (g_hash_table_iter_next(&it, NULL, &value)) {
		const struct cim_node *node = value;

		/* One whose data changed is written even if it is deleted: it may have names not
		 * counted. */
		if (node->changed_entry && (node->n_links > 0 || node->was_stored))
			g_ptr_array_add(e->changed, value);
		else if (node->n_links == 0 && node->counted)
			g_hash_table_add(e->deleted, GUINT_TO_POINTER(node->id));
	}
	g_ptr_array_sort(e->changed, compare_ids);
	e->final = g_new0(uint32_t, MAX(w->new_nodes->len, 1));
	e->last_id = w->base_last_id;
	g_autoptr(GArray) ids = w->consistent ? cim_order_of_names(w) : NULL;
	for (int dirs = 1; dirs >= 0; dirs--) {
		for (guint i = 0; ids && i < ids->len; i++)
			number_new(e, cim_node_find(w, g_array_index(ids, uint32_t, i)), dirs);
		for (guint i = 0; i < w->new_nodes->len; i++)
			number_new(e, g_ptr_array_index(w->new_nodes, i), dirs);
	}
}

/* ---- link tables ---- */

struct item {
	const uint16_t *units;
	size_t at; /* in the arena, while it grows */
	uint32_t n_units;
	uint32_t value; /* file ID, or index of a stream */
};

struct items {
	GArray *item;  /* struct item */
	GArray *arena; /* uint16_t */
};

static struct items items_new(void)
{
	return (struct items){ g_array_new(FALSE, FALSE, sizeof(struct item)),
			       g_array_new(FALSE, FALSE, sizeof(uint16_t)) };
}

static void items_free(struct items *l)
{
	g_array_free(l->item, TRUE);
	g_array_free(l->arena, TRUE);
}

static void items_add(struct items *l, const uint16_t *units, size_t n, uint32_t value)
{
	struct item item = { .at = l->arena->len, .n_units = (uint32_t)n, .value = value };

	g_array_append_vals(l->arena, units, (guint)n);
	g_array_append_val(l->item, item);
}

static int compare_items(gconstpointer a, gconstpointer b, gpointer upcase)
{
	const struct item *x = a, *y = b;

	return cim_upcase_compare(upcase, x->units, x->n_units, y->units, y->n_units);
}

static void items_sort(struct items *l, struct cim_upcase *upcase)
{
	bool sorted = true;

	for (guint i = 0; i < l->item->len; i++) {
		struct item *item = &g_array_index(l->item, struct item, i);

		item->units = &g_array_index(l->arena, uint16_t, item->at);
		sorted = sorted && (i == 0 || compare_items(item - 1, item, upcase) < 0);
	}
	if (!sorted)
		g_array_sort_with_data(l->item, compare_items, upcase);
}

/* The bytes of a link table (format.md); each entry's @entry_size bytes are @value's. */
static int build_table(const struct items *l, uint32_t entry_size,
		       void (*put)(const void *arg, uint32_t value, uint8_t *at), const void *arg,
		       uint8_t **ret, size_t *ret_size)
{
	uint64_t n = l->item->len, size = 8 + n * (entry_size + 4);

	for (guint i = 0; i < n; i++)
		size += 2 + 2ull * g_array_index(l->item, struct item, i).n_units;
	if (size > UINT32_MAX)
		return cim_fail(EFBIG, "a directory has more names than the format can hold");
	uint8_t *table = g_try_malloc(size);
	if (!table)
		return cim_fail(ENOMEM, "no memory for a directory of %" G_GUINT64_FORMAT " names",
				n);
	uint64_t name = 8 + n * (entry_size + 4);
	cim_store32(table, (uint32_t)size);
	cim_store32(table + 4, (uint32_t)n);
	for (guint i = 0; i < n; i++) {
		const struct item *item = &g_array_index(l->item, struct item, i);

		put(arg, item->value, table + 8 + (size_t)i * entry_size);
		cim_store32(table + 8 + n * entry_size + 4ull * i, (uint32_t)name);
		cim_store16(table + name, (uint16_t)item->n_units);
		for (uint32_t u = 0; u < item->n_units; u++)
			cim_store16(table + name + 2 + 2ull * u, item->units[u]);
		name += 2 + 2ull * item->n_units;
	}
	*ret = table;
	*ret_size = size;
	return 0;
}

static void put_id(const void *arg, uint32_t value, uint8_t *at)
{
	(void)arg;
	cim_store32(at, value);
}

static int gather_names(const struct encoder *e, const struct cim_dir *dir, struct items *l)
{
	uint16_t units[CIM_NAME_UNITS];

	for (uint32_t i = 0; i < dir->base.n; i++) {
		int n = cim_links_name(&dir->base, i, units);

		if (n < 0)
			return n;
		if (!cim_dir_find(e->w, dir, units, (size_t)n))
			items_add(l, units, (size_t)n, cim_links_id(&dir->base, i));
	}
	for (uint32_t b = 0; b < dir->n_buckets; b++)
		for (const struct cim_dentry *d = dir->bucket[b]; d; d = d->next)
			if (d->id)
				items_add(l, d->units, d->n_units, final_id(e, d->id));
	return 0;
}

/* Metadata of the base that the entry of a changed file goes on using, copied if its set goes. */
static int keep(const struct encoder *e, uint64_t off, uint64_t size, uint64_t *ret_off)
{
	const uint8_t *bytes;

	*ret_off = off;
	if (!cim_chain_gone(e->w, off))
		return 0;
	int r = cim_image_bytes(e->w->base, off, size, &bytes);
	return r < 0 ? r : cim_region_put_metadata(e->w->region, bytes, size, ret_off);
}

/* The same for what begins with its u16 length. */
static int keep_counted(const struct encoder *e, uint64_t off, uint64_t *ret_off)
{
	const uint8_t *bytes;
	size_t size = 0;
	int r = 0;

	if (cim_chain_gone(e->w, off))
		r = cim_image_counted(e->w->base, off, &bytes, &size);
	return r < 0 ? r : keep(e, off, 2 + size, ret_off);
}

static int encode_directory(struct encoder *e, const struct cim_node *node, struct cim_stream *ret)
{
	struct items l;
	uint8_t *table;
	size_t size;

	*ret = (struct cim_stream){ .type = CIM_STREAM_LINKS };
	if (!node->dir || node->dir->n_dentries == 0) {
		if (node->id > e->w->base_last_id)
			return 0;
		ret->size = node->data.size;
		return keep(e, node->data.stored.where, ret->size, &ret->off);
	}
	if (node->dir->n_names == 0)
		return 0;
	l = items_new();
	int r = gather_names(e, node->dir, &l);
	items_sort(&l, &e->w->upcase);
	if (r == 0)
		r = build_table(&l, CIM_LINK_ID, put_id, NULL, &table, &size);
	items_free(&l);
	if (r < 0)
		return r;
	r = cim_region_put_metadata(e->w->region, table, size, &ret->off);
	ret->size = size;
	g_free(table);
	return r;
}

/* ---- what else an entry needs ---- */

struct stream_table {
	const struct encoder *e;
	const struct cim_node *node;
};

static void put_stream(const void *arg, uint32_t value, uint8_t *at)
{
	const struct stream_table *t = arg;
	const struct cim_ads *s = &g_array_index(t->node->streams, struct cim_ads, value);
	struct cim_stream stream = cim_data_encode(t->e->w, &s->data);

	cim_stream_encode((struct cim_stream_disk *)at, &stream);
}

static int encode_streams(struct encoder *e, const struct cim_node *node, uint64_t *ret_off)
{
	struct stream_table t = { e, node };
	struct items l;
	uint8_t *table;
	size_t size;

	*ret_off = 0;
	if (!node->streams || node->streams->len == 0)
		return 0;
	l = items_new();
	for (guint i = 0; i < node->streams->len; i++) {
		const struct cim_ads *s = &g_array_index(node->streams, struct cim_ads, i);

		items_add(&l, s->units, s->n_units, i);
	}
	items_sort(&l, &e->w->upcase);
	int r = build_table(&l, CIM_LINK_STREAM, put_stream, &t, &table, &size);
	items_free(&l);
	if (r < 0)
		return r;
	r = cim_region_put_metadata(e->w->region, table, size, ret_off);
	g_free(table);
	return r;
}

static int encode_eas(struct encoder *e, const struct cim_node *node, struct cim_entry *entry)
{
	const uint32_t usual = CIM_POSIX_UID | CIM_POSIX_GID | CIM_POSIX_MODE;
	struct cim_ea_list l = { 0 };
	bool plain = node->eas_size == 0 && (node->posix_front & usual) == usual &&
		     (S_ISDIR(node->mode) || (node->n_links == 1 && node->counted)) &&
		     !S_ISCHR(node->mode) && !S_ISBLK(node->mode);

	for (guint i = 0; plain && i < EA_CACHE && e->cache[i].size; i++) {
		const struct ea_cached *c = &e->cache[i];

		if (c->mode == node->mode && c->uid == node->uid && c->gid == node->gid) {
			entry->ea_off = c->off;
			entry->ea_size = c->size;
			return 0;
		}
	}
	int r = cim_node_eas(node, true, &l);
	if (r == 0 && l.size > 0)
		r = cim_region_put_metadata(e->w->region, l.data, l.size, &entry->ea_off);
	entry->ea_size = (uint32_t)l.size;
	cim_ea_list_clear(&l);
	if (r == 0 && plain)
		e->cache[e->next_cached++ % EA_CACHE] =
			(struct ea_cached){ node->mode, node->uid, node->gid, entry->ea_size,
					    entry->ea_off };
	return r;
}

static int encode_reparse(struct encoder *e, const struct cim_node *node, struct cim_entry *entry)
{
	uint8_t object[2 + CIM_BLOB_MAX];
	bool to_dir;

	if (node->reparse_from == CIM_FROM_BASE) {
		entry->reparse_tag = node->reparse_tag;
		return keep_counted(e, node->reparse_off, &entry->reparse_off);
	}
	int n = cim_node_reparse(e->w, node, object, &to_dir);
	if (n <= 0)
		return n;
	entry->reparse_tag = cim_load32(object + 2);
	if (to_dir)
		entry->data.type = CIM_STREAM_LINKS;
	return cim_region_put_metadata(e->w->region, object, (size_t)n, &entry->reparse_off);
}

/* Descriptors are few, and each is looked for once. */
static int encode_security(struct encoder *e, const struct cim_node *node, uint64_t *ret_off)
{
	uint64_t key = node->sd_from == CIM_FROM_CALLER ? node->sd_off : UINT64_MAX;
	const uint64_t *known = g_hash_table_lookup(e->security, &key);
	uint8_t object[2 + CIM_BLOB_MAX];

	if (node->sd_from == CIM_FROM_BASE)
		return keep_counted(e, node->sd_off, ret_off);
	if (known) {
		*ret_off = *known;
		return 0;
	}
	int n = cim_node_security(e->w, node, object);
	int r = n < 0 ? n : cim_region_put_metadata(e->w->region, object, (size_t)n, ret_off);
	if (r == 0)
		g_hash_table_insert(e->security, g_memdup2(&key, sizeof(key)),
				    g_memdup2(ret_off, sizeof(*ret_off)));
	return r;
}

static int encode_node(struct encoder *e, const struct cim_node *node, struct cim_entry *ret)
{
	struct cim_entry entry = {
		.flags = node->flags,
		.created = node->created,
		.written = node->written,
		.changed = node->changed,
		.accessed = node->accessed,
		.parent_id = node->id == e->w->root_id ? node->id : final_id(e, node->parent_id),
	};
	int r = encode_security(e, node, &entry.sd_off);

	if (!S_ISDIR(node->mode))
		entry.data = cim_data_encode(e->w, &node->data);
	if (r == 0)
		r = encode_reparse(e, node, &entry);
	if (r == 0)
		r = encode_eas(e, node, &entry);
	if (r == 0)
		r = encode_streams(e, node, &entry.streams_off);
	*ret = entry;
	return r;
}

/* ---- file tables ---- */

static bool is_deleted(const struct encoder *e, uint32_t id)
{
	return g_hash_table_size(e->deleted) > 0 &&
	       g_hash_table_contains(e->deleted, GUINT_TO_POINTER(id));
}

/* A file table of the base, in the entry size that it will have, with room for @n entries. */
static int load_table(const struct encoder *e, uint32_t index, uint32_t n, uint32_t *ret_entry_size,
		      uint32_t *ret_n, uint8_t **ret)
{
	const struct cim_image *base = e->w->base;
	struct cim_table t = { .entry_size = CIM_ENTRY_SIZE };
	const uint8_t *old = NULL;
	int r = 0;

	if (base && index < base->fs.n_tables) {
		r = cim_image_table(base, index, &t);
		if (r == 0)
			r = cim_image_bytes(base, t.off, (uint64_t)t.n_entries * t.entry_size,
					    &old);
	}
	if (r < 0)
		return r;
	/* Entries of a newer version keep what this one does not know. */
	uint32_t entry_size = MAX(t.entry_size, CIM_ENTRY_SIZE);
	*ret_n = MAX(n, t.n_entries);
	*ret_entry_size = entry_size;
	*ret = g_try_malloc0((size_t)*ret_n * entry_size);
	if (!*ret)
		return cim_fail(ENOMEM, "no memory for a file table");
	/* Of a deleted file nothing is left, once the table is written anew. */
	for (uint32_t i = 0; i < t.n_entries; i++)
		if (!is_deleted(e, index * CIM_TABLE_ENTRIES + i + 1))
			memcpy(*ret + (size_t)i * entry_size, old + (size_t)i * t.entry_size,
			       t.entry_size);
	return 0;
}

/* The table that has the changed file number @i; behind the last there is none. */
static uint32_t table_of(const struct encoder *e, guint i)
{
	const struct cim_node *node;

	if (i >= e->changed->len)
		return UINT32_MAX;
	node = g_ptr_array_index(e->changed, i);
	return (final_id(e, node->id) - 1) / CIM_TABLE_ENTRIES;
}

/* A table with the changed files from number @first on, if any; the first that it has not. */
static int encode_table(struct encoder *e, uint32_t index, guint first, struct cim_table_disk *ret,
			guint *ret_next)
{
	const struct cim_node *node;
	uint32_t entry_size, n = 0;
	uint8_t *table;
	guint next = first;

	for (; table_of(e, next) == index; next++) {
		node = g_ptr_array_index(e->changed, next);
		n = (final_id(e, node->id) - 1) % CIM_TABLE_ENTRIES + 1;
	}
	int r = load_table(e, index, n, &entry_size, &n, &table);
	if (r < 0)
		return r;
	for (guint i = first; i < next; i++) {
		node = g_ptr_array_index(e->changed, i);
		uint32_t k = (final_id(e, node->id) - 1) % CIM_TABLE_ENTRIES;

		cim_entry_encode((struct cim_entry_disk *)(table + (size_t)k * entry_size),
				 &g_array_index(e->entries, struct cim_entry, i));
	}
	struct cim_table t = { .n_entries = n, .entry_size = entry_size };
	r = cim_region_put_metadata(e->w->region, table, (size_t)n * entry_size, &t.off);
	g_free(table);
	cim_table_encode(ret, &t);
	*ret_next = next;
	return r;
}

static int encode_tables(struct encoder *e, uint64_t *ret_off, uint32_t *ret_n)
{
	const struct cim_image *base = e->w->base;
	uint32_t n = (e->last_id + CIM_TABLE_ENTRIES - 1) / CIM_TABLE_ENTRIES;
	const uint8_t *old;
	guint next = 0;
	int r = 0;

	g_autofree struct cim_table_disk *tables = g_try_new0(struct cim_table_disk, n);
	if (!tables)
		return cim_fail(ENOMEM, "no memory for the file table directory");
	if (base) {
		size_t size = (size_t)base->fs.n_tables * sizeof(*tables);

		r = cim_image_bytes(base, base->fs.tables_off, size, &old);
		if (r == 0)
			memcpy(tables, old, size);
	}
	for (uint32_t i = 0; r == 0 && i < n; i++)
		if (table_of(e, next) == i || cim_chain_gone(e->w, cim_get64(tables[i].off)))
			r = encode_table(e, i, next, &tables[i], &next);
	if (r == 0)
		r = cim_region_put_metadata(e->w->region, tables, n * sizeof(*tables), ret_off);
	*ret_n = n;
	return r;
}

static int encode_upcase(const struct encoder *e, uint64_t *ret_off)
{
	const struct cim_writer *w = e->w;

	if (w->base)
		return keep(e, w->base->fs.upcase_off, CIM_UPCASE_SIZE, ret_off);
	if (!w->case_sensitive)
		return cim_region_put_metadata(w->region, cim_upcase_windows(), CIM_UPCASE_SIZE,
					       ret_off);
	g_autofree uint8_t *identity = g_malloc(CIM_UPCASE_SIZE);
	cim_upcase_identity_write(identity);
	return cim_region_put_metadata(w->region, identity, CIM_UPCASE_SIZE, ret_off);
}

static int encode_all(struct encoder *e, uint64_t *ret_fs_off)
{
	uint64_t upcase_off, tables_off;
	uint32_t n_tables = 0;
	int r = encode_upcase(e, &upcase_off);

	for (guint i = 0; r == 0 && i < e->changed->len; i++) {
		struct cim_entry entry;

		r = encode_node(e, g_ptr_array_index(e->changed, i), &entry);
		g_array_append_val(e->entries, entry);
	}
	for (guint i = 0; r == 0 && i < e->changed->len; i++) {
		const struct cim_node *node = g_ptr_array_index(e->changed, i);

		if (S_ISDIR(node->mode))
			r = encode_directory(e, node,
					     &g_array_index(e->entries, struct cim_entry, i).data);
	}
	if (r == 0)
		r = encode_tables(e, &tables_off, &n_tables);
	if (r < 0)
		return r;
	struct cim_fs_disk fs = {
		.upcase_off = cim_put64(upcase_off),
		.tables_off = cim_put64(tables_off),
		.n_tables = cim_put32(n_tables),
		.root_id = cim_put32(final_id(e, e->w->root_id)),
	};
	return cim_region_put_metadata(e->w->region, &fs, sizeof(fs), ret_fs_off);
}

int cim_encode(struct cim_writer *w, uint64_t *ret_fs_off)
{
	struct encoder e = { .w = w };

	cim_region_restart_metadata(w->region);
	e.deleted = g_hash_table_new(NULL, NULL);
	number_files(&e);
	cim_parents_find(w, e.changed);
	e.security = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
	e.entries = g_array_sized_new(FALSE, FALSE, sizeof(struct cim_entry), e.changed->len);
	int r = encode_all(&e, ret_fs_off);
	g_array_free(e.entries, TRUE);
	g_hash_table_destroy(e.security);
	g_hash_table_destroy(e.deleted);
	g_ptr_array_free(e.changed, TRUE);
	g_free(e.final);
	return r;
}
