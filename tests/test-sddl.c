/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Security descriptors and their text: known pairs, refusals, and that whatever is printed comes
 * back as it was.
 */
#include "config.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "le.h"
#include "sddl.h"
#include "sid.h"
#include "support.h"

#define N_RANDOM 20000

#define N_ROWS(table) (sizeof(table) / sizeof((table)[0]))

static char *hex(const void *bytes, size_t size)
{
	GString *s = g_string_new(NULL);

	for (size_t i = 0; i < size; i++)
		g_string_append_printf(s, "%02x", ((const uint8_t *)bytes)[i]);
	return g_string_free(s, FALSE);
}

static uint8_t *unhex(const char *text, size_t *ret_size)
{
	size_t n = strlen(text) / 2;
	uint8_t *bytes = g_malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(g_ascii_xdigit_value(text[2 * i]) << 4 |
				     g_ascii_xdigit_value(text[2 * i + 1]));
	*ret_size = n;
	return bytes;
}

/* ---- SIDs ---- */

static const struct {
	const char *text; /* as it is printed */
	const char *bytes;
	const char *other; /* that means the same; NULL: none */
} sids[] = {
	{ "SY", "010100000000000512000000", "S-1-5-18" },
	{ "WD", "010100000000000100000000", "S-1-1-0" },
	{ "BA", "01020000000000052000000020020000", "S-1-5-32-544" },
	{ "BU", "01020000000000052000000021020000", "S-1-5-32-545" },
	{ "HI", "010100000000001000300000", "S-1-16-12288" },
	{ "S-1-22-1-1000", "010200000000001601000000e8030000", NULL },
	{ "S-1-5", "0100000000000005", "s-1-0x5" },
	{ "S-1-0xFFFFFFFFFFFF-4294967295", "0101ffffffffffffffffffff", NULL },
};

START_TEST(sid_and_its_text)
{
	g_autofree uint8_t *bytes = NULL;
	uint8_t back[CIM_SID_MAX];
	char text[CIM_SID_TEXT];
	const char *end;
	size_t size;

	bytes = unhex(sids[_i].bytes, &size);
	ck_assert_uint_eq(cim_sid_size(bytes, size), size);
	ck_assert_uint_eq(cim_sid_size(bytes, size + 100), size);
	for (size_t n = 0; n < size; n++)
		ck_assert_uint_eq(cim_sid_size(bytes, n), 0);
	cim_sid_format(bytes, true, text);
	ck_assert_str_eq(text, sids[_i].text);
	ck_assert_int_eq(cim_sid_parse(sids[_i].text, &end, back), (int)size);
	ck_assert_mem_eq(back, bytes, size);
	ck_assert_str_eq(end, "");
	cim_sid_format(bytes, false, text);
	ck_assert_str_eq(text, sids[_i].other && sids[_i].other[0] == 'S' ? sids[_i].other
									  : sids[_i].text);
	if (sids[_i].other) {
		ck_assert_int_eq(cim_sid_parse(sids[_i].other, &end, back), (int)size);
		ck_assert_mem_eq(back, bytes, size);
	}
}
END_TEST

START_TEST(sid_of_the_largest_size)
{
	uint8_t bytes[CIM_SID_MAX + 4], back[CIM_SID_MAX];
	char text[CIM_SID_TEXT];
	const char *end;

	memset(bytes, 0xFF, sizeof(bytes));
	bytes[0] = 1;
	bytes[1] = 15;
	ck_assert_uint_eq(cim_sid_size(bytes, sizeof(bytes)), CIM_SID_MAX);
	cim_sid_format(bytes, true, text);
	ck_assert_uint_lt(strlen(text), sizeof(text));
	ck_assert_int_eq(cim_sid_parse(text, &end, back), CIM_SID_MAX);
	ck_assert_mem_eq(back, bytes, CIM_SID_MAX);
	bytes[1] = 16;
	ck_assert_uint_eq(cim_sid_size(bytes, sizeof(bytes)), 0);
	bytes[1] = 1;
	bytes[0] = 2;
	ck_assert_uint_eq(cim_sid_size(bytes, sizeof(bytes)), 0);
}
END_TEST

