/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The gate for what an image is made of: the headers of its files, the filesystem object and the
 * file tables, offsets and names.  Each record is read whole, and refused cut off at any length and
 * with any field broken.  test-format-entries.c has what the tables hold.
 *
 * Records are parsed from heap copies of exactly their size, so that a sanitizer sees a read
 * past their end.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "error.h"
#include "format.h"
#include "support.h"

#define N_ROWS(table) (sizeof(table) / sizeof((table)[0]))

static const struct cim_guid sample_guid = { { 0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88,
					       0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF } };

/* ---- the three kinds of header ---- */

static struct cim_image_disk image_header(void)
{
	struct cim_image_disk d = { .fs_off = cim_put64(0x0001000000000028),
				    .n_parents = cim_put16(2) };
	struct cim_set set = { .guid = sample_guid, .n_regions = 3 };

	cim_common_encode(&d.common, CIM_FILE_IMAGE, sizeof(d) + 2 * sizeof(struct cim_set_disk));
	cim_set_encode(&d.own, &set);
	return d;
}

static struct cim_region_disk region_header(uint32_t index)
{
	struct cim_region_disk d = { .index = cim_put16((uint16_t)index),
				     .type = CIM_REGION_SMALL };

	cim_common_encode(&d.common, CIM_FILE_REGION, sizeof(d));
	return d;
}

struct objectid_file {
	struct cim_objectid_disk head;
	struct cim_object_disk object[3];
};

static struct objectid_file objectid_file(void)
{
	struct objectid_file f = { .head = { .index = cim_put16(1),
					     .type = CIM_REGION_DATA,
					     .table_off = cim_put32(sizeof(f.head)),
					     .n_objects = cim_put32(3) } };

	cim_common_encode(&f.head.common, CIM_FILE_OBJECTID, sizeof(f.head));
	for (uint32_t i = 0; i < 3; i++)
		f.object[i].size = cim_put64(i + 1);
	return f;
}

static int parse_image(const void *bytes, size_t n)
{
	struct cim_image_header h;
	void *copy = exact_copy(bytes, n);
	int r = cim_image_header_parse(copy, n, &h);

	free(copy);
	return r;
}

static int parse_region(const void *bytes, size_t n, uint32_t index)
{
	void *copy = exact_copy(bytes, n);
	int r = cim_region_header_parse(copy, n, index);

	free(copy);
	return r;
}

static int parse_objectid(const void *bytes, size_t n, uint32_t index, uint32_t *ret_n)
{
	void *copy = exact_copy(bytes, n);
	const struct cim_object_disk *o = NULL;
	int r = cim_objectid_header_parse(copy, n, index, &o, ret_n);

	/* What it accepted can be read. */
	for (uint32_t i = 0; r == 0 && i < *ret_n; i++)
		ck_assert_uint_ne(cim_get64(o[i].size), UINT64_MAX);
	free(copy);
	return r;
}

START_TEST(image_header_is_read)
{
	struct cim_image_disk d = image_header();
	struct cim_image_header h;

	ck_assert_int_eq(cim_image_header_parse(&d, sizeof(d), &h), 0);
	ck_assert_uint_eq(h.version_major, 2);
	ck_assert_uint_eq(h.version_minor, 0);
	ck_assert_mem_eq(&h.own.guid, &sample_guid, sizeof(sample_guid));
	ck_assert_uint_eq(h.own.n_regions, 3);
	ck_assert_uint_eq(h.fs_off, 0x0001000000000028);
	ck_assert_uint_eq(h.n_parents, 2);
}
END_TEST

