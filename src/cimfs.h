/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimfs.h - composite images (CimFS) on Linux
 *
 * Making images: the functions of Windows' cimfs.h under their names, with UTF-8 strings for
 * PCWSTR and the same HRESULTs.  Reading images: a small API of this library's own, CimReader….
 * Checking, comparing and removing them: more of its own, at the end.
 *
 *	CIMFS_IMAGE_HANDLE image;
 *	if (FAILED(CimCreateImage("/srv/images", "base.cim", "app.cim", &image)))
 *		errx(1, "%s", CimGetReason());
 *
 * Not here, as the format of none of it is public: block images, sealed, verified and merged ones.
 * All strings are UTF-8 or any other bytes without NUL; paths inside an image take "/" and "\".
 * Handles may be used from any thread; a reader's functions may run at the same time on one
 * handle, a writer's are serialised.
 */
#ifndef CIMFS_H
#define CIMFS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#ifndef _HRESULT_DEFINED
#define _HRESULT_DEFINED
typedef int32_t HRESULT;
#endif

#ifndef FAILED
#define SUCCEEDED(hr) ((HRESULT)(hr) >= 0)
#define FAILED(hr)    ((HRESULT)(hr) < 0)
#endif

/* The values as Windows documents them. */
#define CIMFS_S_OK                ((HRESULT)0x00000000)
#define CIMFS_E_POINTER           ((HRESULT)0x80004003)
#define CIMFS_E_FAIL              ((HRESULT)0x80004005)
#define CIMFS_E_ACCESSDENIED      ((HRESULT)0x80070005)
#define CIMFS_E_OUTOFMEMORY       ((HRESULT)0x8007000E)
#define CIMFS_E_INVALIDARG        ((HRESULT)0x80070057)
#define CIMFS_E_FILE_NOT_FOUND    ((HRESULT)0x80070002)
#define CIMFS_E_PATH_NOT_FOUND    ((HRESULT)0x80070003)
#define CIMFS_E_SHARING_VIOLATION ((HRESULT)0x80070020)
#define CIMFS_E_HANDLE_EOF        ((HRESULT)0x80070026)
#define CIMFS_E_FILE_EXISTS       ((HRESULT)0x80070050)
#define CIMFS_E_DISK_FULL         ((HRESULT)0x80070070)
#define CIMFS_E_FILE_CORRUPT      ((HRESULT)0x80070570)

/* The same under the names of winerror.h, for programs that were written for Windows. */
#ifndef S_OK
#define S_OK           CIMFS_S_OK
#define E_INVALIDARG   CIMFS_E_INVALIDARG
#define E_POINTER      CIMFS_E_POINTER
#define E_ACCESSDENIED CIMFS_E_ACCESSDENIED
#endif
#ifndef HRESULT_FROM_WIN32
#define HRESULT_FROM_WIN32(code) ((HRESULT)((code) ? ((uint32_t)(code)&0xFFFFu) | 0x80070000u : 0))
#endif
#ifndef ERROR_FILE_NOT_FOUND
#define ERROR_FILE_NOT_FOUND    2
#define ERROR_PATH_NOT_FOUND    3
#define ERROR_SHARING_VIOLATION 32
#define ERROR_HANDLE_EOF        38
#define ERROR_FILE_EXISTS       80
#endif

/* ---- types of Windows' headers ---- */

#ifndef _LARGE_INTEGER_DEFINED
#define _LARGE_INTEGER_DEFINED
typedef union _LARGE_INTEGER {
	struct {
		uint32_t LowPart;
		int32_t HighPart;
	} u;
	int64_t QuadPart;
} LARGE_INTEGER;
#endif

