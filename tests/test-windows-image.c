/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images as Windows makes them, built byte by byte (winsample.h): every field is read right, in
 * each version of the format, and a fork that changes something loses nothing else.
 */
#include "config.h"

#include <openssl/evp.h>
#include <sys/xattr.h>

#include "imagedir.h"
#include "ntfs-xattr.h"
#include "reader.h"
#include "sddl.h"
#include "winsample.h"

#define OURS UINT32_MAX /* as an owner: whoever runs this */

static void setup_sample(void)
{
	setup_dir();
	for (size_t i = 0; i < WIN_LAYOUTS; i++)
		win_sample(test_store->dirfd, &win_layouts[i], (uint8_t)i);
}

/* What stat(2) and Windows show of a file of the sample. */
static const struct row {
	const char *path;
	uint32_t mode, uid, gid;
	uint32_t major, minor;
	uint64_t size; /* of files that are neither directories nor symlinks */
	uint32_t attributes, tag;
	const char *target; /* of symlinks; "abs": the view's to choose */
	const char *sddl;
} rows[] = {
	{ "", S_IFDIR | 0755, OURS, OURS, .attributes = 0x10 },
	{ "Windows", S_IFDIR | 0755, OURS, OURS, .attributes = 0x10, .sddl = WIN_SDDL },
	{ "Windows/System32/config", S_IFDIR | 0755, OURS, OURS, .attributes = 0x16 },
	{ "Windows/System32/kernel32.dll", S_IFREG | 0755, OURS, OURS, .size = WIN_PE_SIZE,
	  .attributes = 0x20, .sddl = WIN_SDDL },
	{ "Windows/System32/notepad.exe", S_IFREG | 0755, OURS, OURS, .size = 7,
	  .attributes = 0x20 },
	{ "Windows/notepad.exe", S_IFREG | 0755, OURS, OURS, .size = 7, .attributes = 0x20 },
	{ "Windows/System32/hosts", S_IFREG | 0555, OURS, OURS, .size = 21, .attributes = 0x21 },
	{ "Documents and Settings", S_IFLNK | 0777, OURS, OURS, .attributes = 0x416,
	  .tag = 0xA0000003u, .target = "abs" },
	{ "Users/All Users", S_IFLNK | 0777, OURS, OURS, .attributes = 0x410, .tag = 0xA000000Cu,
	  .target = "abs" },
	{ "Users/Public/relative", S_IFLNK | 0777, OURS, OURS, .attributes = 0x400,
	  .tag = 0xA000000Cu, .target = "../a" },
	{ "Users/Public/rooted", S_IFLNK | 0777, OURS, OURS, .attributes = 0x400,
	  .tag = 0xA000000Cu, .target = "abs" },
	{ "Users/Public/ntfs3", S_IFLNK | 0777, OURS, OURS, .attributes = 0x400, .tag = 0xA000000Cu,
	  .target = "../plain/target" },
	{ "Users/Public/download.zip", S_IFREG | 0755, OURS, OURS, .size = 2, .attributes = 0x20 },
	{ "Users/Public/sparse.bin", S_IFREG | 0755, OURS, OURS, .size = 1 << 30,
	  .attributes = 0x220 },
	{ "eas/wsl", S_IFREG | 0644, 1000, 1000, .size = 3, .attributes = 0x80 },
	{ "eas/half", S_IFREG | 0755, 5, OURS, .attributes = 0x80 },
	{ "special/chr", S_IFCHR | 0640, OURS, OURS, 8, 300000, .attributes = 0x400,
	  .tag = 0x80000025u },
	{ "special/blk", S_IFBLK | 0600, OURS, OURS, 5, 77, .attributes = 0x400,
	  .tag = 0x80000026u },
	{ "special/fifo", S_IFIFO | 0644, OURS, OURS, .attributes = 0x400, .tag = 0x80000024u },
	{ "special/sock", S_IFSOCK | 0644, OURS, OURS, .attributes = 0x400, .tag = 0x80000023u },
	{ "special/ntfs3-chr", S_IFCHR | 0666, OURS, OURS, 5, 77, .attributes = 0x80 },
	{ "special/ntfs3-blk-without-device", S_IFREG | 0755, OURS, OURS, .attributes = 0x80 },
	{ "special/ntfs3-fifo", S_IFIFO | 0622, OURS, OURS, .attributes = 0x80 },
	{ "special/ntfs3-sock", S_IFSOCK | 0755, OURS, OURS, .attributes = 0x80 },
	{ "special/nfs-chr", S_IFCHR | 0644, OURS, OURS, 1, 3, .attributes = 0x400,
	  .tag = 0x80000014u },
	{ "special/nfs-fifo", S_IFIFO | 0644, OURS, OURS, .attributes = 0x400, .tag = 0x80000014u },
	{ "special/nfs-lnk", S_IFLNK | 0777, OURS, OURS, .attributes = 0x400, .tag = 0x80000014u,
	  .target = "a/b" },
	{ "special/lx", S_IFLNK | 0777, OURS, OURS, .attributes = 0x400, .tag = 0xA000001Du,
	  .target = "../a" },
	{ "special/lx1", S_IFLNK | 0777, OURS, OURS, .attributes = 0x400, .tag = 0xA000001Du,
	  .target = "to/the:data" },
	{ "lxfs/file", S_IFREG | 0750, 501, 502, .size = 3, .attributes = 0x80 },
	{ "lxfs/link", S_IFLNK | 0777, 501, 502, .attributes = 0x80, .target = "../old/target" },
	{ "lxfs/blk", S_IFBLK | 0640, 501, 502, 7, 9, .attributes = 0x80 },
	{ "lxfs/newer", S_IFREG | 0644, 501, 502, .attributes = 0x80 },
	{ "tags/wci", S_IFREG | 0755, OURS, OURS, .size = 3, .attributes = 0x400,
	  .tag = 0x80000018u },
	{ "tags/wci1", S_IFDIR | 0755, OURS, OURS, .attributes = 0x410, .tag = 0x90001018u },
	{ "tags/wci1/child", S_IFREG | 0755, OURS, OURS, .size = 4, .attributes = 0x80 },
	{ "tags/tombstone", S_IFREG | 0755, OURS, OURS, .size = 9, .attributes = 0x400,
	  .tag = 0xA000001Fu },
	{ "tags/projfs/child", S_IFREG | 0755, OURS, OURS, .size = 6, .attributes = 0x80 },
	{ "tags/cloud", S_IFREG | 0755, OURS, OURS, .size = 5, .attributes = 0x400,
	  .tag = 0x9000301Au },
	{ "tags/appexeclink", S_IFREG | 0755, OURS, OURS, .size = 11, .attributes = 0x400,
	  .tag = 0x8000001Bu },
	{ "tags/wof", S_IFREG | 0755, OURS, OURS, .size = 3, .attributes = 0x400,
	  .tag = 0x80000017u },
	{ "tags/vendor", S_IFREG | 0755, OURS, OURS, .size = 6, .attributes = 0x400,
	  .tag = 0x00001234u },
	{ "many/0000", S_IFREG | 0755, OURS, OURS, .attributes = 0x80 },
	{ "many/1099", S_IFREG | 0755, OURS, OURS, .attributes = 0x80 },
};

