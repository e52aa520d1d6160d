/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Signals that end a command in order, so that nothing half-made is left.
 */
#ifndef CIMFS_SIGNALS_H
#define CIMFS_SIGNALS_H

#include <signal.h>

/* The signal that was caught; 0: none yet. */
extern volatile sig_atomic_t signal_caught;

/**
 * signals_catch - from now on, let SIGINT, SIGTERM and SIGHUP only set signal_caught
 * One that whoever started us had ignored stays ignored.
 */
void signals_catch(void);

#endif
