/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a writer has in memory: nodes of the files that changed, and what changed in directories.
 *
 * Private to the files that make up the writer (writer.c, tree.c, create.c, data.c, put.c,
 * streams.c, xattr.c, winmeta.c, order.c, parents.c, chain.c, encode.c, commit.c).  All of it is guarded by
 * writer->lock, but for the data of contents.
 *
 * A new file costs a struct cim_node, its name in a struct cim_dentry, and 8 bytes each in two
 * tables.
 */
#ifndef CIM_NODE_H
#define CIM_NODE_H

#include <sys/stat.h>

#include "blobs.h"
#include "content.h"
#include "fold.h"
#include "writer.h"

#define CIM_LINKS_MAX 0xFFFFu /* names of a file */

/* A name in a directory that differs from the base's. */
struct cim_dentry {
	struct cim_dentry *next; /* in its bucket */
	uint32_t id;             /* 0: the base's name is gone */
	uint16_t n_units;
	uint16_t units[];
};

/* A directory that changed: the base's table and the names that differ from it. */
struct cim_dir {
	struct cim_links base;      /* n = 0 for a new directory */
	struct cim_fold *fold;      /* of the base's, once a mount has looked in any case */
	struct cim_dentry **bucket; /* n_buckets, a power of two */
	uint32_t n_buckets;
	uint32_t n_dentries;
	uint32_t n_names;    /* entries that the directory has */
	uint64_t table_size; /* bytes of the link table it will have, but for padding */
};

enum cim_data_kind {
	CIM_DATA_NONE,   /* no bytes */
	CIM_DATA_HOLE,   /* zeros, nothing stored */
	CIM_DATA_BASE,   /* a stream of the base, as it is there */
	CIM_DATA_STORED, /* bytes stored by this writer, or found in the base */
};

/* The data of a stream, the main one of a file or an alternate one. */
struct cim_data {
	uint64_t size;            /* bytes */
	struct cim_stored stored; /* of CIM_DATA_BASE: where is its region offset */
	uint8_t kind;             /* enum cim_data_kind */
	uint8_t type;             /* enum cim_stream_type, of CIM_DATA_BASE and CIM_DATA_NONE */
	bool sparse;              /* of CIM_DATA_BASE */
	bool has_holes;           /* it is worth looking for them */
	uint32_t n_hole_blocks;   /* of CIM_HOLE_BLOCK bytes, so many at least */
};

#define CIM_HOLE_BLOCK 4096u

/* An alternate data stream: an xattr that no EA can hold, or one of Windows. */
struct cim_ads {
	struct cim_data data; /* a copy of the node's, if it has one */
	uint32_t node_id;     /* once it has been looked up as a file; 0: not yet */
	uint16_t n_units;
	uint16_t units[CIM_NAME_UNITS];
};

/* Where the security descriptor or the reparse buffer of a file comes from. */
enum cim_origin {
	CIM_FROM_COMMIT, /* the default one; what follows from the type */
	CIM_FROM_BASE,   /* the region offset in the base, 0: it has none */
	CIM_FROM_CALLER, /* an offset in the writer's blobs */
};

struct cim_node {
	uint32_t id;        /* in this session */
	uint32_t parent_id; /* a directory that has (or had) a name of it */
	uint32_t mode;      /* the type alone, unless posix_stored has it */
	uint32_t uid, gid;
	uint32_t n_links; /* names; 0: deleted */
	uint32_t flags;   /* CIM_FLAG_… of the entry */
	uint32_t n_lookups, n_opens, n_writers;
	uint64_t accessed, written, changed, created;

	/* The main stream as it was last stored; content, if there is one, is newer.  Also of
	 * directories (the base's names) and of symlinks, which may have data on Windows. */
	struct cim_data data;
	uint8_t posix_stored; /* CIM_POSIX_…: what has a value; the rest is the view's to choose */
	uint8_t posix_front;  /* those of them whose EA is made from the fields above; that of any
				 other is in eas, as it came */
	uint8_t sd_from, reparse_from; /* enum cim_origin */
	bool was_stored; /* this writer has stored it once: while it changes again it stays in the
			    scratch file */
	bool changed_entry; /* its file entry must be written */
	bool is_stream;     /* it is an alternate stream and no file */
	uint32_t stream_of; /* … of this file; 0: of none any more */
	bool counted;       /* n_links is all of its names */
	bool lost_name;     /* one is gone, and parent_id may be the directory that had it */

	uint32_t reparse_tag;         /* unless it is from the commit */
	uint64_t sd_off, reparse_off; /* see their origin */
	union {
		struct cim_dir *dir; /* directories: NULL while their names are the base's */
		struct cim_content *content; /* regular files: NULL while nobody writes */
		struct {
			char *target;  /* symlinks made here; NULL: it is in the reparse buffer */
			uint32_t size; /* bytes of the target */
		} link;
		struct {
			uint32_t major, minor;
		} dev;
	};
	uint8_t *eas; /* EAs but those in posix_front and the count of links: a list, malloc'ed */
	uint32_t eas_size;
	GArray *streams; /* struct cim_ads by name; NULL: none */
};

