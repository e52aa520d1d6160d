/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The writer of an image: a POSIX tree to be changed and then committed.
 *
 * It starts empty or as an existing image (its *base*), holds the directory's lock until it is
 * closed, and shows nothing to anyone else before cim_writer_commit().  Only what changes is in
 * memory: a file of the base becomes a node when it is touched, a directory gets a table of its
 * differences.
 *
 * Files are named by ID.  An ID of the base is that file; new files get IDs behind the base's
 * last for this session (the commit may give them others).  Any function may be called from any
 * thread; one lock guards the tree, and each file's data has one of its own, so that no I/O
 * happens under the tree's.
 *
 * Errors are negative errnos with the meaning that the system call of the same name gives them.
 * Every function returns -ENOENT or -ESTALE for an ID that is no file of this writer.
 */
#ifndef CIM_WRITER_H
#define CIM_WRITER_H

#include "reader.h"
#include "stream-file.h"

struct cim_writer;

enum cim_case { CIM_CASE_BASE, CIM_CASE_SENSITIVE, CIM_CASE_INSENSITIVE };

/**
 * cim_writer_open - CimCreateImage: become the writer of a directory (interface.md §1)
 * @store: the containing directory
 * @existing: the image to start from, or NULL
 * @new_name: the image to make, or NULL to replace @existing
 * @cmp: how names compare; CIM_CASE_BASE is the base's, or sensitive from scratch
 *
 * Checked in this order: -EINVAL (no name; a name that may not be; a case other than the base's);
 * -EACCES; -CIM_ELOCKED; -ENOENT (@existing); -EEXIST (@new_name); -CIM_ECORRUPT (@existing is no
 * readable image); -ENOSPC, -EDQUOT, -EFBIG; -EOPNOTSUPP (no flock here).
 * Leftovers of writers that died are removed once the lock is held.
 */
int cim_writer_open(struct cim_store *store, const char *existing, const char *new_name,
		    enum cim_case cmp, struct cim_writer **ret);

/** cim_writer_open_path - the same for a directory by path; -ENOENT, -ENOTDIR, … after the names'
 * check */
int cim_writer_open_path(const char *path, const char *existing, const char *new_name,
			 enum cim_case cmp, struct cim_writer **ret);

/**
 * cim_writer_make_consistent - the same tree on the same base is to give the same bytes
 *
 * To be called before the first change.  No clock is read: new files are of 1970, and no time
 * changes by itself.  The root that is made from scratch is root's, 0755.  Files are numbered, and
 * data lies, by their names, not as they came; the GUID of the region set comes from what it
 * holds.  The commit costs one more copy of data that did not come in that order.  Where the
 * directory has the set already, the image shares it; -CIM_ECORRUPT if its bytes are others.
 */
void cim_writer_make_consistent(struct cim_writer *w);

/**
 * cim_writer_commit - publish the tree under the name given at open
 *
 * When it returns 0 the image is there and durable, and the writer accepts nothing but close.  On
 * failure the directory is as before.  What failed before anything was synced for want of something
 * (-ENOSPC, -EDQUOT, -EFBIG, -EMFILE, -ENFILE, -ENOMEM), for a file of that name (-EEXIST), or
 * because others removed or changed a file of the base (-CIM_ECORRUPT) may be tried again when the
 * cause is gone; after any other failure the writer accepts nothing but close.
 */
int cim_writer_commit(struct cim_writer *w);

/** cim_writer_close - drop the writer; without a commit nothing of it remains.  Takes NULL. */
void cim_writer_close(struct cim_writer *w);

/**
 * cim_writer_set_view - how files are shown; to be called before anything else, the default else
 * Nothing of it is stored: what a file does not have, it does not get by being looked at.
 */
void cim_writer_set_view(struct cim_writer *w, const struct cim_view *view);

struct cim_writer_info {
	const char *existing; /* NULL: from scratch; owned by the writer */
	const char *new_name; /* never NULL: equal to existing when it is replaced */
	bool case_sensitive;
	uint32_t base_last_id; /* IDs up to it are files of the base; 0: there is none */
	uint64_t n_changed;    /* files and directories that differ from the base */
	uint64_t n_bytes;      /* of data stored so far */
};
void cim_writer_info(struct cim_writer *w, struct cim_writer_info *ret);

