/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The import of a tar: its entries into a writer, in one pass, as a pipe gives them.
 *
 * What an entry says is put into the tree that there is (tar-tree.c): a directory over a directory
 * keeps what is in it, anything else replaces.  Nothing here asks for the time: what an archive
 * does not say of a file comes from what it says.
 *
 * An entry with records of Windows (layer.c) becomes a file of Windows, without owner and mode but
 * for those among its EAs; all others become files of Linux.
 */
#include "config.h"

#include "tar-import.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "signals.h"
#include "tar-read.h"
#include "tar-tree.h"
#include "tool.h"

#define CHUNK (1024 * 1024)

#define HIVES "Hives/" /* of a Windows layer: files of the registry, or what changes in them */
#define DELTA "_delta"

struct tar_import {
	struct import *im;
	const struct tar_options *options;
	struct tar_reader *reader;
	struct tar_tree tree;
	GString *path;  /* of the entry, without what does not count in it */
	GString *owner; /* path of the last file of Windows, which streams may follow; "": none */
	uint32_t owner_id;
	bool has_deltas;
	uint8_t *chunk;
};

/* ---- errors ---- */

static void report(struct tar_import *ti, const char *name, int err)
{
	g_autofree char *shown = tool_printable(name);

	import_report(ti->im, *shown ? shown : "(an entry without a name)", err);
}

static bool reader_waits(void *arg)
{
	struct tar_import *ti = arg;

	progress_tick(&ti->im->progress);
	return signal_caught;
}

/* ---- data ---- */

/* Data with holes between it, into an empty file. */
static int copy_sparse(struct tar_import *ti, uint32_t id, const struct tar_entry *e)
{
	struct cim_writer *w = ti->im->writer;
	uint64_t off, end = 0;
	ssize_t n = 0;
	int r = cim_writer_open_file(w, id, CIM_OPEN_WRITE | CIM_OPEN_TRUNCATE);

	if (r < 0)
		return r;
	while (r == 0 && (n = tar_reader_data(ti->reader, ti->chunk, CHUNK, &off)) > 0) {
		ssize_t done = cim_writer_write(w, id, off, ti->chunk, (size_t)n);

		r = done < 0 ? (int)done : reader_waits(ti) ? -EINTR : 0;
		end = off + (uint64_t)n;
	}
	if (r == 0 && n == 0 && end < e->size) {
		const struct cim_attr attr = { .size = e->size };

		r = cim_writer_set(w, id, CIM_SET_SIZE, &attr);
	}
	if (r == 0 && n == 0)
		r = cim_writer_flush(w, id);
	cim_writer_close_file(w, id, CIM_OPEN_WRITE | CIM_OPEN_TRUNCATE);
	return n < 0 ? (int)n : r;
}

/* @stream: NULL for the main one */
static int copy_stream(struct tar_import *ti, uint32_t id, const char *stream,
		       const struct tar_entry *e)
{
	struct cim_stream_writer *s;
	uint64_t off;
	ssize_t n = 0;
	int r = cim_stream_writer_open(ti->im->writer, id, stream, e->size, &s);

	if (r < 0)
		return r;
	while (r == 0 && (n = tar_reader_data(ti->reader, ti->chunk, CHUNK, &off)) > 0) {
		r = cim_stream_writer_add(s, ti->chunk, (size_t)n);
		if (r == 0 && reader_waits(ti))
			r = -EINTR;
	}
	int closed = cim_stream_writer_close(s);
	if (n < 0)
		return (int)n;
	return r < 0 ? r : closed;
}

static int copy_data(struct tar_import *ti, uint32_t id, const struct tar_entry *e)
{
	if (e->type != TAR_FILE || e->size == 0)
		return 0;
	return e->extents ? copy_sparse(ti, id, e) : copy_stream(ti, id, NULL, e);
}

/* ---- files ---- */

static uint32_t file_type(const struct tar_entry *e)
{
	switch (e->type) {
	case TAR_SYMLINK:
		return S_IFLNK;
	case TAR_CHAR:
		return S_IFCHR;
	case TAR_BLOCK_DEVICE:
		return S_IFBLK;
	case TAR_FIFO:
		return S_IFIFO;
	default:
		return S_IFREG;
	}
}

