/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The corpus of bad images: how each is made from a good one, and what must come of it.
 *
 * The names say it:
 *
 *	should-fail-ERRNO-…  it cannot be opened
 *	should-lose-ERRNO-…  one file cannot be read, the rest can
 *	should-drop-…        extended attributes cannot be read, their file can
 *	should-hide-…        a name is not shown, or not found
 *	should-loop-…        it can be read for ever
 *	should-read-…        it can be read whole, as a reader need not mind, or what is lost makes
 *a file plainer
 *
 * The good one is "a.cim", a fork of "base.cim": regions 0 to 2 are the base's (metadata, data,
 * small data), 3 to 5 its own.
 */
#ifndef CIM_TESTS_BAD_IMAGES_H
#define CIM_TESTS_BAD_IMAGES_H

#include <sys/sysmacros.h>

#include "damage.h"
#include "imagedir.h"

/* Where a row changes something. */
enum place {
	NOWHERE,
	IMAGE,    /* the file a.cim */
	REGION,   /* region file @index */
	OBJECTID, /* the object ID file of region @index */
	FS,       /* the filesystem object */
	TABLE,    /* the entry of the file table directory */
	ENTRY,    /* the file entry of @path, and so on */
	LINKS,
	LINK_ID,  /* of link @index */
	NAME_OFF, /* of link @index */
	NAME,     /* of link @index */
	EAS,      /* EA @index */
	EA_VALUE, /* of EA @index */
	REPARSE,  /* its data: behind the length */
	REPARSE_SIZE,
	DESCRIPTOR,
	DESCRIPTOR_SIZE,
	STREAMS,
	STREAM, /* of stream @index */
};

/* What it puts there. */
enum what {
	VALUE,
	ADD,     /* to what is there */
	END,     /* the end of the metadata region, and @value */
	SELF,    /* where the record is, and @value */
	ROOT_ID, /* the root's file ID, and so on */
	DIR_ID,
	SUB_ID,
	FILE_ID,
	ROOT_LINKS, /* the root's link table */
};

struct bad {
	const char *name;
	enum place place;
	const char *path;
	uint32_t index, off, width; /* width: bytes */
	enum what what;
	uint64_t value;
	void (*make)(const struct bad *bad); /* beside or instead of it */
	const char *victim;                  /* the file that is lost; NULL: none */
	bool clean;       /* fsck finds no damage; digests are of all that it does not know */
	bool unhashed;    /* it can be read, but has no digest: that is of whole trees only */
	bool unshown;     /* names are left out of listings */
	const char *rest; /* a file that can be read, with its name as its text; NULL: "own" */
};

#define SET(place_, path_, index_, off_, width_, value_)                               \
	.place = place_, .path = path_, .index = index_, .off = off_, .width = width_, \
	.value = value_

#define OFF(region, byte_off) ((uint64_t)(region) << 48 | (byte_off))

/* ---- the good one ---- */

static void make_good_base(void)
{
	struct cim_writer *w = open_writer(NULL, "base.cim");
	g_autofree uint8_t *big = pattern(20000, 1), *value = pattern(40000, 2);
	struct cim_make device = { .mode = S_IFCHR | 0600, .major = 1, .minor = 3 };
	uint32_t id;

	make_dir(w, "dir");
	put_text(w, "dir/one", "one");
	put_text(w, "dir/two", "two");
	put_text(w, "dir/three", "three");
	make_dir(w, "dir/sub");
	put_text(w, "dir/sub/x", "x");
	put_text(w, "other", "other");
	put(w, "big", big, 20000);
	make_link(w, "link", "dir/one");
	make_link(w, "absolute", "/dir/two");
	make_file(w, "fifo", S_IFIFO | 0600);
	ck_assert_int_eq(try_make_as(w, "null", &device, &id), 0);
	id = put_text(w, "attrs", "attrs");
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.small", "small", 5, 0), 0);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.large", value, 40000, 0), 0);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.larger", value, 39999, 0), 0);
	commit(w);
}

static void make_good(void)
{
	make_good_base();
	struct cim_writer *w = open_writer("base.cim", "a.cim");
	put_text(w, "own", "own");
	make_dir(w, "new");
	put_text(w, "new/y", "y");
	commit(w);
}

/* ---- places ---- */

static uint64_t links_off(const struct cim_image *img, const char *path)
{
	return image_entry(img, path).data.off;
}

