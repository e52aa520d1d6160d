/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A run of the checker: what is looked at, and how it is told.  The rules are format.md's; which
 * file has which is in fsck-private.h.
 */
#include "config.h"

#include "fsck.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "fsck-private.h"
#include "reader.h"

#define MISSING_MAX 64         /* region files of a set that are looked for in vain */
#define PATH_DEPTH  64         /* components of a path that is told */
#define PATH_BUDGET 0x10000000 /* links that are looked at to tell paths, in all */

/* ---- findings ---- */

/* The name that a directory has for a file, if its table can be read. */
static bool name_in(struct fsck *f, const struct cim_image *img, uint32_t dir_id, uint32_t id,
		    char ret[CIM_NAME_BYTES + 1])
{
	uint16_t units[CIM_NAME_UNITS];
	struct cim_entry dir;
	struct cim_links l;
	uint32_t i = 0;

	if (cim_image_entry(img, dir_id, &dir) < 0 || cim_dir_links(img, &dir, &l) < 0 ||
	    l.n > f->path_budget)
		return false;
	f->path_budget -= l.n;
	while (i < l.n && cim_links_id(&l, i) != id)
		i++;
	if (i == l.n)
		return false;
	int n = cim_links_name(&l, i, units);
	return n > 0 && cim_name_shown(units, (size_t)n, ret) > 0;
}

/* A path of a file, by way of the parents that entries say; NULL where that does not lead to the
 * root. */
static char *find_path(struct fsck *f, const struct cim_image *img, uint32_t id)
{
	g_autoptr(GString) path = g_string_new(NULL);
	char name[CIM_NAME_BYTES + 1];
	struct cim_entry e;

	for (int depth = 0; id != img->fs.root_id; depth++) {
		if (depth == PATH_DEPTH || cim_image_entry(img, id, &e) < 0 ||
		    !name_in(f, img, e.parent_id, id, name))
			return NULL;
		g_string_prepend(path, name);
		g_string_prepend_c(path, '/');
		id = e.parent_id;
	}
	return g_strdup(path->len ? path->str : "/");
}

void fsck_report(struct fsck *f, const struct fsck_where *where, const char *fmt, ...)
{
	const struct fsck_image *im = where->image;
	g_autofree char *path = NULL, *text = NULL;
	uint64_t n = f->totals.n_damage + f->totals.n_notes;
	va_list ap;

	*(where->severity == CIM_FSCK_DAMAGE ? &f->totals.n_damage : &f->totals.n_notes) += 1;
	if (!f->fn || f->stop < 0 || (f->opt->max_findings && n >= f->opt->max_findings))
		return;
	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	if (where->id && im && im->img)
		path = find_path(f, im->img, where->id);
	const struct cim_fsck_finding finding = {
		.severity = where->severity,
		.rule = where->rule,
		.image = im ? im->name : where->name,
		.file = where->file,
		.id = where->id,
		.path = path,
		.off = where->off,
		.text = text,
	};
	int r = f->fn(f->arg, &finding);
	if (r < 0)
		f->stop = r;
}

/* ---- region sets ---- */

#define region_damage(rule_, ...)                                                                  \
	fsck_report(                                                                               \
		f,                                                                                 \
		&(const struct fsck_where){ CIM_FSCK_DAMAGE, rule_, .name = image, .file = file }, \
		__VA_ARGS__)
#define region_note(rule_, ...)                                                                  \
	fsck_report(                                                                             \
		f,                                                                               \
		&(const struct fsck_where){ CIM_FSCK_NOTE, rule_, .name = image, .file = file }, \
		__VA_ARGS__)

static bool is_zero(const void *p, size_t n)
{
	const uint8_t *byte = p;

	return n == 0 || (byte[0] == 0 && memcmp(byte, byte + 1, n - 1) == 0);
}

static void check_region_header(struct fsck *f, const char *image, const char *file,
				const struct cim_mapping *m, uint32_t index)
{
	const struct cim_region_disk *d = (const void *)m->data;

	if (cim_region_header_parse(m->data, m->size, index) < 0) {
		region_damage("region-header", "the region file cannot be used: %s", cim_reason());
		return;
	}
	if (d->type > CIM_REGION_SMALL)
		region_damage("region-type", "its header says region type %u, expected 0..2",
			      d->type);
	if (cim_get32(d->common.header_size) != sizeof(*d))
		region_note("header-size", "its header says that it has %u bytes, expected %zu",
			    cim_get32(d->common.header_size), sizeof(*d));
	if (!is_zero(d->common.reserved13, 3) || cim_get64(d->common.reserved24) || d->reserved35 ||
	    cim_get32(d->reserved36))
		region_note("reserved", "a reserved field of its header is not 0");
	if (cim_mapping_damaged(m))
		region_damage("region-read", "it cannot be read, or was cut off meanwhile");
}

