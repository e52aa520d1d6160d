/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The workloads that a shell's tools cannot time finely enough.  Prints numbers, one a line.
 *
 *	probe walk DIR		seconds to list every directory below DIR and stat every entry
 *	probe open LIST		mean and 99th percentile, in microseconds, of opening, reading to the
 *				end and closing each of the files that LIST names, one a line
 *	probe mount TYPE SOURCE DIR [OPTIONS]
 *				mount read-only without a loop device (mount(8) would make one)
 *	probe cost FILE COMMAND...
 *				run it and write into FILE: seconds, seconds of CPU, MiB of its
 *				largest process.  A small process starts it, because the memory of
 *				whoever starts a command counts as the command's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 100000

static void die(const char *what)
{
	fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned long walk(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	unsigned long n = 0;
	struct dirent *e;
	struct stat st;

	if (!dir)
		die(name);
	while ((e = readdir(dir))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			die(e->d_name);
		n++;
		if (S_ISDIR(st.st_mode))
			n += walk(fd, e->d_name);
	}
	closedir(dir);
	return n;
}

static void open_read_close(const char *path)
{
	static char buf[1 << 20];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		die(path);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		;
	if (n < 0)
		die(path);
	close(fd);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void time_opens(const char *list)
{
	static double took[FILES_MAX];
	char path[4096];
	double sum = 0;
	size_t n = 0;
	FILE *f = fopen(list, "r");

	if (!f)
		die(list);
	while (n < FILES_MAX && fgets(path, sizeof(path), f)) {
		path[strcspn(path, "\n")] = '\0';
		double start = now();
		open_read_close(path);
		took[n] = now() - start;
		sum += took[n++];
	}
	fclose(f);
	if (n == 0) {
		errno = ENODATA;
		die(list);
	}
	qsort(took, n, sizeof(took[0]), compare);
	printf("%.3f\n%.3f\n", sum / (double)n * 1e6, took[n * 99 / 100] * 1e6);
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static int cost(const char *file, char **argv)
{
	double start = now();
	struct rusage used;
	int status;
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		execvp(argv[0], argv);
		die(argv[0]);
	}
	if (wait4(pid, &status, 0, &used) < 0)
		die("wait4");
	double took = now() - start;
	FILE *f = fopen(file, "w");
	if (!f || fprintf(f, "%.6f %.6f %.3f\n", took, seconds(used.ru_utime) + seconds(used.ru_stime),
			  (double)used.ru_maxrss / 1024) < 0 || fclose(f) != 0)
		die(file);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "walk") == 0) {
		double start = now();
		unsigned long n = walk(AT_FDCWD, argv[2]);

		printf("%.6f\n%lu\n", now() - start, n);
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "open") == 0) {
		time_opens(argv[2]);
		return 0;
	}
	if (argc >= 5 && strcmp(argv[1], "mount") == 0) {
		if (mount(argv[3], argv[4], argv[2], MS_RDONLY, argc > 5 ? argv[5] : NULL) < 0)
			die(argv[3]);
		return 0;
	}
	if (argc >= 4 && strcmp(argv[1], "cost") == 0)
		return cost(argv[2], argv + 3);
	fprintf(stderr, "usage: probe walk DIR | open LIST | mount TYPE SOURCE DIR [OPTIONS] | "
			"cost FILE COMMAND...\n");
	return 2;
}
