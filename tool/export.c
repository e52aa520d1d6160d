/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimfs export: an image as a tar.
 *
 * A file appears under its name when all of it is there; a command that is interrupted leaves
 * nothing.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "signals.h"
#include "tar-export.h"
#include "tool.h"
#include "util.h"

struct output {
	int fd;
	char *temporary; /* its name until it is done; NULL: it goes straight to where it shall */
};

static int fail_file(const char *file)
{
	tool_error(file, g_strerror(errno), 0);
	return -1;
}

/* Where the tar goes: a new file beside @file, or, where that is no regular file, itself. */
static int open_output(const char *file, struct output *ret)
{
	struct stat st;

	*ret = (struct output){ .fd = -1 };
	if (!file || strcmp(file, "-") == 0) {
		if (isatty(STDOUT_FILENO)) {
			tool_error("standard output", "it is a terminal: name a file with --tar",
				   0);
			return -1;
		}
		ret->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		return ret->fd < 0 ? fail_file("standard output") : 0;
	}
	if (stat(file, &st) == 0 && !S_ISREG(st.st_mode)) {
		ret->fd = open(file, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		return ret->fd < 0 ? fail_file(file) : 0;
	}
	mode_t mask = umask(0);
	umask(mask);
	ret->temporary = g_strconcat(file, ".XXXXXX", NULL);
	ret->fd = mkostemp(ret->temporary, O_CLOEXEC);
	if (ret->fd >= 0 && fchmod(ret->fd, 0666 & ~mask) == 0)
		return 0;
	fail_file(file);
	if (ret->fd >= 0) {
		close(ret->fd);
		(void)unlink(ret->temporary);
	}
	g_clear_pointer(&ret->temporary, g_free);
	return -1;
}

/* @keep: it is whole.  Returns 0 or -1: the reason is printed. */
static int close_output(struct output *out, const char *file, bool keep)
{
	int r = close(out->fd);

	if (keep && r == 0 && out->temporary)
		r = rename(out->temporary, file);
	if (keep && r < 0)
		fail_file(file ? file : "standard output");
	if ((!keep || r < 0) && out->temporary)
		(void)unlink(out->temporary);
	g_free(out->temporary);
	return keep && r < 0 ? -1 : 0;
}

static int run_export(const char *arg, const char *file, enum layer_use windows, bool quiet)
{
	struct progress progress;
	struct output out;
	uint64_t n_errors;
	struct cim_image *img = tool_open_image(arg);

	if (!img)
		return TOOL_FAILED;
	if (open_output(file, &out) < 0) {
		cim_image_unref(img);
		return TOOL_FAILED;
	}
	/* Files without an owner have the same for everybody. */
	img->view.uid = img->view.gid = 0;
	progress_init(&progress, !quiet);
	signals_catch();
	cim_reason_clear();
	int r = tar_export(img, arg, out.fd, windows, &progress, &n_errors);
	(void)progress_end(&progress);
	if (r < 0 && !signal_caught)
		tool_error(arg, NULL, r);
	else if (r < 0)
		fprintf(stderr, "cimfs: %s: not exported: interrupted\n", arg);
	else if (n_errors > 0)
		fprintf(stderr, "cimfs: %s: %" PRIu64 " error%s: the archive lacks something\n",
			arg, n_errors, n_errors > 1 ? "s" : "");
	bool closed = close_output(&out, file, r == 0) == 0;
	cim_image_unref(img);
	if (r < 0 && signal_caught)
		return 128 + signal_caught;
	return r == 0 && closed && n_errors == 0 ? EXIT_SUCCESS : TOOL_FAILED;
}

int tool_export(int argc, char **argv)
{
	char *file = NULL, *windows_name = NULL;
	enum layer_use windows = LAYER_AUTO;
	gboolean quiet = FALSE;
	const GOptionEntry entries[] = {
		{ "tar", 0, 0, G_OPTION_ARG_FILENAME, &file,
		  "Where the tar goes; - and the default are standard output", "FILE" },
		{ "windows", 0, 0, G_OPTION_ARG_STRING, &windows_name,
		  "Which files get the records of Windows container layers: auto (the default), "
		  "those that need them; always; never",
		  "WHICH" },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "No progress", NULL },
		{ NULL },
	};
	int status = TOOL_USAGE;

	if (tool_parse(
		    &argc, &argv, "DIR/NAME",
		    "Write all files of an image as a tar.  The same image always gives the same\n"
		    "tar, and \"cimfs import --tar\" makes an equal image of it.",
		    entries, 1, 1) &&
	    layer_parse_use(windows_name, &windows))
		status = run_export(argv[1], file, windows, quiet);
	g_free(file);
	g_free(windows_name);
	return status;
}
