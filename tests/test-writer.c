/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The writer: who becomes it, its tree, its files' data and attributes, and its commit.
 *
 * Trees are checked as they are staged and again in the image that a commit makes of them.
 */
#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "acl.h"
#include "commit.h"
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

/* ---- extended attributes ---- */

static void check_xattr(struct cim_writer *w, uint32_t id, const char *name, const void *value,
			size_t size)
{
	g_autofree uint8_t *buf = g_malloc(size + 1);

	ck_assert_int_eq(cim_writer_get_xattr(w, id, name, NULL, 0), (ssize_t)size);
	ck_assert_int_eq(cim_writer_get_xattr(w, id, name, buf, size + 1), (ssize_t)size);
	ck_assert(size == 0 || memcmp(buf, value, size) == 0);
}

static void check_image_xattr(const struct cim_image *img, const char *path, const char *name,
			      const void *value, size_t size)
{
	struct cim_entry e = image_entry(img, path);
	g_autofree uint8_t *buf = g_malloc(size + 1);

	ck_assert_int_eq(cim_file_get_xattr(img, &e, name, buf, size + 1), (ssize_t)size);
	ck_assert(size == 0 || memcmp(buf, value, size) == 0);
}

static int count_xattr(void *arg, const char *name)
{
	++*(int *)arg;
	return 0;
}

static int n_xattrs(struct cim_writer *w, uint32_t id)
{
	int n = 0;

	ck_assert_int_eq(cim_writer_list_xattrs(w, id, count_xattr, &n), 0);
	return n;
}

START_TEST(xattr_flags_are_those_of_setxattr)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);
	char buf[8];

	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", "1", 1, XATTR_REPLACE), -ENODATA);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", "1", 1, XATTR_CREATE), 0);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", "2", 1, XATTR_CREATE), -EEXIST);
	check_xattr(w, id, "user.a", "1", 1);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", "22", 2, XATTR_REPLACE), 0);
	check_xattr(w, id, "user.a", "22", 2);
	ck_assert_int_eq(cim_writer_get_xattr(w, id, "user.a", buf, 1), -ERANGE);
	ck_assert_int_eq(cim_writer_get_xattr(w, id, "user.b", buf, 8), -ENODATA);
	ck_assert_int_eq(cim_writer_remove_xattr(w, id, "user.b"), -ENODATA);
	ck_assert_int_eq(cim_writer_remove_xattr(w, id, "user.a"), 0);
	ck_assert_int_eq(cim_writer_get_xattr(w, id, "user.a", buf, 8), -ENODATA);
	ck_assert_int_eq(n_xattrs(w, id), 0);
	cim_writer_close(w);
}
END_TEST

static const struct {
	const char *name;
	int expect;
} namespaces[] = {
	{ "user.a", 0 },
	{ "user.A", 0 },
	{ "user.a.b c\303\244", 0 },
	{ "trusted.overlay.opaque", 0 },
	{ "security.capability", 0 },
	{ "security.selinux", 0 },
	{ "user.", -EOPNOTSUPP },
	{ "system.other", -EOPNOTSUPP },
	{ "nonsense", -EOPNOTSUPP },
};

START_TEST(xattr_has_a_namespace_that_is_stored)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);

	ck_assert_int_eq(cim_writer_set_xattr(w, id, namespaces[_i].name, "v\0w", 3, 0),
			 namespaces[_i].expect);
	if (namespaces[_i].expect == 0)
		check_xattr(w, id, namespaces[_i].name, "v\0w", 3);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	if (namespaces[_i].expect == 0)
		check_image_xattr(img, "f", namespaces[_i].name, "v\0w", 3);
	cim_image_unref(img);
}
END_TEST

START_TEST(xattrs_of_two_cases_are_two)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);

	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.name", "1", 1, 0), 0);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.Name", "2", 1, 0), 0);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.NAME", "", 0, 0), 0);
	ck_assert_int_eq(n_xattrs(w, id), 3);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	check_image_xattr(img, "f", "user.name", "1", 1);
	check_image_xattr(img, "f", "user.Name", "2", 1);
	check_image_xattr(img, "f", "user.NAME", "", 0);
	cim_image_unref(img);
}
END_TEST

START_TEST(xattr_of_64_kib_is_kept)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);
	g_autofree uint8_t *value = pattern(65537, 3);

	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", value, 65537, 0), -E2BIG);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", value, 10, 0), 0);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", value, 65536, XATTR_REPLACE), 0);
	ck_assert_int_eq(n_xattrs(w, id), 1);
	check_xattr(w, id, "user.a", value, 65536);
	commit(w);
	w = open_writer("a.cim", "b.cim");
	id = find(w, "f");
	check_xattr(w, id, "user.a", value, 65536);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.b", "b", 1, 0), 0);
	check_xattr(w, id, "user.a", value, 65536);
	commit(w);
	/* It becomes small again, and goes. */
	w = open_writer("b.cim", "c.cim");
	id = find(w, "f");
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", "small", 5, XATTR_CREATE), -EEXIST);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.a", "small", 5, 0), 0);
	ck_assert_int_eq(n_xattrs(w, id), 2);
	commit(w);
	w = open_writer("b.cim", "d.cim");
	ck_assert_int_eq(cim_writer_remove_xattr(w, find(w, "f"), "user.a"), 0);
	commit(w);
	struct cim_image *img = open_image("b.cim");
	check_image_xattr(img, "f", "user.a", value, 65536);
	check_image_xattr(img, "f", "user.b", "b", 1);
	cim_image_unref(img);
	img = open_image("c.cim");
	check_image_xattr(img, "f", "user.a", "small", 5);
	cim_image_unref(img);
	img = open_image("d.cim");
	struct cim_entry e = image_entry(img, "f");
	ck_assert_int_eq(cim_file_get_xattr(img, &e, "user.a", NULL, 0), -ENODATA);
	check_image_xattr(img, "f", "user.b", "b", 1);
	cim_image_unref(img);
}
END_TEST

#define N_MANY 40

START_TEST(xattrs_of_more_than_64_kib_together_are_kept)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);
	g_autofree uint8_t *value = pattern(8000, 4);
	char name[32];

	for (int i = 0; i < N_MANY; i++) {
		snprintf(name, sizeof(name), "user.many-%d", i);
		ck_assert_int_eq(cim_writer_set_xattr(w, id, name, value + i, 7000, XATTR_CREATE),
				 0);
	}
	ck_assert_int_eq(n_xattrs(w, id), N_MANY);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	struct cim_entry e = image_entry(img, "f");
	int n = 0;
	ck_assert_int_eq(cim_file_list_xattrs(img, &e, count_xattr, &n), 0);
	ck_assert_int_eq(n, N_MANY);
	for (int i = 0; i < N_MANY; i++) {
		snprintf(name, sizeof(name), "user.many-%d", i);
		check_image_xattr(img, "f", name, value + i, 7000);
	}
	cim_image_unref(img);
	w = open_writer("a.cim", NULL);
	id = find(w, "f");
	for (int i = 0; i < N_MANY; i++) {
		snprintf(name, sizeof(name), "user.many-%d", i);
		ck_assert_int_eq(cim_writer_remove_xattr(w, id, name), 0);
		ck_assert_int_eq(n_xattrs(w, id), N_MANY - i - 1);
	}
	commit(w);
}
END_TEST

