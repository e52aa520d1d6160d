/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random trees through the writer, a commit and the reader, against a model in memory.
 *
 * Each test makes an image, then a fork of it, a fork of that and so on, each with random changes;
 * after every step the staged tree, and after every commit the image, must be what the model says.
 */
#include "config.h"

#include <sys/xattr.h>

#include "exercise.h"
#include "imagedir.h"

#define N_TREES       50 /* 1,000 in make check-long */
#define N_GENERATIONS 6  /* an image and forks five deep */
#define N_CHAINS      4  /* of forks and replacements … */
#define N_LINKS       30 /* … that many deep */
#define N_LINK_STEPS  8  /* … with that many changes each */
#define N_STEPS       60
#define DATA_MAX      (256 * 1024)

/* ---- the model ---- */

struct file {
	uint32_t mode, uid, gid, major, minor;
	uint32_t n_links; /* paths */
	uint64_t accessed, written, changed, created;
	char *target;
	GByteArray *data;
	GHashTable *xattrs; /* name -> GBytes */
	bool dirty;         /* since the last commit: its times are what the clock says */
	uint32_t id;        /* while an image or a writer is looked at */
	bool has_parent;    /* the directory that its entry says has a name of it */
};

struct tree {
	struct test_random random;
	GHashTable *paths; /* path -> struct file; "" is the root */
	struct cim_writer *w;
};

static struct file *file_new(uint32_t mode)
{
	struct file *f = g_new0(struct file, 1);

	f->mode = mode;
	f->data = g_byte_array_new();
	f->xattrs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
					  (GDestroyNotify)g_bytes_unref);
	f->dirty = true;
	return f;
}

static void file_drop(gpointer p)
{
	struct file *f = p;

	if (--f->n_links > 0)
		return;
	g_byte_array_unref(f->data);
	g_hash_table_unref(f->xattrs);
	g_free(f->target);
	g_free(f);
}

static void add_path(struct tree *t, const char *path, struct file *f)
{
	f->n_links++;
	ck_assert(g_hash_table_insert(t->paths, g_strdup(path), f));
}

static struct file *file_at(const struct tree *t, const char *path)
{
	return g_hash_table_lookup(t->paths, path);
}

static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? g_strndup(path, (gsize)(slash - path)) : g_strdup("");
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return n == 0 || (strncmp(path, dir, n) == 0 && path[n] == '/');
}

static uint64_t below(struct tree *t, uint64_t n)
{
	return test_random_below(&t->random, n);
}

/* Sorted, so that a seed gives the same tree whatever the hash table does. */
static GList *sorted_paths(const struct tree *t)
{
	return g_list_sort(g_hash_table_get_keys(t->paths), (GCompareFunc)strcmp);
}

/* A path of the model for which @type is the type, or any (0); NULL if there is none. */
static const char *random_path(struct tree *t, uint32_t type)
{
	g_autoptr(GList) all = sorted_paths(t);
	g_autoptr(GPtrArray) fit = g_ptr_array_new();

	for (GList *l = all; l; l = l->next) {
		const struct file *f = file_at(t, l->data);

		if (type ? (f->mode & S_IFMT) == type : *(char *)l->data != '\0')
			g_ptr_array_add(fit, l->data);
	}
	return fit->len ? g_ptr_array_index(fit, below(t, fit->len)) : NULL;
}

static bool has_children(const struct tree *t, const char *path)
{
	g_autoptr(GList) all = g_hash_table_get_keys(t->paths);
	bool found = false;

	for (GList *l = all; l; l = l->next)
		found = found || (strcmp(l->data, path) != 0 && is_below(l->data, path));
	return found;
}

static void touch_dir_of(struct tree *t, const char *path)
{
	g_autofree char *dir = dir_of(path);

	file_at(t, dir)->dirty = true;
}

/* ---- names ---- */

