/* test-ledger.c - records, groups and volumes over a memory that is left at any moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "arena.h"
#include "ledger.h"
#include "memfile.h"

enum { N_PAGES = 64 };
static const uint8_t uuid_a[16] = {1}, uuid_b[16] = {2};

struct fixture {
	uint64_t len;
	void *base, *copy;
	struct ledger *l;
	uint32_t a, b;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	ledger_len(N_PAGES, &f->len); /* up to the pages */
	f->base = calloc(1, f->len);
	f->copy = malloc(f->len);
	assert_int_equal(ledger_format(&f->l, f->base, N_PAGES, 77), 0);
	f->a = ledger_volume(f->l, uuid_a, 1 << 20, "a");
	f->b = ledger_volume(f->l, uuid_b, 1 << 20, "b");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ledger_free(f->l);
	free(f->base);
	free(f->copy);
	free(f);
	return 0;
}

/* The process is gone; somebody maps what it left. */
static struct ledger *adopt(struct fixture *f, uint64_t *n_droppedp, uint64_t *n_damagedp)
{
	struct ledger *l;

	memcpy(f->copy, f->base, f->len);
	assert_int_equal(ledger_attach(&l, f->copy, n_droppedp, n_damagedp), 0);
	return l;
}

static void expect_after(struct fixture *f, uint64_t n_live, uint64_t n_dropped, uint64_t n_damaged)
{
	uint64_t dropped, damaged;
	struct ledger *l = adopt(f, &dropped, &damaged);

	assert_int_equal(ledger_count(l, LEDGER_NONE), n_live);
	assert_int_equal(dropped, n_dropped);
	assert_int_equal(damaged, n_damaged);
	ledger_free(l);
}

static void a_record_outlives_its_process(void **state)
{
	struct fixture *f = *state;
	uint64_t seq = ledger_next_seq(f->l), dropped, damaged;
	struct ledger *l;

	ledger_publish(f->l, 5, f->b, 9, seq, 1);
	l = adopt(f, &dropped, &damaged);
	assert_true(ledger_lives(l, 5));
	assert_int_equal(l->records[5].at, 9);
	assert_int_equal(ledger_count(l, f->b), 1);
	assert_int_equal(ledger_count(l, f->a), 0);
	assert_true(ledger_next_seq(l) > seq);
	assert_int_equal(ledger_find(l, uuid_b), f->b);
	ledger_free(l);
	ledger_retire(f->l, 5);
	expect_after(f, 0, 0, 0);
}

static void a_group_counts_whole_or_not_at_all(void **state)
{
	struct fixture *f = *state;
	uint64_t seq = ledger_next_seq(f->l);
	struct ledger_slot *slot = ledger_begin(f->l, seq);

	for (uint32_t i = 0; i < 4; i++) {
		expect_after(f, 0, i, 0);
		ledger_publish(f->l, i, f->a, i, seq, 4);
	}
	expect_after(f, 0, 4, 0);
	ledger_commit(slot);
	expect_after(f, 4, 0, 0);
	/* A part of a whole group goes, as a later overwrite does it. */
	ledger_retire(f->l, 2);
	expect_after(f, 3, 0, 0);
}

static void a_damaged_record_counts_for_nothing(void **state)
{
	struct fixture *f = *state;

	ledger_publish(f->l, 1, f->a, 1, ledger_next_seq(f->l), 1);
	ledger_publish(f->l, 2, f->a, 2, ledger_next_seq(f->l), 1);
	f->l->records[1].at ^= 1;
	expect_after(f, 1, 0, 1);
	f->l->records[1].at ^= 1;
	f->l->records[2].volume = f->b; /* another volume's key */
	expect_after(f, 1, 0, 1);
	f->l->records[2].volume = LEDGER_VOLUMES;
	expect_after(f, 1, 0, 1);
}

static void a_volume_that_came_back_with_another_size_has_no_records(void **state)
{
	struct fixture *f = *state;

	ledger_publish(f->l, 1, f->a, 1, ledger_next_seq(f->l), 1);
	assert_int_equal(ledger_volume(f->l, uuid_a, 1 << 20, "a"), f->a);
	expect_after(f, 1, 0, 0);
	ledger_volume(f->l, uuid_a, 1 << 21, "a");
	expect_after(f, 0, 0, 0);
}

