/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading: images of other writers, built here byte by byte, and damaged copies of our own.
 *
 * Damage must be an error of what it concerns, the rest stays readable, and no damage whatever
 * ends the process.
 */
#include "config.h"

#include <sys/xattr.h>

#include "builder.h"
#include "damage.h"
#include "imagedir.h"
#include "reader.h"
#include "walk.h"

#define N_FLIPS 1000

/* The sanitizer has a handler for SIGBUS of its own; here that of the core is wanted. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "handle_sigbus=0";
}

/* ---- a sample, and damage to it ---- */

#define BIG_SIZE 20000

static uint8_t *big;

static void make_sample(void)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");

	big = pattern(BIG_SIZE, 1);
	make_dir(w, "dir");
	put_text(w, "dir/one", "1");
	put_text(w, "dir/two", "22");
	put_text(w, "dir/three", "333");
	put_text(w, "other", "other");
	put(w, "big", big, BIG_SIZE);
	make_link(w, "link", "dir/one");
	make_link(w, "absolute", "/dir/two");
	make_file(w, "fifo", S_IFIFO | 0600);
	uint32_t id = put_text(w, "attrs", "attrs");
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.small", "small", 5, 0), 0);
	g_autofree uint8_t *value = pattern(65536, 2);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.large", value, 65536, 0), 0);
	commit(w);
}

static void setup_sample(void)
{
	setup_dir();
	make_sample();
}

static void teardown_sample(void)
{
	g_clear_pointer(&big, g_free);
	teardown_dir();
}

static int read_error(const struct cim_image *img, const char *path)
{
	struct cim_entry e;
	uint32_t id;
	char buf[64];
	int r = cim_path_lookup(img, path, false, &id);

	if (r == 0)
		r = cim_image_entry(img, id, &e);
	return r < 0 ? r : (int)MIN(cim_stream_read(img, &e.data, 0, buf, sizeof(buf)), 0);
}

/* What every damage below leaves alone. */
static void check_rest(const struct cim_image *img)
{
	check_text(img, "other", "other");
	check_content(img, "big", big, BIG_SIZE);
}

static int open_error(void)
{
	struct cim_image *img;
	int r = cim_image_open(test_store, "a.cim", &img);

	if (r == 0)
		cim_image_unref(img);
	return r;
}

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

/* ---- the image file ---- */

START_TEST(image_file_cut_off_is_refused)
{
	for (uint64_t n = 72; n-- > 0;) {
		cut_file("a.cim", n);
		ck_assert_int_eq(open_error(), -CIM_EFORMAT);
	}
}
END_TEST

static const struct {
	size_t at;
	uint8_t value;
	int expect;
} image_bytes[] = {
	{ 0, 'C', -CIM_EFORMAT },    { 12, 1, -CIM_EFORMAT },     { 12, 7, -CIM_EFORMAT },
	{ 16, 0, -CIM_EVERSION },    { 16, 4, -CIM_EVERSION },    { 48, 0, -CIM_ECORRUPT },
	{ 32, 0xA5, -CIM_ECORRUPT }, { 56, 0xFF, -CIM_ECORRUPT }, { 62, 3, -CIM_ECORRUPT },
	{ 63, 0xFF, -CIM_ECORRUPT }, { 70, 1, -CIM_ECORRUPT },    { 71, 0xFF, -CIM_ECORRUPT },
};

START_TEST(image_file_with_a_broken_field_is_refused)
{
	damage_file("a.cim", image_bytes[_i].at, &image_bytes[_i].value, 1);
	ck_assert_int_eq(open_error(), image_bytes[_i].expect);
	ck_assert_msg(strstr(cim_reason(), "a.cim"), "\"%s\" does not name the image",
		      cim_reason());
}
END_TEST

START_TEST(image_of_other_versions_that_are_known_is_read)
{
	static const uint8_t known[] = { 1, 2, 3 };

	for (size_t i = 0; i < N_ROWS(known); i++) {
		damage_file("a.cim", 16, &known[i], 1);
		struct cim_image *img = open_image("a.cim");
		ck_assert_uint_eq(img->header.version_major, known[i]);
		check_rest(img);
		cim_image_unref(img);
	}
}
END_TEST

START_TEST(image_may_not_list_too_many_region_files)
{
	g_autofree uint8_t *sets = g_malloc0(2 * sizeof(struct cim_set_disk));
	struct cim_set set = { .n_regions = 0xFFFF };

	cim_set_encode((struct cim_set_disk *)sets, &set);
	set.n_regions = 1;
	cim_set_encode((struct cim_set_disk *)sets + 1, &set);
	damage_file("a.cim", 72, sets, 2 * sizeof(struct cim_set_disk));
	damage_file("a.cim", 70, "\2", 1);
	ck_assert_int_eq(open_error(), -CIM_ECORRUPT); /* 65535 + 1 + 3 */
}
END_TEST

static const struct {
	const char *name;
	int expect;
} not_images[] = {
	{ "missing", -ENOENT },   { "link", -CIM_ECORRUPT }, { "fifo", -CIM_ECORRUPT },
	{ "dir", -CIM_ECORRUPT }, { "empty", -CIM_EFORMAT }, { "text", -CIM_EFORMAT },
};