static void append_random(struct tree *t, GString *name)
{
	static const char odd[] = "\\:*?\"<>| .;$%^&'`~\t\n\x7f";

	switch (below(t, 8)) {
	case 0: /* what Windows forbids */
		g_string_append_c(name, odd[below(t, sizeof(odd) - 1)]);
		break;
	case 1: /* a byte that begins or continues nothing */
		g_string_append_c(name, (char)(0x80 + below(t, 0x80)));
		break;
	case 2: /* where escapes are stored */
		g_string_append_unichar(name, 0xF000 + (gunichar)below(t, 0x100));
		break;
	case 3:
		g_string_append_unichar(name, 0xE000 + (gunichar)below(t, 0x1900));
		break;
	case 4:
		g_string_append_unichar(name, 0x10000 + (gunichar)below(t, 0x10000));
		break;
	case 5:
		g_string_append_unichar(name, 0xA1 + (gunichar)below(t, 0x2000));
		break;
	default:
		g_string_append_c(name, (char)('a' + below(t, 26)));
	}
}

static char *random_name(struct tree *t)
{
	size_t size = below(t, 12) ? 1 + below(t, 8) : 200 + below(t, 56);
	GString *name = g_string_new(NULL);

	if (below(t, 2)) /* few enough that names meet */
		g_string_printf(name, "n%u", (unsigned int)below(t, 40));
	while (name->len < size)
		append_random(t, name);
	g_string_truncate(name, MIN(name->len, 255));
	if (strcmp(name->str, ".") == 0 || strcmp(name->str, "..") == 0)
		g_string_append_c(name, 'x');
	return g_string_free(name, FALSE);
}

/* A path in a random directory, which may be taken. */
static char *random_place(struct tree *t)
{
	g_autofree char *name = random_name(t);
	const char *dir = random_path(t, S_IFDIR);

	return *dir ? g_strconcat(dir, "/", name, NULL) : g_strdup(name);
}

/* ---- random changes, to the writer and the model ---- */

static uint32_t id_of(struct tree *t, const char *path)
{
	return find(t->w, path);
}

static void step_make(struct tree *t)
{
	static const uint32_t types[] = { S_IFREG, S_IFREG, S_IFREG,  S_IFDIR, S_IFDIR, S_IFLNK,
					  S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK };
	uint32_t type = types[below(t, N_ROWS(types))], id;
	g_autofree char *path = random_place(t), *target = NULL;
	struct cim_make make = { .mode = type | (uint32_t)below(t, 010000),
				 .uid = (uint32_t)below(t, 3) * 1000,
				 .gid = (uint32_t)below(t, 3) * 70000 };

	if (type == S_IFDIR)
		make.mode &= ~(uint32_t)S_ISGID; /* its children are test-tree's */
	if (type == S_IFLNK) {
		const char *to = random_path(t, 0);

		target = below(t, 2) && to ? g_strdup(to) : random_name(t);
		make.target = target;
		make.mode = S_IFLNK | 0777;
	}
	if (type == S_IFCHR || type == S_IFBLK) {
		make.major = (uint32_t)below(t, 1 << 12);
		make.minor = (uint32_t)below(t, 1 << 20);
	}
	int r = try_make_as(t->w, path, &make, &id);
	if (file_at(t, path)) {
		ck_assert_int_eq(r, -EEXIST);
		return;
	}
	ck_assert_int_eq(r, 0);
	struct file *f = file_new(make.mode);
	f->uid = make.uid;
	f->gid = make.gid;
	f->major = make.major;
	f->minor = make.minor;
	f->target = g_steal_pointer(&target);
	add_path(t, path, f);
	touch_dir_of(t, path);
}

static size_t random_size(struct tree *t)
{
	static const size_t near[] = { 0, 4096, 16384, 65536, 300000 };
	size_t kind = below(t, 20);

	return kind < N_ROWS(near) ? near[kind] + below(t, 3) : below(t, 3000);
}

