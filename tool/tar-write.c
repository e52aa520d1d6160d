/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "tar-write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "error.h"

#define BUFFER (1024 * 1024)

struct tar_writer {
	int fd;
	uint64_t off;  /* bytes of the archive so far */
	uint64_t left; /* of the entry's data */
	size_t padding;
	GString *records; /* of the entry */
	size_t n;
	uint8_t buffer[BUFFER];
};

struct tar_writer *tar_writer_new(int fd)
{
	struct tar_writer *t = g_new0(struct tar_writer, 1);

	t->fd = fd;
	t->records = g_string_new(NULL);
	return t;
}

void tar_writer_free(struct tar_writer *t)
{
	if (!t)
		return;
	g_string_free(t->records, TRUE);
	g_free(t);
}

/* ---- bytes ---- */

static int flush(struct tar_writer *t)
{
	size_t done = 0;

	while (done < t->n) {
		ssize_t n = write(t->fd, t->buffer + done, t->n - done);

		if (n < 0 && errno != EINTR)
			return cim_fail(errno, "cannot write the archive: %s", g_strerror(errno));
		done += n < 0 ? 0 : (size_t)n;
	}
	t->n = 0;
	return 0;
}

/* @data: NULL for zeros */
static int put(struct tar_writer *t, const void *data, size_t size)
{
	const uint8_t *from = data;
	int r = 0;

	t->off += size;
	for (size_t part; r == 0 && size > 0; size -= part) {
		part = MIN(size, BUFFER - t->n);
		if (from)
			memcpy(t->buffer + t->n, from, part);
		else
			memset(t->buffer + t->n, 0, part);
		from = from ? from + part : NULL;
		t->n += part;
		if (t->n == BUFFER)
			r = flush(t);
	}
	return r;
}