static uint64_t name_at(const struct cim_image *img, const char *path, uint32_t i)
{
	struct cim_entry e = image_entry(img, path);
	struct cim_links l;

	ck_assert_int_eq(cim_dir_links(img, &e, &l), 0);
	ck_assert_uint_lt(i, l.n);
	return e.data.off + cim_load32(l.table + 8 + 4 * l.n + 4 * i);
}

static uint64_t ea_at(const struct cim_image *img, const char *path, uint32_t i, bool value)
{
	struct cim_entry e = image_entry(img, path);
	struct cim_ea_iter it;
	const uint8_t *list;
	struct cim_ea ea;
	size_t size;

	cim_file_eas(img, &e, &list, &size);
	cim_ea_iter_init(&it, list, size);
	do
		ck_assert_int_eq(cim_ea_iter_next(&it, &ea), 1);
	while (i-- > 0);
	return e.ea_off + (uint64_t)((value ? ea.value : (const uint8_t *)ea.name - 8) - list);
}

/* The region offset of a place in the image's metadata. */
static uint64_t place_off(const struct cim_image *img, const struct bad *b)
{
	struct cim_entry e;

	if (b->path)
		e = image_entry(img, b->path);
	switch (b->place) {
	case FS:
		return img->header.fs_off;
	case TABLE:
		return img->fs.tables_off;
	case ENTRY:
		return entry_off(img, b->path);
	case LINKS:
		return e.data.off;
	case LINK_ID:
		return e.data.off + 8 + 4 * b->index;
	case NAME_OFF: {
		struct cim_links l;

		ck_assert_int_eq(cim_dir_links(img, &e, &l), 0);
		return e.data.off + 8 + 4 * l.n + 4 * b->index;
	}
	case NAME:
		return name_at(img, b->path, b->index);
	case EAS:
		return ea_at(img, b->path, b->index, false);
	case EA_VALUE:
		return ea_at(img, b->path, b->index, true);
	case REPARSE:
		return e.reparse_off + 2;
	case REPARSE_SIZE:
		return e.reparse_off;
	case DESCRIPTOR:
		return e.sd_off + 2;
	case DESCRIPTOR_SIZE:
		return e.sd_off;
	case STREAMS:
		return e.streams_off;
	case STREAM:
		return e.streams_off + 8 + 16 * b->index;
	default:
		ck_abort_msg("no place in the metadata");
	}
}

static uint64_t region_end(const struct cim_image *img, uint32_t index)
{
	return cim_off_make(index, img->region[index]->size);
}

static uint64_t value_of(const struct cim_image *img, const struct bad *b, uint64_t off)
{
	switch (b->what) {
	case END:
		return region_end(img, 3) + b->value;
	case SELF:
		return off + b->value;
	case ROOT_ID:
		return img->fs.root_id;
	case DIR_ID:
		return image_find(img, "dir");
	case SUB_ID:
		return image_find(img, "dir/sub");
	case FILE_ID:
		return image_find(img, "other");
	case ROOT_LINKS:
		return links_off(img, "");
	default:
		return b->value;
	}
}

static void objectid_file(uint32_t index, char name[CIM_FILE_NAME])
{
	char region[CIM_FILE_NAME];

	region_file(index, region);
	g_snprintf(name, CIM_FILE_NAME, "objectid%s", region + strlen("region"));
}

static void apply(const struct bad *b)
{
	char name[CIM_FILE_NAME] = "a.cim";
	uint8_t bytes[8];

	if (b->place != NOWHERE && b->place <= OBJECTID) {
		if (b->place == REGION)
			region_file(b->index, name);
		else if (b->place == OBJECTID)
			objectid_file(b->index, name);
		cim_store64(bytes, b->value);
		damage_file(name, b->off, bytes, b->width);
	} else if (b->place != NOWHERE) {
		struct cim_image *img = open_image("a.cim");
		uint64_t off = place_off(img, b) + b->off, value = value_of(img, b, off);
		const uint8_t *p;

		if (b->what == ADD) {
			ck_assert_int_eq(cim_image_bytes(img, off, b->width, &p), 0);
			memcpy(bytes, p, b->width);
			memset(bytes + b->width, 0, sizeof(bytes) - b->width);
			value += cim_load64(bytes);
		}
		cim_image_unref(img);
		cim_store64(bytes, value);
		damage(off, bytes, b->width);
	}
	if (b->make)
		b->make(b);
}

