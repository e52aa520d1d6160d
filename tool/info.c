/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimfs info: what images a directory has, what they consist of, and what they share.
 *
 * Only headers and file tables are read, no directory of an image: the answer takes as long for a
 * million files as the file tables take to read.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "tool.h"
#include "util.h"

/* A region set, as the images of the directory use it. */
struct set_use {
	const char *made_by; /* the image whose own set it is; NULL: that one is gone */
	guint n_images;
	guint n_files;
	uint64_t size; /* bytes on disk, of its region and object ID files */
	bool complete; /* all of its region files are there */
	int error;     /* why not all that it takes is known; errno, 0: it is */
};

struct record {
	char *name;
	struct cim_image *img; /* NULL: it cannot be read */
	char *error;
	uint64_t n_files, own_size, shared_size; /* bytes on disk */
	bool case_sensitive;
};

struct catalogue {
	GPtrArray *records; /* by name */
	GHashTable *sets;   /* struct cim_guid -> struct set_use */
};

/* ---- collecting ---- */

static guint guid_hash(gconstpointer p)
{
	guint h;

	memcpy(&h, p, sizeof(h));
	return h;
}

static gboolean guid_equal(gconstpointer a, gconstpointer b)
{
	return memcmp(a, b, sizeof(struct cim_guid)) == 0;
}

static void record_free(void *p)
{
	struct record *record = p;

	cim_image_unref(record->img);
	g_free(record->name);
	g_free(record->error);
	g_free(record);
}

static void add_file(const struct cim_store *store, const char *name, struct set_use *use)
{
	struct stat st;

	if (fstatat(store->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			use->error = errno;
		return;
	}
	use->n_files++;
	use->size += (uint64_t)st.st_blocks * 512;
}

static struct set_use *measure_set(const struct cim_image *img, uint32_t i)
{
	struct set_use *use = g_new0(struct set_use, 1);
	const struct cim_set *set = &img->sets[i];
	char name[CIM_FILE_NAME];

	use->complete = true;
	for (uint32_t k = 0; k < set->n_regions; k++) {
		cim_region_name(&set->guid, k, name);
		add_file(img->store, name, use);
		cim_objectid_name(&set->guid, k, name);
		add_file(img->store, name, use);
		use->complete &= img->regions[i]->region[k].size > 0;
	}
	return use;
}

static void add_sets(GHashTable *sets, struct record *record)
{
	const struct cim_image *img = record->img;

	for (uint32_t i = 0; i < img->n_sets; i++) {
		struct set_use *use = g_hash_table_lookup(sets, &img->sets[i].guid);

		if (!use) {
			use = measure_set(img, i);
			g_hash_table_insert(
				sets, g_memdup2(&img->sets[i].guid, sizeof(struct cim_guid)), use);
		}
		if (use->error && !record->error)
			record->error = g_strdup_printf("its region files: %s",
							g_strerror(use->error));
		use->n_images++;
		if (i == img->n_sets - 1)
			use->made_by = record->name;
	}
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Entries of the file tables that are not all zeros, as those of deleted files are. */
static int count_files(const struct cim_image *img, uint64_t *ret)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < img->fs.n_tables; i++) {
		struct cim_table t;
		const uint8_t *p;
		int r = cim_image_table(img, i, &t);

		if (r == 0)
			r = cim_image_bytes(img, t.off, (uint64_t)t.n_entries * t.entry_size, &p);
		if (r < 0)
			return r;
		for (uint32_t k = 0; k < t.n_entries; k++)
			n += !is_zero(p + (size_t)k * t.entry_size, t.entry_size);
	}
	*ret = n;
	return 0;
}

static void add_record(struct catalogue *c, struct cim_store *store, const char *name)
{
	struct record *record = g_new0(struct record, 1);

	record->name = g_strdup(name);
	g_ptr_array_add(c->records, record);
	cim_reason_clear();
	int r = cim_image_open(store, name, &record->img);
	if (r < 0) {
		record->error = g_strdup(*cim_reason() ? cim_reason() : g_strerror(-r));
		return;
	}
	add_sets(c->sets, record);
}

/* What takes all images to know, or much of one. */
static void complete_record(const struct catalogue *c, struct record *record)
{
	const struct cim_image *img = record->img;

	if (!img)
		return;
	record->case_sensitive = cim_image_is_case_sensitive(img);
	cim_reason_clear();
	if (count_files(img, &record->n_files) < 0)
		record->error = g_strdup(cim_reason());
	for (uint32_t i = 0; i < img->n_sets; i++) {
		const struct set_use *use = g_hash_table_lookup(c->sets, &img->sets[i].guid);

		if (use->n_images > 1)
			record->shared_size += use->size;
		else
			record->own_size += use->size;
	}
}

static void catalogue_clear(struct catalogue *c)
{
	g_ptr_array_unref(c->records);
	g_hash_table_destroy(c->sets);
}