static void step_write(struct tree *t)
{
	const char *path = random_path(t, S_IFREG);
	size_t size = random_size(t), at = below(t, 3) ? 0 : random_size(t);

	if (!path)
		return;
	/* Few contents, so that the same is stored twice. */
	g_autofree uint8_t *data = pattern(size, below(t, 5));
	struct file *f = file_at(t, path);
	size_t old = f->data->len;

	if (size == 0)
		return;
	write_at(t->w, id_of(t, path), at, data, size);
	if (at + size > old) {
		g_byte_array_set_size(f->data, (guint)(at + size));
		if (at > old)
			memset(f->data->data + old, 0, at - old);
	}
	memcpy(f->data->data + at, data, size);
	f->dirty = true;
}

static void step_truncate(struct tree *t)
{
	const char *path = random_path(t, S_IFREG);
	size_t size = below(t, 4) ? random_size(t) : below(t, DATA_MAX);

	if (!path)
		return;
	struct file *f = file_at(t, path);
	size_t old = f->data->len;

	ck_assert_int_eq(try_truncate(t->w, id_of(t, path), size), 0);
	g_byte_array_set_size(f->data, (guint)size);
	if (size > old)
		memset(f->data->data + old, 0, size - old);
	f->dirty = true;
}

static void step_attr(struct tree *t)
{
	const char *path = random_path(t, below(t, 8) ? 0 : S_IFDIR);
	struct cim_attr attr = { .posix = { .mode = (uint32_t)below(t, 010000),
					    .uid = (uint32_t)below(t, 100000),
					    .gid = (uint32_t)below(t, 100000) } };

	if (!path)
		return;
	struct file *f = file_at(t, path);
	if (S_ISDIR(f->mode))
		attr.posix.mode &= ~(uint32_t)S_ISGID;
	ck_assert_int_eq(cim_writer_set(t->w, id_of(t, path),
					CIM_SET_MODE | CIM_SET_UID | CIM_SET_GID, &attr),
			 0);
	if (!S_ISLNK(f->mode))
		f->mode = (f->mode & S_IFMT) | attr.posix.mode;
	f->uid = attr.posix.uid;
	f->gid = attr.posix.gid;
	f->dirty = true;
}

static void step_xattr(struct tree *t)
{
	static const char *const names[] = { "user.a",     "user.A",
					     "user.b.c",   "trusted.mixed Case",
					     "security.x", "user.\303\244\377" };
	const char *path = random_path(t, 0), *name = names[below(t, N_ROWS(names))];

	if (!path)
		return;
	struct file *f = file_at(t, path);
	if (below(t, 4) == 0) {
		bool had = g_hash_table_remove(f->xattrs, name);

		ck_assert_int_eq(cim_writer_remove_xattr(t->w, id_of(t, path), name),
				 had ? 0 : -ENODATA);
		f->dirty = f->dirty || had;
		return;
	}
	size_t size = below(t, 8) ? below(t, 100) : below(t, 65537);
	uint8_t *value = pattern(size, below(t, 5));
	ck_assert_int_eq(cim_writer_set_xattr(t->w, id_of(t, path), name, value, size, 0), 0);
	g_hash_table_replace(f->xattrs, g_strdup(name), g_bytes_new_take(value, size));
	f->dirty = true;
}

static void step_link(struct tree *t)
{
	const char *from = random_path(t, 0);
	g_autofree char *to = random_place(t);

	if (!from)
		return;
	struct file *f = file_at(t, from);
	int expect = file_at(t, to) ? -EEXIST : S_ISDIR(f->mode) ? -EPERM : 0;
	ck_assert_int_eq(try_link(t->w, from, to), expect);
	if (expect)
		return;
	add_path(t, to, f);
	f->dirty = true;
	touch_dir_of(t, to);
}

