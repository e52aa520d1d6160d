/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The import of a tar: its entries into a writer, in one pass, as a pipe gives them.
 *
 * What an entry says is put into the tree that there is: a directory over a directory keeps what is
 * in it, anything else replaces.  A name with a symlink or a file on its way is refused, so that
 * nothing lands elsewhere than where it says.
 *
 * Directories into which something comes are kept free of what new files would inherit; they get
 * their own metadata at the end, and with it times that do not change any more.  Nothing here asks
 * for the time: what an archive does not say of a file comes from what it says.
 *
 * Whiteouts (OCI image layers) take away what the base has, not what the archive brings, whatever
 * the order of the two.
 */
#include "config.h"

#include "tar-import.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "acl.h"
#include "error.h"
#include "signals.h"
#include "tar-acl.h"
#include "tar-read.h"
#include "tool.h"
#include "util.h"

#define WHITEOUT        ".wh."
#define WHITEOUT_META   ".wh..wh."     /* what aufs keeps for itself; no file of anyone's */
#define WHITEOUT_OPAQUE ".wh..wh..opq" /* all that the base has in this directory */

#define XATTR_RECORD       "SCHILY.xattr."
#define XATTR_RECORD_B64   "LIBARCHIVE.xattr."
#define SELINUX_RECORD     "RHT.security.selinux"
#define SELINUX_XATTR      "security.selinux"
#define ACL_RECORD         "SCHILY.acl.access"
#define ACL_DEFAULT_RECORD "SCHILY.acl.default"

#define CHUNK (1024 * 1024)

#define SET_TIMES (CIM_SET_ACCESSED | CIM_SET_WRITTEN | CIM_SET_CHANGED | CIM_SET_CREATED)
#define SET_ALL   (SET_TIMES | CIM_SET_MODE | CIM_SET_UID | CIM_SET_GID)

/* A directory into which something came, or that the archive has: what it shall be at the end. */
struct dir_state {
	bool named;     /* the archive has an entry of it */
	char *spelling; /* there; NULL: as the image has it */
	unsigned int mask;
	struct cim_attr attr;
	void *acl; /* the default ACL; NULL: none */
	size_t acl_size;
};

/* A name in a directory. */
struct place {
	uint32_t dir_id;
	const char *name;
	size_t n;
};

struct tar_import {
	struct import *im;
	const struct tar_options *options;
	struct tar_reader *reader;
	uint32_t base_last_id;
	GHashTable *dirs; /* ID -> struct dir_state */
	GHashTable
		*claimed;  /* dir ID << 32 | ID: names that the archive gave to files of the base */
	GString *path;     /* of the entry, without what does not count in it */
	GString *last_dir; /* the directory that was looked up last, … */
	uint32_t last_dir_id; /* … and its ID; 0: not any more */
	bool has_root_time;
	struct timespec
		root_time; /* of a root that the archive does not mention: the first entry's */
	uint8_t *chunk;
};

/* ---- errors ---- */

static void report(struct tar_import *ti, const char *name, int err)
{
	g_autofree char *shown = tool_printable(name);

	import_report(ti->im, *shown ? shown : "(an entry without a name)", err);
}

static bool reader_waits(void *arg)
{
	struct tar_import *ti = arg;

	progress_tick(&ti->im->progress);
	return signal_caught;
}

/* ---- names ---- */

/*
 * The path of an entry, or of a hard link's target: from the root, with single slashes, "" the root
 * itself.
 */
static int clean_path(const char *raw, GString *ret)
{
	g_string_truncate(ret, 0);
	if (!*raw)
		return cim_fail(EINVAL, "the path is empty");
	if (*raw == '/')
		return cim_fail(EINVAL, "the path is absolute");
	for (const char *p = raw; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && memcmp(p, "..", 2) == 0)
			return cim_fail(EINVAL, "the path has \"..\" in it");
		if (n > 0 && !(n == 1 && *p == '.')) {
			int r = cim_name_valid_linux(p, n);

			if (r < 0)
				return *cim_reason()
					       ? r
					       : cim_fail(-r, "a name in the path is too long");
			if (ret->len > 0)
				g_string_append_c(ret, '/');
			g_string_append_len(ret, p, (gssize)n);
		}
		p += n + (p[n] == '/');
	}
	if (ret->len > CIM_PATH_UNITS_MAX)
		return cim_fail(ENAMETOOLONG, "the path is too long: %zu bytes; it may have %d",
				ret->len, CIM_PATH_UNITS_MAX);
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_new(const struct tar_import *ti, uint32_t id)
{
	return id > ti->base_last_id;
}

