/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "objects.h"

/*
 * Not by EVP: it reads the system's openssl.cnf, which takes a millisecond of every process, and
 * where that names other providers than the default one there is no SHA-256 at all.  Since OpenSSL
 * 3.0 that is what programs are told to want; a name of contents has nothing to do with it.
 */
#define OPENSSL_API_COMPAT 0x10101000L
#include <openssl/sha.h>
#include <stdlib.h>

#include "error.h"

#define MIN_SLOTS 256u

/* ---- digests ---- */

struct cim_hash {
	SHA256_CTX ctx;
};

_Static_assert(CIM_SHA256_SIZE == SHA256_DIGEST_LENGTH, "a digest is as long as SHA-256 has it");

struct cim_hash *cim_hash_begin(void)
{
	struct cim_hash *h = g_new(struct cim_hash, 1);

	(void)SHA256_Init(&h->ctx);
	return h;
}

void cim_hash_add(struct cim_hash *h, const void *data, size_t size)
{
	(void)SHA256_Update(&h->ctx, data, size);
}

void cim_hash_zeros(struct cim_hash *h, uint64_t size)
{
	static const uint8_t zeros[64 * 1024];

	for (size_t part; size > 0; size -= part) {
		part = (size_t)MIN(size, sizeof(zeros));
		cim_hash_add(h, zeros, part);
	}
}

static void end(SHA256_CTX *ctx, struct cim_digest *ret)
{
	uint8_t full[CIM_SHA256_SIZE];

	(void)SHA256_Final(full, ctx);
	memcpy(ret->b, full, sizeof(ret->b));
}

void cim_hash_take(struct cim_hash *h, uint8_t ret[CIM_SHA256_SIZE])
{
	(void)SHA256_Final(ret, &h->ctx);
	(void)SHA256_Init(&h->ctx);
}

void cim_hash_free(struct cim_hash *h)
{
	g_free(h);
}

void cim_hash_end(struct cim_hash *h, struct cim_digest *ret)
{
	end(&h->ctx, ret);
	cim_hash_free(h);
}

void cim_digest(const void *data, size_t size, struct cim_digest *ret)
{
	SHA256_CTX ctx;

	(void)SHA256_Init(&ctx);
	(void)SHA256_Update(&ctx, data, size);
	end(&ctx, ret);
}

/* ---- the set that is being written ---- */

static uint32_t slot_of(const struct cim_objects *o, const struct cim_digest *digest)
{
	return cim_load32(digest->b) & (o->n_slots - 1);
}

int64_t cim_objects_find(const struct cim_objects *o, bool metadata,
			 const struct cim_digest *digest, uint64_t size)
{
	if (o->n_slots == 0)
		return -1;
	for (uint32_t s = slot_of(o, digest); o->slots[s]; s = (s + 1) & (o->n_slots - 1)) {
		const struct cim_object *c = &o->object[o->slots[s] - 1];

		if (c->size == size && (c->region == CIM_REGION_METADATA) == metadata &&
		    memcmp(c->digest.b, digest->b, sizeof(digest->b)) == 0)
			return o->slots[s] - 1;
	}
	return -1;
}

static void insert(struct cim_objects *o, uint32_t number)
{
	uint32_t s = slot_of(o, &o->object[number].digest);

	while (o->slots[s])
		s = (s + 1) & (o->n_slots - 1);
	o->slots[s] = number + 1;
}

/* Twice the slots when three of four are taken. */
static int grow_slots(struct cim_objects *o)
{
	if (o->n_slots > 0 && o->n < o->n_slots / 4 * 3)
		return 0;
	uint32_t n_slots = o->n_slots ? o->n_slots * 2 : MIN_SLOTS;
	uint32_t *slots = n_slots ? g_try_malloc0_n(n_slots, sizeof(*slots)) : NULL;
	if (!slots)
		return -ENOMEM;
	g_free(o->slots);
	o->slots = slots;
	o->n_slots = n_slots;
	for (uint32_t i = 0; i < o->n; i++)
		if (o->object[i].has_digest)
			insert(o, i);
	return 0;
}

int64_t cim_objects_add(struct cim_objects *o, const struct cim_object *object)
{
	if (o->n == o->room) {
		uint32_t room = o->room ? o->room + o->room / 2 : 64;
		struct cim_object *grown = g_try_realloc_n(o->object, room, sizeof(*grown));

		if (!grown || room <= o->room)
			return cim_fail(ENOMEM, "no memory for object IDs");
		o->object = grown;
		o->room = room;
	}
	if (grow_slots(o) < 0)
		return cim_fail(ENOMEM, "no memory for object IDs");
	o->object[o->n] = *object;
	if (object->has_digest)
		insert(o, o->n);
	return o->n++;
}

