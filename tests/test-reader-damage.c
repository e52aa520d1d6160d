/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Damaged records: each is an error of what it concerns, or makes that plainer, the rest stays
 * readable, and no damage whatever ends the process.
 */
#include "config.h"

#include "damage.h"
#include "imagedir.h"
#include "reader.h"
#include "readsample.h"
#include "walk.h"

#define N_FLIPS 1000

/* ---- the filesystem object and the file tables ---- */

static const struct {
	size_t at;
	uint64_t value;
} fs_fields[] = {
	{ offsetof(struct cim_fs_disk, upcase_off), 0 },
	{ offsetof(struct cim_fs_disk, upcase_off), 1ull << 40 },
	{ offsetof(struct cim_fs_disk, tables_off), 0 },
	{ offsetof(struct cim_fs_disk, tables_off), UINT64_MAX },
	{ offsetof(struct cim_fs_disk, tables_off), 7ull << 48 | 64 },
	{ offsetof(struct cim_fs_disk, n_tables), 1ull << 32 }, /* and root 1 */
	{ offsetof(struct cim_fs_disk, n_tables), 1ull << 32 | 99999999 },
	{ offsetof(struct cim_fs_disk, n_tables), 1 }, /* and root 0 */
	{ offsetof(struct cim_fs_disk, n_tables), 5000ull << 32 | 1 },
};

START_TEST(filesystem_object_with_a_broken_field_refuses_the_image)
{
	struct cim_image *img = open_image("a.cim");
	uint64_t off = img->header.fs_off;

	cim_image_unref(img);
	damage64(off + fs_fields[_i].at, fs_fields[_i].value);
	ck_assert_int_eq(open_error(), -CIM_ECORRUPT);
}
END_TEST

/* More files than one table has, so that one can be lost. */
static uint64_t make_two_tables(void)
{
	struct cim_writer *w = open_writer("a.cim", NULL);
	struct cim_image *img;
	char name[32];

	make_dir(w, "many");
	for (int i = 0; i < CIM_TABLE_ENTRIES; i++) {
		snprintf(name, sizeof(name), "many/%04d", i);
		make_file(w, name, S_IFREG | 0644);
	}
	commit(w);
	img = open_image("a.cim");
	ck_assert_uint_eq(img->fs.n_tables, 2);
	uint64_t second = img->fs.tables_off + sizeof(struct cim_table_disk);
	cim_image_unref(img);
	return second;
}

static const struct {
	size_t at;
	size_t size;
	uint64_t value;
} table_fields[] = {
	{ offsetof(struct cim_table_disk, off), 8, 0 },
	{ offsetof(struct cim_table_disk, off), 8, 1ull << 47 },
	{ offsetof(struct cim_table_disk, off), 8, 99ull << 48 | 64 },
	/* Its 1024th entry would be in the first region again. */
	{ offsetof(struct cim_table_disk, off), 8, 64 - 1023ull * CIM_ENTRY_SIZE },
	{ offsetof(struct cim_table_disk, n_entries), 2, 0 },
	{ offsetof(struct cim_table_disk, n_entries), 2, 1025 },
	{ offsetof(struct cim_table_disk, entry_size), 2, 0 },
	{ offsetof(struct cim_table_disk, entry_size), 2, 87 },
};

START_TEST(file_table_with_a_broken_field_loses_its_files_only)
{
	uint64_t second = make_two_tables();
	uint32_t id;

	struct cim_image *img = open_image("a.cim");
	uint32_t last = cim_image_last_id(img);
	cim_image_unref(img);
	cim_le64 value = cim_put64(table_fields[_i].value);
	damage(second + table_fields[_i].at, &value, table_fields[_i].size);
	img = open_image("a.cim");
	ck_assert_uint_gt(last, CIM_TABLE_ENTRIES);
	ck_assert_int_eq(cim_image_entry(img, last, &(struct cim_entry){ 0 }), -CIM_ECORRUPT);
	/* Its name is still there. */
	ck_assert_int_eq(cim_dir_lookup(img, image_find(img, "many"), "1023", 4, &id), 0);
	ck_assert_uint_eq(id, last);
	check_rest(img);
	check_text(img, "dir/one", "1");
	cim_image_unref(img);
}
END_TEST