/* ---- directories ---- */

static void dir_state_free(void *p)
{
	struct dir_state *d = p;

	g_free(d->spelling);
	g_free(d->acl);
	g_free(d);
}

static struct dir_state *dir_state(struct tar_import *ti, uint32_t id)
{
	return g_hash_table_lookup(ti->dirs, GUINT_TO_POINTER(id));
}

static struct dir_state *add_dir_state(struct tar_import *ti, uint32_t id)
{
	struct dir_state *d = g_new0(struct dir_state, 1);

	g_hash_table_insert(ti->dirs, GUINT_TO_POINTER(id), d);
	return d;
}

static int take_default_acl(struct tar_import *ti, uint32_t id, struct dir_state *d)
{
	ssize_t n = cim_writer_get_xattr(ti->im->writer, id, CIM_ACL_DEFAULT, NULL, 0);

	if (n <= 0)
		return n == -ENODATA || n == 0 ? 0 : (int)n;
	d->acl = g_malloc((size_t)n);
	n = cim_writer_get_xattr(ti->im->writer, id, CIM_ACL_DEFAULT, d->acl, (size_t)n);
	if (n < 0)
		return (int)n;
	d->acl_size = (size_t)n;
	return cim_writer_remove_xattr(ti->im->writer, id, CIM_ACL_DEFAULT);
}

/* A directory of the base will get a name or lose one: it shall be at the end what it is now. */
static int touch_dir(struct tar_import *ti, uint32_t id)
{
	if (dir_state(ti, id))
		return 0;
	struct dir_state *d = add_dir_state(ti, id);
	d->mask = SET_TIMES;
	int r = cim_writer_attr(ti->im->writer, id, &d->attr);
	if (r == 0)
		r = take_default_acl(ti, id, d);
	if (r == 0 && d->attr.posix.mode & S_ISGID) {
		struct cim_attr neutral = { .posix.mode = d->attr.posix.mode & ~(uint32_t)S_ISGID };

		d->mask |= CIM_SET_MODE;
		r = cim_writer_set(ti->im->writer, id, CIM_SET_MODE, &neutral);
	}
	return r;
}

static void set_times(const struct tar_entry *e, struct cim_attr *ret)
{
	const struct timespec *m = &e->mtime;

	ret->written = cim_ticks_from_timespec(*m);
	ret->accessed = cim_ticks_from_timespec(e->has_atime ? e->atime : *m);
	ret->changed = cim_ticks_from_timespec(e->has_ctime ? e->ctime : *m);
	ret->created = cim_ticks_from_timespec(e->has_btime ? e->btime : *m);
}

/* A directory that the archive names no entry for, though it has one in it. */
static int make_implied(struct tar_import *ti, uint32_t dir_id, const char *name, size_t n,
			const struct tar_entry *e, uint32_t *ret_id)
{
	const struct cim_make m = { .mode = S_IFDIR | 0755 };
	int r = touch_dir(ti, dir_id);

	if (r == 0)
		r = cim_writer_make(ti->im->writer, dir_id, name, n, &m, ret_id);
	if (r < 0)
		return r;
	struct dir_state *d = add_dir_state(ti, *ret_id);
	d->mask = SET_TIMES;
	set_times(e, &d->attr);
	return 0;
}

/* What a name on the way to an entry stands for: a directory, or the entry is refused. */
static int check_way(struct tar_import *ti, uint32_t id)
{
	struct cim_attr attr;
	int r = cim_writer_attr(ti->im->writer, id, &attr);

	if (r < 0 || S_ISDIR(attr.posix.mode))
		return r;
	if (S_ISLNK(attr.posix.mode))
		return cim_fail(ENOTDIR, "there is a symlink in its path");
	return cim_fail(ENOTDIR, "there is a file in its path that is no directory");
}

