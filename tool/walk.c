/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The walk of an import: a tree of files into a writer.
 *
 * One thread walks the tree and makes the files; others bring their data (workers.c).  The walk is
 * relative to open directories and never follows a symlink, keeps a bounded number of them open,
 * and takes names in the order of their bytes, so that equal trees give equal file IDs.
 *
 * A directory gets its metadata when the walk leaves it: until then it has no set-group-ID bit and
 * no default ACL, which what is made in it would inherit, and its times do not change any more.
 *
 * What cannot be read is reported, up to a limit, and then nothing is committed.
 */
#include "config.h"

#include "walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "acl.h"
#include "error.h"
#include "ntfs-xattr.h"
#include "tool.h"
#include "util.h"
#include "workers.h"

#define OPEN_MAX_DIRS 32    /* directories kept open on the way down */
#define MESSAGE_PATH  1000  /* bytes of a path in a message: its end */
#define XATTR_MAX     65536 /* bytes of a value, and of a list of names: the kernel's limits */

#define SET_TIMES (CIM_SET_ACCESSED | CIM_SET_WRITTEN | CIM_SET_CHANGED | CIM_SET_CREATED)
#define SET_ALL   (SET_TIMES | CIM_SET_MODE | CIM_SET_UID | CIM_SET_GID)

/* A name of a directory of the tree. */
struct entry {
	uint8_t type; /* DT_… */
	char name[];
};

/* A directory that the walk is in. */
struct level {
	int fd; /* -1: closed for the while */
	uint32_t id;
	bool may_exist;   /* it was in the image before, and so may be what is in it */
	size_t path_size; /* of the path of the directory above */
	struct statx st;
	GPtrArray *entries;
	guint next;
	GHashTable *used; /* IDs given to names; NULL where names cannot collide */
};

/* A file with several names. */
struct link {
	uint64_t dev, ino;
};

struct walk {
	struct import *im;
	struct workers *workers;
	GPtrArray *levels; /* struct level: the directories that it is in */
	guint first_open;  /* levels before it have been closed */
	GString *path;
	GHashTable *links; /* struct link -> ID */
	char *xattr_names, *xattr_value;
};

/* ---- errors ---- */

/* The current path, of a very long one its end. */
static char *message_path(const struct walk *w)
{
	size_t n = w->path->len;

	if (n <= MESSAGE_PATH)
		return g_strdup(w->path->str);
	return g_strconcat("…", w->path->str + n - MESSAGE_PATH, NULL);
}

static void report_here(struct walk *w, int err)
{
	g_autofree char *path = message_path(w);

	import_report(w->im, path, err);
}

static void file_done(void *arg, const struct worker_file *file, int err)
{
	struct walk *w = arg;

	if (err < 0)
		import_report(w->im, file->path, err);
	else
		progress_done(&w->im->progress, file->size);
}

static bool walker_waits(void *arg)
{
	struct walk *w = arg;

	progress_tick(&w->im->progress);
	return import_is_over(w->im);
}

/* ---- metadata ---- */

static uint64_t ticks(const struct statx_timestamp *t)
{
	return cim_ticks_from_timespec((struct timespec){ t->tv_sec, t->tv_nsec });
}

static int set_metadata(struct walk *w, uint32_t id, unsigned int mask, const struct statx *st)
{
	bool has_btime = st->stx_mask & STATX_BTIME;
	/* All but the time of modification tells when this copy of the tree was made and read. */
	bool all = !w->im->consistent;
	const struct cim_attr attr = {
		.posix = { .mode = st->stx_mode, .uid = st->stx_uid, .gid = st->stx_gid },
		.accessed = ticks(all ? &st->stx_atime : &st->stx_mtime),
		.written = ticks(&st->stx_mtime),
		.changed = ticks(all ? &st->stx_ctime : &st->stx_mtime),
		.created = ticks(all && has_btime ? &st->stx_btime : &st->stx_mtime),
	};

	return cim_writer_set(w->im->writer, id, mask, &attr);
}

