/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * EA lists: known bytes, broken ones, random ones; xattr names both ways.
 *
 * Every list is walked in a heap copy of exactly its size, so that a sanitizer sees a
 * read past its end.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "acl.h"
#include "ea.h"
#include "error.h"
#include "le.h"
#include "support.h"

#define N_ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* Where bytes go that are only to be touched. */
static volatile uint8_t sink;

/* Walk a list and touch all that it shows; the number of entries, or the iterator's error. */
static int walk(const void *list, size_t size)
{
	uint8_t *copy = exact_copy(list, size);
	struct cim_ea_iter it;
	struct cim_ea ea;
	int n = 0, r;

	cim_ea_iter_init(&it, copy, size);
	while ((r = cim_ea_iter_next(&it, &ea)) > 0) {
		for (size_t i = 0; i < ea.name_size; i++)
			sink = (uint8_t)ea.name[i];
		for (size_t i = 0; i < ea.value_size; i++)
			sink = ea.value[i];
		ck_assert_uint_le(++n, size / 10 + 1);
	}
	ck_assert_int_eq(cim_ea_iter_next(&it, &ea), r);
	free(copy);
	return r < 0 ? r : n;
}

/* The examples of metadata.md §1.3 and §1.5. */

static const uint8_t owner_list[] = {
	0x14, 0, 0, 0, 0, 6, 4, 0, '$', 'L', 'X', 'U', 'I', 'D', 0, 0xE8, 0x03, 0, 0, 0,
	0x14, 0, 0, 0, 0, 6, 4, 0, '$', 'L', 'X', 'G', 'I', 'D', 0, 0xE8, 0x03, 0, 0, 0,
	0,    0, 0, 0, 0, 6, 4, 0, '$', 'L', 'X', 'M', 'O', 'D', 0, 0xA4, 0x81, 0, 0, 0,
};

static const uint8_t device_list[] = {
	0, 0, 0, 0, 0, 6, 8, 0, '$', 'L', 'X', 'D', 'E', 'V', 0, 8, 0, 0, 0, 1, 0, 0, 0, 0,
};

static const uint8_t xattr_list[] = {
	0,   0,   0,   0,   0,   11, 7,   0,   'L', 'X', '.', 'U', 'S', 'E',
	'R', '.', 'F', 'O', 'O', 0,  'l', 'x', 'e', 'a', 'b', 'a', 'r', 0,
};

struct entry {
	const char *name;
	const char *value;
	size_t value_size;
};

static const struct {
	const uint8_t *list;
	size_t size;
	struct entry entries[3];
	int n_entries;
} examples[] = {
	{ owner_list,
	  sizeof(owner_list),
	  { { "$LXUID", "\xE8\x03\0\0", 4 },
	    { "$LXGID", "\xE8\x03\0\0", 4 },
	    { "$LXMOD", "\xA4\x81\0\0", 4 } },
	  3 },
	{ device_list, sizeof(device_list), { { "$LXDEV", "\x08\0\0\0\x01\0\0\0", 8 } }, 1 },
	{ xattr_list, sizeof(xattr_list), { { "LX.USER.FOO", "lxeabar", 7 } }, 1 },
};

START_TEST(list_builds_known_bytes)
{
	struct cim_ea_list l = { 0 };

	for (int i = 0; i < examples[_i].n_entries; i++) {
		const struct entry *e = &examples[_i].entries[i];

		ck_assert_int_eq(
			cim_ea_list_add(&l, e->name, strlen(e->name), 0, e->value, e->value_size),
			0);
	}
	ck_assert_uint_eq(l.size, examples[_i].size);
	ck_assert_mem_eq(l.data, examples[_i].list, l.size);
	cim_ea_list_clear(&l);
	ck_assert_ptr_null(l.data);
	ck_assert_uint_eq(l.size, 0);
}
END_TEST