START_TEST(xattr_name_may_have_255_bytes)
{
	static const size_t sizes[] = { 249, 250, 251, 252, 253, 254, 255 };
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);
	char name[257] = "user.";

	memset(name + 5, 'n', 251);
	name[256] = '\0';
	ck_assert_int_eq(cim_writer_set_xattr(w, id, name, "v", 1, 0), -ERANGE);
	for (size_t i = 0; i < N_ROWS(sizes); i++) {
		g_autofree char *cut = g_strndup(name, sizes[i]);

		ck_assert_int_eq(cim_writer_set_xattr(w, id, cut, &sizes[i], 1, XATTR_CREATE), 0);
		ck_assert_int_eq(cim_writer_set_xattr(w, id, cut, &sizes[i], 1, XATTR_CREATE),
				 -EEXIST);
	}
	ck_assert_int_eq(n_xattrs(w, id), N_ROWS(sizes));
	commit(w);
	struct cim_image *img = open_image("a.cim");
	for (size_t i = 0; i < N_ROWS(sizes); i++) {
		g_autofree char *cut = g_strndup(name, sizes[i]);

		check_image_xattr(img, "f", cut, &sizes[i], 1);
	}
	cim_image_unref(img);
	w = open_writer("a.cim", NULL);
	name[255] = '\0';
	ck_assert_int_eq(cim_writer_remove_xattr(w, find(w, "f"), name), 0);
	ck_assert_int_eq(n_xattrs(w, find(w, "f")), N_ROWS(sizes) - 1);
	cim_writer_close(w);
}
END_TEST

START_TEST(xattr_of_other_namespaces_spills_too)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_dir(w, "d");
	g_autofree uint8_t *value = pattern(65536, 5);

	ck_assert_int_eq(cim_writer_set_xattr(w, id, "trusted.big", value, 65536, 0), 0);
	ck_assert_int_eq(cim_writer_set_xattr(w, id, "user.big", value, 65536, 0), 0);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	check_image_xattr(img, "d", "trusted.big", value, 65536);
	check_image_xattr(img, "d", "user.big", value, 65536);
	cim_image_unref(img);
}
END_TEST

START_TEST(xattrs_of_links_and_special_files_are_kept)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");

	ck_assert_int_eq(cim_writer_set_xattr(w, make_link(w, "l", "x"), "trusted.a", "l", 1, 0),
			 0);
	ck_assert_int_eq(
		cim_writer_set_xattr(w, make_file(w, "p", S_IFIFO), "trusted.a", "p", 1, 0), 0);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	check_image_xattr(img, "l", "trusted.a", "l", 1);
	check_image_xattr(img, "p", "trusted.a", "p", 1);
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

/* ---- data ---- */

static const size_t sizes[] = { 0,       1,       7,     4095,    4096,       4097,
				16383,   16384,   16385, 65535,   65536,      65537,
				1 << 18, MIB - 1, MIB,   MIB + 1, 3 * MIB + 5 };

START_TEST(data_of_any_size_is_kept)
{
	size_t size = sizes[_i];
	g_autofree uint8_t *data = pattern(size + 8, size);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t whole = put(w, "whole", data, size),
		 pieces = make_file(w, "pieces", S_IFREG | 0644);

	ck_assert_int_eq(cim_writer_open_file(w, pieces, CIM_OPEN_WRITE), 0);
	for (size_t at = 0, part; at < size; at += part) {
		part = MIN(size - at, at % 3 ? 50000 : 4096);
		ck_assert_int_eq(cim_writer_write(w, pieces, at, data + at, part), (ssize_t)part);
	}
	check_staged(w, pieces, data, size);
	cim_writer_close_file(w, pieces, CIM_OPEN_WRITE);
	check_staged(w, pieces, data, size);
	check_staged(w, whole, data, size);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	check_content(img, "whole", data, size);
	check_content(img, "pieces", data, size);
	ck_assert_uint_eq(image_attr(img, "whole").blocks, (size + 511) / 512);
	cim_image_unref(img);

	/* A fork appends to one and writes into the other. */
	w = open_writer("a.cim", "b.cim");
	write_at(w, find(w, "whole"), size, data + size, 8);
	if (size > 0)
		write_at(w, find(w, "pieces"), size / 2, "!", 1);
	commit(w);
	img = open_image("b.cim");
	check_content(img, "whole", data, size + 8);
	if (size > 0)
		data[size / 2] = '!';
	check_content(img, "pieces", data, size);
	cim_image_unref(img);
}
END_TEST

START_TEST(truncation_of_a_base_file_keeps_its_beginning)
{
	size_t size = sizes[_i];
	g_autofree uint8_t *data = pattern(size, size), *grown = g_malloc0(size + 100000);
	struct cim_writer *w = open_writer(NULL, "a.cim");

	put(w, "shorter", data, size);
	put(w, "longer", data, size);
	put(w, "empty", data, size);
	commit(w);
	w = open_writer("a.cim", "b.cim");
	ck_assert_int_eq(try_truncate(w, find(w, "shorter"), size / 2), 0);
	ck_assert_int_eq(try_truncate(w, find(w, "longer"), size + 100000), 0);
	ck_assert_int_eq(
		cim_writer_open_file(w, find(w, "empty"), CIM_OPEN_WRITE | CIM_OPEN_TRUNCATE), 0);
	cim_writer_close_file(w, find(w, "empty"), CIM_OPEN_WRITE | CIM_OPEN_TRUNCATE);
	memcpy(grown, data, size);
	check_staged(w, find(w, "shorter"), data, size / 2);
	check_staged(w, find(w, "longer"), grown, size + 100000);
	commit(w);
	struct cim_image *img = open_image("b.cim");
	check_content(img, "shorter", data, size / 2);
	check_content(img, "longer", grown, size + 100000);
	check_content(img, "empty", "", 0);
	cim_image_unref(img);
}
END_TEST

START_TEST(what_was_cut_off_does_not_come_back)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);
	g_autofree uint8_t *data = pattern(2 * MIB, 6), *expect = g_malloc0(2 * MIB);

	ck_assert_int_eq(cim_writer_open_file(w, id, CIM_OPEN_WRITE), 0);
	for (size_t i = 0; i < N_ROWS(sizes) - 1; i++) {
		ck_assert_int_eq(cim_writer_write(w, id, 0, data, 2 * MIB), 2 * MIB);
		ck_assert_int_eq(try_truncate(w, id, sizes[i]), 0);
		ck_assert_int_eq(try_truncate(w, id, 2 * MIB), 0);
		memset(expect, 0, 2 * MIB);
		memcpy(expect, data, sizes[i]);
		check_staged(w, id, expect, 2 * MIB);
	}
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	check_content(img, "f", expect, 2 * MIB);
	cim_image_unref(img);
}
END_TEST

/* Writes, truncations and holes at random in a few files at once, against the same in memory. */

#define MODEL_FILES 4
#define MODEL_MAX   (3 * MIB)

struct model {
	uint32_t id;
	uint8_t *data; /* MODEL_MAX bytes, zeros behind size */
	size_t size;
	int n_opens;
};

