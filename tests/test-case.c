/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images that do not mind case: any spelling finds a name, that which was given is kept, and a fork
 * compares names as its base does.
 */
#include "config.h"

#include "imagedir.h"
#include "writer.h"

static struct cim_writer *open_insensitive(const char *existing, const char *new_name)
{
	struct cim_writer *w;

	ck_assert_int_eq(cim_writer_open(test_store, existing, new_name, CIM_CASE_INSENSITIVE, &w),
			 0);
	return w;
}

static void make_insensitive(void)
{
	struct cim_writer *w = open_insensitive(NULL, "a.cim");

	make_dir(w, "Dir");
	put_text(w, "Dir/ReadMe", "text");
	put_text(w, "\303\204pfel", "umlaut"); /* Äpfel */
	commit(w);
}

static int expect_spelling(void *arg, const char *name, size_t n, uint32_t id)
{
	return strlen(arg) == n && memcmp(arg, name, n) == 0;
}

static bool is_spelled(struct cim_writer *w, const char *dir, const char *name)
{
	return cim_writer_list(w, find(w, dir), expect_spelling, (void *)(uintptr_t)name) == 1;
}

START_TEST(insensitive_lookup_finds_any_case)
{
	struct cim_writer *w = open_insensitive(NULL, "b.cim");

	make_dir(w, "Dir");
	uint32_t id = put_text(w, "Dir/ReadMe", "text");
	ck_assert_uint_eq(find(w, "DIR/README"), id);
	ck_assert_uint_eq(find(w, "dir/readme"), id);
	ck_assert_int_eq(try_make(w, "dir/README", S_IFREG), -EEXIST);
	ck_assert(is_spelled(w, "dir", "ReadMe"));
	cim_writer_close(w);

	make_insensitive();
	struct cim_image *img = open_image("a.cim");
	ck_assert(!cim_image_is_case_sensitive(img));
	check_text(img, "dir/README", "text");
	check_text(img, "\303\244PFEL", "umlaut");
	cim_image_unref(img);
}
END_TEST

START_TEST(insensitive_rename_may_change_only_the_case)
{
	struct cim_writer *w;

	make_insensitive();
	w = open_writer("a.cim", "b.cim");
	uint32_t id = find(w, "dir/readme");
	ck_assert_int_eq(try_rename(w, "dir/readme", "dir/README", 0), 0);
	ck_assert_uint_eq(find(w, "dir/readme"), id);
	ck_assert(is_spelled(w, "dir", "README"));
	ck_assert(!is_spelled(w, "dir", "ReadMe"));
	ck_assert_int_eq(try_rename(w, "DIR", "dir", 0), 0);
	commit(w);
	w = open_writer("b.cim", NULL);
	ck_assert(is_spelled(w, "", "dir"));
	ck_assert(!is_spelled(w, "", "Dir"));
	ck_assert(is_spelled(w, "dir", "README"));
	cim_writer_close(w);
	check_image_text("b.cim", "DIR/ReadMe", "text");
}
END_TEST

START_TEST(insensitive_rename_to_itself_with_flags_is_refused_or_nothing)
{
	struct cim_writer *w;

	make_insensitive();
	w = open_writer("a.cim", "b.cim");
	uint32_t id = find(w, "dir/readme");
	ck_assert_int_eq(try_rename(w, "Dir/ReadMe", "Dir/README", RENAME_EXCHANGE), 0);
	ck_assert_int_eq(try_rename(w, "Dir", "DIR", RENAME_EXCHANGE), 0);
	ck_assert_uint_eq(find(w, "dir/readme"), id);
	ck_assert_int_eq(try_rename(w, "Dir/ReadMe", "Dir/ReadMe", 0), 0);
	ck_assert_uint_eq(find(w, "dir/readme"), id);
	commit(w);
	check_image_text("b.cim", "dir/readme", "text");
}
END_TEST

START_TEST(insensitive_name_that_went_may_come_back_in_another_case)
{
	struct cim_writer *w;

	make_insensitive();
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(try_unlink(w, "DIR/README"), 0);
	put_text(w, "dir/readme", "new");
	ck_assert(is_spelled(w, "dir", "readme"));
	put_text(w, "dir/other", "o");
	ck_assert_int_eq(try_rename(w, "dir/OTHER", "dir/README", 0), 0);
	commit(w);
	check_image_text("b.cim", "Dir/ReadMe", "o");
	w = open_writer("b.cim", NULL);
	ck_assert_int_eq(try_unlink(w, "dir/readme"), 0);
	ck_assert_int_eq(try_rmdir(w, "dir"), 0);
	cim_writer_close(w);
}
END_TEST

START_TEST(fork_keeps_its_base_s_case)
{
	struct cim_writer *w;

	make_insensitive();
	ck_assert_int_eq(cim_writer_open(test_store, "a.cim", "b.cim", CIM_CASE_SENSITIVE, &w),
			 -EINVAL);
	cim_writer_close(open_insensitive("a.cim", "b.cim"));
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(try_make(w, "DIR", S_IFDIR), -EEXIST);
	commit(w);
	make_image(NULL, "s.cim", "s");
	ck_assert_int_eq(cim_writer_open(test_store, "s.cim", "t.cim", CIM_CASE_INSENSITIVE, &w),
			 -EINVAL);
	w = open_writer("s.cim", "t.cim");
	put_text(w, "F", "upper");
	commit(w);
	check_image_text("t.cim", "F", "upper");
	check_image_text("t.cim", "f", "s");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("case");
	TCase *insensitive = tcase_create("insensitive");

	tcase_add_checked_fixture(insensitive, setup_dir, teardown_dir);
	tcase_add_test(insensitive, insensitive_lookup_finds_any_case);
	tcase_add_test(insensitive, insensitive_rename_may_change_only_the_case);
	tcase_add_test(insensitive, insensitive_rename_to_itself_with_flags_is_refused_or_nothing);
	tcase_add_test(insensitive, insensitive_name_that_went_may_come_back_in_another_case);
	tcase_add_test(insensitive, fork_keeps_its_base_s_case);
	suite_add_tcase(suite, insensitive);
	return test_run(suite);
}
