/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "region.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "error.h"
#include "util.h"

#define WINDOW        (256 * 1024) /* bytes gathered before they are written, and allocated at once */
#define COMPACT_MIN   (64 * 1024) /* bytes of dead space that are left alone */
#define COMPACT_SHARE 8           /* … and less than one in this many of the file's */
#define COMPARE_CHUNK (64 * 1024)

struct region_file {
	struct cim_tmpfile tmp, ids; /* the region file, and its object IDs */
	uint64_t tail;               /* where the next object goes */
	uint64_t dead;               /* bytes of objects without references, padding included */
	uint8_t *window;             /* WINDOW bytes, NULL in the data region */
	uint64_t window_off;         /* where in the file the window's bytes belong */
	uint64_t allocated;          /* the file has space up to here */
	uint64_t ids_size;           /* bytes of the object ID file */
};

struct cim_region_writer {
	int dirfd;
	struct cim_image *base;
	struct cim_set set;
	uint32_t first; /* region index of our region 0 */
	GMutex lock;    /* guards the rest */
	struct region_file file[CIM_SET_REGIONS];
	struct cim_objects objects;
	struct cim_known *known; /* opened with the first object that is looked for */
	uint64_t n_bytes;
	uint32_t n_busy; /* reads and writes of a region file that go on outside the lock */
	GCond idle;      /* n_busy is 0 */
	bool sealed;
	bool linked;
};

/* ---- the files of a set ---- */

static int new_guid(struct cim_guid *ret)
{
	if (getrandom(ret->b, sizeof(ret->b), 0) != sizeof(ret->b))
		return cim_fail(EIO, "no random numbers: %s", g_strerror(errno));
	ret->b[7] = (uint8_t)((ret->b[7] & 0x0F) | 0x40); /* version 4, in Windows' byte order */
	ret->b[8] = (uint8_t)((ret->b[8] & 0x3F) | 0x80);
	return 0;
}

static int open_region(struct cim_region_writer *rw, uint32_t type)
{
	struct region_file *f = &rw->file[type];
	struct cim_region_disk head = { .index = cim_put16((uint16_t)type), .type = (uint8_t)type };
	char guid[CIM_GUID_TEXT], tag[CIM_TMPFILE_NAME];

	cim_guid_format(&rw->set.guid, guid);
	snprintf(tag, sizeof(tag), "%s_r%u", guid, type);
	int r = cim_tmpfile_open(rw->dirfd, tag, &f->tmp);
	if (r < 0)
		return r;
	cim_common_encode(&head.common, CIM_FILE_REGION, sizeof(head));
	r = cim_pwrite_full(f->tmp.fd, &head, sizeof(head), 0);
	if (r < 0)
		return cim_fail(-r, "cannot write a region file: %s", g_strerror(-r));
	f->tail = type == CIM_REGION_DATA ? CIM_DATA_ALIGN : sizeof(head);
	f->window_off = f->allocated = f->tail;
	if (type != CIM_REGION_DATA)
		f->window = g_malloc(WINDOW);
	return 0;
}

int cim_region_writer_new(int dirfd, struct cim_image *base, struct cim_region_writer **ret)
{
	struct cim_region_writer *rw = g_new0(struct cim_region_writer, 1);
	int r = 0;

	rw->dirfd = dirfd;
	rw->base = base ? cim_image_ref(base) : NULL;
	rw->first = base ? base->n_region_files : 0;
	rw->set.n_regions = CIM_SET_REGIONS;
	g_mutex_init(&rw->lock);
	g_cond_init(&rw->idle);
	for (uint32_t i = 0; i < CIM_SET_REGIONS; i++)
		rw->file[i].tmp.fd = rw->file[i].ids.fd = -1;
	if (rw->first + CIM_SET_REGIONS > CIM_REGIONS_MAX)
		r = cim_fail(
			EMLINK,
			"the image has %u region files; a fork of it would pass the format's %d",
			rw->first, CIM_REGIONS_MAX);
	if (r == 0)
		r = new_guid(&rw->set.guid);
	for (uint32_t i = 0; r == 0 && i < CIM_SET_REGIONS; i++)
		r = open_region(rw, i);
	if (r < 0) {
		cim_region_writer_free(rw);
		return r;
	}
	*ret = rw;
	return 0;
}

