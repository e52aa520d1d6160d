/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: lists of extended attributes, and what they make of a file. */
#include "config.h"

#include <glib.h>
#include <string.h>
#include <sys/stat.h>

#include "ea.h"
#include "error.h"
#include "fuzz.h"
#include "le.h"
#include "posix.h"
#include "windows.h"

static const uint8_t *list;
static size_t list_size;

static void check_inside(const void *p, size_t size)
{
	size_t off = (size_t)((const uint8_t *)p - list);

	fuzz_check(off <= list_size && size <= list_size - off);
}

/* An xattr that was read can be stored again under the name that it has. */
static void check_xattr(const struct cim_ea *ea)
{
	char name[CIM_XATTR_NAME_MAX + 1], ea_name[CIM_XATTR_NAME_MAX + 4];
	const uint8_t *value;
	size_t size;
	bool prefixed;

	if (!cim_ea_to_xattr(ea, name, &value, &size))
		return;
	check_inside(value, size);
	fuzz_check(strlen(name) > 0 && strlen(name) <= CIM_XATTR_NAME_MAX);
	int r = cim_ea_from_xattr(name, ea_name, &prefixed);
	fuzz_check(r > 0 || r == -ENAMETOOLONG || r == -EOPNOTSUPP);
	if (r > 0) {
		struct cim_ea again = { .name = ea_name,
					.name_size = (uint8_t)r,
					.value = prefixed ? (const uint8_t *)"lxea" : value,
					.value_size = prefixed ? 4 : (uint16_t)size };
		char same[CIM_XATTR_NAME_MAX + 1];

		fuzz_check(cim_ea_to_xattr(&again, same, &value, &size) == 1);
		fuzz_check(strcmp(same, name) == 0);
	}
}

#define NAMES_MAX 16 /* xattrs looked at, of a list */

/* What is left of LXXATTR without one of its xattrs has the others and not that one. */
static void check_old_without(const struct cim_ea *ea, const char *name)
{
	g_autofree uint8_t *left = g_malloc(ea->value_size + 1u);
	int r = cim_ea_old_without(ea, name, left);
	struct cim_ea_list l = { 0 };
	const uint8_t *value;
	size_t size;

	fuzz_check(r == -ENODATA || (r >= 0 && r < ea->value_size));
	if (r <= 0)
		return;
	fuzz_check(cim_ea_list_add(&l, CIM_EA_OLD_XATTRS, strlen(CIM_EA_OLD_XATTRS), 0, left,
				   (size_t)r) == 0);
	fuzz_check(cim_xattr_find(l.data, l.size, name, &value, &size) == 0);
	struct cim_ea again = { .name = CIM_EA_OLD_XATTRS,
				.name_size = strlen(CIM_EA_OLD_XATTRS),
				.value = left,
				.value_size = (uint16_t)r };
	g_autofree uint8_t *same = g_malloc((size_t)r);
	fuzz_check(cim_ea_old_without(&again, name, same) == -ENODATA);
	cim_ea_list_clear(&l);
}

/* What is listed is found; and what LXXATTR has can be taken out of it. */
static void check_xattrs(void)
{
	char name[CIM_XATTR_NAME_MAX + 1];
	const uint8_t *value, *found;
	struct cim_xattr_iter it;
	size_t size, found_size;
	struct cim_ea_iter eas;
	struct cim_ea ea;

	cim_xattr_iter_init(&it, list, list_size);
	for (int i = 0; i < NAMES_MAX && cim_xattr_iter_next(&it, name, &value, &size) == 1; i++) {
		check_inside(value, size);
		fuzz_check(*name && strlen(name) <= CIM_XATTR_NAME_MAX);
		fuzz_check(cim_xattr_find(list, list_size, name, &found, &found_size) == 1);
		check_inside(found, found_size);
		cim_ea_iter_init(&eas, list, list_size);
		while (cim_ea_iter_next(&eas, &ea) == 1)
			check_old_without(&ea, name);
		fuzz_check(cim_xattr_iter_met(&it, name));
	}
	cim_xattr_iter_clear(&it);
	fuzz_check(cim_xattr_find(list, list_size, "user.not there at all", &found, &found_size) ==
		   0);
}

/* ---- what the EAs make of a file ---- */

static bool same_posix(const struct cim_posix *a, const struct cim_posix *b)
{
	return a->stored == b->stored && a->mode == b->mode && a->n_links == b->n_links &&
	       a->uid == b->uid && a->gid == b->gid && a->major == b->major && a->minor == b->minor;
}

