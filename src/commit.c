/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "commit.h"

#include <fcntl.h>
#include <stdio.h>

#include "error.h"
#include "garbage.h"
#include "node.h"
#include "util.h"

int (*cim_commit_test_hook)(enum cim_commit_step step);

/* 1: a test stops here. */
static int after(enum cim_commit_step step)
{
	return cim_commit_test_hook ? cim_commit_test_hook(step) : 0;
}

static size_t image_size(const struct cim_writer *w)
{
	return sizeof(struct cim_image_disk) + w->n_kept * sizeof(struct cim_set_disk);
}

/* The image file: its header, the parents' sets, its own set. */
static int write_image(struct cim_writer *w, uint64_t fs_off, struct cim_tmpfile *tmp)
{
	size_t size = image_size(w);
	g_autofree uint8_t *image = g_malloc0(size);
	struct cim_image_disk *head = (struct cim_image_disk *)image;
	struct cim_set_disk *parents = (struct cim_set_disk *)(head + 1);

	cim_common_encode(&head->common, CIM_FILE_IMAGE, (uint32_t)size);
	cim_set_encode(&head->own, cim_region_set(w->region));
	head->fs_off = cim_put64(fs_off);
	head->n_parents = cim_put16((uint16_t)w->n_kept);
	for (uint32_t i = 0; i < w->n_kept; i++)
		cim_set_encode(&parents[i], &w->base->sets[i]);
	int r = cim_tmpfile_open(w->lock_fd, "image", tmp);
	if (r == 0 && (r = cim_pwrite_full(tmp->fd, image, size, 0)) < 0)
		r = cim_fail(-r, "cannot write the image file: %s", g_strerror(-r));
	return r;
}

static int sync_fd(int fd, const char *what)
{
	if (fsync(fd) < 0)
		return cim_fail(errno, "cannot make %s durable: %s", what, g_strerror(errno));
	return 0;
}

