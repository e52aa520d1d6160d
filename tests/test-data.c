/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Data of the writer's files: against a model in memory, holes, what is stored once, many threads.
 *
 * It is checked as it is staged and again in the image that a commit makes of it.
 */
#include "config.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "imagedir.h"
#include "writer.h"

#define MIB (1024 * 1024)

/* ---- data ---- */

static const size_t sizes[] = { 0,       1,       7,     4095,    4096,       4097,
				16383,   16384,   16385, 65535,   65536,      65537,
				1 << 18, MIB - 1, MIB,   MIB + 1, 3 * MIB + 5 };

START_TEST(data_of_any_size_is_kept)
{
	size_t size = sizes[_i];
	g_autofree uint8_t *data = pattern(size + 8, size);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t whole = put(w, "whole", data, size),
		 pieces = make_file(w, "pieces", S_IFREG | 0644);

	ck_assert_int_eq(cim_writer_open_file(w, pieces, CIM_OPEN_WRITE), 0);
	for (size_t at = 0, part; at < size; at += part) {
		part = MIN(size - at, at % 3 ? 50000 : 4096);
		ck_assert_int_eq(cim_writer_write(w, pieces, at, data + at, part), (ssize_t)part);
	}
	check_staged(w, pieces, data, size);
	cim_writer_close_file(w, pieces, CIM_OPEN_WRITE);
	check_staged(w, pieces, data, size);
	check_staged(w, whole, data, size);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	check_content(img, "whole", data, size);
	check_content(img, "pieces", data, size);
	ck_assert_uint_eq(image_attr(img, "whole").blocks, (size + 511) / 512);
	cim_image_unref(img);

	/* A fork appends to one and writes into the other. */
	w = open_writer("a.cim", "b.cim");
	write_at(w, find(w, "whole"), size, data + size, 8);
	if (size > 0)
		write_at(w, find(w, "pieces"), size / 2, "!", 1);
	commit(w);
	img = open_image("b.cim");
	check_content(img, "whole", data, size + 8);
	if (size > 0)
		data[size / 2] = '!';
	check_content(img, "pieces", data, size);
	cim_image_unref(img);
}
END_TEST

START_TEST(truncation_of_a_base_file_keeps_its_beginning)
{
	size_t size = sizes[_i];
	g_autofree uint8_t *data = pattern(size, size), *grown = g_malloc0(size + 100000);
	struct cim_writer *w = open_writer(NULL, "a.cim");

	put(w, "shorter", data, size);
	put(w, "longer", data, size);
	put(w, "empty", data, size);
	commit(w);
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(try_truncate(w, find(w, "shorter"), size / 2), 0);
	ck_assert_int_eq(try_truncate(w, find(w, "longer"), size + 100000), 0);
	ck_assert_int_eq(
		cim_writer_open_file(w, find(w, "empty"), CIM_OPEN_WRITE | CIM_OPEN_TRUNCATE), 0);
	cim_writer_close_file(w, find(w, "empty"), CIM_OPEN_WRITE | CIM_OPEN_TRUNCATE);
	memcpy(grown, data, size);
	check_staged(w, find(w, "shorter"), data, size / 2);
	check_staged(w, find(w, "longer"), grown, size + 100000);
	commit(w);
	struct cim_image *img = open_image("b.cim");
	check_content(img, "shorter", data, size / 2);
	check_content(img, "longer", grown, size + 100000);
	check_content(img, "empty", "", 0);
	cim_image_unref(img);
}
END_TEST

START_TEST(what_was_cut_off_does_not_come_back)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);
	g_autofree uint8_t *data = pattern(2 * MIB, 6), *expect = g_malloc0(2 * MIB);

	ck_assert_int_eq(cim_writer_open_file(w, id, CIM_OPEN_WRITE), 0);
	for (size_t i = 0; i < N_ROWS(sizes) - 1; i++) {
		ck_assert_int_eq(cim_writer_write(w, id, 0, data, 2 * MIB), 2 * MIB);
		ck_assert_int_eq(try_truncate(w, id, sizes[i]), 0);
		ck_assert_int_eq(try_truncate(w, id, 2 * MIB), 0);
		memset(expect, 0, 2 * MIB);
		memcpy(expect, data, sizes[i]);
		check_staged(w, id, expect, 2 * MIB);
	}
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	check_content(img, "f", expect, 2 * MIB);
	cim_image_unref(img);
}
END_TEST

