/* test-memory.c - a volume that runs out of memory anywhere: each operation ends once and says so, nothing stays lent,
 * and what was acknowledged is there. */
#include "filetest.h"

#include <errno.h>
#include "torture.h"

static void settle(struct fixture *f)
{
	fake_end_all(f->fake, &f->io);
}

static bool is_end(const struct test_op *t)
{
	return t->n_done == 1 &&
	       (t->end == 0 || (torture_hit() && (t->end == -ENOMEM || t->end == VOL_FULL)));
}

static bool write_some(struct fixture *f, uint64_t off, uint32_t len, uint8_t byte)
{
	struct landing l;
	struct test_op t;

	landing_init(&l, f->v, off, len, NULL);
	if (landing_take(&l, len, false)) {
		TORTURE(torture_hit());
		landing_drop(&l);
		return false;
	}
	for (unsigned i = 0; i < l.n_iov; i++)
		memset(l.iov[i].iov_base, byte, l.iov[i].iov_len);
	test_op_init(&t, f->v, &f->io, off, len);
	volume_commit(&t.op, &l);
	settle(f);
	TORTURE(is_end(&t));
	return !t.end;
}

/* -1: it could not be read. */
static int read_byte(struct fixture *f, uint64_t off, uint32_t len)
{
	struct test_op t;
	int byte = -1;

	test_op_init(&t, f->v, &f->io, off, len);
	volume_read(&t.op);
	settle(f);
	TORTURE(is_end(&t));
	if (!t.end)
		byte = *(const uint8_t *)t.op.iov[0].iov_base;
	volume_unpin(&t.op);
	return byte;
}

static void one_op(struct fixture *f, void (*op)(struct vol_op *), uint64_t off, uint64_t len)
{
	struct test_op t;

	test_op_init(&t, f->v, &f->io, off, len);
	op(&t.op);
	settle(f);
	TORTURE(is_end(&t));
}

static void unmap(struct vol_op *op)
{
	volume_zero(op, true);
}

static void same(struct vol_op *op)
{
	static const uint8_t block[512] = {9};

	volume_same(op, block);
}

static void life(void *ctx)
{
	void *state;
	struct fixture *f;
	bool whole, part;
	int byte;

	setup_size(&state, 4 * MIB, 512, 512, 0);
	f = state;
	torture_arm();
	whole = write_some(f, 0, 300 * KIB, 0xaa);
	part = write_some(f, 512 * KIB + 512, 20 * KIB, 0xbb);
	read_byte(f, MIB, 256 * KIB);
	one_op(f, unmap, 2 * MIB + 512, MIB);
	one_op(f, same, 3 * MIB, 100 * KIB + 512);
	one_op(f, volume_flush, 0, 0);
	torture_disarm();
	byte = read_byte(f, 0, 4 * KIB);
	TORTURE(byte == (whole ? 0xaa : disk_byte(0)) || (!whole && byte == 0xaa));
	byte = read_byte(f, 512 * KIB + 512, 512);
	TORTURE(!part || byte == 0xbb);
	teardown(&state);
}

static void all_operations_of_a_file(void **state)
{
	assert_true(torture(life, NULL) > 5);
}

static void birth(void *ctx)
{
	struct volume_params p = {.name = "ram", .size = 4 * MIB, .block = 512};
	struct arena_params ap = {.name = "ram",
		.kind = ARENA_RAM,
		.n_pages = volume_ram_pages(p.size),
		.n_merge_pages = 64,
		.n_content_pages = p.size / ARENA_PAGE};
	struct volume *v;

	torture_arm();
	if (arena_new(&p.arena, &ap)) {
		TORTURE(torture_hit());
	} else if (volume_new(&v, &p)) {
		TORTURE(torture_hit());
		arena_free(p.arena);
	} else {
		volume_free(v);
	}
}

static void a_volume_that_cannot_be_made(void **state)
{
	assert_true(torture(birth, NULL) >= 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_operations_of_a_file),
		cmocka_unit_test(a_volume_that_cannot_be_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
