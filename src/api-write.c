/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The public functions that make images; see api.c.
 *
 * Windows' rules that are not the writer's are kept here: how paths are spelled, that one stream at
 * a time is open, and that an image that was closed lives until its stream is.
 */
#include "config.h"

#include <glib.h>
#include <string.h>

#include "api-result.h"
#include "api.h"
#include "error.h"
#include "writer.h"

#define IMAGE_MAGIC  0x694D4943u /* "CIMi" */
#define STREAM_MAGIC 0x734D4943u /* "CIMs" */

/* Windows' own layout, where pointers have its size (windows-api.md §2). */
#if UINTPTR_MAX == UINT64_MAX
_Static_assert(sizeof(CIMFS_FILE_METADATA) == 96, "CIMFS_FILE_METADATA");
_Static_assert(offsetof(CIMFS_FILE_METADATA, FileSize) == 8, "CIMFS_FILE_METADATA");
_Static_assert(offsetof(CIMFS_FILE_METADATA, CreationTime) == 16, "CIMFS_FILE_METADATA");
_Static_assert(offsetof(CIMFS_FILE_METADATA, LastWriteTime) == 24, "CIMFS_FILE_METADATA");
_Static_assert(offsetof(CIMFS_FILE_METADATA, ChangeTime) == 32, "CIMFS_FILE_METADATA");
_Static_assert(offsetof(CIMFS_FILE_METADATA, LastAccessTime) == 40, "CIMFS_FILE_METADATA");
_Static_assert(offsetof(CIMFS_FILE_METADATA, SecurityDescriptorBuffer) == 48, "the descriptor");
_Static_assert(offsetof(CIMFS_FILE_METADATA, SecurityDescriptorSize) == 56, "the descriptor");
_Static_assert(offsetof(CIMFS_FILE_METADATA, ReparseDataBuffer) == 64, "the reparse buffer");
_Static_assert(offsetof(CIMFS_FILE_METADATA, ReparseDataSize) == 72, "the reparse buffer");
_Static_assert(offsetof(CIMFS_FILE_METADATA, EaBuffer) == 80, "the EAs");
_Static_assert(offsetof(CIMFS_FILE_METADATA, EaBufferSize) == 88, "the EAs");
#endif
_Static_assert(sizeof(FILE_STAT_BASIC_INFORMATION) == 104, "FILE_STAT_BASIC_INFORMATION");
_Static_assert(offsetof(FILE_STAT_BASIC_INFORMATION, FileAttributes) == 56, "its attributes");
_Static_assert(offsetof(FILE_STAT_BASIC_INFORMATION, VolumeSerialNumber) == 80, "its volume");
_Static_assert(offsetof(FILE_STAT_BASIC_INFORMATION, FileId128) == 88, "its file ID");

struct CIMFS_IMAGE {
	uint32_t magic; /* 0: closed */
	GMutex lock;    /* a call holds it to its end */
	struct cim_writer *writer;
	struct CIMFS_STREAM *stream; /* the one that is open */
	int lost;                    /* what kept a stream from being stored: no commit */
	char *lost_reason;
};

struct CIMFS_STREAM {
	uint32_t magic;
	struct CIMFS_IMAGE *image;
	struct cim_stream_writer *writer; /* NULL: of a directory */
	bool told;                        /* the caller knows that it was not stored */
};

/* ---- opening and closing ---- */

/* What is made with this API has nothing of Linux' but what its EAs say; so has the root. */
static int start(struct cim_writer *w, CIM_CREATE_IMAGE_FLAGS flags, bool from_scratch)
{
	const struct cim_winmeta none = { 0 };
	struct cim_attr root;

	if (flags & CIM_CREATE_IMAGE_CONSISTENT)
		cim_writer_make_consistent(w);
	if (!from_scratch)
		return 0;
	int r = cim_writer_attr(w, cim_writer_root(w), &root);
	if (r == 0)
		r = cim_writer_set_windows(w, cim_writer_root(w), CIM_WIN_EAS, &none);
	return r < 0 ? r : cim_writer_set(w, cim_writer_root(w), CIM_SET_CHANGED, &root);
}

