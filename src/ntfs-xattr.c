/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "ntfs-xattr.h"

#include <endian.h>
#include <glib.h>
#include <string.h>
#include <sys/xattr.h>

#include "ea.h"
#include "error.h"
#include "le.h"
#include "posix.h"

#define PREFIX         "system."
#define DOSATTRIB_NAME "user.DOSATTRIB"

/* What ntfs-3g lets a caller set: its own mask, without what only directories of NTFS have. */
#define SETTABLE 0x3127u

enum kind {
	ATTRIB,
	ATTRIB_BE,
	DOS_ATTRIB,
	SECURITY,
	TIMES,
	TIMES_BE,
	CRTIME,
	CRTIME_BE,
	DOSATTRIB, /* not among the names below: it is never listed */
	REPARSE,
	EAS,
	NEVER, /* the format has no place for it */
};

static const struct {
	const char *name; /* behind PREFIX */
	enum kind kind;
} names[] = {
	{ "ntfs_attrib", ATTRIB },
	{ "ntfs_attrib_be", ATTRIB_BE },
	{ "dos_attrib", DOS_ATTRIB },
	{ "ntfs_acl", SECURITY },
	{ "ntfs_security", SECURITY },
	{ "ntfs_times", TIMES },
	{ "ntfs_times_be", TIMES_BE },
	{ "ntfs_crtime", CRTIME },
	{ "ntfs_crtime_be", CRTIME_BE },
	{ "ntfs_reparse_data", REPARSE },
	{ "ntfs_ea", EAS },
	{ "ntfs_object_id", NEVER },
	{ "ntfs_dos_name", NEVER },
	{ "ntfs_efsinfo", NEVER },
};

static bool find(const char *name, enum kind *ret)
{
	if (strcmp(name, DOSATTRIB_NAME) == 0) {
		*ret = DOSATTRIB;
		return true;
	}
	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return false;
	name += strlen(PREFIX);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		if (strcmp(name, names[i].name) == 0) {
			*ret = names[i].kind;
			return true;
		}
	}
	return false;
}

bool cim_ntfs_xattr_is(const struct cim_view *view, const char *name)
{
	enum kind kind;

	return find(name, &kind) && (kind != DOSATTRIB || view->dosattrib);
}

/* ---- getting ---- */

static ssize_t give(const void *value, size_t n, void *buf, size_t size)
{
	if (size > 0 && size < n)
		return -ERANGE;
	if (size > 0 && n > 0)
		memcpy(buf, value, n);
	return (ssize_t)n;
}

static ssize_t get_attributes(const struct cim_winmeta *m, bool big_endian, void *buf, size_t size)
{
	uint32_t value = big_endian ? htobe32(m->attributes) : m->attributes;

	return give(&value, sizeof(value), buf, size);
}

static ssize_t get_text(const struct cim_winmeta *m, void *buf, size_t size)
{
	char text[16];
	int n = g_snprintf(text, sizeof(text), "0x%x", m->attributes);

	return give(text, (size_t)n, buf, size);
}

/* As many of them as fit. */
static ssize_t get_times(const struct cim_winmeta *m, bool big_endian, size_t n, void *buf,
			 size_t size)
{
	uint64_t times[4] = { m->created, m->written, m->accessed, m->changed };

	for (size_t i = 0; big_endian && i < 4; i++)
		times[i] = htobe64(times[i]);
	if (size >= sizeof(times[0]))
		n = MIN(n, size / sizeof(times[0]));
	return give(times, n * sizeof(times[0]), buf, size);
}

static bool is_link_count(const struct cim_ea *ea)
{
	return ea->name_size == strlen(CIM_EA_LINKS) &&
	       memcmp(ea->name, CIM_EA_LINKS, ea->name_size) == 0;
}

/*
 * An EA list in the form that NTFS has on disk, or (@on_disk false) that of Windows' API, without
 * the link count, which is no EA of the file's but the format's.  What follows damage is lost.
 */
static int convert_eas(const void *list, size_t size, bool on_disk, struct cim_ea_list *ret)
{
	struct cim_ea_iter it;
	struct cim_ea ea;
	int r = 0;

	cim_ea_iter_init(&it, list, size);
	while (r == 0 && (r = cim_ea_iter_next(&it, &ea)) == 1) {
		r = 0;
		if (!is_link_count(&ea))
			r = cim_ea_list_add(ret, ea.name, ea.name_size, ea.flags, ea.value,
					    ea.value_size);
		else
			continue;
	}
	if (ret->size > 0 && on_disk)
		cim_store32(ret->data + ret->last, (uint32_t)(ret->size - ret->last));
	return r;
}