/* Writes, truncations and holes at random in a few files at once, against the same in memory. */

#define MODEL_FILES 4
#define MODEL_MAX   (3 * MIB)

struct model {
	uint32_t id;
	uint8_t *data; /* MODEL_MAX bytes, zeros behind size */
	size_t size;
	int n_opens;
};

static void model_truncate(struct model *m, size_t size)
{
	if (size < m->size)
		memset(m->data + size, 0, m->size - size);
	m->size = size;
}

static size_t random_place(struct test_random *r, size_t max)
{
	static const size_t near[] = { 0, 4096, 16384, 65536, MIB, 2 * MIB };
	size_t at = test_random_below(r, 3)
			    ? near[test_random_below(r, N_ROWS(near))] + test_random_below(r, 7)
			    : test_random_below(r, max);

	return MIN(at, max);
}

static void model_step(struct cim_writer *w, struct model *m, struct test_random *r,
		       const uint8_t *bytes)
{
	size_t at = random_place(r, MODEL_MAX - 1);
	size_t n = 1 + random_place(r, 200000);

	n = MIN(n, MODEL_MAX - at);
	switch (test_random_below(r, 8)) {
	case 0:
	case 1:
	case 2:
		if (test_random_below(r, 2)) {
			at = m->size;
			n = MIN(n, MODEL_MAX - at);
		}
		const uint8_t *from = bytes + test_random_below(r, 4096);
		ck_assert_int_eq(cim_writer_write(w, m->id, at, from, n), (ssize_t)n);
		memcpy(m->data + at, from, n);
		m->size = n > 0 ? MAX(m->size, at + n) : m->size;
		break;
	case 3:
		ck_assert_int_eq(try_truncate(w, m->id, at), 0);
		model_truncate(m, at);
		break;
	case 4:
		ck_assert_int_eq(cim_writer_fallocate(w, m->id,
						      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
						      at, n),
				 0);
		if (at < m->size)
			memset(m->data + at, 0, MIN(n, m->size - at));
		break;
	case 5:
		ck_assert_int_eq(cim_writer_fallocate(w, m->id, FALLOC_FL_ZERO_RANGE, at, n), 0);
		memset(m->data + at, 0, n);
		m->size = MAX(m->size, at + n);
		break;
	case 6:
		ck_assert_int_eq(cim_writer_open_file(w, m->id, CIM_OPEN_WRITE), 0);
		m->n_opens++;
		break;
	case 7:
		ck_assert_int_eq(cim_writer_flush(w, m->id), 0);
		for (; m->n_opens > 1; m->n_opens--)
			cim_writer_close_file(w, m->id, CIM_OPEN_WRITE);
	}
	if (test_random_below(r, 6) == 0) { /* the last writer goes: it is stored */
		for (; m->n_opens > 0; m->n_opens--)
			cim_writer_close_file(w, m->id, CIM_OPEN_WRITE);
		ck_assert_int_eq(cim_writer_open_file(w, m->id, CIM_OPEN_WRITE), 0);
		m->n_opens = 1;
	}
}

static void model_check(struct cim_writer *w, const struct model *m, struct test_random *r)
{
	size_t at = random_place(r, MODEL_MAX), n = 30000;
	g_autofree uint8_t *buf = g_malloc(n);
	ssize_t expect = at >= m->size ? 0 : (ssize_t)MIN(n, m->size - at);

	ck_assert_uint_eq(attr_of(w, m->id).size, m->size);
	ck_assert_int_eq(cim_writer_read(w, m->id, at, buf, n), expect);
	ck_assert(memcmp(buf, m->data + at, (size_t)expect) == 0);
	int64_t data = cim_writer_seek(w, m->id, 0, SEEK_DATA);
	/* What is said to be a hole is zeros. */
	size_t hole = data == -ENXIO ? m->size : (size_t)data;
	ck_assert_uint_le(hole, m->size);
	ck_assert(hole == 0 || (m->data[0] == 0 && memcmp(m->data, m->data + 1, hole - 1) == 0));
}

