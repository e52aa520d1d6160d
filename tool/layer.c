/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "acl.h"
#include "error.h"
#include "le.h"
#include "sddl.h"

#define PREFIX        "MSWINDOWS."
#define ATTRIBUTES    PREFIX "fileattr"
#define SECURITY      PREFIX "rawsd"
#define SECURITY_TEXT PREFIX "sd"
#define MOUNT_POINT   PREFIX "mountpoint"
#define XATTR         PREFIX "xattr."
#define OWN_PREFIX    "CIMFS."
#define OWN_REPARSE   OWN_PREFIX "reparse"
#define OWN_EAS       OWN_PREFIX "eas"
#define STREAM_TYPE   ":$DATA"

bool layer_parse_use(const char *text, enum layer_use *ret)
{
	static const char *const names[] = { "auto", "always", "never" };

	*ret = LAYER_AUTO;
	for (size_t i = 0; text && i < G_N_ELEMENTS(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum layer_use)i;
			return true;
		}
	}
	if (text)
		fprintf(stderr, "cimfs: --windows is auto, always or never, not \"%s\"\n", text);
	return !text;
}

/* ---- reparse buffers of links ---- */

#define REPARSE_HEADER   8
#define REPARSE_NAMES    8 /* offsets and lengths of the two names */
#define SYMLINK_FLAGS    4
#define SYMLINK_RELATIVE 1u

/* Where the names begin. */
static size_t names_off(bool is_junction)
{
	return REPARSE_HEADER + REPARSE_NAMES + (is_junction ? 0 : SYMLINK_FLAGS);
}

/* A path in units, with backslashes. */
static GArray *path_units(const char *path)
{
	size_t size = strlen(path);
	GArray *units = g_array_sized_new(FALSE, FALSE, sizeof(uint16_t), (guint)size);

	g_array_set_size(units, (guint)size);
	int n = cim_name_plain_encode(path, size, (uint16_t *)(void *)units->data);
	if (n < 0)
		n = (int)cim_name_encode(path, size, (uint16_t *)(void *)units->data);
	g_array_set_size(units, (guint)n);
	for (guint i = 0; i < units->len; i++)
		if (g_array_index(units, uint16_t, i) == '/')
			g_array_index(units, uint16_t, i) = '\\';
	return units;
}

/* The path as the object manager has it, and whether it is relative. */
static char *nt_path(const char *target, bool *ret_relative)
{
	g_autofree char *path = g_strdelimit(g_strdup(target), "/", '\\');

	*ret_relative = false;
	if (g_str_has_prefix(path, "\\\\?\\"))
		return g_strconcat("\\??\\", path + 4, NULL);
	if (g_str_has_prefix(path, "\\\\"))
		return g_strconcat("\\??\\UNC\\", path + 2, NULL);
	if (g_ascii_isalpha(path[0]) && path[1] == ':')
		return g_strconcat("\\??\\", path, NULL);
	*ret_relative = true;
	return g_steal_pointer(&path);
}

static void put_units(uint8_t *at, const GArray *units)
{
	for (guint i = 0; i < units->len; i++)
		cim_store16(at + 2 * (size_t)i, g_array_index(units, uint16_t, i));
	cim_store16(at + 2 * (size_t)units->len, 0);
}

