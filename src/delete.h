/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Deleting an image, with the data that no other needs.
 */
#ifndef CIM_DELETE_H
#define CIM_DELETE_H

#include "store.h"

/* The steps of cim_store_delete(), in order; see there. */
enum cim_delete_step {
	CIM_DELETE_MARKED = 1,
	CIM_DELETE_MARK_SYNCED,
	CIM_DELETE_SETS_REMOVED,
	CIM_DELETE_SETS_SYNCED,
	CIM_DELETE_MARK_REMOVED,
};

/* For tests: called after each step; 1 stops there as a process that is killed does, a negative
 * errno fails the step. */
extern int (*cim_delete_test_hook)(enum cim_delete_step step);

/**
 * cim_store_delete - delete an image, and the data that no other image of the directory lists
 *
 * Takes the directory's lock meanwhile.  The image goes first and durably; what a crash leaves is
 * garbage that the next writer removes, never an image without its data.  Who has the image open
 * reads it to the end.
 *
 * Returns 0; -EINVAL (the name); -EACCES; -CIM_ELOCKED; -ENOENT; -CIM_ECORRUPT (it is no image);
 * as cim_references() (another image of the directory cannot be read, so that nobody knows what it
 * needs): nothing was removed.  -EIO: the image is gone, and some of its data is not.
 */
int cim_store_delete(struct cim_store *store, const char *name);

#endif
