/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checking, comparing and removing images through cimfs.h and libcimfs.so, and nothing else of this
 * project.
 */
#include "config.h"

#include <unistd.h>

#include "apidir.h"

#define NOT_SUPPORTED ((HRESULT)0x80070032)
#define STOPPED       ((HRESULT)0x20000001) /* of a callback's own */

/* Remove what is there; how many files that were. */
static int empty(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' || strlen(e->d_name) > 2)
			n += unlink(path_of(e->d_name)) == 0;
	closedir(d);
	return n;
}

static void setup(void)
{
	make_directory();
	make_image(NULL, "a.cim");
	make_image("a.cim", "b.cim");
}

static void overwrite(const char *name, long at, const char *bytes, size_t size)
{
	ck_assert_int_eq(chmod(path_of(name), 0644), 0);
	FILE *f = fopen(path_of(name), "r+");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fseek(f, at, SEEK_SET), 0);
	ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
	ck_assert_int_eq(fclose(f), 0);
}

static void put_orphan(void)
{
	FILE *f = fopen(path_of("region_01234567-89ab-cdef-0123-456789abcdef_0"), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fclose(f), 0);
}

/* ---- deleting ---- */

START_TEST(delete_removes_an_image_and_keeps_its_fork)
{
	ck_assert_int_eq(CimDeleteImage(dir, "a.cim"), CIMFS_S_OK);
	ck_assert_int_eq(CimDeleteImage(dir, "a.cim"), CIMFS_E_FILE_NOT_FOUND);
	ck_assert_int_eq(CimCheckImage(dir, "b.cim", CIMFS_CHECK_DATA, NULL, NULL), CIMFS_S_OK);
	ck_assert_int_eq(CimDeleteImage(dir, "b.cim"), CIMFS_S_OK);
	ck_assert_int_eq(empty(), 0);
}
END_TEST

START_TEST(delete_refuses)
{
	CIMFS_IMAGE_HANDLE image;

	ck_assert_int_eq(CimDeleteImage(NULL, "a.cim"), CIMFS_E_INVALIDARG);
	ck_assert_int_eq(CimDeleteImage(dir, NULL), CIMFS_E_INVALIDARG);
	ck_assert_int_eq(CimDeleteImage(dir, "control"), CIMFS_E_INVALIDARG);
	ck_assert_int_eq(CimDeleteImage("/nonexistent", "a.cim"), CIMFS_E_PATH_NOT_FOUND);
	ck_assert_int_eq(CimCreateImage(dir, NULL, "c.cim", &image), CIMFS_S_OK);
	ck_assert_int_eq(CimDeleteImage(dir, "a.cim"), CIMFS_E_SHARING_VIOLATION);
	ck_assert_str_ne(CimGetReason(), "");
	CimCloseImage(image);
	overwrite("b.cim", 56, "\xff\xff\xff\xff", 4);
	ck_assert_int_eq(CimDeleteImage(dir, "a.cim"), CIMFS_E_FILE_CORRUPT);
	ck_assert_ptr_nonnull(strstr(CimGetReason(), "b.cim"));
	ck_assert_int_eq(CimDeleteImage(dir, "b.cim"), CIMFS_S_OK);
	ck_assert_int_eq(CimDeleteImage(dir, "a.cim"), CIMFS_S_OK);
	ck_assert_int_eq(CimDeleteImage("", "a.cim"), CIMFS_E_PATH_NOT_FOUND);
}
END_TEST

/* ---- garbage ---- */

static HRESULT count(void *context, const char *name, uint64_t size)
{
	ck_assert_str_eq(name, "region_01234567-89ab-cdef-0123-456789abcdef_0");
	++*(int *)context;
	return CIMFS_S_OK;
}

static HRESULT stop_collecting(void *context, const char *name, uint64_t size)
{
	return STOPPED;
}

START_TEST(garbage_is_collected)
{
	int n = 0;

	put_orphan();
	ck_assert_int_eq(CimCollectGarbage(dir, CIMFS_COLLECT_DRY_RUN, count, &n), CIMFS_S_OK);
	ck_assert_int_eq(CimCollectGarbage(dir, 0, count, &n), CIMFS_S_OK);
	ck_assert_int_eq(n, 2);
	ck_assert_int_eq(CimCollectGarbage(dir, 0, count, &n), CIMFS_S_OK);
	ck_assert_int_eq(n, 2);
	ck_assert_int_eq(CimCheckImage(dir, NULL, CIMFS_CHECK_DATA, NULL, NULL), CIMFS_S_OK);
	put_orphan();
	ck_assert_int_eq(CimCollectGarbage(dir, CIMFS_COLLECT_DRY_RUN, stop_collecting, NULL),
			 STOPPED);
	ck_assert_int_eq(CimCollectGarbage(dir, 0, NULL, NULL), CIMFS_S_OK);
	/* Two images with three region and three object ID files each. */
	ck_assert_int_eq(empty(), 14);
}
END_TEST

START_TEST(collecting_refuses)
{
	ck_assert_int_eq(CimCollectGarbage(NULL, 0, NULL, NULL), CIMFS_E_INVALIDARG);
	ck_assert_int_eq(CimCollectGarbage(dir, 0x80, NULL, NULL), CIMFS_E_INVALIDARG);
	ck_assert_int_eq(CimCollectGarbage("/nonexistent", 0, NULL, NULL), CIMFS_E_PATH_NOT_FOUND);
	overwrite("b.cim", 56, "\xff\xff\xff\xff", 4);
	ck_assert_int_eq(CimCollectGarbage(dir, 0, NULL, NULL), CIMFS_E_FILE_CORRUPT);
}
END_TEST

