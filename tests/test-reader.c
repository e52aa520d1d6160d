/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading an image of our own that is whole: what is in it is found by any path that leads there,
 * and several threads can do so.
 */
#include "config.h"

#include "imagedir.h"
#include "reader.h"
#include "readsample.h"
#include "walk.h"

/* ---- a sample ---- */

START_TEST(sample_is_readable)
{
	struct cim_image *img = open_image("a.cim");
	char target[CIM_SYMLINK_MAX + 1];

	check_rest(img);
	check_text(img, "dir/three", "333");
	ck_assert_int_eq(cim_file_readlink(img, image_find(img, "link"), target), 7);
	ck_assert_str_eq(target, "dir/one");
	ck_assert_int_eq(cim_file_readlink(img, image_find(img, "absolute"), target), 8);
	ck_assert_str_eq(target, "/dir/two");
	ck_assert_int_eq(cim_file_readlink(img, image_find(img, "other"), target), -EINVAL);
	ck_assert(S_ISFIFO(image_attr(img, "fifo").posix.mode));
	cim_image_unref(img);
}
END_TEST

/* A thread's walk through an image that others walk through too. */
struct reading {
	const struct cim_image *img;
	struct walk walk;
	int error; /* of a look-up */
	GThread *thread;
};

static gpointer read_all(gpointer arg)
{
	struct reading *r = arg;
	uint32_t id;

	walk_file(&r->walk, r->img, r->img->fs.root_id);
	r->error = cim_path_lookup(r->img, "dir/one", true, &id);
	if (r->error == 0)
		r->error = cim_path_lookup(r->img, "link", true, &id);
	return NULL;
}

START_TEST(several_threads_read_one_image)
{
	struct cim_image *img = open_image("a.cim");
	struct reading readings[4];

	for (size_t i = 0; i < N_ROWS(readings); i++) {
		readings[i] = (struct reading){ .img = img, .walk = { .files = 100, .depth = 8 } };
		readings[i].thread = g_thread_new("reader", read_all, &readings[i]);
	}
	for (size_t i = 0; i < N_ROWS(readings); i++) {
		g_thread_join(readings[i].thread);
		ck_assert_int_eq(readings[i].error, 0);
		ck_assert_uint_eq(readings[i].walk.n_files, cim_image_last_id(img));
		ck_assert_msg(readings[i].walk.n_errors == 0, "%s", readings[i].walk.reason);
	}
	check_rest(img);
	cim_image_unref(img);
}
END_TEST

/* ---- paths ---- */

static void make_paths(void)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	char name[16], target[16];

	make_dir(w, "a");
	make_dir(w, "a/b");
	put_text(w, "a/b/c", "c");
	make_link(w, "abs", "/a/b");
	make_link(w, "rel", "a/./b");
	make_link(w, "a/up", "../a/b/c");
	make_link(w, "a/b/top", "../../../..");
	make_link(w, "self", "self");
	make_link(w, "ping", "pong");
	make_link(w, "pong", "/ping");
	make_link(w, "dangling", "nowhere");
	make_link(w, "slash", "a/");
	put_text(w, "chain0", "end");
	for (int i = 1; i <= 41; i++) {
		g_snprintf(name, sizeof(name), "chain%d", i);
		g_snprintf(target, sizeof(target), "chain%d", i - 1);
		make_link(w, name, target);
	}
	commit(w);
}

