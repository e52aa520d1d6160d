/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Directories that are being read while they may change: the root and those of a writer.
 *
 * The kernel opens directories without asking, so there is no handle to keep a reader's place in.
 * A listing is the names of a directory when its reading began; its number is in the upper half of
 * each offset, so that what is created or removed meanwhile shifts nothing.  It goes when it has
 * been read to its end, or when many others have begun since: a reader that comes back later gets
 * a new one, at the same place.
 */
#ifndef CIM_LISTINGS_H
#define CIM_LISTINGS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cim_listing {
	GPtrArray *names;  /* char * */
	off_t base;        /* of its offsets */
	unsigned int refs; /* under the lock */
};

struct cim_listings {
	GMutex lock; /* guards what follows */
	GQueue all;  /* struct cim_listing *, the newest first */
	uint64_t n_names;
	uint32_t last;
};

void cim_listings_init(struct cim_listings *listings);
void cim_listings_clear(struct cim_listings *listings);

/* Adds a directory's names, each from g_malloc(); 0 or a negative errno. */
typedef int (*cim_listing_take)(void *arg, GPtrArray *names);

/**
 * cim_listings_at - the listing that a reading goes on with
 * @off: the request's offset; 0 begins a new one
 * @take, @arg: the names as they are now
 *
 * Returns 0 or the error of @take; ends with cim_listings_put().
 */
int cim_listings_at(struct cim_listings *listings, off_t off, cim_listing_take take, void *arg,
		    struct cim_listing **ret);

/** cim_listings_put - @ended: it has been read to its end */
void cim_listings_put(struct cim_listings *listings, struct cim_listing *l, bool ended);

/** cim_listing_index - the place in a listing that an offset stands for */
static inline uint32_t cim_listing_index(off_t off)
{
	return (uint32_t)off;
}

#endif
