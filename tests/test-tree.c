/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tree of a writer: files of every type, their names, what removing leaves, and attributes.
 *
 * Trees are checked as they are staged and again in the image that a commit makes of them.
 */
#include "config.h"

#include "imagedir.h"
#include "writer.h"

#define MIB (1024 * 1024)

/* ---- making files ---- */

static const uint32_t types[] = { S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK };

START_TEST(file_of_any_type_is_made)
{
	struct cim_make make = { .mode = types[_i] | 07741,
				 .uid = 1000,
				 .gid = 4000000000u,
				 .major = 259,
				 .minor = 0xFFFFF,
				 .target = "some/where" };
	struct cim_writer *w = open_writer(NULL, "a.cim");
	bool is_device = types[_i] == S_IFCHR || types[_i] == S_IFBLK;
	uint32_t mode = types[_i] == S_IFLNK ? S_IFLNK | 0777 : make.mode, id = 0;
	struct cim_attr staged, attr;

	ck_assert_int_eq(try_make_as(w, "x", &make, &id), 0);
	ck_assert_uint_eq(find(w, "x"), id);
	staged = attr_of(w, id);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	attr = image_attr(img, "x");
	cim_image_unref(img);
	const struct cim_attr *both[] = { &staged, &attr };
	for (size_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(both[i]->posix.mode, mode);
		ck_assert_uint_eq(both[i]->posix.uid, 1000);
		ck_assert_uint_eq(both[i]->posix.gid, 4000000000u);
		ck_assert_uint_eq(both[i]->posix.major, is_device ? 259 : 0);
		ck_assert_uint_eq(both[i]->posix.minor, is_device ? 0xFFFFF : 0);
		ck_assert_uint_eq(both[i]->posix.n_links, 1);
		ck_assert_uint_eq(both[i]->size, types[_i] == S_IFLNK ? 10 : 0);
	}
	ck_assert_uint_eq(attr.created, staged.created);
	ck_assert_uint_eq(attr.written, staged.written);
	ck_assert_uint_eq(attr.changed, staged.changed);
	ck_assert_uint_eq(attr.accessed, staged.accessed);
}
END_TEST

START_TEST(make_refuses_what_may_not_be)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_make file = { .mode = S_IFREG | 0644 }, link = { .mode = S_IFLNK, .target = "" };
	g_autofree char *longest = g_strnfill(4095, 'x'), *too_long = g_strnfill(4096, 'x');
	g_autofree char *name = g_strnfill(256, 'n');
	uint32_t root = cim_writer_root(w), id;

	put_text(w, "f", "f");
	ck_assert_int_eq(try_make(w, "f", S_IFREG), -EEXIST);
	ck_assert_int_eq(try_make(w, "f", S_IFDIR), -EEXIST);
	ck_assert_int_eq(try_make(w, "x", 0xF000), -EINVAL);
	ck_assert_int_eq(try_make(w, "f/x", S_IFREG), -ENOTDIR);
	ck_assert_int_eq(cim_writer_make(w, 99, "x", 1, &file, &id), -ESTALE);
	ck_assert_int_eq(cim_writer_make(w, root, name, 256, &file, &id), -ENAMETOOLONG);
	ck_assert_int_eq(cim_writer_make(w, root, "a/b", 3, &file, &id), -EINVAL);
	ck_assert_int_lt(cim_writer_make(w, root, "", 0, &file, &id), 0);
	ck_assert_int_lt(cim_writer_make(w, root, "..", 2, &file, &id), 0);
	ck_assert_int_eq(try_make_as(w, "l", &link, &id), -ENOENT);
	link.target = too_long;
	ck_assert_int_eq(try_make_as(w, "l", &link, &id), -ENAMETOOLONG);
	link.target = longest;
	ck_assert_int_eq(try_make_as(w, "l", &link, &id), 0);
	ck_assert_int_eq(cim_writer_make(w, root, name, 255, &file, &id), 0);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	char target[CIM_SYMLINK_MAX + 1];
	ck_assert_int_eq(cim_file_readlink(img, image_find(img, "l"), target), 4095);
	ck_assert_str_eq(target, longest);
	cim_image_unref(img);
}
END_TEST

