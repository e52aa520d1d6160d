/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimfs stat: all that an image keeps of a file, on Linux' account and on Windows', and where its
 * data lies.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "reader.h"
#include "sddl.h"
#include "show.h"
#include "tool.h"
#include "util.h"

#define EA_SHOWN 32 /* bytes of a value in text; JSON has all */

struct file {
	const struct cim_image *img;
	const char *path;
	struct cim_entry e;
	struct cim_attr attr;
	struct cim_winmeta win;
	int streams_error; /* of the table of streams, when it was read last */
};

/* ---- where data lies ---- */

/* The region file of an index, and the set that it belongs to. */
static const struct cim_set *set_of(const struct cim_image *img, uint32_t region,
				    char ret_file[CIM_FILE_NAME])
{
	for (uint32_t i = 0; i < img->n_sets; i++) {
		if (region < img->sets[i].n_regions) {
			cim_region_name(&img->sets[i].guid, region, ret_file);
			return &img->sets[i];
		}
		region -= img->sets[i].n_regions;
	}
	return NULL;
}

static const char *kind_of(const struct cim_stream *s)
{
	switch (s->type) {
	case CIM_STREAM_LINKS:
		return "table";
	case CIM_STREAM_PE:
		return "pe";
	case CIM_STREAM_DATA:
	default:
		return s->sparse ? "sparse" : "data";
	}
}

static bool pe_of(const struct cim_image *img, const struct cim_stream *s, struct cim_pe *ret)
{
	const uint8_t *p;
	uint64_t n;

	return s->type == CIM_STREAM_PE && s->off && cim_image_span(img, s->off, &p, &n) == 0 &&
	       cim_pe_parse(p, n, ret) == 0;
}

/* "1234 bytes at 4096 of region_…_1" */
static void put_place(const struct cim_image *img, const struct cim_stream *s)
{
	char file[CIM_FILE_NAME];
	struct cim_pe pe;

	printf("%s, %" PRIu64 " bytes", kind_of(s), s->size);
	if (pe_of(img, s, &pe)) {
		printf(" through %u mappings at %" PRIu64, pe.n_mappings, cim_off_byte(s->off));
		if (set_of(img, cim_off_region(s->off), file))
			printf(" of %s", file);
		printf(" to %" PRIu64 " bytes at %" PRIu64, pe.data_size,
		       cim_off_byte(pe.data_off));
		if (set_of(img, cim_off_region(pe.data_off), file))
			printf(" of %s", file);
	} else if (s->off) {
		printf(" at %" PRIu64, cim_off_byte(s->off));
		if (set_of(img, cim_off_region(s->off), file))
			printf(" of %s", file);
	}
	putchar('\n');
}

static void json_off(GString *json, const struct cim_image *img, const char *prefix, uint64_t off)
{
	char file[CIM_FILE_NAME], guid[CIM_GUID_TEXT];
	const struct cim_set *set = set_of(img, cim_off_region(off), file);

	g_string_append_printf(json, ", \"%sregion\": %u, \"%soffset\": %" PRIu64, prefix,
			       cim_off_region(off), prefix, cim_off_byte(off));
	if (!set)
		return;
	cim_guid_format(&set->guid, guid);
	g_string_append_printf(json, ", \"%sset\": \"%s\", \"%sfile\": \"%s\"", prefix, guid,
			       prefix, file);
}

/* The members of an object that tell of a stream. */
static void json_place(GString *json, const struct cim_image *img, const struct cim_stream *s)
{
	struct cim_pe pe;

	g_string_append_printf(json, "\"kind\": \"%s\", \"size\": %" PRIu64, kind_of(s), s->size);
	if (s->off)
		json_off(json, img, "", s->off);
	if (pe_of(img, s, &pe)) {
		g_string_append_printf(json, ", \"mappings\": %u, \"data_size\": %" PRIu64,
				       pe.n_mappings, pe.data_size);
		json_off(json, img, "data_", pe.data_off);
	}
}

/* ---- text ---- */

static void put_time(const char *key, uint64_t ticks)
{
	struct timespec ts = cim_ticks_to_timespec(ticks);
	char text[64], zone[16];
	struct tm tm;

	if (!localtime_r(&ts.tv_sec, &tm) || !strftime(text, sizeof(text), "%F %T", &tm) ||
	    !strftime(zone, sizeof(zone), "%z", &tm))
		printf("%s: ? (%" PRIu64 ")\n", key, ticks);
	else
		printf("%s: %s.%07ld %s\n", key, text, ts.tv_nsec / 100, zone);
}

static void put_reparse(const struct file *f)
{
	const char *name = show_tag(f->e.reparse_tag);

	if (!f->e.reparse_tag)
		return;
	printf("reparse: 0x%08X%s%s, %zu bytes\n", f->e.reparse_tag, name ? " " : "",
	       name ? name : "", f->win.reparse_size);
}

