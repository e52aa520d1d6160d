/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The corpus of bad images (bad-images.h): each is opened, walked, hashed, checked by fsck and
 * taken as the base of a fork, and comes out as its name says.
 *
 *	test-corpus                 a test (TAP)
 *	test-corpus --list          the names
 *	test-corpus --make NAME DIR one of them, to be looked at, or mounted
 */
#include "config.h"

#include "bad-rows.h"
#include "control.h"
#include "exercise.h"
#include "imagedir.h"

/* The sanitizer has a handler for SIGBUS of its own; here that of the core is wanted. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "handle_sigbus=0";
}

/* ---- a directory with the good one, made once ---- */

static GPtrArray *good_names;
static GPtrArray *good_bytes;

static void remember_good(void)
{
	GDir *dir;
	const char *name;

	good_names = g_ptr_array_new_with_free_func(g_free);
	good_bytes = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
	setup_dir();
	make_good();
	dir = g_dir_open(test_path, 0, NULL);
	ck_assert_ptr_nonnull(dir);
	while ((name = g_dir_read_name(dir))) {
		g_autofree char *path = path_of(name);
		char *bytes;
		gsize size;

		ck_assert(g_file_get_contents(path, &bytes, &size, NULL));
		g_ptr_array_add(good_names, g_strdup(name));
		g_ptr_array_add(good_bytes, g_bytes_new_take(bytes, size));
	}
	g_dir_close(dir);
	teardown_dir();
}

static void forget_good(void)
{
	g_ptr_array_free(good_names, TRUE);
	g_ptr_array_free(good_bytes, TRUE);
}

