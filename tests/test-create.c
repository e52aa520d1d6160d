/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names as Windows makes and removes them: what is made over something takes its place, a directory
 * keeps its names, removing takes all below, and a file lives while it has a name.
 */
#include "config.h"

#include "imagedir.h"
#include "wincreate.h"

static int try_remove(struct cim_writer *w, const char *path)
{
	const char *name;
	uint32_t dir = parent(w, path, &name);

	return cim_writer_remove(w, dir, name, strlen(name));
}

static int try_link_over(struct cim_writer *w, const char *to, const char *path)
{
	const char *name;
	uint32_t dir = parent(w, path, &name);

	return cim_writer_link_over(w, find(w, to), dir, name, strlen(name));
}

static bool exists(struct cim_writer *w, const char *path)
{
	uint32_t id;

	return try_find(w, path, &id) == 0;
}

START_TEST(directory_over_directory_keeps_the_names)
{
	struct cim_winmeta hidden = dir_meta;
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_image *img;
	uint32_t id;

	create(w, "d", NULL);
	create(w, "d/f", "one");
	write_stream(w, find(w, "d"), "s", "of the directory");
	hidden.attributes |= CIM_ATTRIBUTE_HIDDEN;
	ck_assert_int_eq(try_create(w, "d", &hidden, &id), 0);
	ck_assert(exists(w, "d/f"));
	commit(w);
	img = open_image("a.cim");
	ck_assert_uint_eq(image_entry(img, "d").flags, CIM_FLAG_HIDDEN);
	cim_image_unref(img);
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(try_create(w, "d", &dir_meta, &id), 0);
	commit(w);
	check_image_text("b.cim", "d/f", "one");
	img = open_image("b.cim");
	ck_assert_uint_eq(image_entry(img, "d").flags, 0);
	ck_assert(image_entry(img, "d").streams_off);
	cim_image_unref(img);
}
END_TEST

START_TEST(file_over_a_file_leaves_its_other_names)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");

	create(w, "one", "old");
	write_stream(w, find(w, "one"), "s", "stream");
	ck_assert_int_eq(try_link_over(w, "one", "two"), 0);
	create(w, "one", "new");
	ck_assert_int_eq(attr_of(w, find(w, "two")).posix.n_links, 1);
	commit(w);
	check_image_text("a.cim", "one", "new");
	check_image_text("a.cim", "two", "old");
	struct cim_image *img = open_image("a.cim");
	ck_assert_uint_eq(image_entry(img, "one").streams_off, 0);
	ck_assert_uint_ne(image_entry(img, "two").streams_off, 0);
	cim_image_unref(img);
}
END_TEST

/* The same names, made by the writer that removes them, or by its base's. */
START_TEST(removing_is_recursive_and_counts_links)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");

	create(w, "d", NULL);
	create(w, "d/e", NULL);
	create(w, "d/e/f", "text");
	create(w, "d/g", "text of g");
	ck_assert_int_eq(try_link_over(w, "d/g", "kept"), 0);
	ck_assert_int_eq(try_link_over(w, "d/g", "d/e/again"), 0);
	if (_i > 0) {
		commit(w);
		w = open_writer("a.cim", _i == 1 ? "b.cim" : NULL);
	}
	ck_assert_int_eq(attr_of(w, find(w, "kept")).posix.n_links, 3);
	ck_assert_int_eq(try_remove(w, "d"), 0);
	ck_assert(!exists(w, "d"));
	ck_assert_int_eq(attr_of(w, find(w, "kept")).posix.n_links, 1);
	ck_assert_int_eq(try_remove(w, "d"), -ENOENT);
	commit(w);
	check_image_text(_i == 1 ? "b.cim" : "a.cim", "kept", "text of g");
	struct cim_image *img = open_image(_i == 1 ? "b.cim" : "a.cim");
	ck_assert_int_eq(image_attr(img, "kept").posix.n_links, 1);
	ck_assert_int_eq(image_path_error(img, "d"), -ENOENT);
	cim_image_unref(img);
}
END_TEST

START_TEST(link_replaces_a_file_and_refuses_directories)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");

	create(w, "d", NULL);
	create(w, "f", "of f");
	create(w, "g", "of g");
	ck_assert_int_eq(try_link_over(w, "d", "g"), -EACCES);
	ck_assert_int_eq(try_link_over(w, "f", "d"), -EEXIST);
	ck_assert_int_eq(try_link_over(w, "f", "f"), 0);
	ck_assert_int_eq(try_link_over(w, "f", "g"), 0);
	ck_assert_int_eq(find(w, "f"), find(w, "g"));
	ck_assert_int_eq(attr_of(w, find(w, "g")).posix.n_links, 2);
	commit(w);
	check_image_text("a.cim", "g", "of f");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("create");
	TCase *names = tcase_create("names");

	tcase_add_checked_fixture(names, setup_dir, teardown_dir);
	tcase_add_test(names, directory_over_directory_keeps_the_names);
	tcase_add_test(names, file_over_a_file_leaves_its_other_names);
	tcase_add_loop_test(names, removing_is_recursive_and_counts_links, 0, 3);
	tcase_add_test(names, link_replaces_a_file_and_refuses_directories);
	suite_add_tcase(suite, names);
	return test_run(suite);
}
