/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "tar-export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "acl.h"
#include "error.h"
#include "import.h"
#include "layer.h"
#include "signals.h"
#include "tar-acl.h"
#include "tar-write.h"
#include "tool.h"
#include "util.h"

#define CHUNK (1024 * 1024)
#define HOLE_BLOCK \
	4096 /* zeros of a sparse file that are a hole, whatever the image's files have */
#define WHITEOUT ".wh."

/* A name of a directory. */
struct name {
	uint32_t id;
	char name[];
};

/* A directory that the walk is in. */
struct level {
	GPtrArray *names;
	guint next;
	size_t path_size; /* of the path of the directory above */
};

struct tar_export {
	struct cim_image *img;
	const char *arg;
	enum layer_use windows;
	struct progress *progress;
	struct tar_writer *out;
	uint64_t n_errors;
	GString *path;
	GArray *levels;    /* struct level */
	GHashTable *dirs;  /* IDs: damage may give a directory two names, or make a circle */
	GHashTable *links; /* ID -> path of the first name */
	GString *owner;    /* path of the last file with records of Windows; "": it had none */
	uint8_t *chunk;
};

/* A file that is being written. */
struct file {
	uint32_t id;
	struct cim_entry entry;
	struct cim_attr attr;
	struct cim_winmeta windows;
	bool has_records; /* of Windows */
	struct tar_entry tar;
	GString *records, *link;
};

static void report(struct tar_export *x, const char *what, const char *why, int err)
{
	g_autofree char *path = g_strdup_printf("%s: %s", x->arg, *what ? what : "/");
	g_autofree char *shown = tool_printable(path);

	x->n_errors++;
	progress_error(x->progress, shown, why, err);
}

/* ---- extended attributes ---- */

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int collect_name(void *arg, const char *name)
{
	g_ptr_array_add(arg, g_strdup(name));
	return 0;
}

/* As GNU tar writes keys that would end too early. */
static void add_xattr(GString *records, const char *name, const void *value, size_t size)
{
	g_autoptr(GString) key = g_string_new("SCHILY.xattr.");

	for (const char *p = name; *p; p++) {
		if (*p == '=' || *p == '%')
			g_string_append_printf(key, "%%%02X", (unsigned char)*p);
		else
			g_string_append_c(key, *p);
	}
	pax_add(records, key->str, value, size);
}

static void add_acl(GString *records, const char *key, const void *blob, size_t size)
{
	g_autoptr(GString) text = g_string_new(NULL);

	if (cim_acl_check(blob, size) < 0)
		return;
	tar_acl_format(blob, size, text);
	pax_add(records, key, text->str, text->len);
}

static bool is_stream(const struct cim_image *img, const struct cim_entry *e, const char *xattr)
{
	char name[CIM_XATTR_NAME_MAX + 1];
	uint16_t units[CIM_NAME_UNITS];
	struct cim_links links;

	if (cim_file_streams(img, e, &links) < 0)
		return false;
	for (uint32_t i = 0; i < links.n; i++) {
		int n = cim_links_name(&links, i, units);

		if (n >= 0 && cim_stream_xattr_name(units, (size_t)n, name) == 0 &&
		    strcmp(name, xattr) == 0)
			return true;
	}
	return false;
}

static void add_one_xattr(struct tar_export *x, struct file *f, const char *name)
{
	ssize_t n = cim_file_get_xattr(x->img, &f->entry, name, x->chunk, CHUNK);

	if (n == -ENODATA)
		return;
	if (n < 0)
		report(x, x->path->str, NULL, (int)n);
	else if (strcmp(name, CIM_ACL_ACCESS) == 0)
		add_acl(f->records, "SCHILY.acl.access", x->chunk, (size_t)n);
	else if (strcmp(name, CIM_ACL_DEFAULT) == 0)
		add_acl(f->records, "SCHILY.acl.default", x->chunk, (size_t)n);
	else
		add_xattr(f->records, name, x->chunk, (size_t)n);
}

/* Those that are streams follow as such, where there are records of Windows. */
static void add_xattrs(struct tar_export *x, struct file *f)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	int r = cim_file_list_xattrs(x->img, &f->entry, collect_name, names);

	if (r < 0)
		report(x, x->path->str, NULL, r);
	g_ptr_array_sort(names, compare_names);
	for (guint i = 0; i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);

		cim_reason_clear();
		if (import_is_stored_xattr(name) &&
		    !(f->has_records && is_stream(x->img, &f->entry, name)))
			add_one_xattr(x, f, name);
	}
}

/* ---- data ---- */

