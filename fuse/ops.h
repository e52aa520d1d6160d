/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The operations of the daemon: one table for libfuse, and one for each kind of node.
 */
#ifndef CIM_OPS_H
#define CIM_OPS_H

#include "daemon.h"

/* A kind of node: what it can do, and the errno with which it refuses everything else. */
struct cim_kind {
	struct fuse_lowlevel_ops ops;
	int refusal;
};

/* The table for libfuse. */
extern const struct fuse_lowlevel_ops cim_ops;

#endif