void cim_region_writer_free(struct cim_region_writer *rw)
{
	if (!rw)
		return;
	for (uint32_t i = 0; i < CIM_SET_REGIONS; i++) {
		cim_tmpfile_close(rw->dirfd, &rw->file[i].tmp);
		cim_tmpfile_close(rw->dirfd, &rw->file[i].ids);
		g_free(rw->file[i].window);
	}
	cim_objects_clear(&rw->objects);
	cim_known_close(rw->known);
	cim_image_unref(rw->base);
	g_cond_clear(&rw->idle);
	g_mutex_clear(&rw->lock);
	g_free(rw);
}

const struct cim_set *cim_region_set(const struct cim_region_writer *rw)
{
	return &rw->set;
}

uint64_t cim_region_bytes(struct cim_region_writer *rw)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rw->lock);

	return rw->n_bytes;
}

static uint64_t align_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) & ~(to - 1);
}

/* What an object takes from its region file. */
static uint64_t footprint(uint32_t type, uint64_t size)
{
	return align_up(size, type == CIM_REGION_DATA ? CIM_DATA_ALIGN : CIM_SMALL_ALIGN);
}

static int flush_window(struct region_file *f)
{
	int r = 0;

	if (f->window && f->tail > f->window_off)
		r = cim_pwrite_full(f->tmp.fd, f->window, f->tail - f->window_off, f->window_off);
	if (r < 0)
		return cim_fail(-r, "cannot write a region file: %s", g_strerror(-r));
	f->window_off = f->tail;
	return 0;
}

/* Space up to @end, so that writing it later cannot fail for the lack of it. */
static int allocate(struct region_file *f, uint64_t end)
{
	if (end <= f->allocated)
		return 0;
	uint64_t to = f->window ? MAX(end, f->allocated + WINDOW) : end;
	if (to > CIM_REGION_OFF_MAX)
		return cim_fail(EFBIG, "the image's data passes the size of a region file");
	if (f->window &&
	    fallocate(f->tmp.fd, FALLOC_FL_KEEP_SIZE, (off_t)f->allocated,
		      (off_t)(to - f->allocated)) < 0 &&
	    errno != EOPNOTSUPP && errno != ENOSYS) {
		/* Not a whole window of space: then as much as this object needs. */
		to = end;
		if (fallocate(f->tmp.fd, FALLOC_FL_KEEP_SIZE, (off_t)f->allocated,
			      (off_t)(to - f->allocated)) < 0)
			return cim_fail(errno, "no space for the image's data: %s",
					g_strerror(errno));
	}
	f->allocated = to;
	return 0;
}

/* Append to a gathered region; the object is padded with zeros. */
static int append(struct cim_region_writer *rw, uint32_t type, const void *data, size_t size,
		  uint64_t *ret_off)
{
	struct region_file *f = &rw->file[type];
	uint64_t padded = footprint(type, size);
	int r = allocate(f, f->tail + padded);

	if (r == 0 && f->tail - f->window_off + padded > WINDOW)
		r = flush_window(f);
	if (r < 0)
		return r;
	*ret_off = f->tail;
	if (padded > WINDOW) {
		r = cim_pwrite_full(f->tmp.fd, data, size, f->tail);
		if (r < 0)
			return cim_fail(-r, "cannot write a region file: %s", g_strerror(-r));
		f->window_off += padded;
	} else {
		uint8_t *at = f->window + (f->tail - f->window_off);

		memcpy(at, data, size);
		memset(at + size, 0, padded - size);
	}
	f->tail += padded;
	return 0;
}

static int check_open(const struct cim_region_writer *rw)
{
	return rw->sealed ? cim_fail(ESTALE, "the image is being committed") : 0;
}

static void end_busy(struct cim_region_writer *rw)
{
	if (--rw->n_busy == 0)
		g_cond_broadcast(&rw->idle);
}

/* ---- finding what is there already ---- */

static bool same_in_base(struct cim_region_writer *rw, uint64_t off, const void *data, size_t size)
{
	const uint8_t *there;

	return cim_image_bytes(rw->base, off, size, &there) == 0 &&
	       memcmp(there, data, size) == 0 && cim_image_check(rw->base, off) == 0;
}

