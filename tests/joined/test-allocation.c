/* test-allocation.c - nothing on the path of a READ or WRITE takes memory.
 *
 * Every call of malloc and its kin goes through the counters below (the linker's --wrap). Each kind of command
 * runs a few times first, so that freelists hold what is needed, and is then counted: the target may
 * not ask once, whatever the size, whether its data comes with the command, unasked or by R2T. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "wire.h"

enum { KIB = 1024, MIB = 1024 * 1024, WARM = 4, COUNTED = 32 };

static unsigned n_asked;

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *p, size_t len);
void *__real_aligned_alloc(size_t alignment, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *p, size_t len);
void *__wrap_aligned_alloc(size_t alignment, size_t len);

void *__wrap_malloc(size_t len)
{
	n_asked += wire_in_target != 0;
	return __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
	n_asked += wire_in_target != 0;
	return __real_calloc(n, len);
}

void *__wrap_realloc(void *p, size_t len)
{
	n_asked += wire_in_target != 0;
	return __real_realloc(p, len);
}

void *__wrap_aligned_alloc(size_t alignment, size_t len)
{
	n_asked += wire_in_target != 0;
	return __real_aligned_alloc(alignment, len);
}

static const struct way {
	const char *name;
	uint32_t len;
	struct peer_params ask;
	uint32_t segment; /* longest Data-Out */
} ways[] = {
	{"512 B, immediate", 512, {true, true, 1, 65536, 65536, 65536}, 0},
	{"4 KiB, immediate", 4 * KIB, {true, true, 1, 65536, 65536, 65536}, 0},
	{"4 KiB by R2T", 4 * KIB, {true, false, 1, 65536, 65536, 65536}, 0},
	{"64 KiB, unsolicited", 64 * KIB, {false, true, 1, 8192, 65536, 65536}, 8 * KIB},
	{"1 MiB by R2Ts in pieces of 8 KiB", MIB, {true, false, 4, 65536, 65536, 262144}, 8 * KIB},
	{"1 MiB by R2Ts in pieces of 64 KiB", MIB, {true, false, 1, 65536, 65536, 262144},
		64 * KIB},
};

/* asked_by - how often the target asked for memory in n commands of a kind, at places all over the disk. */
static unsigned asked_by(struct peer *p, const struct way *v, bool writes, unsigned n, uint8_t *buf)
{
	unsigned before = n_asked;

	for (unsigned i = 0; i < n; i++) {
		/* Odd places: the first and last page of a range are parts. */
		uint64_t lba = (uint64_t)i * 7919 % (6 * MIB / 512);

		if (writes)
			peer_write(p, lba, v->len / 512, buf);
		else
			peer_read(p, lba, v->len / 512, buf);
	}
	return n_asked - before;
}

static void nothing_is_asked_for(void **state)
{
	static struct house h;
	uint8_t *buf = calloc(1, MIB);

	assert_non_null(buf);
	house_open(&h, &(struct house_params){.seed = 1, .ram = 8 * MIB});
	for (unsigned i = 0; i < ARRAY_LEN(ways); i++) {
		const struct way *v = &ways[i];
		struct wire w;
		struct peer *p = wire_connect(&w, &h, &(struct wire_cut){.every = 0});

		peer_login(p, &v->ask);
		peer_settle(p);
		p->segment = v->segment;
		for (int writes = 0; writes < 2; writes++) {
			unsigned n;

			asked_by(p, v, writes, WARM, buf);
			n = asked_by(p, v, writes, COUNTED, buf);
			if (n)
				fail_msg("%s: %u calls for memory in %u %s", v->name, n, COUNTED,
					writes ? "WRITEs" : "READs");
		}
		peer_logout(p);
		house_calm(&h, 0);
		house_empty(&h);
		wire_deinit(&w);
	}
	house_close(&h);
	free(buf);
}

/* A login asks, so who asks is indeed counted. */
static void who_asks_is_counted(void **state)
{
	static struct house h;
	struct wire w;
	struct peer *p;
	unsigned before;

	house_open(&h, &(struct house_params){.seed = 1, .ram = 8 * MIB});
	p = wire_connect(&w, &h, &(struct wire_cut){.every = 0});
	before = n_asked;
	peer_login(p, &ways[0].ask);
	assert_true(n_asked > before);
	peer_logout(p);
	house_calm(&h, 0);
	wire_deinit(&w);
	house_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_asked_for),
		cmocka_unit_test(who_asks_is_counted),
	};

	log_level = LOG_ERROR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
