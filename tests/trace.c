/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "trace.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "syscalls.h"

/* The recording that goes on. */
static struct recording {
	struct trace *trace; /* NULL: none */
	dev_t dev;           /* of the directory */
	ino_t ino;
	GHashTable *names; /* name -> file + 1, now */
	GHashTable *fds;   /* descriptor -> file + 1, DIRECTORY for the directory itself */
} now;

#define DIRECTORY UINT32_MAX

/* ---- operations ---- */

static void clear_op(gpointer data)
{
	struct trace_op *op = data;

	g_free(op->data);
	g_free(op->name);
	g_free(op->gone);
}

void trace_insert(struct trace *t, guint at, const struct trace_op *op)
{
	g_array_insert_vals(t->ops, at, op, 1);
}

void trace_remove(struct trace *t, guint at)
{
	g_array_remove_index(t->ops, at);
}

static void add(struct trace_op op)
{
	g_array_append_val(now.trace->ops, op);
}

guint trace_mark(struct trace *t, uint32_t least, uint32_t most)
{
	struct trace_op op = { .kind = TRACE_MARK, .least = least, .most = most };

	g_array_append_val(t->ops, op);
	return t->ops->len - 1;
}

void trace_apply(const struct trace_op *op, GByteArray *bytes)
{
	guint old = bytes->len;
	guint end = (guint)(op->off + op->size);

	switch (op->kind) {
	case TRACE_WRITE:
		if (end > old) {
			g_byte_array_set_size(bytes, end);
			memset(bytes->data + old, 0, end - old);
		}
		memcpy(bytes->data + op->off, op->data, op->size);
		break;
	case TRACE_ZERO:
		if (op->off < old)
			memset(bytes->data + op->off, 0, MIN(end, old) - op->off);
		break;
	case TRACE_RESIZE:
		g_byte_array_set_size(bytes, (guint)op->size);
		if (op->size > old)
			memset(bytes->data + old, 0, op->size - old);
		break;
	case TRACE_SYNC:
	case TRACE_NAME:
	case TRACE_SYNC_DIR:
	case TRACE_MARK:
		break;
	}
}

/* ---- which file a call is about ---- */

static uint32_t lookup(GHashTable *table, gconstpointer key)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(table, key));
}

static bool is_directory(int fd)
{
	uint32_t file = lookup(now.fds, GINT_TO_POINTER(fd));
	struct stat st;

	if (file == 0 && fstat(fd, &st) == 0 && st.st_dev == now.dev && st.st_ino == now.ino)
		file = DIRECTORY; /* opened before the trace began */
	return file == DIRECTORY;
}

/* The file behind a descriptor that something is done to; false: it is none of the directory's. */
static bool file_of(const struct call *c, int fd, uint32_t *ret)
{
	uint32_t file = lookup(now.fds, GINT_TO_POINTER(fd));
	struct stat st;

	if (file == 0 && fstat(fd, &st) == 0 && st.st_dev == now.dev && S_ISREG(st.st_mode))
		ck_abort_msg("%s of a file that was opened before the trace began",
			     call_name(c->kind));
	*ret = file - 1;
	return file != 0;
}

static uint32_t new_file(GBytes *bytes)
{
	g_ptr_array_add(now.trace->files, bytes);
	return now.trace->files->len - 1;
}

/* A name of the directory; "/proc/self/fd/N" is the descriptor. */
static uint32_t named_file(int fd, const char *name)
{
	int other;

	if (sscanf(name, "/proc/self/fd/%d", &other) == 1)
		return lookup(now.fds, GINT_TO_POINTER(other)) - 1;
	return is_directory(fd) ? lookup(now.names, name) - 1 : TRACE_NO_FILE;
}

static void set_name(const char *name, uint32_t file, const char *gone)
{
	if (gone)
		g_hash_table_remove(now.names, gone);
	if (file == TRACE_NO_FILE)
		g_hash_table_remove(now.names, name);
	else
		g_hash_table_insert(now.names, g_strdup(name), GUINT_TO_POINTER(file + 1));
	add((struct trace_op){
		.kind = TRACE_NAME, .file = file, .name = g_strdup(name), .gone = g_strdup(gone) });
}

/* ---- the calls that matter ---- */