enum cim_writer_state { CIM_WRITER_OPEN, CIM_WRITER_FAILED, CIM_WRITER_COMMITTED };

struct cim_writer {
	struct cim_store *store;
	int lock_fd; /* the containing directory, locked; all that is written goes through it */
	char *existing, *new_name;
	bool replaces;          /* new_name is existing: a commit puts it in the other's place */
	struct cim_image *base; /* NULL: from scratch */
	uint32_t n_kept;        /* of the base's sets, those that the new image lists */
	uint32_t first_gone;    /* region index in the base from which on none is kept */
	struct cim_view view;   /* also the base's */
	struct cim_upcase upcase; /* how names compare */
	struct cim_upcase hashed; /* what names are hashed by: upcase, or what folds more */
	bool case_sensitive;
	bool consistent; /* nothing of when and how it was made is in the image */

	GMutex lock; /* guards the rest */
	enum cim_writer_state state;
	uint32_t base_last_id; /* 0 without a base */
	uint32_t root_id;
	GHashTable *base_nodes; /* ID -> node, of files of the base that were touched */
	GPtrArray *new_nodes;   /* by ID - base_last_id - 1; NULL: forgotten */
	uint32_t n_changed;
	uint32_t n_streams; /* open stream writers */
	struct cim_region_writer *region;
	struct cim_scratch scratch;
	struct cim_blobs blobs;
};

/**
 * cim_base_id - a file ID as a record of the base has it
 * Returns it, or 0 where it is none of the base's: behind those the writer's own begin, and none of
 * them is meant.
 */
static inline uint32_t cim_base_id(const struct cim_writer *w, uint32_t id)
{
	return id <= w->base_last_id ? id : 0;
}

/** cim_node_find - the node of an ID that has one, else NULL */
struct cim_node *cim_node_find(const struct cim_writer *w, uint32_t id);

/**
 * cim_node_get - the node of any ID, made from the base if need be
 * Returns 0, -ESTALE (no such ID), -CIM_ECORRUPT, -EIO.
 */
int cim_node_get(struct cim_writer *w, uint32_t id, struct cim_node **ret);

/** cim_node_new - a node with a new ID and no names; NULL when IDs run out */
struct cim_node *cim_node_new(struct cim_writer *w);

/** cim_node_put - forget a new file that has no name and that nobody uses, and drop what it holds
 */
void cim_node_put(struct cim_writer *w, struct cim_node *node);

/** cim_node_free - for the writer's end */
void cim_node_free(gpointer node);

/** cim_node_set_mode - permissions; the flags of the entry follow.  The mode is the node's own. */
void cim_node_set_mode(struct cim_node *node, uint32_t permissions);

/** cim_node_mark - its entry must be written; times are the caller's business */
void cim_node_mark(struct cim_writer *w, struct cim_node *node);

/** cim_writer_now - the time of day; in a consistent image always 1970 */
uint64_t cim_writer_now(const struct cim_writer *w);

/** cim_node_touch - its entry changed now: ctime, and mtime too where @data */
void cim_node_touch(struct cim_writer *w, struct cim_node *node, bool data);

/* ---- directories ---- */

/** cim_node_dir - a directory's node with a table for changes; -ENOTDIR, … */
int cim_node_dir(struct cim_writer *w, uint32_t id, struct cim_node **ret);

struct cim_dentry *cim_dir_find(const struct cim_writer *w, const struct cim_dir *dir,
				const uint16_t *units, size_t n);

/** cim_dir_set - a name's file from now on, 0: none.  The name is in the base's table if @in_base
 */
int cim_dir_set(struct cim_writer *w, struct cim_dir *dir, const uint16_t *units, size_t n,
		uint32_t id, bool in_base);
void cim_dir_free(struct cim_dir *dir);

/* A name that was looked up: how it is stored, and what it stands for. */
struct cim_found {
	uint32_t id;  /* 0: the name is free */
	bool in_base; /* the base's table has it */
	uint16_t n_units;
	uint16_t units[CIM_NAME_BYTES];
};

/** cim_dir_resolve - a Linux name in a directory; 0 also when it is free; -ENAMETOOLONG,
 * -CIM_ECORRUPT */
int cim_dir_resolve(struct cim_writer *w, uint32_t dir_id, const char *name, size_t n,
		    struct cim_found *ret);

/** cim_node_type - the type bits of any ID's mode, without making a node of it */
int cim_node_type(struct cim_writer *w, uint32_t id, uint32_t *ret);

