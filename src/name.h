/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names: Linux bytes <-> the UTF-16 of the format, without loss.
 *
 * The scheme is that of WSL (characters that Windows forbids become U+F000 + c)
 * with Cygwin's for bytes that are no valid UTF-8 (U+F000 + byte).  E() encodes
 * any byte string and D() gives it back; E never needs more units than there are
 * bytes.  A name that E would not have written (made on Windows) is shown as W(),
 * its plain generalised UTF-8, so that every stored name can be seen and found.
 *
 * Names may hold '/' only by damage or malice; who shows names to a kernel asks
 * cim_name_shown() first, which refuses such names.
 */
#ifndef CIM_NAME_H
#define CIM_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIM_NAME_UNITS     255       /* longest component, UTF-16 units (format.md, Link table) */
#define CIM_NAME_BYTES     (255 * 3) /* longest shown name: a unit becomes three bytes at most */
#define CIM_PATH_UNITS_MAX 32767     /* longest path, UTF-16 units */

/**
 * cim_name_encode - E(): Linux bytes to stored units
 * @bytes, @n: the name; any bytes
 * @ret: room for @n units
 *
 * Returns the number of units, 0..@n.
 */
size_t cim_name_encode(const char *bytes, size_t n, uint16_t *ret);

/**
 * cim_name_decode - D(): stored units to Linux bytes, unescaping
 * @units, @n: the stored name
 * @ret: room for 3 * @n bytes; no NUL is written
 *
 * Returns the number of bytes.
 */
size_t cim_name_decode(const uint16_t *units, size_t n, char *ret);

/**
 * cim_name_plain - W(): stored units to generalised UTF-8, nothing unescaped
 * @units, @n, @ret: as cim_name_decode()
 */
size_t cim_name_plain(const uint16_t *units, size_t n, char *ret);

/**
 * cim_name_plain_encode - the inverse of W(), for looking up a name that W() showed
 * @bytes, @n: the name
 * @ret: room for @n units
 *
 * Returns the number of units, or -EILSEQ (without a reason) if @bytes is nothing that W()
 * gives: no generalised UTF-8, or a surrogate pair spelled as two characters.
 */
int cim_name_plain_encode(const char *bytes, size_t n, uint16_t *ret);

/**
 * cim_name_shown - the bytes under which a stored name is shown: D() if E() gives the name back,
 * else W()
 * @units, @n: the stored name, @n <= CIM_NAME_UNITS
 * @ret: room for CIM_NAME_BYTES + 1 bytes; a NUL is appended
 *
 * The common name, printable ASCII without escapes, takes one pass.
 *
 * Returns the number of bytes without the NUL, or -CIM_ECORRUPT if the name is
 * empty, too long, ".", "..", or has a unit 0, '/' or '\'.
 */
int cim_name_shown(const uint16_t *units, size_t n, char *ret);

/**
 * cim_name_valid_linux - whether a Linux file name can be stored
 * @bytes, @n: the name
 *
 * Returns 0, -EINVAL (empty, ".", "..", has '/' or NUL), or -ENAMETOOLONG (over 255
 * bytes in a name that is no W() form; over CIM_NAME_UNITS units when encoded).
 */
int cim_name_valid_linux(const char *bytes, size_t n);

/**
 * cim_name_valid_windows - whether Win32 takes a name, which the format does anyway
 *
 * Refused are control characters, " * / : < > ? \ |, a dot or a space at the end, and the names of
 * devices (CON, PRN, AUX, NUL, COM1 to COM9, LPT1 to LPT9, also with a superscript 1, 2 or 3), with
 * or without something behind a dot.
 *
 * Returns 0 or -EINVAL.
 */
int cim_name_valid_windows(const char *bytes, size_t n);

#endif
