/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What Windows keeps about a file: the gate refuses it, or the writer keeps it byte for byte, also
 * in forks that touch it; POSIX and Windows set their parts of it and leave the other's.
 */
#include "config.h"

#include "imagedir.h"
#include "wincreate.h"
#include "windows.h"

/* ---- metadata ---- */

static const uint8_t lx_list[] = {
	/* metadata.md §1.3 */
	0x14, 0, 0, 0, 0, 6, 4, 0, '$', 'L', 'X', 'U', 'I', 'D', 0, 0xe8, 3,    0, 0, 0,
	0x14, 0, 0, 0, 0, 6, 4, 0, '$', 'L', 'X', 'G', 'I', 'D', 0, 0xe8, 3,    0, 0, 0,
	0,    0, 0, 0, 0, 6, 4, 0, '$', 'L', 'X', 'M', 'O', 'D', 0, 0xa4, 0x81, 0, 0, 0,
};
/* An EA of Windows' with a flag, behind it $LXUID: in no order of ours. */
static const uint8_t foreign_list[] = {
	0x14, 0, 0, 0, 0x80, 4, 5, 0, 'Z', 'E', 'T', 'A', 0,   'v', 'a', 'l', 'u', 'e', 0, 0,
	0,    0, 0, 0, 0,    6, 4, 0, '$', 'L', 'X', 'U', 'I', 'D', 0,   7,   0,   0,   0, 0,
};
/* O:BAG:BAD:(A;OICI;FA;;;WD), ntfs3's default (metadata.md §4.2) */
static const uint8_t sd_bytes[80] = {
	1,    0, 4,    0x80, 0x30, 0, 0, 0, 0x40, 0, 0,    0, 0,    0, 0,    0, 0x14, 0, 0, 0,
	2,    0, 0x1c, 0,    1,    0, 0, 0, 0,    3, 0x14, 0, 0xff, 1, 0x1f, 0, 1,    1, 0, 0,
	0,    0, 0,    1,    0,    0, 0, 0, 1,    2, 0,    0, 0,    0, 0,    5, 0x20, 0, 0, 0,
	0x20, 2, 0,    0,    1,    2, 0, 0, 0,    0, 0,    5, 0x20, 0, 0,    0, 0x20, 2, 0, 0,
};
/* "../a", relative (metadata.md §2.3) */
static const uint8_t symlink_bytes[] = {
	0x0c, 0, 0,   0xa0, 0x1c, 0, 0,    0, 8,   0, 8,   0, 0,   0, 8,    0, 1,   0,
	0,    0, '.', 0,    '.',  0, '\\', 0, 'a', 0, '.', 0, '.', 0, '\\', 0, 'a', 0,
};
static const uint8_t unknown_reparse[] = { 0x18, 0, 0, 0x80, 3, 0, 0, 0, 1, 2, 3 };

static int equal_to(void *arg, const struct cim_winmeta *m)
{
	const struct cim_winmeta *want = arg;

	ck_assert_uint_eq(m->attributes, want->attributes);
	ck_assert_uint_eq(m->created, want->created);
	ck_assert_uint_eq(m->written, want->written);
	ck_assert_uint_eq(m->changed, want->changed);
	ck_assert_uint_eq(m->accessed, want->accessed);
	ck_assert_mem_eq(m->sd, want->sd, want->sd_size);
	ck_assert_uint_eq(m->sd_size, want->sd_size);
	ck_assert_uint_eq(m->reparse_size, want->reparse_size);
	if (want->reparse_size)
		ck_assert_mem_eq(m->reparse, want->reparse, want->reparse_size);
	ck_assert_uint_eq(m->eas_size, want->eas_size);
	if (want->eas_size)
		ck_assert_mem_eq(m->eas, want->eas, want->eas_size);
	return 0;
}

static void check_image_meta(const char *image, const char *path, struct cim_winmeta *want)
{
	struct cim_image *img = open_image(image);
	struct cim_entry e = image_entry(img, path);
	struct cim_winmeta m;

	ck_assert_int_eq(cim_file_windows(img, &e, &m), 0);
	(void)equal_to(want, &m);
	cim_image_unref(img);
}

