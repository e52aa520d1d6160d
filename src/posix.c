/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "posix.h"

#include <sys/stat.h>

#include "le.h"
#include "util.h"

#define DEV_MINOR_BITS 20 /* ntfs3 writes $LXDEV as four bytes, major << 20 | minor */
#define OLD_VERSION    1

/* LXATTRB (metadata.md §1.6); Unix times. */
struct old_attr_disk {
	cim_le16 format; /* +0 0 */
	cim_le16 version;
	cim_le32 mode;
	cim_le32 uid;
	cim_le32 gid;
	cim_le32 rdev;                                      /* +16 major << 20 | minor */
	cim_le32 accessed_nsec, written_nsec, changed_nsec; /* +20 */
	cim_le64 accessed, written, changed;                /* +32 seconds */
};

_Static_assert(sizeof(struct old_attr_disk) == 56, "layout of LXATTRB");

struct lx {
	bool has_mode, has_dev, has_links;
	uint32_t mode, uid, gid, major, minor, n_links;
	const struct old_attr_disk *old; /* NULL: none */
};

static bool is_named(const struct cim_ea *ea, const char *name)
{
	/* Windows upper-cases EA names, and ours are upper-case. */
	return ea->name_size == strlen(name) && memcmp(ea->name, name, ea->name_size) == 0;
}

/* The EAs a file has; a bad one is ignored, the others still count (metadata.md §1.2). */
static struct lx collect(const void *list, size_t size)
{
	struct lx lx = { .uid = CIM_ID_INVALID, .gid = CIM_ID_INVALID, .n_links = 1 };
	struct cim_ea_iter it;
	struct cim_ea ea;

	cim_ea_iter_init(&it, list, size);
	while (cim_ea_iter_next(&it, &ea) == 1) {
		if (ea.value_size == sizeof(*lx.old) && is_named(&ea, CIM_EA_OLD))
			lx.old = (const void *)ea.value;
		if (ea.name[0] != '$')
			continue;
		if (ea.value_size == 8 && is_named(&ea, CIM_EA_DEV)) {
			lx.major = cim_load32(ea.value);
			lx.minor = cim_load32(ea.value + 4);
			lx.has_dev = true;
		}
		if (ea.value_size != 4)
			continue;
		uint32_t value = cim_load32(ea.value);
		if (is_named(&ea, CIM_EA_UID)) {
			lx.uid = value;
		} else if (is_named(&ea, CIM_EA_GID)) {
			lx.gid = value;
		} else if (is_named(&ea, CIM_EA_MODE)) {
			lx.mode = value;
			lx.has_mode = value <= 0xFFFF;
		} else if (is_named(&ea, CIM_EA_DEV)) {
			lx.major = value >> DEV_MINOR_BITS;
			lx.minor = value & ((1u << DEV_MINOR_BITS) - 1);
			lx.has_dev = true;
		} else if (is_named(&ea, CIM_EA_LINKS)) {
			lx.n_links = value;
			lx.has_links = true;
		}
	}
	if (lx.old && (cim_get16(lx.old->format) != 0 || cim_get16(lx.old->version) != OLD_VERSION))
		lx.old = NULL;
	return lx;
}

/* The type that LXATTRB gives to a file which is none of the others; 0: none. */
static uint32_t old_type(const struct cim_entry *e, const struct lx *lx)
{
	uint32_t type = lx->old ? cim_get32(lx->old->mode) & S_IFMT : 0;

	switch (type) {
	case S_IFLNK:
		return e->data.size > 0 && e->data.size <= CIM_SYMLINK_MAX ? type : 0;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return e->data.size == 0 ? type : 0;
	default:
		return 0;
	}
}

static uint32_t file_type(const struct cim_entry *e, const struct lx *lx,
			  const struct cim_reparse *rp)
{
	uint32_t type = lx->mode & S_IFMT;

	if (rp && rp->type)
		return rp->type;
	if (e->data.type == CIM_STREAM_LINKS)
		return S_IFDIR;
	if (!rp && e->data.size == 0 && lx->has_mode &&
	    (type == S_IFIFO || type == S_IFSOCK ||
	     (lx->has_dev && (type == S_IFCHR || type == S_IFBLK))))
		return type;
	type = rp ? 0 : old_type(e, lx);
	return type ? type : S_IFREG;
}

