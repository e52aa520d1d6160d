/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fixed part of a tar: its headers of 512 bytes (POSIX.1-1988 "ustar", and what GNU tar and
 * star put where it leaves room), and how numbers stand in them.
 */
#ifndef CIMFS_TAR_FORMAT_H
#define CIMFS_TAR_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAR_BLOCK  512
#define TAR_RECORD 10240 /* the end of an archive is padded to a multiple */

struct tar_header {
	char name[100];
	char mode[8], uid[8], gid[8];
	char size[12], mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[8]; /* "ustar\0" "00", or GNU's "ustar  \0" */
	char uname[32], gname[32];
	char dev_major[8], dev_minor[8];
	char prefix[155]; /* of a long name; GNU and star have other things here */
	char padding[12];
};

_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a header is a block");
_Static_assert(offsetof(struct tar_header, type) == 156, "layout of a tar header");
_Static_assert(offsetof(struct tar_header, prefix) == 345, "layout of a tar header");

enum tar_type {
	TAR_FILE = '0',
	TAR_LINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHAR = '3',
	TAR_BLOCK_DEVICE = '4',
	TAR_DIRECTORY = '5',
	TAR_FIFO = '6',
	TAR_CONTIGUOUS = '7', /* a file */
	TAR_PAX = 'x',        /* records for the next entry */
	TAR_PAX_SUN = 'X',    /* the same */
	TAR_PAX_GLOBAL = 'g', /* records for all that follow */
	TAR_GNU_NAME = 'L',   /* the next entry's name */
	TAR_GNU_LINK = 'K',   /* … its link's target */
	TAR_GNU_SPARSE = 'S',
	TAR_GNU_LABEL = 'V',
	TAR_GNU_DIRECTORY = 'D', /* of an incremental dump: its data is a list of names */
};

/** tar_is_header - whether a block is a header: its checksum says so */
bool tar_is_header(const void *block);

/** tar_is_zero - whether a block is all zeros: two of them end an archive */
bool tar_is_zero(const void *block);

/**
 * tar_number - the number in a field: octal digits, or GNU's binary form
 * Spaces may stand before digits, and spaces or NULs behind; an empty field is 0.  Returns false
 * for anything else, and for what does not fit.
 */
bool tar_number(const char *field, size_t size, int64_t *ret);

/** tar_put_number - octal, with a NUL behind; false if the field is too short: 0 stands there */
bool tar_put_number(char *field, size_t size, uint64_t n);

/** tar_seal - put the checksum into a header that is otherwise complete */
void tar_seal(struct tar_header *h);

#endif
