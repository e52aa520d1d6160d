/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The image that a tar is imported into: where its entries' paths lead, what whiteouts take away,
 * and the directories that get their metadata at the end.
 *
 * A path with a symlink or a file on its way is refused, so that nothing lands elsewhere than where
 * it says.  Directories into which something comes are kept free of what new files would inherit;
 * at the end they get their own metadata, and with it times that do not change any more.
 *
 * Whiteouts (OCI image layers) take away what the base has, not what the archive brings, whatever
 * the order of the two.
 */
#ifndef CIMFS_TAR_TREE_H
#define CIMFS_TAR_TREE_H

#include "import.h"
#include "tar-read.h"
#include "tar-xattr.h"

#define TAR_SET_TIMES (CIM_SET_ACCESSED | CIM_SET_WRITTEN | CIM_SET_CHANGED | CIM_SET_CREATED)

/* A directory into which something came, or that the archive has: what it shall be at the end. */
struct tar_dir {
	bool named;        /* the archive has an entry of it */
	char *spelling;    /* of its name there; NULL: as the image has it */
	unsigned int mask; /* CIM_SET_… */
	struct cim_attr attr;
	struct held_acl acl;
};

/* A name in a directory. */
struct tar_place {
	uint32_t dir_id;
	const char *name; /* in the path */
	size_t n;
};

struct tar_tree {
	struct import *im;
	uint32_t base_last_id;
	GHashTable *dirs;     /* ID -> struct tar_dir */
	GHashTable *claimed;  /* "DIR-ID/NAME": names that the archive gave to files of the base */
	GString *last_dir;    /* the directory that was looked up last, … */
	uint32_t last_dir_id; /* … and its ID; 0: not any more */
	bool has_root_time;
	struct timespec
		root_time; /* of a root that the archive does not mention: the first entry's */
};

void tar_tree_init(struct tar_tree *t, struct import *im);
void tar_tree_clear(struct tar_tree *t);

/** tar_tree_times - the times of an entry: those that it lacks are its mtime */
void tar_tree_times(const struct tar_entry *e, struct cim_attr *ret);

/* ---- paths ---- */

/**
 * tar_path_clean - the path of an entry, or of a hard link's target
 * @ret: from the root, with single slashes; "": the root itself
 * Returns 0, -EINVAL (empty, absolute, ".."), -ENAMETOOLONG.
 */
int tar_path_clean(const char *raw, GString *ret);

/** tar_path_name - its last name */
const char *tar_path_name(const char *path);

/** tar_path_is_whiteout - whether it is a whiteout, or one of aufs' own names, which are none */
bool tar_path_is_whiteout(const char *path);

/* ---- names in the image ---- */

/**
 * tar_tree_find - the directory of a path that is not the root's
 * @e: whose path it is, for directories that have to be made; NULL: -ENOENT then
 * Returns 0, -ENOENT, -ENOTDIR (a symlink or file is on the way), -EEXIST as below.
 */
int tar_tree_find(struct tar_tree *t, const GString *path, const struct tar_entry *e,
		  struct tar_place *ret);

/** tar_tree_look_up - 0; -ENOENT; -EEXIST if the archive has given that name in another spelling */
int tar_tree_look_up(struct tar_tree *t, const struct tar_place *p, uint32_t *ret_id);

/** tar_tree_touch - a directory is about to get a name, or to lose one */
int tar_tree_touch(struct tar_tree *t, uint32_t dir_id);

/** tar_tree_remove - take a name away, and all below it */
int tar_tree_remove(struct tar_tree *t, const struct tar_place *p);

/** tar_tree_make_room - the same if there is one */
int tar_tree_make_room(struct tar_tree *t, const struct tar_place *p);

/** tar_tree_claim - a file has got a name from the archive */
void tar_tree_claim(struct tar_tree *t, const struct tar_place *p, uint32_t id);

/** tar_tree_whiteout - do what tar_path_is_whiteout() said that it is */
int tar_tree_whiteout(struct tar_tree *t, const GString *path);

/* ---- directories ---- */

/** tar_tree_dir - what a directory that the archive has shall be, to be filled anew; @p: NULL for
 * the root */
struct tar_dir *tar_tree_dir(struct tar_tree *t, const struct tar_place *p, uint32_t id);

/** tar_tree_renew - the same for one that has been given all its metadata: it shall be what it is
 */
int tar_tree_renew(struct tar_tree *t, const struct tar_place *p, uint32_t id);

/** tar_tree_finish - at the end: give directories what they shall be */
int tar_tree_finish(struct tar_tree *t);

#endif
