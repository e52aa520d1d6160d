/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimfs delete and cimfs gc: removing images, and what no image needs.
 */
#include "config.h"

#include "delete.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "error.h"
#include "garbage.h"
#include "tool.h"

/* ---- delete ---- */

static int delete_image(const char *arg)
{
	const char *name;
	struct cim_store *store = tool_open_parent(arg, &name);

	if (!store)
		return TOOL_FAILED;
	cim_reason_clear();
	int r = cim_store_delete(store, name);
	if (r < 0)
		tool_error(arg, r == -ENOENT ? "there is no such image" : NULL, r);
	cim_store_unref(store);
	return r < 0 ? TOOL_FAILED : EXIT_SUCCESS;
}

int tool_delete(int argc, char **argv)
{
	const GOptionEntry entries[] = { { NULL } };
	int status = EXIT_SUCCESS;

	if (!tool_parse(
		    &argc, &argv, "DIR/NAME…",
		    "Remove images, and the data that no other image of their directory needs.\n"
		    "Nothing is removed when another image cannot be read.",
		    entries, 1, INT_MAX))
		return TOOL_USAGE;
	for (int i = 1; i < argc; i++)
		if (delete_image(argv[i]) != EXIT_SUCCESS)
			status = TOOL_FAILED;
	return status;
}

/* ---- gc ---- */

struct collection {
	bool as_json;
	uint64_t n_files, n_bytes;
};

static int on_file(void *arg, const char *name, uint64_t size)
{
	struct collection *c = arg;
	g_autofree char *printable = tool_printable(name);
	g_autoptr(GString) json = g_string_new(NULL);

	if (c->as_json) {
		g_string_append(json, c->n_files ? ",\n  { " : "\n  { ");
		tool_json_bytes(json, "name", name);
		printf("%s, \"bytes\": %" PRIu64 " }", json->str, size);
	} else {
		printf("%12" PRIu64 " %s\n", size, printable);
	}
	c->n_files++;
	c->n_bytes += size;
	return 0;
}

static void put_end(const struct collection *c, bool dry_run)
{
	char size[TOOL_SIZE];

	tool_size(c->n_bytes, size);
	if (c->as_json)
		printf("%s], \"removed\": %s, \"bytes\": %" PRIu64 " }\n", c->n_files ? "\n" : "",
		       dry_run ? "false" : "true", c->n_bytes);
	else
		printf("%" PRIu64 " files, %s%s\n", c->n_files, size,
		       dry_run ? ", would be removed" : " removed");
}

int tool_gc(int argc, char **argv)
{
	gboolean dry_run = FALSE, as_json = FALSE;
	const GOptionEntry entries[] = {
		{ "dry-run", 'n', 0, G_OPTION_ARG_NONE, &dry_run, "Remove nothing, only say what",
		  NULL },
		{ "json", 0, 0, G_OPTION_ARG_NONE, &as_json, "A JSON object", NULL },
		{ NULL },
	};

	if (!tool_parse(
		    &argc, &argv, "DIR",
		    "Remove what no image of the directory needs, as a crash may leave it: region\n"
		    "files that no image lists, and what belonged to writers that died.  Nothing is\n"
		    "removed when an image cannot be read, or while one is being made.",
		    entries, 1, 1))
		return TOOL_USAGE;
	struct collection c = { .as_json = as_json };
	struct cim_store *store = tool_open_store(argv[1]);
	if (!store)
		return TOOL_FAILED;
	if (as_json)
		fputs("{ \"files\": [", stdout);
	cim_reason_clear();
	int r = cim_store_gc(store, dry_run, on_file, &c);
	put_end(&c, dry_run);
	fflush(stdout);
	if (r < 0)
		tool_error(argv[1], NULL, r);
	cim_store_unref(store);
	return r < 0 ? TOOL_FAILED : EXIT_SUCCESS;
}
