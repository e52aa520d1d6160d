/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A fresh image containing directory for each test, and short forms to fill and to look at it.
 *
 * Paths are relative to an image's root, "" is the root.  What cannot fail in a test is asserted
 * here; functions named try_ return what the core says.
 */
#ifndef CIM_TESTS_IMAGEDIR_H
#define CIM_TESTS_IMAGEDIR_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "support.h"
#include "util.h"
#include "writer.h"

#define N_ROWS(table) (sizeof(table) / sizeof((table)[0]))

static char *test_path __attribute__((unused));              /* the directory of this test */
static struct cim_store *test_store __attribute__((unused)); /* the same, opened */

/* ---- the directory ---- */

TEST_HELPER void setup_dir(void)
{
	test_path = g_dir_make_tmp("cimfs-test-XXXXXX", NULL);
	ck_assert_ptr_nonnull(test_path);
	ck_assert_int_eq(cim_store_open(AT_FDCWD, test_path, &test_store), 0);
}

TEST_HELPER int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

TEST_HELPER void teardown_dir(void)
{
	cim_store_unref(g_steal_pointer(&test_store));
	(void)nftw(test_path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	g_clear_pointer(&test_path, g_free);
}

/** path_of - the path of a file in the directory; g_free() */
TEST_HELPER char *path_of(const char *name)
{
	return g_build_filename(test_path, name, NULL);
}

TEST_HELPER void put_file(const char *name, const void *bytes, size_t size)
{
	g_autofree char *path = path_of(name);

	ck_assert(g_file_set_contents(path, bytes, (gssize)size, NULL));
}

TEST_HELPER bool has_file(const char *name)
{
	return faccessat(test_store->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/** count_files - how many files of the directory begin with @prefix; *ret_size their bytes, if not
 * NULL */
TEST_HELPER unsigned int count_files(const char *prefix, uint64_t *ret_size)
{
	GDir *dir = g_dir_open(test_path, 0, NULL);
	unsigned int n = 0;
	const char *name;
	struct stat st;

	ck_assert_ptr_nonnull(dir);
	if (ret_size)
		*ret_size = 0;
	while ((name = g_dir_read_name(dir))) {
		if (!g_str_has_prefix(name, prefix))
			continue;
		n++;
		ck_assert_int_eq(fstatat(test_store->dirfd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
		if (ret_size)
			*ret_size += (uint64_t)st.st_size;
	}
	g_dir_close(dir);
	return n;
}

TEST_HELPER uint64_t region_bytes(void)
{
	uint64_t size;

	(void)count_files("region_", &size);
	return size;
}

/** checksums - name -> digest of every file of the directory; g_hash_table_unref() */
TEST_HELPER GHashTable *checksums(void)
{
	GHashTable *sums = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	GDir *dir = g_dir_open(test_path, 0, NULL);
	const char *name;

	ck_assert_ptr_nonnull(dir);
	while ((name = g_dir_read_name(dir))) {
		g_autofree char *path = path_of(name), *bytes = NULL;
		gsize size;

		ck_assert(g_file_get_contents(path, &bytes, &size, NULL));
		g_hash_table_insert(
			sums, g_strdup(name),
			g_compute_checksum_for_data(G_CHECKSUM_SHA256, (guchar *)bytes, size));
	}
	g_dir_close(dir);
	return sums;
}

/**
 * check_unchanged - every file of @before has the bytes it had
 * @replaced: an image that has been replaced, with which files may go; NULL: all are there
 */
TEST_HELPER void check_unchanged(GHashTable *before, const char *replaced)
{
	g_autoptr(GHashTable) now = checksums();
	gpointer name, sum;
	GHashTableIter it;

	g_hash_table_iter_init(&it, before);
	while (g_hash_table_iter_next(&it, &name, &sum))
		if (g_strcmp0(name, replaced) != 0 &&
		    !(replaced && !g_hash_table_contains(now, name)))
			ck_assert_msg(g_strcmp0(g_hash_table_lookup(now, name), sum) == 0,
				      "\"%s\" has changed or gone", (char *)name);
}

/** pattern - bytes that differ from block to block and from seed to seed; g_free() */
TEST_HELPER uint8_t *pattern(size_t size, uint64_t seed)
{
	uint8_t *bytes = g_malloc(size + 8);
	struct test_random r = { seed };

	for (size_t at = 0; at < size; at += 8)
		cim_store64(bytes + at, test_random_next(&r));
	return bytes;
}

/* ---- writing ---- */

TEST_HELPER int try_open(const char *existing, const char *new_name, struct cim_writer **ret)
{
	return cim_writer_open(test_store, existing, new_name, CIM_CASE_BASE, ret);
}

TEST_HELPER struct cim_writer *open_writer(const char *existing, const char *new_name)
{
	struct cim_writer *w = NULL;
	int r = try_open(existing, new_name, &w);

	ck_assert_msg(r == 0, "%s: %s", strerror(-r), cim_reason());
	return w;
}

TEST_HELPER void commit(struct cim_writer *w)
{
	int r = cim_writer_commit(w);

	ck_assert_msg(r == 0, "%s: %s", strerror(-r), cim_reason());
	cim_writer_close(w);
}

TEST_HELPER int try_find(struct cim_writer *w, const char *path, uint32_t *ret_id)
{
	uint32_t id = cim_writer_root(w);
	int r = 0;

	for (size_t n; r == 0 && *path; path += n + (path[n] == '/')) {
		n = strcspn(path, "/");
		r = cim_writer_lookup(w, id, path, n, &id);
	}
	if (r == 0)
		*ret_id = id;
	return r;
}

TEST_HELPER uint32_t find(struct cim_writer *w, const char *path)
{
	uint32_t id = 0;

	ck_assert_msg(try_find(w, path, &id) == 0, "\"%s\" is not there", path);
	return id;
}

/** parent - the directory of a path, and its last component */
TEST_HELPER uint32_t parent(struct cim_writer *w, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	g_autofree char *dir = slash ? g_strndup(path, (gsize)(slash - path)) : g_strdup("");

	*ret_name = slash ? slash + 1 : path;
	return find(w, dir);
}

TEST_HELPER int try_make_as(struct cim_writer *w, const char *path, const struct cim_make *make,
			    uint32_t *ret_id)
{
	const char *name;
	uint32_t dir = parent(w, path, &name);

	return cim_writer_make(w, dir, name, strlen(name), make, ret_id);
}

TEST_HELPER int try_make(struct cim_writer *w, const char *path, uint32_t mode)
{
	struct cim_make make = { .mode = mode, .target = S_ISLNK(mode) ? "target" : NULL };
	uint32_t id;

	return try_make_as(w, path, &make, &id);
}

TEST_HELPER uint32_t make_file(struct cim_writer *w, const char *path, uint32_t mode)
{
	struct cim_make make = { .mode = mode };
	uint32_t id = 0;
	int r = try_make_as(w, path, &make, &id);

	ck_assert_msg(r == 0, "\"%s\": %s", path, strerror(-r));
	return id;
}

TEST_HELPER uint32_t make_dir(struct cim_writer *w, const char *path)
{
	return make_file(w, path, S_IFDIR | 0755);
}

TEST_HELPER uint32_t make_link(struct cim_writer *w, const char *path, const char *target)
{
	struct cim_make make = { .mode = S_IFLNK | 0777, .target = target };
	uint32_t id = 0;

	ck_assert_int_eq(try_make_as(w, path, &make, &id), 0);
	return id;
}

/** write_at - open, write, close */
TEST_HELPER void write_at(struct cim_writer *w, uint32_t id, uint64_t off, const void *data,
			  size_t size)
{
	ck_assert_int_eq(cim_writer_open_file(w, id, CIM_OPEN_WRITE), 0);
	ck_assert_int_eq(cim_writer_write(w, id, off, data, size), (ssize_t)size);
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
}

/** put - a new regular file with content */
TEST_HELPER uint32_t put(struct cim_writer *w, const char *path, const void *data, size_t size)
{
	uint32_t id = make_file(w, path, S_IFREG | 0644);

	if (size > 0)
		write_at(w, id, 0, data, size);
	return id;
}

TEST_HELPER uint32_t put_text(struct cim_writer *w, const char *path, const char *text)
{
	return put(w, path, text, strlen(text));
}

TEST_HELPER int try_unlink(struct cim_writer *w, const char *path)
{
	const char *name;
	uint32_t dir = parent(w, path, &name);

	return cim_writer_unlink(w, dir, name, strlen(name));
}

TEST_HELPER int try_rmdir(struct cim_writer *w, const char *path)
{
	const char *name;
	uint32_t dir = parent(w, path, &name);

	return cim_writer_rmdir(w, dir, name, strlen(name));
}

TEST_HELPER int try_link(struct cim_writer *w, const char *from, const char *to)
{
	const char *name;
	uint32_t dir = parent(w, to, &name);

	return cim_writer_link(w, find(w, from), dir, name, strlen(name));
}

TEST_HELPER int try_rename(struct cim_writer *w, const char *from, const char *to,
			   unsigned int flags)
{
	const char *name, *new_name;
	uint32_t dir = parent(w, from, &name), new_dir = parent(w, to, &new_name);

	return cim_writer_rename(w, dir, name, strlen(name), new_dir, new_name, strlen(new_name),
				 flags);
}

TEST_HELPER int try_truncate(struct cim_writer *w, uint32_t id, uint64_t size)
{
	struct cim_attr attr = { .size = size };

	return cim_writer_set(w, id, CIM_SET_SIZE, &attr);
}

TEST_HELPER struct cim_attr attr_of(struct cim_writer *w, uint32_t id)
{
	struct cim_attr attr = { 0 };

	ck_assert_int_eq(cim_writer_attr(w, id, &attr), 0);
	return attr;
}

/** check_staged - a file of the writer has this content */
TEST_HELPER void check_staged(struct cim_writer *w, uint32_t id, const void *data, size_t size)
{
	g_autofree uint8_t *buf = g_malloc(size + 1);

	ck_assert_uint_eq(attr_of(w, id).size, size);
	ck_assert_int_eq(cim_writer_read(w, id, 0, buf, size + 1), (ssize_t)size);
	ck_assert_msg(size == 0 || memcmp(buf, data, size) == 0, "the staged content differs");
}

/* ---- reading ---- */

TEST_HELPER struct cim_image *open_image(const char *name)
{
	struct cim_image *img = NULL;
	int r = cim_image_open(test_store, name, &img);

	ck_assert_msg(r == 0, "%s: %s", strerror(-r), cim_reason());
	return img;
}

TEST_HELPER uint32_t image_find(const struct cim_image *img, const char *path)
{
	uint32_t id = 0;
	int r = cim_path_lookup(img, path, false, &id);

	ck_assert_msg(r == 0, "\"%s\": %s", path, strerror(-r));
	return id;
}

TEST_HELPER struct cim_entry image_entry(const struct cim_image *img, const char *path)
{
	struct cim_entry e = { 0 };

	ck_assert_int_eq(cim_image_entry(img, image_find(img, path), &e), 0);
	return e;
}

TEST_HELPER struct cim_attr image_attr(const struct cim_image *img, const char *path)
{
	struct cim_attr attr = { 0 };

	ck_assert_int_eq(cim_file_attr(img, image_find(img, path), &attr), 0);
	return attr;
}

/** check_content - a file of an image has this content */
TEST_HELPER void check_content(const struct cim_image *img, const char *path, const void *data,
			       size_t size)
{
	struct cim_entry e = image_entry(img, path);
	g_autofree uint8_t *buf = g_malloc(size + 1);

	ck_assert_msg(e.data.size == size, "\"%s\" has %llu bytes, not %zu", path,
		      (unsigned long long)e.data.size, size);
	ck_assert_int_eq(cim_stream_read(img, &e.data, 0, buf, size + 1), (ssize_t)size);
	ck_assert_msg(size == 0 || memcmp(buf, data, size) == 0, "\"%s\" has other content", path);
}

TEST_HELPER void check_text(const struct cim_image *img, const char *path, const char *text)
{
	check_content(img, path, text, strlen(text));
}

/** check_image_text - the same for an image by name, opened for this alone */
TEST_HELPER void check_image_text(const char *image, const char *path, const char *text)
{
	struct cim_image *img = open_image(image);

	check_text(img, path, text);
	cim_image_unref(img);
}

TEST_HELPER int image_path_error(const struct cim_image *img, const char *path)
{
	uint32_t id;

	return cim_path_lookup(img, path, false, &id);
}

/** make_image - an image with one file "f" of this text, forked from @existing if not NULL */
TEST_HELPER void make_image(const char *existing, const char *name, const char *text)
{
	struct cim_writer *w = open_writer(existing, name);
	uint32_t id;

	if (try_find(w, "f", &id) == 0)
		ck_assert_int_eq(try_unlink(w, "f"), 0);
	put_text(w, "f", text);
	commit(w);
}

#endif
