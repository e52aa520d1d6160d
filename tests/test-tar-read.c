/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tool's reader of tars and its parts: what values are taken, random archives there and back,
 * every cut of an archive.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "acl.h"
#include "error.h"
#include "support.h"
#include "tar-acl.h"
#include "tar-write.h"

/* ---- values ---- */

static const struct {
	const char *text;
	bool valid;
	int64_t sec;
	long nsec;
	const char *back; /* as it is written; NULL: the same */
} times[] = {
	{ "0", true, 0, 0, NULL },
	{ "1700000000", true, 1700000000, 0, NULL },
	{ "1.5", true, 1, 500000000, NULL },
	{ "1.", true, 1, 0, "1" },
	{ "1.000000001", true, 1, 1, NULL },
	{ "1.0000000019", true, 1, 1, "1.000000001" },
	{ "1.123456789123456789", true, 1, 123456789, "1.123456789" },
	{ "-1", true, -1, 0, NULL },
	{ "-0.25", true, -1, 750000000, NULL },
	{ "-1.25", true, -2, 750000000, NULL },
	{ "-1.0000000001", true, -2, 999999999, "-1.000000001" },
	{ "-0", true, 0, 0, "0" },
	{ "007", true, 7, 0, "7" },
	{ "", false, 0, 0, NULL },
	{ "-", false, 0, 0, NULL },
	{ ".5", false, 0, 0, NULL },
	{ "+1", false, 0, 0, NULL },
	{ " 1", false, 0, 0, NULL },
	{ "1 ", false, 0, 0, NULL },
	{ "1e3", false, 0, 0, NULL },
	{ "1.2.3", false, 0, 0, NULL },
	{ "--1", false, 0, 0, NULL },
	{ "0x10", false, 0, 0, NULL },
	{ "9223372036854775808", false, 0, 0, NULL },
	{ "99999999999999999999999999", false, 0, 0, NULL },
};

START_TEST(times_are_read_and_written)
{
	struct timespec ts;
	char text[PAX_TIME];
	bool valid = pax_time(times[_i].text, strlen(times[_i].text), &ts);

	ck_assert_msg(valid == times[_i].valid, "\"%s\"", times[_i].text);
	if (!valid)
		return;
	ck_assert_int_eq(ts.tv_sec, times[_i].sec);
	ck_assert_int_eq(ts.tv_nsec, times[_i].nsec);
	pax_put_time(ts, text);
	ck_assert_str_eq(text, times[_i].back ? times[_i].back : times[_i].text);
}
END_TEST

static const struct {
	const char *text;
	bool valid;
	uint64_t n; /* at most 4294967295 */
} numbers[] = {
	{ "0", true, 0 },
	{ "4294967295", true, 4294967295 },
	{ "0000000000000000000000001", true, 1 },
	{ "4294967296", false, 0 },
	{ "18446744073709551616", false, 0 },
	{ "-1", false, 0 },
	{ "+1", false, 0 },
	{ "", false, 0 },
	{ " 1", false, 0 },
	{ "1\n", false, 0 },
	{ "0x1", false, 0 },
};

START_TEST(numbers_are_strict)
{
	uint64_t n = 0;

	ck_assert_int_eq(pax_number(numbers[_i].text, strlen(numbers[_i].text), UINT32_MAX, &n),
			 numbers[_i].valid);
	ck_assert_uint_eq(n, numbers[_i].n);
}
END_TEST

static const struct {
	const char *text, *bytes; /* NULL: refused */
} base64s[] = {
	{ "", "" },        { "QQ==", "A" },    { "QUI=", "AB" }, { "QUJD", "ABC" },
	{ "+/+/", NULL },  { "QQ", NULL },     { "QQ=", NULL },  { "QR==", NULL },
	{ "QUJ=", NULL },  { "====", NULL },   { "Q===", NULL }, { "QQ==QQ==", NULL },
	{ "QU JD", NULL }, { "QUJD\n", NULL }, { "QUJ-", NULL }, { "Q\nI=", NULL },
};

