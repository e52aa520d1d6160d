/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a file of an image is, in words and as JSON, for the commands that show files.
 */
#ifndef CIMFS_SHOW_H
#define CIMFS_SHOW_H

#include <glib.h>

#include "reader.h"

#define SHOW_MODE    11 /* "drwxr-xr-x" and a NUL */
#define SHOW_LETTERS 8  /* "RHSDAPL" and a NUL */

/** show_mode - as ls -l has it */
void show_mode(uint32_t mode, char ret[SHOW_MODE]);

/** show_type - "file", "directory", … */
const char *show_type(uint32_t mode);

/** show_attribute_letters - attributes of Windows, a letter or "-" for each */
void show_attribute_letters(uint32_t value, char ret[SHOW_LETTERS]);

/** show_attribute_names - append their names, as "HIDDEN SYSTEM" */
void show_attribute_names(GString *text, const char *separator, uint32_t value);

/** show_tag - the name of a reparse tag, or NULL */
const char *show_tag(uint32_t tag);

bool show_is_device(const struct cim_attr *a);

/** show_json_attr - append the members of a JSON object that every listing has */
void show_json_attr(GString *json, const struct cim_image *img, const struct cim_attr *a);

/** show_json_attributes - append the members for attributes and the reparse tag */
void show_json_attributes(GString *json, const struct cim_entry *e);

/** Called with each alternate data stream. */
typedef void (*show_stream_fn)(void *arg, const char *name, const struct cim_stream *s);

/** show_streams - call @fn with each alternate data stream; 0, -CIM_ECORRUPT (after those that are
 * sound), -EIO */
int show_streams(const struct cim_image *img, const struct cim_entry *e, show_stream_fn fn,
		 void *arg);

#endif
