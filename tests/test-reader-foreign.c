/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images of other writers, built byte by byte: what the format allows and our writer never makes is
 * read, forked and changed; what it does not allow is an error of the file that has it.
 */
#include "config.h"

#include "builder.h"
#include "damage.h"
#include "imagedir.h"
#include "reader.h"

/* ---- an image ---- */

/* Write the files "a.cim" and its region, and open the image. */
static struct cim_image *builder_end(struct builder *b)
{
	struct cim_set set = { .guid = b->guid, .n_regions = 1 };
	struct cim_image_disk head = { 0 };
	char name[CIM_FILE_NAME];

	cim_common_encode(&head.common, CIM_FILE_IMAGE, sizeof(head));
	head.common.version_major = cim_put32(b->version);
	cim_set_encode(&head.own, &set);
	head.fs_off = cim_put64(builder_finish(b));
	cim_region_name(&b->guid, 0, name);
	put_file(name, b->region->data, b->region->len);
	put_file("a.cim", &head, sizeof(head));
	builder_clear(b);
	return open_image("a.cim");
}

static const uint16_t unit_x[] = { 'x' }, unit_y[] = { 'y' };

/* ---- files ---- */

START_TEST(entries_of_other_sizes_are_read)
{
	static const struct {
		uint32_t version, entry_size;
	} rows[] = { { 1, 88 }, { 2, 96 }, { 3, 104 }, { 3, 256 } };
	struct builder b;

	builder_begin(&b, rows[_i].version, rows[_i].entry_size);
	build_entry(&b, &(struct cim_entry){ 0 });
	struct cim_entry e = { .flags = CIM_FLAG_READONLY,
			       .written = 130000000000000000,
			       .data = { .off = build(&b, "text", 4), .size = 4 },
			       .parent_id = 1 };
	struct name x = { unit_x, 1, build_entry(&b, &e), { 0 } };
	build_root(&b, &x, 1);
	struct cim_image *img = builder_end(&b);
	struct cim_attr attr = image_attr(img, "x");

	check_text(img, "x", "text");
	ck_assert_uint_eq(attr.written, 130000000000000000);
	ck_assert_uint_eq(attr.posix.mode & ~0222u, S_IFREG | 0555);
	ck_assert_uint_eq(attr.posix.mode & 0222, 0);
	ck_assert_uint_eq(attr.posix.n_links, 1);
	ck_assert(S_ISDIR(image_attr(img, "").posix.mode));
	ck_assert_uint_eq(image_entry(img, "x").parent_id, rows[_i].entry_size > 88 ? 1 : 0);
	cim_image_unref(img);

	/* A fork changes one file and leaves the other, and what it does not know of either. */
	struct cim_writer *w = open_writer("a.cim", "b.cim");
	put_text(w, "new", "new");
	write_at(w, find(w, "x"), 4, "!", 1);
	commit(w);
	img = open_image("b.cim");
	check_text(img, "x", "text!");
	check_text(img, "new", "new");
	struct cim_table t;
	const uint8_t *p;
	ck_assert_int_eq(cim_image_table(img, 0, &t), 0);
	ck_assert_uint_eq(t.entry_size, MAX(rows[_i].entry_size, 96));
	ck_assert_int_eq(cim_image_bytes(img, entry_off(img, "x"), t.entry_size, &p), 0);
	for (uint32_t i = 96; i < t.entry_size; i++)
		ck_assert_uint_eq(p[i], 0xEE);
	cim_image_unref(img);
	check_image_text("a.cim", "x", "text");
}
END_TEST

/* A fork's region file is as large, and is mapped as a whole: sanitizers have little room. */
#ifdef TEST_SANITIZED
#define HOLE_SIZE (1ull << 36)
#else
#define HOLE_SIZE (1ull << 40)
#endif

