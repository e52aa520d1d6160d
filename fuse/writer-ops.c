/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files of writer/.
 *
 * All changes come through this mount, and the kernel knows what its own do, so names and
 * attributes are cached for ever; but for names that compare without case, of which the kernel
 * would cache one spelling and miss the others.  Where only the mounting user comes in (no
 * allow_other), nobody checks permissions: so an ordinary user can build an image of files of any
 * owner.
 *
 * When the writer has been committed or closed, everything here is ESTALE, but for what must not
 * fail: closing a file and forgetting it.
 */
#include "config.h"

#include "writer-ops.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "error.h"
#include "reply.h"
#include "util.h"
#include "writer-node.h"

static int enter_session(struct cim_session *s, uint32_t id, struct cim_writer_node *ret)
{
	*ret = (struct cim_writer_node){ .s = s, .id = id };
	return cim_session_enter(s, &ret->w);
}

bool cim_writer_enter(fuse_req_t req, fuse_ino_t ino, struct cim_writer_node *ret)
{
	struct cim_slot *slot = cim_slots_get(&cim_daemon_of(req)->slots, cim_ino_slot(ino));
	int r = enter_session(slot->session, cim_ino_id(ino), ret);

	if (r < 0)
		cim_reply_result(req, r);
	return r == 0;
}

void cim_writer_leave(const struct cim_writer_node *n)
{
	cim_session_leave(n->s);
}

static double name_timeout(const struct cim_writer_node *n)
{
	return n->s->case_sensitive ? CIM_FOR_EVER : 0;
}

/*
 * A stream changes with its file, of which the kernel does not know: its attributes and its name
 * are asked for each time.
 */
static int fill_entry(const struct cim_writer_node *n, uint32_t id, struct fuse_entry_param *ret,
		      struct cim_attr *ret_attr)
{
	int r = cim_writer_attr(n->w, id, ret_attr);

	if (r < 0)
		return r;
	*ret = (struct fuse_entry_param){
		.ino = cim_writer_ino(n, id),
		.attr_timeout = ret_attr->stream_of ? 0 : CIM_FOR_EVER,
		.entry_timeout = ret_attr->stream_of ? 0 : name_timeout(n),
	};
	cim_stat_fill(ret_attr, ret->ino, &ret->attr);
	return 0;
}

int cim_writer_fill_root(struct cim_session *s, struct fuse_entry_param *ret)
{
	struct cim_attr attr;
	struct cim_writer_node n;
	int r = enter_session(s, 0, &n);

	if (r < 0)
		return r;
	n.id = cim_writer_root(n.w);
	r = fill_entry(&n, n.id, ret, &attr);
	if (r == 0)
		cim_writer_ref(n.w, n.id);
	cim_writer_leave(&n);
	return r;
}

/* While it is committed a writer does not forget; afterwards there is nothing left to be forgotten.
 */
void cim_writer_forget(struct cim_slot *slot, uint32_t id, uint64_t count)
{
	struct cim_writer_node n;

	if (enter_session(slot->session, id, &n) < 0)
		return;
	cim_writer_unref(n.w, id, count);
	cim_writer_leave(&n);
}

/* Answers with an entry, which the kernel then holds. */
static void reply_entry(fuse_req_t req, const struct cim_writer_node *n, uint32_t id)
{
	struct fuse_entry_param e;
	struct cim_attr attr;
	int r = fill_entry(n, id, &e, &attr);

	if (r < 0) {
		cim_reply_result(req, r);
		return;
	}
	cim_writer_ref(n->w, id);
	if (fuse_reply_entry(req, &e) < 0)
		cim_writer_unref(n->w, id, 1);
}

static void reply_attr(fuse_req_t req, const struct cim_writer_node *n)
{
	struct fuse_entry_param e;
	struct cim_attr attr;
	int r = fill_entry(n, n->id, &e, &attr);

	if (r < 0)
		cim_reply_result(req, r);
	else
		fuse_reply_attr(req, &e.attr, e.attr_timeout);
}

/* ---- streams that are files ---- */

/* What a change of a stream has changed of its file, the kernel asks for again. */
static void tell_file(fuse_req_t req, const struct cim_writer_node *n, uint32_t file_id)
{
	if (file_id)
		(void)fuse_lowlevel_notify_inval_inode(cim_daemon_of(req)->fuse,
						       cim_writer_ino(n, file_id), -1, 0);
}

/*
 * Whether a name that is no file's can be a stream's: then the file that has the stream, or would
 * have it.
 */