START_TEST(image_is_a_regular_file)
{
	struct cim_image *img;

	ck_assert_int_eq(symlinkat("a.cim", test_store->dirfd, "link"), 0);
	ck_assert_int_eq(mkfifoat(test_store->dirfd, "fifo", 0644), 0);
	ck_assert_int_eq(mkdirat(test_store->dirfd, "dir", 0755), 0);
	put_file("empty", "", 0);
	put_file("text", big, 500);
	ck_assert_int_eq(cim_image_open(test_store, not_images[_i].name, &img),
			 not_images[_i].expect);
}
END_TEST

/* ---- region files ---- */

enum region_damage {
	GONE,
	EMPTY,
	SHORT,
	OTHER_MAGIC,
	OTHER_INDEX,
	OTHER_VERSION,
	A_LINK,
	N_REGION_DAMAGES
};

static void damage_region(uint32_t index, enum region_damage how)
{
	char name[CIM_FILE_NAME];

	region_file(index, name);
	switch (how) {
	case GONE:
	case A_LINK:
		ck_assert_int_eq(unlinkat(test_store->dirfd, name, 0), 0);
		if (how == A_LINK)
			ck_assert_int_eq(symlinkat("/dev/zero", test_store->dirfd, name), 0);
		break;
	case EMPTY:
		cut_file(name, 0);
		break;
	case SHORT:
		cut_file(name, sizeof(struct cim_region_disk));
		break;
	case OTHER_MAGIC:
		damage_file(name, 7, "1", 1);
		break;
	case OTHER_INDEX:
		damage_file(name, 32, "\7", 1);
		break;
	case OTHER_VERSION:
		damage_file(name, 16, "\4", 1);
		break;
	default:
		ck_abort();
	}
}

START_TEST(lost_metadata_region_refuses_the_image)
{
	damage_region(0, (enum region_damage)_i);
	ck_assert_int_eq(open_error(), -CIM_ECORRUPT);
}
END_TEST

START_TEST(lost_data_region_loses_the_large_files_only)
{
	damage_region(1, (enum region_damage)_i);
	struct cim_image *img = open_image("a.cim");
	ck_assert_int_eq(read_error(img, "big"), -CIM_ECORRUPT);
	ck_assert_uint_eq(image_attr(img, "big").size, BIG_SIZE);
	check_text(img, "other", "other");
	check_text(img, "dir/one", "1");
	cim_image_unref(img);
}
END_TEST

START_TEST(lost_small_region_loses_the_small_files_only)
{
	damage_region(2, (enum region_damage)_i);
	struct cim_image *img = open_image("a.cim");
	ck_assert_int_eq(read_error(img, "other"), -CIM_ECORRUPT);
	ck_assert_int_eq(read_error(img, "dir/one"), -CIM_ECORRUPT);
	check_content(img, "big", big, BIG_SIZE);
	ck_assert(S_ISFIFO(image_attr(img, "fifo").posix.mode));
	cim_image_unref(img);
}
END_TEST

START_TEST(data_region_cut_short_loses_what_was_behind)
{
	char name[CIM_FILE_NAME];

	region_file(1, name);
	cut_file(name, 4096 + BIG_SIZE - 1);
	struct cim_image *img = open_image("a.cim");
	ck_assert_int_eq(read_error(img, "big"), -CIM_ECORRUPT);
	check_text(img, "other", "other");
	cim_image_unref(img);
}
END_TEST

/* ---- a region file cut off while it is in use ---- */

START_TEST(data_cut_off_under_a_reader_is_an_error)
{
	struct cim_image *img = open_image("a.cim");
	struct cim_entry e = image_entry(img, "big");
	char name[CIM_FILE_NAME];
	uint8_t buf[BIG_SIZE];

	region_file(1, name);
	cut_file(name, 4096);
	ck_assert_int_eq(cim_stream_read(img, &e.data, 0, buf, sizeof(buf)), -EIO);
	ck_assert_msg(strstr(cim_reason(), "cut off"), "\"%s\"", cim_reason());
	check_text(img, "other", "other");
	cim_image_unref(img);
}
END_TEST

/* No signal tells of the page in which the file ends now: the rest of it are zeros. */
START_TEST(data_cut_off_inside_a_page_is_an_error)
{
	struct cim_image *img = open_image("a.cim");
	struct cim_entry e = image_entry(img, "big");
	char name[CIM_FILE_NAME];
	uint8_t buf[6000];

	region_file(1, name);
	cut_file(name, cim_off_byte(e.data.off) + 5000);
	ck_assert_int_eq(cim_stream_read(img, &e.data, 0, buf, 6000), -EIO);
	ck_assert_int_eq(cim_stream_read(img, &e.data, 0, buf, 1), -EIO);
	check_text(img, "other", "other");
	cim_image_unref(img);
}
END_TEST

#define MAX_FILES 32