static bool find_in_base(struct cim_region_writer *rw, bool metadata,
			 const struct cim_digest *digest, const void *data, size_t size,
			 uint64_t *ret_off)
{
	uint32_t cursor = 0;

	if (!rw->base)
		return false;
	if (!rw->known)
		rw->known = cim_known_open(rw->base);
	while (cim_known_find(rw->known, metadata, digest, size, &cursor, ret_off))
		if (same_in_base(rw, *ret_off, data, size))
			return true;
	return false;
}

/* One file more that uses an object of the set. */
static struct cim_stored use_again(struct cim_region_writer *rw, int64_t number)
{
	struct cim_object *o = &rw->objects.object[number];

	if (o->refs++ == 0)
		rw->file[o->region].dead -= footprint(o->region, o->size);
	return (struct cim_stored){ .where = (uint64_t)number, .own = true };
}

/* Metadata and small data: look in the set, then in the base, then append.  Under the lock. */
static int put_locked(struct cim_region_writer *rw, uint32_t type, const void *data, size_t size,
		      const struct cim_digest *digest, struct cim_stored *ret)
{
	bool metadata = type == CIM_REGION_METADATA;
	int64_t number = cim_objects_find(&rw->objects, metadata, digest, size);

	if (number >= 0) {
		*ret = use_again(rw, number);
		return 0;
	}
	if (find_in_base(rw, metadata, digest, data, size, &ret->where)) {
		ret->own = false;
		return 0;
	}
	struct cim_object o = { .size = size,
				.digest = *digest,
				.refs = 1,
				.region = (uint8_t)type,
				.has_digest = true };
	struct region_file *f = &rw->file[type];
	uint64_t tail = f->tail;
	int r = append(rw, type, data, size, &o.off);
	if (r < 0)
		return r;
	number = cim_objects_add(&rw->objects, &o);
	if (number < 0) {
		f->dead += f->tail - tail;
		return (int)number;
	}
	*ret = (struct cim_stored){ .where = (uint64_t)number, .own = true };
	return 0;
}

int cim_region_put_metadata(struct cim_region_writer *rw, const void *bytes, size_t size,
			    uint64_t *ret_off)
{
	struct cim_digest digest;
	struct cim_stored s;

	cim_digest(bytes, size, &digest);
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rw->lock);
	int r = put_locked(rw, CIM_REGION_METADATA, bytes, size, &digest, &s);
	if (r < 0)
		return r;
	*ret_off = cim_region_off(rw, &s);
	return 0;
}

int cim_region_put(struct cim_region_writer *rw, const void *data, size_t size,
		   struct cim_stored *ret)
{
	struct cim_digest digest;
	uint64_t at;

	cim_digest(data, size, &digest);
	g_mutex_lock(&rw->lock);
	int r = check_open(rw);
	rw->n_bytes += size;
	if (r < 0 || size <= CIM_SMALL_MAX) {
		if (r == 0)
			r = put_locked(rw, CIM_REGION_SMALL, data, size, &digest, ret);
		g_mutex_unlock(&rw->lock);
		return r;
	}
	/* A larger one that is new is not written under the lock. */
	int64_t number = cim_objects_find(&rw->objects, false, &digest, size);
	bool in_base = number < 0 && find_in_base(rw, false, &digest, data, size, &ret->where);
	if (number >= 0)
		*ret = use_again(rw, number);
	else if (in_base)
		ret->own = false;
	g_mutex_unlock(&rw->lock);
	if (number >= 0 || in_base)
		return 0;
	r = cim_region_begin(rw, size, &at);
	if (r < 0)
		return r;
	r = cim_region_write(rw, at, 0, data, size);
	if (r < 0) {
		cim_region_abort(rw, at, size);
		return r;
	}
	return cim_region_end(rw, at, size, &digest, ret);
}

/* ---- larger data ---- */

