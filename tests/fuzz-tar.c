/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: tars, from the compressed bytes to what an entry says of a file.  Checksums of
 * headers are made right, so that mutants get further than those.
 */
#include "config.h"

#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "acl.h"
#include "error.h"
#include "fuzz-layer.h"
#include "tar-acl.h"
#include "tar-write.h"
#include "util.h"

#define ENTRIES_MAX 10000
#define DATA_MAX    (64 * 1024 * 1024)

static bool never(void *arg)
{
	return false;
}

static void seal_headers(uint8_t *bytes, size_t size)
{
	for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
		struct tar_header *h = (struct tar_header *)(void *)(bytes + at);

		if (memcmp(h->magic, "ustar", 5) == 0)
			tar_seal(h);
	}
}

/* An ACL that was read is written as it was read. */
static void check_acl(const struct pax_record *r)
{
	g_autoptr(GByteArray) blob = NULL, again = NULL;
	g_autoptr(GString) text = g_string_new(NULL);

	if (tar_acl_parse(r->value, r->value_size, &blob) < 0)
		return;
	fuzz_check(cim_acl_check(blob->data, blob->len) == 0);
	tar_acl_format(blob->data, blob->len, text);
	fuzz_check(tar_acl_parse(text->str, text->len, &again) == 0);
	fuzz_check(again->len == blob->len && memcmp(again->data, blob->data, blob->len) == 0);
}

static void check_records(const struct tar_entry *e)
{
	for (guint i = 0; i < e->records->len; i++) {
		const struct pax_record *r = &g_array_index(e->records, struct pax_record, i);

		fuzz_check(*r->key && tar_entry_find(e, r->key));
		check_acl(r);
	}
}

/* Times of images are in this range; so they are when they are written. */
static void check_time(struct timespec ts)
{
	const int64_t most = INT64_C(1) << 40;
	char text[PAX_TIME];
	struct timespec again;

	fuzz_check(ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000);
	if (ts.tv_sec > most || ts.tv_sec < -most)
		return;
	pax_put_time(ts, text);
	fuzz_check(pax_time(text, strlen(text), &again));
	fuzz_check(again.tv_sec == ts.tv_sec && again.tv_nsec == ts.tv_nsec);
}

/* What is taken as a file of Windows has passed the gate, and is written as it was read. */
static void check_layer(const struct tar_entry *e)
{
	g_autofree char *stream = layer_stream_of(e->name, "f");
	struct layer_file f;

	for (enum layer_use use = LAYER_AUTO; use <= LAYER_NEVER; use++) {
		int r = layer_parse(e, use, &f);

		fuzz_check(r == 0 || r == -EINVAL || r == -E2BIG || r == -CIM_ECORRUPT);
		if (r == 0 && f.is_windows) {
			fuzz_check(cim_winmeta_check(CIM_WIN_ALL, &f.meta) == 0);
			fuzz_check_layer(&f.meta, e->type, e->link);
		}
		fuzz_check(use != LAYER_NEVER || !f.is_windows);
		layer_file_clear(&f);
	}
}

static uint64_t check_data(struct tar_reader *t, const struct tar_entry *e)
{
	static uint8_t buf[16 * 1024];
	uint64_t off, last = 0, sum = 0;
	ssize_t n;

	while ((n = tar_reader_data(t, buf, sizeof(buf), &off)) > 0) {
		fuzz_check(off >= last && off + (uint64_t)n <= e->size);
		last = off + (uint64_t)n;
		sum += (uint64_t)n;
	}
	return sum;
}

