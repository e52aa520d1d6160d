/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sets that an image shares with those before it, kept few.
 *
 * Every fork and every replacement adds a set to the list, and opening an image maps the files of
 * all of them.  Region indexes count through the list, so a set can only leave it at the end.  So
 * when the newest sets of a base are many and small, a commit takes what is still needed of them
 * into its own set and does not list them: as the levels of a log-structured tree are merged.  Of
 * N forks of one size that leaves less than 8 sets for each power of 8 in N, and each byte is
 * copied as often as there are such powers.  The images before keep their sets.
 *
 * Each file that has something in those sets gets a node, of some 400 bytes.  So it is not bytes
 * alone that set the limit: only as many of the newest sets are merged as have no more than
 * FILES_MAX files among them.
 *
 * Only what lies in those sets can refer to them: a set does not change when later ones are made.
 */
#include "config.h"

#include <sys/vfs.h>

#include "error.h"
#include "node.h"

#define FAN       8u                    /* sets of a size that are made one */
#define SET_MAX   (64ull * 1024 * 1024) /* bytes; a larger set is never copied */
#define SMALLEST  17                    /* log2 of bytes: up to there all are of one level */
#define LEVELS    5                     /* … and SET_MAX is of the last */
#define FILES_MAX 16384u /* files of the sets that are made one: less than 10 MiB of memory */

static void keep(struct cim_writer *w, uint32_t n_sets)
{
	w->n_kept = n_sets;
	w->first_gone = 0;
	for (uint32_t i = 0; i < n_sets; i++)
		w->first_gone += w->base->sets[i].n_regions;
	cim_region_follow(w->region, w->first_gone);
}

void cim_chain_keep_all(struct cim_writer *w)
{
	if (w->base)
		keep(w, w->base->n_sets);
}

/* Bytes of a set; 0 for one that is not of our kind, or not all there. */
static uint64_t set_size(const struct cim_writer *w, uint32_t i)
{
	const struct cim_regions *regions = w->base->regions[i];
	uint64_t size = 0;

	if (regions->n != CIM_SET_REGIONS)
		return 0;
	for (uint32_t k = 0; k < regions->n; k++) {
		if (regions->region[k].size == 0)
			return 0;
		size += regions->region[k].size;
	}
	return size;
}

/* The power of 8 that a set's size is of; -1 for one that stays: too large, or none of ours. */
static int level(const struct cim_writer *w, uint32_t i)
{
	uint64_t size = set_size(w, i);

	if (size == 0 || size > SET_MAX)
		return -1;
	unsigned int log2 = g_bit_storage((gulong)size);
	return log2 <= SMALLEST ? 0 : (int)(log2 - SMALLEST + 2) / 3; /* three bits a power of 8 */
}

/*
 * How many of the newest sets are of a level or below it; 0 if they are too few to be merged, or if
 * most are so much smaller that the larger ones would be copied for nothing.
 * @n_files: for each set the files that it and no newer one has something of, or NULL: not counted
 */
static uint32_t mergeable(const struct cim_writer *w, int highest, const uint32_t *n_files)
{
	uint32_t n = 0, n_highest = 0;
	uint64_t files = 0;

	for (uint32_t i = w->base->n_sets; i-- > 0; n++) {
		int l = level(w, i);

		files += n_files ? n_files[i] : 0;
		if (l < 0 || l > highest || files > FILES_MAX)
			break;
		n_highest += l == highest;
	}
	return n >= FAN && n_highest >= FAN / 2 ? n : 0;
}

/* The same for the highest level that has any. */
static uint32_t most_mergeable(const struct cim_writer *w, const uint32_t *n_files)
{
	uint32_t n = 0;

	for (int highest = LEVELS - 1; n == 0 && highest >= 0; highest--)
		n = mergeable(w, highest, n_files);
	return n;
}

/* The highest region offset of an entry: if that is not in a set that goes, none is. */
static uint64_t newest_off(const struct cim_entry *e)
{
	uint64_t newest = MAX(e->data.off, e->sd_off);

	newest = MAX(newest, MAX(e->ea_off, e->reparse_off));
	return MAX(newest, e->streams_off);
}

/*
 * Count the files of the newest @n sets, all of CIM_SET_REGIONS files, by the newest that has
 * something of each.  Reads only the file tables in those sets, as older tables know nothing of
 * them; and ends where the newest FAN have too many for any merge, which is soon.
 * Returns false if there are more bytes of tables than the sets have: a lie that has no end.
 */
static bool count_files(const struct cim_writer *w, uint32_t n, uint32_t *n_files)
{
	const struct cim_image *base = w->base;
	uint32_t first = base->n_region_files - n * CIM_SET_REGIONS, n_newest = 0;
	uint64_t left = 0;
	struct cim_table t;
	struct cim_entry e;

	for (uint32_t i = base->n_sets - n; i < base->n_sets; i++)
		left += set_size(w, i);
	for (uint32_t i = 0; i < base->fs.n_tables && n_newest <= FILES_MAX; i++) {
		/* What cannot be read keeps its set, as merging will find. */
		if (cim_image_table(base, i, &t) < 0 || cim_off_region(t.off) < first)
			continue;
		if ((uint64_t)t.n_entries * t.entry_size > left)
			return false;
		left -= (uint64_t)t.n_entries * t.entry_size;
		for (uint32_t k = 0; k < t.n_entries; k++) {
			if (cim_image_entry(base, i * CIM_TABLE_ENTRIES + k + 1, &e) < 0)
				continue;
			uint64_t off = newest_off(&e);
			uint32_t region = cim_off_region(off);
			if (off == 0 || region < first || region >= base->n_region_files)
				continue;
			uint32_t back = (base->n_region_files - 1 - region) / CIM_SET_REGIONS;
			n_files[base->n_sets - 1 - back]++;
			n_newest += back < FAN;
		}
	}
	return true;
}

