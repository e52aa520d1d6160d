/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checking one file: its entry, and what that leads to.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "fsck-private.h"

#define KNOWN_FLAGS \
	(CIM_FLAG_READONLY | CIM_FLAG_HIDDEN | CIM_FLAG_SYSTEM | CIM_FLAG_ARCHIVE | CIM_FLAG_SPARSE)
#define TICKS_MAX INT64_MAX /* Windows' times have a sign */

/* The file that is looked at. */
struct file {
	struct fsck_image *im;
	uint32_t id;
	uint32_t n_names;
	bool has_parent; /* the directory that the entry says has it */
	struct cim_entry e;
	bool has_parent_field; /* not in the entries of version 1 */
	bool has_mode;         /* it has Linux' metadata, … */
	uint32_t mode;         /* … this $LXMOD, … */
	uint32_t n_links;      /* … and this $CIMLINKS, 0: none */
};

#define damage(f, rule, off, ...) fsck_damage((f)->im, rule, (f)->id, off, __VA_ARGS__)
#define note(f, rule, off, ...)   fsck_note((f)->im, rule, (f)->id, off, __VA_ARGS__)

/* ---- blobs found good ---- */

static struct fsck_good *good_slot(struct fsck_image *im, uint64_t off)
{
	return &im->good[(off * 0x9E3779B97F4A7C15u) >> 52];
}

static struct fsck_good *find_good(struct fsck_image *im, enum fsck_kind kind, uint64_t off,
				   uint32_t size)
{
	struct fsck_good *g = good_slot(im, off);

	return g->kind == kind && g->off == off && g->size == size ? g : NULL;
}

static struct fsck_good *set_good(struct fsck_image *im, enum fsck_kind kind, uint64_t off,
				  uint32_t size)
{
	struct fsck_good *g = good_slot(im, off);

	*g = (struct fsck_good){ .off = off, .size = size, .kind = (uint16_t)kind };
	return g;
}

/* ---- streams ---- */

/* The mappings rise, and each leads into the data (format.md, PE image). */
static int check_pe_mappings(const struct cim_stream *s, const struct cim_pe *pe,
			     const struct cim_pe_mapping_disk *map)
{
	uint64_t from = 0, delta = 0;

	for (uint32_t i = 0; i <= pe->n_mappings; i++) {
		uint64_t to = i < pe->n_mappings ? cim_get32(map[i].file_off) : s->size;

		if (i > 0 && i < pe->n_mappings && to <= from)
			return cim_fail(CIM_ECORRUPT,
					"mapping %u does not lie behind the one before it", i);
		to = MIN(to, s->size);
		if (from < to &&
		    (from + delta > pe->data_size || to - from > pe->data_size - (from + delta)))
			return cim_fail(CIM_ECORRUPT,
					"bytes %" PRIu64 " to %" PRIu64 " are mapped past its data",
					from, to);
		if (i < pe->n_mappings) {
			from = cim_get32(map[i].file_off);
			delta = cim_get32(map[i].delta);
		}
	}
	return 0;
}

static int check_pe(struct fsck_image *im, const struct cim_stream *s)
{
	const struct cim_pe_disk *d;
	const uint8_t *p;
	struct cim_pe pe;
	uint64_t n;
	int r = cim_image_span(im->img, s->off, &p, &n);

	if (r == 0)
		r = cim_pe_parse(p, n, &pe);
	if (r < 0)
		return r;
	d = (const struct cim_pe_disk *)p;
	if (pe.data_size > 0)
		r = cim_image_bytes(im->img, pe.data_off, pe.data_size, &p);
	if (r == 0)
		r = check_pe_mappings(s, &pe, (const struct cim_pe_mapping_disk *)(d + 1));
	return r;
}

/* A stream of data, the default one or another; @what names it. */
static void check_data(struct file *f, const struct cim_stream *s, const char *what)
{
	const uint8_t *p;

	if (s->size == 0 || s->sparse)
		return;
	if (s->type == CIM_STREAM_PE) {
		if (find_good(f->im, FSCK_PE, s->off, (uint32_t)s->size))
			return;
		fsck_alignment(f->im, f->id, s->off, "a PE image record");
		if (check_pe(f->im, s) < 0)
			damage(f, "pe-image", s->off, "%s: %s", what, cim_reason());
		else if (s->size <= UINT32_MAX)
			(void)set_good(f->im, FSCK_PE, s->off, (uint32_t)s->size);
		return;
	}
	if (cim_image_bytes(f->im->img, s->off, s->size, &p) < 0) {
		damage(f, "data", s->off, "%s: %s", what, cim_reason());
		return;
	}
	fsck_alignment(f->im, f->id, s->off, what);
	if (f->im->region_type[cim_off_region(s->off)] == CIM_REGION_METADATA)
		note(f, "region-kind", s->off, "%s lies in a region of metadata", what);
}

/* ---- alternate data streams ---- */