static int make_file(struct tar_import *ti, const struct tar_entry *e, const struct tar_place *p,
		     uint32_t *ret_id)
{
	const struct cim_make m = {
		.mode = file_type(e) | e->mode,
		.uid = e->uid,
		.gid = e->gid,
		.major = e->major,
		.minor = e->minor,
		.target = e->link,
	};

	if (e->type == TAR_SYMLINK && !*e->link)
		return cim_fail(EINVAL, "it is a symlink to nothing");
	if (e->type == TAR_SYMLINK && strlen(e->link) > CIM_SYMLINK_MAX)
		return cim_fail(EINVAL, "its target is too long: %zu bytes; it may have %d",
				strlen(e->link), CIM_SYMLINK_MAX);
	int r = tar_tree_make_room(&ti->tree, p);
	if (r == 0)
		r = tar_tree_touch(&ti->tree, p->dir_id);
	return r < 0 ? r : cim_writer_make(ti->im->writer, p->dir_id, p->name, p->n, &m, ret_id);
}

/* An entry is left out as a whole, or is there as a whole.  @r: what came of it */
static int end_file(struct tar_import *ti, const struct tar_entry *e, const struct tar_place *p,
		    uint32_t id, int r)
{
	struct cim_attr attr = { 0 };

	tar_tree_times(e, &attr);
	if (r == 0)
		r = cim_writer_set(ti->im->writer, id, TAR_SET_TIMES, &attr);
	if (r < 0) {
		g_autofree char *why = g_strdup(cim_reason());

		(void)cim_writer_remove(ti->im->writer, p->dir_id, p->name, p->n);
		cim_reason_set("%s", why);
	}
	return r;
}

static int import_file(struct tar_import *ti, const struct tar_entry *e, const struct tar_place *p)
{
	uint32_t id;
	int r = make_file(ti, e, p, &id);

	if (r < 0)
		return r;
	r = copy_data(ti, id, e);
	if (r == 0)
		r = tar_apply_xattrs(ti->im->writer, id, NULL, e);
	return end_file(ti, e, p, id, r);
}

/* ---- files of Windows ---- */

static void set_windows_times(const struct tar_entry *e, struct cim_winmeta *ret)
{
	struct cim_attr attr;

	tar_tree_times(e, &attr);
	ret->created = attr.created;
	ret->written = attr.written;
	ret->changed = attr.changed;
	ret->accessed = attr.accessed;
}

/* Files and links are made as Windows' API makes them; it has no special files. */
static int make_windows_file(struct tar_import *ti, const struct tar_entry *e,
			     const struct tar_place *p, const struct layer_file *f,
			     uint32_t *ret_id)
{
	unsigned int mask = f->mask;

	if (e->type == TAR_FILE || e->type == TAR_SYMLINK) {
		int r = tar_tree_make_room(&ti->tree, p);

		if (r == 0)
			r = tar_tree_touch(&ti->tree, p->dir_id);
		return r < 0 ? r
			     : cim_writer_create(ti->im->writer, p->dir_id, p->name, p->n, &f->meta,
						 ret_id);
	}
	if (f->meta.reparse_size == 0)
		mask &= ~CIM_WIN_REPARSE;
	if (!f->has_eas)
		mask &= ~CIM_WIN_EAS;
	int r = make_file(ti, e, p, ret_id);
	return r < 0 ? r : cim_writer_set_windows(ti->im->writer, *ret_id, mask, &f->meta);
}

static void set_owner(struct tar_import *ti, uint32_t id)
{
	g_string_assign(ti->owner, ti->path->len ? ti->path->str : ".");
	ti->owner_id = id;
}