START_TEST(base64_is_strict)
{
	const char *text = base64s[_i].text, *want = base64s[_i].bytes;
	uint8_t bytes[16];
	size_t n;
	bool valid = pax_base64(text, strlen(text), bytes, &n);

	if (strcmp(text, "+/+/") == 0)
		want = "\xfb\xff\xbf";
	ck_assert_msg(valid == (want != NULL), "\"%s\"", text);
	if (valid) {
		ck_assert_uint_eq(n, strlen(want));
		ck_assert_mem_eq(bytes, want, n);
	}
}
END_TEST

static const struct {
	const char *field; /* 8 bytes */
	bool valid;
	int64_t n;
} fields[] = {
	{ "0000644\0", true, 0644 },
	{ "   644 \0", true, 0644 },
	{ "\0\0\0\0\0\0\0\0", true, 0 },
	{ "        ", true, 0 },
	{ "77777777", true, 077777777 },
	{ "\x80\0\0\0\0\0\1\2", true, 0x102 },
	{ "\x80\x7f\xff\xff\xff\xff\xff\xff", true, 0x7fffffffffffff },
	{ "\xff\xff\xff\xff\xff\xff\xff\xfe", true, -2 },
	{ "0000648\0", false, 0 },
	{ "06 44\0\0\0", false, 0 },
	{ "-000644\0", false, 0 },
	{ "64\0"
	  "4\0\0\0\0",
	  false, 0 },
};

START_TEST(fields_are_read)
{
	int64_t n = 0;

	ck_assert_int_eq(tar_number(fields[_i].field, 8, &n), fields[_i].valid);
	if (fields[_i].valid)
		ck_assert_int_eq(n, fields[_i].n);
}
END_TEST

START_TEST(binary_fields_do_not_overflow)
{
	static const char too_large[12] = "\x80\0\0\1\0\0\0\0\0\0\0\0";
	static const char too_small[12] = "\xff\xff\xff\0\0\0\0\0\0\0\0\0";
	static const char largest[12] = "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff";
	static const char smallest[12] = "\xff\xff\xff\xff\x80\0\0\0\0\0\0\0";
	int64_t n;

	ck_assert(!tar_number(too_large, 12, &n));
	ck_assert(!tar_number(too_small, 12, &n));
	ck_assert(tar_number(largest, 12, &n));
	ck_assert(n == INT64_MAX);
	ck_assert(tar_number(smallest, 12, &n));
	ck_assert(n == INT64_MIN);
}
END_TEST

static const struct {
	const char *text, *back; /* NULL: refused */
} acls[] = {
	{ "user::rwx,group::r-x,other::r--", "user::rwx,group::r-x,other::r--" },
	{ "user::rwx\ngroup::r-x\nother::r--\n", "user::rwx,group::r-x,other::r--" },
	{ "u::rwx,g::r-x,o::r--", "user::rwx,group::r-x,other::r--" },
	{ "user::rwx,group::r-x,other:r--", "user::rwx,group::r-x,other::r--" },
	{ "other::---,mask::rw-,group:5:r--,group::r-x,user:7:rwx,user:3:--x,user::rwx",
	  "user::rwx,user:3:--x,user:7:rwx,group::r-x,group:5:r--,mask::rw-,other::---" },
	{ "user::rwx,user:nobody-of-that-name:rwx:77,group::r-x,mask::rwx,other::r--",
	  "user::rwx,user:77:rwx,group::r-x,mask::rwx,other::r--" },
	{ "user::rwx,user:7:rwx\t#effective:r-x,group::r-x,mask::r-x,other::r--",
	  "user::rwx,user:7:rwx,group::r-x,mask::r-x,other::r--" },
	{ "", NULL },
	{ "user::rwx", NULL },
	{ "user::rwx,user:7:rwx,group::r-x,other::r--", NULL }, /* no mask */
	{ "user::rwx,group::r-x,other::r--,other::r--", NULL },
	{ "user::rw,group::r-x,other::r--", NULL },
	{ "user::rwxs,group::r-x,other::r--", NULL },
	{ "user:no-such-user-here:rwx,user::rwx,group::r-x,mask::rwx,other::r--", NULL },
	{ "user:7:rwx:x,user::rwx,group::r-x,mask::rwx,other::r--", NULL },
	{ "user:4294967295:rwx,user::rwx,group::r-x,mask::rwx,other::r--", NULL },
	{ "nobody::rwx,group::r-x,other::r--", NULL },
	{ "::::", NULL },
};

