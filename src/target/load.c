/* load.c - see load.h. */
#include "load.h"

#include "check.h"
#include "server_in.h"
#include "session.h"
#include "worker.h"

struct worker *load_least(struct server *s, struct worker *here)
{
	struct worker *best = here;

	for (unsigned i = 0; i < server_n_workers(s); i++) {
		struct worker *w = server_worker(s, i);

		if (w->load < best->load)
			best = w;
	}
	return best;
}

void load_put(struct session *s, struct worker *w, unsigned weight)
{
	s->w->load -= s->weight;
	s->w = w;
	s->weight = weight;
	w->load += weight;
}

void load_look(struct session *s)
{
	uint32_t n = s->cmdsn.expcmdsn - s->seen_cmdsn;

	s->seen_cmdsn = s->cmdsn.expcmdsn;
	load_put(s, s->w, MIN(LOAD_IDLE + n / LOAD_COMMANDS, LOAD_BUSY));
}
