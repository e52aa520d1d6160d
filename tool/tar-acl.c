/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "tar-acl.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "acl.h"
#include "error.h"
#include "le.h"
#include "pax.h"

#define BLOB_VERSION 2 /* linux/posix_acl_xattr.h */
#define BLOB_ENTRY   8
#define ID_NONE      0xFFFFFFFFu
#define ID_MAX       0xFFFFFFFEu

enum acl_tag {
	ACL_USER_OBJ = 0x01,
	ACL_USER = 0x02,
	ACL_GROUP_OBJ = 0x04,
	ACL_GROUP = 0x08,
	ACL_MASK = 0x10,
	ACL_OTHER = 0x20,
};

struct acl_entry {
	uint16_t tag, permissions;
	uint32_t id;
};

/* ---- text to blob ---- */

static bool parse_permissions(const char *text, uint16_t *ret)
{
	static const char letters[] = "rwx";

	*ret = 0;
	for (size_t i = 0; i < 3; i++) {
		if (text[i] == letters[i])
			*ret |= (uint16_t)(4 >> i);
		else if (text[i] != '-')
			return false;
	}
	return text[3] == '\0';
}

static bool find_id(bool is_group, const char *name, const char *number, uint32_t *ret)
{
	const char *text = number ? number : name;
	uint64_t n;

	if (pax_number(text, strlen(text), ID_MAX, &n)) {
		*ret = (uint32_t)n;
		return true;
	}
	if (number)
		return false;
	const struct group *gr = is_group ? getgrnam(name) : NULL;
	const struct passwd *pw = is_group ? NULL : getpwnam(name);
	if (!gr && !pw)
		return false;
	*ret = gr ? gr->gr_gid : pw->pw_uid;
	return true;
}

static int parse_entry(const char *text, struct acl_entry *ret)
{
	g_auto(GStrv) part = g_strsplit(text, ":", 4);
	guint n = g_strv_length(part);
	const char *tag = n > 0 ? part[0] : "";
	bool is_user = strcmp(tag, "user") == 0 || strcmp(tag, "u") == 0;
	bool is_group = strcmp(tag, "group") == 0 || strcmp(tag, "g") == 0;
	bool is_mask = strcmp(tag, "mask") == 0 || strcmp(tag, "m") == 0;
	bool is_other = strcmp(tag, "other") == 0 || strcmp(tag, "o") == 0;
	bool bare = (is_mask || is_other) && n == 2; /* "mask:rwx" */
	bool named = n >= 3 && *part[1];

	*ret = (struct acl_entry){ .id = ID_NONE };
	if (n < 2 || (n < 3 && !bare) || (!is_user && !is_group && !is_mask && !is_other) ||
	    (named && (is_mask || is_other)) ||
	    !parse_permissions(part[bare ? 1 : 2], &ret->permissions))
		return cim_fail(EINVAL, "its ACL is wrong: \"%s\"", text);
	if (named && !find_id(is_group, part[1], n == 4 ? part[3] : NULL, &ret->id))
		return cim_fail(EINVAL, "its ACL speaks of \"%s\", which this system does not know",
				part[1]);
	ret->tag = is_user    ? (named ? ACL_USER : ACL_USER_OBJ)
		   : is_group ? (named ? ACL_GROUP : ACL_GROUP_OBJ)
		   : is_mask  ? ACL_MASK
			      : ACL_OTHER;
	return 0;
}

static int compare_entries(gconstpointer a, gconstpointer b)
{
	const struct acl_entry *x = a, *y = b;

	if (x->tag != y->tag)
		return (x->tag > y->tag) - (x->tag < y->tag);
	return (x->id > y->id) - (x->id < y->id);
}

static GByteArray *encode(const GArray *entries)
{
	GByteArray *blob = g_byte_array_new();
	uint8_t head[4], bytes[BLOB_ENTRY];

	cim_store32(head, BLOB_VERSION);
	g_byte_array_append(blob, head, sizeof(head));
	for (guint i = 0; i < entries->len; i++) {
		const struct acl_entry *e = &g_array_index(entries, struct acl_entry, i);

		cim_store16(bytes, e->tag);
		cim_store16(bytes + 2, e->permissions);
		cim_store32(bytes + 4, e->id);
		g_byte_array_append(blob, bytes, sizeof(bytes));
	}
	return blob;
}

int tar_acl_parse(const char *text, size_t size, GByteArray **ret)
{
	g_autofree char *copy = g_strndup(text, size);
	g_auto(GStrv) lines = g_strsplit_set(copy, ",\n", -1);
	g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(struct acl_entry));

	for (char **line = lines; *line; line++) {
		struct acl_entry e;

		/* Behind an entry GNU tar may say what the mask leaves of it. */
		(*line)[strcspn(*line, "#")] = '\0';
		if (!*g_strstrip(*line))
			continue;
		int r = parse_entry(*line, &e);
		if (r < 0)
			return r;
		g_array_append_val(entries, e);
	}
	g_array_sort(entries, compare_entries);
	g_autoptr(GByteArray) blob = encode(entries);
	if (cim_acl_check(blob->data, blob->len) < 0)
		return cim_fail(EINVAL, "its ACL lacks an entry, or has one twice");
	*ret = g_steal_pointer(&blob);
	return 0;
}

/* ---- blob to text ---- */

static const char *tag_name(uint16_t tag)
{
	switch (tag) {
	case ACL_USER_OBJ:
	case ACL_USER:
		return "user";
	case ACL_GROUP_OBJ:
	case ACL_GROUP:
		return "group";
	case ACL_MASK:
		return "mask";
	default:
		return "other";
	}
}

void tar_acl_format(const void *blob, size_t size, GString *ret)
{
	const uint8_t *bytes = blob;

	for (size_t at = 4; at + BLOB_ENTRY <= size; at += BLOB_ENTRY) {
		uint16_t tag = cim_load16(bytes + at), p = cim_load16(bytes + at + 2);

		g_string_append_printf(ret, "%s%s:", at > 4 ? "," : "", tag_name(tag));
		if (tag == ACL_USER || tag == ACL_GROUP)
			g_string_append_printf(ret, "%u", cim_load32(bytes + at + 4));
		g_string_append_printf(ret, ":%c%c%c", p & 4 ? 'r' : '-', p & 2 ? 'w' : '-',
				       p & 1 ? 'x' : '-');
	}
}
