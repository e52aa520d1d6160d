/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list of sets that an image shares: when it gets shorter, and when it must not.
 */
#include "config.h"

#include "commit.h"
#include "imagedir.h"
#include "node.h"

#define FAN       8 /* as chain.c has them */
#define FILES_MAX 16384

static uint32_t n_sets_of(const char *name)
{
	struct cim_image *img = open_image(name);
	uint32_t n = img->n_sets;

	cim_image_unref(img);
	return n;
}

/* @n small files in a new directory, each with bytes of its own. */
static void fill(struct cim_writer *w, int fork, int n)
{
	char path[32], text[32];

	g_snprintf(path, sizeof(path), "d%d", fork);
	make_dir(w, path);
	for (int i = 0; i < n; i++) {
		g_snprintf(path, sizeof(path), "d%d/%d", fork, i);
		g_snprintf(text, sizeof(text), "file %d of %d", i, fork);
		put_text(w, path, text);
	}
}

/* "a.cim", replaced until it lists @n_sets sets with @n_files files in each. */
static void stack(int n_sets, int n_files)
{
	for (int fork = 0; fork < n_sets; fork++) {
		struct cim_writer *w = open_writer(fork ? "a.cim" : NULL, "a.cim");

		fill(w, fork, n_files);
		commit(w);
	}
	ck_assert_uint_eq(n_sets_of("a.cim"), (unsigned int)n_sets);
}

/* A commit that changes one file; how many nodes it needed. */
static guint commit_one(int number)
{
	struct cim_writer *w = open_writer("a.cim", NULL);
	char path[32];

	g_snprintf(path, sizeof(path), "one%d", number);
	put_text(w, path, path);
	int r = cim_writer_commit(w);
	ck_assert_msg(r == 0, "%s: %s", strerror(-r), cim_reason());
	guint n = g_hash_table_size(w->base_nodes) + w->new_nodes->len;
	cim_writer_close(w);
	return n;
}

static void check_filled(int n_sets, int n_files)
{
	struct cim_image *img = open_image("a.cim");
	char path[32], text[32];

	for (int fork = 0; fork < n_sets; fork++) {
		for (int i = 0; i < n_files; i += 7) {
			g_snprintf(path, sizeof(path), "d%d/%d", fork, i);
			g_snprintf(text, sizeof(text), "file %d of %d", i, fork);
			check_text(img, path, text);
		}
	}
	cim_image_unref(img);
}

START_TEST(sets_with_few_files_are_merged)
{
	stack(FAN + 1, 100); /* the first has the upcase table, and is of another size */
	ck_assert_uint_ge(commit_one(0), FAN * 100);
	ck_assert_uint_eq(n_sets_of("a.cim"), 2);
	check_filled(FAN + 1, 100);
}
END_TEST

START_TEST(sets_with_many_files_are_merged_up_to_a_limit)
{
	stack(FAN, FILES_MAX / FAN - 8); /* with directories, the root and the first single file */
	ck_assert_uint_le(commit_one(0), FILES_MAX + 2);
	ck_assert_uint_eq(n_sets_of("a.cim"), 1);
	check_filled(FAN, FILES_MAX / FAN - 8);
}
END_TEST

START_TEST(sets_with_too_many_files_stay_and_cost_no_memory)
{
	const int n_files = FILES_MAX / 3 + 8;

	stack(FAN, n_files);
	for (int i = 0; i < FAN - 3; i++)
		ck_assert_uint_lt(commit_one(i), 16);
	ck_assert_uint_eq(n_sets_of("a.cim"), 2 * FAN - 3);
	/* The newest FAN have no more than two of the large ones now. */
	(void)commit_one(FAN - 3);
	guint n = commit_one(FAN - 2);
	ck_assert_uint_le(n, FILES_MAX + FAN);
	ck_assert_uint_lt(n_sets_of("a.cim"), 2 * FAN - 1);
	check_filled(FAN, n_files);
}
END_TEST

static int lack_space(enum cim_commit_step step)
{
	return step == CIM_COMMIT_ENCODED ? -ENOSPC : 0;
}

/* Deleted in the image, so that no merge brings it, and still in one of the sets. */
START_TEST(sets_are_looked_through_again_after_a_commit_that_failed)
{
	const char *text = "of a file that is gone";
	struct cim_writer *w;

	stack(FAN, 10);
	w = open_writer("a.cim", NULL);
	put_text(w, "gone", text);
	commit(w);
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(try_unlink(w, "gone"), 0);
	cim_commit_test_hook = lack_space;
	ck_assert_int_eq(cim_writer_commit(w), -ENOSPC);
	cim_commit_test_hook = NULL;
	const struct cim_node *node = cim_node_find(w, put_text(w, "again", text));
	ck_assert_int_eq(node->data.kind, CIM_DATA_STORED);
	ck_assert(!node->data.stored.own);
	commit(w);
	ck_assert_uint_eq(n_sets_of("b.cim"), 2);
	check_image_text("b.cim", "again", text);
	check_filled(FAN, 10);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("chain");
	TCase *chain = tcase_create("chain");

	tcase_add_checked_fixture(chain, setup_dir, teardown_dir);
	tcase_set_timeout(chain, 120);
	tcase_add_test(chain, sets_with_few_files_are_merged);
	tcase_add_test(chain, sets_with_many_files_are_merged_up_to_a_limit);
	tcase_add_test(chain, sets_with_too_many_files_stay_and_cost_no_memory);
	tcase_add_test(chain, sets_are_looked_through_again_after_a_commit_that_failed);
	suite_add_tcase(s, chain);
	return s;
}

int main(void)
{
	return test_run(suite());
}
