/* window.c - cursors into landings, and the rules of one sequence of Data-Outs. */
#include "check.h"
#include "window.h"

struct place place_at(struct place from, size_t offset)
{
	if (from.n == 0)
		return from;
	offset += from.skip;
	while (from.n > 0 && offset >= from.iov->iov_len) {
		offset -= from.iov->iov_len;
		from.iov++;
		from.n--;
	}
	from.skip = from.n ? offset : 0;
	return from;
}

unsigned place_fill(struct place p, size_t len, struct iovec *out, unsigned max, size_t *lenp)
{
	size_t left = len, skip = p.skip;
	unsigned n = 0;

	check(p.n == 0 || skip <= p.iov->iov_len);
	for (unsigned i = 0; i < p.n && n < max && left > 0; i++, skip = 0) {
		size_t here = MIN(p.iov[i].iov_len - skip, left);

		if (here == 0)
			continue;
		out[n].iov_base = (char *)p.iov[i].iov_base + skip;
		out[n++].iov_len = here;
		left -= here;
	}
	*lenp = len - left;
	return n;
}

void window_init(struct window *w, void *task, uint32_t itt, uint64_t lun, uint32_t offset,
	uint32_t length, struct place start)
{
	check((uint64_t)offset + length <= 1ull << 32);
	*w = (struct window){
		.task = task,
		.itt = itt,
		.lun = lun,
		.offset = offset,
		.length = length,
		.start = start,
		.next = start,
	};
}

enum data_out_fate window_check(
	const struct window *w, const struct data_out *h, enum counter *whyp)
{
	uint64_t next = (uint64_t)w->offset + w->filled;
	uint64_t end = (uint64_t)w->offset + w->length;
	uint64_t reach = (uint64_t)h->offset + h->length;

	if (unlikely(h->datasn != w->next_datasn)) /* RFC 7143 11.7.5 */
		*whyp = CTR_REFUSED_DATASN;
	else if (unlikely(h->offset != next)) /* 11.7.6, DataPDUInOrder=Yes */
		*whyp = CTR_REFUSED_OFFSET;
	else if (unlikely(reach > end)) /* 11.7.6, 11.8.4: no more than was asked for */
		*whyp = CTR_REFUSED_OVERRUN;
	else if (unlikely(h->final !=
			  (reach == end))) /* 11.7.2; a PDU without payload is lawful: 11.7.7 */
		*whyp = CTR_REFUSED_FINAL;
	else
		return DATA_OUT_PLACE;
	return DATA_OUT_REFUSED;
}

bool window_check_in(const struct window *w, const struct data_out *h, enum counter *whyp)
{
	uint64_t reach = (uint64_t)h->offset + h->length;

	if (unlikely(h->datasn != w->next_datasn)) /* RFC 7143 11.7.5 */
		*whyp = CTR_REFUSED_DATASN;
	else if (unlikely(h->offset != (uint64_t)w->offset + w->filled)) /* 11.7.6 */
		*whyp = CTR_REFUSED_OFFSET;
	else if (unlikely(reach > (uint64_t)w->offset + w->length))
		*whyp = CTR_REFUSED_OVERRUN;
	else
		return true;
	return false;
}

void window_count(struct window *w, uint32_t len)
{
	check(len <= window_left(w));
	w->filled += len;
	w->next_datasn++;
	w->next = place_at(w->next, len);
}
