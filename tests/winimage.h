/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Image sets as Windows would make them, byte by byte from format.md.
 *
 * Nothing of the writer is used here, nor any encoder of the core: offsets are written out as the
 * format page has them, so that the reader is judged by the page and not by itself.  Only the
 * upcase table of Windows is the core's; its digest is a test of its own.
 *
 * Needs no Check: what cannot fail aborts.
 */
#ifndef CIM_TESTS_WINIMAGE_H
#define CIM_TESTS_WINIMAGE_H

#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "le.h"
#include "upcase.h"

#define WIN_HELPER static inline __attribute__((unused))

#define WIN_DATA   0u /* stream types */
#define WIN_LINKS  1u
#define WIN_PE     2u
#define WIN_SPARSE (1ull << 56) /* of a stream's word */

/* How the set is laid out; what is zero is the plainest. */
struct win_layout {
	const char *name; /* of the image */
	uint32_t version_major, version_minor;
	uint32_t entry_size;   /* 88, 96, 104 */
	bool streams_length;   /* a u32 before each stream table */
	bool case_insensitive; /* Windows' upcase table, else the identity */
};

struct win_stream {
	uint64_t off; /* region offset */
	uint64_t word;
};

struct win_ads {
	uint16_t units[255];
	uint32_t n_units;
	struct win_stream data;
};

/* A file; win_file() gives one to be filled in. */
struct win_file {
	uint32_t id, parent;
	uint16_t flags; /* read-only 1, hidden 2, system 4, archive 8, sparse 16 */
	uint32_t tag;
	uint64_t times[4]; /* creation, last write, change, last access */
	struct win_stream data;
	uint64_t sd_off, ea_off, reparse_off, streams_off;
	uint32_t ea_size;
	bool is_dir;
	GArray *ads;      /* struct win_ads; NULL: none */
	GPtrArray *names; /* of a directory: struct win_name */
};

struct win_name {
	uint32_t id;
	uint32_t n_units;
	uint16_t units[255];
};

/* Two parents' sets of three and one region files, and an own one of two. */
#define WIN_SETS    3
#define WIN_REGIONS 6
static const struct {
	uint8_t n_regions;
	uint8_t types[3]; /* 0 metadata, 1 data, 2 small data */
} win_sets[WIN_SETS] = { { 3, { 0, 1, 2 } }, { 1, { 1 } }, { 2, { 0, 2 } } };

/* Region indexes by what they are for. */
#define WIN_R_OLD_META  0u
#define WIN_R_OLD_DATA  1u
#define WIN_R_OLD_SMALL 2u
#define WIN_R_MID_DATA  3u
#define WIN_R_META      4u
#define WIN_R_SMALL     5u

struct winimage {
	struct win_layout layout;
	uint8_t guid[WIN_SETS][16];
	GByteArray *region[WIN_REGIONS];
	GPtrArray *files; /* struct win_file; ID - 1 */
	struct cim_upcase upcase;
	uint64_t upcase_off;
};

WIN_HELPER void win_put(GByteArray *to, size_t at, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to->data[at + i] = (uint8_t)(value >> (8 * i));
}

WIN_HELPER void win_zeros(GByteArray *to, size_t n)
{
	guint at = to->len;

	g_byte_array_set_size(to, at + (guint)n);
	memset(to->data + at, 0, n);
}

WIN_HELPER uint8_t win_region_type(uint32_t region)
{
	uint32_t set = 0;

	while (region >= win_sets[set].n_regions)
		region -= win_sets[set++].n_regions;
	return win_sets[set].types[region];
}

/** win_object - bytes into a region, aligned as its type wants it; the region offset */
WIN_HELPER uint64_t win_object(struct winimage *b, uint32_t region, const void *bytes, size_t size)
{
	GByteArray *to = b->region[region];
	size_t align = win_region_type(region) == 1 ? 4096 : 8;

	win_zeros(to, (align - to->len % align) % align);
	uint64_t off = (uint64_t)region << 48 | to->len;
	g_byte_array_append(to, bytes, (guint)size);
	return off;
}

