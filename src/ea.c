/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * EA lists: walk, find, build, and the names that Linux xattrs have in them.
 *
 * Knows the bytes of a list and nothing of where it is stored.  What $LXUID and its
 * kin mean, and what becomes of an xattr that does not fit, is for the callers.
 */
#include "config.h"

#include "ea.h"

#include <stdlib.h>
#include <string.h>

#include "acl.h"
#include "error.h"
#include "le.h"

#define EA_ROOM_MIN 128 /* $LXUID, $LXGID, $LXMOD, $LXDEV and a short xattr */

#define LX_NAME  "LX."
#define LX_VALUE "lxea"

struct ea_entry {
	cim_le32 next;
	uint8_t flags;
	uint8_t name_size;
	cim_le16 value_size;
	char name[]; /* then a NUL, then the value */
};

_Static_assert(sizeof(struct ea_entry) == 8, "layout of FILE_FULL_EA_INFORMATION");

static inline size_t entry_size(size_t name_size, size_t value_size)
{
	return sizeof(struct ea_entry) + name_size + 1 + value_size;
}

static inline size_t padded(size_t size)
{
	return (size + 3) & ~(size_t)3;
}

static inline char ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
}

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool has_char_between(const char *s, size_t n, char first, char last)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] >= first && s[i] <= last)
			return true;
	return false;
}

void cim_ea_iter_init(struct cim_ea_iter *it, const void *list, size_t size)
{
	it->list = list;
	it->size = size;
	it->off = size ? 0 : SIZE_MAX;
}

/* The iterator stays where it is, so that asking again gives the same answer. */
static __attribute__((cold)) int corrupt(const struct cim_ea_iter *it, const char *why)
{
	return cim_fail(CIM_ECORRUPT, "EA list of %zu bytes: the entry at %zu %s", it->size,
			it->off, why);
}

/*
 * It is apart from cim_ea_iter_next() because a function that a shared library
 * exports to itself is not inlined, and cim_ea_find() runs for every stat.
 */
static inline int next_entry(struct cim_ea_iter *it, struct cim_ea *ret)
{
	if (it->off == SIZE_MAX)
		return 0;

	size_t left = it->size - it->off;
	if (left < sizeof(struct ea_entry))
		return corrupt(it, "is cut off in its header");

	const struct ea_entry *e = (const void *)(it->list + it->off);
	size_t name_size = e->name_size;
	size_t value_size = cim_get16(e->value_size);
	size_t size = entry_size(name_size, value_size);
	size_t next = cim_get32(e->next);

	if (name_size == 0)
		return corrupt(it, "has no name");
	if (size > left)
		return corrupt(it, "is longer than the list");
	if (next != 0 && next < size)
		return corrupt(it, "overlaps the next");
	if (next == 0 || (next == left && next == padded(size)))
		it->off = SIZE_MAX;
	else if (next < left)
		it->off += next;
	else
		return corrupt(it, "points past the list");

	ret->name = e->name;
	ret->value = (const uint8_t *)e->name + name_size + 1;
	ret->value_size = value_size;
	ret->name_size = name_size;
	ret->flags = e->flags;
	return 1;
}

int cim_ea_iter_next(struct cim_ea_iter *it, struct cim_ea *ret)
{
	return next_entry(it, ret);
}

static inline bool same_name(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ascii_upper(a[i]) != ascii_upper(b[i]))
			return false;
	return true;
}

int cim_ea_find(const void *list, size_t size, const char *name, struct cim_ea *ret)
{
	size_t name_size = strlen(name);
	struct cim_ea_iter it;
	struct cim_ea ea;
	int r;

	cim_ea_iter_init(&it, list, size);
	while ((r = next_entry(&it, &ea)) > 0) {
		if (ea.name_size == name_size && same_name(ea.name, name, name_size)) {
			*ret = ea;
			break;
		}
	}
	return r;
}

