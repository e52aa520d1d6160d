/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reparse buffers: known bytes both ways, broken ones, what Windows and others write.
 *
 * Every buffer is parsed in a heap copy of exactly its size, so that a sanitizer sees a
 * read past its end.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <uchar.h>

#include "error.h"
#include "le.h"
#include "reparse.h"
#include "support.h"
#include "symlink.h"

#define N_ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define TARGET_ROOM   (CIM_SYMLINK_MAX + 1)

/* Also that the answer is the same for who does not want the target. */
static int parse(const void *buf, size_t size, uint32_t tag, struct cim_reparse *ret, char *target)
{
	uint8_t *copy = exact_copy(buf, size);
	struct cim_reparse without_target;
	int r = cim_reparse_parse(copy, size, tag, ret, target);

	ck_assert_int_eq(cim_reparse_parse(copy, size, tag, &without_target, NULL), r);
	free(copy);
	return r;
}

/* A buffer under construction: a header, then whatever is put behind it. */
struct buffer {
	uint8_t bytes[2 * CIM_REPARSE_MAX];
	size_t size;
};

static void put(struct buffer *b, const void *bytes, size_t size)
{
	ck_assert_uint_le(size, sizeof(b->bytes) - b->size);
	memcpy(b->bytes + b->size, bytes, size);
	b->size += size;
	cim_store16(b->bytes + 4, b->size - 8);
}

static void put16(struct buffer *b, uint16_t n)
{
	cim_le16 v = cim_put16(n);

	put(b, &v, sizeof(v));
}

static void put32(struct buffer *b, uint32_t n)
{
	cim_le32 v = cim_put32(n);

	put(b, &v, sizeof(v));
}

static void put_units(struct buffer *b, const char16_t *s)
{
	while (*s)
		put16(b, *s++);
}

static size_t units_size(const char16_t *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return 2 * n;
}

static void start(struct buffer *b, uint32_t tag)
{
	b->size = 8;
	cim_store32(b->bytes, tag);
	cim_store32(b->bytes + 4, 0);
}

enum order { SUBSTITUTE_FIRST, PRINT_FIRST, WITH_NULS };

/* The names of a SYMLINK (with its flags) or a MOUNT_POINT, in the orders that are about. */
static void put_names(struct buffer *b, uint32_t tag, uint32_t flags, const char16_t *substitute,
		      const char16_t *print, enum order order)
{
	size_t substitute_size = units_size(substitute), print_size = units_size(print);
	size_t nul_size = order == WITH_NULS ? 2 : 0;

	start(b, tag);
	put16(b, order == PRINT_FIRST ? print_size : 0);
	put16(b, substitute_size);
	put16(b, order == PRINT_FIRST ? 0 : substitute_size + nul_size);
	put16(b, print_size);
	if (tag == CIM_TAG_SYMLINK)
		put32(b, flags);
	put_units(b, order == PRINT_FIRST ? print : substitute);
	put(b, "\0", nul_size);
	put_units(b, order == PRINT_FIRST ? substitute : print);
	put(b, "\0", nul_size);
}

/* The examples of metadata.md §2.3 and §2.5, both "../a". */

static const uint8_t native_link[] = {
	0x0C, 0, 0,   0xA0, 0x1C, 0, 0,    0, 8,   0, 8,   0, 0,   0, 8,    0, 1,   0,
	0,    0, '.', 0,    '.',  0, '\\', 0, 'a', 0, '.', 0, '.', 0, '\\', 0, 'a', 0,
};

static const uint8_t lx_link[] = {
	0x1D, 0, 0, 0xA0, 8, 0, 0, 0, 2, 0, 0, 0, '.', '.', '/', 'a',
};

START_TEST(symlink_builds_known_bytes)
{
	uint8_t buf[CIM_REPARSE_MAX];

	ck_assert_int_eq(cim_reparse_symlink("../a", buf), sizeof(native_link));
	ck_assert_mem_eq(buf, native_link, sizeof(native_link));
	ck_assert_int_eq(cim_reparse_lx_symlink("../a", buf), sizeof(lx_link));
	ck_assert_mem_eq(buf, lx_link, sizeof(lx_link));
}
END_TEST

