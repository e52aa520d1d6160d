/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes a tar of what standard input says, for shell tests: good ones and bad ones.  Knows nothing
 *of how the tool reads or writes tars but the checksum of a header.
 *
 * A line is words divided by spaces; in words \NNN (octal) is a byte, \\ a backslash.
 *
 *	pax KEY VALUE		a record of the next entry; VALUE "@WORD": base64 of WORD
 *	records WORD		bytes among the records as they are
 *	xname NAME		GNU's long name of the next entry
 *	set FIELD WORD		in the next entry's header; 0-filled; a checksum is not made then
 *	mtime N			of all that follow, and its mode: mode OCTAL; owner UID GID
 *	dir NAME		an entry of this type
 *	file NAME [DATA]
 *	link NAME TARGET
 *	symlink NAME TARGET
 *	char NAME MAJOR MINOR
 *	fifo NAME
 *	type T NAME [DATA]	an entry of any type
 *	big NAME SIZE		a file of that many letters
 *	bytes WORD		as they are
 *	noend			the mark of the end is left out
 */
#include "config.h"

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	GString *records, *name;
	GPtrArray *set; /* field, bytes, … */
	long mtime;
	unsigned int mode, uid, gid;
	bool no_end;
} state = { .mtime = 1000000000 };

static const struct field {
	const char *name;
	size_t off, size;
} fields[] = {
	{ "name", 0, 100 },      { "mode", 100, 8 },    { "uid", 108, 8 },
	{ "gid", 116, 8 },       { "size", 124, 12 },   { "mtime", 136, 12 },
	{ "checksum", 148, 8 },  { "type", 156, 1 },    { "link", 157, 100 },
	{ "magic", 257, 8 },     { "major", 329, 8 },   { "minor", 337, 8 },
	{ "prefix", 345, 155 },  { "sparse", 386, 96 }, { "more", 482, 1 },
	{ "realsize", 483, 12 },
};

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "make-tar: %s\n", what);
	exit(2);
}

static GString *unescape(const char *word)
{
	GString *s = g_string_new(NULL);

	for (const char *p = word; *p; p++) {
		if (*p != '\\') {
			g_string_append_c(s, *p);
		} else if (p[1] == '\\') {
			g_string_append_c(s, *++p);
		} else {
			char digits[4] = { 0 };

			strncpy(digits, p + 1, 3);
			if (strspn(digits, "01234567") != 3)
				die("a backslash without three digits");
			g_string_append_c(s, (char)strtoul(digits, NULL, 8));
			p += 3;
		}
	}
	return s;
}

static const struct field *find_field(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	die("no such field");
}

static void set(char *header, const char *name, const void *bytes, size_t size)
{
	const struct field *f = find_field(name);

	memset(header + f->off, 0, f->size);
	memcpy(header + f->off, bytes, MIN(size, f->size));
}

static void set_octal(char *header, const char *name, unsigned long n)
{
	char text[32];
	int width = (int)find_field(name)->size - 1;

	set(header, name, text, (size_t)snprintf(text, sizeof(text), "%0*lo", width, n));
}

static void put(const void *bytes, size_t size)
{
	if (size > 0 && fwrite(bytes, size, 1, stdout) != 1)
		die("cannot write");
}

static void pad(size_t size)
{
	static const char zeros[512];

	put(zeros, (512 - size % 512) % 512);
}

static void put_header(char *header, bool sealed)
{
	unsigned long sum = 0;

	if (!sealed) {
		set(header, "checksum", "        ", 8);
		for (int i = 0; i < 512; i++)
			sum += (unsigned char)header[i];
		set_octal(header, "checksum", sum);
	}
	put(header, 512);
}

static void put_simple(char type, const char *name, const GString *data)
{
	char header[512] = { 0 };

	set(header, "name", name, strlen(name));
	set_octal(header, "mode", 0644);
	set_octal(header, "size", data->len);
	set(header, "type", &type, 1);
	set(header, "magic",
	    "ustar\0"
	    "00",
	    8);
	put_header(header, false);
	put(data->str, data->len);
	pad(data->len);
}

static void put_extensions(void)
{
	if (state.name->len > 0) {
		g_string_append_c(state.name, '\0');
		put_simple('L', "././@LongLink", state.name);
	}
	if (state.records->len > 0)
		put_simple('x', "PaxHeader", state.records);
	g_string_truncate(state.name, 0);
	g_string_truncate(state.records, 0);
}

static void put_entry(char type, const char *word, const char *target, const GString *data)
{
	g_autoptr(GString) name = unescape(word);
	g_autoptr(GString) link = unescape(target);
	char header[512] = { 0 };
	bool sealed = false;

	put_extensions();
	set(header, "name", name->str, name->len);
	set(header, "link", link->str, link->len);
	set_octal(header, "mode", state.mode ? state.mode : type == '5' ? 0755 : 0644);
	set_octal(header, "uid", state.uid);
	set_octal(header, "gid", state.gid);
	set_octal(header, "size", data ? data->len : 0);
	set_octal(header, "mtime", (unsigned long)state.mtime);
	set(header, "type", &type, 1);
	set(header, "magic",
	    "ustar\0"
	    "00",
	    8);
	for (guint i = 0; i < state.set->len; i += 2) {
		const char *field = g_ptr_array_index(state.set, i);
		g_autoptr(GString) bytes = unescape(g_ptr_array_index(state.set, i + 1));

		set(header, field, bytes->str, bytes->len);
		sealed = sealed || strcmp(field, "checksum") == 0;
	}
	g_ptr_array_set_size(state.set, 0);
	put_header(header, sealed);
	if (data) {
		put(data->str, data->len);
		pad(data->len);
	}
}

