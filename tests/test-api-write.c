/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making images as Windows' programs do: cimfs.h and libcimfs.so, and nothing else of this project.
 *
 * A row of the table is a small program: calls, each with the HRESULT that it must return, then
 * what is in the image.  It has a row for each HRESULT that a function documents, and for each rule
 * that callers depend on though it is written nowhere (windows-api.md §1.4).
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cimfs.h"
#include "support.h"

#define N_ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))
#define N_STEPS       24

#define OK      CIMFS_S_OK
#define BAD     CIMFS_E_INVALIDARG
#define POINTER CIMFS_E_POINTER
#define DENIED  CIMFS_E_ACCESSDENIED
#define NOFILE  CIMFS_E_FILE_NOT_FOUND
#define NOPATH  CIMFS_E_PATH_NOT_FOUND
#define SHARING CIMFS_E_SHARING_VIOLATION
#define ATEND   CIMFS_E_HANDLE_EOF
#define EXISTS  CIMFS_E_FILE_EXISTS

/* ---- the language of the table ---- */

enum op {
	END,
	CREATE,  /* a file at a of n bytes with attributes m; its stream stays open */
	STREAM,  /* the stream a of n bytes; it stays open */
	WRITE,   /* a to the open stream */
	WRITE0,  /* NULL to it */
	CLOSE,   /* it */
	LINK,    /* a is one more name of b */
	DELETE,  /* a */
	LOOKUP,  /* whether a is there: n */
	COMMIT,  /* and leave it open */
	SHUT,    /* close the image */
	FORK,    /* commit, close, and start a fork of it */
	REWRITE, /* commit, close, and start to rewrite it */
	READ,    /* a of the last image that was committed has the bytes b */
	ZEROS,   /* … is n zeros */
	STAT,    /* a has attributes m and n links */
	SAME,    /* a and b are one file */
	NAMES,   /* directory a has the names b, in order, each with a space behind */
	LOCKED,  /* whether another writer of the directory is refused */
	COUNT,   /* of files in the directory that are no image: n */
};

struct step {
	enum op op;
	const char *a, *b;
	int64_t n;
	uint32_t m;
	HRESULT hr;
};

#define ARCHIVE   FILE_ATTRIBUTE_ARCHIVE
#define DIRECTORY FILE_ATTRIBUTE_DIRECTORY

/* The usual things at once; each is several steps. */
#define FILE_(path, text)                                               \
	{ CREATE, path, NULL, (int64_t)sizeof(text) - 1, ARCHIVE, OK }, \
		{ WRITE, text, NULL, 0, 0, OK },                        \
	{                                                               \
		CLOSE, NULL, NULL, 0, 0, OK                             \
	}
#define DIR_(path)                                \
	{ CREATE, path, NULL, 0, DIRECTORY, OK }, \
	{                                         \
		CLOSE, NULL, NULL, 0, 0, OK       \
	}
#define STREAM_(path, text)                                                                        \
	{ STREAM, path, NULL, (int64_t)sizeof(text) - 1, 0, OK }, { WRITE, text, NULL, 0, 0, OK }, \
	{                                                                                          \
		CLOSE, NULL, NULL, 0, 0, OK                                                        \
	}
#define COMMIT_                            \
	{ COMMIT, NULL, NULL, 0, 0, OK },  \
	{                                  \
		SHUT, NULL, NULL, 0, 0, OK \
	}
#define FORK_                              \
	{                                  \
		FORK, NULL, NULL, 0, 0, OK \
	}
#define REWRITE_                              \
	{                                     \
		REWRITE, NULL, NULL, 0, 0, OK \
	}
#define HAS(path, text)                    \
	{                                  \
		READ, path, text, 0, 0, OK \
	}
#define HAS_NO(path, hr)                 \
	{                                \
		READ, path, "", 0, 0, hr \
	}
#define DELETE_(path)                        \
	{                                    \
		DELETE, path, NULL, 0, 0, OK \
	}
#define LINK_(path, to)                  \
	{                                \
		LINK, path, to, 0, 0, OK \
	}
#define THERE(path)                          \
	{                                    \
		LOOKUP, path, NULL, 1, 0, OK \
	}
#define GONE(path)                           \
	{                                    \
		LOOKUP, path, NULL, 0, 0, OK \
	}

#define N255                                                                             \
	"012345678901234567890123456789012345678901234567890123456789012345678901234567" \
	"890123456789012345678901234567890123456789012345678901234567890123456789012345" \
	"678901234567890123456789012345678901234567890123456789012345678901234567890123" \
	"456789012345678901234"