static const char *const bad_sids[] = {
	"",
	"S",
	"S-1",
	"S-1-",
	"S-1-x",
	"S-2-5",
	"S-1-5-",
	"S-1-5--1",
	"S-1-5-4294967296",
	"S-1-0x1000000000000",
	"S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16",
	"DA", /* another one in each domain */
	"ZZ",
};

START_TEST(sid_that_is_none)
{
	uint8_t back[CIM_SID_MAX];
	const char *end;

	ck_assert_int_eq(cim_sid_parse(bad_sids[_i], &end, back), -EINVAL);
}
END_TEST

/* ---- descriptors ---- */

/* The last is as ConvertSecurityDescriptorToStringSecurityDescriptor() prints such a one. */
static const struct {
	const char *text;
	const char *bytes;
} pairs[] = {
	{ "D:NO_ACCESS_CONTROL", "0100048000000000000000000000000000000000" },
	{ "", "0100008000000000000000000000000000000000" },
	{ "D:", "010004800000000000000000000000001400000002000800"
		"00000000" },
	/* ntfs3's default (metadata.md §4.2) */
	{ "O:BAG:BAD:(A;OICI;FA;;;WD)",
	  "010004803000000040000000000000001400000002001c000100000000031400ff011f00"
	  "0101000000000001000000000102000000000005200000002002000001020000000000052000000020"
	  "020000" },
	/* owner and group by number (metadata.md §4.2) */
	{ "O:S-1-22-1-1000G:S-1-22-2-1000D:NO_ACCESS_CONTROL",
	  "0100048014000000240000000000000000000000010200000000001601000000e8030000"
	  "010200000000001602000000e8030000" },
	{ "D:PAI(D;;CCDCLC;;;AN)(A;OICIIO;0x1200a9;;;BU)S:AI(AU;SAFA;FA;;;WD)(ML;;NW;;;HI)", NULL },
	{ "D:P(A;CIID;GAGXGWGR;;;CO)(A;NP;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;SY)", NULL },
	{ "D:AR(OA;;RP;bf967aba-0de6-11d0-a285-00aa003049e2;;AU)", NULL },
	{ "D:(OA;;CR;;bf967aba-0de6-11d0-a285-00aa003049e2;AU)(OD;;WP;;;WD)", NULL },
	{ "D:(XA;;FX;;;BU;#61727478f8000000)(0x1f;OI;;;;;#0102030405060708)", NULL },
	{ "S:NO_ACCESS_CONTROL", NULL },
};

START_TEST(descriptor_and_its_text)
{
	g_autofree char *text = NULL, *text2 = NULL, *got = NULL;
	g_autofree void *bytes = NULL;
	g_autofree uint8_t *want = NULL;
	size_t size;

	if (pairs[_i].bytes) {
		want = unhex(pairs[_i].bytes, &size);
		ck_assert_int_eq(cim_sddl_format(want, size, &text), 0);
		ck_assert_str_eq(text, pairs[_i].text);
	}
	if (!*pairs[_i].text)
		return;
	int r = cim_sddl_parse(pairs[_i].text, &bytes, &size);
	ck_assert_msg(r == 0, "%s", cim_reason());
	got = hex(bytes, size);
	if (pairs[_i].bytes && !strstr(pairs[_i].text, "S-1-22"))
		ck_assert_str_eq(got, pairs[_i].bytes);
	ck_assert_int_eq(cim_sddl_format(bytes, size, &text2), 0);
	ck_assert_str_eq(text2, pairs[_i].text);
}
END_TEST

static const struct {
	const char *text;
	const char *same; /* as this one */
} spellings[] = {
	{ " O:SY\tD:(A;;FA;;;SY) \n(A;;FA;;;BA) ", "O:SYD:(A;;FA;;;SY)(A;;FA;;;BA)" },
	{ "D:(A;;0x1F01FF;;;WD)", "D:(A;;FA;;;WD)" },
	{ "D:(A;;2032127;;;WD)", "D:(A;;FA;;;WD)" },
	{ "D:(A;;FRFX;;;S-1-5-32-545)", "D:(A;;0x1200a9;;;BU)" },
	{ "D:(A;;KA;;;WD)", "D:(A;;0xf003f;;;WD)" },
	{ "D:(0x0;;;;;WD)", "D:(A;;0x0;;;WD)" },
	{ "D:AIPNO_ACCESS_CONTROL", "D:PAINO_ACCESS_CONTROL" },
	{ "S:(ML;;NWNRNX;;;LW)G:SYO:BA", "O:BAG:SYS:(ML;;NWNRNX;;;LW)" },
};

