/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Windows' metadata by the xattrs of ntfs-3g and ntfs3: what is set in a writer is read back there
 * and from the image, by their rules (metadata.md §5.1, 5.2).
 */
#include "config.h"

#include <endian.h>
#include <sys/xattr.h>

#include "imagedir.h"
#include "reader.h"
#include "sddl.h"
#include "winsample.h"

#define N_NAMES 100000

static ssize_t get(struct cim_writer *w, const char *path, const char *name, void *buf, size_t size)
{
	return cim_writer_get_xattr(w, find(w, path), name, buf, size);
}

static int set(struct cim_writer *w, const char *path, const char *name, const void *value,
	       size_t size)
{
	return cim_writer_set_xattr(w, find(w, path), name, value, size, 0);
}

static int set_flags(struct cim_writer *w, const char *path, const char *name, const void *value,
		     size_t size, int flags)
{
	return cim_writer_set_xattr(w, find(w, path), name, value, size, flags);
}

static void check_value(struct cim_writer *w, const char *path, const char *name, const void *want,
			size_t size)
{
	g_autofree uint8_t *got = g_malloc(size + 1);
	ssize_t n = get(w, path, name, got, size + 1);

	ck_assert_msg(n == (ssize_t)size, "%s of \"%s\": %zd, not %zu", name, path, n, size);
	ck_assert_mem_eq(got, want, size);
}

static struct cim_writer *open_with_files(void)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");

	put_text(w, "file", "text");
	make_file(w, "empty", S_IFREG | 0644);
	make_dir(w, "dir");
	put_text(w, "dir/child", "child");
	make_link(w, "link", "file");
	make_file(w, "fifo", S_IFIFO | 0600);
	return w;
}

/* ---- what is set is there, in the writer and in the image ---- */

static const uint64_t four_times[] = { 131000000000000001, 132000000000000002, 133000000000000003,
				       134000000000000004 };

static void big_endian(const uint64_t *times, size_t n, uint64_t *ret)
{
	for (size_t i = 0; i < n; i++)
		ret[i] = htobe64(times[i]);
}

static void set_all(struct cim_writer *w, const char *path)
{
	uint8_t eas[sizeof(win_lx)];

	memcpy(eas, win_lx, sizeof(win_lx));
	cim_store32(eas + 40, 20);
	ck_assert_int_eq(set(w, path, "system.ntfs_ea", eas, sizeof(eas)), 0);
	ck_assert_int_eq(set(w, path, "system.ntfs_acl", win_sd, sizeof(win_sd)), 0);
	ck_assert_int_eq(set(w, path, "system.ntfs_attrib_be", "\0\0\0\x27", 4), 0);
	ck_assert_int_eq(set(w, path, "system.ntfs_times", four_times, 32), 0);
}

static void check_all(const struct cim_image *img, const char *path, uint32_t attributes)
{
	struct cim_entry e = image_entry(img, path);
	uint8_t eas[sizeof(win_lx)], got[256];
	uint64_t be[4];

	memcpy(eas, win_lx, sizeof(win_lx));
	cim_store32(eas + 40, 20);
	big_endian(four_times, 4, be);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "system.ntfs_ea", got, sizeof(got)),
			 sizeof(eas));
	ck_assert_mem_eq(got, eas, sizeof(eas));
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "system.ntfs_security", got, sizeof(got)),
			 sizeof(win_sd));
	ck_assert_mem_eq(got, win_sd, sizeof(win_sd));
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "system.ntfs_attrib", got, sizeof(got)), 4);
	ck_assert_mem_eq(got, &attributes, 4);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "system.ntfs_times_be", got, sizeof(got)), 32);
	ck_assert_mem_eq(got, be, 32);
}

