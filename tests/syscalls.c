/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What --wrap makes of the core's calls: the hook before, the call, the hook after.
 */
#include "config.h"

#include "syscalls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "support.h"

int (*syscalls_before)(struct call *c);
void (*syscalls_after)(const struct call *c, int64_t result);

/* ---- around a call ---- */

/* Whether the call is to be made; else errno says how it fails. */
static bool begin(struct call *c)
{
	int r = syscalls_before ? syscalls_before(c) : 0;

	if (r == 0)
		return true;
	if (syscalls_after)
		syscalls_after(c, r);
	errno = -r;
	return false;
}

static int64_t end(const struct call *c, int64_t result)
{
	int saved = errno;

	if (syscalls_after)
		syscalls_after(c, result < 0 ? -saved : result);
	errno = saved;
	return result;
}

static void *end_pointer(const struct call *c, void *result)
{
	(void)end(c, result ? 0 : -1);
	return result;
}

const char *call_name(enum call_kind kind)
{
	static const char *const names[N_CALL_KINDS] = {
		[CALL_ALLOC] = "malloc",        [CALL_CLOCK] = "clock_gettime",
		[CALL_CLOSE] = "close",         [CALL_COPY_FILE_RANGE] = "copy_file_range",
		[CALL_FACCESSAT] = "faccessat", [CALL_FALLOCATE] = "fallocate",
		[CALL_FDOPENDIR] = "fdopendir", [CALL_FLOCK] = "flock",
		[CALL_FSTAT] = "fstat",         [CALL_FSYNC] = "fsync",
		[CALL_FTRUNCATE] = "ftruncate", [CALL_GETRANDOM] = "getrandom",
		[CALL_LINKAT] = "linkat",       [CALL_LSEEK] = "lseek",
		[CALL_MMAP] = "mmap",           [CALL_OPENAT] = "openat",
		[CALL_PREAD] = "pread",         [CALL_PWRITE] = "pwrite",
		[CALL_READDIR] = "readdir",     [CALL_RENAMEAT] = "renameat",
		[CALL_STAT] = "stat",           [CALL_SYNC_FILE_RANGE] = "sync_file_range",
		[CALL_UNLINKAT] = "unlinkat",
	};

	return names[kind];
}

/* ---- random numbers and the time, the same in every run ---- */

static bool repeating;
static struct test_random numbers;

void syscalls_repeat(uint64_t seed)
{
	repeating = true;
	numbers.state = seed;
}

/* ---- the calls ---- */

/* A call of @result type whose second name (64-bit offsets) is the same here. */
#define ALSO(result, name, also, ...) \
	result __wrap_##also(__VA_ARGS__) __attribute__((alias("__wrap_" #name)))

/* The linker gives these their meaning; nobody includes a prototype of them. */
int __real_close(int fd);
ssize_t __real_copy_file_range(int in, off_t *from, int out, off_t *to, size_t n,
			       unsigned int flags);
int __real_faccessat(int dirfd, const char *name, int mode, int flags);
int __real_fallocate64(int fd, int mode, off_t off, off_t size);
DIR *__real_fdopendir(int fd);
int __real_flock(int fd, int operation);
int __real_fstat64(int fd, struct stat *st);
int __real_fsync(int fd);
int __real_ftruncate64(int fd, off_t size);
ssize_t __real_getrandom(void *buf, size_t size, unsigned int flags);
int __real_linkat(int fd, const char *name, int fd2, const char *name2, int flags);
off_t __real_lseek64(int fd, off_t off, int whence);
void *__real_mmap64(void *at, size_t size, int prot, int flags, int fd, off_t off);
int __real_openat64(int dirfd, const char *name, int flags, ...);
ssize_t __real_pread64(int fd, void *buf, size_t size, off_t off);
ssize_t __real_pwrite64(int fd, const void *data, size_t size, off_t off);
struct dirent *__real_readdir64(DIR *dir);
int __real_renameat(int fd, const char *name, int fd2, const char *name2);
int __real_renameat2(int fd, const char *name, int fd2, const char *name2, unsigned int flags);
int __real_stat64(const char *path, struct stat *st);
int __real_sync_file_range(int fd, off_t off, off_t size, unsigned int flags);
int __real_unlinkat(int dirfd, const char *name, int flags);
int __real_clock_gettime(clockid_t clock, struct timespec *ret);
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_g_try_malloc(size_t size);
void *__real_g_try_malloc0(size_t size);
void *__real_g_try_malloc_n(size_t n, size_t size);
void *__real_g_try_malloc0_n(size_t n, size_t size);
void *__real_g_try_realloc_n(void *old, size_t n, size_t size);

