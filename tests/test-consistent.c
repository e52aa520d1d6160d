/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Consistent images: the same tree gives the same bytes, however and whenever it was made.
 */
#include "config.h"

#include "commit.h"
#include "delete.h"
#include "imagedir.h"

#define N_FILES 60

static struct cim_writer *open_consistent(const char *existing, const char *new_name)
{
	struct cim_writer *w = open_writer(existing, new_name);

	cim_writer_make_consistent(w);
	return w;
}

/* What file number @i is; of a few sizes, some of them twice. */
static void make_one(struct cim_writer *w, uint32_t i)
{
	static const size_t sizes[] = { 0, 1, 100, 16384, 16385, 70000, 2000000 };
	g_autofree char *path = g_strdup_printf("d%u/%s%u", i % 3, i % 2 ? "f" : "F", i);
	size_t size = sizes[i % N_ROWS(sizes)];
	g_autofree uint8_t *data = pattern(size, i % 40);
	uint32_t id = put(w, path, data, size);

	if (i % 5 == 0)
		ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.number", &i, sizeof(i), 0), 0);
	if (i % 7 == 0)
		ck_assert_int_eq(
			cim_writer_set_xattr(w, id, "user.large", data, MIN(size, 65536), 0), 0);
	if (i % 11 == 0)
		write_at(w, id, 5000000, "end", 3);
}

/* The same tree, its files in an order of the seed's; others come and go on the way. */
static void make_tree(struct cim_writer *w, uint64_t seed)
{
	struct test_random r = { seed };
	uint32_t order[N_FILES];

	for (uint32_t i = 0; i < N_FILES; i++)
		order[i] = i;
	for (uint32_t i = N_FILES - 1; i > 0; i--) {
		uint32_t k = (uint32_t)test_random_below(&r, i + 1), other = order[k];

		order[k] = order[i];
		order[i] = other;
	}
	for (uint32_t i = 0; i < 3; i++)
		make_dir(w, (const char *[]){ "d0", "d1", "d2" }[seed % 2 ? i : 2 - i]);
	for (uint32_t i = 0; i < N_FILES; i++) {
		make_one(w, order[i]);
		if (test_random_below(&r, 4) == 0) {
			put_text(w, "d0/passing", "gone again");
			ck_assert_int_eq(try_unlink(w, "d0/passing"), 0);
		}
	}
	make_link(w, "link", "d0/F0");
	ck_assert_int_eq(try_link(w, "d1/f1", seed % 2 ? "another" : "third"), 0);
	ck_assert_int_eq(try_link(w, "d1/f1", seed % 2 ? "third" : "another"), 0);
}

static void check_same(GHashTable *a, GHashTable *b)
{
	gpointer name, sum;
	GHashTableIter it;

	ck_assert_uint_eq(g_hash_table_size(a), g_hash_table_size(b));
	g_hash_table_iter_init(&it, a);
	while (g_hash_table_iter_next(&it, &name, &sum))
		ck_assert_msg(g_strcmp0(g_hash_table_lookup(b, name), sum) == 0,
			      "\"%s\" is missing or another", (char *)name);
}

static void commit_tree(uint64_t seed)
{
	struct cim_writer *w = open_consistent(NULL, "a.cim");

	make_tree(w, seed);
	commit(w);
	w = open_consistent("a.cim", "b.cim");
	put_text(w, seed % 2 ? "d0/new1" : "d0/new2", "1");
	put_text(w, seed % 2 ? "d0/new2" : "d0/new1", "1");
	ck_assert_int_eq(try_unlink(w, "d0/F0"), 0);
	commit(w);
}

START_TEST(same_tree_gives_the_same_bytes)
{
	uint64_t seed = test_seed(4711) + (uint64_t)_i;

	printf("# seed %llu\n", (unsigned long long)seed);
	commit_tree(1);
	g_autoptr(GHashTable) first = checksums();
	teardown_dir();
	setup_dir();
	commit_tree(seed);
	g_autoptr(GHashTable) second = checksums();
	check_same(first, second);
}
END_TEST

static int full_disk(enum cim_commit_step step)
{
	return step == CIM_COMMIT_ENCODED ? -ENOSPC : 0;
}

