/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parsers and encoders of the records of format.h.  Follows format.md; knows nothing of files.
 */
#include "config.h"

#include "format.h"

#include <inttypes.h>
#include <stdio.h>

#include "error.h"
#include "name.h"

#define ENTRY_SIZE_V1 offsetof(struct cim_entry_disk, parent_id) /* 88: version 1 stops here [P] \
								  */

static int common_parse(const void *p, size_t n, enum cim_file_type type, size_t header_size,
			uint32_t *ret_major, uint32_t *ret_minor)
{
	const struct cim_common_disk *d = p;

	if (n < sizeof(*d) || memcmp(d->magic, CIM_MAGIC, sizeof(d->magic)) != 0)
		return cim_fail(CIM_EFORMAT, "it does not begin with \"" CIM_MAGIC "\"");
	if (d->type != type)
		return cim_fail(CIM_EFORMAT, "its header says file type %u, expected %u", d->type,
				type);
	uint32_t major = cim_get32(d->version_major), minor = cim_get32(d->version_minor);
	if (major < CIM_VERSION_MIN || major > CIM_VERSION_MAX)
		return cim_fail(CIM_EVERSION,
				"it has format version %u.%u; versions %u to %u can be read", major,
				minor, CIM_VERSION_MIN, CIM_VERSION_MAX);
	if (n < header_size)
		return cim_fail(CIM_ECORRUPT, "it has %zu bytes, its header alone has %zu", n,
				header_size);
	if (ret_major)
		*ret_major = major;
	if (ret_minor)
		*ret_minor = minor;
	return 0;
}

int cim_image_header_parse(const void *p, size_t n, struct cim_image_header *ret)
{
	const struct cim_image_disk *d = p;
	struct cim_image_header h;
	int r = common_parse(p, n, CIM_FILE_IMAGE, sizeof(*d), &h.version_major, &h.version_minor);

	if (r < 0)
		return r;
	r = cim_set_parse(&d->own, &h.own);
	if (r < 0)
		return r;
	h.fs_off = cim_get64(d->fs_off);
	h.n_parents = cim_get16(d->n_parents);
	*ret = h;
	return 0;
}

int cim_set_parse(const void *p, struct cim_set *ret)
{
	const struct cim_set_disk *d = p;

	ret->guid = d->guid;
	ret->n_regions = cim_get16(d->n_regions);
	return 0;
}

int cim_region_header_parse(const void *p, size_t n, uint32_t index)
{
	const struct cim_region_disk *d = p;
	int r = common_parse(p, n, CIM_FILE_REGION, sizeof(*d), NULL, NULL);

	if (r < 0)
		return r;
	if (cim_get16(d->index) != index)
		return cim_fail(CIM_ECORRUPT, "its header says region %u, its name says %u",
				cim_get16(d->index), index);
	return 0;
}

int cim_objectid_header_parse(const void *p, size_t n, uint32_t index,
			      const struct cim_object_disk **ret, uint32_t *ret_n)
{
	const struct cim_objectid_disk *d = p;
	int r = common_parse(p, n, CIM_FILE_OBJECTID, sizeof(*d), NULL, NULL);

	if (r < 0)
		return r;
	uint32_t off = cim_get32(d->table_off), count = cim_get32(d->n_objects);
	if (cim_get16(d->index) != index)
		return cim_fail(CIM_ECORRUPT, "its header says region %u, its name says %u",
				cim_get16(d->index), index);
	if (off > n || count > (n - off) / CIM_OBJECT_SIZE)
		return cim_fail(CIM_ECORRUPT, "its table of %u entries at %u passes its end at %zu",
				count, off, n);
	*ret = (const struct cim_object_disk *)((const uint8_t *)p + off);
	*ret_n = count;
	return 0;
}

int cim_fs_parse(const struct cim_fs_disk *d, struct cim_fs *ret)
{
	struct cim_fs fs = {
		.upcase_off = cim_get64(d->upcase_off),
		.tables_off = cim_get64(d->tables_off),
		.n_tables = cim_get32(d->n_tables),
		.root_id = cim_get32(d->root_id),
	};

	if (fs.n_tables == 0 || fs.n_tables > UINT32_MAX / CIM_TABLE_ENTRIES + 1u)
		return cim_fail(CIM_ECORRUPT, "the filesystem object has %u file tables",
				fs.n_tables);
	if (fs.root_id == 0 || (fs.root_id - 1) / CIM_TABLE_ENTRIES >= fs.n_tables)
		return cim_fail(CIM_ECORRUPT, "the root's file ID %u is in none of %u file tables",
				fs.root_id, fs.n_tables);
	*ret = fs;
	return 0;
}