START_TEST(symlink_reads_known_bytes)
{
	struct cim_reparse got;
	char target[TARGET_ROOM];

	ck_assert_int_eq(parse(native_link, sizeof(native_link), 0, &got, target), 0);
	ck_assert_str_eq(target, "../a");
	ck_assert_uint_eq(got.type, S_IFLNK);
	ck_assert(!got.absolute && !got.target_is_data && !got.has_rdev);

	ck_assert_int_eq(parse(lx_link, sizeof(lx_link), 0, &got, target), 0);
	ck_assert_str_eq(target, "../a");
	ck_assert_uint_eq(got.type, S_IFLNK);
	ck_assert(!got.absolute && !got.target_is_data && !got.has_rdev);
}
END_TEST

START_TEST(symlink_of_wsl_name_is_escaped_as_wsl_does)
{
	static const char16_t want[] = u"foo\uF03Abar";
	uint8_t buf[CIM_REPARSE_MAX];

	ck_assert_int_eq(cim_reparse_symlink("foo:bar", buf), 20 + 2 * 14);
	for (size_t i = 0; i < 7; i++)
		ck_assert_uint_eq(cim_load16(buf + 20 + 2 * i), want[i]);
}
END_TEST

static const struct {
	const char *target;
	bool native;
} targets[] = {
	{ "a", true },
	{ ".", true },
	{ "..", true },
	{ "../..", true },
	{ "../../a/b", true },
	{ "./a", true },
	{ "a/../b", true },
	{ "foo:bar", true },
	{ "C:", true },
	{ "c:/x", true },
	{ "a\\b", true },
	{ "\\a", true },
	{ "\\??\\C:\\x", true },
	{ "a b.", true },
	{ "*?\"<>|", true },
	{ "\x01\x1F/\x7F", true },
	{ "gr\xC3\xBC\xC3\x9F/\xE6\x97\xA5\xE6\x9C\xAC/\xF0\x9F\x90\xA7", true },
	{ "\xFF\xFE/\xC3", true },
	{ "\xEF\x80\xBA", true },
	{ "/", false },
	{ "/a", false },
	{ "//a", false },
	{ "a/", false },
	{ "a//b", false },
	{ "../", false },
	{ "a/b//", false },
};

START_TEST(symlink_comes_back_from_both_forms)
{
	const char *want = targets[_i].target;
	uint8_t buf[CIM_REPARSE_MAX];
	struct cim_reparse got;
	char target[TARGET_ROOM];
	int size = cim_reparse_symlink(want, buf);

	ck_assert_int_eq(size > 0, targets[_i].native);
	if (size > 0) {
		ck_assert_int_eq(parse(buf, size, 0, &got, target), 0);
		ck_assert_str_eq(target, want);
		ck_assert_uint_eq(got.type, S_IFLNK);
		ck_assert(!got.absolute);
	}
	size = cim_reparse_lx_symlink(want, buf);
	ck_assert_int_eq(size, 12 + strlen(want));
	ck_assert_int_eq(parse(buf, size, 0, &got, target), 0);
	ck_assert_str_eq(target, want);
	ck_assert(!got.absolute);
}
END_TEST

START_TEST(symlink_lengths_are_limited)
{
	char want[CIM_SYMLINK_MAX + 2], target[TARGET_ROOM];
	uint8_t buf[CIM_REPARSE_MAX];
	struct cim_reparse got;

	ck_assert_int_eq(cim_reparse_symlink("", buf), 0);
	ck_assert_int_eq(cim_reparse_lx_symlink("", buf), -ENOENT);
	for (size_t n = 4080; n <= CIM_SYMLINK_MAX + 1; n++) {
		memset(want, 'x', n);
		want[n] = '\0';
		/* Two copies of 4091 units and 20 bytes make 16384. */
		int size = cim_reparse_symlink(want, buf);
		ck_assert_int_eq(size, n <= 4091 ? 20 + 4 * (int)n : 0);
		if (size > 0) {
			ck_assert_int_eq(parse(buf, size, 0, &got, target), 0);
			ck_assert_str_eq(target, want);
		}
		size = cim_reparse_lx_symlink(want, buf);
		ck_assert_int_eq(size, n <= CIM_SYMLINK_MAX ? 12 + (int)n : -ENAMETOOLONG);
		if (size > 0) {
			ck_assert_int_eq(parse(buf, size, 0, &got, target), 0);
			ck_assert_str_eq(target, want);
		}
	}
}
END_TEST

