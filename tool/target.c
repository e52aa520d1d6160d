/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arguments: options, and what DIR and DIR/NAME mean.
 *
 * The tool works on containing directories, not on mounts of them: whoever names a mount
 * is told which directory is behind it.
 */
#include "config.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "error.h"
#include "tool.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

/* GLib leaves the "--" where an operand behind it looks like an option. */
static void drop_separator(int *argc, char **argv)
{
	int i = 1;

	while (i < *argc && strcmp(argv[i], "--") != 0)
		i++;
	if (i == *argc)
		return;
	for (; i + 1 < *argc; i++)
		argv[i] = argv[i + 1];
	(*argc)--;
}

bool tool_parse(int *argc, char ***argv, const char *operands, const char *description,
		const GOptionEntry *entries, int min, int max)
{
	g_autoptr(GOptionContext) context = g_option_context_new(operands);
	g_autofree char *name = g_strdup((*argv)[0]);
	g_autofree char *program = g_strdup_printf("cimfs %s", name);
	g_autoptr(GError) error = NULL;

	g_set_prgname(program);
	g_option_context_add_main_entries(context, entries, NULL);
	g_option_context_set_summary(context, description);
	if (!g_option_context_parse(context, argc, argv, &error)) {
		fprintf(stderr, "cimfs: %s: %s\nTry \"cimfs %s --help\".\n", name, error->message,
			name);
		return false;
	}
	drop_separator(argc, *argv);
	if (*argc - 1 < min || *argc - 1 > max) {
		fprintf(stderr, "cimfs: usage: cimfs %s [OPTION…] %s\n", name, operands);
		return false;
	}
	return true;
}

/* ---- mounts of cimfsd ---- */

/* Undo what the kernel does to white space and backslashes in mountinfo: "\040". */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && g_ascii_isdigit(s[1]) && g_ascii_isdigit(s[2]) &&
		    g_ascii_isdigit(s[3])) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/*
 * A line of mountinfo: "36 35 98:0 /root /mountpoint options [optional…] - type source options".
 * Whether it is that of a cimfsd on the device; then its source and mount point, unescaped.
 */
static bool parse_mount(char *line, dev_t dev, char **ret_source, char **ret_point)
{
	g_auto(GStrv) left = NULL, right = NULL;
	unsigned int major_id, minor_id;
	char *separator = strstr(line, " - ");

	if (!separator)
		return false;
	*separator = '\0';
	left = g_strsplit(line, " ", 0);
	right = g_strsplit(separator + 3, " ", 0);
	if (g_strv_length(left) < 6 || g_strv_length(right) < 2)
		return false;
	if (sscanf(left[2], "%u:%u", &major_id, &minor_id) != 2 ||
	    makedev(major_id, minor_id) != dev || strcmp(right[0], "fuse.cimfsd") != 0)
		return false;
	unescape(right[1]);
	unescape(left[4]);
	*ret_source = g_strdup(right[1]);
	*ret_point = g_strdup(left[4]);
	return true;
}

static bool find_mount(dev_t dev, char **ret_source, char **ret_point)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	size_t room = 0;
	char *line = NULL;
	bool found = false;

	if (!f)
		return false;
	while (!found && getline(&line, &room, f) > 0)
		found = parse_mount(line, dev, ret_source, ret_point);
	free(line);
	fclose(f);
	return found;
}

bool tool_is_mount(const char *dir)
{
	g_autofree char *source = NULL, *point = NULL, *why = NULL;
	struct statfs fs;
	struct stat st;

	if (statfs(dir, &fs) < 0 || fs.f_type != FUSE_SUPER_MAGIC || stat(dir, &st) < 0 ||
	    !find_mount(st.st_dev, &source, &point))
		return false;
	if (strcmp(source, point) == 0)
		why = g_strdup_printf(
			"this is a mount of cimfsd; the images are in %s underneath it: "
			"unmount it, or use the mount",
			source);
	else
		why = g_strdup_printf("this is a mount of cimfsd; the images are in %s: name that",
				      source);
	tool_error(dir, why, 0);
	return true;
}

/* ---- DIR, DIR/NAME ---- */

struct cim_store *tool_open_store(const char *dir)
{
	struct cim_store *store;

	if (tool_is_mount(dir))
		return NULL;
	cim_reason_clear();
	int r = cim_store_open(AT_FDCWD, dir, &store);
	if (r < 0) {
		tool_error(dir, NULL, r);
		return NULL;
	}
	return store;
}

struct cim_store *tool_open_parent(const char *arg, const char **ret_name)
{
	const char *slash = strrchr(arg, '/');
	g_autofree char *dir = slash == arg ? g_strdup("/")
			       : slash      ? g_strndup(arg, (size_t)(slash - arg))
					    : g_strdup(".");

	*ret_name = slash ? slash + 1 : arg;
	return tool_open_store(dir);
}

struct cim_image *tool_open_image(const char *arg)
{
	struct cim_image *img = NULL;
	const char *name;
	struct cim_store *store = tool_open_parent(arg, &name);

	if (!store)
		return NULL;
	cim_reason_clear();
	int r = cim_store_name_check(name);
	if (r == 0)
		r = cim_image_open(store, name, &img);
	cim_store_unref(store);
	if (r < 0) {
		tool_error(arg, r == -ENOENT ? "there is no such image" : NULL, r);
		return NULL;
	}
	return img;
}