static void check_archive(struct input *in)
{
	struct tar_reader *t = tar_reader_new(in);
	const struct tar_entry *e;
	uint64_t sum = 0;

	/* A compressed one may go on for longer than anyone wants to wait. */
	for (int i = 0; i < ENTRIES_MAX && sum < DATA_MAX; i++) {
		int r = tar_reader_next(t, &e);

		fuzz_check(r == 0 || r == 1 || r == -EBADMSG);
		if (r <= 0) {
			fuzz_check(r < 0 || tar_reader_next(t, &e) == 0);
			break;
		}
		if (e->refused)
			continue;
		fuzz_check(strchr("0123456", e->type) != NULL);
		check_time(e->mtime);
		check_time(e->atime);
		check_records(e);
		check_layer(e);
		sum += check_data(t, e);
	}
	tar_reader_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree uint8_t *copy = g_memdup2(data, size);
	cim_autofd fd = memfd_create("tar", MFD_CLOEXEC);
	char path[64];
	struct input *in;

	if (copy)
		seal_headers(copy, size);
	fuzz_check(fd >= 0 && cim_pwrite_full(fd, copy, size, 0) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int r = input_open(path, never, NULL, &in);
	fuzz_check(r == 0 || r == -EBADMSG);
	if (r == 0) {
		check_archive(in);
		input_close(in);
	}
	return 0;
}

/* ---- seeds ---- */

static void add_text(GString *records, const char *key, const char *value)
{
	pax_add(records, key, value, strlen(value));
}

/* An archive of one entry; mutants of small ones get around more. */
static void emit_entry(fuzz_emit_fn emit, const struct tar_entry *e, const GString *records,
		       const char *data)
{
	cim_autofd fd = memfd_create("seed", MFD_CLOEXEC);
	struct tar_writer *t = tar_writer_new(fd);
	uint8_t bytes[TAR_RECORD];
	size_t size = sizeof(bytes);

	(void)tar_write_entry(t, e, records);
	if (*data)
		(void)tar_write_data(t, data, strlen(data));
	(void)tar_write_end(t);
	tar_writer_free(t);
	fuzz_check(cim_pread_full(fd, bytes, size, 0) == 0);
	while (size > TAR_BLOCK && tar_is_zero(bytes + size - TAR_BLOCK))
		size -= TAR_BLOCK;
	emit(bytes, MIN(size + 2 * TAR_BLOCK, sizeof(bytes)));
}

static void emit_linux(fuzz_emit_fn emit)
{
	g_autoptr(GString) records = g_string_new(NULL);
	g_autoptr(GArray) extents = g_array_new(FALSE, FALSE, sizeof(struct tar_extent));
	const struct tar_extent pieces[] = { { 0, 2 }, { 5000, 3 } };
	struct tar_entry e = { .type = TAR_DIRECTORY, .name = "d", .mode = 0755 };

	emit_entry(emit, &e, NULL, "");
	add_text(records, "SCHILY.acl.access",
		 "user::rw-,user:7:r--,group::r--,mask::r--,other::---");
	add_text(records, "SCHILY.xattr.user.a", "1");
	e = (struct tar_entry){ .type = TAR_FILE, .name = "d/f", .size = 3, .mtime.tv_nsec = 5 };
	emit_entry(emit, &e, records, "abc");
	g_array_append_vals(extents, pieces, G_N_ELEMENTS(pieces));
	e = (struct tar_entry){ .type = TAR_FILE, .name = "s", .size = 9000, .extents = extents };
	emit_entry(emit, &e, NULL, "abcde");
	e = (struct tar_entry){ .type = TAR_LINK, .name = "l", .link = "d/f" };
	emit_entry(emit, &e, NULL, "");
}

static void emit_windows(fuzz_emit_fn emit)
{
	g_autoptr(GString) records = g_string_new(NULL);
	struct tar_entry e = { .type = TAR_SYMLINK, .name = "j", .link = "C:/Windows" };

	add_text(records, "MSWINDOWS.fileattr", "1040");
	add_text(records, "MSWINDOWS.rawsd", "AQAEgAAAAAAAAAAAAAAAAAAAAAA=");
	add_text(records, "MSWINDOWS.xattr.A", "dmFsdWU=");
	add_text(records, "MSWINDOWS.mountpoint", "1");
	emit_entry(emit, &e, records, "");
	g_string_truncate(records, 0);
	add_text(records, "MSWINDOWS.sd", "O:BAG:SYD:(A;;FA;;;SY)");
	add_text(records, "CIMFS.reparse", "GwAAgAQAAABhYmNk");
	add_text(records, "CIMFS.eas", "AAAAAIABAQBBAHYA");
	e = (struct tar_entry){ .type = TAR_FILE, .name = "w", .has_btime = true };
	emit_entry(emit, &e, records, "");
}

/* ---- seeds that our writer does not make ---- */

static void put(GByteArray *tar, const void *data, size_t size)
{
	static const uint8_t zeros[TAR_BLOCK];

	g_byte_array_append(tar, data, (guint)size);
	if (size % TAR_BLOCK)
		g_byte_array_append(tar, zeros, TAR_BLOCK - size % TAR_BLOCK);
}

static struct tar_header make_header(char type, const char *name, size_t size)
{
	struct tar_header h = { .type = type, .magic = "ustar\0" };

	memcpy(h.magic + 6, "00", 2);
	g_strlcpy(h.name, name, sizeof(h.name));
	g_strlcpy(h.mode, "0000644", sizeof(h.mode));
	(void)tar_put_number(h.size, sizeof(h.size), size);
	return h;
}

static void put_header(GByteArray *tar, struct tar_header h)
{
	tar_seal(&h);
	put(tar, &h, sizeof(h));
}

static void put_extension(GByteArray *tar, char type, const void *data, size_t size)
{
	put_header(tar, make_header(type, "extension", size));
	put(tar, data, size);
}

static void emit_tar(fuzz_emit_fn emit, GByteArray *tar)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	put(tar, zeros, sizeof(zeros));
	emit(tar->data, tar->len);
	g_byte_array_set_size(tar, 0);
}

