/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: names, both ways.  The input is taken as bytes and as UTF-16. */
#include "config.h"

#include <string.h>

#include "error.h"
#include "fuzz.h"
#include "le.h"
#include "name.h"
#include "upcase.h"

/* What is the plain form of a stored name is that of the units it stands for. */
static void check_plain(const char *bytes, size_t n)
{
	uint16_t units[CIM_NAME_BYTES];
	char back[3 * CIM_NAME_BYTES];
	int n_units = cim_name_plain_encode(bytes, n, units);

	fuzz_check(n_units == -EILSEQ || (n_units >= 0 && (size_t)n_units <= n));
	if (n_units < 0)
		return;
	fuzz_check(cim_name_plain(units, (size_t)n_units, back) == n);
	fuzz_check(n == 0 || memcmp(back, bytes, n) == 0);
}

/* Any bytes can be stored, and come back. */
static void check_bytes(const char *bytes, size_t n)
{
	uint16_t units[CIM_NAME_BYTES];
	char back[3 * CIM_NAME_BYTES], shown[CIM_NAME_BYTES + 1];

	size_t n_units = cim_name_encode(bytes, n, units);
	fuzz_check(n_units <= n);
	fuzz_check(cim_name_decode(units, n_units, back) == n);
	fuzz_check(n == 0 || memcmp(back, bytes, n) == 0);
	check_plain(bytes, n);
	if (cim_name_valid_windows(bytes, n) == 0)
		fuzz_check(n > 0 && !memchr(bytes, ':', n) && !memchr(bytes, '\\', n));
	if (cim_name_valid_linux(bytes, n) < 0)
		return;
	fuzz_check(n_units > 0 && n_units <= CIM_NAME_UNITS);
	int size = cim_name_shown(units, n_units, shown);
	fuzz_check(size == (int)n && memcmp(shown, bytes, n) == 0 && shown[n] == '\0');
}

/* Any stored name that is shown is found under what it is shown as. */
static void check_units(const uint16_t *units, size_t n)
{
	uint16_t again[CIM_NAME_BYTES];
	char shown[CIM_NAME_BYTES + 1];
	int size = cim_name_shown(units, n, shown);

	if (size < 0) {
		fuzz_check(size == -CIM_ECORRUPT);
		return;
	}
	fuzz_check(size > 0 && (size_t)size == strlen(shown) && !strchr(shown, '/'));
	fuzz_check(strcmp(shown, ".") != 0 && strcmp(shown, "..") != 0);
	if (cim_name_encode(shown, (size_t)size, again) == n && memcmp(again, units, 2 * n) == 0)
		return;
	fuzz_check(cim_name_plain_encode(shown, (size_t)size, again) == (int)n);
	fuzz_check(memcmp(again, units, 2 * n) == 0);
}

static void check_order(const uint16_t *units, size_t n)
{
	const struct cim_upcase tables[] = { { NULL }, { cim_upcase_windows() } };
	size_t half = n / 2;

	for (size_t i = 0; i < 2; i++) {
		const struct cim_upcase *up = &tables[i];
		int ab = cim_upcase_compare(up, units, half, units + half, n - half);
		int ba = cim_upcase_compare(up, units + half, n - half, units, half);

		fuzz_check((ab < 0) == (ba > 0) && (ab == 0) == (ba == 0));
		if (ab == 0)
			fuzz_check(cim_upcase_hash(up, units, half) ==
				   cim_upcase_hash(up, units + half, n - half));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint16_t units[CIM_NAME_UNITS + 1];
	size_t n = size / 2 < CIM_NAME_UNITS + 1 ? size / 2 : CIM_NAME_UNITS + 1;

	if (size > CIM_NAME_BYTES)
		return 0;
	check_bytes((const char *)data, size);
	for (size_t i = 0; i < n; i++)
		units[i] = cim_load16(data + 2 * i);
	check_units(units, n);
	check_order(units, n);
	return 0;
}

void fuzz_seeds(fuzz_emit_fn emit)
{
	static const char *const names[] = {
		"plain",
		".",
		"..",
		"a/b",
		"a\\b",
		"a:b*c?",
		"\303\251t\303\251",
		"\355\240\200",
		"\355\240\200\355\260\200",
		"\360\220\200\200",
		"\357\200\272",
		"\377\376",
		"\300\200",
		"\357\277\277",
		"\xF4\x90\x80\x80",
		"\xE0\x80\x80",
		"con",
		"NUL .txt",
		"aux.tar.gz",
		"prn  ",
		"cox",
		"com",
		"com1",
		"LPT9.log",
		"lpt0",
		"come",
		"com\xC2\xB9",
		"com\xC2\xB2.x",
		"lpt\xC2\xB3",
		"lpt\xC2\xB4",
		"com\xC3\xB2",
		"comet",
		"dot.",
		"space ",
		".hidden",
		" ",
	};
	static const uint8_t units[] = { 'A', 0,    0,    0xD8, 0,    0xDC, '/',
					 0,   0x3A, 0xF0, 0xFF, 0xDF, 0,    0 };
	uint8_t longest[CIM_NAME_BYTES];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		emit(names[i], strlen(names[i]));
	for (size_t n = 1; n <= sizeof(units); n++)
		emit(units, n);
	memset(longest, 'x', sizeof(longest));
	emit(longest, 255);
	emit(longest, 256);
	emit(longest, 510);
	for (size_t i = 0; i < sizeof(longest); i += 3)
		memcpy(longest + i, "\355\240\200", 3);
	emit(longest, sizeof(longest));
	/* Over 255 bytes, in two spellings: the plain one fits, the other does not. */
	for (size_t i = 0; i < sizeof(longest); i += 3)
		memcpy(longest + i, "\357\200\272", 3);
	emit(longest, sizeof(longest));
	emit(longest, 258);
	longest[257] = '\377';
	emit(longest, 258);
}