static const struct row {
	const char *name;
	struct step step[N_STEPS];
} rows[] = {
	/* CimCreateFile: what it makes */
	{ "a file", { FILE_("f", "text"), COMMIT_, HAS("f", "text") } },
	{ "an empty file", { FILE_("f", ""), COMMIT_, HAS("f", "") } },
	{ "a directory", { DIR_("d"), COMMIT_, { STAT, "d", NULL, 1, DIRECTORY, OK } } },
	{ "a file in a directory",
	  { DIR_("d"), FILE_("d\\f", "text"), COMMIT_, HAS("d\\f", "text") } },
	{ "slashes separate as well",
	  { DIR_("d"), FILE_("d/f", "text"), COMMIT_, HAS("d\\f", "text") } },
	{ "a separator in front",
	  { DIR_("\\d"), FILE_("\\d\\f", "x"), FILE_("/g", "y"), COMMIT_, HAS("d/f", "x"),
	    HAS("\\g", "y") } },
	{ "a name of 255 units", { FILE_(N255, "x"), COMMIT_, HAS(N255, "x") } },
	{ "names of any script",
	  { FILE_("\xe8\xaa\x9e\xf0\x9f\x98\x80", "x"), COMMIT_,
	    HAS("\xe8\xaa\x9e\xf0\x9f\x98\x80", "x") } },
	{ "a name that is no UTF-8", { FILE_("\xff\x80", "x"), COMMIT_, HAS("\xff\x80", "x") } },
	{ "attributes that are kept",
	  { { CREATE, "f", NULL, 0, 0x227, OK },
	    { CLOSE },
	    COMMIT_,
	    { STAT, "f", NULL, 1, 0x227, OK } } },
	{ "attributes that are dropped",
	  { { CREATE, "f", NULL, 0, 0x3920, OK },
	    { CLOSE },
	    COMMIT_,
	    { STAT, "f", NULL, 1, ARCHIVE, OK } } },
	{ "no attributes",
	  { { CREATE, "f", NULL, 0, 0, OK },
	    { CLOSE },
	    COMMIT_,
	    { STAT, "f", NULL, 1, FILE_ATTRIBUTE_NORMAL, OK } } },
	{ "a hidden directory",
	  { { CREATE, "d", NULL, 0, DIRECTORY | 2, OK },
	    { CLOSE },
	    COMMIT_,
	    { STAT, "d", NULL, 1, DIRECTORY | 2, OK } } },

	/* CimCreateFile: errors */
	{ "no path", { { CREATE, NULL, NULL, 0, ARCHIVE, BAD } } },
	{ "an empty path", { { CREATE, "", NULL, 0, ARCHIVE, BAD } } },
	{ "a separator at the end", { { CREATE, "d\\", NULL, 0, DIRECTORY, BAD } } },
	{ "two separators", { DIR_("d"), { CREATE, "d\\\\f", NULL, 0, ARCHIVE, BAD } } },
	{ "two separators in front", { { CREATE, "\\\\f", NULL, 0, ARCHIVE, BAD } } },
	{ "dot", { { CREATE, ".", NULL, 0, ARCHIVE, BAD } } },
	{ "dot dot", { DIR_("d"), { CREATE, "d\\..\\f", NULL, 0, ARCHIVE, BAD } } },
	{ "a colon", { { CREATE, "f:s", NULL, 0, ARCHIVE, BAD } } },
	{ "a colon on the way", { DIR_("d"), { CREATE, "d:x\\f", NULL, 0, ARCHIVE, BAD } } },
	{ "a name of 256 units", { { CREATE, N255 "5", NULL, 0, ARCHIVE, BAD } } },
	{ "no parent", { { CREATE, "d\\f", NULL, 0, ARCHIVE, NOPATH } } },
	{ "no grandparent", { { CREATE, "d\\e\\f", NULL, 0, ARCHIVE, NOPATH } } },
	{ "a file as parent", { FILE_("f", "x"), { CREATE, "f\\g", NULL, 0, ARCHIVE, NOPATH } } },
	{ "a negative size", { { CREATE, "f", NULL, -1, ARCHIVE, BAD } } },
	{ "a size past the format", { { CREATE, "f", NULL, INT64_MAX, ARCHIVE, BAD } } },
	{ "a directory with a size", { { CREATE, "d", NULL, 1, DIRECTORY, BAD } } },
	{ "a failure makes nothing",
	  { { CREATE, "f", NULL, -1, ARCHIVE, BAD },
	    GONE("f"),
	    { CREATE, "d\\f", NULL, 0, ARCHIVE, NOPATH },
	    GONE("d") } },
	{ "another stream is open",
	  { { CREATE, "f", NULL, 1, ARCHIVE, OK },
	    { CREATE, "g", NULL, 1, ARCHIVE, SHARING },
	    { CLOSE },
	    { CREATE, "g", NULL, 1, ARCHIVE, OK },
	    { CLOSE } } },
	{ "a directory's is open",
	  { { CREATE, "d", NULL, 0, DIRECTORY, OK },
	    { CREATE, "g", NULL, 1, ARCHIVE, SHARING },
	    { CLOSE } } },

	/* CimCreateFile: over what is there */
	{ "file over file",
	  { FILE_("f", "old"), FILE_("f", "new text"), COMMIT_, HAS("f", "new text") } },
	{ "file over file of the base",
	  { FILE_("f", "old"), FORK_, FILE_("f", "new"), COMMIT_, HAS("f", "new") } },
	{ "directory over directory",
	  { DIR_("d"), FILE_("d\\f", "x"), DIR_("d"), COMMIT_, HAS("d\\f", "x") } },
	{ "directory over one of the base",
	  { DIR_("d"),
	    FILE_("d\\f", "x"),
	    FORK_,
	    { CREATE, "d", NULL, 0, DIRECTORY | 2, OK },
	    { CLOSE },
	    COMMIT_,
	    HAS("d\\f", "x"),
	    { STAT, "d", NULL, 1, DIRECTORY | 2, OK } } },
	{ "a directory keeps its streams",
	  { DIR_("d"), STREAM_("d:s", "x"), DIR_("d"), COMMIT_, HAS("d:s", "x") } },
	{ "file over directory",
	  { DIR_("d"), FILE_("d\\f", "x"), FILE_("d", "file"), COMMIT_, HAS("d", "file"),
	    HAS_NO("d\\f", NOPATH) } },
	{ "file over one of the base",
	  { DIR_("d"), FILE_("d\\f", "x"), FORK_, FILE_("d", "file"), COMMIT_, HAS("d", "file"),
	    HAS_NO("d\\f", NOPATH) } },
	{ "directory over file",
	  { FILE_("f", "x"), DIR_("f"), FILE_("f\\g", "y"), COMMIT_, HAS("f\\g", "y") } },
	{ "file over a name of two",
	  { FILE_("f", "old"),
	    LINK_("g", "f"),
	    FILE_("f", "new"),
	    COMMIT_,
	    HAS("f", "new"),
	    HAS("g", "old"),
	    { STAT, "g", NULL, 1, ARCHIVE, OK } } },
	{ "streams of a replaced file",
	  { FILE_("f", "x"), STREAM_("f:s", "y"), FILE_("f", "z"), COMMIT_, HAS("f", "z"),
	    HAS_NO("f:s", NOFILE) } },
	{ "times stay with a directory",
	  { DIR_("d"), FILE_("d\\f", "x"), COMMIT_, { STAT, "d", NULL, 1, DIRECTORY, OK } } },
	{ "the root's metadata",
	  { { CREATE, "\\", NULL, 0, DIRECTORY | 2, OK },
	    { CLOSE },
	    FILE_("f", "x"),
	    COMMIT_,
	    { STAT, "\\", NULL, 1, DIRECTORY | 2, OK },
	    HAS("f", "x") } },
	{ "the root keeps its names",
	  { FILE_("f", "x"), FORK_, DIR_("/"), COMMIT_, HAS("f", "x") } },
	{ "no file as root", { { CREATE, "\\", NULL, 0, ARCHIVE, BAD } } },

	/* sizes, CimWriteStream, CimCloseStream */
	{ "in pieces",
	  { { CREATE, "f", NULL, 6, ARCHIVE, OK },
	    { WRITE, "ab" },
	    { WRITE, "" },
	    { WRITE, "cdef" },
	    { CLOSE },
	    COMMIT_,
	    HAS("f", "abcdef") } },
	{ "never written",
	  { { CREATE, "f", NULL, 100000, ARCHIVE, OK },
	    { CLOSE },
	    COMMIT_,
	    { ZEROS, "f", NULL, 100000, 0, OK } } },
	{ "a terabyte, never written",
	  { { CREATE, "f", NULL, 1ll << 40, ARCHIVE, OK },
	    { CLOSE },
	    COMMIT_,
	    { ZEROS, "f", NULL, 1ll << 40, 0, OK } } },
	{ "closed short",
	  { { CREATE, "f", NULL, 5, ARCHIVE, OK },
	    { WRITE, "abc" },
	    { CLOSE },
	    COMMIT_,
	    { READ, "f", "abc\0\0", 5, 0, OK } } },
	{ "past the end",
	  { { CREATE, "f", NULL, 3, ARCHIVE, OK },
	    { WRITE, "abcdef", NULL, 0, 0, ATEND },
	    { CLOSE },
	    COMMIT_,
	    HAS("f", "abc") } },
	{ "past the end, later",
	  { { CREATE, "f", NULL, 3, ARCHIVE, OK },
	    { WRITE, "abc" },
	    { WRITE, "d", NULL, 0, 0, ATEND },
	    { WRITE, "" },
	    { CLOSE },
	    COMMIT_,
	    HAS("f", "abc") } },
	{ "past the end of nothing",
	  { { CREATE, "f", NULL, 0, ARCHIVE, OK },
	    { WRITE, "a", NULL, 0, 0, ATEND },
	    { CLOSE },
	    COMMIT_,
	    HAS("f", "") } },
	{ "to a directory",
	  { { CREATE, "d", NULL, 0, DIRECTORY, OK }, { WRITE, "a", NULL, 0, 0, BAD }, { CLOSE } } },
	{ "nothing to a directory",
	  { { CREATE, "d", NULL, 0, DIRECTORY, OK }, { WRITE, "", NULL, 0, 0, BAD }, { CLOSE } } },
	{ "a NULL buffer",
	  { { CREATE, "f", NULL, 1, ARCHIVE, OK },
	    { WRITE0, NULL, NULL, 1, 0, POINTER },
	    { CLOSE } } },
	{ "a NULL buffer, no bytes",
	  { { CREATE, "f", NULL, 1, ARCHIVE, OK },
	    { WRITE0, NULL, NULL, 0, 0, POINTER },
	    { CLOSE } } },
	{ "no handle", { { WRITE, "a", NULL, 0, 0, BAD } } },
	{ "close of no handle", { { CLOSE }, FILE_("f", "x"), { CLOSE }, COMMIT_ } },
	{ "growing is making anew",
	  { FILE_("f", "abc"), FORK_, FILE_("f", "abcdef"), COMMIT_, HAS("f", "abcdef") } },

	/* CimCreateAlternateStream */
	{ "a stream",
	  { FILE_("f", "x"), STREAM_("f:s", "of s"), COMMIT_, HAS("f:s", "of s"), HAS("f", "x") } },
	{ "with its type",
	  { FILE_("f", "x"), STREAM_("f:s:$DATA", "of s"), COMMIT_, HAS("f:s", "of s") } },
	{ "with its type in any case",
	  { FILE_("f", "x"), STREAM_("f:s:$data", "of s"), COMMIT_, HAS("f:s:$Data", "of s") } },
	{ "of a directory", { DIR_("d"), STREAM_("d:s", "x"), COMMIT_, HAS("d:s", "x") } },
	{ "of a file in a directory",
	  { DIR_("d"), FILE_("d\\f", ""), STREAM_("d\\f:s", "x"), COMMIT_, HAS("d/f:s", "x") } },
	{ "of the root", { STREAM_("\\:s", "x"), COMMIT_, HAS("\\:s", "x") } },
	{ "of a file of the base",
	  { FILE_("f", "main"), FORK_, STREAM_("f:s", "x"), COMMIT_, HAS("f:s", "x"),
	    HAS("f", "main") } },
	{ "two of them",
	  { FILE_("f", ""), STREAM_("f:s", "1"), STREAM_("f:t", "2"), COMMIT_, HAS("f:s", "1"),
	    HAS("f:t", "2") } },
	{ "an empty one", { FILE_("f", "x"), STREAM_("f:s", ""), COMMIT_, HAS("f:s", "") } },
	{ "a large one, never written",
	  { FILE_("f", "x"),
	    { STREAM, "f:s", NULL, 1 << 20 },
	    { CLOSE },
	    COMMIT_,
	    { ZEROS, "f:s", NULL, 1 << 20, 0, OK } } },
	{ "a stream made anew",
	  { FILE_("f", "x"), STREAM_("f:s", "long"), STREAM_("f:s", "new"), COMMIT_,
	    HAS("f:s", "new") } },
	{ "by another name of its file",
	  { FILE_("f", ""), LINK_("g", "f"), STREAM_("g:s", "x"), COMMIT_, HAS("f:s", "x") } },
	{ "past a stream's end",
	  { FILE_("f", ""),
	    { STREAM, "f:s", NULL, 2 },
	    { WRITE, "abc", NULL, 0, 0, ATEND },
	    { CLOSE },
	    COMMIT_,
	    HAS("f:s", "ab") } },
	{ "no stream in it", { FILE_("f", ""), { STREAM, "f", NULL, 1, 0, BAD } } },
	{ "an empty stream name", { FILE_("f", ""), { STREAM, "f:", NULL, 1, 0, BAD } } },
	{ "the main stream", { FILE_("f", ""), { STREAM, "f::$DATA", NULL, 1, 0, BAD } } },
	{ "another type", { FILE_("f", ""), { STREAM, "f:s:$INDEX", NULL, 1, 0, BAD } } },
	{ "a separator in a stream", { FILE_("f", ""), { STREAM, "f:s\\t", NULL, 1, 0, BAD } } },
	{ "a long stream name", { FILE_("f", ""), { STREAM, "f:" N255 "5", NULL, 1, 0, BAD } } },
	{ "no path to a stream", { { STREAM, NULL, NULL, 1, 0, BAD } } },
	{ "a negative stream size", { FILE_("f", ""), { STREAM, "f:s", NULL, -1, 0, BAD } } },
	{ "no owner", { { STREAM, "f:s", NULL, 1, 0, NOPATH } } },
	{ "no owner's directory", { { STREAM, "d\\f:s", NULL, 1, 0, NOPATH } } },
	{ "stream while one is open",
	  { FILE_("f", ""),
	    { CREATE, "g", NULL, 1, ARCHIVE, OK },
	    { STREAM, "f:s", NULL, 1, 0, SHARING },
	    { CLOSE } } },
	{ "create while one is open",
	  { FILE_("f", ""),
	    { STREAM, "f:s", NULL, 1 },
	    { CREATE, "g", NULL, 1, ARCHIVE, SHARING },
	    { CLOSE } } },

	/* CimCreateHardLink */
	{ "a link",
	  { FILE_("f", "x"),
	    LINK_("g", "f"),
	    COMMIT_,
	    HAS("g", "x"),
	    { SAME, "f", "g" },
	    { STAT, "f", NULL, 2, ARCHIVE, OK } } },
	{ "a link elsewhere",
	  { DIR_("d"), FILE_("f", "x"), LINK_("d\\g", "f"), COMMIT_, HAS("d\\g", "x") } },
	{ "a link to the base's",
	  { FILE_("f", "x"),
	    FORK_,
	    LINK_("g", "f"),
	    COMMIT_,
	    { SAME, "f", "g" },
	    { STAT, "f", NULL, 2, ARCHIVE, OK } } },
	{ "a link over a file",
	  { FILE_("f", "x"), FILE_("g", "y"), LINK_("g", "f"), COMMIT_, HAS("g", "x") } },
	{ "a link over itself",
	  { FILE_("f", "x"),
	    LINK_("f", "f"),
	    COMMIT_,
	    HAS("f", "x"),
	    { STAT, "f", NULL, 1, ARCHIVE, OK } } },
	{ "a link over a name of two",
	  { FILE_("f", "x"),
	    FILE_("g", "y"),
	    LINK_("h", "g"),
	    LINK_("g", "f"),
	    COMMIT_,
	    HAS("g", "x"),
	    HAS("h", "y"),
	    { STAT, "h", NULL, 1, ARCHIVE, OK } } },
	{ "a link's target comes second", { FILE_("f", "x"), { LINK, "f", "g", 0, 0, NOPATH } } },
	{ "no target's directory", { { LINK, "g", "d\\f", 0, 0, NOPATH } } },
	{ "no directory for it", { FILE_("f", "x"), { LINK, "d\\g", "f", 0, 0, NOPATH } } },
	{ "a link to a directory", { DIR_("d"), { LINK, "g", "d", 0, 0, DENIED } } },
	{ "a link to the root", { { LINK, "g", "\\", 0, 0, DENIED } } },
	{ "a link over a directory",
	  { DIR_("d"), FILE_("f", "x"), { LINK, "d", "f", 0, 0, EXISTS } } },
	{ "a link over the root", { FILE_("f", "x"), { LINK, "\\", "f", 0, 0, BAD } } },
	{ "a link to a stream",
	  { FILE_("f", ""), STREAM_("f:s", "x"), { LINK, "g", "f:s", 0, 0, BAD } } },
	{ "a link as a stream", { FILE_("f", ""), { LINK, "f:s", "f", 0, 0, BAD } } },
	{ "a link without a name", { FILE_("f", ""), { LINK, NULL, "f", 0, 0, BAD } } },
	{ "a link without a target", { { LINK, "g", NULL, 0, 0, BAD } } },
	{ "a link while one is open",
	  { FILE_("f", ""),
	    { CREATE, "g", NULL, 1, ARCHIVE, OK },
	    { LINK, "h", "f", 0, 0, SHARING },
	    { CLOSE } } },

	/* CimDeletePath */
	{ "delete a file",
	  { FILE_("f", "x"), DELETE_("f"), GONE("f"), COMMIT_, HAS_NO("f", NOFILE) } },
	{ "delete the base's",
	  { FILE_("f", "x"), FORK_, DELETE_("f"), COMMIT_, HAS_NO("f", NOFILE) } },
	{ "delete one name",
	  { FILE_("f", "x"),
	    LINK_("g", "f"),
	    DELETE_("f"),
	    COMMIT_,
	    HAS("g", "x"),
	    { STAT, "g", NULL, 1, ARCHIVE, OK } } },
	{ "delete a name of the base's",
	  { FILE_("f", "x"),
	    LINK_("g", "f"),
	    FORK_,
	    DELETE_("f"),
	    COMMIT_,
	    HAS("g", "x"),
	    { STAT, "g", NULL, 1, ARCHIVE, OK } } },
	{ "delete a directory",
	  { DIR_("d"), DIR_("d\\e"), FILE_("d\\e\\f", "x"), DELETE_("d"), GONE("d"),
	    GONE("d\\e\\f"), COMMIT_, HAS_NO("d", NOFILE) } },
	{ "delete a directory of the base",
	  { DIR_("d"),
	    DIR_("d\\e"),
	    FILE_("d\\e\\f", "x"),
	    FORK_,
	    DELETE_("d"),
	    COMMIT_,
	    HAS_NO("d\\e\\f", NOPATH),
	    { NAMES, "\\", "" } } },
	{ "delete a stream",
	  { FILE_("f", "x"), STREAM_("f:s", "y"), DELETE_("f:s"), COMMIT_, HAS_NO("f:s", NOFILE),
	    HAS("f", "x") } },
	{ "delete a stream with its type",
	  { FILE_("f", "x"), STREAM_("f:s", "y"), DELETE_("f:s:$DATA"), COMMIT_,
	    HAS_NO("f:s", NOFILE) } },
	{ "delete, then make again",
	  { DIR_("d"),
	    FILE_("d\\f", "x"),
	    FORK_,
	    DELETE_("d"),
	    DIR_("d"),
	    COMMIT_,
	    { NAMES, "d", "" } } },
	{ "delete nothing", { { DELETE, "f", NULL, 0, 0, NOPATH } } },
	{ "delete it twice",
	  { FILE_("f", "x"), DELETE_("f"), { DELETE, "f", NULL, 0, 0, NOPATH } } },
	{ "delete in no directory", { { DELETE, "d\\f", NULL, 0, 0, NOPATH } } },
	{ "delete no stream", { FILE_("f", "x"), { DELETE, "f:s", NULL, 0, 0, NOPATH } } },
	{ "delete a stream of nothing", { { DELETE, "f:s", NULL, 0, 0, NOPATH } } },
	{ "delete the main stream", { FILE_("f", "x"), { DELETE, "f::$DATA", NULL, 0, 0, BAD } } },
	{ "delete the root", { { DELETE, "\\", NULL, 0, 0, BAD } } },
	{ "delete no path", { { DELETE, NULL, NULL, 0, 0, BAD } } },
	{ "delete with a separator behind",
	  { DIR_("d"), { DELETE, "d\\", NULL, 0, 0, BAD }, THERE("d") } },
	{ "delete while one is open",
	  { FILE_("f", "x"),
	    { CREATE, "g", NULL, 1, ARCHIVE, OK },
	    { DELETE, "f", NULL, 0, 0, SHARING },
	    { CLOSE },
	    THERE("f") } },

	/* CimLookupFile */
	{ "look up",
	  { DIR_("d"), FILE_("d\\f", "x"), STREAM_("d\\f:s", ""), THERE("d"), THERE("d/f"),
	    THERE("d\\f:s"), THERE("\\"), GONE("f"), GONE("x\\y\\z"), GONE("d\\f\\g"),
	    GONE("d\\f:t"), GONE("f:s") } },
	{ "look up in the base", { FILE_("f", "x"), FORK_, THERE("f"), DELETE_("f"), GONE("f") } },
	{ "look up no path", { { LOOKUP, NULL, NULL, 0, 0, BAD } } },
	{ "look up a bad path", { { LOOKUP, "a\\\\b", NULL, 0, 0, BAD } } },
	{ "look up while one is open",
	  { { CREATE, "g", NULL, 1, ARCHIVE, OK },
	    { LOOKUP, "g", NULL, 0, 0, SHARING },
	    { CLOSE } } },

	/* CimCommitImage, CimCloseImage */
	{ "commit of nothing", { COMMIT_, { NAMES, "\\", "" } } },
	{ "commit of an unchanged fork", { FILE_("f", "x"), FORK_, COMMIT_, HAS("f", "x") } },
	{ "commit while one is open",
	  { { CREATE, "f", NULL, 1, ARCHIVE, OK },
	    { COMMIT, NULL, NULL, 0, 0, SHARING },
	    { WRITE, "x" },
	    { CLOSE },
	    COMMIT_,
	    HAS("f", "x") } },
	{ "commit while a directory is open",
	  { { CREATE, "d", NULL, 0, DIRECTORY, OK },
	    { COMMIT, NULL, NULL, 0, 0, SHARING },
	    { CLOSE },
	    COMMIT_ } },
	{ "commit twice", { { COMMIT }, { COMMIT, NULL, NULL, 0, 0, BAD } } },
	{ "create after a commit", { { COMMIT }, { CREATE, "f", NULL, 0, ARCHIVE, BAD } } },
	{ "a directory after a commit", { { COMMIT }, { CREATE, "d", NULL, 0, DIRECTORY, BAD } } },
	{ "a stream after a commit",
	  { FILE_("f", ""), { COMMIT }, { STREAM, "f:s", NULL, 0, 0, BAD } } },
	{ "a link after a commit", { FILE_("f", ""), { COMMIT }, { LINK, "g", "f", 0, 0, BAD } } },
	{ "delete after a commit",
	  { FILE_("f", ""), { COMMIT }, { DELETE, "f", NULL, 0, 0, BAD } } },
	{ "delete a stream after a commit",
	  { FILE_("f", ""), STREAM_("f:s", ""), { COMMIT }, { DELETE, "f:s", NULL, 0, 0, BAD } } },
	{ "look up after a commit",
	  { FILE_("f", ""), { COMMIT }, { LOOKUP, "f", NULL, 0, 0, BAD } } },
	{ "close without a commit", { FILE_("f", "text"), { SHUT }, { COUNT, NULL, NULL, 0 } } },
	{ "a stream keeps the lock",
	  { { CREATE, "f", NULL, 1, ARCHIVE, OK },
	    { SHUT },
	    { LOCKED, NULL, NULL, 1 },
	    { WRITE, "x" },
	    { CLOSE },
	    { LOCKED, NULL, NULL, 0 },
	    { COUNT, NULL, NULL, 0 } } },
	{ "rewriting in place",
	  { FILE_("f", "x"), REWRITE_, FILE_("g", "y"), DELETE_("f"), COMMIT_, HAS("g", "y"),
	    HAS_NO("f", NOFILE) } },
	{ "names are sorted",
	  { FILE_("b", ""), FILE_("a", ""), DIR_("c"), COMMIT_, { NAMES, "\\", "a b c " } } },
};

