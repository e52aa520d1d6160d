/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "delete.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "garbage.h"
#include "image.h"
#include "lock.h"
#include "util.h"

int (*cim_delete_test_hook)(enum cim_delete_step step);

/* 1: a test stops here. */
static int after(enum cim_delete_step step)
{
	return cim_delete_test_hook ? cim_delete_test_hook(step) : 0;
}

static int check_image(struct cim_store *store, const char *name)
{
	if (faccessat(store->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return cim_fail(errno, "there is no image \"%s\"", name);
	int r = cim_store_probe(store, name);
	return r ? MIN(r, 0)
		 : cim_fail(CIM_ECORRUPT, "\"%s\" is no image; it is not removed", name);
}

static int sync_directory(int lock, const char *name)
{
	if (fsync(lock) < 0)
		return cim_fail(errno, "\"%s\" is removed, but perhaps not durably: %s", name,
				g_strerror(errno));
	return 0;
}

/*
 * Steps 2 to 6.  The mark has the name of the own set, which comes last in the list, and lists the
 * others; a writer that is being opened goes on from it (cim_garbage_sweep()).
 */
static int remove_image(struct cim_store *store, int lock, const char *name,
			const struct cim_set *sets, uint32_t n, GHashTable *others)
{
	char mark[CIM_FILE_NAME];
	int r, left = 0;

	cim_garbage_mark(&sets[n - 1].guid, mark);
	if (renameat(store->dirfd, name, store->dirfd, mark) < 0)
		return cim_fail(errno, "cannot remove \"%s\": %s", name, g_strerror(errno));
	if ((r = after(CIM_DELETE_MARKED)))
		return r;
	r = sync_directory(lock, name);
	if (r < 0 || (r = after(CIM_DELETE_MARK_SYNCED)))
		return r;
	for (uint32_t i = 0; i < n; i++)
		if (!g_hash_table_contains(others, &sets[i].guid) &&
		    cim_garbage_remove_set(store, &sets[i]) < 0)
			left = -EIO;
	if (left < 0)
		return left;
	if ((r = after(CIM_DELETE_SETS_REMOVED)))
		return r;
	r = sync_directory(lock, name);
	if (r < 0 || (r = after(CIM_DELETE_SETS_SYNCED)))
		return r;
	if (unlinkat(store->dirfd, mark, 0) < 0)
		return cim_fail(EIO, "cannot remove \"%s\": %s", mark, g_strerror(errno));
	return after(CIM_DELETE_MARK_REMOVED);
}

/* An image too damaged to say what it needs goes alone. */
static int remove_damaged(struct cim_store *store, int lock, const char *name)
{
	if (unlinkat(store->dirfd, name, 0) < 0)
		return cim_fail(errno, "cannot remove \"%s\": %s", name, g_strerror(errno));
	return sync_directory(lock, name);
}

/*
 * In the order that a crash can do no harm to:
 *
 *  1. Become the writer, and learn which sets all other images list; one that cannot be read ends
 *     it here.
 *  2. Rename the image to the mark ".cimfs-GUID": the one instant at which it goes.
 *  3. fsync the directory: from here on no crash brings the image back, so its data may go.
 *  4. Remove the region and object ID files of its sets that no other image lists.
 *  5. fsync the directory: the mark is there as long as any of them.
 *  6. Remove the mark.
 *
 * A crash before 2 leaves the image whole, one before 3 either that or the mark, and a later one
 * the mark and what is left of the data; the next writer or cimfs gc takes them.
 */
int cim_store_delete(struct cim_store *store, const char *name)
{
	g_autoptr(GHashTable) others = NULL;
	g_autofree struct cim_set *sets = NULL;
	cim_autofd lock = -1;
	uint32_t n = 0;
	int r = cim_store_name_check(name);

	if (r == 0 && faccessat(store->dirfd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		r = cim_fail(EACCES, "you may not remove files of this image directory");
	if (r == 0)
		r = cim_lock(store->dirfd, &lock);
	if (r == 0)
		r = check_image(store, name);
	if (r == 0)
		r = cim_references(store, name, &others);
	if (r < 0)
		return r;
	r = cim_image_list_sets(store, name, &sets, &n);
	if (r == -CIM_ECORRUPT || r == -CIM_EFORMAT || r == -CIM_EVERSION)
		return remove_damaged(store, lock, name);
	if (r < 0)
		return r;
	r = remove_image(store, lock, name, sets, n, others);
	return r == 1 ? -EINTR : r;
}
