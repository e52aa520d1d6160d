/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tree that has one of everything that Windows and its neighbours store (metadata.md §1, 2, 3,
 * 4).
 *
 * Read by test-windows-image.c and, through make-winimage, by test-windows-mount.sh.
 */
#ifndef CIM_TESTS_WINSAMPLE_H
#define CIM_TESTS_WINSAMPLE_H

#include "winimage.h"

#define WIN_TIME 132223104000000000ull /* 2020-01-01; each file has times of its own from there */

/* The time with index 0 creation, 1 last write, 2 change, 3 last access of a file. */
#define win_time(id, which) (WIN_TIME + (uint64_t)(id)*10000000 + 1234567 + (which))

#define WIN_MANY         1100       /* files of "many": the IDs pass the first file table */
#define WIN_BIG          100000     /* bytes of a stream that no xattr can be */
#define WIN_LXATTRB_TIME 1500000000 /* Unix seconds of old WSL's own times */

/* O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;;0x1200a9;;;BU) */
static const uint8_t win_sd[] = {
	0x01, 0x00, 0x04, 0x94, 0x48, 0x00, 0x00, 0x00, 0x58, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x14, 0x00, 0x00, 0x00, 0x02, 0x00, 0x34, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x03,
	0x14, 0x00, 0xff, 0x01, 0x1f, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x12,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x18, 0x00, 0xa9, 0x00, 0x12, 0x00, 0x01, 0x02, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x05, 0x20, 0x00, 0x00, 0x00, 0x21, 0x02, 0x00, 0x00, 0x01, 0x02, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x05, 0x20, 0x00, 0x00, 0x00, 0x20, 0x02, 0x00, 0x00, 0x01, 0x01,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x12, 0x00, 0x00, 0x00,
};
#define WIN_SDDL "O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;;0x1200a9;;;BU)"

/* $LXUID = $LXGID = 1000, $LXMOD = 0100644 (metadata.md §1.3) */
static const uint8_t win_lx[] = {
	0x14, 0x00, 0x00, 0x00, 0x00, 0x06, 0x04, 0x00, '$',  'L',  'X',  'U',  'I',  'D',  0x00,
	0xe8, 0x03, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x06, 0x04, 0x00, '$',  'L',
	'X',  'G',  'I',  'D',  0x00, 0xe8, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x06, 0x04, 0x00, '$',  'L',  'X',  'M',  'O',  'D',  0x00, 0xa4, 0x81, 0x00, 0x00, 0x00,
};

/* LX.USER.FOO = "lxea" "bar" (metadata.md §1.5), without the padding behind the last entry */
static const uint8_t win_lx_xattr[] = {
	0x00, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x07, 0x00, 'L', 'X', '.', 'U', 'S', 'E',
	'R',  '.',  'F',  'O',  'O',  0x00, 'l',  'x',  'e', 'a', 'b', 'a', 'r',
};

/* The relative link "../a", print name first (metadata.md §2.3) */
static const uint8_t win_symlink[] = {
	0x0c, 0x00, 0x00, 0xa0, 0x1c, 0x00, 0x00, 0x00, 0x08, 0x00, 0x08, 0x00,
	0x00, 0x00, 0x08, 0x00, 0x01, 0x00, 0x00, 0x00, 0x2e, 0x00, 0x2e, 0x00,
	0x5c, 0x00, 0x61, 0x00, 0x2e, 0x00, 0x2e, 0x00, 0x5c, 0x00, 0x61, 0x00,
};

/* The LX link "../a" (metadata.md §2.5) */
static const uint8_t win_lx_symlink[] = {
	0x1d, 0x00, 0x00, 0xa0, 0x08, 0x00, 0x00, 0x00,
	0x02, 0x00, 0x00, 0x00, 0x2e, 0x2e, 0x2f, 0x61,
};

/* ---- Windows' own ---- */

/* 4096 bytes of headers as they are, then sections that are mapped 512 bytes later, and 1024. */
#define WIN_PE_SIZE 12288
static inline uint8_t win_pe_byte(uint32_t at)
{
	return (uint8_t)(at * 7 + at / 256);
}

