/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An open image: from region offsets to bytes, from file IDs to file entries.
 *
 * Immutable after opening, so any number of threads may read.  Opening reads headers and the
 * filesystem object, nothing that grows with the image.  Damage is an error (-CIM_ECORRUPT; -EIO
 * where a file was cut off under us) of the call that meets it, and of that call only.
 */
#ifndef CIM_IMAGE_H
#define CIM_IMAGE_H

#include <sys/types.h>

#include "posix.h"
#include "store.h"
#include "upcase.h"

struct cim_image {
	struct cim_store *store;
	char *name;
	dev_t dev; /* identity of the image file that was opened */
	ino_t ino;
	struct timespec mtime;
	struct cim_image_header header;
	uint32_t n_sets;
	struct cim_set *sets;         /* parents first, then the own set */
	struct cim_regions **regions; /* n_sets */
	uint32_t n_region_files;
	const struct cim_mapping **region; /* by region index */
	struct cim_fs fs;
	struct cim_upcase upcase;
	struct cim_view view; /* the default, until it is set by who opened it */
	gatomicrefcount refs;
};

/* For tests: called when an image's header has been read and before its region files are opened. */
extern void (*cim_image_test_hook)(void);

/**
 * cim_image_open - open an image of a directory
 * @ret: one reference
 *
 * Returns 0; -ENOENT; -CIM_EFORMAT (no image); -CIM_EVERSION; -CIM_ECORRUPT; -EACCES, -EMFILE,
 * -ENOMEM, -EIO.
 */
int cim_image_open(struct cim_store *store, const char *name, struct cim_image **ret);

/**
 * cim_image_open_fs - find the filesystem object, once the header and the region files are there
 * The last step of opening; and all of it for who has the region files in memory.
 * Returns 0 or -CIM_ECORRUPT.
 */
int cim_image_open_fs(struct cim_image *img);

/**
 * cim_image_list_sets - the region sets that an image lists, without opening them
 * @ret: g_free()
 * Returns 0 or as cim_image_open().
 */
int cim_image_list_sets(struct cim_store *store, const char *name, struct cim_set **ret,
			uint32_t *ret_n);

/**
 * cim_image_examine - the same for an image that is readable up to its file table directory
 *
 * For who relies on the list: damage to a header seldom leaves the filesystem object where it says.
 * Maps at most three region files.
 */
int cim_image_examine(struct cim_store *store, const char *name, struct cim_set **ret,
		      uint32_t *ret_n);

/**
 * cim_image_check_files - that its region files are still there, as long as when it was opened
 * Those that were missing then may be missing now.  Returns 0 or -CIM_ECORRUPT.
 */
int cim_image_check_files(const struct cim_image *img);

struct cim_image *cim_image_ref(struct cim_image *img);
void cim_image_unref(struct cim_image *img);

/**
 * cim_image_bytes - bytes of an object, where they are mapped
 * @off: region offset
 * @size: bytes that must be there
 * @ret: valid while the image is open
 *
 * Returns 0 or -CIM_ECORRUPT.
 */
int cim_image_bytes(const struct cim_image *img, uint64_t off, uint64_t size, const uint8_t **ret);

/** cim_image_span - the same for an object that tells its own size: how many bytes follow @off */
int cim_image_span(const struct cim_image *img, uint64_t off, const uint8_t **ret,
		   uint64_t *ret_size);

/** cim_image_will_read - before data of cim_image_bytes() is touched; not for metadata, around which
 * the kernel shall read */
void cim_image_will_read(const struct cim_image *img, uint64_t off, uint64_t size);

/**
 * cim_image_check - after @size bytes at @off were used: whether they were there
 * Returns 0, -EIO if the file was cut off under us, or -CIM_ECORRUPT (no such region).
 */
int cim_image_check(const struct cim_image *img, uint64_t off, uint64_t size);

/** cim_image_table - the file table with index @i < fs.n_tables */
int cim_image_table(const struct cim_image *img, uint32_t i, struct cim_table *ret);

/** cim_image_entry - the entry of a file ID; 0, -CIM_ECORRUPT (no such ID, or a damaged entry),
 * -EIO */
int cim_image_entry(const struct cim_image *img, uint32_t id, struct cim_entry *ret);

/** cim_image_last_id - the highest file ID; 0 on damage */
uint32_t cim_image_last_id(const struct cim_image *img);

/** cim_image_counted - bytes behind a region offset that begin with their u16 length (descriptors,
 * reparse) */
int cim_image_counted(const struct cim_image *img, uint64_t off, const uint8_t **ret,
		      size_t *ret_size);

/** cim_image_is_case_sensitive - reads the whole upcase table */
bool cim_image_is_case_sensitive(const struct cim_image *img);

#endif
