/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Extended attributes of the writer's files: EAs, streams for what no EA can hold, and what Windows
 * keeps of a file under the names of ntfs-xattr.h (metadata.md §10.1).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "acl.h"
#include "error.h"
#include "node.h"
#include "ntfs-xattr.h"

#define LX_PREFIX     "lxea" /* before every value of an LX. EA (metadata.md §1.5) */
#define STREAM_PREFIX "ntfs-3g."
#define VALUE_MAX     65536 /* XATTR_SIZE_MAX */

/* ---- EAs ---- */

static int compare_names(const char *a, size_t na, const char *b, size_t nb)
{
	int order = memcmp(a, b, MIN(na, nb));

	return order ? order : (na > nb) - (na < nb);
}

static int add_value(struct cim_ea_list *l, const char *name, const void *prefix,
		     size_t prefix_size, const void *value, size_t value_size)
{
	g_autofree uint8_t *whole = g_try_malloc(prefix_size + value_size + 1);

	if (!whole)
		return -ENOMEM;
	if (prefix_size)
		memcpy(whole, prefix, prefix_size);
	if (value_size)
		memcpy(whole + prefix_size, value, value_size);
	return cim_ea_list_add(l, name, strlen(name), 0, whole, prefix_size + value_size);
}

int cim_node_set_ea(struct cim_node *node, const char *name, const void *prefix, size_t prefix_size,
		    const void *value, size_t value_size)
{
	struct cim_ea_list l = { 0 };
	struct cim_ea_iter it;
	struct cim_ea ea;
	bool done = !value;
	int r = 0;

	/* By name, so that equal files have equal lists. */
	cim_ea_iter_init(&it, node->eas, node->eas_size);
	while (r == 0 && cim_ea_iter_next(&it, &ea) == 1) {
		int order = compare_names(name, strlen(name), ea.name, ea.name_size);

		if (!done && order <= 0) {
			r = add_value(&l, name, prefix, prefix_size, value, value_size);
			done = true;
		}
		if (r == 0 && order != 0)
			r = cim_ea_list_add(&l, ea.name, ea.name_size, ea.flags, ea.value,
					    ea.value_size);
	}
	if (r == 0 && !done)
		r = add_value(&l, name, prefix, prefix_size, value, value_size);
	/* The EAs of posix.h come before these when the file is written: they must fit as well. */
	if (r == 0 && value && l.size > CIM_EA_LIST_MAX - CIM_POSIX_EAS_MAX)
		r = -E2BIG;
	if (r < 0) {
		cim_ea_list_clear(&l);
		return r;
	}
	free(node->eas);
	node->eas = l.data;
	node->eas_size = (uint32_t)l.size;
	return 0;
}

static bool find_ea(const struct cim_node *node, const char *name, struct cim_ea *ret)
{
	struct cim_ea_iter it;

	cim_ea_iter_init(&it, node->eas, node->eas_size);
	while (cim_ea_iter_next(&it, ret) == 1)
		if (compare_names(name, strlen(name), ret->name, ret->name_size) == 0)
			return true;
	return false;
}

#define FIELD_SIZE 24 /* bytes of an EA of posix.h at most: $LXDEV, $CIMLINKS */

int cim_node_ea_room(const struct cim_node *node, uint32_t fields)
{
	size_t need = FIELD_SIZE * (1 + (size_t)__builtin_popcount(fields));

	if (node->eas_size <= CIM_EA_LIST_MAX - need)
		return 0;
	return cim_fail(ENOSPC,
			"the file has %u bytes of EAs, of %d: no room for its owner, mode or count "
			"of links",
			node->eas_size, CIM_EA_LIST_MAX);
}

int cim_node_own(struct cim_node *node, uint32_t fields)
{
	static const struct {
		uint32_t field;
		const char *name;
	} names[] = { { CIM_POSIX_UID, CIM_EA_UID },
		      { CIM_POSIX_GID, CIM_EA_GID },
		      { CIM_POSIX_MODE, CIM_EA_MODE },
		      { CIM_POSIX_DEV, CIM_EA_DEV } };
	struct cim_ea ea;
	int r = fields & ~node->posix_front ? cim_node_ea_room(node, node->posix_front | fields)
					    : 0;

	for (size_t i = 0; r == 0 && i < G_N_ELEMENTS(names); i++)
		if ((fields & names[i].field) && find_ea(node, names[i].name, &ea))
			r = cim_node_set_ea(node, names[i].name, NULL, 0, NULL, 0);
	if (r < 0)
		return r;
	node->posix_stored |= (uint8_t)fields;
	node->posix_front |= (uint8_t)fields;
	return 0;
}

