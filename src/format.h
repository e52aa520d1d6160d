/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The on-disk format: bytes <-> structs.
 *
 * An image containing directory holds
 *
 *   NAME               an image: a header that names region sets and the filesystem object
 *   region_GUID_N      region file N of region set GUID: the objects, data and metadata
 *   objectid_GUID_N    digests of the objects of region file N, for deduplication when writing
 *
 * Everything is little-endian.  All three kinds of file begin with struct cim_common_disk.
 * A *region offset* is u64: bits 48..63 the region index (counted through all the region
 * sets that an image lists, parents first, then its own), bits 0..47 a byte offset in that
 * file; 0 is "none".
 *
 * This is the gate: each record is checked in full when it is parsed, and code above trusts
 * the host struct.  Parsers are pure: bytes in, struct out, no allocation, no I/O.  Rules and
 * their sources are format.md's, cited here as [P] published, [D] seen in the driver's checks,
 * [C] a choice of this project.
 */
#ifndef CIM_FORMAT_H
#define CIM_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "le.h"

#define CIM_MAGIC         "cimfile0"
#define CIM_VERSION_MAJOR 2 /* written; 1.x (88-byte file entries), 2.x and 3.x are read [P] */
#define CIM_VERSION_MINOR 0
#define CIM_VERSION_MIN   1
#define CIM_VERSION_MAX   3

#define CIM_REGIONS_MAX \
	65536 /* region files of an image, all sets together: the index has 16 bits [P] */
#define CIM_SET_REGIONS     3    /* region files of a set that we write [C] */
#define CIM_TABLE_ENTRIES   1024 /* file entries of a file table [P] */
#define CIM_ENTRY_SIZE      96   /* bytes of a file entry that we write [P] */
#define CIM_TABLE_ALIGN     8    /* of link tables and file tables [D]; of all metadata here */
#define CIM_DATA_ALIGN      4096 /* of objects in a data region [P] */
#define CIM_SMALL_ALIGN     8    /* of objects in a small data region [P] */
#define CIM_REGION_OFF_MAX  ((1ull << 48) - 1)
#define CIM_STREAM_SIZE_MAX ((1ull << 48) - 1) /* a stream's length has 48 bits [P] */
#define CIM_PE_MAPPINGS_MAX 65535
#define CIM_DIGEST_SIZE     24 /* first bytes of SHA-256 [C]; the field's size is [P] */
#define CIM_OBJECT_SIZE     40 /* bytes of an entry of an object ID file [P] */

enum cim_file_type { CIM_FILE_IMAGE = 0, CIM_FILE_REGION = 1, CIM_FILE_OBJECTID = 2 };
enum cim_region_type { CIM_REGION_METADATA = 0, CIM_REGION_DATA = 1, CIM_REGION_SMALL = 2 };
enum cim_stream_type { CIM_STREAM_DATA = 0, CIM_STREAM_LINKS = 1, CIM_STREAM_PE = 2 };

/* Flags of a file entry [P]; directory and reparse point are derived, not stored. */
#define CIM_FLAG_READONLY 0x01u
#define CIM_FLAG_HIDDEN   0x02u
#define CIM_FLAG_SYSTEM   0x04u
#define CIM_FLAG_ARCHIVE  0x08u
#define CIM_FLAG_SPARSE   0x10u

/* ---- records as they lie on disk ---- */

struct cim_guid {
	uint8_t b[16]; /* Windows layout: u32, u16, u16 little-endian, then 8 bytes [P] */
};

struct cim_common_disk {
	uint8_t magic[8];       /* +0  "cimfile0" */
	cim_le32 header_size;   /* +8  bytes of this kind's whole header [C] */
	uint8_t type;           /* +12 enum cim_file_type */
	uint8_t reserved13[3];  /* +13 0 */
	cim_le32 version_major; /* +16 */
	cim_le32 version_minor; /* +20 */
	cim_le64 reserved24;    /* +24 0 */
};

