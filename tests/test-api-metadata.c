/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The metadata that Windows' programs hand over with a file: its buffers are checked, a file that
 * is refused for one is not made, and Linux shows what its EAs say.  cimfs.h and libcimfs.so, and
 * nothing else of this project.
 */
#include "config.h"

#include <unistd.h>

#include "apidir.h"

static const struct {
	const char *name;
	HRESULT hr;
	uint32_t sd_size, reparse_size, ea_size;
	uint8_t sd[32], reparse[32], eas[32];
} buffers[] = {
	{ "none", OK, 0, 0, 0, { 0 }, { 0 }, { 0 } },
	{ "a NULL DACL", OK, 20, 0, 0, { 1, 0, 4, 0x80 }, { 0 }, { 0 } },
	{ "a descriptor's revision", BAD, 20, 0, 0, { 2, 0, 4, 0x80 }, { 0 }, { 0 } },
	{ "not self-relative", BAD, 20, 0, 0, { 1, 0, 4, 0 }, { 0 }, { 0 } },
	{ "a descriptor cut off", BAD, 19, 0, 0, { 1, 0, 4, 0x80 }, { 0 }, { 0 } },
	{ "an owner outside", BAD, 20, 0, 0, { 1, 0, 4, 0x80, 20 }, { 0 }, { 0 } },
	{ "a DACL outside", BAD, 20, 0, 0, { 1, 0, 4, 0x80, [16] = 200 }, { 0 }, { 0 } },
	{ "a DACL that is longer",
	  BAD,
	  28,
	  0,
	  0,
	  { 1, 0, 4, 0x80, [16] = 20, [20] = 2, [22] = 9 },
	  { 0 },
	  { 0 } },
	{ "an empty DACL",
	  OK,
	  28,
	  0,
	  0,
	  { 1, 0, 4, 0x80, [16] = 20, [20] = 2, [22] = 8 },
	  { 0 },
	  { 0 } },
	{ "an ACE that is not there",
	  BAD,
	  28,
	  0,
	  0,
	  { 1, 0, 4, 0x80, [16] = 20, [20] = 2, [22] = 8, [24] = 1 },
	  { 0 },
	  { 0 } },
	{ "a reparse point", OK, 0, 8, 0, { 0 }, { 0x24, 0, 0, 0x80 }, { 0 } },
	{ "no tag", BAD, 0, 8, 0, { 0 }, { 0 }, { 0 } },
	{ "a reparse buffer cut off", BAD, 0, 7, 0, { 0 }, { 0x24, 0, 0, 0x80 }, { 0 } },
	{ "reparse data that is not there", BAD, 0, 8, 0, { 0 }, { 0x18, 0, 0, 0x80, 1 }, { 0 } },
	{ "reparse data that is not counted", BAD, 0, 9, 0, { 0 }, { 0x18, 0, 0, 0x80, 0 }, { 0 } },
	{ "a symlink without names", BAD, 0, 8, 0, { 0 }, { 0x0c, 0, 0, 0xa0, 0 }, { 0 } },
	{ "an EA", OK, 0, 0, 12, { 0 }, { 0 }, { [5] = 1, [6] = 2, 0, 'A', 0, 1, 2 } },
	{ "an EA list cut off",
	  BAD,
	  0,
	  0,
	  11,
	  { 0 },
	  { 0 },
	  { [5] = 1, [6] = 2, 0, 'A', 0, 1, 2 } },
	{ "an EA list that loops",
	  BAD,
	  0,
	  0,
	  12,
	  { 0 },
	  { 0 },
	  { 4, [5] = 1, [6] = 2, 0, 'A', 0, 1, 2 } },
	{ "an EA list that leads out",
	  BAD,
	  0,
	  0,
	  12,
	  { 0 },
	  { 0 },
	  { 12, [5] = 1, [6] = 200, 0, 'A', 0, 1, 2 } },
	{ "an EA without a name", BAD, 0, 0, 12, { 0 }, { 0 }, { [5] = 0, [6] = 2 } },
};

