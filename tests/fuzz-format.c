/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: the records of the format, one by one.  The first byte of the input says which, the
 * rest is the record and what follows it.
 */
#include "config.h"

#include <glib.h>
#include <string.h>

#include "error.h"
#include "format.h"
#include "fuzz.h"
#include "name.h"

#define LINKS_MAX 64 /* names looked at, of a table */

static void check_result(int r)
{
	fuzz_check(r == 0 || ((r == -CIM_ECORRUPT || r == -CIM_EFORMAT || r == -CIM_EVERSION) &&
			      *cim_reason()));
}

static void run_headers(const uint8_t *p, size_t n)
{
	const struct cim_object_disk *object;
	struct cim_image_header h;
	uint32_t count;
	int r = cim_image_header_parse(p, n, &h);

	check_result(r);
	if (r == 0) {
		struct cim_set_disk again;

		cim_set_encode(&again, &h.own);
		fuzz_check(memcmp(&again, p + offsetof(struct cim_image_disk, own),
				  offsetof(struct cim_set_disk, n_regions) + 2) == 0);
	}
	check_result(cim_region_header_parse(p, n, 1));
	r = cim_objectid_header_parse(p, n, 2, &object, &count);
	check_result(r);
	if (r == 0)
		fuzz_check((const uint8_t *)object >= p &&
			   (const uint8_t *)(object + count) <= p + n);
}

static void check_stream(const struct cim_stream *s)
{
	struct cim_stream_disk d;
	struct cim_stream again;

	fuzz_check(s->size <= CIM_STREAM_SIZE_MAX && s->type <= CIM_STREAM_PE);
	fuzz_check(s->off != 0 || s->size == 0 || s->sparse);
	cim_stream_encode(&d, s);
	fuzz_check(cim_stream_parse(&d, &again) == 0);
	fuzz_check(again.off == s->off && again.size == s->size && again.type == s->type &&
		   again.sparse == s->sparse);
}

static void run_entry(const uint8_t *p, size_t n)
{
	struct cim_entry_disk d;
	struct cim_entry e, again;
	int r = cim_entry_parse(p, (uint32_t)n, &e);

	check_result(r);
	if (r < 0)
		return;
	check_stream(&e.data);
	fuzz_check(e.ea_off != 0 || e.ea_size == 0);
	cim_entry_encode(&d, &e);
	fuzz_check(cim_entry_parse(&d, sizeof(d), &again) == 0);
	fuzz_check(again.flags == e.flags && again.ea_size == e.ea_size &&
		   again.parent_id == e.parent_id && again.streams_off == e.streams_off &&
		   again.accessed == e.accessed);
}

static void run_links(const uint8_t *p, size_t n, uint32_t entry_size)
{
	uint16_t units[CIM_NAME_UNITS];
	struct cim_stream s;
	struct cim_links l;
	int r = cim_links_parse(p, n, entry_size, &l);

	check_result(r);
	for (uint32_t i = 0; r == 0 && i < l.n && i < LINKS_MAX; i++) {
		int size = cim_links_name(&l, i, units);

		fuzz_check(size == -CIM_ECORRUPT || (size > 0 && size <= CIM_NAME_UNITS));
		if (entry_size == CIM_LINK_ID)
			(void)cim_links_id(&l, i);
		else if (cim_links_stream(&l, i, &s) == 0)
			check_stream(&s);
	}
}

static void run_fixed(const uint8_t *p, size_t n)
{
	struct cim_fs_disk fs_disk = { 0 };
	struct cim_table_disk table_disk = { 0 };
	struct cim_table table;
	struct cim_fs fs;
	struct cim_pe pe;

	memcpy(&fs_disk, p, n < sizeof(fs_disk) ? n : sizeof(fs_disk));
	memcpy(&table_disk, p, n < sizeof(table_disk) ? n : sizeof(table_disk));
	check_result(cim_fs_parse(&fs_disk, &fs));
	check_result(cim_table_parse(&table_disk, &table));
	int r = cim_pe_parse(p, n, &pe);
	check_result(r);
	if (r == 0)
		fuzz_check(sizeof(struct cim_pe_disk) +
				   pe.n_mappings * sizeof(struct cim_pe_mapping_disk) <=
			   n);
}

