/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "crash-states.h"

#include <check.h>
#include <string.h>

#include "support.h"

/* How much of a pending operation is on disk. */
enum part { PART_NONE, PART_ALL, PART_HEAD, PART_TAIL, PART_ZEROS };

struct pick {
	uint8_t part;  /* enum part */
	uint64_t size; /* bytes of a HEAD or TAIL */
};

struct states {
	const struct trace *t;
	enum crash_model model;
	unsigned int effort;
	crash_fn fn;
	void *arg;
	struct test_random random;
	GHashTable *seen;     /* digests of states, with their marks */
	GHashTable *contents; /* "file.operations" -> content without pending operations */

	/* At this point: */
	guint point;
	uint32_t least, most;
	struct pick *pick; /* by operation */
	bool *durable;     /* by operation */
	GArray *names;     /* guint: pending operations on names */
	GHashTable *base;  /* name -> file + 1, of what is durable */
};

/* ---- what is durable ---- */

static bool is_data(const struct trace_op *op)
{
	return op->kind == TRACE_WRITE || op->kind == TRACE_ZERO || op->kind == TRACE_RESIZE;
}

/* The nearest fsync that follows decides. */
enum fate { FATE_PENDING, FATE_DURABLE, FATE_LOST };

static enum fate fate_after(const struct trace_op *sync)
{
	return sync->failed ? FATE_LOST : FATE_DURABLE;
}

static void find_durable(struct states *s)
{
	g_autofree enum fate *file = g_new0(enum fate, MAX(s->t->files->len, 1));
	enum fate dir = FATE_PENDING;

	g_array_set_size(s->names, 0);
	for (guint i = s->point; i-- > 0;) {
		const struct trace_op *op = trace_op(s->t, i);

		s->durable[i] = true;
		if (op->kind == TRACE_SYNC)
			file[op->file] = fate_after(op);
		if (op->kind == TRACE_SYNC_DIR ||
		    (op->kind == TRACE_SYNC && s->model == CRASH_ORDERED && !op->failed))
			dir = fate_after(op);
		if (op->kind == TRACE_NAME)
			s->durable[i] = dir == FATE_DURABLE;
		else if (is_data(op))
			s->durable[i] = file[op->file] == FATE_DURABLE;
		s->pick[i] = (struct pick){ .part = PART_ALL };
		if (op->kind == TRACE_NAME && !s->durable[i])
			g_array_prepend_val(s->names, i);
	}
}

/* ---- names ---- */

static void apply_name(GHashTable *names, const struct trace_op *op, bool split)
{
	if (op->gone && !split)
		g_hash_table_remove(names, op->gone);
	if (op->file == TRACE_NO_FILE)
		g_hash_table_remove(names, op->name);
	else
		g_hash_table_insert(names, op->name, GUINT_TO_POINTER(op->file + 1));
}

/* As the durable operations and the picked ones make them; @split: of this rename only the new name
 * is there. */
static GHashTable *picked_names(const struct states *s, guint split)
{
	GHashTable *names = g_hash_table_new(g_str_hash, g_str_equal);
	GHashTableIter it;
	gpointer name, file;

	g_hash_table_iter_init(&it, s->t->start);
	while (g_hash_table_iter_next(&it, &name, &file))
		g_hash_table_insert(names, name, file);
	for (guint i = 0; i < s->point; i++)
		if (trace_op(s->t, i)->kind == TRACE_NAME && s->pick[i].part == PART_ALL)
			apply_name(names, trace_op(s->t, i), i == split);
	return names;
}

/* ---- contents ---- */

static void content_free(gpointer data)
{
	struct crash_content *c = data;

	g_bytes_unref(c->bytes);
	g_free(c);
}

static struct crash_content *content_new(GByteArray *bytes)
{
	struct crash_content *c = g_new(struct crash_content, 1);

	c->bytes = g_byte_array_free_to_bytes(bytes);
	cim_digest(g_bytes_get_data(c->bytes, NULL), g_bytes_get_size(c->bytes), &c->digest);
	return c;
}