static ssize_t get_eas(const struct cim_winmeta *m, void *buf, size_t size)
{
	struct cim_ea_list l = { 0 };
	ssize_t r = convert_eas(m->eas, m->eas_size, true, &l);

	if (r != -ENOMEM)
		r = l.size > 0 ? give(l.data, l.size, buf, size) : -ENODATA;
	cim_ea_list_clear(&l);
	return r;
}

ssize_t cim_ntfs_xattr_get(const struct cim_winmeta *m, const char *name, void *buf, size_t size)
{
	uint8_t low = (uint8_t)m->attributes;
	enum kind kind;

	if (!find(name, &kind))
		return -ENODATA;
	switch (kind) {
	case ATTRIB:
	case ATTRIB_BE:
		return get_attributes(m, kind == ATTRIB_BE, buf, size);
	case DOS_ATTRIB:
		return give(&low, sizeof(low), buf, size);
	case SECURITY:
		return m->sd_size > 0 ? give(m->sd, m->sd_size, buf, size) : -ENODATA;
	case TIMES:
	case TIMES_BE:
		return get_times(m, kind == TIMES_BE, 4, buf, size);
	case CRTIME:
	case CRTIME_BE:
		return get_times(m, kind == CRTIME_BE, 1, buf, size);
	case DOSATTRIB:
		return get_text(m, buf, size);
	case REPARSE:
		return m->reparse_size > 0 ? give(m->reparse, m->reparse_size, buf, size)
					   : -ENODATA;
	case EAS:
		return get_eas(m, buf, size);
	case NEVER:
		break;
	}
	return -ENODATA;
}

int cim_ntfs_xattr_list(const struct cim_winmeta *m, int (*fn)(void *arg, const char *name),
			void *arg)
{
	char name[32];
	int r = 0;

	for (size_t i = 0; r == 0 && i < G_N_ELEMENTS(names); i++) {
		g_snprintf(name, sizeof(name), PREFIX "%s", names[i].name);
		if (cim_ntfs_xattr_get(m, name, NULL, 0) >= 0)
			r = fn(arg, name);
	}
	return r;
}

/* ---- setting ---- */

static int wrong_size(const char *name, size_t size)
{
	return cim_fail(EINVAL, "xattr %s: a value of %zu bytes is none", name, size);
}

static void set_attributes(const struct cim_winmeta *old, uint32_t value, uint32_t settable,
			   struct cim_ntfs_change *ret)
{
	ret->mask = CIM_WIN_ATTRIBUTES;
	ret->meta.attributes = (old->attributes & ~settable) | (value & settable);
	ret->now = true;
}

/* Samba's own form has more in it, which does not begin with text: it is refused. */
static int set_text(const struct cim_winmeta *old, const char *name, const void *value, size_t size,
		    struct cim_ntfs_change *ret)
{
	g_autofree char *text = g_strndup(value, size);
	guint64 attributes;

	if (!g_str_has_prefix(text, "0x") || strnlen(value, size) + 1 < size ||
	    !g_ascii_string_to_unsigned(text + 2, 16, 0, UINT32_MAX, &attributes, NULL))
		return cim_fail(EINVAL, "xattr %s: the value is no number as 0x20", name);
	set_attributes(old, (uint32_t)attributes, SETTABLE, ret);
	return 0;
}

static int set_times(const char *name, bool big_endian, size_t max, const void *value, size_t size,
		     struct cim_ntfs_change *ret)
{
	static const unsigned int masks[4] = { CIM_WIN_CREATED, CIM_WIN_WRITTEN, CIM_WIN_ACCESSED,
					       CIM_WIN_CHANGED };
	uint64_t times[4] = { 0 };
	size_t n = size / sizeof(times[0]);

	if (n == 0 || n > max || size % sizeof(times[0]) != 0)
		return wrong_size(name, size);
	memcpy(times, value, size);
	for (size_t i = 0; i < n; i++) {
		if (big_endian)
			times[i] = be64toh(times[i]);
		ret->mask |= masks[i];
	}
	ret->meta.created = times[0];
	ret->meta.written = times[1];
	ret->meta.accessed = times[2];
	ret->meta.changed = times[3];
	ret->now = n < 4;
	return 0;
}