#ifndef FILE_ATTRIBUTE_READONLY
#define FILE_ATTRIBUTE_READONLY      0x00000001u
#define FILE_ATTRIBUTE_HIDDEN        0x00000002u
#define FILE_ATTRIBUTE_SYSTEM        0x00000004u
#define FILE_ATTRIBUTE_DIRECTORY     0x00000010u
#define FILE_ATTRIBUTE_ARCHIVE       0x00000020u
#define FILE_ATTRIBUTE_NORMAL        0x00000080u
#define FILE_ATTRIBUTE_SPARSE_FILE   0x00000200u
#define FILE_ATTRIBUTE_REPARSE_POINT 0x00000400u
#endif

#ifndef _FILE_STAT_BASIC_INFORMATION_DEFINED
#define _FILE_STAT_BASIC_INFORMATION_DEFINED
typedef struct _FILE_STAT_BASIC_INFORMATION {
	LARGE_INTEGER FileId;
	LARGE_INTEGER CreationTime; /* 100 ns since 1601-01-01 UTC */
	LARGE_INTEGER LastAccessTime;
	LARGE_INTEGER LastWriteTime;
	LARGE_INTEGER ChangeTime;
	LARGE_INTEGER AllocationSize; /* bytes */
	LARGE_INTEGER EndOfFile;      /* bytes */
	uint32_t FileAttributes;      /* FILE_ATTRIBUTE_… */
	uint32_t ReparseTag;
	uint32_t NumberOfLinks;
	uint32_t DeviceType; /* 7, a disk */
	uint32_t DeviceCharacteristics;
	uint32_t Reserved;
	LARGE_INTEGER VolumeSerialNumber; /* from the GUID of the image's region set */
	uint8_t FileId128[16];
} FILE_STAT_BASIC_INFORMATION;
#endif

/* ---- making images ---- */

typedef struct CIMFS_IMAGE *CIMFS_IMAGE_HANDLE;
typedef struct CIMFS_STREAM *CIMFS_STREAM_HANDLE;

/*
 * What a file is made with; times in 100 ns since 1601-01-01 UTC.  The buffers are copied.
 *
 * Of the attributes READONLY, HIDDEN, SYSTEM, ARCHIVE and SPARSE_FILE are kept, DIRECTORY says what
 * is made; the others are dropped.  A file has a Linux owner, mode or device only where its EAs say
 * so ($LXUID, $LXGID, $LXMOD, $LXDEV, as WSL has them).
 */
typedef struct _CIMFS_FILE_METADATA {
	uint32_t Attributes; /* FILE_ATTRIBUTE_… */
	int64_t FileSize;    /* bytes of the main stream, for good; 0 for directories */
	LARGE_INTEGER CreationTime;
	LARGE_INTEGER LastWriteTime;
	LARGE_INTEGER ChangeTime;
	LARGE_INTEGER LastAccessTime;
	const void *SecurityDescriptorBuffer; /* self-relative; NULL: everything is allowed */
	uint32_t SecurityDescriptorSize;      /* bytes, as the other two */
	const void *ReparseDataBuffer;        /* REPARSE_DATA_BUFFER, tag first; or NULL */
	uint32_t ReparseDataSize;
	const void *EaBuffer; /* a list of FILE_FULL_EA_INFORMATION; or NULL */
	uint32_t EaBufferSize;
} CIMFS_FILE_METADATA;

typedef uint32_t CIM_CREATE_IMAGE_FLAGS;
#define CIM_CREATE_IMAGE_NONE                    0x00000000u
#define CIM_CREATE_IMAGE_DO_NOT_EXPAND_PE_IMAGES 0x00000001u /* nothing is expanded here anyway */
#define CIM_CREATE_IMAGE_CONSISTENT              0x00000010u /* same input, same bytes */

