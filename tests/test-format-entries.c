/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The gate for files: their entries, of every size, the streams of those, and what a stream is
 * where it is not plain data, a link table or a PE image.  What is written is read again; what is
 * cut off, leads out of its record or is of no known kind is refused.
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

static Suite *suite(void)
{
	Suite *s = suite_create("format-entries");
	TCase *entries = tcase_create("entries");
	TCase *links = tcase_create("links");
	TCase *pe = tcase_create("pe");

	tcase_add_test(entries, stream_has_a_known_type);
	tcase_add_test(entries, stream_with_bytes_has_an_offset);
	tcase_add_test(entries, stream_without_bytes_ignores_its_offset);
	tcase_add_test(entries, stream_may_be_sparse_if_it_is_data);
	tcase_add_test(entries, stream_ignores_bits_that_are_not_published);
	tcase_add_test(entries, stream_is_read_as_written);
	tcase_add_test(entries, entry_is_read_as_written);
	tcase_add_test(entries, entry_of_88_bytes_has_no_parent);
	tcase_add_test(entries, entry_of_104_bytes_is_read_as_far_as_known);
	tcase_add_test(entries, entry_of_any_length_reads_as_if_followed_by_zeros);
	tcase_add_test(entries, entry_rejects_a_bad_stream);
	tcase_add_test(entries, entry_without_an_ea_offset_has_no_eas);

	tcase_add_test(links, links_are_read);
	tcase_add_test(links, links_reject_truncation);
	tcase_add_test(links, links_shorter_than_their_names_reject_those);
	tcase_add_loop_test(links, links_fit_their_table, 0, N_ROWS(link_headers));
	tcase_add_loop_test(links, link_names_lie_inside_the_table, 0, N_ROWS(link_names));
	tcase_add_test(links, link_names_may_begin_at_odd_offsets_and_end_with_the_table);
	tcase_add_test(links, link_names_have_255_units_at_most);
	tcase_add_test(links, links_survive_random_bytes);
	tcase_add_test(links, link_table_of_streams_is_read);

	tcase_add_test(pe, pe_header_is_read);
	tcase_add_test(pe, pe_rejects_truncation);
	suite_add_tcase(s, entries);
	suite_add_tcase(s, links);
	suite_add_tcase(s, pe);
	return s;
}

int main(void)
{
	return test_run(suite());
}