START_TEST(umask_is_taken_from_new_files)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_make make = { .mode = S_IFREG | 0666, .umask = 027 };
	uint32_t id;

	ck_assert_int_eq(try_make_as(w, "f", &make, &id), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFREG | 0640);
	make.mode = S_IFDIR | 0777;
	ck_assert_int_eq(try_make_as(w, "d", &make, &id), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFDIR | 0750);
	cim_writer_close(w);
}
END_TEST

START_TEST(set_group_id_directory_hands_its_group_on)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_make make = { .mode = S_IFDIR | 02775, .uid = 1, .gid = 100 };
	uint32_t id;

	ck_assert_int_eq(try_make_as(w, "d", &make, &id), 0);
	make.gid = 5;
	make.mode = S_IFREG | 0644;
	ck_assert_int_eq(try_make_as(w, "d/f", &make, &id), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.gid, 100);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFREG | 0644);
	make.mode = S_IFDIR | 0755;
	ck_assert_int_eq(try_make_as(w, "d/e", &make, &id), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.gid, 100);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFDIR | 02755);
	cim_writer_close(w);
}
END_TEST

START_TEST(making_a_file_touches_its_directory)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_attr old = { .written = 1000, .changed = 1000 };
	uint32_t root = cim_writer_root(w);

	ck_assert_int_eq(cim_writer_set(w, root, CIM_SET_WRITTEN | CIM_SET_CHANGED, &old), 0);
	ck_assert_uint_eq(attr_of(w, root).written, 1000);
	put_text(w, "f", "f");
	ck_assert_uint_gt(attr_of(w, root).written, 1000);
	ck_assert_uint_eq(attr_of(w, root).changed, attr_of(w, root).written);
	cim_writer_close(w);
}
END_TEST

/* ---- names ---- */

START_TEST(link_gives_a_file_another_name)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = put_text(w, "f", "text");

	make_dir(w, "d");
	ck_assert_int_eq(try_link(w, "f", "d/g"), 0);
	ck_assert_uint_eq(find(w, "d/g"), id);
	ck_assert_uint_eq(attr_of(w, id).posix.n_links, 2);
	ck_assert_int_eq(try_link(w, "f", "d/g"), -EEXIST);
	ck_assert_int_eq(try_link(w, "d", "e"), -EPERM);
	ck_assert_int_eq(try_unlink(w, "f"), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.n_links, 1);
	ck_assert_int_eq(try_link(w, "d/g", "h"), 0);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	ck_assert_uint_eq(image_find(img, "h"), image_find(img, "d/g"));
	ck_assert_uint_eq(image_attr(img, "h").posix.n_links, 2);
	check_text(img, "h", "text");
	cim_image_unref(img);
}
END_TEST

/* To Windows a symlink to a directory is a directory, which has one name: not those with two. */
START_TEST(symlink_to_a_directory_is_windows_own_only_with_one_name)
{
	struct cim_writer *w = open_writer(NULL, "base");
	char target[CIM_SYMLINK_MAX + 1];

	make_dir(w, "d");
	make_link(w, "one", "d");
	make_link(w, "two", "d");
	ck_assert_int_eq(try_link(w, "two", "two-too"), 0);
	commit(w);

	struct cim_image *img = open_image("base");
	ck_assert_uint_eq(image_entry(img, "one").reparse_tag, CIM_TAG_SYMLINK);
	ck_assert_int_eq(image_entry(img, "one").data.type, CIM_STREAM_LINKS);
	ck_assert_uint_eq(image_entry(img, "two").reparse_tag, CIM_TAG_LX_SYMLINK);
	ck_assert_int_eq(image_entry(img, "two").data.type, CIM_STREAM_DATA);
	cim_image_unref(img);

	/* One of the base that gets another changes. */
	w = open_writer("base", "fork");
	ck_assert_int_eq(try_link(w, "one", "one-too"), 0);
	ck_assert_int_eq(cim_writer_readlink(w, find(w, "one"), target), 1);
	ck_assert_str_eq(target, "d");
	commit(w);
	img = open_image("fork");
	ck_assert_uint_eq(image_entry(img, "one-too").reparse_tag, CIM_TAG_LX_SYMLINK);
	ck_assert_int_eq(image_entry(img, "one-too").data.type, CIM_STREAM_DATA);
	ck_assert_int_eq(cim_file_readlink(img, image_find(img, "one"), target), 1);
	ck_assert_str_eq(target, "d");
	ck_assert_uint_eq(image_attr(img, "one").posix.n_links, 2);
	cim_image_unref(img);
}
END_TEST

