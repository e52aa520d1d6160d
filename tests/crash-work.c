/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "crash-work.h"

#include "commit.h"
#include "delete.h"
#include "garbage.h"
#include "imagedir.h"
#include "syscalls.h"

/* ---- what the file system does not do ---- */

static enum crash_lack lack;

/* The call that fails next: the @after-th of this kind from now; -1: none. */
static struct {
	enum call_kind kind;
	int after;
	int error;
} fault = { .after = -1 };

static int before_call(struct call *c)
{
	if (c->kind == CALL_OPENAT && (c->flags & O_TMPFILE) == O_TMPFILE &&
	    lack >= CRASH_LACK_TMPFILE)
		return -EOPNOTSUPP;
	if (c->kind == CALL_RENAMEAT && c->flags && lack >= CRASH_LACK_NOREPLACE)
		return -EINVAL;
	/* It costs most of the time, and says nothing of what is there after a power cut. */
	if (c->kind == CALL_FALLOCATE && c->flags == FALLOC_FL_KEEP_SIZE)
		return -EOPNOTSUPP;
	if (fault.after >= 0 && c->kind == fault.kind && fault.after-- == 0)
		return -fault.error;
	return 0;
}

static void fail_next(enum call_kind kind, int after, int error)
{
	fault.kind = kind;
	fault.after = after;
	fault.error = error;
}

static int stop_after;

static int stop(enum cim_commit_step step)
{
	return step == (enum cim_commit_step)stop_after;
}

/* ---- what may be there ---- */

static struct trace *trace; /* NULL: not yet */
static GPtrArray *may;
static uint32_t least;       /* the state that is certainly reached */
static const char *doubtful; /* an image that may be lost for ever: its last fsync has failed */

/* From here on it counts; all that is there is durable. */
static void start(void)
{
	may = g_ptr_array_new_with_free_func((GDestroyNotify)g_hash_table_unref);
	g_ptr_array_add(may, images_read(test_store));
	least = 0;
	doubtful = NULL;
	trace = trace_begin(test_store->dirfd);
}

static void begin_change(void)
{
	(void)trace_mark(trace, least, may->len + (doubtful ? 1 : 0));
}

static images *without(images *all, const char *name)
{
	images *rest = images_new();
	GHashTableIter it;
	gpointer key, digest;

	g_hash_table_iter_init(&it, all);
	while (g_hash_table_iter_next(&it, &key, &digest))
		if (strcmp(key, name) != 0)
			g_hash_table_insert(rest, g_strdup(key), g_strdup(digest));
	return rest;
}

/* @certain: and a power cut must not undo it. */
static void end_change(bool certain)
{
	images *there = images_read(test_store);

	ck_assert_msg(there != NULL, "%s", cim_reason());
	if (certain)
		least = may->len;
	g_ptr_array_add(may, there);
	if (doubtful)
		g_ptr_array_add(may, without(there, doubtful));
	(void)trace_mark(trace, least, may->len - 1);
}

static void end_failed_change(void)
{
	images *before = g_ptr_array_index(may, may->len - 1);

	end_change(true);
	ck_assert_msg(images_same(g_ptr_array_index(may, may->len - 1), before),
		      "a failure has changed the images");
}

static void publish(struct cim_writer *w)
{
	begin_change();
	commit(w);
	end_change(true);
}

static void publish_fails(struct cim_writer *w, int error)
{
	begin_change();
	ck_assert_int_eq(cim_writer_commit(w), -error);
	ck_assert_int_eq(cim_writer_commit(w), -ESTALE);
	cim_writer_close(w);
	end_failed_change();
}

static void delete_image(const char *name)
{
	begin_change();
	int r = cim_store_delete(test_store, name);
	ck_assert_msg(r == 0, "%s", cim_reason());
	end_change(true);
}

/* ---- fillings ---- */

static void put_pattern(struct cim_writer *w, const char *path, size_t size, uint64_t seed)
{
	g_autofree uint8_t *bytes = pattern(size, seed);

	(void)put(w, path, bytes, size);
}

/* A little of everything; another for each seed. */
static struct cim_writer *fill(struct cim_writer *w, uint64_t seed)
{
	char name[32];

	snprintf(name, sizeof(name), "dir-%u", (unsigned int)seed);
	(void)make_dir(w, name);
	put_pattern(w, "small", 700, seed);
	(void)make_link(w, "symlink", name);
	ck_assert_int_eq(try_rename(w, "small", "renamed", 0), 0);
	put_pattern(w, "small", 3000, seed + 1);
	put_pattern(w, "large", 70000, seed + 2);
	ck_assert_int_eq(try_link(w, "small", "second-name"), 0);
	return w;
}