static void check_times(const struct row *row, const struct cim_attr *attr)
{
	if (g_str_has_prefix(row->path, "lxfs/") && !g_str_has_suffix(row->path, "newer")) {
		const uint64_t unix_time = 116444736000000000ull;

		ck_assert_uint_eq(attr->accessed,
				  unix_time + WIN_LXATTRB_TIME * 10000000ull + 1234567);
		ck_assert_uint_eq(attr->written,
				  unix_time + (WIN_LXATTRB_TIME + 1) * 10000000ull + 1234568);
		ck_assert_uint_eq(attr->changed,
				  unix_time + (WIN_LXATTRB_TIME + 2) * 10000000ull + 1234569);
	} else {
		ck_assert_uint_eq(attr->written, win_time(attr->id, 1));
		ck_assert_uint_eq(attr->changed, win_time(attr->id, 2));
		ck_assert_uint_eq(attr->accessed, win_time(attr->id, 3));
	}
	ck_assert_uint_eq(attr->created, win_time(attr->id, 0));
}

static void check_row(const struct cim_image *img, const struct row *row)
{
	struct cim_attr attr = image_attr(img, row->path);
	struct cim_entry e = image_entry(img, row->path);
	char target[CIM_SYMLINK_MAX + 1];
	struct cim_winmeta m;

	ck_assert_msg(attr.posix.mode == row->mode, "\"%s\" has mode %o", row->path,
		      attr.posix.mode);
	ck_assert_uint_eq(attr.posix.uid, row->uid == OURS ? getuid() : row->uid);
	ck_assert_uint_eq(attr.posix.gid, row->gid == OURS ? getgid() : row->gid);
	ck_assert_uint_eq(attr.posix.major, row->major);
	ck_assert_uint_eq(attr.posix.minor, row->minor);
	ck_assert_uint_eq(attr.posix.n_links, 1);
	if (!S_ISDIR(row->mode) && !row->target)
		ck_assert_uint_eq(attr.size, row->size);
	check_times(row, &attr);
	int n = cim_file_readlink(img, attr.id, target);
	if (!row->target)
		ck_assert_int_eq(n, -EINVAL);
	else
		ck_assert_uint_eq(attr.size, strlen(target));
	if (row->target && strcmp(row->target, "abs") != 0)
		ck_assert_str_eq(target, row->target);

	ck_assert_int_eq(cim_file_windows(img, &e, &m), 0);
	ck_assert_msg(m.attributes == row->attributes, "\"%s\" has attributes %#x", row->path,
		      m.attributes);
	ck_assert_uint_eq(e.reparse_tag, row->tag);
	if (m.reparse_size)
		ck_assert_uint_eq(cim_load32(m.reparse), row->tag);
	if (row->sddl) {
		g_autofree char *text = NULL;

		ck_assert_uint_eq(m.sd_size, sizeof(win_sd));
		ck_assert_mem_eq(m.sd, win_sd, sizeof(win_sd));
		ck_assert_int_eq(cim_sddl_format(m.sd, m.sd_size, &text), 0);
		ck_assert_str_eq(text, row->sddl);
	} else {
		ck_assert_uint_eq(m.sd_size, 0);
	}
}