/* ---- recipes ---- */

static uint64_t file_size(const char *name)
{
	struct stat st;

	ck_assert_int_eq(fstatat(test_store->dirfd, name, &st, 0), 0);
	return (uint64_t)st.st_size;
}

static void cut_image(const struct bad *b)
{
	cut_file("a.cim", b->value);
}

static void lengthen_image(const struct bad *b)
{
	damage_file("a.cim", file_size("a.cim"), "behind it", 9);
}

enum { AS_LINK, AS_DANGLING, AS_FIFO, AS_DIRECTORY, AS_SOCKET, AS_DEVICE, AS_NOTHING };

static void put_other(const char *name, uint64_t how)
{
	int dirfd = test_store->dirfd;

	ck_assert_int_eq(unlinkat(dirfd, name, 0), 0);
	switch (how) {
	case AS_LINK:
		ck_assert_int_eq(symlinkat("base.cim", dirfd, name), 0);
		break;
	case AS_DANGLING:
		ck_assert_int_eq(symlinkat("nowhere", dirfd, name), 0);
		break;
	case AS_FIFO:
		ck_assert_int_eq(mkfifoat(dirfd, name, 0644), 0);
		break;
	case AS_DIRECTORY:
		ck_assert_int_eq(mkdirat(dirfd, name, 0755), 0);
		break;
	case AS_SOCKET:
		ck_assert_int_eq(mknodat(dirfd, name, S_IFSOCK | 0644, 0), 0);
		break;
	case AS_DEVICE: /* only root can; for others a FIFO does */
		if (mknodat(dirfd, name, S_IFCHR | 0666, makedev(1, 5)) < 0)
			ck_assert_int_eq(mkfifoat(dirfd, name, 0644), 0);
		break;
	default:;
	}
}

static void replace_image(const struct bad *b)
{
	put_other("a.cim", b->value);
}

static void replace_region(const struct bad *b)
{
	char name[CIM_FILE_NAME];

	region_file(b->index, name);
	put_other(name, b->value);
}

static void replace_objectid(const struct bad *b)
{
	char name[CIM_FILE_NAME];

	objectid_file(b->index, name);
	put_other(name, b->value);
}

static void copy_file(const char *from, const char *to)
{
	g_autofree char *path = path_of(from), *bytes = NULL;
	gsize size;

	ck_assert(g_file_get_contents(path, &bytes, &size, NULL));
	put_file(to, bytes, size);
}

/* Another kind of file under the image's name. */
static void region_as_image(const struct bad *b)
{
	char name[CIM_FILE_NAME];

	if (b->value)
		region_file(b->index, name);
	else
		objectid_file(b->index, name);
	copy_file(name, "a.cim");
}

static void copy_region(const struct bad *b)
{
	char from[CIM_FILE_NAME], to[CIM_FILE_NAME];

	region_file((uint32_t)b->value, from);
	region_file(b->index, to);
	copy_file(from, to);
}

static void swap_regions(const struct bad *b)
{
	char from[CIM_FILE_NAME], to[CIM_FILE_NAME];

	region_file((uint32_t)b->value, from);
	region_file(b->index, to);
	ck_assert_int_eq(renameat2(test_store->dirfd, from, test_store->dirfd, to, RENAME_EXCHANGE),
			 0);
}

/* The same file as two regions, by a hard link. */
static void link_region(const struct bad *b)
{
	char from[CIM_FILE_NAME], to[CIM_FILE_NAME];

	region_file((uint32_t)b->value, from);
	region_file(b->index, to);
	ck_assert_int_eq(unlinkat(test_store->dirfd, to, 0), 0);
	ck_assert_int_eq(linkat(test_store->dirfd, from, test_store->dirfd, to, 0), 0);
}

/* To @value bytes; from the end if that is negative. */
static void cut_region(const struct bad *b)
{
	char name[CIM_FILE_NAME];

	region_file(b->index, name);
	cut_file(name, (int64_t)b->value < 0 ? file_size(name) + b->value : b->value);
}

static void lengthen_region(const struct bad *b)
{
	char name[CIM_FILE_NAME];

	region_file(b->index, name);
	damage_file(name, file_size(name) + b->value, "behind it", 9);
}

static void cut_objectid(const struct bad *b)
{
	char name[CIM_FILE_NAME];

	objectid_file(b->index, name);
	cut_file(name, (int64_t)b->value < 0 ? file_size(name) + b->value : b->value);
}

