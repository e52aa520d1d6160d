/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "util.h"

#include <stdlib.h>

#define COPY_CHUNK (256 * 1024) /* bytes of the bounce buffer when the kernel cannot copy */

int cim_pread_full(int fd, void *buf, size_t n, uint64_t off)
{
	char *p = buf;

	while (n > 0) {
		ssize_t got = pread(fd, p, n, (off_t)off);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EIO;
		p += got;
		n -= (size_t)got;
		off += (uint64_t)got;
	}
	return 0;
}

int cim_pwrite_full(int fd, const void *buf, size_t n, uint64_t off)
{
	const char *p = buf;

	while (n > 0) {
		ssize_t put = pwrite(fd, p, n, (off_t)off);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		if (put == 0)
			return -EIO;
		p += put;
		n -= (size_t)put;
		off += (uint64_t)put;
	}
	return 0;
}

static int copy_by_hand(int in, uint64_t in_off, int out, uint64_t out_off, uint64_t n)
{
	char *buf = malloc(COPY_CHUNK);
	int r = buf ? 0 : -ENOMEM;

	while (r == 0 && n > 0) {
		size_t part = n < COPY_CHUNK ? (size_t)n : COPY_CHUNK;

		r = cim_pread_full(in, buf, part, in_off);
		if (r == 0)
			r = cim_pwrite_full(out, buf, part, out_off);
		in_off += part;
		out_off += part;
		n -= part;
	}
	free(buf);
	return r;
}

int cim_copy_range(int in, uint64_t in_off, int out, uint64_t out_off, uint64_t n)
{
	while (n > 0) {
		off_t from = (off_t)in_off, to = (off_t)out_off;
		size_t part = n < (1u << 30) ? (size_t)n : (1u << 30);
		ssize_t did = copy_file_range(in, &from, out, &to, part, 0);

		if (did < 0 && errno == EINTR)
			continue;
		if (did < 0 && errno != EXDEV && errno != EINVAL && errno != ENOSYS &&
		    errno != EOPNOTSUPP)
			return -errno;
		/* 0 where there are bytes is a file system that cannot; the read tells which. */
		if (did <= 0)
			return copy_by_hand(in, in_off, out, out_off, n);
		in_off += (uint64_t)did;
		out_off += (uint64_t)did;
		n -= (uint64_t)did;
	}
	return 0;
}

uint64_t cim_ticks_from_timespec(struct timespec ts)
{
	int64_t ticks;

	if (__builtin_mul_overflow((int64_t)ts.tv_sec, CIM_TICKS_PER_SEC, &ticks) ||
	    __builtin_add_overflow(ticks, CIM_TICKS_UNIX + ts.tv_nsec / 100, &ticks))
		return ts.tv_sec < 0 ? 0 : INT64_MAX;
	return ticks < 0 ? 0 : (uint64_t)ticks;
}

struct timespec cim_ticks_to_timespec(uint64_t ticks)
{
	int64_t since = (int64_t)(ticks > INT64_MAX ? INT64_MAX : ticks) - CIM_TICKS_UNIX;
	int64_t sec = since / CIM_TICKS_PER_SEC;
	int64_t rest = since % CIM_TICKS_PER_SEC;

	if (rest < 0) {
		rest += CIM_TICKS_PER_SEC;
		sec--;
	}
	return (struct timespec){ .tv_sec = sec, .tv_nsec = rest * 100 };
}

uint64_t cim_ticks_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return cim_ticks_from_timespec(now);
}