int cim_node_acl(struct cim_writer *w, const struct cim_node *node, const char *which, void **ret,
		 size_t *ret_size)
{
	struct cim_ea ea;

	*ret = NULL;
	*ret_size = 0;
	if (!find_ea(node, which, &ea) || cim_acl_check(ea.value, ea.value_size) < 0)
		return 0;
	*ret = g_memdup2(ea.value, ea.value_size);
	*ret_size = ea.value_size;
	return 0;
}

/* ---- streams that are xattrs ---- */

/* How the stream is called that an xattr would be; -EOPNOTSUPP where the view has none. */
static int stream_name(const struct cim_writer *w, const char *xattr, uint16_t *ret)
{
	char name[CIM_XATTR_NAME_MAX + sizeof(STREAM_PREFIX)];
	bool open = w->view.streams == CIM_STREAMS_OPENXATTR;

	if ((!open && w->view.streams != CIM_STREAMS_XATTR) ||
	    (open && strncmp(xattr, "system.", 7) == 0))
		return -EOPNOTSUPP;
	if (open)
		snprintf(name, sizeof(name), "%s", xattr);
	else if (strncmp(xattr, "user.", 5) == 0)
		snprintf(name, sizeof(name), "%s", xattr + 5);
	else
		snprintf(name, sizeof(name), STREAM_PREFIX "%s", xattr);
	size_t n = strlen(name);
	if (n > CIM_NAME_UNITS)
		return -ENAMETOOLONG;
	return (int)cim_name_encode(name, n, ret);
}

static bool find_xattr_stream(const struct cim_writer *w, const struct cim_node *node,
			      const char *xattr, guint *ret)
{
	uint16_t units[CIM_XATTR_NAME_MAX + sizeof(STREAM_PREFIX)];
	int n = stream_name(w, xattr, units);

	return n > 0 && cim_streams_find(w, node, units, (size_t)n, ret);
}

static int set_stream(struct cim_writer *w, struct cim_node *node, const char *xattr,
		      const void *value, size_t size)
{
	uint16_t units[CIM_XATTR_NAME_MAX + sizeof(STREAM_PREFIX)];
	struct cim_stored stored = { 0 };
	int n = stream_name(w, xattr, units);

	if (n <= 0)
		return n < 0 ? n : -EINVAL;
	int r = size > 0 ? cim_region_put(w->region, value, size, &stored) : 0;
	if (r < 0)
		return r;
	struct cim_data data = cim_data_of_stored(&stored, size, 0);
	cim_streams_put(w, node, units, (size_t)n, &data);
	return 0;
}

static ssize_t read_stream(struct cim_writer *w, const struct cim_data *d, void *buf, size_t size)
{
	if (d->size > VALUE_MAX)
		return -E2BIG;
	if (size == 0)
		return (ssize_t)d->size;
	if (size < d->size)
		return -ERANGE;
	return cim_data_read(w, d, 0, buf, (size_t)d->size);
}

/* ---- of a file of the base, when it becomes a node ---- */

/*
 * EAs at the start of a list that the encoder makes again from the fields, byte for byte, are not
 * kept; all else is, as it came.
 */
int cim_node_set_eas(struct cim_node *node, const void *list, size_t size,
		     const struct cim_posix *posix)
{
	struct cim_ea_list l = { 0 };
	uint32_t front = 0;
	struct cim_ea_iter it;
	struct cim_ea ea;
	int r = 0;

	cim_ea_iter_init(&it, list, size);
	while (r == 0 && cim_ea_iter_next(&it, &ea) == 1) {
		uint32_t field = cim_posix_ea_field(&ea);

		if (cim_posix_is_count(&ea))
			continue;
		if (l.size == 0 && field > front && cim_posix_ea_made(posix, &ea))
			front |= field;
		else
			r = cim_ea_list_add(&l, ea.name, ea.name_size, ea.flags, ea.value,
					    ea.value_size);
	}
	if (r < 0) {
		cim_ea_list_clear(&l);
		return r;
	}
	free(node->eas);
	node->eas = l.data;
	node->eas_size = (uint32_t)l.size;
	node->posix_front = (uint8_t)front;
	return 0;
}

