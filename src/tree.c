/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The writer's tree: names, and what stat(2) shows.  Data is data.c's, xattrs are xattr.c's.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "acl.h"
#include "error.h"
#include "node.h"
#include "symlink.h"
#include "util.h"

#define MAX_DEPTH \
	(1u << 20) /* directories up from one to the root, before a damaged base is assumed */

uint32_t cim_writer_root(const struct cim_writer *w)
{
	return w->root_id;
}

/* ---- looking ---- */

int cim_writer_depth(const struct cim_writer *w, uint32_t id)
{
	struct cim_entry e;

	for (int depth = -1; depth <= CIM_DEPTH_MAX; depth++) {
		const struct cim_node *node = cim_node_find(w, id);

		if (id == w->root_id)
			return depth;
		if (!node &&
		    (id == 0 || id > w->base_last_id || cim_image_entry(w->base, id, &e) < 0))
			break;
		id = node ? node->parent_id : e.parent_id;
	}
	return CIM_DEPTH_UNKNOWN;
}

static int readlink_locked(struct cim_writer *w, uint32_t id, char *ret)
{
	const struct cim_node *node = cim_node_find(w, id);
	struct cim_entry e;

	if (node && !S_ISLNK(node->mode))
		return -EINVAL;
	if (node && node->reparse_from != CIM_FROM_BASE && !node->link.target)
		return cim_node_readlink(w, node, ret);
	if (node && node->reparse_from != CIM_FROM_BASE)
		return snprintf(ret, CIM_SYMLINK_MAX + 1, "%s", node->link.target);
	int r = id && id <= w->base_last_id ? cim_image_entry(w->base, id, &e) : -ESTALE;
	return r < 0 ? r : cim_file_readlink_at(w->base, &e, cim_writer_depth(w, id), ret);
}

static int attr_locked(struct cim_writer *w, uint32_t id, struct cim_attr *ret)
{
	const struct cim_node *node = cim_node_find(w, id);
	char target[CIM_SYMLINK_MAX + 1];
	int r = 0;

	if (node)
		cim_node_attr(w, node, ret);
	else if (id == 0 || id > w->base_last_id)
		return -ESTALE;
	else
		r = cim_file_attr(w->base, id, ret);
	/* What Windows' links are shown as depends on where they are now. */
	if (r == 0 && S_ISLNK(ret->posix.mode) && !(node && node->link.target)) {
		int n = readlink_locked(w, id, target);

		if (n > 0)
			ret->size = (uint64_t)n;
	}
	return r;
}

int cim_writer_attr(struct cim_writer *w, uint32_t id, struct cim_attr *ret)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	int r = cim_writer_usable(w);

	return r < 0 ? r : attr_locked(w, id, ret);
}

int cim_writer_lookup(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n,
		      uint32_t *ret_id)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_found found;
	int r = cim_writer_usable(w);

	if (r == 0)
		r = cim_dir_resolve(w, dir_id, name, n, &found);
	if (r < 0)
		return r;
	if (!found.id)
		return -ENOENT;
	*ret_id = found.id;
	return 0;
}

int cim_writer_spelling(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n,
			char *ret)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	const struct cim_node *node = cim_node_find(w, dir_id);
	struct cim_found found;
	int r = cim_writer_usable(w);

	if (r == 0)
		r = cim_dir_resolve(w, dir_id, name, n, &found);
	if (r < 0)
		return r;
	if (!found.id)
		return -ENOENT;
	/* A name that this writer gave is spelled as it was given. */
	const struct cim_dentry *d =
		node && node->dir ? cim_dir_find(w, node->dir, found.units, found.n_units) : NULL;
	r = d ? cim_name_shown(d->units, d->n_units, ret)
	      : cim_name_shown(found.units, found.n_units, ret);
	return r < 0 ? r : 0;
}

int cim_writer_readlink(struct cim_writer *w, uint32_t id, char *ret)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	int r = cim_writer_usable(w);

	return r < 0 ? r : readlink_locked(w, id, ret);
}

