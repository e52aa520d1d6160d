/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * No committed image is lost or half visible, whenever the power fails: every state in which a
 * power cut can leave a directory, for work of every kind, on file systems that lack one thing or
 * another.  And the same harness finds the faults that a writer could have: what does not find
 * them would show nothing.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crash-check.h"
#include "crash-states.h"
#include "crash-work.h"
#include "format.h"
#include "le.h"
#include "support.h"

/* ---- how many, over all works: each is a process of its own ---- */

#define SLOTS (1u << 22)

static struct shared {
	uint64_t n_checked, n_distinct, n_sequels;
	uint64_t slot[SLOTS]; /* of digests of states; 0: free */
} * shared;

static void count_state(const struct crash_state *s)
{
	uint64_t key = cim_load64(s->digest.b) | 1;
	uint32_t at = (uint32_t)(key >> 32) % SLOTS;

	shared->n_checked++;
	while (shared->slot[at] && shared->slot[at] != key)
		at = (at + 1) % SLOTS;
	if (!shared->slot[at])
		shared->n_distinct++;
	shared->slot[at] = key;
}

/* ---- checking all states of a trace ---- */

struct sweep {
	struct crash_checker *checker;
	const GPtrArray *may;
	bool nested;
	uint32_t one_in;        /* of so many states one is checked */
	uint32_t sequel_one_in; /* and of those that the next writer leaves */
	const char *model;
	unsigned int n, n_bad;
	char *first; /* what is wrong with the first bad one */
};

static const char *const models[] = { "strict", "ordered" };

static void check_sequel(struct sweep *sweep, const struct crash_sequel *sequel);

/* The same states in every run. */
static bool one_in(const struct crash_state *s, size_t which, uint32_t n)
{
	return cim_load32(s->digest.b + which) % n == 0;
}

static void check_state(void *arg, const struct crash_state *s)
{
	struct sweep *sweep = arg;
	struct crash_sequel sequel = { 0 };

	if (!one_in(s, 12, sweep->one_in))
		return;
	/* What the next writer does in one state of so many is a trace of its own. */
	bool wants = !sweep->nested && one_in(s, 8, (uint32_t)test_rounds(250, 30));
	char *wrong = crash_check(sweep->checker, s, sweep->may, wants ? &sequel : NULL);

	count_state(s);
	sweep->n++;
	if (wrong && sweep->n_bad++ == 0)
		sweep->first = g_strdup_printf("%s, %s, after %u operations: %s",
					       sweep->nested ? "next writer" : "writer",
					       sweep->model, s->point, wrong);
	g_free(wrong);
	if (sequel.trace)
		check_sequel(sweep, &sequel);
	crash_sequel_clear(&sequel);
}

static void sweep_models(struct sweep *sweep, const struct trace *t)
{
	g_autoptr(GHashTable) seen = crash_seen_new();

	for (int model = CRASH_STRICT; model <= CRASH_ORDERED; model++) {
		sweep->model = models[model];
		crash_states(t, (enum crash_model)model, (unsigned int)test_rounds(1, 2), seen,
			     check_state, sweep);
	}
}

static void check_sequel(struct sweep *sweep, const struct crash_sequel *sequel)
{
	struct sweep nested = {
		.checker = sweep->checker,
		.may = sequel->may,
		.nested = true,
		.one_in = sweep->sequel_one_in,
	};

	shared->n_sequels++;
	sweep_models(&nested, sequel->trace);
	sweep->n_bad += nested.n_bad;
	if (!sweep->first)
		sweep->first = g_steal_pointer(&nested.first);
	g_free(nested.first);
}

static void sweep_free(struct sweep *sweep)
{
	crash_work_reset();
	crash_checker_free(sweep->checker);
	g_free(sweep->first);
}

/*
 * Where files have names from the start, a writer leaves thousands of states that differ in names
 * alone: the next writer would leave them anew in each state in which it is tried.
 */
