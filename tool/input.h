/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes of an archive: a file or a pipe, decompressed if it is compressed.
 *
 * libarchive has the filters, and is loaded when one is needed.  What begins with a tar header is
 * taken as it is, whatever compressor its first name may look like.
 */
#ifndef CIMFS_INPUT_H
#define CIMFS_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct input;

/**
 * input_open - begin to read
 * @path: a file, or "-" for standard input
 * @wait: called ten times a second while a pipe has nothing; true: give up (-EINTR)
 *
 * Returns 0 or what open(2) and read(2) say; -EBADMSG (a compressed file that is damaged),
 * -EOPNOTSUPP (one that cannot be decompressed here).
 */
int input_open(const char *path, bool (*wait)(void *arg), void *arg, struct input **ret);

/** input_read - fill the buffer; returns fewer bytes only at the end; -EBADMSG, -EIO, … */
ssize_t input_read(struct input *in, void *buf, size_t size);

/** input_close - takes NULL */
void input_close(struct input *in);

#endif