/* ---- the tree ---- */

uint32_t cim_writer_root(const struct cim_writer *w);

/** cim_writer_lookup - 0 and the ID; -ENOENT, -ENOTDIR, -ENAMETOOLONG, -CIM_ECORRUPT */
int cim_writer_lookup(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n,
		      uint32_t *ret_id);
int cim_writer_attr(struct cim_writer *w, uint32_t id, struct cim_attr *ret);

/**
 * cim_writer_spelling - how a name that a directory has is spelled there
 * @ret: room for CIM_NAME_BYTES + 1 bytes, NUL-terminated
 *
 * Another spelling than @name can only be found in an image that does not mind case, or that has
 * names from elsewhere.  Returns 0, -ENOENT, and what cim_writer_lookup() says.
 */
int cim_writer_spelling(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n,
			char *ret);

/**
 * cim_writer_name_of - a name of a file that changed, by a look through the directory that has it
 * @ret: room for CIM_NAME_BYTES + 1 bytes, NUL-terminated
 * Returns 0, -ENOENT, …
 */
int cim_writer_name_of(struct cim_writer *w, uint32_t id, uint32_t *ret_dir_id, char *ret);

/** cim_writer_readlink - @ret: room for CIM_SYMLINK_MAX + 1; the length, or -EINVAL, … */
int cim_writer_readlink(struct cim_writer *w, uint32_t id, char *ret);

/** Called with each name of a directory; a non-zero result ends the walk and is returned. */
typedef int (*cim_writer_list_fn)(void *arg, const char *name, size_t n, uint32_t id);

/** cim_writer_list - every name of a directory, in no order, none twice; @fn must not call the
 * writer */
int cim_writer_list(struct cim_writer *w, uint32_t dir_id, cim_writer_list_fn fn, void *arg);

struct cim_make {
	uint32_t mode;  /* type and permissions as asked for */
	uint32_t umask; /* taken away unless the directory has a default ACL; 0 to take mode as it
			   is */
	uint32_t uid, gid;
	uint32_t major, minor; /* of devices */
	const char *target;    /* of symlinks */
};

/**
 * cim_writer_make - create a file of any type
 *
 * A set-group-ID directory hands its group on, and the bit to directories; a default ACL is
 * inherited. The file starts with no lookups; see cim_writer_ref().
 *
 * Returns 0, -EEXIST, -ENOENT (the directory was removed), -ENOTDIR, -EINVAL or -ENAMETOOLONG
 * (name, target).
 */
int cim_writer_make(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n,
		    const struct cim_make *make, uint32_t *ret_id);

/** cim_writer_link - one more name; -EEXIST, -EPERM (a directory), -EMLINK, … */
int cim_writer_link(struct cim_writer *w, uint32_t id, uint32_t dir_id, const char *name, size_t n);

/** cim_writer_unlink - -ENOENT, -EISDIR, … ; the file lives on while it is open or looked up */
int cim_writer_unlink(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n);
int cim_writer_rmdir(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n);

/** cim_writer_rename - @flags: 0, RENAME_NOREPLACE or RENAME_EXCHANGE, as renameat2(2) */
int cim_writer_rename(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n,
		      uint32_t new_dir_id, const char *new_name, size_t new_n, unsigned int flags);

#define CIM_SET_MODE     (1u << 0) /* permissions; an access ACL follows */
#define CIM_SET_UID      (1u << 1)
#define CIM_SET_GID      (1u << 2)
#define CIM_SET_SIZE     (1u << 3)
#define CIM_SET_ACCESSED (1u << 4)
#define CIM_SET_WRITTEN  (1u << 5)
#define CIM_SET_CHANGED  (1u << 6) /* else a change sets it to now */
#define CIM_SET_CREATED  (1u << 7)

/** cim_writer_set - set the fields of @attr that @mask names; -EISDIR, -EINVAL, -EFBIG (size),
 * -ENOSPC */
int cim_writer_set(struct cim_writer *w, uint32_t id, unsigned int mask,
		   const struct cim_attr *attr);

/** As setxattr(2) and its kin: -EEXIST, -ENODATA, -ERANGE, -E2BIG, -EOPNOTSUPP (a namespace not
 * stored) */