/** win_counted - the same behind a u16 length, as descriptors and reparse buffers are stored */
WIN_HELPER uint64_t win_counted(struct winimage *b, uint32_t region, const void *bytes, size_t size)
{
	g_autofree uint8_t *object = g_malloc(size + 2);

	cim_store16(object, (uint16_t)size);
	memcpy(object + 2, bytes, size);
	return win_object(b, region, object, size + 2);
}

WIN_HELPER struct win_stream win_data(struct winimage *b, uint32_t region, const void *bytes,
				      size_t size)
{
	return (struct win_stream){ win_object(b, region, bytes, size),
				    size | (uint64_t)WIN_DATA << 48 };
}

WIN_HELPER struct win_stream win_text(struct winimage *b, uint32_t region, const char *text)
{
	return win_data(b, region, text, strlen(text));
}

/* The 32 bytes that all files of a set begin with. */
WIN_HELPER void win_common(const struct winimage *b, GByteArray *to, uint32_t size, uint8_t type)
{
	win_zeros(to, size);
	memcpy(to->data, "cimfile0", 8);
	win_put(to, 8, size, 4);
	to->data[12] = type;
	win_put(to, 16, b->layout.version_major, 4);
	win_put(to, 20, b->layout.version_minor, 4);
}

/* ---- files ---- */

WIN_HELPER struct win_file *win_at(const struct winimage *b, uint32_t id)
{
	return g_ptr_array_index(b->files, id - 1);
}

/** win_name_units - one more name for a file, by units */
WIN_HELPER void win_name_units(struct winimage *b, uint32_t dir, uint32_t id, const uint16_t *units,
			       size_t n)
{
	struct win_name *name = g_new0(struct win_name, 1);

	name->id = id;
	name->n_units = (uint32_t)n;
	memcpy(name->units, units, n * sizeof(units[0]));
	g_ptr_array_add(win_at(b, dir)->names, name);
}

/** win_name - the same by UTF-8, which is not escaped in any way */
WIN_HELPER void win_name(struct winimage *b, uint32_t dir, uint32_t id, const char *text)
{
	glong n;
	g_autofree gunichar2 *units = g_utf8_to_utf16(text, -1, NULL, &n, NULL);

	if (!units || n > 255)
		abort();
	win_name_units(b, dir, id, units, (size_t)n);
}

/** win_file - a new file without a name */
WIN_HELPER struct win_file *win_file(struct winimage *b, bool is_dir, uint32_t parent)
{
	struct win_file *f = g_new0(struct win_file, 1);

	g_ptr_array_add(b->files, f);
	f->id = b->files->len;
	f->parent = parent;
	f->is_dir = is_dir;
	f->data.word = is_dir ? (uint64_t)WIN_LINKS << 48 : 0;
	f->names = g_ptr_array_new_with_free_func(g_free);
	return f;
}

/** win_add - a new file with a name; @text "" for one that gets its name later */
WIN_HELPER struct win_file *win_add(struct winimage *b, uint32_t dir, const char *text, bool is_dir)
{
	struct win_file *f = win_file(b, is_dir, dir);

	if (*text)
		win_name(b, dir, f->id, text);
	return f;
}

WIN_HELPER void win_stream(struct win_file *f, const char *text, struct win_stream data)
{
	struct win_ads ads = { .data = data };
	glong n;
	g_autofree gunichar2 *units = g_utf8_to_utf16(text, -1, NULL, &n, NULL);

	if (!units || n > 255)
		abort();
	memcpy(ads.units, units, (size_t)n * sizeof(units[0]));
	ads.n_units = (uint32_t)n;
	if (!f->ads)
		f->ads = g_array_new(FALSE, FALSE, sizeof(ads));
	g_array_append_val(f->ads, ads);
}

/** win_reparse - a whole reparse buffer, tag first */
WIN_HELPER void win_reparse(struct winimage *b, struct win_file *f, const void *buf, size_t size)
{
	f->tag = cim_load32(buf);
	f->reparse_off = win_counted(b, WIN_R_META, buf, size);
}

/** win_tag - a reparse buffer made of a tag and its data */
WIN_HELPER void win_tag(struct winimage *b, struct win_file *f, uint32_t tag, const void *data,
			size_t size)
{
	g_autofree uint8_t *buf = g_malloc0(8 + size);

	cim_store32(buf, tag);
	cim_store16(buf + 4, (uint16_t)size);
	memcpy(buf + 8, data, size);
	win_reparse(b, f, buf, 8 + size);
}

