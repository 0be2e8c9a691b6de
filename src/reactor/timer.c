/* timer.c - timers of one reactor: a binary heap of pointers by time.
 *
 * A timer knows its place in the heap (index, 0 = stopped), so that moving and stopping one costs
 * O(log n) and no search. Slot 0 of the array is never used. The array only grows. */
#include "io.h"

#include <errno.h>
#include <stdlib.h>
#include "reactor.h"

static void place(struct io_heap *h, uint32_t i, struct io_timer *t)
{
	h->slot[i] = t;
	t->index = i;
}

static void sift_up(struct io_heap *h, uint32_t i, struct io_timer *t)
{
	while (i > 1 && h->slot[i / 2]->at_ns > t->at_ns) {
		place(h, i, h->slot[i / 2]);
		i /= 2;
	}
	place(h, i, t);
}

static void sift_down(struct io_heap *h, uint32_t i, struct io_timer *t)
{
	for (uint32_t child; (child = 2 * i) <= h->n; i = child) {
		if (child < h->n && h->slot[child + 1]->at_ns < h->slot[child]->at_ns)
			child++;
		if (h->slot[child]->at_ns >= t->at_ns)
			break;
		place(h, i, h->slot[child]);
	}
	place(h, i, t);
}

static void settle(struct io_heap *h, uint32_t i, struct io_timer *t)
{
	if (i > 1 && h->slot[i / 2]->at_ns > t->at_ns)
		sift_up(h, i, t);
	else
		sift_down(h, i, t);
}

static int grow(struct io_heap *h)
{
	uint32_t room = h->room ? 2 * h->room : 64;
	struct io_timer **slot = realloc(h->slot, room * sizeof(struct io_timer *));

	if (!slot)
		return -ENOMEM;
	h->slot = slot;
	h->room = room;
	return 0;
}

void io_timer_init(struct io_timer *t, void (*fn)(struct io_timer *))
{
	*t = (struct io_timer){.fn = fn};
}

int io_timer_set(struct io *io, struct io_timer *t, uint64_t at_ns)
{
	struct io_heap *h = &io->timers;
	int rc;

	if (!t->index) {
		if (h->n + 1 >= h->room && (rc = grow(h)) < 0)
			return rc;
		t->index = ++h->n;
	}
	t->at_ns = at_ns;
	settle(h, t->index, t);
	return 0;
}

void io_timer_stop(struct io *io, struct io_timer *t)
{
	struct io_heap *h = &io->timers;
	uint32_t i = t->index;
	struct io_timer *last;

	if (!i)
		return;
	check(i <= h->n && h->slot[i] == t);
	t->index = 0;
	last = h->slot[h->n--];
	if (last != t)
		settle(h, i, last);
}

uint64_t io_next_timer(const struct io *io)
{
	return io->timers.n ? io->timers.slot[1]->at_ns : UINT64_MAX;
}

/* A timer that sets itself again to a time already gone waits for the next turn: a run ends after
 * as many timers as there were. */
bool io_run_timers(struct io *io)
{
	uint32_t left = io->timers.n;
	bool some = false;

	while (left-- && io_next_timer(io) <= io->now_ns) {
		struct io_timer *t = io->timers.slot[1];

		io_timer_stop(io, t);
		t->fn(t);
		some = true;
	}
	return some;
}
