/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The public functions that read images; see api.c.
 */
#include "config.h"

#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>

#include "api-result.h"
#include "api.h"
#include "error.h"
#include "reader.h"

/* In front of each handle, so that a closed or foreign one is refused where that can be seen. */
#define READER_MAGIC 0x724D4943u /* "CIMr" */

#define DEVICE_DISK 7 /* FILE_DEVICE_DISK */

struct CIMFS_READER {
	uint32_t magic;
	struct cim_image *image;
};

/* ---- with a handle ---- */

HRESULT CimReaderOpen(const char *imageContainingPath, const char *imageName,
		      CIMFS_READER_HANDLE *reader)
{
	struct cim_store *store;
	struct cim_image *image;

	cim_reason_clear();
	if (!reader)
		return null_pointer();
	if (!imageContainingPath || !imageName)
		return invalid("the image directory or the image's name is NULL");
	int r = cim_store_name_check(imageName);
	if (r < 0)
		return result(r);
	r = cim_store_open(AT_FDCWD, imageContainingPath, &store);
	if (is_missing(r))
		return path_not_found(r);
	if (r < 0)
		return result(r);
	r = cim_image_open(store, imageName, &image);
	cim_store_unref(store);
	if (r < 0)
		return result(r);
	*reader = g_new(struct CIMFS_READER, 1);
	**reader = (struct CIMFS_READER){ .magic = READER_MAGIC, .image = image };
	return CIMFS_S_OK;
}

void CimReaderClose(CIMFS_READER_HANDLE reader)
{
	if (!reader || reader->magic != READER_MAGIC)
		return;
	cim_image_unref(reader->image);
	reader->magic = 0;
	g_free(reader);
}

static bool is_open(CIMFS_READER_HANDLE reader)
{
	cim_reason_clear();
	return reader && reader->magic == READER_MAGIC;
}

static HRESULT bad_reader(void)
{
	return invalid("the handle is not that of an open reader");
}

uint32_t CimReaderRoot(CIMFS_READER_HANDLE reader)
{
	return is_open(reader) ? reader->image->fs.root_id : 0;
}

/* Whether what is above the last component of a path is a directory. */
static bool has_parent(const struct cim_image *img, const char *path)
{
	size_t n = strlen(path);
	struct cim_entry e;
	uint32_t id;

	while (n > 0 && strchr("/\\", path[n - 1]))
		n--;
	while (n > 0 && !strchr("/\\", path[n - 1]))
		n--;
	g_autofree char *parent = g_strndup(path, n);
	return cim_path_lookup(img, parent, true, &id) == 0 && cim_image_entry(img, id, &e) == 0 &&
	       e.data.type == CIM_STREAM_LINKS;
}

HRESULT CimReaderLookup(CIMFS_READER_HANDLE reader, uint32_t directoryId, const char *path,
			uint32_t *fileId)
{
	struct cim_entry e;

	if (!is_open(reader))
		return bad_reader();
	if (!fileId)
		return null_pointer();
	if (!path)
		return invalid("the path is NULL");
	int r = cim_image_entry(reader->image, directoryId, &e);
	if (r < 0)
		return result(r);
	/* The directory is the root of the walk: neither ".." nor a symlink leads out of it. */
	struct cim_image view = *reader->image;
	view.fs.root_id = directoryId;
	r = cim_path_lookup(&view, path, false, fileId);
	if (is_missing(r) && !has_parent(&view, path))
		return path_not_found(r);
	return result(r == -ENOTDIR ? -ENOENT : r);
}