static int check_name_free(const struct cim_writer *w)
{
	if (!w->replaces && faccessat(w->lock_fd, w->new_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return cim_fail(
			EEXIST,
			"\"%s\" has come into the directory meanwhile; remove or rename it, then commit "
			"again",
			w->new_name);
	return 0;
}

/* *ret_linked: the mark is there still. */
static int rename_image(const struct cim_writer *w, const char *mark, bool *ret_linked)
{
	int r = w->replaces
			? renameat(w->lock_fd, mark, w->lock_fd, w->new_name)
			: renameat2(w->lock_fd, mark, w->lock_fd, w->new_name, RENAME_NOREPLACE);

	*ret_linked = false;
	/* A file system without RENAME_NOREPLACE: link() never replaces. */
	if (r < 0 && !w->replaces && (errno == EINVAL || errno == ENOSYS)) {
		r = linkat(w->lock_fd, mark, w->lock_fd, w->new_name, 0);
		*ret_linked = r == 0;
	}
	if (r < 0)
		return cim_fail(errno, "cannot name the image \"%s\": %s", w->new_name,
				g_strerror(errno));
	return 0;
}

/*
 * An image that is replaced by one that lists fewer sets becomes a mark beside its name, so that a
 * crash leaves nobody's sets to the next sweep.  Without it they stay for a gc.
 */
static void mark_replaced(const struct cim_writer *w, char ret[CIM_FILE_NAME])
{
	if (!w->replaces || w->n_kept == w->base->n_sets)
		return;
	cim_garbage_mark(&w->base->header.own.guid, ret);
	if (linkat(w->lock_fd, w->new_name, w->lock_fd, ret, 0) < 0)
		*ret = 0;
}

/* Step 8, or its undoing.  When it is in doubt whether the image survives, that is for a sweep. */
static void end_replaced(const struct cim_writer *w, const char *mark, bool done, bool visible)
{
	if (done)
		cim_garbage_remove_replaced(w->store, w->lock_fd, mark, w->base->sets + w->n_kept,
					    w->base->n_sets - w->n_kept);
	else if (!visible)
		(void)unlinkat(w->lock_fd, mark, 0);
}

/*
 * From files without a name to an image, durably.  Steps 3 to 7; see cim_writer_commit(). *ret_mark,
 * ret_replaced (empty: no such mark) and *ret_visible say how far it got.  1: a test stopped it.
 */
static int publish(struct cim_writer *w, struct cim_tmpfile *image, const char *mark,
		   bool *ret_mark, char ret_replaced[CIM_FILE_NAME], bool *ret_visible)
{
	bool linked;
	int r = cim_tmpfile_link(w->lock_fd, image, mark);

	if (r < 0)
		return cim_fail(-r, "cannot name the image file: %s", g_strerror(-r));
	*ret_mark = true;
	if ((r = after(CIM_COMMIT_MARKED)))
		return r;
	r = sync_fd(w->lock_fd, "the image directory");
	if (r < 0 || (r = after(CIM_COMMIT_MARK_SYNCED)))
		return r;
	r = cim_region_link(w->region);
	if (r == 0)
		mark_replaced(w, ret_replaced);
	if (r < 0 || (r = after(CIM_COMMIT_LINKED)))
		return r;
	r = sync_fd(w->lock_fd, "the image directory");
	if (r < 0 || (r = after(CIM_COMMIT_LINKS_SYNCED)))
		return r;
	r = rename_image(w, mark, &linked);
	if (r < 0)
		return r;
	*ret_visible = true;
	if ((r = after(CIM_COMMIT_RENAMED)))
		return r;
	r = sync_fd(w->lock_fd, "the image directory");
	/* Not before: on disk it may go before the image's name is there.  A sweep takes it, too. */
	if (r == 0 && linked)
		(void)unlinkat(w->lock_fd, mark, 0);
	return r < 0 ? r : after(CIM_COMMIT_DONE);
}

/* Whether a failure leaves the writer as it was, so that a commit may be tried again. */
static bool may_retry(int r)
{
	return cim_is_full(r) || r == -EEXIST || r == -EMFILE || r == -ENFILE || r == -ENOMEM;
}

/* Steps 1 and 2: everything that the image needs is on disk, and nothing has a name. */
static int prepare(struct cim_writer *w, struct cim_tmpfile *image)
{
	uint64_t fs_off;
	int r = check_name_free(w);

	if (r == 0)
		r = cim_writer_store_all(w);
	if (r == 0)
		cim_chain_shorten(w);
	if (r == 0 && w->consistent)
		cim_order_arrange(w);
	if (r == 0)
		r = cim_region_seal(w->region);
	if (r == 0)
		r = cim_encode(w, &fs_off);
	if (r == 0)
		r = cim_scratch_check(&w->scratch);
	if (r == 0)
		r = cim_blobs_check(&w->blobs);
	if (r == 0)
		r = cim_region_finish(w->region);
	if (r == 0)
		r = write_image(w, fs_off, image);
	if (r == 0)
		r = after(CIM_COMMIT_ENCODED);
	return r;
}

/*
 * The commit, in the order that makes it atomic and durable.  A crash after any step leaves either
 * the old state and files that the next writer sweeps, or the new image whole.
 *
 *  1. All data and metadata go into the region files, which have no name; then the object ID files
 * and the image file, likewise.  What was read for that from files that are never synced (the
 * scratch file, that of blobs, a region file that was compacted) is what was written to them: a
 * page that the kernel could not write may have been read as what the disk has, which it tells when
 * it is asked.
 *  2. fsync each of them: whatever gets a name from here on has its bytes.  A failed fsync ends
 * this writer for good: the kernel may have dropped what it could not write, and a second fsync
 * would not tell.
 *  3. Name the image file ".cimfs-GUID": the mark by which a sweep knows whose region files are
 * orphans.
 *  4. fsync the directory: the mark is there before any of them.
 *  5. Name the region and object ID files, and fsync the directory: all that the image refers to is
 * there before the image.  (POSIX lets names reach the disk in any order unless the directory is
 * synced between.)  An image that is replaced and lists sets that this one does not gets a second
 * name before, ".cimfs-" and its GUID: a mark for those.
 *  6. Rename the mark to NAME: the one instant at which the image appears or is replaced.
 *  7. fsync the directory: from here on a power cut keeps it.
 *  8. Remove the sets that the second mark lists and no image, and then that mark.  Nothing
 * depends on it, and a sweep does the same.
 *
 * When step 7 fails the image is there and may or may not survive a power cut: it stays, and the
 * failure is said.
 */
int cim_writer_commit(struct cim_writer *w)
{
	struct cim_tmpfile image = { .fd = -1 };
	char mark[CIM_FILE_NAME], replaced[CIM_FILE_NAME] = "";
	bool marked = false, visible = false;

	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	int r = cim_writer_usable(w);
	if (r == 0 && w->n_streams > 0)
		r = cim_fail(CIM_ELOCKED, "a stream of the image is still being written; close it");
	/* What the image shares must be there, or it would be none.  The writer can still be read. */
	if (r == 0 && w->base)
		r = cim_image_check_files(w->base);
	if (r < 0)
		return r;
	r = prepare(w, &image);
	if (r < 0 && may_retry(r)) {
		cim_tmpfile_close(w->lock_fd, &image);
		cim_region_unseal(w->region);
		/* What is stored until it is tried again may be found in all sets. */
		cim_chain_keep_all(w);
		return cim_advise_full(r);
	}
	if (r == 0)
		r = cim_region_sync(w->region);
	if (r == 0)
		r = cim_tmpfile_sync(w->lock_fd, &image, image_size(w));
	if (r == 0)
		r = after(CIM_COMMIT_SYNCED);
	cim_garbage_mark(&cim_region_set(w->region)->guid, mark);
	if (r == 0)
		r = publish(w, &image, mark, &marked, replaced, &visible);
	if (r != 1 && r < 0 && !visible) {
		cim_region_unlink(w->region);
		if (marked)
			(void)cim_garbage_remove_mark(w->lock_fd, mark);
	}
	cim_tmpfile_close(w->lock_fd, &image);
	if (*replaced && r != 1)
		end_replaced(w, replaced, r == 0, visible);
	w->state = r == 0 ? CIM_WRITER_COMMITTED : CIM_WRITER_FAILED;
	return r == 1 ? -EINTR : r;
}
