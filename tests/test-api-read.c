/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images as an application reads them, by a handle and by path: cimfs.h and libcimfs.so, and
 * nothing else of this project, but for an image that the tool makes, $CIMFS.
 */
#include "config.h"

#include <stdbool.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "apidir.h"

/* ---- by a handle ---- */

static const struct open_row {
	const char *name;
	const char *dir, *image;
	HRESULT hr;
} open_rows[] = {
	{ "an image", NULL, "base.cim", CIMFS_S_OK },
	{ "bad name", NULL, "sub/base.cim", CIMFS_E_INVALIDARG },
	{ "reserved name", NULL, "control", CIMFS_E_INVALIDARG },
	{ "bad name before no directory", "none", "", CIMFS_E_INVALIDARG },
	{ "no directory", "none", "base.cim", CIMFS_E_PATH_NOT_FOUND },
	{ "a file as directory", "file", "base.cim", CIMFS_E_PATH_NOT_FOUND },
	{ "no image of that name", NULL, "none.cim", CIMFS_E_FILE_NOT_FOUND },
	{ "no image", NULL, "garbage", CIMFS_E_FILE_CORRUPT },
	{ "cut off", NULL, "short", CIMFS_E_FILE_CORRUPT },
	{ "a directory as image", NULL, "subdir", CIMFS_E_FILE_CORRUPT },
};

START_TEST(open_answers_as_documented)
{
	const struct open_row *row = &open_rows[_i];
	CIMFS_READER_HANDLE reader = NULL;
	HRESULT hr = CimReaderOpen(row->dir ? path_of(row->dir) : dir, row->image, &reader);

	ck_assert_msg(hr == row->hr, "%s: %#x \"%s\", expected %#x", row->name, (unsigned int)hr,
		      CimGetReason(), (unsigned int)row->hr);
	ck_assert_msg(FAILED(hr) == (reader == NULL), "%s: the handle", row->name);
	CimReaderClose(reader);
}
END_TEST

static HRESULT never_called(void *context, const char *name, uint32_t id)
{
	ck_abort_msg("called with \"%s\"", name);
	return CIMFS_S_OK;
}

START_TEST(reading_refuses_null_handles)
{
	CIMFS_READER_HANDLE reader;
	CIMFS_STAT st;
	char buf[8];
	uint32_t id;
	size_t n;

	ck_assert_fails(CimReaderOpen(dir, "base.cim", NULL), CIMFS_E_POINTER);
	ck_assert_fails(CimReaderOpen(NULL, "base.cim", &reader), CIMFS_E_INVALIDARG);
	ck_assert_fails(CimReaderOpen(dir, NULL, &reader), CIMFS_E_INVALIDARG);
	CimReaderClose(NULL);
	ck_assert_uint_eq(CimReaderRoot(NULL), 0);
	ck_assert_fails(CimReaderLookup(NULL, 1, "a", &id), CIMFS_E_INVALIDARG);
	ck_assert_fails(CimReaderStat(NULL, 1, &st), CIMFS_E_INVALIDARG);
	ck_assert_fails(CimReaderList(NULL, 1, never_called, NULL), CIMFS_E_INVALIDARG);
	ck_assert_fails(CimReaderRead(NULL, 1, 0, buf, 1, &n), CIMFS_E_INVALIDARG);
	ck_assert_fails(CimReaderReadLink(NULL, 1, buf, 1), CIMFS_E_INVALIDARG);
	ck_assert_fails(CimReaderListXattrs(NULL, 1, never_called, NULL), CIMFS_E_INVALIDARG);
	ck_assert_fails(CimReaderGetXattr(NULL, 1, "user.a", buf, 1, &n), CIMFS_E_INVALIDARG);
	ck_assert_fails(CimReaderListStreams(NULL, 1, never_called, NULL), CIMFS_E_INVALIDARG);
	ck_assert_fails(CimReaderReadStream(NULL, 1, "s", 0, buf, 1, &n), CIMFS_E_INVALIDARG);
}
END_TEST

