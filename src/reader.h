/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files of an open image: look up, list, stat, read.
 *
 * Files are named by file ID.  Nothing here allocates per entry, keeps state, or locks; every
 * function may be called from any number of threads.
 */
#ifndef CIM_READER_H
#define CIM_READER_H

#include "image.h"
#include "name.h"
#include "windows.h"

/* What stat(2) shows; times in ticks. */
struct cim_attr {
	uint32_t id;
	struct cim_posix posix;
	uint64_t size;   /* bytes; of a symlink its target's, of a directory its link table's */
	uint64_t blocks; /* of 512 bytes */
	uint64_t accessed, written, changed, created;
	uint32_t flags;     /* CIM_FLAG_… */
	uint32_t stream_of; /* of a stream in a writer: the ID of its file; else 0 */
};

/**
 * cim_file_attr - what a file is
 * Returns 0; -CIM_ECORRUPT (no such ID; damaged entry); -EIO.  A damaged EA list or reparse buffer
 * makes a file plainer, not unreadable.
 */
int cim_file_attr(const struct cim_image *img, uint32_t id, struct cim_attr *ret);

/** cim_file_attr_of - the same for an entry at hand */
int cim_file_attr_of(const struct cim_image *img, uint32_t id, const struct cim_entry *e,
		     struct cim_attr *ret);

/** cim_file_attr_stored - the same, before the image's view is applied (cim_posix_show()) */
int cim_file_attr_stored(const struct cim_image *img, uint32_t id, const struct cim_entry *e,
			 struct cim_attr *ret);

/**
 * cim_file_readlink - the target of a symlink
 * @ret: room for CIM_SYMLINK_MAX + 1 bytes, NUL-terminated
 * Returns its length in bytes, -EINVAL (no symlink), -CIM_ECORRUPT, -EIO.
 */
int cim_file_readlink(const struct cim_image *img, uint32_t id, char *ret);

/** cim_file_readlink_at - the same for an entry at hand, of a link that is @depth directories
 * below the root */
int cim_file_readlink_at(const struct cim_image *img, const struct cim_entry *e, int depth,
			 char *ret);

/** cim_file_eas - the EA list of an entry, as it lies; size 0 if it has none or it is damaged */
void cim_file_eas(const struct cim_image *img, const struct cim_entry *e, const uint8_t **ret,
		  size_t *ret_size);

/** cim_file_reparse - the reparse buffer of an entry, as it lies; size 0 if it has none or it is
 * damaged */
void cim_file_reparse(const struct cim_image *img, const struct cim_entry *e, const uint8_t **ret,
		      size_t *ret_size);

/**
 * cim_file_windows - what Windows keeps about a file
 * @ret: points into the mapped image; what is damaged is left out: its size is 0
 *
 * The count of links that images of ours keep among the EAs ($CIMLINKS) is not shown, where it
 * comes first; earlier ones have it behind $LXMOD.  Returns 0.
 */
int cim_file_windows(const struct cim_image *img, const struct cim_entry *e,
		     struct cim_winmeta *ret);

/* ---- directories ---- */

/** cim_dir_links - the link table of a directory's entry; 0, -ENOTDIR, -CIM_ECORRUPT, -EIO */
int cim_dir_links(const struct cim_image *img, const struct cim_entry *e, struct cim_links *ret);

/**
 * cim_links_find - a stored name in a table
 * Returns 1 and its index, 0 if it is not there, -CIM_ECORRUPT.
 */
int cim_links_find(const struct cim_image *img, const struct cim_links *l, const uint16_t *units,
		   size_t n, uint32_t *ret);

/** cim_links_find_bytes - the same for a Linux name, in either of its spellings (E and W) */
int cim_links_find_bytes(const struct cim_image *img, const struct cim_links *l, const char *name,
			 size_t n, uint32_t *ret);

/**
 * cim_dir_lookup - the file ID of a name in a directory
 * Returns 0, -ENOENT, -ENOTDIR, -CIM_ECORRUPT, -EIO.
 */