/* As go-winio lays it out: the substitute name, then the print name, each with a NUL behind. */
int layer_reparse(const char *target, bool is_junction, uint8_t *ret)
{
	bool relative;
	g_autofree char *nt = nt_path(target, &relative);
	g_autoptr(GArray) print = path_units(target);
	g_autoptr(GArray) substitute = path_units(nt);
	size_t at = names_off(is_junction), first = 2 * (size_t)substitute->len + 2;
	size_t size = at + first + 2 * (size_t)print->len + 2;

	if (!*target)
		return cim_fail(EINVAL, "it is a symlink to nothing");
	if (size > CIM_REPARSE_MAX)
		return cim_fail(EINVAL, "its target is too long for a reparse buffer: %zu bytes",
				strlen(target));
	cim_store32(ret, is_junction ? CIM_TAG_MOUNT_POINT : CIM_TAG_SYMLINK);
	cim_store16(ret + 4, (uint16_t)(size - REPARSE_HEADER));
	cim_store16(ret + 6, 0);
	cim_store16(ret + 8, 0);
	cim_store16(ret + 10, (uint16_t)(first - 2));
	cim_store16(ret + 12, (uint16_t)first);
	cim_store16(ret + 14, (uint16_t)(2 * print->len));
	if (!is_junction)
		cim_store32(ret + 16, relative ? SYMLINK_RELATIVE : 0);
	put_units(ret + at, substitute);
	put_units(ret + at + first, print);
	return (int)size;
}

/* The print name of a link's buffer that cim_reparse_check() has passed, with slashes. */
static void print_name(const uint8_t *reparse, bool is_junction, GString *ret)
{
	const uint8_t *at = reparse + names_off(is_junction) + cim_load16(reparse + 12);
	size_t n = cim_load16(reparse + 14) / 2;
	g_autofree uint16_t *units = g_new(uint16_t, n + 1);

	for (size_t i = 0; i < n; i++)
		units[i] = cim_load16(at + 2 * i);
	g_string_set_size(ret, 3 * n);
	g_string_truncate(ret, cim_name_plain(units, n, ret->str));
	g_strdelimit(ret->str, "\\", '/');
	/* What lies behind a NUL is in nobody's string. */
	g_string_truncate(ret, strlen(ret->str));
}

/* ---- reading ---- */

void layer_file_clear(struct layer_file *f)
{
	g_clear_pointer(&f->sd, g_free);
	g_clear_pointer(&f->reparse, g_free);
	cim_ea_list_clear(&f->eas);
}

static int wrong(const struct pax_record *r, const char *what)
{
	return cim_fail(EINVAL, "its record %s is %s", r->key, what);
}

/* Room for what base64 becomes, and what it becomes. */
static int decode(const struct pax_record *r, void **ret, size_t *ret_size)
{
	uint8_t *bytes = g_malloc(r->value_size + 1);

	if (!pax_base64(r->value, r->value_size, bytes, ret_size)) {
		g_free(bytes);
		return wrong(r, "no base64");
	}
	*ret = bytes;
	return 0;
}

static int take_security(const struct pax_record *r, struct layer_file *ret)
{
	g_clear_pointer(&ret->sd, g_free);
	int err = decode(r, &ret->sd, &ret->meta.sd_size);
	ret->meta.sd = ret->sd;
	return err;
}

static int take_security_text(const struct pax_record *r, struct layer_file *ret)
{
	g_autofree char *text = g_strndup(r->value, r->value_size);

	if (ret->sd)
		return 0; /* the bytes count */
	if (strlen(text) != r->value_size)
		return wrong(r, "no text");
	int err = cim_sddl_parse(text, &ret->sd, &ret->meta.sd_size);
	ret->meta.sd = ret->sd;
	return err;
}

static int take_ea(const struct pax_record *r, const char *name, struct layer_file *ret)
{
	g_autofree void *value = NULL;
	size_t size;
	int err = decode(r, &value, &size);

	if (err < 0)
		return err;
	ret->has_eas = true;
	err = cim_ea_list_add(&ret->eas, name, strlen(name), 0, value, size);
	if (err == -E2BIG)
		return wrong(r, "too large for the EAs of one file");
	return err < 0 ? wrong(r, "none that can be stored") : 0;
}

/* Our own record of the whole list, which counts whatever else there is. */
static int take_eas(const struct pax_record *r, struct layer_file *ret)
{
	g_autofree void *list = NULL;
	size_t size;
	int err = decode(r, &list, &size);

	if (err < 0)
		return err;
	cim_ea_list_clear(&ret->eas);
	ret->eas = (struct cim_ea_list){ .data = malloc(size + 1), .size = size };
	if (!ret->eas.data)
		return cim_fail(ENOMEM, "no memory for EAs");
	memcpy(ret->eas.data, list, size);
	ret->has_eas = true;
	return 0;
}

