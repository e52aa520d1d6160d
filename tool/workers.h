/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that bring the data of files into an image while another thread walks the tree.
 *
 * The walker hands over open files; they wait in a short queue, in batches, so that a lock is taken
 * once for many small files.  Only the thread that started the workers calls these functions.
 */
#ifndef CIMFS_WORKERS_H
#define CIMFS_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "writer.h"

struct workers;

struct worker_file {
	int fd; /* open for reading */
	uint32_t id;
	uint64_t size;
	bool holes;
	char *path; /* for messages; g_free() */
};

struct workers_ops {
	/* A file was stored, or could not be; called in a worker's thread. */
	void (*done)(void *arg, const struct worker_file *file, int err);
	/* Called ten times a second while the walker waits; true: stop. */
	bool (*wait)(void *arg);
	void *arg;
};

/** workers_start - as many threads as there are processors, up to a limit; NULL: none to be had */
struct workers *workers_start(struct cim_writer *writer, const struct workers_ops *ops);

/** workers_add - hand over a file with what is in it; may wait */
void workers_add(struct workers *ws, const struct worker_file *file);

/** workers_drain - wait until all files are stored and their descriptors closed, or ops->wait says
 * stop */
void workers_drain(struct workers *ws);

/** workers_end - end the threads; with @stop at once, dropping files that wait or are being read */
void workers_end(struct workers *ws, bool stop);

#endif
