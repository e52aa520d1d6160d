/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the operations of writer/ share: the file of a request, while the writer is in use.
 */
#ifndef CIM_WRITER_NODE_H
#define CIM_WRITER_NODE_H

#include "daemon.h"

struct cim_writer_node {
	struct cim_session *s;
	struct cim_writer *w;
	uint32_t id;
};

/** cim_writer_enter - the node of a request, until cim_writer_leave(); or answers it */
bool cim_writer_enter(fuse_req_t req, fuse_ino_t ino, struct cim_writer_node *ret);
void cim_writer_leave(const struct cim_writer_node *n);

static inline fuse_ino_t cim_writer_ino(const struct cim_writer_node *n, uint32_t id)
{
	return cim_ino_make(n->s->slot->index, id);
}

static inline bool cim_streams_are_files(fuse_req_t req)
{
	return cim_daemon_of(req)->view.streams == CIM_STREAMS_WINDOWS;
}

/* ---- operations (writer-xattr.c) ---- */

void cim_writer_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
			 size_t size, int flags);
void cim_writer_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void cim_writer_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void cim_writer_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

#endif