static void check_shown(const struct cim_posix *p)
{
	struct cim_view views[3] = { cim_view_default(), cim_view_default(), cim_view_default() };

	views[1].force_uid = views[1].force_gid = true;
	views[2].no_metadata = true;
	for (size_t i = 0; i < G_N_ELEMENTS(views); i++) {
		struct cim_posix shown = *p;

		cim_posix_show(&views[i], i == 0 ? CIM_FLAG_READONLY : 0, &shown);
		fuzz_check((shown.mode & S_IFMT) == (p->mode & S_IFMT));
		fuzz_check(i == 0 || shown.uid == views[i].uid || (p->stored & CIM_POSIX_UID));
		fuzz_check(i != 1 || (shown.uid == views[i].uid && shown.gid == views[i].gid));
	}
	uint32_t flags = cim_posix_flags(p->mode, p->n_links & 1, CIM_FLAG_HIDDEN);
	fuzz_check((flags & CIM_FLAG_HIDDEN) && !(flags & CIM_FLAG_SPARSE) == !(p->n_links & 1));
}

/*
 * What was read of a file is written as EAs and read again: alone, of a file whose type a reparse
 * point tells, and with the other EAs that the file has.
 */
static void check_written(const struct cim_entry *e, const struct cim_posix *p,
			  const struct cim_ea_list *rest)
{
	const struct cim_reparse rp = { .type = p->mode & S_IFMT,
					.has_rdev = !(p->stored & CIM_POSIX_DEV),
					.major = p->major,
					.minor = p->minor };
	const struct cim_entry plain = { 0 };
	struct cim_ea_list l = { 0 }, both = { 0 };
	struct cim_posix again;
	struct cim_ea_iter it;
	struct cim_ea ea;

	fuzz_check(cim_posix_encode(p, NULL, 0, &l) == 0 && l.size <= CIM_POSIX_EAS_MAX);
	cim_ea_iter_init(&it, l.data, l.size);
	while (cim_ea_iter_next(&it, &ea) == 1)
		fuzz_check(cim_posix_is_count(&ea) || cim_posix_ea_made(p, &ea));
	if (!S_ISDIR(p->mode)) {
		cim_posix_decode(&plain, l.data, l.size, S_ISREG(p->mode) ? NULL : &rp, &again);
		fuzz_check(same_posix(&again, p));
	}
	cim_ea_list_clear(&l);

	int r = cim_posix_encode(p, rest->data, rest->size, &both);
	fuzz_check(r == 0 || r == -E2BIG);
	if (r == 0 && e) {
		cim_posix_decode(e, both.data, both.size, NULL, &again);
		fuzz_check(same_posix(&again, p));
	}
	cim_ea_list_clear(&both);
}

static void check_posix(const struct cim_ea_list *rest)
{
	static const struct cim_entry entries[] = {
		{ .flags = CIM_FLAG_READONLY },
		{ .data = { .off = 64, .size = 5 } },
		{ .data = { .off = 64, .size = CIM_SYMLINK_MAX + 1 } },
		{ .data = { .type = CIM_STREAM_LINKS } },
	};
	static const struct cim_reparse points[] = {
		{ .type = 0 },
		{ .type = S_IFLNK, .target_is_data = true },
		{ .type = S_IFCHR },
		{ .type = S_IFCHR, .has_rdev = true, .major = 1, .minor = 3 },
	};
	struct cim_posix p;

	for (size_t i = 0; i < G_N_ELEMENTS(entries); i++) {
		cim_posix_decode(&entries[i], list, list_size, NULL, &p);
		fuzz_check((p.mode & S_IFMT) != 0 && p.n_links > 0);
		check_shown(&p);
		check_written(&entries[i], &p, rest);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(points); i++) {
		cim_posix_decode(&entries[0], list, list_size, &points[i], &p);
		fuzz_check((p.mode & S_IFMT) == (points[i].type ? points[i].type : S_IFREG));
		check_shown(&p);
		check_written(NULL, &p, rest);
	}
	fuzz_check(cim_posix_count_size(list, list_size) <= list_size);
}

/* What no list can hold is refused, and the list is as before. */
static void check_refused(struct cim_ea_list *l)
{
	static const uint8_t big[CIM_EA_VALUE_MAX + 1];
	const size_t size = l->size;

	fuzz_check(cim_ea_list_add(l, "", 0, 0, "x", 1) == -EINVAL);
	fuzz_check(cim_ea_list_add(l, (const char *)big, UINT8_MAX + 1, 0, "x", 1) == -EINVAL);
	fuzz_check(cim_ea_list_add(l, "A", 1, 0, big, sizeof(big)) == -E2BIG);
	fuzz_check(cim_ea_list_add(l, "A", 1, 0, big, CIM_EA_VALUE_MAX) == -E2BIG);
	fuzz_check(l->size == size);
}

