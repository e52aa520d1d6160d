/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: tars, from the compressed bytes to what an entry says of a file.  Checksums of
 * headers are made right, so that mutants get further than those.
 */
#include "config.h"

#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "acl.h"
#include "error.h"
#include "fuzz.h"
#include "layer.h"
#include "tar-acl.h"
#include "tar-write.h"
#include "util.h"

#define ENTRIES_MAX 10000
#define DATA_MAX    (64 * 1024 * 1024)

static bool never(void *arg)
{
	return false;
}

static void seal_headers(uint8_t *bytes, size_t size)
{
	for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
		struct tar_header *h = (struct tar_header *)(void *)(bytes + at);

		if (memcmp(h->magic, "ustar", 5) == 0)
			tar_seal(h);
	}
}

static void check_records(const struct tar_entry *e)
{
	for (guint i = 0; i < e->records->len; i++) {
		const struct pax_record *r = &g_array_index(e->records, struct pax_record, i);
		g_autoptr(GByteArray) blob = NULL;

		fuzz_check(*r->key);
		if (tar_acl_parse(r->value, r->value_size, &blob) == 0)
			fuzz_check(cim_acl_check(blob->data, blob->len) == 0);
	}
}

/* What is taken as a file of Windows has passed the gate, and can be written again. */
static void check_layer(const struct tar_entry *e)
{
	struct layer_file f;
	int r = layer_parse(e, LAYER_AUTO, &f);

	fuzz_check(r == 0 || r == -EINVAL || r == -E2BIG || r == -CIM_ECORRUPT);
	if (r == 0 && f.is_windows) {
		g_autoptr(GString) records = g_string_new(NULL);
		g_autoptr(GString) link = g_string_new(e->link);

		fuzz_check(cim_winmeta_check(CIM_WIN_ALL, &f.meta) == 0);
		layer_add_records(&f.meta, records, link);
	}
	layer_file_clear(&f);
}

static uint64_t check_data(struct tar_reader *t, const struct tar_entry *e)
{
	static uint8_t buf[16 * 1024];
	uint64_t off, last = 0, sum = 0;
	ssize_t n;

	while ((n = tar_reader_data(t, buf, sizeof(buf), &off)) > 0) {
		fuzz_check(off >= last && off + (uint64_t)n <= e->size);
		last = off + (uint64_t)n;
		sum += (uint64_t)n;
	}
	return sum;
}

static void check_archive(struct input *in)
{
	struct tar_reader *t = tar_reader_new(in);
	const struct tar_entry *e;
	uint64_t sum = 0;

	/* A compressed one may go on for longer than anyone wants to wait. */
	for (int i = 0; i < ENTRIES_MAX && sum < DATA_MAX; i++) {
		int r = tar_reader_next(t, &e);

		fuzz_check(r == 0 || r == 1 || r == -EBADMSG);
		if (r <= 0)
			break;
		if (e->refused)
			continue;
		fuzz_check(strchr("0123456", e->type) != NULL);
		check_records(e);
		check_layer(e);
		sum += check_data(t, e);
	}
	tar_reader_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree uint8_t *copy = g_memdup2(data, size);
	cim_autofd fd = memfd_create("tar", MFD_CLOEXEC);
	char path[64];
	struct input *in;

	if (copy)
		seal_headers(copy, size);
	fuzz_check(fd >= 0 && cim_pwrite_full(fd, copy, size, 0) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int r = input_open(path, never, NULL, &in);
	fuzz_check(r == 0 || r == -EBADMSG);
	if (r == 0) {
		check_archive(in);
		input_close(in);
	}
	return 0;
}

/* ---- seeds ---- */

static void add_text(GString *records, const char *key, const char *value)
{
	pax_add(records, key, value, strlen(value));
}

/* An archive of one entry; mutants of small ones get around more. */
static void emit_entry(fuzz_emit_fn emit, const struct tar_entry *e, const GString *records,
		       const char *data)
{
	cim_autofd fd = memfd_create("seed", MFD_CLOEXEC);
	struct tar_writer *t = tar_writer_new(fd);
	uint8_t bytes[TAR_RECORD];
	size_t size = sizeof(bytes);

	(void)tar_write_entry(t, e, records);
	if (*data)
		(void)tar_write_data(t, data, strlen(data));
	(void)tar_write_end(t);
	tar_writer_free(t);
	fuzz_check(cim_pread_full(fd, bytes, size, 0) == 0);
	while (size > TAR_BLOCK && tar_is_zero(bytes + size - TAR_BLOCK))
		size -= TAR_BLOCK;
	emit(bytes, MIN(size + 2 * TAR_BLOCK, sizeof(bytes)));
}

static void emit_linux(fuzz_emit_fn emit)
{
	g_autoptr(GString) records = g_string_new(NULL);
	g_autoptr(GArray) extents = g_array_new(FALSE, FALSE, sizeof(struct tar_extent));
	const struct tar_extent pieces[] = { { 0, 2 }, { 5000, 3 } };
	struct tar_entry e = { .type = TAR_DIRECTORY, .name = "d", .mode = 0755 };

	emit_entry(emit, &e, NULL, "");
	add_text(records, "SCHILY.acl.access",
		 "user::rw-,user:7:r--,group::r--,mask::r--,other::---");
	add_text(records, "SCHILY.xattr.user.a", "1");
	e = (struct tar_entry){ .type = TAR_FILE, .name = "d/f", .size = 3, .mtime.tv_nsec = 5 };
	emit_entry(emit, &e, records, "abc");
	g_array_append_vals(extents, pieces, G_N_ELEMENTS(pieces));
	e = (struct tar_entry){ .type = TAR_FILE, .name = "s", .size = 9000, .extents = extents };
	emit_entry(emit, &e, NULL, "abcde");
	e = (struct tar_entry){ .type = TAR_LINK, .name = "l", .link = "d/f" };
	emit_entry(emit, &e, NULL, "");
}

static void emit_windows(fuzz_emit_fn emit)
{
	g_autoptr(GString) records = g_string_new(NULL);
	struct tar_entry e = { .type = TAR_SYMLINK, .name = "j", .link = "C:/Windows" };

	add_text(records, "MSWINDOWS.fileattr", "1040");
	add_text(records, "MSWINDOWS.rawsd", "AQAEgAAAAAAAAAAAAAAAAAAAAAA=");
	add_text(records, "MSWINDOWS.xattr.A", "dmFsdWU=");
	add_text(records, "MSWINDOWS.mountpoint", "1");
	emit_entry(emit, &e, records, "");
	g_string_truncate(records, 0);
	add_text(records, "MSWINDOWS.sd", "O:BAG:SYD:(A;;FA;;;SY)");
	add_text(records, "CIMFS.reparse", "GwAAgAQAAABhYmNk");
	add_text(records, "CIMFS.eas", "AAAAAIABAQBBAHYA");
	e = (struct tar_entry){ .type = TAR_FILE, .name = "w", .has_btime = true };
	emit_entry(emit, &e, records, "");
}

void fuzz_seeds(fuzz_emit_fn emit)
{
	emit_linux(emit);
	emit_windows(emit);
}
