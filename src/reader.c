/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files and directories of an image; bytes come from image.c, records from format.c, what they mean
 * on Linux from posix.c.
 */
#include "config.h"

#include "reader.h"

#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "fold.h"
#include "symlink.h"

#define MAX_SYMLINKS 40 /* as the kernel's */
#define MAX_SPARSE_RUNS \
	4096 /* runs of data counted for st_blocks before the rest is taken as data */

void cim_file_eas(const struct cim_image *img, const struct cim_entry *e, const uint8_t **ret,
		  size_t *ret_size)
{
	*ret = NULL;
	*ret_size = 0;
	if (e->ea_size && cim_image_bytes(img, e->ea_off, e->ea_size, ret) == 0)
		*ret_size = e->ea_size;
}

void cim_file_reparse(const struct cim_image *img, const struct cim_entry *e, const uint8_t **ret,
		      size_t *ret_size)
{
	*ret = NULL;
	*ret_size = 0;
	if (e->reparse_off)
		(void)cim_image_counted(img, e->reparse_off, ret, ret_size);
}

/* How many directories lead from an entry's to the root; CIM_DEPTH_UNKNOWN if they do not. */
static int depth_of(const struct cim_image *img, const struct cim_entry *e)
{
	struct cim_entry dir = *e;

	for (int depth = 0; depth <= CIM_DEPTH_MAX; depth++) {
		uint32_t id = dir.parent_id;

		if (id == img->fs.root_id)
			return depth;
		/* Entries of version 1 do not say where they are. */
		if (id == 0 || cim_image_entry(img, id, &dir) < 0)
			break;
	}
	return CIM_DEPTH_UNKNOWN;
}

#define DEPTH_OF_ENTRY (-2) /* as @depth: by the entry's parent */

/* The reparse point of an entry, if it has one that can be understood. */
static bool parse_reparse(const struct cim_image *img, const struct cim_entry *e, int depth,
			  struct cim_reparse *ret, char *ret_target)
{
	const uint8_t *buf;
	size_t size;

	if (!e->reparse_off && !e->reparse_tag)
		return false;
	cim_file_reparse(img, e, &buf, &size);
	if (cim_reparse_parse(buf, size, e->reparse_tag, ret, ret_target) < 0)
		return false;
	if (!cim_symlink_has_place(ret))
		return true;
	if (depth == DEPTH_OF_ENTRY)
		depth = depth_of(img, e);
	return cim_symlink_show(&img->view, ret, buf, size, depth, ret_target) >= 0;
}

/* Bytes of a file with holes that take space, from the region file; all of them where it cannot
 * tell. */
static uint64_t allocated(const struct cim_image *img, const struct cim_stream *s)
{
	uint64_t sum = 0, at = 0;

	for (int runs = 0; at < s->size; runs++) {
		int64_t data = runs < MAX_SPARSE_RUNS ? cim_stream_seek(img, s, at, SEEK_DATA)
						      : (int64_t)at;
		if (data < 0)
			break;
		int64_t hole = runs < MAX_SPARSE_RUNS
				       ? cim_stream_seek(img, s, (uint64_t)data, SEEK_HOLE)
				       : (int64_t)s->size;
		if (hole < 0)
			break;
		sum += (uint64_t)(hole - data);
		at = (uint64_t)hole;
	}
	return sum;
}

/* Where the EAs and the reparse buffer were cut off, the file is not plainer but unreadable. */
static int check_metadata(const struct cim_image *img, const struct cim_entry *e)
{
	const uint8_t *p;
	size_t size;
	int r = 0;

	cim_file_eas(img, e, &p, &size);
	if (size > 0)
		r = cim_image_check(img, e->ea_off, size);
	cim_file_reparse(img, e, &p, &size);
	if (r == 0 && p)
		r = cim_image_check(img, e->reparse_off, 2 + size);
	return r;
}

int cim_file_attr_stored(const struct cim_image *img, uint32_t id, const struct cim_entry *e,
			 struct cim_attr *ret)
{
	char target[CIM_SYMLINK_MAX + 1];
	struct cim_reparse rp;
	const uint8_t *ea;
	size_t ea_size;
	bool has_rp = parse_reparse(img, e, DEPTH_OF_ENTRY, &rp, target);

