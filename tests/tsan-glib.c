/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GLib's locks, conditions and reference counts, by those of pthreads and the compiler.
 *
 * For builds with ThreadSanitizer alone, which link this before GLib: the system's GLib is not
 * instrumented, and does its locking by futex(2), so that the sanitizer takes everything that such
 * a lock guards for a race.  What is here it sees through.  GLib goes on using its own within
 * itself, and none of ours is given to it.
 */
#include "config.h"

#include <glib.h>
#include <pthread.h>
#include <stdlib.h>

/* Either may be all zeros, which stands for one that is initialised; what is behind is made then. */
static void *made(gpointer *place, void *(*make)(void), void (*drop)(void *))
{
	void *there = __atomic_load_n(place, __ATOMIC_ACQUIRE);

	if (there)
		return there;
	void *mine = make();
	if (__atomic_compare_exchange_n(place, &there, mine, FALSE, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return mine;
	drop(mine);
	return there;
}

/* As GLib's own, a lock is had or the process ends: its memory is none that a test takes away. */
static void *make_mutex(void)
{
	pthread_mutex_t *m = g_new(pthread_mutex_t, 1);

	if (pthread_mutex_init(m, NULL))
		abort();
	return m;
}

static void drop_mutex(void *m)
{
	pthread_mutex_destroy(m);
	g_free(m);
}

static void *make_cond(void)
{
	pthread_cond_t *c = g_new(pthread_cond_t, 1);
	pthread_condattr_t attr;

	if (pthread_condattr_init(&attr) ||
	    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) || pthread_cond_init(c, &attr))
		abort();
	pthread_condattr_destroy(&attr);
	return c;
}

static void drop_cond(void *c)
{
	pthread_cond_destroy(c);
	g_free(c);
}

static pthread_mutex_t *mutex_of(GMutex *mutex)
{
	return made(&mutex->p, make_mutex, drop_mutex);
}

static pthread_cond_t *cond_of(GCond *cond)
{
	return made(&cond->p, make_cond, drop_cond);
}

/* ---- GMutex ---- */

void(g_mutex_init)(GMutex *mutex)
{
	mutex->p = make_mutex();
}

void(g_mutex_clear)(GMutex *mutex)
{
	if (mutex->p)
		drop_mutex(mutex->p);
	mutex->p = NULL;
}

void(g_mutex_lock)(GMutex *mutex)
{
	if (pthread_mutex_lock(mutex_of(mutex)))
		abort();
}

gboolean(g_mutex_trylock)(GMutex *mutex)
{
	return pthread_mutex_trylock(mutex_of(mutex)) == 0;
}

void(g_mutex_unlock)(GMutex *mutex)
{
	if (pthread_mutex_unlock(mutex_of(mutex)))
		abort();
}

/* ---- GCond ---- */

void(g_cond_init)(GCond *cond)
{
	cond->p = make_cond();
}

void(g_cond_clear)(GCond *cond)
{
	if (cond->p)
		drop_cond(cond->p);
	cond->p = NULL;
}

void(g_cond_wait)(GCond *cond, GMutex *mutex)
{
	pthread_cond_wait(cond_of(cond), mutex_of(mutex));
}

gboolean(g_cond_wait_until)(GCond *cond, GMutex *mutex, gint64 end)
{
	struct timespec until = { .tv_sec = end / G_USEC_PER_SEC,
				  .tv_nsec = end % G_USEC_PER_SEC * 1000 };

	return pthread_cond_timedwait(cond_of(cond), mutex_of(mutex), &until) == 0;
}

void(g_cond_signal)(GCond *cond)
{
	pthread_cond_signal(cond_of(cond));
}

void(g_cond_broadcast)(GCond *cond)
{
	pthread_cond_broadcast(cond_of(cond));
}

/* ---- gatomicrefcount ---- */

void(g_atomic_ref_count_init)(gatomicrefcount *count)
{
	__atomic_store_n(count, 1, __ATOMIC_RELEASE);
}

void(g_atomic_ref_count_inc)(gatomicrefcount *count)
{
	__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

gboolean(g_atomic_ref_count_dec)(gatomicrefcount *count)
{
	return __atomic_fetch_sub(count, 1, __ATOMIC_ACQ_REL) == 1;
}