/* What the gate lets pass is a list to its end. */
static void check_gate(int read)
{
	struct cim_winmeta m = { .eas = list, .eas_size = list_size };
	int r = cim_ea_list_check(list, list_size);

	fuzz_check(r == 0 || r == -EINVAL || r == -E2BIG);
	fuzz_check(r < 0 || read == 0);
	fuzz_check(list_size == 0 || cim_winmeta_check(CIM_WIN_EAS, &m) == r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cim_ea_list copy = { 0 }, rest = { 0 };
	struct cim_ea_iter it;
	struct cim_ea ea;
	size_t last = 0;
	int r;

	if (size > UINT16_MAX)
		return 0;
	list = data;
	list_size = size;
	cim_ea_iter_init(&it, data, size);
	while ((r = cim_ea_iter_next(&it, &ea)) == 1) {
		check_inside(ea.name, ea.name_size);
		check_inside(ea.value, ea.value_size);
		fuzz_check(ea.name_size > 0 && (const uint8_t *)ea.name >= data + last);
		last = (size_t)((const uint8_t *)ea.name - data);
		check_xattr(&ea);
		(void)cim_ea_list_add(&copy, ea.name, ea.name_size, ea.flags, ea.value,
				      ea.value_size);
		if (!cim_posix_owns_ea(&ea))
			(void)cim_ea_list_add(&rest, ea.name, ea.name_size, ea.flags, ea.value,
					      ea.value_size);
	}
	fuzz_check(r == 0 || r == -CIM_ECORRUPT);
	fuzz_check(cim_ea_iter_next(&it, &ea) == r);
	check_gate(r);
	check_refused(&copy);
	cim_ea_iter_init(&it, copy.data, copy.size);
	while ((r = cim_ea_iter_next(&it, &ea)) == 1)
		;
	fuzz_check(r == 0);
	(void)cim_ea_find(data, size, "$lxuid", &ea);
	check_xattrs();
	check_posix(&rest);
	cim_ea_list_clear(&copy);
	cim_ea_list_clear(&rest);
	return 0;
}

/* ---- seeds ---- */

static void add(struct cim_ea_list *l, const char *name, const void *value, size_t size)
{
	fuzz_check(cim_ea_list_add(l, name, strlen(name), 0, value, size) == 0);
}

static void emit_one(fuzz_emit_fn emit, const char *name, const void *value, size_t size)
{
	struct cim_ea_list one = { 0 };

	add(&one, name, value, size);
	emit(one.data, one.size);
	cim_ea_list_clear(&one);
}

/* WSL 1's inodes: LXATTRB with each type, alone and beside $LX EAs that say less or more. */
static void emit_old_inodes(fuzz_emit_fn emit)
{
	static const uint32_t modes[] = { S_IFREG | 0644, S_IFDIR | 0755, S_IFLNK | 0777,
					  S_IFCHR | 0600, S_IFBLK | 0600, S_IFIFO | 0600,
					  S_IFSOCK | 0600 };
	uint8_t value[56] = { 0 };

	cim_store16(value + 2, 1); /* the version */
	cim_store32(value + 8, 1000);
	cim_store32(value + 12, 100);
	cim_store32(value + 16, 5 << 20 | 1);
	cim_store64(value + 32, 1000000000);
	for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
		struct cim_ea_list l = { 0 };

		cim_store32(value + 4, modes[i]);
		add(&l, CIM_EA_OLD, value, sizeof(value));
		emit(l.data, l.size);
		add(&l, CIM_EA_DEV, "\1\0\0\0\3\0\0\0", 8);
		emit(l.data, l.size);
		add(&l, CIM_EA_GID, "\7\0\0\0", 4);
		emit(l.data, l.size);
		add(&l, CIM_EA_MODE, "\244\201\0\0", 4);
		add(&l, CIM_EA_UID, "\7\0\0\0", 4);
		emit(l.data, l.size);
		cim_ea_list_clear(&l);
	}
	cim_store32(value + 4, 0x10000 | S_IFCHR); /* a mode that is none */
	cim_store32(value + 8, CIM_ID_INVALID);
	cim_store32(value + 12, CIM_ID_INVALID);
	emit_one(emit, CIM_EA_OLD, value, sizeof(value));
	cim_store16(value + 2, 2);
	emit_one(emit, CIM_EA_OLD, value, sizeof(value));
	cim_store16(value, 1);
	emit_one(emit, CIM_EA_OLD, value, sizeof(value));
}

static size_t put_record(uint8_t *p, const char *name, size_t name_size, bool last)
{
	cim_store32(p, last ? 0 : (uint32_t)(7 + name_size + 1));
	cim_store16(p + 4, 1);
	p[6] = (uint8_t)name_size;
	memcpy(p + 7, name, name_size);
	p[7 + name_size] = 'v';
	return 7 + name_size + 1;
}

