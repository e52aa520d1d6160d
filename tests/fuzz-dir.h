/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image directory for fuzz targets: in memory where there is such a file system, opened once for
 * all inputs, removed at exit.
 */
#ifndef CIM_TESTS_FUZZ_DIR_H
#define CIM_TESTS_FUZZ_DIR_H

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "store.h"
#include "util.h"

static struct cim_store *fuzz_store;
static char *fuzz_dir;
static GPtrArray *fuzz_files; /* names */

static void fuzz_dir_remove(void)
{
	for (guint i = 0; i < fuzz_files->len; i++)
		(void)unlinkat(fuzz_store->dirfd, g_ptr_array_index(fuzz_files, i), 0);
	(void)rmdir(fuzz_dir);
	g_ptr_array_free(fuzz_files, TRUE);
	cim_store_unref(fuzz_store);
	g_free(fuzz_dir);
}

static void fuzz_dir_make(void)
{
	char path[] = "/dev/shm/cimfs-fuzz-XXXXXX";

	fuzz_dir = g_mkdtemp(path) ? g_strdup(path) : g_dir_make_tmp("cimfs-fuzz-XXXXXX", NULL);
	fuzz_check(fuzz_dir && cim_store_open(AT_FDCWD, fuzz_dir, &fuzz_store) == 0);
	fuzz_files = g_ptr_array_new_with_free_func(g_free);
	atexit(fuzz_dir_remove);
}

/** fuzz_file_make - a new file of the directory, to be filled for each input; its descriptor */
static int fuzz_file_make(const char *name)
{
	int fd = openat(fuzz_store->dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	fuzz_check(fd >= 0);
	g_ptr_array_add(fuzz_files, g_strdup(name));
	return fd;
}

static void fuzz_file_fill(int fd, const void *data, size_t size)
{
	fuzz_check(ftruncate(fd, (off_t)size) == 0);
	fuzz_check(cim_pwrite_full(fd, data, size, 0) == 0);
}

#endif
