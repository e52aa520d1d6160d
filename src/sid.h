/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Security identifiers: bytes <-> text (metadata.md §4.1).
 *
 * A SID has a revision, an authority and up to 15 numbers.  Its text is "S-1-5-18"; the well-known
 * ones that do not depend on a machine or a domain have two letters in SDDL, "SY".
 */
#ifndef CIM_SID_H
#define CIM_SID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIM_SID_MAX 68 /* bytes: 8 and 15 numbers of 4 */
#define CIM_SID_TEXT \
	192 /* room for the longest text: "S-1-0x", 12 digits, 15 times "-4294967295" */

/** cim_sid_size - bytes of the SID at @p, where there are @n; 0 if that is none, or passes the end
 */
size_t cim_sid_size(const void *p, size_t n);

/**
 * cim_sid_format - the text of a SID that cim_sid_size() has accepted
 * @alias: its two letters, if it has some
 */
void cim_sid_format(const void *sid, bool alias, char ret[CIM_SID_TEXT]);

/**
 * cim_sid_parse - the SID at the start of a text, spelled either way
 * @ret_end: behind it
 * @ret: room for CIM_SID_MAX bytes
 * Returns its size in bytes, or -EINVAL (neither, or letters that mean another SID in each domain).
 */
int cim_sid_parse(const char *text, const char **ret_end, uint8_t *ret);

#endif
