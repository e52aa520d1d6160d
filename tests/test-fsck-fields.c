/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The checker: each field of an image, of its region files and of its object IDs has a finding of
 * its own when it is broken.
 */
#include "config.h"

#include "damage.h"
#include "findings.h"

/* ---- what is broken ---- */

/* Where the parts of the rich image "a.cim" are, for the damage to be done. */
struct parts {
	struct cim_image *img;
	uint64_t root_links, dir_links, text, dir, device, symlink, small, large;
	struct cim_entry dir_entry, text_entry, device_entry, symlink_entry, small_entry,
		large_entry;
	char meta_ids[CIM_FILE_NAME], region[CIM_FILE_NAME];
};

static void find_parts(struct parts *p)
{
	struct cim_set *sets;
	uint32_t n;

	p->img = open_image("a.cim");
	p->root_links = image_entry(p->img, "").data.off;
	p->dir_entry = image_entry(p->img, "dir");
	p->dir_links = p->dir_entry.data.off;
	p->text_entry = image_entry(p->img, "text");
	p->device_entry = image_entry(p->img, "device");
	p->symlink_entry = image_entry(p->img, "symlink");
	p->small_entry = image_entry(p->img, "small");
	p->large_entry = image_entry(p->img, "large");
	p->text = entry_off(p->img, "text");
	p->dir = entry_off(p->img, "dir");
	p->device = entry_off(p->img, "device");
	p->symlink = entry_off(p->img, "symlink");
	p->small = entry_off(p->img, "small");
	p->large = entry_off(p->img, "large");
	ck_assert_int_eq(cim_image_list_sets(test_store, "a.cim", &sets, &n), 0);
	cim_objectid_name(&sets[0].guid, 0, p->meta_ids);
	cim_region_name(&sets[0].guid, 0, p->region);
	g_free(sets);
}

/* In the image file. */
static void b_magic(const struct parts *p)
{
	damage_file("a.cim", 0, "x", 1);
}
static void b_header_size(const struct parts *p)
{
	damage_file("a.cim", 8, "x", 1);
}
static void b_kind(const struct parts *p)
{
	damage_file("a.cim", 12, "\1", 1);
}
static void b_reserved13(const struct parts *p)
{
	damage_file("a.cim", 13, "\1", 1);
}
static void b_reserved24(const struct parts *p)
{
	damage_file("a.cim", 24, "\1", 1);
}
static void b_guid(const struct parts *p)
{
	damage_file("a.cim", 40, "\1\2", 2);
}
static void b_no_regions(const struct parts *p)
{
	damage_file("a.cim", 48, "\0\0", 2);
}
static void b_more_regions(const struct parts *p)
{
	damage_file("a.cim", 48, "\4\0", 2);
}
static void b_fewer_regions(const struct parts *p)
{
	damage_file("a.cim", 48, "\1\0", 2);
}
static void b_fs_off(const struct parts *p)
{
	damage_file("a.cim", 56, "\0\0\0\0\0\0\0\0", 8);
}
static void b_fs_region(const struct parts *p)
{
	damage_file("a.cim", 62, "\x09\0", 2);
}
static void b_reserved64(const struct parts *p)
{
	damage_file("a.cim", 64, "\1", 1);
}
static void b_parents(const struct parts *p)
{
	damage_file("a.cim", 70, "\1", 1);
}
static void b_trailing(const struct parts *p)
{
	damage_file("a.cim", 72, "trailing", 8);
}
static void b_cut_header(const struct parts *p)
{
	cut_file("a.cim", 71);
}