static int found_folded(const char *spelling)
{
	return cim_fail(
		EEXIST,
		"another name in the archive, \"%s\", differs from it in case only, and the "
		"image does not tell them apart",
		spelling);
}

static char *claim_key(uint32_t dir_id, const char *name, size_t n)
{
	return g_strdup_printf("%u/%.*s", dir_id, (int)n, name);
}

/* A name of a file of the base's that is the archive's all the same. */
static bool is_claimed(const struct tar_import *ti, uint32_t dir_id, const char *name, size_t n)
{
	if (g_hash_table_size(ti->claimed) == 0)
		return false;
	g_autofree char *key = claim_key(dir_id, name, n);
	return g_hash_table_contains(ti->claimed, key);
}

/* How the archive spells a name that it has given; 1 if it has not. */
static int archive_spelling(struct tar_import *ti, uint32_t dir_id, const char *name, size_t n,
			    uint32_t id, char *ret)
{
	const struct dir_state *d = dir_state(ti, id);

	if (d && d->spelling) {
		g_strlcpy(ret, d->spelling, CIM_NAME_BYTES + 1);
		return 0;
	}
	int r = cim_writer_spelling(ti->im->writer, dir_id, name, n, ret);
	if (r == 0 && !is_new(ti, id) && !(d && d->named) &&
	    !is_claimed(ti, dir_id, ret, strlen(ret)))
		return 1;
	return r;
}

/* A name; -ENOENT; -EEXIST if it is the archive's own in another spelling. */
static int look_up(struct tar_import *ti, uint32_t dir_id, const char *name, size_t n,
		   uint32_t *ret_id)
{
	char spelling[CIM_NAME_BYTES + 1];
	int r = cim_writer_lookup(ti->im->writer, dir_id, name, n, ret_id);

	if (r < 0 || !ti->im->folds_case)
		return r;
	r = archive_spelling(ti, dir_id, name, n, *ret_id, spelling);
	if (r == 0 && (strlen(spelling) != n || memcmp(spelling, name, n) != 0))
		return found_folded(spelling);
	return MIN(r, 0);
}

/*
 * The directory of a path, and the path's last name.
 * @e: whose path it is, for directories that are not there; NULL: -ENOENT then
 */
static int find_place(struct tar_import *ti, const GString *path, const struct tar_entry *e,
		      struct place *ret)
{
	const char *name = base_name(path->str), *p = path->str;
	size_t dir_size = (size_t)(name - path->str);
	uint32_t id = cim_writer_root(ti->im->writer);
	int r = 0;

	*ret = (struct place){ .name = name, .n = path->len - dir_size };
	if (ti->last_dir_id && dir_size == ti->last_dir->len &&
	    memcmp(p, ti->last_dir->str, dir_size) == 0) {
		ret->dir_id = ti->last_dir_id;
		return 0;
	}
	for (size_t n; r == 0 && p < name; p += n + 1) {
		uint32_t sub;

		n = strcspn(p, "/");
		r = look_up(ti, id, p, n, &sub);
		if (r == 0)
			r = check_way(ti, sub);
		else if (r == -ENOENT && e)
			r = make_implied(ti, id, p, n, e, &sub);
		id = r == 0 ? sub : id;
	}
	if (r < 0)
		return r;
	g_string_append_len(g_string_truncate(ti->last_dir, 0), path->str, (gssize)dir_size);
	ti->last_dir_id = ret->dir_id = id;
	return 0;
}

/* ---- taking away ---- */

static int remove_name(struct tar_import *ti, uint32_t dir_id, const char *name, uint32_t id)
{
	int r = touch_dir(ti, dir_id);

	ti->last_dir_id = 0; /* it may be in what goes */
	return r < 0 ? r : import_remove(ti->im, dir_id, name, id);
}

static int collect_name(void *arg, const char *name, size_t n, uint32_t id)
{
	g_ptr_array_add(arg, g_strndup(name, n));
	return 0;
}