int cim_region_begin(struct cim_region_writer *rw, uint64_t size, uint64_t *ret_at)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rw->lock);
	struct region_file *f = &rw->file[CIM_REGION_DATA];
	uint64_t padded = footprint(CIM_REGION_DATA, size);
	int r = check_open(rw);

	if (r == 0 && size > CIM_STREAM_SIZE_MAX)
		r = cim_fail(EFBIG, "a file of this size does not fit the format");
	if (r == 0)
		r = allocate(f, f->tail + padded);
	if (r < 0)
		return r;
	*ret_at = f->tail;
	f->tail += padded;
	rw->n_busy++;
	return 0;
}

int cim_region_write(struct cim_region_writer *rw, uint64_t at, uint64_t off, const void *data,
		     size_t size)
{
	int r = cim_pwrite_full(rw->file[CIM_REGION_DATA].tmp.fd, data, size, at + off);

	if (r < 0)
		return cim_fail(-r, "cannot write the image's data: %s", g_strerror(-r));
	return 0;
}

/* At the end of the file it is cut off, elsewhere it is dead space. */
static void give_back(struct cim_region_writer *rw, uint64_t at, uint64_t size)
{
	struct region_file *f = &rw->file[CIM_REGION_DATA];
	uint64_t padded = footprint(CIM_REGION_DATA, size);

	if (at + padded == f->tail && ftruncate(f->tmp.fd, (off_t)at) == 0)
		f->tail = f->allocated = at;
	else
		f->dead += padded;
}

void cim_region_abort(struct cim_region_writer *rw, uint64_t at, uint64_t size)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rw->lock);

	give_back(rw, at, size);
	end_busy(rw);
}

/* Whether bytes of the base are those that were just written. */
static bool same_as_written(struct cim_region_writer *rw, uint64_t base_off, uint64_t at,
			    uint64_t size)
{
	const uint8_t *there;

	if (cim_image_bytes(rw->base, base_off, size, &there) < 0)
		return false;
	g_autofree uint8_t *chunk = g_malloc(COMPARE_CHUNK);
	for (uint64_t done = 0; done < size;) {
		size_t n = (size_t)MIN(size - done, COMPARE_CHUNK);

		if (cim_pread_full(rw->file[CIM_REGION_DATA].tmp.fd, chunk, n, at + done) < 0 ||
		    memcmp(chunk, there + done, n) != 0)
			return false;
		done += n;
	}
	return cim_image_check(rw->base, base_off) == 0;
}

static bool find_written_in_base(struct cim_region_writer *rw, const struct cim_digest *digest,
				 uint64_t at, uint64_t size, uint64_t *ret_off)
{
	uint32_t cursor = 0;

	if (!rw->base)
		return false;
	g_mutex_lock(&rw->lock);
	if (!rw->known)
		rw->known = cim_known_open(rw->base);
	g_mutex_unlock(&rw->lock);
	while (cim_known_find(rw->known, false, digest, size, &cursor, ret_off))
		if (same_as_written(rw, *ret_off, at, size))
			return true;
	return false;
}

int cim_region_end(struct cim_region_writer *rw, uint64_t at, uint64_t size,
		   const struct cim_digest *digest, struct cim_stored *ret)
{
	struct cim_object o = { .size = size, .off = at, .refs = 1, .region = CIM_REGION_DATA };
	bool in_base = digest && find_written_in_base(rw, digest, at, size, &ret->where);
	int64_t number = -1;
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rw->lock);

	end_busy(rw);
	if (digest && !in_base)
		number = cim_objects_find(&rw->objects, false, digest, size);
	if (in_base || number >= 0) {
		give_back(rw, at, size);
		if (in_base)
			ret->own = false;
		else
			*ret = use_again(rw, number);
		return 0;
	}
	if (digest) {
		o.digest = *digest;
		o.has_digest = true;
	}
	number = cim_objects_add(&rw->objects, &o);
	if (number < 0) {
		give_back(rw, at, size);
		return (int)number;
	}
	*ret = (struct cim_stored){ .where = (uint64_t)number, .own = true };
	return 0;
}

/* ---- objects of this set ---- */

void cim_region_unref(struct cim_region_writer *rw, const struct cim_stored *s)
{
	if (!s->own)
		return;
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rw->lock);
	struct cim_object *o = &rw->objects.object[s->where];
	if (--o->refs == 0)
		rw->file[o->region].dead += footprint(o->region, o->size);
}

