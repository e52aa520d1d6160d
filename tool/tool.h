/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the commands of cimfs share: how they are started, their arguments, what they print.
 */
#ifndef CIMFS_TOOL_H
#define CIMFS_TOOL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "image.h"

/* Exit statuses besides 0. */
#define TOOL_FAILED 1
#define TOOL_USAGE  2

/* ---- commands: each takes its own name as argv[0] and returns the exit status ---- */

int tool_import(int argc, char **argv);
int tool_export(int argc, char **argv);
int tool_ls(int argc, char **argv);
int tool_stat(int argc, char **argv);
int tool_cat(int argc, char **argv);
int tool_info(int argc, char **argv);
int tool_fsck(int argc, char **argv);
int tool_hash(int argc, char **argv);
int tool_delete(int argc, char **argv);
int tool_gc(int argc, char **argv);

/* ---- arguments (target.c) ---- */

/**
 * tool_parse - the options of a command
 * @operands: for the usage line, as "DIR NAME TREE"
 * @description: a paragraph for --help
 * @entries: ended by a zero entry
 * @min, @max: how many operands there may be
 *
 * Options are taken out of @argv, so that the operands are argv[1] to argv[*argc - 1].  Prints what
 * is wrong.  Returns whether the command may go on; if not, it returns TOOL_USAGE.
 */
bool tool_parse(int *argc, char ***argv, const char *operands, const char *description,
		const GOptionEntry *entries, int min, int max);

/**
 * tool_open_store - open a containing directory
 * Prints why it cannot be, also that it is a mount of cimfsd.  Returns NULL then.
 */
struct cim_store *tool_open_store(const char *dir);

/** tool_is_mount - whether a directory is a mount of cimfsd, which this prints */
bool tool_is_mount(const char *dir);

/**
 * tool_open_parent - open the directory of DIR/NAME, as tool_open_store()
 * @ret_name: the name, in @arg
 */
struct cim_store *tool_open_parent(const char *arg, const char **ret_name);

/** tool_open_image - open the image that DIR/NAME is; prints why it cannot be, and returns NULL
 * then */
struct cim_image *tool_open_image(const char *arg);

/* ---- output (output.c) ---- */

/** tool_error - "cimfs: what: why" to standard error; @why NULL: the library's reason, or @err's */
void tool_error(const char *what, const char *why, int err);

/** tool_printable - a name for a message: "\012" for what would not be seen, or do something to a
 * terminal; g_free() */
char *tool_printable(const char *name);

/** tool_close_stdout - for atexit(): what could not be written is an error, and the exit status 1
 */
void tool_close_stdout(void);

/** tool_size - "1.2 GB", in a buffer of 16 bytes */
#define TOOL_SIZE 16
void tool_size(uint64_t bytes, char ret[TOOL_SIZE]);

/** tool_put_name - to standard output: raw, or on a terminal with "?" for what cannot be printed */
void tool_put_name(const char *name);

/**
 * tool_json_bytes - append "key": "value" to a JSON object
 * Bytes that are no UTF-8 become U+FFFD, and "key_bytes" has them all in base64.
 */
void tool_json_bytes(GString *json, const char *key, const char *value);

/** tool_json_string - append a JSON string of valid UTF-8, quoted */
void tool_json_string(GString *json, const char *value);

/** tool_json_time - append "key": "2024-05-01T12:00:00.1234567Z", or null outside the years 1 to
 * 9999 */
void tool_json_time(GString *json, const char *key, uint64_t ticks);

#endif
