/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "tar-read.h"

#include <inttypes.h>
#include <string.h>

#include "error.h"
#include "tar-sparse.h"

#define ID_MAX      0xFFFFFFFEu /* of owners; the one behind it means none */
#define DRAIN_CHUNK (64 * 1024)

/* A number that may come from the header or from a record, which wins. */
struct field {
	bool ok;
	int64_t n;
};

struct tar_reader {
	struct input *in;
	uint64_t off; /* bytes of the archive that were read */
	bool ended;

	/* For all entries that follow. */
	GString *global;
	GArray *global_records; /* struct pax_record, into global */

	/* Of the entry. */
	struct tar_entry entry;
	GString *name, *link, *refused;
	GString *records; /* as they stand in the archive */
	GArray *merged,
		*rest;      /* struct pax_record; the rest is what is not in the entry's fields */
	GHashTable *index;  /* key -> its place in merged + 1 */
	bool has_extension; /* a header that belongs to the entry that follows was read */
	struct field uid, gid, major, minor;
	struct tar_sparse sparse;
	uint64_t left,
		padding; /* bytes of data that were not read, and of what fills their block */
	guint extent;    /* the piece that is being read, and how much of it was */
	uint64_t extent_done;
};

struct tar_reader *tar_reader_new(struct input *in)
{
	struct tar_reader *t = g_new0(struct tar_reader, 1);

	t->in = in;
	t->global = g_string_new(NULL);
	t->global_records = g_array_new(FALSE, FALSE, sizeof(struct pax_record));
	t->name = g_string_new(NULL);
	t->link = g_string_new(NULL);
	t->refused = g_string_new(NULL);
	t->records = g_string_new(NULL);
	t->merged = g_array_new(FALSE, FALSE, sizeof(struct pax_record));
	t->rest = g_array_new(FALSE, FALSE, sizeof(struct pax_record));
	t->index = g_hash_table_new(g_str_hash, g_str_equal);
	tar_sparse_init(&t->sparse);
	return t;
}

void tar_reader_free(struct tar_reader *t)
{
	if (!t)
		return;
	g_string_free(t->global, TRUE);
	g_array_free(t->global_records, TRUE);
	g_string_free(t->name, TRUE);
	g_string_free(t->link, TRUE);
	g_string_free(t->refused, TRUE);
	g_string_free(t->records, TRUE);
	g_array_free(t->merged, TRUE);
	g_array_free(t->rest, TRUE);
	g_hash_table_destroy(t->index);
	tar_sparse_clear(&t->sparse);
	g_free(t);
}

/* The entry cannot be taken; the first reason stays. */
static void __attribute__((format(printf, 2, 3))) refuse(struct tar_reader *t, const char *fmt, ...)
{
	va_list ap;

	if (t->refused->len > 0)
		return;
	va_start(ap, fmt);
	g_string_vprintf(t->refused, fmt, ap);
	va_end(ap);
}

/* ---- bytes ---- */

/* All of @size bytes, or an error: the archive ends before. */
static int read_all(struct tar_reader *t, void *buf, size_t size)
{
	ssize_t n = input_read(t->in, buf, size);

	if (n < 0)
		return (int)n;
	t->off += (uint64_t)n;
	if ((size_t)n < size)
		return cim_fail(EBADMSG, "the archive is cut off after %" PRIu64 " bytes", t->off);
	return 0;
}

static int skip(struct tar_reader *t, uint64_t size)
{
	uint8_t chunk[DRAIN_CHUNK];
	int r = 0;

	for (size_t n; r == 0 && size > 0; size -= n) {
		n = (size_t)MIN(size, sizeof(chunk));
		r = read_all(t, chunk, n);
	}
	return r;
}