	cim_file_eas(img, e, &ea, &ea_size);
	*ret = (struct cim_attr){
		.id = id,
		.size = e->data.size,
		.blocks = (e->data.size + 511) / 512,
		.accessed = e->accessed,
		.written = e->written,
		.changed = e->changed,
		.created = e->created,
		.flags = e->flags,
	};
	cim_posix_decode(e, ea, ea_size, has_rp ? &rp : NULL, &ret->posix);
	if (ret->posix.has_times) {
		ret->accessed = ret->posix.accessed;
		ret->written = ret->posix.written;
		ret->changed = ret->posix.changed;
	}
	switch (ret->posix.mode & S_IFMT) {
	case S_IFLNK:
		if (has_rp && !rp.target_is_data)
			ret->size = strlen(target);
		ret->blocks = 0;
		break;
	case S_IFREG:
		if (e->data.sparse)
			ret->blocks = 0;
		else if (e->flags & CIM_FLAG_SPARSE)
			ret->blocks = (allocated(img, &e->data) + 511) / 512;
		break;
	case S_IFDIR:
		break;
	default:
		ret->size = 0;
		ret->blocks = 0;
	}
	return check_metadata(img, e);
}

int cim_file_attr_of(const struct cim_image *img, uint32_t id, const struct cim_entry *e,
		     struct cim_attr *ret)
{
	int r = cim_file_attr_stored(img, id, e, ret);

	if (r == 0)
		cim_posix_show(&img->view, e->flags, &ret->posix);
	return r;
}

int cim_file_attr(const struct cim_image *img, uint32_t id, struct cim_attr *ret)
{
	struct cim_entry e;
	int r = cim_image_entry(img, id, &e);

	return r < 0 ? r : cim_file_attr_of(img, id, &e, ret);
}

/* A symlink that is no reparse point: LXATTRB says that it is one, and its data is the target. */
static bool is_old_symlink(const struct cim_image *img, const struct cim_entry *e)
{
	struct cim_attr attr;

	return e->data.size > 0 && cim_file_attr_stored(img, 0, e, &attr) == 0 &&
	       S_ISLNK(attr.posix.mode);
}

int cim_file_readlink_at(const struct cim_image *img, const struct cim_entry *e, int depth,
			 char *ret)
{
	struct cim_reparse rp;

	bool has_rp = parse_reparse(img, e, depth, &rp, ret);

	if (has_rp ? rp.type != S_IFLNK : !is_old_symlink(img, e))
		return -EINVAL;
	if (has_rp && !rp.target_is_data)
		return (int)strlen(ret);
	if (e->data.size > CIM_SYMLINK_MAX)
		return cim_fail(CIM_ECORRUPT,
				"the target of a symlink has %" PRIu64 " bytes; %d can be read",
				e->data.size, CIM_SYMLINK_MAX);
	ssize_t n = cim_stream_read(img, &e->data, 0, ret, e->data.size);
	if (n < 0)
		return (int)n;
	ret[n] = '\0';
	if (n == 0 || strlen(ret) != (size_t)n)
		return cim_fail(CIM_ECORRUPT, "the target of a symlink is empty or has a NUL");
	return (int)n;
}

int cim_file_readlink(const struct cim_image *img, uint32_t id, char *ret)
{
	struct cim_entry e;
	int r = cim_image_entry(img, id, &e);

	return r < 0 ? r : cim_file_readlink_at(img, &e, DEPTH_OF_ENTRY, ret);
}

static bool whole_ea_list(const uint8_t *eas, size_t size)
{
	struct cim_ea_iter it;
	struct cim_ea ea;
	int r;

	cim_ea_iter_init(&it, eas, size);
	while ((r = cim_ea_iter_next(&it, &ea)) == 1)
		;
	return r == 0;
}

int cim_file_windows(const struct cim_image *img, const struct cim_entry *e,
		     struct cim_winmeta *ret)
{
	const uint8_t *sd = NULL, *reparse, *eas;
	size_t sd_size = 0, reparse_size, eas_size;

