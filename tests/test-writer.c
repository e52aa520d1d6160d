/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The writer: who becomes it, its tree, its files' attributes and access lists.
 *
 * Trees are checked as they are staged and again in the image that a commit makes of them.
 */
#include "config.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "acl.h"
#include "imagedir.h"
#include "lock.h"
#include "writer.h"

#define MIB (1024 * 1024)

/* ---- opening ---- */

static const struct {
	const char *existing, *new_name;
	int expect;
} opens[] = {
	{ NULL, "new", 0 },
	{ "a.cim", NULL, 0 },
	{ "a.cim", "a.cim", 0 },
	{ "a.cim", "new", 0 },
	{ NULL, NULL, -EINVAL },
	{ "", NULL, -EINVAL },
	{ NULL, "", -EINVAL },
	{ "a.cim", "x/y", -EINVAL },
	{ "..", "new", -EINVAL },
	{ NULL, "control", -EINVAL },
	{ NULL, "writer", -EINVAL },
	{ "region_1", NULL, -EINVAL },
	{ NULL, "objectid_x", -EINVAL },
	{ NULL, ".cimfs-x", -EINVAL },
	{ NULL, "a\nb", -EINVAL },
	{ "missing", ".", -EINVAL },
	{ "missing", NULL, -ENOENT },
	{ "missing", "new", -ENOENT },
	{ "missing", "b.cim", -ENOENT },
	{ NULL, "a.cim", -EEXIST },
	{ "a.cim", "b.cim", -EEXIST },
	{ "a.cim", "text", -EEXIST },
	{ NULL, "dir", -EEXIST },
	{ NULL, "link", -EEXIST },
	{ "damaged", "b.cim", -EEXIST },
	{ "damaged", "new", -CIM_ECORRUPT },
	{ "damaged", NULL, -CIM_ECORRUPT },
	{ "text", NULL, -CIM_ECORRUPT },
	{ "text", "new", -CIM_ECORRUPT },
	{ "dir", NULL, -CIM_ECORRUPT },
	{ "link", "new", -CIM_ECORRUPT },
};

START_TEST(open_answers_as_the_interface_says)
{
	struct cim_common_disk head;
	struct cim_writer *w = NULL;

	make_image(NULL, "a.cim", "a");
	make_image("a.cim", "b.cim", "b");
	cim_common_encode(&head, CIM_FILE_IMAGE, sizeof(head));
	put_file("damaged", &head, sizeof(head));
	put_file("text", "hello", 5);
	ck_assert_int_eq(mkdirat(test_store->dirfd, "dir", 0755), 0);
	ck_assert_int_eq(symlinkat("a.cim", test_store->dirfd, "link"), 0);
	unsigned int n = count_files("", NULL);
	ck_assert_int_eq(try_open(opens[_i].existing, opens[_i].new_name, &w), opens[_i].expect);
	ck_assert_int_eq(w != NULL, opens[_i].expect == 0);
	if (opens[_i].expect)
		ck_assert_str_ne(cim_reason(), "");
	cim_writer_close(w);
	ck_assert_uint_eq(count_files("", NULL), n);
}
END_TEST

START_TEST(open_by_path_checks_the_names_first)
{
	g_autofree char *missing = path_of("missing"), *file = path_of("file");
	struct cim_writer *w;

	put_file("file", "x", 1);
	ck_assert_int_eq(cim_writer_open_path(missing, NULL, "x/y", CIM_CASE_BASE, &w), -EINVAL);
	ck_assert_int_eq(cim_writer_open_path(missing, NULL, "new", CIM_CASE_BASE, &w), -ENOENT);
	ck_assert_int_eq(cim_writer_open_path(file, NULL, "new", CIM_CASE_BASE, &w), -ENOTDIR);
	ck_assert_int_eq(cim_writer_open_path(test_path, NULL, "new", CIM_CASE_BASE, &w), 0);
	cim_writer_close(w);
}
END_TEST

START_TEST(open_asks_for_the_lock_before_the_names_are_looked_up)
{
	struct cim_writer *w = open_writer(NULL, "new"), *second;

	ck_assert_int_eq(try_open("missing", NULL, &second), -CIM_ELOCKED);
	ck_assert_int_eq(try_open(NULL, "x/y", &second), -EINVAL);
	cim_writer_close(w);
	ck_assert_int_eq(try_open("missing", NULL, &second), -ENOENT);
}
END_TEST

START_TEST(open_needs_the_right_to_add_files)
{
	int status, fd;
	pid_t pid;

	if (geteuid() != 0)
		return;
	/* The lock is held: that comes after. */
	ck_assert_int_eq(cim_lock(test_store->dirfd, &fd), 0);
	ck_assert_int_eq(chmod(test_path, 0755), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct cim_writer *w;

		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(255);
		_exit(-try_open("missing", NULL, &w));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	(void)close(fd);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EACCES);
}
END_TEST

START_TEST(failed_open_does_not_keep_the_lock)
{
	struct cim_writer *w;

	make_image(NULL, "a.cim", "a");
	ck_assert_int_eq(try_open("missing", NULL, &w), -ENOENT);
	ck_assert_int_eq(try_open(NULL, "a.cim", &w), -EEXIST);
	ck_assert_int_eq(cim_writer_open(test_store, "a.cim", NULL, CIM_CASE_INSENSITIVE, &w),
			 -EINVAL);
	cim_writer_close(open_writer("a.cim", NULL));
}
END_TEST

