/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commits: stopped, killed and failed at each step, what they leave, and that what is committed
 * stays.
 */
#include "config.h"

#include <signal.h>
#include <sys/wait.h>

#include "commit.h"
#include "imagedir.h"
#include "writer.h"

#define MIB (1024 * 1024)

/* ---- commit ---- */

static enum cim_commit_step hook_step;
static int hook_result; /* SIGKILL: the process dies there */

static int commit_hook(enum cim_commit_step step)
{
	if (step != hook_step)
		return 0;
	if (hook_result == SIGKILL)
		(void)kill(getpid(), SIGKILL);
	return hook_result;
}

/* "a.cim" and "b.cim", a fork of it, are there before. */
static const struct {
	const char *existing, *new_name;
	const char *image; /* that the commit is to make */
} kinds[] = {
	{ NULL, "new.cim", "new.cim" },
	{ "a.cim", "new.cim", "new.cim" },
	{ "a.cim", NULL, "a.cim" },
	{ "b.cim", NULL, "b.cim" },
};

#define N_STOPS ((int)N_ROWS(kinds) * CIM_COMMIT_DONE)

static struct cim_writer *stage(int kind)
{
	struct cim_writer *w = open_writer(kinds[kind].existing, kinds[kind].new_name);
	uint32_t id;

	if (try_find(w, "f", &id) == 0)
		ck_assert_int_eq(try_unlink(w, "f"), 0);
	put_text(w, "f", "new");
	return w;
}

/* Old images are whole; the new one is there or is not. */
static void check_after_stop(int kind, bool visible)
{
	const char *image = kinds[kind].image;

	check_image_text("a.cim", "f", visible && strcmp(image, "a.cim") == 0 ? "new" : "a");
	check_image_text("b.cim", "f", visible && strcmp(image, "b.cim") == 0 ? "new" : "b");
	ck_assert_int_eq(has_file("new.cim"), visible && strcmp(image, "new.cim") == 0);
	if (has_file("new.cim"))
		check_image_text("new.cim", "f", "new");
}

/* The next writer sweeps, and can commit: nothing is there that no image needs. */
static void check_sweep(int kind, bool visible)
{
	unsigned int n_sets = visible ? 3 : 2;

	cim_writer_close(open_writer(NULL, "next.cim"));
	ck_assert_uint_eq(count_files(".cimfs", NULL), 0);
	ck_assert_uint_eq(count_files("region_", NULL), 3 * n_sets);
	ck_assert_uint_eq(count_files("objectid_", NULL), 3 * n_sets);
	check_after_stop(kind, visible);
	make_image("b.cim", "next.cim", "next");
	check_image_text("next.cim", "f", "next");
	ck_assert_uint_eq(count_files("region_", NULL), 3 * n_sets + 3);
	check_after_stop(kind, visible);
}

static void setup_images(void)
{
	setup_dir();
	make_image(NULL, "a.cim", "a");
	make_image("a.cim", "b.cim", "b");
	cim_commit_test_hook = commit_hook;
	hook_step = 0;
}

static void teardown_images(void)
{
	cim_commit_test_hook = NULL;
	teardown_dir();
}

START_TEST(commit_that_is_stopped_keeps_the_old_images)
{
	int kind = _i / CIM_COMMIT_DONE;
	enum cim_commit_step step = (enum cim_commit_step)(_i % CIM_COMMIT_DONE + 1);
	struct cim_writer *w = stage(kind);

	hook_step = step;
	hook_result = 1;
	ck_assert_int_eq(cim_writer_commit(w), -EINTR);
	hook_step = 0;
	ck_assert_int_eq(cim_writer_commit(w), -ESTALE);
	cim_writer_close(w);
	check_after_stop(kind, step >= CIM_COMMIT_RENAMED);
	check_sweep(kind, step >= CIM_COMMIT_RENAMED);
}
END_TEST

