/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * POSIX inodes in CIM files: what a file entry and its EAs mean on Linux, and back.
 *
 * The mapping is metadata.md §10: owner, mode and device in the EAs $LXUID, $LXGID, $LXMOD, $LXDEV
 * (WSL's), the type repeated by the reparse tag, and what has no EA is synthesised.  The format
 * counts no links, so a file with more than one name carries its count in an EA of our own,
 * $CIMLINKS (u32); a file without it has one.  Files from elsewhere have names that nobody has
 * counted: what is then known of them here is marked as a part, with CIM_LINKS_AT_LEAST.
 */
#ifndef CIM_POSIX_H
#define CIM_POSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "ea.h"
#include "format.h"
#include "reparse.h"
#include "view.h"

#define CIM_EA_UID   "$LXUID"
#define CIM_EA_GID   "$LXGID"
#define CIM_EA_MODE  "$LXMOD"
#define CIM_EA_DEV   "$LXDEV"
#define CIM_EA_LINKS "$CIMLINKS"
#define CIM_EA_OLD   "LXATTRB" /* WSL 1's LxFs: all of an inode; read, and not written */

#define CIM_LINKS_AT_LEAST 0x80000000u /* in $CIMLINKS: there may be more names */

#define CIM_POSIX_EAS_MAX 128 /* bytes that the five take at most: 3 * 20 + 24 + 24, rounded up */

#define CIM_ID_INVALID 0xFFFFFFFFu /* as $LXUID or $LXGID: not stored */

/* What an EA of the file says; the rest is for cim_posix_show() to choose. */
#define CIM_POSIX_UID  (1u << 0)
#define CIM_POSIX_GID  (1u << 1)
#define CIM_POSIX_MODE (1u << 2) /* permissions; the type is always known */
#define CIM_POSIX_DEV  (1u << 3)
#define CIM_POSIX_ALL  (CIM_POSIX_UID | CIM_POSIX_GID | CIM_POSIX_MODE | CIM_POSIX_DEV)

struct cim_posix {
	uint32_t stored; /* CIM_POSIX_… */
	uint32_t mode;   /* type and permissions */
	uint32_t uid, gid;
	uint32_t major, minor;
	uint32_t n_links;
	bool counted;   /* n_links is all of its names: $CIMLINKS says so, or $LXMOD does, which is
			   written by who counts */
	bool has_times; /* of old WSL's own, which the entry's are not; ticks */
	uint64_t accessed, written, changed;
};

/**
 * cim_posix_decode - what is stored of a file that concerns Linux
 * @e: its entry
 * @ea, @ea_size: its EA list; damage in it ends the list there, each EA stands alone
 * @rp: its reparse buffer, parsed; NULL if it has none
 *
 * The type: a known reparse tag; a link table as default stream; ntfs3's special files ($LXMOD
 * alone, size 0); old WSL's (LXATTRB; a symlink's target is its data); else a regular file.  Mode,
 * owner, group and device each: its $LX EA (the mode if its type is that type), else LXATTRB. Times
 * are LXATTRB's while no $LX EA says that someone else has written the file.
 * What is not stored, and does not follow from what is, is 0.
 */
void cim_posix_decode(const struct cim_entry *e, const void *ea, size_t ea_size,
		      const struct cim_reparse *rp, struct cim_posix *ret);

/**
 * cim_posix_show - what a file is on Linux: what is stored of it, and what the view adds or has
 * instead
 * @flags: of its entry
 */
void cim_posix_show(const struct cim_view *view, uint32_t flags, struct cim_posix *p);

/** cim_posix_ea_field - the CIM_POSIX_… that an EA is about, whatever its value; 0: none */
uint32_t cim_posix_ea_field(const struct cim_ea *ea);

/** cim_posix_is_count - whether an EA is $CIMLINKS */
bool cim_posix_is_count(const struct cim_ea *ea);

/** cim_posix_owns_ea - whether an EA is one of the table above, whatever its value */
static inline bool cim_posix_owns_ea(const struct cim_ea *ea)
{
	return cim_posix_ea_field(ea) || cim_posix_is_count(ea);
}

/** cim_posix_ea_made - whether cim_posix_encode() would make this EA for its field of @p */
bool cim_posix_ea_made(const struct cim_posix *p, const struct cim_ea *ea);

/** cim_posix_count_size - the bytes at the start of an EA list that are $CIMLINKS; 0 if it has none
 * there */
size_t cim_posix_count_size(const void *list, size_t size);

/**
 * cim_posix_encode - the EA list of a file
 * @p: what goes into the EAs of the table above: what is stored, and the number of links if it
 * counts
 * @rest, @rest_size: the file's other EAs, a list in the order to keep, which come behind
 * @ret: an empty list; the caller clears it also on failure
 *
 * Returns 0, -E2BIG, -ENOMEM.
 */
int cim_posix_encode(const struct cim_posix *p, const void *rest, size_t rest_size,
		     struct cim_ea_list *ret);

/** cim_posix_flags - the entry's flags on Linux' account: archive, read-only, sparse; others of
 * @old kept */
uint32_t cim_posix_flags(uint32_t mode, bool has_holes, uint32_t old);

#endif
