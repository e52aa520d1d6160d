/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "error.h"
#include "region-private.h"
#include "util.h"

#define WINDOW        (256 * 1024) /* bytes gathered before they are written, and allocated at once */
#define COMPARE_CHUNK (64 * 1024)
#ifndef BCACHEFS_MAGIC
#define BCACHEFS_MAGIC 0xca451a4e /* <linux/magic.h> has none */
#endif
#define LARGE         (1u << 30) /* bytes of an object for which a file may be too small */

/* ---- the files of a set ---- */

static int new_guid(struct cim_guid *ret)
{
	if (getrandom(ret->b, sizeof(ret->b), 0) != sizeof(ret->b))
		return cim_fail(EIO, "no random numbers: %s", g_strerror(errno));
	ret->b[7] = (uint8_t)((ret->b[7] & 0x0F) | 0x40); /* version 4, in Windows' byte order */
	ret->b[8] = (uint8_t)((ret->b[8] & 0x3F) | 0x80);
	return 0;
}

int cim_region_open_file(struct cim_region_writer *rw, uint32_t type)
{
	struct region_file *f = &rw->file[type];
	struct cim_region_disk head = { .index = cim_put16((uint16_t)type), .type = (uint8_t)type };
	char guid[CIM_GUID_TEXT], tag[CIM_TMPFILE_NAME];

	cim_guid_format(&rw->set.guid, guid);
	/* While one is compacted there are two of a type. */
	snprintf(tag, sizeof(tag), "%s_r%u-%u", guid, type, rw->n_opened++);
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
		r = cim_region_open_file(rw, i);
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
	g_free(rw->rank);
	cim_known_close(rw->known);
	cim_image_unref(rw->base);
	g_cond_clear(&rw->idle);
	g_mutex_clear(&rw->lock);
	g_free(rw);
}

void cim_region_follow(struct cim_region_writer *rw, uint32_t n_regions)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rw->lock);

	rw->first = n_regions;
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

int cim_region_flush(struct region_file *f)
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
		r = cim_region_flush(f);
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

void cim_region_make_consistent(struct cim_region_writer *rw)
{
	rw->shares = true;
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

/* Whether what lies there in the base is the new image's as well. */
static bool is_shared(const struct cim_region_writer *rw, uint64_t off)
{
	return cim_off_region(off) < rw->first;
}

static bool same_in_base(struct cim_region_writer *rw, uint64_t off, const void *data, size_t size)
{
	const uint8_t *there;

	return cim_image_bytes(rw->base, off, size, &there) == 0 &&
	       memcmp(there, data, size) == 0 && cim_image_check(rw->base, off, size) == 0;
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
		if (is_shared(rw, *ret_off) && same_in_base(rw, *ret_off, data, size))
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

void cim_region_restart_metadata(struct cim_region_writer *rw)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&rw->lock);
	struct region_file *f = &rw->file[CIM_REGION_METADATA];

	if (f->tail == sizeof(struct cim_region_disk))
		return;
	cim_objects_forget(&rw->objects, CIM_REGION_METADATA);
	f->tail = f->window_off = sizeof(struct cim_region_disk);
	f->dead = 0;
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
	/* The file system has a limit too: it is to be met now, and not by the commit. */
	if (r == 0 && size >= LARGE && ftruncate(f->tmp.fd, (off_t)(f->tail + padded)) < 0)
		r = cim_fail(errno, "the image's data passes the size of a file: %s",
			     g_strerror(errno));
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
	return cim_image_check(rw->base, base_off, size) == 0;
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
		if (is_shared(rw, *ret_off) && same_as_written(rw, *ret_off, at, size))
			return true;
	return false;
}

/* Whether a file's blocks can be shared; elsewhere the kernel would copy them, which is no gain. */
static bool can_share(int in, int out)
{
	struct statfs from, to;

	if (fstatfs(in, &from) < 0 || fstatfs(out, &to) < 0 ||
	    memcmp(&from.f_fsid, &to.f_fsid, sizeof(to.f_fsid)) != 0)
		return false;
	return to.f_type == BTRFS_SUPER_MAGIC || to.f_type == XFS_SUPER_MAGIC ||
	       to.f_type == BCACHEFS_MAGIC;
}

void cim_region_share(struct cim_region_writer *rw, uint64_t at, int fd, uint64_t size,
		      uint64_t *ret_size)
{
	int region = rw->file[CIM_REGION_DATA].tmp.fd;
	uint64_t done = 0, whole = size - size % CIM_DATA_ALIGN;

	while (done < whole && can_share(fd, region)) {
		loff_t in = (loff_t)done, out = (loff_t)(at + done);
		ssize_t n = copy_file_range(fd, &in, region, &out, (size_t)(whole - done), 0);

		/* What is wrong is met again by who reads and writes. */
		if (n < CIM_DATA_ALIGN)
			break;
		done += (uint64_t)n - (uint64_t)n % CIM_DATA_ALIGN;
	}
	*ret_size = done;
}