/* Make room for @size more bytes, which the caller knows to fit the limit of a list. */
static int list_reserve(struct cim_ea_list *l, size_t size)
{
	size_t room = l->room ? l->room : EA_ROOM_MIN;

	while (room < l->size + size)
		room *= 2;
	if (room == l->room)
		return 0;

	uint8_t *data = realloc(l->data, room);
	if (!data)
		return cim_fail(ENOMEM, "no memory for an EA list of %zu bytes", room);
	l->data = data;
	l->room = room;
	return 0;
}

int cim_ea_list_add(struct cim_ea_list *l, const char *name, size_t name_size, uint8_t flags,
		    const void *value, size_t value_size)
{
	if (name_size == 0 || name_size > UINT8_MAX)
		return cim_fail(EINVAL, "an EA name of %zu bytes; it may have 1 to %d", name_size,
				UINT8_MAX);
	if (value_size > CIM_EA_VALUE_MAX)
		return cim_fail(E2BIG, "an EA value of %zu bytes; it may have %d", value_size,
				CIM_EA_VALUE_MAX);

	size_t size = entry_size(name_size, value_size);
	if (padded(size) > CIM_EA_LIST_MAX - l->size)
		return cim_fail(E2BIG,
				"an EA of %zu bytes behind %zu others; a list may have %d in all",
				size, l->size, CIM_EA_LIST_MAX);

	int r = list_reserve(l, padded(size));
	if (r < 0)
		return r;

	struct ea_entry *e = (void *)(l->data + l->size);
	e->next = cim_put32(0);
	e->flags = flags;
	e->name_size = name_size;
	e->value_size = cim_put16(value_size);
	memcpy(e->name, name, name_size);
	e->name[name_size] = '\0';
	if (value_size)
		memcpy(e->name + name_size + 1, value, value_size);
	memset(l->data + l->size + size, 0, padded(size) - size);

	if (l->size)
		cim_store32(l->data + l->last, l->size - l->last);
	l->last = l->size;
	l->size += padded(size);
	return 0;
}

void cim_ea_list_clear(struct cim_ea_list *l)
{
	free(l->data);
	*l = (struct cim_ea_list){ 0 };
}

/* Whether a name has a prefix and, as Linux demands of every xattr, something behind it. */
static bool has_prefix(const char *name, size_t name_size, const char *prefix)
{
	size_t n = strlen(prefix);

	return name_size > n && memcmp(name, prefix, n) == 0;
}

static bool in_lx_namespace(const char *name, size_t name_size)
{
	return has_prefix(name, name_size, "user.") || has_prefix(name, name_size, "security.") ||
	       has_prefix(name, name_size, "trusted.");
}

int cim_ea_from_xattr(const char *xattr, char *ret, bool *ret_prefixed)
{
	size_t n = strlen(xattr);

	if (strcmp(xattr, CIM_ACL_ACCESS) == 0 || strcmp(xattr, CIM_ACL_DEFAULT) == 0) {
		memcpy(ret, xattr, n + 1);
		*ret_prefixed = false;
		return n;
	}
	if (!in_lx_namespace(xattr, n))
		return cim_fail(EOPNOTSUPP,
				"xattr %.255s: only user., security., trusted. and POSIX ACLs "
				"are stored",
				xattr);

	size_t ea_size = strlen(LX_NAME) + n;
	if (ea_size > CIM_EA_NAME_MAX)
		return cim_fail(ENAMETOOLONG, "an xattr name of %zu bytes; an EA holds %zu", n,
				CIM_EA_NAME_MAX - strlen(LX_NAME));

	/* As NTFS would have it; a name with capitals keeps its lower-case namespace instead. */
	bool keep_case = has_char_between(xattr, n, 'A', 'Z');
	char *to = stpcpy(ret, LX_NAME);
	for (size_t i = 0; i <= n; i++)
		to[i] = keep_case ? xattr[i] : ascii_upper(xattr[i]);
	*ret_prefixed = true;
	return ea_size;
}