int cim_writer_set_xattr(struct cim_writer *w, uint32_t id, const char *name, const void *value,
			 size_t size, int flags);
ssize_t cim_writer_get_xattr(struct cim_writer *w, uint32_t id, const char *name, void *buf,
			     size_t size);
int cim_writer_list_xattrs(struct cim_writer *w, uint32_t id, cim_xattr_fn fn, void *arg);
int cim_writer_remove_xattr(struct cim_writer *w, uint32_t id, const char *name);

/* ---- what Windows keeps about a file ---- */

/**
 * cim_writer_set_windows - set the parts of @m that @mask names, all or none
 * @mask: CIM_WIN_…
 *
 * CIM_WIN_EAS replaces the whole list, $LXUID and its kin included: they set or unset owner, mode
 * and device.  CIM_WIN_REPARSE of size 0 removes the buffer, CIM_WIN_SECURITY of size 0 gives the
 * default descriptor.  The type of the file follows, as reading it would show; whether it is a
 * directory on Windows follows from the attributes only together with CIM_WIN_REPARSE (a directory
 * link), else it stays what it is.  Without CIM_WIN_CHANGED the time of change is now.
 *
 * Returns 0, -EINVAL (not what Windows takes; a change of type that would lose data or names),
 * -E2BIG (EAs), -ENOSPC, …
 */
int cim_writer_set_windows(struct cim_writer *w, uint32_t id, unsigned int mask,
			   const struct cim_winmeta *m);

/** cim_writer_get_windows - what Windows keeps about a file; @fn must not call the writer, and its
 * result is returned */
int cim_writer_get_windows(struct cim_writer *w, uint32_t id,
			   int (*fn)(void *arg, const struct cim_winmeta *m), void *arg);

/*
 * Names as Windows' API makes and removes them: what has the name already is replaced, and no time
 * changes but those that are given.
 */

/**
 * cim_writer_create - a file or directory with Windows' metadata, and nothing of Linux' but what
 * its EAs say
 *
 * A directory over a directory keeps the names in it and its streams, and gets the metadata.
 * Anything else replaces what is there as a whole, a directory with all below it; another name of a
 * file that is replaced keeps it.  The file starts without data: cim_stream_writer_open().
 *
 * Returns 0; -ENOENT or -ENOTDIR (the directory); -EINVAL, -ENAMETOOLONG (name); what
 * cim_winmeta_check() refuses; -ENOSPC.
 */
int cim_writer_create(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n,
		      const struct cim_winmeta *m, uint32_t *ret_id);

/** cim_writer_remove - take a name away, of a directory with all that is in it; -ENOENT, … */
int cim_writer_remove(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n);

/**
 * cim_writer_link_over - one more name of a file, in place of any other file of that name
 * Returns 0; -EACCES (the file is a directory, or one on Windows); -EEXIST (the name is a
 * directory's); -ENOENT; -EMLINK; -ENOSPC.
 */
int cim_writer_link_over(struct cim_writer *w, uint32_t id, uint32_t dir_id, const char *name,
			 size_t n);

/* ---- alternate data streams; names are shown as those of files are ---- */

int cim_writer_list_streams(struct cim_writer *w, uint32_t id, cim_stream_fn fn, void *arg);

/** cim_writer_read_stream - bytes, fewer at the end; -ENOENT (no such stream), -ENAMETOOLONG, … */
ssize_t cim_writer_read_stream(struct cim_writer *w, uint32_t id, const char *name, uint64_t off,
			       void *buf, size_t size);
int cim_writer_remove_stream(struct cim_writer *w, uint32_t id, const char *name);

/**
 * cim_writer_lookup_stream - the ID by which a stream of a file can be used as a file of its own
 *
 * It is opened, read, written, truncated, and told the attributes of, as any file; owner, mode and
 * times are those of the file that has the stream, also when they are set.  It has no xattrs.  The
 * ID stays the stream's as long as that is there.
 *
 * Returns 0; -ENOENT (no such stream; a file that is neither regular nor a directory); …
 */
int cim_writer_lookup_stream(struct cim_writer *w, uint32_t id, const char *name, uint32_t *ret_id);

/** cim_writer_make_stream - the same for a new one, which is empty; -EEXIST, … */
int cim_writer_make_stream(struct cim_writer *w, uint32_t id, const char *name, uint32_t *ret_id);

