/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whatever fails: a call that matters fails the work, and the directory has the old images or the
 * new ones, whole; the next writer finds nothing in its way.  Every call of the core that each work
 * makes fails once in each way, and the process is killed once at each.
 */
#include "config.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "commit.h"
#include "crash-check.h"
#include "delete.h"
#include "garbage.h"
#include "imagedir.h"
#include "syscalls.h"

/* ---- the fault ---- */

#define SHORT 10000 /* not an errno: half of what was asked for is done */
#define KILL  10001 /* the process ends before the call */

static struct {
	int at;  /* number of the call that fails; -1: none */
	int how; /* errno, SHORT or KILL */
	int n;   /* calls so far */
	bool no_tmpfile;
	bool by_content; /* holes are found by reading */
	bool hit_closing, hit_committing;
	struct call hit;          /* what failed; its names are not valid any more */
	bool closing, committing; /* a file, the image */
	bool told;                /* somebody was, though the work has come to its end later */
	char file[NAME_MAX + 1];  /* the name of the call, or what was opened last before it */
	GByteArray *kinds;        /* NULL, or the kind of each call */
} fault;

static int on_call(struct call *c)
{
	uint8_t kind = (uint8_t)c->kind;

	if (fault.no_tmpfile && c->kind == CALL_OPENAT && (c->flags & O_TMPFILE) == O_TMPFILE)
		return -EOPNOTSUPP;
	if (c->name && fault.n <= fault.at)
		g_strlcpy(fault.file, c->name, sizeof(fault.file));
	if (fault.kinds)
		g_byte_array_append(fault.kinds, &kind, 1);
	if (fault.n++ != fault.at)
		return 0;
	fault.hit = *c;
	fault.hit_closing = fault.closing;
	fault.hit_committing = fault.committing;
	if (fault.how == KILL)
		_exit(0);
	if (fault.how != SHORT)
		return -fault.how;
	c->size = (c->size + 1) / 2;
	return 0;
}

/* In which ways a kind of call can fail; 0 ends. */
static const int *ways_of(enum call_kind kind)
{
	static const int memory[] = { ENOMEM, 0 };
	static const int reading[] = { EIO, EINTR, SHORT, KILL, 0 };
	static const int writing[] = { EIO, ENOSPC, EDQUOT, EFBIG, EINTR, SHORT, KILL, 0 };
	static const int opening[] = { EIO, ENOSPC, EMFILE, ENOMEM, EACCES, EINTR, KILL, 0 };
	static const int naming[] = { EIO, ENOSPC, EROFS, ENOMEM, KILL, 0 };
	static const int sizing[] = { EIO, ENOSPC, EDQUOT, EFBIG, EINTR, KILL, 0 };
	static const int syncing[] = { EIO, ENOSPC, EDQUOT, EINTR, KILL, 0 };
	static const int flushing[] = { EIO, ENOSPC, EINTR, ENOSYS, KILL, 0 };
	static const int mapping[] = { ENOMEM, EMFILE, KILL, 0 };
	static const int other[] = { EIO, ENOMEM, EINTR, KILL, 0 };

	switch (kind) {
	case CALL_ALLOC:
		return memory;
	case CALL_PREAD:
		return reading;
	case CALL_PWRITE:
	case CALL_COPY_FILE_RANGE:
	case CALL_FALLOCATE:
		return writing;
	case CALL_OPENAT:
		return opening;
	case CALL_LINKAT:
	case CALL_RENAMEAT:
	case CALL_UNLINKAT:
		return naming;
	case CALL_FTRUNCATE:
		return sizing;
	case CALL_FSYNC:
		return syncing;
	case CALL_SYNC_FILE_RANGE:
		return flushing;
	case CALL_MMAP:
		return mapping;
	default:
		return other;
	}
}

/* A failure of which may mean that the kernel has dropped what was written. */
static bool is_syncing(enum call_kind kind)
{
	return kind == CALL_FSYNC || kind == CALL_SYNC_FILE_RANGE;
}

/*
 * What may fail with no word of it, because the work goes on in another way or needs nothing of
 * it; the result is then all that it should be, which is looked at.
 */
