/* conntab.h - the connection lookup table: 16-bit index -> connection (the source's low tag half).
 *
 * Indices are reused oldest first, so that a tag of a connection that is gone stays foreign for as
 * long as can be. Threads: any; add and remove lock, find is wait-free for the connection's own
 * reactor (a connection finds only itself or nothing). */
#pragma once

#include <stdint.h>

struct conntab;

enum { CONNTAB_FULL = 1 };

int conntab_new(struct conntab **tp);
struct conntab *conntab_free(struct conntab *t);
int conntab_add(struct conntab *t, void *conn, uint16_t *indexp); /* CONNTAB_FULL */
/* conntab_add_at - the index asked for, for tests and figures; CONNTAB_FULL when it is taken. */
int conntab_add_at(struct conntab *t, void *conn, uint16_t index);
void conntab_remove(struct conntab *t, uint16_t index);
void *conntab_find(const struct conntab *t, uint16_t index); /* NULL */
unsigned conntab_n(const struct conntab *t);
