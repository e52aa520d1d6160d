/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Windows' metadata of the writer's files: given as a whole, kept, and given back.
 *
 * What a file is on Linux follows from it as it will when the image is read: the type from the
 * reparse buffer, the directory attribute and $LXMOD, owner and mode from their EAs.
 */
#include "config.h"

#include <stdlib.h>

#include "error.h"
#include "node.h"
#include "symlink.h"

/* The descriptor of files that have none of their own: self-relative, DACL present, all offsets 0:
 * a NULL DACL, which allows everything.  An absent one is trouble on Windows (metadata.md §4.2). */
static const uint8_t null_dacl[] = {
	1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
};

/* ---- what a node has ---- */

int cim_node_security(const struct cim_writer *w, const struct cim_node *node, uint8_t *ret)
{
	const uint8_t *sd;
	size_t size;

	switch ((enum cim_origin)node->sd_from) {
	case CIM_FROM_CALLER:
		return cim_blobs_get(&w->blobs, node->sd_off, ret);
	case CIM_FROM_BASE:
		if (!node->sd_off || cim_image_counted(w->base, node->sd_off, &sd, &size) < 0)
			return 0;
		break;
	case CIM_FROM_COMMIT:
	default:
		sd = null_dacl;
		size = sizeof(null_dacl);
	}
	cim_store16(ret, (uint16_t)size);
	memcpy(ret + 2, sd, size);
	return (int)(2 + size);
}

static int parent_of(struct cim_writer *w, uint32_t id, uint32_t *ret)
{
	const struct cim_node *node = cim_node_find(w, id);
	struct cim_entry e;
	int r = node ? 0 : cim_image_entry(w->base, id, &e);

	if (r == 0)
		*ret = node ? node->parent_id : cim_base_id(w, e.parent_id);
	return r;
}

/*
 * What a relative target leads to from a directory, if Windows can go there too: every component is
 * there, and none on the way is itself a symlink (WSL's rule, metadata.md §2.8).  0 and the type,
 * or an error.
 */
static int resolve_target(struct cim_writer *w, uint32_t dir_id, const char *target,
			  uint32_t *ret_type)
{
	uint32_t id = dir_id;
	int r = 0;

	*ret_type = S_IFDIR;
	for (size_t n; r == 0 && *target; target += n + (target[n] == '/')) {
		struct cim_found found;

		n = strcspn(target, "/");
		if (n == 2 && memcmp(target, "..", 2) == 0) {
			r = id == w->root_id ? -ENOENT : parent_of(w, id, &id);
		} else if (n > 1 || (n == 1 && *target != '.')) {
			r = *ret_type == S_IFDIR ? cim_dir_resolve(w, id, target, n, &found)
						 : -ENOTDIR;
			if (r == 0 && !found.id)
				r = -ENOENT;
			id = found.id;
		}
		if (r == 0)
			r = cim_node_type(w, id, ret_type);
	}
	return r == 0 && *ret_type == S_IFLNK ? -ELOOP : r;
}

/*
 * The buffer of a symlink made here; a native one where that is exact and leads somewhere.  One
 * that leads to a directory is a directory to Windows, and so can have but one name.
 */
static int make_symlink(struct cim_writer *w, const struct cim_node *node, uint8_t *ret,
			bool *ret_to_dir)
{
	uint32_t type;

	if (resolve_target(w, node->parent_id, node->link.target, &type) == 0 &&
	    (type != S_IFDIR || node->n_links <= 1)) {
		int n = cim_reparse_symlink(node->link.target, ret);

		if (n > 0) {
			/* Windows goes through a link to a directory only if the link is one. */
			*ret_to_dir = type == S_IFDIR;
			return n;
		}
	}
	return cim_reparse_lx_symlink(node->link.target, ret);
}

int cim_node_reparse(struct cim_writer *w, const struct cim_node *node, uint8_t *ret,
		     bool *ret_to_dir)
{
	const uint8_t *buf;
	size_t size;
	int n;

	*ret_to_dir = node->data.type == CIM_STREAM_LINKS && node->reparse_from != CIM_FROM_COMMIT;
	switch ((enum cim_origin)node->reparse_from) {
	case CIM_FROM_CALLER:
		return cim_blobs_get(&w->blobs, node->reparse_off, ret);
	case CIM_FROM_BASE:
		if (!node->reparse_off ||
		    cim_image_counted(w->base, node->reparse_off, &buf, &size) < 0 ||
		    size > CIM_REPARSE_MAX)
			return 0;
		memcpy(ret + 2, buf, size);
		n = (int)size;
		break;
	case CIM_FROM_COMMIT:
	default:
		n = S_ISLNK(node->mode) ? make_symlink(w, node, ret + 2, ret_to_dir)
					: cim_reparse_special(node->mode & S_IFMT, ret + 2);
	}
	if (n <= 0)
		return n;
	cim_store16(ret, (uint16_t)n);
	return 2 + n;
}

