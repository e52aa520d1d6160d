/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names that differ by case alone, in tables that are not sorted that way: for mounts that do not
 * mind case where the image does.
 */
#ifndef CIM_FOLD_H
#define CIM_FOLD_H

#include "format.h"
#include "upcase.h"

/** cim_fold_upcase - the table that folds: Windows' */
struct cim_upcase cim_fold_upcase(void);

/* The names of a link table by what is left of them without case: 8 bytes each. */
struct cim_fold;

/** cim_fold_new - NULL without memory; damaged names are left out */
struct cim_fold *cim_fold_new(const struct cim_links *l);
void cim_fold_free(struct cim_fold *fold);

/** Whether a name does not count, though the table has it. */
typedef bool (*cim_fold_skip_fn)(const void *arg, const uint16_t *units, size_t n);

/**
 * cim_fold_find - a name in any case
 * @fold: of @l, or NULL: look through all of it
 * @skip: NULL: all names count
 * Returns 1 and the index of one of those that are there, else 0.
 */
int cim_fold_find(const struct cim_fold *fold, const struct cim_links *l, const uint16_t *units,
		  size_t n, cim_fold_skip_fn skip, const void *arg, uint32_t *ret);

#endif
