/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A number for each of many file IDs: 8 bytes a slot, at least a quarter of them free.
 *
 * The IDs come from an image, and are mixed with a random number, so that no image can choose them
 * to be slow.
 */
#ifndef CIM_IDMAP_H
#define CIM_IDMAP_H

#include <stdint.h>

struct cim_idmap_slot {
	uint32_t id; /* 0: free */
	uint32_t value;
};

/* Zero-initialise; free with cim_idmap_clear(). */
struct cim_idmap {
	struct cim_idmap_slot *slot;
	uint32_t n, n_slots; /* n_slots: a power of two, or 0 */
	uint32_t seed;
};

/**
 * cim_idmap_add - the slot of an ID, made with the value 0 if there is none
 * @id: not 0
 * @ret: valid until the next cim_idmap_add()
 * Returns 1: it is new; 0: it was there; -ENOMEM.
 */
int cim_idmap_add(struct cim_idmap *map, uint32_t id, struct cim_idmap_slot **ret);

/** cim_idmap_find - the slot of an ID, or NULL */
struct cim_idmap_slot *cim_idmap_find(const struct cim_idmap *map, uint32_t id);

/** cim_idmap_list - turn a map into a list of its @map->n slots, sorted by ID; nothing can be added
 * or found any more */
void cim_idmap_list(struct cim_idmap *map);
void cim_idmap_clear(struct cim_idmap *map);

#endif
