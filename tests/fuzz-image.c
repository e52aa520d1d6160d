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
#include "fold.h"
#include "fuzz-layer.h"
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
	static const char *const paths[] = {
		"d/a",  "link/a", "\\d\\..\\D\\A", "absolute", "\303\251",    "loop/x", "d/./../f/",
		"x/..", "..",     "link/",         "LOOP",     "\xEF\xBF\xBE"
	};
	static char long_path[CIM_PATH_UNITS_MAX + 2], long_name[CIM_NAME_BYTES + 2];
	char path[64] = { 0 };
	uint32_t id;

	for (size_t i = 0; i < G_N_ELEMENTS(paths); i++)
		(void)cim_path_lookup(img, paths[i], true, &id);
	memcpy(path, data, MIN(size, sizeof(path) - 1));
	int r = cim_path_lookup(img, path, false, &id);
	fuzz_check(r <= 0);
	memset(long_path, '/', sizeof(long_path) - 1);
	fuzz_check(cim_path_lookup(img, long_path, false, &id) == -ENAMETOOLONG);
	memset(long_name, 'n', sizeof(long_name) - 1);
	fuzz_check(cim_path_lookup(img, long_name, false, &id) < 0);
}

/* ---- files ---- */

/* A stream is there under its name; a value is whole, or it is refused. */
static void check_streams(const struct cim_image *img, const struct cim_entry *e)
{
	static const char *const names[] = {
		"system.ntfs_attrib", "system.ntfs_times", "system.ntfs_ea",
		"user.DOSATTRIB",     "user.s1",           "user.not there"
	};
	char shown[CIM_NAME_BYTES + 1];
	uint16_t units[CIM_NAME_UNITS];
	struct cim_stream s;
	struct cim_links l;
	uint8_t byte;

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		ssize_t size = cim_file_get_xattr(img, e, names[i], NULL, 0);

		if (size > 1 && !strstr(names[i], "times"))
			fuzz_check(cim_file_get_xattr(img, e, names[i], &byte, 1) == -ERANGE);
	}
	if (cim_file_streams(img, e, &l) < 0) {
		fuzz_check(cim_file_stream_by_name(img, e, "s1", &s) < 0);
		return;
	}
	fuzz_check(cim_file_stream_by_name(img, e, "not there", &s) < 0);
	for (uint32_t i = 0; i < MIN(l.n, WALK_XATTRS); i++) {
		int n = cim_links_name(&l, i, units);

		if (n > 0 && cim_name_shown(units, (size_t)n, shown) > 0)
			(void)cim_file_stream_by_name(img, e, shown, &s);
	}
}

static bool skip_all(const void *arg, const uint16_t *units, size_t n)
{
	return true;
}

/* A name is found without case by looking through the table, and by what was made of it. */
static void check_fold(const struct cim_image *img, const struct cim_entry *e)
{
	uint16_t units[CIM_NAME_UNITS];
	struct cim_links l;
	uint32_t by_hash, by_scan;

	if (cim_dir_links(img, e, &l) < 0)
		return;
	struct cim_fold *fold = cim_fold_new(&l);
	for (uint32_t i = 0; fold && i < MIN(l.n, WALK_XATTRS); i++) {
		int n = cim_links_name(&l, i, units);

		if (n < 0)
			continue;
		fuzz_check(cim_fold_find(NULL, &l, units, (size_t)n, NULL, NULL, &by_scan) == 1);
		fuzz_check(cim_fold_find(fold, &l, units, (size_t)n, NULL, NULL, &by_hash) == 1);
		fuzz_check(by_hash == by_scan);
		fuzz_check(cim_fold_find(fold, &l, units, (size_t)n, skip_all, NULL, &by_hash) ==
			   0);
	}
	cim_fold_free(fold);
}

/* A symlink is as long as its target. */
static void check_link(const struct cim_image *img, uint32_t id)
{
	char target[CIM_SYMLINK_MAX + 1];
	struct cim_attr attr;
	int n = cim_file_readlink(img, id, target);

	if (n >= 0)
		fuzz_check(cim_file_attr(img, id, &attr) == 0 && attr.size == (uint64_t)n &&
			   strlen(target) == attr.size);
}

/* Attributes of Windows and back: what the format keeps of them is kept. */
static void check_attributes(const struct cim_entry *e)
{
	uint32_t flags = cim_attributes_to_flags(cim_attributes_of_entry(e));

	fuzz_check((flags & ~e->flags) == 0);
}