/* In a region file and its object IDs. */
static void b_region_magic(const struct parts *p)
{
	damage_file(p->region, 0, "x", 1);
}
static void b_region_index(const struct parts *p)
{
	damage_file(p->region, 32, "\1", 1);
}
static void b_region_type(const struct parts *p)
{
	damage_file(p->region, 34, "\7", 1);
}
static void b_region_reserved(const struct parts *p)
{
	damage_file(p->region, 35, "\1", 1);
}
static void b_region_header(const struct parts *p)
{
	damage_file(p->region, 8, "\1", 1);
}
static void b_region_gone(const struct parts *p)
{
	unlinkat(test_store->dirfd, p->region, 0);
}
static void b_region_fifo(const struct parts *p)
{
	ck_assert_int_eq(unlinkat(test_store->dirfd, p->region, 0), 0);
	ck_assert_int_eq(mkfifoat(test_store->dirfd, p->region, 0644), 0);
}
static void b_region_link(const struct parts *p)
{
	ck_assert_int_eq(renameat(test_store->dirfd, p->region, test_store->dirfd, "other"), 0);
	ck_assert_int_eq(symlinkat("other", test_store->dirfd, p->region), 0);
}
static void b_ids_gone(const struct parts *p)
{
	unlinkat(test_store->dirfd, p->meta_ids, 0);
}
static void b_ids_magic(const struct parts *p)
{
	damage_file(p->meta_ids, 0, "x", 1);
}
static void b_ids_index(const struct parts *p)
{
	damage_file(p->meta_ids, 32, "\1", 1);
}
static void b_ids_type(const struct parts *p)
{
	damage_file(p->meta_ids, 34, "\2", 1);
}
static void b_ids_table(const struct parts *p)
{
	damage_file(p->meta_ids, 40, "\377\377", 2);
}
static void b_ids_count(const struct parts *p)
{
	damage_file(p->meta_ids, 44, "\377\377", 2);
}
static void b_ids_size(const struct parts *p)
{
	damage_file(p->meta_ids, 48 + 5, "\1", 1);
}
static void b_ids_digest(const struct parts *p)
{
	damage_file(p->meta_ids, 48 + 30, "!!", 2);
}
static void b_ids_off(const struct parts *p)
{
	damage_file(p->meta_ids, 48 + 37, "\1", 1);
}

/* The filesystem object and the file tables. */
static void b_fs_upcase(const struct parts *p)
{
	damage64(p->img->header.fs_off, 0);
}
static void b_fs_tables(const struct parts *p)
{
	damage64(p->img->header.fs_off + 8, 1ull << 40);
}
static void b_fs_count(const struct parts *p)
{
	damage32(p->img->header.fs_off + 16, 0);
}
static void b_fs_huge_count(const struct parts *p)
{
	damage32(p->img->header.fs_off + 16, 0x00400000);
}
static void b_fs_root(const struct parts *p)
{
	damage32(p->img->header.fs_off + 20, 0);
}
static void b_root_is_a_file(const struct parts *p)
{
	damage32(p->img->header.fs_off + 20, image_find(p->img, "text"));
}
static void b_table_off(const struct parts *p)
{
	damage64(p->img->fs.tables_off, 1ull << 50);
}
static void b_table_count(const struct parts *p)
{
	damage16(p->img->fs.tables_off + 8, 0);
}
static void b_table_many(const struct parts *p)
{
	damage16(p->img->fs.tables_off + 8, 1025);
}
static void b_table_size(const struct parts *p)
{
	damage16(p->img->fs.tables_off + 10, 87);
}
static void b_upcase(const struct parts *p)
{
	damage16(p->img->fs.upcase_off + 2 * 0x2000, 'a');
	damage16(p->img->fs.upcase_off + 2 * 'a', 'A');
}

