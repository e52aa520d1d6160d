/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a writer has in memory: nodes of the files that changed, and what changed in directories.
 *
 * Private to the files that make up the writer (writer.c, tree.c, data.c, xattr.c, encode.c,
 * commit.c).  All of it is guarded by writer->lock, but for the data of contents.
 *
 * A new file costs a struct cim_node, its name in a struct cim_dentry, and 8 bytes each in two
 * tables.
 */
#ifndef CIM_NODE_H
#define CIM_NODE_H

#include <sys/stat.h>

#include "content.h"
#include "writer.h"

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
	struct cim_dentry **bucket; /* n_buckets, a power of two */
	uint32_t n_buckets;
	uint32_t n_dentries;
	uint32_t n_names;    /* entries that the directory has */
	uint64_t table_size; /* bytes of the link table it will have, but for padding */
};

/* An alternate data stream: an xattr that no EA can hold, or one that came with the base. */
struct cim_ads {
	struct cim_stored data;
	struct cim_stream base; /* of a stream of the base: as it is there */
	uint64_t size;
	uint16_t n_units;
	uint16_t units[CIM_NAME_UNITS];
};

enum cim_data_kind {
	CIM_DATA_NONE,   /* no bytes */
	CIM_DATA_HOLE,   /* zeros, nothing stored */
	CIM_DATA_BASE,   /* a stream of the base, as it is there */
	CIM_DATA_STORED, /* bytes stored by this writer, or found in the base */
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

	/* A regular file's data as it was last stored; content, if there is one, is newer. */
	uint64_t size;
	struct cim_stored data;
	uint8_t data_kind;   /* enum cim_data_kind */
	uint8_t stream_type; /* enum cim_stream_type, of CIM_DATA_BASE */
	bool stream_sparse;
	bool has_holes;
	uint8_t posix_stored; /* CIM_POSIX_…: what has a value; the rest is the view's to choose */
	bool was_stored; /* this writer has stored it once: while it changes again it stays in the
			    scratch file */
	bool changed_entry; /* its file entry must be written */
	bool counted;       /* of the base: n_links is all of its names */

	uint32_t reparse_tag; /* of the base; with reparse_off */
	union {
		struct cim_dir *dir; /* directories: NULL while their names are the base's */
		struct cim_content *content; /* regular files: NULL while nobody writes */
		char *target;                /* new symlinks; NULL for those of the base */
		struct {
			uint32_t major, minor;
		} dev;
	};
	uint64_t reparse_off, sd_off; /* of the base; 0: none, or made by the commit */
	uint8_t *eas;                 /* EAs but those of posix.h: a list, malloc'ed */
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
	struct cim_view view;   /* also the base's */
	struct cim_upcase upcase;
	bool case_sensitive;

	GMutex lock; /* guards the rest */
	enum cim_writer_state state;
	uint32_t base_last_id; /* 0 without a base */
	uint32_t root_id;
	GHashTable *base_nodes; /* ID -> node, of files of the base that were touched */
	GPtrArray *new_nodes;   /* by ID - base_last_id - 1; NULL: forgotten */
	uint32_t n_changed;
	struct cim_region_writer *region;
	struct cim_scratch scratch;
};

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

/** cim_node_attr_stored - what stat(2) shows of a node, before the view is applied */
void cim_node_attr_stored(const struct cim_node *node, struct cim_attr *ret);

/** cim_node_attr - what stat(2) shows of a node */
void cim_node_attr(struct cim_writer *w, const struct cim_node *node, struct cim_attr *ret);

/** cim_writer_usable - 0, or -ESTALE once the writer is committed or failed */
int cim_writer_usable(const struct cim_writer *w);

/* ---- data (data.c) ---- */

/** cim_node_drop_data - a file's data is not used any more */
void cim_node_drop_data(struct cim_writer *w, struct cim_node *node);

/** cim_writer_store_all - store every content that is newer than what is stored; by the commit,
 * under the lock */
int cim_writer_store_all(struct cim_writer *w);

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
int cim_node_load_xattrs(struct cim_writer *w, const struct cim_entry *e, struct cim_node *node);

/* ---- encoding (encode.c) ---- */

/** cim_encode - write all metadata of the tree; the region offset of the filesystem object */
int cim_encode(struct cim_writer *w, uint64_t *ret_fs_off);

#endif