/*
 * Whether there is room for all of the newest @n sets twice.  Who commits has not asked for a
 * merge, and must not lack what it takes: a copy that has to be given up half done is not free
 * space again before the commit ends.
 */
static bool has_room(const struct cim_writer *w, uint32_t n)
{
	struct statfs st;
	uint64_t need = 0;

	for (uint32_t i = w->base->n_sets - n; i < w->base->n_sets; i++)
		need += 2 * set_size(w, i);
	return fstatfs(w->lock_fd, &st) == 0 && need / (uint64_t)st.f_bsize < st.f_bavail;
}

/* How many sets the new image lists.  Files are counted only when sets are few enough in bytes. */
static uint32_t plan(const struct cim_writer *w)
{
	uint32_t n = most_mergeable(w, NULL);

	if (n > 0 && !has_room(w, n))
		n = 0;
	if (n > 0) {
		g_autofree uint32_t *n_files = g_new0(uint32_t, w->base->n_sets);

		n = count_files(w, n, n_files) ? most_mergeable(w, n_files) : 0;
	}
	return w->base->n_sets - n;
}

/* A node for each file of a table in a set that goes whose entry has to change. */
static int note_files(struct cim_writer *w, uint32_t index)
{
	struct cim_table t;
	struct cim_entry e;
	struct cim_node *node;
	int r = cim_image_table(w->base, index, &t);

	if (r < 0 || !cim_chain_gone(w, t.off))
		return r;
	/* What a newer version keeps in longer entries may be offsets. */
	if (t.entry_size > CIM_ENTRY_SIZE)
		return -EOPNOTSUPP;
	for (uint32_t i = 0; r == 0 && i < t.n_entries; i++) {
		uint32_t id = index * CIM_TABLE_ENTRIES + i + 1;

		r = cim_image_entry(w->base, id, &e);
		if (r < 0 || !cim_chain_gone(w, newest_off(&e)))
			continue;
		r = cim_node_get(w, id, &node);
		/* Of a deleted file the table keeps nothing, unless it may have names that nobody
		 * has counted. */
		if (r == 0 && node->n_links > 0)
			cim_node_mark(w, node);
		else if (r == 0 && !node->counted)
			r = -EOPNOTSUPP;
	}
	return r;
}

static int move(struct cim_writer *w, struct cim_data *d)
{
	bool in_base = d->kind == CIM_DATA_BASE || (d->kind == CIM_DATA_STORED && !d->stored.own);

	if (!in_base || !cim_chain_gone(w, d->stored.where))
		return 0;
	/* A plain stream would say less than one that Windows maps as an executable. */
	if (d->kind == CIM_DATA_BASE && d->type != CIM_STREAM_DATA)
		return -EOPNOTSUPP;
	return cim_data_move(w, d);
}

static int move_data(struct cim_writer *w, struct cim_node *node)
{
	int r = 0;

	if (!node || (node->n_links == 0 && !node->was_stored))
		return 0;
	if (!S_ISDIR(node->mode))
		r = move(w, &node->data);
	if (r == 0 && node->is_stream)
		cim_stream_stored(w, node);
	for (guint i = 0; r == 0 && node->streams && i < node->streams->len; i++) {
		struct cim_ads *ads = cim_streams_at(node, i);

		/* That of one with a node is the node's. */
		if (!ads->node_id)
			r = move(w, &ads->data);
	}
	return r;
}

static gint compare_ids(gconstpointer a, gconstpointer b)
{
	const struct cim_node *x = *(struct cim_node *const *)a, *y = *(struct cim_node *const *)b;

	return (x->id > y->id) - (x->id < y->id);
}

/* By ID, so that the same input gives the same image. */
static int move_all(struct cim_writer *w)
{
	g_autoptr(GPtrArray) nodes = g_ptr_array_new();
	GHashTableIter it;
	gpointer node;
	int r = 0;

	g_hash_table_iter_init(&it, w->base_nodes);
	while (g_hash_table_iter_next(&it, NULL, &node))
		g_ptr_array_add(nodes, node);
	g_ptr_array_sort(nodes, compare_ids);
	for (guint i = 0; r == 0 && i < nodes->len; i++)
		r = move_data(w, g_ptr_array_index(nodes, i));
	for (guint i = 0; r == 0 && i < w->new_nodes->len; i++)
		r = move_data(w, g_ptr_array_index(w->new_nodes, i));
	return r;
}

void cim_chain_shorten(struct cim_writer *w)
{
	uint32_t n_kept;
	int r = 0;

	if (!w->base)
		return;
	n_kept = plan(w);
	keep(w, n_kept);
	if (n_kept == w->base->n_sets)
		return;
	for (uint32_t i = 0; r == 0 && i < w->base->fs.n_tables; i++)
		r = note_files(w, i);
	if (r == 0)
		r = move_all(w);
	if (r < 0)
		cim_chain_keep_all(w);
}
