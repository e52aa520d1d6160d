/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the images of a directory need, and removing what none of them does.
 *
 * All of this is for who holds the directory's lock.  Nothing is removed unless it is known what
 * every image needs: one that cannot be read stops it, and so does a file that may be an image and
 * cannot be looked at.
 */
#ifndef CIM_GARBAGE_H
#define CIM_GARBAGE_H

#include "store.h"

/**
 * cim_references - the region sets that the images of a directory list
 * @except: an image that does not count, or NULL
 * @ret: a set of struct cim_guid, owned by the caller; g_hash_table_unref()
 *
 * An image counts by its header, whatever its name.  It must be readable up to its file tables, and
 * the region files that it lists must be there: a damaged list could leave out what it needs.
 *
 * Returns 0; or the error of the first image that cannot be read, which the reason names:
 * -CIM_ECORRUPT, -CIM_EVERSION, -EACCES, …
 */
int cim_references(struct cim_store *store, const char *except, GHashTable **ret);

/**
 * cim_garbage_remove_replaced - remove those of some region sets that no image lists any more, and
 *                               the mark that lists them
 * The directory has been synced since they were listed.  Where they cannot be removed, or judged,
 * the mark stays, for the next sweep.
 */
void cim_garbage_remove_replaced(struct cim_store *store, int dirfd, const char *mark,
				 const struct cim_set *sets, uint32_t n);

/** cim_garbage_remove_set - remove the files of a region set; what is not there does not matter */
int cim_garbage_remove_set(struct cim_store *store, const struct cim_set *set);

/**
 * cim_garbage_mark - the name of the mark of a region set: ".cimfs-GUID"
 *
 * A mark is an image file that is not an image yet, or not any more.  The sets that it lists, and
 * the one of its name, are garbage unless an image lists them.
 */
void cim_garbage_mark(const struct cim_guid *guid, char ret[CIM_FILE_NAME]);

/**
 * cim_garbage_remove_mark - remove a mark when what it stood for is gone for certain
 *
 * Names that go reach the disk in any order, and region files without their mark would stay until
 * somebody runs a gc.  Where that cannot be made certain (fsync(2) of the directory fails) the mark
 * stays, for the next sweep.  Returns 0 or a negative errno.
 */
int cim_garbage_remove_mark(int dirfd, const char *mark);

/**
 * cim_garbage_sweep - remove what dead writers left
 *
 * Files named ".cimfs…" go, and with a mark the region sets that it stands for, unless an image of
 * the directory lists them; where that cannot be told, marks stay.  Costs one reading of the
 * directory's names when there is nothing to do.
 */
int cim_garbage_sweep(struct cim_store *store);

/** Called with each file that goes; @size in bytes on disk.  A negative errno ends the work. */
typedef int (*cim_gc_fn)(void *arg, const char *name, uint64_t size);

/**
 * cim_store_gc - remove region sets that no image of the directory lists, and leftovers
 * @dry_run: only tell what would go
 * @fn: may be NULL
 *
 * Takes the directory's lock meanwhile.  Readers are not disturbed; a crash leaves less garbage
 * and nothing else.
 *
 * Returns 0; -EACCES; -CIM_ELOCKED (a writer is open); as cim_references(): nothing was removed;
 * what @fn returned, or what unlink(2) says: the rest is still there.
 */
int cim_store_gc(struct cim_store *store, bool dry_run, cim_gc_fn fn, void *arg);

#endif
