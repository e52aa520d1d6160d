/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one table between errno and HRESULT, with the symbols that Windows gives them.
 */
#ifndef CIM_HRESULT_H
#define CIM_HRESULT_H

#include <stdint.h>

/**
 * cim_hresult_from_errno - @err: 0 or a negative errno
 * Two errnos may share an HRESULT; what has no row is E_FAIL.
 */
int32_t cim_hresult_from_errno(int err);

/** cim_hresult_symbol - "ERROR_SHARING_VIOLATION" and its like; "E_FAIL" for what has no row */
const char *cim_hresult_symbol(int32_t hr);

#endif
