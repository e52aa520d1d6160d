/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Publishing an image.
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

#endif
