/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The language of the control file: what is understood, what is refused, and why. */
#include "config.h"

#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control.h"
#include "error.h"
#include "support.h"

/* Parses a text of one request; its result, with the request in *ret on success. */
static int parse(const char *text, struct cim_request *ret)
{
	size_t size = strlen(text);
	char *line = NULL;
	int r = cim_control_next(&text, &size, &line, ret);

	g_free(line);
	return r;
}

static void expect_name(const char *text, const char *name)
{
	struct cim_request q;

	ck_assert_int_eq(parse(text, &q), 1);
	ck_assert_int_eq(q.verb, CIM_VERB_DELETE);
	ck_assert_str_eq(q.name, name);
	cim_request_clear(&q);
}

START_TEST(create_reads_new)
{
	struct cim_request q;

	ck_assert_int_eq(parse("create new=a.cim\n", &q), 1);
	ck_assert_int_eq(q.verb, CIM_VERB_CREATE);
	ck_assert_str_eq(q.new_name, "a.cim");
	ck_assert_ptr_null(q.existing);
	ck_assert_ptr_null(q.name);
	ck_assert_int_eq(q.cmp, CIM_CASE_BASE);
	cim_request_clear(&q);
}
END_TEST

START_TEST(create_reads_existing)
{
	struct cim_request q;

	ck_assert_int_eq(parse("create existing=a.cim", &q), 1);
	ck_assert_str_eq(q.existing, "a.cim");
	ck_assert_ptr_null(q.new_name);
	cim_request_clear(&q);
}
END_TEST

START_TEST(create_takes_keys_in_any_order)
{
	struct cim_request q;

	ck_assert_int_eq(parse("create case=insensitive new=b existing=a", &q), 1);
	ck_assert_str_eq(q.existing, "a");
	ck_assert_str_eq(q.new_name, "b");
	ck_assert_int_eq(q.cmp, CIM_CASE_INSENSITIVE);
	cim_request_clear(&q);
}
END_TEST

START_TEST(create_tells_an_empty_name_from_none)
{
	struct cim_request q;

	ck_assert_int_eq(parse("create new= existing=a", &q), 1);
	ck_assert_str_eq(q.new_name, "");
	cim_request_clear(&q);
}
END_TEST

START_TEST(create_keeps_equal_signs_of_a_value)
{
	struct cim_request q;

	ck_assert_int_eq(parse("create new=a=b", &q), 1);
	ck_assert_str_eq(q.new_name, "a=b");
	cim_request_clear(&q);
}
END_TEST

START_TEST(case_may_be_sensitive)
{
	struct cim_request q;

	ck_assert_int_eq(parse("create new=a case=sensitive", &q), 1);
	ck_assert_int_eq(q.cmp, CIM_CASE_SENSITIVE);
	cim_request_clear(&q);
}
END_TEST

static const struct {
	const char *text;
	enum cim_verb verb;
} bare[] = {
	{ "commit", CIM_VERB_COMMIT },
	{ "commit\n", CIM_VERB_COMMIT },
	{ "close", CIM_VERB_CLOSE },
	{ "  \t close \t ", CIM_VERB_CLOSE },
	{ "'com'm\"it\"", CIM_VERB_COMMIT },
	{ "commit # now", CIM_VERB_COMMIT },
	{ "# first\n\n  \ncommit\n", CIM_VERB_COMMIT },
};

START_TEST(bare_verbs_are_understood)
{
	struct cim_request q;

	ck_assert_int_eq(parse(bare[_i].text, &q), 1);
	ck_assert_int_eq(q.verb, bare[_i].verb);
	cim_request_clear(&q);
}
END_TEST

static const struct {
	const char *text;
	const char *name;
} quoted[] = {
	{ "delete a.cim", "a.cim" },
	{ "delete 'a b'", "a b" },
	{ "delete \"a b\"", "a b" },
	{ "delete a\\ b", "a b" },
	{ "delete \"a'b\"", "a'b" },
	{ "delete 'a\"b'", "a\"b" },
	{ "delete 'a\\b'", "a\\b" },
	{ "delete \"a\\\"b\"", "a\"b" },
	{ "delete \"a\\\\b\"", "a\\b" },
	{ "delete \"a\\b\"", "a\\b" },
	{ "delete a'b'\"c\"\\d", "abcd" },
	{ "delete a#b", "a#b" },
	{ "delete '#a'", "#a" },
	{ "delete \\#a", "#a" },
	{ "delete ''", "" },
	{ "delete $HOME", "$HOME" },
	{ "delete \"\\$a\"", "$a" },
	{ "delete \xc3\xa9\xff", "\xc3\xa9\xff" },
};

START_TEST(words_are_quoted_as_in_a_shell)
{
	expect_name(quoted[_i].text, quoted[_i].name);
}
END_TEST

static const struct {
	const char *text;
	const char *reason; /* is part of it */
} refused[] = {
	{ "status", "\"status\"" },
	{ "Commit", "\"Commit\"" },
	{ "''", "\"\"" },
	{ "create", "needs new=NAME" },
	{ "create case=sensitive", "needs new=NAME" },
	{ "create a.cim", "\"a.cim\"" },
	{ "create name=a", "\"name\"" },
	{ "create =a", "\"\"" },
	{ "create new=a case=upper", "\"upper\"" },
	{ "create new=a case=", "\"\"" },
	{ "create new=a new=a", "\"new\" is given twice" },
	{ "create existing=a existing=b", "\"existing\" is given twice" },
	{ "create new=a case=sensitive case=sensitive", "\"case\" is given twice" },
	{ "commit now", "\"now\"" },
	{ "close now", "\"now\"" },
	{ "delete", "one NAME" },
	{ "delete a b", "one NAME" },
	{ "delete 'a", "quote" },
	{ "delete \"a", "quote" },
	{ "delete 'a\nb'", "quote" },
	{ "delete \"a\\\"", "quote" },
	{ "delete a\\", "backslash" },
	{ "delete \"a\\", "quote" },
};

