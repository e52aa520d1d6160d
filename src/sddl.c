/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SDDL.  A descriptor is looked into through struct span alone, which does not leave it.
 */
#include "config.h"

#include "sddl.h"

#include <ctype.h>
#include <glib.h>
#include <string.h>

#include "error.h"
#include "format.h"
#include "le.h"
#include "sid.h"

/* Control bits; those of the SACL are the DACL's, shifted by one. */
#define DACL_PRESENT        0x0004u
#define DACL_AUTO_REQ       0x0100u
#define DACL_AUTO_INHERITED 0x0400u
#define DACL_PROTECTED      0x1000u
#define SELF_RELATIVE       0x8000u
#define SACL_PRESENT        0x0010u
#define SACL_SHIFT          1

#define ACL_REVISION        2
#define ACL_REVISION_OBJECT 4 /* it has object ACEs */

#define OBJECT_TYPE           1u
#define INHERITED_OBJECT_TYPE 2u

#define NULL_ACL "NO_ACCESS_CONTROL"

struct sd_disk {
	uint8_t revision;
	uint8_t sbz1;
	cim_le16 control;
	cim_le32 owner_off;
	cim_le32 group_off;
	cim_le32 sacl_off;
	cim_le32 dacl_off;
};

struct acl_disk {
	uint8_t revision;
	uint8_t sbz1;
	cim_le16 size;
	cim_le16 n_aces;
	cim_le16 sbz2;
};

struct ace_disk {
	uint8_t type;
	uint8_t flags;
	cim_le16 size;
};

_Static_assert(sizeof(struct sd_disk) == 20, "layout of SECURITY_DESCRIPTOR_RELATIVE");
_Static_assert(sizeof(struct acl_disk) == 8, "layout of ACL");
_Static_assert(sizeof(struct ace_disk) == 4, "layout of ACE_HEADER");

struct letters {
	const char *text;
	uint32_t value;
};

/* Those with two GUIDs come last. */
static const struct letters ace_types[] = {
	{ "A", 0x00 },  { "D", 0x01 },  { "AU", 0x02 }, { "AL", 0x03 }, { "XA", 0x09 },
	{ "XD", 0x0A }, { "XU", 0x0D }, { "ML", 0x11 }, { "RA", 0x12 }, { "SP", 0x13 },
	{ "TL", 0x14 }, { "FL", 0x15 }, { "OA", 0x05 }, { "OD", 0x06 }, { "OU", 0x07 },
	{ "OL", 0x08 }, { "ZA", 0x0B },
};
#define FIRST_OBJECT_TYPE 12
#define TYPE_LABEL        0x11

static const struct letters ace_flags[] = {
	{ "OI", 0x01 }, { "CI", 0x02 }, { "NP", 0x04 }, { "IO", 0x08 },
	{ "ID", 0x10 }, { "CR", 0x20 }, { "SA", 0x40 }, { "FA", 0x80 },
};

/* Letters of one bit each, in Windows' order; the DS names are what files have too. */
static const struct letters right_bits[] = {
	{ "CC", 0x00000001 }, { "DC", 0x00000002 }, { "LC", 0x00000004 }, { "SW", 0x00000008 },
	{ "RP", 0x00000010 }, { "WP", 0x00000020 }, { "DT", 0x00000040 }, { "LO", 0x00000080 },
	{ "CR", 0x00000100 }, { "SD", 0x00010000 }, { "RC", 0x00020000 }, { "WD", 0x00040000 },
	{ "WO", 0x00080000 }, { "GA", 0x10000000 }, { "GX", 0x20000000 }, { "GW", 0x40000000 },
	{ "GR", 0x80000000 },
};

static const struct letters file_rights[] = {
	{ "FA", 0x001F01FF },
	{ "FR", 0x00120089 },
	{ "FW", 0x00120116 },
	{ "FX", 0x001200A0 },
};

/* Only read: a mask of this kind may mean something else in a file. */
static const struct letters key_rights[] = {
	{ "KA", 0x000F003F },
	{ "KR", 0x00020019 },
	{ "KW", 0x00020006 },
	{ "KX", 0x00020019 },
};