START_TEST(data_is_as_in_memory_after_random_changes)
{
	struct test_random random = { test_seed(31) + (uint64_t)_i };
	g_autofree uint8_t *bytes = pattern(MODEL_MAX + 4096, 7);
	const char *const names[MODEL_FILES] = { "0", "1", "2", "3" };
	struct model files[MODEL_FILES] = { 0 };

	printf("# data_is_as_in_memory_after_random_changes: seed %#llx\n",
	       (unsigned long long)random.state - (unsigned long long)_i);
	for (int round = 0; round < 3; round++) {
		struct cim_writer *w = open_writer(round ? "a.cim" : NULL, "a.cim");

		for (int i = 0; i < MODEL_FILES; i++) {
			struct model *m = &files[i];

			m->id = round ? find(w, names[i]) : make_file(w, names[i], S_IFREG | 0644);
			if (!m->data)
				m->data = g_malloc0(MODEL_MAX);
			ck_assert_int_eq(cim_writer_open_file(w, m->id, CIM_OPEN_WRITE), 0);
			m->n_opens = 1;
		}
		for (int step = 0; step < 120; step++) {
			struct model *m = &files[test_random_below(&random, MODEL_FILES)];

			model_step(w, m, &random, bytes);
			model_check(w, m, &random);
		}
		for (int i = 0; i < MODEL_FILES; i++) {
			check_staged(w, files[i].id, files[i].data, files[i].size);
			/* Some are still open at the commit. */
			for (; i % 2 && files[i].n_opens > 0; files[i].n_opens--)
				cim_writer_close_file(w, files[i].id, CIM_OPEN_WRITE);
		}
		commit(w);
		struct cim_image *img = open_image("a.cim");
		for (int i = 0; i < MODEL_FILES; i++)
			check_content(img, names[i], files[i].data, files[i].size);
		cim_image_unref(img);
	}
	for (int i = 0; i < MODEL_FILES; i++)
		g_free(files[i].data);
}
END_TEST

/*
 * Whether the file system keeps holes as they are: two pieces of data behind a header, and a hole
 * between, which is read through a mapping.  tmpfs fills what is read so, and some round to large
 * pages; what is a hole is then theirs to say.
 */
static bool keeps_holes(uint64_t first_size, uint64_t second_at, uint64_t second_size)
{
	cim_autofd fd = openat(test_store->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	g_autofree uint8_t *data = pattern(MAX(first_size, second_size), 1);
	const uint64_t header = 4096, hole = header + first_size, end = header + second_at;

	if (fd < 0 || cim_pwrite_full(fd, data, first_size, header) < 0 ||
	    cim_pwrite_full(fd, data, second_size, end) < 0)
		return false;
	const uint8_t *map = mmap(NULL, end, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return false;
	bool zero = map[hole] == 0 && map[end - 1] == 0;
	munmap((void *)(uintptr_t)map, end);
	return zero && lseek(fd, (off_t)header, SEEK_HOLE) == (off_t)hole &&
	       lseek(fd, (off_t)hole, SEEK_DATA) == (off_t)end;
}

START_TEST(holes_are_kept_through_commit)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644), all = make_file(w, "all", S_IFREG | 0644);
	g_autofree uint8_t *data = pattern(65536, 8);
	bool exact = keeps_holes(65536, 10 * MIB, 65536);
	uint8_t buf[4];

	write_at(w, id, 0, data, 65536);
	write_at(w, id, 10 * MIB, data, 65536);
	ck_assert_int_eq(try_truncate(w, id, 20 * MIB), 0);
	ck_assert_int_eq(try_truncate(w, all, 1ull << 40), 0);
	if (exact) {
		ck_assert_int_eq(cim_writer_seek(w, id, 0, SEEK_HOLE), 65536);
		ck_assert_int_eq(cim_writer_seek(w, id, 65536, SEEK_DATA), 10 * MIB);
		ck_assert_int_eq(cim_writer_seek(w, id, 11 * MIB, SEEK_DATA), -ENXIO);
	}
	ck_assert_int_eq(cim_writer_seek(w, id, 20 * MIB, SEEK_HOLE), -ENXIO);
	commit(w);
	for (int fork = 0; fork < 2; fork++) {
		struct cim_image *img = open_image("a.cim");
		struct cim_attr attr = image_attr(img, "f");
		struct cim_entry e = image_entry(img, "f");

		ck_assert_uint_eq(attr.size, 20 * MIB);
		if (exact) {
			ck_assert_uint_le(attr.blocks, (2 * 65536 + 65536) / 512);
			ck_assert_int_eq(cim_stream_seek(img, &e.data, 65536, SEEK_DATA), 10 * MIB);
			ck_assert_int_eq(cim_stream_seek(img, &e.data, 0, SEEK_HOLE), 65536);
			ck_assert_int_eq(cim_stream_seek(img, &e.data, 11 * MIB, SEEK_DATA),
					 -ENXIO);
		}
		ck_assert_int_eq(cim_stream_read(img, &e.data, 10 * MIB - 2, buf, 4), 4);
		ck_assert(buf[0] == 0 && buf[1] == 0 && memcmp(buf + 2, data, 2) == 0);
		ck_assert_uint_eq(image_attr(img, "all").blocks, 0);
		ck_assert_uint_eq(image_attr(img, "all").size, 1ull << 40);
		cim_image_unref(img);
		/* And through a copy-up in a fork. */
		w = open_writer("a.cim", NULL);
		write_at(w, find(w, "f"), 1, data + 1, 1);
		commit(w);
	}
}
END_TEST

