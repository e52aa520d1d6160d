/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The export of an image as a tar: the walk of its files.
 */
#ifndef CIMFS_TAR_EXPORT_H
#define CIMFS_TAR_EXPORT_H

#include "layer.h"
#include "progress.h"
#include "reader.h"

/**
 * tar_export - write all of an image as a tar
 * @arg: DIR/NAME, for messages
 *
 * A directory stands before what is in it, names in the order of their bytes; other names of a file
 * are links to the first; streams follow their file.  Reports what cannot be read, goes on, and
 * counts it in @ret_n_errors; what a file lacks is zeros.  Returns 0, -EINTR (a signal), or an
 * error of writing.
 */
int tar_export(struct cim_image *img, const char *arg, int fd, enum layer_use windows,
	       struct progress *progress, uint64_t *ret_n_errors);

#endif