static int import_windows_file(struct tar_import *ti, const struct tar_entry *e,
			       const struct tar_place *p, struct layer_file *f)
{
	uint32_t id;

	set_windows_times(e, &f->meta);
	int r = make_windows_file(ti, e, p, f, &id);
	if (r < 0)
		return r;
	r = copy_data(ti, id, e);
	/* EAs have all attributes in them. */
	if (r == 0 && !f->has_eas)
		r = tar_apply_xattrs(ti->im->writer, id, NULL, e);
	r = end_file(ti, e, p, id, r);
	if (r == 0)
		set_owner(ti, id);
	return r;
}

/* An entry that is an alternate stream of the file before it. */
static int import_stream(struct tar_import *ti, const struct tar_entry *e, const char *stream)
{
	if (!*stream)
		return cim_fail(EINVAL, "it is a stream without a name");
	if (e->extents)
		return cim_fail(EINVAL, "it is a stream, and a sparse one");
	int r = copy_stream(ti, ti->owner_id, stream, e);
	if (r < 0 && !*cim_reason())
		return cim_fail(-r, "the stream cannot be stored: %s", g_strerror(-r));
	return r;
}

/* ---- directories ---- */

/*
 * What there is under a directory's name, if it stays: a directory.  1: there is nothing any more.
 * @p: NULL for the root
 */
static int find_dir(struct tar_import *ti, const struct tar_place *p, uint32_t *ret_id)
{
	struct cim_attr attr;

	if (!p) {
		*ret_id = cim_writer_root(ti->im->writer);
		return 0;
	}
	int r = tar_tree_look_up(&ti->tree, p, ret_id);
	if (r == 0)
		r = cim_writer_attr(ti->im->writer, *ret_id, &attr);
	if (r < 0)
		return r == -ENOENT ? 1 : r;
	if (S_ISDIR(attr.posix.mode))
		return 0;
	r = tar_tree_remove(&ti->tree, p);
	return r < 0 ? r : 1;
}

/* A directory that stays, with other metadata. */
static int renew_dir(struct tar_import *ti, uint32_t id, const struct tar_entry *e)
{
	struct cim_attr neutral = {
		.posix = { .mode = S_IFDIR | (e->mode & ~(uint32_t)S_ISGID),
			   .uid = e->uid,
			   .gid = e->gid },
	};
	int r = import_drop_xattrs(ti->im, id);

	return r < 0 ? r
		     : cim_writer_set(ti->im->writer, id, CIM_SET_MODE | CIM_SET_UID | CIM_SET_GID,
				      &neutral);
}

static int make_dir(struct tar_import *ti, const struct tar_entry *e, const struct tar_place *p,
		    uint32_t *ret_id)
{
	const struct cim_make m = {
		.mode = S_IFDIR | (e->mode & ~(uint32_t)S_ISGID),
		.uid = e->uid,
		.gid = e->gid,
	};
	int r = tar_tree_touch(&ti->tree, p->dir_id);

	return r < 0 ? r : cim_writer_make(ti->im->writer, p->dir_id, p->name, p->n, &m, ret_id);
}

static int import_dir(struct tar_import *ti, const struct tar_entry *e, const struct tar_place *p)
{
	uint32_t id;
	int r = find_dir(ti, p, &id);

	if (r < 0)
		return r;
	r = r == 0 ? renew_dir(ti, id, e) : make_dir(ti, e, p, &id);
	if (r < 0)
		return r;
	struct tar_dir *d = tar_tree_dir(&ti->tree, p, id);
	d->mask = TAR_SET_TIMES | (e->mode & S_ISGID ? CIM_SET_MODE : 0);
	d->attr.posix.mode = S_IFDIR | e->mode;
	tar_tree_times(e, &d->attr);
	return tar_apply_xattrs(ti->im->writer, id, &d->acl, e);
}

/* Its own metadata is what it gets at once; what new files would inherit of that waits. */
static int import_windows_dir(struct tar_import *ti, const struct tar_entry *e,
			      const struct tar_place *p, struct layer_file *f)
{
	uint32_t id;
	int r = find_dir(ti, p, &id);

	if (r < 0)
		return r;
	set_windows_times(e, &f->meta);
	if (p)
		r = tar_tree_touch(&ti->tree, p->dir_id);
	if (p && r >= 0)
		r = cim_writer_create(ti->im->writer, p->dir_id, p->name, p->n, &f->meta, &id);
	else if (r >= 0)
		r = cim_writer_set_windows(ti->im->writer, id, f->mask, &f->meta);
	if (r == 0)
		r = tar_tree_renew(&ti->tree, p, id);
	if (r == 0)
		set_owner(ti, id);
	return r;
}

