/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "image.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "error.h"
#include "util.h"

#define OPEN_TRIES 100 /* while an image is deleted and made again under one name */

void (*cim_image_test_hook)(void);

struct cim_image *cim_image_ref(struct cim_image *img)
{
	g_atomic_ref_count_inc(&img->refs);
	return img;
}

void cim_image_unref(struct cim_image *img)
{
	if (!img || !g_atomic_ref_count_dec(&img->refs))
		return;
	for (uint32_t i = 0; img->regions && i < img->n_sets; i++)
		if (img->regions[i])
			cim_store_release(img->store, img->regions[i]);
	g_free(img->regions);
	g_free(img->region);
	g_free(img->sets);
	g_free(img->name);
	cim_store_unref(img->store);
	g_free(img);
}

/* The header and the list of region sets: at most 72 + 65535 * 24 bytes. */
static int read_sets(struct cim_image *img, int fd)
{
	struct cim_image_disk head;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	img->dev = st.st_dev;
	img->ino = st.st_ino;
	img->mtime = st.st_mtim;
	if (st.st_size < (off_t)sizeof(head))
		return cim_fail(CIM_EFORMAT,
				"it has %" PRId64 " bytes, the header of an image has %zu",
				(int64_t)st.st_size, sizeof(head));
	int r = cim_pread_full(fd, &head, sizeof(head), 0);
	if (r == 0)
		r = cim_image_header_parse(&head, sizeof(head), &img->header);
	if (r < 0)
		return r;

	uint32_t n_parents = img->header.n_parents;
	size_t size = n_parents * sizeof(struct cim_set_disk);
	if ((uint64_t)st.st_size < sizeof(head) + size)
		return cim_fail(CIM_ECORRUPT, "it has %" PRId64 " bytes, its %u parents end at %zu",
				(int64_t)st.st_size, n_parents, sizeof(head) + size);
	g_autofree struct cim_set_disk *parents = g_malloc(size + 1);
	r = cim_pread_full(fd, parents, size, sizeof(head));
	if (r < 0)
		return r;
	img->n_sets = n_parents + 1;
	img->sets = g_new(struct cim_set, img->n_sets);
	img->sets[n_parents] = img->header.own;
	uint64_t total = img->header.own.n_regions;
	for (uint32_t i = 0; i < n_parents; i++) {
		(void)cim_set_parse(&parents[i], &img->sets[i]);
		total += img->sets[i].n_regions;
	}
	if (total == 0 || total > CIM_REGIONS_MAX)
		return cim_fail(CIM_ECORRUPT, "it lists %" PRIu64 " region files, expected 1..%d",
				total, CIM_REGIONS_MAX);
	img->n_region_files = (uint32_t)total;
	return 0;
}

int cim_image_list_sets(struct cim_store *store, const char *name, struct cim_set **ret,
			uint32_t *ret_n)
{
	struct cim_image img = { 0 };
	cim_autofd fd = -1;
	int r = cim_open_regular(store->dirfd, name, &fd);

	if (r < 0)
		return r;
	r = read_sets(&img, fd);
	if (r < 0) {
		g_free(img.sets);
		return cim_fail(-r, "image \"%s\" cannot be read: %s", name, cim_reason());
	}
	*ret = img.sets;
	*ret_n = img.n_sets;
	return 0;
}

static int open_regions(struct cim_image *img)
{
	struct cim_region_list list = { 0 };
	uint32_t index = 0;
	int r = 0;

	img->regions = g_new0(struct cim_regions *, img->n_sets);
	img->region = g_new0(const struct cim_mapping *, img->n_region_files);
	for (uint32_t i = 0; r == 0 && i < img->n_sets; i++) {
		r = cim_store_regions(img->store, &img->sets[i], &list, &img->regions[i]);
		for (uint32_t k = 0; r == 0 && k < img->sets[i].n_regions; k++)
			img->region[index++] = &img->regions[i]->region[k];
	}
	cim_region_list_clear(&list);
	return r;
}

