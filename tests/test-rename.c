/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Renaming in a writer: what rename(2) and renameat2(2) say of each kind of file over each other,
 * with files that are new and with those of the base; and directories know where they are then.
 */
#include "config.h"

#include "imagedir.h"
#include "writer.h"

/* f, g, h (f again), l (a link), d and e (empty), full/{x,sub/} */
static void make_rename_tree(struct cim_writer *w)
{
	put_text(w, "f", "f");
	put_text(w, "g", "g");
	ck_assert_int_eq(try_link(w, "f", "h"), 0);
	make_link(w, "l", "f");
	make_dir(w, "d");
	make_dir(w, "e");
	make_dir(w, "full");
	put_text(w, "full/x", "x");
	make_dir(w, "full/sub");
}

static const struct {
	const char *from, *to;
	unsigned int flags;
	int expect;
	bool from_stays; /* where it succeeds */
} renames[] = {
	{ "f", "new", 0, 0, false },
	{ "f", "g", 0, 0, false },
	{ "f", "l", 0, 0, false },
	{ "l", "f", 0, 0, false },
	{ "f", "full/x", 0, 0, false },
	{ "full/x", "new", 0, 0, false },
	{ "f", "f", 0, 0, true },
	{ "f", "h", 0, 0, true },
	{ "f", "d", 0, -EISDIR, false },
	{ "d", "f", 0, -ENOTDIR, false },
	{ "d", "l", 0, -ENOTDIR, false },
	{ "d", "new", 0, 0, false },
	{ "d", "e", 0, 0, false },
	{ "d", "d", 0, 0, true },
	{ "full", "d", 0, 0, false },
	{ "full", "e/deep", 0, 0, false },
	{ "d", "full", 0, -ENOTEMPTY, false },
	{ "full/sub", "full", 0, -ENOTEMPTY, false },
	{ "d", "d/x", 0, -EINVAL, false },
	{ "full", "full/sub/x", 0, -EINVAL, false },
	{ "full", "full/sub", 0, -EINVAL, false },
	{ "missing", "new", 0, -ENOENT, false },
	{ "missing", "f", 0, -ENOENT, false },
	{ "f", "g/x", 0, -ENOTDIR, false },
	{ "f", "new", RENAME_NOREPLACE, 0, false },
	{ "f", "g", RENAME_NOREPLACE, -EEXIST, false },
	{ "f", "f", RENAME_NOREPLACE, -EEXIST, false },
	{ "d", "e", RENAME_NOREPLACE, -EEXIST, false },
	{ "f", "g", RENAME_EXCHANGE, 0, true },
	{ "f", "d", RENAME_EXCHANGE, 0, true },
	{ "d", "full", RENAME_EXCHANGE, 0, true },
	{ "full/sub", "d", RENAME_EXCHANGE, 0, true },
	{ "full/x", "f", RENAME_EXCHANGE, 0, true },
	{ "f", "f", RENAME_EXCHANGE, 0, true },
	{ "f", "new", RENAME_EXCHANGE, -ENOENT, false },
	{ "full", "full/sub", RENAME_EXCHANGE, -EINVAL, false },
	{ "full/sub", "full", RENAME_EXCHANGE, -EINVAL, false },
	{ "f", "g", RENAME_NOREPLACE | RENAME_EXCHANGE, -EINVAL, false },
	{ "f", "g", RENAME_WHITEOUT, -EINVAL, false },
};

/* The file that a path of the image is, by its parent's entry too. */
static void check_place(const struct cim_image *img, const char *path)
{
	g_autofree char *dir = g_path_get_dirname(path);
	struct cim_entry e = image_entry(img, path);

	if (e.data.type == CIM_STREAM_LINKS)
		ck_assert_uint_eq(e.parent_id, image_find(img, dir));
}

static void check_rename(struct cim_writer *w, int i)
{
	uint32_t from = 0, to = 0, now = 0;
	struct cim_attr replaced = { 0 };
	bool had_to = try_find(w, renames[i].to, &to) == 0;

	(void)try_find(w, renames[i].from, &from);
	if (had_to)
		replaced = attr_of(w, to);
	ck_assert_int_eq(try_rename(w, renames[i].from, renames[i].to, renames[i].flags),
			 renames[i].expect);
	if (renames[i].expect == 0 && !(renames[i].flags & RENAME_EXCHANGE)) {
		ck_assert_uint_eq(find(w, renames[i].to), from);
		ck_assert_int_eq(try_find(w, renames[i].from, &now) == 0, renames[i].from_stays);
		if (had_to && to != from && replaced.posix.n_links == 1)
			ck_assert_int_eq(cim_writer_attr(w, to, &replaced), -ESTALE);
	} else if (renames[i].expect == 0) {
		ck_assert_uint_eq(find(w, renames[i].to), from);
		ck_assert_uint_eq(find(w, renames[i].from), to);
	} else if (had_to) {
		ck_assert_uint_eq(find(w, renames[i].to), to);
		ck_assert_int_eq(try_find(w, renames[i].from, &now) == 0, from != 0);
		ck_assert_uint_eq(now, from);
	}
	commit(w);
	struct cim_image *img = open_image("b.cim");
	if (renames[i].expect == 0)
		check_place(img, renames[i].to);
	if (renames[i].from_stays)
		check_place(img, renames[i].from);
	cim_image_unref(img);
}

START_TEST(rename_of_new_files_follows_posix)
{
	struct cim_writer *w = open_writer(NULL, "b.cim");

	make_rename_tree(w);
	check_rename(w, _i);
}
END_TEST

START_TEST(rename_of_files_of_the_base_follows_posix)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t from = 0, to = 0;

	make_rename_tree(w);
	commit(w);
	w = open_writer("a.cim", "b.cim");
	(void)try_find(w, renames[_i].from, &from);
	(void)try_find(w, renames[_i].to, &to);
	ck_assert_int_eq(try_rename(w, renames[_i].from, renames[_i].to, renames[_i].flags),
			 renames[_i].expect);
	if (renames[_i].expect == 0)
		ck_assert_uint_eq(find(w, renames[_i].to), from);
	commit(w);
	struct cim_image *img = open_image("b.cim");
	if (renames[_i].expect == 0)
		ck_assert_uint_eq(image_find(img, renames[_i].to), from);
	if (renames[_i].expect == 0 && renames[_i].flags & RENAME_EXCHANGE)
		ck_assert_uint_eq(image_find(img, renames[_i].from), to);
	if (renames[_i].expect == 0)
		check_place(img, renames[_i].to);
	cim_image_unref(img);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rename");
	TCase *rename = tcase_create("rename");

	tcase_add_checked_fixture(rename, setup_dir, teardown_dir);
	tcase_add_loop_test(rename, rename_of_new_files_follows_posix, 0, N_ROWS(renames));
	tcase_add_loop_test(rename, rename_of_files_of_the_base_follows_posix, 0, N_ROWS(renames));
	suite_add_tcase(suite, rename);
	return test_run(suite);
}
