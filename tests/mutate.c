/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bad image directories by the thousand: valid ones whose files are changed at random, read, forked
 * and checked as if they were good.  None may crash or hang what does that, or take a lot of
 *memory.
 *
 *	mutate                          a test (TAP); CIMFS_SEED repeats another run
 *	mutate --first=N --cases=N      some of its cases
 *	mutate --case=N --keep=DIR      one bad directory, to be looked at
 *
 * The cases are run by children, so that what kills one is told by its number and the rest go on.
 */
#include "config.h"

#define CIM_TESTS_WITHOUT_CHECK

#include <dirent.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "exercise.h"
#include "fuzz.h"
#include "mutate-damage.h"
#include "mutate-set.h"
#include "util.h"

#define N_CASES      3000
#define LONG_CASES   100000
#define N_SETS       6 /* valid directories to start from */
#define CASE_SECONDS 5 /* of processor time; one that takes longer hangs */
#define MEMORY_MAX   (1024u << 20)
#define MAX_FAILURES 20

/* The core's own handler is wanted. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "handle_sigbus=0:quarantine_size_mb=64";
}

/* What the children tell; the parent sees it also when they are dead. */
struct shared {
	_Atomic(uint64_t) at; /* the case that is run */
	_Atomic(uint64_t) n_refused, n_read, n_forked, n_lost, n_unseen;
};

static struct mutate_set *sets[N_SETS];
static struct shared *shared;
static uint64_t seed;
static char *work; /* the directory that is bad */
static int work_fd = -1;

/* ---- the directory ---- */

static bool in_set(const struct mutate_set *s, const char *name)
{
	for (uint32_t i = 0; i < s->files->len; i++)
		if (strcmp(g_array_index(s->files, struct mutate_file, i).name, name) == 0)
			return true;
	return false;
}

static void remove_others(const struct mutate_set *s)
{
	DIR *dir = opendir(work);
	struct dirent *e;

	fuzz_check(dir);
	while ((e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    !(s && in_set(s, e->d_name)) && unlinkat(work_fd, e->d_name, 0) < 0)
			fuzz_check(unlinkat(work_fd, e->d_name, AT_REMOVEDIR) == 0);
	(void)closedir(dir);
}

static void restore(const struct mutate_set *s, const bool *dirty)
{
	for (uint32_t i = 0; i < s->files->len; i++)
		if (!dirty || dirty[i])
			mutate_write(s, i, work_fd);
}

static void make_sets(void)
{
	work = g_strdup("/dev/shm/cimfs-mutate-XXXXXX");
	if (!g_mkdtemp(work)) {
		g_free(work);
		work = g_dir_make_tmp("cimfs-mutate-XXXXXX", NULL);
	}
	fuzz_check(work);
	work_fd = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fuzz_check(work_fd >= 0);
	for (uint64_t i = 0; i < N_SETS; i++) {
		sets[i] = mutate_set_make(seed + i, work);
		remove_others(NULL);
	}
}

static void free_sets(void)
{
	for (int i = 0; i < N_SETS; i++)
		mutate_set_free(sets[i]);
	(void)close(work_fd);
	g_free(work);
}

/* ---- one case ---- */

static void cut_a_file(const struct mutate_set *s, struct test_random *r, bool *dirty)
{
	uint32_t i = (uint32_t)test_random_below(r, s->files->len);
	const struct mutate_file *f = &g_array_index(s->files, struct mutate_file, i);
	cim_autofd fd = openat(work_fd, f->name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, (off_t)test_random_below(r, f->size)) == 0)
		dirty[i] = true;
}

/* An image that is open while its files are cut off. */
static void exercise_cut(struct cim_store *store, const char *name, const struct mutate_set *s,
			 struct test_random *r, bool *dirty)
{
	struct walk w = { .files = 100, .depth = 8 };
	struct cim_image *img;

	if (cim_image_open(store, name, &img) < 0)
		return;
	cut_a_file(s, r, dirty);
	walk_file(&w, img, img->fs.root_id);
	cim_image_unref(img);
}

/* A clean bill is given only to what can be read. */
static void exercise_verdict(struct cim_store *store, const char *name)
{
	uint8_t digest[CIM_SHA256_SIZE];
	int hashed = exercise_hash(store, name, digest);

	if (exercise_fsck(store, name) == 0 && hashed < 0) {
		shared->n_unseen++;
		printf("# case %llu: fsck finds no fault in %s, but: %s\n",
		       (unsigned long long)shared->at, name, cim_reason());
	}
}

static void exercise(const struct mutate_set *s, struct test_random *r, bool *dirty)
{
	struct cim_store *store;

	fuzz_check(cim_store_open(AT_FDCWD, work, &store) == 0);
	for (uint32_t i = 0; i < s->n_images; i++) {
		const char *name = g_array_index(s->files, struct mutate_file, i).name;
		struct walk w = { .files = 200, .depth = 64 };

		if (exercise_read(store, name, &w) < 0)
			shared->n_refused++;
		else
			shared->n_read++;
	}
	const char *base =
		g_array_index(s->files, struct mutate_file, test_random_below(r, s->n_images)).name;
	const char *stage;
	if (exercise_fork(store, base, "fork.cim", &stage) == 0) {
		struct walk w = { .files = 200, .depth = 64 };

		shared->n_forked++;
		if (!exercise_added(store, "fork.cim"))
			shared->n_lost++;
		(void)exercise_read(store, "fork.cim", &w);
	}
	if (test_random_below(r, 4) == 0)
		(void)exercise_fsck(store, NULL);
	if (test_random_below(r, 2) == 0)
		exercise_verdict(store, base);
	if (test_random_below(r, 8) == 0)
		exercise_cut(store, base, s, r, dirty);
	cim_store_unref(store);
}

