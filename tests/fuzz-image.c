/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: everything that is read of an open image.
 *
 * Input: the region offset of the filesystem object (u64), then what follows the header of region
 * file 0.  Region file 1 has the two usual upcase tables, so that inputs are small; there are no
 * others.  All is in memory: no file is opened.
 */
#include "config.h"

#include <string.h>

#include "builder.h"
#include "error.h"
#include "fuzz.h"
#include "walk.h"

#define HEADER        sizeof(struct cim_region_disk)
#define INPUT_HEADER  8
#define UPCASE_REGION 1
#define IDENTITY_OFF  64
#define WINDOWS_OFF   (IDENTITY_OFF + CIM_UPCASE_SIZE)

static uint8_t tables[WINDOWS_OFF + CIM_UPCASE_SIZE];

static void make_tables(void)
{
	if (tables[IDENTITY_OFF + 2])
		return;
	cim_upcase_identity_write(tables + IDENTITY_OFF);
	memcpy(tables + WINDOWS_OFF, cim_upcase_windows(), CIM_UPCASE_SIZE);
}

/* Lookups by path: names that the seeds have, and the input's own bytes. */
static void look_up(const struct cim_image *img, const uint8_t *data, size_t size)
{
	static const char *const paths[] = { "d/a",      "link/a", "\\d\\..\\D\\A", "absolute",
					     "\303\251", "loop/x", "d/./../f/" };
	char path[64] = { 0 };
	uint32_t id;

	for (size_t i = 0; i < G_N_ELEMENTS(paths); i++)
		(void)cim_path_lookup(img, paths[i], true, &id);
	memcpy(path, data, MIN(size, sizeof(path) - 1));
	int r = cim_path_lookup(img, path, false, &id);
	fuzz_check(r <= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct walk w = { .files = 64, .depth = 8 };

	if (size < INPUT_HEADER)
		return 0;
	make_tables();
	size_t region_size = HEADER + size - INPUT_HEADER;
	uint8_t *region = g_malloc(region_size);
	memset(region, 0, HEADER);
	memcpy(region + HEADER, data + INPUT_HEADER, size - INPUT_HEADER);
	struct cim_mapping map[2] = { { .data = region, .size = region_size, .fd = -1 },
				      { .data = tables, .size = sizeof(tables), .fd = -1 } };
	const struct cim_mapping *by_index[2] = { &map[0], &map[1] };
	struct cim_image img = { .name = (char[]){ "fuzz" },
				 .header = { .fs_off = cim_load64(data) },
				 .n_region_files = 2,
				 .region = by_index };

	int r = cim_image_open_fs(&img);
	fuzz_check(r == 0 || r == -CIM_ECORRUPT);
	if (r == 0) {
		walk_file(&w, &img, img.fs.root_id);
		for (uint32_t id = 1; id <= MIN(cim_image_last_id(&img), 8); id++)
			walk_file(&w, &img, id);
		look_up(&img, data + INPUT_HEADER, size - INPUT_HEADER);
	}
	g_free(region);
	return 0;
}

/* ---- seeds ---- */

static void put_name(struct name *n, const uint16_t *units, uint32_t n_units, uint32_t id)
{
	*n = (struct name){ .units = units, .n_units = n_units, .id = id };
}

static uint64_t build_counted(struct builder *b, const void *data, size_t size)
{
	uint8_t buf[256];

	cim_store16(buf, (uint16_t)size);
	memcpy(buf + 2, data, size);
	return build(b, buf, 2 + size);
}

/* A file with all that a file can have. */
static uint32_t build_rich(struct builder *b)
{
	static const uint16_t stream_name[] = { 's', '1' };
	struct cim_ea_list eas = { 0 };
	struct name stream = { .units = stream_name,
			       .n_units = 2,
			       .stream = { .off = build(b, "stream", 6), .size = 6 } };

	fuzz_check(cim_ea_list_add(&eas, "$LXUID", 6, 0, "\1\0\0\0", 4) == 0);
	fuzz_check(cim_ea_list_add(&eas, "$LXMOD", 6, 0, "\244\201\0\0", 4) == 0);
	fuzz_check(cim_ea_list_add(&eas, "LX.USER.A", 9, 0, "lxeav", 5) == 0);
	struct cim_entry e = {
		.flags = CIM_FLAG_SPARSE,
		.data = { .off = build(b, "content", 7), .size = 7 },
		.ea_off = build(b, eas.data, eas.size),
		.ea_size = (uint32_t)eas.size,
		.sd_off = build_counted(b, "\1\0\4\200\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20),
		.parent_id = 1,
	};
	e.streams_off = build_table(b, CIM_LINK_STREAM, &stream, 1, true).off;
	cim_ea_list_clear(&eas);
	return build_entry(b, &e);
}

static uint32_t build_symlink(struct builder *b, const char *target)
{
	uint8_t buf[CIM_REPARSE_MAX];
	int size = cim_reparse_lx_symlink(target, buf);
	struct cim_entry e = { .reparse_tag = CIM_TAG_LX_SYMLINK,
			       .reparse_off = build_counted(b, buf, (size_t)size),
			       .parent_id = 1 };

	return build_entry(b, &e);
}

static uint32_t build_pe(struct builder *b)
{
	struct {
		struct cim_pe_disk head;
		struct cim_pe_mapping_disk map[2];
	} pe = { .head = { .data_off = cim_put64(build(b, "0123456789abcdef", 16)),
			   .data_size = cim_put64(16),
			   .n_mappings = cim_put16(2) },
		 .map = { { cim_put32(4), cim_put32(2) }, { cim_put32(8), cim_put32(4) } } };
	struct cim_entry e = {
		.data = { .off = build(b, &pe, sizeof(pe)), .size = 12, .type = CIM_STREAM_PE },
		.parent_id = 1
	};

	return build_entry(b, &e);
}

/* What the builder has, as an input; and its end. */
static void emit_built(fuzz_emit_fn emit, struct builder *b)
{
	uint64_t fs_off = builder_finish(b);
	size_t n = b->region->len - HEADER;
	g_autofree uint8_t *input = g_malloc(INPUT_HEADER + n);

	cim_store64(input, fs_off);
	memcpy(input + INPUT_HEADER, b->region->data + HEADER, n);
	emit(input, INPUT_HEADER + n);
	builder_clear(b);
}

static void emit_image(fuzz_emit_fn emit, uint32_t entry_size, uint32_t upcase_off)
{
	static const uint16_t unit[] = { 'a', 'd', 'e',  'f',    'l',   'o',
					 'p', 's', 0xE9, 0xF03A, 0xD800 };
	static const uint16_t link[] = { 'l', 'i', 'n', 'k' }, loop[] = { 'l', 'o', 'o', 'p' };
	struct name names[10], inner;
	struct builder b;
	uint32_t n = 0;

	builder_begin_bare(&b, 2, entry_size);
	b.upcase_off = cim_off_make(UPCASE_REGION, upcase_off);
	build_entry(&b, &(struct cim_entry){ 0 });
	put_name(&inner, unit, 1, build_text(&b, "a"));
	struct cim_entry dir = { .parent_id = 1 };
	dir.data = build_table(&b, CIM_LINK_ID, &inner, 1, false);
	put_name(&names[n++], unit + 1, 1, build_entry(&b, &dir));
	put_name(&names[n++], unit + 2, 1, build_rich(&b));
	struct cim_entry hole = { .parent_id = 1, .data = { .size = 1000, .sparse = true } };
	put_name(&names[n++], unit + 3, 1, build_entry(&b, &hole));
	put_name(&names[n++], link, 4, build_symlink(&b, "d"));
	put_name(&names[n++], loop, 4, build_symlink(&b, "/loop"));
	put_name(&names[n++], unit + 6, 1, build_pe(&b));
	put_name(&names[n++], unit + 8, 1, build_text(&b, "accent"));
	put_name(&names[n++], unit + 9, 1, build_text(&b, "escape"));
	put_name(&names[n++], unit + 10, 1, build_text(&b, "surrogate"));
	build_root(&b, names, n);
	emit_built(emit, &b);
}

/* One file and nothing else, for mutants that are soon through. */
static void emit_small(fuzz_emit_fn emit)
{
	static const uint16_t x[] = { 'x' };
	struct name name;
	struct builder b;

	builder_begin_bare(&b, 2, CIM_ENTRY_SIZE);
	b.upcase_off = cim_off_make(UPCASE_REGION, IDENTITY_OFF);
	build_entry(&b, &(struct cim_entry){ 0 });
	put_name(&name, x, 1, build_text(&b, "x"));
	build_root(&b, &name, 1);
	emit_built(emit, &b);
}

void fuzz_seeds(fuzz_emit_fn emit)
{
	emit_image(emit, CIM_ENTRY_SIZE, IDENTITY_OFF);
	emit_image(emit, CIM_ENTRY_SIZE, WINDOWS_OFF);
	emit_image(emit, 88, IDENTITY_OFF);
	emit_image(emit, 104, WINDOWS_OFF);
	emit_small(emit);
}