int cim_node_allow_links(struct cim_writer *w, struct cim_node *node)
{
	char target[CIM_SYMLINK_MAX + 1];
	uint8_t buf[2 + CIM_BLOB_MAX];
	struct cim_reparse rp;
	bool to_dir;

	if (!S_ISLNK(node->mode) || node->data.type != CIM_STREAM_LINKS ||
	    node->reparse_from == CIM_FROM_COMMIT)
		return 0;
	int n = cim_node_reparse(w, node, buf, &to_dir);
	if (n < 0)
		return n;
	if (n == 0 || cim_reparse_parse(buf + 2, (size_t)n - 2, 0, &rp, target) < 0 ||
	    rp.type != S_IFLNK || rp.absolute || rp.target_is_data)
		return cim_fail(EPERM, "a link of Windows to a directory can have only one name");
	node->link.target = g_strdup(target);
	node->link.size = (uint32_t)strlen(target);
	node->reparse_from = CIM_FROM_COMMIT;
	node->reparse_off = 0;
	node->data.type = CIM_STREAM_DATA;
	return 0;
}

int cim_node_eas(const struct cim_node *node, bool count, struct cim_ea_list *ret)
{
	struct cim_attr attr;

	cim_node_attr_stored(node, &attr);
	attr.posix.stored = node->posix_front;
	attr.posix.counted = !count || node->counted;
	if (!count)
		attr.posix.n_links = 1;
	return cim_posix_encode(&attr.posix, node->eas, node->eas_size, ret);
}

int cim_node_readlink(struct cim_writer *w, const struct cim_node *node, char *ret)
{
	uint8_t buf[2 + CIM_BLOB_MAX];
	struct cim_reparse rp;
	bool to_dir;
	int n = cim_node_reparse(w, node, buf, &to_dir);

	if (n < 0)
		return n;
	if (n > 0 &&
	    (cim_reparse_parse(buf + 2, (size_t)n - 2, 0, &rp, ret) < 0 || rp.type != S_IFLNK))
		return -EINVAL;
	if (n > 0 && !rp.target_is_data)
		return cim_symlink_show(&w->view, &rp, buf + 2, (size_t)n - 2,
					cim_writer_depth(w, node->id), ret);
	/* Without a buffer it is one by LXATTRB: its data is the target, too. */
	ssize_t size = cim_data_read(w, &node->data, 0, ret, CIM_SYMLINK_MAX);
	if (size < 0)
		return (int)size;
	ret[size] = '\0';
	return size > 0 && strlen(ret) == (size_t)size ? (int)size : -EINVAL;
}

/* ---- giving it back ---- */

int cim_node_get_windows(struct cim_writer *w, const struct cim_node *node,
			 int (*fn)(void *arg, const struct cim_winmeta *m), void *arg)
{
	g_autofree uint8_t *sd = g_malloc(2 + CIM_BLOB_MAX);
	g_autofree uint8_t *reparse = g_malloc(2 + CIM_BLOB_MAX);
	struct cim_ea_list eas = { 0 };
	bool is_dir;
	int sd_size = cim_node_security(w, node, sd);
	int reparse_size = sd_size < 0 ? sd_size : cim_node_reparse(w, node, reparse, &is_dir);
	int r = reparse_size < 0 ? reparse_size : cim_node_eas(node, false, &eas);

	if (r == 0) {
		const struct cim_entry e = {
			.flags = node->flags,
			.reparse_tag = reparse_size > 0 ? cim_load32(reparse + 2) : 0,
			.data.type =
				S_ISDIR(node->mode) || is_dir ? CIM_STREAM_LINKS : CIM_STREAM_DATA,
		};
		const struct cim_winmeta m = {
			.attributes = cim_attributes_of_entry(&e),
			.created = node->created,
			.written = node->written,
			.changed = node->changed,
			.accessed = node->accessed,
			.sd = sd_size ? sd + 2 : NULL,
			.sd_size = sd_size ? (size_t)sd_size - 2 : 0,
			.reparse = reparse_size ? reparse + 2 : NULL,
			.reparse_size = reparse_size ? (size_t)reparse_size - 2 : 0,
			.eas = eas.data,
			.eas_size = eas.size,
		};
		r = fn(arg, &m);
	}
	cim_ea_list_clear(&eas);
	return r;
}

int cim_writer_get_windows(struct cim_writer *w, uint32_t id,
			   int (*fn)(void *arg, const struct cim_winmeta *m), void *arg)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	const struct cim_node *node = cim_node_find(w, id);
	struct cim_winmeta m;
	struct cim_entry e;
	int r = cim_writer_usable(w);

	if (r == 0 && node && node->is_stream)
		r = -ENODATA; /* it is its file that Windows keeps something of */
	if (r < 0)
		return r;
	if (node)
		return cim_node_get_windows(w, node, fn, arg);
	r = id && id <= w->base_last_id ? cim_image_entry(w->base, id, &e) : -ESTALE;
	if (r == 0)
		r = cim_file_windows(w->base, &e, &m);
	return r < 0 ? r : fn(arg, &m);
}

