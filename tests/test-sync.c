/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fsync(2) of a file of a writer: it hears of what could not be written, wherever the data is; and
 * what was told once is never forgotten.
 */
#include "config.h"

#include "imagedir.h"
#include "syscalls.h"

#define SIZE (3 * 1024 * 1024)

static int error;  /* of the next writing out; negative */
static int n_outs; /* how often something was written out */
static int n_fsyncs;

static int on_call(struct call *c)
{
	n_fsyncs += c->kind == CALL_FSYNC;
	if (c->kind != CALL_SYNC_FILE_RANGE || !((unsigned)c->flags & SYNC_FILE_RANGE_WAIT_AFTER))
		return 0;
	n_outs++;
	int r = error;
	error = 0; /* as the kernel, which tells it once */
	return r;
}

static void setup(void)
{
	setup_dir();
	make_image(NULL, "base.cim", "base");
	n_outs = n_fsyncs = error = 0;
	syscalls_before = on_call;
}

static void teardown(void)
{
	syscalls_before = NULL;
	teardown_dir();
}

/* Where the data of a file can be when it is synced. */
enum place { SCRATCH, SCRATCH_AGAIN, REGION, REGION_OPEN, N_PLACES };

/* A file of a new image with its data in a place; it is open if its data changes. */
static struct cim_writer *stage(enum place place, uint32_t *ret_id)
{
	struct cim_writer *w = open_writer("base.cim", "new.cim");
	g_autofree uint8_t *data = pattern(SIZE, 1);

	switch (place) {
	case SCRATCH: /* too large for memory, and still being written */
		*ret_id = make_file(w, "file", S_IFREG | 0644);
		ck_assert_int_eq(cim_writer_open_file(w, *ret_id, CIM_OPEN_WRITE), 0);
		ck_assert_int_eq(cim_writer_write(w, *ret_id, 0, data, SIZE), SIZE);
		break;
	case SCRATCH_AGAIN: /* stored once, changed since, and closed */
		*ret_id = put(w, "file", data, SIZE);
		write_at(w, *ret_id, 100, "changed", 7);
		break;
	case REGION: /* stored */
		*ret_id = put(w, "file", data, SIZE);
		break;
	case REGION_OPEN: /* in memory, stored by the syncing itself */
	default:
		*ret_id = make_file(w, "file", S_IFREG | 0644);
		ck_assert_int_eq(cim_writer_open_file(w, *ret_id, CIM_OPEN_WRITE), 0);
		ck_assert_int_eq(cim_writer_write(w, *ret_id, 0, data, SIZE / 8), SIZE / 8);
	}
	return w;
}

START_TEST(sync_waits_for_the_data_wherever_it_is)
{
	uint32_t id;
	struct cim_writer *w = stage((enum place)_i, &id);

	ck_assert_int_eq(cim_writer_sync(w, id), 0);
	ck_assert_int_ge(n_outs, 1);
	ck_assert_int_eq(n_fsyncs, 0); /* of a whole file, with that of others */
	commit(w);
}
END_TEST

START_TEST(sync_tells_what_the_disk_did_not_take)
{
	static const int errors[] = { -EIO, -ENOSPC };
	g_autoptr(GHashTable) before = checksums();
	int lost = errors[_i / N_PLACES];
	uint32_t id;
	struct cim_writer *w = stage((enum place)(_i % N_PLACES), &id);

	error = lost;
	ck_assert_int_eq(cim_writer_sync(w, id), lost);
	ck_assert_int_eq(error, 0);
	ck_assert_int_eq(cim_writer_sync(w, id), lost);
	/* The commit asks the kernel as well, which does not tell it again. */
	ck_assert_int_eq(cim_writer_commit(w), -EIO);
	ck_assert_int_eq(cim_writer_commit(w), -ESTALE);
	cim_writer_close(w);
	ck_assert_uint_eq(count_files("", NULL), g_hash_table_size(before));
	check_unchanged(before, NULL);
}
END_TEST

START_TEST(sync_that_is_interrupted_or_unsupported_is_done_all_the_same)
{
	uint32_t id;
	struct cim_writer *w = stage(SCRATCH, &id);

	error = -EINTR;
	ck_assert_int_eq(cim_writer_sync(w, id), 0);
	ck_assert_int_ge(n_outs, 2);
	ck_assert_int_eq(n_fsyncs, 0);
	error = -ENOSYS;
	ck_assert_int_eq(cim_writer_sync(w, id), 0);
	ck_assert_int_eq(n_fsyncs, 1);
	commit(w);
}
END_TEST

START_TEST(sync_of_what_needs_no_disk_costs_nothing)
{
	struct cim_writer *w = open_writer("base.cim", "new.cim");

	ck_assert_int_eq(cim_writer_sync(w, find(w, "f")), 0);
	ck_assert_int_eq(cim_writer_sync(w, cim_writer_root(w)), 0);
	ck_assert_int_eq(cim_writer_sync(w, make_file(w, "empty", S_IFREG | 0644)), 0);
	ck_assert_int_eq(cim_writer_sync(w, put_text(w, "small", "text")), 0);
	ck_assert_int_eq(n_outs + n_fsyncs, 0);
	commit(w);
	check_image_text("new.cim", "small", "text");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("sync");
	TCase *tc = tcase_create("sync");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, sync_waits_for_the_data_wherever_it_is, 0, N_PLACES);
	tcase_add_loop_test(tc, sync_tells_what_the_disk_did_not_take, 0, 2 * N_PLACES);
	tcase_add_test(tc, sync_that_is_interrupted_or_unsupported_is_done_all_the_same);
	tcase_add_test(tc, sync_of_what_needs_no_disk_costs_nothing);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return test_run(suite());
}
