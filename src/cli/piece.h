/* piece.h - a copy under way, and the slots that carry its pieces.
 *
 * A slot carries one piece at a time through its steps:
 *
 *   copying:    idle -> reading -> (writing | zeroing), a stretch after the other -> idle
 *   verifying:  idle -> reading -> reading the copy -> compared -> idle
 *
 * Holes of a source, file or thin disk, are not read. Zeros, holes or not, stay holes in a file, and are
 * given to a thin disk without their bytes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "cli.h"
#include "client.h"
#include "end.h"

enum { DEPTH_MAX = END_DEPTH };

enum step { IDLE, READING, READING_COPY, WRITING, ZEROING };

struct slot {
	enum step step;
	bool hole; /* known to be zeros without being read */
	uint64_t off;
	uint64_t len;  /* of the source */
	uint64_t at;   /* so much of it the destination has */
	uint64_t part; /* on its way there */
	bool zero;     /* so are the bytes of the part */
	uint8_t *buf, *copy;
	struct slot_io io;
};

struct copying {
	struct end src, dst;
	struct client_words client;
	bool verify, verifying;
	bool touched; /* the destination is no longer what it was */
	uint64_t depth, piece, len, pos, done;
	uint64_t n_data, n_zero; /* bytes written, and bytes that were zeros */
	uint64_t data_from, data_to;
	struct slot slots[DEPTH_MAX];
	unsigned n_busy;
	int error;
	bool differs;
	char why[CLI_WHY];
	struct progress progress;
	uint64_t begin_ns;
};

/* copy_fail - the first trouble of a copy is the one that is told, with the name of the end that has it. */
void copy_fail(struct copying *c, const struct end *e, int error, const char *why);
/* slot_advance - as far as it goes, to the end of a piece at most: from file to file nothing ever waits, and between two
 * pieces there are progress and signals to see to. */
void slot_advance(struct copying *c, struct slot *s);
