/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A walk that asks for everything there is to know about the files of an image, which may be as
 * damaged as can be.  Needs no directory and no test library.
 */
#ifndef CIM_TESTS_WALK_H
#define CIM_TESTS_WALK_H

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "reader.h"
#include "support.h"

#define WALK_XATTRS 64 /* looked at, of a file */

/* What may still be done, for a damaged image can be a loop; and what came of it. */
struct walk {
	unsigned int files, depth;
	unsigned int n_files, n_errors;
	int error;       /* the first */
	char reason[96]; /* its beginning */
	uint32_t sum;    /* of the data read, so that it is read */
};

TEST_HELPER int walk_note(struct walk *w, int64_t r)
{
	if (r < 0 && w->n_errors++ == 0) {
		w->error = (int)r;
		snprintf(w->reason, sizeof(w->reason), "%s", cim_reason());
	}
	return (int)MIN(r, 0);
}

TEST_HELPER void walk_data(struct walk *w, const struct cim_image *img, const struct cim_stream *s)
{
	uint8_t buf[16384];
	const uint64_t at[] = { 0, s->size / 2, s->size > 0 ? s->size - 1 : 0 };
	const size_t size[] = { sizeof(buf), 4096, 4096 };

	for (size_t i = 0; i < 3; i++) {
		ssize_t n = cim_stream_read(img, s, at[i], buf, size[i]);

		if (walk_note(w, n) < 0)
			return;
		for (ssize_t k = 0; k < n; k += 512)
			w->sum = w->sum * 31 + buf[k];
	}
	for (size_t i = 0; i < 3; i++) {
		int64_t data = cim_stream_seek(img, s, at[i], SEEK_DATA);
		int64_t hole = cim_stream_seek(img, s, at[i], SEEK_HOLE);

		if ((data < 0 && data != -ENXIO) || (hole < 0 && hole != -ENXIO) ||
		    data > (int64_t)s->size || hole > (int64_t)s->size)
			walk_note(w, -ERANGE);
	}
}

/* Each byte, so that a sanitizer sees one that is not there. */
TEST_HELPER void walk_bytes(struct walk *w, const void *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		w->sum = w->sum * 31 + ((const uint8_t *)p)[i];
}

TEST_HELPER void walk_windows(struct walk *w, const struct cim_image *img,
			      const struct cim_entry *e)
{
	struct cim_winmeta m;

	if (walk_note(w, cim_file_windows(img, e, &m)) < 0)
		return;
	walk_bytes(w, m.sd, m.sd_size);
	walk_bytes(w, m.reparse, m.reparse_size);
	walk_bytes(w, m.eas, m.eas_size);
	(void)cim_winmeta_check(CIM_WIN_ALL, &m);
	w->sum += cim_attributes_of_entry(e);
}

struct walk_names {
	GPtrArray *names;
};

TEST_HELPER int walk_keep_name(void *arg, const char *name)
{
	struct walk_names *n = arg;

	g_ptr_array_add(n->names, g_strdup(name));
	return n->names->len >= WALK_XATTRS;
}

/* What is listed can be read, in as many bytes as it says. */
TEST_HELPER void walk_xattrs(struct walk *w, const struct cim_image *img, const struct cim_entry *e)
{
	struct walk_names n = { g_ptr_array_new_with_free_func(g_free) };
	g_autofree uint8_t *buf = g_malloc(65536);

	(void)cim_file_list_xattrs(img, e, walk_keep_name, &n);
	for (guint i = 0; i < n.names->len; i++) {
		const char *name = g_ptr_array_index(n.names, i);
		ssize_t size = cim_file_get_xattr(img, e, name, NULL, 0);

		if (strlen(name) > CIM_XATTR_NAME_MAX || size > 65536)
			size = -ERANGE;
		if (walk_note(w, size) == 0 && size > 0)
			(void)walk_note(w, cim_file_get_xattr(img, e, name, buf, (size_t)size));
	}
	g_ptr_array_free(n.names, TRUE);
}

TEST_HELPER void walk_streams(struct walk *w, const struct cim_image *img,
			      const struct cim_entry *e)
{
	uint16_t units[CIM_NAME_UNITS];
	struct cim_stream s;
	struct cim_links l;

	if (walk_note(w, cim_file_streams(img, e, &l)) < 0)
		return;
	for (uint32_t i = 0; i < l.n && i < WALK_XATTRS; i++)
		if (walk_note(w, cim_links_name(&l, i, units)) == 0 &&
		    walk_note(w, cim_links_stream(&l, i, &s)) == 0)
			walk_data(w, img, &s);
}

TEST_HELPER void walk_file(struct walk *w, const struct cim_image *img, uint32_t id)
{
	char target[CIM_SYMLINK_MAX + 1], name[CIM_NAME_BYTES + 1];
	uint16_t units[CIM_NAME_UNITS];
	struct cim_attr attr;
	struct cim_entry e;
	struct cim_links l;

	if (w->files == 0 || walk_note(w, cim_file_attr(img, id, &attr)) < 0 ||
	    walk_note(w, cim_image_entry(img, id, &e)) < 0)
		return;
	w->files--;
	w->n_files++;
	int r = cim_file_readlink(img, id, target);
	if (S_ISLNK(attr.posix.mode) || r != -EINVAL)
		(void)walk_note(w, r);
	walk_windows(w, img, &e);
	walk_xattrs(w, img, &e);
	walk_streams(w, img, &e);
	if (e.data.type != CIM_STREAM_LINKS) {
		walk_data(w, img, &e.data);
		return;
	}
	if (walk_note(w, cim_dir_links(img, &e, &l)) < 0 || w->depth == 0)
		return;
	w->depth--;
	for (uint32_t i = 0; i < l.n && w->files > 0; i++) {
		int n = cim_links_name(&l, i, units);
		uint32_t found;

		if (n > 0)
			n = cim_name_shown(units, (size_t)n, name);
		if (walk_note(w, n) < 0)
			continue;
		(void)walk_note(w, cim_dir_lookup(img, id, name, (size_t)n, &found));
		walk_file(w, img, cim_links_id(&l, i));
	}
	w->depth++;
}

#endif