START_TEST(reading_refuses_null_results)
{
	CIMFS_READER_HANDLE r;
	char buf[8];
	size_t n;
	uint32_t id;

	ck_assert_int_eq(CimReaderOpen(dir, "base.cim", &r), CIMFS_S_OK);
	uint32_t root = CimReaderRoot(r);
	ck_assert_fails(CimReaderLookup(r, root, "a", NULL), CIMFS_E_POINTER);
	ck_assert_fails(CimReaderLookup(r, root, NULL, &id), CIMFS_E_INVALIDARG);
	ck_assert_fails(CimReaderStat(r, root, NULL), CIMFS_E_POINTER);
	ck_assert_fails(CimReaderList(r, root, NULL, NULL), CIMFS_E_POINTER);
	ck_assert_fails(CimReaderRead(r, root, 0, buf, 1, NULL), CIMFS_E_POINTER);
	ck_assert_fails(CimReaderRead(r, root, 0, NULL, 1, &n), CIMFS_E_POINTER);
	ck_assert_fails(CimReaderReadLink(r, root, NULL, 1), CIMFS_E_POINTER);
	ck_assert_fails(CimReaderListXattrs(r, root, NULL, NULL), CIMFS_E_POINTER);
	ck_assert_fails(CimReaderGetXattr(r, root, "user.a", buf, 1, NULL), CIMFS_E_POINTER);
	ck_assert_fails(CimReaderGetXattr(r, root, NULL, buf, 1, &n), CIMFS_E_INVALIDARG);
	ck_assert_fails(CimReaderListStreams(r, root, NULL, NULL), CIMFS_E_POINTER);
	ck_assert_fails(CimReaderReadStream(r, root, "s", 0, buf, 1, NULL), CIMFS_E_POINTER);
	ck_assert_fails(CimReaderReadStream(r, root, NULL, 0, buf, 1, &n), CIMFS_E_INVALIDARG);
	CimReaderClose(r);
}
END_TEST

START_TEST(empty_image_has_an_empty_root)
{
	CIMFS_READER_HANDLE r;
	CIMFS_STAT st;

	ck_assert_int_eq(CimReaderOpen(dir, "base.cim", &r), CIMFS_S_OK);
	ck_assert_int_eq(CimReaderStat(r, CimReaderRoot(r), &st), CIMFS_S_OK);
	ck_assert(S_ISDIR(st.Mode));
	ck_assert_uint_eq(st.FileId, CimReaderRoot(r));
	ck_assert_uint_eq(st.Attributes & 0x10, 0x10);
	ck_assert_int_eq(CimReaderList(r, CimReaderRoot(r), never_called, NULL), CIMFS_S_OK);
	ck_assert_fails(CimReaderStat(r, 4711, &st), CIMFS_E_FILE_CORRUPT);
	ck_assert_fails(CimReaderStat(r, 0, &st), CIMFS_E_FILE_CORRUPT);
	CimReaderClose(r);
}
END_TEST

START_TEST(reader_is_not_disturbed_by_an_overwrite)
{
	CIMFS_READER_HANDLE r;
	CIMFS_STAT st;

	ck_assert_int_eq(CimReaderOpen(dir, "base.cim", &r), CIMFS_S_OK);
	make_image("base.cim", NULL);
	ck_assert_int_eq(CimReaderStat(r, CimReaderRoot(r), &st), CIMFS_S_OK);
	CimReaderClose(r);
}
END_TEST

/* ---- by path ---- */

static const struct {
	const char *image, *file;
	HRESULT hr;
} paths[] = {
	{ "a.cim", "d\\f", OK },
	{ "a.cim", "/d/f", OK },
	{ "a.cim", "none", NOFILE },
	{ "a.cim", "none\\f", NOPATH },
	{ "a.cim", "d\\f:none", NOFILE },
	{ "a.cim", NULL, BAD },
	{ "none.cim", "f", NOFILE },
	{ "none/a.cim", "f", NOPATH },
	{ "garbage", "f", CIMFS_E_FILE_CORRUPT },
};