WIN_HELPER struct win_stream win_pe_image(struct winimage *b)
{
	static const uint32_t maps[2][2] = { { 4096, 512 }, { 8192, 1024 } };
	g_autofree uint8_t *data = g_malloc0(WIN_PE_SIZE + 1024);
	uint8_t pe[24 + 16] = { 0 };

	for (uint32_t i = 0; i < WIN_PE_SIZE; i++)
		data[i + (i < 4096 ? 0 : i < 8192 ? 512 : 1024)] = win_pe_byte(i);
	cim_store64(pe, win_object(b, WIN_R_OLD_DATA, data, WIN_PE_SIZE + 1024));
	cim_store64(pe + 8, 1ull << 63 | (WIN_PE_SIZE + 1024));
	cim_store32(pe + 16, WIN_PE_SIZE);
	cim_store16(pe + 20, 2);
	for (int i = 0; i < 2; i++) {
		cim_store32(pe + 24 + 8 * i, maps[i][0]);
		cim_store32(pe + 28 + 8 * i, maps[i][1]);
	}
	return (struct win_stream){ win_object(b, WIN_R_OLD_META, pe, sizeof(pe)),
				    WIN_PE_SIZE | (uint64_t)WIN_PE << 48 };
}

WIN_HELPER void win_add_system(struct winimage *b)
{
	struct win_file *windows = win_add(b, 1, "Windows", true);
	struct win_file *system = win_add(b, windows->id, "System32", true);
	struct win_file *config = win_add(b, system->id, "config", true);
	struct win_file *dll = win_add(b, system->id, "kernel32.dll", false);
	struct win_file *notepad = win_add(b, system->id, "notepad.exe", false);
	struct win_file *hosts = win_add(b, system->id, "hosts", false);

	config->flags = 2 | 4;
	dll->flags = 8;
	dll->data = win_pe_image(b);
	dll->sd_off = win_counted(b, WIN_R_OLD_META, win_sd, sizeof(win_sd));
	windows->sd_off = dll->sd_off;
	notepad->flags = 8;
	notepad->data = win_text(b, WIN_R_MID_DATA, "notepad");
	win_name(b, windows->id, notepad->id, "notepad.exe");
	hosts->flags = 1 | 8;
	hosts->data = win_text(b, WIN_R_OLD_SMALL, "127.0.0.1 localhost\r\n");
}

WIN_HELPER void win_add_users(struct winimage *b)
{
	struct win_file *users = win_add(b, 1, "Users", true);
	struct win_file *public = win_add(b, users->id, "Public", true);
	struct win_file *f = win_add(b, 1, "Documents and Settings", true);

	f->flags = 2 | 4;
	win_link(b, f, "\\??\\C:\\Users", "C:\\Users", -1);
	f = win_add(b, users->id, "All Users", true);
	win_link(b, f, "\\??\\C:\\ProgramData", "C:\\ProgramData", 0);
	f = win_add(b, public->id, "volume", true);
	win_link(b, f, "\\??\\Volume{01234567-89ab-cdef-0123-456789abcdef}\\x", "", -1);
	f = win_add(b, public->id, "relative", false);
	win_reparse(b, f, win_symlink, sizeof(win_symlink));
	f = win_add(b, public->id, "rooted", false);
	win_link(b, f, "\\Users\\Public", "\\Users\\Public", 1);
	f = win_add(b, public->id, "ntfs3", false);
	win_link(b, f, "\\??\\../plain/target", "../plain/target", 0);

	f = win_add(b, public->id, "download.zip", false);
	f->flags = 8;
	f->data = win_text(b, WIN_R_SMALL, "PK");
	win_stream(f, "Zone.Identifier",
		   win_text(b, WIN_R_SMALL, "[ZoneTransfer]\r\nZoneId=3\r\n"));
	win_stream(f, "empty", (struct win_stream){ 0 });
	win_stream(f, "sparse", (struct win_stream){ 0, 1000 | WIN_SPARSE });
	g_autofree uint8_t *big = g_malloc(WIN_BIG);
	memset(big, 'B', WIN_BIG);
	win_stream(f, "big", win_data(b, WIN_R_MID_DATA, big, WIN_BIG));
	win_stream(f, "ntfs-3g.security.x", win_text(b, WIN_R_SMALL, "secure"));
	win_stream(public, "on a directory", win_text(b, WIN_R_SMALL, "yes"));

	f = win_add(b, public->id, "sparse.bin", false);
	f->flags = 16 | 8;
	f->data = (struct win_stream){ 0, 1ull << 30 | WIN_SPARSE };
}

