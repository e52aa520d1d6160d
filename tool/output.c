/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is printed, and how: errors, names that a terminal may not show, JSON.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "error.h"
#include "tool.h"
#include "util.h"

void tool_error(const char *what, const char *why, int err)
{
	if (!why)
		why = *cim_reason() ? cim_reason() : g_strerror(ABS(err));
	fprintf(stderr, "cimfs: %s: %s\n", what, why);
}

char *tool_printable(const char *name)
{
	GString *s = g_string_new(NULL);

	for (const char *p = name; *p;) {
		gunichar c = g_utf8_get_char_validated(p, -1);
		bool valid = c < 0x80000000;
		int n = valid ? g_utf8_skip[(guchar)*p] : 1;

		if (valid && !g_unichar_iscntrl(c))
			g_string_append_len(s, p, n);
		else
			for (int i = 0; i < n; i++)
				g_string_append_printf(s, "\\%03o", (unsigned char)p[i]);
		p += n;
	}
	return g_string_free(s, FALSE);
}

void tool_close_stdout(void)
{
	bool failed = ferror(stdout) != 0;

	errno = 0;
	if (fclose(stdout) == 0 && !failed)
		return;
	/* Closed by whoever started us: nobody wants the output. */
	if (errno == EBADF && !failed)
		return;
	fprintf(stderr, "cimfs: standard output: %s\n", errno ? g_strerror(errno) : "write error");
	_exit(TOOL_FAILED);
}

void tool_size(uint64_t bytes, char ret[TOOL_SIZE])
{
	static const char units[] = "kMGTPE";
	double value = (double)bytes;
	int unit = -1;

	for (; value >= 999.5 && units[unit + 1]; unit++)
		value /= 1000;
	if (unit < 0)
		snprintf(ret, TOOL_SIZE, "%u B", (unsigned int)bytes);
	else
		snprintf(ret, TOOL_SIZE, "%.*f %cB", value < 9.95 ? 1 : 0, value, units[unit]);
}

void tool_put_name(const char *name)
{
	static int is_terminal = -1;
	size_t n = strlen(name);
	mbstate_t state = { 0 };
	wchar_t c;

	if (is_terminal < 0)
		is_terminal = isatty(STDOUT_FILENO);
	if (!is_terminal) {
		fputs(name, stdout);
		return;
	}
	while (n > 0) {
		size_t used = mbrtowc(&c, name, n, &state);

		if (used == (size_t)-1 || used == (size_t)-2 || !iswprint((wint_t)c)) {
			bool valid = used <= n;

			putchar('?');
			state = (mbstate_t){ 0 };
			used = valid ? used : 1;
		} else {
			fwrite(name, 1, used, stdout);
		}
		name += used;
		n -= used;
	}
}

/* ---- JSON ---- */

void tool_json_string(GString *json, const char *value)
{
	g_string_append_c(json, '"');
	for (const char *p = value; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\')
			g_string_append_printf(json, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			g_string_append_printf(json, "\\u%04x", c);
		else
			g_string_append_c(json, *p);
	}
	g_string_append_c(json, '"');
}

void tool_json_bytes(GString *json, const char *key, const char *value)
{
	size_t n = strlen(value);

	g_string_append_printf(json, "\"%s\": ", key);
	if (g_utf8_validate(value, (gssize)n, NULL)) {
		tool_json_string(json, value);
		return;
	}
	g_autofree char *text = g_utf8_make_valid(value, (gssize)n);
	g_autofree char *base64 = g_base64_encode((const guchar *)value, n);
	tool_json_string(json, text);
	g_string_append_printf(json, ", \"%s_bytes\": \"%s\"", key, base64);
}

void tool_json_time(GString *json, const char *key, uint64_t ticks)
{
	struct timespec ts = cim_ticks_to_timespec(ticks);
	g_autoptr(GDateTime) t = g_date_time_new_from_unix_utc(ts.tv_sec);

	g_string_append_printf(json, "\"%s\": ", key);
	if (!t) {
		g_string_append(json, "null");
		return;
	}
	g_autofree char *text = g_date_time_format(t, "%Y-%m-%dT%H:%M:%S");
	g_string_append_printf(json, "\"%s.%07ldZ\"", text, ts.tv_nsec / 100);
}
