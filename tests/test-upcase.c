/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Upcase tables: the one of Windows is the published one, bit for bit, and names compare
 * and hash through a table as the format sorts them.
 */
#include "config.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "support.h"
#include "upcase.h"

#define N_ROWS(table)  (sizeof(table) / sizeof((table)[0]))
#define N_RANDOM_NAMES 100000
#define UNITS_MAX      12

static const struct cim_upcase identity = { NULL };

static struct cim_upcase windows(void)
{
	return (struct cim_upcase){ cim_upcase_windows() };
}

START_TEST(windows_table_has_the_published_digest)
{
	static const char expect[] =
		"41c26bc7a12bdaeb26025c93118697c7e3ef81ee048b00fe5cce2a472e0e0742";
	unsigned char digest[EVP_MAX_MD_SIZE];
	char text[2 * EVP_MAX_MD_SIZE + 1];
	unsigned int size;

	ck_assert_int_eq(EVP_Digest(cim_upcase_windows(), CIM_UPCASE_SIZE, digest, &size,
				    EVP_sha256(), NULL),
			 1);
	for (unsigned int i = 0; i < size; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	ck_assert_str_eq(text, expect);
}
END_TEST

START_TEST(windows_table_changes_973_units_and_is_idempotent)
{
	struct cim_upcase up = windows();
	size_t n_changed = 0;

	for (uint32_t unit = 0; unit < CIM_UPCASE_UNITS; unit++) {
		uint16_t upper = cim_upcase_unit(&up, (uint16_t)unit);

		n_changed += upper != unit;
		ck_assert_uint_eq(cim_upcase_unit(&up, upper), upper);
	}
	ck_assert_uint_eq(n_changed, 973);
}
END_TEST

static void *windows_from_thread(void *unused)
{
	return (void *)(uintptr_t)cim_upcase_windows();
}

START_TEST(windows_table_is_one_for_all_threads)
{
	pthread_t threads[8];
	void *seen;

	for (size_t i = 0; i < N_ROWS(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, windows_from_thread, NULL), 0);
	for (size_t i = 0; i < N_ROWS(threads); i++) {
		ck_assert_int_eq(pthread_join(threads[i], &seen), 0);
		ck_assert_ptr_eq(seen, cim_upcase_windows());
	}
}
END_TEST

static const struct {
	uint16_t unit, upper;
} entry_rows[] = {
	{ 'a', 'A' },       { 'z', 'Z' },       { 'A', 'A' },       { '`', '`' },
	{ '{', '{' },       { 0x00B5, 0x00B5 }, { 0x00DF, 0x00DF }, { 0x00E0, 0x00C0 },
	{ 0x00F7, 0x00F7 }, { 0x00FF, 0x0178 }, { 0x0131, 0x0131 }, { 0x0149, 0x0149 },
	{ 0x017F, 0x017F }, { 0x01C5, 0x01C5 }, { 0x01C6, 0x01C4 }, { 0x023F, 0x023F },
	{ 0x03C2, 0x03C2 }, { 0x03C3, 0x03A3 }, { 0x044F, 0x042F }, { 0x0523, 0x0522 },
	{ 0x0525, 0x0525 }, { 0x10D0, 0x10D0 }, { 0x1D7D, 0x2C63 }, { 0x1F80, 0x1F88 },
	{ 0x1FB3, 0x1FBC }, { 0x1FBE, 0x1FBE }, { 0x24D0, 0x24B6 }, { 0xA78C, 0xA78B },
	{ 0xAB70, 0xAB70 }, { 0xD801, 0xD801 }, { 0xDC28, 0xDC28 }, { 0xF022, 0xF022 },
	{ 0xFB00, 0xFB00 }, { 0xFF41, 0xFF21 }, { 0xFFFF, 0xFFFF },
};

START_TEST(windows_table_maps)
{
	struct cim_upcase up = windows();

	ck_assert_uint_eq(cim_upcase_unit(&up, entry_rows[_i].unit), entry_rows[_i].upper);
	ck_assert_uint_eq(cim_upcase_unit(&identity, entry_rows[_i].unit), entry_rows[_i].unit);
}
END_TEST

START_TEST(identity_is_told_from_any_other_table)
{
	static const uint32_t changed[] = { 0, 1, 2, 3, 4, 'a', 0x7FFF, 0xFFFC, 0xFFFF };
	uint8_t *room = malloc(CIM_UPCASE_SIZE + 1),
		*disk = room + 1; /* unaligned, as in an image */

	cim_upcase_identity_write(disk);
	ck_assert(cim_upcase_is_identity(disk));
	ck_assert(!cim_upcase_is_identity(cim_upcase_windows()));
	for (size_t i = 0; i < N_ROWS(changed); i++) {
		for (size_t byte = 2 * changed[i]; byte < 2 * changed[i] + 2; byte++) {
			disk[byte] ^= 0x10;
			ck_assert(!cim_upcase_is_identity(disk));
			disk[byte] ^= 0x10;
		}
	}
	ck_assert(cim_upcase_is_identity(disk));
	free(room);
}
END_TEST

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static size_t widen(const char *text, uint16_t ret[UNITS_MAX])
{
	size_t n = strlen(text);

	ck_assert_uint_le(n, UNITS_MAX);
	for (size_t i = 0; i < n; i++)
		ret[i] = (uint8_t)text[i]; /* Latin-1 is the first 256 units */
	return n;
}

static const struct {
	const char *a, *b;
	int by_identity, by_windows;
} compare_rows[] = {
	{ "", "", 0, 0 },
	{ "", "a", -1, -1 },
	{ "abc", "abc", 0, 0 },
	{ "abc", "ABC", 1, 0 },
	{ "makefile", "Makefile", 1, 0 },
	{ "abc", "abcd", -1, -1 },
	{ "abC", "ABcD", 1, -1 },
	{ "abd", "abcd", 1, 1 },
	{ "a", "B", 1, -1 },
	{ "_", "a", -1, 1 }, /* between the capitals and the small letters */
	{ "\xE9", "\xC9", 1, 0 },
	{ "\xFF", "\xFE", 1, 1 }, /* U+0178 and U+00DE */
	{ "\xDF", "\xE0", -1, 1 },
	{ "a b", "a.b", -1, -1 },
};

START_TEST(compare_orders)
{
	struct cim_upcase up = windows();
	uint16_t a[UNITS_MAX], b[UNITS_MAX];
	size_t na = widen(compare_rows[_i].a, a), nb = widen(compare_rows[_i].b, b);
	int by_identity = compare_rows[_i].by_identity, by_windows = compare_rows[_i].by_windows;

	ck_assert_int_eq(sign(cim_upcase_compare(&identity, a, na, b, nb)), by_identity);
	ck_assert_int_eq(sign(cim_upcase_compare(&identity, b, nb, a, na)), -by_identity);
	ck_assert_int_eq(sign(cim_upcase_compare(&up, a, na, b, nb)), by_windows);
	ck_assert_int_eq(sign(cim_upcase_compare(&up, b, nb, a, na)), -by_windows);
}
END_TEST

START_TEST(compare_is_numeric_above_the_surrogates)
{
	static const uint16_t pair[] = { 0xD83D, 0xDE00 }, wide[] = { 0xFF21 };

	ck_assert_int_lt(cim_upcase_compare(&identity, pair, 2, wide, 1), 0);
}
END_TEST

static size_t random_name(struct test_random *r, uint16_t ret[UNITS_MAX])
{
	static const uint16_t units[] = { 'a', 'A', 'b', 'B', 0, 0xE9, 0xC9, 0x3C3, 0xF03A };
	size_t n = test_random_below(r, UNITS_MAX + 1);

	for (size_t i = 0; i < n; i++)
		ret[i] = units[test_random_below(r, N_ROWS(units))];
	return n;
}

START_TEST(equal_names_have_equal_hashes)
{
	struct test_random r = { test_seed(0x68617368) };
	struct cim_upcase tables[] = { identity, windows() };
	size_t n_same_hash = 0;

	printf("# equal_names_have_equal_hashes: seed %#llx\n", (unsigned long long)r.state);
	for (size_t i = 0; i < N_RANDOM_NAMES; i++) {
		const struct cim_upcase *up = &tables[i % 2];
		uint16_t a[UNITS_MAX], b[UNITS_MAX];
		size_t na = random_name(&r, a), nb = random_name(&r, b);
		bool same_hash = cim_upcase_hash(up, a, na) == cim_upcase_hash(up, b, nb);

		if (cim_upcase_compare(up, a, na, b, nb) == 0)
			ck_assert(same_hash);
		else
			n_same_hash += same_hash;

		for (size_t k = 0; k < na; k++)
			b[k] = cim_upcase_unit(up, a[k]);
		ck_assert_int_eq(cim_upcase_compare(up, a, na, b, na), 0);
		ck_assert_uint_eq(cim_upcase_hash(up, a, na), cim_upcase_hash(up, b, na));
	}
	/* Of 32 bits, chance makes hardly one pair of these the same. */
	ck_assert_uint_le(n_same_hash, 2);
}
END_TEST

START_TEST(hash_spreads_numbered_names)
{
	enum { BUCKETS = 4096, PER_BUCKET = 16 };
	static unsigned int n_in[BUCKETS];
	struct cim_upcase tables[] = { identity, windows() };

	memset(n_in, 0, sizeof(n_in));
	for (unsigned int i = 0; i < BUCKETS * PER_BUCKET; i++) {
		uint16_t units[UNITS_MAX];
		char text[UNITS_MAX + 1];

		snprintf(text, sizeof(text), "f%07u.c", i);
		n_in[cim_upcase_hash(&tables[_i], units, widen(text, units)) % BUCKETS]++;
	}
	/* Random hashing stays under 45 in the fullest bucket, but for one run in many thousands.
	 */
	for (size_t i = 0; i < BUCKETS; i++)
		ck_assert_uint_lt(n_in[i], 45);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("upcase");
	TCase *table = tcase_create("table"), *names = tcase_create("names");

	tcase_add_test(table, windows_table_has_the_published_digest);
	tcase_add_test(table, windows_table_changes_973_units_and_is_idempotent);
	tcase_add_test(table, windows_table_is_one_for_all_threads);
	tcase_add_loop_test(table, windows_table_maps, 0, N_ROWS(entry_rows));
	tcase_add_test(table, identity_is_told_from_any_other_table);
	tcase_add_loop_test(names, compare_orders, 0, N_ROWS(compare_rows));
	tcase_add_test(names, compare_is_numeric_above_the_surrogates);
	tcase_add_test(names, equal_names_have_equal_hashes);
	tcase_add_loop_test(names, hash_spreads_numbered_names, 0, 2);
	tcase_set_timeout(names, 60); /* sanitizers and slow machines */
	suite_add_tcase(s, table);
	suite_add_tcase(s, names);
	return s;
}

int main(void)
{
	return test_run(suite());
}