START_TEST(what_is_not_understood_is_refused_by_name)
{
	struct cim_request q;

	ck_assert_int_eq(parse(refused[_i].text, &q), -EINVAL);
	ck_assert_msg(strstr(cim_reason(), refused[_i].reason), "\"%s\" gave: %s", refused[_i].text,
		      cim_reason());
}
END_TEST

START_TEST(nothing_is_no_request)
{
	static const char *const texts[] = { "", "\n", "  \t\n\n", "# only a comment", "\t#\n#\n" };
	struct cim_request q;

	ck_assert_int_eq(parse(texts[_i], &q), 0);
}
END_TEST

START_TEST(requests_come_one_by_one)
{
	const char *text = "create new=a\n# between\ncommit\nnonsense\nclose";
	size_t size = strlen(text);
	struct cim_request q;
	char *line;

	ck_assert_int_eq(cim_control_next(&text, &size, &line, &q), 1);
	ck_assert_int_eq(q.verb, CIM_VERB_CREATE);
	ck_assert_str_eq(line, "create new=a");
	cim_request_clear(&q);
	g_free(line);

	ck_assert_int_eq(cim_control_next(&text, &size, &line, &q), 1);
	ck_assert_int_eq(q.verb, CIM_VERB_COMMIT);
	ck_assert_str_eq(line, "commit");
	g_free(line);

	ck_assert_int_eq(cim_control_next(&text, &size, &line, &q), -EINVAL);
	ck_assert_str_eq(line, "nonsense");
	g_free(line);

	/* What follows a refused line is still there. */
	ck_assert_int_eq(cim_control_next(&text, &size, &line, &q), 1);
	ck_assert_int_eq(q.verb, CIM_VERB_CLOSE);
	g_free(line);

	ck_assert_uint_eq(size, 0);
	ck_assert_int_eq(cim_control_next(&text, &size, &line, &q), 0);
}
END_TEST

START_TEST(text_need_not_end_in_nul)
{
	const char *text = "commitment";
	size_t size = strlen("commit");
	struct cim_request q;
	char *line;

	ck_assert_int_eq(cim_control_next(&text, &size, &line, &q), 1);
	ck_assert_int_eq(q.verb, CIM_VERB_COMMIT);
	g_free(line);
}
END_TEST

START_TEST(write_is_limited_to_4096_bytes)
{
	char text[CIM_CONTROL_MAX + 1];

	memset(text, ' ', sizeof(text));
	ck_assert_int_eq(cim_control_check(text, CIM_CONTROL_MAX), 0);
	ck_assert_int_eq(cim_control_check(text, CIM_CONTROL_MAX + 1), -EINVAL);
}
END_TEST

START_TEST(nul_is_refused)
{
	ck_assert_int_eq(cim_control_check("commit\0", 7), -EINVAL);
	ck_assert_int_eq(cim_control_check("commit", 6), 0);
}
END_TEST

START_TEST(random_bytes_are_parsed_to_the_end)
{
	static const char alphabet[] = "\n\n  '\"\\#=acdeimnorstwlx\t$\x01\xff";
	struct test_random random = { test_seed(1) };

	printf("# seed %" PRIu64 "\n", random.state);
	for (int i = 0; i < 20000; i++) {
		char text[64];
		const char *p = text;
		size_t size = test_random_below(&random, sizeof(text));
		int r = 1;

		for (size_t k = 0; k < size; k++)
			text[k] = alphabet[test_random_below(&random, sizeof(alphabet) - 1)];
		while (r != 0) {
			struct cim_request q;
			char *line;
			size_t before = size;

			r = cim_control_next(&p, &size, &line, &q);
			ck_assert(r == 0 || size < before);
			if (r > 0)
				cim_request_clear(&q);
			if (r != 0)
				g_free(line);
		}
		ck_assert_uint_eq(size, 0);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("control");
	TCase *requests = tcase_create("requests"), *words = tcase_create("words"),
	      *texts = tcase_create("texts");

	tcase_add_test(requests, create_reads_new);
	tcase_add_test(requests, create_reads_existing);
	tcase_add_test(requests, create_takes_keys_in_any_order);
	tcase_add_test(requests, create_tells_an_empty_name_from_none);
	tcase_add_test(requests, create_keeps_equal_signs_of_a_value);
	tcase_add_test(requests, case_may_be_sensitive);
	tcase_add_loop_test(requests, bare_verbs_are_understood, 0, G_N_ELEMENTS(bare));
	tcase_add_loop_test(words, words_are_quoted_as_in_a_shell, 0, G_N_ELEMENTS(quoted));
	tcase_add_loop_test(words, what_is_not_understood_is_refused_by_name, 0,
			    G_N_ELEMENTS(refused));
	tcase_add_loop_test(texts, nothing_is_no_request, 0, 5);
	tcase_add_test(texts, requests_come_one_by_one);
	tcase_add_test(texts, text_need_not_end_in_nul);
	tcase_add_test(texts, write_is_limited_to_4096_bytes);
	tcase_add_test(texts, nul_is_refused);
	tcase_add_test(texts, random_bytes_are_parsed_to_the_end);
	suite_add_tcase(s, requests);
	suite_add_tcase(s, words);
	suite_add_tcase(s, texts);
	return s;
}

int main(void)
{
	return test_run(suite());
}
