/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: security descriptors.  The input is taken as a descriptor, and as the text of one.
 */
#include "config.h"

#include <glib.h>
#include <string.h>

#include "error.h"
#include "fuzz.h"
#include "sddl.h"
#include "windows.h"

/* A text that was made can be read, and makes itself again. */
static void check_text(const char *text)
{
	g_autofree void *sd = NULL;
	g_autofree char *again = NULL;
	size_t size;

	int r = cim_sddl_parse(text, &sd, &size);
	fuzz_check(r == 0 || r == -EINVAL || r == -E2BIG);
	if (r < 0)
		return;
	fuzz_check(size > 0 && size <= CIM_SD_MAX);
	fuzz_check(cim_sddl_format(sd, size, &again) == 0);
	g_autofree void *same = NULL;
	size_t same_size;
	fuzz_check(cim_sddl_parse(again, &same, &same_size) == 0);
	fuzz_check(same_size == size && memcmp(same, sd, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = NULL, *copy = g_strndup((const char *)data, size);
	int r = cim_sddl_format(data, size, &text);

	fuzz_check(r == 0 || r == -CIM_ECORRUPT);
	if (r == 0)
		check_text(text);
	check_text(copy);

	/* What the gate lets pass has a text. */
	struct cim_winmeta m = { .sd = data, .sd_size = size };
	int checked = cim_sd_check(data, size);
	fuzz_check(checked == 0 || checked == -EINVAL);
	fuzz_check(checked < 0 || r == 0);
	fuzz_check(size == 0 || cim_winmeta_check(CIM_WIN_SECURITY, &m) == checked);
	return 0;
}

void fuzz_seeds(fuzz_emit_fn emit)
{
	static const char *const texts[] = {
		"O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;;0x1200a9;;;BU)S:(ML;;NW;;;HI)",
		"O:S-1-5-21-1-2-3-500G:S-1-5-0x123456789AD:(D;;GA;;;WD)(A;IO;GRGW;;;CO)",
		"D:NO_ACCESS_CONTROL",
		"D:(OA;;CCDC;bf967aba-0de6-11d0-a285-00aa003049e2;;AU)S:AI(AU;SAFA;WD;;;WD)",
		"D:",
		"",
		"S:(XA;;;;;;)",
		"D:(A;;FR;;;AN)(A;;KA;;;LS)(A;;FX;;;NS)",
		"D:(#110014)",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree void *sd = NULL;
		size_t size;

		emit(texts[i], strlen(texts[i]));
		if (cim_sddl_parse(texts[i], &sd, &size) == 0)
			emit(sd, size);
	}
}