static const struct {
	const char16_t *substitute;
	const char16_t *print;
	const char *target;
	bool relative;
	bool absolute; /* as it is read */
} windows_links[] = {
	{ u"\\??\\C:\\x\\y", u"C:\\x\\y", "/x/y", false, true },
	{ u"\\??\\c:\\x\\", u"", "/x/", false, true },
	{ u"\\??\\C:\\", u"C:\\", "/", false, true },
	{ u"\\??\\C:", u"C:", "/", false, true },
	{ u"\\??\\UNC\\srv\\share\\d", u"\\\\srv\\share\\d", "/UNC/srv/share/d", false, true },
	{ u"\\??\\UNC\\srv\\share", u"UNC\\srv\\share", "/UNC/srv/share", false, true },
	{ u"\\??\\Volume{4711}\\x", u"Volume{4711}\\x", "/Volume{4711}/x", false, true },
	{ u"\\??\\GLOBALROOT\\D\\x", u"GLOBALROOT\\D\\x", "/GLOBALROOT/D/x", false, true },
	{ u"\\??\\Dev\\x", u"M:\\x", "/Dev/x", false, true },
	{ u"\\\\?\\D:\\x", u"", "/x", false, true },
	{ u"\\DosDevices\\D:\\x", u"", "/x", false, true },
	{ u"\\dosdevices\\D:\\x", u"", "/x", false, true },
	{ u"\\GLOBAL??\\D:\\x", u"", "/x", false, true },
	{ u"\\Device\\Mup\\x", u"", "/Device/Mup/x", false, true },
	{ u"C:\\x", u"", "/x", false, true },
	{ u"\\\\srv\\share", u"", "/srv/share", false, true },
	{ u"\\??\\C:\\a\uF03Ab\\\u00FC", u"", "/a:b/\xC3\xBC", false, true },
	/* Relative to the root of the volume. */
	{ u"\\x\\y", u"\\x\\y", "/x/y", true, true },
	{ u"\\", u"\\", "/", true, true },
	/* Relative. */
	{ u"..\\x\\y", u"", "../x/y", true, false },
	{ u"x\\", u"x", "x/", true, false },
	{ u"x/y", u"x/y", "x/y", true, false },
	{ u"C:x", u"C:x", "C:x", true, false },
	/* Made by ntfs3: what Linux asked for is the print name. */
	{ u"\\??\\..\\x", u"..\\x", "../x", false, false },
	{ u"\\??\\x", u"x", "x", false, false },
	{ u"\\??\\\\x\\y", u"\\x\\y", "/x/y", false, false },
	{ u"\\??\\c:x", u"c:x", "c:x", false, false },
};

START_TEST(windows_symlink_becomes_a_path)
{
	struct buffer b;
	struct cim_reparse got;
	char target[TARGET_ROOM];

	for (enum order order = SUBSTITUTE_FIRST; order <= WITH_NULS; order++) {
		put_names(&b, CIM_TAG_SYMLINK, windows_links[_i].relative,
			  windows_links[_i].substitute, windows_links[_i].print, order);
		ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), 0);
		ck_assert_str_eq(target, windows_links[_i].target);
		ck_assert_uint_eq(got.type, S_IFLNK);
		ck_assert_int_eq(got.absolute, windows_links[_i].absolute);
	}
}
END_TEST

START_TEST(mount_point_becomes_a_path)
{
	struct buffer b;
	struct cim_reparse got;
	char target[TARGET_ROOM];

	put_names(&b, CIM_TAG_MOUNT_POINT, 0, u"\\??\\C:\\x\\y", u"C:\\x\\y", WITH_NULS);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), 0);
	ck_assert_str_eq(target, "/x/y");
	ck_assert_uint_eq(got.type, S_IFLNK);
	ck_assert(got.absolute);

	/* The oddity of ntfs3 is one of symlinks only. */
	put_names(&b, CIM_TAG_MOUNT_POINT, 0, u"\\??\\x", u"x", SUBSTITUTE_FIRST);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), 0);
	ck_assert_str_eq(target, "/x");
	ck_assert(got.absolute);
}
END_TEST