int cim_node_load_xattrs(struct cim_writer *w, const struct cim_entry *e, struct cim_node *node,
			 const struct cim_posix *posix)
{
	const uint8_t *eas;
	size_t size;

	cim_file_eas(w->base, e, &eas, &size);
	int r = cim_node_set_eas(node, eas, size, posix);
	return r < 0 ? r : cim_node_load_streams(w, e, node);
}

/* ---- either of them ---- */

/* From LXXATTR, which has many. */
static bool drop_old(struct cim_node *node, const char *name)
{
	g_autofree uint8_t *value = NULL;
	struct cim_ea ea;

	if (!find_ea(node, CIM_EA_OLD_XATTRS, &ea))
		return false;
	value = g_malloc(ea.value_size);
	int n = cim_ea_old_without(&ea, name, value);
	return n >= 0 &&
	       cim_node_set_ea(node, CIM_EA_OLD_XATTRS, NULL, 0, n ? value : NULL, (size_t)n) == 0;
}

/* Under the name that it gets here (@ea_name, NULL: it has none), and the literal and the old one
 * of other software. */
static bool drop_eas(struct cim_node *node, const char *name, const char *ea_name)
{
	struct cim_ea ea;
	bool found = false;

	if (ea_name && find_ea(node, ea_name, &ea))
		found = cim_node_set_ea(node, ea_name, NULL, 0, NULL, 0) == 0;
	if (find_ea(node, name, &ea) && (!ea_name || strcmp(ea_name, name) != 0))
		found = cim_node_set_ea(node, name, NULL, 0, NULL, 0) == 0 || found;
	return drop_old(node, name) || found;
}

static bool drop_stream(struct cim_writer *w, struct cim_node *node, const char *name)
{
	guint i;

	if (!find_xattr_stream(w, node, name, &i))
		return false;
	cim_streams_remove(w, node, i);
	return true;
}

static bool drop_xattr(struct cim_writer *w, struct cim_node *node, const char *name)
{
	char ea_name[CIM_XATTR_NAME_MAX + 4];
	bool prefixed;
	bool has_name = cim_ea_from_xattr(name, ea_name, &prefixed) > 0;
	bool in_eas = drop_eas(node, name, has_name ? ea_name : NULL);

	return drop_stream(w, node, name) || in_eas;
}

static bool has_ea_xattr(const struct cim_node *node, const char *name, const uint8_t **ret_value,
			 size_t *ret_size)
{
	return cim_xattr_find(node->eas, node->eas_size, name, ret_value, ret_size) == 1;
}

/* Whether an xattr is a stream of the file's, which stays one. */
static bool is_stream(const struct cim_writer *w, const struct cim_node *node, const char *name)
{
	const uint8_t *value;
	size_t size;
	guint i;

	return find_xattr_stream(w, node, name, &i) && !has_ea_xattr(node, name, &value, &size);
}

/* As an EA, or as a stream where it is one or no EA can hold it.  The new value is in before others
 * go. */
static int put_xattr(struct cim_writer *w, struct cim_node *node, const char *name,
		     const void *value, size_t size)
{
	char ea_name[CIM_XATTR_NAME_MAX + 4];
	bool prefixed;

	if (is_stream(w, node, name))
		return set_stream(w, node, name, value, size);
	int n = cim_ea_from_xattr(name, ea_name, &prefixed);
	int r = n > 0 ? cim_node_set_ea(node, ea_name, LX_PREFIX, prefixed ? strlen(LX_PREFIX) : 0,
					size ? value : "", size)
		      : n;

	if (r == 0) {
		(void)drop_stream(w, node, name);
		if (strcmp(ea_name, name) != 0)
			(void)drop_eas(node, name, NULL);
	} else if (r == -E2BIG || r == -ENAMETOOLONG || r == -EOPNOTSUPP) {
		int as_stream = set_stream(w, node, name, value, size);

		if (as_stream == 0)
			(void)drop_eas(node, name, n > 0 ? ea_name : NULL);
		/* Where xattrs cannot be streams, it is as before. */
		r = as_stream == -EOPNOTSUPP ? r : as_stream;
	}
	return r;
}

/* An access ACL is also the mode; one that says no more than the mode is not kept. */
static int set_acl(struct cim_writer *w, struct cim_node *node, const char *name, const void *value,
		   size_t size)
{
	bool is_default = strcmp(name, CIM_ACL_DEFAULT) == 0, minimal = false;

	if (S_ISLNK(node->mode))
		return -EOPNOTSUPP;
	if (size <= 4) { /* no entries: take it away */
		(void)drop_xattr(w, node, name);
		return 0;
	}
	if (cim_acl_check(value, size) < 0)
		return -EINVAL;
	if (is_default && !S_ISDIR(node->mode))
		return -EACCES;
	if (!is_default) {
		int r = cim_node_own(node, CIM_POSIX_MODE);

		if (r < 0)
			return r;
		cim_node_set_mode(node, cim_acl_to_mode(value, size, node->mode, &minimal));
	}
	return cim_node_set_ea(node, name, NULL, 0, minimal ? NULL : value, size);
}

