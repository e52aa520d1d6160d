/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "tool.h"

#define INTERVAL_US (G_USEC_PER_SEC / 10)
#define GUESS_LINES 10 /* shown before a guess how long it takes is worth anything: a second */
#define LINE_SIZE   128

void progress_init(struct progress *p, bool terminal)
{
	*p = (struct progress){
		.terminal = terminal && isatty(STDERR_FILENO),
		.started = g_get_monotonic_time(),
		.phase = "",
	};
	p->drawn = p->started; /* nothing can be said at once */
	g_mutex_init(&p->lock);
}

void progress_found(struct progress *p, uint64_t bytes)
{
	atomic_fetch_add_explicit(&p->found_files, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&p->found_bytes, bytes, memory_order_relaxed);
}

void progress_done(struct progress *p, uint64_t bytes)
{
	atomic_fetch_add_explicit(&p->done_files, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&p->done_bytes, bytes, memory_order_relaxed);
}

/* "4711 files, 1.2 GB, 650 MB/s, 12 s left" */
static void format_line(const struct progress *p, int64_t now, char line[LINE_SIZE])
{
	uint64_t files = p->done_files, bytes = p->done_bytes, left = p->found_bytes - bytes;
	double seconds = (double)(now - p->started) / G_USEC_PER_SEC;
	double rate = seconds > 0 ? (double)bytes / seconds : 0;
	char size[TOOL_SIZE], speed[TOOL_SIZE];

	tool_size(bytes, size);
	tool_size((uint64_t)rate, speed);
	int n = files ? snprintf(line, LINE_SIZE, "%" PRIu64 " files, ", files) : 0;
	n += snprintf(line + n, LINE_SIZE - (size_t)n, "%s, %s/s", size, speed);
	if (*p->phase)
		snprintf(line + n, LINE_SIZE - (size_t)n, ", %s", p->phase);
	else if (p->total_known && rate > 0 && p->n_drawn >= GUESS_LINES)
		snprintf(line + n, LINE_SIZE - (size_t)n, ", %.0f s left", (double)left / rate);
}

/* The lock is held.  Spaces, since not every terminal can erase to the end of the line. */
static void erase(struct progress *p)
{
	if (p->width > 0)
		fprintf(stderr, "\r%*s\r", p->width, "");
	p->width = 0;
}

static void draw(struct progress *p, int64_t now)
{
	char line[LINE_SIZE];

	format_line(p, now, line);
	g_mutex_lock(&p->lock);
	p->drawn = now;
	p->n_drawn++;
	int n = fprintf(stderr, "\r%-*s", p->width, line) - 1;
	p->width = MAX(n, 0);
	fflush(stderr);
	g_mutex_unlock(&p->lock);
}

void progress_tick(struct progress *p)
{
	if (!p->terminal)
		return;
	int64_t now = g_get_monotonic_time();
	if (now - p->drawn >= INTERVAL_US)
		draw(p, now);
}

void progress_phase(struct progress *p, const char *phase)
{
	p->phase = phase;
	if (p->terminal)
		draw(p, g_get_monotonic_time());
}

void progress_hide(struct progress *p)
{
	g_mutex_lock(&p->lock);
	erase(p);
	g_mutex_unlock(&p->lock);
}

void progress_error(struct progress *p, const char *what, const char *why, int err)
{
	g_mutex_lock(&p->lock);
	erase(p);
	tool_error(what, why, err);
	g_mutex_unlock(&p->lock);
}

double progress_end(struct progress *p)
{
	progress_hide(p);
	g_mutex_clear(&p->lock);
	return (double)(g_get_monotonic_time() - p->started) / G_USEC_PER_SEC;
}