static const struct {
	const uint8_t *eas, *reparse;
	size_t eas_size, reparse_size;
	uint32_t attributes, type;
} kept[] = {
	{ NULL, NULL, 0, 0, CIM_ATTRIBUTE_HIDDEN | CIM_ATTRIBUTE_READONLY, S_IFREG },
	{ lx_list, NULL, sizeof(lx_list), 0, CIM_ATTRIBUTE_ARCHIVE, S_IFREG },
	{ foreign_list, NULL, sizeof(foreign_list), 0, CIM_ATTRIBUTE_SYSTEM, S_IFREG },
	{ foreign_list, NULL, sizeof(foreign_list), 0, CIM_ATTRIBUTE_DIRECTORY, S_IFDIR },
	{ NULL, symlink_bytes, 0, sizeof(symlink_bytes), CIM_ATTRIBUTE_REPARSE_POINT, S_IFLNK },
	{ foreign_list, symlink_bytes, sizeof(foreign_list), sizeof(symlink_bytes),
	  CIM_ATTRIBUTE_REPARSE_POINT | CIM_ATTRIBUTE_DIRECTORY, S_IFLNK },
	{ NULL, unknown_reparse, 0, sizeof(unknown_reparse),
	  CIM_ATTRIBUTE_REPARSE_POINT | CIM_ATTRIBUTE_ARCHIVE, S_IFREG },
	{ NULL, unknown_reparse, 0, sizeof(unknown_reparse),
	  CIM_ATTRIBUTE_REPARSE_POINT | CIM_ATTRIBUTE_DIRECTORY, S_IFDIR },
};

/* Given, given back, committed, touched in a fork, and still the same to the byte. */
START_TEST(metadata_is_kept_byte_for_byte)
{
	struct cim_winmeta m = { .attributes = kept[_i].attributes,
				 .created = 1,
				 .written = 2,
				 .changed = 3,
				 .accessed = TICKS,
				 .sd = sd_bytes,
				 .sd_size = sizeof(sd_bytes),
				 .reparse = kept[_i].reparse,
				 .reparse_size = kept[_i].reparse_size,
				 .eas = kept[_i].eas,
				 .eas_size = kept[_i].eas_size };
	const struct cim_attr times = { .written = 5 };
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id;

	ck_assert_int_eq(try_create(w, "f", &m, &id), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.mode & S_IFMT, kept[_i].type);
	ck_assert_int_eq(cim_writer_get_windows(w, id, equal_to, &m), 0);
	commit(w);
	check_image_meta("a.cim", "f", &m);
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(cim_writer_get_windows(w, find(w, "f"), equal_to, &m), 0);
	ck_assert_int_eq(cim_writer_set(w, find(w, "f"), CIM_SET_WRITTEN | CIM_SET_CHANGED, &times),
			 0);
	m.written = 5;
	m.changed = 0;
	ck_assert_int_eq(cim_writer_get_windows(w, find(w, "f"), equal_to, &m), 0);
	commit(w);
	check_image_meta("b.cim", "f", &m);
	struct cim_image *img = open_image("b.cim");
	ck_assert_uint_eq(image_attr(img, "f").posix.mode & S_IFMT, kept[_i].type);
	cim_image_unref(img);
}
END_TEST

/* What POSIX made takes parts of it, whatever its type, and stays what it is. */
START_TEST(parts_are_set_on_files_of_every_type)
{
	static const uint32_t modes[] = { S_IFREG | 0644,  S_IFDIR | 0755, S_IFIFO | 0600,
					  S_IFSOCK | 0600, S_IFCHR | 0600, S_IFLNK | 0777 };
	struct cim_make make = {
		.mode = modes[_i], .uid = 5, .gid = 6, .major = 7, .minor = 8, .target = "target"
	};
	const struct cim_winmeta m = { .attributes = CIM_ATTRIBUTE_HIDDEN,
				       .created = TICKS,
				       .sd = sd_bytes,
				       .sd_size = sizeof(sd_bytes) };
	struct cim_writer *w = open_writer(NULL, "a.cim");

	uint32_t id;

	ck_assert_int_eq(try_make_as(w, "f", &make, &id), 0);

	ck_assert_int_eq(
		cim_writer_set_windows(w, id,
				       CIM_WIN_ATTRIBUTES | CIM_WIN_CREATED | CIM_WIN_SECURITY, &m),
		0);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, modes[_i]);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	struct cim_attr attr = image_attr(img, "f");
	ck_assert_uint_eq(attr.posix.mode, modes[_i]);
	ck_assert_uint_eq(attr.posix.uid, 5);
	ck_assert_uint_eq(attr.created, TICKS);
	ck_assert_uint_eq(attr.posix.major, _i == 4 ? 7 : 0);
	ck_assert_uint_eq(image_entry(img, "f").flags, CIM_FLAG_HIDDEN);
	cim_image_unref(img);
}
END_TEST