static bool carries_stream(fuse_req_t req, const struct cim_writer_node *n, uint32_t dir_id,
			   const char *name, uint32_t *ret_file, const char **ret_stream)
{
	struct cim_attr attr;
	size_t n_file;
	uint32_t id;

	if (!cim_streams_are_files(req) || !cim_stream_split(name, strlen(name), &n_file))
		return false;
	if (cim_writer_lookup(n->w, dir_id, name, strlen(name), &id) != -ENOENT ||
	    cim_writer_lookup(n->w, dir_id, name, n_file, ret_file) < 0 ||
	    cim_writer_attr(n->w, *ret_file, &attr) < 0)
		return false;
	*ret_stream = name + n_file + 1;
	return cim_stream_carrier(attr.posix.mode);
}

/* The kernel must not remember that a stream is not there: its file may get it by another name. */
static double missing_timeout(fuse_req_t req, const struct cim_writer_node *n, const char *name)
{
	bool may_be_stream = cim_streams_are_files(req) && strchr(name, ':');

	return may_be_stream ? 0 : name_timeout(n);
}

static void writer_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param missing = { 0 };
	const char *stream;
	struct cim_writer_node n;
	uint32_t id;

	if (!cim_writer_enter(req, parent, &n))
		return;
	int r = cim_writer_lookup(n.w, n.id, name, strlen(name), &id);
	if (r == -ENOENT && carries_stream(req, &n, n.id, name, &id, &stream))
		r = cim_writer_lookup_stream(n.w, id, stream, &id);
	missing.entry_timeout = missing_timeout(req, &n, name);
	if (r == 0)
		reply_entry(req, &n, id);
	else if (r == -ENOENT)
		fuse_reply_entry(req, &missing);
	else
		cim_reply_result(req, r);
	cim_writer_leave(&n);
}

static void writer_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct cim_writer_node n;

	if (!cim_writer_enter(req, ino, &n))
		return;
	reply_attr(req, &n);
	cim_writer_leave(&n);
}

static uint64_t time_to_set(int to_set, int now, struct timespec time)
{
	return to_set & now ? cim_ticks_now() : cim_ticks_from_timespec(time);
}

/* What the kernel wants to have set, in the words of the core. */
static unsigned int read_changes(const struct stat *st, int to_set, struct cim_attr *ret)
{
	static const struct {
		int fuse;
		unsigned int cim;
	} bits[] = {
		{ FUSE_SET_ATTR_MODE, CIM_SET_MODE },
		{ FUSE_SET_ATTR_UID, CIM_SET_UID },
		{ FUSE_SET_ATTR_GID, CIM_SET_GID },
		{ FUSE_SET_ATTR_SIZE, CIM_SET_SIZE },
		{ FUSE_SET_ATTR_ATIME, CIM_SET_ACCESSED },
		{ FUSE_SET_ATTR_ATIME_NOW, CIM_SET_ACCESSED },
		{ FUSE_SET_ATTR_MTIME, CIM_SET_WRITTEN },
		{ FUSE_SET_ATTR_MTIME_NOW, CIM_SET_WRITTEN },
		{ FUSE_SET_ATTR_CTIME, CIM_SET_CHANGED },
	};
	unsigned int mask = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(bits); i++)
		if (to_set & bits[i].fuse)
			mask |= bits[i].cim;
	*ret = (struct cim_attr){
		.posix = { .mode = st->st_mode, .uid = st->st_uid, .gid = st->st_gid },
		.size = (uint64_t)st->st_size,
		.accessed = time_to_set(to_set, FUSE_SET_ATTR_ATIME_NOW, st->st_atim),
		.written = time_to_set(to_set, FUSE_SET_ATTR_MTIME_NOW, st->st_mtim),
		.changed = cim_ticks_from_timespec(st->st_ctim),
	};
	return mask;
}

static void writer_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
			   struct fuse_file_info *fi)
{
	struct cim_attr attr;
	struct cim_writer_node n;
	unsigned int mask = read_changes(st, to_set, &attr);

	if (!cim_writer_enter(req, ino, &n))
		return;
	int r = mask ? cim_writer_set(n.w, n.id, mask, &attr) : 0;
	if (r == 0 && cim_streams_are_files(req) && cim_writer_attr(n.w, n.id, &attr) == 0)
		tell_file(req, &n, attr.stream_of);
	if (r < 0)
		cim_reply_result(req, r);
	else
		reply_attr(req, &n);
	cim_writer_leave(&n);
}

