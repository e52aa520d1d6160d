/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimfs hash: one digest of a tree, to compare it with another.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "error.h"
#include "progress.h"
#include "reader.h"
#include "tool.h"
#include "treehash.h"

static int on_progress(void *arg, uint64_t n_files, uint64_t n_bytes)
{
	struct progress *p = arg;

	p->done_files = n_files;
	p->done_bytes = n_bytes;
	progress_tick(p);
	return 0;
}

static void put_digest(const uint8_t digest[CIM_SHA256_SIZE], const char *image, const char *path)
{
	g_autofree char *name = tool_printable(image);
	g_autofree char *below = path ? tool_printable(path) : NULL;

	for (size_t i = 0; i < CIM_SHA256_SIZE; i++)
		printf("%02x", digest[i]);
	printf("  %s%s%s\n", name, below ? " " : "", below ? below : "");
}

int tool_hash(int argc, char **argv)
{
	gboolean windows = FALSE, quiet = FALSE;
	const GOptionEntry entries[] = {
		{ "windows", 'w', 0, G_OPTION_ARG_NONE, &windows,
		  "Also what only Windows sees: attributes, descriptors, its times, EAs, reparse "
		  "buffers",
		  NULL },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "No progress", NULL },
		{ NULL },
	};
	uint8_t digest[CIM_SHA256_SIZE];
	struct progress progress;
	uint32_t id;

	if (!tool_parse(
		    &argc, &argv, "DIR/NAME [PATH]",
		    "One digest of all that an image has, or what is at PATH in it: names, types,\n"
		    "modes, owners, modification times, hard links, extended attributes, contents.\n"
		    "Equal trees have equal digests, however they were made.",
		    entries, 1, 2))
		return TOOL_USAGE;
	struct cim_image *img = tool_open_image(argv[1]);
	if (!img)
		return TOOL_FAILED;
	const char *path = argc > 2 ? argv[2] : NULL;
	const struct cim_tree_hash_options opt = { .windows = windows,
						   .progress = on_progress,
						   .arg = &progress };
	progress_init(&progress, !quiet);
	cim_reason_clear();
	int r = cim_path_lookup(img, path ? path : "", false, &id);
	if (r == 0)
		r = cim_tree_hash(img, id, &opt, digest);
	(void)progress_end(&progress);
	if (r == 0)
		put_digest(digest, argv[1], path);
	else
		tool_error(path ? path : argv[1], NULL, r);
	cim_image_unref(img);
	return r < 0 ? TOOL_FAILED : EXIT_SUCCESS;
}