static const struct letters label_rights[] = { { "NW", 1 }, { "NR", 2 }, { "NX", 4 } };

/* ---- bytes to text ---- */

struct span {
	const uint8_t *at;
	size_t size;
};

static int corrupt(const char *what)
{
	return cim_fail(CIM_ECORRUPT, "security descriptor: %s", what);
}

static bool sub_span(struct span s, size_t off, size_t size, struct span *ret)
{
	if (off > s.size || size > s.size - off)
		return false;
	*ret = (struct span){ s.at + off, size };
	return true;
}

/* All of @value's bits as letters; false, and nothing appended, if some have none. */
static bool put_letters(GString *text, const struct letters *letters, size_t n, uint32_t value)
{
	uint32_t known = 0;

	for (size_t i = 0; i < n; i++)
		known |= letters[i].value;
	if (value & ~known)
		return false;
	for (size_t i = 0; i < n; i++)
		if (value & letters[i].value)
			g_string_append(text, letters[i].text);
	return true;
}

static void put_hex(GString *text, struct span s)
{
	g_string_append_c(text, '#');
	for (size_t i = 0; i < s.size; i++)
		g_string_append_printf(text, "%02x", s.at[i]);
}

static void put_rights(GString *text, uint8_t type, uint32_t mask)
{
	for (size_t i = 0; type != TYPE_LABEL && i < G_N_ELEMENTS(file_rights); i++) {
		if (file_rights[i].value == mask) {
			g_string_append(text, file_rights[i].text);
			return;
		}
	}
	if (type == TYPE_LABEL &&
	    put_letters(text, label_rights, G_N_ELEMENTS(label_rights), mask) && mask)
		return;
	if (mask && type != TYPE_LABEL &&
	    put_letters(text, right_bits, G_N_ELEMENTS(right_bits), mask))
		return;
	g_string_append_printf(text, "0x%x", mask);
}

/* The index in ace_types, or -1. */
static int find_type(uint8_t type)
{
	for (size_t i = 0; i < G_N_ELEMENTS(ace_types); i++)
		if (ace_types[i].value == type)
			return (int)i;
	return -1;
}

static bool take_guid(struct span *s, bool present, GString *text)
{
	struct cim_guid guid;
	char shown[CIM_GUID_TEXT];

	g_string_append_c(text, ';');
	if (!present)
		return true;
	if (s->size < sizeof(guid))
		return false;
	memcpy(&guid, s->at, sizeof(guid));
	cim_guid_format(&guid, shown);
	g_string_append(text, shown);
	return sub_span(*s, sizeof(guid), s->size - sizeof(guid), s);
}

/* What follows the header: mask, GUIDs of an object ACE, SID, data. */
static bool put_ace_body(GString *text, int kind, struct span body)
{
	char sid[CIM_SID_TEXT];
	uint32_t present = 0;

	if (body.size < 4)
		return false;
	put_rights(text, (uint8_t)ace_types[kind].value, cim_load32(body.at));
	(void)sub_span(body, 4, body.size - 4, &body);
	if (kind >= FIRST_OBJECT_TYPE) {
		if (body.size < 4)
			return false;
		present = cim_load32(body.at);
		(void)sub_span(body, 4, body.size - 4, &body);
	}
	if (!take_guid(&body, present & OBJECT_TYPE, text) ||
	    !take_guid(&body, present & INHERITED_OBJECT_TYPE, text))
		return false;
	size_t size = cim_sid_size(body.at, body.size);
	if (size == 0)
		return false;
	cim_sid_format(body.at, true, sid);
	g_string_append_printf(text, ";%s", sid);
	(void)sub_span(body, size, body.size - size, &body);
	if (body.size > 0) {
		g_string_append_c(text, ';');
		put_hex(text, body);
	}
	return true;
}

