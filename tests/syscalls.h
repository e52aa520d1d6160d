/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every call by which the core reaches the system, seen before and after it is made.
 *
 * The linker leads these calls of the core here (syscalls.wrap has the list, test-syscalls.sh
 * checks that it has all of them), in a program that links syscalls.c.  With both hooks NULL, as
 * at the start, nothing changes.  For one thread.
 */
#ifndef CIM_TESTS_SYSCALLS_H
#define CIM_TESTS_SYSCALLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum call_kind {
	CALL_ALLOC, /* malloc, calloc, realloc, g_try_…: of whatever may fail */
	CALL_CLOCK,
	CALL_CLOSE,
	CALL_COPY_FILE_RANGE,
	CALL_FACCESSAT,
	CALL_FALLOCATE,
	CALL_FDOPENDIR,
	CALL_FLOCK,
	CALL_FSTAT,
	CALL_FSYNC,
	CALL_FTRUNCATE,
	CALL_GETRANDOM,
	CALL_LINKAT,
	CALL_LSEEK,
	CALL_MMAP,
	CALL_OPENAT,
	CALL_PREAD,
	CALL_PWRITE,
	CALL_READDIR,
	CALL_RENAMEAT,
	CALL_STAT,
	CALL_SYNC_FILE_RANGE,
	CALL_UNLINKAT,
	N_CALL_KINDS,
};

struct call {
	enum call_kind kind;
	int fd, fd2;              /* fd2: of a second name, or what is copied to */
	const char *name, *name2; /* relative to fd and fd2 */
	int flags;                /* of openat, fallocate, renameat2, mmap (its protection), … */
	const void *data;         /* what pwrite writes */
	uint64_t off, off2, size; /* bytes */
};

/**
 * syscalls_before - what becomes of a call; NULL: it is made
 *
 * Returns 0 to make it (with c->size perhaps lowered, for pread and pwrite), or the negative errno
 * with which it fails and is not made.
 */
extern int (*syscalls_before)(struct call *c);

/** syscalls_after - a call was made (or not); @result is what it returned, or a negative errno */
extern void (*syscalls_after)(const struct call *c, int64_t result);

const char *call_name(enum call_kind kind);

/**
 * syscalls_repeat - from now on the core's random numbers follow from @seed, and its time stands
 * So that the same steps make the same bytes in every run.
 */
void syscalls_repeat(uint64_t seed);

#endif