static const struct {
	const char16_t *substitute;
	bool relative;
	enum cim_view_abslinks how;
	const char *root; /* of CIM_ABSLINKS_DIR */
	int depth;
	const char *target;
} shown_links[] = {
	{ u"\\??\\C:\\x\\y", false, CIM_ABSLINKS_ROOT, NULL, 0, "x/y" },
	{ u"\\??\\C:\\x\\y", false, CIM_ABSLINKS_ROOT, NULL, 1, "../x/y" },
	{ u"\\??\\D:\\x\\y", false, CIM_ABSLINKS_ROOT, NULL, 3, "../../../x/y" },
	{ u"\\??\\C:\\", false, CIM_ABSLINKS_ROOT, NULL, 0, "." },
	{ u"\\??\\C:\\", false, CIM_ABSLINKS_ROOT, NULL, 2, "../.." },
	{ u"\\??\\UNC\\srv\\x", false, CIM_ABSLINKS_ROOT, NULL, 1, "../UNC/srv/x" },
	{ u"\\??\\C:\\x\\y", false, CIM_ABSLINKS_ROOT, NULL, CIM_DEPTH_UNKNOWN, "\\??\\C:\\x\\y" },
	{ u"\\??\\C:\\x\\y", false, CIM_ABSLINKS_ROOT, NULL, CIM_DEPTH_MAX, "\\??\\C:\\x\\y" },
	{ u"\\??\\C:\\x\uF03Ay", false, CIM_ABSLINKS_RAW, NULL, 1, "\\??\\C:\\x\xEF\x80\xBAy" },
	{ u"\\??\\C:\\x\\y", false, CIM_ABSLINKS_DIR, "/mnt", 1, "/mnt/c/x/y" },
	{ u"\\??\\z:\\", false, CIM_ABSLINKS_DIR, "/mnt", 1, "/mnt/z/" },
	{ u"\\??\\C:\\x", false, CIM_ABSLINKS_DIR, "", 1, "/c/x" },
	{ u"\\??\\UNC\\srv\\x", false, CIM_ABSLINKS_DIR, "/mnt", 1, "/mnt/UNC/srv/x" },
	/* Of the same volume: no drive is meant, whatever drives are. */
	{ u"\\x\\y", true, CIM_ABSLINKS_ROOT, NULL, 1, "../x/y" },
	{ u"\\x\\y", true, CIM_ABSLINKS_RAW, NULL, 1, "../x/y" },
	{ u"\\x\\y", true, CIM_ABSLINKS_DIR, "/mnt", 1, "../x/y" },
	/* Relative ones are left alone. */
	{ u"..\\x", true, CIM_ABSLINKS_RAW, NULL, 1, "../x" },
	{ u"..\\x", true, CIM_ABSLINKS_DIR, "/mnt", 5, "../x" },
};

START_TEST(windows_link_is_shown_as_the_view_says)
{
	struct cim_view view = cim_view_default();
	struct cim_reparse got;
	struct buffer b;
	char target[TARGET_ROOM];

	view.abslinks = shown_links[_i].how;
	view.symlink_root = shown_links[_i].root;
	put_names(&b, CIM_TAG_SYMLINK, shown_links[_i].relative, shown_links[_i].substitute, u"",
		  SUBSTITUTE_FIRST);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), 0);
	int n = cim_symlink_show(&view, &got, b.bytes, b.size, shown_links[_i].depth, target);
	ck_assert_str_eq(target, shown_links[_i].target);
	ck_assert_int_eq(n, strlen(target));
	if (shown_links[_i].relative)
		return;
	put_names(&b, CIM_TAG_MOUNT_POINT, 0, shown_links[_i].substitute, u"", WITH_NULS);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), 0);
	n = cim_symlink_show(&view, &got, b.bytes, b.size, shown_links[_i].depth, target);
	ck_assert_str_eq(target, shown_links[_i].target);
	ck_assert_int_eq(n, strlen(target));
}
END_TEST

