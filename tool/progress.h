/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How far something long is: one line on a terminal, rewritten up to ten times a second, with how
 * long it will take as soon as that can be told.
 *
 * Everything may be called from any thread but progress_tick(), which is for one thread.
 */
#ifndef CIMFS_PROGRESS_H
#define CIMFS_PROGRESS_H

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool terminal;
	int64_t started, drawn; /* µs, monotonic */
	unsigned int n_drawn;   /* lines so far */
	int width;              /* columns of the line that is shown; 0: none */
	GMutex lock;            /* the terminal's */
	_Atomic(uint64_t) found_files, found_bytes;
	_Atomic(uint64_t) done_files, done_bytes;
	const char *phase; /* "" while files are read */
	bool total_known;  /* nothing more will be found */
};

/** progress_init - @terminal: whether to show a line if standard error is a terminal */
void progress_init(struct progress *p, bool terminal);

/** progress_found - a file was met; @bytes of data are to be read */
void progress_found(struct progress *p, uint64_t bytes);

/** progress_done - a file is in the image, with @bytes of data */
void progress_done(struct progress *p, uint64_t bytes);

/** progress_tick - show the line when a tenth of a second has passed */
void progress_tick(struct progress *p);

/** progress_phase - show at once that something else is being done, which cannot be counted */
void progress_phase(struct progress *p, const char *phase);

/** progress_hide - take the line out of the way, until the next tick */
void progress_hide(struct progress *p);

/** progress_error - tool_error(), with the line out of its way */
void progress_error(struct progress *p, const char *what, const char *why, int err);

/** progress_end - erase the line; returns the seconds since the start */
double progress_end(struct progress *p);

#endif
