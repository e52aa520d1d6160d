/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * POSIX ACLs: what is valid, and what acl(5) says of chmod and of new files, on its own and where a
 * writer's files have them.
 *
 * ACLs are written as setfacl shows them, "u::rwx,u:1000:r--,…", and made blobs here.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "acl.h"
#include "error.h"
#include "imagedir.h"
#include "le.h"
#include "support.h"

#define BLOB_MAX 256

enum { U = 1, NU = 2, G = 4, NG = 8, M = 16, O = 32 };

static size_t put_entry(uint8_t *blob, size_t size, unsigned int tag, unsigned int perm,
			uint32_t id)
{
	ck_assert_uint_le(size + 8, BLOB_MAX);
	cim_store16(blob + size, tag);
	cim_store16(blob + size + 2, perm);
	cim_store32(blob + size + 4, id);
	return size + 8;
}

/* "u::7,u:1000:4,g::5,g:50:1,m::5,o::0"; permissions as a digit, ids only where named. */
static size_t put_acl(const char *text, uint8_t blob[BLOB_MAX])
{
	size_t size = 4;

	cim_store32(blob, 2);
	while (*text) {
		char class = text[0], *end;
		bool named = text[2] != ':';
		uint32_t id = named ? strtoul(text + 2, &end, 10) : UINT32_MAX;
		const char *perm = named ? end + 1 : text + 3;
		unsigned int tag = class == 'u'   ? (named ? NU : U)
				   : class == 'g' ? (named ? NG : G)
				   : class == 'm' ? M
						  : O;

		size = put_entry(blob, size, tag, *perm - '0', id);
		text = perm + 1;
		if (*text == ',')
			text++;
	}
	return size;
}

static int check(const uint8_t *blob, size_t size)
{
	uint8_t *copy = exact_copy(blob, size);
	int r = cim_acl_check(copy, size);

	free(copy);
	return r;
}

static const struct {
	const char *acl;
	int want;
} acls[] = {
	{ "u::6,g::4,o::4", 0 },
	{ "u::6,g::4,m::4,o::4", 0 },
	{ "u::7,u:0:1,u:1000:4,g::5,g:50:1,g:51:0,m::5,o::0", 0 },
	{ "u::7,g::5,g:50:1,m::5,o::0", 0 },
	{ "", -EINVAL },
	{ "g::4,o::4", -EINVAL },
	{ "u::6,o::4", -EINVAL },
	{ "u::6,g::4", -EINVAL },
	{ "u::6,u:1000:4,g::4,o::4", -EINVAL },
	{ "u::6,g::4,g:1000:4,o::4", -EINVAL },
	{ "u::6,u::6,g::4,o::4", -EINVAL },
	{ "u::6,g::4,g::4,o::4", -EINVAL },
	{ "u::6,g::4,m::4,m::4,o::4", -EINVAL },
	{ "u::6,g::4,o::4,o::4", -EINVAL },
	{ "u::6,u:1:4,u:1:4,g::4,m::4,o::4", -EINVAL },
	{ "u::6,u:2:4,u:1:4,g::4,m::4,o::4", -EINVAL },
	{ "u::6,g::4,g:1:4,g:1:4,m::4,o::4", -EINVAL },
	{ "u::6,u:4294967295:4,g::4,m::4,o::4", -EINVAL },
	{ "g::4,u::6,o::4", -EINVAL },
	{ "u::6,g::4,o::4,m::4", -EINVAL },
	{ "u::6,g::4,u:1:4,m::4,o::4", -EINVAL },
	{ "u::8,g::4,o::4", -EINVAL },
};

START_TEST(check_knows_valid_acls)
{
	uint8_t blob[BLOB_MAX];
	size_t size = put_acl(acls[_i].acl, blob);

	ck_assert_msg(check(blob, size) == acls[_i].want, "%s", acls[_i].acl);
}
END_TEST