/** cim_node_attr_stored - what stat(2) shows of a node, before the view is applied */
void cim_node_attr_stored(const struct cim_node *node, struct cim_attr *ret);

/** cim_node_attr - what stat(2) shows of a node */
void cim_node_attr(struct cim_writer *w, const struct cim_node *node, struct cim_attr *ret);

/** cim_writer_usable - 0, or -ESTALE once the writer is committed or failed */
int cim_writer_usable(const struct cim_writer *w);

/* ---- data (data.c) ---- */

/** cim_data_of_stream - the data of a stream of the base */
struct cim_data cim_data_of_stream(const struct cim_stream *s);

/** cim_data_of_stored - what cim_region_put() or its kin stored; { 0 } in @s is a hole
 * @holes: bytes of holes in it */
struct cim_data cim_data_of_stored(const struct cim_stored *s, uint64_t size, uint64_t holes);

/** cim_data_set_holes - how much of it takes no space */
void cim_data_set_holes(struct cim_data *d, uint64_t holes);

/** cim_data_held - bytes that are no hole; never 0 where there is any data */
uint64_t cim_data_held(const struct cim_data *d);

/** cim_data_read - returns how many bytes, fewer at the end; -EIO, -CIM_ECORRUPT */
ssize_t cim_data_read(struct cim_writer *w, const struct cim_data *d, uint64_t off, void *buf,
		      size_t size);

/** cim_data_encode - how the stream stands in the image; after cim_region_seal() */
struct cim_stream cim_data_encode(const struct cim_writer *w, const struct cim_data *d);

/** cim_data_move - store what is in the base in the writer's own set; 0, -ENOSPC, -CIM_ECORRUPT, … */
int cim_data_move(struct cim_writer *w, struct cim_data *d);

/** cim_data_drop - it is not used any more; no bytes are left */
void cim_data_drop(struct cim_writer *w, struct cim_data *d);

/** cim_node_drop_data - the data of a file, with all its streams, is not used any more */
void cim_node_drop_data(struct cim_writer *w, struct cim_node *node);

/** cim_node_regular - the node of a regular file; also -ESTALE, -EISDIR, -EINVAL */
int cim_node_regular(struct cim_writer *w, uint32_t id, struct cim_node **ret);

/** cim_node_stored - note where a file's data was stored: in place of what was before */
void cim_node_stored(struct cim_writer *w, struct cim_node *node, const struct cim_stored *s,
		     uint64_t holes, uint64_t size);

/** cim_writer_store_all - store every content that is newer than what is stored; by the commit,
 * under the lock */
int cim_writer_store_all(struct cim_writer *w);

/** cim_writer_depth - how many directories lead from a file's to the root now, or
 * CIM_DEPTH_UNKNOWN (tree.c) */
int cim_writer_depth(const struct cim_writer *w, uint32_t id);

/** cim_node_set_attr - cim_writer_set() but for the size (tree.c) */
int cim_node_set_attr(struct cim_writer *w, struct cim_node *node, unsigned int mask,
		      const struct cim_attr *attr);

/* ---- extended attributes (xattr.c) ---- */

/** cim_node_acl - an ACL of a node, a malloc'ed copy; *ret NULL if it has none */
int cim_node_acl(struct cim_writer *w, const struct cim_node *node, const char *which, void **ret,
		 size_t *ret_size);

/** cim_node_set_ea - set or (value NULL) remove an EA by its stored name */
int cim_node_set_ea(struct cim_node *node, const char *name, const void *prefix, size_t prefix_size,
		    const void *value, size_t value_size);

/** cim_node_load_xattrs - the EAs and streams of a file of the base into its new node */
int cim_node_load_xattrs(struct cim_writer *w, const struct cim_entry *e, struct cim_node *node,
			 const struct cim_posix *posix);

/** cim_node_set_eas - a whole list, checked; without the count of links.  @posix: what is in it */
int cim_node_set_eas(struct cim_node *node, const void *list, size_t size,
		     const struct cim_posix *posix);

/**
 * cim_node_own - from now on fields of a node are written as EAs, and have values
 * @fields: CIM_POSIX_…; the caller sets them
 * Returns 0, -ENOSPC (its other EAs leave no room), -ENOMEM.
 */
int cim_node_own(struct cim_node *node, uint32_t fields);

/** cim_node_ea_room - whether the list has room for EAs of fields and for the count of links; 0,
 * -ENOSPC */
int cim_node_ea_room(const struct cim_node *node, uint32_t fields);

/* ---- Windows' metadata (winmeta.c) ---- */

/** cim_node_security - a node's security descriptor behind its u16 length
 * @ret: room for 2 + CIM_BLOB_MAX bytes
 * Returns the size of both, 0 (a file of the base without one), -EIO. */
int cim_node_security(const struct cim_writer *w, const struct cim_node *node, uint8_t *ret);