HRESULT CimReaderStat(CIMFS_READER_HANDLE reader, uint32_t fileId, CIMFS_STAT *stat)
{
	struct cim_entry e;
	struct cim_attr attr;

	if (!is_open(reader))
		return bad_reader();
	if (!stat)
		return null_pointer();
	int r = cim_image_entry(reader->image, fileId, &e);
	if (r == 0)
		r = cim_file_attr_of(reader->image, fileId, &e, &attr);
	if (r < 0)
		return result(r);
	*stat = (CIMFS_STAT){
		.FileId = fileId,
		.Mode = attr.posix.mode,
		.Links = attr.posix.n_links,
		.Uid = attr.posix.uid,
		.Gid = attr.posix.gid,
		.Major = attr.posix.major,
		.Minor = attr.posix.minor,
		.Attributes = cim_attributes_of_entry(&e),
		.ReparseTag = e.reparse_tag,
		.Size = attr.size,
		.Blocks = attr.blocks,
		.CreationTime = attr.created,
		.LastWriteTime = attr.written,
		.ChangeTime = attr.changed,
		.LastAccessTime = attr.accessed,
	};
	return CIMFS_S_OK;
}

/* Call back with each name of a link table, of files or of streams. */
static HRESULT list_links(const struct cim_links *l, uint32_t file_id, CIMFS_LIST_CALLBACK callback,
			  void *context)
{
	uint16_t units[CIM_NAME_UNITS];
	char name[CIM_NAME_BYTES + 1];

	for (uint32_t i = 0; i < l->n; i++) {
		int r = cim_links_name(l, i, units);

		if (r >= 0)
			r = cim_name_shown(units, (size_t)r, name);
		if (r < 0)
			return result(r);
		HRESULT hr = callback(context, name,
				      l->entry_size == CIM_LINK_ID ? cim_links_id(l, i) : file_id);
		if (hr != CIMFS_S_OK)
			return hr;
	}
	return CIMFS_S_OK;
}

typedef int links_of(const struct cim_image *img, const struct cim_entry *e, struct cim_links *ret);

static HRESULT list_of(CIMFS_READER_HANDLE reader, uint32_t id, links_of *fn,
		       CIMFS_LIST_CALLBACK callback, void *context)
{
	struct cim_entry e;
	struct cim_links l;

	if (!is_open(reader))
		return bad_reader();
	if (!callback)
		return null_pointer();
	int r = cim_image_entry(reader->image, id, &e);
	if (r == 0)
		r = fn(reader->image, &e, &l);
	return r < 0 ? result(r) : list_links(&l, id, callback, context);
}

HRESULT CimReaderList(CIMFS_READER_HANDLE reader, uint32_t directoryId,
		      CIMFS_LIST_CALLBACK callback, void *context)
{
	return list_of(reader, directoryId, cim_dir_links, callback, context);
}

static HRESULT read_stream(const struct cim_image *img, const struct cim_stream *s, uint64_t offset,
			   void *buffer, size_t size, size_t *bytes_read)
{
	ssize_t n = cim_stream_read(img, s, offset, buffer, size);

	if (n < 0)
		return result((int)n);
	*bytes_read = (size_t)n;
	return CIMFS_S_OK;
}

HRESULT CimReaderRead(CIMFS_READER_HANDLE reader, uint32_t fileId, uint64_t offset, void *buffer,
		      size_t size, size_t *bytesRead)
{
	struct cim_entry e;
	struct cim_attr attr;

	if (!is_open(reader))
		return bad_reader();
	if (!bytesRead || (!buffer && size > 0))
		return null_pointer();
	int r = cim_image_entry(reader->image, fileId, &e);
	if (r == 0)
		r = cim_file_attr_of(reader->image, fileId, &e, &attr);
	if (r < 0)
		return result(r);
	if (!S_ISREG(attr.posix.mode))
		return invalid("only a regular file can be read");
	return read_stream(reader->image, &e.data, offset, buffer, size, bytesRead);
}

HRESULT CimReaderReadLink(CIMFS_READER_HANDLE reader, uint32_t fileId, char *buffer, size_t size)
{
	char target[CIM_SYMLINK_MAX + 1];

	if (!is_open(reader))
		return bad_reader();
	if (!buffer)
		return null_pointer();
	int n = cim_file_readlink(reader->image, fileId, target);
	if (n < 0)
		return result(n);
	if ((size_t)n >= size)
		return invalid("the buffer is too small for the symlink's target and a NUL");
	memcpy(buffer, target, (size_t)n + 1);
	return CIMFS_S_OK;
}

