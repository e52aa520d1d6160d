/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "lock.h"

#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "error.h"
#include "util.h"

/* Who holds the flock, from /proc/locks: "1: FLOCK  ADVISORY  WRITE 4711 fd:01:12345 0 EOF". */
static int find_holder(const struct stat *st)
{
	FILE *f = fopen("/proc/locks", "re");
	char line[256];
	int pid, found = 0;
	unsigned int dev_major, dev_minor;
	unsigned long long inode;

	while (f && !found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%llu", &pid, &dev_major, &dev_minor,
			   &inode) == 4 &&
		    pid > 0 && inode == st->st_ino && makedev(dev_major, dev_minor) == st->st_dev)
			found = pid;
	}
	if (f)
		(void)fclose(f);
	return found;
}

static int held_by_another(int fd)
{
	g_autofree char *comm = NULL, *path = NULL;
	struct stat st;
	int pid = fstat(fd, &st) == 0 ? find_holder(&st) : 0;

	if (pid == 0)
		return cim_fail(CIM_ELOCKED,
				"another writer holds this image directory; close it or wait");
	path = g_strdup_printf("/proc/%d/comm", pid);
	if (g_file_get_contents(path, &comm, NULL, NULL))
		g_strchomp(comm);
	return cim_fail(CIM_ELOCKED,
			"another writer holds this image directory (pid %d%s%s); close it or wait",
			pid, comm ? " " : "", comm ? comm : "");
}

int cim_lock(int dirfd, int *ret_fd)
{
	/* "." from the descriptor stays in the directory itself, also where a mount covers it. */
	cim_autofd fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return cim_fail(errno, "cannot open the image directory: %s", g_strerror(errno));
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EWOULDBLOCK)
			return held_by_another(fd);
		if (errno == EBADF || errno == ENOLCK || errno == EOPNOTSUPP || errno == EINVAL)
			return cim_fail(EOPNOTSUPP,
					"this file system cannot lock a directory (flock: %s); "
					"images cannot be written here safely",
					g_strerror(errno));
		return cim_fail(errno, "cannot lock the image directory: %s", g_strerror(errno));
	}
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_nlink == 0)
		return cim_fail(ENOTDIR, "the image directory has been removed");
	*ret_fd = cim_steal_fd(&fd);
	return 0;
}