static void heads_are_checked(void **state)
{
	struct fixture *f = *state;
	uint64_t at, len = ledger_len(N_PAGES, &at);

	assert_null(ledger_check(f->base, f->len, len));
	assert_non_null(ledger_check(f->base, f->len, len + 1));
	assert_non_null(ledger_check(f->base, 10, len));
	for (size_t i = 0; i < offsetof(struct ledger_head, generation); i++) {
		((uint8_t *)f->base)[i] ^= 4;
		assert_non_null(ledger_check(f->base, f->len, len));
		((uint8_t *)f->base)[i] ^= 4;
	}
	assert_null(ledger_check(f->base, f->len, len));
}

static void stamps_tell_what_was_changed(void **state)
{
	struct fixture *f = *state;
	struct ledger_volume *v = &f->l->volumes[f->a];
	struct ledger_stamp s = {1 << 20, 3, 4, 5000000000}, other = s;

	ledger_stamp_close(f->l, f->a, &s);
	assert_null(ledger_stamp_differs(v, &s));
	other.ino++;
	assert_non_null(ledger_stamp_differs(v, &other));
	other = s;
	other.mtime_ns++;
	assert_non_null(ledger_stamp_differs(v, &other));
	/* While we were writing, it may be as young as that. */
	ledger_stamp_open(f->l, f->a, 6000000000);
	other.mtime_ns = 6000000000 + LEDGER_SLACK_NS;
	assert_null(ledger_stamp_differs(v, &other));
	other.mtime_ns++;
	assert_non_null(ledger_stamp_differs(v, &other));
	other = s;
	other.size++;
	assert_non_null(ledger_stamp_differs(v, &other));
}

/* --- files --- */

struct files {
	char dir[64];
	uint8_t uuids[1][16];
	struct memfile_params p;
	char err[300];
};

static int setup_files(void **state)
{
	struct files *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/dev/shm/berth-test-XXXXXX");
	if (!mkdtemp(f->dir))
		skip();
	memcpy(f->uuids[0], uuid_a, 16);
	f->p = (struct memfile_params){.dir = f->dir,
		.n_pages = 256,
		.min_pages = 256,
		.exact = true,
		.uuids = (const uint8_t(*)[16])f->uuids,
		.n_uuids = 1,
		.stored_fd = -1};
	*state = f;
	return 0;
}