static void model_truncate(struct model *m, size_t size)
{
	if (size < m->size)
		memset(m->data + size, 0, m->size - size);
	m->size = size;
}

static size_t random_place(struct test_random *r, size_t max)
{
	static const size_t near[] = { 0, 4096, 16384, 65536, MIB, 2 * MIB };
	size_t at = test_random_below(r, 3)
			    ? near[test_random_below(r, N_ROWS(near))] + test_random_below(r, 7)
			    : test_random_below(r, max);

	return MIN(at, max);
}

static void model_step(struct cim_writer *w, struct model *m, struct test_random *r,
		       const uint8_t *bytes)
{
	size_t at = random_place(r, MODEL_MAX - 1);
	size_t n = 1 + random_place(r, 200000);

	n = MIN(n, MODEL_MAX - at);
	switch (test_random_below(r, 8)) {
	case 0:
	case 1:
	case 2:
		if (test_random_below(r, 2)) {
			at = m->size;
			n = MIN(n, MODEL_MAX - at);
		}
		const uint8_t *from = bytes + test_random_below(r, 4096);
		ck_assert_int_eq(cim_writer_write(w, m->id, at, from, n), (ssize_t)n);
		memcpy(m->data + at, from, n);
		m->size = n > 0 ? MAX(m->size, at + n) : m->size;
		break;
	case 3:
		ck_assert_int_eq(try_truncate(w, m->id, at), 0);
		model_truncate(m, at);
		break;
	case 4:
		ck_assert_int_eq(cim_writer_fallocate(w, m->id,
						      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
						      at, n),
				 0);
		if (at < m->size)
			memset(m->data + at, 0, MIN(n, m->size - at));
		break;
	case 5:
		ck_assert_int_eq(cim_writer_fallocate(w, m->id, FALLOC_FL_ZERO_RANGE, at, n), 0);
		memset(m->data + at, 0, n);
		m->size = MAX(m->size, at + n);
		break;
	case 6:
		ck_assert_int_eq(cim_writer_open_file(w, m->id, CIM_OPEN_WRITE), 0);
		m->n_opens++;
		break;
	case 7:
		ck_assert_int_eq(cim_writer_flush(w, m->id), 0);
		for (; m->n_opens > 1; m->n_opens--)
			cim_writer_close_file(w, m->id, CIM_OPEN_WRITE);
	}
	if (test_random_below(r, 6) == 0) { /* the last writer goes: it is stored */
		for (; m->n_opens > 0; m->n_opens--)
			cim_writer_close_file(w, m->id, CIM_OPEN_WRITE);
		ck_assert_int_eq(cim_writer_open_file(w, m->id, CIM_OPEN_WRITE), 0);
		m->n_opens = 1;
	}
}

static void model_check(struct cim_writer *w, const struct model *m, struct test_random *r)
{
	size_t at = random_place(r, MODEL_MAX), n = 30000;
	g_autofree uint8_t *buf = g_malloc(n);
	ssize_t expect = at >= m->size ? 0 : (ssize_t)MIN(n, m->size - at);

	ck_assert_uint_eq(attr_of(w, m->id).size, m->size);
	ck_assert_int_eq(cim_writer_read(w, m->id, at, buf, n), expect);
	ck_assert(memcmp(buf, m->data + at, (size_t)expect) == 0);
	int64_t data = cim_writer_seek(w, m->id, 0, SEEK_DATA);
	/* What is said to be a hole is zeros. */
	size_t hole = data == -ENXIO ? m->size : (size_t)data;
	ck_assert_uint_le(hole, m->size);
	ck_assert(hole == 0 || (m->data[0] == 0 && memcmp(m->data, m->data + 1, hole - 1) == 0));
}

START_TEST(data_is_as_in_memory_after_random_changes)
{
	struct test_random random = { test_seed(31) + (uint64_t)_i };
	g_autofree uint8_t *bytes = pattern(MODEL_MAX + 4096, 7);
	const char *const names[MODEL_FILES] = { "0", "1", "2", "3" };
	struct model files[MODEL_FILES] = { 0 };

	printf("# data_is_as_in_memory_after_random_changes: seed %#llx\n",
	       (unsigned long long)random.state - (unsigned long long)_i);
	for (int round = 0; round < 3; round++) {
		struct cim_writer *w = open_writer(round ? "a.cim" : NULL, "a.cim");

		for (int i = 0; i < MODEL_FILES; i++) {
			struct model *m = &files[i];

			m->id = round ? find(w, names[i]) : make_file(w, names[i], S_IFREG | 0644);
			if (!m->data)
				m->data = g_malloc0(MODEL_MAX);
			ck_assert_int_eq(cim_writer_open_file(w, m->id, CIM_OPEN_WRITE), 0);
			m->n_opens = 1;
		}
		for (int step = 0; step < 120; step++) {
			struct model *m = &files[test_random_below(&random, MODEL_FILES)];

			model_step(w, m, &random, bytes);
			model_check(w, m, &random);
		}
		for (int i = 0; i < MODEL_FILES; i++) {
			check_staged(w, files[i].id, files[i].data, files[i].size);
			/* Some are still open at the commit. */
			for (; i % 2 && files[i].n_opens > 0; files[i].n_opens--)
				cim_writer_close_file(w, files[i].id, CIM_OPEN_WRITE);
		}
		commit(w);
		struct cim_image *img = open_image("a.cim");
		for (int i = 0; i < MODEL_FILES; i++)
			check_content(img, names[i], files[i].data, files[i].size);
		cim_image_unref(img);
	}
	for (int i = 0; i < MODEL_FILES; i++)
		g_free(files[i].data);
}
END_TEST

/*
 * Whether the file system keeps holes as they are: two pieces of data behind a header, and a hole
 * between, which is read through a mapping.  tmpfs fills what is read so, and some round to large
 * pages; what is a hole is then theirs to say.
 */
