/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The digest of a tree: equal trees have equal ones, however they were made, and whatever differs
 * makes another.
 */
#include "config.h"

#include <sys/sysmacros.h>

#include "damage.h"
#include "imagedir.h"
#include "treehash.h"
#include "upcase.h"

#define TIME 133000000000000000ull

/* ---- trees ---- */

static int try_hash(const char *image, const char *path, bool windows, char ret[65])
{
	struct cim_tree_hash_options opt = { .windows = windows };
	struct cim_image *img = open_image(image);
	uint8_t digest[CIM_SHA256_SIZE];
	int r = cim_tree_hash(img, image_find(img, path), &opt, digest);

	for (size_t i = 0; r == 0 && i < sizeof(digest); i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
	cim_image_unref(img);
	return r;
}

static char *hash(const char *image)
{
	char text[65];
	int r = try_hash(image, "", false, text);

	ck_assert_msg(r == 0, "%s: %s", strerror(-r), cim_reason());
	return g_strdup(text);
}

static void check_equal(const char *a, const char *b)
{
	g_autofree char *x = hash(a), *y = hash(b);

	ck_assert_str_eq(x, y);
}

static void set_times(struct cim_writer *w, const char *path)
{
	struct cim_attr attr = { .written = TIME, .accessed = TIME };

	ck_assert_int_eq(
		cim_writer_set(w, find(w, path), CIM_SET_WRITTEN | CIM_SET_ACCESSED, &attr), 0);
}

static void set_xattr(struct cim_writer *w, const char *path, const char *name, const void *value,
		      size_t size)
{
	ck_assert_int_eq(cim_writer_set_xattr(w, find(w, path), name, value, size, 0), 0);
}

static const char *const paths[] = {
	"",     "b",    "a",       "a/x",    "a/y",   "large",  "holes", "zeros",
	"link", "name", "symlink", "device", "block", "socket", "fifo",
};

static void set_all_times(struct cim_writer *w)
{
	for (size_t i = 0; i < N_ROWS(paths); i++)
		set_times(w, paths[i]);
}

/* @reverse: the same in another order, so that file IDs and places are others */
static void fill(struct cim_writer *w, bool reverse)
{
	static const uint8_t zeros[200000];
	g_autofree uint8_t *large = pattern(300000, 7), *value = pattern(60000, 8);
	struct cim_make device = { .mode = S_IFCHR | 0600, .major = 4, .minor = 64 };
	struct cim_make block = { .mode = S_IFBLK | 0600, .major = 8, .minor = 1 };
	uint32_t id;

	if (reverse) {
		put_text(w, "not-for-long", "x");
		make_file(w, "socket", S_IFSOCK | 0644);
		ck_assert_int_eq(try_make_as(w, "block", &block, &id), 0);
		put(w, "large", large, 300000);
		put_text(w, "name", "linked");
		make_dir(w, "a");
		put_text(w, "a/y", "y");
		put_text(w, "a/x", "x");
		ck_assert_int_eq(try_link(w, "name", "link"), 0);
		ck_assert_int_eq(try_link(w, "name", "a/link"), 0);
		make_file(w, "fifo", S_IFIFO | 0644);
		set_xattr(w, "a/x", "user.one", "1", 1);
		set_xattr(w, "a/x", "user.big", value, 60000);
		set_xattr(w, "a/x", "user.bigger", large, 60000);
		ck_assert_int_eq(try_unlink(w, "not-for-long"), 0);
	} else {
		make_dir(w, "a");
		put_text(w, "a/x", "x");
		put_text(w, "a/y", "y");
		put_text(w, "a/link", "linked");
		ck_assert_int_eq(try_link(w, "a/link", "link"), 0);
		ck_assert_int_eq(try_link(w, "a/link", "name"), 0);
		put(w, "large", large, 300000);
		make_file(w, "fifo", S_IFIFO | 0644);
		make_file(w, "socket", S_IFSOCK | 0644);
		ck_assert_int_eq(try_make_as(w, "block", &block, &id), 0);
		set_xattr(w, "a/x", "user.bigger", large, 60000);
		set_xattr(w, "a/x", "user.big", value, 60000);
		set_xattr(w, "a/x", "user.one", "1", 1);
	}
	put_text(w, "b", "b");
	ck_assert_int_eq(try_make_as(w, "device", &device, &id), 0);
	make_link(w, "symlink", "a/x");
	put(w, "zeros", zeros, sizeof(zeros));
	id = put_text(w, "holes", "x");
	ck_assert_int_eq(try_truncate(w, id, 1000000), 0);
	write_at(w, id, 700001, "data", 4);
	set_all_times(w);
}

static void make_tree(const char *existing, const char *name, bool reverse)
{
	struct cim_writer *w = open_writer(existing, name);

	fill(w, reverse);
	commit(w);
}

/* ---- equal ---- */

START_TEST(same_image_has_the_same_digest)
{
	make_tree(NULL, "a.cim", false);
	check_equal("a.cim", "a.cim");
}
END_TEST

START_TEST(order_of_making_does_not_matter)
{
	make_tree(NULL, "a.cim", false);
	make_tree(NULL, "b.cim", true);
	check_equal("a.cim", "b.cim");
}
END_TEST

START_TEST(fork_without_changes_is_equal)
{
	make_tree(NULL, "a.cim", false);
	commit(open_writer("a.cim", "b.cim"));
	check_equal("a.cim", "b.cim");
}
END_TEST

START_TEST(fork_that_gets_everything_is_equal)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");

	put_text(w, "other", "other");
	commit(w);
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(try_unlink(w, "other"), 0);
	fill(w, true);
	commit(w);
	make_tree(NULL, "c.cim", false);
	check_equal("b.cim", "c.cim");
}
END_TEST