/**
 * CimCreateImage - open the writer of an image
 * @imageContainingPath: directory of the images; it must exist, and the caller may list it and add
 * files
 * @existingImageName: image to start from, or NULL (an empty string is not NULL)
 * @newImageName: image to make, or NULL to replace @existingImageName
 * @cimImageHandle: set on success; CimCloseImage()
 *
 * (NULL, N) makes N from scratch; (E, NULL) and (E, E) rewrite E; (E, N) forks.  One writer at a
 * time for a directory, on the whole system.
 *
 * Returns S_OK; E_INVALIDARG (no name, or one that may not be an image's); E_POINTER;
 * 0x80070003 the directory does not exist; E_ACCESSDENIED; 0x80070020 another writer holds it;
 * 0x80070002 the existing image is not there; 0x80070050 the new one is; 0x80070570 the existing
 * one is damaged; 0x80070070 no space.  Documented by Microsoft but for the last two.
 */
HRESULT CimCreateImage(const char *imageContainingPath, const char *existingImageName,
		       const char *newImageName, CIMFS_IMAGE_HANDLE *cimImageHandle);

/**
 * CimCreateImage2 - the same with CIM_CREATE_IMAGE_… flags
 *
 * A consistent image has the same bytes wherever it is made: no clock is read, files are numbered
 * and lie by their names, and its region set has its GUID from what it holds.  Where the directory
 * has that set already, the images share it.
 *
 * Returns what CimCreateImage() does, and E_INVALIDARG for any other flag.
 */
HRESULT CimCreateImage2(const char *imageContainingPath, CIM_CREATE_IMAGE_FLAGS flags,
			const char *existingImageName, const char *newImageName,
			CIMFS_IMAGE_HANDLE *cimImageHandle);

/*
 * Paths inside an image have names between "\\" or "/", and may begin with one; "\\" alone is the
 * root.  A name is none of "", "." and "..", has no ":", and up to 255 UTF-16 units, a path 32767.
 * A stream is named "path:stream" or "path:stream:$DATA".  Directories on the way must exist.
 *
 * One stream at a time is open on an image.  Meanwhile every function that takes the image, but
 * CimCloseImage(), returns 0x80070020.  After CimCommitImage() they return E_INVALIDARG.
 */

/**
 * CimCreateFile - make a file or (FILE_ATTRIBUTE_DIRECTORY) a directory, and open its main stream
 * @metadata: what it is made with; its size is for good, and what is not written reads as zeros
 * @cimStreamHandle: to be closed, also that of a directory, to which nothing can be written
 *
 * What has the name already is replaced, a directory with all that is in it; other names of a file
 * keep it.  A directory in place of a directory keeps the names in it and its streams, and gets the
 * metadata; so does the root.
 *
 * Returns S_OK; E_INVALIDARG (handle, path, metadata); E_POINTER; 0x80070003 (a directory on the
 * way is missing); 0x80070020; 0x80070070.
 */
HRESULT CimCreateFile(CIMFS_IMAGE_HANDLE cimImageHandle, const char *imageRelativePath,
		      const CIMFS_FILE_METADATA *metadata, CIMFS_STREAM_HANDLE *cimStreamHandle);

/**
 * CimCreateAlternateStream - make a named stream of a file or directory, or make it anew
 * @imageRelativePath: "path:stream"
 * @streamSize: bytes, for good; what is not written reads as zeros
 * Returns S_OK; E_INVALIDARG; E_POINTER; 0x80070003 (the file is missing); 0x80070020; 0x80070070.
 */
HRESULT CimCreateAlternateStream(CIMFS_IMAGE_HANDLE cimImageHandle, const char *imageRelativePath,
				 uint64_t streamSize, CIMFS_STREAM_HANDLE *cimStreamHandle);

/**
 * CimWriteStream - add bytes behind those that were written
 * Returns S_OK; E_INVALIDARG (handle; a directory's); E_POINTER (@buffer); 0x80070026 (past the
 * stream's size: what fits was kept); 0x80070070.
 */
HRESULT CimWriteStream(CIMFS_STREAM_HANDLE cimStreamHandle, const void *buffer,
		       uint32_t bufferSize);

/**
 * CimCloseStream - close a stream; takes NULL
 * Where its last bytes could not be stored, the commit says so and fails.
 */
