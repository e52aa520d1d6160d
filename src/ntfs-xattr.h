/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What Windows keeps of a file as extended attributes, under the names of ntfs-3g and ntfs3, with
 * their value formats (metadata.md §5.1, 5.2).
 *
 *	system.ntfs_attrib, _be      u32: attributes; in the CPU's byte order, or big-endian
 *	system.dos_attrib            u8: the lower byte of them
 *	system.ntfs_times, _be       4 u64: creation, last write, last access, change
 *	system.ntfs_crtime, _be      u64: creation
 *	system.ntfs_acl, _security   the self-relative security descriptor
 *	system.ntfs_reparse_data     the reparse buffer, tag first
 *	system.ntfs_ea               the EA list as it is on NTFS: no next offset is 0
 *	user.DOSATTRIB               text, "0x20": attributes, as Samba and Wine have them; where
 *	                             the view wants it
 *
 * They are always answered and not listed unless asked for, or every copying tool would try to set
 * them elsewhere.  ntfs-3g's names for what the format has no place for (object IDs, short names,
 * EFS) are known and never there.
 *
 * Pure: from and to struct cim_winmeta.
 */
#ifndef CIM_NTFS_XATTR_H
#define CIM_NTFS_XATTR_H

#include <stdbool.h>
#include <sys/types.h>

#include "view.h"
#include "windows.h"

#define CIM_XATTR_DOS_ATTRIB   "system.dos_attrib"
#define CIM_XATTR_NTFS_REPARSE "system.ntfs_reparse_data"
#define CIM_XATTR_NTFS_EA      "system.ntfs_ea"

/** cim_ntfs_xattr_is - whether a name is one of the above that a view has */
bool cim_ntfs_xattr_is(const struct cim_view *view, const char *name);

/**
 * cim_ntfs_xattr_get - a value
 * @m: all that Windows keeps of the file
 * @name: one of the above
 * @buf, @size: where to, or size 0 to ask for the size
 *
 * Returns its size in bytes, -ENODATA, -ERANGE (@buf too short; of the times as many as fit are
 * given).
 */
ssize_t cim_ntfs_xattr_get(const struct cim_winmeta *m, const char *name, void *buf, size_t size);

/** cim_ntfs_xattr_list - call @fn with each name that has a value; ends as cim_xattr_fn says */
int cim_ntfs_xattr_list(const struct cim_winmeta *m, int (*fn)(void *arg, const char *name),
			void *arg);

/* What setting or removing one does: for cim_writer_set_windows(). */
struct cim_ntfs_change {
	unsigned int mask;       /* CIM_WIN_… */
	struct cim_winmeta meta; /* points into the value, or to what is owned */
	bool now;                /* the change time becomes now; else it is set, or stays */
	void *owned;             /* g_free() */
};

/**
 * cim_ntfs_xattr_set - what setting a value means
 * @old: all that Windows keeps of the file now
 * @value: looked into here for what @ret needs, and checked by cim_writer_set_windows()
 * @flags: 0, XATTR_CREATE or XATTR_REPLACE
 *
 * Of the attributes those that ntfs-3g lets a caller set are taken, the others stay.  As the fourth
 * of the times the change time is taken, so that what was read can be set; ntfs-3g ignores it.
 * An EA list may end with a next offset of 0 as well.
 *
 * Returns 0; -EEXIST, -ENODATA (@flags); -EINVAL (a size or an EA list that cannot be);
 * -EOPNOTSUPP (the format has no place for it); -ENOMEM.
 */
int cim_ntfs_xattr_set(const struct cim_winmeta *old, const char *name, const void *value,
		       size_t size, int flags, struct cim_ntfs_change *ret);

/** cim_ntfs_xattr_remove - the same for removing; -ENODATA, -EPERM (what every file has) */
int cim_ntfs_xattr_remove(const struct cim_winmeta *old, const char *name,
			  struct cim_ntfs_change *ret);

#endif
