/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sessions of writers.  A commit takes as long as the disk does, and the daemon has few threads: so
 * no request ever waits for one.  What asks for a file of a tree that is being committed is told so
 * at once, and images are read meanwhile.
 */
#include "config.h"

#include "session.h"

#include <inttypes.h>

#include "error.h"
#include "log.h"

static void session_free(gpointer data)
{
	struct cim_session *s = data;

	g_mutex_clear(&s->lock);
	g_cond_clear(&s->idle);
	g_free(s->existing);
	g_free(s->new_name);
	g_free(s);
}

void cim_sessions_init(struct cim_sessions *sessions)
{
	g_mutex_init(&sessions->lock);
	sessions->all = g_ptr_array_new_with_free_func(session_free);
}

void cim_sessions_clear(struct cim_sessions *sessions)
{
	struct cim_session *s = sessions->current;

	if (s) {
		cim_log(LOG_WARNING, "the writer of \"%s\" was open and is dropped, uncommitted",
			s->new_name);
		cim_writer_close(s->w);
	}
	g_ptr_array_free(sessions->all, TRUE);
	g_mutex_clear(&sessions->lock);
}

int cim_sessions_create(struct cim_sessions *sessions, struct cim_slots *slots,
			struct cim_store *store, const char *existing, const char *new_name,
			enum cim_case cmp, const struct cim_view *view, uid_t uid, pid_t pid,
			struct cim_session **ret)
{
	struct cim_writer_info info;
	struct cim_writer *w;
	int r = cim_writer_open(store, existing, new_name, cmp, &w);

	if (r < 0)
		return r;
	cim_writer_set_view(w, view);
	cim_writer_info(w, &info);
	struct cim_session *s = g_new0(struct cim_session, 1);
	g_mutex_init(&s->lock);
	g_cond_init(&s->idle);
	s->w = w;
	s->case_sensitive = info.case_sensitive && !view->ignore_case;
	s->existing = g_strdup(info.existing);
	s->new_name = g_strdup(info.new_name);
	s->since = time(NULL);
	s->uid = uid;
	s->pid = pid;
	s->slot = cim_slots_add_writer(slots, s);

	/* The directory's lock is ours, so there was no other. */
	g_mutex_lock(&sessions->lock);
	g_ptr_array_add(sessions->all, s);
	sessions->current = s;
	g_mutex_unlock(&sessions->lock);
	*ret = s;
	return 0;
}

static void take_counts(struct cim_session *s)
{
	struct cim_writer_info info;

	cim_writer_info(s->w, &info);
	s->n_changed = info.n_changed;
	s->n_bytes = info.n_bytes;
}

/* Have the writer of the current session for oneself: wait for requests under way, let none in. */
static int seize(struct cim_sessions *sessions, struct cim_session **ret)
{
	g_mutex_lock(&sessions->lock);
	struct cim_session *s =
		sessions->current; /* never freed, so it may be used without that lock */
	g_mutex_unlock(&sessions->lock);
	if (!s)
		return cim_fail(EINVAL, "no writer is open; \"create new=NAME\" opens one");

	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&s->lock);
	if (s->state != CIM_SESSION_OPEN)
		return cim_fail(EBUSY, "\"%s\" is being committed or closed; wait until it is done",
				s->new_name);
	take_counts(s);
	s->state = CIM_SESSION_BUSY;
	while (s->n_active > 0)
		g_cond_wait(&s->idle, &s->lock);
	*ret = s;
	return 0;
}

static void bury(struct cim_sessions *sessions, struct cim_session *s)
{
	struct cim_writer *w = s->w;

	g_mutex_lock(&sessions->lock);
	sessions->current = NULL;
	g_mutex_unlock(&sessions->lock);
	g_mutex_lock(&s->lock);
	s->state = CIM_SESSION_DEAD;
	s->w = NULL;
	g_mutex_unlock(&s->lock);
	cim_writer_close(
		w); /* last: as long as the directory is locked there is no other session */
}

int cim_sessions_commit(struct cim_sessions *sessions, char **ret_name)
{
	struct cim_session *s;
	int r = seize(sessions, &s);

	if (r < 0)
		return r;
	r = cim_writer_commit(s->w);
	if (r < 0) {
		g_mutex_lock(&s->lock);
		s->state = CIM_SESSION_OPEN;
		g_mutex_unlock(&s->lock);
		return r;
	}
	*ret_name = g_strdup(s->new_name);
	bury(sessions, s);
	return 0;
}

int cim_sessions_close(struct cim_sessions *sessions, char **ret_name)
{
	struct cim_session *s;
	int r = seize(sessions, &s);

	if (r < 0)
		return r;
	*ret_name = g_strdup(s->new_name);
	bury(sessions, s);
	return 0;
}

struct cim_session *cim_sessions_current(struct cim_sessions *sessions)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&sessions->lock);
	struct cim_session *s = sessions->current;

	if (!s)
		return NULL;
	g_mutex_lock(&s->lock);
	bool open = s->state == CIM_SESSION_OPEN;
	g_mutex_unlock(&s->lock);
	return open ? s : NULL;
}

char *cim_sessions_describe(struct cim_sessions *sessions)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&sessions->lock);
	struct cim_session *s = sessions->current;

	if (!s)
		return g_strdup("none");
	g_mutex_lock(&s->lock);
	bool busy = s->state == CIM_SESSION_BUSY;
	if (!busy)
		take_counts(s);
	uint64_t n_changed = s->n_changed, n_bytes = s->n_bytes;
	g_mutex_unlock(&s->lock);

	g_autoptr(GDateTime) since = g_date_time_new_from_unix_utc(s->since);
	g_autofree char *when = g_date_time_format_iso8601(since);
	g_autofree char *new_name = g_shell_quote(s->new_name);
	g_autofree char *existing = s->existing ? g_shell_quote(s->existing) : NULL;
	return g_strdup_printf("new=%s%s%s since %s for uid %u pid %d, %" PRIu64 " files, %" PRIu64
			       " bytes%s",
			       new_name, existing ? " existing=" : "", existing ? existing : "",
			       when, (unsigned int)s->uid, (int)s->pid, n_changed, n_bytes,
			       busy ? ", being committed" : "");
}

int cim_session_enter(struct cim_session *s, struct cim_writer **ret)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&s->lock);

	if (s->state != CIM_SESSION_OPEN)
		return s->state == CIM_SESSION_BUSY ? -EBUSY : -ESTALE;
	s->n_active++;
	*ret = s->w;
	return 0;
}

void cim_session_leave(struct cim_session *s)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&s->lock);

	if (--s->n_active == 0)
		g_cond_signal(&s->idle);
}