static void check_stream_names(struct file *f, const struct cim_links *l)
{
	const struct cim_upcase *up = &f->im->img->upcase;
	uint16_t name[2][CIM_NAME_UNITS];
	char shown[CIM_NAME_BYTES + 1];
	struct cim_stream s;
	int before = 0;

	for (uint32_t i = 0; i < l->n && f->im->run->stop == 0; i++) {
		int n = cim_links_name(l, i, name[i & 1]);

		if (n > 0 && cim_name_shown(name[i & 1], (size_t)n, shown) < 0)
			n = cim_fail(CIM_ECORRUPT, "it cannot be shown");
		if (n < 0) {
			damage(f, "stream-name", f->e.streams_off,
			       "stream %u has no proper name: %s", i, cim_reason());
			return;
		}
		if (before > 0 && cim_upcase_compare(up, name[~i & 1], (size_t)before, name[i & 1],
						     (size_t)n) >= 0)
			damage(f, "stream-order", f->e.streams_off,
			       "stream \"%s\" does not come behind the one before it", shown);
		before = n;
		if (cim_links_stream(l, i, &s) < 0)
			damage(f, "stream", f->e.streams_off, "stream \"%s\": %s", shown,
			       cim_reason());
		else if (s.type == CIM_STREAM_LINKS)
			damage(f, "stream", f->e.streams_off, "stream \"%s\" is a link table",
			       shown);
		else
			check_data(f, &s, shown);
	}
}

static void check_streams(struct file *f)
{
	struct fsck_table *table;
	struct cim_links l;

	if (!f->e.streams_off)
		return;
	fsck_alignment(f->im, f->id, f->e.streams_off, "a table of streams");
	if (cim_file_streams(f->im->img, &f->e, &l) < 0) {
		damage(f, "stream-table", f->e.streams_off, "its table of streams: %s",
		       cim_reason());
		return;
	}
	if (fsck_place(f->im, f->id, f->e.streams_off, &l, &table) == 1)
		check_stream_names(f, &l);
}

/* ---- EAs, reparse buffer, descriptor ---- */

static bool ea_is(const struct cim_ea *ea, const char *name)
{
	return ea->name_size == strlen(name) && memcmp(ea->name, name, ea->name_size) == 0;
}

static void check_ea(struct file *f, const struct cim_ea *ea)
{
	bool is_mode = ea_is(ea, CIM_EA_MODE), is_links = ea_is(ea, CIM_EA_LINKS);

	if (!is_mode && !is_links && !ea_is(ea, CIM_EA_UID) && !ea_is(ea, CIM_EA_GID))
		return;
	if (ea->value_size != 4) {
		note(f, "ea-value", f->e.ea_off, "the EA \"%.*s\" has %u bytes, expected 4",
		     ea->name_size, ea->name, ea->value_size);
		return;
	}
	if (is_mode) {
		f->has_mode = true;
		f->mode = cim_load32(ea->value);
	} else if (is_links) {
		f->n_links = cim_load32(ea->value);
		if ((f->n_links & ~CIM_LINKS_AT_LEAST) == 0)
			damage(f, "link-count", f->e.ea_off, "its link count is 0");
	}
}

static void check_eas(struct file *f)
{
	struct fsck_good *good = find_good(f->im, FSCK_EAS, f->e.ea_off, f->e.ea_size);
	struct cim_ea_iter it;
	const uint8_t *list;
	struct cim_ea ea;
	int r;

	if (good) {
		f->has_mode = good->has_mode;
		f->mode = good->mode;
		f->n_links = good->n_links;
		return;
	}
	if (!f->e.ea_off)
		return;
	if (!f->e.ea_size) {
		note(f, "ea-size", f->e.ea_off,
		     "it has the place of an EA list, and no size of it");
		return;
	}
	fsck_alignment(f->im, f->id, f->e.ea_off, "an EA list");
	r = cim_image_bytes(f->im->img, f->e.ea_off, f->e.ea_size, &list);
	if (r < 0) {
		damage(f, "ea-list", f->e.ea_off, "its EA list: %s", cim_reason());
		return;
	}
	cim_ea_iter_init(&it, list, f->e.ea_size);
	while ((r = cim_ea_iter_next(&it, &ea)) == 1)
		check_ea(f, &ea);
	if (r < 0) {
		damage(f, "ea-list", f->e.ea_off, "%s", cim_reason());
		return;
	}
	good = set_good(f->im, FSCK_EAS, f->e.ea_off, f->e.ea_size);
	good->has_mode = f->has_mode;
	good->mode = f->mode;
	good->n_links = f->n_links;
}

static int check_reparse_buffer(const struct file *f, const uint8_t *buf, size_t size)
{
	struct cim_reparse rp;

	if (size < 8 || size > CIM_REPARSE_MAX)
		return cim_fail(CIM_ECORRUPT, "it has %zu bytes, expected 8 to %d", size,
				CIM_REPARSE_MAX);
	if (cim_load32(buf) != f->e.reparse_tag)
		return cim_fail(CIM_ECORRUPT, "its tag is 0x%08x, the entry says 0x%08x",
				cim_load32(buf), f->e.reparse_tag);
	return cim_reparse_parse(buf, size, f->e.reparse_tag, &rp, NULL);
}

