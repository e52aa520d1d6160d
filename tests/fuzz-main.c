/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs a fuzz target.
 *
 *	fuzz-NAME                   the inputs of its corpus, and mutants of them: a test (TAP)
 *	fuzz-NAME FILE…             these inputs
 *	fuzz-NAME --unpack DIR      write the corpus as files, which libFuzzer can start from
 *	fuzz-NAME --pack DIR        the files of a directory as a corpus, on standard output
 *	fuzz-NAME --fuzz OPTION…    libFuzzer, if it was built in
 *
 * A corpus is a text, tests/corpus/NAME: an input a line, in hexadecimal; "#" begins a comment,
 * which says where the input above it comes from.  CIMFS_SEED repeats a run's mutants.
 */
#include "config.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "fuzz.h"

#define N_MUTANTS    20000
#define LONG_MUTANTS 2000000
#define INPUT_MAX    4096 /* bytes; what mutants may grow to */
#define MAX_EDITS    4
#define LINE_BYTES   2 /* hexadecimal digits a byte */

static GPtrArray *corpus; /* GBytes */

static void keep(const void *data, size_t size)
{
	g_ptr_array_add(corpus, g_bytes_new(data, size));
}

static GBytes *parse_line(const char *line)
{
	size_t n = strcspn(line, "# \t\r");
	GByteArray *bytes = g_byte_array_new();

	for (size_t i = 0; i + 1 < n; i += LINE_BYTES) {
		int high = g_ascii_xdigit_value(line[i]), low = g_ascii_xdigit_value(line[i + 1]);
		uint8_t byte = (uint8_t)(high << 4 | low);

		if (high < 0 || low < 0)
			g_error("no hexadecimal digits: %s", line);
		g_byte_array_append(bytes, &byte, 1);
	}
	return g_byte_array_free_to_bytes(bytes);
}

/* The target's name is that of its program, fuzz-NAME. */
static char *corpus_path(const char *program)
{
	g_autofree char *base = g_path_get_basename(program);
	const char *top = g_getenv("top_srcdir"), *dash = strrchr(base, '-');

	return g_build_filename(top ? top : ".", "tests", "corpus", dash ? dash + 1 : base, NULL);
}

static void load_corpus(const char *program)
{
	g_autofree char *path = corpus_path(program), *text = NULL;

	corpus = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
	keep("", 0);
	fuzz_seeds(keep);
	if (!g_file_get_contents(path, &text, NULL, NULL))
		return;
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **l = lines; *l; l++)
		if (**l && **l != '#')
			g_ptr_array_add(corpus, parse_line(*l));
}

/* A copy of exactly the input's size, so that a sanitizer sees a read past its end. */
static void run(const void *data, size_t size)
{
	uint8_t *copy = g_malloc(size + !size);

	if (size)
		memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	g_free(copy);
}

/* ---- mutants: simple ones, so that every build has some; libFuzzer makes better ones ---- */

static GBytes *pick(struct test_random *r)
{
	return g_ptr_array_index(corpus, test_random_below(r, corpus->len));
}

static void edit(struct test_random *r, GByteArray *b)
{
	static const uint8_t interesting[] = {
		0, 1, 2, 3, 4, 7, 8, 16, 0x20, 0x7F, 0x80, 0xFE, 0xFF
	};
	size_t at = b->len ? test_random_below(r, b->len) : 0, n;
	const uint8_t *from;
	gsize from_size;

	switch (test_random_below(r, 6)) {
	case 0:
		if (b->len)
			b->data[at] ^= (uint8_t)(1u << test_random_below(r, 8));
		break;
	case 1:
		if (b->len)
			b->data[at] = interesting[test_random_below(r, sizeof(interesting))];
		break;
	case 2:
		n = 1 + test_random_below(r, 8);
		n = MIN(n, b->len - at);
		if (n)
			memset(b->data + at, test_random_next(r) & 1 ? 0xFF : 0, n);
		break;
	case 3:
		g_byte_array_set_size(b, (guint)at);
		break;
	case 4: /* a piece of another input over this one */
		from = g_bytes_get_data(pick(r), &from_size);
		n = MIN(from_size, b->len - at);
		if (n)
			memcpy(b->data + at, from + test_random_below(r, from_size - n + 1), n);
		break;
	default: /* and behind it */
		from = g_bytes_get_data(pick(r), &from_size);
		g_byte_array_append(b, from,
				    (guint)MIN(from_size, INPUT_MAX - MIN(b->len, INPUT_MAX)));
	}
}

