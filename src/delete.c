/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "delete.h"

#include <fcntl.h>
#include <string.h>

#include "error.h"
#include "image.h"
#include "lock.h"
#include "util.h"

int cim_references(struct cim_store *store, const char *except, GHashTable **ret)
{
	g_auto(GStrv) names = NULL;
	int r = cim_store_list(store, &names);

	if (r < 0)
		return r;
	g_autoptr(GHashTable) sets = g_hash_table_new_full(cim_guid_hash, cim_guid_equal, g_free, NULL);
	for (char **name = names; *name; name++) {
		g_autofree struct cim_set *listed = NULL;
		uint32_t n;

		if (except && strcmp(*name, except) == 0)
			continue;
		r = cim_image_list_sets(store, *name, &listed, &n);
		if (r == -ENOENT) /* gone since it was listed */
			continue;
		if (r < 0)
			return r;
		for (uint32_t i = 0; i < n; i++)
			g_hash_table_add(sets, g_memdup2(&listed[i].guid, sizeof(listed[i].guid)));
	}
	*ret = g_steal_pointer(&sets);
	return 0;
}

int cim_references_remove_set(struct cim_store *store, const struct cim_set *set)
{
	char name[CIM_FILE_NAME];
	int r = 0;

	for (uint32_t i = 0; i < set->n_regions; i++) {
		cim_objectid_name(&set->guid, i, name);
		if (unlinkat(store->dirfd, name, 0) < 0 && errno != ENOENT)
			r = cim_fail(errno, "cannot remove \"%s\": %s", name, g_strerror(errno));
		cim_region_name(&set->guid, i, name);
		if (unlinkat(store->dirfd, name, 0) < 0 && errno != ENOENT)
			r = cim_fail(errno, "cannot remove \"%s\": %s", name, g_strerror(errno));
	}
	return r;
}

int cim_store_delete(struct cim_store *store, const char *name)
{
	g_autoptr(GHashTable) others = NULL;
	g_autofree struct cim_set *sets = NULL;
	cim_autofd lock = -1;
	uint32_t n = 0;
	int r = cim_store_name_check(name);

	if (r == 0 && faccessat(store->dirfd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		r = cim_fail(EACCES, "you may not remove files of this image directory");
	if (r == 0)
		r = cim_lock(store->dirfd, &lock);
	if (r < 0)
		return r;
	if (faccessat(store->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return cim_fail(errno, "there is no image \"%s\"", name);
	if (!cim_store_is_image(store, name))
		return cim_fail(CIM_ECORRUPT, "\"%s\" is no image; it is not removed", name);
	r = cim_references(store, name, &others);
	if (r < 0)
		return r;
	/* An image too damaged to say what it needs is removed alone. */
	if (cim_image_list_sets(store, name, &sets, &n) < 0)
		n = 0;
	if (unlinkat(store->dirfd, name, 0) < 0)
		return cim_fail(errno, "cannot remove \"%s\": %s", name, g_strerror(errno));
	if (fsync(lock) < 0)
		return cim_fail(errno, "\"%s\" is removed, but perhaps not durably: %s", name,
				g_strerror(errno));
	for (uint32_t i = 0; i < n; i++)
		if (!g_hash_table_contains(others, &sets[i].guid) &&
		    cim_references_remove_set(store, &sets[i]) < 0)
			r = -EIO;
	return r;
}