static void noise_in_objectid(const struct bad *b)
{
	g_autofree uint8_t *noise = pattern(4096, 7);
	char name[CIM_FILE_NAME];

	objectid_file(b->index, name);
	damage_file(name, b->value, noise, 40);
}

/* New metadata behind the old: its region offset. */
static uint64_t append(const void *bytes, size_t size)
{
	char name[CIM_FILE_NAME];

	region_file(3, name);
	uint64_t at = (file_size(name) + 7) / 8 * 8;
	damage_file(name, at, bytes, size);
	return cim_off_make(3, at);
}

/* A field of the entry of a file. */
static void set_entry(const char *path, size_t field, uint64_t value, size_t width)
{
	struct cim_image *img = open_image("a.cim");
	uint64_t off = entry_off(img, path);
	uint8_t bytes[8];

	cim_image_unref(img);
	cim_store64(bytes, value);
	damage(off + field, bytes, width);
}

#define STREAM_WORD (offsetof(struct cim_entry_disk, data) + 8)
#define STREAM_OFF  offsetof(struct cim_entry_disk, data)

static void set_stream(const char *path, uint64_t off, uint64_t size, enum cim_stream_type type)
{
	set_entry(path, STREAM_WORD, size | (uint64_t)type << 48, 8);
	set_entry(path, STREAM_OFF, off, 8);
}

/* A directory "dir" of names that are given as units, each the file "other". */
static void name_dir(const uint16_t *const *names, const size_t *n_units, uint32_t n)
{
	struct cim_image *img = open_image("a.cim");
	uint32_t id = image_find(img, "other");
	uint8_t table[4096] = { 0 };
	uint32_t at = 8 + 8 * n;

	cim_image_unref(img);
	for (uint32_t i = 0; i < n; i++) {
		cim_store32(table + 8 + 4 * i, id);
		cim_store32(table + 8 + 4 * n + 4 * i, at);
		cim_store16(table + at, (uint16_t)n_units[i]);
		for (size_t u = 0; u < n_units[i]; u++)
			cim_store16(table + at + 2 + 2 * u, names[i][u]);
		at += 2 + 2 * (uint32_t)n_units[i];
	}
	cim_store32(table, at);
	cim_store32(table + 4, n);
	set_stream("dir", append(table, at), at, CIM_STREAM_LINKS);
}

static const struct {
	size_t n;
	uint16_t units[8];
} bad_names[] = {
	{ 1, { '.' } },
	{ 2, { '.', '.' } },
	{ 3, { 'a', '/', 'b' } },
	{ 3, { 'a', 0, 'b' } },
	{ 3, { 'a', '\\', 'b' } },
	{ 1, { '/' } },
	{ 5, { '.', '.', '/', '.', '.' } },
	{ 1, { 0xF02F } },
	{ 2, { 0xF02E, 0xF02E } },
	/* These may be: */
	{ 1, { 0xD800 } },
	{ 2, { 0xDC00, 0xD800 } },
	{ 1, { 0xFFFF } },
	{ 3, { 'a', '\n', 'b' } },
	{ 1, { 0xF0FF } },
	{ 2, { 0x1B, 0x7F } },
	{ 1, { ' ' } },
};

static void one_name(const struct bad *b)
{
	const uint16_t *names[] = { bad_names[b->value].units };
	size_t n[] = { bad_names[b->value].n };

	name_dir(names, n, 1);
}

static const uint16_t unit_a[] = { 'a' }, unit_b[] = { 'b' }, unit_upper[] = { 'B' };

static void two_names(const struct bad *b)
{
	const uint16_t *orders[][2] = { { unit_a, unit_a },
					{ unit_b, unit_a },
					{ unit_b, unit_upper } };
	const size_t n[] = { 1, 1 };

	name_dir(orders[b->value], n, 2);
}

/* A name that is as long as can be. */
static void longest_name(const struct bad *b)
{
	uint16_t units[256];
	const uint16_t *names[] = { units };
	size_t n[] = { b->value };

	for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
		units[i] = 0x4E00;
	name_dir(names, n, 1);
}

/* Two directories that are in each other. */
static void cycle_of_two(const struct bad *b)
{
	struct cim_image *img = open_image("a.cim");
	uint64_t links = links_off(img, "dir/sub");
	uint32_t id = image_find(img, "dir");

	cim_image_unref(img);
	damage32(links + 8, id);
}