START_TEST(other_spellings)
{
	g_autofree char *text = NULL;
	g_autofree void *bytes = NULL;
	size_t size;
	int r = cim_sddl_parse(spellings[_i].text, &bytes, &size);

	ck_assert_msg(r == 0, "%s", cim_reason());
	ck_assert_int_eq(cim_sddl_format(bytes, size, &text), 0);
	if (strstr(spellings[_i].same, "0xf003f")) /* all letters have names: CC… */
		ck_assert_ptr_nonnull(strstr(text, "(A;;CCDCLCSWRPWPSDRCWDWO;;;WD)"));
	else
		ck_assert_str_eq(text, spellings[_i].same);
}
END_TEST

static const char *const bad_texts[] = {
	"",
	" ",
	"x",
	"O:",
	"O:SYO:SY",
	"D:D:",
	"D:(",
	"D:()",
	"D:(A)",
	"D:(A;;FA;;;WD",
	"D:(A;;FA;;WD)",
	"D:(A;;FA;;;)",
	"D:(A;XX;FA;;;WD)",
	"D:(A;OI",
	"D:(A;;F",
	"D:(A;;FZ;;;WD)",
	"D:(A;;0x100000000;;;WD)",
	"D:(A;;99999999999999999999999;;;WD)",
	"D:(A;;FA;;;DA)",
	"D:(A;;FA;;;WD;)",
	"D:(A;;FA;;;WD;#0)",
	"D:(A;;FA;;;WD;#zz)",
	"D:(XA;;FX;;;WD;(@User.x == 1))",
	"D:(A;;FA;bf967aba-0de6-11d0-a285-00aa003049e2;;WD)",
	"D:(OA;;FA;bf967aba-0de6-11d0-a285-00aa003049e;;WD)",
	"D:(OA;;FA;bf967aba0de611d0a28500aa003049e2;;WD)",
	"D:(0x100;;;;;#00)",
	"D:(0x1f;;FA;;;WD)",
	"D:(A;;FA;;;WD)x",
};

START_TEST(text_that_is_no_sddl)
{
	void *bytes;
	size_t size;

	ck_assert_int_eq(cim_sddl_parse(bad_texts[_i], &bytes, &size), -EINVAL);
	ck_assert_str_ne(cim_reason(), "");
}
END_TEST

START_TEST(too_many_entries_are_refused)
{
	g_autoptr(GString) text = g_string_new("D:");
	void *bytes;
	size_t size;

	for (int i = 0; i < 3276; i++) /* 8 + 20 * 3276 = 65528 */
		g_string_append(text, "(A;;FA;;;WD)");
	/* The ACL fits its own field; with the header the descriptor does not fit 16 bits. */
	ck_assert_int_eq(cim_sddl_parse(text->str, &bytes, &size), -E2BIG);
	g_string_append(text, "(A;;FA;;;WD)");
	ck_assert_int_eq(cim_sddl_parse(text->str, &bytes, &size), -E2BIG);
	g_string_truncate(text, 2 + 12 * 3275);
	ck_assert_int_eq(cim_sddl_parse(text->str, &bytes, &size), 0);
	ck_assert_uint_eq(size, 20 + 8 + 20 * 3275);
	g_free(bytes);
}
END_TEST

/* In a block of its own size, so that a sanitizer sees a byte too many. */
static int format_copy(const uint8_t *bytes, size_t size, char **ret)
{
	g_autofree uint8_t *copy = g_memdup2(bytes, size);

	return cim_sddl_format(copy, size, ret);
}

START_TEST(every_truncation_is_refused)
{
	g_autofree void *bytes = NULL;
	size_t size;
	char *text;

	ck_assert_int_eq(cim_sddl_parse(pairs[5].text, &bytes, &size), 0);
	for (size_t n = 0; n < size; n++)
		ck_assert_int_eq(format_copy(bytes, n, &text), -CIM_ECORRUPT);
}
END_TEST