void CimCloseStream(CIMFS_STREAM_HANDLE cimStreamHandle);

/**
 * CimCreateHardLink - one more name of a file; the new name comes first
 * A file that has the name is replaced.
 *
 * Returns S_OK; E_INVALIDARG (a stream is no file); 0x80070003 (the existing path, or a directory
 * on the way to the new one, is missing); E_ACCESSDENIED (the existing path is a directory);
 * 0x80070050 (the new name is a directory's); 0x80070020; 0x80070476 (65,535 names).
 */
HRESULT CimCreateHardLink(CIMFS_IMAGE_HANDLE cimImageHandle, const char *imageRelativePath,
			  const char *existingImageRelativePath);

/**
 * CimDeletePath - take away a name of a file, a stream, or a directory with all that is in it
 * Returns S_OK; E_INVALIDARG (also: the root); 0x80070003 (it is missing); 0x80070020.
 */
HRESULT CimDeletePath(CIMFS_IMAGE_HANDLE cimImageHandle, const char *imageRelativePath);

/**
 * CimLookupFile - whether a file or stream is there, of the base or made since
 * @exists: 0 or 1
 * Returns S_OK; E_INVALIDARG; E_POINTER; 0x80070020.
 */
HRESULT CimLookupFile(CIMFS_IMAGE_HANDLE cimImageHandle, const char *imageRelativePath,
		      uint8_t *exists);

/**
 * CimCommitImage - publish the image, atomically and durably
 *
 * Afterwards the handle accepts nothing but CimCloseImage().  On failure the directory is as
 * before.
 *
 * Returns S_OK; E_INVALIDARG (bad handle, or already committed); 0x80070020 a stream is open;
 * 0x80070050 an image of the new name has come meanwhile; 0x80070070; other failures of the file
 * system.  After these two it may be tried again when the reason is gone, unless E_INVALIDARG says
 * that it may not: what could not be made durable is lost.
 */
HRESULT CimCommitImage(CIMFS_IMAGE_HANDLE cimImageHandle);

/**
 * CimCloseImage - close the writer; without a commit every change is discarded.  Takes NULL.
 * While a stream is open the directory stays locked; it is free when the stream is closed.
 */
void CimCloseImage(CIMFS_IMAGE_HANDLE cimImageHandle);

/** CimGetReason - why the last failed call of this thread failed: one sentence, "" if unknown;
 * never NULL */
const char *CimGetReason(void);

/* ---- reading images ---- */

typedef struct CIMFS_READER *CIMFS_READER_HANDLE;

/* What a file is; times in 100 ns since 1601-01-01 UTC. */
typedef struct CIMFS_STAT {
	uint32_t FileId; /* equal for hard links */
	uint32_t Mode;   /* st_mode: type and permissions */
	uint32_t Links;
	uint32_t Uid, Gid;
	uint32_t Major, Minor; /* of devices */
	uint32_t Attributes;   /* FILE_ATTRIBUTE_… */
	uint32_t ReparseTag;
	uint64_t Size;   /* bytes */
	uint64_t Blocks; /* of 512 bytes */
	uint64_t CreationTime, LastWriteTime, ChangeTime, LastAccessTime;
} CIMFS_STAT;

/**
 * CimReaderOpen - open an image to read it; needs no lock and is not disturbed by writers
 * @imageContainingPath, @imageName: as for CimCreateImage()
 * Returns S_OK; E_INVALIDARG; E_POINTER; 0x80070003; 0x80070002; 0x80070570; E_ACCESSDENIED.
 */
HRESULT CimReaderOpen(const char *imageContainingPath, const char *imageName,
		      CIMFS_READER_HANDLE *reader);
void CimReaderClose(CIMFS_READER_HANDLE reader);

/** CimReaderRoot - the file ID of the root directory; 0 for a NULL handle */
uint32_t CimReaderRoot(CIMFS_READER_HANDLE reader);

