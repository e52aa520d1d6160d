/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reparse buffers: bytes to what Linux makes of them, and symlinks and special files to bytes.
 *
 * The only place where a reparse buffer is looked into.  Knows nothing of the file that it
 * belongs to: permissions, $LXDEV and the way from "/…" to a place in an image are for the
 * callers.
 */
#include "config.h"

#include "reparse.h"

#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "le.h"
#include "name.h"

#define TAG_MICROSOFT 0x80000000u /* else a vendor's GUID stands before the data */
#define GUID_SIZE     16

#define SYMLINK_RELATIVE  1u
#define LX_TARGET_IN_DATA 1
#define LX_TARGET_FOLLOWS 2

#define NFS_LNK  0x014B4E4Cu
#define NFS_CHR  0x00524843u
#define NFS_BLK  0x004B4C42u
#define NFS_FIFO 0x4F464946u
#define NFS_SOCK 0x4B434F53u

struct reparse_header {
	cim_le32 tag;
	cim_le16 data_size;
	cim_le16 reserved;
};

/* Offsets are from the end of the fixed part, which is this and, in a SYMLINK, the flags. */
struct reparse_names {
	cim_le16 substitute_off;
	cim_le16 substitute_size;
	cim_le16 print_off;
	cim_le16 print_size;
};

struct reparse_symlink {
	struct reparse_names names;
	cim_le32 flags;
};

struct reparse_nfs {
	cim_le64 type;
	uint8_t rest[];
};

struct reparse_rdev {
	cim_le32 major;
	cim_le32 minor;
};

_Static_assert(sizeof(struct reparse_header) == 8, "layout of REPARSE_DATA_BUFFER");
_Static_assert(sizeof(struct reparse_names) == 8, "layout of MountPointReparseBuffer");
_Static_assert(sizeof(struct reparse_symlink) == 12, "layout of SymbolicLinkReparseBuffer");

/* The longest target whose two copies leave room for the rest of a SYMLINK. */
#define NATIVE_UNITS_MAX                                                                      \
	((CIM_REPARSE_MAX - sizeof(struct reparse_header) - sizeof(struct reparse_symlink)) / \
	 (2 * sizeof(uint16_t)))

static const struct {
	uint32_t tag;
	uint32_t type;
} specials[] = {
	{ CIM_TAG_AF_UNIX, S_IFSOCK },
	{ CIM_TAG_LX_FIFO, S_IFIFO },
	{ CIM_TAG_LX_CHR, S_IFCHR },
	{ CIM_TAG_LX_BLK, S_IFBLK },
};
#define N_SPECIALS (sizeof(specials) / sizeof(specials[0]))

/* Bytes that are known to be there. */
struct span {
	const uint8_t *at;
	size_t size;
};

static int sub_span(struct span s, size_t off, size_t size, struct span *ret)
{
	if (off > s.size || size > s.size - off)
		return cim_fail(CIM_ECORRUPT, "reparse buffer: %zu bytes at %zu are not in its %zu",
				size, off, s.size);
	*ret = (struct span){ s.at + off, size };
	return 0;
}

static void span_skip(struct span *s, size_t size)
{
	s->at += size;
	s->size -= size;
}

/* What follows is for spans that are UTF-16 names: their size is even. */

static uint16_t name_unit(struct span name, size_t i)
{
	return i < name.size / 2 ? cim_load16(name.at + 2 * i) : 0;
}

static bool name_equal(struct span a, struct span b)
{
	return a.size == b.size && memcmp(a.at, b.at, a.size) == 0;
}

static bool is_ascii_letter(uint16_t unit)
{
	return (unit >= 'A' && unit <= 'Z') || (unit >= 'a' && unit <= 'z');
}

/* Compares without ASCII case, as the object manager does. */
static bool name_starts(struct span name, const char *prefix)
{
	for (size_t i = 0; prefix[i]; i++) {
		uint16_t unit = name_unit(name, i), want = (unsigned char)prefix[i];

		if (unit != want && !(is_ascii_letter(want) && (unit ^ want) == ('a' ^ 'A')))
			return false;
	}
	return true;
}

static bool name_starts_with_drive(struct span name)
{
	return is_ascii_letter(name_unit(name, 0)) && name_unit(name, 1) == ':' &&
	       (name.size == 4 || name_unit(name, 2) == '\\');
}

