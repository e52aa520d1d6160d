/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A fuzz target: one input, as hostile as can be, through one parser.
 *
 * tests/fuzz-NAME.c has the two functions below; tests/fuzz-main.c runs them, over the inputs kept
 * in tests/corpus/NAME, or with libFuzzer (configure --enable-fuzz; scripts/fuzz).
 */
#ifndef CIM_TESTS_FUZZ_H
#define CIM_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CIM_TESTS_WITHOUT_CHECK
#include "support.h"

/** Runs one input; returns 0.  What must hold for every input is a fuzz_check(). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** fuzz_seeds - the inputs that a target makes itself: what is valid, so that mutants get far */
typedef void (*fuzz_emit_fn)(const void *data, size_t size);
void fuzz_seeds(fuzz_emit_fn emit);

#define fuzz_check(condition)                                                             \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
				#condition);                                              \
			abort();                                                          \
		}                                                                         \
	} while (0)

#endif
