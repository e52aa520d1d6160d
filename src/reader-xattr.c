/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Extended attributes of an image's files: EAs, alternate data streams, and the names by which
 * Windows' metadata is answered.
 */
#include "config.h"

#include <stdio.h>

#include "error.h"
#include "ntfs-xattr.h"
#include "reader.h"

#define XATTR_VALUE_MAX 65536
#define STREAM_PREFIX   "ntfs-3g." /* ntfs-3g's name for xattrs outside user. kept in streams */

int cim_file_streams(const struct cim_image *img, const struct cim_entry *e, struct cim_links *ret)
{
	uint16_t name[CIM_NAME_UNITS];
	const uint8_t *p;
	uint64_t n;

	*ret = (struct cim_links){ .entry_size = CIM_LINK_STREAM };
	if (!e->streams_off)
		return 0;
	int r = cim_image_span(img, e->streams_off, &p, &n);
	if (r < 0)
		return r;
	/* Some writers put the table's length before it once more. */
	if (cim_links_parse(p, n, CIM_LINK_STREAM, ret) == 0 &&
	    (ret->n == 0 || cim_links_name(ret, 0, name) > 0))
		return 0;
	*ret = (struct cim_links){ .entry_size = CIM_LINK_STREAM };
	return n > 4 ? cim_links_parse(p + 4, n - 4, CIM_LINK_STREAM, ret) : -CIM_ECORRUPT;
}

int cim_file_stream_by_name(const struct cim_image *img, const struct cim_entry *e,
			    const char *name, struct cim_stream *ret)
{
	struct cim_links l;
	uint32_t i;
	int r = cim_file_streams(img, e, &l);

	if (r == 0)
		r = cim_links_find_bytes(img, &l, name, strlen(name), &i);
	if (r < 0)
		return r;
	return r ? cim_links_stream(&l, i, ret)
		 : cim_fail(ENOENT, "the file has no stream \"%.255s\"", name);
}

int cim_stream_xattr_name(const uint16_t *units, size_t n, char ret[CIM_XATTR_NAME_MAX + 1])
{
	char shown[CIM_NAME_BYTES + 1];
	int size = cim_name_shown(units, n, shown);
	const size_t prefix = strlen(STREAM_PREFIX);

	if (size < 0)
		return -EILSEQ;
	if ((size_t)size > prefix && memcmp(shown, STREAM_PREFIX, prefix) == 0)
		size = snprintf(ret, CIM_XATTR_NAME_MAX + 1, "%s", shown + prefix);
	else
		size = snprintf(ret, CIM_XATTR_NAME_MAX + 1, "user.%s", shown);
	return size <= CIM_XATTR_NAME_MAX ? 0 : -EILSEQ;
}

int cim_stream_xattr_shown(const struct cim_view *view, const uint16_t *units, size_t n,
			   char ret[CIM_XATTR_NAME_MAX + 1])
{
	char shown[CIM_NAME_BYTES + 1];
	int size;

	switch (view->streams) {
	case CIM_STREAMS_XATTR:
		return cim_stream_xattr_name(units, n, ret);
	case CIM_STREAMS_OPENXATTR:
		size = cim_name_shown(units, n, shown);
		if (size < 0 || size > CIM_XATTR_NAME_MAX)
			return -EILSEQ;
		memcpy(ret, shown, (size_t)size + 1);
		return 0;
	case CIM_STREAMS_NONE:
	case CIM_STREAMS_WINDOWS:
	default:
		return -EILSEQ;
	}
}

static bool has_ea_xattr(const uint8_t *eas, size_t eas_size, const char *name,
			 const uint8_t **ret_value, size_t *ret_size)
{
	return cim_xattr_find(eas, eas_size, name, ret_value, ret_size) == 1;
}

static ssize_t get_ntfs_xattr(const struct cim_image *img, const struct cim_entry *e,
			      const char *name, void *buf, size_t size)
{
	struct cim_winmeta m;
	int r = cim_file_windows(img, e, &m);

	return r < 0 ? r : cim_ntfs_xattr_get(&m, name, buf, size);
}