START_TEST(commit_of_a_process_that_is_killed_keeps_the_old_images)
{
	int kind = _i / CIM_COMMIT_DONE, status;
	enum cim_commit_step step = (enum cim_commit_step)(_i % CIM_COMMIT_DONE + 1);
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct cim_writer *w = stage(kind);

		hook_step = step;
		hook_result = SIGKILL;
		(void)cim_writer_commit(w);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	check_after_stop(kind, step >= CIM_COMMIT_RENAMED);
	check_sweep(kind, step >= CIM_COMMIT_RENAMED);
}
END_TEST

START_TEST(commit_that_fails_leaves_the_old_state)
{
	int kind = _i / CIM_COMMIT_DONE;
	enum cim_commit_step step = (enum cim_commit_step)(_i % CIM_COMMIT_DONE + 1);
	bool visible =
		step >= CIM_COMMIT_RENAMED; /* then it stays, and only its durability is in doubt */
	struct cim_writer *w = stage(kind);
	g_autoptr(GHashTable) before = checksums();

	hook_step = step;
	hook_result = -EIO;
	ck_assert_int_eq(cim_writer_commit(w), -EIO);
	ck_assert_uint_eq(count_files("", NULL),
			  g_hash_table_size(before) + (visible ? 6 + (kind < 2) : 0));
	check_unchanged(before, visible ? kinds[kind].image : NULL);
	hook_step = 0;
	ck_assert_int_eq(cim_writer_commit(w), -ESTALE);
	ck_assert_int_eq(try_make(w, "g", S_IFREG), -ESTALE);
	cim_writer_close(w);
	check_after_stop(kind, visible);
	check_sweep(kind, visible);
}
END_TEST

START_TEST(commit_that_lacked_something_may_be_tried_again)
{
	static const int errors[] = { ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE, ENOMEM };
	struct cim_writer *w = stage(1);
	g_autoptr(GHashTable) before = checksums();

	hook_step = CIM_COMMIT_ENCODED;
	hook_result = -errors[_i];
	ck_assert_int_eq(cim_writer_commit(w), -errors[_i]);
	ck_assert_uint_eq(count_files("", NULL), g_hash_table_size(before));
	put_text(w, "g", "more");
	hook_step = 0;
	commit(w);
	check_image_text("new.cim", "f", "new");
	check_image_text("new.cim", "g", "more");
	check_unchanged(before, NULL);
}
END_TEST

START_TEST(commit_over_a_file_that_came_meanwhile_may_be_tried_again)
{
	struct cim_writer *w = stage(1);

	put_file("new.cim", "mine", 4);
	ck_assert_int_eq(cim_writer_commit(w), -EEXIST);
	ck_assert_int_eq(cim_writer_commit(w), -EEXIST);
	ck_assert_uint_eq(count_files("region_", NULL), 6);
	put_text(w, "g", "more");
	ck_assert_int_eq(unlinkat(test_store->dirfd, "new.cim", 0), 0);
	commit(w);
	check_image_text("new.cim", "f", "new");
	check_image_text("new.cim", "g", "more");
}
END_TEST

START_TEST(sweep_leaves_what_is_not_a_writer_s)
{
	g_autoptr(GHashTable) before = checksums();

	put_file(".cimfs-scratch-0000", "x", 1);
	put_file(".cimfs", "x", 1);
	put_file("region_not-a-guid_0", "x", 1);
	put_file(".other", "x", 1);
	cim_writer_close(open_writer(NULL, "new.cim"));
	ck_assert_uint_eq(count_files(".cimfs", NULL), 0);
	ck_assert(has_file("region_not-a-guid_0"));
	ck_assert(has_file(".other"));
	check_unchanged(before, NULL);
}
END_TEST

START_TEST(sweep_does_not_believe_a_mark_of_a_set_that_is_used)
{
	struct cim_set *sets;
	char guid[CIM_GUID_TEXT], mark[CIM_FILE_NAME];
	uint32_t n;

	ck_assert_int_eq(cim_image_list_sets(test_store, "a.cim", &sets, &n), 0);
	cim_guid_format(&sets[0].guid, guid);
	g_free(sets);
	snprintf(mark, sizeof(mark), ".cimfs-%s", guid);
	put_file(mark, "x", 1);
	cim_writer_close(open_writer(NULL, "new.cim"));
	ck_assert(!has_file(mark));
	check_image_text("a.cim", "f", "a");
}
END_TEST

