/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimfs - make and read composite images without mounting them (interface.md §5).
 *
 * This file knows the commands by name and nothing of what they do.
 */
#include "config.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{ "import", tool_import, "make an image from a tree of files or a tar" },
	{ "export", tool_export, "write an image as a tar" },
	{ "ls", tool_ls, "list files of an image" },
	{ "stat", tool_stat, "say all that an image keeps of files" },
	{ "cat", tool_cat, "print files of an image" },
	{ "info", tool_info, "say what images there are, or what an image consists of" },
	{ "fsck", tool_fsck, "check images" },
	{ "hash", tool_hash, "print one digest of a whole tree" },
	{ "delete", tool_delete, "remove images" },
	{ "gc", tool_gc, "remove what no image needs" },
};

static char *command_list(void)
{
	GString *s = g_string_new("Commands:");

	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
		g_string_append_printf(s, "\n  %-8s %s", commands[i].name, commands[i].summary);
	g_string_append(s,
			"\n\n\"cimfs COMMAND --help\" tells more of each.  The exit status is 0, "
			"1 for a failed operation, 2 for wrong usage.");
	return g_string_free(s, FALSE);
}

static int usage_error(const char *what)
{
	fprintf(stderr, "cimfs: %s\nTry \"cimfs --help\".\n", what);
	return TOOL_USAGE;
}

static int run_command(int argc, char **argv)
{
	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
		if (strcmp(argv[0], commands[i].name) == 0)
			return commands[i].run(argc, argv);
	g_autofree char *what = g_strdup_printf("there is no command \"%s\"", argv[0]);
	return usage_error(what);
}

int main(int argc, char **argv)
{
	gboolean version = FALSE;
	const GOptionEntry entries[] = {
		{ "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL },
		{ NULL },
	};
	g_autoptr(GOptionContext) context =
		g_option_context_new("COMMAND [ARGUMENT…] - composite images without a mount");
	g_autoptr(GError) error = NULL;
	g_autofree char *list = command_list();

	/* A file-size limit is an error of a write, not the end. */
	(void)signal(SIGXFSZ, SIG_IGN);
	/* How names and messages look.  Numbers and dates are the same everywhere. */
	setlocale(LC_CTYPE, "");
	setlocale(LC_MESSAGES, "");
	g_set_prgname("cimfs");
	atexit(tool_close_stdout);
	g_option_context_add_main_entries(context, entries, NULL);
	g_option_context_set_description(context, list);
	/* What follows the command is the command's. */
	g_option_context_set_strict_posix(context, TRUE);
	if (!g_option_context_parse(context, &argc, &argv, &error))
		return usage_error(error->message);
	if (version) {
		printf("cimfs %s\n", PACKAGE_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc < 2)
		return usage_error("which command?");
	return run_command(argc - 1, argv + 1);
}
