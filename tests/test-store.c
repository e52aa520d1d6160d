/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The containing directory: which names are images, who holds it, and deleting from it.
 */
#include "config.h"

#include <signal.h>
#include <sys/wait.h>

#include "delete.h"
#include "garbage.h"
#include "imagedir.h"
#include "lock.h"
#include "store.h"

/* ---- names ---- */

static const struct {
	const char *name;
	int expect;
} names[] = {
	{ "base.cim", 0 },
	{ "a", 0 },
	{ "no suffix", 0 },
	{ ".hidden", 0 },
	{ "...", 0 },
	{ "control.cim", 0 },
	{ "Control", 0 },
	{ "writers", 0 },
	{ "region", 0 },
	{ "a_region_", 0 },
	{ "objectid", 0 },
	{ ".cimf", 0 },
	{ "\303\244\303\266.cim", 0 },
	{ "\377\376", 0 },
	{ "a\\b", 0 },
	{ "", -EINVAL },
	{ ".", -EINVAL },
	{ "..", -EINVAL },
	{ "/", -EINVAL },
	{ "a/b", -EINVAL },
	{ "a/", -EINVAL },
	{ "/a", -EINVAL },
	{ "../a", -EINVAL },
	{ "a\n", -EINVAL },
	{ "\ta", -EINVAL },
	{ "a\x01z", -EINVAL },
	{ "a\x1f", -EINVAL },
	{ "\x7f", -EINVAL },
	{ "control", -EINVAL },
	{ "writer", -EINVAL },
	{ "region_", -EINVAL },
	{ "region_x.cim", -EINVAL },
	{ "objectid_", -EINVAL },
	{ "objectid_1", -EINVAL },
	{ ".cimfs", -EINVAL },
	{ ".cimfs-x", -EINVAL },
	{ ".cimfsx", -EINVAL },
};

START_TEST(name_follows_the_rules)
{
	ck_assert_int_eq(cim_store_name_check(names[_i].name), names[_i].expect);
	if (names[_i].expect)
		ck_assert_str_ne(cim_reason(), "");
}
END_TEST

START_TEST(name_has_255_bytes_at_most)
{
	char name[257];

	memset(name, 'x', sizeof(name));
	name[256] = '\0';
	ck_assert_int_eq(cim_store_name_check(name), -EINVAL);
	name[255] = '\0';
	ck_assert_int_eq(cim_store_name_check(name), 0);
}
END_TEST

/* ---- opening, listing ---- */

START_TEST(store_needs_a_directory)
{
	g_autofree char *file = path_of("file"), *missing = path_of("missing");
	struct cim_store *store;

	put_file("file", "x", 1);
	ck_assert_int_eq(cim_store_open(AT_FDCWD, missing, &store), -ENOENT);
	ck_assert_int_eq(cim_store_open(AT_FDCWD, file, &store), -ENOTDIR);
	ck_assert_int_eq(cim_store_open(test_store->dirfd, ".", &store), 0);
	cim_store_unref(store);
}
END_TEST

START_TEST(list_of_an_empty_directory_is_empty)
{
	char **list;

	ck_assert_int_eq(cim_store_list(test_store, &list), 0);
	ck_assert_ptr_null(list[0]);
	g_strfreev(list);
}
END_TEST

START_TEST(list_shows_images_only_and_sorted)
{
	struct cim_common_disk head;
	char **list;

	make_image(NULL, "b.cim", "b");
	make_image(NULL, "a.cim", "a");
	make_image("a.cim", "C", "c");
	put_file("text", "hello", 5);
	put_file("empty", "", 0);
	put_file("short", CIM_MAGIC, 8);
	cim_common_encode(&head, CIM_FILE_REGION, sizeof(head));
	put_file("other-kind", &head, sizeof(head));
	ck_assert_int_eq(symlinkat("a.cim", test_store->dirfd, "link.cim"), 0);
	ck_assert_int_eq(symlinkat("nowhere", test_store->dirfd, "dangling.cim"), 0);
	ck_assert_int_eq(mkfifoat(test_store->dirfd, "fifo.cim", 0644), 0);
	ck_assert_int_eq(mkdirat(test_store->dirfd, "dir.cim", 0755), 0);
	ck_assert_int_eq(cim_store_list(test_store, &list), 3);
	ck_assert_str_eq(list[0], "C");
	ck_assert_str_eq(list[1], "a.cim");
	ck_assert_str_eq(list[2], "b.cim");
	ck_assert_ptr_null(list[3]);
	g_strfreev(list);
}
END_TEST