static void apply_picked(const struct trace_op *op, struct pick pick, GByteArray *bytes)
{
	static const struct pick all = { .part = PART_ALL };
	struct trace_op part = *op;
	uint64_t old = bytes->len;

	if (pick.part == PART_NONE)
		return;
	if (pick.part == PART_TAIL) {
		part.off += op->size - pick.size;
		part.data += op->size - pick.size;
	}
	if (pick.part == PART_HEAD || pick.part == PART_TAIL)
		part.size = pick.size;
	if (pick.part != PART_ZEROS) {
		trace_apply(&part, bytes);
		return;
	}
	/* What the file has had is as it was, the rest is zeros. */
	part = (struct trace_op){ .kind = TRACE_RESIZE, .size = MAX(old, op->off + op->size) };
	apply_picked(&part, all, bytes);
}

static GByteArray *picked_bytes(const struct states *s, uint32_t file)
{
	GByteArray *bytes = g_byte_array_new();
	GBytes *start = g_ptr_array_index(s->t->files, file);

	if (start)
		g_byte_array_append(bytes, g_bytes_get_data(start, NULL),
				    (guint)g_bytes_get_size(start));
	for (guint i = 0; i < s->point; i++) {
		const struct trace_op *op = trace_op(s->t, i);

		if (is_data(op) && op->file == file)
			apply_picked(op, s->pick[i], bytes);
	}
	return bytes;
}

/* The content of a file with all of its operations, which most states share. */
static const struct crash_content *whole_content(struct states *s, uint32_t file)
{
	guint last = 0;

	for (guint i = s->point; last == 0 && i-- > 0;)
		if (is_data(trace_op(s->t, i)) && trace_op(s->t, i)->file == file)
			last = i + 1;
	g_autofree char *key = g_strdup_printf("%u.%u", file, last);
	struct crash_content *c = g_hash_table_lookup(s->contents, key);
	if (!c) {
		c = content_new(picked_bytes(s, file));
		g_hash_table_insert(s->contents, g_steal_pointer(&key), c);
	}
	return c;
}

/* ---- a state ---- */

static int compare_files(gconstpointer a, gconstpointer b)
{
	return strcmp(((const struct crash_file *)a)->name, ((const struct crash_file *)b)->name);
}

static void digest_state(const GArray *files, struct cim_digest *ret)
{
	struct cim_hash *hash = cim_hash_begin();

	for (guint i = 0; i < files->len; i++) {
		const struct crash_file *f = &g_array_index(files, struct crash_file, i);

		cim_hash_add(hash, f->name, strlen(f->name) + 1);
		cim_hash_add(hash, &f->content->digest, sizeof(f->content->digest));
	}
	cim_hash_end(hash, ret);
}

/* Whether this file has pending operations that are not all picked. */
static bool is_partial(const struct states *s, uint32_t file)
{
	for (guint i = 0; i < s->point; i++)
		if (is_data(trace_op(s->t, i)) && trace_op(s->t, i)->file == file &&
		    s->pick[i].part != PART_ALL)
			return true;
	return false;
}

static void tell(struct states *s, GHashTable *names, bool partial)
{
	g_autoptr(GArray) files = g_array_new(FALSE, FALSE, sizeof(struct crash_file));
	g_autoptr(GPtrArray) own = g_ptr_array_new_with_free_func(content_free);
	struct crash_state state = { .least = s->least, .most = s->most, .point = s->point };
	GHashTableIter it;
	gpointer name, value;

	g_hash_table_iter_init(&it, names);
	while (g_hash_table_iter_next(&it, &name, &value)) {
		uint32_t file = GPOINTER_TO_UINT(value) - 1;
		struct crash_file f = { .name = name };

		if (partial && is_partial(s, file)) {
			f.content = content_new(picked_bytes(s, file));
			g_ptr_array_add(own, (gpointer)(uintptr_t)f.content);
		} else {
			f.content = whole_content(s, file);
		}
		g_array_append_val(files, f);
	}
	g_array_sort(files, compare_files);
	digest_state(files, &state.digest);
	uint8_t key[sizeof(state.digest) + 8];
	memcpy(key, &state.digest, sizeof(state.digest));
	cim_store32(key + sizeof(state.digest), s->least);
	cim_store32(key + sizeof(state.digest) + 4, s->most);
	if (!g_hash_table_add(s->seen, g_bytes_new(key, sizeof(key))))
		return;
	state.files = (const struct crash_file *)(const void *)files->data;
	state.n_files = files->len;
	s->fn(s->arg, &state);
}