START_TEST(reading_by_path_answers_as_documented)
{
	FILE_STAT_BASIC_INFORMATION info;
	CIMFS_STREAM_HANDLE stream;
	CIMFS_IMAGE_HANDLE image;
	CIMFS_FILE_METADATA m = plain;
	uint64_t n, left;
	char path[PATH_MAX], buf[10];

	ck_assert_int_eq(CimCreateImage(dir, NULL, "a.cim", &image), OK);
	m.Attributes = FILE_ATTRIBUTE_DIRECTORY;
	ck_assert_int_eq(CimCreateFile(image, "d", &m, &stream), OK);
	CimCloseStream(stream);
	m = plain;
	m.FileSize = 26;
	ck_assert_int_eq(CimCreateFile(image, "d/f", &m, &stream), OK);
	ck_assert_int_eq(CimWriteStream(stream, "abcdefghijklmnopqrstuvwxyz", 26), OK);
	CimCloseStream(stream);
	ck_assert_int_eq(CimCommitImage(image), OK);
	CimCloseImage(image);
	snprintf(path, sizeof(path), "%s/garbage", dir);
	FILE *f = fopen(path, "w");
	ck_assert(f && fputs("no image", f) >= 0 && fclose(f) == 0);

	snprintf(path, sizeof(path), "%s/%s", dir, paths[_i].image);
	ck_assert_int_eq(CimReadFile(path, paths[_i].file, 20, buf, 10, &n, &left), paths[_i].hr);
	if (!paths[_i].file || !strchr(paths[_i].file, ':'))
		ck_assert_int_eq(CimGetFileStatBasicInformation(path, paths[_i].file, &info),
				 paths[_i].hr);
	if (paths[_i].hr != OK)
		return;
	ck_assert_uint_eq(n, 6);
	ck_assert_uint_eq(left, 0);
	ck_assert_mem_eq(buf, "uvwxyz", 6);
	ck_assert_int_eq(info.EndOfFile.QuadPart, 26);
	ck_assert_int_eq(CimReadFile(path, paths[_i].file, 10, buf, 10, &n, &left), OK);
	ck_assert_uint_eq(left, 6);
	ck_assert_int_eq(CimReadFile(path, paths[_i].file, 100, buf, 10, &n, &left), OK);
	ck_assert_uint_eq(n + left, 0);
	ck_assert_int_eq(CimReadFile(path, "d", 0, buf, 10, &n, &left), BAD);
	ck_assert_int_eq(CimReadFile(NULL, "d", 0, buf, 10, &n, &left), BAD);
	ck_assert_int_eq(CimReadFile("", "d", 0, buf, 10, &n, &left), BAD);
	ck_assert_int_eq(CimReadFile(path, "d/f", 0, NULL, 10, &n, &left), POINTER);
	ck_assert_int_eq(CimReadFile(path, "d/f", 0, buf, 10, NULL, &left), POINTER);
	ck_assert_int_eq(CimReadFile(path, "d/f", 0, buf, 10, &n, NULL), POINTER);
	ck_assert_int_eq(CimGetFileStatBasicInformation(path, "d/f", NULL), POINTER);
}
END_TEST

/* ---- an image with files in it, made by the tool ---- */

static CIMFS_READER_HANDLE reader;
static bool has_xattrs;

static void import_tree(void)
{
	char command[3 * PATH_MAX];

	make_directory();
	ck_assert_int_eq(mkdir(path_of("tree"), 0755), 0);
	ck_assert_int_eq(mkdir(path_of("tree/d"), 0750), 0);
	ck_assert_int_eq(mkdir(path_of("images"), 0755), 0);
	write_file("tree/a", "hello");
	write_file("tree/d/b", "");
	ck_assert_int_eq(chmod(path_of("tree/a"), 0640), 0);
	ck_assert_int_eq(chmod(path_of("tree/d"), 02750), 0);
	ck_assert_int_eq(link(path_of("tree/a"), path_of("tree/d/hard")), 0);
	ck_assert_int_eq(symlink("../a", path_of("tree/d/link")), 0);
	ck_assert_int_eq(symlink("d", path_of("tree/way")), 0);
	has_xattrs = setxattr(path_of("tree/a"), "user.colour", "blue", 4, 0) == 0;
	snprintf(command, sizeof(command), "'%s' import -q '%s/images' a.cim '%s/tree'",
		 getenv("CIMFS"), dir, dir);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(CimReaderOpen(path_of("images"), "a.cim", &reader), CIMFS_S_OK);
}

static void forget_tree(void)
{
	CimReaderClose(reader);
	remove_directory();
}

static uint32_t id_of(const char *path)
{
	uint32_t id = 0;

	ck_assert_int_eq(CimReaderLookup(reader, CimReaderRoot(reader), path, &id), CIMFS_S_OK);
	return id;
}

static const struct lookup_row {
	const char *path;
	HRESULT hr;
} lookup_rows[] = {
	{ "a", CIMFS_S_OK },
	{ "", CIMFS_S_OK },
	{ "/d/b", CIMFS_S_OK },
	{ "\\d\\b", CIMFS_S_OK },
	{ "d/./b", CIMFS_S_OK },
	{ "way/b", CIMFS_S_OK },
	{ "none", CIMFS_E_FILE_NOT_FOUND },
	{ "d/none", CIMFS_E_FILE_NOT_FOUND },
	{ "d\\none\\", CIMFS_E_FILE_NOT_FOUND },
	{ "none/b", CIMFS_E_PATH_NOT_FOUND },
	{ "none/none/b", CIMFS_E_PATH_NOT_FOUND },
	{ "a/b", CIMFS_E_PATH_NOT_FOUND },
};

