/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Publishing an image, and what is left of writers that died while they did.
 */
#ifndef CIM_COMMIT_H
#define CIM_COMMIT_H

#include "store.h"

/* The steps of cim_writer_commit(), in order; see there. */
enum cim_commit_step {
	CIM_COMMIT_ENCODED = 1,
	CIM_COMMIT_SYNCED,
	CIM_COMMIT_MARKED,
	CIM_COMMIT_MARK_SYNCED,
	CIM_COMMIT_LINKED,
	CIM_COMMIT_LINKS_SYNCED,
	CIM_COMMIT_RENAMED,
	CIM_COMMIT_DONE,
};

/*
 * For tests: called after each step.  Returns 0 to go on, 1 to stop there as a process that is
 * killed does (nothing is undone), or a negative errno: the step fails.
 */
extern int (*cim_commit_test_hook)(enum cim_commit_step step);

/**
 * cim_commit_sweep - remove what dead writers left in a directory whose lock is held
 *
 * Files named ".cimfs…" go.  One named ".cimfs-GUID" is the image that a writer was about to
 * publish: the region set of that GUID goes with it, unless an image of the directory lists it.
 * Costs one reading of the directory's names when there is nothing to do.
 */
int cim_commit_sweep(struct cim_store *store);

#endif
