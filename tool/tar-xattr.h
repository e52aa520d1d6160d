/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Extended attributes and ACLs in a tar's records, as star, GNU tar and libarchive write them.
 */
#ifndef CIMFS_TAR_XATTR_H
#define CIMFS_TAR_XATTR_H

#include "tar-read.h"
#include "writer.h"

/* The default ACL of a directory, which would go on to what is made in it. */
struct held_acl {
	void *blob; /* g_free(); NULL: none */
	size_t size;
};

/**
 * tar_apply_xattrs - give a file of the image what an entry's records say
 * @w: NULL: only look whether they are right
 * @held: takes a default ACL, instead of the file; NULL: it is no directory
 *
 * Attributes that an image has no place for are passed over, as by the import of a tree.  Returns
 * 0, -EINVAL (a record that is wrong), or what cim_writer_set_xattr() says.
 */
int tar_apply_xattrs(struct cim_writer *w, uint32_t id, struct held_acl *held,
		     const struct tar_entry *e);

#endif