START_TEST(type_changes_only_where_nothing_is_lost)
{
	const struct cim_winmeta link = { .reparse = symlink_bytes,
					  .reparse_size = sizeof(symlink_bytes) };
	struct cim_writer *w = open_writer(NULL, "a.cim");
	char target[CIM_SYMLINK_MAX + 1];

	put_text(w, "full", "data");
	make_dir(w, "d");
	put_text(w, "d/f", "data");
	uint32_t empty = make_file(w, "empty", S_IFREG | 0640);
	uint32_t dir = make_dir(w, "e");
	ck_assert_int_eq(cim_writer_set_windows(w, find(w, "full"), CIM_WIN_REPARSE, &link),
			 -EINVAL);
	ck_assert_int_eq(cim_writer_set_windows(w, find(w, "d"), CIM_WIN_REPARSE, &link), -EINVAL);
	ck_assert_int_eq(cim_writer_set_windows(w, cim_writer_root(w), CIM_WIN_REPARSE, &link),
			 -EINVAL);
	ck_assert_int_eq(cim_writer_set_windows(w, empty, CIM_WIN_REPARSE, &link), 0);
	ck_assert_int_eq(cim_writer_readlink(w, empty, target), 4);
	ck_assert_str_eq(target, "../a");
	ck_assert_int_eq(cim_writer_set_windows(w, dir, CIM_WIN_REPARSE, &link), 0);
	ck_assert_uint_eq(attr_of(w, dir).posix.mode, S_IFLNK | 0777);
	ck_assert_int_eq(
		cim_writer_set_windows(w, dir, CIM_WIN_REPARSE, &(struct cim_winmeta){ 0 }), 0);
	ck_assert_uint_eq(attr_of(w, dir).posix.mode & S_IFMT, S_IFDIR);
	put_text(w, "e/again", "a directory again");
	check_staged(w, find(w, "full"), "data", 4);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	ck_assert_uint_eq(image_attr(img, "empty").posix.mode, S_IFLNK | 0777);
	check_text(img, "e/again", "a directory again");
	cim_image_unref(img);
}
END_TEST

/* chmod and chown of a file from Windows store what they set, and nothing else. */
START_TEST(only_what_is_set_is_stored)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_attr attr = { .posix = { .uid = 7, .mode = 0444 } };
	struct cim_ea ea;

	create(w, "f", "text");
	commit(w);
	struct cim_image *img = open_image("a.cim");
	ck_assert_uint_eq(image_entry(img, "f").ea_size, 0);
	ck_assert_uint_eq(image_entry(img, "").ea_size > 0, 1);
	cim_image_unref(img);
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(cim_writer_set(w, find(w, "f"), CIM_SET_UID, &attr), 0);
	commit(w);
	img = open_image("b.cim");
	struct cim_entry e = image_entry(img, "f");
	const uint8_t *eas;
	size_t size;
	cim_file_eas(img, &e, &eas, &size);
	ck_assert_int_eq(cim_ea_find(eas, size, "$LXUID", &ea), 1);
	ck_assert_int_eq(cim_ea_find(eas, size, "$LXGID", &ea), 0);
	ck_assert_int_eq(cim_ea_find(eas, size, "$LXMOD", &ea), 0);
	ck_assert_uint_eq(e.flags, CIM_FLAG_ARCHIVE);
	cim_image_unref(img);
	w = open_writer("b.cim", "c.cim");
	ck_assert_int_eq(cim_writer_set(w, find(w, "f"), CIM_SET_MODE, &attr), 0);
	commit(w);
	img = open_image("c.cim");
	ck_assert_uint_eq(image_entry(img, "f").flags, CIM_FLAG_ARCHIVE | CIM_FLAG_READONLY);
	ck_assert_uint_eq(image_attr(img, "f").posix.mode, S_IFREG | 0444);
	ck_assert_uint_eq(image_attr(img, "f").posix.uid, 7);
	cim_image_unref(img);
}
END_TEST