static bool is_zero(const uint8_t *bytes, size_t size)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static void add_extent(GArray *extents, uint64_t off, uint64_t size)
{
	struct tar_extent x = { off, size };
	struct tar_extent *last =
		extents->len ? &g_array_index(extents, struct tar_extent, extents->len - 1) : NULL;

	if (last && last->off + last->size == off)
		last->size += size;
	else
		g_array_append_val(extents, x);
}

/*
 * The pieces of a sparse file that have data: by what they are, so that the same files always give
 * the same tar.  NULL: there are too many to be worth it, or they cannot be read.
 */
static GArray *find_extents(struct tar_export *x, const struct cim_stream *s)
{
	GArray *extents = g_array_new(FALSE, FALSE, sizeof(struct tar_extent));
	uint64_t off = 0;

	while (off < s->size && extents->len < TAR_EXTENTS_MAX && !signal_caught) {
		int64_t data = cim_stream_seek(x->img, s, off, SEEK_DATA);

		if (data < 0)
			return extents;
		off = MAX(off, (uint64_t)data / HOLE_BLOCK * HOLE_BLOCK);
		ssize_t n = cim_stream_read(x->img, s, off, x->chunk, CHUNK);
		if (n <= 0)
			break;
		for (size_t at = 0, size; at < (size_t)n; at += size) {
			size = MIN((size_t)n - at, HOLE_BLOCK);
			if (!is_zero(x->chunk + at, size))
				add_extent(extents, off + at, size);
		}
		off += (uint64_t)n;
	}
	if (off >= s->size && extents->len < TAR_EXTENTS_MAX)
		return extents;
	g_array_free(extents, TRUE);
	return NULL;
}

/* @size bytes; those that cannot be read are zeros, since the header is out. */
static int write_range(struct tar_export *x, const struct cim_stream *s, const char *path,
		       uint64_t off, uint64_t size)
{
	bool failed = false;
	int r = 0;

	while (r == 0 && size > 0) {
		size_t want = (size_t)MIN(size, CHUNK);
		ssize_t n = failed ? 0 : cim_stream_read(x->img, s, off, x->chunk, want);

		if (n <= 0 && !failed)
			report(x, path, NULL, n < 0 ? (int)n : -EIO);
		failed = failed || n <= 0;
		if (n <= 0) {
			memset(x->chunk, 0, want);
			n = (ssize_t)want;
		}
		r = signal_caught ? -EINTR : tar_write_data(x->out, x->chunk, (size_t)n);
		off += (uint64_t)n;
		size -= (uint64_t)n;
		progress_tick(x->progress);
	}
	return r;
}

static int write_stream(struct tar_export *x, const struct cim_stream *s, const struct tar_entry *e,
			const GString *records)
{
	int r = tar_write_entry(x->out, e, records);

	if (r == 0 && !e->extents)
		return write_range(x, s, e->name, 0, e->size);
	for (guint i = 0; r == 0 && i < e->extents->len; i++) {
		const struct tar_extent *p = &g_array_index(e->extents, struct tar_extent, i);

		r = write_range(x, s, e->name, p->off, p->size);
	}
	return r;
}

static int write_regular(struct tar_export *x, struct file *f)
{
	g_autoptr(GArray) extents = NULL;

	f->tar.size = f->entry.data.size;
	if (f->tar.size > 0 && f->entry.flags & CIM_FLAG_SPARSE)
		f->tar.extents = extents = find_extents(x, &f->entry.data);
	return write_stream(x, &f->entry.data, &f->tar, f->records);
}

/* Each stream in an entry of its own, "FILE:STREAM", without records. */
static int write_streams(struct tar_export *x, const struct file *f)
{
	uint16_t units[CIM_NAME_UNITS];
	char name[CIM_NAME_BYTES + 1];
	struct cim_links links;
	struct cim_stream s;
	int r = 0;

	if (cim_file_streams(x->img, &f->entry, &links) < 0)
		return 0;
	for (uint32_t i = 0; r == 0 && i < links.n; i++) {
		int n = cim_links_name(&links, i, units);

		if (n >= 0)
			n = cim_name_shown(units, (size_t)n, name);
		if (n < 0 || cim_links_stream(&links, i, &s) < 0) {
			report(x, x->path->str, "a stream is damaged", 0);
			continue;
		}
		g_autofree char *path = g_strconcat(f->tar.name, ":", name, NULL);
		const struct tar_entry e = {
			.type = TAR_FILE,
			.name = path,
			.mode = f->tar.mode,
			.uid = f->tar.uid,
			.gid = f->tar.gid,
			.mtime = f->tar.mtime,
			.size = s.size,
		};
		r = write_stream(x, &s, &e, NULL);
	}
	return r;
}

