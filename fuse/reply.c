/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the core's types and libfuse's.  Knows no kind of node. */
#include "config.h"

#include "reply.h"

#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "error.h"
#include "util.h"

#define BLOCK_SIZE 4096 /* st_blksize */

int cim_reply_errno(int r)
{
	/* Damaged, of another format, too new: to who reads a file it is all the same. */
	if (r == -CIM_EFORMAT || r == -CIM_EVERSION)
		return CIM_ECORRUPT;
	return -r;
}

void cim_reply_result(fuse_req_t req, int r)
{
	fuse_reply_err(req, cim_reply_errno(r));
}

void cim_reply_statfs(fuse_req_t req)
{
	struct statvfs st;

	if (fstatvfs(cim_daemon_of(req)->store->dirfd, &st) < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_statfs(req, &st);
}

void cim_reply_bytes(fuse_req_t req, const void *bytes, ssize_t n, size_t room)
{
	if (n < 0)
		cim_reply_result(req, (int)n);
	else if (room == 0)
		fuse_reply_xattr(req, (size_t)n);
	else if ((size_t)n > room)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, bytes, (size_t)n);
}

void cim_names_init(struct cim_names *names, fuse_req_t req)
{
	names->list = g_string_new(NULL);
	names->all = fuse_req_ctx(req)->uid == 0;
}

int cim_names_add(void *arg, const char *name)
{
	struct cim_names *names = arg;

	if ((names->all || !g_str_has_prefix(name, "trusted.")) && cim_xattr_is_shown(name))
		g_string_append_len(names->list, name, (gssize)strlen(name) + 1);
	return 0;
}

int cim_names_add_stream(void *arg, const char *name, uint64_t size)
{
	struct cim_names *names = arg;

	if (names->list->len > 0)
		g_string_append_c(names->list, '\0');
	g_string_append(names->list, name);
	return 0;
}

bool cim_xattr_is_shown(const char *name)
{
	return geteuid() == 0 || strcmp(name, "security.capability") != 0;
}

void cim_reply_names(fuse_req_t req, struct cim_names *names, int r, size_t room)
{
	cim_reply_bytes(req, names->list->str, r < 0 ? r : (ssize_t)names->list->len, room);
	g_string_free(names->list, TRUE);
}

void cim_tell_gone(struct cim_daemon *d, fuse_ino_t parent, const char *name)
{
	if (!d->threaded || !g_mutex_trylock(&d->told))
		return;
	(void)fuse_lowlevel_notify_inval_entry(d->fuse, parent, name, strlen(name));
	g_mutex_unlock(&d->told);
}

void cim_stat_fill(const struct cim_attr *attr, fuse_ino_t ino, struct stat *ret)
{
	*ret = (struct stat){
		.st_ino = ino,
		.st_mode = attr->posix.mode,
		.st_nlink = attr->posix.n_links,
		.st_uid = attr->posix.uid,
		.st_gid = attr->posix.gid,
		.st_rdev = makedev(attr->posix.major, attr->posix.minor),
		.st_size = (off_t)attr->size,
		.st_blksize = BLOCK_SIZE,
		.st_blocks = (blkcnt_t)attr->blocks,
		.st_atim = cim_ticks_to_timespec(attr->accessed),
		.st_mtim = cim_ticks_to_timespec(attr->written),
		.st_ctim = cim_ticks_to_timespec(attr->changed),
	};
}

int cim_dirbuf_init(struct cim_dirbuf *d, size_t size, bool plus)
{
	*d = (struct cim_dirbuf){ .buf = g_try_malloc(size), .size = size, .plus = plus };
	return d->buf ? 0 : -ENOMEM;
}

void cim_dirbuf_clear(struct cim_dirbuf *d)
{
	g_clear_pointer(&d->buf, g_free);
}

bool cim_dirbuf_add(struct cim_dirbuf *d, fuse_req_t req, const char *name,
		    const struct fuse_entry_param *e, off_t next)
{
	size_t left = d->size - d->used;
	size_t n = d->plus ? fuse_add_direntry_plus(req, d->buf + d->used, left, name, e,
						    d->base + next)
			   : fuse_add_direntry(req, d->buf + d->used, left, name, &e->attr,
					       d->base + next);

	if (n > left)
		return false;
	d->used += n;
	if (d->plus && e->ino)
		d->n_nodes++;
	return true;
}

bool cim_dirbuf_add_dots(struct cim_dirbuf *d, fuse_req_t req, fuse_ino_t self, fuse_ino_t parent,
			 off_t off)
{
	struct fuse_entry_param e = { .attr = { .st_mode = S_IFDIR, .st_ino = self } };

	if (off < 1 && !cim_dirbuf_add(d, req, ".", &e, 1))
		return false;
	e.attr.st_ino = parent;
	return off >= CIM_DIR_FIRST || cim_dirbuf_add(d, req, "..", &e, CIM_DIR_FIRST);
}

int cim_reply_dirbuf(fuse_req_t req, struct cim_dirbuf *d)
{
	int r = fuse_reply_buf(req, d->buf, d->used);

	cim_dirbuf_clear(d);
	return r;
}

int cim_reply_changing(fuse_req_t req, struct cim_dirbuf *d)
{
	if (d->used == 0) {
		d->used = MIN(d->size, sizeof(uint64_t));
		memset(d->buf, 0, d->used);
	}
	return cim_reply_dirbuf(req, d);
}