HRESULT CimCreateImage2(const char *imageContainingPath, CIM_CREATE_IMAGE_FLAGS flags,
			const char *existingImageName, const char *newImageName,
			CIMFS_IMAGE_HANDLE *cimImageHandle)
{
	struct cim_writer *writer;

	cim_reason_clear();
	if (!cimImageHandle)
		return null_pointer();
	if (flags & ~(CIM_CREATE_IMAGE_DO_NOT_EXPAND_PE_IMAGES | CIM_CREATE_IMAGE_CONSISTENT))
		return invalid("only the flags 0x1 and 0x10 are known: images of blocks, in "
			       "chunks or verified cannot be made");
	if (!imageContainingPath)
		return invalid("the image directory is NULL");
	int r = cim_writer_open_path(imageContainingPath, existingImageName, newImageName,
				     CIM_CASE_BASE, &writer);
	if (is_missing(r) && !is_directory(imageContainingPath))
		return path_not_found(r);
	if (r < 0)
		return result(r);
	r = start(writer, flags, !existingImageName);
	if (r < 0) {
		cim_writer_close(writer);
		return result(r);
	}
	*cimImageHandle = g_new(struct CIMFS_IMAGE, 1);
	**cimImageHandle = (struct CIMFS_IMAGE){ .magic = IMAGE_MAGIC, .writer = writer };
	g_mutex_init(&(*cimImageHandle)->lock);
	return CIMFS_S_OK;
}

HRESULT CimCreateImage(const char *imageContainingPath, const char *existingImageName,
		       const char *newImageName, CIMFS_IMAGE_HANDLE *cimImageHandle)
{
	return CimCreateImage2(imageContainingPath, CIM_CREATE_IMAGE_NONE, existingImageName,
			       newImageName, cimImageHandle);
}

static void free_image(struct CIMFS_IMAGE *image)
{
	cim_writer_close(image->writer);
	g_mutex_clear(&image->lock);
	g_free(image->lost_reason);
	g_free(image);
}

/* A call on an image begins: it is refused, or *ret_locker holds the lock and must be let go. */
static HRESULT begin(struct CIMFS_IMAGE *image, GMutexLocker **ret_locker)
{
	cim_reason_clear();
	if (!image || image->magic != IMAGE_MAGIC)
		return invalid("the handle is not that of an open image");
	*ret_locker = g_mutex_locker_new(&image->lock);
	if (!image->stream)
		return CIMFS_S_OK;
	cim_reason_set("a stream of the image is open; close it first");
	return CIMFS_E_SHARING_VIOLATION;
}

HRESULT CimCommitImage(CIMFS_IMAGE_HANDLE cimImageHandle)
{
	g_autoptr(GMutexLocker) locker = NULL;
	HRESULT hr = begin(cimImageHandle, &locker);

	if (hr != CIMFS_S_OK)
		return hr;
	if (cimImageHandle->lost < 0) {
		cim_reason_set("a stream could not be stored when it was closed: %s",
			       cimImageHandle->lost_reason);
		return result(cimImageHandle->lost);
	}
	return result(cim_writer_commit(cimImageHandle->writer));
}

void CimCloseImage(CIMFS_IMAGE_HANDLE cimImageHandle)
{
	if (!cimImageHandle || cimImageHandle->magic != IMAGE_MAGIC)
		return;
	g_mutex_lock(&cimImageHandle->lock);
	cimImageHandle->magic = 0;
	bool in_use = cimImageHandle->stream;
	g_mutex_unlock(&cimImageHandle->lock);
	if (!in_use)
		free_image(cimImageHandle);
}

/* ---- paths ---- */

static HRESULT check_name(const char *name, size_t n)
{
	if (n == 0)
		return invalid("a path inside an image has an empty name, or a separator at "
			       "its end");
	if (cim_name_valid_linux(name, n) < 0)
		return CIMFS_E_INVALIDARG;
	return CIMFS_S_OK;
}

/* Every name of a path of @n bytes, before anything is looked up. */
static HRESULT check_path(const char *path, size_t n)
{
	HRESULT hr = CIMFS_S_OK;

	if (memchr(path, ':', n))
		return invalid("a \":\" is for the name of a stream, at a path's end");
	if (n / 3 > CIM_PATH_UNITS_MAX)
		return invalid("a path inside an image is too long");
	for (size_t at = 0, end; hr == CIMFS_S_OK && at < n; at = end + 1) {
		for (end = at; end < n && !cim_api_is_separator(path[end]);)
			end++;
		hr = check_name(path + at, end - at);
		if (hr == CIMFS_S_OK && end + 1 == n)
			hr = check_name(path, 0);
	}
	return hr;
}

