/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images as an application opens, commits and closes them: cimfs.h and libcimfs.so, and nothing
 * else of this project.  What CimCreateImage() answers is the table of interface.md §1, row by row
 * and in its order.
 */
#include "config.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

#include "apidir.h"

#define LONG_NAME                                                                          \
	"01234567890123456789012345678901234567890123456789012345678901234567890123456789" \
	"01234567890123456789012345678901234567890123456789012345678901234567890123456789" \
	"01234567890123456789012345678901234567890123456789012345678901234567890123456789" \
	"0123456789012345"
#define NOBODY 65534

/* ---- CimCreateImage ---- */

/* In the directory that make_images() makes. */
static const struct create_row {
	const char *name;
	const char *dir; /* below the test's; NULL: that */
	const char *existing, *new_name;
	HRESULT hr;
} create_rows[] = {
	{ "no name", NULL, NULL, NULL, CIMFS_E_INVALIDARG },
	{ "empty existing", NULL, "", "n.cim", CIMFS_E_INVALIDARG },
	{ "empty new", NULL, "base.cim", "", CIMFS_E_INVALIDARG },
	{ "dot", NULL, NULL, ".", CIMFS_E_INVALIDARG },
	{ "dot dot", NULL, "..", NULL, CIMFS_E_INVALIDARG },
	{ "slash", NULL, NULL, "sub/n.cim", CIMFS_E_INVALIDARG },
	{ "control character", NULL, NULL, "n\n.cim", CIMFS_E_INVALIDARG },
	{ "256 bytes", NULL, NULL, LONG_NAME, CIMFS_E_INVALIDARG },
	{ "control", NULL, NULL, "control", CIMFS_E_INVALIDARG },
	{ "writer", NULL, NULL, "writer", CIMFS_E_INVALIDARG },
	{ "region file", NULL, NULL, "region_x", CIMFS_E_INVALIDARG },
	{ "object ID file", NULL, NULL, "objectid_x", CIMFS_E_INVALIDARG },
	{ "hidden file", NULL, NULL, ".cimfs", CIMFS_E_INVALIDARG },
	{ "bad name before no directory", "none", NULL, ".", CIMFS_E_INVALIDARG },
	{ "no directory", "none", NULL, "n.cim", CIMFS_E_PATH_NOT_FOUND },
	{ "no directory above", "none/none", "base.cim", NULL, CIMFS_E_PATH_NOT_FOUND },
	{ "a file as directory", "file", NULL, "n.cim", CIMFS_E_PATH_NOT_FOUND },
	{ "below a file", "file/none", NULL, "n.cim", CIMFS_E_PATH_NOT_FOUND },
	{ "existing is missing", NULL, "e.cim", NULL, CIMFS_E_FILE_NOT_FOUND },
	{ "existing is missing, fork", NULL, "e.cim", "n.cim", CIMFS_E_FILE_NOT_FOUND },
	{ "missing before there", NULL, "e.cim", "base.cim", CIMFS_E_FILE_NOT_FOUND },
	{ "new is there", NULL, NULL, "base.cim", CIMFS_E_FILE_EXISTS },
	{ "new is there, fork", NULL, "base.cim", "other.cim", CIMFS_E_FILE_EXISTS },
	{ "new is any file", NULL, NULL, "file", CIMFS_E_FILE_EXISTS },
	{ "there before damaged", NULL, "garbage", "other.cim", CIMFS_E_FILE_EXISTS },
	{ "no image", NULL, "garbage", "n.cim", CIMFS_E_FILE_CORRUPT },
	{ "no image, overwrite", NULL, "garbage", NULL, CIMFS_E_FILE_CORRUPT },
	{ "cut off", NULL, "short", "n.cim", CIMFS_E_FILE_CORRUPT },
	{ "a directory as image", NULL, "subdir", "n.cim", CIMFS_E_FILE_CORRUPT },
	{ "from scratch", NULL, NULL, "n.cim", CIMFS_S_OK },
	{ "overwrite", NULL, "base.cim", NULL, CIMFS_S_OK },
	{ "overwrite by both names", NULL, "base.cim", "base.cim", CIMFS_S_OK },
	{ "fork", NULL, "base.cim", "n.cim", CIMFS_S_OK },
};

