/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Extended attributes as the format holds them: a FILE_FULL_EA_INFORMATION list.
 *
 * Each entry: u32 offset of the next (0 in the last), u8 flags, u8 name length,
 * u16 value length, name, NUL, value; entries start on 4-byte boundaries
 * (metadata.md §3).  The list in an image is hostile: the iterator checks every
 * length and stops at the first lie.
 */
#ifndef CIM_EA_H
#define CIM_EA_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIM_EA_LIST_MAX  0xFFFF /* bytes of a list: the file entry has 16 bits */
#define CIM_EA_NAME_MAX  254    /* bytes of a name that Windows accepts */
#define CIM_EA_VALUE_MAX 0xFFFF

struct cim_ea {
	const char *name; /* not NUL-terminated in a hostile list; use @name_size */
	const uint8_t *value;
	uint16_t value_size;
	uint8_t name_size;
	uint8_t flags;
};

struct cim_ea_iter {
	const uint8_t *list;
	size_t size;
	size_t off; /* of the next entry; SIZE_MAX at the end */
};

/** cim_ea_iter_init - start at the first entry of a list of @size bytes (0: no entries) */
void cim_ea_iter_init(struct cim_ea_iter *it, const void *list, size_t size);

/**
 * cim_ea_iter_next - the next entry
 * @ret: points into the list
 *
 * Returns 1, 0 at the end, -CIM_ECORRUPT if an entry does not lie inside the list,
 * the next one does not lie behind it, or a name is empty.  Accepts a last entry
 * with and without padding and with a next offset of its own padded size that ends the
 * list (the NTFS on-disk form).  After an error the iterator stays, and says it again.
 */
int cim_ea_iter_next(struct cim_ea_iter *it, struct cim_ea *ret);

/**
 * cim_ea_find - the first entry of a name, compared without ASCII case
 *
 * Returns 1, 0 if there is none, -CIM_ECORRUPT as above.
 *
 * Not for xattrs that were stored with capitals: "LX.USER.FOO" and "LX.user.Foo" are one name
 * here and two xattrs.  Who looks for those iterates and asks cim_ea_to_xattr().
 */
int cim_ea_find(const void *list, size_t size, const char *name, struct cim_ea *ret);

/**
 * A list under construction: entries are appended in the order given.
 * Zero-initialise; free with cim_ea_list_clear().
 */
struct cim_ea_list {
	uint8_t *data; /* malloc'ed */
	size_t size;   /* bytes, padded to 4 */
	size_t last;   /* offset of the last entry */
	size_t room;
};

/**
 * cim_ea_list_add - append an entry
 * Returns 0, -ENOMEM, -EINVAL (name length 0 or over 255), -E2BIG (value over 65535, or the
 * list would pass CIM_EA_LIST_MAX).  On failure the list is as before.
 */
int cim_ea_list_add(struct cim_ea_list *l, const char *name, size_t name_size, uint8_t flags,
		    const void *value, size_t value_size);
void cim_ea_list_clear(struct cim_ea_list *l);

/*
 * Linux xattrs as EAs (metadata.md §1.5, §10.1): user., security. and trusted. become
 * "LX." + name (ASCII upper-cased when the name has no A-Z, else verbatim) with the
 * value prefixed by "lxea"; system.posix_acl_access/default keep their literal name and
 * raw value.
 */
#define CIM_XATTR_NAME_MAX 255

/**
 * cim_ea_from_xattr - the EA name of an xattr
 * @xattr: NUL-terminated Linux name
 * @ret: room for CIM_XATTR_NAME_MAX + 4 bytes, NUL-terminated
 * @ret_prefixed: whether the value carries the "lxea" prefix
 *
 * Returns the name's length in bytes; -EOPNOTSUPP (namespace that is not stored, or no name
 * behind it);
 * -ENAMETOOLONG (over 251 bytes, or over CIM_EA_NAME_MAX: it must be stored as a stream).
 */
int cim_ea_from_xattr(const char *xattr, char *ret, bool *ret_prefixed);

/**
 * cim_ea_to_xattr - the Linux name and value of an EA
 * @ea: an entry; also the literal names of ntfs3 and wimlib ("user.foo") are understood
 * @ret_name: room for CIM_XATTR_NAME_MAX + 1 bytes
 * @ret_value, @ret_value_size: points into the entry, prefix removed
 *
 * Returns 1, or 0 if the EA is no Linux xattr ($LXUID and its kin, foreign EAs, names
 * with a NUL inside).
 */
int cim_ea_to_xattr(const struct cim_ea *ea, char *ret_name, const uint8_t **ret_value,
		    size_t *ret_value_size);

/*
 * All xattrs of a list, in its order, each name once but for literal doubles of new ones; the old
 * ones of LXXATTR (WSL 1's LxFs, metadata.md §1.6) last.  Damage ends the walk.  A walk ends,
 * whenever, with cim_xattr_iter_clear().
 */
struct cim_xattr_iter {
	struct cim_ea_iter eas;
	const uint8_t *old; /* records of LXXATTR that are left */
	size_t old_size;
	GTree *names; /* of the xattrs but the old ones left, once that matters */
};

void cim_xattr_iter_init(struct cim_xattr_iter *it, const void *list, size_t size);

/**
 * cim_xattr_iter_next - the next xattr
 * @ret_name: room for CIM_XATTR_NAME_MAX + 1 bytes
 * @ret_value, @ret_value_size: points into the list
 * Returns 1, or 0 at the end.
 */
int cim_xattr_iter_next(struct cim_xattr_iter *it, char *ret_name, const uint8_t **ret_value,
			size_t *ret_value_size);

/** cim_xattr_iter_met - at the end of a walk: whether the list has an xattr of this name */
bool cim_xattr_iter_met(struct cim_xattr_iter *it, const char *name);
void cim_xattr_iter_clear(struct cim_xattr_iter *it);

/** cim_xattr_find - the value of an xattr, in one pass; 1 or 0 */
int cim_xattr_find(const void *list, size_t size, const char *name, const uint8_t **ret_value,
		   size_t *ret_value_size);

#define CIM_EA_OLD_XATTRS "LXXATTR"

/**
 * cim_ea_old_without - the value of LXXATTR without an xattr
 * @ret: room for @ea->value_size bytes
 * Returns its size in bytes, 0 if nothing is left, or -ENODATA if it has no such xattr.
 */
int cim_ea_old_without(const struct cim_ea *ea, const char *name, uint8_t *ret);

#endif
