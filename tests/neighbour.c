/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a hostile user of a mount does and a shell cannot: for test-neighbours.sh.
 *
 *	neighbour write FILE SIZE        one write of so many bytes
 *	neighbour writev FILE WORD…      one writev, a word a piece
 *	neighbour hold N FILE TEXT       open it so often at a time, and write to each
 *	neighbour interrupt N FILE       read it so often, past the cache, under a storm of signals
 *	neighbour readdir DIR N          N open handles, each left after a few names
 *
 * Prints what came of it on one line; the exit status is 0 whatever that is, 1 if it could not even
 * be tried.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_WORDS    64
#define READ_SIZE    (64 * 1024)
#define STORM_PERIOD 200 /* microseconds between two signals */

static int give_up(const char *what)
{
	perror(what);
	return EXIT_FAILURE;
}

static void say(ssize_t r)
{
	printf("%s\n", r < 0 ? strerror(errno) : "Success");
}

static int do_write(const char *file, size_t size)
{
	char *buf = malloc(size);
	int fd = open(file, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || !buf)
		return give_up(file);
	memset(buf, '\n', size);
	say(write(fd, buf, size));
	free(buf);
	return EXIT_SUCCESS;
}

static int do_writev(const char *file, char **words, int n)
{
	struct iovec iov[MAX_WORDS];
	int fd = open(file, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || n > MAX_WORDS)
		return give_up(file);
	for (int i = 0; i < n; i++)
		iov[i] = (struct iovec){ .iov_base = words[i], .iov_len = strlen(words[i]) };
	say(writev(fd, iov, n));
	return EXIT_SUCCESS;
}

/* As many descriptors as there may be. */
static int raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -1;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

static int do_hold(int n, const char *file, const char *text)
{
	int n_open = 0, n_written = 0, n_refused = 0;

	if (raise_fd_limit() < 0)
		return give_up("setrlimit");
	for (int i = 0; i < n; i++) {
		int fd = open(file, O_RDWR | O_CLOEXEC);

		if (fd < 0)
			continue;
		n_open++;
		if (write(fd, text, strlen(text)) < 0)
			n_refused++;
		else
			n_written++;
	}
	printf("%d open, %d written, %d refused\n", n_open, n_written, n_refused);
	return EXIT_SUCCESS;
}

static volatile sig_atomic_t n_signals;

static void on_alarm(int sig)
{
	n_signals++;
}

static int start_storm(void)
{
	/* Without SA_RESTART: what can be interrupted is. */
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval every = { { 0, STORM_PERIOD }, { 0, STORM_PERIOD } };

	return sigaction(SIGALRM, &action, NULL) < 0 ? -1 : setitimer(ITIMER_REAL, &every, NULL);
}

/* The start of a file, asked of the daemon each time; -1 as read(2). */
static ssize_t read_anew(const char *file, char *buf)
{
	int fd = open(file, O_RDONLY | O_DIRECT | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, READ_SIZE);
	int saved = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = saved;
	return n;
}

static int do_interrupt(int n, const char *file)
{
	char *want = aligned_alloc(4096, READ_SIZE), *got = aligned_alloc(4096, READ_SIZE);
	ssize_t size = want && got ? read_anew(file, want) : -1;
	int n_read = 0, n_interrupted = 0, n_wrong = 0;

	if (size < 0 || start_storm() < 0)
		return give_up(file);
	while (n_read + n_wrong < n) {
		ssize_t r = read_anew(file, got);

		if (r < 0 && errno == EINTR)
			n_interrupted++;
		else if (r == size && memcmp(want, got, (size_t)size) == 0)
			n_read++;
		else
			n_wrong++;
	}
	printf("%d read, %d wrong; %d interrupted by %d signals\n", n_read, n_wrong, n_interrupted,
	       (int)n_signals);
	return EXIT_SUCCESS;
}

static int do_readdir(const char *path, int n)
{
	int n_open = 0;

	if (raise_fd_limit() < 0)
		return give_up("setrlimit");
	for (int i = 0; i < n; i++) {
		DIR *dir = opendir(path);

		if (dir && readdir(dir) && readdir(dir) && readdir(dir))
			n_open++;
	}
	printf("%d open\n", n_open);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[1] : "";

	if (strcmp(verb, "write") == 0 && argc == 4)
		return do_write(argv[2], strtoul(argv[3], NULL, 0));
	if (strcmp(verb, "writev") == 0)
		return do_writev(argv[2], argv + 3, argc - 3);
	if (strcmp(verb, "hold") == 0 && argc == 5)
		return do_hold(atoi(argv[2]), argv[3], argv[4]);
	if (strcmp(verb, "interrupt") == 0 && argc == 4)
		return do_interrupt(atoi(argv[2]), argv[3]);
	if (strcmp(verb, "readdir") == 0 && argc == 4)
		return do_readdir(argv[2], atoi(argv[3]));
	fprintf(stderr, "usage: neighbour write|writev|hold|interrupt|readdir …\n");
	return EXIT_FAILURE;
}