/** cim_node_reparse - the same for the reparse buffer it has or will get; 0 if none
 * @ret_to_dir: it is a directory on Windows all the same */
int cim_node_reparse(struct cim_writer *w, const struct cim_node *node, uint8_t *ret,
		     bool *ret_to_dir);

/** cim_node_eas - its whole EA list, with or without the count of links; clear it also on failure
 */
int cim_node_eas(const struct cim_node *node, bool count, struct cim_ea_list *ret);

/**
 * cim_node_allow_links - let a file have more names than one
 *
 * A symlink that Windows takes for a directory becomes one that only Linux follows, unless the
 * names are one again at the commit.  Returns 0, or -EPERM: its target would not survive that.
 */
int cim_node_allow_links(struct cim_writer *w, struct cim_node *node);

/** cim_node_readlink - as cim_writer_readlink() */
int cim_node_readlink(struct cim_writer *w, const struct cim_node *node, char *ret);

/** cim_node_get_windows - as cim_writer_get_windows() */
int cim_node_get_windows(struct cim_writer *w, const struct cim_node *node,
			 int (*fn)(void *arg, const struct cim_winmeta *m), void *arg);

/** cim_node_set_windows - as cim_writer_set_windows(), but for the time of change */
int cim_node_set_windows(struct cim_writer *w, struct cim_node *node, unsigned int mask,
			 const struct cim_winmeta *m);

/* ---- alternate data streams (streams.c) ---- */

struct cim_ads *cim_streams_at(const struct cim_node *node, guint i);

/** cim_streams_find - whether a node has a stream, and where it is or would come */
bool cim_streams_find(const struct cim_writer *w, const struct cim_node *node,
		      const uint16_t *units, size_t n, guint *ret);
void cim_streams_remove(struct cim_writer *w, struct cim_node *node, guint i);

/** cim_streams_put - add a stream, in place of one of its name; the data is the node's from now on
 */
void cim_streams_put(struct cim_writer *w, struct cim_node *node, const uint16_t *units, size_t n,
		     const struct cim_data *data);
int cim_node_load_streams(struct cim_writer *w, const struct cim_entry *e, struct cim_node *node);

/* ---- the order of a consistent image (order.c) ---- */

/** cim_order_of_names - IDs (uint32_t) of the new files that have names, in order; the directory of
 * each becomes the first that has a name of it */
GArray *cim_order_of_names(struct cim_writer *w);

/** cim_order_arrange - the data comes to lie in the order of its files */
void cim_order_arrange(struct cim_writer *w);

/** cim_streams_find_name - the same by the name that is shown; 0, -ENOENT, -EINVAL, -ENAMETOOLONG */
int cim_streams_find_name(const struct cim_writer *w, const struct cim_node *node, const char *name,
			  guint *ret);

/** cim_streams_add_name - an empty stream of a name that was not found */
int cim_streams_add_name(struct cim_writer *w, struct cim_node *node, const char *name, guint *ret);

/* ---- … as files of their own (stream-node.c) ---- */

/** cim_stream_owner - the file that a stream's node belongs to; NULL: it was removed */
struct cim_node *cim_stream_owner(const struct cim_writer *w, const struct cim_node *node);

/** cim_stream_detach - a stream of a file goes, with its data, unless it is still open */
void cim_stream_detach(struct cim_writer *w, const struct cim_node *file, struct cim_ads *ads);

/** cim_stream_stored - the data of a stream's node is somewhere else now */
void cim_stream_stored(struct cim_writer *w, const struct cim_node *node);

/* ---- directories of files (parents.c) ---- */

/**
 * cim_parents_find - for files that lost a name, a directory that still has one
 * @changed: struct cim_node, the files that will be written
 *
 * A file of which no name is found keeps what it has.
 */
void cim_parents_find(struct cim_writer *w, GPtrArray *changed);

/* ---- the sets that an image shares (chain.c) ---- */

/** cim_chain_keep_all - the new image lists all sets of its base */
void cim_chain_keep_all(struct cim_writer *w);

/**
 * cim_chain_shorten - take the newest sets of a base that has many into the writer's own set
 *
 * By the commit, under the lock, when all contents are stored.  Data is copied here; metadata in
 * those sets is for cim_encode() to write anew.  Cannot fail: what cannot be taken is shared.
 */
void cim_chain_shorten(struct cim_writer *w);

/** cim_chain_gone - whether a region offset of the base leads to a set that is not kept */
static inline bool cim_chain_gone(const struct cim_writer *w, uint64_t off)
{
	return off && cim_off_region(off) >= w->first_gone;
}

/* ---- encoding (encode.c) ---- */

/** cim_encode - write all metadata of the tree; the region offset of the filesystem object */
int cim_encode(struct cim_writer *w, uint64_t *ret_fs_off);

#endif