static void run_mutants(uint64_t seed, uint64_t n)
{
	struct test_random r = { seed };

	for (uint64_t i = 0; i < n; i++) {
		GByteArray *b = g_byte_array_new();
		gsize size;
		const void *data = g_bytes_get_data(pick(&r), &size);

		g_byte_array_append(b, data, (guint)size);
		for (uint64_t k = 1 + test_random_below(&r, MAX_EDITS); k > 0; k--)
			edit(&r, b);
		run(b->data, b->len);
		g_byte_array_unref(b);
	}
}

static int test(void)
{
	uint64_t seed = test_seed(1), n = (uint64_t)test_rounds(N_MUTANTS, LONG_MUTANTS);

	printf("1..2\n");
	fflush(stdout);
	for (guint i = 0; i < corpus->len; i++) {
		gsize size;
		const void *data = g_bytes_get_data(g_ptr_array_index(corpus, i), &size);

		run(data, size);
	}
	printf("ok 1 - the corpus of %u inputs\n", corpus->len);
	printf("# seed %#llx\n", (unsigned long long)seed);
	fflush(stdout);
	run_mutants(seed, n);
	printf("ok 2 - %llu mutants of it\n", (unsigned long long)n);
	return EXIT_SUCCESS;
}

/* ---- the other uses ---- */

static int run_files(char **paths)
{
	for (; *paths; paths++) {
		g_autofree char *data = NULL;
		gsize size;

		if (!g_file_get_contents(*paths, &data, &size, NULL)) {
			fprintf(stderr, "cannot read \"%s\"\n", *paths);
			return EXIT_FAILURE;
		}
		run(data, size);
	}
	return EXIT_SUCCESS;
}

static int unpack(const char *dir)
{
	(void)g_mkdir_with_parents(dir, 0755);
	for (guint i = 0; i < corpus->len; i++) {
		g_autofree char *path = g_strdup_printf("%s/seed-%u", dir, i);
		gsize size;
		const void *data = g_bytes_get_data(g_ptr_array_index(corpus, i), &size);

		if (!g_file_set_contents(path, data, (gssize)size, NULL)) {
			fprintf(stderr, "cannot write \"%s\"\n", path);
			return EXIT_FAILURE;
		}
	}
	return EXIT_SUCCESS;
}

static gint compare_lines(gconstpointer a, gconstpointer b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	size_t nx = strlen(x), ny = strlen(y);

	return nx != ny ? (nx > ny) - (nx < ny) : strcmp(x, y);
}

static int pack(const char *path)
{
	g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
	GDir *dir = g_dir_open(path, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *file = g_build_filename(path, name, NULL), *data = NULL;
		gsize size;

		if (!g_file_get_contents(file, &data, &size, NULL) || size == 0 || size > INPUT_MAX)
			continue;
		GString *line = g_string_sized_new(size * LINE_BYTES);
		for (gsize i = 0; i < size; i++)
			g_string_append_printf(line, "%02x", (uint8_t)data[i]);
		g_ptr_array_add(lines, g_string_free(line, FALSE));
	}
	if (dir)
		g_dir_close(dir);
	g_ptr_array_sort(lines, compare_lines);
	for (guint i = 0; i < lines->len; i++)
		puts(g_ptr_array_index(lines, i));
	return EXIT_SUCCESS;
}

#ifdef CIM_LIBFUZZER
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*run_one)(const uint8_t *, size_t));

static int fuzz(int argc, char **argv)
{
	return LLVMFuzzerRunDriver(&argc, &argv, LLVMFuzzerTestOneInput);
}
#else
static int fuzz(int argc, char **argv)
{
	fprintf(stderr, "built without libFuzzer: configure with CC=clang and --enable-fuzz\n");
	return EXIT_FAILURE;
}
#endif

int main(int argc, char **argv)
{
	load_corpus(argv[0]);
	if (argc == 1)
		return test();
	if (argc == 3 && strcmp(argv[1], "--unpack") == 0)
		return unpack(argv[2]);
	if (argc == 3 && strcmp(argv[1], "--pack") == 0)
		return pack(argv[2]);
	if (strcmp(argv[1], "--fuzz") == 0) {
		argv[1] = argv[0];
		return fuzz(argc - 1, argv + 1);
	}
	return run_files(argv + 1);
}
