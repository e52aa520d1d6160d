/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Security descriptors: bytes <-> SDDL, their text form (metadata.md §4).
 *
 *	O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;;0x1200a9;;;BU)S:(ML;;NW;;;HI)
 *
 * What SDDL cannot say of an entry is written as hexadecimal bytes behind a "#", its own notation
 * for octets: the data behind the SID (conditions, attributes), and all of an entry of an unknown
 * type.  Conditional expressions in Windows' notation are not parsed.
 */
#ifndef CIM_SDDL_H
#define CIM_SDDL_H

#include <stddef.h>
#include <stdint.h>

#define CIM_SD_MAX 65535 /* bytes of a descriptor: its length has 16 bits (format.md, File entry) \
			  */

/**
 * cim_sddl_format - the text of a self-relative descriptor
 * @sd, @size: any bytes
 * @ret: g_free()
 *
 * Returns 0, or -CIM_ECORRUPT with a sentence (an offset, a SID or an entry that passes its end).
 */
int cim_sddl_format(const void *sd, size_t size, char **ret);

/**
 * cim_sddl_parse - the self-relative descriptor that a text means
 * @ret: g_free(); the order is Windows' own: SACL, DACL, owner, group
 *
 * Returns 0, -EINVAL with a sentence (no SDDL; letters that mean another SID in each domain;
 * conditions), -E2BIG (over CIM_SD_MAX).
 */
int cim_sddl_parse(const char *text, void **ret, size_t *ret_size);

#endif