static int list_names(struct tar_import *ti, uint32_t dir_id, GPtrArray *ret)
{
	return cim_writer_list(ti->im->writer, dir_id, collect_name, ret);
}

static int hide_below(struct tar_import *ti, uint32_t dir_id);

/*
 * Take away what the base has under a name.  A directory stays if something of the archive is in
 * it, or the archive has it.
 */
static int hide(struct tar_import *ti, uint32_t dir_id, const char *name, uint32_t id)
{
	const struct dir_state *d = dir_state(ti, id);

	if (is_new(ti, id) || (!d && is_claimed(ti, dir_id, name, strlen(name))))
		return 0;
	if (!d)
		return remove_name(ti, dir_id, name, id);
	bool named = d->named;
	int r = hide_below(ti, id);
	if (r < 0 || named)
		return r;
	g_autoptr(GPtrArray) left = g_ptr_array_new_with_free_func(g_free);
	r = list_names(ti, id, left);
	return r < 0 || left->len > 0 ? r : remove_name(ti, dir_id, name, id);
}

static int hide_below(struct tar_import *ti, uint32_t dir_id)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	int r = list_names(ti, dir_id, names);

	for (guint i = 0; r == 0 && i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);
		uint32_t id;

		r = cim_writer_lookup(ti->im->writer, dir_id, name, strlen(name), &id);
		if (r == 0)
			r = hide(ti, dir_id, name, id);
	}
	return r;
}

/* Whether a path is, or lies under, one of aufs' own names. */
static bool is_aufs_own(const char *path)
{
	const char *p = path;

	if (strcmp(base_name(path), WHITEOUT_OPAQUE) == 0)
		return false;
	for (; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (g_str_has_prefix(p, WHITEOUT_META))
			return true;
	}
	return false;
}

static int apply_whiteout(struct tar_import *ti)
{
	struct place place;
	uint32_t id;
	int r = find_place(ti, ti->path, NULL, &place);
	bool opaque = strcmp(place.name, WHITEOUT_OPAQUE) == 0;

	if (r == 0 && opaque)
		return hide_below(ti, place.dir_id);
	const char *name = place.name + strlen(WHITEOUT);
	if (r == 0 && cim_name_valid_linux(name, strlen(name)) < 0)
		return cim_fail(EINVAL, "it is a whiteout of \"%s\", which is no name", name);
	if (r == 0)
		r = cim_writer_lookup(ti->im->writer, place.dir_id, name, strlen(name), &id);
	if (r == -ENOENT)
		return 0; /* nothing to hide */
	return r < 0 ? r : hide(ti, place.dir_id, name, id);
}

/* ---- metadata ---- */

static int set_xattr(struct tar_import *ti, uint32_t id, const char *name, const void *value,
		     size_t size)
{
	int r = cim_writer_set_xattr(ti->im->writer, id, name, value, size, 0);

	if (r < 0 && !*cim_reason())
		return cim_fail(-r, "its attribute %s cannot be stored: %s", name, g_strerror(-r));
	return r;
}

/* The default ACL of a directory would go on to what is made in it: it waits for the end. */
static int set_acl(struct tar_import *ti, uint32_t id, struct dir_state *d, const char *name,
		   const void *value, size_t size)
{
	if (strcmp(name, CIM_ACL_DEFAULT) != 0)
		return set_xattr(ti, id, name, value, size);
	if (!d || cim_acl_check(value, size) < 0)
		return cim_fail(EINVAL, "its default ACL is none, or not a directory's");
	g_free(d->acl);
	d->acl = g_memdup2(value, size);
	d->acl_size = size;
	return 0;
}

static int set_text_acl(struct tar_import *ti, uint32_t id, struct dir_state *d, const char *name,
			const struct pax_record *r)
{
	g_autoptr(GByteArray) blob = NULL;
	int err = tar_acl_parse(r->value, r->value_size, &blob);

	return err < 0 ? err : set_acl(ti, id, d, name, blob->data, blob->len);
}