/** win_link_buffer - SYMLINK (@flags >= 0) or MOUNT_POINT (@flags < 0) with its names, as hcsshim
 * lays them out: substitute, NUL, print, NUL */
WIN_HELPER void win_link(struct winimage *b, struct win_file *f, const char *substitute,
			 const char *print, int flags)
{
	glong ns, np;
	g_autofree gunichar2 *s = g_utf8_to_utf16(substitute, -1, NULL, &ns, NULL);
	g_autofree gunichar2 *p = g_utf8_to_utf16(print, -1, NULL, &np, NULL);
	size_t fixed = flags >= 0 ? 12 : 8;
	size_t size = fixed + 2 * (size_t)(ns + 1 + np + 1);
	g_autofree uint8_t *data = g_malloc0(size);

	cim_store16(data, 0);
	cim_store16(data + 2, (uint16_t)(2 * ns));
	cim_store16(data + 4, (uint16_t)(2 * (ns + 1)));
	cim_store16(data + 6, (uint16_t)(2 * np));
	if (flags >= 0)
		cim_store32(data + 8, (uint32_t)flags);
	for (glong i = 0; i < ns; i++)
		cim_store16(data + fixed + 2 * (size_t)i, s[i]);
	for (glong i = 0; i < np; i++)
		cim_store16(data + fixed + 2 * (size_t)(ns + 1 + i), p[i]);
	win_tag(b, f, flags >= 0 ? 0xA000000Cu : 0xA0000003u, data, size);
}

/** win_eas - a whole EA list */
WIN_HELPER void win_eas(struct winimage *b, struct win_file *f, const void *list, size_t size)
{
	f->ea_off = win_object(b, WIN_R_META, list, size);
	f->ea_size = (uint32_t)size;
}

/** win_ea - append an entry to a list under construction; @last: the next offset is 0 */
WIN_HELPER void win_ea(GByteArray *list, uint8_t flags, const char *name, const void *value,
		       size_t size, bool last)
{
	size_t n = strlen(name), at = list->len, whole = 8 + n + 1 + size;
	size_t padded = (whole + 3) & ~(size_t)3;

	win_zeros(list, padded);
	win_put(list, at, last ? 0 : padded, 4);
	list->data[at + 4] = flags;
	list->data[at + 5] = (uint8_t)n;
	win_put(list, at + 6, size, 2);
	memcpy(list->data + at + 8, name, n);
	memcpy(list->data + at + 8 + n + 1, value, size);
}

/* ---- the whole ---- */

WIN_HELPER void win_begin(struct winimage *b, const struct win_layout *layout, uint8_t seed)
{
	*b = (struct winimage){ .layout = *layout, .files = g_ptr_array_new() };
	for (uint32_t set = 0, region = 0; set < WIN_SETS; set++) {
		memset(b->guid[set], 0x10 * (int)(set + 1) + seed, 16);
		for (uint32_t i = 0; i < win_sets[set].n_regions; i++, region++) {
			b->region[region] = g_byte_array_new();
			win_common(b, b->region[region], 40, 1);
			win_put(b->region[region], 32, i, 2);
			b->region[region]->data[34] = win_sets[set].types[i];
		}
	}
	g_autofree uint8_t *identity = g_malloc(CIM_UPCASE_SIZE);
	for (uint32_t i = 0; i < CIM_UPCASE_UNITS; i++)
		cim_store16(identity + 2 * i, (uint16_t)i);
	b->upcase.disk = layout->case_insensitive ? cim_upcase_windows() : NULL;
	b->upcase_off =
		win_object(b, WIN_R_OLD_META, layout->case_insensitive ? b->upcase.disk : identity,
			   CIM_UPCASE_SIZE);
	(void)win_file(b, true, 1); /* the root */
}

WIN_HELPER int win_compare_names(gconstpointer a, gconstpointer b, gpointer upcase)
{
	const struct win_name *x = *(struct win_name *const *)a, *y = *(struct win_name *const *)b;

	return cim_upcase_compare(upcase, x->units, x->n_units, y->units, y->n_units);
}

WIN_HELPER int win_compare_ads(gconstpointer a, gconstpointer b, gpointer upcase)
{
	const struct win_ads *x = a, *y = b;

	return cim_upcase_compare(upcase, x->units, x->n_units, y->units, y->n_units);
}