int cim_image_open_fs(struct cim_image *img)
{
	const uint8_t *p;
	int r = cim_image_bytes(img, img->header.fs_off, sizeof(struct cim_fs_disk), &p);

	if (r == 0)
		r = cim_fs_parse((const struct cim_fs_disk *)p, &img->fs);
	if (r == 0)
		r = cim_image_bytes(img, img->fs.upcase_off, CIM_UPCASE_SIZE, &img->upcase.disk);
	if (r == 0)
		r = cim_image_bytes(img, img->fs.tables_off,
				    (uint64_t)img->fs.n_tables * sizeof(struct cim_table_disk), &p);
	return r;
}

static const struct cim_mapping no_mapping = { .fd = -1 };

/* Map the region file that @off is in, for an image that has none mapped. */
static int map_region_of(struct cim_image *img, uint64_t off, struct cim_mapping *m)
{
	uint32_t index = cim_off_region(off), n = index, i = 0;
	char name[CIM_FILE_NAME];

	if (index >= img->n_region_files || img->region[index] != &no_mapping)
		return 0;
	for (; n >= img->sets[i].n_regions; i++)
		n -= img->sets[i].n_regions;
	cim_region_name(&img->sets[i].guid, n, name);
	int r = cim_mapping_open(img->store->dirfd, name, m);
	if (r == 0)
		r = cim_region_header_parse(m->data, m->size, n);
	if (r == 0)
		img->region[index] = m;
	return r;
}

/* The filesystem object, and what it leads to at once. */
static int examine_fs(struct cim_image *img, struct cim_mapping map[3])
{
	const struct cim_fs_disk *fs;
	const uint8_t *p;
	int r = map_region_of(img, img->header.fs_off, &map[0]);

	if (r == 0)
		r = cim_image_bytes(img, img->header.fs_off, sizeof(*fs), &p);
	if (r < 0)
		return r;
	fs = (const struct cim_fs_disk *)p;
	r = map_region_of(img, cim_get64(fs->upcase_off), &map[1]);
	if (r == 0)
		r = map_region_of(img, cim_get64(fs->tables_off), &map[2]);
	return r < 0 ? r : cim_image_open_fs(img);
}

int cim_image_examine(struct cim_store *store, const char *name, struct cim_set **ret,
		      uint32_t *ret_n)
{
	struct cim_mapping map[3] = { { .fd = -1 }, { .fd = -1 }, { .fd = -1 } };
	struct cim_image img = { .store = store };
	cim_autofd fd = -1;
	int r = cim_open_regular(store->dirfd, name, &fd);

	if (r < 0)
		return r;
	r = read_sets(&img, fd);
	if (r == 0) {
		img.region = g_new(const struct cim_mapping *, img.n_region_files);
		for (uint32_t i = 0; i < img.n_region_files; i++)
			img.region[i] = &no_mapping;
		r = examine_fs(&img, map);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(map); i++)
		cim_mapping_close(&map[i]);
	g_free(img.region);
	if (r < 0) {
		g_free(img.sets);
		/* A region file that is missing is damage to the image. */
		return cim_fail(r == -ENOENT ? CIM_ECORRUPT : -r, "image \"%s\" cannot be read: %s",
				name, *cim_reason() ? cim_reason() : g_strerror(-r));
	}
	*ret = img.sets;
	*ret_n = img.n_sets;
	return 0;
}

/* ---- opening ---- */

static bool is_whole(const struct cim_image *img)
{
	for (uint32_t i = 0; i < img->n_region_files; i++)
		if (img->region[i]->size == 0)
			return false;
	return true;
}