/* What GNU tar does to names that would end the key too early: "user.a%3Db" is "user.a=b". */
static char *decode_key(const char *key)
{
	GString *s = g_string_new(NULL);

	for (const char *p = key; *p; p++) {
		bool equals = strncmp(p, "%3D", 3) == 0, percent = strncmp(p, "%25", 3) == 0;

		g_string_append_c(s, equals ? '=' : *p);
		p += equals || percent ? 2 : 0;
	}
	return g_string_free(s, FALSE);
}

/* libarchive's way, where any byte may be a "%3D"; false: it is wrong, or has a NUL. */
static bool decode_url(const char *text, GString *ret)
{
	for (const char *p = text; *p; p++) {
		int high = *p == '%' ? g_ascii_xdigit_value(p[1]) : 0;
		int low = *p == '%' && high >= 0 ? g_ascii_xdigit_value(p[2]) : 0;

		if (high < 0 || low < 0 || (*p == '%' && high + low == 0))
			return false;
		g_string_append_c(ret, *p == '%' ? (char)(high << 4 | low) : *p);
		p += *p == '%' ? 2 : 0;
	}
	return true;
}

static int set_base64_xattr(struct tar_import *ti, uint32_t id, const char *key,
			    const struct pax_record *r)
{
	g_autofree uint8_t *value = g_malloc(r->value_size + 1);
	g_autoptr(GString) name = g_string_new(NULL);
	size_t size;

	if (!decode_url(key, name))
		return cim_fail(EINVAL, "its record %s has no name", r->key);
	if (!import_is_stored_xattr(name->str))
		return 0;
	/* libarchive leaves the padding away. */
	size_t n = r->value_size;
	g_autofree char *text = g_malloc(n + 4);
	memcpy(text, r->value, n);
	for (; n % 4; n++)
		text[n] = '=';
	if (!pax_base64(text, n, value, &size))
		return cim_fail(EINVAL, "its record %s is no base64", r->key);
	return set_xattr(ti, id, name->str, value, size);
}

static int apply_record(struct tar_import *ti, uint32_t id, struct dir_state *d,
			const struct pax_record *r)
{
	const char *key = pax_key_after(r, XATTR_RECORD);
	g_autofree char *name = key ? decode_key(key) : NULL;

	if (name && import_is_stored_xattr(name))
		return g_str_has_prefix(name, "system.")
			       ? set_acl(ti, id, d, name, r->value, r->value_size)
			       : set_xattr(ti, id, name, r->value, r->value_size);
	key = pax_key_after(r, XATTR_RECORD_B64);
	if (key)
		return set_base64_xattr(ti, id, key, r);
	if (strcmp(r->key, SELINUX_RECORD) == 0)
		return set_xattr(ti, id, SELINUX_XATTR, r->value, r->value_size);
	if (strcmp(r->key, ACL_RECORD) == 0)
		return set_text_acl(ti, id, d, CIM_ACL_ACCESS, r);
	if (strcmp(r->key, ACL_DEFAULT_RECORD) == 0)
		return set_text_acl(ti, id, d, CIM_ACL_DEFAULT, r);
	return 0;
}

static int apply_records(struct tar_import *ti, uint32_t id, struct dir_state *d,
			 const struct tar_entry *e)
{
	int r = 0;

	for (guint i = 0; r == 0 && i < e->records->len; i++)
		r = apply_record(ti, id, d, &g_array_index(e->records, struct pax_record, i));
	return r;
}

static void fill_attr(const struct tar_entry *e, uint32_t type, struct cim_attr *ret)
{
	*ret = (struct cim_attr){
		.posix = { .mode = type | e->mode, .uid = e->uid, .gid = e->gid },
	};
	set_times(e, ret);
}

/* ---- entries ---- */