static void step_remove(struct tree *t)
{
	g_autofree char *path = g_strdup(random_path(t, 0));

	if (!path)
		return;
	struct file *f = file_at(t, path);
	if (S_ISDIR(f->mode)) {
		bool full = has_children(t, path);

		ck_assert_int_eq(try_unlink(t->w, path), -EISDIR);
		ck_assert_int_eq(try_rmdir(t->w, path), full ? -ENOTEMPTY : 0);
		if (full)
			return;
	} else {
		ck_assert_int_eq(try_rmdir(t->w, path), -ENOTDIR);
		ck_assert_int_eq(try_unlink(t->w, path), 0);
	}
	touch_dir_of(t, path);
	f->dirty = true;
	g_hash_table_remove(t->paths, path);
}

/* All paths in and below one get another beginning. */
static void move_paths(struct tree *t, const char *from, const char *to)
{
	g_autoptr(GList) all = g_hash_table_get_keys(t->paths);

	for (GList *l = all; l; l = l->next) {
		gpointer path, f;

		if (strcmp(l->data, from) != 0 && !is_below(l->data, from))
			continue;
		ck_assert(g_hash_table_steal_extended(t->paths, l->data, &path, &f));
		ck_assert(g_hash_table_insert(
			t->paths, g_strconcat(to, (char *)path + strlen(from), NULL), f));
		g_free(path);
	}
}

static int rename_error(const struct tree *t, const char *from, const char *to)
{
	const struct file *a = file_at(t, from), *b = file_at(t, to);

	if (S_ISDIR(a->mode) && is_below(to, from))
		return -EINVAL;
	if (!b || a == b)
		return 0;
	if (S_ISDIR(a->mode) != S_ISDIR(b->mode))
		return S_ISDIR(a->mode) ? -ENOTDIR : -EISDIR;
	return S_ISDIR(a->mode) && has_children(t, to) ? -ENOTEMPTY : 0;
}

static void step_rename(struct tree *t)
{
	g_autofree char *from = g_strdup(random_path(t, 0));
	g_autofree char *to = from && below(t, 2) ? g_strdup(random_path(t, 0)) : random_place(t);

	if (!from)
		return;
	int expect = rename_error(t, from, to);
	ck_assert_int_eq(try_rename(t->w, from, to, 0), expect);
	struct file *a = file_at(t, from), *b = file_at(t, to);
	if (expect || a == b)
		return;
	touch_dir_of(t, from);
	touch_dir_of(t, to);
	a->dirty = true;
	if (b) {
		b->dirty = true;
		g_hash_table_remove(t->paths, to);
	}
	move_paths(t, from, to);
}

static void step_exchange(struct tree *t)
{
	g_autofree char *a = g_strdup(random_path(t, 0)), *b = g_strdup(random_path(t, 0));

	if (!a)
		return;
	bool nested = is_below(a, b) || is_below(b, a);
	int r = try_rename(t->w, a, b, RENAME_EXCHANGE);
	if (nested) {
		ck_assert_int_eq(r, -EINVAL);
		return;
	}
	ck_assert_int_eq(r, 0);
	if (file_at(t, a) == file_at(t, b))
		return;
	file_at(t, a)->dirty = file_at(t, b)->dirty = true;
	touch_dir_of(t, a);
	touch_dir_of(t, b);
	/* "//" begins no path of the model. */
	move_paths(t, a, "//");
	move_paths(t, b, a);
	move_paths(t, "//", b);
}

static void random_step(struct tree *t)
{
	static void (*const steps[])(struct tree *) = {
		step_make,   step_make,     step_make,     step_make,  step_write,
		step_write,  step_truncate, step_attr,     step_xattr, step_link,
		step_remove, step_rename,   step_exchange,
	};

	steps[below(t, N_ROWS(steps))](t);
}