/* What is said of a file whose metadata was cut off somewhere is an error or the truth. */
START_TEST(metadata_cut_off_anywhere_is_an_error_or_the_truth)
{
	struct cim_attr truth[MAX_FILES], attr;
	struct cim_image *img = open_image("a.cim");
	uint32_t n = cim_image_last_id(img), id;
	g_autofree char *path = NULL, *bytes = NULL;
	char name[CIM_FILE_NAME];
	unsigned int n_lost = 0;
	gsize size;

	ck_assert_uint_lt(n, MAX_FILES);
	for (id = 1; id <= n; id++)
		ck_assert_int_eq(cim_file_attr(img, id, &truth[id]), 0);
	uint64_t upcase = cim_off_byte(img->fs.upcase_off);
	uint32_t one = image_find(img, "dir/one");
	cim_image_unref(img);
	region_file(0, name);
	path = path_of(name);
	ck_assert(g_file_get_contents(path, &bytes, &size, NULL));
	for (uint64_t cut = size - 1; cut > sizeof(struct cim_region_disk); cut -= MIN(cut, 61)) {
		if (cut > upcase && cut < upcase + CIM_UPCASE_SIZE)
			cut = upcase; /* nothing of a file is in the table */
		ck_assert(g_file_set_contents(path, bytes, (gssize)size, NULL));
		img = open_image("a.cim");
		cut_file(name, cut);
		g_usleep(20000); /* a cut of the last page is not looked for all the time */
		for (id = 1; id <= n; id++) {
			int r = cim_file_attr(img, id, &attr);

			n_lost += r < 0;
			ck_assert_msg(r == -EIO || r == -CIM_ECORRUPT ||
					      memcmp(&attr, &truth[id], sizeof(attr)) == 0,
				      "cut to %llu: file %u is another", (unsigned long long)cut,
				      id);
		}
		int r = cim_path_lookup(img, "dir/one", false, &id);
		ck_assert_msg(r == -EIO || r == -CIM_ECORRUPT || (r == 0 && id == one),
			      "cut to %llu: looking up is %d", (unsigned long long)cut, r);
		cim_image_unref(img);
	}
	ck_assert_uint_gt(n_lost, 0);
}
END_TEST

START_TEST(pe_image_cut_off_under_a_reader_is_an_error)
{
	struct cim_image *img = open_image("a.cim");
	uint64_t data = image_entry(img, "big").data.off;
	uint64_t stream = entry_off(img, "dir/two") + offsetof(struct cim_entry_disk, data);
	uint64_t at = img->fs.upcase_off + CIM_UPCASE_SIZE / 2; /* letters that no name here has */
	struct cim_pe_disk pe = { .data_off = cim_put64(data), .data_size = cim_put64(BIG_SIZE) };
	char name[CIM_FILE_NAME];
	uint8_t buf[100];

	cim_image_unref(img);
	damage(at, &pe, sizeof(pe));
	damage64(stream, at);
	damage64(stream + 8, BIG_SIZE | (uint64_t)CIM_STREAM_PE << 48);
	img = open_image("a.cim");
	check_content(img, "dir/two", big, BIG_SIZE);
	struct cim_entry e = image_entry(img, "dir/two");
	region_file(1, name);
	cut_file(name, 0);
	ck_assert_int_eq(cim_stream_read(img, &e.data, BIG_SIZE / 2, buf, sizeof(buf)), -EIO);
	cim_image_unref(img);
}
END_TEST

START_TEST(metadata_cut_off_under_a_reader_is_an_error)
{
	struct cim_image *img = open_image("a.cim");
	char name[CIM_FILE_NAME];
	uint32_t id;

	region_file(0, name);
	cut_file(name, 0);
	int r = cim_path_lookup(img, "dir/one", false, &id);
	ck_assert_msg(r == -EIO || r == -CIM_ECORRUPT, "%s", strerror(-r));
	r = cim_image_entry(img, 1, &(struct cim_entry){ 0 });
	ck_assert_msg(r == -EIO || r == -CIM_ECORRUPT, "%s", strerror(-r));
	cim_image_unref(img);
}
END_TEST

START_TEST(all_regions_cut_off_and_everything_walked)
{
	struct cim_image *img = open_image("a.cim");
	char name[CIM_FILE_NAME];

	for (uint32_t i = 0; i < 3; i++) {
		region_file(i, name);
		cut_file(name, 0);
	}
	for (uint32_t id = 0; id < 20; id++) {
		struct cim_entry e;
		int r = cim_image_entry(img, id, &e);

		ck_assert_msg(r == -EIO || r == -CIM_ECORRUPT, "file %u: %s", id, strerror(-r));
	}
	cim_image_unref(img);
	ck_assert_int_eq(open_error(), -CIM_ECORRUPT);
}
END_TEST

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
	struct cim_image *img = open_image("a.cim");
	uint64_t at = entry_off(img, "dir/two") + offsetof(struct cim_entry_disk, data);

	cim_image_unref(img);
	damage64(at, bad_streams[_i].off);
	damage64(at + 8, bad_streams[_i].word);
	img = open_image("a.cim");
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
	struct cim_image *img = open_image("a.cim");
	uint64_t at = entry_off(img, "dir/two") + offsetof(struct cim_entry_disk, data);

	cim_image_unref(img);
	damage64(at, outside_streams[_i].off);
	damage64(at + 8, outside_streams[_i].size);
	img = open_image("a.cim");
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
	struct cim_image *img = open_image("a.cim");
	uint64_t table = image_entry(img, "dir").data.off;

	cim_image_unref(img);
	damage32(table + link_fields[_i].at, link_fields[_i].value);
	img = open_image("a.cim");
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
	struct cim_image *img = open_image("a.cim");
	uint64_t table = image_entry(img, "dir").data.off;
	uint16_t units[CIM_NAME_UNITS];
	int n_readable = 0;
	struct cim_links l;

	cim_image_unref(img);
	damage32(table + 8 + 3 * 4, offsets[_i]); /* "one" is the first of three */
	img = open_image("a.cim");
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
	struct cim_image *img = open_image("a.cim");
	uint64_t table = image_entry(img, "dir").data.off;

	cim_image_unref(img);
	damage32(table + 8, ids[_i]);
	img = open_image("a.cim");
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
	struct cim_image *img = open_image("a.cim");
	uint64_t at = entry_off(img, "attrs") + offsetof(struct cim_entry_disk, ea_off);
	struct cim_entry e;

	cim_image_unref(img);
	damage64(at, offsets[_i]);
	img = open_image("a.cim");
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
	struct cim_image *img = open_image("a.cim");
	struct cim_entry e = image_entry(img, "attrs");

	cim_image_unref(img);
	damage32(e.ea_off, 0xFFFFFFF0); /* where the second EA is */
	img = open_image("a.cim");
	check_text(img, "attrs", "attrs");
	e = image_entry(img, "attrs");
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.small", NULL, 0), -ENODATA);
	cim_image_unref(img);
}
END_TEST

