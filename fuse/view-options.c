/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Options of ntfs-3g, vfat, ntfs3 and the SMB client, with the meaning that they have there
 * (metadata.md §10.3).  Values are taken as a whole or not at all: sscanf(3), as libfuse has it,
 * would read "uid=1000x" and "umask=9".
 */
#include "config.h"

#include "view-options.h"

#include <glib.h>
#include <stddef.h>
#include <string.h>

#include "log.h"
#include "posix.h"
#include "reparse.h"

#define MASK_MAX         07777
#define SYMLINK_ROOT_MAX 1024 /* bytes; the rest of CIM_SYMLINK_MAX is for the path behind it */

struct word {
	const char *word;
	int value;
};

static const struct word stream_words[] = {
	{ "xattr", CIM_STREAMS_XATTR },
	{ "none", CIM_STREAMS_NONE },
	{ "openxattr", CIM_STREAMS_OPENXATTR },
	{ "windows", CIM_STREAMS_WINDOWS },
	{ NULL, 0 },
};

static const struct word abslink_words[] = {
	{ "root", CIM_ABSLINKS_ROOT },
	{ "raw", CIM_ABSLINKS_RAW },
	{ NULL, 0 },
};

/* How special files are made; ntfs-3g's other way, Interix files, is not written here. */
static const struct word special_words[] = {
	{ "wsl", 0 },
	{ NULL, 0 },
};

static int wrong(const char *option, const char *wanted)
{
	cim_log(LOG_ERR, "option \"%s\": %s", option, wanted);
	return -1;
}

static int take_number(const char *option, const char *text, unsigned int base, guint64 max,
		       uint32_t *ret)
{
	guint64 n;

	if (!g_ascii_string_to_unsigned(text, base, 0, max, &n, NULL))
		return wrong(option, base == 8 ? "a mask is up to four octal digits, as 022"
					       : "an ID is a number up to 4294967294");
	*ret = (uint32_t)n;
	return 0;
}

static int take_word(const char *option, const char *text, const struct word *words, int *ret)
{
	g_autoptr(GString) wanted = g_string_new("it is one of");

	for (const struct word *w = words; w->word; w++) {
		if (strcmp(w->word, text) == 0) {
			*ret = w->value;
			return 0;
		}
		g_string_append_printf(wanted, " %s", w->word);
	}
	return wrong(option, wanted->str);
}

static int take_symlink_root(struct cim_view_options *o, const char *option, const char *text)
{
	size_t n = strlen(text);

	if (text[0] != '/')
		return wrong(option, "it is an absolute path");
	if (n > SYMLINK_ROOT_MAX)
		return wrong(option, "the path is too long");
	while (n > 0 && text[n - 1] == '/')
		n--;
	g_free(o->symlink_root);
	o->symlink_root = g_strndup(text, n);
	o->view.abslinks = CIM_ABSLINKS_DIR;
	return 0;
}

static const struct {
	const char *name;
	size_t flag; /* where its bool is in struct cim_view */
} flags[] = {
	{ "forceuid", offsetof(struct cim_view, force_uid) },
	{ "forcegid", offsetof(struct cim_view, force_gid) },
	{ "nometadata", offsetof(struct cim_view, no_metadata) },
	{ "ignore_case", offsetof(struct cim_view, ignore_case) },
	{ "hide_hid_files", offsetof(struct cim_view, hide_hidden) },
	{ "list_ntfs_xattrs", offsetof(struct cim_view, list_ntfs_xattrs) },
	{ "dosattrib", offsetof(struct cim_view, dosattrib) },
	{ "windows_names", offsetof(struct cim_view, windows_names) },
};

static int take_flag(struct cim_view_options *o, const char *option)
{
	for (size_t i = 0; i < G_N_ELEMENTS(flags); i++) {
		if (strcmp(flags[i].name, option) == 0) {
			*(bool *)((char *)&o->view + flags[i].flag) = true;
			return 0;
		}
	}
	return 1;
}

static int take_value(struct cim_view_options *o, const char *option, const char *name, size_t n,
		      const char *text)
{
	int value = 0, r;

#define NAMED(s) (n == strlen(s) && strncmp(name, s, n) == 0)
	if (NAMED("uid"))
		return take_number(option, text, 10, CIM_ID_INVALID - 1, &o->view.uid);
	if (NAMED("gid"))
		return take_number(option, text, 10, CIM_ID_INVALID - 1, &o->view.gid);
	if (NAMED("umask"))
		return take_number(option, text, 8, MASK_MAX, &o->umask);
	if (NAMED("fmask"))
		return take_number(option, text, 8, MASK_MAX, &o->fmask);
	if (NAMED("dmask"))
		return take_number(option, text, 8, MASK_MAX, &o->dmask);
	if (NAMED("symlinkroot"))
		return take_symlink_root(o, option, text);
	if (NAMED("special_files"))
		return take_word(option, text, special_words, &value);
	if (NAMED("streams_interface")) {
		r = take_word(option, text, stream_words, &value);
		if (r == 0)
			o->view.streams = (enum cim_view_streams)value;
		return r;
	}
	if (NAMED("abslinks")) {
		r = take_word(option, text, abslink_words, &value);
		if (r == 0)
			o->view.abslinks = (enum cim_view_abslinks)value;
		return r;
	}
#undef NAMED
	return 1;
}

void cim_view_options_init(struct cim_view_options *o)
{
	*o = (struct cim_view_options){
		.view = cim_view_default(),
		.umask = CIM_MASK_UNSET,
		.fmask = CIM_MASK_UNSET,
		.dmask = CIM_MASK_UNSET,
	};
}

int cim_view_options_take(struct cim_view_options *o, const char *option)
{
	const char *text = strchr(option, '=');

	if (!text)
		return take_flag(o, option);
	return take_value(o, option, option, (size_t)(text - option), text + 1);
}

void cim_view_options_end(struct cim_view_options *o)
{
	uint32_t fmask = o->fmask != CIM_MASK_UNSET ? o->fmask : o->umask;
	uint32_t dmask = o->dmask != CIM_MASK_UNSET ? o->dmask : o->umask;

	if (fmask != CIM_MASK_UNSET)
		o->view.fmask = fmask;
	if (dmask != CIM_MASK_UNSET)
		o->view.dmask = dmask;
	o->view.symlink_root = o->symlink_root;
}

void cim_view_options_clear(struct cim_view_options *o)
{
	g_clear_pointer(&o->symlink_root, g_free);
	o->view.symlink_root = NULL;
}