/* What a writer says of files that are stored is what their image will say. */
START_TEST(blocks_of_stored_files_leave_out_holes)
{
	static const struct {
		const char *path;
		uint64_t size, data_off, data_size;
	} rows[] = {
		{ "beginning", 20 * MIB, 0, MIB },
		{ "middle", 20 * MIB, 9 * MIB, 3 * MIB },
		{ "end", 20 * MIB, 20 * MIB - 65536, 65536 },
		{ "whole", MIB, 0, MIB },
		{ "huge", 1ull << 40, 1ull << 39, 65536 },
		{ "small", 10000, 9000, 1000 },
		{ "none", MIB, 0, 0 },
	};
	bool exact = keeps_holes(65536, 10 * MIB, 65536);
	g_autofree uint8_t *data = pattern(3 * MIB, 10);

	for (int fork = 0; fork < 2; fork++) {
		struct cim_writer *w = open_writer(fork ? "a.cim" : NULL, "a.cim");
		uint64_t blocks[N_ROWS(rows)];

		for (size_t i = 0; i < N_ROWS(rows); i++) {
			uint32_t id = fork ? find(w, rows[i].path)
					   : make_file(w, rows[i].path, S_IFREG | 0644);

			ck_assert_int_eq(try_truncate(w, id, rows[i].size), 0);
			if (fork) /* a node of the base's, with the data it had */
				ck_assert_int_eq(
					cim_writer_set(w, id, CIM_SET_MODE,
						       &(struct cim_attr){ .posix.mode = 0600 }),
					0);
			else if (rows[i].data_size > 0)
				write_at(w, id, rows[i].data_off, data, rows[i].data_size);
			blocks[i] = attr_of(w, id).blocks;
			if (rows[i].data_size > 0)
				ck_assert_uint_ge(blocks[i], rows[i].data_size / 512);
			if (exact && rows[i].size > 10000)
				ck_assert_uint_le(blocks[i], (rows[i].data_size + 65536) / 512);
		}
		commit(w);
		struct cim_image *img = open_image("a.cim");
		for (size_t i = 0; i < N_ROWS(rows); i++)
			ck_assert_msg(!exact || blocks[i] == image_attr(img, rows[i].path).blocks,
				      "\"%s\": %llu blocks in the writer, %llu in the image",
				      rows[i].path, (unsigned long long)blocks[i],
				      (unsigned long long)image_attr(img, rows[i].path).blocks);
		cim_image_unref(img);
	}
}
END_TEST