static void put_security(const struct file *f)
{
	g_autofree char *text = NULL;

	if (!f->e.sd_off)
		return;
	if (f->win.sd_size && cim_sddl_format(f->win.sd, f->win.sd_size, &text) == 0)
		printf("security: %zu bytes, %s\n", f->win.sd_size, text);
	else
		puts("security: damaged");
}

static void put_eas(const struct file *f)
{
	struct cim_ea_iter it;
	struct cim_ea ea;

	cim_ea_iter_init(&it, f->win.eas, f->win.eas_size);
	while (cim_ea_iter_next(&it, &ea) == 1) {
		g_autofree char *name = g_strndup(ea.name, ea.name_size);

		fputs("ea: ", stdout);
		tool_put_name(name);
		printf(", flags 0x%02x, %zu bytes:", ea.flags, (size_t)ea.value_size);
		for (size_t i = 0; i < MIN(ea.value_size, EA_SHOWN); i++)
			printf("%s%02x", i % 4 ? "" : " ", ea.value[i]);
		puts(ea.value_size > EA_SHOWN ? " ..." : "");
	}
	if (f->e.ea_size && !f->win.eas_size)
		puts("ea: damaged, or none but the link count");
}

static int put_xattr(void *arg, const char *name)
{
	const struct file *f = arg;

	fputs("xattr: ", stdout);
	tool_put_name(name);
	printf(", %zd bytes\n", cim_file_get_xattr(f->img, &f->e, name, NULL, 0));
	return 0;
}

static void put_stream(void *arg, const char *name, const struct cim_stream *s)
{
	const struct file *f = arg;

	fputs("stream: ", stdout);
	tool_put_name(name);
	fputs(", ", stdout);
	put_place(f->img, s);
}

static void put_file(struct file *f)
{
	const struct cim_attr *a = &f->attr;
	g_autoptr(GString) names = g_string_new(NULL);
	uint32_t attributes = f->win.attributes;
	char mode[SHOW_MODE], target[CIM_SYMLINK_MAX + 1];

	show_mode(a->posix.mode, mode);
	show_attribute_names(names, " ", attributes);
	fputs("path: ", stdout);
	tool_put_name(*f->path ? f->path : "/");
	printf("\nid: %u, in directory %u\n", a->id, f->e.parent_id);
	printf("type: %s\n", show_type(a->posix.mode));
	if (show_is_device(a))
		printf("device: %u, %u\n", a->posix.major, a->posix.minor);
	if (S_ISLNK(a->posix.mode) && cim_file_readlink(f->img, a->id, target) >= 0) {
		fputs("target: ", stdout);
		tool_put_name(target);
		putchar('\n');
	}
	printf("size: %" PRIu64 "\nblocks: %" PRIu64 "\nlinks: %u\n", a->size, a->blocks,
	       a->posix.n_links);
	printf("mode: %04o (%s)\nuid: %u\ngid: %u\n", a->posix.mode & 07777, mode, a->posix.uid,
	       a->posix.gid);
	put_time("accessed", a->accessed);
	put_time("modified", a->written);
	put_time("changed", a->changed);
	put_time("created", a->created);
	printf("attributes: 0x%08x %s\n", attributes, names->str);
	put_reparse(f);
	put_security(f);
	put_eas(f);
	(void)cim_file_list_xattrs(f->img, &f->e, put_xattr, f);
	fputs("data: ", stdout);
	put_place(f->img, &f->e.data);
	f->streams_error = show_streams(f->img, &f->e, put_stream, f);
}

/* ---- JSON ---- */

static void json_hex(GString *json, const char *key, const uint8_t *bytes, size_t size)
{
	g_string_append_printf(json, "\"%s\": \"", key);
	for (size_t i = 0; i < size; i++)
		g_string_append_printf(json, "%02x", bytes[i]);
	g_string_append_c(json, '"');
}

static void json_windows(GString *json, const struct file *f)
{
	g_autofree char *text = NULL;
	const struct cim_winmeta *w = &f->win;

	if (w->reparse_size) {
		g_string_append(json, ", ");
		json_hex(json, "reparse_data", w->reparse, w->reparse_size);
	}
	g_string_append(json, ", \"security\": ");
	if (w->sd_size && cim_sddl_format(w->sd, w->sd_size, &text) == 0) {
		g_string_append_printf(json, "{ \"size\": %zu, \"sddl\": ", w->sd_size);
		tool_json_string(json, text);
		g_string_append(json, ", ");
		json_hex(json, "data", w->sd, w->sd_size);
		g_string_append(json, " }");
	} else {
		g_string_append(json, "null");
	}
}

/* Before the next member of an array. */
static void json_next(GString *json)
{
	g_string_append(json, json->str[json->len - 1] == '[' ? "{ " : ", { ");
}

