/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names: any bytes come back from units, any stored name is shown once and found again,
 * and what a kernel must not see is refused.
 *
 * Buffers are exactly as long as the header promises, so that a sanitizer sees one too many.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "error.h"
#include "name.h"
#include "support.h"

#define N_ROWS(table)   (sizeof(table) / sizeof((table)[0]))
#define N_RANDOM_BYTES  400000
#define N_RANDOM_STORED 200000
#define UNITS_MAX       16

struct units {
	size_t n;
	uint16_t unit[UNITS_MAX];
};

#define BYTES(s) s, sizeof(s) - 1
#define UNITS(...)                                       \
	{                                                \
		sizeof((uint16_t[]){ __VA_ARGS__ }) / 2, \
		{                                        \
			__VA_ARGS__                      \
		}                                        \
	}

/* Linux names and what E() makes of them. */
static const struct {
	const char *bytes;
	size_t n;
	struct units units;
} encoded_rows[] = {
	{ BYTES("a"), UNITS('a') },
	{ BYTES("a b.c "), UNITS('a', ' ', 'b', '.', 'c', ' ') },
	{ BYTES("\x01\x1f\x7f"), UNITS(0xF001, 0xF01F, 0x7F) },
	{ BYTES("\"*:<>?\\|"),
	  UNITS(0xF022, 0xF02A, 0xF03A, 0xF03C, 0xF03E, 0xF03F, 0xF05C, 0xF07C) },
	/* The name of WSL's own test. */
	{ BYTES("\\:\b\xE8\xAA\x9E\xEE\xBF\xBF\xEF\x80\xA5\xEF\x84\x80\xEF\xAC\x80\xEF\x80\xAF"),
	  UNITS(0xF05C, 0xF03A, 0xF008, 0x8A9E, 0xEFFF, 0xF025, 0xF100, 0xFB00, 0xF02F) },
	{ BYTES("\xC3\xA9\xF0\x9F\x98\x80"), UNITS(0xE9, 0xD83D, 0xDE00) },
	{ BYTES("\xF4\x8F\xBF\xBF\xEF\xBF\xBF"), UNITS(0xDBFF, 0xDFFF, 0xFFFF) },
	/* Invalid: a lone tail, a cut sequence, overlongs, past the last code point, never used. */
	{ BYTES("a\x80z"), UNITS('a', 0xF080, 'z') },
	{ BYTES("\xE8\xAA"), UNITS(0xF0E8, 0xF0AA) },
	{ BYTES("\xE8\xAAz"), UNITS(0xF0E8, 0xF0AA, 'z') },
	{ BYTES("\xC0\xAF"), UNITS(0xF0C0, 0xF0AF) },
	{ BYTES("\xE0\x9F\xBF"), UNITS(0xF0E0, 0xF09F, 0xF0BF) },
	{ BYTES("\xF0\x8F\xBF\xBF"), UNITS(0xF0F0, 0xF08F, 0xF0BF, 0xF0BF) },
	{ BYTES("\xF4\x90\x80\x80"), UNITS(0xF0F4, 0xF090, 0xF080, 0xF080) },
	{ BYTES("\xF5\xFE\xFF"), UNITS(0xF0F5, 0xF0FE, 0xF0FF) },
	/* What looks like an escape is escaped itself: U+F03A, U+F080; U+F041 does not. */
	{ BYTES("\xEF\x80\xBA"), UNITS(0xF0EF, 0xF080, 0xF0BA) },
	{ BYTES("\xEF\x82\x80"), UNITS(0xF0EF, 0xF082, 0xF080) },
	{ BYTES("\xEF\x81\x81"), UNITS(0xF041) },
	/* Surrogates as characters: alone they stay, the second of a pair is escaped. */
	{ BYTES("\xED\xA0\x80"), UNITS(0xD800) },
	{ BYTES("\xED\xB0\x80\xED\xA0\x80"), UNITS(0xDC00, 0xD800) },
	{ BYTES("\xED\xA0\x80\xED\xB0\x80"), UNITS(0xD800, 0xF0ED, 0xF0B0, 0xF080) },
	{ BYTES("\xED\xA0\x80z\xED\xB0\x80"), UNITS(0xD800, 'z', 0xDC00) },
	{ BYTES("\xF0\x90\x80\x80\xED\xB0\x80"), UNITS(0xD800, 0xDC00, 0xDC00) },
};

