/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: reparse buffers.  Input: the entry's tag (u32), the buffer. */
#include "config.h"

#include <glib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "fuzz.h"
#include "le.h"
#include "reparse.h"
#include "symlink.h"
#include "windows.h"

/* Any target that Linux takes can be stored, and is read again as it was. */
static void check_target(const char *target)
{
	char again[CIM_SYMLINK_MAX + 1];
	uint8_t buf[CIM_REPARSE_MAX];
	struct cim_reparse rp;
	size_t n = strlen(target);

	int size = cim_reparse_lx_symlink(target, buf);
	fuzz_check(n > 0 || size == -ENOENT);
	fuzz_check(n <= CIM_SYMLINK_MAX || size == -ENAMETOOLONG);
	if (size > 0) {
		fuzz_check(cim_reparse_parse(buf, (size_t)size, 0, &rp, again) == 0);
		fuzz_check(S_ISLNK(rp.type) && strcmp(again, target) == 0);
	}
	int native = cim_reparse_symlink(target, buf);
	fuzz_check(native == 0 || (native > 0 && native <= CIM_REPARSE_MAX && size > 0));
	if (native > 0) {
		fuzz_check(cim_reparse_parse(buf, (size_t)native, 0, &rp, again) == 0);
		fuzz_check(S_ISLNK(rp.type) && strcmp(again, target) == 0 && !rp.absolute);
	}
}

/* Wherever a link is and however links are shown, it leads to something, or is corrupt. */
static void check_shown(const struct cim_reparse *rp, const char *target, const uint8_t *buf,
			size_t size)
{
	static char long_root[CIM_SYMLINK_MAX] = "/";
	const int depths[] = { CIM_DEPTH_UNKNOWN, 0, 1, CIM_DEPTH_MAX, CIM_DEPTH_MAX + 1 };
	char shown[CIM_SYMLINK_MAX + 1], raw[CIM_SYMLINK_MAX + 1];
	struct cim_view views[4] = { { .abslinks = CIM_ABSLINKS_ROOT },
				     { .abslinks = CIM_ABSLINKS_RAW },
				     { .abslinks = CIM_ABSLINKS_DIR, .symlink_root = "/drives" },
				     { .abslinks = CIM_ABSLINKS_DIR, .symlink_root = long_root } };

	memset(long_root, '/', sizeof(long_root) - 1);
	int raw_size = cim_reparse_raw_target(buf, size, raw);
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		for (size_t k = 0; k < sizeof(depths) / sizeof(depths[0]); k++) {
			strcpy(shown, target);
			int n = cim_symlink_show(&views[i], rp, buf, size, depths[k], shown);

			if (n < 0) {
				fuzz_check(n == raw_size);
				continue;
			}
			fuzz_check(n > 0 && n <= CIM_SYMLINK_MAX && strlen(shown) == (size_t)n);
			if (!rp->absolute)
				fuzz_check(strcmp(shown, target) == 0);
			else if (views[i].abslinks == CIM_ABSLINKS_RAW && !rp->same_volume)
				fuzz_check(strcmp(shown, raw) == 0);
		}
	}
}

/* Special files are written as their tags alone. */
static void check_special(uint32_t type)
{
	uint8_t buf[8];
	struct cim_reparse rp;

	if (cim_reparse_special(type, buf) == 0)
		return;
	fuzz_check(cim_reparse_parse(buf, sizeof(buf), 0, &rp, NULL) == 0);
	fuzz_check(rp.type == type && !rp.has_rdev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char target[CIM_SYMLINK_MAX + 1] = "", raw[CIM_SYMLINK_MAX + 1];
	struct cim_reparse rp, without;

	if (size < 4 || size > UINT16_MAX)
		return 0;
	int r = cim_reparse_parse(data + 4, size - 4, cim_load32(data), &rp, target);
	fuzz_check(r == 0 || r == -CIM_ECORRUPT);
	fuzz_check(cim_reparse_parse(data + 4, size - 4, cim_load32(data), &without, NULL) == r);
	struct cim_winmeta m = { .reparse = data + 4, .reparse_size = size - 4 };
	int checked = cim_reparse_check(m.reparse, m.reparse_size);
	fuzz_check(checked == 0 || checked == -EINVAL);
	fuzz_check(size == 4 || cim_winmeta_check(CIM_WIN_REPARSE, &m) == checked);
	int raw_size = cim_reparse_raw_target(data + 4, size - 4, raw);
	fuzz_check(raw_size == -CIM_ECORRUPT || raw_size == -EINVAL || raw_size > 0);
	if (raw_size > 0)
		fuzz_check(strlen(raw) == (size_t)raw_size);
	g_autofree char *text = g_strndup((const char *)data + 4, size - 4);
	check_target(text);
	if (r == 0 && S_ISLNK(rp.type) && !rp.target_is_data) {
		fuzz_check(*target);
		check_target(target);
		check_shown(&rp, target, data + 4, size - 4);
	}
	if (r == 0)
		check_special(rp.type);
	return 0;
}

#define MAX_UNITS 64

static void put_names(uint8_t *p, size_t fixed, const char *substitute, const char *print)
{
	size_t n = strlen(substitute), m = strlen(print);

	cim_store16(p + 0, 0);
	cim_store16(p + 2, (uint16_t)(2 * n));
	cim_store16(p + 4, (uint16_t)(2 * n));
	cim_store16(p + 6, (uint16_t)(2 * m));
	for (size_t i = 0; i < n; i++)
		cim_store16(p + fixed + 2 * i, (uint8_t)substitute[i]);
	for (size_t i = 0; i < m; i++)
		cim_store16(p + fixed + 2 * n + 2 * i, (uint8_t)print[i]);
}

static void emit_buffer(fuzz_emit_fn emit, uint32_t tag, const void *data, size_t size)
{
	g_autofree uint8_t *buf = g_malloc0(12 + size);

	cim_store32(buf, tag);
	cim_store32(buf + 4, tag);
	cim_store16(buf + 8, (uint16_t)size);
	memcpy(buf + 12, data, size);
	emit(buf, 12 + size);
}

/* More than Linux can read of a link: in units, and in the bytes that they become. */
static void emit_long(fuzz_emit_fn emit)
{
	const size_t n = CIM_SYMLINK_MAX;
	g_autofree uint8_t *data = g_malloc0(20 + 2 * n);
	static const uint16_t units[] = { 'x', 0x800 };

	cim_store32(data, 2);
	memset(data + 4, 'x', n + 1);
	emit_buffer(emit, CIM_TAG_LX_SYMLINK, data, 4 + n);
	emit_buffer(emit, CIM_TAG_LX_SYMLINK, data, 5 + n);
	for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
		memset(data, 0, 20);
		cim_store16(data + 2, (uint16_t)(2 * n));
		for (size_t k = 0; k < n; k++)
			cim_store16(data + 12 + 2 * k, units[i]);
		emit_buffer(emit, CIM_TAG_SYMLINK, data, 12 + 2 * n);
		cim_store16(data + 2, (uint16_t)(2 * (n / 2)));
		emit_buffer(emit, CIM_TAG_SYMLINK, data, 12 + 2 * n);
		data[8] = 1; /* relative */
		emit_buffer(emit, CIM_TAG_SYMLINK, data, 12 + 2 * n);
	}
}