START_TEST(symlink_with_a_broken_buffer_is_plainer)
{
	static const uint64_t offsets[] = { 1ull << 40, 9ull << 48 | 40, UINT64_MAX };
	struct cim_image *img = open_image("a.cim");
	uint64_t at = entry_off(img, "link") + offsetof(struct cim_entry_disk, reparse_off);
	char target[CIM_SYMLINK_MAX + 1];

	cim_image_unref(img);
	damage64(at, offsets[_i]);
	img = open_image("a.cim");
	ck_assert_int_lt(cim_file_readlink(img, image_find(img, "link"), target), 0);
	ck_assert_int_eq(cim_file_attr(img, image_find(img, "link"), &(struct cim_attr){ 0 }), 0);
	check_rest(img);
	cim_image_unref(img);
}
END_TEST

START_TEST(symlink_with_lying_lengths_is_plainer)
{
	struct cim_image *img = open_image("a.cim");
	uint64_t at = image_entry(img, "link").reparse_off + 2;
	char target[CIM_SYMLINK_MAX + 1];

	cim_image_unref(img);
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
	struct cim_image *img = open_image("a.cim");
	uint64_t at = entry_off(img, "attrs") + offsetof(struct cim_entry_disk, streams_off);
	struct cim_entry e;
	char value[8];

	cim_image_unref(img);
	damage64(at, offsets[_i]);
	img = open_image("a.cim");
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
	struct cim_image *img = open_image("a.cim");
	uint64_t at = image_entry(img, "attrs").streams_off + 8;
	g_autofree char *value = g_malloc(65536);
	struct cim_entry e;

	cim_image_unref(img);
	damage64(at, 1ull << 40);
	img = open_image("a.cim");
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

/* ---- images of other writers ---- */

/* Write the files "a.cim" and its region, and open the image. */
static struct cim_image *builder_end(struct builder *b)
{
	struct cim_set set = { .guid = b->guid, .n_regions = 1 };
	struct cim_image_disk head = { 0 };
	char name[CIM_FILE_NAME];

	cim_common_encode(&head.common, CIM_FILE_IMAGE, sizeof(head));
	head.common.version_major = cim_put32(b->version);
	cim_set_encode(&head.own, &set);
	head.fs_off = cim_put64(builder_finish(b));
	cim_region_name(&b->guid, 0, name);
	put_file(name, b->region->data, b->region->len);
	put_file("a.cim", &head, sizeof(head));
	builder_clear(b);
	return open_image("a.cim");
}

static const uint16_t unit_x[] = { 'x' }, unit_y[] = { 'y' };

START_TEST(entries_of_other_sizes_are_read)
{
	static const struct {
		uint32_t version, entry_size;
	} rows[] = { { 1, 88 }, { 2, 96 }, { 3, 104 }, { 3, 256 } };
	struct builder b;

	builder_begin(&b, rows[_i].version, rows[_i].entry_size);
	build_entry(&b, &(struct cim_entry){ 0 });
	struct cim_entry e = { .flags = CIM_FLAG_READONLY,
			       .written = 130000000000000000,
			       .data = { .off = build(&b, "text", 4), .size = 4 },
			       .parent_id = 1 };
	struct name x = { unit_x, 1, build_entry(&b, &e), { 0 } };
	build_root(&b, &x, 1);
	struct cim_image *img = builder_end(&b);
	struct cim_attr attr = image_attr(img, "x");

	check_text(img, "x", "text");
	ck_assert_uint_eq(attr.written, 130000000000000000);
	ck_assert_uint_eq(attr.posix.mode & ~0222u, S_IFREG | 0555);
	ck_assert_uint_eq(attr.posix.mode & 0222, 0);
	ck_assert_uint_eq(attr.posix.n_links, 1);
	ck_assert(S_ISDIR(image_attr(img, "").posix.mode));
	ck_assert_uint_eq(image_entry(img, "x").parent_id, rows[_i].entry_size > 88 ? 1 : 0);
	cim_image_unref(img);

	/* A fork changes one file and leaves the other, and what it does not know of either. */
	struct cim_writer *w = open_writer("a.cim", "b.cim");
	put_text(w, "new", "new");
	write_at(w, find(w, "x"), 4, "!", 1);
	commit(w);
	img = open_image("b.cim");
	check_text(img, "x", "text!");
	check_text(img, "new", "new");
	struct cim_table t;
	const uint8_t *p;
	ck_assert_int_eq(cim_image_table(img, 0, &t), 0);
	ck_assert_uint_eq(t.entry_size, MAX(rows[_i].entry_size, 96));
	ck_assert_int_eq(cim_image_bytes(img, entry_off(img, "x"), t.entry_size, &p), 0);
	for (uint32_t i = 96; i < t.entry_size; i++)
		ck_assert_uint_eq(p[i], 0xEE);
	cim_image_unref(img);
	check_image_text("a.cim", "x", "text");
}
END_TEST

START_TEST(sparse_stream_reads_as_zeros)
{
	static const uint8_t zeros[1000];
	struct builder b;
	uint8_t buf[1000];

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	struct cim_entry e = { .flags = CIM_FLAG_SPARSE,
			       .data = { .size = 1ull << 40, .sparse = true },
			       .parent_id = 1 };
	struct name x = { unit_x, 1, build_entry(&b, &e), { 0 } };
	build_root(&b, &x, 1);
	struct cim_image *img = builder_end(&b);

	e = image_entry(img, "x");
	ck_assert_uint_eq(image_attr(img, "x").size, 1ull << 40);
	ck_assert_uint_eq(image_attr(img, "x").blocks, 0);
	memset(buf, 1, sizeof(buf));
	ck_assert_int_eq(cim_stream_read(img, &e.data, (1ull << 40) - 1000, buf, 2000), 1000);
	ck_assert_mem_eq(buf, zeros, sizeof(buf));
	ck_assert_int_eq(cim_stream_read(img, &e.data, 1ull << 40, buf, 1), 0);
	ck_assert_int_eq(cim_stream_seek(img, &e.data, 5, SEEK_HOLE), 5);
	ck_assert_int_eq(cim_stream_seek(img, &e.data, 5, SEEK_DATA), -ENXIO);
	ck_assert_int_eq(cim_stream_seek(img, &e.data, 1ull << 40, SEEK_HOLE), -ENXIO);
	cim_image_unref(img);

	/* And in a fork, where a byte in its middle is written. */
	struct cim_writer *w = open_writer("a.cim", "b.cim");
	write_at(w, find(w, "x"), 1ull << 30, "!", 1);
	commit(w);
	img = open_image("b.cim");
	e = image_entry(img, "x");
	ck_assert_uint_eq(e.data.size, 1ull << 40);
	ck_assert_int_eq(cim_stream_read(img, &e.data, (1ull << 30) - 1, buf, 3), 3);
	ck_assert_mem_eq(buf, "\0!\0", 3);
	ck_assert_uint_lt(image_attr(img, "x").blocks, 1000);
	cim_image_unref(img);
}
END_TEST

#define PE_SIZE 64

/* Bytes 0..15 lie at 0, 16..31 at 16 + 100, 32.. at 32 + 200. */
static struct cim_image *build_pe(uint64_t data_size, uint32_t first_map)
{
	struct {
		struct cim_pe_disk head;
		struct cim_pe_mapping_disk map[2];
	} pe = { .map = { { cim_put32(first_map), cim_put32(100) },
			  { cim_put32(32), cim_put32(200) } } };
	uint8_t data[300];
	struct builder b;

	for (int i = 0; i < 300; i++)
		data[i] = (uint8_t)i;
	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	pe.head.data_off = cim_put64(build(&b, data, sizeof(data)));
	pe.head.data_size = cim_put64(1ull << 63 | data_size);
	pe.head.image_size = cim_put32(PE_SIZE);
	pe.head.n_mappings = cim_put16(2);
	struct cim_entry e = { .data = { .off = build(&b, &pe, sizeof(pe)),
					 .size = PE_SIZE,
					 .type = CIM_STREAM_PE },
			       .parent_id = 1 };
	struct name x = { unit_x, 1, build_entry(&b, &e), { 0 } };
	build_root(&b, &x, 1);
	return builder_end(&b);
}

START_TEST(pe_image_is_read_through_its_mappings)
{
	struct cim_image *img = build_pe(300, 16);
	uint8_t expect[PE_SIZE], buf[PE_SIZE];

	for (int i = 0; i < PE_SIZE; i++)
		expect[i] = (uint8_t)(i + (i < 16 ? 0 : i < 32 ? 100 : 200));
	check_content(img, "x", expect, PE_SIZE);
	struct cim_entry e = image_entry(img, "x");
	for (uint64_t off = 0; off < PE_SIZE; off++) {
		ck_assert_int_eq(cim_stream_read(img, &e.data, off, buf, 20),
				 MIN(20, PE_SIZE - off));
		ck_assert_mem_eq(buf, expect + off, MIN(20, PE_SIZE - off));
	}
	ck_assert(S_ISREG(image_attr(img, "x").posix.mode));
	cim_image_unref(img);

	/* A writer copies it up. */
	struct cim_writer *w = open_writer("a.cim", "b.cim");
	write_at(w, find(w, "x"), 0, "\xAA", 1);
	commit(w);
	img = open_image("b.cim");
	expect[0] = 0xAA;
	check_content(img, "x", expect, PE_SIZE);
	cim_image_unref(img);
}
END_TEST

START_TEST(pe_image_past_its_data_is_an_error)
{
	struct cim_image *img = build_pe(200 + PE_SIZE - 1, 16);
	struct cim_entry e = image_entry(img, "x");
	uint8_t buf[PE_SIZE];

	ck_assert_int_eq(cim_stream_read(img, &e.data, 0, buf, 32), 32);
	ck_assert_int_eq(cim_stream_read(img, &e.data, 32, buf, 32), -CIM_ECORRUPT);
	cim_image_unref(img);
}
END_TEST

START_TEST(pe_image_whose_data_wraps_around_is_an_error)
{
	struct cim_image *img = build_pe(300, 16);
	uint64_t pe = image_entry(img, "x").data.off;
	uint8_t buf[PE_SIZE];

	cim_image_unref(img);
	/* With a delta of 200 added it is byte 168 of region 0. */
	damage64(pe + offsetof(struct cim_pe_disk, data_off), UINT64_MAX - 63);
	img = open_image("a.cim");
	struct cim_entry e = image_entry(img, "x");
	ck_assert_int_eq(cim_stream_read(img, &e.data, 32, buf, 32), -CIM_ECORRUPT);
	ck_assert_int_eq(cim_stream_read(img, &e.data, 0, buf, 16), -CIM_ECORRUPT);
	cim_image_unref(img);
}
END_TEST

START_TEST(pe_image_with_mappings_out_of_order_ends)
{
	struct cim_image *img = build_pe(300, 40);
	struct cim_entry e = image_entry(img, "x");
	uint8_t buf[PE_SIZE];

	for (uint64_t off = 0; off < PE_SIZE; off++)
		(void)cim_stream_read(img, &e.data, off, buf, PE_SIZE);
	cim_image_unref(img);
}
END_TEST

static const uint16_t stream_s[] = { 's' }, stream_t[] = { 't', 't' };

START_TEST(stream_tables_are_read_with_and_without_their_length)
{
	struct builder b;
	char value[8];

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	struct name streams[] = {
		{ stream_s, 1, 0, { .off = build(&b, "one", 3), .size = 3 } },
		{ stream_t, 2, 0, { .off = build(&b, "two!", 4), .size = 4 } },
	};
	struct cim_stream table = build_table(&b, CIM_LINK_STREAM, streams, 2, _i == 1);
	struct cim_entry e = { .streams_off = table.off, .parent_id = 1 };
	struct name x = { unit_x, 1, build_entry(&b, &e), { 0 } };
	build_root(&b, &x, 1);
	struct cim_image *img = builder_end(&b);

	e = image_entry(img, "x");
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.s", value, sizeof(value)), 3);
	ck_assert_mem_eq(value, "one", 3);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.tt", value, sizeof(value)), 4);
	ck_assert_mem_eq(value, "two!", 4);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.tt", value, 3), -ERANGE);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.u", value, 3), -ENODATA);
	cim_image_unref(img);
}
END_TEST

