/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The checker: what is whole has no finding, what an image claims costs nothing, and whoever is
 * told can end it.  test-fsck-fields.c breaks one field after the other.
 */
#include "config.h"

#include "damage.h"
#include "delete.h"
#include "findings.h"

/* ---- what is whole ---- */

static void check_clean(void)
{
	struct heard h;
	int r = run_fsck(&h);

	ck_assert_msg(r == 0 && h.lines->len == 0, "%d: %s%s", r, h.all->str, cim_reason());
	forget(&h);
}

START_TEST(empty_directory_is_clean)
{
	check_clean();
}
END_TEST

START_TEST(empty_image_is_clean)
{
	commit(open_writer(NULL, "a.cim"));
	check_clean();
}
END_TEST

START_TEST(rich_image_is_clean)
{
	make_rich();
	check_clean();
}
END_TEST

START_TEST(case_insensitive_image_is_clean)
{
	struct cim_writer *w;

	ck_assert_int_eq(cim_writer_open(test_store, NULL, "a.cim", CIM_CASE_INSENSITIVE, &w), 0);
	fill(w);
	commit(w);
	check_clean();
}
END_TEST

START_TEST(forks_are_clean)
{
	struct cim_writer *w;

	make_rich();
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(try_unlink(w, "large"), 0);
	ck_assert_int_eq(try_unlink(w, "dir/link"), 0);
	ck_assert_int_eq(try_rename(w, "dir/sub", "moved", 0), 0);
	ck_assert_int_eq(try_rename(w, "moved/link", "first", 0), 0);
	put_text(w, "new", "new");
	commit(w);
	w = open_writer("b.cim", NULL);
	put_text(w, "newer", "newer");
	commit(w);
	ck_assert_int_eq(cim_store_delete(test_store, "a.cim"), 0);

	struct heard h;
	ck_assert_msg(run_fsck(&h) == 0, "%s", h.all->str);
	ck_assert_uint_eq(h.lines->len, 0);
	forget(&h);
}
END_TEST

/* ---- what an image claims costs nothing ---- */

/* A table that says 500 million links, in a region file of 128 GiB that is all hole. */
START_TEST(huge_claims_are_cheap)
{
	uint64_t end = 1ull << 36, at = cim_off_make(0, end - 4096);
	struct cim_fsck_totals totals = { 0 };
	struct cim_fsck_options opt = { .data = true, .totals = &totals };
	char region[CIM_FILE_NAME];
	struct heard h;

	make_rich();
	struct cim_image *img = open_image("a.cim");
	uint64_t dir = entry_off(img, "dir");
	region_file(0, region);
	cut_file(region, end * 2);
	damage32(at, 0xFFFFFFF8u);
	damage32(at + 4, 500000000);
	damage64(dir + FIELD(data), at);
	damage64(dir + FIELD(data) + 8, 1ull << 48 | 0xFFFFFFF8u);
	/* And as many file tables as there can be: those behind the first are all hole. */
	damage32(img->header.fs_off + 16, 1 << 22);
	cim_image_unref(img);
	hear_nothing(&h);
	ck_assert_int_eq(cim_fsck_directory(test_store, &opt, NULL, NULL), 1);
	ck_assert_uint_lt(totals.n_bytes, 10 << 20);
	/* With a limit, so many are told and no more. */
	opt.max_findings = 10;
	ck_assert_int_eq(cim_fsck_directory(test_store, &opt, hear, &h), 1);
	ck_assert_uint_eq(h.lines->len, 10);
	forget(&h);
}
END_TEST

START_TEST(region_files_that_are_claimed_are_not_all_looked_for)
{
	struct cim_fsck_totals totals = { 0 };
	struct cim_fsck_options opt = { .data = true, .totals = &totals };
	const cim_le16 all = cim_put16(0xFFFF);
	char region[CIM_FILE_NAME], other[CIM_FILE_NAME];
	struct cim_set *sets;
	struct heard h;
	uint32_t n;

	make_rich();
	damage_file("a.cim", offsetof(struct cim_image_disk, own.n_regions), &all, sizeof(all));
	/* One far behind the gap is there: it is found, and looked at. */
	ck_assert_int_eq(cim_image_list_sets(test_store, "a.cim", &sets, &n), 0);
	cim_region_name(&sets[0].guid, 0, region);
	cim_region_name(&sets[0].guid, 60000, other);
	g_free(sets);
	ck_assert_int_eq(linkat(test_store->dirfd, region, test_store->dirfd, other, 0), 0);
	hear_nothing(&h);
	ck_assert_int_eq(cim_fsck_directory(test_store, &opt, hear, &h), 1);
	ck_assert_uint_lt(totals.n_damage, 100);
	ck_assert(is_heard(&h, "damage region-missing"));
	ck_assert(is_heard(&h, "damage region-header")); /* its index is another's */
	ck_assert_ptr_nonnull(strstr(h.all->str, ": 65467 more of the 65535 region files"));
	forget(&h);
}
END_TEST