START_TEST(close_without_commit_leaves_no_trace)
{
	g_autoptr(GHashTable) before = checksums();
	g_autofree uint8_t *data = pattern(3 * MIB, 17);

	for (int kind = 0; kind < (int)N_ROWS(kinds); kind++) {
		struct cim_writer *w = stage(kind);
		uint32_t id = put(w, "large", data, 3 * MIB);

		ck_assert_int_eq(cim_writer_open_file(w, id, CIM_OPEN_WRITE), 0);
		ck_assert_int_eq(cim_writer_write(w, id, 0, "x", 1), 1);
		cim_writer_close(w);
		ck_assert_uint_eq(count_files("", NULL), g_hash_table_size(before));
		check_unchanged(before, NULL);
	}
}
END_TEST

START_TEST(replaced_image_is_read_to_the_end_by_who_has_it_open)
{
	struct cim_image *old = open_image("a.cim");

	make_image("a.cim", NULL, "newer");
	check_image_text("a.cim", "f", "newer");
	check_text(old, "f", "a");
	cim_image_unref(old);
}
END_TEST

START_TEST(fork_without_changes_is_its_base)
{
	struct cim_writer *w = open_writer("a.cim", "c.cim");
	uint64_t before = region_bytes();

	commit(w);
	ck_assert_uint_lt(region_bytes() - before, 8192);
	check_image_text("c.cim", "f", "a");
	struct cim_image *a = open_image("a.cim"), *c = open_image("c.cim");
	ck_assert_uint_eq(c->fs.root_id, a->fs.root_id);
	ck_assert_uint_eq(image_entry(c, "f").data.off, image_entry(a, "f").data.off);
	cim_image_unref(a);
	cim_image_unref(c);
}
END_TEST

START_TEST(committed_writer_accepts_only_close)
{
	struct cim_writer *w = stage(0);
	uint32_t root = cim_writer_root(w), id;
	struct cim_make make = { .mode = S_IFREG };

	ck_assert_int_eq(cim_writer_commit(w), 0);
	ck_assert_int_eq(cim_writer_commit(w), -ESTALE);
	ck_assert_int_eq(cim_writer_make(w, root, "x", 1, &make, &id), -ESTALE);
	ck_assert_int_eq(cim_writer_lookup(w, root, "f", 1, &id), -ESTALE);
	ck_assert_int_eq(cim_writer_attr(w, root, &(struct cim_attr){ 0 }), -ESTALE);
	cim_writer_close(w);
}
END_TEST

START_TEST(fork_of_a_fork_of_a_fork_has_all)
{
	char name[16] = "0.cim", next[16], path[16];
	struct cim_writer *w;

	make_image(NULL, "0.cim", "0");
	for (int i = 1; i <= 10; i++) {
		snprintf(next, sizeof(next), "%d.cim", i);
		snprintf(path, sizeof(path), "f%d", i);
		w = open_writer(name, next);
		put_text(w, path, next);
		commit(w);
		memcpy(name, next, sizeof(name));
	}
	struct cim_image *img = open_image("10.cim");
	ck_assert_uint_lt(img->n_sets, 8); /* the newest are merged, eight at a time */
	check_text(img, "f", "0");
	for (int i = 1; i <= 10; i++) {
		snprintf(next, sizeof(next), "%d.cim", i);
		snprintf(path, sizeof(path), "f%d", i);
		check_text(img, path, next);
	}
	cim_image_unref(img);
}
END_TEST