int cim_region_read_back(struct cim_region_writer *rw, uint64_t at, uint64_t off, void *buf,
			 size_t size)
{
	int r = cim_pread_full(rw->file[CIM_REGION_DATA].tmp.fd, buf, size, at + off);

	return r < 0 ? cim_fail(-r, "cannot read the image's data back: %s", g_strerror(-r)) : 0;
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

int cim_region_write_out(struct cim_region_writer *rw, const struct cim_stored *own)
{
	g_mutex_lock(&rw->lock);
	const struct cim_object o = rw->objects.object[own->where];
	struct region_file *f = &rw->file[o.region];
	if (f->window && o.off >= f->window_off) {
		g_mutex_unlock(&rw->lock);
		return 0;
	}
	rw->n_busy++;
	g_mutex_unlock(&rw->lock);
	int r = cim_tmpfile_write_out(&f->tmp, o.off, o.size);
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
		int r = cim_region_flush(f);

		/* To the tail: space allocated ahead goes, a hole at the end counts. */
		if (r == 0 && ftruncate(f->tmp.fd, (off_t)f->tail) < 0)
			r = cim_fail(errno, "cannot write a region file: %s", g_strerror(errno));
		f->allocated = f->tail;
		if (r == 0)
			r = write_ids(rw, i);
		if (r < 0)
			return r;
		r = cim_tmpfile_begin_sync(&f->tmp);
		if (r == 0)
			r = cim_tmpfile_begin_sync(&f->ids);
		if (r < 0)
			return r;
	}
	return rw->shares ? cim_region_guid_of_content(rw) : 0;
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

/* Whether there is a file of this name with the bytes of an unnamed one. */
static bool same_file(int dirfd, const char *name, int fd)
{
	g_autofree uint8_t *ours = g_malloc(COMPARE_CHUNK), *theirs = g_malloc(COMPARE_CHUNK);
	int there = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat a, b;
	bool same = there >= 0 && fstat(fd, &a) == 0 && fstat(there, &b) == 0 &&
		    S_ISREG(b.st_mode) && a.st_size == b.st_size;

	for (uint64_t at = 0; same && at < (uint64_t)a.st_size; at += COMPARE_CHUNK) {
		size_t n = (size_t)MIN((uint64_t)a.st_size - at, COMPARE_CHUNK);

		same = cim_pread_full(fd, ours, n, at) == 0 &&
		       cim_pread_full(there, theirs, n, at) == 0 && memcmp(ours, theirs, n) == 0;
	}
	if (there >= 0)
		(void)close(there);
	return same;
}

/* Give a file of the set its name; a consistent set may be there, and then it is the same one. */
static int link_one(struct cim_region_writer *rw, struct cim_tmpfile *tmp, const char *name,
		    unsigned int bit)
{
	int r = cim_tmpfile_link(rw->dirfd, tmp, name);

	if (r == 0)
		rw->linked |= 1u << bit;
	if (r == -EEXIST && rw->shares) {
		if (same_file(rw->dirfd, name, tmp->fd))
			return 0;
		return cim_fail(CIM_ECORRUPT,
				"\"%s\" has the name of this image's data and other bytes: it is "
				"damaged, or not from here; nothing was overwritten",
				name);
	}
	return r < 0 ? cim_fail(-r, "cannot name \"%s\": %s", name, g_strerror(-r)) : 0;
}

int cim_region_link(struct cim_region_writer *rw)
{
	char name[CIM_FILE_NAME];
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < CIM_SET_REGIONS; i++) {
		cim_region_name(&rw->set.guid, i, name);
		r = link_one(rw, &rw->file[i].tmp, name, 2 * i);
		if (r == 0) {
			cim_objectid_name(&rw->set.guid, i, name);
			r = link_one(rw, &rw->file[i].ids, name, 2 * i + 1);
		}
	}
	return r;
}

void cim_region_unlink(struct cim_region_writer *rw)
{
	char name[CIM_FILE_NAME];

	for (uint32_t i = 0; i < CIM_SET_REGIONS; i++) {
		cim_region_name(&rw->set.guid, i, name);
		if (rw->linked & 1u << (2 * i))
			(void)unlinkat(rw->dirfd, name, 0);
		cim_objectid_name(&rw->set.guid, i, name);
		if (rw->linked & 1u << (2 * i + 1))
			(void)unlinkat(rw->dirfd, name, 0);
	}
	rw->linked = 0;
}