START_TEST(lookup_tells_a_missing_file_from_a_missing_path)
{
	const struct lookup_row *row = &lookup_rows[_i];
	uint32_t id;
	HRESULT hr = CimReaderLookup(reader, CimReaderRoot(reader), row->path, &id);

	ck_assert_msg(hr == row->hr, "\"%s\": %#x, expected %#x", row->path, (unsigned int)hr,
		      (unsigned int)row->hr);
}
END_TEST

START_TEST(lookup_starts_at_a_directory)
{
	uint32_t id;

	ck_assert_int_eq(CimReaderLookup(reader, id_of("d"), "b", &id), CIMFS_S_OK);
	ck_assert_uint_eq(id, id_of("d/b"));
	ck_assert_fails(CimReaderLookup(reader, id_of("d"), "a", &id), CIMFS_E_FILE_NOT_FOUND);
	ck_assert_fails(CimReaderLookup(reader, id_of("a"), "b", &id), CIMFS_E_PATH_NOT_FOUND);
	ck_assert_fails(CimReaderLookup(reader, 4711, "b", &id), CIMFS_E_FILE_CORRUPT);
}
END_TEST

START_TEST(stat_shows_the_file)
{
	CIMFS_STAT st;
	struct stat source;

	ck_assert_int_eq(CimReaderStat(reader, id_of("a"), &st), CIMFS_S_OK);
	ck_assert_int_eq(stat(path_of("tree/a"), &source), 0);
	ck_assert_uint_eq(st.Mode, S_IFREG | 0640);
	ck_assert_uint_eq(st.Links, 2);
	ck_assert_uint_eq(st.Uid, source.st_uid);
	ck_assert_uint_eq(st.Gid, source.st_gid);
	ck_assert_uint_eq(st.Size, 5);
	ck_assert_uint_eq(st.LastWriteTime, 116444736000000000ull +
						    (uint64_t)source.st_mtim.tv_sec * 10000000 +
						    (uint64_t)source.st_mtim.tv_nsec / 100);
	ck_assert_uint_eq(st.FileId, id_of("d/hard"));
	ck_assert_int_eq(CimReaderStat(reader, id_of("d"), &st), CIMFS_S_OK);
	ck_assert_uint_eq(st.Mode, S_IFDIR | 02750);
	ck_assert_int_eq(CimReaderStat(reader, id_of("d/link"), &st), CIMFS_S_OK);
	ck_assert(S_ISLNK(st.Mode));
	ck_assert_uint_ne(st.ReparseTag, 0);
	ck_assert_uint_eq(st.Attributes & 0x400, 0x400);
}
END_TEST

struct names {
	char text[64];
	uint32_t last_id;
	HRESULT hr; /* what the callback returns */
};

static HRESULT collect(void *context, const char *name, uint32_t id)
{
	struct names *names = context;
	size_t n = strlen(names->text);

	snprintf(names->text + n, sizeof(names->text) - n, "%s ", name);
	names->last_id = id;
	return names->hr;
}

START_TEST(list_gives_each_name)
{
	struct names names = { "" }, first = { .hr = CIMFS_E_FAIL };

	ck_assert_int_eq(CimReaderList(reader, id_of("d"), collect, &names), CIMFS_S_OK);
	ck_assert_str_eq(names.text, "b hard link ");
	ck_assert_uint_eq(names.last_id, id_of("d/link"));
	ck_assert_int_eq(CimReaderList(reader, id_of("d"), collect, &first), CIMFS_E_FAIL);
	ck_assert_str_eq(first.text, "b ");
	ck_assert_fails(CimReaderList(reader, id_of("a"), never_called, NULL),
			CIMFS_E_PATH_NOT_FOUND);
}
END_TEST