START_TEST(check_rejects_every_truncation)
{
	uint8_t blob[BLOB_MAX];
	size_t full = put_acl("u::7,u:1000:4,g::5,m::5,o::0", blob);

	for (size_t size = 0; size < full; size++)
		ck_assert_msg(check(blob, size) == -EINVAL, "cut to %zu bytes", size);
	ck_assert_int_eq(check(blob, full), 0);
	ck_assert_int_eq(check(blob, full + 1), -EINVAL);
}
END_TEST

START_TEST(check_rejects_other_versions_and_tags)
{
	static const unsigned int tags[] = { 0, 3, 5, 64, 0x8001, 0xFFFF };
	uint8_t blob[BLOB_MAX];
	size_t size = put_acl("u::6,g::4,o::4", blob);

	for (size_t i = 0; i < N_ROWS(tags); i++) {
		cim_store16(blob + 4, tags[i]);
		ck_assert_int_eq(check(blob, size), -EINVAL);
	}
	cim_store16(blob + 4, U);
	ck_assert_int_eq(check(blob, size), 0);
	for (uint32_t version = 0; version < 5; version++) {
		cim_store32(blob, version);
		ck_assert_int_eq(check(blob, size), version == 2 ? 0 : -EINVAL);
	}
	cim_store32(blob, 2);
	cim_store16(blob + 6, 0x8006);
	ck_assert_int_eq(check(blob, size), -EINVAL);
}
END_TEST

static const struct {
	const char *acl;
	uint32_t mode;
	uint32_t want;
	bool minimal;
} modes[] = {
	{ "u::6,g::4,o::4", 0100000, 0100644, true },
	{ "u::7,g::5,o::1", 0106777, 0106751, true },
	{ "u::0,g::0,o::0", 0041777, 0041000, true },
	{ "u::6,g::4,m::6,o::0", 0100644, 0100660, false },
	{ "u::6,u:1:7,g::7,m::1,o::0", 0100644, 0100610, false },
	{ "u::7,g::0,g:5:7,m::7,o::5", 0040700, 0040775, false },
};

START_TEST(mode_is_what_the_acl_implies)
{
	uint8_t blob[BLOB_MAX];
	size_t size = put_acl(modes[_i].acl, blob);
	bool minimal = !modes[_i].minimal;

	ck_assert_int_eq(check(blob, size), 0);
	ck_assert_uint_eq(cim_acl_to_mode(blob, size, modes[_i].mode, &minimal), modes[_i].want);
	ck_assert_int_eq(minimal, modes[_i].minimal);
}
END_TEST

static const struct {
	const char *acl;
	uint32_t mode;
	const char *want;
} chmods[] = {
	{ "u::6,g::4,o::4", 0100751, "u::7,g::5,o::1" },
	{ "u::7,g::7,o::7", 0, "u::0,g::0,o::0" },
	{ "u::6,g::4,m::6,o::4", 04777, "u::7,g::4,m::7,o::7" },
	{ "u::6,u:1:7,g::7,m::7,o::4", 0600, "u::6,u:1:7,g::7,m::0,o::0" },
	{ "u::0,u:1:2,g::3,g:4:5,m::6,o::7", 0421, "u::4,u:1:2,g::3,g:4:5,m::2,o::1" },
};

START_TEST(chmod_sets_owner_mask_other)
{
	uint8_t blob[BLOB_MAX], want[BLOB_MAX];
	size_t size = put_acl(chmods[_i].acl, blob);

	ck_assert_uint_eq(put_acl(chmods[_i].want, want), size);
	cim_acl_chmod(blob, size, chmods[_i].mode);
	ck_assert_mem_eq(blob, want, size);
}
END_TEST