/* Data with or without holes between it, into an empty file. */
static int copy_data(struct tar_import *ti, uint32_t id, const struct tar_entry *e)
{
	struct cim_writer *w = ti->im->writer;
	uint64_t off, end = 0;
	ssize_t n = 0;

	if (e->size == 0)
		return 0;
	int r = cim_writer_open_file(w, id, CIM_OPEN_WRITE | CIM_OPEN_TRUNCATE);
	if (r < 0)
		return r;
	while (r == 0 && (n = tar_reader_data(ti->reader, ti->chunk, CHUNK, &off)) > 0) {
		ssize_t done = cim_writer_write(w, id, off, ti->chunk, (size_t)n);

		r = done < 0 ? (int)done : reader_waits(ti) ? -EINTR : 0;
		end = off + (uint64_t)n;
	}
	if (r == 0 && n == 0 && end < e->size) {
		const struct cim_attr attr = { .size = e->size };

		r = cim_writer_set(w, id, CIM_SET_SIZE, &attr);
	}
	if (r == 0 && n == 0)
		r = cim_writer_flush(w, id);
	cim_writer_close_file(w, id, CIM_OPEN_WRITE | CIM_OPEN_TRUNCATE);
	return n < 0 ? (int)n : r;
}

static uint32_t file_type(const struct tar_entry *e)
{
	switch (e->type) {
	case TAR_SYMLINK:
		return S_IFLNK;
	case TAR_CHAR:
		return S_IFCHR;
	case TAR_BLOCK_DEVICE:
		return S_IFBLK;
	case TAR_FIFO:
		return S_IFIFO;
	default:
		return S_IFREG;
	}
}

/* Whatever has the name goes. */
static int make_room(struct tar_import *ti, const struct place *p)
{
	uint32_t id;
	int r = look_up(ti, p->dir_id, p->name, p->n, &id);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return remove_name(ti, p->dir_id, p->name, id);
}

static int import_file(struct tar_import *ti, const struct tar_entry *e, const struct place *p)
{
	const struct cim_make m = {
		.mode = file_type(e) | e->mode,
		.uid = e->uid,
		.gid = e->gid,
		.major = e->major,
		.minor = e->minor,
		.target = e->link,
	};
	struct cim_attr attr;
	uint32_t id;

	if (e->type == TAR_SYMLINK && !*e->link)
		return cim_fail(EINVAL, "it is a symlink to nothing");
	int r = make_room(ti, p);
	if (r == 0)
		r = touch_dir(ti, p->dir_id);
	if (r == 0)
		r = cim_writer_make(ti->im->writer, p->dir_id, p->name, p->n, &m, &id);
	if (r < 0)
		return r;
	fill_attr(e, m.mode & S_IFMT, &attr);
	if (e->type == TAR_FILE)
		r = copy_data(ti, id, e);
	if (r == 0)
		r = apply_records(ti, id, NULL, e);
	if (r == 0)
		r = cim_writer_set(ti->im->writer, id, SET_TIMES, &attr);
	if (r < 0) /* an entry is left out as a whole; this leaves the reason */
		(void)cim_writer_unlink(ti->im->writer, p->dir_id, p->name, p->n);
	return r;
}

/* A directory that stays, with other metadata. */
static int renew_dir(struct tar_import *ti, uint32_t id, const struct tar_entry *e)
{
	struct cim_attr neutral = {
		.posix = { .mode = S_IFDIR | (e->mode & ~(uint32_t)S_ISGID),
			   .uid = e->uid,
			   .gid = e->gid },
	};
	int r = import_drop_xattrs(ti->im, id);

	return r < 0 ? r
		     : cim_writer_set(ti->im->writer, id, CIM_SET_MODE | CIM_SET_UID | CIM_SET_GID,
				      &neutral);
}

static int make_dir(struct tar_import *ti, const struct tar_entry *e, const struct place *p,
		    uint32_t *ret_id)
{
	const struct cim_make m = {
		.mode = S_IFDIR | (e->mode & ~(uint32_t)S_ISGID),
		.uid = e->uid,
		.gid = e->gid,
	};
	int r = touch_dir(ti, p->dir_id);

	return r < 0 ? r : cim_writer_make(ti->im->writer, p->dir_id, p->name, p->n, &m, ret_id);
}

