/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "util.h"

#define MAX_MISSING 64 /* region files that an image misses before the directory is listed */

guint cim_guid_hash(gconstpointer key)
{
	return cim_load32(key); /* GUIDs are random */
}

gboolean cim_guid_equal(gconstpointer a, gconstpointer b)
{
	return memcmp(a, b, sizeof(struct cim_guid)) == 0;
}

int cim_store_open(int dirfd, const char *path, struct cim_store **ret)
{
	cim_autofd fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return cim_fail(errno, "cannot open the image directory \"%s\": %s", path,
				g_strerror(errno));
	struct cim_store *store = g_new0(struct cim_store, 1);
	store->dirfd = cim_steal_fd(&fd);
	store->sets = g_hash_table_new(cim_guid_hash, cim_guid_equal);
	g_mutex_init(&store->lock);
	g_atomic_ref_count_init(&store->refs);
	*ret = store;
	return 0;
}

struct cim_store *cim_store_ref(struct cim_store *store)
{
	g_atomic_ref_count_inc(&store->refs);
	return store;
}

void cim_store_unref(struct cim_store *store)
{
	if (!store || !g_atomic_ref_count_dec(&store->refs))
		return;
	g_hash_table_destroy(
		store->sets); /* empty: every set's user holds a reference to the store */
	g_mutex_clear(&store->lock);
	(void)close(store->dirfd);
	g_free(store);
}

static void regions_free(struct cim_regions *regions)
{
	for (uint32_t i = 0; i < regions->n; i++)
		cim_mapping_close(&regions->region[i]);
	g_free(regions->region);
	g_free(regions);
}

/* ---- which region files there are ---- */

static void free_indexes(gpointer p)
{
	g_array_free(p, TRUE);
}

void cim_region_list_clear(struct cim_region_list *l)
{
	g_clear_pointer(&l->indexes, g_hash_table_destroy);
}

static void note_region(GHashTable *indexes, const struct cim_guid *guid, uint32_t index)
{
	GArray *of_set = g_hash_table_lookup(indexes, guid);

	if (!of_set) {
		of_set = g_array_new(FALSE, FALSE, sizeof(uint32_t));
		g_hash_table_insert(indexes, g_memdup2(guid, sizeof(*guid)), of_set);
	}
	g_array_append_val(of_set, index);
}

int cim_region_list_fill(struct cim_store *store, struct cim_region_list *l)
{
	g_auto(GStrv) names = NULL;
	struct cim_guid guid;
	uint32_t index;
	int r = l->indexes ? 0 : cim_store_files(store, &names);

	if (r < 0 || l->indexes)
		return r;
	l->indexes = g_hash_table_new_full(cim_guid_hash, cim_guid_equal, g_free, free_indexes);
	for (char **name = names; *name; name++)
		if (cim_store_name_kind(*name, &guid, &index) == CIM_NAME_REGION)
			note_region(l->indexes, &guid, index);
	return 0;
}

const GArray *cim_region_list_of(const struct cim_region_list *l, const struct cim_guid *guid)
{
	return g_hash_table_lookup(l->indexes, guid);
}

/* ---- region files ---- */

/* A file that is not there, or not what its name says, is damage to what it holds and no more. */
static int map_region(struct cim_store *store, const struct cim_guid *guid, uint32_t index,
		      struct cim_region_list *list, struct cim_mapping *m)
{
	char name[CIM_FILE_NAME];

	cim_region_name(guid, index, name);
	int r = cim_mapping_open(store->dirfd, name, m);
	if (r == -EMFILE || r == -ENFILE || r == -ENOMEM)
		return r;
	if (r == -ENOENT)
		list->n_missing++;
	if (r == 0 && cim_region_header_parse(m->data, m->size, index) < 0) {
		g_debug("region file \"%s\" cannot be used: %s", name, cim_reason());
		cim_mapping_close(m);
	} else if (r < 0) {
		g_debug("region file missing: %s", cim_reason());
	}
	return 0;
}

/* Those of a set that are in the list, from index @from on. */
static int map_listed(struct cim_store *store, struct cim_regions *regions, uint32_t from,
		      struct cim_region_list *list)
{
	const GArray *of_set = cim_region_list_of(list, &regions->guid);
	int r = 0;

