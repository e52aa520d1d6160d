/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "windows.h"

#include <string.h>

#include "ea.h"
#include "error.h"
#include "le.h"
#include "reparse.h"
#include "sid.h"

/* ---- attributes ---- */

static const struct {
	uint32_t flag, attribute;
} attributes[] = {
	{ CIM_FLAG_READONLY, CIM_ATTRIBUTE_READONLY }, { CIM_FLAG_HIDDEN, CIM_ATTRIBUTE_HIDDEN },
	{ CIM_FLAG_SYSTEM, CIM_ATTRIBUTE_SYSTEM },     { CIM_FLAG_ARCHIVE, CIM_ATTRIBUTE_ARCHIVE },
	{ CIM_FLAG_SPARSE, CIM_ATTRIBUTE_SPARSE },
};
#define N_ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

uint32_t cim_attributes_of_entry(const struct cim_entry *e)
{
	uint32_t a = 0;

	for (size_t i = 0; i < N_ATTRIBUTES; i++)
		if (e->flags & attributes[i].flag)
			a |= attributes[i].attribute;
	if (e->data.type == CIM_STREAM_LINKS)
		a |= CIM_ATTRIBUTE_DIRECTORY;
	if (e->reparse_tag)
		a |= CIM_ATTRIBUTE_REPARSE_POINT;
	return a ? a : CIM_ATTRIBUTE_NORMAL;
}

uint32_t cim_attributes_to_flags(uint32_t a)
{
	uint32_t flags = 0;

	for (size_t i = 0; i < N_ATTRIBUTES; i++)
		if (a & attributes[i].attribute)
			flags |= attributes[i].flag;
	return flags;
}

/* ---- security descriptors (metadata.md §4.1) ---- */

#define SD_DACL_PRESENT  0x0004u
#define SD_SACL_PRESENT  0x0010u
#define SD_SELF_RELATIVE 0x8000u

struct sd_header {
	uint8_t revision;
	uint8_t resource_manager;
	cim_le16 control;
	cim_le32 owner, group, sacl, dacl; /* offsets; 0: none */
};

struct acl_header {
	uint8_t revision;
	uint8_t reserved1;
	cim_le16 size;
	cim_le16 n_aces;
	cim_le16 reserved6;
};

struct ace_header {
	uint8_t type;
	uint8_t flags;
	cim_le16 size;
};

_Static_assert(sizeof(struct sd_header) == 20, "layout of SECURITY_DESCRIPTOR_RELATIVE");
_Static_assert(sizeof(struct acl_header) == 8, "layout of ACL");
_Static_assert(sizeof(struct ace_header) == 4, "layout of ACE_HEADER");

/* The bytes that what is checked must lie in. */
struct part {
	const uint8_t *at;
	size_t size;
};

static int sid_check(struct part p, const char *what)
{
	if (cim_sid_size(p.at, p.size) == 0)
		return cim_fail(EINVAL,
				"security descriptor: what should be the SID of %s is none, or is "
				"cut off",
				what);
	return 0;
}

/* Where the SID begins in an ACE that has one; 0: not known, the ACE is taken as it is. */
static size_t ace_sid_off(struct part ace)
{
	size_t off = sizeof(struct ace_header) + 4; /* behind the access mask */

	switch (ace.at[0]) {
	case 0x00: /* allow, deny, audit, alarm */
	case 0x01:
	case 0x02:
	case 0x03:
	case 0x09: /* the same as callbacks */
	case 0x0A:
	case 0x0D:
	case 0x0E:
	case 0x11: /* label, resource attribute, scoped policy, trust label, access filter */
	case 0x12:
	case 0x13:
	case 0x14:
	case 0x15:
		return off;
	case 0x05: /* allow, deny, audit, alarm of an object; with flags and up to two GUIDs */
	case 0x06:
	case 0x07:
	case 0x08:
	case 0x0B:
	case 0x0C:
	case 0x0F:
	case 0x10:
		if (ace.size < off + 4)
			return off + 4;
		return off + 4 + (ace.at[off] & 1 ? 16 : 0) + (ace.at[off] & 2 ? 16 : 0);
	default:
		return 0;
	}
}

static int ace_check(struct part ace, unsigned int number, const char *acl)
{
	size_t off = ace_sid_off(ace);
	char what[32] = "an ACE of the ";

	if (off == 0)
		return 0;
	if (off > ace.size)
		return cim_fail(EINVAL,
				"security descriptor: ACE %u of the %s, of %zu bytes, is "
				"too short",
				number, acl, ace.size);
	strcat(what, acl);
	return sid_check((struct part){ ace.at + off, ace.size - off }, what);
}

