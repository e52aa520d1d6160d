/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walks a tree in the order of its names and hashes what it sees; the encoding is treehash.h's.
 */
#include "config.h"

#include "treehash.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "idmap.h"
#include "reader.h"

#define BLOCK        65536
#define CACHED_MIN   BLOCK /* bytes of a content whose digest is remembered */
#define CACHE_SLOTS  4096
#define HELD_MAX     (1u << 26) /* names of the directories from the root on, all together */
#define FILES_A_TICK 256

/* A content that was hashed, by its place. */
struct cached {
	uint64_t off, size; /* size 0: free */
	uint8_t type;
	uint8_t digest[CIM_SHA256_SIZE];
};

/* A name of a directory that is being walked. */
struct item {
	const char *name; /* in the directory's names */
	uint32_t size;    /* bytes */
	uint32_t id;
};

struct directory {
	GStringChunk *names;
	struct item *item; /* sorted */
	uint32_t n, next;
};

struct hasher {
	struct cim_image img; /* a view of the image, with fixed owners for files without any */
	const struct cim_tree_hash_options *opt;
	struct cim_hash *tree, *content;
	GArray *stack;        /* struct directory, from the root to where we are */
	struct cim_idmap met; /* file IDs: directories 1, others the low 32 bits of the record's
				 number + 1 */
	uint64_t n_held;      /* names on the stack */
	uint64_t n_records, n_bytes;
	uint8_t *block; /* BLOCK bytes */
	struct cached *cache;
};

/* ---- encoding ---- */

static void put8(struct hasher *h, uint8_t value)
{
	cim_hash_add(h->tree, &value, 1);
}

static void put32(struct hasher *h, uint32_t value)
{
	cim_le32 v = cim_put32(value);

	cim_hash_add(h->tree, &v, sizeof(v));
}

static void put64(struct hasher *h, uint64_t value)
{
	cim_le64 v = cim_put64(value);

	cim_hash_add(h->tree, &v, sizeof(v));
}

static void put_string(struct hasher *h, const void *bytes, size_t size)
{
	put32(h, (uint32_t)size);
	cim_hash_add(h->tree, bytes, size);
}

/* ---- contents ---- */

