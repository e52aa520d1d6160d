/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Valid image directories, in memory, and where the fields of their files are: what the mutator
 * starts from.
 */
#ifndef CIM_TESTS_MUTATE_SET_H
#define CIM_TESTS_MUTATE_SET_H

#include <glib.h>
#include <stdint.h>

#include "store.h"

struct mutate_file {
	char *name;
	uint8_t *bytes;
	size_t size;
};

/* A number of the format, in one of the files. */
struct mutate_field {
	uint32_t file;
	uint32_t width; /* bytes: 1, 2, 4 or 8 */
	uint64_t off;
};

struct mutate_set {
	GArray *files;  /* struct mutate_file: images first, by name; then sets in their order */
	GArray *fields; /* struct mutate_field */
	uint32_t n_images;
};

/**
 * mutate_set_make - one of the sets: some images, forks of them, every kind of file
 * @seed: another seed, other trees; GUIDs and times differ with each call
 * @dir: an empty directory to make it in; its files stay
 */
struct mutate_set *mutate_set_make(uint64_t seed, const char *dir);
void mutate_set_free(struct mutate_set *s);

#endif
