/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#define CIM_TESTS_WITHOUT_CHECK

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "mutate-damage.h"
#include "util.h"

#define GROW_MAX (4u << 20) /* bytes a file may grow by */

struct damage {
	const struct mutate_set *s;
	struct test_random *r;
	int dirfd;
	bool *dirty;
};

static struct mutate_file *file_at(const struct mutate_set *s, uint32_t i)
{
	return &g_array_index(s->files, struct mutate_file, i);
}

static uint64_t below(const struct damage *d, uint64_t n)
{
	return test_random_below(d->r, n);
}

void mutate_write(const struct mutate_set *s, uint32_t file, int dirfd)
{
	const struct mutate_file *f = file_at(s, file);
	struct stat st;

	/* What took its place may be a directory. */
	if (fstatat(dirfd, f->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		fuzz_check(unlinkat(dirfd, f->name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) == 0);
	cim_autofd fd = openat(dirfd, f->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	fuzz_check(fd >= 0 && cim_pwrite_full(fd, f->bytes, f->size, 0) == 0);
}

/* Most damage is where the images themselves are: the upcase tables are large and dull. */
static uint32_t pick_file(const struct damage *d)
{
	if (below(d, 3) == 0)
		return (uint32_t)below(d, d->s->n_images);
	return (uint32_t)below(d, d->s->files->len);
}

/* The bytes there, which damage may have moved or taken away already. */
static bool peek(const struct damage *d, uint32_t file, uint64_t off, void *ret, size_t size)
{
	cim_autofd fd = openat(d->dirfd, file_at(d->s, file)->name,
			       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd >= 0 && cim_pread_full(fd, ret, size, off) == 0;
}

static void poke(const struct damage *d, uint32_t file, uint64_t off, const void *bytes,
		 size_t size)
{
	struct stat st;
	cim_autofd fd = openat(d->dirfd, file_at(d->s, file)->name,
			       O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	fuzz_check(cim_pwrite_full(fd, bytes, size, off) == 0);
	d->dirty[file] = true;
}

/* ---- fields ---- */

static uint64_t load_field(const struct damage *d, const struct mutate_field *f)
{
	uint8_t b[8] = { 0 };

	(void)peek(d, f->file, f->off, b, f->width);
	return cim_load64(b);
}

static uint64_t other_value(const struct damage *d, const struct mutate_field *f, uint64_t was)
{
	static const uint64_t interesting[] = {
		0,          1,          2,          3,          7,        8,          39,
		40,         41,         88,         96,         104,      255,        256,
		1023,       1024,       1025,       4095,       4096,     0x7FFF,     0x8000,
		0xFFFF,     0x10000,    0x7FFFFFFF, 1u << 31,   1u << 30, UINT32_MAX, 1ull << 47,
		1ull << 48, UINT64_MAX, INT64_MAX,  1ull << 63,
	};
	const struct mutate_field *from;

	switch (below(d, 7)) {
	case 0:
		return interesting[below(d, G_N_ELEMENTS(interesting))];
	case 1:
		return was + below(d, 17) - 8;
	case 2:
		return was ^ 1ull << below(d, 8 * f->width);
	case 3: /* another region */
		return (was & CIM_REGION_OFF_MAX) | below(d, 14) << 48;
	case 4: /* the file's own size, and about */
		return file_at(d->s, f->file)->size + below(d, 5) - 2;
	case 5: { /* what another field of its width has: pointers that lead elsewhere */
		for (int i = 0; i < 64; i++) {
			from = &g_array_index(d->s->fields, struct mutate_field,
					      below(d, d->s->fields->len));
			if (from->width == f->width)
				return load_field(d, from);
		}
		return was + 1;
	}
	default:
		return test_random_next(d->r);
	}
}

static void change_field(const struct damage *d)
{
	const struct mutate_field *f =
		&g_array_index(d->s->fields, struct mutate_field, below(d, d->s->fields->len));
	uint8_t b[8];

	cim_store64(b, other_value(d, f, load_field(d, f)));
	poke(d, f->file, f->off, b, f->width);
}

/* ---- bytes ---- */

static void change_bytes(const struct damage *d)
{
	uint32_t file = pick_file(d);
	uint8_t b[16];
	size_t n = 1 + below(d, sizeof(b));

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)test_random_next(d->r);
	if (below(d, 3) == 0)
		memset(b, below(d, 2) ? 0xFF : 0, n);
	poke(d, file, below(d, file_at(d->s, file)->size), b, n);
}

/* A piece of one file over another. */
static void splice_files(const struct damage *d)
{
	uint32_t from = pick_file(d), to = pick_file(d);
	uint8_t b[512];
	size_t n = 1 + below(d, sizeof(b));

	n = MIN(n, file_at(d->s, from)->size);
	if (peek(d, from, below(d, file_at(d->s, from)->size - n + 1), b, n))
		poke(d, to, below(d, file_at(d->s, to)->size), b, n);
}

/* ---- whole files ---- */

static void resize(const struct damage *d)
{
	uint32_t file = pick_file(d);
	uint64_t size = file_at(d->s, file)->size, to;
	const struct mutate_field *f;

	switch (below(d, 6)) {
	case 0:
		to = 0;
		break;
	case 1:
		to = below(d, size + 1);
		break;
	case 2:
		to = size - 1;
		break;
	case 3: /* at the edge of a record */
		f = &g_array_index(d->s->fields, struct mutate_field, below(d, d->s->fields->len));
		file = f->file;
		to = f->off + below(d, 3) - (f->off > 0);
		break;
	case 4:
		to = below(d, size / 4096 + 1) * 4096;
		break;
	default:
		to = size + below(d, GROW_MAX);
	}
	cim_autofd fd = openat(d->dirfd, file_at(d->s, file)->name,
			       O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && ftruncate(fd, (off_t)to) == 0)
		d->dirty[file] = true;
}

static void swap_files(const struct damage *d)
{
	uint32_t a = pick_file(d), b = pick_file(d);

	if (renameat2(d->dirfd, file_at(d->s, a)->name, d->dirfd, file_at(d->s, b)->name,
		      RENAME_EXCHANGE) == 0)
		d->dirty[a] = d->dirty[b] = true;
}

/* One file under two names: a second link to it. */
static void duplicate(const struct damage *d)
{
	uint32_t from = pick_file(d), to = pick_file(d);
	const char *name = file_at(d->s, to)->name;

	if (from == to || unlinkat(d->dirfd, name, 0) < 0)
		return;
	(void)linkat(d->dirfd, file_at(d->s, from)->name, d->dirfd, name, 0);
	d->dirty[from] = d->dirty[to] = true;
}

static void replace(const struct damage *d)
{
	uint32_t file = pick_file(d);
	const char *name = file_at(d->s, file)->name;

	if (unlinkat(d->dirfd, name, 0) < 0)
		return;
	d->dirty[file] = true;
	switch (below(d, 6)) {
	case 0:
		(void)mkfifoat(d->dirfd, name, 0644);
		break;
	case 1:
		(void)mkdirat(d->dirfd, name, 0755);
		break;
	case 2:
		(void)symlinkat("/dev/zero", d->dirfd, name);
		break;
	case 3:
		(void)symlinkat(file_at(d->s, pick_file(d))->name, d->dirfd, name);
		break;
	default:; /* it is missing */
	}
}

/* How often each is chosen. */
static const struct {
	void (*change)(const struct damage *d);
	unsigned int weight;
} changes[] = {
	{ change_field, 60 }, { change_bytes, 14 }, { splice_files, 6 }, { resize, 8 },
	{ swap_files, 4 },    { duplicate, 4 },     { replace, 4 },
};

void mutate_damage(const struct mutate_set *s, struct test_random *random, int dirfd, bool *dirty)
{
	const struct damage d = { s, random, dirfd, dirty };
	static const uint8_t how_many[] = { 1, 1, 1, 1, 2, 2, 3, 8 };
	unsigned int n = how_many[below(&d, sizeof(how_many))];

	for (unsigned int i = 0; i < n; i++) {
		uint64_t pick = below(&d, 100);
		size_t k = 0;

		while (pick >= changes[k].weight)
			pick -= changes[k++].weight;
		changes[k].change(&d);
	}
}
