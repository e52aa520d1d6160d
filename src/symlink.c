/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "symlink.h"

#include <errno.h>
#include <string.h>

/* Puts @n bytes in the place of the first @skip of a target, if there is room. */
static int replace_start(char *target, size_t skip, const char *start, size_t n)
{
	size_t rest = strlen(target + skip);

	if (n + rest > CIM_SYMLINK_MAX)
		return -ENAMETOOLONG;
	memmove(target + n, target + skip, rest + 1);
	memcpy(target, start, n);
	return (int)(n + rest);
}

/* "/x" to "../../x", "/" to "../..". */
static int show_from_root(int depth, char *target)
{
	static const char hop[] = "../";
	char hops[CIM_SYMLINK_MAX];
	size_t n = (size_t)depth * strlen(hop);

	if (depth > CIM_DEPTH_MAX)
		return -ENAMETOOLONG;
	for (int i = 0; i < depth; i++)
		memcpy(hops + (size_t)i * strlen(hop), hop, strlen(hop));
	if (target[1] == '\0' && n > 0)
		n--;
	if (target[1] == '\0' && n == 0)
		return replace_start(target, 1, ".", 1);
	return replace_start(target, 1, hops, n);
}

/* "/x" of drive C to "ROOT/c/x". */
static int show_from_dir(const char *root, char drive, char *target)
{
	const char volume[] = { '/', drive };
	int n = drive ? replace_start(target, 0, volume, sizeof(volume)) : 0;

	return n < 0 ? n : replace_start(target, 0, root, strlen(root));
}

int cim_symlink_show(const struct cim_view *view, const struct cim_reparse *rp, const void *buf,
		     size_t size, int depth, char *target)
{
	enum cim_view_abslinks how = rp->same_volume ? CIM_ABSLINKS_ROOT : view->abslinks;
	int r = -EINVAL;

	if (!rp->absolute)
		return (int)strlen(target);
	if (how == CIM_ABSLINKS_DIR)
		r = show_from_dir(view->symlink_root, rp->drive, target);
	else if (how == CIM_ABSLINKS_ROOT && depth != CIM_DEPTH_UNKNOWN)
		r = show_from_root(depth, target);
	return r >= 0 ? r : cim_reparse_raw_target(buf, size, target);
}
