/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors inside cimfs: 0 (or a count), or a negative errno.
 *
 * An errno is coarse, so whoever refuses something also leaves a sentence:
 * what, where, why, have, expect.  It is kept per thread until the next one;
 * whoever owns a handle (the API, the control file, a tool) takes it with
 * cim_reason() when a call has failed.  This file knows nothing of HRESULT.
 */
#ifndef CIM_ERROR_H
#define CIM_ERROR_H

#include <errno.h>
#include <stdbool.h>

#define CIM_ECORRUPT EUCLEAN         /* damaged: a rule of the format is broken */
#define CIM_EFORMAT  EBADMSG         /* not a CIM at all */
#define CIM_EVERSION EPROTONOSUPPORT /* a CIM of a version that is not known here */
#define CIM_ELOCKED  EBUSY           /* another writer holds the directory */

#define CIM_REASON_MAX 512

/** cim_reason_set - leave a sentence for this thread; for cim_fail() */
void cim_reason_set(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * cim_fail - leave the reason of a failure and give its error
 * @err: a positive errno
 * ...: printf format and arguments of one sentence, lower case, no full stop
 *
 * Gives -@err, so that refusing is one statement: return cim_fail(EINVAL, "…");
 * A macro, so that the compiler sees that the result is not 0.
 */
#define cim_fail(err, ...)                   \
	({                                   \
		int cim_fail_err_ = (err);   \
		cim_reason_set(__VA_ARGS__); \
		-cim_fail_err_;              \
	})

/**
 * cim_reason - the sentence left by the last cim_fail() of this thread
 *
 * Returns a string owned by the thread, never NULL, "" if there is none; it is
 * valid until the thread's next cim_fail() or cim_reason_clear().
 */
const char *cim_reason(void);

/** cim_is_full - whether a failure, a negative errno, is for lack of space, quota or file size */
static inline bool cim_is_full(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EFBIG;
}

/**
 * cim_advise_full - a failure for one of these also says what to do
 * @err: 0 or a negative errno, of any kind, that has left its reason
 *
 * Gives @err.
 */
int cim_advise_full(int err);

/** cim_reason_clear - forget the sentence, at the start of a call that keeps its own */
void cim_reason_clear(void);

#endif