START_TEST(names_out_of_the_buffer_are_corrupt)
{
	static const uint32_t tags[] = { CIM_TAG_SYMLINK, CIM_TAG_MOUNT_POINT };
	static const uint16_t lies[] = { 1, 3, 17, 18, 0x7FFE, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF };
	struct buffer b;
	struct cim_reparse got;
	char target[TARGET_ROOM];

	for (size_t t = 0; t < N_ROWS(tags); t++) {
		for (size_t field = 8; field < 16; field += 2) {
			for (size_t i = 0; i < N_ROWS(lies); i++) {
				put_names(&b, tags[t], 1, u"..\\a", u"..\\a", SUBSTITUTE_FIRST);
				cim_store16(b.bytes + field, lies[i]);
				ck_assert_msg(parse(b.bytes, b.size, 0, &got, target) ==
						      -CIM_ECORRUPT,
					      "field at %zu is %u", field, lies[i]);
			}
		}
	}
}
END_TEST

START_TEST(empty_or_endless_names_are_corrupt)
{
	static char16_t units[CIM_SYMLINK_MAX + 2];
	struct buffer b;
	struct cim_reparse got;
	char target[TARGET_ROOM];

	put_names(&b, CIM_TAG_SYMLINK, 1, u"", u"a", SUBSTITUTE_FIRST);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), -CIM_ECORRUPT);
	put_names(&b, CIM_TAG_SYMLINK, 0, u"", u"a", SUBSTITUTE_FIRST);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), -CIM_ECORRUPT);
	put_names(&b, CIM_TAG_MOUNT_POINT, 0, u"", u"", WITH_NULS);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), -CIM_ECORRUPT);

	/* 4095 bytes are readable, as units of one byte or of three. */
	for (size_t i = 0; i < CIM_SYMLINK_MAX; i++)
		units[i] = 'x';
	put_names(&b, CIM_TAG_SYMLINK, 1, units, u"", SUBSTITUTE_FIRST);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), 0);
	ck_assert_uint_eq(strlen(target), CIM_SYMLINK_MAX);
	units[CIM_SYMLINK_MAX] = 'x';
	put_names(&b, CIM_TAG_SYMLINK, 1, units, u"", SUBSTITUTE_FIRST);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), -CIM_ECORRUPT);
	memset(units, 0, sizeof(units));
	for (size_t i = 0; i < CIM_SYMLINK_MAX / 3; i++)
		units[i] = 0x65E5;
	put_names(&b, CIM_TAG_SYMLINK, 1, units, u"", SUBSTITUTE_FIRST);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), 0);
	ck_assert_uint_eq(strlen(target), CIM_SYMLINK_MAX);
	units[CIM_SYMLINK_MAX / 3] = 'x';
	put_names(&b, CIM_TAG_SYMLINK, 1, units, u"", SUBSTITUTE_FIRST);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), -CIM_ECORRUPT);
}
END_TEST

START_TEST(nul_in_a_target_is_corrupt)
{
	struct buffer b;
	struct cim_reparse got = { .type = 1 };
	char target[TARGET_ROOM] = "untouched";

	for (size_t unit = 0; unit < 4; unit++) {
		put_names(&b, CIM_TAG_SYMLINK, 1, u"..\\a", u"", SUBSTITUTE_FIRST);
		cim_store16(b.bytes + 20 + 2 * unit, 0);
		ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), -CIM_ECORRUPT);
	}
	start(&b, CIM_TAG_LX_SYMLINK);
	put32(&b, 2);
	put(&b, "a\0b", 3);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), -CIM_ECORRUPT);
	ck_assert_str_eq(target, "untouched");
	ck_assert_uint_eq(got.type, 1);
}
END_TEST

START_TEST(lx_symlink_versions)
{
	struct buffer b;
	struct cim_reparse got;
	char target[TARGET_ROOM] = "untouched";

	start(&b, CIM_TAG_LX_SYMLINK);
	put32(&b, 1);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), 0);
	ck_assert_uint_eq(got.type, S_IFLNK);
	ck_assert(got.target_is_data);
	ck_assert_str_eq(target, "untouched");

	start(&b, CIM_TAG_LX_SYMLINK);
	put32(&b, 2);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), -CIM_ECORRUPT);
	put(&b, "x", 1);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), 0);
	ck_assert_str_eq(target, "x");
	cim_store32(b.bytes + 8, 3);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), -CIM_ECORRUPT);

	cim_store32(b.bytes + 8, 2);
	while (b.size < 12 + CIM_SYMLINK_MAX)
		put(&b, "x", 1);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), 0);
	put(&b, "x", 1);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), -CIM_ECORRUPT);
}
END_TEST

