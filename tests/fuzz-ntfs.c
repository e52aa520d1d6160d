/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: what Windows keeps of a file, as extended attributes.
 *
 * Input: which attribute, flags of setxattr(2), and what the file has already (a byte each), then
 * the value; or, from the number of the names on, the name, a NUL and the value.
 */
#include "config.h"

#include <glib.h>
#include <string.h>
#include <sys/xattr.h>

#include "ea.h"
#include "error.h"
#include "fuzz.h"
#include "le.h"
#include "ntfs-xattr.h"
#include "reparse.h"

#define INPUT_HEADER 3
#define HAS_MORE     1 /* a bit of the third byte: the file has all that files may have */

static const char *const names[] = {
	"system.ntfs_attrib",    "system.ntfs_attrib_be",    "system.dos_attrib",
	"system.ntfs_acl",       "system.ntfs_security",     "system.ntfs_times",
	"system.ntfs_times_be",  "system.ntfs_crtime",       "system.ntfs_crtime_be",
	"user.DOSATTRIB",        "system.ntfs_reparse_data", "system.ntfs_ea",
	"system.ntfs_object_id", "system.ntfs_dos_name",     "system.ntfs_efsinfo",
};

/* $CIMLINKS, which is shown to nobody, and another. */
static const uint8_t eas[] = "\30\0\0\0\0\11\4\0$CIMLINKS\0\2\0\0\0\0\0"
			     "\0\0\0\0\0\1\1\0A\0v";

static struct cim_winmeta old_meta(bool has_more)
{
	struct cim_winmeta m = { .attributes = 0x20, .created = 1, .written = 2, .changed = 3 };

	if (has_more) {
		m.sd = "\1\0\4\200\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
		m.sd_size = 20;
		m.reparse = "\44\0\0\200\0\0\0\0";
		m.reparse_size = 8;
		m.eas = eas;
		m.eas_size = sizeof(eas) - 1;
	}
	return m;
}

/* Each attribute: its size is what is got, in room that is just enough and no less. */
static int check_get(void *arg, const char *name)
{
	const struct cim_winmeta *m = arg;
	ssize_t size = cim_ntfs_xattr_get(m, name, NULL, 0);

	fuzz_check(size >= 0);
	if (size == 0)
		return 0;
	g_autofree uint8_t *buf = g_malloc((size_t)size);
	fuzz_check(cim_ntfs_xattr_get(m, name, buf, (size_t)size) == size);
	ssize_t less = cim_ntfs_xattr_get(m, name, buf, (size_t)size - 1);
	fuzz_check(less == -ERANGE || size == 1 || (less >= 8 && less < size && less % 8 == 0));
	return 0;
}

static int stop(void *arg, const char *name)
{
	return 1;
}

static void check_all(struct cim_winmeta *m)
{
	fuzz_check(cim_ntfs_xattr_list(m, check_get, m) == 0);
	fuzz_check(cim_ntfs_xattr_list(m, stop, m) == 1);
	(void)check_get(m, "user.DOSATTRIB");
}

/* The file after a change, as the writer makes it once the gate has let it pass. */
static void apply(const struct cim_ntfs_change *c, struct cim_winmeta *m)
{
	if (c->mask & CIM_WIN_ATTRIBUTES)
		m->attributes = c->meta.attributes;
	if (c->mask & CIM_WIN_CREATED)
		m->created = c->meta.created;
	if (c->mask & CIM_WIN_WRITTEN)
		m->written = c->meta.written;
	if (c->mask & CIM_WIN_ACCESSED)
		m->accessed = c->meta.accessed;
	if (c->mask & CIM_WIN_CHANGED)
		m->changed = c->meta.changed;
	if (c->mask & CIM_WIN_SECURITY) {
		m->sd = c->meta.sd;
		m->sd_size = c->meta.sd_size;
	}
	if (c->mask & CIM_WIN_REPARSE) {
		m->reparse = c->meta.reparse;
		m->reparse_size = c->meta.reparse_size;
	}
	if (c->mask & CIM_WIN_EAS) {
		m->eas = c->meta.eas;
		m->eas_size = c->meta.eas_size;
	}
}