START_TEST(iter_reads_known_bytes)
{
	struct cim_ea_iter it;
	struct cim_ea ea;

	cim_ea_iter_init(&it, examples[_i].list, examples[_i].size);
	for (int i = 0; i < examples[_i].n_entries; i++) {
		const struct entry *e = &examples[_i].entries[i];

		ck_assert_int_eq(cim_ea_iter_next(&it, &ea), 1);
		ck_assert_uint_eq(ea.flags, 0);
		ck_assert_uint_eq(ea.name_size, strlen(e->name));
		ck_assert_mem_eq(ea.name, e->name, ea.name_size);
		ck_assert_uint_eq(ea.value_size, e->value_size);
		ck_assert_mem_eq(ea.value, e->value, ea.value_size);
	}
	ck_assert_int_eq(cim_ea_iter_next(&it, &ea), 0);
	ck_assert_int_eq(cim_ea_iter_next(&it, &ea), 0);
}
END_TEST

/*
 * A cut right behind an entry's padding looks like the on-disk form of NTFS, one before
 * the last padding like a list without it; every other cut shows.
 */
START_TEST(iter_rejects_every_truncation)
{
	for (size_t size = 0; size <= sizeof(owner_list); size++) {
		int want = size % 20 == 0 ? size / 20 : size == 59 ? 3 : -CIM_ECORRUPT;

		ck_assert_msg(walk(owner_list, size) == want, "cut to %zu bytes", size);
	}
	for (size_t size = 1; size <= sizeof(xattr_list); size++)
		ck_assert_msg(walk(xattr_list, size) == (size < 27 ? -CIM_ECORRUPT : 1),
			      "cut to %zu bytes", size);
}
END_TEST

/* Two entries "A" = "vv", "B" = "w" of 12 bytes each; a row changes one field. */
static const struct {
	const char *what;
	size_t off;
	size_t width;
	uint32_t value;
	int want;
} fields[] = {
	{ "as it is", 0, 4, 12, 2 },
	{ "next: itself", 0, 4, 1, -CIM_ECORRUPT },
	{ "next: in the own header", 0, 4, 4, -CIM_ECORRUPT },
	{ "next: at the own name", 0, 4, 8, -CIM_ECORRUPT },
	{ "next: at the own value", 0, 4, 11, -CIM_ECORRUPT },
	{ "next: backwards", 0, 4, (uint32_t)-12, -CIM_ECORRUPT },
	{ "next: the last that there is", 0, 4, UINT32_MAX, -CIM_ECORRUPT },
	{ "next: none", 0, 4, 0, 1 },
	{ "next: in the second's header", 0, 4, 16, -CIM_ECORRUPT },
	{ "next: the list's last byte", 0, 4, 23, -CIM_ECORRUPT },
	{ "next: the list's end, over the second", 0, 4, 24, -CIM_ECORRUPT },
	{ "next: past the list's end", 0, 4, 25, -CIM_ECORRUPT },
	{ "name empty", 5, 1, 0, -CIM_ECORRUPT },
	{ "name into the second", 5, 1, 3, -CIM_ECORRUPT },
	{ "name of 255", 5, 1, 255, -CIM_ECORRUPT },
	{ "value empty", 6, 2, 0, 2 },
	{ "value into the second", 6, 2, 3, -CIM_ECORRUPT },
	{ "value of 65535", 6, 2, 65535, -CIM_ECORRUPT },
	{ "last next: own padded size", 12, 4, 12, 2 },
	{ "last next: own size", 12, 4, 11, -CIM_ECORRUPT },
	{ "last next: back to the first", 12, 4, (uint32_t)-12, -CIM_ECORRUPT },
	{ "last next: one byte behind the list", 12, 4, 13, -CIM_ECORRUPT },
	{ "last name empty", 17, 1, 0, -CIM_ECORRUPT },
	{ "last name behind the list", 17, 1, 3, -CIM_ECORRUPT },
	{ "last value to the list's end", 18, 2, 2, 2 },
	{ "last value behind the list", 18, 2, 3, -CIM_ECORRUPT },
	{ "last value of 65535", 18, 2, 65535, -CIM_ECORRUPT },
};

START_TEST(iter_judges_every_field)
{
	uint8_t list[] = {
		12, 0, 0, 0, 0, 1, 1, 0, 'A', 0, 'v', 0, 0, 0, 0, 0, 0, 1, 1, 0, 'B', 0, 'w', 0,
	};

	for (size_t i = 0; i < fields[_i].width; i++)
		list[fields[_i].off + i] = fields[_i].value >> (8 * i);
	ck_assert_msg(walk(list, sizeof(list)) == fields[_i].want, "%s", fields[_i].what);
}
END_TEST

