/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inode numbers: a slot in the upper half, a file ID in the lower.
 *
 * Each image seen and each writer opened in the life of a mount has a slot, which is never used for
 * anything else, so that numbers are stable and unique.  There is no table of inodes, and the
 * kernel's lookups are counted a slot and not a file.  Slot 0 is not here: it is the daemon's own
 * nodes.
 *
 * The streams of an image's files that are looked up as files have slots of their own: one for all
 * first streams, one for all second ones, and so on, as many as a file that was looked at has.
 */
#ifndef CIM_SLOTS_H
#define CIM_SLOTS_H

#include <glib.h>
#include <stdatomic.h>

#include "image.h"

struct cim_session;

struct cim_slot {
	uint32_t index;
	struct cim_session *session; /* of a writer; NULL: an image */

	/* Of an image; open while it is looked up.  Set under the table's lock. */
	_Atomic(struct cim_image *) image;
	atomic_uint_least64_t n_lookups;
	dev_t dev; /* which file this slot stands for */
	ino_t ino;
	struct timespec mtime;
	GHashTable *streams; /* index of a stream -> its slot; NULL: none yet.  Under the lock. */

	/* Of streams: whose they are; lookups are counted there. */
	struct cim_slot *of;
	uint32_t stream;
};

#define CIM_SLOT_CHUNKS 26 /* each twice as long as the one before: 2^32 slots */

struct cim_slots {
	GMutex lock;         /* guards adding, opening and closing; reading takes none */
	_Atomic(uint32_t) n; /* slots 1..n are there */
	struct cim_slot *chunk[CIM_SLOT_CHUNKS]; /* slots never move */
	GHashTable *by_name; /* image name -> the slot of the file that has the name */
};

void cim_slots_init(struct cim_slots *slots);
void cim_slots_clear(struct cim_slots *slots);

/** cim_slots_get - the slot with an index, or NULL */
struct cim_slot *cim_slots_get(const struct cim_slots *slots, uint32_t index);

/** cim_slots_add_writer - a slot for a session, which outlives the table */
struct cim_slot *cim_slots_add_writer(struct cim_slots *slots, struct cim_session *session);

/**
 * cim_slots_open_image - the slot of an image file as it is now, with one lookup more
 * @view: how its files are shown
 *
 * Returns 0; -ENOENT (no such file, or no image); -CIM_ECORRUPT, -CIM_EVERSION, -EMFILE, …
 */
int cim_slots_open_image(struct cim_slots *slots, struct cim_store *store, const char *name,
			 const struct cim_view *view, struct cim_slot **ret);

/** cim_slots_stream - the slot of the streams with an index in the tables of an image's files */
struct cim_slot *cim_slots_stream(struct cim_slots *slots, struct cim_slot *image, uint32_t index);

/** cim_slots_ref - @n more lookups of an image's files; one of them, or its slot's opener, holds it
 * already */
void cim_slots_ref(struct cim_slot *slot, uint64_t n);

/** cim_slots_unref - @n lookups less; the last closes the image */
void cim_slots_unref(struct cim_slots *slots, struct cim_slot *slot, uint64_t n);

#endif