START_TEST(sparse_stream_reads_as_zeros)
{
	static const uint8_t zeros[1000];
	struct builder b;
	uint8_t buf[1000];

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	struct cim_entry e = { .flags = CIM_FLAG_SPARSE,
			       .data = { .size = HOLE_SIZE, .sparse = true },
			       .parent_id = 1 };
	struct name x = { unit_x, 1, build_entry(&b, &e), { 0 } };
	build_root(&b, &x, 1);
	struct cim_image *img = builder_end(&b);

	e = image_entry(img, "x");
	ck_assert_uint_eq(image_attr(img, "x").size, HOLE_SIZE);
	ck_assert_uint_eq(image_attr(img, "x").blocks, 0);
	memset(buf, 1, sizeof(buf));
	ck_assert_int_eq(cim_stream_read(img, &e.data, HOLE_SIZE - 1000, buf, 2000), 1000);
	ck_assert_mem_eq(buf, zeros, sizeof(buf));
	ck_assert_int_eq(cim_stream_read(img, &e.data, HOLE_SIZE, buf, 1), 0);
	ck_assert_int_eq(cim_stream_seek(img, &e.data, 5, SEEK_HOLE), 5);
	ck_assert_int_eq(cim_stream_seek(img, &e.data, 5, SEEK_DATA), -ENXIO);
	ck_assert_int_eq(cim_stream_seek(img, &e.data, HOLE_SIZE, SEEK_HOLE), -ENXIO);
	cim_image_unref(img);

	/* And in a fork, where a byte in its middle is written. */
	struct cim_writer *w = open_writer("a.cim", "b.cim");
	write_at(w, find(w, "x"), 1ull << 30, "!", 1);
	commit(w);
	img = open_image("b.cim");
	e = image_entry(img, "x");
	ck_assert_uint_eq(e.data.size, HOLE_SIZE);
	ck_assert_int_eq(cim_stream_read(img, &e.data, (1ull << 30) - 1, buf, 3), 3);
	ck_assert_mem_eq(buf, "\0!\0", 3);
	ck_assert_uint_lt(image_attr(img, "x").blocks, 1000);
	cim_image_unref(img);
}
END_TEST

/* ---- PE images ---- */

#define PE_SIZE 64

/* Bytes 0..15 lie at 0, 16..31 at 16 + 100, 32.. at 32 + 200. */
static struct cim_image *build_pe(uint64_t data_size, uint32_t first_map)
{
	struct {
		struct cim_pe_disk head;
		struct cim_pe_mapping_disk map[2];
	} pe = { .map = { { cim_put32(first_map), cim_put32(100) },
			  { cim_put32(32), cim_put32(200) } } };
	uint8_t data[300];
	struct builder b;

	for (int i = 0; i < 300; i++)
		data[i] = (uint8_t)i;
	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	pe.head.data_off = cim_put64(build(&b, data, sizeof(data)));
	pe.head.data_size = cim_put64(1ull << 63 | data_size);
	pe.head.image_size = cim_put32(PE_SIZE);
	pe.head.n_mappings = cim_put16(2);
	struct cim_entry e = { .data = { .off = build(&b, &pe, sizeof(pe)),
					 .size = PE_SIZE,
					 .type = CIM_STREAM_PE },
			       .parent_id = 1 };
	struct name x = { unit_x, 1, build_entry(&b, &e), { 0 } };
	build_root(&b, &x, 1);
	return builder_end(&b);
}

START_TEST(pe_image_is_read_through_its_mappings)
{
	struct cim_image *img = build_pe(300, 16);
	uint8_t expect[PE_SIZE], buf[PE_SIZE];

	for (int i = 0; i < PE_SIZE; i++)
		expect[i] = (uint8_t)(i + (i < 16 ? 0 : i < 32 ? 100 : 200));
	check_content(img, "x", expect, PE_SIZE);
	struct cim_entry e = image_entry(img, "x");
	for (uint64_t off = 0; off < PE_SIZE; off++) {
		ck_assert_int_eq(cim_stream_read(img, &e.data, off, buf, 20),
				 MIN(20, PE_SIZE - off));
		ck_assert_mem_eq(buf, expect + off, MIN(20, PE_SIZE - off));
	}
	ck_assert(S_ISREG(image_attr(img, "x").posix.mode));
	cim_image_unref(img);

	/* A writer copies it up. */
	struct cim_writer *w = open_writer("a.cim", "b.cim");
	write_at(w, find(w, "x"), 0, "\xAA", 1);
	commit(w);
	img = open_image("b.cim");
	expect[0] = 0xAA;
	check_content(img, "x", expect, PE_SIZE);
	cim_image_unref(img);
}
END_TEST