/* ---- taking it ---- */

/* What a node will be; nothing of it is changed before all of this is known to be possible. */
struct becoming {
	const uint8_t *reparse; /* size 0: none */
	size_t reparse_size;
	bool is_dir; /* its main stream is a link table */
	const uint8_t *eas;
	size_t eas_size;
	struct cim_posix posix;
	uint32_t link_size; /* bytes of a symlink's target */
};

static void decode(const struct cim_node *node, uint32_t flags, struct becoming *b)
{
	char target[CIM_SYMLINK_MAX + 1];
	struct cim_reparse rp;
	bool has_rp = b->reparse_size > 0 &&
		      cim_reparse_parse(b->reparse, b->reparse_size, 0, &rp, target) == 0;
	uint64_t size = S_ISREG(node->mode) && node->content ? cim_content_size(node->content)
							     : node->data.size;
	const struct cim_entry e = {
		.flags = flags,
		.reparse_tag = b->reparse_size ? cim_load32(b->reparse) : 0,
		.data = { .size = b->is_dir ? 0 : size,
			  .type = b->is_dir ? CIM_STREAM_LINKS : CIM_STREAM_DATA },
	};

	cim_posix_decode(&e, b->eas, b->eas_size, has_rp ? &rp : NULL, &b->posix);
	b->link_size = 0;
	if (S_ISLNK(b->posix.mode))
		b->link_size = !has_rp || rp.target_is_data
				       ? (uint32_t)MIN(node->data.size, CIM_SYMLINK_MAX)
				       : (uint32_t)strlen(target);
}

/* A file that becomes another type keeps its permissions, where they are not given with it. */
static void keep_permissions(const struct cim_node *node, struct becoming *b)
{
	if (!(node->posix_front & CIM_POSIX_MODE) || (b->posix.stored & CIM_POSIX_MODE))
		return;
	b->posix.mode |= S_ISLNK(b->posix.mode) ? 0777 : node->mode & 07777;
	b->posix.stored |= CIM_POSIX_MODE;
}

/* Whether a node may become another type: not where data or names would be lost. */
static int check_change(struct cim_writer *w, struct cim_node *node, const struct becoming *b)
{
	uint32_t type = b->posix.mode & S_IFMT, old = node->mode & S_IFMT;
	bool was_dir = S_ISDIR(node->mode) || node->data.type == CIM_STREAM_LINKS;
	struct cim_node *dir;

	if (type == old && was_dir == b->is_dir)
		return 0;
	if (node->id == w->root_id)
		return cim_fail(EINVAL, "the root of an image stays a directory");
	if (type != old && old == S_IFDIR) {
		int r = cim_node_dir(w, node->id, &dir);

		if (r < 0)
			return r;
		if (dir->dir->n_names > 0)
			return cim_fail(EINVAL,
					"a directory with %u names cannot become another "
					"type of file",
					dir->dir->n_names);
	} else if (old == S_IFREG && (node->content || node->n_opens > 0 || node->data.size > 0)) {
		return cim_fail(
			EINVAL,
			"a file that has data or is open cannot become another type of file");
	} else if (old != S_IFDIR && was_dir != b->is_dir && node->data.size > 0) {
		return cim_fail(EINVAL, "a file that has data cannot become a directory");
	}
	return 0;
}

static void leave_type(struct cim_node *node)
{
	switch (node->mode & S_IFMT) {
	case S_IFDIR:
		cim_dir_free(node->dir);
		node->data = (struct cim_data){ 0 };
		break;
	case S_IFREG:
		cim_content_unref(node->content);
		break;
	case S_IFLNK:
		g_free(node->link.target);
	}
	memset(&node->link, 0, sizeof(node->link));
	node->dir = NULL;
}

static void become(struct cim_node *node, const struct becoming *b)
{
	uint32_t type = b->posix.mode & S_IFMT;

	if (type != (node->mode & S_IFMT)) {
		leave_type(node);
		if (type == S_IFDIR)
			node->dir = g_new0(struct cim_dir, 1);
	} else if (type == S_IFLNK && node->reparse_from != CIM_FROM_COMMIT) {
		g_free(g_steal_pointer(&node->link.target));
	}
	if (type == S_IFLNK) {
		node->link.size = b->link_size;
	} else if (type == S_IFCHR || type == S_IFBLK) {
		node->dev.major = b->posix.major;
		node->dev.minor = b->posix.minor;
	}
	if (node->data.size == 0)
		node->data.type = b->is_dir ? CIM_STREAM_LINKS : CIM_STREAM_DATA;
	node->mode = b->posix.mode;
	node->uid = b->posix.uid;
	node->gid = b->posix.gid;
	node->posix_stored = (uint8_t)b->posix.stored;
}

