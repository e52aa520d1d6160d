/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the public functions share: from errno to HRESULT, with a reason.
 */
#ifndef CIM_API_RESULT_H
#define CIM_API_RESULT_H

#include <glib.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "cimfs.h"
#include "error.h"
#include "hresult.h"

static inline HRESULT result(int r)
{
	if (r >= 0)
		return CIMFS_S_OK;
	if (!*cim_reason())
		cim_reason_set("%s", g_strerror(-r));
	return cim_hresult_from_errno(r);
}

static inline HRESULT path_not_found(int r)
{
	(void)result(r);
	return CIMFS_E_PATH_NOT_FOUND;
}

static inline HRESULT null_pointer(void)
{
	cim_reason_set("a pointer for the result is NULL");
	return CIMFS_E_POINTER;
}

static inline HRESULT invalid(const char *why)
{
	cim_reason_set("%s", why);
	return CIMFS_E_INVALIDARG;
}

static inline bool is_missing(int r)
{
	return r == -ENOENT || r == -ENOTDIR;
}

static inline bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

#endif
