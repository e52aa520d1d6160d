/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Upcase tables: how an image compares names.
 *
 * A table has 65536 units; names are compared unit by unit after mapping through
 * it, so the identity makes an image case-sensitive and the table of Windows 7 to
 * 10 makes it case-insensitive.  A table in an image is little-endian and lies
 * wherever the image has it; struct cim_upcase wraps any of the three.
 */
#ifndef CIM_UPCASE_H
#define CIM_UPCASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIM_UPCASE_UNITS 65536
#define CIM_UPCASE_SIZE  (CIM_UPCASE_UNITS * 2) /* bytes on disk */

struct cim_upcase {
	const uint8_t *disk; /* CIM_UPCASE_SIZE bytes, little-endian; NULL = the identity */
};

/**
 * cim_upcase_windows - the table of Windows 7 to 10, as the bytes of the format
 *
 * Built once from a compact form (973 changed entries), thread-safe.  Its SHA-256 is
 * 41c26bc7a12bdaeb26025c93118697c7e3ef81ee048b00fe5cce2a472e0e0742 (metadata.md §7).
 *
 * Returns CIM_UPCASE_SIZE bytes that live as long as the process.
 */
const uint8_t *cim_upcase_windows(void);

/** cim_upcase_identity_write - write the identity table, CIM_UPCASE_SIZE bytes, to @ret */
void cim_upcase_identity_write(uint8_t *ret);

/** cim_upcase_is_identity - whether CIM_UPCASE_SIZE bytes of a table map every unit to itself */
bool cim_upcase_is_identity(const uint8_t *disk);

static inline uint16_t cim_upcase_unit(const struct cim_upcase *up, uint16_t unit)
{
	if (!up->disk)
		return unit;
	return (uint16_t)(up->disk[2 * unit] | up->disk[2 * unit + 1] << 8);
}

/**
 * cim_upcase_compare - compare two names as the format sorts them
 * @up: the image's table
 * @a, @na, @b, @nb: the names, host-order units
 *
 * Units are compared numerically after mapping; then the shorter comes first.
 *
 * Returns < 0, 0 or > 0.
 */
int cim_upcase_compare(const struct cim_upcase *up, const uint16_t *a, size_t na, const uint16_t *b,
		       size_t nb);

/** cim_upcase_hash - a hash that is equal for names that compare equal */
uint32_t cim_upcase_hash(const struct cim_upcase *up, const uint16_t *units, size_t n);

#endif
