/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * POSIX ACLs as the xattr blob that Linux uses: what a writable tree must do with them.
 *
 * Blob: u32 version 2, then entries {u16 tag, u16 permissions, u32 id}, sorted by tag and
 * id (linux/posix_acl_xattr.h).  Pure functions; the blob comes from a caller and is checked:
 * all but cim_acl_check() take only one that has passed it.
 */
#ifndef CIM_ACL_H
#define CIM_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIM_ACL_ACCESS  "system.posix_acl_access"
#define CIM_ACL_DEFAULT "system.posix_acl_default"

/**
 * cim_acl_check - whether a blob is a valid ACL
 * Returns 0, or -EINVAL (version, size, unknown or repeated tags, missing owner, group, other
 * or, with named entries, mask; entries out of order).
 */
int cim_acl_check(const void *blob, size_t size);

/**
 * cim_acl_to_mode - the nine permission bits that an access ACL implies
 * @mode: the file's mode; its other bits are kept
 * @ret_minimal: the ACL says no more than the mode does, so it need not be stored
 *
 * Returns the new mode.
 */
uint32_t cim_acl_to_mode(const void *blob, size_t size, uint32_t mode, bool *ret_minimal);

/**
 * cim_acl_chmod - rewrite an access ACL in place for a new mode, as chmod(2) does
 * (owner, other, and the mask if there is one, else the group)
 */
void cim_acl_chmod(void *blob, size_t size, uint32_t mode);

/**
 * cim_acl_inherit - what a file created in a directory with a default ACL gets
 * @blob: the parent's default ACL, rewritten in place into the child's access ACL
 * @mode: the mode asked for, without umask
 * @ret_minimal: the access ACL need not be stored
 *
 * Returns the child's mode.
 */
uint32_t cim_acl_inherit(void *blob, size_t size, uint32_t mode, bool *ret_minimal);

#endif
