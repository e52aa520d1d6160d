/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loop of libfuse waits for each request in read(2), and so each costs two wake-ups of a CPU
 * that has gone to sleep, which is most of what it costs at all.  Here each thread looks for the
 * next request for some microseconds before it sleeps: who makes one after the other, as cp and tar
 * do, is served by a thread that is awake, and, as no CPU goes to sleep meanwhile, is soon awake
 * itself.  Threads that look give way to whoever else wants to run; where requests are further
 * apart they soon stop, and where as many clients are at work as there are CPUs they do not begin,
 * as none goes to sleep then, and each is wanted.
 */
#include "config.h"

#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Microseconds: as long as waking a CPU takes, which is what it saves (20 to 50 where measured). */
#define LOOK_TIME  50
#define MAX_MISSES 8  /* times in vain one after the other */
#define N_LAST     32 /* requests by which those are counted who make them now */

struct loop {
	struct fuse_session *fuse;
	unsigned int n_cpus;
	int over;  /* an eventfd: readable when the session has ended */
	int error; /* atomic; the first */
};

/* Who made the last requests of a thread, 0 being nobody. */
struct clients {
	uint32_t pid[N_LAST];
	unsigned int next;
};

static void end(struct loop *l, int error)
{
	const uint64_t one = 1;
	int none = 0;

	if (error < 0)
		(void)__atomic_compare_exchange_n(&l->error, &none, error, false, __ATOMIC_SEQ_CST,
						  __ATOMIC_SEQ_CST);
	fuse_session_exit(l->fuse);
	(void)!write(l->over, &one, sizeof(one));
}

static void remember_client(struct clients *c, const struct fuse_buf *buf)
{
	const struct fuse_in_header *in = buf->mem;

	if (!(buf->flags & FUSE_BUF_IS_FD) &&
	    in->pid != 0) /* 0: the kernel, for nobody who waits */
		c->pid[c->next++ % N_LAST] = in->pid;
}

/* Whether fewer clients are at work than there are CPUs, so that one is free for looking. */
static bool has_free_cpu(const struct loop *l, const struct clients *c)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < N_LAST && n < l->n_cpus; i++) {
		unsigned int j = 0;

		while (c->pid[j] != c->pid[i])
			j++;
		n += j == i && c->pid[i] != 0;
	}
	return n < l->n_cpus;
}

/* The next request, if it comes soon; as fuse_session_receive_buf(), of which -EAGAIN is none. */
static int look(const struct loop *l, struct fuse_buf *buf)
{
	gint64 until = g_get_monotonic_time() + LOOK_TIME;
	int r;

	do {
		r = fuse_session_receive_buf(l->fuse, buf);
		if (r == -EAGAIN)
			(void)sched_yield();
	} while (r == -EAGAIN && g_get_monotonic_time() < until);
	return r;
}

/* Sleep until there is a request or the end; whether it took longer than looking would. */
static bool sleep_long(int epoll)
{
	gint64 from = g_get_monotonic_time();
	struct epoll_event event;

	(void)epoll_wait(epoll, &event, 1, -1);
	return g_get_monotonic_time() - from > 2 * LOOK_TIME;
}

/* An epoll of a thread's own, of which one alone is woken by a request; or negative errno. */
static int new_epoll(const struct loop *l)
{
	struct epoll_event request = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	struct epoll_event over = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0)
		return -errno;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fuse_session_fd(l->fuse), &request) < 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, l->over, &over) < 0) {
		int r = -errno;

		(void)close(epoll);
		return r;
	}
	return epoll;
}

static void *serve(void *arg)
{
	struct loop *l = arg;
	struct fuse_buf buf = { 0 };
	struct clients clients = { 0 };
	unsigned int misses = 0;
	int epoll = new_epoll(l), r = epoll < 0 ? epoll : 1;

	while (r > 0 && !fuse_session_exited(l->fuse)) {
		r = -EAGAIN;
		if (misses < MAX_MISSES && has_free_cpu(l, &clients)) {
			r = look(l, &buf);
			misses = r == -EAGAIN ? misses + 1 : 0;
		}
		if (r == -EAGAIN) {
			if (!sleep_long(epoll))
				misses = 0;
			r = fuse_session_receive_buf(l->fuse, &buf);
		}
		if (r == -EINTR || r == -EAGAIN) {
			r = 1;
		} else if (r > 0) {
			remember_client(&clients, &buf);
			fuse_session_process_buf(l->fuse, &buf);
		}
	}
	end(l, r);
	free(buf.mem);
	if (epoll >= 0)
		(void)close(epoll);
	return NULL;
}

/* The signals that end a session: for the thread that waits for it. */
static void block_signals(sigset_t *ret_before)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
		sigaddset(&set, signals[i]);
	(void)pthread_sigmask(SIG_BLOCK, &set, ret_before);
}

static void wait_for_end(struct loop *l, const sigset_t *signals)
{
	struct pollfd over = { .fd = l->over, .events = POLLIN };

	while (!fuse_session_exited(l->fuse))
		(void)ppoll(&over, 1, NULL, signals);
	end(l, 0);
}

int cim_loop(struct fuse_session *fuse, unsigned int n_threads)
{
	struct loop l = { .fuse = fuse, .n_cpus = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN) };
	g_autofree pthread_t *threads = g_new(pthread_t, n_threads);
	unsigned int n = 0;
	sigset_t signals;
	int r = 0;

	l.over = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l.over < 0 || fcntl(fuse_session_fd(fuse), F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return -errno;
	block_signals(&signals);
	while (r == 0 && n < n_threads)
		if ((r = pthread_create(&threads[n], NULL, serve, &l)) == 0)
			n++;
	if (r > 0)
		end(&l, -r);
	else
		wait_for_end(&l, &signals);
	while (n > 0)
		(void)pthread_join(threads[--n], NULL);
	(void)pthread_sigmask(SIG_SETMASK, &signals, NULL);
	(void)close(l.over);
	fuse_session_reset(fuse);
	return l.error;
}
