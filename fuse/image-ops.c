/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files of committed images, in the directory mount and in the image mount.
 *
 * Requests are answered from the mapped region files alone: no handle, no lock, no allocation that
 * grows with the image.  Damage is the error of the request that meets it.
 */
#include "config.h"

#include "image-ops.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/uio.h>

#include "acl.h"
#include "error.h"
#include "log.h"
#include "reply.h"
#include "stream-file.h"

#define MAX_PIECES 64          /* of one answer to READ; what has more is copied together */
#define ZEROS      (64 * 1024) /* bytes of a piece of zeros */

/* A file of an image, or a stream of one. */
struct node {
	struct cim_slot *slot; /* the image's */
	const struct cim_image *img;
	uint32_t id;
	int64_t stream; /* its index; NO_STREAM: the file itself */
	bool only;      /* of the image mount, where the root is FUSE's root */
};
#define NO_STREAM (-1)

/* In the image mount the root's file ID and FUSE's root change places; this goes both ways. */
static uint32_t swap_root(const struct cim_image *img, uint32_t id)
{
	if (id == img->fs.root_id)
		return FUSE_ROOT_ID;
	return id == FUSE_ROOT_ID ? img->fs.root_id : id;
}

/* Finds the node of a request, or answers it. */
static bool find_node(fuse_req_t req, fuse_ino_t ino, struct node *ret)
{
	const struct cim_daemon *d = cim_daemon_of(req);

	ret->only = d->only;
	ret->slot = d->only ? d->only : cim_slots_get(&d->slots, cim_ino_slot(ino));
	/* The image mount has no slots in its numbers: there it is the stream's index and one. */
	ret->stream = d->only ? (int64_t)cim_ino_slot(ino) - 1 : NO_STREAM;
	if (ret->slot && ret->slot->of) {
		ret->stream = ret->slot->stream;
		ret->slot = ret->slot->of;
	}
	ret->img = ret->slot ? atomic_load_explicit(&ret->slot->image, memory_order_acquire) : NULL;
	if (!ret->img) {
		fuse_reply_err(req, ESTALE);
		return false;
	}
	ret->id = d->only ? swap_root(ret->img, cim_ino_id(ino)) : cim_ino_id(ino);
	return true;
}

static bool find_entry(fuse_req_t req, fuse_ino_t ino, struct node *ret,
		       struct cim_entry *ret_entry)
{
	if (!find_node(req, ino, ret))
		return false;
	int r = cim_image_entry(ret->img, ret->id, ret_entry);
	if (r < 0)
		cim_reply_result(req, r);
	return r == 0;
}

static fuse_ino_t ino_of(const struct node *n, uint32_t id)
{
	return n->only ? swap_root(n->img, id) : cim_ino_make(n->slot->index, id);
}

static void fill(const struct cim_attr *attr, fuse_ino_t ino, struct fuse_entry_param *ret)
{
	*ret = (struct fuse_entry_param){
		.ino = ino,
		.attr_timeout = CIM_FOR_EVER,
		.entry_timeout = CIM_FOR_EVER,
	};
	cim_stat_fill(attr, ino, &ret->attr);
}

static int fill_entry(const struct node *n, uint32_t id, struct fuse_entry_param *ret,
		      uint32_t *ret_flags)
{
	struct cim_attr attr;
	int r = cim_file_attr(n->img, id, &attr);

	if (r < 0)
		return r;
	*ret_flags = attr.flags;
	fill(&attr, ino_of(n, id), ret);
	return 0;
}

/* The same for a stream of a file. */
static int fill_stream(fuse_req_t req, const struct node *n, uint32_t id, uint32_t index,
		       struct fuse_entry_param *ret)
{
	struct cim_stream s;
	struct cim_attr attr;
	struct cim_entry e;
	int r = cim_image_entry(n->img, id, &e);