int cim_dir_lookup(const struct cim_image *img, uint32_t dir_id, const char *name, size_t n,
		   uint32_t *ret_id);

/**
 * cim_path_lookup - the file ID of a path from the root
 * @path: components divided by "/" or "\"; leading and doubled ones do not count, "." stays, ".."
 * goes up
 * @follow: whether a symlink as last component is followed; earlier ones always are, inside the
 * image
 *
 * Returns 0, -ENOENT, -ENOTDIR, -ELOOP (over 40 symlinks), -ENAMETOOLONG, -CIM_ECORRUPT, -EIO.
 */
int cim_path_lookup(const struct cim_image *img, const char *path, bool follow, uint32_t *ret_id);

/* ---- data ---- */

/**
 * cim_stream_span - a run of a stream's bytes that are about to be read, where they are mapped
 * @off: < s->size
 * @size: > 0, how many are wanted; up to the stream's end
 * @ret: NULL: the run is zeros
 * @ret_size: > 0, at most @size
 *
 * Returns 0 or -CIM_ECORRUPT.
 */
int cim_stream_span(const struct cim_image *img, const struct cim_stream *s, uint64_t off,
		    uint64_t size, const uint8_t **ret, uint64_t *ret_size);

/**
 * cim_stream_check - after bytes of a stream were used where they are mapped: whether they were there
 * Returns 0, -EIO or -CIM_ECORRUPT.
 */
int cim_stream_check(const struct cim_image *img, const struct cim_stream *s, uint64_t off,
		     uint64_t size);

/** cim_stream_read - copy bytes out; returns how many (fewer at the end), -CIM_ECORRUPT, -EIO */
ssize_t cim_stream_read(const struct cim_image *img, const struct cim_stream *s, uint64_t off,
			void *buf, size_t size);

/**
 * cim_stream_seek - the next data or hole at or after @off, as lseek(2)
 * @whence: SEEK_DATA or SEEK_HOLE
 * Returns the position, or -ENXIO.
 */
int64_t cim_stream_seek(const struct cim_image *img, const struct cim_stream *s, uint64_t off,
			int whence);

/*
 * ---- extended attributes: EAs, the streams that hold what EAs cannot, and what Windows keeps of a
 * file, as system.ntfs_… (ntfs-xattr.h) ----
 */

/** Called for each attribute; a non-zero result ends the walk and is returned. */
typedef int (*cim_xattr_fn)(void *arg, const char *name);

int cim_file_list_xattrs(const struct cim_image *img, const struct cim_entry *e, cim_xattr_fn fn,
			 void *arg);

/**
 * cim_file_get_xattr - a value
 * @buf, @size: where to, or size 0 to ask for the size
 * Returns its size in bytes, -ENODATA, -ERANGE (@buf too short), -E2BIG (over 64 KiB),
 * -CIM_ECORRUPT.
 */
ssize_t cim_file_get_xattr(const struct cim_image *img, const struct cim_entry *e, const char *name,
			   void *buf, size_t size);

/** cim_file_streams - the table of alternate data streams; n = 0 if there is none */
int cim_file_streams(const struct cim_image *img, const struct cim_entry *e, struct cim_links *ret);

/** cim_file_stream_by_name - an alternate data stream by its name, as it is shown; 0, -ENOENT with
 * a sentence, -CIM_ECORRUPT */
int cim_file_stream_by_name(const struct cim_image *img, const struct cim_entry *e,
			    const char *name, struct cim_stream *ret);

/** cim_stream_xattr_name - the xattr that shows a stream of this stored name; 0 or -EILSEQ */
int cim_stream_xattr_name(const uint16_t *units, size_t n, char ret[CIM_XATTR_NAME_MAX + 1]);

/** cim_stream_xattr_shown - the same as a view has it; -EILSEQ also where it shows none as xattrs
 */
int cim_stream_xattr_shown(const struct cim_view *view, const uint16_t *units, size_t n,
			   char ret[CIM_XATTR_NAME_MAX + 1]);

#endif
