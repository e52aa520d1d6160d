/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files as Windows makes them, in the directory of a test: with times of their own, and a stream
 * that is written at once.
 */
#ifndef CIM_TESTS_WINCREATE_H
#define CIM_TESTS_WINCREATE_H

#include "imagedir.h"
#include "windows.h"

#define TICKS 132000000000000000u

static const struct cim_winmeta file_meta = { .attributes = CIM_ATTRIBUTE_ARCHIVE,
					      .created = TICKS,
					      .written = TICKS + 1,
					      .changed = TICKS + 2,
					      .accessed = TICKS + 3 };
static const struct cim_winmeta dir_meta = { .attributes = CIM_ATTRIBUTE_DIRECTORY,
					     .created = TICKS,
					     .written = TICKS + 1,
					     .changed = TICKS + 2,
					     .accessed = TICKS + 3 };

TEST_HELPER int try_create(struct cim_writer *w, const char *path, const struct cim_winmeta *m,
			   uint32_t *ret_id)
{
	const char *name;
	uint32_t dir = parent(w, path, &name);

	return cim_writer_create(w, dir, name, strlen(name), m, ret_id);
}

/** write_stream - a whole stream with @text; @stream NULL: the data */
TEST_HELPER void write_stream(struct cim_writer *w, uint32_t id, const char *stream,
			      const char *text)
{
	struct cim_stream_writer *s;

	ck_assert_int_eq(cim_stream_writer_open(w, id, stream, strlen(text), &s), 0);
	ck_assert_int_eq(cim_stream_writer_add(s, text, strlen(text)), 0);
	ck_assert_int_eq(cim_stream_writer_close(s), 0);
}

/** create - a file with @text, NULL: a directory */
TEST_HELPER uint32_t create(struct cim_writer *w, const char *path, const char *text)
{
	uint32_t id;

	ck_assert_int_eq(try_create(w, path, text ? &file_meta : &dir_meta, &id), 0);
	if (text)
		write_stream(w, id, NULL, text);
	return id;
}

#endif
