/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The public functions that keep image directories in order; see api.c.
 */
#include "config.h"

#include <fcntl.h>

#include "api-result.h"
#include "delete.h"
#include "fsck.h"
#include "garbage.h"
#include "treehash.h"

/* What a callback of the caller's ended a call with; inside it is -ECANCELED. */
struct call {
	union {
		CIMFS_COLLECT_CALLBACK collect;
		CIMFS_CHECK_CALLBACK check;
	} callback;
	void *context;
	HRESULT hr;
};

static int ended(struct call *c, HRESULT hr)
{
	c->hr = hr;
	return hr == CIMFS_S_OK ? 0 : -ECANCELED;
}

/* Open the directory that a call is about; S_OK, or what the call returns. */
static HRESULT open_store(const char *path, uint32_t flags, uint32_t known, struct cim_store **ret)
{
	cim_reason_clear();
	if (!path)
		return invalid("the image directory is NULL");
	if (flags & ~known)
		return invalid("a flag is not known");
	int r = cim_store_open(AT_FDCWD, path, ret);
	return is_missing(r) ? path_not_found(r) : result(r);
}

/* ---- removing ---- */

HRESULT CimDeleteImage(const char *imageContainingPath, const char *imageName)
{
	struct cim_store *store;

	if (!imageName)
		return invalid("the image's name is NULL");
	HRESULT hr = open_store(imageContainingPath, 0, 0, &store);
	if (hr != CIMFS_S_OK)
		return hr;
	int r = cim_store_delete(store, imageName);
	cim_store_unref(store);
	return result(r);
}

static int on_file(void *arg, const char *name, uint64_t size)
{
	struct call *c = arg;

	return ended(c, c->callback.collect(c->context, name, size));
}

HRESULT CimCollectGarbage(const char *imageContainingPath, uint32_t flags,
			  CIMFS_COLLECT_CALLBACK callback, void *context)
{
	struct call c = { .callback.collect = callback, .context = context };
	struct cim_store *store;
	HRESULT hr = open_store(imageContainingPath, flags, CIMFS_COLLECT_DRY_RUN, &store);

	if (hr != CIMFS_S_OK)
		return hr;
	int r = cim_store_gc(store, flags & CIMFS_COLLECT_DRY_RUN, callback ? on_file : NULL, &c);
	cim_store_unref(store);
	return c.hr != CIMFS_S_OK ? c.hr : result(r);
}

/* ---- comparing ---- */

_Static_assert(CIMFS_HASH_SIZE == CIM_SHA256_SIZE, "the digest is a SHA-256");

HRESULT CimHashImage(const char *imageContainingPath, const char *imageName, uint32_t flags,
		     uint8_t digest[CIMFS_HASH_SIZE])
{
	const struct cim_tree_hash_options opt = { .windows = flags & CIMFS_HASH_WINDOWS };
	struct cim_store *store;
	struct cim_image *img;

	if (!digest)
		return null_pointer();
	if (!imageName)
		return invalid("the image's name is NULL");
	HRESULT hr = open_store(imageContainingPath, flags, CIMFS_HASH_WINDOWS, &store);
	if (hr != CIMFS_S_OK)
		return hr;
	int r = cim_store_name_check(imageName);
	if (r == 0)
		r = cim_image_open(store, imageName, &img);
	cim_store_unref(store);
	if (r < 0)
		return result(r);
	r = cim_tree_hash(img, img->fs.root_id, &opt, digest);
	cim_image_unref(img);
	return result(r);
}

/* ---- checking ---- */

static int on_finding(void *arg, const struct cim_fsck_finding *f)
{
	struct call *c = arg;
	const CIMFS_FINDING finding = {
		.IsDamage = f->severity == CIM_FSCK_DAMAGE,
		.FileId = f->id,
		.RegionOffset = f->off,
		.Rule = f->rule,
		.ImageName = f->image,
		.FileName = f->file,
		.Path = f->path,
		.Text = f->text,
	};

	return ended(c, c->callback.check(c->context, &finding));
}

static HRESULT damaged(void)
{
	cim_reason_set("there is damage; see the findings");
	return CIMFS_E_FILE_CORRUPT;
}

HRESULT CimCheckImage(const char *imageContainingPath, const char *imageName, uint32_t flags,
		      CIMFS_CHECK_CALLBACK callback, void *context)
{
	struct call c = { .callback.check = callback, .context = context };
	const struct cim_fsck_options opt = { .data = flags & CIMFS_CHECK_DATA };
	cim_fsck_fn fn = callback ? on_finding : NULL;
	struct cim_store *store;
	HRESULT hr = open_store(imageContainingPath, flags, CIMFS_CHECK_DATA, &store);

	if (hr != CIMFS_S_OK)
		return hr;
	int r = imageName ? cim_store_name_check(imageName) : 0;
	if (r == 0)
		r = imageName ? cim_fsck_image(store, imageName, &opt, fn, &c)
			      : cim_fsck_directory(store, &opt, fn, &c);
	cim_store_unref(store);
	if (c.hr != CIMFS_S_OK)
		return c.hr;
	if (r == 1)
		return damaged();
	/* Not damage: the HRESULT of that version must not say so. */
	if (r == -CIM_EVERSION)
		r = -EOPNOTSUPP;
	return result(r);
}