/* ---- hard links ---- */

static int find_target(struct tar_import *ti, const char *raw, uint32_t *ret_id)
{
	g_autoptr(GString) path = g_string_new(NULL);
	struct tar_place place;
	struct cim_attr attr;
	int r = tar_path_clean(raw, path);

	if (r == 0 && path->len == 0)
		return cim_fail(EINVAL, "it is a hard link to a directory");
	if (r == 0)
		r = tar_tree_find(&ti->tree, path, NULL, &place);
	if (r == 0)
		r = cim_writer_lookup(ti->im->writer, place.dir_id, place.name, place.n, ret_id);
	if (r == 0)
		r = cim_writer_attr(ti->im->writer, *ret_id, &attr);
	if (r == -ENOENT || r == -EINVAL || r == -ENOTDIR) {
		g_autofree char *why = g_strdup(*cim_reason() ? cim_reason() : "it is not there");
		g_autofree char *shown = tool_printable(raw);

		return cim_fail(-r, "it is a hard link to \"%s\": %s", shown, why);
	}
	if (r == 0 && S_ISDIR(attr.posix.mode))
		return cim_fail(EINVAL, "it is a hard link to a directory");
	return r;
}

/*
 * A new name is a change of the file; the archive's time of that is the file's.  Not as Windows'
 * API links, which refuses symlinks that lead to a directory.
 */
static int add_link(struct tar_import *ti, uint32_t id, const struct tar_place *p)
{
	struct cim_attr attr;
	int r = tar_tree_touch(&ti->tree, p->dir_id);

	if (r == 0)
		r = cim_writer_attr(ti->im->writer, id, &attr);
	if (r == 0)
		r = cim_writer_link(ti->im->writer, id, p->dir_id, p->name, p->n);
	return r < 0 ? r : cim_writer_set(ti->im->writer, id, CIM_SET_CHANGED, &attr);
}

static int import_link(struct tar_import *ti, const struct tar_entry *e, const struct tar_place *p)
{
	uint32_t id, there;
	int r = find_target(ti, e->link, &id);

	if (r < 0)
		return r;
	r = tar_tree_look_up(&ti->tree, p, &there);
	bool is_done = r == 0 && there == id;
	if (r == 0 && !is_done)
		r = tar_tree_remove(&ti->tree, p);
	if (r < 0 && r != -ENOENT)
		return r;
	r = is_done ? 0 : add_link(ti, id, p);
	if (r == 0)
		tar_tree_claim(&ti->tree, p, id);
	return r;
}

/* ---- entries ---- */

static void note_delta(struct tar_import *ti)
{
	size_t n = strlen(DELTA);

	if (ti->path->len > n && g_ascii_strncasecmp(ti->path->str, HIVES, strlen(HIVES)) == 0 &&
	    g_ascii_strcasecmp(ti->path->str + ti->path->len - n, DELTA) == 0)
		ti->has_deltas = true;
}

/* Before anything is taken away for it. */
static int check_xattrs(const struct tar_entry *e)
{
	struct held_acl held = { 0 };
	int r = tar_apply_xattrs(NULL, 0, e->type == TAR_DIRECTORY ? &held : NULL, e);

	g_free(held.blob);
	return r;
}

/* @p: NULL for the root */
static int import_at(struct tar_import *ti, const struct tar_entry *e, const struct tar_place *p,
		     struct layer_file *f)
{
	bool is_dir = e->type == TAR_DIRECTORY;

	g_string_truncate(ti->owner, 0);
	if (e->type == TAR_LINK)
		return import_link(ti, e, p);
	int r = f->has_eas ? 0 : check_xattrs(e);
	if (r < 0)
		return r;
	if (!f->is_windows)
		return is_dir ? import_dir(ti, e, p) : import_file(ti, e, p);
	note_delta(ti);
	return is_dir ? import_windows_dir(ti, e, p, f) : import_windows_file(ti, e, p, f);
}