static int take_reparse(const struct pax_record *r, struct layer_file *ret)
{
	void *buf;
	int err = decode(r, &buf, &ret->meta.reparse_size);

	if (err < 0)
		return err;
	g_free(ret->reparse);
	ret->reparse = buf;
	return 0;
}

/* Returns 1 for a record that is none of Windows'. */
static int take_record(const struct pax_record *r, struct layer_file *ret, bool *ret_junction,
		       bool *ret_has_attributes)
{
	const char *ea = pax_key_after(r, XATTR);
	uint64_t n;

	if (ea)
		return take_ea(r, ea, ret);
	if (strcmp(r->key, SECURITY) == 0)
		return take_security(r, ret);
	if (strcmp(r->key, SECURITY_TEXT) == 0)
		return take_security_text(r, ret);
	if (strcmp(r->key, OWN_REPARSE) == 0)
		return take_reparse(r, ret);
	if (strcmp(r->key, MOUNT_POINT) == 0) {
		*ret_junction = true;
		return 0;
	}
	if (strcmp(r->key, ATTRIBUTES) == 0) {
		if (!pax_number(r->value, r->value_size, UINT32_MAX, &n))
			return wrong(r, "no number of 32 bits");
		ret->meta.attributes = (uint32_t)n;
		*ret_has_attributes = true;
		return 0;
	}
	return 1;
}

/* The buffer of a symlink that has none of its own; others are what they are without. */
static int complete_reparse(const struct tar_entry *e, bool is_junction, struct layer_file *f)
{
	if (f->meta.reparse_size == 0 && e->type == TAR_SYMLINK) {
		f->reparse = g_realloc(f->reparse, CIM_REPARSE_MAX);
		int n = layer_reparse(e->link, is_junction, f->reparse);

		if (n < 0)
			return n;
		f->meta.reparse_size = (size_t)n;
	}
	f->meta.reparse = f->reparse;
	return 0;
}

static void complete_attributes(const struct tar_entry *e, bool is_junction, bool has_attributes,
				struct layer_file *f)
{
	uint32_t *a = &f->meta.attributes;

	if (e->type == TAR_DIRECTORY || (is_junction && !has_attributes))
		*a |= CIM_ATTRIBUTE_DIRECTORY;
	else if (e->type != TAR_SYMLINK)
		*a &= ~CIM_ATTRIBUTE_DIRECTORY;
	*a &= ~CIM_ATTRIBUTE_REPARSE_POINT;
	if (f->meta.reparse_size > 0)
		*a |= CIM_ATTRIBUTE_REPARSE_POINT;
}

int layer_parse(const struct tar_entry *e, enum layer_use use, struct layer_file *ret)
{
	bool is_junction = false, has_attributes = false;
	const struct pax_record *eas = tar_entry_find(e, OWN_EAS);
	int r = 0;

	*ret = (struct layer_file){ .mask = CIM_WIN_ALL, .is_windows = use == LAYER_ALWAYS };
	if (use == LAYER_NEVER)
		return 0;
	for (guint i = 0; r >= 0 && i < e->records->len; i++) {
		r = take_record(&g_array_index(e->records, struct pax_record, i), ret, &is_junction,
				&has_attributes);
		ret->is_windows = ret->is_windows || r == 0;
	}
	if (r >= 0 && eas) {
		r = take_eas(eas, ret);
		ret->is_windows = true;
	}
	if (r < 0 || !ret->is_windows)
		return MIN(r, 0);
	r = complete_reparse(e, is_junction, ret);
	if (r < 0)
		return r;
	complete_attributes(e, is_junction, has_attributes, ret);
	ret->meta.eas = ret->eas.data;
	ret->meta.eas_size = ret->eas.size;
	return cim_winmeta_check(ret->mask, &ret->meta);
}

