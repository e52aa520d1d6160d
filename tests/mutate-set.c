/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#define CIM_TESTS_WITHOUT_CHECK

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"
#include "mutate-set.h"
#include "reader.h"
#include "util.h"
#include "writer.h"

#define N_FILES        14   /* of a new image, beside the special ones */
#define DATA_MAX       9000 /* bytes of a file */
#define MAX_IDS        64   /* files whose fields are listed, of an image */
#define MAX_LINKS      16   /* entries of a table */
#define OBJECTS_LISTED 8

/* ---- trees, by the writer ---- */

struct maker {
	struct test_random random;
	struct cim_store *store;
	struct cim_writer *w;
	uint32_t dirs[4], n_dirs;
	uint32_t n_names;
};

static uint32_t make(struct maker *m, uint32_t mode, const char *name, const char *target)
{
	struct cim_make how = {
		.mode = mode, .target = target, .uid = 1000, .gid = 100, .major = 1, .minor = 3
	};
	uint32_t dir = m->dirs[test_random_below(&m->random, m->n_dirs)], id = 0;
	g_autofree char *unique = g_strdup_printf("%s%u", name, m->n_names++);

	fuzz_check(cim_writer_make(m->w, dir, unique, strlen(unique), &how, &id) == 0);
	return id;
}

static void fill(struct maker *m, uint32_t id)
{
	size_t size = test_random_below(&m->random, DATA_MAX);
	g_autofree uint8_t *data = g_malloc(size + 8);

	for (size_t i = 0; i < size; i += 8)
		cim_store64(data + i, test_random_next(&m->random));
	fuzz_check(cim_writer_open_file(m->w, id, CIM_OPEN_WRITE) == 0);
	fuzz_check(cim_writer_write(m->w, id, 0, data, size) == (ssize_t)size);
	if (test_random_below(&m->random, 4) == 0) /* a hole behind it */
		fuzz_check(cim_writer_write(m->w, id, 200000, data, size) == (ssize_t)size);
	cim_writer_close_file(m->w, id, CIM_OPEN_WRITE);
}

static void set_xattr(struct maker *m, uint32_t id, const char *name, const void *value,
		      size_t size)
{
	fuzz_check(cim_writer_set_xattr(m->w, id, name, value, size, 0) == 0);
}

static void add_files(struct maker *m, uint32_t n)
{
	static const char *const names[] = {
		"f",   "name-", "\303\251", "\360\237\220\247",
		"a:b", "F",     "\377",     "long-name-long-name-long-name-long-name-"
	};

	for (uint32_t i = 0; i < n; i++) {
		uint32_t id = make(m, S_IFREG | 0644, names[i % G_N_ELEMENTS(names)], NULL);

		fill(m, id);
		if (i % 5 == 1)
			set_xattr(m, id, "user.note", "a value", 7);
	}
}

static void add_special(struct maker *m)
{
	static const uint8_t acl[] = { 2,   0,   0,   0,   1,   0,   7,  0,   255, 255, 255,
				       255, 2,   0,   6,   0,   232, 3,  0,   0,   4,   0,
				       5,   0,   255, 255, 255, 255, 16, 0,   7,   0,   255,
				       255, 255, 255, 32,  0,   0,   0,  255, 255, 255, 255 };
	g_autofree uint8_t *large = g_malloc0(40000);

	make(m, S_IFLNK | 0777, "link", "f0");
	make(m, S_IFLNK | 0777, "far", "/some/where/else");
	make(m, S_IFIFO | 0600, "fifo", NULL);
	make(m, S_IFCHR | 0600, "null", NULL);
	make(m, S_IFSOCK | 0600, "socket", NULL);
	uint32_t id = make(m, S_IFREG | 04755, "rich", NULL);
	fill(m, id);
	set_xattr(m, id, "user.Small", "x", 1);
	set_xattr(m, id, "security.capability", "\1\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	set_xattr(m, id, "user.large", large, 40000);
	set_xattr(m, id, "system.posix_acl_access", acl, sizeof(acl));
	fuzz_check(cim_writer_link(m->w, id, m->dirs[0], "hard", 4) == 0);
}

static void commit(struct maker *m)
{
	fuzz_check(cim_writer_commit(m->w) == 0);
	cim_writer_close(m->w);
}

static void begin(struct maker *m, const char *existing, const char *name, enum cim_case how)
{
	fuzz_check(cim_writer_open(m->store, existing, name, how, &m->w) == 0);
	m->dirs[0] = cim_writer_root(m->w);
	m->n_dirs = 1;
}

static void make_new(struct maker *m, const char *name, enum cim_case how)
{
	begin(m, NULL, name, how);
	m->dirs[1] = make(m, S_IFDIR | 0755, "d", NULL);
	m->n_dirs = 2;
	m->dirs[2] = make(m, S_IFDIR | 01777, "sub", NULL);
	m->n_dirs = 3;
	m->dirs[3] = make(m, S_IFDIR | 0700, "deep", NULL);
	m->n_dirs = 4;
	add_files(m, N_FILES);
	add_special(m);
	commit(m);
}

static void make_fork(struct maker *m, const char *existing, const char *name)
{
	begin(m, existing, name, CIM_CASE_BASE);
	add_files(m, 3);
	make(m, S_IFDIR | 0755, "forked", NULL);
	commit(m);
}

/* ---- files in memory ---- */

static struct mutate_file *file_at(const struct mutate_set *s, uint32_t i)
{
	return &g_array_index(s->files, struct mutate_file, i);
}

static void load(struct mutate_set *s, const char *dir, const char *name)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	struct mutate_file f = { .name = g_strdup(name) };
	gsize size;

	fuzz_check(g_file_get_contents(path, (char **)&f.bytes, &size, NULL));
	f.size = size;
	g_array_append_val(s->files, f);
}