/* Where the names of a link table begin, and one of them. */
WIN_HELPER void win_table_name(GByteArray *t, size_t lead, size_t slot, const uint16_t *units,
			       uint32_t n)
{
	size_t at = t->len;

	win_zeros(t, 2 + 2 * n);
	win_put(t, at, n, 2);
	for (uint32_t u = 0; u < n; u++)
		win_put(t, at + 2 + 2 * u, units[u], 2);
	win_put(t, slot, at - lead, 4);
}

WIN_HELPER void win_build_dir(struct winimage *b, struct win_file *f)
{
	GPtrArray *names = f->names;
	size_t n = names->len;

	if (n == 0)
		return;
	g_autoptr(GByteArray) t = g_byte_array_new();
	g_ptr_array_sort_with_data(names, win_compare_names, &b->upcase);
	win_zeros(t, 8 + n * 8);
	for (size_t i = 0; i < n; i++) {
		const struct win_name *name = g_ptr_array_index(names, i);

		win_put(t, 8 + 4 * i, name->id, 4);
		win_table_name(t, 0, 8 + 4 * n + 4 * i, name->units, name->n_units);
	}
	win_put(t, 0, t->len, 4);
	win_put(t, 4, n, 4);
	f->data.off = win_object(b, WIN_R_META, t->data, t->len);
	f->data.word = t->len | (uint64_t)WIN_LINKS << 48;
}

WIN_HELPER void win_build_streams(struct winimage *b, struct win_file *f)
{
	size_t lead = b->layout.streams_length ? 4 : 0;

	if (!f->ads)
		return;
	g_autoptr(GByteArray) t = g_byte_array_new();
	size_t n = f->ads->len;
	g_array_sort_with_data(f->ads, win_compare_ads, &b->upcase);
	win_zeros(t, lead + 8 + n * 20);
	for (size_t i = 0; i < n; i++) {
		const struct win_ads *ads = &g_array_index(f->ads, struct win_ads, i);

		win_put(t, lead + 8 + 16 * i, ads->data.off, 8);
		win_put(t, lead + 16 + 16 * i, ads->data.word, 8);
		win_table_name(t, lead, lead + 8 + 16 * n + 4 * i, ads->units, ads->n_units);
	}
	win_put(t, lead, t->len - lead, 4);
	win_put(t, lead + 4, n, 4);
	if (lead)
		win_put(t, 0, t->len - lead, 4);
	f->streams_off = win_object(b, WIN_R_META, t->data, t->len);
}

WIN_HELPER void win_build_entry(const struct winimage *b, const struct win_file *f, GByteArray *to)
{
	size_t at = to->len;

	win_zeros(to, 104);
	win_put(to, at, f->flags, 2);
	win_put(to, at + 2, f->ea_size, 2);
	win_put(to, at + 4, f->tag, 4);
	for (size_t i = 0; i < 4; i++)
		win_put(to, at + 8 + 8 * i, f->times[i], 8);
	win_put(to, at + 40, f->data.off, 8);
	win_put(to, at + 48, f->data.word, 8);
	win_put(to, at + 56, f->sd_off, 8);
	win_put(to, at + 64, f->ea_off, 8);
	win_put(to, at + 72, f->reparse_off, 8);
	win_put(to, at + 80, f->streams_off, 8);
	win_put(to, at + 88, f->parent, 4);
	win_put(to, at + 92, 1, 2);                     /* base region: means nothing here */
	win_put(to, at + 96, 0xA5A5A5A5A5A5A5A5ull, 8); /* what a newer version knows */
	g_byte_array_set_size(to, (guint)at + b->layout.entry_size);
}