static int read_file(int fd, uint64_t at, void *buf, size_t size)
{
	ssize_t n;

	for (size_t done = 0; done < size; done += (size_t)n) {
		n = pread(fd, (char *)buf + done, size - done, (off_t)(at + done));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0) { /* a hole at the end of the file */
			memset((char *)buf + done, 0, size - done);
			return 0;
		}
		n = MAX(n, 0);
	}
	return 0;
}

int cim_region_read(struct cim_region_writer *rw, const struct cim_stored *own, uint64_t off,
		    void *buf, size_t size)
{
	g_mutex_lock(&rw->lock);
	const struct cim_object *o = &rw->objects.object[own->where];
	struct region_file *f = &rw->file[o->region];
	uint64_t at = o->off;
	/* Objects that are still in the window lie there whole. */
	if (f->window && at >= f->window_off) {
		memcpy(buf, f->window + (at - f->window_off) + off, size);
		g_mutex_unlock(&rw->lock);
		return 0;
	}
	rw->n_busy++;
	g_mutex_unlock(&rw->lock);
	int r = read_file(f->tmp.fd, at + off, buf, size);
	g_mutex_lock(&rw->lock);
	end_busy(rw);
	g_mutex_unlock(&rw->lock);
	return r;
}

int64_t cim_region_seek(struct cim_region_writer *rw, const struct cim_stored *own, uint64_t size,
			uint64_t off, int whence)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rw->lock);
	const struct cim_object *o = &rw->objects.object[own->where];

	if (off >= size)
		return -ENXIO;
	if (rw->file[o->region].window)
		return whence == SEEK_DATA ? (int64_t)off : (int64_t)size;
	off_t found = lseek(rw->file[o->region].tmp.fd, (off_t)(o->off + off), whence);
	if (found < 0 && errno == ENXIO) /* past the file's end: the rest is hole */
		return whence == SEEK_DATA ? -ENXIO : (int64_t)off;
	if (found < 0)
		return -errno;
	if ((uint64_t)found >= o->off + size)
		return whence == SEEK_DATA ? -ENXIO : (int64_t)size;
	return (int64_t)((uint64_t)found - o->off);
}

uint64_t cim_region_off(const struct cim_region_writer *rw, const struct cim_stored *s)
{
	if (!s->own)
		return s->where;
	const struct cim_object *o = &rw->objects.object[s->where];
	return cim_off_make(rw->first + o->region, o->off);
}

/* ---- compacting ---- */

static int compare_off(const void *a, const void *b)
{
	const struct cim_object *x = *(struct cim_object *const *)a,
				*y = *(struct cim_object *const *)b;

	return (x->off > y->off) - (x->off < y->off);
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
	g_autofree struct cim_object **live = g_new(struct cim_object *, MAX(rw->objects.n, 1));
	g_autofree uint64_t *offs = g_new(uint64_t, MAX(rw->objects.n, 1));
	uint32_t n = 0;

	for (uint32_t i = 0; i < rw->objects.n; i++)
		if (rw->objects.object[i].region == type && rw->objects.object[i].refs > 0)
			live[n++] = &rw->objects.object[i];
	if (n > 0)
		qsort(live, n, sizeof(live[0]), compare_off);
	int r = flush_window(&old);
	if (r < 0)
		return r;
	*f = (struct region_file){ .tmp.fd = -1, .ids.fd = -1 };
	r = open_region(rw, type);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		offs[i] = f->tail;
		r = copy_object(old.tmp.fd, live[i]->off, f->tmp.fd, f->tail, live[i]->size);
		f->tail += footprint(type, live[i]->size);
	}
	if (r < 0) { /* as it was */
		cim_tmpfile_close(rw->dirfd, &f->tmp);
		g_free(f->window);
		*f = old;
		return cim_fail(-r, "cannot compact the image's data: %s", g_strerror(-r));
	}
	for (uint32_t i = 0; i < n; i++)
		live[i]->off = offs[i];
	f->window_off = f->allocated = f->tail;
	cim_tmpfile_close(rw->dirfd, &old.tmp);
	g_free(old.window);
	return 0;
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

		if (f->dead >= COMPACT_MIN && f->dead > f->tail / COMPACT_SHARE)
			r = compact(rw, type);
	}
	/* A full disk is no reason not to publish what is there. */
	return r == -ENOSPC || r == -EDQUOT ? 0 : r;
}

