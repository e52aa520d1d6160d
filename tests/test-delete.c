/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Deletes and collections that are stopped on the way, and readers beside them.
 */
#include "config.h"

#include <stdatomic.h>

#include "delete.h"
#include "fsck.h"
#include "garbage.h"
#include "imagedir.h"

/* ---- the directory ---- */

static int stop_at; /* step of a delete */

static int die(enum cim_delete_step step)
{
	return (int)step == stop_at;
}

static int break_off(enum cim_delete_step step)
{
	return (int)step == stop_at ? -EIO : 0;
}

static void setup(void)
{
	setup_dir();
	make_image(NULL, "a.cim", "a");
	make_image("a.cim", "b.cim", "b");
	make_image("b.cim", "c.cim", "c");
	cim_delete_test_hook = NULL;
}

static int note_is_damage(void *arg, const struct cim_fsck_finding *f)
{
	ck_assert_msg(strcmp(f->rule, "unnamed") == 0, "%s: %s: %s", f->rule,
		      f->image ? f->image : f->file, f->text);
	return 0;
}

/* Every image is whole, and there is nothing that none of them needs. */
static void check_tidy(unsigned int n_sets)
{
	struct cim_fsck_options opt = { .data = true };

	ck_assert_int_eq(cim_fsck_directory(test_store, &opt, note_is_damage, NULL), 0);
	ck_assert_uint_eq(count_files("region_", NULL), 3 * n_sets);
	ck_assert_uint_eq(count_files(".cimfs", NULL), 0);
}

static void delete_stopped(const char *name, int step, int (*hook)(enum cim_delete_step step))
{
	stop_at = step;
	cim_delete_test_hook = hook;
	ck_assert_int_lt(cim_store_delete(test_store, name), 0);
	cim_delete_test_hook = NULL;
	ck_assert(!has_file(name));
}

/* ---- stopped on the way ---- */

START_TEST(next_writer_finishes_a_delete)
{
	/* Its data is the base of others: only the image goes. */
	delete_stopped("a.cim", _i, die);
	cim_writer_close(open_writer(NULL, "new.cim"));
	check_tidy(3);
	check_image_text("b.cim", "f", "b");
	/* The last of the line: its own set goes. */
	delete_stopped("c.cim", _i, die);
	cim_writer_close(open_writer(NULL, "new.cim"));
	check_tidy(2);
	/* The last of all: its bases' sets go with it, which have no mark of their own. */
	delete_stopped("b.cim", _i, die);
	cim_writer_close(open_writer(NULL, "new.cim"));
	check_tidy(0);
}
END_TEST

START_TEST(gc_finishes_a_delete)
{
	delete_stopped("c.cim", _i, die);
	ck_assert_int_eq(cim_store_gc(test_store, false, NULL, NULL), 0);
	check_tidy(2);
}
END_TEST

START_TEST(failure_of_a_step_is_told)
{
	delete_stopped("c.cim", _i, break_off);
	ck_assert_int_eq(cim_store_gc(test_store, false, NULL, NULL), 0);
	check_tidy(2);
	check_image_text("b.cim", "f", "b");
}
END_TEST

START_TEST(delete_that_is_stopped_can_be_followed_by_another)
{
	delete_stopped("c.cim", CIM_DELETE_MARK_SYNCED, die);
	ck_assert_int_eq(cim_store_delete(test_store, "b.cim"), 0);
	cim_writer_close(open_writer(NULL, "new.cim"));
	check_tidy(1);
	check_image_text("a.cim", "f", "a");
}
END_TEST

static int stop_collecting(void *arg, const char *name, uint64_t size)
{
	return --*(int *)arg ? 0 : -ECANCELED;
}

START_TEST(gc_that_is_stopped_goes_on)
{
	int left = 1 + _i;

	ck_assert_int_eq(unlinkat(test_store->dirfd, "c.cim", 0), 0);
	put_file(".cimfs-x", "x", 1);
	ck_assert_int_eq(cim_store_gc(test_store, false, stop_collecting, &left), -ECANCELED);
	check_image_text("b.cim", "f", "b");
	ck_assert_int_eq(cim_store_gc(test_store, false, NULL, NULL), 0);
	check_tidy(2);
}
END_TEST

/* ---- what counts ---- */

START_TEST(image_counts_under_any_name)
{
	GHashTable *sets;

	ck_assert_int_eq(renameat(test_store->dirfd, "c.cim", test_store->dirfd, "writer"), 0);
	ck_assert_int_eq(cim_references(test_store, NULL, &sets), 0);
	ck_assert_uint_eq(g_hash_table_size(sets), 3);
	g_hash_table_unref(sets);
	ck_assert_int_eq(cim_store_gc(test_store, false, NULL, NULL), 0);
	ck_assert_int_eq(renameat(test_store->dirfd, "writer", test_store->dirfd, "c.cim"), 0);
	check_tidy(3);
}
END_TEST

