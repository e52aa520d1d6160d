/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image of our own in the directory of a test, to be read whole and damaged.
 */
#ifndef CIM_TESTS_READSAMPLE_H
#define CIM_TESTS_READSAMPLE_H

#include "imagedir.h"
#include "reader.h"

#define BIG_SIZE 20000

static uint8_t *big;

/** make_sample - "a.cim": files small and large, in a directory and not, links, xattrs of both
 * kinds */
TEST_HELPER void make_sample(void)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");

	big = pattern(BIG_SIZE, 1);
	make_dir(w, "dir");
	put_text(w, "dir/one", "1");
	put_text(w, "dir/two", "22");
	put_text(w, "dir/three", "333");
	put_text(w, "other", "other");
	put(w, "big", big, BIG_SIZE);
	make_link(w, "link", "dir/one");
	make_link(w, "absolute", "/dir/two");
	make_file(w, "fifo", S_IFIFO | 0600);
	uint32_t id = put_text(w, "attrs", "attrs");
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.small", "small", 5, 0), 0);
	g_autofree uint8_t *value = pattern(65536, 2);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.large", value, 65536, 0), 0);
	commit(w);
}

TEST_HELPER void setup_sample(void)
{
	setup_dir();
	make_sample();
}

TEST_HELPER void teardown_sample(void)
{
	g_clear_pointer(&big, g_free);
	teardown_dir();
}

/** read_error - what looking a file up and reading it says */
TEST_HELPER int read_error(const struct cim_image *img, const char *path)
{
	struct cim_entry e;
	uint32_t id;
	char buf[64];
	int r = cim_path_lookup(img, path, false, &id);

	if (r == 0)
		r = cim_image_entry(img, id, &e);
	return r < 0 ? r : (int)MIN(cim_stream_read(img, &e.data, 0, buf, sizeof(buf)), 0);
}

/** check_rest - what no damage but to its own touches */
TEST_HELPER void check_rest(const struct cim_image *img)
{
	check_text(img, "other", "other");
	check_content(img, "big", big, BIG_SIZE);
}

/** open_error - what opening the image says */
TEST_HELPER int open_error(void)
{
	struct cim_image *img;
	int r = cim_image_open(test_store, "a.cim", &img);

	if (r == 0)
		cim_image_unref(img);
	return r;
}

#endif
