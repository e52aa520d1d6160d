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
#define CIMFS_E_FILE_EXISTS       ((HRESULT)0x80070050)
#define CIMFS_E_DISK_FULL         ((HRESULT)0x80070070)
#define CIMFS_E_FILE_CORRUPT      ((HRESULT)0x80070570)

/* ---- making images ---- */

typedef struct CIMFS_IMAGE *CIMFS_IMAGE_HANDLE;

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
 * CimCommitImage - publish the image, atomically and durably
 *
 * Afterwards the handle accepts nothing but CimCloseImage().  On failure the directory is as
 * before.
 *
 * Returns S_OK; E_INVALIDARG (bad handle, or already committed); 0x80070050 an image of the new
 * name has come meanwhile; 0x80070070; other failures of the file system.
 */
HRESULT CimCommitImage(CIMFS_IMAGE_HANDLE cimImageHandle);

/** CimCloseImage - close the writer; without a commit every change is discarded.  Takes NULL. */
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