/* "LX.USER.FOO" and "LX.user.Foo"; the value must have its prefix. */
static size_t xattr_of_lx(const struct cim_ea *ea, char *ret_name)
{
	size_t prefix = strlen(LX_NAME), n = ea->name_size - prefix;
	const char *name = ea->name + prefix;

	if (ea->value_size < strlen(LX_VALUE) || memcmp(ea->value, LX_VALUE, strlen(LX_VALUE)) != 0)
		return 0;

	memcpy(ret_name, name, n);
	if (!has_char_between(name, n, 'a', 'z'))
		for (size_t i = 0; i < n; i++)
			ret_name[i] = ascii_lower(ret_name[i]);
	return in_lx_namespace(ret_name, n) ? n : 0;
}

/* "user.foo", the form of ntfs3 and wimlib, in which POSIX ACLs are kept here too. */
static size_t xattr_of_literal(const struct cim_ea *ea, char *ret_name)
{
	if (!in_lx_namespace(ea->name, ea->name_size) &&
	    !has_prefix(ea->name, ea->name_size, "system.posix_acl_"))
		return 0;
	memcpy(ret_name, ea->name, ea->name_size);
	return ea->name_size;
}

int cim_ea_to_xattr(const struct cim_ea *ea, char *ret_name, const uint8_t **ret_value,
		    size_t *ret_value_size)
{
	bool lx = has_prefix(ea->name, ea->name_size, LX_NAME);
	size_t skip = lx ? strlen(LX_VALUE) : 0;
	char name[CIM_XATTR_NAME_MAX];

	size_t n = lx ? xattr_of_lx(ea, name) : xattr_of_literal(ea, name);
	if (n == 0 || memchr(name, '\0', n))
		return 0;

	memcpy(ret_name, name, n);
	ret_name[n] = '\0';
	*ret_value = ea->value + skip;
	*ret_value_size = ea->value_size - skip;
	return 1;
}

/* ---- LXXATTR ---- */

#define OLD_VERSION 1

struct old_header {
	cim_le16 format; /* 0 */
	cim_le16 version;
};

struct old_record {
	cim_le32 next; /* from this record to the next; 0 in the last */
	cim_le16 value_size;
	uint8_t name_size;
	char name[]; /* no NUL, then the value */
};

_Static_assert(offsetof(struct old_record, name) == 7, "layout of LXXATTR");

static bool is_old_xattrs(const struct cim_ea *ea)
{
	const struct old_header *h = (const void *)ea->value;

	return ea->name_size == strlen(CIM_EA_OLD_XATTRS) &&
	       same_name(ea->name, CIM_EA_OLD_XATTRS, ea->name_size) &&
	       ea->value_size > sizeof(*h) && cim_get16(h->format) == 0 &&
	       cim_get16(h->version) == OLD_VERSION;
}

/* The record at *@p, of which and behind which there are *@size bytes; goes on to the next. */
static bool take_old(const uint8_t **p, size_t *size, struct cim_ea *ret)
{
	const struct old_record *rec = (const void *)*p;

	if (*size < sizeof(*rec))
		return false;
	size_t next = cim_get32(rec->next);
	size_t whole = sizeof(*rec) + rec->name_size + cim_get16(rec->value_size);
	if (whole > *size || (next != 0 && (next < whole || next > *size)))
		return false;
	*ret = (struct cim_ea){
		.name = rec->name,
		.value = (const uint8_t *)rec->name + rec->name_size,
		.value_size = cim_get16(rec->value_size),
		.name_size = rec->name_size,
	};
	*p += next;
	*size = next ? *size - next : 0;
	return true;
}

void cim_xattr_iter_init(struct cim_xattr_iter *it, const void *list, size_t size)
{
	*it = (struct cim_xattr_iter){ .old_size = 0 };
	cim_ea_iter_init(&it->eas, list, size);
}

static int next_modern(struct cim_xattr_iter *it, char *ret_name, const uint8_t **ret_value,
		       size_t *ret_value_size)
{
	struct cim_ea ea;

	while (next_entry(&it->eas, &ea) == 1) {
		if (cim_ea_to_xattr(&ea, ret_name, ret_value, ret_value_size))
			return 1;
		if (is_old_xattrs(&ea)) {
			it->old = ea.value + sizeof(struct old_header);
			it->old_size = ea.value_size - sizeof(struct old_header);
		}
	}
	return 0;
}