static void put_file(char type, const char *name, const char *word)
{
	GString *data = unescape(word);

	put_entry(type, name, "", data);
	g_string_free(data, TRUE);
}

static void add_record(const char *key_word, const char *word)
{
	g_autoptr(GString) key = unescape(key_word);
	g_autoptr(GString) value = unescape(*word == '@' ? word + 1 : word);
	size_t rest, length;

	if (*word == '@') {
		char *text = g_base64_encode((const guchar *)value->str, value->len);

		g_string_assign(value, text);
		g_free(text);
	}
	rest = length = key->len + value->len + 3;
	for (char digits[24]; length != rest + (size_t)sprintf(digits, "%zu", length);)
		length = rest + strlen(digits);
	g_string_append_printf(state.records, "%zu ", length);
	g_string_append_len(state.records, key->str, (gssize)key->len);
	g_string_append_c(state.records, '=');
	g_string_append_len(state.records, value->str, (gssize)value->len);
	g_string_append_c(state.records, '\n');
}

static void put_device(const char *name, const char *dev_major, const char *dev_minor)
{
	g_ptr_array_add(state.set, g_strdup("major"));
	g_ptr_array_add(state.set, g_strdup_printf("%07lo", strtoul(dev_major, NULL, 10)));
	g_ptr_array_add(state.set, g_strdup("minor"));
	g_ptr_array_add(state.set, g_strdup_printf("%07lo", strtoul(dev_minor, NULL, 10)));
	put_entry('3', name, "", NULL);
}

static void put_big(const char *name, const char *size)
{
	GString *data = g_string_new(NULL);

	for (unsigned long i = strtoul(size, NULL, 10), k = 0; k < i; k++)
		g_string_append_c(data, (char)('a' + k % 26));
	put_entry('0', name, "", data);
	g_string_free(data, TRUE);
}

/* @w: the words, with empty ones behind them */
static void run(const char *verb, char **w)
{
	if (strcmp(verb, "pax") == 0) {
		add_record(w[1], w[2]);
	} else if (strcmp(verb, "records") == 0 || strcmp(verb, "xname") == 0) {
		g_autoptr(GString) bytes = unescape(w[1]);

		g_string_append_len(*verb == 'r' ? state.records : state.name, bytes->str,
				    (gssize)bytes->len);
	} else if (strcmp(verb, "set") == 0) {
		g_ptr_array_add(state.set, g_strdup(w[1]));
		g_ptr_array_add(state.set, g_strdup(w[2]));
	} else if (strcmp(verb, "mtime") == 0) {
		state.mtime = strtol(w[1], NULL, 10);
	} else if (strcmp(verb, "mode") == 0) {
		state.mode = (unsigned int)strtoul(w[1], NULL, 8);
	} else if (strcmp(verb, "owner") == 0) {
		state.uid = (unsigned int)strtoul(w[1], NULL, 10);
		state.gid = (unsigned int)strtoul(w[2], NULL, 10);
	} else if (strcmp(verb, "dir") == 0) {
		put_entry('5', w[1], "", NULL);
	} else if (strcmp(verb, "file") == 0) {
		put_file('0', w[1], w[2]);
	} else if (strcmp(verb, "link") == 0) {
		put_entry('1', w[1], w[2], NULL);
	} else if (strcmp(verb, "symlink") == 0) {
		put_entry('2', w[1], w[2], NULL);
	} else if (strcmp(verb, "char") == 0) {
		put_device(w[1], w[2], w[3]);
	} else if (strcmp(verb, "fifo") == 0) {
		put_entry('6', w[1], "", NULL);
	} else if (strcmp(verb, "type") == 0) {
		put_file(*unescape(w[1])->str, w[2], w[3]);
	} else if (strcmp(verb, "big") == 0) {
		put_big(w[1], w[2]);
	} else if (strcmp(verb, "bytes") == 0) {
		g_autoptr(GString) bytes = unescape(w[1]);

		put(bytes->str, bytes->len);
	} else if (strcmp(verb, "noend") == 0) {
		state.no_end = true;
	} else {
		die(verb);
	}
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;

	state.records = g_string_new(NULL);
	state.name = g_string_new(NULL);
	state.set = g_ptr_array_new_with_free_func(g_free);
	while (getline(&line, &room, stdin) > 0) {
		g_autofree char *padded = g_strconcat(g_strstrip(line), "    ", NULL);
		g_auto(GStrv) words = g_strsplit(padded, " ", -1);

		if (*words[0] && *words[0] != '#')
			run(words[0], words);
	}
	if (!state.no_end) {
		char zeros[1024] = { 0 };

		put(zeros, sizeof(zeros));
	}
	free(line);
	return fflush(stdout) == 0 ? 0 : 2;
}