START_TEST(encode_gives_the_units)
{
	typeof(encoded_rows[0]) *row = &encoded_rows[_i];
	char *bytes = exact_copy(row->bytes, row->n);
	uint16_t *units = malloc(row->n * sizeof(*units));

	ck_assert_uint_eq(cim_name_encode(bytes, row->n, units), row->units.n);
	ck_assert_mem_eq(units, row->units.unit, row->units.n * 2);
	free(units);
	free(bytes);
}
END_TEST

START_TEST(decode_and_shown_give_the_bytes)
{
	typeof(encoded_rows[0]) *row = &encoded_rows[_i];
	uint16_t *units = exact_copy(row->units.unit, row->units.n * 2);
	char *bytes = malloc(3 * row->units.n), shown[CIM_NAME_BYTES + 1];

	ck_assert_uint_eq(cim_name_decode(units, row->units.n, bytes), row->n);
	ck_assert_mem_eq(bytes, row->bytes, row->n);
	ck_assert_int_eq(cim_name_shown(units, row->units.n, shown), row->n);
	ck_assert_mem_eq(shown, row->bytes, row->n + 1);
	free(bytes);
	free(units);
}
END_TEST

/* Names that only Windows makes, and the W() under which they are shown. */
static const struct {
	struct units units;
	const char *bytes;
	size_t n;
} plain_rows[] = {
	{ UNITS(':'), BYTES(":") },
	{ UNITS('a', 0x01, '|'), BYTES("a\x01|") },
	{ UNITS(0xF03A, ':'), BYTES("\xEF\x80\xBA:") },
	{ UNITS(0xF041, 0xF0C3, 0xF0A9), BYTES("\xEF\x81\x81\xEF\x83\x83\xEF\x82\xA9") },
	{ UNITS(0xF0ED, 0xF0A0, 0xF080), BYTES("\xEF\x83\xAD\xEF\x82\xA0\xEF\x82\x80") },
	{ UNITS(0xD83D, 0xDE00, 0x3F), BYTES("\xF0\x9F\x98\x80?") },
};

START_TEST(shown_is_plain_for_a_name_that_encode_never_writes)
{
	typeof(plain_rows[0]) *row = &plain_rows[_i];
	uint16_t *units = exact_copy(row->units.unit, row->units.n * 2);
	char *plain = malloc(3 * row->units.n), shown[CIM_NAME_BYTES + 1];
	uint16_t *back = malloc(row->n * sizeof(*back));

	ck_assert_int_eq(cim_name_shown(units, row->units.n, shown), row->n);
	ck_assert_mem_eq(shown, row->bytes, row->n + 1);
	ck_assert_uint_eq(cim_name_plain(units, row->units.n, plain), row->n);
	ck_assert_mem_eq(plain, row->bytes, row->n);
	ck_assert_int_eq(cim_name_plain_encode(plain, row->n, back), row->units.n);
	ck_assert_mem_eq(back, units, row->units.n * 2);
	free(back);
	free(plain);
	free(units);
}
END_TEST

static const struct {
	const char *bytes;
	size_t n;
} not_plain_rows[] = {
	{ BYTES("\x80") },
	{ BYTES("a\xC0\x80") },
	{ BYTES("\xE8\xAA") },
	{ BYTES("\xF4\x90\x80\x80") },
	{ BYTES("\xED\xA0\x80\xED\xB0\x80") },
};

START_TEST(plain_encode_refuses_what_plain_never_gives)
{
	char *bytes = exact_copy(not_plain_rows[_i].bytes, not_plain_rows[_i].n);
	uint16_t units[UNITS_MAX];

	ck_assert_int_eq(cim_name_plain_encode(bytes, not_plain_rows[_i].n, units), -EILSEQ);
	free(bytes);
}
END_TEST

static const struct units refused_rows[] = {
	{ 0, { 0 } },         UNITS('.'),
	UNITS('.', '.'),      UNITS(0),
	UNITS('a', 0, 'b'),   UNITS('/'),
	UNITS('a', '/', 'b'), UNITS(0x8A9E, '/'),
	UNITS('\\'),          UNITS('.', '.', '\\', 'a'),
	UNITS(0xF03A, '\\'),
};