/* ---- EAs ---- */

WIN_HELPER void win_add_eas(struct winimage *b)
{
	g_autoptr(GByteArray) list = g_byte_array_new();
	struct win_file *dir = win_add(b, 1, "eas", true);
	struct win_file *f = win_add(b, dir->id, "foreign", false);

	win_ea(list, 0x80, "$KERNEL.PURGE.X", "\1\2\3", 3, false);
	win_ea(list, 0, "COMMENT", "plain", 5, true);
	win_eas(b, f, list->data, list->len);

	f = win_add(b, dir->id, "wsl", false);
	f->data = win_text(b, WIN_R_SMALL, "wsl");
	win_eas(b, f, win_lx, sizeof(win_lx));
	f = win_add(b, dir->id, "xattr", false);
	win_eas(b, f, win_lx_xattr, sizeof(win_lx_xattr));

	/* An EA and a stream of one name: the EA is shown. */
	f = win_add(b, dir->id, "clash", false);
	win_eas(b, f, win_lx_xattr, sizeof(win_lx_xattr));
	win_stream(f, "foo", win_text(b, WIN_R_SMALL, "the stream"));

	/* As ntfs3 and wimlib spell them, and in the form of NTFS on disk. */
	g_byte_array_set_size(list, 0);
	win_ea(list, 0, "user.Lower", "case", 4, false);
	win_ea(list, 0, "LX.user.Mixed", "lxeamixed", 9, false);
	win_ea(list, 0, "security.selinux", "label", 5, false);
	f = win_add(b, dir->id, "literal", false);
	win_eas(b, f, list->data, list->len);

	/* Owner alone; a mode of the wrong type; a group that is none. */
	g_byte_array_set_size(list, 0);
	win_ea(list, 0, "$LXUID", "\x05\0\0", 4, false);
	win_ea(list, 0, "$LXGID", "\xff\xff\xff\xff", 4, false);
	win_ea(list, 0, "$LXMOD", "\xed\x41\0", 4, true); /* 040755 */
	f = win_add(b, dir->id, "half", false);
	win_eas(b, f, list->data, list->len);
}

/* ---- special files ---- */

WIN_HELPER void win_mode_eas(struct winimage *b, struct win_file *f, uint32_t mode, const void *dev,
			     size_t dev_size)
{
	g_autoptr(GByteArray) list = g_byte_array_new();
	uint8_t le[4];

	cim_store32(le, mode);
	if (dev_size)
		win_ea(list, 0, "$LXDEV", dev, dev_size, false);
	win_ea(list, 0, "$LXMOD", le, 4, true);
	win_eas(b, f, list->data, list->len);
}

