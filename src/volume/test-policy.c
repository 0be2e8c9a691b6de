/* test-policy.c - the order in which cached pages give way: hit rates on traces, against the clock that it
 * replaced, and what must hold whatever the trace is. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "arena.h"
#include "policy.h"

enum { CACHE = 4096, BLOCKS = 10 * CACHE, REQUESTS = 60 * CACHE };

/* --- a cache of CACHE pages of a disk of BLOCKS, with either order --- */
struct model {
	struct policy p;
	bool clock;
	uint32_t hand, n_full;
	uint32_t page_of[BLOCKS]; /* + 1; 0: not here */
	uint32_t block_of[CACHE];
	bool used[CACHE];
	uint32_t free_page;
	unsigned n_hits, n_asked;
};

static uint32_t clock_room(struct model *m)
{
	while (m->used[m->hand]) {
		m->used[m->hand] = false;
		m->hand = (m->hand + 1) % CACHE;
	}
	m->page_of[m->block_of[m->hand]] = 0;
	m->free_page = m->hand;
	m->hand = (m->hand + 1) % CACHE;
	return m->free_page;
}

static uint32_t policy_room(struct model *m)
{
	for (;;) {
		uint32_t page = policy_next(&m->p);
		bool used = m->used[page];

		assert_true(page < CACHE);
		policy_settle(&m->p, page, m->block_of[page], used ? POLICY_USED : POLICY_OUT);
		m->used[page] = false;
		if (used)
			continue;
		m->page_of[m->block_of[page]] = 0;
		return page;
	}
}

static bool ask(struct model *m, uint32_t block)
{
	uint32_t page = m->page_of[block];

	m->n_asked++;
	if (page) {
		m->used[page - 1] = true;
		m->n_hits++;
		return true;
	}
	if (m->n_full < CACHE)
		page = m->n_full++;
	else
		page = m->clock ? clock_room(m) : policy_room(m);
	m->block_of[page] = block;
	m->page_of[block] = page + 1;
	/* The clock that was counted the reading itself as a use. */
	m->used[page] = m->clock;
	if (!m->clock)
		policy_add(&m->p, page, block);
	return false;
}

/* --- traces --- */
static uint64_t seed;
static double random_unit(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (double)(seed >> 11) / 9007199254740992.0;
}

static double cdf[BLOCKS];
static uint32_t place[BLOCKS];

static void zipf_init(double s)
{
	double sum = 0;

	seed = 88172645463325252;
	for (uint32_t i = 0; i < BLOCKS; i++) {
		sum += 1 / pow(i + 1, s);
		cdf[i] = sum;
		place[i] = i;
	}
	for (uint32_t i = BLOCKS - 1; i; i--) {
		uint32_t k = (uint32_t)(random_unit() * (i + 1)), was = place[i];

		place[i] = place[k];
		place[k] = was;
	}
}