static bool may_be_ignored(const struct call *c, int how, bool leftovers)
{
	bool again = how == EINTR || how == SHORT;
	bool looking = c->kind == CALL_OPENAT || c->kind == CALL_FSTAT || c->kind == CALL_MMAP ||
		       c->kind == CALL_PREAD || c->kind == CALL_READDIR ||
		       c->kind == CALL_FDOPENDIR || c->kind == CALL_FACCESSAT;

	/* What a close could not store stays in the scratch file, and the commit stores it. */
	if (fault.hit_closing)
		return true;
	/* What cannot be compared with the base's is stored again. */
	if (fault.hit_committing && c->kind == CALL_PREAD)
		return true;
	/* A full disk is no reason not to publish: dead space is kept. */
	if (fault.hit_committing && cim_is_full(-how) && !is_syncing(c->kind))
		return true;
	switch (c->kind) {
	case CALL_PREAD:
	case CALL_PWRITE:
	case CALL_FLOCK:
		if (again) /* and again */
			return true;
		break;
	case CALL_COPY_FILE_RANGE: /* the same, or copied by hand */
		return again;
	case CALL_CLOSE: /* what was written has been synced, or is not needed any more */
		return true;
	case CALL_SYNC_FILE_RANGE: /* where there is none, an fsync tells */
		return how == ENOSYS;
	case CALL_FALLOCATE: /* less at once; a chunk that stays full is not used again */
		return true;
	case CALL_ALLOC: /* of a buffer: the file goes to the scratch file at once */
		return true;
	case CALL_FACCESSAT: /* whether the name is free: the rename, which replaces nothing, tells
			      */
		return strcmp(fault.file, "new.cim") == 0 || leftovers;
	case CALL_LSEEK: /* a consistent image has holes where zeros were read */
		return fault.by_content;
	case CALL_FTRUNCATE: /* space that is not given back; a wrong size would be found */
		return true;
	case CALL_UNLINKAT: /* of leftovers, and of files without O_TMPFILE: the next writer's */
		return leftovers || g_str_has_prefix(fault.file, ".cimfs");
	default:
		break;
	}
	/* What the base has already is found by its object IDs; without them it is stored again. */
	if (looking && g_str_has_prefix(fault.file, "objectid_"))
		return true;
	/* A region file that cannot be opened is damage to what it holds, and nothing is read. */
	if (looking && g_str_has_prefix(fault.file, "region_"))
		return true;
	/* Where it cannot be told what is needed, leftovers stay for the next writer. */
	return leftovers && looking;
}

/* ---- the work ---- */

static void close_file(struct cim_writer *w, uint32_t id)
{
	fault.closing = true;
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	fault.closing = false;
}

static int fill_data(struct cim_writer *w, uint32_t dir)
{
	static const struct cim_make file = { .mode = S_IFREG | 0644 };
	g_autofree uint8_t *bytes = pattern(300000, 3);
	uint32_t id;
	int r = cim_writer_make(w, dir, "large", 5, &file, &id);

	if (r == 0)
		r = cim_writer_open_file(w, id, CIM_OPEN_WRITE);
	if (r < 0)
		return r;
	for (uint64_t off = 0; r == 0 && off < 300000; off += 100000)
		r = (int)MIN(cim_writer_write(w, id, off, bytes + off, 100000), 0);
	if (r == 0)
		r = (int)MIN(cim_writer_write(w, id, 900000, bytes, 5000), 0);
	if (r == 0)
		r = cim_writer_flush(w, id);
	close_file(w, id);
	/* Once more: from now on in the scratch file. */
	if (r == 0 && (r = cim_writer_open_file(w, id, CIM_OPEN_WRITE)) == 0) {
		r = (int)MIN(cim_writer_write(w, id, 50000, bytes, 70000), 0);
		if (r == 0)
			r = cim_writer_flush(w, id);
		close_file(w, id);
	}
	return r;
}

static int fill_small(struct cim_writer *w, uint32_t dir)
{
	static const struct cim_make file = { .mode = S_IFREG | 0644 };
	char name[16], text[700];
	uint32_t id;
	int r = 0;

	for (int i = 0; r == 0 && i < 3; i++) {
		memset(text, 'a' + i, sizeof(text));
		snprintf(name, sizeof(name), "small-%d", i);
		r = cim_writer_make(w, dir, name, strlen(name), &file, &id);
		if (r == 0)
			r = cim_writer_open_file(w, id, CIM_OPEN_WRITE);
		if (r < 0)
			break;
		r = (int)MIN(cim_writer_write(w, id, 0, text, sizeof(text)), 0);
		if (r == 0)
			r = cim_writer_flush(w, id);
		close_file(w, id);
		if (r == 0)
			r = cim_writer_set_xattr(w, id, "user.name", name, strlen(name), 0);
	}
	return r;
}