static bool keeps_holes(uint64_t first_size, uint64_t second_at, uint64_t second_size)
{
	cim_autofd fd = openat(test_store->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	g_autofree uint8_t *data = pattern(MAX(first_size, second_size), 1);
	const uint64_t header = 4096, hole = header + first_size, end = header + second_at;

	if (fd < 0 || cim_pwrite_full(fd, data, first_size, header) < 0 ||
	    cim_pwrite_full(fd, data, second_size, end) < 0)
		return false;
	const uint8_t *map = mmap(NULL, end, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return false;
	bool zero = map[hole] == 0 && map[end - 1] == 0;
	munmap((void *)(uintptr_t)map, end);
	return zero && lseek(fd, (off_t)header, SEEK_HOLE) == (off_t)hole &&
	       lseek(fd, (off_t)hole, SEEK_DATA) == (off_t)end;
}

START_TEST(holes_are_kept_through_commit)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644), all = make_file(w, "all", S_IFREG | 0644);
	g_autofree uint8_t *data = pattern(65536, 8);
	bool exact = keeps_holes(65536, 10 * MIB, 65536);
	uint8_t buf[4];

	write_at(w, id, 0, data, 65536);
	write_at(w, id, 10 * MIB, data, 65536);
	ck_assert_int_eq(try_truncate(w, id, 20 * MIB), 0);
	ck_assert_int_eq(try_truncate(w, all, 1ull << 40), 0);
	if (exact) {
		ck_assert_int_eq(cim_writer_seek(w, id, 0, SEEK_HOLE), 65536);
		ck_assert_int_eq(cim_writer_seek(w, id, 65536, SEEK_DATA), 10 * MIB);
		ck_assert_int_eq(cim_writer_seek(w, id, 11 * MIB, SEEK_DATA), -ENXIO);
	}
	ck_assert_int_eq(cim_writer_seek(w, id, 20 * MIB, SEEK_HOLE), -ENXIO);
	commit(w);
	for (int fork = 0; fork < 2; fork++) {
		struct cim_image *img = open_image("a.cim");
		struct cim_attr attr = image_attr(img, "f");
		struct cim_entry e = image_entry(img, "f");

		ck_assert_uint_eq(attr.size, 20 * MIB);
		if (exact) {
			ck_assert_uint_le(attr.blocks, (2 * 65536 + 65536) / 512);
			ck_assert_int_eq(cim_stream_seek(img, &e.data, 65536, SEEK_DATA), 10 * MIB);
			ck_assert_int_eq(cim_stream_seek(img, &e.data, 0, SEEK_HOLE), 65536);
			ck_assert_int_eq(cim_stream_seek(img, &e.data, 11 * MIB, SEEK_DATA),
					 -ENXIO);
		}
		ck_assert_int_eq(cim_stream_read(img, &e.data, 10 * MIB - 2, buf, 4), 4);
		ck_assert(buf[0] == 0 && buf[1] == 0 && memcmp(buf + 2, data, 2) == 0);
		ck_assert_uint_eq(image_attr(img, "all").blocks, 0);
		ck_assert_uint_eq(image_attr(img, "all").size, 1ull << 40);
		cim_image_unref(img);
		/* And through a copy-up in a fork. */
		w = open_writer("a.cim", NULL);
		write_at(w, find(w, "f"), 1, data + 1, 1);
		commit(w);
	}
}
END_TEST

START_TEST(punched_hole_is_a_hole_in_the_image)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	g_autofree uint8_t *data = pattern(4 * MIB, 9);
	bool exact = keeps_holes(MIB, 3 * MIB, MIB);

	put(w, "f", data, 4 * MIB);
	commit(w);
	w = open_writer("a.cim", "b.cim");
	uint32_t id = find(w, "f");
	ck_assert_int_eq(cim_writer_open_file(w, id, CIM_OPEN_WRITE), 0);
	ck_assert_int_eq(cim_writer_fallocate(w, id, FALLOC_FL_PUNCH_HOLE, MIB, MIB), -EOPNOTSUPP);
	ck_assert_int_eq(cim_writer_fallocate(w, id, FALLOC_FL_COLLAPSE_RANGE, MIB, MIB),
			 -EOPNOTSUPP);
	ck_assert_int_eq(cim_writer_fallocate(w, id, 0, 0, 0), -EINVAL);
	ck_assert_int_eq(cim_writer_fallocate(w, id, 0, UINT64_MAX, 2), -EFBIG);
	ck_assert_int_eq(cim_writer_fallocate(w, id, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					      MIB, 2 * MIB),
			 0);
	ck_assert_int_eq(cim_writer_fallocate(w, id, FALLOC_FL_KEEP_SIZE, 0, 8 * MIB), 0);
	ck_assert_uint_eq(attr_of(w, id).size, 4 * MIB);
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	commit(w);
	memset(data + MIB, 0, 2 * MIB);
	struct cim_image *img = open_image("b.cim");
	check_content(img, "f", data, 4 * MIB);
	struct cim_entry e = image_entry(img, "f");
	if (exact) {
		ck_assert_int_eq(cim_stream_seek(img, &e.data, 0, SEEK_HOLE), MIB);
		ck_assert_int_eq(cim_stream_seek(img, &e.data, MIB, SEEK_DATA), 3 * MIB);
		ck_assert_uint_le(image_attr(img, "f").blocks, 2 * MIB / 512 + 256);
	}
	cim_image_unref(img);
}
END_TEST

static const size_t appends[] = { 20, 300, 6000 };

START_TEST(file_appended_to_many_times_is_stored_once)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "log", S_IFREG | 0644);
	size_t part = appends[_i], size = 500 * part;
	g_autofree uint8_t *data = pattern(size, 10);
	uint64_t bytes;

	for (size_t i = 0; i < 500; i++)
		write_at(w, id, i * part, data + i * part, part);
	check_staged(w, id, data, size);
	commit(w);
	bytes = region_bytes();
	ck_assert_uint_lt(bytes, 2 * size + CIM_UPCASE_SIZE + 100000);
	struct cim_image *img = open_image("a.cim");
	check_content(img, "log", data, size);
	cim_image_unref(img);
}
END_TEST

START_TEST(equal_content_is_stored_once)
{
	size_t size = _i ? 3 * MIB : 10000;
	g_autofree uint8_t *data = pattern(size, 11);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint64_t one, two;

	put(w, "1", data, size);
	commit(w);
	one = region_bytes();
	ck_assert_int_eq(unlinkat(test_store->dirfd, "a.cim", 0), 0);
	w = open_writer(NULL, "b.cim");
	for (const char *name = "12345"; *name; name++) {
		char path[2] = { *name };

		put(w, path, data, size);
	}
	commit(w);
	two = region_bytes() - one;
	ck_assert_uint_lt(two, one + 4096);
	struct cim_image *img = open_image("b.cim");
	check_content(img, "1", data, size);
	check_content(img, "5", data, size);
	ck_assert_uint_ne(image_find(img, "1"), image_find(img, "5"));
	ck_assert_uint_eq(image_entry(img, "1").data.off, image_entry(img, "5").data.off);
	cim_image_unref(img);
}
END_TEST

START_TEST(content_of_the_base_is_not_stored_again)
{
	size_t size = _i ? 3 * MIB : 10000;
	g_autofree uint8_t *data = pattern(size, 12);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct cim_image *a, *b;
	uint64_t before;

	put(w, "f", data, size);
	commit(w);
	before = region_bytes();
	w = open_writer("a.cim", "b.cim");
	put(w, "g", data, size);
	ck_assert_int_eq(try_unlink(w, "f"), 0);
	put(w, "f", data, size);
	commit(w);
	/* Headers, a file table, a link table and a few small objects. */
	ck_assert_uint_lt(region_bytes() - before, 4096 + 2048);
	a = open_image("a.cim");
	b = open_image("b.cim");
	check_content(b, "g", data, size);
	ck_assert_uint_eq(image_entry(b, "g").data.off, image_entry(a, "f").data.off);
	cim_image_unref(a);
	cim_image_unref(b);
}
END_TEST

START_TEST(content_that_was_deleted_takes_no_space)
{
	g_autofree uint8_t *data = pattern(4 * MIB, 13);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	char name[16];

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "%d", i);
		put(w, name, data + i, 200000);
		put(w, i % 2 ? "small" : "other", data + i, 9000);
		ck_assert_int_eq(try_unlink(w, i % 2 ? "small" : "other"), 0);
		if (i > 0)
			ck_assert_int_eq(try_unlink(w, name), 0);
	}
	commit(w);
	ck_assert_uint_lt(region_bytes(), CIM_UPCASE_SIZE + 200000 + 200000);
	struct cim_image *img = open_image("a.cim");
	check_content(img, "0", data, 200000);
	cim_image_unref(img);
}
END_TEST