START_TEST(info_tells_what_the_writer_is_for)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_writer_info info;

	cim_writer_info(w, &info);
	ck_assert_ptr_null(info.existing);
	ck_assert_str_eq(info.new_name, "a.cim");
	ck_assert(info.case_sensitive);
	put_text(w, "f", "12345");
	cim_writer_info(w, &info);
	ck_assert_uint_eq(info.n_changed, 2);
	ck_assert_uint_eq(info.n_bytes, 5);
	commit(w);
	w = open_writer("a.cim", NULL);
	cim_writer_info(w, &info);
	ck_assert_str_eq(info.existing, "a.cim");
	ck_assert_str_eq(info.new_name, "a.cim");
	ck_assert_uint_eq(info.n_changed, 0);
	cim_writer_close(w);
}
END_TEST

/* ---- two processes and one directory ---- */

#define N_RACES 1000

struct race {
	pthread_barrier_t barrier;
	int result[2];
	int n_wrong;
};

static void run_race(struct race *race, int me)
{
	for (int i = 0; i < N_RACES; i++) {
		struct cim_writer *w = NULL;

		pthread_barrier_wait(&race->barrier);
		race->result[me] = try_open(NULL, "new", &w);
		pthread_barrier_wait(&race->barrier);
		bool one = (race->result[0] == 0 && race->result[1] == -CIM_ELOCKED) ||
			   (race->result[1] == 0 && race->result[0] == -CIM_ELOCKED);
		if (me == 0 && !one)
			race->n_wrong++;
		cim_writer_close(w);
		pthread_barrier_wait(&race->barrier);
	}
}

START_TEST(one_of_two_processes_becomes_the_writer)
{
	struct race *race = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_barrierattr_t shared;
	int status;

	ck_assert_ptr_ne(race, MAP_FAILED);
	pthread_barrierattr_init(&shared);
	pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&race->barrier, &shared, 2);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	run_race(race, pid == 0);
	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(race->n_wrong, 0);
	pthread_barrier_destroy(&race->barrier);
	pthread_barrierattr_destroy(&shared);
	munmap(race, sizeof(*race));
	ck_assert_uint_eq(count_files("", NULL), 0);
}
END_TEST

/* ---- making files ---- */

static const uint32_t types[] = { S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK };

START_TEST(file_of_any_type_is_made)
{
	struct cim_make make = { .mode = types[_i] | 07741,
				 .uid = 1000,
				 .gid = 4000000000u,
				 .major = 259,
				 .minor = 0xFFFFF,
				 .target = "some/where" };
	struct cim_writer *w = open_writer(NULL, "a.cim");
	bool is_device = types[_i] == S_IFCHR || types[_i] == S_IFBLK;
	uint32_t mode = types[_i] == S_IFLNK ? S_IFLNK | 0777 : make.mode, id = 0;
	struct cim_attr staged, attr;

	ck_assert_int_eq(try_make_as(w, "x", &make, &id), 0);
	ck_assert_uint_eq(find(w, "x"), id);
	staged = attr_of(w, id);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	attr = image_attr(img, "x");
	cim_image_unref(img);
	const struct cim_attr *both[] = { &staged, &attr };
	for (size_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(both[i]->posix.mode, mode);
		ck_assert_uint_eq(both[i]->posix.uid, 1000);
		ck_assert_uint_eq(both[i]->posix.gid, 4000000000u);
		ck_assert_uint_eq(both[i]->posix.major, is_device ? 259 : 0);
		ck_assert_uint_eq(both[i]->posix.minor, is_device ? 0xFFFFF : 0);
		ck_assert_uint_eq(both[i]->posix.n_links, 1);
		ck_assert_uint_eq(both[i]->size, types[_i] == S_IFLNK ? 10 : 0);
	}
	ck_assert_uint_eq(attr.created, staged.created);
	ck_assert_uint_eq(attr.written, staged.written);
	ck_assert_uint_eq(attr.changed, staged.changed);
	ck_assert_uint_eq(attr.accessed, staged.accessed);
}
END_TEST

START_TEST(make_refuses_what_may_not_be)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_make file = { .mode = S_IFREG | 0644 }, link = { .mode = S_IFLNK, .target = "" };
	g_autofree char *longest = g_strnfill(4095, 'x'), *too_long = g_strnfill(4096, 'x');
	g_autofree char *name = g_strnfill(256, 'n');
	uint32_t root = cim_writer_root(w), id;

	put_text(w, "f", "f");
	ck_assert_int_eq(try_make(w, "f", S_IFREG), -EEXIST);
	ck_assert_int_eq(try_make(w, "f", S_IFDIR), -EEXIST);
	ck_assert_int_eq(try_make(w, "x", 0xF000), -EINVAL);
	ck_assert_int_eq(try_make(w, "f/x", S_IFREG), -ENOTDIR);
	ck_assert_int_eq(cim_writer_make(w, 99, "x", 1, &file, &id), -ESTALE);
	ck_assert_int_eq(cim_writer_make(w, root, name, 256, &file, &id), -ENAMETOOLONG);
	ck_assert_int_eq(cim_writer_make(w, root, "a/b", 3, &file, &id), -EINVAL);
	ck_assert_int_lt(cim_writer_make(w, root, "", 0, &file, &id), 0);
	ck_assert_int_lt(cim_writer_make(w, root, "..", 2, &file, &id), 0);
	ck_assert_int_eq(try_make_as(w, "l", &link, &id), -ENOENT);
	link.target = too_long;
	ck_assert_int_eq(try_make_as(w, "l", &link, &id), -ENAMETOOLONG);
	link.target = longest;
	ck_assert_int_eq(try_make_as(w, "l", &link, &id), 0);
	ck_assert_int_eq(cim_writer_make(w, root, name, 255, &file, &id), 0);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	char target[CIM_SYMLINK_MAX + 1];
	ck_assert_int_eq(cim_file_readlink(img, image_find(img, "l"), target), 4095);
	ck_assert_str_eq(target, longest);
	cim_image_unref(img);
}
END_TEST