	for (guint i = 0; r == 0 && of_set && i < of_set->len; i++) {
		uint32_t index = g_array_index(of_set, uint32_t, i);

		if (index >= from && index < regions->n)
			r = map_region(store, &regions->guid, index, list, &regions->region[index]);
	}
	return r;
}

static int regions_open(struct cim_store *store, const struct cim_set *set,
			struct cim_region_list *list, struct cim_regions **ret)
{
	struct cim_regions *regions = g_new0(struct cim_regions, 1);
	uint32_t i = 0;
	int r = 0;

	regions->guid = set->guid;
	regions->n = set->n_regions;
	regions->region = g_new0(struct cim_mapping, MAX(set->n_regions, 1));
	for (uint32_t k = 0; k < regions->n; k++)
		regions->region[k].fd = -1;
	for (; r == 0 && i < regions->n && !list->indexes; i++) {
		r = map_region(store, &set->guid, i, list, &regions->region[i]);
		/* Where the directory cannot be listed, each file is tried as before. */
		if (r == 0 && list->n_missing == MAX_MISSING)
			(void)cim_region_list_fill(store, list);
	}
	if (r == 0 && list->indexes)
		r = map_listed(store, regions, i, list);
	if (r < 0) {
		regions_free(regions);
		return r;
	}
	*ret = regions;
	return 0;
}

int cim_store_regions(struct cim_store *store, const struct cim_set *set,
		      struct cim_region_list *list, struct cim_regions **ret)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);
	struct cim_regions *regions = g_hash_table_lookup(store->sets, &set->guid);
	int r;

	/* Two images that disagree about a set's size do not share it. */
	if (regions && regions->n == set->n_regions) {
		regions->refs++;
		*ret = regions;
		return 0;
	}
	r = regions_open(store, set, list, ret);
	if (r < 0)
		return r;
	(*ret)->refs = 1;
	if (!regions)
		g_hash_table_insert(store->sets, &(*ret)->guid, *ret);
	return 0;
}

void cim_store_release(struct cim_store *store, struct cim_regions *regions)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

	if (--regions->refs > 0)
		return;
	if (g_hash_table_lookup(store->sets, &regions->guid) == regions)
		g_hash_table_remove(store->sets, &regions->guid);
	regions_free(regions);
}

int cim_store_name_check(const char *name)
{
	static const char *const reserved[] = { "region_", "objectid_", ".cimfs" };
	size_t n = strlen(name);

	if (n == 0)
		return cim_fail(EINVAL, "an image needs a name");
	if (n > NAME_MAX)
		return cim_fail(EINVAL, "an image name has at most %d bytes, this one has %zu",
				NAME_MAX, n);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return cim_fail(EINVAL, "\"%s\" cannot be an image's name", name);
	for (const char *p = name; *p; p++) {
		if (*p == '/')
			return cim_fail(EINVAL,
					"\"%s\" has a \"/\"; an image is named without a path",
					name);
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return cim_fail(EINVAL,
					"an image name has no control characters (byte %#x)",
					(unsigned char)*p);
	}
	if (strcmp(name, "control") == 0 || strcmp(name, "writer") == 0)
		return cim_fail(EINVAL, "the name \"%s\" is reserved", name);
	for (size_t i = 0; i < G_N_ELEMENTS(reserved); i++)
		if (strncmp(name, reserved[i], strlen(reserved[i])) == 0)
			return cim_fail(EINVAL, "names that begin with \"%s\" are reserved",
					reserved[i]);
	return 0;
}

int cim_store_is_image(struct cim_store *store, const char *name)
{
	struct cim_common_disk header;
	cim_autofd fd = -1;

	if (cim_store_name_check(name) < 0)
		return 0;
	int r = cim_open_regular(store->dirfd, name, &fd);
	if (r == -EMFILE || r == -ENFILE || r == -ENOMEM)
		return r;
	if (r == -ENOENT || r == -EACCES || r == -EPERM || r == -ELOOP || r == -ENXIO ||
	    r == -CIM_ECORRUPT)
		return 0;
	/* What the disk does not give may be an image; who opens it learns why it cannot be read. */
	ssize_t n = r < 0 ? -1 : pread(fd, &header, sizeof(header), 0);
	if (n < 0)
		return 1;
	return (size_t)n == sizeof(header) &&
	       memcmp(header.magic, CIM_MAGIC, sizeof(header.magic)) == 0 &&
	       header.type == CIM_FILE_IMAGE;
}

