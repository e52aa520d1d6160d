/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: an object ID file, as a writer looks through those of its base.
 *
 * Input: a digest and a length to look for (24 + 8 bytes), then the file.  It is a file in memory,
 * known to the store under its name.
 */
#include "config.h"

#include <string.h>

#include "error.h"
#include "fuzz-dir.h"
#include "objects.h"

#define KEY_SIZE (CIM_DIGEST_SIZE + 8)

static const struct cim_set set = { .guid = { "one set of one " }, .n_regions = 1 };
static int fd = -1;

static void make_file(void)
{
	char name[CIM_FILE_NAME];

	fuzz_dir_make();
	cim_objectid_name(&set.guid, 0, name);
	fd = fuzz_file_make(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t region[64];
	struct cim_mapping map = { .data = region, .size = sizeof(region), .fd = -1 };
	const struct cim_mapping *by_index[] = { &map };
	struct cim_digest digest;

	if (size < KEY_SIZE)
		return 0;
	if (fd < 0)
		make_file();
	memcpy(digest.b, data, sizeof(digest.b));
	uint64_t wanted = cim_load64(data + CIM_DIGEST_SIZE);
	fuzz_file_fill(fd, data + KEY_SIZE, size - KEY_SIZE);
	struct cim_image base = { .store = fuzz_store,
				  .n_sets = 1,
				  .sets = (struct cim_set *)(uintptr_t)&set,
				  .n_region_files = 1,
				  .region = by_index };
	struct cim_known *k = cim_known_open(&base);
	for (int metadata = 0; metadata < 2; metadata++) {
		uint32_t cursor = 0;
		uint64_t off;

		while (cim_known_find(k, metadata, &digest, wanted, &cursor, &off))
			fuzz_check(cim_off_region(off) == 0 && cursor == 1);
	}
	cim_known_close(k);
	return 0;
}

static void emit_file(fuzz_emit_fn emit, uint8_t type, uint32_t n, uint32_t wanted)
{
	uint8_t input[KEY_SIZE + sizeof(struct cim_objectid_disk) + 5 * CIM_OBJECT_SIZE] = { 0 };
	struct cim_objectid_disk *head = (void *)(input + KEY_SIZE);
	struct cim_object_disk *object = (void *)(head + 1);

	memset(input, (int)wanted, CIM_DIGEST_SIZE);
	cim_store64(input + CIM_DIGEST_SIZE, wanted);
	cim_common_encode(&head->common, CIM_FILE_OBJECTID, sizeof(*head));
	head->type = type;
	head->table_off = cim_put32(sizeof(*head));
	head->n_objects = cim_put32(n);
	for (uint32_t i = 0; i < n; i++) {
		object[i].size = cim_put64(i);
		object[i].off = cim_put64(64 + i);
		memset(object[i].digest, (int)i, sizeof(object[i].digest));
	}
	emit(input, KEY_SIZE + sizeof(*head) + n * CIM_OBJECT_SIZE);
}

void fuzz_seeds(fuzz_emit_fn emit)
{
	emit_file(emit, CIM_REGION_METADATA, 5, 3);
	emit_file(emit, CIM_REGION_DATA, 5, 0);
	emit_file(emit, CIM_REGION_DATA, 1, 9);
	emit_file(emit, CIM_REGION_SMALL, 0, 0);
}
