/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files of committed images: never changing, cached by the kernel for ever, without state here.
 */
#ifndef CIM_IMAGE_OPS_H
#define CIM_IMAGE_OPS_H

#include "ops.h"

extern const struct cim_kind cim_image_kind;

/** cim_image_fill_root - the entry of an image's root directory; 0 or the error of reading it */
int cim_image_fill_root(const struct cim_slot *slot, struct fuse_entry_param *ret);

#endif
