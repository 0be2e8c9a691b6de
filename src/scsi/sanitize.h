/* sanitize.h - SANITIZE (SBC-3 4.11): all of a unit's content is made unreadable, by an operation
 * of its own that outlives the command, its session, resets, and the process.
 *
 * It runs on the reactor where it was asked for (or that lu_start() names). Meanwhile the validator
 * refuses all commands but a few (the column `san` of cdb.tbl), with its progress (LU_SANITIZING);
 * and so it does after one that failed (LU_SANITIZE_FAILED), until another has not. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io;
struct lu;

int sanitize_init(struct lu *l); /* -ENOMEM */
void sanitize_deinit(struct lu *l);
void sanitize_resume(struct lu *l, struct io *io); /* what a restart interrupted, from the start */
bool sanitize_leave(struct lu *l, struct io *io);
uint16_t sanitize_progress(const struct lu *l); /* in 65536ths */
size_t sanitize_encode(struct lu *l, uint8_t *p, size_t room);
bool sanitize_decode(struct lu *l, const uint8_t *p, size_t len);