	if (e->sd_off &&
	    (cim_image_counted(img, e->sd_off, &sd, &sd_size) < 0 || cim_sd_check(sd, sd_size) < 0))
		sd_size = 0;
	cim_file_reparse(img, e, &reparse, &reparse_size);
	if (reparse_size && cim_reparse_check(reparse, reparse_size) < 0)
		reparse_size = 0;
	cim_file_eas(img, e, &eas, &eas_size);
	if (eas_size && !whole_ea_list(eas, eas_size))
		eas_size = 0;
	size_t count_size = cim_posix_count_size(eas, eas_size);
	*ret = (struct cim_winmeta){
		.attributes = cim_attributes_of_entry(e),
		.created = e->created,
		.written = e->written,
		.changed = e->changed,
		.accessed = e->accessed,
		.sd = sd_size ? sd : NULL,
		.sd_size = sd_size,
		.reparse = reparse_size ? reparse : NULL,
		.reparse_size = reparse_size,
		.eas = eas_size > count_size ? eas + count_size : NULL,
		.eas_size = eas_size - count_size,
	};
	return 0;
}

/* ---- directories ---- */

int cim_dir_links(const struct cim_image *img, const struct cim_entry *e, struct cim_links *ret)
{
	const uint8_t *p;

	if (e->data.type != CIM_STREAM_LINKS)
		return -ENOTDIR;
	*ret = (struct cim_links){ .entry_size = CIM_LINK_ID };
	if (e->data.size == 0)
		return 0;
	int r = cim_image_bytes(img, e->data.off, e->data.size, &p);
	if (r == 0)
		r = cim_links_parse(p, e->data.size, CIM_LINK_ID, ret);
	return r < 0 ? r : cim_image_check(img, e->data.off, e->data.size);
}

/*
 * Whether the order of names with such a unit is settled: surrogates sort below U+E000..U+FFFF as
 * code units and above as code points (format.md, Link table).
 */
static bool order_is_settled(const uint16_t *units, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (units[i] >= 0xD800)
			return false;
	return true;
}

static int scan(const struct cim_image *img, const struct cim_links *l, const uint16_t *units,
		size_t n, uint32_t *ret)
{
	uint16_t name[CIM_NAME_UNITS];

	for (uint32_t i = 0; i < l->n; i++) {
		int got = cim_links_name(l, i, name);

		if (got < 0)
			return got;
		if (cim_upcase_compare(&img->upcase, units, n, name, (size_t)got) == 0) {
			*ret = i;
			return 1;
		}
	}
	return 0;
}

int cim_links_find(const struct cim_image *img, const struct cim_links *l, const uint16_t *units,
		   size_t n, uint32_t *ret)
{
	uint16_t name[CIM_NAME_UNITS];
	uint32_t low = 0, high = l->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int got = cim_links_name(l, mid, name);

		if (got < 0)
			return got;
		int order = cim_upcase_compare(&img->upcase, units, n, name, (size_t)got);
		if (order == 0) {
			*ret = mid;
			return 1;
		}
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return order_is_settled(units, n) ? 0 : scan(img, l, units, n, ret);
}

int cim_links_find_bytes(const struct cim_image *img, const struct cim_links *l, const char *name,
			 size_t n, uint32_t *ret)
{
	uint16_t units[CIM_NAME_BYTES];
	int r = 0;

	if (n == 0 || n > CIM_NAME_BYTES)
		return 0;
	size_t n_units = cim_name_encode(name, n, units);
	if (n_units <= CIM_NAME_UNITS)
		r = cim_links_find(img, l, units, n_units, ret);
	if (r != 0 || order_is_settled(units, n_units))
		return r;
	/* A name that E() would not have written is shown as W(). */
	int plain = cim_name_plain_encode(name, n, units);
	if (plain <= 0 || plain > CIM_NAME_UNITS)
		return 0;
	return cim_links_find(img, l, units, (size_t)plain, ret);
}

/* A name that is not there as it is spelled, in another case. */
static int find_folded(const struct cim_links *l, const char *name, size_t n, uint32_t *ret)
{
	uint16_t units[CIM_NAME_BYTES];

	if (n == 0 || n > CIM_NAME_BYTES)
		return 0;
	size_t n_units = cim_name_encode(name, n, units);
	return cim_fold_find(NULL, l, units, n_units, NULL, NULL, ret);
}

int cim_dir_lookup(const struct cim_image *img, uint32_t dir_id, const char *name, size_t n,
		   uint32_t *ret_id)
{
	struct cim_entry e;
	struct cim_links l;
	uint32_t i;
	int r = cim_image_entry(img, dir_id, &e);

	if (r == 0)
		r = cim_dir_links(img, &e, &l);
	if (r == 0)
		r = cim_links_find_bytes(img, &l, name, n, &i);
	if (r == 0 && img->view.ignore_case)
		r = find_folded(&l, name, n, &i);
	if (r < 0)
		return r;
	if (r == 0)
		return -ENOENT;
	*ret_id = cim_links_id(&l, i);
	return cim_image_check(img, e.data.off, e.data.size);
}