/*
 * A path of units to a Linux target.  cim_name_decode() takes all components at once,
 * because '/' is part of no escape and of no surrogate pair.
 * @separator: the unit that becomes '/'
 * @rooted: begin with one '/'
 * @ret: NULL, or room for CIM_SYMLINK_MAX + 1 bytes
 */
static int decode_target(struct span name, uint16_t separator, bool rooted, char *ret)
{
	uint16_t units[CIM_SYMLINK_MAX];
	char bytes[3 * CIM_SYMLINK_MAX];
	size_t n = 0;

	if (rooted) {
		units[n++] = '/';
		while (name_unit(name, 0) == separator)
			span_skip(&name, 2);
	}
	/* A unit makes a byte at least, so that what passes here bounds the arrays. */
	if (name.size / 2 > CIM_SYMLINK_MAX - n)
		return cim_fail(CIM_ECORRUPT, "a symlink target of %zu units; %d bytes can be read",
				name.size / 2, CIM_SYMLINK_MAX);
	for (; name.size; span_skip(&name, 2)) {
		uint16_t unit = name_unit(name, 0);

		if (unit == 0)
			return cim_fail(CIM_ECORRUPT, "a symlink target has a NUL at unit %zu", n);
		units[n++] = unit == separator ? '/' : unit;
	}

	size_t size = cim_name_decode(units, n, bytes);
	if (size == 0 || size > CIM_SYMLINK_MAX)
		return cim_fail(CIM_ECORRUPT, "a symlink target of %zu bytes; it may have 1 to %d",
				size, CIM_SYMLINK_MAX);
	if (ret) {
		memcpy(ret, bytes, size);
		ret[size] = '\0';
	}
	return 0;
}

/* "\??\C:\x\y" to "/x/y"; what is no drive ("UNC\…", "Volume{…}\…") stays as a component. */
static int decode_absolute(struct span name, struct cim_reparse *ret, char *ret_target)
{
	static const char *const prefixes[] = {
		"\\??\\",
		"\\\\?\\",
		"\\DosDevices\\",
		"\\GLOBAL??\\",
	};

	if (name.size == 0)
		return cim_fail(CIM_ECORRUPT, "a reparse buffer has an empty target");
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (name_starts(name, prefixes[i])) {
			span_skip(&name, 2 * strlen(prefixes[i]));
			break;
		}
	}
	if (name_starts_with_drive(name)) {
		ret->drive = (char)(name_unit(name, 0) | ('a' ^ 'A'));
		span_skip(&name, 4);
	}

	int r = decode_target(name, '\\', true, ret_target);
	if (r < 0)
		return r;
	ret->type = S_IFLNK;
	ret->absolute = true;
	return 0;
}

/*
 * ntfs3 stores every target, relative ones too, as "\??\" + target without the relative
 * flag, and the bare target as the print name.  Windows' own begin with a device.
 */
static bool is_ntfs3_symlink(struct span substitute, struct span print)
{
	if (!name_starts(substitute, "\\??\\"))
		return false;
	span_skip(&substitute, 2 * strlen("\\??\\"));
	return substitute.size > 0 && name_equal(substitute, print) &&
	       !name_starts_with_drive(substitute) && !name_starts(substitute, "UNC\\") &&
	       !name_starts(substitute, "Volume{") && !name_starts(substitute, "GLOBALROOT\\");
}

/* The two names; @fixed_size bytes stand before them and have been checked to be there. */
static int parse_names(struct span data, size_t fixed_size, struct span *ret_substitute,
		       struct span *ret_print)
{
	const struct reparse_names *names = (const void *)data.at;
	struct span path = data;

	span_skip(&path, fixed_size);
	if ((cim_get16(names->substitute_off) | cim_get16(names->substitute_size) |
	     cim_get16(names->print_off) | cim_get16(names->print_size)) &
	    1)
		return cim_fail(CIM_ECORRUPT, "reparse buffer: a name has half a unit");

	int r = sub_span(path, cim_get16(names->substitute_off), cim_get16(names->substitute_size),
			 ret_substitute);
	if (r < 0)
		return r;
	return sub_span(path, cim_get16(names->print_off), cim_get16(names->print_size), ret_print);
}

static int too_short(struct span data, uint32_t tag)
{
	return cim_fail(CIM_ECORRUPT, "reparse data of tag 0x%08x ends after %zu bytes", tag,
			data.size);
}