/* In an order that does not hang on GUIDs, which are random. */
static void load_all(struct mutate_set *s, struct cim_store *store, const char *dir)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_auto(GStrv) images = NULL;
	int n = cim_store_list(store, &images);

	fuzz_check(n > 0);
	s->n_images = (uint32_t)n;
	for (char **image = images; *image; image++)
		load(s, dir, *image);
	for (char **image = images; *image; image++) {
		g_autofree struct cim_set *sets = NULL;
		char name[CIM_FILE_NAME];
		uint32_t n_sets;

		fuzz_check(cim_image_list_sets(store, *image, &sets, &n_sets) == 0);
		for (uint32_t i = 0; i < n_sets; i++) {
			for (uint32_t k = 0; k < sets[i].n_regions; k++) {
				cim_region_name(&sets[i].guid, k, name);
				if (!g_hash_table_add(seen, g_strdup(name)))
					continue;
				load(s, dir, name);
				cim_objectid_name(&sets[i].guid, k, name);
				load(s, dir, name);
			}
		}
	}
}

static uint32_t find_file(const struct mutate_set *s, const char *name)
{
	for (uint32_t i = 0; i < s->files->len; i++)
		if (strcmp(file_at(s, i)->name, name) == 0)
			return i;
	g_assert_not_reached();
}

/* ---- fields ---- */

struct lister {
	struct mutate_set *s;
	const struct cim_image *img;
};

static void add_field(struct mutate_set *s, uint32_t file, uint64_t off, uint32_t width)
{
	struct mutate_field f = { .file = file, .width = width, .off = off };

	if (off + width <= file_at(s, file)->size)
		g_array_append_val(s->fields, f);
}

/* Fields of these widths, one behind the other; a width of 0 ends them. */
static void add_fields(struct mutate_set *s, uint32_t file, uint64_t off, const uint8_t *widths)
{
	for (; *widths; off += *widths++)
		add_field(s, file, off, *widths);
}

static uint32_t file_of(const struct lister *l, uint64_t off)
{
	uint32_t index = cim_off_region(off);
	char name[CIM_FILE_NAME];

	for (uint32_t i = 0; i < l->img->n_sets; i++) {
		const struct cim_set *set = &l->img->sets[i];

		if (index < set->n_regions) {
			cim_region_name(&set->guid, index, name);
			return find_file(l->s, name);
		}
		index -= set->n_regions;
	}
	g_assert_not_reached();
}

/* The same at a region offset. */
static void list_at(const struct lister *l, uint64_t off, const uint8_t *widths)
{
	if (off)
		add_fields(l->s, file_of(l, off), cim_off_byte(off), widths);
}

static void list_links(const struct lister *l, uint64_t off, uint32_t entry_size)
{
	static const uint8_t head[] = { 4, 4, 0 }, id[] = { 4, 0 }, stream[] = { 8, 4, 2, 1, 1, 0 },
			     name[] = { 2, 2, 2, 0 };
	const uint8_t *p;
	uint64_t n;

	if (!off || cim_image_span(l->img, off, &p, &n) < 0 || n < 8)
		return;
	uint32_t count = cim_load32(p + 4), names = 8 + count * entry_size;
	list_at(l, off, head);
	for (uint32_t i = 0; i < MIN(count, MAX_LINKS); i++) {
		list_at(l, off + 8 + i * entry_size, entry_size == 4 ? id : stream);
		list_at(l, off + names + 4 * i, id);
		list_at(l, off + cim_load32(p + names + 4 * i), name);
	}
}

static void list_eas(const struct lister *l, const struct cim_entry *e)
{
	static const uint8_t head[] = { 4, 1, 1, 2, 1, 1, 1, 1, 0 }, value[] = { 4, 0 };
	struct cim_ea_iter it;
	const uint8_t *p;
	struct cim_ea ea;

	if (!e->ea_size || cim_image_bytes(l->img, e->ea_off, e->ea_size, &p) < 0)
		return;
	cim_ea_iter_init(&it, p, e->ea_size);
	while (cim_ea_iter_next(&it, &ea) == 1) {
		list_at(l, e->ea_off + (size_t)((const uint8_t *)ea.name - 8 - p), head);
		list_at(l, e->ea_off + (size_t)(ea.value - p), value);
	}
}

