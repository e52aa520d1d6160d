/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The gate: every record whole, cut off at each length, and with each field broken.
 *
 * Records are parsed from heap copies of exactly their size, so that a sanitizer sees a read
 * past their end.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "error.h"
#include "format.h"
#include "name.h"
#include "support.h"

#define N_ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define N_RANDOM      2000

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

/* ---- streams and entries ---- */

START_TEST(stream_has_a_known_type)
{
	struct cim_stream s;

	for (uint64_t type = 0; type < 256; type++) {
		struct cim_stream_disk d = { cim_put64(64), cim_put64(5 | type << 48) };

		ck_assert_int_eq(cim_stream_parse(&d, &s), type <= 2 ? 0 : -CIM_ECORRUPT);
		if (type <= 2)
			ck_assert_uint_eq(s.type, type);
	}
}
END_TEST

START_TEST(stream_with_bytes_has_an_offset)
{
	struct cim_stream_disk d = { cim_put64(0), cim_put64(1) };
	struct cim_stream s;

	ck_assert_int_eq(cim_stream_parse(&d, &s), -CIM_ECORRUPT);
	d.word = cim_put64(0);
	ck_assert_int_eq(cim_stream_parse(&d, &s), 0);
	d.word = cim_put64((uint64_t)CIM_STREAM_LINKS << 48);
	ck_assert_int_eq(cim_stream_parse(&d, &s), 0);
	ck_assert_uint_eq(s.type, CIM_STREAM_LINKS);
}
END_TEST

START_TEST(stream_without_bytes_ignores_its_offset)
{
	struct cim_stream_disk d = { cim_put64(UINT64_MAX), cim_put64(0) };
	struct cim_stream s;

	ck_assert_int_eq(cim_stream_parse(&d, &s), 0);
	ck_assert_uint_eq(s.off, 0);
	ck_assert_uint_eq(s.size, 0);
}
END_TEST

START_TEST(stream_may_be_sparse_if_it_is_data)
{
	const uint64_t sparse = 1ull << 56;
	struct cim_stream_disk d = { cim_put64(99), cim_put64(CIM_STREAM_SIZE_MAX | sparse) };
	struct cim_stream s;

	ck_assert_int_eq(cim_stream_parse(&d, &s), 0);
	ck_assert(s.sparse);
	ck_assert_uint_eq(s.size, CIM_STREAM_SIZE_MAX);
	ck_assert_uint_eq(s.off, 0);
	d.word = cim_put64(8 | sparse | (uint64_t)CIM_STREAM_LINKS << 48);
	ck_assert_int_eq(cim_stream_parse(&d, &s), -CIM_ECORRUPT);
	d.word = cim_put64(8 | sparse | (uint64_t)CIM_STREAM_PE << 48);
	ck_assert_int_eq(cim_stream_parse(&d, &s), -CIM_ECORRUPT);
}
END_TEST

START_TEST(stream_ignores_bits_that_are_not_published)
{
	struct cim_stream_disk d = { cim_put64(64), cim_put64(9 | 0xFEull << 56) };
	struct cim_stream s;

	ck_assert_int_eq(cim_stream_parse(&d, &s), 0);
	ck_assert(!s.sparse);
	ck_assert_uint_eq(s.size, 9);
}
END_TEST

static struct cim_stream random_stream(struct test_random *r)
{
	struct cim_stream s = { .size = test_random_next(r) & CIM_STREAM_SIZE_MAX };

	if (s.size > 0 && test_random_below(r, 4) == 0)
		s.sparse = true;
	else
		s.type = (enum cim_stream_type)test_random_below(r, 3);
	if (s.size > 0 && !s.sparse)
		s.off = test_random_next(r) | 1;
	return s;
}

static void check_stream(const struct cim_stream *got, const struct cim_stream *expect)
{
	ck_assert_uint_eq(got->off, expect->off);
	ck_assert_uint_eq(got->size, expect->size);
	ck_assert_int_eq(got->type, expect->type);
	ck_assert_int_eq(got->sparse, expect->sparse);
}

START_TEST(stream_is_read_as_written)
{
	struct test_random random = { test_seed(11) };

	printf("# stream_is_read_as_written: seed %#llx\n", (unsigned long long)random.state);
	for (int i = 0; i < N_RANDOM; i++) {
		struct cim_stream s = random_stream(&random), got;
		struct cim_stream_disk d;

		cim_stream_encode(&d, &s);
		ck_assert_int_eq(cim_stream_parse(&d, &got), 0);
		check_stream(&got, &s);
	}
}
END_TEST