/* The file tables, their directory, and the filesystem object. */
WIN_HELPER uint64_t win_build_fs(struct winimage *b)
{
	g_autoptr(GByteArray) dir = g_byte_array_new();
	g_autoptr(GByteArray) fs = g_byte_array_new();

	for (guint first = 0; first < b->files->len; first += 1024) {
		g_autoptr(GByteArray) table = g_byte_array_new();
		guint n = MIN(1024, b->files->len - first), at = dir->len;

		for (guint i = 0; i < n; i++)
			win_build_entry(b, g_ptr_array_index(b->files, first + i), table);
		win_zeros(dir, 16);
		win_put(dir, at, win_object(b, WIN_R_META, table->data, table->len), 8);
		win_put(dir, at + 8, n, 2);
		win_put(dir, at + 10, b->layout.entry_size, 2);
	}
	win_zeros(fs, 24);
	win_put(fs, 0, b->upcase_off, 8);
	win_put(fs, 8, win_object(b, WIN_R_META, dir->data, dir->len), 8);
	win_put(fs, 16, dir->len / 16, 4);
	win_put(fs, 20, 1, 4);
	return win_object(b, WIN_R_META, fs->data, fs->len);
}

WIN_HELPER void win_write(int dirfd, const char *name, GByteArray *bytes)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, bytes->data, bytes->len) != (ssize_t)bytes->len || close(fd) != 0) {
		perror(name);
		exit(99);
	}
}

/* "region_GUID_N": Windows prints the first three numbers of a GUID as numbers. */
WIN_HELPER void win_file_name(const struct winimage *b, const char *kind, uint32_t set, uint32_t n,
			      char ret[64])
{
	const uint8_t *g = b->guid[set];

	snprintf(ret, 64, "%s_%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x_%u", kind,
		 cim_load32(g), cim_load16(g + 4), cim_load16(g + 6), g[8], g[9], g[10], g[11],
		 g[12], g[13], g[14], g[15], n);
}

/* Object IDs of a digest that is not ours: every object of the region under bytes that say
 * nothing, not sorted by anything. */
WIN_HELPER void win_write_objectid(const struct winimage *b, int dirfd, uint32_t set, uint32_t i,
				   const GByteArray *region)
{
	g_autoptr(GByteArray) file = g_byte_array_new();
	uint32_t n = MIN(region->len / 64, 100);
	char name[64];

	win_common(b, file, 48, 2);
	win_put(file, 32, i, 2);
	file->data[34] = win_sets[set].types[i];
	win_put(file, 40, 48, 4);
	win_put(file, 44, n, 4);
	for (uint32_t k = 0; k < n; k++) {
		size_t at = file->len;

		win_zeros(file, 40);
		win_put(file, at, 24, 8);
		for (size_t d = 0; d < 24; d++)
			file->data[at + 8 + d] = (uint8_t)(0xC3 * (k + 1) + 31 * d);
		win_put(file, at + 32, 40 + 8 * k, 8);
	}
	win_file_name(b, "objectid", set, i, name);
	win_write(dirfd, name, file);
}

/** win_end - write all files into a directory, and free the builder */
WIN_HELPER void win_end(struct winimage *b, int dirfd)
{
	g_autoptr(GByteArray) image = g_byte_array_new();
	char name[64];

	for (guint i = 0; i < b->files->len; i++) {
		struct win_file *f = g_ptr_array_index(b->files, i);

		if (f->is_dir)
			win_build_dir(b, f);
		win_build_streams(b, f);
	}
	uint64_t fs_off = win_build_fs(b);
	for (uint32_t set = 0, region = 0; set < WIN_SETS; set++) {
		for (uint32_t i = 0; i < win_sets[set].n_regions; i++, region++) {
			win_file_name(b, "region", set, i, name);
			win_write(dirfd, name, b->region[region]);
			win_write_objectid(b, dirfd, set, i, b->region[region]);
			g_byte_array_unref(b->region[region]);
		}
	}
	win_common(b, image, 72 + 24 * (WIN_SETS - 1), 0);
	for (uint32_t set = 0; set < WIN_SETS; set++) {
		size_t at = set == WIN_SETS - 1 ? 32 : 72 + 24 * set;

		memcpy(image->data + at, b->guid[set], 16);
		win_put(image, at + 16, win_sets[set].n_regions, 2);
	}
	win_put(image, 56, fs_off, 8);
	win_put(image, 70, WIN_SETS - 1, 2);
	win_write(dirfd, b->layout.name, image);
	for (guint i = 0; i < b->files->len; i++) {
		struct win_file *f = g_ptr_array_index(b->files, i);

		if (f->ads)
			g_array_unref(f->ads);
		g_ptr_array_unref(f->names);
		g_free(f);
	}
	g_ptr_array_unref(b->files);
}

#endif