static const struct {
	uint32_t tag;
	uint32_t type;
} specials[] = {
	{ CIM_TAG_AF_UNIX, S_IFSOCK },
	{ CIM_TAG_LX_FIFO, S_IFIFO },
	{ CIM_TAG_LX_CHR, S_IFCHR },
	{ CIM_TAG_LX_BLK, S_IFBLK },
};

START_TEST(special_is_a_bare_tag)
{
	uint8_t want[8] = { 0 }, buf[9] = { 0 };
	struct cim_reparse got;

	cim_store32(want, specials[_i].tag);
	ck_assert_int_eq(cim_reparse_special(specials[_i].type, buf), 8);
	ck_assert_mem_eq(buf, want, 8);
	ck_assert_int_eq(parse(buf, 8, 0, &got, NULL), 0);
	ck_assert_uint_eq(got.type, specials[_i].type);
	ck_assert(!got.has_rdev);

	ck_assert_int_eq(parse(NULL, 0, specials[_i].tag, &got, NULL), 0);
	ck_assert_uint_eq(got.type, specials[_i].type);

	cim_store16(buf + 4, 1);
	ck_assert_int_eq(parse(buf, 9, 0, &got, NULL), -CIM_ECORRUPT);
}
END_TEST

START_TEST(special_is_none_of_the_plain_types)
{
	static const uint32_t types[] = { 0, S_IFREG, S_IFDIR, S_IFLNK, S_IFMT };
	uint8_t buf[8];

	for (size_t i = 0; i < N_ROWS(types); i++)
		ck_assert_int_eq(cim_reparse_special(types[i], buf), 0);
}
END_TEST

static const struct {
	uint64_t nfs_type;
	size_t rest_size;
	uint32_t type;
	int want;
} nfs_files[] = {
	{ 0x00524843, 8, S_IFCHR, 0 },
	{ 0x004B4C42, 8, S_IFBLK, 0 },
	{ 0x4F464946, 0, S_IFIFO, 0 },
	{ 0x4B434F53, 0, S_IFSOCK, 0 },
	{ 0x014B4E4C, 8, S_IFLNK, 0 },
	{ 0x014B4E4C, 7, 0, -CIM_ECORRUPT },
	{ 0x014B4E4C, 0, 0, -CIM_ECORRUPT },
	{ 0x00524843, 7, 0, -CIM_ECORRUPT },
	{ 0x004B4C42, 0, 0, -CIM_ECORRUPT },
	{ 0x1234567800524843, 8, 0, 0 },
	{ 0, 8, 0, 0 },
};

START_TEST(nfs_tag_tells_the_type)
{
	static const uint8_t rest[8] = { 'a', 0, '/', 0, '\\', 0, 'b', 0 };
	cim_le64 nfs_type = cim_put64(nfs_files[_i].nfs_type);
	struct buffer b;
	struct cim_reparse got = { 0 };
	char target[TARGET_ROOM];

	start(&b, CIM_TAG_NFS);
	put(&b, &nfs_type, sizeof(nfs_type));
	put(&b, rest, nfs_files[_i].rest_size);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, target), nfs_files[_i].want);
	ck_assert_uint_eq(got.type, nfs_files[_i].type);
	if (got.type == S_IFLNK)
		ck_assert_str_eq(target, "a/\\b");
	if (got.type == S_IFCHR || got.type == S_IFBLK) {
		ck_assert(got.has_rdev);
		ck_assert_uint_eq(got.major, 0x002F0061);
		ck_assert_uint_eq(got.minor, 0x0062005C);
	}
}
END_TEST