/*
 * A main or alternate stream of a fixed size that is written front to back, from memory that does
 * not grow with it; what is not written reads as zeros.  The stream is there from the opening on,
 * as zeros, and has its bytes when it is closed.  Times are not touched.  A commit is refused
 * (-CIM_ELOCKED) while one is open, and the writer outlives it.
 */
struct cim_stream_writer;

/**
 * cim_stream_writer_open - @stream: NULL for the main one
 * Returns 0, -EISDIR (the main one of a directory), -CIM_ELOCKED (a file that is open for writing),
 * -EFBIG, -EINVAL or -ENAMETOOLONG (the name).
 */
int cim_stream_writer_open(struct cim_writer *w, uint32_t id, const char *stream, uint64_t size,
			   struct cim_stream_writer **ret);

/** cim_stream_writer_add - 0; -EFBIG: bytes past the size, after what fits was kept; -ENOSPC, -EIO:
 * the stream stays zeros */
int cim_stream_writer_add(struct cim_stream_writer *s, const void *buf, size_t size);

/** cim_stream_writer_error - what has kept it from being stored, or 0 */
int cim_stream_writer_error(const struct cim_stream_writer *s);

/** cim_stream_writer_close - also what cim_stream_writer_add() has failed with; takes NULL */
int cim_stream_writer_close(struct cim_stream_writer *s);

/**
 * cim_writer_ref, cim_writer_unref - lookups that a kernel holds on a file
 *
 * An unlinked file of this session is forgotten when nobody holds or has it open.
 */
void cim_writer_ref(struct cim_writer *w, uint32_t id);
void cim_writer_unref(struct cim_writer *w, uint32_t id, uint64_t n);

/* ---- data ---- */

#define CIM_OPEN_WRITE    (1u << 0)
#define CIM_OPEN_TRUNCATE (1u << 1)

/** cim_writer_open_file, cim_writer_close_file - a regular file's data; each open is closed with
 * the same flags */
int cim_writer_open_file(struct cim_writer *w, uint32_t id, unsigned int flags);

/**
 * cim_writer_flush - store what a file that is open for writing has in memory
 * So that close(2) can report what write(2) could not.  Returns 0, -ENOSPC, -EIO, …
 */
int cim_writer_flush(struct cim_writer *w, uint32_t id);

/**
 * cim_writer_sync - the same, and wait until what the file has is written
 * Durable is only what is committed; this is for who wants to hear of every error now.  Small files
 * that are gathered have their space, and are not waited for.
 * Returns 0, -ENOSPC, -EIO, …: what the disk did not take is lost, and a commit will fail.
 */
int cim_writer_sync(struct cim_writer *w, uint32_t id);
void cim_writer_close_file(struct cim_writer *w, uint32_t id, unsigned int flags);

ssize_t cim_writer_read(struct cim_writer *w, uint32_t id, uint64_t off, void *buf, size_t size);

/** cim_writer_write - returns @size or an error; a file is open for writing meanwhile */
ssize_t cim_writer_write(struct cim_writer *w, uint32_t id, uint64_t off, const void *buf,
			 size_t size);

/** cim_writer_fallocate - fallocate(2) with @mode 0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE or
 * ZERO_RANGE */
int cim_writer_fallocate(struct cim_writer *w, uint32_t id, int mode, uint64_t off, uint64_t size);
int64_t cim_writer_seek(struct cim_writer *w, uint32_t id, uint64_t off, int whence);

/**
 * cim_writer_put - give a new regular file its whole content at once
 * @fd: read from its start; the descriptor's own position does not count or move
 * @size: bytes to read
 * @holes: look for holes with SEEK_DATA, and keep them; in a consistent image they are where the
 * content has whole blocks of zeros, whatever this says
 * @buf: CIM_PUT_BUFFER bytes of the caller's, so that threads can each have one
 *
 * For importers: data goes from the file to where it stays, hashed on the way, and is dropped where
 * the base or this writer has the same.  Times are not touched.  Returns 0, -EIO (the file shrank),
 * …
 */
#define CIM_PUT_BUFFER (1024 * 1024)
int cim_writer_put(struct cim_writer *w, uint32_t id, int fd, uint64_t size, bool holes, void *buf);

#endif