struct record {
	const char *key, *value;
};

/* An entry with records, up to one without a key. */
static void emit_records(fuzz_emit_fn emit, char type, const struct record *r)
{
	g_autoptr(GByteArray) tar = g_byte_array_new();
	g_autoptr(GString) records = g_string_new(NULL);

	for (; r->key; r++)
		add_text(records, r->key, r->value);
	put_extension(tar, TAR_PAX, records->str, records->len);
	put_header(tar, make_header(type, "f", 0));
	emit_tar(emit, tar);
}

static void emit_each(fuzz_emit_fn emit, char type, const struct record *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct record one[] = { r[i], { NULL, NULL } };

		emit_records(emit, type, one);
	}
}

static void emit_pax(fuzz_emit_fn emit)
{
	static const struct record fields[] = {
		{ "path", "name" },
		{ "linkpath", "target" },
		{ "size", "0" },
		{ "uid", "70000" },
		{ "gid", "70000" },
		{ "SCHILY.devmajor", "1" },
		{ "mtime", "1.25" },
		{ "SCHILY.devminor", "3" },
		{ "atime", "2" },
		{ "ctime", "3" },
		{ "comment", "is ignored" },
		{ "mtime", "1.5" },
		{ "uname", "somebody" },
		{ "gname", "" },
		{ "SCHILY.xattr.user.e", "" },
		{ "charset", "BINARY" },
		{ "LIBARCHIVE.creationtime", "-1.5" },
		{ NULL, NULL },
	};
	static const struct record single[] = {
		{ "path", "" },
		{ "size", "x" },
		{ "uid", "4294967295" },
		{ "mtime", "-1.25" },
		{ "mtime", "-2" },
		{ "mtime", "1." },
		{ "mtime", "-1.0000000001" },
		{ "mtime", "-1.0000000000" },
		{ "mtime", "-1.9999999991" },
		{ "mtime", "1.x" },
		{ "mtime", "-" },
		{ "atime", "18446744073709551615" },
		{ "size", "18446744073709551616" },
		{ "path", "g/" },
		{ "path", "f:s" },
		{ "path", "f:s:$DATA" },
	};
#define TEXT(text)                     \
	{                              \
		text, sizeof(text) - 1 \
	}
	static const struct {
		const char *bytes;
		size_t size;
	} damaged[] = {
		TEXT("5 a=\n"),
		TEXT("9 path=ab\n"),
		TEXT("0 a=b\n"),
		TEXT("x a=b\n"),
		TEXT("99 a=b\n"),
		TEXT("6 =ab\n"),
		TEXT("6 abc\n"),
		TEXT("7 a=bcd"),
		TEXT("06 a=b\n"),
		TEXT("20 path=with\0 a NUL\n"),
		TEXT("16 pa\0th=in key\n"),
	};
#undef TEXT
	g_autoptr(GByteArray) tar = g_byte_array_new();

	emit_records(emit, TAR_FILE, fields);
	emit_records(emit, TAR_CHAR, fields);
	emit_records(emit, TAR_SYMLINK, fields);
	emit_each(emit, TAR_FILE, single, G_N_ELEMENTS(single));
	for (size_t i = 0; i < G_N_ELEMENTS(damaged); i++) {
		put_extension(tar, TAR_PAX, damaged[i].bytes, damaged[i].size);
		put_header(tar, make_header(TAR_FILE, "f", 0));
		emit_tar(emit, tar);
		put_extension(tar, TAR_PAX_GLOBAL, damaged[i].bytes, damaged[i].size);
		put_extension(tar, TAR_PAX_SUN, "6 a=b\n", 6);
		put_header(tar, make_header(TAR_FILE, "f", 0));
		emit_tar(emit, tar);
	}
	put_extension(tar, TAR_PAX_GLOBAL, "6 a=b\n", 6);
	put_extension(tar, TAR_PAX_GLOBAL, "14 uid=100000\n", 14);
	put_header(tar, make_header(TAR_FILE, "f", 0));
	put_header(tar, make_header(TAR_FILE, "g", 0));
	emit_tar(emit, tar);
}