static bool is_zero(const uint8_t *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static void add_zero_run(struct hasher *h, uint64_t *n_zero)
{
	cim_le64 n = cim_put64(*n_zero);

	if (*n_zero == 0)
		return;
	cim_hash_add(h->content, "z", 1);
	cim_hash_add(h->content, &n, sizeof(n));
	*n_zero = 0;
}

static int tick(struct hasher *h)
{
	return h->opt->progress ? h->opt->progress(h->opt->arg, h->n_records, h->n_bytes) : 0;
}

/* The first block at or behind @off that has data; those before it are zeros. */
static uint64_t skip_hole(const struct hasher *h, const struct cim_stream *s, uint64_t off)
{
	int64_t data = off < s->size ? cim_stream_seek(&h->img, s, off, SEEK_DATA) : -ENXIO;

	return data < 0 ? s->size : MAX(off, (uint64_t)data / BLOCK * BLOCK);
}

static int hash_blocks(struct hasher *h, const struct cim_stream *s)
{
	uint64_t off = 0, n_zero = 0;

	while (off < s->size) {
		size_t n = (size_t)MIN(BLOCK, s->size - off);
		ssize_t got = s->sparse ? 0 : cim_stream_read(&h->img, s, off, h->block, n);

		if (got < 0)
			return (int)got;
		if (s->sparse || is_zero(h->block, n)) {
			uint64_t next = skip_hole(h, s, off + n);

			n_zero += (next - off + BLOCK - 1) / BLOCK;
			off = next;
			continue;
		}
		add_zero_run(h, &n_zero);
		cim_hash_add(h->content, "b", 1);
		cim_hash_add(h->content, h->block, n);
		off += n;
		h->n_bytes += n;
		int r = h->n_bytes % (64 * BLOCK) < n ? tick(h) : 0;
		if (r < 0)
			return r;
	}
	add_zero_run(h, &n_zero);
	return 0;
}

static struct cached *cache_slot(struct hasher *h, const struct cim_stream *s)
{
	return &h->cache[(s->off * 0x9E3779B97F4A7C15u + s->size) % CACHE_SLOTS];
}

static int put_content(struct hasher *h, const struct cim_stream *s)
{
	struct cached *slot = cache_slot(h, s);
	uint8_t digest[CIM_SHA256_SIZE];
	bool worth = !s->sparse && s->size >= CACHED_MIN;

	put64(h, s->size);
	if (worth && slot->size == s->size && slot->off == s->off && slot->type == s->type) {
		cim_hash_add(h->tree, slot->digest, sizeof(slot->digest));
		return 0;
	}
	int r = hash_blocks(h, s);
	cim_hash_take(h->content, digest);
	if (r < 0)
		return r;
	cim_hash_add(h->tree, digest, sizeof(digest));
	if (worth) {
		*slot = (struct cached){ .off = s->off, .size = s->size, .type = (uint8_t)s->type };
		memcpy(slot->digest, digest, sizeof(digest));
	}
	return 0;
}

/* A value in memory, as the content that it would be in a stream. */
static void put_value(struct hasher *h, const uint8_t *value, size_t size)
{
	uint8_t digest[CIM_SHA256_SIZE];
	uint64_t n_zero = 0;

	for (size_t off = 0, n; off < size; off += n) {
		n = MIN(BLOCK, size - off);
		if (is_zero(value + off, n)) {
			n_zero++;
			continue;
		}
		add_zero_run(h, &n_zero);
		cim_hash_add(h->content, "b", 1);
		cim_hash_add(h->content, value + off, n);
	}
	add_zero_run(h, &n_zero);
	cim_hash_take(h->content, digest);
	put64(h, size);
	cim_hash_add(h->tree, digest, sizeof(digest));
}

/* ---- extended attributes ---- */

/* An attribute: in an EA, or in a stream. */
struct attribute {
	char *name;
	const uint8_t *value; /* NULL: it is a stream */
	size_t size;
	struct cim_stream stream;
};

static void clear_attribute(void *p)
{
	g_free(((struct attribute *)p)->name);
}

static int compare_attributes(const void *a, const void *b)
{
	return strcmp(((const struct attribute *)a)->name, ((const struct attribute *)b)->name);
}

static bool has_attribute(const GArray *list, guint n, const char *name)
{
	for (guint i = 0; i < n; i++)
		if (strcmp(g_array_index(list, struct attribute, i).name, name) == 0)
			return true;
	return false;
}

static int collect_eas(const uint8_t *eas, size_t size, GArray *list)
{
	char name[CIM_XATTR_NAME_MAX + 1];
	struct cim_ea_iter it;
	struct cim_ea ea;
	int r;

	cim_ea_iter_init(&it, eas, size);
	while ((r = cim_ea_iter_next(&it, &ea)) == 1) {
		struct attribute a = { 0 };

		if (!cim_ea_to_xattr(&ea, name, &a.value, &a.size) ||
		    has_attribute(list, list->len, name))
			continue;
		a.name = g_strdup(name);
		g_array_append_val(list, a);
	}
	return r;
}

/* An EA goes before a stream of the same name, as it does for who reads it. */
static int collect_streams(const struct cim_image *img, const struct cim_entry *e, GArray *list)
{
	char name[CIM_XATTR_NAME_MAX + 1];
	uint16_t units[CIM_NAME_UNITS];
	guint n_eas = list->len;
	struct cim_links l;
	int r = cim_file_streams(img, e, &l);

	for (uint32_t i = 0; r == 0 && i < l.n; i++) {
		struct attribute a = { 0 };
		int n = cim_links_name(&l, i, units);

		if (n < 0)
			return n;
		r = cim_links_stream(&l, i, &a.stream);
		if (r < 0)
			return r;
		if (cim_stream_xattr_name(units, (size_t)n, name) < 0)
			return cim_fail(CIM_ECORRUPT, "stream %u has no proper name", i);
		if (has_attribute(list, n_eas, name))
			continue;
		a.name = g_strdup(name);
		g_array_append_val(list, a);
	}
	return r;
}

static int put_attributes(struct hasher *h, const struct cim_entry *e, const uint8_t *eas,
			  size_t size)
{
	g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(struct attribute));

	g_array_set_clear_func(list, clear_attribute);
	int r = collect_eas(eas, size, list);
	if (r == 0)
		r = collect_streams(&h->img, e, list);
	if (r < 0)
		return r;
	g_array_sort(list, compare_attributes);
	put32(h, list->len);
	for (guint i = 0; r == 0 && i < list->len; i++) {
		const struct attribute *a = &g_array_index(list, struct attribute, i);

		put_string(h, a->name, strlen(a->name));
		if (a->value)
			put_value(h, a->value, a->size);
		else
			r = put_content(h, &a->stream);
	}
	return r;
}

/* ---- what only Windows sees ---- */