START_TEST(list_shows_damaged_images)
{
	struct cim_common_disk head;
	char **list;

	cim_common_encode(&head, CIM_FILE_IMAGE, sizeof(head));
	put_file("damaged.cim", &head, sizeof(head));
	ck_assert_int_eq(cim_store_list(test_store, &list), 1);
	g_strfreev(list);
	ck_assert(cim_store_is_image(test_store, "damaged.cim"));
}
END_TEST

START_TEST(list_leaves_out_images_with_reserved_names)
{
	struct cim_common_disk head;
	char **list;

	cim_common_encode(&head, CIM_FILE_IMAGE, sizeof(head));
	put_file("region_x", &head, sizeof(head));
	put_file(".cimfs-x", &head, sizeof(head));
	put_file("control", &head, sizeof(head));
	ck_assert_int_eq(cim_store_list(test_store, &list), 0);
	g_strfreev(list);
}
END_TEST

static const char *const no_images[] = { "text", "link", "fifo", "dir", "missing", "a/b", ".." };

START_TEST(is_image_only_of_a_regular_file_with_the_magic)
{
	make_image(NULL, "a.cim", "a");
	put_file("text", "hello", 5);
	ck_assert_int_eq(symlinkat("a.cim", test_store->dirfd, "link"), 0);
	ck_assert_int_eq(mkfifoat(test_store->dirfd, "fifo", 0644), 0);
	ck_assert_int_eq(mkdirat(test_store->dirfd, "dir", 0755), 0);
	ck_assert(cim_store_is_image(test_store, "a.cim"));
	ck_assert(!cim_store_is_image(test_store, no_images[_i]));
}
END_TEST

START_TEST(region_files_are_mapped_once_for_all_images)
{
	struct cim_image *a, *b;

	make_image(NULL, "a.cim", "a");
	make_image("a.cim", "b.cim", "b");
	a = open_image("a.cim");
	b = open_image("b.cim");
	ck_assert_uint_eq(g_hash_table_size(test_store->sets), 2);
	ck_assert_ptr_eq(a->region[0], b->region[0]);
	cim_image_unref(a);
	check_text(b, "f", "b");
	cim_image_unref(b);
	ck_assert_uint_eq(g_hash_table_size(test_store->sets), 0);
}
END_TEST

/* A set may list 65,535 files; those that are there are found, wherever, and no more is tried. */
START_TEST(region_files_are_found_among_many_that_are_missing)
{
	static const uint32_t there[] = { 0, 3, 70, 59999 };
	const struct cim_set set = { .guid = { "a set of holes " }, .n_regions = 60000 };
	struct cim_region_list list = { 0 };
	struct cim_region_disk head = { 0 };
	struct cim_regions *regions;
	char name[CIM_FILE_NAME];
	uint32_t n = 0;

	cim_common_encode(&head.common, CIM_FILE_REGION, sizeof(head));
	for (size_t i = 0; i < N_ROWS(there); i++) {
		head.index = cim_put16((uint16_t)there[i]);
		cim_region_name(&set.guid, there[i], name);
		put_file(name, &head, sizeof(head));
	}
	cim_region_name(&set.guid, 60000, name); /* not of the set */
	put_file(name, &head, sizeof(head));
	ck_assert_int_eq(cim_store_regions(test_store, &set, &list, &regions), 0);
	for (size_t i = 0; i < N_ROWS(there); i++)
		ck_assert_uint_eq(regions->region[there[i]].size, sizeof(head));
	for (uint32_t i = 0; i < set.n_regions; i++)
		n += regions->region[i].size > 0;
	ck_assert_uint_eq(n, N_ROWS(there));
	ck_assert_uint_lt(list.n_missing, 100);
	cim_store_release(test_store, regions);
	cim_region_list_clear(&list);
}
END_TEST

START_TEST(store_lives_as_long_as_its_images)
{
	struct cim_store *store;
	struct cim_image *img;

	make_image(NULL, "a.cim", "a");
	ck_assert_int_eq(cim_store_open(AT_FDCWD, test_path, &store), 0);
	ck_assert_int_eq(cim_image_open(store, "a.cim", &img), 0);
	cim_store_unref(store);
	check_text(img, "f", "a");
	cim_image_unref(img);
}
END_TEST

