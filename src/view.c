/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "view.h"

#include <unistd.h>

struct cim_view cim_view_default(void)
{
	return (struct cim_view){ .uid = getuid(), .gid = getgid(), .fmask = 022, .dmask = 022 };
}