void cim_region_unseal(struct cim_region_writer *rw)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rw->lock);

	rw->sealed = false;
}

/* ---- publishing ---- */

static int write_ids(struct cim_region_writer *rw, uint32_t type)
{
	struct region_file *f = &rw->file[type];
	struct cim_objectid_disk head = {
		.index = cim_put16((uint16_t)type),
		.type = (uint8_t)type,
		.table_off = cim_put32(sizeof(head)),
	};
	char guid[CIM_GUID_TEXT], tag[CIM_TMPFILE_NAME];
	int64_t n;
	g_autofree struct cim_object_disk *table = cim_objects_table(&rw->objects, type, &n);

	if (n < 0)
		return (int)n;
	cim_guid_format(&rw->set.guid, guid);
	snprintf(tag, sizeof(tag), "%s_o%u", guid, type);
	cim_tmpfile_close(rw->dirfd, &f->ids);
	int r = cim_tmpfile_open(rw->dirfd, tag, &f->ids);
	if (r < 0)
		return r;
	cim_common_encode(&head.common, CIM_FILE_OBJECTID, sizeof(head));
	head.n_objects = cim_put32((uint32_t)n);
	r = cim_pwrite_full(f->ids.fd, &head, sizeof(head), 0);
	if (r == 0)
		r = cim_pwrite_full(f->ids.fd, table, (size_t)n * sizeof(*table), sizeof(head));
	f->ids_size = sizeof(head) + (uint64_t)n * sizeof(*table);
	return r < 0 ? cim_fail(-r, "cannot write an object ID file: %s", g_strerror(-r)) : 0;
}

int cim_region_finish(struct cim_region_writer *rw)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rw->lock);

	for (uint32_t i = 0; i < CIM_SET_REGIONS; i++) {
		struct region_file *f = &rw->file[i];
		int r = flush_window(f);

		/* To the tail: space allocated ahead goes, a hole at the end counts. */
		if (r == 0 && ftruncate(f->tmp.fd, (off_t)f->tail) < 0)
			r = cim_fail(errno, "cannot write a region file: %s", g_strerror(errno));
		f->allocated = f->tail;
		if (r == 0)
			r = write_ids(rw, i);
		if (r < 0)
			return r;
		/* All begin to go to disk now, so that syncing them one by one waits once. */
		(void)sync_file_range(f->tmp.fd, 0, 0, SYNC_FILE_RANGE_WRITE);
		(void)sync_file_range(f->ids.fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	}
	return 0;
}

int cim_region_sync(struct cim_region_writer *rw)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < CIM_SET_REGIONS; i++) {
		const struct region_file *f = &rw->file[i];

		r = cim_tmpfile_sync(rw->dirfd, &f->tmp, f->tail);
		if (r == 0)
			r = cim_tmpfile_sync(rw->dirfd, &f->ids, f->ids_size);
	}
	return r;
}

int cim_region_link(struct cim_region_writer *rw)
{
	char name[CIM_FILE_NAME];

	rw->linked = true;
	for (uint32_t i = 0; i < CIM_SET_REGIONS; i++) {
		cim_region_name(&rw->set.guid, i, name);
		int r = cim_tmpfile_link(rw->dirfd, &rw->file[i].tmp, name);
		if (r == 0) {
			cim_objectid_name(&rw->set.guid, i, name);
			r = cim_tmpfile_link(rw->dirfd, &rw->file[i].ids, name);
		}
		if (r < 0)
			return cim_fail(-r, "cannot name \"%s\": %s", name, g_strerror(-r));
	}
	return 0;
}

void cim_region_unlink(struct cim_region_writer *rw)
{
	char name[CIM_FILE_NAME];

	for (uint32_t i = 0; rw->linked && i < CIM_SET_REGIONS; i++) {
		cim_region_name(&rw->set.guid, i, name);
		(void)unlinkat(rw->dirfd, name, 0);
		cim_objectid_name(&rw->set.guid, i, name);
		(void)unlinkat(rw->dirfd, name, 0);
	}
	rw->linked = false;
}