static int list_base(struct cim_writer *w, const struct cim_links *links, const struct cim_dir *dir,
		     cim_writer_list_fn fn, void *arg)
{
	uint16_t units[CIM_NAME_UNITS];
	char name[CIM_NAME_BYTES + 1];
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < links->n; i++) {
		int n_units = cim_links_name(links, i, units);

		if (n_units < 0 || (dir && cim_dir_find(w, dir, units, (size_t)n_units)))
			continue;
		int n = cim_name_shown(units, (size_t)n_units, name);
		if (n > 0)
			r = fn(arg, name, (size_t)n, cim_base_id(w, cim_links_id(links, i)));
	}
	return r;
}

static int list_changes(const struct cim_dir *dir, cim_writer_list_fn fn, void *arg)
{
	char name[CIM_NAME_BYTES + 1];
	int r = 0;

	for (uint32_t b = 0; r == 0 && b < dir->n_buckets; b++) {
		for (const struct cim_dentry *d = dir->bucket[b]; r == 0 && d; d = d->next) {
			int n = d->id ? cim_name_shown(d->units, d->n_units, name) : 0;

			if (n > 0)
				r = fn(arg, name, (size_t)n, d->id);
		}
	}
	return r;
}

int cim_writer_list(struct cim_writer *w, uint32_t dir_id, cim_writer_list_fn fn, void *arg)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	const struct cim_node *node = cim_node_find(w, dir_id);
	const struct cim_dir *dir = node && S_ISDIR(node->mode) ? node->dir : NULL;
	struct cim_links links = { 0 };
	struct cim_entry e;
	int r = cim_writer_usable(w);

	if (r < 0)
		return r;
	if (node && !S_ISDIR(node->mode))
		return -ENOTDIR;
	if (dir) {
		links = dir->base;
	} else if (dir_id && dir_id <= w->base_last_id) {
		r = cim_image_entry(w->base, dir_id, &e);
		if (r == 0)
			r = cim_dir_links(w->base, &e, &links);
	} else if (!node) {
		r = -ESTALE;
	}
	if (r == 0)
		r = list_base(w, &links, dir, fn, arg);
	return r == 0 && dir ? list_changes(dir, fn, arg) : r;
}

struct search {
	uint32_t id;
	char *ret;
};

static int match_id(void *arg, const char *name, size_t n, uint32_t id)
{
	struct search *s = arg;

	if (id != s->id)
		return 0;
	memcpy(s->ret, name, n);
	s->ret[n] = '\0';
	return 1;
}

int cim_writer_name_of(struct cim_writer *w, uint32_t id, uint32_t *ret_dir_id, char *ret)
{
	struct search s = { id, ret };

	g_mutex_lock(&w->lock);
	const struct cim_node *node = cim_node_find(w, id);
	uint32_t dir_id = node && !node->is_stream ? node->parent_id : 0;
	g_mutex_unlock(&w->lock);
	int r = dir_id ? cim_writer_list(w, dir_id, match_id, &s) : -ENOENT;
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_dir_id = dir_id;
	return 0;
}

/* ---- making ---- */

/* Whether a name may be given to a file. */
static int check_name(const struct cim_writer *w, const char *name, size_t n)
{
	int r = cim_name_valid_linux(name, n);

	return r == 0 && w->view.windows_names ? cim_name_valid_windows(name, n) : r;
}

/* A directory into which a name may come, and the name, which is free. */
static int free_name(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n,
		     struct cim_node **ret_dir, struct cim_found *ret)
{
	int r = cim_writer_usable(w);

	if (r == 0)
		r = cim_node_dir(w, dir_id, ret_dir);
	if (r == 0)
		r = cim_dir_resolve(w, dir_id, name, n, ret);
	if (r < 0)
		return r;
	if (ret->id)
		return -EEXIST;
	if ((*ret_dir)->n_links == 0)
		return -ENOENT;
	return check_name(w, name, n);
}

static void set_name(struct cim_writer *w, struct cim_node *dir, const struct cim_found *f,
		     uint32_t id)
{
	(void)cim_dir_set(w, dir->dir, f->units, f->n_units, id, f->in_base);
	cim_node_touch(w, dir, true);
}

/* Permissions and ACLs of a new file, by the directory's default ACL if it has one (acl(5)). */
static int inherit(struct cim_writer *w, const struct cim_node *dir, const struct cim_make *make,
		   struct cim_node *node)
{
	g_autofree void *acl = NULL;
	size_t size;
	bool minimal;
	int r = cim_node_acl(w, dir, CIM_ACL_DEFAULT, &acl, &size);

