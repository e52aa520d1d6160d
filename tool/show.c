/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a file is, in words: modes, types, attributes and reparse tags, and as JSON.
 */
#include "config.h"

#include "show.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "tool.h"
#include "windows.h"

void show_mode(uint32_t mode, char ret[SHOW_MODE])
{
	static const struct {
		uint32_t type;
		char letter;
	} types[] = {
		{ S_IFREG, '-' }, { S_IFDIR, 'd' }, { S_IFLNK, 'l' },  { S_IFCHR, 'c' },
		{ S_IFBLK, 'b' }, { S_IFIFO, 'p' }, { S_IFSOCK, 's' },
	};

	strcpy(ret, "?rwxrwxrwx");
	for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
		if ((mode & S_IFMT) == types[i].type)
			ret[0] = types[i].letter;
	for (int i = 0; i < 9; i++)
		if (!(mode & (0400u >> i)))
			ret[1 + i] = '-';
	if (mode & S_ISUID)
		ret[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		ret[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		ret[9] = mode & S_IXOTH ? 't' : 'T';
}

const char *show_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFCHR:
		return "char";
	case S_IFBLK:
		return "block";
	case S_IFIFO:
		return "fifo";
	default:
		return "socket";
	}
}

/* The letters are those of Windows' attrib and of PowerShell. */
static const struct {
	uint32_t bit;
	char letter;
	const char *name;
} attributes[] = {
	{ CIM_ATTRIBUTE_READONLY, 'R', "READONLY" },
	{ CIM_ATTRIBUTE_HIDDEN, 'H', "HIDDEN" },
	{ CIM_ATTRIBUTE_SYSTEM, 'S', "SYSTEM" },
	{ CIM_ATTRIBUTE_DIRECTORY, 'D', "DIRECTORY" },
	{ CIM_ATTRIBUTE_ARCHIVE, 'A', "ARCHIVE" },
	{ CIM_ATTRIBUTE_SPARSE, 'P', "SPARSE_FILE" },
	{ CIM_ATTRIBUTE_REPARSE_POINT, 'L', "REPARSE_POINT" },
	{ CIM_ATTRIBUTE_NORMAL, 0, "NORMAL" },
};

void show_attribute_letters(uint32_t value, char ret[SHOW_LETTERS])
{
	size_t n = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(attributes); i++)
		if (attributes[i].letter)
			ret[n++] = value & attributes[i].bit ? attributes[i].letter : '-';
	ret[n] = '\0';
}

void show_attribute_names(GString *text, const char *separator, uint32_t value)
{
	const char *before = "";

	for (size_t i = 0; i < G_N_ELEMENTS(attributes); i++) {
		if (!(value & attributes[i].bit))
			continue;
		g_string_append_printf(text, "%s%s", before, attributes[i].name);
		before = separator;
	}
}