/* @only: the image to be known in full; NULL: all */
static int catalogue_fill(struct catalogue *c, struct cim_store *store, const char *only)
{
	g_auto(GStrv) names = NULL;
	int n = cim_store_list(store, &names);

	c->records = g_ptr_array_new_with_free_func(record_free);
	c->sets = g_hash_table_new_full(guid_hash, guid_equal, g_free, g_free);
	for (int i = 0; i < n; i++)
		add_record(c, store, names[i]);
	for (guint i = 0; i < c->records->len; i++) {
		struct record *record = g_ptr_array_index(c->records, i);

		if (!only || strcmp(record->name, only) == 0)
			complete_record(c, record);
	}
	return MIN(n, 0);
}

static const struct set_use *set_of(const struct catalogue *c, const struct cim_image *img,
				    uint32_t i)
{
	return g_hash_table_lookup(c->sets, &img->sets[i].guid);
}

/* The image that this one was forked from: "" if it is gone, NULL if there was none. */
static const char *base_of(const struct catalogue *c, const struct cim_image *img)
{
	if (img->n_sets < 2)
		return NULL;
	const struct set_use *use = set_of(c, img, img->n_sets - 2);
	return use->made_by ? use->made_by : "";
}

/* ---- JSON ---- */

static void append_sets(GString *json, const struct catalogue *c, const struct cim_image *img)
{
	char guid[CIM_GUID_TEXT];

	g_string_append(json, ", \"region_sets\": [");
	for (uint32_t i = 0; i < img->n_sets; i++) {
		const struct set_use *use = set_of(c, img, i);

		cim_guid_format(&img->sets[i].guid, guid);
		g_string_append_printf(
			json,
			"%s\n  { \"guid\": \"%s\", \"files\": %u, \"bytes\": %" PRIu64
			", \"images\": %u, \"present\": %s, ",
			i ? "," : "", guid, use->n_files, use->size, use->n_images,
			use->complete ? "true" : "false");
		if (use->made_by)
			tool_json_bytes(json, "made_by", use->made_by);
		else
			g_string_append(json, "\"made_by\": null");
		g_string_append(json, " }");
	}
	g_string_append(json, " ]");
}

static void append_record(GString *json, const struct catalogue *c, const struct record *record)
{
	const struct cim_image *img = record->img;

	g_string_append(json, "{ ");
	tool_json_bytes(json, "name", record->name);
	if (record->error) {
		g_string_append(json, ", ");
		tool_json_bytes(json, "error", record->error);
	}
	if (img) {
		const char *base = base_of(c, img);

		g_string_append_printf(json,
				       ", \"version\": \"%u.%u\", \"case_sensitive\": %s, "
				       "\"files\": %" PRIu64 ", \"own_bytes\": %" PRIu64
				       ", \"shared_bytes\": %" PRIu64 ", ",
				       img->header.version_major, img->header.version_minor,
				       record->case_sensitive ? "true" : "false", record->n_files,
				       record->own_size, record->shared_size);
		tool_json_time(json, "committed", cim_ticks_from_timespec(img->mtime));
		if (base && *base) {
			g_string_append(json, ", ");
			tool_json_bytes(json, "base", base);
		} else {
			g_string_append(json, ", \"base\": null");
		}
		append_sets(json, c, img);
	}
	g_string_append(json, " }");
}

/* ---- text ---- */

static const char *case_text(const struct record *record)
{
	return record->case_sensitive ? "sensitive" : "insensitive";
}

static const char *base_text(const struct catalogue *c, const struct cim_image *img)
{
	const char *base = base_of(c, img);

	return !base ? "-" : *base ? base : "(gone)";
}

static void put_row(const struct catalogue *c, const struct record *record, int name_width,
		    int base_width)
{
	const struct cim_image *img = record->img;
	char version[24];

	if (!img)
		return;
	snprintf(version, sizeof(version), "%u.%u", img->header.version_major,
		 img->header.version_minor);
	printf("%-*s %10" PRIu64 " %14" PRIu64 " %14" PRIu64 "  %-*s %-7s %s\n", name_width,
	       record->name, record->n_files, record->own_size, record->shared_size, base_width,
	       base_text(c, img), version, case_text(record));
}

static void put_table(const struct catalogue *c)
{
	int name_width = (int)strlen("NAME"), base_width = (int)strlen("BASE");

	for (guint i = 0; i < c->records->len; i++) {
		const struct record *record = g_ptr_array_index(c->records, i);

		name_width = MAX(name_width, (int)strlen(record->name));
		if (record->img)
			base_width = MAX(base_width, (int)strlen(base_text(c, record->img)));
	}
	if (c->records->len > 0)
		printf("%-*s %10s %14s %14s  %-*s %-7s %s\n", name_width, "NAME", "FILES", "OWN",
		       "SHARED", base_width, "BASE", "VERSION", "CASE");
	for (guint i = 0; i < c->records->len; i++)
		put_row(c, g_ptr_array_index(c->records, i), name_width, base_width);
}