START_TEST(every_field_is_read)
{
	struct cim_image *img = open_image(win_layouts[_i].name);

	ck_assert_uint_eq(img->header.version_major, win_layouts[_i].version_major);
	ck_assert_uint_eq(img->n_sets, WIN_SETS);
	ck_assert_uint_eq(img->n_region_files, WIN_REGIONS);
	ck_assert_int_eq(cim_image_is_case_sensitive(img), !win_layouts[_i].case_insensitive);
	for (size_t i = 0; i < N_ROWS(rows); i++)
		check_row(img, &rows[i]);
	ck_assert_uint_eq(image_find(img, "Windows/notepad.exe"),
			  image_find(img, "Windows/System32/notepad.exe"));
	cim_image_unref(img);
}
END_TEST

START_TEST(every_content_is_read)
{
	struct cim_image *img = open_image(win_layouts[_i].name);
	g_autofree uint8_t *pe = g_malloc(WIN_PE_SIZE);
	struct cim_attr attr = image_attr(img, "Users/Public/sparse.bin");
	struct cim_entry e = image_entry(img, "Users/Public/sparse.bin");
	char buf[4];

	for (uint32_t i = 0; i < WIN_PE_SIZE; i++)
		pe[i] = win_pe_byte(i);
	check_content(img, "Windows/System32/kernel32.dll", pe, WIN_PE_SIZE);
	check_text(img, "Windows/System32/hosts", "127.0.0.1 localhost\r\n");
	check_text(img, "Windows/notepad.exe", "notepad");
	check_text(img, "tags/wci1/child", "wci1");
	check_text(img, "tags/tombstone", "tombstone");
	check_text(img, "tags/vendor", "vendor");
	ck_assert_uint_eq(attr.blocks, 0);
	ck_assert_int_eq(cim_stream_read(img, &e.data, (1 << 30) - 2, buf, 4), 2);
	ck_assert_mem_eq(buf, "\0", 2);
	cim_image_unref(img);
}
END_TEST

