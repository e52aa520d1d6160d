/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the kernel's requests to the kind of node that they are for.  Nothing else happens here: an
 * inode number says by itself which kind it is.
 *
 * Operations that no kind has are left out of the table, so that libfuse answers ENOSYS and the
 * kernel does without: access and locks (the kernel's own), ioctl, bmap, poll, copy_file_range.
 */
#include "config.h"

#include "ops.h"

#include "image-ops.h"
#include "mounts.h"
#include "reply.h"
#include "root.h"
#include "writer-ops.h"

#define READ_AHEAD (1024 * 1024) /* bytes; the kernel's 128 KiB make reading 1.5 times as slow */

static const struct cim_kind *kind_of(fuse_req_t req, fuse_ino_t ino)
{
	const struct cim_daemon *d = cim_daemon_of(req);
	const struct cim_slot *slot;

	if (d->only)
		return &cim_image_kind;
	if (cim_ino_slot(ino) == 0)
		return &cim_root_kind;
	slot = cim_slots_get(&d->slots, cim_ino_slot(ino));
	return slot && slot->session ? &cim_writer_kind : &cim_image_kind;
}

/*
 * A kind that lacks an operation refuses it with an errno of its own.  It must not be ENOSYS: the
 * kernel would never ask again, for no node of the mount.
 */
#define DISPATCH(op, req, ino, ...)                              \
	do {                                                     \
		const struct cim_kind *kind = kind_of(req, ino); \
		if (kind->ops.op)                                \
			kind->ops.op(req, ino, ##__VA_ARGS__);   \
		else                                             \
			fuse_reply_err(req, kind->refusal);      \
	} while (0)

static void want(struct fuse_conn_info *conn, unsigned int caps)
{
	conn->want |= conn->capable & caps;
}

static void op_init(void *data, struct fuse_conn_info *conn)
{
	struct cim_daemon *d = data;

	/* Files change through this mount alone or not at all, so nothing invalidates their pages.
	 */
	conn->want &= ~(unsigned int)FUSE_CAP_AUTO_INVAL_DATA;
	want(conn, FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_CACHE_SYMLINKS);
	/* The kernel takes set-user-ID bits away, and truncates with SETATTR, which does so as
	 * well. */
	conn->want &= ~(unsigned int)(FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_ATOMIC_O_TRUNC);
	/* A default ACL takes the place of the umask, and who creates the file knows of both. */
	want(conn, FUSE_CAP_DONT_MASK);
	if (d->shared)
		want(conn, FUSE_CAP_POSIX_ACL);
	/* Data comes from a mapping, and goes where it is hashed: splicing only costs. */
	conn->want &= ~(unsigned int)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
				      FUSE_CAP_SPLICE_MOVE);
	/*
	 * Left to itself the kernel asks for attributes with the first names of a directory only, and
	 * later for one after the other, with a request each: ten times as much work for nearly all
	 * who list.
	 */
	conn->want &= ~(unsigned int)FUSE_CAP_READDIRPLUS_AUTO;
	d->no_open = d->only && (conn->capable & FUSE_CAP_NO_OPEN_SUPPORT);
	d->no_opendir = conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT;
	if (d->mountpoint && cim_mounts_set_read_ahead(d->mountpoint, READ_AHEAD))
		conn->max_readahead = READ_AHEAD;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	DISPATCH(lookup, req, parent, name);
}

/* Not a request: nothing is answered. */
static void forget(struct cim_daemon *d, fuse_ino_t ino, uint64_t n)
{
	struct cim_slot *slot = d->only ? NULL : cim_slots_get(&d->slots, cim_ino_slot(ino));

	if (slot && slot->session)
		cim_writer_forget(slot, cim_ino_id(ino), n);
	else if (slot)
		cim_slots_unref(&d->slots, slot->of ? slot->of : slot, n);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	forget(cim_daemon_of(req), ino, n);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget(cim_daemon_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	DISPATCH(getattr, req, ino, fi);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	DISPATCH(setattr, req, ino, attr, to_set, fi);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	DISPATCH(readlink, req, ino);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	DISPATCH(mknod, req, parent, name, mode, rdev);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	DISPATCH(mkdir, req, parent, name, mode);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	DISPATCH(unlink, req, parent, name);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	DISPATCH(rmdir, req, parent, name);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	const struct cim_kind *kind = kind_of(req, parent);

	if (kind->ops.symlink)
		kind->ops.symlink(req, target, parent, name);
	else
		fuse_reply_err(req, kind->refusal);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		      const char *new_name, unsigned int flags)
{
	DISPATCH(rename, req, parent, name, new_parent, new_name, flags);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
	const struct cim_kind *kind = kind_of(req, new_parent);

	if (kind->ops.link)
		kind->ops.link(req, ino, new_parent, new_name);
	else
		fuse_reply_err(req, kind->refusal);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	DISPATCH(open, req, ino, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	DISPATCH(read, req, ino, size, off, fi);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	DISPATCH(write, req, ino, buf, size, off, fi);
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	DISPATCH(flush, req, ino, fi);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	DISPATCH(release, req, ino, fi);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	DISPATCH(fsync, req, ino, datasync, fi);
}

/*
 * No kind keeps anything for an open directory, so the kernel opens all of them by itself where it
 * can: that round trip is most of the cost of a walk.  It caches their names then; those of
 * directories that change have an answer that keeps it from that, cim_reply_changing().
 */
static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (cim_daemon_of(req)->no_opendir) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = 1;
	fi->cache_readdir = 1;
	fuse_reply_open(req, fi);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	DISPATCH(readdir, req, ino, size, off, fi);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	DISPATCH(readdirplus, req, ino, size, off, fi);
}

/* Nothing is durable before a commit, and everything is after it. */
static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	cim_reply_statfs(req);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
			size_t size, int flags)
{
	DISPATCH(setxattr, req, ino, name, value, size, flags);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	DISPATCH(getxattr, req, ino, name, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	DISPATCH(listxattr, req, ino, size);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	DISPATCH(removexattr, req, ino, name);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	DISPATCH(create, req, parent, name, mode, fi);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t size,
			 struct fuse_file_info *fi)
{
	DISPATCH(fallocate, req, ino, mode, off, size, fi);
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	DISPATCH(lseek, req, ino, off, whence, fi);
}

const struct fuse_lowlevel_ops cim_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.create = op_create,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
};
