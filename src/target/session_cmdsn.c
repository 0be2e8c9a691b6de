/* session_cmdsn.c - commands in the order of their CmdSN (RFC 7143 4.2.2.1): what may run now, what waits for a lower
 * number, and numbers that are used up before their turn. */
#include "session.h"

enum session_turn session_order(struct session *s, uint32_t cmdsn, bool immediate)
{
	if (immediate)
		return TURN_NOW;
	switch (cmd_window_place(&s->cmdsn, cmdsn)) {
	case SN_NEXT:
		cmd_window_take(&s->cmdsn);
		return TURN_NOW;
	case SN_LATER:
		return TURN_HELD;
	default:
		return TURN_IGNORE;
	}
}

static struct task *held_with(struct session *s, uint32_t cmdsn)
{
	list_for_each(node, &s->tasks) {
		struct task *t = list_entry(node, struct task, link);

		if (t->held && !t->immediate && t->cmdsn == cmdsn)
			return t;
	}
	return NULL;
}

/* The window is no wider than the set: a number of it has a bit of its own. */
static uint64_t *skip_word(struct session *s, uint32_t cmdsn)
{
	return &s->skipped[cmdsn % SESSION_WINDOW / 64];
}

static uint64_t skip_bit(uint32_t cmdsn)
{
	return 1ull << cmdsn % 64;
}

static void mark_skipped(struct session *s, uint32_t cmdsn)
{
	if (!(*skip_word(s, cmdsn) & skip_bit(cmdsn)))
		s->n_skipped++;
	*skip_word(s, cmdsn) |= skip_bit(cmdsn);
}

bool session_holds(struct session *s, uint32_t cmdsn)
{
	return (*skip_word(s, cmdsn) & skip_bit(cmdsn)) || (s->n_held && held_with(s, cmdsn));
}

bool session_skip(struct session *s, uint32_t cmdsn)
{
	if (cmd_window_place(&s->cmdsn, cmdsn) == SN_OUTSIDE)
		return false;
	if (!held_with(s, cmdsn)) /* else it has come, under another tag */
		mark_skipped(s, cmdsn);
	session_advance(s);
	return true;
}

void session_unhold(struct session *s, uint32_t cmdsn)
{
	/* The number before it is still missing: nothing moves yet. */
	s->n_held--;
	mark_skipped(s, cmdsn);
}

/* skip_next - the next number was skipped: it is used up now. */
static bool skip_next(struct session *s)
{
	uint32_t next = s->cmdsn.expcmdsn;

	if (!(*skip_word(s, next) & skip_bit(next)))
		return false;
	*skip_word(s, next) &= ~skip_bit(next);
	s->n_skipped--;
	cmd_window_take(&s->cmdsn);
	return true;
}

void session_advance(struct session *s)
{
	while (s->n_held || s->n_skipped) {
		struct task *t = s->n_held ? held_with(s, s->cmdsn.expcmdsn) : NULL;

		if (!t && !skip_next(s))
			return;
		if (!t)
			continue;
		cmd_window_take(&s->cmdsn);
		s->n_held--;
		task_release(t);
	}
}
