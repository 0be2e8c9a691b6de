/* writer_in.h - the writer from inside: what its files share, and nobody else sees. All on its home reactor.
 *
 *   writer.c   what it does next; failures; its life
 *   back.c     dirty pages go to the disk, and are clean behind a flush
 *   batch.c    flushes that came together
 *   stamp.c    what the image looks like from outside
 *   dirty.c    pages become dirty, on any reactor; the limit (writer.h) */
#pragma once

#include "writer.h"

#define MS 1000000ull
enum {
	WRITER_DEPTH = 32, /* requests in flight */
	WRITER_LINES = 64, /* looked at in one turn */
};

/* back_walk - the next leaf with something dirty from page *posp on, up to `end`, is sent; *posp moves behind what was
 * looked at. Lines touched, 0: there is none; *np: pages that are on their way. */
unsigned back_walk(struct writer *w, uint64_t *posp, uint64_t end, uint32_t *np);
/* back_clean - what the backend's last flush covered, as far as a turn goes; false: all is done. */
bool back_clean(struct writer *w);

/* batch_take - all flushes that wait; false: there is none. batch_pass - their ranges are walked as far as a turn
 * goes; true: to the end; *morep: more at once. batch_again - walked once more, for what was busy in the first; false:
 * nothing has become idle. batch_end - all of them end. */
bool batch_take(struct writer *w);
bool batch_pass(struct writer *w, bool *morep);
bool batch_again(struct writer *w);
void batch_end(struct writer *w, int error);

void stamp_init(struct writer *w);
void stamp_arm(struct writer *w); /* looked at before long, if it is open */
