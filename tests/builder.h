/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images of other writers, built byte by byte in memory: what our writer never makes.
 */
#ifndef CIM_TESTS_BUILDER_H
#define CIM_TESTS_BUILDER_H

#include <glib.h>

#include "format.h"
#include "support.h"
#include "upcase.h"

/* One region file, which grows; file 1 is the root. */
struct builder {
	struct cim_guid guid;
	GByteArray *region;
	GByteArray *entries; /* of entry_size bytes */
	uint32_t entry_size;
	uint32_t version;
	uint64_t upcase_off;
};

struct name {
	const uint16_t *units;
	uint32_t n_units;
	uint32_t id;
	struct cim_stream stream;
};

TEST_HELPER uint64_t build(struct builder *b, const void *bytes, size_t size)
{
	static const uint8_t zeros[8];

	while (b->region->len % 8)
		g_byte_array_append(b->region, zeros, 1);
	uint64_t off = b->region->len;
	g_byte_array_append(b->region, bytes, (guint)size);
	return off;
}

/** builder_begin_bare - without an upcase table: set b->upcase_off to one that lies elsewhere */
TEST_HELPER void builder_begin_bare(struct builder *b, uint32_t version, uint32_t entry_size)
{
	struct cim_region_disk head = { 0 };

	*b = (struct builder){ .guid = { "built by hand  " },
			       .region = g_byte_array_new(),
			       .entries = g_byte_array_new(),
			       .entry_size = entry_size,
			       .version = version };
	cim_common_encode(&head.common, CIM_FILE_REGION, sizeof(head));
	head.common.version_major = cim_put32(version);
	build(b, &head, sizeof(head));
}

/** builder_begin - an image that compares names as they are */
TEST_HELPER void builder_begin(struct builder *b, uint32_t version, uint32_t entry_size)
{
	g_autofree uint8_t *upcase = g_malloc(CIM_UPCASE_SIZE);

	builder_begin_bare(b, version, entry_size);
	cim_upcase_identity_write(upcase);
	b->upcase_off = build(b, upcase, CIM_UPCASE_SIZE);
}

/* The file's ID. */
TEST_HELPER uint32_t build_entry(struct builder *b, const struct cim_entry *e)
{
	uint8_t bytes[256];

	g_assert_cmpuint(b->entry_size, <=, sizeof(bytes));
	memset(bytes, 0xEE, sizeof(bytes));
	cim_entry_encode((struct cim_entry_disk *)bytes, e);
	g_byte_array_append(b->entries, bytes, b->entry_size);
	return b->entries->len / b->entry_size;
}

TEST_HELPER void replace_entry(struct builder *b, uint32_t id, const struct cim_entry *e)
{
	struct cim_entry_disk d;

	cim_entry_encode(&d, e);
	memcpy(b->entries->data + (size_t)(id - 1) * b->entry_size, &d,
	       MIN(b->entry_size, sizeof(d)));
}

TEST_HELPER uint32_t build_text(struct builder *b, const char *text)
{
	struct cim_entry e = { .data = { .off = build(b, text, strlen(text)),
					 .size = strlen(text) },
			       .parent_id = 1 };

	return build_entry(b, &e);
}

/* The link table of names in the order given. */
TEST_HELPER struct cim_stream build_table(struct builder *b, uint32_t entry_size,
					  const struct name *names, uint32_t n, bool with_length)
{
	uint8_t table[4096] = { 0 };
	uint32_t at = 8 + n * (entry_size + 4), lead = with_length ? 4 : 0;
	uint8_t *t = table + lead;

	for (uint32_t i = 0; i < n; i++) {
		if (entry_size == CIM_LINK_ID)
			cim_store32(t + 8 + 4 * i, names[i].id);
		else
			cim_stream_encode((struct cim_stream_disk *)(t + 8 + 16 * i),
					  &names[i].stream);
		cim_store32(t + 8 + n * entry_size + 4 * i, at);
		cim_store16(t + at, (uint16_t)names[i].n_units);
		for (uint32_t u = 0; u < names[i].n_units; u++)
			cim_store16(t + at + 2 + 2 * u, names[i].units[u]);
		at += 2 + 2 * names[i].n_units;
	}
	cim_store32(t, at);
	cim_store32(t + 4, n);
	if (with_length)
		cim_store32(table, at);
	return (struct cim_stream){ .off = build(b, table, lead + at),
				    .size = at,
				    .type = CIM_STREAM_LINKS };
}

TEST_HELPER void build_root(struct builder *b, const struct name *names, uint32_t n)
{
	struct cim_entry root = { .parent_id = 1,
				  .data = build_table(b, CIM_LINK_ID, names, n, false) };

	replace_entry(b, 1, &root);
}

/** builder_finish - the file table and the filesystem object; returns where that is */
TEST_HELPER uint64_t builder_finish(struct builder *b)
{
	struct cim_table t = { .off = build(b, b->entries->data, b->entries->len),
			       .n_entries = b->entries->len / b->entry_size,
			       .entry_size = b->entry_size };
	struct cim_table_disk dir;

	cim_table_encode(&dir, &t);
	struct cim_fs_disk fs = { .upcase_off = cim_put64(b->upcase_off),
				  .tables_off = cim_put64(build(b, &dir, sizeof(dir))),
				  .n_tables = cim_put32(1),
				  .root_id = cim_put32(1) };
	return build(b, &fs, sizeof(fs));
}

TEST_HELPER void builder_clear(struct builder *b)
{
	g_byte_array_unref(b->region);
	g_byte_array_unref(b->entries);
}

#endif
