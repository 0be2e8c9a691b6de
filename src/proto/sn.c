/* sn.c - the command window of a session (RFC 7143 4.2.2.1). */
#include "check.h"
#include "sn.h"

enum { ROOM_MAX = 1 << 20 }; /* far inside 2^31, where the comparison would turn round */

void cmd_window_init(struct cmd_window *w, uint32_t expcmdsn, uint32_t size)
{
	w->expcmdsn = expcmdsn;
	w->maxcmdsn = expcmdsn - 1; /* closed */
	cmd_window_open(w, size);
}

enum sn_place cmd_window_place(const struct cmd_window *w, uint32_t cmdsn)
{
	if (sn_lt(cmdsn, w->expcmdsn) || sn_lt(w->maxcmdsn, cmdsn))
		return SN_OUTSIDE;
	return cmdsn == w->expcmdsn ? SN_NEXT : SN_LATER;
}

void cmd_window_open(struct cmd_window *w, uint32_t room)
{
	uint32_t max = w->expcmdsn + room - 1;

	check(room <= ROOM_MAX);
	if (sn_lt(w->maxcmdsn, max)) /* 4.2.2.1: a smaller MaxCmdSN would be ignored anyway */
		w->maxcmdsn = max;
}
