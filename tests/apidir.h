/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image containing directory for each test of the library, as an application sees that: cimfs.h
 * and nothing else of this project.
 */
#ifndef CIM_TESTS_APIDIR_H
#define CIM_TESTS_APIDIR_H

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cimfs.h"
#include "support.h"

#define N_ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* Short, for tables. */
#define OK      CIMFS_S_OK
#define BAD     CIMFS_E_INVALIDARG
#define POINTER CIMFS_E_POINTER
#define DENIED  CIMFS_E_ACCESSDENIED
#define NOFILE  CIMFS_E_FILE_NOT_FOUND
#define NOPATH  CIMFS_E_PATH_NOT_FOUND
#define SHARING CIMFS_E_SHARING_VIOLATION
#define ATEND   CIMFS_E_HANDLE_EOF
#define EXISTS  CIMFS_E_FILE_EXISTS

#define ARCHIVE   FILE_ATTRIBUTE_ARCHIVE
#define DIRECTORY FILE_ATTRIBUTE_DIRECTORY

/* A file of which nothing more is said. */
__attribute__((unused)) static const CIMFS_FILE_METADATA plain = { .Attributes = ARCHIVE };

/* With this result, and a reason. */
#define ck_assert_fails(call, hr)                                                               \
	do {                                                                                    \
		HRESULT got_ = (call);                                                          \
		ck_assert_msg(got_ == (hr), "%s: %#x, expected %#x", #call, (unsigned int)got_, \
			      (unsigned int)(hr));                                              \
		ck_assert_str_ne(CimGetReason(), "");                                           \
	} while (0)

static char dir[] = "/tmp/test-api-XXXXXX"; /* the directory of this test */

/* ---- the directory ---- */

TEST_HELPER char *path_of(const char *name)
{
	static char path[4][PATH_MAX];
	static int next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[next]), "%s/%s", dir, name);
	return path[next];
}

TEST_HELPER void write_file(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

TEST_HELPER int count_files(const char *path)
{
	DIR *d = opendir(path);
	int n = -2; /* "." and ".." */

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

TEST_HELPER void make_directory(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
}

TEST_HELPER void remove_directory(void)
{
	char command[PATH_MAX + 16];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

/* ---- images ---- */

/** make_image - one without files */
TEST_HELPER void make_image(const char *existing, const char *name)
{
	CIMFS_IMAGE_HANDLE image;

	ck_assert_int_eq(CimCreateImage(dir, existing, name, &image), CIMFS_S_OK);
	ck_assert_int_eq(CimCommitImage(image), CIMFS_S_OK);
	CimCloseImage(image);
}

/** make_images - the directory with "base.cim" and "other.cim", images; "garbage", "short" and
 * "subdir", none; "file", a file */
TEST_HELPER void make_images(void)
{
	make_directory();
	make_image(NULL, "base.cim");
	make_image(NULL, "other.cim");
	write_file("file", "text");
	write_file("garbage",
		   "This is no image, though it is longer than the header of an image is, "
		   "which has 72 bytes.");
	write_file("short", "cimfile0");
	ck_assert_int_eq(mkdir(path_of("subdir"), 0755), 0);
}

#endif