/* The first commit fails after all of it was encoded. */
START_TEST(commit_that_is_tried_again_gives_the_same_bytes)
{
	struct cim_writer *w = open_consistent(NULL, "a.cim");

	make_tree(w, 1);
	commit(w);
	g_autoptr(GHashTable) first = checksums();
	teardown_dir();
	setup_dir();
	w = open_consistent(NULL, "a.cim");
	make_tree(w, 2);
	put_text(w, "zz", "not in the first");
	cim_commit_test_hook = full_disk;
	ck_assert_int_eq(cim_writer_commit(w), -ENOSPC);
	cim_commit_test_hook = NULL;
	ck_assert_int_eq(try_unlink(w, "zz"), 0);
	commit(w);
	g_autoptr(GHashTable) second = checksums();
	check_same(first, second);
}
END_TEST

START_TEST(same_image_under_another_name_shares_its_data)
{
	struct cim_writer *w = open_consistent(NULL, "a.cim");

	make_tree(w, 1);
	commit(w);
	unsigned int n = count_files("", NULL);
	g_autoptr(GHashTable) before = checksums();
	w = open_consistent(NULL, "b.cim");
	make_tree(w, 2);
	commit(w);
	ck_assert_uint_eq(count_files("", NULL), n + 1);
	check_unchanged(before, NULL);
	ck_assert_int_eq(cim_store_delete(test_store, "a.cim"), 0);
	ck_assert_uint_eq(count_files("", NULL), n);
	struct cim_image *img = open_image("b.cim");
	g_autofree uint8_t *data = pattern(100, 2);
	check_content(img, "d2/F2", data, 100);
	cim_image_unref(img);
}
END_TEST

START_TEST(set_with_other_bytes_is_not_overwritten_or_used)
{
	struct cim_writer *w = open_consistent(NULL, "a.cim");
	g_autofree char *region = NULL;
	const char *name;

	make_tree(w, 1);
	commit(w);
	GDir *dir = g_dir_open(test_path, 0, NULL);
	while (!region && (name = g_dir_read_name(dir)))
		if (g_str_has_prefix(name, "region_") && g_str_has_suffix(name, "_1"))
			region = path_of(name);
	g_dir_close(dir);
	ck_assert_int_eq(chmod(region, 0600), 0);
	int fd = open(region, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "x", 1, 5000), 1);
	ck_assert_int_eq(close(fd), 0);
	g_autoptr(GHashTable) before = checksums();
	unsigned int n = count_files("", NULL);
	w = open_consistent(NULL, "b.cim");
	make_tree(w, 2);
	ck_assert_int_eq(cim_writer_commit(w), -CIM_ECORRUPT);
	ck_assert(strstr(cim_reason(), "_1"));
	cim_writer_close(w);
	check_unchanged(before, NULL);
	ck_assert_uint_eq(count_files("", NULL), n);
}
END_TEST

START_TEST(times_are_those_that_are_given)
{
	struct cim_writer *w = open_consistent(NULL, "a.cim");
	struct cim_attr attr = { .written = 42 };
	uint32_t id = put_text(w, "f", "text");

	ck_assert_uint_eq(attr_of(w, id).written, CIM_TICKS_UNIX);
	ck_assert_int_eq(cim_writer_set(w, id, CIM_SET_WRITTEN, &attr), 0);
	ck_assert_int_eq(try_link(w, "f", "g"), 0);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	ck_assert_uint_eq(image_attr(img, "f").written, 42);
	ck_assert_uint_eq(image_attr(img, "f").changed, CIM_TICKS_UNIX);
	ck_assert_uint_eq(image_attr(img, "").written, CIM_TICKS_UNIX);
	ck_assert_uint_eq(image_attr(img, "").posix.uid, 0);
	cim_image_unref(img);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("consistent");
	TCase *tc = tcase_create("consistent");

	tcase_add_checked_fixture(tc, setup_dir, teardown_dir);
	tcase_add_loop_test(tc, same_tree_gives_the_same_bytes, 0, 4);
	tcase_add_test(tc, commit_that_is_tried_again_gives_the_same_bytes);
	tcase_add_test(tc, same_image_under_another_name_shares_its_data);
	tcase_add_test(tc, set_with_other_bytes_is_not_overwritten_or_used);
	tcase_add_test(tc, times_are_those_that_are_given);
	suite_add_tcase(suite, tc);
	return test_run(suite);
}