/* U+1F600 as code units, U+FFFD, U+E000 (private use): sorted as code units, and as code points. */
/* Old WSL's symlinks have their target as data, which can be longer than any that Linux reads. */
START_TEST(symlink_whose_target_is_too_long_is_an_error)
{
	const size_t sizes[] = { CIM_SYMLINK_MAX, CIM_SYMLINK_MAX + 1 };
	char text[CIM_SYMLINK_MAX + 1], target[CIM_SYMLINK_MAX + 1];
	const char reparse[] = "\14\0\x1D\0\0\xA0\4\0\0\0\1\0\0"; /* 12 bytes */
	struct cim_entry e = { .reparse_tag = CIM_TAG_LX_SYMLINK, .parent_id = 1 };
	struct builder b;

	memset(text, 't', sizeof(text));
	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	e.reparse_off = build(&b, reparse, sizeof(reparse));
	e.data = (struct cim_stream){ .off = build(&b, text, sizes[_i]), .size = sizes[_i] };
	struct name x = { unit_x, 1, build_entry(&b, &e), { 0 } };
	build_root(&b, &x, 1);
	struct cim_image *img = builder_end(&b);
	ck_assert_int_eq(cim_file_readlink(img, image_find(img, "x"), target),
			 _i == 0 ? CIM_SYMLINK_MAX : -CIM_ECORRUPT);
	if (_i == 0)
		ck_assert_uint_eq(image_attr(img, "x").size, CIM_SYMLINK_MAX);
	else
		ck_assert_str_ne(cim_reason(), "");
	cim_image_unref(img);
}
END_TEST