static int fill(struct cim_writer *w, const char *dir_name)
{
	static const struct cim_make dir = { .mode = S_IFDIR | 0755 };
	static const struct cim_make link = { .mode = S_IFLNK | 0777, .target = "target" };
	uint32_t dir_id, id;
	int r = cim_writer_make(w, cim_writer_root(w), dir_name, strlen(dir_name), &dir, &dir_id);

	if (r == 0)
		r = cim_writer_make(w, dir_id, "link", 4, &link, &id);
	if (r == 0)
		r = fill_small(w, dir_id);
	return r == 0 ? fill_data(w, dir_id) : r;
}

static bool was_published(struct cim_writer *w)
{
	return cim_writer_commit(w) == 0;
}

#define CONTRADICTION (-20000)

/* Whether a failure of a commit lost nothing, so that the interface lets it be tried again. */
static bool may_retry(int r)
{
	/* A name that cannot be given fails when all is on disk; the writer is over then. */
	return (cim_is_full(r) || r == -EMFILE) && !is_syncing(fault.hit.kind) &&
	       fault.hit.kind != CALL_LINKAT && fault.hit.kind != CALL_RENAMEAT;
}

/* A failure that the interface lets be tried again must then succeed; any other is final. */
static int commit_or_retry(struct cim_writer *w)
{
	fault.committing = true;
	int r = cim_writer_commit(w);

	fault.committing = false;
	fault.told = r < 0;
	if (r == 0)
		return 0;
	bool retried = was_published(w);
	if (retried ? is_syncing(fault.hit.kind) : may_retry(r))
		return CONTRADICTION;
	return retried ? 0 : r;
}

static int write_image(const char *existing, const char *new_name)
{
	struct cim_writer *w;
	int r = cim_writer_open(test_store, existing, new_name, CIM_CASE_BASE, &w);

	if (r < 0)
		return r;
	r = fill(w, new_name ? new_name : "again");
	if (r == 0)
		r = commit_or_retry(w);
	cim_writer_close(w);
	return r;
}

/* Security descriptors wait in a file of their own for the commit. */
static int fill_windows(struct cim_writer *w, uint32_t dir)
{
	static const struct cim_make file = { .mode = S_IFREG | 0644 };
	uint32_t id;
	int r = 0;

	for (uint8_t i = 0; r == 0 && i < 2; i++) {
		const uint8_t sd[20] = { 1, 0, i, 0x80 };
		const struct cim_winmeta m = { .sd = sd, .sd_size = sizeof(sd) };

		r = cim_writer_make(w, dir, i ? "secure-1" : "secure-0", 8, &file, &id);
		if (r == 0)
			r = cim_writer_set_windows(w, id, CIM_WIN_SECURITY, &m);
	}
	return r;
}

/* As cimfs import does it: whole files, from descriptors. */
static const struct source {
	const char *name;
	uint64_t size, hole; /* bytes; the second half is a hole of as many, or all of it is */
	bool holes;          /* look for them */
} sources[] = {
	{ "empty", 0, 0, true },
	{ "tiny", 700, 0, true },
	{ "same as tiny", 700, 0, true },
	{ "middle", 40000, 0, false },
	{ "large", CIM_PUT_BUFFER + 300000, 0, false },
	{ "same as large", CIM_PUT_BUFFER + 300000, 0, true },
	{ "half", 200000, 200000, true },
	{ "hole", 0, 300000, true },
};

static int put_source(struct cim_writer *w, const struct source *s, void *buf)
{
	static const struct cim_make file = { .mode = S_IFREG | 0644 };
	g_autofree uint8_t *bytes = pattern(s->size, 4);
	cim_autofd fd = memfd_create("source", MFD_CLOEXEC);
	uint32_t id;

	/* Not by the calls that fail. */
	if (fd < 0 || write(fd, bytes, s->size) != (ssize_t)s->size ||
	    syscall(SYS_ftruncate, fd, (long)(s->size + s->hole)) < 0)
		abort();
	int r = cim_writer_make(w, cim_writer_root(w), s->name, strlen(s->name), &file, &id);
	if (r == 0)
		r = cim_writer_put(w, id, fd, s->size + s->hole, s->holes, buf);
	return r;
}

