/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: reparse buffers.  Input: the entry's tag (u32), the buffer. */
#include "config.h"

#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "fuzz.h"
#include "le.h"
#include "reparse.h"
#include "windows.h"

/* A target that was read can be stored, and is read again as it was. */
static void check_target(const char *target)
{
	char again[CIM_SYMLINK_MAX + 1];
	uint8_t buf[CIM_REPARSE_MAX];
	struct cim_reparse rp;
	size_t n = strlen(target);

	fuzz_check(n > 0 && n <= CIM_SYMLINK_MAX);
	int size = cim_reparse_lx_symlink(target, buf);
	fuzz_check(size > 0);
	fuzz_check(cim_reparse_parse(buf, (size_t)size, 0, &rp, again) == 0);
	fuzz_check(S_ISLNK(rp.type) && strcmp(again, target) == 0);
	size = cim_reparse_symlink(target, buf);
	fuzz_check(size >= 0 && size <= CIM_REPARSE_MAX);
	if (size > 0) {
		fuzz_check(cim_reparse_parse(buf, (size_t)size, 0, &rp, again) == 0);
		fuzz_check(S_ISLNK(rp.type) && strcmp(again, target) == 0 && !rp.absolute);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char target[CIM_SYMLINK_MAX + 1] = "";
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
	if (r == 0 && S_ISLNK(rp.type) && !rp.target_is_data)
		check_target(target);
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
	uint8_t buf[4 + 8 + 1024] = { 0 };

	cim_store32(buf, tag);
	cim_store32(buf + 4, tag);
	cim_store16(buf + 8, (uint16_t)size);
	memcpy(buf + 12, data, size);
	emit(buf, 12 + size);
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

void fuzz_seeds(fuzz_emit_fn emit)
{
	static const uint32_t bare[] = { CIM_TAG_AF_UNIX, CIM_TAG_LX_FIFO, CIM_TAG_LX_CHR,
					 CIM_TAG_LX_BLK,  0xA0000003u,     0x9000001Au };
	static const char *const absolute[] = { "\\??\\C:\\a\\b", "\\\\?\\C:\\a", "\\??\\UNC\\s\\x",
						"\\DosDevices\\C:\\", "\\GLOBAL??\\C:" };
	uint8_t nfs[16] = { 0 };

	for (size_t i = 0; i < sizeof(bare) / sizeof(bare[0]); i++)
		emit_buffer(emit, bare[i], "", 0);
	emit_names(emit, CIM_TAG_SYMLINK, 1, "a\\b", "a\\b");
	emit_names(emit, CIM_TAG_SYMLINK, 1, "\\a\\b", "\\a\\b");
	emit_names(emit, CIM_TAG_SYMLINK, 0, "\\??\\a/b", "a/b"); /* ntfs3's */
	for (size_t i = 0; i < sizeof(absolute) / sizeof(absolute[0]); i++) {
		emit_names(emit, CIM_TAG_SYMLINK, 0, absolute[i], "C:\\a");
		emit_names(emit, CIM_TAG_MOUNT_POINT, 0, absolute[i], "");
	}
	emit_buffer(emit, CIM_TAG_LX_SYMLINK, "\2\0\0\0target", 10);
	emit_buffer(emit, CIM_TAG_LX_SYMLINK, "\1\0\0\0", 4);
	cim_store64(nfs, 0x014B4E4Cu);
	memcpy(nfs + 8, "a\0/\0b\0", 6);
	emit_buffer(emit, CIM_TAG_NFS, nfs, 14);
	static const uint64_t types[] = { 0x00524843u, 0x004B4C42u, 0x4F464946u, 0x4B434F53u };
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		cim_store64(nfs, types[i]);
		emit_buffer(emit, CIM_TAG_NFS, nfs, 16);
	}
}