/* A directory under two names. */
static void directory_twice(const struct bad *b)
{
	struct cim_image *img = open_image("a.cim");
	uint64_t links = links_off(img, "new");
	uint32_t id = image_find(img, "dir/sub");

	cim_image_unref(img);
	damage32(links + 8, id);
}

static void deep(const struct bad *b)
{
	struct cim_writer *w = open_writer("base.cim", "deep.cim");
	struct cim_make make = { .mode = S_IFDIR | 0755 };
	uint32_t id = cim_writer_root(w);

	put_text(w, "own", "own");
	for (uint64_t i = 0; i < b->value; i++)
		ck_assert_int_eq(cim_writer_make(w, id, "d", 1, &make, &id), 0);
	commit(w);
	copy_file("deep.cim", "a.cim");
}

static void many_names(const struct bad *b)
{
	struct cim_writer *w = open_writer("base.cim", "many.cim");
	uint32_t id = put_text(w, "own", "own"), root = cim_writer_root(w);
	char name[24];

	for (uint64_t i = 0; i < b->value; i++) {
		int n = g_snprintf(name, sizeof(name), "n%u", (unsigned int)i);
		ck_assert_int_eq(cim_writer_link(w, id, root, name, (size_t)n), 0);
	}
	commit(w);
	copy_file("many.cim", "a.cim");
}

/* Many files of which each is the same large piece of data. */
static void shared_extent(const struct bad *b)
{
	struct cim_image *img = open_image("a.cim");
	struct cim_stream big = image_entry(img, "big").data;

	cim_image_unref(img);
	set_stream("dir/one", big.off, big.size, CIM_STREAM_DATA);
	set_stream("dir/two", big.off, big.size, CIM_STREAM_DATA);
	set_stream("dir/three", big.off + 8, big.size - 8, CIM_STREAM_DATA);
}

/* A PE image in place of "dir/one", of the bytes of "big". */
struct pe_bytes {
	struct cim_pe_disk head;
	struct cim_pe_mapping_disk map[3];
};

enum { PE_GOOD, PE_NO_DATA, PE_COUNT, PE_SHORT, PE_DELTA, PE_ORDER, PE_END, PE_WRAP, PE_ITSELF };

static void pe_image(const struct bad *b)
{
	struct cim_image *img = open_image("a.cim");
	struct cim_stream big = image_entry(img, "big").data;
	struct pe_bytes pe = { .head = { .data_off = cim_put64(big.off),
					 .data_size = cim_put64(16384),
					 .n_mappings = cim_put16(2) },
			       .map = { { cim_put32(1000), cim_put32(512) },
					{ cim_put32(2000), cim_put32(1024) } } };
	size_t size = sizeof(pe.head) + 2 * sizeof(pe.map[0]);
	uint64_t end = region_end(img, 1);

	cim_image_unref(img);
	switch (b->value) {
	case PE_NO_DATA:
		pe.head.data_off = cim_put64(0);
		break;
	case PE_COUNT:
		pe.head.n_mappings = cim_put16(UINT16_MAX);
		break;
	case PE_SHORT:
		size = sizeof(pe.head) - 1;
		break;
	case PE_DELTA:
		pe.map[1].delta = cim_put32(UINT32_MAX);
		break;
	case PE_ORDER:
		pe.map[0].file_off = cim_put32(3000);
		break;
	case PE_END:
		pe.head.data_size = cim_put64(UINT64_MAX);
		pe.head.data_off = cim_put64(end - 100);
		break;
	case PE_WRAP:
		pe.head.data_off = cim_put64(cim_off_make(0, CIM_REGION_OFF_MAX));
		break;
	}
	uint64_t off = append(&pe, size);
	if (b->value == PE_ITSELF)
		damage64(off, off);
	set_stream("dir/one", off, 4000, CIM_STREAM_PE);
}

/* A reparse buffer of the tag @index and these bytes, for the file "link". */
static void reparse_bytes(uint32_t tag, const void *data, size_t size, uint16_t said)
{
	g_autofree uint8_t *record = g_malloc0(10 + size);

	cim_store16(record, (uint16_t)(8 + size));
	cim_store32(record + 2, tag);
	cim_store16(record + 6, said);
	memcpy(record + 10, data, size);
	set_entry("link", offsetof(struct cim_entry_disk, reparse_off), append(record, 10 + size),
		  8);
	set_entry("link", offsetof(struct cim_entry_disk, reparse_tag), tag, 4);
	set_stream("link", 0, 0, CIM_STREAM_DATA);
}