/* The same in an image that may have the names already. */
static struct cim_writer *refill(struct cim_writer *w, uint64_t seed)
{
	static const char *const names[] = { "renamed", "small", "large", "second-name",
					     "symlink" };
	uint32_t id;

	for (size_t i = 0; i < N_ROWS(names); i++)
		if (try_find(w, names[i], &id) == 0)
			ck_assert_int_eq(try_unlink(w, names[i]), 0);
	return fill(w, seed);
}

static void image(const char *existing, const char *name, uint64_t seed)
{
	commit(refill(open_writer(existing, name), seed));
}

/* ---- work ---- */

static int n_sets_of(const char *name)
{
	g_autofree struct cim_set *sets = NULL;
	uint32_t n;

	ck_assert_int_eq(cim_image_list_sets(test_store, name, &sets, &n), 0);
	return (int)n;
}

static void first_image(int arg)
{
	start();
	publish(fill(open_writer(NULL, "a.cim"), 1));
}

static void empty_image(int arg)
{
	start();
	publish(open_writer(NULL, "a.cim"));
}

static void fork_image(int arg)
{
	image(NULL, "a.cim", 1);
	start();
	publish(refill(open_writer("a.cim", "b.cim"), 2));
}

static void fork_of_fork(int arg)
{
	image(NULL, "a.cim", 1);
	start();
	publish(refill(open_writer("a.cim", "b.cim"), 2));
	publish(refill(open_writer("b.cim", "c.cim"), 3));
}

static void overwrite(int arg)
{
	image(NULL, "a.cim", 1);
	start();
	publish(refill(open_writer("a.cim", NULL), 2));
}

static void overwrite_parent(int arg)
{
	image(NULL, "a.cim", 1);
	image("a.cim", "b.cim", 2);
	image("b.cim", "c.cim", 3);
	start();
	publish(refill(open_writer("a.cim", "a.cim"), 4));
	publish(refill(open_writer("b.cim", "d.cim"), 5));
}

static void overwrite_often(int arg)
{
	image(NULL, "a.cim", 1);
	start();
	for (uint64_t i = 2; i < 6; i++)
		publish(refill(open_writer("a.cim", NULL), i));
}

/* Until the sets of the replaced images are merged, and those of them go that are nobody's. */
static void overwrite_until_merged(int arg)
{
	image(NULL, "a.cim", 1);
	for (int i = 0; i < 7; i++) {
		image("a.cim", NULL, (uint64_t)i + 2);
		if (i == arg)
			image("a.cim", "fork.cim", 20);
	}
	start();
	for (uint64_t i = 10; i < 13; i++)
		publish(refill(open_writer("a.cim", NULL), i));
	ck_assert_int_lt(n_sets_of("a.cim"), 8);
}

static void two_images(int arg)
{
	start();
	publish(fill(open_writer(NULL, "a.cim"), 1));
	publish(fill(open_writer(NULL, "b.cim"), 2));
}

static void abort_image(int arg)
{
	image(NULL, "a.cim", 1);
	start();
	cim_writer_close(refill(open_writer("a.cim", "b.cim"), 2));
	cim_writer_close(refill(open_writer("a.cim", NULL), 3));
	publish(refill(open_writer("a.cim", "c.cim"), 4));
}

static void case_insensitive(int arg)
{
	struct cim_writer *w = NULL;

	start();
	ck_assert_int_eq(cim_writer_open(test_store, NULL, "a.cim", CIM_CASE_INSENSITIVE, &w), 0);
	publish(fill(w, 1));
}

static void many_files(int arg)
{
	struct cim_writer *w;
	char name[32];

	start();
	w = open_writer(NULL, "a.cim");
	for (int i = 0; i < 1500; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		put_pattern(w, name, (size_t)(i % 50), (uint64_t)i);
	}
	publish(w);
}

static void xattrs(int arg)
{
	struct cim_writer *w;
	g_autofree uint8_t *value = pattern(40000, 9);

	start();
	w = fill(open_writer(NULL, "a.cim"), 1);
	uint32_t id = find(w, "large");
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.small", "value", 5, 0), 0);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.large", value, 40000, 0), 0);
	publish(w);
}

/* In pieces, and once more while it is open: by way of the scratch file. */
static void data_in_pieces(int arg)
{
	g_autofree uint8_t *bytes = pattern(1 << 20, 7);
	struct cim_writer *w;

	start();
	w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "data", S_IFREG | 0644);
	for (uint64_t off = 0; off < 1 << 20; off += 100000)
		write_at(w, id, off, bytes + off, MIN(100000, (1 << 20) - off));
	write_at(w, id, 4u << 20, bytes, 5000);
	write_at(w, id, 500000, bytes, 200000);
	publish(w);
}