/* A walk along a path; symlinks are spliced into what is left of it. */
struct walk {
	const struct cim_image *img;
	GArray *dirs; /* file IDs from the root to where we are */
	char *rest;   /* owned */
	int n_links;
};

static uint32_t walk_here(const struct walk *w)
{
	return g_array_index(w->dirs, uint32_t, w->dirs->len - 1);
}

/* A path goes on from directories only, be it by "/", "." or "..". */
static int walk_check_dir(const struct walk *w)
{
	struct cim_attr attr;
	int r = cim_file_attr(w->img, walk_here(w), &attr);

	return r < 0 ? r : S_ISDIR(attr.posix.mode) ? 0 : -ENOTDIR;
}

static int walk_follow(struct walk *w, uint32_t id, const char *rest)
{
	char target[CIM_SYMLINK_MAX + 1];
	int r = cim_file_readlink(w->img, id, target);

	if (r < 0)
		return r;
	if (++w->n_links > MAX_SYMLINKS)
		return -ELOOP;
	if (target[0] == '/')
		g_array_set_size(w->dirs, 1);
	char *joined = g_strconcat(target, rest, NULL); /* which begins with "/", if there is any */
	g_free(w->rest);
	w->rest = joined;
	return 0;
}

/* One component; *ret_end is set when the last one was reached and is no directory to go on from.
 */
static int walk_step(struct walk *w, const char *part, size_t n, const char *rest, bool follow)
{
	bool last = rest[strspn(rest, "/")] == '\0';
	bool up = n == 2 && part[0] == '.' && part[1] == '.';
	struct cim_attr attr;
	uint32_t id;

	if (up || (n == 1 && part[0] == '.')) {
		int r = walk_check_dir(w);

		if (r < 0)
			return r;
		if (up && w->dirs->len > 1)
			g_array_set_size(w->dirs, w->dirs->len - 1);
	} else {
		int r = cim_dir_lookup(w->img, walk_here(w), part, n, &id);

		if (r == 0)
			r = cim_file_attr(w->img, id, &attr);
		if (r < 0)
			return r;
		if (S_ISLNK(attr.posix.mode) && (!last || follow || *rest))
			return walk_follow(w, id, rest);
		g_array_append_val(w->dirs, id);
	}
	char *left = g_strdup(rest);
	g_free(w->rest);
	w->rest = left;
	return 0;
}

int cim_path_lookup(const struct cim_image *img, const char *path, bool follow, uint32_t *ret_id)
{
	struct walk w = { .img = img };
	int r = 0;

	if (strlen(path) > CIM_PATH_UNITS_MAX)
		return -ENAMETOOLONG;
	/* Windows' separator is the caller's; in the target of a symlink it is part of a name. */
	w.rest = g_strdelimit(g_strdup(path), "\\", '/');
	w.dirs = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	g_array_append_val(w.dirs, img->fs.root_id);
	while (r == 0) {
		const char *part = w.rest + strspn(w.rest, "/");
		size_t n = strcspn(part, "/");

		if (n == 0) {
			if (part > w.rest)
				r = walk_check_dir(&w);
			break;
		}
		r = walk_step(&w, part, n, part + n, follow);
	}
	if (r == 0)
		*ret_id = walk_here(&w);
	g_array_free(w.dirs, TRUE);
	g_free(w.rest);
	return r;
}

/* ---- data ---- */