static void put_details(const struct catalogue *c, const struct record *record)
{
	const struct cim_image *img = record->img;
	g_autoptr(GDateTime) t = g_date_time_new_from_unix_local(img->mtime.tv_sec);
	g_autofree char *when = t ? g_date_time_format(t, "%Y-%m-%d %H:%M:%S") : g_strdup("?");
	char guid[CIM_GUID_TEXT];

	printf("name:         %s\n", record->name);
	printf("version:      %u.%u\n", img->header.version_major, img->header.version_minor);
	printf("case:         %s\n", case_text(record));
	printf("committed:    %s\n", when);
	printf("files:        %" PRIu64 "\n", record->n_files);
	printf("bytes own:    %" PRIu64 "\n", record->own_size);
	printf("bytes shared: %" PRIu64 "\n", record->shared_size);
	printf("base:         %s\n", base_text(c, img));
	printf("region sets:  %u\n", img->n_sets);
	for (uint32_t i = 0; i < img->n_sets; i++) {
		const struct set_use *use = set_of(c, img, i);

		cim_guid_format(&img->sets[i].guid, guid);
		printf("  %s %14" PRIu64 "  %-7s  made by %s\n", guid, use->size,
		       use->complete ? "present" : "missing",
		       use->made_by ? use->made_by : "(gone)");
	}
}

/* ---- the command ---- */

static int info_directory(const char *dir, bool as_json)
{
	struct cim_store *store = tool_open_store(dir);
	g_autoptr(GString) json = g_string_new("[");
	struct catalogue c;
	int status = EXIT_SUCCESS;

	if (!store)
		return TOOL_FAILED;
	cim_reason_clear();
	int r = catalogue_fill(&c, store, NULL);
	if (r < 0) {
		tool_error(dir, NULL, r);
		status = TOOL_FAILED;
	} else if (as_json) {
		for (guint i = 0; i < c.records->len; i++) {
			g_string_append(json, i ? ",\n" : "\n");
			append_record(json, &c, g_ptr_array_index(c.records, i));
		}
		puts(g_string_append(json, "\n]")->str);
	} else {
		put_table(&c);
		fflush(stdout);
	}
	for (guint i = 0; i < c.records->len; i++) {
		const struct record *record = g_ptr_array_index(c.records, i);

		if (record->error) {
			tool_error(record->name, record->error, 0);
			status = TOOL_FAILED;
		}
	}
	catalogue_clear(&c);
	cim_store_unref(store);
	return status;
}

static struct record *find_record(const struct catalogue *c, const char *name)
{
	for (guint i = 0; i < c->records->len; i++) {
		struct record *record = g_ptr_array_index(c->records, i);

		if (strcmp(record->name, name) == 0)
			return record;
	}
	return NULL;
}

static int info_image(const char *arg, bool as_json)
{
	struct cim_image *img = tool_open_image(arg);
	g_autoptr(GString) json = g_string_new(NULL);
	struct catalogue c;
	int status = EXIT_SUCCESS;

	if (!img)
		return TOOL_FAILED;
	cim_reason_clear();
	int r = catalogue_fill(&c, img->store, img->name);
	struct record *record = find_record(&c, img->name);
	if (r == 0 && (!record || !record->img)) /* deleted since */
		r = -ENOENT;
	if (r < 0) {
		tool_error(arg, NULL, r);
		status = TOOL_FAILED;
	} else if (as_json) {
		append_record(json, &c, record);
		puts(json->str);
	} else {
		put_details(&c, record);
	}
	if (r == 0 && record->error) {
		fflush(stdout);
		tool_error(arg, record->error, 0);
		status = TOOL_FAILED;
	}
	catalogue_clear(&c);
	cim_image_unref(img);
	return status;
}

int tool_info(int argc, char **argv)
{
	gboolean as_json = FALSE;
	struct stat st;
	const GOptionEntry entries[] = {
		{ "json", 0, 0, G_OPTION_ARG_NONE, &as_json,
		  "JSON: an object for an image, an array of them for a directory", NULL },
		{ NULL },
	};

	if (!tool_parse(
		    &argc, &argv, "DIR | DIR/NAME",
		    "What images the directory DIR has, or what the image DIR/NAME consists of.\n\n"
		    "Files are entries of the file tables: a file with several names counts once.\n"
		    "Bytes are those that region files take on disk: shared when another image of\n"
		    "the directory uses them too, own when they would go with this one.",
		    entries, 1, 1))
		return TOOL_USAGE;
	if (stat(argv[1], &st) == 0 && S_ISDIR(st.st_mode))
		return info_directory(argv[1], as_json);
	return info_image(argv[1], as_json);
}