/* ---- files ---- */

static char tar_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return TAR_DIRECTORY;
	case S_IFLNK:
		return TAR_SYMLINK;
	case S_IFCHR:
		return TAR_CHAR;
	case S_IFBLK:
		return TAR_BLOCK_DEVICE;
	case S_IFIFO:
		return TAR_FIFO;
	default:
		return TAR_FILE;
	}
}

static void take_time(uint64_t ticks, const struct cim_attr *a, struct timespec *ret, bool *ret_has)
{
	*ret = cim_ticks_to_timespec(ticks);
	*ret_has = ticks != a->written;
}

static void fill_entry(struct tar_export *x, struct file *f)
{
	const struct cim_attr *a = &f->attr;

	f->tar = (struct tar_entry){
		.type = tar_type(a->posix.mode),
		.name = x->path->len ? x->path->str : ".",
		.mode = a->posix.mode & 07777,
		.uid = a->posix.uid,
		.gid = a->posix.gid,
		.major = a->posix.major,
		.minor = a->posix.minor,
		.mtime = cim_ticks_to_timespec(a->written),
		.has_mtime = true,
	};
	take_time(a->accessed, a, &f->tar.atime, &f->tar.has_atime);
	take_time(a->changed, a, &f->tar.ctime, &f->tar.has_ctime);
}

/* GNU tar warns of the record of the time of creation, which only Windows has a use for. */
static void add_creation(struct file *f)
{
	take_time(f->attr.created, &f->attr, &f->tar.btime, &f->tar.has_btime);
}

/* A file with a colon in its name would look like a stream of the one before it without. */
static bool wants_records(struct tar_export *x, const struct file *f)
{
	g_autofree char *stream = layer_stream_of(f->tar.name, x->owner->str);

	if (x->windows != LAYER_AUTO)
		return x->windows == LAYER_ALWAYS;
	return stream || layer_needs_records(x->img, &f->entry, &f->attr, &f->windows);
}

static int read_file(struct tar_export *x, uint32_t id, struct file *f)
{
	char target[CIM_SYMLINK_MAX + 1];

	f->id = id;
	int r = cim_image_entry(x->img, id, &f->entry);
	if (r == 0)
		r = cim_file_attr_of(x->img, id, &f->entry, &f->attr);
	if (r == 0)
		r = cim_file_windows(x->img, &f->entry, &f->windows);
	if (r < 0)
		return r;
	if (S_ISLNK(f->attr.posix.mode)) {
		r = cim_file_readlink(x->img, id, target);
		if (r < 0)
			return r;
		g_string_assign(f->link, target);
	}
	fill_entry(x, f);
	f->has_records = wants_records(x, f);
	if (f->has_records) {
		add_creation(f);
		layer_add_records(&f->windows, f->records,
				  f->tar.type == TAR_SYMLINK ? f->link : NULL);
	}
	add_xattrs(x, f);
	f->tar.link = f->link->str;
	return 0;
}

/* Whether the file is in the tar already; then this name is a link.  Those of images from elsewhere
 * do not say how many names they have. */
static const char *first_name(struct tar_export *x, const struct file *f)
{
	if (f->attr.posix.counted && f->attr.posix.n_links < 2)
		return NULL;
	const char *first = g_hash_table_lookup(x->links, GUINT_TO_POINTER(f->id));
	if (!first)
		g_hash_table_insert(x->links, GUINT_TO_POINTER(f->id), g_strdup(f->tar.name));
	return first;
}

static int write_link(struct tar_export *x, const struct file *f, const char *first)
{
	struct tar_entry e = f->tar;

	e.type = TAR_LINK;
	e.link = first;
	e.has_atime = e.has_ctime = e.has_btime = false;
	return tar_write_entry(x->out, &e, NULL);
}

static int write_file(struct tar_export *x, struct file *f)
{
	int r;

	if (f->tar.type == TAR_FILE)
		r = write_regular(x, f);
	else
		r = tar_write_entry(x->out, &f->tar, f->records);
	if (r == 0 && f->has_records)
		r = write_streams(x, f);
	g_string_assign(x->owner, f->has_records ? f->tar.name : "");
	if (r == 0) {
		progress_found(x->progress, f->tar.size);
		progress_done(x->progress, f->tar.size);
	}
	return r;
}

/* ---- the walk ---- */