bool layer_has_records(const struct tar_entry *e)
{
	for (guint i = 0; i < e->records->len; i++) {
		const struct pax_record *r = &g_array_index(e->records, struct pax_record, i);

		if (pax_key_after(r, PREFIX) || pax_key_after(r, OWN_PREFIX))
			return true;
	}
	return false;
}

/* ---- streams ---- */

char *layer_stream_of(const char *path, const char *file)
{
	size_t n = strlen(file);

	if (n == 0 || strncmp(path, file, n) != 0 || path[n] != ':' || strchr(path + n, '/'))
		return NULL;
	char *stream = g_strdup(path + n + 1);
	size_t size = strlen(stream), type = strlen(STREAM_TYPE);
	if (size >= type && g_ascii_strcasecmp(stream + size - type, STREAM_TYPE) == 0)
		stream[size - type] = '\0';
	return stream;
}

/* ---- writing ---- */

/* 20 bytes: self-relative, a NULL DACL; what files get that are made here (encode.c). */
static bool is_default_security(const struct cim_winmeta *m)
{
	static const uint8_t null_dacl[20] = { 1, 0, 4, 0x80 };

	return m->sd_size == 0 ||
	       (m->sd_size == sizeof(null_dacl) && memcmp(m->sd, null_dacl, m->sd_size) == 0);
}

static bool is_linux_ea(const struct cim_ea *ea)
{
	char name[CIM_XATTR_NAME_MAX + 1];
	const uint8_t *value;
	size_t size;

	if (ea->flags)
		return false;
	if (ea->name_size > 0 && ea->name[0] == '$')
		return cim_posix_owns_ea(ea);
	/* Under the name and in the form that it would get again. */
	char again[CIM_XATTR_NAME_MAX + 4];
	bool prefixed;
	return cim_ea_to_xattr(ea, name, &value, &size) &&
	       cim_ea_from_xattr(name, again, &prefixed) == ea->name_size &&
	       memcmp(again, ea->name, ea->name_size) == 0;
}

/* Owner, group and mode are there, and nothing but what Linux has. */
static bool is_linux_eas(const struct cim_winmeta *m)
{
	struct cim_ea_iter it;
	struct cim_ea ea;
	int n_needed = 0, r;

	cim_ea_iter_init(&it, m->eas, m->eas_size);
	while ((r = cim_ea_iter_next(&it, &ea)) == 1) {
		if (!is_linux_ea(&ea))
			return false;
		n_needed += strncmp(ea.name, CIM_EA_UID, ea.name_size) == 0 ||
			    strncmp(ea.name, CIM_EA_GID, ea.name_size) == 0 ||
			    strncmp(ea.name, CIM_EA_MODE, ea.name_size) == 0;
	}
	return r == 0 && n_needed == 3;
}

static bool is_linux_reparse(const struct cim_image *img, const struct cim_attr *attr,
			     const struct cim_winmeta *m)
{
	uint8_t again[CIM_REPARSE_MAX];
	char target[CIM_SYMLINK_MAX + 1];
	uint32_t type = attr->posix.mode & S_IFMT;
	int n = 0;

	if (type == S_IFLNK) {
		if (cim_file_readlink(img, attr->id, target) < 0)
			return false;
		n = m->reparse_size >= 4 && cim_load32(m->reparse) == CIM_TAG_LX_SYMLINK
			    ? cim_reparse_lx_symlink(target, again)
			    : cim_reparse_symlink(target, again);
	} else {
		n = cim_reparse_special(type, again);
	}
	return n >= 0 && m->reparse_size == (size_t)n &&
	       (n == 0 || memcmp(again, m->reparse, (size_t)n) == 0);
}