static void json_eas(GString *json, const struct file *f)
{
	struct cim_ea_iter it;
	struct cim_ea ea;

	g_string_append(json, ", \"eas\": [");
	cim_ea_iter_init(&it, f->win.eas, f->win.eas_size);
	while (cim_ea_iter_next(&it, &ea) == 1) {
		g_autofree char *name = g_strndup(ea.name, ea.name_size);

		json_next(json);
		tool_json_bytes(json, "name", name);
		g_string_append_printf(json, ", \"flags\": %u, \"size\": %zu, ", ea.flags,
				       (size_t)ea.value_size);
		json_hex(json, "value", ea.value, ea.value_size);
		g_string_append(json, " }");
	}
	g_string_append_c(json, ']');
}

struct json_arg {
	GString *json;
	const struct file *f;
};

static int json_xattr(void *arg, const char *name)
{
	const struct json_arg *a = arg;

	json_next(a->json);
	tool_json_bytes(a->json, "name", name);
	g_string_append_printf(a->json, ", \"size\": %zd }",
			       cim_file_get_xattr(a->f->img, &a->f->e, name, NULL, 0));
	return 0;
}

static void json_stream(void *arg, const char *name, const struct cim_stream *s)
{
	const struct json_arg *a = arg;

	json_next(a->json);
	tool_json_bytes(a->json, "name", name);
	g_string_append(a->json, ", ");
	json_place(a->json, a->f->img, s);
	g_string_append(a->json, " }");
}

static void json_file(GString *json, struct file *f)
{
	struct json_arg arg = { json, f };

	g_string_append(json, "{ ");
	tool_json_bytes(json, "name", f->path);
	g_string_append(json, ", ");
	show_json_attr(json, f->img, &f->attr);
	g_string_append(json, ", ");
	tool_json_time(json, "atime", f->attr.accessed);
	g_string_append_printf(json, ", \"parent\": %u, ", f->e.parent_id);
	show_json_attributes(json, &f->e);
	json_windows(json, f);
	json_eas(json, f);
	g_string_append(json, ", \"xattrs\": [");
	(void)cim_file_list_xattrs(f->img, &f->e, json_xattr, &arg);
	g_string_append(json, "], \"data\": { ");
	json_place(json, f->img, &f->e.data);
	g_string_append(json, " }, \"streams\": [");
	f->streams_error = show_streams(f->img, &f->e, json_stream, &arg);
	g_string_append(json, "] }");
}

/* ---- the command ---- */

static int load(struct file *f)
{
	uint32_t id;

	cim_reason_clear();
	int r = cim_path_lookup(f->img, f->path, false, &id);
	if (r == 0)
		r = cim_image_entry(f->img, id, &f->e);
	if (r == 0)
		r = cim_file_attr_of(f->img, id, &f->e, &f->attr);
	return r == 0 ? cim_file_windows(f->img, &f->e, &f->win) : r;
}

/* Without its region file a file is told of, and what it takes on the disk is a guess. */
static int check_data(const struct file *f)
{
	const uint8_t *p;
	uint64_t n;

	return f->e.data.off ? cim_image_span(f->img, f->e.data.off, &p, &n) : 0;
}

/* @ret_first: whether nothing was printed before */
static bool stat_path(const struct cim_image *img, const char *arg, const char *path, bool json,
		      bool *ret_first)
{
	struct file f = { .img = img, .path = path + strspn(path, "/") };
	int r = load(&f);

	if (r == 0) {
		cim_reason_clear();
		if (json) {
			g_autoptr(GString) text = g_string_new(*ret_first ? "[\n" : ",\n");

			json_file(text, &f);
			fputs(text->str, stdout);
		} else {
			if (!*ret_first)
				putchar('\n');
			put_file(&f);
		}
		*ret_first = false;
		r = f.streams_error < 0 ? f.streams_error : check_data(&f);
	}
	if (r < 0) {
		g_autofree char *what = g_build_path("/", arg, path, NULL);

		fflush(stdout);
		tool_error(what, NULL, r);
	}
	return r == 0;
}

int tool_stat(int argc, char **argv)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{ "json", 0, 0, G_OPTION_ARG_NONE, &json, "A JSON array", NULL },
		{ NULL },
	};
	bool ok = true, first = true;

	if (!tool_parse(&argc, &argv, "DIR/NAME PATH…",
			"Print all that an image keeps of files, for Linux and for Windows, and "
			"where their data is.",
			entries, 2, G_MAXINT))
		return TOOL_USAGE;
	struct cim_image *img = tool_open_image(argv[1]);
	if (!img)
		return TOOL_FAILED;
	for (int i = 2; i < argc; i++)
		ok = stat_path(img, argv[1], argv[i], json, &first) && ok;
	if (json)
		puts(first ? "[]" : "\n]");
	cim_image_unref(img);
	return ok ? EXIT_SUCCESS : TOOL_FAILED;
}