/* *there gets its index if it can be opened. */
static int check_region(struct fsck *f, const char *image, const struct cim_guid *guid,
			uint32_t index, GArray *there)
{
	char file[CIM_FILE_NAME];
	struct cim_mapping m;

	cim_region_name(guid, index, file);
	cim_reason_clear();
	int r = cim_mapping_open(f->store->dirfd, file, &m);
	if (r == -ENOENT) {
		region_damage("region-missing", "region file \"%s\" is missing", file);
		return 0;
	}
	if (r == -CIM_ECORRUPT) {
		region_damage("region-file", "%s", cim_reason());
		return 0;
	}
	if (r < 0)
		return r;
	check_region_header(f, image, file, &m, index);
	cim_mapping_close(&m);
	g_array_append_val(there, index);
	return 0;
}

/* The files of a set from index @from on, of which the directory has few. */
static int check_listed(struct fsck *f, const char *image, const struct cim_set *set, uint32_t from,
			GArray *there)
{
	const char *file = NULL;
	char guid[CIM_GUID_TEXT];
	uint32_t n = 0;
	int r = cim_region_list_fill(f->store, &f->list);
	const GArray *listed = r == 0 ? cim_region_list_of(&f->list, &set->guid) : NULL;

	for (guint i = 0; r == 0 && listed && i < listed->len && f->stop == 0; i++) {
		uint32_t index = g_array_index(listed, uint32_t, i);

		if (index < from || index >= set->n_regions)
			continue;
		r = check_region(f, image, &set->guid, index, there);
		n++;
	}
	if (r == 0 && n < set->n_regions - from) {
		cim_guid_format(&set->guid, guid);
		region_damage(
			"region-missing",
			"%u more of the %u region files that set %s is said to have are missing",
			set->n_regions - from - n, set->n_regions, guid);
	}
	return r;
}

/*
 * The region files of a set from index @first on.  It may claim as many as it likes: when it lacks
 * MISSING_MAX, the directory decides which are tried.
 */
static int check_regions(struct fsck *f, const char *image, const struct cim_set *set,
			 uint32_t first, GArray *there)
{
	uint32_t k = first;
	int r = 0;

	for (; r == 0 && f->stop == 0 && k < set->n_regions; k++) {
		if (k - first - there->len == MISSING_MAX)
			return check_listed(f, image, set, k, there);
		r = check_region(f, image, &set->guid, k, there);
	}
	return r;
}

int fsck_sets(struct fsck *f, const char *image, const struct cim_set *sets, uint32_t n)
{
	for (uint32_t i = 0; i < n && f->stop == 0; i++) {
		uint32_t done = GPOINTER_TO_UINT(g_hash_table_lookup(f->sets, &sets[i].guid));

		/* Images that disagree about a set's size are checked for what each says. */
		if (done >= sets[i].n_regions)
			continue;
		g_autoptr(GArray) there = g_array_new(FALSE, FALSE, sizeof(uint32_t));
		int r = check_regions(f, image, &sets[i], done, there);
		if (r == 0)
			r = fsck_objects(f, image, &sets[i], there);
		if (r < 0)
			return r;
		g_hash_table_insert(f->sets, g_memdup2(&sets[i].guid, sizeof(sets[i].guid)),
				    GUINT_TO_POINTER(sets[i].n_regions));
	}
	return f->stop;
}

/* ---- a run ---- */

static void begin(struct fsck *f, struct cim_store *store, const struct cim_fsck_options *opt,
		  cim_fsck_fn fn, void *arg)
{
	static const struct cim_fsck_options defaults;

	*f = (struct fsck){
		.store = store,
		.opt = opt ? opt : &defaults,
		.fn = fn,
		.arg = arg,
		.sets = g_hash_table_new_full(cim_guid_hash, cim_guid_equal, g_free, NULL),
		.path_budget = PATH_BUDGET,
	};
}

/* Damage that was found counts, whatever else could not be told. */
static int end(struct fsck *f, int r)
{
	struct cim_fsck_totals *to = f->opt->totals;

	g_hash_table_destroy(f->sets);
	cim_region_list_clear(&f->list);
	if (to) {
		to->n_damage += f->totals.n_damage;
		to->n_notes += f->totals.n_notes;
		to->n_images += f->totals.n_images;
		to->n_files += f->totals.n_files;
		to->n_bytes += f->totals.n_bytes;
	}
	if (f->stop < 0)
		return f->stop;
	return f->totals.n_damage ? 1 : r;
}

