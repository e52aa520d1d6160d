/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "images.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "treehash.h"

images *images_new(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

/* ---- images ---- */

static char *image_digest(struct cim_store *store, const char *name)
{
	static const struct cim_tree_hash_options all = { .windows = true };
	uint8_t digest[CIM_SHA256_SIZE];
	char text[2 * sizeof(digest) + 1];
	struct cim_image *img;
	int r = cim_image_open(store, name, &img);

	if (r < 0)
		return NULL;
	r = cim_tree_hash(img, img->fs.root_id, &all, digest);
	cim_image_unref(img);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	return r < 0 ? NULL : g_strdup(text);
}

images *images_read(struct cim_store *store)
{
	g_autoptr(GHashTable) found = images_new();
	g_auto(GStrv) names = NULL;

	if (cim_store_list(store, &names) < 0)
		return NULL;
	for (char **name = names; *name; name++) {
		char *digest = image_digest(store, *name);

		if (!digest)
			return NULL;
		g_hash_table_insert(found, g_strdup(*name), digest);
	}
	return g_steal_pointer(&found);
}

bool images_same(images *a, images *b)
{
	GHashTableIter it;
	gpointer name, digest;

	if (g_hash_table_size(a) != g_hash_table_size(b))
		return false;
	g_hash_table_iter_init(&it, a);
	while (g_hash_table_iter_next(&it, &name, &digest))
		if (g_strcmp0(g_hash_table_lookup(b, name), digest) != 0)
			return false;
	return true;
}

char *images_describe(images *i)
{
	GString *s = g_string_new(NULL);
	GHashTableIter it;
	gpointer name, digest;

	g_hash_table_iter_init(&it, i);
	while (g_hash_table_iter_next(&it, &name, &digest))
		g_string_append_printf(s, "%s%s=%.6s", s->len ? ", " : "", (char *)name,
				       (char *)digest);
	return g_string_free(s, FALSE);
}

/* ---- files ---- */

static void add_sets(struct cim_store *store, const char *image, GHashTable *files)
{
	g_autofree struct cim_set *sets = NULL;
	char name[CIM_FILE_NAME];
	uint32_t n = 0;

	g_hash_table_add(files, g_strdup(image));
	if (cim_image_list_sets(store, image, &sets, &n) < 0)
		return;
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < sets[i].n_regions; k++) {
			cim_region_name(&sets[i].guid, k, name);
			g_hash_table_add(files, g_strdup(name));
			cim_objectid_name(&sets[i].guid, k, name);
			g_hash_table_add(files, g_strdup(name));
		}
	}
}

char *images_stray(struct cim_store *store)
{
	g_autoptr(GHashTable) needed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_auto(GStrv) names = NULL;
	char *stray = NULL;
	struct dirent *e;
	DIR *dir = fdopendir(openat(store->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	if (!dir)
		return g_strdup(".");
	if (cim_store_list(store, &names) >= 0)
		for (char **name = names; *name; name++)
			add_sets(store, *name, needed);
	while (!stray && (e = readdir(dir))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    !g_hash_table_contains(needed, e->d_name))
			stray = g_strdup(e->d_name);
	}
	(void)closedir(dir);
	return stray;
}