START_TEST(umask_is_taken_from_new_files)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_make make = { .mode = S_IFREG | 0666, .umask = 027 };
	uint32_t id;

	ck_assert_int_eq(try_make_as(w, "f", &make, &id), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFREG | 0640);
	make.mode = S_IFDIR | 0777;
	ck_assert_int_eq(try_make_as(w, "d", &make, &id), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFDIR | 0750);
	cim_writer_close(w);
}
END_TEST

START_TEST(set_group_id_directory_hands_its_group_on)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_make make = { .mode = S_IFDIR | 02775, .uid = 1, .gid = 100 };
	uint32_t id;

	ck_assert_int_eq(try_make_as(w, "d", &make, &id), 0);
	make.gid = 5;
	make.mode = S_IFREG | 0644;
	ck_assert_int_eq(try_make_as(w, "d/f", &make, &id), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.gid, 100);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFREG | 0644);
	make.mode = S_IFDIR | 0755;
	ck_assert_int_eq(try_make_as(w, "d/e", &make, &id), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.gid, 100);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFDIR | 02755);
	cim_writer_close(w);
}
END_TEST

START_TEST(making_a_file_touches_its_directory)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_attr old = { .written = 1000, .changed = 1000 };
	uint32_t root = cim_writer_root(w);

	ck_assert_int_eq(cim_writer_set(w, root, CIM_SET_WRITTEN | CIM_SET_CHANGED, &old), 0);
	ck_assert_uint_eq(attr_of(w, root).written, 1000);
	put_text(w, "f", "f");
	ck_assert_uint_gt(attr_of(w, root).written, 1000);
	ck_assert_uint_eq(attr_of(w, root).changed, attr_of(w, root).written);
	cim_writer_close(w);
}
END_TEST

/* ---- ACLs ---- */

struct acl_blob {
	cim_le32 version;
	struct {
		cim_le16 tag, perm;
		cim_le32 id;
	} entry[5];
};

/* user::rwx, user:1000:@named, group::r-x, mask::@mask, other::r-- */
static struct acl_blob acl_of(uint16_t named, uint16_t mask)
{
	static const uint16_t tags[] = { 0x01, 0x02, 0x04, 0x10, 0x20 };
	const uint16_t perms[] = { 7, named, 5, mask, 4 };
	struct acl_blob acl = { .version = cim_put32(2) };

	for (int i = 0; i < 5; i++) {
		acl.entry[i].tag = cim_put16(tags[i]);
		acl.entry[i].perm = cim_put16(perms[i]);
		acl.entry[i].id = cim_put32(tags[i] == 0x02 ? 1000 : UINT32_MAX);
	}
	return acl;
}

static uint32_t acl_perm(struct cim_writer *w, uint32_t id, const char *name, int entry)
{
	struct acl_blob acl;

	ck_assert_int_eq(cim_writer_get_xattr(w, id, name, &acl, sizeof(acl)), sizeof(acl));
	return cim_get16(acl.entry[entry].perm);
}

START_TEST(access_acl_and_mode_follow_each_other)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0600);
	struct acl_blob acl = acl_of(6, 6);
	struct cim_attr attr = { .posix.mode = 0710 };

	ck_assert_int_eq(cim_writer_set_xattr(w, id, CIM_ACL_ACCESS, &acl, sizeof(acl), 0), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFREG | 0764);
	ck_assert_int_eq(cim_writer_set(w, id, CIM_SET_MODE, &attr), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFREG | 0710);
	ck_assert_uint_eq(acl_perm(w, id, CIM_ACL_ACCESS, 3), 1); /* the mask */
	ck_assert_uint_eq(acl_perm(w, id, CIM_ACL_ACCESS, 1), 6);
	ck_assert_uint_eq(acl_perm(w, id, CIM_ACL_ACCESS, 4), 0);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	struct cim_entry e = image_entry(img, "f");
	ck_assert_int_eq(cim_file_get_xattr(img, &e, CIM_ACL_ACCESS, &acl, sizeof(acl)),
			 sizeof(acl));
	ck_assert_uint_eq(cim_get16(acl.entry[3].perm), 1);
	cim_image_unref(img);
}
END_TEST

START_TEST(default_acl_is_inherited_and_not_the_umask)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_make make = { .mode = S_IFREG | 0666, .umask = 077 };
	uint32_t dir = make_dir(w, "d"), id;
	struct acl_blob acl = acl_of(7, 7);

	ck_assert_int_eq(cim_writer_set_xattr(w, dir, CIM_ACL_DEFAULT, &acl, sizeof(acl), 0), 0);
	ck_assert_int_eq(try_make_as(w, "d/f", &make, &id), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFREG | 0664);
	ck_assert_uint_eq(acl_perm(w, id, CIM_ACL_ACCESS, 3), 6);
	ck_assert_int_eq(cim_writer_get_xattr(w, id, CIM_ACL_DEFAULT, NULL, 0), -ENODATA);
	make.mode = S_IFDIR | 0777;
	ck_assert_int_eq(try_make_as(w, "d/e", &make, &id), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.mode, S_IFDIR | 0774);
	ck_assert_uint_eq(acl_perm(w, id, CIM_ACL_DEFAULT, 1), 7);
	ck_assert_int_eq(try_make(w, "d/l", S_IFLNK), 0);
	ck_assert_int_eq(cim_writer_get_xattr(w, find(w, "d/l"), CIM_ACL_ACCESS, NULL, 0),
			 -ENODATA);
	cim_writer_close(w);
}
END_TEST