int __wrap_close(int fd);
int __wrap_close(int fd)
{
	struct call c = { .kind = CALL_CLOSE, .fd = fd };

	/* One that fails has closed the descriptor all the same. */
	if (!begin(&c)) {
		int saved = errno;

		(void)__real_close(fd);
		errno = saved;
		return -1;
	}
	return (int)end(&c, __real_close(fd));
}

ssize_t __wrap_copy_file_range(int in, off_t *from, int out, off_t *to, size_t n,
			       unsigned int flags);
ssize_t __wrap_copy_file_range(int in, off_t *from, int out, off_t *to, size_t n,
			       unsigned int flags)
{
	struct call c = { .kind = CALL_COPY_FILE_RANGE,
			  .fd = in,
			  .fd2 = out,
			  .off = (uint64_t)*from,
			  .off2 = (uint64_t)*to,
			  .size = n };

	if (!begin(&c))
		return -1;
	return end(&c, __real_copy_file_range(in, from, out, to, c.size, flags));
}

int __wrap_faccessat(int dirfd, const char *name, int mode, int flags);
int __wrap_faccessat(int dirfd, const char *name, int mode, int flags)
{
	struct call c = { .kind = CALL_FACCESSAT, .fd = dirfd, .name = name, .flags = mode };

	return begin(&c) ? (int)end(&c, __real_faccessat(dirfd, name, mode, flags)) : -1;
}

int __wrap_fallocate(int fd, int mode, off_t off, off_t size);
int __wrap_fallocate(int fd, int mode, off_t off, off_t size)
{
	struct call c = { .kind = CALL_FALLOCATE,
			  .fd = fd,
			  .flags = mode,
			  .off = (uint64_t)off,
			  .size = (uint64_t)size };

	return begin(&c) ? (int)end(&c, __real_fallocate64(fd, mode, off, size)) : -1;
}
ALSO(int, fallocate, fallocate64, int fd, int mode, off_t off, off_t size);

DIR *__wrap_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd)
{
	struct call c = { .kind = CALL_FDOPENDIR, .fd = fd };

	return begin(&c) ? end_pointer(&c, __real_fdopendir(fd)) : NULL;
}

int __wrap_flock(int fd, int operation);
int __wrap_flock(int fd, int operation)
{
	struct call c = { .kind = CALL_FLOCK, .fd = fd, .flags = operation };

	return begin(&c) ? (int)end(&c, __real_flock(fd, operation)) : -1;
}

int __wrap_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st)
{
	struct call c = { .kind = CALL_FSTAT, .fd = fd };

	return begin(&c) ? (int)end(&c, __real_fstat64(fd, st)) : -1;
}
ALSO(int, fstat, fstat64, int fd, struct stat *st);

int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	struct call c = { .kind = CALL_FSYNC, .fd = fd };

	return begin(&c) ? (int)end(&c, __real_fsync(fd)) : -1;
}

int __wrap_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size)
{
	struct call c = { .kind = CALL_FTRUNCATE, .fd = fd, .size = (uint64_t)size };

	return begin(&c) ? (int)end(&c, __real_ftruncate64(fd, size)) : -1;
}
ALSO(int, ftruncate, ftruncate64, int fd, off_t size);

