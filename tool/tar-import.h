/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The import of a tar: its entries into a writer.
 */
#ifndef CIMFS_TAR_IMPORT_H
#define CIMFS_TAR_IMPORT_H

#include "import.h"
#include "layer.h"

struct tar_options {
	const char *file; /* "-": standard input */
	bool whiteouts;   /* ".wh.NAME" takes NAME away; else it is a file's name */
	bool quiet;       /* say nothing but errors */
	enum layer_use windows;
};

/**
 * tar_import - bring a tar into the writer
 *
 * Reports entries that are refused, and counts them in @im->n_errors.  Returns 0, or an error that
 * is reported: the archive cannot be read, and nothing should be committed whatever the caller does
 * with errors of entries.
 */
int tar_import(struct import *im, const struct tar_options *options);

#endif
