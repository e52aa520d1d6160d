/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image containing directory: which names mean what, and the region files, mapped.
 *
 * A set's files are mapped once, however many open images share it, and stay mapped while one of
 * them is open: what has been deleted meanwhile is read to the end.  All access is relative to one
 * directory descriptor; no path is ever used twice.
 */
#ifndef CIM_STORE_H
#define CIM_STORE_H

#include <glib.h>

#include "format.h"
#include "mapping.h"

struct cim_store {
	int dirfd;
	GMutex lock;      /* guards sets and the reference counts in them */
	GHashTable *sets; /* struct cim_guid -> struct cim_regions */
	gatomicrefcount refs;
};

/* The region files of a set that are there. */
struct cim_regions {
	struct cim_guid guid;
	uint32_t n;                 /* as many as the set says */
	uint32_t refs;              /* under store->lock */
	struct cim_mapping *region; /* n; size 0: missing or no region file of this format */
};

/**
 * cim_store_open - open a containing directory
 * @dirfd, @path: relative to @dirfd, or AT_FDCWD
 *
 * Returns 0 and a reference; -ENOENT, -ENOTDIR, -EACCES, …
 */
int cim_store_open(int dirfd, const char *path, struct cim_store **ret);
struct cim_store *cim_store_ref(struct cim_store *store);
void cim_store_unref(struct cim_store *store);

/*
 * Which region files there are, for who opens the sets of one image.  Nothing is known at first and
 * each file is tried; for an image that misses many the directory is listed, once, so that opening
 * it costs no more than the files that there are.  Begin with zeros.
 */
struct cim_region_list {
	uint32_t n_missing;  /* files tried in vain */
	GHashTable *indexes; /* struct cim_guid -> GArray of uint32_t; NULL: not listed */
};
void cim_region_list_clear(struct cim_region_list *l);

/** cim_region_list_fill - list the directory, unless that was done; 0, or what cim_store_files()
 * says */
int cim_region_list_fill(struct cim_store *store, struct cim_region_list *l);

/** cim_region_list_of - the region files that a set has, by index, in no order; NULL: none.  Filled
 * before */
const GArray *cim_region_list_of(const struct cim_region_list *l, const struct cim_guid *guid);

/**
 * cim_store_regions - the region files of a set, mapped
 * @list: what is known of the directory; learns more
 *
 * Files that are missing or are no region files do not fail this: what they hold is missing, the
 * rest can be read.  Give back with cim_store_release().
 *
 * Returns 0, -EMFILE, -ENFILE, -ENOMEM.
 */
int cim_store_regions(struct cim_store *store, const struct cim_set *set,
		      struct cim_region_list *list, struct cim_regions **ret);
void cim_store_release(struct cim_store *store, struct cim_regions *regions);

/**
 * cim_store_name_check - whether an image may have this name (interface.md §1)
 *
 * Returns 0 or -EINVAL: empty, ".", "..", "/" or a control character, over 255 bytes, reserved
 * ("control", "writer", "region_…", "objectid_…", ".cimfs…").
 */
int cim_store_name_check(const char *name);

/* What the name of a file in the directory makes of it. */
enum cim_name_kind {
	CIM_NAME_OTHER,    /* an image, if its header says so */
	CIM_NAME_REGION,   /* "region_GUID_N" */
	CIM_NAME_OBJECTID, /* "objectid_GUID_N" */
	CIM_NAME_LEFTOVER, /* ".cimfs…" */
};

/** cim_store_name_kind - @ret_guid, @ret_index: of CIM_NAME_REGION and CIM_NAME_OBJECTID */
enum cim_name_kind cim_store_name_kind(const char *name, struct cim_guid *ret_guid,
				       uint32_t *ret_index);

/**
 * cim_store_files - the names of all files of the directory, sorted
 * @ret: NULL-terminated; g_strfreev()
 * Returns their number or -errno.
 */
int cim_store_files(struct cim_store *store, char ***ret);

/**
 * cim_store_probe - whether a file is an image, for those who must know
 *
 * Unlike cim_store_is_image() also of a file whose name no image may have, and with a third answer:
 * it cannot be told.  Leftovers, links, and what is no regular file are none.
 *
 * Returns 1: it is, by its header, whatever is wrong with it otherwise; 0: it is not; -ENOENT;
 * -EACCES, -EMFILE, -EIO, …; -CIM_EVERSION: a file of the format, of a kind that is not known here.
 */
int cim_store_probe(struct cim_store *store, const char *name);

/**
 * cim_store_is_image - whether a file of the directory is an image, by its header
 *
 * A damaged image is one, and a file that the disk does not give may be; a file with another magic,
 * a link or a FIFO is not, nor one that may not be read.
 *
 * Returns 1 or 0; -EMFILE, -ENFILE, -ENOMEM: it cannot be told now.
 */
int cim_store_is_image(struct cim_store *store, const char *name);

/**
 * cim_store_list - the images of the directory
 * @ret: NULL-terminated, sorted by name; g_strfreev()
 * Returns the number of images or -errno.
 */
int cim_store_list(struct cim_store *store, char ***ret);

/* For hash tables of struct cim_guid. */
guint cim_guid_hash(gconstpointer guid);
gboolean cim_guid_equal(gconstpointer a, gconstpointer b);

#endif