START_TEST(changed_file_of_the_base_that_was_deleted_takes_no_space)
{
	g_autofree uint8_t *data = pattern(4 * MIB, 18);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint64_t before;

	put(w, "f", data, 2 * MIB);
	commit(w);
	before = region_bytes();
	w = open_writer("a.cim", "b.cim");
	write_at(w, find(w, "f"), 0, data + 7, 3 * MIB);
	ck_assert_int_eq(try_unlink(w, "f"), 0);
	put_text(w, "g", "g");
	commit(w);
	ck_assert_uint_lt(region_bytes() - before, 64 * 1024);
	check_image_text("b.cim", "g", "g");
	struct cim_image *img = open_image("a.cim");
	check_content(img, "f", data, 2 * MIB);
	cim_image_unref(img);
}
END_TEST

/* A file of the test's own that holds @size bytes, with a hole at @hole if that is not 0. */
static int source_file(const uint8_t *data, size_t size, size_t hole)
{
	int fd = openat(test_store->dirfd, "source", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(cim_pwrite_full(fd, data, hole ? hole : size, 0), 0);
	if (hole) {
		ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
		ck_assert_int_eq(cim_pwrite_full(fd, data + size - 4096, 4096, size - 4096), 0);
	}
	return fd;
}

START_TEST(put_takes_a_whole_file)
{
	size_t size = sizes[_i];
	g_autofree uint8_t *data = pattern(size, 14), *buf = g_malloc(CIM_PUT_BUFFER);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	cim_autofd fd = source_file(data, size, 0);
	uint32_t id = make_file(w, "f", S_IFREG | 0644), second = make_file(w, "g", S_IFREG | 0644);

	ck_assert_int_eq(cim_writer_put(w, id, fd, size, false, buf), 0);
	ck_assert_int_eq(cim_writer_put(w, second, fd, size, true, buf), 0);
	check_staged(w, id, data, size);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	check_content(img, "f", data, size);
	check_content(img, "g", data, size);
	cim_image_unref(img);
	w = open_writer("a.cim", NULL);
	ck_assert_int_eq(cim_writer_put(w, make_file(w, "h", S_IFREG), fd, size + 1, false, buf),
			 -EIO);
	cim_writer_close(w);
}
END_TEST

START_TEST(put_keeps_holes)
{
	g_autofree uint8_t *data = pattern(8 * MIB, 15), *buf = g_malloc(CIM_PUT_BUFFER);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	bool exact = keeps_holes(65536, 8 * MIB - 4096, 4096);
	cim_autofd fd = source_file(data, 8 * MIB, 65536);
	uint32_t id = make_file(w, "f", S_IFREG | 0644);

	ck_assert_int_eq(cim_writer_put(w, id, fd, 8 * MIB, true, buf), 0);
	commit(w);
	memset(data + 65536, 0, 8 * MIB - 65536 - 4096);
	struct cim_image *img = open_image("a.cim");
	check_content(img, "f", data, 8 * MIB);
	struct cim_entry e = image_entry(img, "f");
	if (exact) {
		ck_assert_int_eq(cim_stream_seek(img, &e.data, 65536, SEEK_DATA), 8 * MIB - 4096);
		ck_assert_uint_lt(image_attr(img, "f").blocks, 1000);
	}
	cim_image_unref(img);
}
END_TEST

START_TEST(read_and_write_of_other_types_are_refused)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t dir = make_dir(w, "d"), fifo = make_file(w, "p", S_IFIFO);
	char byte;

	ck_assert_int_eq(cim_writer_read(w, dir, 0, &byte, 1), -EISDIR);
	ck_assert_int_eq(cim_writer_write(w, dir, 0, "x", 1), -EISDIR);
	ck_assert_int_eq(cim_writer_write(w, fifo, 0, "x", 1), -EINVAL);
	ck_assert_int_eq(cim_writer_open_file(w, dir, CIM_OPEN_WRITE), -EISDIR);
	ck_assert_int_eq(cim_writer_read(w, 99, 0, &byte, 1), -ESTALE);
	ck_assert_int_eq(cim_writer_write(w, 0, 0, "x", 1), -ESTALE);
	ck_assert_int_eq(cim_writer_write(w, put_text(w, "f", ""), CIM_STREAM_SIZE_MAX, "x", 1),
			 -EFBIG);
	cim_writer_close(w);
}
END_TEST

/* The bytes of a file that could not be moved out of memory must not be seen later. */
START_TEST(failed_spill_leaves_nothing_behind)
{
	struct rlimit old, low = { 300000, RLIM_INFINITY };
	g_autofree uint8_t *data = pattern(MIB, 16), *expect = g_malloc0(3 * MIB);
	struct cim_writer *w = open_writer(NULL, "a.cim");
	uint32_t id = make_file(w, "f", S_IFREG | 0644);
	void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);

	ck_assert_int_eq(cim_writer_open_file(w, id, CIM_OPEN_WRITE), 0);
	ck_assert_int_eq(cim_writer_write(w, id, 0, data, MIB), MIB);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	low.rlim_max = old.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
	ck_assert_int_lt(cim_writer_write(w, id, MIB, data, MIB), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	check_staged(w, id, data, MIB);
	ck_assert_int_eq(try_truncate(w, id, 1000), 0);
	ck_assert_int_eq(cim_writer_write(w, id, 2 * MIB, data, MIB), MIB);
	memcpy(expect, data, 1000);
	memcpy(expect + 2 * MIB, data, MIB);
	check_staged(w, id, expect, 3 * MIB);
	cim_writer_close_file(w, id, CIM_OPEN_WRITE);
	commit(w);
	(void)signal(SIGXFSZ, old_handler);
}
END_TEST

/* ---- threads ---- */

struct job {
	struct cim_writer *w;
	int number;
};

static gpointer run_job(gpointer arg)
{
	const struct job *job = arg;
	char path[32];

	for (int i = 0; i < 100; i++) {
		size_t size = (size_t)(i % 5 ? i * 100 : 200000);
		g_autofree uint8_t *data = pattern(size, (uint64_t)(i * 8 + job->number));

		snprintf(path, sizeof(path), "%d-%d", job->number, i);
		check_staged(job->w, put(job->w, path, data, size), data, size);
		if (i % 3 == 0)
			ck_assert_int_eq(try_unlink(job->w, path), 0);
	}
	return NULL;
}

START_TEST(several_threads_write_at_once)
{
	struct cim_writer *w = open_writer(NULL, "a.cim");
	struct job jobs[4];
	GThread *threads[4];

	for (int i = 0; i < 4; i++) {
		jobs[i] = (struct job){ w, i };
		threads[i] = g_thread_new("writer", run_job, &jobs[i]);
	}
	for (int i = 0; i < 4; i++)
		g_thread_join(threads[i]);
	commit(w);
	struct cim_image *img = open_image("a.cim");
	for (int k = 0; k < 400; k++) {
		int number = k / 100, i = k % 100;
		size_t size = (size_t)(i % 5 ? i * 100 : 200000);
		g_autofree uint8_t *data = pattern(size, (uint64_t)(i * 8 + number));
		g_autofree char *path = g_strdup_printf("%d-%d", number, i);

		if (i % 3)
			check_content(img, path, data, size);
		else
			ck_assert_int_eq(image_path_error(img, path), -ENOENT);
	}
	cim_image_unref(img);
}
END_TEST