	if (r == 0)
		r = cim_file_attr_of(n->img, id, &e, &attr);
	if (r == 0)
		r = cim_file_stream(n->img, &e, index, &s);
	if (r < 0)
		return r;
	cim_stream_attr(&attr, s.size, s.sparse ? 0 : (s.size + 511) / 512, &attr);
	fuse_ino_t ino =
		n->only ? cim_ino_make(index + 1, swap_root(n->img, id))
			: cim_ino_make(cim_slots_stream(&cim_daemon_of(req)->slots, n->slot, index)
					       ->index,
				       id);
	fill(&attr, ino, ret);
	return 0;
}

int cim_image_fill_root(const struct cim_slot *slot, struct fuse_entry_param *ret)
{
	struct node n = { .slot = (struct cim_slot *)(uintptr_t)slot,
			  .img = atomic_load(&slot->image),
			  .stream = NO_STREAM };
	uint32_t flags;

	return fill_entry(&n, n.img->fs.root_id, ret, &flags);
}

/* A name that is no file's may be a stream's. */
static int lookup_stream(fuse_req_t req, const struct node *dir, const char *name,
			 struct fuse_entry_param *ret)
{
	uint32_t id, index;
	int r = cim_dir_lookup_stream(dir->img, dir->id, name, strlen(name), &id, &index);

	return r < 0 ? r : fill_stream(req, dir, id, index, ret);
}

static void image_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	static const struct fuse_entry_param missing = { .entry_timeout = CIM_FOR_EVER };
	struct fuse_entry_param e;
	struct node n;
	uint32_t id, flags;

	if (!find_node(req, parent, &n))
		return;
	int r = cim_dir_lookup(n.img, n.id, name, strlen(name), &id);
	if (r == 0)
		r = fill_entry(&n, id, &e, &flags);
	else if (r == -ENOENT && n.img->view.streams == CIM_STREAMS_WINDOWS)
		r = lookup_stream(req, &n, name, &e);
	if (r == -ENOENT) {
		fuse_reply_entry(req, &missing);
		return;
	}
	if (r < 0) {
		cim_reply_result(req, r);
		return;
	}
	cim_slots_ref(n.slot, 1);
	if (fuse_reply_entry(req, &e) < 0)
		cim_slots_unref(&cim_daemon_of(req)->slots, n.slot, 1);
}

static void image_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fuse_entry_param e;
	struct node n;
	uint32_t flags;

	if (!find_node(req, ino, &n))
		return;
	int r = n.stream == NO_STREAM ? fill_entry(&n, n.id, &e, &flags)
				      : fill_stream(req, &n, n.id, (uint32_t)n.stream, &e);
	if (r < 0)
		cim_reply_result(req, r);
	else
		fuse_reply_attr(req, &e.attr, e.attr_timeout);
}

static void image_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[CIM_SYMLINK_MAX + 1];
	struct node n;

	if (!find_node(req, ino, &n))
		return;
	int r = cim_file_readlink(n.img, n.id, target);
	if (r < 0)
		cim_reply_result(req, r);
	else
		fuse_reply_readlink(req, target);
}

/* ---- data ---- */

/*
 * In the image mount the answer to the first OPEN is that there is no need to ask, and the kernel
 * opens all files by itself from then on.  The superblock is read-only, so none is opened to be
 * written.
 */
static void image_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if ((fi->flags & O_ACCMODE) != O_RDONLY || (fi->flags & O_TRUNC)) {
		fuse_reply_err(req, EROFS);
		return;
	}
	if (cim_daemon_of(req)->no_open) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = 1;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 11)
	fi->noflush = 1;
#endif
	fuse_reply_open(req, fi);
}

/* The pieces of a read where they are mapped; their number, 0 if there are too many, or an error.
 */