static void on_open(const struct call *c, int fd)
{
	struct stat st;
	uint32_t file;

	if (fstat(fd, &st) < 0)
		ck_abort_msg("fstat: %s", strerror(errno));
	if (st.st_dev == now.dev && st.st_ino == now.ino) {
		g_hash_table_insert(now.fds, GINT_TO_POINTER(fd), GUINT_TO_POINTER(DIRECTORY));
		return;
	}
	if (!is_directory(c->fd)) {
		g_hash_table_remove(now.fds, GINT_TO_POINTER(fd));
		return;
	}
	if ((c->flags & O_TMPFILE) == O_TMPFILE) {
		file = new_file(NULL);
	} else if (c->flags & O_CREAT) {
		ck_assert_msg(c->flags & O_EXCL, "\"%s\" is created without O_EXCL", c->name);
		file = new_file(NULL);
		set_name(c->name, file, NULL);
	} else {
		ck_assert_msg((c->flags & O_ACCMODE) == O_RDONLY && !(c->flags & O_TRUNC),
			      "\"%s\", which was there, is opened for writing", c->name);
		file = lookup(now.names, c->name) - 1;
		ck_assert_msg(file != TRACE_NO_FILE, "the trace does not know \"%s\"", c->name);
	}
	g_hash_table_insert(now.fds, GINT_TO_POINTER(fd), GUINT_TO_POINTER(file + 1));
}

static void on_write(const struct call *c, uint64_t size)
{
	uint32_t file;

	if (file_of(c, c->fd, &file))
		add((struct trace_op){ .kind = TRACE_WRITE,
				       .file = file,
				       .off = c->off,
				       .size = size,
				       .data = g_memdup2(c->data, size) });
}

/* What was copied is read back. */
static void on_copy(const struct call *c, uint64_t size)
{
	uint32_t file;

	if (!file_of(c, c->fd2, &file))
		return;
	uint8_t *data = g_malloc(size + 1);
	ck_assert_int_eq(pread(c->fd2, data, size, (off_t)c->off2), (ssize_t)size);
	add((struct trace_op){
		.kind = TRACE_WRITE, .file = file, .off = c->off2, .size = size, .data = data });
}

static void on_fallocate(const struct call *c)
{
	uint32_t file;

	if (!file_of(c, c->fd, &file) || c->flags == FALLOC_FL_KEEP_SIZE)
		return;
	ck_assert_msg(c->flags == (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE),
		      "fallocate with mode %#x", c->flags);
	add((struct trace_op){ .kind = TRACE_ZERO, .file = file, .off = c->off, .size = c->size });
}

static void on_truncate(const struct call *c)
{
	uint32_t file;

	if (file_of(c, c->fd, &file))
		add((struct trace_op){ .kind = TRACE_RESIZE, .file = file, .size = c->size });
}

static void on_sync(const struct call *c, bool failed)
{
	uint32_t file;

	if (is_directory(c->fd))
		add((struct trace_op){ .kind = TRACE_SYNC_DIR, .failed = failed });
	else if (file_of(c, c->fd, &file))
		add((struct trace_op){ .kind = TRACE_SYNC, .file = file, .failed = failed });
}

static void on_link(const struct call *c)
{
	if (!is_directory(c->fd2))
		return;
	uint32_t file = named_file(c->fd, c->name);
	ck_assert_msg(file != TRACE_NO_FILE, "the trace does not know what \"%s\" is", c->name);
	set_name(c->name2, file, NULL);
}

static void on_rename(const struct call *c)
{
	bool from = is_directory(c->fd);

	if (!from && !is_directory(c->fd2))
		return;
	ck_assert_msg(from && is_directory(c->fd2) && !(c->flags & (int)RENAME_EXCHANGE),
		      "\"%s\" is renamed to \"%s\" in a way that is not modelled", c->name,
		      c->name2);
	set_name(c->name2, named_file(c->fd, c->name), c->name);
}

static void record(const struct call *c, int64_t result)
{
	if (c->kind == CALL_FSYNC)
		on_sync(c, result < 0);
	if (c->kind == CALL_CLOSE)
		g_hash_table_remove(now.fds, GINT_TO_POINTER(c->fd));
	if (result < 0)
		return;
	switch (c->kind) {
	case CALL_OPENAT:
		on_open(c, (int)result);
		break;
	case CALL_PWRITE:
		on_write(c, (uint64_t)result);
		break;
	case CALL_COPY_FILE_RANGE:
		on_copy(c, (uint64_t)result);
		break;
	case CALL_FALLOCATE:
		on_fallocate(c);
		break;
	case CALL_FTRUNCATE:
		on_truncate(c);
		break;
	case CALL_LINKAT:
		on_link(c);
		break;
	case CALL_RENAMEAT:
		on_rename(c);
		break;
	case CALL_UNLINKAT:
		if (is_directory(c->fd))
			set_name(c->name, TRACE_NO_FILE, NULL);
		break;
	case CALL_MMAP:
		ck_assert_msg(!(c->flags & PROT_WRITE), "a file is mapped for writing");
		break;
	/* These change nothing that a power cut could take away; FSYNC and CLOSE are seen to. */
	case CALL_ALLOC:
	case CALL_CLOCK:
	case CALL_CLOSE:
	case CALL_FACCESSAT:
	case CALL_FDOPENDIR:
	case CALL_FLOCK:
	case CALL_FSTAT:
	case CALL_FSYNC:
	case CALL_GETRANDOM:
	case CALL_LSEEK:
	case CALL_PREAD:
	case CALL_READDIR:
	case CALL_STAT:
	case CALL_SYNC_FILE_RANGE: /* no promise: see sync_file_range(2) */
		break;
	case N_CALL_KINDS:
		ck_abort_msg("a call of no kind");
	}
}