static bool put_ace(GString *text, struct span ace)
{
	const struct ace_disk *head = (const void *)ace.at;
	int kind = find_type(head->type);
	struct span body = { ace.at + sizeof(*head), ace.size - sizeof(*head) };

	if (kind < 0)
		g_string_append_printf(text, "(0x%x;", head->type);
	else
		g_string_append_printf(text, "(%s;", ace_types[kind].text);
	(void)put_letters(text, ace_flags, G_N_ELEMENTS(ace_flags), head->flags);
	g_string_append_c(text, ';');
	if (kind < 0) {
		g_string_append(text, ";;;;");
		put_hex(text, body);
	} else if (!put_ace_body(text, kind, body)) {
		return false;
	}
	g_string_append_c(text, ')');
	return true;
}

static int put_acl(GString *text, struct span sd, uint32_t off, uint32_t control)
{
	struct span acl, ace;

	if (control & DACL_PROTECTED)
		g_string_append_c(text, 'P');
	if (control & DACL_AUTO_REQ)
		g_string_append(text, "AR");
	if (control & DACL_AUTO_INHERITED)
		g_string_append(text, "AI");
	if (off == 0) {
		g_string_append(text, NULL_ACL);
		return 0;
	}
	if (!sub_span(sd, off, sizeof(struct acl_disk), &acl))
		return corrupt("an ACL passes its end");
	const struct acl_disk *head = (const void *)acl.at;
	if (!sub_span(sd, off, cim_get16(head->size), &acl) || acl.size < sizeof(*head))
		return corrupt("an ACL's size is wrong");
	size_t at = sizeof(*head);
	for (uint32_t i = cim_get16(head->n_aces); i > 0; i--) {
		if (!sub_span(acl, at, sizeof(struct ace_disk), &ace))
			return corrupt("an ACL has fewer entries than it says");
		size_t size = cim_get16(((const struct ace_disk *)ace.at)->size);
		if (size < sizeof(struct ace_disk) || !sub_span(acl, at, size, &ace) ||
		    !put_ace(text, ace))
			return corrupt("an entry of an ACL is longer than its room");
		at += size;
	}
	return 0;
}

static int put_owner(GString *text, const char *key, struct span sd, uint32_t off)
{
	char sid[CIM_SID_TEXT];
	struct span rest;

	if (off == 0)
		return 0;
	if (off > sd.size || !sub_span(sd, off, sd.size - off, &rest) ||
	    cim_sid_size(rest.at, rest.size) == 0)
		return corrupt("its owner or group is no SID");
	cim_sid_format(rest.at, true, sid);
	g_string_append(text, key);
	g_string_append(text, sid);
	return 0;
}

static int put_descriptor(GString *text, struct span sd)
{
	const struct sd_disk *d = (const void *)sd.at;

	if (sd.size < sizeof(*d) || d->revision != 1)
		return corrupt("it has no header of revision 1");
	uint32_t control = cim_get16(d->control);
	if (!(control & SELF_RELATIVE))
		return corrupt("it is not self-relative");
	int r = put_owner(text, "O:", sd, cim_get32(d->owner_off));
	if (r == 0)
		r = put_owner(text, "G:", sd, cim_get32(d->group_off));
	if (r == 0 && control & DACL_PRESENT) {
		g_string_append(text, "D:");
		r = put_acl(text, sd, cim_get32(d->dacl_off), control);
	}
	if (r == 0 && control & SACL_PRESENT) {
		g_string_append(text, "S:");
		r = put_acl(text, sd, cim_get32(d->sacl_off), control >> SACL_SHIFT);
	}
	return r;
}

int cim_sddl_format(const void *sd, size_t size, char **ret)
{
	GString *text = g_string_new(NULL);
	int r = put_descriptor(text, (struct span){ sd, size });

	if (r < 0)
		g_string_free(text, TRUE);
	else
		*ret = g_string_free(text, FALSE);
	return r;
}

/* ---- text to bytes ---- */

struct parser {
	const char *at;
	uint32_t control;
	uint8_t owner[CIM_SID_MAX], group[CIM_SID_MAX];
	size_t owner_size, group_size;
	GByteArray *dacl, *sacl; /* NULL: not present, or a NULL ACL */
};