struct xattr_listing {
	CIMFS_LIST_CALLBACK callback;
	void *context;
	uint32_t file_id;
	HRESULT hr;
};

static int list_xattr(void *arg, const char *name)
{
	struct xattr_listing *x = arg;

	x->hr = x->callback(x->context, name, x->file_id);
	return x->hr != CIMFS_S_OK;
}

HRESULT CimReaderListXattrs(CIMFS_READER_HANDLE reader, uint32_t fileId,
			    CIMFS_LIST_CALLBACK callback, void *context)
{
	struct xattr_listing x = { callback, context, fileId, CIMFS_S_OK };
	struct cim_entry e;

	if (!is_open(reader))
		return bad_reader();
	if (!callback)
		return null_pointer();
	int r = cim_image_entry(reader->image, fileId, &e);
	if (r == 0)
		r = cim_file_list_xattrs(reader->image, &e, list_xattr, &x);
	return r < 0 ? result(r) : x.hr;
}

HRESULT CimReaderGetXattr(CIMFS_READER_HANDLE reader, uint32_t fileId, const char *name,
			  void *buffer, size_t size, size_t *valueSize)
{
	struct cim_entry e;

	if (!is_open(reader))
		return bad_reader();
	if (!valueSize || (!buffer && size > 0))
		return null_pointer();
	if (!name)
		return invalid("the attribute's name is NULL");
	int r = cim_image_entry(reader->image, fileId, &e);
	if (r < 0)
		return result(r);
	ssize_t n = cim_file_get_xattr(reader->image, &e, name, buffer, size);
	if (n == -ERANGE)
		return invalid("the buffer is too small for the attribute's value");
	if (n < 0)
		return result(n == -ENODATA ? -ENOENT : (int)n);
	*valueSize = (size_t)n;
	return CIMFS_S_OK;
}

HRESULT CimReaderListStreams(CIMFS_READER_HANDLE reader, uint32_t fileId,
			     CIMFS_LIST_CALLBACK callback, void *context)
{
	return list_of(reader, fileId, cim_file_streams, callback, context);
}

HRESULT CimReaderReadStream(CIMFS_READER_HANDLE reader, uint32_t fileId, const char *name,
			    uint64_t offset, void *buffer, size_t size, size_t *bytesRead)
{
	struct cim_stream s;
	struct cim_entry e;

	if (!is_open(reader))
		return bad_reader();
	if (!bytesRead || (!buffer && size > 0))
		return null_pointer();
	if (!name)
		return invalid("the stream's name is NULL");
	int r = cim_image_entry(reader->image, fileId, &e);
	if (r == 0)
		r = cim_file_stream_by_name(reader->image, &e, name, &s);
	return r < 0 ? result(r) : read_stream(reader->image, &s, offset, buffer, size, bytesRead);
}

/* ---- without a handle ---- */

static HRESULT open_path(const char *image_path, CIMFS_READER_HANDLE *ret)
{
	if (!image_path || !*image_path)
		return invalid("the image's path is NULL or empty");
	g_autofree char *directory = g_path_get_dirname(image_path);
	g_autofree char *name = g_path_get_basename(image_path);
	return CimReaderOpen(directory, name, ret);
}

/* A path, or else the file of "path:stream"; *ret_stream is then its name, else NULL; g_free(). */
static HRESULT find_path(CIMFS_READER_HANDLE reader, const char *path, uint32_t *ret_id,
			 char **ret_stream)
{
	uint32_t root = CimReaderRoot(reader);
	HRESULT hr = CimReaderLookup(reader, root, path, ret_id);
	const char *stream;
	size_t n, stream_n;

	*ret_stream = NULL;
	if (hr != CIMFS_E_FILE_NOT_FOUND || !cim_api_split_stream(path, &n, &stream, &stream_n))
		return hr;
	g_autofree char *file = g_strndup(path, n);
	*ret_stream = g_strndup(stream, stream_n);
	return CimReaderLookup(reader, root, file, ret_id);
}