const char *show_tag(uint32_t tag)
{
	/* Names of winnt.h, without IO_REPARSE_TAG_. */
	static const struct {
		uint32_t tag;
		const char *name;
	} tags[] = {
		{ 0xA0000003, "MOUNT_POINT" },
		{ 0xC0000004, "HSM" },
		{ 0x80000006, "HSM2" },
		{ 0x80000007, "SIS" },
		{ 0x80000008, "WIM" },
		{ 0x80000009, "CSV" },
		{ 0x8000000A, "DFS" },
		{ 0xA000000C, "SYMLINK" },
		{ 0xA0000010, "IIS_CACHE" },
		{ 0x80000012, "DFSR" },
		{ 0x80000013, "DEDUP" },
		{ 0x80000014, "NFS" },
		{ 0x80000015, "FILE_PLACEHOLDER" },
		{ 0x80000016, "DFM" },
		{ 0x80000017, "WOF" },
		{ 0x80000018, "WCI" },
		{ 0x90001018, "WCI_1" },
		{ 0xA0000019, "GLOBAL_REPARSE" },
		{ 0x8000001B, "APPEXECLINK" },
		{ 0x9000001C, "PROJFS" },
		{ 0xA000001D, "LX_SYMLINK" },
		{ 0x8000001E, "STORAGE_SYNC" },
		{ 0xA000001F, "WCI_TOMBSTONE" },
		{ 0x80000020, "UNHANDLED" },
		{ 0x80000021, "ONEDRIVE" },
		{ 0xA0000022, "PROJFS_TOMBSTONE" },
		{ 0x80000023, "AF_UNIX" },
		{ 0x80000024, "LX_FIFO" },
		{ 0x80000025, "LX_CHR" },
		{ 0x80000026, "LX_BLK" },
		{ 0xA0000027, "WCI_LINK" },
		{ 0x90000027, "STORAGE_SYNC_FOLDER" },
		{ 0xA0001027, "WCI_LINK_1" },
	};
	const uint32_t cloud = 0x9000001A, cloud_mask = 0xFFFF0FFF;

	for (size_t i = 0; i < G_N_ELEMENTS(tags); i++)
		if (tags[i].tag == tag)
			return tags[i].name;
	return (tag & cloud_mask) == cloud ? "CLOUD" : NULL;
}

/* ---- JSON ---- */

bool show_is_device(const struct cim_attr *a)
{
	return S_ISCHR(a->posix.mode) || S_ISBLK(a->posix.mode);
}

void show_json_attr(GString *json, const struct cim_image *img, const struct cim_attr *a)
{
	char target[CIM_SYMLINK_MAX + 1];

	g_string_append_printf(json,
			       "\"type\": \"%s\", \"mode\": \"%04o\", \"links\": %u, \"uid\": %u, "
			       "\"gid\": %u, \"size\": %" PRIu64 ", \"blocks\": %" PRIu64
			       ", \"id\": %u, ",
			       show_type(a->posix.mode), a->posix.mode & 07777, a->posix.n_links,
			       a->posix.uid, a->posix.gid, a->size, a->blocks, a->id);
	if (show_is_device(a))
		g_string_append_printf(json, "\"major\": %u, \"minor\": %u, ", a->posix.major,
				       a->posix.minor);
	if (S_ISLNK(a->posix.mode) && cim_file_readlink(img, a->id, target) >= 0) {
		tool_json_bytes(json, "target", target);
		g_string_append(json, ", ");
	}
	tool_json_time(json, "mtime", a->written);
	g_string_append(json, ", ");
	tool_json_time(json, "ctime", a->changed);
	g_string_append(json, ", ");
	tool_json_time(json, "btime", a->created);
}

void show_json_attributes(GString *json, const struct cim_entry *e)
{
	uint32_t value = cim_attributes_of_entry(e);

	g_string_append_printf(json, "\"attributes\": %u, \"attribute_names\": [\"", value);
	show_attribute_names(json, "\", \"", value);
	g_string_append(json, "\"]");
	if (!e->reparse_tag)
		return;
	g_string_append_printf(json, ", \"reparse_tag\": \"0x%08X\"", e->reparse_tag);
	if (show_tag(e->reparse_tag))
		g_string_append_printf(json, ", \"reparse_tag_name\": \"%s\"",
				       show_tag(e->reparse_tag));
}

/* ---- streams ---- */

int show_streams(const struct cim_image *img, const struct cim_entry *e, show_stream_fn fn,
		 void *arg)
{
	uint16_t units[CIM_NAME_UNITS];
	char name[CIM_NAME_BYTES + 1];
	struct cim_stream stream;
	struct cim_links l;
	int r = cim_file_streams(img, e, &l);

	for (uint32_t i = 0; r == 0 && i < l.n; i++) {
		r = cim_links_name(&l, i, units);
		if (r >= 0)
			r = cim_name_shown(units, (size_t)r, name);
		if (r >= 0)
			r = cim_links_stream(&l, i, &stream);
		if (r >= 0) {
			fn(arg, name, &stream);
			r = 0;
		}
	}
	return r;
}
