/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The walk of an import: a tree of files into a writer.
 */
#ifndef CIM_TOOL_WALK_H
#define CIM_TOOL_WALK_H

#include <glib.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "progress.h"
#include "writer.h"

#define WALK_ERRORS_MAX 20 /* reported before giving up */

struct import {
	/* Set by the caller. */
	struct cim_writer *writer;
	struct progress progress; /* begun */
	dev_t dir_dev; /* the image directory, which does not go into an image of its own */
	ino_t dir_ino;
	bool on_base, folds_case;

	/* Set by the walk. */
	_Atomic(int) n_errors;
	_Atomic(bool) hopeless; /* an error that all that follows would meet too */

	/* The walk's own. */
	struct workers *workers;
	GPtrArray *levels; /* struct level: the directories that it is in */
	guint first_open;  /* levels before it have been closed */
	GString *path;
	GHashTable *links; /* struct link -> ID */
	char *xattr_names, *xattr_value;
};

/* The signal that ends the walk; a handler sets it. */
extern volatile sig_atomic_t walk_signal;

/**
 * walk_tree - bring a tree of files into the writer
 * @tree: its path, for messages
 * @fd: its root; taken
 *
 * Reports what cannot be read, and counts it in @im->n_errors: then nothing should be committed.
 */
void walk_tree(struct import *im, const char *tree, int fd);

#endif
