/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "input.h"

#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "libarchive.h"
#include "tar-format.h"
#include "util.h"

#define CHUNK   (256 * 1024)
#define WAIT_MS 100

struct input {
	int fd;
	bool is_file; /* never waits */
	bool (*wait)(void *arg);
	void *wait_arg;
	const struct libarchive *la;
	struct archive *archive; /* the filters; NULL: none, nor la */
	int error;               /* of reading the file, which libarchive does not hand on */
	bool at_end;             /* of what input_read() gives */
	size_t n, taken;         /* bytes in the chunk, and those of them that are used up */
	uint8_t chunk[CHUNK];    /* of the file as it is */
};

/* ---- the file ---- */

/* A read that does not keep a signal waiting. */
static ssize_t read_some(struct input *in, void *buf, size_t size)
{
	for (;;) {
		struct pollfd p = { .fd = in->fd, .events = POLLIN };

		if (!in->is_file && poll(&p, 1, WAIT_MS) <= 0) {
			if (in->wait(in->wait_arg))
				return -EINTR;
			continue;
		}
		ssize_t n = read(in->fd, buf, size);
		if (n >= 0)
			return n;
		if (errno != EINTR && errno != EAGAIN)
			return cim_fail(errno, "cannot read the archive: %s", g_strerror(errno));
	}
}

/* One more read into the chunk; 0 at the end of the file. */
static ssize_t fill(struct input *in)
{
	if (in->taken == in->n)
		in->n = in->taken = 0;
	ssize_t n = read_some(in, in->chunk + in->n, CHUNK - in->n);
	in->n += n > 0 ? (size_t)n : 0;
	return n;
}

/* As much as is at hand, or one read; large ones past the chunk. */
static ssize_t read_plain(struct input *in, void *buf, size_t size)
{
	if (in->taken == in->n && size >= CHUNK)
		return read_some(in, buf, size);
	ssize_t r = in->taken == in->n ? fill(in) : 1;
	if (r <= 0)
		return r;
	size_t n = MIN(size, in->n - in->taken);
	memcpy(buf, in->chunk + in->taken, n);
	in->taken += n;
	return (ssize_t)n;
}

/* How compressed files begin, and the program that makes and undoes them. */
static const struct compressor {
	const char *program;
	uint8_t at, size; /* of the magic bytes */
	char magic[6];
} compressors[] = {
	{ "gzip", 0, 2, "\037\213" },     { "zstd", 0, 4, "\050\265\057\375" },
	{ "zstd", 1, 3, "\052\115\030" }, /* a frame to be skipped; the first byte differs */
	{ "xz", 0, 6, "\3757zXZ" },       { "bzip2", 0, 3, "BZh" },
};

static const struct compressor *find_compressor(const struct input *in)
{
	for (size_t i = 0; i < G_N_ELEMENTS(compressors); i++) {
		const struct compressor *c = &compressors[i];

		if (in->n >= c->at + c->size && memcmp(in->chunk + c->at, c->magic, c->size) == 0)
			return c;
	}
	return NULL;
}

/* What has to be undone before the file is a tar; *ret is NULL: nothing. */
static int begin(struct input *in, const struct compressor **ret)
{
	ssize_t r = 1;

	while (r > 0 && in->n < TAR_BLOCK)
		r = fill(in);
	if (r < 0)
		return (int)r;
	bool is_tar = in->n >= TAR_BLOCK && tar_is_header(in->chunk);
	*ret = is_tar ? NULL : find_compressor(in);
	return 0;
}

/* ---- the filters ---- */

static la_ssize_t on_read(struct archive *a, void *arg, const void **ret)
{
	struct input *in = arg;
	ssize_t n = in->taken == in->n ? fill(in) : 1;

	if (n < 0) {
		in->error = (int)n;
		in->la->set_error(a, (int)-n, "%s", cim_reason());
		return -1;
	}
	*ret = in->chunk + in->taken;
	n = (ssize_t)(in->n - in->taken);
	in->taken = in->n;
	return n;
}

static int filter_error(const struct input *in)
{
	const char *text = in->la->error_string(in->archive);

	if (in->error < 0)
		return in->error;
	return cim_fail(EBADMSG, "it cannot be decompressed: %s", text ? text : "it is damaged");
}

static int load_filters(struct input *in, const struct compressor *c)
{
	int r = libarchive_load(&in->la);

	return r == 0 ? 0
		      : cim_fail(-r,
				 "it is compressed by %s, and libarchive, which decompresses it, "
				 "cannot be loaded (%s); decompress it first: "
				 "%s -dc FILE | cimfs import --tar=- …",
				 c->program, cim_reason(), c->program);
}

/*
 * By name, and not all that libarchive knows: some of those are programs that it would start.  The
 * "raw" format makes of whatever comes out of the filters one entry.
 */
static int start_filters(struct input *in)
{
	const struct libarchive *la = in->la;
	struct archive_entry *entry;

	in->archive = la->read_new();
	if (!in->archive)
		return cim_fail(ENOMEM, "no memory to read the archive");
	if (la->read_support_filter_gzip(in->archive) != ARCHIVE_OK ||
	    la->read_support_filter_zstd(in->archive) != ARCHIVE_OK ||
	    la->read_support_filter_xz(in->archive) != ARCHIVE_OK ||
	    la->read_support_filter_bzip2(in->archive) != ARCHIVE_OK ||
	    la->read_support_format_raw(in->archive) != ARCHIVE_OK ||
	    la->read_support_format_empty(in->archive) != ARCHIVE_OK)
		return cim_fail(EOPNOTSUPP, "libarchive lacks a filter: %s",
				la->error_string(in->archive));
	if (la->read_open(in->archive, in, NULL, on_read, NULL) != ARCHIVE_OK)
		return filter_error(in);
	switch (la->read_next_header(in->archive, &entry)) {
	case ARCHIVE_OK:
	case ARCHIVE_WARN:
		return 0;
	case ARCHIVE_EOF:
		in->at_end = true;
		return 0;
	default:
		return filter_error(in);
	}
}

/* ---- both ---- */

static int open_file(struct input *in, const char *path)
{
	struct stat st;

	in->fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
					: open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (in->fd < 0 || fstat(in->fd, &st) < 0)
		return cim_fail(errno, "%s", g_strerror(errno));
	if (S_ISDIR(st.st_mode))
		return cim_fail(EISDIR, "it is a directory");
	in->is_file = S_ISREG(st.st_mode);
	if (in->is_file)
		(void)posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

int input_open(const char *path, bool (*wait)(void *arg), void *arg, struct input **ret)
{
	struct input *in = g_new0(struct input, 1);
	const struct compressor *compressor;

	in->wait = wait;
	in->wait_arg = arg;
	int r = open_file(in, path);
	if (r == 0)
		r = begin(in, &compressor);
	if (r == 0 && compressor)
		r = load_filters(in, compressor);
	if (r == 0 && compressor)
		r = start_filters(in);
	if (r < 0) {
		input_close(in);
		return r;
	}
	*ret = in;
	return 0;
}

ssize_t input_read(struct input *in, void *buf, size_t size)
{
	size_t done = 0;

	while (done < size && !in->at_end) {
		uint8_t *at = (uint8_t *)buf + done;
		ssize_t n = in->archive ? in->la->read_data(in->archive, at, size - done)
					: read_plain(in, at, size - done);

		if (n < 0)
			return in->archive ? filter_error(in) : n;
		in->at_end = n == 0;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

void input_close(struct input *in)
{
	if (!in)
		return;
	if (in->archive)
		in->la->read_free(in->archive);
	if (in->fd >= 0)
		close(in->fd);
	g_free(in);
}