/* Numbers that are none, or more than there are. */
static void emit_numbers(fuzz_emit_fn emit)
{
	static const struct {
		size_t off, size;
		const char *value;
	} fields[] = {
		{ offsetof(struct tar_header, mode), 8, "rw-r--r-" },
		{ offsetof(struct tar_header, uid), 8, "\377\377\377\377\377\377\377\377" },
		{ offsetof(struct tar_header, uid), 8, "\200\0\0\1\0\0\0\0" },
		{ offsetof(struct tar_header, gid), 8, "  17\0\0\0\0" },
		{ offsetof(struct tar_header, gid), 8, "        " },
		{ offsetof(struct tar_header, gid), 8, "7 7     " },
		{ offsetof(struct tar_header, size), 12, "notanumber!!" },
		{ offsetof(struct tar_header, size), 12,
		  "\377\377\377\377\377\377\377\377"
		  "\377\377\377\377" },
		{ offsetof(struct tar_header, mtime), 12, "yesterday..." },
		{ offsetof(struct tar_header, mtime), 12,
		  "\377\377\377\377\377\377\377\377"
		  "\377\377\377\376" },
		{ offsetof(struct tar_header, mtime), 12, "\200\0\0\1\0\0\0\0\0\0\0\0" },
		{ offsetof(struct tar_header, dev_major), 8, "\377\0\0\0\0\0\0\0" },
		{ offsetof(struct tar_header, prefix), 8, "a/prefix" },
		{ offsetof(struct tar_header, padding) + 8, 4, "tar" },
		{ offsetof(struct tar_header, magic), 8, "ustar  " },
	};
	g_autoptr(GByteArray) tar = g_byte_array_new();

	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
		struct tar_header h = make_header(i % 2 ? TAR_BLOCK_DEVICE : TAR_FILE, "f", 0);

		if (fields[i].off == offsetof(struct tar_header, size))
			h.type = TAR_FILE;
		if (fields[i].size == 4)
			h.prefix[0] = 'p';
		memcpy((char *)&h + fields[i].off, fields[i].value, fields[i].size);
		put_header(tar, h);
		emit_tar(emit, tar);
	}
}