START_TEST(file_table_with_fewer_entries_loses_the_last_ones)
{
	uint64_t second = make_two_tables();

	damage16(second + offsetof(struct cim_table_disk, n_entries), 1);
	struct cim_image *img = open_image("a.cim");
	ck_assert_uint_eq(cim_image_last_id(img), CIM_TABLE_ENTRIES + 1);
	ck_assert_int_eq(cim_image_entry(img, CIM_TABLE_ENTRIES + 1, &(struct cim_entry){ 0 }), 0);
	ck_assert_int_eq(cim_image_entry(img, CIM_TABLE_ENTRIES + 2, &(struct cim_entry){ 0 }),
			 -CIM_ECORRUPT);
	ck_assert_int_eq(cim_image_entry(img, 0, &(struct cim_entry){ 0 }), -CIM_ECORRUPT);
	ck_assert_int_eq(cim_image_entry(img, UINT32_MAX, &(struct cim_entry){ 0 }), -CIM_ECORRUPT);
	check_rest(img);
	cim_image_unref(img);
}
END_TEST

static const struct {
	uint64_t off, word;
} bad_streams[] = {
	{ 0, 1 },               /* bytes, no offset */
	{ 64, 3ull << 48 | 1 }, /* unknown type */
	{ 64, 0xFFull << 48 | 1 },
	{ 64, 1ull << 56 | 1ull << 48 | 8 }, /* a sparse link table */
};

START_TEST(entry_with_a_bad_stream_is_lost_alone)
{
	uint64_t at = find_off("dir/two") + FIELD(data);

	damage64(at, bad_streams[_i].off);
	damage64(at + 8, bad_streams[_i].word);
	struct cim_image *img = open_image("a.cim");
	ck_assert_int_eq(image_path_error(img, "dir/two"), -CIM_ECORRUPT);
	check_text(img, "dir/one", "1");
	check_text(img, "dir/three", "333");
	check_rest(img);
	cim_image_unref(img);
}
END_TEST

static const struct {
	uint64_t off, size;
} outside_streams[] = {
	{ 1ull << 40, 2 },            /* past the region's end */
	{ 2ull << 48 | 40, 1 << 20 }, /* begins inside */
	{ 3ull << 48 | 40, 2 },       /* region 3 of 3 */
	{ 0xFFFFull << 48 | 40, 2 },
	{ 2ull << 48 | 40, CIM_STREAM_SIZE_MAX },
	{ UINT64_MAX, CIM_STREAM_SIZE_MAX },
	{ 2ull << 48, 2 }, /* byte 0 */
};

START_TEST(stream_outside_its_region_is_an_error_of_its_file_only)
{
	uint64_t at = find_off("dir/two") + FIELD(data);

	damage64(at, outside_streams[_i].off);
	damage64(at + 8, outside_streams[_i].size);
	struct cim_image *img = open_image("a.cim");
	ck_assert_int_eq(read_error(img, "dir/two"), -CIM_ECORRUPT);
	ck_assert_uint_eq(image_attr(img, "dir/two").size, outside_streams[_i].size);
	check_text(img, "dir/one", "1");
	check_rest(img);
	cim_image_unref(img);
}
END_TEST

/* ---- directories ---- */

static const struct {
	size_t at; /* in the link table of three names */
	uint32_t value;
} link_fields[] = {
	{ 0, 0 }, { 0, 7 }, { 0, 0x7FFFFFFF }, { 0, UINT32_MAX }, { 4, 1000000 }, { 4, UINT32_MAX },
};