static const uint16_t unit_emoji[] = { 0xD83D, 0xDE00 }, unit_fffd[] = { 0xFFFD },
		      unit_pua[] = { 0xE000 }, unit_low[] = { 0xDC00 };

START_TEST(names_are_found_in_either_order)
{
	static const char *const shown[] = { "\360\237\230\200", "\357\277\275", "\356\200\200",
					     "x", "y" };
	struct builder b;
	uint32_t ids[5];

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	for (size_t i = 0; i < 5; i++)
		ids[i] = build_text(&b, shown[i]);
	struct name by_units[] = { { unit_x, 1, ids[3], { 0 } },
				   { unit_y, 1, ids[4], { 0 } },
				   { unit_emoji, 2, ids[0], { 0 } },
				   { unit_pua, 1, ids[2], { 0 } },
				   { unit_fffd, 1, ids[1], { 0 } } };
	struct name by_points[] = { { unit_x, 1, ids[3], { 0 } },
				    { unit_y, 1, ids[4], { 0 } },
				    { unit_pua, 1, ids[2], { 0 } },
				    { unit_fffd, 1, ids[1], { 0 } },
				    { unit_emoji, 2, ids[0], { 0 } } };
	build_root(&b, _i == 0 ? by_units : by_points, 5);
	struct cim_image *img = builder_end(&b);
	for (size_t i = 0; i < 5; i++)
		check_text(img, shown[i], shown[i]);
	ck_assert_int_eq(image_path_error(img, "\360\237\230\201"), -ENOENT);
	ck_assert_int_eq(image_path_error(img, "\356\200\201"), -ENOENT);
	cim_image_unref(img);
}
END_TEST

