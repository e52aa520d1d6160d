/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mount options that say how files are shown: struct cim_view from the words of a command line
 * or of fstab.
 */
#ifndef CIM_VIEW_OPTIONS_H
#define CIM_VIEW_OPTIONS_H

#include "view.h"

struct cim_view_options {
	struct cim_view view;         /* right after cim_view_options_end() */
	uint32_t umask, fmask, dmask; /* CIM_MASK_UNSET: not given */
	char *symlink_root;
};
#define CIM_MASK_UNSET UINT32_MAX

void cim_view_options_init(struct cim_view_options *o);

/**
 * cim_view_options_take - one option, as "uid=5" or "nometadata"; of two that disagree the later
 * counts
 * Returns 0; 1 if it is none of these; -1 if its value is wrong, which has been said.
 */
int cim_view_options_take(struct cim_view_options *o, const char *option);

/** cim_view_options_end - all have been taken: fmask and dmask go before umask, in any order */
void cim_view_options_end(struct cim_view_options *o);

/** cim_view_options_clear - the view's strings go with it */
void cim_view_options_clear(struct cim_view_options *o);

#endif