START_TEST(acls_are_read_and_written)
{
	g_autoptr(GByteArray) blob = NULL;
	g_autoptr(GString) back = g_string_new(NULL);
	int r = tar_acl_parse(acls[_i].text, strlen(acls[_i].text), &blob);

	ck_assert_msg((r == 0) == (acls[_i].back != NULL), "\"%s\": %d", acls[_i].text, r);
	if (r < 0) {
		ck_assert_int_eq(r, -EINVAL);
		return;
	}
	ck_assert_int_eq(cim_acl_check(blob->data, blob->len), 0);
	tar_acl_format(blob->data, blob->len, back);
	ck_assert_str_eq(back->str, acls[_i].back);
}
END_TEST

/* ---- archives ---- */

static bool never(void *arg)
{
	return false;
}

static struct tar_reader *reader_of(int fd, struct input **ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_assert_int_eq(input_open(path, never, NULL, ret), 0);
	return tar_reader_new(*ret);
}

static char *random_name(struct test_random *rnd, size_t max)
{
	size_t n = 1 + test_random_below(rnd, max);
	char *name = g_malloc(n + 1);

	for (size_t i = 0; i < n; i++) {
		name[i] = (char)(1 + test_random_below(rnd, 255));
		/* Slashes now and then, not at the ends and not doubled. */
		if (i > 0 && i + 1 < n && test_random_below(rnd, 20) == 0)
			name[i] = '/';
		while ((name[i] == '/' && (i == 0 || i + 1 == n || name[i - 1] == '/')) ||
		       name[i] == '\0')
			name[i] = 'x';
	}
	name[n] = '\0';
	return name;
}

static struct timespec random_time(struct test_random *rnd)
{
	return (struct timespec){
		.tv_sec = (time_t)test_random_below(rnd, 1ull << 36) - (1ll << 34),
		.tv_nsec = test_random_below(rnd, 2) ? (long)test_random_below(rnd, 1000000000) : 0,
	};
}

static GArray *random_extents(struct test_random *rnd, uint64_t *ret_size)
{
	GArray *extents = g_array_new(FALSE, FALSE, sizeof(struct tar_extent));
	uint64_t off = 0;

	for (uint64_t i = test_random_below(rnd, 50); i > 0; i--) {
		struct tar_extent x = { off + test_random_below(rnd, 5000),
					1 + test_random_below(rnd, 2000) };

		g_array_append_val(extents, x);
		off = x.off + x.size;
	}
	*ret_size = off + 1 + test_random_below(rnd, 5000);
	return extents;
}

static uint64_t data_size(const struct tar_entry *e)
{
	uint64_t sum = 0;

	if (!e->extents)
		return e->type == TAR_FILE ? e->size : 0;
	for (guint i = 0; i < e->extents->len; i++)
		sum += g_array_index(e->extents, struct tar_extent, i).size;
	return sum;
}

/* Of seed and number, so that writer and reader agree on it. */
static void random_entry(uint64_t seed, int number, struct tar_entry *ret)
{
	static const char types[] = { '0', '0', '0', '1', '2', '3', '4', '5', '6' };
	struct test_random rnd = { seed + (uint64_t)number * 1000003 };

	*ret = (struct tar_entry){
		.type = types[test_random_below(&rnd, sizeof(types))],
		.name = random_name(&rnd, test_random_below(&rnd, 8) ? 120 : 3000),
		.mode = (uint32_t)test_random_below(&rnd, 010000),
		.uid = (uint32_t)test_random_below(&rnd, test_random_below(&rnd, 2) ? 9999 : ~0u),
		.gid = (uint32_t)test_random_below(&rnd, test_random_below(&rnd, 2) ? 9999 : ~0u),
		.major = (uint32_t)test_random_below(&rnd, ~0u),
		.minor = (uint32_t)test_random_below(&rnd, 300),
		.mtime = random_time(&rnd),
		.has_mtime = true,
		.has_atime = test_random_below(&rnd, 2),
		.has_btime = test_random_below(&rnd, 2),
		.size = test_random_below(&rnd, 3000),
	};
	ret->atime = random_time(&rnd);
	ret->btime = random_time(&rnd);
	if (ret->type == TAR_LINK || ret->type == TAR_SYMLINK)
		ret->link = random_name(&rnd, test_random_below(&rnd, 4) ? 100 : 3000);
	if (ret->type == TAR_FILE && test_random_below(&rnd, 4) == 0)
		ret->extents = random_extents(&rnd, &ret->size);
}