static int gather(const struct cim_image *img, const struct cim_stream *s, uint64_t off,
		  size_t size, struct iovec *iov)
{
	static char zeros[ZEROS];
	uint64_t from = off, all = size;
	int count = 0;

	while (size > 0) {
		const uint8_t *p;
		uint64_t n;
		int r = cim_stream_span(img, s, off, size, &p, &n);

		if (r < 0)
			return r;
		if (count == MAX_PIECES)
			return 0;
		if (!p)
			n = MIN(n, ZEROS);
		iov[count].iov_base = p ? (void *)(uintptr_t)p : zeros;
		iov[count++].iov_len = n;
		off += n;
		size -= n;
	}
	int r = cim_stream_check(img, s, from, all);
	return r < 0 ? r : count;
}

static void reply_copied(fuse_req_t req, const struct cim_image *img, const struct cim_stream *s,
			 uint64_t off, size_t size)
{
	g_autofree char *buf = g_try_malloc(size);
	ssize_t n = buf ? cim_stream_read(img, s, off, buf, size) : -ENOMEM;

	if (n < 0)
		cim_reply_result(req, (int)n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

/* The data of a request's node, or an answer to it. */
static bool find_data(fuse_req_t req, fuse_ino_t ino, struct node *ret, struct cim_stream *ret_data)
{
	struct cim_entry e;
	int r = 0;

	if (!find_entry(req, ino, ret, &e))
		return false;
	if (ret->stream != NO_STREAM)
		r = cim_file_stream(ret->img, &e, (uint32_t)ret->stream, ret_data);
	else
		*ret_data = e.data;
	if (r == 0 && ret_data->type == CIM_STREAM_LINKS)
		r = ret->stream == NO_STREAM ? -EISDIR : -CIM_ECORRUPT;
	if (r < 0)
		cim_reply_result(req, r);
	return r == 0;
}

static void image_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	struct iovec iov[MAX_PIECES];
	struct cim_stream data;
	struct node n;

	if (!find_data(req, ino, &n, &data))
		return;
	if ((uint64_t)off >= data.size) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	size = MIN(size, data.size - (uint64_t)off);
	int count = gather(n.img, &data, (uint64_t)off, size, iov);
	if (count < 0)
		cim_reply_result(req, count);
	else if (count == 0)
		reply_copied(req, n.img, &data, (uint64_t)off, size);
	else if (fuse_reply_iov(req, iov, count) == -EFAULT)
		/*
		 * The kernel has ended the request, with EIO, and the image may be closed already:
		 * only the number is safe to tell.
		 */
		cim_log(LOG_ERR,
			"inode %" PRIu64 " lost data under its reader: a region file was cut off",
			(uint64_t)ino);
}

static void image_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
			struct fuse_file_info *fi)
{
	struct cim_stream data;
	struct node n;

	if (!find_data(req, ino, &n, &data))
		return;
	int64_t at = cim_stream_seek(n.img, &data, (uint64_t)off, whence);
	if (at < 0)
		fuse_reply_err(req, (int)-at);
	else
		fuse_reply_lseek(req, at);
}

/*
 * Of close(2): nothing could be written.  The image mount has no other files, and is not asked
 * again.
 */
static void image_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, cim_daemon_of(req)->only ? ENOSYS : 0);
}

static void image_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static void image_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

/* ---- directories ---- */

/*
 * Entries of a link table from index @i on.  A name that cannot be shown is left out and a file
 * that cannot be read is listed without attributes: what else is in the directory can still be
 * seen.
 */
static void add_links(fuse_req_t req, const struct node *n, const struct cim_links *l, uint32_t i,
		      struct cim_dirbuf *d)
{
	char name[CIM_NAME_BYTES + 1];
	uint16_t units[CIM_NAME_UNITS];
	struct fuse_entry_param e;

	for (; i < l->n; i++) {
		int n_units = cim_links_name(l, i, units);

		if (n_units < 0 || cim_name_shown(units, (size_t)n_units, name) < 0)
			continue;
		uint32_t id = cim_links_id(l, i), flags = 0;
		if (fill_entry(n, id, &e, &flags) < 0)
			e = (struct fuse_entry_param){ .attr = { .st_ino = ino_of(n, id) } };
		if (n->img->view.hide_hidden && (flags & CIM_FLAG_HIDDEN))
			continue;
		if (!cim_dirbuf_add(d, req, name, &e, (off_t)i + 1 + CIM_DIR_FIRST))
			break;
	}
}

