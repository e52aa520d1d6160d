/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a directory has: the images, each by the digest of its tree, and files that are of none.
 */
#ifndef CIM_TESTS_IMAGES_H
#define CIM_TESTS_IMAGES_H

#include "store.h"

/* Name -> digest of the tree, both text. */
typedef GHashTable images;

images *images_new(void);

/** images_read - read all images of a directory to the last byte; NULL and cim_reason() where one
 * is damaged */
images *images_read(struct cim_store *store);

bool images_same(images *a, images *b);

/** images_describe - "a.cim=0123, b.cim=4567"; g_free() */
char *images_describe(images *i);

/** images_stray - a file of the directory that no image needs; NULL: none; g_free() */
char *images_stray(struct cim_store *store);

#endif