/* ---- running a row ---- */

static char dir[] = "/tmp/test-api-write-XXXXXX";

struct run {
	CIMFS_IMAGE_HANDLE image;
	CIMFS_STREAM_HANDLE stream;
	int n_images; /* "0.cim" … were committed */
	int next;     /* the image that is being made */
};

static const char *name_of(int number)
{
	static char name[2][16];
	static int next;

	next = !next;
	snprintf(name[next], sizeof(name[next]), "%d.cim", number);
	return name[next];
}

static const char *last_image(const struct run *r)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name_of(r->n_images - 1));
	return path;
}

static HRESULT run_create(struct run *r, const struct step *s)
{
	CIMFS_FILE_METADATA m = { .Attributes = s->m,
				  .FileSize = s->n,
				  .CreationTime.QuadPart = 1,
				  .LastWriteTime.QuadPart = 2,
				  .ChangeTime.QuadPart = 3,
				  .LastAccessTime.QuadPart = 4 };

	return CimCreateFile(r->image, s->a, &m, &r->stream);
}

static HRESULT run_next(struct run *r, bool fork)
{
	HRESULT hr = CimCommitImage(r->image);

	CimCloseImage(r->image);
	r->image = NULL;
	if (hr != OK)
		return hr;
	r->n_images = r->next + 1;
	r->next += fork;
	return CimCreateImage(dir, name_of(r->n_images - 1), fork ? name_of(r->next) : NULL,
			      &r->image);
}