static bool is_foreign(const struct cim_ea *ea)
{
	char name[CIM_XATTR_NAME_MAX + 1];
	const uint8_t *value;
	size_t size;

	return !cim_posix_owns_ea(ea) && !cim_ea_to_xattr(ea, name, &value, &size);
}

static void put_foreign_eas(struct hasher *h, const uint8_t *eas, size_t size)
{
	struct cim_ea_iter it;
	struct cim_ea ea;
	uint32_t n = 0;

	cim_ea_iter_init(&it, eas, size);
	while (cim_ea_iter_next(&it, &ea) == 1)
		n += is_foreign(&ea);
	put32(h, n);
	cim_ea_iter_init(&it, eas, size);
	while (cim_ea_iter_next(&it, &ea) == 1) {
		if (!is_foreign(&ea))
			continue;
		put8(h, ea.flags);
		put_string(h, ea.name, ea.name_size);
		put_string(h, ea.value, ea.value_size);
	}
}

static int put_windows(struct hasher *h, const struct cim_entry *e, const uint8_t *eas, size_t size)
{
	const uint8_t *sd = NULL, *reparse;
	size_t sd_size = 0, reparse_size;
	int r = e->sd_off ? cim_image_counted(&h->img, e->sd_off, &sd, &sd_size) : 0;

	if (r < 0)
		return r;
	cim_file_reparse(&h->img, e, &reparse, &reparse_size);
	put32(h, e->flags);
	put64(h, e->created);
	put64(h, e->changed);
	put64(h, e->accessed);
	put_string(h, sd, sd_size);
	put_string(h, reparse, reparse_size);
	put_foreign_eas(h, eas, size);
	return 0;
}

/* ---- files ---- */

static uint8_t type_letter(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFIFO:
		return 'p';
	case S_IFSOCK:
		return 's';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	default:
		return 'f';
	}
}

/* Reading forgives a damaged EA list or reparse buffer; a digest does not. */
static int read_strictly(const struct hasher *h, const struct cim_entry *e, const uint8_t **ret_eas)
{
	const uint8_t *reparse;
	struct cim_reparse rp;
	size_t size = 0;
	int r = e->ea_size ? cim_image_bytes(&h->img, e->ea_off, e->ea_size, ret_eas) : 0;

	if (r == 0 && e->reparse_off)
		r = cim_image_counted(&h->img, e->reparse_off, &reparse, &size);
	if (r == 0 && size > 0)
		r = cim_reparse_parse(reparse, size, e->reparse_tag, &rp, NULL);
	return r;
}

static int put_target(struct hasher *h, uint32_t id)
{
	char target[CIM_SYMLINK_MAX + 1];
	int r = cim_file_readlink(&h->img, id, target);

	if (r < 0)
		return r;
	put_string(h, target, strlen(target));
	return 0;
}

static int put_file(struct hasher *h, uint32_t id, const struct cim_entry *e,
		    const struct cim_attr *attr)
{
	const struct cim_posix *p = &attr->posix;
	uint8_t type = type_letter(p->mode);
	const uint8_t *eas = NULL;
	int r = read_strictly(h, e, &eas);

	if (r < 0)
		return r;
	put8(h, type);
	put32(h, p->mode & 07777);
	put32(h, p->uid);
	put32(h, p->gid);
	put64(h, attr->written);
	if (type == 'l') {
		r = put_target(h, id);
	} else if (type == 'c' || type == 'b') {
		put32(h, p->major);
		put32(h, p->minor);
	} else if (type == 'f') {
		r = put_content(h, &e->data);
	}
	if (r == 0)
		r = put_attributes(h, e, eas, e->ea_size);
	if (r == 0 && h->opt->windows)
		r = put_windows(h, e, eas, e->ea_size);
	return r;
}

/* ---- directories ---- */

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int order = memcmp(x->name, y->name, MIN(x->size, y->size));

	return order ? order : (x->size > y->size) - (x->size < y->size);
}

static int read_items(const struct cim_links *l, struct directory *d)
{
	uint16_t units[CIM_NAME_UNITS];
	char name[CIM_NAME_BYTES + 1];

	for (; d->n < l->n; d->n++) {
		int n = cim_links_name(l, d->n, units);

		if (n >= 0)
			n = cim_name_shown(units, (size_t)n, name);
		if (n < 0)
			return cim_fail(CIM_ECORRUPT, "link %u has no proper name", d->n);
		d->item[d->n] = (struct item){
			.name = g_string_chunk_insert_len(d->names, name, n),
			.size = (uint32_t)n,
			.id = cim_links_id(l, d->n),
		};
	}
	return 0;
}