/* File entries. */
static void b_flags(const struct parts *p)
{
	damage16(p->text + FIELD(flags), 0x8020);
}
static void b_ea_size(const struct parts *p)
{
	damage16(p->text + FIELD(ea_size), 3);
}
static void b_ea_none(const struct parts *p)
{
	damage16(p->text + FIELD(ea_size), 0);
}
static void b_ea_off(const struct parts *p)
{
	damage64(p->text + FIELD(ea_off), 1ull << 44);
}
static void b_tag(const struct parts *p)
{
	damage32(p->symlink + FIELD(reparse_tag), 0x80000024);
}
static void b_tag_alone(const struct parts *p)
{
	damage32(p->dir + FIELD(reparse_tag), 0x90001234);
}
static void b_time(const struct parts *p)
{
	damage64(p->text + FIELD(written), UINT64_MAX);
}
static void b_data_off(const struct parts *p)
{
	damage64(p->large + FIELD(data), 0);
}
static void b_data_past(const struct parts *p)
{
	damage64(p->large + FIELD(data), 1ull << 48 | 1ull << 30);
}
static void b_data_align(const struct parts *p)
{
	damage64(p->large + FIELD(data), p->large_entry.data.off + 512);
	damage64(p->large + FIELD(data) + 8, 512);
}
static void b_data_size(const struct parts *p)
{
	damage64(p->large + FIELD(data) + 8, 1ull << 40);
}
static void b_data_type(const struct parts *p)
{
	damage64(p->large + FIELD(data) + 8, 3ull << 48 | 10);
}
static void b_data_pe(const struct parts *p)
{
	damage64(p->large + FIELD(data) + 8, 2ull << 48 | 100000);
}
static void b_data_place(const struct parts *p)
{
	damage64(p->text + FIELD(data), p->text_entry.sd_off);
}
static void b_sd_none(const struct parts *p)
{
	damage64(p->text + FIELD(sd_off), 0);
}
static void b_sd_off(const struct parts *p)
{
	damage64(p->text + FIELD(sd_off), 7ull << 48 | 8);
}
static void b_sd_bytes(const struct parts *p)
{
	damage(p->text_entry.sd_off + 2, "\2", 1);
}
static void b_reparse_off(const struct parts *p)
{
	damage64(p->symlink + FIELD(reparse_off), 1ull << 47);
}
static void b_reparse_size(const struct parts *p)
{
	damage16(p->symlink_entry.reparse_off, 4);
}
static void b_reparse_long(const struct parts *p)
{
	damage16(p->symlink_entry.reparse_off, 16385);
}
static void b_streams_off(const struct parts *p)
{
	damage64(p->small + FIELD(streams_off), 1ull << 45);
}
static void b_streams_count(const struct parts *p)
{
	damage32(p->small_entry.streams_off + 4, 1 << 20);
}
static void b_stream_word(const struct parts *p)
{
	damage64(p->small_entry.streams_off + 16, 1ull << 41);
}
static void b_stream_links(const struct parts *p)
{
	damage64(p->small_entry.streams_off + 16, 1ull << 48 | 100);
}
static void b_parent(const struct parts *p)
{
	damage32(p->device + FIELD(parent_id), 12345);
}
static void b_parent_other(const struct parts *p)
{
	damage32(p->device + FIELD(parent_id), image_find(p->img, "dir"));
}
static void b_root_parent(const struct parts *p)
{
	damage32(entry_off(p->img, "") + FIELD(parent_id), 2);
}
static void b_ea_links(const struct parts *p)
{
	/* $CIMLINKS is the first: 8 bytes, its name and a NUL, the value. */
	damage32(p->text_entry.ea_off + 8 + 10, 2);
}
static void b_ea_mode(const struct parts *p)
{
	damage32(p->device_entry.ea_off + 40 + 8 + 7, S_IFDIR | 0755);
}