START_TEST(acl_is_checked_and_taken_away)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0600), link = make_link(w, "l", "f");
	struct acl_blob acl = acl_of(6, 6);

	ck_assert_int_eq(cim_writer_set_xattr(w, id, CIM_ACL_ACCESS, "nonsense", 8, 0), -EINVAL);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, CIM_ACL_DEFAULT, &acl, sizeof(acl), 0),
			 -EACCES);
	ck_assert_int_eq(cim_writer_set_xattr(w, link, CIM_ACL_ACCESS, &acl, sizeof(acl), 0),
			 -EOPNOTSUPP);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, CIM_ACL_ACCESS, &acl, sizeof(acl), 0), 0);
	ck_assert_int_eq(cim_writer_remove_xattr(w, id, CIM_ACL_ACCESS), 0);
	ck_assert_int_eq(cim_writer_get_xattr(w, id, CIM_ACL_ACCESS, NULL, 0), -ENODATA);
	cim_writer_close(w);
}
END_TEST

/* ---- names ---- */

START_TEST(link_gives_a_file_another_name)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = put_text(w, "f", "text");

	make_dir(w, "d");
	ck_assert_int_eq(try_link(w, "f", "d/g"), 0);
	ck_assert_uint_eq(find(w, "d/g"), id);
	ck_assert_uint_eq(attr_of(w, id).posix.n_links, 2);
	ck_assert_int_eq(try_link(w, "f", "d/g"), -EEXIST);
	ck_assert_int_eq(try_link(w, "d", "e"), -EPERM);
	ck_assert_int_eq(try_unlink(w, "f"), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.n_links, 1);
	ck_assert_int_eq(try_link(w, "d/g", "h"), 0);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	ck_assert_uint_eq(image_find(img, "h"), image_find(img, "d/g"));
	ck_assert_uint_eq(image_attr(img, "h").posix.n_links, 2);
	check_text(img, "h", "text");
	cim_image_unref(img);
}
END_TEST

/* To Windows a symlink to a directory is a directory, which has one name: not those with two. */
START_TEST(symlink_to_a_directory_is_windows_own_only_with_one_name)
{
	struct cim_writer *w = open_writer(NULL, "base");
	char target[CIM_SYMLINK_MAX + 1];

	make_dir(w, "d");
	make_link(w, "one", "d");
	make_link(w, "two", "d");
	ck_assert_int_eq(try_link(w, "two", "two-too"), 0);
	commit(w);

	struct cim_image *img = open_image("base");
	ck_assert_uint_eq(image_entry(img, "one").reparse_tag, CIM_TAG_SYMLINK);
	ck_assert_int_eq(image_entry(img, "one").data.type, CIM_STREAM_LINKS);
	ck_assert_uint_eq(image_entry(img, "two").reparse_tag, CIM_TAG_LX_SYMLINK);
	ck_assert_int_eq(image_entry(img, "two").data.type, CIM_STREAM_DATA);
	cim_image_unref(img);

	/* One of the base that gets another changes. */
	w = open_writer("base", "fork");
	ck_assert_int_eq(try_link(w, "one", "one-too"), 0);
	ck_assert_int_eq(cim_writer_readlink(w, find(w, "one"), target), 1);
	ck_assert_str_eq(target, "d");
	commit(w);
	img = open_image("fork");
	ck_assert_uint_eq(image_entry(img, "one-too").reparse_tag, CIM_TAG_LX_SYMLINK);
	ck_assert_int_eq(image_entry(img, "one-too").data.type, CIM_STREAM_DATA);
	ck_assert_int_eq(cim_file_readlink(img, image_find(img, "one"), target), 1);
	ck_assert_str_eq(target, "d");
	ck_assert_uint_eq(image_attr(img, "one").posix.n_links, 2);
	cim_image_unref(img);
}
END_TEST

START_TEST(removing_answers_as_posix_says)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");

	make_dir(w, "d");
	put_text(w, "d/f", "f");
	put_text(w, "g", "g");
	ck_assert_int_eq(try_unlink(w, "d"), -EISDIR);
	ck_assert_int_eq(try_rmdir(w, "d"), -ENOTEMPTY);
	ck_assert_int_eq(try_rmdir(w, "g"), -ENOTDIR);
	ck_assert_int_eq(try_unlink(w, "x"), -ENOENT);
	ck_assert_int_eq(try_rmdir(w, "x"), -ENOENT);
	ck_assert_int_eq(try_unlink(w, "d/f"), 0);
	ck_assert_int_eq(try_rmdir(w, "d"), 0);
	ck_assert_int_eq(try_unlink(w, "g"), 0);
	ck_assert_int_eq(try_find(w, "g", &(uint32_t){ 0 }), -ENOENT);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	ck_assert_uint_eq(image_entry(img, "").data.size, 0);
	ck_assert_uint_eq(cim_image_last_id(img), 1);
	cim_image_unref(img);
}
END_TEST

START_TEST(removed_directory_takes_no_files)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_make make = { .mode = S_IFREG };
	uint32_t dir = make_dir(w, "d"), id;

	cim_writer_ref(w, dir);
	ck_assert_int_eq(try_rmdir(w, "d"), 0);
	ck_assert_int_eq(cim_writer_make(w, dir, "f", 1, &make, &id), -ENOENT);
	cim_writer_unref(w, dir, 1);
	ck_assert_int_eq(cim_writer_attr(w, dir, &(struct cim_attr){ 0 }), -ESTALE);
	cim_writer_close(w);
}
END_TEST

START_TEST(unlinked_file_lives_while_it_is_open)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = put_text(w, "f", "hello");

	ck_assert_int_eq(cim_writer_open_file(w, id, CIM_OPEN_WRITE), 0);
	ck_assert_int_eq(try_unlink(w, "f"), 0);
	ck_assert_uint_eq(attr_of(w, id).posix.n_links, 0);
	check_staged(w, id, "hello", 5);
	ck_assert_int_eq(cim_writer_write(w, id, 5, " world", 6), 6);
	check_staged(w, id, "hello world", 11);
	put_text(w, "f", "another");
	check_staged(w, id, "hello world", 11);
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	ck_assert_int_eq(cim_writer_attr(w, id, &(struct cim_attr){ 0 }), -ESTALE);
	commit(w);
	check_image_text("a.cim", "f", "another");
}
END_TEST

