/* sn.h - serial number arithmetic (RFC 1982 as RFC 7143 4.2.2 uses it) and the command window. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "check.h"

static inline bool sn_lt(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0; }
static inline bool sn_le(uint32_t a, uint32_t b) { return (int32_t)(a - b) <= 0; }

/* One session's command numbers. MaxCmdSN never moves back, even when the window shrinks. */
struct cmd_window {
	uint32_t expcmdsn, maxcmdsn;
};

enum sn_place { SN_NEXT, SN_LATER, SN_OUTSIDE }; /* the next one; in the window with a gap before; neither */

void cmd_window_init(struct cmd_window *w, uint32_t expcmdsn, uint32_t size);
enum sn_place cmd_window_place(const struct cmd_window *w, uint32_t cmdsn);
/* cmd_window_take - the next command has come: ExpCmdSN moves on. */
static inline void cmd_window_take(struct cmd_window *w)
{
	slow_check(sn_le(w->expcmdsn, w->maxcmdsn));
	w->expcmdsn++;
}
/* cmd_window_open - offer `room` numbers from expcmdsn on. */
void cmd_window_open(struct cmd_window *w, uint32_t room);