#define SEQUEL_ONE_IN 64

START_TEST(power_cut_keeps_what_is_committed_and_nothing_half)
{
	const struct crash_work *work = &crash_works[_i % n_crash_works];
	enum crash_lack lack = (enum crash_lack)(_i / n_crash_works);
	struct sweep sweep = { .checker = crash_checker_new() };
	GPtrArray *may;
	struct trace *t = crash_work_trace(work, lack, &may);

	if (lack == CRASH_LACK_NOREPLACE && work->may_lose_link)
		crash_checker_allow_garbage(sweep.checker);
	sweep.may = may;
	sweep.one_in = lack == CRASH_LACK_NONE ? 1 : (uint32_t)test_rounds(16, 4);
	sweep.sequel_one_in = lack == CRASH_LACK_NONE ? 1 : SEQUEL_ONE_IN;
	sweep_models(&sweep, t);
	ck_assert_msg(sweep.n_bad == 0, "%s (%d): %u of %u states are bad; %s", work->name,
		      (int)lack, sweep.n_bad, sweep.n, sweep.first);
	ck_assert_uint_gt(sweep.n, 0);
	trace_free(t);
	g_ptr_array_unref(may);
	sweep_free(&sweep);
}
END_TEST

/* ---- faults of a writer, which must be found ---- */

static bool is_name(const struct trace_op *op, const char *prefix)
{
	return op->kind == TRACE_NAME && op->file != TRACE_NO_FILE &&
	       g_str_has_prefix(op->name, prefix);
}

/* The last operation that names an image; its number. */
static guint find_rename(const struct trace *t)
{
	guint at = t->ops->len;

	do
		ck_assert_uint_gt(at--, 0);
	while (!is_name(trace_op(t, at), "a.cim"));
	return at;
}

static void drop_syncs_of(struct trace *t, uint32_t file)
{
	for (guint i = t->ops->len; i-- > 0;)
		if (trace_op(t, i)->kind == TRACE_SYNC && trace_op(t, i)->file == file)
			trace_remove(t, i);
}

static void no_region_fsync(struct trace *t)
{
	for (guint i = 0; i < t->ops->len; i++)
		if (is_name(trace_op(t, i), "region_"))
			drop_syncs_of(t, trace_op(t, i)->file);
}

static void no_image_fsync(struct trace *t)
{
	drop_syncs_of(t, trace_op(t, find_rename(t))->file);
}

static void no_directory_fsync_before(struct trace *t)
{
	for (guint i = find_rename(t); i-- > 0;)
		if (trace_op(t, i)->kind == TRACE_SYNC_DIR)
			trace_remove(t, i);
}

static void no_directory_fsync_after(struct trace *t)
{
	for (guint i = t->ops->len, end = find_rename(t); i-- > end;)
		if (trace_op(t, i)->kind == TRACE_SYNC_DIR)
			trace_remove(t, i);
}

/* Instead of the rename, the old image's bytes are written over, and synced. */
static void overwrite_in_place(struct trace *t)
{
	guint at = find_rename(t);
	uint32_t from = trace_op(t, at)->file;
	uint32_t to = GPOINTER_TO_UINT(g_hash_table_lookup(t->start, "a.cim")) - 1;
	struct trace_op ops[4] = { { .kind = TRACE_RESIZE, .file = to } };

	for (guint i = 0; i < at; i++)
		if (trace_op(t, i)->kind == TRACE_WRITE && trace_op(t, i)->file == from)
			ops[1] = *trace_op(t, i);
	ops[1].file = to;
	ops[1].data = g_memdup2(ops[1].data, ops[1].size);
	ops[2] = (struct trace_op){ .kind = TRACE_SYNC, .file = to };
	ops[3] = (struct trace_op){ .kind = TRACE_NAME,
				    .file = TRACE_NO_FILE,
				    .name = g_strdup(trace_op(t, at)->gone) };
	trace_remove(t, at);
	for (guint i = 0; i < G_N_ELEMENTS(ops); i++)
		trace_insert(t, at + i, &ops[i]);
}

