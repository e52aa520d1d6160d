/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who becomes the writer of a directory: what opening answers, in which order, and that it is one
 * at a time.  What a writer makes is tested by test-tree.c and those beside it.
 */
#include "config.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "imagedir.h"
#include "lock.h"
#include "writer.h"

/* ---- opening ---- */

static const struct {
	const char *existing, *new_name;
	int expect;
} opens[] = {
	{ NULL, "new", 0 },
	{ "a.cim", NULL, 0 },
	{ "a.cim", "a.cim", 0 },
	{ "a.cim", "new", 0 },
	{ NULL, NULL, -EINVAL },
	{ "", NULL, -EINVAL },
	{ NULL, "", -EINVAL },
	{ "a.cim", "x/y", -EINVAL },
	{ "..", "new", -EINVAL },
	{ NULL, "control", -EINVAL },
	{ NULL, "writer", -EINVAL },
	{ "region_1", NULL, -EINVAL },
	{ NULL, "objectid_x", -EINVAL },
	{ NULL, ".cimfs-x", -EINVAL },
	{ NULL, "a\nb", -EINVAL },
	{ "missing", ".", -EINVAL },
	{ "missing", NULL, -ENOENT },
	{ "missing", "new", -ENOENT },
	{ "missing", "b.cim", -ENOENT },
	{ NULL, "a.cim", -EEXIST },
	{ "a.cim", "b.cim", -EEXIST },
	{ "a.cim", "text", -EEXIST },
	{ NULL, "dir", -EEXIST },
	{ NULL, "link", -EEXIST },
	{ "damaged", "b.cim", -EEXIST },
	{ "damaged", "new", -CIM_ECORRUPT },
	{ "damaged", NULL, -CIM_ECORRUPT },
	{ "text", NULL, -CIM_ECORRUPT },
	{ "text", "new", -CIM_ECORRUPT },
	{ "dir", NULL, -CIM_ECORRUPT },
	{ "link", "new", -CIM_ECORRUPT },
};

START_TEST(open_answers_as_the_interface_says)
{
	struct cim_common_disk head;
	struct cim_writer *w = NULL;

	make_image(NULL, "a.cim", "a");
	make_image("a.cim", "b.cim", "b");
	cim_common_encode(&head, CIM_FILE_IMAGE, sizeof(head));
	put_file("damaged", &head, sizeof(head));
	put_file("text", "hello", 5);
	ck_assert_int_eq(mkdirat(test_store->dirfd, "dir", 0755), 0);
	ck_assert_int_eq(symlinkat("a.cim", test_store->dirfd, "link"), 0);
	unsigned int n = count_files("", NULL);
	ck_assert_int_eq(try_open(opens[_i].existing, opens[_i].new_name, &w), opens[_i].expect);
	ck_assert_int_eq(w != NULL, opens[_i].expect == 0);
	if (opens[_i].expect)
		ck_assert_str_ne(cim_reason(), "");
	cim_writer_close(w);
	ck_assert_uint_eq(count_files("", NULL), n);
}
END_TEST

START_TEST(open_by_path_checks_the_names_first)
{
	g_autofree char *missing = path_of("missing"), *file = path_of("file");
	struct cim_writer *w;

	put_file("file", "x", 1);
	ck_assert_int_eq(cim_writer_open_path(missing, NULL, "x/y", CIM_CASE_BASE, &w), -EINVAL);
	ck_assert_int_eq(cim_writer_open_path(missing, NULL, "new", CIM_CASE_BASE, &w), -ENOENT);
	ck_assert_int_eq(cim_writer_open_path(file, NULL, "new", CIM_CASE_BASE, &w), -ENOTDIR);
	ck_assert_int_eq(cim_writer_open_path(test_path, NULL, "new", CIM_CASE_BASE, &w), 0);
	cim_writer_close(w);
}
END_TEST

START_TEST(open_asks_for_the_lock_before_the_names_are_looked_up)
{
	struct cim_writer *w = open_writer(NULL, "new"), *second;

	ck_assert_int_eq(try_open("missing", NULL, &second), -CIM_ELOCKED);
	ck_assert_int_eq(try_open(NULL, "x/y", &second), -EINVAL);
	cim_writer_close(w);
	ck_assert_int_eq(try_open("missing", NULL, &second), -ENOENT);
}
END_TEST