static int refuse(const struct parser *p, const char *why)
{
	return cim_fail(EINVAL, "SDDL, at \"%.24s\": %s", p->at, why);
}

static void skip_spaces(struct parser *p)
{
	p->at += strspn(p->at, " \t\r\n");
}

static bool take(struct parser *p, const char *text)
{
	size_t n = strlen(text);

	if (strncmp(p->at, text, n) != 0)
		return false;
	p->at += n;
	return true;
}

/* One of the letters, or false. */
static bool take_letters(struct parser *p, const struct letters *letters, size_t n,
			 uint32_t *ret_value)
{
	for (size_t i = 0; i < n; i++) {
		if (take(p, letters[i].text)) {
			*ret_value |= letters[i].value;
			return true;
		}
	}
	return false;
}

static int take_number(struct parser *p, uint32_t *ret)
{
	char *end;
	guint64 n = 0;

	if (isdigit((unsigned char)p->at[0]))
		n = g_ascii_strtoull(p->at, &end, p->at[1] == 'x' || p->at[1] == 'X' ? 16 : 10);
	else
		return refuse(p, "a number is missing");
	if (n > UINT32_MAX)
		return refuse(p, "the number is too large");
	p->at = end;
	*ret = (uint32_t)n;
	return 0;
}

static int parse_type(struct parser *p, uint8_t *ret, int *ret_kind)
{
	uint32_t number;

	for (size_t i = 0; i < G_N_ELEMENTS(ace_types); i++) {
		size_t n = strlen(ace_types[i].text);

		if (strncmp(p->at, ace_types[i].text, n) == 0 && p->at[n] == ';') {
			p->at += n;
			*ret_kind = (int)i;
			*ret = (uint8_t)ace_types[i].value;
			return 0;
		}
	}
	int r = take_number(p, &number);
	if (r < 0 || number > 0xFF)
		return refuse(p, "the type of an entry is not known");
	*ret = (uint8_t)number;
	*ret_kind = find_type(*ret);
	return 0;
}

static int parse_flags(struct parser *p, uint8_t *ret)
{
	uint32_t flags = 0;

	while (*p->at != ';')
		if (!take_letters(p, ace_flags, G_N_ELEMENTS(ace_flags), &flags))
			return refuse(p, "a flag of an entry is not known");
	*ret = (uint8_t)flags;
	return 0;
}

static int parse_rights(struct parser *p, uint32_t *ret)
{
	*ret = 0;
	if (isdigit((unsigned char)*p->at))
		return take_number(p, ret);
	while (*p->at != ';')
		if (!take_letters(p, right_bits, G_N_ELEMENTS(right_bits), ret) &&
		    !take_letters(p, file_rights, G_N_ELEMENTS(file_rights), ret) &&
		    !take_letters(p, key_rights, G_N_ELEMENTS(key_rights), ret) &&
		    !take_letters(p, label_rights, G_N_ELEMENTS(label_rights), ret))
			return refuse(p, "a right is not known");
	return 0;
}