START_TEST(names_of_windows_are_shown_and_found)
{
	struct cim_image *img = open_image(win_layouts[_i].name);
	g_autoptr(GString) longest = g_string_new("names/");
	uint32_t id;

	for (int i = 0; i < 255; i++)
		g_string_append(longest, "\343\201\202");
	check_text(img, "names/\303\234mlaut.TXT", "umlaut");
	check_text(img, "names/a:b", "raw");     /* E() would have written U+F03A */
	check_text(img, "names/c:d", "escaped"); /* as it has here */
	check_text(img, "names/e\355\260\200", "lone");
	check_text(img, "names/\360\237\230\200", "emoji");
	check_text(img, longest->str, "longest");

	/* In any case, where the image's table says so: letters without ASCII's as well. */
	static const char *const spellings[] = { "WINDOWS/system32/KERNEL32.DLL",
						 "names/\303\274MLAUT.txt", "MANY/0001" };
	for (size_t i = 0; i < N_ROWS(spellings); i++)
		ck_assert_int_eq(cim_path_lookup(img, spellings[i], false, &id),
				 win_layouts[_i].case_insensitive ? 0 : -ENOENT);
	ck_assert_int_eq(image_path_error(img, "Windows/System33"), -ENOENT);
	cim_image_unref(img);
}
END_TEST

/* ---- extended attributes ---- */

/* In the order of the table of their rows; NULL ends a file's. */
static const struct {
	const char *path, *name, *value;
} xattrs[] = {
	{ "Users/Public/download.zip", "user.Zone.Identifier", "[ZoneTransfer]\r\nZoneId=3\r\n" },
	{ "Users/Public/download.zip", "user.empty", "" },
	{ "Users/Public/download.zip", "security.x", "secure" },
	{ "Users/Public", "user.on a directory", "yes" },
	{ "eas/xattr", "user.foo", "bar" },
	{ "eas/clash", "user.foo", "bar" },
	{ "eas/literal", "user.Lower", "case" },
	{ "eas/literal", "user.Mixed", "mixed" },
	{ "eas/literal", "security.selinux", "label" },
	{ "lxfs/file", "user.one", "ONE" },
	{ "lxfs/file", "security.twoXX", "TWO!" },
};

static int count_name(void *arg, const char *name)
{
	const char *want = ((void **)arg)[0];

	*(unsigned int *)((void **)arg)[1] += strcmp(name, want) == 0;
	*(unsigned int *)((void **)arg)[2] += 1;
	return 0;
}

/* How often a name is listed, and how many names there are. */
static unsigned int n_listed(const struct cim_image *img, const struct cim_entry *e,
			     const char *name, unsigned int *ret_all)
{
	unsigned int n = 0, all = 0;
	void *arg[] = { (void *)(uintptr_t)name, &n, &all };

	ck_assert_int_eq(cim_file_list_xattrs(img, e, count_name, arg), 0);
	if (ret_all)
		*ret_all = all;
	return n;
}

