/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening and closing a writer; its tree is tree.c's, its commit is commit.c's.
 */
#include "config.h"

#include "writer.h"

#include <fcntl.h>
#include <stdlib.h>

#include "error.h"
#include "garbage.h"
#include "lock.h"
#include "node.h"
#include "util.h"

static int check_names(const char *existing, const char *new_name)
{
	int r = 0;

	if (!existing && !new_name)
		return cim_fail(EINVAL,
				"an image to start from, a new image, or both must be named");
	if (existing)
		r = cim_store_name_check(existing);
	if (r == 0 && new_name)
		r = cim_store_name_check(new_name);
	return r;
}

static int check_access(const struct cim_store *store)
{
	if (faccessat(store->dirfd, ".", R_OK | W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	if (errno == EROFS)
		return cim_fail(EACCES, "the image directory is on a read-only file system");
	return cim_fail(EACCES, "you may not list this image directory or add files to it");
}

/* E must be there, N must not; under the lock. */
static int check_there(const struct cim_store *store, const char *existing, const char *new_name,
		       bool replaces)
{
	if (existing && faccessat(store->dirfd, existing, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT
			       ? cim_fail(ENOENT, "there is no image \"%s\" in the directory",
					  existing)
			       : cim_fail(errno, "\"%s\": %s", existing, g_strerror(errno));
	if (!replaces && faccessat(store->dirfd, new_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return cim_fail(EEXIST,
				"there is a file \"%s\" in the directory; choose another name",
				new_name);
	return 0;
}

/* Whatever is wrong with it, an existing image that cannot be read is a damaged one to the caller.
 */
static int open_base(struct cim_writer *w, enum cim_case cmp)
{
	int r = cim_image_open(w->store, w->existing, &w->base);

	if (r == -CIM_EFORMAT || r == -CIM_EVERSION || r == -EIO)
		r = -CIM_ECORRUPT;
	if (r < 0)
		return r;
	w->base_last_id = cim_image_last_id(w->base);
	w->root_id = w->base->fs.root_id;
	if (w->base_last_id < w->root_id)
		return cim_fail(CIM_ECORRUPT,
				"image \"%s\" cannot be read: its last file table is damaged",
				w->existing);
	w->upcase = w->base->upcase;
	w->case_sensitive = cim_image_is_case_sensitive(w->base);
	if (w->case_sensitive)
		w->upcase.disk = NULL;
	w->hashed = w->upcase;
	if ((cmp == CIM_CASE_SENSITIVE && !w->case_sensitive) ||
	    (cmp == CIM_CASE_INSENSITIVE && w->case_sensitive))
		return cim_fail(EINVAL, "\"%s\" is case-%s, and a fork keeps its base's case",
				w->existing, w->case_sensitive ? "sensitive" : "insensitive");
	return 0;
}

static int make_root(struct cim_writer *w, enum cim_case cmp)
{
	struct cim_node *root = cim_node_new(w);

	w->case_sensitive = cmp != CIM_CASE_INSENSITIVE;
	if (!w->case_sensitive)
		w->upcase.disk = cim_upcase_windows();
	w->hashed = w->upcase;
	w->root_id = root->id;
	root->mode = S_IFDIR | 0755;
	root->uid = geteuid();
	root->gid = getegid();
	root->n_links = 1;
	root->parent_id = root->id;
	root->dir = g_new0(struct cim_dir, 1);
	root->created = root->accessed = root->written = root->changed = cim_ticks_now();
	return 0;
}

static int start(struct cim_writer *w, enum cim_case cmp)
{
	int r = check_access(w->store);

	if (r == 0)
		r = cim_lock(w->store->dirfd, &w->lock_fd);
	if (r == 0)
		r = check_there(w->store, w->existing, w->new_name, w->replaces);
	if (r == 0)
		r = cim_garbage_sweep(w->store);
	if (r == 0)
		r = w->existing ? open_base(w, cmp) : make_root(w, cmp);
	if (r == 0)
		r = cim_region_writer_new(w->lock_fd, w->base, &w->region);
	if (r == 0)
		cim_chain_keep_all(w);
	return r;
}

int cim_writer_open(struct cim_store *store, const char *existing, const char *new_name,
		    enum cim_case cmp, struct cim_writer **ret)
{
	int r = check_names(existing, new_name);

	if (r < 0)
		return r;
	struct cim_writer *w = g_new0(struct cim_writer, 1);
	w->store = cim_store_ref(store);
	w->lock_fd = -1;
	w->view = cim_view_default();
	w->existing = g_strdup(existing);
	w->new_name = g_strdup(new_name ? new_name : existing);
	w->replaces = g_strcmp0(w->existing, w->new_name) == 0;
	g_mutex_init(&w->lock);
	w->base_nodes = g_hash_table_new_full(NULL, NULL, NULL, cim_node_free);
	w->new_nodes = g_ptr_array_new_with_free_func(cim_node_free);
	cim_scratch_init(&w->scratch, store->dirfd);
	cim_blobs_init(&w->blobs, store->dirfd);
	r = start(w, cmp);
	if (r < 0) {
		cim_writer_close(w);
		return cim_advise_full(r);
	}
	*ret = w;
	return 0;
}

int cim_writer_open_path(const char *path, const char *existing, const char *new_name,
			 enum cim_case cmp, struct cim_writer **ret)
{
	struct cim_store *store;
	int r = check_names(existing, new_name);

	if (r == 0)
		r = cim_store_open(AT_FDCWD, path, &store);
	if (r < 0)
		return r;
	r = cim_writer_open(store, existing, new_name, cmp, ret);
	cim_store_unref(store);
	return r;
}

void cim_writer_make_consistent(struct cim_writer *w)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_node *root = cim_node_find(w, w->root_id);

	w->consistent = true;
	cim_region_make_consistent(w->region);
	if (!root || w->base)
		return;
	root->uid = root->gid = 0;
	root->created = root->accessed = root->written = root->changed = cim_writer_now(w);
}

void cim_writer_close(struct cim_writer *w)
{
	if (!w)
		return;
	g_hash_table_destroy(w->base_nodes);
	g_ptr_array_free(w->new_nodes, TRUE);
	cim_scratch_clear(&w->scratch);
	cim_blobs_clear(&w->blobs);
	cim_region_writer_free(w->region);
	cim_image_unref(w->base);
	g_mutex_clear(&w->lock);
	g_free(w->existing);
	g_free(w->new_name);
	/* Last: until here the directory is ours. */
	if (w->lock_fd >= 0)
		(void)close(w->lock_fd);
	cim_store_unref(w->store);
	g_free(w);
}

void cim_writer_set_view(struct cim_writer *w, const struct cim_view *view)
{
	w->view = *view;
	/* Nothing has been hashed yet. */
	if (view->ignore_case && w->case_sensitive)
		w->hashed = cim_fold_upcase();
	if (w->base)
		w->base->view = *view;
}

void cim_writer_info(struct cim_writer *w, struct cim_writer_info *ret)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);

	*ret = (struct cim_writer_info){
		.existing = w->existing,
		.new_name = w->new_name,
		.case_sensitive = w->case_sensitive,
		.base_last_id = w->base_last_id,
		.n_changed = w->n_changed,
		.n_bytes = cim_region_bytes(w->region),
	};
}
