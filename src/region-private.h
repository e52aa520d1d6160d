/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a region writer is made of, for the files named region….
 */
#ifndef CIM_REGION_PRIVATE_H
#define CIM_REGION_PRIVATE_H

#include "region.h"

#define CIM_RANK_NONE UINT32_MAX /* data that no file of the image has */

struct region_file {
	struct cim_tmpfile tmp, ids; /* the region file, and its object IDs */
	uint64_t tail;               /* where the next object goes */
	uint64_t dead;               /* bytes of objects without references, padding included */
	uint8_t *window;             /* WINDOW bytes, NULL in the data region */
	uint64_t window_off;         /* where in the file the window's bytes belong */
	uint64_t allocated;          /* the file has space up to here */
	uint64_t ids_size;           /* bytes of the object ID file */
};

struct cim_region_writer {
	int dirfd;
	struct cim_image *base;
	struct cim_set set;
	uint32_t first; /* region index of our region 0 */
	GMutex lock;    /* guards the rest */
	struct region_file file[CIM_SET_REGIONS];
	struct cim_objects objects;
	struct cim_known *known; /* opened with the first object that is looked for */
	uint64_t n_bytes;
	unsigned int n_opened; /* region files, those that were compacted too */
	uint32_t n_busy; /* reads and writes of a region file that go on outside the lock */
	GCond idle;      /* n_busy is 0 */
	bool sealed;
	uint32_t *rank;  /* by object number: its place among the data; NULL: as it came */
	uint32_t n_rank; /* room in rank */
	uint32_t n_ranked;
	bool shares; /* files of the set may be there already, with the same bytes */
	unsigned int
		linked; /* 2n: region file n has got its name from us; 2n + 1: its object IDs */
};

static inline uint64_t cim_align_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) & ~(to - 1);
}

/* What an object takes from its region file. */
static inline uint64_t footprint(uint32_t type, uint64_t size)
{
	return cim_align_up(size, type == CIM_REGION_DATA ? CIM_DATA_ALIGN : CIM_SMALL_ALIGN);
}

int cim_region_flush(struct region_file *f);
int cim_region_open_file(struct cim_region_writer *rw, uint32_t type);

/* ---- region-compact.c ---- */

struct cim_placed {
	uint64_t key; /* what it is sorted by: its place */
	struct cim_object *o;
	uint64_t off; /* where it comes to lie */
};

/** cim_region_live - the objects of a region that are in use, in the order in which they shall lie;
 * g_free() */
struct cim_placed *cim_region_live(const struct cim_region_writer *rw, uint32_t type,
				   uint32_t *ret_n);

/* ---- region-guid.c ---- */

/** cim_region_guid_of_content - name a finished set after what it holds; 0, -EIO */
int cim_region_guid_of_content(struct cim_region_writer *rw);

#endif
