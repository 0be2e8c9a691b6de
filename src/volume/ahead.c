/* ahead.c - streams, and what they ask for (see ahead.h). */
#include "ahead.h"

#include "cache.h"
#include "counter.h"
#include "fetch.h"

enum {
	WINDOW_MIN = 32,
	WINDOW_MAX = 1024,
	ROW = 2,   /* reads that continued another before it is believed */
	SLACK = 8, /* reads in flight at once may come in another order: so many of their lengths */
};

/* The stream that this read continues, or does not leave. */
static struct ahead_stream *stream_of(struct ahead *a, uint64_t first, uint32_t n)
{
	uint64_t slack = (uint64_t)SLACK * n;

	for (unsigned i = 0; i < AHEAD_STREAMS; i++) {
		struct ahead_stream *s = &a->streams[i];

		if (s->next && first <= s->next + slack && first + n + slack >= s->next)
			return s;
	}
	return NULL;
}

static void begin(struct ahead *a, uint64_t next)
{
	struct ahead_stream *oldest = &a->streams[0];

	for (unsigned i = 1; i < AHEAD_STREAMS; i++)
		if (a->now - a->streams[i].seen > a->now - oldest->seen)
			oldest = &a->streams[i];
	*oldest = (struct ahead_stream){.next = next, .front = next, .seen = a->now};
}

/* The reader has come near enough to the front. */
static uint32_t extend(
	struct ahead_stream *s, uint32_t n, uint64_t n_pages, uint32_t most, uint64_t *fromp)
{
	uint64_t end;

	if (s->front < s->next)
		s->front = s->next;
	if (s->front - s->next > s->window / 2)
		return 0;
	s->window = MIN(MAX(2 * s->window, MAX(2 * n, WINDOW_MIN)), most);
	end = MIN(s->next + s->window, n_pages);
	if (end <= s->front)
		return 0;
	*fromp = s->front;
	s->front = end;
	return (uint32_t)(end - *fromp);
}

/* ahead_see - somebody reads these pages of n_pages; *fromp: where to read ahead. How many; 0: nothing. */
static uint32_t ahead_see(struct ahead *a, uint64_t first, uint32_t n, uint64_t n_pages,
	uint32_t most, uint64_t *fromp)
{
	struct ahead_stream *s = stream_of(a, first, n);

	a->now++;
	if (!s) {
		begin(a, first + n);
		return 0;
	}
	s->seen = a->now;
	if (first + n <= s->next)
		return 0;
	s->next = first + n;
	if (s->n_row < ROW && ++s->n_row < ROW)
		return 0;
	return extend(s, n, n_pages, most, fromp);
}

void ahead_run(struct volume *v, struct io *io, uint64_t first, uint32_t n)
{
	uint32_t most = MIN(WINDOW_MAX, (uint32_t)(arena_n_pages(v->arena) / 32)), n_more;
	uint64_t from;

	if (pthread_mutex_trylock(&v->ahead.lock))
		return;
	n_more = ahead_see(&v->ahead, first, n, v->n_pages, most, &from);
	pthread_mutex_unlock(&v->ahead.lock);
	if (n_more && cache_spare(v->cache, n_more))
		count(CTR_READ_AHEAD_PAGES, fetch_ahead(v, io, from, n_more));
}