START_TEST(iter_takes_both_last_forms_without_padding)
{
	uint8_t list[sizeof(xattr_list)];

	memcpy(list, xattr_list, sizeof(list));
	ck_assert_int_eq(walk(list, 27), 1);
	list[0] = 28;
	ck_assert_int_eq(walk(list, 28), 1);
	ck_assert_int_eq(walk(list, 27), -CIM_ECORRUPT);
}
END_TEST

START_TEST(find_ignores_case_and_takes_the_first)
{
	struct cim_ea_list l = { 0 };
	struct cim_ea ea = { 0 };

	ck_assert_int_eq(cim_ea_find(NULL, 0, "A", &ea), 0);
	ck_assert_int_eq(cim_ea_list_add(&l, "LX.USER.A", 9, 0, "1", 1), 0);
	ck_assert_int_eq(cim_ea_list_add(&l, "lx.user.b", 9, 0x80, "2", 1), 0);
	ck_assert_int_eq(cim_ea_list_add(&l, "LX.USER.B", 9, 0, "3", 1), 0);

	ck_assert_int_eq(cim_ea_find(l.data, l.size, "Lx.User.B", &ea), 1);
	ck_assert_uint_eq(*ea.value, '2');
	ck_assert_uint_eq(ea.flags, 0x80);
	ck_assert_int_eq(cim_ea_find(l.data, l.size, "LX.USER.", &ea), 0);
	ck_assert_int_eq(cim_ea_find(l.data, l.size, "LX.USER.BB", &ea), 0);
	ck_assert_int_eq(cim_ea_find(l.data, l.size, "", &ea), 0);
	ck_assert_int_eq(cim_ea_find(l.data, l.size - 4, "none", &ea), -CIM_ECORRUPT);
	ck_assert_uint_eq(*ea.value, '2');
	cim_ea_list_clear(&l);
}
END_TEST

START_TEST(list_keeps_its_limits)
{
	static const char zeros[CIM_EA_VALUE_MAX + 1];
	struct cim_ea_list l = { 0 };
	char name[257];

	memset(name, 'N', sizeof(name));
	ck_assert_int_eq(cim_ea_list_add(&l, name, 0, 0, "v", 1), -EINVAL);
	ck_assert_int_eq(cim_ea_list_add(&l, name, 256, 0, "v", 1), -EINVAL);
	ck_assert_int_eq(cim_ea_list_add(&l, name, 1, 0, zeros, 65536), -E2BIG);
	ck_assert_int_eq(cim_ea_list_add(&l, name, 1, 0, zeros, 65535), -E2BIG);
	ck_assert_ptr_null(l.data);

	ck_assert_int_eq(cim_ea_list_add(&l, name, 254, 0, NULL, 0), 0);
	ck_assert_int_eq(cim_ea_list_add(&l, name, 255, 0, "v", 1), 0);
	ck_assert_uint_eq(l.size, 264 + 268);
	ck_assert_int_eq(walk(l.data, l.size), 2);

	/* 65532 is the last size on a 4-byte boundary; one byte more would be past 0xFFFF. */
	size_t value_size = 65532 - l.size - 10;
	uint8_t *before = exact_copy(l.data, l.size);
	ck_assert_int_eq(cim_ea_list_add(&l, "M", 1, 0, zeros, value_size + 1), -E2BIG);
	ck_assert_uint_eq(l.size, 264 + 268);
	ck_assert_mem_eq(l.data, before, l.size);
	ck_assert_int_eq(cim_ea_list_add(&l, "M", 1, 0, zeros, value_size), 0);
	ck_assert_uint_eq(l.size, 65532);
	ck_assert_int_eq(walk(l.data, l.size), 3);
	ck_assert_int_eq(cim_ea_list_add(&l, "L", 1, 0, NULL, 0), -E2BIG);
	free(before);
	cim_ea_list_clear(&l);
}
END_TEST

