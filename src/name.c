/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Knows how Linux bytes and the format's UTF-16 units stand for each other, and which
 * names can be neither stored nor shown.  Knows nothing of images, paths or case.
 *
 * Between the two lies generalised UTF-8 (WTF-8): UTF-8 in which a surrogate that has no
 * partner is three bytes as any other code point is.
 */
#include "config.h"

#include "name.h"

#include <string.h>
#include <strings.h>

#include "error.h"

#define ESCAPE_BASE 0xF000 /* byte b is escaped as this + b */

enum {
	BYTE_ESCAPED = 1u << 0, /* E writes it as an escape, unless it is part of valid UTF-8 */
	BYTE_REFUSED = 1u << 1, /* in no name that is shown or stored */
};

static const uint8_t byte_class[256] = {
	[0x00] = BYTE_REFUSED, ['/'] = BYTE_REFUSED, [0x01 ... 0x1F] = BYTE_ESCAPED,
	['"'] = BYTE_ESCAPED,  ['*'] = BYTE_ESCAPED, [':'] = BYTE_ESCAPED,
	['<'] = BYTE_ESCAPED,  ['>'] = BYTE_ESCAPED, ['?'] = BYTE_ESCAPED,
	['\\'] = BYTE_ESCAPED, ['|'] = BYTE_ESCAPED, [0x80 ... 0xFF] = BYTE_ESCAPED,
};

static bool is_high_surrogate(uint32_t cp)
{
	return cp >= 0xD800 && cp <= 0xDBFF;
}

static bool is_low_surrogate(uint32_t cp)
{
	return cp >= 0xDC00 && cp <= 0xDFFF;
}

static bool is_escape(uint32_t cp)
{
	return cp >= ESCAPE_BASE && cp <= ESCAPE_BASE + 0xFF &&
	       byte_class[cp - ESCAPE_BASE] & BYTE_ESCAPED;
}

/* How long a sequence is that begins with @lead; 0 if none does. */
static size_t sequence_size(uint8_t lead)
{
	if (lead < 0x80)
		return 1;
	if (lead < 0xC2 || lead > 0xF4)
		return 0;
	return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/* The length of the code point that begins at @p, n > 0; 0 if none does. */
static size_t get_code_point(const uint8_t *p, size_t n, uint32_t *ret)
{
	static const uint32_t shortest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t size = sequence_size(p[0]);
	uint32_t cp = size > 1 ? p[0] & (0x7Fu >> size) : p[0];

	if (size == 0 || size > n)
		return 0;
	for (size_t i = 1; i < size; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0;
		cp = cp << 6 | (p[i] & 0x3F);
	}
	if (cp < shortest[size] || cp > 0x10FFFF)
		return 0;
	*ret = cp;
	return size;
}

/* Writes 1..4 bytes. */
static size_t put_code_point(uint32_t cp, char *ret)
{
	uint8_t *p = (uint8_t *)ret;

	if (cp < 0x80) {
		p[0] = (uint8_t)cp;
		return 1;
	}
	if (cp < 0x800) {
		p[0] = (uint8_t)(0xC0 | cp >> 6);
		p[1] = (uint8_t)(0x80 | (cp & 0x3F));
		return 2;
	}
	if (cp < 0x10000) {
		p[0] = (uint8_t)(0xE0 | cp >> 12);
		p[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3F));
		p[2] = (uint8_t)(0x80 | (cp & 0x3F));
		return 3;
	}
	p[0] = (uint8_t)(0xF0 | cp >> 18);
	p[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3F));
	p[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3F));
	p[3] = (uint8_t)(0x80 | (cp & 0x3F));
	return 4;
}

/* Writes 1 or 2 units. */
static size_t put_units(uint32_t cp, uint16_t *ret)
{
	if (cp < 0x10000) {
		ret[0] = (uint16_t)cp;
		return 1;
	}
	ret[0] = (uint16_t)(0xD800 + ((cp - 0x10000) >> 10));
	ret[1] = (uint16_t)(0xDC00 + ((cp - 0x10000) & 0x3FF));
	return 2;
}

/* Whether @cp, put after the @k units of @units, would become one character with the last. */
static bool would_fuse(const uint16_t *units, size_t k, uint32_t cp)
{
	return k > 0 && is_low_surrogate(cp) && is_high_surrogate(units[k - 1]);
}

static size_t encode_any(const uint8_t *p, size_t n, uint16_t *ret)
{
	size_t k = 0;

	for (size_t i = 0; i < n;) {
		uint32_t cp;
		size_t size = get_code_point(p + i, n - i, &cp);

		if (size == 1 && !(byte_class[cp] & BYTE_ESCAPED)) {
			ret[k++] = (uint16_t)cp;
			i++;
		} else if (size > 1 && !is_escape(cp) && !would_fuse(ret, k, cp)) {
			k += put_units(cp, ret + k);
			i += size;
		} else {
			/* All bytes of a refused character, or the one that begins none. */
			for (size_t end = i + (size ? size : 1); i < end; i++)
				ret[k++] = (uint16_t)(ESCAPE_BASE + p[i]);
		}
	}
	return k;
}

size_t cim_name_encode(const char *bytes, size_t n, uint16_t *ret)
{
	const uint8_t *p = (const uint8_t *)bytes;
	uint8_t seen = 0;

	/* The common name is plain ASCII; whether it was is asked once, at its end. */
	for (size_t i = 0; i < n; i++) {
		seen |= byte_class[p[i]];
		ret[i] = p[i];
	}
	return seen & BYTE_ESCAPED ? encode_any(p, n, ret) : n;
}