static struct cim_entry random_entry(struct test_random *r)
{
	struct cim_entry e = {
		.flags = (uint32_t)test_random_below(r, 0x10000),
		.ea_size = (uint32_t)test_random_below(r, 0x10000),
		.reparse_tag = (uint32_t)test_random_next(r),
		.created = test_random_next(r),
		.written = test_random_next(r),
		.changed = test_random_next(r),
		.accessed = test_random_next(r),
		.sd_off = test_random_next(r),
		.ea_off = test_random_next(r) | 1,
		.reparse_off = test_random_next(r),
		.streams_off = test_random_next(r),
		.parent_id = (uint32_t)test_random_next(r),
	};

	e.data = random_stream(r);
	return e;
}

static void check_entry(const struct cim_entry *got, const struct cim_entry *e)
{
	ck_assert_uint_eq(got->flags, e->flags);
	ck_assert_uint_eq(got->ea_size, e->ea_size);
	ck_assert_uint_eq(got->reparse_tag, e->reparse_tag);
	ck_assert_uint_eq(got->created, e->created);
	ck_assert_uint_eq(got->written, e->written);
	ck_assert_uint_eq(got->changed, e->changed);
	ck_assert_uint_eq(got->accessed, e->accessed);
	check_stream(&got->data, &e->data);
	ck_assert_uint_eq(got->sd_off, e->sd_off);
	ck_assert_uint_eq(got->ea_off, e->ea_off);
	ck_assert_uint_eq(got->reparse_off, e->reparse_off);
	ck_assert_uint_eq(got->streams_off, e->streams_off);
	ck_assert_uint_eq(got->parent_id, e->parent_id);
}

START_TEST(entry_is_read_as_written)
{
	struct test_random random = { test_seed(12) };

	printf("# entry_is_read_as_written: seed %#llx\n", (unsigned long long)random.state);
	for (int i = 0; i < N_RANDOM; i++) {
		struct cim_entry e = random_entry(&random), got;
		struct cim_entry_disk d;

		cim_entry_encode(&d, &e);
		ck_assert_uint_eq(cim_get16(d.base_region), 0);
		ck_assert_uint_eq(cim_get16(d.reserved94), 0);
		ck_assert_int_eq(cim_entry_parse(&d, sizeof(d), &got), 0);
		check_entry(&got, &e);
	}
}
END_TEST

START_TEST(entry_of_88_bytes_has_no_parent)
{
	struct test_random random = { 13 };
	struct cim_entry e = random_entry(&random), got;
	struct cim_entry_disk d;

	cim_entry_encode(&d, &e);
	void *v1 = exact_copy(&d, 88);
	ck_assert_int_eq(cim_entry_parse(v1, 88, &got), 0);
	free(v1);
	e.parent_id = 0;
	check_entry(&got, &e);
}
END_TEST

START_TEST(entry_of_104_bytes_is_read_as_far_as_known)
{
	struct test_random random = { 14 };
	struct cim_entry e = random_entry(&random), got;
	uint8_t longer[104];

	memset(longer, 0xFF, sizeof(longer));
	cim_entry_encode((struct cim_entry_disk *)longer, &e);
	ck_assert_int_eq(cim_entry_parse(longer, sizeof(longer), &got), 0);
	check_entry(&got, &e);
}
END_TEST

START_TEST(entry_of_any_length_reads_as_if_followed_by_zeros)
{
	struct cim_entry e = { .flags = CIM_FLAG_ARCHIVE,
			       .created = UINT64_MAX,
			       .data = { .off = 8, .size = 7 },
			       .ea_off = 16,
			       .ea_size = 20,
			       .parent_id = 1 };
	struct cim_entry_disk d, padded;
	struct cim_entry got, expect;

	cim_entry_encode(&d, &e);
	for (uint32_t n = 0; n <= sizeof(d); n++) {
		void *cut = exact_copy(&d, n);

		memset(&padded, 0, sizeof(padded));
		memcpy(&padded, &d, n);
		ck_assert_int_eq(cim_entry_parse(cut, n, &got),
				 cim_entry_parse(&padded, sizeof(padded), &expect));
		ck_assert_uint_eq(got.ea_off, expect.ea_off);
		ck_assert_uint_eq(got.data.size, expect.data.size);
		free(cut);
	}
}
END_TEST

