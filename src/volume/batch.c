/* batch.c - flushes that came together, and the walk over their ranges (writer.h: PASS). */
#include "writer_in.h"

bool batch_take(struct writer *w)
{
	struct list *node;

	pthread_mutex_lock(&w->lock);
	while ((node = list_pop(&w->flushes)))
		list_push_back(&w->batch, node);
	pthread_mutex_unlock(&w->lock);
	return !list_empty(&w->batch);
}

void batch_end(struct writer *w, int error)
{
	struct list *node;

	while ((node = list_pop(&w->batch)))
		list_push_back(&w->served, node);
	w->state = WRITER_IDLE;
	while ((node = list_pop(&w->served))) {
		struct vol_work *work = list_entry(node, struct vol_work, link);

		work->error = error;
		work_home(work, w->io);
	}
}

bool batch_pass(struct writer *w, bool *morep)
{
	unsigned lines = 0;
	uint32_t n_pages;

	while (!list_empty(&w->batch)) {
		struct vol_work *work = list_first(&w->batch, struct vol_work, link);

		if (w->n_flying >= WRITER_DEPTH)
			return false;
		if (lines >= WRITER_LINES) {
			*morep = true;
			return false;
		}
		lines += back_walk(w, &work->pos, work->stop, &n_pages);
		if (work->pos >= work->stop) {
			list_remove(&work->link);
			list_push_back(&w->served, &work->link);
		}
	}
	return true;
}

bool batch_again(struct writer *w)
{
	struct list *node;

	if (!__atomic_exchange_n(&w->woken, false, __ATOMIC_SEQ_CST))
		return false;
	w->redo = false;
	while ((node = list_pop(&w->served))) {
		struct vol_work *work = list_entry(node, struct vol_work, link);

		work->pos = work->from;
		list_push_back(&w->batch, node);
	}
	w->state = WRITER_PASS;
	return true;
}