/* ---- pending data ---- */

/* The pending operations on data of the files that have these names. */
static GArray *pending_data(const struct states *s, GHashTable *names)
{
	g_autoptr(GHashTable) files = g_hash_table_new(NULL, NULL);
	GArray *ops = g_array_new(FALSE, FALSE, sizeof(guint));
	GHashTableIter it;
	gpointer value;

	g_hash_table_iter_init(&it, names);
	while (g_hash_table_iter_next(&it, NULL, &value))
		g_hash_table_add(files, value);
	for (guint i = 0; i < s->point; i++) {
		const struct trace_op *op = trace_op(s->t, i);

		if (is_data(op) && !s->durable[i] &&
		    g_hash_table_contains(files, GUINT_TO_POINTER(op->file + 1)))
			g_array_append_val(ops, i);
	}
	return ops;
}

static void pick_all(struct states *s, const GArray *ops, enum part part)
{
	for (guint i = 0; i < ops->len; i++)
		s->pick[g_array_index(ops, guint, i)] = (struct pick){ .part = (uint8_t)part };
}

/* A write torn at a multiple of @unit in its file; false: it has none inside. */
static bool tear(const struct trace_op *op, uint64_t unit, uint64_t which, struct pick *pick)
{
	uint64_t first = (op->off / unit + 1) * unit;
	uint64_t end = op->off + op->size;

	if (op->kind != TRACE_WRITE || first >= end)
		return false;
	uint64_t at = first + which % ((end - first + unit - 1) / unit) * unit;
	pick->size = pick->part == PART_HEAD ? at - op->off : end - at;
	return true;
}

/* One pending operation in every way, the others as they are. */
static void vary(struct states *s, GHashTable *names, guint i)
{
	static const uint64_t units[] = { 512, 4096 };
	const struct trace_op *op = trace_op(s->t, i);
	struct pick before = s->pick[i];

	for (uint8_t part = PART_HEAD; part <= PART_TAIL; part++) {
		for (size_t k = 0; k < G_N_ELEMENTS(units); k++) {
			struct pick pick = { .part = part };
			uint64_t which[] = { 0, UINT64_MAX / 2, test_random_next(&s->random) };

			for (size_t j = 0; j < MIN(1 + s->effort, G_N_ELEMENTS(which)); j++) {
				if (!tear(op, units[k], which[j], &pick))
					continue;
				s->pick[i] = pick;
				tell(s, names, true);
			}
		}
	}
	for (uint8_t part = PART_NONE; part <= PART_ALL; part++) {
		s->pick[i].part = part;
		tell(s, names, true);
	}
	if (op->kind == TRACE_WRITE) {
		s->pick[i].part = PART_ZEROS;
		tell(s, names, true);
	}
	s->pick[i] = before;
}

static void vary_at_random(struct states *s, GHashTable *names, const GArray *ops)
{
	for (guint i = 0; i < ops->len; i++) {
		guint at = g_array_index(ops, guint, i);
		struct pick *pick = &s->pick[at];

		pick->part = (uint8_t)test_random_below(&s->random, PART_ZEROS + 1);
		if (pick->part > PART_ALL && trace_op(s->t, at)->kind != TRACE_WRITE)
			pick->part = PART_ALL;
		if ((pick->part == PART_HEAD || pick->part == PART_TAIL) &&
		    !tear(trace_op(s->t, at), 512, test_random_next(&s->random), pick))
			pick->part = PART_NONE;
	}
	tell(s, names, true);
}

/* Every way in which data may be there; @few: only some of them. */
static void vary_data(struct states *s, GHashTable *names, bool few)
{
	g_autoptr(GArray) ops = pending_data(s, names);
	guint step = MAX(ops->len / (8 * s->effort), 1);

	tell(s, names, false);
	/* Of many sets of names, some with every way of their data. */
	if (ops->len == 0 || (few && test_random_below(&s->random, 8) != 0))
		return;
	for (uint8_t part = PART_NONE; part <= PART_ALL; part++) {
		pick_all(s, ops, (enum part)part);
		tell(s, names, true);
		for (guint i = 0; !few && i < ops->len; i += step)
			vary(s, names, g_array_index(ops, guint, i));
	}
	for (unsigned int i = 0; i < (few ? 1 : 8 * s->effort); i++)
		vary_at_random(s, names, ops);
	pick_all(s, ops, PART_ALL);
}