static const struct {
	const char *parent;
	uint32_t mode;
	const char *child;
	uint32_t want;
	bool minimal;
} inherits[] = {
	/* A plain file of open(…, 0666), a directory of mkdir(…, 0777), whatever the umask. */
	{ "u::7,g::5,o::5", 0100666, "u::6,g::4,o::4", 0100644, true },
	{ "u::7,g::5,o::5", 0040777, "u::7,g::5,o::5", 0040755, true },
	{ "u::7,g::7,o::7", 0100600, "u::6,g::0,o::0", 0100600, true },
	{ "u::0,g::0,o::0", 0100777, "u::0,g::0,o::0", 0100000, true },
	{ "u::7,g::5,o::0", 0042777, "u::7,g::5,o::0", 0042750, true },
	{ "u::7,u:1:7,g::5,m::7,o::0", 0100666, "u::6,u:1:7,g::5,m::6,o::0", 0100660, false },
	{ "u::7,u:1:7,g::5,m::5,o::5", 0100640, "u::6,u:1:7,g::5,m::4,o::0", 0100640, false },
	{ "u::7,g::7,g:9:7,m::1,o::5", 0040777, "u::7,g::7,g:9:7,m::1,o::5", 0040715, false },
	{ "u::7,g::5,m::7,o::5", 0100644, "u::6,g::5,m::4,o::4", 0100644, false },
};

START_TEST(inherit_grants_what_is_asked_and_allowed)
{
	uint8_t blob[BLOB_MAX], want[BLOB_MAX];
	size_t size = put_acl(inherits[_i].parent, blob);
	bool minimal = !inherits[_i].minimal;

	ck_assert_uint_eq(put_acl(inherits[_i].child, want), size);
	ck_assert_uint_eq(cim_acl_inherit(blob, size, inherits[_i].mode, &minimal),
			  inherits[_i].want);
	ck_assert_mem_eq(blob, want, size);
	ck_assert_int_eq(minimal, inherits[_i].minimal);
	ck_assert_int_eq(check(blob, size), 0);
}
END_TEST

/* Half are noise, half an ACL with one byte changed; what passes the check is then used. */
START_TEST(random_bytes_do_no_harm)
{
	struct test_random rnd = { test_seed(0xAC1) };
	uint8_t bytes[BLOB_MAX];
	int n_valid = 0;

	printf("# seed 0x%llx\n", (unsigned long long)rnd.state);
	for (int round = 0; round < 100000; round++) {
		size_t size = test_random_below(&rnd, 64);

		if (round % 2) {
			size = put_acl("u::7,u:9:7,g::5,m::7,o::0", bytes);
			bytes[test_random_below(&rnd, size)] = test_random_next(&rnd);
		} else {
			for (size_t i = 0; i < size; i++)
				bytes[i] = test_random_next(&rnd);
		}

		uint8_t *blob = exact_copy(bytes, size);
		if (cim_acl_check(blob, size) == 0) {
			uint32_t mode = test_random_below(&rnd, 0200000);
			bool minimal;

			n_valid++;
			cim_acl_chmod(blob, size, mode);
			ck_assert_uint_eq(cim_acl_to_mode(blob, size, mode, &minimal), mode);
			ck_assert_uint_eq(cim_acl_inherit(blob, size, 07777, &minimal) & 0777,
					  mode & 0777);
			ck_assert_int_eq(cim_acl_check(blob, size), 0);
		}
		free(blob);
	}
	ck_assert_int_gt(n_valid, 100);
}
END_TEST

/* ---- in a writer ---- */

static void set_acl(struct cim_writer *w, uint32_t id, const char *name, const char *acl)
{
	uint8_t blob[BLOB_MAX];
	size_t size = put_acl(acl, blob);

	ck_assert_int_eq(cim_writer_set_xattr(w, id, name, blob, size, 0), 0);
}

static void check_acl(struct cim_writer *w, uint32_t id, const char *name, const char *acl)
{
	uint8_t blob[BLOB_MAX], want[BLOB_MAX];
	size_t size = put_acl(acl, want);

	ck_assert_int_eq(cim_writer_get_xattr(w, id, name, blob, sizeof(blob)), (ssize_t)size);
	ck_assert_mem_eq(blob, want, size);
}

