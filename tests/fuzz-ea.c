/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: lists of extended attributes, and what they make of a file. */
#include "config.h"

#include <string.h>
#include <sys/stat.h>

#include "ea.h"
#include "error.h"
#include "fuzz.h"
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

static void check_posix(void)
{
	struct cim_entry e = { .flags = CIM_FLAG_READONLY };
	struct cim_reparse rp = { .type = S_IFCHR, .has_rdev = true, .major = 1, .minor = 3 };
	struct cim_view view = cim_view_default();
	struct cim_posix p, again;
	struct cim_ea_list l = { 0 };

	cim_posix_decode(&e, list, list_size, &rp, &p);
	fuzz_check(S_ISCHR(p.mode));
	cim_posix_decode(&e, list, list_size, NULL, &p);
	fuzz_check((p.mode & S_IFMT) != 0 && p.n_links > 0);
	fuzz_check(cim_posix_encode(&p, NULL, 0, &l) == 0);
	rp = (struct cim_reparse){ .type = p.mode & S_IFMT };
	cim_posix_decode(&e, l.data, l.size, S_ISREG(p.mode) ? NULL : &rp, &again);
	fuzz_check(again.stored == p.stored && again.mode == p.mode && again.n_links == p.n_links &&
		   again.uid == p.uid && again.gid == p.gid && again.major == p.major &&
		   again.minor == p.minor);
	cim_ea_list_clear(&l);
	cim_posix_show(&view, e.flags, &p);
	fuzz_check((p.mode & S_IFMT) == (again.mode & S_IFMT));
	fuzz_check(cim_posix_count_size(list, list_size) <= list_size);
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
	struct cim_ea_list copy = { 0 };
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
		(void)cim_posix_owns_ea(&ea);
		(void)cim_ea_list_add(&copy, ea.name, ea.name_size, ea.flags, ea.value,
				      ea.value_size);
	}
	fuzz_check(r == 0 || r == -CIM_ECORRUPT);
	fuzz_check(cim_ea_iter_next(&it, &ea) == r);
	check_gate(r);
	cim_ea_iter_init(&it, copy.data, copy.size);
	while ((r = cim_ea_iter_next(&it, &ea)) == 1)
		;
	fuzz_check(r == 0);
	cim_ea_list_clear(&copy);
	(void)cim_ea_find(data, size, "$lxuid", &ea);
	check_posix();
	return 0;
}

void fuzz_seeds(fuzz_emit_fn emit)
{
	static const struct {
		const char *name, *value;
		size_t size;
	} eas[] = {
		{ "$LXUID", "\350\3\0\0", 4 },
		{ "$LXGID", "\350\3\0\0", 4 },
		{ "$LXMOD", "\244\201\0\0", 4 },
		{ "$LXDEV", "\1\0\0\0\3\0\0\0", 8 },
		{ "$CIMLINKS", "\2\0\0\0", 4 },
		{ "LX.USER.FOO", "lxeavalue", 9 },
		{ "LX.user.Foo", "lxea", 4 },
		{ "LX.SECURITY.CAPABILITY", "lxea\1\0\0\2", 8 },
		{ "user.literal", "x", 1 },
		{ "system.posix_acl_access", "\2\0\0\0", 4 },
		{ "FOREIGN", "", 0 },
		{ "$LXDEV", "\3\0\20\0", 4 },
	};
	struct cim_ea_list all = { 0 };

	for (size_t i = 0; i < sizeof(eas) / sizeof(eas[0]); i++) {
		struct cim_ea_list one = { 0 };

		fuzz_check(cim_ea_list_add(&one, eas[i].name, strlen(eas[i].name), 0, eas[i].value,
					   eas[i].size) == 0);
		fuzz_check(cim_ea_list_add(&all, eas[i].name, strlen(eas[i].name), 0, eas[i].value,
					   eas[i].size) == 0);
		emit(one.data, one.size);
		cim_ea_list_clear(&one);
	}
	emit(all.data, all.size);
	/* As Windows ends a list in memory, and as NTFS does on disk. */
	emit(all.data, all.size - 2);
	cim_store32(all.data + all.last, (uint32_t)(all.size - all.last));
	emit(all.data, all.size);
	cim_store16(all.data + all.last + 6, 12);
	cim_ea_list_clear(&all);
	/* ntfs3's special files: a mode alone. */
	struct cim_ea_list fifo = { 0 };
	fuzz_check(cim_ea_list_add(&fifo, "$LXMOD", 6, 0, "\244\21\0\0", 4) == 0);
	emit(fifo.data, fifo.size);
	fuzz_check(cim_ea_list_add(&fifo, "$LXDEV", 6, 0, "\3\0\20\0", 4) == 0);
	cim_store32(fifo.data + 16, 0x21A4);
	emit(fifo.data, fifo.size);
	cim_ea_list_clear(&fifo);
}