START_TEST(pe_image_past_its_data_is_an_error)
{
	struct cim_image *img = build_pe(200 + PE_SIZE - 1, 16);
	struct cim_entry e = image_entry(img, "x");
	uint8_t buf[PE_SIZE];

	ck_assert_int_eq(cim_stream_read(img, &e.data, 0, buf, 32), 32);
	ck_assert_int_eq(cim_stream_read(img, &e.data, 32, buf, 32), -CIM_ECORRUPT);
	cim_image_unref(img);
}
END_TEST

START_TEST(pe_image_whose_data_wraps_around_is_an_error)
{
	struct cim_image *img = build_pe(300, 16);
	uint64_t pe = image_entry(img, "x").data.off;
	uint8_t buf[PE_SIZE];

	cim_image_unref(img);
	/* With a delta of 200 added it is byte 168 of region 0. */
	damage64(pe + offsetof(struct cim_pe_disk, data_off), UINT64_MAX - 63);
	img = open_image("a.cim");
	struct cim_entry e = image_entry(img, "x");
	ck_assert_int_eq(cim_stream_read(img, &e.data, 32, buf, 32), -CIM_ECORRUPT);
	ck_assert_int_eq(cim_stream_read(img, &e.data, 0, buf, 16), -CIM_ECORRUPT);
	cim_image_unref(img);
}
END_TEST

START_TEST(pe_image_with_mappings_out_of_order_ends)
{
	struct cim_image *img = build_pe(300, 40);
	struct cim_entry e = image_entry(img, "x");
	uint8_t buf[PE_SIZE];

	for (uint64_t off = 0; off < PE_SIZE; off++)
		(void)cim_stream_read(img, &e.data, off, buf, PE_SIZE);
	cim_image_unref(img);
}
END_TEST

/* ---- streams and links ---- */

static const uint16_t stream_s[] = { 's' }, stream_t[] = { 't', 't' };

START_TEST(stream_tables_are_read_with_and_without_their_length)
{
	struct builder b;
	char value[8];

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	struct name streams[] = {
		{ stream_s, 1, 0, { .off = build(&b, "one", 3), .size = 3 } },
		{ stream_t, 2, 0, { .off = build(&b, "two!", 4), .size = 4 } },
	};
	struct cim_stream table = build_table(&b, CIM_LINK_STREAM, streams, 2, _i == 1);
	struct cim_entry e = { .streams_off = table.off, .parent_id = 1 };
	struct name x = { unit_x, 1, build_entry(&b, &e), { 0 } };
	build_root(&b, &x, 1);
	struct cim_image *img = builder_end(&b);

	e = image_entry(img, "x");
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.s", value, sizeof(value)), 3);
	ck_assert_mem_eq(value, "one", 3);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.tt", value, sizeof(value)), 4);
	ck_assert_mem_eq(value, "two!", 4);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.tt", value, 3), -ERANGE);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.u", value, 3), -ENODATA);
	cim_image_unref(img);
}
END_TEST

/* Old WSL's symlinks have their target as data, which can be longer than any that Linux reads. */
START_TEST(symlink_whose_target_is_too_long_is_an_error)
{
	const size_t sizes[] = { CIM_SYMLINK_MAX, CIM_SYMLINK_MAX + 1 };
	char text[CIM_SYMLINK_MAX + 1], target[CIM_SYMLINK_MAX + 1];
	const char reparse[] = "\14\0\x1D\0\0\xA0\4\0\0\0\1\0\0"; /* 12 bytes */
	struct cim_entry e = { .reparse_tag = CIM_TAG_LX_SYMLINK, .parent_id = 1 };
	struct builder b;

	memset(text, 't', sizeof(text));
	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	e.reparse_off = build(&b, reparse, sizeof(reparse));
	e.data = (struct cim_stream){ .off = build(&b, text, sizes[_i]), .size = sizes[_i] };
	struct name x = { unit_x, 1, build_entry(&b, &e), { 0 } };
	build_root(&b, &x, 1);
	struct cim_image *img = builder_end(&b);
	ck_assert_int_eq(cim_file_readlink(img, image_find(img, "x"), target),
			 _i == 0 ? CIM_SYMLINK_MAX : -CIM_ECORRUPT);
	if (_i == 0)
		ck_assert_uint_eq(image_attr(img, "x").size, CIM_SYMLINK_MAX);
	else
		ck_assert_str_ne(cim_reason(), "");
	cim_image_unref(img);
}
END_TEST

