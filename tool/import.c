/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimfs import: a new image from a tree of files, without a mount.
 *
 * What the walk (walk.c) cannot read is reported, and then nothing is committed; a signal ends it
 * in order.
 */
#include "config.h"

#include "import.h"
#include "signals.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "acl.h"
#include "error.h"
#include "tar-import.h"
#include "tool.h"
#include "util.h"
#include "walk.h"

struct import_options {
	char *from, *case_name, *tar, *windows_name;
	enum layer_use windows;
	gboolean quiet, keep_going, no_whiteouts, consistent;
	enum cim_case cmp;
	const char *dir, *name, *tree;
};

/* ---- what both imports share ---- */

static bool is_hopeless(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EFBIG || err == -EROFS || err == -ENOMEM;
}

void import_report(struct import *im, const char *path, int err)
{
	if (is_hopeless(err))
		im->hopeless = true;
	if (atomic_fetch_add(&im->n_errors, 1) < IMPORT_ERRORS_MAX || im->keep_going)
		progress_error(&im->progress, path, NULL, err);
}

bool import_is_over(const struct import *im)
{
	return signal_caught || im->hopeless ||
	       (im->n_errors >= IMPORT_ERRORS_MAX && !im->keep_going);
}

bool import_is_stored_xattr(const char *name)
{
	return g_str_has_prefix(name, "user.") || g_str_has_prefix(name, "security.") ||
	       g_str_has_prefix(name, "trusted.") || strcmp(name, CIM_ACL_ACCESS) == 0 ||
	       strcmp(name, CIM_ACL_DEFAULT) == 0;
}

static int collect_name(void *arg, const char *name)
{
	g_ptr_array_add(arg, g_strdup(name));
	return 0;
}

int import_drop_xattrs(struct import *im, uint32_t id)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	int r = cim_writer_list_xattrs(im->writer, id, collect_name, names);

	for (guint i = 0; r == 0 && i < names->len; i++)
		r = cim_writer_remove_xattr(im->writer, id, g_ptr_array_index(names, i));
	return r;
}

/* ---- the command ---- */

static void print_summary(const struct import *im, const char *name, double seconds)
{
	char size[TOOL_SIZE];

	tool_size(im->progress.done_bytes, size);
	printf("%s: %" PRIu64 " files, %s in %.1f s\n", name, (uint64_t)im->progress.done_files,
	       size, seconds);
}

/* What is said at the end, when the image is there. */
static void tell_committed(const struct import *im, const struct import_options *o, double seconds)
{
	int n_errors = im->n_errors;

	if (signal_caught)
		fprintf(stderr, "cimfs: %s: the interrupt came too late, the image is committed\n",
			o->name);
	if (n_errors > 0)
		fprintf(stderr, "cimfs: %s: made without %d entr%s that %s left out\n", o->name,
			n_errors, n_errors > 1 ? "ies" : "y", n_errors > 1 ? "were" : "was");
	if (!signal_caught && !o->quiet)
		print_summary(im, o->name, seconds);
}

/* What is said when it is not; @r: what the import or the commit met. */
static void tell_failed(const struct import *im, const struct import_options *o, bool committing,
			int r)
{
	int n_errors = im->n_errors;

	if (committing)
		tool_error(o->name, NULL, r);
	else if (signal_caught)
		fprintf(stderr, "cimfs: %s: not made: interrupted\n", o->name);
	else if (r < 0)
		fprintf(stderr, "cimfs: %s: not made\n", o->name);
	else
		fprintf(stderr, "cimfs: %s: not made: %d error%s%s\n", o->name, n_errors,
			n_errors > 1 ? "s" : "",
			n_errors >= IMPORT_ERRORS_MAX && !im->keep_going ? " or more" : "");
}

/* Commit, or say why not.  @r: 0, or an error that has been reported.  Returns the exit status. */
static int finish(struct import *im, const struct import_options *o, int r)
{
	bool committing =
		r == 0 && !signal_caught && !im->hopeless && (im->n_errors == 0 || im->keep_going);

	if (committing) {
		progress_phase(&im->progress, "committing");
		cim_reason_clear();
		r = cim_writer_commit(im->writer);
	}
	double seconds = progress_end(&im->progress);
	if (committing && r == 0) {
		tell_committed(im, o, seconds);
		return im->n_errors > 0 ? TOOL_FAILED : EXIT_SUCCESS;
	}
	tell_failed(im, o, committing, r);
	return signal_caught ? 128 + signal_caught : TOOL_FAILED;
}

