/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checking one image, from its header to its file tables; what is in them is for fsck-tree.c.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "fsck-private.h"
#include "util.h"

/* Bytes of file tables that are looked at to count the entries that are used; of huge or repeated
 * ones it stays unknown. */
#define COUNT_BUDGET (16ull << 30)

static bool is_zero(const void *p, size_t n)
{
	const uint8_t *byte = p;

	return n == 0 || (byte[0] == 0 && memcmp(byte, byte + 1, n - 1) == 0);
}

void fsck_alignment(struct fsck_image *im, uint32_t id, uint64_t off, const char *what)
{
	uint32_t region = cim_off_region(off);
	uint32_t align =
		region < im->img->n_region_files && im->region_type[region] == CIM_REGION_DATA
			? CIM_DATA_ALIGN
			: CIM_TABLE_ALIGN;

	if (cim_off_byte(off) % align)
		fsck_damage(im, "alignment", id, off,
			    "%s at region offset %#" PRIx64 " is not at a multiple of %u", what,
			    off, align);
}

/* ---- the image file ---- */

static void check_set_list(struct fsck_image *im, const struct cim_set *sets, uint32_t n)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(cim_guid_hash, cim_guid_equal);
	char guid[CIM_GUID_TEXT];

	for (uint32_t i = 0; i < n; i++) {
		if (!g_hash_table_add(seen, (gpointer)(uintptr_t)&sets[i].guid)) {
			cim_guid_format(&sets[i].guid, guid);
			fsck_note(im, "set-twice", 0, 0, "region set %s is listed more than once",
				  guid);
		}
	}
}

/* What the parsers do not look at. */
static int check_header(struct fsck_image *im)
{
	struct cim_image_disk head;
	cim_autofd fd = -1;
	struct stat st;
	int r = cim_open_regular(im->run->store->dirfd, im->name, &fd);

	if (r == 0)
		r = cim_pread_full(fd, &head, sizeof(head), 0);
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r < 0)
		return r;
	uint64_t size = sizeof(head) + (uint64_t)cim_get16(head.n_parents) * sizeof(head.own);
	if (cim_get32(head.common.header_size) != size)
		fsck_note(im, "header-size", 0, 0,
			  "its header says that it has %u bytes, expected %" PRIu64,
			  cim_get32(head.common.header_size), size);
	if ((uint64_t)st.st_size > size)
		fsck_note(im, "trailing", 0, 0,
			  "the file has %" PRId64
			  " bytes, its list of region sets ends at %" PRIu64,
			  (int64_t)st.st_size, size);
	if (!is_zero(head.common.reserved13, 3) || cim_get64(head.common.reserved24) ||
	    cim_get32(head.reserved64) || cim_get16(head.reserved68))
		fsck_note(im, "reserved", 0, 0, "a reserved field of its header is not 0");
	return 0;
}

/* Errors that are of the image; others leave it open what it is like. */
static bool is_damage(int r)
{
	return r == -CIM_ECORRUPT || r == -CIM_EFORMAT;
}

/* ---- the filesystem object ---- */

static void check_upcase(struct fsck_image *im)
{
	const struct cim_upcase *up = &im->img->upcase;
	uint32_t n = 0, first = 0;

	fsck_alignment(im, 0, im->img->fs.upcase_off, "the upcase table");
	for (uint32_t unit = 0; unit < CIM_UPCASE_UNITS; unit++) {
		uint16_t upper = cim_upcase_unit(up, (uint16_t)unit);

		if (cim_upcase_unit(up, upper) != upper && n++ == 0)
			first = unit;
	}
	if (n > 0)
		fsck_note(im, "upcase", 0, im->img->fs.upcase_off,
			  "the upcase table maps %u units, U+%04X first, to what it maps further",
			  n, first);
	if (cim_upcase_unit(up, 0) != 0 || cim_upcase_unit(up, '/') != '/' ||
	    cim_upcase_unit(up, '\\') != '\\')
		fsck_note(im, "upcase", 0, im->img->fs.upcase_off,
			  "the upcase table maps a unit that no name has");
}