START_TEST(unknown_tag_leaves_a_plain_file)
{
	struct buffer b;
	struct cim_reparse got = { .type = 1 };

	start(&b, 0x80000017); /* WOF */
	put(&b, "anything", 8);
	ck_assert_int_eq(parse(b.bytes, b.size, CIM_TAG_LX_FIFO, &got, NULL), 0);
	ck_assert_uint_eq(got.type, 0);
	ck_assert_int_eq(parse(NULL, 0, 0x80000017, &got, NULL), 0);
	ck_assert_uint_eq(got.type, 0);

	/* A vendor's: 16 bytes of GUID are not counted in the length of the data. */
	start(&b, 0x00001234);
	put(&b, "0123456789ABCDEFdata", 20);
	cim_store16(b.bytes + 4, 4);
	ck_assert_int_eq(parse(b.bytes, b.size, 0, &got, NULL), 0);
	ck_assert_uint_eq(got.type, 0);
	ck_assert_int_eq(parse(b.bytes, b.size - 1, 0, &got, NULL), -CIM_ECORRUPT);
}
END_TEST

START_TEST(link_tag_without_a_buffer_is_corrupt)
{
	static const uint32_t tags[] = { CIM_TAG_SYMLINK, CIM_TAG_MOUNT_POINT, CIM_TAG_LX_SYMLINK,
					 CIM_TAG_NFS };
	struct cim_reparse got;

	for (size_t i = 0; i < N_ROWS(tags); i++)
		ck_assert_int_eq(parse(NULL, 0, tags[i], &got, NULL), -CIM_ECORRUPT);
}
END_TEST

/* Cut with the length as it was, and with a length that fits the cut. */
START_TEST(every_truncation_is_corrupt)
{
	static const char16_t name[] = u"\\??\\C:\\x";
	struct buffer full[5], cut;
	struct cim_reparse got;
	char target[TARGET_ROOM];

	start(&full[0], CIM_TAG_LX_SYMLINK);
	put32(&full[0], 1);
	put_names(&full[1], CIM_TAG_SYMLINK, 1, u"..\\a", u"..\\a", SUBSTITUTE_FIRST);
	put_names(&full[2], CIM_TAG_SYMLINK, 0, name, name + 4, PRINT_FIRST);
	put_names(&full[3], CIM_TAG_MOUNT_POINT, 0, name, name + 4, SUBSTITUTE_FIRST);
	start(&full[4], CIM_TAG_NFS);
	put(&full[4], "CHR\0\0\0\0\0\x01\0\0\0\x02\0\0", 16);

	for (size_t i = 0; i < N_ROWS(full); i++) {
		ck_assert_int_eq(parse(full[i].bytes, full[i].size, 0, &got, target), 0);
		for (size_t size = 1; size < full[i].size; size++) {
			cut = full[i];
			ck_assert_msg(parse(cut.bytes, size, 0, &got, target) == -CIM_ECORRUPT,
				      "buffer %zu cut to %zu bytes", i, size);
			if (size < 8)
				continue;
			cim_store16(cut.bytes + 4, size - 8);
			ck_assert_msg(parse(cut.bytes, size, 0, &got, target) == -CIM_ECORRUPT,
				      "buffer %zu made %zu bytes", i, size);
		}
	}
}
END_TEST

START_TEST(bytes_behind_the_data_are_ignored)
{
	uint8_t buf[sizeof(lx_link) + 1];
	struct cim_reparse got;
	char target[TARGET_ROOM];

	memcpy(buf, lx_link, sizeof(lx_link));
	buf[sizeof(lx_link)] = 'x';
	ck_assert_int_eq(parse(buf, sizeof(buf), 0, &got, target), 0);
	ck_assert_str_eq(target, "../a");
}
END_TEST

/* Any bytes but NUL: the LX form keeps them all, the native one those that it takes. */
START_TEST(random_targets_come_back)
{
	struct test_random rnd = { test_seed(0x51) };
	uint8_t buf[CIM_REPARSE_MAX];
	char want[64], target[TARGET_ROOM];
	struct cim_reparse got;
	int n_native = 0;

	printf("# seed 0x%llx\n", (unsigned long long)rnd.state);
	for (int round = 0; round < 10000; round++) {
		size_t n = 1 + test_random_below(&rnd, sizeof(want) - 1);

		for (size_t i = 0; i < n; i++)
			want[i] = test_random_below(&rnd, 8) ? 1 + test_random_below(&rnd, 255)
							     : "/\\:.\xEF\x80\xED\xA0"[i % 8];
		want[n] = '\0';

		int size = cim_reparse_lx_symlink(want, buf);
		ck_assert_int_eq(size, 12 + (int)n);
		ck_assert(memcmp(buf + 12, want, n) == 0);
		ck_assert_int_eq(parse(buf, size, 0, &got, target), 0);
		ck_assert_str_eq(target, want);

		size = cim_reparse_symlink(want, buf);
		if (size > 0) {
			n_native++;
			ck_assert_int_eq(parse(buf, size, 0, &got, target), 0);
			ck_assert_str_eq(target, want);
			ck_assert(!got.absolute);
		} else {
			ck_assert(want[0] == '/' || want[n - 1] == '/' || strstr(want, "//"));
		}
	}
	ck_assert_int_gt(n_native, 1000);
}
END_TEST