struct cim_set_disk {
	struct cim_guid guid; /* +0 */
	cim_le16 n_regions;   /* +16 */
	cim_le16 reserved18;  /* +18 */
	cim_le32 reserved20;  /* +20 */
};

struct cim_image_disk {
	struct cim_common_disk common; /* +0 */
	struct cim_set_disk own;       /* +32 the set that this image's writer made */
	cim_le64 fs_off;               /* +56 region offset of the filesystem object */
	cim_le32 reserved64;           /* +64 */
	cim_le16 reserved68;           /* +68 */
	cim_le16 n_parents;            /* +70 sets that follow, first in region index order */
};

struct cim_region_disk {
	struct cim_common_disk common; /* +0 */
	cim_le16 index;                /* +32 in its set */
	uint8_t type;                  /* +34 enum cim_region_type */
	uint8_t reserved35;            /* +35 */
	cim_le32 reserved36;           /* +36 */
};

struct cim_objectid_disk {
	struct cim_common_disk common; /* +0 */
	cim_le16 index;                /* +32 in its set */
	uint8_t type;                  /* +34 enum cim_region_type */
	uint8_t reserved35;            /* +35 */
	cim_le32 reserved36;           /* +36 */
	cim_le32 table_off;            /* +40 bytes from the file's start */
	cim_le32 n_objects;            /* +44 */
};

struct cim_object_disk {
	cim_le64 size;                   /* +0  bytes of the object */
	uint8_t digest[CIM_DIGEST_SIZE]; /* +8  */
	cim_le64 off;                    /* +32 byte offset in the region file */
};

struct cim_fs_disk {
	cim_le64 upcase_off; /* +0  region offset of the upcase table */
	cim_le64 tables_off; /* +8  region offset of the file table directory */
	cim_le32 n_tables;   /* +16 */
	cim_le32 root_id;    /* +20 file ID of the root directory */
};

struct cim_table_disk {
	cim_le64 off;        /* +0  region offset of a file table */
	cim_le16 n_entries;  /* +8  1..1024 */
	cim_le16 entry_size; /* +10 bytes: 88, 96, 104 are known */
	cim_le32 reserved12; /* +12 */
};

struct cim_stream_disk {
	cim_le64 off;  /* +0 region offset; not needed when the length is 0 */
	cim_le64 word; /* +8 bits 0..47 length in bytes, 48..55 enum cim_stream_type, 56 sparse */
};

struct cim_entry_disk {
	cim_le16 flags;              /* +0  CIM_FLAG_… */
	cim_le16 ea_size;            /* +2  bytes of the EA list */
	cim_le32 reparse_tag;        /* +4  0 = none */
	cim_le64 created;            /* +8  ticks */
	cim_le64 written;            /* +16 ticks */
	cim_le64 changed;            /* +24 ticks */
	cim_le64 accessed;           /* +32 ticks */
	struct cim_stream_disk data; /* +40 the default stream */
	cim_le64 sd_off;             /* +56 u16 length + self-relative security descriptor */
	cim_le64 ea_off;             /* +64 EA list */
	cim_le64 reparse_off;        /* +72 u16 length + REPARSE_DATA_BUFFER */
	cim_le64 streams_off;        /* +80 link table of alternate data streams */
	cim_le32 parent_id;          /* +88 directory of one of the file's links */
	cim_le16 base_region;        /* +92 meaning not published; written 0 */
	cim_le16 reserved94;         /* +94 */
};

struct cim_pe_disk {
	cim_le64 data_off;   /* +0  region offset */
	cim_le64 data_size;  /* +8  bytes; the top bit is ignored */
	cim_le32 image_size; /* +16 */
	cim_le16 n_mappings; /* +20 */
	cim_le16 flags;      /* +22 */
};

struct cim_pe_mapping_disk {
	cim_le32 file_off; /* +0 bytes; rising */
	cim_le32 delta;    /* +4 bytes added to offsets from file_off on */
};

