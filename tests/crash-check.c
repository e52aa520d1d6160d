/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "crash-check.h"

#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "fsck.h"
#include "garbage.h"
#include "imagedir.h"
#include "syscalls.h"
#include "util.h"

#define POOL_MAX (256u * 1024 * 1024) /* bytes */

/* A state is made of links to files of the pool, which has each content once. */
struct crash_checker {
	char *path;
	int pool, dir;
	uint64_t pool_size;
	bool garbage;
};

/* ---- the directory ---- */

static void clear_dir(int dirfd)
{
	DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *e;
	bool more = true;

	ck_assert_ptr_nonnull(dir);
	/* Again until nothing is found: names that go while they are listed may hide others. */
	while (more) {
		more = false;
		rewinddir(dir);
		while ((e = readdir(dir)))
			more |= unlinkat(dirfd, e->d_name, 0) == 0;
	}
	(void)closedir(dir);
}

struct crash_checker *crash_checker_new(void)
{
	struct crash_checker *k = g_new0(struct crash_checker, 1);

	k->path = g_dir_make_tmp("cimfs-crash-XXXXXX", NULL);
	ck_assert_ptr_nonnull(k->path);
	g_autofree char *pool = g_build_filename(k->path, "pool", NULL);
	g_autofree char *dir = g_build_filename(k->path, "dir", NULL);
	ck_assert_int_eq(mkdir(pool, 0755), 0);
	ck_assert_int_eq(mkdir(dir, 0755), 0);
	k->pool = open(pool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	k->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert(k->pool >= 0 && k->dir >= 0);
	return k;
}

void crash_checker_free(struct crash_checker *k)
{
	(void)close(k->pool);
	(void)close(k->dir);
	(void)nftw(k->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	g_free(k->path);
	g_free(k);
}

static void add_to_pool(struct crash_checker *k, const char *name, GBytes *bytes)
{
	gsize size;
	const void *data = g_bytes_get_data(bytes, &size);

	if (k->pool_size + size > POOL_MAX) {
		clear_dir(k->pool);
		k->pool_size = 0;
	}
	int fd = openat(k->pool, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
	ck_assert_msg(fd >= 0 && cim_pwrite_full(fd, data, size, 0) == 0, "%s", strerror(errno));
	(void)close(fd);
	k->pool_size += size;
}

static void make_state(struct crash_checker *k, const struct crash_state *s)
{
	clear_dir(k->dir);
	for (guint i = 0; i < s->n_files; i++) {
		const struct crash_file *f = &s->files[i];
		char name[2 * CIM_DIGEST_SIZE + 1];

		for (int b = 0; b < CIM_DIGEST_SIZE; b++)
			snprintf(name + 2 * b, 3, "%02x", f->content->digest.b[b]);
		if (linkat(k->pool, name, k->dir, f->name, 0) == 0)
			continue;
		add_to_pool(k, name, f->content->bytes);
		ck_assert_msg(linkat(k->pool, name, k->dir, f->name, 0) == 0, "\"%s\": %s", f->name,
			      strerror(errno));
	}
}

/* ---- the next writer ---- */

/* A name that no image has. */
static char *free_name(images *there)
{
	char *name = NULL;

	for (unsigned int i = 1; !name || g_hash_table_contains(there, name); i++) {
		g_free(name);
		name = g_strdup_printf("next-%u.cim", i);
	}
	return name;
}

static int add_file(struct cim_writer *w, const char *name)
{
	static const char text[] = "what the next writer writes";
	const struct cim_make make = { .mode = S_IFREG | 0644 };
	uint32_t id;
	int r = cim_writer_make(w, cim_writer_root(w), name, strlen(name), &make, &id);

	if (r == 0)
		r = cim_writer_open_file(w, id, CIM_OPEN_WRITE);
	if (r < 0)
		return r;
	ssize_t n = cim_writer_write(w, id, 0, text, sizeof(text));
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	return n < 0 ? (int)n : 0;
}

/* Forks some image, or begins from scratch where there is none. */
static char *write_next(struct cim_store *store, images *there, const char *name, struct trace *t)
{
	GHashTableIter it;
	gpointer base = NULL;
	struct cim_writer *w;

	g_hash_table_iter_init(&it, there);
	(void)g_hash_table_iter_next(&it, &base, NULL);
	if (t)
		(void)trace_mark(t, 0, 0);
	int r = cim_writer_open(store, base, name, CIM_CASE_BASE, &w);
	if (r < 0)
		return g_strdup_printf("the next writer cannot open: %s", cim_reason());
	r = add_file(w, name);
	if (r == 0 && t)
		(void)trace_mark(t, 0, 1);
	if (r == 0)
		r = cim_writer_commit(w);
	if (r == 0 && t)
		(void)trace_mark(t, 1, 1);
	cim_writer_close(w);
	return r < 0 ? g_strdup_printf("the next writer cannot commit: %s (%s)", strerror(-r),
				       cim_reason())
		     : NULL;
}

/* Nothing is there that no image needs; or @garbage: nothing but what a gc removes. */
static char *check_stray(struct cim_store *store, bool garbage)
{
	char *stray = images_stray(store);

	if (!stray || !garbage)
		return stray;
	g_free(stray);
	if (cim_store_gc(store, false, NULL, NULL) < 0)
		return g_strdup(cim_reason());
	return images_stray(store);
}

/* The images are those of before and the next writer's. */
static char *check_after(struct cim_store *store, images *before, const char *name, bool garbage,
			 struct crash_sequel *ret)
{
	images *after = images_read(store);
	g_autofree char *stray = NULL;

	if (!after)
		return g_strdup_printf("after the next writer: %s", cim_reason());
	char *next = g_strdup(g_hash_table_lookup(after, name));
	g_hash_table_remove(after, name);
	bool same = next && images_same(before, after);
	g_autofree char *what = images_describe(after);
	if (next)
		g_hash_table_insert(after, g_strdup(name), next);
	if (ret)
		g_ptr_array_add(ret->may, after);
	else
		g_hash_table_unref(after);
	if (!same)
		return g_strdup_printf("the next writer has left %s%s", what,
				       next ? "" : " and no image of its own");
	stray = check_stray(store, garbage);
	return stray ? g_strdup_printf("the next writer has left \"%s\"", stray) : NULL;
}

void crash_sequel_clear(struct crash_sequel *s)
{
	g_clear_pointer(&s->trace, trace_free);
	g_clear_pointer(&s->may, g_ptr_array_unref);
}

static char *check_next(struct cim_store *store, images *there, bool garbage,
			struct crash_sequel *ret)
{
	struct trace *t = ret ? trace_begin(store->dirfd) : NULL;
	g_autofree char *name = free_name(there);
	char *wrong = write_next(store, there, name, t);

	if (ret) {
		trace_end(t, store->dirfd);
		ret->trace = t;
		ret->may = g_ptr_array_new_with_free_func((GDestroyNotify)g_hash_table_unref);
		g_ptr_array_add(ret->may, g_hash_table_ref(there));
	}
	if (!wrong)
		wrong = check_after(store, there, name, garbage, ret);
	if (wrong && ret)
		crash_sequel_clear(ret);
	return wrong;
}

/* ---- a state ---- */

/* What the checker of images has found first. */
static int keep_finding(void *arg, const struct cim_fsck_finding *f)
{
	char **first = arg;

	if (f->severity == CIM_FSCK_DAMAGE && !*first)
		*first = g_strdup_printf("damage: %s", f->text);
	return 0;
}

static char *check_damage(struct cim_store *store)
{
	static const struct cim_fsck_options data = { .data = true };
	char *first = NULL;
	int r = cim_fsck_directory(store, &data, keep_finding, &first);

	if (r < 0 && !first)
		first = g_strdup_printf("fsck: %s (%s)", strerror(-r), cim_reason());
	return first;
}

static char *check_store(struct cim_store *store, const GPtrArray *may, uint32_t least,
			 uint32_t most, bool garbage, struct crash_sequel *ret)
{
	g_autoptr(GHashTable) there = images_read(store);
	bool expected = false;

	if (!there)
		return g_strdup(cim_reason());
	for (uint32_t i = least; i <= most; i++)
		expected |= images_same(there, g_ptr_array_index(may, i));
	if (!expected) {
		g_autofree char *what = images_describe(there);

		return g_strdup_printf("there are other images than may be: %s", what);
	}
	char *wrong = check_damage(store);
	return wrong ? wrong : check_next(store, there, garbage, ret);
}

char *crash_check_store(struct cim_store *store, const GPtrArray *may, uint32_t least,
			uint32_t most)
{
	return check_store(store, may, least, most, false, NULL);
}

void crash_checker_allow_garbage(struct crash_checker *k)
{
	k->garbage = true;
}

char *crash_check(struct crash_checker *k, const struct crash_state *s, const GPtrArray *may,
		  struct crash_sequel *ret)
{
	struct cim_store *store;

	make_state(k, s);
	ck_assert_int_eq(cim_store_open(k->dir, ".", &store), 0);
	char *wrong = check_store(store, may, s->least, s->most, k->garbage, ret);
	cim_store_unref(store);
	return wrong;
}