static void entry_clear(struct tar_entry *e)
{
	g_free((char *)(uintptr_t)e->name);
	g_free((char *)(uintptr_t)e->link);
	if (e->extents)
		g_array_free((GArray *)(uintptr_t)e->extents, TRUE);
}

static void write_entry(struct tar_writer *out, const struct tar_entry *e)
{
	g_autoptr(GString) records = g_string_new(NULL);

	pax_add(records, "TEST.record", "a\0b\nc=d", 7);
	ck_assert_int_eq(tar_write_entry(out, e, records), 0);
	/* An assertion costs Check a write(2): one for all. */
	int r = 0;
	for (uint64_t i = 0, n = data_size(e); r == 0 && i < n; i++) {
		char byte = (char)i;

		r = tar_write_data(out, &byte, 1);
	}
	ck_assert_int_eq(r, 0);
}

static void check_time(bool has, const struct timespec *got, const struct timespec *want)
{
	if (has) {
		ck_assert_int_eq(got->tv_sec, want->tv_sec);
		ck_assert_int_eq(got->tv_nsec, want->tv_nsec);
	}
}

static void check_data(struct tar_reader *in, const struct tar_entry *want)
{
	uint64_t done = 0, off;
	uint8_t buf[97];
	guint extent = 0;
	ssize_t n;

	while ((n = tar_reader_data(in, buf, sizeof(buf), &off)) > 0) {
		ssize_t same = 0;
		while (same < n && buf[same] == (uint8_t)(done + (uint64_t)same))
			same++;
		ck_assert_int_eq(same, n);
		if (want->extents) {
			const struct tar_extent *x;

			do
				x = &g_array_index(want->extents, struct tar_extent, extent);
			while (off >= x->off + x->size && ++extent);
			ck_assert(off >= x->off);
		} else {
			ck_assert_uint_eq(off, done);
		}
		done += (uint64_t)n;
	}
	ck_assert_int_eq(n, 0);
	ck_assert_uint_eq(done, data_size(want));
}

static void check_entry(const struct tar_entry *got, const struct tar_entry *want)
{
	const struct pax_record *record = tar_entry_find(got, "TEST.record");
	size_t n = strlen(want->name);

	ck_assert_ptr_null(got->refused);
	ck_assert_int_eq(got->type, want->type);
	ck_assert_int_eq(strncmp(got->name, want->name, n), 0);
	ck_assert_str_eq(got->name + n, want->type == TAR_DIRECTORY ? "/" : "");
	if (want->link)
		ck_assert_str_eq(got->link, want->link);
	ck_assert_uint_eq(got->mode, want->mode);
	ck_assert_uint_eq(got->uid, want->uid);
	ck_assert_uint_eq(got->gid, want->gid);
	if (want->type == TAR_CHAR) {
		ck_assert_uint_eq(got->major, want->major);
		ck_assert_uint_eq(got->minor, want->minor);
	}
	check_time(true, &got->mtime, &want->mtime);
	ck_assert_int_eq(got->has_atime, want->has_atime);
	ck_assert_int_eq(got->has_btime, want->has_btime);
	check_time(want->has_atime, &got->atime, &want->atime);
	check_time(want->has_btime, &got->btime, &want->btime);
	if (want->type == TAR_FILE)
		ck_assert_uint_eq(got->size, want->size);
	ck_assert_ptr_nonnull(record);
	ck_assert_uint_eq(record->value_size, 7);
	ck_assert_mem_eq(record->value, "a\0b\nc=d", 7);
}

static int write_archive(uint64_t seed, int n)
{
	int fd = memfd_create("tar", MFD_CLOEXEC);
	struct tar_writer *out = tar_writer_new(fd);

	for (int i = 0; i < n; i++) {
		struct tar_entry e;

		random_entry(seed, i, &e);
		write_entry(out, &e);
		entry_clear(&e);
	}
	ck_assert_int_eq(tar_write_end(out), 0);
	tar_writer_free(out);
	return fd;
}

