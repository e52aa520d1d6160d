/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Little-endian integers as they lie on disk.
 *
 * They are structs of bytes: their alignment is 1, so a record can be laid over
 * any byte of a file, and using one as a number does not compile.
 */
#ifndef CIM_LE_H
#define CIM_LE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

typedef struct {
	uint8_t b[2];
} cim_le16;
typedef struct {
	uint8_t b[4];
} cim_le32;
typedef struct {
	uint8_t b[8];
} cim_le64;

static inline uint16_t cim_get16(cim_le16 v)
{
	uint16_t n;
	memcpy(&n, v.b, sizeof(n));
	return le16toh(n);
}

static inline uint32_t cim_get32(cim_le32 v)
{
	uint32_t n;
	memcpy(&n, v.b, sizeof(n));
	return le32toh(n);
}

static inline uint64_t cim_get64(cim_le64 v)
{
	uint64_t n;
	memcpy(&n, v.b, sizeof(n));
	return le64toh(n);
}

static inline cim_le16 cim_put16(uint16_t n)
{
	cim_le16 v;
	n = htole16(n);
	memcpy(v.b, &n, sizeof(n));
	return v;
}

static inline cim_le32 cim_put32(uint32_t n)
{
	cim_le32 v;
	n = htole32(n);
	memcpy(v.b, &n, sizeof(n));
	return v;
}

static inline cim_le64 cim_put64(uint64_t n)
{
	cim_le64 v;
	n = htole64(n);
	memcpy(v.b, &n, sizeof(n));
	return v;
}

/* The same for a number at any byte of a buffer; the caller has checked the bounds. */
static inline uint16_t cim_load16(const void *p)
{
	cim_le16 v;
	memcpy(&v, p, sizeof(v));
	return cim_get16(v);
}

static inline uint32_t cim_load32(const void *p)
{
	cim_le32 v;
	memcpy(&v, p, sizeof(v));
	return cim_get32(v);
}

static inline uint64_t cim_load64(const void *p)
{
	cim_le64 v;
	memcpy(&v, p, sizeof(v));
	return cim_get64(v);
}

static inline void cim_store16(void *p, uint16_t n)
{
	cim_le16 v = cim_put16(n);
	memcpy(p, &v, sizeof(v));
}

static inline void cim_store32(void *p, uint32_t n)
{
	cim_le32 v = cim_put32(n);
	memcpy(p, &v, sizeof(v));
}

static inline void cim_store64(void *p, uint64_t n)
{
	cim_le64 v = cim_put64(n);
	memcpy(p, &v, sizeof(v));
}

#endif