static size_t padding_of(uint64_t size)
{
	return (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

/* ---- headers ---- */

static void add_text(struct tar_writer *t, const char *key, const char *text)
{
	pax_add(t->records, key, text, strlen(text));
}

static void add_number(struct tar_writer *t, const char *key, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	add_text(t, key, text);
}

static void add_time(struct tar_writer *t, const char *key, struct timespec ts)
{
	char text[PAX_TIME];

	pax_put_time(ts, text);
	add_text(t, key, text);
}

/* A name into the header's fields, cut at a slash; false if it does not fit. */
static bool put_name(struct tar_header *h, const char *name)
{
	size_t n = strlen(name);

	if (n <= sizeof(h->name)) {
		memcpy(h->name, name, n);
		return true;
	}
	/* As much as fits into the second part, so that the first is as short as it can be. */
	for (const char *slash = strchr(name + n - sizeof(h->name) - 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		size_t first = (size_t)(slash - name);

		if (first == 0 || first > sizeof(h->prefix) || slash[1] == '\0')
			continue;
		memcpy(h->prefix, name, first);
		memcpy(h->name, slash + 1, n - first - 1);
		return true;
	}
	memcpy(h->name, name, sizeof(h->name));
	return false;
}

/* @key: of the record that says it where the field cannot */
static void put_number(struct tar_writer *t, char *field, size_t size, uint64_t n, const char *key)
{
	if (!tar_put_number(field, size, n))
		add_number(t, key, n);
}
#define PUT_NUMBER(t, h, member, n, key) put_number(t, (h)->member, sizeof((h)->member), n, key)

static void put_times(struct tar_writer *t, struct tar_header *h, const struct tar_entry *e)
{
	bool whole = e->mtime.tv_nsec == 0 && e->mtime.tv_sec >= 0;

	if (!whole || !tar_put_number(h->mtime, sizeof(h->mtime), (uint64_t)e->mtime.tv_sec)) {
		/* For those who do not read the record, as near as it gets. */
		(void)tar_put_number(h->mtime, sizeof(h->mtime), (uint64_t)MAX(e->mtime.tv_sec, 0));
		add_time(t, "mtime", e->mtime);
	}
	if (e->has_atime)
		add_time(t, "atime", e->atime);
	if (e->has_ctime)
		add_time(t, "ctime", e->ctime);
	if (e->has_btime)
		add_time(t, "LIBARCHIVE.creationtime", e->btime);
}

static void begin_header(struct tar_header *h, char type)
{
	memset(h, 0, sizeof(*h));
	memcpy(h->magic,
	       "ustar\0"
	       "00",
	       sizeof(h->magic));
	h->type = type;
}

static void fill_header(struct tar_writer *t, const struct tar_entry *e, const char *name,
			uint64_t size, struct tar_header *h)
{
	size_t n = e->link ? strlen(e->link) : 0;
	bool binary = !g_utf8_validate(name, -1, NULL) ||
		      (e->link && !g_utf8_validate(e->link, -1, NULL));

	begin_header(h, e->type);
	if (!put_name(h, name)) {
		if (binary)
			add_text(t, "hdrcharset", "BINARY");
		add_text(t, "path", name);
		binary = false;
	}
	if (n > 0)
		memcpy(h->link, e->link, MIN(n, sizeof(h->link)));
	if (n > sizeof(h->link)) {
		if (binary)
			add_text(t, "hdrcharset", "BINARY");
		add_text(t, "linkpath", e->link);
	}
	(void)tar_put_number(h->mode, sizeof(h->mode), e->mode & 07777);
	PUT_NUMBER(t, h, uid, e->uid, "uid");
	PUT_NUMBER(t, h, gid, e->gid, "gid");
	PUT_NUMBER(t, h, size, size, "size");
	if (e->type == TAR_CHAR || e->type == TAR_BLOCK_DEVICE) {
		PUT_NUMBER(t, h, dev_major, e->major, "SCHILY.devmajor");
		PUT_NUMBER(t, h, dev_minor, e->minor, "SCHILY.devminor");
	}
	put_times(t, h, e);
}

/* The records in an entry of their own; nothing in it but them depends on anything. */
static int put_records(struct tar_writer *t)
{
	struct tar_header h;
	int r;

	if (t->records->len == 0)
		return 0;
	begin_header(&h, TAR_PAX);
	memcpy(h.name, "PaxHeader", strlen("PaxHeader"));
	(void)tar_put_number(h.mode, sizeof(h.mode), 0644);
	(void)tar_put_number(h.uid, sizeof(h.uid), 0);
	(void)tar_put_number(h.gid, sizeof(h.gid), 0);
	(void)tar_put_number(h.size, sizeof(h.size), t->records->len);
	(void)tar_put_number(h.mtime, sizeof(h.mtime), 0);
	tar_seal(&h);
	r = put(t, &h, sizeof(h));
	if (r == 0)
		r = put(t, t->records->str, t->records->len);
	return r < 0 ? r : put(t, NULL, padding_of(t->records->len));
}

/* ---- sparse files: PAX' form 1.0, a map of text in front of the data ---- */

static GString *sparse_map(const struct tar_entry *e, uint64_t *ret_data)
{
	GString *map = g_string_new(NULL);
	uint64_t end = 0;
	guint n = e->extents->len;

	*ret_data = 0;
	for (guint i = 0; i < n; i++) {
		const struct tar_extent *x = &g_array_index(e->extents, struct tar_extent, i);

		*ret_data += x->size;
		end = x->off + x->size;
	}
	/* A hole at the end is an empty piece behind it. */
	bool ends_in_hole = end < e->size;
	g_string_append_printf(map, "%u\n", n + ends_in_hole);
	for (guint i = 0; i < n; i++) {
		const struct tar_extent *x = &g_array_index(e->extents, struct tar_extent, i);

		g_string_append_printf(map, "%" PRIu64 "\n%" PRIu64 "\n", x->off, x->size);
	}
	if (ends_in_hole)
		g_string_append_printf(map, "%" PRIu64 "\n0\n", e->size);
	while (map->len % TAR_BLOCK)
		g_string_append_c(map, '\0');
	return map;
}

/* "dir/GNUSparseFile.0/name", which is what those see who do not know the form. */
static char *sparse_name(const char *name)
{
	const char *slash = strrchr(name, '/');
	int dir = slash ? (int)(slash - name) + 1 : 0;

	return g_strdup_printf("%.*sGNUSparseFile.0/%s", dir, name, name + dir);
}

static int write_sparse(struct tar_writer *t, const struct tar_entry *e)
{
	g_autofree char *name = sparse_name(e->name);
	struct tar_header h;
	uint64_t data;
	GString *map = sparse_map(e, &data);

	add_text(t, "GNU.sparse.major", "1");
	add_text(t, "GNU.sparse.minor", "0");
	if (!g_utf8_validate(e->name, -1, NULL))
		add_text(t, "hdrcharset", "BINARY");
	add_text(t, "GNU.sparse.name", e->name);
	add_number(t, "GNU.sparse.realsize", e->size);
	fill_header(t, e, name, map->len + data, &h);
	tar_seal(&h);
	t->left = data;
	t->padding = padding_of(data);
	int r = put_records(t);
	if (r == 0)
		r = put(t, &h, sizeof(h));
	if (r == 0)
		r = put(t, map->str, map->len);
	g_string_free(map, TRUE);
	return r;
}

/* ---- entries ---- */

static int write_plain(struct tar_writer *t, const struct tar_entry *e)
{
	bool is_dir = e->type == TAR_DIRECTORY;
	g_autofree char *name = g_strconcat(e->name, is_dir ? "/" : NULL, NULL);
	uint64_t size = e->type == TAR_FILE ? e->size : 0;
	struct tar_header h;

	fill_header(t, e, name, size, &h);
	tar_seal(&h);
	t->left = size;
	t->padding = padding_of(size);
	int r = put_records(t);
	return r < 0 ? r : put(t, &h, sizeof(h));
}

int tar_write_entry(struct tar_writer *t, const struct tar_entry *e, const GString *records)
{
	g_string_truncate(t->records, 0);
	if (records)
		g_string_append_len(t->records, records->str, (gssize)records->len);
	int r = e->type == TAR_FILE && e->extents ? write_sparse(t, e) : write_plain(t, e);
	return r == 0 && t->left == 0 ? put(t, NULL, t->padding) : r;
}

int tar_write_data(struct tar_writer *t, const void *data, size_t size)
{
	int r = put(t, data, size);

	t->left -= size;
	return r == 0 && t->left == 0 ? put(t, NULL, t->padding) : r;
}

int tar_write_end(struct tar_writer *t)
{
	int r = put(t, NULL, 2 * TAR_BLOCK);

	if (r == 0)
		r = put(t, NULL, (size_t)((TAR_RECORD - t->off % TAR_RECORD) % TAR_RECORD));
	return r < 0 ? r : flush(t);
}