WIN_HELPER void win_add_specials(struct winimage *b)
{
	struct win_file *dir = win_add(b, 1, "special", true);
	struct win_file *f;
	uint8_t dev8[8], dev4[4];

	cim_store32(dev8, 8);
	cim_store32(dev8 + 4, 300000);
	cim_store32(dev4, 5u << 20 | 77);
	f = win_add(b, dir->id, "chr", false);
	win_tag(b, f, 0x80000025u, "", 0);
	win_mode_eas(b, f, 020640, dev8, 8);
	f = win_add(b, dir->id, "blk", false);
	win_tag(b, f, 0x80000026u, "", 0);
	win_mode_eas(b, f, 060600, dev4, 4);
	f = win_add(b, dir->id, "fifo", false);
	win_tag(b, f, 0x80000024u, "", 0);
	f = win_add(b, dir->id, "sock", false);
	f->tag = 0x80000023u; /* the tag alone */

	/* ntfs3: no reparse point */
	f = win_add(b, dir->id, "ntfs3-chr", false);
	win_mode_eas(b, f, 020666, dev4, 4);
	f = win_add(b, dir->id, "ntfs3-blk-without-device", false);
	win_mode_eas(b, f, 060666, NULL, 0);
	f = win_add(b, dir->id, "ntfs3-fifo", false);
	win_mode_eas(b, f, 010622, NULL, 0);
	f = win_add(b, dir->id, "ntfs3-sock", false);
	win_mode_eas(b, f, 0140755, NULL, 0);

	/* the NFS server's */
	f = win_add(b, dir->id, "nfs-chr", false);
	win_tag(b, f, 0x80000014u, "CHR\0\0\0\0\0\x01\0\0\0\x03\0\0", 16);
	f = win_add(b, dir->id, "nfs-fifo", false);
	win_tag(b, f, 0x80000014u, "FIFO\0\0\0", 8);
	f = win_add(b, dir->id, "nfs-lnk", false);
	win_tag(b, f, 0x80000014u, "LNK\1\0\0\0\0a\0/\0b", 14);

	f = win_add(b, dir->id, "lx", false);
	win_reparse(b, f, win_lx_symlink, sizeof(win_lx_symlink));
	f = win_add(b, dir->id, "lx1", false);
	win_tag(b, f, 0xA000001Du, "\1\0\0", 4);
	f->data = win_text(b, WIN_R_SMALL, "to/the:data");
}

/* Old WSL: LXATTRB and LXXATTR (metadata.md §1.6). */
WIN_HELPER void win_lxattrb(GByteArray *list, uint32_t mode, uint32_t rdev, bool last)
{
	uint8_t v[56] = { 0 };

	cim_store16(v + 2, 1);
	cim_store32(v + 4, mode);
	cim_store32(v + 8, 501);
	cim_store32(v + 12, 502);
	cim_store32(v + 16, rdev);
	for (uint32_t i = 0; i < 3; i++) { /* atime, mtime, ctime */
		cim_store32(v + 20 + 4 * i, 123456700 + 100 * i);
		cim_store64(v + 32 + 8 * i, WIN_LXATTRB_TIME + i);
	}
	win_ea(list, 0, "LXATTRB", v, sizeof(v), last);
}

WIN_HELPER void win_add_old_wsl(struct winimage *b)
{
	g_autoptr(GByteArray) list = g_byte_array_new();
	struct win_file *dir = win_add(b, 1, "lxfs", true);
	struct win_file *f = win_add(b, dir->id, "file", false);
	static const char xattrs[] = "\0\0\1\0"
				     "\x14\0\0\0\3\0\x08user.oneONE\0\0" /* 20 bytes to the next */
				     "\0\0\0\0\4\0\x0esecurity.twoXXTWO!";

	f->data = win_text(b, WIN_R_SMALL, "old");
	win_lxattrb(list, 0100750, 0, false);
	win_ea(list, 0, "LXXATTR", xattrs, sizeof(xattrs) - 1, true);
	win_eas(b, f, list->data, list->len);

	g_byte_array_set_size(list, 0);
	win_lxattrb(list, 0120777, 0, true);
	f = win_add(b, dir->id, "link", false);
	f->data = win_text(b, WIN_R_SMALL, "../old/target");
	win_eas(b, f, list->data, list->len);

	g_byte_array_set_size(list, 0);
	win_lxattrb(list, 060640, 7u << 20 | 9, true);
	f = win_add(b, dir->id, "blk", false);
	win_eas(b, f, list->data, list->len);

	/* What a newer one has written counts. */
	g_byte_array_set_size(list, 0);
	win_lxattrb(list, 0100750, 0, false);
	win_ea(list, 0, "$LXMOD", "\xa4\x81\0", 4, true);
	f = win_add(b, dir->id, "newer", false);
	win_eas(b, f, list->data, list->len);
}

/* ---- tags that mean nothing on Linux, and names ---- */