/* The mark is not there for certain when the files are that it speaks for. */
static void no_fsync_of_the_mark(struct trace *t)
{
	for (guint i = 0; i < t->ops->len; i++) {
		if (trace_op(t, i)->kind == TRACE_SYNC_DIR) {
			trace_remove(t, i);
			return;
		}
	}
}

static const struct bug {
	const char *name;
	void (*seed)(struct trace *t);
	bool ordered_too; /* found where names keep their order, too */
} bugs[] = {
	{ "the region files are not synced", no_region_fsync, true },
	{ "the image file is not synced", no_image_fsync, true },
	{ "the directory is not synced before the rename", no_directory_fsync_before, false },
	{ "the directory is not synced after the rename", no_directory_fsync_after, true },
	{ "the image is overwritten in place", overwrite_in_place, true },
	{ "the directory is not synced after the mark", no_fsync_of_the_mark, false },
};

START_TEST(seeded_bug_is_found)
{
	const struct bug *bug = &bugs[_i];
	struct sweep sweep = { .checker = crash_checker_new(), .nested = true, .one_in = 1 };
	GPtrArray *may;
	struct trace *t = crash_work_trace(crash_work_find("overwrite"), CRASH_LACK_NONE, &may);
	unsigned int n_bad[2];

	bug->seed(t);
	sweep.may = may;
	for (int model = CRASH_STRICT; model <= CRASH_ORDERED; model++) {
		sweep.n_bad = 0;
		sweep.model = models[model];
		crash_states(t, (enum crash_model)model, 1, NULL, check_state, &sweep);
		n_bad[model] = sweep.n_bad;
	}
	printf("# %s: %u bad states, %u where names keep their order; the first: %s\n", bug->name,
	       n_bad[0], n_bad[1], sweep.first);
	(void)fflush(stdout);
	ck_assert_msg(n_bad[CRASH_STRICT] > 0, "it is not found: %s", bug->name);
	ck_assert_msg((n_bad[CRASH_ORDERED] > 0) == bug->ordered_too, "%s", bug->name);
	trace_free(t);
	g_ptr_array_unref(may);
	sweep_free(&sweep);
}
END_TEST

static const char *const lacks[N_CRASH_LACKS] = { "all", "no-tmpfile", "no-noreplace" };

static Suite *crash_suite(void)
{
	Suite *s = suite_create("crash");
	TCase *tc;

	for (int lack = 0; lack < N_CRASH_LACKS; lack++) {
		tc = tcase_create(lacks[lack]);
		tcase_set_timeout(tc, 600);
		/* Of the rarer file systems a few works are enough for every day. */
		for (int i = 0; i < n_crash_works; i += lack ? test_rounds(7, 1) : 1)
			tcase_add_loop_test(tc, power_cut_keeps_what_is_committed_and_nothing_half,
					    lack * n_crash_works + i, lack * n_crash_works + i + 1);
		suite_add_tcase(s, tc);
	}
	tc = tcase_create("bugs");
	tcase_add_loop_test(tc, seeded_bug_is_found, 0, (int)G_N_ELEMENTS(bugs));
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	/* In memory: every state is a directory of its own. */
	if (access("/dev/shm", W_OK) == 0)
		(void)g_setenv("TMPDIR", "/dev/shm", FALSE);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return EXIT_FAILURE;
	}
	int status = test_run(crash_suite());
	printf("# %" G_GUINT64_FORMAT " states checked, %" G_GUINT64_FORMAT
	       " of them distinct, in %d works on %d kinds of file system; %" G_GUINT64_FORMAT
	       " times also what the next writer did\n",
	       shared->n_checked, shared->n_distinct, n_crash_works, N_CRASH_LACKS,
	       shared->n_sequels);
	return status;
}
