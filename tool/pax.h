/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PAX records, "LENGTH KEY=VALUE\n", which say what a tar header cannot (POSIX.1-2001, pax), and
 * what their values are made of.
 *
 * Parsing is strict: a record that is almost right is refused, not guessed at.
 */
#ifndef CIMFS_PAX_H
#define CIMFS_PAX_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* A record; the value is any bytes, and may be empty. */
struct pax_record {
	const char *key; /* NUL-terminated */
	const char *value;
	size_t value_size;
};

/** Called for each record; a negative result ends the parsing and is returned. */
typedef int (*pax_fn)(void *arg, const struct pax_record *r);

/**
 * pax_parse - the records of an extended header, in order
 * @records, @size: its bytes; changed, and what @fn is given points into it
 *
 * Returns 0, -EBADMSG (a length that lies, a key that is empty or has a NUL), or what @fn says.
 */
int pax_parse(char *records, size_t size, pax_fn fn, void *arg);

/** pax_add - append a record */
void pax_add(GString *records, const char *key, const void *value, size_t value_size);

/** pax_key_after - whether a record's key begins so; then what stands behind it, else NULL */
const char *pax_key_after(const struct pax_record *r, const char *prefix);

/* ---- values ---- */

/** pax_number - decimal digits, up to @max; false for anything else */
bool pax_number(const char *text, size_t size, uint64_t max, uint64_t *ret);

/** pax_time - seconds with or without a fraction and a sign; false for anything else.  What is past
 * nanoseconds is cut off, towards the past */
bool pax_time(const char *text, size_t size, struct timespec *ret);

#define PAX_TIME 40
/** pax_put_time - as pax_time() reads it, with no more digits than needed */
void pax_put_time(struct timespec ts, char ret[PAX_TIME]);

/**
 * pax_base64 - decode standard base64 with its padding; nothing else may stand in it
 * @ret: room for 3 * @size / 4 bytes
 * Returns false for anything else.
 */
bool pax_base64(const char *text, size_t size, uint8_t *ret, size_t *ret_size);

#endif