/* What is done in here is not the core's. */
static void on_call(const struct call *c, int64_t result)
{
	syscalls_after = NULL;
	record(c, result);
	syscalls_after = on_call;
}

/* ---- begin and end ---- */

GBytes *trace_bytes(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	ck_assert_msg(fd >= 0 && fstat(fd, &st) == 0, "\"%s\": %s", name, strerror(errno));
	uint8_t *bytes = g_malloc((gsize)st.st_size + 1);
	for (ssize_t n, at = 0; at < st.st_size; at += n) {
		n = pread(fd, bytes + at, (size_t)(st.st_size - at), at);
		ck_assert_int_gt(n, 0);
	}
	(void)close(fd);
	return g_bytes_new_take(bytes, (gsize)st.st_size);
}

/* Call for each name of the directory. */
static void each_name(int dirfd, void (*fn)(int dirfd, const char *name))
{
	DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *e;

	ck_assert_ptr_nonnull(dir);
	while ((e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			fn(dirfd, e->d_name);
	(void)closedir(dir);
}

static void take_file(int dirfd, const char *name)
{
	gpointer file = GUINT_TO_POINTER(new_file(trace_bytes(dirfd, name)) + 1);

	g_hash_table_insert(now.names, g_strdup(name), file);
	g_hash_table_insert(now.trace->start, g_strdup(name), file);
}

static void free_bytes(gpointer bytes)
{
	if (bytes)
		g_bytes_unref(bytes);
}

struct trace *trace_begin(int dirfd)
{
	struct stat st;

	ck_assert_msg(!now.trace, "a trace is recorded already");
	ck_assert_int_eq(fstat(dirfd, &st), 0);
	now = (struct recording){
		.trace = g_new0(struct trace, 1),
		.dev = st.st_dev,
		.ino = st.st_ino,
		.names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
		.fds = g_hash_table_new(NULL, NULL),
	};
	now.trace->ops = g_array_new(FALSE, FALSE, sizeof(struct trace_op));
	g_array_set_clear_func(now.trace->ops, clear_op);
	now.trace->start = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	now.trace->files = g_ptr_array_new_with_free_func(free_bytes);
	each_name(dirfd, take_file);
	syscalls_after = on_call;
	return now.trace;
}

/* Its bytes as all that was recorded makes them. */
static GBytes *recorded_bytes(const struct trace *t, uint32_t file)
{
	GByteArray *bytes = g_byte_array_new();
	GBytes *start = g_ptr_array_index(t->files, file);

	if (start)
		g_byte_array_append(bytes, g_bytes_get_data(start, NULL),
				    (guint)g_bytes_get_size(start));
	for (guint i = 0; i < t->ops->len; i++)
		if (trace_op(t, i)->file == file)
			trace_apply(trace_op(t, i), bytes);
	return g_byte_array_free_to_bytes(bytes);
}

static void compare_file(int dirfd, const char *name)
{
	uint32_t file = lookup(now.names, name) - 1;

	ck_assert_msg(file != TRACE_NO_FILE, "the trace has missed how \"%s\" came", name);
	g_autoptr(GBytes) recorded = recorded_bytes(now.trace, file);
	g_autoptr(GBytes) there = trace_bytes(dirfd, name);
	ck_assert_msg(g_bytes_equal(recorded, there), "the trace has missed a change of \"%s\"",
		      name);
	g_hash_table_remove(now.names, name);
}

void trace_end(struct trace *t, int dirfd)
{
	ck_assert_ptr_eq(t, now.trace);
	syscalls_after = NULL;
	each_name(dirfd, compare_file);
	ck_assert_msg(g_hash_table_size(now.names) == 0, "the trace has missed that names went");
	g_hash_table_unref(now.names);
	g_hash_table_unref(now.fds);
	now.trace = NULL;
}

void trace_free(struct trace *t)
{
	g_array_unref(t->ops);
	g_hash_table_unref(t->start);
	g_ptr_array_unref(t->files);
	g_free(t);
}