static bool is_acl(const char *name)
{
	return strcmp(name, CIM_ACL_ACCESS) == 0 || strcmp(name, CIM_ACL_DEFAULT) == 0;
}

static ssize_t get_locked(struct cim_writer *w, uint32_t id, const char *name, void *buf,
			  size_t size)
{
	const struct cim_node *node = cim_node_find(w, id);
	const uint8_t *value;
	size_t value_size;
	struct cim_entry e;
	guint i;

	/* Who may use a stream is its file's business. */
	if (node && node->is_stream)
		node = is_acl(name) ? cim_stream_owner(w, node) : NULL;
	if (!node && id > w->base_last_id)
		return cim_node_find(w, id) ? -ENODATA : -ESTALE;
	if (!node) {
		int r = id && id <= w->base_last_id ? cim_image_entry(w->base, id, &e) : -ESTALE;

		return r < 0 ? r : cim_file_get_xattr(w->base, &e, name, buf, size);
	}
	if (has_ea_xattr(node, name, &value, &value_size)) {
		if (size > 0 && size < value_size)
			return -ERANGE;
		if (size > 0)
			memcpy(buf, value, value_size);
		return (ssize_t)value_size;
	}
	if (!find_xattr_stream(w, node, name, &i))
		return -ENODATA;
	return read_stream(w, &cim_streams_at(node, i)->data, buf, size);
}

/* ---- what Windows keeps of a file ---- */

struct ntfs_get {
	const char *name;
	void *buf;
	size_t size;
};

static int get_ntfs(void *arg, const struct cim_winmeta *m)
{
	const struct ntfs_get *get = arg;

	return (int)cim_ntfs_xattr_get(m, get->name, get->buf, get->size);
}

struct ntfs_list {
	cim_xattr_fn fn;
	void *arg;
};

static int list_ntfs(void *arg, const struct cim_winmeta *m)
{
	const struct ntfs_list *list = arg;

	return cim_ntfs_xattr_list(m, list->fn, list->arg);
}

struct ntfs_set {
	const char *name;
	const void *value; /* NULL: remove */
	size_t size;
	int flags;
	uint32_t old_attributes;
	struct cim_ntfs_change change;
};

static int plan_ntfs(void *arg, const struct cim_winmeta *m)
{
	struct ntfs_set *set = arg;

	set->old_attributes = m->attributes;
	if (!set->value)
		return cim_ntfs_xattr_remove(m, set->name, &set->change);
	return cim_ntfs_xattr_set(m, set->name, set->value, set->size, set->flags, &set->change);
}

/*
 * ntfs3's name for the attributes, unlike ntfs-3g's, sets the write permission of a regular file as
 * well: all of it goes, or its owner's comes back if there was none.
 */
static int follow_readonly(struct cim_writer *w, struct cim_node *node, const struct ntfs_set *set)
{
	bool readonly = set->change.meta.attributes & CIM_ATTRIBUTE_READONLY;
	struct cim_attr attr;

	cim_node_attr(w, node, &attr);
	if (!S_ISREG(attr.posix.mode) || !(node->posix_stored & CIM_POSIX_MODE) ||
	    readonly == !!(set->old_attributes & CIM_ATTRIBUTE_READONLY))
		return 0;
	if (readonly)
		attr.posix.mode &= ~0222u;
	else if (!(attr.posix.mode & 0222))
		attr.posix.mode |= 0200;
	return cim_node_set_attr(w, node, CIM_SET_MODE, &attr);
}

static int set_ntfs(struct cim_writer *w, struct cim_node *node, struct ntfs_set *set)
{
	int r = cim_node_get_windows(w, node, plan_ntfs, set);

	if (r == 0)
		r = cim_node_set_windows(w, node, set->change.mask, &set->change.meta);
	if (r == 0 && set->change.now)
		cim_node_touch(w, node, false);
	if (r == 0 && strcmp(set->name, CIM_XATTR_DOS_ATTRIB) == 0)
		r = follow_readonly(w, node, set);
	g_free(set->change.owned);
	return r;
}