/* Entries of a table that are not all zeros; a hole of the region file has none. */
static uint32_t count_used(const struct cim_image *img, const struct cim_table *t,
			   const uint8_t *entries)
{
	const struct cim_mapping *m = img->region[cim_off_region(t->off)];
	off_t at = (off_t)cim_off_byte(t->off), size = (off_t)t->n_entries * t->entry_size;
	uint32_t n = 0;

	if (m->fd >= 0 && lseek(m->fd, at, SEEK_DATA) >= at + size)
		return 0;
	for (uint32_t k = 0; k < t->n_entries; k++)
		n += !is_zero(entries + (size_t)k * t->entry_size, t->entry_size);
	return n;
}

static void check_table(struct fsck_image *im, uint32_t i, uint64_t *budget)
{
	struct cim_table t;
	const uint8_t *p;
	int r = cim_image_table(im->img, i, &t);

	if (r == 0)
		r = cim_image_bytes(im->img, t.off, (uint64_t)t.n_entries * t.entry_size, &p);
	if (r < 0) {
		fsck_damage(im, "file-table", 0, 0, "file table %u: %s", i, cim_reason());
		im->used_known = false;
		return;
	}
	fsck_alignment(im, 0, t.off, "a file table");
	if (t.entry_size != 88 && t.entry_size != 96 && t.entry_size != 104)
		fsck_note(im, "entry-size", 0, t.off,
			  "file table %u has entries of %u bytes, of no version that is known", i,
			  t.entry_size);
	uint64_t size = (uint64_t)t.n_entries * t.entry_size;
	if (size > *budget)
		im->used_known = false;
	if (!im->used_known)
		return;
	*budget -= size;
	im->n_used += count_used(im->img, &t, p);
}

static void check_tables(struct fsck_image *im)
{
	uint64_t budget = COUNT_BUDGET;

	fsck_alignment(im, 0, im->img->header.fs_off, "the filesystem object");
	fsck_alignment(im, 0, im->img->fs.tables_off, "the file table directory");
	im->used_known = true;
	for (uint32_t i = 0; i < im->img->fs.n_tables && im->run->stop == 0; i++)
		check_table(im, i, &budget);
}

/* ---- an image ---- */

static void check_read(struct fsck_image *im)
{
	for (uint32_t i = 0; i < im->img->n_region_files; i++)
		if (cim_mapping_damaged(im->img->region[i]))
			fsck_damage(im, "region-read", 0, 0,
				    "region file %u cannot be read, or was cut off meanwhile", i);
}

static int check_open_image(struct fsck_image *im)
{
	const struct cim_image *img = im->img;

	im->region_type = g_try_malloc0(img->n_region_files);
	if (!im->region_type)
		return cim_fail(ENOMEM, "no memory to check \"%s\"", im->name);
	for (uint32_t i = 0; i < img->n_region_files; i++)
		if (img->region[i]->size >= sizeof(struct cim_region_disk))
			im->region_type[i] =
				((const struct cim_region_disk *)img->region[i]->data)->type;
	check_upcase(im);
	check_tables(im);
	int r = fsck_tree(im);
	if (r == 0)
		check_read(im);
	return r;
}

int fsck_run_image(struct fsck *f, const char *name)
{
	g_autofree struct fsck_image *im = g_new0(struct fsck_image, 1);
	g_autofree struct cim_set *sets = NULL;
	uint32_t n = 0;

	im->run = f;
	im->name = name;
	cim_reason_clear();
	int r = cim_image_list_sets(f->store, name, &sets, &n);
	if (r == -ENOENT)
		return r;
	f->totals.n_images++;
	if (is_damage(r)) {
		fsck_damage(im, "header", 0, 0, "%s", cim_reason());
		return 0;
	}
	if (r == 0)
		r = check_header(im);
	if (r < 0)
		return r;
	check_set_list(im, sets, n);
	r = fsck_sets(f, name, sets, n);
	if (r < 0)
		return r;
	r = cim_image_open(f->store, name, &im->img);
	if (is_damage(r)) {
		fsck_damage(im, "filesystem", 0, 0, "%s", cim_reason());
		return 0;
	}
	if (r == 0)
		r = check_open_image(im);
	g_free(im->region_type);
	cim_image_unref(im->img);
	return r;
}