/* Most of what was stored is not needed: the data is moved into new files. */
static void compaction(int arg)
{
	struct cim_writer *w;

	start();
	w = open_writer(NULL, "a.cim");
	put_pattern(w, "keep", 100000, 1);
	for (uint64_t i = 0; i < 4; i++) {
		put_pattern(w, "drop", 200000, 2 + i);
		put_pattern(w, i % 2 ? "keep-1" : "keep-2", 50000, 10 + i);
		ck_assert_int_eq(try_unlink(w, "drop"), 0);
		if (i < 2)
			ck_assert_int_eq(try_unlink(w, i % 2 ? "keep-1" : "keep-2"), 0);
	}
	publish(w);
}

static void delete_only_image(int arg)
{
	image(NULL, "a.cim", 1);
	start();
	delete_image("a.cim");
}

static void delete_fork(int arg)
{
	image(NULL, "a.cim", 1);
	image("a.cim", "b.cim", 2);
	start();
	delete_image("b.cim");
}

static void delete_parent(int arg)
{
	image(NULL, "a.cim", 1);
	image("a.cim", "b.cim", 2);
	start();
	delete_image("a.cim");
	publish(refill(open_writer("b.cim", "c.cim"), 3));
}

static void delete_all(int arg)
{
	image(NULL, "a.cim", 1);
	image("a.cim", "b.cim", 2);
	start();
	delete_image("a.cim");
	delete_image("b.cim");
	publish(fill(open_writer(NULL, "a.cim"), 3));
}

/* ---- commits that fail ---- */

static struct cim_writer *start_fork(void)
{
	image(NULL, "a.cim", 1);
	start();
	return refill(open_writer("a.cim", "b.cim"), 2);
}

/* @arg: which fsync; from the one after the rename on it is published, though in doubt. */
static void fsync_fails(int arg)
{
	struct cim_writer *w = start_fork();

	fail_next(CALL_FSYNC, arg, EIO);
	publish_fails(w, EIO);
	publish(refill(open_writer("a.cim", "b.cim"), 3));
}

static void last_fsync_fails(int arg)
{
	struct cim_writer *w = start_fork();

	begin_change();
	fail_next(CALL_FSYNC, 9, EIO);
	ck_assert_int_eq(cim_writer_commit(w), -EIO);
	ck_assert_int_eq(fault.after, -1);
	cim_writer_close(w);
	end_change(false);
	doubtful = "b.cim";
	publish(refill(open_writer("b.cim", "c.cim"), 3));
}

static void rename_fails(int arg)
{
	struct cim_writer *w;

	image(NULL, "a.cim", 1);
	start();
	w = refill(open_writer("a.cim", NULL), 2);
	/* Files that have names from the start get their last ones by renames as well. */
	fail_next(CALL_RENAMEAT, lack == CRASH_LACK_TMPFILE ? 7 : 0, EIO);
	publish_fails(w, EIO);
	publish(refill(open_writer("a.cim", NULL), 3));
}

static void no_space_then_again(int arg)
{
	struct cim_writer *w = start_fork();

	begin_change();
	fail_next(CALL_PWRITE, 2, ENOSPC);
	ck_assert_int_eq(cim_writer_commit(w), -ENOSPC);
	end_failed_change();
	put_text(w, "more", "more");
	publish(w);
}

/* ---- writers that die ---- */

/* @arg: after which step of the commit; then the next one does the same. */
static void killed(int arg)
{
	struct cim_writer *w = start_fork();

	begin_change();
	stop_after = arg;
	cim_commit_test_hook = stop;
	ck_assert_int_eq(cim_writer_commit(w), -EINTR);
	cim_commit_test_hook = NULL;
	cim_writer_close(w);
	end_change(arg == CIM_COMMIT_DONE);
	publish(refill(open_writer("a.cim", "c.cim"), 3));
}

static int stop_delete(enum cim_delete_step step)
{
	return step == (enum cim_delete_step)stop_after;
}

static void kill_delete(const char *name, int arg)
{
	begin_change();
	stop_after = arg;
	cim_delete_test_hook = stop_delete;
	ck_assert_int_eq(cim_store_delete(test_store, name), -EINTR);
	cim_delete_test_hook = NULL;
	end_change(arg > CIM_DELETE_MARKED);
}