START_TEST(create_answers_as_documented)
{
	const struct create_row *row = &create_rows[_i];
	CIMFS_IMAGE_HANDLE image = NULL;
	int n = count_files(dir);

	HRESULT hr = CimCreateImage(row->dir ? path_of(row->dir) : dir, row->existing,
				    row->new_name, &image);
	ck_assert_msg(hr == row->hr, "%s: %#x \"%s\", expected %#x", row->name, (unsigned int)hr,
		      CimGetReason(), (unsigned int)row->hr);
	ck_assert_msg(FAILED(hr) == (image == NULL), "%s: the handle", row->name);
	ck_assert_msg(SUCCEEDED(hr) || *CimGetReason(), "%s: no reason", row->name);
	CimCloseImage(image);
	ck_assert_msg(count_files(dir) == n, "%s: files are left", row->name);
}
END_TEST

START_TEST(create_needs_permission)
{
	CIMFS_IMAGE_HANDLE image;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(seteuid(NOBODY), 0);
	HRESULT hr = CimCreateImage(dir, NULL, "n.cim", &image);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(hr, CIMFS_E_ACCESSDENIED);
}
END_TEST

START_TEST(create_excludes_other_writers)
{
	CIMFS_IMAGE_HANDLE first, second;

	ck_assert_int_eq(CimCreateImage(dir, NULL, "n.cim", &first), CIMFS_S_OK);
	ck_assert_fails(CimCreateImage(dir, NULL, "m.cim", &second), CIMFS_E_SHARING_VIOLATION);
	ck_assert_fails(CimCreateImage(dir, "none.cim", "base.cim", &second),
			CIMFS_E_SHARING_VIOLATION);
	ck_assert_fails(CimCreateImage(dir, NULL, ".", &second), CIMFS_E_INVALIDARG);
	ck_assert_int_eq(CimCommitImage(first), CIMFS_S_OK);
	ck_assert_fails(CimCreateImage(dir, NULL, "m.cim", &second), CIMFS_E_SHARING_VIOLATION);
	CimCloseImage(first);
	ck_assert_int_eq(CimCreateImage(dir, NULL, "m.cim", &second), CIMFS_S_OK);
	CimCloseImage(second);
}
END_TEST

START_TEST(create_refuses_null)
{
	CIMFS_IMAGE_HANDLE image;

	ck_assert_fails(CimCreateImage(dir, NULL, "n.cim", NULL), CIMFS_E_POINTER);
	ck_assert_fails(CimCreateImage(NULL, NULL, "n.cim", &image), CIMFS_E_INVALIDARG);
}
END_TEST

static const struct {
	uint32_t flags;
	HRESULT hr;
} flags[] = { { 0, OK },     { 1, OK },     { 0x10, OK },       { 0x11, OK },
	      { 2, BAD },    { 4, BAD },    { 8, BAD },         { 0x20, BAD },
	      { 0x40, BAD }, { 0x80, BAD }, { 0x80000000, BAD } };

START_TEST(flags_of_blocks_are_refused)
{
	CIMFS_IMAGE_HANDLE image = NULL;

	ck_assert_int_eq(CimCreateImage2(dir, flags[_i].flags, NULL, "a.cim", &image),
			 flags[_i].hr);
	CimCloseImage(image);
}
END_TEST

/* ---- CimCommitImage, CimCloseImage ---- */

START_TEST(commit_refuses_null_and_a_second_time)
{
	CIMFS_IMAGE_HANDLE image;

	ck_assert_fails(CimCommitImage(NULL), CIMFS_E_INVALIDARG);
	CimCloseImage(NULL);
	ck_assert_int_eq(CimCreateImage(dir, NULL, "n.cim", &image), CIMFS_S_OK);
	ck_assert_int_eq(CimCommitImage(image), CIMFS_S_OK);
	ck_assert_fails(CimCommitImage(image), CIMFS_E_INVALIDARG);
	CimCloseImage(image);
}
END_TEST