/* A text of any parts that the parser takes. */
static void random_text(struct test_random *r, GString *text)
{
	static const char *const owners[] = { "SY", "BA", "S-1-5-21-1-2-3-500", "S-1-22-1-0",
					      "S-1-0x123456789abc-7" };
	static const char *const types[] = { "A", "D", "AU", "XA", "ML", "OA", "OD", "ZA" };
	static const char *const flags[] = { "", "OI", "OICI", "OICIIOID", "SAFA", "NP" };

	g_string_truncate(text, 0);
	if (test_random_below(r, 2))
		g_string_append_printf(text, "O:%s", owners[test_random_below(r, N_ROWS(owners))]);
	if (test_random_below(r, 2))
		g_string_append_printf(text, "G:%s", owners[test_random_below(r, N_ROWS(owners))]);
	for (int acl = 0; acl < 2; acl++) {
		g_string_append(text, acl == 0 ? "D:" : "S:");
		g_string_append(text, test_random_below(r, 2) ? "P" : "");
		g_string_append(text, test_random_below(r, 2) ? "AI" : "");
		for (uint64_t n = test_random_below(r, 6); n > 0; n--) {
			uint64_t type = test_random_below(r, N_ROWS(types));
			bool guid = type >= 5 && test_random_below(r, 2);

			g_string_append_printf(text, "(%s;%s;0x%x;%s;;%s%s)", types[type],
					       flags[test_random_below(r, N_ROWS(flags))],
					       (unsigned int)test_random_next(r),
					       guid ? "bf967aba-0de6-11d0-a285-00aa003049e2" : "",
					       owners[test_random_below(r, N_ROWS(owners))],
					       type == 3 || type == 7 ? ";#01020304" : "");
		}
	}
}

START_TEST(random_descriptors_come_back)
{
	uint64_t seed = test_seed(20261125);
	struct test_random r = { seed };
	g_autoptr(GString) text = g_string_new(NULL);

	printf("# seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < N_RANDOM; i++) {
		g_autofree char *shown = NULL;
		g_autofree void *bytes = NULL, *again = NULL;
		size_t size, again_size;

		random_text(&r, text);
		ck_assert_msg(cim_sddl_parse(text->str, &bytes, &size) == 0, "%s: %s", text->str,
			      cim_reason());
		ck_assert_int_eq(format_copy(bytes, size, &shown), 0);
		ck_assert_msg(cim_sddl_parse(shown, &again, &again_size) == 0, "%s: %s", shown,
			      cim_reason());
		ck_assert_uint_eq(size, again_size);
		ck_assert_mem_eq(bytes, again, size);

		/* With a byte of it changed it is printed or refused, and nothing else happens. */
		g_autofree char *damaged = NULL;
		((uint8_t *)bytes)[test_random_below(&r, size)] = (uint8_t)test_random_next(&r);
		(void)format_copy(bytes, size, &damaged);
	}
}
END_TEST

START_TEST(random_texts_do_no_harm)
{
	static const char alphabet[] = "OGDS:()();;;;ACIXMLFRWBUY0x19#-P \xff";
	uint64_t seed = test_seed(20261126);
	struct test_random r = { seed };
	char text[64];

	printf("# seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < N_RANDOM; i++) {
		size_t n = test_random_below(&r, sizeof(text));
		g_autofree void *bytes = NULL;
		size_t size;

		memcpy(text, "D:(", 3);
		for (size_t k = 3; k < n; k++)
			text[k] = alphabet[test_random_below(&r, sizeof(alphabet) - 1)];
		text[n] = '\0';
		g_autofree char *copy = g_strdup(text);
		(void)cim_sddl_parse(copy, &bytes, &size);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("sddl");
	TCase *tc = tcase_create("sddl");

	tcase_add_loop_test(tc, sid_and_its_text, 0, N_ROWS(sids));
	tcase_add_test(tc, sid_of_the_largest_size);
	tcase_add_loop_test(tc, sid_that_is_none, 0, N_ROWS(bad_sids));
	tcase_add_loop_test(tc, descriptor_and_its_text, 0, N_ROWS(pairs));
	tcase_add_loop_test(tc, other_spellings, 0, N_ROWS(spellings));
	tcase_add_loop_test(tc, text_that_is_no_sddl, 0, N_ROWS(bad_texts));
	tcase_add_test(tc, too_many_entries_are_refused);
	tcase_add_test(tc, every_truncation_is_refused);
	tcase_add_test(tc, random_descriptors_come_back);
	tcase_add_test(tc, random_texts_do_no_harm);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return test_run(suite());
}
