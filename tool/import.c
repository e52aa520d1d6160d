/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimfs import: a new image from a tree of files, without a mount.
 *
 * What the walk (walk.c) cannot read is reported, and then nothing is committed; a signal ends it
 * in order.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "tool.h"
#include "util.h"
#include "walk.h"

struct import_options {
	char *from, *case_name;
	gboolean quiet;
	enum cim_case cmp;
	const char *dir, *name, *tree;
};

static void on_signal(int number)
{
	walk_signal = number;
}

/* Signals end the walk in order; one that whoever started us had ignored stays ignored. */
static void catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, old;

	for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	/* A file-size limit is an error of a write, not the end. */
	signal(SIGXFSZ, SIG_IGN);
}

static void print_summary(const struct import *im, const char *name, double seconds)
{
	char size[TOOL_SIZE];

	tool_size(im->progress.done_bytes, size);
	printf("%s: %" PRIu64 " files, %s in %.1f s\n", name, (uint64_t)im->progress.done_files,
	       size, seconds);
}

/* Commit, or say why not.  Returns the exit status. */
static int finish(struct import *im, const struct import_options *o)
{
	int r = 0, n_errors = im->n_errors;
	bool committing = !walk_signal && n_errors == 0;

	if (committing) {
		progress_phase(&im->progress, "committing");
		cim_reason_clear();
		r = cim_writer_commit(im->writer);
	}
	double seconds = progress_end(&im->progress);
	if (n_errors > 0)
		fprintf(stderr, "cimfs: %s: not made: %d error%s%s\n", o->name, n_errors,
			n_errors > 1 ? "s" : "", n_errors >= WALK_ERRORS_MAX ? " or more" : "");
	else if (!committing)
		fprintf(stderr, "cimfs: %s: not made: interrupted\n", o->name);
	else if (r < 0)
		tool_error(o->name, NULL, r);
	else if (walk_signal)
		fprintf(stderr, "cimfs: %s: the interrupt came too late, the image is committed\n",
			o->name);
	else if (!o->quiet)
		print_summary(im, o->name, seconds);
	if (walk_signal && (!committing || r < 0))
		return 128 + walk_signal;
	return n_errors > 0 || r < 0 ? TOOL_FAILED : EXIT_SUCCESS;
}

/* @tree_fd: taken */
static int run_import(struct import *im, const struct import_options *o, int tree_fd)
{
	struct cim_writer_info info;

	cim_writer_info(im->writer, &info);
	im->on_base = o->from != NULL;
	im->folds_case = !info.case_sensitive;

	progress_init(&im->progress, !o->quiet);
	catch_signals();
	walk_tree(im, o->tree, tree_fd);
	return finish(im, o);
}

/* Open both directories, and become the writer. */
static int import_into(const struct import_options *o)
{
	struct import im = { 0 };
	struct stat dir, tree;
	cim_autofd tree_fd = open(o->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (tree_fd < 0 || fstat(tree_fd, &tree) < 0) {
		tool_error(o->tree, g_strerror(errno), 0);
		return TOOL_FAILED;
	}
	if (tool_is_mount(o->dir))
		return TOOL_FAILED;
	if (stat(o->dir, &dir) == 0) {
		im.dir_dev = dir.st_dev;
		im.dir_ino = dir.st_ino;
		if (dir.st_dev == tree.st_dev && dir.st_ino == tree.st_ino) {
			tool_error(o->tree, "this is the directory of the images itself", 0);
			return TOOL_FAILED;
		}
	}
	cim_reason_clear();
	int r = cim_writer_open_path(o->dir, o->from, o->name, o->cmp, &im.writer);
	if (r < 0) {
		g_autofree char *what = g_strdup_printf("%s/%s", o->dir, o->name);
		tool_error(what, NULL, r);
		return TOOL_FAILED;
	}
	int status = run_import(&im, o, cim_steal_fd(&tree_fd));
	cim_writer_close(im.writer);
	return status;
}

static bool parse_case(const char *text, enum cim_case *ret)
{
	static const char *const names[] = {
		[CIM_CASE_SENSITIVE] = "sensitive",
		[CIM_CASE_INSENSITIVE] = "insensitive",
	};

	*ret = CIM_CASE_BASE;
	if (!text)
		return true;
	for (size_t i = CIM_CASE_SENSITIVE; i < G_N_ELEMENTS(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum cim_case)i;
			return true;
		}
	}
	fprintf(stderr, "cimfs: import: --case is sensitive or insensitive, not \"%s\"\n", text);
	return false;
}

int tool_import(int argc, char **argv)
{
	struct import_options o = { 0 };
	const GOptionEntry entries[] = {
		{ "from", 0, 0, G_OPTION_ARG_FILENAME, &o.from,
		  "Start with all that this image has (a fork)", "EXISTING" },
		{ "case", 0, 0, G_OPTION_ARG_STRING, &o.case_name,
		  "Whether names that differ in case only are different: sensitive (the default) or "
		  "insensitive; a fork keeps its base's",
		  "CASE" },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &o.quiet, "No progress and no summary",
		  NULL },
		{ NULL },
	};
	int status = TOOL_USAGE;

	if (tool_parse(
		    &argc, &argv, "DIR NAME TREE",
		    "Make the image NAME in the directory DIR from the files in TREE.\n\n"
		    "With --from, directories of TREE and of EXISTING become one, other files of\n"
		    "TREE replace those of EXISTING, and what only EXISTING has stays.",
		    entries, 3, 3) &&
	    parse_case(o.case_name, &o.cmp)) {
		o.dir = argv[1];
		o.name = argv[2];
		o.tree = argv[3];
		status = import_into(&o);
	}
	g_free(o.from);
	g_free(o.case_name);
	return status;
}
