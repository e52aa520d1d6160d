/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The threads that take the kernel's requests.
 */
#ifndef CIM_LOOP_H
#define CIM_LOOP_H

#include "daemon.h"

/**
 * cim_loop - serve a mounted session until it is unmounted, or a signal ends it
 * @n_threads: how many requests are served at a time
 *
 * The handlers of the signals that end it (fuse_set_signal_handlers()) are run in this thread.
 * Returns 0 or a negative errno.
 */
int cim_loop(struct fuse_session *fuse, unsigned int n_threads);

#endif