/* Link tables: 8 bytes, then the IDs. */
static void b_links_size(const struct parts *p)
{
	damage32(p->dir_links, 7);
}
static void b_links_longer(const struct parts *p)
{
	damage32(p->dir_links, 1 << 20);
}
static void b_links_count(const struct parts *p)
{
	damage32(p->dir_links + 4, 1 << 20);
}
static void b_link_none(const struct parts *p)
{
	damage32(p->dir_links + 8, 0);
}
static void b_link_past(const struct parts *p)
{
	damage32(p->dir_links + 8, 1 << 30);
}
static void b_link_root(const struct parts *p)
{
	damage32(p->dir_links + 8, image_find(p->img, ""));
}
static void b_link_cycle(const struct parts *p)
{
	/* "dir/none" becomes "dir" itself. */
	damage32(p->dir_links + 8 + 4, image_find(p->img, "dir"));
}
static void b_link_twice(const struct parts *p)
{
	damage32(p->dir_links + 8 + 4, image_find(p->img, "dir/sub"));
}
static uint64_t first_name(const struct parts *p)
{
	return p->dir_links + 8 + 3 * 8;
}
static void b_name_off(const struct parts *p)
{
	damage32(p->dir_links + 8 + 3 * 4, 1 << 20);
}
static void b_name_units(const struct parts *p)
{
	damage16(first_name(p), 256);
}
static void b_name_empty(const struct parts *p)
{
	damage16(first_name(p), 0);
}
static void b_name_slash(const struct parts *p)
{
	damage16(first_name(p) + 2, '/');
}
static void b_name_nul(const struct parts *p)
{
	damage16(first_name(p) + 2, 0);
}
static void b_name_order(const struct parts *p)
{
	damage16(first_name(p) + 2, 'z');
}
static void b_shared_directories(const struct parts *p)
{
	/* "dir/none" gets the link table of "dir", which it is in itself. */
	uint64_t none = entry_off(p->img, "dir/none");

	damage64(none + FIELD(data), p->dir_entry.data.off);
	damage64(none + FIELD(data) + 8, 1ull << 48 | p->dir_entry.data.size);
}
static void b_overlap(const struct parts *p)
{
	uint64_t none = entry_off(p->img, "dir/none");

	/* Eight bytes into the table of the root: two IDs become a length and a count. */
	damage32(p->root_links + 8, 16);
	damage32(p->root_links + 12, 0);
	damage64(none + FIELD(data), p->root_links + 8);
	damage64(none + FIELD(data) + 8, 1ull << 48 | 16);
}

