/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The walk of an import: a tree of files into a writer.
 */
#ifndef CIM_TOOL_WALK_H
#define CIM_TOOL_WALK_H

#include "import.h"

/**
 * walk_tree - bring a tree of files into the writer
 * @tree: its path, for messages
 * @fd: its root; taken
 *
 * Reports what cannot be read, and counts it in @im->n_errors.
 */
void walk_tree(struct import *im, const char *tree, int fd);

#endif