static int acl_check(struct part p, const char *what)
{
	const struct acl_header *acl = (const void *)p.at;

	if (p.size < sizeof(*acl))
		return cim_fail(EINVAL, "security descriptor: the %s is cut off", what);
	size_t size = cim_get16(acl->size);
	if (acl->revision < 2 || acl->revision > 4)
		return cim_fail(EINVAL,
				"security descriptor: the %s has revision %u; 2 to 4 are "
				"known",
				what, acl->revision);
	if (size < sizeof(*acl) || size > p.size)
		return cim_fail(EINVAL,
				"security descriptor: the %s says %zu bytes, and %zu are there",
				what, size, p.size);
	struct part rest = { p.at + sizeof(*acl), size - sizeof(*acl) };
	for (unsigned int i = 0; i < cim_get16(acl->n_aces); i++) {
		const struct ace_header *ace = (const void *)rest.at;

		if (rest.size < sizeof(*ace) || cim_get16(ace->size) < sizeof(*ace) ||
		    cim_get16(ace->size) > rest.size)
			return cim_fail(
				EINVAL,
				"security descriptor: ACE %u of %u of the %s does not lie in it", i,
				cim_get16(acl->n_aces), what);
		struct part this = { rest.at, cim_get16(ace->size) };
		int r = ace_check(this, i, what);
		if (r < 0)
			return r;
		rest = (struct part){ rest.at + this.size, rest.size - this.size };
	}
	return 0;
}

static int part_check(struct part sd, uint32_t off, int (*check)(struct part, const char *),
		      const char *what)
{
	if (off == 0)
		return 0;
	if (off < sizeof(struct sd_header) || off >= sd.size)
		return cim_fail(EINVAL,
				"security descriptor: the %s is at %u, outside its %zu bytes", what,
				off, sd.size);
	return check((struct part){ sd.at + off, sd.size - off }, what);
}

int cim_sd_check(const void *p, size_t size)
{
	const struct sd_header *sd = p;
	struct part all = { p, size };

	if (size < sizeof(*sd) || size > CIM_SD_MAX)
		return cim_fail(EINVAL, "a security descriptor of %zu bytes; it has %zu to %d",
				size, sizeof(*sd), CIM_SD_MAX);
	unsigned int control = cim_get16(sd->control);
	if (sd->revision != 1 || !(control & SD_SELF_RELATIVE))
		return cim_fail(EINVAL,
				"a security descriptor of revision %u and control 0x%04x; only "
				"self-relative ones of revision 1 are stored",
				sd->revision, control);
	int r = part_check(all, cim_get32(sd->owner), sid_check, "owner");
	if (r == 0)
		r = part_check(all, cim_get32(sd->group), sid_check, "group");
	if (r == 0 && (control & SD_SACL_PRESENT))
		r = part_check(all, cim_get32(sd->sacl), acl_check, "SACL");
	if (r == 0 && (control & SD_DACL_PRESENT))
		r = part_check(all, cim_get32(sd->dacl), acl_check, "DACL");
	return r;
}

/* ---- EA lists ---- */

static int ea_entry_check(const uint8_t *list, size_t size, const struct cim_ea *ea, size_t off)
{
	size_t end = (size_t)(ea->value - list) + ea->value_size;
	size_t next = cim_load32(list + off);

	if (ea->name_size > CIM_EA_NAME_MAX || memchr(ea->name, '\0', ea->name_size) ||
	    ea->name[ea->name_size] != '\0')
		return cim_fail(
			EINVAL,
			"EA list of %zu bytes: the name at %zu is too long, or has a NUL or "
			"none behind it",
			size, off);
	if (next && next != ((end - off + 3) & ~(size_t)3))
		return cim_fail(
			EINVAL,
			"EA list of %zu bytes: behind the entry at %zu, of %zu bytes, the next "
			"is at %zu more",
			size, off, end - off, next);
	return 0;
}

int cim_ea_list_check(const void *list, size_t size)
{
	struct cim_ea_iter it;
	struct cim_ea ea;
	int r = 0;

	if (size > CIM_EA_LIST_MAX)
		return cim_fail(E2BIG, "an EA list of %zu bytes; it may have %d", size,
				CIM_EA_LIST_MAX);
	cim_ea_iter_init(&it, list, size);
	for (;;) {
		size_t off = it.off;

		r = cim_ea_iter_next(&it, &ea);
		if (r <= 0)
			return r < 0 ? -EINVAL : 0;
		r = ea_entry_check(list, size, &ea, off);
		if (r < 0)
			return r;
	}
}

/* ---- all of it ---- */

int cim_winmeta_check(unsigned int mask, const struct cim_winmeta *m)
{
	int r = 0;

	if (((mask & CIM_WIN_SECURITY) && m->sd_size && !m->sd) ||
	    ((mask & CIM_WIN_REPARSE) && m->reparse_size && !m->reparse) ||
	    ((mask & CIM_WIN_EAS) && m->eas_size && !m->eas))
		return cim_fail(EINVAL, "a buffer of the metadata is NULL, and its size is not 0");
	if ((mask & CIM_WIN_SECURITY) && m->sd_size)
		r = cim_sd_check(m->sd, m->sd_size);
	if (r == 0 && (mask & CIM_WIN_REPARSE) && m->reparse_size)
		r = cim_reparse_check(m->reparse, m->reparse_size);
	if (r == 0 && (mask & CIM_WIN_EAS) && m->eas_size)
		r = cim_ea_list_check(m->eas, m->eas_size);
	return r;
}
