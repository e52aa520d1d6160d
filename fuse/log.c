/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's messages.  Set up before there are threads, and never changed behind them. */
#include "config.h"

#include "log.h"

#include <fuse_log.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>

static int max_level = LOG_NOTICE;
static bool in_syslog;

static void log_text(int level, const char *text)
{
	if (level > max_level)
		return;
	if (in_syslog)
		syslog(level, "%s", text);
	else
		fprintf(stderr, "cimfsd: %s\n", text);
}

void cim_log(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	g_autofree char *text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	log_text(level, text);
}

/* libfuse's levels are syslog's.  It says some things piece by piece, and a newline at their end.
 */
G_GNUC_PRINTF(2, 0)
static void log_from_fuse(enum fuse_log_level level, const char *fmt, va_list ap)
{
	static GMutex lock;
	static GString *line;
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);

	if (!line)
		line = g_string_new(NULL);
	g_string_append_vprintf(line, fmt, ap);
	if (line->len == 0 || line->str[line->len - 1] != '\n')
		return;
	g_string_truncate(line, line->len - 1);
	log_text((int)level, line->str);
	g_string_truncate(line, 0);
}

static int level_from_glib(GLogLevelFlags flags)
{
	if (flags & G_LOG_LEVEL_ERROR)
		return LOG_CRIT;
	if (flags & G_LOG_LEVEL_CRITICAL)
		return LOG_ERR;
	if (flags & G_LOG_LEVEL_WARNING)
		return LOG_WARNING;
	if (flags & G_LOG_LEVEL_MESSAGE)
		return LOG_NOTICE;
	return flags & G_LOG_LEVEL_INFO ? LOG_INFO : LOG_DEBUG;
}

static void log_from_glib(const gchar *domain, GLogLevelFlags flags, const gchar *text,
			  gpointer data)
{
	log_text(level_from_glib(flags), text);
}

void cim_log_open(int level)
{
	max_level = level;
	fuse_set_log_func(log_from_fuse);
	g_log_set_default_handler(log_from_glib, NULL);
}

void cim_log_to_syslog(void)
{
	openlog("cimfsd", LOG_PID, LOG_DAEMON);
	in_syslog = true;
}
