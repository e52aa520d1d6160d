/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: POSIX ACLs as xattrs. */
#include "config.h"

#include <string.h>
#include <sys/stat.h>

#include "acl.h"
#include "error.h"
#include "fuzz.h"
#include "le.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool minimal;
	int r = cim_acl_check(data, size);

	fuzz_check(r == 0 || r == -EINVAL);
	if (r < 0)
		return 0;
	uint32_t mode = cim_acl_to_mode(data, size, S_IFREG | 04600, &minimal);
	fuzz_check((mode & ~0777u) == (S_IFREG | 04000));

	/* What chmod and a new file make of it is an ACL again, and says the mode that it got. */
	uint8_t *copy = malloc(size);
	fuzz_check(copy);
	memcpy(copy, data, size);
	cim_acl_chmod(copy, size, S_IFREG | 0751);
	fuzz_check(cim_acl_check(copy, size) == 0);
	fuzz_check(cim_acl_to_mode(copy, size, S_IFREG, &minimal) == (S_IFREG | 0751));
	memcpy(copy, data, size);
	mode = cim_acl_inherit(copy, size, S_IFREG | 0666, &minimal);
	fuzz_check((mode & ~0666u) == S_IFREG);
	fuzz_check(cim_acl_check(copy, size) == 0);
	fuzz_check(cim_acl_to_mode(copy, size, mode, &minimal) == mode);
	free(copy);
	return 0;
}

static void emit_acl(fuzz_emit_fn emit, const uint16_t (*entry)[3], size_t n)
{
	uint8_t blob[4 + 8 * 8] = { 2 };

	for (size_t i = 0; i < n; i++) {
		cim_store16(blob + 4 + 8 * i, entry[i][0]);
		cim_store16(blob + 6 + 8 * i, entry[i][1]);
		cim_store32(blob + 8 + 8 * i, entry[i][2] ? entry[i][2] : UINT32_MAX);
	}
	emit(blob, 4 + 8 * n);
}

void fuzz_seeds(fuzz_emit_fn emit)
{
	static const uint16_t minimal[][3] = { { 1, 7 }, { 4, 5 }, { 32, 5 } };
	static const uint16_t full[][3] = { { 1, 7 }, { 2, 6, 1000 }, { 2, 4, 1001 },
					    { 4, 5 }, { 8, 7, 1000 }, { 16, 5 },
					    { 32, 0 } };
	static const uint16_t masked[][3] = { { 1, 6 }, { 4, 4 }, { 16, 4 }, { 32, 4 } };

	emit_acl(emit, minimal, 3);
	emit_acl(emit, full, 7);
	emit_acl(emit, masked, 4);
}