START_TEST(entry_rejects_a_bad_stream)
{
	struct cim_entry_disk d = { .data = { cim_put64(0), cim_put64(1) } };
	struct cim_entry e;

	ck_assert_int_eq(cim_entry_parse(&d, sizeof(d), &e), -CIM_ECORRUPT);
	d.data.off = cim_put64(8);
	d.data.word = cim_put64(3ull << 48 | 1);
	ck_assert_int_eq(cim_entry_parse(&d, sizeof(d), &e), -CIM_ECORRUPT);
}
END_TEST

START_TEST(entry_without_an_ea_offset_has_no_eas)
{
	struct cim_entry_disk d = { .ea_size = cim_put16(100) };
	struct cim_entry e;

	ck_assert_int_eq(cim_entry_parse(&d, sizeof(d), &e), 0);
	ck_assert_uint_eq(e.ea_size, 0);
}
END_TEST

/* ---- link tables ---- */

/* Two files, "a" and "bc", with IDs 5 and 6. */
static const uint8_t two_links[] = {
	34, 0, 0,   0, 2,   0, 0, 0, /* size, n */
	5,  0, 0,   0, 6,   0, 0, 0, /* IDs */
	24, 0, 0,   0, 28,  0, 0, 0, /* name offsets */
	1,  0, 'a', 0,               /* +24 */
	2,  0, 'b', 0, 'c', 0,       /* +28 */
};

static int parse_links(const uint8_t *bytes, size_t n, struct cim_links *ret)
{
	return cim_links_parse(bytes, n, CIM_LINK_ID, ret);
}

/* The first error of a table and its names; 0 if there is none. */
static int walk_links(const uint8_t *bytes, size_t n)
{
	uint8_t *copy = exact_copy(bytes, n);
	uint16_t name[CIM_NAME_UNITS];
	struct cim_links l;
	int r = parse_links(copy, n, &l);

	for (uint32_t i = 0; r >= 0 && i < l.n; i++) {
		(void)cim_links_id(&l, i);
		r = cim_links_name(&l, i, name);
	}
	free(copy);
	return r < 0 ? r : 0;
}

START_TEST(links_are_read)
{
	uint16_t name[CIM_NAME_UNITS];
	struct cim_links l;

	ck_assert_int_eq(parse_links(two_links, sizeof(two_links), &l), 0);
	ck_assert_uint_eq(l.n, 2);
	ck_assert_uint_eq(l.size, sizeof(two_links));
	ck_assert_uint_eq(cim_links_id(&l, 0), 5);
	ck_assert_uint_eq(cim_links_id(&l, 1), 6);
	ck_assert_int_eq(cim_links_name(&l, 0, name), 1);
	ck_assert_uint_eq(name[0], 'a');
	ck_assert_int_eq(cim_links_name(&l, 1, name), 2);
	ck_assert_uint_eq(name[1], 'c');
}
END_TEST

START_TEST(links_reject_truncation)
{
	struct cim_links l;

	for (size_t n = 0; n < sizeof(two_links); n++) {
		uint8_t *cut = exact_copy(two_links, n);

		ck_assert_int_eq(parse_links(cut, n, &l), -CIM_ECORRUPT);
		free(cut);
	}
}
END_TEST

START_TEST(links_shorter_than_their_names_reject_those)
{
	uint8_t b[sizeof(two_links)];

	/* The table says itself that it is shorter. */
	for (uint8_t size = 24; size < sizeof(b); size++) {
		memcpy(b, two_links, sizeof(b));
		b[0] = size;
		ck_assert_int_eq(walk_links(b, size), -CIM_ECORRUPT);
	}
}
END_TEST

static const struct {
	uint32_t size, n;
	int expect;
} link_headers[] = {
	{ 34, 2, 0 },
	{ 34, 0, 0 },
	{ 8, 0, 0 },
	{ 34, 3, 0 }, /* 8 + 3 * 8 fits; the names are checked one by one */
	{ 34, 4, -CIM_ECORRUPT },
	{ 8, 1, -CIM_ECORRUPT },
	{ 7, 0, -CIM_ECORRUPT },
	{ 0, 0, -CIM_ECORRUPT },
	{ 35, 2, -CIM_ECORRUPT },
	{ 0xFFFFFFFF, 2, -CIM_ECORRUPT },
	{ 34, 0x20000000, -CIM_ECORRUPT }, /* times 8 it is 2^32 */
	{ 34, 0xFFFFFFFF, -CIM_ECORRUPT },
};

