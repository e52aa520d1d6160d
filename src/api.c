/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The public functions: they check arguments, call what is below, and turn errno into HRESULT.
 * Those that make images are api-write.c's, those that read them api-read.c's.
 *
 * Nothing is decided there but what only Windows tells apart: whether what is missing is a file or
 * the path to it.  What a call means is in cimfs.h, what it does in writer.c and reader.c.
 */
#include "config.h"

#include "api.h"

#include <glib.h>
#include <string.h>

#include "cimfs.h"
#include "error.h"

bool cim_api_split_stream(const char *path, size_t *ret_path_n, const char **ret_stream,
			  size_t *ret_stream_n)
{
	const char *last = path;

	for (const char *p = path; *p; p++)
		if (cim_api_is_separator(*p))
			last = p + 1;
	const char *colon = strchr(last, ':');
	if (!colon)
		return false;
	size_t n = strcspn(colon + 1, ":");
	const char *type = colon + 1 + n;
	if (n == 0 || (*type && g_ascii_strcasecmp(type, ":$DATA") != 0))
		return false;
	*ret_path_n = (size_t)(colon - path);
	*ret_stream = colon + 1;
	*ret_stream_n = n;
	return true;
}

const char *CimGetReason(void)
{
	return cim_reason();
}