	if (r < 0)
		return r;
	if (!acl || S_ISLNK(make->mode)) {
		node->mode = make->mode & ~make->umask;
		return 0;
	}
	if (S_ISDIR(make->mode))
		r = cim_node_set_ea(node, CIM_ACL_DEFAULT, NULL, 0, acl, size);
	node->mode = cim_acl_inherit(acl, size, make->mode, &minimal);
	if (r == 0 && !minimal)
		r = cim_node_set_ea(node, CIM_ACL_ACCESS, NULL, 0, acl, size);
	return r;
}

static int fill_new(struct cim_writer *w, const struct cim_node *dir, const struct cim_make *make,
		    struct cim_node *node)
{
	uint32_t type = make->mode & S_IFMT;
	int r = inherit(w, dir, make, node);

	node->uid = make->uid;
	node->gid = make->gid;
	if (dir->mode & S_ISGID) {
		struct cim_attr shown;

		cim_node_attr(w, dir, &shown);
		node->gid = shown.posix.gid;
		if (type == S_IFDIR)
			node->mode |= S_ISGID;
	}
	node->n_links = 1;
	node->parent_id = dir->id;
	node->created = node->accessed = node->written = node->changed = cim_writer_now(w);
	if (type == S_IFLNK) {
		node->mode = S_IFLNK | 0777;
		node->link.target = g_strdup(make->target);
		node->link.size = (uint32_t)strlen(make->target);
	} else if (type == S_IFCHR || type == S_IFBLK) {
		node->dev.major = make->major;
		node->dev.minor = make->minor;
	} else if (type == S_IFDIR) {
		node->dir = g_new0(struct cim_dir, 1);
	}
	node->flags = cim_posix_flags(node->mode, false, 0);
	return r;
}

static int check_make(const struct cim_make *make)
{
	switch (make->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK:
		return 0;
	case S_IFLNK:
		if (!make->target || !make->target[0])
			return -ENOENT;
		return strlen(make->target) > CIM_SYMLINK_MAX ? -ENAMETOOLONG : 0;
	default:
		return -EINVAL;
	}
}

int cim_writer_make(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n,
		    const struct cim_make *make, uint32_t *ret_id)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_found found;
	struct cim_node *dir;
	int r = check_make(make);

	if (r == 0)
		r = free_name(w, dir_id, name, n, &dir, &found);
	if (r < 0)
		return r;
	struct cim_node *node = cim_node_new(w);
	if (!node)
		return cim_fail(ENOSPC, "the image has as many files as the format can count");
	node->mode = make->mode; /* the type, should it have to be freed */
	r = fill_new(w, dir, make, node);
	if (r < 0) {
		node->n_links = 0;
		cim_node_put(w, node);
		return r;
	}
	set_name(w, dir, &found, node->id);
	*ret_id = node->id;
	return 0;
}

int cim_writer_link(struct cim_writer *w, uint32_t id, uint32_t dir_id, const char *name, size_t n)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_found found;
	struct cim_node *dir, *node;
	int r = free_name(w, dir_id, name, n, &dir, &found);

	if (r == 0)
		r = cim_node_get(w, id, &node);
	if (r < 0)
		return r;
	if (S_ISDIR(node->mode) || node->is_stream)
		return -EPERM;
	if (node->n_links == 0)
		return -ENOENT;
	if (node->n_links >= CIM_LINKS_MAX)
		return -EMLINK;
	r = cim_node_allow_links(w, node);
	if (r == 0)
		r = cim_node_ea_room(node, node->posix_front);
	if (r < 0)
		return r;
	node->n_links++;
	cim_node_touch(w, node, false);
	set_name(w, dir, &found, id);
	return 0;
}

/* ---- removing ---- */

static int found_name(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n,
		      struct cim_node **ret_dir, struct cim_node **ret_node, struct cim_found *ret)
{
	int r = cim_writer_usable(w);

	if (r == 0)
		r = cim_node_dir(w, dir_id, ret_dir);
	if (r == 0)
		r = cim_dir_resolve(w, dir_id, name, n, ret);
	if (r < 0)
		return r;
	return ret->id ? cim_node_get(w, ret->id, ret_node) : -ENOENT;
}