WIN_HELPER void win_add_tags(struct winimage *b)
{
	static const struct {
		const char *name;
		uint32_t tag;
		bool is_dir;
	} rows[] = {
		{ "wci", 0x80000018u, false },       { "wci1", 0x90001018u, true },
		{ "tombstone", 0xA000001Fu, false }, { "projfs", 0x9000001Cu, true },
		{ "cloud", 0x9000301Au, false },     { "appexeclink", 0x8000001Bu, false },
		{ "wof", 0x80000017u, false },       { "dedup", 0x80000013u, false },
	};
	struct win_file *dir = win_add(b, 1, "tags", true);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct win_file *f = win_add(b, dir->id, rows[i].name, rows[i].is_dir);

		win_tag(b, f, rows[i].tag, "data", 4);
		if (rows[i].is_dir)
			win_add(b, f->id, "child", false)->data =
				win_text(b, WIN_R_SMALL, rows[i].name);
		else
			f->data = win_text(b, WIN_R_SMALL, rows[i].name);
	}

	/* A vendor's, with its GUID. */
	uint8_t vendor[8 + 16 + 6];
	cim_store32(vendor, 0x00001234u);
	cim_store16(vendor + 4, 6);
	cim_store16(vendor + 6, 0);
	memset(vendor + 8, 0x5A, 16);
	memcpy(vendor + 24, "vendor", 6);
	struct win_file *f = win_add(b, dir->id, "vendor", false);
	f->data = win_text(b, WIN_R_SMALL, "vendor");
	win_reparse(b, f, vendor, sizeof(vendor));
}

WIN_HELPER void win_add_names(struct winimage *b)
{
	static const uint16_t escaped[] = { 'c', 0xF03A, 'd' }, lone[] = { 'e', 0xDC00 };
	uint16_t longest[255];
	struct win_file *dir = win_add(b, 1, "names", true);
	struct win_file *f = win_add(b, dir->id, "\303\234mlaut.TXT", false);

	f->data = win_text(b, WIN_R_SMALL, "umlaut");
	f = win_add(b, dir->id, "a:b", false); /* shown as W() has it */
	f->data = win_text(b, WIN_R_SMALL, "raw");
	f = win_file(b, false, dir->id);
	win_name_units(b, dir->id, f->id, escaped, 3);
	f->data = win_text(b, WIN_R_SMALL, "escaped");
	f = win_file(b, false, dir->id);
	win_name_units(b, dir->id, f->id, lone, 2);
	f->data = win_text(b, WIN_R_SMALL, "lone");
	f = win_add(b, dir->id, "\360\237\230\200", false);
	f->data = win_text(b, WIN_R_SMALL, "emoji");
	for (int i = 0; i < 255; i++)
		longest[i] = 0x3042; /* three bytes each */
	f = win_file(b, false, dir->id);
	win_name_units(b, dir->id, f->id, longest, 255);
	f->data = win_text(b, WIN_R_SMALL, "longest");
}

WIN_HELPER void win_add_many(struct winimage *b)
{
	struct win_file *dir = win_add(b, 1, "many", true);
	char name[16];

	for (int i = 0; i < WIN_MANY; i++) {
		snprintf(name, sizeof(name), "%04d", i);
		(void)win_add(b, dir->id, name, false);
	}
}

/** win_sample - the whole tree in a directory; @seed tells images of one directory apart */
WIN_HELPER void win_sample(int dirfd, const struct win_layout *layout, uint8_t seed)
{
	struct winimage b;

	win_begin(&b, layout, seed);
	win_add_system(&b);
	win_add_users(&b);
	win_add_eas(&b);
	win_add_specials(&b);
	win_add_old_wsl(&b);
	win_add_tags(&b);
	win_add_names(&b);
	win_add_many(&b);
	for (uint32_t id = 1; id <= b.files->len; id++)
		for (int i = 0; i < 4; i++)
			win_at(&b, id)->times[i] = win_time(id, i);
	win_end(&b, dirfd);
}

/* The three versions of the format that are known, with what differs between writers. */
static const struct win_layout win_layouts[] = {
	{ "v1.cim", 1, 0, 88, true, true },
	{ "v2.cim", 2, 0, 96, false, true },
	{ "v3.cim", 3, 0, 104, false, false },
};
#define WIN_LAYOUTS (sizeof(win_layouts) / sizeof(win_layouts[0]))

#endif