/* ---- digests ---- */

START_TEST(forks_without_changes_have_one_digest)
{
	uint8_t a[CIMFS_HASH_SIZE], b[CIMFS_HASH_SIZE], windows[CIMFS_HASH_SIZE];

	ck_assert_int_eq(CimHashImage(dir, "a.cim", 0, a), CIMFS_S_OK);
	ck_assert_int_eq(CimHashImage(dir, "b.cim", 0, b), CIMFS_S_OK);
	ck_assert_mem_eq(a, b, sizeof(a));
	ck_assert_int_eq(CimHashImage(dir, "a.cim", CIMFS_HASH_WINDOWS, windows), CIMFS_S_OK);
	ck_assert_mem_ne(a, windows, sizeof(a));
}
END_TEST

START_TEST(hashing_refuses)
{
	uint8_t digest[CIMFS_HASH_SIZE];

	ck_assert_int_eq(CimHashImage(dir, "a.cim", 0, NULL), CIMFS_E_POINTER);
	ck_assert_int_eq(CimHashImage(NULL, "a.cim", 0, digest), CIMFS_E_INVALIDARG);
	ck_assert_int_eq(CimHashImage(dir, NULL, 0, digest), CIMFS_E_INVALIDARG);
	ck_assert_int_eq(CimHashImage(dir, "a.cim", 0x80, digest), CIMFS_E_INVALIDARG);
	ck_assert_int_eq(CimHashImage(dir, "../a", 0, digest), CIMFS_E_INVALIDARG);
	ck_assert_int_eq(CimHashImage(dir, "none", 0, digest), CIMFS_E_FILE_NOT_FOUND);
	ck_assert_int_eq(CimHashImage("/nonexistent", "a.cim", 0, digest), CIMFS_E_PATH_NOT_FOUND);
	overwrite("b.cim", 56, "\xff\xff\xff\xff", 4);
	ck_assert_int_eq(CimHashImage(dir, "b.cim", 0, digest), CIMFS_E_FILE_CORRUPT);
}
END_TEST

/* ---- checks ---- */

static HRESULT keep_damage(void *context, const CIMFS_FINDING *f)
{
	if (f->IsDamage)
		snprintf(context, 100, "%s %s", f->ImageName, f->Rule);
	ck_assert_str_ne(f->Text, "");
	return CIMFS_S_OK;
}

static HRESULT stop_checking(void *context, const CIMFS_FINDING *f)
{
	return STOPPED;
}

START_TEST(check_tells_damage)
{
	char found[100] = "";

	ck_assert_int_eq(CimCheckImage(dir, NULL, 0, keep_damage, found), CIMFS_S_OK);
	ck_assert_str_eq(found, "");
	overwrite("b.cim", 56, "\xff\xff\xff\xff", 4);
	ck_assert_int_eq(CimCheckImage(dir, NULL, 0, keep_damage, found), CIMFS_E_FILE_CORRUPT);
	ck_assert_str_eq(found, "b.cim filesystem");
	ck_assert_int_eq(CimCheckImage(dir, NULL, 0, stop_checking, NULL), STOPPED);
	ck_assert_int_eq(CimCheckImage(dir, "a.cim", 0, NULL, NULL), CIMFS_S_OK);
	ck_assert_int_eq(CimCheckImage(dir, "b.cim", 0, NULL, NULL), CIMFS_E_FILE_CORRUPT);
}
END_TEST

START_TEST(check_refuses)
{
	ck_assert_int_eq(CimCheckImage(NULL, "a.cim", 0, NULL, NULL), CIMFS_E_INVALIDARG);
	ck_assert_int_eq(CimCheckImage(dir, "a.cim", 0x80, NULL, NULL), CIMFS_E_INVALIDARG);
	ck_assert_int_eq(CimCheckImage(dir, "writer", 0, NULL, NULL), CIMFS_E_INVALIDARG);
	ck_assert_int_eq(CimCheckImage(dir, "none", 0, NULL, NULL), CIMFS_E_FILE_NOT_FOUND);
	ck_assert_int_eq(CimCheckImage("/nonexistent", NULL, 0, NULL, NULL),
			 CIMFS_E_PATH_NOT_FOUND);
	overwrite("b.cim", 16, "\4", 1);
	ck_assert_int_eq(CimCheckImage(dir, "b.cim", 0, NULL, NULL), NOT_SUPPORTED);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("api-maintain");
	TCase *tc = tcase_create("maintain");

	tcase_add_checked_fixture(tc, setup, remove_directory);
	tcase_add_test(tc, delete_removes_an_image_and_keeps_its_fork);
	tcase_add_test(tc, delete_refuses);
	tcase_add_test(tc, garbage_is_collected);
	tcase_add_test(tc, collecting_refuses);
	tcase_add_test(tc, forks_without_changes_have_one_digest);
	tcase_add_test(tc, hashing_refuses);
	tcase_add_test(tc, check_tells_damage);
	tcase_add_test(tc, check_refuses);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return test_run(suite());
}