int cim_table_parse(const struct cim_table_disk *d, struct cim_table *ret)
{
	struct cim_table t = {
		.off = cim_get64(d->off),
		.n_entries = cim_get16(d->n_entries),
		.entry_size = cim_get16(d->entry_size),
	};

	if (t.n_entries == 0 || t.n_entries > CIM_TABLE_ENTRIES)
		return cim_fail(CIM_ECORRUPT, "a file table has %u entries, expected 1..%u",
				t.n_entries, CIM_TABLE_ENTRIES);
	if (t.entry_size < ENTRY_SIZE_V1)
		return cim_fail(CIM_ECORRUPT, "file entries of %u bytes, expected %zu or more",
				t.entry_size, ENTRY_SIZE_V1);
	*ret = t;
	return 0;
}

int cim_stream_parse(const struct cim_stream_disk *d, struct cim_stream *ret)
{
	uint64_t word = cim_get64(d->word);
	struct cim_stream s = {
		.off = cim_get64(d->off),
		.size = word & CIM_STREAM_SIZE_MAX,
		.type = (enum cim_stream_type)(word >> 48 & 0xFF),
		.sparse = word >> 56 & 1,
	};

	if (s.type > CIM_STREAM_PE)
		return cim_fail(CIM_ECORRUPT, "a stream has type %u, expected 0..2", s.type);
	if (s.sparse && s.type != CIM_STREAM_DATA)
		return cim_fail(CIM_ECORRUPT, "a stream of type %u is marked sparse", s.type);
	if (s.size == 0 || s.sparse)
		s.off = 0;
	else if (s.off == 0)
		return cim_fail(CIM_ECORRUPT, "a stream of %" PRIu64 " bytes has no offset",
				s.size);
	*ret = s;
	return 0;
}

int cim_entry_parse(const void *p, uint32_t size, struct cim_entry *ret)
{
	struct cim_entry_disk d = { 0 };
	struct cim_entry e;

	memcpy(&d, p, size < sizeof(d) ? size : sizeof(d));
	int r = cim_stream_parse(&d.data, &e.data);
	if (r < 0)
		return r;
	e.flags = cim_get16(d.flags);
	e.ea_size = cim_get16(d.ea_size);
	e.reparse_tag = cim_get32(d.reparse_tag);
	e.created = cim_get64(d.created);
	e.written = cim_get64(d.written);
	e.changed = cim_get64(d.changed);
	e.accessed = cim_get64(d.accessed);
	e.sd_off = cim_get64(d.sd_off);
	e.ea_off = cim_get64(d.ea_off);
	e.reparse_off = cim_get64(d.reparse_off);
	e.streams_off = cim_get64(d.streams_off);
	e.parent_id = cim_get32(d.parent_id);
	if (e.ea_off == 0)
		e.ea_size = 0;
	*ret = e;
	return 0;
}

int cim_links_parse(const void *p, size_t n, uint32_t entry_size, struct cim_links *ret)
{
	if (n < 8)
		return cim_fail(CIM_ECORRUPT, "a link table has %zu bytes, its header alone has 8",
				n);
	uint32_t size = cim_load32(p), count = cim_load32((const uint8_t *)p + 4);
	if (size < 8 || size > n)
		return cim_fail(CIM_ECORRUPT, "a link table says %u bytes, there are %zu", size, n);
	if (count > (size - 8) / (entry_size + 4))
		return cim_fail(CIM_ECORRUPT, "a link table of %u bytes says %u links", size,
				count);
	*ret = (struct cim_links){ .table = p, .size = size, .n = count, .entry_size = entry_size };
	return 0;
}

int cim_links_name(const struct cim_links *l, uint32_t i, uint16_t *ret)
{
	uint32_t names = 8 + l->n * l->entry_size;
	uint32_t off = cim_load32(l->table + names + 4 * i);

	if (off > l->size - 2)
		return cim_fail(CIM_ECORRUPT,
				"link %u: its name at %u passes the table's end at %u", i, off,
				l->size);
	uint32_t units = cim_load16(l->table + off);
	if (units == 0 || units > CIM_NAME_UNITS || units * 2 > l->size - off - 2)
		return cim_fail(CIM_ECORRUPT,
				"link %u: a name of %u units at %u, the table ends at %u", i, units,
				off, l->size);
	memcpy(ret, l->table + off + 2, 2 * units);
#if __BYTE_ORDER == __BIG_ENDIAN
	for (uint32_t u = 0; u < units; u++)
		ret[u] = le16toh(ret[u]);
#endif
	return (int)units;
}

uint32_t cim_links_id(const struct cim_links *l, uint32_t i)
{
	return cim_load32(l->table + 8 + 4 * i);
}

int cim_links_stream(const struct cim_links *l, uint32_t i, struct cim_stream *ret)
{
	const uint8_t *at = l->table + 8 + (size_t)CIM_LINK_STREAM * i;

	return cim_stream_parse((const struct cim_stream_disk *)at, ret);
}

