/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random use of files by system calls, for test-posix.sh: what the kernel makes of writer/.
 *
 *	exercise file PATH COPY SEED N    one file, against a model in memory; COPY gets the model
 *	exercise tree DIR SEED N          names in a directory, which others use at the same time
 *
 * A file that is there already begins with what it has.  The exit status is 0 when all was as it
 * must be; else what was not is on standard error, with the number of the step.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "support.h"

#define SIZE_MAX_FILE (3u << 20) /* bytes; over what a writer keeps of a file in memory */

static unsigned int step;

#define FAIL(...)                                                      \
	do {                                                           \
		fprintf(stderr, "step %u, line %d: ", step, __LINE__); \
		fprintf(stderr, __VA_ARGS__);                          \
		fprintf(stderr, " (%s)\n", strerror(errno));           \
		exit(EXIT_FAILURE);                                    \
	} while (0)

/* ---- one file ---- */

struct subject {
	struct test_random random;
	const char *path;
	int fd;
	uint8_t *model, *scratch; /* SIZE_MAX_FILE bytes each; the model is zero behind its size */
	size_t size;
};

static size_t below(struct subject *s, size_t n)
{
	return (size_t)test_random_below(&s->random, n);
}

/* A range within the first @end bytes, small as a rule; *ret_n > 0, end > 0. */
static size_t random_range(struct subject *s, size_t end, size_t *ret_n)
{
	static const size_t longest[] = { 16, 5000, 70000, SIZE_MAX_FILE };
	size_t at = below(s, end);
	size_t n = 1 + below(s, longest[below(s, 4)]);

	if (below(s, 3) == 0)
		at &= ~(size_t)4095;
	*ret_n = n < end - at ? n : end - at;
	return at;
}

static void random_bytes(struct subject *s, uint8_t *p, size_t n)
{
	uint8_t first = (uint8_t)test_random_next(&s->random);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(first + i % 251);
}

static void check_bytes(const struct subject *s, const uint8_t *got, size_t at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (got[i] != s->model[at + i])
			FAIL("byte %zu of %zu is %#x, not %#x", at + i, s->size, got[i],
			     s->model[at + i]);
}

static void check_size(const struct subject *s)
{
	struct stat st;

	if (fstat(s->fd, &st) < 0 || (size_t)st.st_size != s->size)
		FAIL("the size is %lld, not %zu", (long long)st.st_size, s->size);
}

static void do_read(struct subject *s)
{
	size_t n, at = random_range(s, SIZE_MAX_FILE, &n);
	size_t want = at >= s->size ? 0 : n < s->size - at ? n : s->size - at;
	ssize_t got = pread(s->fd, s->scratch, n, (off_t)at);

	if (got != (ssize_t)want)
		FAIL("reading %zu bytes at %zu gave %zd, not %zu", n, at, got, want);
	check_bytes(s, s->scratch, at, want);
}

static void grow(struct subject *s, size_t size)
{
	if (size > s->size)
		s->size = size;
}

static void do_write(struct subject *s)
{
	size_t n, at = random_range(s, SIZE_MAX_FILE, &n);

	random_bytes(s, s->model + at, n);
	if (pwrite(s->fd, s->model + at, n, (off_t)at) != (ssize_t)n)
		FAIL("writing %zu bytes at %zu", n, at);
	grow(s, at + n);
}

