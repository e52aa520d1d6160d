/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "mapping.h"

#include <fcntl.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "error.h"
#include "util.h"

/*
 * What the handler knows: a list that only grows, read without a lock.  A slot is free when
 * its mapping is NULL; that is written last when it is taken and first when it is given back.
 */
struct slot {
	_Atomic(uintptr_t) start, end;
	_Atomic(struct cim_mapping *) mapping;
	struct slot *next;
	struct slot *next_free; /* under slots_lock */
};

static _Atomic(struct slot *) slots;
static struct slot *free_slots; /* under slots_lock: an image may map 65,536 files */
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t guard_once = PTHREAD_ONCE_INIT;
static long page_size = 4096; /* asked for with the first mapping */

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	int saved = errno;

	for (struct slot *s = atomic_load(&slots); s; s = s->next) {
		struct cim_mapping *m = atomic_load(&s->mapping);

		if (!m || at < atomic_load(&s->start) || at >= atomic_load(&s->end))
			continue;
		void *page = (void *)(at & ~(uintptr_t)(page_size - 1));
		if (mmap(page, (size_t)page_size, PROT_READ,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
			break;
		atomic_store(&m->damaged, true);
		errno = saved;
		return;
	}
	/* Not ours: let the instruction fault again, now with the default action. */
	signal(sig, SIG_DFL);
	errno = saved;
}

static void install_guard(void)
{
	struct sigaction old,
		guard = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER };

	page_size = sysconf(_SC_PAGESIZE);
	sigemptyset(&guard.sa_mask);
	if (sigaction(SIGBUS, NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) &&
	    old.sa_handler == SIG_DFL)
		sigaction(SIGBUS, &guard, NULL);
}

static int register_mapping(struct cim_mapping *m)
{
	pthread_once(&guard_once, install_guard);
	pthread_mutex_lock(&slots_lock);
	struct slot *s = free_slots;
	if (s) {
		free_slots = s->next_free;
	} else {
		s = calloc(1, sizeof(*s));
		if (s) {
			s->next = atomic_load(&slots);
			atomic_store(&slots, s);
		}
	}
	if (s) {
		atomic_store(&s->start, (uintptr_t)m->data);
		atomic_store(&s->end, (uintptr_t)m->data + m->size);
		atomic_store(&s->mapping, m);
		m->slot = s;
	}
	pthread_mutex_unlock(&slots_lock);
	return s ? 0 : -ENOMEM;
}

int cim_open_regular(int dirfd, const char *name, int *ret_fd)
{
	struct stat st;
	/* O_NONBLOCK: a FIFO planted under the name must not block. */
	cim_autofd fd =
		openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && errno == ELOOP)
		return cim_fail(CIM_ECORRUPT, "\"%s\" is a symbolic link, which is not followed",
				name);
	if (fd < 0 &&
	    (errno == ENXIO || errno == ENODEV)) /* a socket; a device that is not there */
		return cim_fail(CIM_ECORRUPT, "\"%s\" is no regular file", name);
	if (fd < 0)
		return cim_fail(errno, "\"%s\": %s", name, g_strerror(errno));
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return cim_fail(CIM_ECORRUPT, "\"%s\" is no regular file", name);
	*ret_fd = cim_steal_fd(&fd);
	return 0;
}

int cim_mapping_open(int dirfd, const char *name, struct cim_mapping *ret)
{
	cim_autofd fd = -1;
	struct stat st;
	int r = cim_open_regular(dirfd, name, &fd);

	*ret = (struct cim_mapping){ .fd = -1 };
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		return 0;
	void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return cim_fail(errno, "cannot map \"%s\": %s", name, g_strerror(errno));
	ret->data = data;
	ret->size = (size_t)st.st_size;
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	r = register_mapping(ret);
	if (r < 0) {
		cim_mapping_close(ret);
		return r;
	}
	if ((uint64_t)st.st_blocks * 512 < (uint64_t)st.st_size)
		ret->fd = cim_steal_fd(&fd);
	return 0;
}

/* Where the page behind these bytes begins. */
static uint64_t next_page(uint64_t at, uint64_t size)
{
	uint64_t page = (uint64_t)page_size;

	return (at + size + page - 1) / page * page;
}

void cim_mapping_will_read(const struct cim_mapping *m, uint64_t at, uint64_t size)
{
	struct cim_mapping *known = (struct cim_mapping *)(uintptr_t)m; /* what is known of it */
	/* With the page that cim_mapping_check() touches. */
	uint64_t end = MIN(next_page(at, size) + 1, m->size), from;
	uint64_t n = cim_ahead_next(&known->ahead, at, end - at, &from);

	if (n == 0 || from >= m->size)
		return;
	n = MIN(n, m->size - from) + from % (uint64_t)page_size;
	from -= from % (uint64_t)page_size;
	/* Advice: where it is not taken, the page fault reads what is missing. */
	(void)madvise((void *)(uintptr_t)(m->data + from), n, MADV_WILLNEED);
}

bool cim_mapping_ends_with(const struct cim_mapping *m, uint64_t at, uint64_t size)
{
	return next_page(at, size) >= m->size;
}

/* Whether it is time to ask for the file's length; once for all threads. */
static bool is_due(struct cim_mapping *m)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	int64_t ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	return atomic_exchange_explicit(&m->looked, ms, memory_order_relaxed) != ms;
}

bool cim_mapping_check(const struct cim_mapping *m, uint64_t at, uint64_t size, int dirfd,
		       const char *name)
{
	struct cim_mapping *known = (struct cim_mapping *)(uintptr_t)m; /* what is known of it */
	uint64_t next = next_page(at, size);
	struct stat st;

	if (cim_mapping_damaged(m))
		return false;
	if (next < m->size) {
		(void)*(const volatile uint8_t *)(m->data + next);
		return !cim_mapping_damaged(m);
	}
	if (name && is_due(known) && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == m->dev && st.st_ino == m->ino && (uint64_t)st.st_size < m->size)
		atomic_store(&known->damaged, true);
	return !cim_mapping_damaged(m);
}

void cim_mapping_close(struct cim_mapping *m)
{
	struct slot *s = m->slot;

	if (s) {
		pthread_mutex_lock(&slots_lock);
		atomic_store(&s->mapping, NULL);
		s->next_free = free_slots;
		free_slots = s;
		pthread_mutex_unlock(&slots_lock);
	}
	if (m->data)
		(void)munmap((void *)(uintptr_t)m->data, m->size);
	if (m->fd >= 0)
		(void)close(m->fd);
	*m = (struct cim_mapping){ .fd = -1 };
}
