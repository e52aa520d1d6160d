/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control file: runs requests, and tells what has become of them.
 *
 * A write is answered when its requests are done, with the errno of the first that failed; what
 * there is to say about it is kept with the handle that wrote, and as the mount's last.  The file
 * is read and written directly, past the page cache, so errors reach the write that caused them and
 * reading is always true.
 */
#include "config.h"

#include "control-file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "control.h"
#include "delete.h"
#include "error.h"
#include "hresult.h"
#include "log.h"
#include "reply.h"

struct handle {
	GMutex lock;  /* guards what follows */
	char *result; /* of the last request written here; NULL: none yet */
	char *shown;  /* what is being read; NULL: nothing yet, or out of date */
	off_t start;  /* where in the file it was begun to be read */
};

static struct handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

/* ---- who may ---- */

void cim_control_stat(const struct stat *dir, struct stat *ret)
{
	/* To add a file to a directory takes its write and its search permission. */
	mode_t may_add = dir->st_mode & 0222 & (mode_t)((dir->st_mode & 0111) << 1);

	*ret = (struct stat){
		.st_ino = CIM_INO_CONTROL,
		.st_mode = S_IFREG | (dir->st_mode & 0444) | may_add,
		.st_nlink = 1,
		.st_uid = dir->st_uid,
		.st_gid = dir->st_gid,
		.st_atim = dir->st_atim,
		.st_mtim = dir->st_mtim,
		.st_ctim = dir->st_ctim,
	};
}

/* Where the kernel does not check permissions, whether a caller may write by the file's mode. */
static bool mode_allows(const struct fuse_ctx *ctx, const struct stat *st)
{
	if (ctx->uid == 0)
		return true;
	if (ctx->uid == st->st_uid)
		return st->st_mode & S_IWUSR;
	if (ctx->gid == st->st_gid)
		return st->st_mode & S_IWGRP;
	return st->st_mode & S_IWOTH;
}