static const struct {
	const char *xattr;
	const char *ea;
	bool prefixed;
} xattr_names[] = {
	{ "user.foo", "LX.USER.FOO", true },
	{ "security.capability", "LX.SECURITY.CAPABILITY", true },
	{ "trusted.overlay.opaque", "LX.TRUSTED.OVERLAY.OPAQUE", true },
	{ "user.Foo", "LX.user.Foo", true },
	{ "user.FOO", "LX.user.FOO", true },
	{ "user.x", "LX.USER.X", true },
	{ "user.a/b", "LX.USER.A/B", true },
	{ "user.user.", "LX.USER.USER.", true },
	{ "user.lx.$lxuid", "LX.USER.LX.$LXUID", true },
	{ "user.gr\xC3\xBC\xC3\x9F", "LX.USER.GR\xC3\xBC\xC3\x9F", true },
	{ "user.\xFF\x01 =:", "LX.USER.\xFF\x01 =:", true },
	{ CIM_ACL_ACCESS, CIM_ACL_ACCESS, false },
	{ CIM_ACL_DEFAULT, CIM_ACL_DEFAULT, false },
};

START_TEST(xattr_name_goes_both_ways)
{
	static const char value[] = "lxeabar";
	const char *want = xattr_names[_i].ea;
	bool prefixed = !xattr_names[_i].prefixed;
	char ea_name[CIM_XATTR_NAME_MAX + 4], xattr[CIM_XATTR_NAME_MAX + 1];

	ck_assert_int_eq(cim_ea_from_xattr(xattr_names[_i].xattr, ea_name, &prefixed),
			 strlen(want));
	ck_assert_str_eq(ea_name, want);
	ck_assert_int_eq(prefixed, xattr_names[_i].prefixed);

	struct cim_ea ea = { .name = want,
			     .name_size = strlen(want),
			     .value = (const uint8_t *)value,
			     .value_size = 7 };
	const uint8_t *xattr_value;
	size_t size;
	ck_assert_int_eq(cim_ea_to_xattr(&ea, xattr, &xattr_value, &size), 1);
	ck_assert_str_eq(xattr, xattr_names[_i].xattr);
	ck_assert_uint_eq(size, prefixed ? 3 : 7);
	ck_assert_mem_eq(xattr_value, prefixed ? "bar" : value, size);
}
END_TEST

static const char *const unstored_xattrs[] = {
	"",
	"user",
	"user.",
	"security.",
	"system.posix_acl_more",
	"system.",
	"$LXUID",
	"system.ntfs_attrib",
	"os2.foo",
	"USER.foo",
	"LX.USER.FOO",
	"security",
	"trusted.",
	"userfoo",
	"system.posix_acl_acces",
};

START_TEST(xattr_of_other_namespaces_is_refused)
{
	char name[CIM_XATTR_NAME_MAX + 4] = "untouched";
	bool prefixed;

	ck_assert_int_eq(cim_ea_from_xattr(unstored_xattrs[_i], name, &prefixed), -EOPNOTSUPP);
	ck_assert_str_eq(name, "untouched");
}
END_TEST

START_TEST(xattr_name_of_251_bytes_is_the_longest)
{
	char xattr[CIM_XATTR_NAME_MAX + 46], ea[CIM_XATTR_NAME_MAX + 4];
	bool prefixed;

	for (size_t n = 6; n < sizeof(xattr); n++) {
		int want = n <= 251 ? (int)n + 3 : -ENAMETOOLONG;

		memset(xattr, 'x', n);
		memcpy(xattr, "user.", 5);
		xattr[n] = '\0';
		ck_assert_int_eq(cim_ea_from_xattr(xattr, ea, &prefixed), want);
		if (want > 0)
			ck_assert_uint_eq(strlen(ea), want);
	}
}
END_TEST

#define NAME(s) s, sizeof(s) - 1

