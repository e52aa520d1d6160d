/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checking object ID files, and reading all that region files have.
 *
 * A region file is read front to back once, with the objects sorted by place: each is hashed as it
 * comes by.  What algorithm a digest is of is not published; whether those of a set are ours shows
 * when one of them fits.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "fsck-private.h"
#include "objects.h"
#include "util.h"

#define CHUNK       (1024 * 1024)
#define MISFITS_MAX 1000 /* objects that do not fit and are told one by one */

struct place {
	uint64_t off;
	uint32_t i; /* entry of the table */
};

/* An object whose digest does not fit; told when it is known that the set's digests are ours. */
struct misfit {
	uint32_t index; /* region file */
	uint64_t off, size;
};

/* A set that is being checked. */
struct check {
	struct fsck *f;
	const char *image;
	const struct cim_guid *guid;
	GArray *misfits;
	uint64_t n_fit, n_misfit;
	void *buf; /* CHUNK bytes */
};

/* A region file and its object IDs. */
struct pair {
	uint32_t index;
	char file[CIM_FILE_NAME]; /* the object ID file */
	struct cim_mapping region, ids;
	const struct cim_object_disk *table;
	uint32_t n;
};

#define damage(c, file_, rule_, ...)                                                        \
	fsck_report((c)->f,                                                                 \
		    &(const struct fsck_where){ CIM_FSCK_DAMAGE, rule_, .name = (c)->image, \
						.file = (file_) },                          \
		    __VA_ARGS__)
#define note(c, file_, rule_, ...)                                                        \
	fsck_report((c)->f,                                                               \
		    &(const struct fsck_where){ CIM_FSCK_NOTE, rule_, .name = (c)->image, \
						.file = (file_) },                        \
		    __VA_ARGS__)

/* ---- the table ---- */

static uint32_t region_type(const struct pair *p)
{
	return ((const struct cim_region_disk *)p->region.data)->type;
}

static void check_entry(struct check *c, const struct pair *p, uint32_t i)
{
	uint64_t size = cim_get64(p->table[i].size), off = cim_get64(p->table[i].off);
	uint32_t align = region_type(p) == CIM_REGION_DATA ? CIM_DATA_ALIGN : CIM_TABLE_ALIGN;

	if (off < sizeof(struct cim_region_disk) || off > p->region.size ||
	    size > p->region.size - off)
		damage(c, p->file, "object-range",
		       "object %u, %" PRIu64 " bytes at %" PRIu64
		       ", is not inside its region file of %zu bytes",
		       i, size, off, p->region.size);
	else if (off % align)
		damage(c, p->file, "alignment",
		       "object %u at %" PRIu64 " is not at a multiple of %u", i, off, align);
}

static int compare_entries(const struct cim_object_disk *a, const struct cim_object_disk *b)
{
	int order = memcmp(a->digest, b->digest, sizeof(a->digest));
	uint64_t x = cim_get64(a->size), y = cim_get64(b->size);

	return order ? order : (x > y) - (x < y);
}

static void check_table(struct check *c, const struct pair *p)
{
	const struct cim_objectid_disk *d = (const void *)p->ids.data;
	uint32_t n_unsorted = 0;

	if (d->type != region_type(p))
		damage(c, p->file, "object-type",
		       "its header says region type %u, that of its region file %u", d->type,
		       region_type(p));
	if (cim_get32(d->common.header_size) != sizeof(*d))
		note(c, p->file, "header-size",
		     "its header says that it has %u bytes, expected %zu",
		     cim_get32(d->common.header_size), sizeof(*d));
	if (p->n > 0 && cim_get32(d->table_off) < sizeof(*d))
		damage(c, p->file, "object-table", "its table at %u lies in its header",
		       cim_get32(d->table_off));
	for (uint32_t i = 0; i < p->n && c->f->stop == 0; i++) {
		check_entry(c, p, i);
		n_unsorted += i > 0 && compare_entries(&p->table[i - 1], &p->table[i]) >= 0;
	}
	if (n_unsorted > 0)
		note(c, p->file, "object-order",
		     "%u entries do not come behind the one before them; a writer may miss them",
		     n_unsorted);
}

/* ---- all bytes ---- */

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->off != y->off ? (x->off > y->off) - (x->off < y->off)
				: (x->i > y->i) - (x->i < y->i);
}

