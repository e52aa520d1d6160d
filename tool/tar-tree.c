/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "tar-tree.h"

#include <string.h>
#include <sys/stat.h>

#include "acl.h"
#include "error.h"
#include "util.h"

#define WHITEOUT        ".wh."
#define WHITEOUT_META   ".wh..wh."     /* what aufs keeps for itself; no file of anyone's */
#define WHITEOUT_OPAQUE ".wh..wh..opq" /* all that the base has in this directory */

/* ---- names ---- */

int tar_path_clean(const char *raw, GString *ret)
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

const char *tar_path_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_new(const struct tar_tree *t, uint32_t id)
{
	return id > t->base_last_id;
}

/* ---- directories ---- */

static void dir_state_free(void *p)
{
	struct tar_dir *d = p;

	g_free(d->spelling);
	g_free(d->acl.blob);
	g_free(d);
}

void tar_tree_init(struct tar_tree *t, struct import *im)
{
	struct cim_writer_info info;

	cim_writer_info(im->writer, &info);
	*t = (struct tar_tree){
		.im = im,
		.base_last_id = info.base_last_id,
		.dirs = g_hash_table_new_full(NULL, NULL, NULL, dir_state_free),
		.claimed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
		.last_dir = g_string_new(NULL),
	};
}

void tar_tree_clear(struct tar_tree *t)
{
	g_hash_table_destroy(t->dirs);
	g_hash_table_destroy(t->claimed);
	g_string_free(t->last_dir, TRUE);
}

static struct tar_dir *dir_state(struct tar_tree *t, uint32_t id)
{
	return g_hash_table_lookup(t->dirs, GUINT_TO_POINTER(id));
}

static struct tar_dir *add_dir(struct tar_tree *t, uint32_t id)
{
	struct tar_dir *d = g_new0(struct tar_dir, 1);

	g_hash_table_insert(t->dirs, GUINT_TO_POINTER(id), d);
	return d;
}

static int take_default_acl(struct tar_tree *t, uint32_t id, struct tar_dir *d)
{
	ssize_t n = cim_writer_get_xattr(t->im->writer, id, CIM_ACL_DEFAULT, NULL, 0);

	if (n <= 0)
		return n == -ENODATA || n == 0 ? 0 : (int)n;
	d->acl.blob = g_malloc((size_t)n);
	n = cim_writer_get_xattr(t->im->writer, id, CIM_ACL_DEFAULT, d->acl.blob, (size_t)n);
	if (n < 0)
		return (int)n;
	d->acl.size = (size_t)n;
	return cim_writer_remove_xattr(t->im->writer, id, CIM_ACL_DEFAULT);
}

/* A directory of the base shall be at the end what it is now. */
int tar_tree_touch(struct tar_tree *t, uint32_t id)
{
	if (dir_state(t, id))
		return 0;
	struct tar_dir *d = add_dir(t, id);
	d->mask = TAR_SET_TIMES;
	int r = cim_writer_attr(t->im->writer, id, &d->attr);
	if (r == 0)
		r = take_default_acl(t, id, d);
	if (r == 0 && d->attr.posix.mode & S_ISGID) {
		struct cim_attr neutral = { .posix.mode = d->attr.posix.mode & ~(uint32_t)S_ISGID };

		d->mask |= CIM_SET_MODE;
		r = cim_writer_set(t->im->writer, id, CIM_SET_MODE, &neutral);
	}
	return r;
}

void tar_tree_times(const struct tar_entry *e, struct cim_attr *ret)
{
	const struct timespec *m = &e->mtime;

	ret->written = cim_ticks_from_timespec(*m);
	ret->accessed = cim_ticks_from_timespec(e->has_atime ? e->atime : *m);
	ret->changed = cim_ticks_from_timespec(e->has_ctime ? e->ctime : *m);
	ret->created = cim_ticks_from_timespec(e->has_btime ? e->btime : *m);
}

/* A directory that the archive names no entry for, though it has one in it. */
static int make_implied(struct tar_tree *t, const struct tar_place *p, const struct tar_entry *e,
			uint32_t *ret_id)
{
	const struct cim_make m = { .mode = S_IFDIR | 0755 };
	int r = tar_tree_touch(t, p->dir_id);

	if (r == 0)
		r = cim_writer_make(t->im->writer, p->dir_id, p->name, p->n, &m, ret_id);
	if (r < 0)
		return r;
	struct tar_dir *d = add_dir(t, *ret_id);
	d->mask = TAR_SET_TIMES;
	tar_tree_times(e, &d->attr);
	return 0;
}