START_TEST(commit_refuses_a_handle_of_another_kind)
{
	/* A reader's handle where an image's is asked for, and the other way round. */
	CIMFS_READER_HANDLE reader;
	CIMFS_IMAGE_HANDLE image;

	ck_assert_int_eq(CimReaderOpen(dir, "base.cim", &reader), CIMFS_S_OK);
	ck_assert_fails(CimCommitImage((CIMFS_IMAGE_HANDLE)(void *)reader), CIMFS_E_INVALIDARG);
	CimReaderClose(reader);
	ck_assert_int_eq(CimCreateImage(dir, NULL, "n.cim", &image), CIMFS_S_OK);
	ck_assert_uint_eq(CimReaderRoot((CIMFS_READER_HANDLE)(void *)image), 0);
	CimCloseImage(image);
}
END_TEST

START_TEST(commit_sees_a_name_that_came_meanwhile)
{
	CIMFS_IMAGE_HANDLE image;
	int n = count_files(dir);

	ck_assert_int_eq(CimCreateImage(dir, NULL, "n.cim", &image), CIMFS_S_OK);
	write_file("n.cim", "mine");
	ck_assert_fails(CimCommitImage(image), CIMFS_E_FILE_EXISTS);
	ck_assert_int_eq(unlink(path_of("n.cim")), 0);
	ck_assert_int_eq(count_files(dir), n);
	ck_assert_int_eq(CimCommitImage(image), CIMFS_S_OK);
	CimCloseImage(image);
}
END_TEST

START_TEST(commit_reports_a_full_disk)
{
	struct rlimit old, tight;
	CIMFS_IMAGE_HANDLE image;
	int n = count_files(dir);
	sighandler_t handler = signal(SIGXFSZ, SIG_IGN);

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = old;
	tight.rlim_cur = 65536; /* less than the upcase table */
	ck_assert_int_eq(CimCreateImage(dir, NULL, "n.cim", &image), CIMFS_S_OK);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
	HRESULT hr = CimCommitImage(image);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, handler);
	ck_assert_int_eq(hr, CIMFS_E_DISK_FULL);
	CimCloseImage(image);
	ck_assert_int_eq(count_files(dir), n);
}
END_TEST

START_TEST(close_without_commit_leaves_nothing)
{
	CIMFS_IMAGE_HANDLE image;
	int n = count_files(dir);

	ck_assert_int_eq(CimCreateImage(dir, "base.cim", "n.cim", &image), CIMFS_S_OK);
	CimCloseImage(image);
	ck_assert_int_eq(count_files(dir), n);
}
END_TEST

START_TEST(reason_is_of_the_last_call)
{
	CIMFS_READER_HANDLE reader;

	ck_assert_fails(CimCommitImage(NULL), CIMFS_E_INVALIDARG);
	ck_assert_int_eq(CimReaderOpen(dir, "base.cim", &reader), CIMFS_S_OK);
	ck_assert_str_eq(CimGetReason(), "");
	CimReaderClose(reader);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("api");
	TCase *write = tcase_create("write");

	tcase_add_checked_fixture(write, make_images, remove_directory);
	tcase_add_loop_test(write, create_answers_as_documented, 0, N_ROWS(create_rows));
	tcase_add_test(write, create_needs_permission);
	tcase_add_test(write, create_excludes_other_writers);
	tcase_add_test(write, create_refuses_null);
	tcase_add_test(write, commit_refuses_null_and_a_second_time);
	tcase_add_test(write, commit_refuses_a_handle_of_another_kind);
	tcase_add_test(write, commit_sees_a_name_that_came_meanwhile);
	tcase_add_test(write, commit_reports_a_full_disk);
	tcase_add_test(write, close_without_commit_leaves_nothing);
	tcase_add_test(write, reason_is_of_the_last_call);
	tcase_add_loop_test(write, flags_of_blocks_are_refused, 0, N_ROWS(flags));
	suite_add_tcase(suite, write);
	return test_run(suite);
}
