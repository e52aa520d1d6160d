/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: an image file, as it is opened.  The input is the whole file; beside it there is one
 * region file, of the set that the seeds name.
 */
#include "config.h"

#include <string.h>

#include "builder.h"
#include "error.h"
#include "fuzz-dir.h"
#include "image.h"
#include "walk.h"

#define IMAGE "fuzz.cim"

static int fd = -1;
static struct cim_set set = { .n_regions = 1 };
static uint64_t fs_off;

#define HOLE (64 * 1024) /* whole blocks on any file system */

/* A file with a hole that its region file has as well, between two runs of data and at the end. */
static uint32_t build_sparse(struct builder *b)
{
	g_autofree uint8_t *data = g_malloc0(4 * HOLE);
	struct cim_entry e = { .flags = CIM_FLAG_SPARSE, .data.size = 4 * HOLE, .parent_id = 1 };

	data[0] = data[2 * HOLE] = 'x';
	e.data.off = build(b, data, e.data.size);
	return build_entry(b, &e);
}

/* The region file, with holes where it has zeros. */
static void fill_sparse(int region, const uint8_t *data, size_t size)
{
	static const uint8_t zeros[4096];

	fuzz_check(ftruncate(region, (off_t)size) == 0);
	for (size_t at = 0, n; at < size; at += n) {
		n = MIN(sizeof(zeros), size - at);
		if (memcmp(data + at, zeros, n) != 0)
			fuzz_check(cim_pwrite_full(region, data + at, n, (off_t)at) == 0);
	}
}

static void make_files(void)
{
	static const uint16_t x[] = { 'x' }, y[] = { 'y' };
	struct name name[] = { { .units = x, .n_units = 1 }, { .units = y, .n_units = 1 } };
	char region[CIM_FILE_NAME];
	struct builder b;

	builder_begin(&b, 2, CIM_ENTRY_SIZE);
	build_entry(&b, &(struct cim_entry){ 0 });
	name[0].id = build_text(&b, "x");
	name[1].id = build_sparse(&b);
	build_root(&b, name, 2);
	fs_off = builder_finish(&b);
	set.guid = b.guid;

	fuzz_dir_make();
	cim_region_name(&set.guid, 0, region);
	cim_autofd region_fd = fuzz_file_make(region);
	fill_sparse(region_fd, b.region->data, b.region->len);
	builder_clear(&b);
	fd = fuzz_file_make(IMAGE);
}

/* Whose region sets a delete relies on can be opened; what can be opened has them. */
static void check_examined(int opened, const struct cim_set *sets, uint32_t n)
{
	g_autofree struct cim_set *examined = NULL;
	uint32_t n_examined;
	int r = cim_image_examine(fuzz_store, IMAGE, &examined, &n_examined);

	fuzz_check(r == 0 || r == -CIM_ECORRUPT || r == -CIM_EFORMAT || r == -CIM_EVERSION);
	fuzz_check((r == 0) == (opened == 0));
	if (r == 0)
		fuzz_check(n == n_examined && memcmp(sets, examined, n * sizeof(*sets)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct walk w = { .files = 8, .depth = 2 };
	g_autofree struct cim_set *sets = NULL;
	struct cim_image *img;
	uint32_t n = 0;

	if (fd < 0)
		make_files();
	fuzz_file_fill(fd, data, size);
	bool is_image = cim_store_is_image(fuzz_store, IMAGE);
	int listed = cim_image_list_sets(fuzz_store, IMAGE, &sets, &n);
	int r = cim_image_open(fuzz_store, IMAGE, &img);

	fuzz_check(r == 0 || r == -CIM_ECORRUPT || r == -CIM_EFORMAT || r == -CIM_EVERSION);
	fuzz_check(r != 0 || (is_image && listed == 0 && n > 0));
	check_examined(r, sets, n);
	if (r < 0)
		return 0;
	fuzz_check(cim_image_check_files(img) == 0);
	walk_file(&w, img, img->fs.root_id);
	(void)cim_image_is_case_sensitive(img);
	cim_image_unref(cim_image_ref(img));
	cim_image_unref(img);
	return 0;
}

void fuzz_seeds(fuzz_emit_fn emit)
{
	uint8_t file[sizeof(struct cim_image_disk) + 3 * sizeof(struct cim_set_disk)];
	struct cim_image_disk *head = (void *)file;
	struct cim_set_disk *parents = (void *)(head + 1);
	struct cim_set other = { .guid = { "a set not there" }, .n_regions = 3 };

	if (fd < 0)
		make_files();
	for (uint16_t n = 0; n <= 3; n++) {
		memset(file, 0, sizeof(file));
		size_t size = sizeof(*head) + n * sizeof(*parents);
		cim_common_encode(&head->common, CIM_FILE_IMAGE, (uint32_t)size);
		cim_set_encode(&head->own, n == 1 ? &other : &set);
		for (uint16_t i = 0; i < n; i++)
			cim_set_encode(&parents[i], n == 1 ? &set : &other);
		head->n_parents = cim_put16(n);
		head->fs_off = cim_put64(cim_off_make(n > 1 ? n * 3u : 0, fs_off));
		emit(file, size);
	}
}