/* What a name on the way to an entry stands for: a directory, or the entry is refused. */
static int check_way(struct tar_tree *t, uint32_t id)
{
	struct cim_attr attr;
	int r = cim_writer_attr(t->im->writer, id, &attr);

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
static bool is_claimed(const struct tar_tree *t, uint32_t dir_id, const char *name, size_t n)
{
	if (g_hash_table_size(t->claimed) == 0)
		return false;
	g_autofree char *key = claim_key(dir_id, name, n);
	return g_hash_table_contains(t->claimed, key);
}

/* How the archive spells a name that it has given; 1 if it has not. */
static int archive_spelling(struct tar_tree *t, const struct tar_place *p, uint32_t id, char *ret)
{
	const struct tar_dir *d = dir_state(t, id);

	if (d && d->spelling) {
		g_strlcpy(ret, d->spelling, CIM_NAME_BYTES + 1);
		return 0;
	}
	int r = cim_writer_spelling(t->im->writer, p->dir_id, p->name, p->n, ret);
	if (r == 0 && !is_new(t, id) && !(d && d->named) &&
	    !is_claimed(t, p->dir_id, ret, strlen(ret)))
		return 1;
	return r;
}

int tar_tree_look_up(struct tar_tree *t, const struct tar_place *p, uint32_t *ret_id)
{
	char spelling[CIM_NAME_BYTES + 1];
	int r = cim_writer_lookup(t->im->writer, p->dir_id, p->name, p->n, ret_id);

	if (r < 0 || !t->im->folds_case)
		return r;
	r = archive_spelling(t, p, *ret_id, spelling);
	if (r == 0 && (strlen(spelling) != p->n || memcmp(spelling, p->name, p->n) != 0))
		return found_folded(spelling);
	return MIN(r, 0);
}

int tar_tree_find(struct tar_tree *t, const GString *path, const struct tar_entry *e,
		  struct tar_place *ret)
{
	const char *name = tar_path_name(path->str), *p = path->str;
	size_t dir_size = (size_t)(name - path->str);
	uint32_t id = cim_writer_root(t->im->writer);
	int r = 0;

	*ret = (struct tar_place){ .name = name, .n = path->len - dir_size };
	if (t->last_dir_id && dir_size == t->last_dir->len &&
	    memcmp(p, t->last_dir->str, dir_size) == 0) {
		ret->dir_id = t->last_dir_id;
		return 0;
	}
	for (struct tar_place way; r == 0 && p < name; p += way.n + 1) {
		uint32_t sub;

		way = (struct tar_place){ id, p, strcspn(p, "/") };
		r = tar_tree_look_up(t, &way, &sub);
		if (r == 0)
			r = check_way(t, sub);
		else if (r == -ENOENT && e)
			r = make_implied(t, &way, e, &sub);
		id = r == 0 ? sub : id;
	}
	if (r < 0)
		return r;
	g_string_append_len(g_string_truncate(t->last_dir, 0), path->str, (gssize)dir_size);
	t->last_dir_id = ret->dir_id = id;
	return 0;
}

/* ---- taking away ---- */

int tar_tree_remove(struct tar_tree *t, const struct tar_place *p)
{
	int r = tar_tree_touch(t, p->dir_id);

	t->last_dir_id = 0; /* it may be in what goes */
	return r < 0 ? r : cim_writer_remove(t->im->writer, p->dir_id, p->name, p->n);
}

static int collect_name(void *arg, const char *name, size_t n, uint32_t id)
{
	g_ptr_array_add(arg, g_strndup(name, n));
	return 0;
}

static int list_names(struct tar_tree *t, uint32_t dir_id, GPtrArray *ret)
{
	return cim_writer_list(t->im->writer, dir_id, collect_name, ret);
}

static int hide_below(struct tar_tree *t, uint32_t dir_id);

/*
 * Take away what the base has under a name.  A directory stays if something of the archive is in
 * it, or the archive has it.
 */
static int hide(struct tar_tree *t, const struct tar_place *p, uint32_t id)
{
	const struct tar_dir *d = dir_state(t, id);

	if (is_new(t, id) || (!d && is_claimed(t, p->dir_id, p->name, p->n)))
		return 0;
	if (!d)
		return tar_tree_remove(t, p);
	bool named = d->named;
	int r = hide_below(t, id);
	if (r < 0 || named)
		return r;
	g_autoptr(GPtrArray) left = g_ptr_array_new_with_free_func(g_free);
	r = list_names(t, id, left);
	return r < 0 || left->len > 0 ? r : tar_tree_remove(t, p);
}

static int hide_below(struct tar_tree *t, uint32_t dir_id)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	int r = list_names(t, dir_id, names);

	for (guint i = 0; r == 0 && i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);
		const struct tar_place place = { dir_id, name, strlen(name) };
		uint32_t id;

		r = cim_writer_lookup(t->im->writer, dir_id, place.name, place.n, &id);
		if (r == 0)
			r = hide(t, &place, id);
	}
	return r;
}