/* ---- names ---- */

/* U+1F600 as code units, U+FFFD, U+E000 (private use): sorted as code units, and as code points;
 * and a low surrogate alone. */
static const uint16_t unit_emoji[] = { 0xD83D, 0xDE00 }, unit_fffd[] = { 0xFFFD },
		      unit_pua[] = { 0xE000 }, unit_low[] = { 0xDC00 };

START_TEST(names_are_found_in_either_order)
{
	static const char *const shown[] = { "\360\237\230\200", "\357\277\275", "\356\200\200",
					     "x", "y" };
	struct builder b;
	uint32_t ids[5];

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	for (size_t i = 0; i < 5; i++)
		ids[i] = build_text(&b, shown[i]);
	struct name by_units[] = { { unit_x, 1, ids[3], { 0 } },
				   { unit_y, 1, ids[4], { 0 } },
				   { unit_emoji, 2, ids[0], { 0 } },
				   { unit_pua, 1, ids[2], { 0 } },
				   { unit_fffd, 1, ids[1], { 0 } } };
	struct name by_points[] = { { unit_x, 1, ids[3], { 0 } },
				    { unit_y, 1, ids[4], { 0 } },
				    { unit_pua, 1, ids[2], { 0 } },
				    { unit_fffd, 1, ids[1], { 0 } },
				    { unit_emoji, 2, ids[0], { 0 } } };
	build_root(&b, _i == 0 ? by_units : by_points, 5);
	struct cim_image *img = builder_end(&b);
	for (size_t i = 0; i < 5; i++)
		check_text(img, shown[i], shown[i]);
	ck_assert_int_eq(image_path_error(img, "\360\237\230\201"), -ENOENT);
	ck_assert_int_eq(image_path_error(img, "\356\200\201"), -ENOENT);
	cim_image_unref(img);
}
END_TEST

START_TEST(name_that_is_no_utf16_is_shown_and_found)
{
	char shown[CIM_NAME_BYTES + 1];
	struct builder b;

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	struct name low = { unit_low, 1, build_text(&b, "lone"), { 0 } };
	build_root(&b, &low, 1);
	struct cim_image *img = builder_end(&b);
	ck_assert_int_gt(cim_name_shown(unit_low, 1, shown), 0);
	check_text(img, shown, "lone");
	cim_image_unref(img);
}
END_TEST

START_TEST(names_with_a_slash_are_not_listed)
{
	static const uint16_t slash[] = { 'a', '/', 'b' };
	struct builder b;

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	struct name names[] = { { slash, 3, build_text(&b, "evil"), { 0 } },
				{ unit_x, 1, build_text(&b, "x"), { 0 } } };
	build_root(&b, names, 2);
	struct cim_image *img = builder_end(&b);
	ck_assert_int_eq(image_path_error(img, "a/b"), -ENOENT);
	check_text(img, "x", "x");
	cim_image_unref(img);
}
END_TEST

/* ---- what a fork makes of them ---- */

/* Windows does not count links, so a file with two names says that it has one. */
static void build_uncounted_link(void)
{
	struct builder b;

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	uint32_t id = build_text(&b, "shared");
	struct name names[] = { { unit_x, 1, id, { 0 } }, { unit_y, 1, id, { 0 } } };
	build_root(&b, names, 2);
	cim_image_unref(builder_end(&b));
}