/* The findings that there must be; others may come along, as one break shows in several places. */
static const struct broken {
	const char *name;
	void (*damage)(const struct parts *p);
	int expect;
	const char *finding;
} broken[] = {
#define B(name, expect, finding)                 \
	{                                        \
#name, b_##name, expect, finding \
	}
	B(magic, 0, NULL), /* no image any more: its files are not needed */
	B(header_size, 0, "note header-size"),
	B(kind, 0, NULL),
	B(reserved13, 0, "note reserved"),
	B(reserved24, 0, "note reserved"),
	B(guid, 1, "damage region-missing"),
	B(no_regions, 1, "damage header"),
	B(more_regions, 1, "damage region-missing"),
	B(fewer_regions, 1, "damage data"),
	B(fs_off, 1, "damage filesystem"),
	B(fs_region, 1, "damage filesystem"),
	B(reserved64, 0, "note reserved"),
	B(parents, 1, "damage header"),
	B(trailing, 0, "note trailing"),
	B(cut_header, 1, "damage header"),
	B(region_magic, 1, "damage region-header"),
	B(region_index, 1, "damage region-header"),
	B(region_type, 1, "damage region-type"),
	B(region_reserved, 0, "note reserved"),
	B(region_header, 0, "note header-size"),
	B(region_gone, 1, "damage region-missing"),
	B(region_fifo, 1, "damage region-file"),
	B(region_link, 1, "damage region-file"),
	B(ids_gone, 0, "note object-missing"),
	B(ids_magic, 1, "damage object-header"),
	B(ids_index, 1, "damage object-header"),
	B(ids_type, 1, "damage object-type"),
	B(ids_table, 1, "damage object-header"),
	B(ids_count, 1, "damage object-header"),
	B(ids_size, 1, "damage object-range"),
	B(ids_digest, 1, "damage digest"),
	B(ids_off, 1, "damage object-range"),
	B(fs_upcase, 1, "damage filesystem"),
	B(fs_tables, 1, "damage filesystem"),
	B(fs_count, 1, "damage filesystem"),
	B(fs_huge_count, 1, "damage filesystem"),
	B(fs_root, 1, "damage filesystem"),
	B(root_is_a_file, 1, "damage link-table"),
	B(table_off, 1, "damage file-table"),
	B(table_count, 1, "damage file-table"),
	B(table_many, 1, "damage file-table"),
	B(table_size, 1, "damage file-table"),
	B(upcase, 1, "note upcase"),
	B(flags, 1, "note flags"),
	B(ea_size, 1, "damage ea-list"),
	B(ea_none, 1, "note ea-size"),
	B(ea_off, 1, "damage ea-list"),
	B(tag, 1, "damage reparse"),
	B(tag_alone, 1, "note reparse-tag"),
	B(time, 1, "note time"),
	B(data_off, 1, "damage link-target"),
	B(data_past, 1, "damage data"),
	B(data_align, 1, "damage alignment"),
	B(data_size, 1, "damage data"),
	B(data_type, 1, "damage link-target"),
	B(data_pe, 1, "damage pe-image"),
	B(data_place, 1, "note region-kind"),
	B(sd_none, 1, "note descriptor"),
	B(sd_off, 1, "damage descriptor"),
	B(sd_bytes, 1, "damage descriptor"),
	B(reparse_off, 1, "damage reparse"),
	B(reparse_size, 1, "damage reparse"),
	B(reparse_long, 1, "damage reparse"),
	B(streams_off, 1, "damage stream-table"),
	B(streams_count, 1, "damage stream-table"),
	B(stream_word, 1, "damage data"),
	B(stream_links, 1, "damage stream"),
	B(parent, 1, "damage parent"),
	B(parent_other, 1, "damage parent"),
	B(root_parent, 1, "note parent"),
	B(ea_links, 1, "damage link-count"),
	B(ea_mode, 1, "note mode"),
	B(links_size, 1, "damage link-table"),
	B(links_longer, 1, "damage link-table"),
	B(links_count, 1, "damage link-table"),
	B(link_none, 1, "damage link-target"),
	B(link_past, 1, "damage link-target"),
	B(link_root, 1, "damage directory-parents"),
	B(link_cycle, 1, "damage directory-parents"),
	B(link_twice, 1, "damage directory-parents"),
	B(name_off, 1, "damage link-name"),
	B(name_units, 1, "damage link-name"),
	B(name_empty, 1, "damage link-name"),
	B(name_slash, 1, "damage link-name"),
	B(name_nul, 1, "damage link-name"),
	B(name_order, 1, "damage link-order"),
	B(shared_directories, 1, "damage directory-parents"),
	B(overlap, 1, "damage table-overlap"),
#undef B
};

/*
 * With all data read, what lies in region files also fails its digest; without, all the damage
 * there is must be that of the field.
 */
START_TEST(broken_field_is_found)
{
	const struct broken *b = &broken[_i];
	struct cim_fsck_options opt = { 0 };
	struct parts p = { 0 };
	struct heard h;

	make_rich();
	find_parts(&p);
	b->damage(&p);
	cim_image_unref(p.img);
	hear_nothing(&h);
	int r = cim_fsck_directory(test_store, &opt, hear, &h);
	ck_assert_msg(r >= 0, "%s: %s", b->name, cim_reason());
	if (b->finding && !is_heard(&h, b->finding)) {
		forget(&h);
		r = run_fsck(&h);
	}
	ck_assert_msg(!b->finding || is_heard(&h, b->finding), "%s: wanted \"%s\" in\n%s", b->name,
		      b->finding, h.all->str);
	forget(&h);
	/* A note alone is no damage, but for the digest of the bytes that were changed. */
	int with_data = run_fsck(&h);
	ck_assert_msg(with_data == b->expect, "%s: %d, not %d\n%s", b->name, with_data, b->expect,
		      h.all->str);
	forget(&h);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsck-fields");
	TCase *tc = tcase_create("fields");

	tcase_add_checked_fixture(tc, setup_dir, teardown_dir);
	tcase_add_loop_test(tc, broken_field_is_found, 0, N_ROWS(broken));
	suite_add_tcase(suite, tc);
	return test_run(suite);
}