static HRESULT run_read(const struct run *r, const struct step *s)
{
	char buf[256];
	uint64_t n = 99, left = 99, want = s->n ? (uint64_t)s->n : strlen(s->b);
	HRESULT hr = CimReadFile(last_image(r), s->a, 0, buf, sizeof(buf), &n, &left);

	if (hr != OK)
		return hr;
	ck_assert_uint_eq(n, want);
	ck_assert_uint_eq(left, 0);
	ck_assert_mem_eq(buf, s->b, want);
	return hr;
}

static HRESULT run_zeros(const struct run *r, const struct step *s)
{
	char buf[4096];
	uint64_t n, left;
	HRESULT hr = CimReadFile(last_image(r), s->a, (uint64_t)s->n - 4096, buf, 4096, &n, &left);

	ck_assert_uint_eq(n, 4096);
	ck_assert_uint_eq(left, 0);
	for (size_t i = 0; i < sizeof(buf); i++)
		ck_assert_int_eq(buf[i], 0);
	ck_assert_int_eq(CimReadFile(last_image(r), s->a, 0, buf, 1, &n, &left), OK);
	ck_assert_uint_eq(left, (uint64_t)s->n - 1);
	return hr;
}

static HRESULT run_stat(const struct run *r, const struct step *s)
{
	FILE_STAT_BASIC_INFORMATION i;
	HRESULT hr = CimGetFileStatBasicInformation(last_image(r), s->a, &i);

	if (hr != OK)
		return hr;
	ck_assert_uint_eq(i.FileAttributes, s->m);
	ck_assert_uint_eq(i.NumberOfLinks, (uint32_t)s->n);
	ck_assert_int_eq(i.CreationTime.QuadPart, 1);
	ck_assert_int_eq(i.LastWriteTime.QuadPart, 2);
	ck_assert_int_eq(i.ChangeTime.QuadPart, 3);
	ck_assert_int_eq(i.LastAccessTime.QuadPart, 4);
	return hr;
}

