/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What Windows keeps about a file, as CIMFS_FILE_METADATA has it, and the gate for it.
 *
 * Security descriptors, reparse buffers and EA lists come from callers, tars and xattrs: each is
 * checked here in full before it is stored (metadata.md §2 to §4).  Pure: no I/O, and nothing is
 * known of where the bytes lie.
 */
#ifndef CIM_WINDOWS_H
#define CIM_WINDOWS_H

#include <stddef.h>
#include <stdint.h>

#include "format.h"
#include "sddl.h" /* CIM_SD_MAX */

/* FILE_ATTRIBUTE_… of winnt.h; those that the format has or that follow from what a file is. */
#define CIM_ATTRIBUTE_READONLY      0x0001u
#define CIM_ATTRIBUTE_HIDDEN        0x0002u
#define CIM_ATTRIBUTE_SYSTEM        0x0004u
#define CIM_ATTRIBUTE_DIRECTORY     0x0010u
#define CIM_ATTRIBUTE_ARCHIVE       0x0020u
#define CIM_ATTRIBUTE_NORMAL        0x0080u
#define CIM_ATTRIBUTE_SPARSE        0x0200u
#define CIM_ATTRIBUTE_REPARSE_POINT 0x0400u

/* Pointers are borrowed. */
struct cim_winmeta {
	uint32_t attributes;                          /* CIM_ATTRIBUTE_… */
	uint64_t created, written, changed, accessed; /* ticks */
	const void *sd; /* self-relative security descriptor; size 0: none given */
	size_t sd_size;
	const void *reparse; /* REPARSE_DATA_BUFFER, tag first; size 0: none */
	size_t reparse_size;
	const void *eas; /* FILE_FULL_EA_INFORMATION list, the last one's next is 0; size 0: none */
	size_t eas_size;
};

#define CIM_WIN_ATTRIBUTES (1u << 0)
#define CIM_WIN_CREATED    (1u << 1)
#define CIM_WIN_WRITTEN    (1u << 2)
#define CIM_WIN_CHANGED    (1u << 3)
#define CIM_WIN_ACCESSED   (1u << 4)
#define CIM_WIN_SECURITY   (1u << 5)
#define CIM_WIN_REPARSE    (1u << 6)
#define CIM_WIN_EAS        (1u << 7)
#define CIM_WIN_ALL        0xFFu

/** cim_attributes_of_entry - what Windows shows of a file entry; NORMAL where it would show none */
uint32_t cim_attributes_of_entry(const struct cim_entry *e);

/**
 * cim_attributes_to_flags - the flags of a file entry for attributes
 * The format keeps READONLY, HIDDEN, SYSTEM, ARCHIVE and SPARSE; DIRECTORY and REPARSE_POINT follow
 * from what the file is, all others are dropped (windows-api.md §1.4).
 */
uint32_t cim_attributes_to_flags(uint32_t attributes);

/**
 * cim_sd_check - whether bytes are a self-relative security descriptor
 * Returns 0, or -EINVAL if it is not: another revision, over CIM_SD_MAX bytes, or an owner, group,
 * ACL, ACE or SID that does not lie inside.
 */
int cim_sd_check(const void *sd, size_t size);

/**
 * cim_ea_list_check - whether bytes are an EA list as Windows takes it
 * Stricter than cim_ea_iter_next(), which reads what is there already: each next offset is that of
 * the entry's padded size, so that lists are kept byte for byte; names have 1 to CIM_EA_NAME_MAX
 * bytes, none of them NUL, and a NUL behind.
 * Returns 0, -EINVAL, -E2BIG (over CIM_EA_LIST_MAX bytes).
 */
int cim_ea_list_check(const void *list, size_t size);

/**
 * cim_winmeta_check - the gate for metadata that comes from outside
 * @mask: the CIM_WIN_… of @m to look at
 * Returns 0, -EINVAL, -E2BIG (EAs).
 */
int cim_winmeta_check(unsigned int mask, const struct cim_winmeta *m);

#endif