/* Archivers take a file without blocks for one hole, and do not read it. */
START_TEST(file_with_data_has_blocks)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);

	ck_assert_int_eq(cim_writer_open_file(w, id, CIM_OPEN_WRITE), 0);
	ck_assert_int_eq(try_truncate(w, id, 10 * MIB), 0);
	ck_assert_uint_eq(attr_of(w, id).blocks, 0);
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	ck_assert_uint_eq(attr_of(w, id).blocks, 0);
	ck_assert_int_eq(cim_writer_open_file(w, id, CIM_OPEN_WRITE), 0);
	ck_assert_int_eq(cim_writer_write(w, id, 5 * MIB, "here", 4), 4);
	ck_assert_uint_gt(attr_of(w, id).blocks, 0);
	ck_assert_uint_le(attr_of(w, id).blocks, 65536 / 512);
	ck_assert_int_eq(cim_writer_fallocate(w, id, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					      5 * MIB, MIB),
			 0);
	ck_assert_uint_eq(attr_of(w, id).blocks, 0);
	ck_assert_int_eq(cim_writer_write(w, id, 9 * MIB, "there", 5), 5);
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	ck_assert_uint_gt(attr_of(w, id).blocks, 0);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	ck_assert_uint_gt(image_attr(img, "f").blocks, 0);
	cim_image_unref(img);
}
END_TEST

START_TEST(punched_hole_is_a_hole_in_the_image)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	g_autofree uint8_t *data = pattern(4 * MIB, 9);
	bool exact = keeps_holes(MIB, 3 * MIB, MIB);

	put(w, "f", data, 4 * MIB);
	commit(w);
	w = open_writer("a.cim", "b.cim");
	uint32_t id = find(w, "f");
	ck_assert_int_eq(cim_writer_open_file(w, id, CIM_OPEN_WRITE), 0);
	ck_assert_int_eq(cim_writer_fallocate(w, id, FALLOC_FL_PUNCH_HOLE, MIB, MIB), -EOPNOTSUPP);
	ck_assert_int_eq(cim_writer_fallocate(w, id, FALLOC_FL_COLLAPSE_RANGE, MIB, MIB),
			 -EOPNOTSUPP);
	ck_assert_int_eq(cim_writer_fallocate(w, id, 0, 0, 0), -EINVAL);
	ck_assert_int_eq(cim_writer_fallocate(w, id, 0, UINT64_MAX, 2), -EFBIG);
	ck_assert_int_eq(cim_writer_fallocate(w, id, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					      MIB, 2 * MIB),
			 0);
	ck_assert_int_eq(cim_writer_fallocate(w, id, FALLOC_FL_KEEP_SIZE, 0, 8 * MIB), 0);
	ck_assert_uint_eq(attr_of(w, id).size, 4 * MIB);
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	commit(w);
	memset(data + MIB, 0, 2 * MIB);
	struct cim_image *img = open_image("b.cim");
	check_content(img, "f", data, 4 * MIB);
	struct cim_entry e = image_entry(img, "f");
	if (exact) {
		ck_assert_int_eq(cim_stream_seek(img, &e.data, 0, SEEK_HOLE), MIB);
		ck_assert_int_eq(cim_stream_seek(img, &e.data, MIB, SEEK_DATA), 3 * MIB);
		ck_assert_uint_le(image_attr(img, "f").blocks, 2 * MIB / 512 + 256);
	}
	cim_image_unref(img);
}
END_TEST

static const size_t appends[] = { 20, 300, 6000 };

START_TEST(file_appended_to_many_times_is_stored_once)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "log", S_IFREG | 0644);
	size_t part = appends[_i], size = 500 * part;
	g_autofree uint8_t *data = pattern(size, 10);
	uint64_t bytes;

	for (size_t i = 0; i < 500; i++)
		write_at(w, id, i * part, data + i * part, part);
	check_staged(w, id, data, size);
	commit(w);
	bytes = region_bytes();
	ck_assert_uint_lt(bytes, 2 * size + CIM_UPCASE_SIZE + 100000);
	struct cim_image *img = open_image("a.cim");
	check_content(img, "log", data, size);
	cim_image_unref(img);
}
END_TEST