static int import_image(const char *existing, bool consistent)
{
	g_autofree void *buf = g_malloc(CIM_PUT_BUFFER);
	struct cim_writer *w;
	int r = cim_writer_open(test_store, existing, "new.cim", CIM_CASE_BASE, &w);

	if (r < 0)
		return r;
	if (consistent)
		cim_writer_make_consistent(w);
	fault.by_content = consistent;
	for (size_t i = 0; r == 0 && i < N_ROWS(sources); i++)
		r = put_source(w, &sources[i], buf);
	if (r == 0)
		r = fill_windows(w, cim_writer_root(w));
	if (r == 0)
		r = commit_or_retry(w);
	cim_writer_close(w);
	return r;
}

static int import(void)
{
	return import_image(NULL, false);
}

static int import_consistent(void)
{
	return import_image(NULL, true);
}

static int import_fork(void)
{
	return import_image("base.cim", false);
}

static int first(void)
{
	return write_image(NULL, "new.cim");
}

static int fork_image(void)
{
	return write_image("base.cim", "new.cim");
}

static int overwrite(void)
{
	return write_image("base.cim", NULL);
}

static int delete_fork(void)
{
	return cim_store_delete(test_store, "fork.cim");
}

static int delete_base(void)
{
	return cim_store_delete(test_store, "base.cim");
}

static int count_file(void *arg, const char *name, uint64_t size)
{
	return 0;
}

static int gc(void)
{
	return cim_store_gc(test_store, false, count_file, NULL);
}

static const struct work {
	const char *name;
	int (*run)(void);
	bool no_tmpfile, leftovers;
	unsigned int n_forks; /* base.cim is of so many before the work begins */
} works[] = {
	{ "first image", first },
	{ "fork", fork_image },
	{ "overwrite", overwrite },
	{ "fork that merges sets", fork_image, .n_forks = 9 },
	{ "overwrite that merges sets", overwrite, .n_forks = 9 },
	{ "fork without O_TMPFILE", fork_image, .no_tmpfile = true },
	{ "fork with leftovers", fork_image, .leftovers = true },
	{ "import", import },
	{ "consistent import", import_consistent },
	{ "import on top of another", import_fork },
	{ "delete a fork", delete_fork },
	{ "delete a base", delete_base },
	{ "gc", gc, .leftovers = true },
};

/* ---- the directory ---- */

static int stop_linked(enum cim_commit_step step)
{
	return step == CIM_COMMIT_LINKED;
}

/* What every work begins with, made once and linked for each fault. */
static char *template_path;

static void setup_template(unsigned int n_forks, bool leftovers)
{
	struct cim_writer *w;
	char name[16];

	syscalls_repeat(1);
	setup_dir();
	ck_assert_int_eq(write_image(NULL, "base.cim"), 0);
	for (unsigned int i = 0; i < n_forks; i++) {
		w = open_writer("base.cim", NULL);
		snprintf(name, sizeof(name), "f%u", i);
		put_text(w, name, name);
		commit(w);
	}
	ck_assert_int_eq(write_image("base.cim", "fork.cim"), 0);
	if (leftovers) {
		w = open_writer("base.cim", "dead.cim");
		cim_commit_test_hook = stop_linked;
		ck_assert_int_eq(cim_writer_commit(w), -EINTR);
		cim_commit_test_hook = NULL;
		cim_writer_close(w);
	}
	template_path = g_steal_pointer(&test_path);
	cim_store_unref(g_steal_pointer(&test_store));
}

static void link_template(void)
{
	GDir *dir = g_dir_open(template_path, 0, NULL);
	const char *name;

	setup_dir();
	while ((name = g_dir_read_name(dir))) {
		g_autofree char *from = g_build_filename(template_path, name, NULL);
		g_autofree char *to = path_of(name);

		ck_assert_int_eq(link(from, to), 0);
	}
	g_dir_close(dir);
}

static void teardown_template(void)
{
	test_path = g_steal_pointer(&template_path);
	ck_assert_int_eq(cim_store_open(AT_FDCWD, test_path, &test_store), 0);
	teardown_dir();
}

/* ---- one fault ---- */

struct sweep {
	const struct work *work;
	GPtrArray *may; /* the old images, the new ones */
	unsigned int n_bad, n_swallowed;
	char *first;
};

static struct shared {
	uint64_t n_faults, n_killed, n_ignored;
} * shared;