START_TEST(copy_of_an_image_counts)
{
	g_autofree char *path = path_of("b.cim"), *bytes = NULL;
	gsize size;

	ck_assert(g_file_get_contents(path, &bytes, &size, NULL));
	put_file("copy.cim", bytes, size);
	ck_assert_int_eq(cim_store_delete(test_store, "b.cim"), 0);
	ck_assert_int_eq(cim_store_delete(test_store, "c.cim"), 0);
	ck_assert_int_eq(cim_store_delete(test_store, "a.cim"), 0);
	check_image_text("copy.cim", "f", "b");
	check_tidy(2);
}
END_TEST

START_TEST(directories_and_links_with_our_names_are_left_or_removed_themselves)
{
	static const char *const region = "region_01234567-89ab-cdef-0123-456789abcdef_0";

	put_file("mine", "x", 1);
	ck_assert_int_eq(mkdirat(test_store->dirfd, ".cimfs-dir", 0755), 0);
	ck_assert_int_eq(symlinkat("mine", test_store->dirfd, region), 0);
	ck_assert_int_eq(cim_store_gc(test_store, false, NULL, NULL), 0);
	ck_assert(has_file("mine"));
	ck_assert(has_file(".cimfs-dir"));
	ck_assert(!has_file(region));
	cim_writer_close(open_writer(NULL, "new.cim"));
	ck_assert(has_file(".cimfs-dir"));
}
END_TEST

/* ---- readers meanwhile ---- */

static bool make_anew;

static void delete_once(void)
{
	cim_image_test_hook = NULL;
	ck_assert_int_eq(cim_store_delete(test_store, "r.cim"), 0);
	if (make_anew)
		make_image(NULL, "r.cim", "anew");
}

START_TEST(image_deleted_while_it_is_opened_is_not_there)
{
	struct cim_image *img;

	make_image(NULL, "r.cim", "r");
	make_anew = false;
	cim_image_test_hook = delete_once;
	ck_assert_int_eq(cim_image_open(test_store, "r.cim", &img), -ENOENT);
}
END_TEST

START_TEST(image_made_anew_while_it_is_opened_is_the_new_one)
{
	make_image(NULL, "r.cim", "r");
	make_anew = true;
	cim_image_test_hook = delete_once;
	check_image_text("r.cim", "f", "anew");
}
END_TEST

#define ROUNDS 40

static atomic_bool over;

/* Opens the image again and again: it is not there, or all of it is. */
static void *read_on(void *arg)
{
	unsigned int *n_read = arg;

	while (!over) {
		struct cim_image *img;
		int r = cim_image_open(test_store, "r.cim", &img);

		if (r == -ENOENT)
			continue;
		ck_assert_msg(r == 0, "%s: %s", strerror(-r), cim_reason());
		check_text(img, "f", "r");
		cim_image_unref(img);
		++*n_read;
	}
	return NULL;
}

START_TEST(reader_sees_all_of_an_image_or_none)
{
	unsigned int n_read[2] = { 0 };
	pthread_t reader[2];

	over = false;
	for (size_t i = 0; i < N_ROWS(reader); i++)
		ck_assert_int_eq(pthread_create(&reader[i], NULL, read_on, &n_read[i]), 0);
	for (int i = 0; i < ROUNDS; i++) {
		make_image(NULL, "r.cim", "r");
		ck_assert_int_eq(cim_store_delete(test_store, "r.cim"), 0);
	}
	over = true;
	for (size_t i = 0; i < N_ROWS(reader); i++)
		ck_assert_int_eq(pthread_join(reader[i], NULL), 0);
	check_tidy(3);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("delete");
	TCase *tc = tcase_create("delete");

	tcase_add_checked_fixture(tc, setup, teardown_dir);
	tcase_add_loop_test(tc, next_writer_finishes_a_delete, CIM_DELETE_MARKED,
			    CIM_DELETE_MARK_REMOVED + 1);
	tcase_add_loop_test(tc, gc_finishes_a_delete, CIM_DELETE_MARKED,
			    CIM_DELETE_MARK_REMOVED + 1);
	tcase_add_loop_test(tc, failure_of_a_step_is_told, CIM_DELETE_MARKED,
			    CIM_DELETE_MARK_REMOVED + 1);
	tcase_add_test(tc, delete_that_is_stopped_can_be_followed_by_another);
	tcase_add_loop_test(tc, gc_that_is_stopped_goes_on, 0, 7);
	tcase_add_test(tc, image_counts_under_any_name);
	tcase_add_test(tc, copy_of_an_image_counts);
	tcase_add_test(tc, directories_and_links_with_our_names_are_left_or_removed_themselves);
	tcase_add_test(tc, image_deleted_while_it_is_opened_is_not_there);
	tcase_add_test(tc, image_made_anew_while_it_is_opened_is_the_new_one);
	tcase_add_test(tc, reader_sees_all_of_an_image_or_none);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return test_run(suite());
}