static void writer_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[CIM_SYMLINK_MAX + 1];
	struct cim_writer_node n;

	if (!cim_writer_enter(req, ino, &n))
		return;
	int r = cim_writer_readlink(n.w, n.id, target);
	if (r < 0)
		cim_reply_result(req, r);
	else
		fuse_reply_readlink(req, target);
	cim_writer_leave(&n);
}

/* ---- names ---- */

static struct cim_make make_of(fuse_req_t req, mode_t mode)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct cim_make){
		.mode = mode, .umask = ctx->umask, .uid = ctx->uid, .gid = ctx->gid
	};
}

/* A file, or a stream of one where the name says so. */
static int make_file(fuse_req_t req, const struct cim_writer_node *n, const char *name,
		     const struct cim_make *m, uint32_t *ret_id)
{
	const char *stream;
	uint32_t file_id;

	if (!S_ISREG(m->mode) || !carries_stream(req, n, n->id, name, &file_id, &stream))
		return cim_writer_make(n->w, n->id, name, strlen(name), m, ret_id);
	int r = cim_writer_make_stream(n->w, file_id, stream, ret_id);
	if (r == 0)
		tell_file(req, n, file_id);
	return r;
}

static void make(fuse_req_t req, fuse_ino_t parent, const char *name, const struct cim_make *m)
{
	struct cim_writer_node n;
	uint32_t id;

	if (!cim_writer_enter(req, parent, &n))
		return;
	int r = make_file(req, &n, name, m, &id);
	if (r < 0)
		cim_reply_result(req, r);
	else
		reply_entry(req, &n, id);
	cim_writer_leave(&n);
}

static void writer_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
			 dev_t rdev)
{
	struct cim_make m = make_of(req, mode);

	m.major = major(rdev);
	m.minor = minor(rdev);
	make(req, parent, name, &m);
}

static void writer_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct cim_make m = make_of(req, mode | S_IFDIR);

	make(req, parent, name, &m);
}

static void writer_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct cim_make m = make_of(req, S_IFLNK | 0777);

	m.umask = 0;
	m.target = target;
	make(req, parent, name, &m);
}

static void writer_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
	struct cim_writer_node n;

	if (cim_ino_slot(ino) != cim_ino_slot(new_parent)) {
		fuse_reply_err(req, EXDEV);
		return;
	}
	if (!cim_writer_enter(req, ino, &n))
		return;
	int r = cim_writer_link(n.w, n.id, cim_ino_id(new_parent), new_name, strlen(new_name));
	if (r < 0)
		cim_reply_result(req, r);
	else
		reply_entry(req, &n, n.id);
	cim_writer_leave(&n);
}

static void writer_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const char *stream;
	struct cim_writer_node n;
	uint32_t id;

	if (!cim_writer_enter(req, parent, &n))
		return;
	int r = cim_writer_unlink(n.w, n.id, name, strlen(name));
	if (r == -ENOENT && carries_stream(req, &n, n.id, name, &id, &stream)) {
		r = cim_writer_remove_stream(n.w, id, stream);
		tell_file(req, &n, id);
	}
	cim_reply_result(req, r);
	cim_writer_leave(&n);
}

static void writer_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct cim_writer_node n;

	if (!cim_writer_enter(req, parent, &n))
		return;
	cim_reply_result(req, cim_writer_rmdir(n.w, n.id, name, strlen(name)));
	cim_writer_leave(&n);
}

static void writer_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
			  fuse_ino_t new_parent, const char *new_name, unsigned int flags)
{
	const char *stream;
	struct cim_writer_node n;
	uint32_t id;

	if (cim_ino_slot(parent) != cim_ino_slot(new_parent)) {
		fuse_reply_err(req, EXDEV);
		return;
	}
	if (!cim_writer_enter(req, parent, &n))
		return;
	/* A stream does not leave its file: who moves one copies it. */
	if (carries_stream(req, &n, n.id, name, &id, &stream) ||
	    carries_stream(req, &n, cim_ino_id(new_parent), new_name, &id, &stream))
		fuse_reply_err(req, EXDEV);
	else
		cim_reply_result(req, cim_writer_rename(n.w, n.id, name, strlen(name),
							cim_ino_id(new_parent), new_name,
							strlen(new_name), flags));
	cim_writer_leave(&n);
}

/* ---- data ---- */

/*
 * A handle needs no memory: it is the flags with which the file is open in the writer, and of a
 * stream, in the upper half, its file's ID.
 */
