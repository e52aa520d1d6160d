/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Extended attributes of files of writer/, among them what Windows keeps of a file.
 */
#include "config.h"

#include <sys/stat.h>

#include "ntfs-xattr.h"
#include "reply.h"
#include "writer-node.h"

/*
 * Whether a request may set or remove an xattr.  The kernel asks nobody for those of system., and
 * what Windows keeps of a file is its owner's business; an EA list has owners and capabilities in
 * it, and a reparse buffer can make a device: those are root's.
 */
static bool may_set(fuse_req_t req, const struct cim_writer_node *n, const char *name)
{
	const struct cim_daemon *d = cim_daemon_of(req);
	uid_t uid = fuse_req_ctx(req)->uid;
	struct cim_attr attr;

	if (!d->shared || uid == 0 || !cim_ntfs_xattr_is(&d->view, name))
		return true;
	if (!g_str_has_prefix(name, "system."))
		return true; /* checked as any other is */
	if (strcmp(name, CIM_XATTR_NTFS_EA) == 0 || strcmp(name, CIM_XATTR_NTFS_REPARSE) == 0)
		return false;
	return cim_writer_attr(n->w, n->id, &attr) == 0 && attr.posix.uid == uid;
}

/*
 * What Windows keeps of a file is, with an EA or a reparse buffer, also its owner, its mode and
 * even its type.  The kernel asks for attributes again; of a file that has become another it must
 * forget the name, or the inode that it knows is an error.
 */
struct xattr_change {
	uint32_t type; /* before; 0: it is no xattr of Windows' */
	uint32_t dir_id;
	char name[CIM_NAME_BYTES + 1]; /* to be forgotten; empty: none */
};

static void begin_xattr_change(fuse_req_t req, const struct cim_writer_node *n, const char *name,
			       struct xattr_change *ret)
{
	struct cim_attr attr;

	ret->type = 0;
	ret->name[0] = '\0';
	if (cim_ntfs_xattr_is(&cim_daemon_of(req)->view, name) &&
	    cim_writer_attr(n->w, n->id, &attr) == 0)
		ret->type = attr.posix.mode & S_IFMT;
}

static void end_xattr_change(fuse_req_t req, const struct cim_writer_node *n,
			     struct xattr_change *c, int r)
{
	struct cim_daemon *d = cim_daemon_of(req);
	struct cim_attr attr;

	if (c->type && r == 0)
		(void)fuse_lowlevel_notify_inval_inode(d->fuse, cim_writer_ino(n, n->id), -1, 0);
	if (c->type && r == 0 && cim_writer_attr(n->w, n->id, &attr) == 0 &&
	    c->type != (attr.posix.mode & S_IFMT) &&
	    cim_writer_name_of(n->w, n->id, &c->dir_id, c->name) < 0)
		c->name[0] = '\0';
	fuse_ino_t dir = cim_writer_ino(n, c->dir_id);
	cim_reply_result(req, r);
	cim_writer_leave(n);
	if (c->name[0])
		cim_tell_gone(d, dir, c->name);
}

void cim_writer_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
			 size_t size, int flags)
{
	struct xattr_change c = { 0 };
	struct cim_writer_node n;

	if (!cim_writer_enter(req, ino, &n))
		return;
	begin_xattr_change(req, &n, name, &c);
	int r = may_set(req, &n, name) ? cim_writer_set_xattr(n.w, n.id, name, value, size, flags)
				       : -EPERM;
	end_xattr_change(req, &n, &c, r);
}

static void reply_streams(fuse_req_t req, const struct cim_writer_node *n, size_t size)
{
	struct cim_names names;

	cim_names_init(&names, req);
	int r = cim_writer_list_streams(n->w, n->id, cim_names_add_stream, &names);
	cim_reply_names(req, &names, r, size);
}

void cim_writer_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct cim_writer_node n;

	if (!cim_writer_enter(req, ino, &n))
		return;
	if (cim_streams_are_files(req) && strcmp(name, CIM_XATTR_STREAMS) == 0) {
		reply_streams(req, &n, size);
		cim_writer_leave(&n);
		return;
	}
	g_autofree char *buf = size > 0 ? g_try_malloc(size) : NULL;
	if (size > 0 && !buf)
		fuse_reply_err(req, ENOMEM);
	else if (!cim_xattr_is_shown(name))
		fuse_reply_err(req, ENODATA);
	else
		cim_reply_bytes(req, buf, cim_writer_get_xattr(n.w, n.id, name, buf, size), size);
	cim_writer_leave(&n);
}

void cim_writer_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct cim_names names;
	struct cim_writer_node n;

	if (!cim_writer_enter(req, ino, &n))
		return;
	cim_names_init(&names, req);
	cim_reply_names(req, &names, cim_writer_list_xattrs(n.w, n.id, cim_names_add, &names),
			size);
	cim_writer_leave(&n);
}

void cim_writer_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct xattr_change c = { 0 };
	struct cim_writer_node n;

	if (!cim_writer_enter(req, ino, &n))
		return;
	begin_xattr_change(req, &n, name, &c);
	int r = may_set(req, &n, name) ? cim_writer_remove_xattr(n.w, n.id, name) : -EPERM;
	end_xattr_change(req, &n, &c, r);
}