START_TEST(equal_content_is_stored_once)
{
	size_t size = _i ? 3 * MIB : 10000;
	g_autofree uint8_t *data = pattern(size, 11);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint64_t one, two;

	put(w, "1", data, size);
	commit(w);
	one = region_bytes();
	ck_assert_int_eq(unlinkat(test_store->dirfd, "a.cim", 0), 0);
	w = open_writer(NULL, "b.cim");
	for (const char *name = "12345"; *name; name++) {
		char path[2] = { *name };

		put(w, path, data, size);
	}
	commit(w);
	two = region_bytes() - one;
	ck_assert_uint_lt(two, one + 4096);
	struct cim_image *img = open_image("b.cim");
	check_content(img, "1", data, size);
	check_content(img, "5", data, size);
	ck_assert_uint_ne(image_find(img, "1"), image_find(img, "5"));
	ck_assert_uint_eq(image_entry(img, "1").data.off, image_entry(img, "5").data.off);
	cim_image_unref(img);
}
END_TEST

START_TEST(content_of_the_base_is_not_stored_again)
{
	size_t size = _i ? 3 * MIB : 10000;
	g_autofree uint8_t *data = pattern(size, 12);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_image *a, *b;
	uint64_t before;

	put(w, "f", data, size);
	commit(w);
	before = region_bytes();
	w = open_writer("a.cim", "b.cim");
	put(w, "g", data, size);
	ck_assert_int_eq(try_unlink(w, "f"), 0);
	put(w, "f", data, size);
	commit(w);
	/* Headers, a file table, a link table and a few small objects. */
	ck_assert_uint_lt(region_bytes() - before, 4096 + 2048);
	a = open_image("a.cim");
	b = open_image("b.cim");
	check_content(b, "g", data, size);
	ck_assert_uint_eq(image_entry(b, "g").data.off, image_entry(a, "f").data.off);
	cim_image_unref(a);
	cim_image_unref(b);
}
END_TEST

START_TEST(content_that_was_deleted_takes_no_space)
{
	g_autofree uint8_t *data = pattern(4 * MIB, 13);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	char name[16];

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "%d", i);
		put(w, name, data + i, 200000);
		put(w, i % 2 ? "small" : "other", data + i, 9000);
		ck_assert_int_eq(try_unlink(w, i % 2 ? "small" : "other"), 0);
		if (i > 0)
			ck_assert_int_eq(try_unlink(w, name), 0);
	}
	commit(w);
	ck_assert_uint_lt(region_bytes(), CIM_UPCASE_SIZE + 200000 + 200000);
	struct cim_image *img = open_image("a.cim");
	check_content(img, "0", data, 200000);
	cim_image_unref(img);
}
END_TEST

START_TEST(changed_file_of_the_base_that_was_deleted_takes_no_space)
{
	g_autofree uint8_t *data = pattern(4 * MIB, 18);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint64_t before;

	put(w, "f", data, 2 * MIB);
	commit(w);
	before = region_bytes();
	w = open_writer("a.cim", "b.cim");
	write_at(w, find(w, "f"), 0, data + 7, 3 * MIB);
	ck_assert_int_eq(try_unlink(w, "f"), 0);
	put_text(w, "g", "g");
	commit(w);
	ck_assert_uint_lt(region_bytes() - before, 64 * 1024);
	check_image_text("b.cim", "g", "g");
	struct cim_image *img = open_image("a.cim");
	check_content(img, "f", data, 2 * MIB);
	cim_image_unref(img);
}
END_TEST