_Static_assert(sizeof(struct cim_common_disk) == 32, "common header");
_Static_assert(sizeof(struct cim_set_disk) == 24, "region set");
_Static_assert(sizeof(struct cim_image_disk) == 72, "image header");
_Static_assert(offsetof(struct cim_image_disk, n_parents) == 70, "image header");
_Static_assert(sizeof(struct cim_region_disk) == 40, "region header");
_Static_assert(sizeof(struct cim_objectid_disk) == 48, "object ID header");
_Static_assert(sizeof(struct cim_object_disk) == CIM_OBJECT_SIZE, "object ID entry");
_Static_assert(sizeof(struct cim_fs_disk) == 24, "filesystem object");
_Static_assert(sizeof(struct cim_table_disk) == 16, "file table directory entry");
_Static_assert(sizeof(struct cim_stream_disk) == 16, "stream");
_Static_assert(sizeof(struct cim_entry_disk) == CIM_ENTRY_SIZE, "file entry");
_Static_assert(offsetof(struct cim_entry_disk, data) == 40, "file entry");
_Static_assert(offsetof(struct cim_entry_disk, parent_id) == 88, "file entry");
_Static_assert(sizeof(struct cim_pe_disk) == 24, "PE image");
_Static_assert(sizeof(struct cim_pe_mapping_disk) == 8, "PE mapping");

/* ---- the same in host order, checked ---- */

struct cim_set {
	struct cim_guid guid;
	uint32_t n_regions; /* 1..65535 */
};

struct cim_image_header {
	uint32_t version_major, version_minor;
	struct cim_set own;
	uint64_t fs_off;
	uint32_t n_parents;
};

struct cim_fs {
	uint64_t upcase_off;
	uint64_t tables_off;
	uint32_t n_tables;
	uint32_t root_id;
};

struct cim_table {
	uint64_t off;
	uint32_t n_entries;
	uint32_t entry_size; /* bytes, >= 88 */
};

struct cim_stream {
	uint64_t off;  /* region offset; 0 when nothing is stored */
	uint64_t size; /* bytes */
	enum cim_stream_type type;
	bool sparse; /* all zeros, no data stored */
};

struct cim_entry {
	uint32_t flags;
	uint32_t ea_size;
	uint32_t reparse_tag;
	uint64_t created, written, changed, accessed; /* ticks */
	struct cim_stream data;
	uint64_t sd_off, ea_off, reparse_off, streams_off;
	uint32_t parent_id;
};

struct cim_pe {
	uint64_t data_off;
	uint64_t data_size;
	uint32_t n_mappings;
};

/* A link table in place: file IDs by name (a directory) or streams by name. */
struct cim_links {
	const uint8_t *table;
	uint32_t size; /* bytes */
	uint32_t n;
	uint32_t entry_size; /* CIM_LINK_ID or CIM_LINK_STREAM */
};
#define CIM_LINK_ID     4
#define CIM_LINK_STREAM 16

static inline uint32_t cim_off_region(uint64_t off)
{
	return (uint32_t)(off >> 48);
}

static inline uint64_t cim_off_byte(uint64_t off)
{
	return off & CIM_REGION_OFF_MAX;
}

static inline uint64_t cim_off_make(uint32_t region, uint64_t byte_off)
{
	return (uint64_t)region << 48 | byte_off;
}

/* ---- parsers: @n is how many bytes there are at @p ---- */

/**
 * cim_image_header_parse - the header of an image file
 *
 * Returns 0; -CIM_EFORMAT (no common header, other magic, other kind of file); -CIM_EVERSION;
 * -CIM_ECORRUPT (cut off).  How many region files there are in all is for who reads the list.
 */
int cim_image_header_parse(const void *p, size_t n, struct cim_image_header *ret);

/** cim_set_parse - one region set of the parents' list; 0 or -CIM_ECORRUPT */
int cim_set_parse(const void *p, struct cim_set *ret);