START_TEST(removing_answers_as_posix_says)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");

	make_dir(w, "d");
	put_text(w, "d/f", "f");
	put_text(w, "g", "g");
	ck_assert_int_eq(try_unlink(w, "d"), -EISDIR);
	ck_assert_int_eq(try_rmdir(w, "d"), -ENOTEMPTY);
	ck_assert_int_eq(try_rmdir(w, "g"), -ENOTDIR);
	ck_assert_int_eq(try_unlink(w, "x"), -ENOENT);
	ck_assert_int_eq(try_rmdir(w, "x"), -ENOENT);
	ck_assert_int_eq(try_unlink(w, "d/f"), 0);
	ck_assert_int_eq(try_rmdir(w, "d"), 0);
	ck_assert_int_eq(try_unlink(w, "g"), 0);
	ck_assert_int_eq(try_find(w, "g", &(uint32_t){ 0 }), -ENOENT);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	ck_assert_uint_eq(image_entry(img, "").data.size, 0);
	ck_assert_uint_eq(cim_image_last_id(img), 1);
	cim_image_unref(img);
}
END_TEST

START_TEST(removed_directory_takes_no_files)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_make make = { .mode = S_IFREG };
	uint32_t dir = make_dir(w, "d"), id;

	cim_writer_ref(w, dir);
	ck_assert_int_eq(try_rmdir(w, "d"), 0);
	ck_assert_int_eq(cim_writer_make(w, dir, "f", 1, &make, &id), -ENOENT);
	cim_writer_unref(w, dir, 1);
	ck_assert_int_eq(cim_writer_attr(w, dir, &(struct cim_attr){ 0 }), -ESTALE);
	cim_writer_close(w);
}
END_TEST

START_TEST(unlinked_file_lives_while_it_is_open)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = put_text(w, "f", "hello");

	ck_assert_int_eq(cim_writer_open_file(w, id, CIM_OPEN_WRITE), 0);
	ck_assert_int_eq(try_unlink(w, "f"), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.n_links, 0);
	check_staged(w, id, "hello", 5);
	ck_assert_int_eq(cim_writer_write(w, id, 5, " world", 6), 6);
	check_staged(w, id, "hello world", 11);
	put_text(w, "f", "another");
	check_staged(w, id, "hello world", 11);
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	ck_assert_int_eq(cim_writer_attr(w, id, &(struct cim_attr){ 0 }), -ESTALE);
	commit(w);
	check_image_text("a.cim", "f", "another");
}
END_TEST

/* A writer whose base has a file "f" of the text "base", which is open to be read. */
static struct cim_writer *open_fork_and_reader(uint32_t *ret_id)
{
	struct cim_writer *w;

	make_image(NULL, "a.cim", "base");
	w = open_writer("a.cim", "b.cim");
	*ret_id = find(w, "f");
	ck_assert_int_eq(cim_writer_open_file(w, *ret_id, 0), 0);
	return w;
}

START_TEST(unlinked_file_of_the_base_lives_while_it_is_open_to_read)
{
	uint32_t id;
	struct cim_writer *w = open_fork_and_reader(&id);

	ck_assert_int_eq(try_unlink(w, "f"), 0);
	check_staged(w, id, "base", 4);
	cim_writer_close_file(w, id, 0);
	commit(w);
}
END_TEST

START_TEST(unlinked_file_of_the_base_keeps_what_was_written_while_it_is_open)
{
	uint32_t id;
	struct cim_writer *w = open_fork_and_reader(&id);

	/* The reader was there before the file was touched, and who writes has gone. */
	write_at(w, id, 0, "BASE", 4);
	ck_assert_int_eq(try_unlink(w, "f"), 0);
	check_staged(w, id, "BASE", 4);
	cim_writer_close_file(w, id, 0);
	commit(w);
}
END_TEST