static const struct {
	const char *name;
	size_t name_size;
	const char *value;
	const char *xattr; /* NULL: none */
	const char *xattr_value;
} ea_names[] = {
	{ NAME("user.foo"), "lxea", "user.foo", "lxea" },
	{ NAME("security.SMACK64"), "_", "security.SMACK64", "_" },
	{ NAME("trusted.x"), "", "trusted.x", "" },
	{ NAME("system.posix_acl_access"), "", "system.posix_acl_access", "" },
	{ NAME("LX.USER.EMPTY"), "lxea", "user.empty", "" },
	{ NAME("LX.user.EMPTY"), "lxea", "user.EMPTY", "" },
	{ NAME("LX.USER.FOO"), "lxe", NULL, NULL },
	{ NAME("LX.USER.FOO"), "", NULL, NULL },
	{ NAME("LX.USER.FOO"), "LXEAbar", NULL, NULL },
	{ NAME("LX.USER."), "lxea", NULL, NULL },
	{ NAME("LX."), "lxea", NULL, NULL },
	{ NAME("LX.User.Foo"), "lxea", NULL, NULL },
	{ NAME("LX.SYSTEM.POSIX_ACL_ACCESS"), "lxea", NULL, NULL },
	{ NAME("LX.LX.USER.FOO"), "lxea", NULL, NULL },
	{ NAME("$LXUID"), "\xE8\x03\x01\x01", NULL, NULL },
	{ NAME("$LXGID"), "\xE8\x03\x01\x01", NULL, NULL },
	{ NAME("$LXMOD"), "\xA4\x81\x01\x01", NULL, NULL },
	{ NAME("$LXDEV"), "12345678", NULL, NULL },
	{ NAME("LXATTRB"), "lxea", NULL, NULL },
	{ NAME("LXXATTR"), "lxea", NULL, NULL },
	{ NAME("$CIMLINKS"), "lxea", NULL, NULL },
	{ NAME("$KERNEL.PURGE.X"), "lxea", NULL, NULL },
	{ NAME("FOO"), "lxea", NULL, NULL },
	{ NAME("user."), "v", NULL, NULL },
	{ NAME("user.a\0b"), "v", NULL, NULL },
	{ NAME("user.\0"), "v", NULL, NULL },
	{ NAME("LX.USER.A\0B"), "lxea", NULL, NULL },
	{ NAME("LX.USER.A\0"), "lxea", NULL, NULL },
};

START_TEST(ea_of_others_is_understood_or_left)
{
	const char *value = ea_names[_i].value;
	char *name = exact_copy(ea_names[_i].name, ea_names[_i].name_size);
	struct cim_ea ea = { .name = name,
			     .name_size = ea_names[_i].name_size,
			     .value = (const uint8_t *)value,
			     .value_size = strlen(value) };
	char xattr[CIM_XATTR_NAME_MAX + 1] = "untouched";
	const uint8_t *xattr_value = NULL;
	size_t size = 0;
	int r = cim_ea_to_xattr(&ea, xattr, &xattr_value, &size);

	free(name);
	ck_assert_int_eq(r, ea_names[_i].xattr != NULL);
	if (r == 0) {
		ck_assert_str_eq(xattr, "untouched");
		ck_assert_ptr_null(xattr_value);
		return;
	}
	ck_assert_str_eq(xattr, ea_names[_i].xattr);
	ck_assert_uint_eq(size, strlen(ea_names[_i].xattr_value));
	ck_assert_mem_eq(xattr_value, ea_names[_i].xattr_value, size);
}
END_TEST

START_TEST(ea_name_of_255_bytes_fits_an_xattr)
{
	char name[255], xattr[CIM_XATTR_NAME_MAX + 1];
	struct cim_ea ea = { .name = name,
			     .name_size = sizeof(name),
			     .value = (const uint8_t *)"lxea",
			     .value_size = 4 };
	const uint8_t *value;
	size_t size;

	memset(name, 'X', sizeof(name));
	memcpy(name, "user.", 5);
	ck_assert_int_eq(cim_ea_to_xattr(&ea, xattr, &value, &size), 1);
	ck_assert_uint_eq(strlen(xattr), 255);
	memcpy(name, "LX.USER.", 8);
	ck_assert_int_eq(cim_ea_to_xattr(&ea, xattr, &value, &size), 1);
	ck_assert_uint_eq(strlen(xattr), 252);
}
END_TEST

static void random_bytes(struct test_random *rnd, void *ret, size_t n)
{
	uint8_t *p = ret;

	for (size_t i = 0; i < n; i++)
		p[i] = test_random_next(rnd);
}

