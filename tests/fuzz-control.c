/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: what is written to the control file. */
#include "config.h"

#include <string.h>

#include "control.h"
#include "error.h"
#include "fuzz.h"

/* A word that is quoted is read as it was. */
static void check_quoted(const char *name)
{
	if (!name)
		return;
	g_autoptr(GString) line = g_string_new("delete '");
	for (const char *p = name; *p; p++) {
		if (*p == '\'')
			g_string_append(line, "'\\''");
		else
			g_string_append_c(line, *p);
	}
	g_string_append_c(line, '\'');
	const char *text = line->str;
	size_t size = line->len;
	g_autofree char *said = NULL;
	struct cim_request again;

	fuzz_check(cim_control_next(&text, &size, &said, &again) == 1);
	fuzz_check(again.verb == CIM_VERB_DELETE && strcmp(again.name, name) == 0);
	cim_request_clear(&again);
}

static void check_request(const struct cim_request *request)
{
	switch (request->verb) {
	case CIM_VERB_CREATE:
		fuzz_check(request->existing || request->new_name);
		break;
	case CIM_VERB_DELETE:
		fuzz_check(request->name);
		break;
	default:
		fuzz_check(!request->existing && !request->new_name && !request->name);
	}
	check_quoted(request->existing);
	check_quoted(request->new_name);
	check_quoted(request->name);
	if (request->name)
		(void)cim_store_name_check(request->name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	size_t left = size;

	if (cim_control_check(text, size) < 0)
		return 0;
	for (;;) {
		g_autofree char *line = NULL;
		struct cim_request request;
		size_t before = left;
		int r = cim_control_next(&text, &left, &line, &request);

		if (r == 0)
			break;
		fuzz_check(left < before && text == (const char *)data + (size - left));
		fuzz_check(line && !strchr(line, '\n'));
		if (r == 1) {
			check_request(&request);
			cim_request_clear(&request);
		} else {
			fuzz_check(r == -EINVAL && *cim_reason());
		}
	}
	fuzz_check(left == 0);
	return 0;
}

void fuzz_seeds(fuzz_emit_fn emit)
{
	static const char *const texts[] = {
		"create new=base.cim\n",
		"create existing=base.cim new=app.cim case=insensitive\ncommit\n",
		"create existing='a b' new=\"c\\\"\\\\d\" case=sensitive # so\n",
		"delete a\\ b\n\n# nothing\nclose\ncreate new=x existing=y\n",
		"create new=x new=y\ncreate case=base\ncreate\ncreate x\ncreate z=1\n",
		"commit now\ndelete\ndelete a b\nwhat\ndelete 'x\ndelete x\\",
		"create case=sensitive case=sensitive new=x\n\tclose\t\n",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		emit(texts[i], strlen(texts[i]));
}