static unsigned int flags_of(const struct fuse_file_info *fi)
{
	return (uint32_t)fi->fh;
}

static uint32_t file_of_stream(const struct fuse_file_info *fi)
{
	return (uint32_t)(fi->fh >> 32);
}

static int open_file(fuse_req_t req, const struct cim_writer_node *n, uint32_t id,
		     struct fuse_file_info *fi)
{
	unsigned int flags = (fi->flags & O_ACCMODE) == O_RDONLY ? 0 : CIM_OPEN_WRITE;
	struct cim_attr attr = { 0 };
	int r = cim_writer_open_file(n->w, id, flags);

	if (r < 0)
		return r;
	if (cim_streams_are_files(req))
		(void)cim_writer_attr(n->w, id, &attr);
	fi->fh = flags | (uint64_t)attr.stream_of << 32;
	fi->keep_cache = 1;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 11)
	fi->noflush = !(flags & CIM_OPEN_WRITE);
#endif
	return 0;
}

static void writer_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
			  struct fuse_file_info *fi)
{
	struct cim_make m = make_of(req, mode | S_IFREG);
	struct fuse_entry_param e;
	struct cim_attr attr;
	struct cim_writer_node n;
	uint32_t id = 0;

	if (!cim_writer_enter(req, parent, &n))
		return;
	int r = make_file(req, &n, name, &m, &id);
	if (r == 0)
		r = fill_entry(&n, id, &e, &attr);
	if (r == 0)
		r = open_file(req, &n, id, fi);
	if (r < 0) {
		cim_reply_result(req, r);
	} else {
		cim_writer_ref(n.w, id);
		if (fuse_reply_create(req, &e, fi) < 0) {
			cim_writer_close_file(n.w, id, flags_of(fi));
			cim_writer_unref(n.w, id, 1);
		}
	}
	cim_writer_leave(&n);
}

static void writer_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct cim_writer_node n;

	if (!cim_writer_enter(req, ino, &n))
		return;
	int r = open_file(req, &n, n.id, fi);
	if (r < 0)
		cim_reply_result(req, r);
	else if (fuse_reply_open(req, fi) < 0)
		cim_writer_close_file(n.w, n.id, flags_of(fi));
	cim_writer_leave(&n);
}

static void writer_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			struct fuse_file_info *fi)
{
	struct cim_writer_node n;

	if (!cim_writer_enter(req, ino, &n))
		return;
	g_autofree char *buf = g_try_malloc(size);
	ssize_t done = buf ? cim_writer_read(n.w, n.id, (uint64_t)off, buf, size) : -ENOMEM;
	if (done < 0)
		cim_reply_result(req, (int)done);
	else
		fuse_reply_buf(req, buf, (size_t)done);
	cim_writer_leave(&n);
}

static void writer_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
			 struct fuse_file_info *fi)
{
	struct cim_writer_node n;

	if (!cim_writer_enter(req, ino, &n))
		return;
	ssize_t done = cim_writer_write(n.w, n.id, (uint64_t)off, buf, size);
	if (done >= 0)
		tell_file(req, &n, file_of_stream(fi));
	if (done < 0)
		cim_reply_result(req, (int)done);
	else
		fuse_reply_write(req, (size_t)done);
	cim_writer_leave(&n);
}

static void writer_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct cim_writer_node n;

	if (!(flags_of(fi) & CIM_OPEN_WRITE)) {
		fuse_reply_err(req, 0);
		return;
	}
	if (!cim_writer_enter(req, ino, &n))
		return;
	cim_reply_result(req, cim_writer_flush(n.w, n.id));
	cim_writer_leave(&n);
}

/* Durable is only what is committed; until then it is enough to have reported every error. */
static void writer_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct cim_writer_node n;

	if (!cim_writer_enter(req, ino, &n))
		return;
	cim_reply_result(req, cim_writer_sync(n.w, n.id));
	cim_writer_leave(&n);
}

static void writer_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct cim_slot *slot = cim_slots_get(&cim_daemon_of(req)->slots, cim_ino_slot(ino));
	struct cim_writer_node n;

	if (enter_session(slot->session, cim_ino_id(ino), &n) == 0) {
		cim_writer_close_file(n.w, n.id, flags_of(fi));
		cim_writer_leave(&n);
	}
	fuse_reply_err(req, 0);
}

static void writer_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t size,
			     struct fuse_file_info *fi)
{
	struct cim_writer_node n;

