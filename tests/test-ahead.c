/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a region file the kernel is asked to read: what is wanted, and ahead of who goes on. */
#include "config.h"

#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ahead.h"
#include "mapping.h"
#include "support.h"
#include "util.h"

#define K         ((uint64_t)1024)
#define M         (1024 * K)
#define AHEAD_MAX (4 * M)

/* Ask; the range must begin and end as said. */
static void check_asks(struct cim_ahead *a, uint64_t at, uint64_t size, uint64_t from, uint64_t end)
{
	uint64_t begin, n = cim_ahead_next(a, at, size, &begin);

	ck_assert_uint_eq(begin, from);
	ck_assert_uint_eq(begin + n, end);
}

static void check_asks_nothing(struct cim_ahead *a, uint64_t at, uint64_t size)
{
	uint64_t begin;

	ck_assert_uint_eq(cim_ahead_next(a, at, size, &begin), 0);
}

START_TEST(what_lies_apart_is_asked_for_alone)
{
	struct cim_ahead a = { 0 };

	for (uint64_t i = 1; i < 20; i++)
		check_asks(&a, i * 64 * M, 5000, i * 64 * M, i * 64 * M + 5000);
}
END_TEST

START_TEST(who_goes_on_finds_ever_longer_windows)
{
	struct cim_ahead a = { 0 };

	check_asks(&a, 64 * M, 4 * K, 64 * M, 64 * M + 4 * K);
	check_asks(&a, 64 * M + 4 * K, 4 * K, 64 * M + 4 * K, 64 * M + 136 * K);
	/* Nothing until half of it is used up. */
	check_asks_nothing(&a, 64 * M + 8 * K, 64 * K);
	check_asks(&a, 64 * M + 72 * K, 4 * K, 64 * M + 136 * K, 64 * M + 332 * K);

	uint64_t at = 64 * M + 76 * K, asked = 64 * M + 332 * K, longest = 0;
	for (int i = 0; i < 200; i++, at += 64 * K) {
		uint64_t begin, n = cim_ahead_next(&a, at, 64 * K, &begin);

		ck_assert_uint_le(at + 64 * K, MAX(asked, begin + n));
		if (n == 0)
			continue;
		ck_assert_uint_eq(begin, asked);
		asked = begin + n;
		longest = MAX(longest, asked - at - 64 * K);
	}
	ck_assert_uint_eq(longest, AHEAD_MAX);
}
END_TEST

START_TEST(small_files_one_behind_the_other_are_one_stream)
{
	struct cim_ahead a = { 0 };
	uint64_t asked = 0;
	int n_asks = 0;

	for (uint64_t i = 0, at = 64 * M; i < 4000; i++, at += 8 * K) {
		uint64_t begin, n = cim_ahead_next(&a, at, 3000, &begin);

		n_asks += n > 0;
		asked = MAX(asked, begin + n);
		ck_assert_uint_le(at + 3000, asked);
	}
	/* 32 MiB in windows of 4 MiB, each asked for when half of the last is read. */
	ck_assert_int_le(n_asks, 40);
}
END_TEST

START_TEST(readers_at_several_places_are_told_apart)
{
	struct cim_ahead a = { 0 };
	int n_asks = 0;

	for (uint64_t i = 0; i < 1000; i++)
		for (uint64_t k = 0; k < CIM_AHEAD_STREAMS; k++) {
			uint64_t begin;

			n_asks += cim_ahead_next(&a, (k + 1) * 100 * M + i * 8 * K, 8 * K, &begin) >
				  0;
		}
	ck_assert_int_le(n_asks, 20 * CIM_AHEAD_STREAMS);
}
END_TEST

START_TEST(who_goes_far_back_begins_anew)
{
	struct cim_ahead a = { 0 };
	uint64_t begin;

	for (uint64_t at = 64 * M; at < 128 * M; at += 64 * K)
		cim_ahead_next(&a, at, 64 * K, &begin);
	check_asks(&a, 70 * M, 4 * K, 70 * M, 70 * M + 4 * K);
}
END_TEST

START_TEST(large_files_are_left_to_the_kernel)
{
	struct cim_ahead a = { 0 };

	for (uint64_t at = 64 * M; at < 128 * M; at += 128 * K)
		check_asks_nothing(&a, at, 128 * K);
	check_asks(&a, 128 * M, 4 * K, 128 * M, 128 * M + 132 * K);
}
END_TEST

START_TEST(nobody_waits_for_advice)
{
	struct cim_ahead a = { .busy = true };

	check_asks(&a, 64 * M, 4 * K, 64 * M, 64 * M + 4 * K);
	check_asks(&a, 64 * M + 4 * K, 4 * K, 64 * M + 4 * K, 64 * M + 8 * K);
}
END_TEST

static size_t count_resident(const struct cim_mapping *m, size_t page)
{
	g_autofree unsigned char *there = g_malloc(m->size / page + 1);
	size_t n = 0;

	ck_assert_int_eq(mincore((void *)(uintptr_t)m->data, m->size, there), 0);
	for (size_t i = 0; i < m->size / page; i++)
		n += there[i] & 1;
	return n;
}

/* A page fault alone would read around it, by default 128 KiB, and on some machines megabytes. */
START_TEST(a_small_file_costs_its_pages)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	g_autofree char *zeros = g_malloc0(16 * M);
	char name[] = "ahead-XXXXXX";
	cim_autofd fd = mkstemp(name);
	struct cim_mapping m;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, zeros, 16 * M), 16 * M);
	ck_assert_int_eq(fsync(fd), 0);
	ck_assert_int_eq(cim_mapping_open(AT_FDCWD, name, &m), 0);
	ck_assert_int_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	bool can_tell = count_resident(&m, page) == 0;
	cim_mapping_will_read(&m, 8 * M + 100, 1000);
	ck_assert_int_eq(m.data[8 * M + 100], 0);
	ck_assert(cim_mapping_check(&m, 8 * M + 100, 1000, -1, NULL));
	size_t n = count_resident(&m, page);
	cim_mapping_close(&m);
	ck_assert_int_eq(unlink(name), 0);
	if (can_tell)
		ck_assert_uint_le(n, 4);
	else
		printf("# this file system keeps all in memory: pages not counted\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ahead");
	TCase *t = tcase_create("ahead");

	tcase_add_test(t, what_lies_apart_is_asked_for_alone);
	tcase_add_test(t, who_goes_on_finds_ever_longer_windows);
	tcase_add_test(t, small_files_one_behind_the_other_are_one_stream);
	tcase_add_test(t, readers_at_several_places_are_told_apart);
	tcase_add_test(t, who_goes_far_back_begins_anew);
	tcase_add_test(t, large_files_are_left_to_the_kernel);
	tcase_add_test(t, nobody_waits_for_advice);
	tcase_add_test(t, a_small_file_costs_its_pages);
	suite_add_tcase(s, t);
	return test_run(s);
}