/* ---- commit ---- */

static enum cim_commit_step hook_step;
static int hook_result; /* SIGKILL: the process dies there */

static int commit_hook(enum cim_commit_step step)
{
	if (step != hook_step)
		return 0;
	if (hook_result == SIGKILL)
		(void)kill(getpid(), SIGKILL);
	return hook_result;
}

/* "a.cim" and "b.cim", a fork of it, are there before. */
static const struct {
	const char *existing, *new_name;
	const char *image; /* that the commit is to make */
} kinds[] = {
	{ NULL, "new.cim", "new.cim" },
	{ "a.cim", "new.cim", "new.cim" },
	{ "a.cim", NULL, "a.cim" },
	{ "b.cim", NULL, "b.cim" },
};

#define N_STOPS ((int)N_ROWS(kinds) * CIM_COMMIT_DONE)

static struct cim_writer *stage(int kind)
{
	struct cim_writer *w = open_writer(kinds[kind].existing, kinds[kind].new_name);
	uint32_t id;

	if (try_find(w, "f", &id) == 0)
		ck_assert_int_eq(try_unlink(w, "f"), 0);
	put_text(w, "f", "new");
	return w;
}

/* Old images are whole; the new one is there or is not. */
static void check_after_stop(int kind, bool visible)
{
	const char *image = kinds[kind].image;

	check_image_text("a.cim", "f", visible && strcmp(image, "a.cim") == 0 ? "new" : "a");
	check_image_text("b.cim", "f", visible && strcmp(image, "b.cim") == 0 ? "new" : "b");
	ck_assert_int_eq(has_file("new.cim"), visible && strcmp(image, "new.cim") == 0);
	if (has_file("new.cim"))
		check_image_text("new.cim", "f", "new");
}

/* The next writer sweeps, and can commit: nothing is there that no image needs. */
static void check_sweep(int kind, bool visible)
{
	unsigned int n_sets = visible ? 3 : 2;

	cim_writer_close(open_writer(NULL, "next.cim"));
	ck_assert_uint_eq(count_files(".cimfs", NULL), 0);
	ck_assert_uint_eq(count_files("region_", NULL), 3 * n_sets);
	ck_assert_uint_eq(count_files("objectid_", NULL), 3 * n_sets);
	check_after_stop(kind, visible);
	make_image("b.cim", "next.cim", "next");
	check_image_text("next.cim", "f", "next");
	ck_assert_uint_eq(count_files("region_", NULL), 3 * n_sets + 3);
	check_after_stop(kind, visible);
}

static void setup_images(void)
{
	setup_dir();
	make_image(NULL, "a.cim", "a");
	make_image("a.cim", "b.cim", "b");
	cim_commit_test_hook = commit_hook;
	hook_step = 0;
}

static void teardown_images(void)
{
	cim_commit_test_hook = NULL;
	teardown_dir();
}

START_TEST(commit_that_is_stopped_keeps_the_old_images)
{
	int kind = _i / CIM_COMMIT_DONE;
	enum cim_commit_step step = (enum cim_commit_step)(_i % CIM_COMMIT_DONE + 1);
	struct cim_writer *w = stage(kind);

	hook_step = step;
	hook_result = 1;
	ck_assert_int_eq(cim_writer_commit(w), -EINTR);
	hook_step = 0;
	ck_assert_int_eq(cim_writer_commit(w), -ESTALE);
	cim_writer_close(w);
	check_after_stop(kind, step >= CIM_COMMIT_RENAMED);
	check_sweep(kind, step >= CIM_COMMIT_RENAMED);
}
END_TEST

START_TEST(commit_of_a_process_that_is_killed_keeps_the_old_images)
{
	int kind = _i / CIM_COMMIT_DONE, status;
	enum cim_commit_step step = (enum cim_commit_step)(_i % CIM_COMMIT_DONE + 1);
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct cim_writer *w = stage(kind);

		hook_step = step;
		hook_result = SIGKILL;
		(void)cim_writer_commit(w);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	check_after_stop(kind, step >= CIM_COMMIT_RENAMED);
	check_sweep(kind, step >= CIM_COMMIT_RENAMED);
}
END_TEST

START_TEST(commit_that_fails_leaves_the_old_state)
{
	int kind = _i / CIM_COMMIT_DONE;
	enum cim_commit_step step = (enum cim_commit_step)(_i % CIM_COMMIT_DONE + 1);
	bool visible =
		step >= CIM_COMMIT_RENAMED; /* then it stays, and only its durability is in doubt */
	struct cim_writer *w = stage(kind);
	g_autoptr(GHashTable) before = checksums();

	hook_step = step;
	hook_result = -EIO;
	ck_assert_int_eq(cim_writer_commit(w), -EIO);
	ck_assert_uint_eq(count_files("", NULL),
			  g_hash_table_size(before) + (visible ? 6 + (kind < 2) : 0));
	check_unchanged(before, visible ? kinds[kind].image : NULL);
	hook_step = 0;
	ck_assert_int_eq(cim_writer_commit(w), -ESTALE);
	ck_assert_int_eq(try_make(w, "g", S_IFREG), -ESTALE);
	cim_writer_close(w);
	check_after_stop(kind, visible);
	check_sweep(kind, visible);
}
END_TEST

START_TEST(commit_without_space_may_be_tried_again)
{
	struct cim_writer *w = stage(1);
	g_autoptr(GHashTable) before = checksums();

	hook_step = CIM_COMMIT_ENCODED;
	hook_result = -ENOSPC;
	ck_assert_int_eq(cim_writer_commit(w), -ENOSPC);
	ck_assert_uint_eq(count_files("", NULL), g_hash_table_size(before));
	put_text(w, "g", "more");
	hook_step = 0;
	commit(w);
	check_image_text("new.cim", "f", "new");
	check_image_text("new.cim", "g", "more");
	check_unchanged(before, NULL);
}
END_TEST

START_TEST(commit_over_a_file_that_came_meanwhile_may_be_tried_again)
{
	struct cim_writer *w = stage(1);

	put_file("new.cim", "mine", 4);
	ck_assert_int_eq(cim_writer_commit(w), -EEXIST);
	ck_assert_int_eq(cim_writer_commit(w), -EEXIST);
	ck_assert_uint_eq(count_files("region_", NULL), 6);
	put_text(w, "g", "more");
	ck_assert_int_eq(unlinkat(test_store->dirfd, "new.cim", 0), 0);
	commit(w);
	check_image_text("new.cim", "f", "new");
	check_image_text("new.cim", "g", "more");
}
END_TEST

START_TEST(sweep_leaves_what_is_not_a_writer_s)
{
	g_autoptr(GHashTable) before = checksums();

	put_file(".cimfs-scratch-0000", "x", 1);
	put_file(".cimfs", "x", 1);
	put_file("region_not-a-guid_0", "x", 1);
	put_file(".other", "x", 1);
	cim_writer_close(open_writer(NULL, "new.cim"));
	ck_assert_uint_eq(count_files(".cimfs", NULL), 0);
	ck_assert(has_file("region_not-a-guid_0"));
	ck_assert(has_file(".other"));
	check_unchanged(before, NULL);
}
END_TEST

