/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the daemon's messages go: standard error in the foreground, syslog behind it.
 *
 * Messages of libfuse and GLib go the same way.
 */
#ifndef CIM_LOG_H
#define CIM_LOG_H

#include <stdbool.h>
#include <syslog.h>

/** cim_log_open - begin on standard error, with messages up to @level (LOG_NOTICE, LOG_DEBUG, …) */
void cim_log_open(int level);

/** cim_log_to_syslog - from now on, because standard error is about to go away */
void cim_log_to_syslog(void);

/** cim_log - one message, lower case, no full stop, no newline */
void cim_log(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