static int parse_symlink(struct span data, struct cim_reparse *ret, char *ret_target)
{
	const struct reparse_symlink *link = (const void *)data.at;
	struct span substitute, print;

	if (data.size < sizeof(*link))
		return too_short(data, CIM_TAG_SYMLINK);

	int r = parse_names(data, sizeof(*link), &substitute, &print);
	if (r < 0)
		return r;

	bool relative = cim_get32(link->flags) & SYMLINK_RELATIVE;
	bool from_volume_root = relative && name_unit(substitute, 0) == '\\';
	if (from_volume_root || (!relative && !is_ntfs3_symlink(substitute, print))) {
		ret->same_volume = from_volume_root;
		return decode_absolute(substitute, ret, ret_target);
	}

	r = decode_target(relative ? substitute : print, '\\', false, ret_target);
	if (r < 0)
		return r;
	ret->type = S_IFLNK;
	return 0;
}

static int parse_mount_point(struct span data, struct cim_reparse *ret, char *ret_target)
{
	struct span substitute, print;

	if (data.size < sizeof(struct reparse_names))
		return too_short(data, CIM_TAG_MOUNT_POINT);

	int r = parse_names(data, sizeof(struct reparse_names), &substitute, &print);
	return r < 0 ? r : decode_absolute(substitute, ret, ret_target);
}

static int raw_target(struct span data, size_t fixed_size, uint32_t tag, char *ret)
{
	uint16_t units[CIM_SYMLINK_MAX];
	char bytes[3 * CIM_SYMLINK_MAX];
	struct span substitute, print;
	size_t n = 0;

	if (data.size < fixed_size)
		return too_short(data, tag);
	int r = parse_names(data, fixed_size, &substitute, &print);
	if (r < 0)
		return r;
	for (; n < CIM_SYMLINK_MAX && n < substitute.size / 2; n++)
		units[n] = name_unit(substitute, n);
	size_t size = cim_name_plain(units, n, bytes);
	if (n < substitute.size / 2 || size == 0 || size > CIM_SYMLINK_MAX ||
	    memchr(bytes, '\0', size))
		return cim_fail(CIM_ECORRUPT, "a symlink target of %zu units cannot be shown",
				substitute.size / 2);
	memcpy(ret, bytes, size);
	ret[size] = '\0';
	return (int)size;
}

static int parse_lx_symlink(struct span data, struct cim_reparse *ret, char *ret_target)
{
	if (data.size < sizeof(cim_le32))
		return too_short(data, CIM_TAG_LX_SYMLINK);

	uint32_t version = cim_load32(data.at);
	if (version != LX_TARGET_IN_DATA && version != LX_TARGET_FOLLOWS)
		return cim_fail(CIM_ECORRUPT, "an LX symlink of version %u; 1 and 2 are known",
				version);

	span_skip(&data, sizeof(cim_le32));
	if (version == LX_TARGET_IN_DATA) {
		ret->target_is_data = true;
	} else if (data.size == 0 || data.size > CIM_SYMLINK_MAX) {
		return cim_fail(CIM_ECORRUPT, "a symlink target of %zu bytes; it may have 1 to %d",
				data.size, CIM_SYMLINK_MAX);
	} else if (memchr(data.at, '\0', data.size)) {
		return cim_fail(CIM_ECORRUPT, "an LX symlink's target has a NUL");
	} else if (ret_target) {
		memcpy(ret_target, data.at, data.size);
		ret_target[data.size] = '\0';
	}
	ret->type = S_IFLNK;
	return 0;
}

static int parse_nfs_device(struct span data, uint32_t type, struct cim_reparse *ret)
{
	const struct reparse_rdev *rdev = (const void *)data.at;

	if (data.size < sizeof(*rdev))
		return too_short(data, CIM_TAG_NFS);
	ret->type = type;
	ret->has_rdev = true;
	ret->major = cim_get32(rdev->major);
	ret->minor = cim_get32(rdev->minor);
	return 0;
}

static int parse_nfs_symlink(struct span data, struct cim_reparse *ret, char *ret_target)
{
	if (data.size % 2)
		return cim_fail(CIM_ECORRUPT, "an NFS symlink's target has half a unit");

	int r = decode_target(data, '/', false, ret_target);
	if (r < 0)
		return r;
	ret->type = S_IFLNK;
	return 0;
}