/* What one who is killed while he deletes has left is removed by the next writer … */
static void delete_killed(int arg)
{
	image(NULL, "a.cim", 1);
	image("a.cim", "b.cim", 2);
	start();
	kill_delete("b.cim", arg);
	publish(refill(open_writer("a.cim", "c.cim"), 3));
}

static int keep_going(void *arg, const char *name, uint64_t size)
{
	return 0;
}

static void collect_garbage(void)
{
	begin_change();
	int r = cim_store_gc(test_store, false, keep_going, NULL);
	ck_assert_msg(r == 0, "%s", cim_reason());
	end_change(true);
}

/* … or by a gc. */
static void delete_killed_then_gc(int arg)
{
	image(NULL, "a.cim", 1);
	image("a.cim", "b.cim", 2);
	start();
	kill_delete("b.cim", arg);
	collect_garbage();
}

static void killed_then_gc(int arg)
{
	killed(arg);
	collect_garbage();
}

static void killed_then_delete(int arg)
{
	killed(arg);
	delete_image("a.cim");
	publish(refill(open_writer("c.cim", "d.cim"), 4));
}

const struct crash_work crash_works[] = {
	{ "first image", first_image },
	{ "empty image", empty_image },
	{ "fork", fork_image },
	{ "fork of a fork", fork_of_fork },
	{ "overwrite", overwrite },
	{ "overwrite a parent", overwrite_parent },
	{ "overwrite often", overwrite_often },
	{ "overwrite until sets are merged", overwrite_until_merged, -1 },
	{ "overwrite a parent until sets are merged", overwrite_until_merged, 5 },
	{ "two images", two_images },
	{ "abort", abort_image },
	{ "case-insensitive", case_insensitive },
	{ "many files", many_files },
	{ "xattrs and streams", xattrs },
	{ "data in pieces", data_in_pieces },
	{ "compaction", compaction },
	{ "delete the only image", delete_only_image, 0 },
	{ "delete a fork", delete_fork, 0 },
	{ "delete a parent", delete_parent, 0 },
	{ "delete all", delete_all, 0 },
	{ "first fsync fails", fsync_fails, 0 },
	{ "fsync of the image fails", fsync_fails, 6 },
	{ "fsync before the names fails", fsync_fails, 7 },
	{ "fsync of the names fails", fsync_fails, 8 },
	{ "last fsync fails", last_fsync_fails, .may_lose_link = true },
	{ "rename fails", rename_fails },
	{ "no space, then again", no_space_then_again },
	{ "killed after 1", killed, CIM_COMMIT_ENCODED },
	{ "killed after 2", killed, CIM_COMMIT_SYNCED },
	{ "killed after 3", killed, CIM_COMMIT_MARKED },
	{ "killed after 4", killed, CIM_COMMIT_MARK_SYNCED },
	{ "killed after 5", killed, CIM_COMMIT_LINKED },
	{ "killed after 6", killed, CIM_COMMIT_LINKS_SYNCED },
	{ "killed after 7", killed, CIM_COMMIT_RENAMED },
	{ "killed after 8", killed, CIM_COMMIT_DONE },
	{ "killed, then delete", killed_then_delete, CIM_COMMIT_LINKED },
	{ "killed, then gc", killed_then_gc, CIM_COMMIT_LINKED },
	{ "delete killed after 1", delete_killed, CIM_DELETE_MARKED },
	{ "delete killed after 2", delete_killed, CIM_DELETE_MARK_SYNCED },
	{ "delete killed after 3", delete_killed, CIM_DELETE_SETS_REMOVED },
	{ "delete killed after 1, then gc", delete_killed_then_gc, CIM_DELETE_MARKED },
	{ "delete killed after 3, then gc", delete_killed_then_gc, CIM_DELETE_SETS_REMOVED },
};
const int n_crash_works = N_ROWS(crash_works);

const struct crash_work *crash_work_find(const char *name)
{
	for (int i = 0; i < n_crash_works; i++)
		if (strcmp(crash_works[i].name, name) == 0)
			return &crash_works[i];
	ck_abort_msg("there is no work \"%s\"", name);
}

struct trace *crash_work_trace(const struct crash_work *work, enum crash_lack what_lacks,
			       GPtrArray **ret_may)
{
	lack = what_lacks;
	syscalls_before = before_call;
	syscalls_repeat((uint64_t)(work - crash_works) + 1);
	g_random_set_seed((guint32)(work - crash_works) + 1);
	setup_dir();
	work->run(work->arg);
	trace_end(trace, test_store->dirfd);
	teardown_dir();
	*ret_may = may;
	return trace;
}

void crash_work_reset(void)
{
	lack = CRASH_LACK_NONE;
	syscalls_before = NULL;
}