/* D(), or with @unescape false W(). */
static size_t decode_any(const uint16_t *units, size_t n, bool unescape, char *ret)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t cp = units[i];

		if (unescape && is_escape(cp)) {
			ret[k++] = (char)(cp - ESCAPE_BASE);
			continue;
		}
		if (is_high_surrogate(cp) && i + 1 < n && is_low_surrogate(units[i + 1]))
			cp = 0x10000 + ((cp - 0xD800) << 10) + (units[++i] - 0xDC00u);
		k += put_code_point(cp, ret + k);
	}
	return k;
}

size_t cim_name_decode(const uint16_t *units, size_t n, char *ret)
{
	return decode_any(units, n, true, ret);
}

size_t cim_name_plain(const uint16_t *units, size_t n, char *ret)
{
	return decode_any(units, n, false, ret);
}

int cim_name_plain_encode(const char *bytes, size_t n, uint16_t *ret)
{
	const uint8_t *p = (const uint8_t *)bytes;
	size_t k = 0;

	/* No reason is left: lookup only tries whether this is a name that W() may have shown. */
	for (size_t i = 0; i < n;) {
		uint32_t cp;
		size_t size = get_code_point(p + i, n - i, &cp);

		if (size == 0 || would_fuse(ret, k, cp))
			return -EILSEQ;
		k += put_units(cp, ret + k);
		i += size;
	}
	return (int)k;
}

/* Why a Linux directory cannot have an entry of this name, or NULL if it can. */
static const char *refusal(const char *bytes, size_t n)
{
	if (n == 0)
		return "it is empty";
	if (bytes[0] == '.' && (n == 1 || (n == 2 && bytes[1] == '.')))
		return "it is \".\" or \"..\"";
	if (memchr(bytes, '/', n))
		return "it has a '/'";
	if (memchr(bytes, '\0', n))
		return "it has a NUL";
	return NULL;
}

/* As cim_name_shown() for 1..255 units of any kind; every refusal is decided here. */
static int show_any(const uint16_t *units, size_t n, char *ret)
{
	uint16_t again[CIM_NAME_BYTES]; /* E needs as many units as there are bytes, at most */
	size_t n_bytes = cim_name_decode(units, n, ret);
	const char *why;

	if (cim_name_encode(ret, n_bytes, again) != n || memcmp(again, units, n * sizeof(*units)))
		n_bytes = cim_name_plain(units, n, ret);
	why = refusal(ret, n_bytes);
	for (size_t i = 0; i < n && !why; i++) {
		if (units[i] == '\\')
			why = "it has a '\\'";
	}
	if (why)
		return cim_fail(CIM_ECORRUPT, "a stored name of %zu units cannot be shown: %s", n,
				why);
	ret[n_bytes] = '\0';
	return (int)n_bytes;
}

int cim_name_shown(const uint16_t *units, size_t n, char *ret)
{
	unsigned int seen = 0;

	if (n == 0 || n > CIM_NAME_UNITS)
		return cim_fail(CIM_ECORRUPT, "a stored name has %zu units, not 1 to %d", n,
				CIM_NAME_UNITS);
	for (size_t i = 0; i < n; i++) {
		seen |= (units[i] & 0xFF80u) | byte_class[units[i] & 0x7F];
		ret[i] = (char)units[i];
	}
	if (seen || (ret[0] == '.' && n <= 2))
		return show_any(units, n, ret);
	ret[n] = '\0';
	return (int)n;
}

/* Whether a name over 255 bytes is one that W() shows and fits the format all the same. */
static bool long_name_fits(const char *bytes, size_t n)
{
	uint16_t units[CIM_NAME_BYTES];

	return n <= CIM_NAME_BYTES && cim_name_plain_encode(bytes, n, units) >= 0 &&
	       cim_name_encode(bytes, n, units) <= CIM_NAME_UNITS;
}

int cim_name_valid_linux(const char *bytes, size_t n)
{
	const char *why = refusal(bytes, n);

	if (why)
		return cim_fail(EINVAL, "a name of %zu bytes cannot be stored: %s", n, why);
	/* Up to here E cannot need more than there is: it never has more units than bytes. */
	if (n > CIM_NAME_UNITS && !long_name_fits(bytes, n))
		return cim_fail(ENAMETOOLONG, "a name of %zu bytes does not fit %d UTF-16 units", n,
				CIM_NAME_UNITS);
	return 0;
}

/* Whether the part of a name before its first dot is that of a device. */
static bool is_device(const char *bytes, size_t n)
{
	static const char *const whole[] = { "con", "prn", "aux", "nul" };
	const char *dot = memchr(bytes, '.', n);
	size_t size = dot ? (size_t)(dot - bytes) : n;

	/* "nul .txt" is the device as well. */
	while (size > 0 && bytes[size - 1] == ' ')
		size--;
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		if (size == 3 && strncasecmp(bytes, whole[i], 3) == 0)
			return true;
	if (size < 4 || (strncasecmp(bytes, "com", 3) != 0 && strncasecmp(bytes, "lpt", 3) != 0))
		return false;
	if (size == 4)
		return bytes[3] >= '1' && bytes[3] <= '9';
	/* U+00B9, U+00B2, U+00B3 */
	return size == 5 && bytes[3] == '\xC2' &&
	       (bytes[4] == '\xB9' || bytes[4] == '\xB2' || bytes[4] == '\xB3');
}

int cim_name_valid_windows(const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)bytes[i] < 0x80 && byte_class[(unsigned char)bytes[i]])
			return -EINVAL;
	if (n == 0 || bytes[n - 1] == '.' || bytes[n - 1] == ' ')
		return -EINVAL;
	return is_device(bytes, n) ? -EINVAL : 0;
}