START_TEST(random_lists_come_back)
{
	enum { MAX = 8 };
	struct test_random rnd = { test_seed(0xEA) };
	char names[MAX][255];
	uint8_t values[MAX][300];
	size_t name_sizes[MAX], value_sizes[MAX];

	printf("# seed 0x%llx\n", (unsigned long long)rnd.state);
	for (int round = 0; round < 10000; round++) {
		size_t n = test_random_below(&rnd, MAX + 1);
		struct cim_ea_list l = { 0 };
		struct cim_ea_iter it;
		struct cim_ea ea;

		for (size_t i = 0; i < n; i++) {
			name_sizes[i] = 1 + test_random_below(&rnd, i ? 20 : 255);
			value_sizes[i] = test_random_below(&rnd, i ? 40 : 300);
			random_bytes(&rnd, names[i], name_sizes[i]);
			random_bytes(&rnd, values[i], value_sizes[i]);
			ck_assert_int_eq(cim_ea_list_add(&l, names[i], name_sizes[i], i, values[i],
							 value_sizes[i]),
					 0);
			ck_assert_uint_eq(l.size % 4, 0);
		}
		cim_ea_iter_init(&it, l.data, l.size);
		for (size_t i = 0; i < n; i++) {
			ck_assert_int_eq(cim_ea_iter_next(&it, &ea), 1);
			ck_assert_uint_eq(ea.flags, i);
			ck_assert_uint_eq(ea.name_size, name_sizes[i]);
			ck_assert(memcmp(ea.name, names[i], ea.name_size) == 0);
			ck_assert_uint_eq(ea.name[ea.name_size], '\0');
			ck_assert_uint_eq(ea.value_size, value_sizes[i]);
			ck_assert(memcmp(ea.value, values[i], ea.value_size) == 0);
		}
		ck_assert_int_eq(cim_ea_iter_next(&it, &ea), 0);
		cim_ea_list_clear(&l);
	}
}
END_TEST

/* Random xattr names of all namespaces, with and without capitals. */
START_TEST(random_xattr_names_come_back)
{
	static const char *const namespaces[] = { "user.", "security.", "trusted." };
	struct test_random rnd = { test_seed(0xA77) };

	printf("# seed 0x%llx\n", (unsigned long long)rnd.state);
	for (int round = 0; round < 10000; round++) {
		char xattr[64], ea_name[CIM_XATTR_NAME_MAX + 4], back[CIM_XATTR_NAME_MAX + 1];
		char *end = stpcpy(xattr, namespaces[test_random_below(&rnd, 3)]);
		struct cim_ea ea = { .value = (const uint8_t *)"lxea", .value_size = 4 };
		const uint8_t *value;
		bool prefixed;
		size_t size;

		for (size_t n = 1 + test_random_below(&rnd, 8); n; n--)
			*end++ = 1 + test_random_below(&rnd, round % 2 ? 255 : 'A' - 1);
		*end = '\0';
		ea.name_size = cim_ea_from_xattr(xattr, ea_name, &prefixed);
		ea.name = ea_name;
		ck_assert_int_eq(cim_ea_to_xattr(&ea, back, &value, &size), 1);
		ck_assert_str_eq(back, xattr);
	}
}
END_TEST

/* Half are noise; half have small lengths, so that the walk gets past the first entry. */
START_TEST(random_bytes_do_no_harm)
{
	struct test_random rnd = { test_seed(0xBAD) };
	uint8_t bytes[96];

	printf("# seed 0x%llx\n", (unsigned long long)rnd.state);
	for (int round = 0; round < 100000; round++) {
		size_t size = test_random_below(&rnd, sizeof(bytes) + 1);

		random_bytes(&rnd, bytes, size);
		if (round % 2)
			for (size_t i = 0; i + 8 <= size; i += 16) {
				cim_store32(bytes + i, 16);
				bytes[i + 5] %= 5;
				cim_store16(bytes + i + 6, bytes[i + 6] % 5);
			}

		uint8_t *list = exact_copy(bytes, size);
		struct cim_ea_iter it;
		struct cim_ea ea;
		char xattr[CIM_XATTR_NAME_MAX + 1];
		const uint8_t *value;
		size_t value_size;

		cim_ea_iter_init(&it, list, size);
		while (cim_ea_iter_next(&it, &ea) > 0)
			if (cim_ea_to_xattr(&ea, xattr, &value, &value_size))
				ck_assert(value + value_size <= list + size);
		ck_assert_int_le(cim_ea_find(list, size, "$LXMOD", &ea), 1);
		ck_assert_int_le(walk(list, size), (int)(size / 10));
		free(list);
	}
}
END_TEST

/* ---- LXXATTR ---- */

