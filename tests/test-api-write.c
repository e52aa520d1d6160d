/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making files and streams as Windows' programs do: cimfs.h and libcimfs.so, and nothing else of
 * this project.
 *
 * The table has a row for each HRESULT that a function documents, and for each rule that callers
 * depend on though it is written nowhere (windows-api.md §1.4).
 */
#include "config.h"

#include "api-steps.h"

#define N255                                                                             \
	"012345678901234567890123456789012345678901234567890123456789012345678901234567" \
	"890123456789012345678901234567890123456789012345678901234567890123456789012345" \
	"678901234567890123456789012345678901234567890123456789012345678901234567890123" \
	"456789012345678901234"

static const struct row rows[] = {
	/* CimCreateFile: what it makes */
	{ "a file", { FILE_("f", "text"), COMMIT_, HAS("f", "text") } },
	{ "an empty file", { FILE_("f", ""), COMMIT_, HAS("f", "") } },
	{ "a directory", { DIR_("d"), COMMIT_, { STAT, "d", NULL, 1, DIRECTORY, OK } } },
	{ "a file in a directory",
	  { DIR_("d"), FILE_("d\\f", "text"), COMMIT_, HAS("d\\f", "text") } },
	{ "slashes separate as well",
	  { DIR_("d"), FILE_("d/f", "text"), COMMIT_, HAS("d\\f", "text") } },
	{ "a separator in front",
	  { DIR_("\\d"), FILE_("\\d\\f", "x"), FILE_("/g", "y"), COMMIT_, HAS("d/f", "x"),
	    HAS("\\g", "y") } },
	{ "a name of 255 units", { FILE_(N255, "x"), COMMIT_, HAS(N255, "x") } },
	{ "names of any script",
	  { FILE_("\xe8\xaa\x9e\xf0\x9f\x98\x80", "x"), COMMIT_,
	    HAS("\xe8\xaa\x9e\xf0\x9f\x98\x80", "x") } },
	{ "a name that is no UTF-8", { FILE_("\xff\x80", "x"), COMMIT_, HAS("\xff\x80", "x") } },
	{ "attributes that are kept",
	  { { CREATE, "f", NULL, 0, 0x227, OK },
	    { CLOSE },
	    COMMIT_,
	    { STAT, "f", NULL, 1, 0x227, OK } } },
	{ "attributes that are dropped",
	  { { CREATE, "f", NULL, 0, 0x3920, OK },
	    { CLOSE },
	    COMMIT_,
	    { STAT, "f", NULL, 1, ARCHIVE, OK } } },
	{ "no attributes",
	  { { CREATE, "f", NULL, 0, 0, OK },
	    { CLOSE },
	    COMMIT_,
	    { STAT, "f", NULL, 1, FILE_ATTRIBUTE_NORMAL, OK } } },
	{ "a hidden directory",
	  { { CREATE, "d", NULL, 0, DIRECTORY | 2, OK },
	    { CLOSE },
	    COMMIT_,
	    { STAT, "d", NULL, 1, DIRECTORY | 2, OK } } },

	/* CimCreateFile: errors */
	{ "no path", { { CREATE, NULL, NULL, 0, ARCHIVE, BAD } } },
	{ "an empty path", { { CREATE, "", NULL, 0, ARCHIVE, BAD } } },
	{ "a separator at the end", { { CREATE, "d\\", NULL, 0, DIRECTORY, BAD } } },
	{ "two separators", { DIR_("d"), { CREATE, "d\\\\f", NULL, 0, ARCHIVE, BAD } } },
	{ "two separators in front", { { CREATE, "\\\\f", NULL, 0, ARCHIVE, BAD } } },
	{ "dot", { { CREATE, ".", NULL, 0, ARCHIVE, BAD } } },
	{ "dot dot", { DIR_("d"), { CREATE, "d\\..\\f", NULL, 0, ARCHIVE, BAD } } },
	{ "a colon", { { CREATE, "f:s", NULL, 0, ARCHIVE, BAD } } },
	{ "a colon on the way", { DIR_("d"), { CREATE, "d:x\\f", NULL, 0, ARCHIVE, BAD } } },
	{ "a name of 256 units", { { CREATE, N255 "5", NULL, 0, ARCHIVE, BAD } } },
	{ "no parent", { { CREATE, "d\\f", NULL, 0, ARCHIVE, NOPATH } } },
	{ "no grandparent", { { CREATE, "d\\e\\f", NULL, 0, ARCHIVE, NOPATH } } },
	{ "a file as parent", { FILE_("f", "x"), { CREATE, "f\\g", NULL, 0, ARCHIVE, NOPATH } } },
	{ "a negative size", { { CREATE, "f", NULL, -1, ARCHIVE, BAD } } },
	{ "a size past the format", { { CREATE, "f", NULL, INT64_MAX, ARCHIVE, BAD } } },
	{ "a directory with a size", { { CREATE, "d", NULL, 1, DIRECTORY, BAD } } },
	{ "a failure makes nothing",
	  { { CREATE, "f", NULL, -1, ARCHIVE, BAD },
	    GONE("f"),
	    { CREATE, "d\\f", NULL, 0, ARCHIVE, NOPATH },
	    GONE("d") } },
	{ "another stream is open",
	  { { CREATE, "f", NULL, 1, ARCHIVE, OK },
	    { CREATE, "g", NULL, 1, ARCHIVE, SHARING },
	    { CLOSE },
	    { CREATE, "g", NULL, 1, ARCHIVE, OK },
	    { CLOSE } } },
	{ "a directory's is open",
	  { { CREATE, "d", NULL, 0, DIRECTORY, OK },
	    { CREATE, "g", NULL, 1, ARCHIVE, SHARING },
	    { CLOSE } } },

	/* CimCreateFile: over what is there */
	{ "file over file",
	  { FILE_("f", "old"), FILE_("f", "new text"), COMMIT_, HAS("f", "new text") } },
	{ "file over file of the base",
	  { FILE_("f", "old"), FORK_, FILE_("f", "new"), COMMIT_, HAS("f", "new") } },
	{ "directory over directory",
	  { DIR_("d"), FILE_("d\\f", "x"), DIR_("d"), COMMIT_, HAS("d\\f", "x") } },
	{ "directory over one of the base",
	  { DIR_("d"),
	    FILE_("d\\f", "x"),
	    FORK_,
	    { CREATE, "d", NULL, 0, DIRECTORY | 2, OK },
	    { CLOSE },
	    COMMIT_,
	    HAS("d\\f", "x"),
	    { STAT, "d", NULL, 1, DIRECTORY | 2, OK } } },
	{ "a directory keeps its streams",
	  { DIR_("d"), STREAM_("d:s", "x"), DIR_("d"), COMMIT_, HAS("d:s", "x") } },
	{ "file over directory",
	  { DIR_("d"), FILE_("d\\f", "x"), FILE_("d", "file"), COMMIT_, HAS("d", "file"),
	    HAS_NO("d\\f", NOPATH) } },
	{ "file over one of the base",
	  { DIR_("d"), FILE_("d\\f", "x"), FORK_, FILE_("d", "file"), COMMIT_, HAS("d", "file"),
	    HAS_NO("d\\f", NOPATH) } },
	{ "directory over file",
	  { FILE_("f", "x"), DIR_("f"), FILE_("f\\g", "y"), COMMIT_, HAS("f\\g", "y") } },
	{ "file over a name of two",
	  { FILE_("f", "old"),
	    LINK_("g", "f"),
	    FILE_("f", "new"),
	    COMMIT_,
	    HAS("f", "new"),
	    HAS("g", "old"),
	    { STAT, "g", NULL, 1, ARCHIVE, OK } } },
	{ "streams of a replaced file",
	  { FILE_("f", "x"), STREAM_("f:s", "y"), FILE_("f", "z"), COMMIT_, HAS("f", "z"),
	    HAS_NO("f:s", NOFILE) } },
	{ "times stay with a directory",
	  { DIR_("d"), FILE_("d\\f", "x"), COMMIT_, { STAT, "d", NULL, 1, DIRECTORY, OK } } },
	{ "the root's metadata",
	  { { CREATE, "\\", NULL, 0, DIRECTORY | 2, OK },
	    { CLOSE },
	    FILE_("f", "x"),
	    COMMIT_,
	    { STAT, "\\", NULL, 1, DIRECTORY | 2, OK },
	    HAS("f", "x") } },
	{ "the root keeps its names",
	  { FILE_("f", "x"), FORK_, DIR_("/"), COMMIT_, HAS("f", "x") } },
	{ "no file as root", { { CREATE, "\\", NULL, 0, ARCHIVE, BAD } } },

	/* sizes, CimWriteStream, CimCloseStream */
	{ "in pieces",
	  { { CREATE, "f", NULL, 6, ARCHIVE, OK },
	    { WRITE, "ab" },
	    { WRITE, "" },
	    { WRITE, "cdef" },
	    { CLOSE },
	    COMMIT_,
	    HAS("f", "abcdef") } },
	{ "never written",
	  { { CREATE, "f", NULL, 100000, ARCHIVE, OK },
	    { CLOSE },
	    COMMIT_,
	    { ZEROS, "f", NULL, 100000, 0, OK } } },
	{ "a terabyte, never written",
	  { { CREATE, "f", NULL, 1ll << 40, ARCHIVE, OK },
	    { CLOSE },
	    COMMIT_,
	    { ZEROS, "f", NULL, 1ll << 40, 0, OK } } },
	{ "closed short",
	  { { CREATE, "f", NULL, 5, ARCHIVE, OK },
	    { WRITE, "abc" },
	    { CLOSE },
	    COMMIT_,
	    { READ, "f", "abc\0\0", 5, 0, OK } } },
	{ "past the end",
	  { { CREATE, "f", NULL, 3, ARCHIVE, OK },
	    { WRITE, "abcdef", NULL, 0, 0, ATEND },
	    { CLOSE },
	    COMMIT_,
	    HAS("f", "abc") } },
	{ "past the end, later",
	  { { CREATE, "f", NULL, 3, ARCHIVE, OK },
	    { WRITE, "abc" },
	    { WRITE, "d", NULL, 0, 0, ATEND },
	    { WRITE, "" },
	    { CLOSE },
	    COMMIT_,
	    HAS("f", "abc") } },
	{ "past the end of nothing",
	  { { CREATE, "f", NULL, 0, ARCHIVE, OK },
	    { WRITE, "a", NULL, 0, 0, ATEND },
	    { CLOSE },
	    COMMIT_,
	    HAS("f", "") } },
	{ "to a directory",
	  { { CREATE, "d", NULL, 0, DIRECTORY, OK }, { WRITE, "a", NULL, 0, 0, BAD }, { CLOSE } } },
	{ "nothing to a directory",
	  { { CREATE, "d", NULL, 0, DIRECTORY, OK }, { WRITE, "", NULL, 0, 0, BAD }, { CLOSE } } },
	{ "a NULL buffer",
	  { { CREATE, "f", NULL, 1, ARCHIVE, OK },
	    { WRITE0, NULL, NULL, 1, 0, POINTER },
	    { CLOSE } } },
	{ "a NULL buffer, no bytes",
	  { { CREATE, "f", NULL, 1, ARCHIVE, OK },
	    { WRITE0, NULL, NULL, 0, 0, POINTER },
	    { CLOSE } } },
	{ "no handle", { { WRITE, "a", NULL, 0, 0, BAD } } },
	{ "close of no handle", { { CLOSE }, FILE_("f", "x"), { CLOSE }, COMMIT_ } },
	{ "growing is making anew",
	  { FILE_("f", "abc"), FORK_, FILE_("f", "abcdef"), COMMIT_, HAS("f", "abcdef") } },

	/* CimCreateAlternateStream */
	{ "a stream",
	  { FILE_("f", "x"), STREAM_("f:s", "of s"), COMMIT_, HAS("f:s", "of s"), HAS("f", "x") } },
	{ "with its type",
	  { FILE_("f", "x"), STREAM_("f:s:$DATA", "of s"), COMMIT_, HAS("f:s", "of s") } },
	{ "with its type in any case",
	  { FILE_("f", "x"), STREAM_("f:s:$data", "of s"), COMMIT_, HAS("f:s:$Data", "of s") } },
	{ "of a directory", { DIR_("d"), STREAM_("d:s", "x"), COMMIT_, HAS("d:s", "x") } },
	{ "of a file in a directory",
	  { DIR_("d"), FILE_("d\\f", ""), STREAM_("d\\f:s", "x"), COMMIT_, HAS("d/f:s", "x") } },
	{ "of the root", { STREAM_("\\:s", "x"), COMMIT_, HAS("\\:s", "x") } },
	{ "of a file of the base",
	  { FILE_("f", "main"), FORK_, STREAM_("f:s", "x"), COMMIT_, HAS("f:s", "x"),
	    HAS("f", "main") } },
	{ "two of them",
	  { FILE_("f", ""), STREAM_("f:s", "1"), STREAM_("f:t", "2"), COMMIT_, HAS("f:s", "1"),
	    HAS("f:t", "2") } },
	{ "an empty one", { FILE_("f", "x"), STREAM_("f:s", ""), COMMIT_, HAS("f:s", "") } },
	{ "a large one, never written",
	  { FILE_("f", "x"),
	    { STREAM, "f:s", NULL, 1 << 20 },
	    { CLOSE },
	    COMMIT_,
	    { ZEROS, "f:s", NULL, 1 << 20, 0, OK } } },
	{ "a stream made anew",
	  { FILE_("f", "x"), STREAM_("f:s", "long"), STREAM_("f:s", "new"), COMMIT_,
	    HAS("f:s", "new") } },
	{ "by another name of its file",
	  { FILE_("f", ""), LINK_("g", "f"), STREAM_("g:s", "x"), COMMIT_, HAS("f:s", "x") } },
	{ "past a stream's end",
	  { FILE_("f", ""),
	    { STREAM, "f:s", NULL, 2 },
	    { WRITE, "abc", NULL, 0, 0, ATEND },
	    { CLOSE },
	    COMMIT_,
	    HAS("f:s", "ab") } },
	{ "no stream in it", { FILE_("f", ""), { STREAM, "f", NULL, 1, 0, BAD } } },
	{ "an empty stream name", { FILE_("f", ""), { STREAM, "f:", NULL, 1, 0, BAD } } },
	{ "the main stream", { FILE_("f", ""), { STREAM, "f::$DATA", NULL, 1, 0, BAD } } },
	{ "another type", { FILE_("f", ""), { STREAM, "f:s:$INDEX", NULL, 1, 0, BAD } } },
	{ "a separator in a stream", { FILE_("f", ""), { STREAM, "f:s\\t", NULL, 1, 0, BAD } } },
	{ "a long stream name", { FILE_("f", ""), { STREAM, "f:" N255 "5", NULL, 1, 0, BAD } } },
	{ "no path to a stream", { { STREAM, NULL, NULL, 1, 0, BAD } } },
	{ "a negative stream size", { FILE_("f", ""), { STREAM, "f:s", NULL, -1, 0, BAD } } },
	{ "no owner", { { STREAM, "f:s", NULL, 1, 0, NOPATH } } },
	{ "no owner's directory", { { STREAM, "d\\f:s", NULL, 1, 0, NOPATH } } },
	{ "stream while one is open",
	  { FILE_("f", ""),
	    { CREATE, "g", NULL, 1, ARCHIVE, OK },
	    { STREAM, "f:s", NULL, 1, 0, SHARING },
	    { CLOSE } } },
	{ "create while one is open",
	  { FILE_("f", ""),
	    { STREAM, "f:s", NULL, 1 },
	    { CREATE, "g", NULL, 1, ARCHIVE, SHARING },
	    { CLOSE } } },
};