/* ---- random metadata ---- */

#define N_RANDOM 15000 /* files; two in three have a reparse buffer */

static uint8_t any_byte(struct test_random *r)
{
	return (uint8_t)test_random_next(r);
}

static void append(GByteArray *to, struct test_random *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t b = any_byte(r);

		g_byte_array_append(to, &b, 1);
	}
}

static void append16(GByteArray *to, uint32_t value)
{
	cim_le16 v = cim_put16((uint16_t)value);

	g_byte_array_append(to, (const uint8_t *)&v, sizeof(v));
}

static void append32(GByteArray *to, uint32_t value)
{
	cim_le32 v = cim_put32(value);

	g_byte_array_append(to, (const uint8_t *)&v, sizeof(v));
}

/* Names of Linux' EAs, right and wrong, among others; any flags, any order, any twice. */
static GByteArray *random_eas(struct test_random *r)
{
	static const char *const names[] = { "$LXUID",
					     "$LXGID",
					     "$LXMOD",
					     "$LXDEV",
					     "LX.USER.A",
					     "user.b",
					     "system.posix_acl_access",
					     "LXATTRB" };
	struct cim_ea_list l = { 0 };
	GByteArray *list = g_byte_array_new();
	uint64_t n = test_random_below(r, 6);

	for (uint64_t i = 0; i < n; i++) {
		char name[CIM_EA_NAME_MAX + 1];
		uint8_t value[300];
		size_t name_size = 1 + test_random_below(r, test_random_below(r, 8) ? 8 : 254);
		size_t size = test_random_below(r, test_random_below(r, 4) ? 9 : sizeof(value));

		for (size_t k = 0; k < name_size; k++)
			name[k] = (char)(1 + test_random_below(r, 255));
		if (test_random_below(r, 2)) {
			name_size = (size_t)snprintf(name, sizeof(name), "%s",
						     names[test_random_below(r, N_ROWS(names))]);
			size = test_random_below(r, 4) ? 4 : size;
		}
		for (size_t k = 0; k < size; k++)
			value[k] = any_byte(r);
		ck_assert_int_eq(cim_ea_list_add(&l, name, name_size,
						 test_random_below(r, 3) ? 0 : 0x80, value, size),
				 0);
	}
	if (l.size)
		g_byte_array_append(list, l.data, (guint)l.size);
	cim_ea_list_clear(&l);
	return list;
}

static void append_names(GByteArray *to, struct test_random *r, bool flags)
{
	uint32_t a = 2 * (uint32_t)test_random_below(r, 40),
		 b = 2 * (uint32_t)test_random_below(r, 40);

	append16(to, 0);
	append16(to, a);
	append16(to, a);
	append16(to, b);
	if (flags)
		append32(to, (uint32_t)test_random_below(r, 3));
	append(to, r, a + b);
}

static GByteArray *random_reparse(struct test_random *r)
{
	static const uint32_t tags[] = { CIM_TAG_SYMLINK, CIM_TAG_MOUNT_POINT, CIM_TAG_LX_SYMLINK,
					 CIM_TAG_AF_UNIX, CIM_TAG_LX_FIFO,     CIM_TAG_LX_CHR,
					 CIM_TAG_LX_BLK,  CIM_TAG_NFS,         0x80000017,
					 0x9000001A,      0x00000042 };
	GByteArray *buf = g_byte_array_new();
	uint32_t tag = tags[test_random_below(r, N_ROWS(tags))];

	append32(buf, tag);
	append16(buf, 0);
	append16(buf, 0);
	if (!(tag & 0x80000000))
		append(buf, r, 16);
	guint fixed = buf->len;
	if (tag == CIM_TAG_SYMLINK || tag == CIM_TAG_MOUNT_POINT) {
		append_names(buf, r, tag == CIM_TAG_SYMLINK);
	} else if (tag == CIM_TAG_LX_SYMLINK || tag == CIM_TAG_NFS) {
		append(buf, r, 8 + test_random_below(r, 40));
	} else if (tag == 0x80000017 || !(tag & 0x80000000)) {
		append(buf, r,
		       test_random_below(r, test_random_below(r, 20) ? 50 : CIM_REPARSE_MAX - 24));
	}
	cim_store16(buf->data + 4, (uint16_t)(buf->len - fixed));
	return buf;
}