START_TEST(shown_refuses)
{
	char shown[CIM_NAME_BYTES + 1];
	uint16_t *units = exact_copy(refused_rows[_i].unit, refused_rows[_i].n * 2);

	cim_reason_clear();
	ck_assert_int_eq(cim_name_shown(units, refused_rows[_i].n, shown), -CIM_ECORRUPT);
	ck_assert_str_ne(cim_reason(), "");
	free(units);
}
END_TEST

START_TEST(shown_takes_dots_that_are_names)
{
	static const uint16_t dots[] = { '.', '.', '.' }, hidden[] = { '.', 'a' };
	char shown[CIM_NAME_BYTES + 1];

	ck_assert_int_eq(cim_name_shown(dots, 3, shown), 3);
	ck_assert_str_eq(shown, "...");
	ck_assert_int_eq(cim_name_shown(hidden, 2, shown), 2);
	ck_assert_str_eq(shown, ".a");
}
END_TEST

START_TEST(shown_takes_255_units_and_no_more)
{
	static const uint16_t kinds[] = { 'a', 0xE9, 0x8A9E, 0xFFFF, 0xD800, 0xF0FF, 0xF03A };
	uint16_t units[CIM_NAME_UNITS + 1];
	char *shown = malloc(CIM_NAME_BYTES + 1);

	for (size_t kind = 0; kind < N_ROWS(kinds); kind++) {
		for (size_t i = 0; i < N_ROWS(units); i++)
			units[i] = kinds[kind];
		ck_assert_int_ge(cim_name_shown(units, CIM_NAME_UNITS, shown), CIM_NAME_UNITS);
		ck_assert_int_eq(cim_name_shown(units, CIM_NAME_UNITS + 1, shown), -CIM_ECORRUPT);
	}
	free(shown);
}
END_TEST

static const struct {
	const char *part; /* repeated */
	size_t part_size, times;
	int result;
} linux_rows[] = {
	{ BYTES(""), 1, -EINVAL },
	{ BYTES("."), 1, -EINVAL },
	{ BYTES("."), 2, -EINVAL },
	{ BYTES("."), 3, 0 },
	{ BYTES("a/b"), 1, -EINVAL },
	{ BYTES("a\0b"), 1, -EINVAL },
	{ BYTES("a\\b:\xFF"), 1, 0 },
	{ BYTES("a"), 255, 0 },
	{ BYTES("\xFF"), 255, 0 },
	{ BYTES("a"), 256, -ENAMETOOLONG },
	{ BYTES("\xFF"), 256, -ENAMETOOLONG },
	{ BYTES("\xE8\xAA\x9E"), 255, 0 },
	{ BYTES("\xE8\xAA\x9E"), 256, -ENAMETOOLONG },
	{ BYTES("\xE8\xAA\x9E\xFF"), 64, -ENAMETOOLONG }, /* 128 units, but W() never shows it */
	{ BYTES("\xEF\x80\xBA"), 86, -ENAMETOOLONG },     /* three units each */
	{ BYTES("\xF0\x9F\x98\x80"), 127, 0 },
	{ BYTES("\xF0\x9F\x98\x80"), 128, -ENAMETOOLONG },
	{ BYTES("a"), 100000, -ENAMETOOLONG },
};

START_TEST(valid_linux_says)
{
	typeof(linux_rows[0]) *row = &linux_rows[_i];
	size_t n = row->part_size * row->times;
	char *bytes = malloc(n ? n : 1);

	for (size_t i = 0; i < n; i++)
		bytes[i] = row->part[i % row->part_size];
	ck_assert_int_eq(cim_name_valid_linux(bytes, n), row->result);
	free(bytes);
}
END_TEST