static int check_may_write(fuse_req_t req)
{
	const struct cim_daemon *d = cim_daemon_of(req);
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct stat dir, st;

	/* It is the daemon that will add the files, and the system knows best what it may. */
	if (faccessat(d->store->dirfd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return errno == EROFS ? -EACCES
				      : -errno; /* it is not the mount that is read-only */
	if (d->shared || ctx->uid == geteuid())
		return 0;
	if (fstat(d->store->dirfd, &dir) < 0)
		return -errno;
	cim_control_stat(&dir, &st);
	return mode_allows(ctx, &st) ? 0 : -EACCES;
}

/*
 * In a sticky directory a name is taken away by its file's owner or the directory's alone.  The
 * system asks that of the daemon, and does not know for whom it acts.
 */
static int check_may_replace(const struct cim_daemon *d, const struct fuse_ctx *ctx,
			     const char *name)
{
	struct stat dir, st;

	if (ctx->uid == 0 || ctx->uid == geteuid() || cim_store_name_check(name) < 0)
		return 0;
	if (fstat(d->store->dirfd, &dir) < 0)
		return -errno;
	if (!(dir.st_mode & S_ISVTX) || dir.st_uid == ctx->uid ||
	    fstatat(d->store->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_uid == ctx->uid)
		return 0;
	return cim_fail(EACCES, "\"%s\" belongs to another user, and the directory is sticky",
			name);
}

/* ---- requests ---- */

static int run_create(struct cim_daemon *d, const struct fuse_ctx *ctx, const struct cim_request *q,
		      char **ret_done)
{
	bool replaces = q->existing && (!q->new_name || strcmp(q->existing, q->new_name) == 0);
	int r = replaces ? check_may_replace(d, ctx, q->existing) : 0;
	struct cim_session *s;

	if (r == 0)
		r = cim_sessions_create(&d->sessions, &d->slots, d->store, q->existing, q->new_name,
					q->cmp, &d->view, ctx->uid, ctx->pid, &s);
	if (r < 0)
		return r;
	*ret_done = g_strdup_printf(
		"the writer of \"%s\" is open; change writer/, then \"commit\" or \"close\"",
		s->new_name);
	return 0;
}

static int run_commit(struct cim_daemon *d, char **ret_done)
{
	g_autofree char *name = NULL;
	int r = cim_sessions_commit(&d->sessions, &name);

	if (r < 0)
		return r;
	*ret_done = g_strdup_printf("image \"%s\" is committed", name);
	return 0;
}

static int run_close(struct cim_daemon *d, char **ret_done)
{
	g_autofree char *name = NULL;
	int r = cim_sessions_close(&d->sessions, &name);

	if (r < 0)
		return r;
	*ret_done = g_strdup_printf("the writer of \"%s\" is closed, nothing of it was committed",
				    name);
	return 0;
}

static int run_delete(struct cim_daemon *d, const struct fuse_ctx *ctx, const struct cim_request *q,
		      GPtrArray *gone, char **ret_done)
{
	int r = check_may_replace(d, ctx, q->name);

	if (r == 0)
		r = cim_store_delete(d->store, q->name);
	if (r < 0)
		return r;
	*ret_done = g_strdup_printf("image \"%s\" is deleted", q->name);
	g_ptr_array_add(gone, g_strdup(q->name));
	return 0;
}

/* @gone: names of deleted images; @ret_done: a sentence, on success */
static int run(struct cim_daemon *d, const struct fuse_ctx *ctx, const struct cim_request *q,
	       GPtrArray *gone, char **ret_done)
{
	switch (q->verb) {
	case CIM_VERB_CREATE:
		return run_create(d, ctx, q, ret_done);
	case CIM_VERB_COMMIT:
		return run_commit(d, ret_done);
	case CIM_VERB_CLOSE:
		return run_close(d, ret_done);
	case CIM_VERB_DELETE:
		return run_delete(d, ctx, q, gone, ret_done);
	}
	return -EINVAL;
}

/* What was refused may hold any bytes, and is repeated in the reason: a line stays a line. */
static char *without_controls(char *text)
{
	for (char *p = text; *p; p++)
		if (g_ascii_iscntrl(*p))
			*p = '?';
	return text;
}

static char *describe_result(int r, const char *done)
{
	int32_t hr = cim_hresult_from_errno(r);
	const char *reason = cim_reason();

	if (r == 0)
		reason = done;
	else if (!*reason)
		reason = g_strerror(-r);
	return without_controls(
		g_strdup_printf("0x%08x %s %s", (unsigned int)hr, cim_hresult_symbol(hr), reason));
}

static char *describe_request(const struct fuse_ctx *ctx, const char *line)
{
	g_autofree char *shown = without_controls(g_strdup(line));

	return g_strdup_printf("%s (uid %u pid %d)", g_strstrip(shown), (unsigned int)ctx->uid,
			       (int)ctx->pid);
}

/* Keeps what has become of a request; takes both strings. */
static void keep(struct cim_daemon *d, struct handle *h, char *request, char *result)
{
	cim_log(LOG_NOTICE, "%s: %s", request, result);
	g_mutex_lock(&h->lock);
	g_free(h->result);
	h->result = g_strdup(result);
	g_clear_pointer(&h->shown, g_free);
	g_mutex_unlock(&h->lock);

	g_mutex_lock(&d->lock);
	g_free(d->last_request);
	g_free(d->last_result);
	d->last_request = request;
	d->last_result = result;
	g_mutex_unlock(&d->lock);
}

static int run_all(struct cim_daemon *d, const struct fuse_ctx *ctx, struct handle *h,
		   const char *text, size_t size, GPtrArray *gone)
{
	int r = cim_control_check(text, size);

	if (r < 0)
		keep(d, h, describe_request(ctx, "(unreadable)"), describe_result(r, NULL));
	while (r == 0) {
		g_autofree char *line = NULL, *done = NULL;
		struct cim_request q;
		int got = cim_control_next(&text, &size, &line, &q);

		if (got == 0)
			break;
		r = got;
		if (got > 0) {
			cim_reason_clear();
			r = run(d, ctx, &q, gone, &done);
			cim_request_clear(&q);
		}
		keep(d, h, describe_request(ctx, line), describe_result(r, done));
	}
	/* A directory that is gone is another HRESULT than an image, and the same errno. */
	return r == -ENOTDIR ? -ENOENT : r;
}

/* ---- the file ---- */

void cim_control_open(fuse_req_t req, struct fuse_file_info *fi)
{
	int r = (fi->flags & O_ACCMODE) == O_RDONLY ? 0 : check_may_write(req);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	struct handle *h = g_new0(struct handle, 1);
	g_mutex_init(&h->lock);
	fi->fh = (uint64_t)(uintptr_t)h;
	fi->direct_io = 1;
	if (fuse_reply_open(req, fi) < 0)
		g_free(h);
}

void cim_control_release(fuse_req_t req, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);

	g_mutex_clear(&h->lock);
	g_free(h->result);
	g_free(h->shown);
	g_free(h);
	fuse_reply_err(req, 0);
}

void cim_control_write(fuse_req_t req, const char *buf, size_t size, struct fuse_file_info *fi)
{
	struct cim_daemon *d = cim_daemon_of(req);
	g_autoptr(GPtrArray) gone = g_ptr_array_new_with_free_func(g_free);
	int r = run_all(d, fuse_req_ctx(req), handle_of(fi), buf, size, gone);

	if (r < 0)
		cim_reply_result(req, r);
	else
		fuse_reply_write(req, size);
	/*
	 * So that the space behind a deleted image becomes free.  Only for those: names are looked
	 * up anew each time, and dropping one that means something again already would take the
	 * directory from under a shell that went there.
	 */
	for (guint i = 0; i < gone->len; i++)
		cim_tell_gone(d, CIM_INO_ROOT, g_ptr_array_index(gone, i));
}

static char *describe_state(struct cim_daemon *d, const char *own_result)
{
	g_autofree char *writer = cim_sessions_describe(&d->sessions);
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&d->lock);
	const char *result = own_result ? own_result : d->last_result;

	return g_strdup_printf(
		"writer: %s\nlast: %s\nresult: %s\n", writer,
		d->last_request ? d->last_request : "none",
		result ? result
		       : "0x00000000 S_OK nothing has been asked yet; \"create new=NAME\" "
			 "opens a writer");
}

/*
 * A state is told in one piece, however small the reads: it is taken when reading begins, which is
 * at the file's start, or wherever writing a request has left the handle's position.
 */
void cim_control_read(fuse_req_t req, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);

	g_mutex_lock(&h->lock);
	if (!h->shown || off == 0 || off < h->start) {
		g_free(h->shown);
		h->shown = describe_state(cim_daemon_of(req), h->result);
		h->start = off;
	}
	size_t n = strlen(h->shown), at = MIN((size_t)(off - h->start), n);
	g_autofree char *part = g_strndup(h->shown + at, MIN(size, n - at));
	/* Before the answer: who has it may close the handle. */
	g_mutex_unlock(&h->lock);
	fuse_reply_buf(req, part, strlen(part));
}