/* What the file system does not have, or does not let us see, is no error. */
static bool is_hidden(int err)
{
	return err == EOPNOTSUPP || err == EPERM || err == EACCES || err == ENODATA ||
	       err == ENOSYS;
}

/* @fd: the open file, or -1 to go by @path */
static int copy_xattr(struct walk *w, uint32_t id, int fd, const char *path, const char *name)
{
	ssize_t n = fd >= 0 ? fgetxattr(fd, name, w->xattr_value, XATTR_MAX)
			    : lgetxattr(path, name, w->xattr_value, XATTR_MAX);

	if (n < 0)
		return is_hidden(errno) ? 0
					: cim_fail(errno, "cannot read its attribute %s: %s", name,
						   g_strerror(errno));
	return cim_writer_set_xattr(w->im->writer, id, name, w->xattr_value, (size_t)n, 0);
}

static int compare_strings(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/*
 * What an NTFS mount lists of Windows' metadata is not stored but set (metadata.md §10.1): the EA
 * list first, as it would take the place of what comes before, the rest last, as its times are
 * exact.
 */
enum turn { TURN_EA_LIST, TURN_XATTRS, TURN_WINDOWS };

static enum turn turn_of(const char *name)
{
	static const struct cim_view plain;

	if (!cim_ntfs_xattr_is(&plain, name))
		return TURN_XATTRS;
	return strcmp(name, CIM_XATTR_NTFS_EA) == 0 ? TURN_EA_LIST : TURN_WINDOWS;
}

/* The names that mean something, of the @n bytes that were listed, in their order: of those that no
 * EA list can hold the last ones become streams. */
static GPtrArray *sort_names(struct walk *w, size_t n)
{
	GPtrArray *names = g_ptr_array_new();

	for (char *p = w->xattr_names; p < w->xattr_names + n; p += strlen(p) + 1)
		/* system.ntfs_attrib says more, and nothing of permissions. */
		if ((import_is_stored_xattr(p) || turn_of(p) != TURN_XATTRS) &&
		    strcmp(p, CIM_XATTR_DOS_ATTRIB) != 0)
			g_ptr_array_add(names, p);
	g_ptr_array_sort(names, compare_strings);
	return names;
}

/* How many there were, or an error. */
static int copy_xattrs(struct walk *w, uint32_t id, int fd, const char *path, GPtrArray *names,
		       enum turn turn)
{
	int n = 0;

	for (guint i = 0; i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);

		if (turn_of(name) != turn)
			continue;
		int r = copy_xattr(w, id, fd, path, name);
		if (r < 0)
			return r;
		n++;
	}
	return n;
}

/* All extended attributes, and what @mask says of what stat(2) does. */
static int copy_metadata(struct walk *w, uint32_t id, int fd, const char *path, unsigned int mask,
			 const struct statx *st)
{
	ssize_t n = fd >= 0 ? flistxattr(fd, w->xattr_names, XATTR_MAX)
			    : llistxattr(path, w->xattr_names, XATTR_MAX);

	if (n < 0 && !is_hidden(errno))
		return cim_fail(errno, "cannot list its extended attributes: %s",
				g_strerror(errno));
	if (n <= 0)
		return set_metadata(w, id, mask, st);
	g_autoptr(GPtrArray) names = sort_names(w, (size_t)n);
	int r = copy_xattrs(w, id, fd, path, names, TURN_EA_LIST);
	if (r > 0) /* which may have said who owns the file, or that nobody does */
		mask |= CIM_SET_MODE | CIM_SET_UID | CIM_SET_GID;
	if (r >= 0)
		r = copy_xattrs(w, id, fd, path, names, TURN_XATTRS);
	if (r >= 0)
		r = set_metadata(w, id, mask, st);
	if (r >= 0)
		r = copy_xattrs(w, id, fd, path, names, TURN_WINDOWS);
	if (r > 0 && w->im->consistent)
		r = set_metadata(w, id, SET_TIMES, st);
	return MIN(r, 0);
}

