/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "garbage.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "image.h"
#include "lock.h"
#include "util.h"

#define MARK ".cimfs-"

/* ---- what images need ---- */

/* The region files of a set are there, by name; @seen: GUID -> how many were looked for. */
static int check_set(struct cim_store *store, GHashTable *seen, const char *image,
		     const struct cim_set *set)
{
	uint32_t done = GPOINTER_TO_UINT(g_hash_table_lookup(seen, &set->guid));
	char name[CIM_FILE_NAME];

	for (uint32_t i = done; i < set->n_regions; i++) {
		cim_region_name(&set->guid, i, name);
		if (faccessat(store->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			return cim_fail(errno == ENOENT ? CIM_ECORRUPT : errno,
					"image \"%s\" cannot be read: its region file \"%s\": %s",
					image, name, g_strerror(errno));
	}
	if (done < set->n_regions || done == 0)
		g_hash_table_insert(seen, g_memdup2(&set->guid, sizeof(set->guid)),
				    GUINT_TO_POINTER(MAX(done, set->n_regions)));
	return 0;
}

static int add_image(struct cim_store *store, const char *name, GHashTable *seen)
{
	g_autofree struct cim_set *sets = NULL;
	uint32_t n = 0;
	int r = cim_store_probe(store, name);

	if (r <= 0)
		return r;
	r = cim_image_examine(store, name, &sets, &n);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = check_set(store, seen, name, &sets[i]);
	return r;
}

int cim_references(struct cim_store *store, const char *except, GHashTable **ret)
{
	g_autoptr(GHashTable) seen =
		g_hash_table_new_full(cim_guid_hash, cim_guid_equal, g_free, NULL);
	g_auto(GStrv) names = NULL;
	int r = cim_store_files(store, &names);

	if (r < 0)
		return r;
	for (char **name = names; *name; name++) {
		if (except && strcmp(*name, except) == 0)
			continue;
		r = add_image(store, *name, seen);
		if (r < 0 && r != -ENOENT) /* gone since it was listed */
			return r;
	}
	*ret = g_steal_pointer(&seen);
	return 0;
}

/* ---- removing ---- */

/* What is not there, or is a directory, is none of our files. */
static int remove_file(struct cim_store *store, const char *name)
{
	if (unlinkat(store->dirfd, name, 0) < 0 && errno != ENOENT && errno != EISDIR)
		return cim_fail(errno, "cannot remove \"%s\": %s", name, g_strerror(errno));
	return 0;
}

int cim_garbage_remove_set(struct cim_store *store, const struct cim_set *set)
{
	char name[CIM_FILE_NAME];
	int result = 0;

	for (uint32_t i = 0; i < set->n_regions; i++) {
		cim_objectid_name(&set->guid, i, name);
		int r = remove_file(store, name);
		cim_region_name(&set->guid, i, name);
		if (r == 0)
			r = remove_file(store, name);
		if (r < 0)
			result = r;
	}
	return result;
}

/* ---- leftovers ---- */

void cim_garbage_mark(const struct cim_guid *guid, char ret[CIM_FILE_NAME])
{
	char text[CIM_GUID_TEXT];

	cim_guid_format(guid, text);
	snprintf(ret, CIM_FILE_NAME, MARK "%s", text);
}

static bool parse_mark(const char *name, struct cim_guid *ret)
{
	return g_str_has_prefix(name, MARK) && strlen(name) == strlen(MARK) + CIM_GUID_TEXT - 1 &&
	       cim_guid_parse(name + strlen(MARK), ret);
}

/* The sets that a mark stands for, but those that are needed. */
static int remove_marked(struct cim_store *store, const char *name, const struct cim_guid *guid,
			 GHashTable *needed)
{
	const struct cim_set own = { .guid = *guid, .n_regions = CIM_SET_REGIONS };
	g_autofree struct cim_set *sets = NULL;
	uint32_t n = 0;
	int r = 0;

	if (!g_hash_table_contains(needed, guid))
		r = cim_garbage_remove_set(store, &own);
	if (r < 0 || cim_image_list_sets(store, name, &sets, &n) < 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < n; i++)
		if (!g_hash_table_contains(needed, &sets[i].guid))
			r = cim_garbage_remove_set(store, &sets[i]);
	return r;
}

int cim_garbage_remove_mark(int dirfd, const char *mark)
{
	if (fsync(dirfd) < 0 || (unlinkat(dirfd, mark, 0) < 0 && errno != ENOENT))
		return -errno;
	return 0;
}

/* The names as they are now, durably: an image that a killed delete has just renamed must not come
 * back without the data that goes now. */
static int sync_names(struct cim_store *store)
{
	if (fsync(store->dirfd) < 0)
		return cim_fail(errno, "cannot make the image directory durable: %s",
				g_strerror(errno));
	return 0;
}

/* Region files go before their mark, so that the next sweep goes on where this one is stopped. */
static int sweep_one(struct cim_store *store, const char *name, GHashTable **needed)
{
	struct cim_guid guid;
	int r = 0;

	if (parse_mark(name, &guid)) {
		if (!*needed) {
			r = sync_names(store);
			if (r < 0)
				return r;
			r = cim_references(store, NULL, needed);
		}
		if (r == 0)
			r = remove_marked(store, name, &guid, *needed);
		if (r < 0) {
			g_debug("\"%s\" is left for later: %s", name, cim_reason());
			return 0;
		}
		r = cim_garbage_remove_mark(store->dirfd, name);
	} else if (unlinkat(store->dirfd, name, 0) < 0 && errno != ENOENT) {
		r = -errno;
	}
	/* A directory, or another user's in a sticky one: no writer's, and must not keep one out. */
	if (r == -EISDIR || r == -EPERM || r == -EACCES) {
		g_debug("\"%s\" is left: %s", name, g_strerror(-r));
		return 0;
	}
	return r < 0 ? cim_fail(-r, "cannot remove \"%s\", left by a writer that died: %s", name,
				g_strerror(-r))
		     : 0;
}

int cim_garbage_sweep(struct cim_store *store)
{
	g_autoptr(GHashTable) needed = NULL;
	g_auto(GStrv) names = NULL;
	struct cim_guid guid;
	uint32_t index;
	int r = cim_store_files(store, &names);

	for (char **name = names; r >= 0 && *name; name++)
		if (cim_store_name_kind(*name, &guid, &index) == CIM_NAME_LEFTOVER)
			r = sweep_one(store, *name, &needed);
	return MIN(r, 0);
}

/*
 * This reads the header of every image of the directory.  It cannot be avoided: any fork of what was
 * replaced lists its sets, made by whomever and whenever, and nothing but the images says which do.
 * It is done by one commit in as many as it takes to merge sets, when the new image is there
 * already.
 */
void cim_garbage_remove_replaced(struct cim_store *store, int dirfd, const char *mark,
				 const struct cim_set *sets, uint32_t n)
{
	g_autoptr(GHashTable) listed = NULL;
	int r = cim_references(store, NULL, &listed);

	for (uint32_t i = 0; r == 0 && i < n; i++)
		if (!g_hash_table_contains(listed, &sets[i].guid))
			r = cim_garbage_remove_set(store, &sets[i]);
	if (r == 0)
		(void)cim_garbage_remove_mark(dirfd, mark);
}

/* ---- all garbage ---- */

struct gc {
	struct cim_store *store;
	bool dry_run;
	cim_gc_fn fn;
	void *arg;
	GHashTable *needed;
};

static bool is_garbage(const struct gc *gc, const char *name, bool leftovers)
{
	struct cim_guid guid;
	uint32_t index;

	switch (cim_store_name_kind(name, &guid, &index)) {
	case CIM_NAME_REGION:
	case CIM_NAME_OBJECTID:
		return !leftovers && !g_hash_table_contains(gc->needed, &guid);
	case CIM_NAME_LEFTOVER:
		return leftovers;
	default:
		return false;
	}
}

static int collect_one(const struct gc *gc, const char *name)
{
	struct stat st;

	if (fstatat(gc->store->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : cim_fail(errno, "\"%s\": %s", name, g_strerror(errno));
	if (S_ISDIR(st.st_mode))
		return 0;
	int r = gc->dry_run ? 0 : remove_file(gc->store, name);
	if (r == 0 && gc->fn)
		r = gc->fn(gc->arg, name, (uint64_t)st.st_blocks * 512);
	return r;
}

static int collect(const struct gc *gc, char *const *names, bool leftovers)
{
	int r = 0;

	for (; r >= 0 && *names; names++)
		if (is_garbage(gc, *names, leftovers))
			r = collect_one(gc, *names);
	return r;
}

static int sync_removal(const struct gc *gc, int lock)
{
	if (!gc->dry_run && fsync(lock) < 0)
		return cim_fail(errno, "what was removed may come back after a crash: %s",
				g_strerror(errno));
	return 0;
}

/*
 *  1. Become the writer: none is publishing, so every region file that is needed has its image.
 *  2. fsync the directory, so that no image that a killed writer removed comes back, and learn
 *     what every image needs; one that cannot be read ends it here.
 *  3. Remove region and object ID files that no image lists.  The order does not matter: nobody
 *     refers to them.
 *  4. fsync the directory, and remove leftovers: a mark goes after what it stands for.
 *  5. fsync the directory: what was said to be gone stays so.
 */
int cim_store_gc(struct cim_store *store, bool dry_run, cim_gc_fn fn, void *arg)
{
	struct gc gc = { .store = store, .dry_run = dry_run, .fn = fn, .arg = arg };
	g_autoptr(GHashTable) needed = NULL;
	g_auto(GStrv) names = NULL;
	cim_autofd lock = -1;
	int r = 0;

	if (!dry_run && faccessat(store->dirfd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		r = cim_fail(EACCES, "you may not remove files of this image directory");
	if (r == 0)
		r = cim_lock(store->dirfd, &lock);
	if (r == 0)
		r = dry_run ? 0 : sync_names(store);
	if (r == 0)
		r = cim_references(store, NULL, &needed);
	if (r == 0)
		r = cim_store_files(store, &names);
	if (r < 0)
		return r;
	gc.needed = needed;
	r = collect(&gc, names, false);
	if (r == 0)
		r = sync_removal(&gc, lock);
	if (r == 0)
		r = collect(&gc, names, true);
	return r == 0 ? sync_removal(&gc, lock) : r;
}
