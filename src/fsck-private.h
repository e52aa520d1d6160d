/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the parts of the checker share: a run over a directory, an image in it, and how a finding
 * is told.
 *
 *	fsck.c         the run, findings, region sets
 *	fsck-image.c   an image: header, filesystem object, file tables
 *	fsck-tree.c    its directories: every file ID, every name
 *	fsck-entry.c   its files: streams, EAs, reparse buffers, descriptors
 *	fsck-data.c    object ID files, and all data
 */
#ifndef CIM_FSCK_PRIVATE_H
#define CIM_FSCK_PRIVATE_H

#include "fsck.h"
#include "idmap.h"
#include "image.h"
#include "reader.h"

struct fsck {
	struct cim_store *store;
	const struct cim_fsck_options *opt;
	cim_fsck_fn fn;
	void *arg;
	struct cim_fsck_totals totals;
	int stop;             /* what ended the run: a negative errno */
	GHashTable *sets;     /* struct cim_guid -> region files of the largest that was checked */
	struct cim_region_list list; /* of the directory, once an image misses many files */
	uint64_t path_budget; /* links that may still be looked at to find paths for findings */
	uint64_t all_bytes;   /* of region files, for the progress; 0: unknown */
};

/* What is known of a file ID that directories have: the value in fsck_image.names. */
#define FSCK_HAS_PARENT 0x80000000u /* the directory that its entry says has it */
#define FSCK_NAMES      0x7FFFFFFFu /* how many names it has */

/*
 * A blob that was found good: one that a million files share is looked at once.  A table of these,
 * of fixed size, by place; the newer takes the older's slot.
 */
struct fsck_good {
	uint64_t off;
	uint32_t size; /* bytes that the file says, where it does */
	uint16_t kind; /* enum fsck_kind; 0: a free slot */
	bool has_mode; /* of an EA list: what Linux' EAs say */
	uint32_t mode, n_links;
};
enum fsck_kind { FSCK_EAS = 1, FSCK_REPARSE, FSCK_DESCRIPTOR, FSCK_PE };
#define FSCK_GOOD 4096

struct fsck_image {
	struct fsck *run;
	const char *name;
	struct cim_image *img;
	uint8_t *region_type;   /* by region index: enum cim_region_type */
	struct cim_idmap names; /* file IDs that directories have */
	GTree *tables;          /* link tables that were looked at, by place */
	uint64_t n_used;        /* file entries that are not all zeros */
	bool used_known;        /* all of them were counted */
	struct fsck_good good[FSCK_GOOD];
};

/* Where a finding is; what does not apply is 0. */
struct fsck_where {
	enum cim_fsck_severity severity;
	const char *rule;
	const struct fsck_image *image;
	const char *name; /* of an image that is not open */
	const char *file;
	uint32_t id;
	uint64_t off;
};

/** fsck_report - tell of a finding, or count it only */
void fsck_report(struct fsck *f, const struct fsck_where *where, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Of an image: damage(im, "rule", id, off, "…"); id and off may be 0. */
#define fsck_damage(im, rule_, id_, off_, ...)                                         \
	fsck_report((im)->run,                                                         \
		    &(const struct fsck_where){ CIM_FSCK_DAMAGE, rule_, .image = (im), \
						.id = (id_), .off = (off_) },          \
		    __VA_ARGS__)
#define fsck_note(im, rule_, id_, off_, ...)                                                      \
	fsck_report((im)->run,                                                                    \
		    &(const struct fsck_where){ CIM_FSCK_NOTE, rule_, .image = (im), .id = (id_), \
						.off = (off_) },                                  \
		    __VA_ARGS__)

/** fsck_sets - the region and object ID files of an image's sets, those not yet checked */
int fsck_sets(struct fsck *f, const char *image, const struct cim_set *sets, uint32_t n);

/** fsck_run_image - everything about an image; 0 or a negative errno: it cannot be told */
int fsck_run_image(struct fsck *f, const char *name);

/** fsck_tree - all directories from the root, then each file that they have */
int fsck_tree(struct fsck_image *im);

/** fsck_entry - one file that directories have; @names: FSCK_HAS_PARENT and FSCK_NAMES */
void fsck_entry(struct fsck_image *im, uint32_t id, uint32_t names);

/* A link table that files have, of files or of streams. */
struct fsck_table {
	uint64_t off;
	uint32_t size;       /* bytes */
	uint32_t entry_size; /* CIM_LINK_ID or CIM_LINK_STREAM */
	uint32_t first_id;   /* the file that it was met with first */
	uint32_t n_users;
	bool has_directories;
};

/**
 * fsck_place - claim the bytes of a link table
 *
 * Tables that overlap could be made to hold more entries than there are bytes, without end.
 *
 * Returns 1: new; 0: this very table was claimed before; -1: it overlaps another, which is told.
 */
int fsck_place(struct fsck_image *im, uint32_t id, uint64_t off, const struct cim_links *l,
	       struct fsck_table **ret);

/** fsck_alignment - whether an object begins where objects of its region do; tells if not */
void fsck_alignment(struct fsck_image *im, uint32_t id, uint64_t off, const char *what);

/**
 * fsck_objects - the object ID files of a set, and with opt->data all bytes of its region files
 * @indexes: uint32_t, of the region files to be looked at
 */
int fsck_objects(struct fsck *f, const char *image, const struct cim_set *set,
		 const GArray *indexes);

#endif