int cim_pe_parse(const void *p, size_t n, struct cim_pe *ret)
{
	const struct cim_pe_disk *d = p;

	if (n < sizeof(*d))
		return cim_fail(CIM_ECORRUPT, "a PE image record has %zu bytes, expected %zu", n,
				sizeof(*d));
	uint32_t mappings = cim_get16(d->n_mappings);
	if (mappings > (n - sizeof(*d)) / sizeof(struct cim_pe_mapping_disk))
		return cim_fail(CIM_ECORRUPT, "a PE image says %u mappings, there are %zu bytes",
				mappings, n - sizeof(*d));
	ret->data_off = cim_get64(d->data_off);
	ret->data_size = cim_get64(d->data_size) & INT64_MAX;
	ret->n_mappings = mappings;
	return 0;
}

void cim_common_encode(struct cim_common_disk *d, enum cim_file_type type, uint32_t header_size)
{
	*d = (struct cim_common_disk){
		.header_size = cim_put32(header_size),
		.type = (uint8_t)type,
		.version_major = cim_put32(CIM_VERSION_MAJOR),
		.version_minor = cim_put32(CIM_VERSION_MINOR),
	};
	memcpy(d->magic, CIM_MAGIC, sizeof(d->magic));
}

void cim_set_encode(struct cim_set_disk *d, const struct cim_set *set)
{
	*d = (struct cim_set_disk){ .guid = set->guid,
				    .n_regions = cim_put16((uint16_t)set->n_regions) };
}

void cim_stream_encode(struct cim_stream_disk *d, const struct cim_stream *s)
{
	d->off = cim_put64(s->off);
	d->word = cim_put64(s->size | (uint64_t)s->type << 48 | (uint64_t)s->sparse << 56);
}

void cim_entry_encode(struct cim_entry_disk *d, const struct cim_entry *e)
{
	*d = (struct cim_entry_disk){
		.flags = cim_put16((uint16_t)e->flags),
		.ea_size = cim_put16((uint16_t)e->ea_size),
		.reparse_tag = cim_put32(e->reparse_tag),
		.created = cim_put64(e->created),
		.written = cim_put64(e->written),
		.changed = cim_put64(e->changed),
		.accessed = cim_put64(e->accessed),
		.sd_off = cim_put64(e->sd_off),
		.ea_off = cim_put64(e->ea_off),
		.reparse_off = cim_put64(e->reparse_off),
		.streams_off = cim_put64(e->streams_off),
		.parent_id = cim_put32(e->parent_id),
	};
	cim_stream_encode(&d->data, &e->data);
}

void cim_table_encode(struct cim_table_disk *d, const struct cim_table *t)
{
	*d = (struct cim_table_disk){
		.off = cim_put64(t->off),
		.n_entries = cim_put16((uint16_t)t->n_entries),
		.entry_size = cim_put16((uint16_t)t->entry_size),
	};
}

void cim_guid_format(const struct cim_guid *g, char ret[CIM_GUID_TEXT])
{
	const uint8_t *b = g->b;

	snprintf(ret, CIM_GUID_TEXT, "%08" PRIx32 "-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 cim_load32(b), cim_load16(b + 4), cim_load16(b + 6), b[8], b[9], b[10], b[11],
		 b[12], b[13], b[14], b[15]);
}

static bool parse_hex(const char *text, int n, uint32_t *ret)
{
	uint32_t value = 0;

	for (int i = 0; i < n; i++) {
		char c = text[i];

		if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
			return false;
		value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*ret = value;
	return true;
}

bool cim_guid_parse(const char *text, struct cim_guid *ret)
{
	uint32_t part[3], byte;

	if (strnlen(text, CIM_GUID_TEXT - 1) < CIM_GUID_TEXT - 1 || text[8] != '-' ||
	    text[13] != '-' || text[18] != '-' || text[23] != '-' ||
	    !parse_hex(text, 8, &part[0]) || !parse_hex(text + 9, 4, &part[1]) ||
	    !parse_hex(text + 14, 4, &part[2]))
		return false;
	cim_store32(ret->b, part[0]);
	cim_store16(ret->b + 4, (uint16_t)part[1]);
	cim_store16(ret->b + 6, (uint16_t)part[2]);
	for (int i = 0; i < 8; i++) {
		if (!parse_hex(text + 19 + 2 * i + (i >= 2), 2, &byte))
			return false;
		ret->b[8 + i] = (uint8_t)byte;
	}
	return true;
}

void cim_region_name(const struct cim_guid *g, uint32_t index, char ret[CIM_FILE_NAME])
{
	char guid[CIM_GUID_TEXT];

	cim_guid_format(g, guid);
	snprintf(ret, CIM_FILE_NAME, "region_%s_%" PRIu32, guid, index);
}

void cim_objectid_name(const struct cim_guid *g, uint32_t index, char ret[CIM_FILE_NAME])
{
	char guid[CIM_GUID_TEXT];

	cim_guid_format(g, guid);
	snprintf(ret, CIM_FILE_NAME, "objectid_%s_%" PRIu32, guid, index);
}