/* Those that extended attributes are shown of are said as such. */
static bool is_linux_streams(const struct cim_image *img, const struct cim_entry *e)
{
	char name[CIM_XATTR_NAME_MAX + 1];
	uint16_t units[CIM_NAME_UNITS];
	struct cim_links links;
	struct cim_stream s;

	if (cim_file_streams(img, e, &links) < 0)
		return true;
	for (uint32_t i = 0; i < links.n; i++) {
		int n = cim_links_name(&links, i, units);

		if (n < 0 || cim_links_stream(&links, i, &s) < 0)
			continue;
		if (s.size > CIM_EA_VALUE_MAX || cim_stream_xattr_name(units, (size_t)n, name) < 0)
			return false;
	}
	return true;
}

bool layer_needs_records(const struct cim_image *img, const struct cim_entry *e,
			 const struct cim_attr *attr, const struct cim_winmeta *m)
{
	uint32_t flags = e->flags & ~(uint32_t)CIM_FLAG_SPARSE;

	return !is_default_security(m) || flags != cim_posix_flags(attr->posix.mode, false, 0) ||
	       !is_linux_eas(m) || !is_linux_reparse(img, attr, m) || !is_linux_streams(img, e);
}

static void add_base64(GString *records, const char *key, const void *bytes, size_t size)
{
	g_autofree char *text = g_base64_encode(size ? bytes : (const void *)"", size);

	pax_add(records, key, text, strlen(text));
}

/* One by one for others, and as a whole where that says less than there is: a record's key counts
 * once. */
static void add_eas(const struct cim_winmeta *m, GString *records)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	struct cim_ea_list again = { 0 };
	struct cim_ea_iter it;
	struct cim_ea ea;
	bool exact = true;

	cim_ea_iter_init(&it, m->eas, m->eas_size);
	while (cim_ea_iter_next(&it, &ea) == 1) {
		g_autofree char *name = g_strndup(ea.name, ea.name_size);
		g_autofree char *key = g_strconcat(XATTR, name, NULL);

		if (strlen(name) != ea.name_size || strchr(name, '=') ||
		    !g_hash_table_add(seen, g_strdup(name))) {
			exact = false;
			continue;
		}
		add_base64(records, key, ea.value, ea.value_size);
		exact = cim_ea_list_add(&again, ea.name, ea.name_size, 0, ea.value,
					ea.value_size) == 0 &&
			exact;
	}
	exact = exact && again.size == m->eas_size &&
		(m->eas_size == 0 || memcmp(again.data, m->eas, m->eas_size) == 0);
	cim_ea_list_clear(&again);
	if (!exact)
		add_base64(records, OWN_EAS, m->eas, m->eas_size);
}

static void add_reparse(const struct cim_winmeta *m, GString *records, GString *link)
{
	uint8_t again[CIM_REPARSE_MAX];
	uint32_t tag = m->reparse_size >= 4 ? cim_load32(m->reparse) : 0;
	bool is_junction = tag == CIM_TAG_MOUNT_POINT;
	int n = 0;

	/* Without a link in the tar nothing could be made of it again. */
	if (link && (is_junction || tag == CIM_TAG_SYMLINK) &&
	    cim_reparse_check(m->reparse, m->reparse_size) == 0) {
		g_autoptr(GString) name = g_string_new(NULL);

		print_name(m->reparse, is_junction, name);
		if (name->len > 0) {
			g_string_assign(link, name->str);
			n = layer_reparse(link->str, is_junction, again);
		}
		if (is_junction)
			pax_add(records, MOUNT_POINT, "1", 1);
	}
	if (n <= 0 || (size_t)n != m->reparse_size || memcmp(again, m->reparse, (size_t)n) != 0)
		add_base64(records, OWN_REPARSE, m->reparse, m->reparse_size);
}

void layer_add_records(const struct cim_winmeta *m, GString *records, GString *link)
{
	g_autofree char *attributes = g_strdup_printf("%u", m->attributes);

	pax_add(records, ATTRIBUTES, attributes, strlen(attributes));
	if (m->sd_size > 0)
		add_base64(records, SECURITY, m->sd, m->sd_size);
	if (m->eas_size > 0)
		add_eas(m, records);
	if (m->reparse_size > 0)
		add_reparse(m, records, link);
}
