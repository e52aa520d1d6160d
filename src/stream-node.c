/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Alternate data streams of the writer's files as files of their own.
 *
 * A stream that somebody looks up gets a node, which has no name and is in no directory, but an ID,
 * and data that is changed as any file's is.  From then on the data is the node's, and the file's
 * table of streams has a copy of where it is stored, for the commit.  A node outlives its stream
 * while it is open.
 */
#include "config.h"

#include "error.h"
#include "node.h"

struct cim_node *cim_stream_owner(const struct cim_writer *w, const struct cim_node *node)
{
	return node->stream_of ? cim_node_find(w, node->stream_of) : NULL;
}

/* A file that has streams, and the place of one of them; -ENOENT, … */
static int find_stream(struct cim_writer *w, uint32_t id, const char *name,
		       struct cim_node **ret_file, guint *ret)
{
	int r = cim_writer_usable(w);

	if (r == 0)
		r = cim_node_get(w, id, ret_file);
	if (r == 0 && !cim_stream_carrier((*ret_file)->mode))
		r = -ENOENT;
	if (r == 0)
		r = cim_streams_find_name(w, *ret_file, name, ret);
	return r;
}

static int make_node(struct cim_writer *w, const struct cim_node *file, struct cim_ads *ads)
{
	struct cim_node *node = cim_node_new(w);

	if (!node)
		return cim_fail(ENOSPC, "the image has as many files as the format can count");
	w->n_changed--; /* it is the file that changes */
	node->is_stream = true;
	node->stream_of = node->parent_id = file->id;
	node->mode = S_IFREG;
	node->n_links = 1;
	node->counted = true;
	node->data = ads->data;
	ads->node_id = node->id;
	return 0;
}

int cim_writer_lookup_stream(struct cim_writer *w, uint32_t id, const char *name, uint32_t *ret_id)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_node *file;
	guint i;
	int r = find_stream(w, id, name, &file, &i);

	if (r < 0)
		return r;
	struct cim_ads *ads = cim_streams_at(file, i);
	if (!ads->node_id)
		r = make_node(w, file, ads);
	if (r == 0)
		*ret_id = ads->node_id;
	return r;
}

int cim_writer_make_stream(struct cim_writer *w, uint32_t id, const char *name, uint32_t *ret_id)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_node *file;
	guint i;
	int r = find_stream(w, id, name, &file, &i);

	if (r == 0)
		return -EEXIST;
	if (r == -ENOENT && cim_stream_carrier(file->mode))
		r = file->n_links > 0 ? cim_streams_add_name(w, file, name, &i) : -ENOENT;
	if (r == 0)
		r = make_node(w, file, cim_streams_at(file, i));
	if (r < 0)
		return r;
	cim_node_touch(w, file, true);
	*ret_id = cim_streams_at(file, i)->node_id;
	return 0;
}

void cim_stream_detach(struct cim_writer *w, const struct cim_node *file, struct cim_ads *ads)
{
	struct cim_node *node = ads->node_id ? cim_node_find(w, ads->node_id) : NULL;
	struct cim_attr attr;

	ads->node_id = 0;
	if (!node) {
		cim_data_drop(w, &ads->data);
		return;
	}
	/* While it is open it looks as it did. */
	cim_node_attr_stored(file, &attr);
	node->mode = S_IFREG | (attr.posix.mode & 0777);
	node->uid = attr.posix.uid;
	node->gid = attr.posix.gid;
	node->posix_stored = (uint8_t)attr.posix.stored;
	node->created = attr.created;
	node->written = attr.written;
	node->changed = attr.changed;
	node->accessed = attr.accessed;
	node->stream_of = 0;
	node->n_links = 0;
	cim_node_put(w, node);
}

void cim_stream_stored(struct cim_writer *w, const struct cim_node *node)
{
	struct cim_node *file = cim_stream_owner(w, node);

	for (guint i = 0; file && file->streams && i < file->streams->len; i++) {
		struct cim_ads *ads = cim_streams_at(file, i);

		if (ads->node_id == node->id)
			ads->data = node->data;
	}
}