START_TEST(what_is_set_is_in_the_image)
{
	struct cim_writer *w = open_with_files();

	set_all(w, "file");
	/* The mode of the EA list is that of a regular file: on a directory it says nothing. */
	set_all(w, "dir");
	struct cim_attr attr = attr_of(w, find(w, "file"));
	ck_assert_uint_eq(attr.posix.uid, 1000);
	ck_assert_uint_eq(attr.posix.gid, 1000);
	ck_assert_uint_eq(attr.posix.mode, S_IFREG | 0644);
	check_value(w, "file", "system.ntfs_times", four_times, 32);
	commit(w);

	struct cim_image *img = open_image("a.cim");
	check_all(img, "file", 0x27);
	check_all(img, "dir", 0x37);
	check_text(img, "file", "text");
	check_text(img, "dir/child", "child");
	ck_assert(S_ISDIR(image_attr(img, "dir").posix.mode));
	cim_image_unref(img);

	/* And in a fork that touches them. */
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(set(w, "file", "user.x", "x", 1), 0);
	check_value(w, "file", "system.ntfs_acl", win_sd, sizeof(win_sd));
	check_value(w, "file", "system.ntfs_crtime", four_times, 8);
	check_value(w, "file", "system.dos_attrib", "\x27", 1);
	cim_writer_close(w);
}
END_TEST

/* ---- the rules of each ---- */

START_TEST(attributes_are_masked)
{
	struct cim_writer *w = open_with_files();
	uint32_t value = 0xFFFFFFFF;

	/* Of all bits those that ntfs-3g lets set and the format keeps; what it is stays. */
	ck_assert_int_eq(set(w, "file", "system.ntfs_attrib", &value, 4), 0);
	check_value(w, "file", "system.ntfs_attrib_be", "\0\0\0\x27", 4);
	ck_assert_int_eq(set(w, "dir", "system.ntfs_attrib", &value, 4), 0);
	check_value(w, "dir", "system.ntfs_attrib_be", "\0\0\0\x37", 4);
	value = 0;
	ck_assert_int_eq(set(w, "file", "system.ntfs_attrib", &value, 4), 0);
	check_value(w, "file", "system.ntfs_attrib_be", "\0\0\0\x80", 4);
	check_value(w, "file", "system.dos_attrib", "\x80", 1);
	ck_assert_int_eq(set(w, "dir", "system.ntfs_attrib", &value, 4), 0);
	check_value(w, "dir", "system.ntfs_attrib_be", "\0\0\0\x10", 4);
	ck_assert_int_eq(set(w, "link", "system.ntfs_attrib_be", "\0\0\0\x02", 4), 0);
	check_value(w, "link", "system.ntfs_attrib_be", "\0\0\4\x02", 4);
	/* ntfs-3g's names leave the mode alone. */
	ck_assert_int_eq(set(w, "file", "system.ntfs_attrib_be", "\0\0\0\x01", 4), 0);
	ck_assert_uint_eq(attr_of(w, find(w, "file")).posix.mode, S_IFREG | 0644);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	ck_assert_uint_eq(image_entry(img, "file").flags, CIM_FLAG_READONLY);
	ck_assert_uint_eq(image_attr(img, "file").posix.mode, S_IFREG | 0644);
	cim_image_unref(img);
}
END_TEST

START_TEST(dos_attrib_is_the_write_permission_too)
{
	struct cim_writer *w = open_with_files();
	uint32_t id = find(w, "file");

	ck_assert_int_eq(set(w, "file", "system.dos_attrib", "\x21", 1), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFREG | 0444);
	check_value(w, "file", "system.dos_attrib", "\x21", 1);
	/* Nobody gets to write who could not before, but the owner. */
	ck_assert_int_eq(set(w, "file", "system.dos_attrib", "\x22", 1), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFREG | 0644);
	check_value(w, "file", "system.dos_attrib", "\x22", 1);
	ck_assert_int_eq(set(w, "dir", "system.dos_attrib", "\x01", 1), 0);
	check_value(w, "dir", "system.dos_attrib", "\x11", 1);
	ck_assert_uint_eq(attr_of(w, find(w, "dir")).posix.mode, S_IFDIR | 0755);
	cim_writer_close(w);
}
END_TEST