/* One fragment of a name: 1..4 bytes of one of the kinds that meet in E(). */
static size_t random_fragment(struct test_random *r, uint8_t *ret)
{
	static const char special[] = "\x01\x1f\"*:<>?\\|. /";
	uint32_t cp;

	switch (test_random_below(r, 7)) {
	case 0: /* any byte */
		ret[0] = (uint8_t)test_random_below(r, 256);
		return 1;
	case 1: /* printable ASCII */
		ret[0] = (uint8_t)(0x20 + test_random_below(r, 0x5F));
		return 1;
	case 2: /* control and forbidden characters */
		ret[0] = (uint8_t)special[test_random_below(r, sizeof(special) - 1)];
		return 1;
	case 3: /* U+F000..F0FF: looks like an escape */
		cp = 0xF000 + (uint32_t)test_random_below(r, 256);
		break;
	case 4: /* a surrogate as a character */
		cp = 0xD800 + (uint32_t)test_random_below(r, 0x800);
		break;
	case 5:
		cp = 0x80 + (uint32_t)test_random_below(r, 0x780);
		ret[0] = (uint8_t)(0xC0 | cp >> 6);
		ret[1] = (uint8_t)(0x80 | (cp & 0x3F));
		return 2;
	default:
		cp = 0x10000 + (uint32_t)test_random_below(r, 0x100000);
		ret[0] = (uint8_t)(0xF0 | cp >> 18);
		ret[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3F));
		ret[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3F));
		ret[3] = (uint8_t)(0x80 | (cp & 0x3F));
		return 4;
	}
	ret[0] = (uint8_t)(0xE0 | cp >> 12);
	ret[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3F));
	ret[2] = (uint8_t)(0x80 | (cp & 0x3F));
	return 3;
}

static size_t random_bytes(struct test_random *r, char ret[255])
{
	/* Mostly short, so that the fragments meet often; a cut fragment at the end is welcome. */
	size_t n = 1 + test_random_below(r, test_random_below(r, 16) ? 24 : 255);
	uint8_t fragment[4];

	for (size_t k = 0; k < n;) {
		size_t size = random_fragment(r, fragment);

		size = size < n - k ? size : n - k;
		memcpy(ret + k, fragment, size);
		k += size;
	}
	return n;
}

static const struct {
	const char *name;
	int result;
} windows_rows[] = {
	{ "plain", 0 },
	{ "a b", 0 },
	{ ".hidden", 0 },
	{ "\xC3\xA9", 0 },
	{ "\xFF", 0 },
	{ "conx", 0 },
	{ "xcon", 0 },
	{ "com0", 0 },
	{ "com10", 0 },
	{ "com", 0 },
	{ "lpt", 0 },
	{ "com\xC2\xB4", 0 },
	{ "a.con", 0 },
	{ "null", 0 },
	{ "com1x.txt", 0 },
	{ "a\x7F", 0 },
	{ "", -EINVAL },
	{ "a.", -EINVAL },
	{ "a ", -EINVAL },
	{ "a\"", -EINVAL },
	{ "a*b", -EINVAL },
	{ "a:b", -EINVAL },
	{ "<", -EINVAL },
	{ "a>", -EINVAL },
	{ "?", -EINVAL },
	{ "a\\b", -EINVAL },
	{ "a|b", -EINVAL },
	{ "\x01", -EINVAL },
	{ "a\x1F", -EINVAL },
	{ "a/b", -EINVAL },
	{ "con", -EINVAL },
	{ "CON", -EINVAL },
	{ "nul.txt", -EINVAL },
	{ "NuL .x.y", -EINVAL },
	{ "aux", -EINVAL },
	{ "prn.", -EINVAL },
	{ "com1", -EINVAL },
	{ "COM9.c", -EINVAL },
	{ "lpt5", -EINVAL },
	{ "com\xC2\xB9", -EINVAL },
	{ "LPT\xC2\xB2.x", -EINVAL },
	{ "lpt\xC2\xB3", -EINVAL },
};

START_TEST(valid_windows_says)
{
	const char *name = windows_rows[_i].name;

	ck_assert_int_eq(cim_name_valid_windows(name, strlen(name)), windows_rows[_i].result);
}
END_TEST

START_TEST(any_bytes_come_back_in_no_more_units)
{
	struct test_random r = { test_seed(0x6E616D65) };

	printf("# any_bytes_come_back: seed %#llx\n", (unsigned long long)r.state);
	for (size_t i = 0; i < N_RANDOM_BYTES; i++) {
		char bytes[255], back[3 * 255];
		uint16_t units[255];
		size_t n = random_bytes(&r, bytes), n_units = cim_name_encode(bytes, n, units);

		ck_assert_msg(n_units <= n, "name %zu: %zu units of %zu bytes", i, n_units, n);
		ck_assert_msg(cim_name_decode(units, n_units, back) == n && !memcmp(back, bytes, n),
			      "name %zu did not come back", i);
	}
}
END_TEST

