/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How files are shown, where that is a matter of choice: owners and modes that files from Windows
 * do not have, streams, links that lead to a drive, names in another case.
 *
 * The choices, and their names as mount options, are those of ntfs-3g, vfat, ntfs3 and the SMB
 * client (metadata.md §10.3).  None of them changes what is stored.
 */
#ifndef CIM_VIEW_H
#define CIM_VIEW_H

#include <stdbool.h>
#include <stdint.h>

/* Where the alternate data streams of a file are. */
enum cim_view_streams {
	CIM_STREAMS_XATTR,     /* stream S is the xattr user.S; "ntfs-3g.N" is the xattr N */
	CIM_STREAMS_NONE,      /* nowhere */
	CIM_STREAMS_OPENXATTR, /* stream S is the xattr S */
	CIM_STREAMS_WINDOWS,   /* stream S of file F is the file F:S */
};

/* What a link to a drive of Windows (an absolute SYMLINK, a MOUNT_POINT) leads to. */
enum cim_view_abslinks {
	CIM_ABSLINKS_ROOT, /* the path in this image, by ../ hops, whatever the drive */
	CIM_ABSLINKS_RAW,  /* the target as it is stored */
	CIM_ABSLINKS_DIR,  /* symlink_root/DRIVE/path */
};

struct cim_view {
	uint32_t uid, gid; /* of files that have none */
	uint32_t fmask,
		dmask; /* permission bits taken away from files, directories without a mode */
	bool force_uid, force_gid; /* uid, gid of all files */
	bool no_metadata;          /* owners and modes that are stored do not count */
	bool ignore_case;          /* a name that is not there may be there in another case */
	bool hide_hidden;          /* hidden files are not listed */
	bool list_ntfs_xattrs;     /* the virtual system.ntfs_* are listed */
	bool dosattrib;            /* user.DOSATTRIB shows the attributes */
	bool windows_names;        /* writers refuse names that Win32 forbids */
	enum cim_view_streams streams;
	enum cim_view_abslinks abslinks;
	const char *symlink_root; /* borrowed; of CIM_ABSLINKS_DIR: an absolute path */
};

/** cim_view_default - owners are this process' ids, umask 022, streams as xattrs, links from the
 * root */
struct cim_view cim_view_default(void);

#endif
