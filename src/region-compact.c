/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The data of a region set before it is published: dead space goes, and where the set is to be the
 * same wherever it is made, the objects come to lie in an order that says nothing of how it was.
 */
#include "config.h"

#include <stdlib.h>
#include <unistd.h>

#include "error.h"
#include "region-private.h"
#include "util.h"

#define COMPACT_MIN   (64 * 1024) /* bytes of dead space that are left alone */
#define COMPACT_SHARE 8           /* … and less than one in this many of the file's */

static int compare_placed(const void *a, const void *b)
{
	const struct cim_placed *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

struct cim_placed *cim_region_live(const struct cim_region_writer *rw, uint32_t type,
				   uint32_t *ret_n)
{
	struct cim_placed *live = g_new(struct cim_placed, MAX(rw->objects.n, 1));
	uint32_t n = 0;

	for (uint32_t i = 0; i < rw->objects.n; i++) {
		struct cim_object *o = &rw->objects.object[i];
		uint32_t rank = i < rw->n_rank ? rw->rank[i] : CIM_RANK_NONE;

		if (o->region != type || o->refs == 0)
			continue;
		/* What has no rank (deleted, and still open) is behind all that have one. */
		live[n++] = (struct cim_placed){
			.key = rw->rank && rank != CIM_RANK_NONE ? rank
			       : rw->rank                        ? CIM_RANK_NONE + o->off
								 : o->off,
			.o = o,
		};
	}
	if (n > 0)
		qsort(live, n, sizeof(live[0]), compare_placed);
	*ret_n = n;
	return live;
}

/* Data only: holes stay holes. */
static int copy_object(int in, uint64_t from, int out, uint64_t to, uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		off_t data = lseek(in, (off_t)(from + done), SEEK_DATA);

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0)
			return -errno;
		if ((uint64_t)data >= from + size)
			break;
		off_t hole = lseek(in, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		uint64_t end = MIN((uint64_t)hole - from, size);
		done = (uint64_t)data - from;
		int r = cim_copy_range(in, from + done, out, to + done, end - done);
		if (r < 0)
			return r;
		done = end;
	}
	return 0;
}

static int compact(struct cim_region_writer *rw, uint32_t type)
{
	struct region_file old = rw->file[type], *f = &rw->file[type];
	uint32_t n;
	g_autofree struct cim_placed *live = cim_region_live(rw, type, &n);

	int r = cim_region_flush(&old);
	if (r < 0)
		return r;
	*f = (struct region_file){ .tmp.fd = -1, .ids.fd = -1 };
	r = cim_region_open_file(rw, type);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		live[i].off = f->tail;
		r = copy_object(old.tmp.fd, live[i].o->off, f->tmp.fd, f->tail, live[i].o->size);
		f->tail += footprint(type, live[i].o->size);
	}
	if (r < 0) { /* as it was */
		cim_tmpfile_close(rw->dirfd, &f->tmp);
		g_free(f->window);
		*f = old;
		return cim_fail(-r, "cannot compact the image's data: %s", g_strerror(-r));
	}
	for (uint32_t i = 0; i < n; i++)
		live[i].o->off = live[i].off;
	f->window_off = f->allocated = f->tail;
	/* The old file is not synced, so nobody else would be told. */
	r = cim_tmpfile_check_read(&old.tmp, "data of the image's files");
	cim_tmpfile_close(rw->dirfd, &old.tmp);
	g_free(old.window);
	return r;
}

/* Whether the data lies in the order of its ranks, with nothing between. */
static bool is_arranged(const struct cim_region_writer *rw, uint32_t type)
{
	const struct region_file *f = &rw->file[type];
	uint64_t at = type == CIM_REGION_DATA ? CIM_DATA_ALIGN : sizeof(struct cim_region_disk);
	uint32_t n;
	g_autofree struct cim_placed *live = cim_region_live(rw, type, &n);

	for (uint32_t i = 0; i < n; i++) {
		if (live[i].o->off != at)
			return false;
		at += footprint(type, live[i].o->size);
	}
	return at == f->tail;
}

void cim_region_arrange(struct cim_region_writer *rw, const struct cim_stored *s)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rw->lock);

	if (!s->own)
		return;
	if (rw->n_rank < rw->objects.n) {
		rw->rank = g_renew(uint32_t, rw->rank, rw->objects.n);
		memset(rw->rank + rw->n_rank, 0xFF,
		       (rw->objects.n - rw->n_rank) * sizeof(rw->rank[0]));
		rw->n_rank = rw->objects.n;
	}
	if (rw->rank[s->where] == CIM_RANK_NONE)
		rw->rank[s->where] = rw->n_ranked++;
}

int cim_region_seal(struct cim_region_writer *rw)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rw->lock);
	int r = 0;

	rw->sealed = true;
	while (rw->n_busy > 0)
		g_cond_wait(&rw->idle, &rw->lock);
	for (uint32_t type = CIM_REGION_DATA; r == 0 && type <= CIM_REGION_SMALL; type++) {
		const struct region_file *f = &rw->file[type];

		if (rw->shares ? !is_arranged(rw, type)
			       : f->dead >= COMPACT_MIN && f->dead > f->tail / COMPACT_SHARE)
			r = compact(rw, type);
	}
	/* A full disk is no reason not to publish what is there, unless it must be like another. */
	return !rw->shares && cim_is_full(r) ? 0 : r;
}

void cim_region_unseal(struct cim_region_writer *rw)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rw->lock);

	rw->sealed = false;
	g_clear_pointer(&rw->rank, g_free);
	rw->n_rank = rw->n_ranked = 0;
}