static void emit_types(fuzz_emit_fn emit)
{
	static const char types[] = "\0001234567DVZ\001N";
	g_autoptr(GByteArray) tar = g_byte_array_new();

	for (size_t i = 0; i < sizeof(types); i++) {
		put_header(tar, make_header(types[i], "f", 3));
		put(tar, "abc", 3);
		put_header(tar, make_header(types[i], "d/", 0));
		emit_tar(emit, tar);
	}
	put_extension(tar, TAR_GNU_NAME, "a long name\0\0", 13);
	put_extension(tar, TAR_GNU_LINK, "a long target", 13);
	put_header(tar, make_header(TAR_SYMLINK, "f", 0));
	put_extension(tar, TAR_GNU_NAME, "a\0b", 3);
	put_header(tar, make_header(TAR_FILE, "f", 0));
	put_extension(tar, TAR_GNU_NAME, "\0", 1);
	put_header(tar, make_header(TAR_FILE, "f", 0));
	emit_tar(emit, tar);
	put_header(tar, make_header(TAR_GNU_NAME, "too long", 200000));
	emit_tar(emit, tar);
	put_header(tar, make_header(TAR_PAX, "too long", 9000000));
	emit_tar(emit, tar);
}

static struct tar_header make_sparse(const char *pairs, size_t size, bool more, const char *whole)
{
	struct tar_header h = make_header(TAR_GNU_SPARSE, "s", 5);
	char *bytes = (char *)&h;

	memcpy(bytes + 386, pairs, size);
	bytes[482] = more;
	g_strlcpy(bytes + 483, whole, 12);
	return h;
}

static void emit_gnu_sparse(fuzz_emit_fn emit)
{
	static const char pair[] = "00000000000\00000000000005";
	static const char second[24] = "00000001000\00000000000000",
			  wrong[24] = "0\0\0\0\0\0\0\0\0\0\0\0x";
	g_autoptr(GByteArray) tar = g_byte_array_new();
	char block[TAR_BLOCK] = { 0 };

	put_header(tar, make_sparse(pair, 24, false, "00000010000"));
	put(tar, "abcde", 5);
	emit_tar(emit, tar);
	put_header(tar, make_sparse(wrong, 24, true, "00000010000"));
	put(tar, block, sizeof(block));
	put(tar, "abcde", 5);
	emit_tar(emit, tar);
	put_header(tar, make_sparse(pair, 24, true, "x"));
	memcpy(block, second, sizeof(second));
	block[504] = 1;
	put(tar, block, sizeof(block));
	block[504] = 0;
	put(tar, block, sizeof(block));
	put(tar, "abcde", 5);
	emit_tar(emit, tar);
	put_header(tar, make_sparse(pair, 24, true, "00000010000"));
	memcpy(block, second, sizeof(second));
	memcpy(block + 24, wrong, sizeof(wrong));
	put(tar, block, sizeof(block));
	put(tar, "abcde", 5);
	emit_tar(emit, tar);
	put_header(tar, make_sparse(pair, 24, true, "00000010000"));
	emit(tar->data, tar->len); /* the next block is missing */
}

