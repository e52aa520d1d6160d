/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a link leads that Windows made for one of its drives.
 *
 * Such a target is a path from the root of a volume, and Linux has nothing there.  The view says
 * what it becomes; by default the path from the root of the image, which is found from the link's
 * own place by ../ hops, wherever the image is mounted.
 */
#ifndef CIM_SYMLINK_H
#define CIM_SYMLINK_H

#include "reparse.h"
#include "view.h"

#define CIM_DEPTH_UNKNOWN (-1) /* as the depth of a link whose directory is not known */
#define CIM_DEPTH_MAX     (CIM_SYMLINK_MAX / 3) /* of a link that hops can lead out of */

/** cim_symlink_has_place - whether a target depends on where the link is */
static inline bool cim_symlink_has_place(const struct cim_reparse *rp)
{
	return rp->absolute;
}

/**
 * cim_symlink_show - from what cim_reparse_parse() made of a link to the target that is shown
 * @rp, @target: of the link; others than those of Windows' drives stay as they are
 * @buf, @size: its reparse buffer
 * @depth: directories from the link's to the root: 0 in the root
 * @target: room for CIM_SYMLINK_MAX + 1 bytes
 *
 * A link whose depth is not known, or whose target gets too long, is shown as it is stored.
 * Returns its length in bytes, or -CIM_ECORRUPT where that cannot be shown either.
 */
int cim_symlink_show(const struct cim_view *view, const struct cim_reparse *rp, const void *buf,
		     size_t size, int depth, char *target);

#endif