/* @p: NULL for the root */
static int import_dir(struct tar_import *ti, const struct tar_entry *e, const struct place *p)
{
	uint32_t id = cim_writer_root(ti->im->writer);
	struct cim_attr attr = { .posix.mode = S_IFDIR };
	int r = p ? look_up(ti, p->dir_id, p->name, p->n, &id) : 0;
	bool is_there = r == 0;

	if (p && is_there)
		r = cim_writer_attr(ti->im->writer, id, &attr);
	if (r == 0 && !S_ISDIR(attr.posix.mode)) {
		r = remove_name(ti, p->dir_id, p->name, id);
		is_there = false;
	}
	if (r < 0 && r != -ENOENT)
		return r;
	r = is_there ? renew_dir(ti, id, e) : make_dir(ti, e, p, &id);
	if (r < 0)
		return r;
	struct dir_state *d = add_dir_state(ti, id);
	d->named = true;
	if (p && ti->im->folds_case && is_there)
		d->spelling = g_strndup(p->name, p->n);
	d->mask = SET_TIMES | (e->mode & S_ISGID ? CIM_SET_MODE : 0);
	fill_attr(e, S_IFDIR, &d->attr);
	return apply_records(ti, id, d, e);
}

static void claim(struct tar_import *ti, const struct place *p, uint32_t id)
{
	if (!is_new(ti, id))
		g_hash_table_add(ti->claimed, claim_key(p->dir_id, p->name, p->n));
}

static int find_target(struct tar_import *ti, const char *raw, uint32_t *ret_id)
{
	g_autoptr(GString) path = g_string_new(NULL);
	struct place place;
	struct cim_attr attr;
	int r = clean_path(raw, path);

	if (r == 0 && path->len == 0)
		return cim_fail(EINVAL, "it is a hard link to a directory");
	if (r == 0)
		r = find_place(ti, path, NULL, &place);
	if (r == 0)
		r = cim_writer_lookup(ti->im->writer, place.dir_id, place.name, place.n, ret_id);
	if (r == 0)
		r = cim_writer_attr(ti->im->writer, *ret_id, &attr);
	if (r == -ENOENT || r == -EINVAL || r == -ENOTDIR) {
		g_autofree char *why = g_strdup(*cim_reason() ? cim_reason() : "it is not there");
		g_autofree char *shown = tool_printable(raw);

		return cim_fail(-r, "it is a hard link to \"%s\": %s", shown, why);
	}
	if (r == 0 && S_ISDIR(attr.posix.mode))
		return cim_fail(EINVAL, "it is a hard link to a directory");
	return r;
}

static int import_link(struct tar_import *ti, const struct tar_entry *e, const struct place *p)
{
	uint32_t id, there;
	struct cim_attr attr;
	int r = find_target(ti, e->link, &id);

	if (r < 0)
		return r;
	r = look_up(ti, p->dir_id, p->name, p->n, &there);
	if (r == 0 && there == id) {
		claim(ti, p, id);
		return 0;
	}
	if (r == 0)
		r = remove_name(ti, p->dir_id, p->name, there);
	if (r < 0 && r != -ENOENT)
		return r;
	r = touch_dir(ti, p->dir_id);
	if (r ==
	    0) /* a new name is a change of the file's; the archive's time of it is the file's */
		r = cim_writer_attr(ti->im->writer, id, &attr);
	if (r == 0)
		r = cim_writer_link(ti->im->writer, id, p->dir_id, p->name, p->n);
	if (r == 0)
		r = cim_writer_set(ti->im->writer, id, CIM_SET_CHANGED, &attr);
	if (r == 0)
		claim(ti, p, id);
	return r;
}

static int import_entry(struct tar_import *ti, const struct tar_entry *e)
{
	struct place place;

	if (e->refused)
		return cim_fail(EINVAL, "%s", e->refused);
	int r = clean_path(e->name, ti->path);
	if (r < 0)
		return r;
	if (!ti->has_root_time) {
		ti->root_time = e->mtime;
		ti->has_root_time = true;
	}
	if (ti->path->len == 0 && e->type != TAR_DIRECTORY)
		return cim_fail(EINVAL, "the root can only be a directory");
	if (ti->options->whiteouts && is_aufs_own(ti->path->str))
		return 0;
	if (ti->options->whiteouts && g_str_has_prefix(base_name(ti->path->str), WHITEOUT))
		return apply_whiteout(ti);
	bool is_root = ti->path->len == 0;
	if (!is_root)
		r = find_place(ti, ti->path, e, &place);
	if (r < 0)
		return r;
	progress_found(&ti->im->progress, e->size);
	if (e->type == TAR_DIRECTORY)
		r = import_dir(ti, e, is_root ? NULL : &place);
	else if (e->type == TAR_LINK)
		r = import_link(ti, e, &place);
	else
		r = import_file(ti, e, &place);
	if (r == 0)
		progress_done(&ti->im->progress, e->size);
	return r;
}