START_TEST(committed_files_never_change)
{
	for (int round = 0; round < 6; round++) {
		g_autoptr(GHashTable) before = checksums();
		g_autofree char *name = g_strdup_printf("r%d.cim", round);
		struct cim_writer *w;

		switch (round) {
		case 0:
			make_image("b.cim", name, "r");
			break;
		case 1:
			make_image(NULL, name, "r");
			break;
		case 2:
			w = open_writer("b.cim", name);
			write_at(w, find(w, "f"), 0, "xxxxxxxx", 8);
			cim_writer_close(w);
			break;
		case 3:
			w = open_writer("r0.cim", name);
			ck_assert_int_eq(try_truncate(w, find(w, "f"), 100000), 0);
			commit(w);
			break;
		case 4:
			w = stage(1);
			hook_step = CIM_COMMIT_LINKED;
			hook_result = -EIO;
			ck_assert_int_eq(cim_writer_commit(w), -EIO);
			hook_step = 0;
			cim_writer_close(w);
			break;
		default:
			make_image("a.cim", "a.cim", "changed");
		}
		check_unchanged(before, round == 5 ? "a.cim" : NULL);
	}
}
END_TEST

START_TEST(committed_files_are_read_only)
{
	GDir *dir = g_dir_open(test_path, 0, NULL);
	const char *name;
	struct stat st;

	ck_assert_ptr_nonnull(dir);
	while ((name = g_dir_read_name(dir))) {
		ck_assert_int_eq(fstatat(test_store->dirfd, name, &st, 0), 0);
		ck_assert_uint_eq(st.st_mode & 0222, 0);
	}
	g_dir_close(dir);
}
END_TEST

#define N_LARGE 20000

START_TEST(fork_costs_what_it_changes)
{
	struct cim_writer *w = open_writer(NULL, "large.cim");
	char path[32];
	uint64_t before;

	for (int i = 0; i < N_LARGE; i++) {
		if (i % 1000 == 0) {
			snprintf(path, sizeof(path), "d%d", i / 1000);
			make_dir(w, path);
		}
		snprintf(path, sizeof(path), "d%d/file-%d", i / 1000, i);
		put(w, path, &i, sizeof(i));
	}
	commit(w);
	before = region_bytes();
	w = open_writer("large.cim", "fork.cim");
	for (int i = 0; i < N_LARGE; i += N_LARGE / 10) {
		snprintf(path, sizeof(path), "d%d/file-%d", i / 1000, i);
		write_at(w, find(w, path), 0, "changed", 7);
	}
	commit(w);
	ck_assert_uint_lt(region_bytes() - before, 2 * MIB);
	struct cim_image *img = open_image("fork.cim");
	for (int i = 0; i < N_LARGE; i++) {
		snprintf(path, sizeof(path), "d%d/file-%d", i / 1000, i);
		if (i % (N_LARGE / 10) == 0)
			check_text(img, path, "changed");
		else
			check_content(img, path, &i, sizeof(i));
	}
	cim_image_unref(img);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("commit");
	TCase *commit = tcase_create("commit");

	tcase_add_checked_fixture(commit, setup_images, teardown_images);
	tcase_add_loop_test(commit, commit_that_is_stopped_keeps_the_old_images, 0, N_STOPS);
	tcase_add_loop_test(commit, commit_of_a_process_that_is_killed_keeps_the_old_images, 0,
			    N_STOPS);
	tcase_add_loop_test(commit, commit_that_fails_leaves_the_old_state, 0, N_STOPS);
	tcase_add_loop_test(commit, commit_that_lacked_something_may_be_tried_again, 0, 6);
	tcase_add_test(commit, commit_over_a_file_that_came_meanwhile_may_be_tried_again);
	tcase_add_test(commit, sweep_leaves_what_is_not_a_writer_s);
	tcase_add_test(commit, sweep_does_not_believe_a_mark_of_a_set_that_is_used);
	tcase_add_test(commit, close_without_commit_leaves_no_trace);
	tcase_add_test(commit, replaced_image_is_read_to_the_end_by_who_has_it_open);
	tcase_add_test(commit, fork_without_changes_is_its_base);
	tcase_add_test(commit, committed_writer_accepts_only_close);
	tcase_add_test(commit, fork_of_a_fork_of_a_fork_has_all);
	tcase_add_test(commit, committed_files_never_change);
	tcase_add_test(commit, committed_files_are_read_only);
	tcase_add_test(commit, fork_costs_what_it_changes);
	suite_add_tcase(s, commit);
	return s;
}

int main(void)
{
	return test_run(suite());
}