/* The objects of a table by place, those left out that are not inside. */
static int sort_places(const struct pair *p, struct place **ret, uint32_t *ret_n)
{
	struct place *place = g_try_malloc_n(MAX(p->n, 1), sizeof(*place));
	uint32_t n = 0;

	if (!place)
		return cim_fail(ENOMEM, "no memory to check %u objects", p->n);
	for (uint32_t i = 0; i < p->n; i++) {
		uint64_t size = cim_get64(p->table[i].size), off = cim_get64(p->table[i].off);

		if (off >= sizeof(struct cim_region_disk) && off <= p->region.size &&
		    size <= p->region.size - off)
			place[n++] = (struct place){ .off = off, .i = i };
	}
	qsort(place, n, sizeof(*place), compare_places);
	*ret = place;
	*ret_n = n;
	return 0;
}

/* Where data begins that is not before @at, up to @end. */
static uint64_t next_data(int fd, uint64_t at, uint64_t end)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? end : at;
	return CLAMP((uint64_t)data, at, end);
}

static uint64_t next_hole(int fd, uint64_t at, uint64_t end)
{
	off_t hole = lseek(fd, (off_t)at, SEEK_HOLE);

	return hole < 0 ? end : CLAMP((uint64_t)hole, at, end);
}

/* Read @from to @to, and hash it where @hash is not NULL.  0, -EIO: these bytes cannot be read. */
static int read_bytes(struct check *c, int fd, uint64_t from, uint64_t to, struct cim_hash *hash)
{
	struct fsck *f = c->f;

	while (from < to && f->stop == 0) {
		uint64_t data = next_data(fd, from, to), hole = next_hole(fd, data, to);

		if (hash)
			cim_hash_zeros(hash, data - from);
		for (from = data; from < hole && f->stop == 0;) {
			size_t n = (size_t)MIN(hole - from, CHUNK);

			if (cim_pread_full(fd, c->buf, n, from) < 0)
				return -EIO;
			if (hash)
				cim_hash_add(hash, c->buf, n);
			from += n;
			f->totals.n_bytes += n;
			int r = f->opt->progress
					? f->opt->progress(f->arg, f->totals.n_bytes, f->all_bytes)
					: 0;
			if (r < 0)
				f->stop = r;
		}
	}
	return 0;
}

/* Holes in @from to @to, counted up to a little more than a writer would hash. */
static bool too_much_hole(int fd, uint64_t from, uint64_t to)
{
	uint64_t holes = 0;

	while (from < to && holes <= CIM_HASHED_HOLES) {
		uint64_t data = next_data(fd, from, to);

		holes += data - from;
		from = next_hole(fd, data, to);
	}
	return holes > CIM_HASHED_HOLES;
}

static int check_object(struct check *c, const struct pair *p, int fd, const struct place *place)
{
	const struct cim_object_disk *d = &p->table[place->i];
	uint64_t size = cim_get64(d->size);
	struct cim_digest digest;

	if (too_much_hole(fd, place->off, place->off + size)) {
		note(c, p->file, "object-hole",
		     "object %u has too much hole to be hashed, which no writer does", place->i);
		return 0;
	}
	struct cim_hash *hash = cim_hash_begin();
	int r = read_bytes(c, fd, place->off, place->off + size, hash);
	cim_hash_end(hash, &digest);
	if (r < 0 || c->f->stop)
		return r;
	if (memcmp(digest.b, d->digest, sizeof(digest.b)) == 0) {
		c->n_fit++;
		return 0;
	}
	struct misfit misfit = { .index = p->index, .off = place->off, .size = size };
	if (c->n_misfit++ < MISFITS_MAX)
		g_array_append_val(c->misfits, misfit);
	return 0;
}

/* All of a region file, by way of its objects. */
static int check_bytes(struct check *c, const struct pair *p, int fd)
{
	g_autofree struct place *place = NULL;
	uint64_t at = 0;
	uint32_t n = 0, n_overlap = 0;
	int r = sort_places(p, &place, &n);

	for (uint32_t i = 0; r == 0 && i < n && c->f->stop == 0; i++) {
		if (place[i].off < at) { /* hashing it could cost as much as all before it */
			n_overlap++;
			continue;
		}
		r = read_bytes(c, fd, at, place[i].off, NULL);
		if (r == 0)
			r = check_object(c, p, fd, &place[i]);
		at = place[i].off + cim_get64(p->table[place[i].i].size);
	}
	if (r == 0)
		r = read_bytes(c, fd, at, p->region.size, NULL);
	if (n_overlap > 0)
		note(c, p->file, "object-overlap",
		     "%u objects overlap the ones before them; they are not hashed", n_overlap);
	return r;
}