/* What was set is got: byte for byte, but for attributes that nobody may set. */
static void check_set(const char *name, const uint8_t *value, size_t size, int flags, bool has_more)
{
	struct cim_winmeta m = old_meta(has_more);
	struct cim_ntfs_change c, gone;
	int r = cim_ntfs_xattr_set(&m, name, value, size, flags, &c);

	fuzz_check(r == 0 || r == -EEXIST || r == -ENODATA || r == -EINVAL || r == -EOPNOTSUPP ||
		   r == -E2BIG);
	if (r == 0 && cim_winmeta_check(c.mask, &c.meta) == 0) {
		g_autofree uint8_t *got = g_malloc(size + 1);

		apply(&c, &m);
		check_all(&m);
		ssize_t n = cim_ntfs_xattr_get(&m, name, got, size + 1);
		if (strstr(name, "times") || strstr(name, "crtime") || strstr(name, "acl") ||
		    strstr(name, "security") || strstr(name, "reparse"))
			fuzz_check(n >= (ssize_t)size && memcmp(got, value, size) == 0);
		r = cim_ntfs_xattr_remove(&m, name, &gone);
		fuzz_check(r == 0 || r == -EPERM || (r == -ENODATA && n == -ENODATA));
		if (r == 0) {
			apply(&gone, &m);
			fuzz_check(cim_ntfs_xattr_get(&m, name, NULL, 0) == -ENODATA);
			fuzz_check(cim_ntfs_xattr_remove(&m, name, &gone) == -ENODATA);
		}
	}
	g_free(c.owned);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cim_view plain = { 0 }, wants_dosattrib = { .dosattrib = true };
	const char *name;

	if (size < INPUT_HEADER || size > UINT16_MAX)
		return 0;
	const uint8_t *value = data + INPUT_HEADER, *end = data + size;
	if (data[0] < G_N_ELEMENTS(names)) {
		name = names[data[0]];
	} else {
		const uint8_t *nul = memchr(value, '\0', (size_t)(end - value));

		if (!nul)
			return 0;
		name = (const char *)value;
		value = nul + 1;
	}
	bool known = cim_ntfs_xattr_is(&wants_dosattrib, name);
	fuzz_check(known || !cim_ntfs_xattr_is(&plain, name));
	struct cim_winmeta m = old_meta(data[2] & HAS_MORE);
	check_all(&m);
	if (!known) {
		struct cim_ntfs_change c;

		fuzz_check(cim_ntfs_xattr_get(&m, name, NULL, 0) == -ENODATA);
		fuzz_check(cim_ntfs_xattr_set(&m, name, value, 0, 0, &c) == -EOPNOTSUPP);
		fuzz_check(cim_ntfs_xattr_remove(&m, name, &c) == -ENODATA);
		return 0;
	}
	check_set(name, value, (size_t)(end - value), data[1] & (XATTR_CREATE | XATTR_REPLACE),
		  data[2] & HAS_MORE);
	return 0;
}

/* ---- seeds ---- */

static void emit_set(fuzz_emit_fn emit, size_t name, int flags, uint8_t has, const void *value,
		     size_t size)
{
	uint8_t buf[256] = { (uint8_t)name, (uint8_t)flags, has };

	memcpy(buf + INPUT_HEADER, value, size);
	emit(buf, INPUT_HEADER + size);
}

void fuzz_seeds(fuzz_emit_fn emit)
{
	static const struct {
		const char *value;
		size_t size;
	} values[] = {
		{ "", 0 },
		{ "\46", 1 },
		{ "\46\0\0\0", 4 },
		{ "\0\0\0\1\0\0\0\1", 8 },
		{ "\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\2\0\0\0\1\0\0\0\3\0\0\0\1\0\0\0\4", 32 },
		{ "\1\0\4\200\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20 },
		{ "0x26", 4 },
		{ "0x26\0", 5 },
		{ "0xz", 3 },
		{ "\44\0\0\200\0\0\0\0", 8 },
		{ "\3\0\0\240\10\0\0\0\0\0\0\0\0\0\0\0", 16 }, /* a mount point */
		{ "\0\0\0\0\0\1\1\0A\0v", 11 },
		{ "\14\0\0\0\0\1\1\0A\0v\0", 12 }, /* as it is on NTFS */
		{ (const char *)eas, sizeof(eas) - 1 },
	};
	static const char unknown[] = "\377\0\0user.other\0value";

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		for (size_t k = 0; k < G_N_ELEMENTS(values); k++)
			emit_set(emit, i, 0, (uint8_t)(k & 1), values[k].value, values[k].size);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		for (uint8_t has = 0; has < 2; has++) {
			emit_set(emit, i, XATTR_CREATE, has, "\46\0\0\0", 4);
			emit_set(emit, i, XATTR_REPLACE, has, "\46\0\0\0", 4);
		}
	emit(unknown, sizeof(unknown));
	emit("\377\0\1system.ntfs_ea", 18);
	emit("\377\0\1system.other", 16);
	emit("\377\0\1user.DOSATTRIB\0000x20", 22);
	emit("\377\0\1no end", 9);
}