/* PAX' three forms: pieces in records, all in one of them, or before the data. */
static void emit_pax_sparse(fuzz_emit_fn emit)
{
#define S "GNU.sparse."
	static const struct record pieces[] = {
		{ S "size", "100" },   { S "numblocks", "1" }, { S "offset", "0" },
		{ S "numbytes", "0" }, { NULL, NULL },
	};
	static const struct record list[] = {
		{ S "name", "real name" },
		{ S "realsize", "100" },
		{ S "map", "0,0,50,0" },
		{ NULL, NULL },
	};
	static const struct record two_offsets[] = {
		{ S "size", "9" },
		{ S "offset", "0" },
		{ S "offset", "0" },
		{ NULL, NULL },
	};
	static const struct record no_size[] = { { S "map", "0,0" }, { NULL, NULL } };
	static const struct record half[] = {
		{ S "size", "9" },
		{ S "map", "0,0,1" },
		{ NULL, NULL },
	};
	static const struct record order[] = {
		{ S "size", "9" },
		{ S "map", "8,1,4,1" },
		{ NULL, NULL },
	};
	static const struct record past[] = {
		{ S "size", "9" },
		{ S "map", "10,0" },
		{ NULL, NULL },
	};
	static const struct record past_size[] = {
		{ S "size", "9" },
		{ S "map", "8,2" },
		{ NULL, NULL },
	};
	static const struct record no_number[] = { { S "map", "0,x,1" }, { NULL, NULL } };
	static const struct record version[] = { { S "major", "2" }, { NULL, NULL } };
	static const struct record *const all[] = { pieces, list, two_offsets, no_size,   half,
						    order,  past, past_size,   no_number, version };
	static const char *const maps[] = {
		"1\n0\n3\n",
		"2\n0\n1\n50\n2\n",
		"0\n",
		"x\n",
		"1\n\n",
		"2000000\n",
		"1\n0\n",
		"1\n0\n99999999999999999999\n",
		"000000000000000000001\n",
		"99999999999999999999999\n",
	};
	g_autoptr(GByteArray) tar = g_byte_array_new();
	g_autoptr(GString) records = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
		emit_records(emit, TAR_FILE, all[i]);
	add_text(records, S "major", "1");
	add_text(records, S "minor", "0");
	add_text(records, S "realsize", "100");
	pax_add(records, S "other", "", 0);
	for (size_t i = 0; i < G_N_ELEMENTS(maps); i++) {
		put_extension(tar, TAR_PAX, records->str, records->len);
		put_header(tar, make_header(TAR_FILE, "s", TAR_BLOCK + 3));
		put(tar, maps[i], strlen(maps[i]));
		put(tar, "abc", 3);
		emit_tar(emit, tar);
	}
	put_extension(tar, TAR_PAX, "22 GNU.sparse.name=\0a\n", 22);
	put_header(tar, make_header(TAR_FILE, "s", 0));
	emit_tar(emit, tar);
#undef S
}

static void emit_acls(fuzz_emit_fn emit)
{
#define ACL "SCHILY.acl.access"
	static const struct record acls[] = {
		{ ACL, "u::rwx\ng::r-x\no::r--" },
		{ ACL, "user::rwx,user:root:rw-:0,group::r-x,group:root:r--,m:rwx,other:r--" },
		{ ACL, "user::rwx,group::r-x,group:7:r--,group:8:-w-,mask::rwx,other::--x" },
		{ ACL, "user::rwx,user:9:r-x:9,user:8:r--,group::r-x,mask::rwx,other::--x" },
		{ ACL, "user::rwx,user:no such user:r--,group::r-x,mask::rwx,other::---" },
		{ ACL, "user::rwx,group:no such group:r--,group::r-x,mask::rwx,other::---" },
		{ ACL, "user::rwx,user:a:r--:b,group::r-x,mask::rwx,other::---" },
		{ ACL, "user::rwx #effective:r--\n\n,group::r-x,other::---" },
		{ ACL, "user::rwx,group::r-x,mask:7:rwx,other::---" },
		{ ACL, "user::rwx,group::r-x,other:7:---" },
		{ ACL, "user::rwxx,group::r-x,other::---" },
		{ ACL, "user::rwz,group::r-x,other::---" },
		{ ACL, "user::rwx,user::rwx,group::r-x,other::---" },
		{ ACL, "user" },
		{ ACL, "user:r" },
		{ ACL, ":" },
		{ ACL, "default:user::rwx" },
	};
#undef ACL

	emit_each(emit, TAR_FILE, acls, G_N_ELEMENTS(acls));
}

