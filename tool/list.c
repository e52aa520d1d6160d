/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimfs ls, cimfs cat: files of an image, shown as the commands of that name show them.
 */
#include "config.h"

#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "reader.h"
#include "show.h"
#include "tool.h"
#include "util.h"
#include "windows.h"

#define CHUNK     (1024 * 1024) /* bytes a write(2), so that a signal does not wait long */
#define DEPTH_MAX 16384         /* directories above each other in a path of CIM_PATH_UNITS_MAX */

struct listing {
	struct cim_image *img;
	const char *arg; /* DIR/NAME, for messages */
	gboolean all, long_format, numeric, recursive, directory, json;
	gboolean attributes, streams;
	GHashTable *users, *groups; /* id -> name */
	GHashTable *seen; /* directories by ID: damage may give one two names, or make a circle */
	GString *path;    /* from the root to where we are */
	size_t base_size; /* bytes of it that are the path asked for and its "/" */
	bool printed;     /* something, so that what follows is separated from it */
	bool failed;
};

struct row {
	uint32_t id;
	struct cim_attr attr; /* read where it is shown */
	char name[];
};

/* @name: in the directory where we are; "" for that */
static void fail(struct listing *l, const char *name, int err)
{
	g_autofree char *what = g_build_path("/", l->arg, l->path->str, name, NULL);

	fflush(stdout);
	tool_error(what, NULL, err);
	l->failed = true;
}

/* Go down to @name; the result is for leave(). */
static size_t enter(struct listing *l, const char *name)
{
	size_t size = l->path->len;

	if (size > 0 && l->path->str[size - 1] != '/')
		g_string_append_c(l->path, '/');
	g_string_append(l->path, name);
	return size;
}

static void leave(struct listing *l, size_t size)
{
	g_string_truncate(l->path, size);
}

/* ---- rows ---- */

static bool shows_attributes(const struct listing *l)
{
	return l->long_format || l->json;
}

static void add_row(struct listing *l, GPtrArray *rows, const char *name, uint32_t id)
{
	struct cim_attr attr = { 0 };

	if (shows_attributes(l) || l->recursive) {
		cim_reason_clear();
		int r = cim_file_attr(l->img, id, &attr);

		if (r < 0) {
			fail(l, name, r);
			return;
		}
	}
	struct row *row = g_malloc(sizeof(*row) + strlen(name) + 1);
	row->id = id;
	row->attr = attr;
	strcpy(row->name, name);
	g_ptr_array_add(rows, row);
}