	if (!cim_writer_enter(req, ino, &n))
		return;
	cim_reply_result(req, cim_writer_fallocate(n.w, n.id, mode, (uint64_t)off, (uint64_t)size));
	cim_writer_leave(&n);
}

static void writer_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
			 struct fuse_file_info *fi)
{
	struct cim_writer_node n;

	if (!cim_writer_enter(req, ino, &n))
		return;
	int64_t at = cim_writer_seek(n.w, n.id, (uint64_t)off, whence);
	if (at < 0)
		cim_reply_result(req, (int)at);
	else
		fuse_reply_lseek(req, at);
	cim_writer_leave(&n);
}

/* ---- directories ---- */

static int add_name(void *arg, const char *name, size_t n, uint32_t id)
{
	g_ptr_array_add(arg, g_strndup(name, n));
	return 0;
}

static int take_names(void *arg, GPtrArray *names)
{
	const struct cim_writer_node *n = arg;

	return cim_writer_list(n->w, n->id, add_name, names);
}

/*
 * Names are looked up again: the kernel believes what it is told here, so a name removed since must
 * not come back.  It holds the directory against changes for as long as this takes.
 */
static void add_names(fuse_req_t req, const struct cim_writer_node *n, const struct cim_listing *l,
		      guint i, struct cim_dirbuf *d)
{
	bool hide_hidden = cim_daemon_of(req)->view.hide_hidden;

	for (; i < l->names->len; i++) {
		const char *name = g_ptr_array_index(l->names, i);
		struct fuse_entry_param e;
		struct cim_attr attr;
		uint32_t id;

		if (cim_writer_lookup(n->w, n->id, name, strlen(name), &id) < 0 ||
		    fill_entry(n, id, &e, &attr) < 0 ||
		    (hide_hidden && (attr.flags & CIM_FLAG_HIDDEN)))
			continue;
		if (!cim_dirbuf_add(d, req, name, &e, (off_t)i + 1 + CIM_DIR_FIRST))
			break;
		if (d->plus)
			cim_writer_ref(n->w, id);
	}
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	struct cim_listings *listings = &cim_daemon_of(req)->listings;
	uint32_t i = cim_listing_index(off);
	struct cim_listing *l;
	struct cim_dirbuf d;
	struct cim_writer_node n;

	if (!cim_writer_enter(req, ino, &n))
		return;
	int r = cim_dirbuf_init(&d, size, plus);
	if (r == 0)
		r = cim_listings_at(listings, off, take_names, &n, &l);
	if (r < 0) {
		cim_dirbuf_clear(&d);
		cim_reply_result(req, r);
	} else {
		fuse_ino_t parent = n.id == cim_writer_root(n.w) ? CIM_INO_ROOT : CIM_INO_UNKNOWN;

		d.base = l->base;
		if (cim_dirbuf_add_dots(&d, req, ino, parent, i))
			add_names(req, &n, l, MAX(i, CIM_DIR_FIRST) - CIM_DIR_FIRST, &d);
		cim_listings_put(listings, l, d.used == 0);
		/* An answer to this request is lost with the whole mount, so its lookups are not
		 * undone. */
		(void)cim_reply_changing(req, &d);
	}
	cim_writer_leave(&n);
}

static void writer_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	list(req, ino, size, off, false);
}

static void writer_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			       struct fuse_file_info *fi)
{
	list(req, ino, size, off, true);
}

const struct cim_kind cim_writer_kind = {
	.refusal = EOPNOTSUPP,
	.ops = {
		.lookup = writer_lookup,
		.getattr = writer_getattr,
		.setattr = writer_setattr,
		.readlink = writer_readlink,
		.mknod = writer_mknod,
		.mkdir = writer_mkdir,
		.unlink = writer_unlink,
		.rmdir = writer_rmdir,
		.symlink = writer_symlink,
		.rename = writer_rename,
		.link = writer_link,
		.open = writer_open,
		.read = writer_read,
		.write = writer_write,
		.flush = writer_flush,
		.release = writer_release,
		.fsync = writer_fsync,
		.readdir = writer_readdir,
		.readdirplus = writer_readdirplus,
		.setxattr = cim_writer_setxattr,
		.getxattr = cim_writer_getxattr,
		.listxattr = cim_writer_listxattr,
		.removexattr = cim_writer_removexattr,
		.create = writer_create,
		.fallocate = writer_fallocate,
		.lseek = writer_lseek,
	},
};