START_TEST(directory_with_a_broken_table_is_lost_alone)
{
	uint64_t table = find_entry("dir").data.off;

	damage32(table + link_fields[_i].at, link_fields[_i].value);
	struct cim_image *img = open_image("a.cim");
	ck_assert_int_eq(image_path_error(img, "dir/one"), -CIM_ECORRUPT);
	ck_assert_int_eq(image_path_error(img, "dir/nothing"), -CIM_ECORRUPT);
	ck_assert(S_ISDIR(image_attr(img, "dir").posix.mode));
	check_rest(img);
	cim_image_unref(img);
}
END_TEST

START_TEST(directory_with_a_bad_name_offset_keeps_its_other_names)
{
	static const uint32_t offsets[] = { 0, 7, 1000, 0x7FFFFFFF, UINT32_MAX };
	uint64_t table = find_entry("dir").data.off;
	uint16_t units[CIM_NAME_UNITS];
	int n_readable = 0;
	struct cim_links l;

	damage32(table + 8 + 3 * 4, offsets[_i]); /* "one" is the first of three */
	struct cim_image *img = open_image("a.cim");
	struct cim_entry e = image_entry(img, "dir");
	ck_assert_int_eq(cim_dir_links(img, &e, &l), 0);
	for (uint32_t i = 0; i < l.n; i++)
		n_readable += cim_links_name(&l, i, units) > 0;
	ck_assert_int_ge(n_readable, 2);
	check_text(img, "dir/two", "22");
	check_rest(img);
	cim_image_unref(img);
}
END_TEST

START_TEST(name_of_a_file_that_is_not_there_is_an_error)
{
	static const uint32_t ids[] = { 0, 500, 5000, UINT32_MAX };
	uint64_t table = find_entry("dir").data.off;

	damage32(table + 8, ids[_i]);
	struct cim_image *img = open_image("a.cim");
	ck_assert_int_eq(image_path_error(img, "dir/one"), -CIM_ECORRUPT);
	check_text(img, "dir/two", "22");
	check_rest(img);
	cim_image_unref(img);
}
END_TEST

START_TEST(directory_that_holds_itself_is_walked_without_end)
{
	struct cim_image *img = open_image("a.cim");
	uint64_t table = image_entry(img, "dir").data.off;
	uint32_t dir = image_find(img, "dir");

	cim_image_unref(img);
	damage32(table + 8, dir);
	img = open_image("a.cim");
	ck_assert_uint_eq(image_find(img, "dir/one/one/one/one"), dir);
	check_text(img, "dir/one/one/two", "22");
	cim_image_unref(img);
}
END_TEST

/* ---- EAs, reparse points, streams ---- */

START_TEST(file_with_a_broken_ea_list_is_plainer)
{
	static const uint64_t offsets[] = { 0, 1ull << 40, 9ull << 48 | 40, UINT64_MAX };
	uint64_t at = find_off("attrs") + FIELD(ea_off);
	struct cim_entry e;

	damage64(at, offsets[_i]);
	struct cim_image *img = open_image("a.cim");
	check_text(img, "attrs", "attrs");
	ck_assert(S_ISREG(image_attr(img, "attrs").posix.mode));
	e = image_entry(img, "attrs");
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.small", NULL, 0), -ENODATA);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.large", NULL, 0), 65536);
	check_rest(img);
	cim_image_unref(img);
}
END_TEST

START_TEST(ea_list_that_lies_ends_there)
{
	struct cim_entry e = find_entry("attrs");

	damage32(e.ea_off, 0xFFFFFFF0); /* where the second EA is */
	struct cim_image *img = open_image("a.cim");
	check_text(img, "attrs", "attrs");
	e = image_entry(img, "attrs");
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.small", NULL, 0), -ENODATA);
	cim_image_unref(img);
}
END_TEST

START_TEST(symlink_with_a_broken_buffer_is_plainer)
{
	static const uint64_t offsets[] = { 1ull << 40, 9ull << 48 | 40, UINT64_MAX };
	uint64_t at = find_off("link") + FIELD(reparse_off);
	char target[CIM_SYMLINK_MAX + 1];

	damage64(at, offsets[_i]);
	struct cim_image *img = open_image("a.cim");
	ck_assert_int_lt(cim_file_readlink(img, image_find(img, "link"), target), 0);
	ck_assert_int_eq(cim_file_attr(img, image_find(img, "link"), &(struct cim_attr){ 0 }), 0);
	check_rest(img);
	cim_image_unref(img);
}
END_TEST

