/* player.h - an initiator of the simulation: several commands at once, in pieces, some given up.
 *
 * A player does one thing a time (player_act) and never waits, but in a login. All that it sends
 * and hears is told to the models of the disks. */
#pragma once

#include "house.h"
#include "model.h"

enum { PLAYER_TASKS = 12, PLAYER_R2TS = 8, PLAYER_LUNS = 2, PLAYER_BLOCKS = 96 };

struct game;

struct player_task {
	enum {
		TASK_FREE,
		TASK_UNDER_WAY,
		TASK_GIVEN_UP
	} state; /* given up: only its data still goes out */
	bool write;
	unsigned lun;
	uint32_t itt, cmdsn, lba, n;
	uint32_t number; /* of the model's write */
	uint64_t begun;	 /* of a read; and when the command was sent */
	uint32_t got;	 /* of a read's data */
	uint32_t asked;	 /* of a write's data: by us unasked, or by R2T */
	struct {
		uint32_t ttt, at, end, datasn;
	} due[PLAYER_R2TS]; /* windows, oldest first */
	unsigned n_due;
	uint32_t sent;
	bool maybe_lost; /* a reset may have taken it without a word */
	_Alignas(8) uint8_t buf[PLAYER_BLOCKS * MODEL_BLOCK];
};

struct player {
	struct game *g;
	unsigned number;
	struct peer *p; /* NULL: not connected */
	struct player_task tasks[PLAYER_TASKS];
	/* one task management function at a time; 0: none */
	uint8_t function;
	uint32_t function_itt, ref_itt;
	unsigned function_lun;
	uint64_t function_begun;
	bool reset_open[PLAYER_LUNS]; /* asked for, and not known to be over */
	/* writes of connections that were cut, which the next login settles */
	struct {
		unsigned lun;
		uint32_t number;
	} cut[256];
	unsigned n_cut;
};

/* What all players share. */
struct game {
	struct house *h;
	struct model models[PLAYER_LUNS];
	unsigned n_luns;
	struct player players[4];
	unsigned n_players;
	unsigned n_commands, n_good, n_aborts, n_resets, n_cuts, n_logins, n_rejects, n_failed;
};

void player_login(struct player *p); /* also over a connection that is still open: reinstatement */
void player_act(struct player *p, bool begin); /* begin: new commands, aborts and cuts too */
bool player_hear(struct player *p);	       /* one PDU; false: there is none */
void player_cut(struct player *p, bool abrupt);
/* player_busy - something of it is still to be sent, or to be answered. */
bool player_busy(const struct player *p);
