/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small programs of the functions that make images: calls, each with the HRESULT that it must
 * return, then what is in the image.  A test has a table of them.
 */
#ifndef CIM_TESTS_API_STEPS_H
#define CIM_TESTS_API_STEPS_H

#include <stdbool.h>

#include "apidir.h"

#define N_STEPS 24

/* ---- the language ---- */

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

struct row {
	const char *name;
	struct step step[N_STEPS];
};

/* ---- running it ---- */

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

TEST_HELPER HRESULT run_create(struct run *r, const struct step *s)
{
	CIMFS_FILE_METADATA m = { .Attributes = s->m,
				  .FileSize = s->n,
				  .CreationTime.QuadPart = 1,
				  .LastWriteTime.QuadPart = 2,
				  .ChangeTime.QuadPart = 3,
				  .LastAccessTime.QuadPart = 4 };

	return CimCreateFile(r->image, s->a, &m, &r->stream);
}

TEST_HELPER HRESULT run_next(struct run *r, bool fork)
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

TEST_HELPER HRESULT run_read(const struct run *r, const struct step *s)
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

TEST_HELPER HRESULT run_zeros(const struct run *r, const struct step *s)
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

TEST_HELPER HRESULT run_stat(const struct run *r, const struct step *s)
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

TEST_HELPER HRESULT run_same(const struct run *r, const struct step *s)
{
	FILE_STAT_BASIC_INFORMATION a, b;

	ck_assert_int_eq(CimGetFileStatBasicInformation(last_image(r), s->a, &a), OK);
	ck_assert_int_eq(CimGetFileStatBasicInformation(last_image(r), s->b, &b), OK);
	ck_assert_mem_eq(&a, &b, sizeof(a));
	return OK;
}

TEST_HELPER HRESULT add_name(void *context, const char *name, uint32_t fileId)
{
	strcat(strcat(context, name), " ");
	return OK;
}

TEST_HELPER HRESULT run_names(const struct run *r, const struct step *s)
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

TEST_HELPER HRESULT run_locked(const struct step *s)
{
	CIMFS_IMAGE_HANDLE other = NULL;

	ck_assert_int_eq(CimCreateImage(dir, NULL, "other.cim", &other), s->n ? SHARING : OK);
	CimCloseImage(other);
	return OK;
}

TEST_HELPER HRESULT run_count(const struct step *s)
{
	ck_assert_int_eq(count_files(dir), (int)s->n);
	return OK;
}

TEST_HELPER HRESULT run_lookup(const struct run *r, const struct step *s)
{
	uint8_t exists = 99;
	HRESULT hr = CimLookupFile(r->image, s->a, &exists);

	if (hr == OK)
		ck_assert_int_eq(exists, (int)s->n);
	return hr;
}

TEST_HELPER HRESULT run_step(struct run *r, const struct step *s)
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

/** run_row - each step returns what it must, and a reason where that is an error */
TEST_HELPER void run_row(const struct row *row)
{
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

#endif