static int parse_nfs(struct span data, struct cim_reparse *ret, char *ret_target)
{
	const struct reparse_nfs *nfs = (const void *)data.at;

	if (data.size < sizeof(*nfs))
		return too_short(data, CIM_TAG_NFS);
	span_skip(&data, sizeof(*nfs));

	switch (cim_get64(nfs->type)) {
	case NFS_LNK:
		return parse_nfs_symlink(data, ret, ret_target);
	case NFS_CHR:
		return parse_nfs_device(data, S_IFCHR, ret);
	case NFS_BLK:
		return parse_nfs_device(data, S_IFBLK, ret);
	case NFS_FIFO:
		ret->type = S_IFIFO;
		return 0;
	case NFS_SOCK:
		ret->type = S_IFSOCK;
		return 0;
	default:
		return 0;
	}
}

/* Tags that say all by themselves, and those that mean nothing here. */
static int parse_bare(struct span data, uint32_t tag, struct cim_reparse *ret)
{
	for (size_t i = 0; i < N_SPECIALS; i++) {
		if (specials[i].tag != tag)
			continue;
		if (data.size)
			return cim_fail(CIM_ECORRUPT,
					"a special file has %zu bytes of reparse data", data.size);
		ret->type = specials[i].type;
	}
	return 0;
}

static int parse_data(struct span data, uint32_t tag, struct cim_reparse *ret, char *ret_target)
{
	switch (tag) {
	case CIM_TAG_SYMLINK:
		return parse_symlink(data, ret, ret_target);
	case CIM_TAG_MOUNT_POINT:
		return parse_mount_point(data, ret, ret_target);
	case CIM_TAG_LX_SYMLINK:
		return parse_lx_symlink(data, ret, ret_target);
	case CIM_TAG_NFS:
		return parse_nfs(data, ret, ret_target);
	default:
		return parse_bare(data, tag, ret);
	}
}

/* The tag of a buffer, and what stands behind its header. */
static int parse_header(const void *buf, size_t size, uint32_t *ret_tag, struct span *ret)
{
	const struct reparse_header *h = buf;
	struct span whole = { buf, size };

	if (size < sizeof(*h))
		return cim_fail(CIM_ECORRUPT, "a reparse buffer of %zu bytes", size);
	*ret_tag = cim_get32(h->tag);
	size_t fixed_size = sizeof(*h) + (*ret_tag & TAG_MICROSOFT ? 0 : GUID_SIZE);
	return sub_span(whole, fixed_size, cim_get16(h->data_size), ret);
}

int cim_reparse_raw_target(const void *buf, size_t size, char *ret)
{
	struct span data;
	uint32_t tag;
	int r = parse_header(buf, size, &tag, &data);

	if (r < 0)
		return r;
	if (tag == CIM_TAG_SYMLINK)
		return raw_target(data, sizeof(struct reparse_symlink), tag, ret);
	if (tag == CIM_TAG_MOUNT_POINT)
		return raw_target(data, sizeof(struct reparse_names), tag, ret);
	return -EINVAL;
}

int cim_reparse_parse(const void *buf, size_t size, uint32_t tag, struct cim_reparse *ret,
		      char *ret_target)
{
	struct cim_reparse found = { 0 };
	struct span data = { buf, size };
	int r = size ? parse_header(buf, size, &tag, &data) : 0;

	if (r < 0)
		return r;
	r = parse_data(data, tag, &found, ret_target);
	if (r < 0)
		return r;
	*ret = found;
	return 0;
}

/* What a buffer of a known tag must have, whatever becomes of it on Linux. */
static int check_data(struct span data, uint32_t tag)
{
	struct cim_reparse ignored = { 0 };
	struct span substitute, print;

	switch (tag) {
	case CIM_TAG_SYMLINK:
		if (data.size < sizeof(struct reparse_symlink))
			return too_short(data, tag);
		return parse_names(data, sizeof(struct reparse_symlink), &substitute, &print);
	case CIM_TAG_MOUNT_POINT:
		if (data.size < sizeof(struct reparse_names))
			return too_short(data, tag);
		return parse_names(data, sizeof(struct reparse_names), &substitute, &print);
	case CIM_TAG_LX_SYMLINK:
		return data.size < sizeof(cim_le32) ? too_short(data, tag) : 0;
	case CIM_TAG_NFS:
		return data.size < sizeof(struct reparse_nfs) ? too_short(data, tag) : 0;
	default:
		return parse_bare(data, tag, &ignored);
	}
}

