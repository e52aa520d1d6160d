/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an import from a tree (walk.c) and one from a tar (tar-import.c) share: the writer,
 * progress, errors, and how they end early.
 */
#ifndef CIMFS_IMPORT_H
#define CIMFS_IMPORT_H

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "progress.h"
#include "writer.h"

#define IMPORT_ERRORS_MAX 20 /* reported before giving up, unless it keeps going */

struct import {
	/* Set by import.c. */
	struct cim_writer *writer;
	struct progress progress; /* begun */
	dev_t dir_dev; /* the image directory, which does not go into an image of its own */
	ino_t dir_ino;
	bool on_base, folds_case;
	bool keep_going; /* past any number of errors, and commit what there is without them */
	bool consistent; /* nothing but the input may show in the image */

	/* What came of it. */
	_Atomic(int) n_errors;
	_Atomic(bool) hopeless; /* an error that all that follows would meet too */
};

/** import_report - count an error and print it, up to a limit; in any thread */
void import_report(struct import *im, const char *path, int err);

/** import_is_over - whether there is no point in going on */
bool import_is_over(const struct import *im);

/** import_is_stored_xattr - whether an image has a place for an extended attribute of this name */
bool import_is_stored_xattr(const char *name);

/** import_drop_xattrs - take all extended attributes from a file of the image */
int import_drop_xattrs(struct import *im, uint32_t id);

#endif