/* The work, with the hook in place; its result. */
static int run(const struct work *work, int at, int how)
{
	fault.at = at;
	fault.how = how;
	fault.n = 0;
	fault.told = fault.closing = fault.committing = fault.by_content = false;
	fault.hit = (struct call){ .kind = N_CALL_KINDS };
	fault.no_tmpfile = work->no_tmpfile;
	syscalls_repeat(2);
	syscalls_before = on_call;
	int r = work->run();
	syscalls_before = NULL;
	return r;
}

/* 1: the process was killed. */
static int run_and_die(const struct work *work, int at)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)run(work, at, KILL);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "the call was not made");
	return 1;
}

static void note(struct sweep *sweep, unsigned int *count, int at, int how, int result,
		 const char *what)
{
	if ((*count)++ == 0 || getenv("CIMFS_VERBOSE"))
		printf("# %s: call %d (%s, \"%s\", flags %#x), %s: result %d: %s\n",
		       sweep->work->name, at, call_name(fault.hit.kind), fault.file,
		       (unsigned int)fault.hit.flags,
		       how == SHORT  ? "short"
		       : how == KILL ? "killed"
				     : strerror(how),
		       result, what);
}

static void try_fault(struct sweep *sweep, int at, int how)
{
	int r;

	link_template();
	r = how == KILL ? run_and_die(sweep->work, at) : run(sweep->work, at, how);
	shared->n_faults++;
	shared->n_killed += how == KILL;
	/* A failure may leave the new images where only the last fsync has failed, or unlinking
	 * what is not needed any more. */
	g_autofree char *wrong = crash_check_store(test_store, sweep->may, r == 0 ? 1 : 0, 1);
	if (wrong || r == CONTRADICTION)
		note(sweep, &sweep->n_bad, at, how, r,
		     wrong ? wrong : "committed after all, or not");
	if (r == 0 && !fault.told && !may_be_ignored(&fault.hit, how, sweep->work->leftovers))
		note(sweep, &sweep->n_swallowed, at, how, r, "nobody was told");
	shared->n_ignored += r == 0;
	teardown_dir();
}

static void find_new_images(struct sweep *sweep, GByteArray *kinds)
{
	link_template();
	g_ptr_array_add(sweep->may, images_read(test_store));
	fault.kinds = kinds;
	ck_assert_int_eq(run(sweep->work, -1, 0), 0);
	fault.kinds = NULL;
	g_ptr_array_add(sweep->may, images_read(test_store));
	teardown_dir();
}

START_TEST(failure_is_told_and_leaves_old_or_new)
{
	struct sweep sweep = { .work = &works[_i] };
	g_autoptr(GByteArray) kinds = g_byte_array_new();

	sweep.may = g_ptr_array_new_with_free_func((GDestroyNotify)g_hash_table_unref);
	setup_template(sweep.work->n_forks, sweep.work->leftovers);
	find_new_images(&sweep, kinds);
	ck_assert_uint_gt(kinds->len, 20);
	/* make check-long: each of them. */
	for (guint at = 0; at < kinds->len; at += (guint)test_rounds(8, 1))
		for (const int *how = ways_of((enum call_kind)kinds->data[at]); *how; how++)
			try_fault(&sweep, (int)at, *how);
	(void)fflush(stdout);
	ck_assert_msg(sweep.n_bad == 0 && sweep.n_swallowed == 0,
		      "%s, %u calls: %u bad states, %u failures that nobody was told of",
		      sweep.work->name, kinds->len, sweep.n_bad, sweep.n_swallowed);
	g_ptr_array_unref(sweep.may);
	teardown_template();
}
END_TEST

static Suite *fault_suite(void)
{
	Suite *s = suite_create("fault");
	TCase *tc = tcase_create("calls");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, failure_is_told_and_leaves_old_or_new, 0, N_ROWS(works));
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	if (access("/dev/shm", W_OK) == 0)
		(void)g_setenv("TMPDIR", "/dev/shm", FALSE);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return EXIT_FAILURE;
	}
	int status = test_run(fault_suite());
	printf("# %" G_GUINT64_FORMAT " faults, %" G_GUINT64_FORMAT
	       " of them a kill; %" G_GUINT64_FORMAT " did no harm and were ignored\n",
	       shared->n_faults, shared->n_killed, shared->n_ignored);
	return status;
}