static int check_data(struct check *c, const struct pair *p)
{
	char region[CIM_FILE_NAME];
	cim_autofd fd = -1;

	cim_region_name(c->guid, p->index, region);
	int r = cim_open_regular(c->f->store->dirfd, region, &fd);
	if (r == 0) {
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		r = check_bytes(c, p, fd);
	}
	if (r == -EIO) {
		damage(c, region, "region-read", "it cannot be read to its end: %s",
		       g_strerror(EIO));
		return 0;
	}
	return r;
}

/* ---- a set ---- */

/* The object ID file, if it can be used; *ret says so.  Missing ones cost space only. */
static int open_ids(struct check *c, struct pair *p, bool *ret)
{
	*ret = false;
	cim_objectid_name(c->guid, p->index, p->file);
	int r = cim_mapping_open(c->f->store->dirfd, p->file, &p->ids);
	if (r == -ENOENT) {
		note(c, p->file, "object-missing", "the object ID file is missing");
		return 0;
	}
	if (r == -CIM_ECORRUPT) {
		damage(c, p->file, "object-file", "%s", cim_reason());
		return 0;
	}
	if (r < 0)
		return r;
	if (cim_objectid_header_parse(p->ids.data, p->ids.size, p->index, &p->table, &p->n) < 0) {
		damage(c, p->file, "object-header", "the object ID file cannot be used: %s",
		       cim_reason());
		p->n = 0;
		return 0;
	}
	*ret = true;
	return 0;
}

static int check_pair(struct check *c, uint32_t index)
{
	struct pair p = { .index = index, .region.fd = -1, .ids.fd = -1 };
	char region[CIM_FILE_NAME];
	bool usable;

	cim_region_name(c->guid, index, region);
	/* What is wrong with the region file has been told. */
	if (cim_mapping_open(c->f->store->dirfd, region, &p.region) < 0)
		return 0;
	int r = 0;
	if (cim_region_header_parse(p.region.data, p.region.size, index) == 0) {
		r = open_ids(c, &p, &usable);
		if (r == 0 && usable)
			check_table(c, &p);
		if (r == 0 && c->f->opt->data)
			r = check_data(c, &p);
		if (r == 0 && cim_mapping_damaged(&p.ids))
			damage(c, p.file, "object-file",
			       "it cannot be read, or was cut off meanwhile");
	}
	cim_mapping_close(&p.ids);
	cim_mapping_close(&p.region);
	return r;
}

static void tell_misfits(struct check *c)
{
	char guid[CIM_GUID_TEXT], region[CIM_FILE_NAME];

	if (c->n_misfit > 0 && c->n_fit == 0) {
		cim_guid_format(c->guid, guid);
		note(c, NULL, "digest-kind",
		     "no digest of region set %s fits: they are of another kind, or nothing is left of "
		     "its data",
		     guid);
		return;
	}
	for (guint i = 0; i < c->misfits->len; i++) {
		const struct misfit *m = &g_array_index(c->misfits, struct misfit, i);

		cim_region_name(c->guid, m->index, region);
		damage(c, region, "digest",
		       "the %" PRIu64 " bytes at %" PRIu64 " are not those that were written there",
		       m->size, m->off);
	}
	if (c->n_misfit > MISFITS_MAX)
		damage(c, NULL, "digest", "%" PRIu64 " other objects of its set are damaged too",
		       c->n_misfit - MISFITS_MAX);
}

int fsck_objects(struct fsck *f, const char *image, const struct cim_set *set,
		 const GArray *indexes)
{
	struct check c = { .f = f, .image = image, .guid = &set->guid };
	int r = 0;

	c.misfits = g_array_new(FALSE, FALSE, sizeof(struct misfit));
	c.buf = f->opt->data ? g_malloc(CHUNK) : NULL;
	for (guint i = 0; r == 0 && i < indexes->len && f->stop == 0; i++)
		r = check_pair(&c, g_array_index(indexes, uint32_t, i));
	if (r == 0 && f->stop == 0)
		tell_misfits(&c);
	g_array_free(c.misfits, TRUE);
	g_free(c.buf);
	return r;
}