static uint64_t hash_number(uint64_t n)
{
	struct test_random r = { seed ^ n };

	return test_random_next(&r);
}

/* Without the exercise, @number is left as a bad directory. */
static void run_case(uint64_t number, bool whole)
{
	const struct mutate_set *s = sets[number % N_SETS];
	g_autofree bool *dirty = g_new0(bool, s->files->len);
	struct test_random r = { hash_number(number) };

	mutate_damage(s, &r, work_fd, dirty);
	if (!whole)
		return;
	exercise(s, &r, dirty);
	remove_others(s);
	restore(s, dirty);
}

/* ---- children ---- */

static void set_limits(void)
{
#ifndef TEST_SANITIZED
	struct rlimit limit = { MEMORY_MAX, MEMORY_MAX };

	(void)setrlimit(RLIMIT_AS, &limit);
#endif
	struct rlimit core = { 0, 0 };
	(void)setrlimit(RLIMIT_CORE, &core);
}

/* The cases of one set are run together, so that it is written once. */
static void child(uint64_t first, uint64_t end, uint64_t step)
{
	const struct itimerval limit = { .it_value.tv_sec = CASE_SECONDS };

	set_limits();
	remove_others(NULL);
	restore(sets[first % N_SETS], NULL);
	for (uint64_t i = first; i < end; i += step) {
		shared->at = i;
		(void)setitimer(ITIMER_PROF, &limit, NULL); /* SIGPROF ends a process */
		run_case(i, true);
	}
	(void)setitimer(ITIMER_PROF, &(struct itimerval){ 0 }, NULL);
	remove_others(NULL);
	free_sets();
	exit(EXIT_SUCCESS);
}

/* Runs the cases of one set; returns how many failed. */
static unsigned int run_set(uint64_t first, uint64_t end)
{
	unsigned int n_failed = 0;

	while (first < end && n_failed < MAX_FAILURES) {
		int status;

		fflush(stdout);
		pid_t pid = fork();
		fuzz_check(pid >= 0);
		if (pid == 0)
			child(first, end, N_SETS);
		fuzz_check(waitpid(pid, &status, 0) == pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			break;
		n_failed++;
		bool hung = WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF;
		printf("# case %llu %s (status %#x): tests/mutate --first=%llu --cases=1, "
		       "CIMFS_SEED=%#llx\n",
		       (unsigned long long)shared->at, hung ? "hangs" : "crashes",
		       (unsigned int)status, (unsigned long long)shared->at,
		       (unsigned long long)seed);
		first = shared->at + N_SETS;
	}
	return n_failed;
}

static int run_cases(uint64_t first, uint64_t n)
{
	unsigned int n_failed = 0;
	struct rusage usage;

	printf("1..4\n# seed %#llx, cases %llu to %llu\n", (unsigned long long)seed,
	       (unsigned long long)first, (unsigned long long)(first + n - 1));
	for (uint64_t i = first; i < first + MIN(n, N_SETS); i++)
		n_failed += run_set(i, first + n);
	fuzz_check(getrusage(RUSAGE_CHILDREN, &usage) == 0);
	bool fits = (uint64_t)usage.ru_maxrss * 1024 < MEMORY_MAX;
	printf("# images: %llu refused, %llu read; %llu forks committed; at most %ld MiB\n",
	       (unsigned long long)shared->n_refused, (unsigned long long)shared->n_read,
	       (unsigned long long)shared->n_forked, usage.ru_maxrss / 1024);
	printf("%s 1 - %llu bad directories: no crash, nothing over %d s\n",
	       n_failed ? "not ok" : "ok", (unsigned long long)n, CASE_SECONDS);
	printf("%s 2 - none took 1 GiB\n", fits ? "ok" : "not ok");
	printf("%s 3 - what was committed can be read\n", shared->n_lost ? "not ok" : "ok");
	printf("%s 4 - what fsck finds no fault in can be read\n",
	       shared->n_unseen ? "not ok" : "ok");
	return n_failed || !fits || shared->n_lost || shared->n_unseen ? EXIT_FAILURE
								       : EXIT_SUCCESS;
}

/* ---- */

static int keep_case(uint64_t number, const char *dir)
{
	(void)rmdir(work);
	(void)close(work_fd);
	g_free(work);
	work = g_strdup(dir);
	(void)mkdir(dir, 0755);
	work_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (work_fd < 0) {
		fprintf(stderr, "cannot open \"%s\": %s\n", dir, g_strerror(errno));
		return EXIT_FAILURE;
	}
	restore(sets[number % N_SETS], NULL);
	run_case(number, false);
	free_sets();
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	gint64 first = 0, cases = test_rounds(N_CASES, LONG_CASES), one = -1;
	g_autofree char *dir = NULL;
	const GOptionEntry options[] = {
		{ "first", 0, 0, G_OPTION_ARG_INT64, &first, "The first case", "N" },
		{ "cases", 0, 0, G_OPTION_ARG_INT64, &cases, "How many", "N" },
		{ "case", 0, 0, G_OPTION_ARG_INT64, &one, "Make one bad directory", "N" },
		{ "keep", 0, 0, G_OPTION_ARG_FILENAME, &dir, "There", "DIR" },
		{ NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(context, options, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error) || (one >= 0) != (dir != NULL)) {
		fprintf(stderr, "mutate: %s\n", error ? error->message : "--case needs --keep");
		return 2;
	}
	seed = test_seed(1);
	make_sets();
	if (dir)
		return keep_case((uint64_t)one, dir);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	fuzz_check(shared != MAP_FAILED);
	int status = run_cases((uint64_t)first, (uint64_t)MAX(cases, 1));
	remove_others(NULL);
	(void)rmdir(work);
	free_sets();
	return status;
}