static void append_sid(GByteArray *to, struct test_random *r)
{
	uint8_t head[2] = { 1, (uint8_t)test_random_below(r, 16) };

	g_byte_array_append(to, head, 2);
	append(to, r, 6 + 4u * head[1]);
}

static void append_acl(GByteArray *to, struct test_random *r)
{
	guint at = to->len;
	uint32_t n = (uint32_t)test_random_below(r, 5);
	static const uint8_t types[] = { 0, 1, 2, 0x11, 9, 0x80 };

	append16(to, test_random_below(r, 2) ? 2 : 4);
	append16(to, 0);
	append16(to, n);
	append16(to, 0);
	for (uint32_t i = 0; i < n; i++) {
		uint8_t head[2] = { types[test_random_below(r, N_ROWS(types))], any_byte(r) };
		guint ace = to->len;

		g_byte_array_append(to, head, 2);
		append16(to, 0);
		append(to, r, 4);
		append_sid(to, r);
		cim_store16(to->data + ace + 2, (uint16_t)(to->len - ace));
	}
	cim_store16(to->data + at + 2, (uint16_t)(to->len - at));
}

static GByteArray *random_sd(struct test_random *r)
{
	uint32_t control = 0x8000u | ((uint32_t)test_random_next(r) & 0x3FFF);
	GByteArray *sd = g_byte_array_new();

	append16(sd, 1);
	append16(sd, control);
	for (int i = 0; i < 4; i++)
		append32(sd, 0);
	for (guint i = 0; i < 4; i++) {
		if (test_random_below(r, 4) == 0)
			continue;
		guint at = sd->len;

		if (i < 2)
			append_sid(sd, r);
		else
			append_acl(sd, r);
		cim_store32(sd->data + 4 + 4 * i, at);
	}
	return sd;
}

static void mutate(GByteArray *bytes, struct test_random *r)
{
	if (bytes->len > 0 && test_random_below(r, 4) == 0)
		g_byte_array_set_size(bytes, (guint)test_random_below(r, bytes->len));
	for (uint64_t n = 1 + test_random_below(r, 3); bytes->len > 0 && n > 0; n--)
		bytes->data[test_random_below(r, bytes->len)] ^=
			(uint8_t)(1u << test_random_below(r, 8));
}

struct random_file {
	GByteArray *eas, *reparse, *sd;
};

static struct cim_winmeta random_meta(const struct random_file *f, uint64_t i)
{
	return (struct cim_winmeta){
		.attributes = i % 5 ? 0 : CIM_ATTRIBUTE_DIRECTORY,
		.sd = f->sd->data,
		.sd_size = f->sd->len,
		.reparse = f->reparse->data,
		.reparse_size = f->reparse->len,
		.eas = f->eas->data,
		.eas_size = f->eas->len,
	};
}

static void make_random(struct random_file *f, struct test_random *r)
{
	f->eas = random_eas(r);
	f->reparse = test_random_below(r, 3) ? random_reparse(r) : g_byte_array_new();
	f->sd = random_sd(r);
}

static void free_random(struct random_file *f)
{
	g_byte_array_unref(f->eas);
	g_byte_array_unref(f->reparse);
	g_byte_array_unref(f->sd);
}

static void check_random(const struct cim_image *img, uint64_t i, const struct random_file *f)
{
	g_autofree char *path = g_strdup_printf("%u", (unsigned int)i);
	struct cim_entry e = image_entry(img, path);
	struct cim_winmeta m;

	ck_assert_int_eq(cim_file_windows(img, &e, &m), 0);
	ck_assert_uint_eq(m.eas_size, f->eas->len);
	ck_assert_uint_eq(m.reparse_size, f->reparse->len);
	ck_assert_uint_eq(m.sd_size, f->sd->len);
	if (m.eas_size)
		ck_assert_mem_eq(m.eas, f->eas->data, m.eas_size);
	if (m.reparse_size)
		ck_assert_mem_eq(m.reparse, f->reparse->data, m.reparse_size);
	ck_assert_mem_eq(m.sd, f->sd->data, m.sd_size);
}