/* An EA list whose one entry is LXXATTR with @value. */
static void old_list(struct cim_ea_list *l, const void *value, size_t size)
{
	ck_assert_int_eq(cim_ea_list_add(l, "LXXATTR", 7, 0, value, size), 0);
}

static int count_xattrs(const void *list, size_t size)
{
	char name[CIM_XATTR_NAME_MAX + 1];
	struct cim_xattr_iter it;
	const uint8_t *value, *found;
	size_t value_size, found_size;
	int n = 0;

	cim_xattr_iter_init(&it, list, size);
	for (; cim_xattr_iter_next(&it, name, &value, &value_size) == 1; n++) {
		ck_assert(value >= (const uint8_t *)list &&
			  value + value_size <= (const uint8_t *)list + size);
		ck_assert_int_eq(cim_xattr_find(list, size, name, &found, &found_size), 1);
	}
	ck_assert_int_eq(cim_xattr_iter_next(&it, name, &value, &value_size), 0);
	cim_xattr_iter_clear(&it);
	return n;
}

static const char two_old[] = "\0\0\1\0"
			      "\x14\0\0\0\3\0\x08user.oneONE\0\0"
			      "\0\0\0\0\4\0\x08user.twoTWO!";

START_TEST(old_xattrs_are_read_and_taken_out)
{
	struct cim_ea_list l = { 0 }, rest = { 0 };
	uint8_t value[sizeof(two_old)];
	const uint8_t *found;
	struct cim_ea ea;
	size_t size;

	/* A newer one of the same name hides an old one. */
	ck_assert_int_eq(cim_ea_list_add(&l, "LX.USER.ONE", 11, 0, "lxeanew", 7), 0);
	old_list(&l, two_old, sizeof(two_old) - 1);
	ck_assert_int_eq(count_xattrs(l.data, l.size), 2);
	ck_assert_int_eq(cim_xattr_find(l.data, l.size, "user.one", &found, &size), 1);
	ck_assert_uint_eq(size, 3);
	ck_assert_mem_eq(found, "new", 3);
	ck_assert_int_eq(cim_xattr_find(l.data, l.size, "user.two", &found, &size), 1);
	ck_assert_mem_eq(found, "TWO!", 4);
	ck_assert_int_eq(cim_xattr_find(l.data, l.size, "user.three", &found, &size), 0);

	ck_assert_int_eq(cim_ea_find(l.data, l.size, "LXXATTR", &ea), 1);
	ck_assert_int_eq(cim_ea_old_without(&ea, "user.three", value), -ENODATA);
	int n = cim_ea_old_without(&ea, "user.one", value);
	ck_assert_int_eq(n, 4 + 7 + 8 + 4);
	old_list(&rest, value, (size_t)n);
	ck_assert_int_eq(count_xattrs(rest.data, rest.size), 1);
	ck_assert_int_eq(cim_ea_find(rest.data, rest.size, "LXXATTR", &ea), 1);
	ck_assert_int_eq(cim_ea_old_without(&ea, "user.two", value), 0);
	cim_ea_list_clear(&l);
	cim_ea_list_clear(&rest);
}
END_TEST

START_TEST(old_xattrs_that_lie_do_no_harm)
{
	struct test_random rnd = { test_seed(0x01D) };
	uint8_t value[sizeof(two_old) - 1];

	printf("# seed 0x%llx\n", (unsigned long long)rnd.state);
	for (int round = 0; round < 100000; round++) {
		size_t size =
			round % 2 ? sizeof(value) : test_random_below(&rnd, sizeof(value) + 1);
		struct cim_ea_list l = { 0 };
		struct cim_ea ea;

		memcpy(value, two_old, sizeof(value));
		for (uint64_t n = test_random_below(&rnd, 4); n > 0; n--)
			value[4 + test_random_below(&rnd, sizeof(value) - 4)] =
				(uint8_t)(test_random_next(&rnd) >> test_random_below(&rnd, 8));
		old_list(&l, value, size);
		uint8_t *list = exact_copy(l.data, l.size);
		ck_assert_int_le(count_xattrs(list, l.size), 2);
		ck_assert_int_eq(cim_ea_find(list, l.size, "LXXATTR", &ea), 1);
		uint8_t *rest = malloc(ea.value_size + 1);
		ck_assert_int_le(cim_ea_old_without(&ea, "user.two", rest), (int)ea.value_size);
		free(rest);
		free(list);
		cim_ea_list_clear(&l);
	}
}
END_TEST