START_TEST(unlinked_file_of_the_base_lives_while_it_is_open_to_read)
{
	struct cim_writer *w;
	uint32_t id;

	make_image(NULL, "a.cim", "base");
	w = open_writer("a.cim", "b.cim");
	id = find(w, "f");
	ck_assert_int_eq(cim_writer_open_file(w, id, 0), 0);
	ck_assert_int_eq(try_unlink(w, "f"), 0);
	check_staged(w, id, "base", 4);
	cim_writer_close_file(w, id, 0);
	commit(w);
}
END_TEST

START_TEST(unlinked_file_of_the_base_keeps_what_was_written_while_it_is_open)
{
	struct cim_writer *w;
	uint32_t id;

	make_image(NULL, "a.cim", "base");
	w = open_writer("a.cim", "b.cim");
	id = find(w, "f");
	/* A reader that was there before the file was touched, and a writer that has gone. */
	ck_assert_int_eq(cim_writer_open_file(w, id, 0), 0);
	write_at(w, id, 0, "BASE", 4);
	ck_assert_int_eq(try_unlink(w, "f"), 0);
	check_staged(w, id, "BASE", 4);
	cim_writer_close_file(w, id, 0);
	commit(w);
}
END_TEST

START_TEST(reader_that_leaves_does_not_end_a_writer)
{
	struct cim_writer *w;
	uint32_t id;

	make_image(NULL, "a.cim", "base");
	w = open_writer("a.cim", "b.cim");
	id = find(w, "f");
	ck_assert_int_eq(cim_writer_open_file(w, id, 0), 0);
	ck_assert_int_eq(cim_writer_open_file(w, id, CIM_OPEN_WRITE), 0);
	ck_assert_int_eq(try_unlink(w, "f"), 0);
	ck_assert_int_eq(cim_writer_write(w, id, 4, "!", 1), 1);
	cim_writer_close_file(w, id, 0);
	check_staged(w, id, "base!", 5);
	ck_assert_int_eq(cim_writer_write(w, id, 5, "!", 1), 1);
	check_staged(w, id, "base!!", 6);
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	commit(w);
}
END_TEST

/* f, g, h (f again), l (a link), d and e (empty), full/{x,sub/} */
static void make_rename_tree(struct cim_writer *w)
{
	put_text(w, "f", "f");
	put_text(w, "g", "g");
	ck_assert_int_eq(try_link(w, "f", "h"), 0);
	make_link(w, "l", "f");
	make_dir(w, "d");
	make_dir(w, "e");
	make_dir(w, "full");
	put_text(w, "full/x", "x");
	make_dir(w, "full/sub");
}

static const struct {
	const char *from, *to;
	unsigned int flags;
	int expect;
	bool from_stays; /* where it succeeds */
} renames[] = {
	{ "f", "new", 0, 0, false },
	{ "f", "g", 0, 0, false },
	{ "f", "l", 0, 0, false },
	{ "l", "f", 0, 0, false },
	{ "f", "full/x", 0, 0, false },
	{ "full/x", "new", 0, 0, false },
	{ "f", "f", 0, 0, true },
	{ "f", "h", 0, 0, true },
	{ "f", "d", 0, -EISDIR, false },
	{ "d", "f", 0, -ENOTDIR, false },
	{ "d", "l", 0, -ENOTDIR, false },
	{ "d", "new", 0, 0, false },
	{ "d", "e", 0, 0, false },
	{ "d", "d", 0, 0, true },
	{ "full", "d", 0, 0, false },
	{ "full", "e/deep", 0, 0, false },
	{ "d", "full", 0, -ENOTEMPTY, false },
	{ "full/sub", "full", 0, -ENOTEMPTY, false },
	{ "d", "d/x", 0, -EINVAL, false },
	{ "full", "full/sub/x", 0, -EINVAL, false },
	{ "full", "full/sub", 0, -EINVAL, false },
	{ "missing", "new", 0, -ENOENT, false },
	{ "missing", "f", 0, -ENOENT, false },
	{ "f", "g/x", 0, -ENOTDIR, false },
	{ "f", "new", RENAME_NOREPLACE, 0, false },
	{ "f", "g", RENAME_NOREPLACE, -EEXIST, false },
	{ "f", "f", RENAME_NOREPLACE, -EEXIST, false },
	{ "d", "e", RENAME_NOREPLACE, -EEXIST, false },
	{ "f", "g", RENAME_EXCHANGE, 0, true },
	{ "f", "d", RENAME_EXCHANGE, 0, true },
	{ "d", "full", RENAME_EXCHANGE, 0, true },
	{ "full/sub", "d", RENAME_EXCHANGE, 0, true },
	{ "full/x", "f", RENAME_EXCHANGE, 0, true },
	{ "f", "f", RENAME_EXCHANGE, 0, true },
	{ "f", "new", RENAME_EXCHANGE, -ENOENT, false },
	{ "full", "full/sub", RENAME_EXCHANGE, -EINVAL, false },
	{ "full/sub", "full", RENAME_EXCHANGE, -EINVAL, false },
	{ "f", "g", RENAME_NOREPLACE | RENAME_EXCHANGE, -EINVAL, false },
	{ "f", "g", RENAME_WHITEOUT, -EINVAL, false },
};