static uint64_t old_ticks(cim_le64 sec, cim_le32 nsec)
{
	const struct timespec ts = { (time_t)cim_get64(sec), cim_get32(nsec) % 1000000000 };

	return cim_ticks_from_timespec(ts);
}

/* What no $LX EA says; @ret has what they do. */
static void add_old(const struct old_attr_disk *old, struct cim_posix *ret)
{
	uint32_t mode = cim_get32(old->mode), rdev = cim_get32(old->rdev);

	/* Whoever has set a $LX EA has also set the times of the entry. */
	if (!ret->stored && !ret->counted) {
		ret->has_times = true;
		ret->accessed = old_ticks(old->accessed, old->accessed_nsec);
		ret->written = old_ticks(old->written, old->written_nsec);
		ret->changed = old_ticks(old->changed, old->changed_nsec);
	}
	if (!(ret->stored & CIM_POSIX_MODE) && mode <= 0xFFFF && (mode & S_IFMT) == ret->mode) {
		ret->mode = mode;
		ret->stored |= CIM_POSIX_MODE;
	}
	if (!(ret->stored & CIM_POSIX_UID) && cim_get32(old->uid) != CIM_ID_INVALID) {
		ret->uid = cim_get32(old->uid);
		ret->stored |= CIM_POSIX_UID;
	}
	if (!(ret->stored & CIM_POSIX_GID) && cim_get32(old->gid) != CIM_ID_INVALID) {
		ret->gid = cim_get32(old->gid);
		ret->stored |= CIM_POSIX_GID;
	}
	if (!(ret->stored & CIM_POSIX_DEV) && ret->major == 0 && ret->minor == 0 &&
	    (S_ISCHR(ret->mode) || S_ISBLK(ret->mode))) {
		ret->major = rdev >> DEV_MINOR_BITS;
		ret->minor = rdev & ((1u << DEV_MINOR_BITS) - 1);
		ret->stored |= CIM_POSIX_DEV;
	}
}

static uint32_t synthesised_mode(const struct cim_view *view, uint32_t type, uint32_t flags)
{
	switch (type) {
	case S_IFDIR:
		return type | (0777 & ~view->dmask);
	case S_IFLNK:
		return type | 0777;
	case S_IFREG:
		return type | (0777 & ~view->fmask & ~(flags & CIM_FLAG_READONLY ? 0222u : 0u));
	default:
		return type | (0666 & ~view->fmask);
	}
}

void cim_posix_decode(const struct cim_entry *e, const void *ea, size_t ea_size,
		      const struct cim_reparse *rp, struct cim_posix *ret)
{
	struct lx lx = collect(ea, ea_size);
	uint32_t type = file_type(e, &lx, rp);
	uint32_t n_links = lx.n_links & ~CIM_LINKS_AT_LEAST;
	bool is_device = type == S_IFCHR || type == S_IFBLK;

	*ret = (struct cim_posix){
		.mode = type,
		.n_links = type == S_IFDIR || n_links == 0 ? 1 : n_links,
		.counted = lx.has_links ? n_links > 0 && n_links == lx.n_links : lx.has_mode,
	};
	if (lx.uid != CIM_ID_INVALID) {
		ret->uid = lx.uid;
		ret->stored |= CIM_POSIX_UID;
	}
	if (lx.gid != CIM_ID_INVALID) {
		ret->gid = lx.gid;
		ret->stored |= CIM_POSIX_GID;
	}
	if (lx.has_mode && (lx.mode & S_IFMT) == type) {
		ret->mode = lx.mode;
		ret->stored |= CIM_POSIX_MODE;
	}
	if (is_device && lx.has_dev) {
		ret->major = lx.major;
		ret->minor = lx.minor;
		ret->stored |= CIM_POSIX_DEV;
	} else if (is_device && rp && rp->has_rdev) {
		ret->major = rp->major;
		ret->minor = rp->minor;
	}
	if (lx.old)
		add_old(lx.old, ret);
}

void cim_posix_show(const struct cim_view *view, uint32_t flags, struct cim_posix *p)
{
	uint32_t stored = view->no_metadata ? 0 : p->stored;

	if (!(stored & CIM_POSIX_UID) || view->force_uid)
		p->uid = view->uid;
	if (!(stored & CIM_POSIX_GID) || view->force_gid)
		p->gid = view->gid;
	if (!(stored & CIM_POSIX_MODE) || S_ISLNK(p->mode))
		p->mode = synthesised_mode(view, p->mode & S_IFMT, flags);
}