/* What changed has the clock's times: set them, so that the model knows them. */
static void settle_times(struct tree *t)
{
	g_autoptr(GList) all = sorted_paths(t);

	for (GList *l = all; l; l = l->next) {
		struct file *f = file_at(t, l->data);
		struct cim_attr attr = {
			.accessed = test_random_next(&t->random),
			.written = test_random_next(&t->random) >> 1,
			.changed = below(t, 1ull << 60),
			.created = below(t, 2) ? 0 : CIM_TICKS_UNIX + below(t, 1ull << 50)
		};

		if (!f->dirty)
			continue;
		ck_assert_int_eq(cim_writer_set(t->w, id_of(t, l->data),
						CIM_SET_ACCESSED | CIM_SET_WRITTEN |
							CIM_SET_CHANGED | CIM_SET_CREATED,
						&attr),
				 0);
		f->accessed = attr.accessed;
		f->written = attr.written;
		f->changed = attr.changed;
		f->created = attr.created;
		f->dirty = false;
	}
}

/* ---- comparing ---- */

static void check_attr(const char *path, const struct file *f, const struct cim_attr *attr)
{
	ck_assert_msg(attr->posix.mode == f->mode, "\"%s\" has mode %o, not %o", path,
		      attr->posix.mode, f->mode);
	ck_assert_msg(attr->posix.uid == f->uid && attr->posix.gid == f->gid,
		      "\"%s\" has another owner", path);
	ck_assert_msg(S_ISDIR(f->mode) || attr->posix.n_links == f->n_links,
		      "\"%s\" has %u links, not %u", path, attr->posix.n_links, f->n_links);
	ck_assert_msg(attr->posix.major == f->major && attr->posix.minor == f->minor,
		      "\"%s\" is another device", path);
	ck_assert_msg(f->dirty || (attr->accessed == f->accessed && attr->written == f->written &&
				   attr->changed == f->changed && attr->created == f->created),
		      "\"%s\" has other times", path);
	if (S_ISREG(f->mode))
		ck_assert_msg(attr->size == f->data->len, "\"%s\" has %llu bytes, not %u", path,
			      (unsigned long long)attr->size, f->data->len);
	if (S_ISLNK(f->mode))
		ck_assert_uint_eq(attr->size, strlen(f->target));
}

static void check_id(const char *path, struct file *f, uint32_t id)
{
	if (f->id == 0)
		f->id = id;
	ck_assert_msg(f->id == id, "\"%s\" is another file than its other names", path);
}

static void forget_ids(const struct tree *t)
{
	GHashTableIter it;
	gpointer f;

	g_hash_table_iter_init(&it, t->paths);
	while (g_hash_table_iter_next(&it, NULL, &f)) {
		((struct file *)f)->id = 0;
		((struct file *)f)->has_parent = false;
	}
}

static unsigned int count_children(const struct tree *t, const char *path)
{
	GHashTableIter it;
	gpointer other;
	unsigned int n = 0;

	g_hash_table_iter_init(&it, t->paths);
	while (g_hash_table_iter_next(&it, &other, NULL)) {
		g_autofree char *dir = dir_of(other);

		n += *(char *)other && strcmp(dir, path) == 0;
	}
	return n;
}

struct names {
	const struct tree *t;
	const char *dir;
	unsigned int n;
};

static int check_listed(void *arg, const char *name, size_t n, uint32_t id)
{
	struct names *names = arg;
	g_autofree char *path =
		g_strdup_printf("%s%s%.*s", names->dir, *names->dir ? "/" : "", (int)n, name);

	ck_assert_msg(file_at(names->t, path) != NULL, "\"%s\" is listed and should not be", path);
	names->n++;
	return 0;
}

static int count_xattr(void *arg, const char *name)
{
	++*(unsigned int *)arg;
	return 0;
}

