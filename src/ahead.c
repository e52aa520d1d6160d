/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "ahead.h"

#include <glib.h>

#define AHEAD_MIN (128 * 1024)
#define AHEAD_MAX (4 * 1024 * 1024)
#define NEAR      (1024 * 1024) /* what a reader may skip and still go on */
/*
 * A read of this size is of a large file that is read on: the kernel sees that in its page faults,
 * and reads ahead at less cost, as it takes larger pages.
 */
#define LARGE (128 * 1024)

static struct cim_ahead_stream *find(struct cim_ahead *a, uint64_t at)
{
	for (unsigned int i = 0; i < CIM_AHEAD_STREAMS; i++) {
		struct cim_ahead_stream *s = &a->stream[i];

		if (s->asked > 0 && at >= s->begin && at <= s->asked + NEAR)
			return s;
	}
	return NULL;
}

static uint64_t begin(struct cim_ahead *a, uint64_t at, uint64_t size)
{
	a->stream[a->oldest] = (struct cim_ahead_stream){ .begin = at, .asked = at + size };
	a->oldest = (a->oldest + 1) % CIM_AHEAD_STREAMS;
	return size;
}

/* The next window, twice as long as the last, when half of that is used up. */
static uint64_t go_on(struct cim_ahead_stream *s, uint64_t at, uint64_t size, uint64_t *ret)
{
	uint64_t end = at + size;

	if (end + s->ahead / 2 <= s->asked)
		return 0;
	*ret = MAX(at, s->asked);
	s->ahead = CLAMP(s->ahead * 2, AHEAD_MIN, AHEAD_MAX);
	s->asked = end + s->ahead;
	/* What lies far behind may have left the cache, and who goes back there begins anew. */
	s->begin = MAX(s->begin, end > AHEAD_MAX ? end - AHEAD_MAX : 0);
	return s->asked - *ret;
}

/* Who reads on behind a large file finds the stream where that ends. */
static uint64_t leave_to_kernel(struct cim_ahead *a, struct cim_ahead_stream *s, uint64_t at,
				uint64_t size)
{
	if (!s)
		(void)begin(a, at, size);
	else
		s->asked = MAX(s->asked, at + size);
	return 0;
}

uint64_t cim_ahead_next(struct cim_ahead *a, uint64_t at, uint64_t size, uint64_t *ret)
{
	*ret = at;
	/* Two at once: nobody waits for good advice. */
	if (atomic_exchange_explicit(&a->busy, true, memory_order_acquire))
		return size < LARGE ? size : 0;
	struct cim_ahead_stream *s = find(a, at);
	uint64_t n = size >= LARGE ? leave_to_kernel(a, s, at, size)
		     : s           ? go_on(s, at, size, ret)
				   : begin(a, at, size);
	atomic_store_explicit(&a->busy, false, memory_order_release);
	return n;
}
