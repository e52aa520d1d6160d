/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * POSIX ACLs: the rules of acl(5) on the xattr blob itself, which is never unpacked.
 *
 * Knows tags and permission bits; does not decide access (the kernel does) and does not
 * know where an ACL is stored.
 */
#include "config.h"

#include "acl.h"

#include "error.h"
#include "le.h"

#define ACL_VERSION 2
#define ACL_NO_ID   UINT32_MAX
#define ACL_RWX     7u

enum acl_tag {
	ACL_OWNER = 0x01,
	ACL_USER = 0x02,
	ACL_OWNING_GROUP = 0x04,
	ACL_GROUP = 0x08,
	ACL_MASK = 0x10,
	ACL_OTHER = 0x20,
};
#define ACL_NAMED    (ACL_USER | ACL_GROUP)
#define ACL_REQUIRED (ACL_OWNER | ACL_OWNING_GROUP | ACL_OTHER)

struct acl_entry {
	cim_le16 tag;
	cim_le16 perm;
	cim_le32 id;
};

struct acl_blob {
	cim_le32 version;
	struct acl_entry entries[];
};

_Static_assert(sizeof(struct acl_entry) == 8, "layout of posix_acl_xattr_entry");
_Static_assert(sizeof(struct acl_blob) == 4, "layout of posix_acl_xattr_header");

static size_t entry_count(size_t size)
{
	return (size - sizeof(struct acl_blob)) / sizeof(struct acl_entry);
}

static bool is_tag(unsigned int tag)
{
	switch (tag) {
	case ACL_OWNER:
	case ACL_USER:
	case ACL_OWNING_GROUP:
	case ACL_GROUP:
	case ACL_MASK:
	case ACL_OTHER:
		return true;
	default:
		return false;
	}
}

/* Whether an entry may stand behind the one before it: tags rise, ids within a named tag too. */
static bool in_order(const struct acl_entry *before, const struct acl_entry *e)
{
	unsigned int tag = cim_get16(e->tag), tag_before = cim_get16(before->tag);

	if (tag != tag_before)
		return tag > tag_before;
	return (tag & ACL_NAMED) && cim_get32(e->id) > cim_get32(before->id);
}

int cim_acl_check(const void *blob, size_t size)
{
	const struct acl_blob *acl = blob;
	unsigned int seen = 0;

	if (size < sizeof(*acl) || (size - sizeof(*acl)) % sizeof(acl->entries[0]) != 0)
		return cim_fail(EINVAL, "an ACL of %zu bytes is no whole number of entries", size);
	if (cim_get32(acl->version) != ACL_VERSION)
		return cim_fail(EINVAL, "ACL version %u; only %d is known", cim_get32(acl->version),
				ACL_VERSION);

	for (size_t i = 0; i < entry_count(size); i++) {
		const struct acl_entry *e = &acl->entries[i];
		unsigned int tag = cim_get16(e->tag), perm = cim_get16(e->perm);

		if (!is_tag(tag) || (perm & ~ACL_RWX))
			return cim_fail(EINVAL, "ACL entry %zu has tag 0x%x, permissions 0x%x", i,
					tag, perm);
		if ((tag & ACL_NAMED) && cim_get32(e->id) == ACL_NO_ID)
			return cim_fail(EINVAL, "ACL entry %zu names nobody", i);
		if (i > 0 && !in_order(e - 1, e))
			return cim_fail(EINVAL, "ACL entry %zu is out of order or repeated", i);
		seen |= tag;
	}
	if ((seen & ACL_REQUIRED) != ACL_REQUIRED)
		return cim_fail(EINVAL, "an ACL lacks the entry of owner, group or other");
	if ((seen & ACL_NAMED) && !(seen & ACL_MASK))
		return cim_fail(EINVAL, "an ACL with named entries lacks its mask");
	return 0;
}

/*
 * The permission bits of a mode stand for three entries: owner; mask, or where there is
 * none the owning group; other.  Everything below is a loop over these.
 */
enum { N_CLASSES = 3 };

static unsigned int class_shift(unsigned int class)
{
	return 3 * (N_CLASSES - 1 - class);
}

/* Finds the index of each class's entry; returns whether there are no others. */
static bool find_classes(const struct acl_blob *acl, size_t size, size_t ret_index[N_CLASSES])
{
	bool minimal = true;

	for (size_t i = 0; i < entry_count(size); i++) {
		switch (cim_get16(acl->entries[i].tag)) {
		case ACL_OWNER:
			ret_index[0] = i;
			break;
		case ACL_MASK: /* comes behind the owning group and takes its place */
			minimal = false;
			ret_index[1] = i;
			break;
		case ACL_OWNING_GROUP:
			ret_index[1] = i;
			break;
		case ACL_OTHER:
			ret_index[2] = i;
			break;
		default:
			minimal = false;
			break;
		}
	}
	return minimal;
}

uint32_t cim_acl_to_mode(const void *blob, size_t size, uint32_t mode, bool *ret_minimal)
{
	const struct acl_blob *acl = blob;
	size_t index[N_CLASSES] = { 0 };

	*ret_minimal = find_classes(acl, size, index);
	mode &= ~0777u;
	for (unsigned int c = 0; c < N_CLASSES; c++)
		mode |= (uint32_t)cim_get16(acl->entries[index[c]].perm) << class_shift(c);
	return mode;
}

void cim_acl_chmod(void *blob, size_t size, uint32_t mode)
{
	struct acl_blob *acl = blob;
	size_t index[N_CLASSES] = { 0 };

	find_classes(acl, size, index);
	for (unsigned int c = 0; c < N_CLASSES; c++)
		acl->entries[index[c]].perm = cim_put16((mode >> class_shift(c)) & ACL_RWX);
}

uint32_t cim_acl_inherit(void *blob, size_t size, uint32_t mode, bool *ret_minimal)
{
	uint32_t granted = cim_acl_to_mode(blob, size, mode, ret_minimal);

	/* What is not both asked for and granted is taken from the mode and from the entry. */
	mode &= granted;
	cim_acl_chmod(blob, size, mode);
	return mode;
}