/**
 * CimReaderLookup - the file ID of a path below a directory
 * @directoryId: where a path starts; CimReaderRoot()
 * @path: symlinks on the way are followed inside the image, one at its end is not
 * Returns S_OK; 0x80070002 (the last component is missing); 0x80070003 (an earlier one is);
 * 0x80070570.
 */
HRESULT CimReaderLookup(CIMFS_READER_HANDLE reader, uint32_t directoryId, const char *path,
			uint32_t *fileId);

/** CimReaderStat - S_OK; E_POINTER; 0x80070570 (no such file ID, or damaged) */
HRESULT CimReaderStat(CIMFS_READER_HANDLE reader, uint32_t fileId, CIMFS_STAT *stat);

/** Called with each entry of a directory; anything but S_OK ends the listing and is returned. */
typedef HRESULT (*CIMFS_LIST_CALLBACK)(void *context, const char *name, uint32_t fileId);

/** CimReaderList - the entries of a directory in the order of the image, without "." and ".." */
HRESULT CimReaderList(CIMFS_READER_HANDLE reader, uint32_t directoryId,
		      CIMFS_LIST_CALLBACK callback, void *context);

/**
 * CimReaderRead - bytes of a regular file
 * @offset, @size: in bytes
 * @bytesRead: how many were read: fewer than @size only at the end
 */
HRESULT CimReaderRead(CIMFS_READER_HANDLE reader, uint32_t fileId, uint64_t offset, void *buffer,
		      size_t size, size_t *bytesRead);

/** CimReaderReadLink - the target of a symlink, NUL-terminated; E_INVALIDARG if it is none or @size
 * is too small */
HRESULT CimReaderReadLink(CIMFS_READER_HANDLE reader, uint32_t fileId, char *buffer, size_t size);

/** CimReaderListXattrs - the names of a file's extended attributes; @fileId of the callback is the
 * file's */
HRESULT CimReaderListXattrs(CIMFS_READER_HANDLE reader, uint32_t fileId,
			    CIMFS_LIST_CALLBACK callback, void *context);

/**
 * CimReaderGetXattr - an extended attribute's value
 * @buffer, @size: room for it; @size 0 asks for its size
 * @valueSize: the value's size in bytes
 * Returns S_OK; 0x80070002 (no such attribute); E_INVALIDARG (@size too small); 0x80070570.
 */
HRESULT CimReaderGetXattr(CIMFS_READER_HANDLE reader, uint32_t fileId, const char *name,
			  void *buffer, size_t size, size_t *valueSize);

/** CimReaderListStreams - the names of a file's alternate data streams */
HRESULT CimReaderListStreams(CIMFS_READER_HANDLE reader, uint32_t fileId,
			     CIMFS_LIST_CALLBACK callback, void *context);

/** CimReaderReadStream - as CimReaderRead(), of the alternate data stream @name; 0x80070002 if
 * there is none */
HRESULT CimReaderReadStream(CIMFS_READER_HANDLE reader, uint32_t fileId, const char *name,
			    uint64_t offset, void *buffer, size_t size, size_t *bytesRead);

/* ---- reading one file, without a handle: as Windows 11 has it ---- */

/**
 * CimReadFile - bytes of a file's main stream, or of "path:stream"
 * @imagePath: the image file
 * @bytesRead: fewer than @size only at the end
 * @bytesRemaining: how many bytes follow them in the stream
 *
 * Returns S_OK; E_INVALIDARG (also: no regular file); E_POINTER; 0x80070002 (the image, or the
 * file); 0x80070003 (the way to it); 0x80070570.
 */
HRESULT CimReadFile(const char *imagePath, const char *filePath, uint64_t offset, void *buffer,
		    uint64_t size, uint64_t *bytesRead, uint64_t *bytesRemaining);