START_TEST(symlink_with_lying_lengths_is_plainer)
{
	uint64_t at = find_entry("link").reparse_off + 2;
	char target[CIM_SYMLINK_MAX + 1];
	struct cim_image *img;

	for (uint64_t field = 4; field < 18; field += 2) {
		damage16(at + field, 0xFFFE);
		img = open_image("a.cim");
		uint32_t id = image_find(img, "link");
		(void)cim_file_readlink(img, id, target);
		ck_assert_int_eq(cim_file_attr(img, id, &(struct cim_attr){ 0 }), 0);
		check_rest(img);
		cim_image_unref(img);
	}
	img = open_image("a.cim");
	ck_assert_int_lt(cim_file_readlink(img, image_find(img, "link"), target), 0);
	cim_image_unref(img);
}
END_TEST

START_TEST(file_with_a_broken_stream_table_keeps_its_data)
{
	static const uint64_t offsets[] = { 1ull << 40, 9ull << 48 | 40, UINT64_MAX };
	uint64_t at = find_off("attrs") + FIELD(streams_off);
	struct cim_entry e;
	char value[8];

	damage64(at, offsets[_i]);
	struct cim_image *img = open_image("a.cim");
	check_text(img, "attrs", "attrs");
	e = image_entry(img, "attrs");
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.large", NULL, 0), -ENODATA);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.small", value, sizeof(value)), 5);
	check_rest(img);
	cim_image_unref(img);
}
END_TEST

START_TEST(xattr_in_a_stream_past_the_end_is_an_error)
{
	uint64_t at = find_entry("attrs").streams_off + 8;
	g_autofree char *value = g_malloc(65536);
	struct cim_entry e;

	damage64(at, 1ull << 40);
	struct cim_image *img = open_image("a.cim");
	e = image_entry(img, "attrs");
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.large", value, 65536), -CIM_ECORRUPT);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.small", value, 65536), 5);
	check_rest(img);
	cim_image_unref(img);
}
END_TEST

/* ---- random damage ---- */

static void walk_all(void)
{
	struct walk w = { .files = 100, .depth = 8 };
	struct cim_image *img;

	if (cim_image_open(test_store, "a.cim", &img) < 0)
		return;
	walk_file(&w, img, img->fs.root_id);
	(void)cim_path_lookup(img, "dir/one", true, &(uint32_t){ 0 });
	(void)cim_path_lookup(img, "link", true, &(uint32_t){ 0 });
	cim_image_unref(img);
}

/* One byte is changed, @use called, and the byte put back; few of those in @skip_from..@skip_to. */
static void flip(const char *name, uint64_t skip_from, uint64_t skip_to, int n, uint64_t seed,
		 void (*use)(void))
{
	struct test_random random = { seed };
	cim_autofd fd = open_to_damage(name);
	uint64_t size = (uint64_t)lseek(fd, 0, SEEK_END);

	for (int i = 0; i < n; i++) {
		uint64_t at = test_random_below(&random, size);
		uint8_t was, now = (uint8_t)test_random_next(&random);

		while (at >= skip_from && at < skip_to && i % 16)
			at = test_random_below(&random, size);
		ck_assert_int_eq(cim_pread_full(fd, &was, 1, at), 0);
		if (i % 4 == 0)
			now = i % 8 ? 0xFF : 0;
		ck_assert_int_eq(cim_pwrite_full(fd, &now, 1, at), 0);
		use();
		ck_assert_int_eq(cim_pwrite_full(fd, &was, 1, at), 0);
	}
}