/* The path is clean. */
static int import_file_or_stream(struct tar_import *ti, const struct tar_entry *e,
				 struct layer_file *f)
{
	g_autofree char *stream = layer_stream_of(ti->path->str, ti->owner->str);
	bool is_root = ti->path->len == 0;
	struct tar_place place;
	int r = layer_parse(e, ti->options->windows, f);

	if (r < 0)
		return r;
	progress_found(&ti->im->progress, e->size);
	/* A file with a colon in its name has records of its own. */
	if (stream && e->type == TAR_FILE && !layer_has_records(e)) {
		r = import_stream(ti, e, stream);
	} else {
		if (!is_root)
			r = tar_tree_find(&ti->tree, ti->path, e, &place);
		if (r == 0)
			r = import_at(ti, e, is_root ? NULL : &place, f);
	}
	if (r == 0)
		progress_done(&ti->im->progress, e->size);
	return r;
}

static int import_entry(struct tar_import *ti, const struct tar_entry *e)
{
	struct layer_file f = { 0 };

	if (e->refused)
		return cim_fail(EINVAL, "%s", e->refused);
	int r = tar_path_clean(e->name, ti->path);
	if (r < 0)
		return r;
	if (!ti->tree.has_root_time) {
		ti->tree.root_time = e->mtime;
		ti->tree.has_root_time = true;
	}
	if (ti->path->len == 0 && e->type != TAR_DIRECTORY)
		return cim_fail(EINVAL, "the root can only be a directory");
	if (ti->options->whiteouts && tar_path_is_whiteout(ti->path->str))
		return tar_tree_whiteout(&ti->tree, ti->path);
	r = import_file_or_stream(ti, e, &f);
	layer_file_clear(&f);
	return r;
}

/* An error that the archive's reader met, and not one of the entry alone. */
static bool is_of_archive(int err)
{
	return err == -EBADMSG || err == -EINTR || err == -EIO;
}

static int import_entries(struct tar_import *ti)
{
	const struct tar_entry *e;
	int r;

	while (!import_is_over(ti->im)) {
		cim_reason_clear();
		r = tar_reader_next(ti->reader, &e);
		if (r <= 0)
			return r;
		cim_reason_clear();
		r = import_entry(ti, e);
		if (r < 0 && is_of_archive(r))
			return r;
		if (r < 0)
			report(ti, e->name, r);
		progress_tick(&ti->im->progress);
	}
	return 0;
}

/* ---- the whole ---- */

static int run(struct tar_import *ti)
{
	struct input *in;

	cim_reason_clear();
	int r = input_open(ti->options->file, reader_waits, ti, &in);
	if (r < 0)
		return r;
	ti->reader = tar_reader_new(in);
	r = import_entries(ti);
	if (r == 0 && !import_is_over(ti->im)) {
		ti->im->progress.total_known = true;
		cim_reason_clear();
		r = tar_tree_finish(&ti->tree);
	}
	tar_reader_free(ti->reader);
	input_close(in);
	return r;
}

int tar_import(struct import *im, const struct tar_options *options)
{
	bool is_stdin = strcmp(options->file, "-") == 0;
	struct tar_import ti = {
		.im = im,
		.options = options,
		.path = g_string_new(NULL),
		.owner = g_string_new(NULL),
		.chunk = g_malloc(CHUNK),
	};

	tar_tree_init(&ti.tree, im);
	int r = run(&ti);
	if (r < 0 && !signal_caught)
		progress_error(&im->progress, is_stdin ? "standard input" : options->file, NULL, r);
	else if (ti.has_deltas && !options->quiet)
		progress_error(
			&im->progress, "Hives",
			"what this layer changes in the registry is kept as it is: merging it "
			"into the hives takes Windows",
			0);
	tar_tree_clear(&ti.tree);
	g_string_free(ti.path, TRUE);
	g_string_free(ti.owner, TRUE);
	g_free(ti.chunk);
	return r;
}