/* The file that a path of the image is, by its parent's entry too. */
static void check_place(const struct cim_image *img, const char *path)
{
	g_autofree char *dir = g_path_get_dirname(path);
	struct cim_entry e = image_entry(img, path);

	if (e.data.type == CIM_STREAM_LINKS)
		ck_assert_uint_eq(e.parent_id, image_find(img, dir));
}

static void check_rename(struct cim_writer *w, int i)
{
	uint32_t from = 0, to = 0, now = 0;
	struct cim_attr replaced = { 0 };
	bool had_to = try_find(w, renames[i].to, &to) == 0;

	(void)try_find(w, renames[i].from, &from);
	if (had_to)
		replaced = attr_of(w, to);
	ck_assert_int_eq(try_rename(w, renames[i].from, renames[i].to, renames[i].flags),
			 renames[i].expect);
	if (renames[i].expect == 0 && !(renames[i].flags & RENAME_EXCHANGE)) {
		ck_assert_uint_eq(find(w, renames[i].to), from);
		ck_assert_int_eq(try_find(w, renames[i].from, &now) == 0, renames[i].from_stays);
		if (had_to && to != from && replaced.posix.n_links == 1)
			ck_assert_int_eq(cim_writer_attr(w, to, &replaced), -ESTALE);
	} else if (renames[i].expect == 0) {
		ck_assert_uint_eq(find(w, renames[i].to), from);
		ck_assert_uint_eq(find(w, renames[i].from), to);
	} else if (had_to) {
		ck_assert_uint_eq(find(w, renames[i].to), to);
		ck_assert_int_eq(try_find(w, renames[i].from, &now) == 0, from != 0);
		ck_assert_uint_eq(now, from);
	}
	commit(w);
	struct cim_image *img = open_image("b.cim");
	if (renames[i].expect == 0)
		check_place(img, renames[i].to);
	if (renames[i].from_stays)
		check_place(img, renames[i].from);
	cim_image_unref(img);
}

START_TEST(rename_of_new_files_follows_posix)
{
	struct cim_writer *w = open_writer(NULL, "b.cim");

	make_rename_tree(w);
	check_rename(w, _i);
}
END_TEST

START_TEST(rename_of_files_of_the_base_follows_posix)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t from = 0, to = 0;

	make_rename_tree(w);
	commit(w);
	w = open_writer("a.cim", "b.cim");
	(void)try_find(w, renames[_i].from, &from);
	(void)try_find(w, renames[_i].to, &to);
	ck_assert_int_eq(try_rename(w, renames[_i].from, renames[_i].to, renames[_i].flags),
			 renames[_i].expect);
	if (renames[_i].expect == 0)
		ck_assert_uint_eq(find(w, renames[_i].to), from);
	commit(w);
	struct cim_image *img = open_image("b.cim");
	if (renames[_i].expect == 0)
		ck_assert_uint_eq(image_find(img, renames[_i].to), from);
	if (renames[_i].expect == 0 && renames[_i].flags & RENAME_EXCHANGE)
		ck_assert_uint_eq(image_find(img, renames[_i].from), to);
	if (renames[_i].expect == 0)
		check_place(img, renames[_i].to);
	cim_image_unref(img);
}
END_TEST

static int collect_name(void *arg, const char *name, size_t n, uint32_t id)
{
	GHashTable *names = arg;

	ck_assert(g_hash_table_insert(names, g_strndup(name, n), GUINT_TO_POINTER(id)));
	return 0;
}

START_TEST(list_shows_every_name_once)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	put_text(w, "stays", "1");
	put_text(w, "goes", "2");
	put_text(w, "returns", "3");
	put_text(w, "moves", "4");
	commit(w);
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(cim_writer_list(w, cim_writer_root(w), collect_name, names), 0);
	ck_assert_uint_eq(g_hash_table_size(names), 4);
	g_hash_table_remove_all(names);
	put_text(w, "comes", "5");
	ck_assert_int_eq(try_unlink(w, "goes"), 0);
	ck_assert_int_eq(try_unlink(w, "returns"), 0);
	uint32_t id = put_text(w, "returns", "6");
	ck_assert_int_eq(try_rename(w, "moves", "moved", 0), 0);
	put_text(w, "short-lived", "7");
	ck_assert_int_eq(try_unlink(w, "short-lived"), 0);
	ck_assert_int_eq(cim_writer_list(w, cim_writer_root(w), collect_name, names), 0);
	ck_assert_uint_eq(g_hash_table_size(names), 4);
	ck_assert_uint_eq(GPOINTER_TO_UINT(g_hash_table_lookup(names, "returns")), id);
	ck_assert(g_hash_table_contains(names, "stays") && g_hash_table_contains(names, "comes") &&
		  g_hash_table_contains(names, "moved"));
	ck_assert_int_eq(cim_writer_list(w, id, collect_name, names), -ENOTDIR);
	cim_writer_close(w);
}
END_TEST

START_TEST(directory_size_is_that_of_its_table)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t root = cim_writer_root(w);

	put_text(w, "a", "1");
	put_text(w, "bcd", "2");
	put_text(w, "gone", "3");
	ck_assert_int_eq(try_unlink(w, "gone"), 0);
	uint64_t size = attr_of(w, root).size;
	commit(w);
	struct cim_image *img = open_image("a.cim");
	ck_assert_uint_eq(image_attr(img, "").size, size);
	cim_image_unref(img);
}
END_TEST

/* ---- attributes ---- */