static const struct {
	uint32_t tag;
	uint16_t said; /* bytes of data; 0: as many as there are */
	uint32_t size;
	const char *data;
} bad_buffers[] = {
	{ CIM_TAG_LX_SYMLINK, 0, 4, "\2\0\0\0" },                /* no target */
	{ CIM_TAG_LX_SYMLINK, 0, 7, "\2\0\0\0a\0b" },            /* a NUL in it */
	{ CIM_TAG_LX_SYMLINK, 0, 6, "\3\0\0\0ab" },              /* another version */
	{ CIM_TAG_LX_SYMLINK, 0, 2, "\2\0" },                    /* half of a version */
	{ CIM_TAG_LX_SYMLINK, 100, 6, "\2\0\0\0ab" },            /* longer than its buffer */
	{ CIM_TAG_SYMLINK, 0, 12, "\0\0\0\0\0\0\0\0\1\0\0" },    /* no names */
	{ CIM_TAG_SYMLINK, 0, 12, "\0\1\2\0\0\0\0\0\1\0\0" },    /* a name outside */
	{ CIM_TAG_SYMLINK, 0, 14, "\0\0\1\0\0\0\1\0\1\0\0\0a" }, /* half a unit */
	{ CIM_TAG_SYMLINK, 0, 4, "\0\0\0\0" },
	{ CIM_TAG_MOUNT_POINT, 0, 8, "\0\0\0\0\0\0\0" },
	{ CIM_TAG_NFS, 0, 8, "LNK\1\0\0\0" },
	{ CIM_TAG_NFS, 0, 8, "CHR\0\0\0\0" },
	{ CIM_TAG_LX_FIFO, 0, 4, "\0\0\0" }, /* data where there is none */
};

static void bad_buffer(const struct bad *b)
{
	size_t i = b->value;

	reparse_bytes(bad_buffers[i].tag, bad_buffers[i].data, bad_buffers[i].size,
		      bad_buffers[i].said ? bad_buffers[i].said : (uint16_t)bad_buffers[i].size);
}

/* A target of 4,096 bytes, which Linux cannot read. */
static void long_target(const struct bad *b)
{
	char data[4 + 4097];

	memset(data, 'x', sizeof(data));
	cim_store32(data, 2);
	reparse_bytes(CIM_TAG_LX_SYMLINK, data, 4 + b->value, (uint16_t)(4 + b->value));
}

/* A descriptor of these bytes for "dir/one". */
static const struct {
	uint32_t size;
	const char *data;
} descriptors[] = {
	{ 0, "" },
	{ 1, "\1" },
	{ 19, "\1\0\4\200\0\0\0\0\0\0\0\0\0\0\0\0\0\0" },
	{ 20, "\2\0\4\200\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" },   /* revision */
	{ 20, "\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" },     /* not self-relative */
	{ 20, "\1\0\4\200\377\0\0\0\0\0\0\0\0\0\0\0\0\0\0" }, /* owner outside */
	{ 20, "\1\0\4\200\377\377\377\377\0\0\0\0\0\0\0\0\0\0\0" },
	{ 28, "\1\0\4\200\24\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\377\0\0\0\0\0\5" }, /* 255 in a SID */
	{ 28, "\1\0\4\200\0\0\0\0\0\0\0\0\0\0\0\0\24\0\0\0\2\0\377\0\0\0\0" },   /* ACL's size */
	{ 28, "\1\0\4\200\0\0\0\0\0\0\0\0\0\0\0\0\24\0\0\0\2\0\10\0\1\0\0" },    /* no ACE */
	{ 32,
	  "\1\0\4\200\0\0\0\0\0\0\0\0\0\0\0\0\24\0\0\0\2\0\14\0\1\0\0\0\0\0\0" }, /* its size 0 */
};

static void descriptor(const struct bad *b)
{
	uint8_t record[2 + 64] = { 0 };
	uint32_t size = descriptors[b->value].size;

	cim_store16(record, (uint16_t)size);
	memcpy(record + 2, descriptors[b->value].data, size);
	set_entry("dir/one", offsetof(struct cim_entry_disk, sd_off), append(record, 2 + size), 8);
}

#endif