/* What a tar says of a file: all of it that is Windows'. */
static void check_exported(const struct cim_image *img, uint32_t id, const struct cim_entry *e)
{
	char target[CIM_SYMLINK_MAX + 1] = "";
	struct cim_attr attr;
	struct cim_winmeta m;

	if (cim_file_attr_of(img, id, e, &attr) < 0 || cim_file_windows(img, e, &m) < 0)
		return;
	(void)layer_needs_records(img, e, &attr, &m);
	bool is_link = S_ISLNK(attr.posix.mode) && cim_file_readlink(img, id, target) >= 0;
	fuzz_check_layer(&m, is_link ? TAR_SYMLINK : TAR_FILE, target);
}

/* All of an image, as a mount with these options would show it. */
static void walk_view(struct cim_image *img, const struct cim_view *view, unsigned int files)
{
	struct walk w = { .files = files, .depth = 8 };
	struct cim_entry e;

	img->view = *view;
	walk_file(&w, img, img->fs.root_id);
	for (uint32_t id = 1; id <= MIN(cim_image_last_id(img), 8); id++)
		walk_file(&w, img, id);
	for (uint32_t id = 1; id <= MIN(cim_image_last_id(img), files); id++) {
		if (cim_image_entry(img, id, &e) < 0)
			continue;
		check_streams(img, &e);
		check_fold(img, &e);
		check_attributes(&e);
		check_link(img, id);
		check_exported(img, id, &e);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cim_view views[] = {
		{ .fmask = 022, .dmask = 022 },
		{ .ignore_case = true,
		  .list_ntfs_xattrs = true,
		  .dosattrib = true,
		  .force_uid = true,
		  .streams = CIM_STREAMS_OPENXATTR,
		  .abslinks = CIM_ABSLINKS_RAW },
		{ .no_metadata = true,
		  .streams = CIM_STREAMS_NONE,
		  .abslinks = CIM_ABSLINKS_DIR,
		  .symlink_root = "/drives" },
	};

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
	for (size_t i = 0; r == 0 && i < G_N_ELEMENTS(views); i++) {
		walk_view(&img, &views[i], i == 0 ? 64 : 8);
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

/* Streams of each kind; the length stands before their table once more, or does not. */
static uint64_t build_streams(struct builder *b, bool with_length)
{
	static const uint16_t s1[] = { 's', '1' },
			      lx[] = { 'n', 't', 'f', 's', '-', '3', 'g', '.', 't',
				       'r', 'u', 's', 't', 'e', 'd', '.', 't' },
			      slash[] = { '/' }, both[] = { 'a' };
	const struct cim_stream text = { .off = build(b, "stream", 6), .size = 6 };
	const struct name streams[] = {
		{ .units = both, .n_units = 1, .stream = text },
		{ .units = lx, .n_units = G_N_ELEMENTS(lx), .stream = text },
		{ .units = s1, .n_units = 2, .stream = text },
		{ .units = slash, .n_units = 1, .stream = { .size = 100000, .sparse = true } },
		{ .units = s1, .n_units = 1, .stream = { .size = 100000, .sparse = true } },
	};

	return build_table(b, CIM_LINK_STREAM, streams, G_N_ELEMENTS(streams), with_length).off;
}

/* A file with all that a file can have. */
static uint32_t build_rich(struct builder *b, bool with_length)
{
	struct cim_ea_list eas = { 0 };

	fuzz_check(cim_ea_list_add(&eas, "$CIMLINKS", 9, 0, "\2\0\0\0", 4) == 0);
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
	e.streams_off = build_streams(b, with_length);
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

/* A link to a drive of Windows; where it leads depends on its parents. */
static uint32_t build_drive_link(struct builder *b, uint32_t parent)
{
	static const uint8_t mount_point[] = { 3,  0,  0,   0xA0, 24,  0,  0,  0,   0, 0,   14,
					       0,  14, 0,   2,    0,   92, 0,  '?', 0, '?', 0,
					       92, 0,  'C', 0,    ':', 0,  92, 0,   0, 0 };
	struct cim_entry e = { .reparse_tag = CIM_TAG_MOUNT_POINT,
			       .reparse_off = build_counted(b, mount_point, sizeof(mount_point)),
			       .parent_id = parent };

	return build_entry(b, &e);
}

/* WSL 1's: a target that is the file's data, told by a reparse point or an EA. */
static uint32_t build_old_symlink(struct builder *b, bool by_ea, const char *target, size_t size)
{
	uint8_t attr[56] = { 0, 0, 1, 0 };
	struct cim_ea_list eas = { 0 };
	struct cim_entry e = { .data = { .off = build(b, target, MIN(size, strlen(target) + 1)),
					 .size = size },
			       .parent_id = 1 };

	if (!by_ea) {
		e.reparse_tag = CIM_TAG_LX_SYMLINK;
		e.reparse_off = build_counted(b, "\x1D\0\0\xA0\4\0\0\0\1\0\0\0", 12);
		return build_entry(b, &e);
	}
	cim_store32(attr + 4, S_IFLNK | 0777);
	fuzz_check(cim_ea_list_add(&eas, CIM_EA_OLD, 7, 0, attr, sizeof(attr)) == 0);
	e.ea_off = build(b, eas.data, eas.size);
	e.ea_size = (uint32_t)eas.size;
	cim_ea_list_clear(&eas);
	return build_entry(b, &e);
}

static uint32_t build_fifo(struct builder *b)
{
	struct cim_entry e = { .reparse_tag = CIM_TAG_LX_FIFO, .parent_id = 1 };

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

/* An image whose upcase table lies elsewhere, and its root. */
static void begin(struct builder *b, uint32_t entry_size, uint32_t upcase_off)
{
	builder_begin_bare(b, 2, entry_size);
	b->upcase_off = cim_off_make(UPCASE_REGION, upcase_off);
	build_entry(b, &(struct cim_entry){ 0 });
}

/* A directory of the root, with a file "a" of its own. */
static uint32_t build_dir(struct builder *b, uint32_t file)
{
	static const uint16_t unit[] = { 'a' };
	struct cim_entry dir = { .parent_id = 1 };
	struct name name;

	put_name(&name, unit, 1, file);
	dir.data = build_table(b, CIM_LINK_ID, &name, 1, false);
	return build_entry(b, &dir);
}

static void emit_image(fuzz_emit_fn emit, uint32_t entry_size, uint32_t upcase_off)
{
	static const uint16_t unit[] = { 'd', 'e', 'f', 'p', 0xE9, 0xF03A, 0xD800 };
	static const uint16_t link[] = { 'l', 'i', 'n', 'k' }, loop[] = { 'l', 'o', 'o', 'p' };
	struct name names[10];
	struct builder b;
	uint32_t n = 0;

	begin(&b, entry_size, upcase_off);
	put_name(&names[n++], unit, 1, build_dir(&b, build_text(&b, "a")));
	put_name(&names[n++], unit + 1, 1, build_rich(&b, entry_size != CIM_ENTRY_SIZE));
	struct cim_entry hole = { .parent_id = 1, .data = { .size = 1000, .sparse = true } };
	put_name(&names[n++], unit + 2, 1, build_entry(&b, &hole));
	put_name(&names[n++], link, 4, build_symlink(&b, "d"));
	put_name(&names[n++], loop, 4, build_symlink(&b, "/loop"));
	put_name(&names[n++], unit + 3, 1, build_pe(&b));
	put_name(&names[n++], unit + 4, 1, build_text(&b, "accent"));
	put_name(&names[n++], unit + 5, 1, build_text(&b, "escape"));
	put_name(&names[n++], unit + 6, 1, build_text(&b, "surrogate"));
	build_root(&b, names, n);
	emit_built(emit, &b);
}

/* Links that need to know where they are, or have their target elsewhere. */
static void emit_links(fuzz_emit_fn emit)
{
	static const uint16_t unit[] = { 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' };
	struct name names[8];
	struct builder b;
	uint32_t n = 0;

	begin(&b, CIM_ENTRY_SIZE, IDENTITY_OFF);
	/* The directory is the third file; it is the link's parent, and its own is the root. */
	put_name(&names[n++], unit, 1, build_dir(&b, build_drive_link(&b, 3)));
	put_name(&names[n++], unit + 1, 1, build_drive_link(&b, 1));
	put_name(&names[n++], unit + 2, 1, build_drive_link(&b, 0));
	put_name(&names[n++], unit + 3, 1, build_old_symlink(&b, false, "d", 1));
	put_name(&names[n++], unit + 4, 1, build_old_symlink(&b, true, "d", 1));
	put_name(&names[n++], unit + 5, 1, build_old_symlink(&b, false, "", 1)); /* a NUL */
	put_name(&names[n++], unit + 6, 1, build_old_symlink(&b, false, "", 100000));
	put_name(&names[n++], unit + 7, 1, build_fifo(&b));
	build_root(&b, names, n);
	emit_built(emit, &b);
}

/* One file and nothing else, for mutants that are soon through. */
static void emit_small(fuzz_emit_fn emit)
{
	static const uint16_t x[] = { 'x' };
	struct name name;
	struct builder b;

	begin(&b, CIM_ENTRY_SIZE, IDENTITY_OFF);
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
	emit_links(emit);
}