/* ---- the four calls ---- */

int cim_writer_set_xattr(struct cim_writer *w, uint32_t id, const char *name, const void *value,
			 size_t size, int flags)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	uint16_t units[CIM_XATTR_NAME_MAX + sizeof(STREAM_PREFIX)];
	char ea_name[CIM_XATTR_NAME_MAX + 4];
	struct cim_node *node;
	bool prefixed;
	int r = cim_writer_usable(w);

	if (r == 0)
		r = cim_node_get(w, id, &node);
	if (r == 0 && node->is_stream)
		r = -EOPNOTSUPP;
	if (r == 0 && cim_ntfs_xattr_is(&w->view, name))
		return set_ntfs(w, node,
				&(struct ntfs_set){ name, size ? value : "", size, flags });
	if (r == 0 && (size > VALUE_MAX || strlen(name) > CIM_XATTR_NAME_MAX))
		r = size > VALUE_MAX ? -E2BIG : -ERANGE;
	if (r == 0 && cim_ea_from_xattr(name, ea_name, &prefixed) == -EOPNOTSUPP &&
	    (w->view.streams != CIM_STREAMS_OPENXATTR || stream_name(w, name, units) <= 0))
		r = -EOPNOTSUPP;
	if (r < 0)
		return r;
	ssize_t has = get_locked(w, id, name, NULL, 0);
	bool exists = has >= 0 || has == -E2BIG; /* a stream that is too large to be read so */
	if (exists && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!exists && (flags & XATTR_REPLACE))
		return -ENODATA;
	cim_node_touch(w, node, false);
	if (is_acl(name))
		return set_acl(w, node, name, value, size);
	return put_xattr(w, node, name, value, size);
}

ssize_t cim_writer_get_xattr(struct cim_writer *w, uint32_t id, const char *name, void *buf,
			     size_t size)
{
	if (cim_ntfs_xattr_is(&w->view, name))
		return cim_writer_get_windows(w, id, get_ntfs,
					      &(struct ntfs_get){ name, buf, size });

	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	int r = cim_writer_usable(w);

	return r < 0 ? r : get_locked(w, id, name, buf, size);
}

static int list_node(struct cim_writer *w, const struct cim_node *node, cim_xattr_fn fn, void *arg)
{
	char name[CIM_XATTR_NAME_MAX + 1];
	struct cim_xattr_iter it;
	const uint8_t *value;
	size_t size;
	int r = 0;

	cim_xattr_iter_init(&it, node->eas, node->eas_size);
	while (r == 0 && cim_xattr_iter_next(&it, name, &value, &size) == 1)
		r = fn(arg, name);
	if (r == 0 && w->view.list_ntfs_xattrs)
		r = cim_node_get_windows(w, node, list_ntfs, &(struct ntfs_list){ fn, arg });
	for (guint i = 0; r == 0 && node->streams && i < node->streams->len; i++) {
		const struct cim_ads *s = cim_streams_at(node, i);

		if (s->data.size <= VALUE_MAX &&
		    cim_stream_xattr_shown(&w->view, s->units, s->n_units, name) == 0 &&
		    !cim_xattr_iter_met(&it, name))
			r = fn(arg, name);
	}
	cim_xattr_iter_clear(&it);
	return r;
}

int cim_writer_list_xattrs(struct cim_writer *w, uint32_t id, cim_xattr_fn fn, void *arg)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	const struct cim_node *node = cim_node_find(w, id);
	struct cim_entry e;
	int r = cim_writer_usable(w);

	if (r < 0 || (node && node->is_stream))
		return r;
	if (node)
		return list_node(w, node, fn, arg);
	r = id && id <= w->base_last_id ? cim_image_entry(w->base, id, &e) : -ESTALE;
	return r < 0 ? r : cim_file_list_xattrs(w->base, &e, fn, arg);
}

int cim_writer_remove_xattr(struct cim_writer *w, uint32_t id, const char *name)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&w->lock);
	struct cim_node *node;
	int r = cim_writer_usable(w);

	if (r == 0)
		r = cim_node_get(w, id, &node);
	if (r == 0 && node->is_stream)
		r = -ENODATA;
	if (r < 0)
		return r;
	if (cim_ntfs_xattr_is(&w->view, name))
		return set_ntfs(w, node, &(struct ntfs_set){ .name = name });
	if (!drop_xattr(w, node, name))
		return -ENODATA;
	cim_node_touch(w, node, false);
	return 0;
}
