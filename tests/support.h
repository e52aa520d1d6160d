/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the unit tests share.  Each program is one suite; it prints TAP, one line a check,
 * so that `make check` counts checks and not programs.
 */
#ifndef CIM_TESTS_SUPPORT_H
#define CIM_TESTS_SUPPORT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Each function of a header is used by some tests and not by others. */
#define TEST_HELPER static inline __attribute__((unused))

/* Built with a sanitizer that has most of the address space for itself. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TEST_SANITIZED 1
#endif
#endif

#ifndef CIM_TESTS_WITHOUT_CHECK
#include <check.h>

/** test_run - run a suite, TAP on standard output; returns the exit status of main() */
static inline int test_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);

	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/** exact_copy - bytes in a heap block of exactly their size, so that a sanitizer sees a read past
 * their end; free() */
TEST_HELPER void *exact_copy(const void *bytes, size_t size)
{
	void *copy = malloc(size ? size : 1);

	ck_assert_ptr_nonnull(copy);
	if (size)
		memcpy(copy, bytes, size);
	return copy;
}
#endif

/*
 * A small generator, so that a printed seed gives the same test on every machine
 * (splitmix64: public domain, Vigna 2015).
 */
struct test_random {
	uint64_t state;
};

static inline uint64_t test_random_next(struct test_random *r)
{
	uint64_t z = (r->state += 0x9E3779B97F4A7C15u);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

/** test_random_below - 0..n-1, n > 0 */
static inline uint64_t test_random_below(struct test_random *r, uint64_t n)
{
	return test_random_next(r) % n;
}

/** test_seed - the seed of this run: CIMFS_SEED, else @otherwise; print it in the test's name or
 * output */
static inline uint64_t test_seed(uint64_t otherwise)
{
	const char *s = getenv("CIMFS_SEED");

	return s ? strtoull(s, NULL, 0) : otherwise;
}

/** test_rounds - how often something is tried: @usual, or @longer in make check-long, by CIMFS_LONG
 */
static inline int test_rounds(int usual, int longer)
{
	const char *s = getenv("CIMFS_LONG");

	return s && *s && *s != '0' ? longer : usual;
}

#endif