/* A path that was checked, taken apart: the directory, and the name in it; no name: the root. */
struct place {
	uint32_t dir_id;
	const char *name;
	size_t n;
};

static HRESULT find_place(struct cim_writer *w, const char *path, size_t n, struct place *ret)
{
	*ret = (struct place){ .dir_id = cim_writer_root(w) };
	if (!path || n == 0)
		return invalid("the path is NULL or empty");
	if (cim_api_is_separator(*path)) {
		path++;
		n--;
	}
	HRESULT hr = check_path(path, n);
	if (hr != CIMFS_S_OK)
		return hr;
	for (size_t at = 0, end; at < n; at = end + 1) {
		for (end = at; end < n && !cim_api_is_separator(path[end]);)
			end++;
		if (ret->name) {
			int r = cim_writer_lookup(w, ret->dir_id, ret->name, ret->n, &ret->dir_id);

			if (is_missing(r)) {
				cim_reason_set("there is no directory \"%.*s\" in the image",
					       (int)(at - 1), path);
				return CIMFS_E_PATH_NOT_FOUND;
			}
			if (r < 0)
				return result(r);
		}
		ret->name = path + at;
		ret->n = end - at;
	}
	return CIMFS_S_OK;
}

/* The file at a path; what is missing is a path here, wherever it ends. */
static HRESULT find_file(struct cim_writer *w, const char *path, size_t n, uint32_t *ret_id)
{
	struct place p;
	HRESULT hr = find_place(w, path, n, &p);

	if (hr != CIMFS_S_OK)
		return hr;
	*ret_id = p.dir_id;
	int r = p.name ? cim_writer_lookup(w, p.dir_id, p.name, p.n, ret_id) : 0;
	if (!is_missing(r))
		return result(r);
	cim_reason_set("there is no \"%.*s\" in the image", (int)n, path);
	return CIMFS_E_PATH_NOT_FOUND;
}

static size_t length(const char *path)
{
	return path ? strlen(path) : 0;
}

/* ---- files ---- */

static HRESULT metadata_of(const CIMFS_FILE_METADATA *m, struct cim_winmeta *ret)
{
	if (!m)
		return invalid("the metadata is NULL");
	if (m->FileSize < 0 || (uint64_t)m->FileSize > CIM_STREAM_SIZE_MAX)
		return invalid("a file's size is not negative, and up to 2^48 - 1 bytes");
	if ((m->Attributes & FILE_ATTRIBUTE_DIRECTORY) && m->FileSize > 0)
		return invalid("a directory has no size");
	*ret = (struct cim_winmeta){
		.attributes = m->Attributes,
		.created = (uint64_t)m->CreationTime.QuadPart,
		.written = (uint64_t)m->LastWriteTime.QuadPart,
		.changed = (uint64_t)m->ChangeTime.QuadPart,
		.accessed = (uint64_t)m->LastAccessTime.QuadPart,
		.sd = m->SecurityDescriptorBuffer,
		.sd_size = m->SecurityDescriptorSize,
		.reparse = m->ReparseDataBuffer,
		.reparse_size = m->ReparseDataSize,
		.eas = m->EaBuffer,
		.eas_size = m->EaBufferSize,
	};
	return cim_winmeta_check(CIM_WIN_ALL, ret) < 0 ? CIMFS_E_INVALIDARG : CIMFS_S_OK;
}

static HRESULT create(struct cim_writer *w, const struct place *p, const struct cim_winmeta *m,
		      uint32_t *ret_id)
{
	int r;

	if (p->name) {
		r = cim_writer_create(w, p->dir_id, p->name, p->n, m, ret_id);
	} else if (!(m->attributes & CIM_ATTRIBUTE_DIRECTORY)) {
		return invalid("the root of an image is a directory");
	} else {
		*ret_id = p->dir_id;
		r = cim_writer_set_windows(w, p->dir_id, CIM_WIN_ALL, m);
	}
	/* The directory was there; a name in it is none where it is a file. */
	return is_missing(r) ? path_not_found(r) : result(r);
}

static void open_stream(struct CIMFS_IMAGE *image, struct cim_stream_writer *writer,
			CIMFS_STREAM_HANDLE *ret)
{
	image->stream = g_new(struct CIMFS_STREAM, 1);
	*image->stream =
		(struct CIMFS_STREAM){ .magic = STREAM_MAGIC, .image = image, .writer = writer };
	*ret = image->stream;
}

