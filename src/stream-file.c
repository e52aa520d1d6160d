/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "stream-file.h"

#include <string.h>
#include <sys/stat.h>

#include "fold.h"

bool cim_stream_split(const char *name, size_t n, size_t *ret_n)
{
	const char *colon = memrchr(name, ':', n);

	if (!colon || colon == name || colon == name + n - 1)
		return false;
	*ret_n = (size_t)(colon - name);
	return true;
}

bool cim_stream_carrier(uint32_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode);
}

static int find(const struct cim_image *img, const struct cim_links *l, const char *name, size_t n,
		uint32_t *ret)
{
	uint16_t units[CIM_NAME_BYTES];
	int r = cim_links_find_bytes(img, l, name, n, ret);

	if (r != 0 || !img->view.ignore_case || n > CIM_NAME_BYTES)
		return r;
	return cim_fold_find(NULL, l, units, cim_name_encode(name, n, units), NULL, NULL, ret);
}

int cim_dir_lookup_stream(const struct cim_image *img, uint32_t dir_id, const char *name, size_t n,
			  uint32_t *ret_id, uint32_t *ret_index)
{
	struct cim_attr attr;
	struct cim_links l;
	struct cim_entry e;
	uint32_t id, index;
	size_t n_file;

	if (!cim_stream_split(name, n, &n_file))
		return -ENOENT;
	int r = cim_dir_lookup(img, dir_id, name, n_file, &id);
	if (r == 0)
		r = cim_image_entry(img, id, &e);
	if (r == 0)
		r = cim_file_attr_of(img, id, &e, &attr);
	if (r == 0)
		r = cim_file_streams(img, &e, &l);
	if (r < 0)
		return r;
	if (!cim_stream_carrier(attr.posix.mode))
		return -ENOENT;
	r = find(img, &l, name + n_file + 1, n - n_file - 1, &index);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_id = id;
	*ret_index = index;
	return 0;
}

int cim_file_stream(const struct cim_image *img, const struct cim_entry *e, uint32_t index,
		    struct cim_stream *ret)
{
	struct cim_links l;
	int r = cim_file_streams(img, e, &l);

	if (r < 0)
		return r;
	return index < l.n ? cim_links_stream(&l, index, ret) : -ENOENT;
}

void cim_stream_attr(const struct cim_attr *file, uint64_t size, uint64_t blocks,
		     struct cim_attr *ret)
{
	uint32_t permissions = file->posix.mode & (S_ISDIR(file->posix.mode) ? 0666u : 0777u);

	*ret = *file;
	ret->posix.mode = S_IFREG | permissions;
	ret->posix.n_links = 1;
	ret->size = size;
	ret->blocks = blocks;
}

int cim_file_each_stream(const struct cim_image *img, const struct cim_entry *e, cim_stream_fn fn,
			 void *arg)
{
	char name[CIM_NAME_BYTES + 1];
	uint16_t units[CIM_NAME_UNITS];
	struct cim_stream s;
	struct cim_links l;
	int r = cim_file_streams(img, e, &l);

	for (uint32_t i = 0; r == 0 && i < l.n; i++) {
		int n = cim_links_name(&l, i, units);

		if (n > 0 && cim_name_shown(units, (size_t)n, name) > 0 &&
		    cim_links_stream(&l, i, &s) == 0)
			r = fn(arg, name, s.size);
	}
	return r;
}