/* One name less. */
static void drop_link(struct cim_writer *w, struct cim_node *node)
{
	if (node->n_links > 0)
		node->n_links--;
	node->lost_name = true;
	cim_node_touch(w, node, false);
	cim_node_put(w, node);
}

static int check_empty(struct cim_writer *w, uint32_t id)
{
	struct cim_node *dir;
	int r = cim_node_dir(w, id, &dir);

	if (r < 0)
		return r;
	return dir->dir->n_names > 0 ? -ENOTEMPTY : 0;
}

int cim_writer_unlink(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_found found;
	struct cim_node *dir, *node;
	int r = found_name(w, dir_id, name, n, &dir, &node, &found);

	if (r < 0)
		return r;
	if (S_ISDIR(node->mode))
		return -EISDIR;
	set_name(w, dir, &found, 0);
	drop_link(w, node);
	return 0;
}

int cim_writer_rmdir(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_found found;
	struct cim_node *dir, *node;
	int r = found_name(w, dir_id, name, n, &dir, &node, &found);

	if (r == 0)
		r = check_empty(w, found.id);
	if (r < 0)
		return r;
	set_name(w, dir, &found, 0);
	node->n_links = 0;
	drop_link(w, node);
	return 0;
}

/* ---- renaming ---- */

/* Whether a directory lies in (or is) another: a directory does not move into itself. */
static int is_below(struct cim_writer *w, uint32_t id, uint32_t above)
{
	struct cim_entry e;

	for (uint32_t depth = 0; depth < MAX_DEPTH; depth++) {
		const struct cim_node *node = cim_node_find(w, id);

		if (id == above)
			return 1;
		if (id == w->root_id)
			return 0;
		if (!node) {
			int r = cim_image_entry(w->base, id, &e);
			if (r < 0)
				return r;
		}
		id = node ? node->parent_id : cim_base_id(w, e.parent_id);
		/* Images of version 1 do not say where a directory is. */
		if (id == 0)
			return 0;
	}
	return cim_fail(CIM_ECORRUPT, "the base has a loop of directories");
}

struct move {
	struct cim_node *dir, *node;
	struct cim_found name;
};

/* What rename(2) asks of the two names. */
static int check_rename(struct cim_writer *w, const struct move *from, const struct move *to,
			unsigned int flags)
{
	bool from_is_dir = S_ISDIR(from->node->mode);
	int r = 0;

	if (from_is_dir)
		r = is_below(w, to->dir->id, from->node->id);
	if (r == 0 && (flags & RENAME_EXCHANGE) && S_ISDIR(to->node->mode))
		r = is_below(w, from->dir->id, to->node->id);
	if (r != 0)
		return r < 0 ? r : -EINVAL;
	if (!to->node || (flags & RENAME_EXCHANGE))
		return 0;
	if (from_is_dir && !S_ISDIR(to->node->mode))
		return -ENOTDIR;
	if (!from_is_dir && S_ISDIR(to->node->mode))
		return -EISDIR;
	return from_is_dir ? check_empty(w, to->node->id) : 0;
}

static int resolve_rename(struct cim_writer *w, struct move *from, struct move *to, uint32_t to_dir,
			  const char *name, size_t n, unsigned int flags)
{
	int r = cim_node_dir(w, to_dir, &to->dir);

	if (r == 0)
		r = cim_dir_resolve(w, to_dir, name, n, &to->name);
	if (r == 0)
		r = check_name(w, name, n);
	if (r < 0)
		return r;
	if (to->dir->n_links == 0)
		return -ENOENT;
	to->node = NULL;
	/* In an image that does not mind case, a file may change the case of its own name. */
	bool same_name = to->dir == from->dir &&
			 cim_upcase_compare(&w->upcase, from->name.units, from->name.n_units,
					    to->name.units, to->name.n_units) == 0;
	if (same_name && (flags & RENAME_EXCHANGE)) {
		to->node = from->node; /* with itself, in any case: nothing to do */
		return 0;
	}
	if (same_name && !w->case_sensitive) {
		to->name.n_units = (uint16_t)cim_name_encode(name, n, to->name.units);
		return 0;
	}
	if (!to->name.id)
		return flags & RENAME_EXCHANGE ? -ENOENT : 0;
	if (flags & RENAME_NOREPLACE)
		return -EEXIST;
	return cim_node_get(w, to->name.id, &to->node);
}

