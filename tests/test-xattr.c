/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Extended attributes of the writer's files, as EAs and as streams, staged and committed.
 */
#include "config.h"

#include <sys/xattr.h>

#include "imagedir.h"
#include "writer.h"

/* ---- extended attributes ---- */

static void check_xattr(struct cim_writer *w, uint32_t id, const char *name, const void *value,
			size_t size)
{
	g_autofree uint8_t *buf = g_malloc(size + 1);

	ck_assert_int_eq(cim_writer_get_xattr(w, id, name, NULL, 0), (ssize_t)size);
	ck_assert_int_eq(cim_writer_get_xattr(w, id, name, buf, size + 1), (ssize_t)size);
	ck_assert(size == 0 || memcmp(buf, value, size) == 0);
}

static void check_image_xattr(const struct cim_image *img, const char *path, const char *name,
			      const void *value, size_t size)
{
	struct cim_entry e = image_entry(img, path);
	g_autofree uint8_t *buf = g_malloc(size + 1);

	ck_assert_int_eq(cim_file_get_xattr(img, &e, name, buf, size + 1), (ssize_t)size);
	ck_assert(size == 0 || memcmp(buf, value, size) == 0);
}

static int count_xattr(void *arg, const char *name)
{
	++*(int *)arg;
	return 0;
}

static int n_xattrs(struct cim_writer *w, uint32_t id)
{
	int n = 0;

	ck_assert_int_eq(cim_writer_list_xattrs(w, id, count_xattr, &n), 0);
	return n;
}

START_TEST(xattr_flags_are_those_of_setxattr)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);
	char buf[8];

	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", "1", 1, XATTR_REPLACE), -ENODATA);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", "1", 1, XATTR_CREATE), 0);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", "2", 1, XATTR_CREATE), -EEXIST);
	check_xattr(w, id, "user.a", "1", 1);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", "22", 2, XATTR_REPLACE), 0);
	check_xattr(w, id, "user.a", "22", 2);
	ck_assert_int_eq(cim_writer_get_xattr(w, id, "user.a", buf, 1), -ERANGE);
	ck_assert_int_eq(cim_writer_get_xattr(w, id, "user.b", buf, 8), -ENODATA);
	ck_assert_int_eq(cim_writer_remove_xattr(w, id, "user.b"), -ENODATA);
	ck_assert_int_eq(cim_writer_remove_xattr(w, id, "user.a"), 0);
	ck_assert_int_eq(cim_writer_get_xattr(w, id, "user.a", buf, 8), -ENODATA);
	ck_assert_int_eq(n_xattrs(w, id), 0);
	cim_writer_close(w);
}
END_TEST

static const struct {
	const char *name;
	int expect;
} namespaces[] = {
	{ "user.a", 0 },
	{ "user.A", 0 },
	{ "user.a.b c\303\244", 0 },
	{ "trusted.overlay.opaque", 0 },
	{ "security.capability", 0 },
	{ "security.selinux", 0 },
	{ "user.", -EOPNOTSUPP },
	{ "system.other", -EOPNOTSUPP },
	{ "nonsense", -EOPNOTSUPP },
};

START_TEST(xattr_has_a_namespace_that_is_stored)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);

	ck_assert_int_eq(cim_writer_set_xattr(w, id, namespaces[_i].name, "v\0w", 3, 0),
			 namespaces[_i].expect);
	if (namespaces[_i].expect == 0)
		check_xattr(w, id, namespaces[_i].name, "v\0w", 3);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	if (namespaces[_i].expect == 0)
		check_image_xattr(img, "f", namespaces[_i].name, "v\0w", 3);
	cim_image_unref(img);
}
END_TEST

START_TEST(xattrs_of_two_cases_are_two)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);

	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.name", "1", 1, 0), 0);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.Name", "2", 1, 0), 0);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.NAME", "", 0, 0), 0);
	ck_assert_int_eq(n_xattrs(w, id), 3);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	check_image_xattr(img, "f", "user.name", "1", 1);
	check_image_xattr(img, "f", "user.Name", "2", 1);
	check_image_xattr(img, "f", "user.NAME", "", 0);
	cim_image_unref(img);
}
END_TEST

START_TEST(xattr_of_64_kib_is_kept)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);
	g_autofree uint8_t *value = pattern(65537, 3);

	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", value, 65537, 0), -E2BIG);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", value, 10, 0), 0);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", value, 65536, XATTR_REPLACE), 0);
	ck_assert_int_eq(n_xattrs(w, id), 1);
	check_xattr(w, id, "user.a", value, 65536);
	commit(w);
	w = open_writer("a.cim", "b.cim");
	id = find(w, "f");
	check_xattr(w, id, "user.a", value, 65536);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.b", "b", 1, 0), 0);
	check_xattr(w, id, "user.a", value, 65536);
	commit(w);
	/* It becomes small again, and goes. */
	w = open_writer("b.cim", "c.cim");
	id = find(w, "f");
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", "small", 5, XATTR_CREATE), -EEXIST);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", "small", 5, 0), 0);
	ck_assert_int_eq(n_xattrs(w, id), 2);
	commit(w);
	w = open_writer("b.cim", "d.cim");
	ck_assert_int_eq(cim_writer_remove_xattr(w, find(w, "f"), "user.a"), 0);
	commit(w);
	struct cim_image *img = open_image("b.cim");
	check_image_xattr(img, "f", "user.a", value, 65536);
	check_image_xattr(img, "f", "user.b", "b", 1);
	cim_image_unref(img);
	img = open_image("c.cim");
	check_image_xattr(img, "f", "user.a", "small", 5);
	cim_image_unref(img);
	img = open_image("d.cim");
	struct cim_entry e = image_entry(img, "f");
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.a", NULL, 0), -ENODATA);
	check_image_xattr(img, "f", "user.b", "b", 1);
	cim_image_unref(img);
}
END_TEST