/* The bytes of "bf967aba-0de6-11d0-a285-00aa003049e2"; 0 or 1, whether there is one. */
static int parse_guid(struct parser *p, struct cim_guid *ret)
{
	static const uint8_t place[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

	if (*p->at == ';')
		return 0;
	for (size_t i = 0; i < sizeof(place); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			if (!take(p, "-"))
				return refuse(p, "this is no GUID");
		int high = g_ascii_xdigit_value(p->at[0]);
		int low = high < 0 ? -1 : g_ascii_xdigit_value(p->at[1]);
		if (low < 0)
			return refuse(p, "this is no GUID");
		ret->b[place[i]] = (uint8_t)(high << 4 | low);
		p->at += 2;
	}
	return 1;
}

static int parse_hex(struct parser *p, GByteArray *to)
{
	if (!take(p, "#"))
		return refuse(p, *p->at == '(' ? "conditional expressions are not understood"
					       : "expected \"#\" and hexadecimal bytes");
	for (int high; (high = g_ascii_xdigit_value(p->at[0])) >= 0; p->at += 2) {
		int low = g_ascii_xdigit_value(p->at[1]);
		uint8_t byte = (uint8_t)(high << 4 | (low & 15));

		if (low < 0)
			return refuse(p, "half a byte");
		g_byte_array_append(to, &byte, 1);
	}
	return 0;
}

static int separator(struct parser *p)
{
	return take(p, ";") ? 0 : refuse(p, "expected \";\"");
}

static void append32(GByteArray *to, uint32_t value)
{
	cim_le32 v = cim_put32(value);

	g_byte_array_append(to, v.b, sizeof(v));
}

/* The mask, the GUIDs, the SID. */
static int parse_body(struct parser *p, int kind, GByteArray *ace)
{
	struct cim_guid object, inherited;
	uint8_t sid[CIM_SID_MAX];
	uint32_t mask;
	int has_object = 0, has_inherited = 0;
	int r = parse_rights(p, &mask);

	if (r == 0)
		r = separator(p);
	if (r == 0)
		r = has_object = parse_guid(p, &object);
	if (r >= 0)
		r = separator(p);
	if (r == 0)
		r = has_inherited = parse_guid(p, &inherited);
	if (r >= 0)
		r = separator(p);
	if (r < 0)
		return r;
	if ((has_object || has_inherited) && kind < FIRST_OBJECT_TYPE)
		return refuse(p, "an entry of this type has no object GUIDs");
	r = cim_sid_parse(p->at, &p->at, sid);
	if (r < 0)
		return r;
	append32(ace, mask);
	if (kind >= FIRST_OBJECT_TYPE)
		append32(ace, (has_object ? OBJECT_TYPE : 0) |
				      (has_inherited ? INHERITED_OBJECT_TYPE : 0));
	if (has_object)
		g_byte_array_append(ace, object.b, sizeof(object.b));
	if (has_inherited)
		g_byte_array_append(ace, inherited.b, sizeof(inherited.b));
	g_byte_array_append(ace, sid, (guint)r);
	return take(p, ";") ? parse_hex(p, ace) : 0;
}

/* An entry whose "(" was taken, into @acl. */
static int parse_ace(struct parser *p, GByteArray *acl)
{
	g_autoptr(GByteArray) ace = g_byte_array_new();
	static const uint8_t pad[4];
	struct ace_disk head = { 0 };
	int kind;
	int r = parse_type(p, &head.type, &kind);

	if (r == 0)
		r = separator(p);
	if (r == 0)
		r = parse_flags(p, &head.flags);
	if (r == 0)
		r = separator(p);
	if (r < 0)
		return r;
	if (kind < 0)
		r = take(p, ";;;;") ? parse_hex(p, ace)
				    : refuse(p, "expected \";;;;#\" and the bytes of the entry");
	else
		r = parse_body(p, kind, ace);
	if (r == 0 && !take(p, ")"))
		r = refuse(p, "expected \")\"");
	if (r < 0)
		return r;
	g_byte_array_append(ace, pad, -ace->len & 3);
	if (acl->len + sizeof(head) + ace->len > UINT16_MAX)
		return cim_fail(E2BIG, "SDDL: an ACL of more than %d bytes", UINT16_MAX);
	head.size = cim_put16((uint16_t)(sizeof(head) + ace->len));
	g_byte_array_append(acl, (const guint8 *)&head, sizeof(head));
	g_byte_array_append(acl, ace->data, ace->len);

	struct acl_disk *a = (void *)acl->data;
	a->size = cim_put16((uint16_t)acl->len);
	a->n_aces = cim_put16((uint16_t)(cim_get16(a->n_aces) + 1));
	if (kind >= FIRST_OBJECT_TYPE)
		a->revision = ACL_REVISION_OBJECT;
	return 0;
}

/* What follows "D:" or "S:"; @control are the bits of a DACL. */
static int parse_acl(struct parser *p, uint32_t *control, GByteArray **ret)
{
	static const struct letters flags[] = { { "P", DACL_PROTECTED },
						{ "AR", DACL_AUTO_REQ },
						{ "AI", DACL_AUTO_INHERITED } };
	const struct acl_disk empty = { .revision = ACL_REVISION,
					.size = cim_put16(sizeof(empty)) };
	bool is_null = false;
	int r = 0;

	for (bool more = true; more;) {
		is_null = take(p, NULL_ACL) || is_null;
		more = take_letters(p, flags, G_N_ELEMENTS(flags), control);
	}
	if (is_null)
		return 0;
	*ret = g_byte_array_new();
	g_byte_array_append(*ret, (const guint8 *)&empty, sizeof(empty));
	skip_spaces(p);
	while (r == 0 && take(p, "(")) {
		r = parse_ace(p, *ret);
		skip_spaces(p);
	}
	return r;
}

static int parse_owner(struct parser *p, uint8_t *sid, size_t *ret_size)
{
	int n = cim_sid_parse(p->at, &p->at, sid);

	*ret_size = n < 0 ? 0 : (size_t)n;
	return MIN(n, 0);
}

static int parse_part(struct parser *p)
{
	uint32_t acl_control = 0;
	int r;

	if (!p->owner_size && take(p, "O:"))
		return parse_owner(p, p->owner, &p->owner_size);
	if (!p->group_size && take(p, "G:"))
		return parse_owner(p, p->group, &p->group_size);
	if (!(p->control & DACL_PRESENT) && take(p, "D:")) {
		r = parse_acl(p, &acl_control, &p->dacl);
		p->control |= DACL_PRESENT | acl_control;
		return r;
	}
	if (!(p->control & SACL_PRESENT) && take(p, "S:")) {
		r = parse_acl(p, &acl_control, &p->sacl);
		p->control |= SACL_PRESENT | acl_control << SACL_SHIFT;
		return r;
	}
	return refuse(p, "expected O:, G:, D: or S:, each once");
}

static cim_le32 put_part(GByteArray *sd, const void *bytes, size_t size)
{
	cim_le32 off = cim_put32(size > 0 ? sd->len : 0);

	g_byte_array_append(sd, bytes, (guint)size);
	return off;
}

static int assemble(const struct parser *p, void **ret, size_t *ret_size)
{
	struct sd_disk head = { .revision = 1,
				.control = cim_put16((uint16_t)(p->control | SELF_RELATIVE)) };
	GByteArray *sd = g_byte_array_new();

	g_byte_array_append(sd, (const guint8 *)&head, sizeof(head));
	if (p->sacl)
		head.sacl_off = put_part(sd, p->sacl->data, p->sacl->len);
	if (p->dacl)
		head.dacl_off = put_part(sd, p->dacl->data, p->dacl->len);
	head.owner_off = put_part(sd, p->owner, p->owner_size);
	head.group_off = put_part(sd, p->group, p->group_size);
	memcpy(sd->data, &head, sizeof(head));
	if (sd->len > CIM_SD_MAX) {
		int r = cim_fail(E2BIG, "SDDL: a descriptor of %u bytes; it may have %d", sd->len,
				 CIM_SD_MAX);

		g_byte_array_unref(sd);
		return r;
	}
	*ret_size = sd->len;
	*ret = g_byte_array_free(sd, FALSE);
	return 0;
}

int cim_sddl_parse(const char *text, void **ret, size_t *ret_size)
{
	struct parser p = { .at = text };
	int r = 0;

	skip_spaces(&p);
	if (!*p.at)
		return refuse(&p, "there is nothing");
	while (r == 0 && *p.at) {
		r = parse_part(&p);
		skip_spaces(&p);
	}
	if (r == 0)
		r = assemble(&p, ret, ret_size);
	if (p.dacl)
		g_byte_array_unref(p.dacl);
	if (p.sacl)
		g_byte_array_unref(p.sacl);
	return r;
}