static void exchange(struct cim_writer *w, struct move *from, struct move *to)
{
	set_name(w, from->dir, &from->name, to->node->id);
	set_name(w, to->dir, &to->name, from->node->id);
	from->node->parent_id = to->dir->id;
	to->node->parent_id = from->dir->id;
	cim_node_touch(w, from->node, false);
	cim_node_touch(w, to->node, false);
}

static void move(struct cim_writer *w, struct move *from, struct move *to)
{
	set_name(w, from->dir, &from->name, 0);
	set_name(w, to->dir, &to->name, from->node->id);
	from->node->parent_id = to->dir->id;
	cim_node_touch(w, from->node, false);
	if (!to->node)
		return;
	if (S_ISDIR(to->node->mode))
		to->node->n_links = 0;
	drop_link(w, to->node);
}

int cim_writer_rename(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n,
		      uint32_t new_dir_id, const char *new_name, size_t new_n, unsigned int flags)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct move from, to;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	int r = found_name(w, dir_id, name, n, &from.dir, &from.node, &from.name);
	if (r == 0)
		r = resolve_rename(w, &from, &to, new_dir_id, new_name, new_n, flags);
	if (r == 0 && to.node == from.node)
		return 0; /* two names of one file: rename(2) does nothing */
	if (r == 0)
		r = check_rename(w, &from, &to, flags);
	if (r < 0)
		return r;
	if (flags & RENAME_EXCHANGE)
		exchange(w, &from, &to);
	else
		move(w, &from, &to);
	return 0;
}

/* ---- attributes ---- */

static int set_mode(struct cim_writer *w, struct cim_node *node, uint32_t mode)
{
	g_autofree void *acl = NULL;
	size_t size;
	int r = 0;

	if (S_ISLNK(node->mode))
		return 0;
	cim_node_set_mode(node, mode);
	r = cim_node_acl(w, node, CIM_ACL_ACCESS, &acl, &size);
	if (r == 0 && acl) {
		cim_acl_chmod(acl, size, node->mode);
		r = cim_node_set_ea(node, CIM_ACL_ACCESS, NULL, 0, acl, size);
	}
	return r;
}

/* All but the size, which is data.c's. */
int cim_node_set_attr(struct cim_writer *w, struct cim_node *node, unsigned int mask,
		      const struct cim_attr *attr)
{
	int r = 0;

	if (node->is_stream)
		node = cim_stream_owner(w, node);
	if (!node)
		return 0; /* of a stream that is gone and only open */
	if (((mask & CIM_SET_UID) && attr->posix.uid == CIM_ID_INVALID) ||
	    ((mask & CIM_SET_GID) && attr->posix.gid == CIM_ID_INVALID))
		return -EINVAL;
	r = cim_node_own(
		node, (mask & CIM_SET_UID ? CIM_POSIX_UID : 0) |
			      (mask & CIM_SET_GID ? CIM_POSIX_GID : 0) |
			      (mask & CIM_SET_MODE && !S_ISLNK(node->mode) ? CIM_POSIX_MODE : 0));
	if (r < 0)
		return r;
	cim_node_touch(w, node, false);
	if (mask & CIM_SET_MODE)
		r = set_mode(w, node, attr->posix.mode);
	if (mask & CIM_SET_UID)
		node->uid = attr->posix.uid;
	if (mask & CIM_SET_GID)
		node->gid = attr->posix.gid;
	if (mask & CIM_SET_ACCESSED)
		node->accessed = attr->accessed;
	if (mask & CIM_SET_WRITTEN)
		node->written = attr->written;
	if (mask & CIM_SET_CHANGED)
		node->changed = attr->changed;
	if (mask & CIM_SET_CREATED)
		node->created = attr->created;
	return r;
}

/* ---- lookups that a kernel holds ---- */

void cim_writer_ref(struct cim_writer *w, uint32_t id)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_node *node = cim_node_find(w, id);

	if (node)
		node->n_lookups++;
}

void cim_writer_unref(struct cim_writer *w, uint32_t id, uint64_t n)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_node *node = cim_node_find(w, id);

	if (!node)
		return;
	/* Lookups of a file of the base before it changed were not counted. */
	node->n_lookups -= (uint32_t)MIN(n, node->n_lookups);
	cim_node_put(w, node);
}