/* Where ".." of a directory leads to. */
static fuse_ino_t parent_of(const struct node *n, const struct cim_entry *e)
{
	if (n->id == n->img->fs.root_id)
		return CIM_INO_ROOT;
	return e->parent_id ? ino_of(n, e->parent_id) : CIM_INO_UNKNOWN;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	struct cim_daemon *daemon = cim_daemon_of(req);
	struct cim_dirbuf d;
	struct cim_entry e;
	struct cim_links l;
	struct node n;

	if (!find_entry(req, ino, &n, &e))
		return;
	int r = cim_dir_links(n.img, &e, &l);
	if (r == 0)
		r = cim_dirbuf_init(&d, size, plus);
	if (r < 0) {
		cim_reply_result(req, r);
		return;
	}
	if (cim_dirbuf_add_dots(&d, req, ino, parent_of(&n, &e), off) && off <= UINT32_MAX)
		add_links(req, &n, &l, (uint32_t)MAX(off - CIM_DIR_FIRST, 0), &d);
	uint64_t n_nodes = d.n_nodes;
	cim_slots_ref(n.slot, n_nodes);
	if (cim_reply_dirbuf(req, &d) < 0)
		cim_slots_unref(&daemon->slots, n.slot, n_nodes);
}

static void image_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			  struct fuse_file_info *fi)
{
	list(req, ino, size, off, false);
}

static void image_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			      struct fuse_file_info *fi)
{
	list(req, ino, size, off, true);
}

/* ---- extended attributes ---- */

static void reply_streams(fuse_req_t req, const struct node *n, const struct cim_entry *e,
			  size_t size)
{
	struct cim_names names;

	cim_names_init(&names, req);
	int r = cim_file_each_stream(n->img, e, cim_names_add_stream, &names);
	cim_reply_names(req, &names, r, size);
}

static void image_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	g_autofree char *buf = NULL;
	struct cim_entry e;
	struct node n;

	if (!find_entry(req, ino, &n, &e))
		return;
	/* Who may use a stream is its file's business. */
	if (n.stream != NO_STREAM && strcmp(name, CIM_ACL_ACCESS) != 0) {
		fuse_reply_err(req, ENODATA);
		return;
	}
	if (n.img->view.streams == CIM_STREAMS_WINDOWS && strcmp(name, CIM_XATTR_STREAMS) == 0) {
		reply_streams(req, &n, &e, size);
		return;
	}
	if (size > 0)
		buf = g_try_malloc(size);
	if (size > 0 && !buf)
		fuse_reply_err(req, ENOMEM);
	else if (!cim_xattr_is_shown(name))
		fuse_reply_err(req, ENODATA);
	else
		cim_reply_bytes(req, buf, cim_file_get_xattr(n.img, &e, name, buf, size), size);
}

static void image_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct cim_names names;
	struct cim_entry e;
	struct node n;

	if (!find_entry(req, ino, &n, &e))
		return;
	cim_names_init(&names, req);
	int r = n.stream == NO_STREAM ? cim_file_list_xattrs(n.img, &e, cim_names_add, &names) : 0;
	cim_reply_names(req, &names, r, size);
}

const struct cim_kind cim_image_kind = {
	.refusal = EROFS,
	.ops = {
		.lookup = image_lookup,
		.getattr = image_getattr,
		.readlink = image_readlink,
		.open = image_open,
		.read = image_read,
		.flush = image_flush,
		.release = image_release,
		.fsync = image_fsync,
		.readdir = image_readdir,
		.readdirplus = image_readdirplus,
		.getxattr = image_getxattr,
		.listxattr = image_listxattr,
		.lseek = image_lseek,
	},
};
