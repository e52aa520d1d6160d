/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the checker finds in the directory of a test, and an image with one of everything for it to
 * look at.
 */
#ifndef CIM_TESTS_FINDINGS_H
#define CIM_TESTS_FINDINGS_H

#include <inttypes.h>

#include "fsck.h"
#include "imagedir.h"

/* ---- findings ---- */

struct heard {
	GPtrArray *lines; /* "damage rule", "note rule" */
	GString *all;     /* for people */
};

TEST_HELPER int hear(void *arg, const struct cim_fsck_finding *f)
{
	struct heard *h = arg;
	const char *severity = f->severity == CIM_FSCK_DAMAGE ? "damage" : "note";

	ck_assert_ptr_nonnull(f->rule);
	ck_assert_str_ne(f->text, "");
	g_ptr_array_add(h->lines, g_strdup_printf("%s %s", severity, f->rule));
	g_string_append_printf(
		h->all, "%s %s: image %s file %s id %u path %s off %#" PRIx64 ": %s\n", severity,
		f->rule, f->image ? f->image : "-", f->file ? f->file : "-", f->id,
		f->path ? f->path : "-", f->off, f->text);
	return 0;
}

TEST_HELPER void hear_nothing(struct heard *h)
{
	h->lines = g_ptr_array_new_with_free_func(g_free);
	h->all = g_string_new(NULL);
}

TEST_HELPER void forget(struct heard *h)
{
	g_ptr_array_unref(h->lines);
	g_string_free(h->all, TRUE);
}

/** run_fsck - what the checker says of the directory, with all data; forget() */
TEST_HELPER int run_fsck(struct heard *h)
{
	struct cim_fsck_options opt = { .data = true };

	hear_nothing(h);
	return cim_fsck_directory(test_store, &opt, hear, h);
}

TEST_HELPER bool is_heard(const struct heard *h, const char *finding)
{
	for (guint i = 0; i < h->lines->len; i++)
		if (strcmp(g_ptr_array_index(h->lines, i), finding) == 0)
			return true;
	return false;
}

/* ---- an image with one of everything ---- */

TEST_HELPER void set_xattr(struct cim_writer *w, const char *path, const char *name, size_t size)
{
	g_autofree uint8_t *value = pattern(size, size);

	ck_assert_int_eq(cim_writer_set_xattr(w, find(w, path), name, value, size, 0), 0);
}

/** fill - one of everything that a writer makes */
TEST_HELPER void fill(struct cim_writer *w)
{
	g_autofree uint8_t *large = pattern(100000, 1), *small = pattern(5000, 2);
	struct cim_make device = { .mode = S_IFCHR | 0600, .major = 1, .minor = 3 };
	uint32_t id;

	put_text(w, "text", "some text");
	put(w, "large", large, 100000);
	put(w, "same", large, 100000);
	put(w, "small", small, 5000);
	put(w, "empty", "", 0);
	make_dir(w, "dir");
	make_dir(w, "dir/sub");
	make_dir(w, "dir/none");
	put_text(w, "dir/sub/deep", "deep");
	ck_assert_int_eq(try_link(w, "text", "dir/link"), 0);
	ck_assert_int_eq(try_link(w, "text", "dir/sub/link"), 0);
	make_link(w, "symlink", "dir/sub");
	make_link(w, "absolute", "/nowhere");
	ck_assert_int_eq(try_make_as(w, "device", &device, &id), 0);
	make_file(w, "fifo", S_IFIFO | 0644);
	id = put_text(w, "holes", "x");
	ck_assert_int_eq(try_truncate(w, id, 1 << 20), 0);
	put_text(w, "\xc3\xa4\xe6\x97\xa5\xf0\x9f\x98\x80", "names");
	set_xattr(w, "small", "user.short", 20);
	set_xattr(w, "small", "user.long", 65000);
	set_xattr(w, "small", "user.other", 65000);
	set_xattr(w, "dir", "user.of-a-directory", 10);
}

/** make_rich - "a.cim", an image with one of everything */
TEST_HELPER void make_rich(void)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");

	fill(w);
	commit(w);
}

#endif
