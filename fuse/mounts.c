/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads /proc/self/mountinfo, which never asks a daemon, living or dead.  Knows no images. */
#include "config.h"

#include "mounts.h"

#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "error.h"
#include "log.h"
#include "util.h"

#define OUR_TYPE "fuse.cimfsd"
#define MAX_DEAD 8 /* mounts over each other that are cleared */

struct mount {
	dev_t dev;
	char *point;
	char *type;
};

static void mount_clear(struct mount *m)
{
	g_free(m->point);
	g_free(m->type);
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw"; octal escapes for blanks. */
static bool parse_mount(const char *line, struct mount *ret)
{
	g_auto(GStrv) word = g_strsplit(line, " ", -1);
	unsigned int dev_major, dev_minor;
	guint n = g_strv_length(word), i = 6;

	while (i < n && strcmp(word[i], "-") != 0)
		i++;
	if (i + 1 >= n || sscanf(word[2], "%u:%u", &dev_major, &dev_minor) != 2)
		return false;
	ret->dev = makedev(dev_major, dev_minor);
	ret->point = g_strcompress(word[4]);
	ret->type = g_strdup(word[i + 1]);
	return true;
}

/* The topmost mount at a path, or, where @point is NULL, of a device. */
static bool find_mount(const char *point, dev_t dev, struct mount *ret)
{
	g_autofree char *table = NULL;
	bool found = false;

	if (!g_file_get_contents("/proc/self/mountinfo", &table, NULL, NULL))
		return false;
	g_auto(GStrv) lines = g_strsplit(table, "\n", -1);
	for (char **line = lines; *line; line++) {
		struct mount m;

		if (!parse_mount(*line, &m))
			continue;
		if (point ? strcmp(m.point, point) == 0 : m.dev == dev) {
			if (found)
				mount_clear(ret);
			*ret = m;
			found = true;
		} else {
			mount_clear(&m);
		}
	}
	return found;
}

char *cim_mounts_resolve(const char *path)
{
	char real[PATH_MAX];

	if (realpath(path, real))
		return g_strdup(real);
	/* The last component may be a dead mount, which cannot be looked into. */
	g_autofree char *dir = g_path_get_dirname(path), *base = g_path_get_basename(path);
	if (!realpath(dir, real))
		return NULL;
	return g_build_filename(real, base, NULL);
}

static bool detach(const char *point)
{
	const char *const argv[] = { "fusermount3", "-u", "-z", "--", point, NULL };
	int status;

	if (umount2(point, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return true;
	return g_spawn_sync(NULL, (char **)(uintptr_t)argv, NULL,
			    G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, NULL,
			    NULL, &status, NULL) &&
	       status == 0;
}

static int clear_one(const char *path)
{
	g_autofree char *point = cim_mounts_resolve(path);
	struct mount m;

	if (!point || !find_mount(point, 0, &m))
		return cim_fail(ENOTCONN,
				"\"%s\" lies in a mount whose daemon has died; unmount that "
				"first: umount -l MOUNTPOINT",
				path);
	bool ours = strcmp(m.type, OUR_TYPE) == 0;
	mount_clear(&m);
	if (!ours)
		return cim_fail(ENOTCONN,
				"\"%s\" is a mount of another file system, whose daemon has died; "
				"unmount it first: umount -l %s",
				path, point);
	if (!detach(point))
		return cim_fail(ENOTCONN,
				"\"%s\" was mounted by a cimfsd that has died, and cannot be "
				"unmounted; as its owner or root: umount -l %s",
				path, point);
	cim_log(LOG_WARNING, "\"%s\" was mounted by a cimfsd that has died; it is unmounted now",
		path);
	return 0;
}

int cim_mounts_clear_dead(const char *path)
{
	struct stat st;
	int r = 0;

	for (int i = 0; r == 0 && i < MAX_DEAD; i++) {
		if (stat(path, &st) == 0 || errno != ENOTCONN)
			return 0;
		r = clear_one(path);
	}
	return r;
}

bool cim_mounts_is_point(const char *path)
{
	g_autofree char *point = cim_mounts_resolve(path);
	struct mount m;

	if (!point || !find_mount(point, 0, &m))
		return false;
	bool ours = strcmp(m.type, OUR_TYPE) == 0;
	mount_clear(&m);
	return ours;
}

bool cim_mounts_is_ours(dev_t dev)
{
	struct mount m;

	if (!find_mount(NULL, dev, &m))
		return false;
	bool ours = strcmp(m.type, OUR_TYPE) == 0;
	mount_clear(&m);
	return ours;
}

bool cim_mounts_set_read_ahead(const char *mountpoint, size_t size)
{
	char path[64], kib[32];
	struct mount m;

	if (!find_mount(mountpoint, 0, &m))
		return false;
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(m.dev),
		 minor(m.dev));
	mount_clear(&m);
	cim_autofd fd = open(path, O_WRONLY | O_CLOEXEC);
	int n = snprintf(kib, sizeof(kib), "%zu", size / 1024);
	return fd >= 0 && write(fd, kib, (size_t)n) == n;
}