/* ---- the lock ---- */

START_TEST(lock_is_held_until_it_is_closed)
{
	int first, second = -1;

	ck_assert_int_eq(cim_lock(test_store->dirfd, &first), 0);
	ck_assert_int_eq(cim_lock(test_store->dirfd, &second), -CIM_ELOCKED);
	ck_assert_int_eq(second, -1);
	(void)close(first);
	ck_assert_int_eq(cim_lock(test_store->dirfd, &second), 0);
	(void)close(second);
}
END_TEST

START_TEST(lock_of_another_directory_is_another_lock)
{
	struct cim_store *other;
	int first, second;

	ck_assert_int_eq(mkdirat(test_store->dirfd, "other", 0755), 0);
	ck_assert_int_eq(cim_store_open(test_store->dirfd, "other", &other), 0);
	ck_assert_int_eq(cim_lock(test_store->dirfd, &first), 0);
	ck_assert_int_eq(cim_lock(other->dirfd, &second), 0);
	(void)close(first);
	(void)close(second);
	cim_store_unref(other);
}
END_TEST

START_TEST(lock_is_not_inherited_by_programs)
{
	int fd;

	ck_assert_int_eq(cim_lock(test_store->dirfd, &fd), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	(void)close(fd);
}
END_TEST

/* A process that holds the lock until it is killed; returns when it does. */
static pid_t start_holder(void)
{
	int ready[2];
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int fd;

		if (cim_lock(test_store->dirfd, &fd) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	return pid;
}

static void stop_holder(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(lock_of_another_process_names_it)
{
	pid_t pid = start_holder();
	g_autofree char *expect = g_strdup_printf("pid %d ", (int)pid);
	g_autofree char *locks = NULL;
	int fd;

	ck_assert_int_eq(cim_lock(test_store->dirfd, &fd), -CIM_ELOCKED);
	/* Some containers have a /proc without this file, or with nothing in it. */
	(void)g_file_get_contents("/proc/locks", &locks, NULL, NULL);
	if (locks && strstr(locks, "FLOCK"))
		ck_assert_msg(strstr(cim_reason(), expect), "\"%s\" does not say \"%s\"",
			      cim_reason(), expect);
	stop_holder(pid);
}
END_TEST

START_TEST(lock_goes_with_its_process)
{
	pid_t pid = start_holder();
	int fd;

	stop_holder(pid);
	ck_assert_int_eq(cim_lock(test_store->dirfd, &fd), 0);
	(void)close(fd);
}
END_TEST

START_TEST(lock_of_a_removed_directory_is_refused)
{
	struct cim_store *store;
	int fd;

	ck_assert_int_eq(mkdirat(test_store->dirfd, "gone", 0755), 0);
	ck_assert_int_eq(cim_store_open(test_store->dirfd, "gone", &store), 0);
	ck_assert_int_eq(unlinkat(test_store->dirfd, "gone", AT_REMOVEDIR), 0);
	ck_assert_int_eq(cim_lock(store->dirfd, &fd), -ENOTDIR);
	cim_store_unref(store);
}
END_TEST

START_TEST(readers_do_not_lock)
{
	struct cim_image *img;
	int fd;

	make_image(NULL, "a.cim", "a");
	ck_assert_int_eq(cim_lock(test_store->dirfd, &fd), 0);
	img = open_image("a.cim");
	check_text(img, "f", "a");
	cim_image_unref(img);
	(void)close(fd);
}
END_TEST

/* ---- deleting ---- */

START_TEST(delete_removes_an_image_and_its_data)
{
	make_image(NULL, "a.cim", "a");
	ck_assert_int_eq(cim_store_delete(test_store, "a.cim"), 0);
	ck_assert_uint_eq(count_files("", NULL), 0);
}
END_TEST

START_TEST(delete_keeps_what_a_fork_needs)
{
	make_image(NULL, "a.cim", "a");
	make_image("a.cim", "b.cim", "b");
	ck_assert_int_eq(cim_store_delete(test_store, "a.cim"), 0);
	ck_assert(!has_file("a.cim"));
	ck_assert_uint_eq(count_files("region_", NULL), 6);
	check_image_text("b.cim", "f", "b");
	ck_assert_int_eq(cim_store_delete(test_store, "b.cim"), 0);
	ck_assert_uint_eq(count_files("", NULL), 0);
}
END_TEST

START_TEST(delete_of_a_fork_keeps_its_base)
{
	make_image(NULL, "a.cim", "a");
	make_image("a.cim", "b.cim", "b");
	ck_assert_int_eq(cim_store_delete(test_store, "b.cim"), 0);
	ck_assert_uint_eq(count_files("region_", NULL), 3);
	ck_assert_uint_eq(count_files("objectid_", NULL), 3);
	check_image_text("a.cim", "f", "a");
}
END_TEST

START_TEST(delete_leaves_other_files_alone)
{
	make_image(NULL, "a.cim", "a");
	put_file("notes.txt", "x", 1);
	put_file("region_mine", "x", 1);
	ck_assert_int_eq(cim_store_delete(test_store, "a.cim"), 0);
	ck_assert(has_file("notes.txt"));
	ck_assert(has_file("region_mine"));
	ck_assert_uint_eq(count_files("", NULL), 2);
}
END_TEST

START_TEST(deleted_image_is_read_to_the_end_by_who_has_it_open)
{
	struct cim_image *img;

	make_image(NULL, "a.cim", "a");
	img = open_image("a.cim");
	ck_assert_int_eq(cim_store_delete(test_store, "a.cim"), 0);
	check_text(img, "f", "a");
	cim_image_unref(img);
}
END_TEST

START_TEST(delete_is_refused_while_a_writer_is_open)
{
	struct cim_writer *w;

	make_image(NULL, "a.cim", "a");
	w = open_writer(NULL, "b.cim");
	ck_assert_int_eq(cim_store_delete(test_store, "a.cim"), -CIM_ELOCKED);
	cim_writer_close(w);
	ck_assert_int_eq(cim_store_delete(test_store, "a.cim"), 0);
}
END_TEST

START_TEST(delete_is_refused_when_another_image_cannot_be_read)
{
	struct cim_common_disk head;

	make_image(NULL, "a.cim", "a");
	cim_common_encode(&head, CIM_FILE_IMAGE, sizeof(head));
	put_file("damaged.cim", &head, sizeof(head));
	g_autoptr(GHashTable) before = checksums();
	ck_assert_int_lt(cim_store_delete(test_store, "a.cim"), 0);
	ck_assert_msg(strstr(cim_reason(), "damaged.cim"), "\"%s\" does not name the image",
		      cim_reason());
	check_unchanged(before, NULL);
	/* The damaged one itself can go, and then the other. */
	ck_assert_int_eq(cim_store_delete(test_store, "damaged.cim"), 0);
	ck_assert_int_eq(cim_store_delete(test_store, "a.cim"), 0);
	ck_assert_uint_eq(count_files("", NULL), 0);
}
END_TEST

static const struct {
	const char *name;
	int expect;
} refusals[] = {
	{ "", -EINVAL },          { "..", -EINVAL },         { "x/a.cim", -EINVAL },
	{ "control", -EINVAL },   { "region_x", -EINVAL },   { ".cimfs-x", -EINVAL },
	{ "missing", -ENOENT },   { "text", -CIM_ECORRUPT }, { "link", -CIM_ECORRUPT },
	{ "dir", -CIM_ECORRUPT },
};

START_TEST(delete_refuses_what_is_no_image)
{
	make_image(NULL, "a.cim", "a");
	put_file("text", "x", 1);
	ck_assert_int_eq(symlinkat("a.cim", test_store->dirfd, "link"), 0);
	g_autoptr(GHashTable) before = checksums();
	ck_assert_int_eq(mkdirat(test_store->dirfd, "dir", 0755), 0);
	ck_assert_int_eq(cim_store_delete(test_store, refusals[_i].name), refusals[_i].expect);
	ck_assert_str_ne(cim_reason(), "");
	ck_assert(has_file("dir"));
	ck_assert_int_eq(unlinkat(test_store->dirfd, "dir", AT_REMOVEDIR), 0);
	check_unchanged(before, NULL);
}
END_TEST

/* The rest is done as an ordinary user, in a process that ends with it. */
static void as_nobody(int (*step)(void), int expect)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(255);
		_exit(-step());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), -expect);
}