ssize_t __wrap_getrandom(void *buf, size_t size, unsigned int flags);
ssize_t __wrap_getrandom(void *buf, size_t size, unsigned int flags)
{
	struct call c = { .kind = CALL_GETRANDOM, .size = size };

	if (!begin(&c))
		return -1;
	for (size_t i = 0; repeating && i < size; i++)
		((uint8_t *)buf)[i] = (uint8_t)test_random_next(&numbers);
	return end(&c, repeating ? (ssize_t)size : __real_getrandom(buf, size, flags));
}

int __wrap_linkat(int fd, const char *name, int fd2, const char *name2, int flags);
int __wrap_linkat(int fd, const char *name, int fd2, const char *name2, int flags)
{
	struct call c = { .kind = CALL_LINKAT,
			  .fd = fd,
			  .name = name,
			  .fd2 = fd2,
			  .name2 = name2,
			  .flags = flags };

	return begin(&c) ? (int)end(&c, __real_linkat(fd, name, fd2, name2, flags)) : -1;
}

off_t __wrap_lseek(int fd, off_t off, int whence);
off_t __wrap_lseek(int fd, off_t off, int whence)
{
	struct call c = { .kind = CALL_LSEEK, .fd = fd, .off = (uint64_t)off, .flags = whence };

	return begin(&c) ? end(&c, __real_lseek64(fd, off, whence)) : -1;
}
ALSO(off_t, lseek, lseek64, int fd, off_t off, int whence);

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t off)
{
	struct call c = { .kind = CALL_MMAP, .fd = fd, .flags = prot, .size = size };

	if (!begin(&c))
		return MAP_FAILED;
	void *result = __real_mmap64(at, size, prot, flags, fd, off);
	(void)end(&c, result == MAP_FAILED ? -1 : 0);
	return result;
}
ALSO(void *, mmap, mmap64, void *at, size_t size, int prot, int flags, int fd, off_t off);

int __wrap_openat(int dirfd, const char *name, int flags, ...);
int __wrap_openat(int dirfd, const char *name, int flags, ...)
{
	struct call c = { .kind = CALL_OPENAT, .fd = dirfd, .name = name, .flags = flags };
	mode_t mode = 0;
	va_list args;

	if (flags & (O_CREAT | __O_TMPFILE)) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return begin(&c) ? (int)end(&c, __real_openat64(dirfd, name, flags, mode)) : -1;
}
ALSO(int, openat, openat64, int dirfd, const char *name, int flags, ...);

ssize_t __wrap_pread(int fd, void *buf, size_t size, off_t off);
ssize_t __wrap_pread(int fd, void *buf, size_t size, off_t off)
{
	struct call c = { .kind = CALL_PREAD, .fd = fd, .off = (uint64_t)off, .size = size };

	return begin(&c) ? end(&c, __real_pread64(fd, buf, c.size, off)) : -1;
}
ALSO(ssize_t, pread, pread64, int fd, void *buf, size_t size, off_t off);

ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t off);
ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t off)
{
	struct call c = {
		.kind = CALL_PWRITE, .fd = fd, .data = data, .off = (uint64_t)off, .size = size
	};

	return begin(&c) ? end(&c, __real_pwrite64(fd, data, c.size, off)) : -1;
}
ALSO(ssize_t, pwrite, pwrite64, int fd, const void *data, size_t size, off_t off);

/* Its end and its failure look alike: errno, which is 0 before, tells. */
struct dirent *__wrap_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir)
{
	struct call c = { .kind = CALL_READDIR, .fd = dirfd(dir) };

	return begin(&c) ? end_pointer(&c, __real_readdir64(dir)) : NULL;
}
ALSO(struct dirent *, readdir, readdir64, DIR *dir);