/**
 * cim_region_header_parse - the header of a region file
 * @index: the index that its name gives it
 * Returns 0, -CIM_EFORMAT, -CIM_EVERSION, -CIM_ECORRUPT (another index).
 */
int cim_region_header_parse(const void *p, size_t n, uint32_t index);

/**
 * cim_objectid_header_parse - the header of an object ID file of @n bytes in all
 * Returns 0, -CIM_EFORMAT, -CIM_EVERSION, -CIM_ECORRUPT (another index; table outside the file).
 */
int cim_objectid_header_parse(const void *p, size_t n, uint32_t index,
			      const struct cim_object_disk **ret, uint32_t *ret_n);

/** cim_fs_parse - the filesystem object; 0 or -CIM_ECORRUPT */
int cim_fs_parse(const struct cim_fs_disk *d, struct cim_fs *ret);

/** cim_table_parse - an entry of the file table directory; 0 or -CIM_ECORRUPT */
int cim_table_parse(const struct cim_table_disk *d, struct cim_table *ret);

/** cim_stream_parse - 0 or -CIM_ECORRUPT (unknown type, bytes without an offset) */
int cim_stream_parse(const struct cim_stream_disk *d, struct cim_stream *ret);

/**
 * cim_entry_parse - a file entry of @size bytes; shorter ones read as if followed by zeros
 * Returns 0 or -CIM_ECORRUPT.
 */
int cim_entry_parse(const void *p, uint32_t size, struct cim_entry *ret);

/**
 * cim_links_parse - a link table that starts at @p
 * @entry_size: CIM_LINK_ID or CIM_LINK_STREAM
 * Returns 0 or -CIM_ECORRUPT.  Names are checked one by one, by cim_links_name().
 */
int cim_links_parse(const void *p, size_t n, uint32_t entry_size, struct cim_links *ret);

/**
 * cim_links_name - the name of entry @i < l->n
 * @ret: room for CIM_NAME_UNITS units
 * Returns the number of units, 1..255, or -CIM_ECORRUPT.
 */
int cim_links_name(const struct cim_links *l, uint32_t i, uint16_t *ret);

/** cim_links_id - the file ID of entry @i of a directory */
uint32_t cim_links_id(const struct cim_links *l, uint32_t i);

/** cim_links_stream - the stream of entry @i of a stream table; 0 or -CIM_ECORRUPT */
int cim_links_stream(const struct cim_links *l, uint32_t i, struct cim_stream *ret);

/** cim_pe_parse - the header of a PE image; its mappings are at @p + sizeof(struct cim_pe_disk) */
int cim_pe_parse(const void *p, size_t n, struct cim_pe *ret);

/* ---- encoders ---- */

void cim_common_encode(struct cim_common_disk *d, enum cim_file_type type, uint32_t header_size);
void cim_set_encode(struct cim_set_disk *d, const struct cim_set *set);
void cim_stream_encode(struct cim_stream_disk *d, const struct cim_stream *s);
void cim_entry_encode(struct cim_entry_disk *d, const struct cim_entry *e);
void cim_table_encode(struct cim_table_disk *d, const struct cim_table *t);

/* ---- names of files in a containing directory ---- */

#define CIM_GUID_TEXT 37 /* 8-4-4-4-12 and a NUL */
#define CIM_FILE_NAME 64 /* room for "objectid_GUID_65535" and a NUL */

void cim_guid_format(const struct cim_guid *g, char ret[CIM_GUID_TEXT]);
/** cim_guid_parse - the GUID that a text begins with, as cim_guid_format() writes it */
bool cim_guid_parse(const char *text, struct cim_guid *ret);
void cim_region_name(const struct cim_guid *g, uint32_t index, char ret[CIM_FILE_NAME]);
void cim_objectid_name(const struct cim_guid *g, uint32_t index, char ret[CIM_FILE_NAME]);

#endif
