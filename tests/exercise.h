/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Everything that is done with an image, done with one that may be damaged: it may be refused, and
 * that is all that may happen.  Needs no test library.
 */
#ifndef CIM_TESTS_EXERCISE_H
#define CIM_TESTS_EXERCISE_H

#include "fsck.h"
#include "treehash.h"
#include "walk.h"
#include "writer.h"

#define EXERCISE_IDS  12 /* files of a base that a fork touches */
#define EXERCISE_TEXT "what a fork adds"

/** exercise_read - open and walk an image; the error of the opening, else 0 */
TEST_HELPER int exercise_read(struct cim_store *store, const char *name, struct walk *w)
{
	static const char *const paths[] = { "d1/sub2/deep3", "link22/x", "", "d1\\..\\f4",
					     "far23" };
	struct cim_image *img;
	uint32_t id;
	int r = cim_image_open(store, name, &img);

	if (r < 0)
		return r;
	walk_file(w, img, img->fs.root_id);
	for (size_t i = 0; i < G_N_ELEMENTS(paths); i++)
		(void)cim_path_lookup(img, paths[i], true, &id);
	cim_image_unref(img);
	return 0;
}

/** exercise_hash - the digest of an image; 0 or the error of opening it or of the digest */
TEST_HELPER int exercise_hash(struct cim_store *store, const char *name,
			      uint8_t ret[CIM_SHA256_SIZE])
{
	struct cim_image *img;
	int r = cim_image_open(store, name, &img);

	if (r < 0)
		return r;
	r = cim_tree_hash(img, img->fs.root_id, NULL, ret);
	cim_image_unref(img);
	return r;
}

/** exercise_fsck - check an image (NULL: the directory) with its data: as cim_fsck_image() */
TEST_HELPER int exercise_fsck(struct cim_store *store, const char *name)
{
	const struct cim_fsck_options options = { .data = true, .max_findings = 100 };

	return name ? cim_fsck_image(store, name, &options, NULL, NULL)
		    : cim_fsck_directory(store, &options, NULL, NULL);
}

TEST_HELPER int exercise_count(void *arg, const char *name, size_t n, uint32_t id)
{
	unsigned int *left = arg;

	return --*left == 0;
}

/* Change a file of the base in every way there is; it may not be what it seems. */
TEST_HELPER void exercise_touch(struct cim_writer *w, uint32_t root, uint32_t id)
{
	struct cim_attr attr, mode = { .posix.mode = 0640 };
	unsigned int left = 100;
	char target[CIM_SYMLINK_MAX + 1], value[64];

	if (id == root || cim_writer_attr(w, id, &attr) < 0)
		return;
	(void)cim_writer_readlink(w, id, target);
	(void)cim_writer_list(w, id, exercise_count, &left);
	(void)cim_writer_set(w, id, CIM_SET_MODE | CIM_SET_WRITTEN, &mode);
	(void)cim_writer_get_xattr(w, id, "user.note", value, sizeof(value));
	(void)cim_writer_set_xattr(w, id, "user.new", "value", 5, 0);
	(void)cim_writer_remove_xattr(w, id, "user.large");
	(void)cim_writer_link(w, id, root, target, strnlen(target, 20));
	if (cim_writer_open_file(w, id, CIM_OPEN_WRITE) < 0)
		return;
	(void)cim_writer_read(w, id, attr.size / 2, value, sizeof(value));
	(void)cim_writer_write(w, id, MIN(attr.size, 100000), "more", 4);
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
}

/** exercise_fork - a fork that adds a file, touches others and is committed
 * @ret_stage: "open", "change" or "commit": where it ended
 * What could be committed can be read.  0 or the first error that ended it. */
TEST_HELPER int exercise_fork(struct cim_store *store, const char *base, const char *name,
			      const char **ret_stage)
{
	const struct cim_make make = { .mode = S_IFREG | 0644 };
	struct cim_writer *w;
	uint32_t id;

	*ret_stage = "open";
	int r = cim_writer_open(store, base, name, CIM_CASE_BASE, &w);
	if (r < 0)
		return r;
	uint32_t root = cim_writer_root(w);
	*ret_stage = "change";
	for (uint32_t i = 1; i <= EXERCISE_IDS; i++)
		exercise_touch(w, root, i);
	(void)cim_writer_rename(w, root, "d1", 2, root, "moved", 5, 0);
	(void)cim_writer_unlink(w, root, "hard", 4);
	r = cim_writer_make(w, root, "added", 5, &make, &id);
	if (r == 0)
		r = cim_writer_open_file(w, id, CIM_OPEN_WRITE);
	if (r == 0) {
		ssize_t n = cim_writer_write(w, id, 0, EXERCISE_TEXT, strlen(EXERCISE_TEXT));

		r = (int)MIN(n, 0);
		cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	}
	if (r == 0) {
		*ret_stage = "commit";
		r = cim_writer_commit(w);
	}
	cim_writer_close(w);
	return r;
}

/** exercise_added - whether a fork has what exercise_fork() added */
TEST_HELPER bool exercise_added(struct cim_store *store, const char *name)
{
	char buf[64] = "";
	struct cim_image *img;
	struct cim_entry e;
	uint32_t id;
	bool is_there = false;

	if (cim_image_open(store, name, &img) < 0)
		return false;
	if (cim_path_lookup(img, "added", false, &id) == 0 && cim_image_entry(img, id, &e) == 0)
		is_there = cim_stream_read(img, &e.data, 0, buf, sizeof(buf)) ==
				   (ssize_t)strlen(EXERCISE_TEXT) &&
			   strcmp(buf, EXERCISE_TEXT) == 0;
	cim_image_unref(img);
	return is_there;
}

#endif