START_TEST(attributes_are_kept_to_the_tick)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_attr set = { .posix = { .mode = 04711, .uid = 7, .gid = 8 },
				.accessed = 1,
				.written = 116444736000000001,
				.changed = INT64_MAX,
				.created = 12345678901234567 };
	unsigned int all = CIM_SET_MODE | CIM_SET_UID | CIM_SET_GID | CIM_SET_ACCESSED |
			   CIM_SET_WRITTEN | CIM_SET_CHANGED | CIM_SET_CREATED;
	uint32_t id = put_text(w, "f", "text");

	ck_assert_int_eq(cim_writer_set(w, id, all, &set), 0);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	struct cim_attr attr = image_attr(img, "f");
	ck_assert_uint_eq(attr.posix.mode, S_IFREG | 04711);
	ck_assert_uint_eq(attr.posix.uid, 7);
	ck_assert_uint_eq(attr.posix.gid, 8);
	ck_assert_uint_eq(attr.accessed, set.accessed);
	ck_assert_uint_eq(attr.written, set.written);
	ck_assert_uint_eq(attr.changed, set.changed);
	ck_assert_uint_eq(attr.created, set.created);
	check_text(img, "f", "text");
	cim_image_unref(img);
}
END_TEST

START_TEST(attributes_that_cannot_be_are_refused)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_attr attr = { .posix = { .uid = CIM_ID_INVALID, .gid = CIM_ID_INVALID },
				 .size = UINT64_MAX };
	uint32_t id = put_text(w, "f", "f"), dir = make_dir(w, "d"),
		 fifo = make_file(w, "p", S_IFIFO);

	ck_assert_int_eq(cim_writer_set(w, id, CIM_SET_UID, &attr), -EINVAL);
	ck_assert_int_eq(cim_writer_set(w, id, CIM_SET_GID, &attr), -EINVAL);
	ck_assert_int_eq(cim_writer_set(w, id, CIM_SET_SIZE, &attr), -EFBIG);
	check_staged(w, id, "f", 1);
	ck_assert_int_eq(try_truncate(w, dir, 0), -EISDIR);
	ck_assert_int_eq(try_truncate(w, fifo, 0), -EINVAL);
	ck_assert_int_eq(try_truncate(w, 99, 0), -ESTALE);
	cim_writer_close(w);
}
END_TEST

START_TEST(change_of_an_attribute_copies_no_data)
{
	g_autofree uint8_t *data = pattern(4 * MIB, 1);
	struct cim_attr attr = { .posix.mode = 0600 };
	struct cim_writer *w = open_writer(NULL, "a.cim");

	put(w, "f", data, 4 * MIB);
	commit(w);
	uint64_t before = region_bytes();
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(cim_writer_set(w, find(w, "f"), CIM_SET_MODE, &attr), 0);
	commit(w);
	ck_assert_uint_lt(region_bytes() - before, 32 * 1024);
	struct cim_image *img = open_image("b.cim");
	ck_assert_uint_eq(image_attr(img, "f").posix.mode, S_IFREG | 0600);
	check_content(img, "f", data, 4 * MIB);
	cim_image_unref(img);
}
END_TEST

/* ---- images that do not mind case ---- */

static struct cim_writer *open_insensitive(const char *existing, const char *new_name)
{
	struct cim_writer *w;

	ck_assert_int_eq(cim_writer_open(test_store, existing, new_name, CIM_CASE_INSENSITIVE, &w),
			 0);
	return w;
}

static void make_insensitive(void)
{
	struct cim_writer *w = open_insensitive(NULL, "a.cim");

	make_dir(w, "Dir");
	put_text(w, "Dir/ReadMe", "text");
	put_text(w, "\303\204pfel", "umlaut"); /* Äpfel */
	commit(w);
}

static int expect_spelling(void *arg, const char *name, size_t n, uint32_t id)
{
	return strlen(arg) == n && memcmp(arg, name, n) == 0;
}

static bool is_spelled(struct cim_writer *w, const char *dir, const char *name)
{
	return cim_writer_list(w, find(w, dir), expect_spelling, (void *)(uintptr_t)name) == 1;
}

START_TEST(insensitive_lookup_finds_any_case)
{
	struct cim_writer *w = open_insensitive(NULL, "b.cim");

	make_dir(w, "Dir");
	uint32_t id = put_text(w, "Dir/ReadMe", "text");
	ck_assert_uint_eq(find(w, "DIR/README"), id);
	ck_assert_uint_eq(find(w, "dir/readme"), id);
	ck_assert_int_eq(try_make(w, "dir/README", S_IFREG), -EEXIST);
	ck_assert(is_spelled(w, "dir", "ReadMe"));
	cim_writer_close(w);

	make_insensitive();
	struct cim_image *img = open_image("a.cim");
	ck_assert(!cim_image_is_case_sensitive(img));
	check_text(img, "dir/README", "text");
	check_text(img, "\303\244PFEL", "umlaut");
	cim_image_unref(img);
}
END_TEST

START_TEST(insensitive_rename_may_change_only_the_case)
{
	struct cim_writer *w;

	make_insensitive();
	w = open_writer("a.cim", "b.cim");
	uint32_t id = find(w, "dir/readme");
	ck_assert_int_eq(try_rename(w, "dir/readme", "dir/README", 0), 0);
	ck_assert_uint_eq(find(w, "dir/readme"), id);
	ck_assert(is_spelled(w, "dir", "README"));
	ck_assert(!is_spelled(w, "dir", "ReadMe"));
	ck_assert_int_eq(try_rename(w, "DIR", "dir", 0), 0);
	commit(w);
	w = open_writer("b.cim", NULL);
	ck_assert(is_spelled(w, "", "dir"));
	ck_assert(!is_spelled(w, "", "Dir"));
	ck_assert(is_spelled(w, "dir", "README"));
	cim_writer_close(w);
	check_image_text("b.cim", "DIR/ReadMe", "text");
}
END_TEST