START_TEST(reader_that_leaves_does_not_end_a_writer)
{
	uint32_t id;
	struct cim_writer *w = open_fork_and_reader(&id);

	ck_assert_int_eq(cim_writer_open_file(w, id, CIM_OPEN_WRITE), 0);
	ck_assert_int_eq(try_unlink(w, "f"), 0);
	ck_assert_int_eq(cim_writer_write(w, id, 4, "!", 1), 1);
	cim_writer_close_file(w, id, 0);
	check_staged(w, id, "base!", 5);
	ck_assert_int_eq(cim_writer_write(w, id, 5, "!", 1), 1);
	check_staged(w, id, "base!!", 6);
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	commit(w);
}
END_TEST

static int collect_name(void *arg, const char *name, size_t n, uint32_t id)
{
	GHashTable *names = arg;

	ck_assert(g_hash_table_insert(names, g_strndup(name, n), GUINT_TO_POINTER(id)));
	return 0;
}

START_TEST(list_shows_every_name_once)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	put_text(w, "stays", "1");
	put_text(w, "goes", "2");
	put_text(w, "returns", "3");
	put_text(w, "moves", "4");
	commit(w);
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(cim_writer_list(w, cim_writer_root(w), collect_name, names), 0);
	ck_assert_uint_eq(g_hash_table_size(names), 4);
	g_hash_table_remove_all(names);
	put_text(w, "comes", "5");
	ck_assert_int_eq(try_unlink(w, "goes"), 0);
	ck_assert_int_eq(try_unlink(w, "returns"), 0);
	uint32_t id = put_text(w, "returns", "6");
	ck_assert_int_eq(try_rename(w, "moves", "moved", 0), 0);
	put_text(w, "short-lived", "7");
	ck_assert_int_eq(try_unlink(w, "short-lived"), 0);
	ck_assert_int_eq(cim_writer_list(w, cim_writer_root(w), collect_name, names), 0);
	ck_assert_uint_eq(g_hash_table_size(names), 4);
	ck_assert_uint_eq(GPOINTER_TO_UINT(g_hash_table_lookup(names, "returns")), id);
	ck_assert(g_hash_table_contains(names, "stays") && g_hash_table_contains(names, "comes") &&
		  g_hash_table_contains(names, "moved"));
	ck_assert_int_eq(cim_writer_list(w, id, collect_name, names), -ENOTDIR);
	cim_writer_close(w);
}
END_TEST

START_TEST(directory_size_is_that_of_its_table)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t root = cim_writer_root(w);

	put_text(w, "a", "1");
	put_text(w, "bcd", "2");
	put_text(w, "gone", "3");
	ck_assert_int_eq(try_unlink(w, "gone"), 0);
	uint64_t size = attr_of(w, root).size;
	commit(w);
	struct cim_image *img = open_image("a.cim");
	ck_assert_uint_eq(image_attr(img, "").size, size);
	cim_image_unref(img);
}
END_TEST

/* ---- attributes ---- */

START_TEST(attributes_are_kept_to_the_tick)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_attr set = { .posix = { .mode = 04711, .uid = 7, .gid = 8 },
				.accessed = 1,
				.written = 116444736000000001,
				.changed = INT64_MAX,
				.created = 12345678901234567 };
	unsigned int all = CIM_SET_MODE | CIM_SET_UID | CIM_SET_GID | CIM_SET_ACCESSED |
			   CIM_SET_WRITTEN | CIM_SET_CHANGED | CIM_SET_CREATED;
	uint32_t id = put_text(w, "f", "text");

	ck_assert_int_eq(cim_writer_set(w, id, all, &set), 0);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	struct cim_attr attr = image_attr(img, "f");
	ck_assert_uint_eq(attr.posix.mode, S_IFREG | 04711);
	ck_assert_uint_eq(attr.posix.uid, 7);
	ck_assert_uint_eq(attr.posix.gid, 8);
	ck_assert_uint_eq(attr.accessed, set.accessed);
	ck_assert_uint_eq(attr.written, set.written);
	ck_assert_uint_eq(attr.changed, set.changed);
	ck_assert_uint_eq(attr.created, set.created);
	check_text(img, "f", "text");
	cim_image_unref(img);
}
END_TEST