static HRESULT run_same(const struct run *r, const struct step *s)
{
	FILE_STAT_BASIC_INFORMATION a, b;

	ck_assert_int_eq(CimGetFileStatBasicInformation(last_image(r), s->a, &a), OK);
	ck_assert_int_eq(CimGetFileStatBasicInformation(last_image(r), s->b, &b), OK);
	ck_assert_mem_eq(&a, &b, sizeof(a));
	return OK;
}

static HRESULT add_name(void *context, const char *name, uint32_t fileId)
{
	strcat(strcat(context, name), " ");
	return OK;
}

static HRESULT run_names(const struct run *r, const struct step *s)
{
	CIMFS_READER_HANDLE reader;
	char names[1000] = "";
	uint32_t id;

	ck_assert_int_eq(CimReaderOpen(dir, name_of(r->n_images - 1), &reader), OK);
	ck_assert_int_eq(CimReaderLookup(reader, CimReaderRoot(reader), s->a, &id), OK);
	ck_assert_int_eq(CimReaderList(reader, id, add_name, names), OK);
	CimReaderClose(reader);
	ck_assert_str_eq(names, s->b);
	return OK;
}

static HRESULT run_locked(const struct step *s)
{
	CIMFS_IMAGE_HANDLE other = NULL;

	ck_assert_int_eq(CimCreateImage(dir, NULL, "other.cim", &other), s->n ? SHARING : OK);
	CimCloseImage(other);
	return OK;
}