/* Whether a path is, or lies under, one of aufs' own names. */
static bool is_aufs_own(const char *path)
{
	const char *p = path;

	if (strcmp(tar_path_name(path), WHITEOUT_OPAQUE) == 0)
		return false;
	for (; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (g_str_has_prefix(p, WHITEOUT_META))
			return true;
	}
	return false;
}

bool tar_path_is_whiteout(const char *path)
{
	return is_aufs_own(path) || g_str_has_prefix(tar_path_name(path), WHITEOUT);
}

int tar_tree_whiteout(struct tar_tree *t, const GString *path)
{
	struct tar_place place;
	uint32_t id;

	if (is_aufs_own(path->str))
		return 0;
	int r = tar_tree_find(t, path, NULL, &place);
	bool opaque = strcmp(place.name, WHITEOUT_OPAQUE) == 0;
	if (r == 0 && opaque)
		return hide_below(t, place.dir_id);
	place.name += strlen(WHITEOUT);
	place.n -= strlen(WHITEOUT);
	if (r == 0 && cim_name_valid_linux(place.name, place.n) < 0)
		return cim_fail(EINVAL, "it is a whiteout of \"%s\", which is no name", place.name);
	if (r == 0)
		r = cim_writer_lookup(t->im->writer, place.dir_id, place.name, place.n, &id);
	if (r == -ENOENT)
		return 0; /* nothing to hide */
	return r < 0 ? r : hide(t, &place, id);
}

void tar_tree_claim(struct tar_tree *t, const struct tar_place *p, uint32_t id)
{
	if (!is_new(t, id))
		g_hash_table_add(t->claimed, claim_key(p->dir_id, p->name, p->n));
}

int tar_tree_make_room(struct tar_tree *t, const struct tar_place *p)
{
	uint32_t id;
	int r = tar_tree_look_up(t, p, &id);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return tar_tree_remove(t, p);
}

struct tar_dir *tar_tree_dir(struct tar_tree *t, const struct tar_place *p, uint32_t id)
{
	struct tar_dir *d = add_dir(t, id);

	d->named = true;
	if (p && t->im->folds_case)
		d->spelling = g_strndup(p->name, p->n);
	return d;
}

int tar_tree_renew(struct tar_tree *t, const struct tar_place *p, uint32_t id)
{
	g_hash_table_remove(t->dirs, GUINT_TO_POINTER(id));
	int r = tar_tree_touch(t, id);
	if (r < 0)
		return r;
	struct tar_dir *d = dir_state(t, id);
	d->named = true;
	if (p && t->im->folds_case)
		d->spelling = g_strndup(p->name, p->n);
	return 0;
}

/* ---- the end ---- */

static int finish_dir(struct tar_tree *t, uint32_t id, const struct tar_dir *d)
{
	int r = 0;

	if (d->acl.blob)
		r = cim_writer_set_xattr(t->im->writer, id, CIM_ACL_DEFAULT, d->acl.blob,
					 d->acl.size, 0);
	if (r == 0)
		r = cim_writer_set(t->im->writer, id, d->mask, &d->attr);
	/* It may have been taken away again. */
	return r == -ESTALE || r == -ENOENT ? 0 : r;
}

/* A root that the archive does not mention is everybody's root directory. */
static void finish_root(struct tar_tree *t)
{
	uint32_t root = cim_writer_root(t->im->writer);
	struct tar_dir *d = dir_state(t, root);

	if (!is_new(t, root) || (d && d->named))
		return;
	d = add_dir(t, root);
	d->mask = (TAR_SET_TIMES | CIM_SET_MODE | CIM_SET_UID | CIM_SET_GID);
	d->attr.posix.mode = S_IFDIR | 0755;
	d->attr.written = d->attr.accessed = d->attr.changed = d->attr.created =
		cim_ticks_from_timespec(t->root_time);
}

int tar_tree_finish(struct tar_tree *t)
{
	GHashTableIter it;
	gpointer id, d;
	int r = 0;

	finish_root(t);
	g_hash_table_iter_init(&it, t->dirs);
	while (r == 0 && g_hash_table_iter_next(&it, &id, &d))
		r = finish_dir(t, GPOINTER_TO_UINT(id), d);
	return r;
}