START_TEST(times_are_set_by_as_many_as_are_given)
{
	struct cim_writer *w = open_with_files();
	uint64_t be[4];

	big_endian(four_times, 4, be);
	for (size_t n = 1; n <= 4; n++) {
		uint64_t now = cim_ticks_now(), t[4];

		ck_assert_int_eq(n % 2 ? set(w, "file", "system.ntfs_times", four_times, 8 * n)
				       : set(w, "file", "system.ntfs_times_be", be, 8 * n),
				 0);
		ck_assert_int_eq(get(w, "file", "system.ntfs_times", t, 32), 32);
		ck_assert_mem_eq(t, four_times, 8 * n);
		if (n < 4)
			ck_assert_uint_ge(t[3], now);
	}
	ck_assert_int_eq(set(w, "file", "system.ntfs_crtime_be", be + 3, 8), 0);
	check_value(w, "file", "system.ntfs_crtime", four_times + 3, 8);
	struct cim_attr attr = attr_of(w, find(w, "file"));
	ck_assert_uint_eq(attr.created, four_times[3]);
	ck_assert_uint_eq(attr.written, four_times[1]);
	ck_assert_uint_eq(attr.accessed, four_times[2]);
	cim_writer_close(w);
}
END_TEST

static const struct {
	const char *name;
	const char *value;
	size_t size;
	int expect;
} refused[] = {
	{ "system.ntfs_attrib", "", 0, -EINVAL },
	{ "system.ntfs_attrib", "\0\0\0", 3, -EINVAL },
	{ "system.ntfs_attrib_be", "\0\0\0\0", 5, -EINVAL },
	{ "system.dos_attrib", "\0", 2, -EINVAL },
	{ "system.ntfs_times", "1234567", 7, -EINVAL },
	{ "system.ntfs_times", "123456789", 9, -EINVAL },
	{ "system.ntfs_crtime", "1234567890123456", 16, -EINVAL },
	{ "system.ntfs_acl", "", 0, -EINVAL },
	{ "system.ntfs_acl", "this is no descriptor", 21, -EINVAL },
	{ "system.ntfs_security", "\1\0\4\x80", 4, -EINVAL },
	{ "system.ntfs_reparse_data", "", 0, -EINVAL },
	{ "system.ntfs_reparse_data", "\x0c\0\0\xa0\x40\0\0\0", 8, -EINVAL },
	{ "system.ntfs_reparse_data", "\0\0\0\0\0\0\0\0", 8, -EINVAL },
	{ "system.ntfs_ea", "no list", 7, -EINVAL },
	{ "system.ntfs_ea", "\4\0\0\0\0\1\0\0A\0\0\0", 12, -EINVAL },
	{ "system.ntfs_object_id", "1234567890123456", 16, -EOPNOTSUPP },
	{ "system.ntfs_dos_name", "SHORT~1", 7, -EOPNOTSUPP },
	{ "system.ntfs_efsinfo", "x", 1, -EOPNOTSUPP },
	{ "system.ntfs_other", "x", 1, -EOPNOTSUPP },
};

START_TEST(value_that_cannot_be_is_refused)
{
	struct cim_writer *w = open_with_files();
	struct cim_attr before = attr_of(w, find(w, "empty"));

	ck_assert_int_eq(set(w, "empty", refused[_i].name, refused[_i].value, refused[_i].size),
			 refused[_i].expect);
	struct cim_attr after = attr_of(w, find(w, "empty"));
	ck_assert_uint_eq(before.changed, after.changed);
	ck_assert_uint_eq(before.posix.mode, after.posix.mode);
	cim_writer_close(w);
}
END_TEST

static const char *const always[] = { "system.ntfs_attrib",   "system.ntfs_attrib_be",
				      "system.dos_attrib",    "system.ntfs_acl",
				      "system.ntfs_security", "system.ntfs_times",
				      "system.ntfs_times_be", "system.ntfs_crtime",
				      "system.ntfs_crtime_be" };
static const char *const never[] = { "system.ntfs_object_id", "system.ntfs_dos_name",
				     "system.ntfs_efsinfo", "system.ntfs_reparse_data",
				     "system.ntfs_other" };