static void check_reparse(struct file *f)
{
	uint64_t off = f->e.reparse_off;
	const uint8_t *buf;
	size_t size;

	if (!off) {
		if (f->e.reparse_tag)
			note(f, "reparse-tag", 0, "it has the reparse tag 0x%08x and no buffer",
			     f->e.reparse_tag);
		return;
	}
	if (find_good(f->im, FSCK_REPARSE, off, f->e.reparse_tag))
		return;
	fsck_alignment(f->im, f->id, off, "a reparse buffer");
	int r = cim_image_counted(f->im->img, off, &buf, &size);
	if (r == 0)
		r = check_reparse_buffer(f, buf, size);
	if (r < 0)
		damage(f, "reparse", off, "its reparse buffer: %s", cim_reason());
	else
		(void)set_good(f->im, FSCK_REPARSE, off, f->e.reparse_tag);
}

static void check_descriptor(struct file *f)
{
	uint64_t off = f->e.sd_off;
	const uint8_t *sd;
	size_t size;

	if (!off) {
		note(f, "descriptor", 0, "it has no security descriptor");
		return;
	}
	if (find_good(f->im, FSCK_DESCRIPTOR, off, 0))
		return;
	fsck_alignment(f->im, f->id, off, "a security descriptor");
	int r = cim_image_counted(f->im->img, off, &sd, &size);
	if (r == 0)
		r = cim_sd_check(sd, size);
	if (r < 0)
		damage(f, "descriptor", off, "its security descriptor: %s", cim_reason());
	else
		(void)set_good(f->im, FSCK_DESCRIPTOR, off, 0);
}

/* ---- what only the whole shows ---- */

static void check_names(struct file *f)
{
	bool is_root = f->id == f->im->img->fs.root_id;

	if (!f->has_parent && f->has_parent_field) {
		if (is_root && f->e.parent_id != f->id)
			note(f, "parent", 0,
			     "the root says that its directory is %u, expected itself",
			     f->e.parent_id);
		else if (!is_root)
			damage(f, "parent", 0,
			       "it says that directory %u has it, which does not name it",
			       f->e.parent_id);
	}
	if (f->e.data.type == CIM_STREAM_LINKS)
		return;
	if (f->n_links & CIM_LINKS_AT_LEAST ? (f->n_links & ~CIM_LINKS_AT_LEAST) > f->n_names
					    : f->n_links > 0 && f->n_links != f->n_names)
		damage(f, "link-count", f->e.ea_off, "it says that it has %u names, and has %u",
		       f->n_links & ~CIM_LINKS_AT_LEAST, f->n_names);
	else if (f->n_links == 0 && f->n_names > 1 && f->has_mode)
		note(f, "link-count", f->e.ea_off, "it has %u names, and no $CIMLINKS says so",
		     f->n_names);
}

static void check_plain_fields(struct file *f)
{
	struct cim_attr attr;

	if (f->e.flags & ~KNOWN_FLAGS)
		note(f, "flags", 0, "its flags %#x are not all known", f->e.flags);
	if (f->e.created > TICKS_MAX || f->e.written > TICKS_MAX || f->e.changed > TICKS_MAX ||
	    f->e.accessed > TICKS_MAX)
		note(f, "time", 0, "one of its times is above the largest that Windows has");
	if (!f->has_mode || !(f->mode & S_IFMT))
		return;
	if (cim_file_attr_of(f->im->img, f->id, &f->e, &attr) == 0 &&
	    (attr.posix.mode & S_IFMT) != (f->mode & S_IFMT))
		note(f, "mode", f->e.ea_off, "its $LXMOD %07o is that of another type of file",
		     f->mode);
}

void fsck_entry(struct fsck_image *im, uint32_t id, uint32_t names)
{
	struct file f = {
		.im = im,
		.id = id,
		.n_names = names & FSCK_NAMES,
		.has_parent = names & FSCK_HAS_PARENT,
	};
	struct cim_table t;
	int r = cim_image_entry(im->img, id, &f.e);

	if (r == 0)
		r = cim_image_table(im->img, (id - 1) / CIM_TABLE_ENTRIES, &t);
	if (r < 0) {
		damage(&f, "entry", 0, "its entry cannot be read: %s", cim_reason());
		return;
	}
	f.has_parent_field = t.entry_size >= offsetof(struct cim_entry_disk, parent_id) + 4;
	check_eas(&f);
	check_reparse(&f);
	check_descriptor(&f);
	if (f.e.data.type != CIM_STREAM_LINKS)
		check_data(&f, &f.e.data, "its data");
	check_streams(&f);
	check_plain_fields(&f);
	check_names(&f);
}
