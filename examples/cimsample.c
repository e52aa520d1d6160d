/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What Microsoft's sample for cimfs.h does, on Linux: make an image, extend it with a hard link,
 * fork it and delete a name in the fork, and read all of it back.
 *
 *	cc -o cimsample cimsample.c $(pkg-config --cflags --libs cimfs)
 *	mkdir images && ./cimsample images
 *
 * It uses cimfs.h alone.  Paths are written with "\\", as on Windows; "/" would do as well.
 */
#include <cimfs.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICKS_2020 132223104000000000 /* 2020-01-01 00:00:00 UTC, in 100 ns since 1601 */

static void check(HRESULT hr, const char *what)
{
	if (SUCCEEDED(hr))
		return;
	fprintf(stderr, "%s: 0x%08" PRIx32 ": %s\n", what, (uint32_t)hr, CimGetReason());
	exit(EXIT_FAILURE);
}

/* ---- making ---- */

static void write_and_close(CIMFS_STREAM_HANDLE stream, const char *text)
{
	/* In two pieces: a stream is written front to back. */
	size_t half = strlen(text) / 2;

	check(CimWriteStream(stream, text, (uint32_t)half), "CimWriteStream");
	check(CimWriteStream(stream, text + half, (uint32_t)(strlen(text) - half)),
	      "CimWriteStream");
	CimCloseStream(stream);
}

static CIMFS_FILE_METADATA metadata(uint32_t attributes, size_t size)
{
	CIMFS_FILE_METADATA m = { .Attributes = attributes, .FileSize = (int64_t)size };

	m.CreationTime.QuadPart = TICKS_2020;
	m.LastWriteTime.QuadPart = TICKS_2020;
	m.ChangeTime.QuadPart = TICKS_2020;
	m.LastAccessTime.QuadPart = TICKS_2020;
	return m;
}

static void add_directory(CIMFS_IMAGE_HANDLE image, const char *path)
{
	CIMFS_FILE_METADATA m = metadata(FILE_ATTRIBUTE_DIRECTORY, 0);
	CIMFS_STREAM_HANDLE stream;

	check(CimCreateFile(image, path, &m, &stream), path);
	CimCloseStream(stream);
}

static void add_file(CIMFS_IMAGE_HANDLE image, const char *path, const char *text)
{
	CIMFS_FILE_METADATA m = metadata(FILE_ATTRIBUTE_ARCHIVE, strlen(text));
	CIMFS_STREAM_HANDLE stream;

	check(CimCreateFile(image, path, &m, &stream), path);
	write_and_close(stream, text);
}

static void add_stream(CIMFS_IMAGE_HANDLE image, const char *path, const char *text)
{
	CIMFS_STREAM_HANDLE stream;

	check(CimCreateAlternateStream(image, path, strlen(text), &stream), path);
	write_and_close(stream, text);
}

static void commit(CIMFS_IMAGE_HANDLE image)
{
	check(CimCommitImage(image), "CimCommitImage");
	CimCloseImage(image);
}

static void make_image(const char *dir)
{
	CIMFS_IMAGE_HANDLE image;

	check(CimCreateImage(dir, NULL, "image0.cim", &image), "image0.cim");
	add_directory(image, "folder");
	add_file(image, "folder\\hello.txt", "hello, world\n");
	add_stream(image, "folder\\hello.txt:notes", "a stream of its own\n");
	add_file(image, "folder\\long.txt", "the quick brown fox jumps over the lazy dog\n");
	commit(image);
}

static void extend_image(const char *dir)
{
	CIMFS_IMAGE_HANDLE image;

	/* The same name twice: the image is rewritten. */
	check(CimCreateImage(dir, "image0.cim", "image0.cim", &image), "image0.cim");
	check(CimCreateHardLink(image, "link.txt", "folder\\hello.txt"), "link.txt");
	commit(image);
}

static void fork_image(const char *dir)
{
	CIMFS_IMAGE_HANDLE image;

	check(CimCreateImage(dir, "image0.cim", "image1.cim", &image), "image1.cim");
	check(CimDeletePath(image, "folder\\hello.txt"), "folder\\hello.txt");
	add_file(image, "folder\\new.txt", "only in the fork\n");
	commit(image);
}

/* ---- reading back ---- */

struct listing {
	CIMFS_READER_HANDLE reader;
	const char *path; /* of the directory, with a "\" behind it; "" is the root */
};

static void print_bytes(CIMFS_READER_HANDLE reader, uint32_t id, const char *stream)
{
	char buf[128];
	size_t n;

	if (stream)
		check(CimReaderReadStream(reader, id, stream, 0, buf, sizeof(buf), &n), stream);
	else
		check(CimReaderRead(reader, id, 0, buf, sizeof(buf), &n), "CimReaderRead");
	printf("%.*s", (int)n, buf);
}

static HRESULT print_stream(void *context, const char *name, uint32_t id)
{
	printf("      :%s ", name);
	print_bytes(context, id, name);
	return CIMFS_S_OK;
}

static HRESULT print_entry(void *context, const char *name, uint32_t id)
{
	const struct listing *l = context;
	char path[512];
	CIMFS_STAT st;

	check(CimReaderStat(l->reader, id, &st), name);
	printf("    %s%s, attributes 0x%" PRIx32 ", %" PRIu32 " name(s)\n", l->path, name,
	       st.Attributes, st.Links);
	if (!(st.Attributes & FILE_ATTRIBUTE_DIRECTORY)) {
		printf("      ");
		print_bytes(l->reader, id, NULL);
		return CimReaderListStreams(l->reader, id, print_stream, l->reader);
	}
	snprintf(path, sizeof(path), "%s%s\\", l->path, name);
	struct listing below = { l->reader, path };
	return CimReaderList(l->reader, id, print_entry, &below);
}

static void print_image(const char *dir, const char *name)
{
	struct listing root = { .path = "" };

	check(CimReaderOpen(dir, name, &root.reader), name);
	printf("  %s\n", name);
	check(CimReaderList(root.reader, CimReaderRoot(root.reader), print_entry, &root), name);
	CimReaderClose(root.reader);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: cimsample DIR\n");
		return 2;
	}
	printf("made:\n");
	make_image(argv[1]);
	print_image(argv[1], "image0.cim");
	printf("extended:\n");
	extend_image(argv[1]);
	print_image(argv[1], "image0.cim");
	printf("forked:\n");
	fork_image(argv[1]);
	print_image(argv[1], "image1.cim");
	print_image(argv[1], "image0.cim");
	return 0;
}
