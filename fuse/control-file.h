/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control file as a file: opened, written, read.  Its language is control.h's.
 */
#ifndef CIM_CONTROL_FILE_H
#define CIM_CONTROL_FILE_H

#include "daemon.h"

/** cim_control_stat - the file's attributes: its owner and mode are those of the containing
 * directory @dir */
void cim_control_stat(const struct stat *dir, struct stat *ret);

void cim_control_open(fuse_req_t req, struct fuse_file_info *fi);
void cim_control_read(fuse_req_t req, size_t size, off_t off, struct fuse_file_info *fi);
void cim_control_write(fuse_req_t req, const char *buf, size_t size, struct fuse_file_info *fi);
void cim_control_release(fuse_req_t req, struct fuse_file_info *fi);

#endif
