/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files of an image that are broken, lost or cut off, some while it is read: an error of what
 * was in them, the rest stays readable, and nothing of it ends the process.
 */
#include "config.h"

#include "damage.h"
#include "imagedir.h"
#include "reader.h"
#include "readsample.h"

/* The sanitizer has a handler for SIGBUS of its own; here that of the core is wanted. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "handle_sigbus=0";
}

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

int main(void)
{
	Suite *suite = suite_create("reader-files");
	TCase *files = tcase_create("files");

	tcase_add_checked_fixture(files, setup_sample, teardown_sample);
	tcase_add_test(files, image_file_cut_off_is_refused);
	tcase_add_loop_test(files, image_file_with_a_broken_field_is_refused, 0,
			    N_ROWS(image_bytes));
	tcase_add_test(files, image_of_other_versions_that_are_known_is_read);
	tcase_add_test(files, image_may_not_list_too_many_region_files);
	tcase_add_loop_test(files, image_is_a_regular_file, 0, N_ROWS(not_images));
	tcase_add_loop_test(files, lost_metadata_region_refuses_the_image, 0, N_REGION_DAMAGES);
	tcase_add_loop_test(files, lost_data_region_loses_the_large_files_only, 0,
			    N_REGION_DAMAGES);
	tcase_add_loop_test(files, lost_small_region_loses_the_small_files_only, 0,
			    N_REGION_DAMAGES);
	tcase_add_test(files, data_region_cut_short_loses_what_was_behind);
	tcase_add_test(files, data_cut_off_under_a_reader_is_an_error);
	tcase_add_test(files, data_cut_off_inside_a_page_is_an_error);
	tcase_add_test(files, metadata_cut_off_anywhere_is_an_error_or_the_truth);
	tcase_add_test(files, pe_image_cut_off_under_a_reader_is_an_error);
	tcase_add_test(files, metadata_cut_off_under_a_reader_is_an_error);
	tcase_add_test(files, all_regions_cut_off_and_everything_walked);
	suite_add_tcase(suite, files);
	return test_run(suite);
}
