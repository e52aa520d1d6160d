/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The GUID of a consistent set: a digest of what the set holds and of the sets below it, so that
 * the same image is made of files of the same names wherever it is made.
 *
 * Metadata counts with its bytes, data with the digests of its objects, which are there already,
 * and their places.  An object with too much hole for a digest counts with its blocks that are not
 * all zeros, as file systems do not agree where a hole is.
 */
#include "config.h"

#include <unistd.h>

#include "error.h"
#include "region-private.h"
#include "util.h"

#define LABEL "cimfs consistent region set 1"
#define CHUNK (256 * 1024)
#define BLOCK 4096

static void add64(struct cim_hash *h, uint64_t value)
{
	cim_le64 v = cim_put64(value);

	cim_hash_add(h, &v, sizeof(v));
}

static int add_file(struct cim_hash *h, int fd, uint64_t size)
{
	g_autofree uint8_t *buf = g_malloc(CHUNK);

	add64(h, size);
	for (uint64_t at = 0; at < size; at += CHUNK) {
		size_t n = (size_t)MIN(size - at, CHUNK);
		int r = cim_pread_full(fd, buf, n, at);

		if (r < 0)
			return r;
		cim_hash_add(h, buf, n);
	}
	return 0;
}

static void add_blocks(struct cim_hash *h, const uint8_t *buf, uint64_t at, size_t n)
{
	static const uint8_t zeros[BLOCK];

	for (size_t done = 0, part; done < n; done += part) {
		part = MIN(n - done, BLOCK);
		if (memcmp(buf + done, zeros, part) == 0)
			continue;
		add64(h, at + done);
		cim_hash_add(h, buf + done, part);
	}
}

/* The data of a sparse object, from block to block. */
static int add_sparse(struct cim_hash *h, int fd, uint64_t off, uint64_t size)
{
	g_autofree uint8_t *buf = g_malloc(CHUNK);
	uint64_t at = 0;

	while (at < size) {
		off_t data = lseek(fd, (off_t)(off + at), SEEK_DATA);

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0)
			return -errno;
		if ((uint64_t)data >= off + size)
			break;
		at = MAX(at, ((uint64_t)data - off) / BLOCK * BLOCK);
		size_t n = (size_t)MIN(size - at, CHUNK);
		int r = cim_pread_full(fd, buf, n, off + at);
		if (r < 0)
			return r;
		add_blocks(h, buf, at, n);
		at += n;
	}
	return 0;
}

static int add_objects(struct cim_hash *h, const struct cim_region_writer *rw, uint32_t type)
{
	uint32_t n;
	g_autofree struct cim_placed *live = cim_region_live(rw, type, &n);
	int r = 0;

	add64(h, rw->file[type].tail);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		const struct cim_object *o = live[i].o;

		add64(h, o->off);
		add64(h, o->size);
		if (o->has_digest)
			cim_hash_add(h, o->digest.b, sizeof(o->digest.b));
		else
			r = add_sparse(h, rw->file[type].tmp.fd, o->off, o->size);
	}
	return r;
}

int cim_region_guid_of_content(struct cim_region_writer *rw)
{
	struct cim_hash *h = cim_hash_begin();
	struct cim_digest digest;
	int r;

	cim_hash_add(h, LABEL, sizeof(LABEL));
	for (uint32_t i = 0, n = 0; n < rw->first; n += rw->base->sets[i++].n_regions) {
		cim_hash_add(h, rw->base->sets[i].guid.b, sizeof(rw->base->sets[i].guid.b));
		add64(h, rw->base->sets[i].n_regions);
	}
	r = add_file(h, rw->file[CIM_REGION_METADATA].tmp.fd, rw->file[CIM_REGION_METADATA].tail);
	for (uint32_t type = CIM_REGION_DATA; r == 0 && type <= CIM_REGION_SMALL; type++)
		r = add_objects(h, rw, type);
	cim_hash_end(h, &digest);
	if (r < 0)
		return cim_fail(-r, "cannot read what the image is made of: %s", g_strerror(-r));
	memcpy(rw->set.guid.b, digest.b, sizeof(rw->set.guid.b));
	rw->set.guid.b[7] = (uint8_t)((rw->set.guid.b[7] & 0x0F) | 0x80); /* version 8: our own */
	rw->set.guid.b[8] = (uint8_t)((rw->set.guid.b[8] & 0x3F) | 0x80);
	return 0;
}
