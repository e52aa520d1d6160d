/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "tar-format.h"

#include <stdio.h>
#include <string.h>

/* The checksum field counts as spaces.  Some old writers summed signed bytes. */
static void sum(const uint8_t *block, int64_t *ret_unsigned, int64_t *ret_signed)
{
	size_t from = offsetof(struct tar_header, checksum);
	size_t to = from + sizeof(((struct tar_header *)0)->checksum);

	*ret_unsigned = *ret_signed = 0;
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		uint8_t byte = i >= from && i < to ? ' ' : block[i];

		*ret_unsigned += byte;
		*ret_signed += (int8_t)byte;
	}
}

bool tar_is_zero(const void *block)
{
	const uint8_t *bytes = block;

	return bytes[0] == 0 && memcmp(bytes, bytes + 1, TAR_BLOCK - 1) == 0;
}

bool tar_is_header(const void *block)
{
	const struct tar_header *h = block;
	int64_t is_unsigned, is_signed, want;

	if (tar_is_zero(block) || !tar_number(h->checksum, sizeof(h->checksum), &want))
		return false;
	sum(block, &is_unsigned, &is_signed);
	return want == is_unsigned || want == is_signed;
}

/* Big-endian two's complement; the first bit of the field says that it is binary. */
static bool binary_number(const char *field, size_t size, int64_t *ret)
{
	bool negative = field[0] & 0x40;
	int64_t n = negative ? -1 : 0;

	for (size_t i = 0; i < size; i++) {
		uint8_t byte = (uint8_t)field[i];

		if (i == 0)
			byte = negative ? byte | 0x80 : byte & 0x7F;
		if (n > INT64_MAX >> 8 || n < INT64_MIN >> 8)
			return false;
		n = (int64_t)((uint64_t)n << 8 | byte);
	}
	*ret = n;
	return true;
}

bool tar_number(const char *field, size_t size, int64_t *ret)
{
	size_t i = 0;
	int64_t n = 0;

	if (field[0] & 0x80)
		return binary_number(field, size, ret);
	while (i < size && field[i] == ' ')
		i++;
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) {
		if (n > INT64_MAX >> 3)
			return false;
		n = n << 3 | (field[i] - '0');
	}
	for (; i < size; i++)
		if (field[i] != ' ' && field[i] != '\0')
			return false;
	*ret = n;
	return true;
}

bool tar_put_number(char *field, size_t size, uint64_t n)
{
	bool fits = n >> (3 * (size - 1)) == 0;

	if (!fits)
		n = 0;
	field[size - 1] = '\0';
	for (size_t i = size - 1; i-- > 0; n >>= 3)
		field[i] = (char)('0' + (n & 7));
	return fits;
}

void tar_seal(struct tar_header *h)
{
	int64_t is_unsigned, is_signed;

	sum((const uint8_t *)h, &is_unsigned, &is_signed);
	/* Six digits, a NUL and a space, as everyone writes it. */
	(void)tar_put_number(h->checksum, sizeof(h->checksum) - 1, (uint64_t)is_unsigned);
	h->checksum[sizeof(h->checksum) - 1] = ' ';
}