static int refuse(void *arg, const struct cim_fsck_finding *f)
{
	return -ECANCELED;
}

START_TEST(callback_ends_the_check)
{
	struct cim_fsck_totals totals = { 0 };
	struct cim_fsck_options opt = { .totals = &totals };

	make_rich();
	damage32(find_off("device") + FIELD(parent_id), 12345);
	damage16(find_off("text") + FIELD(flags), 0x8020);
	ck_assert_int_eq(cim_fsck_image(test_store, "a.cim", &opt, refuse, NULL), -ECANCELED);
	ck_assert_uint_eq(totals.n_damage + totals.n_notes, 1);
}
END_TEST

START_TEST(digests_of_another_kind_are_no_damage)
{
	struct cim_set *sets;
	char name[CIM_FILE_NAME];
	struct heard h;
	uint32_t n;

	make_rich();
	ck_assert_int_eq(cim_image_list_sets(test_store, "a.cim", &sets, &n), 0);
	for (uint32_t i = 0; i < 3; i++) {
		g_autofree char *path = NULL, *bytes = NULL;
		gsize size;

		cim_objectid_name(&sets[0].guid, i, name);
		path = path_of(name);
		ck_assert(g_file_get_contents(path, &bytes, &size, NULL));
		for (gsize at = 48; at < size; at += CIM_OBJECT_SIZE)
			bytes[at + 8 + 23] ^= 1; /* the last byte of each: the order stays */
		damage_file(name, 0, bytes, size);
	}
	g_free(sets);
	ck_assert_msg(run_fsck(&h) == 0, "%s", h.all->str);
	ck_assert_uint_eq(h.lines->len, 1);
	ck_assert_str_eq(g_ptr_array_index(h.lines, 0), "note digest-kind");
	forget(&h);
}
END_TEST

START_TEST(link_table_that_directories_share_counts_for_each)
{
	struct heard h;

	make_rich();
	/* "dir/none" gets that of "dir/sub", which has files only: they have a name more each. */
	uint64_t none = find_off("dir/none");
	struct cim_entry sub = find_entry("dir/sub");
	damage64(none + FIELD(data), sub.data.off);
	damage64(none + FIELD(data) + 8, 1ull << 48 | sub.data.size);
	hear_nothing(&h);
	ck_assert_int_eq(cim_fsck_image(test_store, "a.cim", NULL, hear, &h), 1);
	ck_assert_msg(is_heard(&h, "damage link-count") && is_heard(&h, "note link-count") &&
			      h.lines->len == 2,
		      "%s", h.all->str);
	ck_assert_ptr_nonnull(strstr(h.all->str, "it says that it has 3 names, and has 4"));
	forget(&h);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("fsck");
	TCase *clean = tcase_create("clean"), *bad = tcase_create("bad");

	tcase_add_checked_fixture(clean, setup_dir, teardown_dir);
	tcase_add_test(clean, empty_directory_is_clean);
	tcase_add_test(clean, empty_image_is_clean);
	tcase_add_test(clean, rich_image_is_clean);
	tcase_add_test(clean, case_insensitive_image_is_clean);
	tcase_add_test(clean, forks_are_clean);
	suite_add_tcase(s, clean);
	tcase_add_checked_fixture(bad, setup_dir, teardown_dir);
	tcase_add_test(bad, huge_claims_are_cheap);
	tcase_add_test(bad, region_files_that_are_claimed_are_not_all_looked_for);
	tcase_add_test(bad, callback_ends_the_check);
	tcase_add_test(bad, digests_of_another_kind_are_no_damage);
	tcase_add_test(bad, link_table_that_directories_share_counts_for_each);
	suite_add_tcase(s, bad);
	return s;
}

int main(void)
{
	return test_run(suite());
}