/* An error that the archive's reader met, and not one of the entry alone. */
static bool is_of_archive(int err)
{
	return err == -EBADMSG || err == -EINTR || err == -EIO;
}

static int import_entries(struct tar_import *ti)
{
	const struct tar_entry *e;
	int r;

	while (!import_is_over(ti->im)) {
		cim_reason_clear();
		r = tar_reader_next(ti->reader, &e);
		if (r <= 0)
			return r;
		cim_reason_clear();
		r = import_entry(ti, e);
		if (r < 0 && is_of_archive(r))
			return r;
		if (r < 0)
			report(ti, e->name, r);
		progress_tick(&ti->im->progress);
	}
	return 0;
}

/* ---- the end ---- */

static int finish_dir(struct tar_import *ti, uint32_t id, const struct dir_state *d)
{
	int r = 0;

	if (d->acl)
		r = cim_writer_set_xattr(ti->im->writer, id, CIM_ACL_DEFAULT, d->acl, d->acl_size,
					 0);
	if (r == 0)
		r = cim_writer_set(ti->im->writer, id, d->mask, &d->attr);
	/* It may have been taken away again. */
	return r == -ESTALE || r == -ENOENT ? 0 : r;
}

/* A root that the archive does not mention is everybody's root directory. */
static void finish_root(struct tar_import *ti)
{
	uint32_t root = cim_writer_root(ti->im->writer);
	struct dir_state *d = dir_state(ti, root);

	if (!is_new(ti, root) || (d && d->named))
		return;
	d = add_dir_state(ti, root);
	d->mask = SET_ALL;
	d->attr.posix.mode = S_IFDIR | 0755;
	d->attr.written = d->attr.accessed = d->attr.changed = d->attr.created =
		cim_ticks_from_timespec(ti->root_time);
}

static int finish_dirs(struct tar_import *ti)
{
	GHashTableIter it;
	gpointer id, d;
	int r = 0;

	finish_root(ti);
	g_hash_table_iter_init(&it, ti->dirs);
	while (r == 0 && g_hash_table_iter_next(&it, &id, &d))
		r = finish_dir(ti, GPOINTER_TO_UINT(id), d);
	return r;
}

static int run(struct tar_import *ti)
{
	struct input *in;

	cim_reason_clear();
	int r = input_open(ti->options->file, reader_waits, ti, &in);
	if (r < 0)
		return r;
	ti->reader = tar_reader_new(in);
	r = import_entries(ti);
	if (r == 0 && !import_is_over(ti->im)) {
		ti->im->progress.total_known = true;
		cim_reason_clear();
		r = finish_dirs(ti);
	}
	tar_reader_free(ti->reader);
	input_close(in);
	return r;
}

int tar_import(struct import *im, const struct tar_options *options)
{
	struct cim_writer_info info;
	struct tar_import ti = {
		.im = im,
		.options = options,
		.dirs = g_hash_table_new_full(NULL, NULL, NULL, dir_state_free),
		.claimed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
		.path = g_string_new(NULL),
		.last_dir = g_string_new(NULL),
		.chunk = g_malloc(CHUNK),
	};

	cim_writer_info(im->writer, &info);
	ti.base_last_id = info.base_last_id;
	int r = run(&ti);
	if (r < 0 && !signal_caught)
		progress_error(&im->progress,
			       strcmp(options->file, "-") == 0 ? "standard input" : options->file,
			       NULL, r);
	g_hash_table_destroy(ti.dirs);
	g_hash_table_destroy(ti.claimed);
	g_string_free(ti.path, TRUE);
	g_string_free(ti.last_dir, TRUE);
	g_free(ti.chunk);
	return r;
}
