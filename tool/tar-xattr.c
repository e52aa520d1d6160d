/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "tar-xattr.h"

#include <string.h>

#include "acl.h"
#include "error.h"
#include "import.h"
#include "tar-acl.h"

#define XATTR_LIST_MAX     65536 /* bytes of names, Linux' limit */
#define XATTR_RECORD       "SCHILY.xattr."
#define XATTR_RECORD_B64   "LIBARCHIVE.xattr."
#define SELINUX_RECORD     "RHT.security.selinux"
#define SELINUX_XATTR      "security.selinux"
#define ACL_RECORD         "SCHILY.acl.access"
#define ACL_DEFAULT_RECORD "SCHILY.acl.default"

static int set_xattr(struct cim_writer *w, uint32_t id, const char *name, const void *value,
		     size_t size)
{
	int r = w ? cim_writer_set_xattr(w, id, name, value, size, 0) : 0;

	if (r < 0 && !*cim_reason())
		return cim_fail(-r, "its attribute %s cannot be stored: %s", name, g_strerror(-r));
	return r;
}

/* The default ACL of a directory would go on to what is made in it: it waits for the end. */
static int set_acl(struct cim_writer *w, uint32_t id, struct held_acl *held, const char *name,
		   const void *value, size_t size)
{
	bool is_default = strcmp(name, CIM_ACL_DEFAULT) == 0;

	if (cim_acl_check(value, size) < 0 || (is_default && !held))
		return cim_fail(EINVAL, "its %sACL is none, or not a directory's",
				is_default ? "default " : "");
	if (!is_default)
		return set_xattr(w, id, name, value, size);
	g_free(held->blob);
	held->blob = g_memdup2(value, size);
	held->size = size;
	return 0;
}

static int set_text_acl(struct cim_writer *w, uint32_t id, struct held_acl *held, const char *name,
			const struct pax_record *r)
{
	g_autoptr(GByteArray) blob = NULL;
	int err = tar_acl_parse(r->value, r->value_size, &blob);

	return err < 0 ? err : set_acl(w, id, held, name, blob->data, blob->len);
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

static int set_base64_xattr(struct cim_writer *w, uint32_t id, const char *key,
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
	return set_xattr(w, id, name->str, value, size);
}

static int apply_record(struct cim_writer *w, uint32_t id, struct held_acl *held,
			const struct pax_record *r)
{
	const char *key = pax_key_after(r, XATTR_RECORD);
	g_autofree char *name = key ? decode_key(key) : NULL;

	if (name && import_is_stored_xattr(name))
		return g_str_has_prefix(name, "system.")
			       ? set_acl(w, id, held, name, r->value, r->value_size)
			       : set_xattr(w, id, name, r->value, r->value_size);
	key = pax_key_after(r, XATTR_RECORD_B64);
	if (key)
		return set_base64_xattr(w, id, key, r);
	if (strcmp(r->key, SELINUX_RECORD) == 0)
		return set_xattr(w, id, SELINUX_XATTR, r->value, r->value_size);
	if (strcmp(r->key, ACL_RECORD) == 0)
		return set_text_acl(w, id, held, CIM_ACL_ACCESS, r);
	if (strcmp(r->key, ACL_DEFAULT_RECORD) == 0)
		return set_text_acl(w, id, held, CIM_ACL_DEFAULT, r);
	return 0;
}

/* Bytes of the names as listxattr(2) would give them. */
static size_t list_size(const struct tar_entry *e)
{
	size_t size = 0;

	for (guint i = 0; i < e->records->len; i++) {
		const struct pax_record *r = &g_array_index(e->records, struct pax_record, i);
		const char *name = pax_key_after(r, XATTR_RECORD);

		size += name ? strlen(name) + 1 : 0;
	}
	return size;
}

int tar_apply_xattrs(struct cim_writer *w, uint32_t id, struct held_acl *held,
		     const struct tar_entry *e)
{
	int r = 0;

	if (list_size(e) > XATTR_LIST_MAX)
		return cim_fail(EINVAL, "it has more extended attributes than Linux can list");
	for (guint i = 0; r == 0 && i < e->records->len; i++)
		r = apply_record(w, id, held, &g_array_index(e->records, struct pax_record, i));
	return r;
}
