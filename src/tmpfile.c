/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "tmpfile.h"

#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <sys/stat.h>

#include "error.h"
#include "util.h"

int cim_tmpfile_open(int dirfd, const char *tag, struct cim_tmpfile *ret)
{
	ret->name[0] = '\0';
	ret->lost = 0;
	ret->fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0444);
	if (ret->fd < 0 &&
	    (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL)) {
		snprintf(ret->name, sizeof(ret->name), ".cimfs-%s", tag);
		ret->fd = openat(dirfd, ret->name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0444);
	}
	if (ret->fd < 0)
		return cim_fail(errno, "cannot create a file in the image directory: %s",
				g_strerror(errno));
	return 0;
}

/* sync_file_range(2) is not everywhere. */
static bool is_unsupported(int error)
{
	return error == ENOSYS || error == EINVAL || error == EOPNOTSUPP || error == EPERM;
}

static int lost(const struct cim_tmpfile *t)
{
	return __atomic_load_n(&t->lost, __ATOMIC_RELAXED);
}

int cim_tmpfile_begin_sync(const struct cim_tmpfile *t)
{
	if (lost(t) < 0)
		return cim_fail(EIO, "cannot make a file durable: %s", g_strerror(-lost(t)));
	if (sync_file_range(t->fd, 0, 0, SYNC_FILE_RANGE_WRITE) < 0 && !is_unsupported(errno))
		return cim_fail(EIO, "cannot make a file durable: %s", g_strerror(errno));
	return 0;
}

int cim_tmpfile_sync(int dirfd, const struct cim_tmpfile *t, uint64_t size)
{
	struct stat st, named;

	if (lost(t) < 0)
		return cim_fail(EIO, "cannot make a file durable: %s", g_strerror(-lost(t)));
	if (fsync(t->fd) < 0 || fstat(t->fd, &st) < 0)
		return cim_fail(errno, "cannot make a file durable: %s", g_strerror(errno));
	if ((uint64_t)st.st_size != size)
		return cim_fail(CIM_ECORRUPT,
				"somebody else has changed a file that was being written: it has %llu "
				"bytes instead of %llu",
				(unsigned long long)st.st_size, (unsigned long long)size);
	if (t->name[0] && (fstatat(dirfd, t->name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
			   named.st_ino != st.st_ino || named.st_dev != st.st_dev))
		return cim_fail(CIM_ECORRUPT, "somebody else has removed or replaced \"%s\"",
				t->name);
	return 0;
}

int cim_tmpfile_check_read(const struct cim_tmpfile *t, const char *what)
{
	int error = -lost(t);

	if (error == 0) {
		/* Of one page, as an error that it tells is the whole file's. */
		if (t->fd < 0 || sync_file_range(t->fd, 0, 1, SYNC_FILE_RANGE_WAIT_BEFORE) == 0)
			return 0;
		/* Without it, the kernel tells when all of the file is written. */
		if (is_unsupported(errno) && fsync(t->fd) == 0)
			return 0;
		error = errno;
	}
	/* Never an error that may pass: what was read is lost. */
	return cim_fail(EIO, "%s could not be written, and is lost: %s", what, g_strerror(error));
}

int cim_tmpfile_write_out(struct cim_tmpfile *t, uint64_t off, uint64_t size)
{
	const unsigned int write_and_wait =
		SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
	int r;

	if (size == 0)
		return 0;
	do
		r = sync_file_range(t->fd, (off_t)off, (off_t)size, write_and_wait);
	while (r < 0 && errno == EINTR);
	if (r < 0 && is_unsupported(errno))
		r = fsync(t->fd);
	if (r < 0)
		__atomic_store_n(&t->lost, -errno, __ATOMIC_RELAXED);
	r = lost(t);
	return r < 0 ? cim_fail(-r, "data of a file could not be written, and is lost: %s",
				g_strerror(-r))
		     : 0;
}

int cim_tmpfile_link(int dirfd, struct cim_tmpfile *t, const char *name)
{
	char path[64];

	if (t->name[0]) {
		if (renameat2(dirfd, t->name, dirfd, name, RENAME_NOREPLACE) == 0) {
			t->name[0] = '\0';
			return 0;
		}
		/* Where renameat2() cannot say "not over another", link() always does. */
		if (errno != EINVAL && errno != ENOSYS)
			return -errno;
		if (linkat(dirfd, t->name, dirfd, name, 0) < 0)
			return -errno;
		(void)unlinkat(dirfd, t->name, 0);
		t->name[0] = '\0';
		return 0;
	}
	/* By way of /proc: AT_EMPTY_PATH wants a capability. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", t->fd);
	return linkat(AT_FDCWD, path, dirfd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

void cim_tmpfile_close(int dirfd, struct cim_tmpfile *t)
{
	if (t->fd >= 0)
		(void)close(t->fd);
	t->fd = -1;
	if (t->name[0])
		(void)unlinkat(dirfd, t->name, 0);
	t->name[0] = '\0';
}
