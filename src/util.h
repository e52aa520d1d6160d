/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small helpers that know nothing of images: descriptors, whole reads and writes, time.
 */
#ifndef CIM_UTIL_H
#define CIM_UTIL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* A descriptor that closes itself; initialise with -1, hand over with cim_steal_fd(). */
static inline void cim_autofd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	errno = saved;
}
#define cim_autofd __attribute__((cleanup(cim_autofd_close))) int

static inline int cim_steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/** cim_pread_full - read exactly @n bytes at @off; 0, -errno, or -EIO when the file ends before */
int cim_pread_full(int fd, void *buf, size_t n, uint64_t off);

/** cim_pwrite_full - write exactly @n bytes at @off; 0 or -errno */
int cim_pwrite_full(int fd, const void *buf, size_t n, uint64_t off);

/**
 * cim_copy_range - copy bytes between files without passing them through user space where the
 * file system can (reflink, in-kernel copy), else through a bounded buffer
 *
 * Returns 0, -errno, or -EIO when the source ends before.
 */
int cim_copy_range(int in, uint64_t in_off, int out, uint64_t out_off, uint64_t n);

/* FILETIME: 100 ns ticks since 1601-01-01 UTC; format.md, metadata.md §8. */
#define CIM_TICKS_PER_SEC 10000000ll
#define CIM_TICKS_UNIX    116444736000000000ll /* 1970-01-01 */

/** cim_ticks_from_timespec - floor to 100 ns; before 1601 is clamped to 0, past the format to its
 * end */
uint64_t cim_ticks_from_timespec(struct timespec ts);

/** cim_ticks_to_timespec - with a nanosecond part of 0..999999900, also before 1970 */
struct timespec cim_ticks_to_timespec(uint64_t ticks);

/** cim_ticks_now - the time of day */
uint64_t cim_ticks_now(void);

#endif
