/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reparse points: how symlinks and special files are stored (metadata.md §2).
 *
 * Pure functions on buffers: REPARSE_DATA_BUFFER, tag first.  A buffer in an image is
 * hostile; every offset and length is checked here and nowhere else.
 */
#ifndef CIM_REPARSE_H
#define CIM_REPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIM_TAG_MOUNT_POINT 0xA0000003u
#define CIM_TAG_SYMLINK     0xA000000Cu
#define CIM_TAG_LX_SYMLINK  0xA000001Du
#define CIM_TAG_AF_UNIX     0x80000023u
#define CIM_TAG_LX_FIFO     0x80000024u
#define CIM_TAG_LX_CHR      0x80000025u
#define CIM_TAG_LX_BLK      0x80000026u
#define CIM_TAG_NFS         0x80000014u

#define CIM_REPARSE_MAX 16384 /* bytes of a whole buffer (MAXIMUM_REPARSE_DATA_BUFFER_SIZE) */
#define CIM_SYMLINK_MAX 4095  /* bytes of a target that Linux can read: PATH_MAX - 1 */

/* What a reparse buffer makes of a file on Linux. */
struct cim_reparse {
	uint32_t type; /* S_IFLNK, S_IFIFO, …; 0: none, the plain file or directory */
	bool has_rdev; /* NFS tags carry the device; LX_CHR and LX_BLK have it in $LXDEV */
	uint32_t major, minor;
	bool target_is_data; /* LX_SYMLINK version 1: the target is the file's data */
	bool absolute;       /* target is "/…", a path from the root of a volume of Windows */
	bool same_volume;    /* ... of the one that the link is in */
	char drive;          /* ... of the one with this lower-case letter; 0: it has none */
};

/**
 * cim_reparse_parse - what a buffer says
 * @buf, @size: the buffer as stored
 * @tag: the file entry's tag; used when @size is 0 (a tag without a buffer)
 * @ret: filled
 * @ret_target: NULL, or room for CIM_SYMLINK_MAX + 1 bytes: the NUL-terminated target when
 *              type is S_IFLNK and it is not in the data
 *
 * LX_SYMLINK targets are bytes as they are.  SYMLINK (relative): '\' to '/', each component
 * through cim_name_decode().  SYMLINK (absolute) and MOUNT_POINT: the prefix (\??\, \\?\,
 * \DosDevices\, \GLOBAL??\) and drive letter are dropped and the rest is "/…"; so is a relative
 * one that begins with '\', the root of its volume.  cim_symlink_show() knows where that is.  The oddity of
 * ntfs3 (flags 0, \??\ + a relative target) is read from the print name.
 *
 * Returns 0 (unknown tags: type 0), or -CIM_ECORRUPT (a length or offset lies, a target is
 * empty, has a NUL, or is over CIM_SYMLINK_MAX bytes).
 */
int cim_reparse_parse(const void *buf, size_t size, uint32_t tag, struct cim_reparse *ret,
		      char *ret_target);

/**
 * cim_reparse_check - whether a buffer may be stored: the gate for those that come from outside
 *
 * The tag is not 0, the data is as long as it says, and the names of links lie inside.  What a link
 * leads to is not looked at: it may be more than Linux can read.
 *
 * Returns 0 or -EINVAL.
 */
int cim_reparse_check(const void *buf, size_t size);

/**
 * cim_reparse_raw_target - the target of a SYMLINK or MOUNT_POINT as it is stored
 * @ret: room for CIM_SYMLINK_MAX + 1 bytes: generalised UTF-8, NUL-terminated
 * Returns its length in bytes; -CIM_ECORRUPT as above, or -EINVAL (another tag).
 */
int cim_reparse_raw_target(const void *buf, size_t size, char *ret);

/**
 * cim_reparse_lx_symlink - an LX_SYMLINK version 2 buffer, byte-exact
 * @ret: room for CIM_REPARSE_MAX bytes
 * Returns its size in bytes, or -ENOENT (empty, as symlink(2)), or -ENAMETOOLONG (over
 * CIM_SYMLINK_MAX bytes).
 */
int cim_reparse_lx_symlink(const char *target, uint8_t *ret);

/**
 * cim_reparse_symlink - a native relative SYMLINK buffer, if it gives the target back byte for byte
 * @target: NUL-terminated Linux target
 * @ret: room for CIM_REPARSE_MAX bytes
 *
 * Print name first, then substitute name, as mklink has them; both equal, no NULs
 * (metadata.md §2.3 example).
 *
 * Returns its size in bytes, or 0 when only an LX_SYMLINK can hold the target: absolute, "//",
 * trailing '/', empty component, a component that E() does not give back, or too long.
 */
int cim_reparse_symlink(const char *target, uint8_t *ret);

/**
 * cim_reparse_special - the 8-byte buffer of a FIFO, socket or device
 * @type: the type bits of a mode and no others
 * Returns 8, or 0 for other types.
 */
int cim_reparse_special(uint32_t type, uint8_t *ret);

#endif