START_TEST(sweep_does_not_believe_a_mark_of_a_set_that_is_used)
{
	struct cim_set *sets;
	char guid[CIM_GUID_TEXT], mark[CIM_FILE_NAME];
	uint32_t n;

	ck_assert_int_eq(cim_image_list_sets(test_store, "a.cim", &sets, &n), 0);
	cim_guid_format(&sets[0].guid, guid);
	g_free(sets);
	snprintf(mark, sizeof(mark), ".cimfs-%s", guid);
	put_file(mark, "x", 1);
	cim_writer_close(open_writer(NULL, "new.cim"));
	ck_assert(!has_file(mark));
	check_image_text("a.cim", "f", "a");
}
END_TEST

START_TEST(close_without_commit_leaves_no_trace)
{
	g_autoptr(GHashTable) before = checksums();
	g_autofree uint8_t *data = pattern(3 * MIB, 17);

	for (int kind = 0; kind < (int)N_ROWS(kinds); kind++) {
		struct cim_writer *w = stage(kind);
		uint32_t id = put(w, "large", data, 3 * MIB);

		ck_assert_int_eq(cim_writer_open_file(w, id, CIM_OPEN_WRITE), 0);
		ck_assert_int_eq(cim_writer_write(w, id, 0, "x", 1), 1);
		cim_writer_close(w);
		ck_assert_uint_eq(count_files("", NULL), g_hash_table_size(before));
		check_unchanged(before, NULL);
	}
}
END_TEST

START_TEST(replaced_image_is_read_to_the_end_by_who_has_it_open)
{
	struct cim_image *old = open_image("a.cim");

	make_image("a.cim", NULL, "newer");
	check_image_text("a.cim", "f", "newer");
	check_text(old, "f", "a");
	cim_image_unref(old);
}
END_TEST

START_TEST(fork_without_changes_is_its_base)
{
	struct cim_writer *w = open_writer("a.cim", "c.cim");
	uint64_t before = region_bytes();

	commit(w);
	ck_assert_uint_lt(region_bytes() - before, 8192);
	check_image_text("c.cim", "f", "a");
	struct cim_image *a = open_image("a.cim"), *c = open_image("c.cim");
	ck_assert_uint_eq(c->fs.root_id, a->fs.root_id);
	ck_assert_uint_eq(image_entry(c, "f").data.off, image_entry(a, "f").data.off);
	cim_image_unref(a);
	cim_image_unref(c);
}
END_TEST

START_TEST(committed_writer_accepts_only_close)
{
	struct cim_writer *w = stage(0);
	uint32_t root = cim_writer_root(w), id;
	struct cim_make make = { .mode = S_IFREG };

	ck_assert_int_eq(cim_writer_commit(w), 0);
	ck_assert_int_eq(cim_writer_commit(w), -ESTALE);
	ck_assert_int_eq(cim_writer_make(w, root, "x", 1, &make, &id), -ESTALE);
	ck_assert_int_eq(cim_writer_lookup(w, root, "f", 1, &id), -ESTALE);
	ck_assert_int_eq(cim_writer_attr(w, root, &(struct cim_attr){ 0 }), -ESTALE);
	cim_writer_close(w);
}
END_TEST

START_TEST(fork_of_a_fork_of_a_fork_has_all)
{
	char name[16] = "0.cim", next[16], path[16];
	struct cim_writer *w;

	make_image(NULL, "0.cim", "0");
	for (int i = 1; i <= 10; i++) {
		snprintf(next, sizeof(next), "%d.cim", i);
		snprintf(path, sizeof(path), "f%d", i);
		w = open_writer(name, next);
		put_text(w, path, next);
		commit(w);
		memcpy(name, next, sizeof(name));
	}
	struct cim_image *img = open_image("10.cim");
	ck_assert_uint_eq(img->n_sets, 11);
	check_text(img, "f", "0");
	for (int i = 1; i <= 10; i++) {
		snprintf(next, sizeof(next), "%d.cim", i);
		snprintf(path, sizeof(path), "f%d", i);
		check_text(img, path, next);
	}
	cim_image_unref(img);
}
END_TEST

START_TEST(committed_files_never_change)
{
	for (int round = 0; round < 6; round++) {
		g_autoptr(GHashTable) before = checksums();
		g_autofree char *name = g_strdup_printf("r%d.cim", round);
		struct cim_writer *w;

		switch (round) {
		case 0:
			make_image("b.cim", name, "r");
			break;
		case 1:
			make_image(NULL, name, "r");
			break;
		case 2:
			w = open_writer("b.cim", name);
			write_at(w, find(w, "f"), 0, "xxxxxxxx", 8);
			cim_writer_close(w);
			break;
		case 3:
			w = open_writer("r0.cim", name);
			ck_assert_int_eq(try_truncate(w, find(w, "f"), 100000), 0);
			commit(w);
			break;
		case 4:
			w = stage(1);
			hook_step = CIM_COMMIT_LINKED;
			hook_result = -EIO;
			ck_assert_int_eq(cim_writer_commit(w), -EIO);
			hook_step = 0;
			cim_writer_close(w);
			break;
		default:
			make_image("a.cim", "a.cim", "changed");
		}
		check_unchanged(before, round == 5 ? "a.cim" : NULL);
	}
}
END_TEST

START_TEST(committed_files_are_read_only)
{
	GDir *dir = g_dir_open(test_path, 0, NULL);
	const char *name;
	struct stat st;

	ck_assert_ptr_nonnull(dir);
	while ((name = g_dir_read_name(dir))) {
		ck_assert_int_eq(fstatat(test_store->dirfd, name, &st, 0), 0);
		ck_assert_uint_eq(st.st_mode & 0222, 0);
	}
	g_dir_close(dir);
}
END_TEST

#define N_LARGE 20000

START_TEST(fork_costs_what_it_changes)
{
	struct cim_writer *w = open_writer(NULL, "large.cim");
	char path[32];
	uint64_t before;

	for (int i = 0; i < N_LARGE; i++) {
		if (i % 1000 == 0) {
			snprintf(path, sizeof(path), "d%d", i / 1000);
			make_dir(w, path);
		}
		snprintf(path, sizeof(path), "d%d/file-%d", i / 1000, i);
		put(w, path, &i, sizeof(i));
	}
	commit(w);
	before = region_bytes();
	w = open_writer("large.cim", "fork.cim");
	for (int i = 0; i < N_LARGE; i += N_LARGE / 10) {
		snprintf(path, sizeof(path), "d%d/file-%d", i / 1000, i);
		write_at(w, find(w, path), 0, "changed", 7);
	}
	commit(w);
	ck_assert_uint_lt(region_bytes() - before, 2 * MIB);
	struct cim_image *img = open_image("fork.cim");
	for (int i = 0; i < N_LARGE; i++) {
		snprintf(path, sizeof(path), "d%d/file-%d", i / 1000, i);
		if (i % (N_LARGE / 10) == 0)
			check_text(img, path, "changed");
		else
			check_content(img, path, &i, sizeof(i));
	}
	cim_image_unref(img);
}
END_TEST