/* The staged tree. */
static void check_writer(const struct tree *t)
{
	g_autoptr(GList) all = sorted_paths(t);
	char target[CIM_SYMLINK_MAX + 1];

	forget_ids(t);
	for (GList *l = all; l; l = l->next) {
		const char *path = l->data;
		struct file *f = file_at(t, path);
		uint32_t id = find(t->w, path);
		struct names names = { t, path, 0 };
		struct cim_attr attr = attr_of(t->w, id);
		unsigned int n = 0;

		check_id(path, f, id);
		check_attr(path, f, &attr);
		if (S_ISREG(f->mode))
			check_staged(t->w, id, f->data->data, f->data->len);
		if (S_ISLNK(f->mode)) {
			ck_assert_int_eq(cim_writer_readlink(t->w, id, target),
					 (int)strlen(f->target));
			ck_assert_str_eq(target, f->target);
		}
		if (S_ISDIR(f->mode)) {
			ck_assert_int_eq(cim_writer_list(t->w, id, check_listed, &names), 0);
			ck_assert_uint_eq(names.n, count_children(t, path));
		}
		ck_assert_int_eq(cim_writer_list_xattrs(t->w, id, count_xattr, &n), 0);
		ck_assert_uint_eq(n, g_hash_table_size(f->xattrs));
	}
}

static void check_image_data(const struct cim_image *img, const char *path, const struct file *f,
			     const struct cim_entry *e)
{
	g_autofree uint8_t *buf = g_malloc(f->data->len + 1);

	ck_assert_int_eq(cim_stream_read(img, &e->data, 0, buf, f->data->len + 1), f->data->len);
	ck_assert_msg(f->data->len == 0 || memcmp(buf, f->data->data, f->data->len) == 0,
		      "\"%s\" has other content", path);
}

static void check_image_xattrs(const struct cim_image *img, const struct file *f,
			       const struct cim_entry *e)
{
	GHashTableIter it;
	gpointer name, bytes;
	unsigned int n = 0;
	char buf[65536];

	ck_assert_int_eq(cim_file_list_xattrs(img, e, count_xattr, &n), 0);
	ck_assert_uint_eq(n, g_hash_table_size(f->xattrs));
	g_hash_table_iter_init(&it, f->xattrs);
	while (g_hash_table_iter_next(&it, &name, &bytes)) {
		gsize size;
		const void *value = g_bytes_get_data(bytes, &size);

		ck_assert_int_eq(cim_file_get_xattr(img, e, name, buf, sizeof(buf)), (ssize_t)size);
		ck_assert(size == 0 || memcmp(buf, value, size) == 0);
	}
}

static void check_image_dir(const struct tree *t, const struct cim_image *img, const char *path,
			    const struct cim_entry *e)
{
	struct names names = { t, path, 0 };
	uint16_t units[CIM_NAME_UNITS];
	char name[CIM_NAME_BYTES + 1];
	struct cim_links links;

	ck_assert_int_eq(cim_dir_links(img, e, &links), 0);
	ck_assert_uint_eq(links.n, count_children(t, path));
	for (uint32_t i = 0; i < links.n; i++) {
		int n = cim_links_name(&links, i, units);

		ck_assert_int_gt(n, 0);
		n = cim_name_shown(units, (size_t)n, name);
		ck_assert_int_gt(n, 0);
		check_listed(&names, name, (size_t)n, cim_links_id(&links, i));
	}
}

static uint32_t image_id(const struct tree *t, const struct cim_image *img, const char *path)
{
	g_autofree char *dir = dir_of(path);
	const char *name = *dir ? path + strlen(dir) + 1 : path;
	uint32_t id = 0;

	if (!*path)
		return img->fs.root_id;
	ck_assert_msg(cim_dir_lookup(img, file_at(t, dir)->id, name, strlen(name), &id) == 0,
		      "\"%s\" is not there", path);
	return id;
}

static uint32_t parent_id_of(const struct tree *t, const char *path)
{
	g_autofree char *dir = dir_of(path);

	return file_at(t, dir)->id;
}