START_TEST(image_header_bytes_are_the_published_ones)
{
	struct cim_image_disk d = image_header();
	const uint8_t *b = (const uint8_t *)&d;

	ck_assert_mem_eq(b, "cimfile0\x78\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32);
	ck_assert_mem_eq(b + 32, &sample_guid, 16);
	ck_assert_mem_eq(b + 48, "\3\0\0\0\0\0\0\0", 8);
	ck_assert_mem_eq(b + 56, "\x28\0\0\0\0\0\1\0", 8);
	ck_assert_mem_eq(b + 64, "\0\0\0\0\0\0\2\0", 8);
}
END_TEST

START_TEST(image_header_rejects_truncation)
{
	struct cim_image_disk d = image_header();

	for (size_t n = 0; n < sizeof(d.common); n++)
		ck_assert_int_eq(parse_image(&d, n), -CIM_EFORMAT);
	for (size_t n = sizeof(d.common); n < sizeof(d); n++)
		ck_assert_int_eq(parse_image(&d, n), -CIM_ECORRUPT);
	ck_assert_int_eq(parse_image(&d, sizeof(d)), 0);
}
END_TEST

START_TEST(region_header_rejects_truncation)
{
	struct cim_region_disk d = region_header(1);

	for (size_t n = 0; n < sizeof(d.common); n++)
		ck_assert_int_eq(parse_region(&d, n, 1), -CIM_EFORMAT);
	for (size_t n = sizeof(d.common); n < sizeof(d); n++)
		ck_assert_int_eq(parse_region(&d, n, 1), -CIM_ECORRUPT);
	ck_assert_int_eq(parse_region(&d, sizeof(d), 1), 0);
}
END_TEST

START_TEST(objectid_file_rejects_truncation)
{
	struct objectid_file f = objectid_file();
	uint32_t count = 0;

	for (size_t n = 0; n < sizeof(f.head.common); n++)
		ck_assert_int_eq(parse_objectid(&f, n, 1, &count), -CIM_EFORMAT);
	for (size_t n = sizeof(f.head.common); n < sizeof(f); n++)
		ck_assert_int_eq(parse_objectid(&f, n, 1, &count), -CIM_ECORRUPT);
	ck_assert_int_eq(parse_objectid(&f, sizeof(f), 1, &count), 0);
	ck_assert_uint_eq(count, 3);
}
END_TEST

START_TEST(header_rejects_another_magic)
{
	struct cim_image_disk image = image_header();
	struct cim_region_disk region = region_header(0);
	struct objectid_file ids = objectid_file();
	uint32_t n;

	image.common.magic[_i] ^= 0x20;
	region.common.magic[_i] ^= 0x20;
	ids.head.common.magic[_i] ^= 0x20;
	ck_assert_int_eq(parse_image(&image, sizeof(image)), -CIM_EFORMAT);
	ck_assert_int_eq(parse_region(&region, sizeof(region), 0), -CIM_EFORMAT);
	ck_assert_int_eq(parse_objectid(&ids, sizeof(ids), 1, &n), -CIM_EFORMAT);
}
END_TEST

START_TEST(header_rejects_another_kind_of_file)
{
	struct cim_image_disk image = image_header();
	struct cim_region_disk region = region_header(0);
	struct objectid_file ids = objectid_file();
	uint32_t n;

	for (unsigned int type = 0; type < 256; type++) {
		image.common.type = region.common.type = ids.head.common.type = (uint8_t)type;
		ck_assert_int_eq(parse_image(&image, sizeof(image)),
				 type == CIM_FILE_IMAGE ? 0 : -CIM_EFORMAT);
		ck_assert_int_eq(parse_region(&region, sizeof(region), 0),
				 type == CIM_FILE_REGION ? 0 : -CIM_EFORMAT);
		ck_assert_int_eq(parse_objectid(&ids, sizeof(ids), 1, &n),
				 type == CIM_FILE_OBJECTID ? 0 : -CIM_EFORMAT);
	}
}
END_TEST

static const struct {
	uint32_t major, minor;
	int expect;
} versions[] = {
	{ 0, 0, -CIM_EVERSION },
	{ 1, 0, 0 },
	{ 1, 7, 0 },
	{ 2, 0, 0 },
	{ 2, 9, 0 },
	{ 3, 0, 0 },
	{ 3, 0xFFFFFFFF, 0 },
	{ 4, 0, -CIM_EVERSION },
	{ 0x102, 0, -CIM_EVERSION },
	{ 0xFFFFFFFF, 0, -CIM_EVERSION },
};

START_TEST(header_checks_the_version)
{
	struct cim_image_disk image = image_header();
	struct cim_region_disk region = region_header(0);
	struct objectid_file ids = objectid_file();
	struct cim_image_header h;
	char text[32];
	uint32_t n;

	image.common.version_major = cim_put32(versions[_i].major);
	image.common.version_minor = cim_put32(versions[_i].minor);
	region.common.version_major = ids.head.common.version_major = image.common.version_major;
	ck_assert_int_eq(parse_region(&region, sizeof(region), 0), versions[_i].expect);
	ck_assert_int_eq(parse_objectid(&ids, sizeof(ids), 1, &n), versions[_i].expect);
	ck_assert_int_eq(cim_image_header_parse(&image, sizeof(image), &h), versions[_i].expect);
	if (versions[_i].expect == 0) {
		ck_assert_uint_eq(h.version_major, versions[_i].major);
		ck_assert_uint_eq(h.version_minor, versions[_i].minor);
		return;
	}
	snprintf(text, sizeof(text), "%u.%u", versions[_i].major, versions[_i].minor);
	ck_assert_msg(strstr(cim_reason(), text), "\"%s\" does not name version %s", cim_reason(),
		      text);
}
END_TEST

START_TEST(header_ignores_reserved_fields)
{
	struct cim_image_disk d = image_header();

	d.common.header_size = cim_put32(0xFFFFFFFF);
	memset(d.common.reserved13, 0xFF, sizeof(d.common.reserved13));
	d.common.reserved24 = cim_put64(UINT64_MAX);
	d.own.reserved18 = cim_put16(0xFFFF);
	d.own.reserved20 = d.reserved64 = cim_put32(0xFFFFFFFF);
	d.reserved68 = cim_put16(0xFFFF);
	ck_assert_int_eq(parse_image(&d, sizeof(d)), 0);
}
END_TEST

START_TEST(region_header_has_the_index_of_its_name)
{
	struct cim_region_disk d = region_header(0xFFFF);

	ck_assert_int_eq(parse_region(&d, sizeof(d), 0xFFFF), 0);
	ck_assert_int_eq(parse_region(&d, sizeof(d), 0), -CIM_ECORRUPT);
	ck_assert_int_eq(parse_region(&d, sizeof(d), 0x1FFFF), -CIM_ECORRUPT);
}
END_TEST

START_TEST(objectid_header_has_the_index_of_its_name)
{
	struct objectid_file f = objectid_file();
	uint32_t n;

	ck_assert_int_eq(parse_objectid(&f, sizeof(f), 0, &n), -CIM_ECORRUPT);
	ck_assert_int_eq(parse_objectid(&f, sizeof(f), 2, &n), -CIM_ECORRUPT);
}
END_TEST

static const struct {
	uint32_t table_off, n_objects;
	int expect;
} objectid_tables[] = {
	{ 48, 3, 0 },
	{ 48, 0, 0 },
	{ 49, 2, 0 },
	{ 168, 0, 0 },
	{ 48, 4, -CIM_ECORRUPT },
	{ 49, 3, -CIM_ECORRUPT },
	{ 168, 1, -CIM_ECORRUPT },
	{ 169, 0, -CIM_ECORRUPT },
	{ 0xFFFFFFFF, 0, -CIM_ECORRUPT },
	{ 48, 0xFFFFFFFF, -CIM_ECORRUPT },
	{ 48, 0x06666667, -CIM_ECORRUPT }, /* times 40 it is little more than 2^32 */
};

START_TEST(objectid_table_lies_inside_the_file)
{
	struct objectid_file f = objectid_file();
	uint32_t n = 77;

	f.head.table_off = cim_put32(objectid_tables[_i].table_off);
	f.head.n_objects = cim_put32(objectid_tables[_i].n_objects);
	ck_assert_int_eq(parse_objectid(&f, sizeof(f), 1, &n), objectid_tables[_i].expect);
	ck_assert_uint_eq(n, objectid_tables[_i].expect ? 77 : objectid_tables[_i].n_objects);
}
END_TEST

START_TEST(set_is_read_as_written)
{
	struct cim_set set = { .guid = sample_guid, .n_regions = 0xFFFF }, got;
	struct cim_set_disk d;

	cim_set_encode(&d, &set);
	ck_assert_int_eq(cim_set_parse(&d, &got), 0);
	ck_assert_mem_eq(&got.guid, &sample_guid, sizeof(sample_guid));
	ck_assert_uint_eq(got.n_regions, 0xFFFF);
}
END_TEST

/* ---- filesystem object, file tables ---- */

static const struct {
	uint32_t n_tables, root_id;
	int expect;
} filesystems[] = {
	{ 1, 1, 0 },
	{ 1, 1024, 0 },
	{ 2, 2048, 0 },
	{ 0x400000, 0xFFFFFFFF, 0 },
	{ 1, 0, -CIM_ECORRUPT },
	{ 1, 1025, -CIM_ECORRUPT },
	{ 2, 2049, -CIM_ECORRUPT },
	{ 0, 1, -CIM_ECORRUPT },
	{ 0x400001, 1, -CIM_ECORRUPT },
	{ 0xFFFFFFFF, 1, -CIM_ECORRUPT },
};

START_TEST(filesystem_has_tables_and_the_root_in_one)
{
	struct cim_fs_disk d = { .upcase_off = cim_put64(0x1234),
				 .tables_off = cim_put64(0x0002000000005678),
				 .n_tables = cim_put32(filesystems[_i].n_tables),
				 .root_id = cim_put32(filesystems[_i].root_id) };
	struct cim_fs fs;

	ck_assert_int_eq(cim_fs_parse(&d, &fs), filesystems[_i].expect);
	if (filesystems[_i].expect == 0) {
		ck_assert_uint_eq(fs.upcase_off, 0x1234);
		ck_assert_uint_eq(fs.tables_off, 0x0002000000005678);
		ck_assert_uint_eq(fs.n_tables, filesystems[_i].n_tables);
		ck_assert_uint_eq(fs.root_id, filesystems[_i].root_id);
	}
}
END_TEST

static const struct {
	uint32_t n_entries, entry_size;
	int expect;
} tables[] = {
	{ 1, 88, 0 },
	{ 1024, 96, 0 },
	{ 7, 104, 0 },
	{ 1, 0xFFFF, 0 },
	{ 0, 96, -CIM_ECORRUPT },
	{ 1025, 96, -CIM_ECORRUPT },
	{ 0xFFFF, 96, -CIM_ECORRUPT },
	{ 1, 87, -CIM_ECORRUPT },
	{ 1, 0, -CIM_ECORRUPT },
};

START_TEST(table_has_entries_of_a_known_size)
{
	struct cim_table t = { .off = 0x0000FFFFFFFFFFF8,
			       .n_entries = tables[_i].n_entries,
			       .entry_size = tables[_i].entry_size };
	struct cim_table_disk d;
	struct cim_table got;

	cim_table_encode(&d, &t);
	d.reserved12 = cim_put32(0xFFFFFFFF);
	ck_assert_int_eq(cim_table_parse(&d, &got), tables[_i].expect);
	if (tables[_i].expect == 0) {
		ck_assert_uint_eq(got.off, t.off);
		ck_assert_uint_eq(got.n_entries, t.n_entries);
		ck_assert_uint_eq(got.entry_size, t.entry_size);
	}
}
END_TEST

/* ---- offsets and names ---- */

START_TEST(region_offset_has_an_index_and_a_byte)
{
	ck_assert_uint_eq(cim_off_make(0xFFFF, CIM_REGION_OFF_MAX), UINT64_MAX);
	ck_assert_uint_eq(cim_off_region(0x1234000000000008), 0x1234);
	ck_assert_uint_eq(cim_off_byte(0x1234000000000008), 8);
	ck_assert_uint_eq(cim_off_byte(UINT64_MAX), CIM_REGION_OFF_MAX);
}
END_TEST

START_TEST(guid_is_written_in_windows_order)
{
	char text[CIM_GUID_TEXT];

	cim_guid_format(&sample_guid, text);
	ck_assert_str_eq(text, "00112233-4455-6677-8899-aabbccddeeff");
}
END_TEST

START_TEST(region_files_are_named_by_guid_and_index)
{
	char name[CIM_FILE_NAME];

	cim_region_name(&sample_guid, 0, name);
	ck_assert_str_eq(name, "region_00112233-4455-6677-8899-aabbccddeeff_0");
	cim_region_name(&sample_guid, 65535, name);
	ck_assert_str_eq(name, "region_00112233-4455-6677-8899-aabbccddeeff_65535");
	cim_objectid_name(&sample_guid, 65535, name);
	ck_assert_str_eq(name, "objectid_00112233-4455-6677-8899-aabbccddeeff_65535");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("format");
	TCase *headers = tcase_create("headers");
	TCase *records = tcase_create("records");

	tcase_add_test(headers, image_header_is_read);
	tcase_add_test(headers, image_header_bytes_are_the_published_ones);
	tcase_add_test(headers, image_header_rejects_truncation);
	tcase_add_test(headers, region_header_rejects_truncation);
	tcase_add_test(headers, objectid_file_rejects_truncation);
	tcase_add_loop_test(headers, header_rejects_another_magic, 0, 8);
	tcase_add_test(headers, header_rejects_another_kind_of_file);
	tcase_add_loop_test(headers, header_checks_the_version, 0, N_ROWS(versions));
	tcase_add_test(headers, header_ignores_reserved_fields);
	tcase_add_test(headers, region_header_has_the_index_of_its_name);
	tcase_add_test(headers, objectid_header_has_the_index_of_its_name);
	tcase_add_loop_test(headers, objectid_table_lies_inside_the_file, 0,
			    N_ROWS(objectid_tables));
	tcase_add_test(headers, set_is_read_as_written);

	tcase_add_loop_test(records, filesystem_has_tables_and_the_root_in_one, 0,
			    N_ROWS(filesystems));
	tcase_add_loop_test(records, table_has_entries_of_a_known_size, 0, N_ROWS(tables));
	tcase_add_test(records, region_offset_has_an_index_and_a_byte);
	tcase_add_test(records, guid_is_written_in_windows_order);
	tcase_add_test(records, region_files_are_named_by_guid_and_index);
	suite_add_tcase(s, headers);
	suite_add_tcase(s, records);
	return s;
}

int main(void)
{
	return test_run(suite());
}