START_TEST(eas_and_streams_are_xattrs)
{
	struct cim_image *img = open_image(win_layouts[_i].name);
	char value[64];
	unsigned int all;

	for (size_t i = 0; i < N_ROWS(xattrs); i++) {
		struct cim_entry e = image_entry(img, xattrs[i].path);
		ssize_t n = cim_file_get_xattr(img, &e, xattrs[i].name, value, sizeof(value));

		ck_assert_msg(n == (ssize_t)strlen(xattrs[i].value), "%s of \"%s\": %zd",
			      xattrs[i].name, xattrs[i].path, n);
		ck_assert_mem_eq(value, xattrs[i].value, (size_t)n);
		ck_assert_uint_eq(n_listed(img, &e, xattrs[i].name, NULL), 1);
	}
	struct cim_entry e = image_entry(img, "Users/Public/download.zip");
	/* A stream that no xattr can be is not listed, and says so. */
	ck_assert_uint_eq(n_listed(img, &e, "user.big", &all), 0);
	ck_assert_uint_eq(all, 4);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.big", NULL, 0), -E2BIG);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.sparse", NULL, 0), 1000);
	/* What is no xattr of Linux is neither shown nor listed. */
	e = image_entry(img, "eas/foreign");
	ck_assert_uint_eq(n_listed(img, &e, "", &all), 0);
	ck_assert_uint_eq(all, 0);
	e = image_entry(img, "eas/clash");
	ck_assert_uint_eq(n_listed(img, &e, "user.foo", &all), 1);
	ck_assert_uint_eq(all, 1);
	cim_image_unref(img);
}
END_TEST

static void check_ntfs(const struct cim_image *img, const char *path, const char *name,
		       const void *want, size_t size)
{
	struct cim_entry e = image_entry(img, path);
	g_autofree uint8_t *got = g_malloc(size + 1);
	ssize_t n = cim_file_get_xattr(img, &e, name, got, size + 1);

	ck_assert_msg(n == (ssize_t)size, "%s of \"%s\": %zd, not %zu", name, path, n, size);
	ck_assert_mem_eq(got, want, size);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, name, NULL, 0), (ssize_t)size);
	if (size > 1 && !strstr(name, "times"))
		ck_assert_int_eq(cim_file_get_xattr(img, &e, name, got, size - 1), -ERANGE);
	ck_assert_uint_eq(n_listed(img, &e, name, NULL), 0);
}

START_TEST(windows_metadata_is_in_the_xattrs_of_ntfs3g)
{
	struct cim_image *img = open_image(win_layouts[_i].name);
	uint32_t id = image_find(img, "Windows/System32/kernel32.dll");
	uint64_t times[4], times_be[4];
	static const int order[] = { 0, 1, 3, 2 };
	uint32_t attributes = 0x20;

	for (int i = 0; i < 4; i++) {
		times[i] = win_time(id, order[i]);
		times_be[i] = htobe64(times[i]);
	}
	const char *dll = "Windows/System32/kernel32.dll";
	check_ntfs(img, dll, "system.ntfs_attrib", &attributes, 4);
	check_ntfs(img, dll, "system.ntfs_attrib_be", "\0\0\0\x20", 4);
	check_ntfs(img, dll, "system.dos_attrib", "\x20", 1);
	check_ntfs(img, dll, "system.ntfs_times", times, 32);
	check_ntfs(img, dll, "system.ntfs_times_be", times_be, 32);
	check_ntfs(img, dll, "system.ntfs_crtime", times, 8);
	check_ntfs(img, dll, "system.ntfs_crtime_be", times_be, 8);
	check_ntfs(img, dll, "system.ntfs_acl", win_sd, sizeof(win_sd));
	check_ntfs(img, dll, "system.ntfs_security", win_sd, sizeof(win_sd));
	check_ntfs(img, "Documents and Settings", "system.ntfs_attrib_be", "\0\0\4\x16", 4);

	/* Of the times as many as there is room for. */
	struct cim_entry e = image_entry(img, dll);
	uint64_t some[3];
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "system.ntfs_times", some, 31), 24);
	ck_assert_mem_eq(some, times, 24);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "system.ntfs_times", some, 8), 8);
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "system.ntfs_times", some, 7), -ERANGE);

	/* What is not there, or has no place. */
	static const char *const missing[] = { "system.ntfs_reparse_data", "system.ntfs_ea",
					       "system.ntfs_object_id",    "system.ntfs_dos_name",
					       "system.ntfs_efsinfo",      "system.ntfs_other" };
	for (size_t i = 0; i < N_ROWS(missing); i++)
		ck_assert_int_eq(cim_file_get_xattr(img, &e, missing[i], NULL, 0), -ENODATA);
	cim_image_unref(img);
}
END_TEST