/* ---- names that the image has already ---- */

/*
 * Make room for a name: whatever has it goes, but a directory stays for a directory.
 * Returns 1 and the ID of the directory that stays, 0, or an error.
 */
static int make_room(struct walk *w, struct level *level, const char *name, bool for_dir,
		     uint32_t *ret_id)
{
	struct cim_attr attr;
	uint32_t id;

	if (!level->may_exist)
		return 0;
	int r = cim_writer_lookup(w->im->writer, level->id, name, strlen(name), &id);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = cim_writer_attr(w->im->writer, id, &attr);
	if (r < 0)
		return r;
	if (level->used && g_hash_table_contains(level->used, GUINT_TO_POINTER(id)))
		return cim_fail(EEXIST,
				"another name in the tree differs from it in case only, and "
				"the image does not tell them apart");
	if (!for_dir || !S_ISDIR(attr.posix.mode))
		return cim_writer_remove(w->im->writer, level->id, name, strlen(name));
	*ret_id = id;
	return 1;
}

static void use(struct level *level, uint32_t id)
{
	if (level->used)
		g_hash_table_add(level->used, GUINT_TO_POINTER(id));
}

static int make(struct walk *w, struct level *level, const char *name, const struct cim_make *m,
		uint32_t *ret_id)
{
	int r = cim_writer_make(w->im->writer, level->id, name, strlen(name), m, ret_id);

	if (r == -EEXIST && w->im->folds_case)
		return cim_fail(EEXIST,
				"another name in the tree differs from it in case only, and "
				"the image does not tell them apart");
	if (r == 0)
		use(level, *ret_id);
	return r;
}

/* ---- files ---- */

/*
 * Open without touching the access time, where we may.  Descriptors also wait with the workers;
 * when there are no more, waiting for those helps.
 */
static int open_source(struct walk *w, int dirfd, const char *name, int flags)
{
	bool drained = false;

	flags |= O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOATIME;
	for (;;) {
		int fd = openat(dirfd, name, flags);

		if (fd >= 0)
			return fd;
		if (errno == EPERM && (flags & O_NOATIME)) {
			flags &= ~O_NOATIME;
		} else if ((errno == EMFILE || errno == ENFILE) && !drained) {
			workers_drain(w->workers);
			drained = true;
		} else {
			return -errno;
		}
	}
}

static int stat_source(int dirfd, const char *name, int flags, uint8_t type, struct statx *ret)
{
	if (statx(dirfd, name, flags | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, ret) <
	    0)
		return -errno;
	if (type != DT_UNKNOWN && type != IFTODT(ret->stx_mode))
		return cim_fail(ESTALE, "it became another type of file while the tree was read");
	return 0;
}

static guint link_hash(gconstpointer p)
{
	const struct link *l = p;

	return (guint)(l->ino ^ l->ino >> 32 ^ l->dev * 31);
}

static gboolean link_equal(gconstpointer a, gconstpointer b)
{
	const struct link *x = a, *y = b;

	return x->ino == y->ino && x->dev == y->dev;
}