START_TEST(hard_link_that_was_not_counted_outlives_the_other)
{
	struct cim_writer *w;

	build_uncounted_link();
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(try_unlink(w, "x"), 0);
	check_staged(w, find(w, "y"), "shared", 6);
	commit(w);
	check_image_text("b.cim", "y", "shared");

	w = open_writer("a.cim", "c.cim");
	ck_assert_int_eq(try_unlink(w, "x"), 0);
	write_at(w, find(w, "y"), 0, "S", 1);
	ck_assert_uint_ge(attr_of(w, find(w, "y")).posix.n_links, 1);
	commit(w);
	check_image_text("c.cim", "y", "Shared");

	/* What was written by one name is there by the other, though nobody looked at that. */
	w = open_writer("a.cim", "d.cim");
	write_at(w, find(w, "x"), 0, "S", 1);
	ck_assert_int_eq(try_unlink(w, "x"), 0);
	commit(w);
	check_image_text("d.cim", "y", "Shared");
}
END_TEST

/* What a damaged base calls a file by its ID is no file of the writer, whose IDs come behind. */
START_TEST(name_of_no_file_is_none_of_the_writer)
{
	struct builder b;

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	struct name names[] = { { unit_x, 1, 2, { 0 } }, { unit_y, 1, 3, { 0 } } };
	build_text(&b, "text");
	build_root(&b, names, 2);
	cim_image_unref(builder_end(&b));

	struct cim_writer *w = open_writer("a.cim", "b.cim");
	uint32_t id = put_text(w, "new", "new");
	ck_assert_uint_eq(id, 3);
	ck_assert_int_eq(try_find(w, "y", &id), -CIM_ECORRUPT);
	ck_assert_int_eq(try_unlink(w, "y"), -CIM_ECORRUPT);
	ck_assert_int_eq(try_rename(w, "x", "y", 0), -CIM_ECORRUPT);
	check_staged(w, find(w, "new"), "new", 3);
	commit(w);
	check_image_text("b.cim", "new", "new");
	check_image_text("b.cim", "x", "text");
}
END_TEST

/* A file that says it is in a directory which is none can be changed. */
START_TEST(parent_that_is_no_file_is_forgotten)
{
	static const uint32_t parents[] = { 3, 1000, UINT32_MAX };
	struct name x = { unit_x, 1, 2, { 0 } };
	struct builder b;

	builder_begin(&b, 2, 96);
	build_entry(&b, &(struct cim_entry){ 0 });
	struct cim_entry e = { .data = { .off = build(&b, "text", 4), .size = 4 },
			       .parent_id = parents[_i] };
	build_entry(&b, &e);
	build_root(&b, &x, 1);
	cim_image_unref(builder_end(&b));

	struct cim_writer *w = open_writer("a.cim", "b.cim");
	write_at(w, find(w, "x"), 4, "!", 1);
	put_text(w, "new", "new");
	commit(w);
	struct cim_image *img = open_image("b.cim");
	check_text(img, "x", "text!");
	ck_assert_uint_eq(image_entry(img, "x").parent_id, 0);
	cim_image_unref(img);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reader-foreign");
	TCase *foreign = tcase_create("foreign");

	tcase_add_checked_fixture(foreign, setup_dir, teardown_dir);
	tcase_add_loop_test(foreign, entries_of_other_sizes_are_read, 0, 4);
	tcase_add_test(foreign, sparse_stream_reads_as_zeros);
	tcase_add_test(foreign, pe_image_is_read_through_its_mappings);
	tcase_add_test(foreign, pe_image_past_its_data_is_an_error);
	tcase_add_test(foreign, pe_image_whose_data_wraps_around_is_an_error);
	tcase_add_test(foreign, pe_image_with_mappings_out_of_order_ends);
	tcase_add_loop_test(foreign, stream_tables_are_read_with_and_without_their_length, 0, 2);
	tcase_add_loop_test(foreign, symlink_whose_target_is_too_long_is_an_error, 0, 2);
	tcase_add_loop_test(foreign, names_are_found_in_either_order, 0, 2);
	tcase_add_test(foreign, name_that_is_no_utf16_is_shown_and_found);
	tcase_add_test(foreign, names_with_a_slash_are_not_listed);
	tcase_add_test(foreign, hard_link_that_was_not_counted_outlives_the_other);
	tcase_add_test(foreign, name_of_no_file_is_none_of_the_writer);
	tcase_add_loop_test(foreign, parent_that_is_no_file_is_forgotten, 0, 3);
	suite_add_tcase(suite, foreign);
	return test_run(suite);
}