START_TEST(wsl_bytes_come_out_as_they_are)
{
	struct cim_image *img = open_image(win_layouts[_i].name);
	uint8_t on_disk[sizeof(win_lx)], one[sizeof(win_lx_xattr) + 1] = { 0 };

	/* In NTFS' own form the last entry has its own padded size as its next offset. */
	memcpy(on_disk, win_lx, sizeof(win_lx));
	cim_store32(on_disk + 40, 20);
	check_ntfs(img, "eas/wsl", "system.ntfs_ea", on_disk, sizeof(on_disk));
	memcpy(one, win_lx_xattr, sizeof(win_lx_xattr));
	cim_store32(one, 28);
	check_ntfs(img, "eas/xattr", "system.ntfs_ea", one, sizeof(one));
	check_ntfs(img, "Users/Public/relative", "system.ntfs_reparse_data", win_symlink,
		   sizeof(win_symlink));
	check_ntfs(img, "special/lx", "system.ntfs_reparse_data", win_lx_symlink,
		   sizeof(win_lx_symlink));
	cim_image_unref(img);
}
END_TEST

/* ---- forks ---- */

/* Everything that Windows keeps, of the base's file and of the fork's. */
static void check_same_windows(const struct cim_image *a, const struct cim_image *b,
			       const char *path, bool same_times)
{
	static const char *const names[] = { "system.ntfs_attrib",       "system.ntfs_acl",
					     "system.ntfs_reparse_data", "system.ntfs_ea",
					     "system.ntfs_crtime",       "system.ntfs_times" };
	struct cim_entry x = image_entry(a, path), y = image_entry(b, path);

	for (size_t i = 0; i < N_ROWS(names) - !same_times; i++) {
		uint8_t p[1024], q[1024];
		ssize_t n = cim_file_get_xattr(a, &x, names[i], p, sizeof(p));
		ssize_t m = cim_file_get_xattr(b, &y, names[i], q, sizeof(q));

		ck_assert_msg(m == n, "%s of \"%s\": %zd, not %zd", names[i], path, m, n);
		if (n > 0)
			ck_assert_mem_eq(p, q, (size_t)n);
	}
	struct cim_links l, k;
	ck_assert_int_eq(cim_file_streams(a, &x, &l), 0);
	ck_assert_int_eq(cim_file_streams(b, &y, &k), 0);
	ck_assert_uint_eq(l.n, k.n);
}

/* What the base's object ID files say of its contents is of another digest. */
START_TEST(fork_never_takes_another_content_for_its_own)
{
	static const char text[] = "wrong dedup";
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int n;

	/* An entry that lies: our digest of the text, and other bytes of its length. */
	struct cim_image *img = open_image(win_layouts[_i].name);
	char name[CIM_FILE_NAME];
	g_autofree char *path = NULL, *bytes = NULL;
	gsize size;
	cim_objectid_name(&img->sets[1].guid, 0, name);
	path = path_of(name);
	ck_assert(g_file_get_contents(path, &bytes, &size, NULL));
	ck_assert_int_eq(EVP_Digest(text, strlen(text), digest, &n, EVP_sha256(), NULL), 1);
	cim_store32(bytes + 44, 1);
	cim_store64(bytes + 48, strlen(text));
	memcpy(bytes + 56, digest, 24);
	cim_store64(bytes + 80, 4096);
	put_file(name, bytes, 88);
	cim_image_unref(img);

	struct cim_writer *w = open_writer(win_layouts[_i].name, "fork.cim");
	put_text(w, "new", text);
	commit(w);
	check_image_text("fork.cim", "new", text);
}
END_TEST