/* Make a file, or give one that the image has by another name of the tree this one too. */
static int make_file(struct walk *w, struct level *level, const char *name, const struct statx *st,
		     const char *target, uint32_t *ret_id, bool *ret_linked)
{
	const struct link key = { makedev(st->stx_dev_major, st->stx_dev_minor), st->stx_ino };
	const struct cim_make m = {
		.mode = st->stx_mode,
		.uid = st->stx_uid,
		.gid = st->stx_gid,
		.major = st->stx_rdev_major,
		.minor = st->stx_rdev_minor,
		.target = target,
	};
	uint32_t room_id;
	int r = make_room(w, level, name, false, &room_id);

	if (r < 0)
		return r;
	uint32_t first =
		st->stx_nlink > 1 ? GPOINTER_TO_UINT(g_hash_table_lookup(w->links, &key)) : 0;
	*ret_linked = first != 0;
	*ret_id = first;
	if (!first) {
		r = make(w, level, name, &m, ret_id);
		if (r == 0 && st->stx_nlink > 1)
			g_hash_table_insert(w->links, g_memdup2(&key, sizeof(key)),
					    GUINT_TO_POINTER(*ret_id));
		return r;
	}
	use(level, first);
	r = cim_writer_link(w->im->writer, first, level->id, name, strlen(name));
	/* A new name is a change; it was one when the source got it. */
	return r < 0 ? r : set_metadata(w, first, CIM_SET_CHANGED, st);
}

static int import_regular(struct walk *w, struct level *level, const struct entry *entry)
{
	cim_autofd fd = open_source(w, level->fd, entry->name, 0);
	struct statx st;
	uint32_t id;
	bool linked;

	if (fd < 0)
		return fd;
	int r = stat_source(fd, "", AT_EMPTY_PATH, entry->type, &st);
	if (r == 0)
		r = make_file(w, level, entry->name, &st, NULL, &id, &linked);
	if (r < 0)
		return r;
	uint64_t size = linked ? 0 : st.stx_size;
	progress_found(&w->im->progress, size);
	if (!linked)
		r = copy_metadata(w, id, fd, NULL, SET_TIMES, &st);
	if (r < 0)
		return r;
	if (size == 0) {
		progress_done(&w->im->progress, 0);
		return 0;
	}
	workers_add(w->workers, &(struct worker_file){
					.fd = cim_steal_fd(&fd),
					.id = id,
					.size = size,
					.holes = st.stx_blocks * 512 < size,
					.path = message_path(w),
				});
	return 0;
}

/* A symlink, device, FIFO or socket: none is opened, which might have effects. */
static int import_special(struct walk *w, struct level *level, const struct entry *entry)
{
	char target[CIM_SYMLINK_MAX + 1], path[NAME_MAX + 64];
	struct statx st;
	uint32_t id;
	bool linked;
	int r = stat_source(level->fd, entry->name, 0, entry->type, &st);

	if (r < 0)
		return r;
	if (S_ISLNK(st.stx_mode)) {
		ssize_t n = readlinkat(level->fd, entry->name, target, sizeof(target));

		if (n < 0)
			return -errno;
		if (n == sizeof(target))
			return -ENAMETOOLONG;
		target[n] = '\0';
	}
	r = make_file(w, level, entry->name, &st, S_ISLNK(st.stx_mode) ? target : NULL, &id,
		      &linked);
	if (r < 0)
		return r;
	progress_found(&w->im->progress, 0);
	if (!linked) {
		/* There is no llistxattrat(2). */
		snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", level->fd, entry->name);
		r = copy_metadata(w, id, -1, path, SET_TIMES, &st);
	}
	if (r == 0)
		progress_done(&w->im->progress, 0);
	return r;
}

/* ---- directories ---- */

