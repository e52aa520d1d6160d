/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Object IDs: which bytes are stored already, and where.
 *
 * An object is known by its length and the first 24 bytes of its SHA-256.  Two places are looked
 * through: the objects of the set that is being written (an index in memory, 48 bytes an object),
 * and the object ID files of the base's sets, searched where they lie (sorted by digest and
 * length). What a file of a base says is never believed: whoever finds something there compares the
 * bytes.
 */
#ifndef CIM_OBJECTS_H
#define CIM_OBJECTS_H

#include "image.h"

#define CIM_HASHED_HOLES (1ull << 30) /* bytes of hole in an object that are hashed at most */

struct cim_digest {
	uint8_t b[CIM_DIGEST_SIZE];
};

/** cim_digest - of bytes in memory */
void cim_digest(const void *data, size_t size, struct cim_digest *ret);

/* The same for bytes that come in pieces: begin, add as often as needed, end (always). */
struct cim_hash;
struct cim_hash *cim_hash_begin(void);
void cim_hash_add(struct cim_hash *h, const void *data, size_t size);
void cim_hash_zeros(struct cim_hash *h, uint64_t size); /* a hole, as the zeros that it reads as */
void cim_hash_end(struct cim_hash *h, struct cim_digest *ret);

#define CIM_SHA256_SIZE 32 /* bytes of a whole digest */
/* The whole digest of what was added; then the same for other bytes.  Frees nothing. */
void cim_hash_take(struct cim_hash *h, uint8_t ret[CIM_SHA256_SIZE]);
void cim_hash_free(struct cim_hash *h);

/* ---- the set that is being written ---- */

struct cim_object {
	uint64_t size; /* bytes */
	uint64_t off;  /* bytes, in its region file */
	struct cim_digest digest;
	uint32_t refs;   /* files that use it; 0: dead space */
	uint8_t region;  /* enum cim_region_type */
	bool has_digest; /* false: too much hole to hash; not for others to find */
};

struct cim_objects {
	struct cim_object *object;
	uint32_t n, room;
	uint32_t *slots;  /* open addressing by digest: object number + 1, 0 = free */
	uint32_t n_slots; /* a power of two */
};

/**
 * cim_objects_find - an object of this content in a region of metadata, or in one of data
 * Returns its number, or -1.
 */
int64_t cim_objects_find(const struct cim_objects *o, bool metadata,
			 const struct cim_digest *digest, uint64_t size);

/** cim_objects_add - a new object with one reference; its number, or -ENOMEM */
int64_t cim_objects_add(struct cim_objects *o, const struct cim_object *object);

/** cim_objects_forget - those of a region are not there any more; numbers stay */
void cim_objects_forget(struct cim_objects *o, enum cim_region_type region);
void cim_objects_clear(struct cim_objects *o);

/**
 * cim_objects_table - the entries of a region's object ID file, sorted
 * Objects that nobody refers to or that have no digest are left out.
 * Returns malloc'ed entries (NULL if there are none or no memory: *ret_n is then -ENOMEM).
 */
struct cim_object_disk *cim_objects_table(const struct cim_objects *o, enum cim_region_type region,
					  int64_t *ret_n);

/* ---- the sets of a base ---- */

struct cim_known; /* the object ID files of an image's sets, mapped */

/** cim_known_open - never fails: a file that is missing or damaged only costs space */
struct cim_known *cim_known_open(const struct cim_image *base);
void cim_known_close(struct cim_known *k);

/**
 * cim_known_find - candidates for a content, one after the other
 * @cursor: 0 at first; changed by each call
 * @ret_off: region offset of bytes that may be the same; compare them
 * Returns true while there is one.
 */
bool cim_known_find(const struct cim_known *k, bool metadata, const struct cim_digest *digest,
		    uint64_t size, uint32_t *cursor, uint64_t *ret_off);

#endif