static uint64_t padding_of(uint64_t size)
{
	return (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
}

/* The data of an extended header.  One that is too long is passed over, and the entry is refused.
 */
static int read_extension(struct tar_reader *t, uint64_t size, uint64_t max, GString *ret)
{
	size_t had = ret->len;

	if (size > max - MIN(had, max)) {
		refuse(t,
		       "its extended header is too long: %" PRIu64 " bytes; %" PRIu64 " are taken",
		       had + size, max);
		int r = skip(t, size);
		return r < 0 ? r : skip(t, padding_of(size));
	}
	g_string_set_size(ret, had + (gsize)size);
	int r = read_all(t, ret->str + had, (size_t)size);
	return r < 0 ? r : skip(t, padding_of(size));
}

/* ---- records ---- */

static int keep_global(void *arg, const struct pax_record *r)
{
	g_array_append_vals(arg, r, 1);
	return 0;
}

static int read_global(struct tar_reader *t, uint64_t size)
{
	g_string_truncate(t->global, 0);
	g_array_set_size(t->global_records, 0);
	int r = read_extension(t, size, TAR_GLOBAL_MAX, t->global);
	if (r == 0 && pax_parse(t->global->str, t->global->len, keep_global, t->global_records) < 0)
		refuse(t, "%s", cim_reason());
	return r;
}

static int merge(void *arg, const struct pax_record *r)
{
	struct tar_reader *t = arg;
	guint at = GPOINTER_TO_UINT(g_hash_table_lookup(t->index, r->key));

	/* Those of the first sparse format come one after the other under one key. */
	if (tar_sparse_add(&t->sparse, r))
		return 0;
	if (at > 0) {
		g_array_index(t->merged, struct pax_record, at - 1) = *r;
		return 0;
	}
	g_array_append_vals(t->merged, r, 1);
	g_hash_table_insert(t->index, (gpointer)(uintptr_t)r->key,
			    GUINT_TO_POINTER(t->merged->len));
	return 0;
}

static void set_text(struct tar_reader *t, const char *what, const struct pax_record *r,
		     GString *ret)
{
	if (memchr(r->value, '\0', r->value_size))
		refuse(t, "its %s has a NUL", what);
	else if (r->value_size > TAR_NAME_MAX)
		refuse(t, "its %s is too long: %zu bytes", what, r->value_size);
	else
		g_string_append_len(g_string_truncate(ret, 0), r->value, (gssize)r->value_size);
}

static void set_number(const struct pax_record *r, struct field *ret)
{
	uint64_t n;

	ret->ok = pax_number(r->value, r->value_size, INT64_MAX, &n);
	ret->n = ret->ok ? (int64_t)n : 0;
}

static void set_time(struct tar_reader *t, const struct pax_record *r, struct timespec *ret,
		     bool *ret_has)
{
	if (pax_time(r->value, r->value_size, ret))
		*ret_has = true;
	else
		refuse(t, "its %s is no time", r->key);
}

/* Names under which it does not matter what they are: they are numbered, or not stored. */
static bool is_ignored(const char *key)
{
	static const char *const ignored[] = {
		"comment",    "charset",    "hdrcharset",   "uname",           "gname",
		"SCHILY.dev", "SCHILY.ino", "SCHILY.nlink", "SCHILY.realsize", "SCHILY.fflags",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(ignored); i++)
		if (strcmp(key, ignored[i]) == 0)
			return true;
	return false;
}

/* One record into the entry's fields; false: it belongs to the rest. */
static bool apply_record(struct tar_reader *t, const struct pax_record *r, struct field *size)
{
	struct tar_entry *e = &t->entry;
	const char *key = r->key;

	if (is_ignored(key))
		return true;
	if (strcmp(key, "path") == 0)
		set_text(t, "name", r, t->name);
	else if (strcmp(key, "linkpath") == 0)
		set_text(t, "target", r, t->link);
	else if (strcmp(key, "size") == 0)
		set_number(r, size);
	else if (strcmp(key, "uid") == 0)
		set_number(r, &t->uid);
	else if (strcmp(key, "gid") == 0)
		set_number(r, &t->gid);
	else if (strcmp(key, "SCHILY.devmajor") == 0)
		set_number(r, &t->major);
	else if (strcmp(key, "SCHILY.devminor") == 0)
		set_number(r, &t->minor);
	else if (strcmp(key, "mtime") == 0)
		set_time(t, r, &e->mtime, &e->has_mtime);
	else if (strcmp(key, "atime") == 0)
		set_time(t, r, &e->atime, &e->has_atime);
	else if (strcmp(key, "ctime") == 0)
		set_time(t, r, &e->ctime, &e->has_ctime);
	else if (strcmp(key, "LIBARCHIVE.creationtime") == 0)
		set_time(t, r, &e->btime, &e->has_btime);
	else
		return false;
	return true;
}

/* An empty value takes a field back to what the header says; an attribute may be empty. */
static bool is_unset(const struct pax_record *r)
{
	return r->value_size == 0 && !strchr(r->key, '.');
}

static void apply_records(struct tar_reader *t, struct field *size)
{
	for (guint i = 0; i < t->global_records->len; i++)
		(void)merge(t, &g_array_index(t->global_records, struct pax_record, i));
	if (pax_parse(t->records->str, t->records->len, merge, t) < 0)
		refuse(t, "%s", cim_reason());
	for (guint i = 0; i < t->merged->len; i++) {
		const struct pax_record *r = &g_array_index(t->merged, struct pax_record, i);

		if (!is_unset(r) && !apply_record(t, r, size))
			g_array_append_vals(t->rest, r, 1);
	}
}

const struct pax_record *tar_entry_find(const struct tar_entry *e, const char *key)
{
	for (guint i = 0; i < e->records->len; i++) {
		const struct pax_record *r = &g_array_index(e->records, struct pax_record, i);

		if (strcmp(r->key, key) == 0)
			return r;
	}
	return NULL;
}

/* ---- the header ---- */

static struct field header_number(const char *field, size_t size)
{
	struct field f;

	f.ok = tar_number(field, size, &f.n);
	return f;
}
#define NUMBER(h, member) header_number((h)->member, sizeof((h)->member))

static void append_field(GString *s, const char *field, size_t size)
{
	g_string_append_len(s, field, (gssize)strnlen(field, size));
}

/* The name's first part, which POSIX' headers have, and star's in a shorter field. */
static void header_name(const struct tar_header *h, GString *ret)
{
	bool is_posix = memcmp(h->magic, "ustar\0", 6) == 0;
	bool is_star = is_posix && memcmp((const char *)h + 508, "tar\0", 4) == 0;

	if (is_posix && h->prefix[0]) {
		append_field(ret, h->prefix, is_star ? 131 : sizeof(h->prefix));
		g_string_append_c(ret, '/');
	}
	append_field(ret, h->name, sizeof(h->name));
}

static bool is_header_only(char type)
{
	return type >= TAR_LINK && type <= TAR_FIFO;
}

static uint32_t take_id(struct tar_reader *t, const char *what, struct field f)
{
	if (!f.ok || f.n < 0 || f.n > ID_MAX)
		refuse(t, "its %s is no number, or too large", what);
	return (uint32_t)f.n;
}

/* Of types that are written differently and mean the same, one. */
static char plain_type(struct tar_reader *t, char type)
{
	bool slash = t->name->len > 0 && t->name->str[t->name->len - 1] == '/';

	switch (type) {
	case '\0':
	case TAR_FILE:
	case TAR_CONTIGUOUS:
		/* As it was before there was a type for directories. */
		return slash ? TAR_DIRECTORY : TAR_FILE;
	case TAR_GNU_SPARSE:
		return TAR_FILE;
	case TAR_GNU_DIRECTORY:
		return TAR_DIRECTORY;
	}
	if (!is_header_only(type)) {
		if (g_ascii_isprint(type))
			refuse(t, "it is of a type that is not known here, \"%c\"", type);
		else
			refuse(t, "it is of a type that is not known here, %u", (uint8_t)type);
	}
	return type;
}

static void take_fields(struct tar_reader *t, const struct tar_header *h)
{
	struct tar_entry *e = &t->entry;
	struct field mode = NUMBER(h, mode), mtime = NUMBER(h, mtime);

	e->type = plain_type(t, h->type);
	e->name = t->name->str;
	e->link = t->link->str;
	e->records = t->rest;
	e->mode = (uint32_t)mode.n & 07777;
	e->uid = take_id(t, "owner", t->uid);
	e->gid = take_id(t, "group", t->gid);
	if (!mode.ok)
		refuse(t, "its mode is no number");
	if (!e->has_mtime && !mtime.ok)
		refuse(t, "its mtime is no number");
	if (!e->has_mtime && mtime.ok)
		e->mtime.tv_sec = (time_t)mtime.n;
	e->has_mtime = true;
	if (e->type == TAR_CHAR || e->type == TAR_BLOCK_DEVICE) {
		e->major = take_id(t, "device number", t->major);
		e->minor = take_id(t, "device number", t->minor);
	}
}

/* The sparse map may stand in the header, behind it, in records or before the data. */
static int take_data(struct tar_reader *t, const struct tar_header *h, uint64_t stored)
{
	struct tar_entry *e = &t->entry;
	bool has_data = !is_header_only(h->type);
	int r = 0;

	t->left = has_data ? stored : 0;
	t->padding = padding_of(t->left);
	e->size = e->type == TAR_FILE ? t->left : 0;
	if (h->type == TAR_GNU_SPARSE) {
		tar_sparse_header(&t->sparse, h);
		while (r == 0 && t->sparse.more) {
			uint8_t block[TAR_BLOCK];

			r = read_all(t, block, sizeof(block));
			if (r == 0)
				tar_sparse_block(&t->sparse, block);
		}
	}
	while (r == 0 && tar_sparse_in_data(&t->sparse) && t->left >= TAR_BLOCK) {
		char block[TAR_BLOCK];

		r = read_all(t, block, sizeof(block));
		t->left -= sizeof(block);
		if (r == 0)
			tar_sparse_text(&t->sparse, block);
	}
	if (r < 0 || !t->sparse.used)
		return r;
	if (tar_sparse_finish(&t->sparse, t->left, &e->size) < 0)
		refuse(t, "%s", cim_reason());
	else
		e->extents = t->sparse.extents;
	if (t->sparse.name->len > 0)
		g_string_assign(t->name, t->sparse.name->str);
	e->name = t->name->str;
	return 0;
}

/* The header that is the entry's own, after those that extend it. */
static int take_entry(struct tar_reader *t, const struct tar_header *h, uint64_t size)
{
	struct field stored = { true, (int64_t)size };

	if (t->name->len == 0)
		header_name(h, t->name);
	if (t->link->len == 0)
		append_field(t->link, h->link, sizeof(h->link));
	t->uid = NUMBER(h, uid);
	t->gid = NUMBER(h, gid);
	t->major = NUMBER(h, dev_major);
	t->minor = NUMBER(h, dev_minor);
	apply_records(t, &stored);
	if (!stored.ok)
		return cim_fail(EBADMSG, "\"%s\": its size is no number", t->name->str);
	take_fields(t, h);
	int r = take_data(t, h, (uint64_t)stored.n);
	t->entry.refused = t->refused->len > 0 ? t->refused->str : NULL;
	return r;
}

static int read_name(struct tar_reader *t, uint64_t size, GString *ret)
{
	g_string_truncate(ret, 0);
	int r = read_extension(t, size, TAR_NAME_MAX + 1, ret);

	while (ret->len > 0 && ret->str[ret->len - 1] == '\0')
		g_string_truncate(ret, ret->len - 1);
	if (memchr(ret->str, '\0', ret->len)) {
		refuse(t, "its name or target has a NUL");
		g_string_truncate(ret, strlen(ret->str));
	}
	return r;
}

/* A header; 1: it was an entry's own. */
static int take_header(struct tar_reader *t, const struct tar_header *h)
{
	struct field size = NUMBER(h, size);
	int r;

	/* Links and devices may say anything there. */
	if (is_header_only(h->type))
		size = (struct field){ true, 0 };
	if (!size.ok || size.n < 0)
		return cim_fail(EBADMSG,
				"the header before byte %" PRIu64 " has a size that is no number",
				t->off);
	t->has_extension = h->type != TAR_PAX_GLOBAL && h->type != TAR_GNU_LABEL;
	switch (h->type) {
	case TAR_PAX:
	case TAR_PAX_SUN:
		return read_extension(t, (uint64_t)size.n, TAR_RECORDS_MAX, t->records);
	case TAR_PAX_GLOBAL:
		return read_global(t, (uint64_t)size.n);
	case TAR_GNU_NAME:
		return read_name(t, (uint64_t)size.n, t->name);
	case TAR_GNU_LINK:
		return read_name(t, (uint64_t)size.n, t->link);
	case TAR_GNU_LABEL:
		r = skip(t, (uint64_t)size.n);
		return r < 0 ? r : skip(t, padding_of((uint64_t)size.n));
	}
	r = take_entry(t, h, (uint64_t)size.n);
	return r < 0 ? r : 1;
}

/* ---- entries ---- */

/* Behind the end there may be anything; it is read so that a writer into a pipe can end in peace,
 * and so that a compressor's checksum is seen. */
static int drain(struct tar_reader *t)
{
	uint8_t chunk[DRAIN_CHUNK];
	ssize_t n;

	do
		n = input_read(t->in, chunk, sizeof(chunk));
	while (n == sizeof(chunk));
	t->ended = true;
	return n < 0 ? (int)n : 0;
}

/* The next block; 0 at the end of the archive. */
static int read_block(struct tar_reader *t, uint8_t block[TAR_BLOCK])
{
	uint64_t at = t->off;
	ssize_t n = input_read(t->in, block, TAR_BLOCK);

	if (n < 0)
		return (int)n;
	t->off += (uint64_t)n;
	if (n == 0 && at > 0)
		return cim_fail(EBADMSG,
				"the archive ends after %" PRIu64
				" bytes without its mark of the end: "
				"it may be cut off",
				at);
	if (at == 0 && (n < TAR_BLOCK || (!tar_is_zero(block) && !tar_is_header(block))))
		return cim_fail(EBADMSG, "this is no tar archive");
	if (n < TAR_BLOCK)
		return cim_fail(EBADMSG, "the archive is cut off after %" PRIu64 " bytes", t->off);
	if (tar_is_header(block))
		return 1;
	if (!tar_is_zero(block))
		return cim_fail(EBADMSG,
				"the archive is damaged: at byte %" PRIu64 " there is no header",
				at);
	if (t->has_extension)
		return cim_fail(EBADMSG, "the archive ends with a header that extends none");
	n = input_read(t->in, block, TAR_BLOCK);
	if (n == TAR_BLOCK && !tar_is_zero(block))
		return cim_fail(EBADMSG,
				"the archive is damaged: at byte %" PRIu64
				" there is a block of zeros",
				at);
	return n < 0 ? (int)n : drain(t);
}

static void forget_entry(struct tar_reader *t)
{
	t->entry = (struct tar_entry){ 0 };
	g_string_truncate(t->name, 0);
	g_string_truncate(t->link, 0);
	g_string_truncate(t->refused, 0);
	g_string_truncate(t->records, 0);
	g_array_set_size(t->merged, 0);
	g_array_set_size(t->rest, 0);
	g_hash_table_remove_all(t->index);
	tar_sparse_reset(&t->sparse);
	t->has_extension = false;
	t->extent = 0;
	t->extent_done = 0;
}

int tar_reader_next(struct tar_reader *t, const struct tar_entry **ret)
{
	uint8_t block[TAR_BLOCK];

	if (t->ended)
		return 0;
	int r = skip(t, t->left);
	if (r == 0)
		r = skip(t, t->padding);
	t->left = t->padding = 0;
	forget_entry(t);
	if (r < 0)
		return r;
	do {
		r = read_block(t, block);
		if (r <= 0)
			return r;
		r = take_header(t, (const struct tar_header *)block);
	} while (r == 0);
	*ret = &t->entry;
	return r;
}

/* ---- data ---- */

/* How much can be read from where the reader stands, and where it belongs. */
static uint64_t next_piece(struct tar_reader *t, uint64_t *ret_off)
{
	const GArray *extents = t->entry.extents;

	if (!extents) {
		*ret_off = t->entry.size - t->left;
		return t->left;
	}
	for (; t->extent < extents->len; t->extent++, t->extent_done = 0) {
		const struct tar_extent *x = &g_array_index(extents, struct tar_extent, t->extent);

		if (t->extent_done < x->size) {
			*ret_off = x->off + t->extent_done;
			return x->size - t->extent_done;
		}
	}
	return 0;
}

ssize_t tar_reader_data(struct tar_reader *t, void *buf, size_t size, uint64_t *ret_off)
{
	size_t n = (size_t)MIN(next_piece(t, ret_off), size);

	if (n == 0 || t->entry.type != TAR_FILE)
		return 0;
	int r = read_all(t, buf, n);
	if (r < 0)
		return r;
	t->left -= n;
	t->extent_done += n;
	return (ssize_t)n;
}