static int compare_entries(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int read_entries(struct level *level)
{
	cim_autofd fd = fcntl(level->fd, F_DUPFD_CLOEXEC, 0);
	const struct dirent *d;

	if (fd < 0)
		return -errno;
	DIR *dir = fdopendir(fd);
	if (!dir)
		return -errno;
	(void)cim_steal_fd(&fd);
	while (errno = 0, (d = readdir(dir))) {
		size_t n = strlen(d->d_name) + 1;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		struct entry *e = g_malloc(sizeof(*e) + n);
		e->type = d->d_type;
		memcpy(e->name, d->d_name, n);
		g_ptr_array_add(level->entries, e);
	}
	int r = errno ? -errno : 0;
	closedir(dir);
	g_ptr_array_sort(level->entries, compare_entries);
	return r;
}

static void level_free(void *p)
{
	struct level *level = p;

	if (level->fd >= 0)
		close(level->fd);
	g_ptr_array_unref(level->entries);
	g_clear_pointer(&level->used, g_hash_table_destroy);
	g_free(level);
}

static struct level *level_at(const struct walk *w, guint i)
{
	return g_ptr_array_index(w->levels, i);
}

/* Go down into a directory of the image.  An error is only that its names cannot be read. */
static int push_level(struct walk *w, int fd, const struct statx *st, uint32_t id, bool may_exist,
		      size_t path_size)
{
	struct level *level = g_new0(struct level, 1);

	level->fd = fd;
	level->id = id;
	level->st = *st;
	level->may_exist = may_exist;
	level->path_size = path_size;
	level->entries = g_ptr_array_new_with_free_func(g_free);
	if (may_exist && w->im->folds_case)
		level->used = g_hash_table_new(NULL, NULL);
	g_ptr_array_add(w->levels, level);
	if (w->levels->len - w->first_open > OPEN_MAX_DIRS) {
		struct level *top = level_at(w, w->first_open++);

		close(top->fd);
		top->fd = -1;
	}
	return read_entries(level);
}

/* Open a directory again from the one below it; it must be where it was. */
static int reopen(struct walk *w, struct level *level, int below_fd)
{
	struct statx st;
	cim_autofd fd = open_source(w, below_fd, "..", O_DIRECTORY);

	if (fd < 0)
		return fd;
	int r = stat_source(fd, "", AT_EMPTY_PATH, DT_DIR, &st);
	if (r < 0)
		return r;
	if (st.stx_ino != level->st.stx_ino || st.stx_dev_major != level->st.stx_dev_major ||
	    st.stx_dev_minor != level->st.stx_dev_minor)
		return cim_fail(ESTALE, "a directory was moved away while the tree was read");
	level->fd = cim_steal_fd(&fd);
	w->first_open = w->levels->len - 2;
	return 0;
}

/* A directory is done: give it its metadata, and go up. */
static void pop_level(struct walk *w)
{
	struct level *level = level_at(w, w->levels->len - 1);

	cim_reason_clear();
	int r = copy_metadata(w, level->id, level->fd, NULL, SET_ALL, &level->st);
	if (r < 0)
		report_here(w, r);
	else
		progress_done(&w->im->progress, 0);
	if (w->levels->len > 1) {
		struct level *above = level_at(w, w->levels->len - 2);

		r = above->fd < 0 ? reopen(w, above, level->fd) : 0;
		if (r < 0) {
			report_here(w, r);
			w->im->hopeless = true;
		}
	}
	g_string_truncate(w->path, level->path_size);
	g_ptr_array_set_size(w->levels, (gint)w->levels->len - 1);
}

/* Take away what would change what is made in a directory that was there before. */
static int neutralise(struct walk *w, uint32_t id)
{
	const struct cim_attr attr = { .posix.mode = S_IFDIR | 0700 };
	int r = import_drop_xattrs(w->im, id);

	return r < 0 ? r : cim_writer_set(w->im->writer, id, CIM_SET_MODE, &attr);
}

/* @path_size: of the path of the directory above */
static int import_directory(struct walk *w, struct level *level, const struct entry *entry,
			    size_t path_size)
{
	const struct cim_make m = { .mode = S_IFDIR | 0700 };
	cim_autofd fd = open_source(w, level->fd, entry->name, O_DIRECTORY);
	struct statx st;
	uint32_t id;

	if (fd < 0)
		return fd;
	int r = stat_source(fd, "", AT_EMPTY_PATH, entry->type, &st);
	if (r < 0)
		return r;
	if (makedev(st.stx_dev_major, st.stx_dev_minor) == w->im->dir_dev &&
	    st.stx_ino == w->im->dir_ino) {
		progress_error(&w->im->progress, w->path->str,
			       "skipped: it is the directory of the images", 0);
		g_string_truncate(w->path, path_size);
		return 0;
	}
	r = make_room(w, level, entry->name, true, &id);
	bool merges = r == 1;
	if (merges)
		r = neutralise(w, id);
	else if (r == 0)
		r = make(w, level, entry->name, &m, &id);
	if (r < 0)
		return r;
	use(level, id);
	progress_found(&w->im->progress, 0);
	return push_level(w, cim_steal_fd(&fd), &st, id, merges, path_size);
}

/* ---- the walk ---- */

static void import_entry(struct walk *w, struct level *level, struct entry *entry)
{
	size_t path_size = w->path->len;
	guint depth = w->levels->len;
	struct statx st;
	int r = 0;

	cim_reason_clear();
	g_string_append_c(w->path, '/');
	g_string_append(w->path, entry->name);
	if (entry->type == DT_UNKNOWN) {
		r = stat_source(level->fd, entry->name, 0, DT_UNKNOWN, &st);
		if (r == 0)
			entry->type = IFTODT(st.stx_mode);
	}
	if (r == 0 && entry->type == DT_DIR)
		r = import_directory(w, level, entry, path_size);
	else if (r == 0 && entry->type == DT_REG)
		r = import_regular(w, level, entry);
	else if (r == 0)
		r = import_special(w, level, entry);
	if (r < 0)
		report_here(w, r);
	if (w->levels->len == depth)
		g_string_truncate(w->path, path_size);
}

static void walk(struct walk *w)
{
	while (w->levels->len > 0 && !import_is_over(w->im)) {
		struct level *level = level_at(w, w->levels->len - 1);

		progress_tick(&w->im->progress);
		if (level->next < level->entries->len)
			import_entry(w, level, g_ptr_array_index(level->entries, level->next++));
		else
			pop_level(w);
	}
}

/* @fd: the tree's root; taken */
static void import_tree(struct walk *w, int fd)
{
	cim_autofd owned = fd;
	struct statx st;
	uint32_t root = cim_writer_root(w->im->writer);
	int r = stat_source(fd, "", AT_EMPTY_PATH, DT_DIR, &st);

	if (r == 0 && w->im->on_base)
		r = neutralise(w, root);
	progress_found(&w->im->progress, 0);
	if (r == 0)
		r = push_level(w, cim_steal_fd(&owned), &st, root, w->im->on_base, w->path->len);
	if (r < 0)
		report_here(w, r);
	walk(w);
	w->im->progress.total_known = true;
	if (!import_is_over(w->im))
		workers_drain(w->workers);
}

void walk_tree(struct import *im, const char *tree, int fd)
{
	struct walk w = { .im = im };
	const struct workers_ops ops = { file_done, walker_waits, &w };

	w.levels = g_ptr_array_new_with_free_func(level_free);
	w.path = g_string_new(tree);
	w.links = g_hash_table_new_full(link_hash, link_equal, g_free, NULL);
	w.xattr_names = g_malloc(XATTR_MAX);
	w.xattr_value = g_malloc(XATTR_MAX);
	while (w.path->len > 1 && w.path->str[w.path->len - 1] == '/')
		g_string_truncate(w.path, w.path->len - 1);

	w.workers = workers_start(im->writer, &ops);
	if (w.workers) {
		import_tree(&w, fd);
		workers_end(w.workers, import_is_over(im));
	} else {
		close(fd);
		im->hopeless = true;
		cim_reason_set("no thread can be started: %s", g_strerror(EAGAIN));
		report_here(&w, -EAGAIN);
	}
	g_ptr_array_unref(w.levels);
	g_hash_table_destroy(w.links);
	g_string_free(w.path, TRUE);
	g_free(w.xattr_names);
	g_free(w.xattr_value);
}