START_TEST(fork_loses_nothing_of_files_that_it_touches)
{
	struct cim_image *base = open_image(win_layouts[_i].name);
	struct cim_writer *w = open_writer(win_layouts[_i].name, "fork.cim");
	const struct cim_attr attr = { .written = 42 };

	/* A new modification time, of every file. */
	for (size_t i = 0; i < N_ROWS(rows); i++)
		ck_assert_int_eq(cim_writer_set(w, find(w, rows[i].path), CIM_SET_WRITTEN, &attr),
				 0);
	commit(w);
	struct cim_image *img = open_image("fork.cim");
	for (size_t i = 0; i < N_ROWS(rows); i++) {
		struct cim_attr was = image_attr(base, rows[i].path);
		struct cim_attr is = image_attr(img, rows[i].path);

		ck_assert_uint_eq(is.written, 42);
		ck_assert_uint_eq(is.posix.mode, was.posix.mode);
		ck_assert_uint_eq(is.posix.uid, was.posix.uid);
		ck_assert_uint_eq(is.posix.gid, was.posix.gid);
		ck_assert_uint_eq(is.posix.major, was.posix.major);
		ck_assert_uint_eq(is.posix.minor, was.posix.minor);
		ck_assert_uint_eq(is.size, was.size);
		ck_assert_uint_eq(is.accessed, was.accessed);
		if (!g_str_has_prefix(rows[i].path, "lxfs/"))
			check_same_windows(base, img, rows[i].path, false);
	}
	check_text(img, "Users/Public/download.zip", "PK");
	cim_image_unref(img);
	cim_image_unref(base);
}
END_TEST

START_TEST(old_xattrs_can_be_changed)
{
	struct cim_writer *w = open_writer(win_layouts[_i].name, "fork.cim");
	uint32_t id = find(w, "lxfs/file");
	char value[8];
	unsigned int all;

	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.one", "1", 1, XATTR_REPLACE), 0);
	ck_assert_int_eq(cim_writer_remove_xattr(w, id, "security.twoXX"), 0);
	ck_assert_int_eq(cim_writer_remove_xattr(w, id, "security.twoXX"), -ENODATA);
	ck_assert_int_eq(cim_writer_get_xattr(w, id, "user.one", value, 8), 1);
	commit(w);
	struct cim_image *img = open_image("fork.cim");
	struct cim_entry e = image_entry(img, "lxfs/file");
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.one", value, 8), 1);
	ck_assert_int_eq(value[0], '1');
	ck_assert_uint_eq(n_listed(img, &e, "user.one", &all), 1);
	ck_assert_uint_eq(all, 1);
	cim_image_unref(img);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("windows-image");
	TCase *tc = tcase_create("sample");

	tcase_add_checked_fixture(tc, setup_sample, teardown_dir);
	tcase_add_loop_test(tc, every_field_is_read, 0, WIN_LAYOUTS);
	tcase_add_loop_test(tc, every_content_is_read, 0, WIN_LAYOUTS);
	tcase_add_loop_test(tc, names_of_windows_are_shown_and_found, 0, WIN_LAYOUTS);
	tcase_add_loop_test(tc, eas_and_streams_are_xattrs, 0, WIN_LAYOUTS);
	tcase_add_loop_test(tc, windows_metadata_is_in_the_xattrs_of_ntfs3g, 0, WIN_LAYOUTS);
	tcase_add_loop_test(tc, wsl_bytes_come_out_as_they_are, 0, WIN_LAYOUTS);
	tcase_add_loop_test(tc, fork_never_takes_another_content_for_its_own, 0, WIN_LAYOUTS);
	tcase_add_loop_test(tc, fork_loses_nothing_of_files_that_it_touches, 0, WIN_LAYOUTS);
	tcase_add_loop_test(tc, old_xattrs_can_be_changed, 0, WIN_LAYOUTS);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return test_run(suite());
}