HRESULT CimCreateFile(CIMFS_IMAGE_HANDLE cimImageHandle, const char *imageRelativePath,
		      const CIMFS_FILE_METADATA *metadata, CIMFS_STREAM_HANDLE *cimStreamHandle)
{
	g_autoptr(GMutexLocker) locker = NULL;
	struct cim_stream_writer *writer = NULL;
	struct cim_winmeta m;
	struct place p;
	uint32_t id;
	HRESULT hr = begin(cimImageHandle, &locker);

	if (hr == CIMFS_S_OK && !cimStreamHandle)
		hr = null_pointer();
	if (hr == CIMFS_S_OK)
		hr = metadata_of(metadata, &m);
	if (hr == CIMFS_S_OK)
		hr = find_place(cimImageHandle->writer, imageRelativePath,
				length(imageRelativePath), &p);
	if (hr == CIMFS_S_OK)
		hr = create(cimImageHandle->writer, &p, &m, &id);
	if (hr != CIMFS_S_OK)
		return hr;
	if (!(m.attributes & CIM_ATTRIBUTE_DIRECTORY)) {
		int r = cim_stream_writer_open(cimImageHandle->writer, id, NULL,
					       (uint64_t)metadata->FileSize, &writer);

		if (r < 0)
			return result(r);
	}
	open_stream(cimImageHandle, writer, cimStreamHandle);
	return CIMFS_S_OK;
}

/* "path:stream": the file, and the stream's name. */
static HRESULT find_stream_file(struct cim_writer *w, const char *path, uint32_t *ret_id,
				char **ret_stream)
{
	const char *stream;
	size_t n, stream_n;

	if (!path || !cim_api_split_stream(path, &n, &stream, &stream_n))
		return invalid("the path is not of the form \"path:stream\"");
	HRESULT hr = find_file(w, path, n, ret_id);
	if (hr == CIMFS_S_OK)
		*ret_stream = g_strndup(stream, stream_n);
	return hr;
}

HRESULT CimCreateAlternateStream(CIMFS_IMAGE_HANDLE cimImageHandle, const char *imageRelativePath,
				 uint64_t streamSize, CIMFS_STREAM_HANDLE *cimStreamHandle)
{
	g_autoptr(GMutexLocker) locker = NULL;
	g_autofree char *stream = NULL;
	struct cim_stream_writer *writer;
	uint32_t id;
	HRESULT hr = begin(cimImageHandle, &locker);

	if (hr == CIMFS_S_OK && !cimStreamHandle)
		hr = null_pointer();
	if (hr == CIMFS_S_OK && streamSize > CIM_STREAM_SIZE_MAX)
		hr = invalid("a stream has up to 2^48 - 1 bytes");
	if (hr == CIMFS_S_OK)
		hr = find_stream_file(cimImageHandle->writer, imageRelativePath, &id, &stream);
	if (hr != CIMFS_S_OK)
		return hr;
	int r = cim_stream_writer_open(cimImageHandle->writer, id, stream, streamSize, &writer);
	if (r == -ENAMETOOLONG)
		r = -EINVAL;
	if (r < 0)
		return result(r);
	open_stream(cimImageHandle, writer, cimStreamHandle);
	return CIMFS_S_OK;
}

HRESULT CimWriteStream(CIMFS_STREAM_HANDLE cimStreamHandle, const void *buffer, uint32_t bufferSize)
{
	cim_reason_clear();
	if (!cimStreamHandle || cimStreamHandle->magic != STREAM_MAGIC)
		return invalid("the handle is not that of an open stream");
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cimStreamHandle->image->lock);
	if (!cimStreamHandle->writer)
		return invalid("nothing can be written to a directory");
	if (!buffer) {
		cim_reason_set("the buffer is NULL");
		return CIMFS_E_POINTER;
	}
	int r = cim_stream_writer_add(cimStreamHandle->writer, buffer, bufferSize);
	if (r == -EFBIG && cim_stream_writer_error(cimStreamHandle->writer) == 0)
		return CIMFS_E_HANDLE_EOF;
	cimStreamHandle->told = cimStreamHandle->told || r < 0;
	return result(r);
}