static int check_ea_size(const struct cim_node *node, size_t size)
{
	size_t count = node->n_links > 1 || !node->counted ? 24 : 0;

	if (size + 3 <= CIM_EA_LIST_MAX - count)
		return 0;
	return cim_fail(E2BIG, "%zu bytes of EAs, and the file has %u names: %d may be stored",
			size, node->n_links, CIM_EA_LIST_MAX);
}

/* The parts of @m that @mask names, into a node; all or nothing. */
int cim_node_set_windows(struct cim_writer *w, struct cim_node *node, unsigned int mask,
			 const struct cim_winmeta *m)
{
	g_autofree uint8_t *old_reparse = NULL;
	struct cim_ea_list old_eas = { 0 };
	uint64_t sd_off = node->sd_off, reparse_off = node->reparse_off;
	uint32_t flags =
		mask & CIM_WIN_ATTRIBUTES ? cim_attributes_to_flags(m->attributes) : node->flags;
	struct becoming b = { .reparse = m->reparse,
			      .reparse_size = m->reparse_size,
			      .eas = m->eas,
			      .eas_size = m->eas_size };
	bool is_dir = node->data.type == CIM_STREAM_LINKS;
	int r = cim_winmeta_check(mask, m);

	if (r == 0 && (mask & CIM_WIN_EAS))
		r = check_ea_size(node, m->eas_size);
	if (r == 0 && !(mask & CIM_WIN_REPARSE)) {
		old_reparse = g_malloc(2 + CIM_BLOB_MAX);
		r = cim_node_reparse(w, node, old_reparse, &is_dir);
		b.reparse = old_reparse + 2;
		b.reparse_size = r > 2 ? (size_t)r - 2 : 0;
	}
	if (r >= 0 && !(mask & CIM_WIN_EAS)) {
		r = cim_node_eas(node, false, &old_eas);
		b.eas = old_eas.data;
		b.eas_size = old_eas.size;
	}
	/* What is made as a directory link is one; nothing else changes by its attributes. */
	b.is_dir = (mask & CIM_WIN_ATTRIBUTES) && (mask & CIM_WIN_REPARSE)
			   ? m->attributes & CIM_ATTRIBUTE_DIRECTORY
			   : S_ISDIR(node->mode) || is_dir;
	if (r >= 0) {
		decode(node, flags, &b);
		if (!(mask & CIM_WIN_EAS))
			keep_permissions(node, &b);
		r = check_change(w, node, &b);
	}
	if (r == 0 && (mask & CIM_WIN_SECURITY) && m->sd_size)
		r = cim_blobs_put(&w->blobs, m->sd, m->sd_size, &sd_off);
	if (r == 0 && (mask & CIM_WIN_REPARSE) && m->reparse_size)
		r = cim_blobs_put(&w->blobs, m->reparse, m->reparse_size, &reparse_off);
	if (r == 0 && (mask & CIM_WIN_EAS))
		r = cim_node_set_eas(node, m->eas, m->eas_size, &b.posix);
	cim_ea_list_clear(&old_eas);
	if (r < 0)
		return r;
	if (mask & CIM_WIN_SECURITY) {
		node->sd_from = m->sd_size ? CIM_FROM_CALLER : CIM_FROM_COMMIT;
		node->sd_off = sd_off;
	}
	if (mask & CIM_WIN_REPARSE) { /* none is what a file of the base without one has */
		node->reparse_from = m->reparse_size ? CIM_FROM_CALLER : CIM_FROM_BASE;
		node->reparse_off = m->reparse_size ? reparse_off : 0;
		node->reparse_tag = m->reparse_size ? cim_load32(m->reparse) : 0;
	}
	become(node, &b);
	node->flags = flags;
	if (mask & CIM_WIN_CREATED)
		node->created = m->created;
	if (mask & CIM_WIN_WRITTEN)
		node->written = m->written;
	if (mask & CIM_WIN_CHANGED)
		node->changed = m->changed;
	if (mask & CIM_WIN_ACCESSED)
		node->accessed = m->accessed;
	cim_node_mark(w, node);
	return 0;
}

int cim_writer_set_windows(struct cim_writer *w, uint32_t id, unsigned int mask,
			   const struct cim_winmeta *m)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_node *node;
	int r = cim_writer_usable(w);

	if (r == 0)
		r = cim_node_get(w, id, &node);
	if (r == 0)
		r = cim_node_set_windows(w, node, mask, m);
	if (r == 0 && !(mask & CIM_WIN_CHANGED))
		cim_node_touch(w, node, false);
	return r;
}