START_TEST(links_fit_their_table)
{
	uint8_t b[sizeof(two_links)];
	struct cim_links l;

	memcpy(b, two_links, sizeof(b));
	cim_store32(b, link_headers[_i].size);
	cim_store32(b + 4, link_headers[_i].n);
	ck_assert_int_eq(parse_links(b, sizeof(b), &l), link_headers[_i].expect);
}
END_TEST

static const struct {
	uint32_t off;
	uint16_t units;
	int expect;
} link_names[] = {
	{ 28, 2, 0 },
	{ 28, 1, 0 },
	{ 29, 1, -CIM_ECORRUPT }, /* odd: its length is then 'b' << 8 */
	{ 27, 2, -CIM_ECORRUPT },
	{ 28, 0, -CIM_ECORRUPT },
	{ 28, 3, -CIM_ECORRUPT },
	{ 28, 256, -CIM_ECORRUPT },
	{ 28, 0x8001, -CIM_ECORRUPT }, /* twice it has bit 16 set */
	{ 28, 0xFFFF, -CIM_ECORRUPT },
	{ 32, 0, -CIM_ECORRUPT },
	{ 33, 0, -CIM_ECORRUPT },
	{ 34, 0, -CIM_ECORRUPT },
	{ 0x80000000, 2, -CIM_ECORRUPT },
	{ 0xFFFFFFFE, 2, -CIM_ECORRUPT },
	{ 0xFFFFFFFF, 2, -CIM_ECORRUPT },
};

START_TEST(link_names_lie_inside_the_table)
{
	uint8_t b[sizeof(two_links)];

	memcpy(b, two_links, sizeof(b));
	cim_store32(b + 20, link_names[_i].off);
	cim_store16(b + 28, link_names[_i].units);
	ck_assert_int_eq(walk_links(b, sizeof(b)), link_names[_i].expect);
}
END_TEST

START_TEST(link_names_may_begin_at_odd_offsets_and_end_with_the_table)
{
	static const uint8_t odd[] = { 21, 0,  0, 0, 1, 0,    0, 0, 9,   0, 0,
				       0,  17, 0, 0, 0, 0xFF, 1, 0, 'x', 0 };
	uint8_t *copy = exact_copy(odd, sizeof(odd));
	uint16_t name[CIM_NAME_UNITS];
	struct cim_links l;

	ck_assert_int_eq(parse_links(copy, sizeof(odd), &l), 0);
	ck_assert_int_eq(cim_links_name(&l, 0, name), 1);
	ck_assert_uint_eq(name[0], 'x');
	free(copy);
}
END_TEST

START_TEST(link_names_have_255_units_at_most)
{
	uint8_t b[8 + 8 + 2 + 2 * 256] = { 0 };

	cim_store32(b, sizeof(b));
	cim_store32(b + 4, 1);
	cim_store32(b + 12, 16);
	for (size_t u = 0; u < 256; u++)
		cim_store16(b + 18 + 2 * u, 'x');
	cim_store16(b + 16, 255);
	ck_assert_int_eq(walk_links(b, sizeof(b)), 0);
	cim_store16(b + 16, 256);
	ck_assert_int_eq(walk_links(b, sizeof(b)), -CIM_ECORRUPT);
}
END_TEST

START_TEST(links_survive_random_bytes)
{
	struct test_random random = { test_seed(15) };
	uint8_t b[sizeof(two_links)];

	printf("# links_survive_random_bytes: seed %#llx\n", (unsigned long long)random.state);
	for (int i = 0; i < 20000; i++) {
		memcpy(b, two_links, sizeof(b));
		for (uint64_t k = test_random_below(&random, 4) + 1; k > 0; k--)
			b[test_random_below(&random, sizeof(b))] =
				(uint8_t)test_random_next(&random);
		int r = walk_links(b, sizeof(b));
		ck_assert(r == 0 || r == -CIM_ECORRUPT);
	}
}
END_TEST