/* WSL 1's xattrs: LXXATTR, whose records are xattrs, foreign, doubles of modern ones, or lies. */
static void emit_old_xattrs(fuzz_emit_fn emit)
{
	static const struct {
		const char *name;
		size_t size;
	} names[] = {
		{ "user.old", 8 },   { "user.both", 9 }, { "foreign", 7 },
		{ "user.\0nul", 9 }, { "trusted.t", 9 }, { "", 0 },
	};
	struct cim_ea_list l = { 0 };
	uint8_t value[256] = { 0, 0, 1, 0 };
	size_t at = 4, second;

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		size_t n = put_record(value + at, names[i].name, names[i].size, true);

		emit_one(emit, CIM_EA_OLD_XATTRS, value, at + n);
		(void)put_record(value + at, names[i].name, names[i].size, false);
		at += n;
		if (i == 0)
			second = at;
	}
	at += put_record(value + at, "security.last", 13, true);
	emit_one(emit, "lxxattr", value, at);
	add(&l, "LX.USER.BOTH", "lxeam", 5);
	add(&l, CIM_EA_OLD_XATTRS, value, at);
	emit(l.data, l.size);
	cim_ea_list_clear(&l);
	emit_one(emit, CIM_EA_OLD_XATTRS, value, at - 1);
	emit_one(emit, CIM_EA_OLD_XATTRS, value, 4);
	emit_one(emit, CIM_EA_OLD_XATTRS, value, 8);
	cim_store32(value + second, 3); /* into itself */
	emit_one(emit, CIM_EA_OLD_XATTRS, value, at);
	cim_store32(value + second, UINT32_MAX);
	emit_one(emit, CIM_EA_OLD_XATTRS, value, at);
	value[2] = 2;
	emit_one(emit, CIM_EA_OLD_XATTRS, value, at);
	value[0] = 1;
	emit_one(emit, CIM_EA_OLD_XATTRS, value, at);
}

static void emit_long_name(fuzz_emit_fn emit)
{
	char name[UINT8_MAX + 1];

	memset(name, 'n', sizeof(name));
	memcpy(name, "user.", 5);
	name[UINT8_MAX] = '\0';
	emit_one(emit, name, "v", 1);
}

/* ntfs3's special files: a mode, and a device; a regular file where the device is missing. */
static void emit_special(fuzz_emit_fn emit)
{
	static const uint32_t modes[] = { S_IFIFO | 0644, S_IFSOCK | 0600, S_IFCHR | 0444,
					  S_IFBLK | 0600, S_IFLNK | 0777 };

	for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
		struct cim_ea_list l = { 0 };
		uint8_t mode[4];

		cim_store32(mode, modes[i]);
		add(&l, CIM_EA_MODE, mode, sizeof(mode));
		emit(l.data, l.size);
		add(&l, CIM_EA_DEV, "\3\0\20\0", 4);
		emit(l.data, l.size);
		add(&l, CIM_EA_LINKS, "\2\0\0\200", 4); /* two at least */
		emit(l.data, l.size);
		cim_ea_list_clear(&l);
	}
}

void fuzz_seeds(fuzz_emit_fn emit)
{
	static const struct {
		const char *name, *value;
		size_t size;
	} eas[] = {
		{ "$CIMLINKS", "\2\0\0\0", 4 },
		{ "$LXUID", "\350\3\0\0", 4 },
		{ "$LXGID", "\350\3\0\0", 4 },
		{ "$LXMOD", "\244\201\0\0", 4 },
		{ "$LXDEV", "\1\0\0\0\3\0\0\0", 8 },
		{ "LX.USER.FOO", "lxeavalue", 9 },
		{ "LX.user.Foo", "lxea", 4 },
		{ "LX.USER.BAD", "lxe", 3 },
		{ "LX.FOREIGN.X", "lxeax", 5 },
		{ "LX.SECURITY.CAPABILITY", "lxea\1\0\0\2", 8 },
		{ "LX.TRUSTED.T", "lxeat", 5 },
		{ "user.literal", "x", 1 },
		{ "system.posix_acl_access", "\2\0\0\0", 4 },
		{ "system.posix_acl_default", "\2\0\0\0", 4 },
		{ "FOREIGN", "", 0 },
		{ "$LXDEV", "\3\0\20\0", 4 },
	};
	struct cim_ea_list all = { 0 };

	for (size_t i = 0; i < G_N_ELEMENTS(eas); i++) {
		emit_one(emit, eas[i].name, eas[i].value, eas[i].size);
		add(&all, eas[i].name, eas[i].value, eas[i].size);
	}
	emit(all.data, all.size);
	/* As Windows ends a list in memory, and as NTFS does on disk. */
	emit(all.data, all.size - 2);
	cim_store32(all.data + all.last, (uint32_t)(all.size - all.last));
	emit(all.data, all.size);
	cim_store16(all.data + all.last + 6, 12);
	cim_ea_list_clear(&all);
	emit_special(emit);
	emit_old_inodes(emit);
	emit_old_xattrs(emit);
	emit_long_name(emit);
}
