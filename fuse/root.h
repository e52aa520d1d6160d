/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's own nodes: the mount's root directory and the control file.
 */
#ifndef CIM_ROOT_H
#define CIM_ROOT_H

#include "ops.h"

extern const struct cim_kind cim_root_kind;

#endif
