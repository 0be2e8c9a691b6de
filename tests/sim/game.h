/* game.h - one seed: a target, its disks, two to four players, and lives of the daemon one after the other. */
#pragma once

#include "player.h"

struct game_params {
	uint64_t seed;
	unsigned n_steps; /* acts of the players; between two of them some events of the simulation */
	bool told;	  /* on standard output, what happens */
};

/* game_play - all of it, to the end; an EXPECT that fails goes to peer_on_fail. Adds to the events
 * counted. Returns the hash of the run: equal for equal runs. */
uint64_t game_play(const struct game_params *p, uint64_t events[N_EVENTS]);
/* game_step - the step under way, for messages. */
unsigned game_step(void);
