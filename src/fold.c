/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "fold.h"

#include <glib.h>

#include "name.h"

struct item {
	uint32_t hash, index;
};

struct cim_fold {
	uint32_t n;
	struct item item[]; /* by hash, then index */
};

struct cim_upcase cim_fold_upcase(void)
{
	return (struct cim_upcase){ .disk = cim_upcase_windows() };
}

static int compare_items(gconstpointer a, gconstpointer b, gpointer unused)
{
	const struct item *x = a, *y = b;

	(void)unused;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

struct cim_fold *cim_fold_new(const struct cim_links *l)
{
	const struct cim_upcase upcase = cim_fold_upcase();
	uint16_t units[CIM_NAME_UNITS];
	struct cim_fold *fold = g_try_malloc(sizeof(*fold) + (size_t)l->n * sizeof(fold->item[0]));

	if (!fold)
		return NULL;
	fold->n = 0;
	for (uint32_t i = 0; i < l->n; i++) {
		int n = cim_links_name(l, i, units);

		if (n > 0)
			fold->item[fold->n++] =
				(struct item){ .hash = cim_upcase_hash(&upcase, units, (size_t)n),
					       .index = i };
	}
	g_qsort_with_data(fold->item, (gint)fold->n, sizeof(fold->item[0]), compare_items, NULL);
	return fold;
}

void cim_fold_free(struct cim_fold *fold)
{
	g_free(fold);
}

/* The first item that has a hash, or the one behind where it would be. */
static uint32_t first_of(const struct cim_fold *fold, uint32_t hash)
{
	uint32_t low = 0, high = fold->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (fold->item[mid].hash < hash)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int cim_fold_find(const struct cim_fold *fold, const struct cim_links *l, const uint16_t *units,
		  size_t n, cim_fold_skip_fn skip, const void *arg, uint32_t *ret)
{
	const struct cim_upcase upcase = cim_fold_upcase();
	uint32_t hash = fold ? cim_upcase_hash(&upcase, units, n) : 0;
	uint16_t name[CIM_NAME_UNITS];
	uint32_t k = fold ? first_of(fold, hash) : 0, end = fold ? fold->n : l->n;

	for (; k < end && (!fold || fold->item[k].hash == hash); k++) {
		uint32_t i = fold ? fold->item[k].index : k;
		int got = cim_links_name(l, i, name);

		if (got <= 0 || cim_upcase_compare(&upcase, units, n, name, (size_t)got) != 0 ||
		    (skip && skip(arg, name, (size_t)got)))
			continue;
		*ret = i;
		return 1;
	}
	return 0;
}
