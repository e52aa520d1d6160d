/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of a writer in the daemon: opened, used by any number of requests, committed or closed.
 *
 * There is one at a time; the directory's lock sees to that.  What was its tree stays behind as a
 * session without a writer, because the kernel may still ask for its files: they are stale.
 */
#ifndef CIM_SESSION_H
#define CIM_SESSION_H

#include <glib.h>
#include <time.h>

#include "slots.h"
#include "writer.h"

enum cim_session_state { CIM_SESSION_OPEN, CIM_SESSION_BUSY, CIM_SESSION_DEAD };

struct cim_session {
	struct cim_slot *slot;
	bool case_sensitive; /* as names are looked up */
	char *existing; /* NULL: from scratch */
	char *new_name;
	time_t since;
	uid_t uid; /* for whom */
	pid_t pid;

	GMutex lock; /* guards what follows */
	GCond idle;  /* n_active became 0 */
	enum cim_session_state state;
	unsigned int n_active; /* requests that use the writer */
	struct cim_writer *w;
	uint64_t n_changed, n_bytes; /* when the state was last taken */
};

struct cim_sessions {
	GMutex lock; /* guards current and all; taken before a session's */
	struct cim_session *current;
	GPtrArray *all; /* of the mount's life; each is small when its writer is gone */
};

void cim_sessions_init(struct cim_sessions *sessions);

/** cim_sessions_clear - closes a writer that is still open, and says so */
void cim_sessions_clear(struct cim_sessions *sessions);

/**
 * cim_sessions_create - open the writer
 * @view: how its files are shown
 * @uid, @pid: for whom
 * @ret: owned by @sessions
 * Returns 0, or as cim_writer_open().
 */
int cim_sessions_create(struct cim_sessions *sessions, struct cim_slots *slots,
			struct cim_store *store, const char *existing, const char *new_name,
			enum cim_case cmp, const struct cim_view *view, uid_t uid, pid_t pid,
			struct cim_session **ret);

/**
 * cim_sessions_commit - publish the writer's tree and close it
 * @ret_name: what was committed; g_free()
 *
 * Waits for requests under way, and turns others away until it is done; nothing else waits.  After
 * a failure the writer is still there, to be tried again or closed.
 *
 * Returns 0; -EINVAL (no writer is open); -EBUSY (it is being committed); or as
 * cim_writer_commit().
 */
int cim_sessions_commit(struct cim_sessions *sessions, char **ret_name);

/** cim_sessions_close - drop the writer; 0, -EINVAL or -EBUSY as above */
int cim_sessions_close(struct cim_sessions *sessions, char **ret_name);

/** cim_sessions_current - the session whose tree is to be shown as writer/, or NULL */
struct cim_session *cim_sessions_current(struct cim_sessions *sessions);

/** cim_sessions_describe - the words behind "writer:" in the control file; g_free() */
char *cim_sessions_describe(struct cim_sessions *sessions);

/**
 * cim_session_enter - begin to use a session's writer; cim_session_leave() ends it
 * Returns 0; -ESTALE (committed or closed); -EBUSY (being committed).
 */
int cim_session_enter(struct cim_session *s, struct cim_writer **ret);
void cim_session_leave(struct cim_session *s);

#endif