START_TEST(buffers_are_checked)
{
	CIMFS_FILE_METADATA m = {
		.Attributes = FILE_ATTRIBUTE_ARCHIVE,
		.SecurityDescriptorBuffer = buffers[_i].sd,
		.SecurityDescriptorSize = buffers[_i].sd_size,
		.ReparseDataBuffer = buffers[_i].reparse,
		.ReparseDataSize = buffers[_i].reparse_size,
		.EaBuffer = buffers[_i].eas,
		.EaBufferSize = buffers[_i].ea_size,
	};
	CIMFS_STREAM_HANDLE stream = NULL;
	CIMFS_IMAGE_HANDLE image;
	uint8_t exists;

	ck_assert_int_eq(CimCreateImage(dir, NULL, "a.cim", &image), OK);
	HRESULT hr = CimCreateFile(image, "f", &m, &stream);
	ck_assert_msg(hr == buffers[_i].hr, "%s: %#x: %s", buffers[_i].name, (unsigned int)hr,
		      CimGetReason());
	CimCloseStream(stream);
	ck_assert_int_eq(CimLookupFile(image, "f", &exists), OK);
	ck_assert_int_eq(exists, hr == OK);
	ck_assert_int_eq(CimCommitImage(image), OK);
	CimCloseImage(image);
	ck_assert_int_eq(CimCheckImage(dir, NULL, CIMFS_CHECK_DATA, NULL, NULL), OK);
}
END_TEST

START_TEST(buffer_without_bytes_is_refused)
{
	CIMFS_FILE_METADATA m[] = { plain, plain, plain };
	CIMFS_STREAM_HANDLE stream;
	CIMFS_IMAGE_HANDLE image;

	m[0].SecurityDescriptorSize = 20;
	m[1].ReparseDataSize = 8;
	m[2].EaBufferSize = 12;
	ck_assert_int_eq(CimCreateImage(dir, NULL, "a.cim", &image), OK);
	for (int i = 0; i < N_ROWS(m); i++)
		ck_assert_int_eq(CimCreateFile(image, "f", &m[i], &stream), BAD);
	CimCloseImage(image);
}
END_TEST

/* Linux' owner, mode and device are in what a caller's EAs say, and nowhere else. */
START_TEST(files_have_of_linux_what_their_eas_say)
{
	static const uint8_t eas[] = { 0,   0,   0,   0,   0, 6,    4, 0, '$', 'L',
				       'X', 'U', 'I', 'D', 0, 0xe8, 3, 0, 0,   0 };
	CIMFS_FILE_METADATA m = plain;
	CIMFS_STREAM_HANDLE stream;
	CIMFS_READER_HANDLE reader;
	CIMFS_IMAGE_HANDLE image;
	CIMFS_STAT st;
	uint32_t id;

	m.EaBuffer = eas;
	m.EaBufferSize = sizeof(eas);
	ck_assert_int_eq(CimCreateImage(dir, NULL, "a.cim", &image), OK);
	ck_assert_int_eq(CimCreateFile(image, "f", &m, &stream), OK);
	CimCloseStream(stream);
	ck_assert_int_eq(CimCommitImage(image), OK);
	CimCloseImage(image);
	ck_assert_int_eq(CimReaderOpen(dir, "a.cim", &reader), OK);
	ck_assert_int_eq(CimReaderLookup(reader, CimReaderRoot(reader), "f", &id), OK);
	ck_assert_int_eq(CimReaderStat(reader, id, &st), OK);
	ck_assert_uint_eq(st.Uid, 1000);
	ck_assert_uint_eq(st.Gid, getgid());
	ck_assert_uint_eq(st.Mode, S_IFREG | 0755);
	CimReaderClose(reader);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("api-metadata");
	TCase *tc = tcase_create("metadata");

	tcase_add_checked_fixture(tc, make_directory, remove_directory);
	tcase_add_loop_test(tc, buffers_are_checked, 0, N_ROWS(buffers));
	tcase_add_test(tc, buffer_without_bytes_is_refused);
	tcase_add_test(tc, files_have_of_linux_what_their_eas_say);
	suite_add_tcase(suite, tc);
	return test_run(suite);
}