/* @tree_fd: taken; -1: it is a tar */
static int run_import(struct import *im, const struct import_options *o, int tree_fd)
{
	const struct tar_options tar = {
		.file = o->tar,
		.whiteouts = !o->no_whiteouts,
		.quiet = o->quiet,
		.windows = o->windows,
	};
	struct cim_writer_info info;
	int r = 0;

	cim_writer_info(im->writer, &info);
	im->on_base = o->from != NULL;
	im->folds_case = !info.case_sensitive;
	im->keep_going = o->keep_going;
	im->consistent = o->consistent;
	if (o->consistent)
		cim_writer_make_consistent(im->writer);

	progress_init(&im->progress, !o->quiet);
	signals_catch();
	if (tree_fd >= 0)
		walk_tree(im, o->tree, tree_fd);
	else
		r = tar_import(im, &tar);
	return finish(im, o, r);
}

/* A tree that is no image directory.  Returns its descriptor, or -1: the reason is printed. */
static int open_tree(struct import *im, const struct import_options *o)
{
	cim_autofd fd = open(o->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat dir, tree;

	if (fd < 0 || fstat(fd, &tree) < 0) {
		tool_error(o->tree, g_strerror(errno), 0);
		return -1;
	}
	if (stat(o->dir, &dir) == 0) {
		im->dir_dev = dir.st_dev;
		im->dir_ino = dir.st_ino;
		if (dir.st_dev == tree.st_dev && dir.st_ino == tree.st_ino) {
			tool_error(o->tree, "this is the directory of the images itself", 0);
			return -1;
		}
	}
	return cim_steal_fd(&fd);
}

/* Open what is read and where it goes, and become the writer. */
static int import_into(const struct import_options *o)
{
	struct import im = { 0 };
	cim_autofd tree_fd = -1;

	if (tool_is_mount(o->dir))
		return TOOL_FAILED;
	if (o->tree && (tree_fd = open_tree(&im, o)) < 0)
		return TOOL_FAILED;
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

static bool check_usage(const struct import_options *o, int n_operands)
{
	const char *wrong = NULL;

	if (n_operands != (o->tar ? 2 : 3))
		wrong = o->tar ? "with --tar, the operands are DIR NAME"
			       : "the operands are DIR NAME TREE, or --tar=FILE DIR NAME";
	else if (!o->tar && (o->keep_going || o->no_whiteouts || o->windows_name))
		wrong = "--keep-going, --no-whiteouts and --windows are for --tar";
	else if (o->tar && strcmp(o->tar, "-") == 0 && isatty(STDIN_FILENO))
		wrong = "standard input is a terminal, and no tar";
	if (wrong)
		fprintf(stderr, "cimfs: import: %s\nTry \"cimfs import --help\".\n", wrong);
	return !wrong;
}

int tool_import(int argc, char **argv)
{
	struct import_options o = { 0 };
	const GOptionEntry entries[] = {
		{ "from", 0, 0, G_OPTION_ARG_FILENAME, &o.from,
		  "Start with all that this image has (a fork)", "EXISTING" },
		{ "tar", 0, 0, G_OPTION_ARG_FILENAME, &o.tar,
		  "Take the files from a tar, also a compressed one; - is standard input", "FILE" },
		{ "case", 0, 0, G_OPTION_ARG_STRING, &o.case_name,
		  "Whether names that differ in case only are different: sensitive (the default) or "
		  "insensitive; a fork keeps its base's",
		  "CASE" },
		{ "consistent", 0, 0, G_OPTION_ARG_NONE, &o.consistent,
		  "Make the same files of the same input, wherever and whenever it is done", NULL },
		{ "keep-going", 'k', 0, G_OPTION_ARG_NONE, &o.keep_going,
		  "Leave out entries of the tar that are refused, and make the image without them",
		  NULL },
		{ "no-whiteouts", 0, 0, G_OPTION_ARG_NONE, &o.no_whiteouts,
		  "Names in the tar that begin with .wh. are names of files", NULL },
		{ "windows", 0, 0, G_OPTION_ARG_STRING, &o.windows_name,
		  "Which entries of the tar are files of Windows: auto (the default), those with "
		  "records of it; always; never",
		  "WHICH" },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &o.quiet, "No progress and no summary",
		  NULL },
		{ NULL },
	};
	int status = TOOL_USAGE;

	if (tool_parse(
		    &argc, &argv, "DIR NAME [TREE]",
		    "Make the image NAME in the directory DIR from the files in TREE, or from a tar:\n"
		    "a plain one, a layer of an OCI image, or one of a Windows container.\n\n"
		    "With --from, directories of TREE and of EXISTING become one, other files of\n"
		    "TREE replace those of EXISTING, and what only EXISTING has stays.",
		    entries, 2, 3) &&
	    parse_case(o.case_name, &o.cmp) && layer_parse_use(o.windows_name, &o.windows) &&
	    check_usage(&o, argc - 1)) {
		o.dir = argv[1];
		o.name = argv[2];
		o.tree = argc > 3 ? argv[3] : NULL;
		status = import_into(&o);
	}
	g_free(o.from);
	g_free(o.tar);
	g_free(o.case_name);
	g_free(o.windows_name);
	return status;
}