static uint32_t zipf(void)
{
	double x = random_unit() * cdf[BLOCKS - 1];
	uint32_t lo = 0, hi = BLOCKS - 1;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (cdf[mid] < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return place[lo];
}

/* After half of the requests everything is read once, and only what comes then counts. */
static void trace_scan(struct model *m)
{
	for (unsigned i = 0; i < REQUESTS / 2; i++)
		ask(m, zipf());
	for (uint32_t b = 0; b < BLOCKS; b++)
		ask(m, b);
	m->n_hits = m->n_asked = 0;
	for (unsigned i = 0; i < CACHE; i++)
		ask(m, zipf());
}

/* One scan after the other beside the random requests; only these count. */
static void trace_mixed(struct model *m)
{
	unsigned n_hits = 0, n_asked = 0;

	for (unsigned i = 0; i < REQUESTS; i++) {
		n_hits += ask(m, zipf());
		n_asked++;
		ask(m, i % BLOCKS);
	}
	m->n_hits = n_hits;
	m->n_asked = n_asked;
}

static void trace_zipf(struct model *m)
{
	for (unsigned i = 0; i < REQUESTS; i++)
		ask(m, zipf());
}

static void trace_loop(struct model *m)
{
	for (unsigned i = 0; i < REQUESTS; i++)
		ask(m, i % (CACHE + CACHE / 10));
}

/* What is wanted changes altogether, four times. */
static void trace_moves(struct model *m)
{
	for (unsigned i = 0; i < REQUESTS; i++)
		ask(m, (zipf() + i / (REQUESTS / 4) * 7919) % BLOCKS);
}

/* clang-format off */
static const struct trace {
	const char *name;
	double s;
	void (*run)(struct model *);
	double over_clock; /* hit rate, in percent of all requests, that it must be better by */
} traces[] = {
	{"zipf 0.9",                0.9, trace_zipf,   1.0},
	{"zipf 1.0",                1.0, trace_zipf,   1.0},
	{"zipf 1.1",                1.1, trace_zipf,   0.5},
	{"zipf 1.0, after a scan",  1.0, trace_scan,  10.0},
	{"zipf 1.0, beside scans",  1.0, trace_mixed,  5.0},
	{"loop of 1.1 caches",      1.0, trace_loop,  60.0},
	{"zipf 1.0, moving",        1.0, trace_moves,  0.0},
};
/* clang-format on */

static double run(const struct trace *t, bool clock)
{
	struct model *m = calloc(1, sizeof(*m));
	double rate;

	assert_non_null(m);
	m->clock = clock;
	assert_int_equal(policy_init(&m->p, CACHE), 0);
	zipf_init(t->s);
	t->run(m);
	rate = 100.0 * m->n_hits / m->n_asked;
	policy_deinit(&m->p);
	free(m);
	return rate;
}

/* --- what must hold --- */
static void what_is_pinned_holds_nobody_up(void **state)
{
	struct policy p;
	uint32_t page, n_asked = 0;

	(void)state;
	assert_int_equal(policy_init(&p, 64), 0);
	for (page = 0; page < 64; page++)
		policy_add(&p, page, page);
	/* Half of them go up; then all that came last is pinned. */
	for (unsigned i = 0; i < 32; i++)
		policy_settle(&p, policy_next(&p), i, POLICY_USED);
	while ((page = policy_next(&p)) >= 32 && ++n_asked < 3 * 64)
		policy_settle(&p, page, page, POLICY_STAYS);
	assert_true(page < 32);
	policy_deinit(&p);
}

static void a_page_that_came_again_is_not_lost(void **state)
{
	struct policy p;

	(void)state;
	assert_int_equal(policy_init(&p, 8), 0);
	assert_int_equal(policy_next(&p), PAGE_NONE);
	policy_add(&p, 3, 30);
	assert_int_equal(policy_next(&p), 3);
	policy_add(&p, 3, 31);
	policy_settle(&p, 3, 30, POLICY_GONE);
	assert_int_equal(policy_next(&p), 3);
	policy_keep(&p, 3, 31);
	policy_settle(&p, 3, 31, POLICY_OUT);
	assert_int_equal(policy_count(&p), 1);
	assert_int_equal(policy_next(&p), 3);
	policy_settle(&p, 3, 31, POLICY_OUT);
	assert_int_equal(policy_count(&p), 0);
	policy_deinit(&p);
}

static void it_hits_more_than_a_clock(void **state)
{
	bool good = true;

	(void)state;
	for (const struct trace *t = traces; t < traces + sizeof(traces) / sizeof(traces[0]); t++) {
		double clock = run(t, true), rate = run(t, false);

		print_message("%-24s clock %5.1f %%  policy %5.1f %%\n", t->name, clock, rate);
		good = good && rate >= clock + t->over_clock;
	}
	assert_true(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_pinned_holds_nobody_up),
		cmocka_unit_test(a_page_that_came_again_is_not_lost),
		cmocka_unit_test(it_hits_more_than_a_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
