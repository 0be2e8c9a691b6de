/* tpctest.h - lists of third-party copies and tokens, and what the tests of both say. */
#pragma once

#include "copy_list.h"
#include "copy_job.h"
#include "units.h"
#include "token.h"

enum { NO_ID = 3 << 3, NO_HOLD = 2 << 3 };

static uint8_t list[8192];

/* --- lists --- */
static inline uint32_t list_1(uint8_t id, uint8_t usage)
{
	memset(list, 0, sizeof(list));
	list[0] = id;
	list[1] = usage;
	return 16;
}

static inline uint32_t list_4(uint32_t id, uint8_t flags)
{
	memset(list, 0, sizeof(list));
	list[0] = 1;
	list[3] = 32;
	list[15] = flags;
	list[16] = 0xff;
	put_be32(list + 20, id);
	return 48;
}

static inline uint32_t add_cscd(uint32_t at, unsigned lun)
{
	uint8_t names[64];

	inquiry_names(rig.map.lu[lun], names);
	list[at] = 0xe4;
	memcpy(list + at + 4, names, 4 + names[3]);
	put_be24(list + at + 29, rig.map.lu[lun]->block);
	if (list[16] == 0xff)
		put_be16(list + 42, get_be16(list + 42) + 32);
	else
		put_be16(list + 2, get_be16(list + 2) + 32);
	return at + 32;
}

static inline uint32_t add_segment(
	uint32_t at, uint16_t from, uint16_t to, uint64_t from_lba, uint64_t lba, uint16_t n)
{
	list[at] = 0x02;
	put_be16(list + at + 2, 24);
	put_be16(list + at + 4, from);
	put_be16(list + at + 6, to);
	put_be16(list + at + 10, n);
	put_be64(list + at + 12, from_lba);
	put_be64(list + at + 20, lba);
	if (list[16] == 0xff)
		put_be16(list + 44, get_be16(list + 44) + 28);
	else
		put_be32(list + 8, get_be32(list + 8) + 28);
	return at + 28;
}

/* One segment between two units, list identifier 7. */
static inline uint32_t simple(unsigned from, unsigned to, uint64_t from_lba, uint64_t lba, uint16_t n)
{
	uint32_t at = list_1(7, 0);

	at = add_cscd(at, from);
	at = add_cscd(at, to);
	return add_segment(at, 0, 1, from_lba, lba, n);
}

#define COPY(sa, len)     CDB(0x83, sa, [12] = (uint8_t)((len) >> 8), [13] = (uint8_t)(len))
#define RECEIVE(sa, id)   CDB(0x84, sa, (uint8_t)(id), [12] = 0xff)
#define RECEIVE_4(sa, id) CDB(0x84, sa, 0, 0, 0, id, [12] = 0xff)
#define TOKEN_CDB(sa, id, n)                                                                       \
	CDB(0x83, sa, [9] = id, [12] = (uint8_t)((n) >> 8), [13] = (uint8_t)(n))
#define RUN(lun, len) OUT(lun, COPY(0, len), list, len)

/* --- content --- */
static inline void write_blocks(unsigned lun, uint32_t lba, uint16_t n, const void *from)
{
	GOOD(OUT(lun,
		CDB(0x2a, 0, 0, 0, (uint8_t)(lba >> 8), (uint8_t)lba, 0, (uint8_t)(n >> 8),
			(uint8_t)n),
		from, n * rig.map.lu[lun]->block));
}

static inline const uint8_t *read_blocks(unsigned lun, uint32_t lba, uint16_t n)
{
	GOOD(IN(lun,
		CDB(0x28, 0, 0, 0, (uint8_t)(lba >> 8), (uint8_t)lba, 0, (uint8_t)(n >> 8),
			(uint8_t)n),
		n * rig.map.lu[lun]->block));
	return rig.in;
}

#define HOLDS(lun, lba, n, what)                                                                   \
	assert_memory_equal(read_blocks(lun, lba, n), what, (n)*rig.map.lu[lun]->block)

/* COPY ABORTED with this code, of segment `n` and at this byte of it */
#define ABORTED(command, asc, ascq, n, byte)                                                       \
	do {                                                                                       \
		BAD(command, 0x0a, asc, ascq);                                                     \
		assert_int_equal(get_be32(rig.last.sense + 8), n);                                 \
		assert_int_equal(rig.last.sense[15], 0xa0);                                        \
		assert_int_equal(get_be16(rig.last.sense + 16), byte);                             \
	} while (0)

/* --- reservations, by the other nexus --- */
static inline void reserve(unsigned lun, uint8_t type)
{
	uint8_t out[24] = {0};

	out[15] = 0x77;
	AS_OTHER(GOOD(OUT(lun, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 24), out, 24)));
	memset(out, 0, sizeof(out));
	out[7] = 0x77;
	AS_OTHER(GOOD(OUT(lun, CDB(0x5f, 1, type, 0, 0, 0, 0, 0, 24), out, 24)));
}

/* --- tokens --- */
static uint8_t token[TOKEN_LEN];

static inline uint32_t ranges(uint32_t head, unsigned n, const struct block_range *r)
{
	put_be16(list, (uint16_t)(head + 16 * n - 2));
	put_be16(list + head - 2, (uint16_t)(16 * n));
	for (unsigned i = 0; i < n; i++) {
		put_be64(list + head + 16 * i, r[i].off);
		put_be32(list + head + 16 * i + 8, (uint32_t)r[i].len);
	}
	return head + 16 * n;
}

static inline uint32_t populate_list(unsigned n, const struct block_range *r)
{
	memset(list, 0, sizeof(list));
	return ranges(16, n, r);
}

static inline uint32_t write_list(uint64_t offset, unsigned n, const struct block_range *r)
{
	memset(list, 0, sizeof(list));
	put_be64(list + 8, offset);
	memcpy(list + 16, token, TOKEN_LEN);
	return ranges(536, n, r);
}

#define POPULATE(lun, len) OUT(lun, TOKEN_CDB(0x10, 1, len), list, len)
#define WRITE(lun, len)    OUT(lun, TOKEN_CDB(0x11, 2, len), list, len)
#define RANGE(lba, n)                                                                              \
	1, &(struct block_range)                                                                   \
	{                                                                                          \
		lba, n                                                                             \
	}

static inline void make_token(unsigned lun, uint64_t lba, uint32_t n)
{
	GOOD(POPULATE(lun, populate_list(RANGE(lba, n))));
	GOOD(IN(lun, RECEIVE_4(7, 1), 0xff00));
	assert_int_equal(rig.in_len, 32 + 4 + 2 + 512);
	assert_int_equal(get_be32(rig.in), 32 + 4 + 2 + 512 - 4);
	assert_int_equal(rig.in[4], 0x10);
	assert_int_equal(rig.in[5], COPY_GOOD);
	assert_int_equal(rig.in[15], 0xf1);
	assert_int_equal(get_be64(rig.in + 16), n);
	assert_int_equal(get_be32(rig.in + 32), 2 + 512);
	memcpy(token, rig.in + 38, TOKEN_LEN);
	assert_int_equal(get_be16(token + 6), 504);
}
