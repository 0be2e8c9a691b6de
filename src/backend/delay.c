/* delay.c - pieces that are late (see fault.h): they wait before they go on to the disk behind. */
#include <math.h>
#include "check.h"
#include "fault.h"

static uint64_t how_long(struct filter *x)
{
	double even = ((double)(filter_roll(x) >> 11) + 0.5) * 0x1p-53; /* 0 < even < 1 */

	switch (x->f.jitter) {
	case JITTER_UNIFORM:
		return (uint64_t)((double)x->f.delay_ns * 2 * even);
	case JITTER_EXP:
		return (uint64_t)((double)x->f.delay_ns * -log(even));
	default:
		return x->f.delay_ns;
	}
}

static void on_time(struct io_timer *t)
{
	struct backend_req *r = container_of(t, struct backend_req, timer);

	filter_pass(container_of(r->late, struct filter, b), r->io, r);
}

static void delay_submit(struct backend *b, struct io *io, struct backend_req *r)
{
	struct filter *x = container_of(b, struct filter, b);

	r->late = b;
	io_timer_init(&r->timer, on_time);
	if (!filter_hits(x, &r->disk))
		filter_pass(x, io, r);
	else if (io_timer_set(io, &r->timer, io_clock(io) + how_long(x)))
		filter_pass(x, io, r); /* no room for a timer: in time, for once */
}

const struct backend_ops delay_ops = {
	.name = "delay",
	.submit = delay_submit,
	.free = filter_free,
	.stamp = filter_stamp,
	.look = filter_look,
	.room = filter_room,
};