static int compare_entries(const void *a, const void *b)
{
	const struct name *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void level_clear(void *p)
{
	g_ptr_array_unref(((struct level *)p)->names);
}

static void push_level(struct tar_export *x, const struct file *f, size_t path_size)
{
	struct level level = { g_ptr_array_new_with_free_func(g_free), 0, path_size };
	uint16_t units[CIM_NAME_UNITS];
	char shown[CIM_NAME_BYTES + 1];
	struct cim_links links = { 0 };
	int r = cim_dir_links(x->img, &f->entry, &links);

	if (r < 0)
		report(x, x->path->str, NULL, r);
	for (uint32_t i = 0; r == 0 && i < links.n; i++) {
		int n = cim_links_name(&links, i, units);

		if (n >= 0)
			n = cim_name_shown(units, (size_t)n, shown);
		if (n < 0) {
			report(x, x->path->str, NULL, n);
			continue;
		}
		struct name *name = g_malloc(sizeof(*name) + (size_t)n + 1);
		name->id = cim_links_id(&links, i);
		memcpy(name->name, shown, (size_t)n + 1);
		g_ptr_array_add(level.names, name);
	}
	g_ptr_array_sort(level.names, compare_entries);
	g_array_append_val(x->levels, level);
}

/* One name, whose path is x->path; a directory becomes a level. */
static int export_name(struct tar_export *x, uint32_t id, size_t path_size)
{
	struct file f = { .records = g_string_new(NULL), .link = g_string_new(NULL) };
	guint depth = x->levels->len;

	cim_reason_clear();
	int r = read_file(x, id, &f);
	bool is_dir = r == 0 && S_ISDIR(f.attr.posix.mode);
	if (r == 0 && is_dir && !g_hash_table_add(x->dirs, GUINT_TO_POINTER(id)))
		r = cim_fail(CIM_ECORRUPT, "the image is damaged: a directory has two names");
	if (r < 0) {
		report(x, x->path->str, NULL, r);
		r = 0;
	} else if (S_ISSOCK(f.attr.posix.mode)) {
		g_autofree char *shown = tool_printable(x->path->str);

		progress_error(x->progress, shown, "left out: a tar has no sockets", 0);
	} else {
		const char *first = is_dir ? NULL : first_name(x, &f);

		r = first ? write_link(x, &f, first) : write_file(x, &f);
		if (r == 0 && is_dir)
			push_level(x, &f, path_size);
	}
	if (x->levels->len == depth)
		g_string_truncate(x->path, path_size);
	g_string_free(f.records, TRUE);
	g_string_free(f.link, TRUE);
	return r;
}

static int walk(struct tar_export *x)
{
	int r = export_name(x, x->img->fs.root_id, 0);

	while (r == 0 && x->levels->len > 0 && !signal_caught) {
		struct level *level = &g_array_index(x->levels, struct level, x->levels->len - 1);
		size_t path_size = x->path->len;

		progress_tick(x->progress);
		if (level->next == level->names->len) {
			g_string_truncate(x->path, level->path_size);
			g_array_set_size(x->levels, x->levels->len - 1);
			continue;
		}
		const struct name *name = g_ptr_array_index(level->names, level->next++);
		if (path_size > 0)
			g_string_append_c(x->path, '/');
		g_string_append(x->path, name->name);
		if (g_str_has_prefix(name->name, WHITEOUT)) {
			g_autofree char *shown = tool_printable(x->path->str);

			progress_error(
				x->progress, shown,
				"its name is that of a whiteout: import it with --no-whiteouts", 0);
		}
		r = export_name(x, name->id, path_size);
	}
	return signal_caught ? -EINTR : r;
}

int tar_export(struct cim_image *img, const char *arg, int fd, enum layer_use windows,
	       struct progress *progress, uint64_t *ret_n_errors)
{
	struct tar_export x = {
		.img = img,
		.arg = arg,
		.windows = windows,
		.progress = progress,
		.out = tar_writer_new(fd),
		.path = g_string_new(NULL),
		.levels = g_array_new(FALSE, FALSE, sizeof(struct level)),
		.dirs = g_hash_table_new(NULL, NULL),
		.links = g_hash_table_new_full(NULL, NULL, NULL, g_free),
		.owner = g_string_new(NULL),
		.chunk = g_malloc(CHUNK),
	};

	g_array_set_clear_func(x.levels, level_clear);
	int r = walk(&x);
	if (r == 0)
		r = tar_write_end(x.out);
	tar_writer_free(x.out);
	g_string_free(x.path, TRUE);
	g_string_free(x.owner, TRUE);
	g_array_free(x.levels, TRUE);
	g_hash_table_destroy(x.dirs);
	g_hash_table_destroy(x.links);
	g_free(x.chunk);
	*ret_n_errors = x.n_errors;
	return r;
}