static HRESULT read_path(CIMFS_READER_HANDLE reader, const char *path, uint64_t offset,
			 void *buffer, uint64_t size, uint64_t *bytes_read,
			 uint64_t *bytes_remaining)
{
	struct cim_stream s;
	struct cim_attr attr;
	struct cim_entry e;
	g_autofree char *stream = NULL;
	size_t n = 0;
	uint32_t id;
	HRESULT hr = find_path(reader, path, &id, &stream);

	if (hr != CIMFS_S_OK)
		return hr;
	int r = cim_image_entry(reader->image, id, &e);
	if (r == 0)
		r = cim_file_attr_of(reader->image, id, &e, &attr);
	if (r == 0 && stream)
		r = cim_file_stream_by_name(reader->image, &e, stream, &s);
	if (r < 0)
		return result(r);
	if (!stream)
		s = e.data;
	if (!stream && !S_ISREG(attr.posix.mode))
		return invalid("only a regular file can be read");
	hr = read_stream(reader->image, &s, offset, buffer, (size_t)MIN(size, SSIZE_MAX), &n);
	if (hr != CIMFS_S_OK)
		return hr;
	*bytes_read = n;
	*bytes_remaining = offset + n < s.size ? s.size - offset - n : 0;
	return CIMFS_S_OK;
}

HRESULT CimReadFile(const char *imagePath, const char *filePath, uint64_t offset, void *buffer,
		    uint64_t size, uint64_t *bytesRead, uint64_t *bytesRemaining)
{
	CIMFS_READER_HANDLE reader;

	cim_reason_clear();
	if (!bytesRead || !bytesRemaining || (!buffer && size > 0))
		return null_pointer();
	HRESULT hr = open_path(imagePath, &reader);
	if (hr != CIMFS_S_OK)
		return hr;
	hr = read_path(reader, filePath, offset, buffer, size, bytesRead, bytesRemaining);
	CimReaderClose(reader);
	return hr;
}

static LARGE_INTEGER large(uint64_t value)
{
	return (LARGE_INTEGER){ .QuadPart = (int64_t)value };
}

static HRESULT stat_path(CIMFS_READER_HANDLE reader, const char *path,
			 FILE_STAT_BASIC_INFORMATION *ret)
{
	uint32_t id;
	CIMFS_STAT st;
	HRESULT hr = CimReaderLookup(reader, CimReaderRoot(reader), path, &id);

	if (hr == CIMFS_S_OK)
		hr = CimReaderStat(reader, id, &st);
	if (hr != CIMFS_S_OK)
		return hr;
	bool is_dir = st.Attributes & FILE_ATTRIBUTE_DIRECTORY;
	bool is_file = S_ISREG(st.Mode);
	*ret = (FILE_STAT_BASIC_INFORMATION){
		.FileId = large(id),
		.CreationTime = large(st.CreationTime),
		.LastAccessTime = large(st.LastAccessTime),
		.LastWriteTime = large(st.LastWriteTime),
		.ChangeTime = large(st.ChangeTime),
		.AllocationSize = large(is_file && !is_dir ? st.Blocks * 512 : 0),
		.EndOfFile = large(is_file && !is_dir ? st.Size : 0),
		.FileAttributes = st.Attributes,
		.ReparseTag = st.ReparseTag,
		.NumberOfLinks = st.Links,
		.DeviceType = DEVICE_DISK,
		.VolumeSerialNumber = large(cim_load64(reader->image->header.own.guid.b)),
	};
	cim_store32(ret->FileId128, id);
	return CIMFS_S_OK;
}

HRESULT CimGetFileStatBasicInformation(const char *imagePath, const char *filePath,
				       FILE_STAT_BASIC_INFORMATION *information)
{
	CIMFS_READER_HANDLE reader;

	cim_reason_clear();
	if (!information)
		return null_pointer();
	HRESULT hr = open_path(imagePath, &reader);
	if (hr != CIMFS_S_OK)
		return hr;
	hr = stat_path(reader, filePath, information);
	CimReaderClose(reader);
	return hr;
}
