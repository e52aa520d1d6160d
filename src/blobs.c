/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "blobs.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "util.h"

void cim_blobs_init(struct cim_blobs *b, int dirfd)
{
	*b = (struct cim_blobs){ .dirfd = dirfd, .file.fd = -1 };
}

void cim_blobs_clear(struct cim_blobs *b)
{
	cim_tmpfile_close(b->dirfd, &b->file);
	cim_objects_clear(&b->index);
}

static int open_file(struct cim_blobs *b)
{
	char tag[CIM_TMPFILE_NAME];

	if (b->file.fd >= 0)
		return 0;
	snprintf(tag, sizeof(tag), "blobs-%08x%08x", g_random_int(), g_random_int());
	return cim_tmpfile_open(b->dirfd, tag, &b->file);
}

int cim_blobs_put(struct cim_blobs *b, const void *bytes, size_t size, uint64_t *ret_off)
{
	struct cim_object o = { .size = size, .off = b->tail, .refs = 1, .has_digest = true };
	g_autofree uint8_t *record = g_malloc(2 + size);

	cim_digest(bytes, size, &o.digest);
	int64_t number = cim_objects_find(&b->index, true, &o.digest, size);
	if (number >= 0) {
		*ret_off = b->index.object[number].off;
		return 0;
	}
	cim_store16(record, (uint16_t)size);
	memcpy(record + 2, bytes, size);
	int r = open_file(b);
	if (r == 0)
		r = cim_pwrite_full(b->file.fd, record, 2 + size, b->tail);
	if (r < 0)
		return cim_fail(-r, "cannot keep a file's metadata: %s", g_strerror(-r));
	number = cim_objects_add(&b->index, &o);
	if (number < 0)
		return (int)number;
	b->tail += 2 + size;
	*ret_off = o.off;
	return 0;
}

int cim_blobs_get(const struct cim_blobs *b, uint64_t off, uint8_t *ret)
{
	int r = cim_pread_full(b->file.fd, ret, 2, off);
	size_t size = r == 0 ? cim_load16(ret) : 0;

	if (r == 0)
		r = cim_pread_full(b->file.fd, ret + 2, size, off + 2);
	if (r < 0)
		return cim_fail(-r, "cannot read a file's metadata: %s", g_strerror(-r));
	return (int)(2 + size);
}

int cim_blobs_check(const struct cim_blobs *b)
{
	return cim_tmpfile_check_read(&b->file, "metadata of the image's files");
}
