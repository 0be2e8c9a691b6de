/* player.h - an initiator of the simulation: several commands at once, in pieces, some given up.
 *
 * A player does one thing a time (player_act) and never waits, but in a login. All that it sends
 * and hears is told to the models of the disks. */
#pragma once

#include "event.h"
#include "house.h"
#include "model.h"

enum { PLAYER_TASKS = 12, PLAYER_R2TS = 8, PLAYER_LUNS = 2, PLAYER_BLOCKS = 96,
	PLAYER_COPY_BLOCKS = 400 };

struct game;

enum player_kind { KIND_READ, KIND_WRITE, KIND_FLUSH, KIND_ZERO, KIND_COPY };

struct player_task {
	enum {
		TASK_FREE,
		TASK_UNDER_WAY,
		TASK_GIVEN_UP
	} state; /* given up: only its data still goes out */
	enum player_kind kind;
	bool fua;
	unsigned lun; /* that the command is for */
	unsigned at;  /* whose blocks it reads or changes */
	uint32_t itt, cmdsn, lba, n;
	uint32_t out; /* bytes of data that we owe */
	uint32_t number; /* of the model's write */
	uint64_t begun;	 /* of a read or a flush; and when the command was sent */
	uint64_t evicted; /* pages that had left the cache by then */
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
	unsigned n_wrong; /* Data-Outs with a wrong number, each of which may be rejected */
	/* one task management function at a time; 0: none */
	uint8_t function;
	uint32_t function_itt, ref_itt;
	unsigned function_lun;
	uint64_t function_begun;
	bool reset_open[PLAYER_LUNS]; /* asked for, and not known to be over */
	/* where a write was given up: looked at a few times, since it may not come later */
	struct {
		unsigned lun, times;
		uint32_t lba, n;
	} look;
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
	bool durable[PLAYER_LUNS]; /* what is acknowledged is durable */
	unsigned n_luns;
	struct player players[4];
	unsigned n_players;
	uint32_t bursts; /* how many of the bursts' lengths may be asked for */
	uint32_t hot[PLAYER_LUNS]; /* a block around which half of the commands are */
	struct {
		uint32_t lba, n;
	} zeroed[PLAYER_LUNS]; /* what was zeroed last */
	uint8_t names[PLAYER_LUNS][28]; /* a designator each, as VPD 83 has it */
	uint64_t n[N_EVENTS];
};

static inline void game_count(struct game *g, enum event e)
{
	g->n[e]++;
}

static inline uint32_t draw(const struct player *p, uint32_t below)
{
	return (uint32_t)sim_random(p->g->h->sim, below);
}

static inline struct model *model_of(const struct player *p, const struct player_task *t)
{
	return &p->g->models[t->at];
}

/* reset_among - some other player's reset of the unit is not over. */
bool reset_among(const struct player *p, unsigned lun);
void send_command(struct player *p); /* command.c: a new one of any kind, if one may be sent */

void player_login(struct player *p); /* also over a connection that is still open: reinstatement */
void player_act(struct player *p, bool begin); /* begin: new commands, aborts and cuts too */
bool player_hear(struct player *p);	       /* one PDU; false: there is none */
void player_cut(struct player *p, bool abrupt);
/* player_orphan - the target is gone: hears what still arrives, until the stream ends; then nothing is under way. */
void player_orphan(struct player *p);
/* player_busy - something of it is still to be sent, or to be answered. */
bool player_busy(const struct player *p);
