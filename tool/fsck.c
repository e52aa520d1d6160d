/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimfs fsck: what is wrong with an image, or with a directory of them.
 */
#include "config.h"

#include "fsck.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "progress.h"
#include "tool.h"

#define MAX_FINDINGS 1000

/* This command's own statuses; 2 is also that of wrong usage. */
#define FSCK_DAMAGED     1
#define FSCK_CANNOT_TELL 2

/* A check, and how it is told. */
struct check {
	bool as_json, quiet;
	uint64_t n_told;
	struct progress progress;
};

/* ---- findings ---- */

static const char *severity_name(const struct cim_fsck_finding *f)
{
	return f->severity == CIM_FSCK_DAMAGE ? "damage" : "note";
}

static void put_json(const struct cim_fsck_finding *f, bool first)
{
	g_autoptr(GString) json = g_string_new(first ? "\n  { " : ",\n  { ");

	g_string_append_printf(json, "\"severity\": \"%s\", \"rule\": \"%s\"", severity_name(f),
			       f->rule);
	if (f->image) {
		g_string_append(json, ", ");
		tool_json_bytes(json, "image", f->image);
	}
	if (f->file) {
		g_string_append(json, ", ");
		tool_json_bytes(json, "file", f->file);
	}
	if (f->id)
		g_string_append_printf(json, ", \"id\": %" PRIu32, f->id);
	if (f->path) {
		g_string_append(json, ", ");
		tool_json_bytes(json, "path", f->path);
	}
	if (f->off)
		g_string_append_printf(json, ", \"region\": %u, \"offset\": %" PRIu64,
				       cim_off_region(f->off), cim_off_byte(f->off));
	g_string_append(json, ", ");
	tool_json_bytes(json, "text", f->text);
	g_string_append(json, " }");
	fputs(json->str, stdout);
}

/* base.cim: damage: file 12 "/etc/motd": its data: … [data] */
static void put_text(const struct cim_fsck_finding *f)
{
	g_autoptr(GString) line = g_string_new(NULL);

	if (f->image)
		g_string_append_printf(line, "%s: ", f->image);
	g_string_append_printf(line, "%s: ", severity_name(f));
	if (f->file)
		g_string_append_printf(line, "%s: ", f->file);
	if (f->id)
		g_string_append_printf(line, "file %" PRIu32, f->id);
	if (f->path)
		g_string_append_printf(line, " \"%s\"", f->path);
	if (f->id)
		g_string_append(line, ": ");
	g_string_append_printf(line, "%s [%s]", f->text, f->rule);
	g_autofree char *printable = tool_printable(line->str);
	puts(printable);
}

static int on_finding(void *arg, const struct cim_fsck_finding *f)
{
	struct check *c = arg;

	progress_hide(&c->progress);
	if (c->as_json)
		put_json(f, c->n_told == 0);
	else
		put_text(f);
	c->n_told++;
	return 0;
}

static int on_progress(void *arg, uint64_t done_bytes, uint64_t all_bytes)
{
	struct check *c = arg;

	c->progress.done_bytes = done_bytes;
	c->progress.found_bytes = MAX(all_bytes, done_bytes);
	c->progress.total_known = true;
	progress_tick(&c->progress);
	return 0;
}

/* ---- the command ---- */

static void put_end(const struct check *c, const struct cim_fsck_totals *t, int r)
{
	uint64_t n = t->n_damage + t->n_notes;

	if (c->as_json) {
		printf("%s], \"damage\": %" PRIu64 ", \"notes\": %" PRIu64 ", \"images\": %" PRIu64
		       ", \"files\": %" PRIu64 ", \"bytes_read\": %" PRIu64
		       ", \"result\": \"%s\" }\n",
		       c->n_told ? "\n" : "", t->n_damage, t->n_notes, t->n_images, t->n_files,
		       t->n_bytes,
		       r == 0   ? "clean"
		       : r == 1 ? "damaged"
				: "unknown");
		return;
	}
	if (n > c->n_told)
		printf("%" PRIu64 " more findings are not shown\n", n - c->n_told);
	if (c->quiet || (r < 0 && n == 0))
		return;
	printf("images: %" PRIu64 ", files: %" PRIu64 ", ", t->n_images, t->n_files);
	if (t->n_damage > 0)
		printf("damaged places: %" PRIu64 "\n", t->n_damage);
	else
		puts("no damage");
}

static int run(struct check *c, const char *arg, struct cim_fsck_options *opt)
{
	struct cim_fsck_totals totals = { 0 };
	const char *name = NULL;
	struct stat st;
	bool is_dir = stat(arg, &st) == 0 && S_ISDIR(st.st_mode);
	struct cim_store *store = is_dir ? tool_open_store(arg) : tool_open_parent(arg, &name);

	if (!store)
		return FSCK_CANNOT_TELL;
	opt->totals = &totals;
	progress_init(&c->progress, opt->data && !c->quiet);
	if (c->as_json)
		fputs("{ \"findings\": [", stdout);
	cim_reason_clear();
	int r = name ? cim_fsck_image(store, name, opt, on_finding, c)
		     : cim_fsck_directory(store, opt, on_finding, c);
	(void)progress_end(&c->progress);
	put_end(c, &totals, r);
	fflush(stdout);
	if (r < 0)
		tool_error(arg, r == -ENOENT && name ? "there is no such image" : NULL, r);
	cim_store_unref(store);
	return r < 0 ? FSCK_CANNOT_TELL : r ? FSCK_DAMAGED : EXIT_SUCCESS;
}

int tool_fsck(int argc, char **argv)
{
	gboolean data = FALSE, as_json = FALSE, verbose = FALSE, quiet = FALSE;
	gint64 max_findings = MAX_FINDINGS;
	const GOptionEntry entries[] = {
		{ "data", 'd', 0, G_OPTION_ARG_NONE, &data,
		  "Read all data, and compare it with its digests", NULL },
		{ "max", 'm', 0, G_OPTION_ARG_INT64, &max_findings,
		  "Show at most N findings (default 1000; 0: all)", "N" },
		{ "verbose", 'v', 0, G_OPTION_ARG_NONE, &verbose,
		  "Also name files that have nothing to do with images", NULL },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet,
		  "No progress and no summary, only findings", NULL },
		{ "json", 0, 0, G_OPTION_ARG_NONE, &as_json, "A JSON object", NULL },
		{ NULL },
	};

	if (!tool_parse(
		    &argc, &argv, "DIR | DIR/NAME",
		    "Check the image DIR/NAME, or all of the directory DIR.  Nothing is changed.\n\n"
		    "Exit status: 0 no damage, 1 damage, 2 it cannot be told.",
		    entries, 1, 1))
		return TOOL_USAGE;
	if (max_findings < 0) {
		tool_error("--max", "the number is negative", 0);
		return TOOL_USAGE;
	}
	struct check c = { .as_json = as_json, .quiet = quiet };
	struct cim_fsck_options opt = {
		.data = data,
		.foreign = verbose,
		.max_findings = (uint64_t)max_findings,
		.progress = on_progress,
	};
	return run(&c, argv[1], &opt);
}