static void do_append(struct subject *s)
{
	size_t n = 1 + below(s, 3000);
	int fd = open(s->path, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (s->size + n <= SIZE_MAX_FILE) {
		random_bytes(s, s->model + s->size, n);
		if (fd < 0 || write(fd, s->model + s->size, n) != (ssize_t)n)
			FAIL("appending %zu bytes", n);
		s->size += n;
	}
	if (fd < 0 || close(fd) < 0)
		FAIL("closing what was appended to");
}

static void do_truncate(struct subject *s)
{
	size_t size = below(s, 4) ? below(s, SIZE_MAX_FILE) : below(s, 3) * 4096;

	if (below(s, 2) ? ftruncate(s->fd, (off_t)size) : truncate(s->path, (off_t)size))
		FAIL("truncating to %zu", size);
	if (size < s->size)
		memset(s->model + size, 0, s->size - size);
	s->size = size;
}

static void do_map(struct subject *s, bool write)
{
	size_t n;

	if (s->size == 0)
		return;
	size_t at = random_range(s, s->size, &n), skip = at % 4096;
	uint8_t *p = mmap(NULL, n + skip, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
			  s->fd, (off_t)(at - skip));

	if (p == MAP_FAILED)
		FAIL("mapping %zu bytes at %zu", n, at);
	check_bytes(s, p + skip, at, n);
	if (write) {
		random_bytes(s, s->model + at, n);
		memcpy(p + skip, s->model + at, n);
		if (below(s, 2) && msync(p, n + skip, MS_SYNC) < 0)
			FAIL("msync");
	}
	if (munmap(p, n + skip) < 0)
		FAIL("munmap");
}

static void do_allocate(struct subject *s)
{
	static const int modes[] = { 0,
				     FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_ZERO_RANGE,
				     FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE };
	int mode = modes[below(s, sizeof(modes) / sizeof(modes[0]))];
	size_t n, at = random_range(s, SIZE_MAX_FILE, &n);

	if (fallocate(s->fd, mode, (off_t)at, (off_t)n) < 0)
		FAIL("fallocate in mode %d of %zu bytes at %zu", mode, n, at);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		memset(s->model + at, 0, n);
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		grow(s, at + n);
}

/* Where there is said to be a hole there are zeros, and data comes after it. */
static void do_seek(struct subject *s)
{
	size_t at = below(s, SIZE_MAX_FILE);
	off_t data = lseek(s->fd, (off_t)at, SEEK_DATA), hole = lseek(s->fd, (off_t)at, SEEK_HOLE);
	size_t end = data < 0 ? s->size : (size_t)data;

	if (at >= s->size) {
		if (data >= 0 || hole >= 0)
			FAIL("behind the end at %zu there is data or a hole", at);
		return;
	}
	if (data >= 0 && (data < (off_t)at || data >= (off_t)s->size))
		FAIL("the data after %zu is at %lld", at, (long long)data);
	if (hole < (off_t)at || hole > (off_t)s->size)
		FAIL("the hole after %zu is at %lld", at, (long long)hole);
	for (; at < end; at++)
		if (s->model[at] != 0)
			FAIL("there is no data at %zu, which is %#x", at, s->model[at]);
}

static void do_reopen(struct subject *s)
{
	if (close(s->fd) < 0)
		FAIL("close");
	s->fd = open(s->path, O_RDWR | O_CLOEXEC);
	if (s->fd < 0)
		FAIL("open");
}

static void do_sync(struct subject *s)
{
	if (fsync(s->fd) < 0)
		FAIL("fsync");
}

static void one_step(struct subject *s)
{
	switch (below(s, 16)) {
	case 0:
	case 1:
		do_read(s);
		break;
	case 2:
	case 3:
	case 4:
		do_write(s);
		break;
	case 5:
		do_append(s);
		break;
	case 6:
		do_truncate(s);
		break;
	case 7:
	case 8:
		do_map(s, true);
		break;
	case 9:
		do_map(s, false);
		break;
	case 10:
	case 11:
		do_allocate(s);
		break;
	case 12:
		do_seek(s);
		break;
	case 13:
	case 14:
		do_reopen(s);
		break;
	default:
		do_sync(s);
	}
	check_size(s);
}

static void check_all(struct subject *s)
{
	ssize_t n = pread(s->fd, s->scratch, SIZE_MAX_FILE, 0);

	if (n != (ssize_t)s->size)
		FAIL("the whole file has %zd bytes, not %zu", n, s->size);
	check_bytes(s, s->scratch, 0, s->size);
}

static int exercise_file(const char *path, const char *copy, uint64_t seed, unsigned int n)
{
	struct subject s = { .random = { seed }, .path = path };

	s.model = calloc(1, SIZE_MAX_FILE);
	s.scratch = malloc(SIZE_MAX_FILE);
	s.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	ssize_t there =
		s.fd < 0 || !s.model || !s.scratch ? -1 : read(s.fd, s.model, SIZE_MAX_FILE);
	if (there < 0)
		FAIL("%s", path);
	s.size = (size_t)there;
	for (step = 1; step <= n; step++) {
		one_step(&s);
		if (step % 200 == 0)
			check_all(&s);
	}
	check_all(&s);
	if (close(s.fd) < 0)
		FAIL("close");
	int out = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0 || write(out, s.model, s.size) != (ssize_t)s.size)
		FAIL("%s", copy);
	free(s.model);
	free(s.scratch);
	return close(out) < 0;
}