/* A GUID in a file's name is written as it was read. */
static void run_name(const uint8_t *p, size_t n)
{
	g_autofree char *text = g_strndup((const char *)p, n);
	char again[CIM_GUID_TEXT];
	struct cim_guid guid;

	if (!cim_guid_parse(text, &guid))
		return;
	cim_guid_format(&guid, again);
	fuzz_check(g_str_has_prefix(text, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	switch (data[0] % 6) {
	case 0:
		run_headers(data + 1, size - 1);
		break;
	case 1:
		run_entry(data + 1, size - 1);
		break;
	case 2:
		run_links(data + 1, size - 1, CIM_LINK_ID);
		break;
	case 3:
		run_links(data + 1, size - 1, CIM_LINK_STREAM);
		break;
	case 4:
		run_fixed(data + 1, size - 1);
		break;
	default:
		run_name(data + 1, size - 1);
	}
	return 0;
}

static void emit_as(fuzz_emit_fn emit, uint8_t selector, const void *record, size_t size)
{
	uint8_t buf[256] = { selector };

	memcpy(buf + 1, record, size);
	emit(buf, 1 + size);
}

void fuzz_seeds(fuzz_emit_fn emit)
{
	struct cim_image_disk image = { .fs_off = cim_put64(64), .n_parents = cim_put16(1) };
	struct cim_region_disk region = { .index = cim_put16(1) };
	struct {
		struct cim_objectid_disk head;
		struct cim_object_disk object[2];
	} objectid = { .head = { .index = cim_put16(2),
				 .table_off = cim_put32(sizeof(struct cim_objectid_disk)),
				 .n_objects = cim_put32(2) } };
	struct cim_entry e = { .data = { .off = 64, .size = 5 }, .ea_off = 8, .ea_size = 8 };
	struct cim_entry_disk entry;
	struct cim_fs_disk fs = { .upcase_off = cim_put64(64),
				  .tables_off = cim_put64(128),
				  .n_tables = cim_put32(1),
				  .root_id = cim_put32(1) };
	struct cim_table t = { .off = 64, .n_entries = 3, .entry_size = CIM_ENTRY_SIZE };
	struct cim_table_disk table;
	struct cim_pe_disk pe = { .data_off = cim_put64(64),
				  .data_size = cim_put64(1024),
				  .n_mappings = cim_put16(1) };
	static const char *const names[] = {
		"01234567-89ab-cdef-0123-456789abcdef_0", "0123456g-89ab-cdef-0123-456789abcdef",
		"01234567-89aB-cdef-0123-456789abcdef",   "01234567-89ab-cde/-0123-456789abcdef",
		"01234567-89ab-cdef-01:3-456789abcdef",   "01234567.89ab-cdef-0123-456789abcdef",
		"01234567-89ab.cdef-0123-456789abcdef",   "01234567-89ab-cdef.0123-456789abcdef",
		"01234567-89ab-cdef-0123.456789abcdef",   "01234567-89ab-cdef-0123-456789abcde",
	};
	uint8_t links[64] = { 0 };

	cim_set_encode(&image.own, &(struct cim_set){ .n_regions = 3 });
	cim_common_encode(&image.common, CIM_FILE_IMAGE, sizeof(image));
	emit_as(emit, 0, &image, sizeof(image));
	cim_common_encode(&region.common, CIM_FILE_REGION, sizeof(region));
	emit_as(emit, 0, &region, sizeof(region));
	cim_common_encode(&objectid.head.common, CIM_FILE_OBJECTID, sizeof(objectid.head));
	emit_as(emit, 0, &objectid, sizeof(objectid));
	cim_entry_encode(&entry, &e);
	emit_as(emit, 1, &entry, sizeof(entry));
	emit_as(emit, 1, &entry, 88);
	cim_store32(links, 8 + 2 * 8 + 2 * 4);
	cim_store32(links + 4, 2);
	cim_store32(links + 16, 24);
	cim_store32(links + 20, 28);
	cim_store16(links + 24, 1);
	cim_store16(links + 28, 1);
	emit_as(emit, 2, links, 32);
	cim_store32(links, 8 + 20 + 4);
	cim_store32(links + 4, 1);
	cim_store32(links + 24, 28);
	emit_as(emit, 3, links, 32);
	emit_as(emit, 4, &fs, sizeof(fs));
	cim_table_encode(&table, &t);
	emit_as(emit, 4, &table, sizeof(table));
	emit_as(emit, 4, &pe, sizeof(pe));
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		emit_as(emit, 5, names[i], strlen(names[i]));
}
