/* error.c - pieces that fail (see fault.h): nothing of them reaches the disk behind. */
#include "check.h"
#include "fault.h"

static void error_submit(struct backend *b, struct io *io, struct backend_req *r)
{
	struct filter *x = container_of(b, struct filter, b);

	if (filter_hits(x, &r->disk))
		filter_end(io, r, x->f.error);
	else
		filter_pass(x, io, r);
}

const struct backend_ops error_ops = {
	.name = "error",
	.submit = error_submit,
	.free = filter_free,
	.stamp = filter_stamp,
	.look = filter_look,
	.room = filter_room,
};
