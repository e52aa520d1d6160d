/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mount table: dead mounts of ours, and what the kernel allows of a living one.
 */
#ifndef CIM_MOUNTS_H
#define CIM_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** cim_mounts_resolve - the absolute path of a mount point, which may be dead; g_free(), NULL if
 * there is none */
char *cim_mounts_resolve(const char *path);

/**
 * cim_mounts_clear_dead - take away what a daemon that died has left mounted
 * @path: a directory or file that is about to be used
 *
 * Returns 0: @path can be used, or fails for another reason; -ENOTCONN with what to do in the
 * reason: it is no mount of cimfsd, or cannot be taken away.
 */
int cim_mounts_clear_dead(const char *path);

/** cim_mounts_is_ours - whether a device is a mount of cimfsd */
bool cim_mounts_is_ours(dev_t dev);

/** cim_mounts_is_point - whether cimfsd is mounted at a path; asks nothing of the mount */
bool cim_mounts_is_point(const char *path);

/** cim_mounts_set_read_ahead - set what the kernel reads ahead on a mount; whether it could be done
 */
bool cim_mounts_set_read_ahead(const char *mountpoint, size_t size);

#endif