static void leave(struct hasher *h)
{
	struct directory *d = &g_array_index(h->stack, struct directory, h->stack->len - 1);

	h->n_held -= d->n;
	g_free(d->item);
	g_string_chunk_free(d->names);
	g_array_set_size(h->stack, h->stack->len - 1);
}

static int enter(struct hasher *h, const struct cim_entry *e)
{
	struct directory d = { 0 };
	struct cim_links l;
	int r = cim_dir_links(&h->img, e, &l);

	if (r < 0)
		return r;
	if (l.n > HELD_MAX - h->n_held)
		return cim_fail(ENOMEM,
				"no memory for so many names in one directory below another");
	d.item = g_try_malloc_n(MAX(l.n, 1), sizeof(*d.item));
	if (!d.item)
		return cim_fail(ENOMEM, "no memory for a directory of %u names", l.n);
	d.names = g_string_chunk_new(l.n < 64 ? 256 : 16384);
	r = read_items(&l, &d);
	h->n_held += d.n;
	g_array_append_val(h->stack, d);
	if (r < 0)
		return r;
	if (d.n > 0)
		qsort(d.item, d.n, sizeof(*d.item), compare_items);
	return e->data.size ? cim_image_check(&h->img, e->data.off, e->data.size) : 0;
}

/* One name; a directory is entered. */
static int put_name(struct hasher *h, const char *name, size_t size, uint32_t id)
{
	struct cim_idmap_slot *met;
	struct cim_attr attr;
	struct cim_entry e;
	int r = cim_image_entry(&h->img, id, &e);

	if (r == 0)
		r = cim_file_attr_of(&h->img, id, &e, &attr);
	if (r == 0)
		r = cim_idmap_add(&h->met, id, &met);
	if (r < 0)
		return r;
	put8(h, 'n');
	put_string(h, name, size);
	if (r == 0 && e.data.type == CIM_STREAM_LINKS)
		return cim_fail(CIM_ECORRUPT, "directory %u has more than one name", id);
	if (r == 0) {
		put8(h, 'h');
		put64(h, met->value);
		h->n_records++;
		return 0;
	}
	if (h->n_records > UINT32_MAX)
		return cim_fail(EOVERFLOW, "it has more than %u names", UINT32_MAX);
	met->value = (uint32_t)h->n_records++;
	r = put_file(h, id, &e, &attr);
	/* A link to a directory, which Windows has, is a link. */
	if (r == 0 && S_ISDIR(attr.posix.mode))
		r = enter(h, &e);
	if (r < 0 && r != -EINTR)
		return cim_fail(-r, "file %u: %s", id,
				*cim_reason() ? cim_reason() : g_strerror(-r));
	return r == 0 && h->n_records % FILES_A_TICK == 0 ? tick(h) : r;
}

static int walk(struct hasher *h, uint32_t root_id)
{
	int r = put_name(h, "", 0, root_id);

	while (r == 0 && h->stack->len > 0) {
		struct directory *d = &g_array_index(h->stack, struct directory, h->stack->len - 1);

		if (d->next == d->n) {
			leave(h);
			put8(h, 'e');
			continue;
		}
		const struct item *item = &d->item[d->next++];
		r = put_name(h, item->name, item->size, item->id);
	}
	return r;
}

int cim_tree_hash(const struct cim_image *img, uint32_t root_id,
		  const struct cim_tree_hash_options *opt, uint8_t ret[CIM_SHA256_SIZE])
{
	static const struct cim_tree_hash_options defaults;
	struct hasher h = { .img = *img, .opt = opt ? opt : &defaults };

	h.img.view = (struct cim_view){ .fmask = 022, .dmask = 022, .abslinks = CIM_ABSLINKS_RAW };
	h.tree = cim_hash_begin();
	h.content = cim_hash_begin();
	h.stack = g_array_new(FALSE, FALSE, sizeof(struct directory));
	h.block = g_malloc(BLOCK);
	h.cache = g_new0(struct cached, CACHE_SLOTS);
	cim_hash_add(h.tree, "cimtree1", strlen("cimtree1"));
	cim_hash_add(h.tree, h.opt->windows ? "w\n" : "\n", h.opt->windows ? 2 : 1);
	cim_reason_clear();
	int r = walk(&h, root_id);
	if (r == 0)
		cim_hash_take(h.tree, ret);
	while (h.stack->len > 0)
		leave(&h);
	g_array_free(h.stack, TRUE);
	cim_idmap_clear(&h.met);
	cim_hash_free(h.tree);
	cim_hash_free(h.content);
	g_free(h.block);
	g_free(h.cache);
	return r;
}