START_TEST(read_ends_with_the_file)
{
	char buf[8] = "";
	size_t n = 4711;

	ck_assert_int_eq(CimReaderRead(reader, id_of("a"), 1, buf, sizeof(buf), &n), CIMFS_S_OK);
	ck_assert_uint_eq(n, 4);
	ck_assert_mem_eq(buf, "ello", 4);
	ck_assert_int_eq(CimReaderRead(reader, id_of("a"), 5, buf, sizeof(buf), &n), CIMFS_S_OK);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(CimReaderRead(reader, id_of("a"), UINT64_MAX, buf, 1, &n), CIMFS_S_OK);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(CimReaderRead(reader, id_of("d/b"), 0, buf, 1, &n), CIMFS_S_OK);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(CimReaderRead(reader, id_of("a"), 0, NULL, 0, &n), CIMFS_S_OK);
	ck_assert_fails(CimReaderRead(reader, id_of("d"), 0, buf, 1, &n), CIMFS_E_INVALIDARG);
	ck_assert_fails(CimReaderRead(reader, id_of("d/link"), 0, buf, 1, &n), CIMFS_E_INVALIDARG);
}
END_TEST

START_TEST(readlink_needs_room_for_the_nul)
{
	char buf[8];

	ck_assert_int_eq(CimReaderReadLink(reader, id_of("d/link"), buf, 5), CIMFS_S_OK);
	ck_assert_str_eq(buf, "../a");
	ck_assert_fails(CimReaderReadLink(reader, id_of("d/link"), buf, 4), CIMFS_E_INVALIDARG);
	ck_assert_fails(CimReaderReadLink(reader, id_of("a"), buf, 8), CIMFS_E_INVALIDARG);
}
END_TEST

START_TEST(xattrs_are_listed_and_read)
{
	struct names names = { "" };
	char buf[8];
	size_t n;

	ck_assert_fails(CimReaderGetXattr(reader, id_of("d/b"), "user.colour", buf, 8, &n),
			CIMFS_E_FILE_NOT_FOUND);
	if (!has_xattrs)
		return;
	ck_assert_int_eq(CimReaderListXattrs(reader, id_of("a"), collect, &names), CIMFS_S_OK);
	ck_assert_ptr_nonnull(strstr(names.text, "user.colour "));
	ck_assert_uint_eq(names.last_id, id_of("a"));
	ck_assert_int_eq(CimReaderGetXattr(reader, id_of("a"), "user.colour", NULL, 0, &n),
			 CIMFS_S_OK);
	ck_assert_uint_eq(n, 4);
	ck_assert_int_eq(CimReaderGetXattr(reader, id_of("a"), "user.colour", buf, 4, &n),
			 CIMFS_S_OK);
	ck_assert_mem_eq(buf, "blue", 4);
	ck_assert_fails(CimReaderGetXattr(reader, id_of("a"), "user.colour", buf, 3, &n),
			CIMFS_E_INVALIDARG);
}
END_TEST

START_TEST(file_without_streams_has_none)
{
	char buf[8];
	size_t n;

	ck_assert_int_eq(CimReaderListStreams(reader, id_of("a"), never_called, NULL), CIMFS_S_OK);
	ck_assert_fails(CimReaderReadStream(reader, id_of("a"), "s", 0, buf, 8, &n),
			CIMFS_E_FILE_NOT_FOUND);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("api-read");
	TCase *read = tcase_create("read"), *by_path = tcase_create("by-path"),
	      *files = tcase_create("files");

	tcase_add_checked_fixture(read, make_images, remove_directory);
	tcase_add_loop_test(read, open_answers_as_documented, 0, N_ROWS(open_rows));
	tcase_add_test(read, reading_refuses_null_handles);
	tcase_add_test(read, reading_refuses_null_results);
	tcase_add_test(read, empty_image_has_an_empty_root);
	tcase_add_test(read, reader_is_not_disturbed_by_an_overwrite);
	suite_add_tcase(s, read);

	tcase_add_checked_fixture(by_path, make_directory, remove_directory);
	tcase_add_loop_test(by_path, reading_by_path_answers_as_documented, 0, N_ROWS(paths));
	suite_add_tcase(s, by_path);

	/* make check sets it; by hand, the library can be tested without the tool. */
	if (getenv("CIMFS")) {
		tcase_add_checked_fixture(files, import_tree, forget_tree);
		tcase_add_loop_test(files, lookup_tells_a_missing_file_from_a_missing_path, 0,
				    N_ROWS(lookup_rows));
		tcase_add_test(files, lookup_starts_at_a_directory);
		tcase_add_test(files, stat_shows_the_file);
		tcase_add_test(files, list_gives_each_name);
		tcase_add_test(files, read_ends_with_the_file);
		tcase_add_test(files, readlink_needs_room_for_the_nul);
		tcase_add_test(files, xattrs_are_listed_and_read);
		tcase_add_test(files, file_without_streams_has_none);
	}
	suite_add_tcase(s, files);
	return s;
}

int main(void)
{
	return test_run(suite());
}
