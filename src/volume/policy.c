/* policy.c - two queues and ghosts (see policy.h). */
#include "policy.h"

#include <errno.h>
#include <sys/mman.h>
#include "arena.h"
#include "check.h"

enum { SMALL, MAIN };
enum {
	NOWHERE, /* zero: what no page of the mapping has yet */
	IN,      /* a queue: IN + SMALL, IN + MAIN */
	SHOWN = IN + 2,
};
enum {
	SMALL_PART = 10, /* the small queue's share: one in so many */
	LOOKS = 4,       /* at the main queue, for one page that was away */
	AWAY_MAX = (1 << 29) - 1,
};

static void *take(size_t n_bytes)
{
	void *p = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t nodes_len(const struct policy *p)
{
	return ((size_t)p->n_pages + 2) * sizeof(struct policy_node);
}

int policy_init(struct policy *p, uint32_t n_pages)
{
	*p = (struct policy){.n_pages = n_pages, .n_sets = 1};
	while (p->n_sets * (uint64_t)GHOST_WAYS < n_pages)
		p->n_sets *= 2;
	p->nodes = take(nodes_len(p));
	p->sets = take(p->n_sets * sizeof(struct ghost_set));
	if (!p->nodes || !p->sets) {
		policy_deinit(p);
		return -ENOMEM;
	}
	for (uint32_t q = SMALL; q <= MAIN; q++)
		p->nodes[n_pages + q].next = p->nodes[n_pages + q].prev = n_pages + q;
	return 0;
}

void policy_deinit(struct policy *p)
{
	if (p->nodes)
		munmap(p->nodes, nodes_len(p));
	if (p->sets)
		munmap(p->sets, p->n_sets * sizeof(struct ghost_set));
	p->nodes = NULL;
	p->sets = NULL;
}

/* --- queues --- */

static uint32_t queue_of(const struct policy_node *n)
{
	return (n->where - IN) % 2;
}

static void unlink_node(struct policy *p, uint32_t page)
{
	struct policy_node *n = &p->nodes[page];

	p->nodes[n->prev].next = n->next;
	p->nodes[n->next].prev = n->prev;
	p->n_in[queue_of(n)]--;
	n->where = NOWHERE;
}

static void link_last(struct policy *p, uint32_t page, uint32_t q)
{
	struct policy_node *n = &p->nodes[page], *head = &p->nodes[p->n_pages + q];

	n->next = p->n_pages + q;
	n->prev = head->prev;
	p->nodes[head->prev].next = page;
	head->prev = page;
	n->where = IN + q;
	p->n_in[q]++;
}

static uint32_t first_of(const struct policy *p, uint32_t q)
{
	return p->nodes[p->n_pages + q].next;
}

/* --- ghosts --- */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 32) * 0x9e3779b97f4a7c15;
	return x ^ x >> 29;
}

static struct ghost_set *set_of(const struct policy *p, uint64_t h)
{
	return &p->sets[h & (p->n_sets - 1)];
}

/* Never 0, which is no ghost. */
static uint32_t print_of(uint64_t h)
{
	return (uint32_t)(h >> 32) | 1;
}

static void ghost_put(struct policy *p, uint64_t id, uint32_t stamp)
{
	uint64_t h = mix(id);
	struct ghost_set *set = set_of(p, h);
	struct ghost *oldest = &set->ways[0];

	for (unsigned i = 0; i < GHOST_WAYS; i++) {
		struct ghost *g = &set->ways[i];

		if (!g->print || g->print == print_of(h)) {
			oldest = g;
			break;
		}
		if (p->now - g->stamp > p->now - oldest->stamp)
			oldest = g;
	}
	*oldest = (struct ghost){print_of(h), stamp};
}

/* How long ago the page was new, or found used; 0: nobody knows. */
static uint32_t ghost_take(struct policy *p, uint64_t id)
{
	uint64_t h = mix(id);
	struct ghost_set *set = set_of(p, h);

	for (unsigned i = 0; i < GHOST_WAYS; i++) {
		struct ghost *g = &set->ways[i];
		uint32_t away = p->now - g->stamp;

		if (g->print != print_of(h))
			continue;
		g->print = 0;
		return away > AWAY_MAX ? 0 : away;
	}
	return 0;
}