/* A file of the test's own that holds @size bytes, with a hole at @hole if that is not 0. */
static int source_file(const uint8_t *data, size_t size, size_t hole)
{
	int fd = openat(test_store->dirfd, "source", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(cim_pwrite_full(fd, data, hole ? hole : size, 0), 0);
	if (hole) {
		ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
		ck_assert_int_eq(cim_pwrite_full(fd, data + size - 4096, 4096, size - 4096), 0);
	}
	return fd;
}

START_TEST(put_takes_a_whole_file)
{
	size_t size = sizes[_i];
	g_autofree uint8_t *data = pattern(size, 14), *buf = g_malloc(CIM_PUT_BUFFER);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	cim_autofd fd = source_file(data, size, 0);
	uint32_t id = make_file(w, "f", S_IFREG | 0644), second = make_file(w, "g", S_IFREG | 0644);

	ck_assert_int_eq(cim_writer_put(w, id, fd, size, false, buf), 0);
	ck_assert_int_eq(cim_writer_put(w, second, fd, size, true, buf), 0);
	check_staged(w, id, data, size);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	check_content(img, "f", data, size);
	check_content(img, "g", data, size);
	cim_image_unref(img);
	w = open_writer("a.cim", NULL);
	ck_assert_int_eq(cim_writer_put(w, make_file(w, "h", S_IFREG), fd, size + 1, false, buf),
			 -EIO);
	cim_writer_close(w);
}
END_TEST

START_TEST(put_keeps_holes)
{
	g_autofree uint8_t *data = pattern(8 * MIB, 15), *buf = g_malloc(CIM_PUT_BUFFER);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	bool exact = keeps_holes(65536, 8 * MIB - 4096, 4096);
	cim_autofd fd = source_file(data, 8 * MIB, 65536);
	uint32_t id = make_file(w, "f", S_IFREG | 0644);

	ck_assert_int_eq(cim_writer_put(w, id, fd, 8 * MIB, true, buf), 0);
	commit(w);
	memset(data + 65536, 0, 8 * MIB - 65536 - 4096);
	struct cim_image *img = open_image("a.cim");
	check_content(img, "f", data, 8 * MIB);
	struct cim_entry e = image_entry(img, "f");
	if (exact) {
		ck_assert_int_eq(cim_stream_seek(img, &e.data, 65536, SEEK_DATA), 8 * MIB - 4096);
		ck_assert_uint_lt(image_attr(img, "f").blocks, 1000);
	}
	cim_image_unref(img);
}
END_TEST

START_TEST(read_and_write_of_other_types_are_refused)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t dir = make_dir(w, "d"), fifo = make_file(w, "p", S_IFIFO);
	char byte;

	ck_assert_int_eq(cim_writer_read(w, dir, 0, &byte, 1), -EISDIR);
	ck_assert_int_eq(cim_writer_write(w, dir, 0, "x", 1), -EISDIR);
	ck_assert_int_eq(cim_writer_write(w, fifo, 0, "x", 1), -EINVAL);
	ck_assert_int_eq(cim_writer_open_file(w, dir, CIM_OPEN_WRITE), -EISDIR);
	ck_assert_int_eq(cim_writer_read(w, 99, 0, &byte, 1), -ESTALE);
	ck_assert_int_eq(cim_writer_write(w, 0, 0, "x", 1), -ESTALE);
	ck_assert_int_eq(cim_writer_write(w, put_text(w, "f", ""), CIM_STREAM_SIZE_MAX, "x", 1),
			 -EFBIG);
	cim_writer_close(w);
}
END_TEST

/* The bytes of a file that could not be moved out of memory must not be seen later. */
START_TEST(failed_spill_leaves_nothing_behind)
{
	struct rlimit old, low = { 300000, RLIM_INFINITY };
	g_autofree uint8_t *data = pattern(MIB, 16), *expect = g_malloc0(3 * MIB);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);
	void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);

	ck_assert_int_eq(cim_writer_open_file(w, id, CIM_OPEN_WRITE), 0);
	ck_assert_int_eq(cim_writer_write(w, id, 0, data, MIB), MIB);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	low.rlim_max = old.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
	ck_assert_int_lt(cim_writer_write(w, id, MIB, data, MIB), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	check_staged(w, id, data, MIB);
	ck_assert_int_eq(try_truncate(w, id, 1000), 0);
	ck_assert_int_eq(cim_writer_write(w, id, 2 * MIB, data, MIB), MIB);
	memcpy(expect, data, 1000);
	memcpy(expect + 2 * MIB, data, MIB);
	check_staged(w, id, expect, 3 * MIB);
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	commit(w);
	(void)signal(SIGXFSZ, old_handler);
}
END_TEST

/* ---- threads ---- */

struct job {
	struct cim_writer *w;
	int number;
};