/* What is a directory on Windows stays one, also where it is a link; a mount point always is. */
static void set_reparse(const struct cim_winmeta *old, const void *value, size_t size,
			struct cim_ntfs_change *ret)
{
	ret->mask = CIM_WIN_REPARSE | CIM_WIN_ATTRIBUTES;
	ret->meta.attributes = old->attributes;
	if (size >= 4 && cim_load32(value) == CIM_TAG_MOUNT_POINT)
		ret->meta.attributes |= CIM_ATTRIBUTE_DIRECTORY;
	ret->meta.reparse = value;
	ret->meta.reparse_size = size;
	ret->now = true;
}

static int set_eas(const char *name, const void *value, size_t size, struct cim_ntfs_change *ret)
{
	struct cim_ea_list l = { 0 };
	int r = convert_eas(value, size, false, &l);

	if (r < 0) {
		cim_ea_list_clear(&l);
		return r == -CIM_ECORRUPT ? cim_fail(EINVAL, "xattr %s is no list of EAs", name)
					  : r;
	}
	ret->mask = CIM_WIN_EAS;
	ret->meta.eas_size = l.size;
	ret->meta.eas = ret->owned = g_memdup2(l.data, l.size);
	ret->now = true;
	cim_ea_list_clear(&l);
	return 0;
}

static int set_value(const struct cim_winmeta *old, enum kind kind, const char *name,
		     const void *value, size_t size, struct cim_ntfs_change *ret)
{
	uint32_t attributes;

	switch (kind) {
	case ATTRIB:
	case ATTRIB_BE:
		if (size != sizeof(attributes))
			return wrong_size(name, size);
		memcpy(&attributes, value, sizeof(attributes));
		set_attributes(old, kind == ATTRIB_BE ? be32toh(attributes) : attributes, SETTABLE,
			       ret);
		return 0;
	case DOS_ATTRIB:
		if (size != 1)
			return wrong_size(name, size);
		set_attributes(old, *(const uint8_t *)value, SETTABLE & 0xFF, ret);
		return 0;
	case SECURITY:
		if (size == 0)
			return wrong_size(name, size);
		ret->mask = CIM_WIN_SECURITY;
		ret->meta.sd = value;
		ret->meta.sd_size = size;
		ret->now = true;
		return 0;
	case TIMES:
	case TIMES_BE:
		return set_times(name, kind == TIMES_BE, 4, value, size, ret);
	case CRTIME:
	case CRTIME_BE:
		return set_times(name, kind == CRTIME_BE, 1, value, size, ret);
	case DOSATTRIB:
		return set_text(old, name, value, size, ret);
	case REPARSE:
		if (size == 0)
			return wrong_size(name, size);
		set_reparse(old, value, size, ret);
		return 0;
	case EAS:
		return set_eas(name, value, size, ret);
	case NEVER:
		break;
	}
	return cim_fail(EOPNOTSUPP, "xattr %s: images have no place for it", name);
}

/* What every file has can be set and not created. */
static bool always_there(enum kind kind)
{
	return kind <= DOSATTRIB;
}

int cim_ntfs_xattr_set(const struct cim_winmeta *old, const char *name, const void *value,
		       size_t size, int flags, struct cim_ntfs_change *ret)
{
	enum kind kind;

	*ret = (struct cim_ntfs_change){ 0 };
	if (!find(name, &kind))
		return -EOPNOTSUPP;
	bool exists = always_there(kind) || cim_ntfs_xattr_get(old, name, NULL, 0) >= 0;
	if (exists && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!exists && (flags & XATTR_REPLACE))
		return -ENODATA;
	return set_value(old, kind, name, value, size, ret);
}

int cim_ntfs_xattr_remove(const struct cim_winmeta *old, const char *name,
			  struct cim_ntfs_change *ret)
{
	enum kind kind;

	*ret = (struct cim_ntfs_change){ .now = true };
	if (!find(name, &kind))
		return -ENODATA;
	if (always_there(kind))
		return cim_fail(EPERM, "xattr %s: every file has it", name);
	if (cim_ntfs_xattr_get(old, name, NULL, 0) < 0)
		return -ENODATA;
	if (kind == EAS)
		ret->mask = CIM_WIN_EAS;
	else
		set_reparse(old, NULL, 0, ret);
	return 0;
}
