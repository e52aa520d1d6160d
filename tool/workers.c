/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "workers.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"

#define THREADS_MAX 16
#define BATCH_FILES 32
#define BATCH_BYTES (1024 * 1024) /* a batch that has as many is full */
#define QUEUE_MAX   8             /* batches: bounds the descriptors that are open at a time */
#define WAIT_US     (G_USEC_PER_SEC / 10)

struct batch {
	guint n;
	uint64_t size; /* bytes of data */
	struct worker_file file[BATCH_FILES];
};

struct worker {
	struct workers *all;
	GThread *thread;
	GMutex lock; /* guards fd */
	int fd;      /* of the file that is being read, or -1 */
};

struct workers {
	struct cim_writer *writer;
	struct workers_ops ops;
	GMutex lock; /* guards what follows */
	GCond work;  /* a batch was queued, or closed */
	GCond room;  /* one was taken, or the last one was done */
	GQueue queue;
	guint n_busy;
	bool closed;

	_Atomic(bool) stopped;
	struct batch *filling; /* the walker's */
	guint n;
	struct worker worker[THREADS_MAX];
};

/* ---- the worker's side ---- */

/* Tell others which file is read, for cut_short(); false when there is nothing more to read. */
static bool show_file(struct worker *w, int fd)
{
	g_mutex_lock(&w->lock);
	bool go_on = !w->all->stopped;
	w->fd = go_on ? fd : -1;
	g_mutex_unlock(&w->lock);
	return go_on;
}

static void store(struct worker *w, const struct worker_file *file, void *buf)
{
	struct workers *ws = w->all;

	if (!show_file(w, file->fd))
		return;
	cim_reason_clear();
	int r = cim_writer_put(ws->writer, file->id, file->fd, file->size, file->holes, buf);
	if (show_file(w, -1))
		ws->ops.done(ws->ops.arg, file, r);
}

static void store_batch(struct worker *w, struct batch *b, void *buf)
{
	for (guint i = 0; i < b->n; i++) {
		store(w, &b->file[i], buf);
		close(b->file[i].fd);
		g_free(b->file[i].path);
	}
	g_free(b);
}

static struct batch *take(struct workers *ws)
{
	g_mutex_lock(&ws->lock);
	while (g_queue_is_empty(&ws->queue) && !ws->closed)
		g_cond_wait(&ws->work, &ws->lock);
	struct batch *b = g_queue_pop_head(&ws->queue);
	if (b) {
		ws->n_busy++;
		g_cond_signal(&ws->room);
	}
	g_mutex_unlock(&ws->lock);
	return b;
}

static void *run(void *arg)
{
	struct worker *w = arg;
	struct workers *ws = w->all;
	g_autofree void *buf = g_malloc(CIM_PUT_BUFFER);
	struct batch *b;

	while ((b = take(ws))) {
		store_batch(w, b, buf);
		g_mutex_lock(&ws->lock);
		if (--ws->n_busy == 0)
			g_cond_signal(&ws->room);
		g_mutex_unlock(&ws->lock);
	}
	return NULL;
}

/* ---- the walker's side ---- */

/* The next one; false: the system has no thread to give. */
static bool start_worker(struct workers *ws)
{
	struct worker *w = &ws->worker[ws->n];

	w->all = ws;
	w->fd = -1;
	g_mutex_init(&w->lock);
	w->thread = g_thread_try_new("import", run, w, NULL);
	if (!w->thread)
		g_mutex_clear(&w->lock);
	return w->thread;
}

struct workers *workers_start(struct cim_writer *writer, const struct workers_ops *ops)
{
	struct workers *ws = g_new0(struct workers, 1);

	ws->writer = writer;
	ws->ops = *ops;
	g_mutex_init(&ws->lock);
	g_cond_init(&ws->work);
	g_cond_init(&ws->room);
	g_queue_init(&ws->queue);
	ws->filling = g_new0(struct batch, 1);
	guint wanted = MIN(g_get_num_processors(), THREADS_MAX);
	/* Some are enough. */
	while (ws->n < wanted && start_worker(ws))
		ws->n++;
	if (ws->n > 0)
		return ws;
	workers_end(ws, false);
	return NULL;
}

/* Wait on room, the lock held; false when the walker shall not go on. */
static bool wait_for_room(struct workers *ws)
{
	int64_t until = g_get_monotonic_time() + WAIT_US;

	if (g_cond_wait_until(&ws->room, &ws->lock, until))
		return true;
	g_mutex_unlock(&ws->lock);
	bool stop = ws->ops.wait(ws->ops.arg);
	g_mutex_lock(&ws->lock);
	return !stop;
}

static void push(struct workers *ws)
{
	g_mutex_lock(&ws->lock);
	while (g_queue_get_length(&ws->queue) >= QUEUE_MAX && wait_for_room(ws))
		;
	g_queue_push_tail(&ws->queue, ws->filling);
	g_cond_signal(&ws->work);
	g_mutex_unlock(&ws->lock);
	ws->filling = g_new0(struct batch, 1);
}

void workers_add(struct workers *ws, const struct worker_file *file)
{
	struct batch *b = ws->filling;

	b->file[b->n++] = *file;
	b->size += file->size;
	if (b->n == BATCH_FILES || b->size >= BATCH_BYTES)
		push(ws);
}

void workers_drain(struct workers *ws)
{
	push(ws);
	g_mutex_lock(&ws->lock);
	while ((ws->n_busy > 0 || !g_queue_is_empty(&ws->queue)) && wait_for_room(ws))
		;
	g_mutex_unlock(&ws->lock);
}

/*
 * A file that is being read may be as large as a disk.  Putting an empty file in its descriptor's
 * place makes its next read the last.
 */
static void cut_short(struct workers *ws)
{
	int empty = memfd_create("empty", MFD_CLOEXEC);

	ws->stopped = true;
	for (guint i = 0; i < ws->n; i++) {
		struct worker *w = &ws->worker[i];

		g_mutex_lock(&w->lock);
		if (w->fd >= 0 && empty >= 0)
			(void)dup3(empty, w->fd, O_CLOEXEC);
		g_mutex_unlock(&w->lock);
	}
	if (empty >= 0)
		close(empty);
}

void workers_end(struct workers *ws, bool stop)
{
	push(ws);
	if (stop)
		cut_short(ws);
	g_mutex_lock(&ws->lock);
	ws->closed = true;
	g_cond_broadcast(&ws->work);
	g_mutex_unlock(&ws->lock);
	for (guint i = 0; i < ws->n; i++) {
		g_thread_join(ws->worker[i].thread);
		g_mutex_clear(&ws->worker[i].lock);
	}
	g_queue_clear_full(&ws->queue, g_free); /* an empty batch, where no thread was to be had */
	g_free(ws->filling);
	g_mutex_clear(&ws->lock);
	g_cond_clear(&ws->work);
	g_cond_clear(&ws->room);
	g_free(ws);
}