static int list_ntfs_xattrs(const struct cim_image *img, const struct cim_entry *e, cim_xattr_fn fn,
			    void *arg)
{
	struct cim_winmeta m;
	int r = img->view.list_ntfs_xattrs ? cim_file_windows(img, e, &m) : 0;

	return r < 0 || !img->view.list_ntfs_xattrs ? r : cim_ntfs_xattr_list(&m, fn, arg);
}

static bool find_stream_xattr(const struct cim_image *img, const struct cim_entry *e,
			      const char *name, struct cim_stream *ret)
{
	char this_name[CIM_XATTR_NAME_MAX + 1];
	uint16_t units[CIM_NAME_UNITS];
	struct cim_links l;

	if (cim_file_streams(img, e, &l) < 0)
		return false;
	for (uint32_t i = 0; i < l.n; i++) {
		int n = cim_links_name(&l, i, units);

		if (n > 0 && cim_stream_xattr_shown(&img->view, units, (size_t)n, this_name) == 0 &&
		    strcmp(this_name, name) == 0)
			return cim_links_stream(&l, i, ret) == 0;
	}
	return false;
}

/* Those that no EA hides; @eas: a walk over the EAs, at its end. */
static int list_stream_xattrs(const struct cim_image *img, const struct cim_entry *e,
			      struct cim_xattr_iter *eas, cim_xattr_fn fn, void *arg)
{
	char name[CIM_XATTR_NAME_MAX + 1];
	uint16_t units[CIM_NAME_UNITS];
	struct cim_stream stream;
	struct cim_links l;
	int r = 0;

	if (cim_file_streams(img, e, &l) < 0)
		return 0;
	for (uint32_t i = 0; r == 0 && i < l.n; i++) {
		int n = cim_links_name(&l, i, units);

		/* What no getxattr() could return is not listed: copying tools would fail on it. */
		if (n > 0 && cim_stream_xattr_shown(&img->view, units, (size_t)n, name) == 0 &&
		    cim_links_stream(&l, i, &stream) == 0 && stream.size <= XATTR_VALUE_MAX &&
		    !cim_xattr_iter_met(eas, name))
			r = fn(arg, name);
	}
	return r;
}

int cim_file_list_xattrs(const struct cim_image *img, const struct cim_entry *e, cim_xattr_fn fn,
			 void *arg)
{
	char name[CIM_XATTR_NAME_MAX + 1];
	const uint8_t *eas, *value;
	size_t eas_size, value_size;
	struct cim_xattr_iter it;
	int r = 0;

	cim_file_eas(img, e, &eas, &eas_size);
	cim_xattr_iter_init(&it, eas, eas_size);
	while (r == 0 && cim_xattr_iter_next(&it, name, &value, &value_size) == 1)
		r = fn(arg, name);
	if (r == 0)
		r = list_ntfs_xattrs(img, e, fn, arg);
	if (r == 0)
		r = list_stream_xattrs(img, e, &it, fn, arg);
	cim_xattr_iter_clear(&it);
	return r;
}

ssize_t cim_file_get_xattr(const struct cim_image *img, const struct cim_entry *e, const char *name,
			   void *buf, size_t size)
{
	const uint8_t *eas, *value;
	size_t eas_size, value_size;
	struct cim_stream stream;

	if (cim_ntfs_xattr_is(&img->view, name))
		return get_ntfs_xattr(img, e, name, buf, size);
	cim_file_eas(img, e, &eas, &eas_size);
	if (has_ea_xattr(eas, eas_size, name, &value, &value_size)) {
		if (size > 0 && size < value_size)
			return -ERANGE;
		if (size > 0)
			memcpy(buf, value, value_size);
		return (ssize_t)value_size;
	}
	if (!find_stream_xattr(img, e, name, &stream))
		return -ENODATA;
	if (stream.size > XATTR_VALUE_MAX)
		return -E2BIG;
	if (size == 0)
		return (ssize_t)stream.size;
	if (size < stream.size)
		return -ERANGE;
	return cim_stream_read(img, &stream, 0, buf, stream.size);
}
