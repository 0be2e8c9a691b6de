/* loop.c - the lists every engine runs: posts from any thread, and work put off to the end of a
 * turn.
 *
 * A run takes what was queued when it began and no more, so work that queues itself again (or
 * posts to its own reactor) runs once a turn and can never keep a turn from ending. What is left
 * makes the next turn follow without sleep: engines look at both lists before they sleep.
 *
 * The post list is the only thing here that two threads touch. Its lock is held for the two
 * pointers of a list insertion; a waiter spins a little and then lets the holder run. */
#include "io.h"

#include <stdlib.h>
#include "reactor.h"
#include "spin.h"

void io_init(struct io *io, const struct io_ops *ops, unsigned index)
{
	*io = (struct io){.ops = ops, .index = index};
	list_init(&io->deferred);
	list_init(&io->posts.list);
}

void io_deinit(struct io *io)
{
	free(io->timers.slot);
	io->timers = (struct io_heap){0};
}

void io_defer(struct io *io, struct io_work *w)
{
	list_push_back(&io->deferred, &w->link);
}

void io_post(struct io *to, struct io_work *w)
{
	spin_lock(&to->posts.lock);
	list_push_back(&to->posts.list, &w->link);
	spin_unlock(&to->posts.lock);
	to->ops->wake(to);
}

bool io_has_posts(struct io *io)
{
	bool some;

	spin_lock(&io->posts.lock);
	some = !list_empty(&io->posts.list);
	spin_unlock(&io->posts.lock);
	return some;
}

/* The batch is popped node by node from its own head: a callback may take any other work of the
 * batch off the list, free itself, or queue itself again. */
static bool run(struct list *batch)
{
	bool some = false;
	struct list *node;

	while ((node = list_pop(batch))) {
		struct io_work *w = list_entry(node, struct io_work, link);

		some = true;
		w->fn(w);
	}
	return some;
}

bool io_run_posts(struct io *io)
{
	struct list batch;

	list_init(&batch);
	spin_lock(&io->posts.lock);
	list_splice_back(&batch, &io->posts.list);
	spin_unlock(&io->posts.lock);
	return run(&batch);
}

bool io_run_deferred(struct io *io)
{
	struct list batch;

	list_init(&batch);
	list_splice_back(&batch, &io->deferred);
	return run(&batch);
}
