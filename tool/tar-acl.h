/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * POSIX ACLs as tars have them: text, in SCHILY.acl.access and SCHILY.acl.default, as star, GNU tar
 * and libarchive write it.
 *
 * Entries are "TAG:QUALIFIER:PERMISSIONS[:ID]", divided by commas or newlines.  Of a user or group
 * the number at the end counts, else the qualifier: a number, or a name that this system knows.
 */
#ifndef CIMFS_TAR_ACL_H
#define CIMFS_TAR_ACL_H

#include <glib.h>

/** tar_acl_parse - text to Linux' blob (acl.h); 0 or -EINVAL */
int tar_acl_parse(const char *text, size_t size, GByteArray **ret);

/** tar_acl_format - a blob that cim_acl_check() has passed to text, all ids as numbers */
void tar_acl_format(const void *blob, size_t size, GString *ret);

#endif