/* ---- names ---- */

/* Others are at it too, so nearly everything may be refused; but for these, which are a fault. */
static void check_refusal(int r, const char *what, const char *path)
{
	static const int fine[] = { ENOENT,  EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, EINVAL, EPERM,
				    ENODATA, ELOOP,  EXDEV,   ENXIO,  EACCES,    EMLINK };

	if (r >= 0)
		return;
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		if (errno == fine[i])
			return;
	FAIL("%s of \"%s\"", what, path);
}

static void random_name(struct test_random *r, char *ret, size_t size)
{
	int n = 0, depth = 1 + (int)test_random_below(r, 3);

	/* Few, so that names meet. */
	for (int i = 0; i < depth; i++)
		n += snprintf(ret + n, size - (size_t)n, "%s%c%d", i ? "/" : "",
			      i == depth - 1 ? 'f' : 'd', (int)test_random_below(r, 6));
}

static void append_to(struct test_random *r, const char *name)
{
	char bytes[20000];
	size_t n = 1 + (size_t)test_random_below(r, sizeof(bytes));
	int fd = openat(AT_FDCWD, name,
			O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW, 0640);

	check_refusal(fd, "creating", name);
	if (fd < 0)
		return;
	memset(bytes, 'a' + (int)(n % 26), n);
	check_refusal((int)write(fd, bytes, n), "writing", name);
	check_refusal(fchmod(fd, 0600 + (mode_t)test_random_below(r, 64)), "chmod", name);
	check_refusal(close(fd), "closing", name);
}

static void one_name_step(struct test_random *r)
{
	char a[64], b[64];

	random_name(r, a, sizeof(a));
	random_name(r, b, sizeof(b));
	char *slash = strrchr(a, '/');
	switch (test_random_below(r, 12)) {
	case 0:
	case 1:
	case 2:
		append_to(r, a);
		break;
	case 3:
	case 4:
		if (slash) /* directories have names of their own */
			*slash = '\0';
		check_refusal(mkdir(a, 0755), "mkdir", a);
		break;
	case 5:
		check_refusal(unlink(a), "unlink", a);
		break;
	case 6:
		if (slash)
			*slash = '\0';
		check_refusal(rmdir(a), "rmdir", a);
		break;
	case 7:
		check_refusal(rename(a, b), "rename", a);
		break;
	case 8:
		check_refusal(link(a, b), "link", a);
		break;
	case 9:
		check_refusal(symlink(b, a), "symlink", a);
		break;
	case 10:
		check_refusal(lsetxattr(a, "user.name", b, strlen(b), 0), "setxattr", a);
		break;
	default:
		check_refusal(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE), "exchange", a);
	}
}

static int exercise_tree(const char *dir, uint64_t seed, unsigned int n)
{
	struct test_random random = { seed };

	if (chdir(dir) < 0)
		FAIL("%s", dir);
	for (step = 1; step <= n; step++)
		one_name_step(&random);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "file") == 0)
		return exercise_file(argv[2], argv[3], strtoull(argv[4], NULL, 0),
				     (unsigned int)atoi(argv[5]));
	if (argc == 5 && strcmp(argv[1], "tree") == 0)
		return exercise_tree(argv[2], strtoull(argv[3], NULL, 0),
				     (unsigned int)atoi(argv[4]));
	fprintf(stderr, "usage: exercise file PATH COPY SEED N | exercise tree DIR SEED N\n");
	return EXIT_FAILURE;
}