static HRESULT run_count(const struct step *s)
{
	DIR *d = opendir(dir);
	int n = -2;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	closedir(d);
	ck_assert_int_eq(n, (int)s->n);
	return OK;
}

static HRESULT run_lookup(const struct run *r, const struct step *s)
{
	uint8_t exists = 99;
	HRESULT hr = CimLookupFile(r->image, s->a, &exists);

	if (hr == OK)
		ck_assert_int_eq(exists, (int)s->n);
	return hr;
}

static HRESULT run_step(struct run *r, const struct step *s)
{
	HRESULT hr;

	switch (s->op) {
	case CREATE:
		return run_create(r, s);
	case STREAM:
		return CimCreateAlternateStream(r->image, s->a, (uint64_t)s->n, &r->stream);
	case WRITE:
		return CimWriteStream(r->stream, s->a, (uint32_t)strlen(s->a));
	case WRITE0:
		return CimWriteStream(r->stream, NULL, (uint32_t)s->n);
	case CLOSE:
		CimCloseStream(r->stream);
		r->stream = NULL;
		return OK;
	case LINK:
		return CimCreateHardLink(r->image, s->a, s->b);
	case DELETE:
		return CimDeletePath(r->image, s->a);
	case LOOKUP:
		return run_lookup(r, s);
	case COMMIT:
		hr = CimCommitImage(r->image);
		if (hr == OK)
			r->n_images = r->next + 1;
		return hr;
	case SHUT:
		CimCloseImage(r->image);
		r->image = NULL;
		return OK;
	case FORK:
	case REWRITE:
		return run_next(r, s->op == FORK);
	case READ:
		return run_read(r, s);
	case ZEROS:
		return run_zeros(r, s);
	case STAT:
		return run_stat(r, s);
	case SAME:
		return run_same(r, s);
	case NAMES:
		return run_names(r, s);
	case LOCKED:
		return run_locked(s);
	case COUNT:
		return run_count(s);
	case END:
	default:
		return OK;
	}
}

