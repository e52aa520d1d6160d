/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the mutator does to the files of a set.
 */
#ifndef CIM_TESTS_MUTATE_DAMAGE_H
#define CIM_TESTS_MUTATE_DAMAGE_H

#include "mutate-set.h"
#include "support.h"

/** mutate_write - a file of a set as it should be, whatever is there */
void mutate_write(const struct mutate_set *s, uint32_t file, int dirfd);

/**
 * mutate_damage - one to eight changes to the files of a directory
 * @random: what they are
 * @dirty: by file; those that changed are set
 */
void mutate_damage(const struct mutate_set *s, struct test_random *random, int dirfd, bool *dirty);

#endif
