/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The edge between errno, which everything inside speaks, and HRESULT, which Windows' callers
 * know.  Values and symbols are those of the public Win32 lists; which of them a function of the
 * API documents is that function's business.
 */
#include "config.h"

#include "hresult.h"

#include <glib.h>

#include "error.h"

#define E_FAIL ((int32_t)0x80004005)

/* A Win32 error code as an HRESULT. */
#define WIN32(code) ((int32_t)(0x80070000u | (code)))

/* In this order: where several errnos share an HRESULT they stand together. */
static const struct row {
	int err;
	int32_t hr;
	const char *symbol;
} rows[] = {
	{ 0, 0, "S_OK" },
	{ EINVAL, WIN32(87), "E_INVALIDARG" },
	{ ERANGE, WIN32(87), "E_INVALIDARG" },
	{ ESTALE, WIN32(87), "E_INVALIDARG" },
	{ EFAULT, (int32_t)0x80004003, "E_POINTER" },
	{ ENOMEM, WIN32(14), "E_OUTOFMEMORY" },
	{ EACCES, WIN32(5), "E_ACCESSDENIED" },
	{ EPERM, WIN32(5), "E_ACCESSDENIED" },
	{ EISDIR, WIN32(5), "E_ACCESSDENIED" },
	{ ENOENT, WIN32(2), "ERROR_FILE_NOT_FOUND" },
	{ ENODATA, WIN32(2), "ERROR_FILE_NOT_FOUND" },
	{ ENOTDIR, WIN32(3), "ERROR_PATH_NOT_FOUND" },
	{ EMFILE, WIN32(4), "ERROR_TOO_MANY_OPEN_FILES" },
	{ ENFILE, WIN32(4), "ERROR_TOO_MANY_OPEN_FILES" },
	{ EXDEV, WIN32(17), "ERROR_NOT_SAME_DEVICE" },
	{ EROFS, WIN32(19), "ERROR_WRITE_PROTECT" },
	{ CIM_ELOCKED, WIN32(32), "ERROR_SHARING_VIOLATION" },
	{ EOPNOTSUPP, WIN32(50), "ERROR_NOT_SUPPORTED" },
	{ EEXIST, WIN32(80), "ERROR_FILE_EXISTS" },
	{ ENOSPC, WIN32(112), "ERROR_DISK_FULL" },
	{ EDQUOT, WIN32(112), "ERROR_DISK_FULL" },
	{ EFBIG, WIN32(112), "ERROR_DISK_FULL" },
	{ ENOTEMPTY, WIN32(145), "ERROR_DIR_NOT_EMPTY" },
	{ ENAMETOOLONG, WIN32(206), "ERROR_FILENAME_EXCED_RANGE" },
	{ E2BIG, WIN32(275), "ERROR_EAS_DIDNT_FIT" },
	{ EILSEQ, WIN32(1113), "ERROR_NO_UNICODE_TRANSLATION" },
	{ EIO, WIN32(1117), "ERROR_IO_DEVICE" },
	{ EMLINK, WIN32(1142), "ERROR_TOO_MANY_LINKS" },
	/* What is no image, or none of a version known here, cannot be read either. */
	{ CIM_ECORRUPT, WIN32(1392), "ERROR_FILE_CORRUPT" },
	{ CIM_EFORMAT, WIN32(1392), "ERROR_FILE_CORRUPT" },
	{ CIM_EVERSION, WIN32(1392), "ERROR_FILE_CORRUPT" },
	{ ELOOP, WIN32(1921), "ERROR_CANT_RESOLVE_FILENAME" },
};

int32_t cim_hresult_from_errno(int err)
{
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (rows[i].err == -err)
			return rows[i].hr;
	return E_FAIL;
}

const char *cim_hresult_symbol(int32_t hr)
{
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (rows[i].hr == hr)
			return rows[i].symbol;
	return "E_FAIL";
}
