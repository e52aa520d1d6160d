/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "tmpfile.h"

#include <fcntl.h>
#include <glib.h>
#include <stdio.h>

#include "error.h"
#include "util.h"

int cim_tmpfile_open(int dirfd, const char *tag, struct cim_tmpfile *ret)
{
	ret->name[0] = '\0';
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