void CimCloseStream(CIMFS_STREAM_HANDLE cimStreamHandle)
{
	if (!cimStreamHandle || cimStreamHandle->magic != STREAM_MAGIC)
		return;
	struct CIMFS_IMAGE *image = cimStreamHandle->image;
	g_mutex_lock(&image->lock);
	cim_reason_clear();
	int r = cim_stream_writer_close(cimStreamHandle->writer);
	if (r < 0 && !cimStreamHandle->told && image->lost == 0) {
		image->lost = r;
		image->lost_reason = g_strdup(*cim_reason() ? cim_reason() : g_strerror(-r));
	}
	image->stream = NULL;
	cimStreamHandle->magic = 0;
	g_free(cimStreamHandle);
	bool closed = image->magic == 0;
	g_mutex_unlock(&image->lock);
	if (closed)
		free_image(image);
}

/* ---- names ---- */

HRESULT CimCreateHardLink(CIMFS_IMAGE_HANDLE cimImageHandle, const char *imageRelativePath,
			  const char *existingImageRelativePath)
{
	g_autoptr(GMutexLocker) locker = NULL;
	struct place p;
	uint32_t id;
	HRESULT hr = begin(cimImageHandle, &locker);

	if (hr == CIMFS_S_OK)
		hr = find_file(cimImageHandle->writer, existingImageRelativePath,
			       length(existingImageRelativePath), &id);
	if (hr == CIMFS_S_OK)
		hr = find_place(cimImageHandle->writer, imageRelativePath,
				length(imageRelativePath), &p);
	if (hr == CIMFS_S_OK && !p.name)
		hr = invalid("the root of an image is no link");
	if (hr != CIMFS_S_OK)
		return hr;
	int r = cim_writer_link_over(cimImageHandle->writer, id, p.dir_id, p.name, p.n);
	return is_missing(r) ? path_not_found(r) : result(r);
}

static HRESULT delete_stream(struct cim_writer *w, const char *path)
{
	g_autofree char *stream = NULL;
	uint32_t id;
	HRESULT hr = find_stream_file(w, path, &id, &stream);

	if (hr != CIMFS_S_OK)
		return hr;
	int r = cim_writer_remove_stream(w, id, stream);
	if (r != -ENOENT)
		return result(r);
	cim_reason_set("there is no stream \"%s\" in the image", path);
	return CIMFS_E_PATH_NOT_FOUND;
}

HRESULT CimDeletePath(CIMFS_IMAGE_HANDLE cimImageHandle, const char *imageRelativePath)
{
	g_autoptr(GMutexLocker) locker = NULL;
	struct place p;
	HRESULT hr = begin(cimImageHandle, &locker);

	if (hr == CIMFS_S_OK && imageRelativePath && strchr(imageRelativePath, ':'))
		return delete_stream(cimImageHandle->writer, imageRelativePath);
	if (hr == CIMFS_S_OK)
		hr = find_place(cimImageHandle->writer, imageRelativePath,
				length(imageRelativePath), &p);
	if (hr == CIMFS_S_OK && !p.name)
		hr = invalid("the root of an image cannot be deleted");
	if (hr != CIMFS_S_OK)
		return hr;
	int r = cim_writer_remove(cimImageHandle->writer, p.dir_id, p.name, p.n);
	if (!is_missing(r))
		return result(r);
	cim_reason_set("there is no \"%s\" in the image", imageRelativePath);
	return CIMFS_E_PATH_NOT_FOUND;
}

HRESULT CimLookupFile(CIMFS_IMAGE_HANDLE cimImageHandle, const char *imageRelativePath,
		      uint8_t *exists)
{
	g_autoptr(GMutexLocker) locker = NULL;
	g_autofree char *stream = NULL;
	uint32_t id;
	HRESULT hr = begin(cimImageHandle, &locker);

	if (hr == CIMFS_S_OK && !exists)
		hr = null_pointer();
	if (hr != CIMFS_S_OK)
		return hr;
	if (imageRelativePath && strchr(imageRelativePath, ':'))
		hr = find_stream_file(cimImageHandle->writer, imageRelativePath, &id, &stream);
	else
		hr = find_file(cimImageHandle->writer, imageRelativePath, length(imageRelativePath),
			       &id);
	if (hr == CIMFS_S_OK && stream) {
		ssize_t n = cim_writer_read_stream(cimImageHandle->writer, id, stream, 0, NULL, 0);

		hr = n == -ENOENT ? CIMFS_E_PATH_NOT_FOUND : result((int)n);
	}
	if (hr != CIMFS_S_OK && hr != CIMFS_E_PATH_NOT_FOUND)
		return hr;
	*exists = hr == CIMFS_S_OK;
	return CIMFS_S_OK;
}