/* Whether the name is that of the file that was opened. */
static bool is_current(const struct cim_image *img)
{
	struct stat st;

	return fstatat(img->store->dirfd, img->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == img->dev && st.st_ino == img->ino;
}

/* *ret_stale: something is missing, and the image has been deleted or replaced since. */
static int open_once(struct cim_store *store, const char *name, struct cim_image **ret,
		     bool *ret_stale)
{
	cim_autofd fd = -1;
	int r = cim_open_regular(store->dirfd, name, &fd);

	*ret_stale = false;
	if (r < 0)
		return r;
	struct cim_image *img = g_new0(struct cim_image, 1);
	g_atomic_ref_count_init(&img->refs);
	img->store = cim_store_ref(store);
	img->name = g_strdup(name);
	img->view = cim_view_default();
	r = read_sets(img, fd);
	if (cim_image_test_hook)
		cim_image_test_hook();
	if (r == 0)
		r = open_regions(img);
	if (r == 0 && !is_whole(img))
		*ret_stale = !is_current(img);
	if (r == 0)
		r = cim_image_open_fs(img);
	if (r < 0 || *ret_stale) {
		cim_image_unref(img);
		return cim_fail(r < 0 ? -r : ENOENT, "image \"%s\" cannot be read: %s", name,
				*cim_reason() ? cim_reason() : g_strerror(-r));
	}
	*ret = img;
	return 0;
}

/* Readers take no lock, so that an image may be deleted, or deleted and made anew, while it is
 * being opened. */
int cim_image_open(struct cim_store *store, const char *name, struct cim_image **ret)
{
	bool stale = true;
	int r = 0;

	for (int tries = 0; stale && tries < OPEN_TRIES; tries++)
		r = open_once(store, name, ret, &stale);
	return r;
}

int cim_image_span(const struct cim_image *img, uint64_t off, const uint8_t **ret,
		   uint64_t *ret_size)
{
	uint32_t index = cim_off_region(off);
	uint64_t at = cim_off_byte(off);

	if (index >= img->n_region_files)
		return cim_fail(CIM_ECORRUPT, "region offset %#" PRIx64 " names region %u of %u",
				off, index, img->n_region_files);
	const struct cim_mapping *m = img->region[index];
	if (m->size == 0)
		return cim_fail(CIM_ECORRUPT, "region file %u is missing or unreadable", index);
	if (at == 0 || at >= m->size)
		return cim_fail(CIM_ECORRUPT,
				"region offset %#" PRIx64 " passes the region's end at %zu", off,
				m->size);
	*ret = m->data + at;
	*ret_size = m->size - at;
	return 0;
}

int cim_image_bytes(const struct cim_image *img, uint64_t off, uint64_t size, const uint8_t **ret)
{
	const uint8_t *p;
	uint64_t n;
	int r = cim_image_span(img, off, &p, &n);

	if (r < 0)
		return r;
	if (size > n)
		return cim_fail(CIM_ECORRUPT,
				"%" PRIu64 " bytes at region offset %#" PRIx64
				" pass the region's end",
				size, off);
	*ret = p;
	return 0;
}

void cim_image_will_read(const struct cim_image *img, uint64_t off, uint64_t size)
{
	cim_mapping_will_read(img->region[cim_off_region(off)], cim_off_byte(off), size);
}

/* The name of the file with a region index that the image has. */
static void name_of_region(const struct cim_image *img, uint32_t index, char ret[CIM_FILE_NAME])
{
	uint32_t i = 0;

	while (index >= img->sets[i].n_regions)
		index -= img->sets[i++].n_regions;
	cim_region_name(&img->sets[i].guid, index, ret);
}

int cim_image_check(const struct cim_image *img, uint64_t off, uint64_t size)
{
	uint32_t index = cim_off_region(off);
	char name[CIM_FILE_NAME];

	/* What was read to get here may have changed meanwhile. */
	if (index >= img->n_region_files)
		return cim_fail(CIM_ECORRUPT, "region offset %#" PRIx64 " names region %u of %u",
				off, index, img->n_region_files);
	const struct cim_mapping *m = img->region[index];
	bool is_last = img->store && cim_mapping_ends_with(m, cim_off_byte(off), size);
	if (is_last)
		name_of_region(img, index, name);
	if (!cim_mapping_check(m, cim_off_byte(off), size, is_last ? img->store->dirfd : -1,
			       is_last ? name : NULL))
		return cim_fail(EIO,
				"region file %u of image \"%s\" was cut off while it was in use",
				index, img->name);
	return 0;
}

int cim_image_table(const struct cim_image *img, uint32_t i, struct cim_table *ret)
{
	const uint8_t *p;
	/* Checked as a whole when the image was opened. */
	int r = cim_image_bytes(img,
				img->fs.tables_off + (uint64_t)i * sizeof(struct cim_table_disk),
				sizeof(struct cim_table_disk), &p);

	if (r == 0)
		r = cim_table_parse((const struct cim_table_disk *)p, ret);
	return r;
}

int cim_image_entry(const struct cim_image *img, uint32_t id, struct cim_entry *ret)
{
	uint32_t i = (id - 1) / CIM_TABLE_ENTRIES, k = (id - 1) % CIM_TABLE_ENTRIES;
	struct cim_table t;
	const uint8_t *p;
	uint64_t n;

	if (id == 0 || i >= img->fs.n_tables)
		return cim_fail(CIM_ECORRUPT, "file ID %u is in none of %u file tables", id,
				img->fs.n_tables);
	int r = cim_image_table(img, i, &t);
	if (r < 0)
		return r;
	if (k >= t.n_entries)
		return cim_fail(CIM_ECORRUPT, "file ID %u is entry %u of a file table of %u", id, k,
				t.n_entries);
	/* From the table's start: with the offset added, a lie could lead into another region. */
	r = cim_image_span(img, t.off, &p, &n);
	if (r == 0 && n / t.entry_size <= k)
		r = cim_fail(CIM_ECORRUPT,
			     "file ID %u is entry %u of a file table that ends before", id, k);
	if (r == 0)
		r = cim_entry_parse(p + (size_t)k * t.entry_size, t.entry_size, ret);
	if (r == 0)
		r = cim_image_check(img, t.off + (uint64_t)k * t.entry_size, t.entry_size);
	return r;
}

uint32_t cim_image_last_id(const struct cim_image *img)
{
	struct cim_table t;

	if (cim_image_table(img, img->fs.n_tables - 1, &t) < 0)
		return 0;
	return (img->fs.n_tables - 1) * CIM_TABLE_ENTRIES + t.n_entries;
}

int cim_image_counted(const struct cim_image *img, uint64_t off, const uint8_t **ret,
		      size_t *ret_size)
{
	const uint8_t *p;
	int r = cim_image_bytes(img, off, 2, &p);

	if (r < 0)
		return r;
	size_t size = cim_load16(p);
	r = cim_image_bytes(img, off, 2 + size, &p);
	if (r < 0)
		return r;
	*ret = p + 2;
	*ret_size = size;
	return 0;
}

bool cim_image_is_case_sensitive(const struct cim_image *img)
{
	return cim_upcase_is_identity(img->upcase.disk);
}

int cim_image_check_files(const struct cim_image *img)
{
	char name[CIM_FILE_NAME];
	struct stat st;

	for (uint32_t i = 0; i < img->n_sets; i++) {
		const struct cim_regions *set = img->regions[i];

		for (uint32_t k = 0; k < set->n; k++) {
			if (!set->region[k].size)
				continue;
			cim_region_name(&set->guid, k, name);
			if (fstatat(img->store->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			    !S_ISREG(st.st_mode) || (size_t)st.st_size != set->region[k].size)
				return cim_fail(CIM_ECORRUPT,
						"somebody has removed or changed \"%s\", which is "
						"needed",
						name);
		}
	}
	return 0;
}
