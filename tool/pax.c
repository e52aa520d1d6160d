/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "pax.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

#define NSEC_DIGITS 9

/* ---- records ---- */

/* The length at the start of a record, which counts itself, and where the key begins. */
static bool parse_length(const char *record, size_t left, size_t *ret_length, size_t *ret_key)
{
	const char *space = memchr(record, ' ', left);
	uint64_t length;

	if (!space || !pax_number(record, (size_t)(space - record), left, &length))
		return false;
	*ret_length = (size_t)length;
	*ret_key = (size_t)(space - record) + 1;
	/* "5 =\n" would have an empty key. */
	return *ret_length >= *ret_key + 3 && record[*ret_length - 1] == '\n';
}

static int parse_one(char *record, size_t left, struct pax_record *ret, size_t *ret_length)
{
	size_t length, key;

	if (!parse_length(record, left, &length, &key))
		return cim_fail(EBADMSG, "a PAX record has a length that is wrong");
	char *equals = memchr(record + key, '=', length - 1 - key);
	if (!equals || equals == record + key ||
	    memchr(record + key, '\0', (size_t)(equals - record) - key))
		return cim_fail(EBADMSG, "a PAX record has no key");
	*equals = '\0';
	*ret = (struct pax_record){
		.key = record + key,
		.value = equals + 1,
		.value_size = (size_t)(record + length - 1 - (equals + 1)),
	};
	*ret_length = length;
	return 0;
}

int pax_parse(char *records, size_t size, pax_fn fn, void *arg)
{
	for (size_t at = 0, length; at < size; at += length) {
		struct pax_record record;
		int r = parse_one(records + at, size - at, &record, &length);

		if (r == 0)
			r = fn(arg, &record);
		if (r < 0)
			return r;
	}
	return 0;
}

void pax_add(GString *records, const char *key, const void *value, size_t value_size)
{
	size_t rest = strlen(" =\n") + strlen(key) + value_size, length = rest;
	char digits[24];

	/* The length counts its own digits. */
	for (;;) {
		size_t whole = rest + (size_t)snprintf(digits, sizeof(digits), "%zu", length);

		if (whole == length)
			break;
		length = whole;
	}
	g_string_append_printf(records, "%s %s=", digits, key);
	g_string_append_len(records, value, (gssize)value_size);
	g_string_append_c(records, '\n');
}

const char *pax_key_after(const struct pax_record *r, const char *prefix)
{
	return g_str_has_prefix(r->key, prefix) ? r->key + strlen(prefix) : NULL;
}

/* ---- values ---- */

bool pax_number(const char *text, size_t size, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;

	if (size == 0)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (!g_ascii_isdigit(text[i]) || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(text[i] - '0'), &n) || n > max)
			return false;
	}
	*ret = n;
	return true;
}

bool pax_time(const char *text, size_t size, struct timespec *ret)
{
	bool negative = size > 0 && text[0] == '-', cut = false;
	const char *end = text + size, *p = text + negative;
	const char *point = memchr(p, '.', (size_t)(end - p));
	uint64_t sec;
	long nsec = 0, unit = 100000000;

	if (!pax_number(p, (size_t)((point ? point : end) - p), INT64_MAX / 4, &sec))
		return false;
	for (p = point ? point + 1 : end; p < end; p++) {
		if (!g_ascii_isdigit(*p))
			return false;
		nsec += unit * (*p - '0');
		cut = cut || (unit == 0 && *p != '0');
		unit /= 10;
	}
	*ret = (struct timespec){ .tv_sec = (time_t)sec, .tv_nsec = nsec };
	if (!negative)
		return true;
	/* -1.25 is 0.75 after -2; towards the past means further away from 0. */
	nsec += cut;
	ret->tv_sec = -(time_t)sec - (nsec > 0);
	ret->tv_nsec = nsec > 0 ? 1000000000 - nsec : 0;
	return true;
}

void pax_put_time(struct timespec ts, char ret[PAX_TIME])
{
	bool negative = ts.tv_sec < 0;
	int64_t sec = ts.tv_sec;
	long nsec = ts.tv_nsec;

	if (negative && nsec > 0) {
		sec++;
		nsec = 1000000000 - nsec;
	}
	int n = snprintf(ret, PAX_TIME, "%s%" PRId64, negative ? "-" : "", negative ? -sec : sec);
	if (nsec == 0)
		return;
	n += snprintf(ret + n, PAX_TIME - (size_t)n, ".%0*ld", NSEC_DIGITS, nsec);
	while (ret[n - 1] == '0')
		ret[--n] = '\0';
}

static int base64_value(char c)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

bool pax_base64(const char *text, size_t size, uint8_t *ret, size_t *ret_size)
{
	size_t n = 0, padding = 0;

	if (size % 4)
		return false;
	while (padding < 2 && padding < size && text[size - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < size; i += 4) {
		size_t digits = i + 4 == size ? 4 - padding : 4;
		uint32_t bits = 0;

		for (size_t k = 0; k < 4; k++) {
			int value = k < digits ? base64_value(text[i + k]) : 0;

			if (value < 0)
				return false;
			bits = bits << 6 | (uint32_t)value;
		}
		for (size_t k = 0; k + 1 < digits; k++)
			ret[n++] = (uint8_t)(bits >> (16 - 8 * k));
		/* Bits that belong to no byte must not say anything. */
		if (digits < 4 && bits & (0xFFFFFFu >> (8 * (digits - 1))))
			return false;
	}
	*ret_size = n;
	return true;
}
