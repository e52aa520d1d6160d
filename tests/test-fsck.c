/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The checker: what is whole has no finding, and each field that is broken has its own.
 */
#include "config.h"

#include <inttypes.h>
#include <sys/sysmacros.h>

#include "delete.h"
#include "fsck.h"
#include "imagedir.h"

/* ---- findings ---- */

struct heard {
	GPtrArray *lines; /* "damage rule", "note rule" */
	GString *all;     /* for people */
};

static int hear(void *arg, const struct cim_fsck_finding *f)
{
	struct heard *h = arg;
	const char *severity = f->severity == CIM_FSCK_DAMAGE ? "damage" : "note";

	ck_assert_ptr_nonnull(f->rule);
	ck_assert_str_ne(f->text, "");
	g_ptr_array_add(h->lines, g_strdup_printf("%s %s", severity, f->rule));
	g_string_append_printf(
		h->all, "%s %s: image %s file %s id %u path %s off %#" PRIx64 ": %s\n", severity,
		f->rule, f->image ? f->image : "-", f->file ? f->file : "-", f->id,
		f->path ? f->path : "-", f->off, f->text);
	return 0;
}

static void hear_nothing(struct heard *h)
{
	h->lines = g_ptr_array_new_with_free_func(g_free);
	h->all = g_string_new(NULL);
}

static void forget(struct heard *h)
{
	g_ptr_array_unref(h->lines);
	g_string_free(h->all, TRUE);
}

/* What the checker says of the directory, with all data. */
static int run(struct heard *h)
{
	struct cim_fsck_options opt = { .data = true };

	hear_nothing(h);
	return cim_fsck_directory(test_store, &opt, hear, h);
}

static void check_clean(void)
{
	struct heard h;
	int r = run(&h);

	ck_assert_msg(r == 0 && h.lines->len == 0, "%d: %s%s", r, h.all->str, cim_reason());
	forget(&h);
}

/* ---- an image with one of everything ---- */

static void set_xattr(struct cim_writer *w, const char *path, const char *name, size_t size)
{
	g_autofree uint8_t *value = pattern(size, size);

	ck_assert_int_eq(cim_writer_set_xattr(w, find(w, path), name, value, size, 0), 0);
}

static void fill(struct cim_writer *w)
{
	g_autofree uint8_t *large = pattern(100000, 1), *small = pattern(5000, 2);
	struct cim_make device = { .mode = S_IFCHR | 0600, .major = 1, .minor = 3 };
	uint32_t id;

	put_text(w, "text", "some text");
	put(w, "large", large, 100000);
	put(w, "same", large, 100000);
	put(w, "small", small, 5000);
	put(w, "empty", "", 0);
	make_dir(w, "dir");
	make_dir(w, "dir/sub");
	make_dir(w, "dir/none");
	put_text(w, "dir/sub/deep", "deep");
	ck_assert_int_eq(try_link(w, "text", "dir/link"), 0);
	ck_assert_int_eq(try_link(w, "text", "dir/sub/link"), 0);
	make_link(w, "symlink", "dir/sub");
	make_link(w, "absolute", "/nowhere");
	ck_assert_int_eq(try_make_as(w, "device", &device, &id), 0);
	make_file(w, "fifo", S_IFIFO | 0644);
	id = put_text(w, "holes", "x");
	ck_assert_int_eq(try_truncate(w, id, 1 << 20), 0);
	put_text(w, "\xc3\xa4\xe6\x97\xa5\xf0\x9f\x98\x80", "names");
	set_xattr(w, "small", "user.short", 20);
	set_xattr(w, "small", "user.long", 65000);
	set_xattr(w, "small", "user.other", 65000);
	set_xattr(w, "dir", "user.of-a-directory", 10);
}

static void make_rich(const char *existing, const char *name)
{
	struct cim_writer *w = open_writer(existing, name);

	fill(w);
	commit(w);
}

/* ---- what is whole ---- */

START_TEST(empty_directory_is_clean)
{
	check_clean();
}
END_TEST

START_TEST(empty_image_is_clean)
{
	commit(open_writer(NULL, "a.cim"));
	check_clean();
}
END_TEST

START_TEST(rich_image_is_clean)
{
	make_rich(NULL, "a.cim");
	check_clean();
}
END_TEST

START_TEST(case_insensitive_image_is_clean)
{
	struct cim_writer *w;

	ck_assert_int_eq(cim_writer_open(test_store, NULL, "a.cim", CIM_CASE_INSENSITIVE, &w), 0);
	fill(w);
	commit(w);
	check_clean();
}
END_TEST

START_TEST(forks_are_clean)
{
	struct cim_writer *w;

	make_rich(NULL, "a.cim");
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(try_unlink(w, "large"), 0);
	ck_assert_int_eq(try_unlink(w, "dir/link"), 0);
	ck_assert_int_eq(try_rename(w, "dir/sub", "moved", 0), 0);
	ck_assert_int_eq(try_rename(w, "moved/link", "first", 0), 0);
	put_text(w, "new", "new");
	commit(w);
	w = open_writer("b.cim", NULL);
	put_text(w, "newer", "newer");
	commit(w);
	ck_assert_int_eq(cim_store_delete(test_store, "a.cim"), 0);

	struct heard h;
	ck_assert_msg(run(&h) == 0, "%s", h.all->str);
	/* The entries of what was deleted stay, and a replaced image's sets too. */
	for (guint i = 0; i < h.lines->len; i++)
		ck_assert_str_eq(g_ptr_array_index(h.lines, i), "note unnamed");
	ck_assert_uint_eq(h.lines->len, 1);
	forget(&h);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("fsck");
	TCase *clean = tcase_create("clean");

	tcase_add_checked_fixture(clean, setup_dir, teardown_dir);
	tcase_add_test(clean, empty_directory_is_clean);
	tcase_add_test(clean, empty_image_is_clean);
	tcase_add_test(clean, rich_image_is_clean);
	tcase_add_test(clean, case_insensitive_image_is_clean);
	tcase_add_test(clean, forks_are_clean);
	suite_add_tcase(s, clean);
	return s;
}

int main(void)
{
	return test_run(suite());
}