/* Noise behind a known tag; half have a true length, a quarter small numbers in it. */
START_TEST(random_bytes_do_no_harm)
{
	static const uint32_t tags[] = {
		CIM_TAG_MOUNT_POINT, CIM_TAG_SYMLINK, CIM_TAG_LX_SYMLINK,
		CIM_TAG_NFS,         CIM_TAG_LX_CHR,  0x00001234,
	};
	struct test_random rnd = { test_seed(0xBAD) };
	uint8_t bytes[96];
	char target[TARGET_ROOM];
	struct cim_reparse got;
	int n_links = 0;

	printf("# seed 0x%llx\n", (unsigned long long)rnd.state);
	for (int round = 0; round < 100000; round++) {
		size_t size = test_random_below(&rnd, sizeof(bytes) + 1);

		for (size_t i = 0; i < size; i++)
			bytes[i] = test_random_next(&rnd);
		if (size >= 20 && round % 4) {
			cim_store32(bytes, tags[test_random_below(&rnd, N_ROWS(tags))]);
			if (round % 4 > 1)
				cim_store16(bytes + 4, size - 8);
			if (round % 4 == 3)
				for (size_t i = 8; i < 20; i += 2)
					cim_store16(bytes + i, bytes[i] % (size / 4));
		}
		if (parse(bytes, size, test_random_next(&rnd), &got, target) == 0 &&
		    got.type == S_IFLNK && !got.target_is_data) {
			n_links++;
			ck_assert_uint_gt(strnlen(target, TARGET_ROOM), 0);
			ck_assert_uint_lt(strnlen(target, TARGET_ROOM), TARGET_ROOM);
		}
	}
	ck_assert_int_gt(n_links, 100);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("reparse");
	TCase *t = tcase_create("symlink");

	tcase_add_test(t, symlink_builds_known_bytes);
	tcase_add_test(t, symlink_reads_known_bytes);
	tcase_add_test(t, symlink_of_wsl_name_is_escaped_as_wsl_does);
	tcase_add_loop_test(t, symlink_comes_back_from_both_forms, 0, N_ROWS(targets));
	tcase_add_test(t, symlink_lengths_are_limited);
	tcase_add_loop_test(t, windows_symlink_becomes_a_path, 0, N_ROWS(windows_links));
	tcase_add_test(t, mount_point_becomes_a_path);
	tcase_add_loop_test(t, windows_link_is_shown_as_the_view_says, 0, N_ROWS(shown_links));
	tcase_add_test(t, names_out_of_the_buffer_are_corrupt);
	tcase_add_test(t, empty_or_endless_names_are_corrupt);
	tcase_add_test(t, nul_in_a_target_is_corrupt);
	tcase_add_test(t, lx_symlink_versions);
	suite_add_tcase(s, t);

	t = tcase_create("special");
	tcase_add_loop_test(t, special_is_a_bare_tag, 0, N_ROWS(specials));
	tcase_add_test(t, special_is_none_of_the_plain_types);
	tcase_add_loop_test(t, nfs_tag_tells_the_type, 0, N_ROWS(nfs_files));
	tcase_add_test(t, unknown_tag_leaves_a_plain_file);
	tcase_add_test(t, link_tag_without_a_buffer_is_corrupt);
	suite_add_tcase(s, t);

	t = tcase_create("damage");
	tcase_add_test(t, every_truncation_is_corrupt);
	tcase_add_test(t, bytes_behind_the_data_are_ignored);
	tcase_add_test(t, random_targets_come_back);
	tcase_add_test(t, random_bytes_do_no_harm);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return test_run(suite());
}