START_TEST(link_table_of_streams_is_read)
{
	uint8_t b[8 + 20 + 4] = { sizeof(b), 0, 0, 0, 1 };
	struct cim_stream s = { .off = 0x40, .size = 9 }, got;
	struct cim_links l;

	cim_stream_encode((struct cim_stream_disk *)(b + 8), &s);
	cim_store32(b + 24, 28);
	cim_store16(b + 28, 1);
	cim_store16(b + 30, 's');
	ck_assert_int_eq(cim_links_parse(b, sizeof(b), CIM_LINK_STREAM, &l), 0);
	ck_assert_int_eq(cim_links_stream(&l, 0, &got), 0);
	check_stream(&got, &s);
	cim_store32(b + 4, 2);
	ck_assert_int_eq(cim_links_parse(b, sizeof(b), CIM_LINK_STREAM, &l), -CIM_ECORRUPT);
	cim_store32(b + 4, 1);
	b[22] = 9; /* the stream's type */
	ck_assert_int_eq(cim_links_parse(b, sizeof(b), CIM_LINK_STREAM, &l), 0);
	ck_assert_int_eq(cim_links_stream(&l, 0, &got), -CIM_ECORRUPT);
}
END_TEST

/* ---- PE images ---- */

static int parse_pe(const void *bytes, size_t n, struct cim_pe *ret)
{
	void *copy = exact_copy(bytes, n);
	int r = cim_pe_parse(copy, n, ret);

	free(copy);
	return r;
}

START_TEST(pe_header_is_read)
{
	struct cim_pe_disk d = { .data_off = cim_put64(0x1000),
				 .data_size = cim_put64(1ull << 63 | 0x2000),
				 .flags = cim_put16(0xFFFF) };
	struct cim_pe pe;

	ck_assert_int_eq(parse_pe(&d, sizeof(d), &pe), 0);
	ck_assert_uint_eq(pe.data_off, 0x1000);
	ck_assert_uint_eq(pe.data_size, 0x2000);
	ck_assert_uint_eq(pe.n_mappings, 0);
}
END_TEST

START_TEST(pe_rejects_truncation)
{
	struct {
		struct cim_pe_disk head;
		struct cim_pe_mapping_disk map[2];
	} d = { .head.n_mappings = cim_put16(2) };
	struct cim_pe pe;

	for (size_t n = 0; n < sizeof(d); n++)
		ck_assert_int_eq(parse_pe(&d, n, &pe), -CIM_ECORRUPT);
	ck_assert_int_eq(parse_pe(&d, sizeof(d), &pe), 0);
	ck_assert_uint_eq(pe.n_mappings, 2);
	d.head.n_mappings = cim_put16(0xFFFF);
	ck_assert_int_eq(parse_pe(&d, sizeof(d), &pe), -CIM_ECORRUPT);
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
	TCase *links = tcase_create("links");

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
	tcase_add_test(records, stream_has_a_known_type);
	tcase_add_test(records, stream_with_bytes_has_an_offset);
	tcase_add_test(records, stream_without_bytes_ignores_its_offset);
	tcase_add_test(records, stream_may_be_sparse_if_it_is_data);
	tcase_add_test(records, stream_ignores_bits_that_are_not_published);
	tcase_add_test(records, stream_is_read_as_written);
	tcase_add_test(records, entry_is_read_as_written);
	tcase_add_test(records, entry_of_88_bytes_has_no_parent);
	tcase_add_test(records, entry_of_104_bytes_is_read_as_far_as_known);
	tcase_add_test(records, entry_of_any_length_reads_as_if_followed_by_zeros);
	tcase_add_test(records, entry_rejects_a_bad_stream);
	tcase_add_test(records, entry_without_an_ea_offset_has_no_eas);

	tcase_add_test(links, links_are_read);
	tcase_add_test(links, links_reject_truncation);
	tcase_add_test(links, links_shorter_than_their_names_reject_those);
	tcase_add_loop_test(links, links_fit_their_table, 0, N_ROWS(link_headers));
	tcase_add_loop_test(links, link_names_lie_inside_the_table, 0, N_ROWS(link_names));
	tcase_add_test(links, link_names_may_begin_at_odd_offsets_and_end_with_the_table);
	tcase_add_test(links, link_names_have_255_units_at_most);
	tcase_add_test(links, links_survive_random_bytes);
	tcase_add_test(links, link_table_of_streams_is_read);
	tcase_add_test(records, pe_header_is_read);
	tcase_add_test(records, pe_rejects_truncation);
	tcase_add_test(records, region_offset_has_an_index_and_a_byte);
	tcase_add_test(records, guid_is_written_in_windows_order);
	tcase_add_test(records, region_files_are_named_by_guid_and_index);
	suite_add_tcase(s, headers);
	suite_add_tcase(s, records);
	suite_add_tcase(s, links);
	return s;
}

int main(void)
{
	return test_run(suite());
}