START_TEST(access_acl_and_mode_follow_each_other)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0600);
	struct cim_attr attr = { .posix.mode = 0710 };
	const char *after = "u::7,u:1000:6,g::5,m::1,o::0";
	uint8_t blob[BLOB_MAX], want[BLOB_MAX];

	set_acl(w, id, CIM_ACL_ACCESS, "u::7,u:1000:6,g::5,m::6,o::4");
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFREG | 0764);
	ck_assert_int_eq(cim_writer_set(w, id, CIM_SET_MODE, &attr), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFREG | 0710);
	check_acl(w, id, CIM_ACL_ACCESS, after);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	struct cim_entry e = image_entry(img, "f");
	size_t size = put_acl(after, want);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, CIM_ACL_ACCESS, blob, sizeof(blob)),
			 (ssize_t)size);
	ck_assert_mem_eq(blob, want, size);
	cim_image_unref(img);
}
END_TEST

START_TEST(default_acl_is_inherited_and_not_the_umask)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_make make = { .mode = S_IFREG | 0666, .umask = 077 };
	uint32_t dir = make_dir(w, "d"), id;

	set_acl(w, dir, CIM_ACL_DEFAULT, "u::7,u:1000:7,g::5,m::7,o::4");
	ck_assert_int_eq(try_make_as(w, "d/f", &make, &id), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFREG | 0664);
	check_acl(w, id, CIM_ACL_ACCESS, "u::6,u:1000:7,g::5,m::6,o::4");
	ck_assert_int_eq(cim_writer_get_xattr(w, id, CIM_ACL_DEFAULT, NULL, 0), -ENODATA);
	make.mode = S_IFDIR | 0777;
	ck_assert_int_eq(try_make_as(w, "d/e", &make, &id), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFDIR | 0774);
	check_acl(w, id, CIM_ACL_DEFAULT, "u::7,u:1000:7,g::5,m::7,o::4");
	ck_assert_int_eq(try_make(w, "d/l", S_IFLNK), 0);
	ck_assert_int_eq(cim_writer_get_xattr(w, find(w, "d/l"), CIM_ACL_ACCESS, NULL, 0),
			 -ENODATA);
	cim_writer_close(w);
}
END_TEST

START_TEST(acl_is_checked_and_taken_away)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0600), link = make_link(w, "l", "f");
	uint8_t acl[BLOB_MAX];
	size_t size = put_acl("u::7,u:1000:6,g::5,m::6,o::4", acl);

	ck_assert_int_eq(cim_writer_set_xattr(w, id, CIM_ACL_ACCESS, "nonsense", 8, 0), -EINVAL);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, CIM_ACL_DEFAULT, acl, size, 0), -EACCES);
	ck_assert_int_eq(cim_writer_set_xattr(w, link, CIM_ACL_ACCESS, acl, size, 0), -EOPNOTSUPP);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, CIM_ACL_ACCESS, acl, size, 0), 0);
	ck_assert_int_eq(cim_writer_remove_xattr(w, id, CIM_ACL_ACCESS), 0);
	ck_assert_int_eq(cim_writer_get_xattr(w, id, CIM_ACL_ACCESS, NULL, 0), -ENODATA);
	cim_writer_close(w);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("acl");
	TCase *t = tcase_create("acl");
	TCase *writer = tcase_create("writer");

	tcase_add_loop_test(t, check_knows_valid_acls, 0, N_ROWS(acls));
	tcase_add_test(t, check_rejects_every_truncation);
	tcase_add_test(t, check_rejects_other_versions_and_tags);
	tcase_add_loop_test(t, mode_is_what_the_acl_implies, 0, N_ROWS(modes));
	tcase_add_loop_test(t, chmod_sets_owner_mask_other, 0, N_ROWS(chmods));
	tcase_add_loop_test(t, inherit_grants_what_is_asked_and_allowed, 0, N_ROWS(inherits));
	tcase_add_test(t, random_bytes_do_no_harm);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(writer, setup_dir, teardown_dir);
	tcase_add_test(writer, access_acl_and_mode_follow_each_other);
	tcase_add_test(writer, default_acl_is_inherited_and_not_the_umask);
	tcase_add_test(writer, acl_is_checked_and_taken_away);
	suite_add_tcase(s, writer);
	return s;
}

int main(void)
{
	return test_run(suite());
}