START_TEST(what_every_file_has_can_be_neither_created_nor_removed)
{
	struct cim_writer *w = open_with_files();

	for (size_t i = 0; i < N_ROWS(always); i++) {
		ck_assert_int_gt(get(w, "file", always[i], NULL, 0), 0);
		ck_assert_int_eq(set_flags(w, "file", always[i], "12345678", 8, XATTR_CREATE),
				 -EEXIST);
		ck_assert_int_eq(cim_writer_remove_xattr(w, find(w, "file"), always[i]), -EPERM);
	}
	for (size_t i = 0; i < N_ROWS(never); i++) {
		ck_assert_int_eq(get(w, "file", never[i], NULL, 0), -ENODATA);
		ck_assert_int_eq(cim_writer_remove_xattr(w, find(w, "file"), never[i]), -ENODATA);
	}
	cim_writer_close(w);
}
END_TEST

START_TEST(ea_list_is_replaced_as_a_whole)
{
	struct cim_writer *w = open_with_files();
	uint32_t id = find(w, "file");
	uint8_t list[256], one[28] = { 0 };

	ck_assert_int_eq(set(w, "file", "user.a", "a", 1), 0);
	ck_assert_int_gt(get(w, "file", "system.ntfs_ea", list, sizeof(list)), 0);
	/* In Windows' form, with a last offset of 0, it is taken as well. */
	memcpy(one, win_lx_xattr, sizeof(win_lx_xattr));
	ck_assert_int_eq(set_flags(w, "file", "system.ntfs_ea", win_lx_xattr, sizeof(win_lx_xattr),
				   XATTR_CREATE),
			 -EEXIST);
	ck_assert_int_eq(set(w, "file", "system.ntfs_ea", win_lx_xattr, sizeof(win_lx_xattr)), 0);
	cim_store32(one, sizeof(one));
	check_value(w, "file", "system.ntfs_ea", one, sizeof(one));
	check_value(w, "file", "user.foo", "bar", 3);
	ck_assert_int_eq(get(w, "file", "user.a", NULL, 0), -ENODATA);
	ck_assert_int_eq(cim_writer_remove_xattr(w, id, "system.ntfs_ea"), 0);
	ck_assert_int_eq(get(w, "file", "user.foo", NULL, 0), -ENODATA);
	ck_assert_int_eq(get(w, "file", "system.ntfs_ea", NULL, 0), -ENODATA);
	ck_assert_int_eq(cim_writer_remove_xattr(w, id, "system.ntfs_ea"), -ENODATA);
	ck_assert_int_eq(set_flags(w, "file", "system.ntfs_ea", one, sizeof(one), XATTR_REPLACE),
			 -ENODATA);
	cim_writer_close(w);
}
END_TEST

/* ---- reparse points ---- */

START_TEST(reparse_buffer_makes_the_type)
{
	static const uint8_t fifo[8] = { 0x24, 0, 0, 0x80 };
	char target[CIM_SYMLINK_MAX + 1];
	struct cim_writer *w = open_with_files();
	uint32_t id = find(w, "empty");

	ck_assert_int_eq(
		set(w, "empty", "system.ntfs_reparse_data", win_symlink, sizeof(win_symlink)), 0);
	ck_assert(S_ISLNK(attr_of(w, id).posix.mode));
	ck_assert_int_eq(cim_writer_readlink(w, id, target), 4);
	ck_assert_str_eq(target, "../a");
	check_value(w, "empty", "system.ntfs_reparse_data", win_symlink, sizeof(win_symlink));
	check_value(w, "empty", "system.ntfs_attrib_be", "\0\0\4\x20", 4);
	/* And back. */
	ck_assert_int_eq(cim_writer_remove_xattr(w, id, "system.ntfs_reparse_data"), 0);
	ck_assert(S_ISREG(attr_of(w, id).posix.mode));
	ck_assert_int_eq(get(w, "empty", "system.ntfs_reparse_data", NULL, 0), -ENODATA);
	ck_assert_int_eq(set(w, "empty", "system.ntfs_reparse_data", fifo, sizeof(fifo)), 0);
	ck_assert(S_ISFIFO(attr_of(w, id).posix.mode));
	/* Not where data or names would be lost. */
	ck_assert_int_eq(
		set(w, "file", "system.ntfs_reparse_data", win_symlink, sizeof(win_symlink)),
		-EINVAL);
	ck_assert_int_eq(
		set(w, "dir", "system.ntfs_reparse_data", win_symlink, sizeof(win_symlink)),
		-EINVAL);
	check_staged(w, find(w, "file"), "text", 4);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	ck_assert(S_ISFIFO(image_attr(img, "empty").posix.mode));
	check_text(img, "dir/child", "child");
	cim_image_unref(img);
}
END_TEST

