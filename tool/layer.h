/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tars of Windows container layers say of a file: records of PAX, and back
 * (windows-api.md §3.4).
 *
 *	MSWINDOWS.fileattr	FILE_ATTRIBUTE_…, decimal
 *	MSWINDOWS.rawsd		the security descriptor, base64
 *	MSWINDOWS.sd		the same as SDDL, in old layers
 *	MSWINDOWS.xattr.NAME	an EA, base64
 *	MSWINDOWS.mountpoint	a symlink is a junction
 *
 * Their writers are go-winio and BuildKit.  What these records have no way to say, ours are for:
 *
 *	CIMFS.reparse		the reparse buffer, base64
 *	CIMFS.eas		the EA list with its flags, base64
 *
 * Owner, mode and device of such a file are among its EAs ($LXUID …), or it has none: what the
 *tar's header says of them is made up by those writers.
 */
#ifndef CIMFS_LAYER_H
#define CIMFS_LAYER_H

#include "ea.h"
#include "reader.h"
#include "reparse.h"
#include "tar-read.h"
#include "windows.h"

/* Which files have such records, or shall get them. */
enum layer_use {
	LAYER_AUTO,   /* those that need them */
	LAYER_ALWAYS, /* all, whatever else there is */
	LAYER_NEVER,
};

/** layer_parse_use - the argument of --windows, or NULL; false for anything else, which is said */
bool layer_parse_use(const char *text, enum layer_use *ret);

struct layer_file {
	bool is_windows;         /* the entry has records of Windows */
	bool has_eas;            /* some of them its EAs, which say all extended attributes too */
	unsigned int mask;       /* CIM_WIN_…, of what it says */
	struct cim_winmeta meta; /* checked; points into the rest */
	void *sd;                /* g_free() */
	struct cim_ea_list eas;
	uint8_t *reparse; /* g_free() */
};

/**
 * layer_parse - the records of an entry
 * @e: not refused
 * @use: ALWAYS: it is Windows' even if it has none
 * @ret: layer_file_clear(), also on failure
 *
 * Times are those of the entry.  Returns 0 or -EINVAL: a record is not what it should be.
 */
int layer_parse(const struct tar_entry *e, enum layer_use use, struct layer_file *ret);

/** layer_has_records - whether an entry has any that layer_parse() reads */
bool layer_has_records(const struct tar_entry *e);
void layer_file_clear(struct layer_file *f);

/**
 * layer_needs_records - whether a file of an image has something of Windows that its owner, mode,
 * times and extended attributes do not say
 */
bool layer_needs_records(const struct cim_image *img, const struct cim_entry *e,
			 const struct cim_attr *attr, const struct cim_winmeta *m);

/**
 * layer_add_records - what layer_parse() reads, for a file of an image
 * @link: what the tar says a symlink leads to; set to what Windows shows of it where it is Windows';
 * NULL: the file is no symlink in the tar, whatever its reparse buffer is
 */
void layer_add_records(const struct cim_winmeta *m, GString *records, GString *link);

/** layer_stream_of - the name of the stream that an entry is, if it is one of the file @file; NULL
 */
char *layer_stream_of(const char *path, const char *file);

/**
 * layer_reparse - the reparse buffer of a symlink or junction
 * @target: with "/" or "\"; "X:…", "\\SERVER\…" and "\\?\…" are absolute
 * @ret: CIM_REPARSE_MAX bytes
 * Returns its size, or -EINVAL (empty, too long).
 */
int layer_reparse(const char *target, bool is_junction, uint8_t *ret);

#endif