static void emit_layers(fuzz_emit_fn emit)
{
#define W "MSWINDOWS."
	static const struct record single[] = {
		{ W "fileattr", "32" },
		{ W "fileattr", "4294967296" },
		{ W "rawsd", "AQAEgAAAAAAAAAAAAAAAAAAAAAA" },  /* no base64 */
		{ W "rawsd", "AQAEgAAAAAAAAAAAAAAAAAAAAAB=" }, /* bits behind the last byte */
		{ W "rawsd", "AQAEgA==" },
		{ W "sd", "D:(A;;FA;;;SY)" },
		{ W "sd", "not SDDL" },
		{ W "mountpoint", "1" },
		{ W "xattr.A", "" },
		{ W "xattr.A", "dmFsdWU" },
		{ W "xattr.", "dmFsdWU=" },
		{ W "other", "" },
		{ "CIMFS.reparse", "JAAAgAAAAAA=" }, /* a FIFO */
		{ "CIMFS.reparse", "DAAAoAwAAAAAAAAAAAAAAAAAAAA=" },
		{ "CIMFS.reparse", "x" },
		{ "CIMFS.eas", "AAAAAAABAQBBAHYA" }, /* padded at its end */
		{ "CIMFS.eas", "x" },
	};
	static const struct record both[] = {
		{ W "rawsd", "AQAEgAAAAAAAAAAAAAAAAAAAAAA=" },
		{ W "sd", "D:" },
		{ W "xattr.A", "dmFsdWU=" },
		/* two of one name, which a tar can only say as a whole */
		{ "CIMFS.eas", "DAAAAAABAQBBAHYAAAAAAAABAQBBAHc=" },
		{ NULL, NULL },
	};
	uint8_t link[CIM_REPARSE_MAX];
	static const char *const targets[] = { "C:/a", "\\\\server\\share", "//?/C:/a", "relative",
					       "",     "\377\303\251" };
	g_autoptr(GByteArray) tar = g_byte_array_new();

	emit_each(emit, TAR_FILE, single, G_N_ELEMENTS(single));
	emit_each(emit, TAR_DIRECTORY, single, G_N_ELEMENTS(single));
	emit_each(emit, TAR_SYMLINK, single, G_N_ELEMENTS(single));
	emit_records(emit, TAR_FILE, both);
	/* A symlink to Windows, of a file that is none here. */
	int n = layer_reparse("target", false, link);
	g_autofree char *text = g_base64_encode(link, (gsize)n);
	emit_records(emit, TAR_FILE,
		     (const struct record[]){ { "CIMFS.reparse", text }, { NULL, NULL } });
	for (size_t i = 0; i < G_N_ELEMENTS(targets); i++)
		for (int junction = 0; junction < 2; junction++) {
			struct tar_header h = make_header(TAR_SYMLINK, "l", 0);
			g_autoptr(GString) records = g_string_new(NULL);

			add_text(records, junction ? W "mountpoint" : W "fileattr", "1");
			put_extension(tar, TAR_PAX, records->str, records->len);
			g_strlcpy(h.link, targets[i], sizeof(h.link));
			put_header(tar, h);
			emit_tar(emit, tar);
		}
#undef W
}

/* Archives that end where they should not, or are none. */
static void emit_ends(fuzz_emit_fn emit)
{
	g_autoptr(GByteArray) tar = g_byte_array_new();
	char block[TAR_BLOCK] = { 0 };

	put_extension(tar, TAR_PAX, "6 a=b\n", 6);
	emit_tar(emit, tar); /* an extension of nothing */
	put_header(tar, make_header(TAR_FILE, "f", 0));
	emit(tar->data, tar->len);
	emit(tar->data, tar->len - 1);
	put(tar, block, sizeof(block));
	emit(tar->data, tar->len);
	put(tar, "no zeros", 8);
	emit(tar->data, tar->len);
	emit("no tar", 6);
	memset(block, 'x', sizeof(block));
	emit(block, sizeof(block));
	g_byte_array_set_size(tar, 0);
	put_header(tar, make_header(TAR_FILE, "f", 0));
	put(tar, "no header", 9);
	emit(tar->data, tar->len);
	g_byte_array_set_size(tar, 0);
	put_header(tar, make_header(TAR_FILE, "f", 5000));
	put(tar, "the rest is missing", 19);
	emit(tar->data, tar->len);
}

void fuzz_seeds(fuzz_emit_fn emit)
{
	emit_linux(emit);
	emit_windows(emit);
	emit_pax(emit);
	emit_numbers(emit);
	emit_types(emit);
	emit_gnu_sparse(emit);
	emit_pax_sparse(emit);
	emit_acls(emit);
	emit_layers(emit);
	emit_ends(emit);
}