static void add_tree_tests(TCase *tc)
{
	tcase_add_loop_test(tc, file_of_any_type_is_made, 0, N_ROWS(types));
	tcase_add_test(tc, make_refuses_what_may_not_be);
	tcase_add_test(tc, umask_is_taken_from_new_files);
	tcase_add_test(tc, set_group_id_directory_hands_its_group_on);
	tcase_add_test(tc, making_a_file_touches_its_directory);
	tcase_add_test(tc, access_acl_and_mode_follow_each_other);
	tcase_add_test(tc, default_acl_is_inherited_and_not_the_umask);
	tcase_add_test(tc, acl_is_checked_and_taken_away);
	tcase_add_test(tc, link_gives_a_file_another_name);
	tcase_add_test(tc, removing_answers_as_posix_says);
	tcase_add_test(tc, removed_directory_takes_no_files);
	tcase_add_test(tc, unlinked_file_lives_while_it_is_open);
	tcase_add_test(tc, unlinked_file_of_the_base_lives_while_it_is_open_to_read);
	tcase_add_test(tc, unlinked_file_of_the_base_keeps_what_was_written_while_it_is_open);
	tcase_add_test(tc, reader_that_leaves_does_not_end_a_writer);
	tcase_add_loop_test(tc, rename_of_new_files_follows_posix, 0, N_ROWS(renames));
	tcase_add_loop_test(tc, rename_of_files_of_the_base_follows_posix, 0, N_ROWS(renames));
	tcase_add_test(tc, list_shows_every_name_once);
	tcase_add_test(tc, directory_size_is_that_of_its_table);
	tcase_add_test(tc, attributes_are_kept_to_the_tick);
	tcase_add_test(tc, attributes_that_cannot_be_are_refused);
	tcase_add_test(tc, change_of_an_attribute_copies_no_data);
}

static void add_xattr_tests(TCase *tc)
{
	tcase_add_test(tc, xattr_flags_are_those_of_setxattr);
	tcase_add_loop_test(tc, xattr_has_a_namespace_that_is_stored, 0, N_ROWS(namespaces));
	tcase_add_test(tc, xattrs_of_two_cases_are_two);
	tcase_add_test(tc, xattr_of_64_kib_is_kept);
	tcase_add_test(tc, xattrs_of_more_than_64_kib_together_are_kept);
	tcase_add_test(tc, xattr_name_may_have_255_bytes);
	tcase_add_test(tc, xattr_of_other_namespaces_spills_too);
	tcase_add_test(tc, xattrs_of_links_and_special_files_are_kept);
	tcase_add_test(tc, insensitive_lookup_finds_any_case);
	tcase_add_test(tc, insensitive_rename_may_change_only_the_case);
	tcase_add_test(tc, insensitive_rename_to_itself_with_flags_is_refused_or_nothing);
	tcase_add_test(tc, insensitive_name_that_went_may_come_back_in_another_case);
	tcase_add_test(tc, fork_keeps_its_base_s_case);
}

static void add_data_tests(TCase *tc)
{
	tcase_add_loop_test(tc, data_of_any_size_is_kept, 0, N_ROWS(sizes));
	tcase_add_loop_test(tc, truncation_of_a_base_file_keeps_its_beginning, 0, N_ROWS(sizes));
	tcase_add_test(tc, what_was_cut_off_does_not_come_back);
	tcase_add_loop_test(tc, data_is_as_in_memory_after_random_changes, 0, 6);
	tcase_add_test(tc, holes_are_kept_through_commit);
	tcase_add_test(tc, punched_hole_is_a_hole_in_the_image);
	tcase_add_loop_test(tc, file_appended_to_many_times_is_stored_once, 0, N_ROWS(appends));
	tcase_add_loop_test(tc, equal_content_is_stored_once, 0, 2);
	tcase_add_loop_test(tc, content_of_the_base_is_not_stored_again, 0, 2);
	tcase_add_test(tc, content_that_was_deleted_takes_no_space);
	tcase_add_test(tc, changed_file_of_the_base_that_was_deleted_takes_no_space);
	tcase_add_loop_test(tc, put_takes_a_whole_file, 0, N_ROWS(sizes));
	tcase_add_test(tc, put_keeps_holes);
	tcase_add_test(tc, read_and_write_of_other_types_are_refused);
	tcase_add_test(tc, failed_spill_leaves_nothing_behind);
	tcase_add_test(tc, several_threads_write_at_once);
}

static void add_commit_tests(TCase *tc)
{
	tcase_add_loop_test(tc, commit_that_is_stopped_keeps_the_old_images, 0, N_STOPS);
	tcase_add_loop_test(tc, commit_of_a_process_that_is_killed_keeps_the_old_images, 0,
			    N_STOPS);
	tcase_add_loop_test(tc, commit_that_fails_leaves_the_old_state, 0, N_STOPS);
	tcase_add_test(tc, commit_without_space_may_be_tried_again);
	tcase_add_test(tc, commit_over_a_file_that_came_meanwhile_may_be_tried_again);
	tcase_add_test(tc, sweep_leaves_what_is_not_a_writer_s);
	tcase_add_test(tc, sweep_does_not_believe_a_mark_of_a_set_that_is_used);
	tcase_add_test(tc, close_without_commit_leaves_no_trace);
	tcase_add_test(tc, replaced_image_is_read_to_the_end_by_who_has_it_open);
	tcase_add_test(tc, fork_without_changes_is_its_base);
	tcase_add_test(tc, committed_writer_accepts_only_close);
	tcase_add_test(tc, fork_of_a_fork_of_a_fork_has_all);
	tcase_add_test(tc, committed_files_never_change);
	tcase_add_test(tc, committed_files_are_read_only);
	tcase_add_test(tc, fork_costs_what_it_changes);
}

static Suite *suite(void)
{
	Suite *s = suite_create("writer");
	TCase *open = tcase_create("open");
	TCase *tree = tcase_create("tree");
	TCase *data = tcase_create("data");
	TCase *commits = tcase_create("commit");

	tcase_add_checked_fixture(open, setup_dir, teardown_dir);
	tcase_add_loop_test(open, open_answers_as_the_interface_says, 0, N_ROWS(opens));
	tcase_add_test(open, open_by_path_checks_the_names_first);
	tcase_add_test(open, open_asks_for_the_lock_before_the_names_are_looked_up);
	tcase_add_test(open, open_needs_the_right_to_add_files);
	tcase_add_test(open, failed_open_does_not_keep_the_lock);
	tcase_add_test(open, info_tells_what_the_writer_is_for);
	tcase_add_test(open, one_of_two_processes_becomes_the_writer);
	tcase_add_checked_fixture(tree, setup_dir, teardown_dir);
	add_tree_tests(tree);
	add_xattr_tests(tree);
	tcase_add_checked_fixture(data, setup_dir, teardown_dir);
	add_data_tests(data);
	tcase_add_checked_fixture(commits, setup_images, teardown_images);
	add_commit_tests(commits);
	suite_add_tcase(s, open);
	suite_add_tcase(s, tree);
	suite_add_tcase(s, data);
	suite_add_tcase(s, commits);
	return s;
}

int main(void)
{
	return test_run(suite());
}