START_TEST(attributes_that_cannot_be_are_refused)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_attr attr = { .posix = { .uid = CIM_ID_INVALID, .gid = CIM_ID_INVALID },
				 .size = UINT64_MAX };
	uint32_t id = put_text(w, "f", "f"), dir = make_dir(w, "d"),
		 fifo = make_file(w, "p", S_IFIFO);

	ck_assert_int_eq(cim_writer_set(w, id, CIM_SET_UID, &attr), -EINVAL);
	ck_assert_int_eq(cim_writer_set(w, id, CIM_SET_GID, &attr), -EINVAL);
	ck_assert_int_eq(cim_writer_set(w, id, CIM_SET_SIZE, &attr), -EFBIG);
	check_staged(w, id, "f", 1);
	ck_assert_int_eq(try_truncate(w, dir, 0), -EISDIR);
	ck_assert_int_eq(try_truncate(w, fifo, 0), -EINVAL);
	ck_assert_int_eq(try_truncate(w, 99, 0), -ESTALE);
	cim_writer_close(w);
}
END_TEST

START_TEST(change_of_an_attribute_copies_no_data)
{
	g_autofree uint8_t *data = pattern(4 * MIB, 1);
	struct cim_attr attr = { .posix.mode = 0600 };
	struct cim_writer *w = open_writer(NULL, "a.cim");

	put(w, "f", data, 4 * MIB);
	commit(w);
	uint64_t before = region_bytes();
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(cim_writer_set(w, find(w, "f"), CIM_SET_MODE, &attr), 0);
	commit(w);
	ck_assert_uint_lt(region_bytes() - before, 32 * 1024);
	struct cim_image *img = open_image("b.cim");
	ck_assert_uint_eq(image_attr(img, "f").posix.mode, S_IFREG | 0600);
	check_content(img, "f", data, 4 * MIB);
	cim_image_unref(img);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("tree");
	TCase *files = tcase_create("files");
	TCase *names = tcase_create("names");
	TCase *attributes = tcase_create("attributes");

	tcase_add_checked_fixture(files, setup_dir, teardown_dir);
	tcase_add_loop_test(files, file_of_any_type_is_made, 0, N_ROWS(types));
	tcase_add_test(files, make_refuses_what_may_not_be);
	tcase_add_test(files, umask_is_taken_from_new_files);
	tcase_add_test(files, set_group_id_directory_hands_its_group_on);
	tcase_add_test(files, making_a_file_touches_its_directory);
	suite_add_tcase(s, files);
	tcase_add_checked_fixture(names, setup_dir, teardown_dir);
	tcase_add_test(names, link_gives_a_file_another_name);
	tcase_add_test(names, symlink_to_a_directory_is_windows_own_only_with_one_name);
	tcase_add_test(names, removing_answers_as_posix_says);
	tcase_add_test(names, removed_directory_takes_no_files);
	tcase_add_test(names, unlinked_file_lives_while_it_is_open);
	tcase_add_test(names, unlinked_file_of_the_base_lives_while_it_is_open_to_read);
	tcase_add_test(names, unlinked_file_of_the_base_keeps_what_was_written_while_it_is_open);
	tcase_add_test(names, reader_that_leaves_does_not_end_a_writer);
	tcase_add_test(names, list_shows_every_name_once);
	tcase_add_test(names, directory_size_is_that_of_its_table);
	suite_add_tcase(s, names);
	tcase_add_checked_fixture(attributes, setup_dir, teardown_dir);
	tcase_add_test(attributes, attributes_are_kept_to_the_tick);
	tcase_add_test(attributes, attributes_that_cannot_be_are_refused);
	tcase_add_test(attributes, change_of_an_attribute_copies_no_data);
	suite_add_tcase(s, attributes);
	return s;
}

int main(void)
{
	return test_run(suite());
}