static int delete_a(void)
{
	return cim_store_delete(test_store, "a.cim");
}

START_TEST(delete_needs_the_right_to_remove_files)
{
	if (geteuid() != 0)
		return;
	make_image(NULL, "a.cim", "a");
	ck_assert_int_eq(chmod(test_path, 0755), 0);
	as_nobody(delete_a, -EACCES);
	ck_assert(has_file("a.cim"));
	ck_assert_int_eq(chmod(test_path, 0777), 0);
	as_nobody(delete_a, 0);
	ck_assert_uint_eq(count_files("", NULL), 0);
}
END_TEST

START_TEST(references_are_those_of_all_images_but_one)
{
	GHashTable *sets;

	make_image(NULL, "a.cim", "a");
	make_image("a.cim", "b.cim", "b");
	make_image(NULL, "c.cim", "c");
	ck_assert_int_eq(cim_references(test_store, NULL, &sets), 0);
	ck_assert_uint_eq(g_hash_table_size(sets), 3);
	g_hash_table_unref(sets);
	ck_assert_int_eq(cim_references(test_store, "a.cim", &sets), 0);
	ck_assert_uint_eq(g_hash_table_size(sets), 3);
	g_hash_table_unref(sets);
	ck_assert_int_eq(cim_references(test_store, "b.cim", &sets), 0);
	ck_assert_uint_eq(g_hash_table_size(sets), 2);
	g_hash_table_unref(sets);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("store");
	TCase *checks = tcase_create("names");
	TCase *list = tcase_create("list");
	TCase *lock = tcase_create("lock");
	TCase *delete = tcase_create("delete");

	tcase_add_loop_test(checks, name_follows_the_rules, 0, N_ROWS(names));
	tcase_add_test(checks, name_has_255_bytes_at_most);

	tcase_add_checked_fixture(list, setup_dir, teardown_dir);
	tcase_add_test(list, store_needs_a_directory);
	tcase_add_test(list, list_of_an_empty_directory_is_empty);
	tcase_add_test(list, list_shows_images_only_and_sorted);
	tcase_add_test(list, list_shows_damaged_images);
	tcase_add_test(list, list_leaves_out_images_with_reserved_names);
	tcase_add_loop_test(list, is_image_only_of_a_regular_file_with_the_magic, 0,
			    N_ROWS(no_images));
	tcase_add_test(list, region_files_are_mapped_once_for_all_images);
	tcase_add_test(list, region_files_are_found_among_many_that_are_missing);
	tcase_add_test(list, store_lives_as_long_as_its_images);

	tcase_add_checked_fixture(lock, setup_dir, teardown_dir);
	tcase_add_test(lock, lock_is_held_until_it_is_closed);
	tcase_add_test(lock, lock_of_another_directory_is_another_lock);
	tcase_add_test(lock, lock_is_not_inherited_by_programs);
	tcase_add_test(lock, lock_of_another_process_names_it);
	tcase_add_test(lock, lock_goes_with_its_process);
	tcase_add_test(lock, lock_of_a_removed_directory_is_refused);
	tcase_add_test(lock, readers_do_not_lock);

	tcase_add_checked_fixture(delete, setup_dir, teardown_dir);
	tcase_add_test(delete, delete_removes_an_image_and_its_data);
	tcase_add_test(delete, delete_keeps_what_a_fork_needs);
	tcase_add_test(delete, delete_of_a_fork_keeps_its_base);
	tcase_add_test(delete, delete_leaves_other_files_alone);
	tcase_add_test(delete, deleted_image_is_read_to_the_end_by_who_has_it_open);
	tcase_add_test(delete, delete_is_refused_while_a_writer_is_open);
	tcase_add_test(delete, delete_is_refused_when_another_image_cannot_be_read);
	tcase_add_loop_test(delete, delete_refuses_what_is_no_image, 0, N_ROWS(refusals));
	tcase_add_test(delete, delete_needs_the_right_to_remove_files);
	tcase_add_test(delete, references_are_those_of_all_images_but_one);
	suite_add_tcase(s, checks);
	suite_add_tcase(s, list);
	suite_add_tcase(s, lock);
	suite_add_tcase(s, delete);
	return s;
}

int main(void)
{
	return test_run(suite());
}