static int teardown_files(void **state)
{
	struct files *f = *state;
	char command[100];

	snprintf(command, sizeof(command), "rm -r %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static struct memfile *open_file(struct files *f)
{
	struct memfile *m;

	if (memfile_open(&m, &f->p, f->err, sizeof(f->err)))
		fail_msg("%s", f->err);
	return m;
}

static unsigned n_names(struct files *f)
{
	char command[100];
	FILE *p;
	unsigned n;

	snprintf(command, sizeof(command), "ls %s | wc -l", f->dir);
	p = popen(command, "r");
	assert_int_equal(fscanf(p, "%u", &n), 1);
	pclose(p);
	return n;
}

/* What SIGKILL leaves: the file, without anybody who has it locked. */
static void die(struct memfile *m)
{
	char *path = m->path;

	m->path = NULL;
	memfile_close(m);
	free(path);
}

static void a_memory_without_records_goes_with_its_process(void **state)
{
	struct files *f = *state;
	struct memfile *m = open_file(f);

	assert_false(m->adopted);
	assert_int_equal(n_names(f), 1);
	memfile_close(m);
	assert_int_equal(n_names(f), 0);
}

static void a_memory_with_our_records_is_adopted(void **state)
{
	struct files *f = *state;
	struct memfile *m = open_file(f), *second;
	uint32_t a = ledger_volume(m->ledger, uuid_a, 1 << 20, "a");

	second = open_file(f); /* the first is in use */
	assert_int_equal(n_names(f), 2);
	memfile_close(second);
	ledger_publish(m->ledger, 3, a, 8, ledger_next_seq(m->ledger), 1);
	die(m);
	f->p.n_pages = 512; /* what has records keeps its size */
	m = open_file(f);
	assert_true(m->adopted);
	assert_int_equal(m->ledger->n_pages, 256);
	assert_int_equal(ledger_count(m->ledger, a), 1);
	memfile_close(m);
	assert_int_equal(n_names(f), 1); /* still there */
}

/* Initiators wait for the next process: it takes what has records, and the rest when it serves. */
static void a_large_memory_is_adopted_at_once(void **state)
{
	enum { N = 128 << 10, FIRST = 64 << 10, TOP = FIRST + 777 };
	struct files *f = *state;
	struct memfile *m;
	uint32_t a;

	f->p.n_pages = N;
	m = open_file(f);
	assert_int_equal(m->n_taken, FIRST);
	assert_int_equal(memfile_take(m, 1000), 1000);
	a = ledger_volume(m->ledger, uuid_a, 1ull << 40, "a");
	ledger_publish(m->ledger, TOP - 1, a, 8, ledger_next_seq(m->ledger), 1);
	die(m);
	m = open_file(f);
	assert_true(m->adopted);
	assert_int_equal(m->n_taken, TOP);
	ledger_forget(m->ledger, a);
	memfile_close(m);
}

static void a_memory_of_others_stays(void **state)
{
	struct files *f = *state;
	struct memfile *m = open_file(f);
	uint32_t b = ledger_volume(m->ledger, uuid_b, 1 << 20, "b");

	ledger_publish(m->ledger, 3, b, 8, ledger_next_seq(m->ledger), 1);
	die(m);
	m = open_file(f);
	assert_false(m->adopted);
	assert_int_equal(n_names(f), 2);
	memfile_close(m);
	assert_int_equal(n_names(f), 1);
}

static void a_memory_that_does_not_validate_is_set_aside(void **state)
{
	struct files *f = *state;
	struct memfile *m = open_file(f);
	char aside[120];

	snprintf(aside, sizeof(aside), "%s.bad0", m->path);
	m->ledger->head->check ^= 1;
	die(m);
	m = open_file(f);
	assert_false(m->adopted);
	assert_int_equal(access(aside, F_OK), 0);
	memfile_close(m);
}

static void a_memory_that_was_never_finished_is_removed(void **state)
{
	struct files *f = *state;
	struct memfile *m = open_file(f);

	memset(m->head, 0, m->head_len);
	die(m);
	memfile_close(open_file(f));
	assert_int_equal(n_names(f), 0);
}

static void a_size_that_does_not_fit_is_refused_with_the_one_that_would(void **state)
{
	struct files *f = *state;
	struct memfile *m;

	f->p.n_pages = 1 << 30; /* 4 TiB */
	assert_true(memfile_open(&m, &f->p, f->err, sizeof(f->err)) < 0);
	assert_non_null(strstr(f->err, "has room for"));
	assert_int_equal(n_names(f), 0);
}

static void a_stored_descriptor_is_looked_at_first(void **state)
{
	struct files *f = *state;
	struct memfile *m = open_file(f);
	uint32_t a = ledger_volume(m->ledger, uuid_a, 1 << 20, "a");
	int stored = dup(m->fd);

	ledger_publish(m->ledger, 3, a, 8, ledger_next_seq(m->ledger), 1);
	die(m);
	f->p.stored_fd = stored;
	m = open_file(f);
	assert_true(m->adopted);
	assert_null(m->path);
	memfile_close(m);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define F(name) cmocka_unit_test_setup_teardown(name, setup_files, teardown_files)
	const struct CMUnitTest tests[] = {
		T(a_record_outlives_its_process),
		T(a_group_counts_whole_or_not_at_all),
		T(a_damaged_record_counts_for_nothing),
		T(a_volume_that_came_back_with_another_size_has_no_records),
		T(heads_are_checked),
		T(stamps_tell_what_was_changed),
		F(a_memory_without_records_goes_with_its_process),
		F(a_memory_with_our_records_is_adopted),
		F(a_large_memory_is_adopted_at_once),
		F(a_memory_of_others_stays),
		F(a_memory_that_does_not_validate_is_set_aside),
		F(a_memory_that_was_never_finished_is_removed),
		F(a_size_that_does_not_fit_is_refused_with_the_one_that_would),
		F(a_stored_descriptor_is_looked_at_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
