/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all requests of a mount share.  Everything here is set before the first of them, but for
 * what has a lock of its own.
 */
#ifndef CIM_DAEMON_H
#define CIM_DAEMON_H

/* One interface for all of libfuse 3.10 and later. */
#define FUSE_USE_VERSION 312

#include <fuse_lowlevel.h>

#include "listings.h"
#include "session.h"
#include "slots.h"

/* The daemon's own nodes, in slot 0. */
#define CIM_INO_ROOT    FUSE_ROOT_ID
#define CIM_INO_CONTROL 2

#define CIM_FOR_EVER \
	31536000.0 /* seconds of a timeout: what does not change, or only through the kernel */

struct cim_daemon {
	struct cim_store *store;          /* the directory behind the mount */
	struct cim_view view;             /* how files of images and writers are shown */
	struct cim_slot *only;            /* the image mount: its one image; else NULL */
	bool shared; /* others may use the mount: the kernel checks permissions */
	bool threaded;
	char *mountpoint; /* absolute; NULL: mounted by somebody else */
	bool no_open, no_opendir; /* the kernel does without these requests */
	struct fuse_session *fuse;
	struct cim_slots slots;
	struct cim_sessions sessions;
	struct cim_listings listings;

	GMutex told; /* held while the kernel is told that a name has gone */
	GMutex lock; /* guards what follows */
	char *last_request, *last_result;
};

static inline struct cim_daemon *cim_daemon_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline uint32_t cim_ino_slot(fuse_ino_t ino)
{
	return (uint32_t)((uint64_t)ino >> 32);
}

static inline uint32_t cim_ino_id(fuse_ino_t ino)
{
	return (uint32_t)ino;
}

static inline fuse_ino_t cim_ino_make(uint32_t slot, uint32_t id)
{
	return (fuse_ino_t)((uint64_t)slot << 32 | id);
}

#endif
