/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "tar-sparse.h"

#include <string.h>

#include "error.h"
#include "tar-read.h"

#define KEY_PREFIX "GNU.sparse."

/* GNU's old form, in the header and in the blocks behind it. */
#define HEADER_PAIRS   386
#define HEADER_N_PAIRS 4
#define HEADER_MORE    482
#define HEADER_SIZE    483
#define BLOCK_N_PAIRS  21
#define BLOCK_MORE     504
#define NUMBER_SIZE    12
#define DIGITS_MAX     20 /* of a decimal number */

void tar_sparse_init(struct tar_sparse *s)
{
	*s = (struct tar_sparse){
		.extents = g_array_new(FALSE, FALSE, sizeof(struct tar_extent)),
		.name = g_string_new(NULL),
	};
}

void tar_sparse_clear(struct tar_sparse *s)
{
	g_array_free(s->extents, TRUE);
	g_string_free(s->name, TRUE);
}

void tar_sparse_reset(struct tar_sparse *s)
{
	struct tar_sparse empty = { .extents = s->extents, .name = s->name };

	g_array_set_size(empty.extents, 0);
	g_string_truncate(empty.name, 0);
	*s = empty;
}

static void add_number(struct tar_sparse *s, uint64_t n)
{
	if (!s->has_last) {
		s->last = n;
		s->has_last = true;
		return;
	}
	struct tar_extent x = { s->last, n };
	s->has_last = false;
	if (s->extents->len >= TAR_EXTENTS_MAX)
		s->wrong = "it has more pieces than are taken";
	else
		g_array_append_val(s->extents, x);
}

/* ---- records ---- */

static void add_record_number(struct tar_sparse *s, const char *text, size_t size)
{
	uint64_t n;

	if (pax_number(text, size, INT64_MAX, &n))
		add_number(s, n);
	else
		s->wrong = "it is not made of numbers";
}

/* "OFFSET,SIZE,OFFSET,SIZE…" */
static void add_list(struct tar_sparse *s, const struct pax_record *r)
{
	const char *p = r->value, *end = p + r->value_size;

	while (p < end && !s->wrong) {
		const char *comma = memchr(p, ',', (size_t)(end - p));

		add_record_number(s, p, (size_t)((comma ? comma : end) - p));
		p = comma ? comma + 1 : end;
	}
}

bool tar_sparse_add(struct tar_sparse *s, const struct pax_record *r)
{
	const char *key = pax_key_after(r, KEY_PREFIX);
	uint64_t n;

	if (!key)
		return false;
	s->used = true;
	if (strcmp(key, "name") == 0) {
		if (memchr(r->value, '\0', r->value_size) || r->value_size > TAR_NAME_MAX)
			s->wrong = "it names the file with a NUL, or too long";
		else
			g_string_append_len(g_string_truncate(s->name, 0), r->value,
					    (gssize)r->value_size);
	} else if (strcmp(key, "size") == 0 || strcmp(key, "realsize") == 0) {
		s->has_size = pax_number(r->value, r->value_size, INT64_MAX, &s->size);
	} else if (strcmp(key, "offset") == 0 || strcmp(key, "numbytes") == 0) {
		if (s->has_last != (*key == 'n'))
			s->wrong = "its pieces lack an offset or a size";
		add_record_number(s, r->value, r->value_size);
	} else if (strcmp(key, "map") == 0) {
		add_list(s, r);
	} else if (strcmp(key, "major") == 0) {
		if (!pax_number(r->value, r->value_size, 1, &n))
			s->wrong = "it is of a version that is not known here";
		else
			s->major_one = n == 1;
	}
	return true;
}

/* ---- GNU's old form ---- */

static void add_pairs(struct tar_sparse *s, const char *pairs, size_t n_pairs)
{
	for (size_t i = 0; i < 2 * n_pairs; i++) {
		const char *field = pairs + i * NUMBER_SIZE;
		int64_t n;

		if (i % 2 == 0 && field[0] == '\0')
			return;
		if (!tar_number(field, NUMBER_SIZE, &n) || n < 0) {
			s->wrong = "it is not made of numbers";
			return;
		}
		add_number(s, (uint64_t)n);
	}
}

void tar_sparse_header(struct tar_sparse *s, const struct tar_header *h)
{
	const char *bytes = (const char *)h;
	int64_t size;

	s->used = true;
	s->has_size = tar_number(bytes + HEADER_SIZE, NUMBER_SIZE, &size) && size >= 0;
	s->size = (uint64_t)size;
	s->more = bytes[HEADER_MORE];
	add_pairs(s, bytes + HEADER_PAIRS, HEADER_N_PAIRS);
}

void tar_sparse_block(struct tar_sparse *s, const uint8_t block[TAR_BLOCK])
{
	s->more = block[BLOCK_MORE];
	if (!s->wrong)
		add_pairs(s, (const char *)block, BLOCK_N_PAIRS);
}

/* ---- text before the data ---- */

bool tar_sparse_in_data(const struct tar_sparse *s)
{
	return s->used && s->major_one && !s->text_done && !s->wrong;
}

/* A line is a number: how many pieces there are, and then each one's offset and size. */
static void end_line(struct tar_sparse *s)
{
	if (s->n_digits == 0)
		s->wrong = "it is not made of numbers";
	else if (s->n_numbers == 0 && s->number > TAR_EXTENTS_MAX)
		s->wrong = "it has more pieces than are taken";
	else if (s->n_numbers == 0)
		s->n_wanted = 2 * s->number;
	else
		add_number(s, s->number);
	s->text_done = s->n_numbers == s->n_wanted;
	s->n_numbers++;
	s->number = 0;
	s->n_digits = 0;
}

void tar_sparse_text(struct tar_sparse *s, const char block[TAR_BLOCK])
{
	for (size_t i = 0; i < TAR_BLOCK && tar_sparse_in_data(s); i++) {
		if (block[i] == '\n') {
			end_line(s);
		} else if (g_ascii_isdigit(block[i]) && s->n_digits < DIGITS_MAX &&
			   !__builtin_mul_overflow(s->number, 10, &s->number) &&
			   !__builtin_add_overflow(s->number, (uint64_t)(block[i] - '0'),
						   &s->number)) {
			s->n_digits++;
		} else {
			s->wrong = "it is not made of numbers";
		}
	}
}

/* ---- the map as a whole ---- */

int tar_sparse_finish(struct tar_sparse *s, uint64_t stored, uint64_t *ret_size)
{
	uint64_t end = 0, sum = 0;

	if (!s->wrong && (tar_sparse_in_data(s) || s->has_last))
		s->wrong = "it ends too early";
	if (!s->wrong && !s->has_size)
		s->wrong = "it does not say how large the file is";
	for (guint i = 0; !s->wrong && i < s->extents->len; i++) {
		const struct tar_extent *x = &g_array_index(s->extents, struct tar_extent, i);

		if (x->off < end || x->off > s->size || x->size > s->size - x->off)
			s->wrong = "its pieces are out of order, or pass the file's end";
		end = x->off + x->size;
		sum += x->size;
	}
	if (!s->wrong && sum != stored)
		s->wrong = "it speaks of more or less data than there is";
	if (s->wrong)
		return cim_fail(EBADMSG, "its map of a sparse file is wrong: %s", s->wrong);
	*ret_size = s->size;
	return 0;
}
