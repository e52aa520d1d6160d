/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Streams of a writer's files, the data and alternate ones: each has the size it was opened with,
 * what was written to it and zeros behind that; alternate ones are read, replaced and removed.
 */
#include "config.h"

#include <signal.h>
#include <sys/resource.h>

#include "imagedir.h"
#include "wincreate.h"

static const struct {
	uint64_t size;
	size_t written, piece;
} written[] = {
	{ 0, 0, 1 },
	{ 1, 0, 1 },
	{ 1, 1, 1 },
	{ 100, 40, 7 },
	{ 16384, 16384, 5000 },
	{ 16385, 16385, 5000 },
	{ 100000, 0, 1 },
	{ 100000, 5000, 999 },
	{ 3000000, 3000000, 70000 },
#ifndef TEST_SANITIZED /* such a region file is mapped as a whole */
	{ 1ull << 40, 10, 10 },
#endif
	{ 1ull << 36, 10, 10 },
};

/* Main and alternate: what is written is there, the rest reads as zeros. */
START_TEST(stream_has_what_was_written_and_zeros)
{
	g_autofree uint8_t *data = pattern(written[_i].written, 3);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint64_t size = written[_i].size;

	for (int alternate = 0; alternate < 2; alternate++) {
		struct cim_stream_writer *s;
		uint32_t id = alternate ? find(w, "f") : create(w, "f", "");

		ck_assert_int_eq(cim_stream_writer_open(w, id, alternate ? "s" : NULL, size, &s),
				 0);
		for (size_t at = 0, n; at < written[_i].written; at += n) {
			n = MIN(written[_i].piece, written[_i].written - at);
			ck_assert_int_eq(cim_stream_writer_add(s, data + at, n), 0);
		}
		ck_assert_int_eq(cim_writer_commit(w), -CIM_ELOCKED);
		if (written[_i].written == size)
			ck_assert_int_eq(cim_stream_writer_add(s, "x", 1), -EFBIG);
		ck_assert_int_eq(cim_stream_writer_close(s), 0);
	}
	commit(w);
	struct cim_image *img = open_image("a.cim");
	struct cim_entry e = image_entry(img, "f");
	struct cim_stream streams[2] = { e.data };
	struct cim_links l;
	g_autofree uint8_t *got = g_malloc(written[_i].written + 4096);
	ck_assert_int_eq(cim_file_streams(img, &e, &l), 0);
	ck_assert_uint_eq(l.n, 1);
	ck_assert_int_eq(cim_links_stream(&l, 0, &streams[1]), 0);
	for (int i = 0; i < 2; i++) {
		size_t room = written[_i].written + 4096;
		uint64_t n = MIN(size, (uint64_t)room);

		ck_assert_uint_eq(streams[i].size, size);
		ck_assert_int_eq(cim_stream_read(img, &streams[i], 0, got, room), (ssize_t)n);
		ck_assert_mem_eq(got, data, written[_i].written);
		for (uint64_t at = written[_i].written; at < n; at++)
			ck_assert_uint_eq(got[at], 0);
	}
	/* What was stored twice, or not at all, is there once. */
	ck_assert_uint_lt(region_bytes() & 0xFFFFFFFF, written[_i].written + 600000);
	cim_image_unref(img);
}
END_TEST

/* What passes the file system's limit is refused when it is written, and the rest is committed. */
START_TEST(stream_past_the_size_of_a_file_is_refused)
{
	struct rlimit old, tight;
	struct cim_stream_writer *s;
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = create(w, "f", "text");

	(void)signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = old;
	tight.rlim_cur = 1ull << 31;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
	ck_assert_int_eq(cim_stream_writer_open(w, id, "s", 1ull << 40, &s), 0);
	ck_assert_int_eq(cim_stream_writer_add(s, "x", 1), -EFBIG);
	ck_assert_int_eq(cim_stream_writer_error(s), -EFBIG);
	ck_assert_int_eq(cim_stream_writer_close(s), -EFBIG);
	commit(w);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	check_image_text("a.cim", "f", "text");
}
END_TEST

START_TEST(streams_are_listed_read_replaced_and_removed)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = create(w, "f", "main");
	char buf[16];

	write_stream(w, id, "one", "1");
	write_stream(w, id, "two", "22");
	write_stream(w, id, "two", "333");
	ck_assert_int_eq(cim_writer_read_stream(w, id, "two", 1, buf, sizeof(buf)), 2);
	ck_assert_int_eq(cim_writer_read_stream(w, id, "TWO", 0, buf, sizeof(buf)), -ENOENT);
	ck_assert_int_eq(cim_writer_remove_stream(w, id, "one"), 0);
	ck_assert_int_eq(cim_writer_remove_stream(w, id, "one"), -ENOENT);
	commit(w);
	w = open_writer("a.cim", "b.cim");
	id = find(w, "f");
	ck_assert_int_eq(cim_writer_read_stream(w, id, "two", 0, buf, sizeof(buf)), 3);
	ck_assert_int_eq(cim_writer_remove_stream(w, id, "two"), 0);
	commit(w);
	struct cim_image *img = open_image("b.cim");
	ck_assert_uint_eq(image_entry(img, "f").streams_off, 0);
	check_text(img, "f", "main");
	cim_image_unref(img);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("streams");
	TCase *streams = tcase_create("streams");

	tcase_add_checked_fixture(streams, setup_dir, teardown_dir);
	tcase_add_loop_test(streams, stream_has_what_was_written_and_zeros, 0, N_ROWS(written));
	tcase_add_test(streams, stream_past_the_size_of_a_file_is_refused);
	tcase_add_test(streams, streams_are_listed_read_replaced_and_removed);
	suite_add_tcase(suite, streams);
	return test_run(suite);
}