/* Made from their number, so that each can be made again when the image is read. */
START_TEST(random_metadata_comes_back_byte_for_byte)
{
	uint64_t seed = test_seed(1601);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct random_file f;
	uint32_t id;

	printf("# seed %llu\n", (unsigned long long)seed);
	for (uint64_t i = 0; i < N_RANDOM; i++) {
		g_autofree char *path = g_strdup_printf("%u", (unsigned int)i);
		struct test_random r = { seed + i };

		make_random(&f, &r);
		struct cim_winmeta m = random_meta(&f, i);
		ck_assert_msg(try_create(w, path, &m, &id) == 0, "number %u: %s", (unsigned int)i,
			      cim_reason());
		free_random(&f);
	}
	commit(w);
	/* In a fork all are touched, and nothing of them changes. */
	w = open_writer("a.cim", "b.cim");
	for (uint64_t i = 0; i < N_RANDOM; i += 3) {
		g_autofree char *path = g_strdup_printf("%u", (unsigned int)i);
		const struct cim_attr attr = { .accessed = 1 };

		ck_assert_int_eq(cim_writer_set(w, find(w, path), CIM_SET_ACCESSED, &attr), 0);
	}
	commit(w);
	for (int fork = 0; fork < 2; fork++) {
		struct cim_image *img = open_image(fork ? "b.cim" : "a.cim");

		for (uint64_t i = 0; i < N_RANDOM; i++) {
			struct test_random r = { seed + i };

			make_random(&f, &r);
			check_random(img, i, &f);
			free_random(&f);
		}
		cim_image_unref(img);
	}
}
END_TEST

/* Refused, or kept as it is: what is kept is read again without complaint. */
START_TEST(mutated_metadata_is_refused_or_kept)
{
	uint64_t seed = test_seed(1969), n_refused = 0;
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct random_file f;
	uint32_t id;

	printf("# seed %llu\n", (unsigned long long)seed);
	g_autofree bool *kept_one = g_new0(bool, N_RANDOM);
	for (uint64_t i = 0; i < N_RANDOM; i++) {
		g_autofree char *path = g_strdup_printf("%u", (unsigned int)i);
		struct test_random r = { seed + i };

		make_random(&f, &r);
		mutate(i % 3 == 0 ? f.eas : i % 3 == 1 ? f.reparse : f.sd, &r);
		struct cim_winmeta m = random_meta(&f, i);
		int error = try_create(w, path, &m, &id);
		ck_assert_msg(error == 0 || error == -EINVAL, "number %u: %d, %s", (unsigned int)i,
			      error, cim_reason());
		kept_one[i] = error == 0;
		n_refused += error < 0;
		free_random(&f);
	}
	commit(w);
	ck_assert_uint_gt(n_refused, N_RANDOM / 10);
	ck_assert_uint_lt(n_refused, N_RANDOM);
	struct cim_image *img = open_image("a.cim");
	for (uint64_t i = 0; i < N_RANDOM; i++) {
		g_autofree char *path = g_strdup_printf("%u", (unsigned int)i);
		uint32_t found;

		ck_assert_int_eq(cim_path_lookup(img, path, false, &found),
				 kept_one[i] ? 0 : -ENOENT);
		if (kept_one[i])
			(void)image_attr(img, path);
	}
	cim_image_unref(img);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("windows");
	TCase *metadata = tcase_create("metadata");

	tcase_add_checked_fixture(metadata, setup_dir, teardown_dir);
	tcase_add_loop_test(metadata, metadata_is_kept_byte_for_byte, 0, N_ROWS(kept));
	tcase_add_loop_test(metadata, parts_are_set_on_files_of_every_type, 0, 6);
	tcase_add_test(metadata, type_changes_only_where_nothing_is_lost);
	tcase_add_test(metadata, only_what_is_set_is_stored);
	tcase_set_timeout(metadata, 600);
	tcase_add_test(metadata, random_metadata_comes_back_byte_for_byte);
	tcase_add_test(metadata, mutated_metadata_is_refused_or_kept);
	suite_add_tcase(suite, metadata);
	return test_run(suite);
}