#define N_MANY 40

START_TEST(xattrs_of_more_than_64_kib_together_are_kept)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);
	g_autofree uint8_t *value = pattern(8000, 4);
	char name[32];

	for (int i = 0; i < N_MANY; i++) {
		snprintf(name, sizeof(name), "user.many-%d", i);
		ck_assert_int_eq(cim_writer_set_xattr(w, id, name, value + i, 7000, XATTR_CREATE),
				 0);
	}
	ck_assert_int_eq(n_xattrs(w, id), N_MANY);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	struct cim_entry e = image_entry(img, "f");
	int n = 0;
	ck_assert_int_eq(cim_file_list_xattrs(img, &e, count_xattr, &n), 0);
	ck_assert_int_eq(n, N_MANY);
	for (int i = 0; i < N_MANY; i++) {
		snprintf(name, sizeof(name), "user.many-%d", i);
		check_image_xattr(img, "f", name, value + i, 7000);
	}
	cim_image_unref(img);
	w = open_writer("a.cim", NULL);
	id = find(w, "f");
	for (int i = 0; i < N_MANY; i++) {
		snprintf(name, sizeof(name), "user.many-%d", i);
		ck_assert_int_eq(cim_writer_remove_xattr(w, id, name), 0);
		ck_assert_int_eq(n_xattrs(w, id), N_MANY - i - 1);
	}
	commit(w);
}
END_TEST

START_TEST(xattr_name_may_have_255_bytes)
{
	static const size_t sizes[] = { 249, 250, 251, 252, 253, 254, 255 };
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);
	char name[257] = "user.";

	memset(name + 5, 'n', 251);
	name[256] = '\0';
	ck_assert_int_eq(cim_writer_set_xattr(w, id, name, "v", 1, 0), -ERANGE);
	for (size_t i = 0; i < N_ROWS(sizes); i++) {
		g_autofree char *cut = g_strndup(name, sizes[i]);

		ck_assert_int_eq(cim_writer_set_xattr(w, id, cut, &sizes[i], 1, XATTR_CREATE), 0);
		ck_assert_int_eq(cim_writer_set_xattr(w, id, cut, &sizes[i], 1, XATTR_CREATE),
				 -EEXIST);
	}
	ck_assert_int_eq(n_xattrs(w, id), N_ROWS(sizes));
	commit(w);
	struct cim_image *img = open_image("a.cim");
	for (size_t i = 0; i < N_ROWS(sizes); i++) {
		g_autofree char *cut = g_strndup(name, sizes[i]);

		check_image_xattr(img, "f", cut, &sizes[i], 1);
	}
	cim_image_unref(img);
	w = open_writer("a.cim", NULL);
	name[255] = '\0';
	ck_assert_int_eq(cim_writer_remove_xattr(w, find(w, "f"), name), 0);
	ck_assert_int_eq(n_xattrs(w, find(w, "f")), N_ROWS(sizes) - 1);
	cim_writer_close(w);
}
END_TEST

START_TEST(xattr_of_other_namespaces_spills_too)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_dir(w, "d");
	g_autofree uint8_t *value = pattern(65536, 5);

	ck_assert_int_eq(cim_writer_set_xattr(w, id, "trusted.big", value, 65536, 0), 0);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.big", value, 65536, 0), 0);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	check_image_xattr(img, "d", "trusted.big", value, 65536);
	check_image_xattr(img, "d", "user.big", value, 65536);
	cim_image_unref(img);
}
END_TEST

START_TEST(xattrs_of_links_and_special_files_are_kept)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");

	ck_assert_int_eq(cim_writer_set_xattr(w, make_link(w, "l", "x"), "trusted.a", "l", 1, 0),
			 0);
	ck_assert_int_eq(
		cim_writer_set_xattr(w, make_file(w, "p", S_IFIFO), "trusted.a", "p", 1, 0), 0);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	check_image_xattr(img, "l", "trusted.a", "l", 1);
	check_image_xattr(img, "p", "trusted.a", "p", 1);
	cim_image_unref(img);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("xattr");
	TCase *xattr = tcase_create("xattr");

	tcase_add_checked_fixture(xattr, setup_dir, teardown_dir);
	tcase_add_test(xattr, xattr_flags_are_those_of_setxattr);
	tcase_add_loop_test(xattr, xattr_has_a_namespace_that_is_stored, 0, N_ROWS(namespaces));
	tcase_add_test(xattr, xattrs_of_two_cases_are_two);
	tcase_add_test(xattr, xattr_of_64_kib_is_kept);
	tcase_add_test(xattr, xattrs_of_more_than_64_kib_together_are_kept);
	tcase_add_test(xattr, xattr_name_may_have_255_bytes);
	tcase_add_test(xattr, xattr_of_other_namespaces_spills_too);
	tcase_add_test(xattr, xattrs_of_links_and_special_files_are_kept);
	suite_add_tcase(s, xattr);
	return s;
}

int main(void)
{
	return test_run(suite());
}