int __wrap_renameat2(int fd, const char *name, int fd2, const char *name2, unsigned int flags);
int __wrap_renameat2(int fd, const char *name, int fd2, const char *name2, unsigned int flags)
{
	struct call c = { .kind = CALL_RENAMEAT,
			  .fd = fd,
			  .name = name,
			  .fd2 = fd2,
			  .name2 = name2,
			  .flags = (int)flags };

	return begin(&c) ? (int)end(&c, __real_renameat2(fd, name, fd2, name2, flags)) : -1;
}

int __wrap_renameat(int fd, const char *name, int fd2, const char *name2);
int __wrap_renameat(int fd, const char *name, int fd2, const char *name2)
{
	struct call c = {
		.kind = CALL_RENAMEAT, .fd = fd, .name = name, .fd2 = fd2, .name2 = name2
	};

	return begin(&c) ? (int)end(&c, __real_renameat(fd, name, fd2, name2)) : -1;
}

int __wrap_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st)
{
	struct call c = { .kind = CALL_STAT, .fd = AT_FDCWD, .name = path };

	return begin(&c) ? (int)end(&c, __real_stat64(path, st)) : -1;
}
ALSO(int, stat, stat64, const char *path, struct stat *st);

int __wrap_sync_file_range(int fd, off_t off, off_t size, unsigned int flags);
int __wrap_sync_file_range(int fd, off_t off, off_t size, unsigned int flags)
{
	struct call c = { .kind = CALL_SYNC_FILE_RANGE,
			  .fd = fd,
			  .off = (uint64_t)off,
			  .size = (uint64_t)size,
			  .flags = (int)flags };

	return begin(&c) ? (int)end(&c, __real_sync_file_range(fd, off, size, flags)) : -1;
}

int __wrap_unlinkat(int dirfd, const char *name, int flags);
int __wrap_unlinkat(int dirfd, const char *name, int flags)
{
	struct call c = { .kind = CALL_UNLINKAT, .fd = dirfd, .name = name, .flags = flags };

	return begin(&c) ? (int)end(&c, __real_unlinkat(dirfd, name, flags)) : -1;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	/* Check measures with the other clocks. */
	if (!repeating || clock != CLOCK_REALTIME)
		return __real_clock_gettime(clock, ret);
	*ret = (struct timespec){ 1700000000, 0 };
	return 0;
}

/* ---- memory ---- */

/* Memory is not a matter of the directory: only a fault wants to know. */
static bool allocates(size_t size)
{
	struct call c = { .kind = CALL_ALLOC, .size = size };

	return begin(&c) && end(&c, 0) == 0;
}

void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return allocates(size) ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return allocates(n * size) ? __real_calloc(n, size) : NULL;
}

void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
	return allocates(size) ? __real_realloc(old, size) : NULL;
}

void *__wrap_g_try_malloc(size_t size);
void *__wrap_g_try_malloc(size_t size)
{
	return allocates(size) ? __real_g_try_malloc(size) : NULL;
}

void *__wrap_g_try_malloc0(size_t size);
void *__wrap_g_try_malloc0(size_t size)
{
	return allocates(size) ? __real_g_try_malloc0(size) : NULL;
}

void *__wrap_g_try_malloc_n(size_t n, size_t size);
void *__wrap_g_try_malloc_n(size_t n, size_t size)
{
	return allocates(n * size) ? __real_g_try_malloc_n(n, size) : NULL;
}

void *__wrap_g_try_malloc0_n(size_t n, size_t size);
void *__wrap_g_try_malloc0_n(size_t n, size_t size)
{
	return allocates(n * size) ? __real_g_try_malloc0_n(n, size) : NULL;
}

void *__wrap_g_try_realloc_n(void *old, size_t n, size_t size);
void *__wrap_g_try_realloc_n(void *old, size_t n, size_t size)
{
	return allocates(n * size) ? __real_g_try_realloc_n(old, n, size) : NULL;
}