START_TEST(random_damage_is_survived)
{
	uint64_t seed = test_seed(21), skip_from = 0, skip_to = 0;
	char name[CIM_FILE_NAME] = "a.cim";
	struct cim_image *img = open_image("a.cim");

	if (_i == 0) {
		/* The upcase table is most of the metadata, and little can go wrong in it. */
		skip_from = img->fs.upcase_off;
		skip_to = skip_from + CIM_UPCASE_SIZE;
	} else if (_i == 3) {
		/* To look for 60,000 region files takes a while. */
		skip_from = offsetof(struct cim_image_disk, own.n_regions);
		skip_to = skip_from + sizeof(cim_le16);
	}
	cim_image_unref(img);
	printf("# random_damage_is_survived: seed %#llx\n", (unsigned long long)seed);
	if (_i < 3)
		region_file((uint32_t)_i, name);
	flip(name, skip_from, skip_to, N_FLIPS, seed + (uint64_t)_i, walk_all);
	struct cim_image *whole = open_image("a.cim");
	check_rest(whole);
	cim_image_unref(whole);
}
END_TEST

/* Object IDs are for writers: what a damaged one says is never believed. */
static void fork_and_store(void)
{
	struct cim_writer *w = open_writer("a.cim", "b.cim");

	check_staged(w, put(w, "same", big, BIG_SIZE), big, BIG_SIZE);
	check_staged(w, put_text(w, "small", "other"), "other", 5);
	cim_writer_close(w);
}

START_TEST(random_damage_of_object_ids_is_survived)
{
	uint64_t seed = test_seed(22);
	char region[CIM_FILE_NAME], name[CIM_FILE_NAME + 8];

	printf("# random_damage_of_object_ids_is_survived: seed %#llx\n", (unsigned long long)seed);
	region_file((uint32_t)_i, region);
	snprintf(name, sizeof(name), "objectid%s", region + strlen("region"));
	flip(name, 0, 0, N_FLIPS / 5, seed + (uint64_t)_i, fork_and_store);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reader-damage");
	TCase *damage = tcase_create("damage");

	tcase_add_checked_fixture(damage, setup_sample, teardown_sample);
	tcase_add_loop_test(damage, filesystem_object_with_a_broken_field_refuses_the_image, 0,
			    N_ROWS(fs_fields));
	tcase_add_loop_test(damage, file_table_with_a_broken_field_loses_its_files_only, 0,
			    N_ROWS(table_fields));
	tcase_add_test(damage, file_table_with_fewer_entries_loses_the_last_ones);
	tcase_add_loop_test(damage, entry_with_a_bad_stream_is_lost_alone, 0, N_ROWS(bad_streams));
	tcase_add_loop_test(damage, stream_outside_its_region_is_an_error_of_its_file_only, 0,
			    N_ROWS(outside_streams));
	tcase_add_loop_test(damage, directory_with_a_broken_table_is_lost_alone, 0,
			    N_ROWS(link_fields));
	tcase_add_loop_test(damage, directory_with_a_bad_name_offset_keeps_its_other_names, 0, 5);
	tcase_add_loop_test(damage, name_of_a_file_that_is_not_there_is_an_error, 0, 4);
	tcase_add_test(damage, directory_that_holds_itself_is_walked_without_end);
	tcase_add_loop_test(damage, file_with_a_broken_ea_list_is_plainer, 0, 4);
	tcase_add_test(damage, ea_list_that_lies_ends_there);
	tcase_add_loop_test(damage, symlink_with_a_broken_buffer_is_plainer, 0, 3);
	tcase_add_test(damage, symlink_with_lying_lengths_is_plainer);
	tcase_add_loop_test(damage, file_with_a_broken_stream_table_keeps_its_data, 0, 3);
	tcase_add_test(damage, xattr_in_a_stream_past_the_end_is_an_error);
	tcase_add_loop_test(damage, random_damage_is_survived, 0, 4);
	tcase_add_loop_test(damage, random_damage_of_object_ids_is_survived, 0, 3);
	suite_add_tcase(suite, damage);
	return test_run(suite);
}