static void check_image(const struct tree *t, const struct cim_image *img)
{
	g_autoptr(GList) all = sorted_paths(t); /* directories before what is in them */
	char target[CIM_SYMLINK_MAX + 1];

	forget_ids(t);
	for (GList *l = all; l; l = l->next) {
		const char *path = l->data;
		struct file *f = file_at(t, path);
		uint32_t id = image_id(t, img, path);
		struct cim_entry e;
		struct cim_attr attr;

		check_id(path, f, id);
		ck_assert_int_eq(cim_image_entry(img, id, &e), 0);
		ck_assert_int_eq(cim_file_attr(img, id, &attr), 0);
		check_attr(path, f, &attr);
		check_image_xattrs(img, f, &e);
		if (S_ISREG(f->mode))
			check_image_data(img, path, f, &e);
		if (S_ISDIR(f->mode))
			check_image_dir(t, img, path, &e);
		f->has_parent = f->has_parent || e.parent_id == parent_id_of(t, path);
		if (S_ISLNK(f->mode)) {
			ck_assert_int_eq(cim_file_readlink(img, id, target),
					 (int)strlen(f->target));
			ck_assert_str_eq(target, f->target);
		}
	}
	for (GList *l = all; l; l = l->next)
		ck_assert_msg(file_at(t, l->data)->has_parent,
			      "\"%s\" says that it is in a directory that has no name of it",
			      (char *)l->data);
}

/* ---- the test ---- */

static void add_root(struct tree *t)
{
	struct cim_attr attr = attr_of(t->w, cim_writer_root(t->w));
	struct file *root = file_new(attr.posix.mode);

	root->uid = attr.posix.uid;
	root->gid = attr.posix.gid;
	add_path(t, "", root);
}

static void run_generation(struct tree *t, int generation, int n_steps, const char *existing,
			   const char *new_name)
{
	t->w = open_writer(existing, new_name);
	if (generation == 0)
		add_root(t);
	check_writer(t);
	for (int i = 0; i < n_steps; i++)
		random_step(t);
	check_writer(t);
	settle_times(t);
	commit(g_steal_pointer(&t->w));
	struct cim_image *img = open_image(new_name);
	check_image(t, img);
	cim_image_unref(img);
}

/*
 * An image and forks or replacements of it, each with some changes more; the name of the last.
 * Round @round of @test has the seed behind that of the round before.
 */
static void run_generations(const char *test, int round, uint64_t seed, int n_generations,
			    int n_steps, char last[16])
{
	struct tree t = { .random = { seed + (uint64_t)round },
			  .paths = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
							 file_drop) };
	char new_name[16];

	printf("# %s: round %d of seed %#llx\n", test, round, (unsigned long long)seed);
	for (int generation = 0; generation < n_generations; generation++) {
		g_autoptr(GHashTable) before = checksums();
		bool replaces = generation > 0 && below(&t, 4) == 0;

		g_snprintf(new_name, sizeof(new_name), "%d.cim", generation);
		run_generation(&t, generation, generation ? n_steps : N_STEPS,
			       generation ? last : NULL, replaces ? last : new_name);
		check_unchanged(before, replaces ? last : NULL);
		if (!replaces)
			memcpy(last, new_name, sizeof(new_name));
	}
	g_hash_table_unref(t.paths);
}

START_TEST(random_tree_is_read_as_written)
{
	char last[16] = "";

	run_generations("random_tree_is_read_as_written", _i, test_seed(1000), N_GENERATIONS,
			N_STEPS, last);
}
END_TEST

START_TEST(chain_of_forks_stays_short_and_loses_nothing)
{
	char last[16] = "";

	run_generations("chain_of_forks_stays_short_and_loses_nothing", _i, test_seed(2000),
			N_LINKS, N_LINK_STEPS, last);
	struct cim_image *img = open_image(last);
	ck_assert_uint_le(img->n_sets, 16); /* of 31 */
	cim_image_unref(img);
	ck_assert_int_eq(exercise_fsck(test_store, NULL), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("roundtrip");
	TCase *tc = tcase_create("roundtrip");

	tcase_add_checked_fixture(tc, setup_dir, teardown_dir);
	tcase_add_loop_test(tc, random_tree_is_read_as_written, 0,
			    test_rounds(N_TREES, 20 * N_TREES));
	tcase_add_loop_test(tc, chain_of_forks_stays_short_and_loses_nothing, 0,
			    test_rounds(N_CHAINS, 20 * N_CHAINS));
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return test_run(suite());
}
