/* tag.h - the Target Transfer Tag (RFC 7143 11.8.5; the source's Figure 9B).
 *
 *   31        26 25        16 15             0
 *   +-----------+------------+---------------+
 *   |  tag_gen  |    slot    |  connection   |
 *   +-----------+------------+---------------+
 *   index into the data      index into the
 *   pointer table            connection table
 *
 * 0xffffffff is reserved: connection index 0xffff is never given out. */
#pragma once

#include <stdint.h>

enum {
	TAG_SLOTS = 1024,
	TAG_GENS = 64,
	TAG_OTHER_FIRST = 0x3f0, /* slots 0x3f0..0x3ff: NOP-In, Text, DataACK */
	TAG_CONNS = 0xffff,
};
#define TAG_NONE 0xffffffffu

static inline uint32_t tag_make(uint16_t index, uint16_t conn) { return (uint32_t)index << 16 | conn; }
static inline uint16_t tag_index(uint32_t tag) { return (uint16_t)(tag >> 16); }
static inline uint16_t tag_conn(uint32_t tag) { return (uint16_t)tag; }
static inline uint16_t index_make(unsigned gen, unsigned slot) { return (uint16_t)(gen << 10 | slot); }
static inline unsigned index_slot(uint16_t index) { return index & (TAG_SLOTS - 1); }
static inline unsigned index_gen(uint16_t index) { return index >> 10; }
