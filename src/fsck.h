/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checking images and the directory that has them, against every rule of the format.
 *
 * Two kinds of finding.  *Damage* breaks a rule that readers rely on: something cannot be reached,
 * is not what it should be, or says two things.  A *note* is something that a strict writer does
 * not leave behind, or that costs space only: nothing is lost by it, and an image made elsewhere
 * may well have it.
 *
 * Nothing is changed and no lock is taken.  Memory: about 20 bytes a file and 100 bytes a
 * directory of one image at a time, and with @data 16 bytes an object of one region file; all of
 * it in proportion to bytes that the image really has, whatever its counts claim.  Symlinks are not
 * followed and what is no regular file is never opened for good.
 */
#ifndef CIM_FSCK_H
#define CIM_FSCK_H

#include <stdbool.h>
#include <stdint.h>

#include "store.h"

enum cim_fsck_severity { CIM_FSCK_NOTE, CIM_FSCK_DAMAGE };

/* One thing that was found.  Strings are the checker's, for the time of the call. */
struct cim_fsck_finding {
	enum cim_fsck_severity severity;
	const char *rule;  /* which rule, a word that does not change: "link-order"; cimfs(1) */
	const char *image; /* name of the image, or NULL: it concerns none */
	const char *file;  /* file of the directory that it is about, or NULL */
	uint32_t id;       /* file ID, 0: none */
	const char *path;  /* path of that file in the image, if it can be told, or NULL */
	uint64_t off;      /* region offset in the image, 0: none */
	const char *text;  /* a sentence: what, where, why */
};

/** Called for each finding; a negative errno ends the check and is returned. */
typedef int (*cim_fsck_fn)(void *arg, const struct cim_fsck_finding *f);

struct cim_fsck_totals {
	uint64_t n_damage, n_notes; /* findings, also those past max_findings */
	uint64_t n_images;          /* images that were looked at */
	uint64_t n_files;           /* files of them, directories too, that directories name */
	uint64_t n_bytes;           /* bytes of region files that were read, with @data */
};

/* All zeros is a sensible choice. */
struct cim_fsck_options {
	bool data;    /* read all data, and compare every object with its digest */
	bool foreign; /* also note files of the directory that have nothing to do with images */
	uint64_t max_findings;          /* so many are told, the rest only counted; 0: all */
	struct cim_fsck_totals *totals; /* NULL, or what is found is added here */
	/* NULL, or called now and then with @data; a negative errno ends the check. */
	int (*progress)(void *arg, uint64_t done_bytes, uint64_t all_bytes);
};

/**
 * cim_fsck_image - check one image and the region sets that it lists
 * @opt: NULL: the defaults
 * @fn, @arg: told of each finding; NULL: they are counted only
 *
 * Returns 0: no damage; 1: damage; or it cannot be told: -ENOENT (no such image), -EACCES, -EMFILE,
 * -ENOMEM, -EIO of the directory, what @fn or @opt->progress returned.
 */
int cim_fsck_image(struct cim_store *store, const char *name, const struct cim_fsck_options *opt,
		   cim_fsck_fn fn, void *arg);

/**
 * cim_fsck_directory - check all images of a directory, each region set once, and the other files
 *
 * Files that no image lists and leftovers of writers are notes.  Returns as cim_fsck_image(); where
 * one image cannot be told, the others are still checked, and damage that is found is what counts.
 */
int cim_fsck_directory(struct cim_store *store, const struct cim_fsck_options *opt, cim_fsck_fn fn,
		       void *arg);

#endif
