/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The root directory: control, writer/ while there is a writer, and the images.  Nothing is kept:
 * names and attributes are those of the containing directory now, and the kernel is told to ask
 * each time.
 */
#include "config.h"

#include "root.h"

#include <sys/stat.h>

#include "control-file.h"
#include "error.h"
#include "image-ops.h"
#include "reply.h"
#include "writer-ops.h"

static int fill_stat(const struct cim_daemon *d, fuse_ino_t ino, struct stat *ret)
{
	struct stat dir;

	if (fstat(d->store->dirfd, &dir) < 0)
		return -errno;
	if (ino == CIM_INO_CONTROL) {
		cim_control_stat(&dir, ret);
	} else {
		*ret = dir;
		ret->st_ino = CIM_INO_ROOT;
	}
	return 0;
}

static void root_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;
	int r = fill_stat(cim_daemon_of(req), ino, &st);

	if (r < 0)
		cim_reply_result(req, r);
	else
		fuse_reply_attr(req, &st, 0);
}

/* ">control" truncates and touch(1) sets times, which both do no harm; nothing else can be set. */
static void root_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
			 struct fuse_file_info *fi)
{
	const int owned = FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID;

	if (ino == CIM_INO_CONTROL && !(to_set & owned))
		root_getattr(req, ino, fi);
	else
		fuse_reply_err(req, EPERM);
}

/* ---- names ---- */

static void lookup_control(fuse_req_t req)
{
	struct fuse_entry_param e = { .ino = CIM_INO_CONTROL };
	int r = fill_stat(cim_daemon_of(req), CIM_INO_CONTROL, &e.attr);

	if (r < 0)
		cim_reply_result(req, r);
	else
		fuse_reply_entry(req, &e);
}

static void lookup_writer(fuse_req_t req)
{
	struct cim_session *s = cim_sessions_current(&cim_daemon_of(req)->sessions);
	struct fuse_entry_param e;
	int r = s ? cim_writer_fill_root(s, &e) : -ENOENT;

	/* It has gone, or is about to, since we have seen it. */
	if (r == -ESTALE || r == -EBUSY)
		r = -ENOENT;
	if (r < 0) {
		cim_reply_result(req, r);
		return;
	}
	e.entry_timeout = 0;
	if (fuse_reply_entry(req, &e) < 0)
		cim_writer_forget(s->slot, cim_ino_id(e.ino), 1);
}

static void lookup_image(fuse_req_t req, const char *name)
{
	struct cim_daemon *d = cim_daemon_of(req);
	struct fuse_entry_param e;
	struct cim_slot *slot;
	int r = cim_slots_open_image(&d->slots, d->store, name, &d->view, &slot);

	if (r < 0) {
		cim_reply_result(req, r);
		return;
	}
	r = cim_image_fill_root(slot, &e);
	e.entry_timeout = 0;
	if (r < 0)
		cim_reply_result(req, r);
	if (r < 0 || fuse_reply_entry(req, &e) < 0)
		cim_slots_unref(&d->slots, slot, 1);
}

static void root_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (parent != CIM_INO_ROOT)
		fuse_reply_err(req, ENOTDIR);
	else if (strcmp(name, "control") == 0)
		lookup_control(req);
	else if (strcmp(name, "writer") == 0)
		lookup_writer(req);
	else
		lookup_image(req, name);
}

static int take_names(void *arg, GPtrArray *names)
{
	struct cim_daemon *d = arg;
	g_autofree GStrv images = NULL;
	int r = cim_store_list(d->store, &images);

	if (r < 0)
		return r;
	g_ptr_array_add(names, g_strdup("control"));
	if (cim_sessions_current(&d->sessions))
		g_ptr_array_add(names, g_strdup("writer"));
	for (char **p = images; *p; p++)
		g_ptr_array_add(names, *p);
	return 0;
}

/* Without attributes also where they are asked for: to list a name must not open its image. */
static void add_names(fuse_req_t req, const struct cim_listing *l, guint i, struct cim_dirbuf *d)
{
	for (; i < l->names->len; i++) {
		const char *name = g_ptr_array_index(l->names, i);
		bool control = strcmp(name, "control") == 0;
		struct fuse_entry_param e = { .attr = {
						      .st_ino = control ? CIM_INO_CONTROL
									: CIM_INO_UNKNOWN,
						      .st_mode = control ? S_IFREG : S_IFDIR,
					      } };

		if (!cim_dirbuf_add(d, req, name, &e, (off_t)i + 1 + CIM_DIR_FIRST))
			break;
	}
}

static void list(fuse_req_t req, size_t size, off_t off, bool plus)
{
	struct cim_daemon *daemon = cim_daemon_of(req);
	uint32_t i = cim_listing_index(off);
	struct cim_listing *l;
	struct cim_dirbuf d;
	int r = cim_dirbuf_init(&d, size, plus);

	if (r == 0)
		r = cim_listings_at(&daemon->listings, off, take_names, daemon, &l);
	if (r < 0) {
		cim_dirbuf_clear(&d);
		cim_reply_result(req, r);
		return;
	}
	d.base = l->base;
	if (cim_dirbuf_add_dots(&d, req, CIM_INO_ROOT, CIM_INO_ROOT, i))
		add_names(req, l, MAX(i, CIM_DIR_FIRST) - CIM_DIR_FIRST, &d);
	cim_listings_put(&daemon->listings, l, d.used == 0);
	(void)cim_reply_changing(req, &d);
}

static void root_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			 struct fuse_file_info *fi)
{
	list(req, size, off, false);
}

static void root_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			     struct fuse_file_info *fi)
{
	list(req, size, off, true);
}

/* ---- the control file ---- */

static void root_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	cim_control_open(req, fi);
}

static void root_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		      struct fuse_file_info *fi)
{
	cim_control_read(req, size, off, fi);
}

static void root_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	cim_control_write(req, buf, size, fi);
}

static void root_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static void root_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static void root_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	cim_control_release(req, fi);
}

/* ---- extended attributes: none ---- */

static void root_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	fuse_reply_err(req, ENODATA);
}

static void root_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	cim_reply_bytes(req, NULL, 0, size);
}

const struct cim_kind cim_root_kind = {
	.refusal = EPERM,
	.ops = {
		.lookup = root_lookup,
		.getattr = root_getattr,
		.setattr = root_setattr,
		.open = root_open,
		.read = root_read,
		.write = root_write,
		.flush = root_flush,
		.release = root_release,
		.fsync = root_fsync,
		.readdir = root_readdir,
		.readdirplus = root_readdirplus,
		.getxattr = root_getxattr,
		.listxattr = root_listxattr,
	},
};
