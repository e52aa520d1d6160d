/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which region sets the images of a directory need, and deleting an image with those that none
 * does.
 */
#ifndef CIM_DELETE_H
#define CIM_DELETE_H

#include "store.h"

/**
 * cim_references - the region sets that the images of a directory list
 * @except: an image that does not count, or NULL
 * @ret: a set of struct cim_guid, owned by the caller; g_hash_table_unref()
 *
 * Returns 0, or the error of the first image that cannot be read: then nothing may be removed.
 */
int cim_references(struct cim_store *store, const char *except, GHashTable **ret);

/** cim_references_remove_set - remove the files of a region set; what is not there does not matter
 */
int cim_references_remove_set(struct cim_store *store, const struct cim_set *set);

/**
 * cim_store_delete - delete an image, and the data that no other image of the directory shares
 *
 * Takes the directory's lock meanwhile.  The image goes first and durably; a crash in between
 * leaves garbage, never an image without its data.
 *
 * Returns 0; -EINVAL (the name); -EACCES; -CIM_ELOCKED; -ENOENT; -CIM_ECORRUPT (no image, or
 * another image of the directory cannot be read, so that nobody knows what it needs).
 */
int cim_store_delete(struct cim_store *store, const char *name);

#endif