uint32_t cim_posix_ea_field(const struct cim_ea *ea)
{
	return is_named(ea, CIM_EA_UID)    ? CIM_POSIX_UID
	       : is_named(ea, CIM_EA_GID)  ? CIM_POSIX_GID
	       : is_named(ea, CIM_EA_MODE) ? CIM_POSIX_MODE
	       : is_named(ea, CIM_EA_DEV)  ? CIM_POSIX_DEV
					   : 0;
}

bool cim_posix_is_count(const struct cim_ea *ea)
{
	return is_named(ea, CIM_EA_LINKS);
}

bool cim_posix_ea_made(const struct cim_posix *p, const struct cim_ea *ea)
{
	uint32_t field = cim_posix_ea_field(ea);

	if (!(field & p->stored) || ea->flags || ea->value_size != (field == CIM_POSIX_DEV ? 8 : 4))
		return false;
	switch (field) {
	case CIM_POSIX_UID:
		return cim_load32(ea->value) == p->uid;
	case CIM_POSIX_GID:
		return cim_load32(ea->value) == p->gid;
	case CIM_POSIX_MODE:
		return cim_load32(ea->value) == p->mode;
	default:
		return cim_load32(ea->value) == p->major && cim_load32(ea->value + 4) == p->minor;
	}
}

size_t cim_posix_count_size(const void *list, size_t size)
{
	struct cim_ea_iter it;
	struct cim_ea ea;

	cim_ea_iter_init(&it, list, size);
	if (cim_ea_iter_next(&it, &ea) != 1 || !is_named(&ea, CIM_EA_LINKS))
		return 0;
	return it.off < size ? it.off : size; /* where the next begins, if there is one */
}

static int add_number(struct cim_ea_list *l, const char *name, uint32_t value)
{
	cim_le32 v = cim_put32(value);

	return cim_ea_list_add(l, name, strlen(name), 0, &v, sizeof(v));
}

static int add_device(struct cim_ea_list *l, const struct cim_posix *p)
{
	cim_le32 v[2] = { cim_put32(p->major), cim_put32(p->minor) };

	return cim_ea_list_add(l, CIM_EA_DEV, strlen(CIM_EA_DEV), 0, v, sizeof(v));
}

int cim_posix_encode(const struct cim_posix *p, const void *rest, size_t rest_size,
		     struct cim_ea_list *ret)
{
	struct cim_ea_iter it;
	struct cim_ea ea;
	int r = 0;

	/* First, so that what is behind it is a list by itself: cim_file_windows(). */
	if (!S_ISDIR(p->mode) && p->counted && p->n_links > 1)
		r = add_number(ret, CIM_EA_LINKS, p->n_links);
	else if (!S_ISDIR(p->mode) && !p->counted &&
		 (p->n_links > 1 || (p->stored & CIM_POSIX_MODE)))
		r = add_number(ret, CIM_EA_LINKS, CIM_LINKS_AT_LEAST | p->n_links);
	if (r == 0 && (p->stored & CIM_POSIX_UID))
		r = add_number(ret, CIM_EA_UID, p->uid);
	if (r == 0 && (p->stored & CIM_POSIX_GID))
		r = add_number(ret, CIM_EA_GID, p->gid);
	if (r == 0 && (p->stored & CIM_POSIX_MODE))
		r = add_number(ret, CIM_EA_MODE, p->mode & 0xFFFF);
	if (r == 0 && (p->stored & CIM_POSIX_DEV) && (S_ISCHR(p->mode) || S_ISBLK(p->mode)))
		r = add_device(ret, p);
	cim_ea_iter_init(&it, rest, rest_size);
	while (r == 0 && (r = cim_ea_iter_next(&it, &ea)) == 1)
		r = cim_ea_list_add(ret, ea.name, ea.name_size, ea.flags, ea.value, ea.value_size);
	return r;
}

uint32_t cim_posix_flags(uint32_t mode, bool has_holes, uint32_t old)
{
	uint32_t flags = old & ~(CIM_FLAG_READONLY | CIM_FLAG_ARCHIVE | CIM_FLAG_SPARSE);

	if (!S_ISDIR(mode) && !S_ISLNK(mode))
		flags |= CIM_FLAG_ARCHIVE;
	if (S_ISREG(mode) && !(mode & 0222))
		flags |= CIM_FLAG_READONLY;
	if (has_holes)
		flags |= CIM_FLAG_SPARSE;
	return flags;
}
