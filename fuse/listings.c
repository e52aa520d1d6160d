/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "listings.h"

/* What is kept for readers that may come back; the newest is kept however long it is. */
#define MAX_LISTINGS 64
#define MAX_NAMES    (1024 * 1024)

#define NUMBER_SHIFT 32
#define NUMBER_MAX   G_MAXINT32

void cim_listings_init(struct cim_listings *listings)
{
	*listings = (struct cim_listings){ 0 };
	g_mutex_init(&listings->lock);
}

static void unref(struct cim_listing *l)
{
	if (--l->refs > 0)
		return;
	g_ptr_array_unref(l->names);
	g_free(l);
}

/* Take the listing at @link off the list, if it is still there. */
static void drop(struct cim_listings *listings, GList *link)
{
	struct cim_listing *l;

	if (!link)
		return;
	l = link->data;
	listings->n_names -= l->names->len;
	g_queue_delete_link(&listings->all, link);
	unref(l);
}

void cim_listings_clear(struct cim_listings *listings)
{
	while (listings->all.head)
		drop(listings, listings->all.head);
	g_mutex_clear(&listings->lock);
}

static struct cim_listing *find(struct cim_listings *listings, off_t base)
{
	for (GList *link = listings->all.head; link; link = link->next) {
		struct cim_listing *l = link->data;

		if (l->base != base)
			continue;
		g_queue_unlink(&listings->all, link);
		g_queue_push_head_link(&listings->all, link);
		return l;
	}
	return NULL;
}

static struct cim_listing *add(struct cim_listings *listings, GPtrArray *names)
{
	struct cim_listing *l = g_new0(struct cim_listing, 1);

	listings->last = listings->last % NUMBER_MAX + 1;
	l->base = (off_t)listings->last << NUMBER_SHIFT;
	l->names = names;
	l->refs = 1;
	g_queue_push_head(&listings->all, l);
	listings->n_names += names->len;
	while (listings->all.length > MAX_LISTINGS ||
	       (listings->n_names > MAX_NAMES && listings->all.length > 1))
		drop(listings, listings->all.tail);
	return l;
}

int cim_listings_at(struct cim_listings *listings, off_t off, cim_listing_take take, void *arg,
		    struct cim_listing **ret)
{
	g_autoptr(GPtrArray) names = NULL;
	struct cim_listing *l = NULL;

	g_mutex_lock(&listings->lock);
	if (off != 0)
		l = find(listings, off >> NUMBER_SHIFT << NUMBER_SHIFT);
	if (l)
		l->refs++;
	g_mutex_unlock(&listings->lock);

	if (!l) {
		names = g_ptr_array_new_with_free_func(g_free);
		int r = take(arg, names);
		if (r < 0)
			return r;
		g_mutex_lock(&listings->lock);
		l = add(listings, g_steal_pointer(&names));
		l->refs++;
		g_mutex_unlock(&listings->lock);
	}
	*ret = l;
	return 0;
}

void cim_listings_put(struct cim_listings *listings, struct cim_listing *l, bool ended)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&listings->lock);

	if (ended)
		drop(listings, g_queue_find(&listings->all, l));
	unref(l);
}