static int compare_rows(const void *a, const void *b)
{
	const struct row *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void add_names(struct listing *l, GPtrArray *rows, const struct cim_links *links)
{
	uint16_t units[CIM_NAME_UNITS];
	char name[CIM_NAME_BYTES + 1];

	for (uint32_t i = 0; i < links->n; i++) {
		cim_reason_clear();
		int r = cim_links_name(links, i, units);

		if (r >= 0)
			r = cim_name_shown(units, (size_t)r, name);
		if (r < 0)
			fail(l, "", r);
		else if (l->all || l->json || name[0] != '.')
			add_row(l, rows, name, cim_links_id(links, i));
	}
}

/* The names of a directory, sorted; NULL when it cannot be read. */
static GPtrArray *read_rows(struct listing *l, uint32_t id)
{
	struct cim_entry e;
	struct cim_links links;

	cim_reason_clear();
	int r = cim_image_entry(l->img, id, &e);
	if (r == 0)
		r = cim_dir_links(l->img, &e, &links);
	if (r < 0) {
		fail(l, "", r);
		return NULL;
	}
	GPtrArray *rows = g_ptr_array_new_with_free_func(g_free);
	if (l->all && !l->json) {
		add_row(l, rows, ".", id);
		add_row(l, rows, "..", e.parent_id ? e.parent_id : id);
	}
	add_names(l, rows, &links);
	g_ptr_array_sort(rows, compare_rows);
	return rows;
}

/* ---- long format ---- */

/* The name of an id as getpwuid() or getgrgid() has it, asked for once; else its digits. */
static const char *id_name(struct listing *l, bool group, uint32_t id)
{
	GHashTable *names = group ? l->groups : l->users;
	char *name = g_hash_table_lookup(names, GUINT_TO_POINTER(id));

	if (name)
		return name;
	const struct passwd *pw = group || l->numeric ? NULL : getpwuid(id);
	const struct group *gr = !group || l->numeric ? NULL : getgrgid(id);
	name = pw ? g_strdup(pw->pw_name) : gr ? g_strdup(gr->gr_name) : g_strdup_printf("%u", id);
	g_hash_table_insert(names, GUINT_TO_POINTER(id), name);
	return name;
}

static void time_text(uint64_t ticks, char *ret, size_t size)
{
	struct timespec ts = cim_ticks_to_timespec(ticks);
	struct tm tm;

	if (!localtime_r(&ts.tv_sec, &tm) || !strftime(ret, size, "%Y-%m-%d %H:%M", &tm))
		g_strlcpy(ret, "?", size);
}

static void size_text(const struct cim_attr *a, char *ret, size_t size)
{
	if (show_is_device(a))
		snprintf(ret, size, "%u, %u", a->posix.major, a->posix.minor);
	else
		snprintf(ret, size, "%" PRIu64, a->size);
}

struct widths {
	int links, user, group, size;
};

static void widen(int *width, size_t n)
{
	*width = MAX(*width, (int)n);
}

static struct widths measure(struct listing *l, GPtrArray *rows)
{
	struct widths w = { 0 };
	char text[32];

	for (guint i = 0; i < rows->len; i++) {
		const struct row *row = g_ptr_array_index(rows, i);
		const struct cim_posix *p = &row->attr.posix;

		widen(&w.links, (size_t)snprintf(text, sizeof(text), "%u", p->n_links));
		widen(&w.user, strlen(id_name(l, false, p->uid)));
		widen(&w.group, strlen(id_name(l, true, p->gid)));
		size_text(&row->attr, text, sizeof(text));
		widen(&w.size, strlen(text));
	}
	return w;
}

/* The column of Windows' attributes, where it is asked for. */
static void put_attributes(const struct listing *l, const struct cim_entry *e)
{
	char letters[SHOW_LETTERS];

	if (!l->attributes)
		return;
	show_attribute_letters(cim_attributes_of_entry(e), letters);
	printf("%s ", letters);
}

struct stream_row {
	const struct row *row;
	int indent; /* -1: no size */
	int width;
};

/* A stream below its file, as "dir /r" has it. */
static void put_stream_row(void *arg, const char *name, const struct cim_stream *s)
{
	const struct stream_row *r = arg;

	if (r->indent >= 0)
		printf("%*s%*" PRIu64 " %16s ", r->indent, "", r->width, s->size, "");
	tool_put_name(r->row->name);
	putchar(':');
	tool_put_name(name);
	putchar('\n');
}

static void put_streams(struct listing *l, const struct row *row, const struct cim_entry *e,
			int indent, int width)
{
	struct stream_row r = { row, indent, width };

	if (!l->streams)
		return;
	cim_reason_clear();
	int err = show_streams(l->img, e, put_stream_row, &r);
	if (err < 0)
		fail(l, row->name, err);
}

/* How many columns there are before the size. */
static int put_long(struct listing *l, const struct row *row, const struct widths *w)
{
	const struct cim_posix *p = &row->attr.posix;
	char mode[SHOW_MODE], size[32], when[64], target[CIM_SYMLINK_MAX + 1];

	show_mode(p->mode, mode);
	size_text(&row->attr, size, sizeof(size));
	time_text(row->attr.written, when, sizeof(when));
	int n = printf("%s %*u %-*s %-*s ", mode, w->links, p->n_links, w->user,
		       id_name(l, false, p->uid), w->group, id_name(l, true, p->gid));
	printf("%*s %s ", w->size, size, when);
	tool_put_name(row->name);
	if (S_ISLNK(p->mode) && cim_file_readlink(l->img, row->id, target) >= 0) {
		fputs(" -> ", stdout);
		tool_put_name(target);
	}
	putchar('\n');
	return n;
}

static void put_row(struct listing *l, const struct row *row, const struct widths *w)
{
	struct cim_entry e = { 0 };
	int indent = -1;

	cim_reason_clear();
	int r = l->attributes || l->streams ? cim_image_entry(l->img, row->id, &e) : 0;
	if (r < 0) {
		fail(l, row->name, r);
		return;
	}
	put_attributes(l, &e);
	if (l->long_format) {
		indent = put_long(l, row, w) + (l->attributes ? SHOW_LETTERS : 0);
	} else {
		tool_put_name(row->name);
		putchar('\n');
	}
	put_streams(l, row, &e, indent, w->size);
}

/* ---- JSON ---- */

static void put_json_stream(void *arg, const char *name, const struct cim_stream *s)
{
	GString *json = arg;

	g_string_append(json, json->str[json->len - 1] == '[' ? "{ " : ", { ");
	tool_json_bytes(json, "name", name);
	g_string_append_printf(json, ", \"size\": %" PRIu64 " }", s->size);
}

/* Its name is the path from where the listing began. */
static void put_json(struct listing *l, const struct row *row)
{
	g_autoptr(GString) json = g_string_new(l->printed ? ",\n{ " : "[\n{ ");
	size_t here = enter(l, row->name);
	struct cim_entry e;

	tool_json_bytes(json, "name", l->path->str + MIN(l->base_size, l->path->len));
	leave(l, here);
	g_string_append(json, ", ");
	show_json_attr(json, l->img, &row->attr);
	if (cim_image_entry(l->img, row->id, &e) == 0) {
		g_string_append(json, ", ");
		show_json_attributes(json, &e);
		g_string_append(json, ", \"streams\": [");
		if (show_streams(l->img, &e, put_json_stream, json) < 0)
			fail(l, row->name, -CIM_ECORRUPT);
		g_string_append(json, "]");
	}
	fputs(json->str, stdout);
	fputs(" }", stdout);
	l->printed = true;
}

/* ---- ls ---- */

static void put_rows(struct listing *l, GPtrArray *rows)
{
	struct widths w = l->long_format && !l->json ? measure(l, rows) : (struct widths){ 0 };

	for (guint i = 0; i < rows->len; i++) {
		const struct row *row = g_ptr_array_index(rows, i);

		if (l->json)
			put_json(l, row);
		else
			put_row(l, row, &w);
	}
}

static void put_heading(struct listing *l)
{
	if (l->json || !l->recursive)
		return;
	if (l->printed)
		putchar('\n');
	tool_put_name(l->path->len ? l->path->str : ".");
	fputs(":\n", stdout);
	l->printed = true;
}

static void list_directory(struct listing *l, uint32_t id, int depth)
{
	if (depth > DEPTH_MAX || !g_hash_table_add(l->seen, GUINT_TO_POINTER(id))) {
		cim_reason_set("damaged: the directory is in more than one place, or too deep");
		fail(l, "", -CIM_ECORRUPT);
		return;
	}
	g_autoptr(GPtrArray) rows = read_rows(l, id);
	if (!rows)
		return;
	put_heading(l);
	put_rows(l, rows);
	for (guint i = 0; l->recursive && i < rows->len; i++) {
		const struct row *row = g_ptr_array_index(rows, i);

		if (!S_ISDIR(row->attr.posix.mode) || strcmp(row->name, ".") == 0 ||
		    strcmp(row->name, "..") == 0)
			continue;
		size_t here = enter(l, row->name);
		list_directory(l, row->id, depth + 1);
		leave(l, here);
	}
}

/* The file at l->path. */
static void list_path(struct listing *l)
{
	struct cim_attr attr;
	uint32_t id;
	/* As ls does: a symlink to a directory is that directory, unless it is to be shown itself.
	 */
	bool follow = !l->long_format && !l->directory && !l->json;

	cim_reason_clear();
	int r = cim_path_lookup(l->img, l->path->str, follow, &id);
	if (r == -ENOENT && follow)
		r = cim_path_lookup(l->img, l->path->str, false, &id);
	if (r == 0)
		r = cim_file_attr(l->img, id, &attr);
	if (r < 0) {
		fail(l, "", r);
		return;
	}
	if (S_ISDIR(attr.posix.mode) && !l->directory) {
		/* What is below is named from here. */
		l->base_size = l->path->len ? l->path->len + 1 : 0;
		list_directory(l, id, 0);
		return;
	}
	g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *name = g_strdup(l->path->len ? l->path->str : ".");
	g_string_truncate(l->path, 0);
	add_row(l, rows, name, id);
	put_rows(l, rows);
}

int tool_ls(int argc, char **argv)
{
	struct listing l = { 0 };
	const GOptionEntry entries[] = {
		{ "all", 'a', 0, G_OPTION_ARG_NONE, &l.all, "Also names that begin with \".\"",
		  NULL },
		{ "attributes", 0, 0, G_OPTION_ARG_NONE, &l.attributes,
		  "Also Windows' attributes: RHSDAPL", NULL },
		{ "directory", 'd', 0, G_OPTION_ARG_NONE, &l.directory,
		  "A directory itself, not what is in it", NULL },
		{ "long", 'l', 0, G_OPTION_ARG_NONE, &l.long_format,
		  "Mode, links, owner, group, size, time", NULL },
		{ "numeric", 'n', 0, G_OPTION_ARG_NONE, &l.numeric, "As -l, with numbers as owners",
		  NULL },
		{ "recursive", 'R', 0, G_OPTION_ARG_NONE, &l.recursive, "Also directories below",
		  NULL },
		{ "streams", 0, 0, G_OPTION_ARG_NONE, &l.streams,
		  "Also alternate data streams, as NAME:STREAM", NULL },
		{ "json", 0, 0, G_OPTION_ARG_NONE, &l.json,
		  "A JSON array of all there is, with paths as names", NULL },
		{ NULL },
	};

	if (!tool_parse(&argc, &argv, "DIR/NAME [PATH]", "List files of an image, as ls does.",
			entries, 1, 2))
		return TOOL_USAGE;
	l.long_format |= l.numeric;
	l.arg = argv[1];
	l.img = tool_open_image(l.arg);
	if (!l.img)
		return TOOL_FAILED;
	l.users = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	l.groups = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	l.seen = g_hash_table_new(NULL, NULL);
	l.path = g_string_new(argc > 2 ? argv[2] : "");
	while (l.path->len > 0 && l.path->str[l.path->len - 1] == '/')
		g_string_truncate(l.path, l.path->len - 1);
	list_path(&l);
	if (l.json)
		puts(l.printed ? "\n]" : "[]");
	g_string_free(l.path, TRUE);
	g_hash_table_destroy(l.seen);
	g_hash_table_destroy(l.users);
	g_hash_table_destroy(l.groups);
	cim_image_unref(l.img);
	return l.failed ? TOOL_FAILED : EXIT_SUCCESS;
}

/* ---- cat ---- */

/*
 * Straight from where the bytes are mapped.  A page that somebody's truncation took away fails the
 * write with EFAULT; there is no signal for what the kernel touches.
 */
static int put_stream(const struct cim_image *img, const struct cim_stream *s)
{
	static const uint8_t zeros[65536];
	uint64_t off = 0, n;
	const uint8_t *p;

	while (off < s->size) {
		int r = cim_stream_span(img, s, off, CHUNK, &p, &n);

		if (r < 0)
			return r;
		if (!p)
			n = MIN(n, sizeof(zeros));
		ssize_t done = write(STDOUT_FILENO, p ? p : zeros, n);
		if (done < 0 && errno == EFAULT)
			return cim_fail(EIO, "a region file was cut off while it was read");
		if (done < 0 && errno != EINTR)
			return cim_fail(errno, "standard output: %s", g_strerror(errno));
		off += done < 0 ? 0 : (uint64_t)done;
	}
	return 0;
}

/* @stream: NULL for the file's own data */
static int cat_path(const struct cim_image *img, const char *path, const char *stream)
{
	struct cim_stream s;
	struct cim_entry e;
	struct cim_attr attr;
	uint32_t id;

	cim_reason_clear();
	int r = cim_path_lookup(img, path, true, &id);
	if (r == 0)
		r = cim_image_entry(img, id, &e);
	if (r == 0)
		r = cim_file_attr_of(img, id, &e, &attr);
	if (r == 0 && stream)
		r = cim_file_stream_by_name(img, &e, stream, &s);
	if (r < 0)
		return r;
	if (stream)
		return put_stream(img, &s);
	if (S_ISDIR(attr.posix.mode))
		return -EISDIR;
	if (!S_ISREG(attr.posix.mode))
		return cim_fail(EINVAL, "it is no regular file");
	return put_stream(img, &e.data);
}

int tool_cat(int argc, char **argv)
{
	g_autofree char *stream = NULL;
	const GOptionEntry entries[] = {
		{ "stream", 0, 0, G_OPTION_ARG_FILENAME, &stream,
		  "An alternate data stream instead of the data", "NAME" },
		{ NULL },
	};
	int status = EXIT_SUCCESS;

	if (!tool_parse(&argc, &argv, "DIR/NAME PATH…", "Print files of an image.", entries, 2,
			G_MAXINT))
		return TOOL_USAGE;
	struct cim_image *img = tool_open_image(argv[1]);
	if (!img)
		return TOOL_FAILED;
	for (int i = 2; i < argc; i++) {
		int r = cat_path(img, argv[i], stream);

		if (r < 0) {
			g_autofree char *what = g_strdup_printf("%s/%s", argv[1], argv[i]);
			tool_error(what, NULL, r);
			status = TOOL_FAILED;
		}
	}
	cim_image_unref(img);
	return status;
}