/* ---- pending names ---- */

#define SPLIT_NONE UINT_MAX

static void with_names(struct states *s, guint split, bool few)
{
	g_autoptr(GHashTable) names = picked_names(s, split);

	vary_data(s, names, few);
}

static void pick_name(struct states *s, guint i, bool there)
{
	s->pick[g_array_index(s->names, guint, i)].part = there ? PART_ALL : PART_NONE;
}

static void pick_names(struct states *s, uint64_t mask)
{
	for (guint i = 0; i < s->names->len; i++)
		pick_name(s, i, i < 64 && (mask >> i & 1));
}

/* The first @n of them; and once more with the last rename half there. */
static void with_prefix(struct states *s, guint n)
{
	for (guint i = 0; i < s->names->len; i++)
		pick_name(s, i, i < n);
	with_names(s, SPLIT_NONE, n < s->names->len);
	if (n > 0 && s->model == CRASH_STRICT &&
	    trace_op(s->t, g_array_index(s->names, guint, n - 1))->gone)
		with_names(s, g_array_index(s->names, guint, n - 1), true);
}

static void vary_names(struct states *s)
{
	guint n = s->names->len, all = 6 + 2 * s->effort; /* of so many, every subset */

	for (guint i = 0; i <= n; i++)
		with_prefix(s, i);
	if (s->model == CRASH_ORDERED)
		return;
	for (uint64_t mask = 0; n <= all && mask < 1ull << n; mask++) {
		pick_names(s, mask);
		with_names(s, SPLIT_NONE, true);
	}
	for (guint i = 0; n > all && i < n; i++) {
		for (int only = 0; only <= 1; only++) {
			for (guint k = 0; k < n; k++)
				pick_name(s, k, (k == i) == only);
			with_names(s, SPLIT_NONE, true);
		}
	}
	for (unsigned int i = 0; n > all && i < 50 * s->effort; i++) {
		for (guint k = 0; k < n; k++)
			pick_name(s, k, test_random_next(&s->random) & 1);
		with_names(s, SPLIT_NONE, true);
	}
}

/* ---- points ---- */

/* What a power cut can leave grows until the next fsync, so it is the last moment before it that
 * counts, and the one after a mark. */
static bool is_point(const struct trace *t, guint i)
{
	enum trace_kind next = i < t->ops->len ? trace_op(t, i)->kind : TRACE_MARK;

	return next == TRACE_SYNC || next == TRACE_SYNC_DIR || next == TRACE_MARK ||
	       (i > 0 && trace_op(t, i - 1)->kind == TRACE_MARK);
}

static void at_point(struct states *s)
{
	find_durable(s);
	vary_names(s);
}

GHashTable *crash_seen_new(void)
{
	return g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref,
				     NULL);
}

void crash_states(const struct trace *t, enum crash_model model, unsigned int effort,
		  GHashTable *seen, crash_fn fn, void *arg)
{
	struct states s = { .t = t, .model = model, .effort = effort, .fn = fn, .arg = arg };

	s.random.state = t->ops->len;
	s.seen = seen ? g_hash_table_ref(seen) : crash_seen_new();
	s.contents = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, content_free);
	s.pick = g_new0(struct pick, t->ops->len + 1);
	s.durable = g_new0(bool, t->ops->len + 1);
	s.names = g_array_new(FALSE, FALSE, sizeof(guint));
	for (s.point = 0; s.point <= t->ops->len; s.point++) {
		if (s.point > 0 && trace_op(t, s.point - 1)->kind == TRACE_MARK) {
			s.least = trace_op(t, s.point - 1)->least;
			s.most = trace_op(t, s.point - 1)->most;
		}
		if (is_point(t, s.point))
			at_point(&s);
	}
	g_array_unref(s.names);
	g_free(s.durable);
	g_free(s.pick);
	g_hash_table_unref(s.contents);
	g_hash_table_unref(s.seen);
}
