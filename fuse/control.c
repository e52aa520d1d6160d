/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The language of the control file.  Words are quoted as in a shell, but nothing is expanded and a
 * word ends with its line.  Whether a name may be an image's is the core's to say.
 */
#include "config.h"

#include "control.h"

#include <string.h>

#include "error.h"

int cim_control_check(const char *text, size_t size)
{
	if (size > CIM_CONTROL_MAX)
		return cim_fail(EINVAL, "a write has at most %d bytes, this one has %zu",
				CIM_CONTROL_MAX, size);
	if (memchr(text, '\0', size))
		return cim_fail(EINVAL, "a request has no NUL byte");
	return 0;
}

/* ---- words ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* A quoted part, from behind its opening quote to behind its closing one; NULL if that is missing.
 */
static const char *read_quoted(const char *p, char quote, GString *word)
{
	for (; *p != quote; p++) {
		/* Within "…" a backslash means something only before these, as in a shell. */
		if (quote == '"' && *p == '\\' && p[1] && strchr("\"\\$`", p[1]))
			p++;
		if (!*p)
			return NULL;
		g_string_append_c(word, *p);
	}
	return p + 1;
}

/* One word; NULL if a quote is not closed or a backslash is the line's last character. */
static const char *read_word(const char *p, GString *word)
{
	while (*p && !is_blank(*p)) {
		char c = *p++;

		if (c == '\'' || c == '"') {
			p = read_quoted(p, c, word);
			if (!p)
				return NULL;
			continue;
		}
		if (c == '\\')
			c = *p++;
		if (!c)
			return NULL;
		g_string_append_c(word, c);
	}
	return p;
}

static int split(const char *line, GPtrArray *words)
{
	for (const char *p = line;;) {
		while (is_blank(*p))
			p++;
		if (!*p || *p == '#')
			return 0;
		GString *word = g_string_new(NULL);
		p = read_word(p, word);
		g_ptr_array_add(words, g_string_free(word, FALSE));
		if (!p)
			return cim_fail(EINVAL,
					"a quote is not closed, or a backslash ends the line: %s",
					line);
	}
}

/* ---- requests ---- */

static int parse_case(const char *value, enum cim_case *ret)
{
	if (strcmp(value, "sensitive") == 0)
		*ret = CIM_CASE_SENSITIVE;
	else if (strcmp(value, "insensitive") == 0)
		*ret = CIM_CASE_INSENSITIVE;
	else
		return cim_fail(EINVAL, "case=\"%s\" is unknown; it is sensitive or insensitive",
				value);
	return 0;
}

static int set_name(char **name, const char *key, const char *value)
{
	if (*name)
		return cim_fail(EINVAL, "\"%s\" is given twice", key);
	*name = g_strdup(value);
	return 0;
}

static int parse_create_word(const char *word, struct cim_request *request)
{
	const char *value = strchr(word, '=');

	if (!value)
		return cim_fail(EINVAL,
				"\"%s\" is not understood; create takes new=NAME, existing=NAME, "
				"case=sensitive|insensitive",
				word);
	g_autofree char *key = g_strndup(word, (gsize)(value - word));
	value++;
	if (strcmp(key, "new") == 0)
		return set_name(&request->new_name, key, value);
	if (strcmp(key, "existing") == 0)
		return set_name(&request->existing, key, value);
	if (strcmp(key, "case") != 0)
		return cim_fail(EINVAL, "key \"%s\" is unknown; create takes new, existing, case",
				key);
	if (request->cmp != CIM_CASE_BASE)
		return cim_fail(EINVAL, "\"case\" is given twice");
	return parse_case(value, &request->cmp);
}

static int parse_create(GPtrArray *words, struct cim_request *request)
{
	int r = 0;

	for (guint i = 1; r == 0 && i < words->len; i++)
		r = parse_create_word(g_ptr_array_index(words, i), request);
	if (r == 0 && !request->new_name && !request->existing)
		r = cim_fail(EINVAL, "create needs new=NAME, existing=NAME or both");
	return r;
}

static int parse_delete(GPtrArray *words, struct cim_request *request)
{
	if (words->len != 2)
		return cim_fail(EINVAL, "delete takes one NAME, and got %u words", words->len - 1);
	request->name = g_strdup(g_ptr_array_index(words, 1));
	return 0;
}

static int parse_bare(GPtrArray *words, struct cim_request *request)
{
	if (words->len > 1)
		return cim_fail(EINVAL, "%s takes nothing, and got \"%s\"",
				(char *)g_ptr_array_index(words, 0),
				(char *)g_ptr_array_index(words, 1));
	return 0;
}

static const struct {
	const char *name;
	enum cim_verb verb;
	int (*parse)(GPtrArray *words, struct cim_request *request);
} verbs[] = {
	{ "create", CIM_VERB_CREATE, parse_create },
	{ "commit", CIM_VERB_COMMIT, parse_bare },
	{ "close", CIM_VERB_CLOSE, parse_bare },
	{ "delete", CIM_VERB_DELETE, parse_delete },
};

static int parse_request(GPtrArray *words, struct cim_request *ret)
{
	const char *verb = g_ptr_array_index(words, 0);

	for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++) {
		if (strcmp(verb, verbs[i].name) != 0)
			continue;
		struct cim_request request = { .verb = verbs[i].verb };
		int r = verbs[i].parse(words, &request);
		if (r < 0)
			cim_request_clear(&request);
		else
			*ret = request;
		return r;
	}
	return cim_fail(EINVAL,
			"request \"%s\" is unknown; there are create, commit, close, delete", verb);
}

static char *take_line(const char **text, size_t *size)
{
	const char *end = memchr(*text, '\n', *size);
	size_t n = end ? (size_t)(end - *text) : *size;
	char *line = g_strndup(*text, n);

	if (end)
		n++;
	*text += n;
	*size -= n;
	return line;
}

int cim_control_next(const char **text, size_t *size, char **ret_line, struct cim_request *ret)
{
	while (*size > 0) {
		g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
		g_autofree char *line = take_line(text, size);
		int r = split(line, words);

		if (r == 0 && words->len == 0)
			continue;
		if (r == 0)
			r = parse_request(words, ret);
		*ret_line = g_steal_pointer(&line);
		return r < 0 ? r : 1;
	}
	return 0;
}

void cim_request_clear(struct cim_request *request)
{
	g_clear_pointer(&request->existing, g_free);
	g_clear_pointer(&request->new_name, g_free);
	g_clear_pointer(&request->name, g_free);
}