#define N_OLD 4000
#ifdef TEST_SANITIZED
#define N_MODERN 200000
#else
#define N_MODERN 1000000
#endif

/* Were each old one looked for among the others, this would take minutes.  No list of an image has
 * so many; but none is needed to have the time of a whole listing be known. */
START_TEST(old_xattrs_are_compared_with_many_others_at_once)
{
	uint8_t *list = calloc(N_MODERN, 24), *value = calloc(N_OLD, 16);
	char name[CIM_XATTR_NAME_MAX + 1];
	const uint8_t *found;
	struct cim_xattr_iter it;
	struct cim_ea_list l = { 0 };
	size_t size;
	int n = 0;

	ck_assert(list && value);
	cim_store16(value + 2, 1);
	for (int i = 0; i < N_OLD; i++) { /* every other has the name of a newer one */
		uint8_t *record = value + 4 + 15 * i;

		cim_store32(record, i < N_OLD - 1 ? 15 : 0);
		record[6] = 8;
		snprintf(name, sizeof(name), "user.%03x", i / 2);
		memcpy(record + 7, name, 8);
		if (i % 2)
			record[7 + 5] = 'z';
	}
	old_list(&l, value, 4 + 15 * N_OLD);
	list = realloc(list, 24 * (size_t)N_MODERN + l.size);
	for (int i = 0; i < N_MODERN; i++) {
		uint8_t *entry = list + 24 * (size_t)i;

		cim_store32(entry, 24);
		snprintf((char *)entry + 8, 16, "user.%03x", i);
		entry[5] = (uint8_t)strlen((char *)entry + 8);
	}
	memcpy(list + 24 * (size_t)N_MODERN, l.data, l.size);
	cim_xattr_iter_init(&it, list, 24 * (size_t)N_MODERN + l.size);
	while (cim_xattr_iter_next(&it, name, &found, &size) == 1)
		n++;
	ck_assert(cim_xattr_iter_met(&it, "user.000"));
	ck_assert(cim_xattr_iter_met(&it, "user.zff"));
	ck_assert(!cim_xattr_iter_met(&it, "user.zz"));
	cim_xattr_iter_clear(&it);
	ck_assert_int_eq(n, N_MODERN + 256); /* the two last digits are left */
	cim_ea_list_clear(&l);
	free(value);
	free(list);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ea");
	TCase *t = tcase_create("list");

	tcase_add_loop_test(t, list_builds_known_bytes, 0, N_ROWS(examples));
	tcase_add_loop_test(t, iter_reads_known_bytes, 0, N_ROWS(examples));
	tcase_add_test(t, iter_rejects_every_truncation);
	tcase_add_loop_test(t, iter_judges_every_field, 0, N_ROWS(fields));
	tcase_add_test(t, iter_takes_both_last_forms_without_padding);
	tcase_add_test(t, find_ignores_case_and_takes_the_first);
	tcase_add_test(t, list_keeps_its_limits);
	suite_add_tcase(s, t);

	t = tcase_create("xattr");
	tcase_add_loop_test(t, xattr_name_goes_both_ways, 0, N_ROWS(xattr_names));
	tcase_add_loop_test(t, xattr_of_other_namespaces_is_refused, 0, N_ROWS(unstored_xattrs));
	tcase_add_test(t, xattr_name_of_251_bytes_is_the_longest);
	tcase_add_loop_test(t, ea_of_others_is_understood_or_left, 0, N_ROWS(ea_names));
	tcase_add_test(t, ea_name_of_255_bytes_fits_an_xattr);
	suite_add_tcase(s, t);

	t = tcase_create("old");
	tcase_add_test(t, old_xattrs_are_read_and_taken_out);
	tcase_add_test(t, old_xattrs_that_lie_do_no_harm);
	tcase_set_timeout(t, 20);
	tcase_add_test(t, old_xattrs_are_compared_with_many_others_at_once);
	suite_add_tcase(s, t);

	t = tcase_create("random");
	tcase_add_test(t, random_lists_come_back);
	tcase_add_test(t, random_xattr_names_come_back);
	tcase_add_test(t, random_bytes_do_no_harm);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return test_run(suite());
}
