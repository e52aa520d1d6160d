/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The language of the control file (interface.md §3): from text to requests.
 *
 * A pure parser: it runs nothing and knows no image, so that it can be tested without a mount.
 */
#ifndef CIM_CONTROL_H
#define CIM_CONTROL_H

#include <glib.h>

#include "writer.h"

#define CIM_CONTROL_MAX 4096 /* bytes of a write */

enum cim_verb { CIM_VERB_CREATE, CIM_VERB_COMMIT, CIM_VERB_CLOSE, CIM_VERB_DELETE };

struct cim_request {
	enum cim_verb verb;
	char *existing; /* of create; NULL: not given */
	char *new_name; /* of create; NULL: not given */
	char *name;     /* of delete */
	enum cim_case cmp;
};

/** cim_control_check - whether bytes may be requests; 0, or -EINVAL (too many, or a NUL among them)
 */
int cim_control_check(const char *text, size_t size);

/**
 * cim_control_next - the next request of a text
 * @text, @size: what is left of it; moved behind the line of the request, also when that is refused
 * @ret_line: that line without its newline; g_free()
 * @ret: cim_request_clear()
 *
 * Returns 1; 0 when there is none left; -EINVAL, with the word that is not understood in the reason
 * (*ret_line is set, *ret is not).
 */
int cim_control_next(const char **text, size_t *size, char **ret_line, struct cim_request *ret);

void cim_request_clear(struct cim_request *request);

#endif