START_TEST(mount_point_is_a_directory_on_windows)
{
	/* \??\C:\x, without a print name */
	static const uint8_t junction[] = { 0x03, 0, 0,   0xa0, 0x1c, 0, 0,   0, 0,   0, 0x10, 0,
					    0x12, 0, 0,   0,    '\\', 0, '?', 0, '?', 0, '\\', 0,
					    'C',  0, ':', 0,    '\\', 0, 'x', 0, 0,   0, 0,    0 };
	struct cim_writer *w = open_with_files();

	ck_assert_int_eq(set(w, "empty", "system.ntfs_reparse_data", junction, sizeof(junction)),
			 0);
	ck_assert(S_ISLNK(attr_of(w, find(w, "empty")).posix.mode));
	commit(w);
	struct cim_image *img = open_image("a.cim");
	struct cim_entry e = image_entry(img, "empty");
	uint8_t got[64];
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "system.ntfs_attrib_be", got, 4), 4);
	ck_assert_mem_eq(got, "\0\0\4\x30", 4);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "system.ntfs_reparse_data", got, 64),
			 sizeof(junction));
	ck_assert_mem_eq(got, junction, sizeof(junction));
	ck_assert(S_ISLNK(image_attr(img, "empty").posix.mode));
	cim_image_unref(img);
}
END_TEST

/* ---- streams as xattrs ---- */

START_TEST(xattr_that_is_a_stream_stays_one)
{
	struct cim_writer *w;
	struct cim_stream s;
	char value[64];

	win_sample(test_store->dirfd, &win_layouts[1], 0);
	w = open_writer("v2.cim", "b.cim");
	const char *path = "Users/Public/download.zip";
	ck_assert_int_eq(set(w, path, "user.Zone.Identifier", "[new]", 5), 0);
	ck_assert_int_eq(set(w, path, "security.x", "S", 1), 0);
	ck_assert_int_eq(set(w, path, "user.fresh", "an EA", 5), 0);
	/* One that is too large to be read is there all the same. */
	ck_assert_int_eq(set_flags(w, path, "user.big", "b", 1, XATTR_CREATE), -EEXIST);
	ck_assert_int_eq(set_flags(w, path, "user.big", "b", 1, XATTR_REPLACE), 0);
	ck_assert_int_eq(cim_writer_remove_xattr(w, find(w, path), "user.empty"), 0);
	/* An EA hides the stream of its name. */
	ck_assert_int_eq(set(w, "eas/clash", "user.foo", "BAR", 3), 0);
	commit(w);

	struct cim_image *img = open_image("b.cim");
	struct cim_entry e = image_entry(img, path);
	ck_assert_int_eq(cim_file_stream_by_name(img, &e, "Zone.Identifier", &s), 0);
	ck_assert_int_eq(cim_stream_read(img, &s, 0, value, sizeof(value)), 5);
	ck_assert_mem_eq(value, "[new]", 5);
	ck_assert_int_eq(cim_file_stream_by_name(img, &e, "ntfs-3g.security.x", &s), 0);
	ck_assert_uint_eq(s.size, 1);
	ck_assert_int_eq(cim_file_stream_by_name(img, &e, "big", &s), 0);
	ck_assert_uint_eq(s.size, 1);
	ck_assert_int_eq(cim_file_stream_by_name(img, &e, "sparse", &s), 0);
	ck_assert(s.sparse);
	ck_assert_int_eq(cim_file_stream_by_name(img, &e, "empty", &s), -ENOENT);
	ck_assert_int_eq(cim_file_stream_by_name(img, &e, "fresh", &s), -ENOENT);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.fresh", value, 64), 5);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "system.ntfs_attrib_be", value, 4), 4);
	ck_assert_mem_eq(value, "\0\0\0\x20", 4);
	e = image_entry(img, "eas/clash");
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.foo", value, 64), 3);
	ck_assert_mem_eq(value, "BAR", 3);
	cim_image_unref(img);
}
END_TEST