static void emit_names(fuzz_emit_fn emit, uint32_t tag, uint32_t flags, const char *substitute,
		       const char *print)
{
	size_t fixed = tag == CIM_TAG_SYMLINK ? 12 : 8;
	uint8_t data[12 + 4 * MAX_UNITS] = { 0 };

	put_names(data, fixed, substitute, print);
	if (tag == CIM_TAG_SYMLINK)
		cim_store32(data + 8, flags);
	emit_buffer(emit, tag, data, fixed + 2 * (strlen(substitute) + strlen(print)));
}

static void emit_linux_targets(fuzz_emit_fn emit)
{
	static const char *const targets[] = { "target", "a/b",  "a//b",      "/a", "a/", "a\\b",
					       "a:b",    "\377", "a\303\251", "..", "" };
	uint8_t data[16] = { 2 };

	for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
		memcpy(data + 4, targets[i], strlen(targets[i]));
		emit_buffer(emit, CIM_TAG_LX_SYMLINK, data, 4 + strlen(targets[i]));
		/* As the text that symlink(2) was given. */
		g_autofree char *text = g_strconcat("1234", targets[i], NULL);
		emit(text, strlen(text));
	}
	emit_buffer(emit, CIM_TAG_LX_SYMLINK, "\1\0\0\0", 4);
	emit_buffer(emit, CIM_TAG_LX_SYMLINK, "\3\0\0\0x", 5);
	emit_buffer(emit, CIM_TAG_LX_SYMLINK, "\2\0\0", 3);
}

static void emit_nfs(fuzz_emit_fn emit)
{
	static const uint64_t types[] = { 0x00524843u, 0x004B4C42u, 0x4F464946u, 0x4B434F53u };
	uint8_t nfs[16] = { 0 };

	cim_store64(nfs, 0x014B4E4Cu);
	memcpy(nfs + 8, "a\0/\0b\0", 6);
	emit_buffer(emit, CIM_TAG_NFS, nfs, 14);
	emit_buffer(emit, CIM_TAG_NFS, nfs, 13); /* half a unit */
	emit_buffer(emit, CIM_TAG_NFS, nfs, 7);
	for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
		cim_store64(nfs, types[i]);
		emit_buffer(emit, CIM_TAG_NFS, nfs, 16);
		emit_buffer(emit, CIM_TAG_NFS, nfs, 12);
	}
}

void fuzz_seeds(fuzz_emit_fn emit)
{
	static const uint32_t bare[] = { CIM_TAG_AF_UNIX, CIM_TAG_LX_FIFO, CIM_TAG_LX_CHR,
					 CIM_TAG_LX_BLK,  0xA0000003u,     0x9000001Au,
					 0x00000042u };
	static const char *const absolute[] = { "\\??\\C:\\a\\b",
						"\\\\?\\C:\\a",
						"\\??\\UNC\\s\\x",
						"\\DosDevices\\C:\\",
						"\\GLOBAL??\\C:",
						"\\??\\Volume{1}\\a",
						"\\??\\GLOBALROOT\\a",
						"\\??\\",
						"C:",
						"" };

	for (size_t i = 0; i < G_N_ELEMENTS(bare); i++)
		emit_buffer(emit, bare[i], "", 0);
	emit_names(emit, CIM_TAG_SYMLINK, 1, "a\\b", "a\\b");
	emit_names(emit, CIM_TAG_SYMLINK, 1, "\\a\\b", "\\a\\b");
	emit_names(emit, CIM_TAG_SYMLINK, 0, "\\??\\a/b", "a/b"); /* ntfs3's */
	for (size_t i = 0; i < G_N_ELEMENTS(absolute); i++) {
		const char *bare_name = absolute[i] + MIN(strlen(absolute[i]), 4);

		emit_names(emit, CIM_TAG_SYMLINK, 0, absolute[i], "C:\\a");
		emit_names(emit, CIM_TAG_SYMLINK, 0, absolute[i], bare_name);
		emit_names(emit, CIM_TAG_MOUNT_POINT, 0, absolute[i], "");
	}
	emit_linux_targets(emit);
	emit_nfs(emit);
	emit_long(emit);
}