START_TEST(open_needs_the_right_to_add_files)
{
	int status, fd;
	pid_t pid;

	if (geteuid() != 0)
		return;
	/* The lock is held: that comes after. */
	ck_assert_int_eq(cim_lock(test_store->dirfd, &fd), 0);
	ck_assert_int_eq(chmod(test_path, 0755), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct cim_writer *w;

		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(255);
		_exit(-try_open("missing", NULL, &w));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	(void)close(fd);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EACCES);
}
END_TEST

START_TEST(failed_open_does_not_keep_the_lock)
{
	struct cim_writer *w;

	make_image(NULL, "a.cim", "a");
	ck_assert_int_eq(try_open("missing", NULL, &w), -ENOENT);
	ck_assert_int_eq(try_open(NULL, "a.cim", &w), -EEXIST);
	ck_assert_int_eq(cim_writer_open(test_store, "a.cim", NULL, CIM_CASE_INSENSITIVE, &w),
			 -EINVAL);
	cim_writer_close(open_writer("a.cim", NULL));
}
END_TEST

START_TEST(info_tells_what_the_writer_is_for)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_writer_info info;

	cim_writer_info(w, &info);
	ck_assert_ptr_null(info.existing);
	ck_assert_str_eq(info.new_name, "a.cim");
	ck_assert(info.case_sensitive);
	put_text(w, "f", "12345");
	cim_writer_info(w, &info);
	ck_assert_uint_eq(info.n_changed, 2);
	ck_assert_uint_eq(info.n_bytes, 5);
	commit(w);
	w = open_writer("a.cim", NULL);
	cim_writer_info(w, &info);
	ck_assert_str_eq(info.existing, "a.cim");
	ck_assert_str_eq(info.new_name, "a.cim");
	ck_assert_uint_eq(info.n_changed, 0);
	cim_writer_close(w);
}
END_TEST

/* ---- two processes and one directory ---- */

#define N_RACES 1000

struct race {
	pthread_barrier_t barrier;
	int result[2];
	int n_wrong;
};

static void run_race(struct race *race, int me)
{
	for (int i = 0; i < N_RACES; i++) {
		struct cim_writer *w = NULL;

		pthread_barrier_wait(&race->barrier);
		race->result[me] = try_open(NULL, "new", &w);
		pthread_barrier_wait(&race->barrier);
		bool one = (race->result[0] == 0 && race->result[1] == -CIM_ELOCKED) ||
			   (race->result[1] == 0 && race->result[0] == -CIM_ELOCKED);
		if (me == 0 && !one)
			race->n_wrong++;
		cim_writer_close(w);
		pthread_barrier_wait(&race->barrier);
	}
}

START_TEST(one_of_two_processes_becomes_the_writer)
{
	struct race *race = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_barrierattr_t shared;
	int status;

	ck_assert_ptr_ne(race, MAP_FAILED);
	pthread_barrierattr_init(&shared);
	pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&race->barrier, &shared, 2);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	run_race(race, pid == 0);
	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(race->n_wrong, 0);
	pthread_barrier_destroy(&race->barrier);
	pthread_barrierattr_destroy(&shared);
	munmap(race, sizeof(*race));
	ck_assert_uint_eq(count_files("", NULL), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("writer");
	TCase *open = tcase_create("open");

	tcase_add_checked_fixture(open, setup_dir, teardown_dir);
	tcase_add_loop_test(open, open_answers_as_the_interface_says, 0, N_ROWS(opens));
	tcase_add_test(open, open_by_path_checks_the_names_first);
	tcase_add_test(open, open_asks_for_the_lock_before_the_names_are_looked_up);
	tcase_add_test(open, open_needs_the_right_to_add_files);
	tcase_add_test(open, failed_open_does_not_keep_the_lock);
	tcase_add_test(open, info_tells_what_the_writer_is_for);
	tcase_add_test(open, one_of_two_processes_becomes_the_writer);
	suite_add_tcase(suite, open);
	return test_run(suite);
}