static const struct {
	const char *path;
	bool follow;
	const char *real; /* the same without links; NULL: expect */
	int expect;
} paths[] = {
	{ "", true, "", 0 },
	{ "/", true, "", 0 },
	{ ".", false, "", 0 },
	{ "..", false, "", 0 },
	{ "a/b/c", false, "a/b/c", 0 },
	{ "/a/b/c", false, "a/b/c", 0 },
	{ "//a///b//c", false, "a/b/c", 0 },
	{ "a\\b\\c", false, "a/b/c", 0 },
	{ "\\a/b\\c", false, "a/b/c", 0 },
	{ "a/b/", false, "a/b", 0 },
	{ "a/./b/.", false, "a/b", 0 },
	{ "a/b/../b/c", false, "a/b/c", 0 },
	{ "../../a/../a/b", false, "a/b", 0 },
	{ "abs/c", false, "a/b/c", 0 },
	{ "abs", true, "a/b", 0 },
	{ "abs/", false, "a/b", 0 },
	{ "rel/c", false, "a/b/c", 0 },
	{ "rel\\c", false, "a/b/c", 0 },
	{ "a/up", true, "a/b/c", 0 },
	{ "abs/../up", true, "a/b/c", 0 },
	{ "a/b/top/a", false, "a", 0 },
	{ "slash", true, "a", 0 },
	{ "slash/b", false, "a/b", 0 },
	{ "chain40", true, "chain0", 0 },
	{ "chain41", true, NULL, -ELOOP },
	{ "self", true, NULL, -ELOOP },
	{ "self/x", false, NULL, -ELOOP },
	{ "ping", true, NULL, -ELOOP },
	{ "ping/x", false, NULL, -ELOOP },
	{ "dangling", true, NULL, -ENOENT },
	{ "dangling/x", false, NULL, -ENOENT },
	{ "x", true, NULL, -ENOENT },
	{ "a/x/c", true, NULL, -ENOENT },
	{ "A/b/c", true, NULL, -ENOENT },
	{ "a/b/c/d", true, NULL, -ENOTDIR },
	{ "a/up/d", true, NULL, -ENOTDIR },
	{ "a/b/c/", false, NULL, -ENOTDIR },
	{ "a/b/c//", true, NULL, -ENOTDIR },
	{ "a/b/c/.", true, NULL, -ENOTDIR },
	{ "a/b/c/..", true, NULL, -ENOTDIR },
	{ "a/up/", false, NULL, -ENOTDIR },
	{ "a/up/..", false, NULL, -ENOTDIR },
	{ "x/", true, NULL, -ENOENT },
};

START_TEST(path_leads_to_its_file)
{
	uint32_t id = 0, real = 0;

	make_paths();
	struct cim_image *img = open_image("a.cim");
	ck_assert_int_eq(cim_path_lookup(img, paths[_i].path, paths[_i].follow, &id),
			 paths[_i].expect);
	if (paths[_i].real) {
		ck_assert_int_eq(cim_path_lookup(img, paths[_i].real, false, &real), 0);
		ck_assert_uint_eq(id, real);
	}
	cim_image_unref(img);
}
END_TEST

START_TEST(path_that_ends_in_a_link_is_the_link)
{
	static const char *const links[] = { "abs", "self", "ping", "dangling", "chain41", "a/up" };

	make_paths();
	struct cim_image *img = open_image("a.cim");
	for (size_t i = 0; i < N_ROWS(links); i++)
		ck_assert(S_ISLNK(image_attr(img, links[i]).posix.mode));
	cim_image_unref(img);
}
END_TEST

START_TEST(path_has_32767_bytes_at_most)
{
	char path[32770];
	uint32_t id;

	make_paths();
	struct cim_image *img = open_image("a.cim");
	memset(path, '/', sizeof(path));
	path[32768] = '\0';
	ck_assert_int_eq(cim_path_lookup(img, path, true, &id), -ENAMETOOLONG);
	path[32767] = '\0';
	ck_assert_int_eq(cim_path_lookup(img, path, true, &id), 0);
	ck_assert_uint_eq(id, img->fs.root_id);
	cim_image_unref(img);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("reader");
	TCase *sample = tcase_create("sample");
	TCase *lookup = tcase_create("lookup");

	tcase_add_checked_fixture(sample, setup_sample, teardown_sample);
	tcase_add_test(sample, sample_is_readable);
	tcase_add_test(sample, several_threads_read_one_image);
	suite_add_tcase(s, sample);
	tcase_add_checked_fixture(lookup, setup_dir, teardown_dir);
	tcase_add_loop_test(lookup, path_leads_to_its_file, 0, N_ROWS(paths));
	tcase_add_test(lookup, path_that_ends_in_a_link_is_the_link);
	tcase_add_test(lookup, path_has_32767_bytes_at_most);
	suite_add_tcase(s, lookup);
	return s;
}

int main(void)
{
	return test_run(suite());
}