START_TEST(random_archives_come_back)
{
	uint64_t seed = test_seed(20231114);
	int n = test_rounds(2000, 100000);
	const struct tar_entry *got;
	struct input *input;

	printf("# CIMFS_SEED=%" G_GUINT64_FORMAT "\n", seed);
	int fd = write_archive(seed, n);
	struct tar_reader *in = reader_of(fd, &input);
	for (int i = 0; i < n; i++) {
		struct tar_entry want;

		random_entry(seed, i, &want);
		ck_assert_int_eq(tar_reader_next(in, &got), 1);
		check_entry(got, &want);
		/* Data that nobody reads is passed over. */
		if (i % 3)
			check_data(in, &want);
		entry_clear(&want);
	}
	ck_assert_int_eq(tar_reader_next(in, &got), 0);
	ck_assert_int_eq(tar_reader_next(in, &got), 0);
	tar_reader_free(in);
	input_close(input);
	close(fd);
}
END_TEST

/* All entries and their data; 0, or the error. */
static int read_all(int fd)
{
	const struct tar_entry *e;
	struct input *input;
	uint8_t buf[4096];
	uint64_t off;
	char path[64];
	ssize_t n = 0;
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = input_open(path, never, NULL, &input);
	if (r < 0)
		return r;
	struct tar_reader *in = tar_reader_new(input);
	while ((r = tar_reader_next(in, &e)) == 1)
		while (!e->refused && (n = tar_reader_data(in, buf, sizeof(buf), &off)) > 0)
			;
	tar_reader_free(in);
	input_close(input);
	return r < 0 ? r : n < 0 ? (int)n : 0;
}

START_TEST(every_cut_is_an_error)
{
	int fd = write_archive(test_seed(7), 12);
	off_t size = lseek(fd, 0, SEEK_END);

	ck_assert_int_eq(read_all(fd), 0);
	/* The last record is padding, and one block of the two at the end is enough. */
	for (off_t cut = size; cut > 0;) {
		uint8_t block[TAR_BLOCK];

		cut -= TAR_BLOCK;
		ck_assert_int_eq(pread(fd, block, sizeof(block), cut), TAR_BLOCK);
		if (!tar_is_zero(block)) {
			size = cut + TAR_BLOCK;
			break;
		}
	}
	for (off_t cut = size; cut >= 0; cut -= cut > size - 2000 || cut < 2000 ? 1 : 61) {
		ck_assert_int_eq(ftruncate(fd, cut), 0);
		ck_assert_msg(read_all(fd) == -EBADMSG, "cut off at %ld", (long)cut);
	}
	close(fd);
}
END_TEST

START_TEST(damage_is_an_error_or_a_refusal)
{
	uint64_t seed = test_seed(99);
	struct test_random rnd = { seed };
	int fd = write_archive(seed, 12);
	off_t size = lseek(fd, 0, SEEK_END);

	for (int i = test_rounds(3000, 300000); i > 0; i--) {
		off_t at = (off_t)test_random_below(&rnd, (uint64_t)size);
		uint8_t was, now = (uint8_t)test_random_next(&rnd);

		ck_assert_int_eq(pread(fd, &was, 1, at), 1);
		ck_assert_int_eq(pwrite(fd, &now, 1, at), 1);
		/* Whatever it is: nothing crashes, nothing is read for ever. */
		(void)read_all(fd);
		ck_assert_int_eq(pwrite(fd, &was, 1, at), 1);
	}
	ck_assert_int_eq(read_all(fd), 0);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tar-read");
	TCase *values = tcase_create("values"), *archives = tcase_create("archives");

	tcase_add_loop_test(values, times_are_read_and_written, 0, G_N_ELEMENTS(times));
	tcase_add_loop_test(values, numbers_are_strict, 0, G_N_ELEMENTS(numbers));
	tcase_add_loop_test(values, base64_is_strict, 0, G_N_ELEMENTS(base64s));
	tcase_add_loop_test(values, fields_are_read, 0, G_N_ELEMENTS(fields));
	tcase_add_test(values, binary_fields_do_not_overflow);
	tcase_add_loop_test(values, acls_are_read_and_written, 0, G_N_ELEMENTS(acls));
	suite_add_tcase(suite, values);
	tcase_add_test(archives, random_archives_come_back);
	tcase_add_test(archives, every_cut_is_an_error);
	tcase_add_test(archives, damage_is_an_error_or_a_refusal);
	suite_add_tcase(suite, archives);
	return test_run(suite);
}