/* The next record of LXXATTR that is an xattr. */
static int next_old(struct cim_xattr_iter *it, char *ret_name, const uint8_t **ret_value,
		    size_t *ret_value_size)
{
	struct cim_ea ea;

	while (it->old_size > 0 && take_old(&it->old, &it->old_size, &ea)) {
		size_t n = xattr_of_literal(&ea, ret_name);

		if (n == 0 || memchr(ret_name, '\0', n))
			continue;
		ret_name[n] = '\0';
		*ret_value = ea.value;
		*ret_value_size = ea.value_size;
		return 1;
	}
	it->old_size = 0;
	return 0;
}

static int compare_names(gconstpointer a, gconstpointer b, gpointer unused)
{
	return strcmp(a, b);
}

/* The names of all xattrs but the old ones, when they are first asked for. */
static GTree *names_of(struct cim_xattr_iter *it)
{
	char name[CIM_XATTR_NAME_MAX + 1];
	struct cim_xattr_iter again;
	const uint8_t *value;
	size_t size;

	if (it->names)
		return it->names;
	/* A tree: whoever makes an image can choose names that share a hash. */
	it->names = g_tree_new_full(compare_names, NULL, g_free, NULL);
	cim_xattr_iter_init(&again, it->eas.list, it->eas.size);
	while (next_modern(&again, name, &value, &size) == 1)
		g_tree_insert(it->names, g_strdup(name), it);
	return it->names;
}

int cim_xattr_iter_next(struct cim_xattr_iter *it, char *ret_name, const uint8_t **ret_value,
			size_t *ret_value_size)
{
	if (next_modern(it, ret_name, ret_value, ret_value_size) == 1)
		return 1;
	while (next_old(it, ret_name, ret_value, ret_value_size) == 1) {
		if (g_tree_lookup(names_of(it), ret_name))
			continue;
		g_tree_insert(it->names, g_strdup(ret_name), it);
		return 1;
	}
	return 0;
}

bool cim_xattr_iter_met(struct cim_xattr_iter *it, const char *name)
{
	return g_tree_lookup(names_of(it), name);
}

void cim_xattr_iter_clear(struct cim_xattr_iter *it)
{
	if (it->names)
		g_tree_destroy(it->names);
	it->names = NULL;
}

int cim_xattr_find(const void *list, size_t size, const char *name, const uint8_t **ret_value,
		   size_t *ret_value_size)
{
	char this_name[CIM_XATTR_NAME_MAX + 1];
	struct cim_xattr_iter it;

	cim_xattr_iter_init(&it, list, size);
	while (next_modern(&it, this_name, ret_value, ret_value_size) == 1 ||
	       next_old(&it, this_name, ret_value, ret_value_size) == 1)
		if (strcmp(this_name, name) == 0)
			return 1;
	return 0;
}

int cim_ea_old_without(const struct cim_ea *ea, const char *name, uint8_t *ret)
{
	const size_t head = sizeof(struct old_header);
	size_t left, last = 0, at = head;
	bool found = false;
	struct cim_ea old;

	if (!is_old_xattrs(ea))
		return -ENODATA;
	const uint8_t *p = ea->value + head;
	left = ea->value_size - head;
	memcpy(ret, ea->value, head);
	for (const uint8_t *rec = p; left > 0 && take_old(&p, &left, &old); rec = p) {
		size_t whole = sizeof(struct old_record) + old.name_size + old.value_size;

		if (old.name_size == strlen(name) && memcmp(old.name, name, old.name_size) == 0) {
			found = true;
			continue;
		}
		memcpy(ret + at, rec, whole);
		cim_store32(ret + at, 0);
		if (last)
			cim_store32(ret + last, (uint32_t)(at - last));
		last = at;
		at += whole;
	}
	if (!found)
		return -ENODATA;
	return last ? (int)at : 0;
}