static gpointer run_job(gpointer arg)
{
	const struct job *job = arg;
	char path[32];

	for (int i = 0; i < 100; i++) {
		size_t size = (size_t)(i % 5 ? i * 100 : 200000);
		g_autofree uint8_t *data = pattern(size, (uint64_t)(i * 8 + job->number));

		snprintf(path, sizeof(path), "%d-%d", job->number, i);
		check_staged(job->w, put(job->w, path, data, size), data, size);
		if (i % 3 == 0)
			ck_assert_int_eq(try_unlink(job->w, path), 0);
	}
	return NULL;
}

START_TEST(several_threads_write_at_once)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct job jobs[4];
	GThread *threads[4];

	for (int i = 0; i < 4; i++) {
		jobs[i] = (struct job){ w, i };
		threads[i] = g_thread_new("writer", run_job, &jobs[i]);
	}
	for (int i = 0; i < 4; i++)
		g_thread_join(threads[i]);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	for (int k = 0; k < 400; k++) {
		int number = k / 100, i = k % 100;
		size_t size = (size_t)(i % 5 ? i * 100 : 200000);
		g_autofree uint8_t *data = pattern(size, (uint64_t)(i * 8 + number));
		g_autofree char *path = g_strdup_printf("%d-%d", number, i);

		if (i % 3)
			check_content(img, path, data, size);
		else
			ck_assert_int_eq(image_path_error(img, path), -ENOENT);
	}
	cim_image_unref(img);
}
END_TEST

static gpointer change_a_byte(gpointer arg)
{
	struct job *job = arg;
	uint32_t id = find(job->w, "large");

	write_at(job->w, id, 7, "x", 1);
	__atomic_store_n(&job->number, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* A kernel that asked in between would remember the size for ever. */
START_TEST(file_that_is_copied_to_be_changed_has_the_size_that_it_had)
{
	const size_t size = 24 * MIB;
	g_autofree uint8_t *data = pattern(size, 5);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	put(w, "large", data, size);
	commit(w);

	struct job job = { .w = open_writer("a.cim", "b.cim") };
	uint32_t id = find(job.w, "large");
	GThread *thread = g_thread_new("change", change_a_byte, &job);
	do
		ck_assert_uint_eq(attr_of(job.w, id).size, size);
	while (!__atomic_load_n(&job.number, __ATOMIC_ACQUIRE));
	g_thread_join(thread);
	ck_assert_uint_eq(attr_of(job.w, id).size, size);
	data[7] = 'x';
	check_staged(job.w, id, data, size);
	cim_writer_close(job.w);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("data");
	TCase *data = tcase_create("data");

	tcase_add_checked_fixture(data, setup_dir, teardown_dir);
	tcase_add_loop_test(data, data_of_any_size_is_kept, 0, N_ROWS(sizes));
	tcase_add_loop_test(data, truncation_of_a_base_file_keeps_its_beginning, 0, N_ROWS(sizes));
	tcase_add_test(data, what_was_cut_off_does_not_come_back);
	tcase_add_loop_test(data, data_is_as_in_memory_after_random_changes, 0, 6);
	tcase_add_test(data, holes_are_kept_through_commit);
	tcase_add_test(data, blocks_of_stored_files_leave_out_holes);
	tcase_add_test(data, file_with_data_has_blocks);
	tcase_add_test(data, punched_hole_is_a_hole_in_the_image);
	tcase_add_loop_test(data, file_appended_to_many_times_is_stored_once, 0, N_ROWS(appends));
	tcase_add_loop_test(data, equal_content_is_stored_once, 0, 2);
	tcase_add_loop_test(data, content_of_the_base_is_not_stored_again, 0, 2);
	tcase_add_test(data, content_that_was_deleted_takes_no_space);
	tcase_add_test(data, changed_file_of_the_base_that_was_deleted_takes_no_space);
	tcase_add_loop_test(data, put_takes_a_whole_file, 0, N_ROWS(sizes));
	tcase_add_test(data, put_keeps_holes);
	tcase_add_test(data, read_and_write_of_other_types_are_refused);
	tcase_add_test(data, failed_spill_leaves_nothing_behind);
	tcase_add_test(data, several_threads_write_at_once);
	tcase_add_test(data, file_that_is_copied_to_be_changed_has_the_size_that_it_had);
	suite_add_tcase(s, data);
	return s;
}

int main(void)
{
	return test_run(suite());
}