static void make_directory(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_directory(void)
{
	char command[PATH_MAX + 16];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(row_answers_as_documented)
{
	const struct row *row = &rows[_i];
	struct run r = { 0 };

	ck_assert_int_eq(CimCreateImage(dir, NULL, name_of(0), &r.image), OK);
	for (int i = 0; i < N_STEPS && row->step[i].op != END; i++) {
		const struct step *s = &row->step[i];
		HRESULT hr = run_step(&r, s);

		ck_assert_msg(hr == s->hr, "\"%s\", step %d (%s): %#x, not %#x: %s", row->name, i,
			      s->a ? s->a : "", (unsigned int)hr, (unsigned int)s->hr,
			      CimGetReason());
		if (hr != OK)
			ck_assert_msg(*CimGetReason(), "\"%s\", step %d: no reason", row->name, i);
	}
	CimCloseStream(r.stream);
	CimCloseImage(r.image);
}
END_TEST

/* ---- what no row can say ---- */

static const CIMFS_FILE_METADATA plain = { .Attributes = FILE_ATTRIBUTE_ARCHIVE };

START_TEST(null_results_and_handles_are_refused)
{
	CIMFS_STREAM_HANDLE stream;
	CIMFS_IMAGE_HANDLE image;
	uint8_t exists;

	ck_assert_int_eq(CimCreateFile(NULL, "f", &plain, &stream), BAD);
	ck_assert_int_eq(CimCreateAlternateStream(NULL, "f:s", 0, &stream), BAD);
	ck_assert_int_eq(CimCreateHardLink(NULL, "f", "g"), BAD);
	ck_assert_int_eq(CimDeletePath(NULL, "f"), BAD);
	ck_assert_int_eq(CimLookupFile(NULL, "f", &exists), BAD);
	ck_assert_int_eq(CimWriteStream(NULL, "x", 1), BAD);
	CimCloseStream(NULL);
	CimCloseImage(NULL);
	ck_assert_int_eq(CimCreateImage(dir, NULL, "a.cim", &image), OK);
	ck_assert_int_eq(CimCreateFile(image, "f", &plain, NULL), POINTER);
	ck_assert_int_eq(CimCreateFile(image, "f", NULL, &stream), BAD);
	ck_assert_int_eq(CimCreateAlternateStream(image, "f:s", 0, NULL), POINTER);
	ck_assert_int_eq(CimLookupFile(image, "f", NULL), POINTER);
	/* A stream's handle is none of an image, and the other way round. */
	ck_assert_int_eq(CimCreateFile(image, "f", &plain, &stream), OK);
	ck_assert_int_eq(CimDeletePath((CIMFS_IMAGE_HANDLE)(void *)stream, "f"), BAD);
	ck_assert_int_eq(CimWriteStream((CIMFS_STREAM_HANDLE)(void *)image, "x", 1), BAD);
	CimCloseStream(stream);
	CimCloseImage(image);
}
END_TEST

static const struct {
	const char *name;
	HRESULT hr;
	uint32_t sd_size, reparse_size, ea_size;
	uint8_t sd[32], reparse[32], eas[32];
} buffers[] = {
	{ "none", OK, 0, 0, 0, { 0 }, { 0 }, { 0 } },
	{ "a NULL DACL", OK, 20, 0, 0, { 1, 0, 4, 0x80 }, { 0 }, { 0 } },
	{ "a descriptor's revision", BAD, 20, 0, 0, { 2, 0, 4, 0x80 }, { 0 }, { 0 } },
	{ "not self-relative", BAD, 20, 0, 0, { 1, 0, 4, 0 }, { 0 }, { 0 } },
	{ "a descriptor cut off", BAD, 19, 0, 0, { 1, 0, 4, 0x80 }, { 0 }, { 0 } },
	{ "an owner outside", BAD, 20, 0, 0, { 1, 0, 4, 0x80, 20 }, { 0 }, { 0 } },
	{ "a DACL outside", BAD, 20, 0, 0, { 1, 0, 4, 0x80, [16] = 200 }, { 0 }, { 0 } },
	{ "a DACL that is longer",
	  BAD,
	  28,
	  0,
	  0,
	  { 1, 0, 4, 0x80, [16] = 20, [20] = 2, [22] = 9 },
	  { 0 },
	  { 0 } },
	{ "an empty DACL",
	  OK,
	  28,
	  0,
	  0,
	  { 1, 0, 4, 0x80, [16] = 20, [20] = 2, [22] = 8 },
	  { 0 },
	  { 0 } },
	{ "an ACE that is not there",
	  BAD,
	  28,
	  0,
	  0,
	  { 1, 0, 4, 0x80, [16] = 20, [20] = 2, [22] = 8, [24] = 1 },
	  { 0 },
	  { 0 } },
	{ "a reparse point", OK, 0, 8, 0, { 0 }, { 0x24, 0, 0, 0x80 }, { 0 } },
	{ "no tag", BAD, 0, 8, 0, { 0 }, { 0 }, { 0 } },
	{ "a reparse buffer cut off", BAD, 0, 7, 0, { 0 }, { 0x24, 0, 0, 0x80 }, { 0 } },
	{ "reparse data that is not there", BAD, 0, 8, 0, { 0 }, { 0x18, 0, 0, 0x80, 1 }, { 0 } },
	{ "reparse data that is not counted", BAD, 0, 9, 0, { 0 }, { 0x18, 0, 0, 0x80, 0 }, { 0 } },
	{ "a symlink without names", BAD, 0, 8, 0, { 0 }, { 0x0c, 0, 0, 0xa0, 0 }, { 0 } },
	{ "an EA", OK, 0, 0, 12, { 0 }, { 0 }, { [5] = 1, [6] = 2, 0, 'A', 0, 1, 2 } },
	{ "an EA list cut off",
	  BAD,
	  0,
	  0,
	  11,
	  { 0 },
	  { 0 },
	  { [5] = 1, [6] = 2, 0, 'A', 0, 1, 2 } },
	{ "an EA list that loops",
	  BAD,
	  0,
	  0,
	  12,
	  { 0 },
	  { 0 },
	  { 4, [5] = 1, [6] = 2, 0, 'A', 0, 1, 2 } },
	{ "an EA list that leads out",
	  BAD,
	  0,
	  0,
	  12,
	  { 0 },
	  { 0 },
	  { 12, [5] = 1, [6] = 200, 0, 'A', 0, 1, 2 } },
	{ "an EA without a name", BAD, 0, 0, 12, { 0 }, { 0 }, { [5] = 0, [6] = 2 } },
};

START_TEST(buffers_are_checked)
{
	CIMFS_FILE_METADATA m = {
		.Attributes = FILE_ATTRIBUTE_ARCHIVE,
		.SecurityDescriptorBuffer = buffers[_i].sd,
		.SecurityDescriptorSize = buffers[_i].sd_size,
		.ReparseDataBuffer = buffers[_i].reparse,
		.ReparseDataSize = buffers[_i].reparse_size,
		.EaBuffer = buffers[_i].eas,
		.EaBufferSize = buffers[_i].ea_size,
	};
	CIMFS_STREAM_HANDLE stream = NULL;
	CIMFS_IMAGE_HANDLE image;
	uint8_t exists;

	ck_assert_int_eq(CimCreateImage(dir, NULL, "a.cim", &image), OK);
	HRESULT hr = CimCreateFile(image, "f", &m, &stream);
	ck_assert_msg(hr == buffers[_i].hr, "%s: %#x: %s", buffers[_i].name, (unsigned int)hr,
		      CimGetReason());
	CimCloseStream(stream);
	ck_assert_int_eq(CimLookupFile(image, "f", &exists), OK);
	ck_assert_int_eq(exists, hr == OK);
	ck_assert_int_eq(CimCommitImage(image), OK);
	CimCloseImage(image);
	ck_assert_int_eq(CimCheckImage(dir, NULL, CIMFS_CHECK_DATA, NULL, NULL), OK);
}
END_TEST

START_TEST(buffer_without_bytes_is_refused)
{
	CIMFS_FILE_METADATA m[] = { plain, plain, plain };
	CIMFS_STREAM_HANDLE stream;
	CIMFS_IMAGE_HANDLE image;

	m[0].SecurityDescriptorSize = 20;
	m[1].ReparseDataSize = 8;
	m[2].EaBufferSize = 12;
	ck_assert_int_eq(CimCreateImage(dir, NULL, "a.cim", &image), OK);
	for (int i = 0; i < N_ROWS(m); i++)
		ck_assert_int_eq(CimCreateFile(image, "f", &m[i], &stream), BAD);
	CimCloseImage(image);
}
END_TEST

static const struct {
	uint32_t flags;
	HRESULT hr;
} flags[] = { { 0, OK },     { 1, OK },     { 0x10, OK },       { 0x11, OK },
	      { 2, BAD },    { 4, BAD },    { 8, BAD },         { 0x20, BAD },
	      { 0x40, BAD }, { 0x80, BAD }, { 0x80000000, BAD } };

START_TEST(flags_of_blocks_are_refused)
{
	CIMFS_IMAGE_HANDLE image = NULL;

	ck_assert_int_eq(CimCreateImage2(dir, flags[_i].flags, NULL, "a.cim", &image),
			 flags[_i].hr);
	CimCloseImage(image);
}
END_TEST

static const struct {
	const char *image, *file;
	HRESULT hr;
} paths[] = {
	{ "a.cim", "d\\f", OK },
	{ "a.cim", "/d/f", OK },
	{ "a.cim", "none", NOFILE },
	{ "a.cim", "none\\f", NOPATH },
	{ "a.cim", "d\\f:none", NOFILE },
	{ "a.cim", NULL, BAD },
	{ "none.cim", "f", NOFILE },
	{ "none/a.cim", "f", NOPATH },
	{ "garbage", "f", CIMFS_E_FILE_CORRUPT },
};

START_TEST(reading_by_path_answers_as_documented)
{
	FILE_STAT_BASIC_INFORMATION info;
	CIMFS_STREAM_HANDLE stream;
	CIMFS_IMAGE_HANDLE image;
	CIMFS_FILE_METADATA m = plain;
	uint64_t n, left;
	char path[PATH_MAX], buf[10];

	ck_assert_int_eq(CimCreateImage(dir, NULL, "a.cim", &image), OK);
	m.Attributes = FILE_ATTRIBUTE_DIRECTORY;
	ck_assert_int_eq(CimCreateFile(image, "d", &m, &stream), OK);
	CimCloseStream(stream);
	m = plain;
	m.FileSize = 26;
	ck_assert_int_eq(CimCreateFile(image, "d/f", &m, &stream), OK);
	ck_assert_int_eq(CimWriteStream(stream, "abcdefghijklmnopqrstuvwxyz", 26), OK);
	CimCloseStream(stream);
	ck_assert_int_eq(CimCommitImage(image), OK);
	CimCloseImage(image);
	snprintf(path, sizeof(path), "%s/garbage", dir);
	FILE *f = fopen(path, "w");
	ck_assert(f && fputs("no image", f) >= 0 && fclose(f) == 0);

	snprintf(path, sizeof(path), "%s/%s", dir, paths[_i].image);
	ck_assert_int_eq(CimReadFile(path, paths[_i].file, 20, buf, 10, &n, &left), paths[_i].hr);
	if (!paths[_i].file || !strchr(paths[_i].file, ':'))
		ck_assert_int_eq(CimGetFileStatBasicInformation(path, paths[_i].file, &info),
				 paths[_i].hr);
	if (paths[_i].hr != OK)
		return;
	ck_assert_uint_eq(n, 6);
	ck_assert_uint_eq(left, 0);
	ck_assert_mem_eq(buf, "uvwxyz", 6);
	ck_assert_int_eq(info.EndOfFile.QuadPart, 26);
	ck_assert_int_eq(CimReadFile(path, paths[_i].file, 10, buf, 10, &n, &left), OK);
	ck_assert_uint_eq(left, 6);
	ck_assert_int_eq(CimReadFile(path, paths[_i].file, 100, buf, 10, &n, &left), OK);
	ck_assert_uint_eq(n + left, 0);
	ck_assert_int_eq(CimReadFile(path, "d", 0, buf, 10, &n, &left), BAD);
	ck_assert_int_eq(CimReadFile(NULL, "d", 0, buf, 10, &n, &left), BAD);
	ck_assert_int_eq(CimReadFile("", "d", 0, buf, 10, &n, &left), BAD);
	ck_assert_int_eq(CimReadFile(path, "d/f", 0, NULL, 10, &n, &left), POINTER);
	ck_assert_int_eq(CimReadFile(path, "d/f", 0, buf, 10, NULL, &left), POINTER);
	ck_assert_int_eq(CimReadFile(path, "d/f", 0, buf, 10, &n, NULL), POINTER);
	ck_assert_int_eq(CimGetFileStatBasicInformation(path, "d/f", NULL), POINTER);
}
END_TEST

/* Linux' owner, mode and device are in what a caller's EAs say, and nowhere else. */
START_TEST(files_have_of_linux_what_their_eas_say)
{
	static const uint8_t eas[] = { 0,   0,   0,   0,   0, 6,    4, 0, '$', 'L',
				       'X', 'U', 'I', 'D', 0, 0xe8, 3, 0, 0,   0 };
	CIMFS_FILE_METADATA m = plain;
	CIMFS_STREAM_HANDLE stream;
	CIMFS_READER_HANDLE reader;
	CIMFS_IMAGE_HANDLE image;
	CIMFS_STAT st;
	uint32_t id;

	m.EaBuffer = eas;
	m.EaBufferSize = sizeof(eas);
	ck_assert_int_eq(CimCreateImage(dir, NULL, "a.cim", &image), OK);
	ck_assert_int_eq(CimCreateFile(image, "f", &m, &stream), OK);
	CimCloseStream(stream);
	ck_assert_int_eq(CimCommitImage(image), OK);
	CimCloseImage(image);
	ck_assert_int_eq(CimReaderOpen(dir, "a.cim", &reader), OK);
	ck_assert_int_eq(CimReaderLookup(reader, CimReaderRoot(reader), "f", &id), OK);
	ck_assert_int_eq(CimReaderStat(reader, id, &st), OK);
	ck_assert_uint_eq(st.Uid, 1000);
	ck_assert_uint_eq(st.Gid, getgid());
	ck_assert_uint_eq(st.Mode, S_IFREG | 0755);
	CimReaderClose(reader);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("api-write");
	TCase *tc = tcase_create("write");

	tcase_add_checked_fixture(tc, make_directory, remove_directory);
	tcase_add_loop_test(tc, row_answers_as_documented, 0, N_ROWS(rows));
	tcase_add_test(tc, null_results_and_handles_are_refused);
	tcase_add_loop_test(tc, buffers_are_checked, 0, N_ROWS(buffers));
	tcase_add_test(tc, buffer_without_bytes_is_refused);
	tcase_add_loop_test(tc, flags_of_blocks_are_refused, 0, N_ROWS(flags));
	tcase_add_loop_test(tc, reading_by_path_answers_as_documented, 0, N_ROWS(paths));
	tcase_add_test(tc, files_have_of_linux_what_their_eas_say);
	suite_add_tcase(suite, tc);
	return test_run(suite);
}