int cim_reparse_check(const void *buf, size_t size)
{
	const struct reparse_header *h = buf;

	if (size < sizeof(*h) || size > CIM_REPARSE_MAX)
		return cim_fail(EINVAL, "a reparse buffer of %zu bytes; it has %zu to %d", size,
				sizeof(*h), CIM_REPARSE_MAX);
	uint32_t tag = cim_get32(h->tag);
	if (tag == 0)
		return cim_fail(EINVAL, "a reparse buffer without a tag");
	size_t fixed_size = sizeof(*h) + (tag & TAG_MICROSOFT ? 0 : GUID_SIZE);
	if (size < fixed_size || size - fixed_size != cim_get16(h->data_size))
		return cim_fail(
			EINVAL,
			"a reparse buffer of %zu bytes and tag 0x%08x says it has %u of data", size,
			tag, cim_get16(h->data_size));
	struct span data = { (const uint8_t *)buf + fixed_size, size - fixed_size };
	return check_data(data, tag) < 0 ? -EINVAL : 0;
}

static void put_header(uint32_t tag, size_t data_size, uint8_t *ret)
{
	const struct reparse_header h = {
		.tag = cim_put32(tag),
		.data_size = cim_put16(data_size),
	};
	memcpy(ret, &h, sizeof(h));
}

int cim_reparse_lx_symlink(const char *target, uint8_t *ret)
{
	size_t n = strlen(target);
	size_t data_size = sizeof(cim_le32) + n;

	if (n == 0)
		return cim_fail(ENOENT, "a symlink without a target");
	if (n > CIM_SYMLINK_MAX)
		return cim_fail(ENAMETOOLONG, "a symlink target of %zu bytes; it may have %d", n,
				CIM_SYMLINK_MAX);

	put_header(CIM_TAG_LX_SYMLINK, data_size, ret);
	ret += sizeof(struct reparse_header);
	cim_store32(ret, LX_TARGET_FOLLOWS);
	memcpy(ret + sizeof(cim_le32), target, n);
	return sizeof(struct reparse_header) + data_size;
}

/* Relative, and every component there: what Windows and Linux would walk alike. */
static bool is_native_path(const char *target, size_t n)
{
	return n > 0 && n <= CIM_SYMLINK_MAX && target[0] != '/' && target[n - 1] != '/' &&
	       !strstr(target, "//");
}

int cim_reparse_symlink(const char *target, uint8_t *ret)
{
	uint16_t units[CIM_SYMLINK_MAX];
	size_t n = strlen(target);

	if (!is_native_path(target, n))
		return 0;

	/* As in decode_target(), '/' separates components without their being taken apart. */
	n = cim_name_encode(target, n, units);
	if (n > NATIVE_UNITS_MAX)
		return 0;

	size_t name_size = n * sizeof(uint16_t);
	const struct reparse_symlink link = {
		.names.substitute_off = cim_put16(name_size),
		.names.substitute_size = cim_put16(name_size),
		.names.print_size = cim_put16(name_size),
		.flags = cim_put32(SYMLINK_RELATIVE),
	};
	size_t data_size = sizeof(link) + 2 * name_size;
	uint8_t *p = ret;

	put_header(CIM_TAG_SYMLINK, data_size, p);
	p += sizeof(struct reparse_header);
	memcpy(p, &link, sizeof(link));
	p += sizeof(link);
	for (size_t i = 0; i < n; i++)
		cim_store16(p + 2 * i, units[i] == '/' ? '\\' : units[i]);
	memcpy(p + name_size, p, name_size);

	/* The reader is the judge: no target is stored that would come back as another. */
	struct cim_reparse back;
	char read[CIM_SYMLINK_MAX + 1];
	size_t size = sizeof(struct reparse_header) + data_size;
	if (cim_reparse_parse(ret, size, CIM_TAG_SYMLINK, &back, read) < 0 ||
	    strcmp(read, target) != 0)
		return 0;
	return size;
}

int cim_reparse_special(uint32_t type, uint8_t *ret)
{
	for (size_t i = 0; i < N_SPECIALS; i++) {
		if (specials[i].type == type) {
			put_header(specials[i].tag, 0, ret);
			return sizeof(struct reparse_header);
		}
	}
	return 0;
}
