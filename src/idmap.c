/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "idmap.h"

#include <glib.h>
#include <stdlib.h>

#include "error.h"

#define MIN_SLOTS 1024u

static struct cim_idmap_slot *slot_of(const struct cim_idmap *map, uint32_t id)
{
	uint32_t h = (id ^ map->seed) * 0x9E3779B1u;

	h ^= h >> 15;
	h *= 0x85EBCA77u;
	h ^= h >> 13;
	for (h &= map->n_slots - 1; map->slot[h].id; h = (h + 1) & (map->n_slots - 1))
		if (map->slot[h].id == id)
			break;
	return &map->slot[h];
}

static int grow(struct cim_idmap *map)
{
	struct cim_idmap old = *map;

	if (old.n_slots > UINT32_MAX / 2)
		return cim_fail(ENOMEM, "no memory for more than %u files", old.n);
	map->n_slots = old.n_slots ? old.n_slots * 2 : MIN_SLOTS;
	map->seed = g_random_int();
	map->slot = g_try_malloc0_n(map->n_slots, sizeof(*map->slot));
	if (!map->slot) {
		*map = old;
		return cim_fail(ENOMEM, "no memory for more than %u files", old.n);
	}
	for (uint32_t i = 0; i < old.n_slots; i++)
		if (old.slot[i].id)
			*slot_of(map, old.slot[i].id) = old.slot[i];
	g_free(old.slot);
	return 0;
}

int cim_idmap_add(struct cim_idmap *map, uint32_t id, struct cim_idmap_slot **ret)
{
	int r = map->n >= map->n_slots / 4 * 3 ? grow(map) : 0;

	if (r < 0)
		return r;
	*ret = slot_of(map, id);
	if ((*ret)->id)
		return 0;
	**ret = (struct cim_idmap_slot){ .id = id };
	map->n++;
	return 1;
}

struct cim_idmap_slot *cim_idmap_find(const struct cim_idmap *map, uint32_t id)
{
	struct cim_idmap_slot *slot = map->n > 0 && id ? slot_of(map, id) : NULL;

	return slot && slot->id ? slot : NULL;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = ((const struct cim_idmap_slot *)a)->id;
	uint32_t y = ((const struct cim_idmap_slot *)b)->id;

	return (x > y) - (x < y);
}

void cim_idmap_list(struct cim_idmap *map)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < map->n_slots; i++)
		if (map->slot[i].id)
			map->slot[n++] = map->slot[i];
	if (n > 0)
		qsort(map->slot, n, sizeof(*map->slot), compare_ids);
}

void cim_idmap_clear(struct cim_idmap *map)
{
	g_free(map->slot);
	*map = (struct cim_idmap){ 0 };
}