/* ---- names ---- */

/* Any bytes but '/' and NUL, of every kind that names are made of. */
static size_t random_name(struct test_random *r, char *ret)
{
	size_t max = test_random_below(r, 8) ? 1 + test_random_below(r, 40) : 255, n = 0;

	while (n < max) {
		char piece[8];
		int size;

		switch (test_random_below(r, 6)) {
		case 0: /* any byte */
			piece[0] = (char)(1 + test_random_below(r, 255));
			size = 1;
			break;
		case 1: /* what looks like an escape, U+F000 to U+F0FF */
			size = g_unichar_to_utf8(0xF000 + (gunichar)test_random_below(r, 256),
						 piece);
			break;
		case 2: /* a surrogate on its own, in three bytes */
			piece[0] = (char)0xED;
			piece[1] = (char)(0xA0 + test_random_below(r, 0x20));
			piece[2] = (char)(0x80 + test_random_below(r, 0x40));
			size = 3;
			break;
		case 3: /* outside of the BMP */
			size = g_unichar_to_utf8(0x10000 + (gunichar)test_random_below(r, 0x100000),
						 piece);
			break;
		case 4: /* what Windows forbids */
			piece[0] = "\"*:<>?\\|. \1\x1f"[test_random_below(r, 12)];
			size = 1;
			break;
		default:
			piece[0] = (char)('a' + test_random_below(r, 26));
			size = 1;
		}
		if (n + (size_t)size > 255)
			break;
		memcpy(ret + n, piece, (size_t)size);
		n += (size_t)size;
	}
	for (size_t i = 0; i < n; i++)
		if (ret[i] == '/')
			ret[i] = '_';
	ret[n] = '\0';
	return n;
}

/* Each file holds nothing and has a time that tells its number. */
START_TEST(random_names_come_back_from_an_image)
{
	uint64_t seed = test_seed(20261125);
	struct test_random r = { seed };
	g_autoptr(GHashTable) ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t dir = make_dir(w, "names");
	char name[256];

	printf("# seed %llu\n", (unsigned long long)seed);
	while (g_hash_table_size(ids) < N_NAMES) {
		const struct cim_make make = { .mode = S_IFREG | 0644 };
		size_t n = random_name(&r, name);
		uint32_t id;

		if (n == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		    g_hash_table_contains(ids, name))
			continue;
		int err = cim_writer_make(w, dir, name, n, &make, &id);
		ck_assert_msg(err == 0, "a name of %zu bytes: %s", n, strerror(-err));
		const struct cim_attr attr = { .written = 1000 + g_hash_table_size(ids) };
		ck_assert_int_eq(cim_writer_set(w, id, CIM_SET_WRITTEN, &attr), 0);
		g_hash_table_insert(ids, g_strdup(name), GUINT_TO_POINTER(attr.written));
	}
	commit(w);

	struct cim_image *img = open_image("a.cim");
	struct cim_entry e = image_entry(img, "names");
	uint32_t dir_id = image_find(img, "names");
	uint16_t units[CIM_NAME_UNITS];
	char shown[CIM_NAME_BYTES + 1];
	struct cim_links l;
	ck_assert_int_eq(cim_dir_links(img, &e, &l), 0);
	ck_assert_uint_eq(l.n, N_NAMES);
	for (uint32_t i = 0; i < l.n; i++) {
		int n = cim_links_name(&l, i, units);
		struct cim_attr attr;
		uint32_t id;

		ck_assert_int_gt(n, 0);
		n = cim_name_shown(units, (size_t)n, shown);
		ck_assert_int_gt(n, 0);
		uint64_t number = GPOINTER_TO_UINT(g_hash_table_lookup(ids, shown));
		ck_assert_msg(number, "a name came back as another: \"%s\"", shown);
		ck_assert_int_eq(cim_dir_lookup(img, dir_id, shown, (size_t)n, &id), 0);
		ck_assert_int_eq(cim_file_attr(img, id, &attr), 0);
		ck_assert_uint_eq(attr.written, number);
	}
	cim_image_unref(img);
}
END_TEST