START_TEST(name_that_is_no_utf16_is_shown_and_found)
{
	char shown[CIM_NAME_BYTES + 1];
	struct builder b;

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	struct name low = { unit_low, 1, build_text(&b, "lone"), { 0 } };
	build_root(&b, &low, 1);
	struct cim_image *img = builder_end(&b);
	ck_assert_int_gt(cim_name_shown(unit_low, 1, shown), 0);
	check_text(img, shown, "lone");
	cim_image_unref(img);
}
END_TEST

START_TEST(names_with_a_slash_are_not_listed)
{
	static const uint16_t slash[] = { 'a', '/', 'b' };
	struct builder b;

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	struct name names[] = { { slash, 3, build_text(&b, "evil"), { 0 } },
				{ unit_x, 1, build_text(&b, "x"), { 0 } } };
	build_root(&b, names, 2);
	struct cim_image *img = builder_end(&b);
	ck_assert_int_eq(image_path_error(img, "a/b"), -ENOENT);
	check_text(img, "x", "x");
	cim_image_unref(img);
}
END_TEST

/* Windows does not count links, so a file with two names says that it has one. */
static void build_uncounted_link(void)
{
	struct builder b;

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	uint32_t id = build_text(&b, "shared");
	struct name names[] = { { unit_x, 1, id, { 0 } }, { unit_y, 1, id, { 0 } } };
	build_root(&b, names, 2);
	cim_image_unref(builder_end(&b));
}

START_TEST(hard_link_that_was_not_counted_outlives_the_other)
{
	struct cim_writer *w;

	build_uncounted_link();
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(try_unlink(w, "x"), 0);
	check_staged(w, find(w, "y"), "shared", 6);
	commit(w);
	check_image_text("b.cim", "y", "shared");

	w = open_writer("a.cim", "c.cim");
	ck_assert_int_eq(try_unlink(w, "x"), 0);
	write_at(w, find(w, "y"), 0, "S", 1);
	ck_assert_uint_ge(attr_of(w, find(w, "y")).posix.n_links, 1);
	commit(w);
	check_image_text("c.cim", "y", "Shared");

	/* What was written by one name is there by the other, though nobody looked at that. */
	w = open_writer("a.cim", "d.cim");
	write_at(w, find(w, "x"), 0, "S", 1);
	ck_assert_int_eq(try_unlink(w, "x"), 0);
	commit(w);
	check_image_text("d.cim", "y", "Shared");
}
END_TEST

/* What a damaged base calls a file by its ID is no file of the writer, whose IDs come behind. */
START_TEST(name_of_no_file_is_none_of_the_writer)
{
	struct builder b;

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	struct name names[] = { { unit_x, 1, 2, { 0 } }, { unit_y, 1, 3, { 0 } } };
	build_text(&b, "text");
	build_root(&b, names, 2);
	cim_image_unref(builder_end(&b));

	struct cim_writer *w = open_writer("a.cim", "b.cim");
	uint32_t id = put_text(w, "new", "new");
	ck_assert_uint_eq(id, 3);
	ck_assert_int_eq(try_find(w, "y", &id), -CIM_ECORRUPT);
	ck_assert_int_eq(try_unlink(w, "y"), -CIM_ECORRUPT);
	ck_assert_int_eq(try_rename(w, "x", "y", 0), -CIM_ECORRUPT);
	check_staged(w, find(w, "new"), "new", 3);
	commit(w);
	check_image_text("b.cim", "new", "new");
	check_image_text("b.cim", "x", "text");
}
END_TEST

/* A file that says it is in a directory which is none can be changed. */
START_TEST(parent_that_is_no_file_is_forgotten)
{
	static const uint32_t parents[] = { 3, 1000, UINT32_MAX };
	struct name x = { unit_x, 1, 2, { 0 } };
	struct builder b;

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	struct cim_entry e = { .data = { .off = build(&b, "text", 4), .size = 4 },
			       .parent_id = parents[_i] };
	build_entry(&b, &e);
	build_root(&b, &x, 1);
	cim_image_unref(builder_end(&b));

	struct cim_writer *w = open_writer("a.cim", "b.cim");
	write_at(w, find(w, "x"), 4, "!", 1);
	put_text(w, "new", "new");
	commit(w);
	struct cim_image *img = open_image("b.cim");
	check_text(img, "x", "text!");
	ck_assert_uint_eq(image_entry(img, "x").parent_id, 0);
	cim_image_unref(img);
}
END_TEST

START_TEST(several_threads_read_one_image)
{
	g_autofree GThread **threads = g_new(GThread *, 4);
	struct cim_image *img = open_image("a.cim");

	for (int i = 0; i < 4; i++)
		threads[i] = g_thread_new("reader", (GThreadFunc)(void *)walk_all, NULL);
	for (int i = 0; i < 4; i++)
		g_thread_join(threads[i]);
	check_rest(img);
	cim_image_unref(img);
}
END_TEST

