/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "sid.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "le.h"

#define REVISION  1
#define SUBS_MAX  15
#define HEAD_SIZE 8 /* revision, count, authority of 6 bytes, big-endian */

/* All aliases have a one-byte authority and two numbers at most, but for UD, which is not here. */
static const struct alias {
	char letters[3];
	uint8_t authority;
	uint8_t n_subs;
	uint32_t subs[2];
} aliases[] = {
	{ "AA", 5, 2, { 32, 579 } }, { "AC", 15, 2, { 2, 1 } },   { "AN", 5, 1, { 7 } },
	{ "AO", 5, 2, { 32, 548 } }, { "AS", 18, 1, { 1 } },      { "AU", 5, 1, { 11 } },
	{ "BA", 5, 2, { 32, 544 } }, { "BG", 5, 2, { 32, 546 } }, { "BO", 5, 2, { 32, 551 } },
	{ "BU", 5, 2, { 32, 545 } }, { "CD", 5, 2, { 32, 574 } }, { "CG", 3, 1, { 1 } },
	{ "CO", 3, 1, { 0 } },       { "CY", 5, 2, { 32, 569 } }, { "ED", 5, 1, { 9 } },
	{ "ER", 5, 2, { 32, 573 } }, { "ES", 5, 2, { 32, 576 } }, { "HA", 5, 2, { 32, 578 } },
	{ "HI", 16, 1, { 12288 } },  { "IS", 5, 2, { 32, 568 } }, { "IU", 5, 1, { 4 } },
	{ "LS", 5, 1, { 19 } },      { "LU", 5, 2, { 32, 559 } }, { "LW", 16, 1, { 4096 } },
	{ "ME", 16, 1, { 8192 } },   { "MP", 16, 1, { 8448 } },   { "MS", 5, 2, { 32, 577 } },
	{ "MU", 5, 2, { 32, 558 } }, { "NO", 5, 2, { 32, 556 } }, { "NS", 5, 1, { 20 } },
	{ "NU", 5, 1, { 2 } },       { "OW", 3, 1, { 4 } },       { "PO", 5, 2, { 32, 550 } },
	{ "PS", 5, 1, { 10 } },      { "PU", 5, 2, { 32, 547 } }, { "RA", 5, 2, { 32, 575 } },
	{ "RC", 5, 1, { 12 } },      { "RD", 5, 2, { 32, 555 } }, { "RE", 5, 2, { 32, 552 } },
	{ "RM", 5, 2, { 32, 580 } }, { "RU", 5, 2, { 32, 554 } }, { "SI", 16, 1, { 16384 } },
	{ "SO", 5, 2, { 32, 549 } }, { "SS", 18, 1, { 2 } },      { "SU", 5, 1, { 6 } },
	{ "SY", 5, 1, { 18 } },      { "WD", 1, 1, { 0 } },       { "WR", 5, 1, { 33 } },
};
#define N_ALIASES (sizeof(aliases) / sizeof(aliases[0]))

static uint8_t *put_sid(uint8_t *to, uint64_t authority, uint32_t n_subs)
{
	*to++ = REVISION;
	*to++ = (uint8_t)n_subs;
	for (int shift = 40; shift >= 0; shift -= 8)
		*to++ = (uint8_t)(authority >> shift);
	return to;
}

static size_t alias_bytes(const struct alias *a, uint8_t *ret)
{
	uint8_t *to = put_sid(ret, a->authority, a->n_subs);

	for (uint32_t i = 0; i < a->n_subs; i++)
		cim_store32(to + 4 * i, a->subs[i]);
	return HEAD_SIZE + 4u * a->n_subs;
}

size_t cim_sid_size(const void *p, size_t n)
{
	const uint8_t *b = p;

	if (n < HEAD_SIZE || b[0] != REVISION || b[1] > SUBS_MAX)
		return 0;
	size_t size = HEAD_SIZE + 4u * b[1];
	return size <= n ? size : 0;
}

static const char *alias_of(const uint8_t *sid, size_t size)
{
	uint8_t bytes[CIM_SID_MAX];

	for (size_t i = 0; i < N_ALIASES; i++)
		if (alias_bytes(&aliases[i], bytes) == size && memcmp(bytes, sid, size) == 0)
			return aliases[i].letters;
	return NULL;
}

void cim_sid_format(const void *sid, bool alias, char ret[CIM_SID_TEXT])
{
	const uint8_t *b = sid;
	const char *letters = alias ? alias_of(b, HEAD_SIZE + 4u * b[1]) : NULL;
	uint64_t authority = 0;
	char *to = ret;

	if (letters) {
		strcpy(ret, letters);
		return;
	}
	for (int i = 2; i < HEAD_SIZE; i++)
		authority = authority << 8 | b[i];
	if (authority <= UINT32_MAX)
		to += sprintf(to, "S-1-%" PRIu64, authority);
	else
		to += sprintf(to, "S-1-0x%012" PRIX64, authority);
	for (uint32_t i = 0; i < b[1]; i++)
		to += sprintf(to, "-%" PRIu32, cim_load32(b + HEAD_SIZE + 4 * i));
}

/* A number of digits, at most @max; NULL, or behind it. */
static const char *parse_number(const char *text, int base, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;
	const char *p = text;

	for (; base == 16 ? isxdigit((unsigned char)*p) : isdigit((unsigned char)*p); p++) {
		int c = tolower((unsigned char)*p);
		uint64_t digit = (uint64_t)(isdigit(c) ? c - '0' : c - 'a' + 10);

		if (n > (max - digit) / (uint64_t)base)
			return NULL;
		n = n * (uint64_t)base + digit;
	}
	*ret = n;
	return p > text ? p : NULL;
}

static const char *parse_authority(const char *text, uint64_t *ret)
{
	const uint64_t max = (1ull << 48) - 1;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return parse_number(text + 2, 16, max, ret);
	return parse_number(text, 10, max, ret);
}

/* "S-1-…", of which the caller has seen the first four bytes. */
static int parse_numbers(const char *text, const char **ret_end, uint8_t *ret)
{
	uint64_t authority, sub;
	uint32_t n = 0;
	const char *p = parse_authority(text + 4, &authority);

	if (!p)
		return cim_fail(EINVAL, "\"%.24s\": the SID has no authority", text);
	for (; p[0] == '-'; n++) {
		p = parse_number(p + 1, 10, UINT32_MAX, &sub);
		if (!p || n == SUBS_MAX)
			return cim_fail(EINVAL,
					"\"%.24s\": the SID has a number that is none, or more "
					"than %d",
					text, SUBS_MAX);
		cim_store32(ret + HEAD_SIZE + 4 * n, (uint32_t)sub);
	}
	put_sid(ret, authority, n);
	*ret_end = p;
	return (int)(HEAD_SIZE + 4 * n);
}

int cim_sid_parse(const char *text, const char **ret_end, uint8_t *ret)
{
	if (strncmp(text, "S-1-", 4) == 0 || strncmp(text, "s-1-", 4) == 0)
		return parse_numbers(text, ret_end, ret);
	for (size_t i = 0; i < N_ALIASES; i++) {
		if (strncmp(text, aliases[i].letters, 2) == 0) {
			*ret_end = text + 2;
			return (int)alias_bytes(&aliases[i], ret);
		}
	}
	return cim_fail(EINVAL,
			"\"%.24s\" is no SID that can be known here: neither S-1-… nor the two "
			"letters of one that is the same everywhere",
			text);
}