/* ---- random metadata ---- */

#define N_METAS 10000

struct random_meta {
	GByteArray *eas, *reparse, *sd;
	uint32_t attributes;
};

static void put_random(GByteArray *to, struct test_random *r, size_t n)
{
	for (; n > 0; n--) {
		uint8_t byte = (uint8_t)test_random_next(r);

		g_byte_array_append(to, &byte, 1);
	}
}

static void put_number(GByteArray *to, uint64_t value, size_t size)
{
	size_t at = to->len;

	win_zeros(to, size);
	win_put(to, at, value, size);
}

static void random_eas(struct test_random *r, GByteArray *to)
{
	uint64_t n = test_random_below(r, 5);
	/* Now and then one that is nearly as large as a list may be. */
	size_t large = test_random_below(r, 500) ? 40 : 60000;

	for (uint64_t i = 0; i < n; i++) {
		g_autoptr(GByteArray) value = g_byte_array_new();
		char name[32];

		g_snprintf(name, sizeof(name), "N%u.%llx", (unsigned int)i,
			   (unsigned long long)test_random_next(r));
		put_random(value, r, 1 + test_random_below(r, i == 0 ? large : 40));
		win_ea(to, test_random_below(r, 4) ? 0 : 0x80, name, value->data, value->len,
		       i == n - 1);
	}
}

static void random_sid(struct test_random *r, GByteArray *to)
{
	uint32_t n = (uint32_t)test_random_below(r, 16);

	put_number(to, 1 | n << 8, 2);
	put_random(to, r, 6 + 4 * n);
}

static void random_sd(struct test_random *r, GByteArray *to)
{
	uint64_t n = test_random_below(r, 5);
	size_t acl = 20;

	put_number(to, 0x80040001u, 4);
	win_zeros(to, 16);
	put_number(to, 2, 8);
	for (uint64_t i = 0; i < n; i++) {
		size_t ace = to->len;

		put_number(to, test_random_below(r, 3) | (test_random_next(r) & 0x1F) << 8, 4);
		put_random(to, r, 4);
		random_sid(r, to);
		win_put(to, ace + 2, to->len - ace, 2);
	}
	win_put(to, acl + 2, to->len - acl, 2);
	win_put(to, acl + 4, n, 2);
	win_put(to, 16, acl, 4);
	for (size_t at = 4; at <= 8; at += 4) {
		if (!test_random_below(r, 4))
			continue;
		win_put(to, at, to->len, 4);
		random_sid(r, to);
	}
}

static void random_reparse(struct test_random *r, GByteArray *to)
{
	uint8_t buf[CIM_REPARSE_MAX];
	char target[256];
	size_t n = test_random_below(r, 50) ? test_random_below(r, 200) : CIM_REPARSE_MAX - 24;
	int size = 0;

	switch (test_random_below(r, 5)) {
	case 0: /* none */
		return;
	case 1: /* a vendor's: with a GUID */
		put_number(to, 1 + test_random_below(r, 0x7FFFFFFF), 4);
		put_number(to, n, 4);
		put_random(to, r, 16 + n);
		return;
	case 2: /* of Microsoft's, and unknown */
		put_number(to, 0x8000F000u + test_random_below(r, 0xF00), 4);
		put_number(to, n, 4);
		put_random(to, r, n);
		return;
	case 3:
		(void)random_name(r, target);
		size = cim_reparse_lx_symlink(target, buf);
		break;
	default:
		(void)random_name(r, target);
		size = cim_reparse_symlink(target, buf);
	}
	if (size > 0)
		g_byte_array_append(to, buf, (guint)size);
}

