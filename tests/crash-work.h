/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work of every kind on a directory of images, traced for crash states.
 */
#ifndef CIM_TESTS_CRASH_WORK_H
#define CIM_TESTS_CRASH_WORK_H

#include "images.h"
#include "trace.h"

/* What a file system lacks: the core then does it in another way. */
enum crash_lack {
	CRASH_LACK_NONE,
	CRASH_LACK_TMPFILE,   /* O_TMPFILE: files have names from the start */
	CRASH_LACK_NOREPLACE, /* RENAME_NOREPLACE, too: link() and unlink() instead of rename() */
	N_CRASH_LACKS,
};

struct crash_work {
	const char *name;
	void (*run)(int arg);
	int arg;
	/*
	 * A link whose fsync has failed may be lost for ever, though it is there until the power
	 * fails: who finds the mark beside it cannot know that the mark alone is on the disk.
	 */
	bool may_lose_link;
};

extern const struct crash_work crash_works[];
extern const int n_crash_works;

/** crash_work_find - by name */
const struct crash_work *crash_work_find(const char *name);

/**
 * crash_work_trace - do it, in a new directory
 * @ret_may: images * by the numbers of the trace's marks
 *
 * What the file system lacks it lacks from then on, until crash_work_reset().
 */
struct trace *crash_work_trace(const struct crash_work *work, enum crash_lack lack,
			       GPtrArray **ret_may);
void crash_work_reset(void);

#endif
