/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Preloaded into a program: how long it waited for the disk to have its data.
 *
 * The file that CIMFS_BENCH_SYNC names begins with two 64-bit numbers: nanoseconds in which one
 * thread at least was in fsync(2) or one of its kind, and how many such calls there were.  They are
 * added to, so the file can be read before and after a piece of work of a daemon.
 *
 * With CIMFS_BENCH_NOSYNC the calls do nothing, for work of which only the result is wanted.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned n_inside; /* threads; guarded, as the next */
static uint64_t since;
static _Atomic uint64_t *total;
static int skip;

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("CIMFS_BENCH_SYNC");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	skip = getenv("CIMFS_BENCH_NOSYNC") != NULL;
	if (fd < 0)
		return;
	void *p = mmap(NULL, 2 * sizeof(*total), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	total = p == MAP_FAILED ? NULL : p;
	close(fd);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void enter(void)
{
	pthread_mutex_lock(&lock);
	if (n_inside++ == 0)
		since = now();
	pthread_mutex_unlock(&lock);
}

static void leave(void)
{
	pthread_mutex_lock(&lock);
	if (--n_inside == 0 && total)
		total[0] += now() - since;
	if (total)
		total[1]++;
	pthread_mutex_unlock(&lock);
}

#define TIMED(name, parameters, arguments)                                   \
	int name parameters                                                  \
	{                                                                    \
		static int(*real) parameters;                                \
		int r;                                                       \
                                                                             \
		if (skip)                                                    \
			return 0;                                            \
		if (!real)                                                   \
			real = (int(*) parameters)dlsym(RTLD_NEXT, #name);   \
		enter();                                                     \
		r = real arguments;                                          \
		leave();                                                     \
		return r;                                                    \
	}

TIMED(fsync, (int fd), (fd))
TIMED(fdatasync, (int fd), (fd))
TIMED(syncfs, (int fd), (fd))
TIMED(msync, (void *p, size_t n, int flags), (p, n, flags))
TIMED(sync_file_range, (int fd, off64_t at, off64_t n, unsigned flags), (fd, at, n, flags))
