/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files of writer/: the tree of the open writer, as a POSIX file system.
 */
#ifndef CIM_WRITER_OPS_H
#define CIM_WRITER_OPS_H

#include "ops.h"

extern const struct cim_kind cim_writer_kind;

/** cim_writer_fill_root - the entry of writer/, with one lookup of it; 0, -ESTALE, -EBUSY, … */
int cim_writer_fill_root(struct cim_session *s, struct fuse_entry_param *ret);

/** cim_writer_forget - the kernel holds @n lookups of a file less */
void cim_writer_forget(struct cim_slot *slot, uint32_t id, uint64_t n);

#endif
