/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the public functions take paths inside an image.
 */
#ifndef CIM_API_H
#define CIM_API_H

#include <stdbool.h>
#include <stddef.h>

/**
 * cim_api_split_stream - the two parts of "path:stream" and "path:stream:$DATA"
 * @ret_path_n: bytes of the path
 * Returns false if it is neither; nothing is written then.
 */
bool cim_api_split_stream(const char *path, size_t *ret_path_n, const char **ret_stream,
			  size_t *ret_stream_n);

static inline bool cim_api_is_separator(char c)
{
	return c == '\\' || c == '/';
}

#endif