/* How much there is to read, for the progress: of the files that there are. */
static void measure(struct fsck *f, char *const *images)
{
	g_autoptr(GHashTable) listed = NULL; /* struct cim_guid -> how many files of it */
	g_auto(GStrv) files = NULL;
	struct cim_guid guid;
	uint32_t index;
	struct stat st;

	if (!f->opt->data || !f->opt->progress || cim_store_files(f->store, &files) < 0)
		return;
	listed = g_hash_table_new_full(cim_guid_hash, cim_guid_equal, g_free, NULL);
	for (; *images; images++) {
		g_autofree struct cim_set *sets = NULL;
		uint32_t n = 0;

		if (cim_image_list_sets(f->store, *images, &sets, &n) < 0)
			continue;
		for (uint32_t i = 0; i < n; i++) {
			uint32_t known =
				GPOINTER_TO_UINT(g_hash_table_lookup(listed, &sets[i].guid));

			if (sets[i].n_regions > known)
				g_hash_table_insert(listed,
						    g_memdup2(&sets[i].guid, sizeof(sets[i].guid)),
						    GUINT_TO_POINTER(sets[i].n_regions));
		}
	}
	for (char **file = files; *file; file++)
		if (cim_store_name_kind(*file, &guid, &index) == CIM_NAME_REGION &&
		    index < GPOINTER_TO_UINT(g_hash_table_lookup(listed, &guid)) &&
		    fstatat(f->store->dirfd, *file, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			f->all_bytes += (uint64_t)st.st_size;
}

int cim_fsck_image(struct cim_store *store, const char *name, const struct cim_fsck_options *opt,
		   cim_fsck_fn fn, void *arg)
{
	char *names[] = { (char *)(uintptr_t)name, NULL };
	struct fsck f;

	begin(&f, store, opt, fn, arg);
	measure(&f, names);
	return end(&f, fsck_run_image(&f, name));
}

/* ---- a directory ---- */

/* A file that is no image: whether an image has a use for it. */
static void check_other(struct fsck *f, const char *file)
{
	const char *image = NULL;
	struct cim_guid guid;
	uint32_t index;

	switch (cim_store_name_kind(file, &guid, &index)) {
	case CIM_NAME_REGION:
	case CIM_NAME_OBJECTID:
		/* Those of damaged images too: who cannot say what it needs may need it. */
		if (index >= GPOINTER_TO_UINT(g_hash_table_lookup(f->sets, &guid)))
			region_note("unreferenced", "no image that can be read lists it");
		break;
	case CIM_NAME_LEFTOVER:
		region_note("leftover", "it belongs to a writer, or was left by one that died");
		break;
	case CIM_NAME_OTHER:
		if (f->opt->foreign)
			region_note("foreign", "it is no file of an image");
		break;
	}
}

/* Those that could be images and cannot be looked at: nobody knows. */
static int classify(struct fsck *f, char *const *files, GPtrArray *images, GPtrArray *others)
{
	int result = 0;

	for (; *files; files++) {
		int r = cim_store_probe(f->store, *files);

		if (r < 0 && r != -ENOENT)
			result = r;
		else if (r != -ENOENT)
			g_ptr_array_add(r ? images : others, *files);
	}
	g_ptr_array_add(images, NULL);
	return result;
}

int cim_fsck_directory(struct cim_store *store, const struct cim_fsck_options *opt, cim_fsck_fn fn,
		       void *arg)
{
	g_autoptr(GPtrArray) images = g_ptr_array_new(), others = g_ptr_array_new();
	g_auto(GStrv) files = NULL;
	struct fsck f;
	int result = cim_store_files(store, &files);

	if (result < 0)
		return result;
	begin(&f, store, opt, fn, arg);
	result = classify(&f, files, images, others);
	measure(&f, (char *const *)images->pdata);
	for (guint i = 0; i + 1 < images->len && f.stop == 0; i++) {
		int r = fsck_run_image(&f, g_ptr_array_index(images, i));

		if (r < 0 && r != -ENOENT) /* gone since it was listed */
			result = r;
	}
	for (guint i = 0; i < others->len && f.stop == 0; i++)
		check_other(&f, g_ptr_array_index(others, i));
	return end(&f, result);
}