/* ---- different ---- */

static void change_attr(struct cim_writer *w, const char *path, unsigned int what,
			struct cim_attr attr)
{
	ck_assert_int_eq(cim_writer_set(w, find(w, path), what, &attr), 0);
}

static void change_mode(struct cim_writer *w)
{
	change_attr(w, "b", CIM_SET_MODE, (struct cim_attr){ .posix.mode = 04644 });
}

static void change_uid(struct cim_writer *w)
{
	change_attr(w, "b", CIM_SET_UID, (struct cim_attr){ .posix.uid = 77 });
}

static void change_gid(struct cim_writer *w)
{
	change_attr(w, "b", CIM_SET_GID, (struct cim_attr){ .posix.gid = 77 });
}

static void change_time(struct cim_writer *w)
{
	change_attr(w, "b", CIM_SET_WRITTEN, (struct cim_attr){ .written = TIME + 1 });
}

static void change_root(struct cim_writer *w)
{
	change_attr(w, "", CIM_SET_WRITTEN, (struct cim_attr){ .written = TIME + 1 });
}

static void change_mode_of_a_directory(struct cim_writer *w)
{
	change_attr(w, "a", CIM_SET_MODE, (struct cim_attr){ .posix.mode = 0700 });
}

static void change_data(struct cim_writer *w)
{
	write_at(w, find(w, "large"), 299999, "?", 1);
}

static void change_small_data(struct cim_writer *w)
{
	write_at(w, find(w, "b"), 0, "?", 1);
}

static void change_hole(struct cim_writer *w)
{
	write_at(w, find(w, "holes"), 500000, "?", 1);
}

static void change_size(struct cim_writer *w)
{
	ck_assert_int_eq(try_truncate(w, find(w, "holes"), 1000001), 0);
}

static void change_size_of_zeros(struct cim_writer *w)
{
	ck_assert_int_eq(try_truncate(w, find(w, "zeros"), 200001), 0);
}

static void change_name(struct cim_writer *w)
{
	ck_assert_int_eq(try_rename(w, "b", "c", 0), 0);
}

static void change_place(struct cim_writer *w)
{
	ck_assert_int_eq(try_rename(w, "b", "a/b", 0), 0);
}

static void change_target(struct cim_writer *w)
{
	ck_assert_int_eq(try_unlink(w, "symlink"), 0);
	make_link(w, "symlink", "a/y");
}

static void change_device(struct cim_writer *w)
{
	struct cim_make device = { .mode = S_IFCHR | 0600, .major = 4, .minor = 65 };
	uint32_t id;

	ck_assert_int_eq(try_unlink(w, "device"), 0);
	ck_assert_int_eq(try_make_as(w, "device", &device, &id), 0);
}

static void change_device_type(struct cim_writer *w)
{
	struct cim_make device = { .mode = S_IFBLK | 0600, .major = 4, .minor = 64 };
	uint32_t id;

	ck_assert_int_eq(try_unlink(w, "device"), 0);
	ck_assert_int_eq(try_make_as(w, "device", &device, &id), 0);
}

