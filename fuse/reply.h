/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers that all kinds of nodes give in the same way.  Each cim_reply_… is the one reply to its
 * request.
 */
#ifndef CIM_REPLY_H
#define CIM_REPLY_H

#include "daemon.h"

/** cim_reply_errno - the errno that users see for an error of the core */
int cim_reply_errno(int r);

/** cim_reply_result - @r: 0 or a negative errno of the core */
void cim_reply_result(fuse_req_t req, int r);

/** cim_reply_statfs - the space of the containing directory */
void cim_reply_statfs(fuse_req_t req);

/** cim_reply_bytes - a value of an xattr: @n bytes, or its size if the caller gave no room, or an
 * error */
void cim_reply_bytes(fuse_req_t req, const void *bytes, ssize_t n, size_t room);

/* Names of xattrs, collected with cim_names_add() for cim_reply_names(). */
struct cim_names {
	GString *list; /* each with its NUL */
	bool all;      /* also those that only root may see */
};
void cim_names_init(struct cim_names *names, fuse_req_t req);
int cim_names_add(void *names, const char *name);

/*
 * The same for the names of a file's streams, where those are files: ntfs-3g has them in an xattr,
 * with a NUL between each two.
 */
#define CIM_XATTR_STREAMS "ntfs.streams.list"
int cim_names_add_stream(void *names, const char *name, uint64_t size);

/**
 * cim_xattr_is_shown - whether an xattr may be seen through this mount at all
 * File capabilities are not, unless root has mounted: an image may come from anywhere.
 */
bool cim_xattr_is_shown(const char *name);

/** cim_reply_names - the list, its size, or the error of the walk; clears */
void cim_reply_names(fuse_req_t req, struct cim_names *names, int r, size_t room);

/**
 * cim_tell_gone - let the kernel drop what it has cached under a name, if that can be done now
 *
 * Not before the request is answered, and in one thread at a time: the kernel takes the directory's
 * lock for it, and whoever has that may be waiting for an answer of ours.
 */
void cim_tell_gone(struct cim_daemon *d, fuse_ino_t parent, const char *name);

/** cim_stat_fill - what stat(2) shows of a file */
void cim_stat_fill(const struct cim_attr *attr, fuse_ino_t ino, struct stat *ret);

/* A buffer of directory entries, as long as the kernel asked for. */
struct cim_dirbuf {
	char *buf;
	size_t size, used;
	bool plus;        /* with attributes */
	off_t base;       /* what all offsets have in common */
	uint64_t n_nodes; /* entries that the kernel will count as lookups */
};

/** cim_dirbuf_init - 0 or -ENOMEM; ends with cim_reply_dirbuf() or cim_dirbuf_clear() */
int cim_dirbuf_init(struct cim_dirbuf *d, size_t size, bool plus);
void cim_dirbuf_clear(struct cim_dirbuf *d);

/**
 * cim_dirbuf_add - one entry
 * @e: ino 0: a name without attributes, to be looked up when it is needed
 * @next: the offset behind it
 * Returns whether it fitted.
 */
bool cim_dirbuf_add(struct cim_dirbuf *d, fuse_req_t req, const char *name,
		    const struct fuse_entry_param *e, off_t next);

/** cim_dirbuf_add_dots - "." and ".."; entries of the directory itself have offsets from 2 on */
#define CIM_DIR_FIRST 2
bool cim_dirbuf_add_dots(struct cim_dirbuf *d, fuse_req_t req, fuse_ino_t self, fuse_ino_t parent,
			 off_t off);

/** cim_reply_dirbuf - 0, or the error of sending; clears */
int cim_reply_dirbuf(fuse_req_t req, struct cim_dirbuf *d);

/**
 * cim_reply_changing - the same for a directory whose names must not be remembered
 * The kernel caches the names of every directory once it has seen their end.  An answer that is too
 * short for an entry ends the reading for its caller as an empty one does, but is no end to cache.
 */
int cim_reply_changing(fuse_req_t req, struct cim_dirbuf *d);

/* d_ino where it is not known without more work than it is worth. */
#define CIM_INO_UNKNOWN 0xffffffffu

#endif