/* A PE image lies in pieces, each shifted by its mapping's delta (format.md, PE image). */
static int pe_run(const struct cim_image *img, const struct cim_stream *s, uint64_t off,
		  uint64_t *ret_off, uint64_t *ret_size)
{
	const uint8_t *p;
	uint64_t n, end = s->size, delta = 0;
	struct cim_pe pe;
	int r = cim_image_span(img, s->off, &p, &n);

	if (r == 0)
		r = cim_pe_parse(p, n, &pe);
	if (r < 0)
		return r;
	const struct cim_pe_mapping_disk *map =
		(const struct cim_pe_mapping_disk *)(p + sizeof(struct cim_pe_disk));
	uint32_t low = 0, high = pe.n_mappings; /* the first mapping behind off */
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (cim_get32(map[mid].file_off) <= off)
			low = mid + 1;
		else
			high = mid;
	}
	if (low > 0)
		delta = cim_get32(map[low - 1].delta);
	if (low < pe.n_mappings && cim_get32(map[low].file_off) < end)
		end = cim_get32(map[low].file_off);
	uint64_t at = off + delta, size = end - off;
	if (at > pe.data_size || size > pe.data_size - at ||
	    at + size > CIM_REGION_OFF_MAX - cim_off_byte(pe.data_off))
		return cim_fail(CIM_ECORRUPT, "a PE image's mapping passes its data's end");
	*ret_off = pe.data_off + at;
	*ret_size = size;
	return 0;
}

int cim_stream_span(const struct cim_image *img, const struct cim_stream *s, uint64_t off,
		    uint64_t size, const uint8_t **ret, uint64_t *ret_size)
{
	uint64_t run = s->off, run_size = s->size, skip = off;
	const uint8_t *p;
	int r = 0;

	if (s->sparse) {
		*ret = NULL;
		*ret_size = MIN(s->size - off, size);
		return 0;
	}
	if (s->type == CIM_STREAM_PE) {
		skip = 0;
		r = pe_run(img, s, off, &run, &run_size);
	}
	/* All of it: with the offset added, a lie could lead into another region. */
	if (r == 0)
		r = cim_image_bytes(img, run, run_size, &p);
	if (r < 0)
		return r;
	*ret = p + skip;
	*ret_size = MIN(run_size - skip, size);
	cim_image_will_read(img, run + skip, *ret_size);
	return 0;
}

int cim_stream_check(const struct cim_image *img, const struct cim_stream *s, uint64_t off,
		     uint64_t size)
{
	const uint8_t *p;
	uint64_t n;
	struct cim_pe pe;

	if (s->sparse)
		return 0;
	if (s->type != CIM_STREAM_PE)
		return cim_image_check(img, s->off + off, size);
	/* A PE image has its bytes in two places. */
	int r = cim_image_span(img, s->off, &p, &n);
	if (r == 0)
		r = cim_pe_parse(p, n, &pe);
	if (r == 0)
		r = cim_image_check(img, s->off,
				    sizeof(struct cim_pe_disk) +
					    pe.n_mappings * sizeof(struct cim_pe_mapping_disk));
	return r < 0 ? r : cim_image_check(img, pe.data_off, pe.data_size);
}

ssize_t cim_stream_read(const struct cim_image *img, const struct cim_stream *s, uint64_t off,
			void *buf, size_t size)
{
	size_t done = 0;

	if (off >= s->size)
		return 0;
	size = MIN(size, s->size - off);
	while (done < size) {
		const uint8_t *p;
		uint64_t n;
		int r = cim_stream_span(img, s, off + done, size - done, &p, &n);

		if (r < 0)
			return r;
		if (p)
			memcpy((char *)buf + done, p, n);
		else
			memset((char *)buf + done, 0, n);
		done += n;
	}
	int r = cim_stream_check(img, s, off, done);
	return r < 0 ? r : (ssize_t)done;
}

int64_t cim_stream_seek(const struct cim_image *img, const struct cim_stream *s, uint64_t off,
			int whence)
{
	if (off >= s->size)
		return -ENXIO;
	if (s->sparse)
		return whence == SEEK_HOLE ? (int64_t)off : -ENXIO;
	uint32_t index = cim_off_region(s->off);
	int fd = s->type == CIM_STREAM_DATA && index < img->n_region_files ? img->region[index]->fd
									   : -1;
	if (fd < 0)
		return whence == SEEK_DATA ? (int64_t)off : (int64_t)s->size;
	uint64_t start = cim_off_byte(s->off);
	off_t at = lseek(fd, (off_t)(start + off), whence);
	if (at < 0 && errno == ENXIO)
		return -ENXIO;
	if (at < 0 || (uint64_t)at < start + off)
		return whence == SEEK_DATA ? (int64_t)off : (int64_t)s->size;
	if ((uint64_t)at - start >= s->size)
		return whence == SEEK_DATA ? -ENXIO : (int64_t)s->size;
	return (int64_t)((uint64_t)at - start);
}