static void list_entry(const struct lister *l, uint32_t id)
{
	static const uint8_t
		widths[] = { 2, 2, 4, 8, 8, 8, 8, 8, 4, 2, 1, 1, 8, 8, 8, 8, 4, 2, 2, 0 },
		reparse[] = { 2, 4, 2, 2, 4, 2, 2, 4, 0 },
		descriptor[] = { 2, 1, 1, 2, 4, 4, 4, 4, 1, 1, 2, 0 };
	struct cim_table t;
	struct cim_entry e;

	if (cim_image_table(l->img, (id - 1) / CIM_TABLE_ENTRIES, &t) < 0 ||
	    cim_image_entry(l->img, id, &e) < 0)
		return;
	list_at(l, t.off + (uint64_t)((id - 1) % CIM_TABLE_ENTRIES) * t.entry_size, widths);
	list_at(l, e.reparse_off, reparse);
	list_at(l, e.sd_off, descriptor);
	list_eas(l, &e);
	list_links(l, e.streams_off, CIM_LINK_STREAM);
	if (e.data.type == CIM_STREAM_LINKS)
		list_links(l, e.data.off, CIM_LINK_ID);
}

static void list_image(struct mutate_set *s, struct cim_store *store, uint32_t file)
{
	static const uint8_t
		head[] = { 8, 4, 1, 1, 2, 4, 4, 8, 4, 2, 2, 8, 2, 2, 4, 8, 4, 2, 2, 0 },
		set[] = { 4, 2, 2, 8, 2, 2, 4, 0 }, fs[] = { 8, 8, 4, 4, 0 },
		table[] = { 8, 2, 2, 4, 0 };
	struct lister l = { .s = s };
	struct cim_image *img;

	fuzz_check(cim_image_open(store, file_at(s, file)->name, &img) == 0);
	l.img = img;
	add_fields(s, file, 0, head);
	for (uint32_t i = 0; i < img->header.n_parents; i++)
		add_fields(s, file, sizeof(struct cim_image_disk) + i * sizeof(struct cim_set_disk),
			   set);
	list_at(&l, img->header.fs_off, fs);
	for (uint32_t i = 0; i < img->fs.n_tables; i++)
		list_at(&l, img->fs.tables_off + i * sizeof(struct cim_table_disk), table);
	for (uint32_t id = 1; id <= MIN(cim_image_last_id(img), MAX_IDS); id++)
		list_entry(&l, id);
	cim_image_unref(img);
}

static void list_headers(struct mutate_set *s)
{
	static const uint8_t region[] = { 8, 4, 1, 1, 2, 4, 4, 8, 2, 1, 1, 4, 0 },
			     objectid[] = { 8, 4, 1, 1, 2, 4, 4, 8, 2, 1, 1, 4, 4, 4, 0 },
			     object[] = { 8, 8, 8, 8, 8, 0 };

	for (uint32_t i = s->n_images; i < s->files->len; i++) {
		bool is_region = g_str_has_prefix(file_at(s, i)->name, "region");

		add_fields(s, i, 0, is_region ? region : objectid);
		for (uint32_t k = 0; !is_region && k < OBJECTS_LISTED; k++)
			add_fields(s, i,
				   sizeof(struct cim_objectid_disk) +
					   k * sizeof(struct cim_object_disk),
				   object);
	}
}

/* ---- a set ---- */

struct mutate_set *mutate_set_make(uint64_t seed, const char *dir)
{
	struct mutate_set *s = g_new0(struct mutate_set, 1);
	struct maker m = { .random = { seed } };

	fuzz_check(cim_store_open(AT_FDCWD, dir, &m.store) == 0);
	make_new(&m, "a.cim", CIM_CASE_SENSITIVE);
	make_fork(&m, "a.cim", "b.cim");
	make_fork(&m, "b.cim", "c.cim");
	make_new(&m, "d.cim", CIM_CASE_INSENSITIVE);
	s->files = g_array_new(FALSE, FALSE, sizeof(struct mutate_file));
	s->fields = g_array_new(FALSE, FALSE, sizeof(struct mutate_field));
	load_all(s, m.store, dir);
	for (uint32_t i = 0; i < s->n_images; i++)
		list_image(s, m.store, i);
	list_headers(s);
	cim_store_unref(m.store);
	return s;
}

void mutate_set_free(struct mutate_set *s)
{
	for (uint32_t i = 0; i < s->files->len; i++) {
		g_free(file_at(s, i)->name);
		g_free(file_at(s, i)->bytes);
	}
	g_array_free(s->files, TRUE);
	g_array_free(s->fields, TRUE);
	g_free(s);
}