static void add_damage_tests(TCase *tc)
{
	tcase_add_test(tc, sample_is_readable);
	tcase_add_test(tc, image_file_cut_off_is_refused);
	tcase_add_loop_test(tc, image_file_with_a_broken_field_is_refused, 0, N_ROWS(image_bytes));
	tcase_add_test(tc, image_of_other_versions_that_are_known_is_read);
	tcase_add_test(tc, image_may_not_list_too_many_region_files);
	tcase_add_loop_test(tc, image_is_a_regular_file, 0, N_ROWS(not_images));
	tcase_add_loop_test(tc, lost_metadata_region_refuses_the_image, 0, N_REGION_DAMAGES);
	tcase_add_loop_test(tc, lost_data_region_loses_the_large_files_only, 0, N_REGION_DAMAGES);
	tcase_add_loop_test(tc, lost_small_region_loses_the_small_files_only, 0, N_REGION_DAMAGES);
	tcase_add_test(tc, data_region_cut_short_loses_what_was_behind);
	tcase_add_test(tc, data_cut_off_under_a_reader_is_an_error);
	tcase_add_test(tc, data_cut_off_inside_a_page_is_an_error);
	tcase_add_test(tc, metadata_cut_off_anywhere_is_an_error_or_the_truth);
	tcase_add_test(tc, pe_image_cut_off_under_a_reader_is_an_error);
	tcase_add_test(tc, metadata_cut_off_under_a_reader_is_an_error);
	tcase_add_test(tc, all_regions_cut_off_and_everything_walked);
	tcase_add_loop_test(tc, filesystem_object_with_a_broken_field_refuses_the_image, 0,
			    N_ROWS(fs_fields));
	tcase_add_loop_test(tc, file_table_with_a_broken_field_loses_its_files_only, 0,
			    N_ROWS(table_fields));
	tcase_add_test(tc, file_table_with_fewer_entries_loses_the_last_ones);
	tcase_add_loop_test(tc, entry_with_a_bad_stream_is_lost_alone, 0, N_ROWS(bad_streams));
	tcase_add_loop_test(tc, stream_outside_its_region_is_an_error_of_its_file_only, 0,
			    N_ROWS(outside_streams));
	tcase_add_loop_test(tc, directory_with_a_broken_table_is_lost_alone, 0,
			    N_ROWS(link_fields));
	tcase_add_loop_test(tc, directory_with_a_bad_name_offset_keeps_its_other_names, 0, 5);
	tcase_add_loop_test(tc, name_of_a_file_that_is_not_there_is_an_error, 0, 4);
	tcase_add_test(tc, directory_that_holds_itself_is_walked_without_end);
	tcase_add_loop_test(tc, file_with_a_broken_ea_list_is_plainer, 0, 4);
	tcase_add_test(tc, ea_list_that_lies_ends_there);
	tcase_add_loop_test(tc, symlink_with_a_broken_buffer_is_plainer, 0, 3);
	tcase_add_test(tc, symlink_with_lying_lengths_is_plainer);
	tcase_add_loop_test(tc, file_with_a_broken_stream_table_keeps_its_data, 0, 3);
	tcase_add_test(tc, xattr_in_a_stream_past_the_end_is_an_error);
	tcase_add_loop_test(tc, random_damage_is_survived, 0, 4);
	tcase_add_loop_test(tc, random_damage_of_object_ids_is_survived, 0, 3);
	tcase_add_test(tc, several_threads_read_one_image);
}

static void add_built_tests(TCase *tc)
{
	tcase_add_loop_test(tc, entries_of_other_sizes_are_read, 0, 4);
	tcase_add_test(tc, sparse_stream_reads_as_zeros);
	tcase_add_test(tc, pe_image_is_read_through_its_mappings);
	tcase_add_test(tc, pe_image_past_its_data_is_an_error);
	tcase_add_test(tc, pe_image_whose_data_wraps_around_is_an_error);
	tcase_add_test(tc, pe_image_with_mappings_out_of_order_ends);
	tcase_add_loop_test(tc, stream_tables_are_read_with_and_without_their_length, 0, 2);
	tcase_add_loop_test(tc, symlink_whose_target_is_too_long_is_an_error, 0, 2);
	tcase_add_loop_test(tc, names_are_found_in_either_order, 0, 2);
	tcase_add_test(tc, name_that_is_no_utf16_is_shown_and_found);
	tcase_add_test(tc, names_with_a_slash_are_not_listed);
	tcase_add_test(tc, hard_link_that_was_not_counted_outlives_the_other);
	tcase_add_test(tc, name_of_no_file_is_none_of_the_writer);
	tcase_add_loop_test(tc, parent_that_is_no_file_is_forgotten, 0, 3);
}

static Suite *suite(void)
{
	Suite *s = suite_create("reader");
	TCase *damaged = tcase_create("damaged");
	TCase *lookup = tcase_create("paths");
	TCase *built = tcase_create("built");

	tcase_add_checked_fixture(damaged, setup_sample, teardown_sample);
	add_damage_tests(damaged);
	tcase_add_checked_fixture(lookup, setup_dir, teardown_dir);
	tcase_add_loop_test(lookup, path_leads_to_its_file, 0, N_ROWS(paths));
	tcase_add_test(lookup, path_that_ends_in_a_link_is_the_link);
	tcase_add_test(lookup, path_has_32767_bytes_at_most);
	tcase_add_checked_fixture(built, setup_dir, teardown_dir);
	add_built_tests(built);
	suite_add_tcase(s, damaged);
	suite_add_tcase(s, lookup);
	suite_add_tcase(s, built);
	return s;
}

int main(void)
{
	return test_run(suite());
}
