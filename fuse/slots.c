/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of slots.  Reading it takes no lock, for every request does it: slots are published by
 * their number and never move.  An image cannot be closed under a request, because the kernel holds
 * a lookup of the file that it asks for.
 */
#include "config.h"

#include "slots.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "error.h"

#define FIRST_CHUNK_BITS 6 /* 64 slots */

void cim_slots_init(struct cim_slots *slots)
{
	g_mutex_init(&slots->lock);
	slots->by_name = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

void cim_slots_clear(struct cim_slots *slots)
{
	uint32_t n = atomic_load(&slots->n);

	for (uint32_t i = 1; i <= n; i++) {
		struct cim_slot *slot = cim_slots_get(slots, i);

		if (!slot)
			continue;
		cim_image_unref(atomic_load(&slot->image));
		g_clear_pointer(&slot->streams, g_hash_table_destroy);
	}
	for (int i = 0; i < CIM_SLOT_CHUNKS; i++)
		g_free(slots->chunk[i]);
	g_hash_table_destroy(slots->by_name);
	g_mutex_clear(&slots->lock);
}

/* Chunk k holds the slots [64 * (2^k - 1), 64 * (2^(k + 1) - 1)). */
static int find_chunk(uint32_t index, uint64_t *ret_at)
{
	uint64_t shifted = (uint64_t)index + (1u << FIRST_CHUNK_BITS);
	int bits = 63 - __builtin_clzll(shifted);

	*ret_at = shifted - (1ull << bits);
	return bits - FIRST_CHUNK_BITS;
}

struct cim_slot *cim_slots_get(const struct cim_slots *slots, uint32_t index)
{
	uint64_t at;

	if (index == 0 || index > atomic_load_explicit(&slots->n, memory_order_acquire))
		return NULL;
	int chunk = find_chunk(index, &at);
	return &slots->chunk[chunk][at];
}

/* A new slot, not to be seen before publish(). */
static struct cim_slot *prepare(struct cim_slots *slots)
{
	uint32_t index = atomic_load(&slots->n) + 1;
	uint64_t at;
	int chunk = find_chunk(index, &at);

	if (!slots->chunk[chunk])
		slots->chunk[chunk] = g_new0(struct cim_slot, 1ull << (chunk + FIRST_CHUNK_BITS));
	struct cim_slot *slot = &slots->chunk[chunk][at];
	slot->index = index;
	return slot;
}

static void publish(struct cim_slots *slots, const struct cim_slot *slot)
{
	atomic_store_explicit(&slots->n, slot->index, memory_order_release);
}

struct cim_slot *cim_slots_add_writer(struct cim_slots *slots, struct cim_session *session)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&slots->lock);
	struct cim_slot *slot = prepare(slots);

	slot->session = session;
	publish(slots, slot);
	return slot;
}

static bool stands_for(const struct cim_slot *slot, dev_t dev, ino_t ino, struct timespec mtime)
{
	return slot->dev == dev && slot->ino == ino && slot->mtime.tv_sec == mtime.tv_sec &&
	       slot->mtime.tv_nsec == mtime.tv_nsec;
}

/* The slot of an image just opened: the one its file had before, or a new one. */
static struct cim_slot *slot_of_image(struct cim_slots *slots, const char *name,
				      struct cim_image *img)
{
	struct cim_slot *slot = g_hash_table_lookup(slots->by_name, name);

	if (slot && stands_for(slot, img->dev, img->ino, img->mtime))
		return slot;
	slot = prepare(slots);
	slot->dev = img->dev;
	slot->ino = img->ino;
	slot->mtime = img->mtime;
	publish(slots, slot);
	g_hash_table_replace(slots->by_name, g_strdup(name), slot);
	return slot;
}

int cim_slots_open_image(struct cim_slots *slots, struct cim_store *store, const char *name,
			 const struct cim_view *view, struct cim_slot **ret)
{
	struct cim_image *img;
	struct stat st;

	if (cim_store_name_check(name) < 0)
		return -ENOENT;
	if (fstatat(store->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return cim_fail(errno, "image \"%s\": %s", name, g_strerror(errno));

	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&slots->lock);
	struct cim_slot *slot = g_hash_table_lookup(slots->by_name, name);
	if (!slot || !atomic_load(&slot->image) ||
	    !stands_for(slot, st.st_dev, st.st_ino, st.st_mtim)) {
		int r = cim_store_is_image(store, name);
		if (r == 0)
			r = cim_fail(ENOENT, "\"%s\" is no image", name);
		if (r > 0)
			r = cim_image_open(store, name, &img);
		if (r < 0)
			return r;
		img->view = *view;
		slot = slot_of_image(slots, name, img);
		if (atomic_load(&slot->image))
			cim_image_unref(img); /* the file changed and changed back */
		else
			atomic_store(&slot->image, img);
	}
	cim_slots_ref(slot, 1);
	*ret = slot;
	return 0;
}

struct cim_slot *cim_slots_stream(struct cim_slots *slots, struct cim_slot *image, uint32_t index)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&slots->lock);

	if (!image->streams)
		image->streams = g_hash_table_new(NULL, NULL);
	struct cim_slot *slot = g_hash_table_lookup(image->streams, GUINT_TO_POINTER(index));
	if (slot)
		return slot;
	slot = prepare(slots);
	slot->of = image;
	slot->stream = index;
	publish(slots, slot);
	g_hash_table_insert(image->streams, GUINT_TO_POINTER(index), slot);
	return slot;
}

void cim_slots_ref(struct cim_slot *slot, uint64_t n)
{
	atomic_fetch_add(&slot->n_lookups, n);
}

void cim_slots_unref(struct cim_slots *slots, struct cim_slot *slot, uint64_t n)
{
	struct cim_image *img = NULL;

	if (n == 0 || atomic_fetch_sub(&slot->n_lookups, n) != n)
		return;
	g_mutex_lock(&slots->lock);
	/* Somebody may have found it again meanwhile. */
	if (atomic_load(&slot->n_lookups) == 0)
		img = atomic_exchange(&slot->image, NULL);
	g_mutex_unlock(&slots->lock);
	cim_image_unref(img);
}