START_TEST(different_bytes_have_different_units)
{
	/* All strings of up to three of these: the ones that could be taken for each other. */
	static const char *const parts[] = { "",
					     ":",
					     "\xEF\x80\xBA",
					     "\xEF",
					     "\x80",
					     "\xBA",
					     "\xED\xA0\x80",
					     "\xED\xB0\x80",
					     "\xF0\x90\x80\x80",
					     "\xEF\x83\xAD" };
	enum { N = N_ROWS(parts), ALL = N * N * N };
	static char bytes[ALL][16];
	static uint16_t units[ALL][16];
	static size_t n_units[ALL];

	for (size_t i = 0; i < ALL; i++) {
		snprintf(bytes[i], sizeof(bytes[i]), "%s%s%s", parts[i % N], parts[i / N % N],
			 parts[i / N / N]);
		n_units[i] = cim_name_encode(bytes[i], strlen(bytes[i]), units[i]);
		for (size_t j = 0; j < i; j++) {
			bool same = n_units[i] == n_units[j] &&
				    !memcmp(units[i], units[j], n_units[i] * 2);

			ck_assert_msg(same == !strcmp(bytes[i], bytes[j]), "%zu and %zu", i, j);
		}
	}
}
END_TEST

static size_t random_stored(struct test_random *r, uint16_t ret[UNITS_MAX])
{
	size_t n = 1 + test_random_below(r, UNITS_MAX);

	for (size_t i = 0; i < n; i++) {
		static const uint16_t bases[] = { 0x0000, 0xF000, 0xF000, 0xD800, 0xDC00, 0x4E00 };
		uint16_t base = bases[test_random_below(r, N_ROWS(bases))];

		ret[i] = (uint16_t)(base + test_random_below(r, 256));
	}
	return n;
}

START_TEST(any_shown_name_is_found_again)
{
	struct test_random r = { test_seed(0x73686F77) };
	size_t n_shown = 0, n_plain = 0;

	printf("# any_shown_name_is_found_again: seed %#llx\n", (unsigned long long)r.state);
	for (size_t i = 0; i < N_RANDOM_STORED; i++) {
		uint16_t units[UNITS_MAX], found[CIM_NAME_BYTES];
		char shown[CIM_NAME_BYTES + 1];
		size_t n = random_stored(&r, units);
		int size = cim_name_shown(units, n, shown);

		if (size < 0)
			continue;
		n_shown++;
		ck_assert_uint_eq(strlen(shown), size);
		ck_assert_ptr_null(strchr(shown, '/'));
		if (cim_name_encode(shown, size, found) == n && !memcmp(found, units, n * 2))
			continue;
		n_plain++;
		ck_assert_int_eq(cim_name_plain_encode(shown, size, found), n);
		ck_assert_mem_eq(found, units, n * 2);
	}
	/* Both ways of being found were met, else the test tests nothing. */
	ck_assert_uint_gt(n_plain, N_RANDOM_STORED / 100);
	ck_assert_uint_gt(n_shown - n_plain, N_RANDOM_STORED / 100);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("name");
	TCase *rows = tcase_create("rows"), *random = tcase_create("random");

	tcase_add_loop_test(rows, encode_gives_the_units, 0, N_ROWS(encoded_rows));
	tcase_add_loop_test(rows, decode_and_shown_give_the_bytes, 0, N_ROWS(encoded_rows));
	tcase_add_loop_test(rows, shown_is_plain_for_a_name_that_encode_never_writes, 0,
			    N_ROWS(plain_rows));
	tcase_add_loop_test(rows, plain_encode_refuses_what_plain_never_gives, 0,
			    N_ROWS(not_plain_rows));
	tcase_add_loop_test(rows, shown_refuses, 0, N_ROWS(refused_rows));
	tcase_add_test(rows, shown_takes_dots_that_are_names);
	tcase_add_test(rows, shown_takes_255_units_and_no_more);
	tcase_add_loop_test(rows, valid_linux_says, 0, N_ROWS(linux_rows));
	tcase_add_loop_test(rows, valid_windows_says, 0, N_ROWS(windows_rows));
	tcase_add_test(random, any_bytes_come_back_in_no_more_units);
	tcase_add_test(random, different_bytes_have_different_units);
	tcase_add_test(random, any_shown_name_is_found_again);
	tcase_set_timeout(random, 60); /* sanitizers and slow machines */
	suite_add_tcase(s, rows);
	suite_add_tcase(s, random);
	return s;
}

int main(void)
{
	return test_run(suite());
}