/* "GUID_N" as cim_region_name() would write it. */
static bool parse_guid_index(const char *text, struct cim_guid *ret_guid, uint32_t *ret_index)
{
	char again[CIM_FILE_NAME];
	guint64 index;

	if (!cim_guid_parse(text, ret_guid) || text[CIM_GUID_TEXT - 1] != '_' ||
	    !g_ascii_string_to_unsigned(text + CIM_GUID_TEXT, 10, 0, CIM_REGIONS_MAX - 1, &index,
					NULL))
		return false;
	*ret_index = (uint32_t)index;
	cim_region_name(ret_guid, *ret_index, again);
	return strcmp(strchr(again, '_') + 1, text) == 0;
}

enum cim_name_kind cim_store_name_kind(const char *name, struct cim_guid *ret_guid,
				       uint32_t *ret_index)
{
	if (g_str_has_prefix(name, ".cimfs"))
		return CIM_NAME_LEFTOVER;
	if (g_str_has_prefix(name, "region_") &&
	    parse_guid_index(name + strlen("region_"), ret_guid, ret_index))
		return CIM_NAME_REGION;
	if (g_str_has_prefix(name, "objectid_") &&
	    parse_guid_index(name + strlen("objectid_"), ret_guid, ret_index))
		return CIM_NAME_OBJECTID;
	return CIM_NAME_OTHER;
}

int cim_store_probe(struct cim_store *store, const char *name)
{
	struct cim_common_disk head;
	struct cim_guid guid;
	cim_autofd fd = -1;
	uint32_t index;

	if (cim_store_name_kind(name, &guid, &index) != CIM_NAME_OTHER)
		return 0;
	int r = cim_open_regular(store->dirfd, name, &fd);
	if (r == -CIM_ECORRUPT || r == -ENXIO) /* a link, a directory, a socket, … */
		return 0;
	if (r < 0)
		return r;
	ssize_t n = pread(fd, &head, sizeof(head), 0);
	if (n < 0)
		return cim_fail(errno, "\"%s\" cannot be read: %s", name, g_strerror(errno));
	if ((size_t)n < sizeof(head.magic) ||
	    memcmp(head.magic, CIM_MAGIC, sizeof(head.magic)) != 0)
		return 0;
	if ((size_t)n <= offsetof(struct cim_common_disk, type)) /* cut off */
		return 1;
	if (head.type > CIM_FILE_OBJECTID)
		return cim_fail(CIM_EVERSION, "\"%s\" is a file of the format, of the unknown kind %u",
				name, head.type);
	return head.type == CIM_FILE_IMAGE;
}

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* @images: only those that are images */
static int list_files(struct cim_store *store, bool images, char ***ret)
{
	/* A descriptor of its own: two listings at once must not share a position. */
	int fd = openat(store->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (!dir) {
		int err = errno;

		if (fd >= 0)
			(void)close(fd);
		return cim_fail(err, "cannot list the image directory: %s", g_strerror(err));
	}
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	int r = 0;
	while (r >= 0 && (errno = 0, (e = readdir(dir)))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		bool may_be = e->d_type == DT_REG || e->d_type == DT_UNKNOWN;
		r = !images ? 1 : may_be ? cim_store_is_image(store, e->d_name) : 0;
		if (r > 0)
			g_ptr_array_add(names, g_strdup(e->d_name));
	}
	int err = r < 0 ? -r : errno;
	(void)closedir(dir);
	if (err)
		return cim_fail(err, "cannot list the image directory: %s", g_strerror(err));
	g_ptr_array_sort(names, compare_names);
	int n = (int)names->len;
	g_ptr_array_add(names, NULL);
	*ret = (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
	return n;
}

int cim_store_list(struct cim_store *store, char ***ret)
{
	return list_files(store, true, ret);
}

int cim_store_files(struct cim_store *store, char ***ret)
{
	return list_files(store, false, ret);
}