void cim_objects_forget(struct cim_objects *o, enum cim_region_type region)
{
	if (o->n_slots > 0)
		memset(o->slots, 0, o->n_slots * sizeof(o->slots[0]));
	for (uint32_t i = 0; i < o->n; i++) {
		struct cim_object *object = &o->object[i];

		if (object->region == region) {
			object->refs = 0;
			object->has_digest = false;
		} else if (object->has_digest) {
			insert(o, i);
		}
	}
}

void cim_objects_clear(struct cim_objects *o)
{
	g_free(o->object);
	g_free(o->slots);
	*o = (struct cim_objects){ 0 };
}

static int compare_disk(const void *a, const void *b)
{
	const struct cim_object_disk *x = a, *y = b;
	int order = memcmp(x->digest, y->digest, sizeof(x->digest));
	uint64_t p = cim_get64(x->size), q = cim_get64(y->size);

	return order ? order : (p > q) - (p < q);
}

struct cim_object_disk *cim_objects_table(const struct cim_objects *o, enum cim_region_type region,
					  int64_t *ret_n)
{
	struct cim_object_disk *table = g_try_malloc_n(MAX(o->n, 1), sizeof(*table));
	size_t n = 0;

	if (!table) {
		*ret_n = cim_fail(ENOMEM, "no memory for an object ID file");
		return NULL;
	}
	for (uint32_t i = 0; i < o->n; i++) {
		const struct cim_object *c = &o->object[i];

		if (c->region != region || c->refs == 0 || !c->has_digest)
			continue;
		table[n].size = cim_put64(c->size);
		table[n].off = cim_put64(c->off);
		memcpy(table[n].digest, c->digest.b, sizeof(c->digest.b));
		n++;
	}
	qsort(table, n, sizeof(*table), compare_disk);
	*ret_n = (int64_t)n;
	return table;
}

/* ---- the sets of a base ---- */

struct known_file {
	struct cim_mapping map;
	const struct cim_object_disk *table;
	uint32_t n;
	uint32_t region; /* region index in the base */
	bool metadata;
};

struct cim_known {
	struct known_file *file;
	uint32_t n;
};

static bool open_known(const struct cim_image *base, const struct cim_set *set, uint32_t index,
		       struct known_file *f)
{
	char name[CIM_FILE_NAME];

	cim_objectid_name(&set->guid, index, name);
	if (cim_mapping_open(base->store->dirfd, name, &f->map) < 0)
		return false;
	if (cim_objectid_header_parse(f->map.data, f->map.size, index, &f->table, &f->n) == 0 &&
	    f->n > 0) {
		f->metadata = ((const struct cim_objectid_disk *)f->map.data)->type ==
			      CIM_REGION_METADATA;
		return true;
	}
	cim_mapping_close(&f->map);
	return false;
}

struct cim_known *cim_known_open(const struct cim_image *base)
{
	struct cim_known *k = g_new0(struct cim_known, 1);
	uint32_t region = 0;

	k->file = g_new0(struct known_file, base->n_region_files);
	for (uint32_t i = 0; i < base->n_sets; i++) {
		for (uint32_t r = 0; r < base->sets[i].n_regions; r++, region++) {
			/* Without its region file there is nothing that it could name. */
			if (base->region[region]->size == 0 ||
			    !open_known(base, &base->sets[i], r, &k->file[k->n]))
				continue;
			k->file[k->n++].region = region;
		}
	}
	return k;
}

void cim_known_close(struct cim_known *k)
{
	if (!k)
		return;
	for (uint32_t i = 0; i < k->n; i++)
		cim_mapping_close(&k->file[i].map);
	g_free(k->file);
	g_free(k);
}

static bool search(const struct known_file *f, const struct cim_digest *digest, uint64_t size,
		   uint64_t *ret_off)
{
	struct cim_object_disk key = { .size = cim_put64(size) };

	memcpy(key.digest, digest->b, sizeof(key.digest));
	const struct cim_object_disk *hit =
		bsearch(&key, f->table, f->n, sizeof(key), compare_disk);
	if (!hit)
		return false;
	*ret_off = cim_off_make(f->region, cim_off_byte(cim_get64(hit->off)));
	return true;
}

bool cim_known_find(const struct cim_known *k, bool metadata, const struct cim_digest *digest,
		    uint64_t size, uint32_t *cursor, uint64_t *ret_off)
{
	while (k && *cursor < k->n) {
		const struct known_file *f = &k->file[(*cursor)++];

		if (f->metadata == metadata && search(f, digest, size, ret_off))
			return true;
	}
	return false;
}