static void random_meta(struct test_random *r, struct random_meta *m)
{
	g_byte_array_set_size(m->eas, 0);
	g_byte_array_set_size(m->reparse, 0);
	g_byte_array_set_size(m->sd, 0);
	random_eas(r, m->eas);
	random_reparse(r, m->reparse);
	random_sd(r, m->sd);
	m->attributes = (uint32_t)test_random_next(r) & 0x27;
}

static void check_bytes(const char *what, int number, const void *got, size_t size,
			const GByteArray *want)
{
	ck_assert_msg(size == want->len && (size == 0 || memcmp(got, want->data, size) == 0),
		      "%s of file %d came back as another: %zu bytes of %u", what, number, size,
		      want->len);
}

START_TEST(random_metadata_comes_back_from_an_image)
{
	uint64_t seed = test_seed(20261126);
	struct test_random r = { seed };
	struct random_meta m = { g_byte_array_new(), g_byte_array_new(), g_byte_array_new(), 0 };
	struct cim_writer *w = open_writer(NULL, "a.cim");
	char name[16];

	printf("# seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < N_METAS; i++) {
		random_meta(&r, &m);
		const struct cim_winmeta meta = {
			.attributes = m.attributes,
			.sd = m.sd->data,
			.sd_size = m.sd->len,
			.reparse = m.reparse->data,
			.reparse_size = m.reparse->len,
			.eas = m.eas->data,
			.eas_size = m.eas->len,
		};
		g_snprintf(name, sizeof(name), "%05d", i);
		int err = cim_writer_set_windows(w, make_file(w, name, S_IFREG | 0644),
						 CIM_WIN_ATTRIBUTES | CIM_WIN_SECURITY |
							 CIM_WIN_REPARSE | CIM_WIN_EAS,
						 &meta);
		ck_assert_msg(err == 0, "file %d: %s", i, cim_reason());
	}
	commit(w);

	struct cim_image *img = open_image("a.cim");
	r.state = seed;
	for (int i = 0; i < N_METAS; i++) {
		struct cim_winmeta meta;

		random_meta(&r, &m);
		g_snprintf(name, sizeof(name), "%05d", i);
		struct cim_entry e = image_entry(img, name);
		ck_assert_int_eq(cim_file_windows(img, &e, &meta), 0);
		check_bytes("the EA list", i, meta.eas, meta.eas_size, m.eas);
		check_bytes("the reparse buffer", i, meta.reparse, meta.reparse_size, m.reparse);
		check_bytes("the descriptor", i, meta.sd, meta.sd_size, m.sd);
		uint32_t want = m.attributes | (m.reparse->len ? CIM_ATTRIBUTE_REPARSE_POINT : 0);
		ck_assert_uint_eq(meta.attributes, want ? want : CIM_ATTRIBUTE_NORMAL);
	}
	cim_image_unref(img);
	g_byte_array_unref(m.eas);
	g_byte_array_unref(m.reparse);
	g_byte_array_unref(m.sd);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ntfs-xattr");
	TCase *tc = tcase_create("ntfs-xattr");
	TCase *random = tcase_create("random");

	tcase_add_checked_fixture(tc, setup_dir, teardown_dir);
	tcase_add_test(tc, what_is_set_is_in_the_image);
	tcase_add_test(tc, attributes_are_masked);
	tcase_add_test(tc, dos_attrib_is_the_write_permission_too);
	tcase_add_test(tc, times_are_set_by_as_many_as_are_given);
	tcase_add_loop_test(tc, value_that_cannot_be_is_refused, 0, N_ROWS(refused));
	tcase_add_test(tc, what_every_file_has_can_be_neither_created_nor_removed);
	tcase_add_test(tc, ea_list_is_replaced_as_a_whole);
	tcase_add_test(tc, reparse_buffer_makes_the_type);
	tcase_add_test(tc, mount_point_is_a_directory_on_windows);
	tcase_add_test(tc, xattr_that_is_a_stream_stays_one);
	tcase_add_checked_fixture(random, setup_dir, teardown_dir);
	tcase_add_test(random, random_names_come_back_from_an_image);
	tcase_add_test(random, random_metadata_comes_back_from_an_image);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, random);
	return s;
}

int main(void)
{
	return test_run(suite());
}
