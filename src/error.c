/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "error.h"

#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char reason[CIM_REASON_MAX];

void cim_reason_set(const char *fmt, ...)
{
	/* An argument may be the reason itself ("…: %s"), so it is not written in place. */
	char text[CIM_REASON_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(reason, text, sizeof(reason));
}

const char *cim_reason(void)
{
	return reason;
}

int cim_advise_full(int err)
{
	if (cim_is_full(err))
		cim_reason_set("%s; %s, then try again", reason[0] ? reason : g_strerror(-err),
			       err == -EFBIG ? "raise the limit of a file's size" : "make room");
	return err;
}

void cim_reason_clear(void)
{
	reason[0] = '\0';
}