static void change_type(struct cim_writer *w)
{
	ck_assert_int_eq(try_unlink(w, "fifo"), 0);
	make_file(w, "fifo", S_IFSOCK | 0644);
}

static void change_to_a_copy(struct cim_writer *w)
{
	ck_assert_int_eq(try_unlink(w, "link"), 0);
	put_text(w, "link", "linked");
}

static void change_which_is_linked(struct cim_writer *w)
{
	ck_assert_int_eq(try_unlink(w, "a/y"), 0);
	ck_assert_int_eq(try_link(w, "a/x", "a/y"), 0);
}

static void change_xattr_value(struct cim_writer *w)
{
	set_xattr(w, "a/x", "user.one", "2", 1);
}

static void change_xattr_name(struct cim_writer *w)
{
	ck_assert_int_eq(cim_writer_remove_xattr(w, find(w, "a/x"), "user.one"), 0);
	set_xattr(w, "a/x", "user.two", "1", 1);
}

static void remove_xattr(struct cim_writer *w)
{
	ck_assert_int_eq(cim_writer_remove_xattr(w, find(w, "a/x"), "user.one"), 0);
}

static void change_stream(struct cim_writer *w)
{
	g_autofree uint8_t *value = pattern(60000, 9);

	set_xattr(w, "a/x", "user.big", value, 60000);
}

static void add_xattr_to_a_directory(struct cim_writer *w)
{
	set_xattr(w, "a", "trusted.x", "", 0);
}

static void add_empty_directory(struct cim_writer *w)
{
	make_dir(w, "a/none");
}

static void remove_file(struct cim_writer *w)
{
	ck_assert_int_eq(try_unlink(w, "a/y"), 0);
}

#define CHANGE(f)     \
	{             \
#f, f \
	}
static const struct change {
	const char *name;
	void (*make)(struct cim_writer *w);
} changes[] = {
	CHANGE(change_mode),
	CHANGE(change_uid),
	CHANGE(change_gid),
	CHANGE(change_time),
	CHANGE(change_root),
	CHANGE(change_mode_of_a_directory),
	CHANGE(change_data),
	CHANGE(change_small_data),
	CHANGE(change_hole),
	CHANGE(change_size),
	CHANGE(change_size_of_zeros),
	CHANGE(change_name),
	CHANGE(change_place),
	CHANGE(change_target),
	CHANGE(change_device),
	CHANGE(change_device_type),
	CHANGE(change_type),
	CHANGE(change_to_a_copy),
	CHANGE(change_which_is_linked),
	CHANGE(change_xattr_value),
	CHANGE(change_xattr_name),
	CHANGE(remove_xattr),
	CHANGE(change_stream),
	CHANGE(add_xattr_to_a_directory),
	CHANGE(add_empty_directory),
	CHANGE(remove_file),
};

static void set_times_that_are_there(struct cim_writer *w, const char *but)
{
	uint32_t id;

	for (size_t i = 0; i < N_ROWS(paths); i++)
		if (g_strcmp0(paths[i], but) != 0 && try_find(w, paths[i], &id) == 0)
			set_times(w, paths[i]);
}

/* With all times as they were, so that nothing but the change shows. */
START_TEST(each_change_changes_the_digest)
{
	const struct change *c = &changes[_i];
	struct cim_writer *w;

	make_tree(NULL, "a.cim", false);
	w = open_writer("a.cim", "b.cim");
	c->make(w);
	set_times_that_are_there(w, c->make == change_time   ? "b"
				    : c->make == change_root ? ""
							     : NULL);
	commit(w);
	g_autofree char *x = hash("a.cim"), *y = hash("b.cim");
	ck_assert_msg(strcmp(x, y) != 0, "%s does not show", c->name);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("treehash");
	TCase *equal = tcase_create("equal"), *different = tcase_create("different");

	tcase_add_checked_fixture(equal, setup_dir, teardown_dir);
	tcase_add_test(equal, same_image_has_the_same_digest);
	tcase_add_test(equal, order_of_making_does_not_matter);
	tcase_add_test(equal, fork_without_changes_is_equal);
	tcase_add_test(equal, fork_that_gets_everything_is_equal);
	suite_add_tcase(s, equal);
	tcase_add_checked_fixture(different, setup_dir, teardown_dir);
	tcase_add_loop_test(different, each_change_changes_the_digest, 0, N_ROWS(changes));
	suite_add_tcase(s, different);
	return s;
}

int main(void)
{
	return test_run(suite());
}