static void put_good(void)
{
	for (guint i = 0; i < good_names->len; i++) {
		gsize size;
		const void *bytes = g_bytes_get_data(g_ptr_array_index(good_bytes, i), &size);
		int fd = openat(test_store->dirfd, g_ptr_array_index(good_names, i),
				O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(cim_pwrite_full(fd, bytes, size, 0), 0);
		ck_assert_int_eq(close(fd), 0);
	}
}

static void setup_good(void)
{
	setup_dir();
	put_good();
}

/* ---- what the names say ---- */

enum kind { FAIL, LOSE, READ, HIDE, DROP, LOOP };

static enum kind kind_of(const struct bad *b, int *ret_error)
{
	static const char *const kinds[] = { "fail", "lose", "read", "hide", "drop", "loop" };
	static const struct {
		const char *name;
		int error;
	} errors[] = { { "euclean", EUCLEAN },
		       { "ebadmsg", EBADMSG },
		       { "eprotonosupport", EPROTONOSUPPORT },
		       { "enoent", ENOENT },
		       { "enotdir", ENOTDIR } };
	g_auto(GStrv) words = g_strsplit(b->name, "-", 4);
	enum kind kind = 0;

	ck_assert_uint_ge(g_strv_length(words), 3);
	while (kind < N_ROWS(kinds) && strcmp(words[1], kinds[kind]) != 0)
		kind++;
	ck_assert_msg(kind < N_ROWS(kinds), "%s", b->name);
	*ret_error = 0;
	for (size_t i = 0; kind <= LOSE && i < N_ROWS(errors); i++)
		if (strcmp(words[2], errors[i].name) == 0)
			*ret_error = -errors[i].error;
	ck_assert_msg(kind > LOSE || *ret_error < 0, "%s says no error", b->name);
	return kind;
}

/* The first error in reading a file, or a directory as far as its names. */
static int read_path(const struct cim_image *img, const char *path)
{
	char buf[4096], name[CIM_NAME_BYTES + 1];
	uint16_t units[CIM_NAME_UNITS];
	struct cim_attr attr;
	struct cim_entry e;
	struct cim_links l;
	uint32_t id;
	int r = cim_path_lookup(img, path, false, &id);

	if (r == 0)
		r = cim_file_attr(img, id, &attr);
	if (r == 0)
		r = cim_image_entry(img, id, &e);
	if (r == 0 && e.data.type != CIM_STREAM_LINKS) {
		for (uint64_t at = 0; r == 0 && at < MIN(e.data.size, 65536); at += sizeof(buf))
			r = (int)MIN(cim_stream_read(img, &e.data, at, buf, sizeof(buf)), 0);
	} else if (r == 0) {
		r = cim_dir_links(img, &e, &l);
		for (uint32_t i = 0; r == 0 && i < l.n; i++) {
			r = cim_links_name(&l, i, units);
			if (r > 0)
				r = MIN(cim_name_shown(units, (size_t)r, name), 0);
		}
	}
	return r;
}

#define expect(got_, want_, what_)                                                            \
	ck_assert_msg((got_) == (want_), "%s: %s is %d, not %d (%s)", b->name, what_, (got_), \
		      (want_), cim_reason())

static void check_read(const struct bad *b, enum kind kind, int error)
{
	struct walk w = { .files = 300000, .depth = 4 };
	struct cim_image *img;

	if (kind == LOOP)
		w.files = 200;
	int r = cim_image_open(test_store, "a.cim", &img);
	expect(r, kind == FAIL ? error : 0, "opening");
	if (r < 0)
		return;
	walk_file(&w, img, img->fs.root_id);
	/* A name that is not there is no error of a walk. */
	if (error != -ENOENT && error != -ENOTDIR)
		ck_assert_msg((kind == READ || kind == LOOP) == (w.n_errors == 0),
			      "%s: the walk had %u errors, the first: %s: %s", b->name, w.n_errors,
			      strerror(-w.error), w.reason);
	if (kind == LOSE)
		expect(read_path(img, b->victim), error, "the file that is lost");
	const char *rest = b->rest ? b->rest : "own";
	if (*rest)
		check_text(img, rest, rest);
	cim_image_unref(img);
}

static void check_digest(const struct bad *b, enum kind kind, int error)
{
	uint8_t digest[CIM_SHA256_SIZE];
	int r = exercise_hash(test_store, "a.cim", digest);

	if (kind == FAIL)
		expect(r, error, "the digest");
	else if ((kind == READ || kind == HIDE) && !b->unhashed)
		expect(r, 0, "the digest");
	else if (kind != LOSE || error == -CIM_ECORRUPT) /* else it is another tree, and whole */
		ck_assert_msg(r < 0, "%s has a digest", b->name);
}

static void check_fsck(const struct bad *b, enum kind kind, int error)
{
	int r = exercise_fsck(test_store, "a.cim");

	if (kind == FAIL && (error == -ENOENT || error == -EPROTONOSUPPORT))
		expect(r, error, "fsck"); /* it cannot be told */
	else
		expect(r, b->clean ? 0 : 1, "fsck");
	(void)exercise_fsck(test_store, NULL);
}

/* Whoever can be opened can be forked, and what the fork adds is there. */
static void check_forking(const struct bad *b, enum kind kind, int error)
{
	const char *stage;
	int r = exercise_fork(test_store, "a.cim", "fork.cim", &stage);

	if (kind == FAIL) {
		expect(r, error == -ENOENT ? -ENOENT : -CIM_ECORRUPT, "forking");
		ck_assert_str_eq(stage, "open");
	} else if (r == 0) {
		ck_assert_msg(exercise_added(test_store, "fork.cim"),
			      "%s: what a fork added is lost", b->name);
	} else {
		expect(r, kind == LOSE ? error : -CIM_ECORRUPT, "forking");
	}
	ck_assert(!has_file("fork.cim") || r == 0);
}

START_TEST(bad_image_comes_out_as_its_name_says)
{
	const struct bad *b = &bads[_i];
	int error;
	enum kind kind = kind_of(b, &error);

	apply(b);
	check_read(b, kind, error);
	check_digest(b, kind, error);
	check_fsck(b, kind, error);
	check_forking(b, kind, error);
}
END_TEST

/* ---- the control file: what is refused before anything is done ---- */

static const struct {
	const char *name;
	const char *text;
} bad_requests[] = {
	{ "should-fail-unknown-verb", "make new=x" },
	{ "should-fail-upper-case-verb", "CREATE new=x" },
	{ "should-fail-create-without-a-name", "create" },
	{ "should-fail-create-unknown-key", "create new=x size=1" },
	{ "should-fail-create-word-without-a-key", "create x" },
	{ "should-fail-create-twice-new", "create new=x new=y" },
	{ "should-fail-create-twice-existing", "create existing=x existing=y" },
	{ "should-fail-create-bad-case", "create new=x case=maybe" },
	{ "should-fail-commit-with-a-word", "commit now" },
	{ "should-fail-close-with-a-word", "close x" },
	{ "should-fail-delete-without-a-name", "delete" },
	{ "should-fail-delete-two-names", "delete x y" },
	{ "should-fail-open-single-quote", "delete 'x" },
	{ "should-fail-open-double-quote", "delete \"x" },
	{ "should-fail-backslash-at-the-end", "delete x\\" },
	{ "should-fail-escaped-quote-at-the-end", "delete \"x\\\"" },
	{ "should-fail-second-of-two", "close\nclose now\n" },
};

START_TEST(bad_request_is_refused)
{
	const char *text = bad_requests[_i].text;
	size_t size = strlen(text);
	struct cim_request request;
	char *line = NULL;
	int r;

	ck_assert_int_eq(cim_control_check(text, size), 0);
	while ((r = cim_control_next(&text, &size, &line, &request)) == 1) {
		cim_request_clear(&request);
		g_clear_pointer(&line, g_free);
	}
	g_free(line);
	ck_assert_msg(r == -EINVAL, "%s", bad_requests[_i].name);
}
END_TEST

START_TEST(request_has_4096_bytes_at_most_and_no_nul)
{
	g_autofree char *text = g_strnfill(4097, ' ');

	ck_assert_int_eq(cim_control_check(text, 0), 0);
	ck_assert_int_eq(cim_control_check(text, 4096), 0);
	ck_assert_int_eq(cim_control_check(text, 4097), -EINVAL);
	ck_assert_int_eq(cim_control_check("close\0", 6), -EINVAL);
}
END_TEST

/* ---- one to be looked at ---- */

static int list_names(void)
{
	for (size_t i = 0; i < N_ROWS(bads); i++)
		puts(bads[i].name);
	return EXIT_SUCCESS;
}

static const struct bad *wanted;
static const char *wanted_dir;

START_TEST(bad_image_is_made)
{
	remember_good();
	test_path = g_strdup(wanted_dir);
	ck_assert_int_eq(cim_store_open(AT_FDCWD, wanted_dir, &test_store), 0);
	put_good();
	apply(wanted);
	cim_store_unref(test_store);
	g_free(test_path);
	forget_good();
}
END_TEST

/* As a test, for what fails in it is asserted. */
static int make_one(const char *name, const char *dir)
{
	Suite *suite = suite_create("make");
	TCase *make = tcase_create("make");

	for (size_t i = 0; i < N_ROWS(bads) && !wanted; i++)
		if (strcmp(bads[i].name, name) == 0)
			wanted = &bads[i];
	if (!wanted) {
		fprintf(stderr, "there is no bad image \"%s\"\n", name);
		return EXIT_FAILURE;
	}
	wanted_dir = dir;
	(void)mkdir(dir, 0755);
	tcase_add_test(make, bad_image_is_made);
	suite_add_tcase(suite, make);
	return test_run(suite);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list_names();
	if (argc == 4 && strcmp(argv[1], "--make") == 0)
		return make_one(argv[2], argv[3]);

	Suite *suite = suite_create("corpus");
	TCase *images = tcase_create("images"), *requests = tcase_create("requests");

	tcase_add_unchecked_fixture(images, remember_good, forget_good);
	tcase_add_checked_fixture(images, setup_good, teardown_dir);
	tcase_add_loop_test(images, bad_image_comes_out_as_its_name_says, 0, N_ROWS(bads));
	suite_add_tcase(suite, images);
	tcase_add_loop_test(requests, bad_request_is_refused, 0, N_ROWS(bad_requests));
	tcase_add_test(requests, request_has_4096_bytes_at_most_and_no_nul);
	suite_add_tcase(suite, requests);
	return test_run(suite);
}