START_TEST(row_answers_as_documented)
{
	run_row(&rows[_i]);
}
END_TEST

START_TEST(null_results_and_handles_are_refused)
{
	CIMFS_STREAM_HANDLE stream;
	CIMFS_IMAGE_HANDLE image;
	uint8_t exists;

	ck_assert_int_eq(CimCreateFile(NULL, "f", &plain, &stream), BAD);
	ck_assert_int_eq(CimCreateAlternateStream(NULL, "f:s", 0, &stream), BAD);
	ck_assert_int_eq(CimCreateHardLink(NULL, "f", "g"), BAD);
	ck_assert_int_eq(CimDeletePath(NULL, "f"), BAD);
	ck_assert_int_eq(CimLookupFile(NULL, "f", &exists), BAD);
	ck_assert_int_eq(CimWriteStream(NULL, "x", 1), BAD);
	CimCloseStream(NULL);
	CimCloseImage(NULL);
	ck_assert_int_eq(CimCreateImage(dir, NULL, "a.cim", &image), OK);
	ck_assert_int_eq(CimCreateFile(image, "f", &plain, NULL), POINTER);
	ck_assert_int_eq(CimCreateFile(image, "f", NULL, &stream), BAD);
	ck_assert_int_eq(CimCreateAlternateStream(image, "f:s", 0, NULL), POINTER);
	ck_assert_int_eq(CimLookupFile(image, "f", NULL), POINTER);
	/* A stream's handle is none of an image, and the other way round. */
	ck_assert_int_eq(CimCreateFile(image, "f", &plain, &stream), OK);
	ck_assert_int_eq(CimDeletePath((CIMFS_IMAGE_HANDLE)(void *)stream, "f"), BAD);
	ck_assert_int_eq(CimWriteStream((CIMFS_STREAM_HANDLE)(void *)image, "x", 1), BAD);
	CimCloseStream(stream);
	CimCloseImage(image);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("api-write");
	TCase *tc = tcase_create("write");

	tcase_add_checked_fixture(tc, make_directory, remove_directory);
	tcase_add_loop_test(tc, row_answers_as_documented, 0, N_ROWS(rows));
	tcase_add_test(tc, null_results_and_handles_are_refused);
	suite_add_tcase(suite, tc);
	return test_run(suite);
}
