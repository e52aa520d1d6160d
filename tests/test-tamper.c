/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Others who do not mind the lock: what they do to the files of a writer, and to those of its base,
 * is found by the commit.  It says so and makes no image; what was committed before is as it was.
 */
#include "config.h"

#include "commit.h"
#include "imagedir.h"

#define N_OWN_FILES 7 /* regions, object IDs, the image file */

/* ---- files without a name, by way of /proc ---- */

/* The @n-th descriptor that is open on a nameless file of the directory; -1: there is none. */
static int find_nameless(int n)
{
	for (int fd = 0; fd < 1000; fd++) {
		g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
		g_autofree char *path = g_file_read_link(link, NULL);

		if (path && g_str_has_prefix(path, test_path) && strstr(path, " (deleted)") &&
		    n-- == 0)
			return fd;
	}
	return -1;
}

static int tampered_file;
static off_t tampered_by;
static bool was_tampered;

static int tamper(enum cim_commit_step step)
{
	if (step != CIM_COMMIT_ENCODED)
		return 0;
	int fd = find_nameless(tampered_file);
	struct stat st;

	if (fd < 0)
		return 0;
	ck_assert_int_eq(fstat(fd, &st), 0);
	/* By a path, as somebody else would. */
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
	ck_assert_int_eq(truncate(path, st.st_size + tampered_by), 0);
	was_tampered = true;
	return 0;
}

static void teardown_tamper(void)
{
	cim_commit_test_hook = NULL;
	teardown_dir();
}

START_TEST(a_file_that_others_change_while_it_is_written_is_not_published)
{
	make_image(NULL, "base.cim", "base");
	g_autoptr(GHashTable) before = checksums();
	struct cim_writer *w = open_writer("base.cim", "new.cim");

	put_text(w, "f2", "new");
	tampered_file = _i / 2;
	tampered_by = _i % 2 ? 1 : -1;
	was_tampered = false;
	cim_commit_test_hook = tamper;
	int r = cim_writer_commit(w);
	if (!was_tampered) { /* a file system without O_TMPFILE */
		cim_writer_close(w);
		return;
	}
	ck_assert_int_eq(r, -CIM_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(cim_reason(), "somebody else"));
	ck_assert_int_eq(cim_writer_commit(w), -ESTALE);
	cim_writer_close(w);
	check_unchanged(before, NULL);
	ck_assert_uint_eq(count_files("", NULL), g_hash_table_size(before));
}
END_TEST

START_TEST(a_writer_has_no_more_files_than_the_test_changes)
{
	struct cim_writer *w = open_writer(NULL, "new.cim");

	put_text(w, "f", "new");
	tampered_file = N_OWN_FILES;
	was_tampered = false;
	cim_commit_test_hook = tamper;
	ck_assert_int_eq(cim_writer_commit(w), 0);
	ck_assert(!was_tampered);
	cim_writer_close(w);
}
END_TEST

/* ---- the base's region files ---- */

/* Of each region file of the base what can be done to it; and how it is mended. */
static void move_away(const char *path)
{
	g_autofree char *away = g_strconcat(path, ".away", NULL);

	ck_assert_int_eq(rename(path, away), 0);
}

static void move_back(const char *path)
{
	g_autofree char *away = g_strconcat(path, ".away", NULL);

	ck_assert_int_eq(rename(away, path), 0);
}

static void add_byte(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(truncate(path, st.st_size + 1), 0);
}

static void take_byte(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(truncate(path, st.st_size - 1), 0);
}

static void put_fifo(const char *path)
{
	move_away(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
}

static void take_fifo(const char *path)
{
	ck_assert_int_eq(unlink(path), 0);
	move_back(path);
}

static const struct {
	void (*harm)(const char *path), (*mend)(const char *path);
} harms[] = {
	{ move_away, move_back },
	{ add_byte, take_byte },
	{ put_fifo, take_fifo },
};

static char *region_path(const char *image, uint32_t index)
{
	g_autofree struct cim_set *sets = NULL;
	char name[CIM_FILE_NAME];
	uint32_t n;

	ck_assert_int_eq(cim_image_list_sets(test_store, image, &sets, &n), 0);
	cim_region_name(&sets[n - 1].guid, index, name);
	return path_of(name);
}

START_TEST(a_base_that_lost_a_region_file_is_not_built_upon)
{
	make_image(NULL, "base.cim", "base");
	make_image("base.cim", "fork.cim", "fork");
	struct cim_writer *w = open_writer("fork.cim", "new.cim");
	/* The base's own, and the fork's. */
	g_autofree char *path =
		region_path(_i % 2 ? "base.cim" : "fork.cim", (uint32_t)(_i / 2) % 3);
	int kind = _i / 6;

	put_text(w, "f2", "new");
	harms[kind].harm(path);
	ck_assert_int_eq(cim_writer_commit(w), -CIM_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(cim_reason(), "region_"));
	ck_assert(!has_file("new.cim"));
	/* Nothing is lost: the writer goes on, and commits when it is mended. */
	put_text(w, "f3", "newer");
	harms[kind].mend(path);
	ck_assert_int_eq(cim_writer_commit(w), 0);
	cim_writer_close(w);
	check_image_text("new.cim", "f2", "new");
	check_image_text("new.cim", "f3", "newer");
	check_image_text("fork.cim", "f", "fork");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("tamper");
	TCase *own = tcase_create("own files"), *base = tcase_create("base");

	tcase_add_checked_fixture(own, setup_dir, teardown_tamper);
	tcase_add_loop_test(own, a_file_that_others_change_while_it_is_written_is_not_published, 0,
			    2 * N_OWN_FILES);
	tcase_add_test(own, a_writer_has_no_more_files_than_the_test_changes);
	suite_add_tcase(s, own);
	tcase_add_checked_fixture(base, setup_dir, teardown_dir);
	tcase_add_loop_test(base, a_base_that_lost_a_region_file_is_not_built_upon, 0,
			    6 * (int)N_ROWS(harms));
	suite_add_tcase(s, base);
	return s;
}

int main(void)
{
	return test_run(suite());
}