/* --- what the owner calls --- */
static bool main_has_room(const struct policy *p)
{
	return p->n_in[SMALL] > policy_count(p) / SMALL_PART * 2;
}

void policy_add(struct policy *p, uint32_t page, uint64_t id)
{
	struct policy_node *n = &p->nodes[page];

	p->now++;
	if (n->where != NOWHERE)
		unlink_node(p, page);
	n->away = ghost_take(p, id);
	n->stamp = p->now;
	link_last(p, page, SMALL);
}

void policy_keep(struct policy *p, uint32_t page, uint64_t id)
{
	unsigned where = p->nodes[page].where;

	if (where == NOWHERE || where >= SHOWN)
		policy_add(p, page, id);
}

/* away_for_main - the first of the small queue has been away: is it to stay, for the first of the main one? */
static bool away_for_main(struct policy *p, uint32_t page)
{
	const struct policy_node *n = &p->nodes[page], *m = &p->nodes[first_of(p, MAIN)];

	return n->away && p->n_in[MAIN] && p->n_looks < LOOKS && p->now - m->stamp > n->away;
}

static void move_up(struct policy *p, uint32_t page)
{
	unlink_node(p, page);
	p->nodes[page].away = 0;
	p->nodes[page].stamp = p->now;
	link_last(p, page, MAIN);
}

/* What was away stays without a contest while the main queue is short of its share. */
static void fill_main(struct policy *p)
{
	uint32_t page;

	while (p->n_in[SMALL] && main_has_room(p)) {
		page = first_of(p, SMALL);
		if (!p->nodes[page].away)
			break;
		move_up(p, page);
	}
}

/* is_stuck - empty, or all of it was seen to be pinned. */
static bool is_stuck(const struct policy *p, unsigned queue)
{
	return p->n_stays[queue] >= p->n_in[queue];
}

/* Now and then the stuck queue is asked again: once for each page that the other gives. */
static void note_end(struct policy *p, uint32_t queue, enum policy_end end)
{
	uint32_t *other = &p->n_stays[queue == SMALL ? MAIN : SMALL];

	if (end == POLICY_STAYS) {
		p->n_stays[queue] += p->n_stays[queue] <= p->n_in[queue];
		return;
	}
	p->n_stays[queue] = 0;
	if (end == POLICY_OUT && *other)
		--*other;
}

static uint32_t choose(struct policy *p)
{
	bool small;

	fill_main(p);
	small = p->n_in[SMALL] > policy_count(p) / SMALL_PART || !p->n_in[MAIN];
	/* A queue in which all is pinned must not hold up the other. */
	if (is_stuck(p, small ? SMALL : MAIN) && !is_stuck(p, small ? MAIN : SMALL))
		small = !small;
	if (small && away_for_main(p, first_of(p, SMALL))) {
		p->n_looks++;
		return first_of(p, MAIN);
	}
	return first_of(p, small ? SMALL : MAIN);
}

uint32_t policy_next(struct policy *p)
{
	struct policy_node *n;
	uint32_t page;

	if (!policy_count(p))
		return PAGE_NONE;
	page = choose(p);
	n = &p->nodes[page];
	if (n->where < SHOWN)
		n->where += SHOWN - IN;
	return page;
}

/* The page of the main queue that gave way did so for this one. */
static void replace(struct policy *p)
{
	if (p->n_looks && p->n_in[SMALL])
		move_up(p, first_of(p, SMALL));
	p->n_looks = 0;
}

void policy_settle(struct policy *p, uint32_t page, uint64_t id, enum policy_end end)
{
	struct policy_node *n = &p->nodes[page];
	uint32_t q = queue_of(n);

	if (n->where < SHOWN)
		return;
	unlink_node(p, page);
	note_end(p, q, end);
	switch (end) {
	case POLICY_USED:
		n->stamp = p->now;
		n->away = 0;
		link_last(p, page, MAIN);
		break;
	case POLICY_STAYS:
		link_last(p, page, q);
		break;
	case POLICY_OUT:
		ghost_put(p, id, n->stamp);
		if (q == MAIN)
			replace(p);
		break;
	case POLICY_GONE:
		break;
	}
	if (q == SMALL)
		p->n_looks = 0;
}