START_TEST(insensitive_rename_to_itself_with_flags_is_refused_or_nothing)
{
	struct cim_writer *w;

	make_insensitive();
	w = open_writer("a.cim", "b.cim");
	uint32_t id = find(w, "dir/readme");
	ck_assert_int_eq(try_rename(w, "Dir/ReadMe", "Dir/README", RENAME_EXCHANGE), 0);
	ck_assert_int_eq(try_rename(w, "Dir", "DIR", RENAME_EXCHANGE), 0);
	ck_assert_uint_eq(find(w, "dir/readme"), id);
	ck_assert_int_eq(try_rename(w, "Dir/ReadMe", "Dir/ReadMe", 0), 0);
	ck_assert_uint_eq(find(w, "dir/readme"), id);
	commit(w);
	check_image_text("b.cim", "dir/readme", "text");
}
END_TEST

START_TEST(insensitive_name_that_went_may_come_back_in_another_case)
{
	struct cim_writer *w;

	make_insensitive();
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(try_unlink(w, "DIR/README"), 0);
	put_text(w, "dir/readme", "new");
	ck_assert(is_spelled(w, "dir", "readme"));
	put_text(w, "dir/other", "o");
	ck_assert_int_eq(try_rename(w, "dir/OTHER", "dir/README", 0), 0);
	commit(w);
	check_image_text("b.cim", "Dir/ReadMe", "o");
	w = open_writer("b.cim", NULL);
	ck_assert_int_eq(try_unlink(w, "dir/readme"), 0);
	ck_assert_int_eq(try_rmdir(w, "dir"), 0);
	cim_writer_close(w);
}
END_TEST

START_TEST(fork_keeps_its_base_s_case)
{
	struct cim_writer *w;

	make_insensitive();
	ck_assert_int_eq(cim_writer_open(test_store, "a.cim", "b.cim", CIM_CASE_SENSITIVE, &w),
			 -EINVAL);
	cim_writer_close(open_insensitive("a.cim", "b.cim"));
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(try_make(w, "DIR", S_IFDIR), -EEXIST);
	commit(w);
	make_image(NULL, "s.cim", "s");
	ck_assert_int_eq(cim_writer_open(test_store, "s.cim", "t.cim", CIM_CASE_INSENSITIVE, &w),
			 -EINVAL);
	w = open_writer("s.cim", "t.cim");
	put_text(w, "F", "upper");
	commit(w);
	check_image_text("t.cim", "F", "upper");
	check_image_text("t.cim", "f", "s");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("writer");
	TCase *open = tcase_create("open");
	TCase *tree = tcase_create("tree");
	TCase *insensitive = tcase_create("insensitive");

	tcase_add_checked_fixture(open, setup_dir, teardown_dir);
	tcase_add_loop_test(open, open_answers_as_the_interface_says, 0, N_ROWS(opens));
	tcase_add_test(open, open_by_path_checks_the_names_first);
	tcase_add_test(open, open_asks_for_the_lock_before_the_names_are_looked_up);
	tcase_add_test(open, open_needs_the_right_to_add_files);
	tcase_add_test(open, failed_open_does_not_keep_the_lock);
	tcase_add_test(open, info_tells_what_the_writer_is_for);
	tcase_add_test(open, one_of_two_processes_becomes_the_writer);
	tcase_add_checked_fixture(tree, setup_dir, teardown_dir);
	tcase_add_loop_test(tree, file_of_any_type_is_made, 0, N_ROWS(types));
	tcase_add_test(tree, make_refuses_what_may_not_be);
	tcase_add_test(tree, umask_is_taken_from_new_files);
	tcase_add_test(tree, set_group_id_directory_hands_its_group_on);
	tcase_add_test(tree, making_a_file_touches_its_directory);
	tcase_add_test(tree, access_acl_and_mode_follow_each_other);
	tcase_add_test(tree, default_acl_is_inherited_and_not_the_umask);
	tcase_add_test(tree, acl_is_checked_and_taken_away);
	tcase_add_test(tree, link_gives_a_file_another_name);
	tcase_add_test(tree, symlink_to_a_directory_is_windows_own_only_with_one_name);
	tcase_add_test(tree, removing_answers_as_posix_says);
	tcase_add_test(tree, removed_directory_takes_no_files);
	tcase_add_test(tree, unlinked_file_lives_while_it_is_open);
	tcase_add_test(tree, unlinked_file_of_the_base_lives_while_it_is_open_to_read);
	tcase_add_test(tree, unlinked_file_of_the_base_keeps_what_was_written_while_it_is_open);
	tcase_add_test(tree, reader_that_leaves_does_not_end_a_writer);
	tcase_add_loop_test(tree, rename_of_new_files_follows_posix, 0, N_ROWS(renames));
	tcase_add_loop_test(tree, rename_of_files_of_the_base_follows_posix, 0, N_ROWS(renames));
	tcase_add_test(tree, list_shows_every_name_once);
	tcase_add_test(tree, directory_size_is_that_of_its_table);
	tcase_add_test(tree, attributes_are_kept_to_the_tick);
	tcase_add_test(tree, attributes_that_cannot_be_are_refused);
	tcase_add_test(tree, change_of_an_attribute_copies_no_data);
	tcase_add_checked_fixture(insensitive, setup_dir, teardown_dir);
	tcase_add_test(insensitive, insensitive_lookup_finds_any_case);
	tcase_add_test(insensitive, insensitive_rename_may_change_only_the_case);
	tcase_add_test(insensitive, insensitive_rename_to_itself_with_flags_is_refused_or_nothing);
	tcase_add_test(insensitive, insensitive_name_that_went_may_come_back_in_another_case);
	tcase_add_test(insensitive, fork_keeps_its_base_s_case);
	suite_add_tcase(s, open);
	suite_add_tcase(s, tree);
	suite_add_tcase(s, insensitive);
	return s;
}

int main(void)
{
	return test_run(suite());
}
