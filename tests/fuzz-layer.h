/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For fuzz targets: what Windows keeps of a file goes into a tar and comes back, byte for byte.
 */
#ifndef CIM_TESTS_FUZZ_LAYER_H
#define CIM_TESTS_FUZZ_LAYER_H

#include "fuzz.h"
#include "layer.h"

/* As the reader of tars has records: each key once, its last value in the place of the first. */
static int fuzz_keep_record(void *arg, const struct pax_record *r)
{
	GArray *records = arg;

	for (guint i = 0; i < records->len; i++) {
		struct pax_record *seen = &g_array_index(records, struct pax_record, i);

		if (strcmp(seen->key, r->key) == 0) {
			*seen = *r;
			return 0;
		}
	}
	g_array_append_vals(records, r, 1);
	return 0;
}

/**
 * fuzz_check_layer - write what is there as records, and read them
 * @type: of the tar's entry
 * @link: what it leads to, of a symlink
 */
static void fuzz_check_layer(const struct cim_winmeta *m, char type, const char *link)
{
	g_autoptr(GString) records = g_string_new(NULL);
	g_autoptr(GString) target = g_string_new(link);
	g_autoptr(GArray) array = g_array_new(FALSE, FALSE, sizeof(struct pax_record));
	struct layer_file f;

	layer_add_records(m, records, type == TAR_SYMLINK ? target : NULL);
	if (cim_winmeta_check(CIM_WIN_ALL, m) < 0)
		return; /* of an image that another has made; no gate would let it pass again */
	fuzz_check(pax_parse(records->str, records->len, fuzz_keep_record, array) == 0);
	struct tar_entry e = { .type = type, .link = target->str, .records = array };
	fuzz_check(layer_has_records(&e));
	fuzz_check(layer_parse(&e, LAYER_AUTO, &f) == 0 && f.is_windows);
	fuzz_check(f.meta.sd_size == m->sd_size &&
		   (m->sd_size == 0 || memcmp(f.meta.sd, m->sd, m->sd_size) == 0));
	fuzz_check(f.meta.eas_size == m->eas_size &&
		   (m->eas_size == 0 || memcmp(f.meta.eas, m->eas, m->eas_size) == 0));
	if (m->reparse_size > 0 || type != TAR_SYMLINK) /* which gets a buffer if it has none */
		fuzz_check(f.meta.reparse_size == m->reparse_size &&
			   (m->reparse_size == 0 ||
			    memcmp(f.meta.reparse, m->reparse, m->reparse_size) == 0));
	layer_file_clear(&f);
}

#endif