/** CimGetFileStatBasicInformation - what a file is; as CimReadFile() */
HRESULT CimGetFileStatBasicInformation(const char *imagePath, const char *filePath,
				       FILE_STAT_BASIC_INFORMATION *information);

/* ---- keeping image directories in order; not of Windows ---- */

/**
 * CimDeleteImage - delete an image, and the data that no other image of the directory needs
 *
 * Who has the image open reads it to the end.  A crash meanwhile leaves the image, or garbage that
 * the next writer removes.
 *
 * Returns S_OK; E_INVALIDARG (the name); 0x80070003 the directory does not exist; 0x80070002 the
 * image does not; E_ACCESSDENIED; 0x80070020 a writer is open; 0x80070570 it is no image, or
 * another image of the directory cannot be read, so that nobody knows what that one needs.
 */
HRESULT CimDeleteImage(const char *imageContainingPath, const char *imageName);

/** Called with each file that is removed; anything but S_OK ends the work and is returned. */
typedef HRESULT (*CIMFS_COLLECT_CALLBACK)(void *context, const char *fileName, uint64_t size);

#define CIMFS_COLLECT_DRY_RUN 0x1u /* remove nothing, only call back */

/**
 * CimCollectGarbage - remove region files that no image of a directory lists, and what writers that
 * died have left
 * @callback: may be NULL
 * Returns S_OK; E_INVALIDARG (unknown flags); 0x80070003; E_ACCESSDENIED; 0x80070020 a writer is
 * open; 0x80070570 an image cannot be read: nothing is removed.
 */
HRESULT CimCollectGarbage(const char *imageContainingPath, uint32_t flags,
			  CIMFS_COLLECT_CALLBACK callback, void *context);

#define CIMFS_HASH_WINDOWS 0x1u /* also what only Windows sees */
#define CIMFS_HASH_SIZE    32   /* bytes: SHA-256 */

/**
 * CimHashImage - one digest of all that an image has
 *
 * Equal trees have equal digests, however they were made and stored: names, types, modes, owners,
 * modification times, hard links, extended attributes, streams, contents.
 *
 * Returns S_OK; E_INVALIDARG; E_POINTER; 0x80070003; 0x80070002; E_ACCESSDENIED; 0x80070570 some of
 * it is damaged: there is no digest of a part.
 */
HRESULT CimHashImage(const char *imageContainingPath, const char *imageName, uint32_t flags,
		     uint8_t digest[CIMFS_HASH_SIZE]);

/* What a check has found; strings are valid while the callback runs, those that do not apply are
 * NULL. */
typedef struct CIMFS_FINDING {
	uint32_t IsDamage;     /* 1: damage; 0: a note, by which nothing is lost */
	uint32_t FileId;       /* 0: not of a file */
	uint64_t RegionOffset; /* 0: nowhere in particular */
	const char *Rule;      /* a word for the rule that is broken, which does not change */
	const char *ImageName;
	const char *FileName; /* of a file of the directory */
	const char *Path;     /* of FileId in the image */
	const char *Text;     /* a sentence */
} CIMFS_FINDING;

/** Called with each finding; anything but S_OK ends the check and is returned. */
typedef HRESULT (*CIMFS_CHECK_CALLBACK)(void *context, const CIMFS_FINDING *finding);

#define CIMFS_CHECK_DATA 0x1u /* read all data, and compare it with its digests */

/**
 * CimCheckImage - check an image against every rule of the format
 * @imageName: NULL: all images of the directory, and its other files
 * @callback: may be NULL
 *
 * Changes nothing and takes no lock.
 *
 * Returns S_OK: no damage; 0x80070570: damage; E_INVALIDARG; 0x80070003; 0x80070002;
 * E_ACCESSDENIED, 0x80070032 (an image of a version that is not known) and others: it cannot be
 * told.
 */
HRESULT CimCheckImage(const char *imageContainingPath, const char *imageName, uint32_t flags,
		      CIMFS_CHECK_CALLBACK callback, void *context);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
