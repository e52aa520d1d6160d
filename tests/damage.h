/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Damage to the image "a.cim" of a test's directory: where its parts lie, and bytes put there.
 */
#ifndef CIM_TESTS_DAMAGE_H
#define CIM_TESTS_DAMAGE_H

#include "imagedir.h"
#include "reader.h"

/* The name of the file with a region index. */
TEST_HELPER void region_file(uint32_t index, char name[CIM_FILE_NAME])
{
	struct cim_set *sets;
	uint32_t n, i = 0;

	ck_assert_int_eq(cim_image_list_sets(test_store, "a.cim", &sets, &n), 0);
	for (; i < n && index >= sets[i].n_regions; i++)
		index -= sets[i].n_regions;
	ck_assert_uint_lt(i, n);
	cim_region_name(&sets[i].guid, index, name);
	g_free(sets);
}

TEST_HELPER int open_to_damage(const char *name)
{
	ck_assert_int_eq(fchmodat(test_store->dirfd, name, 0644, 0), 0);
	int fd = openat(test_store->dirfd, name, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

TEST_HELPER void damage_file(const char *name, uint64_t at, const void *bytes, size_t size)
{
	cim_autofd fd = open_to_damage(name);

	ck_assert_int_eq(cim_pwrite_full(fd, bytes, size, at), 0);
}

TEST_HELPER void cut_file(const char *name, uint64_t size)
{
	cim_autofd fd = open_to_damage(name);

	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
}

/* Bytes at a region offset. */
TEST_HELPER void damage(uint64_t off, const void *bytes, size_t size)
{
	char name[CIM_FILE_NAME];

	region_file(cim_off_region(off), name);
	damage_file(name, cim_off_byte(off), bytes, size);
}

TEST_HELPER void damage32(uint64_t off, uint32_t value)
{
	cim_le32 v = cim_put32(value);

	damage(off, &v, sizeof(v));
}

TEST_HELPER void damage16(uint64_t off, uint16_t value)
{
	cim_le16 v = cim_put16(value);

	damage(off, &v, sizeof(v));
}

TEST_HELPER void damage64(uint64_t off, uint64_t value)
{
	cim_le64 v = cim_put64(value);

	damage(off, &v, sizeof(v));
}

/* Where a field lies in the entry of a file. */
#define FIELD(name) offsetof(struct cim_entry_disk, name)

/* Where the entry of a file lies. */
TEST_HELPER uint64_t entry_off(const struct cim_image *img, const char *path)
{
	uint32_t id = image_find(img, path);
	struct cim_table t;

	ck_assert_int_eq(cim_image_table(img, (id - 1) / CIM_TABLE_ENTRIES, &t), 0);
	return t.off + (uint64_t)((id - 1) % CIM_TABLE_ENTRIES) * t.entry_size;
}

/* The same, of an image that is not open. */
TEST_HELPER uint64_t find_off(const char *path)
{
	struct cim_image *img = open_image("a.cim");
	uint64_t off = entry_off(img, path);

	cim_image_unref(img);
	return off;
}

/* The entry of a file of an image that is not open. */
TEST_HELPER struct cim_entry find_entry(const char *path)
{
	struct cim_image *img = open_image("a.cim");
	struct cim_entry e = image_entry(img, path);

	cim_image_unref(img);
	return e;
}

#endif
